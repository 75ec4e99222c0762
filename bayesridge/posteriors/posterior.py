"""The posterior of a Bayesian ridge regression: one immutable object, everything else is computed from it on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design, State
from bayesridge.design.levels import codes_of, times_about
from bayesridge.engines.engine import Engine, Penalties
from bayesridge.engines.few_nodes import AGREED
from bayesridge.engines.groups import GroupEngine, groups_of
from bayesridge.engines.schur import LevelEngine
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import DataError, ImproperPosteriorError, PriorError
from bayesridge.hyper.evidence import maximize_evidence
from bayesridge.hyper.infer import infer_hyper
from bayesridge.hyper.likelihood import Likelihood
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.hyper.point import plug_in
from bayesridge.hyper.reml import PluggedIn, plug_in_scales, plugged_at
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.persistence import prior_from_state, prior_state
from bayesridge.posteriors.contrasts import Asked
from bayesridge.posteriors.draws import Draws, draw_posterior, replicated
from bayesridge.posteriors.exact_datatree import exact_datatree
from bayesridge.posteriors.facts import evidence_facts, loo_facts, one_lambda_facts
from bayesridge.posteriors.files_loo import FilesLeaveOneOut, leave_one_out_of_files
from bayesridge.posteriors.group_loo import LeaveGroupsOut, leave_groups_out
from bayesridge.posteriors.inferred import Inferred, Method, warn_without_signal
from bayesridge.posteriors.loo import LeaveOneOut, leave_one_out
from bayesridge.posteriors.prediction import Prediction, checked_rows, named_rows, predict, target_shift
from bayesridge.posteriors.quantity import MixtureQuantity, Quantity
from bayesridge.posteriors.summary import ShownPosterior
from bayesridge.posteriors.term_table import term_table
from bayesridge.posteriors.terms import level_effects
from bayesridge.priors import (
    FixedLambda,
    NoisePrior,
    Prior,
)
from bayesridge.tables.terms import one_offset

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

#: Engines of several penalties by a file's word for them.
SEVERAL: Mapping[str, type[GroupEngine] | type[LevelEngine]] = {"groups": GroupEngine, "levels": LevelEngine}


@dataclass(frozen=True, eq=False, repr=False)
class Posterior(Inferred, ShownPosterior, Asked):
    """Everything known after seeing the data."""

    takes_codes = True

    def __reduce__(self) -> tuple[Any, ...]:
        # The nodes hold functions of the prior, which do not pickle; inferring them again takes a millisecond.
        if self.engine.spectrum is None:
            return infer_groups, (self.engine, self.prior, self.noise_prior, self.method)
        return infer, (self.design, self.spectrum, self.prior, self.noise_prior, self.method)

    @property
    def how(self) -> str:
        """What kind of numbers these are."""
        return {
            "posterior": "exact posterior, lambda integrated",
            "evidence": "empirical Bayes: lambda plugged in at the evidence maximum",
            "fixed": "lambda fixed, exact posterior given it",
        }[self.method]

    @property
    def check(self) -> tuple[str, ...]:
        """What to think of these numbers, a sentence each: nothing, where they are exact."""
        if not self.engine.heavy:
            return self.hyper.check
        said = (
            f"sds of level effects, predictions and dof: given the lambdas by cubics in their logarithms, right to "
            f"{AGREED:.0e} of a variance (else computed at every node)"
        )
        return (*self.hyper.check, said)

    def facts(self) -> dict[str, Any]:
        """What a record of this posterior holds beside its tables."""
        record: dict[str, Any] = {**evidence_facts(self.hyper)}
        if self.engine.spectrum is not None:
            scales = (self.lambda_, self.sigma.median, self.tau.median)
            record |= one_lambda_facts(self.design, self.engine.spectrum, self.evidence_modes, *scales)
        return record | loo_facts(self)

    # -- coefficients and predictions ----------------------------------------------------------------------------

    @cached_property
    def coefficients(self) -> MixtureQuantity:
        """Posterior of all p coefficients, in the units of the data."""
        return MixtureQuantity(self.design.names, self.engine, self.engine.coefficients(), self.hyper)

    @property
    def has_terms(self) -> bool:
        """Whether there are several penalties, and :meth:`terms` says what each is worth."""
        return isinstance(self.engine, Penalties)

    @property
    def penalties(self) -> Penalties:
        """The engine as one of several penalties, for what :attr:`has_terms`."""
        assert isinstance(self.engine, Penalties)
        return self.engine

    def terms(self, level: float = 0.95) -> pd.DataFrame:
        """Spread, share of variance and effective degrees of freedom of each penalty; see :func:`term_table`."""
        return term_table(self, level)

    def levels(self, name: str) -> Quantity:
        """Posterior of the effects of a factor's levels, ``levels("shop")``; the last is of one without rows.

        In large models (``check`` says so) variances given the lambdas are cubics in log lambda, held to 1e-4 at other
        nodes, or computed at every node where they are not met.
        """
        return level_effects(self, name)

    @cached_property
    def intercept(self) -> MixtureQuantity:
        """Posterior of the intercept (the expected target where every column is zero), length 1."""
        return MixtureQuantity(("intercept",), self.engine, self.engine.intercept(), self.hyper)

    @property
    def centre(self) -> float:
        """Posterior mean of the expected target at the column means: no lambda moves it."""
        return self.design.y_mean if self.design.fit_intercept else 0.0

    def _combined(self, rows: Array, labels: tuple[str, ...]) -> MixtureQuantity:
        return MixtureQuantity(labels, self.engine, self.engine.contrasts(rows), self.hyper)

    def covariance(self) -> Array:
        """Posterior covariance matrix of the p coefficients (p x p), in the units of the data."""
        nodes = self.hyper.nodes
        return self.engine.covariance(nodes.theta, nodes.weight, nodes.noise.mean_variance())

    def expected(self, X: Any, *, offset: ArrayLike | None = None, trials: ArrayLike | None = None) -> Array:
        """Posterior mean of the expected target at new rows, (m,)."""
        rows = codes_of(X) or named_rows(X, self.design)
        shift = target_shift(self.design, offset, trials, rows.shape[0])
        return self.centre + times_about(rows, self.design.mean, self.coefficients.mean) + shift

    def predict(
        self,
        X: Any,
        weights: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> Prediction:
        """Posterior predictive distribution at new rows.

        Parameters
        ----------
        X : array_like or table of shape (m, p), or LevelRows
            In the units of the data; columns with names are taken by them, in any order (tables for a formula go to
            the estimator).
        weights : array_like of shape (m,), optional
            Precision weights of the new observations.
        offset : array_like of shape (m,), optional
            Of a model that was fitted with one, which needs it (0 for none).
        trials : None
            Of successes.
        """
        rows = codes_of(X) or checked_rows(X, self.design, None, trials)
        shift = target_shift(self.design, offset, trials, rows.shape[0])
        return predict(self.engine, self.hyper, rows, weights, shift)

    @cached_property
    def loo(self) -> LeaveOneOut:
        """Exact leave-one-out predictive distributions."""
        return leave_one_out(self.engine, self.hyper, self.infer_again)

    def loo_of_files(
        self,
        source: Any,
        y: str | None = None,
        *,
        weights: str | None = None,
        formula: str | None = None,
        offset: str | None = None,
        missing: Literal["error", "drop"] = "error",
        out: str | Path | None = None,
    ) -> FilesLeaveOneOut:
        """Leave-one-out of a posterior without rows, made of files or loaded: a pass over them, in batches of rows.

        Parameters
        ----------
        source, y, weights, formula, offset, missing
            As they were said to :func:`bayesridge.posterior`.
        out : str or Path, optional
            CSV or Parquet file for the scores of every row, complete or absent: ``row`` (counted through all files),
            ``y``, its ``mean`` and cdf (``pit``) given the other rows, ``elpd``, and whether that is ``doubtful``.

        Returns
        -------
        FilesLeaveOneOut
            Sums, and a line for each row group.

        Raises
        ------
        DataError
            If the files hold other rows than the fit had, or leave-one-out does not exist.
        """
        formula, offset = one_offset(formula, offset)
        return leave_one_out_of_files(
            self.engine, self.hyper, source, y=y, weights=weights, formula=formula, offset=offset, missing=missing,
            out=out,
        )  # fmt: skip

    def leave_groups_out(self, groups: ArrayLike) -> LeaveGroupsOut:
        """Leave out the rows of each group together (a label for each row): new shops, not new rows of known shops."""
        return leave_groups_out(self.engine, self.hyper, groups)

    def infer_again(self, engine: Engine) -> HyperPosterior:
        """Infer the scales of another engine under the same priors (a plugged-in lambda stays)."""
        if isinstance(self.hyper, PluggedIn):
            return plugged_at(self.hyper.estimate, engine, self.noise_prior.conjugate)
        prior = FixedLambda(self.lambda_.median) if self.method == "evidence" else self.prior
        return infer_hyper(engine, prior, self.noise_prior)

    # -- draws ---------------------------------------------------------------------------------------------------

    def draw(self, draws: int = 1000, chains: int = 4, random_state: int | np.random.Generator | None = None) -> Draws:
        """Independent draws of all parameters, arrays of shape (chains, draws, ...)."""
        return draw_posterior(self.engine, self.hyper, draws=draws, chains=chains, random_state=random_state)

    def replicate(self, rows: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Array:
        """Targets of data sets the model would make at rows of the fit (indices, (m,)): shape (draws, m)."""
        lam, sigma = self.hyper.draw(draws, rng)
        with np.errstate(divide="ignore"):
            given = self.engine.at(np.log(lam.reshape(draws, -1)))
        expected = given.draw(sigma, rng).expected(self.design.source)
        return replicated(self.design, expected, sigma, rows, rng)

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: int | np.random.Generator | None = None,
        *,
        predictive: bool = False,
    ) -> xr.DataTree:
        """Independent draws as an ArviZ ``xarray.DataTree``, by default four chains of 1000.

        Groups: posterior, observed_data, constant_data, and the prior: of all parameters where it is proper, of lambda,
        R^2 and the effective dof where only sigma's prior is improper. With ``predictive=True`` also those that hold
        a number for each draw and row: posterior_predictive, log_likelihood, and prior_predictive where the prior is
        proper.

        Raises
        ------
        DataError
            If the draws would take more than 4 GB; the text says how much, and how many draws would fit.
        """
        count = 1000 if draws is None else draws
        return exact_datatree(
            self.engine, self.hyper, self.prior, self.noise_prior, method=self.method, draws=count,
            chains=4 if chains is None else chains, random_state=random_state, predictive=predictive,
        )  # fmt: skip

    def options(self) -> dict[str, Any]:
        """Return the arguments of the estimator that makes this posterior from plain columns."""
        prior = None if self.method == "evidence" else self.prior
        about = {"method": self.method, "prior": prior, "noise_prior": self.noise_prior}
        return {**about, "groups": groups_of(self.engine), **self.design.options()}

    def state(self, *, rows: bool = False) -> State:
        """What a file holds: the engine's state, the priors and the method; the nodes are placed again."""
        facts, arrays = self.engine.state(rows=rows)
        prior, noise = prior_state(self.prior), prior_state(self.noise_prior)
        return {**facts, "method": self.method, "prior": prior, "noise_prior": noise}, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Posterior:
        """Make the posterior of its state."""
        priors = prior_from_state(facts["prior"]), prior_from_state(facts["noise_prior"])
        if facts["engine"] in SEVERAL:
            return infer_groups(SEVERAL[facts["engine"]].from_state(facts, arrays), *priors, facts["method"])
        engine = SpectralEngine.from_state(facts, arrays)
        return infer(engine.design, engine.spectrum, *priors, "evidence" if facts["method"] == "evidence" else None)


