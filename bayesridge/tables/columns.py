"""Columns of numbers with their names and terms; one column of a user's table to float64, or why it cannot be."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from numbers import Complex, Real
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, DataTypeError
from bayesridge.tables.guess import is_number, odd_one

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import pandas as pd

Float = NDArray[np.float64]
SHOWN = 5  # how many columns or rows an error lists before it only counts


class Terms(Mapping[str, tuple[str, ...]]):
    """Which columns each term of the model owns, in order; immutable, and can be pickled."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, tuple[str, ...]]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, term: str) -> tuple[str, ...]:
        """Return the columns of one term."""
        return self._columns[term]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the terms."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._columns)

    def __repr__(self) -> str:
        """Show the terms as a dictionary."""
        return f"Terms({self._columns!r})"


class OwnTerms(Mapping[str, tuple[str, ...]]):
    """Terms of a table whose columns are each their own: no more than their names, which may be a million."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._names)

    def __getitem__(self, term: str) -> tuple[str, ...]:
        """Return the term itself."""
        if term not in self._known:
            raise KeyError(term)
        return (term,)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._names)


@dataclass(frozen=True, eq=False)
class Columns:
    """Predictors as numbers, with their names.

    Attributes
    ----------
    values : ndarray of shape (n, p)
        float64, in C or Fortran order; possibly the user's own array, so it is never written to.
        NaN marks a missing value.
    names : tuple of str
        Names of the p columns.
    named : bool
        False where the input had no names; they are then ``x0, x1, ...``.
    terms : mapping of str to tuple of str
        Columns of each term of a formula.  In a plain table each column is its own term.
    """

    values: Float
    names: tuple[str, ...]
    named: bool
    terms: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=8)
def unnamed(p: int) -> tuple[tuple[str, ...], OwnTerms]:
    """Names and terms of p columns that came without names."""
    names = tuple(f"x{j}" for j in range(p))
    return names, own_terms(names)


def own_terms(names: Sequence[str]) -> OwnTerms:
    """Return the terms of a plain table: each column is its own."""
    return OwnTerms(tuple(names))


# ---------------------------------------------------------------- lists in messages


def quoted(names: Sequence[str]) -> list[str]:
    """Put names into quotes."""
    return [f"'{name}'" for name in names]


def listed(items: Sequence[str], *, shown: int = SHOWN) -> str:
    """List items, the first few of them."""
    return ", ".join(items[:shown]) + (f" and {len(items) - shown} more" if len(items) > shown else "")


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: Any) -> Any:
    """Write out the control characters of a text, and those that change its direction; what is no text stays."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text) if isinstance(text, str) else text


def visible_lines(text: str) -> str:
    """Do so in a text of several lines."""
    return "\n".join(map(visible, text.split("\n")))


def quoted_list(names: Iterable[object]) -> str:
    """List names in quotes, the first few of them."""
    return listed(quoted([str(name) for name in names]), shown=20)


# ---------------------------------------------------------------- one column to numbers


def is_pandas(obj: object, kind: str) -> bool:
    """Say whether an object is of a pandas class, without importing pandas."""
    # A library that has not been imported cannot have made obj.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(obj, getattr(pandas, kind))


class Unusable(NamedTuple):
    """A column that cannot be numbers: what it holds, an example, and its row."""

    what: str
    value: object
    row: int
    error: type[DataError] = DataError

    def __str__(self) -> str:
        """Describe the column for an error message."""
        shown = str(self.value) if isinstance(self.value, dt.datetime) else repr(self.value)
        return f"{self.what}, e.g. {shown} in row {self.row}"


def joined(names: Sequence[str], columns: Sequence[Float | Unusable]) -> Float:
    """Put columns side by side, or raise naming every one that is not numbers."""
    bad = [(name, column) for name, column in zip(names, columns, strict=True) if isinstance(column, Unusable)]
    if bad:
        error = next((column.error for _, column in bad if column.error is not DataError), DataError)
        raise error(
            f"Every column must hold numbers, and {len(bad)} of {len(names)} do not: "
            + listed([f"'{name}' ({column})" for name, column in bad])
            + f". {_advice([column for _, column in bad])}"
        )
    return np.array([column for column in columns if not isinstance(column, Unusable)], dtype=np.float64).T


