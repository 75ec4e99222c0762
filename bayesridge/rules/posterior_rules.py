"""A number in the place of the posterior of lambda: its median, mode, or geometric mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesridge.hyper.marginal import Marginal
from bayesridge.linalg.optimum import Optimum, Place
from bayesridge.rules.rule import Choice, LambdaInterval, LambdaProblem, NotAvailableError


@dataclass(frozen=True)
class PosteriorMedian:
    """Posterior median of lambda (hence of log lambda).

    Attributes
    ----------
    level : float
        Of the equal-tailed interval.
    """

    level: float = 0.95
    key: str = "posterior_median"
    label: str = "posterior median"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        return _choice(self.key, problem, _learned(problem).median, self.level)


@dataclass(frozen=True)
class PosteriorMean:
    """Exponential of the posterior mean of log lambda (the mean of lambda itself is infinite under many priors).

    Attributes
    ----------
    level : float
        Of the equal-tailed interval.
    """

    level: float = 0.95
    key: str = "posterior_mean"
    label: str = "posterior mean of log lambda"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        _learned(problem)
        nodes = problem.posterior.hyper.nodes
        return _choice(self.key, problem, float(np.exp(nodes.weight @ nodes.log_lam)), self.level)


@dataclass(frozen=True)
class PosteriorMode:
    """Posterior mode of log lambda: the peak of its density.

    Attributes
    ----------
    level : float
        Of the equal-tailed interval.
    """

    level: float = 0.95
    key: str = "posterior_mode"
    label: str = "posterior mode of log lambda"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        return _choice(self.key, problem, _learned(problem).log_mode, self.level)


def _learned(problem: LambdaProblem) -> Marginal:
    marginal = problem.posterior.lambda_
    if not isinstance(marginal, Marginal):
        how = "fixed by the prior" if problem.posterior.method == "fixed" else "plugged in"
        raise NotAvailableError(f"lambda has no posterior: it is {how}")
    return marginal


def _choice(key: str, problem: LambdaProblem, lam: float, level: float) -> Choice:
    place: Place = "zero" if lam == 0 else "infinity" if np.isinf(lam) else "interior"
    _learned(problem)
    low, high = problem.lambda_eti(level)
    return Choice(key, Optimum(lam, place, np.nan), interval=LambdaInterval(low, high, level, "ETI of the posterior"))
