"""Partial effects: the expected target as one column moves and the others stay, whatever a formula makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import (
    AxesArray,
    describe,
    describe_all,
    figure_of,
    font_points,
    letters_wide,
    plain,
    shorten,
    small_panels,
)
from bayesridge.plots.look import BLUE, GREY
from bayesridge.posteriors.quantity import check_level
from bayesridge.tables.columns import quoted_list

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_POINTS = 41
_MOST_PANELS = 12
_FEW = 5  # values of a number that are points and no line


def partial_effects(
    fit: Any,
    X: pd.DataFrame,
    variables: Sequence[str] | None = None,
    *,
    axes: Any = None,
    rows: int = 400,
    level: float = 0.95,
) -> AxesArray:
    """Draw the expected target over each column, less its average, with a credible band.

    What to see: how steep a line is and whether it bends; where its band leaves zero, that value of the column is known
    to raise or to lower the target. Panels share their axis, so that columns can be compared.

    Parameters
    ----------
    fit : BayesRidge or BayesRidgeClassifier
        Fitted, with a formula or on columns with names.
    X : pandas.DataFrame
        Rows to average over: those of the fit, or others.
    variables : sequence of str, optional
        Columns of X; all that the model uses by default, at most 12.
    axes : array_like of Axes, optional
        One for each variable; they should share y.
    rows : int
        Average over at most so many rows, evenly spaced in the table; the title says so.
    level : float
        Of the equal-tailed intervals.

    Returns
    -------
    ndarray of Axes
        Each is the average of ``E[y | column = value, others as they are] - E[y | as they are]``; of counts it is of
        the rate (offset 0), of successes of the probability of one trial. Ticks at the foot are the values in X.

    Raises
    ------
    DataError
        If X is no data frame, a variable is none of its columns, or there are more than 12.
    """
    expect(fit, "fitted BayesRidge")
    check_level(level)
    chosen = list(fit.variables_ if variables is None else variables)
    if not 1 <= len(chosen) <= _MOST_PANELS:
        raise DataError(
            f"partial effects of 1 to {_MOST_PANELS} variables fit into a figure, not of {len(chosen)}: name some, "
            f"variables=[...] of {quoted_list(chosen)}"
            if chosen
            else "name the variables to draw: variables=[...]"
        )
    if rows < 1:
        raise DataError(f"rows must be 1 or more, got {rows}")
    some = X if len(X) <= rows else X.iloc[np.unique(np.linspace(0, len(X) - 1, rows).astype(np.intp))]
    known = [_values(X, name) for name in chosen]
    found = [fit.partial_effects(some, name, one.values) for name, one in zip(chosen, known, strict=True)]
    drawn = small_panels(axes, len(chosen), 2.0, sharey=True)
    for ax, name, one, effect in zip(drawn, chosen, known, found, strict=True):
        _draw(ax, one, effect.mean, effect.interval(level))
        describe(ax, x=shorten(name, 20))
    name = target(fit.posterior_.design)
    over = f"{len(some)} of {len(X)}" if len(some) < len(X) else f"{len(X)}"
    title = f"Effect of each column on {name}, the others as they are: average over {over} rows, {percent(level)} ETI"
    if axes is None:
        describe_all(drawn[0], title=title, y=f"{name}, less its average")
    return drawn


class _Values(NamedTuple):
    """Values of a column to draw: all there are, or a grid over a number's range; those seen in the table."""

    values: Any
    numeric: bool
    seen: Any


def _draw(ax: Axes, of: _Values, mean: Array, ends: Array) -> None:
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
    if of.numeric and len(of.values) > _FEW:
        ax.fill_between(of.values, *ends.T, color=BLUE, alpha=0.3, lw=0)
        ax.plot(of.values, mean, color=BLUE, lw=1.8)
        seen = of.seen[:: -(-len(of.seen) // 200)]
        ax.plot(seen, np.zeros(len(seen)), transform=ax.get_xaxis_transform(), color=GREY, marker="|", ms=5, ls="")
        return
    at = np.asarray(of.values) if of.numeric else np.arange(len(of.values))
    ax.vlines(at, *ends.T, color=BLUE, lw=2.4)
    ax.plot(at, mean, color=BLUE, marker="o", ms=5, ls="")
    if of.numeric:
        ax.margins(x=0.15)
        ax.set_xticks(at)
    else:
        _name_categories(ax, [shorten(str(value), 16) for value in of.values])


def _name_categories(ax: Axes, names: list[str]) -> None:
    """Write the names below their points, upright where they would not fit side by side."""
    size = font_points("small")
    ax.set_xlim(-0.6, len(names) - 0.4)
    inches = float(ax.get_position().width * figure_of(ax).get_size_inches()[0])
    fits = max(letters_wide(name, size) for name in names) + 0.1 < inches / (len(names) + 0.2)
    ax.set_xticks(range(len(names)), [plain(name) for name in names], rotation=0 if fits else 90)


def _values(X: pd.DataFrame, name: str) -> _Values:
    import pandas as pd

    if not isinstance(X, pd.DataFrame):
        raise DataError(f"partial effects need a pandas data frame, not {type(X).__name__}")
    if name not in X.columns:
        raise DataError(f"there is no column {name!r}; the table has {quoted_list(X.columns)}")
    known = X[name].dropna()
    if not len(known):
        raise DataError(f"column {name!r} has no value")
    if pd.api.types.is_numeric_dtype(known.dtype) and not pd.api.types.is_bool_dtype(known.dtype):
        seen = np.unique(known.to_numpy(dtype=np.float64))
        return _Values(seen if len(seen) < _POINTS else np.linspace(seen[0], seen[-1], _POINTS), True, seen)
    categories = sorted(known.unique())
    if len(categories) > _POINTS:
        raise DataError(f"column {name!r} has {len(categories)} categories, more than {_POINTS}: name other variables")
    return _Values(categories, False, categories)
