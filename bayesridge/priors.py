r"""Priors for lambda, tau and sigma: small immutable objects that are log densities.

Every density here is one of a logarithm (log lambda, log tau, log sigma), normalised unless it is said to be
improper, because that is the variable the quadrature runs over. ``signal`` is the design's
``sum_j var(x_j) * (sum w / n)``: ``W = signal * tau^2 / sigma^2 = signal / lambda`` is the prior ratio of explained to
noise variance and ``R^2 = W / (1 + W)``. Where no column is penalised W is zero, a prior on R^2 says nothing, and any
positive signal does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln, gammaln

from bayesridge.errors import DataError, PriorError

Array = NDArray[np.float64]
Density = Callable[[Array], Array]
Variable = Literal["lambda", "tau", "sigma"]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise PriorError(f"{name} must be a positive number, got {value!r}")


class Conjugate(NamedTuple):
    """An inverse-gamma prior of a square (sigma^2, tau^2), and the log of its normalising constant."""

    shape: float
    scale: float
    log_norm: float


class ScalePrior(ABC):
    """What every prior offers: the density of the logarithm of one scale, or its value, where it is given."""

    #: Whether it can be normalised: 1/sigma^2 can not.
    proper: ClassVar[bool] = True
    #: Whether its constant of normalisation is known: that of a callable is not.
    normalized: ClassVar[bool] = True
    #: Whether it is a prior of sigma as well as of tau; see :meth:`with_noise`.
    states_noise: ClassVar[bool] = False

    @property
    def variable(self) -> Variable:
        """Of what it is; priors of tau/sigma and of R^2 are priors of lambda."""
        return "lambda"

    @property
    def known(self) -> float | None:
        """Its variable's value, where that is given rather than learnt."""
        return None

    @property
    def conjugate(self) -> Conjugate | None:
        """The prior of the variable's square as an inverse gamma, if it is one (or its limit 1/sigma^2)."""
        return None

    @property
    @abstractmethod
    def text(self) -> str:
        """One line for reports."""

    def with_noise(self, noise: ScalePrior) -> tuple[ScalePrior, ScalePrior]:
        """Return the prior of lambda or tau, and that of sigma; `noise` is the latter unless this one states it."""
        return self, noise

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of the logarithm of the variable."""
        raise PriorError(f"{self.text}: a value has no density")

    def given_sigma(self, log_lam: Array, log_sigma: Array | float, signal: float) -> Array:
        """Log density of log lambda given sigma: ``log lambda = 2 log sigma - 2 log tau`` halves that of log tau."""
        if self.variable == "lambda":
            return self.log_density(log_lam, signal)
        return np.asarray(self.log_density(log_sigma - 0.5 * log_lam) - np.log(2.0))

    def log_density_of(self, theta: Array, signals: tuple[float, ...]) -> Array:
        """Joint log density of the logarithms of several lambdas, theta of shape (K, G): each has this prior.

        What theta has beyond the signals are inverse hyperbolic tangents of correlations.
        """
        terms = [self.log_density(t, signal) for t, signal in zip(theta.T, signals, strict=False)]
        return np.asarray(np.sum(terms, axis=0)) + uniform_correlations(theta[:, len(signals) :])

    def draw(self, n: int, rng: np.random.Generator, signal: float = 1.0) -> Array:
        """Independent draws of the variable, from its density; a PriorError where that is improper."""
        if self.known is not None:
            return np.full(n, self.known)
        return np.exp(draw_log(lambda x: self.log_density(x, signal), self.text, n, rng))

    def power(self, power: float) -> Prior:  # noqa: ARG002
        """Return the prior whose density, in its own variable, is that of this one to a power (not normalised)."""
        raise DataError(f"the prior {self.text} cannot be raised to a power here: use one on lambda or R²")

    def explained(self, level: float) -> tuple[float, float] | None:  # noqa: ARG002
        """Equal-tailed interval of the prior's R^2, where it is a prior of R^2."""
        return None


