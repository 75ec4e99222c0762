"""The command ``bayesridge predict MODEL NEW.csv``: predictions of a saved model with their intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayesridge.cli.options import (
    AsJson,
    DecimalMark,
    Encoding,
    Level,
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
    table: Annotated[Path, typer.Argument(help="CSV or Parquet file with the model's columns, in any order.")],
    level: Level = 0.95,
    offset: Annotated[
        str | None, typer.Option(help="Column or expression, as log(years); what the fit was told, if left out.")
    ] = None,
    trials: Annotated[str | None, typer.Option(help="Column with the numbers of trials.")] = None,
    missing: Annotated[
        Literal["error", "drop"], typer.Option(help="What to do with rows that have missing values.")
    ] = "error",
    drop: Annotated[list[str] | None, typer.Option(help="Column of the table to ignore; may be repeated.")] = None,
    encoding: Encoding = None,
    decimal: DecimalMark = None,
    out: Annotated[Path | None, typer.Option(help="File to write, .csv or .json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the target of new rows: mean, sd and interval of a new observation, and interval of its expectation."""
    with one_line_errors():
        from bayesridge.errors import DataError
        from bayesridge.estimator.files import load
        from bayesridge.posteriors.summary import SCHEMA, jsonable, keyed, records
        from bayesridge.tables.files import read_table, take_column
        from bayesridge.tables.formula import fit_expression

        if out is not None and out.suffix not in (".csv", ".json"):
            raise DataError(f"--out {out}: the name should end in .csv or .json")
        warned: list[str] = []
        with collected_warnings(warned), working(f"predicting {table}"):
            fitted = load(model / "model.bridge" if model.is_dir() else model)
            new = read_table(table, encoding=encoding, decimal=decimal, drop=drop or [])
            rows = _rows(fitted, new, missing)
            known: dict[str, Any] = {}
            if trials is not None:
                known["trials"] = take_column(new, trials, "trials")[1].loc[rows.index].to_numpy()
            if offset is not None:
                known["offset"] = fit_expression(offset, new.loc[rows.index], "offset").columns.values[:, 0]
            found = fitted.predictions(rows, level, **known).set_axis(rows.index)
        design = fitted.posterior_.design
        record = {
            "schema": SCHEMA, "model": str(model), "table": str(table), "target": design.target_name, "level": level,
            "predictions": [
                {"row": jsonable(row), **one}
                for row, one in zip(found.index, records(found, level).values(), strict=True)
            ],
            "warnings": warned,
        }  # fmt: skip
        if out is not None:
            _save(keyed(found, level).assign(level=level), jsonable(record), out)
        if as_json:
            echo_json(jsonable(record))
            return
        classes = getattr(fitted, "classes_", None)
        about = "a new observation, and its expectation (ETI: equal-tailed intervals)"
        if classes is not None:
            about = f"the more probable class, and the probability of {classes[1]} with its equal-tailed interval"
        _print(found, design.target_name, about, warned, out)


def _rows(fitted: Fitted, table: pd.DataFrame, missing: str) -> pd.DataFrame:
    """Take the model's columns, by their names, and the rows that are complete where others are to be left out."""
    from bayesridge.errors import DataError, DroppedRowsWarning, warn
    from bayesridge.tables.columns import listed, quoted_list

    names = list(fitted.variables_ or table.columns)
    if fitted._table.offset is not None:
        names += [name for name in fitted._table.offset.variables if name not in names]
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise DataError(
            f"the model needs columns that the table does not have: {quoted_list(absent)}. The table has: "
            f"{quoted_list(table.columns)}."
        )
    rows = table[names]
    gaps = rows.isna()
    if not gaps.to_numpy().any():
        return rows
    where = listed([f"'{name}' in row {gaps.index[gaps[name]][0]}" for name in names if gaps[name].any()])
    count = int(gaps.any(axis=1).sum())
    if missing == "error":
        raise DataError(
            f"{count} of {len(rows)} rows have missing values, the first of each column: {where}. There is no "
            'prediction for them: fill them in, or use missing="drop" to leave them out.'
        )
    warn(f"Left out {count} of {len(rows)} rows with missing values ({where}).", DroppedRowsWarning)
    return rows.dropna()


def _save(found: pd.DataFrame, record: dict[str, object], out: Path) -> None:
    from bayesridge.atomic import write_atomically
    from bayesridge.tables.files import csv_text

    text = csv_text(found, "row") if out.suffix == ".csv" else as_text(record) + "\n"
    write_atomically(out, text.encode())


def _print(found: pd.DataFrame, target: str, about: str, warned: list[str], out: Path | None) -> None:
    from bayesridge.cli.terminal import Screen
    from bayesridge.posteriors.shown import as_printed

    screen = Screen.standard()
    screen.say(f" of {len(found)} rows: {about}", lead=target)
    screen.say()
    shown = as_printed(found.iloc[:_MOST_ROWS])
    screen.table("row", list(shown.index), {str(name): list(shown[name]) for name in shown})
    if len(found) > _MOST_ROWS:
        screen.say(f"the first {_MOST_ROWS} of {len(found)}; --out or --json give all")
    screen.close(warned, [] if out is None else [str(out)])
