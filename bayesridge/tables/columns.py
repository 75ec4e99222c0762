"""Columns of numbers with their names and terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Terms(Mapping[str, tuple[str, ...]]):
    """Which columns each term of the model owns, in order; immutable, and can be pickled."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, tuple[str, ...]]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, term: str) -> tuple[str, ...]:
        """Return the columns of one term."""
        return self._columns[term]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the terms."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._columns)

    def __repr__(self) -> str:
        """Show the terms as a dictionary."""
        return f"Terms({self._columns!r})"


@dataclass(frozen=True, eq=False)
class Columns:
    """Predictors as numbers, with their names.

    Attributes
    ----------
    values : ndarray of shape (n, p)
        float64, in C or Fortran order; possibly the user's own array, so it is never written to.
        NaN marks a missing value.
    names : tuple of str
        Names of the p columns.
    named : bool
        False where the input had no names; they are then ``x0, x1, ...``.
    terms : mapping of str to tuple of str
        Columns of each term of a formula.  In a plain table each column is its own term.
    """

    values: Float
    names: tuple[str, ...]
    named: bool
    terms: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=8)
def unnamed(p: int) -> tuple[tuple[str, ...], Terms]:
    """Names and terms of p columns that came without names."""
    names = tuple(f"x{j}" for j in range(p))
    return names, own_terms(names)


def own_terms(names: Sequence[str]) -> Terms:
    """Return the terms of a plain table: each column is its own."""
    return Terms({name: (name,) for name in names})
