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

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design
from bayesridge.linalg.filters import RowParts, flat_leverage, flat_residuals, row_parts
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.linalg.threads import run_blocks, threads_for
from bayesridge.rules.terms import SearchRange, spectral_terms

Array = NDArray[np.float64]

_LOOSE = 1e-12  # 1 - leverage below this is rounding: the row is fitted exactly as lambda -> 0
_DIRECT_WORK = 200_000  # n rank up to which U itself is as good
_TOLERANCE = 1e-14
_BLOCK_VALUES = 1 << 17


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
        As in :class:`~bayesridge.linalg.filters.RowParts`.
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
    target = flat_residuals(design, spectrum)[index]
    columns = slice(0, len(design.penalized)) if len(design.penalized) == design.X.shape[1] else design.penalized
    all_rows = len(index) == design.n_rows

    def fill(part: slice) -> Array:
        X = design.standardize(design.X[part] if all_rows else design.X[index[part]], columns)
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
