r"""Leave-one-out criteria at fixed lambda: squared error and log score, with exact derivatives in log lambda.

With e = e0 + U (g z) the root-weighted residuals, m = m0 + U^2 g one less the leverages and r = e / m,

    squared error   sum c r^2 / sum c w          (y_i - yhat_-i = r_i / sqrt(w_i): the w-weighted mean of its square)
    log score       -sum c log p(y_i | y_-i, lambda),  sigma integrated.

c counts the observations a row stands for, w is its precision. If 1/sigma^2 ~ Gamma(a0, b0) (Jeffreys: 0, 0), then with
a = nu/2 + a0, B = Q/2 + b0 and B_-i = B - e^2 / (2 m)

    log p(y_i | y_-i) = log Gamma(a) - log Gamma(a - 1/2) - 1/2 log(2 pi) + 1/2 log(w m) + (a - 1/2) log B_-i - a log B,

which is the Student-t of :mod:`bayesridge.loo`, multiplied out. Cost: see :mod:`bayesridge.choosing.row_basis`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesridge.choosing.criteria import Curve
from bayesridge.choosing.row_basis import RowBasis
from bayesridge.choosing.terms import spectral_terms
from bayesridge.design import Design
from bayesridge.errors import DataError
from bayesridge.posterior import Posterior
from bayesridge.priors import FixedScales, FixedSigma, GammaPrecisions, InverseGamma, Jeffreys
from bayesridge.ridge import flat_leverage
from bayesridge.spectrum import Spectrum
from bayesridge.threads import run_blocks

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 16
_LOOSE = 1e-12
_WORK = 60.0  # multiplications that the arithmetic of one row at one lambda is worth


@dataclass(frozen=True)
class LooNoise:
    """Noise in leave-one-out at a fixed lambda: known, or ``1/sigma^2 ~ Gamma(shape, rate)`` (0, 0: Jeffreys)."""

    shape: float = 0.0
    rate: float = 0.0
    sigma: float | None = None
    note: str = ""


def loo_noise(posterior: Posterior) -> LooNoise:
    """Take the noise prior of a posterior, or Jeffreys' where it is not conjugate (the note then says so)."""
    noise, prior = posterior.noise_prior, posterior.prior
    if isinstance(prior, FixedScales):
        return LooNoise(sigma=prior.sigma)
    if isinstance(noise, FixedSigma):
        return LooNoise(sigma=noise.sigma)
    if isinstance(noise, InverseGamma):
        return LooNoise(noise.shape, noise.scale)
    if isinstance(noise, Jeffreys) and not isinstance(prior, GammaPrecisions):
        return LooNoise()
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
        raise DataError(f"row {int(np.flatnonzero(alone)[0])} alone determines an unpenalised coefficient")


def loo_curves(rows: RowBasis, spectrum: Spectrum, noise: LooNoise, log_lam: Array) -> LooCurves:
    """Squared error (squared units of y) and negative log score (nats) of leave-one-out, summed over observations.

    Parameters
    ----------
    log_lam : ndarray of shape (K,)
    """
    lambdas = _Lambdas.at(rows, spectrum, log_lam)

    def sums(part: slice) -> Array:
        block = _delete(rows, lambdas, part)
        c, r = rows.count[part], block.error
        e1, m1 = rows.on_residual[part] @ lambdas.residual_slope, rows.on_leverage[part] @ lambdas.leverage_slope
        return np.stack([
            c @ (r * r),
            c @ (2.0 * r * (e1 - r * m1) / block.keep),
            -(c @ _log_density(block, lambdas, noise)),
            -(c @ _log_density_slope(block, lambdas, noise, e1, m1)),
        ])  # fmt: skip

    totals = np.sum(_in_blocks(sums, rows, len(log_lam)), axis=0)
    weight = float(rows.count @ rows.precision)
    return LooCurves(Curve(totals[0] / weight, totals[1]), Curve(totals[2], totals[3]))


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
    lambdas = _Lambdas.at(rows, spectrum, log_lam)
    error, density = np.empty((2, len(rows.index), len(log_lam)))

    def fill(part: slice) -> float:
        block = _delete(rows, lambdas, part)
        error[part] = block.error / np.sqrt(rows.precision[part, None])
        density[part] = _log_density(block, lambdas, noise)
        return float((block.Q_without / lambdas.Q).min())

    return LooRows(error, density, min(_in_blocks(fill, rows, len(log_lam)), default=1.0))


