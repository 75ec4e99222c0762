"""What a file's column of text means, where it is safe to say: numbers with separators or a unit, gaps, dates.

A column is taken for something else than text only if every value in it agrees; what was made of it is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Decimal = Literal[".", ","]

#: What stands for a missing value beside numbers or dates (pandas knows NA, null, n/a and the like).
_GAPS = frozenset(
    {"?", "??", "-", "--", "---", "\u2013", "—", ".", "..", "...", "*", "n.a.", "n.a", "k.a.", "na.", "unknown"}
    | {"missing", "none", "not available", "no data", "#div/0!", "#value!", "#ref!", "#name?", "#num!"}
)
_UNITS = "%$€£¥"
_BLANKS = " \u00a0\u202f'\u2019"  # also between thousands
_MINUS = "-\u2212"
#: Only one of the two marks is possible in these.
_SURELY_COMMA = re.compile(r"[-+]?(0|[0-9]+),([0-9]{1,2}|[0-9]{4,})|[-+]?0,[0-9]+|[-+]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+")
_SURELY_DOT = re.compile(r"[-+]?[0-9]{1,3}(,[0-9]{3})+\.[0-9]+|[-+]?[0-9]{1,3}(,[0-9]{3}){2,}")
_EITHER = re.compile(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}")
_DATES = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?"), "ISO8601"),
    (re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}"), "%Y/%m/%d"),
    (re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}"), "%d.%m.%Y"),
    (re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"), "%d/%m/%Y"),
    (re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"), "%m/%d/%Y"),
)


@dataclass(frozen=True)
class Guess:
    """A column of text as what it means.

    Attributes
    ----------
    values : pandas.Series
    note : str
        What was made of it, for the reader; "" where there was nothing to decide.
    """

    values: pd.Series[Any]
    note: str


def number_pattern(decimal: Decimal) -> re.Pattern[str]:
    """Match a number with this decimal mark: sign, unit, groups of three digits, exponent."""
    other = re.escape("," if decimal == "." else ".")
    mark = re.escape(decimal)
    digits = rf"[0-9]+|[0-9]{{1,3}}(?:(?P<gap>[{other}{_BLANKS}])[0-9]{{3}})(?:(?P=gap)[0-9]{{3}})*"
    return re.compile(
        rf"(?P<sign>[{_MINUS}+]?)(?P<before>[{_UNITS}]?)\s?(?P<whole>{digits})(?P<part>{mark}[0-9]+)?"
        rf"(?P<power>[eE][-+]?[0-9]+)?[ \u00a0\u202f]?(?P<after>[{_UNITS}]?)"
    )


def decimal_mark(texts: Iterable[str]) -> Decimal | None:
    """Find which mark stands before decimals; None where nothing tells."""
    commas = dots = False
    for text in texts:
        commas = commas or bool(_SURELY_COMMA.fullmatch(text.strip()))
        dots = dots or bool(_SURELY_DOT.fullmatch(text.strip()))
        if commas and dots:
            return "."
    return "," if commas else "." if dots else None


def guess(column: pd.Series[Any], decimal: Decimal, usual: Decimal = ".", *, sure: bool = True) -> Guess | None:
    """Say what a column of text means; None where it is text.

    Parameters
    ----------
    column : pandas.Series
    decimal : {".", ","}
    usual : {".", ","}
        The mark that needs no mention.
    sure : bool
        Whether the mark is known; where it is not, what could mean thousands too is said.
    """
    present = column.dropna()
    distinct = [str(value).strip() for value in present.unique()]
    gaps = {text for text in distinct if text.lower() in _GAPS}
    values = [text for text in distinct if text not in gaps]
    if not values:
        return None
    found = _numbers(column, values, decimal, usual, sure) or _dates(column, values)
    if found is None or not gaps:
        return found
    stripped = column.astype(object).map(lambda value: str(value).strip(), na_action="ignore")
    missing = stripped.isin(gaps).to_numpy()
    first = int(missing.argmax())
    said = f"{column.iloc[first]!r} is taken for missing ({int(missing.sum())} of {len(missing)}, first in row {first})"
    return Guess(found.values, "; ".join(filter(None, [found.note, said])))


def _numbers(
    column: pd.Series[Any], texts: Sequence[str], decimal: Decimal, usual: Decimal, sure: bool
) -> Guess | None:
    import pandas as pd

    pattern = number_pattern(decimal)
    numbers: dict[str, float] = {}
    units = set()
    notable = ""
    for text in texts:
        found = pattern.fullmatch(text)
        if found is None or (found["before"] and found["after"]):
            return None
        whole = re.sub(r"[^0-9]", "", found["whole"])
        sign = "-" if found["sign"] and found["sign"] in _MINUS else ""
        part = (found["part"] or "").replace(decimal, ".")
        numbers[text] = float(f"{sign}{whole}{part}{found['power'] or ''}")
        units.add(found["before"] or found["after"])
        unusual = found["part"] and decimal != usual
        if not notable and (found["gap"] or found["before"] or found["after"] or unusual):
            notable = text
    if len(units) > 1:
        return None
    values = column.astype(object).map(lambda value: numbers.get(str(value).strip()), na_action="ignore")
    both = next((text for text in texts if _EITHER.fullmatch(text)), "") if decimal == "," and not sure else ""
    note = f"{notable!r} is read as {numbers[notable]:.15g}" if notable else ""
    if both and all(_EITHER.fullmatch(text) or text.lstrip("+-").isdigit() for text in texts):
        note = f'{both!r} is read as {numbers[both]:.15g}; decimal="." reads it as {both.replace(",", "")}'
    return Guess(pd.to_numeric(values), note)


def _dates(column: pd.Series[Any], texts: Sequence[str]) -> Guess | None:
    import pandas as pd

    possible = [layout for pattern, layout in _DATES if all(map(pattern.fullmatch, texts))]
    stripped = column.astype(object).map(lambda value: str(value).strip(), na_action="ignore")
    stripped = stripped.where(stripped.isin(texts))
    read = {layout: pd.to_datetime(stripped, format=layout, errors="coerce") for layout in possible}
    whole = {layout: dates for layout, dates in read.items() if dates.notna().sum() == stripped.notna().sum()}
    if len(whole) != 1:
        return None  # 03/04/2021 is two days
    (layout, dates), *_ = whole.items()
    first = next(text for text in stripped if isinstance(text, str))
    named = "" if layout == "ISO8601" else f": {first!r} is {dates.dropna().iloc[0]:%Y-%m-%d}"
    return Guess(dates, f"dates{named}")


def month_of(name: str) -> str:
    """Write how a formula takes a number of a date."""
    return f"{name}.dt.month" if name.isidentifier() else f"{{`{name}`.dt.month}}"


def is_number(text: object) -> bool:
    """Whether a value looks like a number."""
    found = number_pattern(".").fullmatch(str(text).strip())
    return found is not None


def odd_one(values: Sequence[object]) -> int | None:
    """Return which value keeps a column of numbers from being one: the first that is none, if most are."""
    odd = [i for i, value in enumerate(values) if isinstance(value, str) and not is_number(value)]
    texts = sum(isinstance(value, str) for value in values)
    return odd[0] if odd and 2 * len(odd) < texts else None
