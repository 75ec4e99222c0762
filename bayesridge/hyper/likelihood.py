"""The likelihood of (lambda, sigma) with the coefficients integrated out, and densities of sigma given lambda.

``log p(y | lambda, sigma)`` is of the order of n, and its rounding would grow with n too. Everything here is therefore
taken relative to the likelihood of a perfect choice of lambda, whose residual sum of squares is r0: with
``Q = r0 + excess`` only ``excess >= 0`` depends on lambda, and ``log(Q / r0) = log1p(excess / r0)`` is right to its own
last digit. What was left out is one number, added to the log marginal likelihood at the very end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesridge.linalg.filters import shrinkage
from bayesridge.linalg.spectrum import Spectrum

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
    """The likelihood of (lambda, sigma), coefficients and flat directions integrated out."""

    spectrum: Spectrum

    @cached_property
    def constant(self) -> float:
        """Terms free of lambda and sigma."""
        s = self.spectrum
        return float(-0.5 * s.nu * np.log(2.0 * np.pi) - 0.5 * s.log_det_flat + 0.5 * s.sum_log_weights)

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.spectrum.nu

    @property
    def floor(self) -> float:
        """The least value of Q, r0."""
        return self.spectrum.r0

    def terms(self, log_lam: Array) -> tuple[Array, Array]:
        """Return ``-1/2 sum log(1 + s^2/lambda)`` and ``Q - r0`` at each log lambda."""
        s = self.spectrum
        if s.rank == 0:
            return np.zeros(log_lam.shape), np.zeros(log_lam.shape)
        if s.rank * log_lam.size <= 1 << 18:
            with np.errstate(over="ignore"):  # lambda below 1e-308 is zero
                ratio = np.multiply.outer(np.exp(-log_lam), s.s2)
            log_det = np.log1p(ratio).sum(axis=-1)
            ratio += 1.0
            return -0.5 * log_det, np.reciprocal(ratio, out=ratio) @ s.z2
        parts = np.array_split(log_lam.ravel(), -(-s.rank * log_lam.size // (1 << 18)))
        both = [self.terms(part) for part in parts if part.size]
        return (
            np.concatenate([log_det for log_det, _ in both]).reshape(log_lam.shape),
            np.concatenate([excess for _, excess in both]).reshape(log_lam.shape),
        )

    def excess(self, log_lam: Array) -> Array:
        """``Q - r0`` alone, for many values of log lambda (of shape (n,)): half the work of :meth:`terms`."""
        s = self.spectrum
        parts = np.array_split(log_lam, max(1, -(-s.rank * len(log_lam) // (1 << 15))))  # that stay in the cache
        return np.concatenate([shrinkage(s, np.exp(part)) @ s.z2 for part in parts])

    @cached_property
    def noise(self) -> NoiseFactor:
        """How the likelihood depends on sigma."""
        return NoiseFactor(self.nu, self.floor)

    def scan(self) -> Array:
        """Points in log lambda that see every feature of the likelihood: sigmoids one unit wide at log s^2."""
        s = self.spectrum
        if s.rank == 0:
            low = high = 0.0
        else:
            low, high = float(np.log(s.s2[-1])), float(np.log(s.s2[0]))
            if s.r0 > 0:
                # rank r0/nu / |beta|^2 (Hoerl, Kennard & Baldwin 1975): where much data put lambda
                low = min(low, float(np.log(s.r0 * s.rank / s.nu) - np.log((s.z2 / s.s2).sum() + 1e-290)))
        low, high = low - 5.0, high + 5.0
        count = int(2.0 * (high - low)) + 1
        core = np.arange(count) * ((high - low) / (count - 1)) + low
        return np.concatenate([low - _TAIL[::-1], core, high + _TAIL])


_TAIL = np.array([1.5, 4.0, 8.0, 14.0, 24.0, 38.0, 56.0, 80.0])


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
