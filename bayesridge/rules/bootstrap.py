r"""How sure a rule is of its lambda: the choice repeated on resampled data.

**Rows.** A row that is drawn c times is *one* observation of weight c, not c observations. Written as c rows (or as a
frequency weight) it would be in the training and in the test part at once: leave-one-out and GCV see a fit that knows
the answer, and the evidence c values of the noise that agree. Hence precision weights c / mean(c) over the drawn rows:
leave-one-out leaves out a row with all its copies, n is the number of different rows (about 0.63 n), and sigma, tau
and lambda keep their meaning.

**Residuals.** The columns stay; y* = ridge fit + resampled residuals e / sqrt(1 - h), at the posterior median of
lambda. No row occurs twice, but the truth of the resampled world is a shrunken fit.

Measured, 60 to 120 data sets from the model for each size (rows x columns, lambda), 50 to 80 resamples each: the shift
(median of log lambda* less log lambda of the same table), the scatter (half the distance of the 16% and 84% quantiles
of log lambda*) and, in the same measure, the true scatter of the rule over data sets.

    ==================  ==========  =================================  =============================
    size                rule        shift: frequencies, rows, resid.   scatter: rows, resid., true
    ==================  ==========  =================================  =============================
    100 x 10, 10        evidence     -0.25   -0.07   +0.16              0.35   0.33   0.57
                        GCV          -0.29   -0.08   +0.18              0.40   0.39   0.57
                        LOO          -0.24   +0.09   +0.22              0.57   0.40   0.60
                        5-fold CV    +0.45   +0.02   +0.15              0.71   0.54   0.66
    60 x 30, 10         evidence     -1.54   -0.22   +0.27              0.57   0.41   0.52
                        GCV          -2.80   -0.31   +0.41              0.79   0.53   0.55
    40 x 60, 30         evidence     -10     -0.63   +0.06              2.05   0.88   1.17
                        GCV          -10     -0.78   +0.15              5.20   1.54   1.14
    ==================  ==========  =================================  =============================

So: rows while columns are fewer than rows, residuals otherwise (a resample then has too few rows, and goes to an end in
a fifth of the cases). The percentiles say how far the choice moves when the data are drawn again with the coefficients
what they are. They are not an interval for sigma^2 / tau^2 at its nominal level: how far the squares of a few
coefficients lie from their expectation tau^2 does not show in any resampled table. Nominal 95% covered it 74 to 94% of
the time by rows and 65 to 85% by residuals at 100 x 10, 93 to 99% and 72 to 92% at 60 x 30; the 95% ETI of the
posterior 95 and 96%.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.design.row_source import ArrayRows
from bayesridge.errors import BayesRidgeError, BayesRidgeWarning, DataError, check_counts, warn
from bayesridge.linalg.rows import row_parts
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.linalg.targets import with_left_vectors, with_target
from bayesridge.parallel.runs import run_many
from bayesridge.parallel.threads import threads_for
from bayesridge.posteriors.inferred import Method
from bayesridge.posteriors.posterior import infer
from bayesridge.posteriors.quantity import check_level
from bayesridge.priors import NoisePrior, Prior
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.folds import Rows, factorize_quietly, groups_of_rows, subset_design
from bayesridge.rules.problem import LambdaInterval, LambdaProblem, Rule, central_range

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

Kind = Literal["rows", "residuals"]

_FAR = 2.0  # a median resample that is this many times off moves the interval as a whole


@dataclass(frozen=True, eq=False)
class BootstrapChoices:
    """The lambda each rule chose on resampled data.

    Attributes
    ----------
    rules : tuple of str
        Keys.
    draws : ndarray of shape (resamples, number of rules)
        Chosen lambda; 0 and infinity where a rule went to the end, NaN where it had no answer.
    chosen : ndarray of shape (number of rules,)
        The choice on the data themselves, NaN where there is none.
    kind : {"rows", "residuals"}
    level : float
        Probability between the percentiles.
    asked : int
        Resamples that were to be made; more than there are draws after an interruption.
    grouped : bool
        Whether whole groups of rows were drawn.
    """

    rules: tuple[str, ...]
    draws: Array
    chosen: Array
    kind: Kind
    level: float
    asked: int
    grouped: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before all resamples were made."""
        return len(self.draws) < self.asked

    @cached_property
    def intervals(self) -> dict[str, LambdaInterval]:
        """Percentile interval of each rule; its ends are draws, so they may be 0 or infinity.

        Rules without a single answer have none.
        """
        found = {}
        for key, draws in zip(self.rules, self.draws.T, strict=True):
            known = draws[~np.isnan(draws)]
            if len(known):
                low, high = central_range(known, self.level)
                what = "residual" if self.kind == "residuals" else "row group" if self.grouped else "row"
                kind = f"percentiles of {len(known)} {what} bootstraps"
                found[key] = LambdaInterval(low, high, self.level, kind)
        return found

    @property
    def at_zero(self) -> dict[str, float]:
        """Share of the answers that are lambda = 0."""
        return self._share(self.draws == 0)

    @property
    def at_infinity(self) -> dict[str, float]:
        """Share of the answers that are lambda = infinity."""
        return self._share(np.isposinf(self.draws))

    @property
    def without_answer(self) -> dict[str, int]:
        """Number of resamples in which the rule had no answer."""
        return dict(zip(self.rules, np.isnan(self.draws).sum(axis=0).tolist(), strict=True))

    @property
    def shift(self) -> dict[str, float]:
        """Median of the draws over the choice: far from 1, resampling moves the choice as well as scattering it."""
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a rule without an answer
            ratio = np.nanmedian(self.draws, axis=0) / self.chosen if len(self.draws) else self.chosen * np.nan
        return dict(zip(self.rules, ratio.tolist(), strict=True))

    def _share(self, where: NDArray[np.bool_]) -> dict[str, float]:
        known = np.maximum((~np.isnan(self.draws)).sum(axis=0), 1)
        return dict(zip(self.rules, (where.sum(axis=0) / known).tolist(), strict=True))

    @property
    def notes(self) -> dict[str, str]:
        """What a reader of an interval has to know, for each rule ("" if nothing)."""
        found = {}
        for key in self.rules:
            parts = []
            if self.at_zero[key] > 0:
                parts.append(f"lambda = 0 in {100 * self.at_zero[key]:.3g}% of the resamples")
            if self.at_infinity[key] > 0:
                parts.append(f"lambda = infinity in {100 * self.at_infinity[key]:.3g}% of the resamples")
            if self.without_answer[key]:
                parts.append(f"no answer in {self.without_answer[key]} of {len(self.draws)} resamples")
            if not 1 / _FAR <= self.shift[key] <= _FAR and np.isfinite(self.shift[key]):
                parts.append(f"the median resample chooses {self.shift[key]:.2g} times the lambda of the data")
            if self.interrupted:
                parts.append(f"interrupted after {len(self.draws)} of {self.asked} resamples")
            found[key] = "; ".join(parts)
        return found

    def table(self) -> pd.DataFrame:
        """One row a rule: lambda, interval, shift, shares at the ends, resamples without an answer."""
        import pandas as pd

        ends = [self.intervals.get(key) for key in self.rules]
        percent = f"{100 * self.level:g}% percentile"
        columns: dict[str, Any] = {
            "lambda": self.chosen,
            f"{percent} low": [np.nan if one is None else one.lower for one in ends],
            f"{percent} high": [np.nan if one is None else one.upper for one in ends],
            "median / lambda": list(self.shift.values()),
            "at zero": list(self.at_zero.values()),
            "at infinity": list(self.at_infinity.values()),
            "without answer": list(self.without_answer.values()),
        }
        return pd.DataFrame(columns, index=pd.Index(self.rules, name="rule"))


