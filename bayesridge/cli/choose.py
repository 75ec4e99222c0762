"""The command ``bayesridge choose TABLE --target y``: every rule for lambda side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayesridge.cli.options import (
    AsJson,
    FamilyName,
    Jobs,
    Level,
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
    from bayesridge.rules.comparison import LambdaComparison

_FILES = ("comparison.csv", "comparison.json", "comparison.png")


@command
def choose(
    model: Model,
    rules: Annotated[
        str | None,
        typer.Option(help="Keys of rules, as 'reml,loo,cv5'; all if left out (an unknown one lists them)."),
    ] = None,
    bootstrap: Annotated[int, typer.Option(help="Resamples for rules without an interval of their own.")] = 0,
    bootstrap_kind: Annotated[
        Literal["rows", "residuals"] | None,
        typer.Option(help="What is resampled; rows while there are more of them than columns, if left out."),
    ] = None,
    level: Level = 0.95,
    jobs: Jobs = 1,
    family: FamilyName = "gaussian",
    offset: Offset = None,
    trials: Trials = None,
    positive: Positive = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for comparison.csv, .json and .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare every rule for choosing lambda: choice, interval, leave-one-out, disagreement, and what to use here."""
    from bayesridge.atomic import check_folder
    from bayesridge.rules.comparison import compare_lambda

    out = None if out is None else check_folder(out, {*_FILES})
    warned: list[str] = []
    with collected_warnings(warned):
        data, _ = with_classes({**model.read(trials=trials), "family": family, "offset": offset}, family, positive)
        chosen = None if rules is None else [key.strip() for key in rules.split(",")]
        comparison = compare_lambda(
            **data, rules=chosen, level=level, bootstrap=bootstrap, bootstrap_kind=bootstrap_kind, n_jobs=jobs,
            random_state=seed, progress=not as_json and sys.stderr.isatty(),
        )  # fmt: skip
        record = comparison.to_record()
    record["seed"], record["warnings"] = seed, warned
    if out is not None:
        record["saved"] = [str(out / name) for name in _FILES]
        _save(comparison, record, out)
    if as_json:
        echo_json(record)
        return
    from bayesridge.cli.terminal import print_comparison

    print_comparison(comparison, warnings=warned, saved=record.get("saved", []))


def _save(comparison: LambdaComparison, record: dict[str, Any], out: Path) -> None:
    """Write the table, the record and the picture."""
    from matplotlib.figure import Figure

    from bayesridge import plots
    from bayesridge.atomic import write_folder
    from bayesridge.tables.files import csv_text

    with write_folder(out, {*_FILES}) as folder, plots.style():
        # a figure of its own and not pyplot's: no window system is asked for
        figure = Figure(figsize=(8.0, 2.5 + 0.22 * len(comparison.rows)), layout="constrained")
        plots.rules(comparison, axes=figure.subplots(1, 2, width_ratios=(3, 2), sharey=True))
        figure.savefig(folder / "comparison.png", dpi=150)
        (folder / "comparison.csv").write_text(csv_text(comparison.keyed, "rule"), encoding="utf-8")
        (folder / "comparison.json").write_text(as_text(record) + "\n", encoding="utf-8")
