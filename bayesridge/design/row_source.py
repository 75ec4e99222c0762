"""Where the rows of the predictors are: all that the linear algebra asks of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.moments import CrossProducts, cross_products

Array = NDArray[np.float64]
RowIndex = NDArray[np.intp] | NDArray[np.bool_] | slice

_BLOCK_VALUES = 1 << 17  # numbers in a block of rows: it stays in the cache


class RowSource(Protocol):
    """The n rows of p predictors. A table in memory is one case; files in batches or sparse matrices are others."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (n, p)."""

    def take(self, rows: RowIndex) -> Array:
        """Some rows as an array, in the units of the data (a view, where it can be)."""

    def blocks(self) -> Iterator[slice]:
        """Consecutive rows that are best taken together, from the first to the last."""

    def moments(self, y: Array, weights: Array | None, *, center: bool) -> CrossProducts:
        """Weighted means and centred cross-products of ``[X, y]``."""

    def times(self, right: Array) -> Array:
        """``X @ right``, right of shape (p,) or (p, k)."""

    def cross(self, left: Array) -> Array:
        """``left @ X``, left of shape (n,) or (k, n)."""


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """A table in memory.

    Attributes
    ----------
    X : ndarray of shape (n, p)
        As given: a reference, not a copy.
    """

    X: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.X.shape[0], self.X.shape[1]

    def take(self, rows: RowIndex) -> Array:
        """Some rows, a view where they are a slice."""
        return self.X[rows]

    def blocks(self) -> Iterator[slice]:
        """Rows that stay in the cache."""
        n, p = self.shape
        size = max(1, _BLOCK_VALUES // max(p, 1))
        return (slice(start, min(start + size, n)) for start in range(0, n, size))

    def moments(self, y: Array, weights: Array | None, *, center: bool) -> CrossProducts:
        """Means and centred cross-products in one pass."""
        return cross_products(self.X, y, weights, center=center)

    def times(self, right: Array) -> Array:
        """``X @ right``."""
        return np.asarray(self.X @ right)

    def cross(self, left: Array) -> Array:
        """``left @ X``."""
        return np.asarray(left @ self.X)


def row_source(X: Array | RowSource) -> RowSource:
    """Return the source itself, or that of a table in memory."""
    return ArrayRows(X) if isinstance(X, np.ndarray) else X
