r"""One decomposition, from which every function of lambda costs O(rank).

With the columns centred, scaled and multiplied by root weights, and the flat directions Z (intercept and
unpenalised columns) projected out of both sides,

    Xc = U diag(s) V',    z = U' yc,    r0 = |yc|^2 - |z|^2,    nu = n_obs - q.

Several ways lead there; which one ran, and why, is reported:

``gram``  eigenvectors of Xc'Xc (more rows than columns). Squares the condition number, so it is used only
          while that costs no more than about half the digits that are asked of it.
``svd``   Householder QR of [Z, X, y] and the SVD of its triangle (tall), or the SVD of Xc (wide): full accuracy.
``triangle``  the SVD of a triangle that the rows were added up to (files in batches): full accuracy.
``dual``  eigenvectors of the n x n matrix Xc Xc' (at least as many columns as rows); no p x p matrix is formed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import AccuracyWarning, ConstantTargetWarning, DataError, PerfectFitWarning, warn
from bayesridge.linalg.factor import Factor, RowSpace
from bayesridge.linalg.routes import (
    Factors,
    degrees_of_rows,
    dual_route,
    exact_route,
    gram_route,
    likely_rest,
    rounding_floor,
    weighted,
    weighted_target,
)
from bayesridge.parallel.threads import threads_for

Array = NDArray[np.float64]

Degenerate = Literal["", "perfect", "constant"]
_MOST_LOST = 1e-3  # posterior sds
_TIED = 1e-4  # of a singular value: z is expected to be as large, and digits of a file turn directions so near
_AS_LARGE = 1e-6  # of two sizes: which of them is the larger must not hang on rounding either


@dataclass(frozen=True, eq=False)
class Spectrum(Factor):
    """A factor and one target: the immutable factorisation of a design.

    Attributes
    ----------
    z : ndarray of shape (rank,)
        ``U' yc``.
    r0 : float
        ``|yc|^2 - |z|^2``: the residual sum of squares that no lambda can explain.
    on_flat : ndarray of shape (u,)
        Least-squares coefficients of y on the unpenalised columns beside the intercept.
    degenerate : {"", "perfect", "constant"}
        Whether the noise is below the rounding of y, see :func:`factorize`.
    """

    z: Array
    r0: float
    on_flat: Array
    degenerate: Degenerate = ""
    z2: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "z2", self.z * self.z)

    @property
    def coordinates(self) -> tuple[Array, Array, float]:
        """All that a model of one lambda knows of the data: s and z, each (rank,), and r0."""
        return self.s, self.z, self.r0

    @property
    def leaves_noise(self) -> bool:
        """Whether some of y is out of the columns' reach."""
        return self.r0 > 0.0

    @property
    def least_squares_variance(self) -> float:
        """Noise variance as least squares estimates it, ``r0 / (nu - rank)``; for ``nu > rank``."""
        return self.r0 / (self.nu - self.rank)

    @property
    def explained_squares(self) -> float:
        """``|z|^2``: what the columns explain at lambda = 0."""
        return float(self.z2.sum())

    @property
    def squared_norm(self) -> float:
        """``sum_j z_j^2 / s_j^2``: squared length of the least-squares coefficients, standardised columns."""
        return float((self.z2 / self.s2).sum())

    @property
    def total_squares(self) -> float:
        """``|yc|^2``, what is left of y when the flat directions are projected out."""
        return self.r0 + self.explained_squares


def join(factor: Factor, z: Array, r0: float, on_flat: Array, degenerate: Degenerate = "") -> Spectrum:
    """Put a target to a factor."""
    shared = {one.name: getattr(factor, one.name) for one in fields(Factor) if one.init}
    return Spectrum(**shared, z=z, r0=r0, on_flat=on_flat, degenerate=degenerate)


def without_target(factor: Factor) -> Spectrum:
    """A factor with a target of zeros: functionals of the coefficients, and what is free of y, depend on no target."""
    u = 0 if factor.flat is None else len(factor.flat.on_predictors)
    return join(factor, np.zeros(factor.rank), 1.0, np.zeros(u))


