r"""The loss of rows left out, fold by fold, as a function of lambda; its minimum, and how sure that is.

A training fold is factorised once; its loss on the rows left out is then a function of lambda that costs O(rank) a row,
so lambda is searched over the whole line, not over a grid. With v_k the weight of the rows of test fold k,

    loss_k(lambda)   mean over the rows of fold k (weighted) of the squared error, or of the negative log score
    loss(lambda)     sum_k v_k loss_k / sum_k v_k: every observation counts the same, whatever the size of its fold
    se(lambda)       sqrt( [sum_k v_k (loss_k - loss)^2 / sum_k v_k] / (K - 1) )

(as glmnet computes them; for equal folds the plain mean, and the standard deviation over folds divided by sqrt(K)).
Repeated splits reuse the same rows, so they do not make ``se`` smaller: it is the root mean square over the repeats of
each repeat's own standard error. It ignores that training folds overlap, and no unbiased estimate exists (Bengio and
Grandvalet 2004): it is a yardstick for the one-standard-error rule, not a confidence statement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.filters import SearchRange, search_range
from bayesridge.linalg.optimum import Curve, Optima, Optimum, minimize, root
from bayesridge.rules.fold_moments import FoldMoments
from bayesridge.rules.held_out import HeldOut
from bayesridge.rules.percentiles import central_range
from bayesridge.rules.rule import Choice, LambdaInterval

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


def choice_of_losses(key: str, losses: CrossValidatedLoss, *, one_standard_error: bool = False) -> Choice:
    """Turn a cross-validated loss into a choice.

    Parameters
    ----------
    key : str
        Of the rule.
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
    return Choice(key, best, others, interval, "; ".join([note for note in notes if note]))


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
