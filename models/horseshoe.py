r"""The regularised horseshoe: most coefficients near zero, a few free.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i),     b0 and unpenalised columns flat
    beta_j ~ N(0, t^2 l_j'^2),       l_j'^2 = c^2 l_j^2 / (c^2 + t^2 l_j^2),       l_j ~ half-Cauchy(1)
    t ~ half-Cauchy(t0),             t0 = p0 / (p - p0) sigma / sqrt(n)            p0: how many coefficients matter
    c^2 ~ InvGamma(slab_df / 2, slab_df / 2 slab_scale^2)                         how large those may be

Every coefficient has its own penalty ``sigma^2 / (t l_j')^2``. What is reported as tau is the root mean square of
the prior sds ``t l_j'``, and lambda = sigma^2 / tau^2: a ridge with the same prior variance in all.

Piironen & Vehtari (2017), Electronic Journal of Statistics 11, 5018-5051.
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.errors import PriorError
from bayesridge.models.parts import flat_part, observe, of_table, standardized
from bayesridge.models.scales import noise_scale
from bayesridge.priors import NoisePrior


@of_table
def horseshoe(
    design: Design, *, noise_prior: NoisePrior, expected_nonzero: float, slab_scale: float, slab_df: float
) -> pm.Model:
    """Build the regularised horseshoe.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
    noise_prior : NoisePrior
        Of sigma.
    expected_nonzero : float
        p0, between 0 and the number of penalised columns.
    slab_scale : float
        Size of the large standardised coefficients, in the units of y.
    slab_df : float
        Degrees of freedom of the slab; 4 is customary.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    n, p = table.X.shape
    if not 0 < expected_nonzero < p:
        raise PriorError(f"expected_nonzero must lie between 0 and the {p} penalised columns, got {expected_nonzero}")
    with pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        t = pm.HalfCauchy("global_raw", 1.0) * (expected_nonzero / (p - expected_nonzero)) * sigma / np.sqrt(n)
        c2 = slab_scale**2 * pm.InverseGamma("slab_raw", 0.5 * slab_df, 0.5 * slab_df)
        local = pm.HalfCauchy("local", 1.0, dims="penalized")
        scale = t * local * pm.math.sqrt(c2 / (c2 + t**2 * local**2))
        raw = pm.Normal("beta_raw", 0.0, 1.0, dims="penalized")
        beta = pm.Deterministic("beta", scale * raw, dims="penalized")
        tau = pm.Deterministic("tau", pm.math.sqrt((scale**2).mean()))
        pm.Deterministic("lambda_", (sigma / tau) ** 2)
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model
