"""Bayesian ridge regression with the exact posterior, lambda included.

Names are imported when they are first used: ``import bayesridge`` costs no more than numpy and scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: What an analyst uses, and where it lives; the pieces it is made of are in the packages.
_HOMES = {
    "BayesKernelRidge": "estimator.kernel",
    "BayesRidge": "estimator.regressor",
    "BayesRidgeClassifier": "estimator.classifier",
    "Files": "design.accumulate",
    "Moments": "design.statistics",
    "Triangle": "design.statistics",
    "accumulate": "design.accumulate",
    "backtest": "rules.backtest",
    "compare": "posteriors.comparison",
    "compare_lambda": "rules.comparison",
    "load": "estimator.files",
    "posterior": "fit",
    "report": "reporting.build",
    "sample": "mcmc.sampling",
    "validate": "checks.card",
    "BetaR2": "priors",
    "Custom": "priors",
    "FixedLambda": "priors",
    "FixedScales": "priors",
    "FixedSigma": "priors",
    "FixedTau": "priors",
    "Gamma": "priors",
    "GammaPrecisions": "priors",
    "HalfCauchy": "priors",
    "HalfNormal": "priors",
    "HalfT": "priors",
    "InverseGamma": "priors",
    "Jeffreys": "priors",
    "LogNormal": "priors",
    "BayesRidgeError": "errors",
    "DataError": "errors",
    "DataTypeError": "errors",
    "ImproperPosteriorError": "errors",
    "PriorError": "errors",
    "MissingExtraError": "errors",
    "BayesRidgeWarning": "errors",
    "ConstantColumnWarning": "errors",
    "PerfectFitWarning": "errors",
    "ConstantTargetWarning": "errors",
    "NoSignalWarning": "errors",
    "DroppedRowsWarning": "errors",
    "AccuracyWarning": "errors",
    "DuplicateRowsWarning": "errors",
    "FormulaError": "errors",
    "ModelFileError": "errors",
    "RowsAbsentError": "errors",
    "ReadingWarning": "errors",
    "WeightsWarning": "errors",
}
_MODULES = ("datasets", "inverse", "models", "plots", "translate")

__all__ = [
    "AccuracyWarning",
    "BayesKernelRidge",
    "BayesRidge",
    "BayesRidgeClassifier",
    "BayesRidgeError",
    "BayesRidgeWarning",
    "BetaR2",
    "ConstantColumnWarning",
    "ConstantTargetWarning",
    "Custom",
    "DataError",
    "DataTypeError",
    "DroppedRowsWarning",
    "DuplicateRowsWarning",
    "Files",
    "FixedLambda",
    "FixedScales",
    "FixedSigma",
    "FixedTau",
    "FormulaError",
    "Gamma",
    "GammaPrecisions",
    "HalfCauchy",
    "HalfNormal",
    "HalfT",
    "ImproperPosteriorError",
    "InverseGamma",
    "Jeffreys",
    "LogNormal",
    "MissingExtraError",
    "ModelFileError",
    "Moments",
    "NoSignalWarning",
    "PerfectFitWarning",
    "PriorError",
    "ReadingWarning",
    "RowsAbsentError",
    "Triangle",
    "WeightsWarning",
    "__version__",
    "accumulate",
    "backtest",
    "compare",
    "compare_lambda",
    "datasets",
    "inverse",
    "load",
    "models",
    "plots",
    "posterior",
    "report",
    "sample",
    "translate",
    "validate",
]

if TYPE_CHECKING:
    from bayesridge import datasets, inverse, models, plots, translate
    from bayesridge.checks.card import validate
    from bayesridge.design.accumulate import Files, accumulate
    from bayesridge.design.statistics import Moments, Triangle
    from bayesridge.errors import (
        AccuracyWarning,
        BayesRidgeError,
        BayesRidgeWarning,
        ConstantColumnWarning,
        ConstantTargetWarning,
        DataError,
        DataTypeError,
        DroppedRowsWarning,
        DuplicateRowsWarning,
        FormulaError,
        ImproperPosteriorError,
        MissingExtraError,
        ModelFileError,
        NoSignalWarning,
        PerfectFitWarning,
        PriorError,
        ReadingWarning,
        RowsAbsentError,
        WeightsWarning,
    )
    from bayesridge.estimator.classifier import BayesRidgeClassifier
    from bayesridge.estimator.files import load
    from bayesridge.estimator.kernel import BayesKernelRidge
    from bayesridge.estimator.regressor import BayesRidge
    from bayesridge.fit import posterior
    from bayesridge.mcmc.sampling import sample
    from bayesridge.posteriors.comparison import compare
    from bayesridge.priors import (
        BetaR2,
        Custom,
        FixedLambda,
        FixedScales,
        FixedSigma,
        FixedTau,
        Gamma,
        GammaPrecisions,
        HalfCauchy,
        HalfNormal,
        HalfT,
        InverseGamma,
        Jeffreys,
        LogNormal,
    )
    from bayesridge.reporting.build import report
    from bayesridge.rules.backtest import backtest
    from bayesridge.rules.comparison import compare_lambda


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