def draw_log(log_density: Density, what: str, n: int, rng: np.random.Generator) -> Array:
    """Draw from any density of a logarithm: trapezoidal cdf on 20,001 points where it is not negligible, inverted.

    Raises
    ------
    PriorError
        If the density does not fall off, so that it is improper.
    """
    t = np.concatenate(
        [np.linspace(-700.0, -151.0, 550), np.linspace(-150.0, 150.0, 20_001), np.linspace(151, 700, 550)]
    )
    with np.errstate(all="ignore"):
        f = log_density(t)
        if not np.isfinite(f.max()) or max(f[0], f[-1]) > f.max() - 30.0:
            raise PriorError(f"{what} is improper, or lies beyond exp(-700) to exp(700): it cannot be drawn from")
        for _ in range(3):  # a narrow density is seen where it is largest, and zoomed into
            seen = np.flatnonzero(f > f.max() - 40.0)
            t = np.linspace(t[max(seen[0] - 1, 0)], t[min(seen[-1] + 1, len(t) - 1)], 20_001)
            f = log_density(t)
        density = np.exp(f - f.max())
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.asarray(np.interp(rng.random(n) * cdf[-1], cdf, t))


def uniform_correlations(z: Array) -> Array:
    """Log density of atanh rho, (K, R), where every rho is uniform on (-1, 1): LKJ(1) of two effects, (K,)."""
    return np.asarray((np.log(2.0) - 2.0 * np.logaddexp(z, -z)).sum(axis=1))


def _own_power(log_density: Density, power: float) -> Density:
    """Density of x, to a power, from that of log x."""
    return lambda x: power * (log_density(np.log(x)) - np.log(x))


# -- densities of a positive scale x, as densities of log x --------------------------------------------------------

Target = Literal["tau/sigma", "tau", "sigma"]


class _HalfDensity(ScalePrior):
    """A density of tau/sigma, tau or sigma, as `on` says."""

    on: Target

    @property
    def variable(self) -> Variable:
        """Of what it is: tau/sigma = lambda^(-1/2)."""
        return "lambda" if self.on == "tau/sigma" else self.on

    @abstractmethod
    def _of_log(self, log_x: Array) -> Array:
        """Log density of the log of what it is on."""

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density; on tau/sigma = r, lambda = r^-2, so log lambda = -2 log r."""
        return self._of_log(log_x) if self.on != "tau/sigma" else self._of_log(-0.5 * log_x) - np.log(2.0)

    def power(self, power: float) -> Custom:
        """Its density to a power."""
        return Custom(_own_power(self._of_log, power), self.on)


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

    def _of_log(self, log_x: Array) -> Array:
        constant = (
            np.log(2.0) + gammaln(0.5 * (self.df + 1.0)) - gammaln(0.5 * self.df)
            - 0.5 * np.log(self.df * np.pi) - np.log(self.scale)
        )  # fmt: skip
        u = log_x - np.log(self.scale)
        # log(1 + e^(2u)/df) without overflow
        return np.asarray(constant - 0.5 * (self.df + 1.0) * np.logaddexp(0.0, 2.0 * u - np.log(self.df)) + log_x)

    @property
    def text(self) -> str:
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

    def _of_log(self, log_x: Array) -> Array:
        u = log_x - np.log(self.scale)
        return np.asarray(np.log(2.0 / np.pi) - np.logaddexp(0.0, 2.0 * u) + u)

    @property
    def text(self) -> str:
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

    def _of_log(self, log_x: Array) -> Array:
        u = log_x - np.log(self.scale)
        return np.asarray(0.5 * np.log(2.0 / np.pi) + u - 0.5 * np.exp(np.minimum(2.0 * u, 700.0)))

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"half-normal({self.scale:g}) on {self.on}"


def _check_target(on: str) -> None:
    if on not in ("tau/sigma", "tau", "sigma"):
        raise PriorError(f"on must be 'tau/sigma', 'tau' or 'sigma', got {on!r}")


HalfPrior = HalfT | HalfCauchy | HalfNormal


# -- priors of lambda that do not depend on sigma ------------------------------------------------------------------


def _log_w(log_lam: Array, signal: float) -> Array:
    return np.asarray(np.log(signal if signal > 0 else 1.0) - log_lam)


@dataclass(frozen=True)
class BetaR2(ScalePrior):
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

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:
        """Log density of log lambda."""
        log_w = _log_w(log_x, signal)
        # logaddexp(0, log W) is log(1 + W) without overflow
        return np.asarray(self.a * log_w - (self.a + self.b) * np.logaddexp(0.0, log_w) - betaln(self.a, self.b))

    def power(self, power: float) -> BetaR2:
        """Another beta."""
        return BetaR2(1.0 + power * (self.a - 1.0), 1.0 + power * (self.b - 1.0))

    def explained(self, level: float) -> tuple[float, float]:
        """Equal-tailed interval of R^2."""
        low, high = (float(betaincinv(self.a, self.b, 0.5 * (1.0 + side * level))) for side in (-1.0, 1.0))
        return low, high

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"Beta({self.a:g}, {self.b:g}) on R²"


@dataclass(frozen=True)
class LogNormal(ScalePrior):
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

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of log lambda."""
        u = (log_x - np.log(self.median)) / self.sd
        return np.asarray(-0.5 * u * u - np.log(self.sd) - 0.5 * np.log(2.0 * np.pi))

    def power(self, power: float) -> Custom:
        """Its density to a power."""
        return Custom(_own_power(self.log_density, power), "lambda")

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"log-normal(median {self.median:g}, sd {self.sd:g}) on lambda"


