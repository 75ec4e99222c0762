"""The tables: posterior of the coefficients, and every rule for lambda."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesridge.posteriors.quantity import Quantity
from bayesridge.posteriors.shown import probability
from bayesridge.reporting import svg
from bayesridge.reporting.content import Content, LambdaContent
from bayesridge.reporting.html import jump, number, rounded, table, text
from bayesridge.reporting.payload import SliderData
from bayesridge.rules.table import Row

Array = NDArray[np.float64]


def coefficients(content: Content) -> str:
    """Posterior of the coefficients, with a forest picture."""
    post, columns = content.posterior, content.columns
    head = ["column", f"standardised<small>mean, {content.interval}</small>", "mean", "sd", f"{content.interval} low",
            f"{content.interval} high", "P(&gt;0)"]  # fmt: skip
    rows = []
    if post.design.fit_intercept:
        rows.append(_coefficient_cells("intercept", "", post.intercept, 0, post.intercept.interval(content.level)))
    part, scale = post.coefficients, post.design.scale
    ends = content.ends
    scaled = ends[columns] * scale[columns, None]
    low, high = svg.span(scaled, [0.0])
    for k, j in enumerate(columns.tolist()):
        point = float(part.mean[j] * scale[j])
        picture = svg.strip(low, high, interval=(float(scaled[k, 0]), float(scaled[k, 1])), point=point, zero=0.0)
        rows.append(_coefficient_cells(post.design.names[j], picture, part, j, ends))
    unit = "in units of the target" if content.ratios is None else f"logs of {content.ratios.columns[0]}s,"
    note = (
        f'<p class="note">Posterior, {text(content.averaged)}. Mean, sd and interval are {unit} per unit '
        "of the column; the picture multiplies by the column's standard deviation, so that rows can be compared.</p>"
    )
    made = table("Coefficients, units of the data", head, rows, left=2) + columns_note(content) + note
    return made + _ratios_table(content)


def _ratios_table(content: Content) -> str:
    """Coefficients as ratios, where they are logarithms of such."""
    found = content.ratios
    if found is None:
        return ""
    shown = found.iloc[content.columns]
    rows = [[text(name), *map(number, row)] for name, row in zip(shown.index, shown.to_numpy(), strict=True)]
    head = [f"{found.columns[0]}<small>median</small>", *map(text, found.columns[1:])]
    return table(f"{found.columns[0].capitalize()}s, per unit of the column", ["column", *head], rows)


def _coefficient_cells(name: str, picture: str, part: Quantity, j: int, ends: Array) -> list[str]:
    sd = float(part.sd[j])
    shown = [rounded(float(value), sd) for value in (part.mean[j], ends[j, 0], ends[j, 1])]
    return [text(name), picture, shown[0], rounded(sd, sd), *shown[1:], text(probability(float(part.prob_positive[j])))]


def columns_note(content: Content) -> str:
    """Say which columns are shown where not all are."""
    own, shown = len(content.own), len(content.columns)
    others = content.posterior.design.n_columns - own
    if shown < own:
        said = f"{shown} of {own} columns: those with the largest |mean| / sd."
    elif others:
        said = f"The other {others} coefficients are effects of levels and bases of curves."
    else:
        return ""
    return f'<p class="note">{said} All of them: <code>bayesridge fit … --out DIR</code> writes coefficients.csv.</p>'


def rules(content: LambdaContent) -> str:
    """Every rule for lambda, as a picture and a table."""
    comparison = content.comparison
    marks = [row.lam for row in comparison.rows if row.available]
    picture = svg.figure(
        content.pictures.posterior(marks),
        f"Posterior of λ (band: {content.interval}); the strokes below are the choices of the rules.",
    )
    words = f"<div><p>{text(comparison.recommendation)}</p><p>{text(comparison.disagreement)}</p></div>"
    return f'<div class="side">{picture}{words}</div>{_rules_table(content)}'


def _rules_table(content: LambdaContent) -> str:
    data = content.data
    band = None
    if not content.posterior.lambda_.known:
        band = tuple(np.log(content.posterior.lambda_.interval(content.level)).tolist())
    rows = []
    for row in content.comparison.rows:
        if not row.available:
            rows.append([text(row.label), f"no answer: {text(row.note)}"])
            continue
        lam = _rule_lambda(content, row)
        with np.errstate(divide="ignore"):
            ends = None if row.interval is None else tuple(np.log([row.interval.lower, row.interval.upper]).tolist())
            point = float(np.log(lam)) if lam >= 0 else None
        picture = svg.strip(data.low, data.high, interval=ends, point=_on_scale(point, data), band=band)
        interval = (
            ""
            if row.interval is None
            else (
                f"{content.lam(row.interval.lower)} to {content.lam(row.interval.upper)}"
                f"<small>{100 * row.interval.level:g}% {text(row.interval.kind)}</small>"
            )
        )
        gap = f"{_nats(row.elpd_diff)}<small>± {_nats(row.elpd_diff_se)}</small>" if np.isfinite(row.elpd_diff) else "–"
        name = text(row.label) + (f"<small>{text(row.note)}</small>" if row.note else "")
        rows.append([name, picture, _rule_cell(content, row), interval, number(row.effective_dof, 3),
                     number(row.loo_rmse), gap])  # fmt: skip
    head = ["rule", "λ, logarithmic", "λ", "interval and its kind", "effective dof<small>no intercept</small>",
            "LOO RMSE", "elpd less the best<small>± paired se, nats</small>"]  # fmt: skip
    return table("Every rule for lambda", head, rows, left=4)


def _nats(value: float) -> str:
    return number(round(value, 2))


def _on_scale(point: float | None, data: SliderData) -> float | None:
    """Return 0 and infinity at the ends of the picture."""
    return None if point is None or np.isnan(point) else float(np.clip(point, data.low, data.high))


def _rule_lambda(content: LambdaContent, row: Row) -> float:
    return content.posterior.lambda_.median if row.key == "posterior" else row.lam


def _rule_cell(content: LambdaContent, row: Row) -> str:
    if row.key == "posterior":
        return "integrated"
    if not content.data.reaches(row.lam):
        return content.lam(row.lam)
    return (
        f'<button type="button" class="link" {jump(row.lam)} aria-label="set the slider to {text(row.label)}, '
        f'lambda {content.lam(row.lam)}">{content.lam(row.lam)}</button>'
    )
