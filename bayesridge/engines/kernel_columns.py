"""The columns that a kernel makes at each value v of its own hyperparameters, and functionals on them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf

from bayesridge.design.design import Design, build_design
from bayesridge.design.row_source import RowIndex
from bayesridge.engines.kernels import KernelFunction
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import BayesRidgeWarning, DataError
from bayesridge.linalg.factor import RowSpace
from bayesridge.linalg.maps import LinearMap
from bayesridge.linalg.spectrum import factorize

Array = NDArray[np.float64]

_MOST_UNEVEN = 1e5  # weights: up to there predictions are those of dense algebra
_ROUNDING = 1e-13  # of the largest variance: what is left of the kernel below it is none of the kernel
_LOST = 2e-6  # nats of log p(y) at most, by the trace of what is left of the kernel where lambda is known to be larger
_EPS = float(np.finfo(np.float64).eps)
_NEGATIVE = 1e-9  # as much, for each row: no rounding is so large


@dataclass(frozen=True, eq=False)
class Points:
    """m linear combinations of values of the function.

    Attributes
    ----------
    X : ndarray of shape (q, p)
        Points, in the units of the data.
    weights : ndarray of shape (m, q) or None
        None: the values themselves, with the intercept.
    """

    X: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.X if self.weights is None else self.weights)

    def take(self, index: RowIndex) -> Points:
        """Some of them."""
        return Points(self.X[index]) if self.weights is None else Points(self.X, self.weights[index])


def values_of(points: Points) -> Array:
    """Which combinations are values of the function, that have the intercept: their weights add up to one; (m,)."""
    assert points.weights is not None
    return np.asarray(np.abs(points.weights.sum(axis=1) - 1.0) < 1e-12, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Given:
    """Ridge at one v.

    Attributes
    ----------
    engine : SpectralEngine
        On the columns F.
    F : ndarray of shape (n, r)
    pivots : ndarray of int, shape (r,)
        Rows.
    level : ndarray of shape (n,)
        Covariance of f at each row and its mean over the rows; zeros without an intercept.
    whole : float
        Variance of that mean.
    """

    engine: SpectralEngine
    F: Array
    pivots: NDArray[np.intp]
    level: Array
    whole: float

    @property
    def L(self) -> Array:  # noqa: N802
        """The rows of F at the pivots, lower triangular, (r, r)."""
        return self.F[self.pivots]


@dataclass(frozen=True, eq=False)
class KernelColumns:
    """Ridge at every v, each decomposed once.

    Attributes
    ----------
    design : Design
        Of the columns as they are given, scaled for the kernel, which are not the columns of the ridge.
    kernel : KernelFunction
    least : float
        What the harmonic mean of lambda is not below. Of the kernel what is a small part of that is left out, and
        cross-products do.
    """

    design: Design
    kernel: KernelFunction
    least: float = 0.0
    _given: dict[tuple[float, ...], Given] = field(default_factory=dict, repr=False)

    def by_v(self, theta: Array) -> Iterator[tuple[NDArray[np.intp], Array]]:
        """Which nodes have each v."""
        if theta.shape[1] == 1:
            yield np.arange(len(theta)), self.known_v()
            return
        values, which = np.unique(np.round(theta[:, 1:], 10), axis=0, return_inverse=True)
        for k, v in enumerate(values):
            yield np.flatnonzero(which.ravel() == k), v

    def known_v(self) -> Array:
        """A v whose decomposition is at hand (the middle of its prior where there is none)."""
        return np.array(next(iter(self._given), self.kernel.spans.mean(axis=1)))

    def given(self, v: Array) -> Given:
        """Ridge at one v."""
        key = tuple(v.tolist())
        if key not in self._given:
            self._given[key] = self._decompose(v)
        return self._given[key]

    def scaled(self, X: Array) -> Array:
        """Columns as the kernel takes them."""
        return np.asarray((X - self.design.mean) / self.design.scale) if self.kernel.of_columns else X

    def _decompose(self, v: Array) -> Given:
        self._check_weights()
        rows = self.scaled(self.design.X)
        K = self.kernel.matrix(rows, rows, v)
        if not np.isfinite(K).all() or not (K.diagonal() > 0).any():
            where = ", ".join([f"{name} = {np.exp(x):.3g}" for name, x in zip(self.kernel.parameters, v, strict=True)])
            raise DataError(f"the kernel{' at ' * bool(where)}{where} has no finite, positive variance")
        top, share = float(K.diagonal().max()), self._share
        level = K @ share
        whole = float(share @ level)
        K += whole - level - level[:, None]
        w = self.design.weights
        left = max(_ROUNDING * top, _LOST * self.least / len(K) / (1.0 if w is None else float(w.max())))
        counted = np.arange(len(K)) if w is None else np.flatnonzero(w > 0)  # rows of no weight have no columns
        packed, order, rank, _ = dpstrf(K if w is None else K[np.ix_(counted, counted)], tol=left, lower=1)
        pivots = counted[order - 1]
        F = np.empty((len(K), rank))
        F[pivots] = np.tril(packed[:, :rank])
        del packed
        if len(counted) < len(K):
            rest = np.setdiff1d(np.arange(len(K)), counted)
            F[rest] = solve_triangular(F[pivots[:rank]], K[np.ix_(pivots[:rank], rest)], lower=True).T
        # what is left of a matrix with negative eigenvalues is no rounding; a random product sees it wherever it is
        probe = np.random.default_rng(0).standard_normal(len(F))
        probe[np.setdiff1d(np.arange(len(F)), counted)] = 0.0
        if np.abs(K @ probe - F @ (F.T @ probe))[counted].max() > max(_NEGATIVE * top, 4.0 * left) * len(F):
            raise DataError("the kernel makes a matrix that has negative eigenvalues: it is no covariance")
        old = self.design
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesRidgeWarning)  # about columns that nobody gave
            design = build_design(
                F, old.y, target_name=old.target_name, weights=old.weights, weight_kind=old.weight_kind,
                fit_intercept=old.fit_intercept, scale=np.ones(F.shape[1]), survey=old.survey, kept=old.kept,
            )  # fmt: skip
            # columns that end where rounding begins are too near dependence for cross-products, beside a small lambda
            route: Any = "svd" if rank < len(F) else "auto"
            if rank * _EPS * float(np.square(F).sum()) < _LOST * self.least:
                route = "gram" if rank < 0.7 * len(F) else "dual"
            if route == "dual":
                design = replace(design, cross=None)  # as large as F, and of no use to it
            spectrum = factorize(design, route)
            if isinstance(spectrum.right, RowSpace) and w is None:
                spectrum = replace(spectrum, right=replace(spectrum.right, rows=F))  # its columns are centred: no copy
            return Given(SpectralEngine(design, spectrum), F, pivots[:rank], level, whole)

    def _check_weights(self) -> None:
        """Refuse weights beside which the small directions of a smooth kernel are rounding, and would be dropped."""
        w = self.design.weights
        if w is not None and w.max() > _MOST_UNEVEN * w[w > 0].min():
            raise DataError(
                f"row {int(self.design.input_rows[w.argmax()])} weighs {w.max() / w[w > 0].min():.0e} times as much as "
                f"the lightest, and a kernel carries weights within {_MOST_UNEVEN:.0e} of one another: leave out rows "
                "that weigh next to nothing, or bring the weights nearer"
            )

    @cached_property
    def _share(self) -> Array:
        """Each row's share of the mean that the intercept takes, (n,)."""
        old = self.design
        if not old.fit_intercept:
            return np.zeros(old.n_rows)
        w = np.ones(old.n_rows) if old.weights is None else old.weights
        return np.asarray(w / w.sum())

    def _seen(self, X: Array, v: Array) -> tuple[Array, Array]:
        """Rows on the columns F, (q, r), and the covariance of f at each point and its mean over the rows, (q,)."""
        given = self.given(v)
        cross = self.kernel.matrix(self.scaled(self.design.X), X, v)
        level = self._share @ cross
        cross = cross[given.pivots] + (given.whole - given.level[given.pivots, None] - level)
        return solve_triangular(given.L, cross, lower=True).T, level

    def features(self, points: Points, v: Array) -> tuple[Array, Array]:
        """Rows on the columns F, (m, r), and the covariance over tau^2 of what they do not hold, (m, m)."""
        X = self.scaled(points.X)
        phi, level = self._seen(X, v)
        unseen = self.kernel.matrix(X, X, v) + (self.given(v).whole - level - level[:, None]) - phi @ phi.T
        A = np.eye(len(X)) if points.weights is None else points.weights
        return A @ phi, A @ unseen @ A.T

    def map(self, points: Points, v: Array) -> LinearMap:
        """The functionals on the columns F at one v."""
        given, X = self.given(v), self.scaled(points.X)
        own = self.kernel.variance(X, v)
        if points.weights is None:
            phi, level = self._seen(X, v)
            made, unseen = given.engine.rows(phi), own + given.whole - 2.0 * level - np.square(phi).sum(axis=1)
        else:
            rows, covariance = self.features(points, v)
            made, unseen = given.engine.contrasts(rows), covariance.diagonal()
            one = values_of(points) > 0
            if one.any():
                values = given.engine.rows(rows)
                made = LinearMap(
                    np.where(one, values.offset, made.offset), np.where(one[:, None], values.loadings, made.loadings),
                    np.where(one, values.null, made.null), np.where(one, values.fixed, made.fixed), made.unit,
                )  # fmt: skip
        rest = np.maximum(unseen, 0.0) * (unseen > 16.0 * _ROUNDING * own.max())
        return LinearMap(made.offset, made.loadings, made.null + rest, made.fixed, made.unit)

    def slopes_and_zero(self) -> Points:
        """The slope of each column, and the value where every column is zero; of a given matrix the values at its rows.

        The last is their mean.
        """
        design, p = self.design, self.design.n_columns
        if not self.kernel.of_columns:
            return Points(design.X, np.vstack([np.eye(p), np.full((1, p), 1.0 / p)]))
        step = 0.5 * np.diag(design.scale)
        X = np.vstack([design.mean + step, design.mean - step, np.zeros((1, p))])
        weights = np.zeros((p + 1, 2 * p + 1))
        weights[:p, :p], weights[:p, p : 2 * p] = np.diag(1.0 / design.scale), -np.diag(1.0 / design.scale)
        weights[p, 2 * p] = 1.0
        return Points(X, weights)
