"""Posteriors of what is a function of lambda alone: the prior's share of variance, and the degrees of freedom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.marginal import Link, Marginal, PointMass, monotone_link, transformed
from bayesridge.linalg.filters import effective_dof, filter_factors, shrinkage
from bayesridge.linalg.shares import explained
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]


def r2_of(spectrum: Spectrum, lambda_: Marginal | PointMass) -> Marginal | PointMass:
    """Posterior of ``R^2 = W / (1 + W)``, ``W = signal / lambda``."""
    signal = spectrum.signal
    if isinstance(lambda_, PointMass):
        lam = lambda_.value
        return PointMass("R2", float(explained(signal, np.asarray(lam))))
    if signal == 0:
        return PointMass("R2", 0.0)
    shift = float(np.log(signal))

    def value(x: Array) -> Array:
        return explained(1.0, np.exp(np.clip(x - shift, -700.0, 700.0)))

    def inverse(r2: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(shift - np.log(r2) + np.log1p(-r2))

    def log_slope(x: Array) -> Array:
        u = np.abs(x - shift)
        return np.asarray(-u - 2.0 * np.log1p(np.exp(-u)))

    link = Link(value, inverse, log_slope, increasing=False, bounded=True, ends=(1.0, 0.0))
    return transformed(lambda_, "R2", link)


def effective_dof_of(spectrum: Spectrum, lambda_: Marginal | PointMass) -> Marginal | PointMass:
    """Posterior of the effective degrees of freedom of the penalised columns."""
    if isinstance(lambda_, PointMass):
        return PointMass("effective dof", float(effective_dof(spectrum, lambda_.value)))
    if spectrum.rank == 0:
        return PointMass("effective dof", 0.0)

    def value(x: Array) -> Array:
        return effective_dof(spectrum, np.exp(x))

    def log_slope(x: Array) -> Array:
        lam = np.exp(x)
        return np.asarray(np.log((filter_factors(spectrum, lam) * shrinkage(spectrum, lam)).sum(axis=-1)))

    low, high = float(lambda_.edges[0]), float(lambda_.edges[-1])
    link = monotone_link(value, log_slope, low, high, (float(spectrum.rank), 0.0))
    return transformed(lambda_, "effective dof", link)
