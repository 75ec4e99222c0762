"""The evidence's derivatives and maxima, and scikit-learn's objective beside it."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from bayesridge import posterior
from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.hyper.evidence import (
    maximize_evidence,
    profile_derivatives,
    profile_log_evidence,
)
from bayesridge.linalg.filters import penalized_rss
from bayesridge.linalg.spectrum import factorize


def log_objective_sklearn(spectrum, lam, sigma):
    """The evidence of the centred y with n degrees of freedom (the intercept neither integrated nor counted) plus
    unnormalised Gamma(1e-6, 1e-6) log densities of both precisions."""
    noise, prior = sigma**-2, lam * sigma**-2
    hyper = 1e-6 * (np.log(prior) - prior + np.log(noise) - noise)
    fit = -0.5 * spectrum.n_obs * np.log(2.0 * np.pi / noise) - 0.5 * penalized_rss(spectrum, lam) * noise
    return hyper + fit - 0.5 * np.log1p(spectrum.s2 / lam).sum()


@pytest.mark.parametrize("name", ["diabetes", "longley", "sensor"])
def test_scikit_learns_objective(name: str) -> None:
    """scikit-learn's last score is its objective at its final precisions; it carries some ten digits."""
    X, y = load_xy(name)
    X, y = (X.to_numpy(float) - X.to_numpy(float).mean(axis=0)) / X.to_numpy(float).std(axis=0), y.to_numpy(float)
    peer = BayesianRidge(compute_score=True).fit(X, y)
    spectrum = factorize(build_design(X, y, scale=False))
    ours = log_objective_sklearn(spectrum, peer.lambda_ / peer.alpha_, peer.alpha_**-0.5)
    assert float(ours) == pytest.approx(peer.scores_[-1], rel=1e-8)


def test_derivatives_in_log_lambda() -> None:
    """Against 40-digit numerical differentiation of the formula written out."""
    X, y = load_xy("longley")
    spectrum = factorize(build_design(X.to_numpy(float), y.to_numpy(float)))
    mpmath.mp.dps = 40
    s2, z2 = ([mpmath.mpf(float(v)) for v in values] for values in (spectrum.s2, spectrum.z2))
    r0, nu = mpmath.mpf(spectrum.r0), mpmath.mpf(spectrum.nu)

    def formula(t: mpmath.mpf) -> mpmath.mpf:
        lam = mpmath.exp(t)
        Q = r0 + sum(z * lam / (s + lam) for s, z in zip(s2, z2, strict=True))
        return -nu / 2 * mpmath.log(Q) - sum(mpmath.log(1 + s / lam) for s in s2) / 2

    for t in (-8.0, -3.0, 0.0, 4.0):
        slope, bend = profile_derivatives(spectrum, np.exp(t))
        assert float(slope) == pytest.approx(float(mpmath.diff(formula, t)), rel=1e-10, abs=1e-12)
        assert float(bend) == pytest.approx(float(mpmath.diff(formula, t, 2)), rel=1e-9, abs=1e-12)


def test_every_mode_with_its_share() -> None:
    """Two columns on very different scales of signal: two maxima, and the shares of their basins add up to one."""
    rng = np.random.default_rng(0)
    U = np.linalg.qr(np.column_stack([np.ones(40), rng.standard_normal((40, 12))]))[0][:, 1:]
    X = U * np.r_[1e3, np.full(11, 0.5)]
    y = U @ np.r_[30.0, np.full(11, 3.0)] + 0.5 * rng.standard_normal(40)
    post = posterior(X, y, scale=False)
    found = post.evidence
    t = np.linspace(-25, 35, 60_001)
    values = profile_log_evidence(post.spectrum, np.exp(t))
    peaks = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])) + 1
    interior = [mode for mode in found.modes if mode.place == "interior"]
    np.testing.assert_allclose(np.log([mode.lam for mode in interior]), t[peaks], atol=1e-3)
    assert found.best.log_evidence >= values.max() - 1e-12
    shares = [item.share for item in post.evidence_modes]
    assert sum(shares) == pytest.approx(1.0, abs=1e-12)
    assert len(found.boundaries) == len(found.modes) - 1


def test_limits_are_said() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 3))
    noise = rng.standard_normal(30)
    noise -= X @ np.linalg.lstsq(X, noise, rcond=None)[0]
    none = maximize_evidence(factorize(build_design(X, noise - noise.mean() + 5.0)))
    assert none.best.place == "infinity"
    assert none.best.lam == np.inf
    assert none.best.tau == 0.0
    wide = rng.standard_normal((10, 40))
    # y along the leading direction only, more than the model expects: interpolation is preferred
    design = build_design(wide, wide @ rng.standard_normal(40) * 5)
    spectrum = factorize(design)
    limit = [mode for mode in maximize_evidence(spectrum).modes if mode.place == "zero"]
    for mode in limit:
        assert mode.log_evidence == pytest.approx(float(profile_log_evidence(spectrum, 1e-12)), abs=1e-6)
        assert mode.sigma == 0.0
