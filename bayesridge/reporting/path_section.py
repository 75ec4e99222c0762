"""The slider of counts and successes: penalised fits, evidence, leave-one-out at some lambdas, interpolated between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from bayesridge.checks.card import validate
from bayesridge.checks.ecdf_bands import ecdf, simultaneous_band
from bayesridge.reporting import back_matter, svg
from bayesridge.reporting.checks import NAMES, STATES, Check, Checks
from bayesridge.reporting.content import Content
from bayesridge.reporting.html import data_script, definition, number, rounded, scale_number, table, text
from bayesridge.reporting.row_pictures import pit_ecdf, some_rows
from bayesridge.rules.comparison import LambdaComparison

Array = NDArray[np.float64]

_STEPS = 400
_POINTS = 41
_BAND = 0.95
_COLOURS = 6
_DEPTH = 12.0  # nats below its maximum that the evidence is shown


@dataclass(frozen=True, eq=False)
class PathContent(Content):
    """What the sections of an outcome's lambda are made from.

    Attributes
    ----------
    comparison : LambdaComparison
        Of the rules.
    """

    comparison: LambdaComparison

    @cached_property
    def curves(self) -> Any:
        """Fits as far as the draws reach."""
        post: Any = self.posterior
        low, high = post.curves.reach
        return post.curves.on(np.linspace(low, high, _POINTS))

    @property
    def t(self) -> Array:
        """Log lambda of the fits, equally spaced."""
        found: Array = self.curves.t
        return found

    @cached_property
    def numbers(self) -> dict[str, Array]:
        """What follows lambda, at each of `t`."""
        curves = self.curves
        evidence, seen = curves.evidence(self.t)[0], curves.problem.count > 0
        found = {"dof": curves.dof, "evidence": evidence - _highest(evidence), "deviance": curves.deviance}
        if not curves.no_loo:
            found["elpd"] = curves.problem.count[seen] @ curves.loo(self.t).pointwise[seen]
        return found

    @cached_property
    def coef(self) -> Array:
        """Modes of the columns that are shown, units of the data, (K, m)."""
        return np.asarray(self.curves.coef[:, self.columns])

    @cached_property
    def x(self) -> svg.Axis:
        """The common horizontal axis."""
        return svg.x_axis(float(self.t[0]), float(self.t[-1]), log=True)

    @property
    def start(self) -> float:
        """Lambda where the slider opens: the posterior median, as far as there are fits."""
        return float(np.clip(self.posterior.lambda_.median, *np.exp(self.t[[0, -1]])))

    def payload(self) -> str:
        """The numbers that the page's script interpolates."""
        record = {
            "start": self.start, "t": self.t.tolist(), "coef": self.coef.T.tolist(),
            "unit": self.posterior.design.scale[self.columns].tolist(),
            **{name: values.tolist() for name, values in self.numbers.items()},
        }  # fmt: skip
        return data_script("path-data", record)


def _highest(values: Array) -> float:
    """Return the highest point of what the page's script draws: between two values the cubic through four."""
    best, last = float(values.max()), len(values) - 1
    for k in range(last):
        first = min(max(k - 1, 0), last - 3)
        cubic = Polynomial.fit(np.arange(4), values[first : first + 4], 3)
        turns = cubic.deriv().roots()
        here = turns[np.isreal(turns)].real
        best = float(np.append(cubic(here[(here >= k - first) & (here <= k + 1 - first)]), best).max())
    return best


def sections(content: PathContent, random_state: int) -> list[tuple[str, str, str, str]]:
    """Identity, name in the navigation, title and HTML of what is here of lambda and the checks."""
    return [
        ("slider", "Turn λ", "Turn λ yourself", turn(content)),
        ("moves", "", "What follows λ", f"{_readouts(content)}{_pictures(content)}{_coefficients(content)}"),
        ("rules", "Which λ", "Which λ do the usual rules choose?", rules(content)),
        ("trust", "Checks", "Can it be trusted?", checks(content, random_state)),
    ]


def rules(content: PathContent) -> str:
    """Every rule for lambda, in words and as a table."""
    found, ends = content.comparison, content.posterior.lambda_.interval(content.level)
    rows = []
    for row in found.rows:
        if not row.available:
            rows.append([text(row.label), f"no answer: {text(row.note)}"])
            continue
        lam = {"zero": "0", "infinity": "∞", "integrated": "integrated"}.get(row.place, scale_number(row.lam, ends))
        if np.exp(content.t[0]) <= row.lam <= np.exp(content.t[-1]) and row.place != "integrated":
            lam = f'<button type="button" class="link" data-path="{row.lam!r}">{lam}</button>'
        interval = "" if row.interval is None else (
            f"{scale_number(row.interval.lower, ends)} to {scale_number(row.interval.upper, ends)}"
            f"<small>{100 * row.interval.level:g}% {text(row.interval.kind)}</small>"
        )  # fmt: skip
        gap = "–" if not np.isfinite(row.elpd_diff) else (
            f"{number(round(row.elpd_diff, 2))}<small>± {number(round(row.elpd_diff_se, 2))}</small>"
        )  # fmt: skip
        name = text(row.label) + (f"<small>{text(row.note)}</small>" if row.note else "")
        rows.append([name, lam, interval, number(row.effective_dof), gap])
    head = ["rule", "λ", "interval and its kind", "effective dof<small>no intercept</small>",
            "elpd less the best<small>± paired se, nats</small>"]  # fmt: skip
    words = f"<p>{text(found.recommendation)}</p><p>{text(found.disagreement)}</p>"
    return words + table("Every rule for lambda", head, rows)


