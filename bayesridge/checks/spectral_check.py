r"""Is a Gaussian prior on all directions right here? Read off the singular directions of the data.

Under the model the projections z = U'y are independent given the two scales, and independent of the residual:

    z_j | sigma, lambda ~ N(0, sigma^2 (1 + s_j^2 / lambda)),        r0 | sigma ~ sigma^2 chi^2(nu - rank).

Divided by their expected sizes they are standard normal numbers u_j: their distribution says whether the signal is
spread over the directions as ridge believes, or sits in few (heavy tails), in the wrong ones (a trend against s_j), or
is noise of another size than the residuals'.

The two scales are learned from the same z. The reference is therefore simulated: (lambda, sigma) from the posterior,
new z and r0 given them, the scales *learned again* (unless the priors fix them), and the statistic computed as for the
data. P-values of a discrepancy that is not refitted would be conservative; these are close to uniform when the model
holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, log_ndtr

from bayesridge.checks.calibration import MonteCarloTest, found_by, monte_carlo_tests
from bayesridge.checks.own_scales import own_scales
from bayesridge.errors import DataError, check_counts
from bayesridge.linalg.filters import expected_sizes
from bayesridge.linalg.spectrum import Spectrum, aligned
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.shown import Finding

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class SpectralCheck(Finding):
    """Result of :func:`spectral_check`.

    Attributes
    ----------
    s, z : ndarray of shape (rank,)
        Singular values and projections ``U'y``; directions of equal s, and signs, are those of columns (`aligned`).
    expected : ndarray of shape (rank, 3)
        Standard deviation the model gives each z: 2.5%, 50% and 97.5% posterior quantiles.
    standardized : ndarray of shape (rank,)
        u_j: z over its standard deviation at the learned scales.
    band : ndarray of shape (rank, 2)
        Pointwise 95% band of the *sorted* u of simulated data (for a QQ plot).
    tests : tuple of MonteCarloTest
        "shape", "trend", "largest" and "noise".
    outliers : tuple of int
        Directions larger in absolute value than the largest of all but ``alpha / number of tests`` of simulated data.
    columns : tuple of tuple of (str, float)
        For each outlier the columns with the largest share of the direction, V_lj^2.
    simulations : int
    alpha : float
        Probability of a false alarm of all tests together.
    """

    s: Array
    z: Array
    expected: Array
    standardized: Array
    band: Array
    tests: tuple[MonteCarloTest, ...]
    outliers: tuple[int, ...]
    columns: tuple[tuple[tuple[str, float], ...], ...]
    simulations: int
    alpha: float

    @property
    def passed(self) -> bool:
        """Whether no test, adjusted for their number, rejects at alpha."""
        return not found_by(self.tests, self.alpha)

    @property
    def verdict(self) -> str:
        """What was tested and what it says of the ridge prior, no more."""
        rank = len(self.s)
        if self.passed:
            weak = " (so few directions show gross departures only)" if rank < 20 else ""
            return (
                f"no sign against the ridge prior: the {rank} singular directions look like independent Gaussians of "
                f"the sizes it expects{weak}; smallest adjusted p {min(test.p_adjusted for test in self.tests):.2g}"
            )
        found = found_by(self.tests, self.alpha)
        text = "; ".join(f"{test.reading} (adjusted p {_p_text(test.p_adjusted)})" for test in found)
        return f"the directions do not look as the ridge prior expects: {text}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a direction: s, z, expected sd (posterior median), u, and whether it is an outlier."""
        import pandas as pd

        flags = np.zeros(len(self.s), dtype=bool)
        flags[list(self.outliers)] = True
        columns = {"s": self.s, "z": self.z, "expected sd": self.expected[:, 1], "u": self.standardized}
        return pd.DataFrame({**columns, "outlier": flags}, index=pd.RangeIndex(len(self.s), name="direction"))

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {
            "tests": [vars(test) for test in self.tests],
            "outliers": [
                {"direction": j, "u": float(self.standardized[j]), "columns": dict(columns)}
                for j, columns in zip(self.outliers, self.columns, strict=True)
            ],
            "simulations": self.simulations,
            "alpha": self.alpha,
            "passed": self.passed,
            "verdict": self.verdict,
        }


