"""Simulation-based calibration of a sampler: NUTS on a PyMC model, or any function that draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.checks.calibration import CalibrationResult
from bayesridge.checks.prior_draws import check_simulable
from bayesridge.checks.sbc_quantities import JOINT, NEW, SCALES, JointDensity, spread_rank
from bayesridge.checks.sbc_study import Seed, check_joint, joint_ranks, make_setup, seed_sequence
from bayesridge.checks.simulate import Setup, Truth, simulate
from bayesridge.design.design import Design, build_design
from bayesridge.errors import check_counts
from bayesridge.linalg.shares import explained
from bayesridge.linalg.spectrum import Spectrum, factorize
from bayesridge.mcmc.chains import MIN_DRAWS, Sampler, read_sampler, sample_chains
from bayesridge.mcmc.sampling import draws_of, nuts_posterior
from bayesridge.parallel.runs import run_jobs
from bayesridge.posteriors.draws import Draws
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, check_priors

Array = NDArray[np.float64]

_JOBS_PER_PROCESS = 20  # a compiled model leaves some 5 MB behind

#: Draws from the posterior of a design, of shape (chains, draws, ...): independent, or thinned until they nearly are.
DrawsFrom = Callable[[Design, Spectrum, np.random.Generator], Draws]


@dataclass(frozen=True, eq=False)
class SamplerStudy:
    """All that one simulation needs."""

    setup: Setup
    prior: Prior
    noise_prior: NoisePrior
    sampler: DrawsFrom
    names: tuple[str, ...]
    joint: tuple[str, ...]


def sbc_sampler(
    X: ArrayLike | tuple[int, int],
    sampler: DrawsFrom,
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
    *,
    simulations: int = 200,
    weights: ArrayLike | None = None,
    fit_intercept: bool = True,
    scale: bool | ArrayLike = True,
    unpenalized: Sequence[int] = (),
    joint: Sequence[str] = JOINT,
    alpha: float = 0.05,
    label: str = "",
    random_state: Seed = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> CalibrationResult:
    """Simulation-based calibration of anything that draws: all quantities are ranked among its draws.

    Parameters
    ----------
    X, prior, noise_prior, weights, fit_intercept, scale, unpenalized, joint, alpha, random_state, n_jobs, progress
        As for :func:`bayesridge.checks.sbc.sbc`.
    sampler : callable
        ``sampler(design, spectrum, rng)`` returns ``Draws`` from the posterior under `prior`.
        They should be nearly independent: autocorrelated draws make ranks U-shaped (thin them).
    simulations : int
    label : str
        Name of the sampler in the verdict.

    Returns
    -------
    CalibrationResult
    """
    prior, noise_prior = prior or BetaR2(), noise_prior or Jeffreys()
    check_priors(prior, noise_prior)
    check_simulable(prior, noise_prior)
    check_counts(least=2, simulations=simulations)
    start = time.perf_counter()
    seed = seed_sequence(random_state)
    layout, *seeds = seed.spawn(1 + simulations)
    setup = make_setup(X, layout, weights, fit_intercept, scale, unpenalized)
    study = SamplerStudy(setup, prior, noise_prior, sampler, _names(setup), check_joint(joint))
    jobs = [(study, one) for one in seeds]
    parts = list(
        run_jobs(_one, jobs, n_jobs=n_jobs, progress=progress, title="calibration", jobs_per_process=_JOBS_PER_PROCESS)
    )
    u, counts = np.array([part for part, _ in parts]), {count for _, count in parts}
    names = study.names + study.joint
    # what the prior fixes equals the truth in every draw: its ranks are uniform by construction and test nothing
    fixed = tuple(name for k, name in enumerate(names) if np.isnan(u[:, k]).all())
    kept = [k for k, name in enumerate(names) if name not in fixed]
    n, p = setup.X.shape
    text = f"{n} rows x {p} columns, {prior.text}, noise {noise_prior.text}"
    return CalibrationResult(
        pits={names[k]: u[:, k] for k in kept},
        how=dict.fromkeys([names[k] for k in kept], f"rank of {min(counts)} draws"),
        fixed=fixed, kind="prior", what=text + (f", {label}" if label else ""), simulations=simulations, refused=0,
        alpha=alpha, seed=f"{seed.entropy}", seconds=time.perf_counter() - start,
    )  # fmt: skip


def sbc_nuts(
    X: ArrayLike | tuple[int, int],
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
    *,
    model: Callable[[Design], Any] | None = None,
    simulations: int = 100,
    draws: int = 100,
    thin: int = 5,
    sampler: Sampler | Mapping[str, Any] | str | None = None,
    collapsed: bool = False,
    centred: bool | None = None,
    **options: Any,
) -> CalibrationResult:
    """Simulation-based calibration of NUTS on a PyMC model: slow, each simulated table is compiled and sampled.

    Parameters
    ----------
    X, prior, noise_prior
        As for :func:`bayesridge.checks.sbc.sbc`; what is simulated from.
    model : callable, optional
        ``model(design)`` returns a ``pm.Model`` with the variables of :mod:`bayesridge.models`, meant to state the
        same priors; by default the model that :func:`bayesridge.mcmc.sampling.choose_model` picks for them.
    simulations : int
    draws, thin : int
        Ranks are among `draws` kept draws in all: every `thin`-th of each chain.
    sampler : Sampler, dict or str, optional
        Two chains after 500 steps of warm-up by default; its own ``draws`` follow from `draws` and `thin`. Chains run
        one after the other, simulations in `n_jobs` processes.
    collapsed, centred
        As for :func:`bayesridge.mcmc.sampling.nuts_posterior`.
    **options
        For :func:`sbc_sampler`: weights, unpenalized, joint, alpha, random_state, n_jobs, progress, ...

    Returns
    -------
    CalibrationResult
    """
    given, noise = prior or BetaR2(), noise_prior or Jeffreys()
    asked = read_sampler(sampler, tune=500, chains=2)
    nuts = replace(asked, draws=max(thin * -(-draws // asked.chains), MIN_DRAWS), progressbar=False)
    if model is not None:
        draw: DrawsFrom = _ModelSampler(model, nuts, thin, draws)
    else:
        draw = _NutsSampler(given, noise, nuts, collapsed, centred, thin, draws)
    options.setdefault("label", "NUTS")
    return sbc_sampler(X, draw, given, noise, simulations=simulations, **options)


@dataclass(frozen=True, eq=False)
class _ModelSampler:
    model: Callable[[Design], Any]
    sampler: Sampler
    thin: int
    keep: int

    def __call__(self, design: Design, spectrum: Spectrum, rng: np.random.Generator) -> Draws:  # noqa: ARG002
        drawn = sample_chains(self.model(design), self.sampler, n_jobs=1, random_state=rng)
        return _thinned(draws_of(design, drawn.posterior), self.thin, self.keep)


@dataclass(frozen=True, eq=False)
class _NutsSampler:
    prior: Prior
    noise_prior: NoisePrior
    sampler: Sampler
    collapsed: bool
    centred: bool | None
    thin: int
    keep: int

    def __call__(self, design: Design, spectrum: Spectrum, rng: np.random.Generator) -> Draws:
        found = nuts_posterior(
            design, spectrum, self.prior, self.noise_prior, self.sampler, collapsed=self.collapsed,
            centred=self.centred, n_jobs=1, random_state=rng,
        )  # fmt: skip
        return _thinned(found.drawn, self.thin, self.keep)


def _thinned(draws: Draws, thin: int, keep: int) -> Draws:
    """Every thin-th draw, as one chain of at most `keep`."""

    def pick(values: Array) -> Array:
        flat = values[:, thin - 1 :: thin].reshape(-1, *values.shape[2:])
        return flat[:keep][None]

    return Draws(
        pick(draws.intercept), pick(draws.coef), pick(draws.sigma), pick(draws.tau),
        pick(draws.lam),
    )  # fmt: skip


def _names(setup: Setup) -> tuple[str, ...]:
    columns = np.sort(np.concatenate([setup.penalized, np.array(setup.unpenalized, dtype=np.intp)]))
    new = [NEW] if len(setup.new) == 1 else [f"{NEW} {k}" for k in range(len(setup.new))]
    return (*SCALES, *[f"x{j}" for j in columns], *(["intercept"] if setup.fit_intercept else []), *new)


def _one(study: SamplerStudy, seed: np.random.SeedSequence) -> tuple[Array, int]:
    """Ranks of one simulation, and the number of draws."""
    setup, rng = study.setup, np.random.default_rng(seed)
    sim = simulate(setup, study.prior, study.noise_prior, 1, rng)
    design = build_design(
        setup.X, sim.y[0], weights=setup.weights, weight_kind="precision", fit_intercept=setup.fit_intercept,
        scale=setup.scale, unpenalized=setup.unpenalized,
    )  # fmt: skip
    drawn = study.sampler(design, factorize(design), rng)
    flat = Truth(
        drawn.lam.ravel(), drawn.sigma.ravel(), drawn.tau.ravel(), drawn.intercept.ravel(),
        drawn.coef.reshape(-1, drawn.coef.shape[-1]),
    )  # fmt: skip
    truth, values = _values(setup, sim.truth, sim.y_new), _values(setup, flat, _new_draws(setup, flat, rng))
    spread = rng.random(len(study.names) + len(study.joint))
    ranks = [
        np.nan if np.ptp(values[k]) == 0.0 else spread_rank(float(truth[k][0]), values[k], spread[k])
        for k in range(len(study.names))
    ]
    density = JointDensity(setup, study.prior, study.noise_prior)
    ranks += joint_ranks(study.joint, density, sim, 0, flat, spread[len(study.names) :])
    return np.array(ranks), len(flat.sigma)


def _new_draws(setup: Setup, flat: Truth, rng: np.random.Generator) -> Array:
    mean = flat.intercept[:, None] + flat.coef @ setup.new.T
    return np.asarray(mean + flat.sigma[:, None] * rng.standard_normal(mean.shape))


def _values(setup: Setup, truth: Truth, new: Array) -> list[Array]:
    """The quantities of :func:`_names`, each of shape (S,)."""
    columns = np.sort(np.concatenate([setup.penalized, np.array(setup.unpenalized, dtype=np.intp)]))
    r2 = explained(setup.signal, truth.lam)
    intercept = [truth.intercept] if setup.fit_intercept else []
    return [truth.lam, truth.sigma, truth.tau, r2, *truth.coef[:, columns].T, *intercept, *new.T]
