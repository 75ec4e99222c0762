"""What the notation page says other libraries call lambda, sigma and tau, held against those libraries."""

from __future__ import annotations

import numpy as np
import pytest

from bayesridge import BayesRidge, FixedTau, posterior
from bayesridge.datasets import load_xy
from bayesridge.priors import BetaR2

LAM = 7.0


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_xy("diabetes")
    return X.to_numpy(dtype=float), y.to_numpy()


@pytest.fixture(scope="module")
def scaled(table: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    X, y = table
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def test_ridge_alpha_is_lambda(table: tuple[np.ndarray, np.ndarray], scaled: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.linear_model import Ridge

    X, y = table
    on_scaled = Ridge(alpha=LAM).fit(scaled[0], y).coef_ / X.std(axis=0)
    as_they_are = Ridge(alpha=LAM, solver="svd").fit(X, y).coef_
    # two direct solvers of one well-conditioned problem
    np.testing.assert_allclose(BayesRidge(method="fixed", lam=LAM).fit(X, y).coef_, on_scaled, rtol=1e-9)
    np.testing.assert_allclose(
        BayesRidge(method="fixed", lam=LAM, scale=False).fit(X, y).coef_, as_they_are, rtol=1e-9, atol=1e-10
    )


def test_bayesian_ridge_names_precisions(scaled: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.linear_model import BayesianRidge

    X, y = scaled
    theirs = BayesianRidge(tol=1e-12, max_iter=100_000).fit(X, y)
    at_their_penalty = BayesRidge(method="fixed", lam=theirs.lambda_ / theirs.alpha_, scale=False).fit(X, y)
    np.testing.assert_allclose(theirs.coef_, at_their_penalty.coef_, rtol=1e-7)  # their tol, on the coefficients
    assert theirs.sigma_.shape == (10, 10)
    # 1/sigma^2 and 1/tau^2: at the same scales the posterior covariance is the same
    from bayesridge import FixedScales

    scales = FixedScales(theirs.alpha_**-0.5, theirs.lambda_**-0.5)
    both = BayesRidge(method="fixed", prior=scales, scale=False).fit(X, y).posterior_
    np.testing.assert_allclose(theirs.sigma_, both.covariance(), rtol=1e-6, atol=1e-9)


def test_statsmodels_alpha_is_lambda_over_n_and_penalises_the_constant(
    scaled: tuple[np.ndarray, np.ndarray],
) -> None:
    sm = pytest.importorskip("statsmodels.api")
    X, y = scaled
    n = len(y)
    found = sm.OLS(y - y.mean(), X).fit_regularized(L1_wt=0.0, alpha=LAM / n).params
    np.testing.assert_allclose(found, BayesRidge(method="fixed", lam=LAM).fit(X, y).coef_, rtol=1e-9)
    constant = sm.OLS(y, sm.add_constant(X)).fit_regularized(L1_wt=0.0, alpha=LAM / n).params[0]
    np.testing.assert_allclose(constant, y.mean() * n / (n + LAM), rtol=1e-9)  # shrunk, as the page says


def test_glmnet_criterion(scaled: tuple[np.ndarray, np.ndarray]) -> None:
    # glmnet's documented criterion on y / sd(y), at lambda_g / sd(y); its minimum in closed form
    X, y = scaled
    n, sd = y.size, y.std()
    lam_g = LAM * sd / n
    Z, v = X, (y - y.mean()) / sd
    found = sd * np.linalg.solve(Z.T @ Z / n + lam_g / sd * np.eye(10), Z.T @ v / n)
    np.testing.assert_allclose(found, BayesRidge(method="fixed", lam=LAM).fit(X, y).coef_, rtol=1e-9)


def test_weight_decay(scaled: tuple[np.ndarray, np.ndarray]) -> None:
    # mean squared error + a |b|^2
    X, y = scaled
    a = LAM / y.size
    found = np.linalg.solve(X.T @ X / y.size + a * np.eye(10), X.T @ (y - y.mean()) / y.size)
    np.testing.assert_allclose(found, BayesRidge(method="fixed", lam=LAM).fit(X, y).coef_, rtol=1e-9)


def test_gaussian_process_with_a_linear_kernel(scaled: tuple[np.ndarray, np.ndarray]) -> None:
    from bayesridge import FixedScales

    X, y = scaled[0][:60], scaled[1][:60]
    sigma, tau = 54.0, 15.0
    new = scaled[0][60:64]
    # no intercept on either side: the kernel is tau^2 x'x and nothing else
    K = tau**2 * X @ X.T + sigma**2 * np.eye(60)
    k = tau**2 * new @ X.T
    mean = k @ np.linalg.solve(K, y)
    variance = tau**2 * (new**2).sum(axis=1) - np.einsum("ij,ji->i", k, np.linalg.solve(K, k.T))
    model = BayesRidge(method="fixed", prior=FixedScales(sigma, tau), scale=False, fit_intercept=False).fit(X, y)
    found = model.predictive(new)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(found.mean_sd, np.sqrt(variance), rtol=1e-8)


def test_rstanarm_autoscale_is_a_fixed_tau(table: tuple[np.ndarray, np.ndarray]) -> None:
    # prior sd of coefficient j: 2.5 sd(y) / sd(x_j), both sds with n - 1; the page divides columns by sd with n
    X, y = table
    tau = 2.5 * y.std(ddof=1)
    design = posterior(X, y, prior=FixedTau(tau)).design
    on_original_scale = tau / design.scale
    np.testing.assert_allclose(on_original_scale, 2.5 * y.std(ddof=1) / X.std(axis=0, ddof=1), rtol=1.2 / len(y))


def test_brms_r2d2_mean_and_precision() -> None:
    # brms states a Beta by its mean and precision
    mean, precision = 0.3, 8.0
    prior = BetaR2(mean * precision, (1 - mean) * precision)
    assert prior.a / (prior.a + prior.b) == pytest.approx(mean)
    assert prior.a + prior.b == pytest.approx(precision)
