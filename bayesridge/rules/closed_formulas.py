"""Closed formulas from the least-squares fit: Hoerl-Kennard-Baldwin and Lawless-Wang.

Both are sigma^2 / tau^2 with a moment estimate of tau^2: HKB from |beta_ls|^2 = p tau^2 + ..., LW from the fitted sum
of squares sum z^2 = tau^2 sum s^2 + .... The "modified" forms with p - 2 in the place of p (James and Stein's constant)
are what MASS::lm.ridge prints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesridge.linalg.optimum import Optimum
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.rules.rule import Choice, LambdaProblem, NotAvailableError


@dataclass(frozen=True)
class HoerlKennardBaldwin:
    """``(p - c) sigma^2 / |beta_ls|^2``, beta_ls the least-squares coefficients of the scaled columns.

    Attributes
    ----------
    subtract : int
        c: 2 is the modified form, 0 the one of 1975.
    """

    subtract: int = 2
    key: str = "hkb"
    label: str = "Hoerl-Kennard-Baldwin"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        spectrum = problem.spectrum
        numerator = _numerator(spectrum, self.subtract)
        return _choice(self.key, numerator, float((spectrum.z2 / spectrum.s2).sum()), self.subtract)


@dataclass(frozen=True)
class LawlessWang:
    """``(p - c) sigma^2 * mean(s^2) / sum z^2``; ``mean(s^2) = n`` for columns scaled to unit standard deviation.

    Attributes
    ----------
    subtract : int
        c: 2 is the modified form, 0 the one of 1976.
    """

    subtract: int = 2
    key: str = "lw"
    label: str = "Lawless-Wang"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        spectrum = problem.spectrum
        numerator = _numerator(spectrum, self.subtract) * float(spectrum.s2.mean())
        return _choice(self.key, numerator, float(spectrum.z2.sum()), self.subtract)


def _numerator(spectrum: Spectrum, subtract: int) -> float:
    p, left = spectrum.n_features, spectrum.nu - spectrum.rank
    if spectrum.rank < p:
        raise NotAvailableError(f"needs the least-squares fit, and {p} columns of rank {spectrum.rank} have none")
    if left < 1:
        raise NotAvailableError(f"needs sigma of the least-squares fit, which leaves {left:g} degrees of freedom")
    if p <= subtract:
        raise NotAvailableError(f"p - {subtract} is not positive with {p} columns; subtract=0 gives the original form")
    return (p - subtract) * spectrum.r0 / left


def _choice(key: str, numerator: float, denominator: float, subtract: int) -> Choice:
    note = f"with p - {subtract}" if subtract else "with p"
    if denominator == 0:
        return Choice(key, Optimum(np.inf, "infinity", np.nan), note=note)
    return Choice(key, Optimum(numerator / denominator, "interior", np.nan), note=note)
