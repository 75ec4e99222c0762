"""A prior: the density of the logarithm of one scale, or its value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, PriorError

Array = NDArray[np.float64]
Density = Callable[[Array], Array]
Variable = Literal["lambda", "tau", "sigma"]


def positive(**values: float) -> None:
    """Refuse numbers that are not positive, by their names."""
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
    #: Whether its density rises, then falls: a mode that is the only one is found however narrow it is.
    one_mode: ClassVar[bool] = True
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

    def power(self, power: float) -> Any:  # noqa: ARG002
        """Return the prior whose density, in its own variable, is that of this one to a power (not normalised)."""
        raise DataError(f"the prior {self.text} cannot be raised to a power here: use one on lambda or R²")

    def explained(self, level: float) -> tuple[float, float] | None:  # noqa: ARG002
        """Equal-tailed interval of the prior's R^2, where it is a prior of R^2."""
        return None


class NamedPrior(ScalePrior):
    """A prior of positive parameters, which its words name."""

    words: ClassVar[str]

    def __post_init__(self) -> None:
        positive(**vars(self))

    @property
    def text(self) -> str:
        """One line for reports."""
        return self.words.format(**vars(self))


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


def own_power(log_density: Density, power: float) -> Density:
    """Density of x, to a power, from that of log x."""
    return lambda x: power * (log_density(np.log(x)) - np.log(x))


def log_share(log_lam: Array, signal: float) -> Array:
    """Log of W = signal / lambda."""
    return np.asarray(np.log(signal if signal > 0 else 1.0) - log_lam)
