"""Student-t noise: against sums over a dense grid, and under what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dense import moments
from scipy.special import logsumexp
from scipy.stats import norm
from scipy.stats import t as student

from bayesridge import (
    BayesRidge,
    DataError,
    FixedLambda,
    FixedSigma,
    FixedTau,
    HalfCauchy,
    ImproperPosteriorError,
    InverseGamma,
    PriorError,
    compare,
    compare_lambda,
    load,
    posterior,
)
from bayesridge.design.design import build_design
from bayesridge.outcomes.bridge import bridged
from bayesridge.outcomes.curves import fits
from bayesridge.outcomes.family import Student
from bayesridge.outcomes.penalized import penalized_mode
from bayesridge.outcomes.problem import make_outcome
from bayesridge.outcomes.rows import PlaneDraws

FAR = 5.4  # P(|t| > 5.4) = .001 with seven degrees of freedom


def table(n=12, seed=2, p=1):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = 3.0 + 0.8 * X[:, 0] + 0.5 * rng.standard_t(2.0, n)
    y[0] += 6.0
    return X, y


def summed(x, y, df, on):
    """Grids and weights of (centre, beta, log sigma), and log p(y), under a half-Cauchy(1) of tau (/ sigma)."""
    centre, u, s = np.linspace(0.8, 5.2, 61), np.linspace(-6.6, 6.6, 180), np.linspace(-2.5, 2.2, 36)
    beta, width = 6e-3 * np.sinh(u), 6e-3 * np.cosh(u)  # dense around 0, where the prior is infinite, and integrable
    log_r = np.linspace(-14.0, 9.0, 400)
    w = np.empty((len(centre), len(beta), len(s)))
    for k, log_sigma in enumerate(s):
        sigma = np.exp(log_sigma)
        e = (y - centre[:, None, None] - beta[:, None] * x) / sigma
        tau = np.exp(log_r) * (sigma if on == "tau/sigma" else 1.0)
        of_beta = np.exp(-0.5 * np.square(beta[:, None] / tau)) / tau @ (np.exp(log_r) / (1.0 + np.exp(2.0 * log_r)))
        w[..., k] = -0.5 * (df + 1.0) * np.log1p(e * e / df).sum(axis=-1)
        w[..., k] += np.log(of_beta * width) - len(y) * log_sigma
    top = w.max()
    w = np.exp(w - top)
    # of the densities: Student's, the normal's and the half-Cauchy's of log tau, and 1 / sigma^2 of sigma^2
    constant = len(y) * student.logpdf(0.0, df) + np.log(2.0 / np.pi / np.sqrt(2.0 * np.pi) * 2.0)
    cell = np.log([g[1] - g[0] for g in (centre, u, s, log_r)]).sum()
    total = top + np.log(w.sum()) + constant + cell
    return (centre, w.sum(axis=(1, 2))), (beta, w.sum(axis=(0, 2))), (s, w.sum(axis=(0, 1))), total


@pytest.mark.parametrize("on", ["tau/sigma", pytest.param("tau", marks=pytest.mark.slow)])
def test_against_sums_over_a_grid(on):
    """Lambda and sigma drawn jointly, and in turn where the prior of lambda moves with sigma."""
    X, y = table()
    post = posterior(X, y, family=Student(3.0), prior=HalfCauchy(1.0, on=on))
    centre, beta, log_sigma, log_evidence = summed(X[:, 0], y, 3.0, on)
    assert post.log_marginal_likelihood == pytest.approx(log_evidence, abs=FAR * post.log_evidence[1] + 5e-4)
    assert post.log_evidence[1] < 0.01
    for found, (points, w) in ((post.intercept, centre), (post.coefficients, beta)):
        mean, sd, ends = moments(points, w, (0.025, 0.5, 0.975))
        assert abs(found.mean[0] - mean) < FAR * found.mcse[0] + 1e-3 * sd
        assert found.sd[0] == pytest.approx(sd, rel=0.05)
        got = [found.quantile(q)[0] for q in (0.025, 0.5, 0.975)]
        np.testing.assert_allclose(got, ends, atol=2.36 * 0.05 * sd)  # what the certificate promises
    _, sd, ends = moments(*log_sigma, (0.1, 0.5, 0.9))
    np.testing.assert_allclose(np.log(post.sigma.quantile([0.1, 0.5, 0.9])), ends, atol=2.36 * 0.05 * sd)


def evidence(t, x, y, df):
    """Log p(y | lambda) at K values of log lambda, by sums over (centre, beta, log sigma), up to a constant."""
    centre, beta, s = np.linspace(0.5, 5.5, 41), np.linspace(-3.0, 4.0, 121), np.linspace(-2.5, 2.2, 24)
    e = np.square(y - centre[:, None, None] - beta[:, None] * x) / df
    log_p = [-0.5 * (df + 1.0) * np.log1p(e * np.exp(-2.0 * one)).sum(axis=-1) - len(y) * one for one in s]
    constant = len(y) * student.logpdf(0.0, df)
    of_beta = norm.logpdf(beta, scale=np.exp(s[:, None] - 0.5 * t[:, None, None]))
    return constant + logsumexp(np.array(log_p) + of_beta[:, :, None], axis=(1, 2, 3))


@pytest.mark.parametrize("on", ["tau/sigma", pytest.param("tau", marks=pytest.mark.slow)])
def test_over_lambda_against_sums_over_a_grid(on):
    """Evidence and leave-one-out, the coefficients and sigma integrated; also where the prior moves with sigma."""
    X, y = table(n=10, seed=8)
    y[0] -= 6.0
    curves = posterior(X, y, family=Student(3.0), prior=HalfCauchy(1.0, on=on)).curves
    t = np.linspace(curves.reach[0], curves.reach[1] - 0.5, 4)
    truth, (found, error) = evidence(t, X[:, 0], y, 3.0), curves.evidence(t)
    np.testing.assert_array_less(np.abs(np.diff(found - truth)), FAR * 2.0 * error.max() + 1e-3)
    assert np.ptp(truth) > 20.0 * error.max()
    left = curves.loo(t)
    for i in (0, 5):
        others = np.arange(len(y)) != i
        one = truth - evidence(t, X[others, 0], y[others], 3.0)
        np.testing.assert_allclose(left.pointwise[i], one, atol=FAR * left.mcse.max() + 1e-3)


def test_penalised_fits_are_the_modes(fitted):
    """Of sum log t((y - a - x b) / sigma) - lambda |b|^2 / (2 sigma^2), scaled columns, sigma and df at medians."""
    est, X, y = fitted
    post, curves = est.posterior_, est.posterior_.curves
    sigma, df = curves.problem.family.noise, curves.problem.family.df
    for k in (0, 20, 40):
        w = (df + 1.0) / (df + np.square((y - curves.intercept[k] - X @ curves.coef[k]) / sigma))
        e = w * (y - curves.intercept[k] - X @ curves.coef[k])
        wanted = np.exp(curves.t[k]) * post.design.scale**2 * curves.coef[k]
        np.testing.assert_allclose(e.sum(), 0.0, atol=1e-6 * np.abs(e).sum())
        np.testing.assert_allclose((X - X.mean(axis=0)).T @ e, wanted, atol=1e-6 * np.abs(e).sum())
        inside = (X - np.average(X, axis=0, weights=w)) / post.design.scale
        values = np.linalg.eigvalsh((inside.T * w) @ inside)
        assert curves.dof[k] == pytest.approx((values / (values + np.exp(curves.t[k]))).sum(), rel=1e-5)
    assert "sigma at the posterior median" in compare_lambda(post, rules=["aic"]).row("aic").note


@pytest.fixture(scope="module")
def fitted():
    X, y = table(n=30, p=2)
    return BayesRidge(family="student").fit(X, y), X, y


def test_penalised_fits_are_the_highest_modes():
    """13 of 30 rows far away and half a degree of freedom: from the mean of y fits end up to 60 nats lower."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 2))
    y = X[:, 0] + 0.3 * rng.standard_normal(30)
    y[:13] += rng.choice([1.0, 1.0, -1.0], 13) * 10 ** rng.uniform(0.5, 3.0, 13)
    problem = make_outcome(Student(0.5, 0.1), build_design(X, y))
    coef = np.array([1.0, 0.0]) + 0.3 * rng.standard_normal((8, 5, 2))
    planes = PlaneDraws(coef, coef @ X.mean(axis=0), np.full((8, 5), 1 / 40))
    t = np.array([-8.0, -4.0, 0.0])
    for one, bell in zip(t, fits(problem, t, planes), strict=True):
        others = rng.standard_normal((30, 3)) * [1.0, 1.0, 0.5] + [0.0, 1.0, 0.0]
        modes = [penalized_mode(problem, float(np.exp(one)), other).mean for other in others]
        heights = [
            problem.log_likelihood(theta) - 0.5 * problem.precision(float(np.exp(one))) @ np.square(theta)
            for theta in (bell.mean, *modes)
        ]
        # there is a mode at nearly every row, and those close to the highest are as good
        assert heights[0] > max(heights) - 0.5


