r"""Log p(y) under Student-t noise: the row weights integrated, everything else by bridge sampling.

    p(y, theta, sigma, df, lambda)
        = prod t(y_i; eta_i, sigma, df)^w_i  N(b; 0, sigma^2 / lambda)  p(sigma) p(lambda) p(df)

Given lambda and sigma, the weighted ridge regression with the weights' posterior means whitens theta, and its residual
sum of squares is about what sigma^2 is proportional to: in these coordinates the funnel of (b, sigma, lambda) is gone.
Flat directions and sigma have the densities that a Gaussian's log p(y) has, which is the limit df -> infinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesridge.outcomes.bridge import bridged
from bayesridge.outcomes.correction import Weighted
from bayesridge.outcomes.gibbs import Ridge, ridge
from bayesridge.outcomes.problem import Outcome
from bayesridge.priors import NoisePrior, Prior

Array = NDArray[np.float64]
Nodes = NDArray[np.intp]

_FOR_WEIGHTS = 32  # draws of each replicate that the mean weights are of
_BLOCK_VALUES = 1 << 21


def student_evidence(
    problem: Outcome, prior: Prior, noise_prior: NoisePrior, draws: Weighted, t: Array, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Log p(y) and its standard error, of draws on the nodes t of log lambda; None where draws do not tell."""
    mean = draws.theta.mean(axis=(0, 1))
    # the flat directions about their means: y is to be no larger than what is left of it
    shift = np.where(np.arange(len(mean)) < problem.n_flat, mean, 0.0)
    seen = problem.count > 0
    D, y = problem.rows[seen], (problem.design.y - problem.offset - problem.rows @ shift)[seen]
    weights = _mean_weights(problem.count[seen], D, y, draws, shift)
    given = ridge(D, y, weights[None], problem.n_flat, (mean - shift)[None])
    space = _Space(problem, prior, noise_prior, t, D, y, given)
    assert draws.extra is not None
    x = [space.whitened(*one) for one in zip(draws.theta - shift, draws.node, *draws.extra, strict=True)]
    return bridged(np.array(x), draws.node, draws.mass, space.log_p, rng)


def _mean_weights(count: Array, D: Array, y: Array, draws: Weighted, shift: Array) -> Array:
    """Of each row, (n,); one that stands for w observations has w times the weight."""
    assert draws.extra is not None
    some = slice(None, None, max(1, draws.node.shape[1] // _FOR_WEIGHTS))
    sigma, df = draws.extra[:, :, some, None]
    e = (y - (draws.theta[:, some] - shift) @ D.T) / sigma
    return np.asarray(count * ((df + 1.0) / (df + np.square(e))).mean(axis=(0, 1)))


@dataclass(frozen=True, eq=False)
class _Space:
    """Coordinates x: whitened theta, log sigma less what is expected at the node, and log df; the last two if unknown.

    Attributes
    ----------
    t : ndarray of shape (K,)
    D, y : ndarray of shape (n, d) and (n,)
        Rows that count, less the flat directions' means.
    given : Ridge
        The regression with mean weights.
    """

    problem: Outcome
    prior: Prior
    noise_prior: NoisePrior
    t: Array
    D: Array
    y: Array
    given: Ridge

    @cached_property
    def log_scale(self) -> Array:
        """What log sigma is about at each node, (K,)."""
        conjugate = self.noise_prior.conjugate
        own = 0.0 if conjugate is None else conjugate.scale
        return np.asarray(0.5 * np.log(own + 0.5 * self.given.along(self.t)[0][0]))

    def whitened(self, theta: Array, node: Nodes, sigma: Array, df: Array) -> Array:
        """X (N, m) of draws."""
        u = self.given.whitened(theta, np.exp(self.t[node]), sigma)
        more = [] if self.noise_prior.known is not None else [np.log(sigma) - self.log_scale[node]]
        more += [] if self._known_df is not None else [np.log(df)]
        return np.column_stack([u, *more])

    def log_p(self, x: Array, node: Nodes) -> Array:
        """Log of the joint density of y, x and the node."""
        size = max(1, _BLOCK_VALUES // len(self.y))
        parts = [slice(k, k + size) for k in range(0, len(x), size)]
        return np.concatenate([self._log_p(x[part], node[part]) for part in parts])

    def _log_p(self, x: Array, node: Nodes) -> Array:
        d, r, t = self.D.shape[1], self.problem.rank, self.t[node]
        known, known_df = self.noise_prior.known, self._known_df
        log_sigma = x[:, d] + self.log_scale[node] if known is None else np.full(len(x), np.log(known))
        df = np.exp(x[:, -1]) if known_df is None else np.full(len(x), known_df)
        sigma, lam = np.exp(log_sigma), np.exp(t)
        theta = self.given.coordinates(x[:, :d], lam, sigma)
        family = self.problem.family.given(np.stack([sigma, df])[..., None])
        count = self.problem.count[self.problem.count > 0]
        log_p = family.log_likelihood(theta @ self.D.T, self.y, None, count) + self.given.log_volume(lam, sigma)
        squares = np.square(theta[:, d - r :]).sum(axis=1) * lam / np.square(sigma)
        log_p += 0.5 * r * (t - 2.0 * log_sigma - np.log(2.0 * np.pi)) - 0.5 * squares
        if known is None:
            log_p += self.noise_prior.log_density(log_sigma)
        if known_df is None:
            log_p += self.problem.family.log_prior(np.log(df))
        if self.prior.known is None:
            log_p += self.prior.given_sigma(t, log_sigma, self.problem.design.signal) + np.log(self.t[1] - self.t[0])
        return np.asarray(log_p + self.problem.log_units)

    @property
    def _known_df(self) -> float | None:
        found: float | None = self.problem.family.df  # type: ignore[attr-defined]
        return found
