"""Dense reference computations: no spectrum, no Student-t, no closed-form integral.

For every lambda on a fine grid the joint precision (or, for more columns than rows, covariance) matrix is inverted as
it stands; sigma is integrated numerically on its own grid. Rows with frequency weights are written out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """A regression in the units of the data, with what the model is to do with it."""

    X: Array
    y: Array
    weights: Array | None = None
    weight_kind: str = "frequency"
    fit_intercept: bool = True
    unpenalized: tuple[int, ...] = ()
    scale: bool = True

    @property
    def options(self) -> dict[str, object]:
        """Arguments of ``fit``."""
        return {
            "weights": self.weights,
            "weight_kind": self.weight_kind,
            "fit_intercept": self.fit_intercept,
            "unpenalized": list(self.unpenalized),
            "scale": self.scale,
        }


@dataclass(frozen=True)
class Written:
    """The problem written out: rows repeated, columns split and scaled, the noise variance of each row over sigma^2."""

    Z: Array
    X: Array
    y: Array
    noise: Array
    divisor: Array
    signal: float


def write_out(problem: Problem) -> Written:
    """Repeat rows, leave out rows of weight zero, scale the penalised columns."""
    X, y, w = problem.X, problem.y, problem.weights
    noise = np.ones(len(y))
    if w is not None and problem.weight_kind == "frequency":
        rows = np.repeat(np.arange(len(y)), w.astype(int))
        X, y, noise, w = X[rows], y[rows], noise[rows], None
    elif w is not None:
        seen = w > 0
        X, y, w = X[seen], y[seen], w[seen]
        noise = 1.0 / w
    share = np.ones(len(y)) if w is None else w
    mean = np.average(X, axis=0, weights=share) if problem.fit_intercept else np.zeros(X.shape[1])
    squares = np.average((X - mean) ** 2, axis=0, weights=share)
    penalized = [j for j in range(X.shape[1]) if j not in problem.unpenalized]
    divisor = np.sqrt(squares[penalized]) if problem.scale else np.ones(len(penalized))
    Z = np.column_stack([np.ones((len(y), int(problem.fit_intercept))), X[:, list(problem.unpenalized)]])
    scaled = X[:, penalized] / divisor
    signal = float((squares[penalized] / divisor**2).sum() * share.sum() / len(y))
    return Written(Z, scaled, y, noise, divisor, signal)


def log_density_of_y(problem: Written, lam: float, sigma: float) -> float:
    """log p(y | lambda, sigma), flat directions integrated with density 1, from the n x n covariance."""
    n, q = problem.Z.shape
    V = sigma**2 * (np.diag(problem.noise) + problem.X @ problem.X.T / lam)
    inverse = np.linalg.inv(V)
    value = -0.5 * (n - q) * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(V)[1]
    fit = np.zeros((n, n))
    if q:
        middle = problem.Z.T @ inverse @ problem.Z
        value -= 0.5 * np.linalg.slogdet(middle)[1]
        fit = inverse @ problem.Z @ np.linalg.solve(middle, problem.Z.T @ inverse)
    return float(value - 0.5 * problem.y @ (inverse - fit) @ problem.y)


@dataclass(frozen=True)
class Reference:
    """The posterior on a grid of (lambda, sigma)."""

    log_lam: Array  # (K,)
    log_sigma: Array  # (K, J)
    weight: Array  # (K, J)
    mean: Array  # (K, m): conditional means of the functionals
    variance: Array  # (K, m, m): conditional covariance over sigma^2
    log_marginal: float

    def moments(self) -> tuple[Array, Array]:
        """Mean and covariance of the functionals."""
        by_lam = self.weight.sum(axis=1)
        mean = by_lam @ self.mean
        sigma2 = (self.weight * np.exp(2 * self.log_sigma)).sum(axis=1)
        deviation = self.mean - mean
        inner = np.einsum("k,kij->ij", sigma2, self.variance)
        return mean, inner + np.einsum("k,ki,kj->ij", by_lam, deviation, deviation)

    def cdf(self, j: int, value: float, extra: float = 0.0) -> float:
        """P(functional j <= value), with `extra` noise variance over sigma^2."""
        sd = np.sqrt(self.variance[:, j, j] + extra)[:, None] * np.exp(self.log_sigma)
        return float((self.weight * ndtr((value - self.mean[:, j, None]) / sd)).sum())

    def cdf_lambda(self, value: float) -> float:
        """P(lambda <= value) by the trapezoidal rule up to the value (interpolated on the grid's cumulative sum)."""
        by_lam = self.weight.sum(axis=1)
        cumulative = np.cumsum(by_lam) - 0.5 * by_lam
        return float(np.interp(np.log(value), self.log_lam, cumulative))

    def expect(self, function: Callable[[Array, Array], Array]) -> float:
        """Posterior mean of a function of (lambda, sigma)."""
        return float((self.weight * function(np.exp(self.log_lam)[:, None], np.exp(self.log_sigma))).sum())


Conditional = tuple[float, float, Array, Array]


def _by_precision(written: Written, functionals: Array, lam: float) -> Conditional:
    """Invert the joint precision of (gamma, beta): log constant, Q, mean, covariance over sigma^2."""
    q = written.Z.shape[1]
    B = np.column_stack([written.Z, written.X])
    precision = 1.0 / written.noise
    penalty = np.r_[np.zeros(q), np.ones(B.shape[1] - q)]
    H = B.T @ (precision[:, None] * B) + np.diag(lam * penalty)
    inverse = np.linalg.inv(H)
    theta = inverse @ (B.T @ (precision * written.y))
    Q = precision @ (written.y - B @ theta) ** 2 + lam * penalty @ theta**2
    log_const = 0.5 * penalty.sum() * np.log(lam) - 0.5 * np.linalg.slogdet(H)[1]
    return float(log_const), float(Q), functionals @ theta, functionals @ inverse @ functionals.T


def _by_covariance(written: Written, functionals: Array, lam: float) -> Conditional:
    """Condition the joint Gaussian of y and beta (kriging with flat effects): for more columns than rows."""
    Z, X, y = written.Z, written.X, written.y
    (n, q), p = Z.shape, X.shape[1]
    K = lam * np.diag(written.noise) + X @ X.T  # lambda / sigma^2 times the covariance of y
    inverse = np.linalg.inv(K)
    M = np.linalg.inv(Z.T @ inverse @ Z)
    gamma = M @ Z.T @ inverse @ y
    beta = X.T @ inverse @ (y - Z @ gamma)
    Q = lam * (y - Z @ gamma) @ inverse @ (y - Z @ gamma)
    cross = X.T @ inverse @ Z
    top = np.hstack([M, -M @ cross.T])
    bottom = np.hstack([-cross @ M, np.eye(p) - X.T @ inverse @ X + cross @ M @ cross.T])
    covariance = np.vstack([top, bottom]) / lam
    log_const = -0.5 * (np.linalg.slogdet(K)[1] - n * np.log(lam)) + 0.5 * (np.linalg.slogdet(M)[1] - q * np.log(lam))
    # the caller adds the rows' noise, which is inside K here
    log_const += 0.5 * np.log(written.noise).sum()
    return float(log_const), float(Q), functionals @ np.r_[gamma, beta], functionals @ covariance @ functionals.T


def integrate(
    written: Written, functionals: Array, log_prior: Callable[[Array, Array], Array], log_lam: Array
) -> Reference:
    """Integrate over (log lambda, log sigma); `log_prior` is the log density of that pair.

    `functionals` is (m, q + p): rows on (gamma, beta of the scaled columns).
    """
    n, q = written.Z.shape
    nu = n - q
    conditional = _by_covariance if written.X.shape[1] >= n else _by_precision
    parts = [conditional(written, functionals, lam) for lam in np.exp(log_lam)]
    log_const, quadratic, mean, variance = (list(part) for part in zip(*parts, strict=True))
    Q = np.array(quadratic)[:, None]
    u = np.linspace(-4.0, 4.0 + 40.0 / nu, 900)
    v = 0.5 * np.log(Q / nu) + u
    log_const = np.array(log_const) - 0.5 * np.log(written.noise).sum() - 0.5 * nu * np.log(2 * np.pi)
    log_f = log_const[:, None] - nu * v - 0.5 * Q * np.exp(-2 * v) + log_prior(log_lam[:, None], v)
    top = log_f.max()
    share = np.exp(log_f - top)
    step = (log_lam[1] - log_lam[0]) * (u[1] - u[0])
    total = share.sum()
    return Reference(
        log_lam, v, share / total, np.array(mean), np.array(variance), float(top + np.log(total) + np.log(step))
    )
