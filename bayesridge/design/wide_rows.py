"""A wide table of float32, in memory or mapped from a file, in float64 a few columns at a time.

A million columns by 500 rows are 2 GB of float32; a copy in float64 would be four, its standardised rows four more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.moments import CrossProducts, cross_products
from bayesridge.design.row_source import RowIndex

Array = NDArray[np.float64]

_CHUNK_VALUES = 1 << 20
#: Numbers from which a table of float32 is worth more care than a copy.
LARGE = 10_000_000


def _chunks(n: int, p: int) -> Iterator[slice]:
    size = max(64, _CHUNK_VALUES // max(n, 1))
    return (slice(start, min(start + size, p)) for start in range(0, p, size))


@dataclass(frozen=True, eq=False)
class WideRows:
    """The rows of a table of float32 with at least as many columns as rows.

    Attributes
    ----------
    X : ndarray of shape (n, p)
        As given, float32.
    """

    X: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.X.shape[0], self.X.shape[1]

    def take(self, rows: RowIndex) -> Array:
        """Some rows, in float64."""
        return self.X[rows].astype(np.float64)

    def blocks(self) -> Iterator[slice]:
        """A row at a time."""
        return (slice(i, i + 1) for i in range(self.shape[0]))

    def moments(self, y: Array, weights: Array | None, *, center: bool) -> CrossProducts:
        """All p x p of them: for tables that are not that wide."""
        return cross_products(self.take(slice(None)), y, weights, center=center)

    def column_moments(self, w: Array, total: float, *, center: bool) -> tuple[Array, Array]:
        """Weighted means and centred sums of squares of the columns."""
        n, p = self.shape
        mean, squares = np.zeros(p), np.empty(p)
        with np.errstate(invalid="ignore", over="ignore"):
            for part in _chunks(n, p):
                X = self.X[:, part].astype(np.float64)
                if center:
                    mean[part] = (w / total) @ X
                    X -= mean[part]
                    mean[part] += (drift := w @ X / total)
                    X -= drift
                squares[part] = w @ np.square(X, out=X)
        return mean, squares

    def times(self, right: Array) -> Array:
        """``X @ right``."""
        return np.asarray(sum(self.X[:, part].astype(np.float64) @ right[part] for part in _chunks(*self.shape)))

    def cross(self, left: Array) -> Array:
        """``left @ X``."""
        found = [left @ self.X[:, part].astype(np.float64) for part in _chunks(*self.shape)]
        return np.concatenate(found, axis=-1)


@dataclass(frozen=True, eq=False)
class StandardRows:
    """The rows of a wide table centred, scaled and root-weighted: an array in all that is asked of one, made in chunks.

    Attributes
    ----------
    X : ndarray of shape (n, p)
    mean, scale : ndarray of shape (p,)
    weights : ndarray of shape (n,) or None
    center : bool
        Whether rows of weights are centred once more, see ``routes.weighted``.
    """

    X: NDArray[np.float32]
    mean: Array
    scale: Array
    weights: Array | None
    center: bool

    __array_ufunc__ = None  # products with arrays come here

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.X.shape[0], self.X.shape[1]

    def __getitem__(self, index: tuple[slice, RowIndex]) -> Array:
        """All rows of some columns."""
        _, columns = index
        rows = self.X[:, columns] - self.mean[columns]  # in float64
        rows *= 1.0 / self.scale[columns]
        if self.weights is not None:
            if self.center:
                rows -= (self.weights / self.weights.sum()) @ rows
            rows *= np.sqrt(self.weights)[:, None]
        return rows

    def gram(self) -> Array:
        """``rows @ rows.T``."""
        n = len(self.X)
        total = np.zeros((n, n))
        for part in _chunks(*self.shape):
            rows = self[:, part]
            total += rows @ rows.T
        return total

    def __matmul__(self, right: Array) -> Array:
        """``rows @ right``."""
        return np.asarray(sum(self[:, part] @ right[part] for part in _chunks(*self.shape)))

    def __rmatmul__(self, left: Array) -> Array:
        """``left @ rows``."""
        out = np.empty((*left.shape[:-1], self.shape[1]))
        for part in _chunks(*self.shape):
            out[..., part] = left @ self[:, part]
        return out
