r"""Reading a table from a file, and writing one, for the command line.

pandas does the parsing.  What it would pass over in silence is looked for here: a column name that occurs
twice (it renames the second), a row that is too short (it fills up) or one field too long (it moves all
columns by one).  What a file says reaches terminals and spreadsheets: control characters are written out as they
are read (``\x1b``), and text that a spreadsheet would run is quoted as it is written.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesridge.errors import DataError, require
from bayesridge.tables.columns import quoted_list

if TYPE_CHECKING:
    import pandas as pd

_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
_SEPARATORS = (",", ";", "\t")
_COMMA_NUMBER = re.compile(r"\s*[-+]?[0-9]+(,[0-9]+)?([eE][-+]?[0-9]+)?\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_RUNS_IN_A_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r")


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read a CSV or Parquet file.

    Parameters
    ----------
    path : str or path-like
        ``.csv`` or ``.tsv`` in UTF-8 (also ``.csv.gz``, ``.tsv.gz``), with one line of names first; the
        separator of a ``.csv`` is whichever of comma, semicolon and tab its first line has most of, and
        with semicolons, a column of numbers such as ``1,5`` is read as numbers.  Blanks around names and
        after separators are dropped.  Or ``.parquet``.  Control characters in names and text, line ends too, are
        written out: ``\n``, ``\x1b``.

    Returns
    -------
    pandas.DataFrame
        At least one row and one column.  A first column without a name, its values all different, holds
        row labels, as R and pandas write them, and becomes the index.

    Raises
    ------
    DataError
        One line, if the file does not exist, cannot be read, is of another kind, is empty, has no rows,
        has column names that are missing or occur twice, or rows of different lengths.
    MissingExtraError
        If a Parquet file is given and pyarrow is not installed.
    """
    file = Path(path)
    name = file.name.lower()
    if not name.endswith(_TEXT + _PARQUET):
        known = ", ".join((*_TEXT, *_PARQUET))
        raise DataError(f"{file}: unknown kind of file; the name should end in one of {known}.")
    if file.is_dir():
        raise DataError(f"{file} is a directory; a file is expected.")
    try:
        size = file.stat().st_size
    except OSError as error:
        raise DataError(f"{file}: {_reason(error)}.") from error
    if size == 0:
        raise DataError(f"{file} is empty.")
    table = _written_out(_read_parquet(file) if name.endswith(_PARQUET) else _read_text(file, name))
    if len(table) == 0:
        raise DataError(f"{file} has column names and no rows.")
    return table


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())  # one line


# ---------------------------------------------------------------- Parquet


def _read_parquet(file: Path) -> pd.DataFrame:
    parquet = require("pyarrow.parquet", "parquet")
    arrow = require("pyarrow", "parquet")
    try:
        table = parquet.ParquetFile(file).read()
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{file} cannot be read as Parquet: {_reason(error)}") from error
    _check_names(file, [_visible(name) for name in table.column_names])
    frame: pd.DataFrame = table.to_pandas()
    return frame


# ---------------------------------------------------------------- CSV


def _read_text(file: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    separators = ("\t",) if name.removesuffix(".gz").endswith(".tsv") else _SEPARATORS
    with _readable(file):
        header, first, separator = _header(file, separators)
    if header is None:
        raise DataError(f"{file} is empty.")
    labelled = header[0] == "" and len(header) > 1
    _check_names(file, header[1:] if labelled else header)
    try:
        with _readable(file):
            table = pd.read_csv(
                file,
                sep=separator,
                encoding="utf-8-sig",
                skipinitialspace=True,
                low_memory=False,
                compression="gzip" if name.endswith(".gz") else None,
            )
    except pd.errors.ParserError as error:
        raise DataError(f"{file}: {_ragged(file, separator, len(header)) or _reason(error)}") from error
    # Where rows are longer than the header pandas takes their first fields for labels, and it fills up short
    # ones. Both leave some row without its last field, or have all rows alike: only then is a second look needed.
    suspicious = first != len(header) or bool(table.iloc[:, -1].isna().any())
    problem = _ragged(file, separator, len(header)) if suspicious else None
    if problem:
        raise DataError(f"{file}: {problem}")
    table.columns = pd.Index(header)  # blanks around a name are no part of it
    if labelled:
        if table.iloc[:, 0].duplicated().any():
            raise DataError(f"{file}: the first column has no name, and its values repeat, so they are not labels.")
        table = table.set_index(table.columns[0]).rename_axis(None)
    return _decimal_commas(table) if separator == ";" else table


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn the ways a text file can be broken into one-line errors."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text ({_reason(error)}): save it as UTF-8.") from error
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {_reason(error)}.") from error


