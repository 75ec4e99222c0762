r"""Functions of lambda: the ridge path and what belongs to it, O(rank) for each lambda.

All take ``lam`` as a number or an array; the result has the shape of ``lam`` followed by its own axes. lambda is
the penalty of ``sum w (y - b0 - x'beta)^2 + lambda |beta|^2`` on the standardised columns; 0 and infinity are
allowed and mean the limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.shares import kept, log_growth_at, resolvent, shrunk
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]

_MARGIN = 14.0  # beyond the last feature of the spectrum a criterion differs from its limit by exp(-14) at most
_LIMIT_MARGIN = 36.0  # and here by less than the rounding of float64
_STEP = 0.2


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
    return np.asarray(sigma[..., None] / np.sqrt(shrinkage(spectrum, lam)))


def filtered_coefficients(spectrum: Spectrum, factors: Array) -> Array:
    """Coefficients along the right singular vectors under any filter factors f (..., rank), ``f_j z_j / s_j``."""
    return factors * (spectrum.z / spectrum.s)


def filtered_squares(spectrum: Spectrum, factors: Array) -> Array:
    """Weighted residual sums of squares under any filter factors (..., rank), ``r0 + sum_j (1 - f_j)^2 z_j^2``."""
    return np.asarray(spectrum.r0 + np.square(1.0 - factors) @ spectrum.z2)


def landweber_factors(spectrum: Spectrum, steps: Array) -> Array:
    """Filter factors of k steps of gradient descent from zero, ``1 - (1 - s_j^2 / s_1^2)^k``; (K, rank)."""
    with np.errstate(divide="ignore", invalid="ignore"):  # log 0 for the first direction: one step has all of it
        left = np.log1p(-np.minimum(spectrum.s2 / spectrum.s2[0], 1.0))
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
    after = (largest + lam) / (smallest + lam) if smallest + lam > 0 else np.inf
    return Conditioning(before, after)


def constraint_radius(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Radius t of the constraint ``|beta| <= t`` (standardised) that gives the same solution as lambda."""
    return np.asarray(np.linalg.norm(spectral_coefficients(spectrum, lam), axis=-1))


@dataclass(frozen=True, eq=False)
class SearchRange:
    """Where in log lambda a criterion is looked at.

    Attributes
    ----------
    grid : ndarray of shape (K,)
        Log lambda, equally spaced, from well below the smallest to well above the largest squared singular value (and
        below the lambda at which the penalty disappears behind the residual that no lambda can explain).
    zero, infinity : float
        Log lambda so far out that every criterion equals its limit for lambda -> 0 and -> infinity to rounding.
    """

    grid: Array
    zero: float
    infinity: float

    def log_lambda(self, lam: ArrayLike) -> Array:
        """Return log lambda, with the far ends in the place of lambda = 0 and infinity."""
        with np.errstate(divide="ignore"):
            t = np.log(np.asarray(lam, dtype=np.float64))
        return np.asarray(np.where(t == -np.inf, self.zero, np.where(t == np.inf, self.infinity, t)))

    def coarser(self) -> SearchRange:
        """Return the same range with fewer points: three times the step, and eight times near the ends."""
        low, high = float(self.grid[0]), float(self.grid[-1])
        inner_low, inner_high = low + 0.6 * _MARGIN, high - 0.6 * _MARGIN
        inner = np.linspace(inner_low, inner_high, int((inner_high - inner_low) / (3.0 * _STEP)) + 2)
        count = int(0.6 * _MARGIN / (8.0 * _STEP)) + 2
        low_tail, high_tail = np.linspace(low, inner_low, count)[:-1], np.linspace(inner_high, high, count)[1:]
        return SearchRange(np.concatenate([low_tail, inner, high_tail]), self.zero, self.infinity)


class Squares(Protocol):
    """What shares are made of: squared singular values, decreasing."""

    @property
    def s2(self) -> Array: ...  # noqa: D102


class Directions(Squares, Protocol):
    """What a search range is found from: these, z squared and r0."""

    @property
    def z2(self) -> Array: ...  # noqa: D102

    @property
    def r0(self) -> float: ...  # noqa: D102

    @property
    def rank(self) -> int: ...  # noqa: D102


