"""A table's columns as a formula sees them: tidied, of the kind they had at the fit; and its expressions of them."""

from __future__ import annotations

import ast
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, FormulaError
from bayesridge.tables.columns import Unusable, is_pandas, object_numbers
from bayesridge.tables.frames import as_frame, frame_names
from bayesridge.tables.grammar import (
    BINARY,
    CALLS,
    COMPARE,
    CONTR,
    NUMPY,
    NUMPY_CONSTANTS,
    PATSY_CODINGS,
    UNARY,
    read_expression,
    refused,
)
from bayesridge.tables.missing import refuse_infinite

if TYPE_CHECKING:
    import pandas as pd


Flags = NDArray[np.bool]


def open_table(table: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a table as a frame, and the names of its columns."""
    frame = as_frame(table)
    names = frame_names(frame)
    if names is None:
        raise DataError(
            "A formula needs a table whose columns have names (pandas, polars or pyarrow), not "
            f"{type(table).__name__}: use pandas.DataFrame(X, columns=[...])."
        )
    return frame, names


def take_columns(frame: Any, names: Iterable[str]) -> dict[str, pd.Series[Any]]:
    """Return some columns as pandas series, numbered from 0."""
    if is_pandas(frame, "DataFrame"):
        columns = {name: frame[name].reset_index(drop=True) for name in names}
    else:
        columns = {name: _from_narwhals(frame.get_column(name)) for name in names}
    for name, column in columns.items():
        if column.dtype.kind == "f":  # here, before a transform spreads it over all rows
            refuse_infinite({f"'{name}'": column.to_numpy(dtype=np.float64, na_value=np.nan)})
    return columns


def _from_narwhals(column: Any) -> pd.Series[Any]:
    # By hand: the libraries' own to_pandas() need pyarrow, and turn integers with a gap into floats.
    import narwhals.stable.v2 as nw
    import pandas as pd

    dtype = column.dtype
    if dtype.is_integer() or dtype == nw.Boolean:
        if column.null_count() == 0:
            return pd.Series(column.to_numpy())
        return pd.Series(column.to_list(), dtype="boolean" if dtype == nw.Boolean else "Int64")
    if dtype.is_numeric():
        return pd.Series(column.cast(nw.Float64()).to_numpy())
    values = pd.Series(column.to_list(), dtype=object)
    if dtype == nw.Enum:
        return pd.Series(pd.Categorical(values, categories=column.cat.get_categories().to_list()))
    return values


def is_missing(column: pd.Series[Any]) -> Flags:
    """Flag the missing values of a column."""
    import pandas as pd

    missing = column.isna().to_numpy(dtype=np.bool)
    if pd.api.types.is_float_dtype(column.dtype):  # Arrow's floats tell NaN from null; we do not
        missing = missing | np.isnan(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return missing


def tidy(name: str, column: pd.Series[Any]) -> pd.Series[Any]:
    """Bring the many ways to store numbers and text to those formulaic tells apart."""
    import pandas as pd

    column = column.infer_objects()
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    if pd.api.types.is_bool_dtype(dtype) and not column.isna().any():
        return column.astype(np.bool)
    if pd.api.types.is_integer_dtype(dtype) and not column.isna().any():
        return column.astype(np.int64)  # wide: x**2 of an int8 would wrap around
    if pd.api.types.is_bool_dtype(dtype) or (pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c"):
        return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_string_dtype(dtype) and dtype != np.dtype(object):
        return column.astype(object)
    if dtype != np.dtype(object):
        return column
    numbers = object_numbers(column.to_numpy())
    if not isinstance(numbers, Unusable):
        return pd.Series(numbers)
    present = column.dropna()
    kinds = {type(value).__name__: value for value in present[::-1]}
    if all(isinstance(value, dt.date) for value in present):
        return pd.to_datetime(column)
    if not all(isinstance(value, str) for value in present):
        examples = ", ".join(f"{kind} ({value!r})" for kind, value in sorted(kinds.items()))
        raise DataError(f"Column '{name}' holds {examples}: make it all text, or all numbers.")
    return column


def kind_of(column: pd.Series[Any]) -> str:
    """Name the kind of values a column holds."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) or dtype == np.dtype(object):
        return "categories"
    if pd.api.types.is_numeric_dtype(dtype):
        return "numbers"
    return {"M": "dates", "m": "durations"}.get(dtype.kind, str(dtype))


def conform(raw: Mapping[str, pd.Series[Any]], kinds: Mapping[str, str]) -> dict[str, pd.Series[Any]]:
    """Tidy new columns and hold them against what they were at the fit."""
    data: dict[str, pd.Series[Any]] = {}
    for name, kind in kinds.items():
        column = tidy(name, raw[name])
        if kind == "categories":
            # Numbers too, where they stand for the categories of a categorical column; which values are
            # known is checked later.
            column = column.astype(object)
        elif column.isna().all():
            column = column.astype(np.float64) if kind == "numbers" else column  # of no kind at all
        elif kind_of(column) != kind:
            row = int(column.notna().to_numpy().argmax())
            raise DataError(
                f"Column '{name}' held {kind} when the model was fitted, and now holds {kind_of(column)}, e.g. "
                f"{column.iloc[row]!r} in row {row}."
            )
        data[name] = column
    return data


# ---------------------------------------------------------------- expressions


def evaluate(text: str, table: Any, learnt: dict[str, Any]) -> Any:
    """Compute an expression.

    Parameters
    ----------
    text : str
        As for :func:`read_expression`, which checks it once more.
    table : pandas.DataFrame
    learnt : dict
        What ``center`` and its like keep, by their text; filled here at the fit.

    Returns
    -------
    pandas.Series, ndarray or formulaic.FactorValues
        One value, or row of values, for each row of the table.
    """
    tree, _ = read_expression(text, table.columns)
    return _value(tree, table, learnt)


def _value(node: Any, table: Any, learnt: dict[str, Any]) -> Any:
    def value(part: ast.expr) -> Any:
        return _value(part, table, learnt)

    match node:
        case ast.Constant(value=constant):
            return constant
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [value(item) for item in items]
        case ast.Name(id=name) if name in table.columns:
            return table[name]
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](_numeric(value(operand), operand))
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_numeric(value(left), left), _numeric(value(right), right))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return COMPARE[type(op)](value(left), value(right))
        case ast.Call(func=ast.Name(id="Q"), args=[ast.Constant(value=name)]):
            return table[name]
        case ast.Call(func=func, args=args, keywords=words):
            options = {str(word.arg): value(word.value) for word in words}
            if isinstance(func, ast.Name) and func.id in CALLS and CALLS[func.id].learns:
                options["_state"] = learnt.setdefault(ast.unparse(node), {})
            return _function(func, table)(*map(value, args), **options)
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="dt"), attr=part):
            return getattr(table[name].dt, part)
    return _function(node, table)  # np.pi, or a coding of categories


def _function(node: Any, table: Any) -> Any:
    """Return what a checked node calls."""
    from formulaic.transforms import TRANSFORMS

    match node:
        case ast.Name(id="abs" | "round" as name):
            return {"abs": abs, "round": round}[name]
        case ast.Name(id=name) if name in CALLS or name in PATSY_CODINGS:
            return TRANSFORMS[name]
        case ast.Attribute(value=ast.Name(id="np"), attr=name) if name in NUMPY or name in NUMPY_CONSTANTS:
            return getattr(np, name)
        case ast.Attribute(value=ast.Name(id="contr"), attr=name) if name in CONTR:
            return getattr(TRANSFORMS["contr"], name)
        case ast.Attribute(value=ast.Name(id=name), attr="shift"):
            return table[name].shift
    raise FormulaError(f"The formula cannot be used: {ast.unparse(node)[:200]!r} is not in its grammar.")


def _numeric(value: Any, node: ast.expr) -> Any:
    """Refuse text in arithmetic: three times a word is a longer word."""
    if getattr(getattr(value, "dtype", None), "kind", "f") in "OUST":
        raise refused(node, "there is no arithmetic with text: a:b combines categories")
    return value
