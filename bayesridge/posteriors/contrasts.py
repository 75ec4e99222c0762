"""Questions in the analyst's words, as linear combinations of coefficients: "bmi - bp", {"bmi": 1}, "bmi > bp"."""

from __future__ import annotations

import ast
import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.errors import DataError
from bayesridge.posteriors.quantity import Quantity
from bayesridge.tables.alignment import by_name
from bayesridge.tables.columns import is_pandas, quoted_list

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

Contrast = str | Mapping[str, float] | Sequence[str] | ArrayLike

_BLOCK_VALUES = 1 << 22
_LONGEST = 10_000  # characters
_STEP = 1e-4  # of a column's sd: the error of a central difference of a cubic is 1e-8 of it, rounding less


def contrast_rows(what: Contrast, names: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Read linear combinations of coefficients.

    Parameters
    ----------
    what : str, mapping, sequence of str, or array_like of shape (m, p)
        ``"bmi - bp"`` (odd names in backticks), ``{"bmi": 1, "bp": -1}``, several expressions, or the numbers, of a
        table by its columns' names.
    names : sequence of str
        Of the p coefficients.

    Returns
    -------
    rows : ndarray of shape (m, p)
    labels : tuple of str
    """
    if isinstance(what, str):
        what = [what]
    if is_pandas(what, "Series"):
        labels: Any = what
        what = dict(labels) if all(isinstance(name, str) for name in labels.index) else labels.to_numpy()
    if isinstance(what, Mapping):
        row = np.zeros(len(names))
        for name, factor in what.items():
            row[_place(str(name), names)] += float(factor)
        return row[None, :], (_as_sum(what),)
    if isinstance(what, Sequence) and len(what) and all(isinstance(one, str) for one in what):
        found = [_linear(_tree(str(one)).body, *_tree_names(str(one), names)) for one in what]
        for text, row in zip(what, found, strict=True):
            if row[-1]:
                raise DataError(f"{text!r} adds the number {row[-1]:g}, which no coefficient goes with")
        return np.array(found)[:, :-1], tuple(map(str, what))
    rows = np.atleast_2d(np.asarray(by_name(what, names), dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise DataError(f"A must have {len(names)} columns, one for each coefficient, got shape {np.shape(what)}")
    return rows, tuple([f"contrast {i}" for i in range(len(rows))])


def _as_sum(factors: Mapping[str, float]) -> str:
    """Write factors as people write sums: ``s5 - 10 age``."""
    text = "".join(
        f" {'-' if factor < 0 else '+'} {'' if abs(factor) == 1 else f'{abs(factor):g} '}{name}"
        for name, factor in factors.items()
    )
    return text.removeprefix(" + ").removeprefix(" ")


def statement_rows(text: str, names: Sequence[str]) -> tuple[Array, float, float]:
    """Read ``"bmi > bp"`` or ``"bmi < 2"``: a combination of coefficients, and between which numbers it is to lie."""
    body = _tree(text).body
    if not (isinstance(body, ast.Compare) and len(body.ops) == 1 and isinstance(body.ops[0], ast.Gt | ast.Lt)):
        raise DataError(f"a statement such as 'bmi > bp' or 'bmi - bp < 2' is needed, got {text!r}")
    columns, ticked = _tree_names(text, names)
    difference = _linear(body.left, columns, ticked) - _linear(body.comparators[0], columns, ticked)
    above = isinstance(body.ops[0], ast.Gt)
    return difference[None, :-1], *((-difference[-1], np.inf) if above else (-np.inf, -difference[-1]))


def _place(name: str, names: Sequence[str]) -> int:
    if name in names:
        return list(names).index(name)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise DataError(f"There is no coefficient '{name}'.{hint} There are: {quoted_list(names)}.")


def _tree(text: str) -> ast.Expression:
    """Parse an expression; names in backticks become _0, _1, ..."""
    if len(text) > _LONGEST:
        raise DataError(f"a contrast has {len(text)} characters, more than {_LONGEST}: give a dict or numbers")
    count = iter(range(len(text)))
    try:
        return ast.parse(re.sub(r"`[^`]*`", lambda _: f"_{next(count)}", text).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{text!r} cannot be read: write 'bmi - bp', odd names in backticks") from error


def _tree_names(text: str, names: Sequence[str]) -> tuple[Sequence[str], dict[str, str]]:
    return names, {f"_{k}": name for k, name in enumerate(re.findall(r"`([^`]*)`", text))}


def _linear(node: ast.expr, names: Sequence[str], ticked: Mapping[str, str]) -> Array:
    """Coefficients of an expression, and last the number that it adds."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return np.append(np.zeros(len(names)), float(value))
        case ast.Name(id=name):
            row = np.zeros(len(names) + 1)
            row[_place(ticked.get(name, name), names)] = 1.0
            return row
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=part):
            row = _linear(part, names, ticked)
            return -row if isinstance(op, ast.USub) else row
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            other = _linear(right, names, ticked)
            return _linear(left, names, ticked) + (other if isinstance(op, ast.Add) else -other)
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            one, other = _linear(left, names, ticked), _linear(right, names, ticked)
            if not other[:-1].any() and (isinstance(op, ast.Mult) or other[-1]):
                return np.asarray(one * other[-1] if isinstance(op, ast.Mult) else one / other[-1])
            if isinstance(op, ast.Mult) and not one[:-1].any():
                return np.asarray(other * one[-1])
    raise DataError(f"{ast.unparse(node)!r} is no sum of coefficients times numbers")


