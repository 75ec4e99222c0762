"""Rows of a table in files as numbers: columns as they are, or a formula.

Its categories, and the ranges of smooths, are found in a pass of their own; what is to be taken off the columns of a
smooth (see :mod:`bayesridge.tables.smooth`) in another, by its products with the straight line.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesridge.errors import DataError, FormulaError
from bayesridge.tables.batches import Batch, FileTable, as_pandas, wanted_column
from bayesridge.tables.blocks import Blocks, numbers
from bayesridge.tables.columns import Columns, Float, quoted_list, visible
from bayesridge.tables.formula import FormulaSpec, fit_expression
from bayesridge.tables.formula_columns import is_missing
from bayesridge.tables.frames import read_columns, read_target
from bayesridge.tables.grammar import CALLS
from bayesridge.tables.smooth import Spline
from bayesridge.tables.specials import Effects, Smooth, variables_of
from bayesridge.tables.terms import parse_formula
from bayesridge.tables.weights import read_weights

if TYPE_CHECKING:
    import pandas as pd

_LEARNT_ROWS = 100  # of the first batch, beside a row for each category
_MOST_CATEGORIES = 20_000  # in a column: p x p cross-products of more do not fit
_VALUES = 3  # different ones, that a smooth needs
_BOUNDS = {"knots", "lower_bound", "upper_bound"}  # a spline of which these are said learns nothing


@dataclass(frozen=True, eq=False)
class Rows:
    """How batches become numbers.

    Attributes
    ----------
    needed : tuple of str
        Columns of the files.
    predictors : tuple of str
        Those that are columns of X, or that the formula reads.
    target : str
        Column, or left side of the formula.
    weights : str or None
    formula : str or None
    spec, left, offset : FormulaSpec or None
        Make X of a formula, the target where the formula names it, and what is taken off the target.
    """

    needed: tuple[str, ...]
    predictors: tuple[str, ...]
    target: str
    weights: str | None
    formula: str | None = None
    spec: FormulaSpec | None = None
    left: FormulaSpec | None = None
    offset: FormulaSpec | None = None

    def __call__(self, batch: Batch) -> tuple[Columns, Float, Float | None]:
        """Predictors, target and weights of a batch, missing values as NaN."""
        w = None
        if self.weights is not None:
            w = read_weights(batch.table.column(self.weights), len(batch.table), allow_missing=True, allow_zero=True)
        if self.left is not None:
            y = self.left.transform(as_pandas(batch)).values[:, 0]
        else:
            y = read_target(batch.table.column(self.target), len(batch.table))[0]
        if self.offset is not None:
            y = y - self.offset.transform(as_pandas(batch)).values[:, 0]
        return self.columns(batch), y, w

    @property
    def target_name(self) -> str:
        """What the target is called: the column, or expression, less an offset."""
        return self.target if self.offset is None else f"{self.target} - {self.offset.formula[len('0 + {') : -1]}"

    @property
    def width(self) -> int:
        """Numbers in a row, of the files or of what is made of them."""
        return max(len(self.needed), 0 if self.spec is None else len(self.spec.names))

    def columns(self, batch: Batch) -> Columns:
        """Predictors alone."""
        if self.spec is None:
            return read_columns(batch.table.select(list(self.predictors)), min_rows=1)
        frame = as_pandas(batch)
        if not self.spec.blocks:
            return self.spec.transform(frame)
        complete = _complete(frame, self.spec.variables)
        values = np.full((len(frame), len(self.spec.names)), np.nan)
        if complete.any():
            values[complete] = self.spec.transform(frame[complete]).values
        return Columns(values, self.spec.names, True, self.spec.terms)


def row_reader(table: FileTable, y: Any, weights: Any, formula: str | None, offset: str | None = None) -> Rows:
    """Say which columns of files are what; with a formula, find the categories in a pass over the columns it reads.

    `offset`, a column or an expression of each row's columns, is taken off the target; its columns are no predictors
    unless a formula says so.

    Raises
    ------
    DataError
        If a column is not there, is no numbers, or the formula cannot be read or needs all rows at once.
    """
    for name, what in ((y, "y"), (weights, "weights"), (offset, "offset")):
        if name is not None and not isinstance(name, str):
            raise DataError(f"{what} must be the name of a column of the files, not {type(name).__name__}")
    if y is not None and y == weights:
        raise DataError(f"the column {y!r} cannot be the target and the weights")
    target, _, _ = (formula or "").partition("~")
    inside = formula is not None and "~" in formula
    if inside and y is not None and y != target.strip().strip("`"):
        raise DataError(f"the formula {formula!r} names a target and y was passed too: leave one out")
    if not inside and y is None:
        raise DataError(f"name the column of the target, y=...: the files have {quoted_list(table.names)}")
    own = [wanted_column(name, table, what) for name, what in ((weights, "weights"),) if name is not None]
    if not inside:
        own.append(wanted_column(y, table, "target"))
    shift = None if offset is None else fit_by_row(offset, table, "offset")
    beside = () if shift is None else shift.variables
    taken = {*own, *(beside if formula is None else ())}
    others = tuple(name for name in table.names if name not in taken)
    if not others:
        raise DataError("No column is left beside the target; the files have no other.")
    if formula is None:
        return Rows(tuple(dict.fromkeys((*others, *own, *beside))), others, y, weights, offset=shift)
    made = _with_formula(table, formula, others, None if inside else y, weights)
    return replace(made, needed=tuple(dict.fromkeys((*made.needed, *beside))), offset=shift)


def fit_by_row(expression: str, table: FileTable, what: str) -> FormulaSpec:
    """Read an expression of each row's own columns, as ``log(years)``, from some first rows.

    Raises
    ------
    DataError
        If it cannot be read, is not one column of numbers, or needs all rows at once.
    """
    uses = parse_formula(f"0 + {{{expression}}}", table.names).uses
    return fit_expression(expression, _learning_table(table, *_used(uses, table, expression)), what).spec


def _with_formula(table: FileTable, formula: str, names: tuple[str, ...], y: str | None, weights: str | None) -> Rows:
    parsed = parse_formula(formula, names)
    smooths = [one for one in parsed.specials if isinstance(one, Smooth) and one.by is None]
    if odd := [one.name for one in parsed.specials if one not in smooths]:
        kind = "effects of levels" if isinstance(parsed.specials[0], Effects) else "a curve for each level"
        raise FormulaError(
            f"The formula {formula!r} has {kind} ({quoted_list(odd)}), which need all rows in memory: files in batches "
            "take columns, functions of them, categories, s(x), ridge(...) and an offset; groups={...} are columns "
            "with a lambda of their own"
        )
    uses = {**parsed.uses, **{one.expression: variables_of(one) for one in smooths}}
    used, coded = _used(uses, table, formula)
    learnt = _learning_table(table, used, coded, [one.expression for one in smooths])
    learnt = learnt.reindex(columns=list(names))  # what a formula does not read, it may still name: . - x
    spec = FormulaSpec.fit(formula, learnt).spec
    if smooths:
        spec = replace(spec, blocks=_with_lines(table, used, spec.blocks))
    left = parsed.left
    made = None if left is None else fit_expression(formula.partition("~")[0].strip(), learnt, "target").spec
    beside = tuple(name for name in (y, weights) if name is not None)
    name = y if y is not None else str(left[0])
    return Rows(tuple(dict.fromkeys((*used, *beside))), used, name, weights, formula, spec, made)


def _used(uses: Mapping[str, Sequence[str]], table: FileTable, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that terms read, and those of them that become categories."""
    used = tuple(dict.fromkeys(name for one in uses.values() for name in one))
    if not used:
        raise FormulaError(f"{text!r} reads no column of the files")
    coded = [name for name in used if table.kinds[name] != "numbers"]
    for one in uses:
        coded += _refuse_or_coded(one, text, used)
    return used, tuple(dict.fromkeys(coded))


