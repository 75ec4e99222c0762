"""The edge between users' tables and one float64 matrix.

What comes in may be a numpy array, nested lists, or a pandas, polars or pyarrow table; what goes on is an
array of float64 and the names of its columns.  Everything that cannot be a number is refused with its
column, an example and its row: nothing is encoded, parsed or dropped behind the user's back.  Messages keep
the phrases of scikit-learn where its own tools look for them.  Rows are counted from 0 throughout.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from numbers import Complex, Real
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, DataTypeError, DroppedRowsWarning, warn

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import pandas as pd

Float = NDArray[np.float64]

_FLOAT64 = np.dtype(np.float64)
_BLOCK = 65536  # numbers looked at together: their flags (one byte each) stay in the cache
_FITTED = "BayesRidge was fitted"
_SHOWN = 5  # how many columns or rows an error lists before it only counts


class Terms(Mapping[str, tuple[str, ...]]):
    """Which columns each term of the model owns, in order; immutable, and can be pickled."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, tuple[str, ...]]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, term: str) -> tuple[str, ...]:
        """Return the columns of one term."""
        return self._columns[term]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the terms."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._columns)

    def __repr__(self) -> str:
        """Show the terms as a dictionary."""
        return f"Terms({self._columns!r})"


@dataclass(frozen=True, eq=False)
class Columns:
    """Predictors as numbers, with their names.

    Attributes
    ----------
    values : ndarray of shape (n, p)
        float64, in C or Fortran order; possibly the user's own array, so it is never written to.
        NaN marks a missing value.
    names : tuple of str
        Names of the p columns.
    named : bool
        False where the input had no names; they are then ``x0, x1, ...``.
    terms : mapping of str to tuple of str
        Columns of each term of a formula.  In a plain table each column is its own term.
    """

    values: Float
    names: tuple[str, ...]
    named: bool
    terms: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=8)
def _unnamed(p: int) -> tuple[tuple[str, ...], Terms]:
    names = tuple(f"x{j}" for j in range(p))
    return names, own_terms(names)


def own_terms(names: Sequence[str]) -> Terms:
    """Return the terms of a plain table: each column is its own."""
    return Terms({name: (name,) for name in names})


# ---------------------------------------------------------------- reading predictors


def read_columns(X: Any, *, min_rows: int = 2) -> Columns:
    """Read a table of predictors.

    Parameters
    ----------
    X : array-like or table of shape (n, p)
        numpy array, nested lists, pandas, polars or pyarrow table.  A two-dimensional float64 array
        is taken as it is, without a copy.  Numbers of other types, booleans (0 and 1), nullable
        columns (missing becomes NaN) and object columns that hold nothing but numbers are converted.
    min_rows : int, default 2
        The least number of rows.

    Returns
    -------
    Columns
        Values may contain NaN and infinity: see `complete_rows` and `require_finite`.

    Raises
    ------
    DataError
        If the shape is wrong, names occur twice, or a column holds text, categories, dates or
        complex numbers.
    DataTypeError
        If only some column labels are strings, or a value is neither a number nor text.
    """
    if type(X) is np.ndarray and X.dtype == _FLOAT64 and X.ndim == 2:
        _check_shape(X.shape, min_rows)
        return _nameless(X)
    frame = as_frame(X)
    if frame is None:
        return _nameless(_read_array(X, min_rows))
    names = frame_names(frame)
    _check_shape(frame.shape, min_rows)
    if names is None:
        return _nameless(_read_frame(frame, _unnamed(frame.shape[1])[0]))
    return Columns(_read_frame(frame, names), names, True, own_terms(names))


def _nameless(values: Float) -> Columns:
    names, terms = _unnamed(values.shape[1])
    return Columns(values, names, False, terms)


def _check_shape(shape: tuple[int, ...], min_rows: int) -> None:
    # The words are scikit-learn's: its estimator checks, and people's code, look for them.
    n, p = shape
    if n < min_rows:
        raise DataError(f"Found array with {n} sample(s) (shape={(n, p)}) while a minimum of {min_rows} is required.")
    if p < 1:
        raise DataError(f"Found array with 0 feature(s) (shape={(n, p)}) while a minimum of 1 is required.")


