"""Execute the notebooks: each .py is written beside itself as .ipynb with its outputs.

``python notebooks/run.py`` runs all of them, ``python notebooks/run.py 02`` those whose names start so.
"""

from __future__ import annotations

import base64
import io
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).resolve().parent
KEPT = {"kernelspec", "jupytext"}


def execute(source: Path) -> Path:
    """Run one notebook and write it with outputs, without what changes from run to run (times, ids, versions)."""
    notebook = jupytext.read(source)
    NotebookClient(
        notebook, timeout=1700, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(HERE)}}
    ).execute()
    notebook.metadata = {name: value for name, value in notebook.metadata.items() if name in KEPT}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = _smaller(output["data"]["image/png"])
    target = source.with_suffix(".ipynb")
    target.write_text(_numbered_tables(nbformat.writes(notebook)) + "\n", encoding="utf-8")
    return target


def _smaller(png: str) -> str:
    """Keep 128 colours of a picture: a third of the size, and no eye sees the difference."""
    raw = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")
    image.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(raw, "PNG", optimize=True)
    return base64.b64encode(raw.getvalue()).decode()


def _numbered_tables(text: str) -> str:
    """Name pandas' styled tables by their order: their random names would change on every run."""
    names: dict[str, str] = {}
    return re.sub(r"\bT_[0-9a-f]{5}(?=[_ \\])", lambda m: names.setdefault(m[0], f"T_{len(names)}"), text)


def main(prefixes: list[str]) -> None:
    for source in sorted(HERE.glob("[0-9]*.py")):
        if prefixes and not source.name.startswith(tuple(prefixes)):
            continue
        start = time.perf_counter()
        target = execute(source)
        print(f"{target.name}: {time.perf_counter() - start:.0f} s, {target.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(sys.argv[1:])
