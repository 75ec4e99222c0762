"""Rows added up, and thrown away: all that a posterior needs of them, from files, streams or a cluster.

``Moments`` are the weighted means and centred cross-products of ``[X, y]``; a ``Triangle`` is their root, for columns
too dependent for cross-products. Both add up: any order and batching gives the same posterior to rounding, and the same
batches in the same order the same bits. Neither depends on priors, on what weights mean, on scaling or on an intercept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bayesridge.atomic import write_atomically
from bayesridge.bundle import Bundle, pack, unpack
from bayesridge.design.absent import AbsentRows
from bayesridge.design.design import Design, State, build_design
from bayesridge.design.design_checks import WeightKind, explain_not_finite
from bayesridge.design.moments import CrossProducts, cross_products
from bayesridge.design.tally import Tally
from bayesridge.design.triangle import CrossRoot, cross_root
from bayesridge.errors import AccuracyWarning, DataError, ModelFileError, warn
from bayesridge.tables.columns import Columns, own_terms
from bayesridge.tables.formula import FormulaSpec
from bayesridge.tables.frames import read_columns, read_target
from bayesridge.tables.weights import Weighting, read_weights, warn_of_counts

Array = NDArray[np.float64]

_FORMAT = "bayesridge statistics"
_GONE = (
    "they were added up and not kept: use the table itself, or as many of its rows as fit into memory; leave-one-out "
    "reads files once more, loo_of_files(...)"
)
_UNEVEN = 1e8  # weights this far apart: their roots take four digits
_COARSE = 1e-8  # steps of a column's own float64 numbers, over its sd


Sums = CrossProducts | CrossRoot


class AddedRows(AbsentRows):
    """The rows of a design that knows their sums only."""

    def __init__(self, shape: tuple[int, ...], sums: CrossProducts) -> None:
        super().__init__(shape, _GONE)
        self.sums = sums

    def moments(self, _y: Any, _weights: Any, *, center: bool) -> CrossProducts:
        """Means and cross-products."""
        if center:
            return self.sums
        s = self.sums
        return CrossProducts(s.total_weight, np.zeros_like(s.mean), s.cross, np.zeros_like(s.mean))


@dataclass(frozen=True, eq=False, repr=False)
class Statistics:
    """Rows added up; see :class:`Moments` and :class:`Triangle`.

    Attributes
    ----------
    names, target_name : tuple of str, str
        Of the columns and of y.
    named : bool
        Whether the columns' names came from the data.
    sums : CrossProducts or CrossRoot
    tally : Tally
    spec, offset : FormulaSpec or None
        The formula that made the columns, and what was taken off the target.
    """

    names: tuple[str, ...]
    target_name: str
    named: bool
    sums: Any
    tally: Tally
    spec: FormulaSpec | None = None
    offset: FormulaSpec | None = None

    kind: ClassVar[str] = ""

    @classmethod
    def of(cls, X: Any, y: Any, weights: Any = None, *, missing: Literal["error", "drop"] = "error") -> Self:
        """Add up the rows of a table in memory.

        Parameters
        ----------
        X : array_like or data frame of shape (n, p)
            At least one row.
        y : array_like of shape (n,)
        weights : array_like of shape (n,), optional
            Not negative; what they mean is said where a posterior is made.
        missing : {"error", "drop"}
            What to do with rows that have missing values.

        Raises
        ------
        DataError
            For data that cannot be used, naming columns and rows.
        """
        columns = read_columns(X, min_rows=1)
        target, name = read_target(y, len(columns.values))
        w = read_weights(weights, len(target), allow_missing=True, allow_zero=True)
        return cls.of_columns(columns, target, w, missing=missing, target_name=name or "y")

    @classmethod
    def of_columns(
        cls, columns: Columns, y: Array, weights: Array | None, *, missing: str, target_name: str,
        spec: FormulaSpec | None = None, offset: FormulaSpec | None = None,
    ) -> Self:  # fmt: skip
        """Add up rows that were read."""
        X, w, n_dropped = columns.values, weights, 0
        if missing == "drop":
            kept = ~(np.isnan(X).any(axis=1) | np.isnan(y))
            kept = kept if w is None else kept & ~np.isnan(w)
            if not kept.all():
                n_dropped = int(len(kept) - np.count_nonzero(kept))
                X, y, w = X[kept], y[kept], None if w is None else w[kept]
        elif missing != "error":
            raise DataError(f'missing must be "error" or "drop", not {missing!r}.')
        n = len(y)
        if w is not None and np.isnan(w).any():
            explain_not_finite(X, y, w, columns.names, target_name)
        if w is not None and not (w > 0).all():
            X, y, w = X[w > 0], y[w > 0], w[w > 0]
        if len(y):
            sums, low, high = cls._add_up(X, y, w), *_range(X, y)
            if not (np.isfinite(sums.mean).all() and np.isfinite(sums.cross.diagonal()).all()):
                explain_not_finite(X, y, w, columns.names, target_name)
        else:
            zero = np.zeros(X.shape[1] + 1)
            sums = cls._join(0.0, zero, np.zeros((len(zero), len(zero))), zero)
            low, high = zero + np.inf, zero - np.inf
        v = np.ones(len(y)) if w is None else w
        tally = Tally(
            n, len(y), n_dropped, float(np.add.reduce(v)), float(v @ v), float(np.log(v).sum()),
            float(v.min(initial=np.inf)), float(v.max(initial=0.0)), weights is not None,
            w is None or bool((w == np.rint(w)).all()), low, high,
        )  # fmt: skip
        return cls(columns.names, target_name, columns.named, sums, tally, spec, offset)

    @classmethod
    def _add_up(cls, X: Array, y: Array, weights: Array | None) -> Any:
        raise NotImplementedError

    @classmethod
    def _join(cls, total: float, mean: Array, products: Array, rest: Array) -> Any:
        raise NotImplementedError

    def update(self, X: Any, y: Any, weights: Any = None, *, missing: Literal["error", "drop"] = "error") -> Self:
        """Statistics with further rows; parameters as for :meth:`of`."""
        return self + type(self).of(X, y, weights, missing=missing)

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        if self.names != other.names:
            if len(self.names) != len(other.names):
                found = f"{len(self.names)} and {len(other.names)}"
                raise DataError(f"statistics add up over the same columns, and these are of {found}")
            one, two = next(pair for pair in zip(self.names, other.names, strict=True) if pair[0] != pair[1])
            raise DataError(
                f"statistics add up over the same columns in the same order, and where one has {one!r}, the other has "
                f"{two!r}"
            )
        if len({None if one.offset is None else one.offset.formula for one in (self, other)}) > 1:
            raise DataError(f"targets with another offset do not add up: {self.target_name!r}, {other.target_name!r}")
        return replace(self, sums=self.sums + other.sums, tally=self.tally + other.tally)

    def __radd__(self, other: object) -> Self:  # of sum(), which starts with 0
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __repr__(self) -> str:
        t = self.tally
        about = f"{t.n_rows} rows" + (f", weights of {t.weight:.6g} in all" if t.weighted else "")
        return f"{type(self).__name__}({about}, {len(self.names)} columns, target {self.target_name!r})"

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write them to a file, which :meth:`load` reads; an existing one is replaced when the new one is complete."""
        return write_atomically(path, pack(Bundle({"format": _FORMAT, **self.facts()}, self.arrays())))

    def facts(self) -> dict[str, Any]:
        """What JSON can say of them."""
        from bayesridge.tables.formula_state import formula_state

        return {
            "kind": self.kind, "names": list(self.names), "target_name": self.target_name, "named": self.named,
            "total_weight": self.sums.total_weight, "tally": self.tally.state()[0],
            **{name: None if one is None else formula_state(one) for name, one in
               (("formula", self.spec), ("offset", self.offset))},
        }  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Their numbers."""
        products = self.sums.root if isinstance(self.sums, CrossRoot) else self.sums.cross
        of_sums = {"mean": self.sums.mean, "rest": self.sums.rest, "products": products}
        return of_sums | self.tally.state()[1]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read statistics that were saved.

        Raises
        ------
        ModelFileError
            If the file is damaged, was altered, or holds something else.
        """
        found = unpack(path)
        if found.manifest.get("format") != _FORMAT or found.manifest.get("kind") not in _KINDS:
            raise ModelFileError(f"{path} does not hold statistics of rows")
        statistics = statistics_of_state((found.manifest, dict(found.arrays)))
        if not isinstance(statistics, cls):
            raise ModelFileError(f"{path} holds {type(statistics).__name__}, not {cls.__name__}")
        return statistics

    # -- designs -------------------------------------------------------------------------------------------------

    def design(
        self,
        *,
        weight_kind: Weighting = "frequency",
        fit_intercept: bool = True,
        scale: bool | Array = True,
        unpenalized: Sequence[str | int] = (),
    ) -> Design:
        """The design of the rows that were added up; parameters as for :func:`bayesridge.posterior`."""
        unscaled = [] if self.spec is None else self.spec.blocks.unscaled
        t, kind, tally, sums = self.tally, weight_kind, self.tally, self.sums
        if t.weighted:
            warn_of_counts(weight_kind, t.whole, t.weight, t.n_rows, t.n_seen)
        if t.weighted and weight_kind == "survey":
            # Kish: the weights add up to (sum w)^2 / sum w^2
            factor = t.weight / t.square
            products = sums.root * np.sqrt(factor) if isinstance(sums, CrossRoot) else sums.cross * factor
            sums = self._join(sums.total_weight * factor, sums.mean, products, sums.rest)
            tally, kind = replace(t, weight=t.weight * factor), "frequency"
        if not fit_intercept:
            sums = _about_zero(sums)
        shape = (t.n_rows, len(self.names))
        as_kind: WeightKind = "precision" if kind == "precision" else "frequency"
        rows: Any = AddedRows(shape, CrossProducts(sums.total_weight, sums.mean, sums.cross, sums.rest))
        absent: Any = AbsentRows(shape[:1], _GONE)
        self._warn_of_digits()
        return build_design(
            rows, absent, names=self.names, target_name=self.target_name, weights=absent if t.weighted else None,
            weight_kind=as_kind, fit_intercept=fit_intercept, scale=scale,
            unpenalized=unpenalized, unscaled=unscaled, terms=self.terms,
            survey=weight_kind == "survey", tally=tally, root=sums.root if isinstance(sums, CrossRoot) else None,
            shifted=self.offset is not None,
        )  # fmt: skip

    @property
    def terms(self) -> Mapping[str, tuple[str, ...]]:
        """Columns of each term."""
        return own_terms(self.names) if self.spec is None else self.spec.terms

    def _warn_of_digits(self) -> None:
        t = self.tally
        deviation = np.sqrt(np.maximum(self.sums.cross.diagonal(), 0.0) / max(t.weight, 1.0))
        largest = np.maximum(np.abs(t.low), np.abs(t.high))
        with np.errstate(invalid="ignore", divide="ignore"):
            steps = np.spacing(largest) / deviation
        coarse = (steps > _COARSE) & (t.high > t.low)
        if coarse.any():
            said = [f"{(*self.names, self.target_name)[j]} ({steps[j]:.0e})" for j in np.flatnonzero(coarse)[:5]]
            warn(
                f"values so large beside their spread are known in steps, in sds: {', '.join(said)}; subtract a round "
                "number from the column where the data are made",
                AccuracyWarning,
            )
        if t.weighted and t.most > _UNEVEN * t.least:
            warn(
                f"weights lie {t.most / t.least:.0e} apart: the rounding of heavy rows takes digits of the others, "
                "which cannot be bounded once rows are added up; use weights nearer to each other",
                AccuracyWarning,
            )


