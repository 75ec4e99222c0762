"""Whether an answer can be trusted: all checks of a fit on one card, and a verdict that claims what was tested.

Two kinds of entries. *Tests* have a p-value and a stated probability of a false alarm, shared evenly (Bonferroni), so
that a fit whose model holds gets a card without alarms with probability ``1 - alpha`` or more. *Findings* (how much the
prior decides, whether one row decides lambda, which rule would have predicted best) have no right or wrong: they say
what the answer rests on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesridge.checks.from_draws import draws_sensitivity, outcome_calibration, outcome_checks
from bayesridge.checks.influence import row_influence
from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.checks.predictive_checks import predictive_checks
from bayesridge.checks.sbc import posterior_sbc
from bayesridge.checks.sensitivity import power_scaling
from bayesridge.checks.spectral_check import spectral_check
from bayesridge.errors import BayesRidgeError, DataError, check_counts
from bayesridge.fit import posterior_of
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.shown import Finding
from bayesridge.rules.backtest import Backtest, backtest
from bayesridge.rules.duplicates import NearDuplicates, find_near_duplicates
from bayesridge.rules.problem import Rule

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["passed", "alarm", "note", "not judged"]

QUESTIONS = {
    "computation": "Is the posterior computed correctly for data like these?",
    "prior": "Is a Gaussian prior on every direction right here?",
    "leave-one-out": "Are predictions of new rows as uncertain as they say?",
    "noise": "Does the target look like what the model produces?",
    "sensitivity": "How much does the prior of lambda decide?",
    "influence": "Does a single row decide lambda?",
    "duplicates": "Are there rows that repeat others?",
    "backtest": "Which rule for lambda would have predicted best?",
}
_MOST_COLUMNS = 50  # whose coefficients are calibrated
_MOST_SCALED = 200  # up to which the sensitivity of each coefficient is looked at
_FITS = 200  # with several penalties, and of families, where every simulation of the computation takes a fit
TESTS = ("computation", "prior", "leave-one-out", "noise")


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the card.

    Attributes
    ----------
    key : str
        See :data:`QUESTIONS`.
    status : {"passed", "alarm", "note", "not judged"}
        "alarm": a test rejects. "note": a finding to know of. "not judged": `text` says why.
    text : str
        What was found.
    finding : Finding or None
        With table, record and the check's own numbers (None when not judged).
    seconds : float
    """

    key: str
    status: Status
    text: str
    finding: Finding | None
    seconds: float

    @property
    def question(self) -> str:
        """What the entry answers."""
        return QUESTIONS[self.key]


