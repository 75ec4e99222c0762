r"""The posterior of lambda for many targets on the same columns: one grid of nodes for each block of targets.

Targets differ in z and r0 only. With g = lambda / (s^2 + lambda), Q of all targets at all nodes is one product of
matrices, r0 + Z^2 g, and so are means and variances. The trapezoidal rule on ``x = c + L sinh(v / L)`` with equal steps
in v converges exponentially: no evidence has a bell narrower than sqrt(2 / rank) in log lambda, and a step of 0.4 of
that leaves 1e-13. Targets are sorted by where their posteriors lie and share a grid in blocks, so that a grid need
cover little; where a prior is narrower than the data allow, the estimate of the error says so and the step is halved.

The integral of the interpolating sinc series gives the distribution function between the nodes, to the same accuracy:
``P(v <= x) = sum_k w_k (1/2 + Si(pi (x - v_k) / h) / pi)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, gammainccinv, gammaln, sici

from bayesridge.errors import AccuracyWarning, ImproperPosteriorError, PriorError, warn
from bayesridge.hyper.line import with_modes
from bayesridge.hyper.quadrature import ASKED_ACCURACY, weights_error
from bayesridge.linalg.factor import Factor
from bayesridge.linalg.shares import log_growth_at, resolvent, shrunk
from bayesridge.priors import ScalePrior

Array = NDArray[np.float64]

_CUT = 44.0  # exp(-44) = 8e-20 beside the rest
_BULK = 5.0
_STEP = 0.4
_TOLERANCE = 1e-10
_BLOCK = 256  # targets
_SCANNED = 1 << 17  # numbers of a scan at a time
_MOST_NODES = 5_000
_OUTWARD = np.array([12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0])


@dataclass(frozen=True, eq=False)
class Targets:
    """What the posterior of lambda needs of T targets and the columns they share.

    Attributes
    ----------
    factor : Factor
    z : ndarray of shape (T, rank)
    floor : ndarray of shape (T,)
        Twice the rate of sigma^2 where no direction is shrunk: ``r0 + 2 b0`` with an inverse-gamma prior (a0, b0).
    shape : float
        Of sigma^2 given lambda, ``nu / 2 + a0``.
    prior : ScalePrior
        Of lambda.
    constant : float
        Terms of log p(y) that no target and no lambda move.
    """

    factor: Factor
    z: Array
    floor: Array
    shape: float
    prior: ScalePrior
    constant: float = 0.0

    def log_f(self, rows: NDArray[np.intp] | slice, log_lam: Array) -> Array:
        """Log density of log lambda, up to the constant, (targets, K)."""
        excess, floor = self._excess(rows, log_lam), self.floor[rows, None]
        known = floor > 0
        with np.errstate(divide="ignore"):
            growth = np.log1p(excess / floor) if known.all() else np.log(excess / np.where(known, floor, 1.0) + known)
        log_det = log_growth_at(self.factor.s2[:, None], log_lam).sum(axis=0)
        return np.asarray(self.prior.log_density(log_lam, self.factor.signal) - 0.5 * log_det - self.shape * growth)

    def rate(self, rows: NDArray[np.intp] | slice, log_lam: Array) -> Array:
        """Rate of sigma^2 given lambda, (targets, K)."""
        return np.asarray(0.5 * (self.floor[rows, None] + self._excess(rows, log_lam)))

    def _excess(self, rows: NDArray[np.intp] | slice, log_lam: Array) -> Array:
        with np.errstate(over="ignore"):  # of an infinite lambda all is left
            return np.square(self.z[rows]) @ shrunk(self.factor.s2[:, None], np.exp(log_lam))

    def own_squares(self, lam: Array) -> Array:
        """``Q``, or twice the rate of sigma^2, of each target at a lambda of its own, (T,)."""
        Q = self.floor.copy()
        for part in _parts(len(Q), max(self.factor.rank, 1)):
            Q[part] += (np.square(self.z[part]) * shrunk(self.factor.s2, lam[part, None])).sum(axis=1)
        return Q

    def left(self, rows: NDArray[np.intp], log_lam: float) -> tuple[Array, Array]:
        """What a lambda leaves of the targets along the directions, (targets, rank), and its share (rank,)."""
        g = shrunk(self.factor.s2, np.exp(log_lam))
        return self.z[rows] * g, g

    def resolvent(self, log_lam: Array) -> Array:
        """``1 / (s^2 + lambda)``, (K, rank)."""
        return resolvent(self.factor.s2, np.exp(log_lam)[:, None])

    def right_sides(self, rows: NDArray[np.intp]) -> Array:
        """``s z``: times the resolvent they are the coefficients along the directions, (targets, rank)."""
        return np.asarray(self.factor.s * self.z[rows])

    def log_offset(self, rows: NDArray[np.intp]) -> Array:
        """What the log density of each target is relative to."""
        floor = self.floor[rows]
        return self.constant + float(gammaln(self.shape)) - self.shape * np.log(0.5 * np.where(floor > 0, floor, 1.0))


@dataclass(frozen=True, eq=False)
class Block:
    """Targets that share nodes.

    Attributes
    ----------
    index : ndarray of int, shape (B,)
    v, log_lam : ndarray of shape (K,)
        Nodes, equally spaced, and log lambda there.
    center, width : float
        ``log lambda = center + width sinh(v / width)``.
    weight : ndarray of shape (B, K)
    log_evidence, error : ndarray of shape (B,)
        Log p(y), and the estimated relative error of its integral.
    """

    index: NDArray[np.intp]
    v: Array
    log_lam: Array
    center: float
    width: float
    weight: Array
    log_evidence: Array
    error: Array

    def quantile(self, q: float) -> Array:
        """Quantile of lambda of each target: cubic interpolation of the cdf at the nodes, and Newton's method."""
        step, count = float(self.v[1] - self.v[0]), len(self.v)
        apart = np.arange(count)
        integral = 0.5 + sici(np.pi * (apart[:, None] - apart))[0] / np.pi
        cdf = self.weight @ integral.T
        j = np.clip((cdf < q).sum(axis=1) - 1, 0, count - 2)
        rows = np.arange(len(j))
        left, right = cdf[rows, j], cdf[rows, j + 1]
        x = self.v[j] + step * np.clip((q - left) / np.maximum(right - left, 1e-300), 0.0, 1.0)
        low, high = self.v[j], self.v[j + 1]
        for _ in range(40):
            at = (x[:, None] - self.v) / step
            excess = (self.weight * (0.5 + sici(np.pi * at)[0] / np.pi)).sum(axis=1) - q
            density = (self.weight * np.sinc(at)).sum(axis=1) / step
            low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
            new = x - np.divide(excess, density, out=np.full_like(x, np.inf), where=density > 0)
            new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
            moved, x = np.abs(new - x).max(), new
            if moved < 1e-5 * step:  # the error is squared once more
                break
        return np.asarray(np.exp(self.center + self.width * np.sinh(x / self.width)))


