"""What a design refuses, and how columns are named, scaled and sorted out: the questions of ``build_design``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.row_source import RowSource
from bayesridge.design.tally import Tally
from bayesridge.errors import AccuracyWarning, ConstantColumnWarning, DataError, warn
from bayesridge.tables.columns import Columns
from bayesridge.tables.missing import complete_rows

Array = NDArray[np.float64]
WeightKind = Literal["frequency", "precision"]
Scaling = Literal["unit sd", "given", "none"]

_EPS = float(np.finfo(np.float64).eps)


def named_columns(
    wanted: Sequence[str | int], names: tuple[str, ...], terms: Mapping[str, Sequence[str]], what: str
) -> NDArray[np.intp]:
    """Indices of columns by names, of terms or columns, or by numbers; sorted, each once."""
    if isinstance(wanted, str):
        raise DataError(f"{what} takes a list of column names, e.g. [{wanted!r}]; got the string {wanted!r}")
    if len(wanted) == 0:
        return np.empty(0, dtype=np.intp)
    position = {name: j for j, name in enumerate(names)}
    found: list[int] = []
    for key in wanted:
        if isinstance(key, str):
            expanded = [key] if key in position else list(terms.get(key, ()))
            if not expanded:
                raise DataError(f"{what} names {key!r}, but the columns are {', '.join(names)}")
            found += [position[name] for name in expanded]
        elif 0 <= int(key) < len(names):
            found.append(int(key))
        else:
            raise DataError(f"{what} column {key} is out of range for {len(names)} columns")
    return np.array(sorted(set(found)), dtype=np.intp)


def count_observations(n: int, weights: Array | None, kind: WeightKind, tally: Tally | None) -> float:
    """Rows of positive weight, or the sum of frequency weights."""
    if weights is None:
        return float(n)
    if kind == "precision":
        return float(np.count_nonzero(weights) if tally is None else tally.n_seen)
    total = float(np.add.reduce(weights)) if tally is None else tally.weight
    if total < 2.0:
        raise DataError(
            f"frequency weights count observations, and these add up to {total:.3g}, fewer than 2; "
            "if they are relative precisions (noise variance sigma^2 / w) use weight_kind='precision', "
            "if a row stands for w units of a population, 'survey'"
        )
    return total


def check_size(n_obs: float, n_flat: int) -> None:
    """Refuse fewer than two observations, and too few for the flat directions."""
    if n_obs < 2:
        raise DataError(
            f"a regression needs at least 2 observations, got {n_obs:g} "
            f"(Found array with {n_obs:g} sample(s) while a minimum of 2 is required)"
        )
    if n_obs - n_flat < 1:
        raise DataError(
            f"{n_obs:g} observations cannot fix {n_flat} flat directions (intercept and unpenalised columns) and "
            f"leave a degree of freedom for the noise; need at least {n_flat + 1}"
        )


def explain_not_finite(X: Array, y: Array, weights: Array | None, names: tuple[str, ...], target_name: str) -> NoReturn:
    """Name the columns and rows that are missing or infinite, or the size of what overflows."""
    columns = Columns(X, names, named=True, terms={name: (name,) for name in names})
    complete_rows(columns, y, weights, missing="error", target_name=target_name)
    big = float(max(np.abs(X).max(), np.abs(y).max()))
    raise DataError(
        f"values as large as {big:.3g} overflow when squared; divide the columns by a power of ten "
        "(results do not depend on units)"
    )


_LARGEST_UNIT, _LARGEST_RATIO = 1e130, 1e120


def check_units(
    source: RowSource, y: Array, weights: Array | None, deviation: Array, constant: NDArray[np.bool_],
    names: tuple[str, ...], tally: Tally | None,
) -> None:  # fmt: skip
    """Refuse spreads whose squares, times a penalty of 1e+-36 or over a spread's own square, are no float64."""
    of_y = float(deviation[-1])
    low, high = (of_y / _LARGEST_RATIO, of_y * _LARGEST_RATIO) if of_y > 0 else (0.0, np.inf)
    low, high = max(low, 1.0 / _LARGEST_UNIT), min(high, _LARGEST_UNIT)
    for j in (~((deviation > low) & (deviation < high))).nonzero()[0].tolist():
        if tally is not None:
            values, y = np.array([tally.low[j], tally.high[j]]), np.array([tally.low[-1], tally.high[-1]])
        else:
            values = y
            if j < len(names) - 1:
                values = np.concatenate([source.take(part)[:, j] for part in source.blocks()])
            values = values if weights is None else values[weights > 0]
        # a square that vanishes is told from a constant by the values
        if np.ptp(values) == 0 or (deviation[j] > 0 and constant[j : j + 1].any()):  # the target has no mask
            continue
        raise DataError(
            f"{names[j]} varies by {np.ptp(values):.1e} and {names[-1]} by {np.ptp(y):.1e}: squares of these numbers, "
            "or of their ratio (a coefficient), leave the range of float64; multiply the column by a power of ten "
            "(results do not depend on units)"
        )


