"""Large n, priors far from the data, extreme scales: right to what float64 carries, or refused by name."""

import mpmath as mp
import numpy as np
import pytest
from numpy.linalg import lstsq, svd
from scipy import stats
from scipy.integrate import quad
from scipy.special import digamma, polygamma
from threadpoolctl import threadpool_limits

from bayesridge.errors import AccuracyWarning, DataError, ImproperPosteriorError, PriorError
from bayesridge.fit import posterior
from bayesridge.hyper.likelihood import log_density_of_log_sigma
from bayesridge.hyper.marginal import marginal
from bayesridge.hyper.quadrature import integrate
from bayesridge.posteriors.many import infer_many
from bayesridge.posteriors.mixture import Mixture
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedSigma,
    FixedTau,
    Gamma,
    HalfCauchy,
    HalfNormal,
    Jeffreys,
    LogNormal,
)
from bayesridge.rules.leave_one_out import loo_rows
from bayesridge.rules.problem import LambdaProblem

P = np.array([0.025, 0.3, 0.5, 0.9, 0.975])


def table(n=50, p=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X @ np.resize([1.0, -2.0, 0.5], p) + rng.standard_normal(n)


def least_squares(X, y):
    """Standardised coefficients, raw ones, and the residual sum of squares."""
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    beta = lstsq(Z, y - y.mean(), rcond=None)[0]
    rest = y - y.mean() - Z @ beta
    return beta, beta / X.std(axis=0), rest @ rest


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
@pytest.mark.parametrize("k", range(16))
def test_frequency_weights_of_any_size(k):
    X, y = table()
    post = posterior(X, y, weights=np.full(50, 10.0**k))
    beta, raw, rss = least_squares(X, y)
    # ridge differs from least squares by (X'X)^-1 lambda beta: 0.03 over the size of the weights here
    assert post.coefficients.mean == pytest.approx(raw, abs=0.05 / 10.0**k + 1e-13)
    assert post.quadrature_error < 1e-10
    assert len(post.hyper.nodes.weight) < 200
    assert len(post.lambda_.edges) < 200
    assert len(post.sigma.edges) < 200
    if k < 9:
        return
    # n -> infinity: beta and sigma are known, tau is learnt from three coefficients
    sigma = np.sqrt(rss / 50)

    def density(t):
        W = 3.0 * np.exp(-t)
        return np.exp(1.5 * t - 0.5 * np.exp(t) * (beta @ beta) / sigma**2) * np.sqrt(W) / (1.0 + W)

    total = quad(density, -40.0, 8.0, epsabs=0, epsrel=1e-11, limit=200)[0]
    for q in P:
        below = quad(density, -40.0, np.log(post.lambda_.quantile(q)), epsabs=0, epsrel=1e-11, limit=200)[0]
        assert below / total == pytest.approx(q, abs=1e-8)
    # sigma's relative sd is 1 / sqrt(2 n); a float64 near 1 tells it to 2e-16 sqrt(2 n) of itself
    z = (post.sigma.quantile(P) / sigma - 1.0) * np.sqrt(100.0 * 10.0**k)
    assert z == pytest.approx(stats.norm.ppf(P), abs=1e-4 + 1e-15 * np.sqrt(100.0 * 10.0**k))
    assert post.tau.quantile(P) == pytest.approx(sigma / np.sqrt(post.lambda_.quantile(1.0 - P)), rel=1e-6)


def test_sigma_of_a_population_is_a_smooth_bell():
    """Its log density is 1e16 (exp(-y) - 1 + y) with y of 1e-8, of which a difference keeps eight digits."""
    shape, y = 2.5e16, np.linspace(-3e-8, 3e-8, 9)
    found = log_density_of_log_sigma(0.5 * y, shape, np.array(shape))
    with mp.workdps(50):
        exact = [-shape * float(mp.expm1(-mp.mpf(v)) + mp.mpf(v)) for v in y]
    # differences: the height of the bell is another number
    assert np.diff(found) == pytest.approx(np.diff(exact), abs=1e-12)


def test_precision_weights_scale_sigma_and_nothing_else():
    X, y = table()
    plain = posterior(X, y)
    for k in range(-15, 16):
        post = posterior(X, y, weights=np.full(50, 10.0**k), weight_kind="precision")
        assert post.predict(X[:5]).mean == pytest.approx(plain.predict(X[:5]).mean, rel=1e-10)
        assert post.sigma.median == pytest.approx(plain.sigma.median * 10.0 ** (k / 2), rel=1e-9)


@pytest.mark.parametrize("sigma", [1e-20, 1e-9, 1e-3])
def test_sigma_fixed_far_below_the_data(sigma):
    X, y = table()
    post = posterior(X, y, noise_prior=FixedSigma(sigma))
    beta, raw, _ = least_squares(X, y)
    # lambda -> 0: the prior of R² is like lambda^(1/2), the likelihood like lambda^(3/2) exp(-lambda beta²/(2 sigma²))
    exact = stats.gamma(2.0, scale=2.0 * sigma**2 / (beta @ beta))
    assert post.lambda_.quantile(P) == pytest.approx(exact.ppf(P), rel=2e-5)
    assert post.coefficients.mean == pytest.approx(raw, rel=1e-5)
    assert post.tau.quantile(P) == pytest.approx(sigma / np.sqrt(exact.ppf(1.0 - P)), rel=2e-5)
    assert post.quadrature_error < 1e-10


@pytest.mark.parametrize("prior", [BetaR2(), FixedTau(1.0), FixedLambda(1e-3), FixedLambda(0.0)])
def test_sigma_found_between_its_prior_and_the_data(prior):
    X, y = table()
    scale = 1e-9
    with pytest.warns(AccuracyWarning, match="right to"):
        post = posterior(X, y, prior=prior, noise_prior=HalfNormal(scale, on="sigma"))
    rss = least_squares(X, y)[2]
    # -rss / (2 sigma²) - sigma² / (2 scale²) is highest at sigma^4 = rss scale², with curvature 4 sqrt(rss) / scale
    assert post.sigma.median == pytest.approx((rss * scale**2) ** 0.25, rel=2e-4)
    assert post.sigma.sd / post.sigma.median == pytest.approx(0.5 / np.sqrt(np.sqrt(rss) / scale), rel=1e-2)
    assert post.tau.quantile(0.9) > 0
    # what the prior adds and the data subtract is 1e10: six digits after the point are left
    assert 1e-8 < post.quadrature_error < 1e-4


def test_a_prior_with_two_narrow_modes_is_seen_whole():
    """Between points half a unit apart; each mode is nearly a known lambda, whose evidence says what it weighs."""
    X, y = table(12, 2)
    modes, sd = np.log([0.13, 11.7]), 0.01

    def two(lam):
        return np.logaddexp.reduce(-0.5 * np.square((np.log(lam)[..., None] - modes) / sd), axis=-1) - np.log(lam)

    known = [posterior(X, y, prior=FixedLambda(float(np.exp(mode)))).log_marginal_likelihood for mode in modes]
    first = 1.0 / (1.0 + np.exp(known[1] - known[0]))
    assert 0.01 < first < 0.99
    post = posterior(X, y, prior=Custom(two))
    assert post.lambda_.cdf(1.0) == pytest.approx(first, abs=1e-4)
    shared = infer_many(post.design, np.column_stack([y, y]), Custom(two), Jeffreys())
    assert shared.lambda_.quantile(0.3) == pytest.approx(np.full(2, post.lambda_.quantile(0.3)), rel=1e-8)


def test_a_prior_beyond_float64_is_refused():
    X, y = table()
    for prior in (BetaR2(), FixedTau(1.0), FixedLambda(1.0), FixedLambda(0.0)):
        with pytest.raises(PriorError, match="too far apart"):
            posterior(X, y, prior=prior, noise_prior=HalfNormal(1e-20, on="sigma"))


def test_no_penalty_and_a_noise_prior():
    X, y = table()
    post = posterior(X, y, prior=FixedLambda(0.0), noise_prior=HalfNormal(1.0, on="sigma"))
    rss = least_squares(X, y)[2]

    def density(v):
        return np.exp(-46.0 * v - 0.5 * rss * np.exp(-2.0 * v) + v - 0.5 * np.exp(2.0 * v))

    total = quad(density, -3.0, 3.0, epsabs=0, epsrel=1e-11, points=[0.0])[0]
    for q in P:
        below = quad(density, -3.0, np.log(post.sigma.quantile(q)), epsabs=0, epsrel=1e-11)[0]
        assert below / total == pytest.approx(q, abs=1e-8)
    assert post.tau.median == np.inf
    # the flat prior has density 1 per unit of the standardised coefficients: p(y | sigma) is least squares' integral
    Z = np.column_stack([np.ones(50), (X - X.mean(axis=0)) / X.std(axis=0)])
    known = posterior(X, y, prior=FixedLambda(0.0), noise_prior=FixedSigma(0.8))
    expected = -23.0 * np.log(2 * np.pi * 0.64) - 0.5 * rss / 0.64 - np.log(svd(Z)[1]).sum()
    assert known.log_marginal_likelihood == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_sigma_of_many_narrow_bells():
    # y interpolated: small lambda are all equally likely, the prior rules, and sigma² = lambda size / 2 / Gamma
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((120, 300)), rng.standard_normal(120)
    post = posterior(X, y, prior=LogNormal(1e-9, 2.0))
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    U, s, _ = svd(Z, full_matrices=False)
    size = np.square((U.T @ (y - y.mean()))[:119] / s[:119]).sum()
    shape = 119 / 2
    log_sigma = np.log(post.sigma.quantile(np.linspace(0.001, 0.999, 999)))
    mean = 0.5 * (np.log(1e-9) + np.log(0.5 * size) - digamma(shape))
    sd = np.sqrt(1.0 + 0.25 * polygamma(1, shape))
    # a normal and a little of a log-gamma: the skewness of their sum is 2e-4
    assert log_sigma == pytest.approx(stats.norm(mean, sd).ppf(np.linspace(0.001, 0.999, 999)), abs=2e-3)
    # no ripples between the nodes, which are four of these bells apart
    x = np.linspace(mean - 2 * sd, mean + 2 * sd, 400)
    density = post.sigma.log_pdf_log(x)
    assert density == pytest.approx(stats.norm(mean, sd).logpdf(x), abs=2e-3)


def test_work_is_bounded_and_the_loss_said():
    rng = np.random.default_rng(0)

    def rough(x):
        return -0.5 * x * x + 1e-6 * rng.standard_normal(x.shape)

    assert integrate(rough, np.linspace(-10.0, 10.0, 41), "x").log_total == pytest.approx(
        0.5 * np.log(2 * np.pi), abs=1e-6
    )
    with pytest.warns(AccuracyWarning, match="rough"):
        m = marginal("x", lambda x: rough(x) - 0.5 * np.log(2 * np.pi), -8.0, 8.0)
    assert len(m.edges) < 200  # 1,100 to follow the noise
    assert m.cdf(1.0) == pytest.approx(0.5, abs=1e-6)


def test_columns_too_small_or_large_for_a_penalty_are_refused():
    X, y = table()
    for size in (1e-150, 1e-130, 1e130):
        with pytest.raises(DataError, match="leave the range of float64"):
            posterior(X * size, y, scale=False, method="evidence")
    # with their own scale the size of the columns is nothing
    assert posterior(X * 1e-110, y, method="evidence").lambda_.median == pytest.approx(
        posterior(X, y, method="evidence").lambda_.median, rel=1e-9
    )


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize("of_y", [1e-110, 1e110])
@pytest.mark.parametrize("n", [12, 3])
def test_units_move_every_number_with_them(of_y, n):
    X, y = table(n, 4)
    plain, moved = posterior(X, y), posterior(X, y * of_y)
    for numbers in (lambda c: c.mean, lambda c: c.quantile(0.9), lambda c: c.hdi(0.8)):
        assert numbers(moved.coefficients) / of_y == pytest.approx(numbers(plain.coefficients), rel=1e-8, abs=1e-8)
    assert moved.lambda_.quantile(P) == pytest.approx(plain.lambda_.quantile(P), rel=1e-9)


def test_unscaled_columns_too_unequal_for_float64_are_named():
    X, y = table()
    for size, shape in ((1e20, "tall"), (1e-16, "tall"), (1e14, "wide")):
        rows = slice(0, 50 if shape == "tall" else 3)
        with pytest.raises(DataError, match=r"x[012] is .* times as large as x[012].*scale=True"):
            posterior(X[rows] * [1.0, size, 1.0], y[rows], scale=False)
    with pytest.warns(AccuracyWarning, match=r"right to 2e-05 only; use scale=True"):
        posterior(X * [1.0, 1e11, 1.0], y, scale=False)
    # a coefficient's part that the rows never saw loses the square: 1 - |V'l|^2
    with pytest.warns(AccuracyWarning, match=r"without scaling"):
        posterior(X[:3] * [1.0, 1e5, 1.0], y[:3], scale=False)
    assert len(posterior(X * [1.0, 1e20, 1.0], y).spectrum.s) == 3


@pytest.mark.parametrize("n", [2, 3])
def test_a_flat_evidence_has_no_maximum(n):
    X, y = table(n, 1) if n == 2 else (np.array([[1.0, 1.0], [-1.0, 1.0], [0.0, -2.0]]), np.array([1.0, 2.0, 5.0]))
    with pytest.raises(ImproperPosteriorError, match="same for every lambda"):
        posterior(X, y, method="evidence")
    post = posterior(X, y)  # no word of "no signal": nothing is known, and the prior stands
    assert post.evidence.best.place == "flat"
    assert post.r2.quantile(P) == pytest.approx(stats.beta(0.5, 0.5).ppf(P), rel=1e-8)


@pytest.mark.parametrize(("n", "p"), [(1200, 100), (40, 400), (150, 150)])
def test_one_thread_or_two_differ_by_rounding_only(n, p):
    """What docs/notes.md promises: the same bits again, 1e-10 posterior sds with another number of BLAS threads."""
    X, y = table(n, p)

    def numbers(threads):
        with threadpool_limits(threads, user_api="blas"):
            post = posterior(X, y)
            at = post.predict(X[:50])
            drawn = post.draw(50, 2, random_state=1)
            c = post.coefficients
            return [c.mean / c.sd, c.quantile(0.9) / c.sd, drawn.coef / c.sd, at.mean / at.sd]

    once, again, other = numbers(1), numbers(1), numbers(2)
    for one, same, near in zip(once, again, other, strict=True):
        assert np.array_equal(one, same)
        assert near == pytest.approx(one, rel=1e-10, abs=1e-10)


def test_the_noise_of_a_prediction_far_away():
    X, y = table()
    post = posterior(X, y, unpenalized=[1])
    far = X[:3].copy()
    far[:, 1] = 1e9  # the mean's own sd is 1e8 times the noise's: nothing is left of that by subtraction
    assert post.predict(far).noise_sd == pytest.approx(post.predict(X[:3]).noise_sd, rel=1e-12)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_nodes_are_not_doubled_for_the_gap_between_two_modes():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 30))
    y = X[:, 0] + rng.standard_normal(12)
    post = posterior(
        X, y, prior=HalfCauchy(1e-20, on="tau"), noise_prior=HalfCauchy(1e-20, on="sigma")
    )  # a spike at zero, and what the data say: 30 powers of ten apart in lambda
    assert post.coefficients.mixture.location.shape[1] <= post.hyper.nodes.noise.squared_scale().size
    low, high = post.coefficients.take(np.array([0])).hdi(0.9)[0]
    mixture = post.coefficients.take(np.array([0]))
    # an end beside the spike is known to the rounding of the mean only, where the density is 1e10: 1e-6, by the kernel
    assert mixture.prob(low, high) == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("df", [0.9e5, 1.1e5, 1e9, 3e14])
