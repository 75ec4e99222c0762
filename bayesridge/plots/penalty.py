"""Posterior of lambda: density, prior, interval; and the evidence curve with its modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.fit import one_lambda
from bayesridge.hyper.evidence import profile_log_evidence
from bayesridge.hyper.prior_of_lambda import prior_density
from bayesridge.plots.inputs import expect
from bayesridge.plots.lambda_axis import LABEL, axis_label, lambda_range, log_axis, number, percent, state_of_lambda
from bayesridge.plots.layout import AxesArray, describe, font_points, legend_below, letters_wide, panels, settle, spread
from bayesridge.plots.look import BLUE, GREEN, LINES, VERMILION
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_DEEPEST = 12.0  # nats below the maximum that are shown: a likelihood ratio of 160,000


def lambda_posterior(post: Posterior, *, axes: Any = None, level: float = 0.95) -> AxesArray:
    """Draw the posterior density of lambda with its prior, and below it the evidence with its modes.

    What to see: how wide the posterior is (a factor of ten is common), how far it moved from the prior, and whether the
    evidence has one peak. A flat evidence means the data do not decide, and the prior does.

    Parameters
    ----------
    post : Posterior
    axes : array_like of 2 Axes, optional
        Density and evidence; they should share x.
    level : float
        Of the equal-tailed interval.

    Returns
    -------
    ndarray of 2 Axes
        Densities are those of log10 lambda (area one on the axis as drawn). The evidence is maximised over sigma,
        in nats below its maximum; its axis ends 12 nats below.
    """
    expect(post, "Posterior")
    check_level(level)
    if post.has_curves:
        return _of_curves(post, axes, level)
    post = one_lambda(post)
    drawn = panels(axes, (2, 1), 5.4, sharex=True, height_ratios=[1.15, 1.0])
    top, bottom = drawn
    modes = np.array([mode.lam for mode in post.evidence.modes])
    low, high = lambda_range(post, modes)
    grid = np.geomspace(low, high, 600)
    handles, labels = _draw_densities(top, post, grid, level)
    known = post.lambda_.known
    curve = _draw_evidence(bottom, post, grid)
    log_axis(bottom, low, high)
    describe(top, title=state_of_lambda(post, level), y="" if known else "density of log₁₀ λ")
    describe(bottom, x=LABEL, y="log evidence below its maximum (nats)")
    _mark_modes(bottom, post)
    legend_below(bottom, [*handles, *curve], [*labels, "log evidence, σ maximised", "its modes"])
    return drawn


def _of_curves(post: Any, axes: Any, level: float) -> AxesArray:
    """The same of counts and successes: the evidence with the coefficients integrated, as far as the draws reach."""
    top, bottom = drawn = panels(axes, (2, 1), 5.4, sharex=True, height_ratios=[1.15, 1.0])
    low, high = lambda_range(post)
    grid = np.geomspace(low, high, 600)
    handles, labels = _draw_densities(top, post, grid, level)
    inside = grid[(np.log(grid) >= post.curves.reach[0]) & (np.log(grid) <= post.curves.reach[1])]
    height = post.curves.evidence(np.log(inside))[0]
    curve = bottom.plot(inside, height - height.max(), color=GREEN, lw=1.8)
    bottom.set_ylim(1.05 * max(float((height - height.max()).min()), -_DEEPEST) - 0.02, 0.35)
    log_axis(bottom, low, high)
    describe(top, title=state_of_lambda(post, level), y="" if post.lambda_.known else "density of log₁₀ λ")
    describe(bottom, x=axis_label(post), y="log evidence below its maximum (nats)")
    legend_below(bottom, [*handles, *curve], [*labels, "log evidence, coefficients integrated"])
    return drawn


def _draw_densities(ax: Axes, post: Any, grid: Array, level: float) -> tuple[list[Any], list[str]]:
    lam, t = post.lambda_, np.log(grid)
    handles: list[Any] = []
    labels: list[str] = []
    if lam.known:
        if 0.0 < lam.value < np.inf:
            handles.append(ax.axvline(lam.value, color=BLUE, lw=2))
            labels.append("λ plugged in" if post.method == "evidence" else "λ known")
        ax.set_yticks([])
        return handles, labels
    density = np.exp(lam.log_pdf_log(t)) * np.log(10.0)
    low, high = lam.interval(level)
    handles += ax.plot(grid, density, color=BLUE, lw=2)
    inside = (grid >= low) & (grid <= high)
    handles.append(ax.fill_between(grid, density, where=inside.tolist(), color=BLUE, alpha=0.25, lw=0))
    handles.append(ax.axvline(lam.median, color=BLUE, lw=1.2, ls=LINES[2]))
    labels += ["posterior density", f"{percent(level)} ETI", "posterior median"]
    if post.has_curves:
        values = np.exp(post.log_prior(t)) * np.log(10.0)
        handles += ax.plot(grid, values, color=VERMILION, lw=1.4, ls=LINES[1])
        labels.append(f"prior: {post.prior.text}")
        ax.set_ylim(0.0, None)
        return handles, labels
    prior = prior_density(post.prior, post.noise_prior, post.spectrum.signal, post.sigma.median)
    if prior is not None:
        values = np.exp(prior.log_density(t)) * np.log(10.0)
        values = values if prior.normalized else values * density.max() / values.max()
        handles += ax.plot(grid, values, color=VERMILION, lw=1.4, ls=LINES[1])
        labels.append(prior.label)
    ax.set_ylim(0.0, None)
    return handles, labels


def _draw_evidence(ax: Axes, post: Posterior, grid: Array) -> list[Any]:
    from matplotlib.lines import Line2D

    best = post.evidence.best.log_evidence
    height = profile_log_evidence(post.spectrum, grid) - best
    curve = ax.plot(grid, height, color=GREEN, lw=1.8)
    lowest = float(height.min())
    ax.set_ylim(max(lowest, -_DEEPEST) * 1.05 - 0.02, max(0.35, -0.14 * max(lowest, -_DEEPEST)))
    return [*curve, Line2D([], [], color=GREEN, marker="o", ls="")]


def _share(share: float) -> str:
    if 0.005 <= share < 0.995:
        return f"{100.0 * share:.0f}%"
    return "<1%" if share < 0.005 else ">99%"


def _mark_modes(ax: Axes, post: Posterior) -> None:
    """Mark the modes, with the posterior share of each basin; limits and modes off the axis at its edges."""
    best = post.evidence.best.log_evidence
    low, high = np.log(ax.get_xlim())
    bottom = ax.get_ylim()[0]
    size = font_points("small")
    width = settle(ax)[0] * 72.0
    several = len(post.evidence_modes) > 1
    at, texts = [], []
    for one in post.evidence_modes:
        lam, height = one.mode.lam, max(one.mode.log_evidence - best, 0.96 * bottom)
        x = float(np.clip((np.log(lam) if lam > 0 else -np.inf) if lam < np.inf else np.inf, low, high))
        marker = "o" if low < x < high else ("<" if x == low else ">")
        ax.plot(np.exp(x), height, color=GREEN, marker=marker, ms=7, ls="", clip_on=False, zorder=4)
        at.append((x - low) / (high - low))
        share = f"\n{_share(one.share)} of mass" if several and not post.lambda_.known else ""
        texts.append(f"λ = {number(lam)}{share}")
    wide = 72.0 * max(letters_wide(line, size) for text in texts for line in text.split("\n")) / width
    places = spread(np.array(at), 1.08 * wide, 0.5 * wide, 1.0 - 0.5 * wide)
    for x, text in zip(places, texts, strict=True):
        ax.text(x, 1.0, text, transform=ax.transAxes, ha="center", va="bottom", fontsize=size, color=GREEN)
