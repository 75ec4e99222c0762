"""The sums that criteria for lambda are made of, with their derivatives in log lambda."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.linalg.shares import kept_at, log_growth_at, shrunk_at
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpectralTerms:
    """Filter factors and their sums at K values of lambda, with derivatives in ``t = log(lambda)``.

    ``df_j/dt = -f_j g_j`` with ``g_j = 1 - f_j``, hence the derivatives below. Build with :func:`spectral_terms`.

    Attributes
    ----------
    spectrum : Spectrum
    log_lam : ndarray of shape (K,)
    """

    spectrum: Spectrum
    log_lam: Array

    @cached_property
    def f(self) -> Array:
        """Filter factors ``s^2 / (s^2 + lambda)``, shape (K, rank)."""
        return kept_at(self.spectrum.s2, self.log_lam[:, None])

    @cached_property
    def g(self) -> Array:
        """``1 - f = lambda / (s^2 + lambda)``, without cancellation, shape (K, rank)."""
        return shrunk_at(self.spectrum.s2, self.log_lam[:, None])

    @cached_property
    def fg(self) -> Array:
        """``f (1 - f)``, shape (K, rank)."""
        return self.f * self.g

    @cached_property
    def log_det(self) -> Array:
        """``sum log(1 + s^2 / lambda)``."""
        return np.asarray(log_growth_at(self.spectrum.s2, self.log_lam[:, None]).sum(axis=1))

    @cached_property
    def dof(self) -> Array:
        """Effective degrees of freedom of the penalised columns (flat directions not counted)."""
        return np.asarray(self.f.sum(axis=1))

    @cached_property
    def residual_dof(self) -> Array:
        """``nu - dof = (nu - rank) + sum g``: the trace of what maps y to residuals."""
        return np.asarray((self.spectrum.nu - self.spectrum.rank) + self.g.sum(axis=1))

    @cached_property
    def dof_fall(self) -> Array:
        """``sum f g``: minus the derivative of the effective dof."""
        return np.asarray(self.fg.sum(axis=1))

    @cached_property
    def rss(self) -> Array:
        """Residual sum of squares ``r0 + sum z^2 g^2``."""
        return self.spectrum.r0 + self.of_target(self.g * self.g)

    @cached_property
    def rss_slope(self) -> Array:
        """Derivative of the residual sum of squares, ``2 sum z^2 f g^2``."""
        return 2.0 * self.of_target(self.fg * self.g)

    @cached_property
    def penalized_rss(self) -> Array:
        """``Q = r0 + sum z^2 g``."""
        return self.spectrum.r0 + self.of_target(self.g)

    @cached_property
    def penalized_rss_slope(self) -> Array:
        """Derivative of Q, ``sum z^2 f g``."""
        return self.of_target(self.fg)

    @cached_property
    def trace(self) -> Array:
        """``sum 1 / (s^2 + lambda)``."""
        return np.asarray((self.f / self.spectrum.s2).sum(axis=1))

    @cached_property
    def squared_norm(self) -> Array:
        """``|beta|^2 = sum (z / s)^2 f^2``, beta the standardised coefficients."""
        return self.of_coefficients(self.f * self.f)

    def of_target(self, values: Array) -> Array:
        """``sum z^2 v`` of values v (K, rank)."""
        return np.asarray(values @ self.spectrum.z2)

    def of_coefficients(self, values: Array) -> Array:
        """``sum (z / s)^2 v`` of values v (K, rank): z / s are the least-squares coefficients along the directions."""
        return np.asarray(values @ (self.spectrum.z2 / self.spectrum.s2))


def spectral_terms(spectrum: Spectrum, log_lam: ArrayLike) -> SpectralTerms:
    """Prepare the sums at each log lambda (finite: the limits are taken far out)."""
    return SpectralTerms(spectrum, np.atleast_1d(np.asarray(log_lam, dtype=np.float64)))
