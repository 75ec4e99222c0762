"""The first engine: one penalty, one decomposition, from which every function of lambda costs O(rank)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design, State
from bayesridge.design.levels import LevelRows
from bayesridge.engines.conditional import SpectralConditional
from bayesridge.engines.engine import Deleted, Engine
from bayesridge.errors import DataError, ImproperPosteriorError, ModelFileError
from bayesridge.linalg.deletion import RowDeletion, delete
from bayesridge.linalg.factor import Factor, FlatPart
from bayesridge.linalg.filters import shrinkage
from bayesridge.linalg.maps import (
    AnyLinearMap,
    LinearMap,
    beyond,
    coefficient_map,
    contrast_map,
    flat_gram,
    intercept_map,
    prediction_map,
    standardized_rows,
)
from bayesridge.linalg.rows import flat_leverage, row_parts, row_weights
from bayesridge.linalg.shares import growth_and_shrunk
from bayesridge.linalg.spectrum import Spectrum, factorize, join, refuse_changed
from bayesridge.linalg.targets import without_row

Array = NDArray[np.float64]

_MOST_VALUES = 1 << 27  # of U: a gigabyte
_FACTOR = ("nu", "log_det_flat", "sum_log_weights", "n_obs", "signal", "route", "reason", "dropped")
_TARGET = ("r0", "degenerate")
_FLAT = tuple(field.name for field in fields(FlatPart))


@dataclass(frozen=True, eq=False)
class SpectralDeletion(RowDeletion):
    """Exact leave-one-out from the residuals and leverages of one fit; column scales and the prior are held fixed.

    ``e`` and ``1 - h`` are sums of non-negative or exact parts, e = e0 + U ((1 - f) z) and 1 - h = m0 + U^2 (1 - f), so
    that nothing cancels when lambda is small and X can fit everything.
    """

    spectrum: Spectrum

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each log lambda, theta of shape (K, 1)."""
        s, rows = self.spectrum, self.rows
        shrink = shrinkage(s, np.exp(theta[:, 0])).T
        U, e0, m0 = rows.U[part], rows.residual[part, None], rows.rest[part, None]
        e, keep, risen = U @ (s.z[:, None] * shrink), np.square(U) @ shrink, s.z2 @ shrink
        Q = delete(e, keep, e0, m0, risen, s.r0, nothing_left=s.nu - s.rank == 1)
        # what is left of numbers of the size of Q that were taken from one another
        cancelled = np.finfo(np.float64).eps * (s.r0 + risen) / Q
        return Deleted(e, keep, Q, cancelled, s.r0 + risen)


