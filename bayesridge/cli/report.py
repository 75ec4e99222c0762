"""The command ``bayesridge report TABLE --target y --out report.html``: the whole fit as one page."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesridge.cli.options import (
    FamilyName,
    Level,
    Model,
    Offset,
    Positive,
    Seed,
    Trials,
    collected_warnings,
    command,
    with_classes,
    working,
)

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    from bayesridge.posteriors.contract import AnyPosterior
    from bayesridge.reporting.back_matter import Source
    from bayesridge.rules.comparison import LambdaComparison


@command
def report(
    model: Model,
    level: Level = 0.95,
    seed: Seed = 0,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    date: Annotated[str | None, typer.Option(help="Date shown on the page; none if left out.")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("report.html"),
    family: FamilyName = "gaussian",
    offset: Offset = None,
    trials: Trials = None,
    positive: Positive = None,
) -> None:
    """Write one HTML page: the answer, a live lambda slider, coefficients, rules, predictions, checks, method.

    The page is a single file that opens in any browser, without a network; nothing in it is sent anywhere.
    """
    from bayesridge.fit import posterior
    from bayesridge.reporting.build import report as write_page

    warned: list[str] = []
    with collected_warnings(warned):
        data, classes = with_classes(model.read(trials=trials), family, positive)
        post = posterior(**data, family=family, offset=offset)
    # what the rules have to say of these data stands in their own table
    with collected_warnings([]):
        comparison = _comparison(post, level)
    own = {
        "title": title, "date": date, "level": None if level == 0.95 else f"{level:g}", "seed": seed or None,
        "out": out, "family": None if family == "gaussian" else family, "offset": offset, "trials": trials,
        "positive": positive,
    }  # fmt: skip
    with working(f"writing {out}"):
        path = write_page(
            post,
            out,
            comparison=comparison,
            level=level,
            random_state=seed,
            warnings=warned,
            source=_source(model, own, labels=classes is not None),
        )
    for message in warned:
        typer.echo(f"warning: {message}", err=True)
    typer.echo(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)")


def _comparison(post: AnyPosterior, level: float) -> LambdaComparison | None:
    """Compare the rules with progress shown, where there is one lambda."""
    from bayesridge.errors import DataError
    from bayesridge.fit import one_lambda
    from bayesridge.rules.comparison import compare_lambda

    try:
        one = one_lambda(post)
    except DataError:
        return None
    return compare_lambda(one, level=level, progress=sys.stderr.isatty())


def _source(model: Model, own: Mapping[str, Any], *, labels: bool) -> Source:
    """Write down how the page is made again, in a terminal and in Python."""
    from bayesridge.reporting.back_matter import Source

    table, *shared = fields(Model)
    given = {one.name: getattr(model, one.name) for one in shared if getattr(model, one.name) != one.default}
    words = ["bayesridge", "report", str(getattr(model, table.name))]
    for name, value in {**given, **own}.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is not None:
            words += [word for one in (value if isinstance(value, list) else [value]) for word in (flag, str(one))]
    return Source(own["title"] or "", tuple(words), _python(model, own, labels=labels), own["date"] or "")


def _python(model: Model, own: Mapping[str, Any], *, labels: bool) -> str:
    """Return code that writes the same page (without the command's title and date), `labels` turned into 0 and 1."""
    lines = ["from bayesridge import posterior, report", "from bayesridge.tables.files import read_table"]
    readers = [name for name, used in (("parse_noise", model.noise), ("parse_prior", model.prior)) if used]
    lines += [f"from bayesridge.cli.prior_text import {', '.join(readers)}"] if readers else []
    named = model.target is not None and "~" not in (model.formula or "")
    if labels:
        lines.append(f"from bayesridge.tables.labels import {'read_labels' if named else 'read_labels, split_target'}")
    reading = {"encoding": model.encoding, "decimal": model.decimal, "drop": model.drop or None}
    how = "".join(f", {name}={value!r}" for name, value in reading.items() if value is not None)
    lines += ["", f"table = read_table({str(model.table)!r}{how})"]
    if own["trials"] is not None:
        lines.append(f"trials = table.pop({own['trials']!r})")
    arguments = ["table"]
    if model.weights is not None:
        lines.append(f"weights = table.pop({model.weights!r})")
    if named:
        lines.append(f"y = table.pop({model.target!r})")
    elif labels:
        lines.append(f"formula, table, y = split_target({model.formula!r}, table, None)")
    arguments += ["y"] if named or labels else []
    if labels:
        lines.append(f"labels = read_labels(y, {own['positive']!r})")
        lines.append("y = type(y)(labels.codes, index=y.index, name=labels.name)")
    chosen = {
        "formula": model.formula, "unpenalized": model.unpenalized or None,
        "weight_kind": None if model.weight_kind == "frequency" else model.weight_kind,
        "missing": None if model.missing == "error" else model.missing,
        "scale": False if model.no_scale else None, "fit_intercept": False if model.no_intercept else None,
    }  # fmt: skip
    arguments += [f"{name}={value!r}" for name, value in chosen.items() if value is not None]
    if labels and not named:  # the target is no longer in it
        arguments[arguments.index(f"formula={model.formula!r}")] = "formula=formula"
    arguments += [f"{name}={own[name]!r}" for name in ("family", "offset") if own[name] is not None]
    arguments += ["trials=trials"] if own["trials"] is not None else []
    arguments += ["weights=weights"] if model.weights is not None else []
    arguments += [f"prior=parse_prior({model.prior!r})"] if model.prior else []
    arguments += [f"noise_prior=parse_noise({model.noise!r})"] if model.noise else []
    writing = ["post", repr(str(own["out"]))] + ([f"level={own['level']}"] if own["level"] else [])
    writing += [f"random_state={own['seed']}"] if own["seed"] else []
    lines += [f"post = posterior({', '.join(arguments)})", f"report({', '.join(writing)})"]
    return "\n".join(lines) + "\n"
