"""Lambda at the maximum of the evidence: flat directions integrated (REML) or maximised (ML)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bayesridge.hyper.evidence import EvidenceMode
from bayesridge.linalg.filters import spectral_terms
from bayesridge.linalg.optimum import Optimum, minimize
from bayesridge.rules.criteria import evidence_curvature, negative_log_evidence
from bayesridge.rules.rule import Choice, LambdaInterval, LambdaProblem


@dataclass(frozen=True)
class MaximumEvidence:
    """Maximum of log p(y | lambda, sigma), coefficients and flat directions integrated, sigma profiled: REML.

    Attributes
    ----------
    level : float
        Of the Wald interval.
    """

    level: float = 0.95
    key: str = "reml"
    label: str = "evidence (REML)"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        found = problem.posterior.evidence
        if problem.spectrum.rank == 0:
            return Choice(self.key, _optimum(found.best), note="the evidence does not depend on lambda here")
        others = tuple([_optimum(mode) for mode in found.modes if mode is not found.best])
        best = _optimum(found.best)
        interval = wald_interval(problem, best, problem.spectrum.nu, self.level)
        return Choice(self.key, best, others, interval, _modes_note(others))


def _optimum(mode: EvidenceMode) -> Optimum:
    return Optimum(mode.lam, mode.place, mode.log_evidence)


@dataclass(frozen=True)
class MaximumLikelihood:
    """Maximum of the evidence with the intercept and unpenalised coefficients maximised too: ML, n degrees of freedom.

    The columns are taken with the flat directions projected out (centred), so that their zero does not matter.
    Mixed-model software takes dummy columns as they stand: :func:`bayesridge.hyper.evidence.profile_log_evidence_ml`.

    Attributes
    ----------
    level : float
        Of the Wald interval.
    """

    level: float = 0.95
    key: str = "ml"
    label: str = "evidence (ML)"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        n, spectrum = problem.spectrum.n_obs, problem.spectrum
        found = minimize(
            lambda t: negative_log_evidence(spectral_terms(spectrum, t), n),
            problem.where,
            negative_log_evidence(problem.scan, n),
        )
        best, *others = (Optimum(one.lam, one.place, -one.score) for one in (found.best, *found.others))
        note = found.note or _modes_note(tuple(others))
        return Choice(self.key, best, tuple(others), wald_interval(problem, best, n, self.level), note)


def wald_interval(problem: LambdaProblem, best: Optimum, degrees: float, level: float) -> LambdaInterval | None:
    """Give ``lambda exp(+- z / sqrt(information))``; None at a boundary or without curvature."""
    if best.place != "interior":
        return None
    information = float(evidence_curvature(spectral_terms(problem.spectrum, np.log(best.lam)), degrees)[0])
    if not information > 0:
        return None
    reach = float(ndtri(0.5 + 0.5 * level)) / np.sqrt(information)
    with np.errstate(over="ignore"):
        low, high = best.lam * np.exp(-reach), best.lam * np.exp(reach)
    return LambdaInterval(float(low), float(high), level, "Wald interval, from the curvature in log lambda")


def _modes_note(others: tuple[Optimum, ...]) -> str:
    if not others:
        return ""
    return "other local maxima at lambda " + ", ".join(f"{one.lam:.4g}" for one in others)
