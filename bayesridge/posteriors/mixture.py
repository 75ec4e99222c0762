"""Mixtures of Student-t (or Gaussian) distributions, many at a time: cdf, quantiles, shortest intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from bayesridge.linalg.student import log_t_constant
from bayesridge.parallel.threads import run_blocks

Array = NDArray[np.float64]
Flags = NDArray[np.bool]

_BLOCK_VALUES = 1 << 16  # a block and what is made of it stay in the cache


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
    start : Mixture or None
        Nearly the same in few components: where the search for quantiles starts.
    """

    location: Array
    scale: Array
    weight: Array
    df: float
    start: Mixture | None = None

    @property
    def components(self) -> int:
        """Number of components K."""
        return int(self.location.shape[1])

    @property
    def mean(self) -> Array:
        """Means (exist for more than one degree of freedom), shape (m,)."""
        return np.asarray((self.weight * self.location).sum(axis=1))

    def pit(self, y: Array) -> Array:
        """Probability integral transform of values: their cdf."""
        return self.cdf(y)

    def rows(self, part: slice | NDArray[np.intp]) -> Mixture:
        """Some of the mixtures."""
        weight = self.weight if self.weight.ndim == 1 else self.weight[part]
        start = None if self.start is None else self.start.rows(part)
        return Mixture(self.location[part], self.scale[part], weight, self.df, start)

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

    def interval(self, level: float) -> Array:
        """Ends of the equal-tailed intervals, shape (m, 2)."""
        return self._blocked(_interval_rows, np.full(len(self.location), level))

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


_TABLE_STEP, _TABLE_END = 1.0 / 256.0, 16.0
_NOTHING = 1e-14  # probability beyond the table that need not be told from its end


@dataclass(frozen=True, eq=False)
class _StudentTable:
    """Distribution function of Student's t on [-16, 16] as Taylor's cubics about k/256.

    The error is (h/2)^4 / 24 times a third derivative of the density that stays below 5 for df >= 1: 3e-12 of
    probability, at a thirtieth of the time of the incomplete beta function.
    """

    df: float
    coefficients: tuple[Array, Array, Array, Array]

    def __call__(self, u: Array) -> tuple[Array, Array, Array]:
        """Distribution function, density and the density's slope: these two to 1e-8 and 1e-5, enough for a step."""
        s = np.clip(u, -_TABLE_END, _TABLE_END)
        s += _TABLE_END
        s *= 1.0 / _TABLE_STEP
        cell = (s + 0.5).astype(np.intp)
        s -= cell
        c0, c1, c2, c3 = (one.take(cell) for one in self.coefficients)
        c3 *= s
        c2 += c3
        value = s * (s * c2 + c1) + c0
        c2 *= 2.0
        c2 += c3
        density = (s * c2 + c1) * (1.0 / _TABLE_STEP)
        slope = (3.0 * c3 + c2) * (1.0 / _TABLE_STEP**2)
        if self.coefficients[0][0] >= _NOTHING and (far := np.abs(u) >= _TABLE_END).any():
            w = u[far]
            value[far], density[far] = stdtr(self.df, w), np.exp(_log_density(w, self.df))
            w = np.clip(w, -1e150, 1e150)  # squares do not overflow
            slope[far] = -(self.df + 1.0) * w / (self.df + w * w) * density[far]
        return value, density, slope


@lru_cache(maxsize=64)
def _student_table(df: float) -> _StudentTable:
    right = np.arange(round(_TABLE_END / _TABLE_STEP) + 1) * _TABLE_STEP
    u, below = np.concatenate([-right[:0:-1], right]), stdtr(df, -right)
    f = np.exp(_log_density(u, df))
    log_slope = -(df + 1.0) * u / (df + u * u)
    log_bend = -(df + 1.0) * (df - u * u) / (df + u * u) ** 2
    h = _TABLE_STEP
    cubic = h * f, 0.5 * h**2 * f * log_slope, h**3 / 6.0 * f * (log_slope**2 + log_bend)
    if below[-1] < _NOTHING:  # all further out stands at the ends: a density there, of a spike 1e90 times narrower than
        for one in cubic:  # the tails it lies in, would be the slope of the whole mixture
            one[[0, -1]] = 0.0
    return _StudentTable(df, (np.concatenate([below[:0:-1], 1.0 - below]), *cubic))


