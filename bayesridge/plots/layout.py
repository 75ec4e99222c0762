"""Axes, texts and legends that stay inside the figure and off each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

Array = NDArray[np.float64]
AxesArray = NDArray[np.object_]

_SPACE = 0.34  # width of a space, in units of the font's size


def one_axes(ax: Axes | None, height: float) -> Axes:
    """Return the given axes, or those of a new figure of this height (inches) and the width of rcParams."""
    return ax if ax is not None else panels(None, (1, 1), height)[0]


def panels(axes: Any, shape: tuple[int, int], height: float, **options: Any) -> AxesArray:
    """Return given axes as a flat array, or those of a new figure with constrained layout.

    Parameters
    ----------
    axes : array_like of Axes or None
    shape : tuple of int
        Rows and columns.
    height : float
        Of a new figure, inches; its width is that of rcParams.
    **options
        For ``plt.subplots``.

    Raises
    ------
    DataError
        If there are not as many axes as panels.
    """
    wanted = shape[0] * shape[1]
    if axes is None:
        import matplotlib.pyplot as plt
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        width = float(plt.rcParams["figure.figsize"][0])
        figure, made = plt.subplots(*shape, figsize=(width, height), layout="constrained", squeeze=False, **options)
        engine = figure.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            engine.set(w_pad=0.07, h_pad=0.07)  # inches: text keeps off the edge
        return np.asarray(made, dtype=object).ravel()
    given = np.asarray(axes, dtype=object).ravel()
    if len(given) != wanted:
        raise DataError(f"this plot has {wanted} panels and needs as many axes, got {len(given)}")
    return given


_NARROW = 5.0  # inches: below, two small panels a row


def small_panels(axes: Any, count: int, height: float, **options: Any) -> AxesArray:
    """Return `count` axes: those given, or three a row (two, where it is narrow), each row of this height."""
    if axes is not None:
        return panels(axes, (1, count), 1.0)
    import matplotlib.pyplot as plt

    across = min(count, 2 if float(plt.rcParams["figure.figsize"][0]) < _NARROW else 3)
    down = -(-count // across)
    made = panels(None, (down, across), 1.2 + height * down, **options)
    for spare in made[count:]:
        spare.remove()
    if options.get("sharex"):  # the lowest of each column has the labels
        for ax in made[max(0, count - across) : count]:
            ax.tick_params(labelbottom=True)
    return made[:count]


def describe_all(ax: Axes, *, title: str, x: str = "", y: str = "") -> None:
    """Set title and labels of a whole figure of small panels, broken into lines that fit."""
    figure, size = figure_of(ax), font_points("medium")
    wide, high = (float(side) - 0.3 for side in figure.get_size_inches())
    figure.suptitle(wrap(plain(title), wide, size), x=0.02, ha="left", fontsize=size)
    if x:
        figure.supxlabel(wrap(plain(x), wide, size), fontsize=size)
    if y:
        figure.supylabel(wrap(plain(y), 0.8 * high, size), fontsize=size)


def figure_of(ax: Axes) -> Figure:
    """Return the whole figure, where axes may sit in a part of it."""
    from matplotlib.figure import Figure

    figure = ax.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise DataError("these axes belong to no figure: pass axes made by plt.subplots")
    return figure


def settle(ax: Axes) -> Array:
    """Lay the figure out and return width and height of the axes in inches."""
    figure = figure_of(ax)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    box = ax.get_window_extent()
    return np.array([box.width, box.height]) / figure.dpi


def font_points(size: str | float) -> float:
    """Return a font size in points."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=size).get_size_in_points())


def letters_wide(text: str, points: float) -> float:
    """Width of a text in inches, as the default font draws it (the sum of its words)."""
    import matplotlib as mpl

    fonts = (*mpl.rcParams["font.family"], *mpl.rcParams["font.sans-serif"])
    words = text.split(" ")
    return points / 72.0 * (sum(_word_width(word, fonts) for word in words) + _SPACE * (len(words) - 1))


@lru_cache(maxsize=4096)
def _word_width(word: str, fonts: tuple[str, ...]) -> float:  # noqa: ARG001 -- the default font decides
    """Width of a word in units of the font's size."""
    from matplotlib.textpath import TextPath

    if not word.strip():
        return 0.0
    # a sign of dollars would be read as mathematics; hinting makes letters a little wider than their outlines, whose
    # control points stand at the ends of a letter (get_extents, which looks at every curve, takes 20 ms a word)
    outline = TextPath((0.0, 0.0), word.replace("$", "S"), size=10.0).vertices
    return 1.04 * float(outline[:, 0].max(initial=0.0)) / 10.0


