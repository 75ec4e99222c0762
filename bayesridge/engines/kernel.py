r"""The engine of kernel ridge, a Gaussian process: y = b0 + f(x) + e, f ~ GP(0, tau^2 k_v), e ~ N(0, sigma^2 / w).

At one value v of the kernel's own hyperparameters (logarithms of length-scales) this is ridge with one lambda =
sigma^2 / tau^2 on columns that the kernel makes. Cholesky's factorisation with pivoting, stopped where what is left of
the diagonal is rounding, gives them,

    k_v(X, X) = F F',    F = P [L; ...],    row of any x:  phi(x) = L^-1 k_v(pivots, x),

r columns for n rows; a smooth kernel has few. What phi does not hold of a new point, ``k(x, x) - |phi(x)|^2``, is
variance tau^2 that the data say nothing of. With an intercept, whose prior is flat, k is the covariance of f less its
mean over the rows: the same model, and columns without a constant among them. So there is one spectral engine
(:mod:`bayesridge.engines.spectral`) for each v, and everything that it can do; theta is (log lambda, v).

The "coefficients" are slopes: how f rises over one standard deviation of a column about the middle of the table,
divided by that standard deviation, the other columns at their means. They exist for every kernel, smooth or not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf

from bayesridge.design.design import Design, State, build_design
from bayesridge.design.row_source import RowIndex, RowSource
from bayesridge.engines.engine import CoefficientDraws, Deleted, LinearMoments
from bayesridge.engines.kernels import KernelFunction
from bayesridge.engines.spectral import BlockedDeletion, SpectralDeletion, SpectralEngine
from bayesridge.errors import BayesRidgeWarning, DataError
from bayesridge.linalg.factor import RowSpace
from bayesridge.linalg.filters import shrinkage
from bayesridge.linalg.maps import LinearMap
from bayesridge.linalg.rows import flat_leverage, row_weights
from bayesridge.linalg.spectrum import factorize

Array = NDArray[np.float64]

_MOST_UNEVEN = 1e5  # weights: up to there predictions are those of dense algebra
_ROUNDING = 1e-13  # of the largest variance: what is left of the kernel below it is none of the kernel
_LOST = 2e-6  # nats of log p(y) at most, by the trace of what is left of the kernel where lambda is known to be larger
_EPS = float(np.finfo(np.float64).eps)
_MANY, _PART = 300, 5  # rows from which on a part of them says first where to look: every fifth
_SEEN = 1e-9  # of a node
_MARGIN = 0.1  # of the harmonic mean of lambda that a part of the rows says
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


def _harmonic(theta: Array, weight: Array) -> float:
    seen = weight > _SEEN * weight.max()
    return float(1.0 / (weight[seen] / weight[seen].sum() @ np.exp(-theta[seen, 0])))


@dataclass(frozen=True, eq=False)
class FunctionDraws(CoefficientDraws):
    """Slopes for coefficients; for the function itself draws of its features, v by v: nodes, draws, features."""

    parts: tuple[tuple[NDArray[np.intp], CoefficientDraws, RowSource], ...]

    def expected(self, rows: RowSource) -> Array:
        """Return the function at the rows of the fit, (n, n_rows)."""
        out = np.empty((len(self.intercept), rows.shape[0]))
        for nodes, drawn, features in self.parts:
            out[nodes] = drawn.expected(features)
        return out


@dataclass(frozen=True, eq=False)
class KernelConditional:
    """The function at K values of theta.

    Attributes
    ----------
    engine : KernelEngine
    theta : ndarray of shape (K, 1 + h)
    """

    engine: KernelEngine
    theta: Array

    def _collect(self, what: str, linear: Points) -> Array:
        out = np.empty((len(linear), len(self.theta)))
        for nodes, v in self.engine.by_v(self.theta):
            given = self.engine.given(v).engine.at(self.theta[nodes, :1])
            out[:, nodes] = getattr(given, what)(self.engine.map(linear, v))
        return out

    def mean(self, linear: Points) -> Array:
        """Conditional means, shape (m, K)."""
        return self._collect("mean", linear)

    def variance(self, linear: Points) -> Array:
        """Conditional variances over sigma^2, shape (m, K)."""
        return self._collect("variance", linear)

    def moments(self, linear: Points, weight: Array, noise: Array) -> LinearMoments:
        """Mean and variance of the mixture: within each v, and between them."""
        parts, shares = [], []
        for nodes, v in self.engine.by_v(self.theta):
            share = float(weight[nodes].sum())
            if share > 0:
                given = self.engine.given(v).engine.at(self.theta[nodes, :1])
                parts.append(given.moments(self.engine.map(linear, v), weight[nodes] / share, noise[nodes]))
                shares.append(share)
        means, variances = (np.array([getattr(part, name) for part in parts]).T for name in ("mean", "variance"))
        centre = means @ shares
        return LinearMoments(centre, variances @ shares + np.square(means - centre[:, None]) @ shares)

    def draw(self, sigma: Array, rng: np.random.Generator) -> CoefficientDraws:
        """Slopes, and the function where every column is zero, jointly."""
        p, points = self.engine.design.n_columns, self.engine.slopes_and_zero()
        out = np.empty((len(self.theta), p + 1))
        parts = []
        for nodes, v in self.engine.by_v(self.theta):
            given = self.engine.given(v)
            design = given.engine.design
            drawn = given.engine.at(self.theta[nodes, :1]).draw(sigma[nodes], rng)
            parts.append((nodes, drawn, design.source))
            rows, unseen = self.engine.features(points, v)
            tau = sigma[nodes] * np.exp(-0.5 * self.theta[nodes, 0])
            values, vectors = np.linalg.eigh(unseen)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            out[nodes] = drawn.coef @ rows.T + tau[:, None] * (rng.standard_normal((len(nodes), p + 1)) @ root.T)
            if design.fit_intercept:
                out[nodes] += drawn.intercept[:, None] * values_of(points)
        return FunctionDraws(out[:, :p], out[:, p], tuple(parts))


@dataclass(frozen=True, eq=False)
class NoisyDeletion(SpectralDeletion):
    """Leave-one-out where lambda is not small: by differences.

    Cross-products leave columns of U at the smallest s that are none. They count f = s^2 / (s^2 + lambda), next to
    nothing, as long as nothing is asked of lambda = 0.
    """

    @classmethod
    def of(cls, engine: SpectralEngine, found: SpectralDeletion) -> NoisyDeletion:
        """The same rows, 1 - h at lambda = 0 not cut at zero."""
        rows, (_, _, unit) = found.rows, row_weights(engine.design)
        rest = 1.0 - flat_leverage(engine.design, engine.spectrum) / unit - np.square(rows.U).sum(axis=1)
        return cls(replace(rows, rest=np.where(rows.count > 0, rest, 1.0)), engine.spectrum)

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each log lambda, theta of shape (K, 1)."""
        s, rows = self.spectrum, self.rows
        shrink = shrinkage(s, np.exp(theta[:, 0])).T
        e = rows.residual[part, None] + rows.U[part] @ (s.z[:, None] * shrink)
        keep = rows.rest[part, None] + np.square(rows.U[part]) @ shrink
        total = s.r0 + s.z2 @ shrink
        Q = total - e * e / keep
        return Deleted(e, keep, Q, _EPS * total / Q, total)


