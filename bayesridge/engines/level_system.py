r"""The normal equations of level effects: mixed models with many levels, never a dense matrix of all of them.

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

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bayesridge.design.design import Design
from bayesridge.design.levels import LevelRows
from bayesridge.engines.level_factors import (
    Block,
    Factors,
    Pairs,
    SparseFunctionals,
    Sums,
    across,
    along,
    inverse_roots,
    sparse_of,
    sparse_within_levels,
    within_levels,
)
from bayesridge.linalg.stacks import cholesky_of_each, solve_of_each

Array = NDArray[np.float64]

_REGION = np.array([-9.0, -5.0, -1.0, 3.0, 7.0, 11.0])
_FEW = np.array([-4.0, 0.0, 4.0])  # where a factorisation takes long
_HEAVY = 1 << 18  # numbers in the factors of one theta from which on every theta counts
_TOGETHER = 1 << 20  # numbers in what is worked on together
_MOST_PAIRS = 1 << 23
_MOST_KEPT = 1000  # thetas of a heavy engine
_CANCELLED = 1e4  # times what b0 leaves, its penalty, which Q is then a difference of: twelve digits are left
_MOST_STEPS = 30


@dataclass(frozen=True, eq=False)
class LevelSystem:
    """The normal equations of ridge with level effects: their factors, their evidence, and what is asked of them.

    Theta are the logarithms of the lambdas, then atanh of the correlations.

    Attributes
    ----------
    design : Design
        Its rows are :class:`~bayesridge.design.levels.LevelRows`.
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
    kept: dict[bytes, tuple[Array, Array]] = field(default_factory=dict, repr=False)

    @property
    def n_flat(self) -> int:
        """Flat columns, the last of the engine's."""
        return self.design.n_flat

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

    def region(self) -> Array:
        """Where to begin to look: about the lambda that leaves half to the noise, correlations zero, (m, h)."""
        steps = _REGION if not self.heavy and len(self.signals) <= 2 else _FEW
        lines = [np.log(signal if signal > 0 else 1.0) + steps for signal in self.signals]
        grid = np.array(lines).T if len(lines) > 3 else np.stack(np.meshgrid(*lines), -1).reshape(-1, len(lines))
        return np.hstack([grid, np.zeros((len(grid), len(self.correlated)))])

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
