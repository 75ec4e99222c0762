"""Residuals over fitted values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from bayesridge.errors import DataError
from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import describe, legend_below, one_axes
from bayesridge.plots.look import BLUE, GREY, LINES, VERMILION
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_GROUPS, _IN_GROUP = 12, 12


def residuals(
    post: AnyPosterior,
    *,
    ax: Axes | None = None,
    rows: int = 1000,
    level: float = 0.95,
    offset: ArrayLike | None = None,
    trials: ArrayLike | None = None,
) -> Axes:
    """Draw observed less fitted over fitted, with the intervals in which new observations of the same rows would lie.

    What to see: the means of neighbours should scatter around zero; where they bend, a nonlinear term is missing. The
    intervals should be as wide as the cloud on the left and on the right: a fan is noise that grows with the target.

    Parameters
    ----------
    post : AnyPosterior
    ax : Axes, optional
    rows : int
        At most so many, evenly spaced in the table; the title says so.
    level : float
        Of the equal-tailed predictive intervals and of the confidence intervals (Student-t) of the means.
    offset, trials : array_like of shape (n,), optional
        Of counts, for all rows of the fit.

    Returns
    -------
    Axes
        Fitted values are posterior means of the expected target. The rows were fitted too, so that a few more lie
        inside than the level says; :func:`predicted_observed` leaves each out. Means are of up to 12 groups of
        rows with neighbouring fitted values, of 12 rows at least.
    """
    expect(post, "Posterior")
    check_level(level)
    if rows < 1:
        raise DataError(f"rows must be 1 or more, got {rows}")
    design = post.design
    seen = np.arange(design.n_rows) if design.weights is None else np.flatnonzero(design.weights)
    picked = seen[np.unique(np.linspace(0, len(seen) - 1, min(rows, len(seen))).astype(np.intp))]
    precise = design.weights is not None and design.weight_kind == "precision"
    found = post.predict(
        design.source.take(picked), design.weights[picked] if precise and design.weights is not None else None,
        offset=_of(offset, picked), trials=_of(trials, picked),
    )  # fmt: skip
    fitted = found.mean
    left = design.y[picked] - fitted
    low, high = found.interval(level).T - fitted
    inside = (low <= left) & (left <= high)
    ax = one_axes(ax, 4.4)
    few = len(left) <= 200
    bars = ax.vlines(fitted, low, high, color=GREY, alpha=0.55 if few else 0.25, lw=1.4 if few else 0.8)
    bars.set_rasterized(len(left) > 5000)
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.8)
    size = 5.0 if few else 3.0
    handles: list[Any] = [
        *ax.plot(fitted[inside], left[inside], ls="", marker="o", ms=size, color=BLUE, zorder=3),
        *ax.plot(fitted[~inside], left[~inside], ls="", marker="X", ms=size + 2.5, color=VERMILION, zorder=4),
        bars,
    ]
    labels = ["inside its interval", "outside", f"{percent(level)} predictive ETI"]
    if len(left) >= 2 * _IN_GROUP:
        handles.append(_means(ax, fitted, left, level))
        labels.append(f"mean of neighbours, {percent(level)} confidence interval (t)")
    name, shown = target(design), f"{len(left)} of {len(seen)}" if len(left) < len(seen) else f"{len(left)}"
    describe(
        ax, title=f"Residuals: {np.count_nonzero(inside)} of {shown} rows inside {percent(level)} intervals",
        x=f"{name} fitted (mean)", y=f"{name}, observed less fitted",
    )  # fmt: skip
    legend_below(ax, handles, labels)
    return ax


def _of(values: ArrayLike | None, rows: NDArray[np.intp]) -> ArrayLike | None:
    return None if values is None or np.ndim(values) == 0 else np.asarray(values)[rows]


def _means(ax: Axes, fitted: Array, left: Array, level: float) -> Any:
    """Draw the mean residual of rows with neighbouring fitted values, and its interval."""
    parts = np.array_split(np.argsort(fitted, kind="stable"), min(_GROUPS, len(left) // _IN_GROUP))
    at, mean = (np.array([values[part].mean() for part in parts]) for values in (fitted, left))
    half = [
        student_t.ppf(0.5 + 0.5 * level, len(part) - 1) * left[part].std(ddof=1) / np.sqrt(len(part)) for part in parts
    ]
    ink = ax.xaxis.label.get_color()
    return ax.errorbar(at, mean, half, color=ink, marker="s", ms=4.5, lw=1.4, ls=LINES[1], capsize=3, zorder=5)
