"""Priors of lambda, of R², and of both precisions; fixed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import betaincinv, betaln, gammaln

from bayesridge.errors import PriorError
from bayesridge.priors.noise import FixedSigma, InverseGamma, TauGamma
from bayesridge.priors.scale import (
    Array,
    NamedPrior,
    ScalePrior,
    Variable,
    log_share,
    own_power,
)
from bayesridge.priors.shapes import Custom


@dataclass(frozen=True)
class BetaR2(NamedPrior):
    """Beta(a, b) prior on R^2, the share of variance the predictors are expected to explain (the default).

    With ``W = R^2 / (1 - R^2)`` it is a BetaPrime(a, b) on W; Beta(1/2, 1/2) on standardised columns is a
    half-Cauchy on tau/sigma with scale 1/sqrt(p). Independent of the units of everything.

    Parameters
    ----------
    a, b : float
    """

    a: float = 0.5
    b: float = 0.5

    words: ClassVar[str] = "Beta({a:g}, {b:g}) on R²"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:
        """Log density of log lambda."""
        log_w = log_share(log_x, signal)
        # a log R^2 + b log(1 - R^2): of one sign, so that nothing cancels where a is 1e9 and R^2 nearly one
        log_r2, log_rest = -np.logaddexp(0.0, -log_w), -np.logaddexp(0.0, log_w)
        return np.asarray(self.a * log_r2 + self.b * log_rest - betaln(self.a, self.b))

    def power(self, power: float) -> BetaR2:
        """Another beta."""
        return BetaR2(1.0 + power * (self.a - 1.0), 1.0 + power * (self.b - 1.0))

    def explained(self, level: float) -> tuple[float, float]:
        """Equal-tailed interval of R^2."""
        low, high = (float(betaincinv(self.a, self.b, 0.5 * (1.0 + side * level))) for side in (-1.0, 1.0))
        return low, high


@dataclass(frozen=True)
class LogNormal(NamedPrior):
    """Log-normal prior on lambda: ``log(lambda) ~ N(log(median), sd^2)``.

    Parameters
    ----------
    median : float
    sd : float
        Standard deviation of log lambda (natural logarithm).
    """

    median: float
    sd: float

    words: ClassVar[str] = "log-normal(median {median:g}, sd {sd:g}) on lambda"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of log lambda."""
        u = (log_x - np.log(self.median)) / self.sd
        return np.asarray(-0.5 * u * u - np.log(self.sd) - 0.5 * np.log(2.0 * np.pi))

    def power(self, power: float) -> Custom:
        """Its density to a power."""
        return Custom(own_power(self.log_density, power), "lambda")


@dataclass(frozen=True)
class Gamma(NamedPrior):
    """Gamma(shape, rate) prior on lambda.

    Parameters
    ----------
    shape, rate : float
    """

    shape: float
    rate: float

    words: ClassVar[str] = "gamma({shape:g}, rate {rate:g}) on lambda"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of log lambda."""
        # relative to the mode, shape / rate, for the same reason as above
        constant = self.shape * (np.log(self.shape) - 1.0) - gammaln(self.shape)
        u = log_x + np.log(self.rate) - np.log(self.shape)
        return np.asarray(constant - self.shape * (np.expm1(np.minimum(u, 700.0)) - u))

    def power(self, power: float) -> Any:
        """Another gamma, while there is one."""
        shape = 1.0 + power * (self.shape - 1.0)
        return Gamma(shape, power * self.rate) if shape > 0 else super().power(power)


@dataclass(frozen=True)
class FixedLambda(NamedPrior):
    """Lambda known. ``FixedLambda(0)`` is the flat prior on the coefficients (least squares, p < n only).

    Parameters
    ----------
    lam : float
        Penalty on the standardised columns.
    """

    lam: float

    words: ClassVar[str] = "lambda fixed at {lam:g}"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lam) and self.lam >= 0):
            raise PriorError(f"lam must be 0 or a positive number, got {self.lam!r}")

    @property
    def known(self) -> float:
        """Lambda."""
        return self.lam


@dataclass(frozen=True)
class FixedTau(NamedPrior):
    """Prior sd tau of the (standardised) coefficients known, sigma learned.

    Parameters
    ----------
    tau : float
        In units of y.
    """

    tau: float

    words: ClassVar[str] = "tau fixed at {tau:g}"
    variable: ClassVar[Variable] = "tau"

    @property
    def known(self) -> float:
        """Tau."""
        return self.tau


@dataclass(frozen=True)
class FixedScales(NamedPrior):
    """Both sigma and tau known, hence ``lambda = sigma^2 / tau^2``: the posterior is one Gaussian.

    Parameters
    ----------
    sigma, tau : float
        In units of y.
    """

    sigma: float
    tau: float

    words: ClassVar[str] = "sigma fixed at {sigma:g}, tau at {tau:g}"
    states_noise: ClassVar[bool] = True

    variable: ClassVar[Variable] = "tau"

    @property
    def known(self) -> float:
        """Tau."""
        return self.tau

    def with_noise(self, noise: ScalePrior) -> tuple[ScalePrior, ScalePrior]:  # noqa: ARG002
        """Tau and sigma."""
        return FixedTau(self.tau), FixedSigma(self.sigma)


@dataclass(frozen=True)
class GammaPrecisions(NamedPrior):
    """Gamma(shape, rate) priors on both precisions, as in MacKay and scikit-learn's ``BayesianRidge``.

    ``1/tau^2 ~ Gamma(tau_shape, tau_rate)``, ``1/sigma^2 ~ Gamma(sigma_shape, sigma_rate)``; it states the noise prior
    too. The customary 1e-6 are nearly improper and depend on the units of y.

    Parameters
    ----------
    tau_shape, tau_rate, sigma_shape, sigma_rate : float
    """

    tau_shape: float = 1e-6
    tau_rate: float = 1e-6
    sigma_shape: float = 1e-6
    sigma_rate: float = 1e-6

    words: ClassVar[str] = (
        "gamma({tau_shape:g}, {tau_rate:g}) on 1/tau², gamma({sigma_shape:g}, {sigma_rate:g}) on 1/sigma²"
    )
    states_noise: ClassVar[bool] = True

    variable: ClassVar[Variable] = "tau"

    def with_noise(self, noise: ScalePrior) -> tuple[ScalePrior, ScalePrior]:  # noqa: ARG002
        """Inverse gammas of tau^2 and sigma^2."""
        return TauGamma(self.tau_shape, self.tau_rate), InverseGamma(self.sigma_shape, self.sigma_rate)