@dataclass(frozen=True, eq=False)
class BlockedDeletion:
    """The same where U would not fit into memory: it is made anew for the rows that are asked for."""

    design: Design
    spectrum: Spectrum

    @property
    def count(self) -> Array:
        """Observations each row stands for, (n_rows,)."""
        return row_weights(self.design)[1]

    @property
    def precision(self) -> Array:
        """1 / noise variance of each row over sigma^2, (n_rows,)."""
        return row_weights(self.design)[0]

    @cached_property
    def alone(self) -> NDArray[np.intp]:
        """Rows without which a flat direction has no posterior."""
        _, count, unit = row_weights(self.design)
        return np.flatnonzero((count > 0) & (1.0 - flat_leverage(self.design, self.spectrum) / unit <= 1e-13))

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each log lambda, theta of shape (K, 1)."""
        design, w = self.design, self.design.weights
        own = design.part(design.source.take(part), design.y[part], None if w is None else w[part])
        rows = row_parts(own, self.spectrum)
        return SpectralDeletion(rows, self.spectrum).at(theta, slice(None))


class LeastSquares(NamedTuple):
    """The evidence at lambda = 0: degrees of freedom left, residual sum of squares, log of the constant."""

    nu: float
    Q: float
    log_norm: float


_TABLE = 1 << 18  # numbers that stay in the cache
_TAIL = np.array([1.5, 4.0, 8.0, 14.0, 24.0, 38.0, 56.0, 80.0])


def _parts(theta: Array, rank: int, values: int) -> list[Array]:
    """Cut theta into parts whose tables of lambda by direction stay in the cache."""
    count = min(len(theta), -(-rank * len(theta) // values))
    return np.array_split(theta, count) if count > 1 else [theta]  # array_split takes as long as a small table


def _log_det_and_excess(spectrum: Spectrum, log_lam: Array) -> tuple[Array, Array]:
    log_det, shrink = growth_and_shrunk(spectrum.s2, log_lam[:, None])
    return -0.5 * log_det, shrink @ spectrum.z2


@dataclass(frozen=True, eq=False)
class SpectralEngine:
    """Ridge with one lambda behind the contract of :mod:`bayesridge.engines.engine`; theta is log lambda.

    Attributes
    ----------
    design, spectrum : Design, Spectrum
    """

    design: Design
    spectrum: Spectrum
    theta_names: tuple[str, ...] = ("log lambda",)

    heavy: ClassVar[bool] = False

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.spectrum.nu

    @cached_property
    def constant(self) -> float:
        """Terms of the log evidence that are free of lambda and sigma."""
        s = self.spectrum
        return float(-0.5 * s.nu * np.log(2.0 * np.pi) - 0.5 * s.log_det_flat + 0.5 * s.sum_log_weights)

    @property
    def floor(self) -> float:
        """What no lambda can explain, r0."""
        return self.spectrum.r0

    @property
    def signals(self) -> tuple[float]:
        """Variance that the columns explain at lambda = 1."""
        return (self.spectrum.signal,)

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """``-1/2 sum log(1 + s^2/lambda)`` and ``Q - r0`` at log lambda, theta of shape (K, 1)."""
        s = self.spectrum
        if s.rank == 0:
            return np.zeros(len(theta)), np.zeros(len(theta))
        if len(theta) * s.rank <= _TABLE:
            return _log_det_and_excess(s, theta[:, 0])
        parts = [_log_det_and_excess(s, part[:, 0]) for part in _parts(theta, s.rank, _TABLE)]
        return np.concatenate([log_det for log_det, _ in parts]), np.concatenate([excess for _, excess in parts])

    def excess(self, theta: Array) -> Array:
        """``Q - r0`` alone: half the work of :meth:`evidence`."""
        s = self.spectrum
        return np.concatenate([shrinkage(s, np.exp(part[:, 0])) @ s.z2 for part in _parts(theta, s.rank, 1 << 15)])

    def region(self) -> Array:
        """Points in log lambda that see every feature of the evidence: sigmoids one unit wide at log s^2; (m, 1)."""
        s = self.spectrum
        low, high = s.log_range
        if s.rank and s.r0 > 0:
            # rank r0/nu / |beta|^2 (Hoerl, Kennard & Baldwin 1975): where much data put lambda
            low = min(low, float(np.log(s.r0 * s.rank / s.nu) - np.log(s.squared_norm + 1e-290)))
        low, high = low - 5.0, high + 5.0
        steps = int(2.0 * (high - low))
        core = low + np.arange(steps + 1.0) * ((high - low) / steps)  # linspace takes as long as a small table
        return np.concatenate([low - _TAIL[::-1], core, high + _TAIL])[:, None]

    def least_squares(self) -> LeastSquares:
        """The evidence under a flat prior, of density 1 per unit of a standardised coefficient.

        Each direction takes a degree of freedom.

        Raises
        ------
        ImproperPosteriorError
            If the columns are dependent, or as many as there are degrees of freedom.
        """
        s = self.spectrum
        if s.rank < s.n_features or s.nu - s.rank < 1:
            raise ImproperPosteriorError(
                f"lambda = 0 is a flat prior on {s.n_features} coefficients, but the columns have rank {s.rank} with "
                f"{s.nu:g} degrees of freedom for coefficients and noise; use lambda > 0"
            )
        log_norm = self.constant + 0.5 * s.rank * float(np.log(2.0 * np.pi)) - float(np.log(s.s).sum())
        return LeastSquares(s.nu - s.rank, s.r0, log_norm)

    def at(self, theta: Array) -> SpectralConditional:
        """The coefficients given log lambda, theta of shape (K, 1)."""
        return SpectralConditional(self.design, self.spectrum, np.exp(theta[:, 0]))

    def coefficients(self) -> AnyLinearMap:
        """All p coefficients, in the units of the data."""
        return coefficient_map(self.design, self.spectrum)

    def intercept(self) -> LinearMap:
        """The intercept."""
        return intercept_map(self.design, self.spectrum)

    def rows(self, X: Array | LevelRows) -> LinearMap:
        """The expected target at new rows."""
        return prediction_map(self.design, self.spectrum, X)

    def contrasts(self, A: Array) -> LinearMap:
        """Linear combinations of the coefficients."""
        return contrast_map(self.design, self.spectrum, A)

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the coefficients, the scales integrated, (p, p)."""
        never_seen = beyond(self.spectrum, standardized_rows(self.design, self.spectrum))
        null, flat = never_seen @ never_seen.T, flat_gram(self.design, self.spectrum)
        return self.at(theta).covariance(self.coefficients(), null, flat, weight, noise)

    def deletion(self) -> SpectralDeletion | BlockedDeletion:
        """Exact leave-one-out from the residuals and leverages of one fit."""
        if self.spectrum.left is None and self.design.n_rows * self.spectrum.rank > _MOST_VALUES:
            refuse_changed(self.design)
            return BlockedDeletion(self.design, self.spectrum)
        return SpectralDeletion(row_parts(self.design, self.spectrum), self.spectrum)

    def state(self, *, rows: bool = False) -> State:
        """The sufficient statistics in spectral form, in the place of X'X, X'y and y'y, whose squares lose digits.

        With the rows they are left out: the same decomposition of the same rows is made again.
        """
        facts, arrays = self.design.state(rows=rows)
        s = self.spectrum
        about = {**{name: getattr(s, name) for name in (*_FACTOR, *_TARGET)}, "flat": s.flat is not None}
        if not rows:
            parts = {name: getattr(s.flat, name) for name in _FLAT} if s.flat is not None else {}
            arrays |= {"s": s.s, "z": s.z, "V": s.V, "on_flat": s.on_flat, **parts}
        return {"engine": "spectrum", "family": "gaussian", "design": facts, "spectrum": about}, arrays

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SpectralEngine:
        """Make the engine of its state.

        Raises
        ------
        ModelFileError
            If parts do not fit together.
        """
        design = Design.from_state(facts["design"], arrays)
        if design.has_rows:
            return cls(design, factorize(design))
        about = facts["spectrum"]
        flat = FlatPart(**{name: arrays[name] for name in _FLAT}) if about["flat"] else None
        shared = {name: about[name] for name in _FACTOR}
        factor = Factor(s=arrays["s"], right=arrays["V"], flat=flat, left=None, **shared)
        spectrum = join(factor, arrays["z"], about["r0"], arrays["on_flat"], about["degenerate"])
        _check_fitting(design, spectrum)
        return cls(design, spectrum)

    def without(self, row: int) -> SpectralEngine:
        """The engine of the other rows, column scales and the prior of lambda held fixed."""
        return SpectralEngine(*without_row(self.design, self.spectrum, row))


