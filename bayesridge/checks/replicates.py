r"""Data sets the fitted model could have produced, and the leave-one-out residuals of each, refitted.

(lambda, sigma) come from the posterior, the coefficients from their prior at that lambda and the noise from its normal
distribution; in the terms of the factorisation, with g and e standard normal,

    z = sigma sqrt(1 + s^2 / lambda) g,     residual = sigma (e less its projections on U and the flat directions).

(Coefficients from their *posterior* would repeat the very z of the data, and with it what is to be judged. With them
from the prior every part of the fit is new, and checks have the size they claim.)

Leave-one-out residuals do not depend on the flat directions (intercept, unpenalised columns). Those of the data and
of every replicate are computed in one way, each at its own lambda and noise variance (:mod:`own_scales`):

    t_i = e_i / sqrt((1 - h_i) Q_-i / (nu - 1)),     Q_-i = Q - e_i^2 / (1 - h_i),

Student-t with nu - 1 degrees of freedom if the model holds, and turned into normal scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.own_scales import OwnScales, own_scales
from bayesridge.checks.refits import Residuals, no_residuals, normal_score, refitted, simulated_targets
from bayesridge.errors import DataError
from bayesridge.linalg.filters import expected_sizes
from bayesridge.linalg.rows import RowParts, row_parts
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.posterior import Posterior

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 21


def check_rows(posterior: Posterior) -> NDArray[np.intp]:
    """Return the rows that count, refusing fits whose rows cannot be judged one by one.

    Raises
    ------
    DataError
        If rows stand for several observations of one and the same value, or leave nothing to estimate the noise.
    """
    design = posterior.design
    degenerate = no_residuals(posterior)
    if degenerate:
        what = "a linear function of the columns" if degenerate == "perfect" else "constant"
        raise DataError(f"the target is {what} to rounding: there are no residuals to check")
    if design.nu < 3:
        raise DataError(f"checks of residuals need at least 3 residual degrees of freedom, got {design.nu:g}")
    w = design.weights
    if w is None:
        return np.arange(design.n_rows)
    if design.weight_kind == "frequency" and not np.isin(w, (0.0, 1.0)).all():
        raise DataError(
            "frequency weights make several observations with one and the same target, which no model with noise "
            "produces: check residuals on a table with one row for each observation"
        )
    return np.flatnonzero(w > 0)


def observed_residuals(posterior: Posterior) -> Residuals:
    """Leave-one-out residuals of the data (m = 1), computed as those of the replicates are."""
    keep = check_rows(posterior)
    if posterior.has_terms:
        return refitted(posterior, posterior.design.y[None, :], keep)
    rows, (_, z, r0) = _rows(posterior, keep), posterior.spectrum.coordinates
    scales = own_scales(posterior, z[None, :], np.array([r0]))
    return _residuals(posterior, rows, scales, z[None, :], rows.residual[None, :], rows.y[None, :])


def replicated_residuals(
    posterior: Posterior, simulations: int, random_state: int | np.random.Generator | None
) -> Iterator[Residuals]:
    """Simulate data sets and yield their leave-one-out residuals, some data sets at a time.

    Parameters
    ----------
    posterior : Posterior
    simulations : int
        Number of data sets.
    random_state : int, Generator or None

    Yields
    ------
    Residuals
        Together `simulations` data sets.
    """
    keep = check_rows(posterior)
    rng = generator(random_state)
    if posterior.has_terms:
        for y in simulated_targets(posterior, simulations, rng):
            yield refitted(posterior, y, keep)
        return
    rows = _rows(posterior, keep)
    flat = np.linalg.qr(_flat_directions(posterior, keep))[0]
    basis = np.column_stack([flat, rows.U])  # orthonormal: the columns were projected off the flat directions
    flat_fit = rows.y - rows.at(posterior.spectrum, np.inf)[0] / np.sqrt(rows.precision)
    lam, sigma = posterior.hyper.draw(simulations, rng)
    step = max(1, _BLOCK_VALUES // (len(keep) + 1))
    for k in range(0, simulations, step):
        part = slice(k, min(k + step, simulations))
        yield _replicate(posterior, rows, basis, flat_fit, lam[part], sigma[part], rng)


def _replicate(
    posterior: Posterior,
    rows: RowParts,
    basis: Array,
    flat_fit: Array,
    lam: Array,
    sigma: Array,
    rng: np.random.Generator,
) -> Residuals:
    m, n = len(lam), len(rows.y)
    z = expected_sizes(posterior.spectrum, lam, sigma)
    z = z * rng.standard_normal(z.shape)
    if basis.shape[1] < n:
        noise = sigma[:, None] * rng.standard_normal((m, n))
        residual = noise - (noise @ basis) @ basis.T
    else:
        residual = np.zeros((m, n))  # the columns span every target
    scales = own_scales(posterior, z, np.square(residual).sum(axis=1))
    y = flat_fit + (z @ rows.U.T + residual) / np.sqrt(rows.precision)
    return _residuals(posterior, rows, scales, z, residual, y)


def _rows(posterior: Posterior, keep: NDArray[np.intp]) -> RowParts:
    rows = row_parts(posterior.design, posterior.spectrum)
    return RowParts(*(np.asarray(getattr(rows, name))[keep] for name in RowParts.__dataclass_fields__))


def _flat_directions(posterior: Posterior, keep: NDArray[np.intp]) -> Array:
    """Root-weighted intercept and unpenalised columns, shape (n, n_flat)."""
    design = posterior.design
    columns = [np.ones((design.n_rows, 1))] if design.fit_intercept else []
    if posterior.spectrum.flat is not None:
        columns.append(design.standardized(None, design.unpenalized))
    Z = np.column_stack(columns) if columns else np.empty((design.n_rows, 0))
    root = design.root_weights()
    return (Z if root is None else Z * root[:, None])[keep]


def _residuals(
    posterior: Posterior, rows: RowParts, scales: OwnScales, z: Array, residual: Array, y: Array
) -> Residuals:
    nu = posterior.design.nu
    e, free = replace(rows, residual=residual).at(posterior.spectrum, scales.lam, z)  # free: 1 - h
    if scales.known:
        score = e / np.sqrt(free * scales.variance[:, None])
    else:
        without = np.maximum(scales.Q[:, None] - e * e / free, 1e-14 * scales.Q[:, None])
        score = normal_score(e / np.sqrt(free * without / (nu - 1.0)), nu - 1.0)
    return Residuals(y, y - e / free / np.sqrt(rows.precision), score)
