r"""The fallback: Hamiltonian sampling in the coordinates that the bells whiten, exact in the limit.

With theta = m_k + A_k u at node k (A_k A_k' the bell's covariance), u given k is nearly standard normal: three leapfrog
steps of unit mass cross it. The node given u is drawn exactly, from its K probabilities, each with theta moved along to
that node's bell (the log determinant of A_k is the Jacobian). Chains run side by side, in eight groups that are the
replicates of the standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.outcomes.bridge import bridged
from bayesridge.outcomes.correction import REPLICATES, Weighted, log_joint
from bayesridge.outcomes.nodes import Node
from bayesridge.outcomes.problem import Outcome

Array = NDArray[np.float64]

CHAINS = 6  # in each replicate
_LEAPS = 3
_MOVES = 2  # of the coordinates, to one of the node, which costs as much and hardly remembers
_GATHERED = 16  # coordinates
_AT_ONCE = 30  # nodes
_STEP = 0.55
_WARM_UP = 60
_WANTED = 0.8  # acceptance


@dataclass
class Chains:
    """The state of all chains; each call of :meth:`run` goes on from there."""

    problem: Outcome
    nodes: list[Node]
    rng: np.random.Generator

    def __post_init__(self) -> None:
        problem, nodes = self.problem, self.nodes
        self._t = np.array([node.t for node in nodes])
        self._m = np.array([node.bell.mean for node in nodes])
        self._A = np.array([np.linalg.inv(node.bell.root).T for node in nodes])
        self._extra = None if nodes[0].extra is None else np.array([node.extra for node in nodes])
        # lines of nodes that share log lambda, or the further parameter, to choose along in turn: (2, K, length)
        self._lines = _lines(self._t, self._extra)
        self._along = 0
        self._choices = 1 if self._extra is not None else len(self._lines)  # a stride and a block are one choice of t
        log_det = np.array([-np.log(node.bell.root.diagonal()).sum() for node in nodes])
        log_step = np.array([node.log_step for node in nodes])
        # what of the joint density depends on the node alone
        self._base = log_step + 0.5 * problem.rank * self._t + log_det
        share = log_step + np.array([node.bell.log_evidence for node in nodes])
        share = np.exp(share - share.max())
        C = REPLICATES * CHAINS
        self._k = self.rng.choice(len(nodes), C, p=share / share.sum())
        self._u = self.rng.standard_normal((C, problem.rows.shape[1]))
        self._step = _STEP
        for _ in range(_WARM_UP):
            accepted = self._move()
            self._step = float(np.clip(self._step * np.exp(0.5 * (accepted - _WANTED)), 0.01, 1.0))
            self._choose_node()

    def run(self, count: int) -> Weighted:
        """Return `count` draws of each chain, laid out as replicates."""
        C, d = self._u.shape
        theta, node = np.empty((count, C, d)), np.empty((count, C), dtype=np.intp)
        mass = np.zeros((len(self.nodes), C))
        for i in range(count):
            self._move()
            if i % _MOVES == 0:
                for _ in range(self._choices):
                    mass += self._choose_node()
            theta[i], node[i] = self._theta(self._u, self._k), self._k
        # in the order of time, so that the first half of a replicate is the first half of its chains
        shaped = theta.reshape(count, REPLICATES, CHAINS, d).transpose(1, 0, 2, 3).reshape(REPLICATES, -1, d)
        chosen = node.reshape(count, REPLICATES, CHAINS).transpose(1, 0, 2).reshape(REPLICATES, -1)
        of_nodes = mass.T.reshape(REPLICATES, CHAINS, -1).sum(axis=1) / mass.sum()
        return Weighted(shaped, chosen, np.zeros(chosen.shape), of_nodes)

    def log_evidence(self, draws: Weighted) -> tuple[float, float] | None:
        """Log p(y) and its standard error by bridge sampling, u being nearly normal; None where draws do not tell."""
        roots = np.array([node.bell.root for node in self.nodes])
        log_root = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        u = [self._whitened(theta - self._m[k], k, roots) for theta, k in zip(draws.theta, draws.node, strict=True)]

        def log_p(u: Array, k: NDArray[np.intp]) -> Array:
            return np.asarray(log_joint(self.problem, self.nodes, self._theta(u, k), k) - log_root[k])

        return bridged(np.array(u), draws.node, draws.mass, log_p, self.rng)

    def _theta(self, u: Array, k: NDArray[np.intp]) -> Array:
        return np.asarray(self._m[k] + self._whitened(u, k, self._A.swapaxes(1, 2)))

    def _whitened(self, v: Array, k: NDArray[np.intp], matrices: Array) -> Array:
        """Each chain's row times its node's matrix: gathered where that is small, node by node where many share one."""
        if v.shape[1] < _GATHERED:
            return np.asarray((v[:, None, :] @ matrices[k])[:, 0])
        found = np.empty_like(v)
        distinct = np.unique(k)
        if 2 * len(distinct) > len(k):
            for i, one in enumerate(k):
                np.dot(v[i], matrices[one], out=found[i])
            return found
        for one in distinct:
            found[k == one] = v[k == one] @ matrices[one]
        return found

    def _move(self) -> float:
        problem, q, lam = self.problem, self.problem.n_flat, np.exp(self._t[self._k])[:, None]
        if self._extra is not None:
            problem = problem.given(self._extra[self._k][:, None])

        def energy(theta: Array, eta: Array, momentum: Array) -> Array:
            kinetic = np.square(momentum).sum(axis=1)
            return np.asarray(
                problem.log_likelihood_at(eta) - 0.5 * (lam * np.square(theta[:, q:])).sum(axis=1) - 0.5 * kinetic
            )

        def pull(theta: Array, eta: Array) -> Array:
            gradient = problem.slope(eta)[0] @ problem.rows
            gradient[:, q:] -= lam * theta[:, q:]
            return self._whitened(gradient, self._k, self._A)

        def placed(u: Array) -> tuple[Array, Array]:
            theta = self._theta(u, self._k)
            return theta, theta @ problem.rows.T

        momentum = self.rng.standard_normal(self._u.shape)
        step = self._step * self.rng.uniform(0.8, 1.2)
        u, at = self._u, placed(self._u)
        before = energy(*at, momentum)
        with np.errstate(over="ignore", invalid="ignore"):  # a leap out of float64 gains nothing, and is not taken
            momentum = momentum + 0.5 * step * pull(*at)
            for leap in range(1, _LEAPS + 1):
                u = u + step * momentum
                at = placed(u)
                momentum = momentum + (0.5 if leap == _LEAPS else 1.0) * step * pull(*at)
            gain = energy(*at, momentum) - before
        taken = np.log(self.rng.random(len(gain))) < gain
        self._u = np.where(taken[:, None], u, self._u)
        return float(np.exp(np.minimum(np.where(np.isfinite(gain), gain, -np.inf), 0.0)).mean())

    def _choose_node(self) -> Array:
        """Draw the nodes along a line; return probabilities, (K, chains), whose averages are better than counts."""
        problem, q, C = self.problem, self.problem.n_flat, len(self._u)
        line = self._lines[self._along % len(self._lines)][self._k]
        self._along += 1
        log_p = np.full(line.shape, -np.inf)
        for i in range(line.shape[1]):
            k = line[:, i]
            here = problem if self._extra is None else problem.given(self._extra[k][:, None])
            theta = self._theta(self._u, k)
            value = here.log_likelihood(theta) - 0.5 * np.exp(self._t[k]) * np.square(theta[:, q:]).sum(axis=1)
            log_p[:, i] = np.where(k >= 0, value + self._base[k], -np.inf)
        below = np.cumsum(np.exp(log_p - log_p.max(axis=1, keepdims=True)), axis=1)
        picked = np.minimum((below < self.rng.random((C, 1)) * below[:, -1:]).sum(axis=1), line.shape[1] - 1)
        chains = np.arange(C)
        self._k = line[chains, picked]
        share = np.zeros((len(self._t) + 1, C))
        share[line.T, chains] = np.diff(below / below[:, -1:], axis=1, prepend=0.0).T
        return share[:-1]


def _lines(t: Array, extra: Array | None) -> list[NDArray[np.intp]]:
    """For each node those to choose among, in turn, filled up with -1.

    Those that share its further parameter, and those that share its t; where t alone is many, every s-th, and a block.
    """
    if extra is None and len(t) <= _AT_ONCE:
        return [np.tile(np.arange(len(t)), (len(t), 1))]
    stride = int(np.ceil(len(t) / (0.5 * _AT_ONCE)))
    k = np.arange(len(t))
    found = []
    for shared in (k % stride, k // stride) if extra is None else (extra, t):
        each = [np.flatnonzero(shared == one) for one in shared]
        longest = max(map(len, each))
        found.append(np.array([np.pad(one, (0, longest - len(one)), constant_values=-1) for one in each]))
    return found
