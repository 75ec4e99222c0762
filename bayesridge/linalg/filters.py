r"""Functions of lambda: the ridge path and what belongs to it, O(rank) for each lambda.

All take ``lam`` as a number or an array; the result has the shape of ``lam`` followed by its own axes. lambda is
the penalty of ``sum w (y - b0 - x'beta)^2 + lambda |beta|^2`` on the standardised columns; 0 and infinity are
allowed and mean the limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design
from bayesridge.linalg.spectrum import Spectrum, left_vectors

Array = NDArray[np.float64]


def check_lambda(lam: ArrayLike) -> Array:
    """Return ``lam`` as a float array, refusing negative values and NaN."""
    values = np.asarray(lam, dtype=np.float64)
    if not (values >= 0).all():
        raise DataError(f"lambda must be 0 or positive, got {values[~(values >= 0)].ravel()[0]}")
    return values


def filter_factors(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Filter factors ``f_j = s_j^2 / (s_j^2 + lambda)``: the share of each direction taken from the data.

    Returns
    -------
    ndarray of shape lam.shape + (rank,)
    """
    return 1.0 / (1.0 + check_lambda(lam)[..., None] / spectrum.s2)


def shrinkage(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Return ``1 - f_j = lambda / (s_j^2 + lambda)``, the prior's share, without cancellation."""
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (1.0 + spectrum.s2 / check_lambda(lam)[..., None]))


