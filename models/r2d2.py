r"""R2D2: the prior on R^2 of ridge, with the explained variance shared out unevenly.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i),     b0 and unpenalised columns flat
    beta_j ~ N(0, p phi_j tau^2),    phi ~ Dirichlet(concentration, ..., concentration)
    tau = r sigma,  lambda = sigma^2 / tau^2,  R^2 ~ Beta(a, b),  W = signal / lambda      as for ridge

tau^2 is the mean of the prior variances. A large concentration gives phi_j = 1/p, which is ridge; a small one a few
large coefficients among many near zero.

Zhang, Naughton, Bondell & Reich (2022), JASA 117, 862-874; with normal coefficients: Aguilar & Buerkner (2023),
Electronic Journal of Statistics 17, 1711-1767.
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import flat_part, observe, of_table, standardized
from bayesridge.models.scales import noise_scale, penalty
from bayesridge.priors import BetaR2, NoisePrior


@of_table
def r2d2(design: Design, *, prior: BetaR2, noise_prior: NoisePrior, concentration: float) -> pm.Model:
    """Build the model with a Dirichlet share of the explained variance.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
        With at least two penalised columns.
    prior : BetaR2
        Of the share of variance explained.
    noise_prior : NoisePrior
        Of sigma.
    concentration : float
        Of the Dirichlet; 0.5 is sparse, 1 moderate, large is ridge.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    p = table.X.shape[1]
    with pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        lam = penalty(prior, table.signal)
        tau = pm.Deterministic("tau", sigma * lam**-0.5)
        phi = pm.Dirichlet("phi", np.full(p, concentration), dims="penalized")
        raw = pm.Normal("beta_raw", 0.0, 1.0, dims="penalized")
        beta = pm.Deterministic("beta", tau * pm.math.sqrt(p * phi) * raw, dims="penalized")
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model
