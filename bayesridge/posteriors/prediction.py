"""The posterior predictive distribution at new rows, split into what is not known and what is noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.linalg.design import Design
from bayesridge.linalg.maps import prediction_map
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.functionals import LinearPosterior

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions for m rows.

    Attributes
    ----------
    expected : LinearPosterior
        The expected target ``b0 + x' coef``: its uncertainty is that of the parameters.
    target : LinearPosterior
        A new observation: the expected target plus noise.
    """

    expected: LinearPosterior
    target: LinearPosterior

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

    @property
    def noise_sd(self) -> Array:
        """The noise's share: ``sqrt(E[sigma^2] / w)``, so that ``sd^2 = mean_sd^2 + noise_sd^2``."""
        nodes = self.target.hyper.nodes
        variance = float(nodes.weight @ nodes.noise.mean_variance())
        return np.sqrt(variance * (self.target.linear.fixed - self.expected.linear.fixed))

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed predictive intervals for new observations, shape (m, 2)."""
        return self.target.interval(level)

    def quantile(self, q: float) -> Array:
        """Predictive quantile, shape (m,)."""
        return self.target.quantile(q)

    def log_density(self, y: ArrayLike) -> Array:
        """Log predictive density of new observations `y`, shape (m,)."""
        return self.target.log_pdf(y)


def predict(
    design: Design, spectrum: Spectrum, hyper: HyperPosterior, X: Array, weights: ArrayLike | None = None
) -> Prediction:
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
    linear = prediction_map(design, spectrum, X)
    labels = tuple([str(i) for i in range(len(X))])
    noisy = replace(linear, fixed=linear.fixed + _noise(weights, len(X)))
    return Prediction(LinearPosterior(labels, linear, spectrum, hyper), LinearPosterior(labels, noisy, spectrum, hyper))


def _noise(weights: ArrayLike | None, m: int) -> Array:
    if weights is None:
        return np.ones(m)
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), (m,))
    if not (np.isfinite(w) & (w > 0)).all():
        raise DataError("the weights of new observations must be positive numbers (noise variance sigma^2 / w)")
    return 1.0 / w
