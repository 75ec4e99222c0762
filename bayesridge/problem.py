"""From a table, a formula and weights to a design: a problem that is read, of which a posterior can be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.accumulate import accumulate, is_streamed
from bayesridge.design.design import Block, Design, build_design
from bayesridge.design.levels import Levels, level_rows
from bayesridge.design.sparse_rows import SparseRows, sparse_rows
from bayesridge.design.statistics import Statistics, Triangle
from bayesridge.design.wide_rows import LARGE, WideRows
from bayesridge.errors import DataError
from bayesridge.linalg.spectrum import trouble_of_moments
from bayesridge.persistence import Table
from bayesridge.tables.alignment import by_name
from bayesridge.tables.blocks import Blocks, Coded, with_gaps
from bayesridge.tables.columns import Columns, is_pandas, listed, unnamed
from bayesridge.tables.formula import FormulaSpec, fit_expression, text_groups
from bayesridge.tables.frames import (
    check_shape,
    frame_names,
    is_sparse,
    read_columns,
    read_target,
    read_vector,
    without_columns,
)
from bayesridge.tables.missing import complete_rows
from bayesridge.tables.terms import one_offset
from bayesridge.tables.weights import Weighting, as_counts, read_weights

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A design together with how its columns came from the table (None for plain columns), and what counts ask for.

    Attributes
    ----------
    groups : dict of str to tuple of str, or None
        Columns (or terms) with penalties of their own; the effects of levels, among the rows of the design, not among
        them. None where all columns share one.
    """

    design: Design
    columns: Columns
    spec: FormulaSpec | None
    offset: Array | None = None
    trials: Array | None = None
    offset_spec: FormulaSpec | None = None
    groups: Mapping[str, str | Sequence[str]] | None = None


def source_table(X: Any, problem: Problem) -> Table:
    """Describe the table that a problem was read from."""
    if problem.spec is not None:
        names = problem.spec.variables if isinstance(X, Statistics) or is_streamed(X) else frame_names(X) or ()
        return Table(names, len(names), problem.spec, problem.offset_spec)
    columns = problem.columns
    return Table(columns.names if columns.named else None, len(columns.names), None, problem.offset_spec)


def read_problem(
    X: Any,
    y: Any = None,
    *,
    formula: str | None = None,
    weights: Any = None,
    weight_kind: Weighting = "frequency",
    fit_intercept: bool = True,
    scale: bool | Any = True,
    unpenalized: Sequence[str | int] = (),
    missing: Literal["error", "drop"] = "error",
    offset: Any = None,
    trials: Any = None,
    groups: Mapping[str, str | Sequence[str]] | None = None,
    family: object = "gaussian",
) -> Problem:
    """Read a table, a formula and weights into a design. Parameters as for :func:`bayesridge.posterior`."""
    make_sums = partial(
        _added_up, weight_kind=weight_kind, fit_intercept=fit_intercept, scale=scale, unpenalized=unpenalized,
        groups=groups,
    )  # fmt: skip
    if isinstance(X, Statistics):
        asked = {"y": y, "formula": formula, "weights": weights, "offset": offset, "trials": trials}
        if given := [name for name, value in asked.items() if value is not None]:
            raise DataError(f"statistics hold the rows added up already: leave out {', '.join(given)}")
        return make_sums(X)
    if is_streamed(X):
        if family != "gaussian" or trials is not None:
            raise DataError("rows in batches have Gaussian noise: leave family and trials out")
        formula, offset = one_offset(formula, offset)
        add = partial(accumulate, X, y, weights=weights, formula=formula, offset=offset, missing=missing)
        problem = make_sums(add())
        return make_sums(add(kind=Triangle)) if trouble_of_moments(problem.design) else problem
    if is_sparse(X) or _is_wide(X):
        if formula is not None or isinstance(offset, str):
            raise DataError("an array, dense or sparse, has no names that a formula could use: leave the formula out")
        problem = _as_it_is(X, y, weights, weight_kind, fit_intercept, scale, unpenalized, missing)
        n = problem.design.n_rows
        shift, counts = (_beside(one, n, None, what) for one, what in ((offset, "offset"), (trials, "trials")))
        if shift is not None and family == "gaussian":
            raise DataError("an offset of a Gaussian target is subtracted from it: subtract it from y for such a table")
        return replace(problem, offset=shift, trials=counts, groups=groups)
    read = _read_table(X, y, formula, weights, offset, groups, missing, subtract=family == "gaussian")
    return _of_table(read, weight_kind, fit_intercept, scale, unpenalized, trials, groups)


