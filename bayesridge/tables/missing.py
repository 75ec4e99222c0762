"""Missing and infinite values: found, counted by column, refused or left out; never filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, DroppedRowsWarning, warn
from bayesridge.tables.columns import SHOWN, Columns, Float, listed, quoted

_BLOCK = 65536  # numbers looked at together: their flags (one byte each) stay in the cache


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


def check_missing(missing: str) -> None:
    """Refuse other words for what to do with rows that have missing values."""
    if missing not in ("error", "drop"):
        raise DataError(f'missing must be "error" or "drop", not {missing!r}.')


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
    check_missing(missing)
    finite = has_only_finite(columns.values) and has_only_finite(y)
    if finite and (weights is None or has_only_finite(weights)):
        return CompleteRows(columns, y, weights, None, 0)

    target = f"target '{target_name}'" if target_name else "the target y"
    others = {target: y} | ({} if weights is None else {"the weights": weights})
    refuse_infinite(dict(zip(quoted(columns.names), columns.values.T, strict=True)) | others)
    n = len(y)
    counts = find_missing(columns, y, weights, (target, "the weights"))
    empty = [name for name, count in counts.items() if count == n]
    if empty:
        raise DataError(f"Input contains NaN: no value at all in {listed(empty)}. Leave out what is empty.")
    counted = listed([f"{name}: {count}" for name, count in counts.items()], shown=25)
    if missing == "error":
        raise DataError(
            f"Input contains NaN. Missing values by column ({n} rows in all): {counted}. Fill them in, or use "
            'missing="drop" to leave these rows out.'
        )
    kept = ~(np.isnan(columns.values).any(axis=1) | np.isnan(y))
    if weights is not None:
        kept &= ~np.isnan(weights)
    n_kept = int(kept.sum())
    if n_kept < 2:
        raise DataError(f"Input contains NaN: {n_kept} of {n} rows complete, at least 2 needed ({counted}).")
    if weights is not None and not weights[kept].any():
        raise DataError(f"All sample weights are zero in the {n_kept} complete rows ({counted}).")
    warn(f"Left out {n - n_kept} of {n} rows with missing values ({counted}).", DroppedRowsWarning)
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
    by_column = dict(zip(quoted(names), values.T, strict=True))
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
            which = ", ".join(map(str, rows[:SHOWN])) + (", ..." if len(rows) > SHOWN else "")
            found.append(f"{label} ({len(rows)}: row{'s' if len(rows) > 1 else ''} {which})")
    return listed(found)
