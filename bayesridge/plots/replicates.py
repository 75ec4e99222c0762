"""Posterior predictive check: the observed target beside data sets the model would make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design
from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import describe, legend_below, one_axes
from bayesridge.plots.look import BLUE, GREY, VERMILION
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_POINTS = 256
_BLOCK_VALUES = 1 << 21


def posterior_predictive(
    post: Posterior,
    *,
    ax: Axes | None = None,
    draws: int = 400,
    lines: int = 30,
    level: float = 0.95,
    random_state: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw the ECDF of the observed target among those of replicated data sets at the same rows.

    What to see: the observed curve should run inside the band. Steps, bounds or long tails that no replicate has are
    features of the data that a linear model with Gaussian noise does not know.

    Parameters
    ----------
    post : Posterior
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
    rows = _rows(post.design)
    y = np.sort(post.design.y[rows])
    low, high = y[0], y[-1]
    grid = np.linspace(low - 0.25 * (high - low), high + 0.25 * (high - low), _POINTS)
    made = _replicated_ecdfs if "sigma" in post.scales else _outcome_ecdfs
    curves = made(post, rows, grid, draws, np.random.default_rng(random_state))
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


def _replicated_ecdfs(
    post: Posterior, rows: NDArray[np.intp], grid: Array, draws: int, rng: np.random.Generator
) -> Array:
    """ECDFs of replicated targets on a grid, shape (draws, points)."""
    design = post.design
    drawn = post.draw(draws, 1, rng)
    precise = design.weights is not None and design.weight_kind == "precision"
    root = np.sqrt(design.weights[rows]) if precise and design.weights is not None else np.ones(len(rows))
    size = max(1, _BLOCK_VALUES // len(rows))
    out = np.empty((draws, len(grid)))
    for start in range(0, draws, size):
        part = slice(start, start + size)
        mean = drawn.intercept[0, part, None] + design.source.times(drawn.coef[0, part].T).T[:, rows]
        tails = drawn.noise_df
        noise = rng.standard_normal(mean.shape) if tails is None else rng.standard_t(tails[0, part, None], mean.shape)
        y = mean + drawn.sigma[0, part, None] * noise / root
        y.sort(axis=1)
        out[part] = [np.searchsorted(one, grid, side="right") for one in y]
    return out / len(rows)


def _outcome_ecdfs(post: Posterior, rows: NDArray[np.intp], grid: Array, draws: int, rng: np.random.Generator) -> Array:
    """Return the same of outcomes without a noise sd, which only the posterior knows how to simulate."""
    if len(np.unique(rows)) < len(rows):
        raise DataError("replicated counts need a row for each observation: repeat the rows in place of weights")
    y = post.to_datatree(draws, 1, rng, predictive=True)["posterior_predictive"].to_dataset()["y"].values[0]
    y = np.sort(y, axis=1)
    return np.array([np.searchsorted(one, grid, side="right") for one in y]) / len(rows)
