"""What the estimators share: how a fit is kept, new rows are read, and results are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from bayesridge.design.levels import LAID_OUT, LevelRows, Levels
from bayesridge.design.sparse_rows import sparse_rows
from bayesridge.errors import DataError, PriorError
from bayesridge.persistence import Table, save_model
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.contrasts import effect_steps, partial_steps
from bayesridge.posteriors.many import ManyPosteriors
from bayesridge.posteriors.prediction import Prediction
from bayesridge.posteriors.quantity import Quantity
from bayesridge.posteriors.summary import hyper_table
from bayesridge.priors import FixedLambda, Prior
from bayesridge.tables.alignment import align_columns
from bayesridge.tables.frames import is_sparse, without_columns
from bayesridge.tables.missing import require_finite

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesridge.design.accumulate import Files

Array = NDArray[np.float64]


class Fitted(BaseEstimator):  # type: ignore[misc]
    """An estimator around a posterior."""

    posterior_: AnyPosterior | ManyPosteriors
    groups: Any = None
    _table: Table
    coef_: Array

    def _keep(self, table: Table, posterior: AnyPosterior | ManyPosteriors) -> Self:
        # nothing is set before everything succeeded: no half-fitted estimator
        design = posterior.design
        self.n_features_in_ = table.n_columns
        if table.columns is not None:
            self.feature_names_in_ = np.array(table.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.posterior_ = posterior
        self.intercept_, self.coef_ = posterior.estimates
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
        return self.posterior_.only

    @property
    def variables_(self) -> tuple[str, ...]:
        """Columns that a new table needs; empty where the fit had none with names."""
        check_is_fitted(self)
        return tuple(self._table.columns or () if self._table.formula is None else self._table.formula.variables)

    # medians take a root search each, which a fit inside a cross-validation does not want to pay for

    @property
    def lambda_(self) -> Any:
        """Posterior median of lambda (the fixed or plugged-in value otherwise); one for each group or target."""
        return self._median("lambda_", "lambda_")

    @property
    def tau_(self) -> Any:
        """Posterior median of the prior standard deviation of the scaled coefficients, in units of y; (G,) by group."""
        return self._median("tau_", "tau")

    def _median(self, name: str, quantity: str) -> Any:
        if "posterior_" not in vars(self):
            raise AttributeError(f"{name} is there once fit has been called")
        try:
            found = getattr(self.posterior_, quantity).median
            return found if np.ndim(found) else float(found)
        except DataError as error:  # of a scale that there is not, or that there are several of
            start = f"{quantity.rstrip('_')}["
            scales = getattr(self.posterior_, "scales", {})
            several = [scale.median for key, scale in scales.items() if key.startswith(start)]
            if not several:
                raise AttributeError(str(error)) from error
            return np.array(several)

    @property
    def scale_names_(self) -> tuple[str, ...]:
        """The groups, or terms, that ``lambda_`` and ``tau_`` are of; empty where there is one."""
        if "posterior_" not in vars(self):
            raise AttributeError("scale_names_ is there once fit has been called")
        return tuple([key[len("lambda[") : -1] for key in self._one().scales if key.startswith("lambda[")])

    # -- rows ----

    def _rows(self, X: Any) -> Array:
        check_is_fitted(self)
        names = self.posterior_.design.names
        if self._table.formula is None:
            if is_sparse(X):  # new rows are laid out densely
                X = sparse_rows(X).take(slice(None))
            if self._table.offset is not None:
                X = without_columns(X, self._table.offset.variables)
            return align_columns(X, names, self._table.columns is not None)
        columns = self._table.formula.transform(X)
        require_finite(columns.values, columns.names)
        return columns.values

    def _source(self, X: Any) -> Any:
        """Rows to predict at; where levels are so many that they are not laid out, as codes."""
        check_is_fitted(self)
        spec, post = self._table.formula, self.posterior_
        codes = spec is not None and spec.blocks.effects and post.takes_codes
        if spec is None or not codes or len(X) * len(post.design.names) <= LAID_OUT:
            return self._rows(X)
        columns, levels = spec.apart(X)
        require_finite(columns.values, columns.names)
        blocks = [Levels(one.name, one.codes, one.labels, one.values, one.parts) for one in levels]
        return LevelRows(columns.values, tuple(blocks))

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
        return self._one().predict(self._source(X), weights, offset=self._offset(X, offset), trials=trials)

    def predictions(self, X: Any, level: float = 0.95, **known: Any) -> pd.DataFrame:
        """One row each: what `predictive` says of it, as the command shows it."""
        return self.predictive(X, **known).summary(level)

    def predict_files(self, source: str | Path | Files, out: str | Path, *, level: float = 0.95, **known: Any) -> Path:
        """Predict rows of files that need not fit into memory, in batches, to a file that is complete or absent.

        Parameters
        ----------
        source : str, Path or Files
            A Parquet or CSV file, or a folder of files, with the columns of the fit in any order.
        out : str or Path
            File to write, ``.csv`` or ``.parquet``: one row each, as :meth:`predictions` shows it.
        level : float
        **known
            ``missing="drop"`` leaves out rows with missing values; ``offset``, ``trials``: names of columns.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        DataError
            For data that cannot be used, naming file, column and row.
        """
        from bayesridge.estimator.batches import predictions_of_files, write_predictions
        from bayesridge.posteriors.written import refuse_own_source

        check_is_fitted(self)
        refuse_own_source(out, source)
        return write_predictions(out, predictions_of_files(self, source, level=level, **known), level)

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

    def partial_effects(self, X: pd.DataFrame, variable: str, values: Sequence[Any]) -> Quantity:
        """Posterior of the expected target with one variable set to each of some values, less what it is as it stands.

        Parameters
        ----------
        X : pandas.DataFrame of shape (m, p)
            Rows to average over.
        variable : str
            A column of X.
        values : sequence
            Each once.

        Returns
        -------
        Quantity
            One for each value; of counts and successes as :meth:`effects`.
        """
        return self._one().effects(partial_steps(self._rows, X, variable, values))

    def smooth(self, term: str, at: Any = None) -> Quantity:
        """Posterior of the curve of a smooth, centred: its average over the rows of the fit is zero.

        Parameters
        ----------
        term : str
            As in the formula: ``"s(age)"``.
        at : array_like of shape (m,), optional
            Values of its variable; 100 over the range of the fit by default. With ``by`` the curve of each level there.

        Returns
        -------
        Quantity
            Its intervals are pointwise bands, the uncertainty of the scales in them.
        """
        check_is_fitted(self)
        blocks = None if self._table.formula is None else self._table.formula.blocks
        known = {one.term.name: one for one in (() if blocks is None else blocks.smooths)}
        if term not in known:
            raise DataError(f"there is no smooth {term!r} in the formula; there are: {', '.join(known) or 'none'}")
        one, design = known[term], self._one().design
        x = np.linspace(*one.range, 100) if at is None else np.atleast_1d(np.asarray(at, dtype=np.float64))
        count = len(one.splines)
        columns = [design.names.index(name) for name in (*one.flat_names, *one.names)]
        rows = np.zeros((count * len(x), len(design.names)))
        rows[:, columns] = one.at(np.tile(x, count), np.repeat(np.arange(count), len(x)), centred=True)
        labels = [f"{label}{value:g}" for label in one.starts for value in x]
        return self._one().contrast(rows, tuple(labels))

    # -- results -------------------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior of intercept and coefficients: mean, sd, equal-tailed interval and P(> 0).

        Under method "nuts" with the Monte Carlo error of the mean, ``mcse``, and the effective draws, ``ess_bulk`` and
        ``ess_tail``. With several targets a row for each: lambda, sigma and log p(y).
        """
        check_is_fitted(self)
        return self.posterior_.summary(level)

    def hyper_summary(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior of lambda, sigma, tau, R² and the effective degrees of freedom.

        Intervals are equal-tailed with one lambda; with several, effects of levels or smooths they are the shortest
        (HDI), those of lambda by way of tau/sigma.
        """
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
        return repr(self.posterior_)

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


class Predicting(Fitted):
    """An estimator that predicts numbers with noise."""

    @property
    def sigma_(self) -> Any:
        """Posterior median of the noise standard deviation, in units of y; one for each target."""
        return self._median("sigma_", "sigma")

    # -- prediction ----------------------------------------------------------------------------------------------

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
        if is_sparse(X):
            return self._predict_sparse(X, return_std, offset, trials)
        rows, offset = self._source(X), self._offset(X, offset)
        if not return_std:
            return self.posterior_.expected(rows, offset=offset, trials=trials)
        found = self.posterior_.predict(rows, offset=offset, trials=trials)
        return found.mean, found.sd

    def _predict_sparse(self, X: Any, return_std: bool, offset: Any, trials: Any) -> Any:
        """Predict rows that are dense a few at a time."""
        source = sparse_rows(X)
        beside = [None if one is None else np.broadcast_to(one, (source.shape[0],)) for one in (offset, trials)]
        found = []
        for part in source.blocks():
            o, m = (None if one is None else one[part] for one in beside)
            found.append(self.predict(source.take(part), return_std, offset=o, trials=m))
        if not return_std:
            return np.concatenate(found)
        return tuple(np.concatenate(one) for one in zip(*found, strict=True))

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


def prior_of_lambda(method: str, prior: Prior | None, lam: float | None) -> Prior | None:
    """The prior that `method`, `prior` and `lam` ask for together; None for the family's own."""
    fixing = prior is not None and prior.known is not None
    if method == "fixed":
        if (lam is None) == (not fixing):
            raise PriorError(
                "method='fixed' needs one of lam=... and a fixing prior (FixedLambda, FixedTau, FixedScales)"
            )
        return prior if lam is None else FixedLambda(float(lam))
    if method == "nuts" and lam is None:
        return prior
    if lam is not None or fixing:
        raise PriorError(f"method={method!r} learns lambda: for a lambda that is given use method='fixed'")
    if method == "evidence" and prior is not None:
        raise PriorError("method='evidence' uses no prior of lambda: leave prior out, or use method='posterior'")
    return prior
