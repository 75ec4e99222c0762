r"""Ridge regression with the coefficients integrated out: two parameters, whatever the number of columns.

    y | lambda, sigma ~ N(flat part, sigma^2 (I + X X' / lambda))        (beta integrated)
    log p(y | lambda, sigma), flat directions integrated too, from the singular values s and z = U'y:
        -nu/2 log(2 pi sigma^2) - 1/2 log det Z'WZ + 1/2 sum log w - 1/2 sum_j log(1 + s_j^2 / lambda) - Q / (2 sigma^2)
        Q = r0 + sum_j z_j^2 lambda / (s_j^2 + lambda)
    priors of sigma, tau and lambda as in the other models
    beta | lambda, sigma, y ~ N(V s z / (s^2 + lambda), sigma^2 V diag(1 / (s^2 + lambda)) V'), drawn exactly afterwards

The posterior of (lambda, sigma) is that of the full model, and the draws of beta complete it to the full joint
posterior. A step costs O(rank), and there are no correlated coefficients.

What is sampled are log lambda and the departure of log sigma from its profile,

    log sigma = 1/2 log(B / a) + noise / sqrt(4 a),       a = nu / 2,  B = Q(lambda) / 2

(an inverse-gamma prior of sigma^2 adds its shape to a and its scale to B). Under p(sigma^2) = 1 / sigma^2 and under
inverse-gamma priors sigma^2 is InvGamma(a, B) given lambda, so that ``noise`` does not depend on lambda at all, and its
sd is about 1; under other priors nearly so. In log sigma itself the posterior is a curved, narrow ridge wherever the
data can be fitted closely, because Q, and sigma with it, go to zero with lambda: steps would have to be tiny.

Rue, Martino & Chopin (2009), JRSS B 71, 319-392, for the idea; the formula is REML (Harville 1977).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from bayesridge.errors import DataError, PriorError
from bayesridge.linalg.spectrum import Spectrum, factorize
from bayesridge.models.log_scales import log_density_of_scales
from bayesridge.models.parts import as_design
from bayesridge.priors import (
    FixedLambda,
    FixedScales,
    FixedSigma,
    FixedTau,
    GammaPrecisions,
    InverseGamma,
    NoisePrior,
    Prior,
)


def collapsed(design: Any, y: Any = None, *, prior: Prior, noise_prior: NoisePrior, proper: bool = False) -> pm.Model:
    """Build the model of (lambda, sigma) alone.

    Parameters
    ----------
    design : Spectrum, Design or table of shape (n, p)
    y : array_like of shape (n,), optional
        The target of a table.
    prior, noise_prior : Prior, NoisePrior
        Any of this package that leave lambda or sigma to be learned, but lambda = 0.
    proper : bool
        Refused: y is integrated out here with the coefficients, so that there is nothing to predict.

    Returns
    -------
    pymc.Model
    """
    if proper:
        raise DataError(
            "the collapsed model has neither y nor coefficients to draw from a prior: take conjugate, hierarchical or "
            "gamma_precisions with proper=True, which are the same model with both"
        )
    spectrum = design if isinstance(design, Spectrum) else factorize(as_design(design, y))
    sigma_known = isinstance(noise_prior, FixedSigma)
    if isinstance(prior, FixedScales) or (sigma_known and isinstance(prior, (FixedLambda, FixedTau))):
        raise PriorError("with lambda and sigma known the collapsed model has nothing to sample; use collapsed=False")
    constant = -0.5 * (spectrum.nu * np.log(2.0 * np.pi) + spectrum.log_det_flat - spectrum.sum_log_weights)
    with pm.Model() as model:
        if isinstance(prior, FixedTau):
            log_sigma, log_slope = _around(0.5 * np.log(spectrum.total_squares / spectrum.nu), 0.5 * spectrum.nu)
            log_lam = 2.0 * (log_sigma - np.log(prior.tau))
        else:
            log_lam = _log_lambda(spectrum, prior)
            log_sigma, log_slope = _log_sigma(spectrum, prior, noise_prior, log_lam)
        log_prior = log_density_of_scales(prior, noise_prior, log_lam, log_sigma, spectrum.signal)
        pm.Potential("log_prior", pm.math.constant(log_slope) + log_prior)
        log_det = pm.math.log1p(spectrum.s2 * pm.math.exp(-log_lam)).sum()
        fit = 0.5 * penalized_rss(spectrum, log_lam) * pm.math.exp(-2.0 * log_sigma)
        pm.Potential("log_evidence", constant - spectrum.nu * log_sigma - 0.5 * log_det - fit)
        pm.Deterministic("lambda_", pm.math.exp(log_lam))
        pm.Deterministic("sigma", pm.math.exp(log_sigma))
        pm.Deterministic("tau", pm.math.exp(log_sigma - 0.5 * log_lam))
    return model


def penalized_rss(spectrum: Spectrum, log_lam: Any) -> Any:
    """``Q(lambda)``, the minimum of the ridge criterion."""
    return spectrum.r0 + (spectrum.z2 / (1.0 + spectrum.s2 * pm.math.exp(-log_lam))).sum()


def _log_lambda(spectrum: Spectrum, prior: Prior) -> Any:
    if isinstance(prior, FixedLambda):
        return pm.math.constant(np.log(prior.lam))
    return pm.Flat("log_lambda", initval=np.log(spectrum.signal) if spectrum.signal > 0 else 0.0)


def _log_sigma(spectrum: Spectrum, prior: Prior, noise_prior: NoisePrior, log_lam: Any) -> tuple[Any, float]:
    shape, rate = 0.5 * spectrum.nu, 0.5 * penalized_rss(spectrum, log_lam)
    match prior, noise_prior:
        case _, FixedSigma(sigma):
            return pm.math.constant(np.log(sigma)), 0.0
        case GammaPrecisions(tau_shape, tau_rate, sigma_shape, sigma_rate), _:  # 1 / tau^2 is lambda / sigma^2
            shape, rate = shape + tau_shape + sigma_shape, rate + sigma_rate + tau_rate * pm.math.exp(log_lam)
        case _, InverseGamma(prior_shape, prior_scale):
            shape, rate = shape + prior_shape, rate + prior_scale
    return _around(0.5 * pm.math.log(rate / shape), shape)


def _around(profile: Any, shape: float) -> tuple[Any, float]:
    """Log sigma as its profile and noise of sd about 1, and the logarithm of its slope in that noise."""
    slope = 0.5 / np.sqrt(shape)
    return profile + slope * pm.Flat("noise"), float(np.log(slope))
