"""The command ``bayesridge look TABLE``: what each column is taken for, and how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesridge.cli.options import AsJson, DecimalMark, Encoding, echo_json, in_options, one_line_errors

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    from bayesridge.tables.profile import Profile


def look(
    table: Annotated[Path, typer.Argument(help="CSV (also .tsv, .csv.gz) or Parquet file.")],
    target: Annotated[
        str | None, typer.Option(help="Name of the target column, for the command that is shown.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Column to leave out; may be repeated.", metavar="<str>")
    ] = None,
    encoding: Encoding = None,
    decimal: DecimalMark = None,
    as_json: AsJson = False,
) -> None:
    """Show what each column of a table is taken for, what is missing, and the command that fits it."""
    with one_line_errors():
        from bayesridge.posteriors.summary import SCHEMA
        from bayesridge.tables.files import read_noted, take_column
        from bayesridge.tables.profile import profile

        found = read_noted(table, encoding=encoding, decimal=decimal, drop=drop or [])
        if target is not None:
            take_column(found.table, target, "target")
        columns = profile(found.table, found.of_columns)
        of_file = [in_options(note) for note in found.of_file]
        reading = [
            word
            for flag, value in (("--encoding", encoding), ("--decimal", decimal))
            if value is not None
            for word in (flag, value)
        ]
        missing = int(found.table.drop(columns=[one.name for one in columns if one.useless]).isna().any(axis=1).sum())
        words = _command(table, columns, target, drop or [], reading, missing)
        if as_json:
            echo_json(
                {
                    "schema": SCHEMA, "rows": len(found.table), "notes": of_file,
                    "columns": [asdict(one) for one in columns], "rows_with_missing_values": missing, "command": words,
                }
            )  # fmt: skip
            return
        _print(table, len(found.table), columns, of_file, missing, shlex.join(words))


def _command(
    table: Path,
    columns: Sequence[Profile],
    target: str | None,
    drop: Sequence[str],
    reading: Sequence[str],
    missing: int,
) -> list[str]:
    """Return the words of the command that fits the table."""
    name = target or "TARGET"
    words = ["bayesridge", "fit", str(table), "--target", name]
    others = [one for one in columns if one.name != target]
    if any(one.kind == "text" and not one.useless for one in others):
        words += ["--formula", f"{name if name.isidentifier() else f'`{name}`'} ~ ."]
    for unused in [*drop, *[one.name for one in others if one.useless]]:
        words += ["--drop", unused]
    return [*words, *reading, *(["--missing", "drop"] if missing else [])]


def _print(
    path: Path, rows: int, columns: Sequence[Profile], of_file: Sequence[str], missing: int, command: str
) -> None:
    from bayesridge.cli.terminal import Screen

    screen = Screen.standard()
    screen.say(f": {rows} rows, {len(columns)} columns; {missing} rows with a missing value", lead=str(path))
    for note in of_file:
        screen.say(note)
    screen.say()
    cells: dict[str, list[str]] = {
        "taken for": [one.kind for one in columns],
        "different": [str(one.different) for one in columns],
        "missing": [str(one.missing) for one in columns],
        "from": [_short(one.low) for one in columns],
        "to": [_short(one.high) for one in columns],
    }
    screen.table("column", [one.name for one in columns], cells)
    for one in columns:
        if one.note:
            screen.say(f"{one.name}: {in_options(one.note)}")
    screen.say("Rows are counted from 0. Of text, the first two values are shown.")
    screen.say()
    screen.say("To fit it:")
    screen.line(command)
    if "--target TARGET" in command:
        screen.say("TARGET is the column to be predicted; look --target NAME writes it into this command.")


def _short(text: str, most: int = 20) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