def checks(content: PathContent, random_state: int) -> str:
    """The checks of the report card that an outcome has, with their pictures."""
    names = {key: name for key, name in NAMES.items() if key != "prior"}
    card = validate(content.posterior, checks=list(names), random_state=random_state, progress=False)
    lines = [Check(name, card[key].question, STATES[card[key].status], card[key].text) for key, name in names.items()]
    found = {entry.key: entry.finding for entry in card.entries if entry.finding is not None}
    seen = Checks(tuple(lines), None, None, found.get("noise"), found.get("influence"))  # type: ignore[arg-type]
    return _calibration(content, found.get("leave-one-out")) + back_matter.diagnostics(seen)


def turn(content: PathContent) -> str:
    """What the slider does, and buttons for the choices of the rules."""
    others = [name for name in content.posterior.scales if name not in ("lambda", "tau")]
    known = f" ({' and '.join(others)} at the posterior median)" if others else ""
    return (
        '<noscript><p class="note">The slider needs JavaScript; all pictures and the other sections do not.</p>'
        f'</noscript><p id="path-help">Penalised fits{known}, computed at {len(content.t)} values of λ, interpolated '
        "between them (cubic); leave-one-out and evidence with the coefficients integrated, from the draws of the "
        f"posterior, as far as they reach.</p>{_jumps(content)}"
    )


def bar(content: PathContent) -> str:
    """The slider with lambda, degrees of freedom and leave-one-out: in view wherever the reader is."""
    low, high = float(content.t[0]), float(content.t[-1])
    at = float(np.log(content.start))
    figures = "".join(
        [definition(name, f'<span data-follows="{key}">–</span>') for name, key in
         (("λ", "lambda"), ("dof", "dof"), ("elpd", "elpd")) if key == "lambda" or key in content.numbers]
    )  # fmt: skip
    return (
        '<div class="bar" role="group" aria-label="lambda and what follows it"><div class="track">'
        f'<input type="range" id="path-range" min="0" max="{_STEPS}" step="1" '
        f'value="{round(_STEPS * (at - low) / (high - low))}" aria-label="lambda, on a logarithmic scale" '
        f'aria-describedby="path-help"></div><dl>{figures}</dl></div>\n'
    )


def _jumps(content: PathContent) -> str:
    lam, low, high = content.posterior.lambda_, np.exp(content.t[0]), np.exp(content.t[-1])
    ends = lam.interval(content.level)
    wanted = [("λ used" if lam.known else "posterior median", float(lam.median))]
    names = {
        "evidence": "evidence maximum",
        "loo_log": "LOO log score",
        "aic": "AIC",
        "bic": "BIC",
        "cv10_log": "10-fold CV",
    }
    rows = {row.key: row for row in content.comparison.rows}
    wanted += [(name, rows[key].lam) for key, name in names.items() if key in rows and rows[key].available]
    made = [
        f'<button type="button" data-path="{value!r}">{text(name)}<span>{scale_number(value, ends)}</span></button>'
        for name, value in wanted
        if low <= value <= high
    ]
    return f'<div class="jumps" role="group" aria-label="set lambda to">{"".join(made)}</div>'


def _readouts(content: PathContent) -> str:
    parts = [
        ("lambda", "λ", "at the slider"),
        ("dof", "effective dof", "intercept not counted"),
        ("elpd", "elpd leave-one-out", "nats, at this λ"),
        ("evidence", "log evidence", "nats relative to its maximum"),
        ("deviance", "deviance", "of the penalised fit"),
    ]
    made = [
        f'<div><dt>{name}</dt><dd><span data-follows="{key}">–</span><small>{small}</small></dd></div>'
        for key, name, small in parts
        if key == "lambda" or key in content.numbers
    ]
    return f'<dl class="readouts">{"".join(made)}</dl>'