def check_grades(norms: Array, names: Sequence[str], shape: tuple[int, ...]) -> None:
    """Say, or refuse, what the rounding of the largest column takes from the smallest.

    Singular values and vectors are right to the rounding of the largest; with fewer rows than columns what the rows
    never saw of a coefficient, ``1 - |V'l|^2``, loses that twice.
    """
    small, large = int(norms.argmin()), int(norms.argmax())
    ratio = float(norms[large] / norms[small])
    lost = _EPS * (ratio if shape[0] > shape[1] else ratio**2)
    if lost <= _MOST_LOST:
        return
    said = (
        f"without scaling, the column {names[large]} is {ratio:.1e} times as large as {names[small]}, and its rounding "
    )
    remedy = "use scale=True, or divide the columns by their usual sizes"
    if max(lost, ratio * max(shape) * _EPS) >= 0.1:
        raise DataError(f"{said}would leave no digit of the answer; {remedy}")
    warn(f"{said}takes digits from the answer: right to {lost:.0e} only; {remedy}", AccuracyWarning)


_MOST_LOST = 1e-8  # the accuracy asked of integrals


def scaling_of(scale: bool | Array) -> Scaling:
    """Where the scales of penalised columns come from."""
    if isinstance(scale, (bool, np.bool_)):
        return "unit sd" if scale else "none"
    return "given"


def divisors(
    scale: bool | Array,
    deviation: Array,
    constant: NDArray[np.bool_],
    flat: NDArray[np.intp],
    names: tuple[str, ...],
) -> Array:
    """What each column is divided by."""
    if isinstance(scale, (bool, np.bool_)):
        divisor = np.where(constant, 1.0, deviation) if scale else np.ones(len(deviation))
    else:
        divisor = np.array(scale, dtype=np.float64)
        if divisor.shape != deviation.shape or not (np.isfinite(divisor) & (divisor > 0)).all():
            raise DataError(
                f"scale must be True, False or {len(names)} positive divisors, got shape {divisor.shape}"
                f" with minimum {divisor.min() if divisor.size else 'none'}"
            )
    if len(flat):  # a flat prior does not care, the arithmetic does
        divisor[flat] = np.where(constant[flat], 1.0, deviation[flat])
    return divisor


def split_columns(
    p: int,
    flat: NDArray[np.intp],
    constant_mask: NDArray[np.bool_],
    names: tuple[str, ...],
    fit_intercept: bool,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of penalised columns, and of those without spread, which are left out with a warning."""
    if len(flat) == 0 and not constant_mask.any():
        return np.arange(p), np.empty(0, dtype=np.intp)
    bad = [names[j] for j in flat if constant_mask[j]]
    if bad:
        why = "they duplicate the intercept" if fit_intercept else "they are zero"
        raise DataError(f"unpenalised columns without spread have no posterior ({why}): {', '.join(bad)}")
    usable = ~constant_mask
    usable[flat] = False
    constant = np.flatnonzero(constant_mask)
    if len(constant):
        warn(
            "columns without spread carry no information and are left out, their coefficients are 0: "
            + ", ".join(names[k] for k in constant),
            ConstantColumnWarning,
        )
    return np.flatnonzero(usable), constant