def _in_blocks[Result](task: Callable[[slice], Result], rows: RowBasis, width: int) -> list[Result]:
    """Run a task on blocks of rows that stay in the cache."""
    m, k = rows.on_residual.shape
    size = max(64, _BLOCK_VALUES // max(width, k, 1))
    parts = [slice(start, start + size) for start in range(0, m, size)]
    return run_blocks(task, parts, (2.0 * k + _WORK) * m * width)


@dataclass(frozen=True, eq=False)
class _Lambdas:
    """What K lambdas have in common for all rows: coordinates of g and f g, Q and its derivative."""

    residual: Array
    leverage: Array
    residual_slope: Array
    leverage_slope: Array
    r0: float
    risen: Array
    Q: Array
    Q_slope: Array
    nu: float
    nothing_left: bool

    @classmethod
    def at(cls, rows: RowBasis, spectrum: Spectrum, log_lam: Array) -> _Lambdas:
        """Prepare each log lambda."""
        terms = spectral_terms(spectrum, log_lam)
        size = terms.g[:, -1:] if spectrum.rank else 1.0
        return cls(
            *rows.coordinates(terms.g, size), *rows.coordinates(terms.fg, size), spectrum.r0, terms.g @ spectrum.z2,
            terms.penalized_rss, terms.penalized_rss_slope, spectrum.nu, spectrum.nu - spectrum.rank == 1,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Deleted:
    """A block of rows deleted at K lambdas: m = 1 - h, the error r = e / m, Q without the row; all (rows, K)."""

    error: Array
    keep: Array
    Q_without: Array
    precision: Array


def _delete(rows: RowBasis, lambdas: _Lambdas, part: slice) -> _Deleted:
    """Delete each row at each lambda.

    ``Q_-i = Q - e^2 / m`` cancels at small lambda where the other rows can be fitted exactly. With e = e0 + de,
    m = m0 + dm, Q = r0 + dQ (d: the parts that vanish with lambda) and m0 > 0 it is

        (r0 - e0^2 / m0) + dQ + (e0^2 dm - 2 m0 e0 de - m0 de^2) / (m0 m).
    """
    e0, m0, r0 = rows.residual[part, None], rows.rest[part, None], lambdas.r0
    de, dm = rows.on_residual[part] @ lambdas.residual, rows.on_leverage[part] @ lambdas.leverage
    e, m = e0 + de, m0 + dm
    split = m0 > 0
    safe = np.where(split, m0, 1.0)
    base = np.where(split, np.maximum(r0 - e0 * e0 / safe, 0.0), 0.0)
    if lambdas.nothing_left:  # without the row there is no residual at lambda = 0
        base = np.zeros_like(base)
    if split.all():
        change = (e0 * (e0 * dm - 2.0 * m0 * de) - m0 * de * de) / (safe * m)
    else:
        change = np.where(split, (e0 * (e0 * dm - 2.0 * m0 * de) - m0 * de * de) / (safe * m), r0 - de * de / m)
    without = base + lambdas.risen + change
    # positive in exact arithmetic; rounding must not make it anything else
    without = np.maximum(without, 1e-16 * (np.where(split, r0, 0.0) + lambdas.risen) + 1e-300)
    return _Deleted(e / m, m, without, rows.precision[part, None])


def _log_density(block: _Deleted, lambdas: _Lambdas, noise: LooNoise) -> Array:
    """Log density of each row given the others, in the units of y."""
    m, w, r = block.keep, block.precision, block.error
    if noise.sigma is not None:
        variance = noise.sigma**2
        return np.asarray(0.5 * np.log(w * m / (2.0 * np.pi * variance)) - 0.5 * r * r * m / variance)
    a = 0.5 * lambdas.nu + noise.shape
    B, without = 0.5 * lambdas.Q + noise.rate, 0.5 * block.Q_without + noise.rate
    constant = gammaln(a) - gammaln(a - 0.5) - 0.5 * np.log(2.0 * np.pi)
    return np.asarray(0.5 * np.log(w * m) + (a - 0.5) * np.log(without) + (constant - a * np.log(B)))


def _log_density_slope(block: _Deleted, lambdas: _Lambdas, noise: LooNoise, e1: Array, m1: Array) -> Array:
    """Its derivative in log lambda, from those of e and m."""
    m, r = block.keep, block.error
    change = r * (e1 - 0.5 * r * m1)  # derivative of e^2 / (2 m)
    if noise.sigma is not None:
        return np.asarray(0.5 * m1 / m - change / noise.sigma**2)
    a = 0.5 * lambdas.nu + noise.shape
    B, without = 0.5 * lambdas.Q + noise.rate, 0.5 * block.Q_without + noise.rate
    B1 = 0.5 * lambdas.Q_slope
    return np.asarray(0.5 * m1 / m + (a - 0.5) * (B1 - change) / without - a * B1 / B)
