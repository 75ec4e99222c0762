r"""Splits of a table, fits to some of its rows, and what the rows that a fit has not seen say about lambda.

With the fit's spectrum (s, z, V) and L = x'V the held-out row in its coordinates, flat directions projected out,

    prediction  m(lambda) = offset + sum_j L_j s_j z_j / (s_j^2 + lambda)
    y | lambda  ~ Student-t, nu dof, location m,
                  scale^2 = Q / nu (1 / w + fixed + sum_j L_j^2 / (s_j^2 + lambda)) + (Q / lambda) null / nu

where sigma is integrated under 1/sigma^2. ``Q / lambda = r0 / lambda + sum_j z_j^2 / (s_j^2 + lambda)`` is computed
as such, so that lambda -> 0 is reached without 0/0 when X can fit everything (r0 = 0).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design, some_rows
from bayesridge.errors import BayesRidgeWarning, DataError
from bayesridge.linalg.filters import (
    penalized_rss,
    penalized_rss_slope,
    prior_share_fall,
    prior_share_of_rss,
    shrinkage,
    spectral_coefficients,
    unit_variances,
)
from bayesridge.linalg.maps import LinearMap, prediction_map
from bayesridge.linalg.spectrum import Spectrum, factorize
from bayesridge.linalg.student import log_t_constant

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out rows in the coordinates of a fit to other rows.

    Attributes
    ----------
    spectrum : Spectrum
        Of the fit.
    linear : LinearMap
        The held-out rows' predictions.
    y : ndarray of shape (m,)
    precision : ndarray of shape (m,)
        1 / the rows' noise variance over sigma^2 (1 unless the weights are precisions).
    weight : ndarray of shape (m,)
        What a row counts in a mean squared error: its weight.
    count : ndarray of shape (m,)
        Observations the row stands for: what it counts in a mean log score.
    left_out : tuple of int
        Columns without spread in the rows of the fit.
    """

    spectrum: Spectrum
    linear: LinearMap
    y: Array
    precision: Array
    weight: Array
    count: Array
    left_out: tuple[int, ...] = ()

    def predictions(self, lam: ArrayLike) -> Array:
        """Predicted targets, shape lam.shape + (m,)."""
        return np.asarray(self.linear.offset + spectral_coefficients(self.spectrum, lam) @ self.linear.loadings.T)

    def scale2(self, lam: ArrayLike) -> Array:
        """Squared scale of the Student-t predictive distribution (nu dof), shape lam.shape + (m,)."""
        value = penalized_rss(self.spectrum, lam)[..., None] * self._spread(unit_variances(self.spectrum, lam))
        null = self.linear.null
        if null.any():
            with np.errstate(invalid="ignore"):
                prior = prior_share_of_rss(self.spectrum, lam)[..., None] * null
            value = value + np.where(null > 0, prior, 0.0)
        return np.asarray(value / self.spectrum.nu)

    def _spread(self, variances: Array) -> Array:
        """Variance over sigma^2 of a new target, from those along the directions; what X never saw left out."""
        return np.asarray(variances @ np.square(self.linear.loadings).T + self.linear.fixed + 1.0 / self.precision)

    def log_scores(self, lam: ArrayLike) -> Array:
        """Log predictive density of each row, sigma integrated, shape lam.shape + (m,).

        Minus infinity where the scale is zero (a perfect fit at lambda = 0) or infinite.
        """
        return _log_student_t(self.y - self.predictions(lam), self.scale2(lam), self.spectrum.nu)

    def least_squares_log_scores(self) -> Array:
        """Log predictive density of each row under a flat prior on the coefficients, shape (m,).

        Each column takes a degree of freedom, as in least squares. (The limit lambda -> 0 of :meth:`log_scores` keeps
        them: there the coefficients' prior is proper and speaks of sigma.) Where the columns leave none, or are
        dependent, there is no such prediction, and the limit is returned.
        """
        spectrum = self.spectrum
        degrees = spectrum.nu - spectrum.rank
        if spectrum.rank < spectrum.n_features or degrees < 1:
            return self.log_scores(0.0)
        spread = self._spread(unit_variances(spectrum, 0.0))
        return _log_student_t(self.y - self.predictions(0.0), penalized_rss(spectrum, 0.0) / degrees * spread, degrees)

    def squared_error(self, lam: ArrayLike) -> Array:
        """Weighted mean squared error of the rows, shape of lam."""
        return np.square(self.y - self.predictions(lam)) @ (self.weight / self.weight.sum())

    def negative_log_score(self, lam: ArrayLike) -> Array:
        """Mean negative log predictive density of the observations (nats), shape of lam."""
        return -self.log_scores(lam) @ (self.count / self.count.sum())

    def squared_error_curve(self, log_lam: Array) -> tuple[Array, Array]:
        """:meth:`squared_error` and its derivative in log lambda, each of shape (K,)."""
        lam, share = np.exp(log_lam), self.weight / self.weight.sum()
        error = self.y - self.predictions(lam)
        return np.square(error) @ share, 2.0 * (error * self._error_slope(lam)) @ share

    def negative_log_score_curve(self, log_lam: Array) -> tuple[Array, Array]:
        """:meth:`negative_log_score` and its derivative in log lambda, each of shape (K,)."""
        lam, nu = np.exp(log_lam), self.spectrum.nu
        scale2, error = self.scale2(lam), self.y - self.predictions(lam)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            growth = self._scale2_slope(lam) / scale2
            u2 = np.square(error) / (nu * scale2)
            inner = 2.0 * error * self._error_slope(lam) / (nu * scale2) - u2 * growth
            slope = 0.5 * growth + 0.5 * (nu + 1.0) * inner / (1.0 + u2)
        return self.negative_log_score(lam), slope @ (self.count / self.count.sum())

    def _error_slope(self, lam: Array) -> Array:
        """Derivative of ``y - prediction`` in log lambda: that of a coefficient is minus it, shrunk once more."""
        spectrum = self.spectrum
        return np.asarray((spectral_coefficients(spectrum, lam) * shrinkage(spectrum, lam)) @ self.linear.loadings.T)

    def _scale2_slope(self, lam: Array) -> Array:
        """Derivative of :meth:`scale2` in log lambda."""
        spectrum, linear = self.spectrum, self.linear
        variances = unit_variances(spectrum, lam)
        fall = variances * shrinkage(spectrum, lam)
        value = penalized_rss_slope(spectrum, lam)[:, None] * self._spread(variances)
        value -= penalized_rss(spectrum, lam)[:, None] * (fall @ np.square(linear.loadings).T)
        if linear.null.any():
            value -= prior_share_fall(spectrum, lam)[:, None] * linear.null
        return np.asarray(value / spectrum.nu)


