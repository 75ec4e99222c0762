"""The exact posterior, and its prior, as a DataTree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, ImproperPosteriorError
from bayesridge.hyper.marginal import marginal_of_rule
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.hyper.quadrature import integrate
from bayesridge.linalg.design import Design
from bayesridge.linalg.engine import Engine
from bayesridge.linalg.filters import effective_dof
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.datatree import to_datatree
from bayesridge.posteriors.draws import draw_posterior
from bayesridge.priors import (
    Density,
    FixedLambda,
    FixedScales,
    FixedSigma,
    FixedTau,
    GammaPrecisions,
    Jeffreys,
    NoisePrior,
    Prior,
)

if TYPE_CHECKING:
    import xarray as xr


Array = NDArray[np.float64]


#: Bytes of draws that are laid out without being asked twice.
_LARGEST = 4e9


def exact_datatree(
    engine: Engine,
    hyper: HyperPosterior,
    prior: Prior,
    noise_prior: NoisePrior,
    *,
    method: str,
    draws: int,
    chains: int,
    random_state: int | np.random.Generator | None,
    predictive: bool = False,
) -> xr.DataTree:
    """Draw from an exact posterior and lay the draws out as a DataTree.

    The group ``prior`` holds what has a proper prior: the intercept and unpenalised columns never have one, sigma not
    under Jeffreys' prior, and without sigma the coefficients have none either. For ``prior_predictive`` the posterior's
    draws stand in for those (an attribute says for which).

    Raises
    ------
    DataError
        If the draws would take more than 4 GB.
    """
    _check_size(engine.design, draws * chains, predictive=predictive)
    rng = np.random.default_rng(random_state)
    plugged_in = method == "evidence"
    attrs: dict[str, str | int | float] = {
        "method": method,
        "prior": "none: lambda plugged in" if plugged_in else prior.describe(),
        "noise_prior": noise_prior.describe(),
        "sampler": "exact, independent draws",
        "log_marginal_likelihood": hyper.log_marginal,
        "quadrature_error": hyper.error,
    }
    drawn = draw_posterior(engine, hyper, draws=draws, chains=chains, random_state=rng)
    spectrum = engine.spectrum
    known = {} if plugged_in or spectrum is None else prior_draws(spectrum, prior, noise_prior, chains * draws, rng)
    return to_datatree(
        engine.design, drawn, spectrum=spectrum, prior=known, attrs=attrs, random_state=rng, predictive=predictive
    )


def _check_size(design: Design, draws: int, *, predictive: bool) -> None:
    parameters, groups = 8.0 * draws * 2 * design.n_columns, 3 * 8.0 * draws * design.n_rows if predictive else 0.0
    if parameters + groups <= _LARGEST:
        return
    fewer = int(draws * _LARGEST / (parameters + groups))
    parts = f"{parameters / 1e9:.3g} GB for {design.n_columns} coefficients"
    if predictive:
        parts += f" and {groups / 1e9:.3g} GB for three predictive groups of {design.n_rows} rows"
    raise DataError(
        f"{draws} draws would take {parts}, above the {_LARGEST / 1e9:g} GB that a DataTree may be: ask for {fewer} "
        f"draws in all{', leave predictive=True out' if predictive else ''}, or take draw() in parts"
    )


def prior_draws(
    spectrum: Spectrum, prior: Prior, noise_prior: NoisePrior, n: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw what the prior makes proper: some of lambda_, r2, effective_dof, sigma, tau, coef_std."""
    signal = spectrum.signal
    sigma = _draw_sigma(prior, noise_prior, n, rng)
    lam, tau = _draw_penalty(prior, signal, sigma, n, rng)
    out: dict[str, Array] = {}
    if lam is not None:
        out["lambda_"] = lam
        out["r2"] = signal / (signal + lam) if signal > 0 else np.zeros(n)
        out["effective_dof"] = effective_dof(spectrum, lam)
    if sigma is not None:
        out["sigma"] = sigma
    if tau is not None:
        out["tau"] = tau
        out["coef_std"] = tau[:, None] * rng.standard_normal((n, spectrum.n_features))
    return {name: values for name, values in out.items() if np.isfinite(values).all()}


def _draw_sigma(prior: Prior, noise: NoisePrior, n: int, rng: np.random.Generator) -> Array | None:
    if isinstance(prior, FixedScales):
        return np.full(n, prior.sigma)
    if isinstance(prior, GammaPrecisions):
        return _from_precision(prior.sigma_shape, prior.sigma_rate, n, rng)
    if isinstance(noise, FixedSigma):
        return np.full(n, noise.sigma)
    if isinstance(noise, Jeffreys):
        return None
    return _draw_scale(noise.log_density_of_log, n, rng)


def _draw_penalty(
    prior: Prior, signal: float, sigma: Array | None, n: int, rng: np.random.Generator
) -> tuple[Array | None, Array | None]:
    """Draw lambda and tau, each None where it has no proper prior."""
    lam: Array | None = None
    tau: Array | None = None
    if isinstance(prior, FixedLambda):
        lam = np.full(n, prior.lam)
    elif isinstance(prior, (FixedTau, FixedScales)):
        tau = np.full(n, prior.tau)
    elif isinstance(prior, GammaPrecisions):
        tau = _from_precision(prior.tau_shape, prior.tau_rate, n, rng)
    else:
        on_lambda, on_tau = prior.on_lambda(signal if signal > 0 else 1.0), prior.on_tau()
        lam = None if on_lambda is None else _draw_scale(on_lambda, n, rng)
        tau = None if on_tau is None else _draw_scale(on_tau, n, rng)
    if sigma is not None:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            if lam is None and tau is not None:
                lam = np.square(sigma / tau)
            elif tau is None and lam is not None:
                tau = sigma / np.sqrt(lam)
    return lam, tau


def _from_precision(shape: float, rate: float, n: int, rng: np.random.Generator) -> Array:
    # shapes like 1e-6 put their mass where a float is zero: an infinite draw, which the caller leaves out
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.sqrt(rate / rng.standard_gamma(shape, n)))


def _draw_scale(density: Density, n: int, rng: np.random.Generator) -> Array | None:
    """Draw exp(x) for x with this log density, None if it cannot be normalised."""
    try:
        rule = integrate(density, np.linspace(-30.0, 30.0, 61), "log of the prior's quantity")
    except ImproperPosteriorError:
        return None

    def log_density(x: Array) -> Array:
        return np.asarray(density(x) - rule.log_total)

    return marginal_of_rule("prior", log_density, rule).quantile(rng.random(n))