def effective_dof(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Effective degrees of freedom ``sum_j f_j`` of the penalised columns.

    The intercept and unpenalised columns are *not* counted: add ``design.n_flat`` for those.
    """
    return np.asarray(filter_factors(spectrum, lam).sum(axis=-1))


def penalized_rss(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Minimum of the ridge criterion, ``Q(lambda) = r0 + sum_j z_j^2 lambda / (s_j^2 + lambda)``."""
    return np.asarray(spectrum.r0 + shrinkage(spectrum, lam) @ spectrum.z2)


def residual_squares(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Weighted residual sum of squares ``r0 + sum_j z_j^2 (1 - f_j)^2`` of the ridge fit (without the penalty)."""
    return np.asarray(spectrum.r0 + shrinkage(spectrum, lam) ** 2 @ spectrum.z2)


def spectral_coefficients(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Ridge coefficients along the right singular vectors, ``s_j z_j / (s_j^2 + lambda)``."""
    return spectrum.s * spectrum.z / (spectrum.s2 + check_lambda(lam)[..., None])


def standardized_coefficients(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Ridge coefficients of the standardised penalised columns, shape lam.shape + (p_penalized,)."""
    return np.asarray(spectral_coefficients(spectrum, lam) @ spectrum.V.T)


@dataclass(frozen=True, eq=False)
class RidgePath:
    """Ridge solutions over lambda, in the units of the data.

    Attributes
    ----------
    lam : ndarray of shape (k,)
    coef : ndarray of shape (k, p)
        All columns: penalised, unpenalised, and zeros for constant ones.
    intercept : ndarray of shape (k,)
    effective_dof : ndarray of shape (k,)
        Of the penalised columns (the intercept and unpenalised columns not counted).
    """

    lam: Array
    coef: Array
    intercept: Array
    effective_dof: Array


def ridge_path(design: Design, spectrum: Spectrum, lam: ArrayLike) -> RidgePath:
    """Closed-form ridge solutions, in the units of the data, for each lambda.

    Parameters
    ----------
    design, spectrum : Design, Spectrum
    lam : array_like
        One or more penalties.

    Returns
    -------
    RidgePath
    """
    grid = np.atleast_1d(check_lambda(lam))
    beta = standardized_coefficients(spectrum, grid)
    coef, intercept = original_scale(design, spectrum, beta)
    return RidgePath(grid, coef, intercept, effective_dof(spectrum, grid))


def original_scale(design: Design, spectrum: Spectrum, beta: Array) -> tuple[Array, Array]:
    """Turn standardised penalised coefficients into all coefficients and the intercept, in data units.

    Parameters
    ----------
    beta : ndarray of shape (..., p_penalized)

    Returns
    -------
    coef : ndarray of shape (..., p)
    intercept : ndarray of shape (...)
        ``y_mean - mean' coef``, zero without an intercept.
    """
    coef = np.zeros((*beta.shape[:-1], design.X.shape[1]))
    coef[..., design.penalized] = beta / design.scale[design.penalized]
    if spectrum.flat is not None:
        gamma = spectrum.flat.on_target - beta @ spectrum.flat.on_predictors.T
        coef[..., design.unpenalized] = gamma / design.scale[design.unpenalized]
    if not design.fit_intercept:
        return coef, np.zeros(coef.shape[:-1])
    return coef, np.asarray(design.y_mean - coef @ design.mean)


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


def row_parts(design: Design, spectrum: Spectrum) -> RowParts:
    """Split residuals and leverages of all rows into what depends on lambda and what does not."""
    U = left_vectors(design, spectrum)
    residual = flat_residuals(design, spectrum) - U @ spectrum.z
    flat = flat_leverage(design, spectrum)
    n = design.n_rows
    w = np.ones(n) if design.weights is None else design.weights
    precision, count = np.ones(n), (w > 0).astype(np.float64)
    rows = count if design.weight_kind == "precision" or design.weights is None else w
    unit = np.where(w > 0, w, 1.0) if design.weight_kind == "frequency" else np.ones(n)
    spanned = spectrum.rank >= int(np.count_nonzero(w)) - design.n_flat
    if spanned:
        residual = np.zeros(n)
    rest = 1.0 - (flat + np.square(U).sum(axis=1)) / unit
    # what is left of a spanned row is rounding; below zero it always is
    rest = np.where((unit == 1.0) & spanned, 0.0, np.maximum(rest, 0.0))
    rest = np.where(w > 0, rest, 1.0)  # rows that do not count have no leverage
    if design.weight_kind == "precision" and design.weights is not None:
        precision = np.where(w > 0, w, 1.0)
    root = np.sqrt(unit)
    return RowParts(U / root[:, None], residual / root, rest, precision, rows, design.y)


def flat_leverage(design: Design, spectrum: Spectrum) -> Array:
    """Leverage of the flat directions alone (``w_i / sum w`` for an intercept), shape (n_rows,)."""
    w = np.ones(design.n_rows) if design.weights is None else design.weights
    h = w / design.total_weight if design.fit_intercept else np.zeros(design.n_rows)
    if spectrum.flat is not None:
        Z = design.standardize(design.X, design.unpenalized)
        h = h + w * np.square(Z @ spectrum.flat.root_inverse).sum(axis=1)
    return h


def flat_residuals(design: Design, spectrum: Spectrum) -> Array:
    """``yc``: root weights times y, with the flat directions projected out, shape (n_rows,)."""
    rest = design.y - design.y_mean
    if spectrum.flat is not None:
        rest = rest - design.standardize(design.X, design.unpenalized) @ spectrum.flat.on_target
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
    shrink = shrinkage(spectrum, lam)
    e = rows.residual + (shrink * spectrum.z) @ rows.U.T
    keep = rows.rest + shrink @ np.square(rows.U).T
    with np.errstate(divide="ignore", invalid="ignore"):
        value = e / keep / np.sqrt(rows.precision)
    return np.asarray(np.where(rows.count > 0, value, np.nan))


@dataclass(frozen=True)
class Conditioning:
    """Condition numbers of the normal equations X'X (standardised, penalised columns)."""

    before: float
    after: float


def conditioning(spectrum: Spectrum, lam: float) -> Conditioning:
    """Condition number of ``Xc'Xc`` and of ``Xc'Xc + lambda I``.

    Infinite when X has null directions (more columns than rows, dependent columns) and lambda is 0. Singular
    values 100, 1, 0.01 with lambda 1 give 1e8 before and 1e4 after.
    """
    check_lambda(lam)
    if spectrum.rank == 0:
        return Conditioning(np.inf, 1.0 if lam > 0 else np.inf)
    largest = float(spectrum.s2[0])
    smallest = float(spectrum.s2[-1]) if spectrum.rank == spectrum.n_features else 0.0
    before = largest / smallest if smallest > 0 else np.inf
    if np.isinf(lam):
        return Conditioning(before, 1.0)
    after = (largest + lam) / (smallest + lam) if smallest + lam > 0 else np.inf
    return Conditioning(before, after)


def constraint_radius(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Radius t of the constraint ``|beta| <= t`` (standardised) that gives the same solution as lambda."""
    return np.asarray(np.linalg.norm(spectral_coefficients(spectrum, lam), axis=-1))


def lambda_of_radius(spectrum: Spectrum, radius: float) -> float:
    """Penalty whose solution has norm ``radius``: the inverse of :func:`constraint_radius`.

    0 when the constraint does not bind (the least-squares solution is shorter), infinity for radius 0.
    """
    if not radius >= 0:
        raise DataError(f"radius must be 0 or positive, got {radius}")
    if radius >= float(constraint_radius(spectrum, 0.0)):
        return 0.0
    if radius == 0:
        return np.inf
    # |beta(lambda)| falls from |beta(0)| to 0; lambda |beta| <= |s z| bounds the root from above
    target = np.log(radius)
    high = np.log(np.linalg.norm(spectrum.s * spectrum.z) / radius)
    low = np.log(spectrum.s2[-1]) - 40.0

    def excess(t: float) -> float:
        return float(np.log(constraint_radius(spectrum, np.exp(t))) - target)

    if excess(low) <= 0:
        return 0.0
    return float(np.exp(brentq(excess, low, high + 1e-9, xtol=1e-14, rtol=1e-15)))