def _refuse_or_coded(term: str, formula: str, names: Sequence[str]) -> list[str]:
    """Return the columns that ``C(...)`` makes categories of; refuse what needs all rows at once."""
    try:
        tree = ast.parse(term.replace(":", "*").replace("`", ""), mode="eval")
    except SyntaxError:  # a column with an odd name
        return []
    coded = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        known = called == "bs" and {word.arg for word in node.keywords} >= _BOUNDS
        if (called in CALLS and CALLS[called].learns and not known) or called == "lag" or called.endswith(".shift"):
            raise FormulaError(
                f"The formula {formula!r} calls {called}(...), which needs all rows at once: files come in batches. "
                "Write its numbers instead, as in (x - 20) / 5"
            )
        if called == "C":
            coded += [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and one.id in names]
    return coded


def _learning_table(
    table: FileTable, used: tuple[str, ...], coded: tuple[str, ...], ranges: Sequence[str] = ()
) -> pd.DataFrame:
    """Some first rows, for each category a row that has it, and the ends of ranges: all that a formula here learns."""
    import pandas as pd

    parts: list[Any] = []
    seen: dict[str, set[Any]] = {name: set() for name in coded}
    order: dict[str, list[Any]] = {name: [] for name in coded if table.kinds[name] == "categories"}
    met: dict[str, Float] = {one: np.empty(0) for one in ranges}  # the two ends, and a third value
    for batch in table.batches(used):
        for name, known in order.items():
            for chunk in batch.table.column(name).chunks:
                known += [value for value in chunk.dictionary.to_pylist() if value not in known]
        fresh = {name: _fresh(batch, name, known) for name, known in seen.items()}
        if parts and not any(fresh.values()) and not met:
            continue
        frame = as_pandas(batch)
        complete = frame[_complete(frame, used)]
        rows = [] if parts else [complete.iloc[:_LEARNT_ROWS]]
        for name, values in fresh.items():
            found = complete[complete[name].isin(list(values))].drop_duplicates(name)
            seen[name] |= set(found[name])
            rows.append(found)
            if len(seen[name]) > _MOST_CATEGORIES:
                raise DataError(
                    f"'{name}' has more than {_MOST_CATEGORIES} different values: each would have a coefficient, and "
                    "their cross-products do not fit into memory; leave it out, or group its values"
                )
        rows += [_widening(complete, one, met) for one in met if len(complete)]
        parts += [one.astype(dict.fromkeys(order, object)) for one in rows if len(one)]
        if not (coded or met) and parts:
            break
    if not parts:
        raise DataError(f"no row of {table.files[0]} has a value in every column of {quoted_list(used)}")
    learnt: pd.DataFrame = pd.concat(
        parts * 3, ignore_index=True
    )  # many values are no reason to think that a column is unique
    for name, known in order.items():
        learnt[name] = pd.Categorical(learnt[name], categories=known)
    return learnt


