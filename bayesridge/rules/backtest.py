r"""Nested backtest: which rule would have predicted best, choosing lambda anew in every training set.

The error of a rule is measured on rows that had no part in its choice. Beside the rules stand the full posterior
(lambda integrated), least squares (lambda = 0) and the mean of the target (lambda = infinity).

The log score of a rule is the predictive density at its lambda with sigma integrated under 1/sigma^2 (Student-t); at
lambda = 0 that of least squares, one degree of freedom less for each column.

Over J splits the differences d_j of a rule to the best one have the standard error of Nadeau and Bengio (2003, Machine
Learning 52),

    se = sqrt( (1/J + n_test / n_train) S^2 ),     S^2 = sum_j (d_j - dbar)^2 / (J - 1),

since training sets overlap and test sets repeat: the plain S / sqrt(J) would shrink to nothing with ever more splits of
the same rows. It is an approximation, derived for random splits and rough for time-ordered or grouped ones. A rule is
called worse than the best beyond the Student-t quantile (J - 1 degrees of freedom) at which, over all rules together,
one in twenty would be called so by chance (Bonferroni).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bayesridge.design.design import Design
from bayesridge.errors import BayesRidgeError, BayesRidgeWarning, DataError, warn
from bayesridge.parallel.runs import run_many
from bayesridge.parallel.threads import threads_for
from bayesridge.posteriors.inferred import Method
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.posteriors.shown import Finding
from bayesridge.priors import NoisePrior, Prior
from bayesridge.rules.catalogue import standard_rules
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.folds import HeldOut, Rows, factorize_quietly, held_out, split_rows, subset_design
from bayesridge.rules.problem import LambdaProblem, Rule, check_keys, problem_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Score = Literal["rmse", "log_score"]

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
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = True,
    **options: Any,
) -> Backtest:
    """Find out which rule for lambda would have predicted best on rows like these.

    Parameters
    ----------
    X, y, **options
        A posterior, alone: its design, priors and method serve in every training set. Or as for
        :func:`bayesridge.posterior`. A formula is read once, on the whole table: what it remembers (levels, knots,
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
        If the data cannot be used, or split; if a posterior has more than one lambda.
    """
    import pandas as pd

    start = time.perf_counter()
    problem = problem_of(X, y, **options)
    own = (*standard_rules(), CrossValidation(5)) if rules is None else tuple(rules)
    check_keys(own, _YARDSTICKS)
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
        with warnings.catch_warnings(), threads_for(whole.n_columns):
            warnings.simplefilter("ignore", BayesRidgeWarning)  # about a part of the table
            try:
                design = subset_design(whole, train)
                post = infer(design, factorize_quietly(design), self.prior, self.noise_prior, self.method)
            except BayesRidgeError as error:
                raise DataError(f"training set {k + 1} ({len(train)} rows) cannot be fitted: {error}") from error
            seen = held_out(design, post.spectrum, whole, test)
            problem = LambdaProblem(post)
            rows = [_predicted_by_posterior(post, seen, whole.source.take(test))]
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


def corrected_standard_error(differences: Array, test_over_train: float) -> float:
    """Standard error of the mean of paired differences over overlapping splits (Nadeau and Bengio 2003).

    Parameters
    ----------
    differences : ndarray of shape (J,)
    test_over_train : float
        Size of a test set over that of a training set.

    Returns
    -------
    float
        NaN for fewer than two splits, and where a difference is infinite.
    """
    J = len(differences)
    if J < 2 or not np.isfinite(differences).all():
        return np.nan
    return float(np.sqrt((1.0 / J + test_over_train) * np.var(differences, ddof=1)))


@dataclass(frozen=True, eq=False, repr=False)
class Backtest(Finding):
    """Held-out errors of every rule on every split.

    Attributes
    ----------
    splits : pandas.DataFrame
        One row a split and rule: ``split``, ``rule``, ``lambda`` (NaN for the full posterior), ``rmse`` (units of y),
        ``log_score`` (mean log predictive density of a test observation, nats; sigma integrated, lambda too for the
        full posterior), ``n_train``, ``n_test``, and ``problem``: why there is no answer ("" where there is one).
    labels : dict
        Rule key to its name.
    test_over_train : float
        Mean ratio of test to training observations.
    asked : int
        Splits there were to be; more than there are after an interruption.
    how : str
        The splitter in words.
    target : str
        Name of the target.
    seconds : float
    """

    splits: pd.DataFrame
    labels: dict[str, str]
    test_over_train: float
    asked: int
    how: str
    target: str
    seconds: float

    @property
    def n_splits(self) -> int:
        """Splits that were done."""
        return int(self.splits["split"].nunique())

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before all splits were done."""
        return self.n_splits < self.asked

    def by_split(self, score: Score | Literal["lambda"]) -> pd.DataFrame:
        """Scores (or lambda) as a table, one row a split, one column a rule."""
        order = self.splits["rule"].unique()
        return self.splits.pivot(index="split", columns="rule", values=score)[order]

    def best(self, score: Score) -> str:
        """Key of the rule with the best mean score, among those that answered on every split."""
        mean = self.by_split(score).mean(skipna=False)
        return str(mean.idxmin() if score == "rmse" else mean.idxmax())

    def differences(self, score: Score) -> pd.DataFrame:
        """Paired differences to the best rule over the splits where a rule answered.

        Returns
        -------
        pandas.DataFrame
            Index: rule. Columns ``mean``, ``difference`` (rule less best), ``se`` (corrected, see the module's text),
            ``answered`` (splits).
        """
        import pandas as pd

        table = self.by_split(score)
        paired = table.sub(table[self.best(score)], axis=0)
        rows = []
        for key in table.columns:
            d = paired[key].dropna().to_numpy()
            mean = float(d.mean()) if len(d) else np.nan
            rows.append((table[key].mean(), mean, corrected_standard_error(d, self.test_over_train), len(d)))
        index = pd.Index([str(key) for key in table.columns], name="rule")
        return pd.DataFrame(rows, columns=["mean", "difference", "se", "answered"], index=index)

    @property
    def passed(self) -> bool:
        """Never: a ranking of rules is something to know of, not a test."""
        return False

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {"verdict": self.verdict, "rules": self.table.to_dict(orient="index")}

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a rule, lowest RMSE first: median lambda, mean scores, differences to the best with their se."""
        import pandas as pd

        rmse, log_score = self.differences("rmse"), self.differences("log_score")
        table = pd.DataFrame(
            {
                "label": [self.labels[str(key)] for key in rmse.index],
                "median_lambda": self.splits.groupby("rule", sort=False)["lambda"].median(),
                "rmse": rmse["mean"],
                "rmse_difference": rmse["difference"],
                "rmse_se": rmse["se"],
                "log_score": log_score["mean"],
                "log_score_difference": log_score["difference"],
                "log_score_se": log_score["se"],
                "answered": rmse["answered"],
            }
        )
        return table.sort_values("rmse", kind="stable")

    @property
    def verdict(self) -> str:
        """What was seen, in words, and no more than that."""
        lines = [f"{self.n_splits} splits ({self.how}); lambda chosen anew in each training set."]
        if self.interrupted:
            lines.append(f"Interrupted: {self.asked} splits were asked for.")
        lines.append(self._told_apart("rmse", "RMSE", f"{self.target} units"))
        lines.append(self._told_apart("log_score", "log score", "nats an observation"))
        lines += self._without_answer()
        lines.append(
            f"A difference is called one beyond {self.critical_value:.2f} standard errors (95% for all rules jointly), "
            "corrected for overlapping training sets (Nadeau and Bengio), an approximation; the best was picked on "
            "these splits and may not be the best on other rows."
        )
        return " ".join(lines)

    @property
    def critical_value(self) -> float:
        """Standard errors beyond which a difference is called one: 95% for all rules jointly."""
        compared = max(int(self.splits["rule"].nunique()) - 1, 1)
        return float(stdtrit(max(self.n_splits - 1, 1), 1.0 - 0.025 / compared))

    def _told_apart(self, score: Score, name: str, unit: str) -> str:
        table, best = self.differences(score), self.best(score)
        rest = table.drop(index=best)
        worse = rest[(rest["difference"].abs() > self.critical_value * rest["se"]) | np.isinf(rest["difference"])]
        mean = float(table["mean"][best])
        text = f"Best {name}: {self.labels[best]} ({mean:.4g} {unit})"
        if len(worse) == 0:
            return f"{text}, which no other rule can be told apart from."
        equal = len(rest) - len(worse)
        names = ", ".join(
            f"{self.labels[str(key)]} ({row['difference']:+.2g}, se {row['se']:.1g})" for key, row in worse.iterrows()
        )
        tie = f"; {equal} cannot be told apart from it" if equal else ""
        return f"{text}{tie}; measurably worse: {names}."

    def _without_answer(self) -> list[str]:
        missing = self.splits[self.splits["problem"] != ""]
        lines = []
        for key, part in missing.groupby("rule", sort=False):
            lines.append(
                f"{self.labels[str(key)]} had no answer on {len(part)} of {self.n_splits} splits "
                f"({part['problem'].iloc[0]}) and cannot be the best."
            )
        return lines
