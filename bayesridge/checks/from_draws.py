r"""Checks of counts and successes: what rows left out say of the predictions made for them, and what the prior decides.

Data sets are simulated row by row from what the other rows predict, each row by itself. Rows left out depend on one
another a little (each has helped to predict the others), and that makes the tests timid rather than bold: in
simulations of models that hold they reject no more often than they say (`tests/checks/test_from_draws.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from bayesridge.checks.calibration import monte_carlo_tests, shape_of
from bayesridge.checks.ecdf_bands import uniformity_pvalue
from bayesridge.checks.predictive_checks import PredictiveChecks
from bayesridge.checks.sensitivity import Distribution, PowerScaling, Sensitivity, change, diagnosis
from bayesridge.errors import DataError
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.shown import Finding

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_POINTS = 400
_TAIL = 1.0 / 4000.0
_POWERS = (0.99, 1.01)
_BAND = 0.95
_BLOCK_VALUES = 1 << 22
_DIGITS = 2.0**52  # beyond it every float64 is a whole number


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Rows that count, what was seen there, and what the others predict.

    Attributes
    ----------
    rows : ndarray of int
        As they stood in the input.
    y, mean, sd, pit : ndarray of shape (n,)
    simulated : ndarray of shape (S, n)
        Outcomes drawn from the predictions.
    """

    rows: NDArray[np.intp]
    y: Array
    mean: Array
    sd: Array
    pit: Array
    simulated: Array

    @cached_property
    def binary(self) -> bool:
        """Whether every outcome is one of two, as in single trials: then its mean says all of its distribution."""
        every = np.concatenate([self.y, self.simulated.ravel()])
        return bool(((every == 0) | (every == 1)).all())

    @cached_property
    def whole(self) -> bool:
        """Whether outcomes are counts: what is drawn from a density is no whole number, unless it is too large."""
        return bool(((self.simulated == np.rint(self.simulated)) & (np.abs(self.simulated) < _DIGITS)).all())


