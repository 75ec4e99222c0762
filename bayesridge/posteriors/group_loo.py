r"""Leave-one-group-out: all rows of a shop, a subject, a day left out together; no refits.

With e_I the root-weighted residuals of the rows I at a node, D = I - H_II the block of one less the hat matrix, m the
number of rows and B the rate of sigma^2 (a its shape), deleting them leaves ``B_-I = B - e_I'D^-1 e_I / 2`` and

    y_I located at  y_I - W^-1/2 D^-1 e_I,
    log p(y_I | y_-I) = log Gamma(a) - log Gamma(a - m/2) - m/2 log 2 pi + 1/2 log|D| + 1/2 sum log w
                        + (a - m/2) log B_-I - a log B,

mixed over nodes as single rows are (:mod:`bayesridge.posteriors.loo`). Column scales and the prior are held fixed. Off
its diagonal H is made of the variances of differences of rows, which every engine knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp

from bayesridge.engines.engine import Engine
from bayesridge.errors import AccuracyWarning, DataError, warn
from bayesridge.hyper.nodes import ConjugateNoise, HyperPosterior

Array = NDArray[np.float64]

_MOST_ROUNDING = 1e-6  # of a log density
_LEAST_EFFECTIVE = 8.0  # nodes that a group's tilted weights rest on


@dataclass(frozen=True, eq=False)
class LeaveGroupsOut:
    """Joint predictive densities of the rows of each group given all other rows.

    Attributes
    ----------
    labels : tuple
        Of the groups.
    log_density : ndarray of shape (groups,)
        ``log p(y_I | y_-I)``.
    mean : ndarray of shape (n_rows,)
        What the other groups predict for each row.
    effective : ndarray of shape (groups,)
        Effective number of nodes without each group; one where the scales are plugged in.
    """

    labels: tuple[object, ...]
    log_density: Array
    mean: Array
    effective: Array

    @property
    def elpd(self) -> float:
        """Sum of the log densities."""
        return float(self.log_density.sum())


def leave_groups_out(engine: Engine, hyper: HyperPosterior, groups: ArrayLike) -> LeaveGroupsOut:
    """Leave out each group of rows in turn.

    Parameters
    ----------
    engine, hyper : Engine, HyperPosterior
    groups : array_like of shape (n_rows,)
        Label of each row.

    Raises
    ------
    DataError
        If rows are counts, a group leaves no degree of freedom or no posterior of a flat direction, or labels do not
        fit the rows.

    Warns
    -----
    AccuracyWarning
        If without a group the posterior of the scales lies where there are few nodes, or a density is mostly rounding.
    """
    design, nodes = engine.design, hyper.nodes
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if codes.shape != (design.n_rows,):
        raise DataError(f"groups must have one label a row: shape ({design.n_rows},) expected, {codes.shape} received")
    if design.weights is not None and design.weight_kind == "frequency" and (design.weights != 1.0).any():
        raise DataError("leave-one-group-out of frequency weights is not there: repeat the rows, or use precisions")
    deletion = engine.deletion()
    given = deletion.at(nodes.theta, slice(0, design.n_rows))
    root = np.sqrt(deletion.precision)
    density, effective, mean = np.empty(len(names)), np.ones(len(names)), np.empty(design.n_rows)
    rounding = np.empty(len(names))
    for g, name in enumerate(names):
        rows = np.flatnonzero(codes == g)
        m, e = len(rows), given.residual[rows].T
        D = np.eye(m) - root[rows, None] * _covariances(engine, nodes.theta, rows) * root[rows]
        smallest = np.linalg.eigvalsh(D)[:, 0]
        if not (smallest > 1e-12).all():
            raise DataError(f"without the rows of {name} a coefficient has no posterior: penalise its column")
        solved = np.linalg.solve(D, e[..., None])[..., 0]
        fall = 0.5 * np.einsum("km,km->k", e, solved)
        # D is rounded in the size of one, B and what is taken from it in theirs
        lost = m / smallest
        terms = 0.5 * np.linalg.slogdet(D)[1] + float(np.log(root[rows]).sum()) - 0.5 * m * np.log(2.0 * np.pi)
        if isinstance(nodes.noise, ConjugateNoise):
            a, B = nodes.noise.shape, nodes.noise.rate
            if a - 0.5 * m <= 0:
                raise DataError(f"the rows of {name} are so many that the others leave no degree of freedom")
            left = np.maximum(B - fall, 1e-16 * B)
            lost = lost + (a - 0.5 * m) * (B + fall / smallest) / left
            terms += gammaln(a) - gammaln(a - 0.5 * m) + (a - 0.5 * m) * np.log(left) - a * np.log(B)
        else:
            log_sigma = nodes.noise.log_sigma[:, 0]
            terms += -m * log_sigma - fall * np.exp(-2.0 * log_sigma)
            lost = lost + fall * np.exp(-2.0 * log_sigma) / smallest
        with np.errstate(divide="ignore"):
            tilted = np.log(nodes.weight) - terms
        density[g] = -logsumexp(tilted)
        share = np.exp(tilted + density[g])
        effective[g] = 1.0 / float(share @ share)
        rounding[g] = float(share @ lost) * np.finfo(np.float64).eps
        mean[rows] = design.y[rows] - (share @ solved) / root[rows]
    if len(nodes.weight) > 1 and effective.min() < min(_LEAST_EFFECTIVE, 0.5 * len(nodes.weight)):
        worst = names[int(effective.argmin())]
        warn(
            f"without {worst} the scales are known to {effective.min():.1f} nodes only: fit without it", AccuracyWarning
        )
    if rounding.max() > _MOST_ROUNDING:
        worst = names[int(rounding.argmax())]
        warn(
            f"the log density of the rows of {worst} is right to {rounding.max():.0e} only, for little is left without "
            "them of the noise, or of a coefficient: fit without them",
            AccuracyWarning,
        )
    return LeaveGroupsOut(tuple(names.tolist()), density, mean, effective)


def _covariances(engine: Engine, theta: Array, rows: NDArray[np.intp]) -> Array:
    """Covariance over sigma^2 of the expected targets of some rows at each theta, (K, m, m)."""
    X, given = engine.design.source.take(rows), engine.at(theta)
    i, j = np.triu_indices(len(rows), 1)
    own = given.variance(engine.rows(X)).T
    found = np.einsum("km,mn->kmn", own, np.eye(len(rows)))
    if len(i):
        apart = given.variance(engine.contrasts(X[i] - X[j])).T
        found[:, i, j] = found[:, j, i] = 0.5 * (own[:, i] + own[:, j] - apart)
    return np.asarray(found)
