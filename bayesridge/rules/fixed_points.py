r"""Fixed-point iterations for the evidence, as other software runs them; here to be compared with its true maximum.

MacKay:  gamma = sum f,  sigma^2 = R / (nu - gamma),  tau^2 = |beta|^2 / gamma,
EM:      sigma^2 = (R + sigma^2 gamma) / nu,  tau^2 = (|beta|^2 + sigma^2 sum 1/(s^2 + lambda)) / rank,

each with lambda = sigma^2 / tau^2 until log lambda moves by less than `tol`. Fixed points of both are stationary points
of the evidence (REML, nu = n - q; scikit-learn's BayesianRidge keeps n): which one is reached depends on the start.
EM is over the rank directions that the data see; null directions would slow it down and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayesridge.hyper.evidence import profile_log_evidence
from bayesridge.linalg.optimum import Optimum
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.linalg.terms import spectral_terms
from bayesridge.rules.problem import Choice, LambdaProblem


def mackay_step(spectrum: Spectrum, log_lam: float) -> float:
    """One MacKay step in log lambda."""
    terms = spectral_terms(spectrum, log_lam)
    log_tau2 = np.log(terms.squared_norm) - np.log(terms.dof)
    return float((np.log(terms.rss) - np.log(terms.residual_dof) - log_tau2)[0])


def em_step(spectrum: Spectrum, log_lam: float, variance: float) -> tuple[float, float]:
    """One EM step: (log lambda, sigma^2) -> the same, at which the evidence is not lower."""
    terms = spectral_terms(spectrum, log_lam)
    sigma2 = (terms.rss + variance * terms.dof) / spectrum.nu
    tau2 = (terms.squared_norm + variance * terms.trace) / spectrum.rank
    return float((np.log(sigma2) - np.log(tau2))[0]), float(sigma2[0])


def mackay(problem: LambdaProblem, tol: float = 1e-10, max_iter: int = 1000) -> Choice:
    """MacKay's fixed point, from lambda at which the prior expects R^2 = 1/2.

    Parameters
    ----------
    problem : LambdaProblem
    tol : float
        Stop when log lambda moves by less.
    max_iter : int
    """
    return _iterate(problem, lambda t: mackay_step(problem.spectrum, t), tol, max_iter)


def expectation_maximization(problem: LambdaProblem, tol: float = 1e-8, max_iter: int = 2000) -> Choice:
    """EM for the evidence, from lambda at which the prior expects R^2 = 1/2; slow where lambda is far from it.

    Parameters as for :func:`mackay`.
    """
    spectrum = problem.spectrum
    variance = spectrum.total_squares / spectrum.nu

    def step(t: float) -> float:
        nonlocal variance
        t, variance = em_step(spectrum, t, variance)
        return t

    return _iterate(problem, step, tol, max_iter)


def _iterate(problem: LambdaProblem, step: Callable[[float], float], tol: float, max_iter: int) -> Choice:
    spectrum, where = problem.spectrum, problem.where
    if not spectrum.explained_squares:
        return Choice(Optimum(np.inf, "infinity", np.nan), note="the columns explain nothing of the target")
    t, moved, count = float(np.log(spectrum.signal)), np.inf, 0
    while count < max_iter and abs(moved) > tol and where.zero < t < where.infinity:
        new = step(t)
        t, moved, count = new, new - t, count + 1
    note = f"{count} iterations"
    if t <= where.zero or t >= where.infinity:
        note += ", run out of the range of the spectrum"
        best = Optimum(0.0, "zero", np.nan) if t <= where.zero else Optimum(np.inf, "infinity", np.nan)
        return Choice(best, note=note)
    if abs(moved) > tol:
        note += f", not converged: the last one moved log lambda by {abs(moved):.1e} (asked {tol:.0e})"
    lam = float(np.exp(t))
    return Choice(Optimum(lam, "interior", float(profile_log_evidence(spectrum, lam))), note=note)
