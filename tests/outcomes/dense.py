"""Truth by brute force: at each log tau a grid of coefficients around the mode, and nothing of the package."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import norm
from scipy.stats import t as student


def log_likelihood(family, eta, y, trials):
    """Of all rows, for eta of shape (..., n)."""
    if family == "poisson":
        return (y * eta - np.exp(eta) - gammaln(y + 1)).sum(axis=-1)
    m = np.ones_like(y) if trials is None else trials
    constant = gammaln(m + 1) - gammaln(y + 1) - gammaln(m - y + 1)
    if family == "probit":
        return (y * norm.logcdf(eta) + (m - y) * norm.logsf(eta) + constant).sum(axis=-1)
    return (y * eta - m * np.logaddexp(0.0, eta) + constant).sum(axis=-1)


def half_t(tau, df, scale):
    """Density of |t| on tau."""
    return 2.0 * student.pdf(tau / scale, df) / scale


def integrate(family, X, y, df, scale, offset=0.0, trials=None, points=21, reach=6.0):
    """Posterior of (intercept, coefficients) under a half-t on tau, X standardised.

    Returns points (N, p + 1), weights (N,), log tau of each (N,), and log p(y).
    """
    n, p = X.shape
    D = np.column_stack([np.ones(n), X])
    line = np.linspace(-reach, reach, points)
    z = np.stack(np.meshgrid(*[line] * (p + 1), indexing="ij"), -1).reshape(-1, p + 1)
    # turned, so that along no coordinate the points share their values: quantiles see a fine grid
    turn, _ = np.linalg.qr(np.arange(1.0, (p + 1) ** 2 + 1).reshape(p + 1, p + 1) ** 0.5 + np.eye(p + 1))
    z = z @ turn
    log_taus = np.linspace(np.log(scale) - 9.0, np.log(scale) + 5.0, 51)
    start = np.zeros(p + 1)
    every, logs, taus = [], [], []
    for log_tau in log_taus:
        tau2 = np.exp(2.0 * log_tau)

        def minus(b, tau2=tau2):
            return -log_likelihood(family, D @ b + offset, y, trials) + 0.5 * (b[1:] @ b[1:]) / tau2

        found = minimize(minus, start, method="BFGS", options={"gtol": 1e-6})
        start = found.x
        eta = D @ start + offset
        mu = np.exp(eta) if family == "poisson" else 1.0 / (1.0 + np.exp(-eta))
        w = mu if family == "poisson" else (1.0 if trials is None else trials) * mu * (1.0 - mu)
        if family == "probit":
            w = (1.0 if trials is None else trials) * norm.pdf(eta) ** 2 / (norm.cdf(eta) * norm.sf(eta))
        H = (D.T * w) @ D + np.diag(np.r_[0.0, np.full(p, 1.0 / tau2)])
        root = np.linalg.inv(np.linalg.cholesky(H)).T
        b = start + z @ root.T
        value = log_likelihood(family, b @ D.T + offset, y, trials) - 0.5 * np.square(b[:, 1:]).sum(axis=1) / tau2
        value -= 0.5 * p * np.log(2.0 * np.pi * tau2)
        value += np.log(np.abs(np.linalg.det(root))) + (p + 1) * np.log(line[1] - line[0])
        value += np.log(half_t(np.exp(log_tau), df, scale)) + log_tau + np.log(log_taus[1] - log_taus[0])
        every.append(b)
        logs.append(value)
        taus.append(np.full(len(b), log_tau))
    log_w = np.concatenate(logs)
    total = np.logaddexp.reduce(log_w)
    return np.concatenate(every), np.exp(log_w - total), np.concatenate(taus), float(total)


def quantile(values, weight, q):
    """Of weighted points."""
    values, where = np.unique(values, return_inverse=True)
    weight = np.bincount(where, weight)
    order = np.argsort(values)
    return np.interp(q, np.cumsum(weight[order]) - 0.5 * weight[order], values[order])


def moments(points, w, probabilities=()):
    """Mean, sd and quantiles of a grid's weights."""
    mean = w @ points / w.sum()
    below = (np.cumsum(w) - 0.5 * w) / w.sum()
    fine = np.linspace(points[0], points[-1], 20_001)
    ends = np.interp(probabilities, PchipInterpolator(points, below)(fine), fine)
    return mean, np.sqrt(w @ np.square(points - mean) / w.sum()), ends
