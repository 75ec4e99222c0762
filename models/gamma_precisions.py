r"""Ridge regression with gamma priors on both precisions: MacKay's evidence framework and scikit-learn's BayesianRidge.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i)
    beta_j ~ N(0, tau^2),            b0 and unpenalised columns flat
    1 / tau^2   ~ Gamma(tau_shape, rate=tau_rate)         scikit-learn: lambda_ ~ Gamma(lambda_1, lambda_2)
    1 / sigma^2 ~ Gamma(sigma_shape, rate=sigma_rate)     scikit-learn: alpha_  ~ Gamma(alpha_1, alpha_2)
    lambda = sigma^2 / tau^2                              scikit-learn: lambda_ / alpha_

With the customary shapes and rates of 1e-6 both priors are nearly 1 / precision, which is improper: where the data
show little signal, a share of the posterior that depends on those 1e-6 lies at tau near 0, and a chain that gets
there hardly comes back. Shapes and rates near 1, in the right units, have no such tail.

MacKay (1992), Neural Computation 4, 415-447; Tipping (2001), JMLR 1, 211-244.
"""

from __future__ import annotations

import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import coefficients, flat_part, observe, of_table, standardized
from bayesridge.models.scales import precisions
from bayesridge.priors import GammaPrecisions


@of_table
def gamma_precisions(design: Design, *, prior: GammaPrecisions, centred: bool) -> pm.Model:
    """Build the model with gamma priors on 1/sigma^2 and 1/tau^2.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
    prior : GammaPrecisions
        Shapes and rates; rates are in squared units of y.
    centred : bool
        Whether to sample the coefficients themselves, or as multiples of tau.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        noise_precision, prior_precision = precisions(prior, table.unit)
        sigma = pm.Deterministic("sigma", noise_precision**-0.5)
        tau = pm.Deterministic("tau", prior_precision**-0.5)
        pm.Deterministic("lambda_", prior_precision / noise_precision)
        beta = coefficients(table, tau, centred=centred)
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model
