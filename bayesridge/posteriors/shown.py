"""How results are shown: numbers as text, and the tables of results in prompts, notebooks and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesridge.tables.columns import visible, visible_lines

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 12
_PROBABILITIES = ("P(>0)",)
_LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$"}
    | {character: f"\\{character}" for character in "&%$#_{}"}
)


def number(value: float) -> str:
    """Write a number with four significant digits."""
    return f"{value:.4g}"


def probability(value: float) -> str:
    """Write a probability with three digits, and never 0 or 1 for what is neither."""
    if value < 0.0005:
        return "<0.001"
    return ">0.999" if value > 0.9995 else f"{value:.3f}"


def as_printed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it is shown everywhere: numbers as text, blank what does not exist, no control characters."""
    columns = {name: [_cell(value, str(name)) for value in table[name]] for name in table.columns}
    return type(table)(columns, index=table.index.map(visible))


def _cell(value: Any, column: str) -> str:
    if not isinstance(value, (float, np.floating)):
        return str(visible(value))
    return "" if np.isnan(value) else (probability if column in _PROBABILITIES else number)(float(value))


class Shown:
    """A result that has a table: short at the prompt, a table in a notebook, Markdown and LaTeX for documents."""

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """All of the result as a table; `level` is that of the intervals."""
        raise NotImplementedError

    def _headline(self) -> str:
        """Say in a line what the table is of."""
        return type(self).__name__

    def _parts(self) -> tuple[pd.DataFrame, str]:
        table = self.summary()
        more = len(table) - MOST_ROWS
        return as_printed(table.iloc[:MOST_ROWS]), f"... and {more} more rows; all in summary()" if more > 0 else ""

    def __repr__(self) -> str:
        table, more = self._parts()
        return "\n".join(filter(None, [visible_lines(self._headline()), table.to_string(), more]))

    def _repr_html_(self) -> str:
        from html import escape

        table, more = self._parts()
        said = escape(self._headline()).replace("\n", "<br>")
        return f"<div><p>{said}</p>{table.to_html(border=0)}{f'<p>{escape(more)}</p>' if more else ''}</div>"

    def to_markdown(self, **options: Any) -> str:
        """Return the table in Markdown, numbers as they are shown; `options` as for :meth:`summary`."""
        rows = _text_rows(self.summary(**options))
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        rule = "|---|" + "---:|" * (len(rows[0]) - 1)
        return "\n".join([lines[0], rule, *lines[1:]]) + "\n"

    def to_latex(self, **options: Any) -> str:
        """Return the table as a LaTeX ``tabular``, numbers as they are shown; `options` as for :meth:`summary`."""
        rows = [
            " & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in _text_rows(self.summary(**options))
        ]
        columns = "l" + "r" * self.summary(**options).shape[1]
        body = [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\hline",
            rows[0],
            r"\hline",
            *rows[1:],
            r"\hline",
            r"\end{tabular}",
        ]
        return "\n".join(body) + "\n"


class Finding(Shown):
    """What a check found: all that card, report, command line and JSON know of it."""

    @property
    def passed(self) -> bool:
        """Whether there is nothing to know of."""
        raise NotImplementedError

    @property
    def verdict(self) -> str:
        """What was looked at and found, in words."""
        raise NotImplementedError

    @property
    def table(self) -> pd.DataFrame:
        """One row for each thing that was looked at."""
        raise NotImplementedError

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        raise NotImplementedError

    def summary(self, level: float | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return the table of what was looked at."""
        return self.table

    def _headline(self) -> str:
        return f"{'Passed' if self.passed else 'Found something'}: {self.verdict}"


def _text_rows(table: pd.DataFrame) -> list[list[str]]:
    """Heading and rows as text, labels first."""
    printed = as_printed(table)
    heading = [str(table.index.name or ""), *map(str, printed.columns)]
    return [
        heading,
        *([str(label), *row] for label, row in zip(printed.index, printed.to_numpy().tolist(), strict=True)),
    ]