def _advice(bad: Sequence[Unusable]) -> str:
    """Say what to do about columns that are no numbers."""
    numbers = [one.what == "text" and is_number(one.value) for one in bad]
    dates = [one.what == "dates" for one in bad]
    advice = ["Write numbers without units or separators of thousands."] if any(numbers) else []
    advice += ["Leave dates out, or make numbers of them (a formula may say day.dt.year)."] if any(dates) else []
    if any(not (number or date) for number, date in zip(numbers, dates, strict=True)):
        advice.append('Correct such values, or let a formula code them as categories (formula="y ~ .").')
    return " ".join(advice)


def series_numbers(column: Any) -> Float | Unusable:
    """Turn one pandas or narwhals series into numbers."""
    return _pandas_numbers(column) if is_pandas(column, "Series") else _narwhals_numbers(column)


def array_numbers(column: NDArray[Any]) -> Float | Unusable:
    """Turn one numpy column into numbers."""
    kind = column.dtype.kind
    if kind in "biuf" or column.size == 0:
        return column.astype(np.float64, copy=False)
    if kind == "O":
        return object_numbers(column)
    what = {"M": "dates", "m": "durations"}.get(kind, str(column.dtype))
    return Unusable(what, column[0], 0)


def object_numbers(column: NDArray[np.object_]) -> Float | Unusable:
    """Convert objects, only if each is a number or missing; text that looks like a number is text."""
    pandas = sys.modules.get("pandas")
    missing = {NoneType} if pandas is None else {NoneType, type(pandas.NA), type(pandas.NaT)}
    kinds = set(map(type, column))
    bad = {kind for kind in kinds - missing if not issubclass(kind, Real | Decimal | np.bool)}
    if not bad:
        if kinds & missing:
            column = np.array([np.nan if type(value) in missing else value for value in column], dtype=object)
        try:
            return column.astype(np.float64)
        except (OverflowError, ValueError, TypeError) as error:
            raise DataError(f"A number does not fit into float64: {error}") from error
    row = next(i for i, value in enumerate(column) if type(value) in bad)
    if isinstance(column[row], str):
        row = _odd_row(column) or row
    value = column[row]
    if isinstance(value, str | bytes):
        return Unusable("text", value, row)
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return Unusable("dates", value, row)
    if isinstance(value, Complex):
        raise DataError(f"Complex data not supported ({value!r} in row {row}): take the real part.")
    what = f"an argument must be a string or a real number, not '{type(value).__name__}'"
    return Unusable(what, value, row, DataTypeError)


def _odd_row(column: Any) -> int | None:
    """Return the row of the value that keeps a column of numbers, written as text, from being numbers."""
    return odd_one(list(column))


def _pandas_numbers(column: pd.Series[Any]) -> Float | Unusable:
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biufO":
        return array_numbers(column.to_numpy())
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise DataError(f"Complex data not supported (column {column.name!r}): take the real part.")
    category = isinstance(dtype, pd.CategoricalDtype)  # (categories true and false count as boolean)
    if not category and (pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype)):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    present = column.notna().to_numpy()
    if not present.any():
        return np.full(len(column), np.nan)  # nothing in it: `complete_rows` names it
    text = pd.api.types.is_string_dtype(dtype)
    row = (_odd_row(column) if text else None) or int(present.argmax())
    times = {"M": "dates", "m": "durations"}.get(dtype.kind, str(dtype))
    what = "categories" if category else "text" if text else times
    return Unusable(what, column.iloc[row], row)


def _narwhals_numbers(column: nw.Series[Any]) -> Float | Unusable:
    import narwhals.stable.v2 as nw

    dtype = column.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return column.cast(nw.Float64()).to_numpy()
    if column.null_count() == len(column):
        return np.full(len(column), np.nan)
    if dtype in (nw.Object, nw.Unknown):
        return object_numbers(np.array(column.to_list(), dtype=object))
    row = (_odd_row(column) if dtype == nw.String else None) or int((~column.is_null()).to_numpy().argmax())
    category = dtype in (nw.Categorical, nw.Enum)
    what = "categories" if category else "text" if dtype == nw.String else f"values of type {dtype}"
    return Unusable(what, column[row], row)
