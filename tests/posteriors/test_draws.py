"""Independent draws against the exact moments and distribution functions, within four Monte Carlo standard errors."""

import numpy as np
import pytest
from scipy import stats

from bayesridge import posterior
from bayesridge.priors import BetaR2, FixedLambda, FixedScales, FixedTau, HalfNormal, HalfT, InverseGamma, Jeffreys
from tests.truth.problems import NAMES, problems

SIZE = 20_000
PRIORS = {
    "conjugate": (BetaR2(2, 2), InverseGamma(3.0, 1.0)),
    "plane": (HalfNormal(0.8, on="tau"), HalfT(4, 0.9, on="sigma")),
    "fixed lambda": (FixedLambda(1.3), InverseGamma(3.0, 1.0)),
    "fixed tau": (FixedTau(0.7), InverseGamma(3.0, 1.0)),
    "fixed scales": (FixedScales(0.8, 0.5), Jeffreys()),
}


#: Every table with the first prior, a third of them with each of the others: one draws the scales, the other the rest.
PAIRS = [(name, prior) for i, name in enumerate(NAMES) for j, prior in enumerate(PRIORS) if j == 0 or (i + j) % 3 == 0]


@pytest.mark.parametrize(("name", "prior"), PAIRS)
def test_draws_have_the_exact_moments(name, prior):
    post = problems()[name].infer("svd", *PRIORS[prior])
    draws = post.draw(SIZE // 4, chains=4, random_state=7)
    coef = draws.coef.reshape(SIZE, -1)
    error = post.coefficients.sd / np.sqrt(SIZE)
    # four standard errors, for each of at most 17 numbers: one failure in a thousand seeds; the seed is fixed
    assert (np.abs(coef.mean(axis=0) - post.coefficients.mean) <= 4.5 * error).all()
    inside = coef <= post.coefficients.quantile(0.8)
    assert np.abs(inside.mean(axis=0) - 0.8).max() <= 4.5 * np.sqrt(0.16 / SIZE)
    cov = post.covariance()
    rows = np.random.default_rng(1).standard_normal((3, coef.shape[1]))
    contrast = post.contrast(rows)
    share = (coef @ rows.T <= contrast.quantile(0.3)).mean(axis=0)
    assert np.abs(share - 0.3).max() <= 4.5 * np.sqrt(0.21 / SIZE)
    assert contrast.variance == pytest.approx(np.diag(rows @ cov @ rows.T), rel=1e-8)
    if post.design.fit_intercept:
        below = draws.intercept <= post.intercept.quantile(0.6)[0]
        assert abs(below.mean() - 0.6) <= 4.5 * np.sqrt(0.24 / SIZE)
    # at the mean of the columns intercept and coefficients cancel: their joint distribution matters
    X = problems()[name].X[:2]
    expected = post.predict(X).expected
    values = draws.intercept.reshape(-1, 1) + coef @ X.T
    share = (values <= expected.quantile(0.3)).mean(axis=0)
    assert np.abs(share - 0.3).max() <= 4.5 * np.sqrt(0.21 / SIZE)


@pytest.mark.parametrize("prior", ["conjugate", "plane", "fixed tau"])
@pytest.mark.parametrize("name", ["tall", "wide", "precision weights"])
def test_scales_follow_their_distributions(name, prior):
    post = problems()[name].infer("svd", *PRIORS[prior])
    draws = post.draw(SIZE, chains=1, random_state=11)
    for marginal, values in ((post.lambda_, draws.lam), (post.sigma, draws.sigma)):
        assert stats.kstest(marginal.cdf(values.ravel()), "uniform").pvalue > 1e-4
    if prior != "fixed tau":
        assert stats.kstest(post.tau.cdf(draws.tau.ravel()), "uniform").pvalue > 1e-4
    assert draws.tau == pytest.approx(draws.sigma / np.sqrt(draws.lam), rel=1e-12)
    # no autocorrelation, and sigma depends on lambda as it should
    u = post.sigma.cdf(draws.sigma.ravel())
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) <= 4.5 / np.sqrt(SIZE)


def test_an_intercept_is_drawn_with_the_sigma_of_its_own_draw():
    """Given sigma the intercept at the columns' means is normal, so that its square over sigma's has no part in it."""
    rng = np.random.default_rng(3)
    post = posterior(rng.standard_normal((7, 2)), rng.standard_normal(7))
    draws = post.draw(SIZE, chains=1, random_state=5)
    at_means = draws.intercept + draws.coef @ post.design.mean
    z2 = np.square((at_means - post.design.y_mean) / draws.sigma).ravel() * post.design.total_weight
    assert abs(np.corrcoef(z2, np.log(draws.sigma.ravel()))[0, 1]) <= 4.5 / np.sqrt(SIZE)
    assert stats.kstest(z2, "chi2", args=(1,)).pvalue > 1e-4
