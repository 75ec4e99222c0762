"""Posterior moments, distribution functions and quantiles against dense algebra integrated over (lambda, log sigma).

1e-9 relative to the posterior sd, 1e-9 in probability: the integrals' own tolerance is 1e-10, and variances of
directions that X does not see weigh the tail of small lambda with 1 / lambda (hence 1e-8 relative for those).
"""

from functools import cache

import numpy as np
import pytest

from tests.truth import oracle
from tests.truth.problems import NAMES, ROUTES, problems


@cache
def truth(name):
    dense = problems()[name].dense()
    points = oracle.plane(dense, oracle.log_beta_r2(dense.signal))
    return dense, points, oracle.coefficients(dense, points)


@cache
def moments(name):
    _, _, expected = truth(name)
    cov = expected.covariance()
    return (cov, *expected.moments(np.eye(len(cov))))


@cache
def posterior(name, route):
    return problems()[name].infer(route)


def new_rows(problem):
    X = problem.X
    far = np.vstack([X[1] + 2.0 * X.std(axis=0), X[0] - X.std(axis=0) * np.cos(np.arange(X.shape[1]))])
    if problem.spectrum("svd")[1].rank < problem.dense().X.shape[1]:
        return far  # at rows that the data span, the dense null / lambda cancels to nothing but its rounding
    return np.vstack([X[0], X.mean(axis=0), far])


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_means_and_covariance_of_the_coefficients(name, route):
    cov, mean, variance = moments(name)
    got = posterior(name, route)
    sd = np.sqrt(variance)
    assert np.abs((got.coefficients.mean - mean[1:]) / sd[1:]).max() < 1e-9
    assert got.coefficients.variance == pytest.approx(variance[1:], rel=1e-8)
    assert np.abs((got.covariance() - cov[1:, 1:]) / np.outer(sd[1:], sd[1:])).max() < 1e-8
    assert got.intercept.mean[0] == pytest.approx(mean[0], abs=1e-9 * sd[0])
    assert got.intercept.variance[0] == pytest.approx(variance[0], rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_distribution_functions_of_the_coefficients(name):
    _, _, expected = truth(name)
    got = posterior(name, problems()[name].routes[0])
    some = got.coefficients.take(slice(0, 4))
    rows = np.eye(problems()[name].X.shape[1] + 1)[1:5]
    for q in (0.025, 0.9):
        x = some.quantile(q)
        assert np.abs(expected.cdf(rows, x) - q).max() < 1e-9
        assert np.abs(some.cdf(x) - q).max() < 1e-12
    assert np.abs(1.0 - expected.cdf(rows, np.zeros(len(rows))) - some.prob_positive).max() < 1e-9
    x = some.mean + 0.7 * np.where(np.isfinite(some.sd), some.sd, 1.0)
    assert some.log_pdf(x) == pytest.approx(expected.log_pdf(rows, x), abs=1e-8)
    hdi, eti = some.hdi(0.9), some.interval(0.9)
    inside = expected.cdf(rows, hdi[:, 1]) - expected.cdf(rows, hdi[:, 0])
    assert np.abs(inside - 0.9).max() < 1e-9
    assert (np.diff(hdi) <= np.diff(eti) * (1 + 1e-9)).all()
    ends = np.array([expected.log_pdf(rows, hdi[:, k]) for k in (0, 1)])
    assert np.abs(ends[1] - ends[0]).max() < 1e-6  # equal densities; the interval's length is flat there


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_predictions_and_contrasts(name, route):
    _, _, expected = truth(name)
    problem = problems()[name]
    got = posterior(name, route)
    X = new_rows(problem)
    rows = np.column_stack([np.full(len(X), float(got.design.fit_intercept)), X])
    prediction = got.predict(X)
    mean, variance = expected.moments(rows)
    assert np.abs((prediction.mean - mean) / np.sqrt(variance)).max() < 1e-9
    assert prediction.mean_sd**2 == pytest.approx(variance, rel=1e-8)
    assert prediction.sd**2 == pytest.approx(expected.moments(rows, noise=1.0)[1], rel=1e-8)
    A = np.random.default_rng(0).standard_normal((2, problem.X.shape[1]))
    contrast = got.contrast(A)
    mean, variance = expected.moments(np.column_stack([np.zeros(2), A]))
    assert np.abs((contrast.mean - mean) / np.sqrt(variance)).max() < 1e-9
    assert contrast.variance == pytest.approx(variance, rel=1e-8)
    if route != problem.routes[0]:
        return  # distributions follow from moments at the nodes
    noise = expected.points.expect(expected.points.sigma**2)
    assert prediction.noise_sd**2 == pytest.approx(np.full(len(X), noise), rel=1e-7)
    ends = prediction.interval(0.9)
    for k, q in enumerate((0.05, 0.95)):
        assert np.abs(expected.cdf(rows, ends[:, k], noise=1.0) - q).max() < 1e-9
    y = prediction.mean + 1.0
    assert prediction.log_density(y) == pytest.approx(expected.log_pdf(rows, y, noise=1.0), abs=1e-8)
    heavier = got.predict(X, weights=4.0)
    assert heavier.sd**2 == pytest.approx(expected.moments(rows, noise=0.25)[1], rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_hyperparameters(name):
    dense, points, _ = truth(name)
    got = posterior(name, problems()[name].routes[0])
    log_prior = oracle.log_beta_r2(dense.signal)
    # lambda's mean diverges under Beta(1/2, 1/2): its upper tail falls as lambda^(-3/2)
    assert got.lambda_.mean == np.inf
    assert got.lambda_.sd == np.inf
    assert got.sigma.mean == pytest.approx(points.expect(points.sigma), rel=1e-9)
    assert got.sigma.moment(2) == pytest.approx(points.expect(points.sigma**2), rel=1e-9)
    assert got.tau.mean == pytest.approx(points.expect(points.tau), rel=1e-8)
    r2 = dense.signal / (dense.signal + points.lam)
    assert got.r2.mean == pytest.approx(points.expect(r2), rel=1e-9)
    assert got.r2.sd == pytest.approx(np.sqrt(points.expect((r2 - points.expect(r2)) ** 2)), rel=1e-8)
    # trace of the hat matrix in the complement of the flat columns
    values, _, _ = dense.pencil
    dof = sum(v / (v + points.lam) for v in values)
    assert got.effective_dof.mean == pytest.approx(points.expect(dof), rel=1e-9)
    for q in (0.1, 0.975):
        lam, sigma, tau = (float(m.quantile(q)) for m in (got.lambda_, got.sigma, got.tau))
        below = oracle.plane(dense, log_prior, below_a=np.log(lam))
        assert np.exp(below.log_total - points.log_total) == pytest.approx(q, abs=1e-9)
        below = oracle.plane(dense, log_prior, below_v=np.log(sigma))
        assert np.exp(below.log_total - points.log_total) == pytest.approx(q, abs=1e-9)

        # in (log tau, log sigma): lambda = sigma^2 / tau^2, d log lambda = 2 d log tau at fixed sigma
        def log_prior_tau(a, v):
            return log_prior(2.0 * (v - a), v) + np.log(2.0)

        below = oracle.plane(dense, log_prior_tau, oracle.tau_of, below_a=np.log(tau))
        assert np.exp(below.log_total - points.log_total) == pytest.approx(q, abs=1e-9)
        assert float(got.r2.quantile(1.0 - q)) == pytest.approx(dense.signal / (dense.signal + lam), rel=1e-9)
