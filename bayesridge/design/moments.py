"""Weighted means and centred cross-products of a table, in one blocked pass over its rows.

A provisional shift ``a`` (the mean of some rows) is subtracted from every block, the cross-product
``G_a = sum w (x - a)(x - a)'`` is accumulated, and the true centre is restored at the end:

    d = sum w (x - a) / sum w,        sum w (x - m)(x - m)' = G_a - (sum w) d d',        m = a + d.

Nothing is lost as long as d is small against the spread, which is checked; if it is not (sorted rows, say)
the pass is repeated with the mean just found, so that large offsets never cost digits.

Those of two tables add up to those of both (Chan, Golub & LeVeque 1983), with d the difference of the means:

    w = w1 + w2,        m = m1 + (w2 / w) d,        C = C1 + C2 + (w1 w2 / w) d d'.

At an offset of 1e10 a mean in one double is off by 1e-6, and so would be d. Means are kept in two doubles, their
differences are then right to rounding of the data's spread, and any order and batching gives what one pass gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.parallel.threads import ONE_THREAD_ORDER, run_blocks

Array = NDArray[np.float64]

_BLOCK_BYTES = 1 << 20  # a block and its product stay in the second-level cache
_POOL_FLOPS = 1e8  # below this a pool of threads costs more than it brings
_SHARES = 8  # sums that threads work on: fixed, so that results do not depend on the number of cores
_SHIFT_ROWS = 256  # a sample of rows gives the provisional shift of a table with more than ...
_SHIFT_VALUES = 65536  # ... this many numbers


@dataclass(frozen=True, eq=False)
class CrossProducts:
    """First and second weighted moments of the columns ``[X, y]``.

    Attributes
    ----------
    total_weight : float
        Sum of the weights (the number of rows when there are none).
    mean : ndarray of shape (p + 1,)
        Weighted means (zeros when the columns were not centred).
    cross : ndarray of shape (p + 1, p + 1)
        Centred cross-product ``sum w (v - mean)(v - mean)'`` of the rows v = (x, y).
    rest : ndarray of shape (p + 1,)
        What `mean` lacks of the mean, less than half its last digit.
    """

    total_weight: float
    mean: Array
    cross: Array
    rest: Array

    def __add__(self, other: CrossProducts) -> CrossProducts:
        """Moments of the rows of both.

        Raises
        ------
        DataError
            If they are of different columns.
        """
        if not isinstance(other, CrossProducts):
            return NotImplemented
        if self.mean.shape != other.mean.shape:
            raise DataError(
                f"moments add up over the same columns, and these are of {len(self.mean) - 1} and {len(other.mean) - 1}"
            )
        if not (self.total_weight and other.total_weight):  # no rows: a mean of nothing says nothing
            return self if self.total_weight else other
        apart, share, mean, rest = merged_means(self, other)
        cross = np.multiply.outer((self.total_weight * share) * apart, apart)
        cross += self.cross
        cross += other.cross
        return CrossProducts(self.total_weight + other.total_weight, mean, cross, rest)


class Centred(Protocol):
    """A weight, and a mean in two doubles."""

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""

    @property
    def mean(self) -> Array:
        """Weighted means."""

    @property
    def rest(self) -> Array:
        """What `mean` lacks."""


def merged_means(one: Centred, other: Centred) -> tuple[Array, float, Array, Array]:
    """How far two means are apart, the other's share of the weight, and the mean of both in two doubles."""
    share = other.total_weight / (one.total_weight + other.total_weight)
    apart = (other.mean - one.mean) + (other.rest - one.rest)
    return apart, share, *two_sum(one.mean, one.rest + share * apart)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The sum in two doubles, exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def cross_products(X: Array, y: Array, weights: Array | None, *, center: bool) -> CrossProducts:
    """Accumulate means and centred cross-products of ``[X, y]`` in one pass.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    y : ndarray of shape (n,)
    weights : ndarray of shape (n,) or None
        Non-negative weights w; None means 1 for every row.
    center : bool
        Whether to centre; without it ``mean`` is zero and ``cross`` is ``sum w v v'``.

    Returns
    -------
    CrossProducts
        Entries are not finite if, and only if, the data are not (or their squares overflow).
    """
    n, p = X.shape
    total = float(n) if weights is None else float(np.add.reduce(weights))
    root = None if weights is None else np.sqrt(weights)
    with np.errstate(invalid="ignore", over="ignore"):
        step = max(1, n // _SHIFT_ROWS) if n * p > _SHIFT_VALUES else 1
        shift = _mean_of_rows(X, y, weights, slice(0, n, step)) if center else np.zeros(p + 1)
        cross, sums = _accumulate(X, y, root, shift)
        if not center:
            return CrossProducts(total, shift, cross, np.zeros_like(shift))
        drift = sums / total
        if step > 1 and _far(drift, total, cross):
            shift = shift + drift
            cross, sums = _accumulate(X, y, root, shift)
            drift = sums / total
        cross -= np.multiply.outer(total * drift, drift)
        mean, rest = two_sum(shift, drift)
    return CrossProducts(total, mean, cross, rest)


def _mean_of_rows(X: Array, y: Array, weights: Array | None, rows: slice) -> Array:
    p = X.shape[1]
    some = y[rows]
    total = 0.0 if weights is None else float(np.add.reduce(weights[rows]))
    share = weights[rows] / total if weights is not None and total > 0 else np.full(len(some), 1.0 / len(some))
    shift = np.empty(p + 1)
    np.matmul(share, X[rows], out=shift[:p])  # provisional: what its rounding costs comes back as drift
    shift[p] = share @ some
    return shift


def _far(drift: Array, total: float, cross: Array) -> bool:
    """Say whether the shift was so far from the mean that digits were lost (nothing to mend in infinite data)."""
    return bool((total * drift * drift > 0.5 * cross.diagonal()).any() and np.isfinite(drift).all())


def _blocks(n: int, p: int) -> Iterator[slice]:
    # long enough that adding up p x p products is no work
    size = max(_BLOCK_BYTES // (8 * (p + 1)), p, 64)
    count = round(n / size)
    if count < 2:
        yield slice(0, n)
        return
    edges = np.linspace(0, n, count + 1).astype(int)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield slice(start, stop)


def _accumulate(X: Array, y: Array, root: Array | None, shift: Array) -> tuple[Array, Array]:
    n, p = X.shape
    blocks = list(_blocks(n, p))
    work = float(n) * p * p if p <= ONE_THREAD_ORDER else 0.0
    # each thread adds up a few blocks of its own: one p x p matrix a thread, not one a block
    shares = [blocks[k::_SHARES] for k in range(min(_SHARES, len(blocks)))] if work > _POOL_FLOPS else [blocks]
    parts = run_blocks(lambda share: _block_sum(X, y, root, shift, share), shares, work)
    cross, sums = parts[0]
    for other_cross, other_sums in parts[1:]:
        cross += other_cross
        sums += other_sums
    return cross, sums


def _block_sum(X: Array, y: Array, root: Array | None, shift: Array, blocks: list[slice]) -> tuple[Array, Array]:
    p = X.shape[1]
    longest = max(rows.stop - rows.start for rows in blocks)
    buffer = np.empty((longest, p + 1), order="F" if X.flags.f_contiguous else "C")  # as X: no turning on the way
    cross: Array | None = None
    product = np.empty((p + 1, p + 1) if len(blocks) > 1 else 0)
    sums = np.zeros(p + 1)
    ones = np.ones(longest)
    for rows in blocks:
        block = buffer[: rows.stop - rows.start]
        np.subtract(X[rows], shift[:p], out=block[:, :p])
        np.subtract(y[rows], shift[p], out=block[:, p])
        if root is None:
            sums += ones[: len(block)] @ block
        else:
            block *= root[rows, None]
            sums += root[rows] @ block
        if cross is None:
            cross = block.T @ block
        else:
            np.matmul(block.T, block, out=product)
            cross += product
    assert cross is not None
    return cross, sums
