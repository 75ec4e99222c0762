r"""Several penalties: ridge by groups, mixed models with intercepts and slopes of levels, smooths.

    y_i = b0 + z_i' gamma + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i)
    beta_j ~ N(0, tau_g^2),                       g the group of column j, tau_g = sigma / sqrt(lambda_g)
    R^2_g ~ Beta(a, b), independently,            R^2_g = W_g / (1 + W_g),  W_g = S_g / lambda_g
    (beta_j, beta_k) ~ N(0, [tau_g^2, rho tau_g tau_h; rho tau_g tau_h, tau_h^2]),   rho ~ Uniform(-1, 1)
    p(sigma^2) = 1 / sigma^2,                     b0 and unpenalised columns flat

The effect of a level is the coefficient of its dummy; that of its slope the one of dummy times predictor. The last line
but one is for the two effects of a level in ``(x | shop)``: LKJ(1). S_g is the sum over the columns of a group of
their mean squares: p for standardised columns, 1 for dummies, so that R^2_g is then the intraclass correlation.

Coefficients are sampled non-centred, as standard normals times tau: with few levels, or an effect that may be absent,
they and tau form a funnel.

Gelman & Hill (2007), chapters 12 and 13; Lewandowski, Kurowicka & Joe (2009), J. Multivariate Analysis 100, 1989-2001,
for the correlations; Wood (2017), section 5.8, for smooths as random effects.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm

from bayesridge.engines.groups import GroupEngine
from bayesridge.engines.schur import LevelEngine
from bayesridge.errors import DataError
from bayesridge.models.parts import drawable, flat_part, observe, standardized
from bayesridge.models.scales import noise_scale, penalty
from bayesridge.priors import NoisePrior, Prior
from bayesridge.priors.groups import by_group


def mixed(
    engine: GroupEngine | LevelEngine, *, prior: Prior, noise_prior: NoisePrior, proper: bool = False
) -> pm.Model:
    """Build the model with a penalty for each group of columns.

    Parameters
    ----------
    engine : GroupEngine or LevelEngine
        Of a fit, ``fit.posterior_.engine``, or made of a design by :func:`bayesridge.engines.groups.group_engine`: it
        says which column has which penalty, and which are correlated.
    prior : Prior
        One for each group, or ``ByGroup``: of R^2, lambda or tau/sigma.
    noise_prior : NoisePrior
        Of sigma.
    proper : bool
        Whether to put wide proper priors in the place of the flat ones.

    Returns
    -------
    pymc.Model
        Level effects are laid out as columns: for tables of some thousand effects at most.

    Raises
    ------
    DataError
        If it is no engine of several penalties.
    PriorError
        If a prior is none of R^2, lambda or tau/sigma.
    """
    if not hasattr(engine, "penalties"):
        raise DataError(
            f"this model takes the engine of a fit with several penalties, fit.posterior_.engine, got a "
            f"{type(engine).__name__}; with one lambda take conjugate"
        )
    design, table = engine.design, standardized(engine.design)
    columns = np.flatnonzero(engine.penalties >= 0)  # with levels that have no rows, which a design leaves out
    group = engine.penalties[columns]
    coords = {"penalized": np.array(design.names, dtype=str)[columns], "penalty": engine.names}
    X = design.standardize(design.X[table.coords["obs"]], columns)
    table = replace(table, X=X, coords=table.coords | coords | {"correlated": list(engine.pairs)})
    # the second of a pair of columns is correlated with the first; every other column is so with itself, by zero
    first, which = np.arange(len(columns)), np.zeros(len(columns), dtype=np.intp)
    for k, pair in enumerate(engine.pairs.values(), start=1):
        one, two = np.searchsorted(columns, pair).T
        first[two], which[two] = one, k
    of_group = by_group(engine.names, prior)
    priors = getattr(of_group, "priors", (of_group,))
    with drawable(proper, *priors, noise_prior), pm.Model(coords=table.coords) as model:
        sigma = noise_scale(noise_prior, table.unit)
        found = []
        for name, one_prior, signal in zip(engine.names, priors, engine.signals, strict=True):
            with pm.Model(name=name):  # its variables are name::r2 and name::lambda_
                found.append(penalty(one_prior, signal))
        lam = pm.Deterministic("lambda_", pm.math.stack(found), dims="penalty")
        tau = pm.Deterministic("tau", sigma * lam**-0.5, dims="penalty")
        unit = pm.Normal("beta_raw", 0.0, 1.0, dims="penalized")
        if engine.pairs:
            rho = pm.math.concatenate([[0.0], pm.Uniform("rho", -1.0, 1.0, dims="correlated")])[which]
            unit = rho * unit[first] + pm.math.sqrt(1.0 - rho**2) * unit
        beta = pm.Deterministic("beta", tau[group] * unit, dims="penalized")
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
    return model
