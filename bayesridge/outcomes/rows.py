"""New observations of rows, each a mixture over draws of eta: counts with probabilities, not samples of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.row_source import RowIndex
from bayesridge.errors import DataError
from bayesridge.outcomes.family import Family
from bayesridge.posteriors.drawn import WeightedQuantity
from bayesridge.posteriors.quantity import Quantity, check_level

Array = NDArray[np.float64]

_THINNED = 2_048  # draws of eta that make a distribution function: each is a whole distribution
_BLOCK_VALUES = 1 << 22
_HDI_STARTS = 65


class PlaneDraws(NamedTuple):
    """Weighted draws of eta as a function of the columns: ``centre + deviations @ coef``.

    Attributes
    ----------
    coef : ndarray of shape (R, S, p)
    centre : ndarray of shape (R, S)
        At the column means.
    weight : ndarray of shape (R, S)
    extra : ndarray of shape (..., R, S) or None
        Of the family's further parameters.
    """

    coef: Array
    centre: Array
    weight: Array
    extra: Array | None = None

    def of(self, family: Family) -> Family:
        """Return the family with each draw's further parameter, for eta of shape (R, S, m)."""
        return family if self.extra is None else family.given(self.extra[..., None])

    def flat(self, family: Family) -> Family:
        """Return it for eta of shape (R * S, m)."""
        return family if self.extra is None else family.given(self.extra.reshape(*self.extra.shape[:-2], -1, 1))

    def eta(self, deviations: Array) -> Array:
        """Eta at rows, given by the columns' deviations from their means (m, p): (R, S, m)."""
        return np.asarray(self.centre[..., None] + self.coef @ deviations.T)

    def at_most(self, count: int) -> PlaneDraws:
        """At most `count` draws of each replicate: resampled within each, systematically, to equal weights."""
        if self.weight.shape[1] <= count:
            return self
        at = (np.arange(count) + 0.5) / count
        share = self.weight.sum(axis=1, keepdims=True)
        picked = np.array([np.searchsorted(np.cumsum(w)[:-1] / w.sum(), at) for w in self.weight])
        rows = np.arange(len(picked))[:, None]
        equal = np.broadcast_to(share / count, picked.shape)
        extra = None if self.extra is None else self.extra[..., rows, picked]
        return PlaneDraws(self.coef[rows, picked], self.centre[rows, picked], equal, extra)