def infer(
    design: Design, spectrum: Spectrum, prior: Prior, noise_prior: NoisePrior, method: Method | None = None
) -> Posterior:
    """Compute the posterior of a factorised design under a prior.

    Parameters
    ----------
    method : {"posterior", "evidence", "fixed"}, optional
        "evidence" plugs in the lambda that maximises the evidence and ignores `prior`; by default "fixed" for priors
        that fix lambda and "posterior" otherwise.
    """
    fixed = prior.known is not None
    check_method(method, fixed=fixed)
    if method == "evidence":
        return _plug_in(design, spectrum, prior, noise_prior)
    engine = SpectralEngine(design, spectrum)
    hyper = infer_hyper(engine, prior, noise_prior)
    if not fixed:
        warn_without_signal(design, spectrum)
    return Posterior(engine, prior, noise_prior, hyper, "fixed" if fixed else "posterior")


def check_method(method: str | None, *, fixed: bool = False) -> None:
    """Refuse methods that there are not, and "fixed" where the prior fixes nothing."""
    if method is not None and method not in get_args(Method):
        raise PriorError(f"method must be 'posterior', 'evidence' or 'fixed', got {method!r}")
    if method == "fixed" and not fixed:
        raise PriorError("method='fixed' takes a prior that fixes lambda: prior=FixedLambda(10.0)")