def test_student_t_of_many_degrees_of_freedom(df):
    """The normal's, but for what Cornish and Fisher say of 1 / df."""
    many = Mixture(np.zeros((2, 5000)), np.ones((2, 5000)), np.full(5000, 1 / 5000), df)  # enough for the table
    z = stats.norm.ppf(0.025)
    assert many.quantile(0.025) == pytest.approx(z + (z**3 + z) / (4.0 * df), rel=1e-9)
    at = np.array([0.0, 2.0])
    exact = stats.norm.logpdf(at) + (at**4 - 2.0 * at**2 - 1.0) / (4.0 * df)
    assert many.log_pdf(at) == pytest.approx(exact, rel=1e-9)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
def test_leave_one_out_of_rows_that_count_a_population():
    X, y = table()
    post = posterior(X, y, weights=np.full(50, 1e12))
    _, raw, rss = least_squares(X, y)
    # one of 1e12 equal rows changes nothing: the normal density at least squares
    rest = y - y.mean() - (X - X.mean(axis=0)) @ raw
    exact = stats.norm.logpdf(rest, scale=np.sqrt(rss / 50))
    assert post.loo.log_density == pytest.approx(exact, abs=1e-7)
    assert not post.loo.refitted.any()  # what rounding may cost a row does not grow with the number of rows
    assert post.predict(X).log_density(y) == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("noise", [None, HalfNormal(1.0, on="sigma"), FixedSigma(0.7)])
