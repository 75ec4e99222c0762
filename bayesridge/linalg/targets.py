"""Another target on the same columns: U, s and V stay, only z and r0 change, so a refit costs one pass over U."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayesridge.linalg.design import Design
from bayesridge.linalg.rows import flat_residuals
from bayesridge.linalg.spectrum import Spectrum, factorize, left_vectors

Array = NDArray[np.float64]

_ROUNDING = 16.0 * float(np.finfo(np.float64).eps)


def with_left_vectors(design: Design, spectrum: Spectrum) -> Spectrum:
    """Return the spectrum with U in it, so that :func:`with_target` need not make it again."""
    return replace(spectrum, left=left_vectors(design, spectrum))


def with_target(design: Design, spectrum: Spectrum, y: Array) -> tuple[Design, Spectrum]:
    """Replace the target of a factorised design.

    Equals :func:`build_design` and :func:`factorize` on the new target, at the
    cost of ``U' y``. A target that the columns reproduce to rounding is factorised anew.

    Parameters
    ----------
    design : Design
    spectrum : Spectrum
        Of `design`; with ``left`` (see :func:`with_left_vectors`) it is not made again.
    y : ndarray of shape (n_rows,)
        Finite.

    Returns
    -------
    tuple of Design and Spectrum
    """
    w = design.weights
    y_mean = 0.0
    if design.fit_intercept:
        y_mean = float(np.mean(y)) if w is None else float(w @ y / design.total_weight)
    new = replace(design, y=y, y_mean=y_mean, cross=_with_target_column(design, y - y_mean))
    flat = spectrum.flat
    root = new.root_weights()
    if flat is not None:
        Z = design.standardize(design.X, design.unpenalized)
        rest = y - y_mean if w is None else w * (y - y_mean)
        flat = replace(flat, on_target=flat.root_inverse @ (flat.root_inverse.T @ (Z.T @ rest)))
        residual = flat_residuals(new, replace(spectrum, flat=flat))
    else:
        residual = y - y_mean if root is None else root * (y - y_mean)
    U = left_vectors(design, spectrum)
    z = U.T @ residual
    left_over = residual - U @ z
    r0 = 0.0 if spectrum.rank >= spectrum.nu else float(left_over @ left_over)
    floor = design.total_weight * (_ROUNDING * float(np.abs(y).max())) ** 2
    if (r0 <= floor and spectrum.rank < spectrum.nu) or r0 + float(z @ z) <= floor:
        return new, factorize(new)  # says that the fit is perfect or y constant, and sets the noise accordingly
    return new, replace(spectrum, z=z, r0=r0, flat=flat, left=U, degenerate="")


def _with_target_column(design: Design, centred: Array) -> Array | None:
    if design.cross is None:
        return None
    weighted = centred if design.weights is None else design.weights * centred
    cross = design.cross.copy()
    cross[:-1, -1] = cross[-1, :-1] = (design.X - design.mean).T @ weighted
    cross[-1, -1] = weighted @ centred
    return cross
