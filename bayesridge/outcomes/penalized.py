r"""The penalised likelihood at a given lambda: Newton's method, damped, and Laplace's approximation to the evidence.

The mode maximises  sum_i w_i log p(y_i | eta_i) - lambda |beta|^2 / 2 (over sigma^2, if there is one): scikit-learn's
``PoissonRegressor(alpha=lambda/n)`` and ``LogisticRegression(C=1/lambda)`` on standardised columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

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

    counted = _rounding(problem)
    value = height(theta)
    size = np.abs(problem.offset) + (0.0 if problem.family.whole else np.abs(problem.design.y))
    for _ in range(_MOST_STEPS):
        eta = D @ theta
        first, second = problem.slope(eta)
        gradient = D.T @ first - P * theta
        step = cho_solve((_root(D, second, P, problem), True), gradient, check_finite=False)
        rounding = counted + 8.0 * _EPS * float(np.abs(first) @ (np.abs(eta) + size))
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
        # a curvature that is a bound (that of rows' weights) makes steps that are too short
        while not problem.family.one_mode and height(theta + 2.0 * share * step) > height(theta + share * step):
            share *= 2.0
        theta = theta + share * step
        value = height(theta)
    else:
        warn(f"Newton's method made {_MOST_STEPS} steps at lambda = {lam:.3g} and is not there yet", AccuracyWarning)
    root = _root(D, problem.slope(D @ theta)[1], P, problem)
    q, r = problem.n_flat, problem.rank
    log_evidence = (
        value
        + 0.5 * r * np.log(lam / problem.family.noise**2)
        + 0.5 * q * np.log(2.0 * np.pi)
        - np.log(root.diagonal()).sum()
    )
    return Bell(theta, root, float(log_evidence))


def _root(D: Array, second: Array, P: Array, problem: Outcome) -> Array:
    """Lower Cholesky factor of ``D' diag(second) D + diag(P)``."""
    H = (D.T * second) @ D
    H.flat[:: len(P) + 1] += P + _EPS * H.diagonal()
    try:
        return np.linalg.cholesky(H)
    except np.linalg.LinAlgError as error:
        rows = [int(problem.design.input_rows[i]) for i in (np.argmin(second), np.argmax(second))]
        raise DataError(
            f"rows {rows[0]} and {rows[1]} differ so much in what their outcomes weigh ({second.min():.1g} and "
            f"{second.max():.1g}) that float64 cannot add them: look at the offset (the log of an exposure) and at "
            "columns far from all others"
        ) from error


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