class _Read(NamedTuple):
    """What was read of a table in memory; arrays are of the rows that are used, the offset of all rows.

    `blocks` and `coded` are the smooths and the level effects of its formula, `renamed` its groups of text columns,
    `shifted` whether the offset is taken off the target.
    """

    columns: Columns
    y: Array
    target_name: str
    weights: Array | None
    kept: NDArray[np.bool_] | None
    spec: FormulaSpec | None
    blocks: Blocks
    coded: tuple[Coded, ...]
    renamed: Mapping[str, str]
    offset: Any
    offset_spec: FormulaSpec | None
    shifted: bool


def _read_table(
    X: Any, y: Any, formula: str | None, weights: Any, offset: Any, groups: Mapping[str, str | Sequence[str]] | None,
    missing: Literal["error", "drop"], *, subtract: bool,
) -> _Read:  # fmt: skip
    """Read columns, target and weights; an offset is subtracted from the target, or stays beside it."""
    spec: FormulaSpec | None = None
    target_name: str | None = None
    blocks, coded = Blocks(), tuple[Coded, ...]()
    formula, offset = one_offset(formula, offset)
    within = offset if isinstance(offset, str) else "offset"
    X, offset, offset_spec = _expression(X, offset, formula)
    formula, renamed = text_groups(X, formula, groups)
    if formula is not None:
        made = FormulaSpec.fit(formula, X, renamed)
        spec, columns, blocks, coded = made.spec, made.columns, made.spec.blocks, made.levels
        if made.y is not None and y is not None:
            raise DataError(f"the formula {formula!r} names a target and y was passed too: leave one out")
        y, target_name = (made.y, made.target_name) if made.y is not None else (y, None)
    else:
        columns = read_columns(X)
    target, found = read_target(y, len(columns.values))
    target_name = target_name or found or "y"
    shifted = offset is not None and subtract
    if shifted:
        target = target - np.asarray(_beside(offset, len(target), None, "offset"))
        target_name = f"{target_name} - {within}"
    w = read_weights(weights, len(target), allow_missing=missing == "drop")
    kept = None
    if missing != "error" or any(one.missing.any() for one in coded):
        # otherwise the design finds missing values while it adds up; levels are not numbers that do
        complete = complete_rows(with_gaps(columns, coded), target, w, missing=missing, target_name=target_name)
        kept = complete.kept
        if kept is not None:
            columns = replace(columns, values=columns.values[kept])
        target, w = complete.y, complete.weights
    return _Read(columns, target, target_name, w, kept, spec, blocks, coded, renamed, offset, offset_spec, shifted)


