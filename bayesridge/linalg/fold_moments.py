r"""The squared error of held-out rows from cross-products alone: the folds of a large, well-conditioned table.

With v = (x, y) less the mean of the *whole* table, C the cross-product of all rows (known since the fit) and

    S = sum w v v',  a = sum w v,  W = sum w      over the rows of a test fold,

the other rows have cross-product C - S, sum -a (all sum to zero) and weight W_r = total - W. About their own mean,
-a / W_r, the training rows have the cross-product C - S - a a' / W_r and, with d = a / W_r, the test rows

    M = S + a d' + d a' + W d d'.

Divided by the scales of the training rows, with V the eigenvectors of the training columns' part, s^2 its eigenvalues
and c = V' (columns with y), everything else costs O(p) or O(p^2) a lambda, whatever the number of rows:

    b(lambda) = c / (s^2 + lambda),    W loss(lambda) = M_yy - 2 b' V' M_xy + b' V' M_xx V b.

One pass over the rows makes S for all folds. That squares the condition number and takes the loss as a difference, so
it is used as the Gram route of the fit is: where few digits go and there is enough to gain. Otherwise the rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.linalg.filters import shrinkage, unit_variances
from bayesridge.linalg.routes import GRAM_CONDITION_LIMIT, GRAM_RESIDUAL_SHARE
from bayesridge.parallel.threads import run_blocks

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

_LEAST_VALUES = 4_000  # rows times columns from which on a pass over the rows of every fold is worth avoiding
_MOST_VALUES = 1 << 25  # numbers in the cross-products of all folds
_BLOCK_VALUES = 1 << 17  # numbers in a block of rows: it stays in the cache
_PARTS = 16  # blocks of rows that threads work on; fixed, so that sums do not depend on the number of cores


@dataclass(frozen=True, eq=False)
class FoldSpectrum:
    """What a range of lambda is found from: ``s^2`` (decreasing), ``z^2`` and r0 of the training rows."""

    s2: Array
    z2: Array
    r0: float

    @property
    def rank(self) -> int:
        """Number of directions."""
        return len(self.s2)


@dataclass(frozen=True, eq=False)
class FoldMoments:
    """A test fold in the coordinates of the fit to the other rows.

    Attributes
    ----------
    spectrum : FoldSpectrum
        Of the training rows.
    numerator : ndarray of shape (p,)
        c: the coefficients are ``c / (s^2 + lambda)``.
    squares, products, total : ndarray of shape (p, p), ndarray of shape (p,), float
        Cross-products of the test rows about the training mean, divided by their weight: columns (along V), columns
        with the target, target.
    weight : float
        Sum of the test rows' weights.
    """

    spectrum: FoldSpectrum
    numerator: Array
    squares: Array
    products: Array
    total: float
    weight: float

    def squared_error(self, lam: ArrayLike) -> Array:
        """Weighted mean squared error of the test rows, shape of lam."""
        b = self.numerator * unit_variances(self.spectrum, lam)
        return np.asarray(self.total + ((b @ self.squares - 2.0 * self.products) * b).sum(axis=-1))

    def squared_error_curve(self, log_lam: Array) -> tuple[Array, Array]:
        """:meth:`squared_error` and its derivative in log lambda, each of shape (K,)."""
        lam = np.exp(log_lam)
        b = self.numerator * unit_variances(self.spectrum, lam)
        half = b @ self.squares - self.products
        slope = -2.0 * (half * (b * shrinkage(self.spectrum, lam))).sum(axis=1)
        return self.total + ((half - self.products) * b).sum(axis=1), slope


def moments_serve(design: Design, folds: int) -> bool:
    """Say whether the table is one for :func:`fold_moments`: large, and without flat or constant columns."""
    n, p = design.source.shape
    if design.cross is None or len(design.penalized) < p or p == 0:
        return False
    return bool(n * p >= _LEAST_VALUES and folds * p * p <= _MOST_VALUES)


def fold_moments(design: Design, tests: Sequence[Rows]) -> list[FoldMoments] | None:
    """Fit the rows outside of each test fold, and put the test rows into the coordinates of that fit.

    Parameters
    ----------
    design : Design
        One for which :func:`moments_serve`.
    tests : sequence of ndarray of int
        Rows of the test folds; the training rows are *all* others of positive weight.

    Returns
    -------
    list of FoldMoments or None
        None where digits would be lost.
    """
    p = design.n_columns
    sums = _cross_products(design, tests)
    found = run_blocks(lambda k: _fold(design, *sums[k]), range(len(tests)), 30.0 * len(tests) * p**3)
    known = [one for one in found if one is not None]
    return known if len(known) == len(tests) else None


def _cross_products(design: Design, tests: Sequence[Rows]) -> list[tuple[Array, Array, float]]:
    """Cross-product, sum and weight of each fold's rows about the mean of the whole table."""
    p = design.n_columns
    per_fold = max(1, _PARTS // len(tests))
    parts = [(k, part) for k, rows in enumerate(tests) for part in np.array_split(rows, per_fold) if len(part)]

    def add_up(one: tuple[int, Rows]) -> tuple[Array, Array, float]:
        rows = one[1]
        cross, sums, weight = np.zeros((p + 1, p + 1)), np.zeros(p + 1), 0.0
        size = max(64, _BLOCK_VALUES // (p + 1))
        block = np.empty((min(size, len(rows)), p + 1))
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            v = block[: len(some)]
            np.subtract(design.source.take(some), design.mean, out=v[:, :p])
            np.subtract(design.y[some], design.y_mean, out=v[:, p])
            w = np.ones(len(some)) if design.weights is None else design.weights[some]
            sums += w @ v
            weight += float(w.sum())
            if design.weights is not None:
                v *= np.sqrt(w)[:, None]
            cross += v.T @ v
        return cross, sums, weight

    done = run_blocks(add_up, parts, float(sum(len(rows) for rows in tests)) * p * p)
    found = [(np.zeros((p + 1, p + 1)), np.zeros(p + 1), 0.0) for _ in tests]
    for (k, _), (cross, sums, weight) in zip(parts, done, strict=True):
        found[k] = (found[k][0] + cross, found[k][1] + sums, found[k][2] + weight)
    return found


def _fold(design: Design, S: Array, a: Array, weight: float) -> FoldMoments | None:
    """Fit and put into coordinates; None where digits would be lost."""
    assert design.cross is not None
    p = len(a) - 1
    left = design.total_weight - weight
    train, test = design.cross - S, S
    if design.fit_intercept:
        d = a / left
        train -= np.multiply.outer(a, d)
        mixed = np.multiply.outer(a, d)
        test = S + mixed + mixed.T + weight * np.multiply.outer(d, d)
    squares = train.diagonal()
    if not (squares > GRAM_RESIDUAL_SHARE * design.cross.diagonal()).all():
        return None  # nearly all there is of a column, or of the target, lies in this fold
    scale = np.sqrt(squares[:p] / left) if design.scaling == "unit sd" else design.scale
    inverse = 1.0 / scale
    values, vectors = np.linalg.eigh(train[:p, :p] * inverse * inverse[:, None])
    s2, V = values[::-1], vectors[:, ::-1]
    if not s2[-1] > s2[0] / GRAM_CONDITION_LIMIT**2:
        return None
    numerator = (train[:p, p] * inverse) @ V
    z2 = numerator * numerator / s2
    r0 = float(train[p, p] - z2.sum())
    if r0 < GRAM_RESIDUAL_SHARE * train[p, p]:
        return None
    V = V * inverse[:, None]
    return FoldMoments(
        FoldSpectrum(s2, z2, r0), numerator, V.T @ test[:p, :p] @ V / weight, test[:p, p] @ V / weight,
        float(test[p, p]) / weight, weight,
    )  # fmt: skip