def usual_kind(design: Design) -> Kind:
    """Return "rows" while there are more of them than columns, and "residuals" otherwise (see the module's text)."""
    rows = design.n_rows if design.weights is None else int(np.count_nonzero(design.weights))
    return "rows" if rows > design.n_columns - len(design.constant) else "residuals"


def bootstrap_choices(
    problem: LambdaProblem,
    rules: Sequence[Rule],
    resamples: int = 200,
    *,
    kind: Kind | None = None,
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
    n_jobs: int = 1,
    random_state: int | np.random.SeedSequence | None = None,
    progress: bool = True,
) -> BootstrapChoices:
    """Repeat the choice of lambda on resampled data.

    Parameters
    ----------
    problem : LambdaProblem
    rules : sequence of Rule
    resamples : int
    kind : {"rows", "residuals"}, optional
        Draw rows with replacement, or keep the columns and resample the residuals of a ridge fit; see the module's
        text for what each is good for. By default rows while there are more of them than columns (or groups are
        given), residuals otherwise.
    groups : ndarray of shape (n_rows,), optional
        Draw whole groups of rows instead (twins, repeated measurements); for kind "rows".
    level : float
        Of the percentile intervals.
    n_jobs : int
        Processes; numbers do not depend on it.
    random_state : int, SeedSequence or None
    progress : bool
        Whether to show a progress bar. Interrupting keeps the resamples that are done, with a warning.

    Returns
    -------
    BootstrapChoices

    Raises
    ------
    DataError
        If frequency weights are not whole numbers (there is no observation to draw), or arguments are impossible.
    """
    check_level(level)
    check_counts(resamples=resamples)
    how = kind or ("rows" if groups is not None else usual_kind(problem.design))
    task = resampling_task(problem, rules, how, groups)
    chosen = np.array([lambda_of(rule, problem) for rule in rules])
    runs = run_many(
        task, resamples, n_jobs=n_jobs, random_state=random_state, progress=progress, title="choosing lambda again"
    )
    if runs.interrupted:
        done = len(runs.results)
        warn(f"interrupted after {done} of {resamples} resamples; the intervals rest on these", BayesRidgeWarning)
    draws = np.array(runs.results).reshape(len(runs.results), len(rules))
    keys = tuple([rule.key for rule in rules])
    return BootstrapChoices(keys, draws, chosen, how, level, resamples, groups is not None)


