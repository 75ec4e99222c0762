"""Information criteria with effective degrees of freedom.

The count of parameters is ``k = sum f + q + 1``: effective dof of the penalised columns, flat directions (intercept and
unpenalised columns), sigma. The likelihood is that of the ridge fit with ``sigma^2 = R / n``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesridge.linalg.filters import SpectralTerms, spectral_terms
from bayesridge.linalg.optimum import Curve, minimize
from bayesridge.rules.criteria import corrected_aic, information
from bayesridge.rules.rule import Choice, LambdaProblem, NotAvailableError


@dataclass(frozen=True)
class AIC:
    """Minimum of Akaike's criterion, -2 log likelihood + 2 k."""

    key: str = "aic"
    label: str = "AIC"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        return _minimize(self.key, problem, lambda terms: information(terms, 2.0))


@dataclass(frozen=True)
class AICc:
    """Minimum of the small-sample AIC, -2 log likelihood + 2 k n / (n - k - 1); infinite where k >= n - 1."""

    key: str = "aicc"
    label: str = "AICc"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        if problem.spectrum.nu <= 2:
            raise NotAvailableError(
                f"AICc is infinite at every lambda: {problem.spectrum.n_obs:g} observations for "
                f"{problem.design.n_flat} flat directions and sigma"
            )
        return _minimize(self.key, problem, corrected_aic)


@dataclass(frozen=True)
class BIC:
    """Minimum of Schwarz's criterion, -2 log likelihood + k log n."""

    key: str = "bic"
    label: str = "BIC"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        price = float(np.log(problem.spectrum.n_obs))
        return _minimize(self.key, problem, lambda terms: information(terms, price))


def _minimize(key: str, problem: LambdaProblem, criterion: Callable[[SpectralTerms], Curve]) -> Choice:
    spectrum = problem.spectrum
    found = minimize(lambda t: criterion(spectral_terms(spectrum, t)), problem.where, criterion(problem.scan))
    return Choice(key, found.best, found.others, note=found.note)