def left_out(post: Any, simulations: int, rng: np.random.Generator) -> LeftOut:
    """Predict each row from the others, and draw outcomes from the predictions.

    Raises
    ------
    DataError
        If there is no leave-one-out, or rows stand for several observations.
    """
    loo, design = post.loo, post.design
    if not np.isin(loo.count, (0.0, 1.0)).all():
        raise DataError("rows that stand for several observations cannot be judged one by one: repeat them instead")
    keep = np.flatnonzero(loo.count > 0)
    mean, sd, pit = np.empty((3, design.n_rows))
    simulated = np.empty((simulations, design.n_rows))
    size = max(1, _BLOCK_VALUES // (4 * simulations))
    for part in [slice(k, min(k + size, design.n_rows)) for k in range(0, design.n_rows, size)]:
        mixture = loo.parts(part)
        mean[part], sd[part], pit[part] = mixture.mean, mixture.sd, mixture.pit(loo.y[part])
        simulated[:, part] = mixture.simulate(simulations, rng)
    return LeftOut(design.input_rows[keep], loo.y[keep], mean[keep], sd[keep], pit[keep], simulated[:, keep])


# -- calibration -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class OutcomeCalibration(Finding):
    """Result of :func:`outcome_calibration`.

    Attributes
    ----------
    left : LeftOut
    recalibrated : ndarray of shape (n,) or None
        Of outcomes that are one of two: the share of successes among rows of like prediction, by isotonic regression.
    lower, upper : ndarray of shape (n,) or None
        Where 95% of simulated data sets have it at each row's prediction (pointwise).
    p_value : float
    alpha : float
    simulations : int
    """

    left: LeftOut
    recalibrated: Array | None
    lower: Array | None
    upper: Array | None
    p_value: float
    alpha: float
    simulations: int

    @property
    def passed(self) -> bool:
        """Whether the p-value is at least alpha."""
        return self.p_value >= self.alpha

    @property
    def verdict(self) -> str:
        """What was found, in words."""
        left = self.left
        if self.recalibrated is None:
            if self.passed:
                how = "randomised PIT" if left.whole else "PIT"
                return f"leave-one-out predictions look calibrated ({how} uniform, p {self.p_value:.2g})"
            return f"leave-one-out predictions are off (p {self.p_value:.2g}; PIT values {shape_of(left.pit)})"
        shares = f"{left.y.mean():.3g} of the rows seen, {left.mean.mean():.3g} predicted"
        if self.passed:
            return f"probabilities of rows left out look calibrated (p {self.p_value:.2g}): {shares}"
        spread = float(np.var(left.mean))
        slope = float(np.cov(left.mean, self.recalibrated, bias=True)[0, 1] / spread) if spread > 0 else 1.0
        how = "too extreme" if slope < 0.9 else "too close to one another" if slope > 1.1 else "bent or shifted"
        return f"probabilities of rows left out are {how} (p {self.p_value:.2g}): {shares}"

    @property
    def table(self) -> pd.DataFrame:
        """One row a row that counts: what was seen, predicted, its PIT value, and the recalibrated probability."""
        import pandas as pd

        columns = {"y": self.left.y, "predicted": self.left.mean, "pit": self.left.pit}
        if self.recalibrated is not None and self.lower is not None and self.upper is not None:
            columns |= {"recalibrated": self.recalibrated, "band low": self.lower, "band high": self.upper}
        return pd.DataFrame(columns, index=pd.Index(self.left.rows, name="row"))

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {
            "p": self.p_value, "test": "PIT" if self.recalibrated is None else "reliability", "alpha": self.alpha,
            "simulations": self.simulations, "passed": self.passed, "verdict": self.verdict,
        }  # fmt: skip


def outcome_calibration(
    post: Any, *, simulations: int = 500, alpha: float = 0.05, random_state: int | np.random.Generator | None = 0
) -> OutcomeCalibration:
    """Judge predictions of rows left out: successes by their reliability, others by PIT values, of counts randomised.

    Reliability: how much of the Brier score is miscalibration, the score less that of the predictions recalibrated by
    isotonic regression (Dimitriadis, Gneiting & Jordan 2021); its p-value is where simulated data sets have it.
    """
    left = left_out(post, simulations, generator(random_state))
    if not left.binary:
        return OutcomeCalibration(left, None, None, None, uniformity_pvalue(left.pit), alpha, simulations)
    order = np.argsort(left.mean, kind="stable")
    back = np.argsort(order, kind="stable")
    predicted = left.mean[order]
    every = np.vstack([left.y, left.simulated])[:, order]
    # equal predictions share one value: they are pooled before the regression, which would order them by chance
    _, group = np.unique(predicted, return_inverse=True)
    size = np.bincount(group).astype(np.float64)
    fits = np.array([isotonic_regression(np.bincount(group, one) / size, weights=size).x[group] for one in every])
    lost = np.square(every - predicted).mean(axis=1) - np.square(every - fits).mean(axis=1)
    p = float((1.0 + np.count_nonzero(lost[1:] >= lost[0] - 1e-12)) / (simulations + 1.0))
    low, high = np.quantile(fits[1:], [0.5 * (1 - _BAND), 0.5 * (1 + _BAND)], axis=0)
    return OutcomeCalibration(left, fits[0][back], low[back], high[back], p, alpha, simulations)


# -- noise -------------------------------------------------------------------------------------------------------------


def outcome_checks(
    post: Any, *, simulations: int = 1000, alpha: float = 0.05, random_state: int | np.random.Generator | None = 0
) -> PredictiveChecks:
    """Compare outcomes with what the other rows predict: dispersion, outliers, neighbouring rows, zeros of counts.

    Of outcomes that are one of two, whose mean says all of their spread, only neighbouring rows.
    """
    left = left_out(post, simulations, generator(random_state))
    sd = np.maximum(left.sd, 1e-150)
    every = np.vstack([left.y, left.simulated])
    z = (every - left.mean) / sd
    found = {"row order": (z[:, 1:] * z[:, :-1]).mean(axis=1)} if len(left.y) > 1 else {}
    if not left.binary:
        found["dispersion"] = np.square(z).mean(axis=1)
        found["outlier"] = np.square(z).max(axis=1)
    if left.whole and not left.binary:
        found["zeros"] = (every == 0).mean(axis=1)
    if not found:
        raise DataError("one row that is one of two outcomes has nothing to be compared in")
    tests = monte_carlo_tests(
        {name: float(values[0]) for name, values in found.items()},
        {name: values[1:] for name, values in found.items()}, {"outlier"}, lambda name, high: _READINGS[name][high],
    )  # fmt: skip
    largest = left.rows[np.argsort(-np.abs(z[0]), kind="stable")[:5]]
    return PredictiveChecks(tests, tuple(largest.tolist()), simulations, alpha)


_READINGS: dict[str, tuple[str, str]] = {
    "dispersion": (
        "outcomes vary less than the family says",
        "outcomes vary more than the family says: intervals are too narrow, and a family with more spread is needed",
    ),
    "outlier": ("the largest residual is small", "a row lies farther from its prediction than the family allows"),
    "zeros": ("there are fewer zeros than predicted", "there are more zeros than predicted"),
    "row order": (
        "residuals of neighbouring rows differ more than by chance",
        "residuals of neighbouring rows resemble each other: rows are not independent",
    ),
}  # fmt: skip


# -- sensitivity -------------------------------------------------------------------------------------------------------


def draws_sensitivity(post: Any, *, coefficients: bool = True) -> PowerScaling:
    """Power-scale the prior of lambda, and the likelihood, by weighting the draws anew.

    As :func:`bayesridge.checks.sensitivity.power_scaling`, whose limit is for draws in the first place.

    Raises
    ------
    DataError
        If lambda is given or plugged in.
    """
    if post.method != "posterior":
        raise DataError("power-scaling needs a prior on lambda; here lambda is fixed or plugged in")
    scaled = post.scaled(_POWERS)
    quantities: list[tuple[str, Callable[[Any], Distribution]]] = [("lambda", _log_lambda)]
    if coefficients:
        design, constant = post.design, set(post.design.constant.tolist())
        if design.fit_intercept:
            quantities.append(("intercept", lambda one: _drawn(one.intercept, one.weight)))
        quantities += [
            (name, partial(_coefficient, j))
            for j, name in enumerate(design.names) if j not in constant
        ]  # fmt: skip
    rows = []
    for name, read in quantities:
        base = read(scaled.base)
        p, p_mean = change(base, {power: read(one) for power, one in scaled.prior.items()})
        q, q_mean = change(base, {power: read(one) for power, one in scaled.likelihood.items()})
        rows.append(Sensitivity(name, p, q, p_mean, q_mean, diagnosis(p, q)))
    return PowerScaling(tuple(rows), post.prior.text)


def _log_lambda(one: Any) -> Distribution:
    below = np.concatenate([[0.0], np.cumsum(one.mass)]) / one.mass.sum()
    edges = np.append(one.t, 2.0 * one.t[-1] - one.t[-2]) - 0.5 * (one.t[1] - one.t[0])
    inside = edges[(below > _TAIL) & (below < 1.0 - _TAIL)]
    return lambda x: np.interp(x, edges, below), lambda: np.linspace(inside[0], inside[-1], _POINTS)


def _coefficient(j: int, one: Any) -> Distribution:
    return _drawn(one.coef[..., j], one.weight)


def _drawn(values: Array, weight: Array) -> Distribution:
    flat, w = values.ravel(), weight.ravel()
    order = np.argsort(flat, kind="stable")
    at, below = flat[order], np.cumsum(w[order]) / w.sum()
    ends = np.interp([_TAIL, 1.0 - _TAIL], below, at)

    def cdf(x: Array) -> Array:
        k = np.searchsorted(at, x, side="right")
        return np.where(k > 0, below[np.maximum(k - 1, 0)], 0.0)

    return cdf, lambda: np.linspace(ends[0], ends[1], _POINTS)
