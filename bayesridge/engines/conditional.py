r"""The coefficients of a spectral engine given lambda and sigma = 1: moments, mixtures of moments, draws.

With loadings ``V'l`` of a functional l (see :mod:`bayesridge.linalg.maps`), at each lambda

    mean      offset + sum_j (V'l)_j s_j z_j / (s_j^2 + lambda)
    variance  fixed + sum_j (V'l)_j^2 / (s_j^2 + lambda) + null / lambda            (over sigma^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.engines.engine import CoefficientDraws, LinearMoments
from bayesridge.errors import DataError
from bayesridge.linalg.factor import RowSpace
from bayesridge.linalg.maps import AnyLinearMap, LinearMap, RowSpaceCoefficients
from bayesridge.linalg.shares import kept, resolvent
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.parallel.threads import threads_for

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 18
_COMPRESSED_RANK, _COMPRESSED_NODES, _COMPRESSED_MAPS = 64, 24, 1024
_EVEN = 1e-2  # resolvents of all directions this near to each other: a sum of products loses no digits


@dataclass(frozen=True, eq=False)
class SpectralConditional:
    """The coefficients at K values of lambda.

    Attributes
    ----------
    design, spectrum : Design, Spectrum
    lam : ndarray of shape (K,)
    """

    design: Design
    spectrum: Spectrum
    lam: Array

    @cached_property
    def _inverse(self) -> Array:
        """``1 / (s_j^2 + lambda_k)``, shape (rank, K)."""
        return resolvent(self.spectrum.s2[:, None], self.lam)

    @cached_property
    def _factors(self) -> tuple[Array, Array] | None:
        """Factors (rank, r) and (r, K) of the inverse to rounding, where r is small and all have one size."""
        s2 = self.spectrum.s2
        if len(s2) <= _COMPRESSED_RANK or len(self.lam) < _COMPRESSED_NODES:
            return None
        smallest = resolvent(s2.max(), self.lam)
        if not ((s2.min() + self.lam) * smallest > _EVEN).all():
            return None
        left, size, right = np.linalg.svd(self._inverse / smallest, full_matrices=False)
        rank = int(np.count_nonzero(size > 1e-16 * size[0]))
        return (left[:, :rank] * size[:rank], right[:rank] * smallest) if 2 * rank < len(self.lam) else None

    def _factors_for(self, linear: AnyLinearMap) -> tuple[Array, Array | None]:
        return (len(linear) >= _COMPRESSED_MAPS and self._factors) or (self._inverse, None)

    def mean(self, linear: AnyLinearMap) -> Array:
        """Conditional means, shape (m, K)."""
        left, right = self._factors_for(linear)
        value = linear.loadings @ ((self.spectrum.s * self.spectrum.z)[:, None] * left)
        value = value if right is None else value @ right
        value += linear.offset[:, None]
        value *= linear.unit[:, None]
        return np.asarray(value)

    def variance(self, linear: AnyLinearMap) -> Array:
        """Conditional variances over sigma^2, shape (m, K)."""
        left, right = self._factors_for(linear)
        value = np.square(linear.loadings) @ left
        value = value if right is None else value @ right
        value += linear.fixed[:, None]
        seen = linear.null > 0
        if seen.any():
            with np.errstate(divide="ignore"):
                value[seen] += linear.null[seen, None] / self.lam
        value *= np.square(linear.unit)[:, None]
        return np.asarray(value)

    def moments(self, linear: AnyLinearMap, weight: Array, noise: Array) -> LinearMoments:
        """Mean and variance of the mixture over the nodes.

        ``Var = E[Var | lambda] + Var(E | lambda)``. The first term needs only ``E[sigma^2 / (s_j^2 + lambda)]``, one
        number for each direction; the second is the squared length of ``loadings @ C`` with the centred, weighted
        conditional coefficients C (rank x K).

        Parameters
        ----------
        weight : ndarray of shape (K,)
            Probabilities of the nodes.
        noise : ndarray of shape (K,)
            E[sigma^2 | node]; infinite where it does not exist.
        """
        with threads_for(max(len(linear), self.spectrum.rank)):
            shared = _shared_moments(self.spectrum, self.lam, weight, noise)
            if isinstance(linear, RowSpaceCoefficients):
                return _row_space_moments(linear, self.lam, *shared)
            return _moments(linear, self.spectrum, *shared)

    def covariance(self, linear: AnyLinearMap, null: Array, flat: Array, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the mixture of m functionals, (m, m).

        Parameters
        ----------
        null : ndarray of shape (m, m)
            Products of what X never saw of the functionals; its diagonal is theirs.
        flat : ndarray of shape (m, m)
            Covariance over sigma^2 that the flat directions contribute; its diagonal is ``fixed``.
        weight, noise : ndarray of shape (K,)
            As for :meth:`moments`.

        Raises
        ------
        DataError
            If there is no covariance: with two or fewer residual degrees of freedom the tails are too heavy.
        """
        _, spread, inner = _shared_moments(self.spectrum, self.lam, weight, noise)
        if not inner.exists:
            raise DataError("with two or fewer residual degrees of freedom the posterior has no covariance matrix")
        L = linear.loadings
        deviations = L @ spread
        covariance = deviations @ deviations.T + (L * inner.directions) @ L.T + flat * inner.noise
        if self.spectrum.rank < self.spectrum.n_features:
            covariance += null * inner.null
        return np.asarray(linear.unit[:, None] * covariance * linear.unit)

    def draw(self, sigma: Array, rng: np.random.Generator) -> CoefficientDraws:
        """Coefficients at each lambda, given sigma (K,).

        ``beta = V (s z / (s^2 + lambda) + sigma V'eps / sqrt(s^2 + lambda)) + tau (I - V V') eps``.
        """
        return with_flat_draws(self.design, self.spectrum, _draw_beta(self.spectrum, self.lam, sigma, rng), sigma, rng)


