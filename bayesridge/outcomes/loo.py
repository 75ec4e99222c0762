r"""Leave-one-out of an outcome: the posterior's own draws, reweighted; rows that this cannot reach are fitted without.

    p(y_i | y_-i) = 1 / E[ 1 / p(y_i | theta) ],   the expectation over the posterior.

The weights 1 / p(y_i | theta) of a row that the others contradict have no variance; their Pareto k says so, and such a
row is left out by an actual fit to the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.outcomes.certificate import LARGEST_K, pareto_k
from bayesridge.outcomes.problem import Outcome
from bayesridge.outcomes.rows import CountMixture, PlaneDraws
from bayesridge.posteriors.loo import MOST_REFITS, LeaveOneOut, why_no_loo

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 22
_TOO_FAR = 0.7  # of many doubtful rows, those with a k above this are fitted without (Vehtari et al. 2024)
_MANY = 20
_MOST_WORK = 300_000.0  # refits x rows x coordinates: minutes
_THINNED = 256  # draws of each replicate that make distribution functions


def leave_one_out(problem: Outcome, draws: PlaneDraws, without: Callable[[int], PlaneDraws]) -> LeaveOneOut:
    """Compute leave-one-out densities.

    Parameters
    ----------
    problem : Outcome
    draws : PlaneDraws
        Of the posterior.
    without : callable
        Draws of the posterior without a row.

    Raises
    ------
    DataError
        If more than 200 rows would have to be fitted without, a row alone keeps the posterior proper, or frequency
        weights are not whole numbers.
    """
    reason = why_no_loo(problem.design)
    if reason:
        raise DataError(reason)
    n, seen = problem.design.n_rows, problem.count > 0
    log_w = _log_weights(draws)
    replicates = len(draws.weight)
    each = np.full((replicates, n), np.nan)
    pointwise, inside, k = np.full(n, np.nan), np.full(n, np.nan), np.full(n, -np.inf)
    size = max(1, _BLOCK_VALUES // len(log_w))
    for part in [slice(start, start + size) for start in range(0, n, size)]:
        log_p = _log_density(problem, draws, part)
        inside[part] = np.logaddexp.reduce(log_p + log_w[:, None], axis=0)
        tilted = log_w[:, None] - log_p
        pointwise[part] = -np.logaddexp.reduce(tilted, axis=0)
        each[:, part] = _by_replicate(tilted, log_w, replicates)
        k[part] = [pareto_k(column) for column in tilted.T]
    doubtful = seen & (k >= LARGEST_K)
    if np.count_nonzero(doubtful) > _MANY:
        doubtful = seen & (k >= _TOO_FAR)
    if np.count_nonzero(doubtful) > MOST_REFITS:
        raise DataError(
            f"leave-one-out would need an actual fit without each of {np.count_nonzero(doubtful)} rows (more than "
            f"{MOST_REFITS}): most rows are influential under this prior"
        )
    if np.count_nonzero(doubtful) * problem.rows.size > _MOST_WORK:
        raise DataError(
            f"leave-one-out would need an actual fit without each of {np.count_nonzero(doubtful)} influential rows, "
            "which takes too long for a table of this size: hold rows out by yourself, or compare by cross-validation"
        )
    refits = {int(i): without(int(i)) for i in np.flatnonzero(doubtful)}
    for i, other in refits.items():
        row = slice(i, i + 1)
        mine = _log_density(problem, other, row) + _log_weights(other)[:, None]
        pointwise[i] = np.logaddexp.reduce(mine[:, 0])
        each[:, i] = -_by_replicate(mine, _log_weights(other), replicates)[:, 0]
    pointwise[~seen] = inside[~seen] = np.nan
    few = draws.at_most(_THINNED)

    def parts(part: slice) -> CountMixture:
        eta = _eta(problem, few, part)
        tilted = _log_weights(few)[:, None] - _log_density(problem, few, part)
        tilted = tilted - np.logaddexp.reduce(tilted, axis=0)
        extra = None if few.extra is None else np.tile(few.extra.reshape(*few.extra.shape[:-2], -1, 1), eta.shape[1])
        for at, i in enumerate(range(*part.indices(n))):
            if i in refits:
                other = refits[i].at_most(_THINNED)
                eta[:, at] = _eta(problem, other, slice(i, i + 1))[:, 0]
                tilted[:, at] = _log_weights(other)
                if extra is not None and other.extra is not None:
                    extra[..., at] = other.extra.reshape(*other.extra.shape[:-2], -1)
        trials = None if problem.trials is None else problem.trials[part]
        return CountMixture(problem.family.given(extra), eta + problem.offset[part], np.exp(tilted), trials)

    totals = (each[:, seen] * problem.count[seen]).sum(axis=1)
    mcse = float(totals.std(ddof=1) / np.sqrt(replicates)) if replicates > 1 else 0.0
    how = "by reweighting draws"
    return LeaveOneOut(pointwise, inside, parts, problem.design.y, problem.count, doubtful, how, mcse)


def _by_replicate(log_terms: Array, log_w: Array, replicates: int) -> Array:
    """``-log E[terms]`` by each replicate's own draws, (R, rows): their spread is the error of the whole."""
    own = np.logaddexp.reduce(log_w.reshape(replicates, -1), axis=1)
    return np.asarray(own[:, None] - np.logaddexp.reduce(log_terms.reshape(replicates, -1, log_terms.shape[1]), axis=1))


def _eta(problem: Outcome, draws: PlaneDraws, part: slice) -> Array:
    """Without the offset, (draws, rows)."""
    design = problem.design
    eta = draws.eta(design.source.take(part) - design.mean)
    return eta.reshape(-1, eta.shape[-1])


def _log_weights(draws: PlaneDraws) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(draws.weight.ravel() / draws.weight.sum())


def _log_density(problem: Outcome, draws: PlaneDraws, part: slice) -> Array:
    trials = None if problem.trials is None else problem.trials[part]
    eta = _eta(problem, draws, part) + problem.offset[part]
    return draws.flat(problem.family).log_density(eta, problem.design.y[part], trials)
