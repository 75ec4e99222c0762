r"""One lambda inside a few more hyperparameters v: nodes of v, and at each of them the posterior given v.

    p(v | y) is proportional to p(v) p(y | v),

p(y | v) the integral over lambda and sigma that :mod:`bayesridge.hyper.infer` gives. A single v is asked on steps that
are halved about what counts until the trapezoidal rule of every second node agrees with that of all; the error that is
reported is a power of the difference that is larger than what is left. Several are asked on a lattice
(:mod:`bayesridge.hyper.lattice`).
A node costs a decomposition, so that none is asked twice. Where they are costly the engine says where to look first,
and steps are about one standard deviation from the beginning: errors of the rule fall like exp(-2 pi^2 / step^2).

Given v and lambda, sigma^2 is inverse gamma: the scales are mixtures over all nodes of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.special import logsumexp

from bayesridge.engines.engine import Engine, Nested
from bayesridge.errors import DataError
from bayesridge.hyper.filled_lattice import fill, locate
from bayesridge.hyper.lattice import LatticePosterior
from bayesridge.hyper.likelihood import log_density_of_log_sigma, log_sigma_range
from bayesridge.hyper.line import ConjugateLine, FineGrid
from bayesridge.hyper.marginal import Marginal, PointMass, Scalar, marginal
from bayesridge.hyper.nodes import ConjugateNoise, HyperPosterior, KnownNoise, Nodes
from bayesridge.hyper.slices import Slices

Array = NDArray[np.float64]

_DROP = 16.0  # nats below the top: what lies beyond holds 1e-7 of the mass
_DROP_OF_COSTLY = 11.5  # and 2e-6
_NOT_NEAR = 2.0  # nats that a parabola through the last three nodes may be too low
_DROP_OF_SEVERAL = 12.0  # and 1e-4, where nodes are many
_SEEN = 1e-8  # of a node, for the distributions of the scales
_NOTHING = 30.0  # nats below the largest
_ROUNDING, _ROUNDING_OF_MANY = 1e-9, 1e-6
_FEW_LINES, _APART = 64, 0.2  # nodes of v; of many the density of log lambda is a spline through points so far apart
_MANY_NODES, _JOINED = 20_000, 0.05  # nodes of (v, lambda), from where on they are joined over so much of a bell
_MOST = 512  # decompositions, of one v; four times as many of each more
_NORMAL_95 = 1.959963984540054
_AGREE, _AGREE_OF_COSTLY = 3e-4, 2e-3  # of the rule of every second node with that of all
_AGREE_OF_THIRDS = 0.2  # of that of every third: .04 for a normal density at such steps
_POWER = 1.75  # of that is the error of all: four for a normal density
_STEP = 0.8
_COARSE = 1e-3  # error of the steps of a lattice, from which on they are halved


class _Fine(NamedTuple):
    """Nodes of (v, lambda), the log density of log lambda there times the share of v, rates of sigma^2, its shape."""

    grid: FineGrid
    log_p: Array
    rate: Array
    shape: float
    lines: list[ConjugateLine]
    log_share: Array


@dataclass(frozen=True, eq=False)
class NestedPosterior:
    """The posterior of (lambda, sigma) and v.

    Attributes
    ----------
    names : tuple of str
        Of exp(v).
    v : ndarray of shape (J, h)
        Nodes, equally spaced.
    log_p : ndarray of shape (J,)
        Log of p(v) p(y | v).
    given : tuple of HyperPosterior
        Of lambda and sigma at each node.
    log_cell : float
        Log of the volume that a node stands for.
    error : float
        Estimated relative error of all integrals.
    lattice : LatticePosterior or None
        Of several v.
    """

    names: tuple[str, ...]
    v: Array
    log_p: Array
    given: tuple[HyperPosterior, ...]
    log_cell: float
    error: float
    lattice: LatticePosterior | None = None

    @property
    def share(self) -> Array:
        """Posterior probability of each v."""
        return np.exp(self.log_p - logsumexp(self.log_p))

    @property
    def log_marginal(self) -> float:
        """Log p(y)."""
        return float(logsumexp(self.log_p) + self.log_cell)

    @cached_property
    def nodes(self) -> Nodes:
        """The nodes of all v together."""
        parts = [one.nodes for one in self.given]
        theta = np.vstack([
            np.column_stack([part.theta, np.tile(v, (len(part.weight), 1))])
            for part, v in zip(parts, self.v, strict=True)
        ])  # fmt: skip
        weight = np.concatenate([share * part.weight for part, share in zip(parts, self.share, strict=True)])
        first = parts[0].noise
        noise: ConjugateNoise | KnownNoise
        if isinstance(first, ConjugateNoise):
            noise = ConjugateNoise(first.shape, np.concatenate([_conjugate(part).rate for part in parts]))
        else:
            known = [part.noise for part in parts if isinstance(part.noise, KnownNoise)]
            if len({one.weight.shape[1] for one in known}) > 1:
                raise DataError("a kernel takes a noise prior that is conjugate, or a known sigma: Jeffreys() is one")
            noise = KnownNoise(*[np.vstack([getattr(one, what) for one in known]) for what in ("log_sigma", "weight")])
        return Nodes(theta, weight, noise)

    @property
    def check(self) -> tuple[str, ...]:
        """Nothing is to be said of numbers that were not sampled."""
        return ()

    def finer(self) -> NestedPosterior:
        """Twice the nodes of lambda at each v."""
        return replace(self, given=tuple([one.finer() for one in self.given]))

    def scales(self) -> Mapping[str, Scalar]:
        """Lambda, sigma, tau, and the kernel's own."""
        return self._scales

    @cached_property
    def _scales(self) -> dict[str, Scalar]:
        own: dict[str, Scalar] = {name: self._own(k) for k, name in enumerate(self.names)}
        return {"lambda": self.lambda_marginal(), "sigma": self.sigma_marginal(), "tau": self.tau_marginal(), **own}

    def _own(self, k: int) -> Marginal:
        if self.lattice is not None:
            return self.lattice.slices(k).lambda_marginal(self.names[k])
        log_p = self.log_p - self.log_marginal
        seen = log_p > log_p.max() - _DROP - 2.0
        return Slices(self.v[seen, 0], log_p[seen], np.zeros(int(seen.sum())), 0.0).lambda_marginal(self.names[k])

    @cached_property
    def _fine(self) -> _Fine | None:
        """Nodes of (v, lambda) at which sigma^2 is inverse gamma; None where it is not, or takes too many."""
        counted = self.share > _SEEN
        lines = [one for one, seen in zip(self.given, counted, strict=True) if seen]
        parts = [one.fine() if isinstance(one, ConjugateLine) else None for one in lines]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        log_share = np.log(self.share[counted] / self.share[counted].sum())
        log_p = np.concatenate([p + share for (_, p, _), share in zip(found, log_share, strict=True)])
        x, log_width = (np.concatenate([getattr(grid, what) for grid, _, _ in found]) for what in ("x", "log_width"))
        kept = log_p + log_width > (log_p + log_width).max() - _NOTHING
        rate = np.concatenate([rate for _, _, rate in found])
        own = [one for one in lines if isinstance(one, ConjugateLine)]
        return _Fine(FineGrid(x[kept], log_width[kept]), log_p[kept], rate[kept], own[0].shape, own, log_share)

    def lambda_marginal(self) -> Marginal | PointMass:
        """Distribution of lambda, v integrated."""
        fine = self._fine
        if fine is None:
            return self._mixed("lambda", lambda one: one.lambda_marginal())

        ends = np.array([one.rule.ends for one in fine.lines])
        low, high = float(ends[:, 0].min()), float(ends[:, 1].max())

        def log_density(t: Array) -> Array:
            parts = [share + one.log_density(t) for share, one in zip(fine.log_share, fine.lines, strict=True)]
            return np.asarray(logsumexp(parts, axis=0))

        if len(fine.lines) <= _FEW_LINES:
            return marginal("lambda", log_density, low, high, rounding=_ROUNDING)
        t = np.linspace(low, high, int((high - low) / _APART) + 8)
        return marginal("lambda", make_interp_spline(t, log_density(t), k=5), low, high, rounding=_ROUNDING_OF_MANY)

    def sigma_marginal(self) -> Marginal | PointMass:
        """Distribution of the noise standard deviation."""
        fine = self._fine
        return self._mixed("sigma", lambda one: one.sigma_marginal()) if fine is None else _root("sigma", fine, 0.0)

    def tau_marginal(self) -> Marginal | PointMass:
        """Distribution of the prior standard deviation of the function, over the root of the kernel's variance."""
        fine = self._fine
        return self._mixed("tau", lambda one: one.tau_marginal()) if fine is None else _root("tau", fine, 1.0)

    def _mixed(self, name: str, of: Callable[[HyperPosterior], Marginal | PointMass]) -> Marginal | PointMass:
        counted = self.share > _SEEN
        parts = [of(one) for one, seen in zip(self.given, counted, strict=True) if seen]
        known = [one for one in parts if isinstance(one, PointMass)]
        if known:
            return known[0]  # fixed by its prior, the same at every v
        curves = [one for one in parts if isinstance(one, Marginal)]
        log_share = np.log(self.share[counted] / self.share[counted].sum())

        def log_density(x: Array) -> Array:
            return np.asarray(logsumexp(log_share[:, None] + [_within(one, x) for one in curves], axis=0))

        low, high = min(float(one.edges[0]) for one in curves), max(float(one.edges[-1]) for one in curves)
        return marginal(name, log_density, low, high, curves[0].link, rounding=_ROUNDING)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, exp(v)), (n, 1 + h), and of sigma, (n,); v at its nodes."""
        node = rng.choice(len(self.v), n, p=self.share)
        scales, sigma = np.empty((n, 1 + len(self.names))), np.empty(n)
        scales[:, 1:] = np.exp(self.v[node])
        for j in np.unique(node):
            here = np.flatnonzero(node == j)
            scales[here, 0], sigma[here] = self.given[j].draw(len(here), rng)
        return scales, sigma


def _root(name: str, fine: _Fine, power: float) -> Marginal:
    """Distribution of sigma / lambda^(power / 2): its square is inverse gamma at each node, its rate over lambda^power.

    Very many nodes are joined where their logs of rates are a small part of a bell apart.
    """
    log_weight, log_rate = fine.log_p + fine.grid.log_width, np.log(fine.rate) - power * fine.grid.x
    if len(log_rate) > _MANY_NODES:
        cell = np.floor(log_rate * np.sqrt(fine.shape) / _JOINED).astype(np.intp)
        first = np.unique(cell, return_inverse=True)[1]
        weight = np.exp(log_weight - log_weight.max())
        total = np.bincount(first, weight)
        log_rate = np.bincount(first, weight * log_rate) / total
        log_weight = np.log(total) + log_weight.max()
    rate = np.exp(log_rate)

    def log_density(v: Array) -> Array:
        parts = [log_density_of_log_sigma(one[:, None], fine.shape, rate) for one in np.array_split(v, 8)]
        return np.asarray(np.concatenate([logsumexp(log_weight + part, axis=1) for part in parts]))

    low, high = log_sigma_range(fine.shape)
    seen = 0.5 * (log_rate[log_weight > log_weight.max() - _NOTHING] - np.log(fine.shape))
    rounding = _ROUNDING if len(fine.lines) <= _FEW_LINES else _ROUNDING_OF_MANY
    return marginal(name, log_density, float(seen.min() + low), float(seen.max() + high), rounding=rounding)


def _within(one: Marginal, x: Array) -> Array:
    """Its log density, and next to nothing beyond where it was built."""
    inside = (x >= one.edges[0]) & (x <= one.edges[-1])
    with np.errstate(all="ignore"):
        return np.where(inside, one.log_density(np.clip(x, one.edges[0], one.edges[-1])), -800.0)


def _conjugate(nodes: Nodes) -> ConjugateNoise:
    assert isinstance(nodes.noise, ConjugateNoise)
    return nodes.noise


@dataclass(frozen=True, eq=False)
class _Asked:
    """The log density of v given y, each v asked once; what a lattice takes for its target.

    Attributes
    ----------
    theta_names : tuple of str
    centre, sd : ndarray of shape (h,)
        Of the normal priors.
    """

    nested: Nested
    infer: Callable[[Engine], HyperPosterior]
    found: dict[tuple[float, ...], tuple[float, HyperPosterior]] = field(default_factory=dict)
    noise: None = None
    log_sigma: float = 0.0
    constant: float = 0.0
    signals: tuple[float, ...] = ()
    heavy: bool = True  # every v counts
    sizes: tuple[float, float] = (_DROP_OF_SEVERAL, 1.0)

    @property
    def engine(self) -> _Asked:
        """What a lattice asks for the region."""
        return self

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of exp(v)."""
        return self.nested.parameters

    @cached_property
    def centre(self) -> Array:
        """Of the normal priors, (h,)."""
        return np.asarray(self.nested.spans.mean(axis=1))

    @cached_property
    def sd(self) -> Array:
        """Of the normal priors, (h,)."""
        return np.asarray(np.diff(self.nested.spans, axis=1)[:, 0] / (2.0 * _NORMAL_95))

    def region(self) -> Array:
        """Where to look for the mode: where the engine says, or every v at one of four values, (4^h, h)."""
        if self.nested.start is not None:
            return self.nested.start[:, :1].T
        steps = np.meshgrid(*[np.array([-1.2, -0.4, 0.4, 1.2])] * len(self.centre), indexing="ij")
        return np.asarray(self.centre + self.sd * np.stack([one.ravel() for one in steps], axis=1))

    def at(self, v: Array) -> tuple[float, HyperPosterior]:
        """Log of p(v) p(y | v), and the posterior given v, (h,)."""
        key = tuple(np.round(v, 10).tolist())  # so that log(exp(v)) finds it again
        if key not in self.found:
            if len(self.found) >= _MOST * 4 ** (len(self.centre) - 1):
                raise DataError(
                    f"the posterior of {', '.join(self.theta_names)} takes more than {len(self.found)} decompositions: "
                    "state bounds nearer to it, or leave rows out (many rows without noise say it to more digits than "
                    "a decomposition has)"
                )
            hyper = self.infer(self.nested.inner(np.array(key)))
            log_prior = -0.5 * np.square((v - self.centre) / self.sd) - np.log(self.sd * np.sqrt(2.0 * np.pi))
            self.found[key] = (float(log_prior.sum()) + hyper.log_marginal, hyper)
        return self.found[key]

    def __call__(self, v: Array) -> tuple[Array, Array]:
        """Log density at v (K, h); a rate of one."""
        return np.array([self.at(one)[0] for one in v]), np.ones(len(v))


