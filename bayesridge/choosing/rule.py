"""What a rule for choosing lambda is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

from bayesridge.design import Design
from bayesridge.posterior import Posterior
from bayesridge.ridge import RowParts, row_parts
from bayesridge.spectrum import Spectrum

Place = Literal["interior", "zero", "infinity"]


class LambdaInterval(NamedTuple):
    """An interval for lambda, and what kind it is."""

    lower: float
    upper: float
    level: float
    #: As "ETI of the posterior", "Wald, from the curvature in log lambda", "percentiles of 500 row bootstraps".
    kind: str


@dataclass(frozen=True)
class Optimum:
    """A local optimum of a rule's criterion.

    Attributes
    ----------
    lam : float
        0 and infinity where the criterion is best at the end.
    place : {"interior", "zero", "infinity"}
    score : float
        The criterion there, in its own units.
    """

    lam: float
    place: Place
    score: float


@dataclass(frozen=True)
class Choice:
    """The lambda a rule chooses.

    Attributes
    ----------
    rule : str
        Key of the rule, as "gcv".
    best : Optimum
        The global optimum (or the value of a closed formula; its score is then NaN).
    others : tuple of Optimum
        Every other local optimum, ends included, by increasing lambda.
    interval : LambdaInterval or None
        How sure the choice is, where the rule itself can say so honestly; resampling gives it otherwise.
    note : str
        What a reader has to know about this choice on these data ("" if nothing).
    """

    rule: str
    best: Optimum
    others: tuple[Optimum, ...] = ()
    interval: LambdaInterval | None = None
    note: str = ""

    @property
    def lam(self) -> float:
        """The chosen penalty."""
        return self.best.lam


@dataclass(frozen=True, eq=False)
class LambdaProblem:
    """A posterior and what rules share: one spectrum, and the parts of each row, computed once."""

    posterior: Posterior

    @property
    def design(self) -> Design:
        """The data."""
        return self.posterior.design

    @property
    def spectrum(self) -> Spectrum:
        """The factorisation all rules work from."""
        return self.posterior.spectrum

    @cached_property
    def rows(self) -> RowParts:
        """Residual and leverage of each row, split into what depends on lambda and what does not."""
        return row_parts(self.design, self.spectrum)


class Rule(Protocol):
    """A way of choosing lambda: immutable, its settings are its attributes."""

    @property
    def key(self) -> str:
        """Short name, unique among the rules, as "gcv"."""
        ...

    @property
    def label(self) -> str:
        """Name for tables and pictures, as "generalised cross-validation"."""
        ...

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        ...
