"""The notebooks: text and executed outputs belong together, are small, and end in assertions.

That they run is tested by nbmake: ``pytest --nbmake notebooks/*.ipynb``; `notebooks/run.py` writes the outputs again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))
LARGEST = 500 * 1024  # bytes: a repository keeps every version


def test_there_are_notebooks() -> None:
    numbers = [path.name[:2] for path in SOURCES]
    assert len(numbers) >= 10
    assert len(set(numbers)) == len(numbers)
    assert {path.stem for path in SOURCES} == {path.stem for path in FOLDER.glob("*.ipynb")}


@pytest.fixture(params=SOURCES, ids=[path.stem for path in SOURCES])
def pair(request: pytest.FixtureRequest) -> tuple[object, object, Path]:
    jupytext = pytest.importorskip("jupytext")
    nbformat = pytest.importorskip("nbformat")
    source: Path = request.param
    written = source.with_suffix(".ipynb")
    return jupytext.read(source), nbformat.read(written, as_version=4), written


def test_outputs_are_those_of_the_text(pair) -> None:  # type: ignore[no-untyped-def]
    text, executed, _ = pair
    assert [(cell.cell_type, cell.source) for cell in executed.cells] == [
        (cell.cell_type, cell.source) for cell in text.cells
    ], "run: python notebooks/run.py"


def test_every_code_cell_ran_without_error_or_warning(pair) -> None:  # type: ignore[no-untyped-def]
    _, executed, _ = pair
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text


def test_it_is_small_and_ends_in_assertions(pair) -> None:  # type: ignore[no-untyped-def]
    _, executed, path = pair
    assert path.stat().st_size < LARGEST
    code = [cell.source for cell in executed.cells if cell.cell_type == "code"]
    assert "assert " in code[-1]
    assert any("image/png" in output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", []))
