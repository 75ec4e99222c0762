"""The command ``bayesridge validate TABLE --target y``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesridge.cli.options import (
    AsJson,
    FamilyName,
    Jobs,
    Model,
    Offset,
    Positive,
    Seed,
    Trials,
    as_text,
    collected_warnings,
    command,
    echo_json,
    with_classes,
)

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    from bayesridge.checks.card import ReportCard

#: Each check's table.
_TABLES = {
    "computation": "calibration.csv",
    "prior": "directions.csv",
    "sensitivity": "sensitivity.csv",
    "influence": "influence.csv",
    "leave-one-out": "leave_one_out.csv",
    "noise": "noise.csv",
    "duplicates": "near_duplicates.csv",
    "backtest": "backtest.csv",
}
_RECORD = "validation.json"


@command
def validate(
    model: Model,
    simulations: Annotated[int, typer.Option(help="Simulated data sets of each test, at least 200.")] = 500,
    splits: Annotated[int, typer.Option(help="Splits of the nested backtest, a multiple of 5; 0 for none.")] = 20,
    alpha: Annotated[float, typer.Option(help="Probability of a false alarm of all tests together.")] = 0.05,
    jobs: Jobs = 1,
    family: FamilyName = "gaussian",
    offset: Offset = None,
    trials: Trials = None,
    positive: Positive = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for validation.json and a table of each check.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a fit: calibration in simulation, the ridge prior, leave-one-out, noise, sensitivity, influence, backtest.

    Alarms are in the output, not in the exit code.
    """
    from bayesridge.atomic import check_folder
    from bayesridge.checks.card import validate as validate_table

    out = None if out is None else check_folder(out, {_RECORD, *_TABLES.values()})
    warned: list[str] = []
    with collected_warnings(warned):
        data, _ = with_classes({**model.read(trials=trials), "family": family, "offset": offset}, family, positive)
        card = validate_table(
            **data, simulations=simulations, splits=splits, alpha=alpha, n_jobs=jobs, random_state=seed,
            progress=not as_json and sys.stderr.isatty(),
        )  # fmt: skip
        record = card.record
    record["warnings"] = warned
    if out is not None:
        _save(card, record, out)
    if as_json:
        echo_json(record)
        return
    from bayesridge.cli.terminal import print_card

    print_card(card, warnings=warned, saved=record.get("saved", []))


def _save(card: ReportCard, record: dict[str, Any], out: Path) -> None:
    """Write the table of each check that was made, and the record, which names all files."""
    from bayesridge.atomic import write_folder
    from bayesridge.posteriors.summary import keyed
    from bayesridge.tables.files import csv_text

    made = {entry.key: entry.finding for entry in card.entries if entry.finding is not None and entry.key in _TABLES}
    record["saved"] = [str(out / name) for name in (_RECORD, *[_TABLES[key] for key in made])]
    with write_folder(out, {_RECORD, *_TABLES.values()}) as folder:
        for key, finding in made.items():
            (folder / _TABLES[key]).write_text(csv_text(keyed(finding.table, 0.95)), encoding="utf-8")
        (folder / _RECORD).write_text(as_text(record) + "\n", encoding="utf-8")
