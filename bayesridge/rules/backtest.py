"""Nested backtest: which rule would have predicted best, choosing lambda anew in every training set.

The error of a rule is measured on rows that had no part in its choice. Beside the rules stand the full posterior
(lambda integrated), least squares (lambda = 0) and the mean of the target (lambda = infinity).

The log score of a rule is the predictive density at its lambda with sigma integrated under 1/sigma^2 (Student-t); at
lambda = 0 that of least squares, one degree of freedom less for each column.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import BayesRidgeError, BayesRidgeWarning, DataError, warn
from bayesridge.fit import posterior
from bayesridge.linalg.design import Design, WeightKind
from bayesridge.linalg.runs import run_many
from bayesridge.linalg.threads import threads_for
from bayesridge.posteriors.posterior import Method, Posterior, infer
from bayesridge.priors import NoisePrior, Prior
from bayesridge.rules.backtest_result import Backtest
from bayesridge.rules.cross_validation import CrossValidation, split_rows
from bayesridge.rules.held_out import HeldOut, held_out
from bayesridge.rules.rule import LambdaProblem, Rule
from bayesridge.rules.standard import standard_rules
from bayesridge.rules.subsets import Rows, factorize_quietly, subset_design

Array = NDArray[np.float64]

POSTERIOR, LEAST_SQUARES, MEAN_ONLY = "posterior", "least_squares", "mean_only"
_YARDSTICKS = {
    POSTERIOR: "full posterior (lambda integrated)",
    LEAST_SQUARES: "least squares (lambda = 0)",
    MEAN_ONLY: "mean only (lambda = infinity)",
}


def backtest(
    X: Any,
    y: Any = None,
    *,
    rules: Sequence[Rule] | None = None,
    splitter: Any = None,
    groups: NDArray[Any] | None = None,
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
    formula: str | None = None,
    weights: Any = None,
    weight_kind: WeightKind = "frequency",
    fit_intercept: bool = True,
    scale: bool | Any = True,
    unpenalized: Sequence[str | int] = (),
    missing: Literal["error", "drop"] = "error",
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = True,
) -> Backtest:
    """Find out which rule for lambda would have predicted best on rows like these.

    Parameters
    ----------
    X, y, prior, noise_prior, formula, weights, weight_kind, fit_intercept, scale, unpenalized, missing
        As for :func:`bayesridge.fit`. A formula is read once, on the whole table: what it remembers (levels, knots,
        means of ``center(x)``) has seen the test rows, but not their targets.
    rules : sequence of Rule, optional
        Every standard rule and 5-fold cross-validation if left out.
    splitter : scikit-learn splitter, optional
        Outer splits; 5 folds, repeated 10 times, if left out (``GroupKFold`` over 10 shuffles where there are groups).
    groups : ndarray of shape (rows of the table,), optional
        Rows of one group are never on both sides of an outer split. Rules bring their own groups for inner splits.
    n_jobs : int
        Processes; numbers do not depend on it.
    random_state : int
        Seed of the default splits.
    progress : bool
        Whether to show a progress bar. Interrupting keeps the splits that are done, with a warning.

    Returns
    -------
    Backtest

    Raises
    ------
    DataError
        If the data cannot be used, or split.
    """
    post = posterior(
        X, y, prior=prior, noise_prior=noise_prior, formula=formula, weights=weights, weight_kind=weight_kind,
        fit_intercept=fit_intercept, scale=scale, unpenalized=unpenalized, missing=missing,
    )  # fmt: skip
    return backtest_problem(
        LambdaProblem(post), rules, splitter=splitter, groups=groups, n_jobs=n_jobs, random_state=random_state,
        progress=progress,
    )  # fmt: skip


def backtest_problem(
    problem: LambdaProblem,
    rules: Sequence[Rule] | None = None,
    *,
    splitter: Any = None,
    groups: NDArray[Any] | None = None,
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = True,
) -> Backtest:
    """As :func:`backtest`, for a posterior that is there already (its design, priors and kind)."""
    import pandas as pd

    start = time.perf_counter()
    own = (*standard_rules(), CrossValidation(5)) if rules is None else tuple(rules)
    _check_keys(own)
    splitters = [splitter] if splitter is not None else _default_splitters(groups, random_state)
    splits = tuple(split_rows(problem.design, splitters, groups))
    design, old = problem.design, problem.posterior
    task = _Task(design, old.prior, old.noise_prior, old.method, own, splits)
    runs = run_many(task, len(splits), n_jobs=n_jobs, random_state=random_state, progress=progress, title="backtest")
    if not runs.results:
        raise DataError("interrupted before the first split was done: there is nothing to report")
    if runs.interrupted:
        done = len(runs.results)
        warn(f"interrupted after {done} of {len(splits)} splits; the summary rests on these", BayesRidgeWarning)
    frame = pd.DataFrame([row for result in runs.results for row in result])
    ratio = frame.groupby("split")[["n_test", "n_train"]].first()
    labels = {rule.key: rule.label for rule in own} | _YARDSTICKS
    return Backtest(
        frame, labels, float((ratio["n_test"] / ratio["n_train"]).mean()), len(splits), _describe(splitters),
        design.target_name, time.perf_counter() - start,
    )  # fmt: skip


def _check_keys(rules: Sequence[Rule]) -> None:
    keys = [rule.key for rule in rules]
    twice = sorted({key for key in keys if keys.count(key) > 1 or key in _YARDSTICKS})
    if twice:
        raise DataError(
            f"rules need different keys, and none of {', '.join(_YARDSTICKS)}; got twice: {', '.join(twice)}"
        )


def _default_splitters(groups: NDArray[Any] | None, seed: int) -> list[Any]:
    from sklearn.model_selection import GroupKFold, RepeatedKFold

    if groups is None:
        return [RepeatedKFold(n_splits=5, n_repeats=10, random_state=seed)]
    folds = min(5, len(np.unique(groups)))
    seeds = np.random.SeedSequence(seed).generate_state(10).tolist()
    return [GroupKFold(folds, shuffle=True, random_state=one) for one in seeds]


def _describe(splitters: Sequence[Any]) -> str:
    text = " ".join(str(splitters[0]).split())
    return text if len(splitters) == 1 else f"{len(splitters)} times {text.partition('(')[0]}"


@dataclass(frozen=True, eq=False)
class _Task:
    """One split: fit, choose, predict; a plain record of data, so that it can be sent to other processes."""

    design: Design
    prior: Prior
    noise_prior: NoisePrior
    method: Method
    rules: tuple[Rule, ...]
    splits: tuple[tuple[Rows, Rows], ...]

    def __call__(self, k: int, _: np.random.Generator) -> list[dict[str, Any]]:
        train, test = self.splits[k]
        whole = self.design
        with warnings.catch_warnings(), threads_for(whole.X.shape[1]):
            warnings.simplefilter("ignore", BayesRidgeWarning)  # about a part of the table
            try:
                design = subset_design(whole, train)
                post = infer(design, factorize_quietly(design), self.prior, self.noise_prior, self.method)
            except BayesRidgeError as error:
                raise DataError(f"training set {k + 1} ({len(train)} rows) cannot be fitted: {error}") from error
            seen = held_out(design, post.spectrum, whole, test)
            problem = LambdaProblem(post)
            rows = [_predicted_by_posterior(post, seen, whole.X[test])]
            for rule in self.rules:
                own = rule.restricted_to(whole, train) if isinstance(rule, CrossValidation) else rule
                rows.append(_predicted_by_rule(own, problem, seen))
            rows += [_plug_in(LEAST_SQUARES, 0.0, seen), _plug_in(MEAN_ONLY, np.inf, seen)]
        size = {"n_train": design.n_obs, "n_test": float(seen.count.sum())}
        return [{"split": k, **row, **size} for row in rows]


def _row(key: str, lam: float, rmse: float, log_score: float, problem: str = "") -> dict[str, Any]:
    return {"rule": key, "lambda": lam, "rmse": rmse, "log_score": log_score, "problem": problem}


def _plug_in(key: str, lam: float, seen: HeldOut) -> dict[str, Any]:
    log_scores = seen.least_squares_log_scores() if lam == 0 else seen.log_scores(lam)
    share = seen.count / seen.count.sum()
    return _row(key, lam, float(np.sqrt(seen.squared_error(lam))), float(log_scores @ share))


def _predicted_by_rule(rule: Rule, problem: LambdaProblem, seen: HeldOut) -> dict[str, Any]:
    try:
        lam = rule.choose(problem).lam
    except BayesRidgeError as error:
        return _row(rule.key, np.nan, np.nan, np.nan, str(error))
    if np.isnan(lam):
        return _row(rule.key, np.nan, np.nan, np.nan, "the rule chose no lambda")
    return _plug_in(rule.key, lam, seen)


def _predicted_by_posterior(post: Posterior, seen: HeldOut, X: Array) -> dict[str, Any]:
    predicted = post.predict(X, seen.precision)
    error = np.square(seen.y - predicted.mean) @ (seen.weight / seen.weight.sum())
    log_score = predicted.log_density(seen.y) @ (seen.count / seen.count.sum())
    return _row(POSTERIOR, np.nan, float(np.sqrt(error)), float(log_score))
