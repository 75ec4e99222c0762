"""The likelihood of (lambda, sigma) with the coefficients integrated out, and densities of sigma given lambda."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesridge.linalg.filters import penalized_rss
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The likelihood of (lambda, sigma), coefficients and flat directions integrated out."""

    spectrum: Spectrum

    @cached_property
    def constant(self) -> float:
        """Terms free of lambda and sigma."""
        s = self.spectrum
        return float(-0.5 * s.nu * np.log(2.0 * np.pi) - 0.5 * s.log_det_flat + 0.5 * s.sum_log_weights)

    def terms(self, log_lam: Array) -> tuple[Array, Array]:
        """Return ``-1/2 sum log(1 + s^2/lambda)`` and Q at each log lambda."""
        s = self.spectrum
        if s.rank == 0:
            return np.zeros(log_lam.shape), np.full(log_lam.shape, s.r0)
        if s.rank * log_lam.size <= 1 << 18:
            with np.errstate(over="ignore"):  # lambda below 1e-308 is zero
                ratio = np.multiply.outer(np.exp(-log_lam), s.s2)
            log_det = np.log1p(ratio).sum(axis=-1)
            ratio += 1.0
            return -0.5 * log_det, s.r0 + np.reciprocal(ratio, out=ratio) @ s.z2
        parts = np.array_split(log_lam.ravel(), -(-s.rank * log_lam.size // (1 << 18)))
        both = [self.terms(part) for part in parts if part.size]
        return (
            np.concatenate([log_det for log_det, _ in both]).reshape(log_lam.shape),
            np.concatenate([Q for _, Q in both]).reshape(log_lam.shape),
        )

    def penalized_rss(self, log_lam: Array) -> Array:
        """Q alone, for many values of log lambda (of shape (n,)): half the work of :meth:`terms`."""
        s = self.spectrum
        parts = np.array_split(log_lam, max(1, -(-s.rank * len(log_lam) // (1 << 15))))  # that stay in the cache
        return np.concatenate([penalized_rss(s, np.exp(part)) for part in parts])

    def scan(self) -> Array:
        """Points in log lambda that see every feature of the likelihood: sigmoids one unit wide at log s^2."""
        s = self.spectrum
        if s.rank == 0:
            low = high = 0.0
        else:
            low, high = float(np.log(s.s2[-1])), float(np.log(s.s2[0]))
            if s.r0 > 0:
                low = min(low, float(np.log(s.r0) - np.log((s.z2 / s.s2).sum() + 1e-290)))
        low, high = low - 5.0, high + 5.0
        count = int(2.0 * (high - low)) + 1
        core = np.arange(count) * ((high - low) / (count - 1)) + low
        return np.concatenate([low - _TAIL[::-1], core, high + _TAIL])


_TAIL = np.array([1.5, 4.0, 8.0, 14.0, 24.0, 38.0, 56.0, 80.0])


def known_noise_evidence(data: Likelihood, log_det: Array, Q: Array, log_sigma: Array) -> Array:
    """Log p(y | lambda, sigma) from the terms at lambda."""
    with np.errstate(over="ignore"):
        return data.constant + log_det - data.spectrum.nu * log_sigma - 0.5 * Q * np.exp(-2.0 * log_sigma)


def log_density_of_log_sigma(log_sigma: Array, shape: float, rate: Array) -> Array:
    """Log density of log sigma when ``sigma^2 ~ InvGamma(shape, rate)``."""
    with np.errstate(over="ignore"):
        return np.asarray(
            np.log(2.0)
            + shape * np.log(rate)
            - gammaln(shape)
            - 2.0 * shape * log_sigma
            - rate * np.exp(-2.0 * log_sigma)
        )


def log_sigma_range(shape: float) -> tuple[float, float]:
    """Where log sigma, less ``log(rate/shape)/2``, has all its mass but exp(-44)."""
    # -log density above its minimum: shape (2u + exp(-2u) - 1); solve for 44 on either side
    cut = 44.0 / shape
    low = -0.5 * np.log(2.0 + cut + np.sqrt(2.0 * cut) + np.log1p(cut))
    return float(min(low, -0.5 * np.sqrt(2.0 * cut) / (1.0 + cut))), float(0.5 * (cut + np.sqrt(2.0 * cut)) + 1e-6)
