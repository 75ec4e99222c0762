r"""Importance sampling from the bells at the nodes, by eight independent scramblings of Sobol points.

One point of a sequence chooses a node (in proportion to its share, a tenth spread evenly), a scale of Student's t where
that is affordable, and a place in the bell. With q(k) the probability of node k and g_k the bell's density,

    weight = p(y | theta) N(b; 0, 1/lambda_k) [prior x width]_k / (q(k) g_k(theta)),

whose mean is p(y). Each scrambling is an estimate of its own: the spread of the eight is the standard error of every
number (Owen 1997; t with 7 degrees of freedom). Points are drawn on, not anew, when they are doubled.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import chdtri, gammaln, ndtri
from scipy.stats import qmc

from bayesridge.outcomes.nodes import Node
from bayesridge.outcomes.problem import Outcome
from bayesridge.outcomes.warp import Warps

Array = NDArray[np.float64]

REPLICATES = 8
_BLOCK_VALUES = 1 << 21
_EVEN = 0.1
_DF = 10.0
_MOST_T = 20  # coordinates; beyond, Student's radius spreads too far


@dataclass(frozen=True, eq=False)
class Weighted:
    """Draws of the coordinates and the node, weighted, in independent replicates.

    Attributes
    ----------
    theta : ndarray of shape (R, S, d)
    node : ndarray of int, shape (R, S)
    log_weight : ndarray of shape (R, S)
        The mean of its exponential is p(y); of equal weights, zeros.
    mass : ndarray of shape (R, K)
        Probability of each node by each replicate, up to a factor common to all.
    extra : ndarray of shape (h, R, S) or None
        Further parameters of the family that are drawn, not on nodes.
    """

    theta: Array
    node: NDArray[np.intp]
    log_weight: Array
    mass: Array
    extra: Array | None = None

    @property
    def weight(self) -> Array:
        """Weights that add up to one, (R, S)."""
        w = np.exp(self.log_weight - self.log_weight.max())
        return np.asarray(w / w.sum())


class Sampler:
    """The eight sequences, which go on where they stopped."""

    def __init__(self, problem: Outcome, nodes: list[Node], seed: int, *, bent: bool = False) -> None:
        self.problem, self.nodes = problem, nodes
        self._warps = Warps(problem, nodes) if bent else None
        d = problem.rows.shape[1]
        self.student = d <= _MOST_T
        width = d + 1 + int(self.student)
        self._sequences = [qmc.Sobol(width, rng=np.random.default_rng([seed, i])) for i in range(REPLICATES)]
        log_share = np.array([node.log_step + node.bell.log_evidence for node in nodes])
        share = np.exp(log_share - log_share.max())
        self.chance = (1.0 - _EVEN) * share / share.sum() + _EVEN / len(nodes)

    def more(self, count: int) -> Weighted:
        """Return the next `count` draws of each sequence."""
        together = REPLICATES if count * self.problem.rows.shape[1] < _BLOCK_VALUES else 1
        found = []
        for i in range(0, REPLICATES, together):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The balance properties of Sobol", UserWarning)
                u = np.concatenate([one.random(count) for one in self._sequences[i : i + together]])
            found.append(self._placed(np.clip(u, 1e-12, 1.0 - 1e-12)))
        theta, node, log_weight = (np.concatenate(parts) for parts in zip(*found, strict=True))
        node, log_weight = node.reshape(REPLICATES, count), log_weight.reshape(REPLICATES, count)
        mass = _mass(node, log_weight, len(self.nodes))
        return Weighted(theta.reshape(REPLICATES, count, -1), node, log_weight, mass)

    def _placed(self, u: Array) -> tuple[Array, NDArray[np.intp], Array]:
        """Coordinates, nodes and log weights of points of the unit cube, (S, width)."""
        count, d = len(u), self.problem.rows.shape[1]
        node = np.searchsorted(np.cumsum(self.chance)[:-1], u[:, 0], side="right")
        z = ndtri(u[:, 1 : d + 1])
        scale = np.ones(count)
        if self.student:
            scale = np.sqrt(_DF / chdtri(_DF, u[:, -1]))  # chdtri inverts the upper tail
        z *= scale[:, None]
        theta, log_bell = np.empty((count, d)), np.empty(count)
        squares = np.einsum("ij,ij->i", z, z)
        for k in np.unique(node):
            here = node == k
            bell = self.nodes[k].bell
            log_bent: Array | float = 0.0
            if self._warps is None:
                theta[here] = bell.mean + solve_triangular(bell.root, z[here].T, lower=True, trans=1).T
            else:
                theta[here], log_bent = self._warps[k].bend(z[here])
            log_bell[here] = np.log(bell.root.diagonal()).sum() - log_bent
        if self.student:
            log_bell += gammaln(0.5 * (_DF + d)) - gammaln(0.5 * _DF) - 0.5 * d * np.log(_DF * np.pi)
            log_bell -= 0.5 * (_DF + d) * np.log1p(squares / _DF)
        else:
            log_bell -= 0.5 * squares + 0.5 * d * np.log(2.0 * np.pi)
        log_weight = log_joint(self.problem, self.nodes, theta, node) - np.log(self.chance[node]) - log_bell
        return theta, node, log_weight


def log_joint(problem: Outcome, nodes: list[Node], theta: Array, node: NDArray[np.intp]) -> Array:
    """Log of likelihood x prior of b x [prior of lambda x width], for draws (S, d) at their nodes (S,)."""
    t = np.array([one.t for one in nodes])[node]
    b = theta[:, problem.n_flat :]
    log_step = np.array([one.log_step for one in nodes])[node]
    prior = 0.5 * problem.rank * (t - np.log(2.0 * np.pi)) - 0.5 * np.exp(t) * np.einsum("ij,ij->i", b, b)
    size = max(1, _BLOCK_VALUES // max(problem.design.n_rows, 1))
    likelihood = np.empty(len(theta))
    extra = np.array([np.nan if one.extra is None else one.extra for one in nodes])[node]
    for value in np.unique(extra):  # one of NaN: what depends on it alone is computed once
        at = np.flatnonzero(np.isnan(extra) if np.isnan(value) else extra == value)
        here = problem.given(None if np.isnan(value) else float(value))
        for part in np.split(at, range(size, len(at), size)):
            likelihood[part] = here.log_likelihood(theta[part])
    return np.asarray(likelihood + prior + log_step)


def _mass(node: NDArray[np.intp], log_weight: Array, K: int) -> Array:
    w = np.exp(log_weight - log_weight.max())
    return np.array([np.bincount(k, one, K) for k, one in zip(node, w, strict=True)])


def joined(first: Weighted, then: Weighted) -> Weighted:
    """One after the other, replicate by replicate."""
    node = np.concatenate([first.node, then.node], axis=1)
    log_weight = np.concatenate([first.log_weight, then.log_weight], axis=1)
    K = first.mass.shape[1]
    equal = not log_weight.any()  # of chains, whose nodes are known better than by counting
    mass = first.node.shape[1] * first.mass + then.node.shape[1] * then.mass if equal else _mass(node, log_weight, K)
    extra = None
    if first.extra is not None and then.extra is not None:
        extra = np.concatenate([first.extra, then.extra], axis=2)
    return Weighted(np.concatenate([first.theta, then.theta], axis=1), node, log_weight, mass / mass.sum(), extra)
