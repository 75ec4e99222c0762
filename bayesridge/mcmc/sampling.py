"""Posteriors by Markov chain Monte Carlo, with the interface of the exact ones.

The model that says what a pair of prior objects means is chosen from :mod:`bayesridge.models`, sampled, brought back to
the units of the data, and judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import ImproperPosteriorError, PriorError
from bayesridge.fit import one_lambda, posterior_of
from bayesridge.linalg.filters import effective_dof
from bayesridge.linalg.shares import explained
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.mcmc.chains import DEFAULT_SAMPLER, Chains, Sampler, read_sampler, sample_chains
from bayesridge.mcmc.diagnostics import diagnose
from bayesridge.mcmc.posterior import EXTRA, SampledPosterior
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.datatree import to_datatree
from bayesridge.posteriors.draws import Draws, draws_given
from bayesridge.posteriors.exact_datatree import add_log_prior, prior_draws
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.priors import (
    NoisePrior,
    Prior,
)

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Seed = int | np.random.Generator | None


def sample(
    X: Any,
    y: Any = None,
    *,
    sampler: Sampler | Mapping[str, Any] | str | None = None,
    collapsed: bool = False,
    centred: bool | None = None,
    n_jobs: int | None = None,
    random_state: Seed = None,
    **model: Any,
) -> SampledPosterior:
    """Sample the posterior of a Bayesian ridge regression with NUTS: the same model, drawn instead of integrated.

    Parameters
    ----------
    X : Posterior, or array_like or data frame of shape (n, p)
        An exact posterior, whose data and priors are taken; or a table.
    y : array_like of shape (n,), optional
        With a table.
    sampler : Sampler, dict or str, optional
        Which sampler draws and how much; a dictionary of the fields of :class:`~bayesridge.mcmc.chains.Sampler` or a
        name will do.
    collapsed, centred
        As for :func:`nuts_posterior`.
    n_jobs : int, optional
        Chains that run at the same time; all cores by default.
    random_state : int, Generator or None
        Seed.
    **model
        With a table, as for :func:`bayesridge.posterior`.

    Returns
    -------
    SampledPosterior

    Raises
    ------
    PriorError
        If lambda was plugged in: that is no prior to sample under.
    """
    given = posterior_of(X, y, **model)
    if not given.has_terms:
        given = one_lambda(given)
    if given.method == "evidence":
        raise PriorError("method='evidence' plugs lambda in: sample a posterior with a prior, or FixedLambda(lambda)")
    if given.has_terms:
        if collapsed or centred:
            raise PriorError(
                "with several penalties coefficients are sampled non-centred: leave collapsed and centred out"
            )
        return _nuts_of_terms(given, read_sampler(sampler), n_jobs, random_state)
    return nuts_posterior(
        given.design, given.spectrum, given.prior, given.noise_prior, read_sampler(sampler), collapsed=collapsed,
        centred=centred, n_jobs=n_jobs, random_state=random_state,
    )  # fmt: skip


def nuts_posterior(
    design: Design,
    spectrum: Spectrum,
    prior: Prior,
    noise_prior: NoisePrior,
    sampler: Sampler = DEFAULT_SAMPLER,
    *,
    collapsed: bool = False,
    centred: bool | None = None,
    n_jobs: int | None = None,
    random_state: Seed = None,
) -> SampledPosterior:
    """Sample the ridge posterior with NUTS.

    Parameters
    ----------
    design, spectrum : Design, Spectrum
    prior, noise_prior : Prior, NoisePrior
        Any that the exact engine takes; densities of :class:`~bayesridge.priors.Custom` must accept PyMC variables.
    sampler : Sampler
    collapsed : bool
        Whether to sample (lambda, sigma) alone and draw the coefficients exactly given them.
    centred : bool, optional
        How to sample the coefficients; by default as themselves where the data determine them (fewer columns than
        rows, more than half a degree of freedom each), otherwise as multiples of tau.
    n_jobs : int, optional
        Chains that run at the same time; all cores by default.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    SampledPosterior

    Raises
    ------
    ImproperPosteriorError
        If the priors have no posterior for these data.
    PriorError
        If a custom density cannot be turned into a PyMC model.
    """
    exact = infer(design, spectrum, prior, noise_prior)  # milliseconds; refuses what no sampler would notice
    if centred is None:
        centred = _data_determine(exact)
    name, model = choose_model(design, spectrum, prior, noise_prior, collapsed=collapsed, centred=centred)
    rng = generator(random_state)
    drawn = sample_chains(model, sampler, n_jobs=n_jobs, random_state=rng)
    if collapsed:
        found = _collapsed_draws(design, spectrum, drawn.posterior, rng)
    else:
        found = _with_new_levels(design, draws_of(design, drawn.posterior), rng)
    proper = prior_draws(spectrum, prior, noise_prior, found.sigma.size, rng)
    sampled = _result(design, spectrum, exact.prior_texts, found, drawn, name, proper, rng)
    add_log_prior(sampled.datatree, prior, spectrum.signal)
    return replace(sampled, priors=(prior, noise_prior))


def _nuts_of_terms(exact: Posterior, sampler: Sampler, n_jobs: int | None, random_state: Seed) -> SampledPosterior:
    """Sample the model of several penalties, whose exact posterior says which column has which."""
    from bayesridge.models.mixed import mixed

    engine: Any = exact.engine
    rng = generator(random_state)
    model = mixed(engine, prior=exact.prior, noise_prior=exact.noise_prior)
    drawn = sample_chains(model, sampler, n_jobs=n_jobs, random_state=rng)
    found = draws_of(engine.design, drawn.posterior, np.flatnonzero(engine.penalties >= 0))
    if len(engine.names) == 1:
        found = replace(found, lam=found.lam[..., 0], tau=found.tau[..., 0])
    rho = {f"rho[{name}]": drawn.posterior["rho"].values[..., k] for k, name in enumerate(engine.pairs)}
    found = replace(found, extra={**found.extra, **rho})
    sampled = _result(engine.design, None, exact.prior_texts, found, drawn, "mixed, non-centred", {}, rng)
    if len(engine.names) > 1:
        tree = sampled.datatree["posterior"]
        tree.dataset = tree.to_dataset().assign_coords(scale=list(engine.names))
    return replace(sampled, priors=(exact.prior, exact.noise_prior))


def sample_model(
    design: Design,
    model: Any,
    name: str,
    sampler: Sampler = DEFAULT_SAMPLER,
    *,
    n_jobs: int | None = None,
    random_state: Seed = None,
) -> SampledPosterior:
    """Sample any model of :mod:`bayesridge.models` that has coefficients ``beta``, ``sigma``, ``tau`` and ``lambda_``.

    Parameters
    ----------
    design : Design
        That the model was built from.
    model : pymc.Model
    name : str
        For reports.
    sampler : Sampler
    n_jobs, random_state
        As for :func:`nuts_posterior`.

    Returns
    -------
    SampledPosterior
    """
    rng = generator(random_state)
    drawn = sample_chains(model, sampler, n_jobs=n_jobs, random_state=rng)
    found = draws_of(design, drawn.posterior)
    proper = proper_prior_draws(design, model, found.sigma.size, rng)
    texts = (f"as in the model {name}",) * 2
    return _result(design, None, texts, found, drawn, name, proper, rng)


# -- which model ---------------------------------------------------------------------------------------------------


def choose_model(
    design: Design, spectrum: Spectrum, prior: Prior, noise_prior: NoisePrior, *, collapsed: bool, centred: bool
) -> tuple[str, Any]:
    """Return the name and the PyMC model of a pair of priors."""
    if collapsed:
        if prior.known == 0.0:
            raise ImproperPosteriorError(
                "lambda = 0 has no collapsed model: its evidence diverges; use collapsed=False"
            )
        from bayesridge.models.collapsed import collapsed as collapsed_model

        return "collapsed", collapsed_model(spectrum, prior=prior, noise_prior=noise_prior)
    way = "centred" if centred else "non-centred"
    stated: Any = prior  # which class it is follows from what it states
    of_penalty, of_sigma = prior.with_noise(noise_prior)
    if prior.states_noise and of_penalty.known is not None and of_sigma.known is not None:
        from bayesridge.models.fixed import fixed

        return "fixed", fixed(design, sigma=of_sigma.known, tau=of_penalty.known)
    if prior.states_noise:
        from bayesridge.models.gamma_precisions import gamma_precisions

        return f"gamma_precisions, {way}", gamma_precisions(design, prior=stated, centred=centred)
    if prior.variable == "tau":
        from bayesridge.models.hierarchical import hierarchical

        return f"hierarchical, {way}", hierarchical(design, prior=stated, noise_prior=noise_prior, centred=centred)
    from bayesridge.models.conjugate import conjugate

    return f"conjugate, {way}", conjugate(design, prior=stated, noise_prior=noise_prior, centred=centred)


def _data_determine(exact: Posterior) -> bool:
    spectrum = exact.spectrum
    p = spectrum.n_features
    if spectrum.rank < p or not spectrum.leaves_noise:  # directions the data say nothing about, or y fitted exactly
        return False
    return float(effective_dof(spectrum, exact.lambda_.median)) >= 0.5 * p


def proper_prior_draws(design: Design, model: Any, n: int, rng: np.random.Generator) -> dict[str, Array]:
    """Draw what a model's prior makes proper: of lambda_, r2, sigma, tau, nu and coef_std what no flat one enters.

    Parameters
    ----------
    design : Design
    model : pymc.Model
        Of :mod:`bayesridge.models`.
    n : int
        Number of draws.
    rng : Generator

    Returns
    -------
    dict of str to ndarray of shape (n,) or (n, p_penalized)
    """
    import pymc as pm
    from pymc.distributions.continuous import FlatRV
    from pytensor.graph.traversal import ancestors

    def proper(variable: Any) -> bool:
        return not any(node.owner is not None and isinstance(node.owner.op, FlatRV) for node in ancestors([variable]))

    names = {"lambda_": "lambda_", "sigma": "sigma", "tau": "tau", "nu": "nu", "beta": "coef_std"}
    wanted = {ours: model[theirs] for theirs, ours in names.items() if theirs in model.named_vars}
    wanted = {name: variable for name, variable in wanted.items() if proper(variable)}
    if not wanted:
        return {}
    values = pm.draw(list(wanted.values()), draws=n, random_seed=rng, mode="FAST_COMPILE")
    out = {name: np.asarray(value, dtype=np.float64) for name, value in zip(wanted, values, strict=True)}
    if "lambda_" in out and design.signal > 0:
        out["r2"] = explained(design.signal, out["lambda_"])
    return out


# -- from chains to the result type --------------------------------------------------------------------------------


def draws_of(design: Design, posterior: xr.Dataset, columns: NDArray[np.intp] | None = None) -> Draws:
    """Bring a model's draws (``centre``, ``gamma``, ``beta`` of some columns, the scales) to the units of the data."""
    beta, sigma = posterior["beta"].values, posterior["sigma"].values
    coef = np.zeros((*sigma.shape, design.n_columns))
    coef[..., design.penalized if columns is None else columns] = beta
    if len(design.unpenalized):
        coef[..., design.unpenalized] = posterior["gamma"].values
    coef = design.coefficients(coef)
    intercept = np.zeros(sigma.shape)
    if design.fit_intercept:
        intercept = posterior["centre"].values - coef @ design.mean
    df = posterior["nu"].values if "nu" in posterior else None
    extra = {name: posterior[name].values for name in EXTRA if name in posterior}
    tau, lam = posterior["tau"].values, posterior["lambda_"].values
    return Draws(intercept, coef, sigma, tau, lam, noise_df=df, extra=extra)


