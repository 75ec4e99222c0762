r"""Logistic ridge regression with known prior scales: rstanarm's ``stan_glm(..., family=binomial)``.

    y_i ~ Bernoulli(1 / (1 + exp(-eta_i))),      eta_i = b0 + x_i' beta,      y_i in {0, 1}
    beta_j ~ N(0, tau^2) for standardised columns,    centre = b0 + mean' beta ~ N(0, intercept_sd^2)

There is no noise scale; the penalty of ``-log likelihood + lambda/2 |beta|^2`` is lambda = 1 / tau^2 (scikit-
learn's ``LogisticRegression(C=tau**2)``).

Gelman, Jakulin, Pittau & Su (2008), Annals of Applied Statistics 2, 1360-1383; rstanarm's defaults are 2.5 for
both.
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.models.parts import of_table, standardized


@of_table
def logistic(design: Design, *, tau: float, intercept_sd: float) -> pm.Model:
    """Build the logistic model.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
        With an intercept, zeros and ones as target, all columns penalised, without weights.
    tau : float
        Prior standard deviation of the standardised coefficients.
    intercept_sd : float
        Prior standard deviation of the intercept of the centred columns.

    Returns
    -------
    pymc.Model
    """
    if not np.isin(design.y, (0.0, 1.0)).all():
        raise DataError(f"a logistic model needs a target of zeros and ones, {design.target_name} has other values")
    if design.weights is not None or len(design.unpenalized) or not design.fit_intercept:
        raise DataError("this model takes an intercept, penalised columns only, and no weights")
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        centre = pm.Normal("centre", 0.0, intercept_sd)
        beta = pm.Normal("beta", 0.0, tau, dims="penalized")
        pm.Bernoulli("y", logit_p=centre + pm.math.dot(table.X, beta), observed=table.y.astype(np.int64), dims="obs")
        pm.Deterministic("tau", pm.math.constant(np.float64(tau)))
        pm.Deterministic("lambda_", pm.math.constant(np.float64(tau**-2)))
    return model
