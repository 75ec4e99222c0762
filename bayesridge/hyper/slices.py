"""The marginal of one of several lambdas, and of its tau: densities from sums over slices of a lattice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.special import digamma, logsumexp, polygamma

from bayesridge.errors import DataError
from bayesridge.hyper.likelihood import log_density_of_log_sigma
from bayesridge.hyper.line import FineGrid, tau_from_joint
from bayesridge.hyper.marginal import Marginal, marginal

Array = NDArray[np.float64]

SPLINE_ERROR = 1e-7
_NEARLY_NORMAL = 1_000.0  # shapes of sigma^2: log sigma has a skewness of -0.03 and less


@dataclass(frozen=True, eq=False)
class Slices:
    """The density of one log lambda at equal steps, and log sigma there: its mean, and its average variance."""

    x: Array
    log_p: Array
    log_sigma: Array
    variance: float

    @cached_property
    def log_density(self) -> Callable[[Array], Array]:
        """A spline of the logarithm, straight beyond its ends, normalised."""
        spline = make_interp_spline(self.x, self.log_p, k=5)
        return partial(_straight_beyond, spline, self.x[0], self.x[-1])

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Where the density has all its mass."""
        low, high = self.x[[0, -1]]
        slopes = np.abs(np.diff(self.log_density(np.array([low - 1.0, low, high, high + 1.0]))))[[0, 2]]
        reach = 24.0 / np.maximum(slopes, 0.05)
        return float(low - reach[0]), float(high + reach[1])

    def lambda_marginal(self, name: str) -> Marginal:
        """Distribution of lambda."""
        return marginal(name, self.log_density, *self.ends, rounding=SPLINE_ERROR)

    def tau_marginal(self, name: str, sigma_range: tuple[float, float]) -> Marginal:
        """Distribution of ``tau = sigma / sqrt(lambda)``: sigma^2 inverse-gamma given lambda, by its two moments."""
        low, high = self.ends
        if not np.isfinite([low, high, self.variance]).all():
            raise DataError(f"{name} has no distribution here: nothing but rounding is left of the target as noise")
        if self.variance == 0.0:
            v = float(self.log_sigma[0])
            return marginal(
                name, lambda x: self.log_density(2.0 * (v - x)) + np.log(2.0), v - 0.5 * high, v - 0.5 * low,
                rounding=SPLINE_ERROR,
            )  # fmt: skip
        shape = _shape_of(4.0 * self.variance)
        if shape > _NEARLY_NORMAL:
            return self._tau_of_narrow_sigma(name)
        # steps of 0.7 widths of the bell of sigma in log lambda, as for one lambda
        grid = np.linspace(low, high, int((high - low) * np.sqrt(shape + 10.0) / 0.7) + 200)
        rate = np.exp(2.0 * self._centre(grid) + float(digamma(shape)))
        log_p = self.log_density(grid)

        def log_joint(v: Array, part: slice) -> Array:
            return log_p[part] + log_density_of_log_sigma(v, shape, rate[part])

        fine = FineGrid(grid, np.full(len(grid), np.log(grid[1] - grid[0])))
        return tau_from_joint(fine, log_joint, sigma_range, SPLINE_ERROR, name)

    def _centre(self, x: Array) -> Array:
        """Mean of log sigma at log lambda = x."""
        return np.asarray(make_interp_spline(self.x, self.log_sigma, k=3)(np.clip(x, self.x[0], self.x[-1])))

    def _tau_of_narrow_sigma(self, name: str) -> Marginal:
        """Distribution of tau where log sigma is normal to a few per cent of its own, small, standard deviation.

        ``log tau = w(x) + sd u`` with ``w = centre(x) - x / 2`` falling and u standard normal: its density is the mean
        over u of that of w, by Hermite's rule.
        """
        x = np.linspace(*self.ends, 4_001)
        w = self._centre(x) - 0.5 * x
        if not (np.diff(w) < 0).all():
            raise DataError(f"{name} has no distribution by itself here: sigma grows as fast as the root of lambda")
        back = make_interp_spline(w[::-1], x[::-1], k=3)
        u, share = hermegauss(31)
        u, log_share = u * np.sqrt(self.variance), np.log(share / share.sum())

        def log_density(t: Array) -> Array:
            at = t[:, None] - u
            inside = np.clip(at, w[-1], w[0])
            slope = back(inside, 1)  # beyond the ends w is straight: a density that stayed there would have no mean
            value = self.log_density(back(inside) + (at - inside) * slope) + np.log(np.abs(slope))
            return np.asarray(logsumexp(log_share + value, axis=1))

        return marginal(name, log_density, float(w[-1] - u[-1]), float(w[0] + u[-1]), rounding=SPLINE_ERROR)


def _straight_beyond(spline: Callable[..., Array], low: float, high: float, x: Array) -> Array:
    inside = np.clip(x, low, high)
    ends = np.array([low, high])
    slopes = spline(ends, 1)
    return np.asarray(spline(inside) + np.where(x < low, (x - low) * slopes[0], (x - high) * slopes[1] * (x > high)))


def _shape_of(variance: float) -> float:
    """Shape a of a gamma variable whose logarithm has this variance: trigamma(a) = variance, by Newton's steps."""
    a = 0.5 + 1.0 / variance
    for _ in range(30):
        step = (float(polygamma(1, a)) - variance) / float(polygamma(2, a))
        a = max(a - step, 0.1 * a)
        if abs(step) < 1e-12 * a:
            break
    return a
