r"""The posterior of the hyperparameters: lambda and sigma, given y, on a finite set of nodes.

Everything downstream is a mixture over these nodes. Given a node, the coefficients are Gaussian with the noise either
known there (:class:`KnownNoise`) or integrated in closed form to a Student-t (:class:`ConjugateNoise`).

Five shapes, by what the prior leaves free:

* a point                   lambda fixed (sigma conjugate), or lambda and sigma fixed;
* a line in t = log lambda  sigma conjugate given lambda: Jeffreys or inverse-gamma, gamma on both precisions;
* a line in t, sigma known;
* a line in v = log sigma   tau known, lambda = sigma^2 / tau^2;
* the plane (t, v)          priors on tau itself, or noise priors that are not conjugate.

The evidence depends on t through Q(lambda) and a log determinant only, so that the plane costs O(K rank + K^2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesridge.engines.engine import Engine, Nested
from bayesridge.engines.spectral import least_squares_of
from bayesridge.errors import AccuracyWarning, ImproperPosteriorError, warn
from bayesridge.hyper.lattice import LatticePosterior, lattice_posterior
from bayesridge.hyper.likelihood import Likelihood, NoiseFactor
from bayesridge.hyper.line import SigmaLine, conjugate_line, known_sigma_line
from bayesridge.hyper.nested import nested_posterior
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.hyper.plane import plane_posterior
from bayesridge.hyper.point import conjugate_point, known_point
from bayesridge.hyper.quadrature import ASKED_ACCURACY, integrate
from bayesridge.priors import NoisePrior, Prior, ScalePrior, check_priors

Array = NDArray[np.float64]


def infer_hyper(engine: Engine, prior: Prior, noise: NoisePrior) -> HyperPosterior:
    """Integrate the hyperparameters: choose the shape the priors call for and place the nodes.

    Parameters
    ----------
    engine : Engine
        With one hyperparameter, log lambda; or with one for each group.
    prior : Prior
        On lambda, on tau/sigma, on R^2, on tau, on both precisions, or fixed values.
    noise : NoisePrior

    Raises
    ------
    ImproperPosteriorError
        If the combination has no posterior, with the reason.
    PriorError
        If a prior is misplaced, or too far from the data for float64.

    Warns
    -----
    AccuracyWarning
        If the estimated error of the integral is above :data:`~bayesridge.hyper.quadrature.ASKED_ACCURACY`.
    """
    parts, asked = separate(prior, noise), ASKED_ACCURACY
    hyper: HyperPosterior
    if len(engine.theta_names) == 1:
        hyper = _place(Likelihood(engine), *parts)
    elif isinstance(engine, Nested):
        hyper = nested_posterior(engine, lambda one: infer_hyper(one, prior, noise))
        asked = LatticePosterior.asked
    else:
        several = lattice_posterior(engine, *parts)
        hyper, asked = several, several.asked
    if hyper.error > asked:
        warn(
            f"the integral over lambda and sigma is right to {hyper.error:.0e} only, not {asked:.0e}: the log "
            "density is rough, or so large (prior and data far apart) that its rounding counts",
            AccuracyWarning,
        )
    return hyper


def separate(prior: Prior, noise: NoisePrior) -> tuple[ScalePrior, ScalePrior]:
    """Check the priors, and return that of lambda or tau and that of sigma."""
    check_priors(prior, noise)
    return prior.with_noise(noise)


def _place(data: Likelihood, prior: ScalePrior, noise: ScalePrior) -> HyperPosterior:
    if prior.variable == "tau":
        _refuse_improper_noise(data, prior, noise)
    if prior.known is not None:
        with np.errstate(divide="ignore"):
            value = float(np.log(prior.known))
        return _fixed_lambda(data, value, noise) if prior.variable == "lambda" else _fixed_tau(data, value, noise)
    if noise.known is not None:
        return known_sigma_line(data, prior, float(np.log(noise.known)))
    # sigma integrates out in closed form where nothing but it has its units, or tau^2 is inverse gamma as well
    if noise.conjugate is not None and (prior.variable == "lambda" or prior.conjugate is not None):
        return conjugate_line(data, prior, noise.conjugate)
    return plane_posterior(data, prior, noise)


def _refuse_improper_noise(data: Likelihood, prior: ScalePrior, noise: ScalePrior) -> None:
    if not noise.proper and data.floor == 0.0:
        raise ImproperPosteriorError(
            f"p(sigma²) = 1/sigma² with {prior.text} has no posterior here: the columns can fit y exactly, the "
            "likelihood stays positive as sigma -> 0 and 1/sigma² cannot be integrated there; use a proper noise prior "
            "(HalfT(3, scale, on='sigma'), InverseGamma(...)), or a prior that scales with sigma such as BetaR2()"
        )


def _fixed_lambda(data: Likelihood, log_lam: float, noise: ScalePrior) -> HyperPosterior:
    nu, Q, log_norm = least_squares_of(data.engine) if np.isneginf(log_lam) else data.at(log_lam)
    if noise.known is not None:
        return known_point(log_lam, float(np.log(noise.known)), nu, Q, log_norm)
    if noise.conjugate is not None:
        return conjugate_point(log_lam, nu, Q, log_norm, noise.conjugate)
    factor = NoiseFactor(nu, Q)

    def log_f(v: Array) -> Array:
        return factor.log_factor(0.0, v) + noise.log_density(v)

    centre = 0.5 * np.log(Q / nu)
    rule = integrate(log_f, centre + np.linspace(-6.0, 6.0 + 40.0 / nu, 60), "log sigma")
    return SigmaLine(rule, log_f, log_norm + factor.constant, log_lam=log_lam, log_tau=None)


def _fixed_tau(data: Likelihood, log_tau: float, noise: ScalePrior) -> HyperPosterior:
    if noise.known is not None:
        v = float(np.log(noise.known))
        log_lam = 2.0 * (v - log_tau)
        return known_point(log_lam, v, *data.at(log_lam))

    def log_f(v: Array) -> Array:
        log_det, excess = data.terms(2.0 * (v - log_tau))
        return log_det + data.noise.log_factor(excess, v) + noise.log_density(v)

    scan = 0.5 * data.scan() + log_tau
    rule = integrate(log_f, scan, "log sigma")
    return SigmaLine(rule, log_f, data.constant + data.noise.constant, log_lam=None, log_tau=log_tau)
