"""The slider: its bar, and the numbers, pictures and coefficients that follow it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesridge.reporting import svg
from bayesridge.reporting.content import LambdaContent
from bayesridge.reporting.html import decimals, definition, jump, number, rounded, table, text
from bayesridge.reporting.payload import GAP, STEPS, SliderData, start_lambda
from bayesridge.reporting.table_sections import columns_note


def turn(content: LambdaContent) -> str:
    """What the slider is, and buttons that set it."""
    what, hint = "The line is the λ used", ""
    if not content.posterior.lambda_.known:
        what = "The hill is the posterior of λ, darker within its " + content.interval
        hint = " For plausible values of λ stay on the hill."
    return (
        '<noscript><p class="note">The slider needs JavaScript; all pictures and the other sections do not.</p>'
        f'</noscript><p id="lambda-help">{what}. Drag, use the arrow and page keys, or type a number: the bar, what '
        "follows it and the line in the pictures are computed again in the page, exactly. At the very ends stand least "
        f"squares (λ = 0) and the {content.nothing} (λ = ∞).{hint}</p>{_jumps(content)}"
    )


def bar(content: LambdaContent) -> str:
    """The slider with lambda, degrees of freedom and leave-one-out: in view wherever the reader is."""
    data = content.data
    low, high = (float(np.exp(end)) for end in (data.low, data.high))
    share = (float(np.log(start_lambda(data))) - data.low) / (data.high - data.low)
    figures = [definition("dof", '<span data-out="effectiveDof">–</span>')]
    if data.errors is not None:
        figures.append(definition("LOO RMSE", '<span data-out="looRmse">–</span>'))
    return (
        f'<div class="bar" role="group" aria-label="lambda and what follows it"><div class="track">'
        f'{content.pictures.behind_slider()}<input type="range" id="lambda-range" min="{-GAP}" max="{STEPS + GAP}" '
        f'step="1" value="{round(STEPS * share)}" aria-label="lambda, on a logarithmic scale" '
        f'aria-describedby="lambda-help">{_scale(data)}</div>'
        '<p class="entry"><label for="lambda-number">λ</label><input type="number" id="lambda-number" step="any" '
        f'min="0" value="{start_lambda(data):.3g}" placeholder="∞" inputmode="decimal">'
        f'<span id="lambda-hint" role="alert" hidden>0, or {number(low, 3)} to {number(high, 3)}</span></p>'
        f"<dl>{''.join(figures)}</dl></div>\n"
    )


def moves(content: LambdaContent) -> str:
    """All numbers, pictures and coefficients that follow lambda."""
    marks = "Points: at the λ used" if content.posterior.lambda_.known else f"Posterior median and {content.interval}"
    bars = f"Share of each direction of the columns that is taken from the data. {marks}; filled: at the slider."
    shares = svg.figure(content.pictures.shrinkage(), bars)
    live = '<p id="lambda-live" class="visually-hidden" role="status" aria-live="polite"></p>'
    return (
        f"{_readouts(content)}{live}{_slider_pictures(content)}"
        f'<div class="side stay">{shares}<div>{live_coefficients(content)}</div></div>'
    )


def _scale(data: SliderData) -> str:
    # places in per cent, not in a viewBox: the labels keep their size on every screen
    start, end = (100.0 * data.along([data.low, data.high])).tolist()
    axis = svg.Axis(data.low, data.high, start, end, log=True)
    places = [(0.0, "0"), *[(float(axis(value)), words) for value, words in axis.ticks(6)], (100.0, "∞")]
    marks = "".join(
        [
            f'<text x="{at:.2f}%" y="13" text-anchor="middle">{text(words)}</text>'
            f'<line x1="{at:.2f}%" x2="{at:.2f}%" y1="0" y2="3"/>'
            for at, words in places
            if at in {0.0, 100.0} or 3.0 + len(words) < at < 97.0 - len(words)
        ]
    )
    return f'<svg class="scale" width="100%" height="17" aria-hidden="true">{marks}</svg>'


def _jumps(content: LambdaContent) -> str:
    """Buttons that set the slider to the posterior median, the evidence maximum, and the rules' choices."""
    data, lam = content.data, content.posterior.lambda_
    wanted: list[tuple[str, float]] = [("least squares", 0.0)]
    if not lam.known:
        low, high = lam.interval(content.level)
        wanted += [("posterior median", lam.median), (f"{content.interval} low", low),
                   (f"{content.interval} high", high)]  # fmt: skip
    else:
        wanted.append(("λ used", lam.median))
    wanted.append(("evidence maximum", content.posterior.evidence.best.lam))
    rules = {row.key: row for row in content.comparison.rows}
    for key, name in (("loo", "LOO minimum"), ("gcv", "GCV"), ("cv10", "10-fold CV")):
        if key in rules and rules[key].available:
            wanted.append((name, rules[key].lam))
    made = [
        f'<button type="button" {jump(value)}>{text(name)}<span>{content.lam(value)}</span></button>'
        for name, value in [*wanted, (content.nothing, np.inf)]
        if data.reaches(value)
    ]
    return f'<div class="jumps" role="group" aria-label="set lambda to">{"".join(made)}</div>'


