r"""Linear functionals of the coefficients: coefficients, intercept, predictions, contrasts.

A functional ``a0 b0 + a' coef`` in the units of the data becomes, on the standardised penalised columns,

    unit * (offset + l' beta + noise of the flat directions), and given lambda, apart from the unit,

    mean      offset + sum_j (V'l)_j s_j z_j / (s_j^2 + lambda)
    variance  sigma^2 [fixed + sum_j (V'l)_j^2 / (s_j^2 + lambda) + null / lambda]

with ``fixed`` the flat directions' share (1 / sum w for the intercept), and ``null = |l|^2 - |V'l|^2`` the part of l
that X never saw, where the prior variance sigma^2 / lambda = tau^2 is untouched. No p x p matrix is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.design.levels import LevelRows
from bayesridge.design.row_source import RowIndex
from bayesridge.linalg.factor import RowSpace
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearMap:
    """m functionals in spectral coordinates (see the module's text).

    Attributes
    ----------
    offset, null, fixed, unit : ndarray of shape (m,)
    loadings : ndarray of shape (m, rank)
        ``V'l`` of each functional.
    """

    offset: Array
    loadings: Array
    null: Array
    fixed: Array
    unit: Array

    def __len__(self) -> int:
        return len(self.offset)

    def take(self, index: RowIndex) -> LinearMap:
        """Some of the functionals."""
        return LinearMap(
            self.offset[index], self.loadings[index], self.null[index], self.fixed[index], self.unit[index]
        )


@dataclass(frozen=True, eq=False)
class RowSpaceCoefficients:
    """All coefficients, every column penalised, more columns than rows: V is formed only where loadings are asked for.

    Attributes
    ----------
    spectrum : Spectrum
        Its right vectors come as a :class:`RowSpace`.
    right : RowSpace
    unit, offset, fixed : ndarray of shape (p,)
    """

    spectrum: Spectrum
    right: RowSpace
    unit: Array
    offset: Array
    fixed: Array

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def loadings(self) -> Array:
        """V, shape (p, rank)."""
        return self.spectrum.V

    @cached_property
    def null(self) -> Array:
        """What X never saw of each coefficient, shape (p,)."""
        return _null_of_columns(self.spectrum, self.loadings)

    def take(self, index: RowIndex) -> LinearMap:
        """Return a few of the coefficients by their own loadings."""
        loadings = (self.right.turn @ self.right.rows[:, index]).T
        null = _null_of_columns(self.spectrum, loadings, index)
        return LinearMap(self.offset[index], loadings, null, self.fixed[index], self.unit[index])


AnyLinearMap = LinearMap | RowSpaceCoefficients


def coefficient_map(design: Design, spectrum: Spectrum) -> AnyLinearMap:
    """All p coefficients in the units of the data (rows of zeros for constant columns)."""
    p = design.n_columns
    if design.basis is not None:
        return contrast_map(design, spectrum, np.eye(p))
    zero = np.zeros(p)
    right = spectrum.right
    if isinstance(right, RowSpace) and len(design.penalized) == p and 0 < spectrum.rank < p:
        return RowSpaceCoefficients(spectrum, right, 1.0 / design.scale, zero, zero)
    V = spectrum.V
    null = _null_of_columns(spectrum, V)
    if len(design.penalized) == p:
        return LinearMap(zero, V, null, zero, 1.0 / design.scale)
    offset, fixed, all_null = np.zeros(p), np.zeros(p), np.zeros(p)
    loadings = np.zeros((p, spectrum.rank))
    loadings[design.penalized] = V
    all_null[design.penalized] = null
    if spectrum.flat is not None:
        flat, a = spectrum.flat, design.unpenalized
        offset[a] = spectrum.on_flat
        loadings[a] = -(flat.on_predictors @ V)
        fixed[a] = np.square(flat.root_inverse).sum(axis=1)
        all_null[a] = outside(np.square(flat.on_predictors).sum(axis=1), loadings[a], spectrum)
    return LinearMap(offset, loadings, all_null, fixed, 1.0 / design.scale)


def intercept_map(design: Design, spectrum: Spectrum) -> LinearMap:
    """The intercept ``b0`` (the prediction where every column is zero)."""
    return prediction_map(design, spectrum, np.zeros((1, design.n_columns)))


def prediction_map(design: Design, spectrum: Spectrum, X: Array | LevelRows) -> LinearMap:
    """Expected target ``b0 + x' coef`` at each row of X (m x p, units of the data)."""
    return _project(spectrum, prediction_functionals(design, spectrum, X))


def contrast_map(design: Design, spectrum: Spectrum, A: Array) -> LinearMap:
    """Linear combinations ``A @ coef`` of the coefficients (A: m x p, units of the data)."""
    return _project(spectrum, contrast_functionals(design, spectrum, A))


@dataclass(frozen=True, eq=False)
class Functionals:
    """m functionals ``offset + rows @ beta`` of the standardised penalised coefficients, flat directions eliminated.

    Attributes
    ----------
    offset, fixed : ndarray of shape (m,)
        `fixed` is the flat directions' variance over sigma^2.
    rows : ndarray of shape (m, p_penalized)
    """

    offset: Array
    rows: Array
    fixed: Array

    def __len__(self) -> int:
        return len(self.offset)

    def take(self, index: RowIndex) -> Functionals:
        """Some of the functionals."""
        return Functionals(self.offset[index], self.rows[index], self.fixed[index])


def prediction_functionals(design: Design, spectrum: Spectrum, X: Array | LevelRows) -> Functionals:
    """Expected target at each row of X (m x p, units of the data)."""
    X = X.take(slice(None)) if isinstance(X, LevelRows) else X
    rows = design.standardize(X, design.penalized)
    fixed = np.full(len(X), 1.0 / design.total_weight if design.fit_intercept else 0.0)
    offset = np.full(len(X), design.y_mean)
    return _without_flat(spectrum, rows, design.standardize(X, design.unpenalized), offset, fixed)


def contrast_functionals(design: Design, spectrum: Spectrum, A: Array) -> Functionals:
    """Linear combinations ``A @ coef`` of the coefficients (A: m x p, units of the data)."""
    rows = A / design.scale if design.basis is None else A @ design.basis
    zero = np.zeros(len(A))
    return _without_flat(spectrum, rows[:, design.penalized], rows[:, design.unpenalized], zero, zero)


def _without_flat(spectrum: Spectrum, rows: Array, flat_rows: Array, offset: Array, fixed: Array) -> Functionals:
    if spectrum.flat is not None:
        flat = spectrum.flat
        offset = offset + flat_rows @ spectrum.on_flat
        rows = rows - flat_rows @ flat.on_predictors
        fixed = fixed + np.square(flat_rows @ flat.root_inverse).sum(axis=1)
    return Functionals(offset, rows, fixed)


def _project(spectrum: Spectrum, of: Functionals) -> LinearMap:
    right = spectrum.right
    if isinstance(right, RowSpace):  # V itself may be larger than memory
        loadings = (right.turn @ (right.rows @ of.rows.T)).T
    else:
        loadings = of.rows @ right
    null = outside(np.einsum("ij,ij->i", of.rows, of.rows), loadings, spectrum)
    return LinearMap(of.offset, loadings, null, of.fixed, np.ones(len(of)))


def outside(squares: Array, loadings: Array, spectrum: Spectrum) -> Array:
    """``|l|^2 - |V'l|^2``: exactly zero at full column rank, and what is left below rounding is zero."""
    if spectrum.rank == spectrum.n_features:
        return np.zeros(len(squares))
    rest = squares - np.einsum("ij,ij->i", loadings, loadings)
    return np.where(rest > 64.0 * np.finfo(np.float64).eps * squares * max(spectrum.rank, 1) ** 0.5, rest, 0.0)


_CANCELLED, _MOST_WORK = 1e-6, 1e8


def _null_of_columns(spectrum: Spectrum, loadings: Array, index: RowIndex = slice(None)) -> Array:
    """What null directions have of some columns (`loadings` are their rows of V).

    Where one less nearly one says too little it is the length of what V leaves of the column's unit vector: a prior
    1e5 times wider than the noise multiplies 1e-16 of rounding by 1e10.
    """
    null = outside(np.ones(len(loadings)), loadings, spectrum)
    few = np.flatnonzero(null < _CANCELLED)
    p, right = spectrum.n_features, spectrum.right
    if spectrum.rank < p and 0 < len(few) * p * spectrum.rank < _MOST_WORK:
        rest = np.zeros((p, len(few)))
        rest[np.arange(p)[index][few], np.arange(len(few))] = 1.0
        for _ in range(2):  # orthogonal to V to rounding
            if isinstance(right, RowSpace):
                rest -= ((right.turn.T @ (right.turn @ (right.rows @ rest))).T @ right.rows).T
            else:
                rest -= right @ (right.T @ rest)
        share = np.square(rest).sum(axis=0)
        null[few] = np.where(share > (64.0 * np.finfo(np.float64).eps) ** 2, share, 0.0)
    return null


def standardized_rows(design: Design, spectrum: Spectrum) -> Array:
    """The functionals of :func:`coefficient_map` on the standardised penalised columns, (p x p_penalized)."""
    rows = np.zeros((design.n_columns, spectrum.n_features))
    rows[design.penalized, np.arange(spectrum.n_features)] = 1.0
    if spectrum.flat is not None:
        rows[design.unpenalized] = -spectrum.flat.on_predictors
    return rows if design.basis is None else design.basis @ rows


def flat_gram(design: Design, spectrum: Spectrum) -> Array:
    """Covariance over sigma^2 that the flat directions bring to the scaled coefficients (p x p)."""
    p = design.n_columns
    gram = np.zeros((p, p))
    if spectrum.flat is not None:
        root = spectrum.flat.root_inverse
        gram[np.ix_(design.unpenalized, design.unpenalized)] = root @ root.T
    return gram if design.basis is None else np.asarray(design.basis @ gram @ design.basis.T)
