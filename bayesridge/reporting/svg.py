"""Charts as plain SVG: axes, lines, areas, points. Colours come from classes, so that the page's theme decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.reporting.html import number, text

Array = NDArray[np.float64]

WIDTH, HEIGHT = 380, 252
LEFT, RIGHT, TOP, BOTTOM = 46, 368, 24, 208


@dataclass(frozen=True)
class Axis:
    """A linear map from values to pixels.

    Attributes
    ----------
    low, high : float
        Values at the ends (natural logarithms where ``log``).
    start, end : float
        Pixels there.
    log : bool
        Whether ticks are powers of ten of exp(value).
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: ArrayLike) -> Array:
        """Pixels."""
        v = np.asarray(value, dtype=np.float64)
        return np.asarray(self.start + (v - self.low) / (self.high - self.low) * (self.end - self.start))

    def inside(self, value: ArrayLike) -> Array:
        """Pixels, values beyond the ends put on them."""
        return self(np.clip(np.asarray(value, dtype=np.float64), self.low, self.high))

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Values and labels of round ticks."""
        return _decades(self.low, self.high, most) if self.log else _round(self.low, self.high, most)


def x_axis(low: float, high: float, *, log: bool = False) -> Axis:
    """Horizontal axis of a chart."""
    return Axis(low, high, LEFT, RIGHT, log)


def y_axis(low: float, high: float) -> Axis:
    """Vertical axis of a chart (pixels grow downwards)."""
    return Axis(low, high, BOTTOM, TOP)


def span(*values: ArrayLike, room: float = 0.06) -> tuple[float, float]:
    """Range of all finite values with some room around; never empty."""
    found = np.concatenate([np.ravel(np.asarray(v, dtype=np.float64)) for v in values])
    found = found[np.isfinite(found)]
    if not len(found):
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    spare = room * (high - low) if high > low else max(abs(high), 1.0) * 0.5
    return low - spare, high + spare


def _round(low: float, high: float, most: int) -> list[tuple[float, str]]:
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = next((m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9)), 10 * power)
    first = np.ceil(low / step - 1e-9)
    count = int(np.floor(high / step + 1e-9) - first) + 1
    return [(float((first + k) * step), number(float(f"{(first + k) * step:.12g}"))) for k in range(count)]


def _decades(low: float, high: float, most: int) -> list[tuple[float, str]]:
    ln10 = np.log(10.0)
    first, last = int(np.ceil(low / ln10 - 1e-9)), int(np.floor(high / ln10 + 1e-9))
    if last - first < 2:  # few decades: 1, 2, 5 as well
        values = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 5)]
        values = [v for v in values if low <= np.log(v) <= high]
        every = -(-len(values) // most) if values else 1
        return [(float(np.log(v)), number(v)) for v in values[::every]]
    every = -(-(last - first + 1) // most)
    made = []
    for k in range(first, last + 1, every):
        label = number(10.0**k) if -3 <= k <= 4 else f"10{_superscript(k)}"
        made.append((k * ln10, label))
    return made


def _superscript(k: int) -> str:
    return str(k).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


# -- marks ---------------------------------------------------------------------------------------------------------


def _points(x: ArrayLike, y: ArrayLike) -> list[str]:
    return [f"{a:.1f} {b:.1f}" for a, b in zip(np.ravel(np.asarray(x)), np.ravel(np.asarray(y)), strict=True)]


def line(x: ArrayLike, y: ArrayLike, kind: str) -> str:
    """Polyline through pixels; breaks where a value is not finite."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    parts, run = [], []
    for k in range(len(x) + 1):
        if k < len(x) and np.isfinite(x[k]) and np.isfinite(y[k]):
            run.append(k)
        elif run:
            parts.append("M" + "L".join(_points(x[run], y[run])))
            run = []
    return f'<path class="line {kind}" d="{"".join(parts)}"/>'


