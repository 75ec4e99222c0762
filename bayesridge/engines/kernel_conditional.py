"""The function that a kernel engine knows of, given theta: moments and draws, v by v."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.row_source import RowSource
from bayesridge.engines.engine import CoefficientDraws, LinearMoments
from bayesridge.engines.kernel_columns import KernelColumns, Points, values_of

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FunctionDraws(CoefficientDraws):
    """Slopes for coefficients; for the function itself draws of its features, v by v: nodes, draws, features."""

    parts: tuple[tuple[NDArray[np.intp], CoefficientDraws, RowSource], ...]

    def expected(self, rows: RowSource) -> Array:
        """Return the function at the rows of the fit, (n, n_rows)."""
        out = np.empty((len(self.intercept), rows.shape[0]))
        for nodes, drawn, features in self.parts:
            out[nodes] = drawn.expected(features)
        return out


@dataclass(frozen=True, eq=False)
class KernelConditional:
    """The function at K values of theta.

    Attributes
    ----------
    columns : KernelColumns
    theta : ndarray of shape (K, 1 + h)
    """

    columns: KernelColumns
    theta: Array

    def _collect(self, what: str, linear: Points) -> Array:
        out = np.empty((len(linear), len(self.theta)))
        for nodes, v in self.columns.by_v(self.theta):
            given = self.columns.given(v).engine.at(self.theta[nodes, :1])
            out[:, nodes] = getattr(given, what)(self.columns.map(linear, v))
        return out

    def mean(self, linear: Points) -> Array:
        """Conditional means, shape (m, K)."""
        return self._collect("mean", linear)

    def variance(self, linear: Points) -> Array:
        """Conditional variances over sigma^2, shape (m, K)."""
        return self._collect("variance", linear)

    def moments(self, linear: Points, weight: Array, noise: Array) -> LinearMoments:
        """Mean and variance of the mixture: within each v, and between them."""
        parts, shares = [], []
        for nodes, v in self.columns.by_v(self.theta):
            share = float(weight[nodes].sum())
            if share > 0:
                given = self.columns.given(v).engine.at(self.theta[nodes, :1])
                parts.append(given.moments(self.columns.map(linear, v), weight[nodes] / share, noise[nodes]))
                shares.append(share)
        means, variances = (np.array([getattr(part, name) for part in parts]).T for name in ("mean", "variance"))
        centre = means @ shares
        return LinearMoments(centre, variances @ shares + np.square(means - centre[:, None]) @ shares)

    def draw(self, sigma: Array, rng: np.random.Generator) -> CoefficientDraws:
        """Slopes, and the function where every column is zero, jointly."""
        p, points = self.columns.design.n_columns, self.columns.slopes_and_zero()
        out = np.empty((len(self.theta), p + 1))
        parts = []
        for nodes, v in self.columns.by_v(self.theta):
            given = self.columns.given(v)
            design = given.engine.design
            drawn = given.engine.at(self.theta[nodes, :1]).draw(sigma[nodes], rng)
            parts.append((nodes, drawn, design.source))
            rows, unseen = self.columns.features(points, v)
            tau = sigma[nodes] * np.exp(-0.5 * self.theta[nodes, 0])
            values, vectors = np.linalg.eigh(unseen)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            out[nodes] = drawn.coef @ rows.T + tau[:, None] * (rng.standard_normal((len(nodes), p + 1)) @ root.T)
            if design.fit_intercept:
                out[nodes] += drawn.intercept[:, None] * values_of(points)
        return FunctionDraws(out[:, :p], out[:, p], tuple(parts))