def integrate_targets(targets: Targets) -> list[Block]:
    """Place the nodes of all targets.

    Raises
    ------
    ImproperPosteriorError
        If a density does not fall off.
    PriorError
        If one is NaN, or zero wherever it was looked at.

    Warns
    -----
    AccuracyWarning
        If an integral is not as accurate as asked for.
    """
    sd = np.sqrt(2.0 / max(targets.factor.rank, 1))
    where = _where_the_mass_is(targets, *targets.factor.log_range, min(0.5, 3.0 * sd))
    order = np.argsort(0.5 * (where.bulk_low + where.bulk_high), kind="stable")
    blocks = []
    for start in range(0, len(order), _BLOCK):
        index = order[start : start + _BLOCK]
        blocks.append(_block(targets, index, where, min(_STEP * sd, 0.25)))
    worst = max(float(block.error.max()) for block in blocks)
    if worst > ASKED_ACCURACY:
        count = sum(int((block.error > ASKED_ACCURACY).sum()) for block in blocks)
        warn(
            f"the integral over lambda is right to {worst:.0e} only, not {ASKED_ACCURACY:.0e}, for {count} of "
            f"{len(order)} targets: the density of the prior is rough; fit these targets one by one",
            AccuracyWarning,
        )
    return blocks


@dataclass(frozen=True, eq=False)
class _Where:
    low: Array
    high: Array
    bulk_low: Array
    bulk_high: Array


def _where_the_mass_is(targets: Targets, low: float, high: float, step: float) -> _Where:
    """Ends of the mass and of its bulk for each target, from a coarse scan of its log density."""
    inner = np.arange(low - 10.0, high + 10.0 + step, step)
    x = np.concatenate([inner[0] - _OUTWARD[::-1], inner, inner[-1] + _OUTWARD])
    x = with_modes(x, targets.prior, targets.factor.signal)
    found = [_mass(x, targets.log_f(part, x)) for part in _parts(len(targets.floor), len(x))]
    return _Where(*(np.concatenate(values) for values in zip(*found, strict=True)))


