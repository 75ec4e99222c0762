"""What the sections of the report are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import BayesRidgeError
from bayesridge.posteriors.posterior import Posterior
from bayesridge.reporting.payload import SliderData
from bayesridge.reporting.pictures import LambdaPictures
from bayesridge.rules.comparison import LambdaComparison

Array = NDArray[np.float64]


def averaged(post: Posterior) -> str:
    """Say which of lambda and sigma are integrated, and which are held at one value."""
    if not post.lambda_.known:
        known = post.sigma.known
        return "λ integrated, σ known" if known else "λ and σ integrated"
    held = "λ plugged in (its uncertainty ignored)" if post.method == "evidence" else "λ fixed"
    return held.replace("λ", "λ and σ", 1) if post.sigma.known else f"{held}, σ integrated"


@dataclass(frozen=True, eq=False)
class Content:
    """What the sections are made from.

    Attributes
    ----------
    posterior : Posterior
    comparison : LambdaComparison
    data : SliderData
    level : float
        Of the equal-tailed intervals.
    """

    posterior: Posterior
    comparison: LambdaComparison
    data: SliderData
    level: float

    @cached_property
    def pictures(self) -> LambdaPictures:
        """The pictures of lambda."""
        return LambdaPictures(self.data, self.level)

    @property
    def averaged(self) -> str:
        """Which scales are integrated, in words."""
        return averaged(self.posterior)

    @property
    def interval(self) -> str:
        """Name of the intervals, as "95% ETI"."""
        return f"{100 * self.level:g}% ETI"

    @cached_property
    def loo_problem(self) -> str:
        """Why there is no leave-one-out of the posterior ("" if there is)."""
        try:
            _ = self.posterior.loo
        except BayesRidgeError as error:
            return str(error)
        return ""

    @cached_property
    def ends(self) -> Array:
        """Intervals of all coefficients, shape (p, 2)."""
        return self.posterior.coefficients.interval(self.level)