def aligned(spectrum: Spectrum) -> Spectrum:
    """The same spectrum with the directions that no data determine settled by the columns, not by rounding.

    Directions of equal singular values, as in an orthogonal experiment, may be turned among themselves: each in turn
    is the one nearest to the column that the others leave most of, so that orthogonal columns are their own directions.
    The sign of a direction is that of its columns' sum, the k-th counting 1 / k.
    """
    s, z, right = spectrum.s.copy(), spectrum.z.copy(), spectrum.right
    vectors = right.left.copy() if isinstance(right, RowSpace) else np.array(right)
    for tied in _ties(s):
        own = vectors[:, tied]  # of the rows, or of the columns
        turn = _towards_columns(((own / s[tied]).T @ right.rows).T if isinstance(right, RowSpace) else own)
        vectors[:, tied], z[tied] = vectors[:, tied] @ turn, turn.T @ z[tied]
        s[tied] = np.sqrt(np.square(s[tied]).mean())
    right = replace(right, left=vectors, s=s) if isinstance(right, RowSpace) else vectors
    first = 1.0 / np.arange(1, spectrum.n_features + 1)
    along = right.turn @ (right.rows @ first) if isinstance(right, RowSpace) else first @ right
    sign = np.where(along < 0.0, -1.0, 1.0)
    turned = replace(right, left=vectors * sign) if isinstance(right, RowSpace) else vectors * sign
    return replace(spectrum, s=s, right=turned, z=z * sign, left=None)


def _ties(s: Array) -> list[slice]:
    """Where several singular values, decreasing, are one for all that a model could tell of them."""
    ties, first = [], 0
    for k in range(1, len(s) + 1):
        if k == len(s) or s[k] < s[first] * (1.0 - _TIED):
            if k - first > 1:
                ties.append(slice(first, k))
            first = k
    return ties


def _towards_columns(V: Array) -> Array:
    """A rotation of orthonormal directions, (p, k), that takes each to the largest of the rows that are left."""
    rest, turn = V.copy(), np.empty((V.shape[1], V.shape[1]))
    for k in range(V.shape[1]):
        squares = np.square(rest).sum(axis=1)
        row = int(np.argmax(squares >= (1.0 - _AS_LARGE) * squares.max()))
        turn[:, k] = rest[row] / np.sqrt(squares[row])
        rest -= np.outer(rest @ turn[:, k], turn[:, k])
    return turn


def factorize(design: Design, route: Literal["auto", "gram", "svd", "dual"] = "auto") -> Spectrum:
    """Decompose a design.

    Parameters
    ----------
    design : Design
    route : {"auto", "gram", "svd", "dual"}
        "auto" takes the fast route for the shape and falls back to "svd" when it would cost digits. A named
        route is taken as asked, with an :class:`~bayesridge.errors.AccuracyWarning` where it loses digits.

    Returns
    -------
    Spectrum

    Warns
    -----
    ConstantTargetWarning, PerfectFitWarning
        If the target does not vary, or what X leaves of it is smaller than the rounding of its own float64
        values. There ``r0`` is set to that rounding, ``sum w (16 eps max|y|)^2``: the noise reported is then an
        upper bound for what the numbers can carry.

    Raises
    ------
    DataError
        If unpenalised columns are linearly dependent, or the route does not fit the shape.
    """
    if route not in ("auto", "gram", "svd", "dual"):
        raise DataError(f"route must be 'auto', 'gram', 'svd' or 'dual', got {route!r}")
    tall = design.cross is not None
    if route == "gram" and not tall:
        raise DataError(
            f"route 'gram' needs more rows than columns, got shape {design.source.shape}; use 'dual' or 'svd'"
        )
    if design.root is not None:
        return _finish(design, exact_route(design), "triangle", "rows were added up to a triangle")
    if route == "svd":
        return _finish(design, exact_route(design), "svd", "asked for")
    with threads_for(design.n_columns):  # wide tables are left to BLAS's own threads
        fast = gram_route(design) if tall and route != "dual" else dual_route(design)
    name = "gram" if tall and route != "dual" else "dual"
    trouble = fast.trouble or fast.trouble_of_target
    if not trouble:
        reason = "asked for" if route != "auto" else ("more rows than columns" if tall else "no more rows than columns")
        return _finish(design, fast, name, reason)
    if route == "auto":
        _refuse_moments(design, trouble)
        return _finish(design, exact_route(design), "svd", f"the {name} route would cost digits: {trouble}")
    warn(f"route {name!r} costs digits here: {trouble}; use route='auto'", AccuracyWarning)
    return _finish(design, fast, name, "asked for, although it costs digits")


def trouble_of_moments(design: Design) -> str:
    """Why cross-products would lose digits of this design; nothing where they do not."""
    if design.cross is None or design.root is not None:
        return ""
    with threads_for(design.n_columns):
        found = gram_route(design)
    return found.trouble or found.trouble_of_target


def _refuse_moments(design: Design, trouble: str) -> None:
    if design.tally is not None:
        raise DataError(
            f"cross-products of these columns lose digits ({trouble}), and the rows that would bring them back are not "
            "kept: add the rows up with Triangle in place of Moments (three to nine times the work of each row)"
        )


def factor_of(design: Design) -> Factor:
    """Decompose the columns of a design for whatever target: the fast route for their shape unless it costs digits."""
    with threads_for(design.n_columns):
        fast = gram_route(design) if design.cross is not None else dual_route(design)
    name = "gram" if design.cross is not None else "dual"
    if not fast.trouble:
        return Factor(**_shared(design, fast, name, "for every target"))
    return Factor(**_shared(design, exact_route(design), "svd", f"the {name} route would cost digits: {fast.trouble}"))


