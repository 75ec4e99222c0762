"""Forest of the rules for lambda: what each chooses, how sure it is, what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.plots.inputs import expect
from bayesridge.plots.lambda_axis import axis_label, log_axis
from bayesridge.plots.layout import AxesArray, describe, font_points, legend_below, panels, plain, settle, shorten
from bayesridge.plots.look import COLORS, GREY, LINES, MARKERS
from bayesridge.rules.comparison import LambdaComparison
from bayesridge.rules.table import Row, interval_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_NONE = "no interval of its own"


def rules(comparison: LambdaComparison, *, axes: Any = None) -> AxesArray:
    """Draw each rule's lambda with its interval, and beside it what that lambda costs in prediction.

    What to see: do the intervals overlap, and is any rule's predictive density worse than the best by more than its
    paired standard error? If not, the rules agree as far as these data can tell.

    Parameters
    ----------
    comparison : LambdaComparison
        From :func:`bayesridge.compare_lambda`.
    axes : array_like of 2 Axes, optional
        Lambda and cost; they should share y.

    Returns
    -------
    ndarray of 2 Axes
        Rules by increasing lambda, the full posterior first; rules without an answer last, and said so. The kind of
        each interval is named in the legend. Choices of 0 or infinity stand at the edge as arrows.
    """
    expect(comparison, "LambdaComparison")
    rows = _ordered(comparison)
    left, right = panels(axes, (1, 2), 1.9 + 0.2 * len(rows), sharey=True, width_ratios=[1.7, 1.0])
    y = np.arange(len(rows), dtype=np.float64)
    low, high = _range(rows)
    left.set_xscale("log")
    handles, labels = _draw_choices(left, rows, low, high)
    _draw_costs(right, rows, y)
    left.set_yticks(y, [plain(shorten(row.label, 34)) for row in rows], fontsize="x-small")
    left.set_ylim(len(rows) - 0.4, -0.6)
    right.tick_params(axis="y", left=False, labelleft=False)
    for k, row in enumerate(rows):
        if not row.available:
            left.text(0.5, k, "no answer", transform=left.get_yaxis_transform(), ha="center",
                      va="center_baseline", fontsize="x-small", color=GREY)  # fmt: skip
    settle(left)  # names and panels take their places: what is left is the room for labels
    log_axis(left, low, high)
    describe(left, x=axis_label(comparison.problem.posterior))
    describe(right, x="LOO elpd below the best, ± 1 paired se (nats)")
    legend_below(left, handles, labels, whole=axes is None, lines=right.get_xlabel().count("\n") + 1)
    return np.array([left, right], dtype=object)


def _ordered(comparison: LambdaComparison) -> list[Row]:
    first = [row for row in comparison.rows if row.place == "integrated"]
    chosen = [row for row in comparison.rows if row.available and row.place != "integrated"]
    without = [row for row in comparison.rows if not row.available]
    return [*first, *sorted(chosen, key=lambda row: row.lam), *without]


def _range(rows: list[Row]) -> tuple[float, float]:
    lams = np.array([row.lam for row in rows if 0.0 < row.lam < np.inf] or [1.0])
    middle = float(np.exp(np.median(np.log(lams))))
    ends = [end for row in rows if row.interval for end in row.interval[:2]]
    seen = np.array([*lams, *[end for end in ends if middle * 1e-4 < end < middle * 1e4]])
    return float(seen.min()) / 2.0, float(seen.max()) * 2.0


def _draw_choices(ax: Axes, rows: list[Row], low: float, high: float) -> tuple[list[Any], list[str]]:
    kinds = list(dict.fromkeys(_kind(row) for row in rows if row.available))
    kinds.sort(key=lambda kind: kind == _NONE)
    handles = []
    for k, kind in enumerate(kinds):
        color = GREY if kind == _NONE else COLORS[k % len(COLORS)]
        marker, dash = ("|" if kind == _NONE else MARKERS[k % len(MARKERS)]), LINES[k % len(LINES)]
        look: dict[str, Any] = {"color": color, "marker": marker, "ms": 9.0 if kind == _NONE else 5.0}
        for at, row in enumerate(rows):
            if row.available and _kind(row) == kind:
                _draw_row(ax, at, row, (low, high), look, dash)
        handles += ax.plot([], [], ls="" if kind == _NONE else dash, lw=1.6, **look)
    return handles, kinds


def _draw_row(ax: Axes, at: int, row: Row, span: tuple[float, float], look: dict[str, Any], dash: Any) -> None:
    low, high = span
    if row.interval is not None:
        ends = np.clip(row.interval[:2], low, high)
        ax.plot(ends, [at, at], color=look["color"], lw=1.6, ls=dash)
        for end, edge, marker in ((row.interval.lower, low, "<"), (row.interval.upper, high, ">")):
            if (edge == low and end < low) or (edge == high and end > high):
                ax.plot(edge, at, marker=marker, color=look["color"], ms=4, ls="", clip_on=False)
    if np.isnan(row.lam):
        return
    if low <= row.lam <= high:
        ax.plot(row.lam, at, ls="", **look)
        return
    edge, marker = (low, "<") if row.lam < low else (high, ">")
    ax.plot(edge, at, ls="", marker=marker, color=look["color"], ms=7, clip_on=False)
    text = "0" if row.lam == 0 else ("∞" if np.isinf(row.lam) else f"{row.lam:.1g}")
    ax.annotate(
        f"λ = {text}", (edge, at), xytext=(9 if marker == "<" else -9, 0), textcoords="offset points",
        ha="left" if marker == "<" else "right", va="center_baseline", fontsize=font_points("x-small"),
    )  # fmt: skip


def _kind(row: Row) -> str:
    return interval_name(row.interval) or _NONE


def _draw_costs(ax: Axes, rows: list[Row], y: Array) -> None:
    cost = np.array([row.elpd_diff for row in rows])
    se = np.array([row.elpd_diff_se for row in rows])
    seen = np.isfinite(cost)
    ax.axvline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
    ax.errorbar(cost[seen], y[seen], xerr=np.where(np.isfinite(se), se, 0.0)[seen], ls="", marker="o", ms=4,
                color=COLORS[0], elinewidth=1.3)  # fmt: skip
