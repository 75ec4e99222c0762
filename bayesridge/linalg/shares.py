"""What a penalty does to one direction: the only place where the algebra of lambda is written.

Elementwise, broadcast as NumPy does: `square` is the squared singular value of a direction (or what stands for it, as
the variance that all columns explain together), positive; `lam` the penalty, from 0 to infinity, where the limits hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

Array = NDArray[np.float64]


def kept(square: ArrayLike, lam: ArrayLike) -> Array:
    """``f = s^2 / (s^2 + lambda)``, the data's share."""
    return _one_over_one_plus(lam, square)


def shrunk(square: ArrayLike, lam: ArrayLike) -> Array:
    """``1 - f = lambda / (s^2 + lambda)``, the prior's share, without cancellation."""
    return _one_over_one_plus(square, lam)


def kept_at(square: Array, log_lam: Array | float) -> Array:
    """:func:`kept` at log lambda, however far out."""
    return np.asarray(expit(np.log(square) - log_lam))


def shrunk_at(square: Array, log_lam: Array | float) -> Array:
    """:func:`shrunk` at log lambda, however far out."""
    return np.asarray(expit(log_lam - np.log(square)))


def resolvent(square: ArrayLike, lam: ArrayLike) -> Array:
    """``1 / (s^2 + lambda)``: the variance of a coefficient over sigma^2."""
    total: Any = np.asarray(np.add(square, lam))
    return np.asarray(np.reciprocal(total, out=total))


def explained(signal: float, lam: Array) -> Array:
    """R^2 that the prior expects, ``W / (1 + W)`` with ``W = signal / lambda``: 0 where the columns explain nothing."""
    return kept(signal, lam) if signal > 0 else np.zeros(np.shape(lam))


def log_growth(square: ArrayLike, lam: ArrayLike) -> Array:
    """``log(1 + s^2 / lambda)``: of the prior's variance over the posterior's."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(np.divide(square, lam)))


def log_growth_at(square: ArrayLike, log_lam: ArrayLike) -> Array:
    """:func:`log_growth` at log lambda, also where the ratio is no float64."""
    return np.asarray(np.logaddexp(0.0, np.log(square) - log_lam))


def growth_and_shrunk(square: Array, log_lam: Array) -> tuple[Array, Array]:
    """Sums of :func:`log_growth` over the last axis, the directions, and :func:`shrunk_at`: of one table of ratios.

    Where a ratio is no float64 the sum is infinite.
    """
    with np.errstate(over="ignore"):  # lambda below 1e-308 is zero
        ratio = np.exp(-log_lam) * square
    sums = np.log1p(ratio).sum(axis=-1)
    ratio += 1.0
    return sums, np.reciprocal(ratio, out=ratio)


def _one_over_one_plus(above: ArrayLike, below: ArrayLike) -> Array:
    with np.errstate(divide="ignore", over="ignore"):
        ratio: Any = np.asarray(np.divide(above, below))
    ratio += 1.0
    return np.asarray(np.reciprocal(ratio, out=ratio))