def _range(X: Array, y: Array) -> tuple[Array, Array]:
    return np.append(X.min(axis=0), y.min()), np.append(X.max(axis=0), y.max())


def _about_zero(sums: Sums) -> Sums:
    """Sums of a model without an intercept: products about zero instead of the mean."""
    mean, zero = sums.mean + sums.rest, np.zeros_like(sums.mean)
    if isinstance(sums, CrossRoot):
        return sums.about_zero()
    return CrossProducts(sums.total_weight, zero, sums.cross + sums.total_weight * np.multiply.outer(mean, mean), zero)


class Moments(Statistics):
    """Weighted means and centred cross-products of rows that were added up.

    ``Moments.of(X, y)``, ``moments.update(X, y)``, ``one + other``, ``sum(parts)``; ``posterior(moments)``. Columns of
    a condition number above 1e3 are refused there, with the advice to use :class:`Triangle`.
    """

    kind = "moments"

    @classmethod
    def _add_up(cls, X: Array, y: Array, weights: Array | None) -> CrossProducts:
        return cross_products(X, y, weights, center=True)

    @classmethod
    def _join(cls, total: float, mean: Array, products: Array, rest: Array) -> CrossProducts:
        return CrossProducts(total, mean, products, rest)


class Triangle(Statistics):
    """The triangle R of rows that were added up by QR decompositions, ``R'R`` their centred cross-products.

    As :class:`Moments`, at three to nine times the work, for columns that cross-products lose digits of.
    """

    kind = "triangle"

    @classmethod
    def _add_up(cls, X: Array, y: Array, weights: Array | None) -> CrossRoot:
        return cross_root(X, y, weights)

    @classmethod
    def _join(cls, total: float, mean: Array, products: Array, rest: Array) -> CrossRoot:
        return CrossRoot(total, mean, products, rest)


_KINDS: dict[str, type[Statistics]] = {one.kind: one for one in (Moments, Triangle)}


def statistics_of_state(state: State) -> Statistics:
    """Statistics of their facts and arrays.

    Raises
    ------
    ModelFileError
        If they do not fit together.
    """
    from bayesridge.tables.formula_state import formula_from_state

    facts, arrays = state
    of = _KINDS[facts["kind"]]
    k = len(facts["names"]) + 1
    vectors = [arrays[name].shape == (k,) for name in ("mean", "rest", "low", "high")]
    if not all(vectors) or arrays["products"].shape != (k, k) or not np.isfinite(arrays["products"]).all():
        raise ModelFileError("its arrays do not fit together")
    sums = of._join(float(facts["total_weight"]), arrays["mean"], arrays["products"], arrays["rest"])
    tally = Tally.from_state(facts["tally"], arrays)
    made = [None if facts[name] is None else formula_from_state(facts[name]) for name in ("formula", "offset")]
    return of(tuple(map(str, facts["names"])), facts["target_name"], bool(facts["named"]), sums, tally, *made)
