r"""Reading a table from a file, and writing one, for the command line.

pandas does the parsing.  What it would pass over in silence is looked for here: a column name that occurs
twice (it renames the second), a row that is too short (it fills up) or one field too long (it moves all
columns by one).  What text means is left to `guess`, and said.  What a file says reaches terminals and spreadsheets:
control characters are written out as they are read (``\x1b``), and text that a spreadsheet would run is quoted as
it is written.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bayesridge.errors import DataError, ReadingWarning, require, warn
from bayesridge.tables.columns import quoted_list, visible
from bayesridge.tables.encodings import LATIN, find_encoding
from bayesridge.tables.guess import Decimal, decimal_mark, guess

if TYPE_CHECKING:
    import pandas as pd

TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
PARQUET = (".parquet", ".pq")
SEPARATORS = (",", ";", "\t")
_GROUPED = re.compile(r"\s*[-+]?[0-9]{1,3}(\.[0-9]{3})+\s*")
_RUNS_IN_A_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r")


class Reading(NamedTuple):
    """A table, and what was decided while it was read.

    Attributes
    ----------
    table : pandas.DataFrame
    of_file : tuple of str
        On the file as a whole.
    of_columns : dict of str to str
    """

    table: pd.DataFrame
    of_file: tuple[str, ...]
    of_columns: dict[str, str]


def read_table(
    path: str | os.PathLike[str],
    *,
    encoding: str | None = None,
    decimal: Decimal | None = None,
    drop: Sequence[str] = (),
) -> pd.DataFrame:
    r"""Read a CSV or Parquet file.

    Parameters
    ----------
    path : str or path-like
        ``.csv`` or ``.tsv`` (also ``.csv.gz``, ``.tsv.gz``), with one line of names first; the separator of a ``.csv``
        is whichever of comma, semicolon and tab its first line has most of.  Blanks around names and after separators
        are dropped.  Or ``.parquet``.  Control characters in names and text, line ends too, are written out: ``\n``,
        ``\x1b``.
    encoding : str, optional
        UTF-8, or UTF-16 with its mark, by default; Windows' Latin-1 (cp1252) where the file is neither.
    decimal : {".", ","}, optional
        What stands before decimals; by default what the numbers themselves show, and where they do not, a comma in a
        file with semicolons.
    drop : sequence of str
        Columns to leave out; one of them may be there twice.

    Returns
    -------
    pandas.DataFrame
        At least one row and one column.  A first column without a name, its values all different, holds
        row labels, as R and pandas write them, and becomes the index.  Text is taken for numbers where all of a
        column are, separators of thousands or a unit (``%``, ``$``) apart, for dates where all are of one layout, and
        marks such as ``?`` among them for missing values.

    Raises
    ------
    DataError
        One line, if the file does not exist, cannot be read, is of another kind, is empty, has no rows,
        has column names that are missing or occur twice, or rows of different lengths.
    MissingExtraError
        If a Parquet file is given and pyarrow is not installed.

    Warns
    -----
    ReadingWarning
        On what was decided.
    """
    found = read_noted(path, encoding=encoding, decimal=decimal, drop=drop)
    for note in found.of_file:
        warn(note, ReadingWarning)
    if found.of_columns:
        warn("; ".join(f"column '{name}': {note}" for name, note in found.of_columns.items()), ReadingWarning)
    return found.table


def read_noted(
    path: str | os.PathLike[str],
    *,
    encoding: str | None = None,
    decimal: Decimal | None = None,
    drop: Sequence[str] = (),
) -> Reading:
    """Read a file, and note what was decided; see :func:`read_table`."""
    file = Path(path)
    name = file.name.lower()
    if not name.endswith(TEXT + PARQUET):
        known = ", ".join((*TEXT, *PARQUET))
        raise DataError(f"{file}: unknown kind of file; the name should end in one of {known}.")
    if file.is_dir():
        raise DataError(f"{file} is a directory; a file is expected.")
    try:
        size = file.stat().st_size
    except OSError as error:
        raise DataError(f"{file}: {reason(error)}.") from error
    if size == 0:
        raise DataError(f"{file} is empty.")
    if name.endswith(PARQUET):
        found = Reading(_read_parquet(file, drop), (), {})
    else:
        found = _read_text(file, name, encoding, decimal, drop)
    if len(found.table) == 0:
        raise DataError(f"{file} has column names and no rows.")
    if found.table.shape[1] == 0:
        raise DataError(f"{file}: no column is left.")
    return found._replace(table=written_out(found.table))


def reason(error: Exception) -> str:
    """Return what an error of the system says, on one line."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())  # one line


