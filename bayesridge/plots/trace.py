"""Ridge trace: what the penalty does to each coefficient, and how plausible each penalty is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from bayesridge.linalg.filters import ridge_path
from bayesridge.plots.inputs import Shown, choose_columns, column_sd, expect, target_unit
from bayesridge.plots.lambda_axis import axis_label, lambda_grid, log_axis, number, shade_interval, state_of_lambda
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
    wrap,
)
from bayesridge.plots.look import BLUE, GREY, VERMILION, line_look
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level
from bayesridge.rules.comparison import LambdaComparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_MOST_THIN = 500
_BLOCK_VALUES = 1 << 22
#: Rules closer than this in log10 lambda share a line.
NEAR = 0.12
_MOST_NAMES = 3


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
    expect(post, "Posterior")
    check_level(level)
    if comparison is not None:
        expect(comparison, "LambdaComparison")
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
    name = axis_label(post)
    describe(ax, x=f"{name}\n{state_of_lambda(post, level)}", y="density of λ")
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
    flat = set(design.flat_columns.tolist())
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


def _paths(post: Any, grid: Array, columns: NDArray[np.intp]) -> Array:
    """Coefficients per sd of some columns, shape (len(grid), len(columns)), few lambdas at a time."""
    design = post.design
    if post.has_curves:
        curves = post.curves
        return np.asarray(CubicSpline(curves.t, curves.coef[:, columns])(np.log(grid)) * column_sd(design)[columns])
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


# -- choices of rules -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChoiceGroup:
    """Rules that choose nearly the same lambda.

    Attributes
    ----------
    low, high : float
        Smallest and largest of their lambdas (0 and infinity at the ends).
    labels : tuple of str
    """

    low: float
    high: float
    labels: tuple[str, ...]

    @property
    def text(self) -> str:
        """Names, the first three and how many more."""
        more = f" + {len(self.labels) - _MOST_NAMES} more" if len(self.labels) > _MOST_NAMES else ""
        where = f"λ = {number(self.low)}: " if self.low in (0.0, np.inf) else ""
        return where + ", ".join(self.labels[:_MOST_NAMES]) + more


def group_choices(comparison: LambdaComparison) -> list[ChoiceGroup]:
    """Group the choices of a comparison, by increasing lambda; no group spans more than `NEAR` decades."""
    rows = sorted((row for row in comparison.rows if row.key in comparison.choices), key=lambda row: row.lam)
    groups: list[ChoiceGroup] = []
    for row in rows:
        last = groups[-1] if groups else None
        if last is not None and _together(last.low, row.lam):
            groups[-1] = ChoiceGroup(last.low, row.lam, (*last.labels, row.label))
        else:
            groups.append(ChoiceGroup(row.lam, row.lam, (row.label,)))
    return groups


def _together(first: float, second: float) -> bool:
    if first == second:
        return True
    return first > 0.0 and second < np.inf and bool(np.log10(second / first) <= NEAR)


def draw_choices(ax: Axes, groups: list[ChoiceGroup], span: tuple[float, float]) -> None:
    """Draw a line for each group, its names on the side where there is room."""
    size = font_points("x-small")
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_yticks([])
    for side in ("left", "right"):
        ax.spines[side].set_visible(False)
    ax.set_ylabel("choices\nof rules", fontsize="small")
    width = settle(ax)[0]
    left, right = np.log(ax.get_xlim())
    for k, group in enumerate(groups):
        low, high = (float(np.clip(lam, *span)) for lam in (group.low, group.high))
        inside = span[0] <= group.low and group.high <= span[1]
        marker = "o" if inside else ("<" if group.low < span[0] else ">")
        color = BLUE if inside else VERMILION
        ax.plot([low, high], [k, k], color=color, lw=4.0, solid_capstyle="butt", alpha=0.6)
        ax.plot([low, high], [k, k], color=color, ls="", marker=marker, ms=4.0, clip_on=False)
        room = (right - np.log(high)) / (right - left), (np.log(low) - left) / (right - left)
        to_right = room[0] >= room[1]
        text = wrap(group.text, max(room) * width - 0.12, size)
        if "\n" in text:  # one line of its height: as many names as fit
            text = _fitting(group, max(room) * width - 0.12, size)
        ax.annotate(
            plain(text), (high if to_right else low, k), xytext=(7 if to_right else -7, 0), textcoords="offset points",
            ha="left" if to_right else "right", va="center_baseline", fontsize=size, annotation_clip=False,
        )  # fmt: skip


def _fitting(group: ChoiceGroup, inches: float, size: float) -> str:
    for shown in (2, 1):
        rest = len(group.labels) - shown
        text = ", ".join(group.labels[:shown]) + (f" + {rest} more" if rest > 0 else "")
        if "\n" not in wrap(text, inches, size):
            return text
    return text if len(group.labels) == 1 else f"{len(group.labels)} rules"
