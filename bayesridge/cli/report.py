"""The command ``bayesridge report TABLE --target y --out report.html``: the whole fit as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesridge.cli.options import (
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

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    from bayesridge.reporting.back_matter import Source


def report(
    table: TableFile,
    target: Target = None,
    formula: Formula = None,
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
    seed: Seed = 0,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    date: Annotated[str | None, typer.Option(help="Date shown on the page; none if left out.")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("report.html"),
) -> None:
    """Write one HTML page: the answer, a live lambda slider, coefficients, rules, predictions, checks, method.

    The page is a single file that opens in any browser, without a network; nothing in it is sent anywhere.

    Exit codes: 0 done, 1 the table, the priors or the options do not fit together (one line on stderr says why),
    2 the command line itself is wrong.
    """
    options = DataOptions(
        table, target, formula, weights, weight_kind, unpenalized, drop, missing, no_scale, no_intercept
    )
    extra = {"--prior": prior, "--noise": noise, "--title": title, "--date": date}
    warned: list[str] = []
    with one_line_errors():
        with collected_warnings(warned):
            from bayesridge.fit import posterior
            from bayesridge.reporting.build import write_report
            from bayesridge.rules.comparison import compare_rules
            from bayesridge.rules.rule import LambdaProblem

            made, noise_prior = read_priors(prior, noise)
            post = posterior(**options.read(), prior=made, noise_prior=noise_prior)
        # what the rules have to say of these data stands in their own table
        with collected_warnings([]):
            comparison = compare_rules(LambdaProblem(post), level=level, progress=False)
        source = _source(options, extra, level, seed, out)
        path = write_report(
            post, out, comparison=comparison, level=level, random_state=seed, warnings=warned, source=source
        )
    for message in warned:
        typer.echo(f"warning: {message}", err=True)
    typer.echo(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)")


def _source(options: DataOptions, extra: dict[str, str | None], level: float, seed: int, out: Path) -> Source:
    """Write down how the page is made again, in a terminal and in Python."""
    from bayesridge.reporting.back_matter import Source

    words = ["bayesridge", "report", str(options.table)]
    named: dict[str, Any] = {"--target": options.target, "--formula": options.formula, "--weights": options.weights}
    for name, value in {**named, **extra}.items():
        words += [] if value is None else [name, value]
    words += [] if options.weight_kind == "frequency" else ["--weight-kind", options.weight_kind]
    for name, many in (("--unpenalized", options.unpenalized), ("--drop", options.drop)):
        words += [word for value in many or [] for word in (name, value)]
    words += [] if options.missing == "error" else ["--missing", options.missing]
    words += [
        name for name, set_ in (("--no-scale", options.no_scale), ("--no-intercept", options.no_intercept)) if set_
    ]
    words += [] if level == 0.95 else ["--level", f"{level:g}"]
    words += [] if seed == 0 else ["--seed", str(seed)]
    code = _python(options, extra, level, seed, str(out))
    return Source(extra["--title"] or "", (*words, "--out", str(out)), code, extra["--date"] or "")


def _python(options: DataOptions, extra: dict[str, str | None], level: float, seed: int, out: str) -> str:
    """Return code that writes the same page (without the command's title and date)."""
    prior, noise = extra["--prior"], extra["--noise"]
    lines = ["from bayesridge import fit", "from bayesridge.tables.files import read_table"]
    readers = [name for name, used in (("parse_noise", noise), ("parse_prior", prior)) if used]
    lines += [f"from bayesridge.cli.prior_text import {', '.join(readers)}"] if readers else []
    lines += ["from bayesridge.reporting.build import write_report", "", f"table = read_table({str(options.table)!r})"]
    arguments = ["table"]
    if options.weights is not None:
        lines.append(f"weights = table.pop({options.weights!r})")
    if options.drop:
        lines.append(f"table = table.drop(columns={options.drop!r})")
    if options.target is not None:
        lines.append(f"y = table.pop({options.target!r})")
        arguments.append("y")
    chosen = {
        "formula": options.formula, "unpenalized": options.unpenalized or None,
        "weight_kind": None if options.weight_kind == "frequency" else options.weight_kind,
        "missing": None if options.missing == "error" else options.missing,
        "scale": False if options.no_scale else None, "fit_intercept": False if options.no_intercept else None,
    }  # fmt: skip
    arguments += [f"{name}={value!r}" for name, value in chosen.items() if value is not None]
    arguments += ["weights=weights"] if options.weights is not None else []
    arguments += [f"prior=parse_prior({prior!r})"] if prior else []
    arguments += [f"noise_prior=parse_noise({noise!r})"] if noise else []
    writing = ["posterior", repr(out)] + ([] if level == 0.95 else [f"level={level:g}"])
    writing += [] if seed == 0 else [f"random_state={seed}"]
    lines += [f"posterior = fit({', '.join(arguments)})", f"write_report({', '.join(writing)})"]
    return "\n".join(lines) + "\n"
