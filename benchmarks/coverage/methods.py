"""Methods of a coverage study: each fits a data set and answers with points and, where it has them, intervals."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import BayesRidgeError, ImproperPosteriorError
from bayesridge.hyper.likelihood import Likelihood
from bayesridge.hyper.marginal import PointMass
from bayesridge.hyper.point import plug_in
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.priors import FixedLambda, Jeffreys, NoisePrior, Prior
from bayesridge.rules.problem import LambdaProblem, Rule
from benchmarks.coverage.worlds import DataSet

Array = NDArray[np.float64]

Z95 = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method says of one data set.

    Attributes
    ----------
    intercept, coef : float, ndarray of shape (p,)
        Point estimates, units of the data: what it predicts with.
    coef_interval, new_interval : ndarray of shape (p, 2) and (m, 2), or None
        95% intervals of the coefficients and of new observations, if it gives any.
    lam : float
        Its lambda on scaled columns (NaN if it has none).
    lambda_interval : tuple of float or None
        95% interval of lambda, if it gives one.
    """

    intercept: float
    coef: Array
    coef_interval: Array | None = None
    new_interval: Array | None = None
    lam: float = np.nan
    lambda_interval: tuple[float, float] | None = None


class Method(Protocol):
    """A way of fitting: immutable, and picklable for parallel studies."""

    @property
    def key(self) -> str:
        """Short name, unique in a study."""
        ...

    def answer(self, data: DataSet) -> Answer | None:
        """Fit; None if the method has no answer for these data at all."""
        ...


@dataclass(frozen=True)
class Exact:
    """The exact posterior, lambda and sigma integrated; equal-tailed intervals.

    Parameters
    ----------
    prior, noise_prior : Prior, NoisePrior, optional
        The defaults of :func:`bayesridge.fit`.
    key : str
    """

    prior: Prior | None = None
    noise_prior: NoisePrior | None = None
    key: str = "exact"

    def answer(self, data: DataSet) -> Answer:
        """Fit."""
        if self.prior is None and self.noise_prior is None:
            return _from_posterior(data.posterior, data)
        prior, noise = self.prior or data.posterior.prior, self.noise_prior or Jeffreys()
        return _from_posterior(infer(data.design, data.spectrum, prior, noise), data)


@dataclass(frozen=True)
class Evidence:
    """Lambda plugged in at the maximum of the evidence, sigma integrated (empirical Bayes)."""

    key: str = "evidence plug-in"

    def answer(self, data: DataSet) -> Answer | None:
        """Fit; no answer where the evidence is highest as lambda -> 0."""
        try:
            return _from_posterior(infer(data.design, data.spectrum, FixedLambda(1.0), Jeffreys(), "evidence"), data)
        except ImproperPosteriorError:
            return None


@dataclass(frozen=True)
class ByRule:
    """Lambda as a rule of :mod:`bayesridge.rules` chooses it, plugged in; sigma integrated.

    Its interval for lambda is the rule's own, where that is a 95% interval.
    """

    rule: Rule

    @property
    def key(self) -> str:
        """The rule's key."""
        return self.rule.key

    def answer(self, data: DataSet) -> Answer | None:
        """Fit; no answer where the rule has none. With lambda = 0 and no residual there are points but no intervals."""
        try:
            choice = self.rule.choose(LambdaProblem(data.posterior))
        except BayesRidgeError:
            return None
        own = choice.interval
        ends = (own.lower, own.upper) if own is not None and np.isclose(own.level, 0.95) else None
        try:
            found = at_fixed_lambda(data, choice.lam)
        except ImproperPosteriorError:
            intercept, coef = data.at_lambda(choice.lam)
            return Answer(intercept, coef, lam=choice.lam, lambda_interval=ends)
        return replace(_from_posterior(found, data), lambda_interval=ends)


def at_fixed_lambda(data: DataSet, lam: float) -> Posterior:
    """Posterior with lambda treated as known, infinity included (all coefficients zero)."""
    if np.isfinite(lam):
        return infer(data.design, data.spectrum, FixedLambda(float(lam)), Jeffreys())
    engine = SpectralEngine(data.design, data.spectrum)
    hyper = plug_in(Likelihood(engine), np.inf, Jeffreys().conjugate)
    return Posterior(engine, data.posterior.prior, Jeffreys(), hyper, "evidence")


