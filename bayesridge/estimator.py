"""The scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bayesridge.errors import BayesRidgeError, DataError, ModelFileError, PriorError
from bayesridge.fit import infer_problem, read_problem, source_table
from bayesridge.mcmc.posterior import SampledPosterior
from bayesridge.outcomes.infer import outcome_from_state
from bayesridge.persistence import Table, read_model, save_model
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.contrasts import effect_steps
from bayesridge.posteriors.many import ManyPosteriors, infer_many
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.prediction import Prediction
from bayesridge.posteriors.quantity import Quantity
from bayesridge.posteriors.summary import (
    at_a_glance,
    coefficient_table,
    hyper_table,
)
from bayesridge.priors import BetaR2, FixedLambda, Jeffreys, NoisePrior, Prior, check_priors
from bayesridge.tables.alignment import align_columns
from bayesridge.tables.columns import Columns
from bayesridge.tables.frames import read_columns, without_columns
from bayesridge.tables.missing import require_finite
from bayesridge.tables.weights import Weighting

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesridge.mcmc.chains import Sampler
    from bayesridge.outcomes.family import Family

Array = NDArray[np.float64]

#: Method, treatment of missing values, family and groups that several targets at once are for.
_SEVERAL = ("posterior", "error", "gaussian", None)
#: What makes a posterior of the state that a file holds, by the file's word for the engine.
READERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], AnyPosterior]] = {
    "spectrum": Posterior.from_state,
    "groups": Posterior.from_state,
    "chains": SampledPosterior.from_state,
    "outcome": outcome_from_state,
}


class BayesRidge(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Bayesian ridge regression with the exact posterior, lambda included.

    .. math:: y_i = b_0 + x_i'\beta + e_i,\quad e_i \sim N(0, \sigma^2/w_i),\quad \beta_j \sim N(0, \tau^2),\quad
              \lambda = \sigma^2/\tau^2

    on columns scaled to unit standard deviation, with a flat prior on the intercept. Results are in the units of the
    data and do not depend on them.

    Parameters
    ----------
    family : {"gaussian", "poisson", "binomial"} or Family
        What the target is: a number with normal noise; a count (log link); successes of trials (logit link). Counts
        have no sigma, lambda is 1 / tau^2, and ``posterior_.check`` says how accurate the numbers are.
    method : {"posterior", "evidence", "fixed", "nuts"}
        Integrate lambda; plug in the lambda that maximises the evidence (its uncertainty ignored; sigma is still
        integrated); take lambda as given by `lam` or a fixing prior; or draw from the same posterior as
        "posterior" with PyMC's NUTS, seconds for milliseconds, to check it or to compare samplers.
    prior : Prior, optional
        Of lambda, tau or R^2 (methods "posterior" and "nuts"); ``BetaR2(0.5, 0.5)`` by default. See
        :mod:`bayesridge.priors`.
    noise_prior : NoisePrior, optional
        Of sigma; ``Jeffreys()`` by default.
    lam : float, optional
        The penalty for method "fixed": of ``sum w (y - b0 - x'beta)^2 + lam |beta|^2`` on the scaled columns.
    fit_intercept : bool
    scale : bool or array_like of shape (p,)
        Whether to divide penalised columns by their weighted standard deviation (or by what).
    unpenalized : sequence of str or int
        Columns (or terms of the formula) with a flat prior instead.
    formula : str, optional
        Evaluated in the table passed as `X`, at fit and at prediction: ``"bmi * sex + C(site)"``. A left side names the
        target, and then `y` is left out.
    groups : mapping of str to str or sequence of str, optional
        Columns (or terms of the formula) in groups, each with a lambda of its own; see :func:`bayesridge.posterior`.
        `prior` is then one for all, or a mapping of one for each.
    weight_kind : {"frequency", "precision", "survey"}
        What ``sample_weight`` means: a row counted w times (identical to repeating it), noise variance sigma^2 / w,
        or the units of a population that a row stands for; see :func:`bayesridge.posterior`.
    missing : {"error", "drop"}
        What to do with rows that have missing values; the number dropped is in ``posterior_.design.n_dropped``.
    sampler : Sampler, dict or str, optional
        Of method "nuts": which sampler draws ("pymc", "nutpie", "numpyro", "blackjax") and how much, as in
        ``{"name": "numpyro", "draws": 2000, "tune": 1000, "chains": 4, "target_accept": 0.95}``; see
        :class:`bayesridge.mcmc.chains.Sampler`.
    random_state : int, Generator or None
        Seed of method "nuts".
    n_jobs : int, optional
        Chains that run at the same time under method "nuts"; all cores by default.

    Attributes
    ----------
    posterior_ : Posterior, SampledPosterior or ManyPosteriors
        Everything: distributions, predictions, leave-one-out, draws. Under method "nuts" it is the sampled posterior,
        whose ``check`` says what to think of the chains.
    coef_ : ndarray of shape (p,) or (T, p)
        Posterior means, in the units of the data (one for each column the formula makes).
    intercept_ : float or ndarray of shape (T,)
        Posterior mean of the intercept.
    lambda_, sigma_, tau_ : float
        Posterior *medians* (of lambda the mean may be infinite); the fixed or plugged-in lambda otherwise. With groups
        ``lambda_`` and ``tau_`` are arrays, one for each group in their order.
    coef_names_ : ndarray of str
        What each of ``coef_`` belongs to.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from bayesridge import BayesRidge
    >>> from bayesridge.datasets import load_xy
    >>> X, y = load_xy("diabetes")
    >>> fit = BayesRidge().fit(X, y)
    >>> low, high = fit.posterior_.lambda_.interval(0.95)
    """

    def __init__(
        self,
        *,
        family: str | Family = "gaussian",
        method: Literal["posterior", "evidence", "fixed", "nuts"] = "posterior",
        prior: Prior | Mapping[str, Prior] | None = None,
        noise_prior: NoisePrior | None = None,
        lam: float | None = None,
        fit_intercept: bool = True,
        scale: bool | Any = True,
        unpenalized: Sequence[str | int] = (),
        formula: str | None = None,
        groups: Mapping[str, str | Sequence[str]] | None = None,
        weight_kind: Weighting = "frequency",
        missing: Literal["error", "drop"] = "error",
        sampler: Sampler | Mapping[str, Any] | str | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.family = family
        self.method = method
        self.prior = prior
        self.noise_prior = noise_prior
        self.lam = lam
        self.fit_intercept = fit_intercept
        self.scale = scale
        self.unpenalized = unpenalized
        self.formula = formula
        self.groups = groups
        self.weight_kind = weight_kind
        self.missing = missing
        self.sampler = sampler
        self.random_state = random_state
        self.n_jobs = n_jobs

    # -- fitting -------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, offset: Any = None, trials: Any = None) -> Self:
        """Compute the posterior.

        Parameters
        ----------
        X : array_like or data frame of shape (n, p)
        y : array_like of shape (n,) or (n, T)
            Left out when the formula names the target. Several targets have a lambda, a sigma and an evidence each, and
            share the factorisation of the columns.
        sample_weight : array_like of shape (n,), optional
            See ``weight_kind``.
        offset, trials : array_like of shape (n,), optional
            Of counts: log exposure, added to the linear predictor (or an expression of the table's columns,
            ``"log(exposure)"``); numbers of trials.

        Returns
        -------
        BayesRidge
            Itself, fitted.
        """
        prior = self._prior()
        several = _several_targets(y)
        plain = (self.method, self.missing, self.family, self.groups) == _SEVERAL and offset is None and trials is None
        if several is not None and not plain:
            raise DataError(
                "several targets at once take method='posterior', family='gaussian', missing='error', and no groups, "
                "offset or trials: fit them one by one"
            )
        problem = read_problem(
            X,
            y if several is None else several.values[:, 0].copy(),
            formula=self.formula,
            weights=sample_weight,
            weight_kind=self.weight_kind,
            fit_intercept=self.fit_intercept,
            scale=self.scale,
            unpenalized=self.unpenalized,
            missing=self.missing,
            offset=offset,
            trials=trials,
        )
        if several is not None:
            if isinstance(prior, Mapping):
                raise PriorError("a prior for each group takes groups=..., and several targets at once take one prior")
            noise_prior = self.noise_prior or Jeffreys()
            many = infer_many(problem.design, several.values, prior or BetaR2(), noise_prior, several.names)
            return self._keep(source_table(X, problem), many)
        kind: Literal["evidence"] | None = "evidence" if self.method == "evidence" else None
        posterior = infer_problem(problem, prior, self.noise_prior, kind, self.family, self.groups)
        return self._keep(source_table(X, problem), self._sample(posterior) if self.method == "nuts" else posterior)

    def _sample(self, posterior: AnyPosterior) -> AnyPosterior:
        from bayesridge.mcmc.sampling import sample

        return sample(posterior, sampler=self.sampler, n_jobs=self.n_jobs, random_state=self.random_state)

    def _prior(self) -> Prior | Mapping[str, Prior] | None:
        """The prior that was asked for; None for the family's own."""
        if self.groups is not None:
            if self.method != "posterior" or self.lam is not None:
                raise PriorError("with groups every lambda is integrated: use method='posterior', without lam")
            return self.prior
        if isinstance(self.prior, Mapping):
            raise PriorError("a prior for each group needs groups={...} too")
        if self.method not in ("posterior", "evidence", "fixed", "nuts"):
            raise PriorError(f"method must be 'posterior', 'evidence', 'fixed' or 'nuts', got {self.method!r}")
        check_priors(self.prior or BetaR2(), self.noise_prior or Jeffreys())
        fixing = self.prior is not None and self.prior.known is not None
        if self.method == "fixed":
            if (self.lam is None) == (not fixing):
                raise PriorError(
                    "method='fixed' needs one of lam=... and a fixing prior (FixedLambda, FixedTau, FixedScales)"
                )
            if self.lam is not None:
                return FixedLambda(float(self.lam))
            assert self.prior is not None
            return self.prior
        if self.method == "nuts" and self.lam is None:
            return self.prior
        if self.lam is not None or fixing:
            raise PriorError(f"method={self.method!r} learns lambda: for a lambda that is given use method='fixed'")
        if self.method == "evidence" and self.prior is not None:
            raise PriorError("method='evidence' uses no prior of lambda: leave prior out, or use method='posterior'")
        return self.prior

    def _keep(self, table: Table, posterior: AnyPosterior | ManyPosteriors) -> Self:
        # nothing is set before everything succeeded: no half-fitted estimator
        design = posterior.design
        self.n_features_in_ = table.n_columns
        if table.columns is not None:
            self.feature_names_in_ = np.array(table.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if isinstance(posterior, ManyPosteriors):
            coef: Array = posterior.coef
            intercept: Any = posterior.intercept
        else:
            coef = posterior.coefficients.mean
            intercept = posterior.intercept.mean[0] if design.fit_intercept else 0.0
        self.posterior_, self.coef_ = posterior, coef
        self.intercept_ = intercept if np.ndim(intercept) else float(intercept)
        self.coef_names_ = np.array(design.names, dtype=object)
        self._table = table
        return self

    def save(self, path: str | Path, *, rows: bool = False) -> Path:
        """Write the fitted model to a file, which :func:`bayesridge.load` reads; by custom ``*.bridge``.

        Parameters
        ----------
        path : str or Path
        rows : bool
            Whether to store the data too, which leave-one-out and checks need after loading.

        Returns
        -------
        Path
            Of the file.
        """
        options = self.get_params(deep=False)
        return save_model(self._one(), path, table=self._table, options=options, rows=rows)

    def _one(self) -> AnyPosterior:
        check_is_fitted(self)
        if isinstance(self.posterior_, ManyPosteriors):
            raise DataError(
                f"this is for one target, and there are {len(self.posterior_)}: posterior_[k] is the posterior of one"
            )
        return self.posterior_

    # medians take a root search each, which a fit inside a cross-validation does not want to pay for

    @property
    def lambda_(self) -> Any:
        """Posterior median of lambda (the fixed or plugged-in value otherwise); one for each group or target."""
        return self._median("lambda_", "lambda_")

    @property
    def sigma_(self) -> Any:
        """Posterior median of the noise standard deviation, in units of y; one for each target."""
        return self._median("sigma_", "sigma")

    @property
    def tau_(self) -> Any:
        """Posterior median of the prior standard deviation of the scaled coefficients, in units of y; (G,) by group."""
        return self._median("tau_", "tau")

    def _median(self, name: str, quantity: str) -> Any:
        if "posterior_" not in vars(self):
            raise AttributeError(f"{name} is there once fit has been called")
        try:
            if self.groups is None or len(self.groups) == 1 or quantity == "sigma":
                found = getattr(self.posterior_, quantity).median
                return found if np.ndim(found) else float(found)
        except DataError as error:  # of a scale that there is not
            raise AttributeError(str(error)) from error
        start = f"{quantity.rstrip('_')}["
        return np.array([scale.median for key, scale in self._one().scales.items() if key.startswith(start)])

    # -- prediction ----------------------------------------------------------------------------------------------

    def _rows(self, X: Any) -> Array:
        check_is_fitted(self)
        names = self.posterior_.design.names
        if self._table.formula is None:
            if self._table.offset is not None:
                X = without_columns(X, self._table.offset.variables)
            return align_columns(X, names, self._table.columns is not None)
        columns = self._table.formula.transform(X)
        require_finite(columns.values, columns.names)
        return columns.values

    def _offset(self, X: Any, offset: Any) -> Any:
        """What was passed; otherwise what the expression of the fit makes of the table."""
        check_is_fitted(self)
        if offset is not None or self._table.offset is None:
            return offset
        return self._table.offset.transform(X).values[:, 0]

    def predictive(self, X: Any, weights: Any = None, *, offset: Any = None, trials: Any = None) -> Prediction:
        """Posterior predictive distribution at new rows: mean, sd, quantiles, density, and its split.

        Parameters
        ----------
        X : array_like or data frame of shape (m, p)
        weights : array_like of shape (m,), optional
            Precision weights of the new observations; 1 by default.
        offset, trials : array_like of shape (m,), optional
            Of counts; a model that was fitted with an offset needs it (0 for none).

        Returns
        -------
        Prediction
        """
        return self._one().predict(self._rows(X), weights, offset=self._offset(X, offset), trials=trials)

    def predict(self, X: Any, return_std: bool = False, *, offset: Any = None, trials: Any = None) -> Any:
        """Predict the target.

        Parameters
        ----------
        X : array_like or data frame of shape (m, p)
        return_std : bool
            Whether to return the predictive standard deviation of a new observation (noise included) too.
        offset, trials : array_like of shape (m,), optional
            As for :meth:`predictive`.

        Returns
        -------
        mean : ndarray of shape (m,) or (m, T)
        std : ndarray of shape (m,) or (m, T)
            Only with ``return_std=True``.
        """
        rows, offset = self._rows(X), self._offset(X, offset)
        if not return_std:
            return self.posterior_.expected(rows, offset=offset, trials=trials)
        if isinstance(self.posterior_, ManyPosteriors):
            return self.posterior_.expected(rows, offset=offset, trials=trials), self.posterior_.predict_sd(rows)
        found = self.posterior_.predict(rows, offset=offset, trials=trials)
        return found.mean, found.sd

    def predict_interval(
        self,
        X: Any,
        level: float = 0.95,
        *,
        of: Literal["new", "mean"] = "new",
        offset: Any = None,
        trials: Any = None,
    ) -> Array:
        """Equal-tailed intervals for new observations, or of what is expected of them (``of="mean"``).

        Returns
        -------
        ndarray of shape (m, 2)
        """
        found = self.predictive(X, offset=offset, trials=trials)
        if of not in ("new", "mean"):
            raise DataError(f"of must be 'new' or 'mean', got {of!r}")
        return found.interval(level) if of == "new" else found.expected.interval(level)

    def effects(
        self, X: pd.DataFrame, variable: str, values: tuple[Any, Any] | None = None, *, by_row: bool = False
    ) -> Quantity:
        """Posterior of what a change of one variable does to the expected target, however a formula uses it.

        Parameters
        ----------
        X : pandas.DataFrame of shape (m, p)
            Rows to average over: those of the fit, or others.
        variable : str
            A column of X. Of a number the slope, d E[y] / d variable; of text and booleans each category against the
            first one.
        values : tuple of two, optional
            Compare these two values instead.
        by_row : bool
            Whether to return the effect at each row instead of the plain average over rows.

        Returns
        -------
        Quantity
            With mean, interval, ``prob``, ``rope``, ``summary()``. Of counts the effect is on their rate (offset 0), of
            successes on the probability of one trial.
        """
        return self._one().effects(effect_steps(self._rows, X, variable, values), by_row=by_row)

    # -- results -------------------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior of intercept and coefficients: mean, sd, equal-tailed interval and P(> 0).

        Under method "nuts" with the Monte Carlo error of the mean, ``mcse``, and the effective draws, ``ess_bulk`` and
        ``ess_tail``. With several targets a row for each: lambda, sigma and log p(y).
        """
        check_is_fitted(self)
        if isinstance(self.posterior_, ManyPosteriors):
            return self.posterior_.summary(level)
        return coefficient_table(self.posterior_, level)

    def hyper_summary(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior of lambda, sigma, tau, R² and the effective degrees of freedom."""
        return hyper_table(self._one(), level)

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: Any = None,
        *,
        predictive: bool = False,
    ) -> xr.DataTree:
        """Posterior draws as an ArviZ DataTree: four chains of 1000 by default, or the chains that NUTS drew.

        ``predictive=True`` adds posterior_predictive, log_likelihood and prior_predictive: a number for each draw and
        row (a sampled posterior has them anyway).
        """
        return self._one().to_datatree(draws, chains, random_state, predictive=predictive)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "posterior_"):
            return str(super().__repr__(N_CHAR_MAX))
        return repr(self.posterior_) if isinstance(self.posterior_, ManyPosteriors) else at_a_glance(self.posterior_)

    @property
    def _repr_html_(self) -> Any:
        if not hasattr(self, "posterior_"):
            return super()._repr_html_
        return self._result_html

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        if not hasattr(self, "posterior_"):
            return dict(super()._repr_mimebundle_(**kwargs))
        return {"text/plain": repr(self), "text/html": self._result_html()}

    def _result_html(self) -> str:
        return str(self.posterior_._repr_html_())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "drop"
        tags.target_tags.multi_output = (self.method, self.missing, self.family, self.groups) == _SEVERAL
        return tags


