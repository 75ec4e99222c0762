"""Posterior predictive check: the observed target beside data sets the model would make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError, check_counts
from bayesridge.parallel.runs import generator
from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import describe, legend_below, one_axes
from bayesridge.plots.look import BLUE, GREY, LINES, VERMILION
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_POINTS = 256
_BLOCK_VALUES = 1 << 21


def posterior_predictive(
    post: AnyPosterior,
    *,
    ax: Axes | None = None,
    draws: int = 400,
    lines: int = 30,
    level: float = 0.95,
    random_state: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw the ECDF of the observed target among those of replicated data sets at the same rows.

    What to see: the observed curve should run inside the band. Steps, bounds or long tails that no replicate has are
    features of the data that the model does not know.

    Parameters
    ----------
    post : AnyPosterior
    ax : Axes, optional
    draws : int
        Replicated data sets for the band.
    lines : int
        How many of them to draw.
    level : float
        Of the band: at each value of the target by itself.
    random_state : int, Generator or None

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there are fewer draws than lines, or frequency weights are not whole numbers.
    """
    expect(post, "Posterior")
    check_level(level)
    if not 1 <= lines <= draws:
        raise DataError(f"lines must lie between 1 and draws, got lines={lines}, draws={draws}")
    y, grid, curves = _ecdfs(post, draws, random_state)
    tail = 0.5 * (1.0 - level)
    below, above = np.quantile(curves, [tail, 1.0 - tail], axis=0)
    ax = one_axes(ax, 4.0)
    band = ax.fill_between(grid, below, above, facecolor=GREY, alpha=0.3, edgecolor=GREY, lw=0.8, zorder=2.5)
    thin = ax.plot(grid, curves[:lines].T, color=BLUE, lw=0.5, alpha=0.4)
    observed = ax.step(
        np.concatenate([[grid[0]], y, [grid[-1]]]), _steps(len(y)), where="post", color=VERMILION, lw=2, zorder=3
    )
    ax.set_xlim(grid[0], grid[-1])
    ax.set_ylim(-0.02, 1.02)
    name = target(post.design)
    describe(ax, title=f"Posterior predictive check, {len(y)} observations", x=name, y="share of observations ≤ value")
    legend_below(
        ax, [observed[0], thin[0], band],
        ["observed", f"{lines} replicated data sets", f"{percent(level)} pointwise band of {draws} replicates"],
    )  # fmt: skip
    return ax


def predictive_difference(
    post: AnyPosterior,
    *,
    ax: Axes | None = None,
    draws: int = 400,
    level: float = 0.95,
    random_state: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw how far the observed ECDF lies from the mean of replicated ones: the predictive check, magnified.

    What to see: the curve leaves the wider band where the model expects too many values (below zero) or too few
    (above). In :func:`posterior_predictive` the same gap is a hair's breadth.

    Parameters
    ----------
    post : AnyPosterior
    ax : Axes, optional
    draws : int
        Replicated data sets for the bands, at least 20.
    level : float
        Of both bands: of the inner one at each value by itself, of the outer one for the whole curve.
    random_state : int, Generator or None

    Returns
    -------
    Axes
        Differences of shares of observations. The outer band is as many standard deviations wide everywhere as keep
        that share of whole replicates inside; the title says whether the observed curve stays inside it.
    """
    expect(post, "Posterior")
    check_level(level)
    check_counts(least=20, draws=draws)  # which a band needs
    y, grid, curves = _ecdfs(post, draws, random_state)
    centre, sd = curves.mean(axis=0), curves.std(axis=0)
    tail = 0.5 * (1.0 - level)
    inner = np.quantile(curves, [tail, 1.0 - tail], axis=0) - centre
    spread = sd > 0  # beyond the last value of every replicate there is nothing to be off by
    away = np.abs(curves - centre)[:, spread] / sd[spread]
    half = float(np.quantile(away.max(axis=1, initial=0.0), level)) * sd
    observed = np.searchsorted(y, grid, side="right") / len(y) - centre
    leaves = bool((np.abs(observed) > half + 1e-12).any())
    ax = one_axes(ax, 3.6)
    handles = [
        *ax.plot(grid, observed, color=VERMILION, lw=2, zorder=3),
        ax.fill_between(grid, *inner, facecolor=GREY, alpha=0.35, lw=0),
        *ax.plot(grid, half, color=GREY, lw=1.2, ls=LINES[1]),
    ]
    ax.plot(grid, -half, color=GREY, lw=1.2, ls=LINES[1])
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
    ax.set_xlim(grid[0], grid[-1])
    verdict = "leaves its band" if leaves else "stays in its band"
    describe(
        ax, title=f"Predictive check: the observed curve {verdict}", x=target(post.design),
        y="ECDF, observed less expected",
    )  # fmt: skip
    whole = f"{percent(level)} band of whole curves"
    legend_below(ax, handles, [f"observed, {len(y)} observations", f"{percent(level)} pointwise band", whole])
    return ax


def _ecdfs(
    post: AnyPosterior, draws: int, random_state: int | np.random.Generator | None
) -> tuple[Array, Array, Array]:
    """Observed values in order, a grid of values, and ECDFs of replicated targets on it, (draws, points)."""
    rows = _rows(post.design)
    y = np.sort(post.design.y[rows])
    low, high = y[0], y[-1]
    grid = np.linspace(low - 0.25 * (high - low), high + 0.25 * (high - low), _POINTS)
    rng = generator(random_state)
    size = max(1, _BLOCK_VALUES // len(rows))
    curves = np.empty((draws, _POINTS))
    for start in range(0, draws, size):
        made = np.sort(post.replicate(rows, min(size, draws - start), rng), axis=1)
        curves[start : start + size] = [np.searchsorted(one, grid, side="right") for one in made]
    return y, grid, curves / len(rows)


def _steps(n: int) -> Array:
    return np.concatenate([[0.0], np.arange(1, n + 1) / n, [1.0]])


def _rows(design: Design) -> NDArray[np.intp]:
    """One index for each observation: rows repeated by frequency weights, rows of weight zero left out."""
    if design.weights is None:
        return np.arange(design.n_rows)
    if design.weight_kind == "precision":
        return np.flatnonzero(design.weights)
    if (design.weights != np.round(design.weights)).any():
        raise DataError("replicated data need whole frequency weights; use weight_kind='precision', or round them")
    return np.repeat(np.arange(design.n_rows), design.weights.astype(np.intp))
