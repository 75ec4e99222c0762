"""What the columns of a design are to every target: one decomposition, shared by all that is regressed on them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FlatPart:
    """The unpenalised columns beside the intercept, centred and scaled: Z (n x u).

    Attributes
    ----------
    on_predictors : ndarray of shape (u, p)
        Least-squares coefficients of the standardised penalised columns on Z.
    root_inverse : ndarray of shape (u, u)
        R with ``R R' = (Z' W Z)^-1``.
    """

    on_predictors: Array
    root_inverse: Array


@dataclass(frozen=True, eq=False)
class RowSpace:
    """V in two factors, ``V' = turn @ rows``: with many more columns than rows few answers need V itself.

    Attributes
    ----------
    rows : ndarray, or StandardRows, of shape (n_rows, p_penalized)
        The standardised, root-weighted rows, flat directions projected out.
    left : ndarray of shape (n_rows, rank)
        U.
    s : ndarray of shape (rank,)
    """

    rows: Any
    left: Array
    s: Array

    @property
    def turn(self) -> Array:
        """``diag(1/s) U'``, made when it is asked for: it is as large as U."""
        return np.asarray((self.left / self.s).T)


@dataclass(frozen=True, eq=False)
class Factor:
    """The immutable factorisation of the columns of a design; no target has a part in it.

    Attributes
    ----------
    s : ndarray of shape (rank,)
        Singular values, decreasing.
    right : ndarray of shape (p_penalized, rank), or RowSpace
        Right singular vectors, or what they are made from on demand: see :attr:`V`.
    nu : float
        Residual degrees of freedom, ``n_obs - q``.
    log_det_flat : float
        ``log det Z'WZ`` of the flat directions in the units of the data (``log n`` for an intercept alone).
    sum_log_weights : float
        Sum of the logarithms of positive precision weights (zero for frequency weights).
    n_obs, signal : float
        As in :class:`~bayesridge.design.design.Design`.
    flat : FlatPart or None
        Unpenalised columns beside the intercept.
    left : ndarray of shape (n_rows, rank) or None
        U, when the route yields it; otherwise it is made from the data when leave-one-out asks for it.
    route, reason : str
        How the decomposition was obtained, and why that way.
    dropped : int
        Directions below the rank tolerance ``max(n, p) * eps * s[0]``, treated as null directions of X.
    """

    s: Array
    right: Array | RowSpace
    nu: float
    log_det_flat: float
    sum_log_weights: float
    n_obs: float
    signal: float
    flat: FlatPart | None
    left: Array | None
    route: str
    reason: str
    dropped: int
    s2: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "s2", self.s * self.s)

    @property
    def rank(self) -> int:
        """Numerical rank of the projected, penalised columns."""
        return len(self.s)

    @property
    def condition(self) -> float:
        """``s[0] / s[-1]`` over the numerical rank."""
        return float(self.s[0] / self.s[-1]) if self.rank else 1.0

    @property
    def mean_square(self) -> float:
        """Mean of the squared singular values over the numerical rank."""
        return float(self.s2.mean())

    @property
    def n_features(self) -> int:
        """Number of penalised columns."""
        return self.right.rows.shape[1] if isinstance(self.right, RowSpace) else len(self.right)

    @cached_property
    def V(self) -> Array:  # noqa: N802
        """Right singular vectors, shape (p_penalized, rank)."""
        return (self.right.turn @ self.right.rows).T if isinstance(self.right, RowSpace) else self.right

    @cached_property
    def log_range(self) -> tuple[float, float]:
        """Log of the smallest and the largest squared singular value; zeros where there is none."""
        return (float(np.log(self.s2[-1])), float(np.log(self.s2[0]))) if self.rank else (0.0, 0.0)

    def formed(self) -> Factor:
        """The same with V made."""
        return replace(self, right=self.V)

    def shares(self, direction: int) -> Array:
        """The share of each penalised column in a direction, ``V_lj^2``: they add up to one."""
        return np.square(self.V[:, direction])

    def gram(self, columns: NDArray[np.intp]) -> Array:
        """Cross-products of some of the penalised columns, scaled and with the flat directions projected out."""
        V = self.V[columns]
        return np.asarray((V * self.s2) @ V.T)
