"""Loss contours, the prior's circle, and the solution, for two coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.filters import standardized_coefficients
from bayesridge.plots.inputs import choose_columns, expect
from bayesridge.plots.lambda_axis import lambda_grid, number
from bayesridge.plots.layout import describe, legend_below, one_axes, shorten
from bayesridge.plots.look import BLUE, GREEN, GREY, LINES, VERMILION
from bayesridge.posteriors.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_CANDIDATES = 30


@dataclass(frozen=True, eq=False)
class TwoCoefficients:
    """The ridge problem of two standardised coefficients, the others held at their ridge solution.

    With beta the ridge solution, r its residuals and d a change of the two coefficients,

        |r - X d|^2 = |r|^2 - 2 (X'r)' d + d'G d,    X'r = lambda beta    (the normal equations),

    so that nothing but G, lambda and beta is needed. Its minimum over d lies at ``lambda G^-1 beta``, and ridge on
    these two alone, at the same lambda, gives beta back: the circle through it touches a contour there.

    Attributes
    ----------
    names : tuple of str
    lam : float
    gram : ndarray of shape (2, 2)
        G, the cross-product of the two columns (standardised, flat directions projected out).
    solution : ndarray of shape (2,)
    minimum : ndarray of shape (2,)
        Where the loss is smallest; the nearest such point to the solution when the two columns are dependent.
    """

    names: tuple[str, str]
    lam: float
    gram: Array
    solution: Array
    minimum: Array

    def excess(self, beta: Array) -> Array:
        """Residual sum of squares above its minimum, at points of shape (..., 2)."""
        d = beta - self.minimum
        return np.asarray(np.einsum("...i,ij,...j->...", d, self.gram, d))

    def ellipse(self, excess: float, points: int = 361) -> Array:
        """Contour of the loss, shape (points, 2)."""
        angle = np.linspace(0.0, 2.0 * np.pi, points)
        values, axes = np.linalg.eigh(self.gram)
        # dependent columns: the valley has no end, and is drawn as long as rounding lets it be
        half = np.sqrt(excess / np.maximum(values, 1e-9 * values[-1]))
        return np.asarray(self.minimum + (np.column_stack([np.cos(angle), np.sin(angle)]) * half) @ axes.T)


def two_coefficients(post: Posterior, pair: tuple[str, str] | None = None, lam: float | None = None) -> TwoCoefficients:
    """Set up the problem of two penalised columns.

    Parameters
    ----------
    post : Posterior
    pair : tuple of str, optional
        Column names; by default the two most correlated penalised ones, of the thirty with the largest
        ``|posterior mean / sd|``.
    lam : float, optional
        The posterior median by default.

    Raises
    ------
    DataError
        If a column is unknown or not penalised, or there are not two, or lambda is not positive and finite.
    """
    expect(post, "Posterior")
    design, spectrum = post.design, post.spectrum
    if design.basis is not None:
        raise DataError("the penalty is on combinations of coefficients: the prior of two of them is no circle")
    names = [design.names[j] for j in design.penalized]
    if len(names) < 2:
        raise DataError(f"a picture of two coefficients needs two penalised columns, these data have {len(names)}")
    a, b = _positions(post, names, pair)
    lam = post.lambda_.median if lam is None else lam
    if not 0.0 < lam < np.inf:
        raise DataError(f"lambda must be positive and finite to draw its circle, got {lam}")
    gram = spectrum.gram(np.array([a, b]))
    solution = standardized_coefficients(spectrum, lam)[[a, b]]
    minimum = solution + lam * np.linalg.pinv(gram, rcond=1e-10, hermitian=True) @ solution
    return TwoCoefficients((names[a], names[b]), float(lam), gram, solution, minimum)


def _positions(post: Posterior, names: list[str], pair: tuple[str, str] | None) -> tuple[int, int]:
    if pair is None:
        return _most_correlated(post)
    if len(pair) != 2 or pair[0] == pair[1]:
        raise DataError(f"pair must be two different column names, got {pair!r}")
    for name in pair:
        if name not in names:
            raise DataError(f"pair names {name!r}, but the penalised columns are {', '.join(names)}")
    return names.index(pair[0]), names.index(pair[1])


def _most_correlated(post: Posterior) -> tuple[int, int]:
    """Positions (among the penalised) of the two most correlated of the columns that stand out."""
    design, spectrum = post.design, post.spectrum
    flat = set(design.unpenalized.tolist())
    stand_out = [j for j in choose_columns(post, _CANDIDATES + len(flat)).columns if j not in flat]
    position = np.searchsorted(design.penalized, np.array(stand_out))
    gram = spectrum.gram(position)
    size = np.sqrt(np.maximum(gram.diagonal(), 1e-300))
    correlation = np.triu(np.abs(gram / size / size[:, None]), 1)
    a, b = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    return int(position[a]), int(position[b])


def contours(
    post: Posterior, pair: tuple[str, str] | None = None, *, lam: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the loss and the prior of two coefficients: ellipses, a circle, and the ridge solution where they touch.

    What to see: the solution is where the smallest circle around zero (the prior) touches a contour of the loss. Along
    a narrow valley, which correlated columns make, the penalty moves it far; across the valley hardly at all.

    Parameters
    ----------
    post : Posterior
    pair : tuple of str, optional
        Names of two penalised columns; by default the two most correlated, of the thirty with the largest
        ``|posterior mean / sd|``.
    lam : float, optional
        The posterior median by default.
    ax : Axes, optional

    Returns
    -------
    Axes
        Both axes are coefficients of standardised columns, to the same scale. The other coefficients are held at their
        ridge solution; only along the path of the solution over lambda do they move too.
    """
    import matplotlib.pyplot as plt

    problem = two_coefficients(post, pair, lam)
    ax = one_axes(ax, min(5.4, float(plt.rcParams["figure.figsize"][0]) + 1.2))
    touching, at_zero = float(problem.excess(problem.solution)), float(problem.excess(np.zeros(2)))
    for root in np.sqrt(at_zero) * np.arange(1, 6) / 5.0:  # evenly spaced, the last one through zero
        ax.plot(*problem.ellipse(root**2).T, color=BLUE, lw=0.7, ls=LINES[1], alpha=0.8)
    handles = ax.plot(*problem.ellipse(touching).T, color=BLUE, lw=1.8)
    radius = float(np.linalg.norm(problem.solution))
    angle = np.linspace(0.0, 2.0 * np.pi, 361)
    handles += ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=VERMILION, lw=1.8)
    path = _path(post, problem)
    handles += ax.plot(*path.T, color=GREEN, lw=1.6, ls=LINES[2])
    point: dict[str, Any] = {"ls": "", "zorder": 4, "ms": 7.0}
    handles += ax.plot(*problem.minimum, marker="s", color=BLUE, **point)
    handles += ax.plot(*problem.solution, marker="o", color=VERMILION, **point)
    ax.plot(0.0, 0.0, marker="+", color=GREY, ms=9, ls="")
    _frame(ax, problem, radius)
    labels = [
        "loss as large as at the solution", f"|β| = {number(radius)}, the prior's circle", "solution as λ varies",
        "smallest loss, other coefficients held", f"ridge solution at λ = {number(problem.lam)}",
    ]  # fmt: skip
    legend_below(ax, handles, labels)
    return ax