@dataclass(frozen=True, eq=False)
class KernelDeletion:
    """Exact leave-one-out, from that of each v; the kernel's columns and the prior are held fixed."""

    engine: KernelEngine

    @property
    def _any(self) -> SpectralDeletion | BlockedDeletion:
        return self.engine.given(self.engine.known_v()).engine.deletion()

    @property
    def count(self) -> Array:
        """Observations each row stands for, (n_rows,)."""
        return self._any.count

    @property
    def precision(self) -> Array:
        """1 / noise variance of each row over sigma^2, (n_rows,)."""
        return self._any.precision

    @property
    def alone(self) -> NDArray[np.intp]:
        """Rows without which the intercept has no posterior."""
        return self._any.alone

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each theta."""
        rows = len(range(*part.indices(self.engine.design.n_rows)))
        tables = np.empty((4, rows, len(theta)))
        total = np.empty(len(theta))
        for nodes, v in self.engine.by_v(theta):
            found = self.engine.deletion_at(v).at(theta[nodes, :1], part)
            tables[:, :, nodes] = found.residual, found.keep, found.Q, found.cancelled
            total[nodes] = found.total
        residual, keep, Q, cancelled = tables
        return Deleted(residual, keep, Q, cancelled, total)


@dataclass(frozen=True, eq=False)
class KernelEngine:
    """Kernel ridge behind the contract of :mod:`bayesridge.engines.engine`.

    Attributes
    ----------
    design : Design
        Of the columns as they are given, scaled for the kernel, which are not the columns of the ridge.
    kernel : KernelFunction
    start : ndarray of shape (h, 2) or None
        Where to look for v first, and how far about it: what a part of the rows says.
    least : float
        What the harmonic mean of lambda is not below. Of the kernel what is a small part of that is left out, and
        cross-products do.
    """

    design: Design
    kernel: KernelFunction
    start: Array | None = None
    least: float = 0.0
    spectrum: None = None
    _given: dict[tuple[float, ...], Given] = field(default_factory=dict, repr=False)
    _deletions: dict[tuple[float, ...], SpectralDeletion | BlockedDeletion] = field(default_factory=dict, repr=False)

    heavy: ClassVar[bool] = False  # a lambda costs nothing

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Log lambda, and the logs of the kernel's own hyperparameters."""
        return ("log lambda", *[f"log {name}" for name in self.kernel.parameters])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the kernel's own hyperparameters."""
        return self.kernel.parameters

    @property
    def spans(self) -> Array:
        """Where their logarithms lie with prior probability 95%."""
        return self.kernel.spans

    def inner(self, v: Array) -> SpectralEngine:
        """Ridge at one v."""
        return self.given(v).engine

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

    # -- many rows: a part of them first -----------------------------------------------------------------------------

    def few(self) -> KernelEngine | None:
        """Some of the rows, half of them neighbours, which see short length-scales; None where all are few."""
        old = self.design
        if old.n_rows < _MANY or not self.kernel.parameters:
            return None
        half = old.n_rows // (2 * _PART)
        order = np.random.default_rng(0).permutation(old.n_rows)
        rows = self._scaled(old.X)
        near = np.argsort(np.square(rows - rows[order[0]]).sum(axis=1), kind="stable")[:half]
        some = np.union1d(order[:half], near)
        design = build_design(
            old.X[some], old.y[some], weights=None if old.weights is None else old.weights[some],
            weight_kind=old.weight_kind, fit_intercept=old.fit_intercept, scale=old.scale,
        )  # fmt: skip
        return KernelEngine(design, self.kernel)

    def about(self, theta: Array, weight: Array) -> KernelEngine:
        """The engine that looks first where a part of the rows has its posterior: nodes (K, 1 + h), weights (K,)."""
        v, share = theta[:, 1:], weight / weight.sum()
        centre = share @ v
        start = np.column_stack([centre, np.sqrt(share @ np.square(v - centre))])
        return replace(self, start=start, least=_MARGIN * _harmonic(theta, weight), _given={}, _deletions={})

    def holds(self, theta: Array, weight: Array) -> bool:
        """Whether lambda is what it was taken to be: the trace that is left out, over lambda, is small in the mean."""
        return bool(_harmonic(theta, weight) >= self.least)

    def forget(self, v: Array) -> None:
        """Keep the decompositions of these v alone, (J, h)."""
        kept = {tuple(one) for one in v.tolist()}
        for key in self._given.keys() - kept:
            del self._given[key]

    # -- one v -----------------------------------------------------------------------------------------------------

    def given(self, v: Array) -> Given:
        """Ridge at one v."""
        key = tuple(v.tolist())
        if key not in self._given:
            self._given[key] = self._decompose(v)
        return self._given[key]

    def deletion_at(self, v: Array) -> SpectralDeletion | BlockedDeletion:
        """Leave-one-out at one v."""
        key = tuple(v.tolist())
        if key not in self._deletions:
            engine = self.given(v).engine
            found = engine.deletion()
            if self.least > 0 and isinstance(found, SpectralDeletion):
                found = NoisyDeletion.of(engine, found)
            self._deletions[key] = found
        return self._deletions[key]

    def _scaled(self, X: Array) -> Array:
        return np.asarray((X - self.design.mean) / self.design.scale) if self.kernel.of_columns else X

    def _decompose(self, v: Array) -> Given:
        self._check_weights()
        rows = self._scaled(self.design.X)
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
        cross = self.kernel.matrix(self._scaled(self.design.X), X, v)
        level = self._share @ cross
        cross = cross[given.pivots] + (given.whole - given.level[given.pivots, None] - level)
        return solve_triangular(given.L, cross, lower=True).T, level

    def features(self, points: Points, v: Array) -> tuple[Array, Array]:
        """Rows on the columns F, (m, r), and the covariance over tau^2 of what they do not hold, (m, m)."""
        X = self._scaled(points.X)
        phi, level = self._seen(X, v)
        unseen = self.kernel.matrix(X, X, v) + (self.given(v).whole - level - level[:, None]) - phi @ phi.T
        A = np.eye(len(X)) if points.weights is None else points.weights
        return A @ phi, A @ unseen @ A.T

    def map(self, points: Points, v: Array) -> LinearMap:
        """The functionals on the columns F at one v."""
        given, X = self.given(v), self._scaled(points.X)
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

    # -- the contract ----------------------------------------------------------------------------------------------

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.design.nu

    @property
    def constant(self) -> float:
        """Terms of the log evidence free of theta and sigma."""
        return self.given(self.known_v()).engine.constant

    @property
    def floor(self) -> float:
        """Nothing: as n grows, or the length-scale falls, a kernel fits every row."""
        return 0.0 if self.kernel.parameters else self.given(self.known_v()).engine.floor

    @property
    def signals(self) -> tuple[float, ...]:
        """Variance of f over the rows at lambda = 1, at a v that is at hand."""
        return self.given(self.known_v()).engine.signals

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """``log_norm`` and ``excess`` at theta."""
        log_norm, excess = np.empty(len(theta)), np.empty(len(theta))
        for nodes, v in self.by_v(theta):
            engine = self.given(v).engine
            log_norm[nodes], above = engine.evidence(theta[nodes, :1])
            excess[nodes] = above + (engine.floor - self.floor)
        return log_norm, excess

    def excess(self, theta: Array) -> Array:
        """``excess`` alone."""
        return self.evidence(theta)[1]

    def region(self) -> Array:
        """Values of theta that see every feature of the evidence."""
        line = self.given(self.known_v()).engine.region()
        v = self.kernel.spans.mean(axis=1)
        return np.hstack([line, np.broadcast_to(v, (len(line), len(v)))])

    def at(self, theta: Array) -> KernelConditional:
        """The function given theta."""
        return KernelConditional(self, theta)

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

    def coefficients(self) -> Points:
        """The slope of each column over one standard deviation about the middle of the table."""
        return self.slopes_and_zero().take(np.arange(self.design.n_columns))

    def intercept(self) -> Points:
        """The function where every column is zero (of a given matrix: its mean over the rows)."""
        return self.slopes_and_zero().take(np.array([self.design.n_columns]))

    def rows(self, X: Any) -> Points:
        """The function at new rows."""
        return Points(np.asarray(X, dtype=np.float64))

    def contrasts(self, A: Array) -> Points:
        """Linear combinations of the slopes."""
        slopes = self.coefficients()
        assert slopes.weights is not None
        return Points(slopes.X, np.asarray(A) @ slopes.weights)

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:  # noqa: ARG002
        """Refused."""
        raise DataError("a kernel has no coefficients, and so no matrix of their covariances: ask contrasts one by one")

    def deletion(self) -> KernelDeletion:
        """Exact leave-one-out."""
        return KernelDeletion(self)

    def without(self, row: int) -> KernelEngine:
        """The engine of the other rows; the kernel's columns and scales are held fixed."""
        return WithoutRow(self.design, self.kernel, whole=self, row=row)

    def state(self, *, rows: bool = False) -> State:
        """The rows and the kernel: without its rows a kernel predicts nothing."""
        if not rows:
            raise DataError("a kernel predicts from the rows it has seen: save it with rows=True")
        facts, arrays = self.design.state(rows=True)
        return {"engine": "kernel", "family": "gaussian", "design": facts, "kernel": self.kernel.state()}, arrays

    @classmethod
    def from_state(
        cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], kernel: KernelFunction
    ) -> KernelEngine:
        """Make the engine of its state."""
        return cls(Design.from_state(facts["design"], arrays), kernel)


@dataclass(frozen=True, eq=False)
class WithoutRow(KernelEngine):
    """A kernel engine with one row less."""

    whole: KernelEngine | None = None
    row: int = 0

    def _decompose(self, v: Array) -> Given:
        assert self.whole is not None
        one = self.whole.given(v)
        return replace(one, engine=one.engine.without(self.row))

    @property
    def nu(self) -> float:
        """One less."""
        return self.given(self.known_v()).engine.nu
