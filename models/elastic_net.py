r"""Bayesian elastic net: a prior between ridge and lasso, the mixture learned.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i)
    beta_j = tau u_j,                p(u) = exp(-sqrt(2) m |u| - (1 - m) u^2 / 2) / C(m),      b0 flat
    C(m) = sqrt(2 pi / (1 - m)) erfcx(m / sqrt(1 - m))
    m ~ Beta(mix_a, mix_b)           m = 0 is ridge, m = 1 is the lasso
    tau = r sigma,  lambda = sigma^2 / tau^2,  R^2 ~ Beta(a, b) as for ridge

The sd of u is 1 at both ends and between 0.97 and 1 for every m, so that tau is the prior sd of the coefficients
and the prior on R^2 means what it means for ridge. C(m) depends on m and must not be left out: without it the
posterior of m is wrong.

Li & Lin (2010), Bayesian Analysis 5, 151-170; Hans (2011), JASA 106, 1383-1393, for the normalising constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.stats import truncnorm

from bayesridge.design.design import Design
from bayesridge.models.parts import flat_part, observe, of_table, standardized
from bayesridge.models.scales import noise_scale, penalty
from bayesridge.priors import BetaR2, NoisePrior


@of_table
def elastic_net(design: Design, *, prior: BetaR2, noise_prior: NoisePrior, mix_a: float, mix_b: float) -> pm.Model:
    """Build the model with a prior between normal and Laplace.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
    prior : BetaR2
        Of the share of variance explained.
    noise_prior : NoisePrior
        Of sigma.
    mix_a, mix_b : float
        Of the Beta prior on the share m of the lasso; 1 and 1 is uniform.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        lam = penalty(prior, table.signal)
        tau = pm.Deterministic("tau", sigma * lam**-0.5)
        m = pm.Beta("mix", mix_a, mix_b)
        raw = pm.CustomDist("beta_raw", m, logp=_log_density, random=_draw, dims="penalized")
        beta = pm.Deterministic("beta", tau * raw, dims="penalized")
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model


def _log_density(u: Any, m: Any) -> Any:
    log_constant = 0.5 * pm.math.log(2.0 * np.pi / (1.0 - m)) + pm.math.log(pt.erfcx(m / pm.math.sqrt(1.0 - m)))
    return -(2.0**0.5) * m * pm.math.abs(u) - 0.5 * (1.0 - m) * u**2 - log_constant


def _draw(m: Any, rng: np.random.Generator, size: Any) -> Any:
    """|u| is a normal of mean -sqrt(2) m / (1 - m) and variance 1 / (1 - m), cut at zero; its sign is fair."""
    sd = (1.0 - np.minimum(m, 1.0 - 1e-9)) ** -0.5  # m = 1 is the lasso, the limit
    below = 2.0**0.5 * m * sd
    return sd * truncnorm.rvs(below, np.inf, loc=-below, size=size, random_state=rng) * rng.choice([-1.0, 1.0], size)