def test_an_outlier_counts_little(fitted):
    fit, X, y = fitted
    moved = y.copy()
    moved[0] += 1000.0
    robust = posterior(X, moved, family="student").coefficients.mean
    np.testing.assert_allclose(robust, fit.coef_, atol=0.5 * fit.posterior_.coefficients.sd.min())
    assert fit.posterior_.method == "posterior"
    assert "Gibbs" in fit.posterior_.how


def test_predictions_and_leave_one_out(fitted):
    fit, X, y = fitted
    post = fit.posterior_
    draws = post.draw(4000, 1, random_state=1)
    eta = draws.intercept[0][:, None] + draws.coef[0] @ X[:3].T
    found = post.predict(X[:3])
    for value in (2.0, 3.0, 5.0):
        below = student.cdf((value - eta) / draws.sigma[0][:, None], 4.0).mean(axis=0)
        np.testing.assert_allclose(found.target.cdf(value), below, atol=0.02)
    np.testing.assert_allclose(found.target.cdf(found.quantile(0.9)), 0.9, atol=1e-5)
    np.testing.assert_allclose(found.sd, np.sqrt(found.mean_sd**2 + 2.0 * np.mean(draws.sigma**2)), rtol=0.05)
    rest = np.arange(30) != 0
    other = posterior(X[rest], y[rest], family="student", scale=post.design.scale)
    direct = other.predict(X[:1]).log_density(y[:1])[0]
    assert post.loo.pointwise[0] == pytest.approx(direct, abs=0.15)  # importance weights of an outlier
    assert post.loo.elpd_loo > posterior(X, y).loo.elpd_loo
    assert "student" in compare({"student": post, "normal": posterior(X, y)}).table.index


