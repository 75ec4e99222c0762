"""Files larger than memory, and folders of files, in batches of rows: Parquet by row group, CSV by block.

A unit (a row group, or a run of blocks of a CSV) is what is added up together and what an interrupted run goes on from.
What a file holds is taken by its schema: the guesses that :mod:`bayesridge.tables.files` makes of text need all of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bayesridge.errors import DataError, require
from bayesridge.tables.columns import quoted_list, visible
from bayesridge.tables.files import (
    PARQUET,
    SEPARATORS,
    TEXT,
    check_names,
    find_header,
    reason,
    unknown_column,
    written_out,
)

_VALUES = 1 << 21  # numbers in a batch
_MOST_ROWS = 1 << 16
_BUFFER = 1 << 20  # bytes read at a time: pyarrow's own default keeps whole row groups
_LARGE = 1_000_000_000  # bytes
_BLOCKS = 32  # of a CSV in a unit
_NULLS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip  # as pandas has them


class Batch(NamedTuple):
    """Some rows.

    Attributes
    ----------
    unit : int
        Which one they belong to.
    table : pyarrow.Table
    where : str
        For messages.
    """

    unit: int
    table: Any
    where: str


@dataclass(frozen=True, eq=False)
class FileTable:
    """A table in files, all with the same columns.

    Attributes
    ----------
    files : tuple of Path
    stamps : tuple of tuple of int
        Size and time of change of each file when it was opened.
    kinds : dict of str to str
        What each column holds: "numbers", "truth", "text", "categories" or the name of another type.
    raw : dict of str to str
        The columns' names in the files; control characters are written out in ours.
    n_rows : int or None
        None where only reading tells.
    """

    files: tuple[Path, ...]
    stamps: tuple[tuple[int, int], ...]
    kinds: dict[str, str]
    raw: dict[str, str]
    n_rows: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.kinds)

    @property
    def parquet(self) -> bool:
        """Whether the files are Parquet, else CSV."""
        return _is(self.files[0], PARQUET)

    def batches(self, columns: Sequence[str], skip: int = 0, width: int = 1) -> Iterator[Batch]:
        """All rows of some columns, in order, without the first units; so many that `width` numbers of each fit.

        Raises
        ------
        DataError
            If a file ends early, cannot be read, or was changed since it was opened.
        """
        unit, first = 0, 0
        size = max(256, min(_MOST_ROWS, _VALUES // max(len(columns), width)))
        read = _parquet_units if self.parquet else self._text_units
        raw = [self.raw[name] for name in columns]
        for k, file in enumerate(self.files):
            self._refuse_changed(k)
            with _in_words(f"{file}, rows from {first}"):
                for rows, tables in read(file, raw, size):
                    for table in tables(unit < skip):
                        for start in range(0, 0 if table is None else len(table), size):
                            part = table.slice(start, size)
                            where = f"{file}, rows counted from row {first}"
                            yield Batch(unit, part.select(raw).rename_columns(list(columns)), where)
                            first += len(part)
                    first += rows if unit < skip else 0
                    unit += 1
            self._refuse_changed(k)

    def _text_units(self, file: Path, raw: list[str], size: int) -> Iterator[tuple[int, Any]]:
        del size
        reader = _open_text(file, raw, {self.raw[name]: kind for name, kind in self.kinds.items()})
        ended = False

        def run(skipped: bool) -> Iterator[Any]:
            nonlocal ended
            for _ in range(_BLOCKS):
                block = next(reader, None)
                if block is None:
                    ended = True
                    return
                yield None if skipped else _as_table(block)

        while not ended:
            yield 0, run

    def _refuse_changed(self, k: int) -> None:
        if _stamp(self.files[k]) != self.stamps[k]:
            raise DataError(f"{self.files[k]} was changed while it was read: start again when it is complete")


def open_files(path: str | os.PathLike[str], drop: Sequence[str] = ()) -> FileTable:
    """Open a Parquet or CSV file, or a folder of files of one kind, without reading the rows.

    Parameters
    ----------
    path : str or path-like
        In a folder names that begin with ``.`` or ``_`` are passed over; the others are taken in their order.
    drop : sequence of str
        Columns to leave out.

    Raises
    ------
    DataError
        If there is no such file, or it cannot be read; or if a file's columns differ from those of the first.
    """
    root = Path(path)
    files = tuple(sorted(one for one in root.rglob("*") if _is_part(one, root))) if root.is_dir() else (root,)
    if not files:
        raise DataError(f"{root} has no files that end in {', '.join((*PARQUET, *TEXT))}")
    if odd := [one for one in files if not _is(one, PARQUET if _is(files[0], PARQUET) else TEXT)]:
        known = f"of the kind of {files[0].name}" if _is(files[0], (*PARQUET, *TEXT)) else "of a known kind"
        raise DataError(f"{odd[0]} is not {known}; files end in one of {', '.join((*PARQUET, *TEXT))}")
    stamps = tuple(_stamp(one) for one in files)
    describe = _describe_parquet if _is(files[0], PARQUET) else _describe_text
    first: dict[str, str] = {}
    raw: dict[str, str] = {}
    n_rows: int | None = 0
    for file in files:
        with _in_words(str(file)):
            kinds, own, rows = describe(file)
        check_names(file, list(kinds), drop if file == files[0] else [name for name in drop if name in kinds])
        kinds = {name: kind for name, kind in kinds.items() if name not in drop}
        if not first:
            first, raw = kinds, own
        _refuse_drift(file, kinds, files[0], first)
        n_rows = None if rows is None or n_rows is None else n_rows + rows
    if n_rows == 0:
        raise DataError(f"{root} has column names and no rows.")
    return FileTable(files, stamps, first, raw, n_rows)


def is_large(path: Path) -> bool:
    """Whether a table is a folder, or takes more than a gigabyte of memory."""
    if path.is_dir():
        return True
    if not path.is_file():
        return False  # who reads it says so
    if not _is(path, PARQUET):
        return path.stat().st_size > _LARGE // 2
    try:
        about = _open_parquet(path).metadata
    except (DataError, OSError, require("pyarrow", "parquet").ArrowException):
        return False
    return bool(8 * about.num_rows * about.num_columns > _LARGE)


def as_pandas(batch: Batch) -> Any:
    """A batch as a data frame, text as it would be read from a file in one piece."""
    return written_out(batch.table.to_pandas())


@contextmanager
def in_place(batch: Batch) -> Iterator[None]:
    """Say where the rows of an error are."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{batch.where}: {error}") from error


