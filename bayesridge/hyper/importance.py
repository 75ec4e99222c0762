"""The posterior of many lambdas: importance sampling at the mode with standard errors; slice sampling where it fails.

Along each principal axis at the mode the proposal is a t with five degrees of freedom whose two halves have scales of
their own, found from how far the log density falls (posteriors of log lambda are skewed: a group without effects has a
long tail towards infinity). Points are scrambled Sobol sequences in eight replicates, whose differences are the
standard error; they are doubled until the mean of every theta is known to 2% of its standard deviation. Where the
weights will not have it, eight chains of slice sampling along the same axes take their place, coefficients and sigma
integrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, logsumexp, polygamma
from scipy.stats import qmc
from scipy.stats import t as student

from bayesridge.errors import DataError
from bayesridge.hyper.likelihood import log_density_of_log_sigma, log_sigma_range
from bayesridge.hyper.marginal import Marginal, PointMass, Scalar, correlation, marginal
from bayesridge.hyper.nodes import ConjugateNoise, KnownNoise, Nodes
from bayesridge.hyper.target import Target

Array = NDArray[np.float64]

_REPLICATES = 8
_FIRST, _MOST = 128, 2048  # draws of a replicate
_DF = 5.0
_ASKED = 0.02  # standard error of the mean of a theta, in its standard deviations
_LEAST_EFFECTIVE = 200.0
_WARM_UP = 100
_ROUGH = 1e-6
_BINS = 4000


@dataclass(frozen=True, eq=False)
class WeightedPosterior:
    """The posterior of several lambdas and sigma on weighted nodes in replicates.

    Attributes
    ----------
    target : Target
    theta : ndarray of shape (R S, G)
        Replicate by replicate.
    log_weight : ndarray of shape (R S,)
        Log density over the proposal's; equal for chains.
    rate : ndarray of shape (R S,)
        Of sigma^2 given theta.
    how : str
        "importance sampling", or "slice sampling".
    log_total : float
        Log of the integral, as far as it is known: NaN for chains.
    """

    target: Target
    theta: Array
    log_weight: Array
    rate: Array
    how: str
    log_total: float

    #: What an estimated relative error may be before it is warned of.
    asked = 0.05

    @cached_property
    def weight(self) -> Array:
        """Probability of each node."""
        return np.exp(self.log_weight - logsumexp(self.log_weight))

    @property
    def effective(self) -> float:
        """Effective number of independent draws by the weights."""
        return 1.0 / float(self.weight @ self.weight)

    @property
    def log_marginal(self) -> float:
        """Log p(y)."""
        if np.isnan(self.log_total):
            raise DataError("slice sampling has no marginal likelihood: join groups, or state priors that say more")
        return self.log_total + self.target.constant

    @property
    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation of every theta."""
        mean = self.weight @ self.theta
        return mean, np.sqrt(self.weight @ np.square(self.theta - mean))

    @cached_property
    def standard_errors(self) -> Array:
        """Of the means of all thetas, in their standard deviations, by the replicates."""
        mean, sd = self.moments
        parts = (
            (self.weight[:, None] * (self.theta - mean) / sd).reshape(_REPLICATES, -1, self.theta.shape[1]).sum(axis=1)
        )
        return np.asarray(np.sqrt(_REPLICATES / (_REPLICATES - 1.0) * np.square(parts).sum(axis=0)))

    @property
    def error(self) -> float:
        """Standard error of a mean, the largest, in standard deviations."""
        return float(self.standard_errors.max())

    @property
    def check(self) -> tuple[str, ...]:
        """How accurate it is, in a sentence."""
        nodes = f"{len(self.theta)} nodes, {self.effective:.0f} effective"
        error = f"standard errors of at most {self.error:.2g} of their standard deviations"
        return (f"scales by {self.how} ({nodes}): means of log lambda have {error}",)

    @cached_property
    def nodes(self) -> Nodes:
        """All nodes."""
        if self.target.noise is not None:
            return Nodes(self.theta, self.weight, ConjugateNoise(self.target.shape, self.rate), _REPLICATES)
        column = np.full((len(self.weight), 1), self.target.log_sigma)
        return Nodes(self.theta, self.weight, KnownNoise(column, np.ones_like(column)), _REPLICATES)

    def finer(self) -> WeightedPosterior:
        """Itself: the standard error says what it is worth."""
        return self

    def scales(self) -> Mapping[str, Scalar]:
        """Every lambda, sigma, every tau and correlation."""
        return self._scales

    @cached_property
    def _scales(self) -> dict[str, Scalar]:
        names = [name.removeprefix("log ") for name in self.target.engine.theta_names]
        count = len(self.target.engine.signals)
        found: dict[str, Scalar] = {
            name: self._smooth(name, x, 0.0) for name, x in zip(names[:count], self.theta.T, strict=False)
        }
        found["sigma"] = self.sigma_marginal()
        log_sigma, variance = self._log_sigma
        for name, x in zip(names[:count], self.theta.T, strict=False):
            tau = name.replace("lambda", "tau", 1)
            found[tau] = self._smooth(tau, log_sigma - 0.5 * x, variance)
        for name, x in zip(names[count:], self.theta.T[count:], strict=True):
            rho = name.removeprefix("atanh ")
            found[rho] = self._smooth(rho, x, 0.0, of_correlation=True)
        return found

    @property
    def _log_sigma(self) -> tuple[Array, float]:
        """Mean of log sigma at each node, and its variance there."""
        if self.target.noise is None:
            return np.full(len(self.theta), self.target.log_sigma), 0.0
        shape = self.target.shape
        return 0.5 * (np.log(self.rate) - float(digamma(shape))), 0.25 * float(polygamma(1, shape))

    def _smooth(self, name: str, x: Array, variance: float, *, of_correlation: bool = False) -> Marginal:
        """Density of weighted points, normals of this variance, by a kernel that keeps their mean and variance."""
        w = self.weight
        mean = float(w @ x)
        spread = float(w @ np.square(x - mean))
        width2 = spread * (4.0 / 3.0 / self.effective) ** 0.4
        shrink = np.sqrt(spread / (spread + width2))
        at, sd = mean + shrink * (x - mean), float(np.sqrt(shrink**2 * width2 + variance))
        at, log_w = _binned(at, w, 0.2 * sd)
        log_w = log_w - 0.5 * np.log(2.0 * np.pi) - np.log(sd)
        ends = float(at.min() - 7.0 * sd), float(at.max() + 7.0 * sd)
        if not variance:  # a prior may end: what the kernel puts beyond the outermost points is folded back
            ends = float(x[w > 0.0].min()), float(x[w > 0.0].max())
            at = np.concatenate([at, 2.0 * ends[0] - at, 2.0 * ends[1] - at])
            log_w = np.tile(log_w, 3)
            near = (at > ends[0] - 7.0 * sd) & (at < ends[1] + 7.0 * sd)
            at, log_w = at[near], log_w[near]

        def log_density(v: Array) -> Array:
            flat = np.ravel(v)
            found = [
                logsumexp(log_w - 0.5 * np.square((part[:, None] - at) / sd), axis=1)
                for part in np.array_split(flat, max(1, flat.size * len(at) >> 20))
            ]
            within = (flat >= ends[0]) & (flat <= ends[1])
            return np.where(within, np.concatenate(found), -np.inf).reshape(np.shape(v))

        if of_correlation:
            return correlation(name, log_density, ends)
        return marginal(name, log_density, *ends, rounding=_ROUGH)

    def sigma_marginal(self) -> Marginal | PointMass:
        """Mixture of inverse-gamma roots over the nodes."""
        if self.target.noise is None:
            return PointMass("sigma", float(np.exp(self.target.log_sigma)))
        shape = self.target.shape
        log_rate, log_w = _binned(np.log(self.rate), self.weight, 0.2 / np.sqrt(shape))
        rate = np.exp(log_rate)

        def log_density(v: Array) -> Array:
            found = [
                logsumexp(log_w + log_density_of_log_sigma(part[:, None], shape, rate), axis=1)
                for part in np.array_split(np.ravel(v), max(1, np.size(v) * len(rate) >> 20))
            ]
            return np.concatenate(found).reshape(np.shape(v))

        low, high = log_sigma_range(shape)
        centre = 0.5 * np.log(rate / shape)
        return marginal("sigma", log_density, float(centre.min() + low), float(centre.max() + high), rounding=_ROUGH)

    def lambda_marginal(self) -> Marginal:
        """There is none: a model with several lambdas has one for each group."""
        raise DataError("the model has several lambdas: ask scales for one of them")

    def tau_marginal(self) -> Marginal:
        """There is none either."""
        raise DataError("the model has several scales: ask scales for one of them")

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draws of (lambda, sigma): nodes by their weights, and sigma given the node."""
        at = rng.choice(len(self.weight), n, p=self.weight)
        if self.target.noise is None:
            return np.exp(self.theta[at]), np.full(n, np.exp(self.target.log_sigma))
        return np.exp(self.theta[at]), np.sqrt(self.rate[at] / rng.standard_gamma(self.target.shape, n))


def _binned(x: Array, weight: Array, step: float) -> tuple[Array, Array]:
    """Points on a grid and logarithms of their weights, shared between neighbours so that means stay as they are."""
    step = max(step, float(np.ptp(x)) / _BINS, 1e-300)
    place = (x - x.min()) / step
    left = place.astype(np.intp)
    share = place - left
    mass = np.bincount(left, weight * (1.0 - share), minlength=int(left.max()) + 2)
    mass[1:] += np.bincount(left, weight * share, minlength=len(mass))[: len(mass) - 1]
    seen = mass > 1e-14
    return x.min() + step * np.flatnonzero(seen), np.log(mass[seen])


def weighted_posterior(target: Target, mode: Array, axes: Array) -> WeightedPosterior:
    """Sample the scales about their mode; the columns of `axes` are a standard deviation long."""
    scale = _two_sided(target, mode, axes)
    size = _FIRST
    while True:
        found = _importance(target, mode, axes, scale, size)
        if found.error <= _ASKED and found.effective >= _LEAST_EFFECTIVE:
            return found
        if size >= _MOST or (size >= 4 * _FIRST and found.effective < 0.02 * len(found.theta)):
            return found if found.effective >= 2.0 * _LEAST_EFFECTIVE else _slices(target, mode, axes, scale)
        size *= 2


def _two_sided(target: Target, mode: Array, axes: Array) -> Array:
    """Scales of the halves of each axis, from the fall of the log density 1, 2 and 4 lengths away; (G, 2)."""
    top = float(target(mode[None])[0][0])
    found = np.empty((len(mode), 2))
    for side, sign in enumerate((1.0, -1.0)):
        for j, axis in enumerate(axes.T):
            d = np.array([1.0, 2.0, 4.0])
            fall = top - target(mode + sign * d[:, None] * axis)[0]
            found[j, side] = float((d / np.sqrt(2.0 * np.clip(fall, 1e-3, 1e6))).max())
    return np.clip(found, 0.3, 8.0)


def _importance(target: Target, mode: Array, axes: Array, scale: Array, size: int) -> WeightedPosterior:
    dims = len(mode)
    right = scale[:, 0] / scale.sum(axis=1)
    theta, log_q = [], []
    for seed in range(_REPLICATES):
        u = np.clip(qmc.Sobol(dims, seed=seed).random(size), 1e-12, 1.0 - 1e-12)
        up = u < right
        half = np.where(up, 0.5 + 0.5 * u / right, 0.5 + 0.5 * (u - right) / (1.0 - right))
        z = student.ppf(np.clip(half, 0.5, 1.0 - 1e-12), _DF)
        theta.append(mode + np.where(up, z * scale[:, 0], -z * scale[:, 1]) @ axes.T)
        log_q.append((student.logpdf(z, _DF) + np.log(2.0 / scale.sum(axis=1))).sum(axis=1))
    at = np.concatenate(theta)
    log_f, rate = target(at)
    log_weight = log_f - np.concatenate(log_q) + float(np.log(np.abs(np.linalg.det(axes))))
    log_total = float(logsumexp(log_weight) - np.log(len(at)))
    return WeightedPosterior(target, at, log_weight, rate, "importance sampling", log_total)


def _slices(target: Target, mode: Array, axes: Array, scale: Array) -> WeightedPosterior:
    """Eight chains of slice sampling along the axes, all chains moved together (Neal 2003, stepping out, shrinking)."""
    rng = np.random.default_rng(0)
    chains, dims = _REPLICATES, len(mode)
    width = 2.0 * scale.sum(axis=1)
    u = rng.standard_normal((chains, dims)) * 0.5

    def log_f(u: Array) -> tuple[Array, Array]:
        return target(mode + u @ axes.T)

    value, rate = log_f(u)
    kept: list[tuple[Array, Array]] = []
    for turn in range(_WARM_UP + _MOST // 2):
        for j in rng.permutation(dims):
            height = value - rng.standard_exponential(chains)
            low = u[:, j] - width[j] * rng.random(chains)
            high = low + width[j]
            for end, sign in ((low, -1.0), (high, 1.0)):
                for _ in range(8):
                    moved = u.copy()
                    moved[:, j] = end
                    inside = log_f(moved)[0] > height
                    if not inside.any():
                        break
                    end[inside] += sign * width[j]
            left = np.ones(chains, dtype=bool)
            new, at = u.copy(), u[:, j].copy()
            for _ in range(60):
                new[left, j] = (low + (high - low) * rng.random(chains))[left]
                found, its_rate = log_f(new)
                good = left & (found > height)
                value, rate = np.where(good, found, value), np.where(good, its_rate, rate)
                bad = left & ~good
                low, high = (
                    np.where(bad & (new[:, j] < at), new[:, j], low),
                    np.where(bad & (new[:, j] >= at), new[:, j], high),
                )
                left = bad
                if not left.any():
                    break
            new[left, j] = at[left]
            u = new
        if turn >= _WARM_UP:
            kept.append((mode + u @ axes.T, rate))
    theta = np.stack([one for one, _ in kept], axis=1).reshape(-1, dims)
    rates = np.stack([one for _, one in kept], axis=1).ravel()
    return WeightedPosterior(target, theta, np.zeros(len(theta)), rates, "slice sampling", np.nan)
