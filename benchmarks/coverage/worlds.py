r"""Worlds in which intervals and rules are tried: how the data are made, and what the best lambda would have been.

    x_i ~ N(0, Sigma),    y_i = b0 + x_i' coef + s(x_i) e_i,    var(s(x) e) = 1

Sigma has unit diagonal and correlation rho between columns, AR(1) or equal. A share of the coefficients is drawn from
N(0, tau^2) *on the columns divided by their sample standard deviation*, the others are zero; tau is such that the
expected share of explained variance is R^2. With all coefficients nonzero, normal noise and s = 1 this is the model,
with lambda = 1 / tau^2 exactly; the rest is misspecified on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from bayesridge.design.design import Design, build_design
from bayesridge.errors import DataError
from bayesridge.linalg.filters import spectral_coefficients
from bayesridge.linalg.spectrum import Spectrum, factorize
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.priors import BetaR2, Jeffreys

Array = NDArray[np.float64]

SIGMA = 1.0
INTERCEPT = 1.0


@dataclass(frozen=True)
class Scenario:
    """One cell of a study.

    Attributes
    ----------
    n, p : int
        Rows and columns.
    r2 : float
        Expected share of the variance that the columns explain, in [0, 1).
    correlation : float
        Of neighbouring columns (AR(1)) or of all pairs.
    structure : {"ar1", "equal"}
    nonzero : float
        Share of coefficients that are not zero (at least one is not).
    noise_df : float
        Degrees of freedom of Student-t noise, scaled to variance one (above 2); infinite for normal noise.
    heteroscedasticity : float
        h: noise sd ``exp(h x_1 - h^2)``, of mean variance one.
    """

    n: int = 50
    p: int = 10
    r2: float = 0.5
    correlation: float = 0.0
    structure: Literal["ar1", "equal"] = "ar1"
    nonzero: float = 1.0
    noise_df: float = np.inf
    heteroscedasticity: float = 0.0

    def __post_init__(self) -> None:
        ok = self.n >= 3 and self.p >= 1 and 0.0 <= self.r2 < 1.0 and 0.0 < self.nonzero <= 1.0 and self.noise_df > 2.0
        ok &= self.structure in ("ar1", "equal") and 0.0 <= self.correlation < 1.0
        if not ok:
            raise DataError(
                f"{self}: n must be at least 3, p at least 1, r2 and correlation in [0, 1), nonzero in (0, 1], "
                "noise_df above 2, structure 'ar1' or 'equal'"
            )

    @property
    def n_nonzero(self) -> int:
        """Number of coefficients that are not zero."""
        return max(1, round(self.nonzero * self.p))

    @property
    def tau(self) -> float:
        """Standard deviation of the coefficients that are not zero, on scaled columns."""
        return float(SIGMA * np.sqrt(self.r2 / (1.0 - self.r2) / self.n_nonzero))

    @property
    def lam(self) -> float:
        """The true lambda = sigma^2 / tau^2 (NaN where some coefficients are zero and no single one is true)."""
        if self.n_nonzero < self.p:
            return np.nan
        return np.inf if self.r2 == 0.0 else (SIGMA / self.tau) ** 2

    @property
    def name(self) -> str:
        """Short text with all that differs from the defaults."""
        parts = [f"n{self.n}", f"p{self.p}", f"r2_{self.r2:g}"]
        parts += [f"{self.structure}_{self.correlation:g}"] if self.correlation else []
        parts += [f"nonzero_{self.nonzero:g}"] if self.nonzero < 1.0 else []
        parts += [f"t{self.noise_df:g}"] if np.isfinite(self.noise_df) else []
        parts += [f"hetero_{self.heteroscedasticity:g}"] if self.heteroscedasticity else []
        return "-".join(parts)


@lru_cache(maxsize=8)
def correlation_matrix(p: int, correlation: float, structure: str) -> tuple[Array, Array]:
    """Sigma and its Cholesky factor."""
    distance = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    sigma = correlation ** distance.astype(float) if structure == "ar1" else np.where(distance == 0, 1.0, correlation)
    return sigma, np.linalg.cholesky(sigma)


@dataclass(frozen=True, eq=False)
class DataSet:
    """One simulated data set with its truth, and the exact fit that methods share.

    Attributes
    ----------
    scenario : Scenario
    X, y, X_new, y_new : ndarray
        Fitted, and new rows with their observations.
    intercept, coef : float, ndarray of shape (p,)
        The truth.
    """

    scenario: Scenario
    X: Array
    y: Array
    X_new: Array
    y_new: Array
    intercept: float
    coef: Array

    @cached_property
    def design(self) -> Design:
        """The columns scaled to unit sample sd."""
        return build_design(self.X, self.y)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Their factorisation."""
        return factorize(self.design)

    @cached_property
    def posterior(self) -> Posterior:
        """The exact posterior under the default priors."""
        return infer(self.design, self.spectrum, BetaR2(), Jeffreys())

    def excess_risk(self, intercept: float, coef: Array) -> float:
        """Expected squared distance of predictions from the true mean, at new rows ``x ~ N(0, Sigma)``."""
        sigma, _ = correlation_matrix(self.scenario.p, self.scenario.correlation, self.scenario.structure)
        off = coef - self.coef
        return float((intercept - self.intercept) ** 2 + off @ sigma @ off)

    def at_lambda(self, lam: float) -> tuple[float, Array]:
        """Intercept and coefficients of ridge at lambda, in the units of the data."""
        design, spectrum = self.design, self.spectrum
        coef = np.zeros(self.X.shape[1])
        coef[design.penalized] = spectrum.V @ spectral_coefficients(spectrum, lam) / design.scale[design.penalized]
        return float(design.y_mean - coef @ design.mean), coef

    @cached_property
    def oracle(self) -> tuple[float, float]:
        """The lambda with the smallest excess risk for this very data set, and that risk: no rule can do better.

        A grid of 200 over log lambda, ends included, and Brent's method around its best point.
        """

        def risk(t: float) -> float:
            return self.excess_risk(*self.at_lambda(float(np.exp(t))))

        s2 = self.spectrum.s2
        grid = np.linspace(np.log(s2[-1]) - 12.0, np.log(s2[0]) + 12.0, 200)
        values = [risk(t) for t in grid]
        best = int(np.argmin(values))
        found = minimize_scalar(risk, bounds=(grid[max(best - 1, 0)], grid[min(best + 1, 199)]), method="bounded")
        ends = [(0.0, self.excess_risk(*self.at_lambda(0.0))), (np.inf, self.excess_risk(*self.at_lambda(np.inf)))]
        inner = (float(np.exp(found.x)), float(found.fun)) if found.fun < values[best] else None
        at_best = (float(np.exp(grid[best])), float(values[best]))
        return min([inner or at_best, *ends], key=lambda pair: pair[1])


