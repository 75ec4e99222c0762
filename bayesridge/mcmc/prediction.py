"""The posterior predictive distribution from draws: a mixture of normals, one for each draw of the parameters.

Given a draw the new observation is normal, so that its noise is integrated exactly rather than drawn: means, standard
deviations and quantiles carry the Monte Carlo error of the parameters only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design
from bayesridge.mcmc.sampling import NutsResult
from bayesridge.posteriors.quantity import check_level

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 21  # draws x rows worked on at a time
_BISECTIONS = 45  # of an interval some posterior standard deviations wide: far below any Monte Carlo error


@dataclass(frozen=True, eq=False)
class DrawnPrediction:
    """Predictions for m rows from S draws.

    Attributes
    ----------
    centre : ndarray of shape (S,)
        Expected target at the column means.
    coef : ndarray of shape (S, p)
    sigma : ndarray of shape (S,)
    rows : ndarray of shape (m, p)
        Deviations of the new rows from the column means, in the units of the data.
    noise : ndarray of shape (m,)
        Noise variances of the rows in units of sigma^2.
    """

    centre: Array
    coef: Array
    sigma: Array
    rows: Array
    noise: Array

    @property
    def mean(self) -> Array:
        """Posterior predictive means, shape (m,)."""
        return np.asarray(self.centre.mean() + self.rows @ self.coef.mean(axis=0))

    @property
    def mean_sd(self) -> Array:
        """Standard deviations of the expected target, noise excluded."""
        deviations = np.column_stack([np.ones(len(self.rows)), self.rows])
        covariance = np.atleast_2d(np.cov(np.column_stack([self.centre, self.coef]), rowvar=False))
        variance = np.asarray((deviations @ covariance * deviations).sum(axis=1), dtype=np.float64)
        return np.sqrt(variance.clip(min=0.0))

    @property
    def noise_sd(self) -> Array:
        """The noise's share: ``sqrt(E[sigma^2] / w)``, so that ``sd^2 = mean_sd^2 + noise_sd^2``."""
        return np.sqrt(np.mean(np.square(self.sigma)) * self.noise)

    @property
    def sd(self) -> Array:
        """Predictive standard deviations of a new observation, noise included."""
        return np.hypot(self.mean_sd, self.noise_sd)

    def quantile(self, q: float) -> Array:
        """Predictive quantile of a new observation, shape (m,)."""
        if not 0.0 < q < 1.0:
            raise DataError(f"a probability must lie between 0 and 1, got {q}")
        out = np.empty(len(self.rows))
        size = max(1, _BLOCK_VALUES // len(self.sigma))
        for start in range(0, len(out), size):
            part = slice(start, start + size)
            expected = self.centre + self.rows[part] @ self.coef.T
            scale = self.sigma * np.sqrt(self.noise[part, None])
            # below the smallest quantile of a draw the mixture has less than q, above the largest more
            each = expected + ndtri(q) * scale
            low, high = each.min(axis=1), each.max(axis=1)
            for _ in range(_BISECTIONS):
                middle = 0.5 * (low + high)
                below = ndtr((middle[:, None] - expected) / scale).mean(axis=1) < q
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            out[part] = 0.5 * (low + high)
        return out

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed predictive intervals for new observations, shape (m, 2)."""
        check_level(level)
        return np.column_stack([self.quantile(0.5 * (1.0 - level)), self.quantile(0.5 * (1.0 + level))])


def predict_from_draws(
    design: Design, result: NutsResult, X: Array, weights: ArrayLike | None = None
) -> DrawnPrediction:
    """Predict new observations from draws.

    Parameters
    ----------
    design : Design
        That was sampled.
    result : NutsResult
        Of a model with normal noise.
    X : ndarray of shape (m, p)
        Units of the data.
    weights : array_like of shape (m,), optional
        Precision weights of the new observations (noise variance sigma^2 / w); 1 by default.

    Returns
    -------
    DrawnPrediction

    Raises
    ------
    DataError
        If X has other columns, a weight is not positive, or the model's noise is not normal.
    """
    posterior = result.datatree["posterior"].to_dataset()
    p = posterior.sizes["feature"]
    if X.ndim != 2 or X.shape[1] != p:
        raise DataError(f"X must have shape (rows, {p}), got {X.shape}")
    if "nu" in posterior:
        raise DataError(f"predictions are for normal noise, and the model {result.model_name} has Student-t noise")
    coef = posterior["coef"].values.reshape(-1, p)
    intercept = posterior["intercept"].values.ravel() if design.fit_intercept else np.zeros(len(coef))
    w = np.ones(len(X)) if weights is None else np.broadcast_to(np.asarray(weights, dtype=np.float64), (len(X),))
    if not (np.isfinite(w) & (w > 0)).all():
        raise DataError("the weights of new observations must be positive numbers (noise variance sigma^2 / w)")
    return DrawnPrediction(
        intercept + coef @ design.mean, coef, posterior["sigma"].values.ravel(), X - design.mean, 1.0 / w
    )