def nested_posterior(engine: Nested, infer: Callable[[Engine], HyperPosterior]) -> NestedPosterior:
    """Integrate v, whose priors are normal with 95% of their probability in the engine's spans.

    Parameters
    ----------
    engine : Nested
    infer : callable
        The posterior of lambda and sigma of an engine of one lambda.

    Raises
    ------
    DataError
        If the posterior of v takes more than 512 decompositions (2048 and 8192, of two v and three).
    """
    asked = _Asked(engine, infer)
    return _on_a_line(asked) if len(engine.parameters) == 1 else _on_a_lattice(asked)


def _on_a_lattice(asked: _Asked) -> NestedPosterior:
    target: Any = asked
    mode, axes = locate(target)
    drop, step = asked.sizes
    filled = fill(target, mode, step * axes, drop)
    coarse = filled.step_errors > _COARSE
    if coarse.any():
        axes = axes * np.where(coarse, 0.5, 1.0)
        filled = fill(target, mode, step * axes, drop)
    found = [asked.at(v) for v in filled.theta]
    given = tuple([hyper for _, hyper in found])
    counted = filled.weight > _SEEN
    error = float(filled.step_errors.max()) + filled.cut + max(one.error for one in given)
    v = np.round(filled.theta, 10)[counted]
    return NestedPosterior(
        asked.theta_names, v, filled.log_f[counted], tuple(np.array(given, dtype=object)[counted]), filled.log_cell,
        error, LatticePosterior(target, mode, step * axes),
    )  # fmt: skip


