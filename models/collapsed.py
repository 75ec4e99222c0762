r"""Ridge regression with the coefficients integrated out: two parameters, whatever the number of columns.

    y | lambda, sigma ~ N(flat part, sigma^2 (I + X X' / lambda))        (beta integrated)
    log p(y | lambda, sigma), flat directions integrated too, from the singular values s and z = U'y:
        -nu/2 log(2 pi sigma^2) - 1/2 log det Z'WZ + 1/2 sum log w - 1/2 sum_j log(1 + s_j^2 / lambda) - Q / (2 sigma^2)
        Q = r0 + sum_j z_j^2 lambda / (s_j^2 + lambda)
    priors of sigma, tau and lambda as in the other models
    beta | lambda, sigma, y ~ N(V s z / (s^2 + lambda), sigma^2 V diag(1 / (s^2 + lambda)) V'), drawn exactly afterwards

The posterior of (lambda, sigma) is that of the full model, and the draws of beta complete it to the full joint
posterior. What is left to sample has no funnel and no correlated coefficients.

Rue, Martino & Chopin (2009), JRSS B 71, 319-392, for the idea; the formula is REML (Harville 1977).
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesridge.models.scales import both_scales
from bayesridge.priors import NoisePrior, Prior
from bayesridge.spectrum import Spectrum


def collapsed(spectrum: Spectrum, *, prior: Prior, noise_prior: NoisePrior) -> pm.Model:
    """Build the model of (lambda, sigma) alone.

    Parameters
    ----------
    spectrum : Spectrum
        Of the design.
    prior, noise_prior : Prior, NoisePrior
        Any of this package but lambda = 0.

    Returns
    -------
    pymc.Model
    """
    unit = float(np.sqrt(spectrum.total_squares / spectrum.nu))
    constant = -0.5 * (spectrum.nu * np.log(2.0 * np.pi) + spectrum.log_det_flat - spectrum.sum_log_weights)
    with pm.Model() as model:
        sigma, _, lam = both_scales(prior, noise_prior, spectrum.signal, unit)
        log_det = pm.math.log1p(spectrum.s2 / lam).sum()
        Q = spectrum.r0 + (spectrum.z2 * lam / (spectrum.s2 + lam)).sum()
        pm.Potential("log_evidence", constant - spectrum.nu * pm.math.log(sigma) - 0.5 * log_det - 0.5 * Q / sigma**2)
    return model
