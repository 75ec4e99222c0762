"""The exact posterior, and its prior, as a DataTree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.engines.engine import Engine
from bayesridge.errors import DataError, PriorError, check_counts
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.linalg.filters import effective_dof
from bayesridge.linalg.shares import explained
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.datatree import to_datatree
from bayesridge.posteriors.draws import draw_posterior
from bayesridge.posteriors.facts import evidence_facts
from bayesridge.priors import NoisePrior, Prior, ScalePrior

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
    check_counts(draws=draws, chains=chains)
    _check_size(engine.design, draws * chains, predictive=predictive)
    rng = generator(random_state)
    plugged_in = method == "evidence"
    attrs: dict[str, str | int | float] = {
        "method": method,
        "prior": "none: lambda plugged in" if plugged_in else prior.text,
        "noise_prior": noise_prior.text,
        "sampler": "exact, independent draws",
        **evidence_facts(hyper),
    }
    drawn = draw_posterior(engine, hyper, draws=draws, chains=chains, random_state=rng)
    spectrum = engine.spectrum
    known = {} if plugged_in or spectrum is None else prior_draws(spectrum, prior, noise_prior, chains * draws, rng)
    tree = to_datatree(
        engine.design, drawn, spectrum=spectrum, prior=known, attrs=attrs, random_state=rng, predictive=predictive
    )
    if "scale" in tree["posterior"].dims:
        names = [name.removeprefix("log lambda[").removesuffix("]") for name in engine.theta_names]
        tree["posterior"].dataset = tree["posterior"].to_dataset().assign_coords(scale=names)
    if not plugged_in and spectrum is not None:
        add_log_prior(tree, prior, spectrum.signal)
    return tree


def add_log_prior(tree: xr.DataTree, prior: Prior, signal: float) -> None:
    """Add the group ``log_prior``, in place: the prior of the penalty at each draw, as far as it is learnt.

    A power of a density depends on whose density it is; this is that of the variable which the prior names, as in
    :func:`bayesridge.checks.sensitivity.power_scaling`, so that ``arviz.psense_summary`` scales the same. The prior of
    the coefficients given tau is none that a user sets, and is not in it; neither is that of sigma.
    """
    import xarray as xr

    name = "tau" if prior.variable == "tau" else "lambda_"
    drawn = tree["posterior"].to_dataset()
    if prior.known is not None or name not in drawn:
        return
    scale = drawn[name]
    log_x: Array = np.log(np.asarray(scale.values))
    try:
        # log p + jacobian less (log p / 2 + jacobian): half the log density in its own variable, but for a constant
        half = prior.log_density(log_x, signal) - prior.power(0.5).log_density(log_x, signal)
    except DataError:
        return  # a prior without powers
    values = (scale.dims, 2.0 * half, {"long_name": f"log density of the prior ({prior.text}), up to a constant"})
    tree["log_prior"] = xr.DataTree(xr.Dataset({name: values}, coords=scale.coords))


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
    of_penalty, of_sigma = prior.with_noise(noise_prior)
    sigma, penalty = _drawn(of_sigma, n, rng, signal), _drawn(of_penalty, n, rng, signal)
    lam, tau = (penalty, None) if of_penalty.variable == "lambda" else (None, penalty)
    if sigma is not None and penalty is not None:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            if of_penalty.variable == "lambda":
                tau = sigma / np.sqrt(penalty)
            else:
                lam = np.square(sigma / penalty)
    out: dict[str, Array] = {}
    if lam is not None:
        out["lambda_"] = lam
        out["r2"] = explained(signal, lam)
        out["effective_dof"] = effective_dof(spectrum, lam)
    if sigma is not None:
        out["sigma"] = sigma
    if tau is not None:
        out["tau"] = tau
        out["coef_std"] = tau[:, None] * rng.standard_normal((n, spectrum.n_features))
    return {name: values for name, values in out.items() if np.isfinite(values).all()}


def _drawn(prior: ScalePrior, n: int, rng: np.random.Generator, signal: float) -> Array | None:
    """Draws of a prior's variable, None where it is improper."""
    try:
        return prior.draw(n, rng, signal)
    except PriorError:
        return None
