"""The pictures of ``docs/plots.md``, from the code on that page: ``python docs/make_gallery.py``.

A ``python`` block that stands before ``{image} _static/gallery/NAME-light.png`` makes that picture; the other blocks
are run too. So the page is tested where its pictures are.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

from bayesridge import plots

DOCS = Path(__file__).resolve().parent
FOLDER = DOCS / "_static" / "gallery"
WIDTH, DOTS = 4.6, 208  # inches; two device pixels for each of the page
_BLOCK = re.compile(r"^```python\n(.*?)^```$|^```\{image\} _static/gallery/(\w+)-light\.png$", re.DOTALL | re.MULTILINE)


def blocks(page: str) -> list[tuple[str, str]]:
    """Code of the page, and the picture each block makes ("" if none)."""
    found: list[tuple[str, str]] = []
    for match in _BLOCK.finditer(page):
        if match[1] is not None:
            found.append((match[1], ""))
        else:
            found[-1] = (found[-1][0], match[2])
    return found


def draw(theme: Any, wanted: Any = bool) -> dict[str, Image.Image]:
    """Run the page for a light or a dark one, and draw those of its pictures that are wanted."""
    names: dict[str, Any] = {}
    drawn = {}
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch), plots.style(theme):
        mpl.rcParams["figure.figsize"] = (WIDTH, 3.4)  # at the width of a phone its text is 10 pixels high
        for code, name in blocks((DOCS / "plots.md").read_text(encoding="utf-8")):
            exec(compile(code, f"<{name or 'set-up'}>", "exec"), names)
            if wanted(name):
                drawn[name] = _picture(plt.gcf())
            if name:
                plt.close("all")
    return drawn


def _picture(figure: Any) -> Image.Image:
    """On a transparent ground (the page's own), in 256 colours: half the size, and no eye sees the difference."""
    raw = io.BytesIO()
    figure.savefig(raw, dpi=DOTS, transparent=True)
    return Image.open(raw).quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


if __name__ == "__main__":
    for theme in ("light", "dark"):
        for name, image in draw(theme).items():
            file = FOLDER / f"{name}-{theme}.png"
            image.save(file, optimize=True)
            print(f"{file.stat().st_size / 1024:5.0f} KB  {file.relative_to(DOCS)}")
