"""Fits that plots are drawn of: real tables and the awkward cases."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np

from bayesridge import posterior
from bayesridge.datasets import load_xy
from bayesridge.errors import BayesRidgeWarning
from bayesridge.posteriors.posterior import Posterior
from bayesridge.priors import FixedLambda, HalfNormal, HalfT
from bayesridge.rules.comparison import LambdaComparison, compare_lambda


def _diabetes() -> Posterior:
    return posterior(*load_xy("diabetes"))


def _longley() -> Posterior:
    return posterior(*load_xy("longley"))


def _unpenalized() -> Posterior:
    return posterior(*load_xy("diabetes"), unpenalized=["sex", "bmi"])


def _fixed() -> Posterior:
    return posterior(*load_xy("sensor"), prior=FixedLambda(3.0))


def _plug_in() -> Posterior:
    return posterior(*load_xy("sensor"), method="evidence")


def _on_tau() -> Posterior:
    return posterior(*load_xy("sensor"), prior=HalfNormal(2.0, on="tau"), noise_prior=HalfT(3, 2.0, on="sigma"))


def _wide() -> Posterior:
    rng = np.random.default_rng(4)
    X = rng.standard_normal((40, 300))
    y = X[:, :6] @ np.array([2.0, -2.0, 1.5, 1.0, -1.0, 1.0]) + 0.5 * rng.standard_normal(40)
    import pandas as pd

    names = [f"gene_{j}_expression_level_(log2 fold change, ${j})" for j in range(300)]
    return posterior(
        pd.DataFrame(X, columns=names), pd.Series(y, name="response_after_twelve_weeks_of_treatment_in_group_b")
    )


def _one_column() -> Posterior:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((12, 1))
    return posterior(x, 2.0 * x[:, 0] + rng.standard_normal(12))


def _precision_weights() -> Posterior:
    rng = np.random.default_rng(6)
    X = rng.standard_normal((25, 4))
    w = rng.gamma(2.0, 1.0, 25)
    w[[3, 8]] = 0.0
    y = X @ np.array([1.0, 0.5, 0.0, -1.0]) + rng.standard_normal(25)
    return posterior(X, y, weights=w, weight_kind="precision", unpenalized=[1])


def _frequency_weights() -> Posterior:
    rng = np.random.default_rng(7)
    X = rng.standard_normal((25, 4))
    w = rng.integers(0, 4, 25).astype(float)
    return posterior(X, X @ np.array([1.0, 0.5, 0.0, -1.0]) + rng.standard_normal(25), weights=w)


def _no_intercept() -> Posterior:
    rng = np.random.default_rng(8)
    X = rng.standard_normal((20, 3)) + 1.0
    return posterior(X, X @ np.array([1.0, -0.5, 0.2]) + rng.standard_normal(20), fit_intercept=False)


def _no_signal() -> Posterior:
    rng = np.random.default_rng(9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        return posterior(rng.standard_normal((40, 5)), rng.standard_normal(40))


def _constant_column() -> Posterior:
    rng = np.random.default_rng(10)
    X = rng.standard_normal((30, 4))
    X[:, 2] = 3.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        return posterior(X, X[:, 0] + rng.standard_normal(30))


def _two_modes() -> Posterior:
    # seven large directions that hold little and two small ones that hold much: a small lambda, or none of them signal
    rng = np.random.default_rng(1)
    Q = np.linalg.qr(np.column_stack([np.ones(40), rng.standard_normal((40, 38))]))[0][:, 1:]
    y = Q @ np.repeat([3.33, 17.97, 1.0], [7, 2, 29])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        return posterior(Q[:, :9] * np.repeat([128.9, 1.0], [7, 2]), y, scale=False)


FITS: dict[str, Any] = {
    "diabetes": _diabetes,
    "longley": _longley,
    "unpenalised columns": _unpenalized,
    "lambda fixed": _fixed,
    "lambda plugged in": _plug_in,
    "prior on tau": _on_tau,
    "300 columns, long names": _wide,
    "one column": _one_column,
    "precision weights": _precision_weights,
    "frequency weights": _frequency_weights,
    "no intercept": _no_intercept,
    "no signal": _no_signal,
    "constant column": _constant_column,
    "two modes": _two_modes,
}


@cache
def fitted(name: str) -> Posterior:
    return FITS[name]()


@cache
def compared(name: str) -> LambdaComparison:
    return compare_lambda(fitted(name), progress=False)
