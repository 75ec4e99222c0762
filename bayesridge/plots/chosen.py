"""The choices of many rules on one axis of lambda, those that nearly agree in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesridge.plots.lambda_axis import number
from bayesridge.plots.layout import font_points, plain, settle, wrap
from bayesridge.plots.look import BLUE, VERMILION
from bayesridge.rules.comparison import LambdaComparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Rules closer than this in log10 lambda share a line.
NEAR = 0.12
_MOST_NAMES = 3


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


def group_choices(comparison: LambdaComparison, near: float = NEAR) -> list[ChoiceGroup]:
    """Group the choices of a comparison, by increasing lambda; no group spans more than `near` decades."""
    rows = sorted((row for row in comparison.rows if row.key in comparison.choices), key=lambda row: row.lam)
    groups: list[ChoiceGroup] = []
    for row in rows:
        last = groups[-1] if groups else None
        if last is not None and _together(last.low, row.lam, near):
            groups[-1] = ChoiceGroup(last.low, row.lam, (*last.labels, row.label))
        else:
            groups.append(ChoiceGroup(row.lam, row.lam, (row.label,)))
    return groups


def _together(first: float, second: float, near: float) -> bool:
    if first == second:
        return True
    return first > 0.0 and second < np.inf and bool(np.log10(second / first) <= near)


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
