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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.optimize import minimize
from scipy.special import digamma, logsumexp, polygamma

from bayesridge.errors import DataError
from bayesridge.hyper.importance import WeightedPosterior, weighted_posterior
from bayesridge.hyper.likelihood import log_density_of_log_sigma, log_sigma_range
from bayesridge.hyper.line import FineGrid, tau_from_joint
from bayesridge.hyper.marginal import Marginal, PointMass, Scalar, correlation, marginal
from bayesridge.hyper.nodes import ConjugateNoise, KnownNoise, Nodes
from bayesridge.hyper.target import Target
from bayesridge.linalg.engine import Engine
from bayesridge.priors import ScalePrior

Array = NDArray[np.float64]

#: By the number of thetas: nats below the top, and standard deviations a step; nodes are many where thetas are.
_SIZES = {1: (14.0, 0.8), 2: (14.0, 0.8), 3: (12.0, 1.0), 4: (10.0, 1.0)}
_HEAVY_SIZES = (8.0, 1.0)
_MOST_THETAS = 4
_MOST_NODES = 60_000
_MIXED = 1 << 20  # candidates times nodes, at a time
_ASKED = 1e-3
_NEGLIGIBLE = 1e-9
_SPLINE_ERROR = 1e-7
_NEARLY_NORMAL = 1_000.0  # shapes of sigma^2: log sigma has a skewness of -0.03 and less


@dataclass(frozen=True, eq=False)
class Filled:
    """A filled lattice: coordinates, theta (K, G), log density and rate (K,), log volume of a cell, where it ends."""

    index: NDArray[np.intp]
    theta: Array
    log_f: Array
    rate: Array
    log_cell: float
    drop: float

    @cached_property
    def log_total(self) -> float:
        """Log of the integral."""
        return float(logsumexp(self.log_f)) + self.log_cell

    @cached_property
    def weight(self) -> Array:
        """Probability of each node, summing to one."""
        return np.exp(self.log_f + self.log_cell - self.log_total)

    @cached_property
    def step_errors(self) -> Array:
        """For each axis, the relative error that sums over every second plane suggest for all of them."""
        even = (self.index % 2 == 0).T @ self.weight
        return np.asarray(np.abs(2.0 * even - 1.0) ** 1.75)

    @property
    def cut(self) -> float:
        """Share of the nodes at the cut, about what lies beyond them."""
        return float(self.weight[self.log_f < self.log_f.max() - self.drop].sum())


def sizes(target: Target, dims: int) -> tuple[float, float]:
    """Nats below the top at which a lattice ends, and its steps in standard deviations."""
    return target.sizes or (_HEAVY_SIZES if target.engine.heavy else _SIZES[min(dims, 4)])


def fill(target: Target | Emulated, centre: Array, axes: Array, drop: float) -> Filled:
    """Fill a lattice from `centre` outwards; the columns of `axes` are its steps.

    Raises
    ------
    DataError
        If it takes too many nodes.
    """
    dims = len(centre)
    moves = np.concatenate([np.eye(dims, dtype=np.intp), -np.eye(dims, dtype=np.intp)])
    front = np.zeros((1, dims), dtype=np.intp)
    known: set[tuple[int, ...]] = {(0,) * dims}
    found: list[tuple[NDArray[np.intp], Array, Array, Array]] = []
    top = -np.inf
    while len(front):
        theta = centre + front @ axes.T
        log_f, rate = target(theta)
        found.append((front, theta, log_f, rate))
        top = max(top, float(log_f.max()))
        if len(known) > _MOST_NODES:
            raise DataError(
                f"the posterior of {dims} lambdas would take more than {_MOST_NODES} nodes: join groups, or state "
                "priors that say more of them"
            )
        inner = front[log_f > top - drop]
        near = {tuple(map(int, one)) for one in (inner[:, None] + moves).reshape(-1, dims)} - known
        known |= near
        front = np.array(sorted(near), dtype=np.intp).reshape(-1, dims)
    index, theta, log_f, rate = (np.concatenate(part) for part in zip(*found, strict=True))
    return Filled(index, theta, log_f, rate, float(np.log(np.abs(np.linalg.det(axes)))), drop)


@dataclass(frozen=True, eq=False)
class Emulated:
    """Log density and log rate as polynomials of the fourth degree in a lattice's coordinates; nothing beyond it."""

    mode: Array
    inverse: Array
    powers: NDArray[np.intp]
    coefficients: Array
    reach: float
    nothing: float

    def __call__(self, theta: Array) -> tuple[Array, Array]:
        """Log density and rate at theta (K, G)."""
        u = (theta - self.mode) @ self.inverse.T
        log_f, log_rate = (_monomials(u, self.powers) @ self.coefficients).T
        inside = np.square(u).sum(axis=1) <= self.reach
        return np.where(inside, log_f, self.nothing), np.exp(np.where(inside, log_rate, self.coefficients[0, 1]))


