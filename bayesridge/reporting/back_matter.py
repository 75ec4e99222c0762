"""The closing sections: the data and the model, checks, weight decay, method, how to reproduce."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import beta

from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.summary import describe_data, method_name
from bayesridge.priors import BetaR2, Prior
from bayesridge.reporting import mathml, svg
from bayesridge.reporting.checks import Checks
from bayesridge.reporting.content import averaged
from bayesridge.reporting.html import definition, number, percent, probability, table, text
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
    design, spectrum = post.design, post.spectrum
    target = design.target_name
    made = []
    if spectrum.degenerate == "constant":
        made.append(f"{target} is constant to rounding: coefficients are 0, the noise is an upper bound")
    if spectrum.degenerate == "perfect":
        made.append(f"{target} is a linear function of the columns to rounding: the noise is an upper bound")
    if len(design.constant):
        names = ", ".join(design.names[j] for j in design.constant)
        made.append(f"columns without spread are left out, their coefficients are 0: {names}")
    if not spectrum.degenerate and spectrum.rank and post.evidence.best.place == "infinity":
        made.append(f"these data show no signal of the columns in {target}: predictions stay near its mean")
    if post.method == "evidence":
        made.append("lambda is plugged in at the maximum of the evidence: intervals ignore its uncertainty")
    return made


def warnings_box(warnings: Sequence[str]) -> str:
    """Return the warnings of the fit, first thing on the page."""
    if not warnings:
        return ""
    items = "".join([f"<li>{text(message)}</li>" for message in warnings])
    return f'<aside class="warnings" aria-label="warnings"><h2>Before you read on</h2><ul>{items}</ul></aside>'


def data_and_model(post: Posterior) -> str:
    """What went in."""
    design = post.design
    scaled = "divided by their standard deviation" if _is_scaled(post) else "as given (not scaled to unit sd)"
    weights = "none" if design.weights is None else f"{design.weight_kind} (sum {number(design.total_weight)})"
    facts = [
        ("target", text(design.target_name)),
        ("rows", _rows(post)),
        ("penalised columns", f"{len(design.penalized)}, {scaled}"),
        ("weights", text(weights)),
        ("intercept", "flat prior, not penalised" if design.fit_intercept else "none"),
        ("prior", text(_prior_in_words(post.prior))),
        ("noise", text(post.noise_prior.describe())),
        ("method", text(method_name(post))),
    ]
    if len(design.unpenalized):
        facts.insert(3, ("unpenalised columns", text(", ".join(design.names[j] for j in design.unpenalized))))
    if len(design.constant):
        facts.insert(3, ("left out (no spread)", text(", ".join(design.names[j] for j in design.constant))))
    listed = "".join([definition(name, value) for name, value in facts])
    return f'<dl class="facts wide">{listed}</dl>'


def _prior_in_words(prior: Prior) -> str:
    """Describe the prior, and what a prior on R² expects before the data."""
    if not isinstance(prior, BetaR2):
        return prior.describe()
    low, high = (float(beta.ppf(q, prior.a, prior.b)) for q in (0.05, 0.95))
    return (
        f"{prior.describe()}: before the data, the columns are expected to explain between {percent(low)} and "
        f"{percent(high)} of the variance (90% ETI of the prior)"
    )


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
            f'<p class="question">{text(line.question)}</p><p>{text(_sentence(line.verdict))}</p></li>'
            for line in checks.lines
        ]
    )
    return f'<ul class="checks">{cards}</ul>{_check_pictures(checks)}{_predictive_table(checks)}'


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _check_pictures(checks: Checks) -> str:
    made = []
    if checks.calibration is not None:
        caption = "Leave-one-out PIT values: inside the band (simultaneous) predictions look calibrated."
        made.append(svg.figure(pit_ecdf(checks.calibration), caption))
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
        for check in found.checks
    ]  # fmt: skip
    head = ["residual statistic", "observed", "95% of simulated", "adjusted p", "reading"]
    return table("Residuals against those of simulated data", head, rows)


# -- weight decay --------------------------------------------------------------------------------------------------


def weight_decay() -> str:
    """Return the demonstration of a single weight under gradient descent with an L2 penalty."""
    fields = [
        ("rate", "learning rate a", "0.01", 'min="0" step="any"'),
        ("lambda", "penalty λ", "0.1", 'min="0" step="any"'),
        ("start", "start weight", "1", 'step="any"'),
        ("steps", "steps", "1000", 'min="1" max="2000" step="1"'),
    ]
    inputs = "".join(
        [
            f'<p><label for="decay-{name}">{words}</label>'
            f'<input type="number" id="decay-{name}" value="{value}" {limits} inputmode="decimal"></p>'
            for name, words, value, limits in fields
        ]
    )
    words = (
        "<p>“Weight decay” is ridge seen from gradient descent. With no data pulling, a step on the penalty "
        f"λw² alone multiplies the weight by the same factor:</p>{mathml.DECAY}"
        "<p>With data the penalty is one of two forces. On a quadratic loss |y − Xw|² + λ|w|² the weights come to rest "
        "where both balance, which is the ridge solution. Along direction j the distance to it shrinks by "
        "1 − 2a(s²<sub>j</sub> + λ) at each step, so that steps must be smaller than 1/(s²<sub>1</sub> + λ).</p>"
    )
    picture = (
        f'<svg class="chart" viewBox="0 0 {svg.WIDTH} {svg.HEIGHT}" role="img" aria-label="the weight over the steps">'
        f'<line id="decay-zero" class="zero" x1="{svg.LEFT}" x2="{svg.RIGHT}" y1="{svg.BOTTOM}" y2="{svg.BOTTOM}"/>'
        f'<path class="axis" d="M{svg.LEFT} {svg.BOTTOM}H{svg.RIGHT}"/>'
        '<path id="decay-path" class="line c2" d=""/><path id="decay-dots" class="points dot small" d=""/>'
        f'<text id="decay-upper" class="tick" x="{svg.LEFT - 6}" y="{svg.TOP + 4}" text-anchor="end"></text>'
        f'<text id="decay-lower" class="tick" x="{svg.LEFT - 6}" y="{svg.BOTTOM + 4}" text-anchor="end"></text>'
        f'<text class="tick" x="{svg.LEFT}" y="{svg.BOTTOM + 16}" text-anchor="middle">0</text>'
        f'<text id="decay-last" class="tick" x="{svg.RIGHT}" y="{svg.BOTTOM + 16}" text-anchor="end"></text>'
        f'<text class="name" x="{0.5 * (svg.LEFT + svg.RIGHT):g}" y="{svg.HEIGHT - 8}" text-anchor="middle">step</text>'
        '<text class="name" x="2" y="11">weight</text></svg>'
    )
    outs = (
        '<dl class="readouts"><div><dt>factor 1 − 2aλ</dt><dd><output id="decay-factor" '
        'for="decay-rate decay-lambda">–</output></dd></div><div><dt>weight after <span id="decay-after">–</span> steps'
        '</dt><dd><output id="decay-end" for="decay-rate decay-lambda decay-start decay-steps">–</output></dd></div>'
        "</dl>"
        '<p id="decay-reading" class="reading" role="status" aria-live="polite"></p>'
    )
    shown = svg.figure(picture, "The weight, step by step.")
    panel = f'<div class="panel"><div class="entries">{inputs}</div>{outs}</div>'
    return f'<div class="side">{shown}<div>{words}</div></div>{panel}'


# -- method and reproduction ---------------------------------------------------------------------------------------


def method(post: Posterior) -> str:
    """Formulas and conventions."""
    design = post.design
    flat = " The intercept has a flat prior and is never penalised." if design.fit_intercept else ""
    if design.weights is not None and design.weight_kind == "precision":
        flat += " Row i has noise variance σ²/w<sub>i</sub> (precision weights)."
    elif design.weights is not None:
        flat += " A row of weight w stands for w observations."
    return (
        "<p>A linear model with normal noise and one normal prior for all penalised coefficients, on columns that are "
        f"centred and scaled.{flat}</p>{mathml.MODEL}"
        f"<p>At known scales the posterior mode is the ridge solution, the minimum of</p>{mathml.CRITERION}"
        f"<p>One singular value decomposition gives it for every λ, and so does the slider above:</p>{mathml.SOLUTION}"
        f"{mathml.FILTER}{_scales(post)}<p>Without row i, whose leverage is h, the residual at fixed λ is</p>"
        f"{mathml.LEAVE_ONE_OUT}<p>Intervals called ETI are equal-tailed posterior intervals. The evidence is that of "
        "y given λ with the coefficients and the intercept integrated, maximised over σ (REML). RMSE within the sample "
        "and leave-one-out count each observation once.</p>"
    )


def _scales(post: Posterior) -> str:
    if post.lambda_.known:
        return f"<p>Here: {averaged(post)}.</p>"
    return (
        f"<p>λ has a prior ({text(post.prior.describe())}) and is integrated. When σ is integrated in closed form "
        "(noise prior 1/σ², prior on λ or on τ/σ) its posterior is a function of one variable:</p>"
        f"{mathml.POSTERIOR}<p>so that coefficients, predictions and intervals are averages over it, computed by "
        "quadrature.</p>"
    )


def reproduce(post: Posterior, source: Source, random_state: int) -> str:
    """Versions, seed, command and code."""
    import numpy as np
    import scipy

    from bayesridge import __version__

    versions = (
        f"bayesridge {__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"Python {platform.python_version()}"
    )
    parts = [f"<p>Made with {versions}; seed {random_state} for the simulations of the checks, all else is exact.</p>"]
    if source.command:
        parts.append(f"<h3>In a terminal</h3>{_code(shlex.join(source.command), 'command')}")
    parts.append(f"<h3>In Python</h3>{_code(source.python or _generic_python(post, random_state), 'Python code')}")
    return "".join(parts)


def _code(words: str, name: str) -> str:
    return f'<pre tabindex="0" aria-label="{name}"><code>{text(words)}</code></pre>'


def _generic_python(post: Posterior, random_state: int) -> str:
    method = ', method="evidence"' if post.method == "evidence" else ""
    seed = f", random_state={random_state}" if random_state else ""
    return (
        "from bayesridge import posterior, report\n\n"
        f"# {describe_data(post)}\n"
        f"# prior: {post.prior.describe()}; noise: {post.noise_prior.describe()}\n"
        f"post = posterior(X, y, prior=prior, noise_prior=noise_prior{method})\n"
        f'report(post, "report.html"{seed})\n'
    )
