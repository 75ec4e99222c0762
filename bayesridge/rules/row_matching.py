"""Pairs of rows that agree in every column to a tolerance, found in about n log n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Standard deviations: numbers that differ by less are the same number, computed in two ways.
SAME = 1e-9
_SLACK = 1.0 + 1e-6  # a difference of exactly one step is one step and some rounding
_DIRECTIONS = 3  # and the target: with more coordinates a k-d tree of 20000 rows visits most of its leaves
MOST_CANDIDATES = 20_000_000
_HEAD = 200
_FEW_NEIGHBOURS = 20
_FEW_COLUMNS = 8
_FULL_CELL = 100
_BLOCK_VALUES = 1 << 21


@dataclass(frozen=True, eq=False)
class Resolution:
    """How finely a column is written.

    Attributes
    ----------
    sd : float
    step : float
        Smallest difference of two values that are not the same.
    regular : bool
        Whether all differences are multiples of the step.
    codes : ndarray of int, shape (n,)
        Number of each value in increasing order, equal for equal values.
    """

    sd: float
    step: float
    regular: bool
    codes: Index


def resolution(values: Array) -> Resolution:
    """Find the step in which a column is written."""
    sd = float(values.std())
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = np.diff(ordered) > SAME * sd
    codes = np.empty(len(values), dtype=np.intp)
    codes[order] = np.concatenate([[0], np.cumsum(new)])
    if not new.any():
        return Resolution(sd, np.inf, True, codes)
    distinct = ordered[np.concatenate([[True], new])]
    step = float(np.diff(distinct).min())
    multiples = (distinct - distinct[0]) / step
    regular = bool(np.abs(multiples - np.round(multiples)).max() < 1e-4)
    return Resolution(sd, step, regular, codes)


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of different rows that agree, written by representatives of rows that are the same in every column.

    Attributes
    ----------
    first, second : ndarray of int
        Representatives that agree.
    representative : ndarray of int, shape (n,)
        The representative of each row, numbered from 0.
    copies : ndarray of int
        Rows that each representative stands for.
    """

    first: Index
    second: Index
    representative: Index
    copies: Index

    def count(self, where: NDArray[np.bool_] | slice = slice(None)) -> int:
        """Pairs of rows, those within a representative not counted."""
        return int(self.copies[self.first[where]] @ self.copies[self.second[where]])

    @property
    def same(self) -> int:
        """Pairs of rows within a representative."""
        return int((self.copies * (self.copies - 1) // 2).sum())


class TooManyPairsError(DataError):
    """So many rows nearly agree that they cannot be listed."""


class RowHash:
    """Sums of random multiples of the columns' codes, modulo 2^64: equal rows have equal sums."""

    def __init__(self, n: int) -> None:
        self._rng = np.random.default_rng(20240229)
        self.value = np.zeros(n, dtype=np.uint64)

    def add(self, codes: Index) -> None:
        """Add a column."""
        factor = self._rng.integers(1, 2**64 - 1, dtype=np.uint64) | np.uint64(1)
        self.value = self.value + codes.astype(np.uint64) * factor

    def labels(self) -> Index:
        """Number the different rows."""
        return np.asarray(np.unique(self.value, return_inverse=True)[1])


def matching_rows(values: Array, limits: Array, coarse: NDArray[np.bool_], exact: Index, cells: Index) -> Matches:
    """Find pairs of rows whose differences are within the limits in every column.

    Parameters
    ----------
    values : ndarray of shape (n, d)
    limits : ndarray of shape (d,)
        Largest difference in each column; not looked at for coarse ones.
    coarse : ndarray of bool, shape (d,)
        Columns in which rows have to be in the same cell.
    exact, cells : ndarray of int, shape (n,)
        Labels of rows that are the same in all columns; in the coarse ones.

    Raises
    ------
    TooManyPairsError
        If there are more than twenty million candidates.
    """
    from scipy.spatial import cKDTree

    _, index, representative, copies = np.unique(exact, return_index=True, return_inverse=True, return_counts=True)
    fine = np.flatnonzero(~coarse)
    scaled = values[np.ix_(index, fine)] / limits[fine]
    tree = cKDTree(np.column_stack([3.0 * cells[index], _projected(scaled)]))
    candidates = tree.count_neighbors(tree, _SLACK, p=np.inf)
    if candidates > 2 * MOST_CANDIDATES:
        raise TooManyPairsError(
            f"about {candidates / 2:.1g} pairs of rows are within the tolerance: it is too large for these data"
        )
    pairs = tree.query_pairs(_SLACK, p=np.inf, output_type="ndarray")
    pairs = pairs[_verified(scaled, pairs)]
    return Matches(pairs[:, 0], pairs[:, 1], representative, copies)


def surely_distinct(X: Array, y: Array, limit: float) -> bool:
    """Say quickly whether no two rows can agree, without a look at how each column is written.

    Parameters
    ----------
    X, y : ndarray of shape (n, p) and (n,)
    limit : float
        Largest difference that might count as agreement, in standard deviations.

    Returns
    -------
    bool
        False also where it would take long to find out (columns with few values).
    """
    n, p = X.shape
    head = X[: min(n, _HEAD)]
    some, variety = _most_varied(head)
    sd = float(y.std())
    if not sd > 0 or p == 0 or variety < 0.5 * len(head):
        return False
    values = np.column_stack([X[:, some], y])
    pairs = close_pairs((values - values.mean(axis=0)) / (limit * values.std(axis=0)))
    if pairs is None:
        return False
    for start in range(0, p, _FEW_COLUMNS):  # nearly all pairs differ in the first columns already
        if not len(pairs):
            return True
        block = X[:, start : start + _FEW_COLUMNS]
        near = np.abs(block[pairs[:, 0]] - block[pairs[:, 1]]) <= limit * block.std(axis=0) * _SLACK
        pairs = pairs[near.all(axis=1)]
    return not len(pairs)


def _most_varied(head: Array) -> tuple[list[int], int]:
    """Find the two columns with most values in some rows, and how many the first has."""
    counts: list[int] = []
    for column in head.T:
        counts.append(len(np.unique(column)))
        if counts.count(len(head)) == _DIRECTIONS - 1:  # more than that is not possible
            break
    order = sorted(range(len(counts)), key=lambda j: -counts[j])
    return order[: _DIRECTIONS - 1], max(counts, default=0)


def close_pairs(values: Array) -> Index | None:
    """Find pairs of rows that differ by at most one in every (of few) columns, and some more; None if they are many.

    Rows that close share a cell of width two, either of the grid or of the grid moved by one, in each column: sorting
    by cell, once for each combination of grids, puts them side by side. For this question it is faster than a tree.

    Parameters
    ----------
    values : ndarray of shape (n, d)

    Returns
    -------
    ndarray of int, shape (pairs, 2), or None
        A pair may occur more than once.
    """
    n, d = values.shape
    factors = np.random.default_rng(20240229).integers(1, 2**62, d, dtype=np.int64) | 1
    found: list[Index] = []
    for moved in np.ndindex(*(2,) * d):
        cells = np.floor((values + np.array(moved) * _SLACK) / (2.0 * _SLACK)).astype(np.int64)
        with np.errstate(over="ignore"):
            cell = (cells * factors).sum(axis=1)  # modulo 2^64; a collision is a candidate more
        order = np.argsort(cell)
        cell = cell[order]
        for lag in range(1, n):
            first = np.flatnonzero(cell[lag:] == cell[:-lag])
            if not len(first):
                break
            found.append(np.column_stack([order[first], order[first + lag]]))
            if lag > _FULL_CELL or sum(map(len, found)) > _FEW_NEIGHBOURS * n:
                return None
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.intp)


def _projected(scaled: Array) -> Array:
    """A few coordinates in which rows that agree differ by at most one.

    Orthonormal directions do not lengthen a difference, and that of rows that agree is at most sqrt(d) long.
    """
    d = scaled.shape[1]
    if d <= _DIRECTIONS + 1:
        return scaled
    # the last column, the target, keeps a coordinate of its own: twins in x alone are no candidates
    directions = np.linalg.qr(np.random.default_rng(20240229).standard_normal((d - 1, _DIRECTIONS)))[0]
    return np.column_stack([scaled[:, :-1] @ (directions / np.sqrt(d - 1)), scaled[:, -1]])


def _verified(scaled: Array, pairs: Index) -> NDArray[np.bool_]:
    good = np.empty(len(pairs), dtype=bool)
    size = max(1, _BLOCK_VALUES // max(scaled.shape[1], 1))
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        good[start : start + size] = (np.abs(scaled[part[:, 0]] - scaled[part[:, 1]]) <= _SLACK).all(axis=1)
    return good
