"""The regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from bayesridge.design.statistics import Triangle
from bayesridge.errors import DataError, PriorError
from bayesridge.estimator.shared import Predicting, prior_of_lambda
from bayesridge.fit import infer_problem
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.many import infer_many
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, check_priors
from bayesridge.problem import read_problem, source_table
from bayesridge.tables.alignment import check_same_columns
from bayesridge.tables.columns import Columns
from bayesridge.tables.frames import read_columns
from bayesridge.tables.missing import require_finite
from bayesridge.tables.weights import Weighting

if TYPE_CHECKING:
    from bayesridge.mcmc.chains import Sampler
    from bayesridge.outcomes.family import Family

Array = NDArray[np.float64]

#: Method, treatment of missing values, family and groups that several targets at once are for.
_SEVERAL = ("posterior", "error", "gaussian", None)


class BayesRidge(RegressorMixin, Predicting):  # type: ignore[misc]
    r"""Bayesian ridge regression with the exact posterior, lambda included.

    .. math:: y_i = b_0 + x_i'\beta + e_i,\quad e_i \sim N(0, \sigma^2/w_i),\quad \beta_j \sim N(0, \tau^2),\quad
              \lambda = \sigma^2/\tau^2

    on columns scaled to unit standard deviation, with a flat prior on the intercept. Results are in the units of the
    data and do not depend on them.

    Parameters
    ----------
    family : {"gaussian", "student", "poisson", "negative-binomial", "binomial", "probit"} or Family
        What the target is: a number with normal or Student-t noise; a count (log link), its dispersion learned or
        none; successes of trials (logit or probit link). Counts have no sigma, lambda is 1 / tau^2, and
        ``posterior_.check`` says how accurate the numbers are.
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
        self.__dict__.pop("statistics_", None)
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
            groups=self.groups,
            family=self.family,
        )
        if several is not None:
            if problem.groups is not None:
                raise DataError(
                    "several targets at once share one penalty: fit them one by one, or leave out its terms"
                )
            if isinstance(prior, Mapping):
                raise PriorError("a prior for each group takes groups=..., and several targets at once take one prior")
            noise_prior = self.noise_prior or Jeffreys()
            many = infer_many(problem.design, several.values, prior or BetaR2(), noise_prior, several.names)
            return self._keep(source_table(X, problem), many)
        kind: Literal["evidence"] | None = "evidence" if self.method == "evidence" else None
        posterior = infer_problem(problem, prior, self.noise_prior, kind, self.family)
        return self._keep(source_table(X, problem), self._sample(posterior) if self.method == "nuts" else posterior)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Add rows to those that earlier calls brought, and compute the posterior of all of them.

        Rows are added up (a :class:`~bayesridge.Triangle`, ``statistics_``) and not kept: what needs them,
        leave-one-out first, is refused. Any order and batching gives the posterior of :meth:`fit`; each call computes
        it, so that few large batches cost less than many small ones.

        Parameters
        ----------
        X : array_like or data frame of shape (m, p)
        y : array_like of shape (m,)
        sample_weight : array_like of shape (m,), optional

        Returns
        -------
        BayesRidge
            Itself, fitted.
        """
        prior = self._prior()
        if self.family != "gaussian" or self.formula is not None or self.method == "nuts":
            raise DataError(
                "partial_fit adds up rows of columns that are there, under Gaussian noise, for an exact posterior: "
                "leave family, formula and method='nuts' out"
            )
        seen = Triangle.of(X, y, sample_weight, missing=self.missing)
        before: Triangle | None = getattr(self, "statistics_", None)
        if before is not None:
            check_same_columns(seen.names if seen.named else None, before.names if before.named else None)
            if len(seen.names) != len(before.names):
                raise DataError(
                    f"X has {len(seen.names)} features, but BayesRidge is expecting {len(before.names)} features as "
                    "input."
                )
            seen = before + replace(seen, names=before.names)
        problem = read_problem(
            seen, weight_kind=self.weight_kind, fit_intercept=self.fit_intercept, scale=self.scale,
            unpenalized=self.unpenalized, groups=self.groups,
        )  # fmt: skip
        kind: Literal["evidence"] | None = "evidence" if self.method == "evidence" else None
        posterior = infer_problem(problem, prior, self.noise_prior, kind)
        self._keep(source_table(seen, problem), posterior)
        self.statistics_ = seen
        return self

    def _sample(self, posterior: AnyPosterior) -> AnyPosterior:
        from bayesridge.mcmc.sampling import sample

        return sample(posterior, sampler=self.sampler, n_jobs=self.n_jobs, random_state=self.random_state)

    def _prior(self) -> Prior | Mapping[str, Prior] | None:
        """The prior that was asked for; None for the family's own."""
        if self.groups is not None and (self.method not in ("posterior", "evidence", "nuts") or self.lam is not None):
            raise PriorError(
                "with groups every lambda is learnt: use method='posterior', 'evidence' or 'nuts', without lam"
            )
        if isinstance(self.prior, Mapping):  # whose groups are known once the formula is read
            if self.method not in ("posterior", "nuts") or self.lam is not None:
                raise PriorError("a prior for each group takes method='posterior' or 'nuts', without lam")
            return self.prior
        if self.method not in ("posterior", "evidence", "fixed", "nuts"):
            raise PriorError(f"method must be 'posterior', 'evidence', 'fixed' or 'nuts', got {self.method!r}")
        check_priors(self.prior or BetaR2(), self.noise_prior or Jeffreys())
        return prior_of_lambda(self.method, self.prior, self.lam)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
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