def resampling_task(
    problem: LambdaProblem, rules: Sequence[Rule], kind: Kind, groups: NDArray[Any] | None
) -> Resampling:
    """Prepare what every resample starts from. Parameters as for :func:`bootstrap_choices`."""
    if kind not in ("rows", "residuals"):
        raise DataError(f"kind must be 'rows' or 'residuals', got {kind!r}")
    if groups is not None and kind == "residuals":
        raise DataError("groups are drawn as rows are: use kind='rows'")
    design, rows = observations(problem.design)
    labels = None
    if groups is not None:
        labels = np.unique(groups_of_rows(groups, problem.design)[rows], return_inverse=True)[1]
    own = tuple([_restricted(rule, problem.design, rows) for rule in rules])
    spectrum, fitted, residuals = problem.spectrum, np.empty(0), np.empty(0)
    if kind == "residuals":
        spectrum = with_left_vectors(design, factorize_quietly(design))
        fitted, residuals = _residuals(design, spectrum, problem.posterior.lambda_.median)
    old = problem.posterior
    return Resampling(design, spectrum, old.prior, old.noise_prior, old.method, own, kind, labels, fitted, residuals)


def observations(design: Design) -> tuple[Design, Rows]:
    """Write a design out, one row an observation: frequencies as repeated rows, rows of weight zero left out.

    Returns
    -------
    design : Design
    rows : ndarray of int
        The row of the original that each came from.
    """
    w = design.weights
    if w is None:
        return design, np.arange(design.n_rows)
    if design.weight_kind == "precision":
        rows = np.flatnonzero(w > 0)
        return replace(
            design, source=ArrayRows(design.source.take(rows)), y=design.y[rows], weights=w[rows], kept=None
        ), rows
    if (w != np.round(w)).any():
        raise DataError(
            "frequency weights that are not whole numbers do not count observations that could be drawn again; if they "
            "are relative precisions use weight_kind='precision'"
        )
    rows = np.repeat(np.arange(design.n_rows), w.astype(np.intp))
    # means, scales, cross-products and n are those of the table with the rows repeated
    return _of_rows(design, rows, None), rows