def _monomials(u: Array, powers: NDArray[np.intp]) -> Array:
    return np.asarray(np.prod(u[:, None] ** powers, axis=2))


def emulate(filled: Filled, mode: Array, axes: Array) -> Emulated:
    """Put a polynomial through the nodes of a lattice, by least squares where the density is."""
    dims = len(mode)
    powers = np.array([one for one in product(range(5), repeat=dims) if sum(one) <= 4])
    u = filled.index.astype(np.float64)
    seen = np.isfinite(filled.log_f)
    root = np.sqrt(np.maximum(filled.weight[seen] / filled.weight.max(), 1e-3))[:, None]
    values = np.column_stack([filled.log_f[seen], np.log(filled.rate[seen])])
    coefficients = np.linalg.lstsq(_monomials(u[seen], powers) * root, values * root, rcond=None)[0]
    top = float(filled.log_f.max())
    reach = float(np.square(u[filled.log_f > top - filled.drop - 2.0]).sum(axis=1).max())
    return Emulated(mode, np.linalg.inv(axes), powers, coefficients, reach, top - 60.0)


def locate(target: Target) -> tuple[Array, Array]:
    """Find the mode of theta, and its principal axes, one standard deviation long by the fall on the steeper side."""

    def log_f(theta: Array) -> Array:
        return target(theta)[0]

    start = target.engine.region()
    values = log_f(start)
    mode = start[int(np.argmax(values))]
    dims = len(mode)

    def downhill(theta: Array) -> tuple[float, Array]:
        h = 1e-3 * np.eye(dims)
        value = np.maximum(log_f(np.concatenate([theta[None], theta + h, theta - h])), -1e100)
        return -float(value[0]), -(value[1 : dims + 1] - value[dims + 1 :]) / 2e-3

    found = _newton(log_f, mode) if target.engine.heavy else None
    if found is None:
        for _ in range(14):  # a first step across a wide box may land where the evidence is none, and end the search
            bounds, before = [(m - 3.0, m + 3.0) for m in mode], mode
            mode = minimize(downhill, mode, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100}).x
            if np.abs(mode - before).max() < 3.0:
                break
        hessian = _hessian(log_f, mode, 0.1)[2]
    else:
        mode, hessian = found
    curvature, axes = np.linalg.eigh(-0.5 * (hessian + hessian.T))
    length = 1.0 / np.sqrt(np.clip(curvature, 0.05, 1e8))
    top = float(log_f(mode[None])[0])
    for _ in range(2):
        fall = np.array([top - log_f(mode + side * (axes * length).T) for side in (1.0, -1.0)])
        length = length / np.sqrt(np.clip(2.0 * fall.max(axis=0), 0.1, 25.0))
    return mode, axes * length


def _hessian(log_f: Callable[[Array], Array], at: Array, h: float) -> tuple[float, Array, Array]:
    """Value, gradient and second derivatives by differences of step h."""
    unit = h * np.eye(len(at))
    pairs = [(i, j) for i in range(len(at)) for j in range(i)]
    corners = [at + a * unit[i] + b * unit[j] for i, j in pairs for a, b in product((1.0, -1.0), repeat=2)]
    value = log_f(np.array([at, *(at + unit), *(at - unit), *corners]))
    up, down = value[1 : len(at) + 1], value[len(at) + 1 : 2 * len(at) + 1]
    hessian = np.diag(up - 2.0 * value[0] + down)
    for (i, j), four in zip(pairs, value[2 * len(at) + 1 :].reshape(-1, 4), strict=True):
        hessian[i, j] = hessian[j, i] = 0.25 * (four[0] - four[1] - four[2] + four[3])
    return float(value[0]), (up - down) / (2.0 * h), hessian / h**2


def _newton(log_f: Callable[[Array], Array], mode: Array) -> tuple[Array, Array] | None:
    """Mode and second derivatives by Newton's steps, each at most one long; None where they do not get there."""
    for _ in range(12):
        _, gradient, hessian = _hessian(log_f, mode, 0.05)
        if not np.isfinite(hessian).all():
            return None
        values, vectors = np.linalg.eigh(hessian)
        step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-2))  # uphill, whatever the curvature
        mode = mode + step / max(1.0, float(np.abs(step).max()) / 1.5)
        if (
            values[-1] < 0 and gradient @ step < 1e-3
        ):  # a twentieth of a standard deviation, squared, was left before this step
            return mode, hessian
    return None


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
        return fill(self.target, self.mode, self.axes, self._drop)

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
        filled = fill(self._quick, self.mode, sheared[back], self._drop)
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

        return marginal("sigma", log_density, *self._log_sigma_range, rounding=_SPLINE_ERROR)

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


