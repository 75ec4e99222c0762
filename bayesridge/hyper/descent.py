"""The minimum of a deviance over scales: descents, and a look along each scale for a valley that they cannot feel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]

_LOOKS, _LOWER, _MOST_VALLEYS = 97, 1e-6, 8  # along each scale, for a lower deviance


def lowest_near(
    value: Callable[[Array], Array], theta: Array, free: NDArray[np.bool_], low: Array, high: Array
) -> Array:
    """Descend; where a scale may vary alone and get lower, go there and descend again.

    Where one tau is as good as zero the criterion is flat, and a descent that starts there stays: a valley in that
    scale is seen by looking along it.
    """
    for _ in range(_MOST_VALLEYS):
        theta = _descend(value, theta, free, low, high)
        here, best = float(value(theta[None])[0]), theta
        for g in np.flatnonzero(free):
            line = np.tile(theta, (_LOOKS, 1))
            line[:, g] = np.linspace(low[g], high[g], _LOOKS)
            found = value(line)
            if found.min() < here - _LOWER:
                here, best = float(found.min()), line[int(found.argmin())]
        if best is theta:
            break
        theta = best
    return theta


def _descend(value: Callable[[Array], Array], theta: Array, free: NDArray[np.bool_], low: Array, high: Array) -> Array:
    """Quasi-Newton, then Newton's steps, over the free ones."""
    index = np.flatnonzero(free)
    if not len(index):
        return theta
    unit = np.eye(len(theta))[index]

    def slope(at: Array, h: float) -> tuple[float, Array]:
        found = value(np.concatenate([at[None], at + h * unit, at - h * unit]))
        return float(found[0]), (found[1 : len(index) + 1] - found[len(index) + 1 :]) / (2.0 * h)

    def part(x: Array) -> tuple[float, Array]:
        at = theta.copy()
        at[index] = x
        return slope(at, 1e-4)

    bounds = list(zip(low[index], high[index], strict=True))
    found = minimize(part, theta[index], jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200})
    theta = theta.copy()
    theta[index] = found.x
    for _ in range(4):
        h = 1e-3
        here, gradient = slope(theta, h)
        hessian = np.array([slope(theta + h * e, h)[1] - slope(theta - h * e, h)[1] for e in unit]) / (2.0 * h)
        values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
        if values[0] < 1e-6 * max(values[-1], 1.0):
            break  # flat towards the boundary
        moved = theta.copy()
        moved[index] -= vectors @ ((vectors.T @ gradient) / values)
        if not (np.abs(moved - theta) < 1.0).all() or float(value(moved[None])[0]) > here:
            break
        theta = moved
    return theta


# -- the scales plugged in --------------------------------------------------------------------------------------------