def _pictures(content: PathContent) -> str:
    post, x, t = content.posterior, content.x, content.t
    back = []
    if not post.lambda_.known:
        a, b = x.inside(np.log(np.asarray(post.lambda_.interval(content.level))))
        back = [svg.area([a, b], [svg.BOTTOM] * 2, [svg.TOP] * 2, "band")]
    band = f" The band is the posterior's {content.interval}." if back else ""
    made = []
    for key, name, caption in (
        ("elpd", "elpd, nats", "How well each row is predicted from the others, λ given."),
        ("evidence", "log evidence, nats", "How well each λ explains the data, coefficients integrated."),
    ):
        if key not in content.numbers:
            continue
        values = content.numbers[key]
        top = float(values.max())
        y = svg.y_axis(*svg.span(np.maximum(values, top - _DEPTH)))
        body = [*back, svg.line(x(t), y(np.where(values >= y.low, values, np.nan)), "c1"), svg.cursor(x)]
        made.append(svg.figure(svg.chart(caption, x, y, "λ", name, body), caption + band))
    scaled = content.coef * post.design.scale[content.columns]
    order = np.argsort(-np.abs(scaled).max(axis=0), kind="stable")
    y = svg.y_axis(*svg.span(scaled, [0.0]))
    body = [*back, f'<path class="zero" d="M{svg.LEFT} {float(y(0.0)):.1f}H{svg.RIGHT}"/>']
    body += [svg.line(x(t), y(scaled[:, j]), f"t{k}" if k < _COLOURS else "rest")
             for k, j in reversed(list(enumerate(order)))]  # fmt: skip
    names = [(f"t{k}", post.design.names[content.columns[j]]) for k, j in enumerate(order[:_COLOURS])]
    if len(order) > _COLOURS:
        names.append(("rest", f"{len(order) - _COLOURS} others"))
    caption = "Ridge trace: the penalised fit's coefficients, standardised, shrink as λ grows."
    chart = svg.chart(caption, x, y, "λ", "coefficient, standardised", [*body, svg.cursor(x)])
    made.append(svg.figure(chart, caption + band, svg.legend(names)))
    lost = (
        content.curves.no_loo and f'<p class="note">There is no leave-one-out here: {text(content.curves.no_loo)}.</p>'
    )
    return f'<div class="grid">{"".join(made)}</div>{lost}'


def _coefficients(content: PathContent) -> str:
    post = content.posterior
    mean, sd = post.coefficients.mean[content.columns], post.coefficients.sd[content.columns].tolist()
    head = ["column", "posterior mean<small>units of the data</small>", f"{content.interval}",
            "penalised fit at this λ<small>units of the data</small>", "standardised"]  # fmt: skip
    rows, attributes = [], []
    for k, j in enumerate(content.columns):
        shown = [rounded(float(value), sd[k]) for value in (mean[k], *content.ends[j])]
        live = [f'<span data-follows="{name}">–</span>' for name in ("coefficient", "standardised")]
        rows.append([text(post.design.names[j]), shown[0], " to ".join(shown[1:]), *live])
        attributes.append('data-follows="column"')
    return table("The penalised fit at the slider's λ, beside the posterior", head, rows, attributes=attributes)


def _calibration(content: PathContent, found: Any) -> str:
    """Reliability with its band, or PIT values."""
    if found is None:
        return ""
    if found.recalibrated is not None:
        caption = (
            "Reliability of rows left out: the share of successes among rows of like probability (isotonic regression) "
            "against that probability; on the diagonal where probabilities are honest. Band: "
            f"{100 * _BAND:g}% of data sets simulated from them, pointwise. Ticks: the rows."
        )
        return f'<div class="grid">{svg.figure(_reliability(found), caption)}</div>'
    band = simultaneous_band(len(found.left.pit), _BAND)
    picture = pit_ecdf(band.z, ecdf(found.left.pit), band.lower, band.upper)
    steps = " (randomised within steps)" if content.discrete else ""
    caption = (
        f"Leave-one-out PIT values{steps}. Band: where {100 * _BAND:g}% of the curves of as many independent uniform "
        "values stay; those of rows left out depend on each other a little."
    )
    return f'<div class="grid">{svg.figure(picture, caption)}</div>'


def _reliability(found: Any) -> str:
    order = np.argsort(found.left.mean, kind="stable")
    p = found.left.mean[order]
    x, y = svg.x_axis(0.0, 1.0), svg.y_axis(0.0, 1.0)
    seen = some_rows(len(p))
    ticks = svg.segments(x(p[seen]), np.where(found.left.y[order][seen] > 0, svg.TOP, svg.BOTTOM - 5.0),
                         np.where(found.left.y[order][seen] > 0, svg.TOP + 5.0, svg.BOTTOM), "faint")  # fmt: skip
    diagonal = f'<path class="diagonal" d="M{svg.LEFT} {svg.BOTTOM}L{svg.RIGHT} {svg.TOP}"/>'
    body = [svg.area(x(p), y(found.lower[order]), y(found.upper[order]), "band"), diagonal, ticks,
            svg.line(x(p), y(found.recalibrated[order]), "c1")]  # fmt: skip
    return svg.chart("share of successes against predicted probability of rows left out, with its band", x, y,
                     "predicted probability", "share of successes", body)  # fmt: skip