def _normal(u: Array) -> tuple[Array, Array, Array]:
    density = np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi)
    return ndtr(u), density, -u * density


def _log_density(u: Array, df: float) -> Array:
    if np.isinf(df):
        return np.asarray(-0.5 * u * u - 0.5 * np.log(2.0 * np.pi))
    return np.asarray(log_t_constant(df) - 0.5 * (df + 1.0) * np.log1p(u * u / df))


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


_LEAST_COMPONENTS = 32  # below, there is nothing to gain from fewer


def _quantile_rows(part: Mixture, q: Array) -> Array:
    """Halley's method kept inside a bracket: a mixture's quantile lies between those of its components.

    Components are values of smooth functions at equal steps, and their weights a trapezoidal rule: every sixth, then
    every third, gives the quantile to some 1e-3, and the error of a step is its cube: one evaluation of the whole is
    left. Where they are nothing of the kind (several scales) it is a worse start, and no more.

    All of it happens about the heaviest component: where widths are below the rounding of locations, or a spike is
    narrower than that of the mean, quantiles are told apart there, and adding the centre, a monotone step, keeps them
    in order.
    """
    centre = part.location[np.arange(len(q)), part.weight.argmax(axis=-1)]
    starts = [part.start] if part.start is not None else [_every(part, 6), _every(part, 3)] if _at_steps(part) else []
    part, *starts = (Mixture(one.location - centre[:, None], one.scale, one.weight, one.df) for one in (part, *starts))
    levels, which = np.unique(q, return_inverse=True)  # inverses of the distribution function are dear
    u = np.asarray(ndtri(levels) if np.isinf(part.df) else stdtrit(part.df, levels))[which]
    ends = u[:, None] * part.scale
    ends += part.location
    x = (ends @ part.weight) if part.weight.ndim == 1 else (part.weight * ends).sum(axis=1)
    if part.weight.ndim == 1:
        ends = ends[:, part.weight > 1e-13]
        low, high = ends.min(axis=1), ends.max(axis=1)
    else:
        seen = part.weight > 1e-13
        low, high = np.where(seen, ends, np.inf).min(axis=1), np.where(seen, ends, -np.inf).max(axis=1)
    x = np.clip(x, low, high)  # all of the weight but its rounding at one point: there is nothing to solve
    for start in starts:
        x = _solve(start, q, x, low.copy(), high.copy(), 1e-2)
    return centre + _solve(part, q, x, low, high, 3e-4)


def _at_steps(part: Mixture) -> bool:
    return part.weight.ndim == 1 and part.location.shape[1] >= _LEAST_COMPONENTS


def _every(part: Mixture, stride: int) -> Mixture:
    weight = part.weight[::stride]
    location, scale = (np.ascontiguousarray(each[:, ::stride]) for each in (part.location, part.scale))
    return Mixture(location, scale, weight / weight.sum(), part.df)


