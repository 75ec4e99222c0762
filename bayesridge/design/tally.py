"""What is counted of rows that are added up and not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tally:
    """What is counted of rows beside sums of products.

    Attributes
    ----------
    n_rows, n_seen, n_dropped : int
        Rows used, those of positive weight, and rows left out for missing values.
    weight, square, log_weights, least, most : float
        Of positive weights: their sum, that of their squares and logarithms, the smallest and the largest.
    weighted, whole : bool
        Whether there are weights, and all are whole numbers.
    low, high : ndarray of shape (p + 1,)
        Range of the columns and of y, over rows of positive weight.
    """

    n_rows: int
    n_seen: int
    n_dropped: int
    weight: float
    square: float
    log_weights: float
    least: float
    most: float
    weighted: bool
    whole: bool
    low: Array
    high: Array

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.n_rows + other.n_rows, self.n_seen + other.n_seen, self.n_dropped + other.n_dropped,
            self.weight + other.weight, self.square + other.square, self.log_weights + other.log_weights,
            min(self.least, other.least), max(self.most, other.most), self.weighted or other.weighted,
            self.whole and other.whole, np.minimum(self.low, other.low), np.maximum(self.high, other.high),
        )  # fmt: skip

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What a file holds of it: counts, and the ranges."""
        counts = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("low", "high")}
        return counts, {"low": self.low, "high": self.high}

    @classmethod
    def from_state(cls, counts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Tally:
        """Make it of its state."""
        return cls(**counts, low=arrays["low"], high=arrays["high"])

    def fits(self, shape: tuple[int, int]) -> bool:
        """Whether it is of a table of this many rows and columns."""
        ranges = np.isfinite([self.low, self.high]).all()
        return self.n_rows == shape[0] and self.low.shape == self.high.shape == (shape[1] + 1,) and bool(ranges)
