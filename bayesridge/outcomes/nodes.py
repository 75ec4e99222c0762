r"""Nodes in t = log lambda = -2 log tau: found by Laplace's approximation, then a bell of EP at each.

The trapezoidal rule on ``t = c + L sinh(u / L)`` (:class:`bayesridge.hyper.quadrature.Stretch`). It runs until the
density is negligible as lambda grows, and until tau^2 times the density is as tau grows: separated data leave a power
of tau there, and without that tail the means and sds of coefficients would be cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator, CubicSpline
from scipy.linalg import solve_triangular
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from bayesridge.errors import ImproperPosteriorError
from bayesridge.hyper.marginal import EXP, Marginal, PointMass, marginal
from bayesridge.hyper.quadrature import Stretch
from bayesridge.outcomes.penalized import Bell, first_guess, penalized_mode
from bayesridge.outcomes.prior import LogPrior
from bayesridge.outcomes.problem import Outcome
from bayesridge.outcomes.propagation import propagate

Array = NDArray[np.float64]

_CUT = 12.0  # nats below the top: 6e-6 of the posterior
_FURTHEST = 40.0  # |t| that is looked at, where rows say as much as one number of variance one
_MOST_TOLD = 1e14  # counts whose likelihood float64 holds
_BULK = 3.0
_BESIDE = 6.0  # nats below the top, where Laplace's bell will do among hundreds of nodes
_FEWEST = 3  # points inside the cut that show the shape
_STEP = 0.7  # of the bulk's half width over sqrt(2 * 3): sds of a Gaussian bulk
_MOST_STEP = 1.5
_MOST_GAP = 1.0  # sds of a coefficient from one bell to the next
_MOST_FINER = 8
_MOST_NODES = 1_000
_NOTHING = 1e-10  # of the largest mass
_COUNTS = 1e-3  # probability of a node that quantiles may hang on


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
    extra : float or None
        Value of the family's further parameter.
    """

    t: float
    log_step: float
    bell: Bell
    extra: float | None = None


