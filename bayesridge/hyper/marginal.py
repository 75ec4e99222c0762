"""The exact distribution of one scalar: density, cdf, quantiles, intervals, moments.

The density of a working variable x (a logarithm, usually) is held as a piecewise polynomial, adaptively cut until it is
exact to rounding; the scalar itself is a monotone function of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.polynomial import Chebyshev, legendre
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import eval_legendre

from bayesridge.errors import AccuracyWarning, DataError, warn
from bayesridge.hyper.quadrature import ASKED_ACCURACY, TO_LEGENDRE, LineRule, LogFunction, adaptive_cells, around_peaks

Array = NDArray[np.float64]

_XI, _GAUSS = legendre.leggauss(16)
_MANY = 200  # quantiles
_FEW = 300  # points: up to there one call for all degrees is faster than one recurrence over arrays
_DEGREES = np.arange(17)
_MODE_DEGREE = 12
_MOST_MISSING = 0.05  # of all probability: what is cut, or sampled, is less
_KINK = 1e-9  # of a log density, that a polynomial leaves out
_LAST_STEP = 1e-8  # of Newton's method, in units of half a cell


class Interval(NamedTuple):
    """Lower and upper end of an interval."""

    lower: float
    upper: float


class Scalar(Protocol):
    """A scale: one random number."""

    @property
    def known(self) -> bool:
        """Whether it is a single value."""

    @property
    def mean(self) -> float:
        """Mean; infinite where it diverges, NaN where that cannot be told."""

    @property
    def sd(self) -> float:
        """Standard deviation, likewise."""

    @property
    def log_sd(self) -> float:
        """Standard deviation of the logarithm, which exists where that of the scale may not."""

    @property
    def median(self) -> float:
        """Median."""

    def interval(self, level: float = 0.95) -> Interval:
        """Equal-tailed interval."""


@dataclass(frozen=True)
class Link:
    """A monotone map from the working variable x to the scalar.

    Attributes
    ----------
    value : callable
        x -> scalar.
    inverse : callable
        scalar -> x, vectorised.
    log_slope : callable
        log |d scalar / dx| at x.
    increasing : bool
    bounded : bool
        Whether the scalar is bounded, so that all moments exist.
    ends : tuple of float
        Limits of the scalar as x -> -infinity and x -> +infinity.
    """

    value: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    log_slope: Callable[[Array], Array]
    increasing: bool = True
    bounded: bool = False
    ends: tuple[float, float] = (0.0, np.inf)


def _log(values: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values >= 0, np.log(np.where(values >= 0, values, 1.0)), -np.inf)


#: The scalar is exp(x): lambda, sigma and tau from their logarithms.
EXP = Link(np.exp, _log, lambda x: x)


@dataclass(frozen=True, eq=False)
class _InverseTable:
    """Distribution function, its argument and its slope on a grid: the inverse by cubic Hermite interpolation."""

    below: Array
    x: Array
    density: Array

    def start(self, wanted: Array) -> Array:
        """Argument at which the distribution function is about as wanted."""
        cell = np.clip(np.searchsorted(self.below, wanted, side="right") - 1, 0, len(self.x) - 2)
        x, step = self.x[cell], np.diff(self.x)[cell]
        rise = np.diff(self.below)[cell]
        rise = np.where(rise > 0, rise, 1.0)
        t = np.clip((wanted - self.below[cell]) / rise, 0.0, 1.0)
        # slopes of x in t, limited to three times the chord: the interpolant is then monotone (Fritsch & Carlson 1980)
        left, right = (np.minimum(rise / np.maximum(self.density[cell + k], 1e-300), 3.0 * step) for k in (0, 1))
        return np.asarray(x + t * (left + t * (3.0 * step - 2.0 * left - right + t * (left + right - 2.0 * step))))


@dataclass(frozen=True, eq=False)
class Marginal:
    """Distribution of a positive scalar, exact to the quadrature's error.

    Build with :func:`marginal`. All quantiles are of the scalar itself; ``pdf`` is its density.
    """

    #: Whether it is a single value, so that there is no density.
    known: ClassVar[Literal[False]] = False
    name: str
    log_density: LogFunction = field(repr=False)
    edges: Array = field(repr=False)
    coefficients: Array = field(repr=False)
    at_gauss: Array = field(repr=False)
    mass: Array = field(repr=False)
    link: Link = field(repr=False)

    # -- density and distribution function -----------------------------------------------------------------------

    def pdf(self, value: ArrayLike) -> Array:
        """Density at `value` (per unit of the scalar)."""
        x = self.link.inverse(np.asarray(value, dtype=np.float64))
        out = np.zeros(x.shape)
        seen = np.isfinite(x)
        out[seen] = np.exp(self.log_density(x[seen]) - self.link.log_slope(x[seen]))
        return out

    def log_pdf_log(self, log_value: ArrayLike) -> Array:
        """Log density of the working variable (for lambda, sigma, tau: of the natural logarithm)."""
        return self.log_density(np.asarray(log_value, dtype=np.float64))

    def cdf(self, value: ArrayLike) -> Array:
        """P(scalar <= value)."""
        x = self.link.inverse(np.asarray(value, dtype=np.float64))
        below = self._cdf_x(np.atleast_1d(x)).reshape(x.shape)
        return below if self.link.increasing else 1.0 - below

    def _cdf_x(self, x: Array) -> Array:
        x = np.clip(x, self.edges[0], self.edges[-1])
        cell = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.mass) - 1)
        start = np.concatenate([[0.0], np.cumsum(self.mass)])[cell]
        # masses add up to one, and a polynomial starts from zero, only to rounding
        return np.clip(start + self._inside(cell, self._local(cell, x)), 0.0, 1.0)

    def _local(self, cell: NDArray[np.intp], x: Array) -> Array:
        a, b = self.edges[cell], self.edges[cell + 1]
        return np.asarray(np.clip(2.0 * (x - a) / (b - a) - 1.0, -1.0, 1.0))

    def _inside(self, cell: NDArray[np.intp], xi: Array) -> Array:
        return self._integral_and_density(cell, xi)[0]

    def _integral_and_density(self, cell: NDArray[np.intp], xi: Array) -> tuple[Array, Array]:
        """Mass between the cell's start and xi, and its derivative in xi."""
        # int_-1^xi P_k = (P_k+1 - P_k-1) / (2k + 1), and 1 + xi for k = 0
        P = eval_legendre(_DEGREES, xi[..., None]) if xi.size <= _FEW else legendre.legvander(xi, 16)
        coefficients = self.coefficients[cell]
        k = np.arange(1, 16)
        half = 0.5 * (self.edges[cell + 1] - self.edges[cell])
        mass = np.einsum("...k,...k->...", coefficients[..., 1:], (P[..., 2:] - P[..., :-2]) / (2 * k + 1))
        mass += coefficients[..., 0] * (1.0 + xi)
        return half * mass, half * np.einsum("...k,...k->...", coefficients, P[..., :16])

    def quantile(self, q: ArrayLike) -> Array:
        """Quantiles: the value below which the probability is `q`."""
        q = np.asarray(q, dtype=np.float64)
        if not ((q >= 0) & (q <= 1)).all():
            raise DataError("probabilities must lie between 0 and 1")
        x = self._quantile_x(np.ravel(q if self.link.increasing else 1.0 - q))
        return np.asarray(self.link.value(x).reshape(q.shape))

    def _quantile_x(self, q: Array) -> Array:
        total = np.cumsum(self.mass)
        wanted = q * total[-1]
        cell = np.clip(np.searchsorted(total, wanted), 0, len(self.mass) - 1)
        target = wanted - np.concatenate([[0.0], total])[cell]
        low, high = np.full(q.shape, -1.0), np.ones(q.shape)
        if len(q) > _MANY:  # a table costs as much as some dozen quantiles, and saves most of the steps
            xi = self._local(cell, self._table.start(wanted))
        else:
            xi = 2.0 * target / np.maximum(self.mass[cell], 1e-300) - 1.0
        left = np.arange(len(q))  # what is not there yet: Newton's steps, bisection where they leave the bracket
        for _ in range(60):
            at = np.where((xi[left] > low[left]) & (xi[left] < high[left]), xi[left], 0.5 * (low[left] + high[left]))
            mass, slope = self._integral_and_density(cell[left], at)
            excess = mass - target[left]
            low[left], high[left] = np.where(excess < 0, at, low[left]), np.where(excess < 0, high[left], at)
            step = np.where(slope > 0, excess / np.where(slope > 0, slope, 1.0), 4.0)  # 4: out of the bracket
            inside = np.abs(step) <= 2.0
            xi[left] = np.where(inside, at - step, 0.5 * (low[left] + high[left]))
            # Newton's error is squared by the step just made: what moved by less than 1e-8 is right to rounding
            left = left[(np.abs(step) >= _LAST_STEP) & (high[left] - low[left] >= 1e-15)]
            if not len(left):
                break
        half = 0.5 * (self.edges[cell + 1] - self.edges[cell])
        return np.asarray(self.edges[cell] + half * (np.clip(xi, -1.0, 1.0) + 1.0))

    @cached_property
    def _table(self) -> _InverseTable:
        """Distribution function and density on a grid, where Newton's method starts from."""
        cells = np.arange(len(self.mass))
        xi = np.linspace(-1.0, 1.0, 33)[:-1]
        half = 0.5 * np.diff(self.edges)[:, None]
        inside, density = self._integral_and_density(np.repeat(cells, len(xi)), np.tile(xi, len(cells)))
        start = np.concatenate([[0.0], np.cumsum(self.mass)])
        below = np.append((start[:-1, None] + inside.reshape(len(cells), -1)).ravel(), start[-1])
        x = np.append((self.edges[:-1, None] + half * (xi + 1.0)).ravel(), self.edges[-1])
        last = np.asarray(self._integral_and_density(cells[-1:], np.ones(1))[1]) / half[-1]
        density = np.append((density.reshape(len(cells), -1) / half).ravel(), last)
        return _InverseTable(np.maximum.accumulate(below), x, density)

    # -- summaries -----------------------------------------------------------------------------------------------

    @property
    def median(self) -> float:
        """Posterior median."""
        return float(self.quantile(0.5))

    def interval(self, level: float = 0.95) -> Interval:
        """Equal-tailed interval: ``(1 - level) / 2`` on each side."""
        lower, upper = self.quantile([0.5 * (1 - level), 0.5 * (1 + level)])
        return Interval(float(lower), float(upper))

    def hdi(self, level: float = 0.94) -> Interval:
        """Shortest interval of the given probability on the scalar's own scale (highest density if unimodal)."""
        low, high = 0.0, 1.0 - level  # of the probability below it
        for _ in range(5):  # to 1e-8; next to the shortest all lengths are the same
            start = np.linspace(low, high, 65)
            ends = self.quantile(np.stack([start, start + level]))
            best = int(np.argmin(ends[1] - ends[0]))
            low, high = start[max(best - 1, 0)], start[min(best + 1, 64)]
        lower, upper = ends[:, best]
        shortest, tails = Interval(float(lower), float(upper)), self.interval(level)
        # of a symmetric density the two are one, and rounding must not make the shortest the longer
        return min(shortest, tails, key=lambda ends: ends.upper - ends.lower)

    @property
    def mode(self) -> float:
        """Where the density of the scalar is highest; a limit of its range if the density rises towards it."""
        return self._mode(natural=True)

    @property
    def log_mode(self) -> float:
        """The scalar where the density of the working variable (its logarithm) is highest."""
        return self._mode(natural=False)

    def _mode(self, *, natural: bool) -> float:
        x = np.unique(np.concatenate([np.linspace(a, b, 9) for a, b in zip(self.edges, self.edges[1:], strict=False)]))

        def height(x: Array) -> Array:
            return self.log_density(x) - (self.link.log_slope(x) if natural else 0.0)

        best = int(np.argmax(height(x)))
        if best in (0, len(x) - 1):
            return self.link.ends[0 if best == 0 else 1]
        low, high = x[best - 1], x[best + 1]
        # values alone place a maximum to the square root of their rounding; the root of the derivative is right to it
        top = Chebyshev.interpolate(height, _MODE_DEGREE, [low, high])
        roots = top.deriv().roots()
        inside = roots.real[(np.abs(roots.imag) < 1e-8 * (high - low)) & (roots.real > low) & (roots.real < high)]
        at = np.concatenate([inside, x[best : best + 1]])
        heights = height(at)
        smooth = abs(top(at[np.argmax(heights)]) - heights.max()) <= _KINK
        if len(inside) and smooth and heights.max() <= heights[:-1].max() + _KINK:
            return float(self.link.value(at[:-1][np.argmax(heights[:-1])]))
        found = minimize_scalar(  # a density with a kink or a jump
            lambda t: -float(height(np.array([t]))[0]), bounds=(low, high), method="bounded", options={"xatol": 1e-12}
        )
        return float(self.link.value(np.array(found.x if -found.fun >= heights[-1] else x[best])))

    @property
    def mean(self) -> float:
        """Posterior mean; infinite when the integral diverges.

        A tail with less than some 1e-15 of the posterior is not seen: a mean that diverges there is that of the rest.
        """
        return self.moment(1)

    @property
    def sd(self) -> float:
        """Posterior standard deviation; infinite when the second moment diverges."""
        second, mean = self.moment(2), self.moment(1)
        if not np.isfinite(second):
            return np.inf
        inner = self._integral((self.link.value(self._gauss_points) - mean) ** 2)
        tails = sum(self._tail(2, side) for side in (0, -1))
        return float(np.sqrt(inner + tails))

    @property
    def log_sd(self) -> float:
        """Posterior standard deviation of the logarithm."""
        # a scale within exp(+-700) of one, as all that float64 can hold
        value = np.log(np.clip(self.link.value(self._gauss_points), 1e-304, 1e304))
        centre = self._integral(value)
        return float(np.sqrt(self._integral(np.square(value - centre))))

    def moment(self, order: int) -> float:
        """Raw moment of the scalar, infinite when it diverges."""
        inner = self._integral(self.link.value(self._gauss_points) ** order)
        return inner + sum(self._tail(order, side) for side in (0, -1))

    @cached_property
    def _gauss_points(self) -> Array:
        return 0.5 * (self.edges[1:] + self.edges[:-1])[:, None] + 0.5 * np.diff(self.edges)[:, None] * _XI

    def _integral(self, values: Array) -> float:
        """Integral of the density times a function given at the Gauss points."""
        return float((0.5 * np.diff(self.edges)) @ (self.at_gauss * values) @ _GAUSS)

    def _tail(self, order: int, side: int) -> float:
        """Integral beyond an end; the density is negligible there, but a power of the scalar may not be."""
        if self.link.bounded or side == 0:  # exp(x) -> 0: a power of it adds less than the mass, which is negligible
            return 0.0
        end, outward = float(self.edges[side]), (1.0 if side == -1 else -1.0)

        def log_integrand(x: Array) -> Array:
            with np.errstate(divide="ignore", over="ignore"):
                return np.asarray(self.log_density(x) + order * np.log(self.link.value(x)))

        near = log_integrand(np.array([end, end + outward]))
        rate = float(near[0] - near[1])
        if not np.isfinite(rate):
            return 0.0
        if rate < 1e-3:
            return np.inf if near[1] > -600.0 else 0.0
        x = end + outward * 0.5 * (46.0 / rate) * (_XI + 1.0)
        values = log_integrand(x)
        if values.max() > 700.0:  # it falls so slowly that the scalar leaves float64 first
            return np.inf
        return float((0.5 * (46.0 / rate) * _GAUSS * np.exp(values)).sum())


