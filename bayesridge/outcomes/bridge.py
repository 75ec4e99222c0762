r"""Log p(y) from draws of chains, by bridge sampling (Meng & Wong 1996, Statistica Sinica 6, 831-860).

In coordinates x that nearly whiten the posterior at every node k, q(k, x) is the nodes' known probabilities times one
Gaussian, fitted to draws. With l = p(y, k, x) / q(k, x) at as many draws of the chains (p) as of q, Z = p(y) solves

    sum over q of  l / (l + Z)  =  sum over p of  Z / (l + Z),

whose terms are bounded: q has to overlap the posterior, not to cover its tails. Each replicate is an estimate of its
own, under a q that was fitted to the other half of the replicates; errors of the two sums move log Z in opposite ways.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import brentq
from scipy.special import expit

Array = NDArray[np.float64]
Nodes = NDArray[np.intp]

#: Standard error of log p(y) beyond which it is none: 2.36 of them are half a nat.
LARGEST_ERROR = 0.2
_EVEN = 1e-3  # of q's probability, over all nodes
_MOST = 4_096  # draws of each replicate; chains remember, and more of them tell little
_BEYOND = 40.0  # nats, where a sum is all or nothing


def bridged(
    x: Array, node: Nodes, mass: Array, log_p: Callable[[Array, Nodes], Array], rng: np.random.Generator
) -> tuple[float, float] | None:
    """Log of the integral of p over x, summed over nodes, and its standard error; None where that is too large.

    Parameters
    ----------
    x, node : ndarray of shape (R, S, m) and (R, S)
        Draws from p in R independent replicates.
    mass : ndarray of shape (R, K)
        Probabilities of the nodes, up to a factor common to all.
    log_p : callable
        Log density of x (N, m) at nodes (N,), not normalised.
    """
    R, S = node.shape
    some = slice(None, None, int(np.ceil(S / _MOST)))
    found = []
    for fit, use in ((slice(R // 2, R), range(R // 2)), (slice(R // 2), range(R // 2, R))):
        q = _Gaussian(x[fit].reshape(-1, x.shape[2]), mass[fit].sum(axis=0))
        for r in use:
            chain = x[r, some], node[r, some]
            ratios = [log_p(*one) - q.log_density(*one) for one in (chain, q.draw(len(chain[0]), rng))]
            found.append(_meeting(*ratios))
    value, error = float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(R))
    return (value, error) if error <= LARGEST_ERROR else None


class _Gaussian:
    """Nodes with probabilities, and x independent of them."""

    def __init__(self, x: Array, mass: Array) -> None:
        self.chance = (1.0 - _EVEN) * mass / mass.sum() + _EVEN / len(mass)
        self.mean = x.mean(axis=0)
        covariance = (x - self.mean).T @ (x - self.mean) / len(x)
        # shrunk as if there were one draw more for each coordinate, uncorrelated: many coordinates have few draws each
        covariance.flat[:: len(covariance) + 1] *= 1.0 + len(covariance) / len(x)
        self.root = np.linalg.cholesky(covariance)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Nodes]:
        node = rng.choice(len(self.chance), count, p=self.chance)
        return self.mean + rng.standard_normal((count, len(self.mean))) @ self.root.T, node

    def log_density(self, x: Array, node: Nodes) -> Array:
        z = solve_triangular(self.root, (x - self.mean).T, lower=True)
        constant = np.log(self.root.diagonal()).sum() + 0.5 * len(z) * np.log(2.0 * np.pi)
        return np.asarray(np.log(self.chance[node]) - constant - 0.5 * np.square(z).sum(axis=0))


def _meeting(chain: Array, proposed: Array) -> float:
    """Log Z of log ratios l under p and under q: where the two sums, one falling and one rising in Z, are equal."""
    proposed = np.where(np.isnan(proposed), -np.inf, proposed)  # beyond float64, where p has nothing
    both = np.concatenate([chain, proposed[np.isfinite(proposed)]])

    def surplus(log_z: float) -> float:
        return float(expit(proposed - log_z).sum() - expit(log_z - chain).sum())

    return float(brentq(surplus, both.min() - _BEYOND, both.max() + _BEYOND, xtol=1e-6, maxiter=1_000))