@dataclass(eq=False)
class _Survey:
    """Laplace's log density of (t, log of the further parameter) on a lattice, as far as it counts.

    Attributes
    ----------
    log_prior : callable or None
        Of t; None where t is known to be the origin.
    found : dict
        Height and mode at (k, j), in units of `steps` from the origin; where nothing is learned beside t, j is 0.
    """

    problem: Outcome
    log_prior: LogPrior | None
    origin: float = 0.0
    steps: tuple[float, float] = (1.0, 2.0)

    def __post_init__(self) -> None:
        self.found: dict[tuple[int, int], tuple[float, Array]] = {}
        self.rows: dict[int, float] = {}

    @cached_property
    def furthest(self) -> float:
        """How far is looked: counts near 1e6 tell coefficients of .001 from none, and the tail begins beyond."""
        return _FURTHEST + log_information(self.problem)

    def all(self) -> _Survey:
        """Look outwards until it no longer counts, more closely where the posterior is narrow."""
        if self.problem.family.learns is None:
            self.rows[0] = self._line(0)
        else:
            self._outwards(self._line, self.rows, self.steps[1], {})
        for axis, free in ((0, self.log_prior is not None), (1, self.problem.family.learns is not None)):
            f = self.marginal(axis)[1]
            if free and np.count_nonzero(f > f.max() - _CUT) < _FEWEST:
                if self.steps[axis] < 1e-3:
                    raise ImproperPosteriorError(
                        "the posterior of lambda is narrower than float64 can resolve; fix lambda instead"
                    )
                finer = (self.steps[0] * (0.25, 1.0)[axis], self.steps[1] * (1.0, 0.25)[axis])
                return _Survey(self.problem, self.log_prior, self.origin, finer).all()
        return self

    def marginal(self, axis: int) -> tuple[Array, Array]:
        """Points along an axis and the log density there, the other axis summed."""
        keys = sorted({at[axis] for at in self.found})
        f = [np.logaddexp.reduce([one[0] for at, one in self.found.items() if at[axis] == k]) for k in keys]
        return (0.0, self.origin)[axis == 0] + np.array(keys) * self.steps[axis], np.array(f)

    def beside(self, t: Array, s: float) -> tuple[Array, Array, list[Array]]:
        """How high it may be at points, as such and times tau^2, and the modes at the nearest points of the lattice.

        The heights are those of the four points around: the lines of the survey lie e^2 apart, and the density between
        two may count where that at the nearer one does not.
        """
        rows = sorted(self.rows, key=lambda j: abs(j * self.steps[1] - s))[:2]
        heights, weighed, starts = [], [], []
        for j in rows:
            line = np.sort([k for k, row in self.found if row == j])
            at, f = self.origin + line * self.steps[0], np.array([self.found[k, j][0] for k in line])
            near = np.argsort(np.abs(at - t[:, None]), axis=1, kind="stable")[:, :2]
            heights.append(f[near].max(axis=1))
            weighed.append((f - at)[near].max(axis=1))
            starts.append([self.found[k, j][1] for k in line[near[:, 0]]])
        return np.max(heights, axis=0), np.max(weighed, axis=0), starts[0]

    def t(self, k: int) -> float:
        """Log lambda of a point."""
        return self.origin + k * self.steps[0]

    def _line(self, j: int) -> float:
        """All t at one value of the further parameter; returns the log integral."""
        problem = self.problem
        learned = problem.family.learns is not None
        s = j * self.steps[1]
        at = problem.given(float(np.exp(s))) if learned else problem
        prior = float(problem.family.log_prior(np.array(s))) if learned else 0.0
        line: dict[int, float] = {}
        known: dict[int, float] = {}
        for (k, _), (f, _) in self.found.items():
            known[k] = max(f, known.get(k, -np.inf))
        beside = {k: one for (k, other), one in self.found.items() if abs(other - j) == 1}
        start = max(beside, key=lambda k: beside[k][0]) if beside else 0

        def look(k: int) -> float:
            near = self.found.get((k, j - 1)) or self.found.get((k, j + 1)) or self.found.get((k - 1, j))
            near = near or self.found.get((k + 1, j))
            bell = penalized_mode(at, float(np.exp(self.t(k))), None if near is None else near[1])
            of_t = 0.0 if self.log_prior is None else float(self.log_prior(np.array(self.t(k))))
            self.found[k, j] = (bell.log_evidence + of_t + prior, bell.mean)
            return self.found[k, j][0]

        if self.log_prior is None:
            return look(0)
        self._outwards(look, line, self.steps[0], known, start, moment=1.0)
        return float(np.logaddexp.reduce(list(line.values())))

    def _outwards(
        self, look: Callable[[int], float], line: dict[int, float], step: float, known: Mapping[int, float],
        start: int = 0, moment: float = 0.0,
    ) -> None:  # fmt: skip
        line[start] = look(start)
        top, weighed = (
            max(known.values(), default=-np.inf),
            max((f - moment * j * step for j, f in known.items()), default=-np.inf),
        )
        for outward, power in ((1, 0.0), (-1, moment)):
            k = start
            while True:
                k += outward
                value = line[k] = look(k)
                highest = max(top, *line.values())
                # the power: tau^2 = exp(-t) times the density, relative to its largest value
                furthest = max(weighed if power else -np.inf, *[one - power * j * step for j, one in line.items()])
                falling = value < line[k - outward]
                if falling and value < highest - _CUT and value - power * k * step < furthest - _CUT:
                    break
                if abs(k * step) >= self.furthest:
                    _refuse_endless(value, line[k - outward], highest, outward, self.furthest)
                    break


