r"""Binomial ridge regression with logit link: what ``family="binomial"`` computes.

    y_i ~ Binomial(m_i, 1 / (1 + exp(-eta_i))),      eta_i = offset_i + centre + z_i' gamma + x_i' beta
    beta_j ~ N(0, tau^2) for standardised columns,      tau ~ prior,      centre, gamma flat

There is no noise scale; the penalty of ``-log likelihood + lambda/2 |beta|^2`` is lambda = 1 / tau^2 (scikit-
learn's ``LogisticRegression(C=1 / lambda)``). A row of frequency weight w is counted w times.

McCullagh & Nelder, Generalized Linear Models (1989), chapter 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.models.parts import linear_predictor, of_table, refuse_what_is_no_count, repeat, standardized
from bayesridge.priors import Prior


@of_table
def binomial(design: Design, *, prior: Prior, trials: Any = 1, offset: Any = None) -> pm.Model:
    """Build the binomial model.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target, successes.
    prior : Prior
        On tau: ``HalfT(4, 0.5, on="tau")``, ``FixedTau(0.5)`` and their like.
    trials : array_like of shape (n,)
        Numbers of trials.
    offset : array_like of shape (n,), optional
        Added to the log odds.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    refuse_what_is_no_count(design, table)
    m = np.broadcast_to(np.asarray(trials), (design.n_rows,))[table.coords["obs"]].astype(np.int64)
    if (table.y > m).any():
        raise DataError(f"{design.target_name} has more successes than trials")
    with pm.Model(coords=table.coords) as model:
        share = (table.y.sum() + 0.5) / (m.sum() + 1.0)
        eta = linear_predictor(design, table, prior, offset, start=float(np.log(share / (1.0 - share))))
        successes = table.y.astype(np.int64)
        pm.Binomial("y", n=m, logit_p=eta, observed=successes, dims="obs")
        repeat(table, pm.Binomial.dist(n=m, logit_p=eta), successes)
    return model
