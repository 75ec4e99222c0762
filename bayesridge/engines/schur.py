"""The engine of level effects, behind the contract; :mod:`bayesridge.engines.level_system` has the formulas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse import vstack as sparse_vstack

from bayesridge.design.design import Design, State
from bayesridge.design.levels import LevelRows, Levels
from bayesridge.engines.few_nodes import through_few
from bayesridge.engines.level_conditional import LevelConditional, LevelDeletion
from bayesridge.engines.level_factors import Block, SparseFunctionals, Sums
from bayesridge.engines.level_sums import add_up, laid_out
from bayesridge.engines.level_system import LevelSystem
from bayesridge.errors import AccuracyWarning, DataError, warn
from bayesridge.linalg.heavy_rows import heaviest_row

Array = NDArray[np.float64]

_MOST_UNEVEN = 1e11  # weights
_WIDEST = 6_000  # coefficients whose covariance matrix is laid out


@dataclass(frozen=True, eq=False)
class LevelEngine(LevelSystem):
    """Ridge with level effects behind the contract of :mod:`bayesridge.engines.engine`."""

    _latest: list[LevelConditional] = field(default_factory=list, repr=False)

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

    def excess(self, theta: Array) -> Array:
        """Q at theta (K, h)."""
        return self.evidence(theta)[1]

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

    # -- other targets -----------------------------------------------------------------------------------------------

    def refits(self, theta: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        """Root-weighted residuals (m, n) and Q (m,) of m other targets on the same rows, at each theta (K, h)."""
        design, rows = self.design, self.own_rows
        weights = np.ones(design.n_rows) if design.weights is None else design.weights
        centred = (y - (y @ weights / weights.sum())[:, None]) if design.fit_intercept else y
        cross = rows.T @ (weights * centred).T
        for one in theta:
            b = next(self.factors(one[None])).solve(cross)
            e = centred - (rows @ b).T
            Q = np.square(e) @ weights
            for block in self.blocks:
                S, part = block.precision(one[None])[0][0], b[block.columns]
                Q += np.einsum("qam,ab,qbm->m", part, S, part)
            yield e * np.sqrt(weights), Q

    def counted(self, power: float) -> LevelEngine:
        """The engine of the same data with every row counted `power` times (column scales and signals as they are)."""
        s, design = self.sums, self.design
        design = replace(design, n_obs=power * design.n_obs, total_weight=power * design.total_weight)
        sums = Sums(
            power * s.first, power * s.cross, power * s.second, s.b0, power * s.c0, power * s.q0,
            s.log_det_flat + self.n_flat * float(np.log(power)),
        )  # fmt: skip
        return replace(self, design=design, sums=sums, _latest=[], kept={})

    def beside(self, y: Array) -> LevelEngine:
        """The engine of all rows twice, the second time with the target y; column scales and signals as they are."""
        twice = np.tile(np.arange(self.design.n_rows), 2)
        weights = None if self.design.weights is None else self.design.weights[twice]
        return self.of_rows(twice, np.concatenate([self.design.y, y]), weights)

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the coefficients, the scales integrated, (p, p)."""
        if self.design.n_columns > _WIDEST:
            raise DataError(
                f"the covariance matrix of {self.design.n_columns} coefficients is not laid out: ask contrasts for "
                "what is wanted of it"
            )
        return self.at(theta).covariance(self.coefficients(), weight, noise)

    # -- rows deleted -------------------------------------------------------------------------------------------------

    def deletion(self) -> LevelDeletion:
        """Exact leave-one-out."""
        return LevelDeletion(self, self.at)

    def without(self, row: int) -> LevelEngine:
        """The engine of the other rows, column scales and the priors held fixed."""
        design = self.design
        weights = np.ones(design.n_rows) if design.weights is None else design.weights.copy()
        frequency = design.weights is not None and design.weight_kind == "frequency"
        weights[row] = weights[row] - 1.0 if frequency else 0.0
        keep = np.flatnonzero(weights > 0)
        return self.of_rows(keep, design.y[keep], None if design.weights is None else weights[keep])

    def of_rows(self, rows: NDArray[np.intp], y: Array, w: Array | None) -> LevelEngine:
        """The engine of some of the rows with these targets and weights, column scales and the priors held fixed."""
        design, source = self.design, self.design.source
        assert isinstance(source, LevelRows)
        rest = source.pick(rows)
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
        sums = add_up(found, self.own, self.blocks, self.sums.first.shape[:2], self)
        return replace(self, design=found, sums=sums, _latest=[], kept={})

    # -- files --------------------------------------------------------------------------------------------------------

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
        cross = laid_out(cross)
        sums = Sums(first, cross, second, arrays["b0"], arrays["c0"], about["q0"], about["log_det_flat"])
        blocks = [
            Block(arrays[f"block_{k}"], np.array(theta, dtype=np.intp), rho)
            for k, (theta, rho) in enumerate(about["blocks"])
        ]
        names, correlated = tuple(about["names"]), tuple(about["correlated"])
        return cls(
            design, sums, arrays["own"], tuple(blocks), names, correlated, tuple(about["signals"]), about["n_dense"]
        )


