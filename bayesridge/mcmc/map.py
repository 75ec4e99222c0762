r"""The MAP estimate three ways, and why a *joint* MAP over coefficients and scales is a different and poor thing.

At known sigma and tau the mode of the posterior is the ridge solution, whoever looks for it: PyMC's ``find_MAP``, a
generic optimiser, the closed form. With the scales unknown there are two ways on:

* maximise (or better, average) the density of the scales with the coefficients *integrated out*: the evidence;
* maximise the *joint* density of coefficients and scales. Its profile over the coefficients is

      -(nu + p)/2 log(2 pi sigma^2) + p/2 log(lambda) - Q(lambda) / (2 sigma^2) + log priors,

  where p/2 log(lambda) is the height of p normal densities of sd tau at their centre, not a gain in fit. It grows
  without limit as lambda -> infinity (all coefficients zero), and a local mode, where there is one, has the
  uncertainty of the coefficients left out. The evidence has -1/2 sum log(1 + s^2/lambda) in its place.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import PriorError
from bayesridge.hyper.evidence import log_det_ratio
from bayesridge.linalg.filters import original_scale, penalized_rss, standardized_coefficients
from bayesridge.linalg.optimizer import map_estimate
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.priors import InverseGamma, Jeffreys, Prior

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def find_map(design: Design, model: Any, *, method: str = "trust-exact", backend: str | None = None) -> dict[str, Any]:
    """Maximise a PyMC model's density with PyMC's own ``find_MAP``.

    Parameters
    ----------
    design : Design
        That the model was built from.
    model : pymc.Model
        Of :mod:`bayesridge.models`.
    method : str
        Of scipy. The default uses second derivatives; PyMC's own default, "L-BFGS-B", stops at three digits.
    backend : {"c", "numba", "jax"}, optional
        What compiles the model; by default nothing does (PyTensor's interpreter), the fastest for one optimisation.

    Returns
    -------
    dict
        ``coef`` and ``intercept`` in the units of the data, ``sigma``, ``tau`` and ``lambda_``. The density is that of
        the model's own variables, without the Jacobians of the sampler's transformations.
    """
    import pymc as pm

    from bayesridge.mcmc.chains import quiet
    from bayesridge.mcmc.sampling import draws_of

    how = {"backend": backend} if backend else {"compile_kwargs": {"mode": "FAST_COMPILE"}}
    with quiet(), model:
        tree = pm.find_MAP(method=method, jitter=False, progressbar=False, return_inferencedata=True, **how)
    found = draws_of(design, tree["posterior"].to_dataset())
    return {
        "coef": found.coef[0, 0], "intercept": float(found.intercept[0, 0]), "sigma": float(found.sigma[0, 0]),
        "tau": float(found.tau[0, 0]), "lambda_": float(found.lam[0, 0]),
    }  # fmt: skip


def map_three_ways(design: Design, spectrum: Spectrum, sigma: float, tau: float) -> pd.DataFrame:
    """Find the MAP estimate at known scales by PyMC, by a generic optimiser and in closed form.

    Parameters
    ----------
    design, spectrum : Design, Spectrum
    sigma, tau : float
        Noise sd and prior sd of the standardised coefficients, in the units of y.

    Returns
    -------
    pandas.DataFrame
        A row for each way: ``lambda_`` as sigma^2 / tau^2 of what was found, ``intercept``, the coefficients by name,
        the largest ``difference`` of a standardised coefficient from the closed form relative to the largest of them,
        and ``seconds`` (for PyMC, with compilation).
    """
    import pandas as pd

    from bayesridge.models.fixed import fixed

    start = time.perf_counter()
    pymc = find_map(design, fixed(design, sigma=sigma, tau=tau))
    middle = time.perf_counter()
    generic = map_estimate(design, spectrum, sigma, tau)
    end = time.perf_counter()
    lam = (sigma / tau) ** 2
    coef, intercept = original_scale(design, spectrum, standardized_coefficients(spectrum, lam))
    closed = time.perf_counter()
    ways = {
        "PyMC find_MAP": (pymc["lambda_"], pymc["coef"], pymc["intercept"], middle - start),
        f"scipy {generic.optimizer}": (generic.lam, generic.map_coef, generic.map_intercept, end - middle),
        "closed form": (lam, coef, float(intercept), closed - end),
    }
    largest = float(np.abs(coef * design.scale).max(initial=0.0)) or 1.0
    rows = {
        way: {
            "lambda_": found_lam, "intercept": at, **dict(zip(design.names, values, strict=True)),
            "difference": float(np.abs((values - coef) * design.scale).max(initial=0.0)) / largest, "seconds": seconds,
        }
        for way, (found_lam, values, at, seconds) in ways.items()
    }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


@dataclass(frozen=True, eq=False)
class JointProfile:
    """Joint density and evidence over lambda, both maximised over sigma.

    Attributes
    ----------
    lam : ndarray of shape (k,)
        Increasing.
    log_joint : ndarray of shape (k,)
        Log density of (y, coefficients, log sigma, log lambda), coefficients and sigma at their maximum.
    log_marginal : ndarray of shape (k,)
        The same with the coefficients integrated out: the evidence times the prior.
    norm : ndarray of shape (k,)
        Length of the standardised ridge solution.
    local_modes : tuple of float
        Lambda at the local maxima of the joint density; none when it only rises.
    marginal_mode : float
        Lambda at the maximum of ``log_marginal``.
    slope : float
        ``d log_joint / d log lambda`` as lambda -> infinity: the density is unbounded there when it is positive.
    """

    lam: Array
    log_joint: Array
    log_marginal: Array
    norm: Array
    local_modes: tuple[float, ...]
    marginal_mode: float
    slope: float


def joint_profile(
    spectrum: Spectrum, prior: Prior, noise_prior: Jeffreys | InverseGamma, lam: Array | None = None
) -> JointProfile:
    """Profile the joint density of coefficients and scales over lambda.

    Parameters
    ----------
    spectrum : Spectrum
    prior : Prior
        One that does not depend on sigma (on R^2, lambda or tau/sigma).
    noise_prior : Jeffreys or InverseGamma
    lam : ndarray, optional
        Grid; by default from far below the smallest to far above the largest squared singular value.
    """
    if prior.variable != "lambda" or prior.known is not None:
        raise PriorError(f"the profile is over lambda, and {prior.text} depends on sigma; use BetaR2() or the like")
    if lam is None:
        low, high = spectrum.log_range
        lam = np.exp(np.linspace(low - 7.0, high + 14.0, 2000))

    def density(t: Array) -> Array:
        return prior.log_density(t, spectrum.signal)

    a0, b0 = noise_prior.conjugate[:2]
    Q = penalized_rss(spectrum, lam) + 2.0 * b0
    p = spectrum.n_features
    log_prior = density(np.log(lam))

    def profiled(count: float) -> Array:
        """Maximum over sigma of ``-count log sigma - Q / (2 sigma^2)``, plus the noise prior's powers."""
        power = count + 2.0 * a0
        return np.asarray(-0.5 * power * (np.log(Q / power) + 1.0))

    shared = log_prior - 0.5 * spectrum.nu * np.log(2.0 * np.pi)
    log_joint = shared + profiled(spectrum.nu + p) + 0.5 * p * (np.log(lam) - np.log(2.0 * np.pi))
    log_marginal = shared + profiled(spectrum.nu) - 0.5 * log_det_ratio(spectrum, lam)
    inner = np.flatnonzero((log_joint[1:-1] > log_joint[:-2]) & (log_joint[1:-1] > log_joint[2:])) + 1
    far = density(np.log(lam[-1]) + np.array([60.0, 61.0]))  # Q no longer changes out there
    return JointProfile(
        lam=lam, log_joint=log_joint, log_marginal=log_marginal,
        norm=np.linalg.norm(standardized_coefficients(spectrum, lam), axis=-1),
        local_modes=tuple(float(lam[k]) for k in inner), marginal_mode=float(lam[np.argmax(log_marginal)]),
        slope=float(0.5 * p + far[1] - far[0]),
    )  # fmt: skip
