r"""The penalised likelihood at a given lambda: Newton's method, damped, and Laplace's approximation to the evidence.

The mode maximises  sum_i w_i log p(y_i | eta_i) - lambda |beta|^2 / 2 (over sigma^2, if there is one): scikit-learn's
``PoissonRegressor(alpha=lambda/n)`` and ``LogisticRegression(C=1/lambda)`` on standardised columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from bayesridge.errors import AccuracyWarning, DataError, warn
from bayesridge.outcomes.problem import Outcome

Array = NDArray[np.float64]

_MOST_STEPS = 200
_MOST_COUNTED = 1e14  # .02 nats of rounding a sum of this size
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Bell:
    """A Gaussian approximation to the coordinates at one lambda.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    root : ndarray of shape (d, d)
        Lower Cholesky factor of the precision.
    log_evidence : float
        Log p(y | lambda), flat directions of density one per unit of their scaled coordinate.
    cavity : tuple of two ndarray of shape (n_rows,), or None
        Mean and variance of each row's eta by the others, where expectation propagation made the bell.
    """

    mean: Array
    root: Array
    log_evidence: float
    cavity: tuple[Array, Array] | None = None


def penalized_mode(problem: Outcome, lam: float, start: Array | None = None) -> Bell:
    """Maximise the penalised likelihood.

    Parameters
    ----------
    problem : Outcome
    lam : float
        Positive.
    start : ndarray of shape (d,), optional
        Warm start.

    Returns
    -------
    Bell
        Laplace's approximation around the mode.
    """
    D, P = problem.rows, problem.precision(lam)
    theta = first_guess(problem) if start is None else start

    def height(at: Array) -> float:
        return float(problem.log_likelihood(at) - 0.5 * P @ np.square(at))

    rounding = _rounding(problem)
    value = height(theta)
    for _ in range(_MOST_STEPS):
        first, second = problem.slope(D @ theta)
        gradient = D.T @ first - P * theta
        H = (D.T * second) @ D
        H.flat[:: len(P) + 1] += P + _EPS * H.diagonal()
        step = cho_solve(cho_factor(H, lower=True, check_finite=False), gradient, check_finite=False)
        gain = float(gradient @ step)
        if gain <= 4.0 * _EPS:
            break
        if gain <= rounding + 8.0 * _EPS * abs(
            value
        ):  # less than heights are rounded by: the gradient alone knows, and ends it
            theta = theta + step
            value = height(theta)
            break
        share = 1.0
        while not height(theta + share * step) >= value + 1e-4 * share * gain - rounding - 8.0 * _EPS * abs(value):
            share *= 0.5
            if share < 1e-10:
                break
        if share < 1e-10:  # there, to the rounding of the likelihood
            break
        theta = theta + share * step
        value = height(theta)
    else:
        warn(f"Newton's method made {_MOST_STEPS} steps at lambda = {lam:.3g} and is not there yet", AccuracyWarning)
    _, second = problem.slope(D @ theta)
    H = (D.T * second) @ D
    H.flat[:: len(P) + 1] += P + _EPS * H.diagonal()
    root = np.linalg.cholesky(H)
    q, r = problem.n_flat, problem.rank
    log_evidence = (
        value
        + 0.5 * r * np.log(lam / problem.family.noise**2)
        + 0.5 * q * np.log(2.0 * np.pi)
        - np.log(root.diagonal()).sum()
    )
    return Bell(theta, root, float(log_evidence))


def _rounding(problem: Outcome) -> float:
    """What the log likelihood is rounded by: its terms, y eta and log y!, are larger than their sum."""
    if not problem.family.whole:  # logs of densities, of order one
        return 64.0 * _EPS * float(problem.count.sum())
    size = problem.design.y if problem.trials is None else problem.trials
    total = float(problem.count @ size)
    if total > _MOST_COUNTED:
        raise DataError(
            f"counts that add up to {total:.1e} have a likelihood whose rounding is larger than what it is to tell "
            f"(float64; at most {_MOST_COUNTED:.0e}); model the logarithm of such counts as a Gaussian target"
        )
    return 64.0 * _EPS * total


def first_guess(problem: Outcome) -> Array:
    """Least squares of the rows' own guesses on the flat directions."""
    theta = np.zeros(problem.rows.shape[1])
    flat = problem.rows[:, : problem.n_flat]
    if flat.shape[1]:
        root = np.sqrt(problem.count)
        wanted = problem.family.start(problem.design.y, problem.trials) - problem.offset
        theta[: flat.shape[1]] = np.linalg.lstsq(flat * root[:, None], wanted * root, rcond=None)[0]
    return theta
