r"""Linear functionals of the coefficients: coefficients, intercept, predictions, contrasts.

A functional ``a0 b0 + a' coef`` in the units of the data becomes, on the standardised penalised columns,

    unit * (offset + l' beta + noise of the flat directions), and given lambda, apart from the unit,

    mean      offset + sum_j (V'l)_j s_j z_j / (s_j^2 + lambda)
    variance  sigma^2 [fixed + sum_j (V'l)_j^2 / (s_j^2 + lambda) + null / lambda]

with ``fixed`` the flat directions' share (1 / sum w for the intercept), and ``null = |l|^2 - |V'l|^2`` the part of l
that X never saw, where the prior variance sigma^2 / lambda = tau^2 is untouched. No p x p matrix is formed.

A coefficient of an unpenalised column has the l of what it explains of the others, 1e6 long where one of these is a
million away from zero and there is no intercept; what is left of 1e12 is rounding then. A prior 1e5 times wider than
the noise multiplies it by 1e10, so that where little is left it is measured, not subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
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
        return _null_of_columns(self.spectrum, self.loadings, slice(None))

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
    null = _null_of_columns(spectrum, V, slice(None))
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
        all_null[a] = _null_of_rows(spectrum, flat.on_predictors, loadings[a])
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
    null = _null_of_rows(spectrum, of.rows, loadings)
    return LinearMap(of.offset, loadings, null, of.fixed, np.ones(len(of)))


_EPS = float(np.finfo(np.float64).eps)
_CANCELLED, _MOST_WORK = 1e-6, 1e8


def _null(spectrum: Spectrum, squares: Array, loadings: Array, rows: Callable[[NDArray[np.intp]], Array]) -> Array:
    """``|l|^2 - |V'l|^2`` of functionals with these squared lengths; `rows` makes the l of some, where it is measured.

    Exactly zero at full column rank, and where what is left is rounding.
    """
    if spectrum.rank == spectrum.n_features:
        return np.zeros(len(squares))
    null = squares - np.einsum("ij,ij->i", loadings, loadings)
    few = np.flatnonzero(null <= _CANCELLED * squares)
    if len(few) * spectrum.n_features * spectrum.rank < _MOST_WORK:
        null[few] = np.square(beyond(spectrum, rows(few))).sum(axis=1)
        least = np.full(len(null), (64.0 * _EPS) ** 2)
    else:
        least = np.full(len(null), 64.0 * _EPS * max(spectrum.rank, 1) ** 0.5)
    return np.where(null > least * squares, null, 0.0)


def _null_of_rows(spectrum: Spectrum, rows: Array, loadings: Array) -> Array:
    return _null(spectrum, np.einsum("ij,ij->i", rows, rows), loadings, lambda few: rows[few])


def _null_of_columns(spectrum: Spectrum, loadings: Array, index: RowIndex) -> Array:
    """What null directions have of some columns (`loadings` are their rows of V)."""

    def unit_vectors(few: NDArray[np.intp]) -> Array:
        rows = np.zeros((len(few), spectrum.n_features))
        rows[np.arange(len(few)), np.arange(spectrum.n_features)[index][few]] = 1.0
        return rows

    return _null(spectrum, np.ones(len(loadings)), loadings, unit_vectors)


def beyond(spectrum: Spectrum, rows: Array) -> Array:
    """Functionals (m x p_penalized) less what V holds of them, which is what X never saw."""
    right = spectrum.right
    for _ in range(2):  # orthogonal to V to rounding
        if isinstance(right, RowSpace):
            rows = rows - (right.turn.T @ (right.turn @ (right.rows @ rows.T))).T @ right.rows
        else:
            rows = rows - (rows @ right) @ right.T
    return rows


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
