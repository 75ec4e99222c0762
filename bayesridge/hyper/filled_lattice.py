"""The lattice itself: its mode and axes, the nodes that fill it, and a polynomial through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter
from scipy.optimize import minimize
from scipy.special import logsumexp

from bayesridge.errors import DataError
from bayesridge.hyper.target import Target

Array = NDArray[np.float64]

#: By the number of thetas: nats below the top, and standard deviations a step; nodes are many where thetas are.
_SIZES = {1: (14.0, 0.8), 2: (14.0, 0.8), 3: (12.0, 1.0), 4: (10.0, 1.0)}
_HEAVY_SIZES = (8.0, 1.0)
_MOST_NODES = 60_000
_COUNTS = 7.0  # nats below the top, where a step has a thousandth of the mass


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

    @cached_property
    def jumps(self) -> bool:
        """Whether nodes without density lie beside nodes that count: steps see such an end to their own length only."""
        empty = self.index[np.isneginf(self.log_f)]
        counted = self.index[self.log_f > self.log_f.max() - _COUNTS]
        low, shape = self.index.min(axis=0) - 1, tuple(np.ptp(self.index, axis=0) + 3)
        moves = np.concatenate([np.eye(len(low), dtype=np.intp), -np.eye(len(low), dtype=np.intp)])
        beside = (counted[:, None] + moves).reshape(-1, len(low)) - low
        places = [np.ravel_multi_index(tuple(at.T), shape) for at in (beside, empty - low)]
        return bool(np.isin(*places).any())

    def likely(self, own: Array, axes: Array) -> NDArray[np.intp]:
        """Nodes of a lattice with other axes about the same mode whose nearest node in this one counts."""
        seen = self.index[self.log_f > self.log_f.max() - self.drop]
        low, width = seen.min(axis=0) - 1, np.ptp(seen, axis=0) + 3
        counts = np.zeros(width, dtype=bool)
        counts[tuple((seen - low).T)] = True
        back = np.linalg.inv(axes) @ own  # from these coordinates to those
        reach = np.abs(seen @ back.T).max(axis=0).astype(np.intp) + 1
        if np.prod(2 * reach + 1) > _MOST_NODES:
            return np.zeros((1, len(reach)), dtype=np.intp)
        box = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, len(reach))
        here = np.clip(np.rint(box @ np.linalg.inv(back).T).astype(np.intp) - low, 0, width - 1)
        return np.asarray(box[counts[tuple(here.T)]])


def sizes(target: Target, dims: int) -> tuple[float, float]:
    """Nats below the top at which a lattice ends, and its steps in standard deviations."""
    return target.sizes or (_HEAVY_SIZES if target.engine.heavy else _SIZES[min(dims, 4)])


def near_mode(step: float, nats: float, dims: int) -> NDArray[np.intp]:
    """Nodes less than so many nats below the top, where the density is normal and steps are as long as said."""
    reach = int(np.sqrt(2.0 * nats) / step)
    box = np.array(list(product(range(-reach, reach + 1), repeat=dims)), dtype=np.intp)
    return box[np.square(box).sum(axis=1) * step**2 <= 2.0 * nats]


def fill(
    target: Target | Emulated, centre: Array, axes: Array, drop: float, first: NDArray[np.intp] | None = None
) -> Filled:
    """Fill a lattice from `centre` outwards; the columns of `axes` are its steps.

    Parameters
    ----------
    first : ndarray of int, shape (m, G), optional
        Nodes that are likely to count, which are asked for together; the centre alone, if left out.

    Raises
    ------
    DataError
        If it takes too many nodes.
    """
    dims = len(centre)
    moves = np.concatenate([np.eye(dims, dtype=np.intp), -np.eye(dims, dtype=np.intp)])
    bits = 60 // dims  # a number for each node, of so many bits a coordinate
    place = (1 << bits) ** np.arange(dims)
    known = np.zeros(1, dtype=np.intp) if first is None else np.unique(first @ place)
    new = known
    found: list[tuple[NDArray[np.intp], Array, Array, Array]] = []
    top = -np.inf
    while len(new):
        front = _nodes_of(new, dims, bits)
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
        new = np.setdiff1d((inner[:, None] + moves) @ place, known)
        known = np.union1d(known, new)
    index, theta, log_f, rate = (np.concatenate(part) for part in zip(*found, strict=True))
    return Filled(index, theta, log_f, rate, float(np.log(np.abs(np.linalg.det(axes)))), drop)


def _nodes_of(number: NDArray[np.intp], dims: int, bits: int) -> NDArray[np.intp]:
    """Coordinates (m, dims) of nodes by their numbers, least significant first, about zero."""
    found = np.empty((len(number), dims), dtype=np.intp)
    for k in range(dims):
        half = 1 << (bits - 1)
        found[:, k] = (number + half) % (2 * half) - half
        number = (number - found[:, k]) >> bits
    return found


@dataclass(frozen=True, eq=False)
class Emulated:
    """Log density and log rate between the nodes of a lattice; nothing beyond its last ones.

    Polynomials of the fourth degree in its coordinates, and cubic splines through what they leave at the nodes: a
    polynomial alone, free beyond the nodes and between the arms of a bent density, may rise there without end.
    """

    mode: Array
    inverse: Array
    powers: NDArray[np.intp]
    coefficients: Array
    first: NDArray[np.intp]
    seen: NDArray[np.bool_]
    left: tuple[Array, Array]
    nothing: float

    def __call__(self, theta: Array) -> tuple[Array, Array]:
        """Log density and rate at theta (K, G)."""
        u = (theta - self.mode) @ self.inverse.T
        place = (u - self.first).T
        nearest = np.rint(place).astype(np.intp)
        ends = np.array(self.seen.shape)[:, None]
        inside = ((nearest >= 0) & (nearest < ends)).all(axis=0)
        inside &= self.seen[tuple(np.clip(nearest, 0, ends - 1))]
        log_f, log_rate = (_monomials(u, self.powers) @ self.coefficients).T
        log_f, log_rate = (
            value + map_coordinates(left, place, order=3, prefilter=False, mode="nearest")
            for value, left in zip((log_f, log_rate), self.left, strict=True)
        )
        return np.where(inside, log_f, self.nothing), np.exp(np.where(inside, log_rate, self.coefficients[0, 1]))


def _monomials(u: Array, powers: NDArray[np.intp]) -> Array:
    return np.asarray(np.prod(u[:, None] ** powers, axis=2))


def emulate(filled: Filled, mode: Array, axes: Array) -> Emulated:
    """Put polynomials, by least squares where the density is, and splines through the nodes of a lattice."""
    dims = len(mode)
    powers = np.array([one for one in product(range(5), repeat=dims) if sum(one) <= 4])
    known = np.isfinite(filled.log_f)
    u = filled.index[known].astype(np.float64)
    root = np.sqrt(np.maximum(filled.weight[known] / filled.weight.max(), 1e-3))[:, None]
    values = np.column_stack([filled.log_f[known], np.log(filled.rate[known])])
    terms = _monomials(u, powers)
    coefficients = np.linalg.lstsq(terms * root, values * root, rcond=None)[0]
    first = filled.index.min(axis=0) - 2
    at = tuple((filled.index[known] - first).T)
    shape = tuple(np.ptp(filled.index, axis=0) + 5)
    seen = np.zeros(shape, dtype=bool)
    seen[at] = True
    left = []
    for rest in (values - terms @ coefficients).T:
        table = np.zeros(shape)
        table[at] = rest
        left.append(spline_filter(table, order=3, mode="nearest"))
    top = float(filled.log_f.max())
    return Emulated(mode, np.linalg.inv(axes), powers, coefficients, first, seen, (left[0], left[1]), top - 60.0)


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
