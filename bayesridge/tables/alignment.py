"""Columns of a new table, held against those of the fit: by their names everywhere.

Posteriors, formulas and the command line take columns by name, in any order. An estimator without a formula refuses
another order instead, as scikit-learn's own checks demand. Only what has no names is matched by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesridge.errors import DataError, warn
from bayesridge.tables.columns import SHOWN, Float, quoted_list, unnamed
from bayesridge.tables.frames import as_frame, frame_names, read_columns
from bayesridge.tables.missing import require_finite

_FITTED = "BayesRidge was fitted"


def by_name(table: Any, names: Sequence[str]) -> Any:
    """Return a table's numbers, the columns taken by their names in any order; what is no table stays as it is.

    Raises
    ------
    DataError
        If columns are missing (further ones are ignored), or hold anything but numbers.

    Warns
    -----
    UserWarning
        If the fit's columns had no names (``x0, x1, ...``) and the table's have.
    """
    frame = None if type(table) is np.ndarray else as_frame(table)
    if frame is None:
        return table
    given, names = frame_names(frame), tuple(names)
    absent = [] if given is None else [name for name in names if name not in given]
    if absent == list(unnamed(len(names))[0]):
        check_same_columns(given, None)
    elif absent:
        raise DataError(
            f"the model has columns that the table does not have: {quoted_list(absent)}. The table has: "
            f"{quoted_list(given or ())}. A posterior takes the coded columns of its model: of a table for a formula "
            "the estimator that was fitted with it makes them."
        )
    elif given is not None:
        frame = frame[list(names)]
    return read_columns(frame, min_rows=1).values


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
        # Before the values are read: a column that does not belong here may hold anything.
        check_same_columns(frame_names(X_new), tuple(names) if named else None)
        columns = read_columns(X_new, min_rows=1)
    p = columns.values.shape[1]
    if p != len(names):
        raise DataError(f"X has {p} features, but BayesRidge is expecting {len(names)} features as input.")
    require_finite(columns.values, columns.names if columns.named else names)
    return columns.values


def check_same_columns(new: tuple[str, ...] | None, fitted: tuple[str, ...] | None) -> None:
    """Hold names of columns against those of the fit, None where there are none, as `align_columns` does."""
    if new == fitted:
        return
    if new is None or fitted is None:
        how = "X does not have valid feature names, but" if new is None else "X has feature names, but"
        warn(f"{how} {_FITTED} with{'' if new is None else 'out'} feature names", UserWarning)
        return
    unexpected, missing = sorted(set(new) - set(fitted)), sorted(set(fitted) - set(new))
    message = "The feature names should match those that were passed during fit.\n"
    # The layout, too, is scikit-learn's.
    for title, wrong in (
        ("Feature names unseen at fit time:\n", unexpected),
        ("Feature names seen at fit time, yet now missing:\n", missing),
    ):
        if wrong:
            shown = wrong if len(wrong) <= SHOWN else [*wrong[:SHOWN], "..."]
            message += title + "".join(f"- {name}\n" for name in shown)
    if not (unexpected or missing):
        message += (
            "Feature names must be in the same order as they were in fit.\n"
            "X[model.feature_names_in_] puts them in order; a formula and a posterior match columns by name.\n"
        )
    raise DataError(message)
