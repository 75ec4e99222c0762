r"""The engine of several penalties: columns in groups, each with its own lambda.

With the flat directions projected out, ``X'X = V diag(s^2) V'`` and ``X'y = V (s z)`` from the one decomposition
(:mod:`bayesridge.linalg.spectrum`), and Lambda the diagonal matrix of each column's lambda,

    M = X'X + Lambda = L L',    b = M^-1 X'y,
    log p(y | theta, sigma) = constant + 1/2 log|Lambda| - 1/2 log|M| - nu log sigma - Q / (2 sigma^2),
    Q = r0 + b' Lambda b + |z - s V'b|^2.

The last line is a sum of squares, and b minimises it: an error of b enters Q squared. ``y'y - b' X'y``, which is the
same, would cancel where the fit is good. Given theta, coefficients have mean b and covariance sigma^2 M^-1.

Leave-one-out needs residuals and leverages: with u the row's left vector, its residual is e0 + u'(z - s V'b) and one
less its leverage is m0 + |u|^2 - |L^-1 V (s u)|^2 (e0, m0: :class:`bayesridge.linalg.rows.RowParts`).

The cost is that of a Cholesky factorisation of p x p for each node of theta.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrs, dtrtri

from bayesridge.design.design import Design, State, some_rows
from bayesridge.design.levels import LevelRows
from bayesridge.engines.conditional import with_flat_draws
from bayesridge.engines.engine import (
    CoefficientDraws,
    Deleted,
    Engine,
    LinearMoments,
    mixture_covariance,
    mixture_moments,
)
from bayesridge.engines.schur import LevelEngine, level_engine
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import DataError
from bayesridge.linalg.deletion import RowDeletion, delete
from bayesridge.linalg.maps import Functionals, contrast_functionals, flat_gram, prediction_functionals
from bayesridge.linalg.rows import row_parts
from bayesridge.linalg.spectrum import Spectrum, factorize, left_vectors
from bayesridge.linalg.stacks import cholesky_of_each, solve_of_each
from bayesridge.linalg.targets import on_flat_columns, rows_counted, without_row

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 21  # numbers in the matrices that are factorised together
_KEPT_VALUES = 1 << 24  # and in the factors that are kept for the next question
_SMALL = 40  # columns
_REGION = np.array([-9.0, -5.0, -1.0, 3.0, 7.0, 11.0])


@dataclass(frozen=True, eq=False)
class _Factors:
    """Some nodes: log|Lambda|/2 - log|M|/2 and Q - r0 (k,), coefficients (k, p), and L (k, p, p)."""

    log_norm: Array
    excess: Array
    beta: Array
    L: Array

    @cached_property
    def inverse(self) -> Array:
        """``L^-1`` of each node, (k, p, p)."""
        if self.L.shape[1] <= _SMALL:  # many small ones together; LAPACK's own function takes them one at a time
            return np.linalg.inv(self.L)
        return np.array([dtrtri(one, lower=1)[0] for one in self.L])


@dataclass(frozen=True, eq=False)
class GroupConditional:
    """The coefficients at K values of theta.

    Attributes
    ----------
    engine : GroupEngine
    theta : ndarray of shape (K, G)
    """

    engine: GroupEngine
    theta: Array

    @cached_property
    def _kept(self) -> list[_Factors] | None:
        p = self.engine.factor.n_features
        return list(self.engine.factors(self.theta)) if len(self.theta) * p * p <= _KEPT_VALUES else None

    def _factors(self) -> Iterator[_Factors]:
        return self.engine.factors(self.theta) if self._kept is None else iter(self._kept)

    @cached_property
    def beta(self) -> Array:
        """Conditional means of the standardised coefficients, (K, p)."""
        return np.concatenate([part.beta for part in self._factors()])

    @cached_property
    def excess(self) -> Array:
        """``Q - r0``, (K,)."""
        return np.concatenate([part.excess for part in self._factors()])

    def quadratic(self, rows: Array) -> Array:
        """``l' M^-1 l`` of each row l, shape (m, K)."""
        found = [np.square(one @ rows.T).sum(axis=0) for part in self._factors() for one in part.inverse]
        return np.array(found).T

    def mean(self, linear: Functionals) -> Array:
        """Conditional means, shape (m, K)."""
        return np.asarray(linear.offset[:, None] + linear.rows @ self.beta.T)

    def variance(self, linear: Functionals) -> Array:
        """Conditional variances over sigma^2, shape (m, K)."""
        return np.asarray(linear.fixed[:, None] + self.quadratic(linear.rows))

    def moments(self, linear: Functionals, weight: Array, noise: Array) -> LinearMoments:
        """Mean and variance of the mixture over the nodes."""
        return mixture_moments(self.mean(linear), self.variance(linear), weight, noise)

    def covariance(self, linear: Functionals, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the mixture over the nodes, the flat directions' own share left out, (m, m)."""
        halves = (one @ linear.rows.T for part in self._factors() for one in part.inverse)
        return mixture_covariance(self.mean(linear), halves, weight, noise)

    def draw(self, sigma: Array, rng: np.random.Generator) -> CoefficientDraws:
        """Coefficients at each theta, given sigma (K,): ``b + sigma L'^-1 eps``."""
        eps = rng.standard_normal((len(sigma), self.engine.factor.n_features)) * sigma[:, None]
        done, parts = 0, []
        for part in self._factors():
            some = eps[done : done + len(part.beta)]
            done += len(some)
            parts.append(part.beta + (some[:, None, :] @ part.inverse)[:, 0])
        beta = np.concatenate(parts)
        return with_flat_draws(self.engine.design, self.engine.factor, beta, sigma, rng)


@dataclass(frozen=True, eq=False)
class GroupDeletion(RowDeletion):
    """Exact leave-one-out from the residuals and leverages of one fit; column scales and the prior are held fixed."""

    engine: GroupEngine

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each theta (K, G)."""
        s, given = self.engine.factor, self.engine.at(theta)
        U, e0, m0 = self.rows.U[part], self.rows.residual[part, None], self.rows.rest[part, None]
        e = U @ (s.z[:, None] - s.s[:, None] * (s.V.T @ given.beta.T))
        keep = np.square(U).sum(axis=1)[:, None] - given.quadratic((U * s.s) @ s.V.T)
        np.maximum(keep, 0.0, out=keep)  # a difference of numbers up to one; positive in exact arithmetic
        Q = delete(e, keep, e0, m0, given.excess, s.r0, nothing_left=s.nu - s.rank == 1)
        total = s.r0 + given.excess
        return Deleted(e, keep, Q, np.finfo(np.float64).eps * total / Q, total)


@dataclass(frozen=True, eq=False)
class GroupEngine:
    """Ridge with a lambda for each group of columns; theta are their logarithms.

    Attributes
    ----------
    design : Design
    factor : Spectrum
        The decomposition of all penalised columns together.
    names : tuple of str
        Of the G groups.
    group : ndarray of int, shape (n_columns,)
        Which group each column of the design belongs to; -1 for those that are not penalised.
    signals : tuple of float
        For each group, the sum over its columns of the mean square, about their means; of level effects as they are.
    """

    design: Design
    factor: Spectrum
    names: tuple[str, ...]
    group: NDArray[np.intp]
    signals: tuple[float, ...]
    _latest: list[GroupConditional] = field(default_factory=list, repr=False)

    heavy: ClassVar[bool] = False

    def __reduce__(self) -> tuple[Any, ...]:
        return GroupEngine, (self.design, self.factor, self.names, self.group, self.signals)

    @property
    def spectrum(self) -> None:
        """None: there is no one lambda."""
        return

    @property
    def theta_names(self) -> tuple[str, ...]:
        """``log lambda[group]`` of each group."""
        return tuple([f"log lambda[{name}]" for name in self.names])

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.factor.nu

    @property
    def constant(self) -> float:
        """Terms of the log evidence that are free of theta and sigma."""
        return SpectralEngine(self.design, self.factor).constant

    @property
    def floor(self) -> float:
        """What no theta can explain, r0."""
        return self.factor.r0

    @cached_property
    def _member(self) -> NDArray[np.intp]:
        return self.group[self.design.penalized]

    @property
    def penalties(self) -> NDArray[np.intp]:
        """Which lambda is that of each column of the design; -1 where it has none, or is left out."""
        out = np.full(self.design.n_columns, -1, dtype=np.intp)
        out[self.design.penalized] = self._member
        return out

    @property
    def pairs(self) -> dict[str, NDArray[np.intp]]:
        """Columns that are correlated: none."""
        return {}

    @cached_property
    def _normal(self) -> tuple[Array, Array]:
        """``X'X`` and ``X'y`` of the standardised columns."""
        s = self.factor
        return (s.V * s.s2) @ s.V.T, s.V @ (s.s * s.z)

    def factors(self, theta: Array) -> Iterator[_Factors]:
        """Factorise M at theta, some nodes at a time; where it is singular to rounding, log_norm is -infinity."""
        s, (A, c) = self.factor, self._normal
        p = len(c)
        diagonal = np.arange(p)
        for part in np.array_split(theta, max(1, -(-len(theta) * p * p // _BLOCK_VALUES))):
            log_lam = part[:, self._member]
            M = np.repeat(A[None], len(part), axis=0)
            M[:, diagonal, diagonal] += np.exp(log_lam)
            L, regular = cholesky_of_each(M)
            beta = solve_of_each(L, np.tile(c, (len(L), 1)))
            rest = s.z - s.s * (beta @ s.V)
            excess = (np.exp(log_lam) * np.square(beta)).sum(axis=1) + np.square(rest).sum(axis=1)
            log_norm = 0.5 * log_lam.sum(axis=1) - np.log(L[:, diagonal, diagonal]).sum(axis=1)
            yield _Factors(np.where(regular, log_norm, -np.inf), excess, beta, L)

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """``1/2 log|Lambda| - 1/2 log|M|`` and ``Q - r0`` at theta (K, G)."""
        found = list(_without_triangles(self.factors(theta)))
        return np.concatenate([log_norm for log_norm, _ in found]), np.concatenate([excess for _, excess in found])

    def excess(self, theta: Array) -> Array:
        """``Q - r0`` at theta (K, G)."""
        return self.evidence(theta)[1]

    def region(self) -> Array:
        """Where to begin to look: six decades about the lambda that leaves half to the noise, (m, G)."""
        lines = [np.log(signal if signal > 0 else 1.0) + _REGION for signal in self.signals]
        if len(lines) > 3:
            return np.array(lines).T
        return np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, len(lines))

    def at(self, theta: Array) -> GroupConditional:
        """The coefficients given theta (K, G); the factors of the last theta asked for are kept."""
        latest = self._latest[0] if self._latest else None
        if latest is None or latest.theta is not theta:
            latest = GroupConditional(self, theta)
            self._latest[:] = [latest]
        return latest

    def dof(self, theta: Array) -> Array:
        """Effective degrees of freedom of each group at theta, (K, G): of column j ``1 - lambda_j (M^-1)_jj``."""
        member = np.equal.outer(self._member, np.arange(len(self.names))).astype(np.float64)
        of_column = [np.square(one).sum(axis=0) for part in self.at(theta)._factors() for one in part.inverse]
        return np.asarray((1.0 - np.exp(theta[:, self._member]) * np.array(of_column)) @ member)

    # -- other targets -----------------------------------------------------------------------------------------------

    def refits(self, theta: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        """Root-weighted residuals (m, n) and Q (m,) of m other targets on the same rows, at each theta (K, G)."""
        design, s, root = self.design, self.factor, self.design.root_weights()
        weights = np.ones(design.n_rows) if root is None else root**2
        centred = (y - (y @ weights / weights.sum())[:, None]).T if design.fit_intercept else y.T
        rest = centred - design.standardized(None, design.unpenalized) @ on_flat_columns(design, s, centred)
        rest = rest if root is None else rest * root[:, None]
        U = left_vectors(design, s)
        z = U.T @ rest
        rest -= U @ z
        for one, part in ((one, next(self.factors(one[None]))) for one in theta):
            beta = dpotrs(part.L[0], s.V @ (s.s[:, None] * z), lower=1)[0]
            left = z - s.s[:, None] * (s.V.T @ beta)
            e = rest + U @ left
            yield e.T, np.square(e).sum(axis=0) + np.exp(one[self._member]) @ np.square(beta)

    def counted(self, power: float) -> GroupEngine:
        """The engine of the same data with every row counted `power` times (column scales and signals as they are)."""
        design = replace(self.design, total_weight=power * self.design.total_weight)
        return replace(self, design=design, factor=rows_counted(self.factor, power, design.n_flat), _latest=[])

    def beside(self, y: Array) -> GroupEngine:
        """The engine of all rows twice, the second time with the target y; column scales and signals as they are."""
        twice = np.tile(np.arange(self.design.n_rows), 2)
        design = some_rows(replace(self.design, scaling="given"), twice, np.concatenate([self.design.y, y]))
        return replace(self, design=design, factor=factorize(design), _latest=[])

    def coefficients(self) -> Functionals:
        """All p coefficients, in the units of the data."""
        return self.contrasts(np.eye(self.design.n_columns))

    def intercept(self) -> Functionals:
        """The intercept."""
        return self.rows(np.zeros((1, self.design.n_columns)))

    def rows(self, X: Array | LevelRows) -> Functionals:
        """The expected target at new rows."""
        return prediction_functionals(self.design, self.factor, X)

    def contrasts(self, A: Array) -> Functionals:
        """Linear combinations of the coefficients."""
        return contrast_functionals(self.design, self.factor, A)

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the coefficients, the scales integrated, (p, p)."""
        unit = 1.0 / self.design.scale
        flat = unit[:, None] * flat_gram(self.design, self.factor) * unit
        return self.at(theta).covariance(self.coefficients(), weight, noise) + flat * float(weight @ noise)

    def deletion(self) -> GroupDeletion:
        """Exact leave-one-out from the residuals and leverages of one fit."""
        return GroupDeletion(row_parts(self.design, self.factor), self)

    def state(self, *, rows: bool = False) -> State:
        """The state of the decomposition, and which column is in which group."""
        facts, arrays = SpectralEngine(self.design, self.factor).state(rows=rows)
        about = {"names": list(self.names), "signals": list(self.signals)}
        return {**facts, "engine": "groups", "groups": about}, {**arrays, "group": self.group}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> GroupEngine:
        """Make the engine of its state."""
        one, about = SpectralEngine.from_state(facts, arrays), facts["groups"]
        signals = tuple(map(float, about["signals"]))
        return cls(one.design, one.spectrum, tuple(map(str, about["names"])), arrays["group"], signals)

    def without(self, row: int) -> GroupEngine:
        """The engine of the other rows, column scales and the priors of the lambdas held fixed."""
        design, factor = without_row(self.design, self.factor, row)
        return replace(self, design=design, factor=factor, _latest=[])


def _without_triangles(parts: Iterator[_Factors]) -> Iterator[tuple[Array, Array]]:
    for part in parts:
        yield part.log_norm, part.excess


def group_engine(
    design: Design,
    groups: Mapping[str, str | Sequence[str]],
    terms: Mapping[str, Sequence[str]],
    signals: Mapping[str, float] | None = None,
) -> GroupEngine | LevelEngine:
    """Put the penalised columns of a design into groups; blocks of level effects among its rows are groups too.

    Parameters
    ----------
    design : Design
    groups : mapping of str to str or sequence of str
        Group to its columns, or terms of a formula.
    terms : mapping
        Term to columns.
    signals : mapping, optional
        Group to the sum of squares of its columns over n, where that is not the one about their means: that of a smooth
        beside its null space.

    Raises
    ------
    DataError
        If a group is empty or names what is no penalised column, columns are in two groups or in none.
    """
    source = design.source
    blocks = source.levels if isinstance(source, LevelRows) else ()
    first = design.n_columns - sum(one.n_columns for one in blocks)
    for one in blocks:
        if one.name in groups:
            raise DataError(f"{one.name!r} is a group of columns and one of levels: call one of them otherwise")
    position = {name: j for j, name in enumerate(design.names)}
    group = np.full(design.n_columns, -1, dtype=np.intp)
    fixed = {*design.unpenalized.tolist(), *design.constant.tolist()}
    for g, (name, wanted) in enumerate(groups.items()):
        named = [wanted] if isinstance(wanted, str) else list(wanted)
        columns = [column for one in named for column in ([one] if one in position else terms.get(one, (one,)))]
        unknown = [column for column in columns if column not in position]
        if unknown:
            raise DataError(f"group {name!r} names {unknown[0]!r}, but the columns are {', '.join(design.names)}")
        members = [position[column] for column in columns]
        twice = [design.names[j] for j in members if group[j] >= 0]
        if twice:
            raise DataError(f"column {twice[0]!r} is in two groups, or twice in {name!r}: a column has one penalty")
        flat = [design.names[j] for j in members if j in set(design.unpenalized.tolist())]
        if flat:
            raise DataError(f"column {flat[0]!r} is unpenalised and in group {name!r}: leave it out of one of the two")
        if not [j for j in members if j not in fixed]:
            raise DataError(f"group {name!r} has no column with spread: its lambda would not be in the model")
        group[members] = g
    left = [design.names[j] for j in design.penalized if group[j] < 0 and j < first]
    if left:
        raise DataError(
            f"columns {', '.join(left[:5])}{' ...' if len(left) > 5 else ''} are in no group: add them to one, or to "
            "unpenalized"
        )
    dense = design.penalized[design.penalized < first]
    spread = np.zeros(len(groups))
    np.add.at(spread, group[dense], _mean_squares(design, dense))
    found = {name: (signals or {}).get(name, one) for name, one in zip(groups, spread.tolist(), strict=True)}
    if blocks:
        return level_engine(design, group, tuple(groups), found)
    return GroupEngine(design, factorize(design), tuple(groups), group, tuple(found.values()))


def groups_of(engine: Engine) -> dict[str, list[str]] | None:
    """Names of the columns of each group, or None for an engine without groups."""
    if not isinstance(engine, GroupEngine):
        return None
    names = engine.design.names
    return {one: [names[j] for j in np.flatnonzero(engine.group == g)] for g, one in enumerate(engine.names)}


def _mean_squares(design: Design, columns: NDArray[np.intp]) -> Array:
    """Weighted sum of squares of some scaled columns about their means, over the number of observations."""
    if design.cross is not None:
        squares = design.cross.diagonal()[columns] / np.square(design.scale[columns])
        return np.asarray(squares / design.n_obs)
    weights = np.ones(design.n_rows) if design.weights is None else design.weights
    source = design.source
    X = source.X if isinstance(source, LevelRows) else design.X
    return np.asarray(weights @ np.square(design.standardize(X, columns)) / design.n_obs)