@dataclass(frozen=True, eq=False)
class CountMixture:
    """m outcomes, each a weighted mixture of the family over D draws of eta.

    Attributes
    ----------
    family : Family
    eta : ndarray of shape (D, m)
        With the offset.
    weight : ndarray of shape (D, 1) or (D, m)
        Summing to one over draws.
    trials : ndarray of shape (m,) or None
    """

    family: Family
    eta: Array
    weight: Array
    trials: Array | None

    @property
    def components(self) -> int:
        """Number of draws."""
        return len(self.eta)

    @cached_property
    def mean(self) -> Array:
        """E[y], shape (m,)."""
        return np.asarray((self.weight * self.family.mean(self.eta, self.trials)).sum(axis=0))

    @cached_property
    def sd(self) -> Array:
        """Standard deviation: of the mean over draws, and of y given each."""
        with np.errstate(over="ignore"):  # counts of 1e154 have squares beyond float64: infinite
            far = np.square(self.family.mean(self.eta, self.trials) - self.mean)
            return np.sqrt(np.square(self.noise_sd) + (self.weight * far).sum(axis=0))

    @cached_property
    def noise_sd(self) -> Array:
        """Of y given each draw; no difference of variances, of which far away nothing is left."""
        return np.sqrt((self.weight * self.family.variance(self.eta, self.trials)).sum(axis=0))

    def cdf(self, value: Array) -> Array:
        """P(y <= value) of each, shape (m,)."""
        at = np.floor(value) if self.family.whole else value
        below = (self.weight * self.family.cdf(at, self.eta, self.trials)).sum(axis=0)
        return np.clip(below, 0.0, 1.0)

    def log_pdf(self, value: Array) -> Array:
        """Log P(y = value) of each, shape (m,)."""
        with np.errstate(divide="ignore"):
            terms = self.family.log_density(self.eta, value, self.trials) + np.log(self.weight)
        return np.asarray(np.logaddexp.reduce(terms, axis=0))

    def pit(self, y: Array) -> Array:
        """Randomised probability integral transform: uniform on [P(Y < y), P(Y <= y)] (Czado, Gneiting & Held 2009)."""
        if not self.family.whole:
            return self.cdf(y)
        u = np.random.default_rng(np.abs(y).astype(np.int64).sum() + len(y)).random(len(y))
        return np.asarray(np.clip(self.cdf(y) - u * np.exp(self.log_pdf(y)), 0.0, 1.0))

    def simulate(self, count: int, rng: np.random.Generator) -> Array:
        """Outcomes, each row by itself, (count, m)."""
        m = self.eta.shape[1]
        below = np.cumsum(np.broadcast_to(self.weight, self.eta.shape), axis=0)
        u = rng.random((count, m)) * below[-1]
        at = np.column_stack([np.searchsorted(below[:-1, j], u[:, j]) for j in range(m)])
        family = self.family.picked(self.eta.shape, (at, np.arange(m)))
        return np.asarray(family.simulate(self.eta[at, np.arange(m)], self.trials, rng))

    def interval(self, level: float) -> Array:
        """Equal-tailed intervals, (m, 2)."""
        tail = 0.5 * (1.0 - level)
        return np.column_stack([self.quantile(tail), self.quantile(1.0 - tail)])

    def quantile(self, q: float) -> Array:
        """Smallest y with P(Y <= y) >= q, shape (m,), by bisection."""
        if not self.family.whole:
            return self._between(q)
        low = np.full(self.eta.shape[1], -1.0)
        high = np.ceil(self.mean + 4.0 * self.sd) + 1.0
        for _ in range(200):
            short = self.cdf(high) < q
            if not short.any():
                break
            low = np.where(short, high, low)
            high = np.where(short, 2.0 * high + 1.0, high)
        while (high - low > 1.0).any():
            # above 2^53 neighbouring numbers are more than one apart
            middle = np.floor(0.5 * (low + high))
            if ((middle <= low) | (middle >= high))[high - low > 1.0].all():
                break
            enough = self.cdf(middle) >= q
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high

    def _between(self, q: float) -> Array:
        """Of a number that need not be whole: bisection from where most of the mixture lies."""
        expected = self.family.mean(self.eta, self.trials)
        unit = np.sqrt(
            np.square(np.ptp(expected, axis=0)) + np.min(self.family.variance(self.eta, self.trials), axis=0)
        )
        unit = np.where(np.isfinite(unit), unit, np.ptp(expected, axis=0) + 1e-9 * np.abs(expected).max(axis=0))
        low, high = self.mean - 4.0 * unit, self.mean + 4.0 * unit
        for _ in range(200):
            above, below = self.cdf(low) > q, self.cdf(high) < q
            if not (above | below).any():
                break
            low, high = np.where(above, low - 2.0 * (high - low), low), np.where(below, high + 2.0 * (high - low), high)
        for _ in range(60):
            if (high - low <= 1e-7 * unit).all():
                break
            middle = 0.5 * (low + high)
            enough = self.cdf(middle) >= q
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return 0.5 * (low + high)


