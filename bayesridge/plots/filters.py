"""Shrinkage by singular direction: what the data say and what the prior says of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.filters import filter_factors
from bayesridge.plots.inputs import expect
from bayesridge.plots.lambda_axis import number, percent
from bayesridge.plots.layout import describe, legend_below, one_axes, whole_numbers
from bayesridge.plots.look import BLUE, GREY, LINES, VERMILION
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_MOST_BARS = 24


def shrinkage(post: Posterior, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Draw the filter factors ``f_j = s_j^2 / (s_j^2 + lambda)`` of the singular directions.

    What to see: directions with f near 1 are decided by the data, those near 0 by the prior, and the bars between say
    how much that hangs on lambda. The factors add up to the effective degrees of freedom.

    Parameters
    ----------
    post : Posterior
    ax : Axes, optional
    level : float
        Of the equal-tailed interval of each f_j. It is exact: f_j falls with lambda, so its quantiles are those of
        lambda.

    Returns
    -------
    Axes
        The title has the effective degrees of freedom, intercept and unpenalised columns not counted.

    Raises
    ------
    DataError
        If no direction is penalised.
    """
    expect(post, "Posterior")
    check_level(level)
    spectrum, lam = post.spectrum, post.lambda_
    if spectrum.rank == 0:
        raise DataError("there is no penalised direction: every column is unpenalised, constant, or spanned by those")
    ax = one_axes(ax, 3.8)
    x = np.arange(1.0, spectrum.rank + 1.0)
    tail = 0.5 * (1.0 - level)
    high, middle, low = filter_factors(spectrum, lam.quantile(np.array([tail, 0.5, 1.0 - tail])))
    data: Any
    rest: Any
    if spectrum.rank <= _MOST_BARS:
        data = ax.bar(x, middle, width=0.8, color=BLUE, alpha=0.75, lw=0)
        rest = ax.bar(x, 1.0 - middle, bottom=middle, width=0.8, color=GREY, alpha=0.28, lw=0)
        ax.set_xlim(0.4, spectrum.rank + 0.6)
    else:
        data = ax.fill_between(x, middle, step="mid", color=BLUE, alpha=0.75, lw=0)
        rest = ax.fill_between(x, middle, 1.0, step="mid", color=GREY, alpha=0.28, lw=0)
        ax.set_xlim(0.5, spectrum.rank + 0.5)
    handles, labels = [data, rest], ["share of the data (f, at the median of λ)", "share of the prior (1 − f)"]
    if not lam.known:
        handles.append(_draw_band(ax, x, low, middle, high))
        labels.append(f"{percent(level)} ETI of f")
    ax.set_ylim(0.0, 1.0)
    if spectrum.rank <= 12:
        ax.set_xticks(x)
    else:
        whole_numbers(ax)
    describe(ax, title=_title(post, level), x="singular direction (largest variance first)", y="share")
    legend_below(ax, handles, labels)
    return ax


def _draw_band(ax: Axes, x: Array, low: Array, middle: Array, high: Array) -> Any:
    if len(x) > _MOST_BARS:
        look: dict[str, Any] = {"where": "mid", "color": VERMILION, "lw": 1.4, "ls": LINES[1]}
        ax.step(x, low, **look)
        return ax.step(x, high, **look)[0]
    error = np.maximum(np.array([middle - low, high - middle]), 0.0)
    return ax.errorbar(x, middle, error, ls="", marker="_", ms=6, color=VERMILION, elinewidth=1.6, capsize=2.5)


def _title(post: Posterior, level: float) -> str:
    dof = post.effective_dof
    if dof.known:
        return f"Effective dof {number(dof.value)} of {post.spectrum.rank} (intercept not counted)"
    low, high = dof.interval(level)
    return (
        f"Effective dof: median {number(dof.median)} of {post.spectrum.rank}, {percent(level)} ETI {number(low)} "
        f"to {number(high)} (intercept not counted)"
    )
