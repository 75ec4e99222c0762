r"""Priors for lambda, tau and sigma: small immutable objects that are log densities.

Every density here is one of a logarithm (log lambda, log tau, log sigma), normalised unless it is said to be
improper, because that is the variable the quadrature runs over. ``signal`` is the design's
``sum_j var(x_j) * (sum w / n)``: ``W = signal * tau^2 / sigma^2 = signal / lambda`` is the prior ratio of explained to
noise variance and ``R^2 = W / (1 + W)``. Where no column is penalised W is zero, a prior on R^2 says nothing, and any
positive signal does.
"""

from __future__ import annotations

from collections.abc import Mapping

from bayesridge.errors import PriorError
from bayesridge.priors.groups import ByGroup, Prior, by_group
from bayesridge.priors.noise import FixedSigma, InverseGamma, Jeffreys
from bayesridge.priors.penalty import BetaR2, FixedLambda, FixedScales, FixedTau, Gamma, GammaPrecisions, LogNormal
from bayesridge.priors.scale import Conjugate, Density, ScalePrior, Variable, draw_log, uniform_correlations
from bayesridge.priors.shapes import Custom, HalfCauchy, HalfNormal, HalfPrior, HalfT

__all__ = [
    "NOISE_PRIORS",
    "PRIORS",
    "BetaR2",
    "ByGroup",
    "Conjugate",
    "Custom",
    "Density",
    "FixedLambda",
    "FixedScales",
    "FixedSigma",
    "FixedTau",
    "Gamma",
    "GammaPrecisions",
    "HalfCauchy",
    "HalfNormal",
    "HalfPrior",
    "HalfT",
    "InverseGamma",
    "Jeffreys",
    "LogNormal",
    "NoisePrior",
    "Prior",
    "ScalePrior",
    "Variable",
    "by_group",
    "check_priors",
    "draw_log",
    "uniform_correlations",
]

NoisePrior = Jeffreys | InverseGamma | HalfPrior | Custom | FixedSigma

#: All priors that are numbers and no code, by the names they have on a command line.
PRIORS: Mapping[str, type[Prior]] = {
    "r2": BetaR2, "half-cauchy": HalfCauchy, "half-t": HalfT, "half-normal": HalfNormal, "lognormal": LogNormal,
    "gamma": Gamma, "gamma-precisions": GammaPrecisions, "fixed": FixedLambda, "fixed-tau": FixedTau,
    "fixed-scales": FixedScales,
}  # fmt: skip
NOISE_PRIORS: Mapping[str, type[NoisePrior]] = {
    "jeffreys": Jeffreys, "inverse-gamma": InverseGamma, "half-cauchy": HalfCauchy, "half-t": HalfT,
    "half-normal": HalfNormal, "fixed": FixedSigma,
}  # fmt: skip


def check_priors(prior: Prior, noise: NoisePrior) -> None:
    """Refuse objects in the wrong place, naming the right one."""
    if not isinstance(prior, Prior):
        raise PriorError(f"prior must be a prior object such as BetaR2() or FixedLambda(1.0), got {prior!r}")
    if not isinstance(noise, NoisePrior):
        raise PriorError(f"noise_prior must be a noise prior such as Jeffreys() or InverseGamma(2, 1), got {noise!r}")
    if prior.variable == "sigma":
        raise PriorError(f"{prior.text} is a noise prior: pass it as noise_prior, or say that it is on tau")
    if noise.variable != "sigma":
        raise PriorError(f"a noise prior must be on sigma: say so, as in HalfT(3, 1, on='sigma') (got {noise.text})")
    if prior.states_noise and noise.proper:
        raise PriorError(f"{prior.text} states the noise too; leave noise_prior at its default")
