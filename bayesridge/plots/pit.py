"""Calibration: ECDFs of PIT values less the diagonal, of rows left out and of simulated truths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.calibration import CalibrationResult
from bayesridge.checks.ecdf_bands import ecdf, simultaneous_band
from bayesridge.checks.from_draws import OutcomeCalibration, outcome_calibration
from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.plots.inputs import expect
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import describe, legend_below, one_axes, shorten
from bayesridge.plots.look import BLUE, GREY, line_look
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_MOST_NAMED = 10


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
    expect(post, "Posterior")
    check_level(level)
    ax = one_axes(ax, 3.8)
    if post.has_curves:
        return _outcomes(ax, outcome_calibration(post, simulations=simulations, random_state=random_state), level)
    found = loo_calibration(post, simulations=simulations, alpha=1.0 - level, random_state=random_state)
    handles = [_difference(ax, found.z, found.ecdf, color=BLUE, lw=1.8)]
    handles.append(_band(ax, found.z, found.lower, found.upper))
    outcome = "no departure found" if found.passed else "not uniform"
    describe(ax, title=f"LOO-PIT of {found.coverage[0].rows} rows: {outcome} (p {found.p_value:.2g})",
             x="PIT = P(new y ≤ observed y | other rows)", y="ECDF − diagonal")  # fmt: skip
    ax.set_xlim(0.0, 1.0)
    legend_below(ax, handles, ["LOO-PIT values", f"{percent(level)} simultaneous band (simulated)"])
    return ax


def _outcomes(ax: Axes, found: OutcomeCalibration, level: float) -> Axes:
    """PIT values, of counts randomised; of outcomes that are one of two, what says more, the reliability."""
    outcome = "no departure found" if found.p_value >= 1.0 - level else "not calibrated"
    said = f"of {len(found.left.y)} rows: {outcome} (p {found.p_value:.2g})"
    if found.recalibrated is None or found.lower is None or found.upper is None:
        band = simultaneous_band(len(found.left.pit), level)
        handles = [_difference(ax, band.z, ecdf(found.left.pit), color=BLUE, lw=1.8)]
        handles.append(_band(ax, band.z, band.lower, band.upper))
        how = "LOO-PIT, randomised," if found.left.whole else "LOO-PIT"
        describe(ax, title=f"{how} {said}", x="PIT = P(new y ≤ observed y | other rows)",
                 y="ECDF − diagonal")  # fmt: skip
        ax.set_xlim(0.0, 1.0)
        legend_below(ax, handles, ["LOO-PIT values", f"{percent(level)} simultaneous band (independent values)"])
        return ax
    order = np.argsort(found.left.mean, kind="stable")
    p = found.left.mean[order]
    shade = ax.fill_between(p, found.lower[order], found.upper[order], color=GREY, alpha=0.25, lw=0)
    handles = [*ax.plot(p, found.recalibrated[order], color=BLUE, lw=1.8), shade]
    ax.plot([0.0, 1.0], [0.0, 1.0], color=ax.xaxis.label.get_color(), lw=0.6)
    describe(ax, title=f"Reliability {said}", x="probability given the other rows", y="share of successes")
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
    legend_below(ax, handles, ["isotonic regression", "95% of simulated data sets, pointwise"])
    return ax


def sbc_ranks(result: CalibrationResult, *, ax: Axes | None = None) -> Axes:
    """Draw the ECDF of each quantity's PIT values (or ranks), less the diagonal, in its simultaneous band.

    What to see: thin grey curves inside the band. A quantity that fails is drawn thick and named; a hump on the left
    and a dip on the right mean posteriors too narrow, the reverse too wide; above zero too high, below too low.

    Parameters
    ----------
    result : CalibrationResult
        From :func:`~bayesridge.checks.sbc.sbc` or :func:`~bayesridge.checks.sbc.posterior_sbc`.
    ax : Axes, optional

    Returns
    -------
    Axes
        The band is that of one quantity. Among many a curve or two may leave it by chance; which quantities fail is
        decided by p-values adjusted for their number (Holm).
    """
    expect(result, "CalibrationResult")
    ax = one_axes(ax, 4.2)
    band = result.band()
    shade = _band(ax, band.z, band.lower, band.upper)
    fine = [name for name in result.pits if name not in result.failed]
    faint = float(np.clip(12.0 / max(len(fine), 1), 0.15, 0.8))
    handles, labels = [], []
    for name in fine:
        handles = [_difference(ax, band.z, result.ecdf(name), color=GREY, lw=0.8, alpha=faint)]
        labels = [f"{len(fine)} quantities consistent"]
    worst = sorted(result.failed, key=lambda name: result.p_values[name])
    for k, name in enumerate(worst):
        named = k < _MOST_NAMED
        line = _difference(ax, band.z, result.ecdf(name), lw=1.8 if named else 0.8, **line_look(k))
        if named:
            handles.append(line)
            labels.append(f"{shorten(name, 26)}: fails")
    if len(worst) > _MOST_NAMED:
        handles.append(line)
        labels.append(f"{len(worst) - _MOST_NAMED} more fail (thin)")
    handles.append(shade)
    labels.append(f"{percent(band.level)} simultaneous band (one quantity)")
    verdict = f"{len(result.failed)} of {len(result.pits)} quantities fail" if result.failed else "no departure found"
    refused = f"; {result.refused} simulations without an answer" if result.refused else ""
    describe(ax, title=f"Calibration over {result.n} simulations ({result.kind}): {verdict}{refused}",
             x="PIT of the true value", y="ECDF − diagonal")  # fmt: skip
    ax.set_xlim(0.0, 1.0)
    legend_below(ax, handles, labels)
    return ax


def _band(ax: Axes, z: Array, lower: Array, upper: Array) -> Any:
    """Draw a band of ECDFs at points z around zero and return its handle."""
    low = np.concatenate([[0.0], lower - z, [0.0]])
    high = np.concatenate([[0.0], upper - z, [0.0]])
    z = np.concatenate([[0.0], z, [1.0]])
    ax.axhline(0.0, color=ax.xaxis.label.get_color(), lw=0.6)
    return ax.fill_between(z, low, high, color=GREY, alpha=0.25, lw=0)


def _difference(ax: Axes, z: Array, values: Array, **look: Any) -> Any:
    """Draw an ECDF at points z less the diagonal and return the line."""
    return ax.plot(np.concatenate([[0.0], z, [1.0]]), np.concatenate([[0.0], values - z, [0.0]]), **look)[0]