def infer_groups(engine: Engine, prior: Prior, noise_prior: NoisePrior, method: Method | None = None) -> Posterior:
    """Compute the posterior of columns in groups, all scales integrated, or plugged in at their REML estimates."""
    check_method(method)
    if method == "evidence":
        return Posterior(engine, prior, noise_prior, plug_in_scales(engine, noise_prior.conjugate), "evidence")
    return Posterior(engine, prior, noise_prior, infer_hyper(engine, prior, noise_prior))


def _plug_in(design: Design, spectrum: Spectrum, prior: Prior, noise_prior: NoisePrior) -> Posterior:
    best = maximize_evidence(spectrum).best
    warn_without_signal(design, spectrum)
    if best.place == "zero":
        raise ImproperPosteriorError(
            "the evidence is highest as lambda -> 0, where the noise would be zero: there is no lambda to plug in; "
            "method='posterior' averages over lambda instead"
        )
    if best.place == "flat":
        raise ImproperPosteriorError(
            "the evidence is the same for every lambda (too few observations to tell noise from signal): there is no "
            "lambda to plug in; method='posterior' averages over lambda under a prior instead"
        )
    noise = noise_prior.conjugate
    if noise is None:
        raise DataError("method='evidence' takes Jeffreys() or InverseGamma(...) as noise prior")
    engine = SpectralEngine(design, spectrum)
    hyper = plug_in(Likelihood(engine), float(np.log(best.lam)) if np.isfinite(best.lam) else np.inf, noise)
    return Posterior(engine, prior, noise_prior, hyper, "evidence")
