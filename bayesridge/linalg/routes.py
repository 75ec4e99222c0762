"""Three ways from a design to its decomposition: the Gram matrix, the rows themselves, the dual.

What each costs in time and digits stands in :mod:`bayesridge.linalg.spectrum`, which chooses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.design.sparse_rows import SparseRows
from bayesridge.design.wide_rows import StandardRows, WideRows
from bayesridge.errors import AccuracyWarning, DataError, warn
from bayesridge.linalg.factor import FlatPart, RowSpace
from bayesridge.linalg.heavy_rows import (
    MOST_REFLECTED,
    by_columns,
    decompose,
    digits_lost,
    eliminate,
    heaviest_row,
    rows_on_basis,
)
from bayesridge.linalg.shares import shrunk

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
#: The Gram's eigenvalues carry a relative error of eps * condition^2: 2e-10 at this limit.
GRAM_CONDITION_LIMIT = 1e3
#: Unpenalised columns get no help from lambda, and are few: the accurate route costs little.
FLAT_CONDITION_LIMIT = 30.0
#: r0 = |yc|^2 - |z|^2 loses log10(1 / share) digits: 4 at this limit.
GRAM_RESIDUAL_SHARE = 1e-4
#: Columns this far apart lose four digits of the smaller ones to an SVD, which rounds all in the size of the largest.
_GRADED = 1e4
_NOTHING = np.empty(0)
_ROUNDS_OTHERS = "a row of nearly all weight would round the others"
_ROUNDING = 16.0 * _EPS  # what a residual can carry, relative to the largest value of y


@dataclass(frozen=True, eq=False)
class Factors:
    """What a route yields, and why it would cost digits of the columns, or of the target.

    Names as in :class:`~bayesridge.linalg.spectrum.Spectrum`.
    """

    s: Array
    z: Array
    right: Array | RowSpace
    r0: float
    flat: FlatPart | None
    on_flat: Array
    log_det_flat: float
    left: Array | None
    dropped: int
    trouble: str = ""
    trouble_of_target: str = ""


def rounding_floor(design: Design, largest: float) -> float:
    """Sum of squares that the rounding of a target as large as this amounts to."""
    # a target of exact zeros has no rounding, and still gets a noise that is not zero
    return design.total_weight * (max((_ROUNDING * largest) ** 2, 1e-307) if largest > 0 else 1e-200)


def degrees_of_rows(design: Design) -> int:
    """Dimension of the space of y once the flat directions are gone (rows, not frequencies)."""
    return design.n_seen - design.n_flat


def _rank(s: Array, design: Design) -> int:
    if len(s) == 0 or not s[0] > 0:
        return 0
    tolerance = max(design.source.shape) * _EPS * float(s[0])
    return int(np.count_nonzero(s > tolerance))


# -- more rows than columns: the Gram matrix -----------------------------------------------------------------------


def gram_route(design: Design) -> Factors:
    """Eigenvectors of Xc'Xc."""
    cross = design.cross
    assert cross is not None
    p = design.n_columns
    if len(design.penalized) == p:
        inverse = 1.0 / design.scale
        gram = cross[:p, :p] * inverse
        gram *= inverse[:, None]
        return _gram_factors(design, gram, cross[:p, p] * inverse, float(cross[p, p]))
    a, b = design.unpenalized, design.penalized
    da, db = design.scale[a], design.scale[b]
    zz = cross[np.ix_(a, a)] / np.multiply.outer(da, da)
    zx = cross[np.ix_(a, b)] / np.multiply.outer(da, db)
    zy = cross[a, p] / da
    gram = cross[np.ix_(b, b)] / np.multiply.outer(db, db)
    xy = cross[b, p] / db
    yy = float(cross[p, p])
    if not len(a):
        return _gram_factors(design, gram, xy, yy)
    values, vectors = np.linalg.eigh(zz)
    if not values[0] > values[-1] / FLAT_CONDITION_LIMIT**2:
        p = len(b)
        nothing = Factors(_NOTHING, _NOTHING, np.empty((p, 0)), 0.0, None, _NOTHING, 0.0, None, p)
        return replace(nothing, trouble="the unpenalised columns are nearly dependent")
    root_inverse = vectors / np.sqrt(values)
    on_target = root_inverse @ (root_inverse.T @ zy)
    on_predictors = root_inverse @ (root_inverse.T @ zx)
    # Schur complement; a column mostly explained by Z leaves a difference of nearly equal numbers
    left = gram.diagonal() - np.einsum("ij,ij->j", zx, on_predictors)
    lost = left < GRAM_RESIDUAL_SHARE * gram.diagonal()
    trouble = "a penalised column is nearly a combination of unpenalised ones" if lost.any() else ""
    gram = gram - zx.T @ on_predictors
    xy = xy - zx.T @ on_target
    rest = yy - float(zy @ on_target)
    of_target = "the unpenalised columns explain nearly all of the target" if rest < GRAM_RESIDUAL_SHARE * yy else ""
    log_det = float(np.log(values).sum() + 2.0 * np.log(da).sum())
    found = _gram_factors(design, gram, xy, rest, FlatPart(on_predictors, root_inverse), on_target, log_det)
    return replace(found, trouble=trouble or found.trouble, trouble_of_target=of_target or found.trouble_of_target)


