"""Criteria for lambda by their definitions: hat matrices of augmented least squares, refits, dense covariances."""

from functools import cache, cached_property

import numpy as np
from scipy import linalg, optimize, stats

from bayesridge.rules.problem import LambdaProblem
from tests.truth.problems import problems


@cache
def dense_of(name):
    return problems()[name].dense()


@cache
def problem_of(name, prior=None, noise=None):
    problem = problems()[name]
    return LambdaProblem(problem.infer(problem.routes[0], prior, noise))


@cache
def range_of(name):
    """Log lambda from well below to well above the squared singular values of the projected, weighted columns."""
    d = dense_of(name)
    noise, kernel, _, _ = d.projected
    values = linalg.eigh(kernel, noise, eigvals_only=True)
    values = values[values > 1e-10 * values.max()]
    return np.log(values.min()) - 7.0, np.log(values.max()) + 7.0


def rooted(d, keep=slice(None)):
    root = np.sqrt(d.w[keep])[:, None]
    return root * d.Z[keep], root * d.X[keep], root[:, 0] * d.y[keep]


class Fit:
    """Ridge at one lambda on rows of a dense problem, by QR of the augmented matrix."""

    def __init__(self, d, lam, keep=slice(None)):
        Z, X, y = rooted(d, keep)
        q, p = Z.shape[1], X.shape[1]
        M = np.hstack([Z, X])
        self._Q, self.R = np.linalg.qr(np.vstack([M, np.sqrt(lam) * np.eye(p, p + q, q)]))
        self.coef = np.linalg.solve(self.R, self._Q[: len(y)].T @ y)
        self.beta = self.coef[q:]
        self.residual = y - M @ self.coef
        self.rss = float(self.residual @ self.residual)
        self.Q = self.rss + lam * float(self.beta @ self.beta)
        self.n, self.q = len(y), q

    @cached_property
    def hat(self):
        return self._Q[: self.n] @ self._Q[: self.n].T

    @property
    def trace(self):
        return float(np.trace(self.hat))

    def variance_factor(self, row):
        """x' (M'M + D)^-1 x of a new row of [Z, X]."""
        return float(np.square(np.linalg.solve(self.R.T, row)).sum())


def press(d, lam):
    """Mean of squared errors of n refits, weighted by precisions."""
    errors = []
    for i in range(len(d.y)):
        keep = np.arange(len(d.y)) != i
        errors.append(d.y[i] - np.r_[d.Z[i], d.X[i]] @ Fit(d, lam, keep).coef)
    return float(d.w @ np.square(errors) / d.w.sum())


def log_score(d, lam, shape=0.0, rate=0.0):
    """Minus the sum of Student-t log densities of n refits, 1/sigma^2 ~ Gamma(shape, rate)."""
    found = []
    for i in range(len(d.y)):
        keep = np.arange(len(d.y)) != i
        fit, row = Fit(d, lam, keep), np.r_[d.Z[i], d.X[i]]
        df = fit.n - fit.q + 2.0 * shape
        scale2 = (fit.Q + 2.0 * rate) / df * (1.0 / d.w[i] + fit.variance_factor(row))
        found.append((df, row @ fit.coef, np.sqrt(scale2)))
    return -stats.t.logpdf(d.y, *np.array(found).T).sum()


def deviance(d, fit):
    return fit.n * (np.log(2 * np.pi * fit.rss / fit.n) + 1.0) - np.log(d.w).sum()


def gcv(d, lam):
    fit = Fit(d, lam)
    return (fit.rss / fit.n) / (1.0 - fit.trace / fit.n) ** 2


def robust_gcv(d, lam, gamma=0.3):
    fit = Fit(d, lam)
    return (gamma + (1 - gamma) * np.trace(fit.hat @ fit.hat) / fit.n) * gcv(d, lam)


def cp(d, lam, sigma):
    fit = Fit(d, lam)
    return fit.rss / sigma**2 - fit.n + 2.0 * fit.trace


def aic(d, lam):
    fit = Fit(d, lam)
    return deviance(d, fit) + 2.0 * (fit.trace + 1.0)


def aicc(d, lam):
    fit = Fit(d, lam)
    k = fit.trace + 1.0
    return aic(d, lam) + 2.0 * k * (k + 1.0) / (fit.n - k - 1.0) if fit.n - k - 1.0 > 0 else np.inf


def bic(d, lam):
    fit = Fit(d, lam)
    return deviance(d, fit) + np.log(fit.n) * (fit.trace + 1.0)


def reml(d, lam):
    sigma = np.sqrt(Fit(d, lam).Q / d.nu)
    return -d.log_evidence(lam, sigma)


def ml(d, lam):
    """Flat coefficients and sigma maximised in N(Z g, sigma^2 (W^-1 + Xc Xc'/lambda)), Xc orthogonal to Z."""
    W = d.w[:, None]
    Xc = d.X - d.Z @ np.linalg.lstsq(np.sqrt(W) * d.Z, np.sqrt(W) * d.X)[0] if d.Z.shape[1] else d.X
    S = np.diag(1.0 / d.w) + Xc @ Xc.T / lam
    L = np.linalg.cholesky(S)
    y, Z = linalg.solve_triangular(L, d.y, lower=True), linalg.solve_triangular(L, d.Z, lower=True)
    r = y - Z @ np.linalg.lstsq(Z, y)[0] if d.Z.shape[1] else y
    n = len(y)
    return 0.5 * n * (np.log(2 * np.pi * (r @ r) / n) + 1.0) + np.log(np.diag(L)).sum()


def quasi(d, lam):
    """Squared speed of the coefficients along log lambda, by the complex-step derivative of the normal equations."""
    Z, X, y = rooted(d)
    M = np.hstack([Z, X])
    D = np.diag(np.r_[np.zeros(Z.shape[1]), np.ones(X.shape[1])])
    step = 1e-30j
    beta = np.linalg.solve(M.T @ M + lam * np.exp(step) * D, (M.T @ y).astype(complex))[Z.shape[1] :]
    return float(np.square(beta.imag / 1e-30).sum())


def curvature(d, lam):
    """Of the L-curve, from central differences of its two coordinates (relative error h^4 = 1e-8 in the middle)."""
    h = 0.01
    fits = [Fit(d, lam * np.exp(k * h)) for k in range(-2, 3)]
    points = np.array([[0.5 * np.log(fit.rss), np.log(np.linalg.norm(fit.beta))] for fit in fits])
    first = (points[0] - 8 * points[1] + 8 * points[3] - points[4]) / (12 * h)
    second = (-points[0] + 16 * points[1] - 30 * points[2] + 16 * points[3] - points[4]) / (12 * h**2)
    return (first[0] * second[1] - second[0] * first[1]) / np.hypot(*first) ** 3


def lowest(function, low, high, step=0.4):
    """Lowest point of a function of log lambda on a grid, refined; None where it lies at an end.

    Filter factors change over some four units of log lambda: no two minima stand within a step.
    """
    grid = np.arange(low, high, step)
    values = np.array([function(t) for t in grid])
    k = int(np.argmin(values))
    if k in (0, len(grid) - 1):
        return None, values[k]
    found = optimize.minimize_scalar(
        function, bounds=(grid[k - 1], grid[k + 1]), method="bounded", options={"xatol": 1e-6}
    )
    return found.x, found.fun
