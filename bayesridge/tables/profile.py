"""What each column of a table is taken for, and which of them stand in the way of a fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesridge.tables.guess import month_of, odd_one

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["numbers", "whole numbers", "true or false", "text", "dates", "nothing"]

MANY = 20  # categories that no column of text is refused for
_IDENTIFIER = re.compile(r"(.*[_ .-])?(id|key|nr|no|index|row|rownames|number|nummer|case|#)", re.IGNORECASE)


@dataclass(frozen=True)
class Profile:
    """One column.

    Attributes
    ----------
    name : str
    kind : str
    missing, different : int
        Rows without a value, and how many values there are.
    low, high : str
        The smallest and the largest; of text the first two.
    note : str
        What to know of it.
    useless : bool
        Whether a fit should do without it: nothing in it, dates, a name for nearly each row.
    """

    name: str
    kind: Kind
    missing: int
    different: int
    low: str
    high: str
    note: str
    useless: bool


def profile(table: pd.DataFrame, notes: Mapping[str, str] | None = None) -> tuple[Profile, ...]:
    """Describe each column of a table, with the notes that were made when it was read."""
    return tuple([_column(str(name), table[name], (notes or {}).get(str(name), "")) for name in table.columns])


def nearly_unique(different: int, rows: int) -> bool:
    """Whether text names rows and does not group them."""
    return different > max(MANY, rows // 2)


def _column(name: str, column: pd.Series[Any], note: str) -> Profile:
    present = column.dropna()
    different = int(present.nunique())
    missing = len(column) - len(present)
    if not different:
        return Profile(name, "nothing", missing, 0, "", "", "no value at all: leave it out", useless=True)
    kind = _kind(column)
    said = [note, *_remarks(name, kind, present, different)]
    low, high = (present.unique()[0], present.unique()[1:2]) if kind == "text" else (present.min(), [present.max()])
    useless = (
        different == 1
        or kind == "dates"
        or (kind == "text" and nearly_unique(different, len(column)))
        or _counts_rows(name, present)
    )
    shown = [_shown(low), *map(_shown, high)]
    return Profile(
        name, kind, missing, different, shown[0], shown[1] if shown[1:] else "", "; ".join(filter(None, said)), useless
    )


def _kind(column: pd.Series[Any]) -> Kind:
    import pandas as pd

    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "true or false"
    if pd.api.types.is_numeric_dtype(dtype):
        whole = bool((column.dropna() % 1 == 0).all())
        return "whole numbers" if whole else "numbers"
    return "dates" if dtype.kind in "Mm" else "text"


def _remarks(name: str, kind: Kind, present: pd.Series[Any], different: int) -> list[str]:
    remarks = ["the same in every row"] if different == 1 else []
    if kind == "text":
        values = list(present)
        odd = odd_one(values)
        if odd is not None:
            remarks.append(f"numbers, but for {values[odd]!r} in row {present.index[odd]}")
        elif nearly_unique(different, len(present)):
            remarks.append("nearly every value differs: a name of the row, of no use in a fit")
    if kind == "dates":
        remarks.append(f"a formula takes a number of it, such as {month_of(name)}")
    if _counts_rows(name, present):
        remarks.append("counts the rows: leave it out")
    return remarks


def _counts_rows(name: str, present: pd.Series[Any]) -> bool:
    """Whether a column is a row number: by its name, and because each value is one more than the last."""
    if present.dtype.kind not in "iu" or len(present) < 3 or not _IDENTIFIER.fullmatch(name):
        return False
    return bool((np.diff(present.to_numpy()) == 1).all())


def _shown(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if hasattr(value, "isoformat"):
        return str(value).removesuffix(" 00:00:00")
    return str(value)
