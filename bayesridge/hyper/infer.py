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

from bayesridge.errors import AccuracyWarning, ImproperPosteriorError, warn
from bayesridge.hyper.likelihood import Likelihood, NoiseFactor
from bayesridge.hyper.line import SigmaLine, conjugate_line, known_sigma_line
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.hyper.plane import plane_posterior
from bayesridge.hyper.point import conjugate_point, known_point
from bayesridge.hyper.quadrature import ASKED_ACCURACY, integrate
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.priors import (
    FixedLambda,
    FixedScales,
    FixedSigma,
    FixedTau,
    GammaPrecisions,
    Jeffreys,
    NoisePrior,
    Prior,
    check_priors,
)

Array = NDArray[np.float64]


def infer_hyper(spectrum: Spectrum, prior: Prior, noise: NoisePrior) -> HyperPosterior:
    """Integrate the hyperparameters: choose the shape the priors call for and place the nodes.

    Parameters
    ----------
    spectrum : Spectrum
    prior : Prior
        On lambda, on tau/sigma, on R^2, on tau, on both precisions, or fixed values.
    noise : NoisePrior

    Returns
    -------
    HyperPosterior

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
    hyper = _place(Likelihood(spectrum), prior, noise)
    if hyper.error > ASKED_ACCURACY:
        warn(
            f"the integral over lambda and sigma is right to {hyper.error:.0e} only, not {ASKED_ACCURACY:.0e}: the log "
            "density is rough, or so large (prior and data far apart) that its rounding counts",
            AccuracyWarning,
        )
    return hyper


def _place(data: Likelihood, prior: Prior, noise: NoisePrior) -> HyperPosterior:
    spectrum = data.spectrum
    check_priors(prior, noise)
    if isinstance(prior, FixedScales):
        return _known(data, 2.0 * float(np.log(prior.sigma / prior.tau)), float(np.log(prior.sigma)))
    if isinstance(prior, FixedLambda):
        return _fixed_lambda(data, prior, noise)
    _refuse_improper_noise(spectrum, prior, noise)
    if isinstance(prior, FixedTau):
        return _fixed_tau(data, prior, noise)
    if isinstance(prior, GammaPrecisions):
        return conjugate_line(data, prior, None)
    # with no penalised direction W = 0 and a prior on R^2 says nothing: any positive signal will do
    on_lambda = prior.on_lambda(spectrum.signal if spectrum.signal > 0 else 1.0)
    if on_lambda is not None and noise.conjugate is not None:
        return conjugate_line(data, on_lambda, noise.conjugate)
    on_tau = prior.on_tau()
    if isinstance(noise, FixedSigma):
        return known_sigma_line(data, on_lambda, on_tau, noise)
    return plane_posterior(data, on_lambda, on_tau, noise.log_density_of_log)


def _refuse_improper_noise(spectrum: Spectrum, prior: Prior, noise: NoisePrior) -> None:
    on_tau = isinstance(prior, FixedTau) or prior.on_tau() is not None
    if on_tau and isinstance(noise, Jeffreys) and spectrum.r0 == 0.0:
        raise ImproperPosteriorError(
            f"p(sigma²) = 1/sigma² with {prior.describe()} has no posterior here: the columns can fit y exactly, the "
            "likelihood stays positive as sigma -> 0 and 1/sigma² cannot be integrated there; use a proper noise prior "
            "(HalfT(3, scale, on='sigma'), InverseGamma(...)), or a prior that scales with sigma such as BetaR2()"
        )


def _fixed_lambda(data: Likelihood, prior: FixedLambda, noise: NoisePrior) -> HyperPosterior:
    s = data.spectrum
    with np.errstate(divide="ignore"):
        log_lam = float(np.log(prior.lam))
    if prior.lam == 0.0:
        # the flat prior on beta: each direction takes a degree of freedom, as in least squares
        if s.rank < s.n_features or s.nu - s.rank < 1:
            raise ImproperPosteriorError(
                f"lambda = 0 is a flat prior on {s.n_features} coefficients, but the columns have rank {s.rank} with "
                f"{s.nu:g} degrees of freedom for coefficients and noise; use lambda > 0"
            )
        nu, Q = s.nu - s.rank, s.r0
        # the density of the flat prior is 1 per unit of the standardised coefficients
        log_norm = data.constant + 0.5 * s.rank * float(np.log(2.0 * np.pi)) - float(np.log(s.s).sum())
    else:
        log_det, excess = data.terms(np.array([log_lam]))
        nu, Q, log_norm = s.nu, s.r0 + float(excess[0]), data.constant + float(log_det[0])
    if isinstance(noise, FixedSigma):
        return known_point(log_lam, float(np.log(noise.sigma)), nu, Q, log_norm)
    if noise.conjugate is not None:
        return conjugate_point(log_lam, nu, Q, log_norm, noise.conjugate)
    factor = NoiseFactor(nu, Q)

    def log_f(v: Array) -> Array:
        return factor.log_factor(0.0, v) + noise.log_density_of_log(v)

    centre = 0.5 * np.log(Q / nu)
    rule = integrate(log_f, centre + np.linspace(-6.0, 6.0 + 40.0 / nu, 60), "log sigma")
    return SigmaLine(rule, log_f, log_norm + factor.constant, log_lam=log_lam, log_tau=None)


def _known(data: Likelihood, log_lam: float, log_sigma: float) -> HyperPosterior:
    log_det, excess = data.terms(np.array([log_lam]))
    return known_point(log_lam, log_sigma, data.nu, data.floor + float(excess[0]), data.constant + float(log_det[0]))


def _fixed_tau(data: Likelihood, prior: FixedTau, noise: NoisePrior) -> HyperPosterior:
    log_tau = float(np.log(prior.tau))
    if isinstance(noise, FixedSigma):
        v = float(np.log(noise.sigma))
        return _known(data, 2.0 * (v - log_tau), v)

    def log_f(v: Array) -> Array:
        log_det, excess = data.terms(2.0 * (v - log_tau))
        return log_det + data.noise.log_factor(excess, v) + noise.log_density_of_log(v)

    scan = 0.5 * data.scan() + log_tau
    rule = integrate(log_f, scan, "log sigma")
    return SigmaLine(rule, log_f, data.constant + data.noise.constant, log_lam=None, log_tau=log_tau)
