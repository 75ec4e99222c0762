"""Spectral check: whether a Gaussian prior on all directions is right here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bayesridge.checks.spectral_check import SpectralCheck
from bayesridge.plots.inputs import expect
from bayesridge.plots.layout import (
    AxesArray,
    describe,
    font_points,
    legend_below,
    panels,
    plain,
    settle,
    shorten,
    spread,
    whole_numbers,
)
from bayesridge.plots.look import BLUE, GREY, LINES, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_BESIDE = 7.0  # points from the middle of a marker to its name


#: Where the absolute value of a standard normal number lies with 95% probability, equal tails.
_HALF_NORMAL = ndtri([0.5125, 0.9875])


def spectral_check(check: SpectralCheck, *, axes: Any = None) -> AxesArray:
    """Draw a QQ plot of the standardised directions, and their sizes beside those the model expects (Picard plot).

    What to see: points inside the band, and squares scattered around the line at all directions alike. Few large
    directions among many small ones speak for a sparse prior; a trend against the line for another scaling of columns.

    Parameters
    ----------
    check : SpectralCheck
        From :func:`bayesridge.spectral_check`.
    axes : array_like of 2 Axes, optional

    Returns
    -------
    ndarray of 2 Axes
        QQ and Picard plot. The band of the QQ plot is pointwise (95% of simulated data at each rank); the verdict is
        that of the tests, in the title.
    """
    import matplotlib.pyplot as plt

    expect(check, "SpectralCheck")
    wide = axes is not None or plt.rcParams["figure.figsize"][0] >= 5.5
    left, right = panels(axes, (1, 2) if wide else (2, 1), 4.4 if wide else 6.6)
    _draw_qq(left, check)
    _draw_picard(right, check)
    return np.array([left, right], dtype=object)


def _draw_qq(ax: Axes, check: SpectralCheck) -> None:
    m = len(check.standardized)
    # plotting positions of Blom (1958), close to the expected order statistics of a normal sample
    x = np.asarray(ndtri((np.arange(1, m + 1) - 0.375) / (m + 0.25)))
    order = np.argsort(check.standardized, kind="stable")
    u = check.standardized[order]
    band = ax.fill_between(x, check.band[:, 0], check.band[:, 1], color=GREY, alpha=0.25, lw=0)
    line = ax.plot(x, x, color=ax.xaxis.label.get_color(), lw=0.8)[0]
    points = ax.plot(x, u, ls="", marker="o", ms=4.5, color=BLUE)[0]
    odd = np.isin(order, check.outliers)
    handles, labels = [points, line, band], ["directions", "as expected", "95% pointwise band (simulated)"]
    if odd.any():
        handles += ax.plot(x[odd], u[odd], ls="", marker="D", ms=6, color=VERMILION)
        labels.append("larger than the prior allows")
        _name_outliers(ax, check, x[odd], u[odd], order[odd])
    smallest = min(test.p_adjusted for test in check.tests)
    result = "consistent" if check.passed else "departs"
    describe(ax, title=f"QQ plot: {result} (adjusted\u00a0p\u00a0{smallest:.2g})",
             x="standard normal quantile", y="standardised direction u")  # fmt: skip
    legend_below(ax, handles, labels)


def _name_outliers(ax: Axes, check: SpectralCheck, x: Array, u: Array, directions: NDArray[np.intp]) -> None:
    """Name the column with the largest share of each outlying direction (the five largest are named)."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    ax.margins(x=0.25)
    size = font_points("small")
    keep = np.argsort(-np.abs(u), kind="stable")[:5]
    gap = 1.2 * size / (72.0 * settle(ax)[1]) * np.ptp(ax.get_ylim())
    places = spread(u[keep], gap, *ax.get_ylim())
    for k, height in zip(keep, places, strict=True):
        name = check.columns[check.outliers.index(int(directions[k]))][0][0]
        side = -1 if x[k] > 0 else 1
        beside = ScaledTranslation(side * _BESIDE / 72.0, 0.0, figure.dpi_scale_trans)
        ax.text(
            float(x[k]), height, f"{int(directions[k]) + 1}: {plain(shorten(name, 14))}", fontsize=size,
            ha="right" if side < 0 else "left", va="center", transform=ax.transData + beside,
        )  # fmt: skip


def _draw_picard(ax: Axes, check: SpectralCheck) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    m = len(check.s)
    x = np.arange(1, m + 1)
    middle = check.expected[:, 1]
    low, high = _HALF_NORMAL[:, None] * middle
    # a direction that is exactly zero has no place on a log axis: it is drawn at the lower edge, and said
    size = np.abs(check.z)
    floor = 0.5 * min(float(size[size > 0].min(initial=np.inf)), float(low.min()))
    zero = size == 0
    band = ax.fill_between(x, low, high, color=GREY, alpha=0.3, lw=0)
    line = ax.plot(x, middle, color=VERMILION, lw=1.5, ls=LINES[1])[0]
    points = ax.plot(x, np.where(zero, floor, size), ls="", marker="s", ms=4.0 if m <= 60 else 2.5, color=BLUE)[0]
    handles, labels = (
        [points, line, band],
        ["size |z| seen", "expected sd, posterior median", "where 95% of |z| lie at that sd"],
    )
    if len(check.outliers):
        odd = np.array(check.outliers)
        ax.plot(odd + 1, size[odd], ls="", marker="D", ms=6, color=VERMILION)
    if zero.any():
        handles += ax.plot(x[zero], np.full(zero.sum(), floor), ls="", marker="v", color=BLUE)
        labels.append("zero (below the axis)")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if np.log10(high.max() / floor) > 2 else (1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    whole_numbers(ax)
    describe(ax, title="Picard plot", x="singular direction (largest variance first)", y="|z| (units of the target)")
    legend_below(ax, handles, labels)
