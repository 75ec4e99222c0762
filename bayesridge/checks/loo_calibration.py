r"""LOO-PIT calibration: is each row where the others predict it, as often as the predictions say.

PIT_i = P(y_new <= y_i | y_-i) is uniform for every row when the model holds, but the n values depend on each other:
each row has helped to learn the scales by which the others are judged. A band for independent values is therefore too
wide (Lilliefors' effect). Here band and p-value come from data sets simulated from the fit, whose residuals were
judged in the same way (:mod:`bayesridge.checks.replicates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binom

from bayesridge.checks.calibration import shape_of
from bayesridge.checks.ecdf_bands import ecdf
from bayesridge.checks.replicates import check_rows, observed_residuals, replicated_residuals
from bayesridge.errors import check_counts
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.shown import Finding

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class IntervalCoverage:
    """How many rows lie inside the interval that the other rows predict for them.

    Attributes
    ----------
    level : float
        Of the equal-tailed leave-one-out predictive intervals (lambda integrated).
    inside, rows : int
    expected : tuple of float
        Where 95% of the counts of simulated data sets lie.
    """

    level: float
    inside: int
    rows: int
    expected: tuple[int, int]


@dataclass(frozen=True, eq=False, repr=False)
class LooCalibration(Finding):
    """Result of :func:`loo_calibration`.

    Attributes
    ----------
    pit : ndarray of shape (n_rows,)
        Exact leave-one-out PIT values, lambda integrated (NaN for rows of weight zero).
    z : ndarray of shape (K - 1,)
        Points of the ECDF, ``i / K``.
    ecdf : ndarray of shape (K - 1,)
        Of the rows that count.
    lower, upper : ndarray of shape (K - 1,)
        Simultaneous band: the ECDFs of a share ``1 - alpha`` of simulated data sets lie inside everywhere.
    p_value : float
        Monte Carlo p-value of the largest departure of the ECDF from uniformity.
    coverage : tuple of IntervalCoverage
    alpha : float
    simulations : int
    posterior : Posterior
        What was judged.
    """

    pit: Array
    z: Array
    ecdf: Array
    lower: Array
    upper: Array
    p_value: float
    coverage: tuple[IntervalCoverage, ...]
    alpha: float
    simulations: int
    posterior: Posterior

    @property
    def passed(self) -> bool:
        """Whether the p-value is at least alpha."""
        return self.p_value >= self.alpha

    @property
    def verdict(self) -> str:
        """What was found, in words."""
        last = self.coverage[-1]
        counts = (
            f"{last.inside} of {last.rows} rows lie in their {100 * last.level:g}% leave-one-out interval "
            f"(95% of simulated data sets: {last.expected[0]} to {last.expected[1]})"
        )
        if self.passed:
            return f"leave-one-out predictions look calibrated (p {self.p_value:.2g}): {counts}"
        shape = shape_of(self.pit[np.isfinite(self.pit)])
        return f"leave-one-out predictions are off (p {self.p_value:.2g}; PIT values {shape}): {counts}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a row that counts: target, leave-one-out mean and 95% ETI, PIT value, log density."""
        import pandas as pd

        loo = self.posterior.loo
        interval = loo.interval(0.95)
        columns = {
            "y": loo.y, "predicted": loo.mean, "95% ETI low": interval[:, 0], "95% ETI high": interval[:, 1],
            "pit": loo.pit, "log_density": loo.pointwise,
        }  # fmt: skip
        index = pd.Index(self.posterior.design.input_rows, name="row")
        return pd.DataFrame(columns, index=index).iloc[check_rows(self.posterior)]

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {
            "p": self.p_value,
            "coverage": [vars(one) | {"expected": list(one.expected)} for one in self.coverage],
            "alpha": self.alpha,
            "simulations": self.simulations,
            "passed": self.passed,
            "verdict": self.verdict,
        }


def loo_calibration(
    posterior: Posterior,
    *,
    simulations: int = 500,
    alpha: float = 0.05,
    random_state: int | np.random.Generator | None = 0,
) -> LooCalibration:
    """Judge the calibration of leave-one-out predictions.

    Parameters
    ----------
    posterior : Posterior
    simulations : int
        Data sets simulated from the fit; the p-value is no smaller than ``1 / (simulations + 1)``.
    alpha : float
        Probability of a false alarm.
    random_state : int, Generator or None

    Returns
    -------
    LooCalibration

    Raises
    ------
    DataError
        If rows cannot be judged one by one (several observations in a row, no residuals).
    """
    check_counts(least=100, simulations=simulations)  # to judge a p-value
    keep = check_rows(posterior)
    n = len(keep)
    points = min(n, 200)
    u = [ndtr(observed_residuals(posterior).score)]
    u += [ndtr(block.score) for block in replicated_residuals(posterior, simulations, random_state)]
    counts = np.concatenate([_counts(part, points) for part in u])
    cdf = _tables(n, points)
    tail = _smallest_tail(counts, cdf)
    p = float((1.0 + np.count_nonzero(tail[1:] <= tail[0])) / (simulations + 1.0))
    lower, upper = _band(cdf, float(np.quantile(tail[1:], alpha, method="lower")))
    pit = np.full(posterior.design.n_rows, np.nan)
    pit[keep] = posterior.loo.pit[keep]
    coverage = tuple([_coverage(pit[keep], u[1:], level) for level in LEVELS])
    z = np.arange(1, points) / points
    return LooCalibration(pit, z, ecdf(pit[keep], points), lower, upper, p, coverage, alpha, simulations, posterior)


def _counts(u: Array, points: int) -> NDArray[np.int64]:
    """Number of values of each data set below i / K: shape (m, K - 1)."""
    z = np.arange(1, points) / points
    return np.array([np.searchsorted(np.sort(one), z, side="right") for one in u])


def _smallest_tail(counts: NDArray[np.int64], cdf: Array) -> Array:
    """Smallest two-sided binomial tail probability over the points, for each data set."""
    column = np.arange(cdf.shape[1])
    below = cdf[counts + 1, column]
    above = 1.0 - cdf[counts, column]
    return np.asarray(2.0 * np.minimum(below, above).min(axis=1))


def _tables(n: int, points: int) -> Array:
    """P(binomial(n, z_i) < k) for k = 0 ... n + 1, shape (n + 2, K - 1)."""
    z = np.arange(1, points) / points
    return np.vstack([np.zeros((1, points - 1)), binom.cdf(np.arange(n + 1)[:, None], n, z)])


def _band(cdf: Array, gamma: float) -> tuple[Array, Array]:
    """Counts whose two-sided tail probability is at least gamma, as shares."""
    n = len(cdf) - 2
    tail = 2.0 * np.minimum(cdf[1:], 1.0 - cdf[:-1])
    inside = tail >= gamma
    lower = inside.argmax(axis=0)
    upper = n - inside[::-1].argmax(axis=0)
    return lower / n, upper / n


def _coverage(pit: Array, simulated: list[Array], level: float) -> IntervalCoverage:
    half = 0.5 * level
    counts = np.concatenate([(np.abs(part - 0.5) <= half).sum(axis=1) for part in simulated])
    low, high = np.quantile(counts, [0.025, 0.975], method="nearest")
    return IntervalCoverage(level, int((np.abs(pit - 0.5) <= half).sum()), len(pit), (int(low), int(high)))