def test_tau_under_a_fixed_lambda_is_sigma_over_its_root(noise):
    X, y = table()
    post = posterior(X, y, prior=FixedLambda(6.25), noise_prior=noise)
    assert post.tau.quantile(P) == pytest.approx(post.sigma.quantile(P) / 2.5, rel=1e-10)


def test_noise_without_a_mean():
    X, y = table(3, 1)
    post = posterior(X, y, prior=Gamma(1.5, 1e6))
    assert (post.hyper.nodes.weight > 0).all()  # density falls like exp(-exp(x)), and ends where float64 does
    assert np.isinf(post.predict(X).noise_sd).all()


def test_quantiles_of_a_spike_far_from_its_tails():
    # widths of 1e-8 to 1e10 in one mixture: Newton ends at the rounding of what has density there
    location = np.array([[0.0, 0.0, 2e7]])
    mixture = Mixture(location, np.array([[1e-8, 3e-7, 1e10]]), np.array([0.4, 0.6 - 1e-12, 1e-12]), 15.0)
    for q in P:
        assert mixture.cdf(mixture.quantile(q)) == pytest.approx(q, abs=1e-11)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
def test_the_rules_leave_out_rows_that_count_a_population():
    X, y = table()
    problem = LambdaProblem(posterior(X, y, weights=np.full(50, 1e12)))
    _, raw, rss = least_squares(X, y)
    rest = y - y.mean() - (X - X.mean(axis=0)) @ raw
    found = loo_rows(problem.row_basis, problem.spectrum, problem.noise, np.zeros(1)).log_density[:, 0]
    assert found == pytest.approx(stats.norm.logpdf(rest, scale=np.sqrt(rss / 50)), abs=1e-7)


