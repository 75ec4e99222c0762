"""Independent draws from the exact posterior: no warm-up, no autocorrelation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.linalg.design import Design
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.datatree import Draws

Array = NDArray[np.float64]


def draw_posterior(
    design: Design,
    spectrum: Spectrum,
    hyper: HyperPosterior,
    *,
    draws: int = 1000,
    chains: int = 4,
    random_state: int | np.random.Generator | None = None,
) -> Draws:
    """Draw all parameters jointly and independently.

    lambda by inverting its cdf, sigma given lambda, then coefficients given both:
    ``beta = V (s z / (s^2 + lambda) + sigma V'eps / sqrt(s^2 + lambda)) + tau (I - V V') eps``.

    Parameters
    ----------
    draws, chains : int
        The draws are independent; `chains` only shapes them for tools that expect chains.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    Draws
    """
    if draws < 1 or chains < 1:
        raise DataError(f"draws and chains must be at least 1, got draws={draws}, chains={chains}")
    rng = np.random.default_rng(random_state)
    n = draws * chains
    lam, sigma = hyper.draw(n, rng)
    return draws_given(design, spectrum, lam, sigma, (chains, draws), rng)


def draws_given(
    design: Design, spectrum: Spectrum, lam: Array, sigma: Array, shape: tuple[int, int], rng: np.random.Generator
) -> Draws:
    """Draw coefficients and intercept given draws of (lambda, sigma), each of length chains * draws."""
    n = len(lam)
    beta = _draw_beta(spectrum, lam, sigma, rng)
    centre = np.zeros(n)
    if design.fit_intercept:
        centre = design.y_mean + sigma * rng.standard_normal(n) / np.sqrt(design.total_weight)
    p = design.X.shape[1]
    coef = beta / design.scale[design.penalized]
    if len(design.penalized) < p:
        coef, penalized = np.zeros((n, p)), coef
        coef[:, design.penalized] = penalized
    gamma: Array | None = None
    if spectrum.flat is not None:
        flat = spectrum.flat
        noise = rng.standard_normal((n, len(flat.on_target))) @ flat.root_inverse.T
        gamma = flat.on_target - beta @ flat.on_predictors.T + sigma[:, None] * noise
        coef[:, design.unpenalized] = gamma / design.scale[design.unpenalized]
    intercept = centre - coef @ design.mean if design.fit_intercept else np.zeros(n)
    with np.errstate(divide="ignore"):
        tau = sigma / np.sqrt(lam)
    return Draws(
        beta=beta.reshape(*shape, -1),
        gamma=None if gamma is None else gamma.reshape(*shape, -1),
        intercept=intercept.reshape(shape),
        coef=coef.reshape(*shape, -1),
        sigma=sigma.reshape(shape),
        tau=tau.reshape(shape),
        lam=lam.reshape(shape),
    )


def _draw_beta(spectrum: Spectrum, lam: Array, sigma: Array, rng: np.random.Generator) -> Array:
    share = np.add.outer(lam, spectrum.s2)
    np.reciprocal(share, out=share)  # 1 / (s^2 + lambda), zero for an infinite lambda
    if spectrum.rank == spectrum.n_features:
        a = rng.standard_normal(share.shape)
        a *= np.sqrt(share)
        a *= sigma[:, None]
        share *= spectrum.s * spectrum.z
        a += share
        return np.asarray(a @ spectrum.V.T)
    # With eps standard normal, V'eps and (I - VV')eps are independent, so that one draw of eps serves both parts:
    # V (s z share + sigma sqrt(share) V'eps) + tau (I - VV') eps = tau eps + V (s z share + (...) V'eps)
    eps = rng.standard_normal((len(lam), spectrum.n_features))
    tau = sigma / np.sqrt(lam)
    a = eps @ spectrum.V
    a *= sigma[:, None] * np.sqrt(share) - tau[:, None]
    share *= spectrum.s * spectrum.z
    a += share
    eps *= tau[:, None]
    eps += a @ spectrum.V.T
    return eps