def as_frame(X: Any) -> Any:
    """Return a table as a pandas or narwhals data frame; None for an array or a sequence."""
    if isinstance(X, np.ndarray | list | tuple):
        return None
    if is_pandas(X, "DataFrame"):
        return X
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(X):
        raise DataError(
            f"Sparse data was passed ({type(X).__name__}), but dense data is required: sparse matrices are "
            "not supported. Use X.toarray() to convert to a dense array."
        )
    if isinstance(X, dict):
        raise DataError("Expected a table or a 2D array, got a dict: use pandas.DataFrame(X).")
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(X, pyarrow.RecordBatch):
        X = pyarrow.Table.from_batches([X])
    import narwhals.stable.v2 as nw

    table: Any = nw.from_native(X, pass_through=True)
    if isinstance(table, nw.LazyFrame):
        raise DataError(f"Expected a table in memory, got a lazy one ({type(X).__name__}): use X.collect().")
    return table if isinstance(table, nw.DataFrame) else None


def frame_names(table: Any) -> tuple[str, ...] | None:
    """Return the column names; None for an array, or where no label is a string (scikit-learn's rule)."""
    frame = as_frame(table)
    if frame is None:
        return None
    labels = list(frame.columns)
    strings = [isinstance(label, str) for label in labels]
    if labels and not any(strings):
        return None
    if not all(strings):
        kinds = sorted({type(label).__qualname__ for label in labels})
        raise DataTypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{kinds} as feature name / column name types. If you want feature names to be stored and "
            "validated, you must convert them all to strings, by using X.columns = X.columns.astype(str) "
            "for example. Otherwise you can remove feature / column names from your input data, or convert "
            "them all to a non-string data type."
        )
    names = tuple(str(label) for label in labels)
    if len(set(names)) < len(names):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        raise DataError(f"Column names must differ, and these occur more than once: {_listed(_quoted(twice))}.")
    return names


def _read_array(X: Any, min_rows: int) -> Float:
    array = _to_array(X)
    if array.ndim != 2:
        got = "scalar" if array.ndim == 0 else f"{array.ndim}D"
        raise DataError(
            f"Expected 2D array, got {got} array instead (shape={array.shape}).\nReshape your data either "
            "using array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) if it "
            "contains a single sample."
        )
    _check_shape(array.shape, min_rows)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64, copy=False)
    return _joined(_unnamed(array.shape[1])[0], [_array_numbers(column) for column in array.T])


def _to_array(X: Any) -> NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray):
        masked, X = np.ma.getmaskarray(X), X.data.astype(object)
        X[masked] = None  # masked is missing; asarray would unmask it
    try:
        array: NDArray[Any] = np.asarray(X)
    except ValueError as error:
        raise DataError(f"The rows have different lengths, or differ in depth: {error}") from error
    if array.dtype.kind in "US":
        array = np.asarray(X, dtype=object)  # numpy turns numbers beside text into text: take that back
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported (dtype {array.dtype}): take the real part, or make two columns.")
    return array


def _read_frame(frame: Any, names: tuple[str, ...]) -> Float:
    if not is_pandas(frame, "DataFrame"):
        return _joined(names, [_series_numbers(column) for column in frame.iter_columns()])
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in frame.dtypes):
        values: Float = frame.to_numpy(dtype=np.float64)  # a view where all columns are one float64 block
        return values
    return _joined(names, [_series_numbers(frame.iloc[:, j]) for j in range(len(names))])


def is_pandas(obj: object, kind: str) -> bool:
    """Say whether an object is of a pandas class, without importing pandas."""
    # A library that has not been imported cannot have made obj.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(obj, getattr(pandas, kind))


# ---------------------------------------------------------------- one column to numbers


class Unusable(NamedTuple):
    """A column that cannot be numbers: what it holds, an example, and its row."""

    what: str
    value: object
    row: int
    error: type[DataError] = DataError

    def __str__(self) -> str:
        """Describe the column for an error message."""
        return f"{self.what}, e.g. {self.value!r} in row {self.row}"


def _joined(names: Sequence[str], columns: Sequence[Float | Unusable]) -> Float:
    bad = [(name, column) for name, column in zip(names, columns, strict=True) if isinstance(column, Unusable)]
    if bad:
        error = next((column.error for _, column in bad if column.error is not DataError), DataError)
        raise error(
            f"Every column must hold numbers, and {len(bad)} of {len(names)} do not: "
            + _listed([f"'{name}' ({column})" for name, column in bad])
            + '. Use a formula (formula="y ~ x + C(group)" encodes categories), or convert to numbers first.'
        )
    return np.array([column for column in columns if not isinstance(column, Unusable)], dtype=np.float64).T


