"""The same columns with another target, at the cost of one pass over U, and the same table without a row."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design, some_rows
from bayesridge.errors import BayesRidgeWarning
from bayesridge.linalg.factor import Factor
from bayesridge.linalg.routes import rounding_floor
from bayesridge.linalg.rows import flat_residuals
from bayesridge.linalg.spectrum import Spectrum, factorize, join, left_of, left_vectors

Array = NDArray[np.float64]


def with_left_vectors(design: Design, spectrum: Spectrum) -> Spectrum:
    """Return the spectrum with U in it, so that :func:`with_target` need not make it again."""
    return replace(spectrum, left=left_vectors(design, spectrum))


def with_target(design: Design, factor: Factor, y: Array) -> tuple[Design, Spectrum]:
    """Replace the target of a factorised design.

    Equals :func:`build_design` and :func:`factorize` on the new target, at the
    cost of ``U' y``. A target that the columns reproduce to rounding is factorised anew.

    Parameters
    ----------
    design : Design
    factor : Factor
        Of `design` (a spectrum is one); with ``left`` (see :func:`with_left_vectors`) it is not made again.
    y : ndarray of shape (n_rows,)
        Finite.

    Returns
    -------
    tuple of Design and Spectrum
    """
    y_mean = 0.0
    if design.fit_intercept:
        y_mean = float(np.mean(y)) if design.weights is None else float(design.weights @ y / design.total_weight)
    new = replace(design, y=y, y_mean=y_mean, cross=_with_target_column(design, y - y_mean))
    U, on_flat = left_of(design, factor), on_flat_columns(design, factor, y - y_mean)
    residual = flat_residuals(new, on_flat)
    z = U.T @ residual
    left_over = residual - U @ z
    r0 = 0.0 if factor.rank >= factor.nu else float(left_over @ left_over)
    floor = rounding_floor(design, float(np.abs(y).max()))
    if (r0 <= floor and factor.rank < factor.nu) or r0 + float(z @ z) <= floor:
        return new, factorize(new)  # says that the fit is perfect or y constant, and sets the noise accordingly
    return new, join(replace(factor, left=U), z, r0, on_flat)


def on_flat_columns(design: Design, factor: Factor, centred: Array) -> Array:
    """Least-squares coefficients of a centred target, (n,) or (n, T), on the unpenalised columns: (u,) or (u, T)."""
    if factor.flat is None:
        return np.empty((0, *centred.shape[1:]))
    w = design.weights
    weighted = centred if w is None else (centred.T * w).T
    root = factor.flat.root_inverse
    return np.asarray(root @ (root.T @ (design.standardized(None, design.unpenalized).T @ weighted)))


def _with_target_column(design: Design, centred: Array) -> Array | None:
    if design.cross is None:
        return None
    weighted = centred if design.weights is None else design.weights * centred
    cross = design.cross.copy()
    blocks = [(design.source.take(part) - design.mean).T @ weighted[part] for part in design.source.blocks()]
    cross[:-1, -1] = cross[-1, :-1] = np.sum(blocks, axis=0)
    cross[-1, -1] = weighted @ centred
    return cross


def rows_counted(spectrum: Spectrum, power: float, n_flat: int) -> Spectrum:
    """Return the spectrum of the same data with every row counted `power` times (scales and signal as they were)."""
    root = np.sqrt(power)
    return replace(
        spectrum, s=spectrum.s * root, z=spectrum.z * root, r0=spectrum.r0 * power, n_obs=spectrum.n_obs * power,
        nu=spectrum.n_obs * power - n_flat, log_det_flat=spectrum.log_det_flat + n_flat * np.log(power),
        sum_log_weights=spectrum.sum_log_weights * power, left=None,
        flat=None if spectrum.flat is None else replace(spectrum.flat, root_inverse=spectrum.flat.root_inverse / root),
    )  # fmt: skip


def without_row(design: Design, spectrum: Spectrum, row: int) -> tuple[Design, Spectrum]:
    """Factorise the other rows, column scales and the prior of lambda held fixed.

    With frequency weights one of the observations the row stands for is left out.
    """
    weights = np.ones(design.n_rows) if design.weights is None else design.weights.copy()
    frequency = design.weights is not None and design.weight_kind == "frequency"
    weights[row] = weights[row] - 1.0 if frequency else 0.0
    keep = weights > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)  # about the others alone, of which nobody asked
        same = replace(design, scaling="given")
        rest = some_rows(same, keep, weights=None if design.weights is None else weights[keep])
        return rest, replace(factorize(rest), signal=spectrum.signal)
