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
from bayesridge.hyper.line import fine_grid, tau_along_rows, tau_from_joint, with_modes
from bayesridge.hyper.marginal import Marginal, marginal, marginal_of_rule
from bayesridge.hyper.nodes import KnownNoise, Nodes, OneLambda
from bayesridge.hyper.quadrature import ASKED_ACCURACY, LineRule, integrate, refine
from bayesridge.hyper.rows import RowRule, integrate_rows
from bayesridge.priors import ScalePrior

Array = NDArray[np.float64]

_CUT = 44.0
_MOST_REFINEMENTS = 4
_SMALL = 1e-11


@dataclass(frozen=True, eq=False)
class Plane(OneLambda):
    """Lambda and sigma both free: Gaussian nodes on a plane, organised by lambda."""

    data: Likelihood
    rule: LineRule
    log_prior: Callable[[Array, Array], Array]

    @property
    def log_marginal(self) -> float:
        """Log p(y)."""
        return self.rule.log_total + self.data.noise.constant + self.data.constant

    @cached_property
    def _inner(self) -> RowRule:
        return integrate_sigma(self.data, self.log_prior, self.rule.x)

    @property
    def error(self) -> float:
        """Estimated relative error of the quadrature, outer and inner."""
        return self.rule.error + float(self.rule.weight @ self._inner.error)

    def log_f(self, log_lam: Array) -> Array:
        """Unnormalised log density of log lambda: the inner integral."""
        return integrate_sigma(self.data, self.log_prior, log_lam).log_total

    def _log_joint(self, t: Array, v: Array) -> Array:
        """Normalised log density of (log lambda, log sigma), t and v of the same shape."""
        log_det, excess = self.data.terms(t)
        return _log_integrand(self.data, self.log_prior, t, log_det, excess, v) - self.rule.log_total

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes of lambda, each with its grid of sigma.

        The grid's step is chosen without knowing the function; nearly always every second point is as good for what is
        asked of them: its error is the 0.6th power of the grid's (see :func:`~.quadrature.weights_error`).
        """
        inner = self._inner
        fine = bool((inner.error[self.rule.log_weight > -_CUT] ** 0.6 < _SMALL).all())
        sigma, weight = inner.x[:, :: 1 + fine], inner.weight[:, :: 1 + fine]
        total = weight.sum(axis=1, keepdims=True)  # zero where a node has no density
        share = weight / np.where(total > 0, total, 1.0)
        return Nodes(self.rule.x[:, None], self.rule.weight, KnownNoise(sigma, share))

    def finer(self) -> Plane:
        """Half the step in log lambda."""
        return Plane(self.data, refine(self.rule, self.log_f), self.log_prior)

    @cached_property
    def _lambda(self) -> Marginal:
        return marginal_of_rule("lambda", lambda t: self.log_f(t) - self.rule.log_total, self.rule)

    def lambda_marginal(self) -> Marginal:
        """Distribution of lambda."""
        return self._lambda

    def _sigma_range(self) -> tuple[float, float]:
        grid = self._inner.x[self.rule.log_weight > -_CUT]
        return float(grid.min()), float(grid.max())

    def sigma_marginal(self) -> Marginal:
        """Distribution of sigma: the joint density summed over the nodes of lambda, or over lambda at each sigma."""
        plane = self
        for _ in range(_MOST_REFINEMENTS):
            if plane._ripples() < 0.1 * ASKED_ACCURACY:
                break
            plane = plane.finer()
        density = plane._sigma_over_nodes if plane._ripples() < 0.1 * ASKED_ACCURACY else plane._sigma_anew
        return marginal("sigma", density, *self._sigma_range(), rounding=self.rule.rounding)

    def _sigma_over_nodes(self, v: Array) -> Array:
        seen = np.isfinite(self.rule.log_f)  # a node without density has no weight either
        log_det, excess = (terms[seen] for terms in self._terms)
        joint = _log_integrand(self.data, self.log_prior, self.rule.x[seen], log_det, excess, v[:, None])
        return np.asarray(np.logaddexp.reduce(joint + self.rule.log_weight[seen] - self.rule.log_f[seen], axis=1))

    def _sigma_anew(self, v: Array) -> Array:
        low, high = (np.full(len(v), end) for end in self.rule.ends)
        return integrate_rows(lambda t: self._log_joint(t, v[:, None]), low, high).log_total

    @cached_property
    def _terms(self) -> tuple[Array, Array]:
        return self.data.terms(self.rule.x)

    def _ripples(self) -> float:
        """Error of a sum of bells of sigma, one a node: ``exp(-2 pi^2 / step^2)``, the step in standard deviations."""
        inner, weight = self._inner, self.rule.weight
        mean = (inner.weight * inner.x).sum(axis=1)
        sd = np.sqrt((inner.weight * (inner.x - mean[:, None]) ** 2).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            error = np.exp(-2.0 * np.square(np.pi * np.minimum(sd[1:], sd[:-1]) / np.diff(mean)))
        return float(np.nanmax(np.minimum(weight[1:], weight[:-1]) * error, initial=0.0))

    def tau_marginal(self) -> Marginal:
        """Distribution of tau."""
        inner = self._inner
        narrowest = (
            float(np.ptp(inner.x[self.rule.log_weight > -_CUT], axis=1).min()) / 19.0
        )  # 88 nats, a standard deviation
        grid = fine_grid(self.rule, max(0.5 * self.data.nu, 0.25 * narrowest**-2))
        if grid is None:
            return tau_along_rows(self._log_joint, self.rule, self._sigma_range())
        t = grid.x
        log_det, excess = self.data.terms(t)

        def log_joint(v: Array, part: slice) -> Array:
            value = _log_integrand(self.data, self.log_prior, t[part], log_det[part], excess[part], v)
            return value - self.rule.log_total

        return tau_from_joint(grid, log_joint, self._sigma_range(), self.rule.rounding)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws: inverse cdf of lambda, then of sigma on its own grid given lambda."""
        lam = self._lambda.quantile(rng.random(n))
        inner = integrate_sigma(self.data, self.log_prior, np.log(lam))
        steps = np.diff(inner.x, axis=1)
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
        return lam, np.exp(inner.x[rows, cell] + share * steps[rows, cell])


