"""Simulation-based calibration of families: truths drawn from the priors are uniform in the posteriors of their data.

Without an intercept, whose prior is flat; `make study` runs 1,000 data sets of each family and shape.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, ndtri
from scipy.stats import kstest

from bayesridge import BetaR2, HalfT, InverseGamma, posterior

KNOWN = {"fit_intercept": False, "scale": False}


def one(family, shape, rng, too_narrow=1.0):
    """Probabilities of the truths under the posterior: three coefficients, lambda, and the family's own parameter."""
    n, p = shape
    X = rng.standard_normal(shape)
    if family == "student":
        noise = InverseGamma(4.0, 4.0)
        lam, sigma = BetaR2().draw(1, rng, float(p))[0], noise.draw(1, rng)[0]
        beta = sigma * lam**-0.5 * rng.standard_normal(p)
        y = X @ beta + sigma * rng.standard_t(4.0, n)
        post = posterior(X, y, family=family, noise_prior=noise, **KNOWN)
        own = [post.sigma.cdf(sigma)]
    else:
        scale = (np.pi / 3.0**0.5 if family == "binomial" else 1.0) / p**0.5
        tau = HalfT(4.0, scale, on="tau").draw(1, rng)[0]
        lam, beta = tau**-2.0, tau * rng.standard_normal(p)
        eta, phi = X @ beta, np.square(rng.standard_t(4.0))
        if family == "binomial":
            y = (rng.random(n) < expit(eta)).astype(float)
        else:
            if eta.max() > 20.0:  # more counts than a likelihood tells apart: as rare among truths as among draws
                return None
            y = rng.poisson(np.exp(eta) * (rng.gamma(1.0 / phi, phi, n) if family != "poisson" else 1.0)).astype(float)
        post = posterior(X, y, family=family, **KNOWN)
        own = [post.scales["dispersion"].cdf(phi)] if "dispersion" in post.scales else []
    mean = post.coefficients.mean
    return np.r_[post.coefficients.cdf(mean + too_narrow * (beta - mean))[:3], post.lambda_.cdf(lam), own]


def study(family, shape, simulations, **broken):
    rng = np.random.default_rng([7, simulations])
    found = [one(family, shape, rng, **broken) for _ in range(simulations)]
    return np.clip(np.array([part for part in found if part is not None]), 1e-6, 1.0 - 1e-6)


FAMILIES = ["binomial", "poisson", "negative-binomial", "student"]


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_a_hundredth_of_the_study(family):
    """Squares of normal scores have mean 1 (of a posterior three times too narrow 9); six data sets, 24 scores."""
    assert np.square(ndtri(study(family, (40, 5), 6))).mean() < 3.0


def test_posteriors_that_are_too_narrow_are_seen():
    assert np.square(ndtri(study("poisson", (40, 5), 6, too_narrow=4.0)))[:, :3].mean() > 3.0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesridge.errors.AccuracyWarning")
@pytest.mark.parametrize("shape", [(40, 5), (30, 60)])
@pytest.mark.parametrize("family", FAMILIES)
def test_calibration(family, shape):
    """Five numbers at most, each uniform: P(p < 2e-4) each."""
    found = study(family, shape, 1000)
    p_values = [kstest(column, "uniform").pvalue for column in found.T]
    assert min(p_values) > 2e-4, p_values


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_calibration_fails_where_it_should(family):
    """Posteriors half as wide as they ought to be, 100 data sets."""
    found = study(family, (40, 5), 100, too_narrow=2.0)
    assert min(kstest(column, "uniform").pvalue for column in found.T[:3]) < 1e-3