def _series_numbers(column: Any) -> Float | Unusable:
    return _pandas_numbers(column) if is_pandas(column, "Series") else _narwhals_numbers(column)


def _array_numbers(column: NDArray[Any]) -> Float | Unusable:
    kind = column.dtype.kind
    if kind in "biuf" or column.size == 0:
        return column.astype(np.float64, copy=False)
    if kind == "O":
        return object_numbers(column)
    what = {"M": "dates", "m": "durations"}.get(kind, str(column.dtype))
    return Unusable(what, column[0], 0)


def object_numbers(column: NDArray[np.object_]) -> Float | Unusable:
    """Convert objects, only if each is a number or missing; text that looks like a number is text."""
    pandas = sys.modules.get("pandas")
    missing = {NoneType} if pandas is None else {NoneType, type(pandas.NA), type(pandas.NaT)}
    kinds = set(map(type, column))
    bad = {kind for kind in kinds - missing if not issubclass(kind, Real | Decimal | np.bool)}
    if not bad:
        if kinds & missing:
            column = np.array([np.nan if type(value) in missing else value for value in column], dtype=object)
        try:
            return column.astype(np.float64)
        except (OverflowError, ValueError, TypeError) as error:
            raise DataError(f"A number does not fit into float64: {error}") from error
    row = next(i for i, value in enumerate(column) if type(value) in bad)
    value = column[row]
    if isinstance(value, str | bytes):
        return Unusable("text", value, row)
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return Unusable("dates", value, row)
    if isinstance(value, Complex):
        raise DataError(f"Complex data not supported ({value!r} in row {row}): take the real part.")
    what = f"an argument must be a string or a real number, not '{type(value).__name__}'"
    return Unusable(what, value, row, DataTypeError)


def _pandas_numbers(column: pd.Series[Any]) -> Float | Unusable:
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biufO":
        return _array_numbers(column.to_numpy())
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise DataError(f"Complex data not supported (column {column.name!r}): take the real part.")
    category = isinstance(dtype, pd.CategoricalDtype)  # (categories true and false count as boolean)
    if not category and (pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype)):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    present = column.notna().to_numpy()
    if not present.any():
        return np.full(len(column), np.nan)  # nothing in it: `complete_rows` names it
    row = int(present.argmax())
    text = pd.api.types.is_string_dtype(dtype)
    times = {"M": "dates", "m": "durations"}.get(dtype.kind, str(dtype))
    what = "categories" if category else "text" if text else times
    return Unusable(what, column.iloc[row], row)


def _narwhals_numbers(column: nw.Series[Any]) -> Float | Unusable:
    import narwhals.stable.v2 as nw

    dtype = column.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return column.cast(nw.Float64()).to_numpy()
    if column.null_count() == len(column):
        return np.full(len(column), np.nan)
    if dtype in (nw.Object, nw.Unknown):
        return object_numbers(np.array(column.to_list(), dtype=object))
    row = int((~column.is_null()).to_numpy().argmax())
    category = dtype in (nw.Categorical, nw.Enum)
    what = "categories" if category else "text" if dtype == nw.String else f"values of type {dtype}"
    return Unusable(what, column[row], row)


# ---------------------------------------------------------------- reading one vector


def read_target(y: Any, n_rows: int | None = None) -> tuple[Float, str | None]:
    """Read the target.

    Parameters
    ----------
    y : array-like or series of shape (n,)
        A column of shape (n, 1) is taken too, with scikit-learn's ``DataConversionWarning``.
    n_rows : int, optional
        How many rows the predictors have.

    Returns
    -------
    values : ndarray of shape (n,)
        float64; NaN marks a missing value.
    name : str or None
        The name of the series or column, where it has one.

    Raises
    ------
    DataError
        If there is no target, it has several columns or another length than `n_rows`, or it holds
        text, categories, dates or complex numbers.
    """
    if type(y) is np.ndarray and y.dtype == _FLOAT64 and y.ndim == 1:
        values, name = y, None
    elif y is None:
        raise DataError("bayesridge requires y to be passed, but the target y is None")
    else:
        values, name, shape = _read_vector(y, "y")
        if len(shape) == 2:
            from sklearn.exceptions import DataConversionWarning

            warn(
                "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
                f"({shape[0]},), for example using y.ravel().",
                DataConversionWarning,
            )
    if n_rows is not None and len(values) != n_rows:
        raise DataError(
            f"Found input variables with inconsistent numbers of samples: X has {n_rows} rows, y has {len(values)}."
        )
    return values, name


