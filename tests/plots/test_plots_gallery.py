"""The page of plots: every plot has its pictures, they come from the page's own code, and they are small."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from bayesridge import plots

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _maker() -> Any:
    import matplotlib as mpl

    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    backend = mpl.get_backend()
    spec.loader.exec_module(module)
    mpl.use(backend)
    return module


def test_every_plot_has_a_block_that_makes_its_pictures() -> None:
    made = {name: code for code, name in _maker().blocks((DOCS / "plots.md").read_text(encoding="utf-8")) if name}
    assert made.keys() == set(plots.__all__) - {"style"}
    assert all(f"plots.{name}(" in code for name, code in made.items())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", sorted(set(plots.__all__) - {"style"}))
def test_pictures_are_there_and_small(name: str, theme: str) -> None:
    from PIL import Image

    file = DOCS / "_static" / "gallery" / f"{name}-{theme}.png"
    assert file.stat().st_size < 60 * 1024
    with Image.open(file) as image:
        assert image.size[0] == 956  # two pixels for each of 478: the width of a phone and no more than a column
        colors = image.convert("RGBA").getcolors(1 << 20)
    # ink is the most frequent opaque colour that is not grey-in-between: dark on light pages, light on dark ones
    opaque = sorted(((n, c) for n, c in colors if c[3] > 200 and max(c[:3]) - min(c[:3]) < 8), reverse=True)
    inks = [sum(c[:3]) / 3 for _, c in opaque[:3]]
    assert min(inks) < 60 if theme == "light" else max(inks) > 200


def test_the_page_shows_light_and_dark_in_turn() -> None:
    text = (DOCS / "plots.md").read_text(encoding="utf-8")
    for name in set(plots.__all__) - {"style"}:
        for theme in ("light", "dark"):
            start = text.index(f"{{image}} _static/gallery/{name}-{theme}.png")
            assert f":class: only-{theme}" in text[start : start + 400]


@pytest.mark.parametrize(("theme", "step"), [("light", 10), pytest.param("dark", 1, marks=pytest.mark.slow)])
def test_pictures_are_what_the_page_draws_today(theme: str, step: int) -> None:
    """All of the page is run; of its pictures, of which each takes most of a second, every tenth is compared."""
    import numpy as np
    from PIL import Image

    some = sorted(set(plots.__all__) - {"style"})[::step]
    drawn = _maker().draw(theme, some.__contains__)
    assert sorted(drawn) == some
    for name, new in drawn.items():
        with Image.open(DOCS / "_static" / "gallery" / f"{name}-{theme}.png") as kept:
            one, other = (np.asarray(image.convert("RGBA"), dtype=np.float64) for image in (new, kept))
        assert one.shape == other.shape, name
        # fonts come with matplotlib, but rasterisers may round an edge differently: not one pixel in two hundred
        moved = np.abs(one - other).max(axis=2) > 64
        assert moved.mean() < 0.005, f"{name}: draw the pictures again (make pictures) and look at them"


def test_thumbnails_lead_to_every_picture() -> None:
    text = (DOCS / "plots.md").read_text(encoding="utf-8")
    found = dict(re.findall(r'<a href="#([\w-]+)"><img class="only-light" src="_static/gallery/(\w+)-light.png"', text))
    assert set(found.values()) == set(plots.__all__) - {"style"}
    headings = {
        re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^## (.+)$", text, re.MULTILINE)
    }
    assert found.keys() <= headings
