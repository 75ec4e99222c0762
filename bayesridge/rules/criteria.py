r"""Criteria for lambda that cost O(rank) each, with exact derivatives in ``t = log(lambda)``.

Each is a function of :class:`~bayesridge.linalg.terms.SpectralTerms` and is to be minimised. Notation: f_j filter
factors, g = 1 - f, R the residual sum of squares, q the number of flat directions (intercept, unpenalised columns), n
the number of observations, T = n - q - sum f the residual degrees of freedom. Sources: docs/rules.md.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from bayesridge.linalg.optimum import Curve
from bayesridge.linalg.terms import SpectralTerms

Array = NDArray[np.float64]


def negative_log_evidence(terms: SpectralTerms, degrees: float) -> Curve:
    """Minus the log evidence profiled over sigma (nats).

    ``degrees = nu = n - q`` is the evidence with the flat directions integrated out (REML). ``degrees = n`` is maximum
    likelihood: flat directions maximised, columns with the flat directions projected out (centred).
    """
    spectrum = terms.spectrum
    log_det = terms.log_det
    if degrees == spectrum.nu:  # the integral over flat directions leaves their determinant
        log_det = log_det + spectrum.log_det_flat
    Q = terms.penalized_rss
    value = (
        0.5 * degrees * (np.log(2.0 * np.pi / degrees) + np.log(Q) + 1.0) + 0.5 * log_det
        - 0.5 * spectrum.sum_log_weights
    )  # fmt: skip
    return Curve(value, 0.5 * degrees * terms.penalized_rss_slope / Q - 0.5 * terms.dof)


def evidence_curvature(terms: SpectralTerms, degrees: float) -> Array:
    """Second derivative in log lambda of :func:`negative_log_evidence`: the observed information of log lambda."""
    Q, first = terms.penalized_rss, terms.penalized_rss_slope
    second = terms.of_target(terms.fg * (terms.f - terms.g))
    return np.asarray(0.5 * degrees * (second / Q - (first / Q) ** 2) + 0.5 * terms.dof_fall)


def gcv(terms: SpectralTerms) -> Curve:
    """Generalised cross-validation ``(R/n) / (T/n)^2`` (squared units of y); T counts the flat directions as used."""
    R, T = terms.rss, terms.residual_dof
    value = terms.spectrum.n_obs * R / T**2
    return Curve(value, value * _log_gcv_slope(terms))


def _log_gcv_slope(terms: SpectralTerms) -> Array:
    return np.asarray(terms.rss_slope / terms.rss - 2.0 * terms.dof_fall / terms.residual_dof)


def robust_gcv(terms: SpectralTerms, gamma: float) -> Curve:
    """Robust GCV ``(gamma + (1 - gamma) tr(A^2)/n) GCV``, A the hat matrix: ``tr(A^2) = q + sum f^2``."""
    n = terms.spectrum.n_obs
    q = n - terms.spectrum.nu
    factor = gamma + (1.0 - gamma) * (q + (terms.f * terms.f).sum(axis=1)) / n
    fall = 2.0 * (1.0 - gamma) * (terms.f * terms.fg).sum(axis=1) / n
    plain = gcv(terms).value
    return Curve(plain * factor, plain * (factor * _log_gcv_slope(terms) - fall))


def sure(terms: SpectralTerms, sigma: float) -> Curve:
    """Mallows' Cp, ``R / sigma^2 - n + 2 (q + sum f)``.

    sigma^2 times it is Stein's unbiased estimate of the risk ``E |fitted - expected|^2`` under Gaussian noise of
    standard deviation sigma.
    """
    n = terms.spectrum.n_obs
    value = terms.rss / sigma**2 - n + 2.0 * (n - terms.spectrum.nu + terms.dof)
    return Curve(value, terms.rss_slope / sigma**2 - 2.0 * terms.dof_fall)


def _deviance(terms: SpectralTerms) -> Array:
    """-2 log likelihood at the ridge fit, sigma^2 = R/n."""
    n = terms.spectrum.n_obs
    return np.asarray(n * (np.log(2.0 * np.pi * terms.rss / n) + 1.0) - terms.spectrum.sum_log_weights)


def _parameters(terms: SpectralTerms) -> Array:
    """Count parameters: effective dof, flat directions, and sigma."""
    return np.asarray(terms.dof + (terms.spectrum.n_obs - terms.spectrum.nu) + 1.0)


def information(terms: SpectralTerms, price: float) -> Curve:
    """-2 log likelihood + price * k with ``k = sum f + q + 1``: AIC at price 2, BIC at price log n."""
    n = terms.spectrum.n_obs
    value = _deviance(terms) + price * _parameters(terms)
    return Curve(value, n * terms.rss_slope / terms.rss - price * terms.dof_fall)


aic = partial(information, price=2.0)


def corrected_aic(terms: SpectralTerms) -> Curve:
    """AICc: -2 log likelihood + ``2 k n / (n - k - 1)``, infinite where ``k >= n - 1``.

    The derivative is multiplied by ``(n - k - 1)^2 = (T - 2)^2``, which takes its pole away.
    """
    n, room = terms.spectrum.n_obs, terms.residual_dof - 2.0
    price = 2.0 * n * _parameters(terms) / np.where(room > 0, room, 1.0)
    value = np.where(room > 0, _deviance(terms) + price, np.inf)
    slope = n * terms.rss_slope / terms.rss * room**2 - 2.0 * n * (n - 1.0) * terms.dof_fall
    return Curve(value, slope)


def quasi_optimality(terms: SpectralTerms) -> Curve:
    """``|d beta / d log(lambda)|``, squared, beta the standardised coefficients: ``sum (z/s)^2 (f g)^2``.

    It vanishes at both ends by construction; only interior minima mean something.
    """
    squares, of = terms.fg * terms.fg, terms.of_coefficients
    return Curve(of(squares), 2.0 * of(squares * (terms.f - terms.g)))


def l_curve(terms: SpectralTerms) -> Curve:
    """Minus the curvature of the L-curve ``(log |residual|, log |beta|)``; the corner is its minimum.

    With rho = log(R)/2 and eta = log(E)/2, ``E = |beta|^2 = sum (z/s)^2 f^2``, and a, b their first derivatives,

        kappa = (a b' - a' b) / (a^2 + b^2)^(3/2) =: N / M^(3/2),
        kappa' M^(5/2) = N' M - 3/2 N M',   N' = a b'' - a'' b,   M' = 2 (a a' + b b').
    """
    f, g, fg = terms.f, terms.g, terms.fg
    # derivatives of sum z^2 g^2 and of sum (z/s)^2 f^2, from dg/dt = f g = -df/dt
    R = (
        terms.rss,
        terms.rss_slope,
        2.0 * terms.of_target(fg * g * (2.0 * f - g)),
        2.0 * terms.of_target(fg * g * (4.0 * f * (f - g) - 3.0 * f * g + g * g)),
    )
    E = (
        terms.squared_norm,
        -2.0 * terms.of_coefficients(fg * f),
        2.0 * terms.of_coefficients(fg * f * (2.0 * g - f)),
        2.0 * terms.of_coefficients(fg * f * (4.0 * g * (f - g) + 3.0 * f * g - f * f)),
    )
    a, a1, a2 = _half_log_derivatives(*R)
    b, b1, b2 = _half_log_derivatives(*E)
    N, M = a * b1 - a1 * b, a * a + b * b
    N1, M1 = a * b2 - a2 * b, 2.0 * (a * a1 + b * b1)
    return Curve(-N / M**1.5, -(N1 * M - 1.5 * N * M1))


def _half_log_derivatives(x: Array, x1: Array, x2: Array, x3: Array) -> tuple[Array, Array, Array]:
    """First three derivatives of ``log(x) / 2``."""
    u, v, w = x1 / x, x2 / x, x3 / x
    return 0.5 * u, 0.5 * (v - u * u), 0.5 * (w - 3.0 * u * v + 2.0 * u**3)
