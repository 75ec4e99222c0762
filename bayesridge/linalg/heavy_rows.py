"""Rows that weigh far more than others: decompositions in which each number is rounded in its own size.

An orthogonal transformation of all rows rounds each in the size of the largest, and root weights of 1e6 take six digits
of the other rows. Householder's reflections do not, where columns are pivoted and the pivot row is the one with the
largest entry (Powell & Reid, 1969, On applying Householder transformations to linear least squares problems; Cox &
Higham, 1998, Stability of Householder QR factorization for weighted least squares problems). Rows sorted by their
norms are not enough: the heaviest may have nothing in the first column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dgejsv

from bayesridge.linalg.shares import resolvent

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
MOST_REFLECTED = 1000  # columns
_LAMBDAS = 4  # at which coefficients are held against elimination
_UNEVEN = 1e8  # weights this far apart: their roots take four digits


def heaviest_row(weights: Array | None) -> int | None:
    """The row that weighs most, if others weigh so much less that its rounding would take their digits."""
    if weights is None or weights.max() <= _UNEVEN * weights[weights > 0].min():
        return None
    return int(weights.argmax())


class Eliminated(NamedTuple):
    """What is left of rows when columns Z are reflected onto their triangle, ``Z[:, order] = Q R``.

    Attributes
    ----------
    R : ndarray of shape (u, u)
    order : ndarray of shape (u,)
    on_basis : ndarray of shape (u, m)
        The other columns on the orthonormal basis Q.
    rest : ndarray of shape (n - u, m)
        The other columns projected on the complement of Z, in coordinates of that complement.
    size : ndarray of shape (n - u, m)
        The largest magnitude each number of `rest` had on the way.
    rank : int
        Of Z, to rounding.
    """

    R: Array
    order: NDArray[np.intp]
    on_basis: Array
    rest: Array
    size: Array
    rank: int

    @property
    def coefficients(self) -> Array:
        """Least-squares coefficients of the other columns on Z, (u, m)."""
        return np.asarray(solve_triangular(self.R, self.on_basis))[np.argsort(self.order)]

    @property
    def root_inverse(self) -> Array:
        """A root of ``(Z'Z)^-1``, (u, u)."""
        return np.asarray(solve_triangular(self.R, np.eye(len(self.R))))[np.argsort(self.order)]


def eliminate(Z: Array, others: Array) -> Eliminated:
    """Project other columns on the complement of Z.

    A heavy row that has little of Z is spread over the others all the same: `size` says how much.
    """
    A = np.column_stack([Z, others])
    u = rank = Z.shape[1]
    size, order = np.abs(A), np.arange(u)
    for k in range(u):
        column = k + int(np.square(A[k:, k:u]).sum(axis=0).argmax())
        for each in (A.T, size.T, order):
            each[[k, column]] = each[[column, k]]
        row = k + int(np.abs(A[k:, k]).argmax())
        for each in (A, size):
            each[[k, row]] = each[[row, k]]
        v = A[k:, k].copy()
        norm = float(np.sqrt(v @ v))
        if norm <= max(A.shape) * _EPS * float(np.sqrt(np.square(size[k:, k]).sum())):
            A[k:, k:u] = 0.0
            rank = k
            break
        v[0] += np.copysign(norm, v[0])
        A[k:, k:] -= np.outer(v, v @ A[k:, k:] / (norm * abs(v[0])))
        np.maximum(size, np.abs(A), out=size)
    return Eliminated(np.triu(A[:u, :u]), order, A[:u, u:], A[u:, u:], size[u:, u:], rank)


def rows_on_basis(X: Array) -> tuple[Array, Array]:
    """``X = L B'`` with B orthonormal, fewer rows than columns: what reflections of X' leave of rows and columns.

    Neither is rounded in the size of the largest: columns that are nothing in a heavy row are large once scaled.
    """
    if X.shape[1] > MOST_REFLECTED:
        basis, upper = np.linalg.qr(X.T)  # rows keep their size; columns far apart do not
        return upper.T, basis
    found = eliminate(X.T, np.eye(X.shape[1]))
    lower = np.empty_like(found.R)
    lower[found.order] = found.R.T
    return lower, found.on_basis.T


class Decomposed(NamedTuple):
    """``X = U diag(s) V'`` without U, for a tall X of which some rows are heavy.

    Attributes
    ----------
    s, V : ndarray of shape (p,), (p, p)
    z : ndarray of shape (p,)
        ``U'y``.
    rest : float
        Sum of squares of y outside the span of U.
    b : ndarray of shape (p,) or None
        Least-squares coefficients; None if columns are dependent.
    inverse : ndarray of shape (p, n) or None
        What makes them of y.
    triangle : ndarray of shape (p, p + 1)
        ``Q'[X, y]``.
    """

    s: Array
    V: Array
    z: Array
    rest: float
    b: Array | None
    inverse: Array | None
    triangle: Array


def by_columns(triangle: Array) -> tuple[Array, Array, Array]:
    """``U, s, V`` by Jacobi's method, which rounds each column in its own size (Drmac & Veselic, 2008)."""
    s, U, V, work, _, failed = dgejsv(triangle, joba=0)
    if failed:
        U, s, Vt = np.linalg.svd(triangle)
        return U, s, Vt.T
    return U, s * (work[0] / work[1]), V


def decompose(X: Array, y: Array) -> Decomposed:
    """Decompose an X with at least as many rows as columns, of which some are heavy.

    U of the triangle would mix the rows again: with R b = Q'y the least-squares coefficients, z = U'Q'y is s V'b, as
    long as columns are independent. Jacobi's method keeps the digits of the small entries of V, by which columns that
    are 1e6 in some rows, once scaled, have coefficients of 1e-6 beside others of one.
    """
    p = X.shape[1]
    if p == 0:  # flat directions leave no row, and so no direction
        return Decomposed(np.empty(0), np.empty((0, 0)), np.empty(0), float(y @ y), None, None, np.empty((0, 1)))
    found = eliminate(X, y[:, None])
    triangle = np.empty((p, p))
    triangle[:, found.order] = found.R
    U, s, V = by_columns(triangle)
    both = np.column_stack([triangle, found.on_basis])
    if found.rank < p:
        return Decomposed(s, V, U.T @ found.on_basis[:, 0], float(np.square(found.rest).sum()), None, None, both)
    b = found.coefficients[:, 0]
    # a triangle made with pivoting is well-conditioned but for the sizes of its rows, which cancel here
    inverse = np.empty_like(X.T)
    inverse[found.order] = solve_triangular(found.R, solve_triangular(found.R, X.T[found.order], trans=1))
    return Decomposed(s, V, s * (V.T @ b), float(np.square(found.rest).sum()), b, inverse, both)


def digits_lost(found: Decomposed, size: Array, sigma: float) -> float:
    """Rounding of coefficients in posterior sds.

    Those of least squares move by ``X^+ (dy - dX b)`` if numbers that were as large as `size` (of [X, y], see
    :class:`Eliminated`) are rounded, and by what V does not give back of them. Of shrunken ones V keeps what lambda
    leaves, and a direction that it takes away may be 1e6 times larger than what is left.
    """
    b, inverse = found.b, found.inverse
    if b is None or inverse is None:
        return _EPS * float(np.abs(found.z).max()) / sigma
    sd = sigma * np.sqrt(np.square(inverse).sum(axis=1))
    moved = _EPS * (np.abs(inverse) @ (size[:, -1] + size[:, :-1] @ np.abs(b)))
    of_least_squares = float(((moved + np.abs(found.V @ (found.V.T @ b) - b)) / sd).max())
    return 16.0 * max(of_least_squares, _lost_by_shrinking(found, sigma))  # a few roundings each, and those of the rest


def _lost_by_shrinking(found: Decomposed, sigma: float) -> float:
    """Largest difference between coefficients by V and by elimination, at lambdas in the widest gaps of the spectrum.

    Above its median are the directions that are heavy rows themselves, which no lambda in use takes away.
    """
    p, worst = len(found.s), 0.0
    log_s2 = 2.0 * np.log(found.s)
    gaps = np.argsort(np.diff(log_s2)[p // 2 :])[:_LAMBDAS] + p // 2
    for lam in np.exp(0.5 * (log_s2[gaps] + log_s2[gaps + 1])):
        penalised = np.vstack([found.triangle, np.sqrt(lam) * np.eye(p, p + 1)])
        exact = eliminate(penalised[:, :-1], penalised[:, -1:]).coefficients[:, 0]
        variances = resolvent(found.s**2, lam)
        by_v = found.V @ (found.s * found.z * variances)
        sd = sigma * np.sqrt(np.square(found.V) @ variances)
        worst = max(worst, float((np.abs(by_v - exact) / sd).max()))
    return worst
