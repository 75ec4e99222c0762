"""The noise that rules with a known sigma are given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesridge.priors import FixedScales, FixedSigma
from bayesridge.rules.rule import LambdaProblem, NotAvailableError


class Noise(NamedTuple):
    """A noise standard deviation, and where it comes from."""

    sigma: float
    source: str


def noise_of(problem: LambdaProblem, sigma: float | None) -> Noise:
    """Return the sigma a rule uses: the rule's own, else the one the model states, else that of least squares.

    Raises
    ------
    NotAvailableError
        If there is none: at least as many columns as degrees of freedom, and no sigma given.
    """
    if sigma is not None:
        return Noise(sigma, "sigma given")
    posterior, spectrum = problem.posterior, problem.spectrum
    if isinstance(posterior.prior, FixedScales):
        return Noise(posterior.prior.sigma, "sigma of the model")
    if isinstance(posterior.noise_prior, FixedSigma):
        return Noise(posterior.noise_prior.sigma, "sigma of the model")
    left = spectrum.nu - spectrum.rank
    if left < 1:
        raise NotAvailableError(
            f"needs sigma, and the unpenalised fit leaves no degrees of freedom to estimate it ({spectrum.nu:g} for "
            f"{spectrum.rank} directions)"
        )
    return Noise(float(np.sqrt(spectrum.r0 / left)), f"sigma of the unpenalised fit, {left:g} degrees of freedom")