def spectral_check(
    posterior: Posterior, *, simulations: int = 2000, alpha: float = 0.05, random_state: int | None = 0
) -> SpectralCheck:
    """Test whether the singular directions look as the ridge prior expects.

    Parameters
    ----------
    posterior : Posterior
    simulations : int
        Replicated data sets; p-values are no smaller than ``1 / (simulations + 1)``.
    alpha : float
        Probability of a false alarm of all tests together (Holm).
    random_state : int or None

    Returns
    -------
    SpectralCheck

    Raises
    ------
    DataError
        With fewer than three directions, or a target that is constant or fitted perfectly: there is nothing to see.
    """
    spectrum = posterior.spectrum
    if spectrum.rank < 3:
        raise DataError(f"a spectral check needs at least 3 singular directions, these columns have {spectrum.rank}")
    if spectrum.degenerate:
        raise DataError(f"the target is {_DEGENERATE[spectrum.degenerate]}: its directions cannot be checked")
    check_counts(least=100, simulations=simulations)  # to judge a p-value
    rng = generator(random_state)
    spectrum = aligned(spectrum)
    lam, sigma = posterior.hyper.draw(simulations, rng)
    size, (s, own_z, own_r0) = expected_sizes(spectrum, lam, sigma), spectrum.coordinates
    z = np.vstack([own_z, size * rng.standard_normal(size.shape)])
    left = max(spectrum.nu - spectrum.rank, 0.0)
    chi2 = rng.chisquare(left, simulations) if left > 0 else np.zeros(simulations)
    r0 = np.append(own_r0, sigma**2 * chi2)
    u, noise = _standardized(posterior, spectrum, z, r0, left)
    statistics = _statistics(u, noise, np.log(s))
    tests = monte_carlo_tests(
        {name: float(values[0]) for name, values in statistics.items()},
        {name: values[1:] for name, values in statistics.items()}, {"shape", "largest"}, _reading,
    )  # fmt: skip
    limit = np.quantile(np.abs(u[1:]).max(axis=1), 1.0 - alpha / len(statistics))  # Bonferroni over the tests
    outliers = np.flatnonzero(np.abs(u[0]) > limit)
    return SpectralCheck(
        s=s, z=own_z, expected=np.quantile(size, [0.025, 0.5, 0.975], axis=0).T, standardized=u[0],
        band=np.quantile(np.sort(u[1:], axis=1), [0.025, 0.975], axis=0).T, tests=tests,
        outliers=tuple(outliers.tolist()), simulations=simulations, alpha=alpha,
        columns=tuple([_columns(posterior, spectrum.shares(int(j))) for j in outliers]),
    )  # fmt: skip


_LEAST = -700.0  # log of what is no float64 any more
_DEGENERATE = {"perfect": "a linear function of the columns to rounding", "constant": "constant to rounding"}


def _standardized(posterior: Posterior, spectrum: Spectrum, z: Array, r0: Array, left: float) -> tuple[Array, Array]:
    """Standardise many data sets on the same columns, each by its own estimate of the scales.

    Returns u of shape (m, rank) and log(residual variance / sigma^2), shape (m,).
    """
    scales = own_scales(posterior, z, r0)
    u = z / expected_sizes(spectrum, scales.lam, np.sqrt(scales.variance))
    return u, np.log(r0 / left / scales.variance) if left > 0 else np.zeros(len(z))


def _statistics(u: Array, noise: Array, log_s: Array) -> dict[str, Array]:
    statistics = {"shape": _anderson_darling(u), "largest": np.abs(u).max(axis=1)}
    if np.ptp(log_s) > 0.0:
        statistics["trend"] = _trend(u, log_s)
    if noise.any():
        statistics["noise"] = noise
    return statistics


def _anderson_darling(u: Array) -> Array:
    """Anderson-Darling distance of each row's |u| from the half-normal distribution; a sign is the column's."""
    x = np.sort(np.abs(u), axis=1)
    m = x.shape[1]
    odd = 2.0 * np.arange(1, m + 1) - 1.0
    with np.errstate(divide="ignore"):
        below, beyond = np.log(erf(x / np.sqrt(2.0))), np.log(2.0) + log_ndtr(-x)
    return np.asarray(-m - ((np.maximum(below, _LEAST) + beyond[:, ::-1]) @ odd) / m)


def _trend(u: Array, x: Array) -> Array:
    """Score for variances proportional to exp(gamma x): positive where large directions hold more than expected."""
    centred = x - x.mean()
    scale = np.sqrt(2.0 * centred @ centred)
    return np.asarray((np.square(u) - 1.0) @ centred / scale)


def _reading(name: str, high: bool) -> str:
    if name == "shape":
        return "the standardised directions are not Gaussian: a few hold much, most hold little, or the reverse"
    if name == "trend":
        more, less = ("large", "small") if high else ("small", "large")
        return f"directions of {more} variance hold more of the target, and of {less} variance less, than expected"
    if name == "largest":
        return "one direction holds more of the target than a Gaussian prior allows"
    side = "larger" if high else "smaller"
    return f"the residual variance is {side} than the noise that the directions show"


def _columns(posterior: Posterior, share: Array, most: int = 3) -> tuple[tuple[str, float], ...]:
    names = [posterior.design.directions[j] for j in posterior.design.penalized]
    return tuple([(names[k], float(share[k])) for k in np.argsort(-share, kind="stable")[:most]])


def _p_text(p: float) -> str:
    return f"{p:.2g}" if p >= 0.001 else "below 0.001"
