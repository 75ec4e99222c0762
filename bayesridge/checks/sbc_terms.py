"""Posterior calibration of models with several penalties: as for one, every simulated data set fitted by itself."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.calibration import CalibrationResult
from bayesridge.checks.sbc_quantities import spread_rank
from bayesridge.errors import BayesRidgeWarning, DataError
from bayesridge.hyper.infer import infer_hyper
from bayesridge.parallel.runs import run_many
from bayesridge.posteriors.posterior import Posterior

Array = NDArray[np.float64]

_MOST_COLUMNS = 50  # of which coefficients are looked at, spread over all
_MOST_VALUES = 1 << 18  # rows times columns, up to which a fit takes less than a second
_LIKELIHOOD = "log likelihood"


@dataclass(frozen=True, eq=False)
class _Task:
    """One simulation: parameters from the posterior, data from them, and a fit to these and the real data together."""

    posterior: Posterior
    columns: NDArray[np.intp]
    draws: int

    def __call__(self, _: int, rng: np.random.Generator) -> dict[str, float]:
        post, design = self.posterior, self.posterior.design
        theta, sigma, coef, intercept = _drawn(post, 1, rng)
        expected = _expected(post, coef, intercept)
        y = expected[0] + sigma * rng.standard_normal(design.n_rows) / _root(post)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesRidgeWarning)  # simulated data may show no signal: that is no news
            engine = post.penalties.beside(y)
            both = replace(post, engine=engine, hyper=infer_hyper(engine, post.prior, post.noise_prior))
            return self._place(both, theta[0], float(sigma[0]), coef[0], intercept, y, rng)

    def _place(
        self, both: Posterior, theta: Array, sigma: float, coef: Array, intercept: Array, y: Array,
        rng: np.random.Generator,
    ) -> dict[str, float]:  # fmt: skip
        """Where the truth lies in the posterior: by exact cdfs of coefficients, among draws for all else."""
        post, names = self.posterior, self.posterior.design.names
        some = both.coefficients.take(self.columns).cdf(coef[self.columns])
        found = {names[j]: float(u) for j, u in zip(self.columns, some, strict=True)}
        if post.design.fit_intercept:
            found["intercept"] = float(both.intercept.cdf(intercept)[0])
        row = int(rng.integers(len(y)))
        target = both.predict(_row(post, row)).target
        expected = _expected(post, coef[None], intercept)[0, row]
        found["new observation"] = float(target.cdf(expected + sigma * rng.standard_normal())[0])
        thetas, sigmas, coefs, intercepts = _drawn(both, self.draws, rng)
        for k, name in enumerate(post.engine.theta_names):
            found[name.partition(" ")[2]] = spread_rank(theta[k], thetas[:, k], rng.random())
        found["sigma"] = spread_rank(sigma, sigmas, rng.random())
        targets = np.stack([post.design.y, y])
        truth = _log_likelihood(post, targets, coef[None], intercept, np.array([sigma]))[0]
        found[_LIKELIHOOD] = spread_rank(
            float(truth), _log_likelihood(post, targets, coefs, intercepts, sigmas), rng.random()
        )
        return found


def _drawn(post: Posterior, count: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Draws of theta (m, h), sigma (m,), coefficients (m, p) and intercept (m,)."""
    lam, sigma = post.hyper.draw(count, rng)
    theta = np.log(lam.reshape(count, -1))
    found = post.engine.at(theta).draw(sigma, rng)
    return theta, sigma, found.coef, found.intercept


def _expected(post: Posterior, coef: Array, intercept: Array) -> Array:
    return np.asarray(intercept[:, None] + post.design.source.times(coef.T).T)


def _root(post: Posterior) -> Array:
    """Root of each row's precision over 1/sigma^2; of rows of weight zero one, any number will do."""
    w = post.design.weights
    return np.ones(post.design.n_rows) if w is None else np.sqrt(np.where(w > 0, w, 1.0))


def _row(post: Posterior, row: int) -> Any:
    source: Any = post.design.source
    return source.pick(slice(row, row + 1)) if hasattr(source, "pick") else source.take(slice(row, row + 1))


def _log_likelihood(post: Posterior, targets: Array, coef: Array, intercept: Array, sigma: Array) -> Array:
    """Of two targets on the same rows at m values of the parameters, (m,)."""
    design = post.design
    counts = np.ones(design.n_rows) if design.weights is None else design.weights
    error = targets - _expected(post, coef, intercept)[:, None]
    squares = np.square(error).sum(axis=1) @ counts
    return np.asarray(-2.0 * np.count_nonzero(counts) * np.log(sigma) - 0.5 * squares / sigma**2)


def sbc_of_terms(
    posterior: Posterior,
    *,
    simulations: int,
    draws: int,
    columns: Sequence[int] | None,
    alpha: float,
    seed: np.random.SeedSequence,
    n_jobs: int,
    progress: bool,
) -> CalibrationResult:
    """Parameters as for :func:`bayesridge.checks.sbc.posterior_sbc`."""
    design, started = posterior.design, time.perf_counter()
    if design.weights is not None and design.weight_kind == "frequency":
        raise DataError("with several penalties only whole rows are simulated: repeat rows that count more than once")
    if design.n_rows * design.n_columns > _MOST_VALUES:
        raise DataError(
            f"the computation is not checked by simulation for {design.n_rows} rows and {design.n_columns} columns "
            "under several penalties: that takes hours; check a part of the rows"
        )
    free = np.setdiff1d(np.arange(design.n_columns), design.constant)
    wanted = free if columns is None else np.intersect1d(free, np.array(columns, dtype=np.intp))
    some = wanted[np.linspace(0, len(wanted) - 1, min(len(wanted), _MOST_COLUMNS)).round().astype(np.intp)]
    runs = run_many(
        _Task(posterior, some, draws), simulations, n_jobs=n_jobs, random_state=seed, progress=progress,
        title="calibration",
    )  # fmt: skip
    rows = runs.results
    if not rows:
        raise DataError("no simulation was done: there is nothing to judge")
    cdfs = {*(design.names[j] for j in some), "intercept", "new observation"}
    return CalibrationResult(
        pits={name: np.array([row[name] for row in rows]) for name in rows[0]},
        how={name: "exact cdf" if name in cdfs else f"rank of {draws} draws" for name in rows[0]},
        fixed=() , kind="posterior",
        what=f"{design.n_rows} rows x {design.n_columns} columns, {posterior.prior.text}, noise "
        f"{posterior.noise_prior.text}",
        simulations=len(rows), refused=0, alpha=alpha, seed=f"{seed.entropy}", seconds=time.perf_counter() - started,
    )  # fmt: skip
