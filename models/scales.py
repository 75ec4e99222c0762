r"""The priors of sigma, tau and lambda, as PyMC variables: one line of model for each object of `bayesridge.priors`.

sigma is the noise sd, tau the prior sd of the standardised coefficients, ``lambda = sigma^2 / tau^2``. ``W = signal
/ lambda`` is the prior ratio of explained to noise variance, ``R^2 = W / (1 + W)``. All functions are called inside
a model.

What is flat goes through :func:`flat`, which puts a proper prior in its place where one is asked for.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import numpy as np
import pymc as pm

from bayesridge.errors import DataError, PriorError
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

#: Whether the model being built has proper priors only: `of_table` sets it, from a model's keyword of this name.
PROPER = ContextVar("proper", default=False)


def flat(name: str, mean: Any, sd: Any, **options: Any) -> Any:
    """Return a flat variable, or ``N(mean, sd^2)`` where the model is to be proper."""
    return pm.Normal(name, mean, sd, **options) if PROPER.get() else pm.Flat(name, **options)


def refuse_what_cannot_be_drawn(*priors: Any) -> None:
    """Refuse priors without a sampler, and those whose draws leave the range of double precision.

    A Gamma(a) variable is below x with probability near x^a: for a = 0.05 its inverse square root passes 1e75 once in
    3e7 draws, for a = 1e-6 always. R^2 rounds to one, and lambda to zero, with probability near 1e-16^b.
    """
    for prior in priors:
        least: dict[str, tuple[float, float]] = {}
        match prior:
            case Custom():
                raise DataError(
                    f"{prior.text} is a density without a sampler, so that nothing can be drawn from it: with "
                    "proper=True take a prior with a name (HalfT, LogNormal, Gamma, BetaR2, ...)"
                )
            case GammaPrecisions():
                least = {"tau_shape": (prior.tau_shape, 0.05), "sigma_shape": (prior.sigma_shape, 0.05)}
            case InverseGamma(shape) | Gamma(shape):
                least = {"shape": (shape, 0.05)}
            case HalfT(df):
                least = {"df": (df, 0.1)}
            case BetaR2(a, b):
                least = {"a": (a, 0.05), "b": (b, 0.4)}
        for name, (value, limit) in least.items():
            if value < limit:
                raise DataError(
                    f"{prior.text}: draws of so wide a prior overflow; with proper=True {name} must be at least "
                    f"{limit:g}, got {value:g}"
                )


def noise_scale(noise: NoisePrior, unit: float) -> Any:
    """Return sigma under its prior; `unit`, the sd of y, is where a sampler starts."""
    match noise:
        case Jeffreys():  # p(sigma^2) = 1 / sigma^2: the density of log sigma is the constant 2
            log_sigma = flat("log_sigma", np.log(unit), 1.5, initval=np.log(unit))
            if not PROPER.get():
                pm.Potential("jeffreys", pm.math.log(2.0))
            return pm.Deterministic("sigma", pm.math.exp(log_sigma))
        case InverseGamma(shape, scale):
            precision = pm.Gamma("noise_precision", alpha=shape, beta=scale, initval=unit**-2)
            return pm.Deterministic("sigma", precision**-0.5)
        case FixedSigma(sigma):
            return pm.Deterministic("sigma", pm.math.constant(sigma))
        case Custom():
            return _custom("sigma", noise, unit)
        case _:
            return _half("sigma", noise, unit)


def prior_scale(prior: Prior, unit: float) -> Any:
    """Return tau, for priors that are on tau itself."""
    match prior:
        case FixedTau(tau):
            return pm.Deterministic("tau", pm.math.constant(tau))
        case Custom(of="tau"):
            return _custom("tau", prior, unit)
        case HalfT(on="tau") | HalfCauchy(on="tau") | HalfNormal(on="tau"):
            return _half("tau", prior, unit)
        case _:
            raise PriorError(f"{prior.text} is no prior on tau; use the conjugate model for it")


def penalty(prior: Prior, signal: float) -> Any:
    """Return lambda, for priors that do not depend on sigma: on lambda, tau/sigma or R^2."""
    signal = signal if signal > 0 else 1.0  # without penalised columns lambda says nothing: any signal will do
    match prior:
        case BetaR2(a, b):
            r2 = pm.Beta("r2", a, b)
            return pm.Deterministic("lambda_", signal * (1.0 - r2) / r2)
        case LogNormal(median, sd):
            return pm.LogNormal("lambda_", np.log(median), sd)
        case Gamma(shape, rate):
            return pm.Gamma("lambda_", alpha=shape, beta=rate)
        case FixedLambda(lam):
            return pm.Deterministic("lambda_", pm.math.constant(lam))
        case HalfT(on="tau/sigma") | HalfCauchy(on="tau/sigma") | HalfNormal(on="tau/sigma"):
            return pm.Deterministic("lambda_", _half("ratio", prior, signal**-0.5) ** -2)
        case Custom(of="lambda"):
            return _custom("lambda_", prior, signal)
        case Custom(of="tau/sigma"):
            return pm.Deterministic("lambda_", _custom("ratio", prior, signal**-0.5) ** -2)
        case Custom(of="R2"):
            r2 = pm.Uniform("r2", 0.0, 1.0)
            pm.Potential("custom_r2", evaluate(prior, r2))
            return pm.Deterministic("lambda_", signal * (1.0 - r2) / r2)
        case _:
            raise PriorError(f"{prior.text} is no prior on lambda; use the hierarchical model for it")


def precisions(prior: GammaPrecisions, unit: float) -> tuple[Any, Any]:
    """Return 1/sigma^2 and 1/tau^2 under their gamma priors."""
    noise = pm.Gamma("noise_precision", alpha=prior.sigma_shape, beta=prior.sigma_rate, initval=unit**-2)
    return noise, pm.Gamma("prior_precision", alpha=prior.tau_shape, beta=prior.tau_rate, initval=unit**-2)


def _half(name: str, prior: Any, start: float) -> Any:
    match prior:
        case HalfT(df, scale):
            return pm.HalfStudentT(name, nu=df, sigma=scale, initval=start)
        case HalfCauchy(scale):
            return pm.HalfCauchy(name, beta=scale, initval=start)
        case HalfNormal(scale):
            return pm.HalfNormal(name, sigma=scale, initval=start)
    raise PriorError(f"no PyMC variable is known for {prior!r}")


def _custom(name: str, prior: Custom, start: float) -> Any:
    """A positive variable with any log density, sampled on its logarithm (whose slope the density gets)."""
    log_value = pm.Flat(f"log_{name}", initval=np.log(start))
    value = pm.Deterministic(name, pm.math.exp(log_value))
    pm.Potential(f"custom_{name}", evaluate(prior, value) + log_value)
    return value


def evaluate(prior: Custom, value: Any) -> Any:
    """Log density of a custom prior, as an expression of a PyMC variable."""
    try:
        density: Any = prior.log_pdf(value)
    except Exception as error:  # the caller's function may raise anything
        raise PriorError(
            f"the log density of {prior.text} cannot be evaluated on a PyMC variable ({error}): write it with "
            "arithmetic and functions like np.log and np.exp, or use method='posterior', which takes any function"
        ) from error
    return pm.math.sum(density)
