"""Columns of a new table, checked against those of the fit, for prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesridge.errors import DataError, warn
from bayesridge.tables.columns import SHOWN, Float
from bayesridge.tables.frames import frame_names, read_columns
from bayesridge.tables.missing import require_finite

_FITTED = "BayesRidge was fitted"


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
        message += "Feature names must be in the same order as they were in fit.\n"
    raise DataError(message)
