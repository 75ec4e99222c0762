"""The command line: ``bayesridge fit TABLE --target y``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    from bayesridge.posterior import Posterior
    from bayesridge.sampling import NutsResult

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Bayesian ridge regression with the exact posterior, lambda included.",
)

_PRIORS = (
    "r2:0.5,0.5 | half-cauchy:1 | half-t:3,1 | half-normal:1 (these three also ...@tau) | lognormal:10,1 | "
    "gamma:2,0.1 | gamma-precisions:a,b,c,d | fixed:10 | fixed-tau:2 | fixed-scales:1,2"
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
    table: Annotated[Path, typer.Argument(help="CSV (also .tsv, .csv.gz) or Parquet file.")],
    target: Annotated[str | None, typer.Option(help="Name of the target column (or name it in the formula).")] = None,
    formula: Annotated[
        str | None, typer.Option(help="As 'bmi * sex + C(site)'; all other columns if left out.")
    ] = None,
    method: Annotated[
        Literal["exact", "evidence", "fixed", "nuts"],
        typer.Option(
            help="Integrate lambda, plug in the evidence maximum, take lambda from a fixing --prior, or sample the "
            "posterior with PyMC's NUTS."
        ),
    ] = "exact",
    prior: Annotated[str | None, typer.Option(help=_PRIORS)] = None,
    noise: Annotated[str | None, typer.Option(help="jeffreys | inverse-gamma:2,1 | half-t:3,1 | half-normal:1")] = None,
    weights: Annotated[str | None, typer.Option(help="Name of a column of weights.")] = None,
    weight_kind: Annotated[
        Literal["frequency", "precision"],
        typer.Option(help="A row counted w times, or noise variance sigma²/w."),
    ] = "frequency",
    unpenalized: Annotated[list[str] | None, typer.Option(help="Column with a flat prior; may be repeated.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out; may be repeated.")] = None,
    missing: Annotated[
        Literal["error", "drop"], typer.Option(help="What to do with rows that have missing values.")
    ] = "error",
    no_scale: Annotated[bool, typer.Option("--no-scale", help="Do not scale the columns to unit sd.")] = False,
    no_intercept: Annotated[bool, typer.Option("--no-intercept", help="Fit without an intercept.")] = False,
    level: Annotated[float, typer.Option(help="Probability of the equal-tailed intervals.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder for coefficients.csv, draws.nc and fit.json.")] = None,
    draws: Annotated[
        int, typer.Option(help="Draws saved with --out, and made by --method nuts (4 chains of a quarter each).")
    ] = 4000,
    tune: Annotated[int, typer.Option(help="Warm-up steps of each chain of --method nuts.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Fit a table and print coefficients, lambda with its uncertainty, noise, leave-one-out and diagnostics.

    Exit codes: 0 done, 1 the table, the priors or the options do not fit together (one line on stderr says why),
    2 the command line itself is wrong.
    """
    from bayesridge.errors import BayesRidgeError

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            posterior = _fit(
                table, target, formula, method, prior, noise, weights, weight_kind, unpenalized or [], drop or [],
                missing, scale=not no_scale, intercept=not no_intercept,
            )  # fmt: skip
            sampled = _sample(posterior, draws, tune, seed, show=not as_json) if method == "nuts" else None
            record = _record(posterior, sampled, level)
        record["warnings"] = list(dict.fromkeys(str(item.message) for item in caught))
        if out is not None:
            record["saved"] = _save(posterior, sampled, record, out, level, draws, seed)
    except (BayesRidgeError, OSError) as error:
        typer.echo(f"bayesridge: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    from bayesridge.terminal import print_drawn, print_fit

    if sampled is not None:
        print_drawn(posterior, sampled, record, level)
    else:
        print_fit(posterior, record, level)


def _fit(
    path: Path,
    target: str | None,
    formula: str | None,
    method: str,
    prior: str | None,
    noise: str | None,
    weights: str | None,
    weight_kind: Literal["frequency", "precision"],
    unpenalized: list[str],
    drop: list[str],
    missing: Literal["error", "drop"],
    *,
    scale: bool,
    intercept: bool,
) -> Posterior:
    from bayesridge.errors import DataError, PriorError
    from bayesridge.fitting import fit as fit_table
    from bayesridge.prior_text import parse_noise, parse_prior
    from bayesridge.priors import FixedLambda, FixedScales, FixedTau
    from bayesridge.reading import read_table, take_column

    made = None if prior is None else parse_prior(prior)
    fixing = isinstance(made, (FixedLambda, FixedScales, FixedTau))
    if method == "fixed" and not fixing:
        raise PriorError("--method fixed needs a fixing prior, such as --prior fixed:10")
    if method == "exact" and fixing:
        raise PriorError(f"--prior {prior} fixes lambda: say --method fixed")
    if method == "evidence" and made is not None:
        raise PriorError("--method evidence uses no prior of lambda: leave --prior out")
    frame = read_table(path)
    w = None
    if weights is not None:
        frame, w = take_column(frame, weights, "weights")
    for name in drop:
        frame, _ = take_column(frame, name, "drop")
    y = None
    if target is not None:
        frame, y = take_column(frame, target, "target")
    elif formula is None or "~" not in formula:
        raise DataError(f"name the target column with --target; the table has {', '.join(map(str, frame.columns))}")
    return fit_table(
        frame,
        y,
        prior=made,
        noise_prior=None if noise is None else parse_noise(noise),
        formula=formula,
        weights=w,
        weight_kind=weight_kind,
        fit_intercept=intercept,
        scale=scale,
        unpenalized=unpenalized,
        missing=missing,
        kind="evidence" if method == "evidence" else None,
    )


def _sample(posterior: Posterior, draws: int, tune: int, seed: int, *, show: bool) -> NutsResult:
    from bayesridge.sampling import nuts_posterior

    return nuts_posterior(
        posterior.design, posterior.spectrum, posterior.prior, posterior.noise_prior, draws=max(1, draws // 4),
        tune=tune, chains=4, random_state=seed, progressbar=show and sys.stdout.isatty(),
    )  # fmt: skip


def _record(posterior: Posterior, sampled: NutsResult | None, level: float) -> dict[str, Any]:
    from bayesridge.nuts_tables import drawn_record
    from bayesridge.summary import jsonable, to_record

    made = to_record(posterior, level) if sampled is None else drawn_record(posterior.design, sampled, level)
    return dict(jsonable(made))


def _save(
    posterior: Posterior,
    sampled: NutsResult | None,
    record: dict[str, Any],
    out: Path,
    level: float,
    draws: int,
    seed: int,
) -> list[str]:
    """Write the table, the draws and the record; return the file names."""
    from bayesridge.nuts_tables import drawn_coefficient_table
    from bayesridge.summary import coefficient_table

    out.mkdir(parents=True, exist_ok=True)
    table, tree, facts = out / "coefficients.csv", out / "draws.nc", out / "fit.json"
    frame = coefficient_table(posterior, level) if sampled is None else drawn_coefficient_table(sampled, level)
    frame.to_csv(table, index_label="column")
    made = posterior.to_datatree(max(1, draws // 4), 4, seed) if sampled is None else sampled.datatree
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
