"""Terms of mixed and additive models: the effects of a factor's levels, and the curve of a smooth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import AxesArray, describe, legend_below, one_axes, panels, plain, settle, shorten
from bayesridge.plots.look import BLUE, GREY, line_look
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED = 40  # levels that are written out


def levels(post: AnyPosterior, name: str, *, axes: Any = None, level: float = 0.95) -> AxesArray:
    """Draw the effects of all levels of a factor in their order: a caterpillar.

    What to see: levels whose interval does not touch zero are known to lie above or below the average; the grey band is
    where the effect of a level without rows would lie. Effects are shrunken towards zero, those of few rows the most.

    Parameters
    ----------
    post : AnyPosterior
        Of a formula with ``(1 | name)``, or of a group that is a column of text.
    name : str
    axes : array_like of Axes, optional
        One, or one for each of correlated parts.
    level : float
        Of the equal-tailed intervals.

    Returns
    -------
    ndarray of Axes
        Up to 40 levels are named; more are ranks.
    """
    expect(post, "Posterior")
    check_level(level)
    found = post.levels(name)  # type: ignore[attr-defined]
    parts = next(one.parts for one in post.design.blocks if one.name == name)
    labels = found.labels[::parts]
    count = len(labels) - 1
    named = count <= _NAMED
    drawn = panels(axes, (1, parts), 1.2 + 0.6 * parts + 0.22 * max(count, 5) if named else 3.6)
    mean, ends = found.mean.reshape(-1, parts), found.interval(level).reshape(-1, parts, 2)
    for part, ax in enumerate(drawn):
        order = np.argsort(mean[:-1, part], kind="stable")
        at, place = mean[order, part], np.arange(count)
        low, high = ends[order, part].T
        slope = found.labels[part].partition(": ")[2] if part else ""
        what = f"{target(post.design)}{f' per unit of {shorten(slope)}' if slope else ''}"
        if named:
            ax.axvspan(*ends[-1, part], color=GREY, alpha=0.2, lw=0)
            ax.axvline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
            bars = ax.hlines(place, low, high, color=BLUE, lw=2.0)
            (dots,) = ax.plot(at, place, color=BLUE, marker="o", ms=4, ls="")
            ax.set_yticks(place, [plain(shorten(labels[k], 20)) for k in order])
            ax.set_ylim(-0.7, count - 0.3)
        else:
            ax.axhspan(*ends[-1, part], color=GREY, alpha=0.2, lw=0)
            ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
            bars = ax.vlines(place + 1, low, high, color=BLUE, lw=0.6, alpha=0.5)
            (dots,) = ax.plot(place + 1, at, color=BLUE, marker=".", ms=3, ls="")
        if axes is None:
            settle(ax)
        title = f"Effects of {count} levels of {shorten(name)}{f' on the slope of {shorten(slope)}' if slope else ''}"
        describe(ax, title=title, **({"x": what} if named else {"x": "levels by rank", "y": what}))
        band = ax.fill_between([], [], color=GREY, alpha=0.2, lw=0)
        said = [f"mean and {percent(level)} ETI", f"a new level: {percent(level)} ETI"]
        legend_below(ax, [(bars, dots), band], said)
    return drawn


def smooth(fit: Any, term: str, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Draw the curve of a smooth with its pointwise credible band.

    What to see: where the band leaves zero the curve is known to lie above or below its average. The uncertainty of
    the penalty is in it. A band that holds 95% at each point holds the whole curve less often.

    Parameters
    ----------
    fit : BayesRidge
        Fitted, with a formula.
    term : str
        As in the formula, ``"s(age)"``.
    ax : Axes, optional
    level : float
        Of the equal-tailed intervals.

    Returns
    -------
    Axes
        The curve of each level where the smooth has ``by``.
    """
    expect(fit, "fitted BayesRidge")
    check_level(level)
    found = fit.smooth(term)
    one = next(s for s in fit._table.formula.blocks.smooths if s.term.name == term)
    low, high = one.range
    x = np.linspace(low, high, 100)
    own, ax = ax is None, one_axes(ax, 3.4)
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
    handles, labels = [], []
    for k, start in enumerate(one.starts):
        some = slice(k * len(x), (k + 1) * len(x))
        look = line_look(k)
        ax.fill_between(x, *found.interval(level)[some].T, color=look["color"], alpha=0.25, lw=0)
        handles += ax.plot(x, found.mean[some], lw=1.8, **look)
        labels.append(shorten(start.rstrip(": "), 20))
    title = f"{shorten(term, 30)}: mean and pointwise {percent(level)} ETI"
    describe(ax, title=title, x=shorten(one.term.expression), y=f"{target(fit.posterior_.design)}, less its average")
    if len(labels) > 1:
        legend_below(ax, handles, labels, whole=own)
    return ax