def test_saved_and_loaded(fitted, tmp_path):
    fit, X, _ = fitted
    again = load(fit.save(tmp_path / "a.bridge", rows=True))
    np.testing.assert_array_equal(again.predict(X), fit.predict(X))
    assert again.sigma_ == fit.sigma_
    assert again.posterior_.log_evidence == fit.posterior_.log_evidence
    assert again.posterior_.loo.elpd_loo == pytest.approx(fit.posterior_.loo.elpd_loo, abs=1e-9)
    np.testing.assert_allclose(again.summary().to_numpy(), fit.summary().to_numpy())
    tree = again.posterior_.to_datatree(20, 2, 0, predictive=True)
    assert set(tree["posterior"].data_vars) >= {"nu", "sigma", "coef"}


def test_frequency_weights_are_repeated_rows():
    X, y = table(n=15)
    counts = np.arange(15) % 3
    one = posterior(X, y, family="student", weights=counts.astype(float))
    two = posterior(np.repeat(X, counts, axis=0), np.repeat(y, counts), family="student")
    gap = np.abs(one.coefficients.mean - two.coefficients.mean)
    assert (gap < FAR * np.hypot(one.coefficients.mcse, two.coefficients.mcse)).all()
    assert one.sigma.median == pytest.approx(two.sigma.median, rel=0.05)
    gap = abs(one.log_marginal_likelihood - two.log_marginal_likelihood)
    assert gap < FAR * np.hypot(one.log_evidence[1], two.log_evidence[1])


def test_units_do_not_matter(fitted):
    fit, X, y = fitted
    other = posterior(X * [1e6, 1e-3] + 5.0, 1e8 * y - 3e9, family="student")
    np.testing.assert_allclose(other.coefficients.mean * [1e-2, 1e-11], fit.coef_, rtol=1e-5)
    assert other.sigma.median == pytest.approx(1e8 * fit.sigma_, rel=1e-5)


def test_many_degrees_of_freedom_are_normal_noise():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 4)) * [1.0, 1.0, 1.0, 30.0]
    y = X[:, 0] - X[:, 1] + rng.standard_normal(20)
    one, exact = posterior(X, y, family=Student(1e8), unpenalized=[3]), posterior(X, y, unpenalized=[3])
    assert (np.abs(one.coefficients.mean - exact.coefficients.mean) < FAR * one.coefficients.mcse).all()
    np.testing.assert_allclose(one.coefficients.sd, exact.coefficients.sd, rtol=0.1)
    assert np.log(one.lambda_.median) == pytest.approx(np.log(exact.lambda_.median), abs=0.3)
    factor, error = one.log_bayes_factor(exact), one.log_evidence[1]
    assert abs(factor) < FAR * error < 0.02
    assert exact.log_bayes_factor(one) == -factor


def test_degrees_of_freedom_are_learned():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 1))
    post = posterior(X, X[:, 0] + rng.standard_t(2.0, 80), family=Student(None))
    low, high = post.scales["df"].interval(0.99)
    assert low < 2.0 < high < 20.0
    assert "Gamma(2, 0.1)" in post.prior_texts[1]


