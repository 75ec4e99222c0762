"""The command ``bayesridge choose TABLE --target y``: every rule for lambda side by side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bayesridge.cli.options import (
    AsJson,
    DataOptions,
    Drop,
    Formula,
    Jobs,
    Level,
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
    from bayesridge.rules.comparison_result import LambdaComparison


def choose(
    table: TableFile,
    target: Target = None,
    formula: Formula = None,
    prior: PriorText = None,
    noise: NoiseText = None,
    rules: Annotated[
        str | None,
        typer.Option(help="Keys of rules, as 'reml,loo,cv5'; all if left out (an unknown one lists them)."),
    ] = None,
    bootstrap: Annotated[int, typer.Option(help="Resamples for rules without an interval of their own.")] = 0,
    bootstrap_kind: Annotated[
        Literal["rows", "residuals"] | None,
        typer.Option(help="What is resampled; rows while there are more of them than columns, if left out."),
    ] = None,
    weights: Weights = None,
    weight_kind: WeightMeaning = "frequency",
    unpenalized: Unpenalized = None,
    drop: Drop = None,
    missing: Missing = "error",
    no_scale: NoScale = False,
    no_intercept: NoIntercept = False,
    level: Level = 0.95,
    jobs: Jobs = 1,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for comparison.csv, .json and .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare every rule for choosing lambda: choice, interval, leave-one-out, disagreement, and what to use here.

    Exit codes: 0 done, 1 the table, the priors or the options do not fit together (one line on stderr says why),
    2 the command line itself is wrong.
    """
    options = DataOptions(
        table, target, formula, weights, weight_kind, unpenalized, drop, missing, no_scale, no_intercept
    )
    warned: list[str] = []
    saved: list[str] = []
    with one_line_errors():
        with collected_warnings(warned):
            from bayesridge.rules.comparison import compare_lambda, pick_rules

            made, noise_prior = read_priors(prior, noise)
            chosen = None if rules is None else pick_rules([key.strip() for key in rules.split(",")], level)
            comparison = compare_lambda(
                **options.read(), prior=made, noise_prior=noise_prior, rules=chosen, level=level, bootstrap=bootstrap,
                bootstrap_kind=bootstrap_kind, n_jobs=jobs, random_state=seed,
                progress=not as_json and sys.stderr.isatty(),
            )  # fmt: skip
            record = comparison.to_record()
        record["seed"], record["warnings"] = seed, warned
        if out is not None:
            record["saved"] = saved = _save(comparison, out)
            Path(saved[1]).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    from bayesridge.cli.choose_text import print_comparison

    print_comparison(comparison, warnings=warned, saved=saved)


def _save(comparison: LambdaComparison, out: Path) -> list[str]:
    """Write the table and the picture; return the names of all files."""
    from matplotlib.figure import Figure

    from bayesridge import plots

    out.mkdir(parents=True, exist_ok=True)
    table, picture = out / "comparison.csv", out / "comparison.png"
    comparison.table.to_csv(table, index_label="rule")
    with plots.style():
        # a figure of its own and not pyplot's: no window system is asked for
        figure = Figure(figsize=(8.0, 2.5 + 0.22 * len(comparison.rows)), layout="constrained")
        plots.rules(comparison, axes=figure.subplots(1, 2, width_ratios=(3, 2), sharey=True))
        figure.savefig(picture, dpi=150)
    return [str(table), str(out / "comparison.json"), str(picture)]
