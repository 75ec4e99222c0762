r"""The evidence: log p(y | lambda, sigma) with the coefficients integrated out.

With the intercept and unpenalised columns integrated too (flat prior) it has nu = n - q degrees of freedom and is
what mixed models call REML:

    -nu/2 log(2 pi sigma^2) - 1/2 log det Z'WZ + 1/2 sum log w - 1/2 sum_j log(1 + s_j^2/lambda) - Q / (2 sigma^2).

As a function of lambda it may have several maxima, and its supremum may lie at lambda -> 0 or -> infinity; all of
them are found here, from sign changes of the exact derivative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.filters import (
    check_lambda,
    effective_dof,
    filter_factors,
    penalized_rss,
    shrinkage,
    unit_variances,
)
from bayesridge.linalg.optimum import crossings
from bayesridge.linalg.search_range import search_range
from bayesridge.linalg.shares import log_growth
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]

_LIMIT = 600.0  # exp(+-600) and its square root times anything ordinary are still floats


def log_det_ratio(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Return ``sum_j log(1 + s_j^2 / lambda)``: log determinant of the prior over the posterior covariance."""
    return np.asarray(log_growth(spectrum.s2, check_lambda(lam)[..., None]).sum(axis=-1))


def log_evidence(spectrum: Spectrum, lam: ArrayLike, sigma: ArrayLike) -> Array:
    """Log density of y given lambda and sigma, coefficients and flat directions integrated out (REML).

    Parameters
    ----------
    lam, sigma : array_like
        Penalty and noise standard deviation; broadcast against each other.
    """
    variance = np.square(np.asarray(sigma, dtype=np.float64))
    return np.asarray(
        -0.5 * spectrum.nu * np.log(2.0 * np.pi * variance)
        - 0.5 * (spectrum.log_det_flat - spectrum.sum_log_weights + log_det_ratio(spectrum, lam))
        - 0.5 * penalized_rss(spectrum, lam) / variance
    )


