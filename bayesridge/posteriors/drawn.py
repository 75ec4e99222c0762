"""Quantities that are known by draws: weighted ones in independent replicates, and those of Markov chains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.row_source import RowIndex
from bayesridge.hyper.marginal import Interval
from bayesridge.posteriors.quantity import Quantity, check_level, probability

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class WeightedQuantity(Quantity):
    """Weighted draws in independent replicates (importance sampling), each replicate an estimate of its own.

    Attributes
    ----------
    labels : tuple of str
    values : ndarray of shape (R, S, m)
        S draws in each of R replicates.
    weight : ndarray of shape (R, S)
        Not negative; the sum over everything is one.
    """

    labels: tuple[str, ...]
    values: Array
    weight: Array

    @cached_property
    def _flat(self) -> tuple[Array, Array]:
        return self.values.reshape(-1, len(self)), self.weight.ravel()

    @cached_property
    def mean(self) -> Array:
        """Weighted means, shape (m,)."""
        values, weight = self._flat
        return np.asarray(weight @ values)

    @cached_property
    def sd(self) -> Array:
        """Weighted standard deviations, shape (m,)."""
        values, weight = self._flat
        return np.sqrt(weight @ np.square(values - self.mean))

    @cached_property
    def mcse(self) -> Array:
        """Standard error of the mean from the spread of the replicates (R - 1 degrees of freedom), shape (m,)."""
        share = self.weight.sum(axis=1)
        each = np.einsum("rs,rsm->rm", self.weight, self.values) / share[:, None]
        count = len(share)
        # a ratio of sums: linearised about the common mean, each replicate by its share of the weight
        return np.asarray(np.sqrt(count * np.square(share[:, None] * (each - self.mean)).sum(axis=0) / (count - 1)))

    @property
    def sampling_errors(self) -> dict[str, Array]:
        """Standard errors of the means."""
        return {"mcse": self.mcse}

    def take(self, index: RowIndex) -> WeightedQuantity:
        """Some of the numbers."""
        return replace(self, labels=tuple(np.array(self.labels, dtype=object)[index]), values=self.values[..., index])

    @cached_property
    def _sorted(self) -> tuple[Array, Array]:
        """Values in order, and the weight up to the middle of each draw: (n, m) both."""
        values, weight = self._flat
        order = np.argsort(values, axis=0, kind="stable")
        share = weight[order]
        return np.take_along_axis(values, order, axis=0), np.cumsum(share, axis=0) - 0.5 * share

    def quantile(self, q: float) -> Array:
        """Weighted quantile, shape (m,)."""
        values, below = self._sorted
        probability(q)
        return np.array([np.interp(q, below[:, j], values[:, j]) for j in range(len(self))])

    def cdf(self, value: ArrayLike) -> Array:
        """Weight of the draws up to `value`, shape (m,)."""
        values, weight = self._flat
        at = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),))
        return np.clip(weight @ (values <= at), 0.0, 1.0)

    def hdi(self, level: float = 0.94) -> Array:
        """Shortest interval with this share of the weight, shape (m, 2)."""
        check_level(level)
        values, below = self._sorted
        out = np.empty((len(self), 2))
        for j in range(len(self)):
            low = np.linspace(0.0, 1.0 - level, 513)
            ends = np.interp([low, low + level], below[:, j], values[:, j])
            out[j] = ends[:, int(np.argmin(ends[1] - ends[0]))]
        return out


@dataclass(frozen=True, eq=False, repr=False)
class DrawnQuantity(Quantity):
    """Draws of Markov chains.

    Attributes
    ----------
    labels : tuple of str
    values : ndarray of shape (chain, draw, m)
    """

    labels: tuple[str, ...]
    values: Array

    @cached_property
    def _flat(self) -> Array:
        return self.values.reshape(-1, len(self))

    @cached_property
    def mean(self) -> Array:
        """Means over all draws, shape (m,)."""
        return np.asarray(self._flat.mean(axis=0))

    @cached_property
    def sd(self) -> Array:
        """Standard deviations over all draws, shape (m,)."""
        return np.asarray(self._flat.std(axis=0, ddof=1))

    @cached_property
    def mcse(self) -> Array:
        """Monte Carlo standard error of the mean (ArviZ), shape (m,)."""
        return self._each("mcse", 0.0, method="mean")

    @cached_property
    def ess_bulk(self) -> Array:
        """Effective number of draws for means and medians, shape (m,)."""
        return self._each("ess", float(len(self._flat)), method="bulk")

    @cached_property
    def ess_tail(self) -> Array:
        """Effective number of draws for the 5% and 95% quantiles, shape (m,)."""
        return self._each("ess", float(len(self._flat)), method="tail", prob=(0.05, 0.95))

    @property
    def sampling_errors(self) -> dict[str, Array]:
        """Monte Carlo standard error of the mean, and effective draws."""
        return {"mcse": self.mcse, "ess_bulk": self.ess_bulk, "ess_tail": self.ess_tail}

    def _each(self, function: str, constant: float, **options: Any) -> Array:
        import arviz as az

        of = getattr(az, function)
        moving = (self._flat != self._flat[0]).any(axis=0)  # a value that every draw shares is no chain to judge
        return np.array(
            [float(of(self.values[..., j], **options)) if moving[j] else constant for j in range(len(self))]
        )

    def take(self, index: RowIndex) -> DrawnQuantity:
        """Some of the numbers."""
        return replace(self, labels=tuple(np.array(self.labels, dtype=object)[index]), values=self.values[..., index])

    def quantile(self, q: float) -> Array:
        """Sample quantile, shape (m,)."""
        return np.asarray(np.quantile(self._flat, probability(q), axis=0))

    def cdf(self, value: ArrayLike) -> Array:
        """Share of the draws up to `value`, shape (m,)."""
        return np.asarray((self._flat <= np.asarray(value, dtype=np.float64)).mean(axis=0))

    def hdi(self, level: float = 0.94) -> Array:
        """Shortest interval with this share of the draws, shape (m, 2)."""
        check_level(level)
        ordered = np.sort(self._flat, axis=0)
        span = min(max(round(level * len(ordered)), 1), len(ordered) - 1)
        start = np.argmin(ordered[span:] - ordered[:-span], axis=0)
        columns = np.arange(len(self))
        return np.column_stack([ordered[start, columns], ordered[start + span, columns]])


@dataclass(frozen=True, eq=False)
class DrawnScalar:
    """A scale, by its draws.

    Attributes
    ----------
    name : str
    values : ndarray of shape (chain, draw)
    """

    name: str
    values: Array

    @cached_property
    def known(self) -> bool:
        """Whether all draws are one value."""
        return bool((self.values == self.values.flat[0]).all())

    @property
    def _moments(self) -> bool:
        """Whether draws may be averaged: means of lambda and tau are often infinite, and an average hides that."""
        return self.known or self.name not in ("lambda", "tau")

    @property
    def mean(self) -> float:
        """Mean of the draws; NaN for lambda and tau, whose mean may be infinite."""
        return float(self.values.mean()) if self._moments else np.nan

    @property
    def sd(self) -> float:
        """Standard deviation of the draws; NaN for lambda and tau."""
        if self.known:
            return 0.0
        return float(self.values.std(ddof=1)) if self._moments else np.nan

    @property
    def log_sd(self) -> float:
        """Standard deviation of the logarithms of the draws."""
        return 0.0 if self.known else float(np.log(self.values).std(ddof=1))

    @property
    def median(self) -> float:
        """Posterior median."""
        return float(np.median(self.values))

    def quantile(self, q: ArrayLike) -> Array:
        """Sample quantiles."""
        return np.asarray(np.quantile(self.values, np.asarray(q, dtype=np.float64)))

    def cdf(self, value: ArrayLike) -> Array:
        """Share of the draws up to `value`."""
        at = np.asarray(value, dtype=np.float64)
        ordered = np.sort(self.values, axis=None)
        return np.asarray(np.searchsorted(ordered, at, side="right") / ordered.size)

    def interval(self, level: float = 0.95) -> Interval:
        """Equal-tailed interval."""
        low, high = self.quantile([0.5 * (1.0 - level), 0.5 * (1.0 + level)])
        return Interval(float(low), float(high))

    def hdi(self, level: float = 0.94) -> Interval:
        """Shortest interval with this share of the draws."""
        ends = DrawnQuantity((self.name,), self.values[..., None]).hdi(level)[0]
        return Interval(float(ends[0]), float(ends[1]))
