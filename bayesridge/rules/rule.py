"""What a rule for choosing lambda is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from bayesridge.errors import DataError
from bayesridge.linalg.deletion import LooNoise
from bayesridge.linalg.design import Design
from bayesridge.linalg.filters import SearchRange, SpectralTerms, search_range, spectral_terms
from bayesridge.linalg.optimum import Optimum
from bayesridge.linalg.rows import RowBasis, RowParts, row_basis, row_parts
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.posterior import Posterior
from bayesridge.rules.duplicates import NearDuplicates, find_near_duplicates
from bayesridge.rules.loo_criteria import LooCurves, check_leave_one_out, loo_curves, loo_noise


class NotAvailableError(DataError):
    """A rule has no answer on these data; the text says why. Comparisons show it as a row with that reason."""


class LambdaInterval(NamedTuple):
    """An interval for lambda, and what kind it is."""

    lower: float
    upper: float
    level: float
    #: As "ETI of the posterior", "Wald, from the curvature in log lambda", "percentiles of 500 row bootstraps".
    kind: str


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

    @cached_property
    def row_basis(self) -> RowBasis:
        """The same, on a basis in which each lambda is cheap."""
        return row_basis(self.design, self.spectrum, self.where)

    @cached_property
    def where(self) -> SearchRange:
        """Where in log lambda to look."""
        return search_range(self.spectrum)

    @cached_property
    def scan(self) -> SpectralTerms:
        """The sums criteria are made of, on the grid of :attr:`where`."""
        return spectral_terms(self.spectrum, self.where.grid)

    def lambda_eti(self, level: float) -> tuple[float, float]:
        """Equal-tailed interval of the posterior of lambda (not to be asked for when lambda is known)."""
        if level not in self._etis:
            low, high = self.posterior.lambda_.interval(level)
            self._etis[level] = (low, high)
        return self._etis[level]

    @cached_property
    def _etis(self) -> dict[float, tuple[float, float]]:
        return {}

    @cached_property
    def sigma(self) -> float:
        """Posterior median of sigma, the unit in which fitted values are compared."""
        return self.posterior.sigma.median

    @cached_property
    def noise(self) -> LooNoise:
        """What leave-one-out at a fixed lambda assumes of sigma."""
        return loo_noise(self.posterior)

    @cached_property
    def coarse(self) -> SearchRange:
        """Where in log lambda to look when a look costs a pass over the rows."""
        return self.where.coarser()

    @cached_property
    def near_duplicates(self) -> NearDuplicates:
        """Rows that tell leave-one-out the answer."""
        return find_near_duplicates(self.design)

    @cached_property
    def loo_scan(self) -> LooCurves:
        """Both leave-one-out criteria on the grid of :attr:`coarse`.

        Raises
        ------
        DataError
            If leaving out one observation has no meaning here.
        """
        check_leave_one_out(self.design, self.spectrum)
        return loo_curves(self.row_basis, self.spectrum, self.noise, self.coarse.grid)


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
