r"""The priors of `scales` as log densities of log lambda, log tau and log sigma, for models that sample those.

A density p of a positive x is ``p(x) x`` as one of log x. ``log lambda = -2 log(tau/sigma)`` halves a density of the
ratio, and ``log lambda = 2 (log sigma - log tau)`` at given sigma one of tau.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
from scipy.special import betaln

from bayesridge.errors import PriorError
from bayesridge.models.scales import evaluate
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedSigma,
    FixedTau,
    Gamma,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Jeffreys,
    LogNormal,
    NoisePrior,
    Prior,
)


def log_density_of_scales(prior: Prior, noise: NoisePrior, log_lam: Any, log_sigma: Any, signal: float) -> Any:
    """Log density of those of (log lambda, log sigma) that the priors leave free."""
    log_tau = log_sigma - 0.5 * log_lam
    match prior:
        case GammaPrecisions(tau_shape, tau_rate, sigma_shape, sigma_rate):
            on_tau = log_density_of_log_scale(InverseGamma(tau_shape, tau_rate), log_tau) - np.log(2.0)
            return on_tau + log_density_of_log_scale(InverseGamma(sigma_shape, sigma_rate), log_sigma)
        case FixedTau():  # lambda follows sigma
            return log_density_of_log_scale(noise, log_sigma)
        case Custom(of="tau") | HalfT(on="tau") | HalfCauchy(on="tau") | HalfNormal(on="tau"):
            on_tau = log_density_of_log_scale(prior, log_tau) - np.log(2.0)
            return on_tau + log_density_of_log_scale(noise, log_sigma)
        case _:
            on_lambda = log_density_of_log_lambda(prior, log_lam, signal)
            return on_lambda + log_density_of_log_scale(noise, log_sigma)


def log_density_of_log_lambda(prior: Prior, log_lam: Any, signal: float) -> Any:
    """Log density of log lambda under a prior that does not depend on sigma: on lambda, tau/sigma or R^2."""
    signal = signal if signal > 0 else 1.0  # without penalised columns lambda says nothing: any signal will do
    log_w = np.log(signal) - log_lam
    log_r2, log_rest = -pm.math.log1pexp(-log_w), -pm.math.log1pexp(log_w)
    match prior:
        case BetaR2(a, b):  # |d R^2 / d log lambda| = R^2 (1 - R^2)
            return a * log_r2 + b * log_rest - betaln(a, b)
        case LogNormal(median, sd):
            return pm.logp(pm.Normal.dist(np.log(median), sd), log_lam)
        case Gamma(shape, rate):
            return pm.logp(pm.Gamma.dist(alpha=shape, beta=rate), pm.math.exp(log_lam)) + log_lam
        case HalfT(on="tau/sigma") | HalfCauchy(on="tau/sigma") | HalfNormal(on="tau/sigma") | Custom(of="tau/sigma"):
            return log_density_of_log_scale(prior, -0.5 * log_lam) - np.log(2.0)
        case Custom(of="lambda"):
            return log_density_of_log_scale(prior, log_lam)
        case FixedLambda():
            return 0.0
        case Custom(of="R2"):
            return evaluate(prior, pm.math.exp(log_r2)) + log_r2 + log_rest
        case _:
            raise PriorError(f"{prior.text} is no density of lambda")


def log_density_of_log_scale(prior: Prior | NoisePrior, log_x: Any) -> Any:
    """Log density of log x, x being what the prior is on: tau, tau/sigma or sigma."""
    x = pm.math.exp(log_x)
    match prior:
        case Jeffreys():  # p(sigma^2) = 1 / sigma^2
            return np.log(2.0)
        case FixedSigma():
            return 0.0
        case InverseGamma(shape, scale):  # 1 / x^2 is gamma, with slope 2 / x^2 in log x
            return pm.logp(pm.Gamma.dist(alpha=shape, beta=scale), x**-2) + np.log(2.0) - 2.0 * log_x
        case HalfT(df, scale):
            return pm.logp(pm.HalfStudentT.dist(nu=df, sigma=scale), x) + log_x
        case HalfCauchy(scale):
            return pm.logp(pm.HalfCauchy.dist(beta=scale), x) + log_x
        case HalfNormal(scale):
            return pm.logp(pm.HalfNormal.dist(sigma=scale), x) + log_x
        case Custom():
            return evaluate(prior, x) + log_x
        case _:
            raise PriorError(f"{prior.text} is no density of a scale")
