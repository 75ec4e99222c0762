"""Factors of level effects at some thetas: the first block by levels, its Schur complement, and products of both.

The formulas are those of :mod:`bayesridge.engines.level_system`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotri, dpotrs, dtrtri
from scipy.sparse import csr_array
from scipy.sparse import hstack as sparse_hstack

from bayesridge.design.levels import LevelRows
from bayesridge.linalg.stacks import cholesky_of_each

Array = NDArray[np.float64]

_SMALL = 40
_FEW = 4  # levels that a functional is of, and entries of M^-1 are looked up


@dataclass(frozen=True, eq=False)
class SparseFunctionals:
    """m functionals ``rows @ b`` (+ offset) of the engine's own columns, flat ones included."""

    rows: csr_array
    offset: Array

    def __len__(self) -> int:
        return len(self.offset)

    def take(self, index: Any) -> SparseFunctionals:
        """Some of them."""
        return SparseFunctionals(self.rows[index], self.offset[index])


@dataclass(frozen=True, eq=False)
class Block:
    """Effects with a prior precision of their own: where they stand among the engine's columns, and their thetas.

    Attributes
    ----------
    columns : ndarray of int, shape (levels, k)
    theta : ndarray of int, shape (k,)
        Which theta is log lambda of each part.
    rho : int or None
        Which is atanh of their correlation.
    """

    columns: NDArray[np.intp]
    theta: NDArray[np.intp]
    rho: int | None = None

    def precision(self, theta: Array) -> tuple[Array, Array]:
        """Prior precision over 1/sigma^2 of one level at theta (K, h), (K, k, k), and its log determinant, (K,)."""
        log_lam = theta[:, self.theta]
        root = np.exp(0.5 * log_lam)
        found = root[:, :, None] * root[:, None]
        if self.rho is None:
            return found, log_lam.sum(axis=1)  # one part: several without a correlation are blocks of their own
        z = theta[:, self.rho]
        # 1 - tanh^2 = 1 / cosh^2, which does not cancel where the correlation is nearly one
        found[:, [0, 1], [1, 0]] *= -np.tanh(z)[:, None]
        return found * (np.cosh(z) ** 2)[:, None, None], log_lam.sum(axis=1) + 2.0 * np.log(np.cosh(z))


@dataclass(frozen=True, eq=False)
class Sums:
    """Weighted cross-products of the engine's columns, and of them with the residuals e0 of a fit b0.

    Attributes
    ----------
    first : ndarray of shape (q, c, c)
        X1'WX1, level by level.
    cross : ndarray or csr_array of shape (q c, r)
    second : ndarray of shape (r, r)
    b0, c0 : ndarray of shape (q c + r,)
    q0 : float
        ``e0'W e0``.
    log_det_flat : float
        ``log det`` of the flat columns' own cross-products, scaled.
    """

    first: Array
    cross: Any
    second: Array
    b0: Array
    c0: Array
    q0: float
    log_det_flat: float


@dataclass(frozen=True, eq=False)
class Pairs:
    """Products of the entries within each row of a sparse matrix C, which ``C' diag(a) C`` is a sum of.

    Attributes
    ----------
    row : ndarray of int, shape (k,)
    place : ndarray of int, shape (k,)
        In the lower triangle of the flattened sum.
    product : ndarray of shape (k,)
    width : int
    """

    row: NDArray[np.intp]
    place: NDArray[np.intp]
    product: Array
    width: int

    @classmethod
    def of(cls, C: csr_array) -> Pairs:
        """Every entry with itself and with those to the right of it."""
        C = C.sorted_indices()
        row = np.repeat(np.arange(C.shape[0]), np.diff(C.indptr))
        found = []
        for lag in range(int(np.diff(C.indptr).max(initial=0))):
            left = np.flatnonzero(row[lag:] == row[: len(row) - lag])
            right = left + lag
            place = C.indices[right].astype(np.intp) * C.shape[1] + C.indices[left]
            found.append((row[left], place, C.data[left] * C.data[right]))
        parts = [np.concatenate(part) for part in zip(*found, strict=True)]
        return cls(parts[0], parts[1], parts[2], C.shape[1])

    def sums(self, a: Array) -> Array:
        """The lower triangle of ``C' diag(a) C``, (r, r); what is above it is left out."""
        found = np.bincount(self.place, self.product * a[self.row], minlength=self.width**2)
        return np.asarray(found.reshape(self.width, self.width))


