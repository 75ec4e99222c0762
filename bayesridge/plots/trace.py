"""Ridge trace: what the penalty does to each coefficient, and how plausible each penalty is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.linalg.filters import ridge_path
from bayesridge.plots.chosen import draw_choices, group_choices
from bayesridge.plots.expect import expect
from bayesridge.plots.lambda_axis import LABEL, lambda_grid, log_axis, shade_interval, state_of_lambda
from bayesridge.plots.layout import (
    AxesArray,
    describe,
    font_points,
    letters_wide,
    panels,
    plain,
    settle,
    shorten,
    spread,
)
from bayesridge.plots.look import BLUE, GREY, line_look
from bayesridge.plots.names import Shown, choose_columns, column_sd, target_unit
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level
from bayesridge.rules.comparison import LambdaComparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_MOST_THIN = 500
_BLOCK_VALUES = 1 << 22


def ridge_trace(
    post: Posterior,
    comparison: LambdaComparison | None = None,
    *,
    axes: Any = None,
    columns: int = 12,
    level: float = 0.95,
) -> AxesArray:
    """Draw the coefficients over log lambda, and the posterior density of lambda along the same axis.

    What to see: where lambda is plausible (shaded), do the coefficients still move? Lines that cross zero or each other
    inside the shade are not determined by these data; rules that choose outside it shrink too little or too much.

    Parameters
    ----------
    post : Posterior
    comparison : LambdaComparison, optional
        Marks each rule's choice in a panel of its own, rules that nearly agree in one line.
    axes : array_like of 2 or 3 Axes, optional
        Trace, (choices,) density; they should share x.
    columns : int
        How many columns to name: those with the largest ``|posterior mean / sd|``. The others are thin grey lines.
    level : float
        Of the equal-tailed interval of lambda.

    Returns
    -------
    ndarray of Axes
        Trace and density; with a comparison: trace, choices, density.
    """
    expect(post, Posterior)
    check_level(level)
    if comparison is not None:
        expect(comparison, LambdaComparison)
    groups = group_choices(comparison) if comparison is not None else []
    rows = 3 if comparison is not None else 2
    strip = 0.19 * (len(groups) + 1)
    heights = [3.0, strip, 0.9] if rows == 3 else [3.0, 0.9]
    drawn = panels(axes, (rows, 1), sum(heights) + 0.9, sharex=True, height_ratios=heights)
    chosen = np.array([lam for group in groups for lam in (group.low, group.high)])
    grid = lambda_grid(post, include=chosen)
    for ax in drawn:
        shade_interval(ax, post, level)
    _draw_density(drawn[-1], post, grid, level)
    _draw_lines(drawn[0], post, grid, columns)
    if comparison is not None:
        draw_choices(drawn[1], groups, (grid[0], grid[-1]))
    return drawn


def _draw_density(ax: Axes, post: Posterior, grid: Array, level: float) -> None:
    lam = post.lambda_
    if not lam.known:
        density = np.exp(lam.log_pdf_log(np.log(grid))) * np.log(10.0)  # per decade
        ax.fill_between(grid, density, color=BLUE, alpha=0.6, lw=0)
        ax.set_ylim(0.0, 1.08 * float(density.max()))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    describe(ax, x=f"{LABEL}\n{state_of_lambda(post, level)}", y="density of λ")
    ax.yaxis.label.set_fontsize("small")


def _draw_lines(ax: Axes, post: Posterior, grid: Array, columns: int) -> None:
    design = post.design
    shown = choose_columns(post, columns)
    others = _others(post, shown.columns)
    drawn = np.concatenate([shown.columns, others.columns])
    path = _paths(post, grid, drawn)
    if len(others.columns):
        ax.plot(grid, path[:, len(shown.columns) :], color=GREY, lw=0.5, alpha=0.45, zorder=1)
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
    flat = set(design.unpenalized.tolist())
    lines = [
        ax.plot(grid, path[:, k], lw=1.6, label=plain(design.names[j]), **line_look(k))[0]
        for k, j in enumerate(shown.columns)
    ]
    log_axis(ax, grid[0], grid[-1])
    notes = [f"{shown.note} named{others.note}"] if len(others.columns) else []
    notes += ["* not penalised"] if flat & set(shown.columns.tolist()) else []
    note = f" ({'; '.join(notes)})" if notes else ""
    describe(ax, title=f"Ridge trace{note}", y=f"coefficient ({target_unit(design)})")
    names = [shorten(design.names[j]) + ("*" if j in flat else "") for j in shown.columns]
    _name_lines(ax, lines, names, grid)


def _others(post: Posterior, named: NDArray[np.intp]) -> Shown:
    """Columns for thin lines: all that are left, or the largest of very many."""
    design = post.design
    left = np.setdiff1d(np.arange(len(design.names)), [*named, *design.constant])
    if len(left) <= _MOST_THIN:
        return Shown(left, "")
    size = np.abs(post.coefficients.mean[left] * column_sd(design)[left])
    return Shown(left[np.argsort(-size, kind="stable")[:_MOST_THIN]], f", the next {_MOST_THIN} thin")


def _paths(post: Posterior, grid: Array, columns: NDArray[np.intp]) -> Array:
    """Coefficients per sd of some columns, shape (len(grid), len(columns)), few lambdas at a time."""
    design = post.design
    size = max(1, _BLOCK_VALUES // len(design.names))
    parts = [ridge_path(design, post.spectrum, grid[k : k + size]).coef[:, columns] for k in range(0, len(grid), size)]
    return np.asarray(np.concatenate(parts) * column_sd(design)[columns])


def _name_lines(ax: Axes, lines: list[Any], names: list[str], grid: Array) -> None:
    """Write each name left of its line's start, moved apart where they would overlap."""
    size = font_points("small")
    width, height = settle(ax) * 72.0
    longest = 72.0 * max((letters_wide(name, size) for name in names), default=0.0)
    share = min((longest + 24.0) / width, 0.5)
    decades = np.log(grid[-1] / grid[0]) / (1.0 - share)
    ax.set_xlim(grid[-1] * np.exp(-decades), grid[-1])
    low, high = ax.get_ylim()
    gap, edge = 1.15 * size / height, 0.6 * size / height
    start = np.array([(line.get_ydata()[0] - low) / (high - low) for line in lines])
    for line, name, at, moved in zip(lines, names, start, spread(start, gap, edge, 1.0 - edge), strict=True):
        x = share - 18.0 / width
        ax.plot([x + 3.0 / width, share], [moved, at], transform=ax.transAxes, color=line.get_color(), lw=0.6)
        ax.text(x, moved, plain(name), transform=ax.transAxes, ha="right", va="center", fontsize=size,
                color=line.get_color())  # fmt: skip
