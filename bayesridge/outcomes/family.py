"""Families: what an outcome is, given its linear predictor eta. A new one is a class of this kind, and its line below.

Densities are log-concave in eta, with scale one: there is no sigma, and lambda = 1 / tau^2. Arrays are broadcast
against one another, rows in the last axis. A family may have a positive parameter beside eta, a field of its class;
where that is None it is learned with lambda.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, erfcx, expit, gammaln, log_expit, log_ndtr, ndtr, ndtri, pdtr, stdtr

from bayesridge.errors import DataError, PriorError
from bayesridge.priors import HalfT

Array = NDArray[np.float64]

_HIGHEST = 700.0  # exp of it is still a number
_FACTORS = 1_000


class Family(ABC):
    """An outcome y of a row, given eta; `trials` is None but for families that count successes."""

    name: ClassVar[str]
    #: In words, for reports.
    text: ClassVar[str]
    #: What exp(coefficient) is; None where it is nothing.
    ratio: ClassVar[str | None]
    #: What a coefficient is in: the default prior's scale of tau, times sqrt(p).
    unit: ClassVar[float]
    takes_trials: ClassVar[bool] = False
    #: Whether outcomes are whole numbers.
    whole: ClassVar[bool] = True
    #: Whether its density is log-concave in eta, so that there is one penalised fit.
    one_mode: ClassVar[bool] = True
    #: The field with the further parameter.
    extra: ClassVar[str | None] = None

    @property
    def noise(self) -> float:
        """Scale of the noise, which the prior sd of coefficients is a multiple of; one where there is none."""
        return 1.0

    @property
    def learns(self) -> str | None:
        """Name of the further parameter, if it is to be learned."""
        return self.extra if self.extra is not None and getattr(self, self.extra) is None else None

    def given(self, value: Array | float | None) -> Self:
        """Return the family at values of its further parameter (None: as it is)."""
        return self if value is None else replace(self, **{str(self.extra): value})  # type: ignore[type-var]

    def picked(self, shape: tuple[int, ...], index: Any) -> Self:
        """Return the family at some of the draws and rows that its further parameter has values for."""
        value = None if self.extra is None else np.asarray(getattr(self, self.extra))
        return self if value is None or not value.ndim else self.given(np.broadcast_to(value, shape)[index])

    @property
    def in_words(self) -> str:
        """What the outcome is, with what is learned beside."""
        return self.text

    def said(self) -> str:
        """Return the family as `family=` and files take it: a name, and settings that are not the default's.

        Raises
        ------
        DataError
            For a family that this package does not know: a file holds no code.
        """
        known = FAMILIES.get(self.name)
        if type(known) is not type(self):
            raise DataError(
                f"a saved model holds numbers and no code, and {type(self).__name__} is a family of your own"
            )
        given = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return ", ".join([self.name, *[f"{k}={v!r}" for k, v in given.items() if v != getattr(known, k)]])

    def log_prior(self, log_value: Array) -> Array:
        """Log density of the further parameter's logarithm."""
        raise NotImplementedError(f"{type(self).__name__} learns {self.extra}, and states no prior of it: log_prior")

    @abstractmethod
    def log_density(self, eta: Array, y: Array, trials: Array | None) -> Array:
        """Log p(y | eta), normalised."""

    def log_likelihood(self, eta: Array, y: Array, trials: Array | None, count: Array) -> Array:
        """Sum over rows of ``count log p(y | eta)``."""
        return np.asarray(self.log_density(eta, y, trials) @ count)

    @abstractmethod
    def slope(self, eta: Array, y: Array, trials: Array | None) -> tuple[Array, Array]:
        """First derivative of the log density in eta, and minus the second (positive)."""

    @abstractmethod
    def mean(self, eta: Array, trials: Array | None) -> Array:
        """E[y | eta]."""

    @abstractmethod
    def variance(self, eta: Array, trials: Array | None) -> Array:
        """Var[y | eta]."""

    @abstractmethod
    def cdf(self, y: Array, eta: Array, trials: Array | None) -> Array:
        """P(Y <= y | eta)."""

    @abstractmethod
    def simulate(self, eta: Array, trials: Array | None, rng: np.random.Generator) -> Array:
        """Draw y given eta."""

    @abstractmethod
    def start(self, y: Array, trials: Array | None) -> Array:
        """Eta near which each row alone would be fitted."""

    @abstractmethod
    def endless(self, y: Array, trials: Array | None) -> NDArray[np.intp]:
        """Where the density of a row does not fall as eta grows (1), as it falls (-1), or falls both ways (0)."""

    @abstractmethod
    def wrong(self, y: Array, trials: Array | None) -> tuple[NDArray[np.bool_], str]:
        """Rows whose y cannot be, and what is expected."""


