r"""Expectation propagation at one lambda (T. Minka, 2001; Rasmussen & Williams, Gaussian Processes, section 3.6).

Each row's likelihood is replaced by a Gaussian site in eta, ``exp(nu eta - tau eta^2 / 2)``, such that the moments of
eta under (all other sites) x (the row's own likelihood) are those of the approximation. All sites are updated together,
damped where they oscillate. Nothing rests on convergence: what follows corrects the bells by importance sampling.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from bayesridge.outcomes.penalized import Bell
from bayesridge.outcomes.problem import Outcome

Array = NDArray[np.float64]

_MOST_SWEEPS = 40
_TOLERANCE = 1e-4  # of means in sds: the bells are proposals
_MOST_MODE_STEPS = 30
_X, _W = hermegauss(15)
_LOG_W = np.log(_W) + 0.5 * _X * _X  # against a flat measure, in units of the sd at the mode


def propagate(problem: Outcome, lam: float, laplace: Bell) -> Bell:
    """Refine Laplace's bell; where a cavity is no Gaussian, that bell is returned."""
    D, P, n_obs = problem.rows, problem.precision(lam), problem.count
    eta = D @ laplace.mean
    first, second = problem.slope(eta)
    seen = n_obs > 0
    site, shift = second.copy(), second * eta + first
    damping, last = 1.0, np.inf
    root, mean = laplace.root, laplace.mean
    for _ in range(_MOST_SWEEPS):
        H = (D.T * site) @ D
        H.flat[:: len(P) + 1] += P
        try:
            root = np.linalg.cholesky(H)
        except np.linalg.LinAlgError:
            return laplace
        mean = cho_solve((root, True), D.T @ shift, check_finite=False)
        A = solve_triangular(root, D.T, lower=True, check_finite=False)
        spread, eta = np.einsum("ij,ij->j", A, A), D @ mean
        cavity = 1.0 / spread - site
        if not (cavity[seen] > 0).all():
            return laplace
        cavity = np.where(seen, cavity, 1.0 / spread)
        centre = (eta / spread - shift) / cavity
        log_total, m1, v1 = tilted(problem, centre, 1.0 / cavity, eta)
        new_site = np.where(seen, np.maximum(1.0 / v1 - cavity, 0.0), 0.0)
        new_shift = np.where(seen, m1 / v1 - centre * cavity, 0.0)
        error = float(np.max(np.abs(eta - m1) / np.sqrt(spread) + np.abs(np.log(v1 / spread)), initial=0.0))
        if error < _TOLERANCE:
            break
        damping = max(0.5 * damping, 0.2) if error > last else damping
        last = error
        site = site + damping * (new_site - site)
        shift = shift + damping * (new_shift - shift)
    # log evidence: Gaussian integral of the sites, and each site's own factor (R & W, equation 3.65)
    q, r = problem.n_flat, problem.rank
    whole = 0.5 * mean @ H @ mean - np.log(root.diagonal()).sum() + 0.5 * r * np.log(lam) + 0.5 * q * np.log(2 * np.pi)
    parts = log_total + 0.5 * (centre**2 * cavity - np.log(cavity) - eta**2 / spread - np.log(spread))
    return Bell(mean, root, float(whole + parts[seen].sum()), (centre, 1.0 / cavity))


def tilted(problem: Outcome, centre: Array, variance: Array, start: Array) -> tuple[Array, Array, Array]:
    """Log integral, mean and variance of likelihood x N(centre, variance), a row each.

    Gauss-Hermite around the mode, in units of the sd there: a large count is far sharper than its cavity.
    """
    at = start.copy()
    for _ in range(_MOST_MODE_STEPS):
        first, second = problem.slope(at)
        step = (first - (at - centre) / variance) / (second + 1.0 / variance)
        at = at + np.clip(step, -2.0, 2.0)
        if (np.abs(step) < 1e-3 * np.sqrt(variance)).all():
            break
    sd = (problem.slope(at)[1] + 1.0 / variance) ** -0.5
    eta = at + _X[:, None] * sd
    log_f = problem.count * problem.log_density(eta) - 0.5 * np.square(eta - centre) / variance + _LOG_W[:, None]
    top = log_f.max(axis=0)
    w = np.exp(log_f - top)
    total = w.sum(axis=0)
    mean = (w * eta).sum(axis=0) / total
    var = (w * np.square(eta - mean)).sum(axis=0) / total
    return top + np.log(total * sd / np.sqrt(2.0 * np.pi * variance)), mean, var