def _of_rows(design: Design, rows: NDArray[np.intp], weights: Array | None) -> Design:
    source = ArrayRows(design.source.take(rows))
    return replace(design, source=source, y=design.y[rows], weights=weights, kept=None)


def _residuals(design: Design, spectrum: Spectrum, lam: float) -> tuple[Array, Array]:
    """Fitted values, and residuals of a row of weight one, made as large as the noise: e / sqrt(1 - h), centred."""
    rows = row_parts(design, spectrum)
    e, keep = rows.at(spectrum, lam)
    fitted = design.y - e / np.sqrt(rows.precision)
    determined = keep <= 1e-10  # such a row fits itself: its residual says nothing about the noise
    if determined.all():
        raise DataError("the fit reproduces every row: there are no residuals to draw from")
    pool = e[~determined] / np.sqrt(keep[~determined])
    return fitted, pool - pool.mean() if design.fit_intercept else pool


@dataclass(frozen=True, eq=False)
class Resampling:
    """One resample, and every rule's choice on it; a plain record of data, so that it can be sent to other processes.

    Attributes
    ----------
    design, spectrum : Design, Spectrum
        One row an observation.
    prior, noise_prior, method
        How to infer the posterior of a resample.
    rules : tuple of Rule
    kind : {"rows", "residuals"}
    groups : ndarray of int or None
        Group of each row, if groups are drawn.
    fitted, residuals : ndarray
        For kind "residuals".
    """

    design: Design
    spectrum: Spectrum
    prior: Prior
    noise_prior: NoisePrior
    method: Method
    rules: tuple[Rule, ...]
    kind: Kind
    groups: Rows | None
    fitted: Array
    residuals: Array

    def __call__(self, _: int, rng: np.random.Generator) -> list[float]:
        """Resample and choose: one lambda for each rule, NaN where there is no answer."""
        with warnings.catch_warnings(), threads_for(self.design.n_columns):
            warnings.simplefilter("ignore", BayesRidgeWarning)  # about a resample, not about the data
            try:
                problem, rows = self._resample(rng)
            except BayesRidgeError:  # as when an unpenalised column has no spread in it: counted, and said
                return [np.nan] * len(self.rules)
            own = self.rules if rows is None else [_restricted(rule, self.design, rows) for rule in self.rules]
            return [lambda_of(rule, problem) for rule in own]

    def _resample(self, rng: np.random.Generator) -> tuple[LambdaProblem, Rows | None]:
        design, rows = self.design, None
        if self.kind == "residuals":
            noise = rng.choice(self.residuals, design.n_rows)
            y = self.fitted + (noise if design.weights is None else noise / np.sqrt(design.weights))
            design, spectrum = with_target(design, self.spectrum, y)
        else:
            design, rows = self._drawn_rows(rng)
            spectrum = factorize_quietly(design)
        posterior = infer(design, spectrum, self.prior, self.noise_prior, self.method)
        return LambdaProblem(posterior), rows

    def _drawn_rows(self, rng: np.random.Generator) -> tuple[Design, Rows]:
        design = self.design
        units = design.n_rows if self.groups is None else int(self.groups.max()) + 1
        count = np.bincount(rng.integers(0, units, units), minlength=units)
        if self.groups is not None:
            count = count[self.groups]
        rows = np.flatnonzero(count)
        weights = count[rows] / count[rows].mean()
        if design.weights is not None:
            weights = weights * design.weights[rows]
        as_precision = replace(design, weight_kind="precision")
        return subset_design(as_precision, rows, weights=weights), rows


def _restricted(rule: Rule, design: Design, rows: Rows) -> Rule:
    return rule.restricted_to(design, rows) if isinstance(rule, CrossValidation) else rule


def lambda_of(rule: Rule, problem: LambdaProblem) -> float:
    """Lambda a rule chooses, NaN where it has no answer."""
    try:
        return rule.choose(problem).lam
    except BayesRidgeError:
        return np.nan
