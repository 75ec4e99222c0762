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

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design
from bayesridge.models.parts import of_table, standardized
from bayesridge.models.scales import prior_scale
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
    if (table.y < 0).any() or (table.y != np.rint(table.y)).any():
        raise DataError(f"a Poisson model needs counts, and {design.target_name} has other values")
    if table.weights is not None and table.weight_kind == "precision":
        raise DataError("precision weights divide a Gaussian's noise variance; counts take frequency weights")
    with pm.Model(coords=table.coords) as model:
        tau = prior_scale(prior, 1.0)
        raw = pm.Normal("beta_raw", 0.0, 1.0, dims="penalized")
        beta = pm.Deterministic("beta", tau * raw, dims="penalized")
        eta = pm.math.dot(table.X, beta)
        if table.has_intercept:
            eta = eta + pm.Flat("centre", initval=np.log(max(table.y_mean, 1e-3)))
        if table.Z.shape[1]:
            eta = eta + pm.math.dot(table.Z, pm.Flat("gamma", dims="unpenalized", initval=np.zeros(table.Z.shape[1])))
        if offset is not None:
            eta = eta + np.broadcast_to(np.asarray(offset, dtype=np.float64), (design.n_rows,))[table.coords["obs"]]
        rate = pm.math.exp(eta)
        counts = table.y.astype(np.int64)
        pm.Poisson("y", rate, observed=counts, dims="obs")
        if table.weights is not None:
            pm.Potential("repeats", ((table.weights - 1.0) * pm.logp(pm.Poisson.dist(rate), counts)).sum())
        pm.Deterministic("lambda_", tau**-2.0)
    return model
