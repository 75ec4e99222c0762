"""Mixtures of Student-t (or Gaussian) distributions, many at a time: cdf, quantiles, shortest intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr, ndtri, stdtr, stdtrit

from bayesridge.linalg.threads import run_blocks

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 13  # a block and what is made of it stay in the cache


@dataclass(frozen=True, eq=False)
class Mixture:
    """m mixtures of the same K components' weights, each with its own locations and scales.

    Attributes
    ----------
    location, scale : ndarray of shape (m, K)
        A scale of zero is a point mass.
    weight : ndarray of shape (K,) or (m, K)
        Summing to one.
    df : float
        Degrees of freedom of every component; infinite for Gaussian ones.
    """

    location: Array
    scale: Array
    weight: Array
    df: float

    def rows(self, part: slice | NDArray[np.intp]) -> Mixture:
        """Some of the mixtures."""
        weight = self.weight if self.weight.ndim == 1 else self.weight[part]
        return Mixture(self.location[part], self.scale[part], weight, self.df)

    def _standard(self, x: Array) -> Array:
        safe = np.where(self.scale > 0, self.scale, 1.0)
        u = (x[:, None] - self.location) / safe
        return np.where(self.scale > 0, u, np.where(u >= 0, np.inf, -np.inf))

    def cdf(self, x: Array) -> Array:
        """P(value <= x) of each mixture at its own x, shape (m,)."""
        below = self._blocked(_cdf_rows, x)
        return np.minimum(below, 1.0)  # weights add up to one only to rounding

    def log_pdf(self, x: Array) -> Array:
        """Log density of each mixture at its own x, shape (m,)."""
        return self._blocked(_log_pdf_rows, x)

    def quantile(self, q: float | Array) -> Array:
        """Quantile `q` (one for all, or one for each mixture), shape (m,)."""
        level = np.broadcast_to(np.asarray(q, dtype=np.float64), (len(self.location),))
        return self._blocked(_quantile_rows, np.array(level))

    def shortest_interval(self, level: float) -> tuple[Array, Array]:
        """Ends of the shortest interval holding `level` of each mixture; never longer than the equal-tailed one."""
        unit = self.scale.max(axis=1, initial=0.0)[:, None]  # in which densities and their slopes stay ordinary
        unit = np.exp2(np.round(np.log2(np.where(unit > 0, unit, 1.0))))  # exactly
        own = Mixture(self.location / unit, self.scale / unit, self.weight, self.df)
        both = unit * own._blocked(_shortest_rows, np.full(len(self.location), level))
        return both[:, 0], both[:, 1]

    def _blocked(self, function: Callable[[Mixture, Array], Array], x: Array) -> Array:
        m, K = self.location.shape
        size = max(1, _BLOCK_VALUES // max(K, 1))
        if m <= size:
            return np.asarray(function(self, x))
        parts = [slice(start, start + size) for start in range(0, m, size)]
        return np.concatenate(run_blocks(lambda part: function(self.rows(part), x[part]), parts, 100.0 * m * K))


def _cdf(u: Array, df: float) -> Array:
    return np.asarray(ndtr(u) if np.isinf(df) else stdtr(df, u))


_TABLE_STEP, _TABLE_END = 1.0 / 32.0, 16.0
_NOTHING = 1e-14  # probability beyond the table that need not be told from its end


@dataclass(frozen=True, eq=False)
class _StudentTable:
    """Distribution function of Student's t on [-16, 16] as quintics between values, densities and slopes at k/32.

    The error is h^6 / 46080 times a sixth derivative that stays below 300 for df >= 1: 6e-12 of probability, at a
    fifteenth of the time of the incomplete beta function.
    """

    df: float
    coefficients: tuple[Array, ...]

    def __call__(self, u: Array) -> tuple[Array, Array]:
        """Distribution function and density."""
        c = self.coefficients
        s = (np.clip(u, -_TABLE_END, _TABLE_END) + _TABLE_END) * (1.0 / _TABLE_STEP)
        cell = np.minimum(s.astype(np.intp), len(c[0]) - 1)
        s -= cell
        value, slope = c[5].take(cell), np.zeros(s.shape)
        for one in c[4::-1]:
            slope *= s
            slope += value
            value *= s
            value += one.take(cell)
        slope *= 1.0 / _TABLE_STEP
        if c[0][0] < _NOTHING:
            return value, slope
        far = np.abs(u) >= _TABLE_END
        if far.any():
            value[far], slope[far] = stdtr(self.df, u[far]), np.exp(_log_density(u[far], self.df))
        return value, slope


@lru_cache(maxsize=64)
def _student_table(df: float) -> _StudentTable:
    right = np.arange(round(_TABLE_END / _TABLE_STEP) + 1) * _TABLE_STEP
    u, below = np.concatenate([-right[:0:-1], right]), stdtr(df, -right)
    F = np.concatenate([below[:0:-1], 1.0 - below])
    f = np.exp(_log_density(u, df))
    d = _TABLE_STEP * f
    bend = -(_TABLE_STEP**2) * f * (df + 1.0) * u / (df + u * u)
    a = F[1:] - F[:-1] - d[:-1] - 0.5 * bend[:-1]
    b = d[1:] - d[:-1] - bend[:-1]
    e = bend[1:] - bend[:-1]
    quintic = (10.0 * a - 4.0 * b + 0.5 * e, -15.0 * a + 7.0 * b - e, 6.0 * a - 3.0 * b + 0.5 * e)
    return _StudentTable(df, (F[:-1], d[:-1], 0.5 * bend[:-1], *quintic))


def _normal(u: Array) -> tuple[Array, Array]:
    return ndtr(u), np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi)


def _log_density(u: Array, df: float) -> Array:
    if np.isinf(df):
        return np.asarray(-0.5 * u * u - 0.5 * np.log(2.0 * np.pi))
    constant = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * np.log(df * np.pi)
    return np.asarray(constant - 0.5 * (df + 1.0) * np.log1p(u * u / df))


def _cdf_rows(part: Mixture, x: Array) -> Array:
    u = part._standard(x)
    if u.size < _TABLE_PAYS or np.isinf(part.df):
        return np.asarray((part.weight * _cdf(u, part.df)).sum(axis=1))
    return np.asarray((part.weight * _student_table(part.df)(u)[0]).sum(axis=1))


_TABLE_PAYS = 1 << 12


def _log_pdf_rows(part: Mixture, x: Array) -> Array:
    with np.errstate(divide="ignore"):
        terms = _log_density(part._standard(x), part.df) - np.log(part.scale) + np.log(part.weight)
    return np.asarray(np.logaddexp.reduce(terms, axis=1))


def _pdf_and_slope(part: Mixture, x: Array) -> tuple[Array, Array]:
    u = np.where(part.scale > 0, part._standard(x), 0.0)  # a point mass has no density
    safe = np.where(part.scale > 0, part.scale, 1.0)
    density = np.where(part.scale > 0, part.weight * np.exp(_log_density(u, part.df)) / safe, 0.0)
    pull = u if np.isinf(part.df) else (part.df + 1.0) / part.df * u / (1.0 + u * u / part.df)
    slope = -density * pull / safe
    return density.sum(axis=1), slope.sum(axis=1)


def _quantile_rows(part: Mixture, q: Array) -> Array:
    """Newton's method kept inside a bracket: a mixture's quantile lies between those of its components.

    It starts from the quantile of a mixture with the same first two moments in few components, whose distribution
    function is right to some 1e-5: one or two evaluations of the whole are left.
    """
    u = np.asarray(ndtri(q) if np.isinf(part.df) else stdtrit(part.df, q))
    ends = part.location + u[:, None] * part.scale
    seen = part.weight > 1e-13
    low = np.where(seen, ends, np.inf).min(axis=1)
    high = np.where(seen, ends, -np.inf).max(axis=1)
    x = (part.weight * ends).sum(axis=1)
    if part.location.shape[1] > _FEW and part.weight.ndim == 1:
        x = _newton(_few_components(part), q, x, low.copy(), high.copy(), 1e-3)
    return _newton(part, q, x, low, high, 1e-7)


def _newton(part: Mixture, q: Array, x: Array, low: Array, high: Array, last: float) -> Array:
    """Solve cdf = q until a step is below `last` scales: the next, its square, would be nothing."""
    kernel = _normal if np.isinf(part.df) else _student_table(part.df)
    active = np.flatnonzero(high > low)
    tolerance = 4.0 * np.finfo(np.float64).eps
    some, inverse = part, np.where(part.scale > 0, 1.0 / np.where(part.scale > 0, part.scale, 1.0), 0.0)
    kept = inverse
    for _ in range(100):
        if len(active) == 0:
            break
        if len(active) < len(some.location):
            some, kept = part.rows(active), inverse[active]
        a, b = low[active], high[active]
        now = np.where((x[active] > a) & (x[active] < b), x[active], 0.5 * (a + b))
        distance = now[:, None] - some.location
        below, density = kernel(distance * kept)
        if (kept == 0.0).any():  # point masses
            below = np.where(kept > 0, below, distance >= 0)
        excess = (some.weight * below).sum(axis=1) - q[active]
        density *= kept
        density *= some.weight
        slope = density.sum(axis=1)
        # the width of what has density here: that of all components may be a tail's, however far away
        bend = (density * kept).sum(axis=1)
        size = np.where(slope > 0, slope, 0.0) / np.where(bend > 0, bend, 1.0)
        low[active], high[active] = np.where(excess < 0, now, a), np.where(excess < 0, b, now)
        with np.errstate(over="ignore"):  # between components, where there is no density: bisection
            step = np.where(slope > 0, excess / np.where(slope > 0, slope, 1.0), np.inf)
        moved = now - step
        inside = np.isfinite(step) & (moved >= low[active]) & (moved <= high[active])
        x[active] = np.where(inside, moved, 0.5 * (low[active] + high[active]))
        # ... and so is the rounding that counts: that of the locations of what has density here
        centre = (density * np.abs(some.location)).sum(axis=1) / np.where(slope > 0, slope, 1.0)
        width = tolerance * (size + centre + np.abs(now))
        done = (inside & (np.abs(step) <= np.maximum(last * size, width))) | (high[active] - low[active] <= width)
        active = active[~done]
    return x


_FEW = 24


def _few_components(part: Mixture) -> Mixture:
    """Join neighbouring components into some twelve of equal weight, keeping means and variances."""
    share = np.cumsum(part.weight) - 0.5 * part.weight
    group = np.minimum((share * (_FEW // 2)).astype(int), _FEW // 2 - 1)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    weight = np.add.reduceat(part.weight, starts)
    location = np.add.reduceat(part.weight * part.location, starts, axis=1) / weight
    square = np.add.reduceat(part.weight * (part.scale**2 + part.location**2), starts, axis=1) / weight
    return Mixture(location, np.sqrt(np.maximum(square - location**2, 0.0)), weight, part.df)


def _shortest_rows(part: Mixture, levels: Array) -> Array:
    """Equal density at both ends and `level` between them: Newton from the equal-tailed interval."""
    m, level = len(part.location), float(levels[0])
    tail = 0.5 * (1.0 - level)
    tails = np.column_stack([_quantile_rows(part, np.full(m, q)) for q in (tail, 1.0 - tail)])
    a, b = tails.T
    scale = np.where(b > a, b - a, 1.0)
    for _ in range(50):
        (fa, da), (fb, db) = _pdf_and_slope(part, a), _pdf_and_slope(part, b)
        mass = (part.weight * (_cdf(part._standard(b), part.df) - _cdf(part._standard(a), part.df))).sum(axis=1) - level
        gap = fb - fa
        # [fb, -fa; db, -da] (step_b, step_a) = -(mass, gap)
        det = -fb * da + fa * db
        ok = np.abs(det) > 1e-300
        safe = np.where(ok, det, 1.0)
        with np.errstate(over="ignore"):  # steps are clipped
            step_b = np.where(ok, (da * mass - fa * gap) / safe, 0.0)
            step_a = np.where(ok, (db * mass - fb * gap) / safe, 0.0)
        limit = 0.1 * scale
        a, b = a + np.clip(step_a, -limit, limit), b + np.clip(step_b, -limit, limit)
        if (np.maximum(np.abs(step_a), np.abs(step_b)) <= 1e-12 * scale).all():
            break
    equal = np.column_stack([a, b])
    good = (np.maximum(np.abs(step_a), np.abs(step_b)) <= 1e-9 * scale) | ~(part.scale.max(axis=1) > 0)
    good &= np.ptp(equal, axis=1) <= (1.0 + 1e-9) * np.ptp(tails, axis=1)  # the longest has equal densities too
    for i in np.flatnonzero(~good):  # several modes: search instead of solving
        equal[i] = _shortest_by_search(part.rows(np.array([i])), level)
    # where the two are one (symmetry, one component) rounding must not make the shortest the longer
    shorter = np.ptp(equal, axis=1) <= np.ptp(tails, axis=1)
    return np.where(shorter[:, None], equal, tails)


def _shortest_by_search(one: Mixture, level: float) -> Array:
    start = np.linspace(0.0, 1.0 - level, 202)[1:-1]
    many = Mixture(
        np.repeat(one.location, len(start), axis=0), np.repeat(one.scale, len(start), axis=0),
        one.weight if one.weight.ndim == 1 else np.repeat(one.weight, len(start), axis=0), one.df,
    )  # fmt: skip
    low, high = many.quantile(start), many.quantile(start + level)
    best = int(np.argmin(high - low))
    # d(length)/d(start) = 1 / f(high) - 1 / f(low) changes sign between the neighbours of the shortest
    left, right = start[max(best - 1, 0)], start[min(best + 1, len(start) - 1)]
    for _ in range(60):
        middle = 0.5 * (left + right)
        ends = np.array([one.quantile(middle)[0], one.quantile(middle + level)[0]])
        lower, upper = (_pdf_and_slope(one, ends[k : k + 1])[0][0] for k in (0, 1))
        left, right = (middle, right) if upper > lower else (left, middle)
    return ends
