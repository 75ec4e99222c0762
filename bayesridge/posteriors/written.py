"""Numbers for each of more rows than fit into memory, written to a file that is complete or absent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesridge.atomic import open_atomically
from bayesridge.errors import DataError, require
from bayesridge.tables.files import PARQUET, csv_text

if TYPE_CHECKING:
    import pandas as pd

#: Endings of the files that they are written to.
ENDINGS = (".csv", ".parquet")


def write_rows(path: str | Path, frames: Iterable[pd.DataFrame]) -> Path:
    """Write frames under one another, with a column ``row`` of their index, to a CSV or Parquet file.

    Raises
    ------
    DataError
        If the name ends in neither, or there are no rows.
    OSError
        If it cannot be written.
    """
    target, following = Path(path), iter(frames)
    check_ending(target)
    head = next(following, None)
    if head is None:
        raise DataError("no row is left: there is nothing to write")
    tables = chain([head], following)
    with open_atomically(target) as file:
        if target.suffix in PARQUET:
            _write_parquet(file, tables)
        else:
            for k, table in enumerate(tables):
                text = csv_text(table, "row")
                file.write((text if k == 0 else text.partition("\n")[2]).encode())
    return target


def check_ending(path: Path) -> None:
    """Refuse a name that says neither format."""
    if path.suffix not in ENDINGS:
        raise DataError(f"{path}: rows are written to a file that ends in {' or '.join(ENDINGS)}")


def _write_parquet(file: Any, tables: Iterable[pd.DataFrame]) -> None:
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    made = (arrow.Table.from_pandas(table.rename_axis("row").reset_index(), preserve_index=False) for table in tables)
    first = next(made)
    with parquet.ParquetWriter(file, first.schema) as writer:
        for one in chain([first], made):
            writer.write_table(one.cast(first.schema))


def refuse_own_source(out: str | Path, source: Any) -> None:
    """Refuse to write in the place of the rows, or among them."""
    path = getattr(source, "path", source)
    for one in (out, path):
        if not isinstance(one, (str, Path)):
            raise DataError(
                f"rows are read from files and written to a file, each named by its path, got {type(one).__name__}"
            )
    where, table = Path(out).resolve(), Path(path).resolve()
    if where == table or (table.is_dir() and table in where.parents):
        raise DataError(f"{out} is where the rows are: name another file for what is written")