def _units(columns: NDArray[np.intp], p: int) -> csr_array:
    """Unit rows, one for each of some of p columns."""
    return csr_array((np.ones(len(columns)), columns, np.arange(len(columns) + 1)), shape=(len(columns), p))


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
        Its rows are :class:`~bayesridge.design.levels.LevelRows`.
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
    for block in source.levels:
        _check(block)
    places, shape = _places(source.levels)
    end = sum(one.size for one in places)
    own = np.full(design.n_columns, -1, dtype=np.intp)
    for k, columns in enumerate(places):
        own[source.starts[k] : source.starts[k + 1]] = columns.ravel()
    n_dense = source.X.shape[1]
    dense = design.penalized[design.penalized < n_dense]
    flat = np.concatenate([dense, design.unpenalized])
    own[flat] = end + np.arange(len(flat))
    blocks = [Block(own[dense[group[dense] == g]][:, None], np.array([g], dtype=np.intp)) for g in range(len(names))]
    all_names, all_signals = list(names), [signals[name] for name in names]
    thetas: list[NDArray[np.intp]] = []
    for one in source.levels:
        thetas.append(len(all_names) + np.arange(len(one.parts)))
        all_names += [f"{one.name}:{part}" if part and len(one.parts) > 1 else one.name for part in one.parts]
        all_signals += one.signals(design.weights, design.n_obs).tolist()
    correlated = tuple([one.name for one in source.levels if len(one.parts) > 1])
    rhos = iter(range(len(all_names), len(all_names) + len(correlated)))  # correlations follow all lambdas
    for columns, theta in zip(places, thetas, strict=True):
        blocks.append(Block(columns, theta, next(rhos) if len(theta) > 1 else None))
    nothing: Any = None
    frame = LevelEngine(
        design, nothing, own, tuple(blocks), tuple(all_names), correlated, tuple(all_signals), n_dense
    )  # fmt: skip
    return replace(frame, sums=add_up(design, own, tuple(blocks), shape, frame))


def _places(levels: tuple[Levels, ...]) -> tuple[list[NDArray[np.intp]], tuple[int, int]]:
    """Where the engine has the effects of each block, (levels, parts), and the shape of the first block.

    That is the variable with most effects, all its blocks together: level by level, part by part.
    """
    alike = [[k for k, other in enumerate(levels) if _same(one, other)] for one in levels]
    first = max(alike, key=lambda group: sum(levels[k].n_columns for k in group))
    q, c = len(levels[first[0]].labels), sum(len(levels[k].parts) for k in first)
    found: list[NDArray[np.intp]] = [np.empty(0, dtype=np.intp)] * len(levels)
    offset, end = 0, q * c
    for k, one in enumerate(levels):
        parts = len(one.parts)
        if k in first:
            found[k] = np.arange(q)[:, None] * c + offset + np.arange(parts)
            offset += parts
        else:
            found[k] = (end + np.arange(one.n_columns)).reshape(-1, parts)
            end += one.n_columns
    return found, (q, c)


def _same(one: Levels, other: Levels) -> bool:
    return one.codes is other.codes or (one.labels == other.labels and np.array_equal(one.codes, other.codes))


def _check(block: Levels) -> None:
    if len(block.parts) > 2:
        raise DataError(
            f"{block.name} has {len(block.parts)} correlated effects a level, and two are what there is: state further "
            "slopes as independent, (x || g)"
        )
