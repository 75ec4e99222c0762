"""Posteriors with nodes along a line: lambda free, or sigma free with tau or lambda known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesridge.hyper.likelihood import Likelihood, log_density_of_log_sigma, log_growth, log_sigma_range
from bayesridge.hyper.marginal import Marginal, PointMass, marginal, marginal_of_rule
from bayesridge.hyper.nodes import ConjugateNoise, KnownNoise, Nodes, OneLambda
from bayesridge.hyper.quadrature import LineRule, gauss_points, integrate, refine
from bayesridge.hyper.rows import RowRule, integrate_rows
from bayesridge.priors import Conjugate, Density, ScalePrior

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Line(OneLambda):
    """A density along one of log lambda and log sigma, integrated by a rule."""

    rule: LineRule
    log_f: Density
    constant: float

    @property
    def log_marginal(self) -> float:
        """Log p(y)."""
        return self.rule.log_total + self.constant

    @property
    def error(self) -> float:
        """Estimated relative error of the quadrature."""
        return self.rule.error

    def finer(self) -> Self:
        """Half the step."""
        return replace(self, rule=refine(self.rule, self.log_f))

    def log_density(self, x: Array) -> Array:
        """Normalised log density along the line."""
        return self.log_f(x) - self.rule.log_total

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes along the line."""
        return replace(self._nodes(self.rule.x, self.rule.weight), fewer=lambda k: self._nodes(*self.rule.gauss(k)))

    @abstractmethod
    def _nodes(self, x: Array, weight: Array) -> Nodes: ...


