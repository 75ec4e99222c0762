"""Rules for lambda where no spectrum says it all: from curves over lambda that the posterior brings along.

The same seam as :class:`~bayesridge.rules.problem.LambdaProblem`: what a comparison asks of it, and what its own rules
are. Criteria are known at some values of log lambda and interpolated by cubic splines between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import ndtri

from bayesridge.design.design import Design
from bayesridge.errors import DataError, ImproperPosteriorError
from bayesridge.linalg.optimum import Optimum, minimize_values
from bayesridge.linalg.search_range import SearchRange
from bayesridge.rules.catalogue import CatalogueRule, posterior_rules
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.duplicates import NearDuplicates, find_near_duplicates
from bayesridge.rules.evaluation import Evaluation
from bayesridge.rules.folds import split_rows
from bayesridge.rules.problem import (
    Choice,
    LambdaInterval,
    NotAvailableError,
    Rule,
    choice_of,
    joined,
)

Array = NDArray[np.float64]

_FINE = 241
_LOO_POINTS = 41
_CONVERGED = 0.05  # degrees of freedom from the end's


@dataclass(frozen=True, eq=False)
class CurveProblem:
    """A posterior with curves over lambda.

    Attributes
    ----------
    posterior : AnyPosterior
        With ``curves`` (:class:`bayesridge.outcomes.curves.Curves`).
    """

    posterior: Any

    @property
    def design(self) -> Design:
        """The data."""
        found: Design = self.posterior.design
        return found

    @property
    def rank(self) -> int:
        """Penalised directions."""
        return int(self.posterior.curves.problem.rank)

    @property
    def spectrum(self) -> Any:
        """Refused, in the posterior's words."""
        return self.posterior.spectrum

    @property
    def evidence_place(self) -> str:
        """Where the evidence is highest."""
        return _evidence(self).best.place

    @property
    def situation(self) -> str:
        """What there is to say of data that no rule can handle: nothing."""
        return ""

    def prepared(self) -> CurveProblem:
        """Nothing is shared but the curves."""
        return self

    def lambda_eti(self, level: float) -> tuple[float, float]:
        """Equal-tailed interval of the posterior of lambda."""
        low, high = self.posterior.lambda_.interval(level)
        return low, high

    @property
    def mean_log_lambda(self) -> float:
        """Of the posterior."""
        post = self.posterior
        share = post.draws_.mass.sum(axis=0)
        return float(share @ post.t / share.sum())

    @cached_property
    def near_duplicates(self) -> NearDuplicates:
        """Rows that tell leave-one-out the answer."""
        return find_near_duplicates(self.design)

    def default_rules(self, level: float) -> tuple[Rule, ...]:
        """Every rule that an outcome has."""
        own = [CatalogueRule(key, label, function, settings, source) for key, label, function, settings, source in (
            ("evidence", "evidence", _evidence, {"level": level}, "MacKay 1992"),
            ("loo", "LOO squared error", _loo_squared, {}, "Allen 1974"),
            ("loo_log", "LOO log score", _loo_log, {}, "Geisser and Eddy 1979"),
            ("aic", "AIC", _information, {"bic": False}, "Akaike 1974; Hastie and Tibshirani 1990"),
            ("bic", "BIC", _information, {"bic": True}, "Schwarz 1978"),
        )]  # fmt: skip
        splits = [CrossValidation(folds, loss="log") for folds in (5, 10)]
        if self.near_duplicates.count:
            splits.append(CrossValidation(5, loss="log", groups=self.near_duplicates.groups))
        return (*posterior_rules(level), *own, *splits)

    # -- criteria ------------------------------------------------------------------------------------------------------

    @cached_property
    def loo_grid(self) -> tuple[Array, Any]:
        """Log lambda within reach of the draws, and leave-one-out there."""
        t = _reached(self.posterior.curves)
        return t, self.posterior.curves.loo(t)

    def minimum(self, t: Array, values: Array, sign: float = 1.0) -> Choice:
        """Minimise a criterion known at some log lambda; scores are `sign` times it."""
        spline, low, high = CubicSpline(t, values), float(t[0]), float(t[-1])
        where = SearchRange(np.linspace(low, high, _FINE), low - 1.0, high + 1.0)
        found = choice_of(minimize_values(lambda x: spline(np.clip(x, low, high)), where), sign)
        dof = self.dof(np.array([low, high]))
        ends = {"zero": (low, self.rank - dof[0]), "infinity": (high, dof[1])}
        if found.best.place in ends and ends[found.best.place][1] > _CONVERGED:
            end = ends[found.best.place][0]
            note = f"best at the {'smallest' if end == low else 'largest'} lambda that was looked at"
            best = Optimum(float(np.exp(end)), "interior", found.best.score)
            return replace(found, best=best, note=joined(found.note, note))
        return found

    def dof(self, t: Array) -> Array:
        """Effective degrees of freedom of the penalised fit, without the flat directions."""
        curves = self.posterior.curves
        return np.asarray(CubicSpline(curves.t, curves.dof)(np.clip(t, curves.t[0], curves.t[-1])))

    def cross_validate(self, rule: CrossValidation) -> Choice:
        """Choose by the log score of held-out rows at penalised fits, as LogisticRegressionCV does.

        Column scales are those of all rows.
        """
        if rule.loss != "log" or rule.one_standard_error:
            raise NotAvailableError("folds of outcomes are compared by their log score: CrossValidation(5, loss='log')")
        curves = self.posterior.curves
        total, count = np.zeros(len(curves.t)), 0.0
        splits = split_rows(self.design, rule.splitters(), rule.groups)
        for k, (train, test) in enumerate(splits, start=1):
            try:
                held_out = curves.held_out(train, test)
            except (DataError, ImproperPosteriorError) as error:
                raise NotAvailableError(f"training fold {k} ({len(train)} rows): {error}") from error
            seen = curves.problem.count[test]
            total, count = total - seen @ held_out, count + float(seen.sum())
        found = self.minimum(curves.t, total / count)
        note = joined("score: mean negative log density of held-out rows", self.plugged_in)
        return replace(found, note=joined(note, found.note))

    @property
    def plugged_in(self) -> str:
        """What penalised fits take as known, though it was learned with lambda ("" if nothing)."""
        scales = self.posterior.scales.items()
        names = [name for name, one in scales if name not in ("lambda", "tau") and not one.known]
        return f"{' and '.join(names)} at the posterior median{'s' * (len(names) > 1)}" if names else ""

    # -- what choices mean ---------------------------------------------------------------------------------------------

    def evaluate(self, lam: Array) -> Evaluation:
        """Evaluate K lambdas and the full posterior; what the draws do not reach is NaN."""
        curves, post = self.posterior.curves, self.posterior
        with np.errstate(divide="ignore"):
            t = np.clip(np.log(lam), curves.t[0], curves.t[-1])
        standard = self.design.scale[self.design.penalized]
        norm = np.linalg.norm(CubicSpline(curves.t, curves.coef)(t)[:, self.design.penalized] * standard, axis=1)
        mean = post.coefficients.mean[self.design.penalized] * standard
        share = post.draws_.mass.sum(axis=0)
        dof = np.append(self.dof(t), share @ self.dof(post.t) / share.sum())
        seen = curves.problem.count > 0
        low, high = curves.reach
        reached = (t >= low - 1e-9) & (t <= high + 1e-9)
        pointwise, error = np.full((2, len(seen), len(t) + 1), np.nan)
        y = self.design.y[:, None]
        if reached.any() and not curves.no_loo:
            found = curves.loo(t[reached])
            pointwise[:, np.flatnonzero(reached)], error[:, np.flatnonzero(reached)] = found.pointwise, y - found.mean
        if not curves.no_loo:
            pointwise[:, -1], error[:, -1] = post.loo.pointwise, post.loo.y - post.loo.mean
        count = curves.problem.count[seen]
        rmse = np.sqrt(count @ np.square(error[seen]) / count.sum())
        nothing = np.full(len(dof), np.nan)  # there is no sigma
        return Evaluation(
            dof, nothing, np.append(norm, np.linalg.norm(mean)), rmse, pointwise[seen], count, curves.no_loo
        )

    def spread(self, lam: Array) -> None:
        """None: fitted values have no common sigma to be measured by."""


