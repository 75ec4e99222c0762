r"""Bayesian lasso: the same prior expectations as ridge, with a Laplace instead of a normal shape.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i)
    beta_j ~ Laplace(0, tau / sqrt(2)),      tau = r sigma the prior sd of beta_j,      b0 and unpenalised columns flat
    lambda = sigma^2 / tau^2, the penalty of the ridge with the same prior variance;  R^2 ~ Beta(a, b) as there
    the lasso penalty of  1/2 sum w (y - b0 - x'beta)^2 + l1 |beta|_1  is  l1 = sigma sqrt(2 lambda)

The scale goes with sigma, which keeps the posterior unimodal. The posterior mean is never sparse: the mode is the
lasso.

Park & Casella (2008), JASA 103, 681-686.
"""

from __future__ import annotations

import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import flat_part, observe, of_table, standardized
from bayesridge.models.scales import noise_scale, penalty
from bayesridge.priors import BetaR2, NoisePrior


@of_table
def lasso(design: Design, *, prior: BetaR2, noise_prior: NoisePrior) -> pm.Model:
    """Build the model with a Laplace prior.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
    prior : BetaR2
        Of the share of variance explained.
    noise_prior : NoisePrior
        Of sigma.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        lam = penalty(prior, table.signal)
        tau = pm.Deterministic("tau", sigma * lam**-0.5)
        # non-centred: a Laplace variable of variance one, times tau
        raw = pm.Laplace("beta_raw", 0.0, 0.5**0.5, dims="penalized")
        beta = pm.Deterministic("beta", tau * raw, dims="penalized")
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model