@dataclass(frozen=True, eq=False)
class ConjugateLine(Line):
    """Lambda free, sigma^2 inverse-gamma given lambda: Student-t nodes along log lambda."""

    shape: float
    rate_at: Callable[[Array], Array]

    def _nodes(self, x: Array, weight: Array) -> Nodes:
        return Nodes(x[:, None], weight, ConjugateNoise(self.shape, self.rate_at(x)))

    @cached_property
    def _lambda(self) -> Marginal:
        return marginal_of_rule("lambda", self.log_density, self.rule)

    def lambda_marginal(self) -> Marginal:
        """Distribution of lambda."""
        return self._lambda

    def sigma_marginal(self) -> Marginal:
        """Mixture of inverse-gamma roots over nodes dense enough for the bells to overlap."""
        rule, rate = self.rule, self.rate_at(self.rule.x)
        for _ in range(_MOST_REFINEMENTS):
            # a bell is 1 / sqrt(4 shape) wide in log sigma; log sigma moves by half of log rate
            if _largest_step(rule, rate) <= 1.0 / np.sqrt(self.shape):
                break
            rule = refine(rule, self.log_f)
            rate = self.rate_at(rule.x)
        seen = rule.log_weight > -_NEGLIGIBLE
        log_weight, rate = rule.log_weight[seen], rate[seen]

        def log_density(v: Array) -> Array:
            return _log_sum(log_weight + log_density_of_log_sigma(v[:, None], self.shape, rate))

        return marginal("sigma", log_density, *self.log_sigma_range(), rounding=rule.rounding)

    def log_sigma_range(self) -> tuple[float, float]:
        """Where log sigma has its mass."""
        low, high = log_sigma_range(self.shape)
        centre = 0.5 * np.log(self.nodes.noise.squared_scale()[self.rule.log_weight > -40.0, 0])
        return float(centre.min() + low), float(centre.max() + high)

    def tau_marginal(self) -> Marginal:
        """Distribution of ``tau = sigma / sqrt(lambda)``, the joint density integrated along lambda."""
        fine = self.fine()
        if fine is None:
            return tau_along_rows(self._log_joint, self.rule, self.log_sigma_range())
        grid, log_density, rate = fine

        def log_joint(v: Array, part: slice) -> Array:
            return log_density[part] + log_density_of_log_sigma(v, self.shape, rate[part])

        return tau_from_joint(grid, log_joint, self.log_sigma_range(), self.rule.rounding)

    def fine(self) -> tuple[FineGrid, Array, Array] | None:
        """Nodes that resolve sigma at any tau, the log density of log lambda and the rate of sigma^2 there."""
        grid = fine_grid(self.rule, self.shape)
        return None if grid is None else (grid, self.log_density(grid.x), self.rate_at(grid.x))

    def _log_joint(self, t: Array, v: Array) -> Array:
        """Normalised log density of (log lambda, log sigma), t and v of the same shape."""
        rate = self.rate_at(t.ravel()).reshape(t.shape)
        return self.log_density(t.ravel()).reshape(t.shape) + log_density_of_log_sigma(v, self.shape, rate)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, sigma): inverse cdf, then inverse gamma."""
        lam = self._lambda.quantile(rng.random(n))
        return lam, np.sqrt(self.rate_at(np.log(lam)) / rng.standard_gamma(self.shape, n))


def _largest_step(rule: LineRule, rate: Array) -> float:
    """Largest step of log rate between neighbouring nodes that count (not over a gap between two modes)."""
    seen = rule.log_weight > -_NEGLIGIBLE
    return float(np.abs(np.diff(np.log(rate)))[seen[1:] & seen[:-1]].max(initial=0.0))


@dataclass(frozen=True, eq=False)
class FineGrid:
    """Nodes in log lambda for integrals over it, and the logarithms of their widths."""

    x: Array
    log_width: Array


def fine_grid(rule: LineRule, shape: float) -> FineGrid | None:
    """Nodes that resolve the posterior of lambda times the density of sigma at fixed tau.

    The latter is a bell of width ``1 / sqrt(shape)`` in log lambda; a step of 0.7 widths of the product leaves an error
    of exp(-2 pi^2 / 0.49). Where the density has a jump, Gauss points in cells that end there take the place of steps.
    None if that takes too many points.
    """
    if rule.edges is not None:
        parts = max(1, int(np.ceil(np.sqrt(shape) * np.diff(rule.edges).max() / 8.0)))
        if 16 * parts * len(rule.edges) > _MOST_POINTS:
            return None
        edges = np.interp(np.arange((len(rule.edges) - 1) * parts + 1) / parts, np.arange(len(rule.edges)), rule.edges)
        return FineGrid(*gauss_points(edges))
    seen = rule.x[rule.log_weight > -_NEGLIGIBLE]
    low, high = float(seen[0]), float(seen[-1])
    narrowest = 3.0 * float(np.diff(rule.x).min())  # the rule takes some three steps to a standard deviation
    step = 0.7 / np.sqrt(shape + narrowest**-2)
    if (high - low) / step > _MOST_POINTS:
        return None
    x = np.linspace(low, high, max(60, int((high - low) / step)))
    return FineGrid(x, np.full(len(x), np.log(x[1] - x[0])))


_OF_PRIOR = 20_001  # points at which a prior of any shape is looked at
_NEGLIGIBLE = 40.0
_MOST_REFINEMENTS = 6
_MOST_POINTS = 8_000
_TAUS, _FEW_NODES = 32, 500  # at a time: their nodes of lambda are much the same


def tau_from_joint(
    grid: FineGrid,
    log_joint: Callable[[Array, slice], Array],
    sigma_range: tuple[float, float],
    rounding: float,
    name: str = "tau",
) -> Marginal:
    """Distribution of tau from the joint density of (log lambda, log sigma).

    At fixed tau, ``log sigma = log tau + log(lambda) / 2``, with Jacobian 1: for every tau one sum along lambda. Where
    sigma is so narrow that nodes are many, over those at which it is where its mass is.

    Parameters
    ----------
    grid : FineGrid
        k nodes of log lambda.
    log_joint : callable
        Joint log density at v = log sigma of shape (m, k) and a slice of k of the nodes.
    sigma_range : tuple of float
        Where log sigma has its mass.
    rounding : float
        Of the joint log density.
    """
    t, (low, high) = grid.x, sigma_range
    first, last = low - 0.5 * float(t[-1]), high - 0.5 * float(t[0])

    def log_density(log_tau: Array) -> Array:
        found, order = np.empty(len(log_tau)), np.argsort(log_tau)
        for few in (order[k : k + _TAUS] for k in range(0, len(order), _TAUS)):
            near, part = log_tau[few], slice(0, len(t))
            if len(t) > _FEW_NODES and first < near[0] and near[-1] < last:  # beyond these a tail is followed
                start, stop = np.searchsorted(t, [2.0 * (low - near[-1]), 2.0 * (high - near[0])])
                part = slice(max(int(start) - 1, 0), int(stop) + 1)
            found[few] = _log_sum(log_joint(near[:, None] + 0.5 * t[part], part) + grid.log_width[part])
        return found

    return marginal(name, log_density, first, last, rounding=rounding)


def tau_along_rows(
    log_joint: Callable[[Array, Array], Array], rule: LineRule, sigma_range: tuple[float, float]
) -> Marginal:
    """:func:`tau_from_joint` where sigma is known so well that no common grid of lambda sees it: one grid a tau."""
    first, last = rule.x[rule.log_weight > -_NEGLIGIBLE][[0, -1]]

    def rows(log_tau: Array) -> RowRule:
        def along(t: Array) -> Array:
            return log_joint(t, log_tau[:, None] + 0.5 * t)

        return integrate_rows(along, np.full(len(log_tau), first), np.full(len(log_tau), last))

    low, high = sigma_range[0] - 0.5 * float(last), sigma_range[1] - 0.5 * float(first)
    grid = rows(np.array([0.5 * (low + high)])).x[0]
    # the grid's own points are rounded, and their distance with them
    rounding = rule.rounding + 4.0 * float(np.spacing(np.abs(grid).max()) / (grid[1] - grid[0]))
    return marginal("tau", lambda log_tau: rows(log_tau).log_total, low, high, rounding=rounding)


def _log_sum(terms: Array) -> Array:
    top = terms.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(terms - top).sum(axis=1)) + top[:, 0])


@dataclass(frozen=True, eq=False)
class KnownSigmaLine(Line):
    """Sigma known, lambda free: Gaussian nodes along log lambda."""

    log_sigma: float

    def _nodes(self, x: Array, weight: Array) -> Nodes:
        column = np.full((len(x), 1), self.log_sigma)
        return Nodes(x[:, None], weight, KnownNoise(column, np.ones_like(column)))

    def lambda_marginal(self) -> Marginal:
        """Distribution of lambda."""
        return marginal_of_rule("lambda", self.log_density, self.rule)

    def sigma_marginal(self) -> PointMass:
        """A point."""
        return PointMass("sigma", float(np.exp(self.log_sigma)))

    def tau_marginal(self) -> Marginal:
        """``log tau = log sigma - log(lambda) / 2``."""
        low, high = (self.log_sigma - 0.5 * end for end in self.rule.ends[::-1])

        def log_density(x: Array) -> Array:
            return np.asarray(self.log_density(2.0 * (self.log_sigma - x)) + np.log(2.0))

        return marginal("tau", log_density, low, high, rounding=self.rule.rounding)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, sigma)."""
        return self.lambda_marginal().quantile(rng.random(n)), np.full(n, np.exp(self.log_sigma))


