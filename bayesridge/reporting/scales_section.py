"""The page of a posterior that is not of one lambda and normal noise: its scales, how it was computed, how exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesridge.checks.ecdf_bands import ecdf, simultaneous_band
from bayesridge.errors import DataError
from bayesridge.posteriors.summary import hyper_table, lambda_sentence
from bayesridge.reporting import svg
from bayesridge.reporting.answer_section import columns_sentence, key_figure
from bayesridge.reporting.back_matter import columns_left_out
from bayesridge.reporting.content import Content
from bayesridge.reporting.html import definition, number, rounded, scale_number, table, text
from bayesridge.reporting.row_pictures import pit_ecdf

_MOST_FIGURES = 6  # scales with large digits; the table has all
_BAND = 0.95
_MOST_PICTURES = 4
_MOST_NAMED = 40  # levels with a row each


def cautions(post: Any) -> list[str]:
    """Return what the posterior itself says against taking its numbers at face value."""
    verdict = post.facts().get("verdict", "ok")
    chains = [] if verdict == "ok" else [f"the chains are {verdict}: see how it was computed, below"]
    return columns_left_out(post) + chains


def answer(content: Content, why: str) -> str:
    """Every lambda in words, which coefficients are away from zero, key figures; and what is not on this page, and why.

    Parameters
    ----------
    content : Content
    why : str
        The posterior's own words.
    """
    post = content.posterior
    lambdas = [name for name in post.scales if name.startswith("lambda")]
    sentences = [
        *(_lambda_sentence(content, name) for name in lambdas),
        columns_sentence(content),
    ]
    figures = [
        definition(text(name) + ("" if scale.known else ", posterior median"), key_figure(scale, content))
        for name, scale in list(post.scales.items())[:_MOST_FIGURES]
    ]
    if not content.loo_problem:
        elpd = f"{post.loo.elpd_loo:.1f}".replace("-", "−")
        figures.append(definition("leave-one-out elpd, nats", f"<b>{elpd}</b><small>se {post.loo.se:.1f}</small>"))
    absent = (
        "Not on this page: the slider, the rules for λ, the curve of the evidence and the checks of ridge with one λ "
        f"and normal noise: {text(why)}."
    )
    return (
        f'<p class="lead">{" ".join(sentences)}</p><dl class="figures">{"".join(figures)}</dl>'
        f'<p class="note">{absent if why else ""}</p>'
    )


def _lambda_sentence(content: Content, name: str) -> str:
    """Say what a lambda is, with the digits of its key figure."""
    lam = content.posterior.scales[name]
    if lam.known:
        return text(lambda_sentence(content.posterior, content.level, name)) + "."
    ends = lam.interval(content.level)
    median, *shown = (scale_number(value, ends) for value in (lam.median, *ends))
    return f"{text(name)} = {median} (posterior median; {content.interval} {' to '.join(shown)})."


def scales(content: Content) -> str:
    """Every scale, as :func:`bayesridge.posteriors.summary.hyper_table` has it."""
    found = hyper_table(content.posterior, content.level)
    rows = [[text(name), *map(number, row)] for name, row in zip(found.index, found.to_numpy(), strict=True)]
    note = "Mean and sd are left out (–) where they may be infinite."
    if "HDI" in found.columns[1]:
        note += (
            " HDI: the shortest interval, which may reach down to tau = 0; an equal-tailed one (ETI), as in the "
            "answer, never does. That of a lambda is from the shortest interval of 1/√lambda."
        )
    if "effective dof" in found.index:
        note += " Effective dof: intercept not counted."
    return table("Posterior of the scales", ["scale", *map(text, found.columns)], rows) + f'<p class="note">{note}</p>'


def terms(content: Content) -> str:
    """What each penalty is worth, and the effects of levels in their order; "" where there are not several."""
    post: Any = content.posterior
    if not post.has_terms:
        return ""
    found = post.terms(content.level)
    rows = [[text(name), *map(number, row)] for name, row in zip(found.index, found.to_numpy(), strict=True)]
    shown = [one for one in post.design.blocks if one.kind == "levels"][:_MOST_PICTURES]
    pictures = "".join([_levels(content, one.name, one.parts) for one in shown])
    note = (
        "Tau: posterior median and shortest interval (HDI). Share: of the variance that is no fixed effect's, "
        "posterior mean and sd. Effective dof: posterior mean and sd; intercept and fixed effects not counted."
    )
    return table("Terms", ["term", *map(text, found.columns)], rows) + f'<p class="note">{note}</p>{pictures}'


def _levels(content: Content, name: str, parts: int) -> str:
    """Effects of a factor's levels in their order, on the band of a new level: by name, of many by rank."""
    post: Any = content.posterior
    found = post.levels(name)
    mean, sd, ends = found.mean[::parts], found.sd[::parts], found.interval(content.level)[::parts]
    order = np.argsort(mean[:-1], kind="stable")
    count = len(order)
    title = f"Effects of {count} levels of {name}{', the first of the correlated ones' if parts > 1 else ''}"
    kind = content.interval
    band = f"Band: {kind} of the effect of a level without rows."
    if count <= _MOST_NAMED:
        frame, rows = svg.span(ends, [0.0]), []
        new = (float(ends[-1, 0]), float(ends[-1, 1]))
        for k in order:
            own = (float(ends[k, 0]), float(ends[k, 1]))
            picture = svg.strip(*frame, interval=own, point=float(mean[k]), zero=0.0, band=new)
            shown = [rounded(float(value), float(sd[k])) for value in (mean[k], sd[k], *own)]
            rows.append([text(found.labels[parts * k]), picture, *shown])
        head = ["level", f"mean, {kind}", "mean", "sd", f"{kind} low", f"{kind} high"]
        return table(title, head, rows, left=2) + f'<p class="note">In units of the target. {band}</p>'
    x, y = svg.x_axis(0.0, count + 1.0), svg.y_axis(*svg.span(ends))
    at, sides = x(1.0 + np.arange(count)), np.array(x([0.0, count + 1.0]))
    low, high = (y(np.full(2, end)) for end in ends[-1])
    body = [
        svg.area(sides, low, high, "band"),
        f'<path class="zero" d="M{svg.LEFT} {float(y(0.0)):.1f}H{svg.RIGHT}"/>',
        svg.segments(at, y(ends[order, 0]), y(ends[order, 1]), "faint"),
        svg.points(at, y(mean[order]), "dot" if count <= 60 else "dot small"),
    ]
    picture = svg.chart(
        f"effects of the levels of {name} by rank", x, y, "levels by rank", f"effect, {content.units}", body
    )
    caption = f"{text(title)}: means and {kind}. {band}"
    return f'<div class="grid">{svg.figure(picture, caption)}</div>'


