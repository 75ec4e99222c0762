"""The constant of Student's t."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

_MANY = 1e5


def log_t_constant(df: float | NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Log density of Student's t at zero, ``log Gamma((df + 1)/2) - log Gamma(df/2) - log(df pi) / 2``.

    Frequency weights make df the size of a population: at 3e14 the two logarithms are 5e15, and their rounding is 1.
    Stirling's series of their difference is ``-log(2 pi)/2 - 1/(4 df) + O(df^-3)``.
    """
    df = np.asarray(df, dtype=np.float64)
    few = np.minimum(df, _MANY)
    exact = gammaln(0.5 * (few + 1.0)) - gammaln(0.5 * few) - 0.5 * np.log(few * np.pi)
    return np.where(df < _MANY, exact, -0.5 * np.log(2.0 * np.pi) - 0.25 / np.maximum(df, _MANY))
