"""The pictures of a report, taken in a browser: ``python docs/make_report_pictures.py``.

Chromium is named by the environment variable BAYESRIDGE_CHROMIUM, or found on the path.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from bayesridge import posterior, report
from bayesridge.datasets import load_xy

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).resolve().parent / "_static" / "report"
MOST_BYTES = 150_000


@dataclass(frozen=True)
class Shot:
    """One picture: which table ("" for the explorable page), how wide the screen, which theme, from where on."""

    name: str
    table: str
    width: int
    height: int
    scheme: str
    section: str
    scale: float = 1.0


SHOTS = (
    Shot("light", "diabetes", 1200, 1330, "light", "answer"),
    Shot("dark", "longley", 1200, 1330, "dark", "slider"),
    Shot("laptop", "diabetes", 1366, 657, "light", "moves .stay"),
    Shot("rules", "longley", 1200, 1000, "light", "rules"),
    Shot("checks", "diabetes", 1200, 1000, "light", "checks"),
    Shot("phone", "diabetes", 360, 740, "light", "moves", 1.5),
    Shot("explore-light", "", 1200, 1330, "light", ""),
    Shot("explore-dark", "", 1200, 1330, "dark", ""),
)
EXPLORE = FOLDER.parent / "explore.html"


def take(browser: Browser, shot: Shot, page: Path) -> Image.Image:
    """Open the page and photograph it from the top of a section."""
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme, device_scale_factor=shot.scale,
        reduced_motion="reduce",
    )  # fmt: skip
    tab = context.new_page()
    tab.goto(page.as_uri())
    if shot.section not in {"", "answer"}:  # as a reader sees it, with the bar at the top
        tab.evaluate("id => document.querySelector(`#${id}`).scrollIntoView({ behavior: 'instant' })", shot.section)
    raw = tab.screenshot()
    context.close()
    return Image.open(io.BytesIO(raw)).convert("RGB")


def save(picture: Image.Image, file: Path) -> None:
    """Write with a palette of the most frequent colours (a computed palette would shift paper and thin lines)."""
    found = picture.getcolors(picture.width * picture.height) or []
    most = [color for _, color in sorted(found, reverse=True)[:256]]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for color in most for value in color])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(file, optimize=True)
    size = file.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{file.name} has {size} bytes, more than {MOST_BYTES}")
    print(f"{file.name}: {size} bytes")


def main() -> None:
    """Take all pictures."""
    path = os.environ.get("BAYESRIDGE_CHROMIUM") or shutil.which("chromium")
    if path is None:
        sys.exit("no Chromium: install one, or name it in BAYESRIDGE_CHROMIUM")
    FOLDER.mkdir(parents=True, exist_ok=True)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if root else [])
        pages = {
            name: report(posterior(*load_xy(name)), Path(folder) / f"{name}.html") for name in ("diabetes", "longley")
        }
        for shot in SHOTS:
            save(take(browser, shot, pages.get(shot.table, EXPLORE)), FOLDER / f"{shot.name}.png")
        browser.close()


if __name__ == "__main__":
    main()