@dataclass(frozen=True)
class Gamma(ScalePrior):
    """Gamma(shape, rate) prior on lambda.

    Parameters
    ----------
    shape, rate : float
    """

    shape: float
    rate: float

    def __post_init__(self) -> None:
        _positive(shape=self.shape, rate=self.rate)

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of log lambda."""
        constant = self.shape * np.log(self.rate) - gammaln(self.shape)
        return np.asarray(constant + self.shape * log_x - self.rate * np.exp(np.minimum(log_x, 700.0)))

    def power(self, power: float) -> Prior:
        """Another gamma, while there is one."""
        shape = 1.0 + power * (self.shape - 1.0)
        return Gamma(shape, power * self.rate) if shape > 0 else super().power(power)

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"gamma({self.shape:g}, rate {self.rate:g}) on lambda"


@dataclass(frozen=True)
class Custom(ScalePrior):
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

    normalized: ClassVar[bool] = False

    @property
    def variable(self) -> Variable:
        """Of what it is."""
        return self.of if self.of in ("tau", "sigma") else "lambda"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:
        """Log density of log lambda (for priors on lambda, tau/sigma or R^2), log tau or log sigma."""
        if self.of == "tau/sigma":
            return np.asarray(self._of_log(-0.5 * log_x) - np.log(2.0))
        if self.of != "R2":
            return self._of_log(log_x)
        log_w = _log_w(log_x, signal)
        log_r2, log_rest = -np.logaddexp(0.0, -log_w), -np.logaddexp(0.0, log_w)
        return np.asarray(np.asarray(self.log_pdf(np.exp(log_r2)), dtype=np.float64) + log_r2 + log_rest)

    def _of_log(self, log_x: Array) -> Array:
        return np.asarray(self.log_pdf(np.exp(log_x)), dtype=np.float64) + log_x

    def power(self, power: float) -> Custom:
        """Its density to a power."""
        return Custom(lambda x: power * np.asarray(self.log_pdf(x)), self.of)

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"{self.label} on {self.of}"


# -- fixed values and the conjugate pair ---------------------------------------------------------------------------


@dataclass(frozen=True)
class FixedLambda(ScalePrior):
    """Lambda known. ``FixedLambda(0)`` is the flat prior on the coefficients (least squares, p < n only).

    Parameters
    ----------
    lam : float
        Penalty on the standardised columns.
    """

    lam: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lam) and self.lam >= 0):
            raise PriorError(f"lam must be 0 or a positive number, got {self.lam!r}")

    @property
    def known(self) -> float:
        """Lambda."""
        return self.lam

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"lambda fixed at {self.lam:g}"


@dataclass(frozen=True)
class FixedTau(ScalePrior):
    """Prior sd tau of the (standardised) coefficients known, sigma learned.

    Parameters
    ----------
    tau : float
        In units of y.
    """

    tau: float

    def __post_init__(self) -> None:
        _positive(tau=self.tau)

    @property
    def variable(self) -> Variable:
        """Tau."""
        return "tau"

    @property
    def known(self) -> float:
        """Tau."""
        return self.tau

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"tau fixed at {self.tau:g}"


@dataclass(frozen=True)
class FixedScales(ScalePrior):
    """Both sigma and tau known, hence ``lambda = sigma^2 / tau^2``: the posterior is one Gaussian.

    Parameters
    ----------
    sigma, tau : float
        In units of y.
    """

    sigma: float
    tau: float

    states_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma, tau=self.tau)

    @property
    def variable(self) -> Variable:
        """Tau."""
        return "tau"

    @property
    def known(self) -> float:
        """Tau."""
        return self.tau

    def with_noise(self, noise: ScalePrior) -> tuple[ScalePrior, ScalePrior]:  # noqa: ARG002
        """Tau and sigma."""
        return FixedTau(self.tau), FixedSigma(self.sigma)

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"sigma fixed at {self.sigma:g}, tau at {self.tau:g}"


@dataclass(frozen=True)
class GammaPrecisions(ScalePrior):
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

    @property
    def variable(self) -> Variable:
        """Tau."""
        return "tau"

    def with_noise(self, noise: ScalePrior) -> tuple[ScalePrior, ScalePrior]:  # noqa: ARG002
        """Inverse gammas of tau^2 and sigma^2."""
        return _TauGamma(self.tau_shape, self.tau_rate), InverseGamma(self.sigma_shape, self.sigma_rate)

    @property
    def text(self) -> str:
        """One line for reports."""
        return (
            f"gamma({self.tau_shape:g}, {self.tau_rate:g}) on 1/tau², "
            f"gamma({self.sigma_shape:g}, {self.sigma_rate:g}) on 1/sigma²"
        )


# -- noise priors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Jeffreys(ScalePrior):
    """``p(sigma^2) = 1 / sigma^2``, improper: the default. Marginal likelihoods carry its arbitrary constant 1."""

    proper: ClassVar[bool] = False

    @property
    def variable(self) -> Variable:
        """Sigma."""
        return "sigma"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of log sigma: ``d sigma^2 / sigma^2 = 2 d log sigma``."""
        return np.full_like(log_x, np.log(2.0))

    @property
    def conjugate(self) -> Conjugate:
        """The limit of inverse-gamma priors, with constant 1."""
        return Conjugate(0.0, 0.0, 0.0)

    @property
    def text(self) -> str:
        """One line for reports."""
        return "p(sigma²) = 1/sigma²"