def _solve(part: Mixture, q: Array, x: Array, low: Array, high: Array, last: float) -> Array:
    """Solve cdf = q until a step is below `last` scales: the next, its cube, would be nothing."""
    kernel = _normal if np.isinf(part.df) else _student_table(part.df)
    top = part.scale.max(axis=1)
    wide = part.scale > 1e-90 * top[:, None]  # what is narrower is a point: its inverse cubed would be infinite
    points = not wide.all()
    inverse = np.where(wide, 1.0 / np.where(wide, part.scale, 1.0), 0.0) if points else 1.0 / part.scale
    relative = inverse * top[:, None]
    first = part.weight * relative
    second = first * relative
    all_: tuple[Array, ...] = (part.location, inverse, first, second, second * relative)
    some, active = all_, np.flatnonzero(high > low)
    middle = _middles(part, low, high)
    for turn in range(100):
        if len(active) == 0:
            break
        if len(active) < len(some[0]):
            some = tuple(each[active] for each in all_)
        location, kept, *power = some
        weight = part.weight if part.weight.ndim == 1 else part.weight[active]
        a, b = low[active], high[active]
        now = middle(x[active], (x[active] > a) & (x[active] < b), active)
        distance = now[:, None] - location
        below, density, bend = kernel(distance * kept)
        if points:
            below = np.where(kept > 0, below, distance >= 0)
        excess = (below @ weight if weight.ndim == 1 else np.einsum("ij,ij->i", below, weight)) - q[active]
        low[active], high[active] = np.where(excess < 0, now, a), np.where(excess < 0, b, now)
        slope, curve = np.einsum("ij,ij->i", density, power[0]), np.einsum("ij,ij->i", bend, power[1])
        # the width of what has density here: that of all components may be a tail's, however far away
        narrow, safe = np.einsum("ij,ij->i", density, power[2]), np.where(slope > 0, slope, 1.0)
        size = np.sqrt(np.where(slope > 0, slope, 0.0) / np.where(slope > 0, narrow, 1.0))
        with np.errstate(over="ignore", invalid="ignore"):  # between components, where there is no density: bisection
            step = np.where(slope > 0, excess / safe, np.inf)
            step = top[active] * step / np.clip(1.0 - 0.5 * step * curve / safe, 0.5, 2.0)
        moved = now - step
        inside = np.isfinite(step) & (moved >= low[active]) & (moved <= high[active])
        x[active] = middle(moved, inside, active)
        done = inside & (np.abs(step) <= last * top[active] * size)
        if turn > 3:
            # where steps do not settle, rounding ends it: that of the locations of what has density here
            centre = np.einsum("ij,ij,ij->i", density, power[0], np.abs(location)) / safe
            width = 4.0 * np.finfo(np.float64).eps * (top[active] * size + centre + np.abs(now))
            done |= (inside & (np.abs(step) <= width)) | (high[active] - low[active] <= width)
        active = active[~done]
    return x


def _middles(part: Mixture, low: Array, high: Array) -> Callable[[Array, Flags, NDArray[np.intp]], Array]:
    """Return the function that puts those of some mixtures' values that are not good into the middle of their brackets.

    Where widths differ by many powers of ten (a spike in wide tails) halving a bracket takes a step for each power of
    two. It is cut in the middle of asinh((x - location) / scale) of the narrowest component, which goes by decades.
    """

    def middle(x: Array, good: Flags, some: NDArray[np.intp]) -> Array:
        if good.all():
            return x
        rows = some[~good]
        a, b = low[rows], high[rows]
        scale = np.where(part.scale[rows] > 0, part.scale[rows], np.inf)
        narrowest = scale.argmin(axis=1)
        own = np.arange(len(rows))
        c, w = part.location[rows, narrowest], scale[own, narrowest]
        w = np.where(np.isfinite(w), w, 1.0) + 1e-200 * (b - a)
        cut = c + w * np.sinh(0.5 * (np.arcsinh((a - c) / w) + np.arcsinh((b - c) / w)))
        x = x.copy()
        x[~good] = np.where((cut > a) & (cut < b), cut, 0.5 * (a + b))
        return x

    return middle


def _interval_rows(part: Mixture, level: Array) -> Array:
    """Both ends, at once on a handful of rows, where it is the number of calls that costs."""
    m = len(level)
    tail = 0.5 * (1.0 - level)
    if part.location.size > _TABLE_PAYS:
        return np.column_stack([_quantile_rows(part, tail), _quantile_rows(part, 1.0 - tail)])
    both = _quantile_rows(part.rows(np.tile(np.arange(m), 2)), np.concatenate([tail, 1.0 - tail]))
    return both.reshape(2, m).T


