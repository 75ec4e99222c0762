"""What the priors say of lambda before the data: the density of its logarithm, and the share of variance explained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from bayesridge.priors import Conjugate, Density, NoisePrior, Prior

Array = NDArray[np.float64]

_STEP, _REACH = 0.05, 60.0


@dataclass(frozen=True, eq=False)
class LambdaPrior:
    """Prior of log lambda (natural logarithm).

    Attributes
    ----------
    log_density : callable
    normalized : bool
        Whether it is known to integrate to one.
    label : str
        For legends.
    """

    log_density: Density
    normalized: bool
    label: str


def prior_density(prior: Prior, noise: NoisePrior, signal: float, sigma: float) -> LambdaPrior | None:
    """Return the prior of log lambda, or None: lambda fixed, or sigma's improper prior is part of it.

    A prior on tau and one on sigma make one on ``lambda = sigma^2 / tau^2``; with ``log sigma = log tau + t / 2`` it is

        p(t) = 1/2 integral p(log tau = v - t/2) p(log sigma = v) dv,

    a trapezoidal sum. Gamma(a, b) and Gamma(c, d) on 1/tau^2 and 1/sigma^2 make a beta prime, ``lambda b / d``.

    Parameters
    ----------
    prior, noise : Prior, NoisePrior
    signal : float
        Variance that the columns explain at lambda = 1, for priors on R^2.
    sigma : float
        Where the sum over log sigma is centred.
    """
    name = f"prior: {prior.text}"
    of_penalty, of_sigma = prior.with_noise(noise)
    if of_penalty.known is not None:
        return None
    known = of_penalty.normalized
    if of_penalty.variable == "lambda":
        return LambdaPrior(
            lambda t: of_penalty.log_density(t, signal), known, name if known else f"{name} (shape only)"
        )
    if not of_sigma.proper:
        return None
    known = known and of_sigma.normalized
    if not prior.states_noise:
        name = f"{name}, {noise.text}"
    name += "" if known else " (shape only)"
    if of_sigma.known is not None:
        v = float(np.log(of_sigma.known))
        return LambdaPrior(lambda t: of_penalty.given_sigma(t, v, signal), known, name)
    if of_penalty.conjugate is not None and of_sigma.conjugate is not None:
        return LambdaPrior(_ratio_of_gammas(of_penalty.conjugate, of_sigma.conjugate), known, name)
    return LambdaPrior(_ratio(of_penalty.log_density, of_sigma.log_density, float(np.log(sigma))), known, name)


def _ratio_of_gammas(tau: Conjugate, sigma: Conjugate) -> Density:
    shift = float(np.log(tau.scale / sigma.scale))

    def log_density(t: Array) -> Array:
        u = t + shift
        return np.asarray(
            tau.shape * u - (tau.shape + sigma.shape) * np.logaddexp(0.0, u) - betaln(tau.shape, sigma.shape)
        )

    return log_density


def _ratio(on_tau: Density, on_sigma: Density, centre: float) -> Density:
    v = centre + np.arange(-_REACH, _REACH, _STEP)
    log_sigma = on_sigma(v)

    def log_density(t: Array) -> Array:
        terms = on_tau(v - 0.5 * t[:, None]) + log_sigma
        return np.asarray(np.logaddexp.reduce(terms, axis=1) + np.log(0.5 * _STEP))

    return log_density
