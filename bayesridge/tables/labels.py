"""The edge between users' labels and zeros and ones."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, DataTypeError
from bayesridge.tables.columns import Float, listed
from bayesridge.tables.formula_columns import open_table
from bayesridge.tables.frames import without_columns

_LEFT = re.compile(r"\s*(`[^`]+`|[^`~]*[^`~\s])\s*~(.*)", re.DOTALL)


class Labels(NamedTuple):
    """A target of two classes.

    Attributes
    ----------
    codes : ndarray of shape (n,)
        0 and 1; NaN marks a missing label.
    classes : tuple of two
        1 stands for the second; in ascending order where nothing else is asked for.
    name : str
        The target's, with the class that 1 stands for.
    """

    codes: Float
    classes: tuple[Any, Any]
    name: str


def split_target(formula: str | None, table: Any, y: Any) -> tuple[str | None, Any, Any]:
    """Take the labels that a formula names on its left side out of the table.

    Returns
    -------
    formula : str or None
        Its right side.
    table : data frame
        The other columns.
    y : array_like or series

    Raises
    ------
    DataError
        If the left side is no column, or labels were passed too.
    """
    found = None if formula is None else _LEFT.match(formula)
    if formula is None or found is None:
        return formula, table, y
    if y is not None:
        raise DataError(f"the formula {formula!r} names a target and y was passed too: leave one out")
    name = found[1].strip("`")
    frame, names = open_table(table)
    if name not in names:
        raise DataError(
            f"the left side of {formula!r} must be a column of the table that holds the labels; its columns are: "
            f"{listed([repr(one) for one in names])}"
        )
    return found[2].strip(), without_columns(table, [name]), frame[name]


def read_labels(y: Any, positive: str | None = None) -> Labels:
    """Read the labels of two classes.

    Parameters
    ----------
    y : array_like or series of shape (n,)
        Text, whole numbers or booleans; None, NaN and NA are missing.
    positive : str, optional
        The label that 1 is to stand for, as it is printed; the second in ascending order by default.

    Raises
    ------
    DataError
        If there are not two classes, or y is no vector.
    DataTypeError
        If the labels are of another kind, or of several.
    """
    import pandas as pd
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import column_or_1d

    if y is None:
        raise DataError("bayesridge requires y to be passed, but the target y is None")
    try:
        column = column_or_1d(_objects(y), warn=True)
    except ValueError as error:
        raise DataError(str(error)) from error
    name = getattr(y, "name", None)
    name = name if isinstance(name, str) else "y"
    seen = ~pd.isna(column)
    labels = _plain(column[seen], name)
    try:
        check_classification_targets(labels)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) > 2:
        shown = listed([repr(one) for one in classes.tolist()])
        # the first sentences are scikit-learn's: its estimator checks look for them
        raise DataError(
            "Only binary classification is supported. The type of the target is multiclass. "
            f"{name} has {len(classes)} classes, {shown}: make it one of them against the others"
        )
    if len(classes) < 2:
        raise one_class(name, classes.tolist())
    values = np.full(len(column), np.nan)
    low, high = classes.tolist()
    if positive is not None and positive not in (str(low), str(high)):
        raise DataError(f"{name} has the classes {low!r} and {high!r}, and neither is {positive!r}")
    if positive is not None and positive != str(high):
        low, high, codes = high, low, 1 - codes
    values[seen] = codes
    return Labels(values, (low, high), f"{name} = {high}")


def one_class(name: str, classes: list[Any]) -> DataError:
    """The error where there is nothing to tell apart."""
    there = f"one class only, {classes[0]!r}" if classes else "no label"
    return DataError(f"{name} has {there} in the rows that count, and two classes are needed")


def _objects(y: Any) -> NDArray[Any]:
    """Labels as they are: numpy turns numbers and missing values beside text into text."""
    if isinstance(y, np.ma.MaskedArray):
        y = np.ma.filled(y.astype(object), None)
    array = np.asarray(y)
    return np.asarray(y, dtype=object) if array.dtype.kind in "US" else array


def _plain(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Labels of one kind as an array of that kind."""
    values = labels.tolist()
    text = [isinstance(one, str) for one in values]
    array = np.array(values) if all(text) or not any(text) else labels
    if array.dtype.kind not in "biufU" or array.ndim != 1:
        kinds = sorted({type(one).__qualname__ for one in values})
        raise DataTypeError(f"{name}: labels must all be text, or all whole numbers or booleans, and are {kinds}")
    return array
