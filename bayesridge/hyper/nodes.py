"""Hyperparameter nodes: a posterior is a finite mixture over them, each a conditional Gaussian or Student-t."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.marginal import Marginal, PointMass, Scalar

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ConjugateNoise:
    """``sigma^2 | node k ~ InvGamma(shape, rate_k)``: given the node, coefficients are Student-t with 2 shape df."""

    shape: float
    rate: Array

    @property
    def df(self) -> float:
        """Degrees of freedom of the Student-t."""
        return 2.0 * self.shape

    def mean_variance(self) -> Array:
        """E[sigma^2 | node]: infinite for shape <= 1."""
        if self.shape <= 1.0:
            return np.full(self.rate.shape, np.inf)
        return np.asarray(self.rate / (self.shape - 1.0))

    def squared_scale(self) -> Array:
        """Squared scale of the Student-t, to be multiplied by a variance coefficient: shape (K, 1)."""
        return np.asarray(self.rate / self.shape)[:, None]

    def share(self) -> Array:
        """Weights within a node, shape (K, 1)."""
        return np.ones((len(self.rate), 1))


@dataclass(frozen=True, eq=False)
class KnownNoise:
    """``sigma | node k`` takes values exp(log_sigma[k, j]) with weights that sum to one over j."""

    log_sigma: Array
    weight: Array

    @property
    def df(self) -> float:
        """Infinite: given sigma the coefficients are Gaussian."""
        return np.inf

    def mean_variance(self) -> Array:
        """E[sigma^2 | node]."""
        return np.asarray((np.exp(2.0 * self.log_sigma) * self.weight).sum(axis=1))

    def squared_scale(self) -> Array:
        """Variances, shape (K, J)."""
        return np.exp(2.0 * self.log_sigma)

    def share(self) -> Array:
        """Weights within a node, shape (K, J)."""
        return self.weight


@dataclass(frozen=True, eq=False)
class Nodes:
    """A finite mixture over the hyperparameters.

    Attributes
    ----------
    theta : ndarray of shape (K, h)
        Hyperparameters: log lambda (increasing, where there is one), or one for each penalty.
    weight : ndarray of shape (K,)
        Posterior probability of each node, summing to one.
    noise : ConjugateNoise or KnownNoise
    replicates : int
        Independent parts of equal length, one after the other, where nodes were sampled.
    fewer : callable or None
        Where nodes lie on a line: the same posterior in as many nodes as asked for (a Gauss rule), for expectations of
        functions that are smooth along it.
    """

    theta: Array
    weight: Array
    noise: ConjugateNoise | KnownNoise
    replicates: int = 1
    fewer: Callable[[int], Nodes] | None = None
    _rules: dict[int, Nodes] = field(default_factory=dict, repr=False)

    def rule(self, count: int) -> Nodes:
        """The same posterior in fewer nodes, made once: every quantity asks for it."""
        if count not in self._rules:
            assert self.fewer is not None
            self._rules[count] = self.fewer(count)
        return self._rules[count]

    @property
    def log_lam(self) -> Array:
        """The first hyperparameter at the nodes, (K,): log lambda where there is one penalty."""
        return self.theta[:, 0]

    @cached_property
    def lam(self) -> Array:
        """Lambda at the nodes."""
        return np.exp(self.log_lam)

    @cached_property
    def noise_variance(self) -> float:
        """E[sigma^2], infinite where it does not exist."""
        variance = self.noise.mean_variance()
        return float(self.weight @ variance) if np.isfinite(variance).all() else np.inf  # a weight may be zero


class OneLambda(ABC):
    """The scales of a posterior with one lambda, by name."""

    @abstractmethod
    def lambda_marginal(self) -> Marginal | PointMass:
        """Distribution of lambda."""

    @abstractmethod
    def sigma_marginal(self) -> Marginal | PointMass:
        """Distribution of the noise standard deviation."""

    @abstractmethod
    def tau_marginal(self) -> Marginal | PointMass:
        """Distribution of the prior standard deviation of the standardised coefficients."""

    @property
    def check(self) -> tuple[str, ...]:
        """Nothing is to be said of numbers that were not sampled."""
        return ()

    def scales(self) -> Mapping[str, Scalar]:
        """Lambda, sigma and tau."""
        return {"lambda": self.lambda_marginal(), "sigma": self.sigma_marginal(), "tau": self.tau_marginal()}


class HyperPosterior(Protocol):
    """The posterior of (lambda, sigma), whatever its shape."""

    @property
    def nodes(self) -> Nodes:
        """The quadrature nodes."""

    @property
    def log_marginal(self) -> float:
        """Log p(y), the prior's normalisation included (improper priors with constant 1)."""

    @property
    def error(self) -> float:
        """Estimated relative error of the quadrature."""

    @property
    def check(self) -> tuple[str, ...]:
        """What to think of it, a sentence each; empty where nothing is to be said."""

    def finer(self) -> HyperPosterior:
        """Return the same posterior on twice the nodes (itself, where there is nothing to refine)."""

    def lambda_marginal(self) -> Marginal | PointMass:
        """Distribution of lambda."""

    def sigma_marginal(self) -> Marginal | PointMass:
        """Distribution of the noise standard deviation."""

    def tau_marginal(self) -> Marginal | PointMass:
        """Distribution of the prior standard deviation of the standardised coefficients."""

    def scales(self) -> Mapping[str, Scalar]:
        """Distributions of all scales by the names that tables give them."""

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, sigma)."""
