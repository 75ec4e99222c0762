"""One pass over rows that do not fit into memory, or lie on a cluster: only statistics are kept.

Rows are added up unit by unit (a row group of a file, a partition of a cluster) and the units pairwise, as a binary
counter adds: the tree depends on the number of units alone, so that an interrupted run, or one on other workers, makes
the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.atomic import write_atomically
from bayesridge.bundle import Bundle, pack, unpack
from bayesridge.design.statistics import Moments, Statistics, statistics_of_state
from bayesridge.errors import DataError, DroppedRowsWarning, ModelFileError, require, warn
from bayesridge.parallel.threads import threads_for
from bayesridge.tables.batches import Batch, FileTable, in_place, open_files
from bayesridge.tables.files import take_column
from bayesridge.tables.streamed import Rows, row_reader

_FORMAT = "bayesridge run"
_PAUSE = 1.0  # seconds between checkpoints, at least


@dataclass(frozen=True)
class Files:
    """Files that are read in batches of rows.

    Attributes
    ----------
    path : str or Path
        A Parquet or CSV file, or a folder of files of one kind, with the same columns.
    drop : sequence of str
        Columns to leave out.
    checkpoint : str, Path or None
        File that keeps what was added up so far: an interrupted run goes on from there, to the same bits. It is removed
        at the end.
    progress : callable or None
        Called with the rows done, the rows in all (None where only reading tells), and rows per second.
    """

    path: str | Path
    drop: Sequence[str] = ()
    checkpoint: str | Path | None = None
    progress: Callable[[int, int | None, float], None] | None = None


def is_streamed(source: Any) -> bool:
    """Whether a source of rows is read in parts: files, or what a cluster computes."""
    first = source[0] if isinstance(source, (list, tuple)) and source else None
    return isinstance(source, (str, Path, Files)) or hasattr(source, "to_delayed") or hasattr(first, "__dask_graph__")


def accumulate(
    source: Any,
    y: Any = None,
    *,
    weights: Any = None,
    formula: str | None = None,
    offset: str | None = None,
    missing: Literal["error", "drop"] = "error",
    kind: type[Statistics] = Moments,
) -> Any:
    """Add up the rows of files, of a cluster's collections or of a table in memory, in one pass.

    Parameters
    ----------
    source : path, Files, collection, sequence of delayed, or table
        A Parquet or CSV file or a folder of files (:class:`Files` has options); anything with ``to_delayed()`` (Dask's
        arrays and data frames), or a list of delayed tables, or of delayed (X, y) or (X, y, weights); a table.
    y, weights : str, or collection
        Names of columns; or beside arrays what goes with their rows, in the same partitions.
    formula : str, optional
        Of files. Categories are found in a pass of their own; what learns numbers from all rows (``center``, splines),
        or looks at the rows around (``lag``), is refused.
    offset : str, optional
        Of files: a column, or an expression of a row's own columns, that is taken off the target.
    missing : {"error", "drop"}
        What to do with rows that have missing values.
    kind : {Moments, Triangle}

    Returns
    -------
    Moments or Triangle

    Raises
    ------
    DataError
        For data that cannot be used, naming file, column and row; if a file was changed while it was read, or a
        checkpoint is of another run.
    """
    if isinstance(source, (str, Path)):
        source = Files(source)
    if isinstance(source, Files):
        table = open_files(source.path, source.drop)
        read = row_reader(table, y, weights, formula, offset)
        with threads_for(max(len(read.predictors), 32)):  # BLAS's threads spin between batches of whatever width
            total = _add_files(source, table, read, missing, kind)
    elif formula is not None or offset is not None:
        what = "a formula is for files, or for posterior(...)" if offset is None else "an offset is for files"
        raise DataError(
            f"{what}: leave it out for {type(source).__name__}" + (", and subtract it from y" if offset else "")
        )
    elif is_streamed(source):
        total = _add_delayed(source, y, weights, missing, kind)
    else:
        return kind.of(source, y, weights, missing=missing)
    if total.tally.n_dropped:
        n_rows = total.tally.n_rows + total.tally.n_dropped
        warn(f"Left out {total.tally.n_dropped} of {n_rows} rows with missing values.", DroppedRowsWarning)
    return total


# -- files ---------------------------------------------------------------------------------------------------------


def _add_files(source: Files, table: FileTable, read: Rows, missing: str, kind: type[Statistics]) -> Statistics:
    counter, asked = Counter(), _asked(table, read, missing, kind)
    checkpoint = None if source.checkpoint is None else Path(source.checkpoint)
    if checkpoint is not None and checkpoint.exists():
        counter = _resumed(checkpoint, asked)
    before, start = counter.rows, time.monotonic()
    saved = start
    following = ahead(table.batches(read.needed, counter.units, read.width))
    for unit, batches in groupby(following, key=lambda batch: batch.unit):
        counter.add(unit, sum(_statistics(batch, read, missing, kind) for batch in batches))  # type: ignore[arg-type]
        now = time.monotonic()
        if checkpoint is not None and now - saved > _PAUSE:
            _save(checkpoint, counter, asked)
            saved = now
        if source.progress is not None:
            source.progress(counter.rows, table.n_rows, (counter.rows - before) / max(now - start, 1e-9))
    total = counter.total()
    if total is None:
        raise DataError(f"{table.files[0]} has column names and no rows.")
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return total


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Read the next batch while one is added up."""
    with ThreadPoolExecutor(1, thread_name_prefix="bayesridge-read") as reader:
        following = reader.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = reader.submit(next, batches, None)
            yield batch


