r"""Cross-validation as a rule for lambda: any splitter, lambda continuous, scaling refitted in every training fold.

A training fold is factorised once; its loss on the rows left out is then a function of lambda that costs O(rank) a row,
so lambda is searched over the whole line, not over a grid. With v_k the weight of the rows of test fold k,

    loss_k(lambda)   mean over the rows of fold k (weighted) of the squared error, or of the negative log score
    loss(lambda)     sum_k v_k loss_k / sum_k v_k: every observation counts the same, whatever the size of its fold
    se(lambda)       sqrt( [sum_k v_k (loss_k - loss)^2 / sum_k v_k] / (K - 1) )

(as glmnet computes them; for equal folds the plain mean, and the standard deviation over folds divided by sqrt(K)).
Repeated splits reuse the same rows, so they do not make ``se`` smaller: it is the root mean square over the repeats of
each repeat's own standard error. It ignores that training folds overlap, and no unbiased estimate exists (Bengio and
Grandvalet 2004): it is a yardstick for the one-standard-error rule, not a confidence statement.

The chosen lambda is *not* rescaled from the size of a training fold to that of the table. lambda = sigma^2 / tau^2 on
columns of unit standard deviation is a ratio of two variances, neither of which depends on the number of rows. (The
penalty of a criterion that is divided by n would scale; this one belongs to a sum of squares.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.fold_moments import FoldMoments, fold_moments, moments_serve
from bayesridge.linalg.optimum import Curve, Optima, Optimum, minimize, root
from bayesridge.linalg.search_range import SearchRange, search_range
from bayesridge.parallel.threads import threads_for
from bayesridge.rules.folds import HeldOut, Rows, groups_of_rows, split_fit, split_rows
from bayesridge.rules.problem import Choice, LambdaInterval, LambdaProblem, central_range

Array = NDArray[np.float64]
Loss = Literal["squared", "log"]

#: Fewer repeats than this say too little about the tails of their scatter for an interval.
FEWEST_REPEATS = 20
_BLOCK_VALUES = 1 << 21


@dataclass(frozen=True, eq=False)
class CrossValidatedLoss:
    """The loss of the rows left out, as a function of lambda.

    Attributes
    ----------
    folds : tuple of HeldOut or FoldMoments
        In the splitter's order.
    repeats : int
        How many times the whole table was split; the folds come repeat by repeat.
    loss : {"squared", "log"}
        Mean squared error (units of y squared), or mean negative log predictive density (nats).
    weight : ndarray of shape (number of folds,)
        What each test fold counts: the sum of its weights ("squared") or its observations ("log").
    left_out : tuple of str
        Columns without spread in at least one training fold.
    """

    folds: tuple[HeldOut | FoldMoments, ...]
    repeats: int
    loss: Loss
    weight: Array
    left_out: tuple[str, ...] = ()

    @property
    def n_folds(self) -> int:
        """Folds in one repeat."""
        return len(self.folds) // self.repeats

    def by_fold(self, lam: ArrayLike) -> Array:
        """Loss of each fold, shape lam.shape + (number of folds,)."""
        if self.loss == "squared":
            return np.stack([fold.squared_error(lam) for fold in self.folds], axis=-1)
        return np.stack([_rows(fold).negative_log_score(lam) for fold in self.folds], axis=-1)

    def mean(self, lam: ArrayLike) -> Array:
        """Loss over all folds and repeats, shape of lam."""
        return np.asarray(self.by_fold(lam) @ (self.weight / self.weight.sum()))

    def standard_error(self, lam: ArrayLike) -> Array:
        """Standard error over the folds of a repeat (see the module's text), shape of lam."""
        losses = self.by_fold(lam)
        mean = np.repeat(self._over_repeats(losses), self.n_folds, axis=-1)
        variance = self._over_repeats(np.square(losses - mean)) / (self.n_folds - 1)
        return np.asarray(np.sqrt(variance.mean(axis=-1)))

    def _over_repeats(self, values: Array) -> Array:
        """Weighted mean over the folds of each repeat: shape (..., number of folds) to (..., repeats)."""
        weight = self.weight.reshape(self.repeats, self.n_folds)
        share = weight / weight.sum(axis=1, keepdims=True)
        folded = values.reshape(*values.shape[:-1], self.repeats, self.n_folds)
        return np.asarray((folded * share).sum(axis=-1))

    def curve(self, log_lam: Array) -> Curve:
        """:meth:`mean` and its derivative at K values of log lambda."""
        value, slope = self.fold_curves(log_lam)
        share = self.weight / self.weight.sum()
        return Curve(value @ share, slope @ share)

    def fold_curves(self, log_lam: Array) -> tuple[Array, Array]:
        """Loss of each fold and its derivative in log lambda, each of shape (K, number of folds)."""
        value, slope = np.empty((2, len(log_lam), len(self.folds)))
        for k, fold in enumerate(self.folds):
            squared = self.loss == "squared"
            curve = fold.squared_error_curve if squared else _rows(fold).negative_log_score_curve
            size = max(1, _BLOCK_VALUES // (max(len(fold.y), 1) if isinstance(fold, HeldOut) else fold.spectrum.rank))
            for start in range(0, len(log_lam), size):
                part = slice(start, start + size)
                value[part, k], slope[part, k] = curve(log_lam[part])
        return value, slope

    @cached_property
    def search_range(self) -> SearchRange:
        """Where in log lambda anything happens in any fold."""
        ranges = [search_range(fold.spectrum) for fold in self.folds]
        low, high = min(one.grid[0] for one in ranges), max(one.grid[-1] for one in ranges)
        step = float(ranges[0].grid[1] - ranges[0].grid[0])
        grid = np.linspace(low, high, int((high - low) / step) + 2)
        return SearchRange(grid, min(one.zero for one in ranges), max(one.infinity for one in ranges))

    @cached_property
    def scan(self) -> tuple[Array, Array]:
        """:meth:`fold_curves` on the grid of :attr:`search_range`."""
        return self.fold_curves(self.search_range.grid)

    def minimize(self) -> Optima:
        """Find every local minimum of the loss over lambda in [0, infinity]."""
        share = self.weight / self.weight.sum()
        value, slope = self.scan
        return minimize(self.curve, self.search_range, Curve(value @ share, slope @ share))

    def one_repeat(self, r: int) -> CrossValidatedLoss:
        """Return the loss over one of the repeats."""
        part = slice(r * self.n_folds, (r + 1) * self.n_folds)
        one = replace(self, folds=self.folds[part], repeats=1, weight=self.weight[part])
        # what is known need not be computed again
        one.__dict__["search_range"] = self.search_range
        one.__dict__["scan"] = (self.scan[0][:, part], self.scan[1][:, part])
        return one


def _rows(fold: HeldOut | FoldMoments) -> HeldOut:
    if isinstance(fold, HeldOut):
        return fold
    raise TypeError("cross-products of held-out rows know their squared error alone")


def choice_of_losses(losses: CrossValidatedLoss, *, one_standard_error: bool = False) -> Choice:
    """Turn a cross-validated loss into a choice.

    Parameters
    ----------
    losses : CrossValidatedLoss
    one_standard_error : bool
        Choose the largest lambda whose loss is within one standard error of the smallest.

    Returns
    -------
    Choice
        Its score is the loss. With at least 20 repeats its interval is the central 95% of the repeats' own choices,
        ends at choices that occurred: the scatter of splitting alone, which says nothing about other rows.
    """
    optima = losses.minimize()
    best, others = optima.best, optima.others
    notes = [f"score: {_SCORES[losses.loss]} over {len(losses.folds)} test folds", optima.note]
    if losses.left_out:
        notes.append(f"left out of some training folds, where they have no spread: {', '.join(losses.left_out)}")
    if one_standard_error:
        best = one_standard_error_choice(losses, optima.best)
        both = {one.lam: one for one in (optima.best, *others) if one.lam != best.lam}
        others = tuple([both[lam] for lam in sorted(both)])
        notes.append(f"smallest loss {optima.best.score:.6g} at lambda {optima.best.lam:.4g}")
    interval = None
    if losses.repeats > 1:
        chosen = choices_by_repeat(losses, one_standard_error=one_standard_error)
        if losses.repeats >= FEWEST_REPEATS:
            low, high = central_range(chosen, 0.95)
            kind = f"central 95% of {losses.repeats} repeated splits (scatter of splitting alone)"
            interval = LambdaInterval(low, high, 0.95, kind)
        else:
            notes.append(f"the {losses.repeats} repeats alone choose {chosen.min():.4g} to {chosen.max():.4g}")
    return Choice(best, others, interval, "; ".join([note for note in notes if note]))


def choices_by_repeat(losses: CrossValidatedLoss, *, one_standard_error: bool = False) -> Array:
    """Lambda as each repeat alone would choose it, shape (repeats,)."""
    chosen = []
    for r in range(losses.repeats):
        one = losses.one_repeat(r)
        best = one.minimize().best
        chosen.append(one_standard_error_choice(one, best).lam if one_standard_error else best.lam)
    return np.array(chosen)


def one_standard_error_choice(losses: CrossValidatedLoss, minimum: Optimum) -> Optimum:
    """Find the largest lambda whose loss is at most the minimum plus the standard error there.

    Raises
    ------
    DataError
        If there is one fold only, and so no standard error.
    """
    if losses.n_folds < 2:
        raise DataError("one test fold has no standard error over folds: use at least two, or one_standard_error=False")
    limit = minimum.score + float(losses.standard_error(minimum.lam))
    at_infinity = float(losses.mean(np.inf))
    if minimum.place == "infinity" or at_infinity <= limit:
        return Optimum(np.inf, "infinity", at_infinity)
    where = losses.search_range
    grid = np.concatenate([[where.zero], where.grid, [where.infinity]])
    value = losses.curve(grid).value
    # the last crossing of the limit lies behind the last point below it (or behind the minimum, between two points)
    last = int(np.flatnonzero(value <= limit).max(initial=-1))
    low = max(grid[last] if last >= 0 else -np.inf, float(where.log_lambda(minimum.lam)))
    high = float(grid[grid > low][0])
    t = root(lambda x: losses.curve(x).value - limit, low, high)
    return Optimum(float(np.exp(t)), "interior", float(losses.mean(np.exp(t))))


_SCORES = {"squared": "mean squared error", "log": "mean negative log predictive density"}


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Cross-validation as a rule for lambda.

    Parameters
    ----------
    folds : int or scikit-learn splitter
        A number of folds (the splits of scikit-learn's shuffled ``KFold``; of ``GroupKFold`` when there are groups), or
        anything with ``split(X, y, groups)``, as ``TimeSeriesSplit(5)`` or ``LeaveOneGroupOut()``.
    repeats : int
        How often an integer number of folds is split anew; a splitter brings its own.
    groups : ndarray of shape (rows of the table,), optional
        Rows of one group are never on both sides of a split.
    loss : {"squared", "log"}
        Squared error, or the negative log predictive density with sigma integrated.
    one_standard_error : bool
        Choose the largest lambda whose loss is within one standard error of the smallest loss (standard error at the
        minimum, over folds), instead of the minimum itself.
    random_state : int
        Seed of the splits when `folds` is an integer.
    name : str, optional
        Key, where the one made from the settings is not unique.
    """

    folds: Any = 5
    repeats: int = 1
    groups: NDArray[Any] | None = None
    loss: Loss = "squared"
    one_standard_error: bool = False
    random_state: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        if self.loss not in ("squared", "log"):
            raise DataError(f"loss must be 'squared' or 'log', got {self.loss!r}")
        if isinstance(self.folds, Integral):
            if self.folds < 2 or self.repeats < 1:
                raise DataError(f"at least 2 folds and 1 repeat are needed, got {self.folds} and {self.repeats}")
        elif not (hasattr(self.folds, "split") and hasattr(self.folds, "get_n_splits")):
            raise DataError(f"folds must be an integer or a scikit-learn splitter, got {self.folds!r}")
        elif self.repeats != 1:
            raise DataError("repeats belongs to an integer number of folds; give a splitter that repeats instead")

    @property
    def key(self) -> str:
        """Short name, as "cv5", "cv5x10", "cv5_grouped_log_1se"."""
        if self.name is not None:
            return self.name
        if isinstance(self.folds, Integral):
            head = f"cv{self.folds}" + (f"x{self.repeats}" if self.repeats > 1 else "")
            head += "_grouped" if self.groups is not None else ""
        else:
            head = f"cv_{type(self.folds).__name__.lower()}"
        return head + ("_log" if self.loss == "log" else "") + ("_1se" if self.one_standard_error else "")

    @property
    def label(self) -> str:
        """Name for tables and pictures."""
        if isinstance(self.folds, Integral):
            head = f"{self.folds}-fold {'grouped ' if self.groups is not None else ''}cross-validation"
            head += f", {self.repeats} repeats" if self.repeats > 1 else ""
        else:
            head = f"cross-validation by {type(self.folds).__name__}"
        head += ", log score" if self.loss == "log" else ""
        return head + (", one standard error" if self.one_standard_error else "")

    def restricted_to(self, design: Design, rows: Rows) -> CrossValidation:
        """Return the same rule for a table that consists of these rows of a design."""
        return self if self.groups is None else replace(self, groups=groups_of_rows(self.groups, design)[rows])

    def losses(self, problem: LambdaProblem) -> CrossValidatedLoss:
        """Fit every training fold; what comes back is the loss as a function of lambda.

        Raises
        ------
        DataError
            If the splitter and the rows do not fit together, or a training fold cannot be fitted; the text says which.
        """
        return self.losses_of(problem.design)

    def losses_of(self, design: Design) -> CrossValidatedLoss:
        """As :meth:`losses`, from the data alone."""
        repeats = self.repeats if isinstance(self.folds, Integral) else int(getattr(self.folds, "n_repeats", 1))
        fast = self._from_moments(design)
        if fast is not None:
            weight = np.array([fold.weight for fold in fast])
            return CrossValidatedLoss(tuple(fast), repeats, self.loss, weight)
        folds: list[HeldOut] = []
        constant: set[int] = set()
        for k, (train, test) in enumerate(split_rows(design, self.splitters(), self.groups), start=1):
            try:
                fold = split_fit(design, train, test)
            except DataError as error:
                raise DataError(f"training fold {k} ({len(train)} rows) of {self.label}: {error}") from error
            folds.append(fold)
            constant.update(fold.left_out)
        weight = np.array([float((f.weight if self.loss == "squared" else f.count).sum()) for f in folds])
        names = tuple([design.names[j] for j in sorted(constant - set(design.constant.tolist()))])
        return CrossValidatedLoss(tuple(folds), repeats, self.loss, weight, names)

    def _from_moments(self, design: Design) -> list[FoldMoments] | None:
        """Fit all folds of a large table from cross-products, where those serve (None where they do not)."""
        if not isinstance(self.folds, Integral) or self.loss != "squared":
            return None
        splitters = self.splitters()
        if not moments_serve(design, int(self.folds) * len(splitters)):
            return None
        found: list[FoldMoments] = []
        for splitter in splitters:
            folds = fold_moments(design, [test for _, test in split_rows(design, [splitter], self.groups)])
            if folds is None:
                return None
            found += folds
        return found

    def keeps_together(self, design: Design, labels: Rows) -> bool:
        """Whether no split has rows of one label on both sides (``NearDuplicates.groups``: rows that are twins)."""
        try:
            splits = list(split_rows(design, self.splitters(), self.groups))
        except DataError:
            return False
        return not any(np.isin(labels[test], labels[train]).any() for train, test in splits)

    def splitters(self) -> list[Any]:
        """Return scikit-learn splitters, one a repeat."""
        if not isinstance(self.folds, Integral):
            return [self.folds]
        from sklearn.model_selection import GroupKFold, KFold

        kind = KFold if self.groups is None else GroupKFold
        more = np.random.SeedSequence(self.random_state).generate_state(self.repeats - 1)
        seeds = [self.random_state, *more.tolist()]
        return [kind(int(self.folds), shuffle=True, random_state=seed) for seed in seeds]

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda: the global minimum of the loss, or the one-standard-error rule."""
        with threads_for(problem.design.n_columns):
            # a problem without a spectrum scores its own folds
            own: Callable[[CrossValidation], Choice] | None = getattr(problem, "cross_validate", None)
            if own is not None:
                return own(self)
            return choice_of_losses(self.losses(problem), one_standard_error=self.one_standard_error)
