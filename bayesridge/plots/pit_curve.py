"""ECDF of PIT values, less the diagonal, in its simultaneous band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.plots.look import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def draw_band(ax: Axes, z: Array, lower: Array, upper: Array) -> Any:
    """Draw a band of ECDFs at points z around zero and return its handle."""
    low = np.concatenate([[0.0], lower - z, [0.0]])
    high = np.concatenate([[0.0], upper - z, [0.0]])
    z = np.concatenate([[0.0], z, [1.0]])
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
    return ax.fill_between(z, low, high, color=GREY, alpha=0.25, lw=0)


def draw_difference(ax: Axes, z: Array, values: Array, **look: Any) -> Any:
    """Draw an ECDF at points z less the diagonal and return the line."""
    return ax.plot(np.concatenate([[0.0], z, [1.0]]), np.concatenate([[0.0], values - z, [0.0]]), **look)[0]
