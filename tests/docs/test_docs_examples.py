"""The examples of the documentation run, page by page, and print what the pages show.

A ``python`` block is executed in the namespace of its page; an ``sh`` block runs its ``bayesridge`` commands. A
``text`` block right after either is what it prints, exactly.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts and "notebooks" not in path.parts and re.search(r"```(python|sh)\n", path.read_text())
    and path.name != "plots.md"  # test_plots_gallery runs it, for its pictures
)  # fmt: skip
#: Pages whose examples sample with PyMC; the first two compile models for most of a minute, which tests/mcmc do too.
SAMPLING = {"howto/nuts.md", "coming_from/pymc.md", "models.md"}

_FENCE = re.compile(r"^```(python|sh)\n(.*?)^```\n(?:\n?^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A block of code, what it is to print (None: not shown), and where on the page that stands."""

    language: str
    code: str
    expected: str | None
    start: int
    end: int


def examples(text: str) -> list[Example]:
    return [Example(m[1], m[2], m[3], m.start(3), m.end(3)) for m in _FENCE.finditer(text)]


def run(example: Example, names: dict[str, Any]) -> str:
    """Execute an example and return what it prints."""
    if example.language == "python":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(example.code, "<example>", "exec"), names)
        return printed.getvalue()
    return "".join(_command(line) for line in example.code.replace("\\\n", " ").splitlines() if line.strip())


def _command(line: str) -> str:
    from typer.testing import CliRunner

    from bayesridge.cli.main import app

    program, *arguments = shlex.split(line, comments=True)
    if arguments[:1] == ["validate"]:  # seconds, for what tests/checks look at
        arguments += ["--simulations", "200", "--splits", "0"]
    if program != "bayesridge":
        return ""  # make, pip and the like
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, f"{line}: exit code {result.exit_code}\n{result.output}"
    return result.stdout


def _same(printed: str) -> list[str]:
    # what is nothing but rounding (1e-10 and less) is not the same on two machines
    return [re.sub(r"\b\d(\.\d+)?e-1\d\b", "rounding", line.rstrip()) for line in printed.strip().splitlines()]


def _parameter(path: Path) -> Any:
    name = path.relative_to(DOCS).as_posix()
    marks = [pytest.mark.mcmc] if name in SAMPLING else []
    if name in ("howto/nuts.md", "coming_from/pymc.md"):
        marks.append(pytest.mark.slow)
    return pytest.param(path, id=name, marks=marks)


@pytest.mark.parametrize("page", [_parameter(path) for path in PAGES])
def test_examples_print_what_the_page_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    if page.name == "pymc.md":  # 2000 draws will do, compiled with C
        import pymc

        monkeypatch.setattr(pymc, "sample", partial(pymc.sample, draws=500, tune=300, cores=1, backend="c"))
    names: dict[str, Any] = {}
    for example in examples(page.read_text(encoding="utf-8")):
        printed = run(example, names)
        if example.expected is not None:
            assert _same(printed) == _same(example.expected), example.code
