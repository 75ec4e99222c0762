"""One resample of the data, and what every rule chooses on it; why it is done so stands in :mod:`.resampling`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import BayesRidgeError, BayesRidgeWarning, DataError
from bayesridge.linalg.design import Design
from bayesridge.linalg.filters import shrinkage
from bayesridge.linalg.rows import row_parts
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.linalg.targets import with_left_vectors, with_target
from bayesridge.linalg.threads import threads_for
from bayesridge.posteriors.posterior import Method as PosteriorKind
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import NoisePrior, Prior
from bayesridge.rules.cross_validation import CrossValidation, groups_of_rows
from bayesridge.rules.rule import LambdaProblem, Rule
from bayesridge.rules.subsets import Rows, factorize_quietly, subset_design

Array = NDArray[np.float64]
Kind = Literal["rows", "residuals"]


def resampling_task(
    problem: LambdaProblem, rules: Sequence[Rule], kind: Kind, groups: NDArray[Any] | None
) -> Resampling:
    """Prepare what every resample starts from. Parameters as for :func:`.resampling.bootstrap_choices`."""
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
        return replace(design, X=design.X[rows], y=design.y[rows], weights=w[rows], kept=None), rows
    if (w != np.round(w)).any():
        raise DataError(
            "frequency weights that are not whole numbers do not count observations that could be drawn again; if they "
            "are relative precisions use weight_kind='precision'"
        )
    rows = np.repeat(np.arange(design.n_rows), w.astype(np.intp))
    # means, scales, cross-products and n are those of the table with the rows repeated
    return replace(design, X=design.X[rows], y=design.y[rows], weights=None, kept=None), rows


def _residuals(design: Design, spectrum: Spectrum, lam: float) -> tuple[Array, Array]:
    """Fitted values, and residuals of a row of weight one, made as large as the noise: e / sqrt(1 - h), centred."""
    rows = row_parts(design, spectrum)
    shrink = shrinkage(spectrum, lam)
    e = rows.residual + rows.U @ (shrink * spectrum.z)
    keep = rows.rest + np.square(rows.U) @ shrink
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
    prior, noise_prior, posterior_kind
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
    posterior_kind: PosteriorKind
    rules: tuple[Rule, ...]
    kind: Kind
    groups: Rows | None
    fitted: Array
    residuals: Array

    def __call__(self, _: int, rng: np.random.Generator) -> list[float]:
        """Resample and choose: one lambda for each rule, NaN where there is no answer."""
        with warnings.catch_warnings(), threads_for(self.design.X.shape[1]):
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
        posterior = infer(design, spectrum, self.prior, self.noise_prior, self.posterior_kind)
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
