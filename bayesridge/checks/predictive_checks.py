r"""Predictive checks: whether the target looks like targets this model produces.

Each check is a number computed from the leave-one-out residuals (as normal scores r_i) or from the target, on the data
and on data sets simulated from the fit and refitted (:mod:`bayesridge.checks.replicates`); its p-value is where the
data fall among the simulated ones. Residuals of a refit rather than of the fit itself: posterior predictive p-values
use the data twice and would be too timid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.calibration import MonteCarloTest, found_by, monte_carlo_tests
from bayesridge.checks.refits import Residuals
from bayesridge.checks.replicates import check_rows, observed_residuals, replicated_residuals
from bayesridge.errors import check_counts
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.shown import Finding

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PredictiveChecks(Finding):
    """Result of :func:`predictive_checks`.

    Attributes
    ----------
    tests : tuple of MonteCarloTest
    largest : tuple of int
        Rows with the largest residuals, largest first, as they stood in the input (counted from 0).
    simulations : int
    alpha : float
        Probability of a false alarm of all checks together.
    """

    tests: tuple[MonteCarloTest, ...]
    largest: tuple[int, ...]
    simulations: int
    alpha: float

    @property
    def passed(self) -> bool:
        """Whether no check, adjusted for their number, rejects at alpha."""
        return not found_by(self.tests, self.alpha)

    @property
    def verdict(self) -> str:
        """What was looked at and found, in words."""
        if self.passed:
            names = ", ".join(test.name for test in self.tests)
            smallest = min(test.p_adjusted for test in self.tests)
            return f"the target looks like simulated ones in {names} (smallest adjusted p {smallest:.2g})"
        found = found_by(self.tests, self.alpha)
        text = "; ".join(f"{check.reading} (adjusted p {check.p_adjusted:.2g})" for check in found)
        if any(check.name == "outlier" for check in found):
            text += f"; largest residual in row {self.largest[0]}"
        return text

    @property
    def table(self) -> pd.DataFrame:
        """One row a statistic: observed, where 95% of simulated data sets have it, p-values, reading."""
        import pandas as pd

        return pd.DataFrame([vars(test) for test in self.tests]).set_index("name")

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {
            "checks": [vars(test) for test in self.tests],
            "largest_residual_rows": list(self.largest),
            "simulations": self.simulations,
            "alpha": self.alpha,
            "passed": self.passed,
            "verdict": self.verdict,
        }


def predictive_checks(
    posterior: Posterior,
    *,
    simulations: int = 2000,
    alpha: float = 0.05,
    random_state: int | np.random.Generator | None = 0,
) -> PredictiveChecks:
    """Compare the target and its leave-one-out residuals with those of simulated data sets.

    Parameters
    ----------
    posterior : Posterior
    simulations : int
        Data sets simulated from the fit; p-values are no smaller than ``2 / (simulations + 1)``.
    alpha : float
        Probability of a false alarm of all checks together (Holm).
    random_state : int, Generator or None

    Returns
    -------
    PredictiveChecks

    Raises
    ------
    DataError
        If rows cannot be judged one by one (several observations in a row, no residuals).
    """
    check_counts(least=100, simulations=simulations)  # to judge a p-value
    rng = generator(random_state)
    keep = check_rows(posterior)
    data = observed_residuals(posterior)
    blocks = [_statistics(block) for block in replicated_residuals(posterior, simulations, rng)]
    simulated = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    tests = monte_carlo_tests(
        {name: float(values[0]) for name, values in _statistics(data).items()}, simulated, {"outlier"},
        lambda name, high: _READINGS[name][high],
    )  # fmt: skip
    largest = posterior.design.input_rows[keep][np.argsort(-np.abs(data.score[0]), kind="stable")[:5]]
    return PredictiveChecks(tests, tuple(largest.tolist()), simulations, alpha)


def _statistics(data: Residuals) -> dict[str, Array]:
    """Return each statistic for each data set."""
    r, y = data.score, data.y
    centred = r - r.mean(axis=1, keepdims=True)
    sd = np.sqrt(np.mean(centred**2, axis=1))
    fitted = data.predicted - data.predicted.mean(axis=1, keepdims=True)
    fitted /= np.maximum(
        np.abs(fitted).max(axis=1, keepdims=True), np.finfo(np.float64).tiny
    )  # squares do not overflow
    size = np.abs(r)
    return {
        "skewness": np.mean(centred**3, axis=1) / sd**3,
        "tails": np.mean(centred**4, axis=1) / sd**4,
        "outlier": size.max(axis=1),
        "spread": _correlation(size, fitted),
        "curvature": _correlation(r, fitted**2),
        "row order": _correlation(r[:, 1:], r[:, :-1]),
        "lowest": (y.min(axis=1) - y.mean(axis=1)) / y.std(axis=1),
        "highest": (y.max(axis=1) - y.mean(axis=1)) / y.std(axis=1),
    }


def _correlation(a: Array, b: Array) -> Array:
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    product = (a * b).sum(axis=1)
    return np.asarray(np.divide(product, size, out=np.zeros_like(product), where=size > 0))


_READINGS: dict[str, tuple[str, str]] = {
    "skewness": ("residuals have a longer tail below", "residuals have a longer tail above"),
    "tails": ("residuals have lighter tails than normal noise", "residuals have heavier tails than normal noise"),
    "outlier": ("the largest residual is small", "a row lies farther from its prediction than normal noise allows"),
    "spread": (
        "residuals spread less where predictions are higher", "residuals spread more where predictions are higher"
    ),
    "curvature": (
        "residuals bend downwards against predictions: the target is not linear in the columns",
        "residuals bend upwards against predictions: the target is not linear in the columns",
    ),
    "row order": (
        "residuals of neighbouring rows differ more than by chance",
        "residuals of neighbouring rows resemble each other: rows are not independent",
    ),
    "lowest": ("the lowest target lies lower than simulated ones", "targets stop short below: a limit or censoring"),
    "highest": ("targets stop short above: a limit or censoring", "the highest target lies higher than simulated ones"),
}  # fmt: skip
