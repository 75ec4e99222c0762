r"""The scales that each of many data sets on the same columns would learn by itself, for checks by simulation.

A statistic of standardised quantities has the same distribution on real and replicated data only if both learned their
scales in the same way. Here lambda is the exponential of the posterior mean of log lambda, on a grid, under the prior
of the fit with sigma integrated (under Beta(1/2, 1/2) on R^2 where the prior of lambda depends on sigma, and the one
known value where lambda is fixed). The noise variance is Q / nu at that lambda, or the known one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.marginal import PointMass
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.posterior import Posterior
from bayesridge.priors import BetaR2, lambda_density

Array = NDArray[np.float64]

_STEP = 0.25
_MARGIN = 12.0
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
    t = _grid(spectrum)
    density = lambda_density(posterior.prior, spectrum.signal) or lambda_density(BetaR2(), spectrum.signal)
    assert density is not None  # BetaR2 has one
    ratio = spectrum.s2[:, None] * np.exp(-t)
    log_rest = density(t) - 0.5 * np.log1p(ratio).sum(axis=0)
    shrink = 1.0 / (1.0 + ratio)
    mean = np.empty(len(z2))
    step = max(1, _BLOCK_VALUES // (len(t) + z2.shape[1]))
    for k in range(0, len(z2), step):
        part = slice(k, k + step)
        Q = r0[part, None] + z2[part] @ shrink
        log_f = log_rest - 0.5 * spectrum.nu * np.log(Q)
        weight = np.exp(log_f - log_f.max(axis=1, keepdims=True))
        mean[part] = weight @ t / weight.sum(axis=1)
    return mean


def _grid(spectrum: Spectrum) -> Array:
    low, high = np.log(spectrum.s2[-1]) - _MARGIN, np.log(spectrum.s2[0]) + _MARGIN
    return np.arange(low, high + _STEP, _STEP)
