"""Whether intervals hold what they promise, and what a choice of lambda costs: every world, with every method."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesridge.errors import NoSignalWarning
from bayesridge.parallel.runs import run_jobs
from benchmarks.coverage.methods import Answer, Method
from benchmarks.coverage.worlds import SIGMA, DataSet, Scenario, make_data

Array = NDArray[np.float64]

#: What is measured in every replication (NaN where a method has no such interval).
MEASURES = (
    "coef_coverage", "coef_length", "new_coverage", "new_length", "lambda_coverage", "lambda_log_length",
    "mse", "regret", "seconds",
)  # fmt: skip


def coverage_study(
    scenarios: Sequence[Scenario],
    methods: Sequence[Method],
    *,
    replications: int = 200,
    new: int = 20,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Simulate every scenario, fit it with every method, and count.

    All methods see the same data sets, so that differences between them are much better known than each by itself.

    Parameters
    ----------
    scenarios : sequence of Scenario
    methods : sequence of Method
    replications, new : int
        Data sets in a cell, and new observations predicted for each.
    random_state : int
        A cell's data depend on it and on the scenario alone, not on the other cells, the methods or `n_jobs`.
    n_jobs : int
        Cells worked on at the same time.
    progress : bool

    Returns
    -------
    pandas.DataFrame
        One row for each cell and method: the scenario; true lambda; ``answered``, the share of data sets for which the
        method had a fit (all means are over those), and ``*_interval_share`` that for which it had intervals;
        coverage and mean length of 95% intervals of coefficients, new observations and lambda (length of log lambda),
        each with its Monte Carlo standard error ``*_se``; ``rmse`` of predicting new observations; ``regret``, the
        excess of the expected squared error over that at the best lambda for the same data, in units of the noise
        variance; median seconds for one answer, intervals included.
    """
    jobs = [(scenario, tuple(methods), replications, new, random_state) for scenario in scenarios]
    cells = run_jobs(run_cell, jobs, n_jobs=n_jobs, progress=progress, title="coverage")
    return pd.DataFrame([row for rows in cells for row in rows])


def run_cell(
    scenario: Scenario, methods: tuple[Method, ...], replications: int, new: int, seed: int
) -> list[dict[str, Any]]:
    """All replications of one cell, one row for each method."""
    text = json.dumps(asdict(scenario), sort_keys=True)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], dtype=np.uint32)
    seeds = np.random.SeedSequence([seed, *words.tolist()]).spawn(replications)
    values = np.full((len(methods), replications, len(MEASURES)), np.nan)
    answered = np.zeros((len(methods), replications), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoSignalWarning)  # simulated data may well show none
        for k, one in enumerate(seeds):
            data = make_data(scenario, new, np.random.default_rng(one))
            _ = data.posterior  # shared by methods: in nobody's time
            for m, method in enumerate(methods):
                start = time.perf_counter()
                answer = method.answer(data)
                seconds = time.perf_counter() - start
                if answer is not None:
                    answered[m, k] = True
                    values[m, k] = [*measure(answer, data), seconds]
    return [
        {**asdict(scenario), "lambda": scenario.lam, "method": method.key, "replications": replications,
         **summarize(values[m], answered[m])}
        for m, method in enumerate(methods)
    ]  # fmt: skip


def measure(answer: Answer, data: DataSet) -> list[float]:
    """All of :data:`MEASURES` but the time, for one data set."""
    out: list[float] = []
    for interval, truth in ((answer.coef_interval, data.coef), (answer.new_interval, data.y_new)):
        if interval is None:
            out += [np.nan, np.nan]
        else:
            inside = (interval[:, 0] <= truth) & (truth <= interval[:, 1])
            out += [float(inside.mean()), float((interval[:, 1] - interval[:, 0]).mean())]
    lam, ends = data.scenario.lam, answer.lambda_interval
    if ends is None or not np.isfinite(lam):
        out += [np.nan, np.nan]
    else:
        with np.errstate(divide="ignore"):
            out += [float(ends[0] <= lam <= ends[1]), float(np.log(ends[1]) - np.log(ends[0]))]
    risk = data.excess_risk(answer.intercept, answer.coef)
    out += [SIGMA**2 + risk, (risk - data.oracle[1]) / SIGMA**2]
    return out


def summarize(values: Array, answered: NDArray[np.bool_]) -> dict[str, float]:
    """Means over the replications with an answer, and their standard errors.

    Parameters
    ----------
    values : ndarray of shape (replications, measures)
    answered : ndarray of bool of shape (replications,)
    """
    out: dict[str, float] = {"answered": float(answered.mean())}
    for k, name in enumerate(MEASURES):
        column = values[answered, k]
        column = column[~np.isnan(column)]
        mean = float(column.mean()) if len(column) else np.nan
        # one interval of infinite length makes the mean infinite, and leaves it without an error
        known = len(column) > 1 and np.isfinite(mean)
        error = float(column.std(ddof=1) / np.sqrt(len(column))) if known else np.nan
        if name == "mse":
            out["rmse"], out["rmse_se"] = float(np.sqrt(mean)), float(0.5 * error / np.sqrt(mean))
        elif name == "seconds":
            out["seconds"] = float(np.median(column)) if len(column) else np.nan
        else:
            out[name], out[f"{name}_se"] = mean, error
        if name.endswith("_length"):
            out[f"{name.split('_')[0]}_interval_share"] = len(column) / len(answered)
    return out