# -- what a change of one variable does to the expected target --------------------------------------------------------


class Step(NamedTuple):
    """A change of the columns at m rows, whose effect is the difference of the expected target over `width`.

    Attributes
    ----------
    low, high : ndarray of shape (m, p)
    width : ndarray of shape (m,)
    """

    low: Array
    high: Array
    width: Array


class Asked(ABC):
    """Answers in the analyst's words, of linear combinations of the coefficients; the expected target is one."""

    @abstractmethod
    def _combined(self, rows: Array, labels: tuple[str, ...]) -> Quantity:
        """The quantity ``rows @ coef``."""

    def contrast(self, what: Contrast, labels: tuple[str, ...] | None = None) -> Quantity:
        """Posterior of linear combinations of the coefficients.

        Parameters
        ----------
        what : str, mapping, sequence of str, or array_like of shape (m, p)
            ``"bmi - bp"`` (odd names in backticks), ``{"bmi": 1, "bp": -1}``, several expressions, or ``A`` of
            ``A @ coef``.
        labels : tuple of str, optional
            What to call them.
        """
        posterior: Any = self
        rows, found = contrast_rows(what, posterior.design.names)
        return self._combined(rows, labels or found)

    def prob(self, statement: str) -> float:
        """Posterior probability of a statement on coefficients, such as ``"bmi > bp"`` or ``"bmi - bp < 2"``."""
        asked: Any = self
        rows, low, high = statement_rows(statement, asked.design.names)
        return float(asked.contrast(rows).prob(low, high)[0])

    def effects(self, steps: Mapping[str, Step], *, by_row: bool = False) -> Quantity:
        """Effects of steps on the expected target, averaged over their rows, or at each of them."""
        asked: Any = self
        rows = [(step.high - step.low) / step.width[:, None] for step in steps.values()]
        rows = rows if by_row else [one.mean(axis=0, keepdims=True) for one in rows]
        found: Quantity = asked.contrast(np.concatenate(rows), step_labels(steps, by_row=by_row))
        return found


def step_labels(steps: Mapping[str, Step], *, by_row: bool) -> tuple[str, ...]:
    """Name the effects of steps."""
    if not by_row:
        return tuple(steps)
    return tuple([f"{label}, row {i}" for label, step in steps.items() for i in range(len(step.width))])


def effect_steps(
    encode: Callable[[Any], Array], table: pd.DataFrame, variable: str, values: tuple[Any, Any] | None = None
) -> dict[str, Step]:
    """Say which changes of the columns are effects of a variable.

    Parameters
    ----------
    encode : callable
        A table to the columns of the design.
    table : pandas.DataFrame of m rows
    variable : str
        A column of it, however often a formula names it.
    values : tuple of two, optional
        Change from the first to the second; else the slope of a number, and each category against the first.

    Returns
    -------
    dict of str to Step
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise DataError(f"effects need a pandas data frame with the column {variable!r}, not {type(table).__name__}")
    if variable not in table.columns:
        raise DataError(f"There is no column '{variable}'. The table has: {quoted_list(table.columns)}.")
    column, one = table[variable], np.ones(len(table))

    def at(value: Any) -> Array:
        return encode(table.assign(**{variable: value}))

    if values is not None:
        return {f"{variable}: {values[0]} to {values[1]}": Step(at(values[0]), at(values[1]), one)}
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        low, high = _around(column.to_numpy(dtype=np.float64))
        return {f"slope of {variable}": Step(at(low), at(high), high - low)}
    first, *others = sorted(column.dropna().unique()) or [None]
    if not others:
        raise DataError(f"'{variable}' has one value only: say which two to compare, values=(a, b)")
    base = at(first)
    return {f"{variable}: {first} to {other}": Step(base, at(other), one) for other in others}


def partial_steps(
    encode: Callable[[Any], Array], table: pd.DataFrame, variable: str, values: Sequence[Any]
) -> dict[str, Step]:
    """Say which changes of the columns set a variable to each of some values, from what it is at each row."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise DataError(f"effects need a pandas data frame with the column {variable!r}, not {type(table).__name__}")
    if variable not in table.columns:
        raise DataError(f"There is no column '{variable}'. The table has: {quoted_list(table.columns)}.")
    base, one = encode(table), np.ones(len(table))
    each = list(dict.fromkeys(values))
    together = max(1, _BLOCK_VALUES // max(1, base.size))  # a formula is evaluated once for many values
    steps: dict[str, Step] = {}
    for k in range(0, len(each), together):
        part = each[k : k + together]
        found = encode(pd.concat([table.assign(**{variable: value}) for value in part], ignore_index=True))
        steps |= {
            f"{variable} = {value}": Step(base, high, one)
            for value, high in zip(part, np.split(found, len(part)), strict=True)
        }
    return steps


def _around(x: Array) -> tuple[Array, Array]:
    """Values on both sides of each, within their range: a spline ends there."""
    spread = float(np.nanstd(x))
    step = _STEP * (spread or max(1.0, float(np.nanmax(np.abs(x)))))
    if spread == 0:
        return x - step, x + step
    return np.maximum(x - step, np.nanmin(x)), np.minimum(x + step, np.nanmax(x))
