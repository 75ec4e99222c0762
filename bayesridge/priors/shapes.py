"""Densities of tau/sigma, tau or sigma, and any that a function gives."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import gammaln

from bayesridge.errors import PriorError
from bayesridge.priors.scale import (
    Array,
    Density,
    NamedPrior,
    ScalePrior,
    Variable,
    log_share,
    own_power,
    positive,
)

Target = Literal["tau/sigma", "tau", "sigma"]


class _HalfDensity(NamedPrior):
    """A density of tau/sigma, tau or sigma, as `on` says."""

    on: Target

    def __post_init__(self) -> None:
        positive(**{name: value for name, value in vars(self).items() if name != "on"})
        check_target(self.on)

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
        return Custom(own_power(self._of_log, power), self.on)


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

    words: ClassVar[str] = "half-t({df:g}, {scale:g}) on {on}"

    def _of_log(self, log_x: Array) -> Array:
        constant = (
            np.log(2.0) + gammaln(0.5 * (self.df + 1.0)) - gammaln(0.5 * self.df)
            - 0.5 * np.log(self.df * np.pi) - np.log(self.scale)
        )  # fmt: skip
        u = log_x - np.log(self.scale)
        # log(1 + e^(2u)/df) without overflow
        return np.asarray(constant - 0.5 * (self.df + 1.0) * np.logaddexp(0.0, 2.0 * u - np.log(self.df)) + log_x)


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

    words: ClassVar[str] = "half-Cauchy({scale:g}) on {on}"

    def _of_log(self, log_x: Array) -> Array:
        u = log_x - np.log(self.scale)
        return np.asarray(np.log(2.0 / np.pi) - np.logaddexp(0.0, 2.0 * u) + u)


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

    words: ClassVar[str] = "half-normal({scale:g}) on {on}"

    def _of_log(self, log_x: Array) -> Array:
        u = log_x - np.log(self.scale)
        return np.asarray(0.5 * np.log(2.0 / np.pi) + u - 0.5 * np.exp(np.minimum(2.0 * u, 700.0)))


def check_target(on: str) -> None:
    """Refuse what is no scale."""
    if on not in ("tau/sigma", "tau", "sigma"):
        raise PriorError(f"on must be 'tau/sigma', 'tau' or 'sigma', got {on!r}")


HalfPrior = HalfT | HalfCauchy | HalfNormal


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
    one_mode: ClassVar[bool] = False

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
        log_w = log_share(log_x, signal)
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