def _of_table(
    read: _Read, weight_kind: Weighting, fit_intercept: bool, scale: Any, unpenalized: Sequence[str | int], trials: Any,
    groups: Mapping[str, str | Sequence[str]] | None,
) -> Problem:  # fmt: skip
    """The problem of a table that was read: its columns, level effects and groups in a design."""
    columns, blocks, kept = read.columns, read.blocks, read.kept
    levels = tuple([_levels(one, kept) for one in read.coded])
    names = (*columns.names, *[name for block in levels for name in block.names])
    own = {name: members for name, members in (groups or {}).items() if name not in read.renamed.values()}
    together = None if groups is None and not blocks else {**blocks.groups, **own}
    if blocks and (others := _without_penalty(columns, together or {}, unpenalized)):
        if read.renamed:
            raise DataError(f"columns {listed(others)} are in no group: add them to one, or to unpenalized")
        unpenalized = [*unpenalized, *others]
    design = build_design(
        level_rows(columns.values, levels), read.y, names=names, target_name=read.target_name,
        weights=as_counts(read.weights, weight_kind),
        weight_kind="precision" if weight_kind == "precision" else "frequency", survey=weight_kind == "survey",
        fit_intercept=fit_intercept and (read.spec is None or read.spec.has_intercept),
        scale=_with_ones(_divisors(scale, columns.names), columns, len(names)),
        unpenalized=unpenalized, terms=columns.terms, kept=kept, shifted=read.shifted,
        unscaled=[*blocks.unscaled, *range(len(columns.names), len(names))],
        blocks=_blocks(blocks, levels, names),
    )  # fmt: skip
    for one in levels:
        refuse_unidentified(one, design)
    beside = ((read.offset, "offset"), (trials, "trials"))
    shift, counts = (_beside(one, design.n_rows, kept, what) for one, what in beside)
    return Problem(design, columns, read.spec, shift, counts, read.offset_spec, together)


def _blocks(blocks: Blocks, levels: tuple[Levels, ...], names: tuple[str, ...]) -> tuple[Block, ...]:
    """Where the columns of smooths and of levels lie."""
    found = [Block(one.term.name, "smooth", names.index(one.names[0]), len(one.names)) for one in blocks.smooths]
    first = len(names) - sum(one.n_columns for one in levels)
    for one in levels:
        found.append(Block(one.name, "levels", first, one.n_columns, len(one.parts)))
        first += one.n_columns
    return tuple(found)


def _levels(coded: Coded, kept: NDArray[np.bool_] | None) -> Levels:
    rows = slice(None) if kept is None else kept
    values = None if coded.values is None else coded.values[rows]
    return Levels(coded.name, coded.codes[rows], coded.labels, values, coded.parts)


def _without_penalty(
    columns: Columns, groups: Mapping[str, str | Sequence[str]], unpenalized: Sequence[str | int]
) -> list[str]:
    """Beside terms with penalties of their own, all other columns are fixed effects, as in any mixed model."""
    named = [name for one in groups.values() for name in ([one] if isinstance(one, str) else one)]
    taken = {name for one in named for name in columns.terms.get(one, (one,))} | set(map(str, unpenalized))
    return [name for name in columns.names if name not in taken]


_LARGEST_SLOPE = 1e100  # its square, over that of y, times a penalty


def refuse_unidentified(levels: Levels, design: Design) -> None:
    """Refuse effects of which the data can say nothing: of one level, or of a level for each row."""
    w = np.ones(design.n_rows) if design.weights is None else design.weights
    rows = np.bincount(levels.codes, w > 0, len(levels.labels))[:-1]  # the last label is that of new levels
    counts = rows if design.weight_kind == "precision" else np.bincount(levels.codes, w, len(levels.labels))[:-1]
    if (rows > 0).sum() < 2:
        raise DataError(f"{levels.name} has one level in these rows: the spread of its effects cannot be known")
    if levels.columns is not None and not np.abs(levels.columns).max() < _LARGEST_SLOPE:
        raise DataError(
            f"what varies by {levels.name} is as large as {np.abs(levels.columns).max():.1e}: squares leave float64; "
            "multiply the column by a power of ten"
        )
    alone = levels.columns is None or (len(levels.parts) > 1 and "" in levels.parts)
    if alone and counts.max() <= 1 and (design.weights is None or np.ptp(w[w > 0]) == 0):
        raise DataError(
            f"every level of {levels.name} has one row: the spread of its effects is not identified, it cannot be told "
            "from the noise; leave the term out"
        )


def _with_ones(scale: bool | Array, columns: Columns, p: int) -> bool | Array:
    """Divisors that were given for the table's own columns: effects of levels have none."""
    given = not isinstance(scale, bool) and scale.shape == (len(columns.names),)
    return np.append(scale, np.ones(p - len(columns.names))) if given else scale


