"""Rules from the theory of ill-posed problems: L-curve, quasi-optimality, discrepancy principle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesridge.linalg.filters import spectral_terms
from bayesridge.linalg.optimum import Optima, Optimum, choose_best, minimize, root
from bayesridge.rules.criteria import l_curve, quasi_optimality
from bayesridge.rules.noise import noise_of
from bayesridge.rules.rule import Choice, LambdaProblem, NotAvailableError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LCurve:
    """Corner of the L-curve: the point of largest curvature of ``log |beta|`` against ``log |residual|`` (Hansen)."""

    key: str = "l_curve"
    label: str = "L-curve corner"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda. The score is the curvature, which rises to a corner only where it is positive."""
        _need_signal(problem)
        spectrum = problem.spectrum
        found = minimize(lambda t: l_curve(spectral_terms(spectrum, t)), problem.where, l_curve(problem.scan))
        best, *others = (replace(one, score=-one.score) for one in (found.best, *found.others))
        if not best.score > 0:
            raise NotAvailableError("the L-curve has no corner: it bends the wrong way at every lambda")
        corners = tuple([one for one in others if one.score > 0])
        note = f"the curve has {len(corners) + 1} corners, this is the sharpest" if corners else found.note
        limit = -float(l_curve(spectral_terms(spectrum, problem.where.zero)).value[0])
        if limit > 0.99 * best.score:
            note = "no clear corner: the curve bends as much at its end, lambda -> 0"
        return Choice(self.key, best, corners, note=note)


@dataclass(frozen=True)
class QuasiOptimality:
    """Where the coefficients change least with log lambda: the lowest interior minimum of ``|d beta / d log lambda|``.

    The ends, where nothing changes any more, do not count.
    """

    key: str = "quasi_optimality"
    label: str = "quasi-optimality"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        _need_signal(problem)
        spectrum = problem.spectrum
        found = minimize(
            lambda t: quasi_optimality(spectral_terms(spectrum, t)), problem.where, quasi_optimality(problem.scan)
        )
        inner = choose_inner(found)
        return Choice(self.key, inner.best, inner.others, note=inner.note)


def choose_inner(found: Optima) -> Optima:
    """Leave the ends out."""
    inner = [one for one in (found.best, *found.others) if one.place == "interior"]
    if not inner:
        raise NotAvailableError("the coefficients pass from least squares to zero in one move: no interior minimum")
    return choose_best(sorted(inner, key=lambda one: one.lam))


@dataclass(frozen=True)
class Discrepancy:
    """Morozov's principle: the residual sum of squares is what the noise alone would give, ``sigma^2 * dof``.

    Attributes
    ----------
    sigma : float, optional
        Noise standard deviation; that of the unpenalised fit by default, where it exists.
    dof : float, optional
        What sigma^2 is multiplied by: ``n - q`` by default (the flat directions cannot follow the noise).
    """

    sigma: float | None = None
    dof: float | None = None
    key: str = "discrepancy"
    label: str = "discrepancy principle"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda. The residual sum of squares rises with lambda, so that there is one solution or none."""
        spectrum, noise = problem.spectrum, noise_of(problem, self.sigma)
        dof = spectrum.nu if self.dof is None else self.dof
        target = noise.sigma**2 * dof
        note = f"residual sum of squares = sigma² x {dof:g}; {noise.source}: {noise.sigma:.4g}"

        def excess(t: Array) -> Array:
            return np.asarray(np.log(spectral_terms(spectrum, t).rss) - np.log(target))

        scan = np.log(problem.scan.rss) - np.log(target)
        if excess(np.array([problem.where.infinity]))[0] <= 0:
            note = f"even lambda = infinity leaves no larger residual than the noise; {note}"
            return Choice(self.key, Optimum(np.inf, "infinity", target), note=note)
        if scan[0] >= 0:
            note = f"even lambda = 0 leaves a larger residual than the noise; {note}"
            return Choice(self.key, Optimum(0.0, "zero", target), note=note)
        k = int(np.argmax(scan > 0)) if (scan > 0).any() else len(scan)
        edges = np.append(problem.where.grid, problem.where.infinity)
        t = root(excess, edges[k - 1], edges[k])
        return Choice(self.key, Optimum(float(np.exp(t)), "interior", target), note=note)


def _need_signal(problem: LambdaProblem) -> None:
    if not problem.spectrum.z2.any():
        raise NotAvailableError("the columns explain nothing of the target: the coefficients are zero at every lambda")