def with_flat_draws(
    design: Design, spectrum: Spectrum, beta: Array, sigma: Array, rng: np.random.Generator
) -> CoefficientDraws:
    """Add draws of the intercept and the unpenalised columns to those of the standardised coefficients (n, p)."""
    flat, n = spectrum.flat, len(beta)
    centre = np.zeros(n)
    if design.fit_intercept:
        centre = design.y_mean + sigma * rng.standard_normal(n) / np.sqrt(design.total_weight)
    coef = beta
    if len(design.penalized) < design.n_columns:
        coef = np.zeros((n, design.n_columns))
        coef[:, design.penalized] = beta
    if flat is not None:
        noise = rng.standard_normal((n, len(spectrum.on_flat))) @ flat.root_inverse.T
        coef[:, design.unpenalized] = spectrum.on_flat - beta @ flat.on_predictors.T + sigma[:, None] * noise
    coef = design.coefficients(coef)
    return CoefficientDraws(coef, centre - coef @ design.mean if design.fit_intercept else np.zeros(n))


@dataclass(frozen=True, eq=False)
class _Inner:
    directions: Array  # E[sigma^2 / (s_j^2 + lambda)]
    noise: float  # E[sigma^2]
    null: float  # E[sigma^2 / lambda]
    node_noise: Array  # E[sigma^2 | node] times the node's weight
    exists: bool  # whether sigma^2 has a mean; if not, the numbers above are those of sigma^2 = 1


def _shared_moments(spectrum: Spectrum, lam: Array, weight: Array, mean_variance: Array) -> tuple[Array, Array, _Inner]:
    inverse = resolvent(spectrum.s2[:, None], lam)
    exists = bool(np.isfinite(mean_variance).all())
    noise = weight * (mean_variance if exists else 1.0)
    directions = inverse @ noise
    inverse *= (spectrum.s * spectrum.z)[:, None]  # now the conditional coefficients
    centre = inverse @ weight
    inverse -= centre[:, None]
    spread = np.multiply(inverse, np.sqrt(weight), out=inverse)
    null = np.inf
    if lam.min() > 0:
        null = float((noise / lam).sum())
    return centre, spread, _Inner(directions, float(noise.sum()), null, noise, exists)


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
    linear: RowSpaceCoefficients, lam: Array, centre: Array, spread: Array, inner: _Inner
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
    seen = lam > 0
    gain = kept(s2, lam[seen]) @ (inner.node_noise[seen] / lam[seen])  # n - d without cancellation
    if not (np.isfinite(inner.null) and np.isfinite(gain).all()):
        return _moments(linear.take(slice(None)), spectrum, centre, spread, inner)
    wide = np.column_stack([centre, _compressed(spread, 1e-14 * float(inner.directions.min()))]).T @ right.turn
    triangle = np.linalg.qr(np.sqrt(gain)[:, None] * right.turn, mode="r")
    variance = inner.null - _squared_lengths(triangle, right.rows)
    mean = np.empty(len(variance))
    for start in range(0, len(mean), _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        mean[columns], *deviations = wide @ right.rows[:, columns]
        for deviation in deviations:
            variance[columns] += deviation * deviation
    unit = linear.unit
    moments = LinearMoments(mean * unit, variance * np.square(unit) if inner.exists else np.full(len(unit), np.inf))
    doubtful = variance < _CANCELLED * inner.null
    if doubtful.any() and inner.exists:
        moments.variance[doubtful] = _moments(linear.take(doubtful), spectrum, centre, spread, inner).variance
    return moments


_CANCELLED = 1e-4  # where less is left of n, its rounding shows in the eleventh digit
_STEPS = 4
_COLUMNS = 1 << 14


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


def _draw_beta(spectrum: Spectrum, lam: Array, sigma: Array, rng: np.random.Generator) -> Array:
    share = resolvent(spectrum.s2, lam[:, None])
    if spectrum.rank == spectrum.n_features:
        a = rng.standard_normal(share.shape)
        a *= np.sqrt(share)
        a *= sigma[:, None]
        share *= spectrum.s * spectrum.z
        a += share
        return np.asarray(a @ spectrum.V.T)
    # With eps standard normal, V'eps and (I - VV')eps are independent, so that one draw of eps serves both parts:
    # V (s z share + sigma sqrt(share) V'eps) + tau (I - VV') eps = tau eps + V (s z share + (...) V'eps)
    eps = rng.standard_normal((len(lam), spectrum.n_features))
    tau = sigma / np.sqrt(lam)
    right = spectrum.right
    a = (right.turn @ (right.rows @ eps.T)).T if isinstance(right, RowSpace) else eps @ spectrum.V
    a *= sigma[:, None] * np.sqrt(share) - tau[:, None]
    share *= spectrum.s * spectrum.z
    a += share
    eps *= tau[:, None]
    eps += (a @ right.turn) @ right.rows if isinstance(right, RowSpace) else a @ spectrum.V.T
    return eps
