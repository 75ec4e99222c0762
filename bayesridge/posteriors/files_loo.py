"""Exact leave-one-out of rows that were added up from files: a second pass, in which each row meets the whole fit.

The parts of a row in leave-one-out (its residual, its leverage) need the row and the decomposition of all rows, and
nothing of the other rows. What is kept is a line for each unit of the files (a row group, a run of blocks of a CSV).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import AccuracyWarning, DataError, warn
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.linalg.accumulate import Files, ahead
from bayesridge.linalg.design import Design
from bayesridge.linalg.engine import Engine
from bayesridge.posteriors.loo import leave_one_out, why_no_loo
from bayesridge.posteriors.shown import Shown
from bayesridge.tables.batches import Batch, in_place, open_files
from bayesridge.tables.streamed import Rows, row_reader

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_ROWS = 1 << 12  # looked at together: a number for each and each node of the scales, some times over
_BINS = 100
_SAME = 1e-9  # of a column's mean, in its sds: another table of the same shape is further off


class _Scores(NamedTuple):
    """Sums over the rows of a unit that add up: observations, elpd, centred squares, p_loo, squared errors, PIT."""

    n_obs: float
    elpd: float
    spread: float
    p_loo: float
    squares: float
    pit: Array
    doubtful: int
    sums: Array

    def merged(self, other: _Scores) -> _Scores:
        n = self.n_obs + other.n_obs
        if min(self.n_obs, other.n_obs) == 0:
            apart = 0.0
        else:
            apart = (self.elpd / self.n_obs - other.elpd / other.n_obs) ** 2 * self.n_obs * other.n_obs / n
        both: Any = zip(self, other, strict=True)
        found = [one + two for one, two in both]
        return _Scores(*found)._replace(spread=self.spread + other.spread + apart)


@dataclass(frozen=True, eq=False, repr=False)
class FilesLeaveOneOut(Shown):
    """Leave-one-out of files, by row group.

    Attributes
    ----------
    table : pandas.DataFrame
        One row for each unit of the files: its first row, observations, elpd, its average, p_loo, RMSE.
    n_obs : float
        Observations.
    elpd_loo, se, p_loo, rmse : float
        As of :class:`~bayesridge.posteriors.loo.LeaveOneOut`.
    pit : ndarray of shape (100,)
        Observations in each hundredth of ``P(y_new <= y_i | y_-i)``: equally many where the model is calibrated.
    doubtful : int
        Rows that contradict the others so strongly that their densities are known less exactly than the others'.
    """

    table: pd.DataFrame
    n_obs: float
    elpd_loo: float
    se: float
    p_loo: float
    rmse: float
    pit: Array
    doubtful: int

    def summary(self, level: float = 0.95) -> pd.DataFrame:  # noqa: ARG002
        """One row for each unit of the files."""
        return self.table

    def _headline(self) -> str:
        p_loo = "infinite" if np.isinf(self.p_loo) else f"{self.p_loo:.3g}"
        return f"Leave-one-out, exact: elpd {self.elpd_loo:.2f} (se {self.se:.2f}), p_loo {p_loo}, RMSE {self.rmse:.4g}"

    def facts(self) -> dict[str, float]:
        """What a record holds."""
        return {"elpd_loo": self.elpd_loo, "se": self.se, "p_loo": self.p_loo, "rmse": self.rmse}


def leave_one_out_of_files(
    engine: Engine, hyper: HyperPosterior, source: Any, *, missing: str, **reading: Any
) -> FilesLeaveOneOut:
    """Score every row of files given all the others; see ``Posterior.loo_of_files``."""
    design = engine.design
    if design.tally is None:
        raise DataError(
            "leave-one-out of files goes with a posterior that was just made of them, posterior(path, ...); this one "
            "has its rows, or was loaded"
        )
    if reason := why_no_loo(replace(design, weights=None), hyper.nodes.noise.df):
        raise DataError(reason)
    files = source if isinstance(source, Files) else Files(source)
    table = open_files(files.path, files.drop)
    read = row_reader(table, **reading)
    start, lines, total, done = time.monotonic(), list[list[float]](), None, 0
    for _, batches in groupby(ahead(table.batches(read.needed)), key=lambda batch: batch.unit):
        first, unit = done, None
        for batch in batches:
            with in_place(batch):
                scores = _batch_scores(engine, hyper, read, batch, missing)
            unit = scores if unit is None else unit.merged(scores)
            done += len(batch.table)
        if unit is None or unit.n_obs == 0:
            continue
        total = unit if total is None else total.merged(unit)
        rmse = float(np.sqrt(unit.squares / unit.n_obs))
        lines.append([first, unit.n_obs, unit.elpd, unit.elpd / unit.n_obs, unit.p_loo, rmse])
        if files.progress is not None:
            files.progress(done, table.n_rows, done / max(time.monotonic() - start, 1e-9))
    if total is None:
        raise DataError(f"{table.files[0]} has no row that counts")
    _refuse_others(design, total.sums)
    if total.doubtful:
        warn(
            f"{total.doubtful} rows contradict the others so strongly that their densities, which are in the sums, "
            "have fewer digits; in memory they would be fitted without",
            AccuracyWarning,
        )
    return _result(lines, total)


def _result(lines: list[list[float]], total: _Scores) -> FilesLeaveOneOut:
    import pandas as pd

    n = total.n_obs
    names = ["first row", "observations", "elpd", "elpd of one", "p_loo", "RMSE"]
    table = pd.DataFrame(lines, columns=names).astype({"first row": int})
    se = float(np.sqrt(n * total.spread / max(n - 1.0, 1.0)))
    rmse = float(np.sqrt(total.squares / n))
    return FilesLeaveOneOut(table, n, total.elpd, se, total.p_loo, rmse, total.pit, total.doubtful)


def _batch_scores(engine: Engine, hyper: HyperPosterior, read: Rows, batch: Batch, missing: str) -> _Scores:
    columns, y, w = read(batch)
    if columns.names != engine.design.names:
        raise DataError(f"the columns {columns.names} are not those of the fit, {engine.design.names}")
    X = columns.values
    gaps = np.isnan(X).any(axis=1) | np.isnan(y) | (False if w is None else np.isnan(w))
    if gaps.any():
        if missing != "drop":
            raise DataError(f"{np.count_nonzero(gaps)} rows have missing values: missing='drop' leaves them out")
        X, y, w = X[~gaps], y[~gaps], None if w is None else w[~gaps]
    total = _part_scores(engine, hyper, X[:0], y[:0], None if w is None else w[:0])
    for k in range(0, len(y), _ROWS):
        part = slice(k, k + _ROWS)
        total = total.merged(_part_scores(engine, hyper, X[part], y[part], None if w is None else w[part]))
    return total


def _part_scores(engine: Engine, hyper: HyperPosterior, X: Array, y: Array, w: Array | None) -> _Scores:
    if len(y) == 0:
        return _Scores(0.0, 0.0, 0.0, 0.0, 0.0, np.zeros(_BINS), 0, np.zeros(X.shape[1] + 3))
    part = engine.design.part(X, y, w)
    own: Any = engine
    loo = leave_one_out(replace(own, design=part), hyper, None)
    seen, mixture = loo.count > 0, loo.mixture
    count, terms = loo.count[seen], loo.pointwise[seen]
    n, error = float(count.sum()), (y - mixture.mean)[seen]
    centre = float(count @ terms) / n if n else 0.0
    pit = np.bincount(np.minimum(mixture.pit(y)[seen] * _BINS, _BINS - 1).astype(np.intp), count, _BINS)
    v = np.ones(len(y)) if w is None else w
    sums = np.concatenate([v @ (X - part.mean), [v @ (y - part.y_mean), v @ np.square(y - part.y_mean), v.sum()]])
    return _Scores(
        n, float(count @ terms), float(count @ np.square(terms - centre)),
        float(count @ (loo.log_density[seen] - terms)), float(count @ np.square(error)), pit,
        int(np.count_nonzero(loo.refitted)), sums,
    )  # fmt: skip


def _refuse_others(design: Design, sums: Array) -> None:
    """Refuse files that hold other rows than the fit had: by the sums of weights, columns, target and its squares."""
    *of_columns, of_y, squares, weight = sums
    same = abs(weight / design.total_weight - 1.0) < _SAME
    if design.fit_intercept and same:
        away = np.abs(of_columns) / design.scale / weight
        away[design.constant] = 0.0
        variance = squares / weight
        same = bool((away < _SAME).all()) and (variance == 0.0 or abs(of_y) < _SAME * weight * np.sqrt(variance))
    if design.cross is not None and design.fit_intercept and same:
        same = abs(squares - design.cross[-1, -1]) <= _SAME * max(squares, 1e-300)
    if not same:
        raise DataError(
            "these are not the rows of the fit: their sums differ from what was added up, because a file changed "
            "between the passes, or weights, offset or missing are not those of the fit"
        )
