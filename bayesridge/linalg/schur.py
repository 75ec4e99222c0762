r"""The engine of level effects: mixed models with many levels, never a dense matrix of all of them.

Columns are ordered as [1: the effects of the grouping variable with most of them | 2: all others, flat columns last],
level effects as they are, other columns centred and scaled. With W the weights and S(theta) the prior precision, one
lambda for each dense group or block of independent effects, for intercepts and slopes that are correlated within levels

    S = D^1/2 R^-1 D^1/2,   D = diag(lambda_1, lambda_2),   R = [1, rho; rho, 1]        (one for each level),

the matrix M = X'WX + S has a first block of small matrices on the diagonal, P = L1 L1'. What is left is the Schur
complement of it (Bates et al. 2015; MixedModels.jl eliminates the same block):

    W = L1^-1 M12,   M22 - W'W = L2 L2',   |M| = |P| |L2|^2,   l'M^-1 l = |L1^-1 l1|^2 + |L2^-1 (l2 - W'L1^-1 l1)|^2.

Flat columns have S = 0 and are among the others: |M| is then |X'X + S| of the projected columns times that of the flat
ones. Q is made of the residuals e0 of a fit b0 at a theta where the evidence is high, and not of y: with c0 = X'W e0,

    M d = c0 - S b0,   b = b0 + d,   Q = e0'W e0 - d'c0 + b0'S b,

in which nothing cancels but what is of the size of Q there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse import hstack as sparse_hstack
from scipy.sparse import vstack as sparse_vstack

from bayesridge.errors import AccuracyWarning, ConstantTargetWarning, DataError, warn
from bayesridge.linalg.design import Design, State
from bayesridge.linalg.engine import CoefficientDraws, Deleted, LateMoments, mixture_moments
from bayesridge.linalg.few_nodes import through_few
from bayesridge.linalg.heavy_rows import heaviest_row
from bayesridge.linalg.level_factors import (
    Block,
    Factors,
    Pairs,
    SparseFunctionals,
    Sums,
    across,
    along,
    inverse_roots,
    looked_up,
    of_few_levels,
    sparse_of,
    sparse_within_levels,
    within_levels,
)
from bayesridge.linalg.levels import LevelRows, Levels
from bayesridge.linalg.spectrum import rounding_floor
from bayesridge.linalg.stacks import cholesky_of_each, solve_of_each

Array = NDArray[np.float64]

_REGION = np.array([-9.0, -5.0, -1.0, 3.0, 7.0, 11.0])
_FEW = np.array([-4.0, 0.0, 4.0])  # where a factorisation takes long
_HEAVY = 1 << 18  # numbers in the factors of one theta from which on every theta counts
_DENSE = 1 << 18  # numbers in M12 up to which zeros are no matter
_TOGETHER = 1 << 20  # numbers in what is worked on together
_LITTLE = 1 << 17  # functionals times effects up to which a product with all of them costs nothing
_KEPT = 1 << 23  # numbers in the factors that are kept for the next question
_MOST_UNEVEN = 1e11  # weights
_MOST_PAIRS = 1 << 23
_MOST_KEPT = 1000  # thetas of a heavy engine
_WIDEST = 6_000  # coefficients whose covariance matrix is laid out
_CANCELLED = 1e4  # times what b0 leaves, its penalty, which Q is then a difference of: twelve digits are left
_MOST_STEPS = 30


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
    engine : LevelEngine
    theta : ndarray of shape (K, h)
    """

    engine: LevelEngine
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
        spread = self.mean(linear)
        spread = spread - (spread @ weight)[:, None]
        total = (spread * weight) @ spread.T
        each = iter(weight * noise)
        for part in self.factors():
            for half in part.halves(linear.rows):
                total += next(each) * (half.T @ half)
        return np.asarray(total)

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


def _units(columns: NDArray[np.intp], p: int) -> csr_array:
    """Unit rows, one for each of some of p columns."""
    return csr_array((np.ones(len(columns)), columns, np.arange(len(columns) + 1)), shape=(len(columns), p))


