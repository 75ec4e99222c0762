"""Means and sums of squares of single columns: of wide tables, and beside level effects that are not laid out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.levels import LevelRows
from bayesridge.design.row_source import ArrayRows, RowSource
from bayesridge.design.wide_rows import WideRows
from bayesridge.parallel.threads import run_blocks

Array = NDArray[np.float64]

_PASS_WORK = 10.0  # multiplications that reading and centring a number is worth


def column_moments(source: RowSource, y: Array, weights: Array | None, *, center: bool) -> tuple[float, Array, Array]:
    """Means and centred sums of squares of ``[X, y]``, in blocks of rows (for wide tables)."""
    n, p = source.shape
    w = np.ones(n) if weights is None else weights
    total = float(np.add.reduce(w))
    mean, squares = np.zeros(p + 1), np.empty(p + 1)
    if isinstance(source, WideRows):
        mean[:p], squares[:p] = source.column_moments(w, total, center=center)
    else:
        mean[:p], squares[:p] = _moments_of_rows(source, list(source.blocks()), w, total, center=center)
    mean[p:], squares[p:] = _moments_of_rows(ArrayRows(y[:, None]), [slice(0, n)], w, total, center=center)
    return total, mean, squares


def level_moments(source: LevelRows, y: Array, weights: Array | None, *, center: bool) -> tuple[float, Array, Array]:
    """The same, level effects as codes."""
    first = source.X.shape[1]
    total, mean, squares = column_moments(ArrayRows(source.X), y, weights, center=center)
    w = np.ones(len(y)) if weights is None else weights
    of_levels = source.cross(w / total)[first:] if center else np.zeros(source.shape[1] - first)
    return (
        total, np.concatenate([mean[:first], of_levels, mean[first:]]),
        np.concatenate([squares[:first], source.squares(w, of_levels), squares[first:]]),
    )  # fmt: skip


def _moments_of_rows(
    source: RowSource, blocks: list[slice], w: Array, total: float, *, center: bool
) -> tuple[Array | float, Array]:
    def sums(part: slice) -> tuple[Array, Array]:
        with np.errstate(invalid="ignore", over="ignore"):  # once in each thread
            rest = source.take(part) - shift
            first = w[part] @ rest
            rest *= rest
            return first, w[part] @ rest

    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is explained by the caller
        shift = source.cross(w / total) if center else 0.0
        found = run_blocks(sums, blocks, _PASS_WORK * source.shape[0] * source.shape[1])
        squares = np.add.reduce([second for _, second in found])
        if not center:
            return shift, squares
        drift = np.add.reduce([first for first, _ in found]) / total  # rounding of the first mean: it matters if large
        return shift + drift, squares - total * drift * drift