def _divisors(scale: Any, names: Sequence[str] = ()) -> bool | Array:
    if is_pandas(scale, "Series") and len(names):
        scale = by_name(scale.to_frame().T, names)[0]
    return bool(scale) if isinstance(scale, (bool, np.bool_)) else np.asarray(scale, dtype=np.float64)


def _is_wide(X: Any) -> bool:
    """Whether a table is one of float32 that is too large to be copied to float64 for no need."""
    return isinstance(X, np.ndarray) and X.dtype == np.float32 and X.ndim == 2 and LARGE < X.size <= X.shape[1] ** 2


def _as_it_is(
    X: Any, y: Any, weights: Any, weight_kind: Weighting, fit_intercept: bool, scale: Any,
    unpenalized: Sequence[str | int], missing: str,
) -> Problem:  # fmt: skip
    """The problem of a table that no copy is made of: a sparse one, or a wide one of float32."""
    if missing != "error":
        raise DataError("rows of such a table are not dropped: remove those with missing values, missing='error'")
    source: SparseRows | WideRows = sparse_rows(X) if is_sparse(X) else WideRows(X)
    check_shape(source.shape, 2)
    target, name = read_target(y, source.shape[0])
    w = as_counts(read_weights(weights, len(target)), weight_kind)
    names, terms = unnamed(source.shape[1])
    nothing = Columns(np.empty((len(target), 0)), (), False, {})
    complete_rows(nothing, target, w, target_name=name)
    design = build_design(
        source, target, names=names, target_name=name or "y", weights=w,
        weight_kind="precision" if weight_kind == "precision" else "frequency", survey=weight_kind == "survey",
        fit_intercept=fit_intercept, scale=_divisors(scale), unpenalized=unpenalized,
    )  # fmt: skip
    absent: Any = source
    return Problem(design, Columns(absent, names, False, terms), None)


def _added_up(
    of: Statistics, weight_kind: Weighting, fit_intercept: bool, scale: Any, unpenalized: Sequence[str | int],
    groups: Mapping[str, str | Sequence[str]] | None,
) -> Problem:  # fmt: skip
    """The problem of rows that were added up."""
    fit_intercept = fit_intercept and (of.spec is None or of.spec.has_intercept)
    blocks = Blocks() if of.spec is None else of.spec.blocks
    nothing: Any = None
    columns = Columns(nothing, of.names, of.named, of.terms)
    if blocks:
        groups = {**blocks.groups, **(groups or {})}
        unpenalized = [*unpenalized, *_without_penalty(columns, groups, unpenalized)]
    design = of.design(
        weight_kind=weight_kind, fit_intercept=fit_intercept, scale=_divisors(scale, of.names), unpenalized=unpenalized
    )
    design = replace(design, blocks=_blocks(blocks, (), of.names))
    absent: Any = design.source
    return Problem(design, replace(columns, values=absent), of.spec, offset_spec=of.offset, groups=groups)


def _expression(X: Any, offset: Any, formula: str | None) -> tuple[Any, Any, FormulaSpec | None]:
    """Evaluate an offset that is an expression; without a formula its columns are no predictors."""
    if not isinstance(offset, str):
        return X, offset, None
    made = fit_expression(offset, X, "offset")
    if formula is None:
        X = without_columns(X, made.spec.variables)
    return X, made.columns.values[:, 0], made.spec


def _beside(values: Any, n_rows: int, kept: NDArray[np.bool_] | None, what: str) -> Array | None:
    """Read a number for each row of the table that came in; return those of the rows that are used."""
    if values is None or np.ndim(values) == 0:
        return None if values is None else np.full(n_rows, float(values))
    column, _, shape = read_vector(values, f"the {what}")
    expected = n_rows if kept is None else len(kept)
    if shape != (expected,):
        raise DataError(f"{what} must have one number a row: shape ({expected},) expected, {shape} received")
    return column if kept is None else column[kept]
