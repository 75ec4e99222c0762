r"""Ridge regression whose prior scales with the noise: the default model of this package.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i)
    beta_j ~ N(0, tau^2),            tau = r sigma,      b0 and unpenalised columns flat
    lambda = sigma^2 / tau^2 = 1 / r^2
    R^2 ~ Beta(a, b),                R^2 = W / (1 + W),  W = signal / lambda        (prior=BetaR2(a, b))
    p(sigma^2) = 1 / sigma^2                                                       (noise_prior=Jeffreys())

``signal`` is the summed variance of the scaled columns, p when they are standardised: W is the ratio of explained
to noise variance that the prior expects. Instead of R^2, lambda itself or r may have a prior (LogNormal, Gamma,
HalfCauchy, ...). Because tau scales with sigma, the answer does not depend on the units of y, and sigma integrates
out in closed form.

Centred, beta is sampled as N(0, tau^2): right where the data determine the coefficients (s_j^2 >> lambda). Non-
centred, it is tau times a standard normal: right where the prior does (more columns than rows, little signal),
because there a centred beta and tau form a funnel.

Zellner (1986) for scales that go with the noise; Zhang, Naughton, Bondell & Reich (2022), JASA 117, for priors on
R^2.
"""

from __future__ import annotations

import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import coefficients, flat_part, observe, of_table, standardized, wide
from bayesridge.models.scales import flat, noise_scale, penalty
from bayesridge.priors import BetaR2, Custom, FixedLambda, Gamma, HalfPrior, LogNormal, NoisePrior


@of_table
def conjugate(
    design: Design,
    *,
    prior: BetaR2 | LogNormal | Gamma | FixedLambda | HalfPrior | Custom,
    noise_prior: NoisePrior,
    centred: bool,
) -> pm.Model:
    """Build the model with tau proportional to sigma.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
    prior : BetaR2, LogNormal, Gamma, FixedLambda, HalfT, HalfCauchy, HalfNormal or Custom
        Of R^2, lambda or tau/sigma.
    noise_prior : NoisePrior
        Of sigma.
    centred : bool
        Whether to sample the coefficients themselves, or as multiples of tau.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        lam = penalty(prior, table.signal)
        if isinstance(prior, FixedLambda) and prior.lam == 0.0:  # the flat prior on beta: least squares
            pm.Deterministic("tau", pm.math.constant(float("inf")))
            beta = flat("beta", 0.0, wide(table, table.X, 10.0 * table.unit), dims="penalized")
        else:
            tau = pm.Deterministic("tau", sigma * lam**-0.5)
            beta = coefficients(table, tau, centred=centred)
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model
