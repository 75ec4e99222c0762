"""Level effects given the scales: moments, draws, and rows left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bayesridge.engines.engine import CoefficientDraws, Deleted, LateMoments, mixture_covariance, mixture_moments
from bayesridge.engines.few_nodes import through_few
from bayesridge.engines.level_factors import Factors, SparseFunctionals, looked_up, of_few_levels
from bayesridge.engines.level_system import LevelSystem

Array = NDArray[np.float64]

_TOGETHER = 1 << 20  # numbers in what is worked on together
_LITTLE = 1 << 17  # functionals times effects up to which a product with all of them costs nothing
_KEPT = 1 << 23  # numbers in the factors that are kept for the next question


@dataclass(frozen=True, eq=False)
class _OnceAsked:
    mean: Array
    _of: Callable[[], Array]

    @cached_property
    def variance(self) -> Array:
        return self._of()


@dataclass(frozen=True, eq=False)
class LevelConditional:
    """The coefficients at K values of theta.

    Attributes
    ----------
    engine : LevelSystem
    theta : ndarray of shape (K, h)
    """

    engine: LevelSystem
    theta: Array

    @cached_property
    def _kept(self) -> list[Factors] | None:
        return list(self.engine.factors(self.theta)) if len(self.theta) * self.engine.size <= _KEPT else None

    def factors(self) -> Iterator[Factors]:
        """The factors, some thetas at a time."""
        return iter(self._kept) if self._kept is not None else self.engine.factors(self.theta)

    @cached_property
    def _seen(self) -> list[tuple[Array, Array]] | None:
        """What the engine kept when it was asked for the evidence: b, and the last rows of L2."""
        found = [self.engine.kept.get(row.tobytes()) for row in self.theta]
        return None if any(one is None for one in found) else [one for one in found if one is not None]

    @cached_property
    def b(self) -> Array:
        """Conditional means of the engine's own columns, (K, q c + r)."""
        if self._seen is not None:
            return np.array([b for b, _ in self._seen])
        return np.concatenate([part.b for part in self.factors()])

    def mean(self, linear: SparseFunctionals) -> Array:
        """Conditional means, shape (m, K)."""
        return np.asarray(linear.offset[:, None] + linear.rows @ self.b.T)

    def variance(self, linear: SparseFunctionals) -> Array:
        """Conditional variances over sigma^2, shape (m, K)."""
        last = self.engine.n_numbers
        if self._seen is not None and linear.rows[:, :-last].nnz == 0:  # L2 is lower: its last rows are all there is
            rows = linear.rows[:, -last:].toarray().T
            return np.column_stack([np.square(np.linalg.solve(L2, rows)).sum(axis=0) for _, L2 in self._seen])
        if self.engine.heavy:
            return through_few(self.theta, lambda some: self._variances(self.engine.factors(some), linear)).T
        return self.everywhere(linear)

    def everywhere(self, linear: SparseFunctionals) -> Array:
        """Conditional variances over sigma^2, computed at each theta, (m, K)."""
        return self._variances(self.factors(), linear).T

    def _variances(self, parts: Iterator[Factors], linear: SparseFunctionals) -> Array:
        return np.concatenate([_variances(part, linear.rows, self.engine.n_numbers) for part in parts])

    def moments(self, linear: SparseFunctionals, weight: Array, noise: Array) -> LateMoments:
        """Mean and variance of the mixture over the nodes; the variance, which costs far more, once it is asked for."""
        mean = self.mean(linear)
        return _OnceAsked(mean @ weight, lambda: mixture_moments(mean, self.variance(linear), weight, noise).variance)

    def covariance(self, linear: SparseFunctionals, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the mixture over the nodes, (m, m)."""
        halves = (half for part in self.factors() for half in part.halves(linear.rows))
        return mixture_covariance(self.mean(linear), halves, weight, noise)

    def draw(self, sigma: Array, rng: np.random.Generator) -> CoefficientDraws:
        """Coefficients at each theta, given sigma (K,): ``b + sigma L'^-1 eps``."""
        engine = self.engine
        eps = rng.standard_normal((len(sigma), len(engine.sums.b0)))
        done, parts = 0, []
        for part in self.factors():
            some = slice(done, done + len(part.b))
            parts.append(part.b + sigma[some, None] * part.from_unit(eps[some]))
            done = some.stop
        drawn = np.concatenate(parts)
        linear, flat = engine.coefficients(), engine.intercept()
        return CoefficientDraws((linear.rows @ drawn.T).T, (flat.offset[:, None] + flat.rows @ drawn.T)[0])


def _variances(part: Factors, rows: csr_array, n_numbers: int) -> Array:
    """Diagonal of ``l M^-1 l'`` at each theta, (k, m)."""
    out = np.empty((len(part.b), rows.shape[0]))
    rest = np.arange(rows.shape[0])
    dense = isinstance(part.W, np.ndarray)
    if dense and part.inverse.shape[2] == 1:
        # l = a e_i of the first block: a^2 (P^-1)_ii (1 + |L2^-1 W_i|^2)
        one = _of_one(rows, part.W.shape[1])
        which, value = rows.indices[rows.indptr[:-1][one]], rows.data[rows.indptr[:-1][one]]
        half = part.inverse[:, which, 0, 0] * value
        across = part.W[:, which] @ np.swapaxes(part.inverse2, 1, 2)
        out[:, one] = np.square(half) * (1.0 + np.square(across).sum(axis=2))
        rest = np.flatnonzero(~one)
    # of few levels: where they are many, entries are looked up
    if not dense or len(rest) * part.W.shape[1] > _LITTLE:
        few = of_few_levels(rows[rest], n_numbers)
        chosen, rest = rest[few], rest[~few]
        if len(chosen):
            for k, each in enumerate(part.each()):
                out[k, chosen] = looked_up(each, rows[chosen], n_numbers)
    step = max(1, _TOGETHER // part.b.size)
    for some in (rest[k : k + step] for k in range(0, len(rest), step)):
        out[:, some] = np.square(part.halves(rows[some])).sum(axis=1)
    return out


def _of_one(rows: csr_array, size: int) -> NDArray[np.bool_]:
    """Which functionals are of one effect of the first block."""
    single = np.diff(rows.indptr) == 1
    single[single] = rows.indices[rows.indptr[:-1][single]] < size
    return np.asarray(single)


@dataclass(frozen=True, eq=False)
class LevelDeletion:
    """Exact leave-one-out from the residuals and leverages of one fit; column scales and the prior are held fixed."""

    engine: LevelSystem
    given: Callable[[Array], LevelConditional]
    _latest: list[tuple[Array, Array, Array, Array]] = field(default_factory=list, repr=False)

    @property
    def count(self) -> Array:
        """Observations each row stands for, (n_rows,)."""
        design = self.engine.design
        if design.weights is None or design.weight_kind == "precision":
            return np.ones(design.n_rows) if design.weights is None else (design.weights > 0).astype(np.float64)
        return design.weights

    @property
    def precision(self) -> Array:
        """1 / noise variance of each row over sigma^2, (n_rows,)."""
        design = self.engine.design
        if design.weights is None or design.weight_kind == "frequency":
            return np.ones(design.n_rows)
        return np.where(design.weights > 0, design.weights, 1.0)

    @property
    def alone(self) -> NDArray[np.intp]:
        """Rows without which a flat direction has no posterior."""
        engine = self.engine
        flat = engine.own_rows[:, len(engine.sums.b0) - engine.n_flat :].toarray()
        if not engine.n_flat:
            return np.empty(0, dtype=np.intp)
        root = np.linalg.cholesky(engine.sums.second[-engine.n_flat :, -engine.n_flat :])
        h = np.square(np.linalg.solve(root, flat.T)).sum(axis=0) * self.precision
        return np.flatnonzero((self.count > 0) & (1.0 - h <= 1e-13))

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each theta (K, h)."""
        if not self._latest or self._latest[0][0] is not theta:
            self._latest[:] = [(theta, *self._all(theta))]
        _, residual, keep, total = self._latest[0]
        e, m = residual[part], keep[part]
        with np.errstate(divide="ignore"):
            Q = np.maximum(total - e * e / m, 1e-16 * total + 1e-300)
        return Deleted(e, m, Q, np.finfo(np.float64).eps * total / Q, total)

    def _all(self, theta: Array) -> tuple[Array, Array, Array]:
        """Residuals and 1 - leverages of all rows, (n, K), and Q, (K,)."""
        engine, root = self.engine, np.sqrt(self.precision)
        y, rows = engine.design.y, engine.own_rows
        residual, keep, total = [], [], []
        target = y - engine.design.y_mean if engine.design.fit_intercept else y
        for part in self.given(theta).factors():
            residual.append(root[:, None] * (target[:, None] - rows @ part.b.T))
            leverage = self.precision[:, None] * _variances(part, rows, engine.n_numbers).T
            keep.append(np.maximum(1.0 - leverage, 1e-300))
            total.append(part.Q)
        return np.hstack(residual), np.hstack(keep), np.concatenate(total)
