r"""Near-duplicate rows: twins that tell leave-one-out and GCV the answer.

When a row occurs twice, leaving one copy out leaves the other in. The held-out error is then the error of a fit that
has seen the noise it is to predict, and it falls as lambda does: leave-one-out, GCV and cross-validation that splits
twins undersmooth. Splits that keep twins together (``GroupKFold`` with the labels found here) repair it.

Twins agree in *every* column and in the target. How nearly is decided by how the table was written:

- columns (and target) written in coarse steps, more than a fiftieth of a standard deviation (categories, small counts,
  ages): exactly;
- written in finer steps (a fixed number of decimals): within one step, as one number rounded in two ways is;
- not rounded: within a thousandth of a standard deviation (and steps finer than that count as not rounded).

A ``tolerance`` replaces all of this by one number of standard deviations.

In a design with few distinct rows x the targets differ, and there are no twins. Where the target has few values too,
some rows agree by chance. How many is read off the pairs that agree in x: without copies the density of their
difference in y is smooth around zero, so as many pairs lie in a ring beyond the tolerance as within it, width for
width. A target in steps of more than half a standard deviation has no smooth density: there, of the pairs that agree in
x and that chance (the target's own distribution) would not explain, half have to agree in y. Where chance makes
pairs within the tolerance and those beyond chance are nearly all exact, only exact ones count. Agreements that are no
more than chance are called coincidence, and every row keeps a label of its own.

What is found has to exceed what the same search finds after values are permuted, twice over and by five roots of it: a
target of few values that looks finely written (zero for most rows, and some odd numbers) agrees by chance, and no
density shows it. Where *all* columns are coarse, rows agree in x as a matter of course, and a copy is a target that no
row with other predictors has; and no advice to drop rows is given. Over 1,080 simulated tables without copies (normal,
rounded, Poisson, zero-inflated and two-valued targets; continuous, discrete and mixed columns; 100 to 800 rows) there
was a false alarm in 7 (0.6%), 6 of them in discrete columns.

Cost: coarse columns are hashed, fine ones are projected onto a few random directions; a k-d tree over these and the
target gives the candidates, n log n in all, and every candidate is verified on all columns. Where there are more than
twenty million of them (a huge table of few columns) rows are near one another everywhere, and none are called twins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.posteriors.shown import Finding
from bayesridge.rules.row_matching import (
    MOST_CANDIDATES,
    SAME,
    Matches,
    Resolution,
    RowHash,
    TooManyPairsError,
    matching_rows,
    resolution,
    surely_distinct,
)

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

_COARSE = 0.02  # standard deviations: larger steps are categories rather than rounding
_CATEGORIES = 0.5  # and larger ones leave no smooth density
_UNROUNDED = 1e-3
_PERMUTATIONS = 9
_ONE_STEP = 1.0 + 1e-6  # a difference of exactly one step is one step and some rounding


@dataclass(frozen=True, eq=False, repr=False)
class NearDuplicates(Finding):
    """Which rows are twins.

    Attributes
    ----------
    groups : ndarray of int, shape (n_rows,)
        Labels for grouped cross-validation: the same for rows that are twins (or linked by twins), numbered from 0 in
        the order of first occurrence; all different where there are none.
    count : int
        Rows that have a twin.
    n_pairs : int
        Pairs of rows that agree in x and y (rows of weight zero left out).
    by_chance : float
        How many such pairs coincidence explains.
    n_rows : int
    discrete : bool
        Whether all columns are written in coarse steps: different observations then share their predictors.
    """

    groups: Labels
    count: int
    n_pairs: int
    by_chance: float
    n_rows: int
    discrete: bool = False

    @property
    def share(self) -> float:
        """Share of the rows that have a twin."""
        return self.count / self.n_rows

    @property
    def coincidence(self) -> bool:
        """Whether rows agree, but no more of them than by chance."""
        return self.n_pairs > 0 and self.count == 0

    @property
    def passed(self) -> bool:
        """Whether no row has a twin."""
        return self.count == 0

    @property
    def table(self) -> pd.DataFrame:
        """The group of each row."""
        import pandas as pd

        return pd.DataFrame({"group": self.groups})

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {"rows": self.count, "pairs": self.n_pairs, "pairs_by_chance": self.by_chance}

    @property
    def verdict(self) -> str:
        """One or two sentences for the analyst."""
        if self.n_pairs == 0:
            return "No two rows agree in all columns and the target."
        if self.n_pairs >= MOST_CANDIDATES:
            return "Too many rows are near one another for duplicates to be told from coincidence."
        if self.coincidence:
            return (
                f"{self.n_pairs} pairs of rows agree in all columns and the target, about what chance explains "
                f"({self.by_chance:.0f}) in a table with so few distinct values: not treated as duplicates."
            )
        chance = f" ({self.by_chance:.0f} of the {self.n_pairs} pairs by chance)" if self.by_chance >= 1 else ""
        return (
            f"{self.count} of {self.n_rows} rows ({100 * self.share:.3g}%) have a near-duplicate{chance}: "
            "leave-one-out, GCV and cross-validation that splits them see the answer, and choose lambda too small. "
            "Use grouped cross-validation with these groups (GroupKFold)"
            + ("." if self.discrete else ", or keep one row of each.")
        )


def find_near_duplicates(design: Design, tolerance: float | None = None) -> NearDuplicates:
    """Find rows that agree in all columns and the target.

    Parameters
    ----------
    design : Design
        Its columns as they are, unpenalised ones included; rows of weight zero have no twins. A frequency weight is a
        count of observations and not looked into.
    tolerance : float, optional
        Largest difference, in standard deviations of each column and of the target; by default decided from how the
        numbers are rounded (see the module's text).

    Returns
    -------
    NearDuplicates
    """
    if tolerance is not None and not tolerance >= 0:
        raise DataError(f"tolerance must be 0 or positive (standard deviations), got {tolerance}")
    rows = np.arange(design.n_rows) if design.weights is None else np.flatnonzero(design.weights > 0)
    columns = np.setdiff1d(np.arange(design.n_columns), design.constant)
    X, y = (design.X, design.y) if len(rows) == design.n_rows else (design.source.take(rows), design.y[rows])
    if len(columns) < X.shape[1]:
        X = X[:, columns]
    if surely_distinct(X, y, _COARSE if tolerance is None else max(tolerance, _UNROUNDED)):
        return NearDuplicates(np.arange(design.n_rows), 0, 0, 0.0, design.n_rows)
    view = _view(np.column_stack([X, y]), tolerance)
    try:
        verdict = _judge(view, tolerance)
    except TooManyPairsError:
        if tolerance is not None:
            raise
        # a huge table of few columns: rows are near one another everywhere
        return NearDuplicates(np.arange(design.n_rows), 0, MOST_CANDIDATES, float(MOST_CANDIDATES), design.n_rows)
    groups = len(rows) + np.arange(design.n_rows)  # rows of weight zero stay alone
    groups[rows] = verdict.labels
    first, number = np.unique(groups, return_index=True, return_inverse=True)[1:]
    count = int((np.bincount(verdict.labels)[verdict.labels] > 1).sum())
    return NearDuplicates(
        np.argsort(np.argsort(first))[number], count, verdict.n_pairs, verdict.by_chance, design.n_rows,
        bool(view.coarse[:-1].all()),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _View:
    """A table, the target last, and how it is written.

    Attributes
    ----------
    values : ndarray of shape (n, d)
    limits : ndarray of shape (d,)
        Largest difference that counts as agreement.
    coarse : ndarray of bool, shape (d,)
        Columns that have to agree exactly.
    same, same_x, cells : ndarray of int, shape (n,)
        Labels of rows that are the same: everywhere, in all predictors, in the coarse predictors.
    target : Resolution
    """

    values: Array
    limits: Array
    coarse: NDArray[np.bool_]
    same: Labels
    same_x: Labels
    cells: Labels
    target: Resolution


def _view(values: Array, tolerance: float | None) -> _View:
    n, d = values.shape
    same, cells = RowHash(n), RowHash(n)
    limits, coarse = np.empty(d), np.zeros(d, dtype=bool)
    same_x = same.labels()
    for j, column in enumerate(values.T):
        how = resolution(column)
        limits[j] = _limit(how, tolerance)
        coarse[j] = how.step > limits[j] * _ONE_STEP
        if j == d - 1:
            same_x = same.labels()
        elif coarse[j]:
            cells.add(how.codes)
        same.add(how.codes)
    return _View(values, limits, coarse, same.labels(), same_x, cells.labels(), how)


class _Verdict(NamedTuple):
    labels: Labels
    n_pairs: int
    by_chance: float


def _judge(view: _View, tolerance: float | None) -> _Verdict:
    """Decide which agreements are copies, and believe them where they exceed what permuted values give.

    Permuted is the finely written column with most values, or the target where all columns are coarse: half of the
    twins in x would still agree in a permuted target that is zero for most rows.
    """
    found, alone = _agreements(view), np.arange(len(view.values))
    if len(np.unique(found.labels)) == len(alone):
        return found
    agreements, found = found.n_pairs, _copies(view)
    few, fine = view.target.step > _CATEGORIES * view.target.sd, np.flatnonzero(~view.coarse[:-1])
    if few and not len(fine):
        return _Verdict(alone, found.n_pairs, float(found.n_pairs))
    column = max(fine, key=lambda k: len(np.unique(view.values[:, k]))) if len(fine) else -1
    rng, total = np.random.default_rng(20240229), 1.0  # one more than was seen: none of nine is not never
    for k in range(1, _PERMUTATIONS + 1):
        values = view.values.copy()
        values[:, column] = rng.permutation(values[:, column])
        total += _copies(_view(values, tolerance)).n_pairs
        enough = 2.0 * total / k + 5.0 * np.sqrt(total / k)
        if found.n_pairs > (10.0 if k < _PERMUTATIONS else 1.0) * enough:
            return found
    return _Verdict(alone, agreements, float(agreements))


def _copies(view: _View) -> _Verdict:
    """Agreements; among coarse columns alone, exact ones in a target that no row with other predictors has."""
    if not view.coarse[:-1].all() or view.target.step > _CATEGORIES * view.target.sd:
        return _agreements(view)
    n = len(view.values)
    pairs = np.unique(np.column_stack([view.target.codes, view.same_x]), axis=0)
    own = np.bincount(pairs[:, 0])[view.target.codes] == 1
    labels = np.unique(np.where(own, view.same, n + np.arange(n)), return_inverse=True)[1]
    size = np.bincount(labels)
    return _Verdict(labels, int((size * (size - 1) // 2).sum()), 0.0)


def _agreements(view: _View) -> _Verdict:
    """Decide which agreements are copies: those within the tolerance, the exact ones, or none."""
    ring = _ring(view.target, view.limits[-1])
    searched, coarse = view.limits.copy(), view.coarse.copy()
    searched[-1], coarse[-1] = ring.width, False
    found = matching_rows(view.values, searched, coarse, view.same, view.cells)
    target = view.values[np.unique(found.representative, return_index=True)[1], -1]
    inside = np.abs(target[found.first] - target[found.second]) <= view.limits[-1] * _ONE_STEP
    n_pairs, beyond = found.same + found.count(inside), found.count(~inside)
    chance = ring.inner_share * beyond
    if view.target.step > _CATEGORIES * view.target.sd:
        chance, believed = _agree_beyond_categories(view, n_pairs)
        labels = _components(found, inside) if believed else np.arange(len(view.values))
        return _Verdict(labels, n_pairs, chance)
    exactly = ring.exact_share * beyond
    # exact copies are enough where nearly all that chance does not explain is exact
    nearly_all = chance >= 1.0 and found.same - exactly > 0.8 * (n_pairs - chance)
    if _more_than_chance(found.same, exactly) and nearly_all:
        return _Verdict(found.representative, found.same, exactly)
    if _more_than_chance(n_pairs, chance):
        return _Verdict(_components(found, inside), n_pairs, chance)
    return _Verdict(np.arange(len(view.values)), n_pairs, chance)


def _more_than_chance(pairs: int, by_chance: float) -> bool:
    """Whether pairs are not coincidence.

    In simulated tables without copies (n = 300 to 5000, 1 to 6 binary columns, targets normal, exponential or Poisson
    rounded to 2 to 40 steps a standard deviation) pairs exceeded the estimate by up to a quarter: it takes the density
    for flat, and pairs share rows.
    """
    return bool(pairs > 1.25 * by_chance + 5.0 * np.sqrt(by_chance))


class _Ring(NamedTuple):
    """Differences of the target just beyond the tolerance.

    For each pair there chance makes `inner_share` pairs within the tolerance, and `exact_share` of no difference.
    """

    width: float
    inner_share: float
    exact_share: float


def _limit(how: Resolution, tolerance: float | None) -> float:
    if tolerance is not None:
        return tolerance * how.sd
    if how.step > _COARSE * how.sd:
        return 0.0
    return max(how.step if how.regular else 0.0, _UNROUNDED * how.sd)


def _ring(how: Resolution, limit: float) -> _Ring:
    if not np.isfinite(how.step):  # a constant target
        return _Ring(1.0, 0.0, 0.0)
    if how.step > limit * _ONE_STEP or (how.regular and how.step > 0.01 * limit):
        k = int(limit / how.step * _ONE_STEP)  # differences of -k ... k steps agree, those of k+1 ... 2k+1 are the ring
        return _Ring((2 * k + 1) * how.step, (2 * k + 1) / (2 * k + 2), 1 / (2 * k + 2))
    return _Ring(2.0 * limit, 1.0, SAME * how.sd / limit)


def _agree_beyond_categories(view: _View, n_pairs: int) -> tuple[float, bool]:
    """Pairs that agree by chance where the target has few values, and whether far more do (kappa of a half)."""
    predictors, limits = view.values.copy(), view.limits.copy()
    predictors[:, -1], limits[-1] = 0.0, 1.0
    coarse = view.coarse.copy()
    coarse[-1] = False
    in_x = matching_rows(predictors, limits, coarse, view.same_x, view.cells)
    candidates = in_x.same + in_x.count()
    probability = float(np.square(np.bincount(view.target.codes) / len(view.values)).sum())
    chance = candidates * probability
    return chance, n_pairs - chance > 0.5 * (candidates - chance)


def _components(matches: Matches, inside: NDArray[np.bool_]) -> Labels:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    m = len(matches.copies)
    first, second = matches.first[inside], matches.second[inside]
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(m, m))
    labels = np.asarray(connected_components(graph, directed=False)[1], dtype=np.intp)
    return labels[matches.representative]
