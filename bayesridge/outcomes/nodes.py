r"""Nodes in t = log lambda = -2 log tau: found by Laplace's approximation, then a bell of EP at each.

The trapezoidal rule on ``t = c + L sinh(u / L)`` (:class:`bayesridge.hyper.quadrature.Stretch`). It runs until the
density is negligible as lambda grows, and until tau^2 times the density is as tau grows: separated data leave a power
of tau there, and without that tail the means and sds of coefficients would be cut short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from bayesridge.errors import ImproperPosteriorError
from bayesridge.hyper.quadrature import Stretch
from bayesridge.outcomes.penalized import Bell, penalized_mode
from bayesridge.outcomes.prior import LogPrior
from bayesridge.outcomes.problem import Outcome
from bayesridge.outcomes.propagation import propagate

Array = NDArray[np.float64]

_CUT = 12.0  # nats below the top: 6e-6 of the posterior
_FURTHEST = 40.0  # |t| that is looked at
_BULK = 3.0
_STEP = 0.7  # of the bulk's half width over sqrt(2 * 3): sds of a Gaussian bulk
_MOST_STEP = 1.5


@dataclass(frozen=True, eq=False)
class Node:
    """A bell at one lambda, and the log of its share of the integral before correction, up to a constant.

    Attributes
    ----------
    t : float
        Log lambda.
    log_step : float
        Log of prior density times width.
    bell : Bell
    """

    t: float
    log_step: float
    bell: Bell


def lay_nodes(problem: Outcome, log_prior: LogPrior) -> list[Node]:
    """Place the nodes and approximate the coefficients at each.

    Parameters
    ----------
    problem : Outcome
    log_prior : callable
        Log density of t.

    Raises
    ------
    ImproperPosteriorError
        If the posterior does not fall off as tau grows.
    """
    t, f, starts = _scan(problem, log_prior)
    if len(t) < 4:
        raise ImproperPosteriorError("the posterior of lambda is narrower than float64 can resolve; fix lambda instead")
    stretch = _layout(t, f)
    points, log_jacobian = stretch.nodes()
    log_step = log_prior(points) + log_jacobian + np.log(stretch.step)
    nodes = []
    for point, step in zip(points, log_step, strict=True):
        laplace = penalized_mode(problem, float(np.exp(point)), starts[int(np.abs(t - point).argmin())])
        nodes.append(Node(float(point), float(step), propagate(problem, float(np.exp(point)), laplace)))
    return nodes


def one_node(problem: Outcome, t: float) -> list[Node]:
    """The only node where lambda is known."""
    laplace = penalized_mode(problem, float(np.exp(t)))
    return [Node(t, 0.0, propagate(problem, float(np.exp(t)), laplace))]


def most_evident(problem: Outcome) -> float:
    """Log lambda at which the evidence is largest.

    Raises
    ------
    ImproperPosteriorError
        If it grows without end towards an end.
    """
    grid = np.arange(-0.5 * _FURTHEST, 0.5 * _FURTHEST + 1.0)
    found: list[Bell] = []
    for t in grid[::-1]:  # from the null model, where Newton's method is at home
        found.append(penalized_mode(problem, float(np.exp(t)), found[-1].mean if found else None))
    found.reverse()
    k = int(np.argmax([bell.log_evidence for bell in found]))
    if problem.rank == 0 or found[k].log_evidence - found[-1].log_evidence < 1e-6:
        raise ImproperPosteriorError(
            f"the evidence is highest as lambda -> infinity: these data show no signal of the columns in "
            f"{problem.design.target_name}, and there is no lambda to plug in; method='posterior' averages over lambda"
        )
    if k == 0:
        raise ImproperPosteriorError(
            "the evidence is highest as lambda -> 0, as it is where the columns separate the outcomes: there is no "
            "lambda to plug in; method='posterior' averages over lambda under a prior instead"
        )

    def lost(t: float) -> float:
        laplace = penalized_mode(problem, float(np.exp(t)), found[k].mean)
        return -propagate(problem, float(np.exp(t)), laplace).log_evidence

    within = (float(grid[max(k - 2, 0)]), float(grid[min(k + 2, len(grid) - 1)]))
    return float(minimize_scalar(lost, bounds=within, method="bounded", options={"xatol": 1e-3}).x)


def _scan(problem: Outcome, log_prior: LogPrior) -> tuple[Array, Array, list[Array]]:
    """Laplace's log density of t on a unit grid, outwards until it no longer counts."""
    found: dict[int, tuple[float, Array]] = {}

    def look(k: int, start: Array | None) -> float:
        bell = penalized_mode(problem, float(np.exp(k)), start)
        found[k] = (bell.log_evidence + float(log_prior(np.array(float(k)))), bell.mean)
        return found[k][0]

    look(0, None)
    for outward, moment in ((1, 0.0), (-1, 1.0)):
        k = 0
        while True:
            k += outward
            value = look(k, found[k - outward][1])
            top = max(one[0] for one in found.values())
            # moment: tau^2 = exp(-t) times the density, relative to its largest value
            weighed = max(one[0] - moment * j for j, one in found.items())
            falling = value < found[k - outward][0]
            if falling and value < top - _CUT and value - moment * k < weighed - _CUT:
                break
            if abs(k) >= _FURTHEST:
                _refuse_endless(found[k][0], found[k - outward][0], top, outward)
                break
    keys = sorted(found)
    return np.array(keys, dtype=np.float64), np.array([found[k][0] for k in keys]), [found[k][1] for k in keys]


def _refuse_endless(last: float, before: float, top: float, outward: int) -> None:
    if last < top - _CUT and last < before:
        return  # proper; moments of coefficients may not exist
    if outward > 0:
        raise ImproperPosteriorError(
            f"the posterior of lambda = 1/tau² lies, or reaches, beyond {np.exp(_FURTHEST):.0e}: the prior of tau, the "
            "offset or a weight is too far from the other data to be integrated; change its scale, or fix lambda"
        )
    raise ImproperPosteriorError(
        f"the posterior does not fall off as tau -> infinity (it loses {before - last:.1e} nats per unit of log lambda "
        "there), so it cannot be normalised: the columns separate the outcomes and this prior of tau has too heavy a "
        "tail; use the default, a half-t with at least q + 3 degrees of freedom, q flat columns with the intercept"
    )


def _layout(t: Array, f: Array) -> Stretch:
    fine = np.linspace(t[0], t[-1], 40 * len(t))
    smooth = CubicSpline(t, f)(fine)
    inside = fine[smooth > smooth.max() - _BULK]
    centre, width = 0.5 * (inside[0] + inside[-1]), 0.5 * max(inside[-1] - inside[0], 0.2)
    step = min(_STEP * width / np.sqrt(2.0 * _BULK), _MOST_STEP)
    low, high = width * np.arcsinh((t[0] - centre) / width), width * np.arcsinh((t[-1] - centre) / width)
    count = int(np.ceil((high - low) / step)) + 1
    return Stretch(float(centre), float(width), float(low), float((high - low) / (count - 1)), count)
