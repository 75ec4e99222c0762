"""The axis of lambda: its range, labels, and the posterior interval on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.linalg.filters import halving_lambdas
from bayesridge.plots.layout import figure_of, font_points
from bayesridge.plots.look import BLUE
from bayesridge.posteriors.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

LABEL = "penalty λ = σ²/τ² (log scale)"


def axis_label(post: Any) -> str:
    """What lambda is, under the axis: of outcomes without a sigma, one over tau squared."""
    return LABEL if "sigma" in post.scales else "penalty λ = 1/τ² (log scale)"


def lambda_range(post: Any, include: Array | None = None) -> tuple[float, float]:
    """Return the range of lambda worth looking at: the posterior's, and where the directions are let in.

    Parameters
    ----------
    post : Posterior
    include : ndarray, optional
        Further values to be seen; those that are not positive and finite, or more than four decades off, are not.

    Returns
    -------
    tuple of float
        Between 2 and 12 decades.
    """
    if post.has_curves:  # fits are known over a range of their own
        low, high = (float(q) for q in post.lambda_.quantile(np.array([0.001, 0.999])))
        ends = np.exp(post.curves.t[[0, -1]])
        return max(low / 10.0, float(ends[0])), min(high * 10.0, float(ends[1]))
    weakest, typical, strongest = halving_lambdas(post.spectrum)
    low, high = (float(q) for q in post.lambda_.quantile(np.array([0.001, 0.999])))
    if not (low > 0.0 and high < np.inf):  # a point at one of the limits
        low = high = typical
    if low == high:
        low, high = low / 10.0, high * 10.0
    first = max(min(low / 3.0, weakest / 3.0), low / 1e3)
    last = min(max(high * 3.0, strongest * 3.0), high * 1e3)
    if include is not None:
        near = include[(include > first * 1e-4) & (include < last * 1e4)]
        first, last = min([first, *(near / 1.5)]), max([last, *(near * 1.5)])
    return first, last


def lambda_grid(post: Posterior, points: int = 400, include: Array | None = None) -> Array:
    """Return penalties over :func:`lambda_range`, evenly spaced in log lambda."""
    return np.geomspace(*lambda_range(post, include), points)


def number(value: float) -> str:
    """Write a number with three digits, from a thousand to a million without an exponent."""
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:.3g}"


def percent(level: float) -> str:
    """Write a probability as a percentage."""
    return f"{100.0 * level:g}%"


def state_of_lambda(post: Posterior, level: float) -> str:
    """Say what is known of lambda, its interval named."""
    lam = post.lambda_
    if lam.known:
        return f"λ = {number(lam.value)} ({'plugged in' if post.method == 'evidence' else 'known'})"
    low, high = lam.interval(level)
    return f"λ: median {number(lam.median)}, {percent(level)} ETI {number(low)} to {number(high)}"


def log_axis(ax: Axes, low: float, high: float) -> None:
    """Make x an axis of log lambda over a range, ticks at powers of ten."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.set_xlim(low, high)
    inches = float(ax.get_position().width * figure_of(ax).get_size_inches()[0])
    # a label of three letters and a gap; above the limit the locator leaves out every other decade, or more
    fitting = int(72.0 * inches / (3.2 * font_points(plt.rcParams["xtick.labelsize"])))
    ax.xaxis.set_major_locator(LogLocator(numticks=int(np.clip(fitting, 3, 9))))
    ax.xaxis.set_minor_formatter(NullFormatter())


def shade_interval(ax: Axes, post: Posterior, level: float) -> str:
    """Shade the interval of lambda (a line at a point) and return its name for the legend."""
    lam = post.lambda_
    if lam.known:
        if 0.0 < lam.value < np.inf:
            ax.axvline(lam.value, color=BLUE, lw=1.2, ls=":")
        return state_of_lambda(post, level)
    low, high = lam.interval(level)
    ax.axvspan(low, high, color=BLUE, alpha=0.16, lw=0)
    return f"{percent(level)} ETI of λ"
