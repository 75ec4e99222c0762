"""The posterior predictive distribution at new rows, split into what is not known and what is noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.design.levels import LevelRows
from bayesridge.engines.engine import Engine
from bayesridge.errors import DataError, DataTypeError
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.posteriors.quantity import MixtureQuantity, Quantity, interval_names
from bayesridge.posteriors.shown import Shown
from bayesridge.tables.alignment import by_name
from bayesridge.tables.missing import require_finite

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_FARTHEST = 1e100  # of a new row, in units of its column: squares of predictions stay float64


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Shown):
    """Predictions for m rows.

    Attributes
    ----------
    expected : Quantity
        The expected target ``b0 + x' coef``: its uncertainty is that of the parameters.
    target : Quantity
        A new observation: the expected target plus noise.
    noise_sd : ndarray of shape (m,)
        The noise's share: ``sqrt(E[sigma^2] / w)``, so that ``sd^2 = mean_sd^2 + noise_sd^2``.
    """

    expected: Quantity
    target: Quantity
    noise_sd: Array

    @property
    def mean(self) -> Array:
        """Posterior predictive means, shape (m,)."""
        return self.target.mean

    @property
    def sd(self) -> Array:
        """Predictive standard deviations of a new observation, noise included; infinite when nu <= 2."""
        return self.target.sd

    @property
    def mean_sd(self) -> Array:
        """Standard deviations of the expected target, noise excluded."""
        return self.expected.sd

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed predictive intervals for new observations, shape (m, 2)."""
        return self.target.interval(level)

    def quantile(self, q: float) -> Array:
        """Predictive quantile, shape (m,)."""
        return self.target.quantile(q)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """One row each: mean, sd and interval of a new observation; sd and interval of its expectation."""
        import pandas as pd

        low, high = interval_names(level)
        new, expected = self.target.interval(level), self.expected.interval(level)
        columns = {
            "mean": self.mean, "sd": self.sd, low: new[:, 0], high: new[:, 1],
            "expectation: sd": self.mean_sd,
            f"expectation: {low}": expected[:, 0], f"expectation: {high}": expected[:, 1],
        }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(self.target.labels, name="row"))

    def _headline(self) -> str:
        return f"Predictions of {len(self.target)} rows: a new observation, and its expectation"

    def log_density(self, y: ArrayLike) -> Array:
        """Log predictive density of new observations `y`, shape (m,)."""
        return self.target.log_pdf(y)


def predict(
    engine: Engine,
    hyper: HyperPosterior,
    X: Array | LevelRows,
    weights: ArrayLike | None = None,
    shift: Array | None = None,
) -> Prediction:
    """Predict new observations.

    Parameters
    ----------
    X : ndarray of shape (m, p), or LevelRows
        Units of the data.
    weights : array_like of shape (m,), optional
        Precision weights of the new observations (noise variance sigma^2 / w); 1 by default.
    shift : ndarray of shape (m,), optional
        Added to the target: an offset.
    """
    labels = tuple([str(i) for i in range(X.shape[0])])
    linear: Any = engine.rows(X)
    if shift is not None and shift.any():
        linear = replace(linear, offset=linear.offset + shift)
    expected = MixtureQuantity(labels, engine, linear, hyper)
    noise = noise_variance(weights, X.shape[0])
    variance = hyper.nodes.noise_variance
    return Prediction(expected, replace(expected, noise=noise), np.sqrt(variance * noise))


def named_rows(X: Any, design: Design) -> Array:
    """Return new rows as finite numbers of shape (m, p), the columns of a table taken by their names."""
    try:
        rows = np.asarray(by_name(X, design.names), dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataTypeError(f"X must be a table of numbers, {design.n_columns} in each row: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != design.n_columns:
        raise DataError(f"X must have shape (rows, {design.n_columns}), got {rows.shape}")
    require_finite(rows, design.names)
    return rows


def checked_rows(X: ArrayLike, design: Design, offset: ArrayLike | None, trials: ArrayLike | None) -> Array:
    """Return new rows as numbers of shape (m, p), of a model that takes neither offset nor trials."""
    refuse_outcome_terms(offset, trials)
    rows = named_rows(X, design)
    largest = np.maximum(rows.max(axis=0, initial=0.0), -rows.min(axis=0, initial=0.0))
    if (far := largest > _FARTHEST * design.scale).any():
        column = int(far.argmax())
        row = int(np.abs(rows[:, column]).argmax())
        raise DataError(
            f"{design.names[column]} is as large as {largest[column]:.3g} in row {row} of the new ones, where the "
            f"fit's is scaled by {design.scale[column]:.3g}: squares of that leave float64"
        )
    return rows


def refuse_trials(trials: ArrayLike | None) -> None:
    """Refuse what only successes take."""
    if trials is not None:
        raise DataError("trials are of successes (family='binomial')")


def refuse_outcome_terms(offset: ArrayLike | None, trials: ArrayLike | None) -> None:
    """Refuse an offset where predictions do not take one, and trials."""
    refuse_trials(trials)
    if offset is not None:
        raise DataError("predictions take an offset where the model was fitted with one: subtract it from the target")


def target_shift(design: Design, offset: ArrayLike | None, trials: ArrayLike | None, m: int) -> Array:
    """What is to be added to predictions of m rows: the offset that was taken off the target at the fit."""
    if not design.shifted:
        refuse_outcome_terms(offset, trials)
    refuse_trials(trials)
    return per_row(offset, m, "offset", needed=design.shifted)


def per_row(values: ArrayLike | None, m: int, what: str, *, needed: bool) -> Array:
    """Return one number for each of m new rows, zero where there is none.

    Raises
    ------
    DataError
        If it is needed and not there, of another shape, or not finite.
    """
    if values is None:
        if needed:
            raise DataError(
                f"the model was fitted with {what}, and a prediction needs it for the new rows: {what}=..., one a row"
            )
        return np.zeros(m)
    column = np.asarray(values, dtype=np.float64)
    if column.shape not in ((), (m,)):
        raise DataError(f"{what} must be one number, or one for each of {m} rows, got shape {column.shape}")
    if not np.isfinite(column).all():
        where = np.flatnonzero(~np.isfinite(np.broadcast_to(column, (m,))))
        raise DataError(f"{what} must be finite; row {where[0]} is not ({len(where)} in all)")
    return np.array(np.broadcast_to(column, (m,)))


def noise_variance(weights: ArrayLike | None, m: int) -> Array:
    """Noise variances of m new observations in units of sigma^2, from their precision weights."""
    if weights is None:
        return np.ones(m)
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), (m,))
    if not (np.isfinite(w) & (w > 0)).all():
        raise DataError("the weights of new observations must be positive numbers (noise variance sigma^2 / w)")
    return 1.0 / w
