r"""The scales that each of many data sets on the same columns would learn by itself, for checks by simulation.

A statistic of standardised quantities has the same distribution on real and replicated data only if both learned their
scales in the same way. Here lambda is the exponential of the posterior mean of log lambda, on a grid, under the prior
of the fit with sigma integrated (under Beta(1/2, 1/2) on R^2 where the prior of lambda depends on sigma, and the one
known value where lambda is fixed). The noise variance is Q / nu at that lambda, or the known one.

The grid spans the squared singular values with a margin, and is widened until the density is negligible at its ends for
every data set: with R^2 near 1 lambda lies far below the smallest of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.many import Targets
from bayesridge.hyper.marginal import PointMass
from bayesridge.posteriors.posterior import Posterior
from bayesridge.priors import BetaR2

Array = NDArray[np.float64]

_STEP = 0.25
_MARGIN = 12.0
_NEGLIGIBLE = 1e-4  # at an end of the grid, relative to the top of the density
_MOST_STEPS = 10  # in which the grid is widened: 120 nats are more than any R² of float64 needs
_BLOCK_VALUES = 1 << 21


@dataclass(frozen=True, eq=False)
class OwnScales:
    """Scales of m data sets on the columns of one spectrum.

    Attributes
    ----------
    lam : ndarray of shape (m,)
    Q : ndarray of shape (m,)
        Penalised residual sum of squares at that lambda.
    variance : ndarray of shape (m,)
        ``Q / nu``, or the known noise variance.
    known : bool
        Whether the noise variance is known.
    """

    lam: Array
    Q: Array
    variance: Array
    known: bool


def own_scales(posterior: Posterior, z: Array, r0: Array) -> OwnScales:
    """Learn the scales of many data sets.

    Parameters
    ----------
    posterior : Posterior
        Gives the columns and the priors.
    z : ndarray of shape (m, rank)
        Projections on the left singular vectors.
    r0 : ndarray of shape (m,)
        Squared residuals outside them.
    """
    spectrum = posterior.spectrum
    prior = posterior.prior if posterior.prior.variable == "lambda" else BetaR2()
    targets = Targets(spectrum, z, r0, 0.5 * spectrum.nu, prior)
    lam = _lambda(posterior, targets)
    Q = targets.own_squares(lam)
    known = isinstance(posterior.sigma, PointMass)
    variance = np.full(len(z), posterior.sigma.median**2) if known else Q / spectrum.nu
    return OwnScales(lam, Q, variance, known)


def _lambda(posterior: Posterior, targets: Targets) -> Array:
    count = len(targets.floor)
    if isinstance(posterior.lambda_, PointMass):
        return np.full(count, posterior.lambda_.median)
    if targets.factor.rank == 0:
        return np.ones(count)
    low, high = targets.factor.log_range
    low, high = low - _MARGIN, high + _MARGIN
    for _ in range(_MOST_STEPS):
        mean, first, last = _means(targets, np.arange(low, high + _STEP, _STEP))
        if max(first, last) <= _NEGLIGIBLE:
            break
        low, high = low - _MARGIN * (first > _NEGLIGIBLE), high + _MARGIN * (last > _NEGLIGIBLE)
    return np.exp(mean)


def _means(targets: Targets, t: Array) -> tuple[Array, float, float]:
    """Posterior means of log lambda on a grid; the largest relative density of any data set at its two ends."""
    mean, ends = np.empty(len(targets.floor)), np.zeros(2)
    step = max(1, _BLOCK_VALUES // (len(t) + targets.factor.rank))
    for k in range(0, len(mean), step):
        part = slice(k, k + step)
        log_f = targets.log_f(part, t)
        weight = np.exp(log_f - log_f.max(axis=1, keepdims=True))
        ends = np.maximum(ends, weight[:, [0, -1]].max(axis=0))
        mean[part] = weight @ t / weight.sum(axis=1)
    return mean, float(ends[0]), float(ends[1])