def profile_sigma(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Noise standard deviation that maximises the evidence at each lambda, ``sqrt(Q / nu)``."""
    return np.sqrt(penalized_rss(spectrum, lam) / spectrum.nu)


def profile_log_evidence(spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Evidence (REML) maximised over sigma at each lambda."""
    nu = spectrum.nu
    return np.asarray(
        -0.5 * nu * (np.log(2.0 * np.pi * penalized_rss(spectrum, lam) / nu) + 1.0)
        - 0.5 * (spectrum.log_det_flat - spectrum.sum_log_weights + log_det_ratio(spectrum, lam))
    )


def profile_derivatives(spectrum: Spectrum, lam: ArrayLike) -> tuple[Array, Array]:
    """First and second derivative of :func:`profile_log_evidence` in ``t = log(lambda)``.

    With df_j/dt = -f_j (1 - f_j):  Q' = sum z^2 f (1-f),  Q'' = -sum z^2 f (1-f) (1-2f), and
    l' = sum f / 2 - nu Q' / (2 Q),  l'' = -sum f (1-f) / 2 - nu/2 (Q''/Q - (Q'/Q)^2).
    """
    f, g = filter_factors(spectrum, lam), shrinkage(spectrum, lam)
    spread = f * g
    Q = spectrum.r0 + g @ spectrum.z2
    first = spread @ spectrum.z2 / Q
    second = (spread * (f - g)) @ spectrum.z2 / Q
    slope = 0.5 * f.sum(axis=-1) - 0.5 * spectrum.nu * first
    curvature = -0.5 * spread.sum(axis=-1) - 0.5 * spectrum.nu * (second - first * first)
    return slope, curvature


def log_det_uncentred(design: Design, spectrum: Spectrum, lam: ArrayLike) -> Array:
    """Return ``log det(I + X'WX / lambda)`` of the scaled columns as they stand, flat directions *not* projected out.

    With C (q x p) the part of X in an orthonormal basis of the flat directions, X'WX = Xc'Xc + C'C, and Sylvester's
    identity leaves a q x q determinant beside the usual sum:

        sum_j log(1 + s_j^2 / lambda) + log det(I + C (lambda I + Xc'Xc)^-1 C').
    """
    grid = np.atleast_1d(check_lambda(lam))
    C = _flat_loadings(design, spectrum)
    inside = C @ spectrum.V
    outside = C @ C.T - inside @ inside.T
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.einsum("ij,kj,lj->kil", inside, unit_variances(spectrum, grid), inside)
        small += np.where(np.abs(outside) > 1e-14 * (C * C).sum(), outside, 0.0) / grid[:, None, None]
    log_det = np.linalg.slogdet(np.eye(len(C)) + small)[1]
    return np.asarray((log_det_ratio(spectrum, grid) + log_det).reshape(np.shape(lam)))


def _flat_loadings(design: Design, spectrum: Spectrum) -> Array:
    rows = []
    if design.fit_intercept:
        mean = design.mean[design.penalized] / design.scale[design.penalized]
        rows.append(np.sqrt(design.total_weight) * mean[None, :])
    if spectrum.flat is not None:
        rows.append(np.linalg.solve(spectrum.flat.root_inverse, spectrum.flat.on_predictors))
    return np.concatenate(rows) if rows else np.zeros((0, spectrum.n_features))


def log_evidence_ml(design: Design, spectrum: Spectrum, lam: ArrayLike, sigma: ArrayLike) -> Array:
    """Plain maximum-likelihood variant of the evidence: the flat directions maximised, not integrated.

    It has n degrees of freedom and, unlike REML, depends on where the penalised columns have their zero: they enter as
    they stand (scaled as the design says, not centred), as mixed-model software does with dummy columns.
    """
    variance = np.square(np.asarray(sigma, dtype=np.float64))
    return np.asarray(
        -0.5 * spectrum.n_obs * np.log(2.0 * np.pi * variance)
        - 0.5 * (log_det_uncentred(design, spectrum, lam) - spectrum.sum_log_weights)
        - 0.5 * penalized_rss(spectrum, lam) / variance
    )


def profile_log_evidence_ml(design: Design, spectrum: Spectrum, lam: ArrayLike) -> Array:
    """:func:`log_evidence_ml` maximised over sigma; -2 times it is lme4's ML objective."""
    n = spectrum.n_obs
    return np.asarray(
        -0.5 * n * (np.log(2.0 * np.pi * penalized_rss(spectrum, lam) / n) + 1.0)
        - 0.5 * (log_det_uncentred(design, spectrum, lam) - spectrum.sum_log_weights)
    )


def rises_to_infinity(spectrum: Spectrum) -> bool:
    """Whether the profile evidence rises towards lambda -> infinity: the sign of its slope there, times lambda."""
    share = spectrum.s2 / spectrum.s2.sum()
    return bool(spectrum.nu * (share @ (spectrum.z2 / spectrum.total_squares)) < 1.0)


Place = Literal["interior", "zero", "infinity", "flat"]


@dataclass(frozen=True)
class EvidenceMode:
    """A local maximum of the evidence over lambda.

    Attributes
    ----------
    lam, sigma, tau : float
        Values there; ``lam`` is 0 or infinity for the two limits, infinity where the evidence is flat.
    log_evidence : float
        Profile log evidence there (nats).
    log_lambda_sd : float
        ``(-d2/dt2)^(-1/2)`` at an interior mode: curvature standard error of log lambda; NaN at a limit.
    place : {"interior", "zero", "infinity", "flat"}
        "flat": every lambda has the same evidence (as many directions as observations, all of one size).
    """

    lam: float
    sigma: float
    tau: float
    log_evidence: float
    log_lambda_sd: float
    place: Place


@dataclass(frozen=True)
class EvidenceMaximum:
    """The global maximum of the evidence, and all its local maxima by increasing lambda.

    Attributes
    ----------
    best : EvidenceMode
    modes : tuple of EvidenceMode
        Every local maximum, the best one included.
    boundaries : tuple of float
        The minima between neighbouring modes (lambda), one fewer than modes.
    """

    best: EvidenceMode
    modes: tuple[EvidenceMode, ...]
    boundaries: tuple[float, ...]


@dataclass(frozen=True)
class ModeShare:
    """A local maximum of the evidence and the posterior probability of its basin.

    Attributes
    ----------
    mode : EvidenceMode
    share : float
        Posterior probability that lambda lies between the evidence's neighbouring minima.
    """

    mode: EvidenceMode
    share: float


def maximize_evidence(spectrum: Spectrum) -> EvidenceMaximum:
    """Find every local maximum of the profile evidence over lambda in [0, infinity].

    A scan (:mod:`bayesridge.linalg.search_range`) sees every change of sign of the derivative, and each is then refined
    to rounding. The limits count as maxima when the evidence rises towards them: lambda -> infinity means
    the data show no signal, lambda -> 0 that they ask for interpolation.

    Returns
    -------
    EvidenceMaximum
    """
    if spectrum.rank == 0 or spectrum.degenerate == "constant":
        mode = _mode(spectrum, np.inf, "infinity")
        return EvidenceMaximum(mode, (mode,), ())
    grid = _scan_grid(spectrum)
    slopes = _slopes(spectrum, grid)
    if not slopes.any():
        mode = _mode(spectrum, np.inf, "flat")
        return EvidenceMaximum(mode, (mode,), ())
    grid, signs = grid[slopes != 0], np.sign(slopes[slopes != 0])

    def slope(t: Array) -> Array:
        return profile_derivatives(spectrum, np.exp(t))[0]

    modes = [_mode(spectrum, float(np.exp(t)), "interior") for t in crossings(slope, grid, -signs)]
    boundaries = [float(np.exp(t)) for t in crossings(slope, grid, signs)]
    if signs[0] < 0:
        modes.insert(0, _mode(spectrum, 0.0, "zero"))
    if signs[-1] > 0 or not modes:
        modes.append(_mode(spectrum, np.inf, "infinity"))
    best = max(modes, key=lambda mode: mode.log_evidence)
    return EvidenceMaximum(best, tuple(modes), tuple(boundaries))


def _scan_grid(spectrum: Spectrum) -> Array:
    where = search_range(spectrum)
    if not (np.log(spectrum.s2[-1]) > -_LIMIT and where.grid[-1] < _LIMIT):
        raise DataError(
            f"the squared singular values of the columns run from {spectrum.s2[-1]:.1e} to {spectrum.s2[0]:.1e}: the "
            "lambda that goes with them is no float64; use scale=True, or other units"
        )
    return where.grid


def _slopes(spectrum: Spectrum, grid: Array) -> Array:
    size = max(1, (1 << 20) // spectrum.rank)
    parts = [np.exp(grid[k : k + size]) for k in range(0, len(grid), size)]
    slope = np.concatenate([profile_derivatives(spectrum, lam)[0] for lam in parts])
    # half the effective dof less as much: a difference that is rounding is zero, and has no sign
    dof = np.concatenate([effective_dof(spectrum, lam) for lam in parts])
    return np.where(np.abs(slope) > 1e-13 * dof, slope, 0.0)


def _mode(spectrum: Spectrum, lam: float, place: Place) -> EvidenceMode:
    sigma = float(profile_sigma(spectrum, lam))
    if place == "interior":
        curvature = float(profile_derivatives(spectrum, lam)[1])
        sd = 1.0 / np.sqrt(-curvature) if curvature < 0 else np.inf
        return EvidenceMode(lam, sigma, sigma / lam**0.5, float(profile_log_evidence(spectrum, lam)), sd, place)
    if place in ("infinity", "flat"):
        return EvidenceMode(lam, sigma, 0.0, float(profile_log_evidence(spectrum, lam)), np.nan, place)
    # lambda -> 0 with r0 = 0: sigma -> 0 and tau^2 = Q / (nu lambda) -> sum z^2/s^2 / nu, evidence finite
    tau2 = spectrum.squared_norm / spectrum.nu
    value = (
        -0.5 * spectrum.nu * (np.log(2.0 * np.pi * tau2) + 1.0)
        - 0.5 * (spectrum.log_det_flat - spectrum.sum_log_weights + float(np.log(spectrum.s2).sum()))
    )  # fmt: skip
    return EvidenceMode(0.0, sigma, tau2**0.5, value, np.nan, place)
