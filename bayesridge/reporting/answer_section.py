"""The answer in one paragraph with key figures, and how well it predicts."""

from __future__ import annotations

import numpy as np

from bayesridge.errors import DataError
from bayesridge.hyper.marginal import Scalar
from bayesridge.reporting import svg
from bayesridge.reporting.content import Content, LambdaContent
from bayesridge.reporting.html import definition, number, percent, scale_number, sentence, text
from bayesridge.reporting.row_pictures import MOST_POINTS, predicted_observed


def answer(content: LambdaContent) -> str:
    """Headline sentence and key figures."""
    post = content.posterior
    sentences = [_lambda_sentence(content), _prediction_sentence(content), columns_sentence(content)]
    lam, dof = post.lambda_, post.effective_dof
    figures = [
        definition("penalty λ" if lam.known else "penalty λ, posterior median", key_figure(lam, content)),
        definition("effective dof, intercept not counted", key_figure(dof, content)),
        definition(f"noise sd σ, units of {text(content.units)}", key_figure(post.sigma, content)),
    ]
    if not content.loo_problem:
        loo = post.loo
        small = f"elpd {loo.elpd_loo:.1f} (se {loo.se:.1f})".replace("-", "−")
        figures.append(definition("leave-one-out RMSE", f"<b>{number(loo.rmse)}</b><small>{small}</small>"))
    lead = " ".join([s for s in sentences if s])
    return f'<p class="lead">{lead}</p><dl class="figures">{"".join(figures)}</dl>'


def key_figure(marginal: Scalar, content: Content) -> str:
    """Return a scale in large digits, with its interval."""
    if marginal.known:
        word = "plugged in" if content.posterior.method == "evidence" else "fixed"
        return f"<b>{number(marginal.median)}</b><small>{word}</small>"
    low, high = marginal.interval(content.level)
    median, *ends = (scale_number(value, (low, high)) for value in (marginal.median, low, high))
    return f"<b>{median}</b><small>{content.interval} {' to '.join(ends)}</small>"


def _lambda_sentence(content: LambdaContent) -> str:
    post = content.posterior
    lam, dof = post.lambda_, post.effective_dof
    most = post.spectrum.rank
    how = _shrinkage_word(dof.median / most) if most else "without any column to shrink"
    many = scale_number(dof.median, (dof.median, dof.median) if dof.known else dof.interval(content.level))
    use = f"{many} of {most} effective degrees of freedom are used (intercept not counted)"
    if post.method == "evidence":
        start = f"λ = {number(lam.median)} is plugged in where the evidence is highest; its uncertainty is ignored"
    elif lam.known:
        start = f"λ was fixed at {number(lam.value)}"
    elif most and not post.spectrum.degenerate and post.evidence.best.place == "infinity":
        ends = " to ".join(map(content.lam, lam.interval(content.level)))
        start = (
            "These data show <strong>no signal</strong> of the columns: the evidence is highest as λ → ∞. What the "
            f"prior leaves is λ = {content.lam(lam.median)} (posterior median; {content.interval} {ends})"
        )
    else:
        low, high = lam.interval(content.level)
        start = (
            f"The data ask for a penalty of <strong>λ = {content.lam(lam.median)}</strong> "
            f"(posterior median; {content.interval} {content.lam(low)} to {content.lam(high)})"
        )
    sentence = f"{start}: the coefficients are {how}, {use}."
    low, high = lam.interval(content.level)
    if high > _WIDE * low:
        sentence += f" That interval spans a factor of {number(high / low, 2)}: these data hardly say what λ is."
    return sentence


#: Ratio of the ends of the interval of lambda from which the data are said to know little of it.
_WIDE = 1e4


def _shrinkage_word(share: float) -> str:
    if share > 0.8:
        return "shrunk lightly"
    return "shrunk noticeably" if share > 0.35 else "shrunk strongly"


def _prediction_sentence(content: LambdaContent) -> str:
    if content.loo_problem or content.data.errors is None:
        return ""
    rmse = content.posterior.loo.rmse
    # lambda so large that nothing is left of the penalised columns
    without = float(content.data.errors.root_mean_squares_at_the_ends()[1, 1])
    return (
        f"Each row predicted from the others is missed by {number(rmse)} (RMSE); the {content.nothing} would miss "
        f"it by {number(without)}."
    )


def columns_sentence(content: Content) -> str:
    """Say which coefficients' intervals exclude zero."""
    own, names = content.own, content.posterior.design.names
    ends, p = content.ends[own], len(own)
    away = own[(ends[:, 0] > 0) | (ends[:, 1] < 0)]
    apart = " (effects of levels and bases of curves not counted)" if p < len(names) else ""
    if not len(away):
        return f"No coefficient's {content.interval} excludes zero{apart}."
    shown = ", ".join(text(names[j]) for j in away[:6]) + (f" and {len(away) - 6} more" if len(away) > 6 else "")
    verb = "excludes" if len(away) == 1 else "exclude"
    return f"The {content.interval} of {len(away)} of {p} coefficients {verb} zero{apart}: {shown}."


def predictions(content: Content) -> str:
    """Leave-one-out: numbers, coverage, picture."""
    if content.loo_problem:
        return f'<p class="note">Leave-one-out is not available: {text(content.loo_problem.rstrip("."))}.</p>'
    post = content.posterior
    loo = post.loo
    facts = [
        ("elpd_loo", f"{loo.elpd_loo:.1f} (se {loo.se:.1f}) nats".replace("-", "−")),
        ("p_loo, effective number of parameters", _p_loo(loo.p_loo)),
    ]
    try:
        pit = loo.pit[loo.count > 0]
    except DataError as why:
        listed = "".join([definition(*fact) for fact in [*facts, ("computed by", text(loo.accuracy))]])
        return f'<dl class="facts wide">{listed}</dl><p class="note">{text(sentence(str(why)))}</p>'
    inside = {level: float(np.mean(np.abs(pit - 0.5) <= 0.5 * level)) for level in (0.5, 0.8, 0.95)}
    facts.append(("RMSE, leave-one-out", number(loo.rmse)))
    facts += [(content.inside(level), percent(share)) for level, share in inside.items()]
    if loo.refitted.any():
        facts.append(("rows done by an actual refit", str(int(loo.refitted.sum()))))
    listed = "".join([definition(name, value) for name, value in facts])
    n = len(pit)
    some = f" A random {MOST_POINTS} of {n} rows are drawn." if n > MOST_POINTS else ""
    lines = f" Horizontal lines: {content.interval} of each prediction." if n <= 60 else ""
    picture = svg.figure(
        predicted_observed(post, content.level),
        f"Each row predicted from the others ({text(content.averaged)}).{lines}{some}",
    )
    explain = f"<p>{text(content.predicted)}</p>"
    return f'<div class="side">{picture}<div>{explain}<dl class="facts">{listed}</dl></div></div>'


def _p_loo(value: float) -> str:
    return number(value) + (" (the columns can fit every row)" if np.isinf(value) else "")
