r"""Residual and leverage of every row as functions of lambda, on a basis that makes each lambda cheap.

Leave-one-out at lambda needs, of each row, e = e0 + U (g z) and m = m0 + U^2 g with g = lambda / (s^2 + lambda): n rank
multiplications for each lambda. As functions of log lambda the rank numbers g_j are shifts of one sigmoid, hence the
vectors g (and f g, their derivative) of *all* lambda lie, to rounding, in a space of some twenty dimensions when the
spectrum is not extremely wide. With an orthonormal basis B of it,

    U (g z) = [U (B z)'] (B g),    U^2 g = [U^2 B'] (B g):

one pass over the rows gives both brackets, n x 20 numbers, and U itself need not be kept. g is divided by its value for
the smallest s first, so that the accuracy is relative even where lambda is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.filters import filter_factors, shrinkage
from bayesridge.linalg.search_range import SearchRange
from bayesridge.linalg.spectrum import Spectrum, left_vectors
from bayesridge.linalg.terms import spectral_terms
from bayesridge.parallel.threads import run_blocks, threads_for

Array = NDArray[np.float64]

_LOOSE = 1e-12  # 1 - leverage below this is rounding: the row is fitted exactly as lambda -> 0
_DIRECT_WORK = 200_000  # n rank up to which U itself is as good
_TOLERANCE = 1e-14
_BLOCK_VALUES = 1 << 17


@dataclass(frozen=True, eq=False)
class RowParts:
    """What one row has to do with the fit, per observation (a unit of frequency weight, or the whole weighted row).

    residual + U @ ((1 - f) z) is its root-weighted residual, rest + U^2 @ (1 - f) is one less its leverage.

    Attributes
    ----------
    U : ndarray of shape (n_rows, rank)
    residual : ndarray of shape (n_rows,)
        What no lambda explains; exactly zero when X spans the space of y.
    rest : ndarray of shape (n_rows,)
        ``1 - h`` at lambda = 0.
    precision : ndarray of shape (n_rows,)
        1 / the row's noise variance over sigma^2 (the weight if it is a precision, else 1).
    count : ndarray of shape (n_rows,)
        Observations the row stands for (0 for rows of weight zero).
    y : ndarray of shape (n_rows,)
    """

    U: Array
    residual: Array
    rest: Array
    precision: Array
    count: Array
    y: Array

    @cached_property
    def squares(self) -> Array:
        """U, squared elementwise."""
        return np.square(self.U)

    def at(self, spectrum: Spectrum, lam: ArrayLike, z: Array | None = None) -> tuple[Array, Array]:
        """Root-weighted residuals and 1 - leverages at each lambda, of each shape lam.shape + (n_rows,).

        z may be that of other targets, one for each lambda: `residual` is theirs then, (len(lam), n_rows).
        """
        shrink = shrinkage(spectrum, lam)
        left = shrink * (spectrum.z if z is None else z)
        return self.residual + left @ self.U.T, self.rest + shrink @ self.squares.T

    def limit_at_zero(self, spectrum: Spectrum) -> Array:
        """Residual over 1 - leverage as lambda -> 0 where both vanish there, root-weighted, (n_rows,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.U @ (spectrum.z / spectrum.s2) / (self.squares @ (1.0 / spectrum.s2)))

    @property
    def alone(self) -> NDArray[np.intp]:
        """Rows without which a flat direction has no posterior."""
        left = self.rest + self.squares.sum(axis=1)
        return np.flatnonzero((self.count > 0) & (left <= 1e-13))


def row_parts(design: Design, spectrum: Spectrum) -> RowParts:
    """Split residuals and leverages of all rows into what depends on lambda and what does not."""
    U = left_vectors(design, spectrum)
    residual = flat_residuals(design, spectrum.on_flat) - U @ spectrum.z
    flat = flat_leverage(design, spectrum)
    n, (precision, rows, unit) = design.n_rows, row_weights(design)
    spanned = spectrum.rank >= design.n_seen - design.n_flat
    if spanned:
        residual = np.zeros(n)
    rest = 1.0 - (flat + np.einsum("ij,ij->i", U, U)) / unit
    # what is left of a spanned row is rounding; below zero it always is
    rest = np.where((unit == 1.0) & spanned, 0.0, np.maximum(rest, 0.0))
    rest = np.where(rows > 0, rest, 1.0)  # rows that do not count have no leverage
    root = np.sqrt(unit)
    if (unit != 1.0).any():
        U, residual = U / root[:, None], residual / root
    return RowParts(U, residual, rest, precision, rows, design.y)


