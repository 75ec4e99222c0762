"""Coverage studies: whether intervals hold what they promise, and what a choice of lambda costs.

Every cell of the grid is finished, written to its own file and never done again; a folder made with other settings is
refused instead of mixed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.coverage_methods import Answer, Method, check_methods, default_methods
from bayesridge.checks.coverage_scenarios import SIGMA, DataSet, Scenario, check_scenarios, make_data
from bayesridge.errors import DataError, NoSignalWarning
from bayesridge.linalg.runs import run_jobs

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: What is measured in every replication (NaN where a method has no such interval).
MEASURES = (
    "coef_coverage", "coef_length", "new_coverage", "new_length", "lambda_coverage", "lambda_log_length",
    "mse", "regret", "seconds",
)  # fmt: skip
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Settings:
    """What all cells of a study share.

    Attributes
    ----------
    methods : tuple of Method
    replications, new : int
        Data sets in a cell, and new observations for each.
    seed : int
    """

    methods: tuple[Method, ...]
    replications: int
    new: int
    seed: int

    def record(self) -> dict[str, Any]:
        """What must agree for results to be put together."""
        return {
            "format": _FORMAT,
            "methods": {method.key: _describe(method) for method in self.methods},
            "replications": self.replications,
            "new": self.new,
            "seed": self.seed,
        }


def _describe(method: Method) -> str:
    text = repr(method)
    return type(method).__qualname__ if " at 0x" in text else text


def coverage_study(
    scenarios: Sequence[Scenario],
    methods: Sequence[Method] | None = None,
    *,
    replications: int = 200,
    new: int = 20,
    folder: str | Path | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Simulate every scenario, fit it with every method, and count.

    All methods see the same data sets, so that differences between them are much better known than each by itself.

    Parameters
    ----------
    scenarios : sequence of Scenario
        Cells; :func:`~bayesridge.checks.coverage_scenarios.scenario_grid` makes combinations.
    methods : sequence of Method, optional
        :func:`~bayesridge.checks.coverage_methods.default_methods` if not given; rules of
        :mod:`bayesridge.rules` as ``ByRule(rule)``.
    replications : int
        Data sets in each cell.
    new : int
        New observations predicted for each data set.
    folder : str or Path, optional
        Where finished cells are written, and read when the study is called again.
    random_state : int
        Seed; a cell's data depend on it and on the scenario alone, not on the grid or on `n_jobs`.
    n_jobs : int
        Cells worked on at the same time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    pandas.DataFrame
        One row for each cell and method: the scenario; true lambda; ``answered``, the share of data sets for which the
        method had a fit (all means are over those), and ``*_interval_share`` that for which it had intervals;
        coverage and mean length of 95% intervals of coefficients, new observations and lambda (length of log lambda),
        each with its Monte Carlo standard error ``*_se``; ``rmse`` of predicting new observations; ``regret``, the
        excess of the expected squared error over that at the best lambda for the same data, in units of the noise
        variance; median seconds for one answer, intervals included.

    Raises
    ------
    DataError
        If the folder holds a study with other settings; the text says which differ.
    """
    import pandas as pd

    chosen = tuple(default_methods() if methods is None else methods)
    check_methods(chosen)
    check_scenarios(scenarios)
    if replications < 2 or new < 1:
        raise DataError(f"replications must be at least 2 and new at least 1, got {replications} and {new}")
    settings = Settings(chosen, replications, new, int(random_state))
    place = None if folder is None else _open_folder(Path(folder), settings)
    done = {} if place is None else {s: rows for s in scenarios if (rows := _read_cell(place, s)) is not None}
    missing = [scenario for scenario in scenarios if scenario not in done]
    done.update(_run(settings, missing, place, n_jobs, progress))
    return pd.DataFrame([row for scenario in scenarios for row in done[scenario]])


# -- one cell ------------------------------------------------------------------------------------------------------


def run_cell(settings: Settings, scenario: Scenario, place: Path | None = None) -> list[dict[str, Any]]:
    """All replications of one cell, one row for each method; written to its file if there is a place for it."""
    words = np.frombuffer(_digest(_as_json(asdict(scenario))), dtype=np.uint32)
    seeds = np.random.SeedSequence([settings.seed, *words.tolist()]).spawn(settings.replications)
    values = np.full((len(settings.methods), settings.replications, len(MEASURES)), np.nan)
    answered = np.zeros((len(settings.methods), settings.replications), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoSignalWarning)  # simulated data may well show none
        for k, seed in enumerate(seeds):
            data = make_data(scenario, settings.new, np.random.default_rng(seed))
            _ = data.posterior  # shared by methods: in nobody's time
            for m, method in enumerate(settings.methods):
                start = time.perf_counter()
                answer = method.answer(data)
                seconds = time.perf_counter() - start
                if answer is not None:
                    answered[m, k] = True
                    values[m, k] = [*measure(answer, data), seconds]
    rows = [
        {**asdict(scenario), "lambda": scenario.lam, "method": method.key, "replications": settings.replications,
         **summarize(values[m], answered[m])}
        for m, method in enumerate(settings.methods)
    ]  # fmt: skip
    if place is not None:
        _write(place / _file_name(scenario), {"scenario": asdict(scenario), "rows": rows})
    return rows


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


# -- many cells ----------------------------------------------------------------------------------------------------


def _run(
    settings: Settings, scenarios: list[Scenario], place: Path | None, n_jobs: int, progress: bool
) -> Iterator[tuple[Scenario, list[dict[str, Any]]]]:
    if not scenarios:
        return
    jobs = [(settings, scenario, place) for scenario in scenarios]
    yield from zip(scenarios, run_jobs(run_cell, jobs, n_jobs=n_jobs, progress=progress, title="coverage"), strict=True)


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _file_name(scenario: Scenario) -> str:
    return f"{scenario.name}-{_digest(_as_json(asdict(scenario))).hex()[:8]}.json"


def _open_folder(folder: Path, settings: Settings) -> Path:
    """Create the folder, or make sure that it holds the same study."""
    folder.mkdir(parents=True, exist_ok=True)
    head, now = folder / "study.json", settings.record()
    if head.exists():
        before = json.loads(head.read_text(encoding="utf-8"))
        differ = [key for key in {**now, **before} if now.get(key) != before.get(key)]
        if differ:
            changes = "; ".join(f"{key}: {before.get(key)} there, {now.get(key)} now" for key in differ)
            raise DataError(f"{folder} holds a study with other settings ({changes}); give another folder")
        return folder
    if any(folder.iterdir()):
        raise DataError(f"{folder} is not empty and holds no coverage study; give a new or empty folder")
    _write(head, now)
    return folder


def _read_cell(folder: Path, scenario: Scenario) -> list[dict[str, Any]] | None:
    file = folder / _file_name(scenario)
    if not file.exists():
        return None
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return rows


def _write(file: Path, content: Any) -> None:
    """Write all or nothing: an interrupted study leaves no half file."""
    temporary = file.with_suffix(f".{os.getpid()}.part")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    temporary.replace(file)
