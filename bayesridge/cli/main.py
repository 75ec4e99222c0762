"""The command line: ``bayesridge fit TABLE --target y``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayesridge.cli.choose import choose
from bayesridge.cli.options import (
    AsJson,
    DataOptions,
    Drop,
    Formula,
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
from bayesridge.cli.report import report
from bayesridge.cli.validate import validate

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    from bayesridge.mcmc.sampling import NutsResult
    from bayesridge.posteriors.posterior import Posterior

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Bayesian ridge regression with the exact posterior, lambda included.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from bayesridge import __version__

        typer.echo(f"bayesridge {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Bayesian ridge regression with the exact posterior, lambda included."""


@app.command()
def fit(
    table: TableFile,
    target: Target = None,
    formula: Formula = None,
    method: Annotated[
        Literal["posterior", "evidence", "fixed", "nuts"],
        typer.Option(
            help="Integrate lambda, plug in the evidence maximum, take lambda from a fixing --prior, or sample the "
            "posterior with PyMC's NUTS."
        ),
    ] = "posterior",
    prior: PriorText = None,
    noise: NoiseText = None,
    weights: Weights = None,
    weight_kind: WeightMeaning = "frequency",
    unpenalized: Unpenalized = None,
    drop: Drop = None,
    missing: Missing = "error",
    no_scale: NoScale = False,
    no_intercept: NoIntercept = False,
    level: Level = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder for coefficients.csv, draws.nc and fit.json.")] = None,
    draws: Annotated[
        int, typer.Option(help="Draws saved with --out, and made by --method nuts (4 chains of a quarter each).")
    ] = 4000,
    tune: Annotated[int, typer.Option(help="Warm-up steps of each chain of --method nuts.")] = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Fit a table and print coefficients, lambda with its uncertainty, noise, leave-one-out and diagnostics.

    Exit codes: 0 done, 1 the table, the priors or the options do not fit together (one line on stderr says why),
    2 the command line itself is wrong.
    """
    options = DataOptions(
        table, target, formula, weights, weight_kind, unpenalized, drop, missing, no_scale, no_intercept
    )
    warned: list[str] = []
    with one_line_errors():
        with collected_warnings(warned):
            post = _fit(options, method, prior, noise)
            sampled = _sample(post, draws, tune, seed, show=not as_json) if method == "nuts" else None
            record = _record(post, sampled, level)
        record["warnings"] = warned
        if out is not None:
            record["saved"] = _save(post, sampled, record, out, level, draws, seed)
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    from bayesridge.cli.terminal import print_drawn, print_fit

    if sampled is not None:
        print_drawn(post, sampled, record, level)
    else:
        print_fit(post, record, level)


def _fit(options: DataOptions, method: str, prior: str | None, noise: str | None) -> Posterior:
    from bayesridge.errors import PriorError
    from bayesridge.fit import posterior as fit_table
    from bayesridge.priors import FixedLambda, FixedScales, FixedTau

    made, noise_prior = read_priors(prior, noise)
    fixing = isinstance(made, (FixedLambda, FixedScales, FixedTau))
    if method == "fixed" and not fixing:
        raise PriorError("--method fixed needs a fixing prior, such as --prior fixed:10")
    if method == "posterior" and fixing:
        raise PriorError(f"--prior {prior} fixes lambda: say --method fixed")
    if method == "evidence" and made is not None:
        raise PriorError("--method evidence uses no prior of lambda: leave --prior out")
    kind: Literal["evidence"] | None = "evidence" if method == "evidence" else None
    return fit_table(**options.read(), prior=made, noise_prior=noise_prior, method=kind)


app.command()(choose)
app.command()(validate)
app.command()(report)


def _sample(post: Posterior, draws: int, tune: int, seed: int, *, show: bool) -> NutsResult:
    from bayesridge.mcmc.sampling import nuts_posterior

    return nuts_posterior(
        post.design, post.spectrum, post.prior, post.noise_prior, draws=max(1, draws // 4),
        tune=tune, chains=4, random_state=seed, progressbar=show and sys.stdout.isatty(),
    )  # fmt: skip


def _record(post: Posterior, sampled: NutsResult | None, level: float) -> dict[str, Any]:
    from bayesridge.mcmc.results import drawn_record
    from bayesridge.posteriors.summary import jsonable, to_record

    made = to_record(post, level) if sampled is None else drawn_record(post.design, sampled, level)
    return dict(jsonable(made))


def _save(
    post: Posterior,
    sampled: NutsResult | None,
    record: dict[str, Any],
    out: Path,
    level: float,
    draws: int,
    seed: int,
) -> list[str]:
    """Write the table, the draws and the record; return the file names."""
    from bayesridge.mcmc.results import drawn_coefficient_table
    from bayesridge.posteriors.summary import coefficient_table

    out.mkdir(parents=True, exist_ok=True)
    table, tree, facts = out / "coefficients.csv", out / "draws.nc", out / "fit.json"
    frame = coefficient_table(post, level) if sampled is None else drawn_coefficient_table(sampled, level)
    frame.to_csv(table, index_label="column")
    made = post.to_datatree(max(1, draws // 4), 4, seed) if sampled is None else sampled.datatree
    made.to_netcdf(tree)
    facts.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [str(table), str(tree), str(facts)]


def main() -> None:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:
        typer.echo("bayesridge: interrupted", err=True)
        sys.exit(130)