def _with_new_levels(design: Design, found: Draws, rng: np.random.Generator) -> Draws:
    """Draw the effects of levels without rows, which are no part of the model, from their prior at each tau."""
    inside = [one.columns for one in design.blocks if one.kind == "levels"]
    if not inside:
        return found
    absent = np.setdiff1d(np.concatenate(inside), design.penalized)
    coef = found.coef.copy()
    coef[..., absent] = found.tau[..., None] * rng.standard_normal((*found.shape, len(absent)))
    return replace(found, coef=coef)


def _collapsed_draws(design: Design, spectrum: Spectrum, posterior: xr.Dataset, rng: np.random.Generator) -> Draws:
    sigma, lam = posterior["sigma"].values, posterior["lambda_"].values
    return draws_given(
        SpectralEngine(design, spectrum), lam.ravel(), sigma.ravel(), (sigma.shape[0], sigma.shape[1]), rng
    )


def _result(
    design: Design,
    spectrum: Spectrum | None,
    prior_texts: tuple[str, str],
    found: Draws,
    drawn: Chains,
    name: str,
    proper: dict[str, Array],
    rng: np.random.Generator,
) -> SampledPosterior:
    import xarray as xr

    stats = {
        str(key): values.values
        for key, values in drawn.sample_stats.data_vars.items()
        if values.dims == ("chain", "draw") and values.dtype.kind in "bif"
    }
    told: dict[str, str | int | float] = {
        "method": "nuts", "prior": prior_texts[0], "noise_prior": prior_texts[1], "model": name,
        "sampler": drawn.sampler, "backend": drawn.backend,
        "compile_seconds": drawn.compile_seconds, "sampling_seconds": drawn.sampling_seconds, "tune": drawn.tune,
        "interrupted": int(drawn.interrupted),
    }  # fmt: skip
    tree = to_datatree(design, found, spectrum=spectrum, prior=proper, sample_stats=stats, attrs=told, random_state=rng)
    posterior = tree["posterior"].to_dataset().drop_vars("coef_std")  # coef in other units
    missing = f"{drawn.chains} x {drawn.draws}" if drawn.interrupted else ""
    table = diagnose(posterior, tree["sample_stats"].to_dataset(), missing=missing)
    tree["diagnostics"] = xr.DataTree(table.to_xarray())
    tree.attrs["verdict"] = str(table.attrs["verdict"])
    return SampledPosterior(
        design, prior_texts, tree, table, name, drawn.sampler, drawn.compile_seconds, drawn.sampling_seconds,
        drawn.interrupted,
    )  # fmt: skip
