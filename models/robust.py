r"""Ridge regression with Student-t noise, for targets with outliers.

    y_i = b0 + x_i' beta + e_i,      e_i ~ t_nu(0, sigma^2 / w_i),    nu ~ Gamma(nu_shape, rate=nu_rate)
    beta_j ~ N(0, tau^2),            tau = r sigma,                   b0 and unpenalised columns flat
    lambda = 1 / r^2 as in the conjugate model;  p(sigma^2) = 1 / sigma^2 or another noise prior

sigma is the *scale* of the noise, its sd is ``sigma sqrt(nu / (nu - 2))`` (infinite for nu <= 2). Given the
gaussian scale mixture ``e_i ~ N(0, sigma^2 / (w_i g_i))``, g_i ~ Gamma(nu/2, nu/2), it is ridge with weights
learned from the residuals, and lambda is the penalty of that weighted ridge. The exact engine does not cover it.

Lange, Little & Taylor (1989), JASA 84, 881-896; Gamma(2, 0.1) on nu: Juarez & Steel (2010), JBES 28, 52-66.
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.errors import DataError, PriorError
from bayesridge.models.parts import coefficients, flat_part, of_table, standardized
from bayesridge.models.scales import noise_scale, penalty
from bayesridge.priors import BetaR2, Custom, FixedLambda, Gamma, HalfPrior, LogNormal, NoisePrior


@of_table
def robust(
    design: Design,
    *,
    prior: BetaR2 | LogNormal | Gamma | FixedLambda | HalfPrior | Custom,
    noise_prior: NoisePrior,
    nu_shape: float,
    nu_rate: float,
    centred: bool,
) -> pm.Model:
    """Build the model with Student-t noise.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
        Without frequency weights (write the rows out instead).
    prior, noise_prior : Prior, NoisePrior
        As in the conjugate model; the noise prior is on the scale sigma.
    nu_shape, nu_rate : float
        Of the gamma prior on the degrees of freedom; 2 and 0.1 are customary.
    centred : bool
        Whether to sample the coefficients themselves, or as multiples of tau.

    Returns
    -------
    pymc.Model
    """
    if design.weights is not None and design.weight_kind == "frequency":
        raise DataError("the robust model takes precision weights only: repeat the rows instead of counting them")
    if isinstance(prior, FixedLambda) and prior.lam == 0.0:
        raise PriorError("the robust model has no flat prior on beta (lambda = 0): take a small positive lambda")
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        lam = penalty(prior, table.signal)
        tau = pm.Deterministic("tau", sigma * lam**-0.5)
        nu = pm.Gamma("nu", alpha=nu_shape, beta=nu_rate)
        beta = coefficients(table, tau, centred=centred)
        mean = flat_part(table) + pm.math.dot(table.X, beta)
        scale = sigma if table.weights is None else sigma / np.sqrt(table.weights)
        pm.StudentT("y", nu=nu, mu=mean, sigma=scale, observed=table.y, dims="obs")
    return model