@dataclass(frozen=True, eq=False)
class NewRows(Quantity):
    """New observations, or what is expected of them, for rows of a table, block by block.

    Attributes
    ----------
    labels : tuple of str
    family : Family
    draws : PlaneDraws
    deviations : ndarray of shape (m, p)
        Of the columns from their means.
    offset : ndarray of shape (m,)
    trials : ndarray of shape (m,) or None
    """

    labels: tuple[str, ...]
    family: Family
    draws: PlaneDraws
    deviations: Array
    offset: Array
    trials: Array | None

    def _eta(self, draws: PlaneDraws, part: slice) -> Array:
        return draws.eta(self.deviations[part]) + self.offset[part]

    def _expected(self, part: slice) -> WeightedQuantity:
        trials = None if self.trials is None else self.trials[part]
        values = self.draws.of(self.family).mean(self._eta(self.draws, part), trials)
        return WeightedQuantity(self.labels[part], values, self.draws.weight)

    def _mixture(self, part: slice, *, thinned: bool) -> CountMixture:
        draws = self.draws.at_most(_THINNED // len(self.draws.weight)) if thinned else self.draws
        trials = None if self.trials is None else self.trials[part]
        flat = draws.weight.reshape(-1, 1) / draws.weight.sum()
        return CountMixture(draws.flat(self.family), self._eta(draws, part).reshape(len(flat), -1), flat, trials)

    def _blocks(self, function: Callable[[slice], Array]) -> Array:
        size = max(1, _BLOCK_VALUES // self.draws.weight.size)
        parts = [slice(k, k + size) for k in range(0, len(self), size)]
        return np.concatenate([function(part) for part in parts])

    def take(self, index: RowIndex) -> NewRows:
        """Some of the rows."""
        labels = tuple(np.array(self.labels, dtype=object)[index])
        trials = None if self.trials is None else self.trials[index]
        return replace(self, labels=labels, deviations=self.deviations[index], offset=self.offset[index], trials=trials)

    @cached_property
    def mean(self) -> Array:
        """E[y] of each row, shape (m,)."""
        return self._blocks(lambda part: self._expected(part).mean)

    @cached_property
    def mcse(self) -> Array:
        """Standard error of the mean, shape (m,)."""
        return self._blocks(lambda part: self._expected(part).mcse)

    @property
    def sampling_errors(self) -> dict[str, Array]:
        """Standard errors of the means."""
        return {"mcse": self.mcse}


class ExpectedRows(NewRows):
    """The expected outcome of each row: the uncertainty is that of the parameters."""

    @cached_property
    def sd(self) -> Array:
        """Standard deviation of the expectation, shape (m,)."""
        return self._blocks(lambda part: self._expected(part).sd)

    def quantile(self, q: float) -> Array:
        """Quantile, shape (m,)."""
        return self._blocks(lambda part: self._expected(part).quantile(q))

    def cdf(self, value: ArrayLike) -> Array:
        """P(expectation <= value), shape (m,)."""
        at = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),))
        return self._blocks(lambda part: self._expected(part).cdf(at[part]))

    def hdi(self, level: float = 0.94) -> Array:
        """Shortest intervals, shape (m, 2)."""
        return self._blocks(lambda part: self._expected(part).hdi(level))


class ObservedRows(NewRows):
    """A new observation of each row."""

    @cached_property
    def sd(self) -> Array:
        """Predictive standard deviation, shape (m,)."""
        return self._blocks(lambda part: self._mixture(part, thinned=False).sd)

    @cached_property
    def noise_sd(self) -> Array:
        """The part of it that is noise, shape (m,)."""
        return self._blocks(lambda part: self._mixture(part, thinned=False).noise_sd)

    def quantile(self, q: float) -> Array:
        """Smallest outcome with at least this probability up to it, shape (m,)."""
        if not 0.0 < q < 1.0:
            raise DataError(f"a probability strictly between 0 and 1 is needed, got {q}")
        return self._blocks(lambda part: self._mixture(part, thinned=True).quantile(q))

    def cdf(self, value: ArrayLike) -> Array:
        """P(y <= value), shape (m,)."""
        at = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),))
        return self._blocks(lambda part: self._mixture(part, thinned=True).cdf(at[part]))

    def log_pdf(self, value: ArrayLike) -> Array:
        """Log P(y = value), shape (m,)."""
        at = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),))
        return self._blocks(lambda part: self._mixture(part, thinned=False).log_pdf(at[part]))

    def hdi(self, level: float = 0.94) -> Array:
        """Shortest intervals (of whole numbers, where the outcome is one) that hold at least `level`, shape (m, 2)."""
        check_level(level)
        starts = np.linspace(0.0, 1.0 - level, _HDI_STARTS)
        ends = [
            np.column_stack([self.quantile(max(low, 1e-12)), self.quantile(min(low + level, 1 - 1e-12))])
            for low in starts
        ]
        every = np.array(ends)
        best = np.argmin(every[..., 1] - every[..., 0], axis=0)
        return np.asarray(every[best, np.arange(len(self))])