def row_weights(design: Design) -> tuple[Array, Array, Array]:
    """Precision and count of each row, as in :class:`RowParts`, and what its weight is divided by; (n_rows,) each."""
    ones, w = np.ones(design.n_rows), design.weights
    if w is None:
        return ones, ones, ones
    positive = np.where(w > 0, w, 1.0)
    if design.weight_kind == "precision":
        return positive, (w > 0).astype(np.float64), ones
    return ones, w, positive


def flat_leverage(design: Design, spectrum: Spectrum) -> Array:
    """Leverage of the flat directions alone (``w_i / sum w`` for an intercept), shape (n_rows,)."""
    w = np.ones(design.n_rows) if design.weights is None else design.weights
    h = w / design.total_weight if design.fit_intercept else np.zeros(design.n_rows)
    if spectrum.flat is not None:
        Z = design.standardized(None, design.unpenalized)
        h = h + w * np.square(Z @ spectrum.flat.root_inverse).sum(axis=1)
    return h


def flat_residuals(design: Design, on_flat: Array) -> Array:
    """``yc``: root weights times y, with the flat directions projected out, shape (n_rows,)."""
    rest = design.y - design.y_mean
    if len(on_flat):
        rest = rest - design.standardized(None, design.unpenalized) @ on_flat
    root = design.root_weights()
    return rest if root is None else np.asarray(rest * root)