@pytest.mark.parametrize("lam", [1e-8, 1e-10])
def test_a_column_that_null_directions_hardly_touch(lam):
    """Of the second column they have 1e-14, which one less nearly one has to four digits; whole numbers are exact."""
    rng = np.random.default_rng(0)
    X = rng.integers([[9_999_990, -9]], [[10_000_010, 10]], (6, 2)).astype(float)
    X = np.column_stack([X, X.sum(axis=1)])
    post = posterior(
        X, rng.standard_normal(6), prior=FixedLambda(lam), noise_prior=FixedSigma(1.0), fit_intercept=False
    )
    np.testing.assert_allclose(post.coefficients.sd, of_sixty_digits(X, np.zeros(6), post)[1], rtol=1e-9)


def of_sixty_digits(X, y, post, w=1.0):
    """Least squares with the penalty of `post`, no intercept, weights w, sigma 1: coefficients and their sds."""
    lam = float(post.lambda_.median)
    with mp.workdps(60):
        A = mp.matrix(X.tolist())
        penalty = [0.0 if j in post.design.unpenalized else lam for j in range(X.shape[1])]
        scales = [mp.mpf(float(d)) ** 2 for d in post.design.scale]
        inverse = (w * A.T * A + mp.diag([mp.mpf(p) * d for p, d in zip(penalty, scales, strict=True)])) ** -1
        mean = inverse * (w * A.T * mp.matrix(y.tolist()))
        return [float(v) for v in mean], [float(mp.sqrt(inverse[j, j])) for j in range(X.shape[1])]


