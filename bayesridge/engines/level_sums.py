"""The rows of a model with level effects added up, and one fit of them that all others start from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse import hstack as sparse_hstack

from bayesridge.design.design import Design
from bayesridge.engines.level_factors import Block, Sums
from bayesridge.engines.level_system import LevelSystem
from bayesridge.errors import ConstantTargetWarning, DataError, warn
from bayesridge.linalg.routes import rounding_floor

Array = NDArray[np.float64]

_DENSE = 1 << 18  # numbers in M12 up to which zeros are no matter


def laid_out(cross: Any) -> Any:
    """M12 with its zeros where it is small, sparse otherwise."""
    return cross.toarray() if cross.shape[0] * cross.shape[1] <= _DENSE else csr_array(cross)


def add_up(
    design: Design, own: NDArray[np.intp], blocks: tuple[Block, ...], shape: tuple[int, ...], frame: LevelSystem
) -> Sums:
    """Add up the rows, and fit them once at a theta where the evidence is high."""
    q, c = shape
    p = int(own.max()) + 1 + int(design.fit_intercept)
    nothing = Sums(np.empty((q, c, c)), np.empty((q * c, p - q * c)), np.empty((0, 0)), np.zeros(p), np.zeros(p), 0, 0)
    empty = replace(frame, design=design, sums=nothing, own=own, blocks=blocks, kept={})
    rows = empty.own_rows
    weights = np.ones(design.n_rows) if design.weights is None else design.weights
    weighted = csr_array(rows.multiply(weights[:, None]))
    size = q * c
    middle = p - empty.n_numbers  # numbers are dense, and last
    first, between, numbers = rows[:, :size], rows[:, size:middle], rows[:, middle:].toarray()
    within = csr_array(weighted[:, :size].T @ first).tocoo()
    P = np.zeros((q, c, c))
    P[within.row // c, within.row % c, within.col % c] = within.data
    with_numbers = weighted[:, :middle].T @ numbers
    cross: Any = sparse_hstack(
        [csr_array(weighted[:, :size].T @ between), csr_array(with_numbers[:size])], format="csr"
    )
    cross = laid_out(cross)
    M22 = np.empty((p - size, p - size))
    M22[: middle - size, : middle - size] = (weighted[:, size:middle].T @ between).toarray()
    M22[: middle - size, middle - size :] = with_numbers[size:]
    M22[middle - size :, : middle - size] = with_numbers[size:].T
    M22[middle - size :, middle - size :] = numbers.T @ (weights[:, None] * numbers)
    k = design.n_flat
    sign, log_det = np.linalg.slogdet(M22[-k:, -k:]) if k else (1.0, 0.0)
    if sign <= 0 or (k and np.linalg.cond(M22[-k:, -k:]) > 1e13):
        names = ", ".join(design.names[j] for j in design.unpenalized)
        raise DataError(
            f"the unpenalised columns are linearly dependent, their coefficients have no posterior: {names}"
        )
    y = design.y - (design.y_mean if design.fit_intercept else 0.0)
    total, floor = float(weights @ (y * y)), rounding_floor(design, float(np.abs(design.y).max()))
    if total <= floor:
        y = np.zeros_like(y)
        warn(
            f"{design.target_name} is constant to rounding: effects are 0, the noise is an upper bound",
            ConstantTargetWarning,
        )
    sums = Sums(P, cross, M22, np.zeros(p), weighted.T @ y, max(total, floor), float(log_det))
    for _ in range(2):  # the second fit begins where the first is good
        made = replace(empty, sums=sums)
        start = made.region()
        if made.heavy:
            start = start[len(start) // 2][None]
        log_norm, Q = made.evidence(start) if len(start) > 1 else (np.zeros(1), np.ones(1))
        best = int(np.argmax(log_norm - 0.5 * design.nu * np.log(Q)))
        b0 = next(made.factors(start[best : best + 1])).b[0]
        e0 = y - rows @ b0
        sums = replace(sums, b0=b0, c0=weighted.T @ e0, q0=max(float(weights @ (e0 * e0)), floor))
    return sums
