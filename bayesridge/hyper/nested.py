r"""One lambda inside one more hyperparameter: a line in v, and at each of its nodes the posterior given v.

    p(v | y) is proportional to p(v) p(y | v),

p(y | v) the integral over lambda and sigma that :mod:`bayesridge.hyper.infer` gives. v is asked on steps that are
halved about what counts until the trapezoidal rule of every second node agrees with that of all; the difference is the
error that is reported, and larger than what is left. A node costs a decomposition, so that none is asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesridge.errors import DataError
from bayesridge.hyper.lattice import Slices
from bayesridge.hyper.marginal import Marginal, PointMass, Scalar, marginal
from bayesridge.hyper.nodes import ConjugateNoise, HyperPosterior, KnownNoise, Nodes
from bayesridge.linalg.engine import Engine, Nested

Array = NDArray[np.float64]

_DROP = 12.0  # nats below the top: what lies beyond holds 1e-5 of the mass
_SEEN = 1e-5  # of a node, for the distributions of the scales
_MOST = 512  # decompositions
_NORMAL_95 = 1.959963984540054
_AGREE = 3e-4  # of the rule of every second node with that of all


@dataclass(frozen=True, eq=False)
class NestedPosterior:
    """The posterior of (lambda, sigma) and v.

    Attributes
    ----------
    name : str
        Of exp(v).
    v : ndarray of shape (J,)
        Nodes at equal steps.
    log_p : ndarray of shape (J,)
        Log of p(v) p(y | v).
    given : tuple of HyperPosterior
        Of lambda and sigma at each node.
    step : float
    error : float
        Estimated relative error of all integrals.
    """

    name: str
    v: Array
    log_p: Array
    given: tuple[HyperPosterior, ...]
    step: float
    error: float

    @property
    def share(self) -> Array:
        """Posterior probability of each v."""
        return np.exp(self.log_p - logsumexp(self.log_p))

    @property
    def log_marginal(self) -> float:
        """Log p(y)."""
        return float(logsumexp(self.log_p) + np.log(self.step))

    @cached_property
    def nodes(self) -> Nodes:
        """The nodes of all v together."""
        parts = [one.nodes for one in self.given]
        theta = np.vstack([
            np.column_stack([part.theta, np.full(len(part.weight), v)]) for part, v in zip(parts, self.v, strict=True)
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

    def finer(self) -> NestedPosterior:
        """Twice the nodes of lambda at each v."""
        return replace(self, given=tuple([one.finer() for one in self.given]))

    def scales(self) -> Mapping[str, Scalar]:
        """Lambda, sigma, tau, and the kernel's own."""
        return self._scales

    @cached_property
    def _scales(self) -> dict[str, Scalar]:
        return {
            "lambda": self.lambda_marginal(), "sigma": self.sigma_marginal(), "tau": self.tau_marginal(),
            self.name: self._own,
        }  # fmt: skip

    @cached_property
    def _own(self) -> Marginal:
        log_p = self.log_p - self.log_marginal
        seen = log_p > log_p.max() - _DROP - 2.0
        return Slices(self.v[seen], log_p[seen], np.zeros(int(seen.sum())), 0.0).lambda_marginal(self.name)

    def lambda_marginal(self) -> Marginal | PointMass:
        """Distribution of lambda, v integrated."""
        return self._mixed("lambda", lambda one: one.lambda_marginal())

    def sigma_marginal(self) -> Marginal | PointMass:
        """Distribution of the noise standard deviation."""
        return self._mixed("sigma", lambda one: one.sigma_marginal())

    def tau_marginal(self) -> Marginal | PointMass:
        """Distribution of the prior standard deviation of the function, over the root of the kernel's variance."""
        return self._mixed("tau", lambda one: one.tau_marginal())

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
        return marginal(name, log_density, low, high, curves[0].link, rounding=1e-9)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, exp(v)), (n, 2), and of sigma, (n,); v at its nodes."""
        node = rng.choice(len(self.v), n, p=self.share)
        scales, sigma = np.empty((n, 2)), np.empty(n)
        scales[:, 1] = np.exp(self.v[node])
        for j in np.unique(node):
            here = np.flatnonzero(node == j)
            scales[here, 0], sigma[here] = self.given[j].draw(len(here), rng)
        return scales, sigma


def _within(one: Marginal, x: Array) -> Array:
    """Its log density, and next to nothing beyond where it was built."""
    inside = (x >= one.edges[0]) & (x <= one.edges[-1])
    with np.errstate(all="ignore"):
        return np.where(inside, one.log_density(np.clip(x, one.edges[0], one.edges[-1])), -800.0)


def _conjugate(nodes: Nodes) -> ConjugateNoise:
    assert isinstance(nodes.noise, ConjugateNoise)
    return nodes.noise


def nested_posterior(engine: Nested, infer: Callable[[Engine], HyperPosterior]) -> NestedPosterior:
    """Integrate v, whose prior is normal with 95% of its probability in the engine's span.

    Parameters
    ----------
    engine : Nested
    infer : callable
        The posterior of lambda and sigma of an engine of one lambda.

    Raises
    ------
    DataError
        If the posterior of v takes more than 512 decompositions.
    """
    name, span = engine.parameter or "", engine.span
    centre, step = 0.5 * (span[0] + span[1]), (span[1] - span[0]) / 8.0
    sd = (span[1] - span[0]) / (2.0 * _NORMAL_95)
    found: dict[int, tuple[float, HyperPosterior]] = {}  # by position, in steps of step / 64

    def place(position: int) -> float:
        return round(centre + position * step / 64.0, 10)  # so that log(exp(v)) finds it again

    def ask(position: int) -> None:
        if position not in found:
            if len(found) >= _MOST:
                raise DataError(
                    f"the posterior of {name} takes more than {_MOST} decompositions: state bounds nearer to it"
                )
            v = place(position)
            hyper = infer(engine.inner(v))
            log_prior = -0.5 * ((v - centre) / sd) ** 2 - np.log(sd * np.sqrt(2.0 * np.pi))
            found[position] = (float(log_prior) + hyper.log_marginal, hyper)

    stride = 64
    for position in range(-4 * stride, 4 * stride + 1, stride):
        ask(position)
    while True:
        _fill(found, ask, stride)
        line = _line(found, stride)
        log_p = np.array([found[k][0] for k in line])
        total = logsumexp(log_p)
        halves = [np.exp(logsumexp(log_p[phase::2]) - total) for phase in (0, 1)]
        off = abs(halves[0] - halves[1])
        if (off < _AGREE and len(line) >= 7) or stride == 1:
            break
        stride //= 2
    v = np.array([place(k) for k in line])
    given = tuple([found[k][1] for k in line])
    error = float(off + max(one.error for one in given) + np.exp(-_DROP))
    return NestedPosterior(name, v, log_p, given, stride * step / 64.0, error)


def _fill(found: dict[int, tuple[float, HyperPosterior]], ask: Callable[[int], None], stride: int) -> None:
    """Ask the neighbours, at this stride, of everything that counts, until they count no more."""
    while True:
        top = max(value for value, _ in found.values())
        counted = [k for k, (value, _) in found.items() if k % stride == 0 and value > top - _DROP]
        wanted = {k + side * stride for k in counted for side in (-1, 1)} - found.keys()
        if not wanted:
            return
        for position in sorted(wanted):
            ask(position)


def _line(found: dict[int, tuple[float, HyperPosterior]], stride: int) -> NDArray[np.intp]:
    """Positions at equal steps from the first that counts to the last."""
    top = max(value for value, _ in found.values())
    counted = [k for k, (value, _) in found.items() if k % stride == 0 and value > top - _DROP]
    line = np.arange(min(counted), max(counted) + 1, stride)
    return np.array([k for k in line if k in found], dtype=np.intp)
