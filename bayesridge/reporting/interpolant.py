r"""A function of log lambda as a Chebyshev series, when the rows it is made from are too many to travel.

Leave-one-out errors are sums over rows, but smooth in t = log lambda: every term is a rational function of lambda
whose poles lie on the negative axis, hence analytic for \|Im t\| < pi. On an interval of half-width a the error of n
nodes falls like rho^-n with rho about 1 + pi/a (Trefethen, Approximation Theory and Approximation Practice, chapter 8).
The number of nodes is doubled until points between them agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dct

Array = NDArray[np.float64]

TOLERANCE = 1e-12
_FEWEST, _MOST = 48, 768


@dataclass(frozen=True, eq=False)
class Interpolant:
    """Chebyshev series of a function on [low, high].

    Attributes
    ----------
    low, high : float
    coefficients : ndarray of shape (n,)
        Of ``T_0, T_1, ...`` in ``x = (2 t - low - high) / (high - low)``.
    error : float
        Largest absolute difference to the function on points between the nodes.
    """

    low: float
    high: float
    coefficients: Array
    error: float

    def __call__(self, t: ArrayLike) -> Array:
        """Value at t, of the shape of t."""
        x = (2.0 * np.asarray(t, dtype=np.float64) - self.low - self.high) / (self.high - self.low)
        return np.asarray(chebyshev.chebval(x, self.coefficients))


def interpolate(
    function: Callable[[Array], Array], low: float, high: float, tolerance: float = TOLERANCE
) -> Interpolant:
    """Interpolate a function, with as many nodes as its error needs.

    Parameters
    ----------
    function : callable
        Array of points to array of values.
    low, high : float
    tolerance : float
        Absolute; for the logarithm of a quantity that is the quantity's relative error.

    Returns
    -------
    Interpolant
        Its ``error`` says whether the tolerance was met.
    """
    n = _FEWEST
    while True:
        made = _with_nodes(function, low, high, n)
        if made.error <= tolerance or 2 * n > _MOST:
            return made
        n *= 2


def _with_nodes(function: Callable[[Array], Array], low: float, high: float, n: int) -> Interpolant:
    angle = np.pi * (np.arange(n) + 0.5) / n
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    series = np.asarray(dct(function(middle + half * np.cos(angle)), type=2)) / n
    series[0] *= 0.5
    # halfway between neighbouring nodes in angle, where the error is largest, and at the ends
    between = np.concatenate([[high], middle + half * np.cos(angle[:-1] + 0.5 * np.pi / n), [low]])
    between = between[:: max(1, len(between) // 41)]
    made = Interpolant(low, high, series, np.inf)
    error = float(np.abs(made(between) - function(between)).max())
    return Interpolant(low, high, series, error)