def _check_fitting(design: Design, spectrum: Spectrum) -> None:
    """Hold the arrays against each other: what does not fit together must not become a number."""
    k, u = len(design.penalized), len(design.unpenalized)
    fitting = [
        spectrum.s.shape == spectrum.z.shape, spectrum.V.shape == (k, spectrum.rank), (spectrum.s > 0).all(),
        all(np.isfinite(values).all() for values in (spectrum.s, spectrum.z, spectrum.V, spectrum.r0)),
    ]  # fmt: skip
    if spectrum.flat is not None:
        flat = spectrum.flat
        shapes = (spectrum.on_flat.shape, flat.on_predictors.shape, flat.root_inverse.shape)
        fitting.append(shapes == ((u,), (u, k), (u, u)))
        fitting += [np.isfinite(one).all() for one in (spectrum.on_flat, flat.on_predictors, flat.root_inverse)]
    if not all(fitting):
        raise ModelFileError("its arrays do not fit together")


def spectrum_of(engine: Engine) -> Spectrum:
    """The decomposition of an engine that has one lambda.

    Raises
    ------
    DataError
        If it has not.
    """
    if engine.spectrum is None:
        raise DataError(
            f"this is for ridge with one lambda, and the model has {', '.join(engine.theta_names) or 'no scales'}: "
            "coefficients, predictions, intervals, draws and leave-one-out work for it, rules for lambda do not"
        )
    return engine.spectrum


def least_squares_of(engine: Engine) -> LeastSquares:
    """The evidence of an engine that has one lambda, at lambda = 0."""
    return SpectralEngine(engine.design, spectrum_of(engine)).least_squares()