@dataclass(frozen=True, eq=False)
class Factors:
    """M factorised at k thetas (see the module's text), and b.

    Attributes
    ----------
    inverse : ndarray of shape (k, q, c, c)
        ``L1^-1``, level by level.
    W : ndarray of shape (k, q c, r), or csr_array of shape (q c, r) for one theta
    L2 : ndarray of shape (k, r, r)
    b : ndarray of shape (k, q c + r)
    log_norm, Q : ndarray of shape (k,)
    """

    inverse: Array
    W: Any
    L2: Array
    b: Array
    log_norm: Array
    Q: Array

    @cached_property
    def inverse2(self) -> Array:
        """``L2^-1``, (k, r, r)."""
        if self.L2.shape[1] <= _SMALL:
            return np.linalg.inv(self.L2)
        return np.array([dtrtri(one, lower=1)[0] for one in self.L2])

    def solve(self, right: Array) -> Array:
        """``M^-1 right`` at the one theta, (q c + r, m)."""
        size = self.W.shape[-2]
        half = within_levels(self.inverse, right[None, :size])
        two = dpotrs(self.L2[0], right[size:] - across(self.W, half)[0], lower=1)[0]
        one = within_levels(np.swapaxes(self.inverse, 2, 3), half - along(self.W, two[None]))
        return np.concatenate([one[0], two])

    def halves(self, rows: csr_array) -> Array:
        """Z with ``Z'Z = l M^-1 l'`` of some functionals at each theta: (k, q c + r, m)."""
        size = self.W.shape[-2]
        one = within_levels(self.inverse, rows[:, :size].toarray().T[None])
        two = self.inverse2 @ (rows[:, size:].toarray().T - across(self.W, one))
        return np.concatenate([one, two], axis=1)

    def each(self) -> Iterator[Factors]:
        """The factors of one theta after the other, W sparse."""
        if not isinstance(self.W, np.ndarray):
            yield self
            return
        for k in range(len(self.b)):
            one = slice(k, k + 1)
            yield Factors(
                self.inverse[one], csr_array(self.W[k]), self.L2[one], self.b[one], self.log_norm[one], self.Q[one]
            )

    @cached_property
    def between(self) -> tuple[Array, Array, Array]:
        """At one theta: T, the lower right block of M^-1; GT; and GTG' within the levels of the first block."""
        inverse, (q, c) = self.inverse[0], self.inverse.shape[1:3]
        T = np.tril(dpotri(self.L2[0], lower=1)[0])
        T += np.tril(T, -1).T
        G = csr_array(sparse_within_levels(np.swapaxes(inverse, 1, 2), self.W))
        GT = G @ T
        if c == 1:  # the diagonal: only where G has entries
            row = np.repeat(np.arange(q), np.diff(G.indptr))
            return T, GT, np.bincount(row, G.data * GT[row, G.indices], minlength=q)[:, None, None]
        inner = np.einsum("iar,ibr->iab", GT.reshape(q, c, -1), G.toarray().reshape(q, c, -1))
        return T, GT, inner

    def from_unit(self, eps: Array) -> Array:
        """``L'^-1 eps`` at each theta, eps of shape (k, q c + r)."""
        size = self.W.shape[-2]
        two = np.swapaxes(self.inverse2, 1, 2) @ eps[:, size:, None]
        one = within_levels(np.swapaxes(self.inverse, 2, 3), eps[:, :size, None] - along(self.W, two))
        return np.concatenate([one, two], axis=1)[..., 0]


def of_few_levels(rows: csr_array, n_numbers: int) -> NDArray[np.bool_]:
    """Which functionals have an entry or two for each factor, beside the numbers."""
    return np.asarray(np.diff(rows[:, : rows.shape[1] - n_numbers].indptr) <= _FEW)