@dataclass(frozen=True, eq=False)
class SigmaLine(Line):
    """Sigma free with tau or lambda known: Gaussian nodes along log sigma."""

    log_lam: float | None
    log_tau: float | None

    def _log_lam(self, log_sigma: Array) -> Array:
        if self.log_lam is not None:
            return np.full(log_sigma.shape, self.log_lam)
        assert self.log_tau is not None
        return 2.0 * (log_sigma - self.log_tau)

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes along log sigma; one node of lambda with many sigmas when lambda is known."""
        return self._nodes(self.rule.x, self.rule.weight)

    def _nodes(self, v: Array, weight: Array) -> Nodes:
        if self.log_lam is not None:
            return Nodes(np.array([[self.log_lam]]), np.ones(1), KnownNoise(v[None, :], weight[None, :]))
        return Nodes(self._log_lam(v)[:, None], weight, KnownNoise(v[:, None], np.ones((len(v), 1))))

    def sigma_marginal(self) -> Marginal:
        """Distribution of sigma."""
        return marginal_of_rule("sigma", self.log_density, self.rule)

    def lambda_marginal(self) -> Marginal | PointMass:
        """A point, or ``sigma^2 / tau^2``."""
        if self.log_lam is not None:
            return PointMass("lambda", float(np.exp(self.log_lam)))
        assert self.log_tau is not None
        shift = self.log_tau
        low, high = (2.0 * (end - shift) for end in self.rule.ends)

        def log_density(t: Array) -> Array:
            return np.asarray(self.log_density(0.5 * t + shift) - np.log(2.0))

        return marginal("lambda", log_density, low, high, rounding=self.rule.rounding)

    def tau_marginal(self) -> Marginal | PointMass:
        """A point, or ``sigma / sqrt(lambda)``."""
        if self.log_tau is not None:
            return PointMass("tau", float(np.exp(self.log_tau)))
        assert self.log_lam is not None
        if np.isneginf(self.log_lam):
            return PointMass("tau", np.inf)
        shift = 0.5 * self.log_lam
        low, high = (end - shift for end in self.rule.ends)
        return marginal("tau", lambda x: self.log_density(x + shift), low, high, rounding=self.rule.rounding)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, sigma)."""
        sigma = self.sigma_marginal().quantile(rng.random(n))
        return np.exp(self._log_lam(np.log(sigma))), sigma


