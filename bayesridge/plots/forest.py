"""Forest of coefficients: MAP, full posterior, least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.fit import one_lambda
from bayesridge.linalg.filters import ridge_path
from bayesridge.plots.inputs import choose_columns, column_sd, expect, target_unit
from bayesridge.plots.lambda_axis import number, percent
from bayesridge.plots.layout import describe, legend_below, one_axes, plain, settle, shorten
from bayesridge.plots.look import BLUE, GREEN, LINES, VERMILION
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.posteriors.quantity import Quantity, check_level
from bayesridge.priors import FixedLambda, Jeffreys

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def coefficients(post: Posterior, *, ax: Axes | None = None, columns: int = 20, level: float = 0.95) -> Axes:
    """Draw each coefficient three times: posterior mean with interval, MAP, and least squares.

    What to see: where least squares is wild and its interval wide, the posterior is pulled towards zero and narrower;
    where all three agree, the data decide alone. The MAP is one point of the posterior and says nothing of its width.

    Parameters
    ----------
    post : Posterior
    ax : Axes, optional
    columns : int
        At most so many, those with the largest ``|posterior mean / sd|``.
    level : float
        Of the equal-tailed posterior interval, and of the confidence interval (Student-t) of least squares.

    Returns
    -------
    Axes
        Coefficients are those of standardised columns, in units of the target. The MAP is the ridge solution at the
        lambda of the highest evidence, or at the posterior median where the evidence is highest at 0 or infinity.
        Least squares is left out where it has no interval: dependent columns, or no degree of freedom left. Several
        scales, and draws, have neither.
    """
    expect(post, "Posterior")
    check_level(level)
    design, shown = post.design, choose_columns(post, columns)
    j, count = shown.columns, len(shown.columns)
    scale = column_sd(design)[j]
    own, ax = ax is None, one_axes(ax, 1.8 + 0.28 * max(count, 3))
    y = np.arange(count, dtype=np.float64)
    handles = [_bars(ax, y, some_coefficients(post, j), scale, level, color=BLUE, marker="o", lw=2.6, ms=6.0)]
    labels = [f"posterior mean and {percent(level)} ETI"]
    if one := _one_lambda(post):
        labels[0] += "" if one.lambda_.known else " (λ integrated)"
        lam, where = _map_lambda(one)
        fitted = ridge_path(design, one.spectrum, lam).coef[0, j] * scale
        handles += ax.plot(fitted, y - 0.24, ls="", marker="D", ms=5.0, mfc="none", color=VERMILION, zorder=3)
        labels.append(f"MAP = ridge at λ = {number(lam)} ({where})")
    if one and (ols := least_squares(one)):
        look: dict[str, Any] = {"color": GREEN, "marker": "s", "lw": 1.2, "ms": 4.0, "ls": LINES[1]}
        handles.append(_bars(ax, y + 0.24, some_coefficients(ols, j), scale, level, **look))
        labels.append(f"least squares and {percent(level)} confidence interval (t)")
    _finish(ax, post, j, shown.note)
    legend_below(ax, handles, labels, whole=own)
    return ax


def _one_lambda(post: AnyPosterior) -> Posterior | None:
    try:
        return one_lambda(post)
    except DataError:
        return None


def _finish(ax: Axes, post: Posterior, columns: NDArray[np.intp], note: str) -> None:
    design, flat = post.design, set(post.design.flat_columns.tolist())
    ax.axvline(0.0, color=ax.xaxis.label.get_color(), lw=0.6, zorder=0)
    names = [plain(shorten(design.names[j], 22)) + ("\n(not penalised)" if j in flat else "") for j in columns]
    ax.set_yticks(np.arange(len(columns)), names)
    ax.set_ylim(max(len(columns), 1) - 0.4, -0.6)
    settle(ax)  # the names take their room: what is left is for the label
    title = "Coefficients" + (f" ({note})" if note else "")
    describe(ax, title=title, x=target_unit(design))


def _bars(ax: Axes, y: Array, found: Quantity, scale: Array, level: float, **look: Any) -> Any:
    centre = found.mean * scale
    low, high = found.interval(level).T * scale
    dash, width, size = look.pop("ls", "-"), look.pop("lw"), look.pop("ms")
    ax.hlines(y, low, high, color=look["color"], lw=width, ls=dash, zorder=2)
    ax.plot(centre, y, ls="", ms=size, zorder=3, **look)
    return ax.plot([], [], lw=width, ls=dash, ms=size, **look)[0]


def some_coefficients(post: Posterior, columns: NDArray[np.intp]) -> Quantity:
    """Return the posterior of a few coefficients: quantiles of all of very many would take seconds."""
    rows = np.zeros((len(columns), len(post.design.names)))
    rows[np.arange(len(columns)), columns] = 1.0
    return post.contrast(rows, tuple([post.design.names[j] for j in columns]))


def least_squares(post: Posterior) -> Posterior | None:
    """Return least squares as the posterior under flat priors: its intervals are the t intervals; None without rank."""
    spectrum = post.spectrum
    if spectrum.rank < spectrum.n_features or spectrum.nu - spectrum.rank < 1:
        return None
    return infer(post.design, spectrum, FixedLambda(0.0), Jeffreys())


def _map_lambda(post: Posterior) -> tuple[float, str]:
    if post.lambda_.known:
        return post.lambda_.value, "plugged in" if post.method == "evidence" else "known"
    best = post.evidence.best
    if best.place == "interior":
        return best.lam, "highest evidence"
    return post.lambda_.median, "posterior median"
