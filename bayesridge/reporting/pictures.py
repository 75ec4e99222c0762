"""The pictures of lambda: its posterior, the ridge trace, errors, evidence and shrinkage along the slider's range."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.evidence import profile_log_evidence
from bayesridge.linalg.filters import filter_factors
from bayesridge.reporting import svg
from bayesridge.reporting.html import number
from bayesridge.reporting.payload import SliderData

Array = NDArray[np.float64]

_POINTS = 121
COLOURS = 6
MOST_BARS = 60  # directions with a bar each; of more a curve is drawn
_DEPTH = 12.0  # nats below its maximum that the evidence is shown


@dataclass(frozen=True, eq=False)
class LambdaPictures:
    """Pictures over log lambda. They are complete without the script, which adds the cursor.

    Attributes
    ----------
    data : SliderData
    level : float
        Of the posterior interval.
    """

    data: SliderData
    level: float

    @cached_property
    def t(self) -> Array:
        """Grid in log lambda, finer where the posterior is."""
        even = np.linspace(self.data.low, self.data.high, _POINTS)
        marginal = self.data.posterior.lambda_
        if marginal.known:
            return even
        ends = np.clip(np.log(marginal.quantile([1e-5, 1.0 - 1e-5])), self.data.low, self.data.high)
        fine = np.linspace(float(ends[0]), float(ends[1]), _POINTS)
        return np.unique(np.concatenate([even, fine]))

    @cached_property
    def x(self) -> svg.Axis:
        """The common horizontal axis."""
        return svg.x_axis(self.data.low, self.data.high, log=True)

    @property
    def _interval(self) -> Array | None:
        marginal = self.data.posterior.lambda_
        if marginal.known:
            return None
        return np.log(np.asarray(marginal.interval(self.level)))

    def _backdrop(self) -> list[str]:
        """Posterior interval as a band; a line where lambda is a point."""
        ends = self._interval
        if ends is None:
            value = self.data.posterior.lambda_.median
            if not 0 < value < np.inf:
                return []
            return [svg.vertical(float(self.x.inside(np.log(value))), "fixed")]
        a, b = self.x.inside(ends)
        return [svg.area([a, b], [svg.BOTTOM] * 2, [svg.TOP] * 2, "band")]

    def density(self) -> Array:
        """Posterior density of log lambda on the grid, relative to its maximum (zeros for a point)."""
        marginal = self.data.posterior.lambda_
        if marginal.known:
            return np.zeros(len(self.t))
        height = np.exp(marginal.log_pdf_log(self.t))
        return np.asarray(height / max(float(height.max()), 1e-300))

    def behind_slider(self) -> str:
        """Density behind the slider, stretched to its width."""
        width, height = 1000.0, 100.0
        x, top = width * self.data.along(self.t), height * (1.0 - 0.94 * self.density())
        ends = self._interval
        parts = [svg.area(x, np.full(len(x), height), top, "density")]
        if ends is None:
            value = self.data.posterior.lambda_.median
            if 0 < value < np.inf:
                at = width * float(self.data.along(np.log(value)))
                parts = [f'<path class="line fixed" d="M{at:.1f} 0V100"/>']
        else:
            inside = (self.t >= ends[0]) & (self.t <= ends[1])
            parts.append(svg.area(x[inside], np.full(int(inside.sum()), height), top[inside], "density-core"))
        return (
            '<svg class="behind" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">'
            f"{''.join(parts)}</svg>"
        )

    def posterior(self, marks: list[float]) -> str:
        """Posterior density of lambda over its logarithm, with the rules' choices as strokes below."""
        y = svg.y_axis(-0.12, 1.05)
        d = self.density()
        body = self._backdrop()
        body.append(svg.area(self.x(self.t), np.full(len(d), y(0.0)), y(d), "density"))
        body.append(svg.line(self.x(self.t), y(d), "c1"))
        inside = [m for m in marks if 0 < m < np.inf and self.data.low <= np.log(m) <= self.data.high]
        if inside:
            at = self.x(np.log(inside))
            body.append(svg.segments(at, np.full(len(at), y(-0.09)), np.full(len(at), y(-0.02)), "rule-mark"))
        describe = "posterior density of lambda on a logarithmic axis, with the choices of the rules below it"
        name = "posterior density of log λ, relative to its maximum"
        return svg.chart(describe, self.x, y, "λ (logarithmic)", name, [*body, svg.cursor(self.x)])

    def errors(self) -> str:
        """Root mean squared error in the sample and left out."""
        found = self.data.log_mean_squares(self.t)
        if found is None:
            return ""
        curve = np.exp(0.5 * found)
        # at the ends least squares may err wildly: what matters is near the posterior
        best = float(np.nanmin(curve[:, 1]))
        top = min(float(np.nanmax(curve)), 3.0 * best)
        y = svg.y_axis(*svg.span(curve[curve <= top], [top]))
        pixels = self.x(self.t)
        clipped = np.where(curve <= y.high, curve, np.nan)
        body = [
            *self._backdrop(), svg.line(pixels, y(clipped[:, 0]), "c3 dash2"), svg.line(pixels, y(clipped[:, 1]), "c1"),
            svg.cursor(self.x), svg.on_curve(self.x, y, "trainRmse", "c3"), svg.on_curve(self.x, y, "looRmse", "c1"),
        ]  # fmt: skip
        unit = f"RMSE, units of {self.data.posterior.design.target_name}"
        unit = unit if len(unit) <= 48 else "RMSE, units of the target"
        return svg.chart("root mean squared error over lambda, within the sample and leave-one-out", self.x, y,
                         "λ (logarithmic)", unit, body)  # fmt: skip

    def evidence(self) -> str:
        """Log evidence relative to its maximum."""
        value = (
            profile_log_evidence(self.data.spectrum, np.exp(self.t)) - self.data.posterior.evidence.best.log_evidence
        )
        low = max(float(value.min()), -_DEPTH)
        y = svg.y_axis(low * 1.08 - 0.05, 0.6 if low < -4 else 0.12 * max(-low, 0.1))
        shown = np.where(value >= y.low, value, np.nan)
        body = [
            *self._backdrop(), svg.line(self.x(self.t), y(shown), "c2"), svg.cursor(self.x),
            svg.on_curve(self.x, y, "relativeEvidence", "c2"),
        ]  # fmt: skip
        return svg.chart("log evidence over lambda, relative to its maximum", self.x, y, "λ (logarithmic)",
                         "log evidence, nats below the maximum", body)  # fmt: skip

    def trace(self) -> tuple[str, str]:
        """Ridge trace of the columns shown, and its legend."""
        paths = self.data.standardized(np.exp(self.t))
        order = self._importance()
        start = self._interval
        seen = paths
        if start is not None:  # scale to what the posterior thinks possible, not to the unstable end
            near = (self.t >= start[0] - 2.5) & (self.t <= start[1] + 2.5)
            seen = paths[near]
        y = svg.y_axis(*svg.span(seen, [0.0]))
        pixels = self.x(self.t)
        body = self._backdrop()
        body.append(f'<path class="zero" d="M{svg.LEFT} {float(y(0.0)):.1f}H{svg.RIGHT}"/>')
        clipped = np.where((paths >= y.low) & (paths <= y.high), paths, np.nan)
        body += [svg.line(pixels, y(clipped[:, k]), "rest") for k in order[COLOURS:]]
        body += [svg.line(pixels, y(clipped[:, k]), f"t{i}") for i, k in reversed(list(enumerate(order[:COLOURS])))]
        body.append(svg.cursor(self.x))
        names = [(f"t{i}", self.data.names[k]) for i, k in enumerate(order[:COLOURS])]
        if len(order) > COLOURS:
            names.append(("rest", f"{len(order) - COLOURS} others"))
        unit = f"standardised coefficient, units of {self.data.posterior.design.target_name}"
        unit = unit if len(unit) <= 58 else "standardised coefficient, units of the target"
        picture = svg.chart("ridge trace: standardised coefficients over lambda", self.x, y, "λ (logarithmic)", unit,
                            body)  # fmt: skip
        return picture, svg.legend(names)

    def _importance(self) -> list[int]:
        """Penalised columns shown, by the posterior mean of their standardised coefficient, largest first."""
        mean = np.abs(self.data.posterior.coefficients.mean[self.data.columns] / self.data.linear.unit)
        order = np.argsort(-mean, kind="stable")
        penalized = set(self.data.posterior.design.penalized.tolist())
        return [int(k) for k in order if int(self.data.columns[k]) in penalized]

    def shrinkage(self) -> str:
        """Filter factors by direction: posterior interval, and the slider's value as an area."""
        spectrum, marginal = self.data.spectrum, self.data.posterior.lambda_
        rank = spectrum.rank
        x = svg.Axis(0.0, max(rank, 1), svg.LEFT, svg.RIGHT)
        y = svg.y_axis(0.0, 1.04)
        bottom, top = float(y(0.0)), float(y(1.0))
        live = (
            f'<path id="filter-live" class="filter" data-steps="{int(rank <= MOST_BARS)}" '
            f'data-left="{svg.LEFT}" data-right="{svg.RIGHT}" data-top="{top:.3f}" data-bottom="{bottom:.3f}" d=""/>'
        )
        body = [live]
        if rank:
            tail = 0.5 * (1.0 - self.level)
            f = filter_factors(spectrum, marginal.quantile([tail, 0.5, 1.0 - tail]))
            centre = x(np.arange(rank) + 0.5)
            if rank <= MOST_BARS:
                body += [svg.segments(centre, y(f[2]), y(f[0]), "interval"), svg.points(centre, y(f[1]), "median")]
            else:
                body += [svg.area(centre, y(f[2]), y(f[0]), "band"), svg.line(centre, y(f[1]), "c1")]
        ticks = svg.Axis(0.5, max(rank, 1) + 0.5, svg.LEFT, svg.RIGHT)  # directions are counted from 1
        return svg.chart("filter factors by direction: the share of each direction that is taken from the data",
                         _Whole(ticks.low, ticks.high, ticks.start, ticks.end), y,
                         "direction, strongest first", "filter factor: share taken from the data", body)  # fmt: skip


class _Whole(svg.Axis):
    """An axis of counts."""

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Whole numbers."""
        found = super().ticks(most)
        if any(value != round(value) for value, _ in found):
            found = [(float(k), number(k)) for k in range(int(np.ceil(self.low)), int(self.high) + 1)]
        return [one for one in found if one[0] >= 1]