def read_weights(weights: Any, n_rows: int, *, allow_missing: bool = False) -> Float | None:
    """Read observation weights (row i counts as ``weights[i]`` rows).

    Parameters
    ----------
    weights : array-like of shape (n_rows,), float or None
        A single number gives every row the same weight; None means no weights.
    n_rows : int
        How many rows the predictors have.
    allow_missing : bool, default False
        Let NaN through, for `complete_rows` to report or to drop.

    Returns
    -------
    ndarray of shape (n_rows,) or None
        float64, finite (but for NaN, if allowed), none negative and not all zero.

    Raises
    ------
    DataError
        If the shape is wrong, or a weight is negative, missing or infinite, or all are zero.
    """
    if weights is None:
        return None
    if type(weights) is np.ndarray and weights.dtype == _FLOAT64 and weights.shape == (n_rows,):
        values = weights
    elif isinstance(weights, Real | Decimal | np.bool):
        values = np.full(n_rows, float(weights))
    else:
        values, _, shape = _read_vector(weights, "the weights")
        if shape != (n_rows,):
            raise DataError(f"Sample weights must be 1D, one a row: {(n_rows,)} expected, {shape} received.")
    if (values < 0).any():
        rows = np.flatnonzero(values < 0)
        raise DataError(
            f"Weights must not be negative, and {len(rows)} are: the first is {values[rows[0]]:g} in row {rows[0]}."
        )
    for what, wrong in (
        ("infinite", np.isinf(values)),
        ("missing (NaN)", np.isnan(values) & (not allow_missing)),
    ):
        if wrong.any():
            raise DataError(f"Weights must be finite, and {wrong.sum()} are {what}: the first in row {wrong.argmax()}.")
    if not (values != 0).any():
        raise DataError("All sample weights are zero: at least one row must count.")
    return values


def _as_series(values: Any) -> Any:
    """Return a pandas or narwhals series, or None where the values are an array or a sequence."""
    if isinstance(values, np.ndarray | list | tuple):
        return None
    if is_pandas(values, "Series"):
        return values
    if is_pandas(values, "Index") or is_pandas(values, "Categorical"):
        return sys.modules["pandas"].Series(values)
    import narwhals.stable.v2 as nw

    series: Any = nw.from_native(values, pass_through=True, allow_series=True)
    return series if isinstance(series, nw.Series) else None


def _read_vector(values: Any, what: str) -> tuple[Float, str | None, tuple[int, ...]]:
    """Return numbers, name and original shape; a table of one column counts as a column vector."""
    frame = as_frame(values)
    column = _as_series(values) if frame is None else None
    if frame is None and column is None:
        values = _to_array(values)
    shape: tuple[int, ...] = (len(column),) if column is not None else (values if frame is None else frame).shape
    if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)):
        raise DataError(f"{what} should be a 1d array, got an array of shape {shape} instead.")
    if frame is not None:
        column = frame.iloc[:, 0] if is_pandas(frame, "DataFrame") else next(frame.iter_columns())
    numbers = _array_numbers(values.reshape(-1)) if column is None else _series_numbers(column)
    if isinstance(numbers, Unusable):
        raise numbers.error(f"{what} must hold numbers, and does not ({numbers}). Convert it to numbers first.")
    name = None if column is None else column.name
    return numbers, name if isinstance(name, str) and name else None, shape


# ---------------------------------------------------------------- missing and infinite values


class CompleteRows(NamedTuple):
    """Data without missing values.

    Attributes
    ----------
    columns : Columns
        Predictors, all finite.
    y : ndarray of shape (n,)
        Target, all finite.
    weights : ndarray of shape (n,) or None
        Weights, all finite.
    kept : ndarray of bool, shape (rows that came in,), or None
        Which rows are left; None if all are.
    n_dropped : int
        How many rows are not.
    """

    columns: Columns
    y: Float
    weights: Float | None
    kept: NDArray[np.bool] | None
    n_dropped: int


