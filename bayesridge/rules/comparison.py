"""Every rule for lambda side by side: what it chooses, how sure it is, what it costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.fit import posterior
from bayesridge.hyper.marginal import Marginal
from bayesridge.linalg.design import WeightKind
from bayesridge.linalg.rows import is_small
from bayesridge.linalg.spectral import SpectralEngine
from bayesridge.linalg.spectrum import left_vectors
from bayesridge.linalg.threads import threads_for
from bayesridge.posteriors.quantity import check_level
from bayesridge.priors import NoisePrior, Prior
from bayesridge.rules.comparison_result import LambdaComparison, Row
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.duplicates import NearDuplicates
from bayesridge.rules.evaluation import Evaluation, evaluate, spread_of_fits
from bayesridge.rules.rule import Choice, LambdaInterval, LambdaProblem, Rule
from bayesridge.rules.standard import standard_rules

if TYPE_CHECKING:
    from bayesridge.rules.resampling import BootstrapChoices

Array = NDArray[np.float64]

FULL = "full posterior (lambda integrated)"


def default_rules(level: float = 0.95, duplicates: NearDuplicates | None = None) -> tuple[Rule, ...]:
    """Return the standard rules with 5- and 10-fold cross-validation.

    Parameters
    ----------
    level : float
        Of the intervals that rules give themselves.
    duplicates : NearDuplicates, optional
        Where there are any, 5-fold cross-validation that keeps them together is added (key ``cv5_grouped``).
    """
    rules = (*standard_rules(level), CrossValidation(5), CrossValidation(10))
    if duplicates is None or not duplicates.count:
        return rules
    return (*rules, CrossValidation(5, groups=duplicates.groups))


def pick_rules(keys: Sequence[str], level: float = 0.95) -> tuple[Rule, ...]:
    """Return default rules by key, in the order asked for.

    Raises
    ------
    DataError
        If a key is unknown; the text lists all.
    """
    known = {rule.key: rule for rule in default_rules(level)}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise DataError(f"no rule called {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple([known[key] for key in dict.fromkeys(keys)])


def compare_lambda(
    X: Any,
    y: Any = None,
    *,
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
    rules: Sequence[Rule] | None = None,
    level: float = 0.95,
    bootstrap: int = 0,
    bootstrap_kind: Literal["rows", "residuals"] | None = None,
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = True,
    formula: str | None = None,
    weights: Any = None,
    weight_kind: WeightKind = "frequency",
    fit_intercept: bool = True,
    scale: bool | Any = True,
    unpenalized: Sequence[str | int] = (),
    missing: Literal["error", "drop"] = "error",
) -> LambdaComparison:
    """Compare rules for choosing lambda on a table.

    Parameters
    ----------
    X, y, prior, noise_prior, formula, weights, weight_kind, fit_intercept, scale, unpenalized, missing
        As for :func:`bayesridge.fit`.
    rules : sequence of Rule, optional
        :func:`default_rules` by default, with grouped cross-validation where rows have near-duplicates.
    level : float
        Of all intervals.
    bootstrap : int
        Resamples for rules that have no interval of their own; 0 for none.
    bootstrap_kind : {"rows", "residuals"}, optional
        What is resampled: rows while there are more of them than columns, residuals otherwise, by default. Rows that
        are near-duplicates are drawn together.
    n_jobs : int
        Processes for the bootstrap.
    random_state : int
        Seed of the bootstrap.
    progress : bool
        Whether to show a progress bar for long work.

    Returns
    -------
    LambdaComparison

    Raises
    ------
    DataError
        If the data cannot be used. A rule that has no answer on them is a row of the table that says why.
    """
    post = posterior(
        X, y, prior=prior, noise_prior=noise_prior, formula=formula, weights=weights, weight_kind=weight_kind,
        fit_intercept=fit_intercept, scale=scale, unpenalized=unpenalized, missing=missing,
    )  # fmt: skip
    return compare_rules(
        LambdaProblem(post), rules, level=level, bootstrap=bootstrap, bootstrap_kind=bootstrap_kind,
        n_jobs=n_jobs, random_state=random_state, progress=progress,
    )  # fmt: skip


def compare_rules(
    problem: LambdaProblem,
    rules: Sequence[Rule] | None = None,
    *,
    level: float = 0.95,
    bootstrap: int = 0,
    bootstrap_kind: Literal["rows", "residuals"] | None = None,
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = True,
) -> LambdaComparison:
    """Compare rules on a posterior. Parameters as for :func:`compare_lambda`."""
    check_level(level)
    if bootstrap < 0:
        raise DataError(f"bootstrap is a number of resamples (0 for none), got {bootstrap}")
    with threads_for(problem.spectrum.rank):
        problem = _with_rows(problem)
        asked = tuple(default_rules(level, problem.near_duplicates) if rules is None else rules)
    _check_keys(asked)
    if any(isinstance(rule, CrossValidation) for rule in asked):
        import sklearn.model_selection  # noqa: F401  -- its import is not part of a rule's time
    with threads_for(problem.spectrum.rank):
        outcomes = [_outcome(rule, problem) for rule in asked]
    if rules is None:
        outcomes = [_explained(one, problem) for one in outcomes]
    lacking = [one.rule for one in outcomes if one.choice is not None and one.choice.interval is None]
    drawn = None
    if bootstrap and lacking:
        drawn = _bootstrap(problem, lacking, bootstrap, bootstrap_kind, level, n_jobs, random_state, progress=progress)
    with threads_for(problem.spectrum.rank):
        return _compare(problem, outcomes, drawn, level)


def _explained(one: _Outcome, problem: LambdaProblem) -> _Outcome:
    """Say at a rule that was added for the sake of near-duplicates why it is there."""
    if one.choice is None or not (isinstance(one.rule, CrossValidation) and one.rule.groups is not None):
        return one
    found = problem.near_duplicates
    why = f"added because {found.count} of {found.n_rows} rows have a near-duplicate: twins are on one side of a split"
    return replace(one, choice=replace(one.choice, note="; ".join(note for note in (why, one.choice.note) if note)))


def _bootstrap(
    problem: LambdaProblem,
    rules: Sequence[Rule],
    resamples: int,
    kind: Literal["rows", "residuals"] | None,
    level: float,
    n_jobs: int,
    random_state: int,
    *,
    progress: bool,
) -> BootstrapChoices:
    """Repeat choices on resampled data; twins are one piece of information, and drawn together."""
    from bayesridge.rules.resampling import bootstrap_choices, usual_kind

    how = kind or usual_kind(problem.design)
    found = problem.near_duplicates
    return bootstrap_choices(
        problem, rules, resamples, kind=how, groups=found.groups if found.count and how == "rows" else None,
        level=level, n_jobs=n_jobs, random_state=random_state, progress=progress,
    )  # fmt: skip


def _compare(
    problem: LambdaProblem, outcomes: Sequence[_Outcome], drawn: BootstrapChoices | None, level: float
) -> LambdaComparison:
    """Evaluate every choice, and the full posterior, on the rows of the table."""
    choices = {one.rule.key: one.choice for one in outcomes if one.choice is not None}
    lam = np.array([choice.lam for choice in choices.values()])
    started = time.perf_counter()
    facts = evaluate(problem, np.append(lam, _best_loo_lambda(problem, choices)))
    seconds = time.perf_counter() - started
    spread = spread_of_fits(problem, lam) if len(lam) > 1 else None
    rows = _rows(problem, outcomes, drawn, facts, seconds, level)
    rules = tuple([one.rule for one in outcomes])
    return LambdaComparison(problem, level, rows, choices, spread, float(facts.rmse[len(lam)]), rules, drawn)


@dataclass(frozen=True)
class _Outcome:
    rule: Rule
    choice: Choice | None
    reason: str
    seconds: float


def _check_keys(rules: Sequence[Rule]) -> None:
    if not rules:
        raise DataError("no rule to compare; leave rules out for the default ones")
    keys = [rule.key for rule in rules]
    twice = sorted({key for key in keys if keys.count(key) > 1} | ({"posterior"} & set(keys)))
    if twice:
        raise DataError(f"each rule needs a key of its own, and these are taken: {', '.join(twice)}; pass key=...")


def _with_rows(problem: LambdaProblem) -> LambdaProblem:
    """Put U into the spectrum, so that every leave-one-out (the posterior's too) takes it from there."""
    known = problem.spectrum.left is not None or "loo" in vars(problem.posterior)
    if known or not is_small(problem.design, problem.spectrum):
        return problem
    p = problem.posterior
    spectrum = replace(p.spectrum, left=left_vectors(p.design, p.spectrum))
    return LambdaProblem(replace(p, engine=SpectralEngine(p.design, spectrum)))


def _outcome(rule: Rule, problem: LambdaProblem) -> _Outcome:
    started = time.perf_counter()
    try:
        choice, reason = rule.choose(problem), ""
    except DataError as error:
        choice, reason = None, str(error)
    return _Outcome(rule, choice, reason, time.perf_counter() - started)


def _best_loo_lambda(problem: LambdaProblem, choices: dict[str, Choice]) -> float:
    from bayesridge.rules.prediction_rules import LooSquaredError

    if "loo" in choices:
        return choices["loo"].lam
    try:
        return LooSquaredError().choose(problem).lam
    except DataError:
        return np.inf  # there is no leave-one-out: its columns are empty anyway


def _rows(
    problem: LambdaProblem,
    outcomes: Sequence[_Outcome],
    drawn: BootstrapChoices | None,
    facts: Evaluation,
    seconds: float,
    level: float,
) -> tuple[Row, ...]:
    """Lines of the table: columns of `facts` are the choices in order, the best lambda of all, the full posterior."""
    count = len(facts.rmse) - 2
    shown = np.append(np.arange(count), count + 1)
    elpd = facts.elpd
    best = int(shown[np.argmax(elpd[shown])]) if not facts.unavailable else 0
    (diff, diff_se), elpd_se = facts.difference(best), facts.elpd_se

    def numbers(k: int) -> dict[str, float]:
        values = {
            "effective_dof": facts.effective_dof[k], "sigma": facts.sigma[k], "beta_norm": facts.beta_norm[k],
            "loo_rmse": facts.rmse[k], "elpd_loo": elpd[k], "elpd_se": elpd_se[k], "elpd_diff": diff[k],
            "elpd_diff_se": diff_se[k],
            "regret": facts.rmse[k] / facts.rmse[count] - 1.0 if facts.rmse[count] > 0 else np.nan,
        }  # fmt: skip
        return {name: float(value) for name, value in values.items()}

    full_interval = None
    if isinstance(problem.posterior.lambda_, Marginal):
        full_interval = LambdaInterval(*problem.lambda_eti(level), level, "ETI of the posterior")
    note = f"no leave-one-out: {facts.unavailable}" if facts.unavailable else ""
    rows = [Row("posterior", FULL, np.nan, "integrated", full_interval, seconds, note, **numbers(count + 1))]
    k = 0
    for one in outcomes:
        rule, choice = one.rule, one.choice
        if choice is None:
            rows.append(Row(rule.key, rule.label, np.nan, "not available", None, one.seconds, one.reason))
            continue
        interval, note = choice.interval, choice.note
        if drawn is not None and rule.key in drawn.rules:
            interval = drawn.intervals.get(rule.key)
            note = "; ".join(part for part in (note, drawn.notes[rule.key]) if part)
        rows.append(Row(rule.key, rule.label, choice.lam, choice.best.place, interval, one.seconds, note, **numbers(k)))
        k += 1
    return tuple(rows)
