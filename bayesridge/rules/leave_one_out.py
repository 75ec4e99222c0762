r"""Leave-one-out as a function of lambda: squared error and log score, and every row with lambda integrated.

    squared error   sum c r^2 / sum c w          (y_i - yhat_-i = r_i / sqrt(w_i): the w-weighted mean of its square)
    log score       -sum c log p(y_i | y_-i, lambda),  sigma integrated.

c counts the observations a row stands for, w is its precision; r and the density are those of
:mod:`bayesridge.linalg.deletion`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.deletion import (
    DeletedRows,
    Lambdas,
    LooNoise,
    RowErrors,
    delete_rows,
    in_blocks,
    log_density,
    log_density_slope,
    row_errors,
)
from bayesridge.linalg.optimum import Curve
from bayesridge.linalg.rows import RowBasis, flat_leverage
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.loo import unresolved
from bayesridge.posteriors.posterior import Posterior

Array = NDArray[np.float64]

_LOOSE = 1e-12


def loo_noise(posterior: Posterior) -> LooNoise:
    """Take the noise prior of a posterior, or Jeffreys' where it is not conjugate (the note then says so)."""
    prior, noise = posterior.prior.with_noise(posterior.noise_prior)
    if noise.known is not None:
        return LooNoise(sigma=noise.known)
    if noise.conjugate is not None and prior.conjugate is None:
        return LooNoise(noise.conjugate.shape, noise.conjugate.scale)
    return LooNoise(note="sigma integrated under p(sigma²) = 1/sigma² at each fixed lambda")


class LooCurves(NamedTuple):
    """Both leave-one-out criteria at K values of log lambda."""

    squared: Curve
    log_score: Curve


def check_leave_one_out(design: Design, spectrum: Spectrum) -> None:
    """Refuse data where leaving out one observation has no meaning, saying why."""
    if design.nu < 2:
        raise DataError(f"leave-one-out needs at least 2 residual degrees of freedom, got {design.nu:g}")
    w = np.ones(design.n_rows) if design.weights is None else design.weights
    counted = design.weight_kind == "frequency"
    if counted and (w != np.round(w)).any():
        raise DataError("frequency weights that are not whole numbers do not count observations that could be left out")
    unit = np.where(w > 0, w, 1.0) if counted else 1.0
    alone = (w > 0) & (1.0 - flat_leverage(design, spectrum) / unit <= _LOOSE)
    if alone.any():
        raise DataError(f"row {int(design.input_rows[alone][0])} alone determines an unpenalised coefficient")


def loo_curves(rows: RowBasis, spectrum: Spectrum, noise: LooNoise, log_lam: Array) -> LooCurves:
    """Squared error (squared units of y) and negative log score (nats) of leave-one-out, summed over observations.

    Parameters
    ----------
    log_lam : ndarray of shape (K,)
    """
    lambdas = Lambdas.at(rows, spectrum, log_lam)

    def sums(part: slice) -> Array:
        block = delete_rows(rows, lambdas, part)
        slopes = _slopes(rows, lambdas, part)
        c = rows.count[part]
        return np.concatenate([_squared(block, slopes, c), _scored(block, lambdas, noise, slopes, c)])

    totals = np.sum(in_blocks(sums, rows, len(log_lam)), axis=0)
    weight = float(rows.count @ rows.precision)
    return LooCurves(Curve(totals[0] / weight, totals[1]), Curve(totals[2], totals[3]))


def loo_squared(rows: RowBasis, spectrum: Spectrum, log_lam: Array) -> Curve:
    """Return the first of :func:`loo_curves` alone, which is less work."""
    lambdas = Lambdas.at(rows, spectrum, log_lam)

    def sums(part: slice) -> Array:
        return _squared(row_errors(rows, lambdas, part), _slopes(rows, lambdas, part), rows.count[part])

    value, slope = np.sum(in_blocks(sums, rows, len(log_lam)), axis=0)
    return Curve(value / float(rows.count @ rows.precision), slope)


def _slopes(rows: RowBasis, lambdas: Lambdas, part: slice) -> tuple[Array, Array]:
    """Derivatives of e and m in log lambda, each (rows, K)."""
    return rows.on_residual[part] @ lambdas.residual_slope, rows.on_leverage[part] @ lambdas.leverage_slope


def _squared(block: RowErrors, slopes: tuple[Array, Array], count: Array) -> Array:
    """Squared error and its derivative, summed over observations, (2, K)."""
    (e1, m1), r = slopes, block.error
    return np.stack([count @ (r * r), count @ (2.0 * r * (e1 - r * m1) / block.keep)])


def _scored(block: DeletedRows, lambdas: Lambdas, noise: LooNoise, slopes: tuple[Array, Array], count: Array) -> Array:
    """Negative log score and its derivative, summed over observations, (2, K)."""
    density, slope = log_density(block, lambdas, noise), log_density_slope(block, lambdas, noise, *slopes)
    return np.stack([-(count @ density), -(count @ slope)])


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
