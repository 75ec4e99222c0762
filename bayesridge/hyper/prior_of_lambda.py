"""What the priors say of lambda before the data: the density of its logarithm, and the share of variance explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln

from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedSigma,
    FixedTau,
    GammaPrecisions,
    Jeffreys,
    NoisePrior,
    Prior,
)

Array = NDArray[np.float64]
Density = Callable[[Array], Array]

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
    name = f"prior: {prior.describe()}"
    if isinstance(prior, GammaPrecisions):
        return LambdaPrior(_ratio_of_gammas(prior), True, name)
    direct = prior.on_lambda(signal if signal > 0 else 1.0)
    if direct is not None:
        known = not isinstance(prior, Custom)
        return LambdaPrior(direct, known, name if known else f"{name} (shape only)")
    on_tau = prior.on_tau()
    if on_tau is None or isinstance(prior, FixedTau) or isinstance(noise, Jeffreys):
        return None
    known = not isinstance(prior, Custom) and not isinstance(noise, Custom)
    name = f"{name}, {noise.describe()}" + ("" if known else " (shape only)")
    if isinstance(noise, FixedSigma):
        v = float(np.log(noise.sigma))
        return LambdaPrior(lambda t: on_tau(v - 0.5 * t) - np.log(2.0), known, name)
    return LambdaPrior(_ratio(on_tau, noise.log_density_of_log, float(np.log(sigma))), known, name)


def explained_variance(prior: Prior, level: float) -> tuple[float, float] | None:
    """Equal-tailed interval of the prior of R², or None where the prior is not one of R²."""
    if not isinstance(prior, BetaR2):
        return None
    low, high = (float(betaincinv(prior.a, prior.b, 0.5 * (1.0 + side * level))) for side in (-1.0, 1.0))
    return low, high


def _ratio_of_gammas(prior: GammaPrecisions) -> Density:
    a, c = prior.tau_shape, prior.sigma_shape
    shift = float(np.log(prior.tau_rate / prior.sigma_rate))

    def log_density(t: Array) -> Array:
        u = t + shift
        return np.asarray(a * u - (a + c) * np.logaddexp(0.0, u) - betaln(a, c))

    return log_density


def _ratio(on_tau: Density, on_sigma: Density, centre: float) -> Density:
    v = centre + np.arange(-_REACH, _REACH, _STEP)
    log_sigma = on_sigma(v)

    def log_density(t: Array) -> Array:
        terms = on_tau(v - 0.5 * t[:, None]) + log_sigma
        return np.asarray(np.logaddexp.reduce(terms, axis=1) + np.log(0.5 * _STEP))

    return log_density