def _variances(part: Factors, rows: csr_array, n_numbers: int) -> Array:
    """Diagonal of ``l M^-1 l'`` at each theta, (k, m)."""
    out = np.empty((len(part.b), rows.shape[0]))  # of few levels: where they are many, entries are looked up
    small = isinstance(part.W, np.ndarray) and rows.shape[0] * part.W.shape[1] <= _LITTLE
    few = np.zeros(rows.shape[0], dtype=bool) if small else of_few_levels(rows, n_numbers)
    if few.any():
        chosen = rows[few]
        for k, one in enumerate(part.each()):
            out[k, few] = looked_up(one, chosen, n_numbers)
    rest = np.flatnonzero(~few)
    step = max(1, _TOGETHER // part.b.size)
    for some in (rest[k : k + step] for k in range(0, len(rest), step)):
        out[:, some] = np.square(part.halves(rows[some])).sum(axis=1)
    return out


@dataclass(frozen=True, eq=False)
class LevelDeletion:
    """Exact leave-one-out from the residuals and leverages of one fit; column scales and the prior are held fixed."""

    engine: LevelEngine
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
        for part in engine.at(theta).factors():
            residual.append(root[:, None] * (target[:, None] - rows @ part.b.T))
            leverage = self.precision[:, None] * _variances(part, rows, engine.n_numbers).T
            keep.append(np.maximum(1.0 - leverage, 1e-300))
            total.append(part.Q)
        return np.hstack(residual), np.hstack(keep), np.concatenate(total)


@dataclass(frozen=True, eq=False)
class LevelEngine:
    """Ridge with level effects behind the contract of :mod:`bayesridge.linalg.engine`.

    Theta are the logarithms of the lambdas, then atanh of the correlations.

    Attributes
    ----------
    design : Design
        Its rows are :class:`~bayesridge.linalg.levels.LevelRows`.
    sums : Sums
    own : ndarray of int, shape (n_columns,)
        Where each column of the design stands among the engine's; -1 for those left out.
    blocks : tuple of Block
    names, correlated : tuple of str
        Of the lambdas; of the blocks with a correlation.
    signals : tuple of float
        For each lambda, the sum over its columns of the mean square.
    n_dense : int
        Columns of the design that are no level effects, the first.
    """

    design: Design
    sums: Sums
    own: NDArray[np.intp]
    blocks: tuple[Block, ...]
    names: tuple[str, ...]
    correlated: tuple[str, ...]
    signals: tuple[float, ...]
    n_dense: int
    _latest: list[LevelConditional] = field(default_factory=list, repr=False)
    kept: dict[bytes, tuple[Array, Array]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return LevelEngine, (
            self.design, self.sums, self.own, self.blocks, self.names, self.correlated, self.signals,
            self.n_dense,
        )  # fmt: skip

    @property
    def spectrum(self) -> None:
        """None: there is no decomposition."""
        return

    @property
    def theta_names(self) -> tuple[str, ...]:
        """``log lambda[group]`` of each lambda, ``atanh rho[group]`` of each correlation."""
        lambdas = [f"log lambda[{name}]" for name in self.names]
        return (*lambdas, *[f"atanh rho[{name}]" for name in self.correlated])

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.design.nu

    @property
    def n_flat(self) -> int:
        """Flat columns, the last of the engine's."""
        return self.design.n_flat

    @cached_property
    def constant(self) -> float:
        """Terms of the log evidence that are free of theta and sigma."""
        design, log_weights = self.design, 0.0
        if design.weights is not None and design.weight_kind == "precision":
            log_weights = float(np.log(design.weights[design.weights > 0]).sum())
        flat = self.sums.log_det_flat + 2.0 * float(np.log(design.scale[design.unpenalized]).sum())
        return float(-0.5 * design.nu * np.log(2.0 * np.pi) - 0.5 * flat + 0.5 * log_weights)

    @property
    def floor(self) -> float:
        """Zero: what no theta can explain is not known apart."""
        return 0.0

    @property
    def penalties(self) -> NDArray[np.intp]:
        """Which lambda is that of each column of the design; -1 where it has none, or is left out."""
        of_own = np.full(len(self.sums.b0), -1, dtype=np.intp)
        for block in self.blocks:
            of_own[block.columns] = block.theta
        return np.where(self.own >= 0, of_own[self.own], -1)

    @property
    def pairs(self) -> dict[str, NDArray[np.intp]]:
        """For each correlation the columns of the design that have it, (levels, 2)."""
        seen = np.flatnonzero(self.own >= 0)
        column = np.full(len(self.sums.b0), -1, dtype=np.intp)
        column[self.own[seen]] = seen
        found = [column[block.columns] for block in self.blocks if block.rho is not None]
        return dict(zip(self.correlated, found, strict=True))

    @property
    def n_numbers(self) -> int:
        """Columns that are no level effects, the last of the engine's."""
        return int((self.own[: self.n_dense] >= 0).sum()) + int(self.design.fit_intercept)

    @property
    def size(self) -> int:
        """Numbers in the factors of one theta."""
        s = self.sums
        return int(s.first.size + s.second.size + len(s.b0) + s.cross.size)

    @property
    def heavy(self) -> bool:
        """Whether one theta takes so long that every one counts."""
        return self.size > _HEAVY

    def factors(self, theta: Array) -> Iterator[Factors]:
        """Factorise M at theta, some at a time; where it is singular to rounding, log_norm is -infinity."""
        together = max(1, _TOGETHER // self.size) if isinstance(self.sums.cross, np.ndarray) else 1
        for k in range(0, len(theta), together):
            yield self._factors(theta[k : k + together])

    def _factors(self, theta: Array) -> Factors:
        s, k = self.sums, len(theta)
        q, c = s.first.shape[:2]
        size, p = q * c, len(s.b0)
        P, M22 = np.repeat(s.first[None], k, axis=0), np.repeat(s.second[None], k, axis=0)
        Sb0, log_det = np.zeros((k, p)), np.zeros(k)
        for block in self.blocks:
            one, log_one = block.precision(theta)
            at = block.columns
            log_det += len(at) * log_one
            Sb0[:, at] += s.b0[at] @ one
            if at[0, 0] < size:
                P[:, :, at[0][:, None], at[0]] += one[:, None]
            else:
                M22[:, at[:, :, None] - size, at[:, None] - size] += one[:, None]
        first, regular = (1.0 / np.sqrt(P), np.ones(k, dtype=bool)) if c == 1 else inverse_roots(P)
        if isinstance(s.cross, np.ndarray):
            W: Any = within_levels(first, s.cross[None])
            M22 -= np.swapaxes(W, 1, 2) @ W
        else:
            W = sparse_within_levels(first[0], s.cross)
            M22[0] -= self._products(first[0], W)
        L2, also = cholesky_of_each(M22)

        def solved(right: Array) -> Array:
            half = within_levels(first, right[:, :size, None])
            two = solve_of_each(L2, right[:, size:] - across(W, half)[..., 0])
            one = within_levels(np.swapaxes(first, 2, 3), half - along(W, two[..., None]))[..., 0]
            return np.concatenate([one, two], axis=1)

        d = solved(s.c0 - Sb0)
        b = s.b0 + d
        fall, rise = d @ s.c0, np.einsum("kp,kp->k", Sb0, b)
        Q = s.q0 - fall + rise
        lost = np.einsum("kp,p->k", Sb0, s.b0) > _CANCELLED * s.q0
        if lost.any():
            fine, least = self._refined(theta, b, solved)
            b[lost], Q[lost] = fine[lost], least[lost]
            fall, rise = np.where(lost, 0.0, fall), np.where(lost, 0.0, rise)
        regular &= 1e-13 * (s.q0 + np.abs(fall) + np.abs(rise)) < Q  # where less is left, nothing but rounding is
        log_norm = 0.5 * log_det + np.log(np.diagonal(first, axis1=2, axis2=3)).sum(axis=(1, 2))
        log_norm += 0.5 * s.log_det_flat - np.log(np.diagonal(L2, axis1=1, axis2=2)).sum(axis=1)
        if self.heavy and len(self.kept) < _MOST_KEPT:
            last = self.n_numbers
            self.kept.update({row.tobytes(): (b[i], L2[i, -last:, -last:].copy()) for i, row in enumerate(theta)})
        return Factors(first, W, L2, b, np.where(regular & also, log_norm, -np.inf), np.where(Q > 0, Q, s.q0))

    def _refined(self, theta: Array, b: Array, solved: Callable[[Array], Array]) -> tuple[Array, Array]:
        """B and Q where lambda is so large that ``b = b0 + d`` is rounding, which S b0 would multiply.

        With r = c0 - X'WX d - S b what is missing is M^-1 r, in which S b has all digits of the b at hand: each step
        takes b0's rounding to that of the last step. Q = q0 - 2 d'c0 + d'X'WX d + b'S b is least at b, so that of an
        error in b only the square counts.
        """
        s = self.sums
        (q, c), k = s.first.shape[:2], len(theta)
        least = np.full(k, np.inf)
        for _ in range(_MOST_STEPS):
            d, Sb = b - s.b0, np.zeros_like(b)
            for block in self.blocks:
                Sb[:, block.columns] += b[:, block.columns] @ block.precision(theta)[0]
            one, two = d[:, : q * c], d[:, q * c :]
            within = np.einsum("qab,kqb->kqa", s.first, one.reshape(k, q, c)).reshape(k, -1)
            Gd = np.concatenate([within + (s.cross @ two.T).T, (s.cross.T @ one.T).T + two @ s.second], axis=1)
            now = s.q0 + np.einsum("kp,kp->k", d, Gd - 2.0 * s.c0) + np.einsum("kp,kp->k", b, Sb)
            if (now >= (1.0 - 1e-12) * least).all():
                break
            least = np.minimum(now, least)
            b = b + solved(s.c0 - Gd - Sb)
        return b, least

    def _products(self, inverse: Array, W: csr_array) -> Array:
        """``W'W``; its upper triangle may be left out."""
        if self._pairs is None:
            return np.asarray((W.T @ W).toarray())
        pairs, numbers = self._pairs
        a, r, k = inverse[:, 0, 0] ** 2, W.shape[1], numbers.shape[1]
        out = np.zeros((r, r))
        out[: r - k, : r - k] = pairs.sums(a)
        out[r - k :] = (self.sums.cross.T @ (a[:, None] * numbers)).T
        return out

    @cached_property
    def _pairs(self) -> tuple[Pairs, Array] | None:
        """Products of entries of M12, if its first block is diagonal and they are not too many; its dense columns."""
        cross, k = self.sums.cross, self.n_numbers
        levels, numbers = cross[:, : cross.shape[1] - k], cross[:, cross.shape[1] - k :].toarray()
        few = float(np.square(np.diff(levels.indptr).astype(np.float64)).sum()) <= 2.0 * _MOST_PAIRS
        return (Pairs.of(csr_array(levels)), numbers) if self.sums.first.shape[1] == 1 and few else None

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """Log of the ratio of determinants, and Q, at theta (K, h)."""
        found = [(part.log_norm, part.Q) for part in self.factors(theta)]
        return np.concatenate([one for one, _ in found]), np.concatenate([Q for _, Q in found])

    def excess(self, theta: Array) -> Array:
        """Q at theta (K, h)."""
        return self.evidence(theta)[1]

    def region(self) -> Array:
        """Where to begin to look: about the lambda that leaves half to the noise, correlations zero, (m, h)."""
        steps = _REGION if not self.heavy and len(self.signals) <= 2 else _FEW
        lines = [np.log(signal if signal > 0 else 1.0) + steps for signal in self.signals]
        grid = np.array(lines).T if len(lines) > 3 else np.stack(np.meshgrid(*lines), -1).reshape(-1, len(lines))
        return np.hstack([grid, np.zeros((len(grid), len(self.correlated)))])

    def at(self, theta: Array) -> LevelConditional:
        """The coefficients given theta (K, h); those of the last theta asked for are kept."""
        latest = self._latest[0] if self._latest else None
        if latest is None or latest.theta is not theta:
            latest = LevelConditional(self, theta)
            self._latest[:] = [latest]
        return latest

    def dof(self, theta: Array) -> Array:
        """Effective degrees of freedom of each lambda's columns at theta, (K, G): the diagonal of ``I - M^-1 S``."""
        return through_few(theta, self._dof) if self.heavy else self._dof(theta)

    def _dof(self, theta: Array) -> Array:
        out = np.zeros((len(theta), len(self.signals)))
        given, p = LevelConditional(self, theta), len(self.sums.b0)
        for block in self.blocks:
            S, _ = block.precision(theta)
            q, c = block.columns.shape
            pairs = [(a, b) for a in range(c) for b in range(a, c)]
            rows = [_units(block.columns[:, a], p) + _units(block.columns[:, b], p) for a, b in pairs]
            sums = SparseFunctionals(csr_array(sparse_vstack(rows, format="csr")), np.zeros(len(pairs) * q))
            of_sums = dict(zip(pairs, given.everywhere(sums).reshape(len(pairs), q, -1), strict=True))
            for a in range(c):
                out[:, block.theta[a]] += q
                for b in range(c):
                    both = of_sums[min(a, b), max(a, b)] - (0.25 * (of_sums[a, a] + of_sums[b, b]) if a != b else 0.0)
                    out[:, block.theta[a]] -= S[:, a, b] * (0.25 if a == b else 0.5) * both.sum(axis=0)
        return out

    # -- functionals -------------------------------------------------------------------------------------------------

    def coefficients(self) -> SparseFunctionals:
        """All p coefficients, in the units of the data."""
        p = self.design.n_columns
        seen = np.flatnonzero(self.own >= 0)
        unit = csr_array((1.0 / self.design.scale[seen], (seen, self.own[seen])), shape=(p, len(self.sums.b0)))
        return SparseFunctionals(unit, np.zeros(p))

    def intercept(self) -> SparseFunctionals:
        """The intercept: the expected target where every column is zero."""
        return self.rows(np.zeros((1, self.design.n_columns)))

    def rows(self, X: Array | LevelRows) -> SparseFunctionals:
        """The expected target at new rows."""
        laid_out = csr_array(X) if isinstance(X, np.ndarray) else sparse_of(X)
        rows = laid_out @ self.coefficients().rows
        design = self.design
        if not design.fit_intercept:
            return SparseFunctionals(rows, np.zeros(len(rows.indptr) - 1))
        # the engine's intercept is where dense columns are at their means, and level effects are none
        numbers = np.flatnonzero(self.own[: self.n_dense] >= 0)
        shift = np.zeros(len(self.sums.b0))
        shift[self.own[numbers]] = -design.mean[numbers] / design.scale[numbers]
        shift[-1] += 1.0
        m = rows.shape[0]
        rows = rows + csr_array(np.ones((m, 1))) @ csr_array(shift[None])
        return SparseFunctionals(csr_array(rows), np.full(m, design.y_mean))

    @cached_property
    def own_rows(self) -> csr_array:
        """The rows of the data as functionals."""
        source = self.design.source
        if not isinstance(source, LevelRows):
            _ = self.design.X  # says that the rows are absent
        return self.rows(source).rows  # type: ignore[arg-type]

    def contrasts(self, A: Array) -> SparseFunctionals:
        """Linear combinations of the coefficients."""
        return SparseFunctionals(csr_array(csr_array(A) @ self.coefficients().rows), np.zeros(len(A)))

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the coefficients, the scales integrated, (p, p)."""
        if self.design.n_columns > _WIDEST:
            raise DataError(
                f"the covariance matrix of {self.design.n_columns} coefficients is not laid out: ask contrasts for "
                "what is wanted of it"
            )
        return self.at(theta).covariance(self.coefficients(), weight, noise)

    # -- rows deleted ------------------------------------------------------------------------------------------------

    def deletion(self) -> LevelDeletion:
        """Exact leave-one-out."""
        return LevelDeletion(self)

    def without(self, row: int) -> LevelEngine:
        """The engine of the other rows, column scales and the priors held fixed."""
        design = self.design
        weights = np.ones(design.n_rows) if design.weights is None else design.weights.copy()
        frequency = design.weights is not None and design.weight_kind == "frequency"
        weights[row] = weights[row] - 1.0 if frequency else 0.0
        return self.keeping(weights > 0, None if design.weights is None else weights)

    def keeping(self, keep: NDArray[np.bool_], weights: Array | None) -> LevelEngine:
        """The engine of some of the rows, with these weights, column scales and the priors held fixed."""
        design, source = self.design, self.design.source
        assert isinstance(source, LevelRows)
        w = None if weights is None else weights[keep]
        rest, y = source.pick(keep), design.y[keep]
        total = float(len(y) if w is None else w.sum())
        n_obs = total if design.weight_kind == "frequency" or w is None else float(len(y))
        mean = design.mean.copy()
        y_mean = design.y_mean
        if design.fit_intercept:
            share = np.full(len(y), 1.0 / total) if w is None else w / total
            mean, y_mean = rest.cross(share), float(share @ y)
        found = replace(
            design,
            source=rest,
            y=y,
            weights=w,
            mean=mean,
            y_mean=y_mean,
            n_obs=n_obs,
            total_weight=total,
            kept=None,
            cross=None,
        )
        sums = _sums(found, self.own, self.blocks, self.sums.first.shape[:2], self)
        return replace(self, design=found, sums=sums, _latest=[], kept={})

    # -- files -------------------------------------------------------------------------------------------------------

    def state(self, *, rows: bool = False) -> State:
        """Cross-products, and where columns stand; the data themselves only if asked for."""
        facts, arrays = self.design.state(rows=False)
        source, s = self.design.source, self.sums
        cross = csr_array(s.cross)
        arrays |= {
            "first": s.first, "cross_data": cross.data, "cross_at": cross.indices.astype(np.int64),
            "cross_start": cross.indptr.astype(np.int64),
            "second": s.second, "b0": s.b0, "c0": s.c0, "own": self.own,
        }  # fmt: skip
        about: dict[str, Any] = {
            "q0": s.q0, "log_det_flat": s.log_det_flat, "names": list(self.names),
            "correlated": list(self.correlated), "signals": list(self.signals), "rows": rows, "n_dense": self.n_dense,
            "blocks": [[block.theta.tolist(), block.rho] for block in self.blocks],
        }  # fmt: skip
        arrays |= {f"block_{k}": block.columns for k, block in enumerate(self.blocks)}
        if rows:
            assert isinstance(source, LevelRows)
            arrays |= {"X": source.X, "y": self.design.y}
            arrays |= {} if self.design.weights is None else {"weights": self.design.weights}
            about["levels"] = [[one.name, list(one.labels), list(one.parts)] for one in source.levels]
            arrays |= {f"codes_{k}": one.codes for k, one in enumerate(source.levels)}
            arrays |= {f"values_{k}": one.values for k, one in enumerate(source.levels) if one.columns is not None}
        return {"engine": "levels", "family": "gaussian", "design": facts, "levels": about}, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LevelEngine:
        """Make the engine of its state."""
        about = facts["levels"]
        design = Design.from_state(facts["design"], {name: a for name, a in arrays.items() if name != "X"})
        if about["rows"]:
            levels = tuple([
                Levels(name, arrays[f"codes_{k}"], tuple(labels), arrays.get(f"values_{k}"), tuple(parts))
                for k, (name, labels, parts) in enumerate(about["levels"])
            ])  # fmt: skip
            design = replace(
                design, source=LevelRows(arrays["X"], levels), y=arrays["y"], weights=arrays.get("weights")
            )
        first, second = arrays["first"], arrays["second"]
        shape = (first.shape[0] * first.shape[1], len(second))
        cross: Any = csr_array((arrays["cross_data"], arrays["cross_at"], arrays["cross_start"]), shape=shape)
        cross = cross.toarray() if shape[0] * shape[1] <= _DENSE else cross
        sums = Sums(first, cross, second, arrays["b0"], arrays["c0"], about["q0"], about["log_det_flat"])
        blocks = [
            Block(arrays[f"block_{k}"], np.array(theta, dtype=np.intp), rho)
            for k, (theta, rho) in enumerate(about["blocks"])
        ]
        names, correlated = tuple(about["names"]), tuple(about["correlated"])
        return cls(
            design, sums, arrays["own"], tuple(blocks), names, correlated, tuple(about["signals"]), about["n_dense"]
        )


def _sums(design: Design, own: NDArray[np.intp], blocks: tuple[Block, ...], shape: tuple[int, ...], frame: Any) -> Sums:
    """Add up the rows, and fit them once at a theta where the evidence is high."""
    q, c = shape
    p = int(own.max()) + 1 + int(design.fit_intercept)
    nothing = Sums(np.empty((q, c, c)), np.empty((q * c, p - q * c)), np.empty((0, 0)), np.zeros(p), np.zeros(p), 0, 0)
    empty = replace(frame, design=design, sums=nothing, own=own, blocks=blocks, _latest=[], kept={})
    rows = empty.own_rows
    weights = np.ones(design.n_rows) if design.weights is None else design.weights
    weighted = csr_array(rows.multiply(weights[:, None]))
    size = q * c
    middle = p - empty.n_numbers  # numbers are dense, and last
    first, between, numbers = rows[:, :size], rows[:, size:middle], rows[:, middle:].toarray()
    within = csr_array(weighted[:, :size].T @ first).tocoo()
    P = np.zeros((q, c, c))
    P[within.row // c, within.row % c, within.col % c] = within.data
    with_numbers = weighted[:, :middle].T @ numbers
    cross: Any = sparse_hstack(
        [csr_array(weighted[:, :size].T @ between), csr_array(with_numbers[:size])], format="csr"
    )
    cross = cross.toarray() if size * (p - size) <= _DENSE else csr_array(cross)
    M22 = np.empty((p - size, p - size))
    M22[: middle - size, : middle - size] = (weighted[:, size:middle].T @ between).toarray()
    M22[: middle - size, middle - size :] = with_numbers[size:]
    M22[middle - size :, : middle - size] = with_numbers[size:].T
    M22[middle - size :, middle - size :] = numbers.T @ (weights[:, None] * numbers)
    k = design.n_flat
    sign, log_det = np.linalg.slogdet(M22[-k:, -k:]) if k else (1.0, 0.0)
    if sign <= 0 or (k and np.linalg.cond(M22[-k:, -k:]) > 1e13):
        names = ", ".join(design.names[j] for j in design.unpenalized)
        raise DataError(
            f"the unpenalised columns are linearly dependent, their coefficients have no posterior: {names}"
        )
    y = design.y - (design.y_mean if design.fit_intercept else 0.0)
    total, floor = float(weights @ (y * y)), rounding_floor(design, float(np.abs(design.y).max()))
    if total <= floor:
        y = np.zeros_like(y)
        warn(
            f"{design.target_name} is constant to rounding: effects are 0, the noise is an upper bound",
            ConstantTargetWarning,
        )
    sums = Sums(P, cross, M22, np.zeros(p), weighted.T @ y, max(total, floor), float(log_det))
    for _ in range(2):  # the second fit begins where the first is good
        made = replace(empty, sums=sums)
        start = made.region()
        if made.heavy:
            start = start[len(start) // 2][None]
        log_norm, Q = made.evidence(start) if len(start) > 1 else (np.zeros(1), np.ones(1))
        best = int(np.argmax(log_norm - 0.5 * design.nu * np.log(Q)))
        b0 = next(made.factors(start[best : best + 1])).b[0]
        e0 = y - rows @ b0
        sums = replace(sums, b0=b0, c0=weighted.T @ e0, q0=max(float(weights @ (e0 * e0)), floor))
    return sums


def _check_weights(design: Design) -> None:
    """Warn of, or refuse, weights so far apart that sums of products lose the rows that weigh little.

    What is lost is the rounding of the heaviest row beside the lightest; that was three to forty times the errors seen,
    up to a ratio of 1e13, from which on nothing may be right.
    """
    heavy = heaviest_row(design.weights)
    if heavy is None or design.weights is None:
        return
    ratio = float(design.weights[heavy] / design.weights[design.weights > 0].min())
    said = f"row {int(design.input_rows[heavy])} weighs {ratio:.0e} times as much as the lightest, and "
    remedy = "leave out rows that weigh next to nothing, or fit fewer levels, which are laid out as columns"
    if ratio > _MOST_UNEVEN:
        raise DataError(f"{said}sums over so many levels do not carry both; {remedy}")
    lost = ratio * float(np.finfo(np.float64).eps)
    warn(f"{said}numbers are right to some {lost:.0e} posterior sds only; {remedy}", AccuracyWarning)


def level_engine(
    design: Design, group: NDArray[np.intp], names: tuple[str, ...], signals: Mapping[str, float]
) -> LevelEngine:
    """Make the engine of a design with level effects.

    Parameters
    ----------
    design : Design
        Its rows are :class:`~bayesridge.linalg.levels.LevelRows`.
    group : ndarray of int, shape (n_columns,)
        Which of the dense groups each penalised column belongs to.
    names, signals : tuple of str, mapping
        Of the dense groups.

    Raises
    ------
    DataError
        If a block has more than two correlated parts, or weights are too far apart for sums of products.

    Warns
    -----
    AccuracyWarning
        If they are so far apart that digits are lost.
    """
    _check_weights(design)
    source = design.source
    assert isinstance(source, LevelRows)
    levels, first = source.levels, source.X.shape[1]
    for block in levels:
        _check(block)
    sizes = {k: sum(one.n_columns for one in levels if _same(one, levels[k])) for k in range(len(levels))}
    chosen = max(sizes, key=lambda k: sizes[k])
    own = np.full(design.n_columns, -1, dtype=np.intp)
    eliminated = [k for k, one in enumerate(levels) if _same(one, levels[chosen])]
    c, q = sum(len(levels[k].parts) for k in eliminated), len(levels[chosen].labels)
    places: dict[int, NDArray[np.intp]] = {}
    offset = 0
    for k in eliminated:
        parts = len(levels[k].parts)
        places[k] = np.arange(q)[:, None] * c + offset + np.arange(parts)
        offset += parts
    end = q * c
    for k, one in enumerate(levels):
        if k not in places:
            places[k] = (end + np.arange(one.n_columns)).reshape(len(one.labels), -1)
            end += one.n_columns
        own[source.starts[k] : source.starts[k + 1]] = places[k].ravel()
    dense = design.penalized[design.penalized < first]
    for columns in (dense, design.unpenalized):
        own[columns] = end + np.arange(len(columns))
        end += len(columns)
    blocks = [
        Block(own[dense[group[dense] == g]][:, None], np.array([g], dtype=np.intp)) for g in range(len(names))
    ]  # fmt: skip
    all_names, all_signals = list(names), [signals[name] for name in names]
    pending: list[tuple[int, NDArray[np.intp]]] = []
    for k, one in enumerate(levels):
        theta = len(all_names) + np.arange(len(one.parts))
        all_names += [f"{one.name}:{part}" if part and len(one.parts) > 1 else one.name for part in one.parts]
        all_signals += one.signals(design.weights, design.n_obs).tolist()
        pending.append((k, theta))
    correlated: list[str] = []
    for k, theta in pending:
        rho = None
        if len(theta) > 1:
            rho = len(all_names) + len(correlated)
            correlated.append(levels[k].name)
        blocks.append(Block(places[k], theta, rho))
    frame = LevelEngine(
        design, None, own, tuple(blocks), tuple(all_names), tuple(correlated), tuple(all_signals), first,  # type: ignore[arg-type]
    )  # fmt: skip
    return replace(frame, sums=_sums(design, own, tuple(blocks), (q, c), frame))


def _same(one: Levels, other: Levels) -> bool:
    return one.codes is other.codes or (one.labels == other.labels and np.array_equal(one.codes, other.codes))


def _check(block: Levels) -> None:
    if len(block.parts) > 2:
        raise DataError(
            f"{block.name} has {len(block.parts)} correlated effects a level, and two are what there is: state further "
            "slopes as independent, (x || g)"
        )
