"""Every rule for lambda side by side: what it chooses, how sure it is, what it costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesridge.errors import DataError
from bayesridge.hyper.marginal import Marginal
from bayesridge.parallel.threads import threads_for
from bayesridge.posteriors.quantity import check_level
from bayesridge.posteriors.shown import Shown
from bayesridge.rules.bootstrap import BootstrapChoices, Kind, bootstrap_choices, usual_kind
from bayesridge.rules.catalogue import pick_rules
from bayesridge.rules.compared import SpectrumProblem, comparable
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.curve_problem import CurveProblem
from bayesridge.rules.evaluation import Evaluation
from bayesridge.rules.problem import Choice, LambdaInterval, Rule, check_keys
from bayesridge.rules.table import Row, RuleTable
from bayesridge.rules.text import describe_disagreement, recommend

if TYPE_CHECKING:
    import pandas as pd

FULL = "full posterior (lambda integrated)"


@dataclass(frozen=True, eq=False)
class LambdaComparison(RuleTable, Shown):
    """Every rule for lambda side by side, in numbers and words."""

    @cached_property
    def disagreement(self) -> str:
        """Whether the rules differ materially, in words and numbers."""
        return describe_disagreement(self)

    @cached_property
    def recommendation(self) -> str:
        """Which to use here, and why."""
        return recommend(self)

    def to_record(self) -> dict[str, Any]:
        """Everything that fits in JSON (null for what is infinite, or not there)."""
        from bayesridge import __version__
        from bayesridge.posteriors.summary import SCHEMA, describe_data, describe_model, jsonable

        record = {
            "schema": SCHEMA,
            "level": self.level,
            "bayesridge_version": __version__,
            "data": describe_data(self.problem.posterior),
            "model": describe_model(self.problem.posterior),
            "rules": [_row_record(row, self.choices.get(row.key)) for row in self.rows],
            "best_loo_rmse": self.best_loo_rmse,
            "spread_of_fits": None if self.spread is None else vars(self.spread),
            "bootstrap": None if self.bootstrap is None else _bootstrap_record(self.bootstrap),
            "duplicates": self.duplicates,
            "grouped_rules": self.grouped,
            "disagreement": self.disagreement,
            "recommendation": self.recommendation,
        }
        return dict(jsonable(record))

    def summary(self, level: float | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return :attr:`table`, whose intervals have the level of the comparison."""
        return self.table

    def __repr__(self) -> str:
        shown = self.table[["lambda", "interval low", "interval high", *_SHOWN]]
        two = {name: "{:.2f}".format for name in _SHOWN if name.startswith("elpd")}
        text = shown.to_string(float_format=lambda value: f"{value:.4g}", formatters=two, na_rep="")
        return f"Which lambda: {len(self.rows) - 1} rules\n{text}\n\n{self.disagreement}\n\n{self.recommendation}"

    def _repr_html_(self) -> str:
        from html import escape

        shown = self.table.drop(columns=["key"])
        table = shown.to_html(float_format=lambda value: f"{value:.4g}", na_rep="")
        return f"{table}<p>{escape(self.disagreement)}</p><p>{escape(self.recommendation)}</p>"


_SHOWN = ["effective dof", "LOO RMSE", "regret", "elpd_loo", "elpd diff", "elpd diff se"]


def _bootstrap_record(drawn: BootstrapChoices) -> dict[str, Any]:
    return {
        "kind": drawn.kind, "grouped": drawn.grouped, "resamples": len(drawn.draws), "asked": drawn.asked,
        "notes": drawn.notes,
    }  # fmt: skip


def _interval_record(interval: LambdaInterval) -> dict[str, Any]:
    """An interval of a rule is not always equal-tailed: its kind says what it is."""
    return {"low": interval.lower, "high": interval.upper, "level": interval.level, "kind": interval.kind}


def _row_record(row: Row, choice: Choice | None) -> dict[str, Any]:
    record = {**vars(row), "interval": None if row.interval is None else _interval_record(row.interval)}
    record["lambda"] = record.pop("lam")  # null at infinity too: `place` tells
    record["other_optima"] = [] if choice is None else [vars(one) for one in choice.others]
    return record