def has_only_finite(a: Float) -> bool:
    """Say whether an array holds neither NaN nor infinity; one pass, and no temporary of its size."""
    if a.size <= _BLOCK:
        return bool(np.isfinite(a).all())
    if a.flags.forc:
        flat = a.ravel(order="K")  # a view
        return all(np.isfinite(flat[i : i + _BLOCK]).all() for i in range(0, a.size, _BLOCK))
    rows = max(1, _BLOCK * len(a) // a.size)
    return all(np.isfinite(a[i : i + rows]).all() for i in range(0, len(a), rows))


def find_missing(
    columns: Columns, y: Float, weights: Float | None, names: tuple[str, str] = ("y", "weights")
) -> dict[str, int]:
    """Count the missing values.

    Parameters
    ----------
    columns : Columns
        Predictors, n rows.
    y : ndarray of shape (n,)
        Target.
    weights : ndarray of shape (n,) or None
        Weights.
    names : tuple of two str
        What to call the target and the weights.

    Returns
    -------
    dict of str to int
        Rows in which a term is missing, for each term that has any, in the order of the columns; then
        target and weights.  (A term is a column, but for the terms of a formula with several columns.)
    """
    missing = np.isnan(columns.values)
    by_column = dict(zip(columns.names, missing.T, strict=True))
    counts = {
        term: int(np.logical_or.reduce([by_column[name] for name in owned]).sum())
        for term, owned in columns.terms.items()
    }
    for name, vector in zip(names, (y, weights), strict=True):
        if vector is not None:
            counts[name] = counts.get(name, 0) + int(np.isnan(vector).sum())
    return {name: count for name, count in counts.items() if count}


def complete_rows(
    columns: Columns,
    y: Float,
    weights: Float | None = None,
    *,
    missing: Literal["error", "drop"] = "error",
    target_name: str | None = None,
) -> CompleteRows:
    """Make sure that every number is finite.

    Parameters
    ----------
    columns : Columns
        Predictors, n rows.
    y : ndarray of shape (n,)
        Target.
    weights : ndarray of shape (n,), optional
        Weights.
    missing : {"error", "drop"}, default "error"
        What to do about rows with a missing value: refuse them, or leave them out with a
        `DroppedRowsWarning`.
    target_name : str, optional
        What to call the target in messages.

    Returns
    -------
    CompleteRows
        The arrays that came in, where nothing was missing.

    Raises
    ------
    DataError
        If a value is infinite, a column has no value at all, or (with ``missing="error"``) any value
        is missing; or if fewer than two rows, or no weight, would be left.
    """
    if missing not in ("error", "drop"):
        raise DataError(f'missing must be "error" or "drop", not {missing!r}.')
    finite = has_only_finite(columns.values) and has_only_finite(y)
    if finite and (weights is None or has_only_finite(weights)):
        return CompleteRows(columns, y, weights, None, 0)

    target = f"target '{target_name}'" if target_name else "the target y"
    others = {target: y} | ({} if weights is None else {"the weights": weights})
    refuse_infinite(dict(zip(_quoted(columns.names), columns.values.T, strict=True)) | others)
    n = len(y)
    counts = find_missing(columns, y, weights, (target, "the weights"))
    empty = [name for name, count in counts.items() if count == n]
    if empty:
        raise DataError(f"Input contains NaN: no value at all in {_listed(empty)}. Leave out what is empty.")
    listed = _listed([f"{name}: {count}" for name, count in counts.items()], shown=25)
    if missing == "error":
        raise DataError(
            f"Input contains NaN. Missing values by column ({n} rows in all): {listed}. Fill them in, or use "
            'missing="drop" to leave these rows out.'
        )
    kept = ~(np.isnan(columns.values).any(axis=1) | np.isnan(y))
    if weights is not None:
        kept &= ~np.isnan(weights)
    n_kept = int(kept.sum())
    if n_kept < 2:
        raise DataError(f"Input contains NaN: {n_kept} of {n} rows complete, at least 2 needed ({listed}).")
    if weights is not None and not weights[kept].any():
        raise DataError(f"All sample weights are zero in the {n_kept} complete rows ({listed}).")
    warn(f"Left out {n - n_kept} of {n} rows with missing values ({listed}).", DroppedRowsWarning)
    fewer = Columns(columns.values[kept], columns.names, columns.named, columns.terms)
    return CompleteRows(fewer, y[kept], None if weights is None else weights[kept], kept, n - n_kept)


def require_finite(values: Float, names: Sequence[str]) -> None:
    """Refuse missing and infinite predictors, as a prediction has to.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        Predictors.
    names : sequence of str
        Names of the p columns.

    Raises
    ------
    DataError
        Naming columns and rows.
    """
    if has_only_finite(values):
        return
    by_column = dict(zip(_quoted(names), values.T, strict=True))
    refuse_infinite(by_column)
    listed = _counted({label: np.isnan(vector) for label, vector in by_column.items()})
    raise DataError(f"Input X contains NaN: {listed}. There is no prediction for a row with a missing value.")


def refuse_infinite(vectors: Mapping[str, Float]) -> None:
    """Raise a `DataError` if any of the vectors (label: numbers) holds infinity."""
    counted = _counted({label: np.isinf(vector) for label, vector in vectors.items()})
    if counted:
        raise DataError(f"Input contains infinity: {counted}. Correct these values, or mark them as missing.")


def _counted(flags: Mapping[str, NDArray[np.bool]]) -> str:
    """List the vectors with any flag set, how many there are, and the first of their rows."""
    found = []
    for label, column in flags.items():
        if column.any():
            rows = np.flatnonzero(column)
            which = ", ".join(map(str, rows[:_SHOWN])) + (", ..." if len(rows) > _SHOWN else "")
            found.append(f"{label} ({len(rows)}: row{'s' if len(rows) > 1 else ''} {which})")
    return _listed(found)


def _quoted(names: Sequence[str]) -> list[str]:
    return [f"'{name}'" for name in names]


def _listed(items: Sequence[str], *, shown: int = _SHOWN) -> str:
    return ", ".join(items[:shown]) + (f" and {len(items) - shown} more" if len(items) > shown else "")


# ---------------------------------------------------------------- columns for prediction


def align_columns(X_new: Any, names: Sequence[str], named: bool) -> Float:
    """Read predictors for a prediction and hold them against those of the fit.

    Parameters
    ----------
    X_new : array-like or table of shape (m, p)
        New predictors, at least one row.
    names : sequence of str
        Column names at the fit.
    named : bool
        Whether they came from the data (False: ``x0, x1, ...`` for a bare array).

    Returns
    -------
    ndarray of shape (m, p)
        float64, all finite.

    Raises
    ------
    DataError
        If names are unknown, missing or in another order than at the fit (scikit-learn's rule: columns
        are never reordered silently), if their number differs, or values are missing or infinite.

    Warns
    -----
    UserWarning
        If names were given at the fit and not now, or the other way round.
    """
    if type(X_new) is np.ndarray and not named:
        columns = read_columns(X_new, min_rows=1)
    else:
        new_names = frame_names(X_new)
        if named and new_names is None:
            warn(f"X does not have valid feature names, but {_FITTED} with feature names", UserWarning)
        elif not named and new_names is not None:
            warn(f"X has feature names, but {_FITTED} without feature names", UserWarning)
        elif new_names is not None:
            # Before the values are read: a column that does not belong here may hold anything.
            _check_names(new_names, tuple(names))
        columns = read_columns(X_new, min_rows=1)
    p = columns.values.shape[1]
    if p != len(names):
        raise DataError(f"X has {p} features, but BayesRidge is expecting {len(names)} features as input.")
    require_finite(columns.values, columns.names if columns.named else names)
    return columns.values


def _check_names(new: tuple[str, ...], fitted: tuple[str, ...]) -> None:
    if new == fitted:
        return
    unexpected, missing = sorted(set(new) - set(fitted)), sorted(set(fitted) - set(new))
    message = "The feature names should match those that were passed during fit.\n"
    # The layout, too, is scikit-learn's.
    for title, wrong in (
        ("Feature names unseen at fit time:\n", unexpected),
        ("Feature names seen at fit time, yet now missing:\n", missing),
    ):
        if wrong:
            shown = wrong if len(wrong) <= _SHOWN else [*wrong[:_SHOWN], "..."]
            message += title + "".join(f"- {name}\n" for name in shown)
    if not (unexpected or missing):
        message += "Feature names must be in the same order as they were in fit.\n"
    raise DataError(message)
