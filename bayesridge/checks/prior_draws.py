"""Draws of lambda, sigma and tau from every prior, by numpy's generators and not by the engine's densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, PriorError
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedScales,
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
    draw_log,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Where parameters with improper priors are fixed.

    Attributes
    ----------
    sigma : float
        Noise sd under Jeffreys' prior, units of y.
    intercept, unpenalized : float
        Intercept, and every unpenalised coefficient (and every coefficient when lambda is fixed at 0).
    """

    sigma: float = 1.0
    intercept: float = 0.0
    unpenalized: float = 0.0


def check_simulable(prior: Prior, noise: NoisePrior) -> None:
    """Refuse pairs of priors that cannot be drawn from, see the module's text."""
    if prior.variable == "tau" and not prior.with_noise(noise)[1].proper:
        raise PriorError(
            f"{prior.text} is in the units of y and p(sigma²) = 1/sigma² is improper: data cannot be drawn from "
            "this pair; give a proper noise prior (InverseGamma(...), HalfT(3, scale, on='sigma')), or use a prior on "
            "tau/sigma, lambda or R²"
        )


def draw_scales(
    prior: Prior, noise: NoisePrior, signal: float, size: int, rng: np.random.Generator, at: Reference
) -> tuple[Array, Array, Array]:
    """Draw (lambda, sigma, tau)."""
    if isinstance(prior, GammaPrecisions):
        with np.errstate(divide="ignore"):  # shapes near zero: infinite draws, refused below
            sigma = rng.gamma(prior.sigma_shape, 1.0 / prior.sigma_rate, size) ** -0.5
            tau = rng.gamma(prior.tau_shape, 1.0 / prior.tau_rate, size) ** -0.5
    elif isinstance(prior, FixedScales):
        sigma, tau = np.full(size, prior.sigma), np.full(size, prior.tau)
    else:
        sigma = _draw_sigma(noise, size, rng, at)
        tau = _draw_tau(prior, sigma, signal, size, rng)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        lam = (sigma / tau) ** 2
    if prior.known is None and not (np.isfinite(lam) & (lam > 0)).all():
        raise PriorError(
            f"{prior.text} with {noise.text} puts so much weight on extreme scales that draws overflow; "
            "choose one that says more (shape and rate of 1e-6 are nearly improper)"
        )
    return lam, sigma, tau


def _draw_sigma(noise: NoisePrior, size: int, rng: np.random.Generator, at: Reference) -> Array:
    match noise:
        case Jeffreys():
            return np.full(size, at.sigma)
        case FixedSigma(sigma):
            return np.full(size, sigma)
        case InverseGamma(shape, scale):
            return np.asarray((rng.gamma(shape, 1.0 / scale, size)) ** -0.5)
        case Custom():
            return np.exp(draw_log(lambda v: _log_pdf(noise, np.exp(v)) + v, noise.text, size, rng))
        case _:
            return _draw_half(noise, size, rng)


def _draw_half(half: HalfT | HalfCauchy | HalfNormal, size: int, rng: np.random.Generator) -> Array:
    match half:
        case HalfNormal():
            return half.scale * np.abs(rng.standard_normal(size))
        case HalfCauchy():
            return half.scale * np.abs(rng.standard_cauchy(size))
        case HalfT():
            return half.scale * np.abs(rng.standard_t(half.df, size))


def _draw_tau(prior: Prior, sigma: Array, signal: float, size: int, rng: np.random.Generator) -> Array:
    match prior:
        case FixedTau(tau):
            return np.full(size, tau)
        case FixedLambda(lam):
            return sigma / np.sqrt(lam) if lam > 0 else np.full(size, np.inf)
        case HalfT(on="tau") | HalfCauchy(on="tau") | HalfNormal(on="tau"):
            return _draw_half(prior, size, rng)
        case HalfT() | HalfCauchy() | HalfNormal():
            return sigma * _draw_half(prior, size, rng)
        case BetaR2(a, b):
            # R^2 / (1 - R^2) = signal tau^2 / sigma^2 is a ratio of gammas: exact where R^2 itself rounds to 0 or 1
            ratio = rng.gamma(a, size=size) / rng.gamma(b, size=size)
            return np.asarray(sigma * np.sqrt(ratio / _positive(signal)))
        case LogNormal(median, sd):
            return np.asarray(sigma * np.exp(-0.5 * rng.normal(np.log(median), sd, size)))
        case Gamma(shape, rate):
            return np.asarray(sigma * rng.gamma(shape, 1.0 / rate, size) ** -0.5)
        case Custom():
            return _draw_custom_tau(prior, sigma, signal, size, rng)
        case _:
            raise PriorError(f"no draws are known from {prior!r}")


def _draw_custom_tau(prior: Custom, sigma: Array, signal: float, size: int, rng: np.random.Generator) -> Array:
    text = prior.text
    if prior.of == "R2":  # in the logarithm of R^2 / (1 - R^2)
        logit = draw_log(
            lambda t: _log_pdf(prior, np.exp(-np.logaddexp(0.0, -t))) - np.logaddexp(0.0, -t) - np.logaddexp(0.0, t),
            text, size, rng,
        )  # fmt: skip
        return np.asarray(sigma * np.exp(0.5 * logit) / np.sqrt(_positive(signal)))
    value = np.exp(draw_log(lambda t: _log_pdf(prior, np.exp(t)) + t, text, size, rng))
    match prior.of:
        case "tau":
            return value
        case "tau/sigma":
            return np.asarray(sigma * value)
        case _:
            return np.asarray(sigma / np.sqrt(value))


def _positive(signal: float) -> float:
    if not signal > 0:
        raise DataError("there is no penalised column with spread: no coefficient to simulate")
    return signal


def _log_pdf(custom: Custom, x: Array) -> Array:
    with np.errstate(all="ignore"):
        value = np.asarray(custom.log_pdf(x), dtype=np.float64)
    return np.where(np.isnan(value), -np.inf, value)