def _solve_in_cell(q: Array, left: Array, right: Array) -> Array:
    """Position within a cell of linear density: solve ``(left x + (right - left) x^2 / 2) = q (left + right) / 2``."""
    q = np.clip(q, 0.0, 1.0)
    total = left + right
    root = np.sqrt(left**2 + q * (right - left) * total)
    bottom = left + root
    return np.asarray(np.where(bottom > 0, q * total / np.where(bottom > 0, bottom, 1.0), q))


def _log_integrand(
    data: Likelihood, log_prior: Callable[[Array, Array], Array], t: Array, log_det: Array, excess: Array, v: Array
) -> Array:
    with np.errstate(invalid="ignore"):
        value = log_det + data.noise.log_factor(excess, v) + log_prior(t, v)
    return np.where(np.isnan(value), -np.inf, value)


def integrate_sigma(data: Likelihood, log_prior: Callable[[Array, Array], Array], log_lam: Array) -> RowRule:
    """Integrate log sigma out at each log lambda."""
    t = log_lam[:, None]
    log_det, excess = data.terms(log_lam)
    centre = 0.5 * np.log((data.floor + excess) / data.nu)

    def log_f(v: Array) -> Array:
        return _log_integrand(data, log_prior, t, log_det[:, None], excess[:, None], v)

    return integrate_rows(log_f, centre - 8.0, centre + 8.0 + 45.0 / data.nu)


def plane_posterior(data: Likelihood, prior: ScalePrior, noise: ScalePrior) -> Plane:
    """Place the nodes for priors on (tau, sigma) or (lambda, sigma)."""

    def log_prior(t: Array, v: Array) -> Array:
        return prior.given_sigma(t, v, data.signal) + noise.log_density(v)

    def log_f(t: Array) -> Array:
        return integrate_sigma(data, log_prior, t).log_total

    scan = with_modes(data.scan(), prior, data.signal)
    inner = integrate_sigma(data, log_prior, scan)
    with np.errstate(invalid="ignore"):  # zero everywhere: refused below
        share = np.exp(inner.log_total - inner.log_total.max())
    lost = float(share @ inner.error / share.sum())
    return Plane(data, integrate(log_f, scan, "log lambda", lost), log_prior)
