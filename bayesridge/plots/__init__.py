"""Plots of a fit and of what was checked about it (matplotlib).

Every function takes a ``Posterior`` (or the result it shows) and optional axes, and returns
the axes it drew on: one ``Axes``, or an array of them where there are several panels. Nothing is shown or saved. A
figure of their own has the width of ``rcParams["figure.figsize"]``, the height the content needs, and constrained
layout; axes that are passed in should live in a figure with constrained layout too, as legends stand below them.

Colours of text and frames come from rcParams, colours of data can be read on white and on near black alike.
:func:`style` sets the rest for either.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "bias_variance": "risk",
    "coefficient_paths": "paths",
    "coefficients": "forest",
    "contours": "ellipses",
    "lambda_posterior": "penalty",
    "levels": "terms",
    "loo_pit": "pit",
    "partial_effects": "partial",
    "posterior_predictive": "replicates",
    "predicted_observed": "held_out",
    "predictive_difference": "replicates",
    "residuals": "leftover",
    "ridge_trace": "trace",
    "rules": "rule_forest",
    "sbc_ranks": "pit",
    "scales": "joint",
    "shrinkage": "filters",
    "smooth": "terms",
    "spectral_check": "directions",
    "style": "look",
}

__all__ = [
    "bias_variance",
    "coefficient_paths",
    "coefficients",
    "contours",
    "lambda_posterior",
    "levels",
    "loo_pit",
    "partial_effects",
    "posterior_predictive",
    "predicted_observed",
    "predictive_difference",
    "residuals",
    "ridge_trace",
    "rules",
    "sbc_ranks",
    "scales",
    "shrinkage",
    "smooth",
    "spectral_check",
    "style",
]

if TYPE_CHECKING:
    from bayesridge.plots.directions import spectral_check
    from bayesridge.plots.ellipses import contours
    from bayesridge.plots.filters import shrinkage
    from bayesridge.plots.forest import coefficients
    from bayesridge.plots.held_out import predicted_observed
    from bayesridge.plots.joint import scales
    from bayesridge.plots.leftover import residuals
    from bayesridge.plots.look import style
    from bayesridge.plots.partial import partial_effects
    from bayesridge.plots.paths import coefficient_paths
    from bayesridge.plots.penalty import lambda_posterior
    from bayesridge.plots.pit import loo_pit, sbc_ranks
    from bayesridge.plots.replicates import posterior_predictive, predictive_difference
    from bayesridge.plots.risk import bias_variance
    from bayesridge.plots.rule_forest import rules
    from bayesridge.plots.terms import levels, smooth
    from bayesridge.plots.trace import ridge_trace


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
