"""The closing sections: the data and the model, checks, method, how to reproduce."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.shown import probability
from bayesridge.posteriors.summary import describe_data
from bayesridge.reporting import svg
from bayesridge.reporting.checks import Checks
from bayesridge.reporting.content import Content, averaged
from bayesridge.reporting.html import definition, number, sentence, table, template, text
from bayesridge.reporting.row_pictures import influence, pit_ecdf, spectral_qq


@dataclass(frozen=True)
class Source:
    """Where a report comes from: how to make it again.

    Attributes
    ----------
    title : str
        Of the page; the target's name if empty.
    command : tuple of str
        The words of the command line (empty when made from Python).
    python : str
        Code that makes it.
    date : str
        Shown if given: without it, the same input gives the same bytes.
    """

    title: str = ""
    command: tuple[str, ...] = ()
    python: str = ""
    date: str = ""


def cautions(post: Posterior) -> list[str]:
    """Return what the posterior itself says against taking its numbers at face value."""
    spectrum, target = post.spectrum, post.design.target_name
    made = columns_left_out(post)
    if spectrum.degenerate == "constant":
        made.append(f"{target} is constant to rounding: coefficients are 0, the noise is an upper bound")
    if spectrum.degenerate == "perfect":
        made.append(f"{target} is a linear function of the columns to rounding: the noise is an upper bound")
    if not spectrum.degenerate and spectrum.rank and post.evidence.best.place == "infinity":
        made.append(f"these data show no signal of the columns in {target}: predictions stay near its mean")
    if post.method == "evidence":
        made.append("lambda is plugged in at the maximum of the evidence: intervals ignore its uncertainty")
    return made


def columns_left_out(post: Posterior) -> list[str]:
    """Say which columns have no spread."""
    names = ", ".join(post.design.names[j] for j in post.design.constant)
    return [f"columns without spread are left out, their coefficients are 0: {names}"] if names else []


def warnings_box(warnings: Sequence[str]) -> str:
    """Return the warnings of the fit, first thing on the page."""
    if not warnings:
        return ""
    items = "".join([f"<li>{text(message)}</li>" for message in warnings])
    return f'<aside class="warnings" aria-label="warnings"><h2>Before you read on</h2><ul>{items}</ul></aside>'


def data_and_model(content: Content) -> str:
    """What went in."""
    post = content.posterior
    design = post.design
    scaled = "divided by their standard deviation" if _is_scaled(post) else "as given (not scaled to unit sd)"
    weights = "none" if design.weights is None else f"{design.weighting} (sum {number(design.total_weight)})"
    facts = [
        ("target", text(design.target_name)),
        ("rows", _rows(post)),
        ("penalised columns", f"{len(design.penalized)}, {scaled}"),
        ("weights", text(weights)),
        ("intercept", "flat prior, not penalised" if design.fit_intercept else "none"),
        ("prior", text(content.prior)),
        ("noise" if "sigma" in post.scales else "outcome", text(post.prior_texts[1])),
        ("method", text(post.how)),
    ]
    if len(design.unpenalized):
        facts.insert(3, ("unpenalised columns", text(", ".join(design.directions[j] for j in design.unpenalized))))
    if len(design.constant):
        facts.insert(3, ("left out (no spread)", text(", ".join(design.names[j] for j in design.constant))))
    listed = "".join([definition(name, value) for name, value in facts])
    return f'<dl class="facts wide">{listed}</dl>'


def _rows(post: Posterior) -> str:
    design = post.design
    rows = str(design.n_rows)
    if design.n_obs != design.n_rows:
        rows += f" (n = {number(design.n_obs)} observations)"
    return rows + (f"; {design.n_dropped} with missing values dropped" if design.n_dropped else "; none dropped")


def _is_scaled(post: Posterior) -> bool:
    scale = post.design.scale[post.design.penalized]
    return bool(len(scale) and (scale != 1.0).any())


# -- checks --------------------------------------------------------------------------------------------------------

_STATES = {"good": "no sign of trouble", "look": "look here", "none": "not judged"}


def diagnostics(checks: Checks) -> str:
    """Every check with its verdict, and the pictures."""
    cards = "".join(
        [
            f'<li class="check {line.state}"><h3>{text(line.name)} <span class="chip">{_STATES[line.state]}</span></h3>'
            f'<p class="question">{text(line.question)}</p><p>{text(sentence(line.verdict))}</p></li>'
            for line in checks.lines
        ]
    )
    return f'<ul class="checks">{cards}</ul>{_check_pictures(checks)}{_predictive_table(checks)}'


def _check_pictures(checks: Checks) -> str:
    made = []
    if checks.calibration is not None:
        caption = "Leave-one-out PIT values: inside the band (simultaneous) predictions look calibrated."
        found = checks.calibration
        made.append(svg.figure(pit_ecdf(found.z, found.ecdf, found.lower, found.upper), caption))
    if checks.spectral is not None:
        caption = "Standardised singular directions: on the line if ridge's prior is right (band: pointwise 95%)."
        made.append(svg.figure(spectral_qq(checks.spectral), caption))
    if checks.influence is not None:
        caption = "How far each row moves log λ when it is left out, in posterior standard deviations."
        made.append(svg.figure(influence(checks.influence), caption))
    return f'<div class="grid">{"".join(made)}</div>' if made else ""


def _predictive_table(checks: Checks) -> str:
    found = checks.predictive
    if found is None:
        return ""
    rows = [
        [text(check.name), number(check.observed), f"{number(check.expected[0])} to {number(check.expected[1])}",
         probability(check.p_adjusted), text(check.reading) if check.p_adjusted < found.alpha else "–"]
        for check in found.tests
    ]  # fmt: skip
    head = ["residual statistic", "observed", "95% of simulated", "adjusted p", "reading"]
    return table("Residuals against those of simulated data", head, rows)


# -- method and reproduction ---------------------------------------------------------------------------------------


def method(post: Posterior) -> str:
    """Formulas and conventions."""
    design = post.design
    flat = " The intercept has a flat prior and is never penalised." if design.fit_intercept else ""
    if design.weights is not None and design.weight_kind == "precision":
        flat += " Row i has noise variance σ²/w<sub>i</sub> (precision weights)."
    elif design.weights is not None:
        flat += " A row of weight w stands for w observations."
    return template("method.html", flat=flat, scales=_scales(post))


def _scales(post: Posterior) -> str:
    if post.lambda_.known:
        return f"<p>Here: {averaged(post)}.</p>"
    return template("integrated.html", prior=text(post.prior.text))


def reproduce(source: Source, python: str, seed: str) -> str:
    """Versions, seed, command and code (`python` where the source has none)."""
    import numpy as np
    import scipy

    from bayesridge import __version__

    versions = (
        f"bayesridge {__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"Python {platform.python_version()}"
    )
    parts = [f"<p>Made with {versions}{seed}.</p>"]
    if source.command:
        parts.append(f"<h3>In a terminal</h3>{_code(shlex.join(source.command), 'command')}")
    parts.append(f"<h3>In Python</h3>{_code(source.python or python, 'Python code')}")
    return "".join(parts)


def _code(words: str, name: str) -> str:
    return f'<pre tabindex="0" aria-label="{name}"><code>{text(words)}</code></pre>'


def generic_python(post: Posterior, random_state: int) -> str:
    """Return code that makes the page of such a posterior."""
    method = ', method="evidence"' if post.method == "evidence" else ""
    seed = f", random_state={random_state}" if random_state else ""
    return (
        "from bayesridge import posterior, report\n\n"
        f"# {describe_data(post)}\n"
        f"# prior: {post.prior.text}; noise: {post.noise_prior.text}\n"
        f"post = posterior(X, y, prior=prior, noise_prior=noise_prior{method})\n"
        f'report(post, "report.html"{seed})\n'
    )
