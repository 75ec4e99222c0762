"""The posterior with the prior of lambda, or the likelihood, raised to a power near one: its draws weighted anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.outcomes.curves import Tilted, densities
from bayesridge.outcomes.problem import Outcome
from bayesridge.outcomes.rows import PlaneDraws
from bayesridge.priors import Prior

Array = NDArray[np.float64]

_POINTS = 401
_BLOCK_VALUES = 1 << 22


class Weighed(NamedTuple):
    """Draws of the coefficients with weights, and the density of log lambda on a grid that goes with them.

    Attributes
    ----------
    coef : ndarray of shape (R, S, p)
    intercept : ndarray of shape (R, S)
    weight : ndarray of shape (R, S)
    t, mass : ndarray of shape (T,)
        Equally spaced log lambda, and probabilities up to a factor.
    """

    coef: Array
    intercept: Array
    weight: Array
    t: Array
    mass: Array


class Scaled(NamedTuple):
    """The posterior as it is, and by power of the prior and of the likelihood."""

    base: Weighed
    prior: Mapping[float, Weighed]
    likelihood: Mapping[float, Weighed]


def power_scaled(
    problem: Outcome,
    draws: Tilted,
    prior: Prior,
    log_prior: Callable[[Prior, Array], Array],
    ends: tuple[float, float],
    powers: Sequence[float],
) -> Scaled:
    """Weight the draws of a posterior anew.

    Given b the data say nothing of lambda, so that its density is the average of ``p(t | b)``, prior times N(b; 0,
    exp(-t)), over the draws; another prior changes the weights by the ratio of the integrals of that over t.
    """
    t = np.linspace(*ends, _POINTS)
    planes = draws.planes
    intercept = planes.centre - planes.coef @ problem.design.mean

    def under(prior: Prior) -> tuple[Array, list[Array]]:
        """Log of the change of weights, and p(t | b) of each draw."""
        base = np.broadcast_to(log_prior(prior, t) + 0.5 * draws.rank * t, (*planes.weight.shape, len(t)))
        log_w, shares = np.empty(planes.weight.shape), []
        for r, squares in enumerate(draws.squares):
            given = base[r] - 0.5 * squares[:, None] * np.exp(t)
            top = given.max(axis=1, keepdims=True)
            share = np.exp(given - top)
            total = share.sum(axis=1, keepdims=True)
            log_w[r] = (top + np.log(total))[:, 0] - draws.log_mixed[r]
            shares.append(share / total)
        return log_w, shares

    def weighed(found: tuple[Array, list[Array]], log_factor: Array | float = 0.0) -> Weighed:
        log_w, shares = found
        with np.errstate(divide="ignore"):  # draws of no weight may lie thousands of nats away
            log_weight = np.log(planes.weight) + log_w + log_factor
        weight = np.exp(log_weight - log_weight.max())
        mass = np.sum([w @ share for w, share in zip(weight, shares, strict=True)], axis=0)
        return Weighed(planes.coef, intercept, weight, t, mass)

    log_p = log_likelihoods(problem, planes)
    as_it_is = under(prior)
    return Scaled(
        weighed(as_it_is), {power: weighed(under(prior.power(power))) for power in powers},
        {power: weighed(as_it_is, (power - 1.0) * log_p) for power in powers},
    )  # fmt: skip


def log_likelihoods(problem: Outcome, planes: PlaneDraws) -> Array:
    """Log likelihood of each draw, (R, S), less their mean."""
    n = problem.design.n_rows
    size = max(1, _BLOCK_VALUES // planes.weight.size)
    log_p = np.zeros(planes.weight.shape)
    for part in [slice(k, k + size) for k in range(0, n, size)]:
        log_p += densities(problem, planes, part)[0] @ problem.count[part]
    return np.asarray(log_p - log_p.mean())
