"""What a plot is given: of the right kind, which of its columns to show, on what scale, under what name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataTypeError
from bayesridge.plots.layout import shorten
from bayesridge.posteriors.posterior import Posterior

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

UNIT = "per sd of the column"

#: What a plot takes, a part that nothing else has, and where it comes from.
_KINDS = {
    "Posterior": ("coefficients", "bayesridge.posterior(X, y), or the attribute posterior_ of a fitted BayesRidge"),
    "fitted BayesRidge": ("partial_effects", "BayesRidge(...).fit(...), which knows the formula"),
    "LambdaComparison": ("choices", "bayesridge.compare_lambda(X, y)"),
    "SpectralCheck": ("standardized", "bayesridge.checks.spectral_check.spectral_check(post)"),
    "CalibrationResult": ("pits", "bayesridge.checks.sbc.sbc(...) or posterior_sbc(post)"),
}


def expect(value: Any, kind: str) -> None:
    """Refuse what has not the parts of its kind, and say where the right one comes from.

    Raises
    ------
    DataTypeError
    """
    part, where = _KINDS[kind]
    if not hasattr(value, part):
        raise DataTypeError(f"this plot takes a {kind} ({where}), got {type(value).__name__}")


@dataclass(frozen=True, eq=False)
class Shown:
    """The columns a plot shows.

    Attributes
    ----------
    columns : ndarray of int
        Indices, in the order of the table.
    note : str
        What was left out ("" if nothing).
    """

    columns: Indices
    note: str


def choose_columns(post: Posterior, most: int) -> Shown:
    """Take all columns with spread, or the `most` with the largest |posterior mean / sd|."""
    design = post.design
    usable = np.setdiff1d(np.arange(len(design.names)), design.constant)
    left_out = f"{len(design.constant)} without spread not shown" if len(design.constant) else ""
    if len(usable) <= most:
        return Shown(usable, left_out)
    mean, sd = post.coefficients.mean[usable], post.coefficients.sd[usable]
    # with nu <= 2 all sds are infinite: the means decide
    score = np.abs(mean / sd) if np.isfinite(sd).all() else np.abs(mean * column_sd(design)[usable])
    best = np.sort(usable[np.argsort(-score, kind="stable")[:most]])
    by = "|posterior mean / sd|" if np.isfinite(sd).all() else "|posterior mean| per sd"
    return Shown(best, f"{most} of {len(design.names)} columns: largest {by}")


def column_sd(design: Design) -> Array:
    """Weighted standard deviations of the columns about their means (denominator: the sum of the weights)."""
    weights = np.ones(design.n_rows) if design.weights is None else design.weights
    weights = weights / weights.sum()
    centred = design.X - weights @ design.X
    return np.sqrt(weights @ np.square(centred))


def target_unit(design: Design) -> str:
    """Name the scale that coefficients are shown on."""
    return f"{target(design)} {UNIT}"


def target(design: Design) -> str:
    """Name the target, its middle cut out where it is very long."""
    return shorten(design.target_name, 30)
