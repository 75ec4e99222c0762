"""The README's Python runs, and what it prints is what it says."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

import bayesridge

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_examples_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayesridge, "validate", partial(bayesridge.validate, simulations=200, splits=0))
    names: dict[str, object] = {}
    exec(BLOCKS[0], names)
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    assert capsys.readouterr().out.strip() == shown[1].strip()
    names["other"] = names["fit"].posterior_  # type: ignore[attr-defined]
    for block in BLOCKS[1:]:
        exec(block, names)
