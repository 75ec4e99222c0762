"""The posterior predictive distribution at new rows, split into what is not known and what is noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.linalg.engine import Engine
from bayesridge.posteriors.quantity import MixtureQuantity, Quantity, interval_names
from bayesridge.posteriors.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


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


def predict(engine: Engine, hyper: HyperPosterior, X: Array, weights: ArrayLike | None = None) -> Prediction:
    """Predict new observations.

    Parameters
    ----------
    X : ndarray of shape (m, p)
        Units of the data.
    weights : array_like of shape (m,), optional
        Precision weights of the new observations (noise variance sigma^2 / w); 1 by default.

    Returns
    -------
    Prediction
    """
    labels = tuple([str(i) for i in range(len(X))])
    expected = MixtureQuantity(labels, engine, engine.rows(X), hyper)
    noise = noise_variance(weights, len(X))
    variance = hyper.nodes.noise_variance
    return Prediction(expected, replace(expected, noise=noise), np.sqrt(variance * noise))


def checked_rows(X: ArrayLike, p: int, offset: ArrayLike | None, trials: ArrayLike | None) -> Array:
    """Return new rows as numbers of shape (m, p), of a model that takes neither offset nor trials."""
    refuse_outcome_terms(offset, trials)
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != p:
        raise DataError(f"X must have shape (rows, {p}), got {rows.shape}")
    return rows


def refuse_outcome_terms(offset: ArrayLike | None, trials: ArrayLike | None) -> None:
    """Refuse what only families of counts take."""
    if offset is not None or trials is not None:
        raise DataError(
            "offset and trials are for counts (family='poisson' or 'binomial'); subtract the offset from the target"
        )


def noise_variance(weights: ArrayLike | None, m: int) -> Array:
    """Noise variances of m new observations in units of sigma^2, from their precision weights."""
    if weights is None:
        return np.ones(m)
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), (m,))
    if not (np.isfinite(w) & (w > 0)).all():
        raise DataError("the weights of new observations must be positive numbers (noise variance sigma^2 / w)")
    return 1.0 / w
