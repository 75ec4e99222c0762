"""Linear predictors of many rows by draws of the coefficients, with the noise of a new observation integrated.

Given a draw a new observation is normal, so that its noise is integrated exactly rather than drawn: means, standard
deviations and quantiles carry the Monte Carlo error of the parameters only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.row_source import RowIndex
from bayesridge.errors import DataError
from bayesridge.posteriors.drawn import DrawnQuantity
from bayesridge.posteriors.mixture import Mixture
from bayesridge.posteriors.quantity import Quantity, check_level

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 21  # draws x rows worked on at a time


@dataclass(frozen=True, eq=False, repr=False)
class RowDraws(Quantity):
    """The expected target of m rows, or a new observation there, from draws; the draws x rows are never held at once.

    Attributes
    ----------
    labels : tuple of str
    centre : ndarray of shape (chain, draw)
        Expected target at the column means.
    coef : ndarray of shape (chain, draw, p)
    sigma : ndarray of shape (chain, draw)
    rows : ndarray of shape (m, p)
        Deviations of the rows from the column means, in the units of the data.
    noise : ndarray of shape (m,) or None
        Noise variances of new observations in units of sigma^2; None for the expected target.
    """

    labels: tuple[str, ...]
    centre: Array
    coef: Array
    sigma: Array
    rows: Array
    noise: Array | None = None

    @cached_property
    def mean(self) -> Array:
        """Posterior means, shape (m,)."""
        return np.asarray(self.centre.mean() + self.rows @ self.coef.mean(axis=(0, 1)))

    @cached_property
    def sd(self) -> Array:
        """Posterior standard deviations, shape (m,)."""
        deviations = np.column_stack([np.ones(len(self.rows)), self.rows])
        both = np.column_stack([self.centre.ravel(), self.coef.reshape(-1, self.coef.shape[-1])])
        covariance = np.atleast_2d(np.cov(both, rowvar=False))
        variance = np.asarray((deviations @ covariance * deviations).sum(axis=1)).clip(min=0.0)
        if self.noise is not None:
            variance = variance + np.mean(np.square(self.sigma)) * self.noise
        return np.sqrt(variance)

    @cached_property
    def mcse(self) -> Array:
        """Monte Carlo standard errors of the means, shape (m,)."""
        return replace(self, noise=None)._each(lambda drawn: drawn.mcse, _nothing)

    def take(self, index: RowIndex) -> RowDraws:
        """Some of the rows."""
        labels = tuple(np.array(self.labels, dtype=object)[index])
        noise = None if self.noise is None else self.noise[index]
        return replace(self, labels=labels, rows=self.rows[index], noise=noise)

    def quantile(self, q: float) -> Array:
        """Quantile at probability q, shape (m,)."""
        if not 0.0 < q < 1.0:
            raise DataError(f"a probability strictly between 0 and 1 is needed, got {q}")
        return self._each(lambda drawn: drawn.quantile(q), lambda mixture: mixture.quantile(q))

    def cdf(self, value: ArrayLike) -> Array:
        """``P(quantity <= value)``, shape (m,)."""
        at = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),))
        return self._each(DrawnQuantity.cdf, Mixture.cdf, at)

    def log_pdf(self, value: ArrayLike) -> Array:
        """Log density of new observations at `value`, shape (m,)."""
        if self.noise is None:
            raise DataError("draws have no density: that of a new observation is there, its expectation's is not")
        at = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),))
        return self._each(_nothing, Mixture.log_pdf, at)

    def hdi(self, level: float = 0.94) -> Array:
        """Shortest intervals, shape (m, 2)."""
        check_level(level)
        return self._each(
            lambda drawn: drawn.hdi(level), lambda mixture: np.column_stack(mixture.shortest_interval(level))
        )

    def _each(self, of_draws: Callable[..., Array], of_mixture: Callable[..., Array], *at: Array) -> Array:
        """Apply a function to blocks of rows: to their draws, or with noise to the mixture of normals."""
        total, found = self.sigma.size, []
        size = max(1, _BLOCK_VALUES // total)
        for start in range(0, max(len(self), 1), size):
            part = slice(start, start + size)
            values = self.centre[..., None] + self.coef @ self.rows[part].T
            given = [of_rows[part] for of_rows in at]
            if self.noise is None:
                found.append(of_draws(DrawnQuantity(self.labels[part], values), *given))
            else:
                scale = np.sqrt(self.noise[part])[:, None] * self.sigma.ravel()
                mixture = Mixture(values.reshape(total, -1).T, scale, np.full(total, 1.0 / total), np.inf)
                found.append(of_mixture(mixture, *given))
        return np.concatenate(found)


def _nothing(*_: object) -> Array:
    raise AssertionError("never called")