def looked_up(part: Factors, rows: csr_array, n_numbers: int) -> Array:
    """``l'M^-1 l`` at one theta of functionals of few levels each, (m,), of which pairs are entries of M^-1.

    With T = (L2 L2')^-1 and G = P^-1 M12 a functional (l1, l2) has ``l1'P^-1 l1 + u'Tu``, u = l2 - G'l1. Its numbers,
    the last columns, are dense; levels have an entry each.
    """
    size, inverse = part.W.shape[-2], part.inverse[0]
    first, second = rows[:, :size], rows[:, size : rows.shape[1] - n_numbers]
    numbers = rows[:, rows.shape[1] - n_numbers :].toarray()
    scaled = sparse_within_levels(inverse, csr_array(first.T))  # L1^-1 l1
    own = np.asarray(scaled.multiply(scaled).sum(axis=0)).ravel()
    T, GT, inner = part.between
    cut = T.shape[0] - n_numbers
    towards = second @ T[:cut, cut:] - first @ GT[:, cut:]
    own += np.einsum("mk,mk->m", numbers @ T[cut:, cut:] + 2.0 * towards, numbers)
    return np.asarray(
        own + pairs_of(first, first, inner) + gathered(second, second, T) - 2.0 * gathered(first, second, GT)
    )


def within_levels(inverse: Array, right: Array) -> Array:
    """Small matrices of each level, (k, q, c, c), times what stands in the rows of it, (k, q c, m) or (1, q c, m)."""
    k, q, c = inverse.shape[:3]
    return np.asarray((inverse @ right.reshape(len(right), q, c, -1)).reshape(k, q * c, -1))


def across(W: Any, right: Array) -> Array:
    """``W' right``."""
    return np.swapaxes(W, 1, 2) @ right if isinstance(W, np.ndarray) else np.asarray(W.T @ right[0])[None]


def along(W: Any, right: Array) -> Array:
    """``W right``."""
    return W @ right if isinstance(W, np.ndarray) else np.asarray(W @ right[0])[None]


def inverse_roots(P: Array) -> tuple[Array, NDArray[np.bool_]]:
    """``L^-1`` of P = LL' for small matrices, (k, q, c, c), and at which k all of them are positive definite."""
    L, regular = cholesky_of_each(P.reshape(-1, *P.shape[2:]))
    return np.linalg.inv(L).reshape(P.shape), regular.reshape(P.shape[:2]).all(axis=1)


def sparse_within_levels(inverse: Array, right: csr_array) -> csr_array:
    """Small matrices of each level times a sparse matrix."""
    q, c = inverse.shape[:2]
    if c == 1:
        scaled = right.data * np.repeat(inverse[:, 0, 0], np.diff(right.indptr))
        return csr_array((scaled, right.indices, right.indptr), shape=right.shape)
    columns = np.repeat(np.arange(q * c).reshape(q, c), c, axis=0).ravel()
    small = csr_array((inverse.ravel(), columns, np.arange(q * c + 1) * c), shape=(q * c, q * c))
    return csr_array(small @ right)


def gathered(left: csr_array, right: csr_array, T: Array) -> Array:
    """``l'T r`` of the rows l and r of two sparse matrices, row by row."""
    n = left.shape[0]
    out = np.zeros(n)
    for i, a in entries(left):
        for j, b in entries(right):
            out += a * b * T[i, j]
    return out


def pairs_of(left: csr_array, right: csr_array, T: Array) -> Array:
    """The same where T is made of small matrices on the diagonal, (q, c, c), and rows lie within one of them."""
    c = T.shape[1]
    out = np.zeros(left.shape[0])
    for i, a in entries(left):
        for j, b in entries(right):
            out += np.where(i // c == j // c, a * b * T[i // c, i % c, j % c], 0.0)
    return out


def entries(rows: csr_array) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """The k-th entry of every row, column and value; zero where a row has fewer."""
    counts = np.diff(rows.indptr)
    for k in range(int(counts.max(initial=0))):
        at = np.where(counts > k, rows.indptr[:-1] + k, 0)
        yield rows.indices[at].astype(np.intp), np.where(counts > k, rows.data[at], 0.0)


def sparse_of(source: LevelRows) -> csr_array:
    """Return numbers and level effects as columns of one sparse matrix."""
    return csr_array(sparse_hstack([csr_array(source.X), *[block.sparse for block in source.levels]], format="csr"))