def wrap(text: str, inches: float, size: str | float) -> str:
    """Break a text at spaces into lines that fit a length (a longer word stays whole)."""
    points = font_points(size)
    lines: list[str] = []
    for part in text.split("\n"):
        line = ""
        for word in part.split(" "):
            longer = f"{line} {word}" if line else word
            if line and letters_wide(longer, points) > inches:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "\n".join(lines)


def shorten(name: str, letters: int = 18) -> str:
    """Cut the middle out of a long name."""
    keep = letters - 1
    return name if len(name) <= letters else f"{name[: keep - keep // 2]}…{name[-(keep // 2) :]}"


def describe(ax: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Set title (left) and axis labels, broken into lines that fit.

    A sign of dollars is shown as such: names of columns are no formulas.
    """
    import matplotlib.pyplot as plt

    box, size = ax.get_position(), figure_of(ax).get_size_inches()
    width, height = float(box.width * size[0]), float(box.height * size[1])
    if title:
        ax.set_title(wrap(plain(title), 0.97 * width, plt.rcParams["axes.titlesize"]), loc="left")
    label = plt.rcParams["axes.labelsize"]
    if x:
        ax.set_xlabel(wrap(plain(x), width, label))
    if y:
        ax.set_ylabel(wrap(plain(y), max(height, 1.05), label))


def plain(text: str) -> str:
    """Escape what matplotlib would read as mathematics."""
    return text.replace("$", r"\$")


def legend_below(
    ax: Axes, handles: Sequence[Any], labels: Sequence[str], *, whole: bool = False, lines: int = 0
) -> Legend | None:
    """Put a legend under the axes, below the label of the x axis, in as many columns as fit.

    With `whole` it starts at the left edge of the figure, under the names beside the axes, and may be as wide. It stays
    clear of a label of `lines` lines (of a neighbour), and of its own.
    """
    if not handles:
        return None
    import matplotlib.pyplot as plt
    from matplotlib.transforms import ScaledTranslation, Transform, blended_transform_factory

    figure = figure_of(ax)
    size = font_points(plt.rcParams["legend.fontsize"])
    width = float(figure.get_size_inches()[0])
    inches = width - 0.12 if whole else float(ax.get_position().width * width)
    shown = [wrap(plain(label), inches - 4.0 * size / 72.0, size) for label in labels]
    # handle, its gap and the gap between columns: 4.4 letters' heights
    entry = max(letters_wide(line, size) for label in shown for line in label.split("\n")) + 4.4 * size / 72.0
    columns = int(np.clip((inches + 1.4 * size / 72.0) / entry, 1, len(handles)))
    lines = max(lines, ax.get_xlabel().count("\n") + 1 if ax.get_xlabel() else 0)
    # tick, its label, the label of the axis, and the gaps between them
    ticks, label = font_points(plt.rcParams["xtick.labelsize"]), font_points(plt.rcParams["axes.labelsize"])
    down = 16.0 + 1.2 * ticks + 1.3 * lines * label
    below: Transform = ax.transAxes + ScaledTranslation(0.0, -down / 72.0, figure.dpi_scale_trans)
    if whole:
        below = blended_transform_factory(figure.transFigure, below)
    return ax.legend(
        handles, shown, loc="upper left", bbox_to_anchor=(0.06 / width if whole else 0.0, 0.0), bbox_transform=below,
        frameon=False, ncols=columns, borderaxespad=0.0, borderpad=0.0, handlelength=2.2, columnspacing=1.4,
    )  # fmt: skip


def spread(values: Array, gap: float, low: float, high: float) -> Array:
    """Move positions as little as possible (least squares) so that neighbours are at least `gap` apart.

    Sorted, less ``k gap``, and made monotone: isotonic regression solves it. Where they do not all fit between `low`
    and `high` the gap shrinks to what there is.
    """
    from scipy.optimize import isotonic_regression

    n = len(values)
    if n < 2:
        return np.clip(values, low, high)
    gap = min(gap, (high - low) / (n - 1))
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(n)
    moved = np.clip(isotonic_regression(values[order] - steps).x, low, high - steps[-1]) + steps
    out = np.empty(n)
    out[order] = moved
    return out


def whole_numbers(ax: Axes) -> None:
    """Put the ticks of the x axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