def _gram_factors(
    design: Design,
    gram: Array,
    xy: Array,
    yy: float,
    flat: FlatPart | None = None,
    on_flat: Array = _NOTHING,
    log_det: float = 0.0,
) -> Factors:
    log_det += np.log(design.total_weight) if design.fit_intercept else 0.0
    p = len(xy)
    if p == 0:
        return Factors(_NOTHING, _NOTHING, np.empty((0, 0)), yy, flat, on_flat, log_det, None, 0)
    trouble = of_target = ""
    values, vectors = np.linalg.eigh(gram)
    s2, V = values[::-1], vectors[:, ::-1]
    if not s2[-1] > s2[0] / GRAM_CONDITION_LIMIT**2:
        least = max(s2[-1], s2[0] * _EPS**2)  # nothing may be left of columns that unpenalised ones span
        condition = min(float(np.sqrt(s2[0] / least)), 1.0 / _EPS) if least > 0 else 1.0 / _EPS
        trouble = f"condition number above {condition:.1e}, squared by the Gram"
    if design.tally is None and heaviest_row(design.weights) is not None:
        trouble = trouble or _ROUNDS_OTHERS
    s = np.sqrt(np.maximum(s2, 0.0))
    rank = _rank(s, design)
    s, V = s[:rank], np.ascontiguousarray(V[:, :rank])  # a view would be laid out anew, and round anew, by a pickle
    z = (xy @ V) / s
    r0 = yy - float(z @ z)
    if r0 < GRAM_RESIDUAL_SHARE * yy and rank < degrees_of_rows(design):
        of_target = "the residual is a tiny share of the target's variation"
    return Factors(s, z, V, r0, flat, on_flat, float(log_det), None, p - rank, trouble, of_target)


# -- full accuracy: orthogonal transformations of the rows themselves ----------------------------------------------


def _weighted_rows(design: Design, columns: NDArray[np.intp] | slice) -> Array:
    if design.root is not None:  # rows in themselves, with the same products
        return np.asarray(design.root[:, :-1][:, columns] / design.scale[columns])
    return weighted(design, design.standardized(None, columns))


def weighted_target(design: Design) -> Array:
    """The target centred, times root weights."""
    if design.root is not None:
        return design.root[:, -1]
    return weighted(design, design.y - design.y_mean)


def weighted(design: Design, centred: Array) -> Array:
    """Rows times their root weights, from rows centred at a mean that was rounded.

    A row of nearly all weight is nearly the mean: what it differs by is less than the mean's rounding and, times its
    root weight, as large as any other row. Centring twice has it to its own rounding; a part of rows that were added
    up has a mean of its own, which is not the one.
    """
    if design.weights is None:
        return centred
    if design.fit_intercept and design.tally is None:
        centred -= (design.weights / design.total_weight) @ centred
    root = np.sqrt(design.weights)
    centred *= root if centred.ndim == 1 else root[:, None]
    return centred


def _flat_basis(design: Design) -> tuple[Array, Array]:
    """Orthonormal basis Q (n x u) of the centred unpenalised columns, and their triangle R."""
    rows = _weighted_rows(design, design.unpenalized)
    Q, R = np.linalg.qr(rows)
    diagonal = np.abs(R.diagonal())
    if len(diagonal) and diagonal.min() <= max(rows.shape) * _EPS * diagonal.max():
        _refuse_dependent(design)
    return Q, R


