"""A plot that is handed something else says what it takes."""

from __future__ import annotations

from typing import Any

from bayesridge.errors import DataTypeError

_HOW = {
    "Posterior": "bayesridge.posterior(X, y), or the attribute posterior_ of a fitted BayesRidge",
    "LambdaComparison": "bayesridge.compare_lambda(X, y)",
    "SpectralCheck": "bayesridge.checks.spectral_check.spectral_check(post)",
    "CalibrationResult": "bayesridge.sbc(...) or bayesridge.checks.sbc.posterior_sbc(post)",
}


def expect(value: Any, kind: type) -> None:
    """Refuse a value of another kind, and say where the right one comes from.

    Raises
    ------
    DataTypeError
    """
    if not isinstance(value, kind):
        raise DataTypeError(f"this plot takes a {kind.__name__} ({_HOW[kind.__name__]}), got {type(value).__name__}")