def leverage(design: Design, spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Diagonal of the hat matrix of the weighted problem, flat directions included.

    ``h_i = w_i / sum w + sum_j U_ij^2 f_j``; its sum is ``effective_dof + n_flat``.

    Returns
    -------
    ndarray of shape lam.shape + (n_rows,)
    """
    U = left_vectors(design, spectrum)
    return np.asarray(flat_leverage(design, spectrum) + filter_factors(spectrum, lam) @ np.square(U).T)


def loo_residuals(design: Design, spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Closed-form leave-one-out residuals ``y_i - yhat_-i = e_i / (1 - h_i)`` in the units of y.

    The column scales are held fixed; means and coefficients are those of the other rows. With frequency weights
    *one* of the observations a row stands for is left out. NaN for rows of weight zero.

    Returns
    -------
    ndarray of shape lam.shape + (n_rows,)
    """
    rows = row_parts(design, spectrum)
    e, keep = rows.at(spectrum, lam)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = e / keep / np.sqrt(rows.precision)
    return np.asarray(np.where(rows.count > 0, value, np.nan))


@dataclass(frozen=True, eq=False)
class RowBasis:
    """The rows of positive weight: e = residual + on_residual c, 1 - h = rest + on_leverage d, c and d made of g.

    Attributes
    ----------
    index : ndarray of int, shape (m,)
        Rows of the table.
    residual, rest : ndarray of shape (m,)
        Root-weighted residual and 1 - leverage at lambda = 0 (zeros for rows that are fitted exactly there).
    on_residual, on_leverage : ndarray of shape (m, k)
    basis : ndarray of shape (k, rank) or None
        None when `on_residual` is U and `on_leverage` its square.
    z : ndarray of shape (rank,)
    precision, count : ndarray of shape (m,)
        As in :class:`RowParts`.
    """

    index: NDArray[np.intp]
    residual: Array
    rest: Array
    on_residual: Array
    on_leverage: Array
    basis: Array | None
    z: Array
    precision: Array
    count: Array

    def coordinates(self, values: Array, size: Array | float = 1.0) -> tuple[Array, Array]:
        """Turn K rows of values along the spectrum (g, f g, or sums of such) into what the brackets multiply.

        Parameters
        ----------
        values : ndarray of shape (K, rank)
        size : ndarray of shape (K, 1), or float
            Their natural size; errors are relative to it.

        Returns
        -------
        ndarray, ndarray of shape (k, K)
            For `on_residual` and `on_leverage`.
        """
        if self.basis is None:
            return (values * self.z).T, values.T
        c = np.asarray((values / size) @ self.basis.T * size).T
        return c, c


def row_basis(design: Design, spectrum: Spectrum, where: SearchRange) -> RowBasis:
    """Prepare the rows: on U itself when it is small, otherwise on a basis of what lambda can do.

    Raises
    ------
    DataError
        If the data were changed since the fit.
    """
    seen = np.ones(design.n_rows, dtype=bool) if design.weights is None else design.weights > 0
    basis = None if is_small(design, spectrum) else _basis(spectrum, where)
    if basis is None:
        return _direct(row_parts(design, spectrum), spectrum)
    if spectrum.left is not None or spectrum.flat is not None:
        return _compressed(_direct(row_parts(design, spectrum), spectrum), basis)
    return _one_pass(design, spectrum, basis, seen)


def is_small(design: Design, spectrum: Spectrum) -> bool:
    """Say whether U itself is used: a small table, or one with few rows for its rank."""
    rows = design.n_rows if design.weights is None else int(np.count_nonzero(design.weights))
    return design.n_rows * spectrum.rank <= _DIRECT_WORK or rows < 4 * spectrum.rank


def _basis(spectrum: Spectrum, where: SearchRange) -> Array | None:
    """Orthonormal basis (k, rank) of g and f g over all lambda, scaled; None where it would save little."""
    grid = where.grid[::3]
    terms = spectral_terms(spectrum, np.concatenate([[where.zero], grid, [where.infinity]]))
    samples = np.concatenate([terms.g, terms.fg]) / np.concatenate([terms.g, terms.g])[:, -1:]
    with threads_for(len(samples)):
        singular, axes = np.linalg.svd(samples, full_matrices=False)[1:]
    k = int(np.count_nonzero(singular > _TOLERANCE * singular[0]))
    return np.ascontiguousarray(axes[:k]) if 3 * k <= spectrum.rank else None


def _direct(rows: RowParts, spectrum: Spectrum) -> RowBasis:
    index = np.flatnonzero(rows.count > 0)
    loose = rows.rest[index] <= _LOOSE
    U = rows.U if len(index) == len(rows.U) else rows.U[index]
    return RowBasis(
        index, np.where(loose, 0.0, rows.residual[index]), np.where(loose, 0.0, rows.rest[index]), U, np.square(U),
        None, spectrum.z, rows.precision[index], rows.count[index],
    )  # fmt: skip


def _compressed(rows: RowBasis, basis: Array) -> RowBasis:
    on_residual, on_leverage = rows.on_residual @ (basis * rows.z).T, rows.on_leverage @ basis.T
    return RowBasis(
        rows.index, rows.residual, rows.rest, on_residual, on_leverage, basis, rows.z, rows.precision, rows.count
    )


def _one_pass(design: Design, spectrum: Spectrum, basis: Array, seen: NDArray[np.bool_]) -> RowBasis:
    """Both brackets block by block; a block of U lives in the cache and nowhere else."""
    index = np.flatnonzero(seen)
    w = np.ones(len(index)) if design.weights is None else design.weights[index]
    precise = design.weights is not None and design.weight_kind == "precision"
    root = np.sqrt(w) if precise else np.ones(len(index))  # a frequency weight is divided out again
    turn = spectrum.V / spectrum.s
    kernel = (basis * spectrum.z).T
    m, k = len(index), len(basis)
    on_residual, on_leverage = np.empty((m, k)), np.empty((m, k))
    fitted, leverage = np.empty(m), np.empty(m)
    target = flat_residuals(design, spectrum.on_flat)[index]
    columns = slice(0, len(design.penalized)) if len(design.penalized) == design.n_columns else design.penalized
    all_rows = len(index) == design.n_rows

    def fill(part: slice) -> Array:
        X = design.standardized(part if all_rows else index[part], columns)
        U = X @ turn
        if precise:
            U *= root[part, None]
        weighted = target[part] * (1.0 if precise else np.sqrt(w[part]))
        check = weighted @ U
        fitted[part] = U @ spectrum.z
        on_residual[part] = U @ kernel
        np.square(U, out=U)
        leverage[part] = U.sum(axis=1)
        on_leverage[part] = U @ basis.T
        return np.asarray(check)

    size = max(64, _BLOCK_VALUES // spectrum.rank)
    parts = [slice(start, min(start + size, m)) for start in range(0, m, size)]
    z = np.sum(run_blocks(fill, parts, float(m) * spectrum.rank * turn.shape[0]), axis=0)
    if np.abs(z - spectrum.z).max() > 1e-5 * np.sqrt(spectrum.total_squares) and spectrum.degenerate != "constant":
        raise DataError("the data changed after the fit (U'y no longer matches); fit again, or pass a copy to fit")
    unit = np.ones(m) if precise else w
    residual = target / np.sqrt(unit) - fitted
    rest = 1.0 - flat_leverage(design, spectrum)[index] / unit - leverage
    loose = rest <= _LOOSE
    return RowBasis(
        index, np.where(loose, 0.0, residual), np.where(loose, 0.0, rest), on_residual, on_leverage, basis, spectrum.z,
        w if precise else np.ones(m), np.ones(m) if precise else w,
    )  # fmt: skip