def _complete(frame: Any, names: Sequence[str]) -> Any:
    return ~np.logical_or.reduce([is_missing(frame[name]) for name in names])


def _widening(frame: Any, expression: str, met: dict[str, Float]) -> Any:
    """Rows in which an expression is smaller or larger than in all before, or one of the first three values."""
    x = numbers(expression, dict(frame.items()))
    values, where = np.unique(x, return_index=True)
    values = values[np.isfinite(values)]  # log(0) is missing
    known, wider = met[expression], list[int]()
    first = int(np.count_nonzero(np.isneginf(x)) > 0)
    for k in (0, len(values) - 1, len(values) // 2) if len(values) else ():
        value = float(values[k])
        if (len(known) < _VALUES and value not in known) or not known.min() <= value <= known.max():
            wider.append(first + k)
            known = np.unique(np.append(known, value))
    met[expression] = known
    return frame.iloc[where[wider]]


def _with_lines(table: FileTable, used: tuple[str, ...], blocks: Blocks) -> Blocks:
    """Smooths with the constant and the line that least squares finds in their columns over all complete rows."""
    lines = [_Line(one.splines[0]) for one in blocks.smooths]
    for batch in table.batches(used):
        frame = as_pandas(batch)
        frame = frame[_complete(frame, used)]
        for one, line in zip(blocks.smooths, lines, strict=True) if len(frame) else ():
            line.add(numbers(one.term.expression, {name: frame[name] for name in used}))
    both = zip(blocks.smooths, lines, strict=True)
    return replace(blocks, smooths=tuple([replace(one, splines=(line.spline,)) for one, line in both]))


class _Line:
    """Sums of a spline's columns, and of their products with the straight line, about their means in the first rows."""

    def __init__(self, fitted: Spline) -> None:
        self.raw = replace(fitted, line=np.zeros_like(fitted.line))
        self.count, self.shift = 0, np.empty(0)
        self.sums = self.products = np.zeros(fitted.size - 1)

    def add(self, x: Float) -> None:
        """Add rows."""
        x = x[np.isfinite(x)]
        if not len(x):
            return
        values = np.column_stack([(x - self.raw.low) / (self.raw.high - self.raw.low), self.raw.columns(x)])
        if not self.count:
            self.shift = values.mean(axis=0)
        values -= self.shift
        self.count += len(x)
        self.sums, self.products = self.sums + values.sum(axis=0), self.products + values[:, 0] @ values

    @property
    def spline(self) -> Spline:
        """The spline, its line known."""
        mean = self.sums / self.count
        products = self.products - self.count * mean[0] * mean
        slope, mean = products[1:] / products[0], self.shift + mean
        centre = self.raw.low + mean[0] * (self.raw.high - self.raw.low)
        return replace(self.raw, line=np.array([mean[1:] - slope * mean[0], slope]), centre=float(centre))


def _fresh(batch: Batch, name: str, known: set[Any]) -> set[Any]:
    values = set(batch.table.column(name).unique().to_pylist())
    return {visible(value) for value in values if value is not None and value == value} - known
