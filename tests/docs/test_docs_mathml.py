"""Formulas of the documentation as MathML: what they look like is what TeX means."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


@pytest.fixture(scope="module")
def mathml() -> ModuleType:
    pytest.importorskip("sphinx")
    pytest.importorskip("latex2mathml")
    spec = importlib.util.spec_from_file_location("mathml", DOCS / "_ext" / "mathml.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parse(mathml: ModuleType, text: str, *, block: bool = False) -> ET.Element:
    return ET.fromstring(mathml.to_mathml(text, block=block))


def tags(element: ET.Element) -> list[str]:
    return [child.tag.removeprefix(NAMESPACE) for child in element.iter()]


def test_a_fraction_of_two_digits(mathml: ModuleType) -> None:
    top, bottom = parse(mathml, r"\frac12\sum_j z_j").find(f".//{NAMESPACE}mfrac")
    assert (top.text, bottom.text) == ("1", "2")


def test_a_hat_with_an_index(mathml: ModuleType) -> None:
    base, index = parse(mathml, r"\hat b_j").find(f".//{NAMESPACE}msub")
    assert base.tag == f"{NAMESPACE}mover"
    assert index.text == "j"


def test_relations_are_operators(mathml: ModuleType) -> None:
    operators = [e.text for e in parse(mathml, r"\beta \sim N \mid y").iter(f"{NAMESPACE}mo")]
    assert operators == ["\N{TILDE OPERATOR}", "\N{DIVIDES}"]


def test_norms_take_no_space(mathml: ModuleType) -> None:
    bars = list(parse(mathml, r"\lvert\beta\rvert^2").iter(f"{NAMESPACE}mo"))
    assert [bar.text for bar in bars] == ["|", "|"]
    assert all(bar.get("lspace") == bar.get("rspace") == "0" for bar in bars)


def test_names_stand_apart_from_letters_not_from_parentheses(mathml: ModuleType) -> None:
    assert "mspace" in tags(parse(mathml, r"\log p"))
    assert "mspace" not in tags(parse(mathml, r"\log(p)"))


@pytest.mark.parametrize("written", [r"a &= b \\ c &= d", r"\begin{aligned}a &= b \\ c &= d\end{aligned}"])
def test_aligned_lines_have_no_numbers(mathml: ModuleType, written: str) -> None:
    table = parse(mathml, written, block=True)
    assert tags(table).count("mtr") == 2
    assert tags(table).count("mtd") == 4


def test_a_command_that_is_not_known_is_refused(mathml: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"not understood: \\nosuchthing"):
        mathml.to_mathml(r"a + \nosuchthing b", block=False)


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(DOCS).as_posix() for path in PAGES])
def test_every_formula_of_a_page_is_well_formed(mathml: ModuleType, page: Path) -> None:
    text = re.sub(r"(```|~~~).*?\1|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for block, inline in re.findall(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$]+?)\$(?!\$)", text, re.DOTALL):
        ET.fromstring(mathml.to_mathml(block or inline, block=bool(block)))