def _statistics(batch: Batch, read: Rows, missing: str, kind: type[Statistics]) -> Statistics:
    with in_place(batch):
        columns, y, w = read(batch)
        return kind.of_columns(
            columns, y, w, missing=missing, target_name=read.target_name, spec=read.spec, offset=read.offset
        )


@dataclass
class Counter:
    """A binary counter of statistics: two of the same height are merged to one of the next."""

    units: int = 0
    stack: tuple[tuple[int, Statistics], ...] = ()

    @property
    def rows(self) -> int:
        """Rows read so far."""
        return sum(one.tally.n_rows + one.tally.n_dropped for _, one in self.stack)

    def add(self, unit: int, one: Statistics) -> None:
        """Add the statistics of a unit; those without rows may be passed over."""
        height, stack = 0, list(self.stack)
        while stack and stack[-1][0] == height:
            one, height = stack.pop()[1] + one, height + 1
        self.stack, self.units = (*stack, (height, one)), unit + 1

    def total(self) -> Statistics | None:
        """All that was added."""
        parts = [one for _, one in self.stack]
        while len(parts) > 1:
            parts[-2:] = [parts[-2] + parts[-1]]
        return parts[0] if parts else None


def _asked(table: FileTable, read: Rows, missing: str, kind: type[Statistics]) -> dict[str, Any]:
    files = [[str(one.absolute()), *stamp] for one, stamp in zip(table.files, table.stamps, strict=True)]
    return {
        "files": files, "columns": list(read.needed), "target": read.target_name, "weights": read.weights,
        "formula": read.formula,
        "offset": None if read.offset is None else read.offset.formula, "missing": missing, "kind": kind.kind,
    }  # fmt: skip


def _save(path: Path, counter: Counter, asked: dict[str, Any]) -> None:
    facts = {
        "format": _FORMAT, "asked": asked, "units": counter.units, "heights": [height for height, _ in counter.stack],
        "parts": [one.facts() for _, one in counter.stack],
    }  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {}
    for k, (_, one) in enumerate(counter.stack):
        arrays |= {f"{name}_{k}": values for name, values in one.arrays().items()}
    write_atomically(path, pack(Bundle(facts, arrays)))


def _resumed(path: Path, asked: dict[str, Any]) -> Counter:
    facts, arrays = unpack(path)
    if facts.get("format") != _FORMAT:
        raise ModelFileError(f"{path} is not the checkpoint of a run: name a file of its own")
    if other := [name for name, one in asked.items() if facts["asked"].get(name) != one]:
        raise DataError(
            f"the checkpoint {path} is of another run ({', '.join(other)} differ): remove it to start again, or name "
            "another file"
        )
    parts = []
    for k, of in enumerate(facts["parts"]):
        own = {name.removesuffix(f"_{k}"): one for name, one in arrays.items() if name.endswith(f"_{k}")}
        parts.append(statistics_of_state((of, own)))
    return Counter(int(facts["units"]), tuple(zip(facts["heights"], parts, strict=True)))


# -- clusters ------------------------------------------------------------------------------------------------------


def _add_delayed(source: Any, y: Any, weights: Any, missing: str, kind: type[Statistics]) -> Any:
    """Add up the parts where they are, and the statistics pairwise in the order of the parts."""
    delayed = require("dask", "dask").delayed
    parts = _parts(source, "X")
    beside: list[Any] = []
    for one, what in ((y, "y"), (weights, "weights")):
        own = [one] * len(parts) if one is None or isinstance(one, str) else _parts(one, what)
        if len(own) != len(parts):
            raise DataError(f"X has {len(parts)} partitions and {what} {len(own)}: rechunk them alike")
        beside.append(own)
    added = [delayed(_add_part)(kind, missing, *one) for one in zip(parts, *beside, strict=True)]
    while len(added) > 1:
        pairs = [delayed(_merge)(*added[k : k + 2]) for k in range(0, len(added) - 1, 2)]
        added = pairs + added[2 * len(pairs) :]
    return added[0].compute()


def _parts(collection: Any, what: str) -> list[Any]:
    parts = collection.to_delayed() if hasattr(collection, "to_delayed") else collection
    if isinstance(parts, np.ndarray):
        if parts.ndim == 2 and parts.shape[1] > 1:
            cut = f"{what} is cut into {parts.shape[1]} blocks of columns"
            raise DataError(f"{cut}: rechunk it by rows, X.rechunk({{1: -1}})")
        parts = parts.ravel()
    return list(parts)


def _add_part(kind: type[Statistics], missing: Any, part: Any, y: Any, w: Any) -> Statistics:
    if isinstance(part, tuple):
        part, y, w = (*part, None)[:3]
    if isinstance(y, str):
        part, y = take_column(part, y, "target")
    if isinstance(w, str):
        part, w = take_column(part, w, "weights")
    return kind.of(part, y, w, missing=missing)


def _merge(one: Statistics, other: Statistics) -> Statistics:
    return one + other