def _parts(count: int, width: int) -> Iterator[slice]:
    size = max(1, _SCANNED // width)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _mass(x: Array, f: Array) -> tuple[Array, Array, Array, Array]:
    top = f.max(axis=1, keepdims=True)
    if np.isnan(top).any():
        raise PriorError("the log density of log lambda is NaN; it must be a number or -inf")
    if not np.isfinite(top).all():
        raise PriorError("the posterior density of log lambda is zero or infinite at every point looked at")
    if (f[:, [0, -1]] > top - _CUT).any():
        raise ImproperPosteriorError(
            "the posterior of a target does not fall off as lambda goes to 0 or infinity, so it cannot be normalised; "
            "use a proper prior, such as BetaR2(0.5, 0.5)"
        )
    ends = []
    for level in (_CUT, _BULK):
        seen = f > top - level
        first, last = seen.argmax(axis=1), f.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
        ends += [x[first - 1], x[last + 1]]  # one point beyond: the ends are not inside by being coarse
    return ends[0], ends[1], ends[2], ends[3]


def _block(targets: Targets, index: NDArray[np.intp], where: _Where, step: float) -> Block:
    low, high = float(where.low[index].min()), float(where.high[index].max())
    bulk = float(where.bulk_low[index].min()), float(where.bulk_high[index].max())
    center, width = 0.5 * (bulk[0] + bulk[1]), bulk[1] - bulk[0]
    while True:
        ends = width * np.arcsinh((np.array([low, high]) - center) / width)
        v = np.arange(ends[0], ends[1] + step, step)
        log_lam, log_slope = center + width * np.sinh(v / width), np.log(np.cosh(v / width))
        log_f = targets.log_f(index, log_lam)
        terms = log_f + log_slope
        top = terms.max(axis=1, keepdims=True)
        weight = np.exp(terms - top)
        total = weight.sum(axis=1, keepdims=True)
        weight /= total
        rounding = 4.0 * np.finfo(np.float64).eps * (4.0 + np.abs(log_f.max(axis=1)))
        error = weights_error(weight) + _at_ends(log_f, weight)
        if (error <= _TOLERANCE).all() or 2 * len(v) > _MOST_NODES:
            break
        step *= 0.5
    log_evidence = targets.log_offset(index) + (top + np.log(total))[:, 0] + np.log(step)
    seen = np.flatnonzero((weight > 1e-20).any(axis=0))
    keep = slice(int(seen[0]), int(seen[-1]) + 1)  # the nodes stay equally spaced
    return Block(index, v[keep], log_lam[keep], center, width, weight[:, keep].copy(), log_evidence, error + rounding)


def _at_ends(log_f: Array, weight: Array) -> Array:
    """What nodes beside an end of the density hold: a step sees such an end to its own length only."""
    zero = np.isneginf(log_f)
    beside = np.zeros_like(zero)
    beside[:, 1:] |= zero[:, :-1]
    beside[:, :-1] |= zero[:, 1:]
    return np.asarray((weight * beside).sum(axis=1))


def sigma_quantile(block: Block, rate: Array, shape: float, q: float) -> Array:
    """Quantile of sigma of each target, a mixture of inverse-gamma roots over the nodes: Newton's method on its cdf."""
    weight, log_rate = block.weight, np.log(rate)
    seen = weight > 1e-14
    bounds = np.where(seen, log_rate, np.inf).min(axis=1), np.where(seen, log_rate, -np.inf).max(axis=1)
    # every component's quantile lies between those of the least and of the largest rate
    middle = float(np.log(gammainccinv(shape, q)))
    low, high = (0.5 * (side - middle) for side in bounds)
    low, high = low - 1e-9, high + 1e-9
    x = 0.5 * ((weight * log_rate).sum(axis=1) / weight.sum(axis=1) - middle)
    peak = float(np.log(2.0) - gammaln(shape))
    for _ in range(60):
        y = log_rate - 2.0 * x[:, None]
        ratio = np.exp(y)
        excess = (weight * gammaincc(shape, ratio)).sum(axis=1) - q
        density = (weight * np.exp(peak + shape * y - ratio)).sum(axis=1)
        low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
        new = x - np.divide(excess, density, out=np.full_like(x, np.inf), where=density > 0)
        new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        moved, x = np.abs(new - x).max(), new
        if moved < 1e-6 / np.sqrt(shape):  # the error is squared once more
            break
    return np.exp(x)
