"""What a comparison of rules says in words; every statement carries the numbers it rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayesridge.hyper.marginal import PointMass
from bayesridge.posteriors.shown import number
from bayesridge.rules.bootstrap import BootstrapChoices, usual_kind
from bayesridge.rules.table import Row, RuleTable

_SIGNIFICANT = 2.0  # paired standard errors
#: Nats allowed to a rule over the full posterior: its lambda was chosen on all rows, the one left out included, while
#: the posterior learns lambda anew without it. Choosing one number by its own score buys about one nat.
_OPTIMISM = 2.0
_SHIFTED = float(np.log(2.0))
#: Share of rows with a near-duplicate from which on scores of left-out rows are not used.
_MANY_TWINS = 0.1


def describe_disagreement(comparison: RuleTable) -> str:
    """Say whether the rules' intervals, fits and predictive scores differ by more than chance."""
    chosen = [row for row in comparison.rows if row.available and row.key != "posterior"]
    parts = [
        _range(chosen),
        _intervals(comparison.rows),
        _bootstrap(comparison),
        _fits(comparison, chosen),
        _scores(comparison),
    ]
    return " ".join(part for part in parts if part)


def _range(chosen: Sequence[Row]) -> str:
    if len(chosen) < 2:
        return ""
    least, most = min(chosen, key=lambda row: row.lam), max(chosen, key=lambda row: row.lam)
    if least.lam == most.lam:
        return f"All {len(chosen)} rules choose lambda {_lam(least)}."
    return (
        f"{len(chosen)} rules choose lambda from {_lam(least)} ({least.label}, {least.effective_dof:.3g} effective "
        f"dof) to {_lam(most)} ({most.label}, {most.effective_dof:.3g})."
    )


def _lam(row: Row) -> str:
    return {"zero": "0", "infinity": "infinity"}.get(row.place, number(row.lam))


def _intervals(rows: Sequence[Row]) -> str:
    known = [row for row in rows if row.interval is not None and row.key != "posterior"]
    if len(known) < 2:
        return "Fewer than two rules have an interval of their own; a bootstrap gives the others one."
    ends = [(row, row.interval) for row in known if row.interval is not None]
    high_row, high = max(ends, key=lambda one: one[1].lower)
    low_row, low = min(ends, key=lambda one: one[1].upper)
    if high.lower <= low.upper:
        return (
            f"The intervals of the {len(known)} rules that have one all overlap, from {number(high.lower)} to "
            f"{number(low.upper)}."
        )
    return (
        f"Intervals do not all overlap: {low_row.label} {_span(low.lower, low.upper)} lies below {high_row.label} "
        f"{_span(high.lower, high.upper)}."
    )


def _bootstrap(comparison: RuleTable) -> str:
    """Say what was resampled, and which rules went to an end or moved as a whole."""
    drawn = comparison.bootstrap
    if drawn is None:
        return ""
    if drawn.kind != usual_kind(comparison.problem.design):
        why = "as asked"
    elif drawn.kind == "rows":
        why = "near-duplicates drawn together" if drawn.grouped else "there are more rows than columns"
    else:
        why = "no more rows than columns, and resampled rows would be fewer still"
    stopped = f", {drawn.asked} were asked for" if drawn.interrupted else ""
    start = f"Bootstrap intervals rest on {len(drawn.draws)} resamples of {drawn.kind}{stopped} ({why})."
    return start + _moves(comparison, drawn)


def _moves(comparison: RuleTable, drawn: BootstrapChoices) -> str:
    """Say which rules the resamples drive to an end, and which they move as a whole."""
    label = {row.key: row.label for row in comparison.rows}
    shares = [("0", drawn.at_zero), ("infinity", drawn.at_infinity)]
    ends = [(share, key, end) for end, one in shares for key, share in one.items() if share > 0.5 * (1 - drawn.level)]
    text = ""
    if ends:
        share, key, end = max(ends)
        text += (
            f" They reach lambda = 0 or infinity for {len({one[1] for one in ends})} rules, most often {end} for "
            f"{label[key]} ({100 * share:.3g}% of the resamples)."
        )
    moved = {key: shift for key, shift in drawn.shift.items() if 0 < shift < np.inf and abs(np.log(shift)) > _SHIFTED}
    if moved:
        key = max(moved, key=lambda one: abs(float(np.log(moved[one]))))
        text += (
            f" Resampling itself moves the choice of {len(moved)} rules more than twofold ({label[key]}: the median "
            f"resample chooses {moved[key]:.2g} times the lambda of the data)."
        )
    return text


def _span(low: float, high: float) -> str:
    return f"[{number(low)}, {number(high)}]"


def _fits(comparison: RuleTable, chosen: Sequence[Row]) -> str:
    spread = comparison.spread
    if spread is None:
        return ""
    one, two = sorted((spread.low, spread.high))
    sd = "" if np.isnan(spread.in_sd) else f"{spread.in_sd:.2g} posterior sds of the expected target"
    sd = f"by {sd} (row {spread.row}: {chosen[one].label} and {chosen[two].label}) and " if sd else ""
    return (
        f"Their fitted values differ at most {sd}by {spread.in_sigma:.2g} sigma; root mean square over rows of the "
        f"widest difference: {spread.rms_in_sigma:.2g} sigma."
    )


def worse_than_best(rows: Sequence[Row]) -> list[Row]:
    """Rows whose elpd is more than two paired standard errors below the best."""
    return [row for row in rows if row.elpd_diff < -_SIGNIFICANT * row.elpd_diff_se]


