"""Percentiles of lambdas, some of which may be zero or infinite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def central_range(values: Array, level: float) -> tuple[float, float]:
    """Ends of the central `level` of some values, both of them values that occurred.

    Nothing is interpolated, so the ends are the same for lambda and log lambda, and may be 0 and infinity; between
    them lies at least `level` of the values.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Without NaN, m > 0.
    level : float

    Returns
    -------
    low, high : float
    """
    ordered = np.sort(values)
    beyond = int(0.5 * (1.0 - level) * (len(ordered) - 1) + 1e-9)  # 0.05 in binary is a little less
    return float(ordered[beyond]), float(ordered[len(ordered) - 1 - beyond])
