"""Leave-one-out of every row: at fixed lambdas, and with lambda integrated over the nodes of its posterior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.linalg.deletion import Lambdas, LooNoise, delete_rows, in_blocks, log_density
from bayesridge.linalg.rows import RowBasis
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.loo import unresolved

Array = NDArray[np.float64]


class LooRows(NamedTuple):
    """Leave-one-out of each row of positive weight (see ``RowBasis.index``) at K values of lambda.

    Attributes
    ----------
    error : ndarray of shape (m, K)
        ``y_i - yhat_-i`` in units of y.
    log_density : ndarray of shape (m, K)
        ``log p(y_i | y_-i, lambda)``.
    left : float
        The smallest ``Q_-i / Q`` of all: near zero when one row is nearly all of the residual, and digits are lost.
    """

    error: Array
    log_density: Array
    left: float


def loo_rows(rows: RowBasis, spectrum: Spectrum, noise: LooNoise, log_lam: Array) -> LooRows:
    """Leave-one-out errors and log densities of all rows. Parameters as for :func:`loo_curves`."""
    lambdas = Lambdas.at(rows, spectrum, log_lam)
    error, density = np.empty((2, len(rows.index), len(log_lam)))

    def fill(part: slice) -> float:
        block = delete_rows(rows, lambdas, part)
        error[part] = block.error / np.sqrt(rows.precision[part, None])
        density[part] = log_density(block, lambdas, noise)
        return float((block.Q_without / lambdas.Q).min())

    return LooRows(error, density, min(in_blocks(fill, rows, len(log_lam)), default=1.0))


class LooMixture(NamedTuple):
    """Leave-one-out of each row of positive weight, lambda integrated over nodes.

    Attributes
    ----------
    error, log_density : ndarray of shape (m,)
        ``y_i - E(y_i | y_-i)`` in units of y, and ``log p(y_i | y_-i)``.
    left : float
        As in :class:`LooRows`.
    resolved : bool
        Whether the nodes serve for every row (see :func:`bayesridge.posteriors.loo.unresolved`).
    """

    error: Array
    log_density: Array
    left: float
    resolved: bool


def loo_mixture(rows: RowBasis, spectrum: Spectrum, noise: LooNoise, log_lam: Array, weight: Array) -> LooMixture:
    """``p(y_i | y_-i) = 1 / E[1 / p(y_i | y_-i, lambda)]`` over nodes of these log lambda and weights, shape (K,)."""
    lambdas = Lambdas.at(rows, spectrum, log_lam)
    error, density = np.empty((2, len(rows.index)))
    with np.errstate(divide="ignore"):
        log_weight = np.log(weight)

    def fill(part: slice) -> tuple[float, bool]:
        block = delete_rows(rows, lambdas, part)
        share = log_weight - log_density(block, lambdas, noise)
        top = share.max(axis=1)
        share -= top[:, None]
        np.exp(share, out=share)
        total = share.sum(axis=1)
        share /= total[:, None]
        density[part] = -(top + np.log(total))
        error[part] = np.einsum("ij,ij->i", share, block.error) / np.sqrt(rows.precision[part])
        return float((block.Q_without / lambdas.Q).min()), not bool(unresolved(share[:, :, None]).any())

    done = in_blocks(fill, rows, len(log_lam))
    return LooMixture(error, density, min(one[0] for one in done), all(one[1] for one in done))
