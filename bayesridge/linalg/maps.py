r"""Linear functionals of the coefficients: coefficients, intercept, predictions, contrasts.

A functional ``a0 b0 + a' coef`` in the units of the data becomes, on the standardised penalised columns,

    unit * (offset + l' beta + noise of the flat directions), and given lambda, apart from the unit,

    mean      offset + sum_j (V'l)_j s_j z_j / (s_j^2 + lambda)
    variance  sigma^2 [fixed + sum_j (V'l)_j^2 / (s_j^2 + lambda) + null / lambda]

with ``fixed`` the flat directions' share (1 / sum w for the intercept), and ``null = |l|^2 - |V'l|^2`` the part of l
that X never saw, where the prior variance sigma^2 / lambda = tau^2 is untouched. No p x p matrix is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.nodes import Nodes
from bayesridge.linalg.design import Design
from bayesridge.linalg.spectrum import RowSpace, Spectrum
from bayesridge.linalg.threads import threads_for

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearMap:
    """m functionals in spectral coordinates (see the module's text).

    Attributes
    ----------
    offset, null, fixed, unit : ndarray of shape (m,)
    loadings : ndarray of shape (m, rank)
        ``V'l`` of each functional.
    """

    offset: Array
    loadings: Array
    null: Array
    fixed: Array
    unit: Array

    def __len__(self) -> int:
        return len(self.offset)


@dataclass(frozen=True, eq=False)
class RowSpaceCoefficients:
    """All coefficients, every column penalised, more columns than rows: V is formed only where loadings are asked for.

    Attributes
    ----------
    spectrum : Spectrum
        Its right vectors come as a :class:`RowSpace`.
    right : RowSpace
    unit, offset, fixed : ndarray of shape (p,)
    """

    spectrum: Spectrum
    right: RowSpace
    unit: Array
    offset: Array
    fixed: Array

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def loadings(self) -> Array:
        """V, shape (p, rank)."""
        return self.spectrum.V

    @cached_property
    def null(self) -> Array:
        """What X never saw of each coefficient, shape (p,)."""
        return _outside(np.ones(len(self)), self.loadings, self.spectrum)

    def some(self, columns: NDArray[np.bool_]) -> LinearMap:
        """Return a few of the coefficients by their own loadings."""
        loadings = (self.right.turn @ self.right.rows[:, columns]).T
        null = _outside(np.ones(len(loadings)), loadings, self.spectrum)
        return LinearMap(self.offset[columns], loadings, null, self.fixed[columns], self.unit[columns])


AnyLinearMap = LinearMap | RowSpaceCoefficients


def coefficient_map(design: Design, spectrum: Spectrum) -> AnyLinearMap:
    """All p coefficients in the units of the data (rows of zeros for constant columns)."""
    p = design.X.shape[1]
    zero = np.zeros(p)
    right = spectrum.right
    if isinstance(right, RowSpace) and len(design.penalized) == p and 0 < spectrum.rank < p:
        return RowSpaceCoefficients(spectrum, right, 1.0 / design.scale, zero, zero)
    V = spectrum.V
    null = _outside(np.ones(V.shape[0]), V, spectrum)
    if len(design.penalized) == p:
        return LinearMap(zero, V, null, zero, 1.0 / design.scale)
    offset, fixed, all_null = np.zeros(p), np.zeros(p), np.zeros(p)
    loadings = np.zeros((p, spectrum.rank))
    loadings[design.penalized] = V
    all_null[design.penalized] = null
    if spectrum.flat is not None:
        flat, a = spectrum.flat, design.unpenalized
        offset[a] = flat.on_target
        loadings[a] = -(flat.on_predictors @ V)
        fixed[a] = np.square(flat.root_inverse).sum(axis=1)
        all_null[a] = _outside(np.square(flat.on_predictors).sum(axis=1), loadings[a], spectrum)
    return LinearMap(offset, loadings, all_null, fixed, 1.0 / design.scale)


def intercept_map(design: Design, spectrum: Spectrum) -> LinearMap:
    """The intercept ``b0`` (the prediction where every column is zero)."""
    return prediction_map(design, spectrum, np.zeros((1, design.X.shape[1])))


def prediction_map(design: Design, spectrum: Spectrum, X: Array) -> LinearMap:
    """Expected target ``b0 + x' coef`` at each row of X (m x p, units of the data)."""
    rows = design.standardize(X, design.penalized)
    m = len(X)
    fixed = np.full(m, 1.0 / design.total_weight if design.fit_intercept else 0.0)
    offset = np.full(m, design.y_mean)
    return _project(spectrum, rows, _flat_rows(design, X - design.mean), offset, fixed)


def contrast_map(design: Design, spectrum: Spectrum, A: Array) -> LinearMap:
    """Linear combinations ``A @ coef`` of the coefficients (A: m x p, units of the data)."""
    rows = A[:, design.penalized] / design.scale[design.penalized]
    zero = np.zeros(len(A))
    return _project(spectrum, rows, _flat_rows(design, A), zero, zero)


def _flat_rows(design: Design, rows: Array) -> Array:
    return np.asarray(rows[:, design.unpenalized] / design.scale[design.unpenalized])


def _project(spectrum: Spectrum, rows: Array, flat_rows: Array, offset: Array, fixed: Array) -> LinearMap:
    if spectrum.flat is not None:
        flat = spectrum.flat
        offset = offset + flat_rows @ flat.on_target
        rows = rows - flat_rows @ flat.on_predictors
        fixed = fixed + np.square(flat_rows @ flat.root_inverse).sum(axis=1)
    loadings = rows @ spectrum.V
    null = _outside(np.einsum("ij,ij->i", rows, rows), loadings, spectrum)
    return LinearMap(offset, loadings, null, fixed, np.ones(len(offset)))


def _outside(squares: Array, loadings: Array, spectrum: Spectrum) -> Array:
    """``|l|^2 - |V'l|^2``: exactly zero at full column rank, and what is left below rounding is zero."""
    if spectrum.rank == spectrum.n_features:
        return np.zeros(len(squares))
    rest = squares - np.einsum("ij,ij->i", loadings, loadings)
    return np.where(rest > 64.0 * np.finfo(np.float64).eps * squares * max(spectrum.rank, 1) ** 0.5, rest, 0.0)


def node_coefficients(spectrum: Spectrum, nodes: Nodes) -> Array:
    """``s z / (s^2 + lambda_k)``, shape (rank, K)."""
    return np.asarray((spectrum.s * spectrum.z)[:, None] / (spectrum.s2[:, None] + nodes.lam))


def node_locations(linear: AnyLinearMap, spectrum: Spectrum, nodes: Nodes) -> Array:
    """Conditional means at the nodes, without the unit: shape (m, K)."""
    return np.asarray(linear.offset[:, None] + linear.loadings @ node_coefficients(spectrum, nodes))


def node_variances(linear: AnyLinearMap, spectrum: Spectrum, nodes: Nodes) -> Array:
    """Conditional variances over sigma^2 at the nodes, without the unit: shape (m, K)."""
    inverse = 1.0 / (spectrum.s2[:, None] + nodes.lam)
    value = linear.fixed[:, None] + np.square(linear.loadings) @ inverse
    return np.asarray(value + _null_variance(linear.null, nodes.lam))


def _null_variance(null: Array, lam: Array) -> Array:
    seen = null > 0
    out = np.zeros((len(null), len(lam)))
    if seen.any():
        with np.errstate(divide="ignore"):
            out[seen] = null[seen, None] / lam
    return out


@dataclass(frozen=True, eq=False)
class LinearMoments:
    """Exact posterior means and variances of linear functionals, in the units of the data.

    Attributes
    ----------
    mean : ndarray of shape (m,)
    variance : ndarray of shape (m,)
        Total; infinite where sigma^2 has no mean (nu <= 2).
    """

    mean: Array
    variance: Array


_BLOCK_VALUES = 1 << 18
_COMPRESSED_RANK = 64


def linear_moments(linear: AnyLinearMap, spectrum: Spectrum, nodes: Nodes) -> LinearMoments:
    """Mixture mean and variance over the nodes.

    ``Var = E[Var | lambda] + Var(E | lambda)``. The first term needs only ``E[sigma^2 / (s_j^2 + lambda)]``, one number
    for each direction; the second is the squared length of ``loadings @ C`` with the centred, weighted conditional
    coefficients C (rank x K).
    """
    with threads_for(max(len(linear), spectrum.rank)):
        shared = _shared_moments(spectrum, nodes)
        if isinstance(linear, RowSpaceCoefficients):
            return _row_space_moments(linear, nodes, *shared)
        return _moments(linear, spectrum, *shared)


def _moments(linear: LinearMap, spectrum: Spectrum, centre: Array, spread: Array, inner: _Inner) -> LinearMoments:
    m, rank = len(linear), spectrum.rank
    mean = linear.offset + linear.loadings @ centre
    variance = np.empty(m)
    if rank > _COMPRESSED_RANK:
        spread = _compressed(spread, 1e-14 * float(inner.directions.min()))

    size = max(1, _BLOCK_VALUES // max(rank, 1))
    for start in range(0, m, size):
        L = linear.loadings[start : start + size]
        deviations = L @ spread
        part = np.einsum("ij,ij->i", deviations, deviations)
        part += np.square(L) @ inner.directions
        variance[start : start + size] = part
    for share, factor in ((linear.fixed, inner.noise), (linear.null, inner.null)):
        if share.any():  # not a plain product: the factor may be infinite where the share is zero
            variance[share > 0] += share[share > 0] * factor
    if not inner.exists:
        variance = np.where(variance > 0, np.inf, 0.0)
    return LinearMoments(mean * linear.unit, variance * np.square(linear.unit))


def _row_space_moments(
    linear: RowSpaceCoefficients, nodes: Nodes, centre: Array, spread: Array, inner: _Inner
) -> LinearMoments:
    """Moments of all coefficients without V.

    With null_l = 1 - sum_j V_lj^2 the variance of :func:`_moments` becomes, for each column x_l of the rows,

        n - sum_j (n - d_j) V_lj^2 + |V_l spread|^2 = n - |R x_l|^2 + |spread' turn x_l|^2,

    n = E[sigma^2 / lambda], d_j = E[sigma^2 / (s_j^2 + lambda)], and R the triangle of diag(n - d)^(1/2) turn: five
    eighths of the multiplications that V costs, and no second matrix of the size of X. Where nearly all of n cancels
    the digits are gone; those few columns take the other way.
    """
    spectrum, right = linear.spectrum, linear.right
    s2 = spectrum.s2[:, None]
    seen = nodes.lam > 0
    gain = (s2 / (nodes.lam[seen] * (s2 + nodes.lam[seen]))) @ inner.node_noise[seen]  # n - d without cancellation
    if not (np.isfinite(inner.null) and np.isfinite(gain).all()):
        return _moments(linear.some(np.ones(len(linear), dtype=bool)), spectrum, centre, spread, inner)
    wide = np.column_stack([centre, _compressed(spread, 1e-14 * float(inner.directions.min()))]).T @ right.turn
    mean, *deviations = wide @ right.rows
    triangle = np.linalg.qr(np.sqrt(gain)[:, None] * right.turn, mode="r")
    variance = inner.null - _squared_lengths(triangle, right.rows)
    for deviation in deviations:
        variance += deviation * deviation
    unit = linear.unit
    moments = LinearMoments(mean * unit, variance * np.square(unit) if inner.exists else np.full(len(unit), np.inf))
    doubtful = variance < _CANCELLED * inner.null
    if doubtful.any() and inner.exists:
        moments.variance[doubtful] = _moments(linear.some(doubtful), spectrum, centre, spread, inner).variance
    return moments


_CANCELLED = 1e-4  # where less is left of n, its rounding shows in the eleventh digit
_STEPS = 4


def _squared_lengths(triangle: Array, rows: Array) -> Array:
    """Squared lengths of the columns of ``triangle @ rows``, the zeros below the diagonal left out in four steps."""
    total = np.zeros(rows.shape[1])
    edges = np.linspace(0, len(triangle), _STEPS + 1).astype(int).tolist()
    size = max(1, _BLOCK_VALUES // max(edges[1], 1))
    buffer = np.empty(max(high - low for low, high in pairwise(edges)) * min(size, rows.shape[1]))
    for start in range(0, rows.shape[1], size):
        part = rows[:, start : start + size]
        for low, high in pairwise(edges):
            product = buffer[: (high - low) * part.shape[1]].reshape(high - low, part.shape[1])
            np.matmul(triangle[low:high, low:], part[low:], out=product)
            total[start : start + size] += np.einsum("ij,ij->j", product, product)
    return total


def _compressed(spread: Array, tolerance: float) -> Array:
    """Return F with ``F F' = spread spread'`` and few columns: Cholesky with pivoting, stopped at `tolerance`.

    The conditional coefficients are smooth functions of one variable, so that whatever the number of nodes some fifteen
    columns say the same; what is left out is below 1e-14 of the other part of the variance.
    """
    gram = spread @ spread.T
    rest = gram.diagonal().copy()
    columns: list[Array] = []
    while len(columns) < spread.shape[1]:
        pivot = int(rest.argmax())
        if not rest[pivot] > tolerance:
            break
        column = gram[:, pivot].copy()
        for done in columns:
            column -= done * done[pivot]
        column /= np.sqrt(rest[pivot])
        columns.append(column)
        rest -= column * column
    return np.array(columns).T if columns else np.zeros((len(spread), 1))


def linear_covariance(
    linear: AnyLinearMap, rows_gram: Array, flat_gram: Array, spectrum: Spectrum, nodes: Nodes
) -> Array:
    """Posterior covariance matrix of m functionals (m x m).

    Parameters
    ----------
    rows_gram : ndarray of shape (m, m)
        ``l' l`` of the standardised rows (null directions are what it has beyond the loadings).
    flat_gram : ndarray of shape (m, m)
        Covariance over sigma^2 that the flat directions contribute; its diagonal is ``fixed``.

    Raises
    ------
    DataError
        If there is no covariance: with two or fewer residual degrees of freedom the tails are too heavy.
    """
    _, spread, inner = _shared_moments(spectrum, nodes)
    if not inner.exists:
        raise DataError("with two or fewer residual degrees of freedom the posterior has no covariance matrix")
    L = linear.loadings
    deviations = L @ spread
    covariance = deviations @ deviations.T + (L * inner.directions) @ L.T + flat_gram * inner.noise
    if spectrum.rank < spectrum.n_features:
        covariance += (rows_gram - L @ L.T) * inner.null
    return np.asarray(linear.unit[:, None] * covariance * linear.unit)


@dataclass(frozen=True, eq=False)
class _Inner:
    directions: Array  # E[sigma^2 / (s_j^2 + lambda)]
    noise: float  # E[sigma^2]
    null: float  # E[sigma^2 / lambda]
    node_noise: Array  # E[sigma^2 | node] times the node's weight
    exists: bool  # whether sigma^2 has a mean; if not, the numbers above are those of sigma^2 = 1


def _shared_moments(spectrum: Spectrum, nodes: Nodes) -> tuple[Array, Array, _Inner]:
    inverse = np.add.outer(spectrum.s2, nodes.lam)
    np.reciprocal(inverse, out=inverse)
    weight = nodes.weight
    mean_variance = nodes.noise.mean_variance()
    exists = bool(np.isfinite(mean_variance).all())
    noise = weight * (mean_variance if exists else 1.0)
    directions = inverse @ noise
    inverse *= (spectrum.s * spectrum.z)[:, None]  # now the conditional coefficients
    centre = inverse @ weight
    inverse -= centre[:, None]
    spread = np.multiply(inverse, np.sqrt(weight), out=inverse)
    null = np.inf
    if nodes.lam[0] > 0:
        null = float((noise / nodes.lam).sum())
    return centre, spread, _Inner(directions, float(noise.sum()), null, noise, exists)


def standardized_rows(design: Design, spectrum: Spectrum) -> Array:
    """The functionals of :func:`coefficient_map` on the standardised penalised columns, (p x p_penalized)."""
    rows = np.zeros((design.X.shape[1], spectrum.n_features))
    rows[design.penalized, np.arange(spectrum.n_features)] = 1.0
    if spectrum.flat is not None:
        rows[design.unpenalized] = -spectrum.flat.on_predictors
    return rows


def flat_gram(design: Design, spectrum: Spectrum) -> Array:
    """Covariance over sigma^2 that the flat directions bring to the scaled coefficients (p x p)."""
    p = design.X.shape[1]
    gram = np.zeros((p, p))
    if spectrum.flat is not None:
        root = spectrum.flat.root_inverse
        gram[np.ix_(design.unpenalized, design.unpenalized)] = root @ root.T
    return gram