def _readouts(content: LambdaContent) -> str:
    unit = text(content.units)
    parts = [
        ("lambda", "λ", "at the slider"),
        ("effectiveDof", "effective dof", "intercept not counted"),
        ("trainRmse", "RMSE within the sample", f"units of {unit}"),
        ("looRmse", "RMSE leave-one-out", f"units of {unit}"),
        ("relativeEvidence", "log evidence", "nats relative to its maximum"),
    ]
    if not content.posterior.lambda_.known:
        parts.append(("probabilityBelow", "P(λ is smaller | y)", "posterior probability"))
    made = [
        f'<div><dt>{name}</dt><dd><span data-out="{key}">–</span><small>{small}</small></dd></div>'
        for key, name, small in parts
        if content.data.errors is not None or key not in ("trainRmse", "looRmse")
    ]
    return f'<dl class="readouts">{"".join(made)}</dl>'


def _slider_pictures(content: LambdaContent) -> str:
    pictures = content.pictures
    band = (
        "The band is the posterior's " + content.interval + "." if pictures.data.posterior.method == "posterior" else ""
    )
    made = []
    errors = pictures.errors()
    if errors:
        names = svg.legend([("c1", "leave-one-out"), ("c3 dash2", "within the sample")])
        made.append(svg.figure(errors, f"Error of predictions. {band}", names))
    how = "How well each λ explains the data, coefficients integrated out, σ at its best for that λ (REML)."
    made.append(svg.figure(pictures.evidence(), f"{how} {band}"))
    trace, names = pictures.trace()
    made.append(svg.figure(trace, f"Ridge trace: coefficients shrink as λ grows. {band}", names))
    lost = (
        ""
        if not content.data.no_loo
        else (f'<p class="note">Leave-one-out errors are not available: {text(content.data.no_loo)}.</p>')
    )
    return f'<div class="grid">{"".join(made)}</div>{lost}'


def live_coefficients(content: LambdaContent) -> str:
    """Coefficients at the slider's lambda with their intervals, beside those averaged over lambda."""
    data, post = content.data, content.posterior
    unit = data.linear.unit
    ends = content.ends[data.columns]
    mean = post.coefficients.mean[data.columns] / unit
    low, high = svg.span(ends / unit[:, None], mean, [0.0], room=0.12)
    rows, attributes = [], []
    if post.design.fit_intercept:
        sd = float(post.intercept.sd[0])
        averaged = post.intercept.interval(content.level)[0]
        rows.append(["intercept", "", *_LIVE, _range(averaged, sd)])
        attributes.append(f'class="intercept" data-row="intercept" data-decimals="{_decimals(sd)}"')
    for k, (name, sd) in enumerate(zip(data.names, post.coefficients.sd[data.columns].tolist(), strict=True)):
        interval = (float(ends[k].min() / unit[k]), float(ends[k].max() / unit[k]))
        picture = svg.strip(low, high, interval=interval, point=None, zero=0.0, live=True)
        rows.append([text(name), picture, *_LIVE, _range(ends[k], sd)])
        attributes.append(f'data-row="{k}" data-decimals="{_decimals(sd)}"')
    averaged = "λ integrated" if not post.lambda_.known else "λ used"
    head = ["column", f"standardised<small>above: {averaged}, below: at this λ</small>",
            "at this λ", f"{content.interval}<small>given this λ</small>",
            f"{content.interval}<small>{averaged}</small>"]  # fmt: skip
    none = data.noise(content.level) is None
    why = (
        '<p class="note">No intervals at one λ: under this prior of the noise they are no Student-t; fit with '
        "<code>FixedLambda</code> for them.</p>"
    )
    made = table("Ridge coefficients at the slider's λ, units of the data", head, rows, attributes=attributes, left=2)
    return made + columns_note(content) + (why if none else "")


_LIVE = ('<span data-out="value">–</span>', '<span data-out="ends">–</span>')


def _decimals(sd: float) -> str:
    return str(decimals(sd)) if 0 < sd < np.inf else ""


def _range(ends: NDArray[np.float64], sd: float) -> str:
    return f"{rounded(float(ends[0]), sd)} to {rounded(float(ends[1]), sd)}"