def marginal(
    name: str, log_density: LogFunction, low: float, high: float, link: Link = EXP, *, rounding: float = 0.0
) -> Marginal:
    """Build a :class:`Marginal` from the normalised log density of its working variable on [low, high].

    Parameters
    ----------
    rounding : float
        Of the log density, which is not resolved further.

    Warns
    -----
    AccuracyWarning
        If the density is too rough for the cells it may take.
    """
    found = _cells(log_density, low, high, rounding)
    if not abs(found.mass.sum() - 1.0) < _MOST_MISSING:  # narrower than all cells, it lay between their points
        found = _cells(log_density, *around_peaks(log_density, np.linspace(low, high, 401), name), rounding)
    if found.unresolved > ASKED_ACCURACY:
        warn(f"probabilities of {name} are right to {found.unresolved:.0e} only: its density is rough", AccuracyWarning)
    if not abs(found.mass.sum() - 1.0) < _MOST_MISSING:
        text = f"the distribution of {name} is wrong: its probabilities add up to {found.mass.sum():.2g}"
        warn(f"{text}, for prior and data are too far apart for it", AccuracyWarning)
    return Marginal(name, log_density, found.edges, found.coefficients, found.density, found.mass, link)


class _Cells(NamedTuple):
    edges: Array
    coefficients: Array
    density: Array
    mass: Array
    unresolved: float


