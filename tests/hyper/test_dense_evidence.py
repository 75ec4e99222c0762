"""The evidence, its profile, derivatives, maxima and integral against the dense Gaussian of the rows.

1e-10 relative (of the log density, or 1e-10 nats): the dense Cholesky carries about 1e-14 times the condition number of
its matrix, below 1e4 at the points asked for. The integral over (lambda, sigma): 1e-10, the package's own tolerance.
"""

import mpmath
import numpy as np
import pytest

from bayesridge.hyper.evidence import (
    log_evidence,
    log_evidence_ml,
    maximize_evidence,
    profile_derivatives,
    profile_log_evidence,
    profile_sigma,
)
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, FixedLambda, FixedScales, Jeffreys
from tests.truth import oracle
from tests.truth.problems import NAMES, ROUTES, problems

POINTS = [(0.03, 0.8), (1.7, 0.5), (40.0, 2.5)]


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_log_evidence_is_the_density_of_the_rows(name, route):
    problem = problems()[name]
    _, spectrum = problem.spectrum(route)
    dense = problem.dense()
    assert spectrum.nu == dense.nu
    for lam, sigma in POINTS:
        assert float(log_evidence(spectrum, lam, sigma)) == pytest.approx(dense.log_evidence(lam, sigma), rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_the_two_dense_routes_agree(name):
    # the integrals below use the second
    dense = problems()[name].dense()
    for lam, sigma in POINTS:
        fast = dense.log_evidence_grid(np.log(lam), np.log(sigma))
        assert float(fast) == pytest.approx(dense.log_evidence(lam, sigma), rel=1e-11)


@pytest.mark.parametrize("name", ["wide", "precision weights", "unpenalised columns", "rank 3 of 5"])
def test_log_evidence_in_forty_digits(name):
    """The marginal density of y with g integrated by hand: p = (2 pi)^(-nu/2) |S|^-1/2 |Z'S^-1 Z|^-1/2 exp(-y'Py/2)."""
    problem = problems()[name]
    _, spectrum = problem.spectrum("svd")
    d = problem.dense()
    lam, sigma = 0.37, 1.3
    with mpmath.workdps(40):
        Z, X, y = mpmath.matrix(d.Z.tolist()), mpmath.matrix(d.X.tolist()), mpmath.matrix(d.y.tolist())
        S = X * X.T / mpmath.mpf(lam)
        for i, w in enumerate(d.w):
            S[i, i] += 1 / mpmath.mpf(float(w))
        S *= mpmath.mpf(sigma) ** 2
        inverse = S**-1
        M = Z.T * inverse * Z
        g = M**-1 * (Z.T * inverse * y)
        r = y - Z * g
        quadratic = (r.T * inverse * r)[0]
        value = -(d.nu * mpmath.log(2 * mpmath.pi) + mpmath.log(mpmath.det(S)) + mpmath.log(mpmath.det(M)) + quadratic)
        expected = float(value / 2)
    assert float(log_evidence(spectrum, lam, sigma)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_marginal_likelihood_is_the_double_integral(name, route):
    problem = problems()[name]
    dense = problem.dense()
    points = oracle.plane(dense, oracle.log_beta_r2(dense.signal))
    posterior = problem.infer(route)
    assert posterior.spectrum.signal == pytest.approx(dense.signal, rel=1e-13)
    assert posterior.log_marginal_likelihood == pytest.approx(points.log_total, abs=1e-10)
    assert posterior.quadrature_error < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_fixed_values_have_the_density_at_the_point(name):
    problem = problems()[name]
    dense = problem.dense()
    design, spectrum = problem.spectrum("svd")
    sigma, tau = 0.9, 0.4
    known = infer(design, spectrum, FixedScales(sigma, tau), Jeffreys())
    expected = dense.log_evidence((sigma / tau) ** 2, sigma)
    assert known.log_marginal_likelihood == pytest.approx(expected, rel=1e-11)
    # lambda fixed: integral over log sigma by panels, against the closed form
    x, w = np.polynomial.legendre.leggauss(8)
    v, w = np.add.outer(np.arange(-12.0, 48.0, 0.1), 0.05 * (x + 1)).ravel(), np.tile(0.05 * w, 600)
    log_p = dense.log_evidence_grid(np.full_like(v, np.log(2.2)), v) + np.log(2.0)  # 1/sigma^2 dsigma^2 = 2 dv
    top = log_p.max()
    expected = top + np.log((w * np.exp(log_p - top)).sum())
    fixed = infer(design, spectrum, FixedLambda(2.2), Jeffreys())
    assert fixed.log_marginal_likelihood == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_profile_and_its_derivatives(name):
    problem = problems()[name]
    _, spectrum = problem.spectrum("svd")
    dense = problem.dense()
    for t in (-2.0, 0.5, 3.0):
        lam = np.exp(t)
        sigma = float(profile_sigma(spectrum, lam))
        top = dense.log_evidence(lam, sigma)
        assert float(profile_log_evidence(spectrum, lam)) == pytest.approx(top, rel=1e-10)
        # a maximum over sigma: lower at both sides by nu step^2
        for step in (-1e-3, 1e-3):
            assert top - dense.log_evidence(lam, sigma * np.exp(step)) == pytest.approx(dense.nu * 1e-6, rel=3e-3)

    # derivatives of the dense profile, Q from the dense quadratic form, by a complex step would need a complex
    # Cholesky: central differences with Richardson's step instead (error h^4 / 30 of the fifth derivative, about 1e-9)
    def profile(t):
        # at sigma = 1 the log density is c - log det / 2 - Q / 2
        one, two = dense.log_evidence(np.exp(t), 1.0), dense.log_evidence(np.exp(t), np.sqrt(0.5))
        Q = 2.0 * (one - two + 0.5 * dense.nu * np.log(2.0))
        return one + 0.5 * Q - 0.5 * dense.nu * (np.log(Q / dense.nu) + 1.0)

    h = 0.02
    for t in (-1.0, 1.0, 2.5):
        f = [profile(t + k * h) for k in range(-2, 3)]
        slope, curvature = profile_derivatives(spectrum, np.exp(t))
        assert float(slope) == pytest.approx((f[0] - 8 * f[1] + 8 * f[3] - f[4]) / (12 * h), abs=1e-6)
        second = (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * h * h)
        assert float(curvature) == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_no_point_of_a_fine_grid_is_above_the_maximum(name):
    problem = problems()[name]
    _, spectrum = problem.spectrum("svd")
    dense = problem.dense()
    found = maximize_evidence(spectrum)
    t = np.linspace(-25.0, 25.0, 4001)
    values, squares, _ = dense.pencil
    Q = (squares / (1.0 + np.multiply.outer(np.exp(-t), values))).sum(axis=1)
    profile = dense.log_evidence_grid(t, 0.5 * np.log(Q / dense.nu))
    assert profile.max() <= found.best.log_evidence + 1e-9
    if found.best.place == "interior":
        assert profile.max() == pytest.approx(found.best.log_evidence, abs=1e-4)  # half a step squared of curvature
        sigma = found.best.sigma
        assert dense.log_evidence(found.best.lam, sigma) == pytest.approx(found.best.log_evidence, rel=1e-10)
    inner = (profile[1:-1] > profile[:-2] + 1e-12) & (profile[1:-1] > profile[2:] + 1e-12)
    assert inner.sum() <= sum(mode.place == "interior" for mode in found.modes)


@pytest.mark.parametrize("name", ["tall", "precision weights", "frequency weights", "unpenalised columns"])
def test_ml_variant_maximises_over_the_flat_directions(name):
    """N(y; Z g, S) at the generalised least-squares g, the columns scaled but not centred."""
    problem = problems()[name]
    design, spectrum = problem.spectrum("svd")
    d = problem.dense()
    lam, sigma = 1.4, 0.8
    X = d.X + d.offset / d.scale
    S = sigma**2 * (np.diag(1 / d.w) + X @ X.T / lam)
    inverse = np.linalg.inv(S)
    g = np.linalg.solve(d.Z.T @ inverse @ d.Z, d.Z.T @ inverse @ d.y)
    r = d.y - d.Z @ g
    expected = -0.5 * (len(r) * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + r @ inverse @ r)
    assert float(log_evidence_ml(design, spectrum, lam, sigma)) == pytest.approx(expected, rel=1e-10)


def test_evidence_modes_share_the_posterior():
    # one strong direction and many weak ones that fit noise: shares must add up to one and follow the cdf
    for name in NAMES:
        posterior = problems()[name].infer("svd", BetaR2(1.0, 1.0))
        shares = [mode.share for mode in posterior.evidence_modes]
        assert sum(shares) == pytest.approx(1.0, abs=1e-12)
        assert min(shares) >= 0.0
