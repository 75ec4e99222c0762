"""The classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.base import ClassifierMixin

from bayesridge.errors import DataError, PriorError
from bayesridge.estimator.shared import Fitted, prior_of_lambda
from bayesridge.fit import infer_problem
from bayesridge.persistence import Table
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.many import ManyPosteriors
from bayesridge.posteriors.quantity import interval_names
from bayesridge.priors import Jeffreys, Prior, check_priors
from bayesridge.problem import read_problem, source_table
from bayesridge.tables.labels import one_class, read_labels, split_target

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: The family of each link.
_FAMILIES = {"logit": "binomial", "probit": "probit"}
_SUREST = float(np.finfo(np.float64).epsneg)


class BayesRidgeClassifier(ClassifierMixin, Fitted):  # type: ignore[misc]
    r"""Bayesian ridge regression of two classes, lambda included.

    .. math:: P(y_i = \text{classes}_1) = g(b_0 + x_i'\beta),\quad \beta_j \sim N(0, \tau^2),\quad \lambda = 1/\tau^2

    on columns scaled to unit standard deviation, with a flat prior on the intercept. The probabilities are posterior
    means, lambda integrated; ``posterior_.check`` says how accurate the numbers are.

    There is no ``class_weight``: weights that make a class count more than its rows claim data that are not there, and
    the probabilities would be of another population. Where errors cost differently, predict the second class where its
    probability exceeds c1 / (c1 + c2), with c1 the cost of predicting it wrongly and c2 of missing it; where rows were
    sampled by class, pass `sample_weight` with ``weight_kind="survey"``.

    Parameters
    ----------
    link : {"logit", "probit"}
        What g is: the logistic function (coefficients are log odds ratios) or the normal distribution function.
    method : {"posterior", "evidence", "fixed"}
        Integrate lambda; plug in the lambda that maximises the evidence (its uncertainty ignored); or take it as given
        by `lam` or a fixing prior.
    prior : Prior, optional
        Of lambda or tau; by default a half-t on tau, see :func:`bayesridge.outcomes.prior.default_prior`.
    lam : float, optional
        Lambda = 1 / tau^2 for method "fixed": scikit-learn's C is 1 / lam on the scaled columns.
    fit_intercept, scale, unpenalized, missing
        As for :class:`~bayesridge.BayesRidge`. Rows without a label count as missing values.
    formula : str, optional
        As for :class:`~bayesridge.BayesRidge`; a left side is the column that holds the labels.
    weight_kind : {"frequency", "survey"}
        What ``sample_weight`` means: a row counted w times, or the units of a population that it stands for.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        In ascending order. Coefficients and ``decision_function`` are for the second against the first.
    posterior_ : OutcomePosterior
    coef_ : ndarray of shape (p,)
        Posterior means, in the units of the data.
    intercept_ : float
    lambda_, tau_ : float
        Posterior medians, or what was given or plugged in.
    coef_names_, n_features_in_, feature_names_in_
        As for :class:`~bayesridge.BayesRidge`.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesridge import BayesRidgeClassifier
    >>> X = np.random.default_rng(0).standard_normal((40, 2))
    >>> y = np.where(X[:, 0] + 0.5 * X[:, 1] ** 2 > 0.4, "ill", "well")
    >>> fit = BayesRidgeClassifier().fit(X, y)
    >>> fit.predict_interval(X[:3]).shape
    (3, 2)
    """

    def __init__(
        self,
        *,
        link: Literal["logit", "probit"] = "logit",
        method: Literal["posterior", "evidence", "fixed"] = "posterior",
        prior: Prior | None = None,
        lam: float | None = None,
        fit_intercept: bool = True,
        scale: bool | Any = True,
        unpenalized: Sequence[str | int] = (),
        formula: str | None = None,
        weight_kind: Literal["frequency", "survey"] = "frequency",
        missing: Literal["error", "drop"] = "error",
    ) -> None:
        self.link = link
        self.method = method
        self.prior = prior
        self.lam = lam
        self.fit_intercept = fit_intercept
        self.scale = scale
        self.unpenalized = unpenalized
        self.formula = formula
        self.weight_kind = weight_kind
        self.missing = missing

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Compute the posterior.

        Parameters
        ----------
        X : array_like or data frame of shape (n, p)
        y : array_like of shape (n,)
            Labels of two classes: text, whole numbers or booleans. Left out when the formula names them.
        sample_weight : array_like of shape (n,), optional
            See ``weight_kind``.

        Returns
        -------
        BayesRidgeClassifier
            Itself, fitted.

        Raises
        ------
        DataError
            If there are not two classes, or the data cannot be used.
        ImproperPosteriorError
            If flat columns alone separate the classes, or the evidence has no maximum to plug in.
        """
        import pandas as pd

        if self.link not in _FAMILIES:
            raise DataError(f"link must be 'logit' or 'probit', got {self.link!r}")
        if self.method not in ("posterior", "evidence", "fixed"):
            raise PriorError(
                f"method must be 'posterior', 'evidence' or 'fixed', got {self.method!r}; "
                "bayesridge.models.logistic is the same model for PyMC's samplers"
            )
        if self.weight_kind not in ("frequency", "survey"):
            raise DataError(f"weight_kind must be 'frequency' or 'survey', got {self.weight_kind!r}")
        if self.prior is not None:
            check_priors(self.prior, Jeffreys())
        prior = prior_of_lambda(self.method, self.prior, self.lam)
        formula, X, y = split_target(self.formula, X, y)
        labels = read_labels(y)
        problem = read_problem(
            X,
            pd.Series(labels.codes, name=labels.name),
            formula=formula,
            weights=sample_weight,
            weight_kind=self.weight_kind,
            fit_intercept=self.fit_intercept,
            scale=self.scale,
            unpenalized=self.unpenalized,
            missing=self.missing,
            family=_FAMILIES[self.link],
        )
        design = problem.design
        used = design.y if design.weights is None else design.y[design.weights > 0]
        if len(there := np.unique(used)) < 2:
            raise one_class(labels.name, [labels.classes[int(code)] for code in there])
        kind: Literal["evidence"] | None = "evidence" if self.method == "evidence" else None
        posterior = infer_problem(problem, prior, method=kind, family=_FAMILIES[self.link])
        return self._keep(source_table(X, problem)._replace(labels=labels.classes), posterior)

    def _keep(self, table: Table, posterior: AnyPosterior | ManyPosteriors) -> Self:
        self.classes_ = np.array(table.labels)
        return super()._keep(table, posterior)

    # -- prediction ----------------------------------------------------------------------------------------------

    def predictions(self, X: Any, level: float = 0.95, **known: Any) -> pd.DataFrame:
        """One row each: the more probable class, the probability of the second one, and its interval."""
        import pandas as pd

        expected = self.predictive(X, **known).expected
        low, high = interval_names(level)
        ends, chance = expected.interval(level), expected.mean
        columns = {
            "class": self.classes_[(chance > 0.5).astype(np.intp)], f"P({self.classes_[1]})": chance,
            low: ends[:, 0], high: ends[:, 1],
        }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(expected.labels, name="row"))

    def _chance(self, X: Any) -> Array:
        """Posterior mean of the probability of the second class."""
        rows = self._rows(X)
        return np.clip(self.posterior_.expected(rows, offset=self._offset(X, None)), 0.0, 1.0)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes: posterior means, which are those of a new observation.

        Returns
        -------
        ndarray of shape (m, 2)
        """
        chance = self._chance(X)
        return np.column_stack([1.0 - chance, chance])

    def decision_function(self, X: Any) -> Array:
        """Log odds of ``predict_proba``, positive where the second class is predicted, (m,)."""
        return np.asarray(logit(np.clip(self._chance(X), _SUREST, 1.0 - _SUREST)))

    def predict(self, X: Any) -> NDArray[Any]:
        """The more probable class of each row, (m,)."""
        chosen = (self._chance(X) > 0.5).astype(np.intp)
        return np.asarray(self.classes_[chosen])

    def predict_interval(self, X: Any, level: float = 0.95) -> Array:
        """Equal-tailed intervals of the probability of the second class.

        Returns
        -------
        ndarray of shape (m, 2)
        """
        return self.predictive(X).expected.interval(level)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "drop"
        tags.classifier_tags.multi_class = False
        return tags
