r"""Simultaneous confidence bands for the ECDF of a uniform sample, and the exact test that goes with them.

Sailynoja, Burkner and Vehtari (2022), Graphical test for discrete uniformity and its applications in goodness-of-fit
evaluation and multiple sample comparison, Statistics and Computing 32:32. At the points z_i = i / K the number of
values below z_i is binomial(n, z_i); the band takes the same pointwise level gamma everywhere,

    [ quantile(gamma / 2), quantile(1 - gamma / 2) ] of that binomial,

and gamma is chosen so that the ECDF stays inside at *all* points with probability 1 - alpha.

That probability is computed exactly. The counts of a uniform sample are those of a Poisson process with rate n,
given that n points fell on [0, 1]; the process has independent increments, so that

    P(inside) = P(Poisson process inside, N(1) = n) / P(N(1) = n)

takes one short convolution for each point (Moscovich and Nadler 2017, Statistics & Probability Letters 123), where the
paper's own recursion needs a matrix of binomial transitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import pdtrik
from scipy.stats import binom, poisson

from bayesridge.errors import DataError

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

#: More points than this change no band that can be seen, and cost time.
MOST_POINTS = 1000
_TAIL = 1e-18


@dataclass(frozen=True, eq=False)
class EcdfBand:
    """Where the ECDF of n uniform values lies, at all points at once, with probability `level` or a little more.

    Attributes
    ----------
    n : int
        Number of values.
    level : float
        Asked for.
    coverage : float
        Exact probability of staying inside (counts are whole numbers, so it exceeds `level` a little).
    gamma : float
        Pointwise tail probability that gives it.
    z : ndarray of shape (K - 1,)
        Evaluation points ``i / K``.
    lower, upper : ndarray of shape (K - 1,)
        Ends of the band for the ECDF (shares, not counts), both inside.
    """

    n: int
    level: float
    coverage: float
    gamma: float
    z: Array
    lower: Array
    upper: Array

    @property
    def half_width(self) -> float:
        """Half the width in the middle: departures of the cdf well below this go unseen."""
        middle = len(self.z) // 2
        return float(0.5 * (self.upper[middle] - self.lower[middle]))


def band_probability(n: int, z: Array, lower: Counts, upper: Counts) -> float:
    """Probability that the counts of a uniform sample stay inside a band.

    Parameters
    ----------
    n : int
        Sample size.
    z : ndarray of shape (k,)
        Increasing points in (0, 1).
    lower, upper : ndarray of int of shape (k,)
        ``lower[i] <= #{u <= z[i]} <= upper[i]``.
    """
    low = np.maximum.accumulate(np.maximum(lower, 0))
    high = np.minimum.accumulate(np.minimum(upper, n)[::-1])[::-1]
    if (low > high).any():
        return 0.0
    steps = n * np.diff(np.concatenate([[0.0], z, [1.0]]))
    kernels = {float(step): _poisson_pmf(float(step)) for step in np.unique(steps)}
    start, mass = 0, np.ones(1)
    for step, a, b in zip(steps, [*low, n], [*high, n], strict=True):
        mass = np.convolve(mass, kernels[float(step)])
        # mass[k] belongs to the count start + k
        first, last = int(a) - start, int(b) - start
        if first >= len(mass):
            return 0.0
        mass = mass[max(first, 0) : last + 1]
        start += max(first, 0)
    return float(np.clip(mass[-1] / poisson.pmf(n, n), 0.0, 1.0)) if start + len(mass) - 1 == n else 0.0


def _poisson_pmf(rate: float) -> Array:
    longest = int(pdtrik(1.0 - 1e-15, rate)) + 2
    while poisson.sf(longest, rate) > _TAIL:
        longest += 1 + longest // 8
    return np.asarray(poisson.pmf(np.arange(longest + 1), rate))


def _points(n: int, points: int | None) -> int:
    if n < 2:
        raise DataError(f"an ECDF band needs at least 2 values, got {n}")
    k = min(n, MOST_POINTS) if points is None else points
    if k < 2:
        raise DataError(f"points must be at least 2, got {k}")
    return k


@lru_cache(maxsize=4096)
def _coverage(n: int, k: int, gamma: float) -> float:
    return band_probability(n, np.arange(1, k) / k, *_counts(n, k, gamma))


def _counts(n: int, k: int, gamma: float) -> tuple[Counts, Counts]:
    z = np.arange(1, k) / k
    lower = _binomial_quantile(0.5 * gamma, n, z)
    upper = n - lower[::-1]  # z and 1 - z mirror each other
    return lower, upper


def _binomial_quantile(q: float, n: int, z: Array) -> Counts:
    """Smallest k with P(binomial(n, z) <= k) >= q, by bisection (scipy's quantile gives up on some tiny q)."""
    low, high = np.full(z.shape, -1, dtype=np.int64), np.full(z.shape, n, dtype=np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = binom.cdf(middle, n, z) >= q
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


@lru_cache(maxsize=256)
def simultaneous_band(n: int, level: float = 0.95, points: int | None = None) -> EcdfBand:
    """Compute the simultaneous band of an ECDF.

    Parameters
    ----------
    n : int
        Sample size.
    level : float
        Probability of staying inside at all points.
    points : int, optional
        K; ``min(n, 1000)`` by default.

    Raises
    ------
    DataError
        If there are fewer than two values or points, or the level is not a probability.
    """
    if not 0.0 < level < 1.0:
        raise DataError(f"level must lie strictly between 0 and 1, got {level}")
    k = _points(n, points)
    # coverage falls as gamma grows: alpha / k is safe (Bonferroni), alpha is too much
    low, high = np.log((1.0 - level) / k), np.log(1.0 - level)
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _coverage(n, k, float(np.exp(middle))) >= level else (low, middle)
        if high - low < 1e-6:
            break
    gamma = float(np.exp(low))
    lower, upper = _counts(n, k, gamma)
    return EcdfBand(n, level, _coverage(n, k, gamma), gamma, np.arange(1, k) / k, lower / n, upper / n)


def ecdf(u: ArrayLike, points: int | None = None) -> Array:
    """ECDF of values in [0, 1] at the points ``i / K`` of :func:`simultaneous_band`."""
    values = _values(u)
    k = _points(len(values), points)
    return np.searchsorted(values, np.arange(1, k) / k, side="right") / len(values)


def uniformity_pvalue(u: ArrayLike) -> float:
    """P-value of the test of uniformity that rejects when the ECDF leaves its simultaneous band.

    The smallest alpha at which the ECDF leaves the band of level ``1 - alpha``: with gamma the smallest two-sided
    binomial tail probability over the points, it is one minus the coverage of the band that gamma makes.

    Parameters
    ----------
    u : array_like of shape (n,)
        Values in [0, 1].
    """
    values = _values(u)
    n = len(values)
    k = _points(n, None)
    z = np.arange(1, k) / k
    counts = np.searchsorted(values, z, side="right")
    tail = np.minimum(binom.cdf(counts, n, z), binom.sf(counts - 1, n, z))
    gamma = float(min(2.0 * tail.min(), 1.0))
    # the band must not hold the count that attains gamma: a nudge above rounding sees to it
    return float(1.0 - _coverage(n, k, gamma * (1.0 + 1e-9))) if gamma < 1.0 else 1.0


def _values(u: ArrayLike) -> Array:
    values = np.sort(np.asarray(u, dtype=np.float64).ravel())
    if len(values) and not (values[0] >= 0.0 and values[-1] <= 1.0):
        raise DataError("values between 0 and 1 are needed (NaN is not one)")
    return values