def test_an_unpenalised_column_that_null_directions_hardly_touch():
    """Of what it explains of the others they have 1e-12; a difference of squares has that to four digits."""
    X = np.array([[1_000_003.0, 999_998.0, 2.0, 1.0], [1_000_000.0, 1_000_001.0, -1.0, 3.0],
                  [999_995.0, 1_000_002.0, 1.0, -2.0]])  # fmt: skip
    post = posterior(
        X, np.array([1.0, -2.0, 0.5]), prior=FixedLambda(1e-12), noise_prior=FixedSigma(1.0), fit_intercept=False,
        unpenalized=(3,),
    )  # fmt: skip
    sd = of_sixty_digits(X, np.zeros(3), post)[1]
    np.testing.assert_allclose(post.coefficients.sd, sd, rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(post.covariance())), sd, rtol=1e-8)


def test_columns_far_apart_are_rounded_each_in_its_own_size():
    """An SVD rounds all in the size of the largest: coefficients moved by 1e-4 of sds that are 1e-7 of them."""
    rng = np.random.default_rng(0)
    X = rng.integers(-9, 10, (12, 3)) + np.array([0.0, 0.0, 1e6])
    y = np.round(X @ np.array([5.0, -4.0, 2e-6]) + rng.standard_normal(12), 3)
    post = posterior(
        X, y, prior=FixedLambda(1.0), noise_prior=FixedSigma(1.0), fit_intercept=False, scale=False,
        weights=np.full(12, 1e12), weight_kind="precision",
    )  # fmt: skip
    mean, sd = of_sixty_digits(X, y, post, 1e12)
    assert np.abs((post.coefficients.mean - mean) / sd).max() < 1e-6
    np.testing.assert_allclose(post.coefficients.sd, sd, rtol=1e-10)


