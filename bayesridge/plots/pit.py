"""LOO-PIT: whether the predictive distributions are calibrated on these data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.plots.expect import expect
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import describe, legend_below, one_axes
from bayesridge.plots.look import BLUE
from bayesridge.plots.pit_curve import draw_band, draw_difference
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def loo_pit(
    post: Posterior,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
    simulations: int = 500,
    random_state: int | None = 0,
) -> Axes:
    """Draw the ECDF of the leave-one-out PIT values, less the diagonal, in its simultaneous band.

    What to see: a curve inside the band is what calibrated predictions look like. A hump on the left and a dip on the
    right mean intervals too narrow, the reverse too wide; a curve above zero predictions too high, below too low.

    Parameters
    ----------
    post : Posterior
    ax : Axes, optional
    level : float
        Probability that the ECDF lies in the band at all points at once, if the model holds.
    simulations, random_state : int
        Data sets behind band and p-value, see :func:`bayesridge.checks.loo_calibration.loo_calibration`.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If rows cannot be judged one by one (several observations in a row, no residuals).
    """
    expect(post, Posterior)
    check_level(level)
    found = loo_calibration(post, simulations=simulations, alpha=1.0 - level, random_state=random_state)
    ax = one_axes(ax, 3.8)
    handles = [draw_difference(ax, found.z, found.ecdf, color=BLUE, lw=1.8)]
    handles.append(draw_band(ax, found.z, found.lower, found.upper))
    outcome = "no departure found" if found.passed else "not uniform"
    describe(ax, title=f"LOO-PIT of {found.coverage[0].rows} rows: {outcome} (p {found.p_value:.2g})",
             x="PIT = P(new y ≤ observed y | other rows)", y="ECDF − diagonal")  # fmt: skip
    ax.set_xlim(0.0, 1.0)
    legend_below(ax, handles, ["LOO-PIT values", f"{percent(level)} simultaneous band (simulated)"])
    return ax