def wanted_column(name: str, table: FileTable, what: str) -> str:
    """Return the name of a column that has to be there."""
    if name not in table.kinds:
        raise unknown_column(name, list(table.names), what)
    return name


def _is(file: Path, endings: Sequence[str]) -> bool:
    return file.name.lower().endswith(tuple(endings))


def _is_part(file: Path, root: Path) -> bool:
    shown = all(not part.startswith((".", "_")) for part in file.relative_to(root).parts)
    return shown and file.is_file() and _is(file, (*PARQUET, *TEXT))


def _stamp(file: Path) -> tuple[int, int]:
    try:
        about = file.stat()
    except OSError as error:
        raise DataError(f"{file}: {reason(error)}.") from error
    if about.st_size == 0:
        raise DataError(f"{file} is empty.")
    return about.st_size, about.st_mtime_ns


def _refuse_drift(file: Path, kinds: dict[str, str], other: Path, first: dict[str, str]) -> None:
    absent, new = [name for name in first if name not in kinds], [name for name in kinds if name not in first]
    if absent or new:
        said = [f"lacks {quoted_list(absent)}"] * bool(absent) + [f"has {quoted_list(new)} besides"] * bool(new)
        raise DataError(f"{file} {' and '.join(said)}, compared with {other}: all files must have the same columns")
    for name, kind in kinds.items():
        if kind != first[name] and {kind, first[name]} not in ({"text", "categories"}, {"text", "nothing"}):
            if "nothing" in (kind, first[name]):
                continue
            raise DataError(f"{file} holds {kind} in column '{name}', and {other} holds {first[name]}")