# ---------------------------------------------------------------- Parquet


def _read_parquet(file: Path, drop: Sequence[str]) -> pd.DataFrame:
    parquet = require("pyarrow.parquet", "parquet")
    arrow = require("pyarrow", "parquet")
    try:
        table = parquet.ParquetFile(file).read()
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{file} cannot be read as Parquet: {reason(error)}") from error
    names = [visible(name) for name in table.column_names]
    check_names(file, names, drop)
    frame: pd.DataFrame = table.to_pandas()
    return frame.loc[:, [name not in drop for name in map(visible, frame.columns)]]


# ---------------------------------------------------------------- CSV


def _read_text(file: Path, name: str, encoding: str | None, decimal: Decimal | None, drop: Sequence[str]) -> Reading:
    import pandas as pd

    separators = ("\t",) if name.removesuffix(".gz").endswith(".tsv") else SEPARATORS
    with _readable(file):
        asked, encoding = encoding, find_encoding(file, encoding)
        header, first, separator = find_header(file, separators, encoding)
    if header is None:
        raise DataError(f"{file} is empty.")
    labelled = header[0] == "" and len(header) > 1
    check_names(file, header[1:] if labelled else header, drop)

    def parse(**options: Any) -> pd.DataFrame:
        frame: pd.DataFrame = pd.read_csv(
            file, sep=separator, encoding=encoding, skipinitialspace=True, low_memory=False,
            compression="gzip" if name.endswith(".gz") else None, **options,
        )  # fmt: skip
        return frame

    try:
        with _readable(file):
            table = parse()
    except pd.errors.ParserError as error:
        raise DataError(f"{file}: {_ragged(file, separator, len(header), encoding) or reason(error)}") from error
    # Where rows are longer than the header pandas takes their first fields for labels, and it fills up short
    # ones. Both leave some row without its last field, or have all rows alike: only then is a second look needed.
    suspicious = first != len(header) or bool(table.iloc[:, -1].isna().any())
    problem = _ragged(file, separator, len(header), encoding) if suspicious else None
    if problem:
        raise DataError(f"{file}: {problem}")
    table.columns = pd.Index(header)  # blanks around a name are no part of it
    if labelled:
        if table.iloc[:, 0].duplicated().any():
            raise DataError(f"{file}: the first column has no name, and its values repeat, so they are not labels.")
        table = table.set_index(table.columns[0]).rename_axis(None)
    table = table.loc[:, [column not in drop for column in table.columns]]
    usual: Decimal = "," if separator == ";" else "."
    table, notes = _understood(table, decimal, usual, lambda wanted: parse(dtype=str).iloc[:, wanted], header)
    of_file = (
        ()
        if asked or encoding != LATIN
        else (f'{file} is not UTF-8 and was read as Latin-1 ({LATIN}); encoding="..." reads another',)
    )
    return Reading(table, of_file, notes)


