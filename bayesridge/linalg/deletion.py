r"""Every row deleted at every lambda: its error, Q without it, and its log density given the others.

With e = e0 + U (g z) the root-weighted residuals, m = m0 + U^2 g one less the leverages and r = e / m, the error of the
row left out is r / sqrt(w), w the row's precision. If 1/sigma^2 ~ Gamma(a0, b0) (Jeffreys: 0, 0), then with
a = nu/2 + a0, B = Q/2 + b0 and B_-i = B - e^2 / (2 m)

    log p(y_i | y_-i) = log Gamma(a) - log Gamma(a - 1/2) - 1/2 log(2 pi) + 1/2 log(w m) + (a - 1/2) log B_-i - a log B,

which is the Student-t of :mod:`bayesridge.posteriors.loo` with 2 a - 1 degrees of freedom. Cost: see
:mod:`bayesridge.linalg.rows`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.linalg.rows import RowBasis, RowParts
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.linalg.student import log_t_constant
from bayesridge.linalg.terms import spectral_terms
from bayesridge.parallel.threads import run_blocks

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 16
_WORK = 150.0  # multiplications that the arithmetic of one row at one lambda is worth


@dataclass(frozen=True)
class LooNoise:
    """Noise in leave-one-out at a fixed lambda: known, or ``1/sigma^2 ~ Gamma(shape, rate)`` (0, 0: Jeffreys)."""

    shape: float = 0.0
    rate: float = 0.0
    sigma: float | None = None
    note: str = ""


def in_blocks[Result](task: Callable[[slice], Result], rows: RowBasis, width: int) -> list[Result]:
    """Run a task on blocks of rows that stay in the cache."""
    m, k = rows.on_residual.shape
    size = max(64, _BLOCK_VALUES // max(width, k, 1))
    parts = [slice(start, start + size) for start in range(0, m, size)]
    return run_blocks(task, parts, (2.0 * k + _WORK) * m * width)


@dataclass(frozen=True, eq=False)
class Lambdas:
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
    def at(cls, rows: RowBasis, spectrum: Spectrum, log_lam: Array) -> Lambdas:
        """Prepare each log lambda."""
        terms = spectral_terms(spectrum, log_lam)
        size = terms.g[:, -1:] if spectrum.rank else 1.0
        return cls(
            *rows.coordinates(terms.g, size), *rows.coordinates(terms.fg, size), spectrum.r0, terms.g @ spectrum.z2,
            terms.penalized_rss, terms.penalized_rss_slope, spectrum.nu, spectrum.nu - spectrum.rank == 1,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class RowErrors:
    """A block of rows deleted at K lambdas: m = 1 - h and the error r = e / m, both (rows, K)."""

    error: Array
    keep: Array


@dataclass(frozen=True, eq=False)
class DeletedRows(RowErrors):
    """The same with Q without the row, (rows, K), and the rows' precision, (rows, 1)."""

    Q_without: Array
    precision: Array


def row_errors(rows: RowBasis, lambdas: Lambdas, part: slice) -> RowErrors:
    """Error of each row of a block, deleted at each lambda: all that the squared error needs."""
    e = rows.on_residual[part] @ lambdas.residual
    e += rows.residual[part, None]
    m = rows.on_leverage[part] @ lambdas.leverage
    m += rows.rest[part, None]
    e /= m
    return RowErrors(e, m)


def delete_rows(rows: RowBasis, lambdas: Lambdas, part: slice) -> DeletedRows:
    """Delete each row of a block at each lambda."""
    e, m = rows.on_residual[part] @ lambdas.residual, rows.on_leverage[part] @ lambdas.leverage
    e0, m0 = rows.residual[part, None], rows.rest[part, None]
    Q_without = delete(e, m, e0, m0, lambdas.risen, lambdas.r0, nothing_left=lambdas.nothing_left)
    e /= m
    return DeletedRows(e, m, Q_without, rows.precision[part, None])


