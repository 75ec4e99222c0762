r"""Student-t noise by collapsed Gibbs sampling: weights of the rows, then everything else jointly given them.

    y_i = eta_i + e_i,   e_i ~ N(0, sigma^2 / g_i),   g_i ~ Gamma(nu / 2, nu / 2),   b ~ N(0, sigma^2 / lambda)

Given g this is a weighted ridge regression, whose lambda, sigma and coefficients are drawn without Markov steps: with
the flat directions eliminated and ``S = V diag(l) V'`` what is left of the weighted Gram matrix, ``Q(lambda) = r0 + sum
z^2 lambda / (l (l + lambda))``,

    p(lambda | g, y) = prior prod (1 + l / lambda)^-1/2 (b + Q / 2)^-(a + nu_0 / 2)    (sigma^2 ~ IG(a, b), integrated)

on a lattice in log lambda (trapezoidal rule), then sigma^2, then b. Where the prior of lambda moves with sigma, or
sigma's is no inverse gamma, the two are drawn in turn, the coefficients integrated out of both. Given the residuals
nu is drawn from its density with g integrated out, and g from gammas: a row that stands for w observations has the
sum of w of them. Plain Gibbs, with lambda given b, has 1 effective draw where this has 58 (60 rows, 200 columns).

Lange, Little & Taylor (1989), JASA 84, 881-896.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from bayesridge.errors import ImproperPosteriorError
from bayesridge.linalg.shares import growth_and_shrunk, resolvent
from bayesridge.outcomes.correction import REPLICATES, Weighted
from bayesridge.outcomes.problem import Outcome
from bayesridge.priors import NoisePrior, Prior

Array = NDArray[np.float64]

CHAINS = 4  # in each replicate
_WARM_UP = 90
_PILOT_STEP, _PILOT_REACH = 0.5, 60.0
# sds of log lambda given weights, the narrowest that were seen: a sum is right to 1e-20 then, and a place between nodes
# adds 3% of its variance
_STEP = 0.6
_CUT = 14.0
_SIGMAS = 801
_ROUNDED = 1e4 * float(np.finfo(np.float64).eps)  # of y: residuals have four digits there
_DFS = 61


@dataclass(frozen=True, eq=False)
class Ridge:
    """The weighted ridge regressions of C chains.

    Attributes
    ----------
    values : ndarray of shape (C, r)
        Eigenvalues, positive.
    V, z : ndarray of shape (C, r, r) and (C, r)
        Eigenvectors, and the right side along them.
    r0 : ndarray of shape (C,)
        Squares that no penalised direction explains.
    flat_root, flat_side, cross : ndarray
        Cholesky factor of the flat directions, their right side, and their products with the others.
    """

    values: Array
    V: Array
    z: Array
    r0: Array
    flat_root: Array
    flat_side: Array
    cross: Array

    def along(self, t: Array) -> tuple[Array, Array]:
        """``Q`` and ``-1/2 sum log(1 + l / lambda)`` at log lambdas (K,): two arrays (C, K)."""
        log_det, shrink = growth_and_shrunk(self.values[:, None, :], t[:, None])
        return self.r0[:, None] + (shrink @ (np.square(self.z) / self.values)[..., None])[..., 0], -0.5 * log_det

    def coordinates(self, u: Array, lam: Array, sigma: Array) -> Array:
        """Coordinates (N, d) given lambda and sigma (N,), of standard normal u (N, d); N is C, where C is not one."""
        q = u.shape[1] - self.values.shape[1]
        variance, sd = resolvent(self.values, lam[:, None]), sigma[:, None]
        along = self.z * variance + sd * u[:, q:] * np.sqrt(variance)
        b = (self.V @ along[..., None])[..., 0]
        side = self.flat_side - (self.cross @ b[..., None])[..., 0] + sd * u[:, :q]
        return np.concatenate([np.linalg.solve(self.flat_root.swapaxes(1, 2), side[..., None])[..., 0], b], axis=1)

    def whitened(self, theta: Array, lam: Array, sigma: Array) -> Array:
        """Undo :meth:`coordinates`: u (N, d) of theta."""
        q = theta.shape[1] - self.values.shape[1]
        gamma, b = theta[:, :q, None], theta[:, q:, None]
        variance = resolvent(self.values, lam[:, None])
        along = (self.V.swapaxes(1, 2) @ b)[..., 0] - self.z * variance
        flat = (self.flat_root.swapaxes(1, 2) @ gamma + self.cross @ b)[..., 0] - self.flat_side
        return np.concatenate([flat, along / np.sqrt(variance)], axis=1) / sigma[:, None]

    def log_volume(self, lam: Array, sigma: Array) -> Array:
        """Log determinant of :meth:`coordinates`, (N,)."""
        log_sd = np.log(sigma)[:, None] + 0.5 * np.log(resolvent(self.values, lam[:, None]))
        log_root = np.log(np.diagonal(self.flat_root, axis1=1, axis2=2))
        return np.asarray(log_sd.sum(axis=1) + log_root.shape[1] * np.log(sigma) - log_root.sum(axis=1))


def ridge(D: Array, y: Array, weights: Array, q: int, about: Array) -> Ridge:
    """Factorise C weighted regressions of y on D, whose first q columns are flat.

    Written for ``e = y - D about``, where squares do not cancel: with b = V c the right side is ``z = z_e + l c``, and
    ``r0`` is that of e.

    Parameters
    ----------
    weights : ndarray of shape (C, n)
    about : ndarray of shape (C, d)
        Coordinates near those that the weights come from.
    """
    e = y - about @ D.T
    weighted = weights[:, :, None] * D
    H = D.T @ weighted
    side = (e[:, None, :] @ weighted)[:, 0]
    total = (weights * np.square(e)).sum(axis=1)
    root = np.linalg.cholesky(H[:, :q, :q]) if q else np.empty((len(weights), 0, 0))
    half = np.linalg.solve(root, np.concatenate([H[:, :q, q:], side[:, :q, None]], axis=2))
    cross, half_side = half[..., :-1], half[..., -1:]
    S = H[:, q:, q:] - cross.swapaxes(1, 2) @ cross
    rest = side[:, q:] - (cross.swapaxes(1, 2) @ half_side)[..., 0]
    values, V = np.linalg.eigh(S)
    tiny = values <= values.max(axis=1, initial=0.0)[:, None] * len(D) * np.finfo(np.float64).eps
    values = np.where(tiny, np.finfo(np.float64).tiny, values)
    z = np.where(tiny, 0.0, (rest[:, None, :] @ V)[:, 0])
    left = total - np.square(half_side[..., 0]).sum(axis=1) - (np.square(z) / values).sum(axis=1)
    r0 = np.maximum(left, len(D) * np.finfo(np.float64).eps * total)
    z = z + np.where(tiny, 0.0, values * (about[:, None, q:] @ V)[:, 0])
    flat = half_side + root.swapaxes(1, 2) @ about[:, :q, None] + cross @ about[:, q:, None]
    return Ridge(values, V, z, r0, root, flat[..., 0], cross)


class Gibbs:
    """The state of all chains; each call of :meth:`run` goes on from there.

    Parameters
    ----------
    problem : Outcome
        Of a family with fields df and df_prior.
    prior : Prior
        Of lambda, or of tau.
    noise_prior : NoisePrior
        Of sigma.
    """

    def __init__(self, problem: Outcome, prior: Prior, noise_prior: NoisePrior, rng: np.random.Generator) -> None:
        self.problem, self.prior, self.noise, self.rng = problem, prior, noise_prior, rng
        y = problem.design.y - problem.offset
        self.seen = problem.count > 0
        self.count = problem.count[self.seen]
        self.centre = float(np.median(y[self.seen])) if problem.design.fit_intercept else 0.0
        self.y, self.D = y[self.seen] - self.centre, problem.rows[self.seen]
        self.unit = float(np.sqrt(np.mean(np.square(self.y)))) or 1.0
        self.least = _ROUNDED * (float(np.median(np.abs(self.y))) or self.unit)
        self.nu0 = float(self.count.sum()) - problem.n_flat
        if self.nu0 <= 0:
            raise ImproperPosteriorError(
                f"{self.count.sum():g} observations cannot tell the noise from {problem.n_flat} columns without a prior"
            )
        self.joint = prior.variable == "lambda" and noise_prior.conjugate is not None
        df = problem.family.df  # type: ignore[attr-defined]
        self.log_df = np.log(np.geomspace(0.2, 500.0, _DFS)) if df is None else np.log([float(df)])
        C = REPLICATES * CHAINS
        self.df = np.exp(rng.choice(self.log_df[self.log_df < np.log(50.0)] if df is None else self.log_df, C))
        self.g = np.tile(self.count, (C, 1)) * rng.gamma(4.0, 0.25, (C, len(self.y)))
        self.sigma = np.full(C, self.unit)
        known = prior.known
        self.theta = np.zeros((C, self.D.shape[1]))
        first = ridge(self.D, self.y, self.g, problem.n_flat, self.theta)
        middle = float(np.median(np.log(first.values[:, -1]))) if first.values.shape[1] else 0.0
        pilot = np.arange(middle - _PILOT_REACH, middle + _PILOT_REACH, _PILOT_STEP)
        self.t = np.array([np.log(known)]) if known is not None else pilot
        self.node = np.full(C, len(self.t) // 2)
        low, high, narrowest = len(self.t), 0, np.inf
        for i in range(_WARM_UP):
            share = self._move()[0]
            if i >= _WARM_UP // 3 and known is None:
                inside = np.flatnonzero((share > share.max(axis=1, keepdims=True) * np.exp(-_CUT)).any(axis=0))
                low, high = min(low, int(inside[0])), max(high, int(inside[-1]))
                mean = share @ self.t
                narrowest = min(narrowest, float(np.sqrt((share @ np.square(self.t) - mean**2).max(initial=1e-4))))
        if known is None:
            if low == 0 or high == len(self.t) - 1:
                raise ImproperPosteriorError(
                    f"the posterior of lambda reaches {'below' if low == 0 else 'beyond'} "
                    f"{np.exp(self.t[0 if low == 0 else -1]):.0e} under {prior.text}; fix it, or take another prior"
                )
            count = int(np.ceil((high - low + 2) * _PILOT_STEP / min(_STEP * narrowest, _PILOT_STEP)))
            old = self.t[self.node]
            self.t = np.linspace(self.t[low - 1], self.t[high + 1], min(count, 400))
            self.node = np.abs(self.t - old[:, None]).argmin(axis=1)

    def run(self, count: int) -> Weighted:
        """Return `count` draws of each chain; `extra` holds sigma and the degrees of freedom."""
        R, C, d = REPLICATES, REPLICATES * CHAINS, self.D.shape[1]
        theta, node = np.empty((count, C, d)), np.empty((count, C), dtype=np.intp)
        extra, mass = np.empty((2, count, C)), np.zeros((C, len(self.t)))
        for i in range(count):
            share, theta[i] = self._move()
            mass += share
            node[i], extra[0, i], extra[1, i] = self.node, self.sigma, self.df
        if self.problem.design.fit_intercept:
            theta[..., 0] += self.centre
        # in the order of time, so that the first half of a replicate is the first half of its chains
        theta = theta.reshape(count, R, CHAINS, d).swapaxes(0, 1).reshape(R, -1, d)
        node = node.reshape(count, R, CHAINS).swapaxes(0, 1).reshape(R, -1)
        extra = extra.reshape(2, count, R, CHAINS).swapaxes(1, 2).reshape(2, R, -1)
        mass = mass.reshape(R, CHAINS, -1).sum(axis=1)
        return Weighted(theta, node, np.zeros(node.shape), mass / mass.sum(), extra)

    def _move(self) -> tuple[Array, Array]:
        """One sweep; returns the probabilities of the nodes, (C, K), and the coordinates, (C, d)."""
        q, rng, C = self.problem.n_flat, self.rng, REPLICATES * CHAINS
        given = ridge(self.D, self.y, self.g, q, self.theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self._lambda_and_sigma(given)
        if not (self.sigma > self.least).all():
            raise ImproperPosteriorError(
                f"the scale of the noise runs to zero (below {self.least:.1g}): so many rows of "
                f"{self.problem.design.target_name} are fitted exactly (equal values, or columns that make them) that "
                f"there is no posterior under {self.noise.text}, or none that float64 can tell from it; give a "
                "noise_prior that keeps sigma from zero, as InverseGamma(2, scale)"
            )
        along, flat = rng.standard_normal(given.values.shape), rng.standard_normal((C, q))
        theta = given.coordinates(np.concatenate([flat, along], axis=1), np.exp(self.t[self.node]), self.sigma)
        self.theta = theta
        squares = np.square((self.y - theta @ self.D.T) / self.sigma[:, None])
        if len(self.log_df) > 1:
            self._choose_df(squares)
        # a row that stands for w observations has the sum of their w weights
        df = self.df[:, None]
        self.g = rng.gamma(0.5 * self.count * (df + 1.0)) / (0.5 * (df + squares))
        return share, theta

    def _lambda_and_sigma(self, given: Ridge) -> Array:
        C = len(self.sigma)
        Q, det = given.along(self.t)
        if self.joint:
            a, b, _ = self.noise.conjugate  # type: ignore[misc]
            shape, rate = a + 0.5 * self.nu0, b + 0.5 * Q
            share = self._choose(self._log_prior(self.t, 0.0) + det - shape * np.log(rate))
            self.sigma = np.sqrt(rate[np.arange(C), self.node] / self.rng.gamma(shape, size=C))
            return share
        for _ in range(3):
            log_s = np.log(self.sigma)[:, None]
            share = self._choose(self._log_prior(self.t, log_s) + det - 0.5 * Q / self.sigma[:, None] ** 2)
            Qk = Q[np.arange(C), self.node][:, None]
            if self.noise.known is not None:
                self.sigma = np.full(C, self.noise.known)
                continue
            width = 14.0 / np.sqrt(2.0 * self.nu0)
            grid = 0.5 * np.log(Qk / self.nu0) + np.linspace(-width, width, _SIGMAS)
            log_p = self.noise.log_density(grid) + self._log_prior(self.t[self.node][:, None], grid)
            log_p = log_p - self.nu0 * grid - 0.5 * Qk * np.exp(-2.0 * grid)
            at = _pick(np.exp(log_p - log_p.max(axis=1, keepdims=True)), self.rng)
            self.sigma = np.exp(grid[np.arange(C), at] + (self.rng.random(C) - 0.5) * (grid[:, 1] - grid[:, 0]))
        return share

    def _log_prior(self, t: Array, log_sigma: Array | float) -> Array:
        """Of log lambda given sigma; a known one has none."""
        if self.prior.known is not None:
            return np.zeros(1)
        return self.prior.given_sigma(t, log_sigma, self.problem.design.signal)

    def _choose(self, log_p: Array) -> Array:
        share = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
        self.node = _pick(share, self.rng)
        return np.asarray(share)

    def _choose_df(self, squares: Array) -> None:
        """With the weights integrated out: Student's density of the residuals."""
        df = np.exp(self.log_df)
        tails = np.log1p(squares[:, None, :] / df[:, None]) @ self.count  # (C, dfs)
        each = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * self.log_df
        log_p = self.count.sum() * each - 0.5 * (df + 1.0) * tails
        log_p = log_p + self.problem.family.log_prior(self.log_df)
        at = _pick(np.exp(log_p - log_p.max(axis=1, keepdims=True)), self.rng)
        step = self.log_df[1] - self.log_df[0]
        self.df = np.exp(self.log_df[at] + (self.rng.random(len(at)) - 0.5) * step)


def _pick(share: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """One of each row, in proportion."""
    below = np.cumsum(share, axis=1)
    return np.asarray(np.minimum((below < rng.random((len(share), 1)) * below[:, -1:]).sum(axis=1), share.shape[1] - 1))