def _understood(
    table: pd.DataFrame,
    decimal: Decimal | None,
    usual: Decimal,
    as_text: Callable[[list[int]], pd.DataFrame],
    header: Sequence[str],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Take columns of text for what they mean."""
    import pandas as pd

    texts = [name for name in table.columns if pd.api.types.is_string_dtype(table[name].dtype)]
    distinct = (text for name in texts for text in table[name].dropna().unique() if isinstance(text, str))
    known = decimal or decimal_mark(distinct)
    mark = known or usual
    guesses = {name: guess(table[name], mark, usual, sure=known is not None) for name in texts}
    commas = [name for name in texts if guesses[name] is not None and _has_decimals(table[name], ",")]
    if mark == "," and (commas or decimal):
        # Where decimals have a comma, 2.783 is a number of thousands: pandas has taken it for a small one.
        floats = [name for name in table.columns if table[name].dtype.kind == "f"]
        raw = as_text([header.index(name) for name in floats]) if floats else table[[]]
        for name, column in zip(floats, (raw.iloc[:, j] for j in range(len(floats))), strict=True):
            if column.dropna().map(_GROUPED.fullmatch).notna().all() and column.notna().any():
                column.index = table.index
                guesses[name] = guess(column, mark, usual)
    found = {name: one for name, one in guesses.items() if one is not None}
    for name, one in found.items():
        table = table.assign(**{name: one.values})
    return table, {name: one.note for name, one in found.items() if one.note}


def _has_decimals(column: pd.Series[Any], mark: str) -> bool:
    return bool(column.dropna().astype(str).str.contains(mark, regex=False).any())


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn the ways a text file can be broken into one-line errors."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(
            f'{file} is not UTF-8 text ({reason(error)}): say encoding="...", or save it as UTF-8.'
        ) from error
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeError) as error:
        raise DataError(f"{file} cannot be read: {reason(error)}.") from error


@contextmanager
def _opened(file: Path, encoding: str) -> Iterator[io.TextIOBase]:
    # newline="" leaves line ends to the csv module, which knows the quoted ones.
    if file.name.lower().endswith(".gz"):
        with gzip.open(file, "rt", encoding=encoding, newline="") as stream:
            yield stream
    else:
        with open(file, encoding=encoding, newline="") as stream:
            yield stream


def find_header(file: Path, separators: Sequence[str], encoding: str) -> tuple[list[str] | None, int, str]:
    """Return the names, the width of the first row, and the separator that gives most names."""
    best: tuple[list[str] | None, int, str] = (None, 0, separators[0])
    for separator in separators:
        with _opened(file, encoding) as stream:
            rows = filter(None, csv.reader(stream, delimiter=separator, skipinitialspace=True))
            header, row = next(rows, None), next(rows, [])
        if header is not None and len(header) > len(best[0] or ()):
            best = ([visible(name.strip()) for name in header], len(row), separator)
    return best


def _ragged(file: Path, separator: str, width: int, encoding: str) -> str | None:
    """Describe the first row that has another number of fields than the header; None if all agree."""
    with _readable(file), _opened(file, encoding) as stream:
        rows = csv.reader(stream, delimiter=separator, skipinitialspace=True)
        for row in rows:
            if row and len(row) != width:
                return f"line {rows.line_num} has {len(row)} fields where the header has {width}."
    return None


def written_out(table: pd.DataFrame) -> pd.DataFrame:
    """Write out the control characters of a table, in place."""
    import pandas as pd

    table.columns = pd.Index([visible(name) for name in table.columns])
    if pd.api.types.is_string_dtype(table.index.dtype):
        table.index = table.index.map(visible)
    for name in table.columns:
        column = table[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            wrong = [value for value in column.cat.categories if visible(value) != value]
            if wrong:
                table[name] = column.astype(object).map(visible, na_action="ignore").astype("category")
        elif pd.api.types.is_string_dtype(column.dtype) or column.dtype == object:
            seen = {value for value in column if isinstance(value, str) and visible(value) != value}
            if seen:
                table[name] = column.replace({value: visible(value) for value in seen})
    return table


def check_names(file: Path, names: Sequence[str], drop: Sequence[str]) -> None:
    """Refuse columns to leave out that are not there, and names that are missing or occur twice."""
    for name in drop:
        if name not in names:
            raise unknown_column(name, names, "drop")
    names = [name for name in names if name not in drop]
    unnamed = sum(not name.strip() for name in names)
    if unnamed:
        raise DataError(f"{file}: {unnamed} of {len(names)} columns have no name.")
    twice = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if twice:
        raise DataError(
            f"{file}: column names must differ, and these occur more than once: {quoted_list(twice)}. Rename them in "
            f'the file, or leave them out: drop="{twice[0]}".'
        )


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
        raise unknown_column(name, columns, what)
    if len(columns) == 1:
        raise DataError(f"No column is left beside the {what} '{name}'; the table has no other.")
    return table.drop(columns=[name]), table[name]


def unknown_column(name: str, columns: Sequence[str], what: str) -> DataError:
    """Return the error that a name is not among the columns, and which may have been meant."""
    near = difflib.get_close_matches(name, columns, n=1) or [
        column for column in columns if column.lower() == name.lower()
    ]
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return DataError(f"There is no column '{name}' for the {what}.{hint} The columns are: {quoted_list(columns)}.")
