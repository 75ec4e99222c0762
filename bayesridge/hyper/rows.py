"""Many integrals of one variable at once, each on a grid of its own: sigma given lambda, lambda along a line of tau."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.quadrature import weights_error

Array = NDArray[np.float64]

_CUT = 44.0
_POINTS = 33
_ROUNDS = 24  # each narrows (or doubles) the window, up to 16-fold: enough for a peak 1e-9 wide, 1e3 away
_FINAL_POINTS = 81


@dataclass(frozen=True, eq=False)
class RowRule:
    """For each row a grid, its weights (summing to one), the log of the integral and its relative error."""

    x: Array
    weight: Array
    log_total: Array
    error: Array


def integrate_rows(log_f: Callable[[Array], Array], low: Array, high: Array) -> RowRule:
    """Integrate every row's exp(log_f), zooming into (or out of) a first window.

    A function that rises, then falls (any log-concave one) is found however narrow it is, and wherever.

    Parameters
    ----------
    log_f : callable
        From points of shape (m, k), row by row, to the log of the integrand; -inf where it is zero.
    low, high : ndarray of shape (m,)
        The first windows.
    """
    low, high = low[:, None], high[:, None]
    fractions = np.linspace(0.0, 1.0, _POINTS)
    rows = np.arange(len(low))
    for _ in range(_ROUNDS):
        v = low + (high - low) * fractions
        f = log_f(v)
        seen = f > f.max(axis=1, keepdims=True) - _CUT
        first = np.maximum(seen.argmax(axis=1) - 1, 0)
        last = np.minimum(_POINTS - seen[:, ::-1].argmax(axis=1), _POINTS - 1)
        open_ends = seen[:, [0, -1]] * (high - low)
        if ((last - first) > 0.75 * _POINTS).all() and not open_ends.any():
            break
        low, high = v[rows, first][:, None] - open_ends[:, :1], v[rows, last][:, None] + open_ends[:, 1:]
    v, step = np.linspace(low[:, 0], high[:, 0], _FINAL_POINTS, axis=1, retstep=True)
    f = log_f(v)
    top = f.max(axis=1, keepdims=True)
    share = np.exp(f - np.where(np.isfinite(top), top, 0.0))
    total = share.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_total = (top + np.log(total) + np.log(np.asarray(step)[:, None]))[:, 0]
    weight = share / np.where(total > 0, total, 1.0)
    return RowRule(v, weight, log_total, weights_error(weight) + weight[:, 0] + weight[:, -1])