def with_modes(scan: Array, prior: ScalePrior, signal: float) -> Array:
    """Points that see every feature of the likelihood, and the modes of a prior that may have several of its own."""
    if prior.one_mode or prior.variable != "lambda":
        return scan
    x = np.linspace(scan[0], scan[-1], _OF_PRIOR)
    with np.errstate(all="ignore"):
        f, known = prior.log_density(x, signal), prior.log_density(scan, signal)
    peaks = np.flatnonzero((f[1:-1] > f[:-2]) & (f[1:-1] >= f[2:])) + 1
    beside = np.searchsorted(scan, x[peaks])
    return np.union1d(scan, x[peaks[f[peaks] > np.maximum(known[beside - 1], known[beside]) + 1.0]])


def conjugate_line(data: Likelihood, prior: ScalePrior, noise: Conjugate) -> ConjugateLine:
    """Place nodes along log lambda, sigma integrated in closed form.

    With an InvGamma(c, d) prior of sigma^2:  a = nu/2 + c,  B = Q/2 + d.
    With one of tau^2 as well, that is gamma priors G(a1, b1), G(c, d) on 1/tau^2 = lambda beta and beta = 1/sigma^2,
    the joint density of (log lambda, beta) is
    lambda^a1 beta^(a1 + c - 1) exp(-beta (b1 lambda + d)) b1^a1 d^c / (Gamma(a1) Gamma(c)),
    so that again sigma integrates out:  a = nu/2 + a1 + c,  B = Q/2 + d + b1 lambda.
    """
    c, d, norm = noise
    a1, b1, norm_tau = prior.conjugate or Conjugate(0.0, 0.0, 0.0)
    shape, floor = 0.5 * data.nu + a1 + c, data.floor + 2.0 * d

    def log_prior(t: Array) -> Array:
        return prior.log_density(t, data.signal) if prior.conjugate is None else a1 * t

    def more(t: Array) -> Array | float:
        if b1 == 0.0:
            return 0.0
        with np.errstate(over="ignore"):
            return np.asarray(2.0 * b1 * np.exp(t))

    latest: list[Array] = []  # the last grid and its excess: the nodes ask for the rate where log_f has just been

    def rate_at(t: Array) -> Array:
        excess = latest[1] if latest and latest[0] is t else data.excess(t)
        return np.asarray(0.5 * (floor + excess + more(t)))

    def log_f(t: Array) -> Array:
        log_det, excess = data.terms(t)
        latest[:] = t, excess
        return np.asarray(log_det + log_prior(t) - shape * log_growth(floor, excess + more(t)))

    constant = data.constant + norm_tau + norm + float(gammaln(shape)) - shape * float(np.log(0.5 * (floor or 1.0)))
    rule = integrate(log_f, with_modes(data.scan(), prior, data.signal), "log lambda")
    return ConjugateLine(rule, log_f, constant, shape, rate_at)


def known_sigma_line(data: Likelihood, prior: ScalePrior, log_sigma: float) -> KnownSigmaLine:
    """Place nodes along log lambda, sigma known."""
    half_precision = 0.5 * np.exp(-2.0 * log_sigma)

    def log_f(t: Array) -> Array:
        log_det, excess = data.terms(t)
        return np.asarray(log_det - excess * half_precision + prior.given_sigma(t, log_sigma, data.signal))

    constant = data.constant - data.nu * log_sigma - data.floor * half_precision
    rule = integrate(log_f, with_modes(data.scan(), prior, data.signal), "log lambda")
    return KnownSigmaLine(rule, log_f, float(constant), log_sigma)