@dataclass(frozen=True)
class InverseGamma(ScalePrior):
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

    @property
    def variable(self) -> Variable:
        """Sigma."""
        return "sigma"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of the log of its root."""
        constant = np.log(2.0) + self.shape * np.log(self.scale) - gammaln(self.shape)
        return np.asarray(constant - 2.0 * self.shape * log_x - self.scale * np.exp(np.minimum(-2.0 * log_x, 700.0)))

    @property
    def conjugate(self) -> Conjugate:
        """Itself."""
        return Conjugate(self.shape, self.scale, float(self.shape * np.log(self.scale) - gammaln(self.shape)))

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"inverse-gamma({self.shape:g}, {self.scale:g}) on {self.variable}²"


@dataclass(frozen=True)
class _TauGamma(InverseGamma):
    """The tau of :class:`GammaPrecisions`."""

    @property
    def variable(self) -> Variable:
        """Tau."""
        return "tau"


@dataclass(frozen=True)
class FixedSigma(ScalePrior):
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
    def variable(self) -> Variable:
        """Sigma."""
        return "sigma"

    @property
    def known(self) -> float:
        """Sigma."""
        return self.sigma

    @property
    def text(self) -> str:
        """One line for reports."""
        return f"sigma fixed at {self.sigma:g}"


@dataclass(frozen=True)
class ByGroup(ScalePrior):
    """Independent priors of several lambdas, one for each group of columns.

    Parameters
    ----------
    groups : tuple of str
    priors : tuple of Prior
        Each on R^2, lambda or tau/sigma of its own group.
    """

    groups: tuple[str, ...]
    priors: tuple[Prior, ...]

    def __post_init__(self) -> None:
        for name, prior in zip(self.groups, self.priors, strict=True):
            if not isinstance(prior, ScalePrior):
                raise PriorError(f"the prior of group {name!r} must be a prior object such as BetaR2(), got {prior!r}")
            if prior.variable != "lambda" or prior.known is not None:
                raise PriorError(
                    f"with several groups a prior is one of R², lambda or tau/sigma, to be learnt; that of group "
                    f"{name!r} is {prior.text}"
                )

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """None: there is no one lambda."""
        raise PriorError(f"{self.text} is a prior of several lambdas, and the model has one: say groups={{...}}")

    def log_density_of(self, theta: Array, signals: tuple[float, ...]) -> Array:
        """Joint log density of the logarithms of all lambdas, theta of shape (K, G)."""
        if len(signals) != len(self.priors):
            raise PriorError(
                f"priors of {len(self.priors)} groups ({', '.join(self.groups)}), and the model has {len(signals)}: "
                "say groups={...}"
            )
        terms = [one.log_density(t, s) for one, t, s in zip(self.priors, theta.T, signals, strict=False)]
        return np.asarray(np.sum(terms, axis=0)) + uniform_correlations(theta[:, len(signals) :])

    @property
    def normalized(self) -> bool:  # type: ignore[override]
        """Whether every one is."""
        return all(one.normalized for one in self.priors)

    @property
    def text(self) -> str:
        """One line for reports."""
        texts = [one.text for one in self.priors]
        if len(set(texts)) == 1:
            return f"{texts[0]} of each group"
        return ", ".join([f"{name}: {one}" for name, one in zip(self.groups, texts, strict=True)])


Prior = (
    BetaR2 | LogNormal | Gamma | Custom | HalfPrior | FixedLambda | FixedTau | FixedScales | GammaPrecisions | ByGroup
)
NoisePrior = Jeffreys | InverseGamma | HalfPrior | Custom | FixedSigma


def by_group(groups: tuple[str, ...], prior: Prior | Mapping[str, Prior] | None) -> Prior:
    """Give each group a prior: its own, the one for all, or ``BetaR2()`` where nothing is said; one group has one."""
    if not isinstance(prior, Mapping):
        one = BetaR2() if prior is None else prior
        return one if len(groups) == 1 or isinstance(one, ByGroup) else ByGroup(groups, (one,) * len(groups))
    unknown = [name for name in prior if name not in groups]
    if unknown:
        raise PriorError(f"prior names the group {unknown[0]!r}, and the groups are {', '.join(groups)}")
    found = [prior.get(name, BetaR2()) for name in groups]
    return found[0] if len(groups) == 1 else ByGroup(groups, tuple(found))


#: All priors that are numbers and no code, by the names they have on a command line.
PRIORS: Mapping[str, type[Prior]] = {
    "r2": BetaR2, "half-cauchy": HalfCauchy, "half-t": HalfT, "half-normal": HalfNormal, "lognormal": LogNormal,
    "gamma": Gamma, "gamma-precisions": GammaPrecisions, "fixed": FixedLambda, "fixed-tau": FixedTau,
    "fixed-scales": FixedScales,
}  # fmt: skip
NOISE_PRIORS: Mapping[str, type[NoisePrior]] = {
    "jeffreys": Jeffreys, "inverse-gamma": InverseGamma, "half-cauchy": HalfCauchy, "half-t": HalfT,
    "half-normal": HalfNormal, "fixed": FixedSigma,
}  # fmt: skip


def check_priors(prior: Prior, noise: NoisePrior) -> None:
    """Refuse objects in the wrong place, naming the right one."""
    if not isinstance(prior, Prior):
        raise PriorError(f"prior must be a prior object such as BetaR2() or FixedLambda(1.0), got {prior!r}")
    if not isinstance(noise, NoisePrior):
        raise PriorError(f"noise_prior must be a noise prior such as Jeffreys() or InverseGamma(2, 1), got {noise!r}")
    if prior.variable == "sigma":
        raise PriorError(f"{prior.text} is a noise prior: pass it as noise_prior, or say that it is on tau")
    if noise.variable != "sigma":
        raise PriorError(f"a noise prior must be on sigma: say so, as in HalfT(3, 1, on='sigma') (got {noise.text})")
    if prior.states_noise and noise.proper:
        raise PriorError(f"{prior.text} states the noise too; leave noise_prior at its default")
