r"""Separation: a direction along which the likelihood never falls, found by a linear programme (scipy's HiGHS).

A row recedes along v where its density does not fall: ``d'v <= 0`` for a count of zero or failures only, ``>= 0``
for successes only; every other row asks for ``d'v = 0`` (Albert & Anderson 1984; Konis 2007). Maximising the total
recession, bounded, finds a direction if there is one. In flat directions alone the posterior is improper under every
prior of tau; in penalised ones it is proper if the prior's tail is light enough, and judged by medians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from bayesridge.errors import ImproperPosteriorError
from bayesridge.outcomes.problem import Outcome

Array = NDArray[np.float64]

_REAL = 1e-6  # recession of standardised rows below this is rounding
_LARGEST = 4_000_000  # numbers in the rows that the programme is asked about


@dataclass(frozen=True, eq=False)
class Separation:
    """A direction of recession.

    Attributes
    ----------
    coef : ndarray of shape (p,)
        Of the scaled columns.
    rows : ndarray of int
        Rows whose density grows for ever along it.
    """

    coef: Array
    rows: NDArray[np.intp]


def refuse_flat_separation(problem: Outcome) -> None:
    """Refuse outcomes that the flat directions alone separate.

    Raises
    ------
    ImproperPosteriorError
        Naming the columns and rows.
    """
    design, q = problem.design, problem.n_flat
    found = None if q == 0 else _recession(problem, problem.rows[:, :q])
    if found is None:
        return
    direction, rows = found
    names = [*(["the intercept"] if design.fit_intercept else []), *[design.names[j] for j in design.unpenalized]]
    used = [name for name, value in zip(names, direction, strict=True) if abs(value) > _REAL]
    shown = ", ".join(map(str, design.input_rows[rows[:5]])) + (", ..." if len(rows) > 5 else "")
    raise ImproperPosteriorError(
        f"{design.target_name} is separated by {', '.join(used)} alone, on which the prior is flat: the likelihood "
        f"grows for ever as the fit of rows {shown} goes to its limit ({len(rows)} rows), and no prior of tau makes "
        "the posterior proper; penalise these columns, or leave them out"
    )


def separation(problem: Outcome) -> Separation | None:
    """Find a separating direction of all columns; None where there is none (or the table is too large to ask)."""
    if problem.rows.size > _LARGEST:
        return None
    found = _recession(problem, problem.rows)
    if found is None:
        return None
    direction, rows = found
    coef = np.zeros(problem.design.n_columns)
    coef[problem.design.penalized] = problem.directions.V @ direction[problem.n_flat :]
    return Separation(coef, rows)


def _recession(problem: Outcome, D: Array) -> tuple[Array, NDArray[np.intp]] | None:
    sign = problem.family.endless(problem.design.y, problem.trials)
    seen = problem.count > 0
    free, held = seen & (sign != 0), seen & (sign == 0)
    if not free.any():
        return None
    # held rows ask for a null space: few coordinates are left, often none
    basis = np.eye(D.shape[1])
    if held.any():
        triangle = np.linalg.qr(D[held], mode="r")
        _, s, Vt = np.linalg.svd(triangle, full_matrices=True)
        rank = int(np.count_nonzero(s > max(D[held].shape) * np.finfo(np.float64).eps * s[0]))
        basis = Vt[rank:].T
    if basis.shape[1] == 0:
        return None
    G = sign[free, None] * (D[free] @ basis)
    found = linprog(-G.sum(axis=0), A_ub=-G, b_ub=np.zeros(len(G)), bounds=(-1.0, 1.0), method="highs")
    if found.x is None or not G.sum(axis=0) @ found.x > _REAL * len(G):
        return None
    gain = G @ found.x
    return basis @ found.x, np.flatnonzero(free)[gain > _REAL * gain.max()]