@dataclass(frozen=True, eq=False)
class RowDeletion:
    """What deletions of rows have in common, whatever the engine: the rows' parts that do not move with theta."""

    rows: RowParts

    @property
    def count(self) -> Array:
        """Observations each row stands for, (n_rows,)."""
        return self.rows.count

    @property
    def precision(self) -> Array:
        """1 / noise variance of each row over sigma^2, (n_rows,)."""
        return self.rows.precision

    @property
    def alone(self) -> NDArray[np.intp]:
        """Rows without which a flat direction has no posterior."""
        return self.rows.alone


def delete(e: Array, m: Array, e0: Array, m0: Array, risen: Array, r0: float, *, nothing_left: bool) -> Array:
    """Q without each row, ``Q_-i = Q - e^2 / m``, without its cancellation at small lambda.

    Where the other rows can be fitted exactly that difference is of equal numbers. With e = e0 + de, m = m0 + dm,
    Q = r0 + dQ (d: the parts that vanish with lambda) and m0 > 0 it is

        (r0 - e0^2 / m0) + dQ + (e0^2 / m0 dm - de (2 e0 + de)) / m,

    and with m0 = 0 (then e0 = 0) it is r0 + dQ - de^2 / m. The first bracket, the residual sum of squares of least
    squares without the row, is exactly zero where one residual degree of freedom is all there is.

    Parameters
    ----------
    e, m : ndarray of shape (rows, K)
        de and dm; e = e0 + de and m = m0 + dm when this returns. Done in place: memory is what takes the time.
    e0, m0 : ndarray of shape (rows, 1)
    risen : ndarray of shape (K,)
        dQ.
    r0 : float
    nothing_left : bool
        Whether there is one residual degree of freedom.

    Returns
    -------
    ndarray of shape (rows, K)
    """
    split = m0 > 0
    own = np.where(split, e0 * e0 / np.where(split, m0, 1.0), 0.0)
    base = np.where(split, 0.0 if nothing_left else np.maximum(r0 - own, 0.0), r0)
    change = e + 2.0 * e0
    change *= e
    without = own * m
    without -= change
    e += e0
    m += m0
    without /= m
    without += risen
    without += base
    # positive in exact arithmetic; rounding must not make it anything else
    np.maximum(without, 1e-16 * (np.where(split, r0, 0.0) + risen) + 1e-300, out=without)
    return np.asarray(without)


def log_density(block: DeletedRows, lambdas: Lambdas, noise: LooNoise) -> Array:
    """Log density of each row given the others, in the units of y."""
    m, w, r = block.keep, block.precision, block.error
    if noise.sigma is not None:
        variance = noise.sigma**2
        return np.asarray(0.5 * np.log(w * m / (2.0 * np.pi * variance)) - 0.5 * r * r * m / variance)
    a = 0.5 * lambdas.nu + noise.shape
    df = 2.0 * a - 1.0
    if df <= 0:  # the other rows leave no degree of freedom: no density
        return np.full(m.shape, -np.inf)
    twice = block.Q_without + 2.0 * noise.rate
    # a population makes a the size of itself: log1p, and not a difference of logarithms
    return np.asarray(log_t_constant(df) + 0.5 * np.log(df * w * m / twice) - a * np.log1p(r * r * m / twice))


def log_density_slope(block: DeletedRows, lambdas: Lambdas, noise: LooNoise, e1: Array, m1: Array) -> Array:
    """Its derivative in log lambda, from those of e and m."""
    m, r = block.keep, block.error
    change = r * (e1 - 0.5 * r * m1)  # derivative of e^2 / (2 m)
    if noise.sigma is not None:
        return np.asarray(0.5 * m1 / m - change / noise.sigma**2)
    # (a - 1/2) (B' - change) / B_-i - a B' / B, without its terms of the size a, which cancel: B = B_-i + e^2 / (2 m)
    a = 0.5 * lambdas.nu + noise.shape
    B, without = 0.5 * lambdas.Q + noise.rate, 0.5 * block.Q_without + noise.rate
    B1 = 0.5 * lambdas.Q_slope
    risen = (0.5 * a * B1 / B) * (r * r * m) - (a - 0.5) * change
    return np.asarray(0.5 * m1 / m + (risen - 0.5 * B1) / without)