@dataclass(frozen=True, eq=False)
class Slices:
    """The density of one log lambda at equal steps, and log sigma there: its mean, and its average variance."""

    x: Array
    log_p: Array
    log_sigma: Array
    variance: float

    @cached_property
    def log_density(self) -> Callable[[Array], Array]:
        """A spline of the logarithm, straight beyond its ends, normalised."""
        spline = make_interp_spline(self.x, self.log_p, k=5)
        return partial(_straight_beyond, spline, self.x[0], self.x[-1])

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Where the density has all its mass."""
        low, high = self.x[[0, -1]]
        slopes = np.abs(np.diff(self.log_density(np.array([low - 1.0, low, high, high + 1.0]))))[[0, 2]]
        reach = 24.0 / np.maximum(slopes, 0.05)
        return float(low - reach[0]), float(high + reach[1])

    def lambda_marginal(self, name: str) -> Marginal:
        """Distribution of lambda."""
        return marginal(name, self.log_density, *self.ends, rounding=_SPLINE_ERROR)

    def tau_marginal(self, name: str, sigma_range: tuple[float, float]) -> Marginal:
        """Distribution of ``tau = sigma / sqrt(lambda)``: sigma^2 inverse-gamma given lambda, by its two moments."""
        low, high = self.ends
        if self.variance == 0.0:
            v = float(self.log_sigma[0])
            return marginal(
                name, lambda x: self.log_density(2.0 * (v - x)) + np.log(2.0), v - 0.5 * high, v - 0.5 * low,
                rounding=_SPLINE_ERROR,
            )  # fmt: skip
        shape = _shape_of(4.0 * self.variance)
        if shape > _NEARLY_NORMAL:
            return self._tau_of_narrow_sigma(name)
        # steps of 0.7 widths of the bell of sigma in log lambda, as for one lambda
        grid = np.linspace(low, high, int((high - low) * np.sqrt(shape + 10.0) / 0.7) + 200)
        rate = np.exp(2.0 * self._centre(grid) + float(digamma(shape)))
        log_p = self.log_density(grid)

        def log_joint(v: Array) -> Array:
            return log_p + log_density_of_log_sigma(v, shape, rate)

        fine = FineGrid(grid, np.full(len(grid), np.log(grid[1] - grid[0])))
        return tau_from_joint(fine, log_joint, sigma_range, _SPLINE_ERROR, name)

    def _centre(self, x: Array) -> Array:
        """Mean of log sigma at log lambda = x."""
        return np.asarray(make_interp_spline(self.x, self.log_sigma, k=3)(np.clip(x, self.x[0], self.x[-1])))

    def _tau_of_narrow_sigma(self, name: str) -> Marginal:
        """Distribution of tau where log sigma is normal to a few per cent of its own, small, standard deviation.

        ``log tau = w(x) + sd u`` with ``w = centre(x) - x / 2`` falling and u standard normal: its density is the mean
        over u of that of w, by Hermite's rule.
        """
        x = np.linspace(*self.ends, 4_001)
        w = self._centre(x) - 0.5 * x
        if not (np.diff(w) < 0).all():
            raise DataError(f"{name} has no distribution by itself here: sigma grows as fast as the root of lambda")
        back = make_interp_spline(w[::-1], x[::-1], k=3)
        u, share = hermegauss(31)
        u, log_share = u * np.sqrt(self.variance), np.log(share / share.sum())

        def log_density(t: Array) -> Array:
            at = np.clip(t[:, None] - u, w[-1], w[0])
            value = self.log_density(back(at)) + np.log(np.abs(back(at, 1)))
            return np.asarray(logsumexp(log_share + value, axis=1))

        return marginal(name, log_density, float(w[-1] - u[-1]), float(w[0] + u[-1]), rounding=_SPLINE_ERROR)


def _straight_beyond(spline: Callable[..., Array], low: float, high: float, x: Array) -> Array:
    inside = np.clip(x, low, high)
    ends = np.array([low, high])
    slopes = spline(ends, 1)
    return np.asarray(spline(inside) + np.where(x < low, (x - low) * slopes[0], (x - high) * slopes[1] * (x > high)))


def _shape_of(variance: float) -> float:
    """Shape a of a gamma variable whose logarithm has this variance: trigamma(a) = variance, by Newton's steps."""
    a = 0.5 + 1.0 / variance
    for _ in range(30):
        step = (float(polygamma(1, a)) - variance) / float(polygamma(2, a))
        a = max(a - step, 0.1 * a)
        if abs(step) < 1e-12 * a:
            break
    return a


def lattice_posterior(engine: Engine, prior: ScalePrior, noise: ScalePrior) -> LatticePosterior | WeightedPosterior:
    """Place the nodes; axes whose steps show are halved. Many thetas are sampled instead."""
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
    return found
