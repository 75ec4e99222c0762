r"""Heteroscedastic ridge regression with known weights, written out in full.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i),     w_i known
    beta_j ~ N(0, sigma^2 / lambda),                               b0 flat
    R^2 ~ Beta(a, b),                lambda = signal (1 - R^2) / R^2
    p(sigma^2) = 1 / sigma^2

x is centred by its weighted mean and divided by its weighted standard deviation. lambda is the penalty of ``sum w
(y - b0 - x'beta)^2 + lambda |beta|^2``. Every model here takes weights through its design; this one, the same as
``conjugate`` with ``BetaR2(a, b)`` and ``Jeffreys()``, shows what they do.

A precision weight says how exactly a row was measured (the mean of w readings: w). It is not a frequency weight,
which says how often a row occurred: that one multiplies the log likelihood and adds to the number of observations.
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design


def weighted(design: Design, *, a: float, b: float) -> pm.Model:
    """Build the model with noise variances ``sigma^2 / w_i``.

    Parameters
    ----------
    design : Design
        With precision weights, an intercept, and all columns penalised.
    a, b : float
        Of the Beta prior on R^2.

    Returns
    -------
    pymc.Model
    """
    if design.weights is None or design.weight_kind != "precision":
        raise DataError("this model is about precision weights: pass weights and weight_kind='precision'")
    if not design.fit_intercept or len(design.unpenalized):
        raise DataError("this model has an intercept and penalised columns only; use conjugate for other designs")
    rows = np.flatnonzero(design.weights > 0)
    w, y = design.weights[rows], design.y[rows]
    X = (design.X[rows][:, design.penalized] - design.mean[design.penalized]) / design.scale[design.penalized]
    names = [design.names[j] for j in design.penalized]
    with pm.Model(coords={"obs": rows, "penalized": names}) as model:
        r2 = pm.Beta("r2", a, b)
        lam = pm.Deterministic("lambda_", design.signal * (1.0 - r2) / r2)
        log_sigma = pm.Flat("log_sigma", initval=np.log(y.std()))
        pm.Potential("jeffreys", pm.math.log(2.0))
        sigma = pm.Deterministic("sigma", pm.math.exp(log_sigma))
        tau = pm.Deterministic("tau", sigma * lam**-0.5)
        centre = pm.Flat("centre", initval=design.y_mean)
        beta = pm.Normal("beta", 0.0, tau, dims="penalized")
        pm.Normal("y", centre + pm.math.dot(X, beta), sigma / np.sqrt(w), observed=y, dims="obs")
    return model
