"""Posteriors with one node: lambda known, or plugged in, and sigma either integrated or known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesridge.hyper.likelihood import Likelihood, log_density_of_log_sigma, log_sigma_range
from bayesridge.hyper.marginal import Marginal, PointMass, marginal
from bayesridge.hyper.nodes import ConjugateNoise, HyperPosterior, KnownNoise, Nodes, OneLambda
from bayesridge.priors import Conjugate

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ConjugatePoint(OneLambda):
    """Lambda known (or plugged in), sigma integrated: one Student-t node."""

    log_lam: float
    shape: float
    rate: float
    log_marginal: float
    error: float = 0.0

    @cached_property
    def nodes(self) -> Nodes:
        """One node."""
        return Nodes(np.array([[self.log_lam]]), np.ones(1), ConjugateNoise(self.shape, np.array([self.rate])))

    def finer(self) -> HyperPosterior:
        """Itself."""
        return self

    def lambda_marginal(self) -> PointMass:
        """A point."""
        return PointMass("lambda", float(np.exp(self.log_lam)))

    def sigma_marginal(self) -> Marginal:
        """Square root of an inverse-gamma variable."""
        return self._scale_marginal("sigma", 0.0)

    def tau_marginal(self) -> Marginal | PointMass:
        """``sigma / sqrt(lambda)``."""
        if np.isneginf(self.log_lam) or np.isposinf(self.log_lam):
            return PointMass("tau", np.inf if self.log_lam < 0 else 0.0)
        return self._scale_marginal("tau", 0.5 * self.log_lam)

    def _scale_marginal(self, name: str, shift: float) -> Marginal:
        def log_density(x: Array) -> Array:
            return log_density_of_log_sigma(x + shift, self.shape, np.array(self.rate))

        centre = 0.5 * np.log(self.rate / self.shape) - shift
        low, high = log_sigma_range(self.shape)
        return marginal(name, log_density, centre + low, centre + high)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, sigma)."""
        sigma2 = self.rate / rng.standard_gamma(self.shape, n)
        return np.full(n, np.exp(self.log_lam)), np.sqrt(sigma2)


@dataclass(frozen=True, eq=False)
class KnownPoint(OneLambda):
    """Lambda and sigma known: one Gaussian node."""

    log_lam: float
    log_sigma: float
    log_marginal: float
    error: float = 0.0

    @cached_property
    def nodes(self) -> Nodes:
        """One node."""
        return Nodes(np.array([[self.log_lam]]), np.ones(1), KnownNoise(np.array([[self.log_sigma]]), np.ones((1, 1))))

    def finer(self) -> HyperPosterior:
        """Itself."""
        return self

    def lambda_marginal(self) -> PointMass:
        """A point."""
        return PointMass("lambda", float(np.exp(self.log_lam)))

    def sigma_marginal(self) -> PointMass:
        """A point."""
        return PointMass("sigma", float(np.exp(self.log_sigma)))

    def tau_marginal(self) -> PointMass:
        """A point."""
        return PointMass("tau", float(np.exp(self.log_sigma - 0.5 * self.log_lam)))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:  # noqa: ARG002
        """The known values, n times."""
        return np.full(n, np.exp(self.log_lam)), np.full(n, np.exp(self.log_sigma))


def known_point(log_lam: float, log_sigma: float, nu: float, Q: float, log_norm: float) -> KnownPoint:
    """The evidence at one lambda and sigma, given the residual degrees of freedom and Q there."""
    return KnownPoint(log_lam, log_sigma, float(log_norm - nu * log_sigma - 0.5 * Q * np.exp(-2.0 * log_sigma)))


def conjugate_point(log_lam: float, nu: float, Q: float, log_norm: float, noise: Conjugate) -> ConjugatePoint:
    """Integrate sigma^2 at one lambda, given the residual degrees of freedom and Q there."""
    a0, b0, log_prior_norm = noise
    shape, rate = 0.5 * nu + a0, 0.5 * Q + b0
    value = log_norm + log_prior_norm + gammaln(shape) - shape * np.log(rate)
    return ConjugatePoint(log_lam, shape, rate, float(value))


def plug_in(data: Likelihood, log_lam: float, noise: Conjugate) -> ConjugatePoint:
    """Treat a lambda found from the data as known (empirical Bayes); ``log_lam`` may be infinite: no signal at all."""
    return conjugate_point(log_lam, *data.at(log_lam), noise)
