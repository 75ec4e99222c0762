"""The command ``bayesridge predict MODEL NEW.csv``: predictions of a saved model with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from bayesridge.atomic import write_atomically
from bayesridge.cli.options import (
    AsJson,
    DecimalMark,
    Drop,
    Encoding,
    Level,
    Missing,
    as_text,
    collected_warnings,
    echo_json,
    one_line_errors,
    working,
)

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    import pandas as pd

    from bayesridge.estimator.shared import Fitted

_MOST_ROWS = 60


def predict(
    model: Annotated[Path, typer.Argument(help="A model.bridge, or the folder that `fit --out` wrote it to.")],
    table: Annotated[
        Path, typer.Argument(help="CSV or Parquet file (or a folder of them) with the model's columns, in any order.")
    ],
    level: Level = 0.95,
    offset: Annotated[
        str | None, typer.Option(help="Column or expression, as log(years); what the fit was told, if left out.")
    ] = None,
    trials: Annotated[str | None, typer.Option(help="Column with the numbers of trials.")] = None,
    missing: Missing = "error",
    drop: Drop = None,
    encoding: Encoding = None,
    decimal: DecimalMark = None,
    out: Annotated[Path | None, typer.Option(help="File to write, .csv, .parquet or .json.")] = None,
    batches: Annotated[
        bool | None,
        typer.Option(help="Read rows in batches and write each to --out; by default of folders and large files."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the target of new rows: mean, sd and interval of a new observation, and interval of its expectation."""
    with one_line_errors():
        from bayesridge.errors import DataError
        from bayesridge.posteriors.written import ENDINGS, refuse_own_source
        from bayesridge.tables.batches import is_large
        from bayesridge.tables.files import read_table

        if out is not None and out.suffix not in (*ENDINGS, ".json"):
            raise DataError(f"--out {out}: the name should end in .csv, .parquet or .json")
        if out is not None:
            refuse_own_source(out, table)
        asked = _Asked(model, table, out, level, missing, offset, trials)
        if not (batches or (batches is None and is_large(table))):
            read = partial(read_table, table, encoding=encoding, decimal=decimal, drop=drop or [])
            _in_memory(asked, read, as_json=as_json)
            return
        if as_json or out is None or out.suffix == ".json" or encoding is not None or decimal is not None:
            raise DataError(
                "predictions of rows in batches are written to a file: say --out NAME.csv or NAME.parquet, and "
                "leave --json, --encoding and --decimal out"
            )
        _in_batches(asked, out, drop or [])


class _Asked(NamedTuple):
    """What is to be predicted, and how."""

    model: Path
    table: Path
    out: Path | None
    level: float
    missing: Literal["error", "drop"]
    offset: str | None
    trials: str | None

    def load(self) -> Fitted:
        from bayesridge.estimator.files import load

        return load(self.model)


def _in_memory(asked: _Asked, read: Callable[[], pd.DataFrame], *, as_json: bool) -> None:
    from bayesridge.estimator.batches import write_predictions
    from bayesridge.posteriors.summary import jsonable

    warned: list[str] = []
    out, level = asked.out, asked.level
    with collected_warnings(warned), working(f"predicting {asked.table}"):
        fitted = asked.load()
        found = _predicted(fitted, read(), level, missing=asked.missing, offset=asked.offset, trials=asked.trials)
    about = {"model": str(asked.model), "table": str(asked.table), "target": fitted.posterior_.design.target_name}
    record = {**_record(about, found, level), "warnings": warned}
    if out is not None and out.suffix == ".json":
        write_atomically(out, as_text(jsonable(record)) + "\n")
    elif out is not None:
        write_predictions(out, [found], level)
    if as_json:
        echo_json(jsonable(record))
        return
    _print(fitted, found, len(found), warned, out)


def _predicted(
    fitted: Fitted, new: pd.DataFrame, level: float, *, missing: Literal["error", "drop"], offset: str | None,
    trials: str | None,
) -> pd.DataFrame:  # fmt: skip
    """Predict the rows of a table, and name them as it does."""
    from bayesridge.estimator.batches import model_rows
    from bayesridge.tables.files import take_column
    from bayesridge.tables.formula import fit_expression

    rows = model_rows(fitted, new, missing)
    known: dict[str, Any] = {}
    if trials is not None:
        known["trials"] = take_column(new, trials, "trials")[1].loc[rows.index].to_numpy()
    if offset is not None:
        known["offset"] = fit_expression(offset, new.loc[rows.index], "offset").columns.values[:, 0]
    return fitted.predictions(rows, level, **known).set_axis(rows.index)


def _record(about: dict[str, str], found: pd.DataFrame, level: float) -> dict[str, Any]:
    from bayesridge.posteriors.summary import SCHEMA, jsonable, records

    each = zip(found.index, records(found, level).values(), strict=True)
    return {
        "schema": SCHEMA, **about, "level": level,
        "predictions": [{"row": jsonable(row), **one} for row, one in each],
    }  # fmt: skip


def _in_batches(asked: _Asked, out: Path, drop: list[str]) -> None:
    """Predict rows of files a batch at a time, and show the first of them."""
    from bayesridge.design.accumulate import Files
    from bayesridge.estimator.batches import predictions_of_files, write_predictions

    shown: list[pd.DataFrame] = []
    count = 0

    def seen(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        nonlocal count
        for frame in frames:
            count += len(frame)
            shown.extend([frame] if not shown else [])
            yield frame

    warned: list[str] = []
    with collected_warnings(warned), working(f"predicting {asked.table}") as counted:
        fitted = asked.load()
        files = Files(asked.table, drop, progress=counted)
        found = predictions_of_files(
            fitted, files, level=asked.level, missing=asked.missing, offset=asked.offset, trials=asked.trials
        )
        write_predictions(out, seen(found), asked.level)
    _print(fitted, shown[0], count, warned, out)


def _print(fitted: Fitted, found: pd.DataFrame, count: int, warned: list[str], out: Path | None) -> None:
    from bayesridge.cli.terminal import Screen
    from bayesridge.posteriors.shown import as_printed

    classes = getattr(fitted, "classes_", None)
    about = "a new observation, and its expectation (ETI: equal-tailed intervals)"
    if classes is not None:
        about = f"the more probable class, and the probability of {classes[1]} with its equal-tailed interval"
    screen = Screen.standard()
    screen.say(f" of {count} rows: {about}", lead=fitted.posterior_.design.target_name)
    screen.say()
    shown = as_printed(found.iloc[:_MOST_ROWS])
    screen.table("row", list(shown.index), {str(name): list(shown[name]) for name in shown})
    if count > _MOST_ROWS:
        screen.say(f"the first {len(shown)} of {count}; --out or --json give all")
    screen.close(warned, [] if out is None else [str(out)])
