r"""Ridge regression with independent priors on both scales: what most people would write down first.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i)
    beta_j ~ N(0, tau^2),            b0 and unpenalised columns flat
    tau   ~ half-Cauchy, half-t, half-normal, any density, or known          (prior=HalfCauchy(scale, on="tau"))
    sigma ~ the same, inverse gamma, or p(sigma^2) = 1 / sigma^2             (noise_prior=HalfT(3, scale, on="sigma"))
    lambda = sigma^2 / tau^2

The scales of these priors are in the units of y. Nothing ties tau to sigma: with as many columns as rows, y can be
fitted exactly, and under p(sigma^2) = 1 / sigma^2 the posterior is improper (it piles up at sigma = 0): give sigma
a proper prior.

Centred, beta is sampled as N(0, tau^2): right where the data determine the coefficients (s_j^2 >> lambda). Non-
centred, it is tau times a standard normal: right where the prior does, because there a centred beta and tau form a
funnel (Neal 2003).

Gelman (2006), Bayesian Analysis 1, 515-534; Betancourt & Girolami (2015) for the two parametrisations.
"""

from __future__ import annotations

import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import coefficients, flat_part, observe, of_table, standardized
from bayesridge.models.scales import noise_scale, prior_scale
from bayesridge.priors import Custom, FixedTau, HalfPrior, NoisePrior


@of_table
def hierarchical(
    design: Design, *, prior: HalfPrior | FixedTau | Custom, noise_prior: NoisePrior, centred: bool
) -> pm.Model:
    """Build the model with a prior on tau itself.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
    prior : HalfT, HalfCauchy, HalfNormal, FixedTau or Custom
        Of tau, the prior sd of the standardised coefficients, in the units of y.
    noise_prior : NoisePrior
        Of sigma, in the units of y.
    centred : bool
        Whether to sample the coefficients themselves, or as multiples of tau.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        tau = prior_scale(prior, table.unit)
        pm.Deterministic("lambda_", (sigma / tau) ** 2)
        beta = coefficients(table, tau, centred=centred)
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model
