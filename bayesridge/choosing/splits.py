"""Shuffled K-fold splits, of rows or of whole groups, without an import of scikit-learn (which takes half a second).

They are the very splits of its ``KFold`` and ``GroupKFold`` with ``shuffle=True`` and the same seed: numbers do not
depend on who split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class ShuffledFolds:
    """Split rows into folds of nearly equal size.

    Attributes
    ----------
    folds : int
    random_state : int
    """

    folds: int
    random_state: int

    def get_n_splits(self, *_: Any) -> int:
        """Return the number of folds."""
        return self.folds

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002
        """Yield training and test rows of each fold, in increasing order.

        Raises
        ------
        ValueError
            If there are fewer rows than folds.
        """
        n = len(X)
        if self.folds > n:
            raise ValueError(f"{self.folds} folds need at least as many rows, got {n}")
        order = np.arange(n)
        np.random.RandomState(self.random_state).shuffle(order)
        for part in np.array_split(order, self.folds):
            yield _parts(n, part)


@dataclass(frozen=True)
class GroupedFolds:
    """Split groups into folds of nearly equal numbers of groups; rows of a group stay together.

    Attributes
    ----------
    folds : int
    random_state : int
    """

    folds: int
    random_state: int

    def get_n_splits(self, *_: Any) -> int:
        """Return the number of folds."""
        return self.folds

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002
        """Yield training and test rows of each fold, in increasing order.

        Raises
        ------
        ValueError
            If there are fewer groups than folds.
        """
        labels = np.unique(groups)
        if self.folds > len(labels):
            raise ValueError(f"{self.folds} folds need at least as many groups, got {len(labels)}")
        order = np.random.RandomState(self.random_state).permutation(labels)
        for part in np.array_split(order, self.folds):
            yield _parts(len(X), np.flatnonzero(np.isin(groups, part)))


def _parts(n: int, test: Rows) -> tuple[Rows, Rows]:
    chosen = np.zeros(n, dtype=bool)
    chosen[test] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
