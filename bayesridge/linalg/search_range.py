"""Where in log lambda a criterion of a spectrum is looked at: outside nothing happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.linalg.filters import Squares

Array = NDArray[np.float64]

_MARGIN = 14.0  # beyond the last feature of the spectrum a criterion differs from its limit by exp(-14) at most
_LIMIT_MARGIN = 36.0  # and here by less than the rounding of float64
_STEP = 0.2


@dataclass(frozen=True, eq=False)
class SearchRange:
    """Where in log lambda a criterion is looked at.

    Attributes
    ----------
    grid : ndarray of shape (K,)
        Log lambda, equally spaced, from well below the smallest to well above the largest squared singular value (and
        below the lambda at which the penalty disappears behind the residual that no lambda can explain).
    zero, infinity : float
        Log lambda so far out that every criterion equals its limit for lambda -> 0 and -> infinity to rounding.
    """

    grid: Array
    zero: float
    infinity: float

    def log_lambda(self, lam: ArrayLike) -> Array:
        """Return log lambda, with the far ends in the place of lambda = 0 and infinity."""
        with np.errstate(divide="ignore"):
            t = np.log(np.asarray(lam, dtype=np.float64))
        return np.asarray(np.where(t == -np.inf, self.zero, np.where(t == np.inf, self.infinity, t)))

    def coarser(self) -> SearchRange:
        """Return the same range with fewer points: three times the step, and eight times near the ends."""
        low, high = float(self.grid[0]), float(self.grid[-1])
        inner_low, inner_high = low + 0.6 * _MARGIN, high - 0.6 * _MARGIN
        inner = np.linspace(inner_low, inner_high, int((inner_high - inner_low) / (3.0 * _STEP)) + 2)
        count = int(0.6 * _MARGIN / (8.0 * _STEP)) + 2
        low_tail, high_tail = np.linspace(low, inner_low, count)[:-1], np.linspace(inner_high, high, count)[1:]
        return SearchRange(np.concatenate([low_tail, inner, high_tail]), self.zero, self.infinity)


class Directions(Squares, Protocol):
    """What a search range is found from: these, z squared and r0."""

    @property
    def z2(self) -> Array: ...  # noqa: D102

    @property
    def r0(self) -> float: ...  # noqa: D102

    @property
    def rank(self) -> int: ...  # noqa: D102


def search_range(spectrum: Directions) -> SearchRange:
    """Find the range of log lambda outside of which nothing happens.

    Every term of every criterion is a function of ``f_j``, a sigmoid in log lambda around ``log s_j^2`` some four units
    wide, or of its ratio to the residual ``r0``, whose crossover lies where ``lambda sum z^2/s^2`` or
    ``lambda^2 sum z^2/s^4`` equals r0. A spectrum of rank zero has the range of a single s = 1.
    """
    if spectrum.rank == 0:
        low = high = 0.0
    else:
        low, high = float(np.log(spectrum.s2[-1])), float(np.log(spectrum.s2[0]))
        seen = spectrum.z2 > 0
        if spectrum.r0 > 0 and seen.any():
            log_r0, log_s2 = float(np.log(spectrum.r0)), np.log(spectrum.s2[seen])
            log_ratio = np.log(spectrum.z2[seen]) - log_s2  # logarithms: s^4 may overflow
            first = log_r0 - float(np.logaddexp.reduce(log_ratio))
            second = 0.5 * (log_r0 - float(np.logaddexp.reduce(log_ratio - log_s2)))
            low = min(low, first, second)
    low, high = low - _MARGIN, high + _MARGIN
    far = _LIMIT_MARGIN - _MARGIN
    return SearchRange(np.linspace(low, high, int((high - low) / _STEP) + 2), low - far, high + far)