def _refuse_dependent(design: Design) -> None:
    names = ", ".join(design.names[j] for j in design.unpenalized)
    raise DataError(f"the unpenalised columns are linearly dependent, their coefficients have no posterior: {names}")


class _Complement(NamedTuple):
    """Penalised columns and target, flat directions gone; `size` has the largest each number was on the way."""

    X: Array
    y: Array
    flat: FlatPart | None
    on_flat: Array
    log_det: float
    size: Array | None = None


def _complement(design: Design, X: Array, y: Array, *, heavy: bool = False) -> _Complement:
    """Project the weighted rows; with heavy ones in coordinates of the complement, in which rows are no longer rows."""
    log_det = float(np.log(design.total_weight)) if design.fit_intercept else 0.0
    if not len(design.unpenalized):
        return _Complement(X, y, None, _NOTHING, log_det)
    size = None
    if heavy:
        found = eliminate(_weighted_rows(design, design.unpenalized), np.column_stack([X, y]))
        if found.rank < len(found.R):
            _refuse_dependent(design)
        R, size, on_flat, root_inverse = found.R, found.size, found.coefficients, found.root_inverse
        X, y = found.rest[:, :-1], found.rest[:, -1]
    else:
        Q, R = _flat_basis(design)
        on_flat, root_inverse = np.linalg.solve(R, np.column_stack([Q.T @ X, Q.T @ y])), np.linalg.inv(R)
        X, y = _projected(Q, X), _projected(Q, y[:, None])[:, 0]
    log_det += 2.0 * float(np.log(np.abs(R.diagonal())).sum() + np.log(design.scale[design.unpenalized]).sum())
    return _Complement(X, y, FlatPart(on_flat[:, :-1], root_inverse), on_flat[:, -1], log_det, size)


def exact_route(design: Design) -> Factors:
    """Orthogonal transformations of the rows themselves: full accuracy."""
    if isinstance(design.source, SparseRows) and design.n_rows > design.n_columns and design.root is None:
        added = design.source.triangle(design.y, design.weights)
        return exact_route(replace(design, root=(added if design.fit_intercept else added.about_zero()).root))
    heavy = heaviest_row(design.weights) if design.tally is None and design.root is None else None
    X, y, flat, on_flat, log_det, size = _complement(
        design, _weighted_rows(design, design.penalized), weighted_target(design), heavy=heavy is not None
    )
    wide = X.shape[0] <= X.shape[1]
    if heavy is not None and design.weights is not None and design.fit_intercept and flat is None and wide:
        # centred rows are dependent, one more than there are dimensions: in coordinates of these they are not
        centred = eliminate(np.sqrt(design.weights)[:, None], np.column_stack([X, y]))
        X, y, size = centred.rest[:, :-1], centred.rest[:, -1], centred.size
    n, p = X.shape
    left = None
    if heavy is not None and p > 0:
        largest = np.abs(np.column_stack([X, y])) if size is None else size
        if n >= p:
            found = decompose(X, y)
            V = found.V
        else:
            lower, basis = rows_on_basis(X)
            found = decompose(lower, y)
            V = basis @ found.V
            norms = np.sqrt(np.square(largest[:, :-1]).sum(axis=1))
            largest = np.column_stack([np.broadcast_to(norms[:, None], lower.shape), largest[:, -1]])
        s, z, r0 = found.s, found.z, found.rest
        likely = likely_rest(s, z, r0)
        if design.nu > len(s) >= degrees_of_rows(design):  # a perfect fit by rows that count more than once
            likely = min(likely, rounding_floor(design, design.largest_target))
        sigma = float(np.sqrt(likely / design.nu))
        if sigma > 0:
            lost = digits_lost(found, largest, sigma)
            _warn_of_rounding(design, heavy, lost if flat is None else _BESIDE_FLAT * lost)
    elif n > p + 1:
        # the last column of the triangle holds Q'y, its corner the residual norm: r0 without cancellation
        triangle = np.linalg.qr(np.column_stack([X, y]), mode="r")
        U, s, V = _svd(triangle[:p, :p])
        z, r0 = U.T @ triangle[:p, p], float(triangle[p, p] ** 2)
    else:
        U, s, Vt = np.linalg.svd(X, full_matrices=False)
        left, z, V, r0 = U, U.T @ y, Vt.T, 0.0
    rank = min(_rank(s, design), degrees_of_rows(design))
    r0 += float(z[rank:] @ z[rank:])
    if left is not None:
        left = left[:, :rank]
        rest = y - left @ z[:rank]
        r0 = float(rest @ rest)
    if size is not None or design.root is not None:
        left = None
    return Factors(s[:rank], z[:rank], V[:, :rank], r0, flat, on_flat, log_det, left, p - rank)