@dataclass(frozen=True, eq=False, repr=False)
class ReportCard(Finding):
    """Result of :func:`validate`.

    Attributes
    ----------
    posterior : Posterior
    entries : tuple of Entry
    alpha : float
        Probability of a false alarm of all tests together.
    seed : int
    """

    posterior: Posterior
    entries: tuple[Entry, ...]
    alpha: float
    seed: int

    def __getitem__(self, key: str) -> Entry:
        """Return an entry by its key."""
        for entry in self.entries:
            if entry.key == key:
                return entry
        raise DataError(f"no entry {key!r}; there are {', '.join(entry.key for entry in self.entries)}")

    @property
    def passed(self) -> bool:
        """Whether at least one test was made and none raised an alarm."""
        tests = [entry for entry in self.entries if entry.key in TESTS]
        return any(entry.status == "passed" for entry in tests) and all(entry.status != "alarm" for entry in tests)

    @property
    def verdict(self) -> str:
        """What can be said after these tests, in plain words."""
        tests = [entry for entry in self.entries if entry.key in TESTS]
        judged = [entry for entry in tests if entry.status != "not judged"]
        alarms = [entry for entry in judged if entry.status == "alarm"]
        if not judged:
            return "Nothing could be tested: " + " ".join(f"{entry.key}: {entry.text}." for entry in tests)
        names = ", ".join(entry.key for entry in judged)
        tests_made = f"{len(judged)} test{'s' if len(judged) > 1 else ''} ({names})"
        lines = []
        if alarms:
            lines.append(f"{len(alarms)} of {tests_made} found something:")
            lines += [f"{entry.key}: {entry.text}." for entry in alarms]
            lines.append(_consequence([entry.key for entry in alarms]))
        else:
            lines.append(
                f"No sign against this fit in {tests_made}. That does not prove the model: departures "
                "too small for these data to show remain possible."
            )
        skipped = [entry.key for entry in tests if entry.status == "not judged"]
        if skipped:
            lines.append(f"Not judged: {', '.join(skipped)}.")
        lines.append(f"A false alarm anywhere on the card has probability {100 * self.alpha:g}% at most.")
        return " ".join(lines)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each entry: question, status and what was found."""
        import pandas as pd

        rows = [[entry.question, entry.status, entry.text] for entry in self.entries]
        index = pd.Index([entry.key for entry in self.entries], name="check")
        return pd.DataFrame(rows, columns=["question", "status", "found"], index=index)

    @property
    def record(self) -> dict[str, Any]:
        """Everything for JSON."""
        from bayesridge import __version__
        from bayesridge.posteriors.summary import SCHEMA, jsonable

        record = {
            "schema": SCHEMA,
            "bayesridge_version": __version__,
            "passed": self.passed,
            "verdict": self.verdict,
            "alpha": self.alpha,
            "seed": self.seed,
            "checks": {
                entry.key: {
                    "question": entry.question,
                    "status": entry.status,
                    "text": entry.text,
                    "seconds": entry.seconds,
                    "details": None if entry.finding is None else entry.finding.record,
                }
                for entry in self.entries
            },
        }
        return dict(jsonable(record))


def validate(
    X: Any,
    y: Any = None,
    *,
    checks: Sequence[str] | None = None,
    simulations: int = 500,
    splits: int = 20,
    rules: Sequence[Rule] | None = None,
    alpha: float = 0.05,
    n_jobs: int = 1,
    random_state: int = 0,
    progress: bool = True,
    **options: Any,
) -> ReportCard:
    """Check a fit in every way there is.

    Parameters
    ----------
    X, y
        A posterior, or a table and its target as for :func:`bayesridge.posterior`.
    checks : sequence of str, optional
        Keys of :data:`QUESTIONS`; all if left out. Each test keeps its share of `alpha` and its seed.
    simulations : int
        Simulated data sets of each test (at least 200: p-values down to alpha / 4 have to be resolved). The
        computation of several penalties and of families, where each takes a fit of its own, is tested by 200.
    splits : int
        Of the nested backtest: 5 folds, ``splits / 5`` times; 0 for none. Where rows repeat others, the folds keep them
        together (50 splits).
    rules : sequence of Rule, optional
        Rules of the backtest; all standard ones and 5-fold cross-validation if left out.
    alpha : float
        Probability of a false alarm of all tests together.
    n_jobs : int
        Processes; numbers do not depend on it.
    random_state : int
    progress : bool
        Whether to show progress bars.
    **options
        With a table: prior, formula, weights and all else that :func:`bayesridge.posterior` takes.

    Returns
    -------
    ReportCard

    Raises
    ------
    DataError
        If the data cannot be used. A check that does not apply to them is "not judged" and says why.
    """
    check_counts(least=200, simulations=simulations)  # to judge the tests of a card
    if splits < 0 or splits % 5:
        raise DataError(f"splits is a multiple of 5 (5 folds, repeated), or 0 for no backtest; got {splits}")
    if not 0.0 < alpha < 1.0:
        raise DataError(f"alpha must lie strictly between 0 and 1, got {alpha}")
    post = posterior_of(X, y, **options)
    # the same seed for all: a test has one p-value, here and by itself, and Bonferroni holds under any dependence
    each = alpha / len(TESTS)

    make = _questions(
        post, simulations, each, random_state, rules, splits=splits, n_jobs=n_jobs, progress=progress
    )  # fmt: skip
    unknown = [key for key in checks or [] if key not in make]
    if unknown:
        raise DataError(f"no check called {', '.join(unknown)}; there are {', '.join(make)}")
    wanted = [key for key in make if (checks is None or key in checks) and (key != "backtest" or splits)]
    return ReportCard(post, tuple([_entry(key, make[key]) for key in wanted]), alpha, random_state)


def _questions(
    post: Posterior, simulations: int, each: float, random_state: int, rules: Sequence[Rule] | None, *, splits: int,
    n_jobs: int, progress: bool,
) -> dict[str, Callable[[], Finding]]:  # fmt: skip
    """Every check by its key, made when it is called; `each` is the probability of a false alarm of one."""

    @cache
    def twins() -> NearDuplicates:
        return find_near_duplicates(post.design)

    make: dict[str, Callable[[], Finding]] = {
        "computation": lambda: posterior_sbc(
            post, simulations=_FITS if post.has_terms or post.has_curves else simulations,
            columns=_some_columns(post, random_state), alpha=each, random_state=random_state, n_jobs=n_jobs,
            progress=progress,
        ),
        "prior": lambda: spectral_check(
            post, simulations=max(2000, simulations), alpha=each, random_state=random_state
        ),
        "leave-one-out": lambda: loo_calibration(
            post, simulations=simulations, alpha=each, random_state=random_state
        ),
        # eight checks share alpha / 4, two-sided: p-values down to 0.001 are needed
        "noise": lambda: predictive_checks(
            post, simulations=max(2000, simulations), alpha=each, random_state=random_state
        ),
        "sensitivity": lambda: power_scaling(post, coefficients=post.design.n_columns <= _MOST_SCALED),
        "influence": lambda: row_influence(post),
        "duplicates": twins,
        "backtest": lambda: _backtest(post, splits, twins(), rules, n_jobs, random_state, progress=progress),
    }  # fmt: skip
    if post.has_curves:  # weighted draws, of outcomes that have no residuals to be simulated anew
        make |= {
            "leave-one-out": lambda: outcome_calibration(
                post, simulations=simulations, alpha=each, random_state=random_state
            ),
            "noise": lambda: outcome_checks(
                post, simulations=max(1000, simulations), alpha=each, random_state=random_state
            ),
            "sensitivity": lambda: draws_sensitivity(post, coefficients=post.design.n_columns <= _MOST_SCALED),
        }  # fmt: skip
    return make


def _some_columns(post: Posterior, seed: int) -> list[int] | None:
    p = post.design.n_columns
    return None if p <= _MOST_COLUMNS else np.random.default_rng(seed).choice(p, _MOST_COLUMNS, replace=False).tolist()


def _entry(key: str, make: Callable[[], Finding]) -> Entry:
    started = time.perf_counter()
    try:
        found = make()
    except BayesRidgeError as error:
        return Entry(key, "not judged", str(error), None, time.perf_counter() - started)
    status: Status = "passed" if found.passed else "alarm" if key in TESTS else "note"
    return Entry(key, status, found.verdict.removesuffix("."), found, time.perf_counter() - started)


def _backtest(
    post: Posterior,
    splits: int,
    twins: NearDuplicates,
    rules: Sequence[Rule] | None,
    n_jobs: int,
    seed: int,
    *,
    progress: bool,
) -> Backtest:
    from sklearn.model_selection import RepeatedKFold

    # twins on both sides of a split would be predicted by each other: they stay together, whatever `splits` says
    folds = None if twins.count else RepeatedKFold(n_splits=5, n_repeats=splits // 5, random_state=seed)
    return backtest(
        post, rules=rules, splitter=folds, groups=twins.groups if twins.count else None,
        n_jobs=n_jobs, random_state=seed, progress=progress,
    )  # fmt: skip


_ADVICE = {
    "computation": "do not use these posteriors, and report the case as a defect",
    "prior": "compare other priors (lasso, horseshoe, R2D2: bayesridge.mcmc.comparison)",
    "leave-one-out": "do not rely on the level of predictive intervals",
    "noise": "try other noise (family='student' is robust), weights, a transformed target or further terms before "
    "trusting intervals",
}


def _consequence(keys: list[str]) -> str:
    advice = "; ".join(_ADVICE[key] for key in keys)
    return advice[0].upper() + advice[1:] + "."
