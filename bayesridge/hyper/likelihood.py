"""The likelihood of (lambda, sigma) with the coefficients integrated out, and densities of sigma given lambda.

``log p(y | lambda, sigma)`` is of the order of n, and its rounding would grow with n too. Everything here is therefore
taken relative to the likelihood of a perfect choice of lambda, whose residual sum of squares is the floor: with
``Q = floor + excess`` only ``excess >= 0`` depends on lambda, and ``log(Q / floor) = log1p(excess / floor)`` is right
to its own last digit. What was left out is one number, added to the log marginal likelihood at the very end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesridge.engines.engine import Engine

Array = NDArray[np.float64]

_LARGE_SHAPE = 1e5
_SMALL = 0.02


@dataclass(frozen=True, eq=False)
class NoiseFactor:
    """``-nu log sigma - Q / (2 sigma^2)`` with ``Q = floor + excess``, relative to its maximum at excess 0.

    Attributes
    ----------
    nu, floor : float
    """

    nu: float
    floor: float

    @cached_property
    def _peak(self) -> float:
        return 0.5 * float(np.log(self.floor / self.nu)) if self.floor > 0 else 0.0

    @property
    def constant(self) -> float:
        """What it is relative to: its value at the maximum, 0 where the floor is."""
        return -self.nu * (self._peak + 0.5) if self.floor > 0 else 0.0

    def log_factor(self, excess: Array | float, log_sigma: Array) -> Array:
        """Value at each excess and log sigma."""
        with np.errstate(over="ignore", invalid="ignore"):
            above = -0.5 * excess * np.exp(-2.0 * log_sigma)
            if self.floor > 0:
                return np.asarray(above - 0.5 * self.nu * _bend(2.0 * (log_sigma - self._peak), self.nu))
            return np.asarray(above - self.nu * log_sigma)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The evidence of an engine with one lambda, as a function of log lambda (of any shape) and log sigma."""

    engine: Engine

    @property
    def constant(self) -> float:
        """Terms free of lambda and sigma."""
        return self.engine.constant

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.engine.nu

    @property
    def floor(self) -> float:
        """The least value of Q."""
        return self.engine.floor

    @property
    def signal(self) -> float:
        """What a prior of R^2 is measured by."""
        return self.engine.signals[0]

    def terms(self, log_lam: Array) -> tuple[Array, Array]:
        """``log_norm`` and ``excess`` at each log lambda."""
        log_norm, excess = self.engine.evidence(log_lam.reshape(-1, 1))
        return log_norm.reshape(log_lam.shape), excess.reshape(log_lam.shape)

    def at(self, log_lam: float) -> tuple[float, float, float]:
        """Residual degrees of freedom, Q, and the log of the constant at one log lambda, which may be infinite."""
        log_norm, excess = self.engine.evidence(np.array([[log_lam]]))
        return self.nu, self.floor + float(excess[0]), self.constant + float(log_norm[0])

    def excess(self, log_lam: Array) -> Array:
        """``excess`` alone, for many values of log lambda (of shape (n,))."""
        return self.engine.excess(log_lam[:, None])

    @cached_property
    def noise(self) -> NoiseFactor:
        """How the likelihood depends on sigma."""
        return NoiseFactor(self.nu, self.floor)

    def scan(self) -> Array:
        """Points in log lambda that see every feature of the likelihood."""
        return self.engine.region()[:, 0]


def log_growth(floor: float, excess: Array) -> Array:
    """Return ``log((floor + excess) / floor)``, or ``log(excess)`` where the floor is zero."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.log1p(excess / floor) if floor > 0 else np.log(excess)


def log_density_of_log_sigma(log_sigma: Array, shape: float, rate: Array) -> Array:
    """Log density of log sigma when ``sigma^2 ~ InvGamma(shape, rate)``."""
    with np.errstate(over="ignore"):
        y = 2.0 * log_sigma - np.log(rate / shape)
        return np.asarray(_log_peak(shape) - shape * _bend(y, shape))


def _log_peak(shape: float) -> float:
    """Log density at its mode, ``log 2 + shape log(shape) - shape - log Gamma(shape)``."""
    if shape < _LARGE_SHAPE:
        return float(np.log(2.0) + shape * np.log(shape) - shape - gammaln(shape))
    return float(np.log(2.0) + 0.5 * np.log(shape / (2.0 * np.pi)) - 1.0 / (12.0 * shape))


def _bend(y: Array, factor: float) -> Array:
    """Return ``exp(-y) - 1 + y``; its rounding times `factor` matters where that is large and y small."""
    value = np.expm1(-y) + y
    if factor < _LARGE_SHAPE:
        return np.asarray(value)
    series = 0.5 * y * y * (1.0 - y / 3.0 * (1.0 - y / 4.0 * (1.0 - y / 5.0 * (1.0 - y / 6.0 * (1.0 - y / 7.0)))))
    return np.where(np.abs(y) < _SMALL, series, value)


def log_sigma_range(shape: float) -> tuple[float, float]:
    """Where log sigma, less ``log(rate/shape)/2``, has all its mass but exp(-44)."""
    # -log density above its minimum is shape (exp(-2u) - 1 + 2u): 44 on either side; for w = -2u > 0 it is at least
    # shape w^2 / 2, so w <= root, and then exp(w) = 1 + cut + w <= 1 + cut + root
    cut = 44.0 / shape
    root = float(np.sqrt(2.0 * cut))
    return -0.5 * min(float(np.log1p(cut + root)), root), 0.5 * (cut + root)
