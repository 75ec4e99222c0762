"""Rows of a table in files as numbers: columns as they are, or a formula whose categories a pass of its own finds."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesridge.errors import DataError, FormulaError
from bayesridge.tables.batches import Batch, FileTable, as_pandas, wanted_column
from bayesridge.tables.columns import Columns, Float, quoted_list, visible
from bayesridge.tables.formula import FormulaSpec, fit_expression
from bayesridge.tables.formula_columns import is_missing
from bayesridge.tables.frames import read_columns, read_target
from bayesridge.tables.grammar import CALLS
from bayesridge.tables.terms import parse_formula
from bayesridge.tables.weights import read_weights

if TYPE_CHECKING:
    import pandas as pd

_LEARNT_ROWS = 100  # of the first batch, beside a row for each category
_MOST_CATEGORIES = 20_000  # in a column: p x p cross-products of more do not fit
_SPECIAL = re.compile(r"\||\b(s|ridge)\(")


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

    def columns(self, batch: Batch) -> Columns:
        """Predictors alone."""
        if self.spec is None:
            return read_columns(batch.table.select(list(self.predictors)), min_rows=1)
        return self.spec.transform(as_pandas(batch))


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
    if _SPECIAL.search(formula):
        raise FormulaError(
            f"The formula {formula!r} has terms, (1 | g), s(x) or ridge(...), that need all rows in memory: files in "
            "batches take columns, functions of them, categories, and an offset; groups={...} are columns with a "
            "lambda of their own"
        )
    parsed = parse_formula(formula, names)
    used, coded = _used(parsed.uses, table, formula)
    learnt = _learning_table(table, used, coded)
    learnt = learnt.reindex(columns=list(names))  # what a formula does not read, it may still name: . - x
    spec = FormulaSpec.fit(formula, learnt).spec
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
        if (called in CALLS and CALLS[called].learns) or called == "lag" or called.endswith(".shift"):
            raise FormulaError(
                f"The formula {formula!r} calls {called}(...), which needs all rows at once: files come in batches. "
                "Write its numbers instead, as in (x - 20) / 5"
            )
        if called == "C":
            coded += [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and one.id in names]
    return coded


def _learning_table(table: FileTable, used: tuple[str, ...], coded: tuple[str, ...]) -> pd.DataFrame:
    """Some first rows, and for each category a row that has it: all that a formula without numbers to learn learns."""
    import pandas as pd

    parts: list[Any] = []
    seen: dict[str, set[Any]] = {name: set() for name in coded}
    order: dict[str, list[Any]] = {name: [] for name in coded if table.kinds[name] == "categories"}
    for batch in table.batches(used):
        for name, known in order.items():
            for chunk in batch.table.column(name).chunks:
                known += [value for value in chunk.dictionary.to_pylist() if value not in known]
        fresh = {name: _fresh(batch, name, known) for name, known in seen.items()}
        if parts and not any(fresh.values()):
            continue
        frame = as_pandas(batch)
        complete = frame[~np.logical_or.reduce([is_missing(frame[name]) for name in used])]
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
        parts += [one.astype(dict.fromkeys(order, object)) for one in rows if len(one)]
        if not coded and parts:
            break
    if not parts:
        raise DataError(f"no row of {table.files[0]} has a value in every column of {quoted_list(used)}")
    learnt: pd.DataFrame = pd.concat(
        parts * 3, ignore_index=True
    )  # many values are no reason to think that a column is unique
    for name, known in order.items():
        learnt[name] = pd.Categorical(learnt[name], categories=known)
    return learnt


def _fresh(batch: Batch, name: str, known: set[Any]) -> set[Any]:
    values = set(batch.table.column(name).unique().to_pylist())
    return {visible(value) for value in values if value is not None and value == value} - known
