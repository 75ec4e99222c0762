"""The first engine: one penalty, one decomposition, from which every function of lambda costs O(rank)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, ModelFileError
from bayesridge.linalg.conditional import SpectralConditional
from bayesridge.linalg.deletion import delete
from bayesridge.linalg.design import Design, State
from bayesridge.linalg.engine import Deleted, Engine
from bayesridge.linalg.filters import shrinkage
from bayesridge.linalg.maps import (
    AnyLinearMap,
    LinearMap,
    coefficient_map,
    contrast_map,
    flat_gram,
    intercept_map,
    prediction_map,
    standardized_rows,
)
from bayesridge.linalg.rows import RowParts, row_parts
from bayesridge.linalg.spectrum import FlatPart, Spectrum, factorize
from bayesridge.linalg.targets import without_row

Array = NDArray[np.float64]

_SPECTRUM = (
    "r0", "nu", "log_det_flat", "sum_log_weights", "n_obs", "signal", "route", "reason", "condition", "dropped",
    "degenerate",
)  # fmt: skip
_FLAT = tuple(field.name for field in fields(FlatPart))


@dataclass(frozen=True, eq=False)
class SpectralDeletion:
    """Exact leave-one-out from the residuals and leverages of one fit; column scales and the prior are held fixed.

    ``e`` and ``1 - h`` are sums of non-negative or exact parts, e = e0 + U ((1 - f) z) and 1 - h = m0 + U^2 (1 - f), so
    that nothing cancels when lambda is small and X can fit everything.
    """

    spectrum: Spectrum
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
        left = self.rows.rest + np.square(self.rows.U).sum(axis=1)
        return np.flatnonzero((self.rows.count > 0) & (left <= 1e-13))

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
class SpectralEngine:
    """Ridge with one lambda behind the contract of :mod:`bayesridge.linalg.engine`; theta is log lambda.

    Attributes
    ----------
    design, spectrum : Design, Spectrum
    """

    design: Design
    spectrum: Spectrum
    theta_names: tuple[str, ...] = ("log lambda",)

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.spectrum.nu

    @cached_property
    def constant(self) -> float:
        """Terms of the log evidence that are free of lambda and sigma."""
        s = self.spectrum
        return float(-0.5 * s.nu * np.log(2.0 * np.pi) - 0.5 * s.log_det_flat + 0.5 * s.sum_log_weights)

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """``log_norm`` and Q at log lambda, theta of shape (K, 1)."""
        s = self.spectrum
        ratio = np.multiply.outer(np.exp(-theta[:, 0]), s.s2)
        return self.constant - 0.5 * np.log1p(ratio).sum(axis=1), s.r0 + (1.0 / (1.0 + ratio)) @ s.z2

    def region(self) -> Array:
        """From far below the smallest squared singular value to far above the largest, shape (m, 1)."""
        low, high = (np.log(self.spectrum.s2[[-1, 0]]) if self.spectrum.rank else np.zeros(2)) + [-40.0, 40.0]
        return np.arange(low, high, 0.5)[:, None]

    def at(self, theta: Array) -> SpectralConditional:
        """The coefficients given log lambda, theta of shape (K, 1)."""
        return SpectralConditional(self.design, self.spectrum, np.exp(theta[:, 0]))

    def coefficients(self) -> AnyLinearMap:
        """All p coefficients, in the units of the data."""
        return coefficient_map(self.design, self.spectrum)

    def intercept(self) -> LinearMap:
        """The intercept."""
        return intercept_map(self.design, self.spectrum)

    def rows(self, X: Array) -> LinearMap:
        """The expected target at new rows."""
        return prediction_map(self.design, self.spectrum, X)

    def contrasts(self, A: Array) -> LinearMap:
        """Linear combinations of the coefficients."""
        return contrast_map(self.design, self.spectrum, A)

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the coefficients, the scales integrated, (p, p)."""
        rows = standardized_rows(self.design, self.spectrum)
        within, flat = rows @ rows.T, flat_gram(self.design, self.spectrum)
        return self.at(theta).covariance(self.coefficients(), within, flat, weight, noise)

    def deletion(self) -> SpectralDeletion:
        """Exact leave-one-out from the residuals and leverages of one fit."""
        return SpectralDeletion(self.spectrum, row_parts(self.design, self.spectrum))

    def state(self, *, rows: bool = False) -> State:
        """The sufficient statistics in spectral form, in the place of X'X, X'y and y'y, whose squares lose digits.

        With the rows they are left out: the same decomposition of the same rows is made again.
        """
        facts, arrays = self.design.state(rows=rows)
        s = self.spectrum
        about = {**{name: getattr(s, name) for name in _SPECTRUM}, "flat": s.flat is not None}
        if not rows:
            parts = {name: getattr(s.flat, name) for name in _FLAT} if s.flat is not None else {}
            arrays |= {"s": s.s, "z": s.z, "V": s.V, **parts}
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
        described = {name: about[name] for name in _SPECTRUM}
        spectrum = Spectrum(s=arrays["s"], z=arrays["z"], right=arrays["V"], flat=flat, left=None, **described)
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
        shapes = (flat.on_target.shape, flat.on_predictors.shape, flat.root_inverse.shape)
        fitting.append(shapes == ((u,), (u, k), (u, u)))
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
