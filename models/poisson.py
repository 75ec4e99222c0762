r"""Poisson ridge regression with log link: what ``family="poisson"`` computes.

    y_i ~ Poisson(exp(eta_i)),      eta_i = offset_i + centre + z_i' gamma + x_i' beta
    beta_j ~ N(0, tau^2) for standardised columns,      tau ~ prior,      centre, gamma flat

There is no noise scale; the penalty of ``-log likelihood + lambda/2 |beta|^2`` is lambda = 1 / tau^2 (scikit-
learn's ``PoissonRegressor(alpha=lambda / n)``). A row of frequency weight w is counted w times.

McCullagh & Nelder, Generalized Linear Models (1989), chapter 6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import linear_predictor, of_table, refuse_what_is_no_count, repeat, standardized
from bayesridge.priors import Prior


@of_table
def poisson(design: Design, *, prior: Prior, offset: Any = None) -> pm.Model:
    """Build the Poisson model.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target, counts.
    prior : Prior
        On tau: ``HalfT(4, 0.5, on="tau")``, ``FixedTau(0.5)`` and their like.
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
        rate = pm.math.exp(eta)
        counts = table.y.astype(np.int64)
        pm.Poisson("y", rate, observed=counts, dims="obs")
        repeat(table, pm.Poisson.dist(rate), counts)
    return model
