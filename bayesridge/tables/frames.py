"""The edge between users' tables and one float64 matrix.

What comes in may be a numpy array, nested lists, or a pandas, polars or pyarrow table; what goes on is an
array of float64 and the names of its columns.  Everything that cannot be a number is refused with its
column, an example and its row: nothing is encoded, parsed or dropped behind the user's back.  Messages keep
the phrases of scikit-learn where its own tools look for them.  Rows are counted from 0 throughout.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, DataTypeError, warn
from bayesridge.tables.columns import (
    Columns,
    Float,
    Unusable,
    array_numbers,
    is_pandas,
    joined,
    listed,
    own_terms,
    quoted,
    series_numbers,
    unnamed,
)

FLOAT64 = np.dtype(np.float64)


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
    if type(X) is np.ndarray and X.dtype == FLOAT64 and X.ndim == 2:
        check_shape(X.shape, min_rows)
        return _nameless(X)
    frame = as_frame(X)
    if frame is None:
        return _nameless(_read_array(X, min_rows))
    names = frame_names(frame)
    check_shape(frame.shape, min_rows)
    if names is None:
        return _nameless(_read_frame(frame, unnamed(frame.shape[1])[0]))
    return Columns(_read_frame(frame, names), names, True, own_terms(names))


def _nameless(values: Float) -> Columns:
    names, terms = unnamed(values.shape[1])
    return Columns(values, names, False, terms)


def check_shape(shape: tuple[int, ...], min_rows: int) -> None:
    """Refuse what is not two-dimensional, or too small."""
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
    if is_sparse(X):
        raise DataError(
            f"Sparse data was passed ({type(X).__name__}), but dense data is required here. Use X.toarray() to convert "
            "to a dense array."
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


def is_sparse(X: Any) -> bool:
    """Say whether a table is one of scipy's sparse matrices or arrays."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(X))


def without_columns(table: Any, names: Sequence[str]) -> Any:
    """Return a data frame without some of its columns, where they are there."""
    frame = as_frame(table)
    if frame is None:
        raise DataError(f"an expression of columns needs a data frame with names, not {type(table).__name__}")
    there = [name for name in names if name in frame.columns]
    return frame.drop(columns=there) if is_pandas(frame, "DataFrame") else frame.drop(there).to_native()


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
        raise DataError(f"Column names must differ, and these occur more than once: {listed(quoted(twice))}.")
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
    check_shape(array.shape, min_rows)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64, copy=False)
    return joined(unnamed(array.shape[1])[0], [array_numbers(column) for column in array.T])


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
        return joined(names, [series_numbers(column) for column in frame.iter_columns()])
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in frame.dtypes):
        values: Float = frame.to_numpy(dtype=np.float64)  # a view where all columns are one float64 block
        return values
    return joined(names, [series_numbers(frame.iloc[:, j]) for j in range(len(names))])


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
    if type(y) is np.ndarray and y.dtype == FLOAT64 and y.ndim == 1:
        values, name = y, None
    elif y is None:
        raise DataError("bayesridge requires y to be passed, but the target y is None")
    else:
        values, name, shape = read_vector(y, "y")
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


def read_vector(values: Any, what: str) -> tuple[Float, str | None, tuple[int, ...]]:
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
    numbers = array_numbers(values.reshape(-1)) if column is None else series_numbers(column)
    if isinstance(numbers, Unusable):
        raise numbers.error(f"{what} must hold numbers, and does not ({numbers}). Convert it to numbers first.")
    name = None if column is None else column.name
    return numbers, name if isinstance(name, str) and name else None, shape
