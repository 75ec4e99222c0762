"""Simulation-based calibration: the ECDF of every quantity's PIT values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesridge.checks.calibration import CalibrationResult
from bayesridge.plots.expect import expect
from bayesridge.plots.lambda_axis import percent
from bayesridge.plots.layout import describe, legend_below, one_axes, shorten
from bayesridge.plots.look import GREY, line_look
from bayesridge.plots.pit_curve import draw_band, draw_difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NAMED = 10


def sbc_ranks(result: CalibrationResult, *, ax: Axes | None = None) -> Axes:
    """Draw the ECDF of each quantity's PIT values (or ranks), less the diagonal, in its simultaneous band.

    What to see: thin grey curves inside the band. A quantity that fails is drawn thick and named; a hump on the left
    and a dip on the right mean posteriors too narrow, the reverse too wide; above zero too high, below too low.

    Parameters
    ----------
    result : CalibrationResult
        From :func:`bayesridge.sbc` or :func:`bayesridge.posterior_sbc`.
    ax : Axes, optional

    Returns
    -------
    Axes
        The band is that of one quantity. Among many a curve or two may leave it by chance; which quantities fail is
        decided by p-values adjusted for their number (Holm).
    """
    expect(result, CalibrationResult)
    ax = one_axes(ax, 4.2)
    band = result.band()
    shade = draw_band(ax, band.z, band.lower, band.upper)
    fine = [name for name in result.pits if name not in result.failed]
    faint = float(np.clip(12.0 / max(len(fine), 1), 0.15, 0.8))
    handles, labels = [], []
    for name in fine:
        handles = [draw_difference(ax, band.z, result.ecdf(name), color=GREY, lw=0.8, alpha=faint)]
        labels = [f"{len(fine)} quantities consistent"]
    worst = sorted(result.failed, key=lambda name: result.p_values[name])
    for k, name in enumerate(worst):
        named = k < _MOST_NAMED
        line = draw_difference(ax, band.z, result.ecdf(name), lw=1.8 if named else 0.8, **line_look(k))
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