def _cells(log_density: LogFunction, low: float, high: float, rounding: float) -> _Cells:
    edges, values, unresolved = adaptive_cells(log_density, np.linspace(low, high, 25), 1e-13 + rounding)
    density = np.exp(values)
    coefficients = density @ TO_LEGENDRE
    return _Cells(edges, coefficients, density, np.diff(edges) * coefficients[:, 0], unresolved)


@dataclass(frozen=True, eq=False)
class Correlation(Marginal):
    """Distribution of a correlation; the working variable is its inverse hyperbolic tangent."""

    @property
    def log_sd(self) -> float:
        """NaN: a correlation has no logarithm."""
        return np.nan


_BELOW_ONE = float(np.nextafter(1.0, 0.0))

#: A correlation from its inverse hyperbolic tangent, with log slope ``-2 log cosh x``.
TANH = Link(
    np.tanh, lambda r: np.arctanh(np.clip(r, -_BELOW_ONE, _BELOW_ONE)),
    lambda x: 2.0 * (np.log(2.0) - np.logaddexp(x, -x)), bounded=True, ends=(-1.0, 1.0),
)  # fmt: skip


def correlation(name: str, log_density: LogFunction, ends: tuple[float, float]) -> Correlation:
    """Build the distribution of a correlation from the log density of its inverse hyperbolic tangent on a range."""
    one = marginal(name, log_density, *ends, TANH, rounding=1e-7)
    return Correlation(name, log_density, one.edges, one.coefficients, one.at_gauss, one.mass, one.link)


