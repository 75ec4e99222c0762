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

from bayesridge.hyper.marginal import PointMass
from bayesridge.linalg.spectrum import Spectrum
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


def own_scales(posterior: Posterior, z2: Array, r0: Array) -> OwnScales:
    """Learn the scales of many data sets.

    Parameters
    ----------
    posterior : Posterior
        Gives the columns and the priors.
    z2 : ndarray of shape (m, rank)
        Squared projections on the left singular vectors.
    r0 : ndarray of shape (m,)
        Squared residuals outside them.
    """
    spectrum = posterior.spectrum
    log_lam = _log_lambda(posterior, z2, r0)
    Q = np.empty(len(z2))
    step = max(1, _BLOCK_VALUES // max(z2.shape[1], 1))
    for k in range(0, len(z2), step):
        part = slice(k, k + step)
        with np.errstate(over="ignore", divide="ignore"):
            relative = 1.0 + spectrum.s2 * np.exp(-log_lam[part, None])
        Q[part] = r0[part] + (z2[part] / relative).sum(axis=1)
    known = isinstance(posterior.sigma, PointMass)
    variance = np.full(len(z2), posterior.sigma.median**2) if known else Q / spectrum.nu
    return OwnScales(np.exp(log_lam), Q, variance, known)


def _log_lambda(posterior: Posterior, z2: Array, r0: Array) -> Array:
    if isinstance(posterior.lambda_, PointMass):
        with np.errstate(divide="ignore"):
            return np.full(len(z2), np.log(posterior.lambda_.median))
    spectrum = posterior.spectrum
    if spectrum.rank == 0:
        return np.zeros(len(z2))
    prior = posterior.prior if posterior.prior.variable == "lambda" else BetaR2()
    low, high = np.log(spectrum.s2[-1]) - _MARGIN, np.log(spectrum.s2[0]) + _MARGIN
    for _ in range(_MOST_STEPS):
        t = np.arange(low, high + _STEP, _STEP)
        mean, first, last = _means(spectrum, t, prior.log_density(t, spectrum.signal), z2, r0)
        if max(first, last) <= _NEGLIGIBLE:
            break
        low, high = low - _MARGIN * (first > _NEGLIGIBLE), high + _MARGIN * (last > _NEGLIGIBLE)
    return mean


def _means(spectrum: Spectrum, t: Array, log_prior: Array, z2: Array, r0: Array) -> tuple[Array, float, float]:
    """Posterior means of log lambda on a grid; the largest relative density of any data set at its two ends."""
    ratio = spectrum.s2[:, None] * np.exp(-t)
    log_rest = log_prior - 0.5 * np.log1p(ratio).sum(axis=0)
    shrink = 1.0 / (1.0 + ratio)
    mean, ends = np.empty(len(z2)), np.zeros(2)
    step = max(1, _BLOCK_VALUES // (len(t) + z2.shape[1]))
    for k in range(0, len(z2), step):
        part = slice(k, k + step)
        Q = r0[part, None] + z2[part] @ shrink
        log_f = log_rest - 0.5 * spectrum.nu * np.log(Q)
        weight = np.exp(log_f - log_f.max(axis=1, keepdims=True))
        ends = np.maximum(ends, weight[:, [0, -1]].max(axis=0))
        mean[part] = weight @ t / weight.sum(axis=1)
    return mean, float(ends[0]), float(ends[1])
