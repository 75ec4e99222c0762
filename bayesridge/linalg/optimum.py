"""The global minimum of a criterion over all lambda from zero to infinity, and every other local one.

A criterion is a sum, product or ratio of sigmoids in log lambda: analytic in a strip of width pi/2 and more around the
real axis. A scan sees every change of sign of its derivative; between two points of the scan the derivative is
interpolated at Chebyshev points (all evaluated in one call), where it converges like 12^-k, and the root of the
interpolant is the optimum to rounding. Should it not converge (a sharp corner), the bracket is cut until it does; what
a cut does not make smaller is rounding of the criterion itself, and the end of what can be known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from bayesridge.linalg.search_range import SearchRange

Array = NDArray[np.float64]
Place = Literal["interior", "zero", "infinity"]

_DEGREE = 15
_NODES = chebyshev.chebpts1(_DEGREE + 1)
_TO_COEFFICIENTS = np.linalg.inv(chebyshev.chebvander(_NODES, _DEGREE))
_CONVERGED = 1e-11  # error of the root in log lambda
_ROUNDING = 1e-6  # a share of the derivative that may be rounding, but no corner
_MOST_CUTS = 30
_FLAT = 1e-13


class Curve(NamedTuple):
    """A criterion at K values of log lambda.

    ``slope`` is its derivative in log lambda up to a positive factor (the one that keeps it smooth): roots and signs
    are those of the derivative.
    """

    value: Array
    slope: Array


Criterion = Callable[[Array], Curve]


@dataclass(frozen=True)
class Optimum:
    """A local optimum of a rule's criterion.

    Attributes
    ----------
    lam : float
        0 and infinity where the criterion is best at the end.
    place : {"interior", "zero", "infinity"}
    score : float
        The criterion there, in its own units.
    """

    lam: float
    place: Place
    score: float


@dataclass(frozen=True)
class Optima:
    """The global minimum of a criterion, every other local one, and what a reader has to know about them."""

    best: Optimum
    others: tuple[Optimum, ...]
    note: str = ""


_FLAT_ANSWER = Optima(Optimum(np.inf, "infinity", np.nan), (), "the criterion does not depend on lambda here")


def _is_flat(values: Array) -> bool:
    finite = values[np.isfinite(values)]
    return not len(finite) or bool(np.ptp(finite) <= _FLAT * np.abs(finite).max())


def minimize(criterion: Criterion, where: SearchRange, scan: Curve | None = None) -> Optima:
    """Minimise a criterion over lambda in [0, infinity].

    Parameters
    ----------
    criterion : callable
        log lambda (K,) -> :class:`Curve`. Infinite values are never chosen.
    where : SearchRange
    scan : Curve, optional
        The criterion at ``where.grid``, if it is known.

    Returns
    -------
    Optima
        Ends count as local optima when the criterion falls towards them; their score is the limit, minus infinity where
        the criterion has none.
    """
    curve = criterion(where.grid) if scan is None else scan
    if _is_flat(curve.value):
        return replace(_FLAT_ANSWER, best=Optimum(np.inf, "infinity", float(curve.value[-1])))
    signs = _signs(curve.slope)
    ends = criterion(np.array([where.zero, where.infinity]))
    size = float(np.abs(curve.value[np.isfinite(curve.value)]).max())
    found: list[Optimum] = []
    if signs[0] > 0:
        found.append(Optimum(0.0, "zero", _limit(ends, 0, size)))
    for t in crossings(lambda x: criterion(x).slope, where.grid, signs):
        value = float(criterion(np.array([t])).value[0])
        found.append(Optimum(float(np.exp(t)), "interior", value))
    if signs[-1] < 0:
        found.append(Optimum(np.inf, "infinity", _limit(ends, 1, size)))
    return choose_best([one for one in found if one.score < np.inf])


def crossings(slope: Callable[[Array], Array], grid: Array, signs: Array) -> list[float]:
    """Roots of a slope whose signs on a grid are known, where they turn from negative to positive."""
    turns = np.flatnonzero((signs[:-1] < 0) & (signs[1:] > 0))
    return [root(slope, grid[k], grid[k + 1]) for k in turns]


def _signs(slope: Array) -> Array:
    """Signs of the slope; a zero (underflow far out) takes the sign of its inner neighbour."""
    signs = np.sign(np.where(np.isfinite(slope), slope, 0.0))
    seen = np.flatnonzero(signs)
    if not len(seen):
        return signs
    nearest = seen[np.abs(np.arange(len(signs))[:, None] - seen).argmin(axis=1)] if len(seen) < len(signs) else seen
    return np.asarray(signs[nearest])


def _limit(ends: Curve, k: int, size: float) -> float:
    """Limit of the criterion at an end towards which it falls: minus infinity where it still falls so far out."""
    value, slope = float(ends.value[k]), float(ends.slope[k])
    return value if abs(slope) <= 1e-7 * max(size, abs(value)) else -np.inf


def choose_best(found: list[Optimum]) -> Optima:
    """Sort local optima: the lowest, the rest by increasing lambda, and a note where two are equally good."""
    if not found:
        return Optima(Optimum(np.inf, "infinity", np.nan), (), "the criterion has no minimum here")
    best = min(found, key=lambda one: one.score)
    others = tuple([one for one in found if one is not best])
    note = ""
    if best.score == -np.inf:
        note = f"the criterion falls without end as lambda -> {'0' if best.place == 'zero' else 'infinity'}"
    elif any(one.score - best.score <= 1e-10 * abs(best.score) for one in others):
        note = "no unique optimum: another local one is as good to rounding"
    return Optima(best, others, note)


def root(function: Callable[[Array], Array], low: float, high: float) -> float:
    """Find the root of a smooth function that changes sign between `low` and `high`.

    Parameters
    ----------
    function : callable
        Vectorised.
    """
    a, b = float(low), float(high)
    last = np.inf
    for _ in range(_MOST_CUTS):
        x = 0.5 * (a + b) + 0.5 * (b - a) * _NODES
        y = function(x)
        coefficients = _TO_COEFFICIENTS @ y
        size, tail = float(np.abs(coefficients).max()), float(np.abs(coefficients[-2:]).max())
        if tail * (b - a) <= _CONVERGED * size or (tail <= _ROUNDING * size and tail >= 0.1 * last):
            break
        last = tail
        signs = np.sign(y)
        k = np.flatnonzero(signs[:-1] * signs[1:] <= 0)
        # the outermost nodes are not the ends: without a change between nodes it lies beside the nearest to zero
        if len(k):
            a, b = float(x[k[0]]), float(x[k[0] + 1])
        elif abs(y[0]) < abs(y[-1]):
            b = float(x[0])
        else:
            a = float(x[-1])
        if b - a < 1e-14 * max(1.0, abs(a)):
            return 0.5 * (a + b)
    return 0.5 * (a + b) + 0.5 * (b - a) * _polynomial_root(coefficients)


def _polynomial_root(coefficients: Array) -> float:
    def value(x: float) -> float:
        return float(chebyshev.chebval(x, coefficients))

    # rounding may hide a sign change that lies on the very end of the bracket
    if value(-1.0) * value(1.0) > 0:
        return -1.0 if abs(value(-1.0)) < abs(value(1.0)) else 1.0
    return float(brentq(value, -1.0, 1.0, xtol=1e-15, rtol=1e-14))


def minimize_values(function: Callable[[Array], Array], where: SearchRange) -> Optima:
    """Minimise a criterion of which only values are known, to about 1e-8 in log lambda.

    Parameters
    ----------
    function : callable
        log lambda (K,) -> values (K,); nothing is assumed but continuity. Features narrower than the steps of
        ``where.grid`` may be missed.
    """
    grid = np.concatenate([[where.zero], where.grid, [where.infinity]])
    values = np.asarray(function(grid), dtype=np.float64)
    if _is_flat(values):
        return replace(_FLAT_ANSWER, best=Optimum(np.inf, "infinity", float(values[-1])))
    values = np.where(np.isnan(values), np.inf, values)
    found: list[Optimum] = []
    if _rises(values):
        found.append(Optimum(0.0, "zero", float(values[0])))
    for k in np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:])) + 1:
        if not _rises(values[k:]):
            continue  # a flat stretch that falls on, or never ends
        best = minimize_scalar(
            lambda t: float(np.asarray(function(np.array([t])))[0]),
            bounds=(grid[k - 1], grid[k + 1]), method="bounded", options={"xatol": 1e-9},
        )  # fmt: skip
        t, score = (best.x, best.fun) if best.fun <= values[k] else (grid[k], values[k])
        found.append(Optimum(float(np.exp(t)), "interior", float(score)))
    if _rises(values[::-1]):
        found.append(Optimum(np.inf, "infinity", float(values[-1])))
    return choose_best(found)


def _rises(values: Array) -> bool:
    """Say whether the first change of a sequence is upwards."""
    changes = np.flatnonzero(values[1:] != values[:-1])
    return bool(len(changes) and values[changes[0] + 1] > values[0])
