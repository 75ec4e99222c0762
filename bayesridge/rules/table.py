"""The table of a comparison of rules: one line a rule, and what its words are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesridge.errors import DataError
from bayesridge.rules.bootstrap import BootstrapChoices
from bayesridge.rules.compared import SpectrumProblem
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.curve_problem import CurveProblem
from bayesridge.rules.evaluation import Spread
from bayesridge.rules.problem import Choice, LambdaInterval, Rule

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Attributes
    ----------
    key, label : str
        Of the rule; ``posterior`` for the full posterior.
    lam : float
        0 and infinity at the ends; NaN for the full posterior and where the rule has no answer.
    place : str
        "interior", "zero", "infinity"; "integrated" for the full posterior; "not available".
    interval : LambdaInterval or None
    seconds : float
        What the choice took (what rules share is counted where it is first needed: the pass over the rows with the
        first leave-one-out rule); for the full posterior: leave-one-out of all rows of the table.
    note : str
    effective_dof, sigma, beta_norm : float
        Of the penalised columns, intercept not counted; plug-in ``sqrt(Q / nu)`` in units of y; of the standardised
        coefficients. For the full posterior its mean, its median, and the norm of the posterior mean.
    loo_rmse : float
        Root mean squared leave-one-out error at this lambda, units of y.
    regret : float
        loo_rmse over the smallest that any single lambda reaches, less 1.
    elpd_loo, elpd_se : float
        Leave-one-out log predictive density at this lambda (nats), sigma integrated, and its standard error.
    elpd_diff, elpd_diff_se : float
        Difference to the highest elpd of the table and its paired standard error.
    """

    key: str
    label: str
    lam: float
    place: str
    interval: LambdaInterval | None
    seconds: float
    note: str
    effective_dof: float = np.nan
    sigma: float = np.nan
    beta_norm: float = np.nan
    loo_rmse: float = np.nan
    regret: float = np.nan
    elpd_loo: float = np.nan
    elpd_se: float = np.nan
    elpd_diff: float = np.nan
    elpd_diff_se: float = np.nan

    @property
    def available(self) -> bool:
        """Whether there is an answer."""
        return self.place != "not available"


@dataclass(frozen=True, eq=False)
class RuleTable:
    """Every rule for lambda side by side, in numbers.

    Attributes
    ----------
    problem : SpectrumProblem or CurveProblem
    level : float
        Of the intervals.
    rows : tuple of Row
        The full posterior first, then the rules in the order they were given, those without an answer included.
    choices : dict
        Rule key to :class:`~bayesridge.rules.problem.Choice`, for the rules that have one.
    spread : Spread or None
        How far apart the fitted values of the rules are (None with fewer than two choices).
    best_loo_rmse : float
        Smallest leave-one-out RMSE that a single lambda reaches (the reference of regret).
    rules : tuple of Rule
        As they were compared.
    bootstrap : BootstrapChoices or None
        The choices on resampled data, where there were any.
    """

    problem: SpectrumProblem | CurveProblem
    level: float
    rows: tuple[Row, ...]
    choices: dict[str, Choice]
    spread: Spread | None
    best_loo_rmse: float
    rules: tuple[Rule, ...]
    bootstrap: BootstrapChoices | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """The comparison as a table, one row a rule, index the rule's label; NaN where there is no answer."""
        import pandas as pd

        columns = {
            "key": [row.key for row in self.rows],
            "lambda": [row.lam for row in self.rows],
            "place": [row.place for row in self.rows],
            "interval low": [row.interval.lower if row.interval else np.nan for row in self.rows],
            "interval high": [row.interval.upper if row.interval else np.nan for row in self.rows],
            "interval kind": [interval_name(row.interval) for row in self.rows],
            **{name: [getattr(row, field) for row in self.rows] for name, field in _NUMBERS.items()},
            "note": [row.note for row in self.rows],
        }
        return pd.DataFrame(columns, index=pd.Index([row.label for row in self.rows], name="rule"))

    @property
    def keyed(self) -> pd.DataFrame:
        """The same table with the names that JSON has, as ``interval_low`` and ``beta_norm``, and the level."""
        spoken = {name: name.replace(" ", "_") for name in self.table.columns}
        return self.table.rename(columns={**spoken, **_NUMBERS}).assign(level=self.level)

    @cached_property
    def duplicates(self) -> str:
        """What there is to say of near-duplicate rows ("" where there are none)."""
        found = self.problem.near_duplicates
        return found.verdict if found.count else ""

    @cached_property
    def grouped(self) -> tuple[str, ...]:
        """Keys of the rules that near-duplicates do not fool: cross-validation that keeps them together."""
        found = self.problem.near_duplicates
        if not found.count:
            return ()
        tried = [rule for rule in self.rules if isinstance(rule, CrossValidation) and rule.groups is not None]
        return tuple([rule.key for rule in tried if rule.keeps_together(self.problem.design, found.groups)])

    def row(self, key: str) -> Row:
        """Return the line of one rule (``"posterior"`` for the full posterior)."""
        for row in self.rows:
            if row.key == key:
                return row
        raise DataError(f"no rule {key!r} in this comparison; there are {', '.join(row.key for row in self.rows)}")


_NUMBERS = {
    "effective dof": "effective_dof", "sigma": "sigma", "|beta|": "beta_norm", "LOO RMSE": "loo_rmse",
    "regret": "regret", "elpd_loo": "elpd_loo", "elpd se": "elpd_se", "elpd diff": "elpd_diff",
    "elpd diff se": "elpd_diff_se", "seconds": "seconds",
}  # fmt: skip


def interval_name(interval: LambdaInterval | None) -> str:
    """Name an interval, as "95% ETI of the posterior"."""
    return "" if interval is None else f"{100 * interval.level:g}% {interval.kind}"
