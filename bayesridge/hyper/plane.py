r"""The posterior of (log lambda, log sigma) where sigma does not integrate out in closed form.

For every t = log lambda the integral over v = log sigma is a trapezoidal sum on its own grid, found by zooming into the
(log-concave) integrand; the result, a function of t alone, goes through the same line rule as everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.likelihood import Likelihood
from bayesridge.hyper.line import fine_grid, tau_from_joint
from bayesridge.hyper.marginal import Marginal, marginal
from bayesridge.hyper.nodes import HyperPosterior, KnownNoise, Nodes
from bayesridge.hyper.quadrature import LineRule, integrate, refine, weights_error
from bayesridge.priors import Density

Array = NDArray[np.float64]

_CUT = 44.0
_ZOOM_POINTS = 33
_ZOOM_ROUNDS = 5
_INNER_POINTS = 81


@dataclass(frozen=True, eq=False)
class Plane:
    """Lambda and sigma both free: Gaussian nodes on a plane, organised by lambda."""

    data: Likelihood
    rule: LineRule
    log_prior: Callable[[Array, Array], Array]

    @property
    def log_marginal(self) -> float:
        """Log p(y)."""
        return self.rule.log_total

    @property
    def error(self) -> float:
        """Estimated relative error of the quadrature, outer and inner."""
        inner = integrate_sigma(self.data, self.log_prior, self.rule.x)
        return self.rule.error + float(self.rule.weight @ inner.error)

    def log_f(self, log_lam: Array) -> Array:
        """Unnormalised log density of log lambda: the inner integral."""
        return integrate_sigma(self.data, self.log_prior, log_lam).log_total

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes of lambda, each with its grid of sigma."""
        inner = integrate_sigma(self.data, self.log_prior, self.rule.x)
        return Nodes(self.rule.x, self.rule.weight, KnownNoise(inner.log_sigma, inner.weight))

    def finer(self) -> HyperPosterior:
        """Half the step in log lambda."""
        return Plane(self.data, refine(self.rule, self.log_f), self.log_prior)

    @cached_property
    def _lambda(self) -> Marginal:
        return marginal("lambda", lambda t: self.log_f(t) - self.rule.log_total, *self.rule.ends)

    def lambda_marginal(self) -> Marginal:
        """Distribution of lambda."""
        return self._lambda

    def _sigma_range(self) -> tuple[float, float]:
        seen = self.rule.log_weight > -_CUT
        grid = self.nodes.noise.squared_scale()[seen]
        return 0.5 * float(np.log(grid.min())), 0.5 * float(np.log(grid.max()))

    def sigma_marginal(self) -> Marginal:
        """Distribution of sigma: the joint density summed over the nodes of lambda."""
        t, log_f = self.rule.x, self.rule.log_f
        log_step = self.rule.log_weight - log_f + self.rule.log_total
        log_det, Q = self.data.terms(t)

        def log_density(v: Array) -> Array:
            joint = _log_integrand(self.data, self.log_prior, t, log_det, Q, v[:, None])
            return np.asarray(np.logaddexp.reduce(joint + log_step, axis=1) - self.rule.log_total)

        return marginal("sigma", log_density, *self._sigma_range())

    def tau_marginal(self) -> Marginal:
        """Distribution of tau."""
        grid = fine_grid(self.rule, 0.5 * self.data.spectrum.nu)
        t = grid.x
        log_det, Q = self.data.terms(t)

        def log_joint(v: Array) -> Array:
            return _log_integrand(self.data, self.log_prior, t, log_det, Q, v) - self.rule.log_total

        return tau_from_joint(grid, log_joint, self._sigma_range())

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws: inverse cdf of lambda, then of sigma on its own grid given lambda."""
        lam = self._lambda.quantile(rng.random(n))
        inner = integrate_sigma(self.data, self.log_prior, np.log(lam))
        steps = np.diff(inner.log_sigma, axis=1)
        density = inner.weight / steps[:, :1]
        # cumulative integral by Hermite (corrected trapezoid) pieces: the grid resolves the density to rounding
        slope = np.gradient(density, axis=1) / steps[:, :1]
        cells = 0.5 * steps * (density[:, 1:] + density[:, :-1]) - steps**2 / 12.0 * (slope[:, 1:] - slope[:, :-1])
        cumulative = np.concatenate([np.zeros((n, 1)), np.cumsum(np.maximum(cells, 0.0), axis=1)], axis=1)
        target = rng.random(n) * cumulative[:, -1]
        cell = np.minimum((cumulative < target[:, None]).sum(axis=1) - 1, steps.shape[1] - 1).clip(0)
        rows = np.arange(n)
        share = _solve_in_cell(
            (target - cumulative[rows, cell]) / np.maximum(cells[rows, cell], 1e-300),
            density[rows, cell], density[rows, cell + 1],
        )  # fmt: skip
        return lam, np.exp(inner.log_sigma[rows, cell] + share * steps[rows, cell])


def _solve_in_cell(q: Array, left: Array, right: Array) -> Array:
    """Position within a cell of linear density: solve ``(left x + (right - left) x^2 / 2) = q (left + right) / 2``."""
    q = np.clip(q, 0.0, 1.0)
    total = left + right
    root = np.sqrt(left**2 + q * (right - left) * total)
    bottom = left + root
    return np.asarray(np.where(bottom > 0, q * total / np.where(bottom > 0, bottom, 1.0), q))


@dataclass(frozen=True, eq=False)
class InnerRule:
    """For each lambda, a grid of log sigma, its weights (summing to one), the log of the integral and its error."""

    log_sigma: Array
    weight: Array
    log_total: Array
    error: Array


def _log_integrand(
    data: Likelihood, log_prior: Callable[[Array, Array], Array], t: Array, log_det: Array, Q: Array, v: Array
) -> Array:
    with np.errstate(over="ignore"):
        value = data.constant + log_det - data.spectrum.nu * v - 0.5 * Q * np.exp(-2.0 * v) + log_prior(t, v)
    return np.where(np.isnan(value), -np.inf, value)


def integrate_sigma(data: Likelihood, log_prior: Callable[[Array, Array], Array], log_lam: Array) -> InnerRule:
    """Integrate log sigma out at each log lambda."""
    t = log_lam[:, None]
    log_det, Q = (a[:, None] for a in data.terms(log_lam))
    nu = data.spectrum.nu
    centre = 0.5 * np.log(Q / nu)
    low, high = centre - 8.0, centre + 8.0 + 45.0 / nu
    fractions = np.linspace(0.0, 1.0, _ZOOM_POINTS)
    for _ in range(_ZOOM_ROUNDS):
        v = low + (high - low) * fractions
        f = _log_integrand(data, log_prior, t, log_det, Q, v)
        seen = f > f.max(axis=1, keepdims=True) - _CUT
        first = np.maximum(seen.argmax(axis=1) - 1, 0)
        last = np.minimum(_ZOOM_POINTS - seen[:, ::-1].argmax(axis=1), _ZOOM_POINTS - 1)
        rows = np.arange(len(v))
        if ((last - first) > 0.75 * _ZOOM_POINTS).all():
            break
        low, high = v[rows, first][:, None], v[rows, last][:, None]
    v, step = np.linspace(low[:, 0], high[:, 0], _INNER_POINTS, axis=1, retstep=True)
    f = _log_integrand(data, log_prior, t, log_det, Q, v)
    top = f.max(axis=1, keepdims=True)
    share = np.exp(f - np.where(np.isfinite(top), top, 0.0))
    total = share.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_total = (top + np.log(total) + np.log(np.asarray(step)[:, None]))[:, 0]
    weight = share / np.where(total > 0, total, 1.0)
    return InnerRule(v, weight, log_total, weights_error(weight))


def plane_posterior(data: Likelihood, on_lambda: Density | None, on_tau: Density | None, noise: Density) -> Plane:
    """Place the nodes for priors on (tau, sigma) or (lambda, sigma).

    A density of log tau at fixed sigma is one of log lambda: ``log lambda = 2 log sigma - 2 log tau`` halves it.
    """

    def log_prior(t: Array, v: Array) -> Array:
        if on_lambda is not None:
            return on_lambda(t) + noise(v)
        assert on_tau is not None
        return np.asarray(on_tau(v - 0.5 * t) - np.log(2.0) + noise(v))

    def log_f(t: Array) -> Array:
        return integrate_sigma(data, log_prior, t).log_total

    return Plane(data, integrate(log_f, data.scan(), "log lambda"), log_prior)