def make_data(scenario: Scenario, new: int, rng: np.random.Generator) -> DataSet:
    """Simulate one data set and `new` further observations."""
    _, root = correlation_matrix(scenario.p, scenario.correlation, scenario.structure)
    X = rng.standard_normal((scenario.n, scenario.p)) @ root.T
    X_new = rng.standard_normal((new, scenario.p)) @ root.T
    beta = scenario.tau * rng.standard_normal(scenario.p)
    beta[rng.permutation(scenario.p)[scenario.n_nonzero :]] = 0.0
    coef = beta / X.std(axis=0)
    y, y_new = (INTERCEPT + rows @ coef + _noise(scenario, rows, rng) for rows in (X, X_new))
    return DataSet(scenario, X, y, X_new, y_new, INTERCEPT, coef)


def _noise(scenario: Scenario, X: Array, rng: np.random.Generator) -> Array:
    df, h = scenario.noise_df, scenario.heteroscedasticity
    if np.isfinite(df):
        noise = rng.standard_t(df, len(X)) * np.sqrt((df - 2.0) / df)
    else:
        noise = rng.standard_normal(len(X))
    # E exp(2 h x) = exp(2 h^2) for standard normal x
    return np.asarray(SIGMA * noise * np.exp(h * X[:, 0] - h * h))
