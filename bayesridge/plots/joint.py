"""The joint posterior of noise and prior standard deviation, whose ratio is lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import number, percent
from bayesridge.plots.layout import describe, font_points, legend_below, one_axes, plain, settle, shorten
from bayesridge.plots.look import GREY, line_look
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_DRAWS, _VALUES = 4_000, 8_000_000  # of coefficients, which are drawn along
_DOTS = 400
_CELLS, _REACH, _SMOOTH = 121, 6.0, 0.35  # of the whitened plane: cells each way, half its width and the kernel's sd
_SHARES = (0.95, 0.5)


def scales(
    post: AnyPosterior,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
    random_state: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw the joint posterior of sigma and tau, and the lines along which lambda = sigma²/tau² is one number.

    What to see: which way the cloud is long. Across the lines lambda is uncertain, along them it is not. Sigma is
    mostly known well and tau is not: then lambda is as uncertain as tau squared.

    Parameters
    ----------
    post : AnyPosterior
        With a noise sd. Of several groups of columns each tau has its contours.
    ax : Axes, optional
    level : float
        Of the equal-tailed intervals in the title.
    random_state : int, Generator or None

    Returns
    -------
    Axes
        Both on log scales. The contours are highest-density regions that hold 50% and 95% of the draws, smoothed by a
        kernel that keeps their covariance; where sigma, tau or lambda is fixed there is no density, and the draws
        alone are shown.
    """
    expect(post, "Posterior")
    check_level(level)
    noise = (post.scales.get("sigma") or post.sigma).interval(level)  # which says why there is none
    names = [name for name in post.scales if name.startswith("tau")]
    if not names:
        raise DataError(f"this model has no prior sd tau: its scales are {', '.join(post.scales)}")
    count = int(np.clip(_VALUES // max(1, post.design.n_columns), 1_000, _DRAWS))
    drawn = post.draw(count, 1, random_state)
    sigma, tau = np.log10(drawn.sigma[0]), np.log10(drawn.tau[0].reshape(count, -1))
    ax = one_axes(ax, 4.6)
    handles: list[Any] = []
    for k, values in enumerate(tau.T):
        handles.append(_cloud(ax, sigma, values, line_look(k)))
    _frame(ax, sigma, tau)
    _equal_lambda(ax)
    says = ", ".join(f"{_greek(name)} {_ends(post.scales[name].interval(level))}" for name in names)
    name = target(post.design)
    describe(
        ax, title=f"σ {_ends(noise)}, {says} ({percent(level)} ETI)", x=f"noise sd σ ({name}, log scale)",
        y="prior sd τ (log scale)",
    )  # fmt: skip
    from matplotlib.lines import Line2D

    labels = [f"σ and {_greek(name)}: regions of 50% and 95%, and draws" for name in names]
    line = Line2D([], [], color=GREY, lw=0.9)
    legend_below(ax, [*handles, line], [*labels, "λ = σ²/τ² as written beside the line"])
    return ax


def _greek(name: str) -> str:
    return shorten(name.replace("tau", "τ"), 24)


def _ends(ends: tuple[float, float]) -> str:
    return f"{number(ends[0])} to {number(ends[1])}"


def _cloud(ax: Axes, sigma: Array, tau: Array, look: dict[str, Any]) -> Any:
    """Dots, and contours where the draws fill a plane."""
    ax.plot(10.0 ** sigma[:_DOTS], 10.0 ** tau[:_DOTS], ls="", marker=".", ms=3, color=look["color"], alpha=0.35)
    found = _density(np.stack([sigma, tau]))
    if found is not None:
        x, y, density, levels = found
        ax.contour(10.0**x, 10.0**y, density, levels, colors=[look["color"]], linestyles=[look["linestyle"]],
                   linewidths=[1.3, 2.2])  # fmt: skip
    return ax.plot([], [], lw=1.8, marker=".", **look)[0]


def _density(points: Array) -> tuple[Array, Array, Array, list[float]] | None:
    """Histogram of the whitened draws, smoothed, and its heights around 95% and 50%; None where there is no plane."""
    from scipy.ndimage import gaussian_filter

    centre: Array = np.mean(points, axis=1)
    spread = points.std(axis=1)
    if (spread < 1e-9).any() or abs(float(np.asarray(np.corrcoef(points))[0, 1])) > 1.0 - 1e-9:
        return None
    root = np.linalg.cholesky(np.atleast_2d(np.cov(points)))
    u: Array = np.linalg.solve(root, (points.T - centre).T) / np.sqrt(1.0 + _SMOOTH**2)  # smoothing gives it back
    edges = np.linspace(-_REACH, _REACH, _CELLS + 1)
    counts = np.histogram2d(u[0], u[1], bins=[edges, edges])[0]
    density = gaussian_filter(counts, _SMOOTH / (edges[1] - edges[0]))
    ordered = np.sort(density, axis=None)[::-1]
    held = np.cumsum(ordered) / ordered.sum()
    levels = [float(ordered[np.searchsorted(held, share)]) for share in _SHARES]
    middle = 0.5 * (edges[1:] + edges[:-1])
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"))
    x = np.einsum("ij,jkl->ikl", root, grid)
    return x[0] + float(centre[0]), x[1] + float(centre[1]), density, levels


def _frame(ax: Axes, sigma: Array, tau: Array) -> None:
    """Show all but a thousandth at each end, at least a tenth of a decade either way, with room for labels."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    for axis, values in (("x", sigma), ("y", tau)):
        low, high = np.quantile(values, [0.001, 0.999])
        room = 0.08 * (high - low) + 0.05
        getattr(ax, f"set_{axis}scale")("log")
        getattr(ax, f"set_{axis}lim")(10.0 ** (low - room), 10.0 ** (high + room))
        side = ax.xaxis if axis == "x" else ax.yaxis
        if high - low + 2.0 * room < 1.5:
            side.set_major_locator(LogLocator(subs=[1.0, 2.0, 5.0] if high - low > 0.5 else list(range(1, 10))))
            side.set_major_formatter(ScalarFormatter())
        side.set_minor_formatter(NullFormatter())


def _equal_lambda(ax: Axes) -> None:
    """Draw lines of equal lambda, their values where they meet the frame, and none without its value."""
    (left, right), (bottom, top) = np.log10(ax.get_xlim()), np.log10(ax.get_ylim())
    lowest, highest = 2.0 * (left - top), 2.0 * (right - bottom)
    steps = (1.0, 2.0, 5.0) if highest - lowest < 3.0 else (1.0,)
    every = max(1, round((highest - lowest) / 7.0))
    decades = range(int(np.floor(lowest)), int(np.ceil(highest)) + 1)
    lambdas = [step * 10.0**decade for decade in decades if decade % every == 0 for step in steps]
    size = font_points("x-small")
    wide, high = (72.0 * float(side) for side in settle(ax))
    rise = (size + 2.0) * (wide / (right - left)) / (high / (top - bottom))  # so far aside at the height of a label
    for lam in lambdas:
        shift = 0.5 * np.log10(lam)  # tau = sigma / sqrt(lambda): in logs, down by this
        ends = np.array([max(left, bottom + shift), min(right, top + shift)])
        if ends[1] <= ends[0]:
            continue
        (x0, x1), (y0, y1) = (ends - left) / (right - left), (ends - shift - bottom) / (top - bottom)
        if x1 > 0.999 and y1 * high < high - 2.0 * size:
            place, off, side, edge = (1.0, y1), (-2.0, 2.0), "right", "bottom"
        elif x0 < 0.001 and y0 * high > 2.0 * size:  # it leaves through the top, where its value would meet the title
            place, off, side, edge = (0.0, y0), (2.0, -2.0), "left", "top"
        elif y0 < 0.001 and (1.0 - x0) * wide > rise + 6.0 * size:
            place, off, side, edge = (x0, 0.0), (rise + 2.0, 2.0), "left", "bottom"
        else:
            continue
        ax.plot(10.0**ends, 10.0 ** (ends - shift), color=GREY, lw=0.7, alpha=0.8, zorder=0, scaley=False, scalex=False)
        ax.annotate(
            plain(f"λ = {number(lam)}"), place, xycoords="axes fraction", xytext=off, textcoords="offset points",
            ha=side, va=edge, fontsize=size, color=GREY,
        )  # fmt: skip