def _log_student_t(error: Array, scale2: Array, nu: float) -> Array:
    constant = log_t_constant(nu)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = constant - 0.5 * np.log(scale2) - 0.5 * (nu + 1.0) * np.log1p(np.square(error) / (nu * scale2))
    return np.asarray(np.where((scale2 > 0) & np.isfinite(scale2), value, -np.inf))


def held_out(fit: Design, spectrum: Spectrum, whole: Design, rows: Rows) -> HeldOut:
    """Put some rows of a design into the coordinates of a fit.

    Parameters
    ----------
    fit, spectrum : Design, Spectrum
        The fit, to other rows of `whole`.
    whole : Design
    rows : ndarray of int
        Rows with positive weight.
    """
    ones = np.ones(len(rows))
    w = ones if whole.weights is None else whole.weights[rows]
    is_precision = whole.weight_kind == "precision"
    linear = prediction_map(fit, spectrum, whole.source.take(rows))
    left_out = tuple(fit.constant.tolist())
    precision, count = (w, ones) if is_precision else (ones, w)
    return HeldOut(spectrum, linear, whole.y[rows], precision, w, count, left_out)


def split_fit(whole: Design, train: Rows, test: Rows) -> HeldOut:
    """Fit the training rows, centres and scales included, and put the test rows into the fit's coordinates."""
    fit = subset_design(whole, train)
    return held_out(fit, factorize_quietly(fit), whole, test)


def subset_design(
    design: Design,
    rows: Rows | NDArray[np.bool_],
    weights: Array | None = None,
) -> Design:
    """Describe the same regression on some of the rows (repeats allowed), centres and scales refitted there.

    Divisors that were given, and ``scale=False``, stay.

    Parameters
    ----------
    design : Design
    rows : ndarray of int or bool
        Which rows, in this order.
    weights : ndarray of shape (number of rows,), optional
        Other weights (of the same kind) for these rows.

    Returns
    -------
    Design
        Columns without spread in these rows are left out of it (their coefficients are zero there), without the
        warning that would be due to the analyst's own table.

    Raises
    ------
    DataError
        If the rows are too few, or an unpenalised column has no spread in them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        return some_rows(design, rows, weights=weights)


def factorize_quietly(design: Design) -> Spectrum:
    """Factorise a part of the analyst's table, without warnings about that part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        return factorize(design)


def split_rows(design: Design, splitters: Sequence[Any], groups: NDArray[Any] | None) -> Iterator[tuple[Rows, Rows]]:
    """Training and test rows of a design, one splitter after the other; rows of weight zero are on neither side.

    Parameters
    ----------
    design : Design
    splitters : sequence of scikit-learn splitters
    groups : ndarray of shape (n_rows,), optional
        One label for each row of the design, or of the table it came from.

    Raises
    ------
    DataError
        If a splitter and the rows do not fit together.
    """
    rows = np.arange(design.n_rows) if design.weights is None else np.flatnonzero(design.weights > 0)
    labels = None if groups is None else groups_of_rows(groups, design)[rows]
    X, y = (design.X, design.y) if len(rows) == design.n_rows else (design.source.take(rows), design.y[rows])
    for splitter in splitters:
        try:
            parts = list(splitter.split(X, y, labels))
        except ValueError as error:
            raise DataError(f"{type(splitter).__name__} cannot split these {len(rows)} rows: {error}") from error
        for train, test in parts:
            yield rows[train], rows[test]


def groups_of_rows(groups: NDArray[Any], design: Design) -> NDArray[Any]:
    """Groups of the design's rows, when those of the caller's table were given (rows may have been dropped)."""
    labels = np.asarray(groups)
    if design.kept is not None and len(labels) == len(design.kept):
        return labels[design.kept]
    if labels.shape != (design.n_rows,):
        raise DataError(f"groups must hold one label for each of {design.n_rows} rows, got shape {labels.shape}")
    return labels