def compare_lambda(
    X: Any,
    y: Any = None,
    *,
    rules: Sequence[Rule | str] | None = None,
    level: float = 0.95,
    bootstrap: int = 0,
    bootstrap_kind: Kind | None = None,
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = True,
    **options: Any,
) -> LambdaComparison:
    """Compare rules for choosing lambda.

    Parameters
    ----------
    X, y, **options
        A posterior, alone; or as for :func:`bayesridge.posterior`.
    rules : sequence of Rule or str, optional
        Or keys of the default ones: :func:`~bayesridge.rules.catalogue.default_rules`, with grouped cross-validation
        where rows have near-duplicates; of counts and successes those that make sense for them.
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
        If the data cannot be used, or a posterior has more than one lambda. A rule that has no answer on the data is a
        row of the table that says why.
    """
    check_level(level)
    if bootstrap < 0:
        raise DataError(f"bootstrap is a number of resamples (0 for none), got {bootstrap}")
    problem = comparable(X, y, **options)
    with threads_for(problem.rank):
        problem = problem.prepared()
        known = problem.default_rules(level)
        asked = known if rules is None else _asked(rules, known)
    check_keys(asked, ["posterior"])
    if any(isinstance(rule, CrossValidation) for rule in asked):
        import sklearn.model_selection  # noqa: F401  -- its import is not part of a rule's time
    with threads_for(problem.rank):
        outcomes = [_outcome(rule, problem) for rule in asked]
    if rules is None:
        outcomes = [_explained(one, problem) for one in outcomes]
    lacking = [one.rule for one in outcomes if one.choice is not None and one.choice.interval is None]
    drawn = None
    if bootstrap and lacking:
        drawn = _bootstrap(problem, lacking, bootstrap, bootstrap_kind, level, n_jobs, random_state, progress=progress)
    with threads_for(problem.rank):
        return _compare(problem, outcomes, drawn, level)


def _asked(rules: Sequence[Rule | str], known: Sequence[Rule]) -> tuple[Rule, ...]:
    """Rules as they are, and default ones by key."""
    return tuple([pick_rules([one], rules=known)[0] if isinstance(one, str) else one for one in rules])


def _explained(one: _Outcome, problem: SpectrumProblem | CurveProblem) -> _Outcome:
    """Say at a rule that was added for the sake of near-duplicates why it is there."""
    if one.choice is None or not (isinstance(one.rule, CrossValidation) and one.rule.groups is not None):
        return one
    found = problem.near_duplicates
    why = f"added because {found.count} of {found.n_rows} rows have a near-duplicate: twins are on one side of a split"
    return replace(one, choice=replace(one.choice, note="; ".join(note for note in (why, one.choice.note) if note)))


def _bootstrap(
    problem: SpectrumProblem | CurveProblem,
    rules: Sequence[Rule],
    resamples: int,
    kind: Kind | None,
    level: float,
    n_jobs: int,
    random_state: int,
    *,
    progress: bool,
) -> BootstrapChoices:
    """Repeat choices on resampled data; twins are one piece of information, and drawn together."""
    if not isinstance(problem, SpectrumProblem):
        raise DataError("a bootstrap refits in milliseconds or not at all: it is for Gaussian noise, leave it out here")
    how = kind or usual_kind(problem.design)
    found = problem.near_duplicates
    return bootstrap_choices(
        problem, rules, resamples, kind=how, groups=found.groups if found.count and how == "rows" else None,
        level=level, n_jobs=n_jobs, random_state=random_state, progress=progress,
    )  # fmt: skip


def _compare(
    problem: SpectrumProblem | CurveProblem, outcomes: Sequence[_Outcome], drawn: BootstrapChoices | None, level: float
) -> LambdaComparison:
    """Evaluate every choice, and the full posterior, on the rows of the table."""
    choices = {one.rule.key: one.choice for one in outcomes if one.choice is not None}
    lam = np.array([choice.lam for choice in choices.values()])
    started = time.perf_counter()
    facts = problem.evaluate(np.append(lam, _best_loo_lambda(problem, choices)))
    seconds = time.perf_counter() - started
    spread = problem.spread(lam) if len(lam) > 1 else None
    rows = _rows(problem, outcomes, drawn, facts, seconds, level)
    rules = tuple([one.rule for one in outcomes])
    return LambdaComparison(problem, level, rows, choices, spread, float(facts.rmse[len(lam)]), rules, drawn)


@dataclass(frozen=True)
class _Outcome:
    rule: Rule
    choice: Choice | None
    reason: str
    seconds: float


def _outcome(rule: Rule, problem: Any) -> _Outcome:
    started = time.perf_counter()
    try:
        choice, reason = rule.choose(problem), ""
    except DataError as error:
        choice, reason = None, str(error)
    return _Outcome(rule, choice, reason, time.perf_counter() - started)


def _best_loo_lambda(problem: Any, choices: dict[str, Choice]) -> float:
    if "loo" in choices:
        return choices["loo"].lam
    try:
        return pick_rules(["loo"], rules=problem.default_rules(0.95))[0].choose(problem).lam
    except DataError:
        return np.inf  # there is no leave-one-out: its columns are empty anyway


def _rows(
    problem: SpectrumProblem | CurveProblem,
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
    best = int(shown[np.nanargmax(elpd[shown])]) if not facts.unavailable else 0
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