@contextmanager
def _opened(file: Path) -> Iterator[io.TextIOBase]:
    # newline="" leaves line ends to the csv module, which knows the quoted ones.
    if file.name.lower().endswith(".gz"):
        with gzip.open(file, "rt", encoding="utf-8-sig", newline="") as stream:
            yield stream
    else:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            yield stream


def _header(file: Path, separators: Sequence[str]) -> tuple[list[str] | None, int, str]:
    """Return the names, the width of the first row, and the separator that gives most names."""
    best: tuple[list[str] | None, int, str] = (None, 0, separators[0])
    for separator in separators:
        with _opened(file) as stream:
            rows = filter(None, csv.reader(stream, delimiter=separator, skipinitialspace=True))
            header, row = next(rows, None), next(rows, [])
        if header is not None and len(header) > len(best[0] or ()):
            best = ([_visible(name.strip()) for name in header], len(row), separator)
    return best


def _ragged(file: Path, separator: str, width: int) -> str | None:
    """Describe the first row that has another number of fields than the header; None if all agree."""
    with _readable(file), _opened(file) as stream:
        rows = csv.reader(stream, delimiter=separator, skipinitialspace=True)
        for row in rows:
            if row and len(row) != width:
                return f"line {rows.line_num} has {len(row)} fields where the header has {width}."
    return None


def _decimal_commas(table: pd.DataFrame) -> pd.DataFrame:
    """Read 1,5 as a number in columns where every value is written so, or is whole."""
    import pandas as pd

    for name in table.columns:
        column = table[name]
        if not pd.api.types.is_string_dtype(column.dtype):
            continue
        present = column.dropna()
        if len(present) and all(isinstance(text, str) and _COMMA_NUMBER.fullmatch(text) for text in present):
            table[name] = pd.to_numeric(column.str.replace(",", ".", regex=False))
    return table


def _visible(text: Any) -> Any:
    """Write out the control characters of a text, and those that change its direction."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text) if isinstance(text, str) else text


def _written_out(table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    table.columns = pd.Index([_visible(name) for name in table.columns])
    if pd.api.types.is_string_dtype(table.index.dtype):
        table.index = table.index.map(_visible)
    for name in table.columns:
        column = table[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            wrong = [value for value in column.cat.categories if _visible(value) != value]
            if wrong:
                table[name] = column.astype(object).map(_visible, na_action="ignore").astype("category")
        elif pd.api.types.is_string_dtype(column.dtype) or column.dtype == object:
            seen = {value for value in column if isinstance(value, str) and _CONTROL.search(value)}
            if seen:
                table[name] = column.replace({value: _visible(value) for value in seen})
    return table


def _check_names(file: Path, names: Sequence[str]) -> None:
    unnamed = sum(not name.strip() for name in names)
    if unnamed:
        raise DataError(f"{file}: {unnamed} of {len(names)} columns have no name.")
    twice = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if twice:
        raise DataError(f"{file}: column names must differ, and these occur more than once: {quoted_list(twice)}.")


# ---------------------------------------------------------------- writing


def csv_text(table: pd.DataFrame, label: str | None = None) -> str:
    """Write a table of results as CSV that is safe to open in a spreadsheet.

    Parameters
    ----------
    table : pandas.DataFrame
    label : str, optional
        Name of the column with the row labels.

    Returns
    -------
    str
        Names, labels and text that begin with ``=``, ``+``, ``-`` or ``@``, which a spreadsheet would take for a
        formula and run, have an apostrophe before them. Numbers are as they are.
    """
    safe = table.rename(index=_quoted, columns=_quoted)
    for place in range(safe.shape[1]):
        if safe.dtypes.iloc[place].kind not in "biufc":
            safe.isetitem(place, [_quoted(value) for value in safe.iloc[:, place]])
    text: str = safe.to_csv(index_label=label)
    return text


def _quoted(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_RUNS_IN_A_SPREADSHEET) else value


# ---------------------------------------------------------------- columns with a role


def take_column(table: pd.DataFrame, name: str, what: str) -> tuple[pd.DataFrame, pd.Series]:
    """Take one column (the target, the weights) out of a table.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of n rows.
    name : str
        Name of the column.
    what : str
        What it is wanted for, for the message.

    Returns
    -------
    rest : pandas.DataFrame
        The table without the column.
    column : pandas.Series
        The column, n rows.

    Raises
    ------
    DataError
        If the name is unknown (the text lists the columns, and the nearest first), or no other column is left.
    """
    columns = [str(column) for column in table.columns]
    if name not in columns:
        near = difflib.get_close_matches(name, columns, n=1) or [
            column for column in columns if column.lower() == name.lower()
        ]
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise DataError(f"There is no column '{name}' for the {what}.{hint} The columns are: {quoted_list(columns)}.")
    if len(columns) == 1:
        raise DataError(f"No column is left beside the {what} '{name}'; the table has no other.")
    return table.drop(columns=[name]), table[name]
