"""Predicted and observed: every row predicted from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import number, percent
from bayesridge.plots.layout import describe, legend_below, one_axes
from bayesridge.plots.look import BLUE, GREY, VERMILION
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def predicted_observed(post: Posterior, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Draw each observed target over its leave-one-out prediction, with the leave-one-out predictive interval.

    What to see: points scatter evenly around the diagonal, about as many inside their intervals as the level says. A
    curve means a missing nonlinear term; a fan, noise that grows with the prediction.

    Parameters
    ----------
    post : Posterior
    ax : Axes, optional
    level : float
        Of the equal-tailed predictive intervals, lambda and sigma integrated.

    Returns
    -------
    Axes
        The title counts the rows (not their weights) that lie inside; rows of weight zero are not shown.
    """
    expect(post, "Posterior")
    check_level(level)
    loo = post.loo
    ends, seen = loo.interval(level), loo.count > 0
    mean, y, (low, high) = loo.mean[seen], loo.y[seen], ends[seen].T
    inside = (low <= y) & (y <= high)
    ax = one_axes(ax, 4.6)
    few = len(y) <= 200
    bars = ax.vlines(mean, low, high, color=GREY, alpha=0.7 if few else 0.3, lw=1.4 if few else 0.8)
    bars.set_rasterized(len(y) > 5000)
    ink = ax.xaxis.label.get_color()
    diagonal = ax.axline((float(mean.mean()), float(mean.mean())), slope=1.0, color=ink, lw=0.8)
    size = 5.0 if few else 3.0
    handles = [
        *ax.plot(mean[inside], y[inside], ls="", marker="o", ms=size, color=BLUE, zorder=3),
        *ax.plot(mean[~inside], y[~inside], ls="", marker="X", ms=size + 2.5, color=VERMILION, zorder=4),
        bars,
        diagonal,
    ]
    name, share = target(post.design), np.count_nonzero(inside)
    percentage = 100.0 * share / len(y)
    describe(
        ax, title=f"{percent(level)} leave-one-out intervals hold {share} of {len(y)} rows ({percentage:.1f}%); "
        f"RMSE {number(loo.rmse)}", x=f"{name} predicted from the other rows (mean)", y=f"{name} observed",
    )  # fmt: skip
    labels = ["inside its interval", "outside", f"{percent(level)} predictive ETI", "observed = predicted"]
    legend_below(ax, handles, labels)
    return ax
