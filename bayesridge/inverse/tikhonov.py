r"""Tikhonov's regularisation with the posterior of lambda: ``y = A x + e``, penalty ``|L x|^2``.

In standard form (Eldén 1977; Hansen, Rank-Deficient and Discrete Ill-Posed Problems, section 2.3) this is ridge. With
the singular values d of L and its right singular vectors W (d > 0) and N (what L does not see, dimension u)::

    x = W diag(1/d) v + N c,    |L x|^2 = |v|^2,    A x = (A W diag(1/d)) v + (A N) c,

so that v has the prior N(0, tau^2 I), and c a flat one: p - u penalised columns and u unpenalised ones, the engine of
one lambda, and all that it can do. The design keeps A and x as they are (:attr:`Design.basis` is [W diag(1/d), N]).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design, in_directions
from bayesridge.errors import DataError
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.inferred import Method
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, check_priors
from bayesridge.tables.frames import is_sparse, read_columns, read_target
from bayesridge.tables.missing import complete_rows
from bayesridge.tables.weights import read_weights

Array = NDArray[np.float64]

PENALTIES = {"identity": 0, "first differences": 1, "second differences": 2}
_EPS = float(np.finfo(np.float64).eps)
#: Of what is given: beyond it squares of ratios of three such numbers are no float64.
LARGEST = 1e40
_FLAT_SEEN = 1e-10  # of A's largest singular value: below, the data do not fix what the penalty leaves free


def differences(p: int, order: int) -> Array:
    """Differences of this order of p equidistant values, (p - order, p), without steps: that is lambda's unit."""
    return np.asarray(np.diff(np.eye(p), order, axis=0))


def tikhonov(
    A: Any,
    y: Any,
    penalty: str | Any = "second differences",
    *,
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
    weights: Any = None,
    method: Method | None = None,
) -> Posterior:
    r"""Compute the posterior of a linear inverse problem, lambda integrated.

    .. math:: y = A x + e,\quad e_i \sim N(0, \sigma^2 / w_i),\quad L x \sim N(0, \tau^2 I),\quad
              \lambda = \sigma^2/\tau^2

    with a flat prior on the null space of L. At a given lambda the posterior mean is Tikhonov's solution, the minimum
    of :math:`\sum_i w_i (y - A x)_i^2 + \lambda |L x|^2`. There is no intercept: put it into A, with a column of
    zeros in L.

    Parameters
    ----------
    A : array_like or data frame of shape (n, p)
        The operator; n may be less than p.
    y : array_like of shape (n,)
    penalty : {"identity", "first differences", "second differences"} or array_like of shape (k, p)
        L. What it does not see of x (constants under first differences, straight lines under second ones) is not
        penalised, and has to be seen by A.
    prior : Prior, optional
        Of lambda; ``BetaR2(0.5, 0.5)`` by default, R² the share of ``y`` that the penalised part explains.
    noise_prior : NoisePrior, optional
        ``Jeffreys()`` by default; ``FixedSigma(sigma)`` where the noise of the instrument is known.
    weights : array_like of shape (n,), optional
        Precisions: the noise of row i has variance sigma^2 / w_i.
    method : {"posterior", "evidence", "fixed"}, optional
        As for :func:`bayesridge.posterior`.

    Returns
    -------
    Posterior
        ``coefficients`` are x, with bands (``interval()``); rules, leave-one-out, draws, report and files as ever.

    Raises
    ------
    DataError
        If A, y or L cannot be used, or A does not see what L leaves free.

    Examples
    --------
    >>> from bayesridge.inverse import inverse_problem, tikhonov
    >>> problem = inverse_problem("shaw", 32)
    >>> found = tikhonov(problem.A, problem.data(noise=0.01, random_state=0), "second differences")
    >>> bool(problem.relative_error(found.coefficients.mean) < 0.2)
    True
    """
    prior, noise_prior = prior or BetaR2(), noise_prior or Jeffreys()
    check_priors(prior, noise_prior)
    design = _design(A, y, penalty, weights)
    return infer(design, factorize(design), prior, noise_prior, method)


def _design(A: Any, y: Any, penalty: str | Any, weights: Any) -> Design:
    columns = read_columns(A.toarray() if is_sparse(A) else A)
    target, name = read_target(y, len(columns.values))
    w = read_weights(weights, len(target))
    complete_rows(columns, target, w, target_name=name or "y")
    refuse_units(A=columns.values, **({"y": target} if target.any() else {}))
    p = columns.values.shape[1]
    basis, n_flat = standard_form(_matrix(penalty, p))
    rows = columns.values if w is None else np.sqrt(w)[:, None] * columns.values
    seen = np.linalg.svd(rows @ basis[:, p - n_flat :], compute_uv=False)
    if n_flat and not (len(seen) == n_flat and seen[-1] > _FLAT_SEEN * np.linalg.norm(rows, 2)):
        raise DataError(
            f"the penalty leaves {n_flat} direction{'s' * (n_flat > 1)} of x free, and A (rows of weight next to "
            "nothing not counted) does not see all of what is left free: it has no posterior; penalise more "
            "(penalty='identity'), or add rows to the penalty"
        )
    return in_directions(columns.values, target, basis, n_flat, names=columns.names, target_name=name or "y", weights=w)


def _matrix(penalty: str | Any, p: int) -> Array:
    if isinstance(penalty, str):
        if penalty not in PENALTIES:
            raise DataError(f"penalty must be a matrix or one of {', '.join(map(repr, PENALTIES))}, got {penalty!r}")
        if PENALTIES[penalty] >= p:
            raise DataError(f"{penalty} need more than {PENALTIES[penalty]} unknowns, got {p}")
        return differences(p, PENALTIES[penalty])
    L = numbers(penalty.toarray() if is_sparse(penalty) else penalty, "the penalty")
    if L.ndim != 2 or L.shape[1] != p or not len(L):
        raise DataError(f"the penalty must be a matrix of {p} columns, one for each of A's, got shape {L.shape}")
    refuse_units(**{"the penalty": L})
    return L


def numbers(values: Any, what: str) -> Array:
    """Return real numbers as an array, or say that they are none."""
    try:
        found = np.asarray(values)
        if np.iscomplexobj(found) or np.ma.is_masked(values):  # asarray would unmask what is masked
            raise TypeError
        return found.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what} must be an array of real numbers, got {type(values).__name__}") from None


def refuse_units(**named: Array) -> None:
    """Refuse what is not finite, zero everywhere, or so large or small that squares of ratios are no float64."""
    for name, values in named.items():
        size = float(np.abs(values).max(initial=0.0))
        if not np.isfinite(size) or size == 0.0:
            raise DataError(f"{name} must have finite numbers, not all of them zero")
        if not 1.0 / LARGEST < size < LARGEST:
            raise DataError(f"{name} is as large as {size:.1e}: squares leave float64; multiply it by a power of ten")


def standard_form(L: Array) -> tuple[Array, int]:
    """``[W diag(1/d), N]`` of the penalty, (p, p), and how many columns N has."""
    p = L.shape[1]
    if len(L) == p and np.array_equal(L, np.eye(p)):
        return np.eye(p), 0
    _, d, rows = np.linalg.svd(L, full_matrices=True)
    rank = int(np.count_nonzero(d > max(L.shape) * _EPS * d[0]))
    return np.vstack([rows[:rank] / d[:rank, None], rows[rank:]]).T.copy(), p - rank
