"""What the sections of the report are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import BayesRidgeError
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.terms import single_columns
from bayesridge.reporting.html import number, percent, scale_number
from bayesridge.reporting.payload import SliderData
from bayesridge.reporting.pictures import LambdaPictures
from bayesridge.rules.comparison import LambdaComparison

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def averaged(post: Posterior) -> str:
    """Say which of lambda and sigma are integrated, and which are held at one value."""
    if not post.lambda_.known:
        known = post.sigma.known
        return "λ integrated, σ known" if known else "λ and σ integrated"
    held = "λ plugged in (its uncertainty ignored)" if post.method == "evidence" else "λ fixed"
    return held.replace("λ", "λ and σ", 1) if post.sigma.known else f"{held}, σ integrated"


def own_columns(design: Design) -> NDArray[np.intp]:
    """Columns with coefficients of their own: all, where there is nothing but effects of levels and bases of curves."""
    every = np.arange(len(design.names))
    own = every[single_columns(design)]
    return own if len(own) else every


@dataclass(frozen=True, eq=False)
class Content:
    """What the sections of any posterior's page are made from.

    Attributes
    ----------
    posterior : Posterior
        Or any other: what it does not offer it refuses.
    level : float
        Of the equal-tailed intervals.
    columns : ndarray of int
        Columns of the design that are shown, in their order.
    """

    posterior: Posterior
    level: float
    columns: NDArray[np.intp]

    @property
    def averaged(self) -> str:
        """What kind of numbers these are."""
        return self.posterior.how

    @property
    def prior(self) -> str:
        """The prior in words."""
        return self.posterior.prior_texts[0]

    @property
    def predicted(self) -> str:
        """How each row was predicted from the others."""
        drawn = " (drawn at random within the probability of the number itself)" if self.discrete else ""
        return (
            f"Each row is predicted by the posterior given all other rows ({self.posterior.loo.accuracy}). PIT values, "
            f"the probabilities of no more than was observed, are uniform where predictions are honest{drawn}."
        )

    @property
    def discrete(self) -> bool:
        """Whether targets are whole numbers, so that PIT values have steps."""
        post: Any = self.posterior
        return bool(post.has_curves and post.family.whole)

    def inside(self, level: float) -> str:
        """Name the share of rows that were not far off."""
        return f"PIT values in the central {100 * level:g}%"

    @cached_property
    def ratios(self) -> pd.DataFrame | None:
        """Rate or odds ratios of the coefficients, where they are such."""
        try:
            return self.posterior.ratios(self.level)
        except BayesRidgeError:
            return None

    @cached_property
    def own(self) -> NDArray[np.intp]:
        """Columns with coefficients of their own, whether they are shown or not."""
        return own_columns(self.posterior.design)

    @property
    def interval(self) -> str:
        """Name of the intervals, as "95% ETI"."""
        return f"{100 * self.level:g}% ETI"

    @property
    def units(self) -> str:
        """Whose units: the target's name, unless it is long."""
        name = self.posterior.design.target_name
        return name if len(name) <= 36 else "the target"

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


@dataclass(frozen=True, eq=False)
class LambdaContent(Content):
    """What the sections of ridge with one lambda are made from.

    Attributes
    ----------
    comparison : LambdaComparison
    data : SliderData
    """

    comparison: LambdaComparison
    data: SliderData

    @cached_property
    def own(self) -> NDArray[np.intp]:
        """All columns: effects of levels have no other section here."""
        return np.arange(self.posterior.design.n_columns)

    @cached_property
    def pictures(self) -> LambdaPictures:
        """The pictures of lambda."""
        return LambdaPictures(self.data, self.level)

    @property
    def averaged(self) -> str:
        """Which scales are integrated, in words."""
        return averaged(self.posterior)

    @property
    def prior(self) -> str:
        """The prior in words, and what a prior on R² expects before the data."""
        prior = self.posterior.prior
        ends = prior.explained(0.9)
        if ends is None:
            return prior.text
        return (
            f"{prior.text}: before the data, the columns are expected to explain between {percent(ends[0])} and "
            f"{percent(ends[1])} of the variance (90% ETI of the prior)"
        )

    @property
    def nothing(self) -> str:
        """What is left of the fit as lambda grows without end."""
        if len(self.posterior.design.unpenalized):
            return "unpenalised columns alone"
        return "mean alone" if self.posterior.design.fit_intercept else "constant zero"

    def lam(self, value: float) -> str:
        """Write a lambda with the digits that its posterior leaves."""
        known = self.posterior.lambda_.known
        return number(value) if known else scale_number(value, self.posterior.lambda_.interval(self.level))

    @property
    def predicted(self) -> str:
        """How each row was predicted from the others."""
        return (
            "Each row is predicted by the posterior given all other rows: exactly, for every λ, without refitting and "
            "without importance sampling. Intervals that are honest hold as many rows as they say."
        )

    def inside(self, level: float) -> str:
        """Name the share of rows that were not far off."""
        return f"rows inside their {100 * level:g}% ETI of prediction"