@dataclass(frozen=True)
class Poisson(Family):
    """Counts with log link: ``y ~ Poisson(exp(eta))``."""

    name: ClassVar[str] = "poisson"
    text: ClassVar[str] = "Poisson counts, log link"
    ratio: ClassVar[str | None] = "rate ratio"
    unit: ClassVar[float] = 1.0

    def log_density(self, eta: Array, y: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """``y eta - exp(eta) - log y!``."""
        return np.asarray(y * eta - np.exp(np.minimum(eta, _HIGHEST)) - gammaln(y + 1.0))

    def slope(self, eta: Array, y: Array, trials: Array | None) -> tuple[Array, Array]:  # noqa: ARG002
        """``y - mu`` and ``mu``."""
        mu = np.exp(np.minimum(eta, _HIGHEST))
        return y - mu, mu

    def mean(self, eta: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """Exp(eta)."""
        return np.exp(np.minimum(eta, _HIGHEST))

    def variance(self, eta: Array, trials: Array | None) -> Array:
        """The mean."""
        return self.mean(eta, trials)

    def cdf(self, y: Array, eta: Array, trials: Array | None) -> Array:
        """Regularised incomplete gamma function."""
        return np.where(y < 0, 0.0, pdtr(np.maximum(y, 0.0), self.mean(eta, trials)))

    def simulate(self, eta: Array, trials: Array | None, rng: np.random.Generator) -> Array:
        """Counts; above 9e18, which numpy cannot draw, the normal limit."""
        mu = self.mean(eta, trials)
        small = rng.poisson(np.minimum(mu, 1e18)).astype(np.float64)
        return np.where(mu > 1e18, mu, small)

    def start(self, y: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """``log(y + 1/2)``."""
        return np.log(y + 0.5)

    def endless(self, y: Array, trials: Array | None) -> NDArray[np.intp]:  # noqa: ARG002
        """A zero is never too far below."""
        return np.where(y == 0, -1, 0)

    def wrong(self, y: Array, trials: Array | None) -> tuple[NDArray[np.bool_], str]:  # noqa: ARG002
        """Negative and fractional counts."""
        return (y < 0) | (y != np.rint(y)), "counts must be whole numbers, 0 or more"


@dataclass(frozen=True)
class NegativeBinomial(Poisson):
    r"""Counts that vary more than Poisson's, log link: ``y ~ Poisson(exp(eta) g)``.

    g is gamma with mean 1 and variance ``dispersion``, so that ``Var[y] = mu + dispersion mu^2`` (NB2).

    Attributes
    ----------
    dispersion : float, optional
        Learned if left out.
    spread : float
        Prior of the learned dispersion: sqrt(dispersion), the coefficient of variation of g, is half-t with 4 degrees
        of freedom and this scale.
    """

    dispersion: Any = None
    spread: float = 1.0

    name: ClassVar[str] = "negative-binomial"
    text: ClassVar[str] = "negative binomial counts, log link"
    extra: ClassVar[str | None] = "dispersion"

    def __post_init__(self) -> None:
        if not 0.0 < self.spread < np.inf or (
            self.dispersion is not None and not (np.asarray(self.dispersion) > 0).all()
        ):
            raise PriorError("the dispersion of a negative binomial, and its prior's spread, must be positive")

    @property
    def in_words(self) -> str:
        """With the prior of the dispersion."""
        if self.dispersion is not None:
            return f"{self.text}, dispersion {float(np.max(self.dispersion)):g}"
        return f"{self.text}; half-t(4, {self.spread:g}) on sqrt(dispersion)"

    def log_prior(self, log_value: Array) -> Array:
        """Half-t of the coefficient of variation."""
        return np.asarray(HalfT(4.0, self.spread, on="tau").log_density(0.5 * log_value) - np.log(2.0))

    def log_density(self, eta: Array, y: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """With a = 1 / dispersion and x = eta - log a: ``-log(y B(a, y)) + y x - (y + a) log(1 + exp(x))``.

        The beta function is that of gamma(y + a) / (gamma(a) y!), which would cancel for large a.
        """
        a = 1.0 / np.asarray(self.dispersion, dtype=np.float64)
        k = np.maximum(y, 1.0)
        if a.ndim and a.shape[-1] == 1 and np.ndim(y) == 1:  # draws share nodes, and the beta function is dear
            each, of = np.unique(a, return_inverse=True)
            constant = np.where(y > 0, -np.log(k) - betaln(each[:, None], k), 0.0)[of.reshape(a.shape[:-1])]
        else:
            constant = np.where(y > 0, -np.log(k) - betaln(a, k), 0.0)
        x = eta - np.log(a)
        # above a = 1e8, (y + a) log(1 + e^x) - y x would be rounded by more than it tells: log1p keeps it
        both = np.log1p(np.exp(-np.abs(x)))
        return np.asarray(constant + y * (np.minimum(x, 0.0) - both) - a * (np.maximum(x, 0.0) + both))

    def slope(self, eta: Array, y: Array, trials: Array | None) -> tuple[Array, Array]:  # noqa: ARG002
        """``y (1 - pi) - a pi`` and ``(y + a) pi (1 - pi)`` with pi = mu / (mu + a)."""
        a = 1.0 / np.asarray(self.dispersion, dtype=np.float64)
        x = eta - np.log(a)
        chance, rest = expit(x), expit(-x)
        return y * rest - a * chance, (y + a) * chance * rest

    def variance(self, eta: Array, trials: Array | None) -> Array:
        """``mu + dispersion mu^2``."""
        mu = self.mean(eta, trials)
        return np.asarray(mu + np.asarray(self.dispersion) * np.square(np.minimum(mu, 1e150)))

    def cdf(self, y: Array, eta: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """Regularised incomplete beta function."""
        a = 1.0 / np.asarray(self.dispersion, dtype=np.float64)
        y, rest = np.floor(y), expit(np.log(a) - eta)
        return np.where(y < 0, 0.0, betainc(a, np.maximum(y, 0.0) + 1.0, rest))

    def simulate(self, eta: Array, trials: Array | None, rng: np.random.Generator) -> Array:
        """Counts at a gamma-distributed rate."""
        a = np.broadcast_to(1.0 / np.asarray(self.dispersion, dtype=np.float64), np.shape(eta))
        g = rng.standard_gamma(a) / a
        return super().simulate(eta + np.log(np.maximum(g, 1e-300)), trials, rng)


@dataclass(frozen=True)
class Binomial(Family):
    """Successes of a number of trials (one, if `trials` is None) with logit link."""

    name: ClassVar[str] = "binomial"
    text: ClassVar[str] = "binomial successes, logit link"
    ratio: ClassVar[str | None] = "odds ratio"
    unit: ClassVar[float] = float(np.pi / np.sqrt(3.0))
    takes_trials: ClassVar[bool] = True

    @staticmethod
    def chance(eta: Array) -> Array:
        """Of success in one trial; of failure it is ``chance(-eta)``."""
        return np.asarray(expit(eta))

    @staticmethod
    def log_chance(eta: Array) -> Array:
        """Its log."""
        return np.asarray(log_expit(eta))

    def log_density(self, eta: Array, y: Array, trials: Array | None) -> Array:
        """``log C(m, y) + y log pi(eta) + (m - y) log pi(-eta)``: nothing cancels far out."""
        if trials is None:
            return self.log_chance((2.0 * y - 1.0) * eta)
        constant = gammaln(trials + 1.0) - gammaln(y + 1.0) - gammaln(trials - y + 1.0)
        return np.asarray(constant + y * self.log_chance(eta) + (trials - y) * self.log_chance(-eta))

    def log_likelihood(self, eta: Array, y: Array, trials: Array | None, count: Array) -> Array:
        """Of single trials, each counted once, from ``log prod (1 + exp(-|x_i|))``: one logarithm for many rows.

        With ``x = (2 y - 1) eta`` the rows give ``min(x, 0) - log(1 + exp(-|x|))``. A factor is at most 2, and 2^1000 a
        number.
        """
        if trials is not None or (count != 1.0).any():
            return super().log_likelihood(eta, y, trials, count)
        x = (2.0 * y - 1.0) * eta
        total = np.minimum(x, 0.0).sum(axis=-1)
        np.abs(x, out=x)
        np.negative(x, out=x)
        np.exp(x, out=x)
        x += 1.0
        for k in range(0, x.shape[-1], _FACTORS):
            total -= np.log(x[..., k : k + _FACTORS].prod(axis=-1))
        return np.asarray(total)

    def slope(self, eta: Array, y: Array, trials: Array | None) -> tuple[Array, Array]:
        """``y - m pi``, written ``y (1 - pi) - (m - y) pi`` so that nothing cancels, and ``m pi (1 - pi)``."""
        chance, rest, m = expit(eta), expit(-eta), 1.0 if trials is None else trials
        return y * rest - (m - y) * chance, m * chance * rest

    def mean(self, eta: Array, trials: Array | None) -> Array:
        """Trials times the chance of success."""
        return np.asarray(self.chance(eta) * (1.0 if trials is None else trials))

    def variance(self, eta: Array, trials: Array | None) -> Array:
        """``m pi (1 - pi)``."""
        return np.asarray(self.chance(eta) * self.chance(-eta) * (1.0 if trials is None else trials))

    def cdf(self, y: Array, eta: Array, trials: Array | None) -> Array:
        """Regularised incomplete beta function."""
        m = np.ones(1) if trials is None else trials
        k = np.floor(y)
        inside = betainc(np.maximum(m - k, 0.5), np.maximum(k, 0.0) + 1.0, self.chance(-eta))
        return np.where(k < 0, 0.0, np.where(k >= m, 1.0, inside))

    def simulate(self, eta: Array, trials: Array | None, rng: np.random.Generator) -> Array:
        """Successes."""
        m = 1 if trials is None else trials.astype(np.int64)
        return rng.binomial(m, self.chance(eta)).astype(np.float64)

    def start(self, y: Array, trials: Array | None) -> Array:
        """Log odds with half a success and half a failure more."""
        return np.log((y + 0.5) / ((1.0 if trials is None else trials) - y + 0.5))

    def endless(self, y: Array, trials: Array | None) -> NDArray[np.intp]:
        """All failures: below; all successes: above."""
        m = 1.0 if trials is None else trials
        return np.where(y == 0, -1, np.where(y == m, 1, 0))

    def wrong(self, y: Array, trials: Array | None) -> tuple[NDArray[np.bool_], str]:
        """What is no number of successes."""
        m = 1.0 if trials is None else trials
        said = "0 or 1 (or pass trials)" if trials is None else "whole numbers from 0 to the number of trials"
        return (y < 0) | (y > m) | (y != np.rint(y)), f"successes must be {said}"


@dataclass(frozen=True)
class Probit(Binomial):
    """Successes of a number of trials with probit link: eta in sds of a normal variable that is positive or not."""

    name: ClassVar[str] = "probit"
    text: ClassVar[str] = "binomial successes, probit link"
    ratio: ClassVar[str | None] = None
    unit: ClassVar[float] = 1.0

    @staticmethod
    def chance(eta: Array) -> Array:
        """Normal distribution function."""
        return np.asarray(ndtr(eta))

    @staticmethod
    def log_chance(eta: Array) -> Array:
        """Its log."""
        return np.asarray(log_ndtr(eta))

    log_likelihood = Family.log_likelihood

    def slope(self, eta: Array, y: Array, trials: Array | None) -> tuple[Array, Array]:
        """``y h(eta) - (m - y) h(-eta)`` with ``h = phi / Phi``, and the same of ``-h'(x) = h(x) (x + h(x))``."""
        m = 1.0 if trials is None else trials
        (up, bent_up), (down, bent_down) = _mills(eta), _mills(-eta)
        return y * up - (m - y) * down, y * bent_up + (m - y) * bent_down

    def start(self, y: Array, trials: Array | None) -> Array:
        """Probit with half a success and half a failure more."""
        return np.asarray(ndtri((y + 0.5) / ((1.0 if trials is None else trials) + 1.0)))


def _mills(x: Array) -> tuple[Array, Array]:
    """``h = phi / Phi`` and ``h (x + h)``, whose sum cancels far below: there its series in 1 / x^2."""
    h = np.sqrt(2.0 / np.pi) / erfcx(-x / np.sqrt(2.0))
    far = np.square(np.minimum(x, -200.0))
    return h, np.where(x < -200.0, 1.0 - 1.0 / far + 6.0 / far**2, h * (x + h))


@dataclass(frozen=True)
class Student(Family):
    """Numbers with Student-t noise around eta, for targets with outliers; sigma is its scale, lambda = sigma^2 / tau^2.

    Its density is not log-concave: it is sampled, the scales beside it (:mod:`bayesridge.outcomes.gibbs`).

    Attributes
    ----------
    df : float, optional
        Degrees of freedom; None learns them under Gamma(2, 0.1) (Juarez & Steel 2010), mean 20.
    """

    df: Any = 4.0
    scale: Any = 1.0

    name: ClassVar[str] = "student"
    text: ClassVar[str] = "numbers with Student-t noise"
    ratio: ClassVar[str | None] = None
    unit: ClassVar[float] = 1.0
    whole: ClassVar[bool] = False
    one_mode: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.df is not None and not (np.asarray(self.df) > 0).all():
            raise PriorError(f"degrees of freedom must be positive, or None to learn them; got {self.df}")

    @property
    def noise(self) -> float:
        """Sigma."""
        return float(self.scale)

    @property
    def in_words(self) -> str:
        """With what is known of the degrees of freedom."""
        return "Student-t, degrees of freedom " + ("Gamma(2, 0.1)" if self.df is None else f"{np.max(self.df):g}")

    def given(self, value: Array | float | None) -> Self:
        """Return the family at values of its scale and degrees of freedom, stacked."""
        return self if value is None else replace(self, scale=np.asarray(value)[0], df=np.asarray(value)[1])

    def picked(self, shape: tuple[int, ...], index: Any) -> Self:
        """Return it at some of the draws and rows."""
        return self.given(np.stack([np.broadcast_to(one, shape)[index] for one in (self.scale, self.df)]))

    def log_prior(self, log_value: Array) -> Array:
        """Gamma(2, 0.1) of the degrees of freedom."""
        return np.asarray(2.0 * log_value - 0.1 * np.exp(log_value) + 2.0 * np.log(0.1))

    def log_density(self, eta: Array, y: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """Student's."""
        df = np.asarray(self.df)
        constant = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * np.log(df * np.pi) - np.log(self.scale)
        return np.asarray(constant - 0.5 * (df + 1.0) * np.log1p(np.square((y - eta) / self.scale) / df))

    def slope(self, eta: Array, y: Array, trials: Array | None) -> tuple[Array, Array]:  # noqa: ARG002
        """``w e / sigma^2`` with ``w = (df + 1) / (df + (e / sigma)^2)``, and the curvature where w stays as it is."""
        e, df = y - eta, np.asarray(self.df)
        w = (df + 1.0) / (df + np.square(e / self.scale)) / np.square(self.scale)
        return w * e, w

    def mean(self, eta: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """Eta (the median; the mean exists for more than one degree of freedom)."""
        return eta

    def variance(self, eta: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """``sigma^2 df / (df - 2)``, infinite up to two degrees of freedom."""
        df = np.asarray(self.df)
        factor = np.where(df > 2.0, df / np.where(df > 2.0, df - 2.0, 1.0), np.inf)
        return np.asarray(np.square(self.scale) * factor + 0.0 * eta)

    def cdf(self, y: Array, eta: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """Student's."""
        return np.asarray(stdtr(self.df, (y - eta) / self.scale))

    def simulate(self, eta: Array, trials: Array | None, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Draw from it."""
        return np.asarray(eta + self.scale * rng.standard_t(np.broadcast_to(self.df, np.shape(eta))))

    def start(self, y: Array, trials: Array | None) -> Array:  # noqa: ARG002
        """The number itself."""
        return y

    def endless(self, y: Array, trials: Array | None) -> NDArray[np.intp]:  # noqa: ARG002
        """None is."""
        return np.zeros(y.shape, dtype=np.intp)

    def wrong(self, y: Array, trials: Array | None) -> tuple[NDArray[np.bool_], str]:  # noqa: ARG002
        """None is: missing and infinite ones were refused before."""
        return np.zeros(y.shape, dtype=np.bool_), "any number"


#: All families beside the Gaussian, by the name that `family=` takes.
FAMILIES: dict[str, Family] = {
    one.name: one for one in (Poisson(), NegativeBinomial(), Binomial(), Probit(), Student())
}


def family_of(given: str | Family) -> Family:
    """Return the family of this name (with settings, as ``"negative-binomial, dispersion=0.5"``), or the family."""
    if isinstance(given, Family):
        return given
    name, *settings = str(given).split(", ")
    try:
        if settings:
            pairs = [one.split("=") for one in settings]
            return replace(FAMILIES[name], **{key: None if value == "None" else float(value) for key, value in pairs})  # type: ignore[type-var]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"family {given!r} has settings that it does not take") from error
    if given not in FAMILIES:
        raise DataError(f"family must be 'gaussian', {', '.join(map(repr, FAMILIES))}; got {given!r}")
    return FAMILIES[given]
