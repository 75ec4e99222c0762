"""Exact leave-one-out against one refit for every observation, the column divisors held fixed.

1e-10 in log density: both sides carry the quadrature's 1e-13, and the refit's own standardisation. The prior of lambda
must not depend on the rows, so it is one on lambda, tau/sigma or tau, not on R^2.
"""

import numpy as np
import pytest

from bayesridge.fit import posterior
from bayesridge.linalg.rows import leverage, loo_residuals
from bayesridge.priors import FixedLambda, FixedScales, Gamma, GammaPrecisions, HalfCauchy, HalfNormal, InverseGamma
from tests.truth.problems import problems

NAMES = [
    "tall", "wide", "square", "rank 3 of 5", "tied singular values", "precision weights", "frequency weights",
    "unpenalised columns", "wide, unpenalised", "no intercept", "unscaled",
]  # fmt: skip
PRIORS = {
    "half-Cauchy": (HalfCauchy(0.6), None),
    "inverse-gamma": (Gamma(1.5, 0.2), InverseGamma(2.0, 0.7)),
    "fixed lambda": (FixedLambda(1.3), None),
    "fixed scales": (FixedScales(0.8, 0.5), None),
    "precisions": (GammaPrecisions(1.5, 0.4, 2.0, 0.7), None),
    "plane": (HalfNormal(0.8, on="tau"), HalfNormal(1.5, on="sigma")),
}


def without(problem, i, divisors):
    """The data with one observation of row i left out."""
    options = {**problem.options, "scale": divisors}
    w = options.get("weights")
    if w is not None and options["weight_kind"] == "frequency" and w[i] > 1:
        w = w.copy()
        w[i] -= 1
        return problem.X, problem.y, {**options, "weights": w}
    kept = np.arange(len(problem.y)) != i
    if w is not None:
        options["weights"] = w[kept]
    return problem.X[kept], problem.y[kept], options


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("name", NAMES)
def test_pointwise_densities_are_those_of_refits(name, prior):
    problem = problems()[name]
    stated, noise = PRIORS[prior]
    full = posterior(problem.X, problem.y, prior=stated, noise_prior=noise, **problem.options)
    loo = full.loo
    w = problem.options.get("weights", np.ones(len(problem.y)))
    precision = problem.options.get("weight_kind") == "precision"
    rows = np.flatnonzero(w > 0)
    expected, means, pit = [], [], []
    for i in rows:
        X, y, options = without(problem, i, full.design.scale)
        refit = posterior(X, y, prior=stated, noise_prior=noise, **options)
        new = refit.predict(problem.X[i : i + 1], weights=w[i] if precision else None)
        expected.append(new.log_density(problem.y[i : i + 1])[0])
        means.append(new.mean[0])
        pit.append(new.target.cdf(problem.y[i])[0])
    assert np.abs(loo.pointwise[rows] - expected).max() < 1e-10
    # means and probabilities are sums of the same nodes with tilted weights; 1e-8 is what the issue asks of those
    assert loo.mean[rows] == pytest.approx(np.array(means), rel=1e-8, abs=1e-8)
    assert loo.pit[rows] == pytest.approx(np.array(pit), abs=1e-8)
    count = np.ones(len(rows)) if precision else w[rows]
    assert loo.elpd_loo == pytest.approx(count @ np.array(expected), rel=1e-10)
    terms = np.repeat(expected, count.astype(int))
    assert loo.se == pytest.approx(np.sqrt(len(terms)) * terms.std(ddof=1), rel=1e-8)
    assert np.isnan(loo.pointwise[w == 0]).all()
    inside = full.predict(problem.X[rows], weights=w[rows] if precision else None).log_density(problem.y[rows])
    if full.spectrum.r0 == 0.0 and np.isinf(loo.p_loo):
        return  # X can fit y exactly and the prior allows lambda -> 0: the in-sample density has no finite mean
    assert loo.p_loo == pytest.approx(count @ (inside - np.array(expected)), abs=1e-7)


@pytest.mark.parametrize("lam", [0.05, 3.0, 200.0])
@pytest.mark.parametrize("name", NAMES)
def test_closed_form_residuals_are_those_of_refits(name, lam):
    problem = problems()[name]
    full = posterior(problem.X, problem.y, prior=FixedLambda(lam), **problem.options)
    got = loo_residuals(full.design, full.spectrum, lam)
    w = problem.options.get("weights", np.ones(len(problem.y)))
    for i in np.flatnonzero(w > 0):
        X, y, options = without(problem, i, full.design.scale)
        refit = posterior(X, y, prior=FixedLambda(lam), **options)
        error = problem.y[i] - refit.predict(problem.X[i : i + 1]).mean[0]
        assert got[i] == pytest.approx(error, rel=1e-9, abs=1e-10)
    h = leverage(full.design, full.spectrum, lam)
    dense = problem.dense()
    values = dense.pencil[0]
    assert h.sum() == pytest.approx((values / (values + lam)).sum() + dense.Z.shape[1], rel=1e-11)
