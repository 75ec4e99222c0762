"""One calibration study: what is simulated, what is refitted, and the blocks it runs in."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.checks.calibration import CalibrationResult
from bayesridge.checks.prior_draws import Reference
from bayesridge.checks.sbc_quantities import (
    JOINT,
    JointDensity,
    Quantities,
    exact_pit,
    parameter_ranks,
    quantities_of,
    spread_rank,
    tested_columns,
)
from bayesridge.checks.simulate import Setup, Simulation, Truth, observe, simulate
from bayesridge.design.design import Design, build_design
from bayesridge.errors import DataError, ImproperPosteriorError, NoSignalWarning
from bayesridge.linalg.spectrum import Spectrum, factorize
from bayesridge.linalg.targets import with_left_vectors, with_target
from bayesridge.parallel.runs import run_jobs
from bayesridge.posteriors.inferred import Method
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.priors import NoisePrior, Prior

Array = NDArray[np.float64]
Seed = int | np.random.Generator | np.random.SeedSequence | None

#: Simulations that share one seed: results do not depend on how blocks are spread over processes.
BLOCK = 50


@dataclass(frozen=True, eq=False)
class Study:
    """All that a block of simulations needs.

    Attributes
    ----------
    setup : Setup
        Columns at which data are simulated.
    design, spectrum : Design, Spectrum
        What is refitted (the stacked rows, in posterior calibration); the target is replaced each time.
    prior, noise_prior : Prior, NoisePrior
        Simulated from.
    fit_prior, fit_noise_prior : Prior, NoisePrior
        Fitted with.
    method : {"posterior", "evidence"} or None
    draws : int
    joint : tuple of str
    reference : Reference
    observed : Posterior or None
        The posterior of real data, in posterior calibration.
    columns : sequence of int or None
        Coefficients that are tested; all, if None.
    """

    setup: Setup
    design: Design
    spectrum: Spectrum
    prior: Prior
    noise_prior: NoisePrior
    fit_prior: Prior
    fit_noise_prior: NoisePrior
    method: Method | None
    draws: int
    joint: tuple[str, ...]
    reference: Reference
    observed: Posterior | None = None
    columns: Sequence[int] | None = None

    @property
    def tested(self) -> NDArray[np.intp]:
        """Columns whose coefficients are tested."""
        return tested_columns(self.design, self.columns)

    def simulate(self, count: int, rng: np.random.Generator) -> Simulation:
        """Draw parameters, and new data from them."""
        if self.observed is None:
            return simulate(self.setup, self.prior, self.noise_prior, count, rng, self.reference)
        return observe(self.setup, truth_of(self.observed, count, rng), rng)

    def refit(self, y: Array) -> Posterior:
        """Infer from simulated data (with the real data above them, in posterior calibration)."""
        rows = y if self.observed is None else np.concatenate([self.observed.design.y, y])
        design, spectrum = with_target(self.design, self.spectrum, rows)
        return infer(design, spectrum, self.fit_prior, self.fit_noise_prior, self.method)


# -- what is simulated at ------------------------------------------------------------------------------------------


def make_setup(
    X: ArrayLike | tuple[int, int],
    seed: np.random.SeedSequence,
    weights: ArrayLike | None = None,
    fit_intercept: bool = True,
    scale: bool | ArrayLike = True,
    unpenalized: Sequence[int] = (),
) -> Setup:
    """Columns, and one new row: a sum and difference of three of them."""
    rng = np.random.default_rng(seed)
    if isinstance(X, tuple) and len(X) == 2 and all(isinstance(k, (int, np.integer)) for k in X):
        rows = rng.standard_normal(X)
    else:
        rows = np.array(X, dtype=np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all() or len(rows) < 3:
        raise DataError(f"X must be a pair (rows, columns) or a finite table of 3 or more rows, got shape {rows.shape}")
    w = None if weights is None else np.array(weights, dtype=np.float64)
    if w is not None and (w.shape != (len(rows),) or not (np.isfinite(w) & (w >= 0)).all()):
        raise DataError(f"weights must be {len(rows)} numbers, 0 or positive (noise variance sigma^2 / w)")
    divisors = bool(scale) if isinstance(scale, (bool, np.bool_)) else np.array(scale, dtype=np.float64)
    return Setup(rows, new_row(rows, rng), w, fit_intercept, divisors, tuple(int(j) for j in unpenalized))


def new_row(X: Array, rng: np.random.Generator) -> Array:
    """A new row: the sum of two of X less a third (where there are three)."""
    a, b, c = rng.choice(len(X), 3, replace=len(X) < 3)
    return np.asarray(X[a] + X[b] - X[c])[None, :]


def base_fit(setup: Setup, y: Array) -> tuple[Design, Spectrum]:
    """The design of a setup with one target, and its factorisation with U in it."""
    design = build_design(
        setup.X, y, weights=setup.weights, weight_kind="precision", fit_intercept=setup.fit_intercept,
        scale=setup.scale, unpenalized=setup.unpenalized,
    )  # fmt: skip
    return design, with_left_vectors(design, factorize(design, "svd"))


def truth_of(posterior: Posterior, count: int, rng: np.random.Generator) -> Truth:
    """Independent draws of all parameters from a posterior."""
    drawn = posterior.draw(count, 1, rng)
    return Truth(drawn.lam[0], drawn.sigma[0], drawn.tau[0], drawn.intercept[0], drawn.coef[0])


# -- running -------------------------------------------------------------------------------------------------------


def run_study(
    study: Study,
    kind: Literal["prior", "posterior"],
    seed: np.random.SeedSequence,
    seeds: Sequence[np.random.SeedSequence],
    simulations: int,
    alpha: float,
    n_jobs: int,
    progress: bool,
) -> CalibrationResult:
    """Run all blocks and put the result together."""
    start = time.perf_counter()
    quantities = _quantities(study, np.random.default_rng(seeds[0]))
    counts = [min(BLOCK, simulations - BLOCK * k) for k in range(len(seeds))]
    jobs = [(study, quantities, count, one) for count, one in zip(counts, seeds, strict=True)]
    parts = list(run_jobs(_block, jobs, n_jobs=n_jobs, progress=progress, title="calibration"))
    u = np.concatenate(parts)
    answered = ~np.isnan(u).any(axis=1)
    how = dict.fromkeys(quantities.exact, "exact cdf")
    how.update(dict.fromkeys(quantities.ranked + quantities.drawn, f"rank of {study.draws} draws"))
    return CalibrationResult(
        pits={name: u[answered, k] for k, name in enumerate(quantities.names)},
        how=how, fixed=quantities.fixed, kind=kind, what=describe_study(study), simulations=simulations,
        refused=int(np.count_nonzero(~answered)), alpha=alpha, seed=f"{seed.entropy}",
        seconds=time.perf_counter() - start,
    )  # fmt: skip


def _quantities(study: Study, rng: np.random.Generator) -> Quantities:
    with _no_signal_is_expected():
        for y in study.simulate(50, rng).y:
            try:
                return quantities_of(study.design, study.refit(y), study.tested, len(study.setup.new), study.joint)
            except ImproperPosteriorError:
                continue
    raise DataError("the method gave no answer in 50 simulated data sets: there is nothing to calibrate")


def _block(study: Study, quantities: Quantities, count: int, seed: np.random.SeedSequence) -> Array:
    rng = np.random.default_rng(seed)
    spreading = np.random.default_rng(
        seed.generate_state(4)
    )  # not a number of the simulation depends on what is ranked
    sim = study.simulate(count, rng)
    density = JointDensity(study.setup, study.fit_prior, study.fit_noise_prior)
    u = np.full((count, len(quantities.names)), np.nan)
    with _no_signal_is_expected():
        for i in range(count):
            spread = rng.random(len(quantities.ranked))
            try:
                posterior = study.refit(sim.y[i])
            except ImproperPosteriorError:
                continue
            exact = exact_pit(posterior, quantities, study.tested, sim.truth, i, sim.y_new[i], study.setup.new)
            draws = truth_of(posterior, study.draws, rng)
            ranks = joint_ranks(quantities.ranked, density, sim, i, draws, spread)
            u[i] = exact + ranks + parameter_ranks(quantities, one_truth(sim.truth, i), draws, spreading)
    return u


def joint_ranks(
    names: Sequence[str], density: JointDensity, sim: Simulation, i: int, draws: Truth, spread: Array
) -> list[float]:
    """Ranks of the true joint quantities of simulation i among those of posterior draws."""
    if not names:
        return []
    at_draws, at_truth = density(sim.y[i], draws), density(sim.y[i], one_truth(sim.truth, i))
    return [spread_rank(float(at_truth[name][0]), at_draws[name], v) for name, v in zip(names, spread, strict=True)]


def one_truth(truth: Truth, i: int) -> Truth:
    """Truth of one simulation, arrays of length one."""
    part = slice(i, i + 1)
    return Truth(truth.lam[part], truth.sigma[part], truth.tau[part], truth.intercept[part], truth.coef[part])


class _no_signal_is_expected(warnings.catch_warnings):  # noqa: N801 - used like a function
    """Simulated data may well show no signal: that is no news."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore", NoSignalWarning)
        return entered


def describe_study(study: Study) -> str:
    """One line: rows, columns, priors, method."""
    n, p = study.setup.X.shape
    text = f"{n} rows x {p} columns, {study.prior.text}, noise {study.noise_prior.text}"
    if len(study.tested) < p and study.columns is not None:
        text += f" ({len(study.tested)} of {p} coefficients looked at)"
    if study.method == "evidence":
        text += ", lambda plugged in at the evidence maximum"
    if study.fit_prior is not study.prior or study.fit_noise_prior is not study.noise_prior:
        text += f", fitted with {study.fit_prior.text}, noise {study.fit_noise_prior.text}"
    return text


def check_joint(joint: Sequence[str]) -> tuple[str, ...]:
    """Refuse unknown joint quantities."""
    unknown = [name for name in joint if name not in JOINT]
    if unknown:
        raise DataError(f"joint takes some of {', '.join(JOINT)}; got {', '.join(map(str, unknown))}")
    return tuple(joint)


def seed_sequence(random_state: Seed) -> np.random.SeedSequence:
    """Return a SeedSequence from whatever was given."""
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if isinstance(random_state, np.random.Generator):
        return np.random.SeedSequence(int(random_state.integers(2**63)))
    return np.random.SeedSequence(random_state)
