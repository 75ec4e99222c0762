"""Predictions of more rows than fit into memory: files in batches of rows, to a file that is complete or absent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bayesridge.design.accumulate import Files
from bayesridge.errors import DataError, DroppedRowsWarning, warn
from bayesridge.posteriors.quantity import check_level
from bayesridge.posteriors.summary import keyed
from bayesridge.posteriors.written import write_rows
from bayesridge.tables.batches import as_pandas, in_place, open_files
from bayesridge.tables.columns import listed, quoted_list
from bayesridge.tables.missing import check_missing
from bayesridge.tables.streamed import fit_by_row

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 1 << 13  # predicted at once: a number for each and each node of lambda, some times over


def predictions_of_files(
    fitted: Any,
    source: str | Path | Files,
    *,
    level: float = 0.95,
    missing: Literal["error", "drop"] = "error",
    offset: str | None = None,
    trials: str | None = None,
) -> Iterator[pd.DataFrame]:
    """Predict rows of files, a batch at a time.

    Parameters
    ----------
    fitted : estimator
    source : str, Path or Files
        A Parquet or CSV file or a folder of files, with the columns of the fit in any order.
    level : float
        Of the intervals.
    missing : {"error", "drop"}
        What to do with rows that have missing values.
    offset : str, optional
        Column, or expression of each row's own columns; what the fit was told, if left out.
    trials : str, optional
        Column with the numbers of trials.

    Yields
    ------
    pandas.DataFrame
        As ``fitted.predictions`` makes of a table; rows are counted through all files.

    Raises
    ------
    DataError
        For data that cannot be used, naming file, column and row; if a file ends early or was changed while it was
        read.
    """
    files = source if isinstance(source, Files) else Files(source)
    if files.checkpoint is not None:
        raise DataError("a checkpoint is for sums of rows: predictions are made anew, leave checkpoint out")
    check_level(level)
    check_missing(missing)
    table = open_files(files.path, files.drop)
    made = None if offset is None else fit_by_row(offset, table, "offset")
    beside = [*(() if made is None else made.variables), *(() if trials is None else (trials,))]
    plain = [name for name in table.names if name not in beside]
    needed = list(dict.fromkeys([*(wanted_columns(fitted) or plain), *beside]))
    _refuse_absent(needed, table.names)
    first, dropped, start = 0, 0, time.monotonic()
    for batch in table.batches(needed):
        for k in range(0, len(batch.table), _ROWS):
            with in_place(batch):
                frame = as_pandas(batch._replace(table=batch.table.slice(k, _ROWS)))
                frame.index += first
                rows = complete_rows_of(frame[wanted_columns(fitted) or plain], missing, quiet=True)
                known: dict[str, Any] = {} if trials is None else {"trials": frame[trials].loc[rows.index].to_numpy()}
                if made is not None:
                    known["offset"] = made.transform(frame.loc[rows.index]).values[:, 0]
                if len(rows):
                    yield fitted.predictions(rows, level, **known).set_axis(rows.index)
            first, dropped = first + len(frame), dropped + len(frame) - len(rows)
        if files.progress is not None:
            files.progress(first, table.n_rows, first / max(time.monotonic() - start, 1e-9))
    if dropped:
        warn(f"Left out {dropped} of {first} rows with missing values.", DroppedRowsWarning)


def write_predictions(path: str | Path, frames: Iterable[pd.DataFrame], level: float) -> Path:
    """Write predictions to a CSV or Parquet file, columns as in JSON; see :func:`write_rows`."""
    return write_rows(path, (keyed(one, level).assign(level=level) for one in frames))


def wanted_columns(fitted: Any) -> list[str]:
    """Columns that a table of new rows needs; none where the fit had none with names."""
    offset = fitted._table.offset
    beside = () if offset is None or not fitted.variables_ else offset.variables
    return list(dict.fromkeys([*fitted.variables_, *beside]))


def _refuse_absent(needed: list[str], names: Iterable[str]) -> None:
    if absent := [name for name in needed if name not in names]:
        raise DataError(
            f"the model needs columns that the table does not have: {quoted_list(absent)}. The table has: "
            f"{quoted_list(names)}."
        )


def model_rows(fitted: Any, table: pd.DataFrame, missing: str) -> pd.DataFrame:
    """Take the model's columns of a table by their names, and the rows that are complete if others are left out."""
    names = wanted_columns(fitted) or list(table.columns)
    _refuse_absent(names, table.columns)
    return complete_rows_of(table[names], missing)


def complete_rows_of(rows: pd.DataFrame, missing: str, *, quiet: bool = False) -> pd.DataFrame:
    """Rows without missing values; which others there are is an error, or a warning unless `quiet`."""
    gaps = rows.isna()
    if not gaps.to_numpy().any():
        return rows
    where = listed([f"'{name}' in row {gaps.index[gaps[name]][0]}" for name in rows.columns if gaps[name].any()])
    count = int(gaps.any(axis=1).sum())
    if missing == "error":
        raise DataError(
            f"{count} of {len(rows)} rows have missing values, the first of each column: {where}. There is no "
            'prediction for them: fill them in, or use missing="drop" to leave them out.'
        )
    if not quiet:
        warn(f"Left out {count} of {len(rows)} rows with missing values ({where}).", DroppedRowsWarning)
    return rows.dropna()