def test_a_known_lambda_and_another_noise_prior():
    X, y = table(n=30)
    known = posterior(X, y, family="student", prior=FixedLambda(2.0))
    assert known.lambda_.median == 2.0
    assert known.method == "fixed"
    tight = posterior(X, y, family="student", noise_prior=InverseGamma(1e4, 1e4))
    assert tight.sigma.median == pytest.approx(1.0, abs=0.05)
    both = posterior(X, y, family=Student(1e8), prior=FixedLambda(2.0), noise_prior=FixedSigma(1.2))
    exact = posterior(X, y, prior=FixedLambda(2.0), noise_prior=FixedSigma(1.2))
    assert both.log_marginal_likelihood == pytest.approx(exact.log_marginal_likelihood, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"offset": np.zeros(12)}, DataError, "subtracted from the target"),
        ({"trials": np.ones(12)}, DataError, "trials are for"),
        ({"weights": np.ones(12), "weight_kind": "precision"}, DataError, "precision weights"),
        ({"prior": FixedTau(1.0)}, PriorError, "lambda is learned"),
        ({"prior": FixedLambda(0.0)}, PriorError, "positive"),
        ({"method": "evidence"}, PriorError, "method='evidence'"),
        ({"groups": {"a": ["x0"]}}, DataError, "several penalties"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options, error, said):
    X, y = table()
    with pytest.raises(error, match=said):
        posterior(X, y, **{"family": "student", **options})


@pytest.mark.parametrize("y", [np.ones(30), np.r_[np.ones(29), 2.0], np.arange(30.0) * 2.0 - 3.0])
def test_rows_that_are_fitted_exactly(y):
    """29 equal values outweigh one other under any sigma^-1: no posterior, and a proper prior of sigma has one."""
    X = np.column_stack([np.arange(30.0), np.random.default_rng(0).standard_normal(30)])
    with pytest.raises(ImproperPosteriorError, match="runs to zero"):
        posterior(X, y, family="student")
    assert np.isfinite(posterior(X, y, family="student", noise_prior=InverseGamma(2.0, 1.0)).coefficients.sd).all()


def test_a_row_far_away_and_noise_far_below():
    """Squares of y would be rounded by 1e7 here, and the noise is 1e-6: it is known as if the row were not there."""
    X, y = table(n=20)
    noise = y - 3.0 - 0.8 * X[:, 0]
    post = posterior(X, np.r_[1e12, (X[:, 0] + 1e-6 * noise)[1:]], family="student")
    assert 0.2 < post.sigma.median / 1e-6 < 1.5
    assert abs(post.coefficients.mean[0] - 1.0) < 4.0 * post.coefficients.sd[0] < 2e-6


def test_no_degrees_of_freedom():
    with pytest.raises(PriorError, match="must be positive"):
        Student(-1.0)


def test_it_has_no_spectrum_and_may_have_no_evidence(fitted):
    post = fitted[0].posterior_
    with pytest.raises(DataError):
        _ = post.spectrum
    with pytest.raises(DataError, match="standard error of more"):
        _ = replace(post, log_evidence=None).log_marginal_likelihood


def test_bayes_factors_against_normal_noise(fitted):
    est, X, y = fitted
    found = compare({"student": est.posterior_, "normal": posterior(X, y)})
    assert found.table.loc["normal", "log_bayes_factor"] < -2.0  # noise of df 2, and an outlier
    assert "log_marginal_likelihood_se" in est.posterior_.facts()
    for other, said in (
        (posterior(X, y, noise_prior=InverseGamma(2.0, 1.0)), "improper noise prior"),
        (posterior(X, y, unpenalized=[1]), "flat"),
        (posterior(X, y, prior=FixedLambda(0.0)), "lambda = 0"),
    ):
        with pytest.raises(DataError, match=said):
            est.posterior_.log_bayes_factor(other)


@pytest.mark.parametrize("apart", [0.0, 60.0])
def test_bridge_sampling_of_a_known_integral(apart):
    """exp(x - exp(x)) of two coordinates, nodes of 1/4 and 3/4; replicates that saw places far apart tell nothing."""
    rng = np.random.default_rng(4)
    node = (rng.random((8, 500)) < 0.75).astype(np.intp)
    away = apart * np.arange(8)[:, None, None]
    x = np.log(rng.gamma(1.0, size=(8, 500, 2))) + away

    def log_p(x, node):
        at = x if not apart else x - apart * np.clip(np.rint(x / apart), 0, 7)
        return 3.0 + np.log(np.where(node == 1, 0.75, 0.25)) + (at - np.exp(at)).sum(axis=1)

    mass = np.array([np.bincount(k, minlength=2) for k in node]) / node.size
    found = bridged(x, node, mass, log_p, rng)
    if apart:
        assert found is None
    else:
        assert abs(found[0] - 3.0) < FAR * found[1] < 0.1