def test_predictions_of_what_is_no_number_are_refused():
    X, y = table()
    for post in (posterior(X, y), posterior(X, np.arange(50) % 4, family="poisson")):
        for row, said in (([np.nan, 0.0, 0.0], "'x0' .1: row 0."), (["a", 0.0, 0.0], "table of numbers")):
            with pytest.raises(DataError, match=said):
                post.predict([row])


def test_the_noise_of_counts_far_away():
    """That of Poisson's counts is the root of their mean, whatever the spread of the mean, which is 1e123 here."""
    X, _ = table(n=60, p=2)
    far = posterior(X, np.random.default_rng(0).poisson(2.0, 60), family="poisson").predict([[1e3, 1.0]])
    assert far.noise_sd == pytest.approx(np.sqrt(far.mean), rel=1e-9)


def test_a_target_whose_rounding_moves_coefficients_says_so():
    """1e8 beside a noise of 1e-6, which is 70 times the last digit of float64 there."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(30), rng.standard_normal(30)])
    y = X[:, 1] + rng.standard_normal(30)
    for flat in ([], [0]):
        with pytest.warns(AccuracyWarning, match="its rounding moves coefficients by up to .* an intercept"):
            posterior(X, 1e8 + 1e-6 * y, fit_intercept=False, scale=False, unpenalized=flat)
    for noise, columns, options in ((1e-6, X[:, 1:], {}), (1.0, X, {"fit_intercept": False, "scale": False})):
        posterior(columns, 1e8 + noise * y, **options)  # what is advised, and less of it: not a word
