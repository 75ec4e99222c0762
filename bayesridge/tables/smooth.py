r"""Penalised splines in the form of a mixed model: a straight line without a penalty, and columns whose penalty is one.

A cubic B-spline basis B of k functions on equidistant knots, with the squares of second differences u = D a of its
coefficients as penalty (Eilers and Marx 1996, "Flexible smoothing with B-splines and penalties"). What D does not see
are coefficients at equal steps: B makes a constant and a straight line of them, exactly. So

    a = (constant and line) + D'(DD')^-1 u,    B a = c0 + c1 x + Z u,    Z = B D'(DD')^-1,    penalty |u|^2,

k - 2 columns with an identity for a penalty. The constant and the line that least squares finds in the rows of the fit
are taken off Z: c1 is then the slope of the straight line nearest to the curve, and the columns' sum of squares that of
what is not straight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DEGREE = 3
_MARGIN = 1e-3  # of the range, beyond the outermost values on both sides


@dataclass(frozen=True, eq=False)
class Spline:
    """What a smooth learnt: its range, and the projection on constant and line of the rows of the fit.

    Attributes
    ----------
    size : int
        Number k of basis functions; there are k - 2 penalised columns.
    low, high : float
        The range, beyond which the curve goes on as a straight line.
    line : ndarray of shape (2, k - 2)
        Constant, and slope in units of the range, that are taken off each column.
    centre : float
        Mean of the rows of the fit.
    """

    size: int
    low: float
    high: float
    line: Array
    centre: float = 0.0

    @classmethod
    def fit(cls, x: Array, size: int, low: float, high: float) -> Spline:
        """Learn from values (n,), some of which differ."""
        raw = cls(size, low, high, np.zeros((2, size - 2)))
        rows = np.column_stack([np.ones(len(x)), raw._unit(x)])
        return cls(size, low, high, np.linalg.lstsq(rows, raw.columns(x))[0], float(x.mean()))

    def _unit(self, x: Array) -> Array:
        return (x - self.low) / (self.high - self.low)

    def columns(self, x: Array) -> Array:
        """The penalised columns at x (m,), straight beyond the range of the fit; shape (m, k - 2)."""
        u = self._unit(x)
        inside = np.clip(u, 0.0, 1.0)
        value, slope = (_basis(inside, self.size, order) for order in (0, 1))
        made = (value + (u - inside)[:, None] * slope) @ _of_differences(self.size)
        return np.asarray(made - self.line[0] - u[:, None] * self.line[1])

    def outside(self, x: Array) -> NDArray[np.bool]:
        """Which values lie outside the range of the fit."""
        return np.asarray((x < self.low) | (x > self.high))


def _basis(u: Array, size: int, order: int) -> Array:
    """Cubic B-splines on [0, 1], or their first derivatives, (m, size)."""
    from scipy.interpolate import BSpline

    inner = size - _DEGREE + 1  # knots from margin to margin
    step = (1.0 + 2.0 * _MARGIN) / (inner - 1)
    knots = -_MARGIN + step * np.arange(-_DEGREE, inner + _DEGREE)
    return np.asarray(BSpline(knots, np.eye(size), _DEGREE)(u, nu=order))


@lru_cache(maxsize=16)
def _of_differences(size: int) -> Array:
    """``D'(DD')^-1``, (size, size - 2)."""
    return np.asarray(np.linalg.pinv(np.diff(np.eye(size), 2, axis=0)))