def computation(content: Content) -> str:
    """How the posterior was computed, and all that it says of its own accuracy."""
    post = content.posterior
    facts = [("how", text(post.how)), *(("check", text(line)) for line in post.check)]
    record = post.facts()
    if "log_marginal_likelihood" in record:
        error = record.get("log_marginal_likelihood_se")
        shown = f"{record['log_marginal_likelihood']:.2f}".replace("-", "−")
        facts.append(("log p(y), nats", shown + ("" if error is None else f" (standard error {number(error)})")))
    if "quadrature_error" in record:
        facts.append(("relative error of the integral over the scales", number(record["quadrature_error"])))
    part = post.coefficients
    drawn = (part.mcse > 0) & (part.sd > 0)
    if drawn.any():
        worst = float((part.mcse[drawn] / part.sd[drawn]).max())
        facts.append(("largest standard error of a coefficient's mean, posterior sds", number(worst)))
    listed = "".join([definition(name, value) for name, value in facts])
    return f'<dl class="facts wide">{listed}</dl>'


def calibration(content: Content) -> str:
    """PIT values of the rows left out, where there are such."""
    if content.loo_problem:
        return ""
    loo = content.posterior.loo
    try:
        pit = loo.pit[loo.count > 0]
        band = simultaneous_band(len(pit), _BAND)
    except DataError:
        return ""
    caption = (
        f"Leave-one-out PIT values. Band: where {100 * _BAND:g}% of the curves of as many independent uniform "
        "values stay; those of rows left out depend on each other a little."
    )
    return f'<div class="grid">{svg.figure(pit_ecdf(band.z, ecdf(pit), band.lower, band.upper), caption)}</div>'
