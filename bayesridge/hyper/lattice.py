r"""The posterior of several lambdas on a lattice: principal axes at the mode, about one standard deviation a step.

The trapezoidal rule in several dimensions: for a smooth density its error falls like exp(-2 pi^2 / step^2), the step in
standard deviations. The lattice is filled from the mode outwards as long as a node lies less than 14 nats below the top
(12 with three thetas, 10 with more), so that skewed and heavy tails are followed where they go. Two things go wrong and
both are measured: too large a step (sums over every second plane of nodes have to agree), and a cut tail (the shell of
nodes at the cut).

For the marginal of one lambda the same lattice is sheared, its first axis along that lambda: sums over the other axes
are exact values of its density at equal steps, and a spline of their logarithm is the density. What goes with it, sigma
given that lambda, has a mean and variance of its logarithm at each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, logsumexp, polygamma

from bayesridge.engines.engine import Engine
from bayesridge.errors import DataError
from bayesridge.hyper.filled_lattice import Emulated, Filled, emulate, fill, locate, near_mode, sizes
from bayesridge.hyper.importance import WeightedPosterior, weighted_posterior
from bayesridge.hyper.likelihood import log_density_of_log_sigma, log_sigma_range
from bayesridge.hyper.marginal import Marginal, PointMass, Scalar, correlation, marginal
from bayesridge.hyper.nodes import ConjugateNoise, KnownNoise, Nodes
from bayesridge.hyper.slices import SPLINE_ERROR, Slices
from bayesridge.hyper.target import Target
from bayesridge.priors import ScalePrior

Array = NDArray[np.float64]

_MOST_THETAS = 4
_MIXED = 1 << 20  # candidates times nodes, at a time
_NEAR = 0.6  # of the nats to the cut: what lies nearer in a normal density is asked for at once
_ASKED = 1e-3
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, eq=False)
class LatticePosterior:
    """The posterior of several lambdas and sigma."""

    target: Target
    mode: Array
    axes: Array

    #: What an estimated relative error may be before it is warned of.
    asked = 2e-3

    @cached_property
    def _filled(self) -> Filled:
        dims, step = len(self.mode), sizes(self.target, len(self.mode))[1]
        first = None if self.target.engine.heavy else near_mode(step, _NEAR * self._drop, dims)
        return fill(self.target, self.mode, self.axes, self._drop, first)

    @property
    def _drop(self) -> float:
        return sizes(self.target, len(self.mode))[0]

    @cached_property
    def _quick(self) -> Target | Emulated:
        """What is asked at many thetas: the density itself, or where that is heavy a polynomial through the nodes."""
        return emulate(self._filled, self.mode, self.axes) if self.target.engine.heavy else self.target

    @property
    def log_marginal(self) -> float:
        """Log p(y)."""
        return self._filled.log_total + self.target.constant

    @property
    def error(self) -> float:
        """Estimated relative error of the quadrature: of its steps, and of the tails that it cuts."""
        return float(self._filled.step_errors.max()) + self._filled.cut

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes that count."""
        filled = self._filled
        seen = filled.weight > _NEGLIGIBLE
        weight = filled.weight[seen] / filled.weight[seen].sum()
        if self.target.noise is not None:
            return Nodes(filled.theta[seen], weight, ConjugateNoise(self.target.shape, filled.rate[seen]))
        column = np.full((len(weight), 1), self.target.log_sigma)
        return Nodes(filled.theta[seen], weight, KnownNoise(column, np.ones_like(column)))

    @property
    def check(self) -> tuple[str, ...]:
        """Nothing is to be said of numbers that were not sampled."""
        return ()

    def finer(self) -> LatticePosterior:
        """Half the steps."""
        return replace(self, axes=0.5 * self.axes)

    # -- scales --------------------------------------------------------------------------------------------------

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple([name.removeprefix("log ") for name in self.target.engine.theta_names])

    def scales(self) -> Mapping[str, Scalar]:
        """Every lambda, sigma, and every tau."""
        return self._scales

    @cached_property
    def _scales(self) -> dict[str, Scalar]:
        slices = {name: self.slices(g) for g, name in enumerate(self._names)}
        lambdas = self._names[: len(self.target.engine.signals)]
        found: dict[str, Scalar] = {name: slices[name].lambda_marginal(name) for name in lambdas}
        found["sigma"] = self.sigma_marginal()
        for name in lambdas:
            tau = name.replace("lambda", "tau", 1)
            found[tau] = slices[name].tau_marginal(tau, self._log_sigma_range)
        for name in self._names[len(lambdas) :]:
            rho = name.removeprefix("atanh ")
            found[rho] = correlation(rho, slices[name].log_density, slices[name].ends)
        return found

    def slices(self, g: int) -> Slices:
        """The lattice sheared so that its first axis is that of lambda g: sums over the planes across it."""
        dims = len(self.mode)
        order = [g, *[k for k in range(dims) if k != g]]
        covariance = (self.axes @ self.axes.T)[np.ix_(order, order)]
        sheared = np.linalg.cholesky(covariance)
        sheared[:, 0] *= 0.5
        back = np.argsort(order)
        likely = self._filled.likely(self.axes, sheared[back])
        filled = fill(self._quick, self.mode, sheared[back], self._drop, likely)
        planes, first = np.unique(filled.index[:, 0], return_inverse=True)
        top = filled.log_f.max()
        mass = np.bincount(first, np.exp(filled.log_f - top))
        x = self.mode[g] + planes * sheared[0, 0]
        log_density = top + np.log(mass) + filled.log_cell - np.log(sheared[0, 0]) - filled.log_total
        seen = log_density > log_density.max() - self._drop + 2.0  # planes at the cut hold a part of their mass
        if self.target.noise is None:
            return Slices(x[seen], log_density[seen], np.full(int(seen.sum()), self.target.log_sigma), 0.0)
        share = np.exp(filled.log_f - top) / mass[first]
        half = 0.5 * np.log(filled.rate)
        centre = np.bincount(first, share * half)
        spread = np.bincount(first, share * np.square(half - centre[first]))
        extra = float(np.exp(log_density) @ spread / np.exp(log_density).sum())
        shape = self.target.shape
        variance = 0.25 * float(polygamma(1, shape)) + extra
        return Slices(x[seen], log_density[seen], (centre - 0.5 * float(digamma(shape)))[seen], variance)

    @cached_property
    def _log_sigma_range(self) -> tuple[float, float]:
        if self.target.noise is None:
            return self.target.log_sigma, self.target.log_sigma
        low, high = log_sigma_range(self.target.shape)
        centre = 0.5 * np.log(self.nodes.noise.squared_scale()[:, 0])
        return float(centre.min() + low), float(centre.max() + high)

    def sigma_marginal(self) -> Marginal | PointMass:
        """Mixture of inverse-gamma roots over the nodes."""
        finer = self
        for _ in range(2):
            if self.target.noise is None or finer._sigma_steps() <= 1.0 / np.sqrt(self.target.shape):
                break
            finer = finer.finer()
        nodes, noise = finer.nodes, finer.nodes.noise
        if not isinstance(noise, ConjugateNoise):
            return PointMass("sigma", float(np.exp(self.target.log_sigma)))
        log_weight, shape, rate = np.log(nodes.weight), noise.shape, noise.rate

        def log_density(v: Array) -> Array:
            return np.asarray(logsumexp(log_weight + log_density_of_log_sigma(v[:, None], shape, rate), axis=1))

        return marginal("sigma", log_density, *self._log_sigma_range, rounding=SPLINE_ERROR)

    def _sigma_steps(self) -> float:
        """How far log rate moves from node to node: bells of log sigma^2, 1 / sqrt(shape) wide, have to overlap."""
        filled = self._filled
        root = np.sqrt(filled.weight)
        rows = np.column_stack([np.ones(len(root)), filled.index])
        slopes = np.linalg.lstsq(rows * root[:, None], np.log(filled.rate) * root, rcond=None)[0][1:]
        return float(np.abs(slopes).max())

    def lambda_marginal(self) -> Marginal:
        """There is none: a model with several lambdas has one for each group."""
        raise DataError(f"the model has several lambdas: ask scales for one of {', '.join(self._names)}")

    def tau_marginal(self) -> Marginal:
        """There is none either."""
        raise DataError(f"the model has several scales: ask scales for one of {', '.join(self.scales())}")

    # -- draws ---------------------------------------------------------------------------------------------------

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of the lambdas (n, G) and sigma (n,).

        Rejection: the lattice's nodes, each widened to a normal half a step wide, make a proposal somewhat wider than
        the posterior, whose density is then asked at every candidate. The bound is the largest ratio seen.
        """
        nodes, inverse = self.nodes, np.linalg.inv(self.axes)
        at = (nodes.theta - self.mode) @ inverse.T
        accepted: list[Array] = []
        bound, count = -np.inf, 0
        while count < n:
            size = int(1.3 * (n - count)) + 20
            u = at[rng.choice(len(at), size, p=nodes.weight)] + 0.6 * rng.standard_normal((size, at.shape[1]))
            theta = self.mode + u @ self.axes.T
            log_f, rate = self._quick(theta)
            ratio = log_f - _log_mixture(u, at, nodes.weight, 0.6)
            bound = max(bound, float(ratio.max()))
            keep = np.log(rng.random(size)) < ratio - bound
            accepted.append(np.column_stack([theta, rate])[keep])
            count += int(keep.sum())
        found = np.concatenate(accepted)[:n]
        theta, rate = found[:, :-1], found[:, -1]
        if self.target.noise is None:
            return np.exp(theta), np.full(n, np.exp(self.target.log_sigma))
        return np.exp(theta), np.sqrt(rate / rng.standard_gamma(self.target.shape, n))


def _log_mixture(u: Array, at: Array, weight: Array, width: float) -> Array:
    height = np.log(weight) - 0.5 * np.square(at / width).sum(axis=1)
    found = []
    for part in np.array_split(u, max(1, u.shape[0] * len(at) // _MIXED)):
        terms = part @ (at.T / width**2)
        terms += height
        top = terms.max(axis=1, keepdims=True)
        terms -= top
        np.exp(terms, out=terms)
        found.append(top[:, 0] + np.log(terms.sum(axis=1)) - 0.5 * np.square(part / width).sum(axis=1))
    return np.concatenate(found)


def lattice_posterior(engine: Engine, prior: ScalePrior, noise: ScalePrior) -> LatticePosterior | WeightedPosterior:
    """Place the nodes; axes whose steps show are halved. Many thetas, and densities that jump, are sampled instead."""
    if prior.variable != "lambda" or prior.known is not None:
        raise DataError(f"with several lambdas a prior is of R², lambda or tau/sigma, to be learnt, not {prior.text}")
    if noise.known is None and noise.conjugate is None:
        raise DataError(
            f"with several groups the noise prior is Jeffreys(), InverseGamma(...) or FixedSigma(...), not {noise.text}"
        )
    log_sigma = np.nan if noise.known is None else float(np.log(noise.known))
    target = Target(engine, prior, None if noise.known is not None else noise.conjugate, log_sigma)
    mode, axes = locate(target)
    if len(mode) > (_MOST_THETAS - 2 if engine.heavy else _MOST_THETAS):
        return weighted_posterior(target, mode, axes)
    found = LatticePosterior(target, mode, sizes(target, len(mode))[1] * axes)
    for _ in range(3):
        coarse = found._filled.step_errors > _ASKED
        if not coarse.any():
            break
        found = replace(found, axes=found.axes * np.where(coarse, 0.5, 1.0))
    return weighted_posterior(target, mode, axes) if found._filled.jumps else found