def _svd(triangle: Array) -> tuple[Array, Array, Array]:
    norms = np.sqrt(np.square(triangle).sum(axis=0))
    seen = norms > 0
    if seen.any() and norms.max() > _GRADED * norms[seen].min() and len(norms) <= MOST_REFLECTED:
        return by_columns(triangle)
    U, s, Vt = np.linalg.svd(triangle)
    return U, s, Vt.T


def _projected(Q: Array, X: Array) -> Array:
    """Columns less what Q explains of them, twice for orthogonality to rounding; what is spanned is exactly zero."""
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    for _ in range(2):
        X = X - Q @ (Q.T @ X)
    X[:, np.sqrt(np.einsum("ij,ij->j", X, X)) <= max(X.shape) * _EPS * size] = 0.0
    return X


def likely_rest(s: Array, z: Array, r0: float) -> float:
    """Sum of squares left of y; by a lambda in the middle of the spectrum where columns could explain all of it."""
    if r0 > 0.0 or not len(s):
        return r0
    square = s * s
    with np.errstate(invalid="ignore"):
        return float(z * z @ np.where(square > 0, shrunk(square, np.median(square)), 1.0))


_MOST_LOST = 1e-8  # posterior sds, without a warning
_BESIDE_FLAT = 10.0  # times the estimate: the worst of a thousand tables with unpenalised columns


def _warn_of_rounding(design: Design, row: int, lost: float) -> None:
    if lost > _MOST_LOST:
        how = f"right to {lost:.0e} posterior sds only" if lost < 1.0 else "wrong by posterior sds"
        warn(
            f"row {design.input_rows[row]} (counted from 0) weighs so much more than others that its rounding takes "
            f"their digits: coefficients are {how}; drop dependent columns, or use weights nearer to each other",
            AccuracyWarning,
        )


# -- no more rows than columns: the n x n dual ---------------------------------------------------------------------


def dual_route(design: Design) -> Factors:
    """Eigenvectors of the n x n matrix Xc Xc'."""
    p = len(design.penalized)
    y = weighted_target(design)
    rows: Any
    if isinstance(design.source, WideRows) and p == design.n_columns:
        flat, on_flat, log_det = None, _NOTHING, float(np.log(design.total_weight)) if design.fit_intercept else 0.0
        rows = StandardRows(design.source.X, design.mean, design.scale, design.weights, design.fit_intercept)
        gram = rows.gram()
    else:
        rows = _weighted_rows(design, slice(0, p) if p == design.n_columns else design.penalized)
        rows, y, flat, on_flat, log_det, _ = _complement(design, rows, y)
        gram = rows @ rows.T
    values, vectors = np.linalg.eigh(gram)
    # the flat directions (and rows of weight zero) are exact null vectors: they are not singular values
    most = min(degrees_of_rows(design), p)
    s2, U = values[::-1][:most], vectors[:, ::-1][:, :most]
    trouble = of_target = ""
    if most and not s2[-1] > s2[0] / GRAM_CONDITION_LIMIT**2:
        trouble = "the condition number, squared by the dual, is too large"
    if heaviest_row(design.weights) is not None:
        trouble = _ROUNDS_OTHERS
    s = np.sqrt(np.maximum(s2, 0.0))
    rank = _rank(s, design)
    s, U = s[:rank], np.ascontiguousarray(U[:, :rank])
    z = U.T @ y
    rest = y - U @ z
    if rank < degrees_of_rows(design) and rest @ rest < GRAM_RESIDUAL_SHARE * (y @ y):
        of_target = "the residual is a tiny share of the target's variation"
    right = RowSpace(rows, U, s)
    return Factors(s, z, right, float(rest @ rest), flat, on_flat, log_det, U, p - rank, trouble, of_target)
