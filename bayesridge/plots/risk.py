"""Bias and variance over lambda."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesridge.plots.expect import expect
from bayesridge.plots.lambda_axis import LABEL, lambda_grid, log_axis, number, shade_interval
from bayesridge.plots.layout import describe, legend_below, one_axes
from bayesridge.plots.look import BLUE, GREEN, LINES, VERMILION
from bayesridge.plots.names import target
from bayesridge.plots.risk_terms import risk_terms
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def bias_variance(
    post: Posterior,
    *,
    coef: ArrayLike | None = None,
    sigma: float | None = None,
    ax: Axes | None = None,
    level: float = 0.95,
) -> Axes:
    """Draw squared bias, variance and their sum over lambda, for new observations at the rows of the fit.

    What to see: the sum is flat around its minimum, so that much of the shaded interval of lambda predicts about
    equally well; left of it variance is paid for, right of it bias.

    Parameters
    ----------
    post : Posterior
    coef, sigma : array_like of shape (p,), float, optional
        The truth, in the units of the data, where it is known (simulations). By default both are averaged over the
        posterior, exactly: the risk of ridge at lambda if the truth is a draw from the posterior, which is a statement
        of the model about itself and not an estimate from held-out data.
    ax : Axes, optional
    level : float
        Of the equal-tailed interval of lambda.

    Returns
    -------
    Axes
        Mean squares in squared units of the target. The right axis adds the noise variance to the left one: on it the
        sum is the expected squared prediction error.
    """
    expect(post, Posterior)
    check_level(level)
    grid = lambda_grid(post)
    terms = risk_terms(post, grid, coef=coef, sigma=sigma)
    ax = one_axes(ax, 4.4)
    total = terms.bias2 + terms.variance
    best = int(np.argmin(total))
    handles: list[Any] = [
        *ax.plot(grid, total, color=BLUE, lw=2.2),
        *ax.plot(grid, terms.bias2, color=VERMILION, lw=1.6, ls=LINES[1]),
        *ax.plot(grid, terms.variance, color=GREEN, lw=1.6, ls=LINES[2]),
        *ax.plot(grid[best], total[best], color=BLUE, marker="o", ms=7, ls=""),
    ]
    labels = ["bias² + variance", "bias²", "variance", f"smallest sum, at λ = {number(grid[best])}"]
    interval = shade_interval(ax, post, level)
    if ax.patches:
        handles.append(ax.patches[-1])
        labels.append(interval)
    log_axis(ax, grid[0], grid[-1])
    # towards its ends the sum may rise without bound: the picture is about its valley
    ax.set_ylim(0.0, min(1.08 * float(total.max()), 6.0 * float(total[best])))
    unit = f"squared units of {target(post.design)}"
    describe(
        ax, title=f"Bias and variance of predictions at these rows, {terms.truth}", x=LABEL, y=f"mean square ({unit})"
    )
    noise = terms.noise
    right = ax.secondary_yaxis("right", functions=(partial(np.add, noise), partial(np.add, -noise)))
    right.set_ylabel(f"with noise (σ² = {number(noise)}): prediction error")
    legend_below(ax, handles, labels)
    return ax
