"""The command ``bayesridge validate TABLE --target y``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesridge.cli.options import (
    AsJson,
    DataOptions,
    Drop,
    Formula,
    Jobs,
    Missing,
    NoIntercept,
    NoiseText,
    NoScale,
    PriorText,
    Seed,
    TableFile,
    Target,
    Unpenalized,
    WeightMeaning,
    Weights,
    collected_warnings,
    one_line_errors,
    read_priors,
)

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    from bayesridge.checks.report_card import ReportCard


def validate(
    table: TableFile,
    target: Target = None,
    formula: Formula = None,
    prior: PriorText = None,
    noise: NoiseText = None,
    simulations: Annotated[int, typer.Option(help="Simulated data sets of each test, at least 200.")] = 500,
    splits: Annotated[int, typer.Option(help="Splits of the nested backtest, a multiple of 5; 0 for none.")] = 20,
    alpha: Annotated[float, typer.Option(help="Probability of a false alarm of all tests together.")] = 0.05,
    weights: Weights = None,
    weight_kind: WeightMeaning = "frequency",
    unpenalized: Unpenalized = None,
    drop: Drop = None,
    missing: Missing = "error",
    no_scale: NoScale = False,
    no_intercept: NoIntercept = False,
    jobs: Jobs = 1,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for validation.json and a table of each check.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a fit: calibration in simulation, the ridge prior, leave-one-out, noise, sensitivity, influence, backtest.

    Exit codes: 0 done (alarms are in the output), 1 the table, the priors or the options do not fit together (one line
    on stderr says why), 2 the command line itself is wrong.
    """
    options = DataOptions(
        table, target, formula, weights, weight_kind, unpenalized, drop, missing, no_scale, no_intercept
    )
    warned: list[str] = []
    saved: list[str] = []
    with one_line_errors():
        with collected_warnings(warned):
            from bayesridge.checks.report_card import validate as validate_table

            made, noise_prior = read_priors(prior, noise)
            card = validate_table(
                **options.read(), prior=made, noise_prior=noise_prior, simulations=simulations, splits=splits,
                alpha=alpha, n_jobs=jobs, random_state=seed, progress=not as_json and sys.stderr.isatty(),
            )  # fmt: skip
            record = card.to_record()
        record["warnings"] = warned
        if out is not None:
            record["saved"] = saved = _save(card, out)
            Path(saved[0]).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    from bayesridge.cli.validate_text import print_card

    print_card(card, warnings=warned, saved=saved)


#: Entries with a table of their own, and its file.
_TABLES = {
    "computation": "calibration.csv",
    "prior": "directions.csv",
    "sensitivity": "sensitivity.csv",
    "influence": "influence.csv",
    "leave-one-out": "leave_one_out.csv",
}


def _save(card: ReportCard, out: Path) -> list[str]:
    """Write the table of each check that was made; return the names of all files, the record's first."""
    out.mkdir(parents=True, exist_ok=True)
    files = [str(out / "validation.json")]
    for entry in card.entries:
        if entry.result is None or entry.key not in {*_TABLES, "backtest"}:
            continue
        path = out / _TABLES.get(entry.key, "backtest.csv")
        frame = entry.result.summary() if entry.key == "backtest" else entry.result.table
        frame.to_csv(path)
        files.append(str(path))
    return files
