"""Rows added up to a triangle: what cross-products are to columns of condition number above a thousand.

R with ``R'R = sum w (v - m)(v - m)'`` holds the same information as the cross-products C, and its singular values are
right to the rounding of the largest, where those of C are right to its square. Two triangles, and what the means are
apart, stand above one another as rows, and their QR decomposition is the triangle of both:

    R'R = R1'R1 + R2'R2 + (w1 w2 / w) d d',        d = m2 - m1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.moments import merged_means, two_sum

Array = NDArray[np.float64]

_PANEL_ROWS = 4  # times the columns: rows that go through one decomposition


@dataclass(frozen=True, eq=False)
class CrossRoot:
    """A weight, a mean in two doubles and the root of centred cross-products, of the columns ``[X, y]``.

    Attributes
    ----------
    total_weight, mean, rest
        As in :class:`~bayesridge.design.moments.CrossProducts`.
    root : ndarray of shape (p + 1, p + 1)
        Upper triangle.
    """

    total_weight: float
    mean: Array
    root: Array
    rest: Array

    @property
    def cross(self) -> Array:
        """Centred cross-products."""
        return self.root.T @ self.root

    def __add__(self, other: CrossRoot) -> CrossRoot:
        if not (self.total_weight and other.total_weight):
            return self if self.total_weight else other
        apart, share, mean, rest = merged_means(self, other)
        between = np.sqrt(self.total_weight * share) * apart
        root = _triangle(np.vstack([self.root, other.root, between]))
        return CrossRoot(self.total_weight + other.total_weight, mean, root, rest)

    def about_zero(self) -> CrossRoot:
        """The same rows about zero instead of their mean."""
        mean, zero = self.mean + self.rest, np.zeros_like(self.mean)
        root = _triangle(np.vstack([self.root, np.sqrt(self.total_weight) * mean]))
        return CrossRoot(self.total_weight, zero, root, zero)


def cross_root(X: Array, y: Array, weights: Array | None) -> CrossRoot:
    """Means and the triangle of ``[X, y]``; rows at least one, of some weight."""
    rows = np.column_stack([X, y])
    total = float(len(rows)) if weights is None else float(np.add.reduce(weights))
    share = np.full(len(rows), 1.0 / total) if weights is None else weights / total
    with np.errstate(invalid="ignore", over="ignore"):
        first = share @ rows
        rows -= first
        drift = share @ rows  # the rounding of the first mean: it matters where offsets are large
        rows -= drift
        if weights is not None:
            rows *= np.sqrt(weights)[:, None]
    return CrossRoot(total, *_parts(first, drift, rows))


def _parts(first: Array, drift: Array, rows: Array) -> tuple[Array, Array, Array]:
    mean, rest = two_sum(first, drift)
    columns = rows.shape[1]
    if not (np.isfinite(rows).all() and np.isfinite(mean).all()):  # the caller finds out which values are not
        return mean, np.full((columns, columns), np.nan), rest
    root = np.zeros((0, columns))
    for start in range(0, len(rows), max(_PANEL_ROWS * columns, 256)):
        root = _triangle(np.vstack([root, rows[start : start + max(_PANEL_ROWS * columns, 256)]]))
    return mean, root, rest


def _triangle(rows: Array) -> Array:
    """The square triangle of rows, zeros below where there are too few."""
    columns = rows.shape[1]
    root = np.zeros((columns, columns))
    found = np.linalg.qr(rows, mode="r")
    root[: len(found)] = found
    return root
