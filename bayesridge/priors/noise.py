"""Priors of sigma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import gammaln

from bayesridge.priors.scale import (
    Array,
    Conjugate,
    NamedPrior,
    Variable,
)


@dataclass(frozen=True)
class Jeffreys(NamedPrior):
    """``p(sigma^2) = 1 / sigma^2``, improper: the default. Marginal likelihoods carry its arbitrary constant 1."""

    words: ClassVar[str] = "p(sigma²) = 1/sigma²"
    proper: ClassVar[bool] = False

    variable: ClassVar[Variable] = "sigma"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of log sigma: ``d sigma^2 / sigma^2 = 2 d log sigma``."""
        return np.full_like(log_x, np.log(2.0))

    @property
    def conjugate(self) -> Conjugate:
        """The limit of inverse-gamma priors, with constant 1."""
        return Conjugate(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class InverseGamma(NamedPrior):
    """Inverse-gamma prior on sigma^2.

    Parameters
    ----------
    shape, scale : float
        ``1/sigma^2 ~ Gamma(shape, rate=scale)``; `scale` is in squared units of y.
    """

    shape: float
    scale: float

    words: ClassVar[str] = "inverse-gamma({shape:g}, {scale:g}) on sigma²"
    variable: ClassVar[Variable] = "sigma"

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """Log density of the log of its root."""
        constant = np.log(2.0) + self.shape * np.log(self.scale) - gammaln(self.shape)
        return np.asarray(constant - 2.0 * self.shape * log_x - self.scale * np.exp(np.minimum(-2.0 * log_x, 700.0)))

    @property
    def conjugate(self) -> Conjugate:
        """Itself."""
        return Conjugate(self.shape, self.scale, float(self.shape * np.log(self.scale) - gammaln(self.shape)))


@dataclass(frozen=True)
class TauGamma(InverseGamma):
    """The tau of :class:`GammaPrecisions`."""

    words: ClassVar[str] = "inverse-gamma({shape:g}, {scale:g}) on tau²"
    variable: ClassVar[Variable] = "tau"


@dataclass(frozen=True)
class FixedSigma(NamedPrior):
    """Noise standard deviation known.

    Parameters
    ----------
    sigma : float
        In units of y.
    """

    sigma: float

    words: ClassVar[str] = "sigma fixed at {sigma:g}"
    variable: ClassVar[Variable] = "sigma"

    @property
    def known(self) -> float:
        """Sigma."""
        return self.sigma
