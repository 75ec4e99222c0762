"""Priors of tau, as densities of t = log lambda = -2 log tau: the outcome has no noise variance to measure tau by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import PriorError
from bayesridge.outcomes.family import Family
from bayesridge.priors import HalfT, Jeffreys, Prior, check_priors

Array = NDArray[np.float64]
LogPrior = Callable[[Array], Array]


def default_prior(family: Family, design: Design) -> HalfT:
    """Half-t on tau, heavy enough to learn from data and light enough to be proper where they are separated.

    With q flat directions p(y | tau) grows like tau^q where the columns separate the outcomes; q + 3 degrees of freedom
    leave the coefficients means and sds. The scale expects the columns together to move eta by about one unit of the
    family.
    """
    return HalfT(float(max(4, design.n_flat + 3)), family.unit / np.sqrt(max(len(design.penalized), 1)), on="tau")


def fixed_t(prior: Prior) -> float | None:
    """Log lambda, where the prior gives it."""
    known = _checked(prior).known
    if known is None:
        return None
    if known <= 0:
        raise PriorError(
            f"{prior.text}: lambda = 1 / tau² must be positive here; flat columns are named by unpenalized"
        )
    return float(np.log(known) if prior.variable == "lambda" else -2.0 * np.log(known))


def density_of_t(prior: Prior) -> LogPrior:
    """Log density of t: sigma is one."""
    checked = _checked(prior)
    return lambda t: checked.given_sigma(t, 0.0, 1.0)


def _checked(prior: Prior) -> Prior:
    check_priors(prior, Jeffreys())
    if prior.states_noise or prior.explained(0.5) is not None:
        raise PriorError(
            f"{prior.text} needs a noise variance, and this outcome has none: give a prior of tau, such as "
            "HalfT(4, 0.5, on='tau') or HalfNormal(1, on='tau'), or of lambda = 1 / tau²; or FixedTau, FixedLambda"
        )
    return prior
