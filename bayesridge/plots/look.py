"""Colours that can be read on light and on dark ground, line styles beside them, and a style for either."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

from bayesridge.errors import DataError

# Okabe and Ito's colours for all kinds of colour vision, sky blue and orange darkened: contrast of at least 3 to 1 to
# white and to #131416, which is what graphics need to be seen (WCAG 2.1, 1.4.11).
BLUE, VERMILION, GREEN, PURPLE, AMBER = "#1f83c4", "#d55e00", "#009e73", "#c972a3", "#c98500"
GREY = "#858585"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, AMBER)
#: Never colour alone: lines differ in style, points in marker.
LINES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1.2, 1.4)), (0, (6, 2, 1.2, 2)))
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "*")

_INK = {"light": "#222222", "dark": "#e6e6e6"}
_GROUND = {"light": "#ffffff", "dark": "#131416"}


def line_look(k: int) -> dict[str, Any]:
    """Colour and line style of the k-th line: five and four, so that twenty pairs come before one comes back."""
    return {"color": COLORS[k % len(COLORS)], "linestyle": LINES[k % len(LINES)]}


def style(theme: Literal["light", "dark"] = "light", *, font_size: float = 10.0) -> AbstractContextManager[None]:
    """Set text, frames and ground for light or dark pages, inside a ``with`` block.

    Parameters
    ----------
    theme : {"light", "dark"}
    font_size : float
        In points; 10 suits figures of 6 inches, 8 those of one column.

    Returns
    -------
    context manager
        rcParams are as before when it ends.

    Raises
    ------
    DataError
        If the theme is neither.
    """
    if theme not in _INK:
        raise DataError(f"theme must be 'light' or 'dark', got {theme!r}")
    import matplotlib as mpl

    ink, ground = _INK[theme], _GROUND[theme]
    colors = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ink)
    grounds = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), ground)
    settings: dict[Any, Any] = {
        **colors, **grounds, "font.size": font_size, "axes.titlesize": "medium", "legend.fontsize": "small",
        "xtick.labelsize": "small", "ytick.labelsize": "small", "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    return mpl.rc_context(settings)