def _shared(design: Design, f: Factors, route: str, reason: str) -> dict[str, Any]:
    """What a factor is made of."""
    return {
        "s": f.s, "right": f.right, "nu": design.nu, "log_det_flat": f.log_det_flat,
        "sum_log_weights": design.sum_log_weights, "n_obs": design.n_obs, "signal": design.signal, "flat": f.flat,
        "left": f.left, "route": route, "reason": reason, "dropped": f.dropped,
    }  # fmt: skip


def _finish(design: Design, f: Factors, route: str, reason: str) -> Spectrum:
    floor = rounding_floor(design, design.largest_target)
    r0 = max(f.r0, 0.0)
    degenerate: Degenerate = ""
    z = f.z
    if r0 + float(z @ z) <= floor:
        degenerate, r0, z = "constant", floor, np.zeros_like(z)
        message = f"{design.target_name} is constant to rounding: coefficients are 0, the noise is an upper bound"
        warn(message, ConstantTargetWarning)
    elif len(f.s) >= design.nu:
        r0 = 0.0  # X spans all of y's space: nothing is left by dimension, what was computed is rounding
    elif r0 <= floor or len(f.s) >= degrees_of_rows(design):  # by dimension too, and the rows count more than once
        degenerate, r0 = "perfect", floor
        message = (
            f"{design.target_name} is a linear function of the columns to the rounding of its own values; "
            "the noise reported is an upper bound"
        )
        warn(message, PerfectFitWarning)
    else:
        _warn_of_size(design, f, r0)
    shared = _shared(design, f, route, reason)
    return Spectrum(**shared, z=z, r0=r0, on_flat=f.on_flat, degenerate=degenerate)


def _warn_of_size(design: Design, f: Factors, r0: float) -> None:
    """Warn where y is so much larger than its noise that its rounding alone moves coefficients visibly.

    They move by ``A^-1 X'e``, which is at most ``|e| / sigma`` of their sds (Cauchy and Schwarz), and |e| is eps |y|.
    """
    rest = likely_rest(f.s, f.z, r0)
    squares = r0 + float(f.z @ f.z) if design.cross is None else float(design.cross[-1, -1])  # with the flat columns'
    lost = float(np.finfo(np.float64).eps * np.sqrt(squares * design.nu / rest)) if rest > 0 else 0.0
    if lost > _MOST_LOST:
        warn(
            f"{design.target_name} is so large beside its noise, for rows of so much weight, that its rounding moves "
            f"coefficients by up to {lost:.0e} posterior sds: subtract a constant or fit an intercept, or use smaller "
            "weights",
            AccuracyWarning,
        )


def left_vectors(design: Design, spectrum: Spectrum) -> Array:
    """Return U of shape (n_rows, rank), from the spectrum or recomputed from the data it came from.

    Raises
    ------
    DataError
        If the arrays were changed since the fit: ``U'y`` then no longer equals the stored ``z`` (of rows that were
        added up these may be a part, and who reads them all says so).
    """
    U = left_of(design, spectrum)
    if spectrum.left is None and design.tally is None and spectrum.degenerate != "constant":
        change = np.abs(U.T @ weighted_target(design) - spectrum.z).max(initial=0.0)
        if change > 1e-5 * np.sqrt(spectrum.total_squares):
            raise DataError("the data changed after the fit (U'y no longer matches); fit again, or pass a copy to fit")
    return U


def refuse_changed(design: Design) -> None:
    """Raise what :func:`left_vectors` does, by X'y: where U is too large to be made for that."""
    if design.cross is None:
        return
    centred = design.y - design.y_mean
    weighted = centred if design.weights is None else design.weights * centred
    found = design.source.cross(weighted) - design.mean * weighted.sum()
    size = np.sqrt(design.cross.diagonal())
    if (np.abs(found - design.cross[-1, :-1]) > 1e-5 * size[:-1] * size[-1]).any():
        raise DataError("the data changed after the fit (X'y no longer matches); fit again, or pass a copy to fit")


def left_of(design: Design, factor: Factor) -> Array:
    """Return U of shape (n_rows, rank), from the factor or recomputed from the rows it came from."""
    if factor.left is not None:
        return factor.left
    turn = factor.V / factor.s
    U = np.empty((design.n_rows, factor.rank))
    for part in design.source.blocks():  # no second copy of the table
        rows = design.standardized(part, design.penalized)
        if factor.flat is not None:
            rows -= design.standardized(part, design.unpenalized) @ factor.flat.on_predictors
        np.matmul(rows, turn, out=U[part])
    return weighted(design, U)
