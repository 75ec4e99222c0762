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

import numpy as np
from numpy.typing import NDArray

from bayesridge.design import Design
from bayesridge.errors import DataError
from bayesridge.nodes import Nodes
from bayesridge.spectrum import Spectrum
from bayesridge.threads import threads_for

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


def coefficient_map(design: Design, spectrum: Spectrum) -> LinearMap:
    """All p coefficients in the units of the data (rows of zeros for constant columns)."""
    V = spectrum.V
    null = _outside(np.ones(V.shape[0]), V, spectrum)
    p = design.X.shape[1]
    if len(design.penalized) == p:
        zero = np.zeros(p)
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


def node_locations(linear: LinearMap, spectrum: Spectrum, nodes: Nodes) -> Array:
    """Conditional means at the nodes, without the unit: shape (m, K)."""
    return np.asarray(linear.offset[:, None] + linear.loadings @ node_coefficients(spectrum, nodes))


def node_variances(linear: LinearMap, spectrum: Spectrum, nodes: Nodes) -> Array:
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


def linear_moments(linear: LinearMap, spectrum: Spectrum, nodes: Nodes) -> LinearMoments:
    """Mixture mean and variance over the nodes.

    ``Var = E[Var | lambda] + Var(E | lambda)``. The first term needs only ``E[sigma^2 / (s_j^2 + lambda)]``, one number
    for each direction; the second is the squared length of ``loadings @ C`` with the centred, weighted conditional
    coefficients C (rank x K).
    """
    with threads_for(max(len(linear), spectrum.rank)):
        return _moments(linear, spectrum, nodes)


def _moments(linear: LinearMap, spectrum: Spectrum, nodes: Nodes) -> LinearMoments:
    centre, spread, inner = _shared_moments(spectrum, nodes)
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


def linear_covariance(linear: LinearMap, rows_gram: Array, flat_gram: Array, spectrum: Spectrum, nodes: Nodes) -> Array:
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
    return centre, spread, _Inner(directions, float(noise.sum()), null, exists)


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
