"""What a rule for lambda is given, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.fit import one_lambda, posterior_of
from bayesridge.linalg.deletion import LooNoise
from bayesridge.linalg.optimum import Optima, Optimum, Place
from bayesridge.linalg.rows import RowBasis, RowParts, row_basis, row_parts
from bayesridge.linalg.search_range import SearchRange, search_range
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.linalg.terms import SpectralTerms, spectral_terms
from bayesridge.posteriors.posterior import Posterior
from bayesridge.rules.duplicates import NearDuplicates, find_near_duplicates
from bayesridge.rules.leave_one_out import LooCurves, check_leave_one_out, loo_curves, loo_noise

Array = NDArray[np.float64]


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
    best : Optimum
        The global optimum (or the value of a closed formula; its score is then NaN).
    others : tuple of Optimum
        Every other local optimum, ends included, by increasing lambda.
    interval : LambdaInterval or None
        How sure the choice is, where the rule itself can say so honestly; resampling gives it otherwise.
    note : str
        What a reader has to know about this choice on these data ("" if nothing).
    """

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
    """A posterior and what rules share: one spectrum, and the parts of each row, computed once.

    Attributes
    ----------
    posterior : Posterior
    spectrum : Spectrum
        The factorisation all rules work from. A posterior with more than one lambda has none, and is refused.
    """

    posterior: Posterior
    spectrum: Spectrum = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spectrum", self.posterior.spectrum)

    @property
    def design(self) -> Design:
        """The data."""
        return self.posterior.design

    @property
    def mean_log_lambda(self) -> float:
        """Of the posterior."""
        nodes = self.posterior.hyper.nodes
        return float(nodes.weight @ nodes.log_lam)

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
        NotAvailableError
            If leaving out one observation has no meaning here.
        """
        try:
            check_leave_one_out(self.design, self.spectrum)
        except DataError as error:
            raise NotAvailableError(str(error)) from None
        return loo_curves(self.row_basis, self.spectrum, self.noise, self.coarse.grid)


class Rule(Protocol):
    """A way of choosing lambda: immutable, its settings are its attributes."""

    @property
    def key(self) -> str:
        """Short name, unique among the rules, as "gcv"."""

    @property
    def label(self) -> str:
        """Name for tables and pictures, as "generalised cross-validation"."""

    def choose(self, problem: LambdaProblem, /) -> Choice:
        """Choose lambda."""


def problem_of(data: Any, y: Any = None, **options: Any) -> LambdaProblem:
    """Open the door of everything that compares rules: a posterior made before, or a table that is made into one.

    Parameters
    ----------
    data, y, **options
        A posterior, alone; or as for :func:`bayesridge.posterior`.

    Raises
    ------
    DataError
        If the data cannot be used; if a posterior comes with options, or has more than one lambda.
    """
    return LambdaProblem(one_lambda(posterior_of(data, y, **options)))


class Noise(NamedTuple):
    """A noise standard deviation, and where it comes from."""

    sigma: float
    source: str


def noise_of(problem: LambdaProblem, sigma: float | None) -> Noise:
    """Return the sigma a rule uses: the rule's own, else the one the model states, else that of least squares.

    Raises
    ------
    NotAvailableError
        If there is none: at least as many columns as degrees of freedom, and no sigma given.
    """
    if sigma is not None:
        return Noise(sigma, "sigma given")
    posterior, spectrum = problem.posterior, problem.spectrum
    stated = posterior.prior.with_noise(posterior.noise_prior)[1].known
    if stated is not None:
        return Noise(stated, "sigma of the model")
    left = spectrum.nu - spectrum.rank
    if left < 1:
        raise NotAvailableError(
            f"needs sigma, and the unpenalised fit leaves no degrees of freedom to estimate it ({spectrum.nu:g} for "
            f"{spectrum.rank} directions)"
        )
    return Noise(
        float(np.sqrt(spectrum.least_squares_variance)), f"sigma of the unpenalised fit, {left:g} degrees of freedom"
    )


def choice_of(found: Optima, sign: float = 1.0) -> Choice:
    """Turn minima of a criterion into a choice whose scores are `sign` times the criterion."""
    best, *others = (replace(one, score=sign * one.score) for one in (found.best, *found.others))
    return Choice(best, tuple(others), note=found.note)


def place_of(lam: float) -> Place:
    """Say whether a lambda is an end."""
    return "zero" if lam == 0 else "infinity" if np.isinf(lam) else "interior"


def joined(*notes: str) -> str:
    """Join notes, those that say nothing left out."""
    return "; ".join([note for note in notes if note])


def check_keys(rules: Sequence[Rule], taken: Iterable[str]) -> None:
    """Refuse rules that share a key, or have one of those that are taken."""
    if not rules:
        raise DataError("no rule to compare; leave rules out for the default ones")
    keys = [rule.key for rule in rules]
    twice = sorted({key for key in keys if keys.count(key) > 1 or key in set(taken)})
    if twice:
        raise DataError(
            f"each rule needs a different key, and these are taken: {', '.join(twice)} (key=..., name=... or "
            "dataclasses.replace(rule, key=...) gives another)"
        )


def central_range(values: Array, level: float) -> tuple[float, float]:
    """Ends of the central `level` of some values, both of them values that occurred.

    Nothing is interpolated, so the ends are the same for lambda and log lambda, and may be 0 and infinity; between
    them lies at least `level` of the values.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Without NaN, m > 0.
    level : float

    Returns
    -------
    low, high : float
    """
    ordered = np.sort(values)
    beyond = int(0.5 * (1.0 - level) * (len(ordered) - 1) + 1e-9)  # 0.05 in binary is a little less
    return float(ordered[beyond]), float(ordered[len(ordered) - 1 - beyond])
