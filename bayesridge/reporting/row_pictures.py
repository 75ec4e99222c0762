"""The pictures of rows and directions: predicted against observed, calibration, singular directions, influence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bayesridge.checks.influence import RowInfluence
from bayesridge.checks.spectral_check import SpectralCheck
from bayesridge.posteriors.posterior import Posterior
from bayesridge.reporting import svg

Array = NDArray[np.float64]

MOST_POINTS = 1200
_MOST_INTERVALS = 60


def some_rows(n: int, most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Indices of at most so many rows, drawn without order (the same for the same n)."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))


def predicted_observed(post: Posterior, level: float) -> str:
    """Leave-one-out predictions against observations; with intervals where rows are few."""
    loo = post.loo
    rows = np.flatnonzero(loo.count > 0)
    rows = rows[some_rows(len(rows))]
    predicted, observed = loo.mean[rows], loo.y[rows]
    ends = loo.interval(level)[rows] if len(rows) <= _MOST_INTERVALS else None
    both = svg.span(predicted, observed)
    x = svg.x_axis(*both)
    y = svg.y_axis(*both)
    a, b = float(x(both[0])), float(x(both[1]))
    body = [f'<path class="diagonal" d="M{a:.1f} {float(y(both[0])):.1f}L{b:.1f} {float(y(both[1])):.1f}"/>']
    if ends is not None:
        x_of = svg.Axis(x.low, x.high, x.start, x.end)
        low, high = x_of.inside(ends[:, 0]), x_of.inside(ends[:, 1])
        level_of = y(observed)
        body.append(
            '<path class="line faint" d="'
            + "".join([f"M{p:.1f} {r:.1f}H{q:.1f}" for p, q, r in zip(low, high, level_of, strict=True)])
            + '"/>'
        )
    kind = "dot" if len(rows) <= 200 else "dot small"
    body.append(svg.points(x(predicted), y(observed), kind))
    return svg.chart("observed target against leave-one-out prediction, with the line where both are equal", x, y,
                     "leave-one-out prediction", "observed", body)  # fmt: skip


def pit_ecdf(z: Array, ecdf: Array, lower: Array, upper: Array) -> str:
    """ECDF of the leave-one-out PIT values at points z less the uniform one, with its simultaneous band."""
    difference, low, high = ecdf - z, lower - z, upper - z
    x = svg.x_axis(0.0, 1.0)
    y = svg.y_axis(*svg.span(difference, low, high))
    zero = f'<path class="zero" d="M{svg.LEFT} {float(y(0.0)):.1f}H{svg.RIGHT}"/>'
    body = [svg.area(x(z), y(low), y(high), "band"), zero, svg.line(x(z), y(difference), "c1")]
    return svg.chart("difference of the distribution of leave-one-out PIT values from the uniform one, with its band",
                     x, y, "PIT value", "ECDF less uniform", body)  # fmt: skip


def spectral_qq(found: SpectralCheck) -> str:
    """Sorted standardised directions against normal quantiles, with the pointwise band of simulated data."""
    u = np.sort(found.standardized)
    m = len(u)
    q = ndtri((np.arange(m) + 0.5) / m)
    x = svg.x_axis(*svg.span(q))
    y = svg.y_axis(*svg.span(u, found.band))
    edge = (max(x.low, y.low), min(x.high, y.high))
    ends = [f"{float(x(v)):.1f} {float(y(v)):.1f}" for v in edge]
    body = [svg.area(x(q), y(found.band[:, 0]), y(found.band[:, 1]), "band"),
            f'<path class="diagonal" d="M{ends[0]}L{ends[1]}"/>',
            svg.points(x(q), y(u), "dot" if m <= 200 else "dot small")]  # fmt: skip
    return svg.chart("quantiles of the standardised singular directions against those of the normal distribution", x, y,
                     "normal quantile", "standardised direction", body)  # fmt: skip


def influence(found: RowInfluence) -> str:
    """How many posterior sds of log lambda each row moves it when left out."""
    shift = found.shift_in_sds
    rows = np.flatnonzero(np.isfinite(shift))
    kept = np.union1d(some_rows(len(rows)), np.searchsorted(rows, np.sort(found.top(10))))
    rows = rows[kept]
    x = svg.x_axis(-0.5, len(shift) - 0.5)
    y = svg.y_axis(*svg.span(shift[rows], [-0.2, 0.2]))
    base = np.full(len(rows), float(y(0.0)))
    zero = f'<path class="zero" d="M{svg.LEFT} {float(y(0.0)):.1f}H{svg.RIGHT}"/>'
    body = [zero, svg.segments(x(rows), base, y(shift[rows]), "stem"), svg.points(x(rows), y(shift[rows]), "dot small")]
    return svg.chart("shift of the posterior mean of log lambda when each row is left out", x, y, "row (from 0)",
                     "shift of log λ, posterior sds", body)  # fmt: skip