def _path(post: Posterior, problem: TwoCoefficients) -> Array:
    grid = lambda_grid(post, 300, np.array([problem.lam]))
    names = [post.design.names[j] for j in post.design.penalized]
    columns = [names.index(name) for name in problem.names]
    ends = np.concatenate([[grid[0] * 1e-3], grid, [grid[-1] * 1e3]])
    return standardized_coefficients(post.spectrum, ends)[:, columns]


def _frame(ax: Axes, problem: TwoCoefficients, radius: float) -> None:
    """Show zero, solution and minimum with room around them; circle and contours are cut by the frame."""
    from matplotlib.ticker import MaxNLocator

    points = np.vstack([problem.minimum, problem.solution, np.zeros(2)])
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.5 * float((high - low).max()) + 0.35 * radius
    centre = 0.5 * (low + high)
    ax.set_xlim(centre[0] - half, centre[0] + half)
    ax.set_ylim(centre[1] - half, centre[1] + half)
    ax.set_aspect("equal", adjustable="box")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    ink = ax.xaxis.label.get_color()
    ax.axhline(0.0, color=ink, lw=0.5)
    ax.axvline(0.0, color=ink, lw=0.5)
    first, second = (f"coefficient of {shorten(name, 24)} (per sd)" for name in problem.names)
    describe(
        ax, title="Loss, prior, and where they meet (other coefficients at their ridge solution)", x=first, y=second
    )
