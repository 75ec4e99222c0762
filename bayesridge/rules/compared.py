"""What a comparison asks of a problem: its rules, what their choices mean on the data, and how far they lie apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.engines.spectral import SpectralEngine
from bayesridge.fit import one_lambda, posterior_of
from bayesridge.linalg.rows import is_small
from bayesridge.linalg.targets import with_left_vectors
from bayesridge.rules.catalogue import default_rules
from bayesridge.rules.curve_problem import CurveProblem
from bayesridge.rules.evaluation import Evaluation, Spread, evaluate, spread_of_fits
from bayesridge.rules.problem import LambdaProblem, Rule

Array = NDArray[np.float64]


class SpectrumProblem(LambdaProblem):
    """One spectrum, to be compared on; :class:`~bayesridge.rules.curve_problem.CurveProblem` answers the same."""

    @property
    def rank(self) -> int:
        """Penalised directions."""
        return self.spectrum.rank

    @property
    def evidence_place(self) -> str:
        """Where the evidence is highest."""
        return self.posterior.evidence.best.place

    @property
    def situation(self) -> str:
        """What there is to say of data that no rule can handle."""
        if self.spectrum.degenerate == "perfect":
            return (
                "The columns reproduce the target to its own rounding: lambda is as good as zero, and no rule can say "
                "more."
            )
        if self.spectrum.rank >= self.spectrum.nu:
            return (
                "The columns can fit every row exactly (rank = residual degrees of freedom): rules that need the "
                "unpenalised fit have no answer, and AIC and BIC fall without end as lambda -> 0."
            )
        return ""

    def prepared(self) -> SpectrumProblem:
        """Put U into the spectrum, so that every leave-one-out (the posterior's too) takes it from there."""
        p = self.posterior
        if self.spectrum.left is not None or "loo" in vars(p) or not is_small(self.design, self.spectrum):
            return self
        return SpectrumProblem(replace(p, engine=SpectralEngine(p.design, with_left_vectors(p.design, p.spectrum))))

    def default_rules(self, level: float) -> tuple[Rule, ...]:
        """Every rule, grouped cross-validation where rows have near-duplicates included."""
        return default_rules(level, self.near_duplicates)

    def evaluate(self, lam: Array) -> Evaluation:
        """Facts about K lambdas and the full posterior."""
        return evaluate(self, lam)

    def spread(self, lam: Array) -> Spread | None:
        """How far apart the fitted values of K lambdas are."""
        return spread_of_fits(self, lam)


def comparable(data: Any, y: Any = None, **options: Any) -> SpectrumProblem | CurveProblem:
    """Open the door of what compares rules, on any posterior that has some.

    Raises
    ------
    DataError
        If the data cannot be used, or the posterior has neither a spectrum nor curves.
    """
    post = posterior_of(data, y, **options)
    return CurveProblem(post) if post.has_curves else SpectrumProblem(one_lambda(post))
