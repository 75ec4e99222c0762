"""Coefficient paths with credible bands: what would be known of each coefficient if lambda were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.fit import one_lambda
from bayesridge.plots.forest import some_coefficients
from bayesridge.plots.inputs import choose_columns, column_sd, expect, target
from bayesridge.plots.lambda_axis import lambda_grid, log_axis, percent, shade_interval
from bayesridge.plots.layout import AxesArray, describe, describe_all, shorten, small_panels
from bayesridge.plots.look import BLUE, LINES, VERMILION
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.posteriors.quantity import check_level
from bayesridge.priors import FixedLambda

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_POINTS = 25


def coefficient_paths(post: Posterior, *, axes: Any = None, columns: int = 6, level: float = 0.95) -> AxesArray:
    """Draw coefficients over lambda with the interval each would have if lambda were known, and the one it has.

    What to see: inside the shade, does the band move by more than it is wide? Then not knowing lambda is what makes the
    coefficient uncertain, and the interval at the right edge, which averages over lambda, is wider than the band.

    Parameters
    ----------
    post : Posterior
        With one lambda.
    axes : array_like of Axes, optional
        One for each column; they should share x.
    columns : int
        At most so many, those with the largest ``|posterior mean / sd|``.
    level : float
        Of all intervals, equal-tailed.

    Returns
    -------
    ndarray of Axes
        Coefficients of standardised columns, in units of the target. Bands integrate the noise sd at each lambda.
    """
    expect(post, "Posterior")
    check_level(level)
    post = one_lambda(post)
    if columns < 1:
        raise DataError(f"columns must be 1 or more, got {columns}")
    shown = choose_columns(post, columns)
    j = shown.columns
    if not len(j):
        raise DataError("no column has any spread: there is no path to draw")
    drawn = small_panels(axes, len(j), 1.7, sharex=True)
    grid = lambda_grid(post, _POINTS)
    scale = column_sd(post.design)[j]
    noise: Any = post.prior.with_noise(post.noise_prior)[1]
    given = [some_coefficients(infer(post.design, post.spectrum, FixedLambda(lam), noise), j) for lam in grid]
    mean = np.array([one.mean for one in given]) * scale
    ends = np.array([one.interval(level) for one in given]) * scale[:, None]
    own = some_coefficients(post, j)
    flat = set(post.design.flat_columns.tolist())
    for k, ax in enumerate(drawn):
        shade_interval(ax, post, level)
        ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
        ax.fill_between(grid, *ends[:, k].T, color=VERMILION, alpha=0.28, lw=0)
        ax.plot(grid, mean[:, k], color=VERMILION, lw=1.6, ls=LINES[1])
        _own(ax, grid, own.mean[k] * scale[k], own.interval(level)[k] * scale[k])
        name = shorten(post.design.names[j[k]], 16) + (" (not penalised)" if j[k] in flat else "")
        describe(ax, title=name)
    if axes is None:
        _label(drawn[0], post, shown.note, level)
    return drawn


def _own(ax: Axes, grid: Array, mean: float, ends: Array) -> None:
    """Draw the posterior itself to the right of the paths."""
    decades = np.log10(grid[-1] / grid[0])
    at = grid[-1] * 10.0 ** (0.05 * decades)
    log_axis(ax, grid[0], grid[-1] * 10.0 ** (0.1 * decades))
    ax.vlines(at, *ends, color=BLUE, lw=3.0)
    ax.plot(at, mean, color=BLUE, marker="o", ms=5)


def _label(ax: Axes, post: Posterior, note: str, level: float) -> None:
    """Say in the figure's own title and labels what all panels share."""
    level_ = percent(level)
    title = (
        f"Coefficient at each λ with {level_} ETI (dashed, band), and with λ integrated (blue, right edge)"
        if not post.lambda_.known
        else f"Coefficient at each λ with {level_} ETI (dashed, band), and at λ as it is (blue, right edge)"
    )
    title += f"; {note}" if note else ""
    shade = "" if post.lambda_.known else f"; shaded: {level_} ETI of λ"
    unit = f"{target(post.design)} per sd of the column"
    describe_all(ax, title=title, x=f"penalty λ (log scale){shade}", y=unit)
