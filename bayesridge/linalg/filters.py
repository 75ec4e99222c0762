r"""Functions of lambda: the ridge path and what belongs to it, O(rank) for each lambda.

All take ``lam`` as a number or an array; the result has the shape of ``lam`` followed by its own axes. lambda is
the penalty of ``sum w (y - b0 - x'beta)^2 + lambda |beta|^2`` on the standardised columns; 0 and infinity are
allowed and mean the limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.shares import kept, resolvent, shrunk
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]


class Squares(Protocol):
    """What shares are made of: squared singular values, decreasing."""

    @property
    def s2(self) -> Array: ...  # noqa: D102


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
    return kept(spectrum.s2, check_lambda(lam)[..., None])


def shrinkage(spectrum: Squares, lam: ArrayLike) -> Array:
    """Return ``1 - f_j = lambda / (s_j^2 + lambda)``, the prior's share, without cancellation."""
    return shrunk(spectrum.s2, check_lambda(lam)[..., None])


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


def penalized_rss_slope(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Derivative of Q in log lambda, ``sum_j z_j^2 f_j (1 - f_j)``."""
    return np.asarray((filter_factors(spectrum, lam) * shrinkage(spectrum, lam)) @ spectrum.z2)


def prior_share_of_rss(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """``Q / lambda = r0 / lambda + sum_j z_j^2 / (s_j^2 + lambda)``: finite at lambda = 0 where r0 is zero."""
    lam = check_lambda(lam)
    with np.errstate(divide="ignore"):
        rest = spectrum.r0 / lam if spectrum.r0 > 0 else np.zeros(lam.shape)
    return np.asarray(rest + unit_variances(spectrum, lam) @ spectrum.z2)


def prior_share_fall(spectrum: Spectrum, lam: Array) -> Array:
    """Minus the derivative of ``Q / lambda`` in log lambda, ``r0/lambda + sum_j z_j^2 lambda / (s_j^2 + lambda)^2``."""
    return np.asarray(spectrum.r0 / lam + (unit_variances(spectrum, lam) * shrinkage(spectrum, lam)) @ spectrum.z2)


def unit_variances(spectrum: Squares, lam: ArrayLike) -> Array:
    """Variances over sigma^2 of the coefficients along the right singular vectors, ``1 / (s_j^2 + lambda)``."""
    return resolvent(spectrum.s2, check_lambda(lam)[..., None])


def expected_squares(spectrum: Spectrum, lam: ArrayLike, sigma2: ArrayLike, weight: Array) -> Array:
    """Posterior means of the squared coefficients along the right singular vectors, over nodes of lambda (K,).

    Parameters
    ----------
    sigma2, weight : ndarray of shape (K,)
        E[sigma^2 | node] and the nodes' probabilities.
    """
    variance = np.asarray(sigma2)[:, None] * unit_variances(spectrum, lam)
    return np.asarray(weight @ (np.square(spectral_coefficients(spectrum, lam)) + variance))


def squared_bias(spectrum: Spectrum, lam: ArrayLike, squares: Array) -> Array:
    """``sum_j (1 - f_j)^2 s_j^2 b_j^2``: what ridge leaves out of the squared fit of coefficients b, squares given."""
    return np.asarray(shrinkage(spectrum, lam) ** 2 @ (spectrum.s2 * squares))


def from_directions(spectrum: Spectrum, along: Array) -> Array:
    """Standardised coefficients (..., p_penalized) from their coordinates along the right singular vectors."""
    return np.asarray(along @ spectrum.V.T)


def along_directions(spectrum: Spectrum, beta: Array) -> Array:
    """Coordinates of standardised coefficients along the right singular vectors."""
    return np.asarray(beta @ spectrum.V)


def expected_sizes(spectrum: Spectrum, lam: Array, sigma: Array) -> Array:
    """Standard deviations of ``z = U'y`` with the coefficients from their prior, ``sigma (1 + s^2 / lambda)^(1/2)``."""
    if not np.all(lam):
        raise DataError(
            "lambda = 0 is a flat prior on the coefficients: no data can be simulated from it; give lambda a prior"
        )
    return np.asarray(sigma[..., None] / np.sqrt(shrinkage(spectrum, lam)))


def filtered_coefficients(spectrum: Spectrum, factors: Array) -> Array:
    """Coefficients along the right singular vectors under any filter factors f (..., rank), ``f_j z_j / s_j``."""
    return factors * (spectrum.z / spectrum.s)


def filtered_squares(spectrum: Spectrum, factors: Array) -> Array:
    """Weighted residual sums of squares under any filter factors (..., rank), ``r0 + sum_j (1 - f_j)^2 z_j^2``."""
    return np.asarray(spectrum.r0 + np.square(1.0 - factors) @ spectrum.z2)


def landweber_factors(spectrum: Spectrum, steps: Array) -> Array:
    """Filter factors of k steps of gradient descent from zero, ``1 - (1 - s_j^2 / s_1^2)^k``; (K, rank)."""
    relative = np.minimum(spectrum.s2 / spectrum.s2[0], 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # log 0 for the first direction: one step has all of it
        left = np.log1p(-relative)
        return np.asarray(np.where(steps[:, None] > 0, -np.expm1(steps[:, None] * left), 0.0))


def signal_squares(spectrum: Spectrum, power: Array | float = 1.0) -> Array:
    """Variance in the data of coefficients of variance P_j along each direction, ``s_j^2 P_j``."""
    return np.asarray(spectrum.s2 * power)


def wiener_factors(spectrum: Spectrum, power: Array, noise: Array) -> Array:
    """Filter factors of directions of known variance P_j, ``s_j^2 P_j / (s_j^2 P_j + sigma^2)``; (K, rank)."""
    signal = signal_squares(spectrum, power)
    with np.errstate(invalid="ignore"):
        return np.where(signal > 0, kept(signal, noise[:, None]), 0.0)


def halving_lambdas(spectrum: Spectrum) -> tuple[float, float, float]:
    """Lambda that halves the weakest, the typical (geometric mean) and the strongest direction; 1 where none is."""
    if spectrum.rank == 0:
        return 1.0, 1.0, 1.0
    return float(spectrum.s2[-1]), float(np.exp(np.mean(np.log(spectrum.s2)))), float(spectrum.s2[0])


def spectral_coefficients(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Ridge coefficients along the right singular vectors, ``s_j z_j / (s_j^2 + lambda)``."""
    return spectrum.s * spectrum.z * unit_variances(spectrum, lam)


def standardized_coefficients(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Ridge coefficients of the standardised penalised columns, shape lam.shape + (p_penalized,)."""
    return from_directions(spectrum, spectral_coefficients(spectrum, lam))


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
    coef = np.zeros((*beta.shape[:-1], design.n_columns))
    coef[..., design.penalized] = beta
    if spectrum.flat is not None:
        coef[..., design.unpenalized] = spectrum.on_flat - beta @ spectrum.flat.on_predictors.T
    coef = design.coefficients(coef)
    if not design.fit_intercept:
        return coef, np.zeros(coef.shape[:-1])
    return coef, np.asarray(design.y_mean - coef @ design.mean)


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
    after = (largest + lam) * float(resolvent(smallest, lam)) if smallest + lam > 0 else np.inf
    return Conditioning(before, after)


def constraint_radius(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Radius t of the constraint ``|beta| <= t`` (standardised) that gives the same solution as lambda."""
    return np.asarray(np.linalg.norm(spectral_coefficients(spectrum, lam), axis=-1))