def search_range(spectrum: Directions) -> SearchRange:
    """Find the range of log lambda outside of which nothing happens.

    Every term of every criterion is a function of ``f_j``, a sigmoid in log lambda around ``log s_j^2`` some four units
    wide, or of its ratio to the residual ``r0``, whose crossover lies where ``lambda sum z^2/s^2`` or
    ``lambda^2 sum z^2/s^4`` equals r0. A spectrum of rank zero has the range of a single s = 1.
    """
    if spectrum.rank == 0:
        low = high = 0.0
    else:
        low, high = float(np.log(spectrum.s2[-1])), float(np.log(spectrum.s2[0]))
        seen = spectrum.z2 > 0
        if spectrum.r0 > 0 and seen.any():
            log_r0, log_s2 = float(np.log(spectrum.r0)), np.log(spectrum.s2[seen])
            log_ratio = np.log(spectrum.z2[seen]) - log_s2  # logarithms: s^4 may overflow
            first = log_r0 - float(np.logaddexp.reduce(log_ratio))
            second = 0.5 * (log_r0 - float(np.logaddexp.reduce(log_ratio - log_s2)))
            low = min(low, first, second)
    low, high = low - _MARGIN, high + _MARGIN
    far = _LIMIT_MARGIN - _MARGIN
    return SearchRange(np.linspace(low, high, int((high - low) / _STEP) + 2), low - far, high + far)


@dataclass(frozen=True, eq=False)
class SpectralTerms:
    """Filter factors and their sums at K values of lambda, with derivatives in ``t = log(lambda)``.

    ``df_j/dt = -f_j g_j`` with ``g_j = 1 - f_j``, hence the derivatives below. Build with :func:`spectral_terms`.

    Attributes
    ----------
    spectrum : Spectrum
    log_lam : ndarray of shape (K,)
    """

    spectrum: Spectrum
    log_lam: Array

    @cached_property
    def f(self) -> Array:
        """Filter factors ``s^2 / (s^2 + lambda)``, shape (K, rank)."""
        return np.asarray(expit(np.log(self.spectrum.s2) - self.log_lam[:, None]))

    @cached_property
    def g(self) -> Array:
        """``1 - f = lambda / (s^2 + lambda)``, without cancellation, shape (K, rank)."""
        return np.asarray(expit(self.log_lam[:, None] - np.log(self.spectrum.s2)))

    @cached_property
    def fg(self) -> Array:
        """``f (1 - f)``, shape (K, rank)."""
        return self.f * self.g

    @cached_property
    def log_det(self) -> Array:
        """``sum log(1 + s^2 / lambda)``."""
        return np.asarray(log_growth_at(self.spectrum.s2, self.log_lam[:, None]).sum(axis=1))

    @cached_property
    def dof(self) -> Array:
        """Effective degrees of freedom of the penalised columns (flat directions not counted)."""
        return np.asarray(self.f.sum(axis=1))

    @cached_property
    def residual_dof(self) -> Array:
        """``nu - dof = (nu - rank) + sum g``: the trace of what maps y to residuals."""
        return np.asarray((self.spectrum.nu - self.spectrum.rank) + self.g.sum(axis=1))

    @cached_property
    def dof_fall(self) -> Array:
        """``sum f g``: minus the derivative of the effective dof."""
        return np.asarray(self.fg.sum(axis=1))

    @cached_property
    def rss(self) -> Array:
        """Residual sum of squares ``r0 + sum z^2 g^2``."""
        return self.spectrum.r0 + self.of_target(self.g * self.g)

    @cached_property
    def rss_slope(self) -> Array:
        """Derivative of the residual sum of squares, ``2 sum z^2 f g^2``."""
        return 2.0 * self.of_target(self.fg * self.g)

    @cached_property
    def penalized_rss(self) -> Array:
        """``Q = r0 + sum z^2 g``."""
        return self.spectrum.r0 + self.of_target(self.g)

    @cached_property
    def penalized_rss_slope(self) -> Array:
        """Derivative of Q, ``sum z^2 f g``."""
        return self.of_target(self.fg)

    @cached_property
    def trace(self) -> Array:
        """``sum 1 / (s^2 + lambda)``."""
        return np.asarray((self.f / self.spectrum.s2).sum(axis=1))

    @cached_property
    def squared_norm(self) -> Array:
        """``|beta|^2 = sum (z / s)^2 f^2``, beta the standardised coefficients."""
        return self.of_coefficients(self.f * self.f)

    def of_target(self, values: Array) -> Array:
        """``sum z^2 v`` of values v (K, rank)."""
        return np.asarray(values @ self.spectrum.z2)

    def of_coefficients(self, values: Array) -> Array:
        """``sum (z / s)^2 v`` of values v (K, rank): z / s are the least-squares coefficients along the directions."""
        return np.asarray(values @ (self.spectrum.z2 / self.spectrum.s2))


def spectral_terms(spectrum: Spectrum, log_lam: ArrayLike) -> SpectralTerms:
    """Prepare the sums at each log lambda (finite; the limits are taken far out, see :class:`SearchRange`)."""
    return SpectralTerms(spectrum, np.atleast_1d(np.asarray(log_lam, dtype=np.float64)))