def _several_targets(y: Any) -> Columns | None:
    """Read y where it has several columns."""
    shape = getattr(y, "shape", None)
    if shape is None and y is not None:
        try:
            shape = np.asarray(y).shape
        except ValueError:  # a ragged list: what reads one target says so
            return None
    if shape is None or len(shape) != 2 or shape[1] == 1:
        return None
    columns = read_columns(y)
    require_finite(columns.values, columns.names)
    names = columns.names if columns.named else tuple(f"y{k}" for k in range(len(columns.names)))
    return replace(columns, names=names)


def load(path: str | Path) -> BayesRidge:
    """Read a fitted model.

    Parameters
    ----------
    path : str or Path
        Written by ``save``, or by ``bayesridge fit --out``.

    Returns
    -------
    BayesRidge
        Fitted. What needs the rows of the data raises a :class:`~bayesridge.errors.RowsAbsentError` unless they were
        saved too.

    Raises
    ------
    ModelFileError
        If the file is damaged, was altered, is of a kind that this version does not know, or no model.
    OSError
        If it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were given when the model was fitted
            saved = read_model(path)
            facts, arrays = saved.state
            if facts["engine"] not in READERS:
                raise ModelFileError(f"{path} holds a {facts['family']} model of engine {facts['engine']!r}")
            posterior = READERS[facts["engine"]](facts, arrays)
            return BayesRidge(**saved.options)._keep(saved.table, posterior)
    except (BayesRidgeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, ModelFileError) and str(path) in str(error):
            raise
        raise ModelFileError(f"{path} does not describe a model ({type(error).__name__}: {error})") from error
