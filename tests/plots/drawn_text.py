"""What text a figure really draws, and whether it can be read: inside the figure and not on other text."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from matplotlib.text import Text
from matplotlib.transforms import Bbox


def drawn_text(figure: Any, monkeypatch: Any) -> list[tuple[str, Bbox]]:
    """Draw the figure and return every text that is drawn, with its box in pixels."""
    found: list[tuple[str, Bbox]] = []
    draw = Text.draw

    def recording(self: Text, renderer: Any) -> None:
        draw(self, renderer)
        if self.get_visible() and self.get_text().strip():
            found.append((self.get_text(), Text.get_window_extent(self, renderer)))

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", recording)
        figure.draw_without_rendering()  # which lays out before it draws
    return found


def troubles(figure: Any, monkeypatch: Any, slack: float = 1.0) -> list[str]:
    """Describe text outside the figure and pairs of texts that overlap by more than `slack` pixels both ways."""
    texts = drawn_text(figure, monkeypatch)
    assert texts, "nothing was drawn"
    width, height = figure.bbox.width, figure.bbox.height
    out = [
        f"outside the figure: {text!r} {box.extents.round()} of {width:.0f} x {height:.0f}"
        for text, box in texts
        if box.x0 < -slack or box.y0 < -slack or box.x1 > width + slack or box.y1 > height + slack
    ]
    for (one, a), (two, b) in combinations(texts, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        if across > slack and down > slack:
            out.append(f"overlap of {across:.0f} x {down:.0f} pixels: {one!r} and {two!r}")
    return out
