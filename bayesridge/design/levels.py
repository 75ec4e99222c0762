"""Level effects as codes: the columns of random effects, of which a row has one for each part, never laid out.

A block is one grouping variable. Its columns are the products of the dummies of its levels with one or more parts: a
column of ones (intercepts of the levels) and predictors (their slopes), level by level. One part has one variance;
several parts of one block are correlated within a level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bayesridge.design.moments import CrossProducts, cross_products
from bayesridge.design.row_source import ArrayRows, RowIndex
from bayesridge.errors import DataError

Array = NDArray[np.float64]

#: Rows times columns of a table with level effects that is laid out where that is simplest.
LAID_OUT = 1 << 20


@dataclass(frozen=True, eq=False)
class Levels:
    """The effects of the levels of one variable.

    Attributes
    ----------
    name : str
        Of the group: ``"shop"``, say.
    codes : ndarray of int, shape (n,)
        Level of each row; -1 where it has none, or one that was never seen: such a row has no effect of these.
    labels : tuple of str
        Names of the levels.
    columns : ndarray of shape (n, k) or None
        What the effects multiply; None is a column of ones, k > 1 columns have correlated effects.
    parts : tuple of str
        Names of those columns, empty for the ones: ``("", "days")``.
    """

    name: str
    codes: NDArray[np.intp]
    labels: tuple[str, ...]
    columns: Array | None = None
    parts: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        n, k = len(self.codes), len(self.parts)
        if self.columns is not None and self.columns.shape != (n, k):
            raise DataError(f"{self.name} has columns of shape {self.columns.shape}, where ({n}, {k}) was expected")
        if n and not -1 <= int(self.codes.min()) <= int(self.codes.max()) < len(self.labels):
            raise DataError(f"codes of {self.name} must lie between -1 and {len(self.labels) - 1}")

    @property
    def n_columns(self) -> int:
        """Number of effects: levels times parts."""
        return len(self.labels) * len(self.parts)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the effects, ``shop[north]`` or ``shop[north]:days``, level by level."""
        ends = [f":{part}" if part else "" for part in self.parts]
        return tuple([f"{self.name}[{label}]{end}" for label in self.labels for end in ends])

    @property
    def values(self) -> Array:
        """What the effects multiply, (n, k)."""
        return np.ones((len(self.codes), 1)) if self.columns is None else self.columns

    def take(self, rows: RowIndex) -> Levels:
        """Some rows."""
        columns = None if self.columns is None else self.columns[rows]
        return Levels(self.name, self.codes[rows], self.labels, columns, self.parts)

    @property
    def sparse(self) -> csr_array:
        """The columns as a sparse matrix, (n, n_columns)."""
        n, k = len(self.codes), len(self.parts)
        seen = self.codes >= 0
        column = (self.codes[seen, None] * k + np.arange(k)).ravel()
        start = np.concatenate([[0], np.cumsum(k * seen)])
        return csr_array((self.values[seen].ravel(), column, start), shape=(n, self.n_columns))

    def signals(self, weights: Array | None, n_obs: float) -> Array:
        """For each part, the weighted sum of squares of its columns over the number of observations: 1 for dummies.

        With it ``R^2 = W / (1 + W)``, ``W = signal tau^2 / sigma^2``, is the intraclass correlation of intercepts.
        """
        w = (self.codes >= 0).astype(np.float64)
        return np.asarray((w if weights is None else w * weights) @ np.square(self.values) / n_obs)


@dataclass(frozen=True, eq=False)
class LevelRows:
    """Rows of predictors beside level effects: a :class:`~bayesridge.design.row_source.RowSource`.

    Attributes
    ----------
    X : ndarray of shape (n, p)
        Columns that are numbers, the first of the table.
    levels : tuple of Levels
        Their columns follow, block by block.
    """

    X: Array
    levels: tuple[Levels, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, those of the level effects included."""
        return len(self.X), self.X.shape[1] + sum(block.n_columns for block in self.levels)

    @property
    def starts(self) -> list[int]:
        """First column of each block, and the end of the last."""
        sizes = [self.X.shape[1], *[block.n_columns for block in self.levels]]
        return list(accumulate(sizes))

    @property
    def unscaled(self) -> NDArray[np.intp]:
        """Columns of level effects, which are not scaled."""
        return np.arange(self.X.shape[1], self.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the level effects."""
        return tuple([name for block in self.levels for name in block.names])

    def take(self, rows: RowIndex) -> Array:
        """Some rows as an array, level effects laid out."""
        return np.hstack([self.X[rows], *[block.take(rows).sparse.toarray() for block in self.levels]])

    def pick(self, rows: RowIndex) -> LevelRows:
        """Some rows as they are."""
        return LevelRows(self.X[rows], tuple([block.take(rows) for block in self.levels]))

    def blocks(self) -> Iterator[slice]:
        """Rows that stay in the cache once they are laid out."""
        n, p = self.shape
        size = max(1, (1 << 17) // max(p, 1))
        return (slice(start, min(start + size, n)) for start in range(0, n, size))

    def moments(self, y: Array, weights: Array | None, *, center: bool) -> CrossProducts:
        """Means and centred cross-products, of all columns laid out: for tables of few levels."""
        return cross_products(self.take(slice(None)), y, weights, center=center)

    def squares(self, weights: Array, mean: Array) -> Array:
        """Weighted sums of squares of the level effects' columns about these means."""
        parts: list[Array] = [weights @ block.sparse.power(2) for block in self.levels]
        return np.asarray(np.concatenate(parts) - weights.sum() * np.square(mean))

    def times(self, right: Array) -> Array:
        """``X @ right``."""
        first, *starts = self.starts
        out = self.X @ right[:first]
        for start, end, block in zip([first, *starts], starts, self.levels, strict=False):
            out = out + block.sparse @ right[start:end]
        return np.asarray(out)

    def cross(self, left: Array) -> Array:
        """``left @ X``."""
        parts = [left @ self.X, *[np.asarray((block.sparse.T @ left.T).T) for block in self.levels]]
        return np.concatenate(parts, axis=-1)


def level_rows(X: Array, levels: tuple[Levels, ...]) -> ArrayRows | LevelRows:
    """Rows of predictors, beside level effects where there are any."""
    return LevelRows(X, levels) if levels else ArrayRows(X)


def codes_of(rows: object) -> LevelRows | None:
    """Rows whose level effects are codes, as they are; None for all others."""
    return rows if isinstance(rows, LevelRows) else None


def times_about(X: Array | LevelRows, mean: Array, right: Array) -> Array:
    """``(X - mean) @ right``, right of shape (p,), centred first: columns with large offsets lose no digits."""
    if not isinstance(X, LevelRows):
        return np.asarray((X - mean) @ right)
    first = X.X.shape[1]
    effects = LevelRows(X.X[:, :0], X.levels).times(right[first:])
    return np.asarray((X.X - mean[:first]) @ right[:first] + effects - mean[first:] @ right[first:])


def levels_of(source: object) -> tuple[Levels, ...]:
    """The level effects among the rows of a table."""
    return source.levels if isinstance(source, LevelRows) else ()
