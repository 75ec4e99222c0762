"""Weights of rows: read, and what they count."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from bayesridge.errors import DataError, WeightsWarning, warn
from bayesridge.tables.columns import Float
from bayesridge.tables.frames import FLOAT64, read_vector

Weighting = Literal["frequency", "precision", "survey"]

_POPULATION = 1_000.0  # frequency weights above this on average are hardly repeated rows


def read_weights(weights: Any, n_rows: int, *, allow_missing: bool = False, allow_zero: bool = False) -> Float | None:
    """Read the weights of rows.

    Parameters
    ----------
    weights : array-like of shape (n_rows,), float or None
        A single number gives every row the same weight; None means no weights.
    n_rows : int
        How many rows the predictors have.
    allow_missing : bool, default False
        Let NaN through, for `complete_rows` to report or to drop.
    allow_zero : bool, default False
        Let rows through of which none has any weight.

    Returns
    -------
    ndarray of shape (n_rows,) or None
        float64, finite (but for NaN, if allowed), none negative and not all zero.

    Raises
    ------
    DataError
        If the shape is wrong, or a weight is negative, missing or infinite, or all are zero.
    """
    if weights is None:
        return None
    if type(weights) is np.ndarray and weights.dtype == FLOAT64 and weights.shape == (n_rows,):
        values = weights
    elif isinstance(weights, Real | Decimal | np.bool):
        values = np.full(n_rows, float(weights))
    else:
        values, _, shape = read_vector(weights, "the weights")
        if shape != (n_rows,):
            raise DataError(f"Sample weights must be 1D, one a row: {(n_rows,)} expected, {shape} received.")
    if (values < 0).any():
        rows = np.flatnonzero(values < 0)
        raise DataError(
            f"Weights must not be negative, and {len(rows)} are: the first is {values[rows[0]]:g} in row {rows[0]}."
        )
    for what, wrong in (
        ("infinite", np.isinf(values)),
        ("missing (NaN)", np.isnan(values) & (not allow_missing)),
    ):
        if wrong.any():
            raise DataError(f"Weights must be finite, and {wrong.sum()} are {what}: the first in row {wrong.argmax()}.")
    if not (allow_zero or (values != 0).any()):
        raise DataError("All sample weights are zero: at least one row must count.")
    return values


def as_counts(weights: Float | None, kind: Weighting) -> Float | None:
    """Return weights that count observations, if they are to.

    Parameters
    ----------
    weights : ndarray of shape (n,) or None
        As from :func:`read_weights`, without missing values.
    kind : {"frequency", "precision", "survey"}
        Frequency weights and precisions are returned as they are. Survey weights (a row stands for w units of a
        population) are rescaled to add up to Kish's effective sample size, ``(sum w)^2 / sum w^2``: n for equal
        weights, less for unequal ones (L. Kish, Survey Sampling, 1965, section 11.7). Strata, clusters and
        calibration, the other effects of a survey's design, are ignored.

    Returns
    -------
    ndarray of shape (n,) or None

    Raises
    ------
    DataError
        If the kind is another one.

    Warns
    -----
    WeightsWarning
        If frequency weights are not whole numbers, or average above 1,000: n is their sum, and much too large if they
        are not counts of rows.
    """
    if weights is None or kind == "precision":
        _check_kind(kind)
        return weights
    if kind == "survey":
        relative = weights / weights.max()  # their squares do not overflow
        rescaled: Float = relative * (relative.sum() / (relative @ relative))
        return rescaled
    whole = bool((weights == np.rint(weights)).all())
    warn_of_counts(kind, whole, float(weights.sum()), len(weights), int(np.count_nonzero(weights)))
    return weights


def _check_kind(kind: str) -> None:
    if kind not in get_args(Weighting):
        raise DataError(f"weight_kind must be {', '.join(map(repr, get_args(Weighting)))}; got {kind!r}")


def warn_of_counts(kind: Weighting, whole: bool, total: float, n_rows: int, rows: int) -> None:
    """Warn where frequency weights do not look like counts: their sum over all rows, and rows of positive weight."""
    _check_kind(kind)
    if kind == "frequency" and (not whole or total / max(n_rows, 1) > _POPULATION):
        warn(
            f"the frequency weights {'are large' if whole else 'are not whole numbers'}, and n became their sum: "
            f"{total:.6g} observations in {rows} rows, standard deviations {(total / rows) ** -0.5:.3g} times those of "
            "the unweighted rows. If a weight tells how precise a row is (noise variance sigma^2 / w) use "
            "weight_kind='precision'; if a row stands for w units of a population, weight_kind='survey'",
            WeightsWarning,
        )
