"""Posterior calibration of families: outcomes simulated at the same rows, and a fit to them and the real ones."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.calibration import CalibrationResult
from bayesridge.checks.sbc_quantities import spread_rank
from bayesridge.errors import BayesRidgeWarning, DataError
from bayesridge.hyper.marginal import PointMass
from bayesridge.parallel.runs import run_many

Array = NDArray[np.float64]

_MOST_COLUMNS = 50  # of which coefficients are looked at, spread over all
_MOST_WORK = 1e9  # multiplications of one fit: some seconds
_LIKELIHOOD = "log likelihood"


@dataclass(frozen=True, eq=False)
class _Task:
    """One simulation: parameters from the posterior, outcomes from them, and a fit to these and the real ones."""

    posterior: Any
    columns: NDArray[np.intp]
    draws: int

    def __call__(self, _: int, rng: np.random.Generator) -> dict[str, float]:
        """Where the truth lies in the posterior: by cdfs, and for the log likelihood among draws."""
        post, names = self.posterior, self.posterior.design.names
        truth = post.draw(1, 1, rng)
        y = post.simulate(truth, rng)[0, 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesRidgeWarning)  # simulated outcomes may be separated: that is no news
            both = post.beside(y)
        some = both.coefficients.take(self.columns).cdf(truth.coef[0, 0, self.columns])
        found = {names[j]: float(u) for j, u in zip(self.columns, some, strict=True)}
        if post.design.fit_intercept:
            found["intercept"] = float(both.intercept.cdf(truth.intercept[0])[0])
        own = {"lambda": truth.lam, "sigma": truth.sigma, "df": truth.noise_df, **truth.extra}
        for name, scale in both.scales.items():
            if name in own and not isinstance(scale, PointMass):
                found[name] = float(scale.cdf(own[name][0, 0]))
        targets = np.stack([post.design.y, y])
        drawn = post.log_likelihood(both.draw(self.draws, 1, rng), targets)[0]
        found[_LIKELIHOOD] = spread_rank(float(post.log_likelihood(truth, targets)[0, 0]), drawn, rng.random())
        return found


def sbc_of_outcomes(
    posterior: Any, *, simulations: int, draws: int, columns: Sequence[int] | None, alpha: float,
    seed: np.random.SeedSequence, n_jobs: int, progress: bool,
) -> CalibrationResult:  # fmt: skip
    """Parameters as for :func:`bayesridge.checks.sbc.posterior_sbc`."""
    design, started = posterior.design, time.perf_counter()
    if not np.isin(posterior.rows().count, (0.0, 1.0)).all():
        raise DataError("only whole rows are simulated: repeat rows that stand for several observations")
    if posterior.work > _MOST_WORK:
        raise DataError(
            f"the computation is not checked by simulation for this posterior ({posterior.how}; {design.n_rows} rows, "
            f"{design.n_columns} columns): {simulations} such fits take hours; check a part of the rows"
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
    text, family = posterior.prior_texts
    return CalibrationResult(
        pits={name: np.array([row[name] for row in rows]) for name in rows[0]},
        how={name: f"rank of {draws} draws" if name == _LIKELIHOOD else "cdf of weighted draws" for name in rows[0]},
        fixed=(), kind="posterior", what=f"{design.n_rows} rows x {design.n_columns} columns, {text}, {family}",
        simulations=len(rows), refused=0, alpha=alpha, seed=f"{seed.entropy}", seconds=time.perf_counter() - started,
    )  # fmt: skip
