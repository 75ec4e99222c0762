"""Stacks of positive definite matrices: many small ones together, large ones one at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrs

Array = NDArray[np.float64]

_SMALL = 40  # columns


def cholesky_of_each(M: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Lower triangles of a stack of matrices, the identity where one is not positive definite to rounding.

    Only the lower triangles of the matrices are looked at.
    """
    regular = np.ones(len(M), dtype=bool)
    try:
        return np.linalg.cholesky(M), regular
    except np.linalg.LinAlgError:
        L = np.empty_like(M)
        for k, one in enumerate(M):
            try:
                L[k] = np.linalg.cholesky(one)
            except np.linalg.LinAlgError:
                L[k], regular[k] = np.eye(len(one)), False
        return L, regular


def solve_of_each(L: Array, right: Array) -> Array:
    """``(L L')^-1 c`` for a stack of triangles and right sides c, (k, p)."""
    if right.shape[1] <= _SMALL:
        half = np.linalg.solve(L, right[..., None])
        return np.asarray(np.linalg.solve(np.swapaxes(L, 1, 2), half)[..., 0])
    return np.array([dpotrs(one, c, lower=1)[0] for one, c in zip(L, right, strict=True)])
