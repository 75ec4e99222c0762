"""Simulation-based calibration of the exact engine: whether its posteriors are right when the model is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.checks.calibration import CalibrationResult
from bayesridge.checks.prior_draws import Reference, check_simulable
from bayesridge.checks.refits import no_residuals
from bayesridge.checks.sbc_outcomes import sbc_of_outcomes
from bayesridge.checks.sbc_quantities import JOINT
from bayesridge.checks.sbc_study import (
    BLOCK,
    Seed,
    Study,
    base_fit,
    check_joint,
    make_setup,
    new_row,
    run_study,
    seed_sequence,
)
from bayesridge.checks.sbc_terms import sbc_of_terms
from bayesridge.checks.simulate import Setup, simulate
from bayesridge.design.design import Design
from bayesridge.errors import ConstantColumnWarning, DataError, check_counts
from bayesridge.fit import one_lambda
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, check_priors

Array = NDArray[np.float64]


def sbc(
    X: ArrayLike | tuple[int, int],
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
    *,
    simulations: int = 1000,
    draws: int = 100,
    method: Literal["posterior", "evidence"] = "posterior",
    fit_prior: Prior | None = None,
    fit_noise_prior: NoisePrior | None = None,
    weights: ArrayLike | None = None,
    fit_intercept: bool = True,
    scale: bool | ArrayLike = True,
    unpenalized: Sequence[int] = (),
    columns: Sequence[int] | None = None,
    joint: Sequence[str] = JOINT,
    reference: Reference | None = None,
    alpha: float = 0.05,
    random_state: Seed = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> CalibrationResult:
    """Simulation-based calibration of the exact engine with parameters drawn from the prior.

    Talts et al. (2018), arXiv:1804.06788, with exact PIT values in place of ranks wherever the posterior has a cdf, and
    data-dependent joint quantities (Modrak et al. 2023). Data are simulated by code that shares nothing with the
    engine, see :mod:`bayesridge.checks.simulate`, which also says why flat priors of the intercept and Jeffreys'
    prior of sigma need no draws.

    Parameters
    ----------
    X : array_like of shape (n, p), or (n, p)
        Columns, the same in every simulation; a pair of whole numbers makes standard normal ones.
    prior, noise_prior : Prior, NoisePrior, optional
        ``BetaR2(0.5, 0.5)`` and ``Jeffreys()`` by default.
    simulations : int
    draws : int
        Independent posterior draws that joint quantities are ranked among.
    method : {"posterior", "evidence"}
        "evidence" plugs in lambda, to see how far that is from calibrated.
    fit_prior, fit_noise_prior : Prior, NoisePrior, optional
        What the fit assumes, when it is to differ from what is simulated: to see whether a mistake would be found.
    weights : array_like of shape (n,), optional
        Precision weights (noise variance sigma^2 / w). A row counted several times is no simulation of the model:
        repeat it in `X` instead.
    fit_intercept, scale, unpenalized
        As for :func:`bayesridge.fit`; unpenalised columns by index.
    columns : sequence of int, optional
        Coefficients to test, by index; all if left out. With thousands of columns some dozens are enough.
    joint : sequence of {"log likelihood", "log prior", "log joint"}
    reference : Reference, optional
        Where parameters without a proper prior stand; it makes no difference to exact posteriors.
    alpha : float
        Probability of a false alarm over all quantities together.
    random_state : int, Generator, SeedSequence or None
        Results do not depend on `n_jobs`.
    n_jobs : int
        Processes.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    CalibrationResult

    Raises
    ------
    PriorError
        If the priors cannot be simulated from.
    DataError
        For impossible arguments.
    """
    prior, noise_prior = prior or BetaR2(), noise_prior or Jeffreys()
    check_priors(prior, noise_prior)
    check_simulable(prior, noise_prior)
    _check_counts(simulations, draws, alpha)
    seed = seed_sequence(random_state)
    layout, first, *seeds = seed.spawn(2 + -(-simulations // BLOCK))
    setup = make_setup(X, layout, weights, fit_intercept, scale, unpenalized)
    at = reference or Reference()
    design, spectrum = base_fit(setup, simulate(setup, prior, noise_prior, 1, np.random.default_rng(first), at).y[0])
    study = Study(
        setup, design, spectrum, prior, noise_prior, fit_prior or prior, fit_noise_prior or noise_prior,
        "evidence" if method == "evidence" else None, draws, check_joint(joint), at,
        columns=columns,
    )  # fmt: skip
    return run_study(study, "prior", seed, seeds, simulations, alpha, n_jobs, progress)


def posterior_sbc(
    posterior: Posterior,
    *,
    simulations: int = 1000,
    draws: int = 100,
    columns: Sequence[int] | None = None,
    joint: Sequence[str] = JOINT,
    alpha: float = 0.05,
    random_state: Seed = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> CalibrationResult:
    """Posterior calibration: whether the engine is right for data like these.

    Sailynoja et al. (2025), arXiv:2502.03279. Parameters are drawn from the posterior of the real data, new data
    from them at the same rows, and the model is fitted to both together; the drawn parameters then are draws from
    that posterior, if all is computed correctly. No prior has to be proper.

    Parameters
    ----------
    posterior : Posterior
        Of real data, as :func:`bayesridge.posterior` returns it; frequency weights must be whole numbers.
    simulations, draws, columns, joint, alpha, random_state, n_jobs, progress
        As for :func:`sbc`. With several penalties, and for families, every simulated data set takes a fit of its own,
        and of the joint quantities the log likelihood is ranked.

    Returns
    -------
    CalibrationResult
    """
    if not (posterior.has_terms or posterior.has_curves):
        posterior = one_lambda(posterior)
    if not posterior.has_curves and no_residuals(posterior):
        raise DataError(
            "the target is constant, or a linear function of the columns, to rounding: what is drawn from a bound on "
            "its noise is no data like these"
        )
    if posterior.method == "evidence":
        raise DataError("method='evidence' chose lambda from the data: it has no posterior to draw lambda from")
    _check_counts(simulations, draws, alpha)
    seed = seed_sequence(random_state)
    if posterior.has_terms or posterior.has_curves:
        return (sbc_of_terms if posterior.has_terms else sbc_of_outcomes)(
            posterior, simulations=simulations, draws=draws, columns=columns, alpha=alpha, seed=seed, n_jobs=n_jobs,
            progress=progress,
        )  # fmt: skip
    layout, *seeds = seed.spawn(1 + -(-simulations // BLOCK))
    observed, setup = _once_each(posterior, layout)
    stacked = replace(
        setup, X=np.concatenate([setup.X, setup.X]), scale=observed.design.scale,
        weights=None if setup.weights is None else np.concatenate([setup.weights, setup.weights]),
    )  # fmt: skip
    design, spectrum = _fitted_again(stacked, np.concatenate([observed.design.y, observed.design.y[::-1]]))
    prior, noise = observed.prior, observed.noise_prior
    study = Study(
        setup, replace(design, names=observed.design.names), spectrum, prior, noise, prior, noise, None, draws,
        check_joint(joint), Reference(), observed, columns,
    )  # fmt: skip
    return run_study(study, "posterior", seed, seeds, simulations, alpha, n_jobs, progress)


def _once_each(posterior: Posterior, seed: np.random.SeedSequence) -> tuple[Posterior, Setup]:
    """The posterior with rows of frequency weight w repeated w times, and the setup of its rows."""
    design = posterior.design
    if design.basis is not None:
        raise DataError("the computation is checked for penalties on single coefficients: it is the same for others")
    X, y, w = design.X, design.y, design.weights
    if w is not None and design.weight_kind == "frequency":
        if (w != np.round(w)).any():
            raise DataError("frequency weights must be whole numbers: only whole observations can be simulated")
        X, y, w = np.repeat(X, w.astype(int), axis=0), np.repeat(y, w.astype(int)), None
    new = new_row(X, np.random.default_rng(seed))
    setup = Setup(X, new, w, design.fit_intercept, design.scale, tuple(int(j) for j in design.unpenalized))
    if w is design.weights:
        return posterior, setup
    base, spectrum = _fitted_again(setup, y)
    return infer(replace(base, names=design.names), spectrum, posterior.prior, posterior.noise_prior), setup


def _fitted_again(setup: Setup, y: Array) -> tuple[Design, Spectrum]:
    """Rows of a posterior: its fit has said what has no spread (a level that no row has is no news at all)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantColumnWarning)
        return base_fit(setup, y)


def _check_counts(simulations: int, draws: int, alpha: float) -> None:
    check_counts(least=2, simulations=simulations)
    check_counts(draws=draws)
    if not 0.0 < alpha < 1.0:
        raise DataError(f"alpha must lie strictly between 0 and 1, got {alpha}")
