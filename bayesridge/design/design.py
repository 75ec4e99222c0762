"""The design: named columns, their weighted centres and scales, and which of them the prior penalises.

    y_i = b0 + x_i' beta + e_i,    e_i ~ N(0, sigma^2 / w_i)      (precision weights)
    a row with frequency weight w_i stands for w_i identical rows with e ~ N(0, sigma^2)

The intercept is one case of an unpenalised column (flat prior); ``unpenalized`` names further ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.absent import AbsentRows
from bayesridge.design.column_moments import column_moments, level_moments
from bayesridge.design.design_checks import (
    Scaling,
    WeightKind,
    check_grades,
    check_size,
    check_units,
    count_observations,
    divisors,
    explain_not_finite,
    named_columns,
    scaling_of,
    split_columns,
)
from bayesridge.design.levels import LAID_OUT, LevelRows
from bayesridge.design.row_source import ArrayRows, RowIndex, RowSource, row_source
from bayesridge.design.tally import Tally
from bayesridge.errors import ModelFileError

Array = NDArray[np.float64]
#: What a file holds of an object: facts that JSON can say, and arrays of numbers.
State = tuple[dict[str, Any], dict[str, NDArray[Any]]]

_EPS = float(np.finfo(np.float64).eps)
_FACTS = (
    "weight_kind", "fit_intercept", "names", "target_name", "y_mean", "scaling", "n_obs", "total_weight", "signal",
    "survey", "shifted", "blocks",
)  # fmt: skip
_ARRAYS = ("penalized", "unpenalized", "constant", "mean", "scale", "kept", "unscaled", "basis")
_ROW_ARRAYS = ("y", "weights", "cross")


class Block(NamedTuple):
    """Columns that one term of a formula made many of: ``kind`` is "levels" (the last without a row) or "smooth"."""

    name: str
    kind: str
    first: int
    size: int
    parts: int = 1  # correlated effects of a level

    @property
    def columns(self) -> NDArray[np.intp]:
        """Which columns of the design it is."""
        return np.arange(self.first, self.first + self.size)

    def labels(self, names: Sequence[str]) -> tuple[str, ...]:
        """The levels, from the names of all columns."""
        own = [names[j][len(self.name) + 1 :] for j in self.columns]
        return tuple([one[:-1] if k % self.parts == 0 else one.replace("]:", ": ") for k, one in enumerate(own)])


@dataclass(frozen=True, eq=False)
class Design:
    """A regression problem, centred and scaled in description, never in a copy.

    Attributes
    ----------
    source : RowSource
        The predictors as given.
    y : ndarray of shape (n_rows,)
        The target as given.
    weights : ndarray of shape (n_rows,) or None
        Row weights; None means one each.
    weight_kind : {"frequency", "precision"}
        What a weight means (see the module's text).
    fit_intercept : bool
        Whether the model has an intercept (flat prior) and columns are centred.
    names, target_name : tuple of str, str
        Column names, and the target's.
    penalized, unpenalized, constant : ndarray of int
        Column indices: with the Gaussian prior; with a flat prior; without spread, hence left out
        (their coefficients are exactly zero).
    mean, y_mean : ndarray of shape (p,), float
        Weighted means (zero without an intercept), in the units of the data.
    scale : ndarray of shape (p,)
        What each column is divided by: its weighted standard deviation (denominator: the sum of the weights;
        about zero when there is no intercept), one for penalised columns when scaling is off.
    scaling : {"unit sd", "given", "none"}
        Where the scales of penalised columns come from: computed from these rows (so another set of rows has others),
        given by the caller, or not used.
    n_obs : float
        Number of observations: rows with positive weight, or the sum of frequency weights.
    total_weight : float
        Sum of the weights.
    signal : float
        ``sum_j var(x_j / scale_j) * total_weight / n_obs`` over penalised columns, so that
        ``signal * tau^2 / sigma^2`` is the prior ratio of explained to noise variance (p for standardised
        columns and weights of mean one).
    cross : ndarray of shape (p + 1, p + 1) or None
        Centred cross-product of ``[X, y]`` in the units of the data, when there are more rows than columns.
    survey : bool
        Whether the weights came as survey weights, which were rescaled to count observations (for descriptions only).
    unscaled : ndarray of int or None
        Columns that stay as they are, and under their prior where they have no spread: a level without a row has the
        effect of a new one.
    shifted : bool
        Whether an offset was taken off the target, which predictions add.
    blocks : tuple of Block
        Effects of levels and bases of smooths among the columns.
    kept : ndarray of bool or None
        Which rows of the input were used, when some were dropped for missing values.
    tally : Tally or None
        What was counted of rows that were added up and are not kept.
    root : ndarray of shape (p + 1, p + 1) or None
        A triangle R with ``R'R = cross``, where the rows were added up to one.
    basis : ndarray of shape (p, p) or None
        What the penalty is of, where that is not the coefficients one by one: ``coef = basis @ u`` with u penalised
        alike, those of the unpenalised indices excepted. Columns are then as given, without an intercept.
    """

    source: RowSource
    y: Array
    weights: Array | None
    weight_kind: WeightKind
    fit_intercept: bool
    names: tuple[str, ...]
    target_name: str
    penalized: NDArray[np.intp]
    unpenalized: NDArray[np.intp]
    constant: NDArray[np.intp]
    mean: Array
    y_mean: float
    scale: Array
    scaling: Scaling
    n_obs: float
    total_weight: float
    signal: float
    cross: Array | None = field(repr=False)
    kept: NDArray[np.bool_] | None = None
    survey: bool = False
    tally: Tally | None = None
    root: Array | None = field(default=None, repr=False)
    unscaled: NDArray[np.intp] | None = None
    shifted: bool = False
    blocks: tuple[Block, ...] = ()
    basis: Array | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        """Arguments of the estimator that describe the same problem on plain columns."""
        return {
            "fit_intercept": self.fit_intercept,
            "scale": {"unit sd": True, "none": False, "given": self.scale}[self.scaling],
            "unpenalized": [self.names[j] for j in self.flat_columns], "weight_kind": self.weighting or "frequency",
        }  # fmt: skip

    def state(self, *, rows: bool) -> State:
        """What a file holds of it: the description, and the data themselves only if asked for."""
        facts = {name: getattr(self, name) for name in _FACTS}
        facts |= {"shape": [self.n_rows, self.n_columns], "weighted": self.weights is not None, "rows": rows}
        arrays = {name: getattr(self, name) for name in _ARRAYS + (("X", *_ROW_ARRAYS) if rows else ())}
        if self.tally is not None:
            facts["tally"], ends = self.tally.state()
            arrays |= ends
        return facts, {name: values for name, values in arrays.items() if values is not None}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Design:
        """Make a design of its state.

        Raises
        ------
        ModelFileError
            If parts do not fit together.
        """
        shape = (int(facts["shape"][0]), int(facts["shape"][1]))
        absent = AbsentRows(shape[:1])
        data: dict[str, Any] = {name: facts[name] for name in _FACTS} | {name: arrays.get(name) for name in _ARRAYS}
        if facts["rows"]:
            data |= {"source": ArrayRows(arrays["X"]), "y": arrays["y"], "cross": arrays.get("cross")}
        else:
            data |= {"source": AbsentRows(shape), "y": absent, "cross": None}
        data["tally"] = Tally.from_state(facts["tally"], arrays) if facts.get("tally") else None
        data["weights"] = None if not facts["weighted"] else arrays["weights"] if facts["rows"] else absent
        design = cls(**{**data, "names": tuple(map(str, facts["names"]))})
        design = replace(design, blocks=tuple([Block(*one) for one in facts["blocks"]]))
        columns = np.concatenate([design.penalized, design.unpenalized, design.constant])
        fitting = [
            len(design.names) == shape[1], design.source.shape == shape, design.y.shape == shape[:1],
            design.weights is None or design.weights.shape == shape[:1],
            design.tally is None or design.tally.fits(shape),
            design.mean.shape == design.scale.shape == shape[1:], sorted(columns.tolist()) == list(range(shape[1])),
            np.isfinite([design.mean, design.scale]).all(), (design.scale > 0).all(), np.isfinite(design.y_mean),
            design.basis is None or (design.basis.shape == shape[1:] * 2 and np.isfinite(design.basis).all()),
            all(np.isfinite(arrays[name]).all() for name in ("X", *_ROW_ARRAYS) if name in arrays),
        ]  # fmt: skip
        if not all(fitting):
            raise ModelFileError("its arrays do not fit together")
        return design

    @property
    def X(self) -> Array:  # noqa: N802
        """The predictors as one array, in the units of the data: for what needs all of them at once."""
        return self.source.take(slice(None))

    @property
    def n_rows(self) -> int:
        """Number of rows of the table."""
        return self.source.shape[0]

    @property
    def has_rows(self) -> bool:
        """Whether the rows are there: a model may have been saved without them."""
        return not isinstance(self.source, AbsentRows)

    @property
    def n_columns(self) -> int:
        """Number p of columns of the table, whatever becomes of them."""
        return self.source.shape[1]

    @property
    def flat_columns(self) -> NDArray[np.intp]:
        """Columns that are not penalised: none, where it is combinations of columns that are not."""
        return self.unpenalized if self.basis is None else self.unpenalized[:0]

    @property
    def directions(self) -> tuple[str, ...]:
        """Names of what the penalty is of: the columns, or combinations of them."""
        return self.names if self.basis is None else tuple([f"direction {k}" for k in range(self.n_columns)])

    def coordinates(self, coef: Array) -> Array:
        """Coefficients, (..., p), in the units of the prior: scaled columns, or directions."""
        if self.basis is None:
            return coef * self.scale
        return np.linalg.solve(self.basis, coef.reshape(-1, self.n_columns).T).T.reshape(coef.shape)

    def coefficients(self, coordinates: Array) -> Array:
        """Coefficients of the columns as given, the inverse of :meth:`coordinates`."""
        return coordinates / self.scale if self.basis is None else coordinates @ self.basis.T

    @property
    def n_flat(self) -> int:
        """Number q of flat directions: the intercept and the unpenalised columns."""
        return int(self.fit_intercept) + len(self.unpenalized)

    @property
    def nu(self) -> float:
        """Residual degrees of freedom ``n_obs - q`` once the flat directions are integrated out."""
        return self.n_obs - self.n_flat

    @property
    def input_rows(self) -> NDArray[np.intp]:
        """Where each row stood in the input, counted from 0 (rows with missing values may have been dropped)."""
        return np.arange(self.n_rows) if self.kept is None else np.flatnonzero(self.kept)

    @property
    def n_dropped(self) -> int:
        """Rows dropped for missing values."""
        if self.tally is not None:
            return self.tally.n_dropped
        return 0 if self.kept is None else int(len(self.kept) - np.count_nonzero(self.kept))

    @property
    def n_seen(self) -> int:
        """Rows of positive weight."""
        if self.tally is not None:
            return self.tally.n_seen
        return self.n_rows if self.weights is None else int(np.count_nonzero(self.weights))

    @property
    def largest_target(self) -> float:
        """Largest absolute value of y."""
        if self.tally is not None:
            return float(max(abs(self.tally.low[-1]), abs(self.tally.high[-1])))
        return float(np.abs(self.y).max())

    @property
    def sum_log_weights(self) -> float:
        """Sum of the logarithms of positive precision weights; zero for weights that count observations."""
        if self.weights is None or self.weight_kind != "precision":
            return 0.0
        if self.tally is not None:
            return self.tally.log_weights
        return float(np.log(self.weights[self.weights > 0]).sum())

    def part(self, X: Array, y: Array, weights: Array | None) -> Design:
        """Some rows by themselves, in the problem of all: its means, scales and counts."""
        tally = self.tally
        if tally is None:
            none, weighted = float("nan"), self.weights is not None
            largest = np.array([self.largest_target if self.has_rows else none])
            counts = (self.n_rows, self.n_seen if self.has_rows else self.n_rows, self.n_dropped)
            tally = Tally(*counts, self.total_weight, none, none, none, none, weighted, False, largest, largest)
        return replace(self, source=ArrayRows(X), y=y, weights=weights, cross=None, root=None, tally=tally)

    def standardize(self, X: Array, columns: NDArray[np.intp] | slice) -> Array:
        """Return ``(X - mean) / scale`` for the given columns, shape (rows, number of columns)."""
        if self.basis is not None:
            return np.asarray(X @ self.basis[:, columns])
        centred = X[:, columns] - self.mean[columns]
        centred *= 1.0 / self.scale[columns]
        return centred

    def standardized(self, rows: RowIndex | None, columns: NDArray[np.intp] | slice) -> Array:
        """Some rows (all with None) of some columns, ``(X - mean) / scale``."""
        if rows is not None or self.basis is not None:
            return self.standardize(self.source.take(slice(None) if rows is None else rows), columns)
        mean = self.mean[columns]
        out = np.empty((self.n_rows, len(mean)))
        for part in self.source.blocks() if len(mean) else ():
            np.subtract(self.source.take(part)[:, columns], mean, out=out[part])
            out[part] *= 1.0 / self.scale[columns]
        return out

    @property
    def weighting(self) -> str | None:
        """What the weights were given as; None without weights."""
        return None if self.weights is None else "survey" if self.survey else self.weight_kind

    def root_weights(self) -> Array | None:
        """Square roots of the weights, or None when there are none."""
        return None if self.weights is None else np.sqrt(self.weights)


def build_design(
    X: Array | RowSource,
    y: Array,
    *,
    names: Sequence[str] | None = None,
    target_name: str = "y",
    weights: Array | None = None,
    weight_kind: WeightKind = "frequency",
    fit_intercept: bool = True,
    scale: bool | Array = True,
    unpenalized: Sequence[str | int] = (),
    unscaled: Sequence[str | int] = (),
    terms: Mapping[str, Sequence[str]] | None = None,
    kept: NDArray[np.bool_] | None = None,
    survey: bool = False,
    tally: Tally | None = None,
    root: Array | None = None,
    shifted: bool = False,
    blocks: tuple[Block, ...] = (),
) -> Design:
    """Describe a regression problem: centres, scales, flat and penalised columns.

    Parameters
    ----------
    X : ndarray of shape (n, p), or RowSource
    y : ndarray of shape (n,)
        Numeric data (see :mod:`bayesridge.tables.frames` for how tables become arrays).
    names : sequence of str, optional
        Column names; ``x0, x1, ...`` if not given.
    target_name : str
        Name of the target in messages and tables.
    weights, weight_kind : ndarray of shape (n,) or None, {"frequency", "precision"}
        Row weights and their meaning.
    fit_intercept : bool
        Whether to include an intercept.
    scale : bool or ndarray of shape (p,)
        True divides penalised columns by their weighted standard deviation, False leaves them; an array
        gives the divisors (positive).
    unpenalized : sequence of str or int
        Names (columns or terms) or indices of columns with a flat prior.
    unscaled : sequence of str or int
        Names or indices of columns that stay as they are whatever `scale` says: level effects, bases of smooths.
    terms : mapping, optional
        Term name to column names, from a formula.
    kept : ndarray of bool, optional
        Rows of the caller's table that `X` holds.
    tally, root : Tally or None, ndarray or None
        Of rows that were added up: see :class:`Design`.
    survey, shifted : bool
        Whether the frequency weights are survey weights, rescaled; whether an offset was taken off `y`.
    blocks : tuple of Block
        Effects of levels and bases of smooths among the columns.

    Returns
    -------
    Design

    Raises
    ------
    DataError
        If there are fewer than two observations, too few for the flat columns, NaN or infinite values, units whose
        squares are no float64, unknown or constant unpenalised columns, impossible scales, or unscaled columns so
        unequal that rounding takes the smallest.

    Warns
    -----
    AccuracyWarning
        If unscaled columns are so unequal that digits of the small ones are lost.
    """
    source = row_source(X)
    n, p = source.shape
    columns = tuple(names) if names is not None else _default_names(p)
    flat = named_columns(unpenalized, columns, terms or {}, "unpenalized")
    as_given = named_columns(unscaled, columns, terms or {}, "unscaled")
    n_obs = count_observations(n, weights, weight_kind, tally)
    check_size(n_obs, int(fit_intercept) + len(flat))
    total, mean, squares, cross = _moments(source, y, weights, center=fit_intercept, added_up=tally is not None)
    # they prove finiteness for free; only if they are not finite is the table searched
    if not np.isfinite(squares).all():
        explain_not_finite(source.take(slice(None)), y, weights, columns, target_name)
    deviation = np.sqrt(np.maximum(squares, 0.0) / total)  # rounding may leave less than nothing of a constant
    constant_mask = deviation[:p] <= 4.0 * _EPS * np.abs(mean[:p])
    if isinstance(source, LevelRows):
        deviation[source.unscaled] = 1.0
        as_given = np.union1d(as_given, source.unscaled)
    if len(as_given):
        constant_mask[as_given] = False  # a level that no row has has its prior
    check_units(source, y, weights, deviation, constant_mask, (*columns, target_name), tally)
    divisor = divisors(scale, deviation[:p], constant_mask, flat, columns)
    if len(as_given):
        divisor[np.setdiff1d(as_given, flat)] = 1.0
    penalized, constant = split_columns(p, flat, constant_mask, columns, fit_intercept)
    spread = squares[penalized] / divisor[penalized] ** 2
    scaling = "given" if len(as_given) else scaling_of(scale)
    if scaling_of(scale) != "unit sd" and not isinstance(source, LevelRows):
        # a spline function that hardly a row touches has its prior: no number hangs on its digits
        seen = (spread > 0) & ~np.isin(penalized, as_given)
        if seen.any():
            check_grades(np.sqrt(spread[seen]), [columns[j] for j in penalized[seen]], source.shape)
    return Design(
        source=source, y=y, weights=weights, weight_kind=weight_kind, fit_intercept=fit_intercept, names=columns,
        target_name=target_name, penalized=penalized, unpenalized=flat, constant=constant, mean=mean[:p],
        y_mean=float(mean[p]), scale=divisor, scaling=scaling, n_obs=n_obs, total_weight=total,
        signal=float(np.add.reduce(spread)) / n_obs, cross=cross, kept=kept, survey=survey,
        tally=tally, root=root,
        unscaled=as_given if len(as_given) else None, shifted=shifted, blocks=blocks,
    )  # fmt: skip


def _moments(
    source: RowSource, y: Array, weights: Array | None, *, center: bool, added_up: bool
) -> tuple[float, Array, Array, Array | None]:
    """Sum of the weights; means and sums of squares of ``[X, y]``, (p + 1,), and cross-products of tall tables."""
    n, p = source.shape
    if isinstance(source, LevelRows) and n * p > LAID_OUT:
        return *level_moments(source, y, weights, center=center), None
    if n > p or added_up:
        moments = source.moments(y, weights, center=center)
        return moments.total_weight, moments.mean, moments.cross.diagonal(), moments.cross
    return *column_moments(source, y, weights, center=center), None


def in_directions(
    X: Array, y: Array, basis: Array, n_flat: int, *, names: Sequence[str], target_name: str = "y",
    weights: Array | None = None,
) -> Design:  # fmt: skip
    """Describe ``y = X basis u + e`` with a penalty on u, its last `n_flat` excepted: finite numbers, no intercept."""
    p = X.shape[1]
    n_obs = count_observations(len(y), weights, "precision", None)
    check_size(n_obs, n_flat)
    total = float(len(y) if weights is None else weights.sum())
    columns = X @ basis if weights is None else np.sqrt(weights)[:, None] * (X @ basis)
    rest, flat = columns[:, : p - n_flat], columns[:, p - n_flat :]
    rest = rest - flat @ np.linalg.lstsq(flat, rest)[0] if n_flat else rest  # what the penalised part alone explains
    return Design(
        source=ArrayRows(X), y=y, weights=weights, weight_kind="precision", fit_intercept=False, names=tuple(names),
        target_name=target_name, penalized=np.arange(p - n_flat), unpenalized=np.arange(p - n_flat, p),
        constant=np.empty(0, dtype=np.intp), mean=np.zeros(p), y_mean=0.0, scale=np.ones(p), scaling="none",
        n_obs=n_obs, total_weight=total, signal=float(np.square(rest).sum()) / n_obs, cross=None, basis=basis,
    )  # fmt: skip


def some_rows(design: Design, rows: RowIndex, y: Array | None = None, weights: Array | None = None) -> Design:
    """Some of the rows, centred and scaled by themselves (divisors that were given, and directions, stay).

    Parameters
    ----------
    y, weights : ndarray, optional
        Of these rows; their own if left out.
    """
    X, y = design.source.take(rows), design.y[rows] if y is None else y
    if weights is None and design.weights is not None:
        weights = design.weights[rows]
    if design.basis is not None:
        n_flat = len(design.unpenalized)
        return in_directions(
            X, y, design.basis, n_flat, names=design.names, target_name=design.target_name, weights=weights
        )
    return build_design(
        X, y, names=design.names, target_name=design.target_name, weights=weights, weight_kind=design.weight_kind,
        fit_intercept=design.fit_intercept, scale={"unit sd": True, "none": False}.get(design.scaling, design.scale),
        unpenalized=[int(j) for j in design.unpenalized],
        unscaled=() if design.unscaled is None else design.unscaled.tolist(),
    )  # fmt: skip


def _default_names(p: int) -> tuple[str, ...]:
    return tuple([f"x{j}" for j in range(p)])