def _scores(comparison: RuleTable) -> str:
    rows = [row for row in comparison.rows if row.available and np.isfinite(row.elpd_diff)]
    if not rows:
        return f"Predictive scores cannot be compared ({comparison.rows[0].note})."
    best = max(rows, key=lambda row: row.elpd_loo)
    worse = worse_than_best(rows)
    start = f"Leave-one-out log predictive density (elpd) is highest for {best.label}"
    start += " (which maximises it)" if best.key == "loo_log" else ""
    caveat = " The rules' lambda has seen the rows left out, which flatters them; the full posterior's has not."
    if not worse:
        others = [row for row in rows if row is not best]
        gap = f" (largest gap {max((-row.elpd_diff for row in others), default=0.0):.2g} nats)"
        return f"{start}; none of the others is more than two paired standard errors below{gap}.{caveat}"
    listed = ", ".join(f"{row.label} ({row.elpd_diff:.2g} ± {row.elpd_diff_se:.2g})" for row in worse[:6])
    more = f" and {len(worse) - 6} more" if len(worse) > 6 else ""
    below = f"more than two paired standard errors below: {len(worse)} of {len(rows) - 1}, {listed}{more}"
    return f"{start}; {below}.{caveat}"


def recommend(comparison: RuleTable) -> str:
    """Say which lambda to use here; each sentence follows from something computed on these data."""
    twins = comparison.problem.near_duplicates
    if twins.share >= _MANY_TWINS:
        parts = [_with_twins(comparison)]
    else:
        parts = [_main(comparison), _single(comparison), _with_twins(comparison) if twins.count else ""]
    parts.append(comparison.problem.situation)
    return " ".join(part for part in parts if part)


def _with_twins(comparison: RuleTable) -> str:
    """Say which rules near-duplicate rows do not fool, and what becomes of the others."""
    twins = comparison.problem.near_duplicates
    parts = [comparison.duplicates]
    if twins.share >= _MANY_TWINS:
        parts.append("The leave-one-out scores of this table are too good and decide nothing.")
    kept = [comparison.row(key) for key in comparison.grouped]
    answers = [row for row in kept if row.available]
    if answers:
        row = answers[0]
        parts.append(
            f"{'Use' if twins.share >= _MANY_TWINS else 'Compare'} the lambda of {row.label}, which keeps them "
            f"together: {_lam(row)} ({row.effective_dof:.3g} effective dof){_beside(comparison, row.lam)}."
        )
    elif kept:
        parts.append(f"Grouped cross-validation has no answer here ({kept[0].note}).")
    else:
        parts.append(
            "No rule compared here keeps them together: add CrossValidation(5, groups=...) "
            "with the labels in problem.near_duplicates.groups."
        )
    left = int(twins.groups.max()) + 1
    parts.append(
        "The evidence, and with it the posterior, counts such rows as independent too: its noise comes out too small "
        "and its intervals too narrow." + ("" if twins.discrete else f" One row of each, {left} rows, would mend that.")
    )
    return " ".join(parts)


def _beside(comparison: RuleTable, lam: float) -> str:
    """Where a lambda lies against the posterior's interval."""
    posterior = comparison.problem.posterior.lambda_
    if isinstance(posterior, PointMass):
        return ""
    low, high = comparison.problem.lambda_eti(comparison.level)
    where = "above" if lam > high else "below" if lam < low else "within"
    return f", {where} the posterior's {100 * comparison.level:g}% ETI {_span(low, high)}"


def _main(comparison: RuleTable) -> str:
    posterior, full = comparison.problem.posterior, comparison.rows[0]
    if isinstance(posterior.lambda_, PointMass):
        return (
            f"lambda is not learned in this fit ({posterior.prior.text}); the table compares what rules would choose."
        )
    if not np.isfinite(full.elpd_diff):
        return "Use the full posterior, which needs no choice; leave-one-out cannot check it on these data."
    better = [row for row in comparison.rows[1:] if row.available and row.elpd_loo > full.elpd_loo]
    if not better:
        return "Use the full posterior (lambda integrated): no single lambda of the table has a higher elpd_loo."
    best = max(better, key=lambda row: row.elpd_loo)
    short = -full.elpd_diff
    gap = f"{full.elpd_diff:.2g} ± {full.elpd_diff_se:.2g}"
    if short > _SIGNIFICANT * full.elpd_diff_se + _OPTIMISM:
        return (
            f"The full posterior predicts worse here than lambda {_lam(best)} ({best.label}): elpd {gap}, by more than "
            f"two paired standard errors and the {_OPTIMISM:g} nats allowed for a lambda that has seen the rows left "
            "out. Look at the prior of lambda before using either."
        )
    allowance = "" if short <= _SIGNIFICANT * full.elpd_diff_se else f" plus the {_OPTIMISM:g} nats allowed to a lambda"
    allowance += " that has seen the rows left out" if allowance else ""
    return (
        f"Use the full posterior (lambda integrated): its elpd_loo is within two paired standard errors{allowance} of "
        f"the best row ({gap}), and it alone carries the uncertainty of lambda into intervals."
    )


def _single(comparison: RuleTable) -> str:
    """Say what to do where one number is wanted."""
    posterior = comparison.problem.posterior
    lam = posterior.lambda_
    if isinstance(lam, PointMass):
        return ""
    place = comparison.problem.evidence_place
    low, high = comparison.problem.lambda_eti(comparison.level)
    interval = f"{100 * comparison.level:g}% ETI {_span(low, high)}"
    text = f"Where a single number is needed: the posterior median, lambda {number(lam.median)} ({interval})."
    if place == "infinity":
        text += " The evidence is highest at lambda = infinity: these data show no signal of the columns."
    elif place == "zero":
        text += " The evidence is highest at lambda = 0, where there is nothing to plug in."
    if low > 0 and high / low > 1e3:
        text += f" That interval spans a factor of {high / low:.2g}: these data hardly say what lambda is."
    return text
