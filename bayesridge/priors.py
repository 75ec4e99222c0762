r"""Priors for lambda, tau and sigma: small immutable objects that are log densities.

Every density here is one of a logarithm (log lambda, log tau, log sigma), normalised unless it is said to be
improper, because that is the variable the quadrature runs over. ``signal`` is the design's
``sum_j var(x_j) * (sum w / n)``: ``W = signal * tau^2 / sigma^2 = signal / lambda`` is the prior ratio of explained to
noise variance and ``R^2 = W / (1 + W)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from bayesridge.errors import PriorError

Array = NDArray[np.float64]
Density = Callable[[Array], Array]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise PriorError(f"{name} must be a positive number, got {value!r}")


class StatedPrior:
    """What a prior leaves to be inferred: the facts by which the integrators choose, as they are for most priors."""

    #: Whether lambda or tau is given rather than learnt.
    fixed: ClassVar[bool] = False
    #: Whether it is a prior of sigma as well.
    states_noise: ClassVar[bool] = False

    @property
    def known_sigma(self) -> float | None:
        """Sigma, where it is given."""
        return None

    def on_lambda(self, signal: float) -> Density | None:  # noqa: ARG002
        """Log density of log lambda, if there is one that does not depend on sigma."""
        return None

    def on_tau(self) -> Density | None:
        """Log density of log tau, if the prior is one on tau itself."""
        return None

    @property
    def conjugate(self) -> Conjugate | None:
        """The prior of sigma^2 as an inverse gamma, if it is one (or its limit 1/sigma^2)."""
        return None


class Conjugate(NamedTuple):
    """An inverse-gamma prior of sigma^2, and the log of its normalising constant."""

    shape: float
    scale: float
    log_norm: float


# -- densities of a positive scale x, as densities of log x --------------------------------------------------------

Target = Literal["tau/sigma", "tau", "sigma"]


class _HalfDensity(StatedPrior, ABC):
    """A density of tau/sigma, tau or sigma, as `on` says."""

    on: Target

    @abstractmethod
    def log_density_of_log(self, log_x: Array) -> Array:
        """Log density of log x."""

    def on_lambda(self, signal: float) -> Density | None:  # noqa: ARG002
        """Log density of log lambda for a prior on tau/sigma = r: lambda = r^-2, so log lambda = -2 log r."""
        if self.on != "tau/sigma":
            return None
        return lambda log_lam: self.log_density_of_log(-0.5 * log_lam) - np.log(2.0)

    def on_tau(self) -> Density | None:
        """Log density of log tau for a prior on tau."""
        return self.log_density_of_log if self.on == "tau" else None


@dataclass(frozen=True)
class HalfT(_HalfDensity):
    """Half Student-t density with `df` degrees of freedom on a standard deviation.

    Parameters
    ----------
    df, scale : float
        Degrees of freedom and scale (in the units of what it is on).
    on : {"tau/sigma", "tau", "sigma"}
        The ratio tau/sigma (scales with the noise: one-dimensional posterior), tau itself (prior sd of the
        standardised coefficients, in units of y), or sigma (as a noise prior).
    """

    df: float
    scale: float
    on: Target = "tau/sigma"

    def __post_init__(self) -> None:
        _positive(df=self.df, scale=self.scale)
        _check_target(self.on)

    def log_density_of_log(self, log_x: Array) -> Array:
        """Log density of log x."""
        constant = (
            np.log(2.0) + gammaln(0.5 * (self.df + 1.0)) - gammaln(0.5 * self.df)
            - 0.5 * np.log(self.df * np.pi) - np.log(self.scale)
        )  # fmt: skip
        u = log_x - np.log(self.scale)
        # log(1 + e^(2u)/df) without overflow
        return np.asarray(constant - 0.5 * (self.df + 1.0) * np.logaddexp(0.0, 2.0 * u - np.log(self.df)) + log_x)

    def describe(self) -> str:
        """One line for reports."""
        return f"half-t({self.df:g}, {self.scale:g}) on {self.on}"


@dataclass(frozen=True)
class HalfCauchy(_HalfDensity):
    """Half-Cauchy density on a standard deviation: :class:`HalfT` with one degree of freedom.

    Parameters
    ----------
    scale : float
    on : {"tau/sigma", "tau", "sigma"}
    """

    scale: float
    on: Target = "tau/sigma"

    def __post_init__(self) -> None:
        _positive(scale=self.scale)
        _check_target(self.on)

    def log_density_of_log(self, log_x: Array) -> Array:
        """Log density of log x."""
        u = log_x - np.log(self.scale)
        return np.asarray(np.log(2.0 / np.pi) - np.logaddexp(0.0, 2.0 * u) + u)

    def describe(self) -> str:
        """One line for reports."""
        return f"half-Cauchy({self.scale:g}) on {self.on}"


@dataclass(frozen=True)
class HalfNormal(_HalfDensity):
    """Half-normal density on a standard deviation.

    Parameters
    ----------
    scale : float
        Standard deviation of the normal before folding.
    on : {"tau/sigma", "tau", "sigma"}
    """

    scale: float
    on: Target = "tau/sigma"

    def __post_init__(self) -> None:
        _positive(scale=self.scale)
        _check_target(self.on)

    def log_density_of_log(self, log_x: Array) -> Array:
        """Log density of log x."""
        u = log_x - np.log(self.scale)
        return np.asarray(0.5 * np.log(2.0 / np.pi) + u - 0.5 * np.exp(np.minimum(2.0 * u, 700.0)))

    def describe(self) -> str:
        """One line for reports."""
        return f"half-normal({self.scale:g}) on {self.on}"


def _check_target(on: str) -> None:
    if on not in ("tau/sigma", "tau", "sigma"):
        raise PriorError(f"on must be 'tau/sigma', 'tau' or 'sigma', got {on!r}")


HalfPrior = HalfT | HalfCauchy | HalfNormal


# -- priors of lambda that do not depend on sigma ------------------------------------------------------------------


@dataclass(frozen=True)
class BetaR2(StatedPrior):
    """Beta(a, b) prior on R^2, the share of variance the predictors are expected to explain (the default).

    With ``W = R^2 / (1 - R^2)`` it is a BetaPrime(a, b) on W; Beta(1/2, 1/2) on standardised columns is a
    half-Cauchy on tau/sigma with scale 1/sqrt(p). Independent of the units of everything.

    Parameters
    ----------
    a, b : float
    """

    a: float = 0.5
    b: float = 0.5

    def __post_init__(self) -> None:
        _positive(a=self.a, b=self.b)

    def log_density(self, log_lam: Array, signal: float) -> Array:
        """Log density of log lambda."""
        log_w = np.log(signal) - log_lam
        # logaddexp(0, log W) is log(1 + W) without overflow
        return np.asarray(self.a * log_w - (self.a + self.b) * np.logaddexp(0.0, log_w) - betaln(self.a, self.b))

    def on_lambda(self, signal: float) -> Density | None:
        """Log density of log lambda."""
        return lambda log_lam: self.log_density(log_lam, signal)

    def describe(self) -> str:
        """One line for reports."""
        return f"Beta({self.a:g}, {self.b:g}) on R²"


@dataclass(frozen=True)
class LogNormal(StatedPrior):
    """Log-normal prior on lambda: ``log(lambda) ~ N(log(median), sd^2)``.

    Parameters
    ----------
    median : float
    sd : float
        Standard deviation of log lambda (natural logarithm).
    """

    median: float
    sd: float

    def __post_init__(self) -> None:
        _positive(median=self.median, sd=self.sd)

    def log_density(self, log_lam: Array, signal: float) -> Array:  # noqa: ARG002
        """Log density of log lambda."""
        u = (log_lam - np.log(self.median)) / self.sd
        return np.asarray(-0.5 * u * u - np.log(self.sd) - 0.5 * np.log(2.0 * np.pi))

    def on_lambda(self, signal: float) -> Density | None:
        """Log density of log lambda."""
        return lambda log_lam: self.log_density(log_lam, signal)

    def describe(self) -> str:
        """One line for reports."""
        return f"log-normal(median {self.median:g}, sd {self.sd:g}) on lambda"


@dataclass(frozen=True)
class Gamma(StatedPrior):
    """Gamma(shape, rate) prior on lambda.

    Parameters
    ----------
    shape, rate : float
    """

    shape: float
    rate: float

    def __post_init__(self) -> None:
        _positive(shape=self.shape, rate=self.rate)

    def log_density(self, log_lam: Array, signal: float) -> Array:  # noqa: ARG002
        """Log density of log lambda."""
        constant = self.shape * np.log(self.rate) - gammaln(self.shape)
        return np.asarray(constant + self.shape * log_lam - self.rate * np.exp(np.minimum(log_lam, 700.0)))

    def on_lambda(self, signal: float) -> Density | None:
        """Log density of log lambda."""
        return lambda log_lam: self.log_density(log_lam, signal)

    def describe(self) -> str:
        """One line for reports."""
        return f"gamma({self.shape:g}, rate {self.rate:g}) on lambda"


@dataclass(frozen=True)
class Custom(StatedPrior):
    """A prior from any log density.

    Parameters
    ----------
    log_pdf : callable
        Vectorised log density of the quantity `of` (not of its logarithm). It need not be normalised, but then
        the marginal likelihood is only defined up to that constant.
    of : {"lambda", "tau/sigma", "R2", "tau", "sigma"}
    label : str
        Name in reports.
    """

    log_pdf: Density
    of: Literal["lambda", "tau/sigma", "R2", "tau", "sigma"] = "lambda"
    label: str = "custom"

    def __post_init__(self) -> None:
        if self.of not in ("lambda", "tau/sigma", "R2", "tau", "sigma"):
            raise PriorError(f"of must be 'lambda', 'tau/sigma', 'R2', 'tau' or 'sigma', got {self.of!r}")

    def log_density_of_log(self, log_x: Array) -> Array:
        """Log density of log x, x being lambda, tau/sigma, tau or sigma."""
        return np.asarray(self.log_pdf(np.exp(log_x)), dtype=np.float64) + log_x

    def log_density(self, log_lam: Array, signal: float) -> Array:
        """Log density of log lambda (for priors on lambda, tau/sigma or R^2)."""
        if self.of == "lambda":
            return self.log_density_of_log(log_lam)
        if self.of == "tau/sigma":
            return np.asarray(self.log_density_of_log(-0.5 * log_lam) - np.log(2.0))
        log_w = np.log(signal) - log_lam
        log_r2, log_rest = -np.logaddexp(0.0, -log_w), -np.logaddexp(0.0, log_w)
        return np.asarray(np.asarray(self.log_pdf(np.exp(log_r2)), dtype=np.float64) + log_r2 + log_rest)

    def on_lambda(self, signal: float) -> Density | None:
        """Log density of log lambda, for priors on lambda, tau/sigma or R^2."""
        return None if self.of in ("tau", "sigma") else lambda log_lam: self.log_density(log_lam, signal)

    def on_tau(self) -> Density | None:
        """Log density of log tau, for a prior on tau."""
        return self.log_density_of_log if self.of == "tau" else None

    def describe(self) -> str:
        """One line for reports."""
        return f"{self.label} on {self.of}"


# -- fixed values and the conjugate pair ---------------------------------------------------------------------------


@dataclass(frozen=True)
class FixedLambda(StatedPrior):
    """Lambda known. ``FixedLambda(0)`` is the flat prior on the coefficients (least squares, p < n only).

    Parameters
    ----------
    lam : float
        Penalty on the standardised columns.
    """

    lam: float

    fixed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lam) and self.lam >= 0):
            raise PriorError(f"lam must be 0 or a positive number, got {self.lam!r}")

    def describe(self) -> str:
        """One line for reports."""
        return f"lambda fixed at {self.lam:g}"


@dataclass(frozen=True)
class FixedTau(StatedPrior):
    """Prior sd tau of the (standardised) coefficients known, sigma learned.

    Parameters
    ----------
    tau : float
        In units of y.
    """

    tau: float

    fixed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive(tau=self.tau)

    def describe(self) -> str:
        """One line for reports."""
        return f"tau fixed at {self.tau:g}"


@dataclass(frozen=True)
class FixedScales(StatedPrior):
    """Both sigma and tau known, hence ``lambda = sigma^2 / tau^2``: the posterior is one Gaussian.

    Parameters
    ----------
    sigma, tau : float
        In units of y.
    """

    sigma: float
    tau: float

    fixed: ClassVar[bool] = True

    states_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma, tau=self.tau)

    @property
    def known_sigma(self) -> float | None:
        """Sigma."""
        return self.sigma

    def describe(self) -> str:
        """One line for reports."""
        return f"sigma fixed at {self.sigma:g}, tau at {self.tau:g}"


@dataclass(frozen=True)
class GammaPrecisions(StatedPrior):
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

    states_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive(
            tau_shape=self.tau_shape, tau_rate=self.tau_rate,
            sigma_shape=self.sigma_shape, sigma_rate=self.sigma_rate,
        )  # fmt: skip

    def describe(self) -> str:
        """One line for reports."""
        return (
            f"gamma({self.tau_shape:g}, {self.tau_rate:g}) on 1/tau², "
            f"gamma({self.sigma_shape:g}, {self.sigma_rate:g}) on 1/sigma²"
        )


# -- noise priors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Jeffreys(StatedPrior):
    """``p(sigma^2) = 1 / sigma^2``, improper: the default. Marginal likelihoods carry its arbitrary constant 1."""

    def log_density_of_log(self, log_sigma: Array) -> Array:
        """Log density of log sigma: ``d sigma^2 / sigma^2 = 2 d log sigma``."""
        return np.full_like(log_sigma, np.log(2.0))

    @property
    def conjugate(self) -> Conjugate:
        """The limit of inverse-gamma priors, with constant 1."""
        return Conjugate(0.0, 0.0, 0.0)

    def describe(self) -> str:
        """One line for reports."""
        return "p(sigma²) = 1/sigma²"


@dataclass(frozen=True)
class InverseGamma(StatedPrior):
    """Inverse-gamma prior on sigma^2.

    Parameters
    ----------
    shape, scale : float
        ``1/sigma^2 ~ Gamma(shape, rate=scale)``; `scale` is in squared units of y.
    """

    shape: float
    scale: float

    def __post_init__(self) -> None:
        _positive(shape=self.shape, scale=self.scale)

    def log_density_of_log(self, log_sigma: Array) -> Array:
        """Log density of log sigma."""
        constant = np.log(2.0) + self.shape * np.log(self.scale) - gammaln(self.shape)
        return np.asarray(
            constant - 2.0 * self.shape * log_sigma - self.scale * np.exp(np.minimum(-2.0 * log_sigma, 700.0))
        )

    @property
    def conjugate(self) -> Conjugate:
        """Itself."""
        return Conjugate(self.shape, self.scale, float(self.shape * np.log(self.scale) - gammaln(self.shape)))

    def describe(self) -> str:
        """One line for reports."""
        return f"inverse-gamma({self.shape:g}, {self.scale:g}) on sigma²"


@dataclass(frozen=True)
class FixedSigma(StatedPrior):
    """Noise standard deviation known.

    Parameters
    ----------
    sigma : float
        In units of y.
    """

    sigma: float

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma)

    @property
    def known_sigma(self) -> float | None:
        """Sigma."""
        return self.sigma

    def describe(self) -> str:
        """One line for reports."""
        return f"sigma fixed at {self.sigma:g}"


Prior = BetaR2 | LogNormal | Gamma | Custom | HalfPrior | FixedLambda | FixedTau | FixedScales | GammaPrecisions
NoisePrior = Jeffreys | InverseGamma | HalfPrior | Custom | FixedSigma


def check_priors(prior: Prior, noise: NoisePrior) -> None:
    """Refuse objects in the wrong place, naming the right one."""
    if not isinstance(prior, Prior):
        raise PriorError(f"prior must be a prior object such as BetaR2() or FixedLambda(1.0), got {prior!r}")
    if not isinstance(noise, NoisePrior):
        raise PriorError(f"noise_prior must be a noise prior such as Jeffreys() or InverseGamma(2, 1), got {noise!r}")
    if isinstance(prior, (HalfT, HalfCauchy, HalfNormal)) and prior.on == "sigma":
        raise PriorError(f"{prior.describe()} is a noise prior: pass it as noise_prior, or say on='tau'")
    if isinstance(prior, Custom) and prior.of == "sigma":
        raise PriorError("a Custom prior of sigma is a noise prior: pass it as noise_prior")
    if isinstance(noise, (HalfT, HalfCauchy, HalfNormal)) and noise.on != "sigma":
        raise PriorError(f"a noise prior must be on sigma: say on='sigma' (got {noise.describe()})")
    if isinstance(noise, Custom) and noise.of != "sigma":
        raise PriorError(f"a Custom noise prior must say of='sigma', got of={noise.of!r}")
    if prior.states_noise and not isinstance(noise, Jeffreys):
        raise PriorError(f"{prior.describe()} states the noise too; leave noise_prior at its default")
