"""Bayesian ridge regression with the exact posterior, lambda included.

Names are imported when they are first used: ``import bayesridge`` costs no more than numpy and scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "BayesRidge": "estimator",
    "fit": "fitting",
    "Posterior": "posterior",
    "build_design": "design",
    "factorize": "spectrum",
    "compare_lambda": "choosing.comparison",
    "backtest": "validation.backtest",
    "sbc": "validation.sbc",
    "posterior_sbc": "validation.sbc",
    "coverage_study": "validation.coverage",
    "spectral_check": "validation.spectral_check",
    "power_scaling": "validation.sensitivity",
    "loo_calibration": "validation.loo_calibration",
    "predictive_checks": "validation.predictive_checks",
    "row_influence": "validation.influence",
    "validate": "validation.report_card",
    "validate_posterior": "validation.report_card",
    "write_report": "report.build",
    "map_estimate": "maximum_a_posteriori",
    "maximize_evidence": "evidence",
    "log_evidence": "evidence",
    "ridge_path": "ridge",
    "filter_factors": "ridge",
    "effective_dof": "ridge",
    "leverage": "ridge",
    "BetaR2": "priors",
    "HalfCauchy": "priors",
    "HalfT": "priors",
    "HalfNormal": "priors",
    "LogNormal": "priors",
    "Gamma": "priors",
    "GammaPrecisions": "priors",
    "Custom": "priors",
    "FixedLambda": "priors",
    "FixedTau": "priors",
    "FixedSigma": "priors",
    "FixedScales": "priors",
    "Jeffreys": "priors",
    "InverseGamma": "priors",
}

__all__ = [
    "BayesRidge",
    "BetaR2",
    "Custom",
    "FixedLambda",
    "FixedScales",
    "FixedSigma",
    "FixedTau",
    "Gamma",
    "GammaPrecisions",
    "HalfCauchy",
    "HalfNormal",
    "HalfT",
    "InverseGamma",
    "Jeffreys",
    "LogNormal",
    "Posterior",
    "__version__",
    "backtest",
    "build_design",
    "compare_lambda",
    "coverage_study",
    "effective_dof",
    "factorize",
    "filter_factors",
    "fit",
    "leverage",
    "log_evidence",
    "loo_calibration",
    "map_estimate",
    "maximize_evidence",
    "posterior_sbc",
    "power_scaling",
    "predictive_checks",
    "ridge_path",
    "row_influence",
    "sbc",
    "spectral_check",
    "validate",
    "validate_posterior",
    "write_report",
]

if TYPE_CHECKING:
    from bayesridge.choosing.comparison import compare_lambda
    from bayesridge.design import build_design
    from bayesridge.estimator import BayesRidge
    from bayesridge.evidence import log_evidence, maximize_evidence
    from bayesridge.fitting import fit
    from bayesridge.maximum_a_posteriori import map_estimate
    from bayesridge.posterior import Posterior
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
    from bayesridge.report.build import write_report
    from bayesridge.ridge import effective_dof, filter_factors, leverage, ridge_path
    from bayesridge.spectrum import factorize
    from bayesridge.validation.backtest import backtest
    from bayesridge.validation.coverage import coverage_study
    from bayesridge.validation.influence import row_influence
    from bayesridge.validation.loo_calibration import loo_calibration
    from bayesridge.validation.predictive_checks import predictive_checks
    from bayesridge.validation.report_card import validate, validate_posterior
    from bayesridge.validation.sbc import posterior_sbc, sbc
    from bayesridge.validation.sensitivity import power_scaling
    from bayesridge.validation.spectral_check import spectral_check


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
