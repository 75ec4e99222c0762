"""Text as HTML: everything that comes from the data is escaped here, numbers are written one way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from bayesridge.tables.columns import visible_lines

MINUS = "\N{MINUS SIGN}"


def asset(name: str) -> str:
    """Text of a file that comes with the report."""
    return (files("bayesridge.reporting") / "assets" / name).read_text(encoding="utf-8")


def template(name: str, **parts: str) -> str:
    """Fill the places ``$name`` of an asset with HTML."""
    return Template(asset(name)).substitute(parts)


def text(value: object) -> str:
    """Escape for element content and for attributes, control characters written out."""
    return escape(visible_lines(str(value)), quote=True)


def sentence(words: str) -> str:
    """Return words with a capital and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def number(value: float, digits: int = 4) -> str:
    """Write a number with so many significant digits, typographic minus, infinity as a sign, NaN as a dash."""
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        written = f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(power)}"
    else:
        written = f"{float(f'{value:.{digits}g}'):.10f}".rstrip("0").rstrip(".")
    return written.replace("-", MINUS)


def decimals(spread: float) -> int:
    """Return the decimals that an sd leaves: those of its second digit."""
    return 1 - int(np.floor(np.log10(spread)))


def rounded(value: float, spread: float) -> str:
    """Write a number with the decimals that its sd leaves (four significant digits where there is none)."""
    if not (0 < spread < np.inf and np.isfinite(value)):
        return number(value)
    places = decimals(spread)
    shown = round(float(value), places)
    if max(abs(shown), spread) >= 1e6 or places > 6:
        digits = int(np.floor(np.log10(abs(shown)))) + places + 1 if shown else 1
        return number(shown, int(np.clip(digits, 1, 15)))
    return f"{shown + 0.0:.{max(places, 0)}f}".replace("-", MINUS)


def scale_number(value: float, ends: tuple[float, float]) -> str:
    """Write a positive number with two digits, or as many as its interval leaves (the last 1/80 to 1/8 of it)."""
    width = 1.25 * (ends[1] - ends[0])
    if not (0 < width < np.inf and 0 < value < np.inf):
        return number(value)
    return number(value, int(np.clip(np.floor(np.log10(value)) + decimals(width) + 1, 2, 15)))


def percent(value: float) -> str:
    """Write a share in per cent."""
    return f"{100 * value:.3g}%"


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, attributes: Sequence[str] = (), left: int = 1
) -> str:
    """Return a table in a box of its own that scrolls sideways where the screen is narrow.

    Parameters
    ----------
    caption : str
        Plain text; also the name of the scrolling box.
    head : sequence of str
        HTML of the column headings.
    rows : iterable of sequences of str
        HTML of the cells; the first of a row is its heading. Two cells are a heading and a remark across the row.
    attributes : sequence of str
        Of each row's element.
    left : int
        Number of leading columns that hold text.
    """
    kinds = ["" if k < left else ' class="num"' for k in range(len(head))]
    top = "".join([f'<th scope="col"{kind}>{cell}</th>' for cell, kind in zip(head, kinds, strict=True)])
    body = []
    for i, cells in enumerate(rows):
        if len(cells) == 2 < len(head):  # one remark instead of the row's values
            body.append(
                f'<tr><th scope="row">{cells[0]}</th><td class="remark" colspan="{len(head) - 1}">{cells[1]}</td></tr>'
            )
            continue
        rest = "".join([f"<td{kinds[k + 1]}>{cell}</td>" for k, cell in enumerate(cells[1:])])
        attribute = f" {attributes[i]}" if attributes else ""
        body.append(f'<tr{attribute}><th scope="row">{cells[0]}</th>{rest}</tr>')
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table>'
        f"<caption><span>{text(caption)}</span></caption><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def jump(lam: float) -> str:
    """Return the attribute of a button that sets the slider."""
    return f'data-jump="{"Infinity" if np.isinf(lam) else repr(float(lam))}" aria-pressed="false"'


def data_script(name: str, record: Any) -> str:
    """Return a script element that holds JSON: ``<``, ``>`` and ``&`` are escaped so that nothing can end it."""
    written = json.dumps(record, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{text(name)}">{written}</script>'


def definition(term: str, value: str) -> str:
    """Return one term with its description (HTML)."""
    return f"<div><dt>{term}</dt><dd>{value}</dd></div>"