def _on_a_line(asked: _Asked) -> NestedPosterior:
    centre, widest = float(asked.centre[0]), float(np.diff(asked.nested.spans[0])[0]) / 8.0
    step, first, drop, agree = widest, range(-4, 5), _DROP, _AGREE
    if asked.nested.start is not None:
        centre, apart = map(float, asked.nested.start[0])
        centre, sd = _peak(asked, centre, min(apart, widest), widest)
        step, first, drop, agree = _STEP * sd, range(1), _DROP_OF_COSTLY, _AGREE_OF_COSTLY
    found: dict[int, tuple[float, HyperPosterior]] = {}  # by position, in steps of step / 64

    def place(position: int) -> float:
        return round(centre + position * step / 64.0, 10)

    def ask(position: int) -> None:
        if position not in found:
            found[position] = asked.at(np.array([place(position)]))

    stride = 64
    for k in first:
        ask(k * stride)
    while True:
        _fill(found, ask, stride, drop)
        line = _line(found, stride, drop)
        log_p = np.array([found[k][0] for k in line])
        off, third = (_apart(np.exp(log_p - logsumexp(log_p)), line // stride, every) for every in (2, 3))
        # two modes may lie so that every second node has as much of both as the others
        if (off < agree and third < _AGREE_OF_THIRDS and len(line) >= 7) or stride == 1:
            break
        stride //= 2
    v = np.array([[place(k)] for k in line])
    given = tuple([found[k][1] for k in line])
    error = float(off**_POWER + max(one.error for one in given) + np.exp(-drop))
    return NestedPosterior(asked.theta_names, v, log_p, given, float(np.log(stride * step / 64.0)), error)


def _apart(weight: Array, position: NDArray[np.intp], every: int) -> float:
    """How far the sums over every second (third) position are from that over all."""
    return float(np.abs(every * np.bincount(position % every, weight, every) - 1.0).max())


def _peak(asked: _Asked, at: float, apart: float, widest: float) -> tuple[float, float]:
    """Where the top is about, one of the v that were asked, and an sd by the parabola through it and two neighbours."""
    known = {k: asked.at(np.array([round(at + k * apart, 10)]))[0] for k in (-1, 0, 1)}
    while (top := max(known, key=known.__getitem__)) in (min(known), max(known)):
        beyond = top + (1 if top > 0 else -1)
        known[beyond] = asked.at(np.array([round(at + beyond * apart, 10)]))[0]
    fall = 2.0 * known[top] - known[top - 1] - known[top + 1]
    return round(at + top * apart, 10), min(apart / np.sqrt(max(fall, 1e-6)), widest)


def _fill(found: dict[int, tuple[float, HyperPosterior]], ask: Callable[[int], None], stride: int, drop: float) -> None:
    """Ask the neighbours, at this stride, of everything that counts, until they count no more."""
    while True:
        top = max(value for value, _ in found.values())
        counted = [k for k, (value, _) in found.items() if k % stride == 0 and value > top - drop]
        wanted = {k + side * stride for k in counted for side in (-1, 1)} - found.keys()
        wanted = {k for k in wanted if _ahead(found, k, stride) > top - drop - _NOT_NEAR}
        if not wanted:
            return
        for position in sorted(wanted):
            ask(position)


def _ahead(found: dict[int, tuple[float, HyperPosterior]], k: int, stride: int) -> float:
    """Log density at a position by the parabola through the three beside it; infinite where there are none."""
    guesses = []
    for side in (-stride, stride):
        near = [found[k + i * side][0] for i in (1, 2, 3) if k + i * side in found]
        if len(near) == 3 and near[0] < near[1] < near[2]:
            guesses.append(3.0 * near[0] - 3.0 * near[1] + near[2])
    return max(guesses, default=np.inf)


def _line(found: dict[int, tuple[float, HyperPosterior]], stride: int, drop: float) -> NDArray[np.intp]:
    """Positions at equal steps from the first that counts to the last."""
    top = max(value for value, _ in found.values())
    counted = [k for k, (value, _) in found.items() if k % stride == 0 and value > top - drop]
    line = np.arange(min(counted), max(counted) + 1, stride)
    return np.array([k for k in line if k in found], dtype=np.intp)
