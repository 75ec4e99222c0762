"""Rules that estimate the error of prediction: leave-one-out, generalised cross-validation, Mallows' Cp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.filters import spectral_terms
from bayesridge.linalg.optimum import Curve, Optimum, minimize
from bayesridge.rules.criteria import gcv, robust_gcv, sure
from bayesridge.rules.loo_criteria import LooCurves, loo_log_score, loo_squared
from bayesridge.rules.noise import noise_of
from bayesridge.rules.rule import Choice, LambdaProblem, NotAvailableError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LooSquaredError:
    """Minimum of the mean squared leave-one-out error (PRESS / n), exact, column scales held fixed.

    With precision weights the mean is weighted by them; a frequency weight w leaves out one of w observations.
    """

    key: str = "loo"
    label: str = "LOO squared error"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        scan = _loo_scan(problem)

        def criterion(t: Array) -> Curve:
            return loo_squared(problem.row_basis, problem.spectrum, t)

        found = minimize(criterion, problem.coarse, scan.squared)
        return Choice(self.key, found.best, found.others, note=found.note)


@dataclass(frozen=True)
class LooLogScore:
    """Maximum of the leave-one-out log predictive density at fixed lambda, sigma integrated."""

    key: str = "loo_log"
    label: str = "LOO log score"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        scan = _loo_scan(problem)

        def criterion(t: Array) -> Curve:
            return loo_log_score(problem.row_basis, problem.spectrum, problem.noise, t)

        found = minimize(criterion, problem.coarse, scan.log_score)
        best, *others = (Optimum(one.lam, one.place, -one.score) for one in (found.best, *found.others))
        note = "; ".join(part for part in (found.note, problem.noise.note) if part)
        return Choice(self.key, best, tuple(others), note=note)


def _loo_scan(problem: LambdaProblem) -> LooCurves:
    try:
        return problem.loo_scan
    except DataError as error:
        raise NotAvailableError(str(error)) from None


@dataclass(frozen=True)
class GCV:
    """Minimum of generalised cross-validation, ``n R / (n - q - sum f)^2``."""

    key: str = "gcv"
    label: str = "GCV"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        spectrum = problem.spectrum
        found = minimize(lambda t: gcv(spectral_terms(spectrum, t)), problem.where, gcv(problem.scan))
        return Choice(self.key, found.best, found.others, note=found.note)


@dataclass(frozen=True)
class RobustGCV:
    """Minimum of Lukas' robust GCV, ``(gamma + (1 - gamma) tr(A^2) / n) GCV``: guards against undersmoothing.

    Attributes
    ----------
    gamma : float
        In (0, 1]; 1 is GCV itself.
    """

    gamma: float = 0.3
    key: str = "rgcv"
    label: str = "robust GCV"

    def __post_init__(self) -> None:
        if not 0.0 < self.gamma <= 1.0:
            raise DataError(f"gamma must lie in (0, 1], got {self.gamma}")

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        spectrum, gamma = problem.spectrum, self.gamma
        scan = robust_gcv(problem.scan, gamma)
        found = minimize(lambda t: robust_gcv(spectral_terms(spectrum, t), gamma), problem.where, scan)
        note = "; ".join(part for part in (found.note, f"gamma {gamma:g}") if part)
        return Choice(self.key, found.best, found.others, note=note)


@dataclass(frozen=True)
class MallowsCp:
    """Minimum of Mallows' Cp, which is Stein's unbiased risk estimate (SURE) over sigma^2.

    Attributes
    ----------
    sigma : float, optional
        Noise standard deviation; that of the unpenalised fit by default, where it exists.
    """

    sigma: float | None = None
    key: str = "cp"
    label: str = "Mallows Cp (SURE)"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        spectrum, noise = problem.spectrum, noise_of(problem, self.sigma)
        found = minimize(
            lambda t: sure(spectral_terms(spectrum, t), noise.sigma), problem.where, sure(problem.scan, noise.sigma)
        )
        note = "; ".join(part for part in (found.note, f"{noise.source}: {noise.sigma:.4g}") if part)
        return Choice(self.key, found.best, found.others, note=note)
