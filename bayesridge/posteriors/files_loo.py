"""Exact leave-one-out of rows that were added up from files: a second pass, in which each row meets the whole fit.

The parts of a row in leave-one-out (its residual, its leverage) need the row and the decomposition of all rows, and
nothing of the other rows. What is kept is a line for each unit of the files (a row group, a run of blocks of a CSV).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.accumulate import Files, ahead
from bayesridge.engines.engine import Engine
from bayesridge.errors import AccuracyWarning, DataError, warn
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.posteriors.loo import LeaveOneOut, leave_one_out, why_no_loo
from bayesridge.posteriors.shown import Shown
from bayesridge.posteriors.written import check_ending, refuse_own_source, write_rows
from bayesridge.tables.batches import Batch, in_place, open_files
from bayesridge.tables.streamed import row_reader

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
        if not len(self.sums):
            return other
        n = self.n_obs + other.n_obs
        if min(self.n_obs, other.n_obs) == 0:
            apart = 0.0
        else:
            apart = (self.elpd / self.n_obs - other.elpd / other.n_obs) ** 2 * self.n_obs * other.n_obs / n
        both: Any = zip(self, other, strict=True)
        found = [one + two for one, two in both]
        return _Scores(*found)._replace(spread=self.spread + other.spread + apart)


_NOTHING = _Scores(0.0, 0.0, 0.0, 0.0, 0.0, np.zeros(_BINS), 0, np.zeros(0))


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
    engine: Engine, hyper: HyperPosterior, source: Any, *, missing: str, out: str | Path | None, **reading: Any
) -> FilesLeaveOneOut:
    """Score every row of files given all the others; see ``Posterior.loo_of_files``."""
    design = engine.design
    if design.has_rows or (design.tally is None and design.n_rows <= design.n_columns):
        has = (
            "has its rows, .loo" if design.has_rows else "has as few rows as columns: save it with rows=True, and .loo"
        )
        raise DataError(f"leave-one-out of files is for a posterior without rows; this one {has} is its leave-one-out")
    if reason := why_no_loo(replace(design, weights=None), hyper.nodes.noise.df):
        raise DataError(reason)
    files = source if isinstance(source, Files) else Files(source)
    if out is not None:
        refuse_own_source(out, files)
        check_ending(Path(out))
    found = _Pass(engine, hyper, files, missing, reading)
    if out is None:
        for _ in found.parts():
            pass
    else:
        write_rows(out, (_frame(part) for part in found.parts()))
    total = found.total
    if total.doubtful:
        warn(
            f"{total.doubtful} rows contradict the others so strongly that their densities, which are in the sums, "
            "have fewer digits; in memory they would be fitted without",
            AccuracyWarning,
        )
    return _result(found.lines, total)


class _Part(NamedTuple):
    """Some rows: where they stand in the files, and what each is given the others."""

    row: NDArray[np.intp]
    y: Array
    loo: LeaveOneOut


def _frame(part: _Part) -> pd.DataFrame:
    import pandas as pd

    mixture = part.loo.mixture
    columns = {"y": part.y, "mean": mixture.mean, "pit": mixture.pit(part.y), "elpd": part.loo.pointwise}
    unseen = part.loo.count == 0
    columns["pit"] = np.where(unseen, np.nan, columns["pit"])
    return pd.DataFrame(columns | {"doubtful": part.loo.refitted}, index=part.row)


class _Pass:
    """One pass over files, that scores rows and adds the scores up."""

    def __init__(
        self, engine: Engine, hyper: HyperPosterior, files: Files, missing: str, reading: Mapping[str, Any]
    ) -> None:
        self.engine, self.hyper, self.files, self.missing = engine, hyper, files, missing
        self.table = open_files(files.path, files.drop)
        self.read = row_reader(self.table, **reading)
        self.lines: list[list[float]] = []
        self.total = _NOTHING

    def parts(self) -> Iterator[_Part]:
        """Score all rows; at the end refuse those that were not of the fit."""
        start, done = time.monotonic(), 0
        following = ahead(self.table.batches(self.read.needed, width=self.read.width))
        for _, batches in groupby(following, key=lambda batch: batch.unit):
            first, unit = done, _NOTHING
            for batch in batches:
                with in_place(batch):
                    X, y, w, kept = self._rows(batch)
                    for k in range(0, len(y), _ROWS):
                        some = slice(k, k + _ROWS)
                        part, scores = self._scored(X[some], y[some], None if w is None else w[some])
                        unit = unit.merged(scores)
                        yield _Part(done + kept[some], y[some], part)
                done += len(batch.table)
            if unit.n_obs == 0:
                continue
            self.total = self.total.merged(unit)
            rmse = float(np.sqrt(unit.squares / unit.n_obs))
            self.lines.append([first, unit.n_obs, unit.elpd, unit.elpd / unit.n_obs, unit.p_loo, rmse])
            if self.files.progress is not None:
                self.files.progress(done, self.table.n_rows, done / max(time.monotonic() - start, 1e-9))
        if self.total.n_obs == 0:
            raise DataError(f"{self.table.files[0]} has no row that counts")
        _refuse_others(self.engine, self.total.sums)

    def _rows(self, batch: Batch) -> tuple[Array, Array, Array | None, NDArray[np.intp]]:
        columns, y, w = self.read(batch)
        if columns.names != self.engine.design.names:
            raise DataError(f"the columns {columns.names} are not those of the fit, {self.engine.design.names}")
        X = columns.values
        gaps = np.isnan(X).any(axis=1) | np.isnan(y) | (False if w is None else np.isnan(w))
        kept = np.flatnonzero(~gaps)
        if len(kept) < len(gaps):
            if self.missing != "drop":
                raise DataError(f"{np.count_nonzero(gaps)} rows have missing values: missing='drop' leaves them out")
            X, y, w = X[kept], y[kept], None if w is None else w[kept]
        return X, y, w, kept

    def _scored(self, X: Array, y: Array, w: Array | None) -> tuple[LeaveOneOut, _Scores]:
        part = self.engine.design.part(X, y, w)
        own: Any = self.engine
        loo = leave_one_out(replace(own, design=part), self.hyper, None)
        seen, mixture = loo.count > 0, loo.mixture
        count, terms = loo.count[seen], loo.pointwise[seen]
        n, error = float(count.sum()), (y - mixture.mean)[seen]
        centre = float(count @ terms) / n if n else 0.0
        pit = np.bincount(np.minimum(mixture.pit(y)[seen] * _BINS, _BINS - 1).astype(np.intp), count, _BINS)
        v, away = np.ones(len(y)) if w is None else w, X - part.mean
        of_y = np.array([v @ (y - part.y_mean), v @ np.square(y - part.y_mean), v.sum()])
        return loo, _Scores(
            n, float(count @ terms), float(count @ np.square(terms - centre)),
            float(count @ (loo.log_density[seen] - terms)), float(count @ np.square(error)), pit,
            int(np.count_nonzero(loo.refitted)), np.concatenate([v @ away, v @ np.square(away), of_y]),
        )  # fmt: skip


def _result(lines: list[list[float]], total: _Scores) -> FilesLeaveOneOut:
    import pandas as pd

    n = total.n_obs
    names = ["first row", "observations", "elpd", "elpd of one", "p_loo", "RMSE"]
    table = pd.DataFrame(lines, columns=names).astype({"first row": int})
    se = float(np.sqrt(n * total.spread / max(n - 1.0, 1.0)))
    rmse = float(np.sqrt(total.squares / n))
    return FilesLeaveOneOut(table, n, total.elpd, se, total.p_loo, rmse, total.pit, total.doubtful)


def _refuse_others(engine: Engine, sums: Array) -> None:
    """Refuse files with other rows than the fit had: by the sums of weights, of columns and target, and of squares."""
    design, spectrum = engine.design, engine.spectrum
    p = design.n_columns
    of_columns, squares, (of_y, of_squares, weight) = sums[:p], sums[p : 2 * p], sums[2 * p :]
    same = abs(weight / design.total_weight - 1.0) < _SAME
    moving = np.setdiff1d(np.arange(p), design.constant)
    if design.fit_intercept and same:
        variance = of_squares / weight
        same = bool((np.abs(of_columns) / design.scale / weight < _SAME)[moving].all())
        same &= variance == 0.0 or abs(of_y) < _SAME * weight * np.sqrt(variance)
        if design.scaling == "unit sd":  # all that a loaded model knows of squares
            same &= bool((np.abs(squares / weight / design.scale**2 - 1.0)[moving] < 10.0 * _SAME).all())
        known = None if design.cross is None else design.cross[-1, -1]
        if known is None and spectrum is not None and not len(design.unpenalized):
            known = spectrum.total_squares
        if known is not None:
            same &= bool(abs(of_squares - known) <= 10.0 * _SAME * max(of_squares, 1e-300))
    if not same:
        raise DataError(
            "these are not the rows of the fit: their sums differ from what was added up, because a file changed "
            "between the passes, or weights, offset or missing are not those of the fit"
        )
