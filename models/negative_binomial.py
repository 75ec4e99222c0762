r"""Negative binomial ridge regression with log link: what ``family="negative-binomial"`` computes.

    y_i ~ Poisson(exp(eta_i) g_i),      g_i ~ Gamma(1 / dispersion, 1 / dispersion),      g_i integrated out
    eta_i = offset_i + centre + z_i' gamma + x_i' beta,      beta_j ~ N(0, tau^2) for standardised columns
    tau ~ prior,      sqrt(dispersion) ~ half-t(4, spread),      centre, gamma flat

sqrt(dispersion) is the coefficient of variation of the rate g_i, and Var[y_i] = mu_i + dispersion mu_i^2. There is no
noise scale, and lambda = 1 / tau^2. A row of frequency weight w is counted w times.

Cameron & Trivedi, Regression Analysis of Count Data (2013), section 3.3 (NB2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import linear_predictor, of_table, refuse_what_is_no_count, repeat, standardized
from bayesridge.priors import Prior


@of_table
def negative_binomial(design: Design, *, prior: Prior, spread: float = 1.0, offset: Any = None) -> pm.Model:
    """Build the negative binomial model.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target, counts.
    prior : Prior
        On tau: ``HalfT(4, 0.5, on="tau")``, ``FixedTau(0.5)`` and their like.
    spread : float
        Scale of the half-t on sqrt(dispersion).
    offset : array_like of shape (n,), optional
        Added to the linear predictor: log exposure.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    refuse_what_is_no_count(design, table)
    with pm.Model(coords=table.coords) as model:
        eta = linear_predictor(design, table, prior, offset, start=np.log(max(table.y_mean, 1e-3)))
        dispersion = pm.Deterministic("dispersion", pm.HalfStudentT("variation", nu=4.0, sigma=spread) ** 2)
        parameters = {"mu": pm.math.exp(eta), "alpha": 1.0 / dispersion}
        counts = table.y.astype(np.int64)
        pm.NegativeBinomial("y", **parameters, observed=counts, dims="obs")
        repeat(table, pm.NegativeBinomial.dist(**parameters), counts)
    return model