def _from_posterior(posterior: Posterior, data: DataSet) -> Answer:
    lam = posterior.lambda_
    ends = None if isinstance(lam, PointMass) else tuple(lam.interval(0.95))
    coef = posterior.coefficients
    return Answer(
        float(posterior.intercept.mean[0]), coef.mean, coef.interval(0.95),
        posterior.predict(data.X_new).interval(0.95),
        lam.median, None if ends is None else (ends[0], ends[1]),
    )  # fmt: skip


# -- peers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LeastSquares:
    """Ordinary least squares with Student-t intervals, where rows exceed columns by two or more."""

    key: str = "least squares"

    def answer(self, data: DataSet) -> Answer | None:
        """Fit; no answer where there are too few rows."""
        n, p = data.X.shape
        df = n - p - 1
        if df < 1:
            return None
        A = np.column_stack([np.ones(n), data.X])
        solution, _, rank, _ = np.linalg.lstsq(A, data.y, rcond=None)
        if rank < p + 1:
            return None
        rest = data.y - A @ solution
        inverse = np.linalg.inv(A.T @ A)
        variance = float(rest @ rest) / df
        half = student_t.ppf(0.975, df) * np.sqrt(variance * np.diag(inverse))[1:]
        A_new = np.column_stack([np.ones(len(data.X_new)), data.X_new])
        mean = A_new @ solution
        spread = np.sqrt(variance * (1.0 + np.einsum("ij,jk,ik->i", A_new, inverse, A_new)))
        return Answer(
            float(solution[0]), solution[1:], _around(solution[1:], half),
            _around(mean, student_t.ppf(0.975, df) * spread), 0.0,
        )  # fmt: skip


@dataclass(frozen=True)
class SklearnBayesianRidge:
    """scikit-learn's BayesianRidge on standardised columns; Wald intervals, 1.96 of its standard deviations."""

    key: str = "sklearn BayesianRidge"

    def answer(self, data: DataSet) -> Answer:
        """Fit."""
        from sklearn.linear_model import BayesianRidge

        model, scale, centre = _fit_standardized(BayesianRidge(), data)
        sd = np.sqrt(np.diag(model.sigma_))
        return _wald(model, scale, centre, sd, data, float(model.lambda_ / model.alpha_))


@dataclass(frozen=True)
class SklearnARD:
    """scikit-learn's ARDRegression on standardised columns; Wald intervals (a pruned coefficient is the point 0)."""

    key: str = "sklearn ARDRegression"

    def answer(self, data: DataSet) -> Answer:
        """Fit."""
        from sklearn.linear_model import ARDRegression

        model, scale, centre = _fit_standardized(ARDRegression(), data)
        sd = np.zeros(data.X.shape[1])
        kept = model.lambda_ < model.threshold_lambda
        sd[kept] = np.sqrt(np.diag(model.sigma_))
        return _wald(model, scale, centre, sd, data, np.nan)


@dataclass(frozen=True)
class SklearnRidgeCV:
    """scikit-learn's RidgeCV (leave-one-out) on standardised columns, 61 penalties from 1e-3 to 1e5; no intervals."""

    key: str = "sklearn RidgeCV"

    def answer(self, data: DataSet) -> Answer:
        """Fit."""
        from sklearn.linear_model import RidgeCV

        model, scale, centre = _fit_standardized(RidgeCV(alphas=np.logspace(-3, 5, 61)), data)
        coef = model.coef_ / scale
        return Answer(float(model.intercept_ - coef @ centre), coef, lam=float(model.alpha_))


def _fit_standardized(model: Any, data: DataSet) -> tuple[Any, Array, Array]:
    centre, scale = data.X.mean(axis=0), data.X.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's, on data it finds hard
        model.fit((data.X - centre) / scale, data.y)
    return model, scale, centre


def _wald(model: Any, scale: Array, centre: Array, sd: Array, data: DataSet, lam: float) -> Answer:
    coef = np.asarray(model.coef_) / scale
    mean, mean_sd = model.predict((data.X_new - centre) / scale, return_std=True)
    return Answer(
        float(model.intercept_ - coef @ centre),
        coef,
        _around(coef, Z95 * sd / scale),
        _around(mean, Z95 * mean_sd),
        lam,
    )


def _around(centre: Array, half: Array) -> Array:
    return np.column_stack([centre - half, centre + half])
