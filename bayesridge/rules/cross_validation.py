"""Cross-validation as a rule for lambda: any splitter, lambda continuous, scaling refitted in every training fold.

The loss as a function of lambda is that of :mod:`bayesridge.rules.fold_losses`.

The chosen lambda is *not* rescaled from the size of a training fold to that of the table. lambda = sigma^2 / tau^2 on
columns of unit standard deviation is a ratio of two variances, neither of which depends on the number of rows. (The
penalty of a criterion that is divided by n would scale; this one belongs to a sum of squares.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design
from bayesridge.linalg.threads import threads_for
from bayesridge.rules.fold_losses import CrossValidatedLoss, Loss, choice_of_losses
from bayesridge.rules.fold_moments import FoldMoments, fold_moments, moments_serve
from bayesridge.rules.held_out import HeldOut, split_fit
from bayesridge.rules.rule import Choice, LambdaProblem
from bayesridge.rules.subsets import Rows


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
        for k, (train, test) in enumerate(split_rows(design, self._splitters(), self.groups), start=1):
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
        splitters = self._splitters()
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
            splits = list(split_rows(design, self._splitters(), self.groups))
        except DataError:
            return False
        return not any(np.isin(labels[test], labels[train]).any() for train, test in splits)

    def _splitters(self) -> list[Any]:
        if not isinstance(self.folds, Integral):
            return [self.folds]
        from sklearn.model_selection import GroupKFold, KFold

        kind = KFold if self.groups is None else GroupKFold
        more = np.random.SeedSequence(self.random_state).generate_state(self.repeats - 1)
        seeds = [self.random_state, *more.tolist()]
        return [kind(int(self.folds), shuffle=True, random_state=seed) for seed in seeds]

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda: the global minimum of the loss, or the one-standard-error rule."""
        with threads_for(problem.design.X.shape[1]):
            return choice_of_losses(self.key, self.losses(problem), one_standard_error=self.one_standard_error)


def split_rows(design: Design, splitters: Sequence[Any], groups: NDArray[Any] | None) -> Iterator[tuple[Rows, Rows]]:
    """Training and test rows of a design, one splitter after the other; rows of weight zero are on neither side.

    Parameters
    ----------
    design : Design
    splitters : sequence of scikit-learn splitters
    groups : ndarray of shape (n_rows,), optional
        One label for each row of the design, or of the table it came from.

    Raises
    ------
    DataError
        If a splitter and the rows do not fit together.
    """
    rows = np.arange(design.n_rows) if design.weights is None else np.flatnonzero(design.weights > 0)
    labels = None if groups is None else groups_of_rows(groups, design)[rows]
    X, y = (design.X, design.y) if len(rows) == design.n_rows else (design.X[rows], design.y[rows])
    for splitter in splitters:
        try:
            parts = list(splitter.split(X, y, labels))
        except ValueError as error:
            raise DataError(f"{type(splitter).__name__} cannot split these {len(rows)} rows: {error}") from error
        for train, test in parts:
            yield rows[train], rows[test]


def groups_of_rows(groups: NDArray[Any], design: Design) -> NDArray[Any]:
    """Groups of the design's rows, when those of the caller's table were given (rows may have been dropped)."""
    labels = np.asarray(groups)
    if design.kept is not None and len(labels) == len(design.kept):
        return labels[design.kept]
    if labels.shape != (design.n_rows,):
        raise DataError(f"groups must hold one label for each of {design.n_rows} rows, got shape {labels.shape}")
    return labels