def area(x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> str:
    """Area between two curves."""
    there = _points(x, high)
    back = _points(np.asarray(x)[::-1], np.asarray(low)[::-1])
    return f'<path class="area {kind}" d="M{"L".join([*there, *back])}Z"/>'


def points(x: ArrayLike, y: ArrayLike, kind: str) -> str:
    """Dots as one path (round line ends of lines without length)."""
    return f'<path class="points {kind}" d="{"".join([f"M{xy}h0" for xy in _points(x, y)])}"/>'


def segments(x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> str:
    """Vertical lines."""
    made = [
        f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in zip(np.asarray(x), np.asarray(low), np.asarray(high), strict=True)
    ]
    return f'<path class="line {kind}" d="{"".join(made)}"/>'


def vertical(x: float, kind: str) -> str:
    """Vertical line over the whole height."""
    return f'<path class="line {kind}" d="M{x:.1f} {TOP}V{BOTTOM}"/>'


def cursor(x: Axis) -> str:
    """Line that follows the slider (placed by the page's script)."""
    return (
        f'<line class="cursor" x1="-9" x2="-9" y1="{TOP}" y2="{BOTTOM}" data-start="{x.start:g}" data-end="{x.end:g}"/>'
    )


def on_curve(x: Axis, y: Axis, value: str, kind: str) -> str:
    """Dot that follows the slider on a curve; `value` is the name of the number in the script's state."""
    return (
        f'<circle class="on-curve {kind}" cx="-9" cy="-9" r="4.5" data-value="{value}" data-start="{x.start:g}" '
        f'data-end="{x.end:g}" data-low="{y.low!r}" data-high="{y.high!r}" data-top="{TOP}" data-bottom="{BOTTOM}"/>'
    )


def label(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Text at a place."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(words)}</text>'


def chart(describe: str, x: Axis, y: Axis, x_name: str, y_name: str, body: list[str]) -> str:
    """Return a chart with grid, ticks and names of the axes around the marks in `body`.

    Parameters
    ----------
    describe : str
        What the picture shows, for those who do not see it.
    """
    parts = []
    for value, words in y.ticks(5):
        at = float(y(value))
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{RIGHT}"/>')
        parts.append(label(LEFT - 6, at + 3.5, words, "tick", "end"))
    for value, words in x.ticks():
        at = float(x(value))
        parts.append(f'<path class="tickmark" d="M{at:.1f} {BOTTOM}v4"/>')
        parts.append(label(at, BOTTOM + 16, words, "tick", "middle"))
    parts.append(f'<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>')
    parts += body
    parts.append(label(0.5 * (LEFT + RIGHT), HEIGHT - 8, x_name, "name", "middle"))
    parts.append(label(2, 11, y_name, "name"))
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(describe)}">'
        f"{''.join(parts)}</svg>"
    )


def figure(picture: str, caption: str, legend: str = "") -> str:
    """Wrap a picture with its caption (HTML) and a legend."""
    return f"<figure>{picture}{legend}<figcaption>{caption}</figcaption></figure>"


def legend(items: list[tuple[str, str]]) -> str:
    """Return a list of (class, name): short strokes in the line's colour and dashes."""
    made = [
        f'<li><svg class="key" viewBox="0 0 22 8" aria-hidden="true"><path class="line {kind}" d="M1 4H21"/></svg>'
        f"{text(name)}</li>"
        for kind, name in items
    ]
    return f'<ul class="legend">{"".join(made)}</ul>'


# -- pictures inside table rows ------------------------------------------------------------------------------------

STRIP_WIDTH, STRIP_HEIGHT = 180, 18


def strip(
    low: float, high: float, *, interval: tuple[float, float] | None, point: float | None, zero: float | None = None,
    band: tuple[float, float] | None = None, live: bool = False,
) -> str:  # fmt: skip
    """Return an interval and a point on a common scale, for a table cell; what lies beyond ends in an arrow."""
    axis = Axis(low, high, 6, STRIP_WIDTH - 6)
    middle, lower = (STRIP_HEIGHT / 2, 0.0) if not live else (5.0, 13.0)  # two lines where one of them is live
    parts = []
    if band is not None:
        a, b = axis.inside(band)
        parts.append(f'<rect class="strip-band" x="{a:.1f}" y="0" width="{max(b - a, 0.5):.1f}" height="18"/>')
    if zero is not None and low < zero < high:
        parts.append(f'<path class="zero" d="M{float(axis(zero)):.1f} 0V{STRIP_HEIGHT}"/>')
    if interval is not None and np.isfinite(interval).all():
        a, b = axis.inside(interval)
        parts.append(f'<path class="interval" d="M{a:.1f} {middle}H{b:.1f}"/>')
        parts += [
            f'<path class="arrow" d="M{end + side * 5:.1f} {middle}l{-side * 6} -4v8z"/>'
            for end, side, beyond in ((a, -1, interval[0] < low), (b, 1, interval[1] > high))
            if beyond
        ]
    if point is not None and np.isfinite(point):
        parts.append(f'<circle class="point" cx="{float(axis.inside(point)):.1f}" cy="{middle}" r="3.6"/>')
    if live:
        parts.append('<path class="live" d=""/>')
        parts.append(
            f'<circle class="live" cx="-9" cy="{lower}" r="4.2" data-low="{low!r}" data-high="{high!r}" '
            f'data-start="{axis.start:g}" data-end="{axis.end:g}"/>'
        )
    return (
        f'<svg class="strip" width="{STRIP_WIDTH}" height="{STRIP_HEIGHT}" '
        f'viewBox="0 0 {STRIP_WIDTH} {STRIP_HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
    )
