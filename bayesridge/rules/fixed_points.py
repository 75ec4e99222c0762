r"""Fixed-point iterations for the evidence, as other software runs them; here to be compared with its true maximum.

MacKay:  gamma = sum f,  sigma^2 = R / (nu - gamma),  tau^2 = |beta|^2 / gamma,
EM:      sigma^2 = (R + sigma^2 gamma) / nu,  tau^2 = (|beta|^2 + sigma^2 sum 1/(s^2 + lambda)) / rank,

each with lambda = sigma^2 / tau^2 until log lambda moves by less than `tol`. Fixed points of both are stationary points
of the evidence (REML, nu = n - q; scikit-learn's BayesianRidge keeps n): which one is reached depends on the start.
EM is over the rank directions that the data see; null directions would slow it down and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesridge.hyper.evidence import profile_log_evidence
from bayesridge.linalg.optimum import Optimum
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.rules.rule import Choice, LambdaProblem


def mackay_step(spectrum: Spectrum, log_lam: float) -> float:
    """One MacKay step in log lambda."""
    with np.errstate(over="ignore"):
        ratio = np.exp(log_lam - np.log(spectrum.s2))
    f = 1.0 / (1.0 + ratio)
    g = ratio * f
    rss = spectrum.r0 + float((g * g) @ spectrum.z2)
    norm = float((f * f) @ (spectrum.z2 / spectrum.s2))
    left = spectrum.nu - spectrum.rank + float(g.sum())
    return float(np.log(rss) - np.log(left) - np.log(norm) + np.log(f.sum()))


def em_step(spectrum: Spectrum, log_lam: float, variance: float) -> tuple[float, float]:
    """One EM step: (log lambda, sigma^2) -> the same, at which the evidence is not lower."""
    with np.errstate(over="ignore"):
        ratio = np.exp(log_lam - np.log(spectrum.s2))
    f = 1.0 / (1.0 + ratio)
    g = ratio * f
    rss = spectrum.r0 + float((g * g) @ spectrum.z2)
    norm = float((f * f) @ (spectrum.z2 / spectrum.s2))
    sigma2 = (rss + variance * float(f.sum())) / spectrum.nu
    tau2 = (norm + variance * float((f / spectrum.s2).sum())) / spectrum.rank
    return float(np.log(sigma2) - np.log(tau2)), sigma2


@dataclass(frozen=True)
class MacKay:
    """MacKay's fixed point, from lambda at which the prior expects R^2 = 1/2.

    Attributes
    ----------
    tol : float
        Stop when log lambda moves by less.
    max_iter : int
    """

    tol: float = 1e-10
    max_iter: int = 1000
    key: str = "mackay"
    label: str = "MacKay fixed point"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        spectrum = problem.spectrum
        return _iterate(self.key, problem, lambda t: mackay_step(spectrum, t), self.tol, self.max_iter)


@dataclass(frozen=True)
class ExpectationMaximization:
    """EM for the evidence, from lambda at which the prior expects R^2 = 1/2; slow where lambda is far from it.

    Attributes
    ----------
    tol : float
        Stop when log lambda moves by less.
    max_iter : int
    """

    tol: float = 1e-8
    max_iter: int = 2000
    key: str = "em"
    label: str = "EM for the evidence"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        spectrum = problem.spectrum
        variance = spectrum.total_squares / spectrum.nu

        def step(t: float) -> float:
            nonlocal variance
            t, variance = em_step(spectrum, t, variance)
            return t

        return _iterate(self.key, problem, step, self.tol, self.max_iter)


def _iterate(key: str, problem: LambdaProblem, step: Callable[[float], float], tol: float, max_iter: int) -> Choice:
    spectrum, where = problem.spectrum, problem.where
    if not spectrum.z2.any():
        return Choice(key, Optimum(np.inf, "infinity", np.nan), note="the columns explain nothing of the target")
    t, moved, count = float(np.log(spectrum.signal)), np.inf, 0
    while count < max_iter and abs(moved) > tol and where.zero < t < where.infinity:
        new = step(t)
        t, moved, count = new, new - t, count + 1
    note = f"{count} iterations"
    if t <= where.zero or t >= where.infinity:
        note += ", run out of the range of the spectrum"
        best = Optimum(0.0, "zero", np.nan) if t <= where.zero else Optimum(np.inf, "infinity", np.nan)
        return Choice(key, best, note=note)
    if abs(moved) > tol:
        note += f", not converged: the last one moved log lambda by {abs(moved):.1e} (asked {tol:.0e})"
    lam = float(np.exp(t))
    return Choice(key, Optimum(lam, "interior", float(profile_log_evidence(spectrum, lam))), note=note)
