"""Write the outputs of ``docs/ten_questions.md``: of bayesridge, and of those tools that are installed.

It runs the blocks marked ``python`` (bayesridge) and, below a line that begins with the name of a tool, those marked
``py``; each tool has a namespace of its own. What a block prints becomes the ``text`` block after it. Name tools to
run only those; one that is not installed keeps the outputs it has.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent / "ten_questions.md"
DATA = PAGE.parents[1] / "data"
_BLOCK = re.compile(r"^```(python|py)\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE)
_TOOL = re.compile(r"^(statsmodels|bambi)\b", re.MULTILINE)


def tool_of(text: str, start: int, language: str) -> str:
    """Name the tool of the block that begins at `start`: bayesridge, or that of the last line that names one."""
    return "bayesridge" if language == "python" else _TOOL.findall(text[:start])[-1]


def write(text: str, wanted: set[str]) -> tuple[str, dict[str, float]]:
    """Run the blocks of some tools; return the page with their outputs, and the seconds each tool took."""
    names: dict[str, dict[str, Any]] = {tool: {} for tool in wanted}
    seconds = dict.fromkeys(wanted, 0.0)

    def run(match: re.Match[str]) -> str:
        tool = tool_of(text, match.start(), match[1])
        if tool not in wanted:
            return match[0]
        printed, start = io.StringIO(), time.perf_counter()
        with contextlib.redirect_stdout(printed):
            exec(compile(match[2], f"<{tool}>", "exec"), names[tool])
        seconds[tool] += time.perf_counter() - start
        out = printed.getvalue().rstrip()
        return f"```{match[1]}\n{match[2]}```\n" + (f"\n```text\n{out}\n```\n" if out else "")

    return _BLOCK.sub(run, text), seconds


def main() -> None:
    warnings.simplefilter("ignore")
    asked = sys.argv[1:] or ["bayesridge", "statsmodels", "bambi"]
    wanted = {tool for tool in asked if importlib.util.find_spec(tool)}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("data").symlink_to(DATA)
        page, seconds = write(PAGE.read_text(encoding="utf-8"), wanted)
    PAGE.write_text(page, encoding="utf-8")
    for tool, value in seconds.items():
        print(f"{tool}: {value:.1f} s")


if __name__ == "__main__":
    main()