@contextmanager
def _in_words(where: str) -> Iterator[None]:
    arrow = require("pyarrow", "parquet")
    try:
        yield
    except (arrow.ArrowException, OSError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        what = "it ends early, or is damaged"
        if "conversion error" in str(error):
            what = "its first megabyte holds other kinds of values, by which columns are read"
        raise DataError(f"{where}: {what} ({reason(error)})") from error


# ---------------------------------------------------------------- Parquet


def _describe_parquet(file: Path) -> tuple[dict[str, str], dict[str, str], int]:
    opened = _open_parquet(file)
    fields = [field for field in opened.schema_arrow if not field.name.startswith("__index_level_")]
    kinds = [(visible(field.name), _kind(field.type)) for field in fields]
    check_names(file, [name for name, _ in kinds], ())
    raw = {visible(field.name): field.name for field in fields}
    return dict(kinds), raw, int(opened.metadata.num_rows)


def _open_parquet(file: Path) -> Any:
    return require("pyarrow.parquet", "parquet").ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)


def _parquet_units(file: Path, raw: list[str], size: int) -> Iterator[tuple[int, Callable[[bool], Iterator[Any]]]]:
    opened = _open_parquet(file)
    for group in range(opened.num_row_groups):

        def run(skipped: bool, group: int = group) -> Iterator[Any]:
            if skipped:
                return
            for batch in opened.iter_batches(batch_size=size, row_groups=[group], columns=raw):
                yield _as_table(batch)

        yield int(opened.metadata.row_group(group).num_rows), run


def _as_table(batch: Any) -> Any:
    return require("pyarrow", "parquet").Table.from_batches([batch])


def _kind(dtype: Any) -> str:
    types = require("pyarrow", "parquet").types
    if types.is_dictionary(dtype):
        return "categories"
    if types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype):
        return "numbers"
    if types.is_boolean(dtype):
        return "truth"
    if types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype):
        return "text"
    return "nothing" if types.is_null(dtype) else str(dtype)


# ---------------------------------------------------------------- CSV


def _describe_text(file: Path) -> tuple[dict[str, str], dict[str, str], None]:
    names = _header_of(file)[0]
    check_names(file, names[1:] if names[0] == "" and len(names) > 1 else names, ())
    reader = _open_text(file, [name for name in names if name], {})
    kinds = {field.name: _kind(field.type) for field in reader.schema}
    return kinds, {name: name for name in kinds}, None


def _header_of(file: Path) -> tuple[list[str], str]:
    encoding = "utf-8-sig"  # which one it is would take a pass; pyarrow refuses what is not
    try:
        names, _, separator = find_header(file, ("\t",) if ".tsv" in file.name.lower() else SEPARATORS, encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text: save it as UTF-8") from error
    if names is None:
        raise DataError(f"{file} is empty.")
    return names, separator


def _open_text(file: Path, columns: list[str], kinds: dict[str, str]) -> Any:
    """Open a reader of blocks; whole numbers are read as float64, which decimals further down are too."""
    arrow, csv = require("pyarrow", "parquet"), require("pyarrow.csv", "parquet")
    names, separator = _header_of(file)
    types = {"numbers": arrow.float64(), "truth": arrow.bool_(), "text": arrow.string(), "nothing": arrow.float64()}
    return csv.open_csv(
        str(file),
        read_options=csv.ReadOptions(block_size=_BUFFER, column_names=names, skip_rows=1),
        parse_options=csv.ParseOptions(delimiter=separator),
        convert_options=csv.ConvertOptions(
            column_types={name: types[kind] for name, kind in kinds.items() if kind in types},
            include_columns=columns, null_values=list(_NULLS), strings_can_be_null=True,
        ),
    )  # fmt: skip