def marginal_of_rule(name: str, log_density: LogFunction, rule: LineRule) -> Marginal:
    """:func:`marginal` over the range of a quadrature rule."""
    return marginal(name, log_density, *rule.ends, EXP, rounding=rule.rounding)


def transformed(base: Marginal, name: str, link: Link) -> Marginal:
    """Return the distribution of another monotone function of the same working variable."""
    return Marginal(name, base.log_density, base.edges, base.coefficients, base.at_gauss, base.mass, link)


@dataclass(frozen=True)
class PointMass:
    """A scalar known exactly, or plugged in: no uncertainty is attached to it.

    Attributes
    ----------
    name : str
    value : float
    """

    known: ClassVar[Literal[True]] = True
    name: str
    value: float

    @property
    def mean(self) -> float:
        """The value."""
        return self.value

    median = mode = log_mode = mean

    @property
    def sd(self) -> float:
        """Zero."""
        return 0.0

    log_sd = sd

    def quantile(self, q: ArrayLike) -> Array:
        """The value, for every probability."""
        return np.full(np.shape(q), self.value)

    def cdf(self, value: ArrayLike) -> Array:
        """0 below the value, 1 from it on."""
        return np.where(np.asarray(value) >= self.value, 1.0, 0.0)

    def interval(self, level: float = 0.95) -> Interval:  # noqa: ARG002
        """An interval of length zero."""
        return Interval(self.value, self.value)

    def hdi(self, level: float = 0.94) -> Interval:  # noqa: ARG002
        """An interval of length zero."""
        return Interval(self.value, self.value)


def monotone_link(
    value: Callable[[Array], Array],
    log_slope: Callable[[Array], Array],
    low: float,
    high: float,
    ends: tuple[float, float],
) -> Link:
    """Link of a decreasing, bounded function of x whose inverse has no formula (the effective dof, say)."""

    def inverse(values: Array) -> Array:
        def solve(target: float) -> float:
            if target >= float(value(np.array(low))):
                return low
            if target <= float(value(np.array(high))):
                return high
            return float(brentq(lambda x: float(value(np.array(x))) - target, low, high, xtol=1e-13))

        return np.asarray(np.vectorize(solve, otypes=[np.float64])(values))

    return Link(value, inverse, log_slope, increasing=False, bounded=True, ends=ends)