def _evidence(problem: CurveProblem, level: float = 0.95) -> Choice:
    """Maximum of p(y | lambda), coefficients integrated, among the lambdas that the posterior's draws reach."""
    curves = problem.posterior.curves
    t = _reached(curves)
    value, error = curves.evidence(t)
    found = problem.minimum(t, -value, sign=-1.0)
    note = joined(found.note, "score: log p(y | lambda) less log p(y)")
    if found.best.place != "interior":
        return replace(found, note=note)
    at = float(np.log(found.best.lam))
    information = -float(CubicSpline(t, value)(at, 2))
    note = joined(note, f"standard error of the score {float(np.interp(at, t, error)):.1g} nats")
    if not information > 0:
        return replace(found, note=note)
    reach = float(ndtri(0.5 + 0.5 * level)) / np.sqrt(information)
    with np.errstate(over="ignore"):
        low, high = float(np.exp(at - reach)), float(np.exp(at + reach))
    return replace(
        found, note=note, interval=LambdaInterval(low, high, level, "Wald interval, from the curvature in log lambda")
    )


def _loo_log(problem: CurveProblem) -> Choice:
    return _loo(problem, lambda found, count: -(count @ found.pointwise), sign=-1.0)


def _loo_squared(problem: CurveProblem) -> Choice:
    y = problem.design.y[:, None]
    return _loo(problem, lambda found, count: count @ np.square(y - found.mean) / count.sum())


def _loo(problem: CurveProblem, criterion: Callable[[Any, Array], Array], sign: float = 1.0) -> Choice:
    """Leave-one-out with the coefficients integrated at each lambda, among those that the draws reach."""
    t, found = problem.loo_grid
    count = problem.posterior.curves.problem.count
    seen = count > 0
    kept = found._replace(pointwise=np.where(seen[:, None], found.pointwise, 0.0),
                          mean=np.where(seen[:, None], found.mean, 0.0))  # fmt: skip
    choice = problem.minimum(t, criterion(kept, count), sign)
    at = float(np.clip(np.log(max(choice.lam, 1e-300)), t[0], t[-1]))
    error = float(np.interp(at, t, found.mcse))
    return replace(choice, note=joined(choice.note, f"elpd at this lambda has a standard error of {error:.1g} nats"))


def _information(problem: CurveProblem, *, bic: bool) -> Choice:
    """Deviance + price x (effective dof of the penalised fit + flat directions)."""
    curves = problem.posterior.curves
    price = float(np.log(curves.problem.count.sum())) if bic else 2.0
    found = problem.minimum(curves.t, curves.deviance + price * (curves.dof + problem.design.n_flat))
    return replace(found, note=joined(problem.plugged_in, found.note))


def _reached(curves: Any) -> Array:
    low, high = curves.reach
    return np.linspace(low, high, _LOO_POINTS)
