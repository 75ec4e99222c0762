"""The slider: its controls, and the numbers, pictures and coefficients that follow it."""

from __future__ import annotations

import numpy as np

from bayesridge.reporting import svg
from bayesridge.reporting.content import LambdaContent
from bayesridge.reporting.html import number, table, text
from bayesridge.reporting.payload import SliderData, start_lambda
from bayesridge.reporting.table_sections import columns_note

#: Whole steps of the slider: with fractions of log lambda, rounding could put its last step out of reach.
_STEPS = 400


def slider(content: LambdaContent) -> str:
    """Controls, numbers and pictures that follow lambda."""
    data = content.data
    low, high, start = data.low, data.high, start_lambda(data)
    density = not content.posterior.lambda_.known
    thumb = round(_STEPS * (float(np.log(start)) - low) / (high - low))
    controls = (
        f'<div class="control"><div class="track">{content.pictures.behind_slider()}'
        f'<input type="range" id="lambda-range" min="0" max="{_STEPS}" step="1" '
        f'value="{thumb}" aria-label="lambda, on a logarithmic scale" '
        f'aria-describedby="lambda-help">{_scale(data)}</div>'
        f'<p class="entry"><label for="lambda-number">λ</label><input type="number" id="lambda-number" step="any" '
        f'min="{float(np.exp(low)) * (1 - 1e-9):.12g}" max="{float(np.exp(high)) * (1 + 1e-9):.12g}" '
        f'value="{start:.6g}" inputmode="decimal">'
        f'<span id="lambda-hint" role="alert" hidden>between {number(float(np.exp(low)))} and '
        f"{number(float(np.exp(high)))}</span></p></div>"
    )
    what, hint = "The line is the λ used", ""
    if density:
        what = "The hill is the posterior of λ, darker within its " + content.interval
        hint = " For plausible values of λ stay on the hill."
    helper = (
        f'<p class="note" id="lambda-help">{what}. Drag, use the arrow and page keys, or type a number: everything in '
        f"this section is computed again in the page, exactly.{hint}</p>"
    )
    live = '<p id="lambda-live" class="visually-hidden" role="status" aria-live="polite"></p>'
    panel = f'<div class="panel">{controls}{_jumps(content)}{_readouts(content)}</div>'
    marks = f"Posterior median and {content.interval}" if density else "Points: at the λ used"
    bars = f"Share of each direction of the columns that is taken from the data. {marks}; filled: at the slider."
    shares = svg.figure(content.pictures.shrinkage(), bars)
    return (
        '<noscript><p class="note">The slider needs JavaScript; all pictures and the other sections do not.</p>'
        "</noscript>"
        f"{panel}{helper}{live}{_slider_pictures(content)}"
        f'<div class="side stay">{shares}<div>{live_coefficients(content)}</div></div>'
    )


def _scale(data: SliderData) -> str:
    # places in per cent, not in a viewBox: the labels keep their size on every screen
    axis = svg.Axis(data.low, data.high, 0.0, 100.0, log=True)
    marks = "".join(
        [
            f'<text x="{float(axis(value)):.2f}%" y="13" text-anchor="middle">{text(words)}</text>'
            f'<line x1="{float(axis(value)):.2f}%" x2="{float(axis(value)):.2f}%" y1="0" y2="3"/>'
            for value, words in axis.ticks(6)
        ]
    )
    return f'<svg class="scale" width="100%" height="17" aria-hidden="true">{marks}</svg>'


def _jumps(content: LambdaContent) -> str:
    """Buttons that set the slider to the posterior median, the evidence maximum, and the rules' choices."""
    data = content.data
    wanted: list[tuple[str, float]] = []
    if not content.posterior.lambda_.known:
        low, high = content.posterior.lambda_.interval(content.level)
        wanted += [("posterior median", content.posterior.lambda_.median), (f"{content.interval} low", low),
                   (f"{content.interval} high", high)]  # fmt: skip
    else:
        wanted.append(("λ used", content.posterior.lambda_.median))
    best = content.posterior.evidence.best
    wanted.append(("evidence maximum", best.lam))
    rules = {row.key: row for row in content.comparison.rows}
    for key, name in (("loo", "LOO minimum"), ("gcv", "GCV"), ("cv10", "10-fold CV")):
        if key in rules and rules[key].available:
            wanted.append((name, rules[key].lam))
    made = [
        f'<button type="button" data-jump="{lam!r}">{text(name)}<span>{number(lam)}</span></button>'
        for name, lam in wanted
        if data.reaches(lam)
    ]
    return f'<div class="jumps" role="group" aria-label="set lambda to">{"".join(made)}</div>'


def _readouts(content: LambdaContent) -> str:
    unit = text(content.posterior.design.target_name)
    parts = [
        ("effectiveDof", "effective dof", "intercept not counted"),
        ("trainRmse", "RMSE within the sample", f"units of {unit}"),
        ("looRmse", "RMSE leave-one-out", f"units of {unit}"),
        ("relativeEvidence", "log evidence", "nats relative to its maximum"),
    ]
    if not content.posterior.lambda_.known:
        parts.append(("probabilityBelow", "P(λ is smaller | y)", "posterior probability"))
    made = [
        f'<div><dt>{name}</dt><dd><output data-out="{key}" for="lambda-range">–</output><small>{small}</small></dd>'
        "</div>"
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
    made.append(svg.figure(pictures.evidence(), f"How well each λ explains the data, all else integrated out. {band}"))
    trace, names = pictures.trace()
    made.append(svg.figure(trace, f"Ridge trace: coefficients shrink as λ grows. {band}", names))
    lost = (
        ""
        if not content.data.no_loo
        else (f'<p class="note">Leave-one-out errors are not available: {text(content.data.no_loo)}.</p>')
    )
    return f'<div class="grid">{"".join(made)}</div>{lost}'


def live_coefficients(content: LambdaContent) -> str:
    """Coefficients at the slider's lambda, beside their posterior."""
    data, post = content.data, content.posterior
    unit = data.linear.unit
    ends = content.ends[data.columns] / unit[:, None]
    mean = post.coefficients.mean[data.columns] / unit
    low, high = svg.span(ends, mean, [0.0], room=0.12)
    rows, attributes = [], []
    if post.design.fit_intercept:
        rows.append(["intercept", "", '<output data-out="intercept">–</output>', ""])
        attributes.append('class="intercept"')
    for k, name in enumerate(data.names):
        interval = (float(ends[k].min()), float(ends[k].max()))
        picture = svg.strip(low, high, interval=interval, point=None, zero=0.0, live=True)
        rows.append([text(name), picture, '<output data-out="coefficient">–</output>',
                     '<output data-out="standardized">–</output>'])  # fmt: skip
        attributes.append(f'data-column="{k}"')
    head = ["column", f"standardised<small>line: posterior {content.interval}</small>",
            "at this λ<small>units of the data</small>", "at this λ<small>standardised</small>"]  # fmt: skip
    return table("Ridge coefficients at the slider's λ", head, rows, attributes=attributes, left=2) + columns_note(
        content
    )
