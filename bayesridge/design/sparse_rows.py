r"""A sparse table as rows of a design: centred and scaled in description, dense a few rows at a time.

With shift a for columns that have hardly a zero (their mean is large beside their spread, and products about zero would
lose its digits) and none for the others,

    sum w (x - m)(x - m)' = sum w (x - a)(x - a)' - (sum w) d d',        d = m - a.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.moments import CrossProducts, two_sum
from bayesridge.design.row_source import RowIndex
from bayesridge.design.triangle import CrossRoot, cross_root
from bayesridge.errors import DataError, check_memory

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 20  # numbers of a dense block
_FEWER = "leave out rare columns, or hash them into fewer"
_OFFSET = 100.0  # squared mean over variance from which a column is shifted: two digits


@dataclass(frozen=True, eq=False)
class SparseRows:
    """The rows of a sparse table.

    Attributes
    ----------
    X : scipy.sparse.csr_array of shape (n, p)
        float64, finite.
    """

    X: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.X.shape[0]), int(self.X.shape[1])

    def take(self, rows: RowIndex) -> Array:
        """Some rows, dense.

        Raises
        ------
        DataError
            If they do not fit into memory.
        """
        some = self.X[rows]
        needed = 8.0 * some.shape[0] * some.shape[1]
        check_memory(needed, f"{some.shape[0]} rows of this sparse table, dense,", "take fewer at a time")
        return np.asarray(some.toarray())

    def blocks(self) -> Iterator[slice]:
        """Rows that are few enough to be dense."""
        n, p = self.shape
        size = max(1, _BLOCK_VALUES // max(p, 1))
        return (slice(start, min(start + size, n)) for start in range(0, n, size))

    def moments(self, y: Array, weights: Array | None, *, center: bool) -> CrossProducts:
        """Means and centred cross-products, without a dense copy."""
        n, p = self.shape
        w = np.ones(n) if weights is None else weights
        total = float(np.add.reduce(w))
        weighted = self.X.multiply(w[:, None]).tocsr()
        shift = np.zeros(p + 1)
        if center:
            mean = self.X.T @ (w / total)
            spread = self.X.multiply(self.X).T @ (w / total) - mean * mean
            shift[:p] = np.where(mean * mean > _OFFSET * spread, mean, 0.0)
            shift[p] = (w / total) @ y
        rest = y - shift[p]
        cross = np.empty((p + 1, p + 1))
        cross[:p, :p] = (self.X.T @ weighted).toarray()
        cross[:p, p] = weighted.T @ rest
        cross[p, p] = (w * rest) @ rest
        sums = np.append(self.X.T @ w, w @ rest)
        full = np.flatnonzero(shift[:p])
        if len(full):
            self._shifted(cross, sums, full, shift, w, rest)
        cross[p, :p] = cross[:p, p]
        if not center:
            return CrossProducts(total, shift, cross, np.zeros(p + 1))
        drift = sums / total
        cross -= np.multiply.outer(total * drift, drift)
        mean, less = two_sum(shift, drift)
        return CrossProducts(total, mean, cross, less)

    def _shifted(self, cross: Array, sums: Array, full: NDArray[np.intp], shift: Array, w: Array, rest: Array) -> None:
        """Put products of shifted columns in the place of those about zero; the columns are dense a block at a time."""
        p = self.shape[1]
        columns = self.X[:, full].tocsr()
        products, among = np.zeros((p, len(full))), np.zeros((len(full), len(full)))
        on_rest, first = np.zeros(len(full)), np.zeros(len(full))
        size = max(1, _BLOCK_VALUES // len(full))
        for start in range(0, len(w), size):
            part = slice(start, start + size)
            dense = columns[part].toarray() - shift[full]
            weighted = dense * w[part, None]
            products += self.X[part].T @ weighted
            among += dense.T @ weighted
            on_rest += rest[part] @ weighted
            first += weighted.sum(axis=0)
        products[full] = among
        cross[:p, full], cross[full, :p] = products, products.T
        cross[full, p], sums[full] = on_rest, first

    def triangle(self, y: Array, weights: Array | None) -> CrossRoot:
        """Means and the triangle, for columns too dependent for cross-products."""
        seen = np.arange(self.shape[0]) if weights is None else np.flatnonzero(weights)
        some = SparseRows(self.X[seen])
        w = None if weights is None else weights[seen]
        parts = [cross_root(some.take(b), y[seen][b], None if w is None else w[b]) for b in some.blocks()]
        return sum(parts[1:], parts[0])

    def times(self, right: Array) -> Array:
        """``X @ right``."""
        return np.asarray(self.X @ right)

    def cross(self, left: Array) -> Array:
        """``left @ X``."""
        return np.asarray((self.X.T @ left.T).T)


def sparse_rows(X: Any) -> SparseRows:
    """The rows of a scipy sparse matrix or array of any format.

    Raises
    ------
    DataError
        If values are missing or infinite, or what has to be dense does not fit into memory.
    """
    from scipy.sparse import csr_array

    if X.dtype.kind not in "biuf":
        raise DataError(f"Complex data not supported, and numbers are expected: a sparse table of {X.dtype}.")
    rows = csr_array(X, dtype=np.float64)
    if rows.ndim != 2:
        raise DataError(f"Expected 2D array, got {rows.ndim}D array instead (shape={rows.shape}).")
    bad = ~np.isfinite(rows.data)
    if bad.any():
        k = int(bad.argmax())
        where = f"row {int(np.searchsorted(rows.indptr, k, side='right')) - 1}, column {int(rows.indices[k])}"
        what = "NaN" if np.isnan(rows.data[k]) else "infinity"
        raise DataError(
            f"Input contains {what}: {int(bad.sum())} values, the first in {where}. Correct or remove them."
        )
    n, p = rows.shape
    if n > p:
        what = f"the {p} x {p} cross-products of a sparse table, and their eigenvectors,"
        check_memory(32.0 * p * p, what, _FEWER)
    else:
        what = f"a sparse table with no more rows than columns, which is made dense, {n} x {p},"
        check_memory(24.0 * n * p, what, _FEWER)
    return SparseRows(rows)