def lay_nodes(problem: Outcome, log_prior: LogPrior | None, t: float = 0.0) -> list[Node]:
    """Place the nodes and approximate the coefficients at each.

    Parameters
    ----------
    problem : Outcome
    log_prior : callable or None
        Log density of t; None where lambda is known.
    t : float
        Log lambda, where it is known.

    Raises
    ------
    ImproperPosteriorError
        If the posterior does not fall off as tau grows.
    """
    survey = _Survey(problem, log_prior, t).all()
    along, across = (np.array([t]), np.zeros(1)), (np.zeros(1), np.zeros(1))
    if log_prior is not None:
        along = _rule(survey.marginal(0), log_prior)
    if problem.family.learns is not None:
        across = _rule(survey.marginal(1), problem.family.log_prior)
    nodes = _bells(survey, along, across)
    gap = _widest_gap(problem, nodes)
    if log_prior is not None and gap > _MOST_GAP:
        finer = min(int(np.ceil(1.2 * gap / _MOST_GAP)), _MOST_FINER, max(_MOST_NODES // len(nodes), 1))
        nodes = _bells(survey, _rule(survey.marginal(0), log_prior, finer), across)
    return nodes


def _bells(survey: _Survey, along: tuple[Array, Array], across: tuple[Array, Array]) -> list[Node]:
    """Approximate the coefficients at every point of the lattice that counts."""
    problem = survey.problem
    heights = {at: one[0] for at, one in survey.found.items()}
    top, top_weighed = max(heights.values()), max(f - survey.t(k[0]) for k, f in heights.items())
    nodes = []
    for s, of_s in zip(*across, strict=True):
        extra = None if problem.family.learns is None else float(np.exp(s))
        here = problem.given(extra)
        for point, of_t, height, weighed, start in zip(*along, *survey.beside(along[0], s), strict=True):
            if extra is None or height > top - _CUT - 2.0 or weighed > top_weighed - _CUT - 2.0:
                laplace = penalized_mode(here, float(np.exp(point)), start)
                far = extra is not None and height < top - _BESIDE
                bell = laplace if far else propagate(here, float(np.exp(point)), laplace)
                nodes.append(Node(float(point), float(of_s + of_t), bell, extra))
    return nodes


def _widest_gap(problem: Outcome, nodes: list[Node]) -> float:
    """How far coefficients move from one log lambda to the next, in sds of the nearer bell, at most.

    The posterior is a mixture of the bells: where they stand apart its quantiles fall between them. The density of
    equal bells in a row, three sds apart, is wrong by 22%, two apart by 1.4% (Poisson's summation: 2 exp(-2 pi^2 /
    gap^2)), and what is cut off at one side by more: two apart have put 2.5% limits .07 sd too far out. Separated data,
    whose coefficients grow with tau in one direction, need closer nodes than log lambda does.
    """
    logs = np.array([node.log_step + node.bell.log_evidence for node in nodes])
    best = nodes[int(logs.argmax())].extra
    line = [node for node in nodes if node.extra == best]
    share = np.array([node.log_step + node.bell.log_evidence for node in line])
    share = np.exp(share - logsumexp(share))
    seen, q = problem.judged_rows, problem.n_flat
    unseen = np.maximum(1.0 - np.square(seen[q:, q:]).sum(axis=1), 0.0)
    mean = np.array([seen @ node.bell.mean for node in line])
    variance = np.array([np.square(solve_triangular(node.bell.root, seen.T, lower=True)).sum(axis=0) for node in line])
    variance[:, q:] += np.exp(-np.array([node.t for node in line]))[:, None] * unseen
    counts = np.minimum(share[1:], share[:-1]) > _COUNTS
    gaps = np.abs(np.diff(mean, axis=0)) / np.sqrt(np.minimum(variance[1:], variance[:-1]))
    return float(gaps[counts].max(initial=0.0))


def log_information(problem: Outcome) -> float:
    """Log of the precision with which all rows together tell the linear predictor, at least 0."""
    eta = problem.rows @ first_guess(problem)
    extras = [None] if problem.family.learns is None else np.exp([-0.5 * _FURTHEST, 0.0, 0.5 * _FURTHEST]).tolist()
    most = max(float(problem.given(one).slope(eta)[1].sum()) for one in extras)
    return float(np.log(min(max(most, 1.0), _MOST_TOLD)))


def most_evident(problem: Outcome) -> float:
    """Log lambda at which the evidence is largest.

    Raises
    ------
    ImproperPosteriorError
        If it grows without end towards an end.
    """
    grid = np.arange(-0.5 * _FURTHEST, 0.5 * _FURTHEST + log_information(problem) + 1.0)
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


def _rule(of: tuple[Array, Array], log_prior: LogPrior, finer: int = 1) -> tuple[Array, Array]:
    """Nodes, and the logs of prior times width."""
    stretch = _layout(*of, finer)
    points, log_jacobian = stretch.nodes()
    return points, log_prior(points) + log_jacobian + np.log(stretch.step)


def _refuse_endless(last: float, before: float, top: float, outward: int, furthest: float) -> None:
    if last < top - _CUT and last < before:
        return  # proper; moments of coefficients may not exist
    if outward > 0:
        raise ImproperPosteriorError(
            f"the posterior of lambda = 1/tau² lies, or reaches, beyond {np.exp(furthest):.0e}: the prior of tau, the "
            "offset or a weight is too far from the other data to be integrated; change its scale, or fix lambda"
        )
    raise ImproperPosteriorError(
        f"the posterior does not fall off as tau -> infinity (it loses {before - last:.1e} nats per unit of log lambda "
        "there), so it cannot be normalised: the columns separate the outcomes and this prior of tau has too heavy a "
        "tail; use the default, a half-t with at least q + 3 degrees of freedom, q flat columns with the intercept"
    )


def _layout(t: Array, f: Array, finer: int) -> Stretch:
    fine = np.linspace(t[0], t[-1], 40 * len(t))
    smooth = CubicSpline(t, f)(fine)
    inside = fine[smooth > smooth.max() - _BULK]
    centre, width = 0.5 * (inside[0] + inside[-1]), 0.5 * max(inside[-1] - inside[0], 0.2)
    # a long flat side does not excuse coarse steps down a steep one
    mode = fine[smooth.argmax()]
    steepest = max(1.4 * min(mode - inside[0], inside[-1] - mode), 0.4 * width)
    step = min(_STEP * min(width, steepest) / np.sqrt(2.0 * _BULK), _MOST_STEP)
    low, high = width * np.arcsinh((t[0] - centre) / width), width * np.arcsinh((t[-1] - centre) / width)
    count = finer * int(np.ceil((high - low) / step)) + 1
    return Stretch(float(centre), float(width), float(low), float((high - low) / (count - 1)), count)


def marginal_of_nodes(name: str, logs: Array, mass_of_each: Array) -> Marginal | PointMass:
    """Posterior of a number by its logarithm at the nodes and their masses, (K,): the log density by Akima's rule."""
    points, where = np.unique(logs, return_inverse=True)
    if len(points) == 1:
        return PointMass(name, float(np.exp(points[0])))
    mass = np.bincount(where, mass_of_each)
    # logs of masses of nothing are noise, or none; where the density falls steeply a spline would swing, this does not
    counts = np.flatnonzero(mass > _NOTHING * mass.max())
    kept = slice(max(min(counts[0], len(points) - 2), 0), max(counts[-1], 1) + 1)
    points, heights = points[kept], np.log(np.maximum(mass, _NOTHING * mass.max()) / np.gradient(points))[kept]
    density = Akima1DInterpolator(points, heights, method="makima")
    low, high = float(points[0]), float(points[-1])
    fine = np.linspace(low, high, 4001)
    values = density(fine)
    top = float(values.max())
    total = top + float(np.log(np.trapezoid(np.exp(values - top), fine)))

    def log_density(t: Array) -> Array:
        inside = density(np.clip(t, low, high))
        # beyond the nodes the last slope goes on
        beyond = np.where(t > high, density(high, 1) * (t - high), np.where(t < low, density(low, 1) * (t - low), 0))
        return np.asarray(inside + np.minimum(beyond, 0.0) - total)

    return marginal(name, log_density, low, high, EXP, rounding=1e-9)
