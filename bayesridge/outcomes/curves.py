r"""What each lambda does to an outcome: penalised fits, evidence and leave-one-out over lambda.

The fits are Newton's, at a grid. Evidence and leave-one-out come from the posterior's own draws, certified as they are:
what the data say of theta = (gamma, b) does not depend on lambda, so that with the prior p(t) of t = log lambda

    p(theta | y, t) ∝ p(theta | y) N(b; 0, 1/lambda) / m(b),    m(b) = int N(b; 0, exp(-s)) p(s) ds,
    p(y | t) / p(y) = E[ N(b; 0, 1/lambda) / m(b) ],            the expectation over p(theta | y),

which depends on b by its length only. The draws reach every lambda at which these weights keep enough of them. Where
the noise has a scale sigma that is drawn too, b / sigma stands for b, and the prior of lambda may depend on sigma.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from bayesridge.errors import DataError
from bayesridge.outcomes.penalized import Bell, penalized_mode
from bayesridge.outcomes.prior import LogPrior
from bayesridge.outcomes.problem import Outcome
from bayesridge.outcomes.rows import PlaneDraws
from bayesridge.outcomes.separation import refuse_flat_separation

Array = NDArray[np.float64]

_POINTS = 41
_BEYOND = 3.0  # units of log lambda that the fits go on where the posterior ends
_FEWEST = 200.0  # effective draws at a lambda that is reached
_BLOCK_VALUES = 1 << 22
_PRIOR_POINTS = 401
_SMALL = 1e-250
_STARTS = 400


class LooAt(NamedTuple):
    """Leave-one-out at K values of lambda, coefficients integrated.

    Attributes
    ----------
    pointwise : ndarray of shape (n_rows, K)
        ``log p(y_i | y_-i, lambda)``.
    mean : ndarray of shape (n_rows, K)
        ``E[y_i | y_-i, lambda]``.
    mcse : ndarray of shape (K,)
        Standard error of the sum of `pointwise` over observations, from the replicates.
    """

    pointwise: Array
    mean: Array
    mcse: Array


@dataclass(frozen=True, eq=False)
class Tilted:
    """Draws of a posterior with lambda integrated, to be weighted to one lambda.

    Attributes
    ----------
    planes : PlaneDraws
        (R, S) of them.
    rank : int
        Directions of b.
    squares : ndarray of shape (R, S)
        |b|^2, over sigma^2 where there is one.
    log_mixed : ndarray of shape (R, S)
        log m(b), less what does not depend on b.
    mean_t : ndarray of shape (R, S)
        E[log lambda | b]: given b, the data say no more of lambda.
    """

    planes: PlaneDraws
    rank: int
    squares: Array
    log_mixed: Array
    mean_t: Array

    def log_weights(self, t: Array) -> Array:
        """Log of weight times N(b; 0, 1/lambda) / m(b), shape (R, S, K)."""
        with np.errstate(divide="ignore"):
            log_w = np.log(self.planes.weight / self.planes.weight.sum()) - self.log_mixed
        return np.asarray(log_w[..., None] + 0.5 * self.rank * t - 0.5 * self.squares[..., None] * np.exp(t))

    def weights(self, t: Array) -> Array:
        """The same, on a scale of its own for each lambda, (R, S, K)."""
        log_w = self.log_weights(t)
        return np.exp(log_w - log_w.max(axis=(0, 1)))


def tilted(planes: PlaneDraws, b: Array, ends: tuple[float, float], log_prior: LogPrior) -> Tilted:
    """Prepare draws (R, S, r) of a posterior whose log lambda was integrated between `ends`.

    Parameters
    ----------
    log_prior : callable
        Log density of T values of log lambda, (T,) or, where it is another for each draw, (R, S, T).
    """
    squares, rank = np.square(b).sum(axis=-1), b.shape[-1]
    s = np.linspace(*ends, _PRIOR_POINTS)
    base = np.broadcast_to(log_prior(s) + 0.5 * rank * s + np.log(s[1] - s[0]), (*squares.shape, len(s)))
    mixed, mean = np.empty((2, *squares.shape))
    for r, one in enumerate(squares):
        given = base[r] - 0.5 * one[:, None] * np.exp(s)
        top = given.max(axis=1)
        share = np.exp(given - top[:, None])
        mixed[r], mean[r] = top + np.log(share.sum(axis=1)), share @ s / share.sum(axis=1)
    return Tilted(planes, rank, squares, mixed, mean)


@dataclass(frozen=True, eq=False)
class Curves:
    """Fits, evidence and leave-one-out over lambda.

    Attributes
    ----------
    problem : Outcome
    t : ndarray of shape (K,)
        Log lambda of the penalised fits.
    coef : ndarray of shape (K, p)
        Modes, in the units of the data.
    intercept : ndarray of shape (K,)
    deviance : ndarray of shape (K,)
        -2 log likelihood there.
    dof : ndarray of shape (K,)
        Effective, of the penalised columns: ``trace((D'WD + lambda S)^-1 D'WD)`` less the flat directions.
    draws : Tilted
    refits : mapping of int to Tilted
        Draws of the posterior without a row, for rows that the draws do not reach.
    no_loo : str
        Why there is no leave-one-out ("" if there is).
    """

    problem: Outcome
    t: Array
    coef: Array
    intercept: Array
    deviance: Array
    dof: Array
    draws: Tilted
    refits: Mapping[int, Tilted]
    no_loo: str

    @cached_property
    def reach(self) -> tuple[float, float]:
        """Log lambda from where to where the draws speak of evidence and leave-one-out."""
        fine = np.linspace(self.t[0], self.t[-1], 10 * _POINTS)
        weight = self.draws.weights(fine)
        size = np.square(weight.sum(axis=(0, 1))) / np.square(weight).sum(axis=(0, 1))
        inside = fine[size >= min(_FEWEST, 0.5 * size.max())]
        return float(inside[0]), float(inside[-1])

    def on(self, t: Array) -> Curves:
        """The same with the penalised fits at other values of log lambda."""
        coef, intercept, deviance, dof = _modes(self.problem, t, self.draws.planes)
        return replace(self, t=t, coef=coef, intercept=intercept, deviance=deviance, dof=dof)

    def evidence(self, t: Array) -> tuple[Array, Array]:
        """Log p(y | lambda) - log p(y) at K values of log lambda, and its standard error."""
        log_w = self.draws.log_weights(t)
        top = log_w.max(axis=(0, 1))
        each = np.exp(log_w - top).sum(axis=1)
        error = each.std(axis=0, ddof=1) * np.sqrt(len(each)) / each.sum(axis=0)
        return top + np.log(each.sum(axis=0)), np.asarray(error)

    def loo(self, t: Array) -> LooAt:
        """Leave-one-out at K values of log lambda within `reach`.

        Raises
        ------
        DataError
            Where there is none.
        """
        if self.no_loo:
            raise DataError(self.no_loo)
        problem, planes = self.problem, self.draws.planes
        n, K, R = problem.design.n_rows, len(t), len(planes.weight)
        weight = self.draws.weights(t)
        with np.errstate(divide="ignore"):
            own = np.log(weight.sum(axis=1))  # (R, K)
        pointwise, mean, each = np.empty((n, K)), np.empty((n, K)), np.zeros((R, K))
        size = max(1, _BLOCK_VALUES // planes.weight.size)
        apart = set(self.refits)
        for part in [slice(k, k + size) for k in range(0, n, size)]:
            log_p, expected = densities(problem, planes, part)
            least = log_p.min(axis=(0, 1))
            inverse = np.exp(least - log_p)
            total = np.einsum("rsk,rsm->rmk", weight, inverse, optimize=True)
            # weights and densities of hundreds of nats: the product may be zero where neither counts for nothing
            apart |= {part.start + int(i) for i in np.flatnonzero(total.min(axis=(0, 2)) < _SMALL)}
            with np.errstate(divide="ignore", invalid="ignore"):
                mean[part] = np.einsum("rsk,rsm->mk", weight, inverse * expected, optimize=True) / total.sum(axis=0)
                pointwise[part] = np.logaddexp.reduce(own, axis=0) - np.log(total.sum(axis=0)) + least[:, None]
                mine = own[:, None] - np.log(total) + least[:, None]  # (R, m, K)
            mine[:, [i - part.start for i in apart if i >= part.start]] = 0.0
            each += np.einsum("rmk,m->rk", mine, problem.count[part])
        for i in apart:
            draws = self.refits.get(i, self.draws)
            log_p, expected = densities(problem, draws.planes, slice(i, i + 1))
            log_w = draws.log_weights(t) - (0.0 if i in self.refits else log_p)  # of the posterior without the row
            whole, both = (np.logaddexp.reduce(terms, axis=1) for terms in (log_w, log_w + log_p))  # (R, K)
            pointwise[i] = np.logaddexp.reduce(both, axis=0) - np.logaddexp.reduce(whole, axis=0)
            mean[i] = np.einsum("rsk,rsm->k", np.exp(log_w - np.logaddexp.reduce(whole, axis=0)), expected)
            each += problem.count[i] * (both - whole)
        unseen = problem.count == 0
        pointwise[unseen] = mean[unseen] = np.nan
        return LooAt(pointwise, mean, np.asarray(each.std(axis=0, ddof=1) / np.sqrt(R)))

    def held_out(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> Array:
        """Log density of each held-out row at the penalised fits to the training rows, (len(test), K).

        Column scales are those of all rows.
        """
        count = np.zeros(self.problem.design.n_rows)
        count[train] = self.problem.count[train]
        part = replace(self.problem, design=replace(self.problem.design, weights=count))
        refuse_flat_separation(part)
        eta = self.problem.rows[test] @ np.array([bell.mean for bell in fits(part, self.t, self.draws.planes)]).T
        problem = self.problem
        trials = None if problem.trials is None else problem.trials[test, None]
        y = problem.design.y[test, None]
        return problem.family.log_density(eta + problem.offset[test, None], y, trials)


def log_lambda_without(problem: Outcome, planes: PlaneDraws, t: Array, refits: Mapping[int, float]) -> Array:
    """E[log lambda | y_-i] of each row, (n_rows,): ``E[t / p(y_i | theta)] / E[1 / p(y_i | theta)]``, or of a refit."""
    n = problem.design.n_rows
    found = np.empty(n)
    size = max(1, _BLOCK_VALUES // planes.weight.size)
    with np.errstate(divide="ignore"):
        log_w = np.log(planes.weight)[..., None]
    for part in [slice(k, k + size) for k in range(0, n, size)]:
        log_inverse = log_w - densities(problem, planes, part)[0]
        inverse = np.exp(log_inverse - log_inverse.max(axis=(0, 1)))
        found[part] = np.einsum("rsm,rs->m", inverse, t) / inverse.sum(axis=(0, 1))
    found[list(refits)] = list(refits.values())
    return found


def densities(problem: Outcome, planes: PlaneDraws, part: slice) -> tuple[Array, Array]:
    """Log p(y_i | draw) and E[y_i | draw] of some rows, each (R, S, m)."""
    design = problem.design
    eta = planes.eta(design.source.take(part) - design.mean) + problem.offset[part]
    trials = None if problem.trials is None else problem.trials[part]
    family = planes.of(problem.family)
    return family.log_density(eta, design.y[part], trials), family.mean(eta, trials)


def fits(problem: Outcome, t: Array, planes: PlaneDraws) -> list[Bell]:
    """Penalised fits at values of log lambda, from the largest down, where Newton's method is at home.

    A density that is not log-concave may have several modes: each fit is made from the best of the posterior's draws,
    too, and the higher one is kept.
    """
    found: list[Bell] = []
    starts, problem = _starts(problem, planes), problem.merged()
    for one in t[::-1]:
        lam = float(np.exp(one))
        known = penalized_mode(problem, lam, found[-1].mean if found else None)
        if len(starts):
            other = penalized_mode(problem, lam, starts[_heights(problem, lam, starts).argmax()])
            first, second = _heights(problem, lam, np.array([known.mean, other.mean]))
            known = other if second > first else known
        found.append(known)
    return found[::-1]


def _heights(problem: Outcome, lam: float, theta: Array) -> Array:
    return problem.log_likelihood(theta) - 0.5 * np.square(theta) @ problem.precision(lam)


def _starts(problem: Outcome, planes: PlaneDraws) -> Array:
    """Coordinates (S, d) of some draws; none where a fit is the only one."""
    if problem.family.one_mode:
        return np.empty((0, problem.rows.shape[1]))
    step = max(1, planes.weight.size // _STARTS)
    coef, centre = planes.coef.reshape(planes.weight.size, -1)[::step], planes.centre.ravel()[::step]
    eta = centre[:, None] + coef @ (problem.design.X - problem.design.mean).T
    return np.asarray(np.linalg.lstsq(problem.rows, eta.T)[0].T)


def curves_of(
    problem: Outcome, ends: tuple[float, float], draws: Tilted, refits: Mapping[int, Tilted], no_loo: str
) -> Curves:
    """Fit along a grid of lambda somewhat wider than the posterior's nodes.

    Raises
    ------
    DataError
        If there is no penalised column.
    """
    if problem.rank == 0:
        raise DataError("no column is penalised (or none has spread): no lambda does anything")
    t = np.linspace(ends[0] - _BEYOND, ends[1] + _BEYOND, _POINTS)
    return Curves(problem, t, *_modes(problem, t, draws.planes), draws, refits, no_loo)


def _modes(problem: Outcome, t: Array, planes: PlaneDraws) -> tuple[Array, Array, Array, Array]:
    """Coefficients, intercept, deviance and effective degrees of freedom of the penalised fits."""
    found = fits(problem, t, planes)
    theta, design = np.array([bell.mean for bell in found]), problem.design
    # a mode has nothing in directions that the data never saw
    coef, centre = problem.directions.coefficients(design, theta, np.zeros(len(t)), np.random.default_rng(0))
    dof = [_dof(bell, problem.precision(float(np.exp(one)))) for bell, one in zip(found, t, strict=True)]
    return coef, centre - coef @ design.mean, -2.0 * problem.log_likelihood(theta), np.array(dof)


def _dof(bell: Bell, precision: Array) -> float:
    inverse = solve_triangular(bell.root, np.eye(len(bell.mean)), lower=True)
    return float(np.maximum(1.0 - precision * np.square(inverse).sum(axis=0), 0.0)[precision > 0.0].sum())