def _shortest_rows(part: Mixture, levels: Array) -> Array:
    """Equal density at both ends and `level` between them: Newton from the equal-tailed interval."""
    level = float(levels[0])
    tails = _interval_rows(part, levels)
    a, b = tails.T.copy()
    scale = np.where(b > a, b - a, 1.0)
    step, left, some = np.full(len(a), np.inf), np.arange(len(a)), part
    for _ in range(50):
        if len(left) < len(some.location):
            some = part.rows(left)
        at, to = a[left], b[left]
        (fa, da), (fb, db) = _pdf_and_slope(some, at), _pdf_and_slope(some, to)
        inside = _cdf(some._standard(to), some.df) - _cdf(some._standard(at), some.df)
        mass, gap = (some.weight * inside).sum(axis=1) - level, fb - fa
        # [fb, -fa; db, -da] (step_b, step_a) = -(mass, gap)
        det = -fb * da + fa * db
        ok = np.abs(det) > 1e-300
        safe = np.where(ok, det, 1.0)
        with np.errstate(over="ignore"):  # steps are clipped
            step_b = np.where(ok, (da * mass - fa * gap) / safe, 0.0)
            step_a = np.where(ok, (db * mass - fb * gap) / safe, 0.0)
        limit = 0.1 * scale[left]
        a[left], b[left] = at + np.clip(step_a, -limit, limit), to + np.clip(step_b, -limit, limit)
        before, now = step[left], np.maximum(np.abs(step_a), np.abs(step_b))
        step[left] = now
        resting = (now <= 1e-9 * scale[left]) & (now > 0.5 * before)  # rounding
        left = left[~((now <= 1e-12 * scale[left]) | resting)]
        if not len(left):
            break
    equal = np.column_stack([a, b])
    good = (step <= 1e-9 * scale) | ~(part.scale.max(axis=1) > 0)
    good &= np.ptp(equal, axis=1) <= (1.0 + 1e-9) * np.ptp(tails, axis=1)  # the longest has equal densities too
    for i in np.flatnonzero(~good):  # several modes: search instead of solving
        equal[i] = _shortest_by_search(part.rows(np.array([i])), level)
    # where the two are one (symmetry, one component) rounding must not make the shortest the longer
    shorter = np.ptp(equal, axis=1) <= np.ptp(tails, axis=1)
    return np.where(shorter[:, None], equal, tails)


def _shortest_by_search(one: Mixture, level: float) -> Array:
    def gap(start: float) -> float:  # d(length) / d(start) = 1 / f(high) - 1 / f(low)
        lower, upper = (_pdf_and_slope(one, end)[0][0] for end in _ends(one, np.array([start]), level))
        return float((lower - upper) / max(lower + upper, 1e-300))

    start = np.linspace(0.0, 1.0 - level, 66)[1:-1]
    few = one.weight.ndim > 1 or one.components < _LEAST_COMPONENTS
    low, high = _ends(one if few else _every(one, 3), start, level)
    best = int(np.argmin(high - low))
    # it changes sign between the neighbours of the shortest, unless the shortest lies at one end
    left, right = start[max(best - 1, 0)], start[min(best + 1, len(start) - 1)]
    at = start[best]
    if gap(left) < 0.0 < gap(right):
        at = brentq(gap, left, right, xtol=1e-8, disp=False)  # the length is flat there
    return np.concatenate(_ends(one, np.array([at]), level))


def _ends(one: Mixture, start: Array, level: float) -> tuple[Array, Array]:
    """Intervals of one mixture that hold `level` above each probability `start`."""
    both = one.rows(np.zeros(2 * len(start), dtype=np.intp)).quantile(np.concatenate([start, start + level]))
    return both[: len(start)], both[len(start) :]
