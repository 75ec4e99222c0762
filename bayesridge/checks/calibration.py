"""What a calibration study found: PIT values, simultaneous bands, tests, and a verdict that claims no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.ecdf_bands import EcdfBand, ecdf, simultaneous_band, uniformity_pvalue
from bayesridge.errors import DataError
from bayesridge.posteriors.shown import Finding

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationResult(Finding):
    """Result of simulation-based calibration.

    Attributes
    ----------
    pits : mapping of str to ndarray of shape (simulations,)
        PIT values by quantity; uniform on [0, 1] if the computed posteriors are right.
    how : mapping of str to str
        By quantity: "exact cdf", or "rank of L draws".
    fixed : tuple of str
        Quantities the prior fixes, which cannot be tested.
    kind : {"prior", "posterior"}
        Where the true parameters came from: the prior, or the posterior of real data.
    what : str
        One line: rows, columns, priors, method.
    simulations : int
        Asked for and done.
    refused : int
        Simulations in which the method gave no answer; they are not in `pits`, and the verdict says so.
    alpha : float
        Probability of a false alarm, all quantities together (Holm's adjustment).
    seed : str
        Of the study's random numbers.
    seconds : float
    """

    pits: Mapping[str, Array]
    how: Mapping[str, str]
    fixed: tuple[str, ...]
    kind: Literal["prior", "posterior"]
    what: str
    simulations: int
    refused: int
    alpha: float
    seed: str
    seconds: float

    @property
    def n(self) -> int:
        """Simulations with an answer."""
        return self.simulations - self.refused

    def band(self, level: float | None = None) -> EcdfBand:
        """Simultaneous band for the ECDF of one quantity (level ``1 - alpha`` by default)."""
        return simultaneous_band(self.n, 1.0 - self.alpha if level is None else level)

    def ecdf(self, quantity: str) -> Array:
        """ECDF of a quantity's PIT values at the band's points ``z``."""
        if quantity not in self.pits:
            raise DataError(f"no quantity {quantity!r}; there are {', '.join(self.pits)}")
        return ecdf(self.pits[quantity])

    @cached_property
    def p_values(self) -> dict[str, float]:
        """P-value of uniformity of each quantity by itself, from its simultaneous ECDF band."""
        return {name: uniformity_pvalue(u) for name, u in self.pits.items()}

    @cached_property
    def p_adjusted(self) -> dict[str, float]:
        """P-values after Holm's adjustment over the quantities (valid however they depend on each other)."""
        return dict(zip(self.p_values, holm(np.array(list(self.p_values.values()))).tolist(), strict=True))

    @cached_property
    def failed(self) -> tuple[str, ...]:
        """Quantities whose adjusted p-value is below alpha."""
        return tuple([name for name, p in self.p_adjusted.items() if p < self.alpha])

    @property
    def passed(self) -> bool:
        """Whether no quantity failed and no simulation was without an answer."""
        return not self.failed and self.refused == 0

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each quantity.

        Columns: how (exact cdf or rank); mean and var_ratio of the PIT values (1/2 and 1 if uniform; var_ratio is
        relative to 1/12); largest distance of the ECDF from the diagonal; p, p_adjusted (Holm); verdict; shape (what
        the PIT values look like where the verdict is "departs").
        """
        import pandas as pd

        rows = {}
        for name, u in self.pits.items():
            departs = self.p_adjusted[name] < self.alpha
            rows[name] = {
                "how": self.how[name],
                "mean": float(u.mean()),
                "var_ratio": float(12.0 * u.var()),
                "distance": _distance(u),
                "p": self.p_values[name],
                "p_adjusted": self.p_adjusted[name],
                "verdict": "departs" if departs else "consistent",
                "shape": shape_of(u) if departs else "",
            }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = "quantity"
        return frame

    @property
    def verdict(self) -> str:
        """What was found, and what was not looked at, in plain words."""
        where = "the prior" if self.kind == "prior" else "the posterior of these data"
        lines = [f"{self.what}: {self.n} data sets with parameters drawn from {where}."]
        names = list(self.pits)
        if self.failed:
            shapes = "; ".join(f"{name} ({shape_of(self.pits[name])})" for name in self.failed[:8])
            more = f" and {len(self.failed) - 8} more" if len(self.failed) > 8 else ""
            lines.append(
                f"NOT calibrated: {len(self.failed)} of {len(names)} quantities depart from uniform PIT values "
                f"(Holm-adjusted p below {self.alpha:g}): {shapes}{more}."
            )
        else:
            smallest = min(self.p_adjusted.values())
            lines.append(
                f"No departure found in {len(names)} quantities (smallest Holm-adjusted p {smallest:.2g}, "
                f"alpha {self.alpha:g}); errors of the cdf below about {self.band().half_width:.2g} would go unseen."
            )
        if self.refused:
            lines.append(
                f"In {self.refused} data sets the method gave no answer; they are left out, which by itself biases "
                "what is left: this is not calibration."
            )
        if "log likelihood" not in self.pits:
            lines.append("The joint log likelihood was not ranked: a posterior that ignores the data would pass.")
        if self.fixed:
            lines.append(f"Known or plugged in, hence not tested: {', '.join(self.fixed)}.")
        region = "for data like those of this prior" if self.kind == "prior" else "near these data"
        lines.append(f"This tests the computation {region}, not whether the model fits real data.")
        return " ".join(lines)

    @property
    def record(self) -> dict[str, Any]:
        """Everything but the PIT values themselves, for JSON."""
        return {
            "study": f"simulation-based calibration ({self.kind})",
            "what": self.what,
            "simulations": self.simulations,
            "refused": self.refused,
            "alpha": self.alpha,
            "adjustment": "Holm over quantities",
            "band": f"{100 * (1 - self.alpha):g}% simultaneous ECDF band",
            "band_half_width": self.band().half_width,
            "seed": self.seed,
            "seconds": self.seconds,
            "passed": self.passed,
            "failed": list(self.failed),
            "fixed": list(self.fixed),
            "quantities": self.table.to_dict(orient="index"),
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class MonteCarloTest:
    """One statistic and where it falls among its simulated values.

    Attributes
    ----------
    name : str
    observed : float
    expected : tuple of float
        Where 95% of simulated data sets have it.
    p : float
        Monte Carlo p-value by itself.
    p_adjusted : float
        After Holm's adjustment over the tests made together.
    reading : str
        What it would mean, in words.
    """

    name: str
    observed: float
    expected: tuple[float, float]
    p: float
    p_adjusted: float
    reading: str


_SAME = 1e-6  # of a statistic, all of which are of the order of one


def monte_carlo_tests(
    observed: Mapping[str, float],
    simulated: Mapping[str, Array],
    one_sided: Collection[str],
    reading: Callable[[str, bool], str],
) -> tuple[MonteCarloTest, ...]:
    """Judge statistics by simulated data sets, Holm's adjustment over all of them.

    Parameters
    ----------
    observed : mapping of str to float
        Statistics of the data.
    simulated : mapping of str to ndarray of shape (m,)
        Of data sets for which the model holds.
    one_sided : collection of str
        Those for which only large values speak against the model; the others are judged on both sides.
    reading : callable
        What a statistic means that is high (True) or low (False).
    """
    sides = {}
    for name, values in simulated.items():
        # what the design makes a constant, as the skewness of residuals in pairs, differs by the rounding of y alone
        room = _SAME * (1.0 + abs(float(np.median(values))))
        above = (1.0 + np.count_nonzero(values >= observed[name] - room)) / (len(values) + 1.0)
        below = (1.0 + np.count_nonzero(values <= observed[name] + room)) / (len(values) + 1.0)
        sides[name] = (above if name in one_sided else min(1.0, 2.0 * min(above, below)), bool(above < below))
    adjusted = holm(np.array([p for p, _ in sides.values()])).tolist()
    made = []
    for (name, (p, high)), q in zip(sides.items(), adjusted, strict=True):
        low, up = np.quantile(simulated[name], [0.025, 0.975]).tolist()
        made.append(MonteCarloTest(name, observed[name], (low, up), p, q, reading(name, high)))
    return tuple(made)


def found_by(tests: Collection[MonteCarloTest], alpha: float) -> list[MonteCarloTest]:
    """Return the tests that reject at alpha after adjustment."""
    return [test for test in tests if test.p_adjusted < alpha]


def holm(p: Array) -> Array:
    """P-values adjusted by Holm's step-down method (family-wise error, any dependence)."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(stepped, 1.0)
    return out


def _distance(u: Array) -> float:
    """Kolmogorov's distance of the ECDF from the diagonal."""
    values, n = np.sort(u), len(u)
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - values).max(), (values - steps[:-1]).max()))


def shape_of(u: Array) -> str:
    """Describe PIT values that are not uniform, by their mean and variance in standard errors (three or more)."""
    n = len(u)
    shift = (u.mean() - 0.5) * np.sqrt(12.0 * n)
    # under uniformity (u - 1/2)^2 has mean 1/12 and variance 1/180
    spread = (np.mean((u - 0.5) ** 2) - 1.0 / 12.0) * np.sqrt(180.0 * n)
    words = []
    if abs(spread) >= 3.0:
        words.append("U-shaped: too narrow" if spread > 0 else "heaped in the middle: too wide")
    if abs(shift) >= 3.0:
        words.append("posterior too low" if shift > 0 else "posterior too high")
    return ", ".join(words) or "neither shifted nor too wide or narrow overall"
