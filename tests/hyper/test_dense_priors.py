"""Every prior and noise prior: normalised, and the posterior equal to a double integral in the prior's own parameter.

scipy.stats states the densities; the plane is (the prior's parameter, log sigma), so that no Jacobian of the package is
repeated. 1e-9: ten times the quadrature's tolerance. Priors with a jump are cut into cells: the same.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from bayesridge.checks.prior_draws import Reference, draw_scales
from bayesridge.errors import DataError, ImproperPosteriorError, PriorError
from bayesridge.fit import posterior
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedScales,
    FixedSigma,
    FixedTau,
    Gamma,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Jeffreys,
    LogNormal,
)
from tests.truth import oracle
from tests.truth.problems import problems


def on_log(distribution):
    """Log density of log x from the one of x."""
    return lambda a: distribution.logpdf(np.exp(a)) + a


def half_t(df, scale):
    return lambda a: np.log(2.0) + stats.t(df, scale=scale).logpdf(np.exp(a)) + a


def logistic_r2(distribution, signal):
    """R^2 = 1 / (1 + lambda / signal), in terms of a = log lambda: density of R^2 times |dR^2 / da|."""

    def log_density(a):
        u = a - np.log(signal)
        r2 = 1.0 / (1.0 + np.exp(u))
        return distribution.logpdf(r2) - np.logaddexp(0, u) - np.logaddexp(0, -u)

    return log_density


def flat_between(low, high):
    def log_pdf(x):
        return np.where((x > low) & (x < high), -np.log(high - low), -np.inf)

    return log_pdf


# name: prior, log density of a given the signal, lambda(a, v), breaks of a
PRIORS = {
    "Beta(2, 3) on R2": (BetaR2(2, 3), lambda s: logistic_r2(stats.beta(2, 3), s), oracle.log_lambda_of, ()),
    "Beta(1, 1) on R2": (BetaR2(1, 1), lambda s: logistic_r2(stats.uniform(), s), oracle.log_lambda_of, ()),
    "log-normal": (LogNormal(3.0, 1.2), lambda _: on_log(stats.lognorm(1.2, scale=3.0)), oracle.log_lambda_of, ()),
    "gamma": (Gamma(1.5, 0.3), lambda _: on_log(stats.gamma(1.5, scale=1 / 0.3)), oracle.log_lambda_of, ()),
    "half-Cauchy ratio": (HalfCauchy(0.7), lambda _: on_log(stats.halfcauchy(scale=0.7)), oracle.ratio_of, ()),
    "half-t ratio": (HalfT(3, 0.5), lambda _: half_t(3, 0.5), oracle.ratio_of, ()),
    "half-normal ratio": (HalfNormal(0.8), lambda _: on_log(stats.halfnorm(scale=0.8)), oracle.ratio_of, ()),
    "half-Cauchy tau": (HalfCauchy(0.7, on="tau"), lambda _: on_log(stats.halfcauchy(scale=0.7)), oracle.tau_of, ()),
    "half-t tau": (HalfT(3, 0.5, on="tau"), lambda _: half_t(3, 0.5), oracle.tau_of, ()),
    "half-normal tau": (HalfNormal(0.8, on="tau"), lambda _: on_log(stats.halfnorm(scale=0.8)), oracle.tau_of, ()),
    "custom lambda": (
        Custom(stats.gamma(2.5, scale=2.0).logpdf), lambda _: on_log(stats.gamma(2.5, scale=2.0)),
        oracle.log_lambda_of, (),
    ),
    "custom ratio": (
        Custom(stats.lognorm(0.6).logpdf, of="tau/sigma"), lambda _: on_log(stats.lognorm(0.6)), oracle.ratio_of, (),
    ),
    "custom tau": (
        Custom(stats.gamma(2.0).logpdf, of="tau"), lambda _: on_log(stats.gamma(2.0)), oracle.tau_of, (),
    ),
    "custom R2": (
        Custom(stats.beta(2, 2).logpdf, of="R2"), lambda s: logistic_r2(stats.beta(2, 2), s), oracle.log_lambda_of, (),
    ),
    "bounded lambda": (
        Custom(flat_between(0.5, 6.0)), lambda _: on_log(stats.uniform(0.5, 5.5)), oracle.log_lambda_of,
        (np.log(0.5), np.log(6.0)),
    ),
    "bounded ratio": (
        Custom(flat_between(0.2, 3.0), of="tau/sigma"), lambda _: on_log(stats.uniform(0.2, 2.8)), oracle.ratio_of,
        (np.log(0.2), np.log(3.0)),
    ),
}  # fmt: skip

NOISES = {
    "jeffreys": (Jeffreys(), lambda v: np.log(2.0) + 0.0 * v),
    "inverse-gamma": (
        InverseGamma(2.0, 0.8), lambda v: stats.invgamma(2.0, scale=0.8).logpdf(np.exp(2 * v)) + np.log(2.0) + 2 * v,
    ),
    "half-t": (HalfT(4, 0.9, on="sigma"), half_t(4, 0.9)),
    "half-Cauchy": (HalfCauchy(0.9, on="sigma"), on_log(stats.halfcauchy(scale=0.9))),
    "half-normal": (HalfNormal(1.5, on="sigma"), on_log(stats.halfnorm(scale=1.5))),
    "custom": (Custom(stats.gamma(3.0, scale=0.4).logpdf, of="sigma"), on_log(stats.gamma(3.0, scale=0.4))),
}  # fmt: skip

TABLES = ["tall", "wide", "precision weights"]


def improper(table, prior, noise):
    return table == "wide" and noise == "jeffreys" and prior.endswith("tau")


def compare(post, points, pdf_at=True):
    assert post.log_marginal_likelihood == pytest.approx(points.log_total, abs=1e-9)
    assert post.sigma.mean == pytest.approx(points.expect(points.sigma), rel=1e-8)
    for marginal, values in ((post.lambda_, points.lam), (post.tau, points.tau)):
        # a bounded function has every moment, whatever the tails
        middle = float(marginal.median)
        expected = points.expect(values / (values + middle))
        x = np.concatenate([0.5 * (a + b) + 0.5 * (b - a) * _X for a, b in itertools.pairwise(_CELLS)])
        w = np.concatenate([0.5 * (b - a) * _W for a, b in itertools.pairwise(_CELLS)])
        if pdf_at:
            x = np.log(middle) + x
            density = np.exp(marginal.log_pdf_log(x))
            assert w @ density == pytest.approx(1.0, abs=1e-8)
            assert w @ (density / (1.0 + middle * np.exp(-x))) == pytest.approx(expected, abs=1e-8)


_X, _W = np.polynomial.legendre.leggauss(10)
_CELLS = np.arange(-45.0, 45.01, 0.5)


#: Every prior with half of the noise priors, every noise prior with half of the priors, and both with every table.
PAIRS = [
    (prior, noise, TABLES[(i + j // 2) % len(TABLES)]) for i, prior in enumerate(PRIORS)
    for j, noise in enumerate(NOISES) if (i + j) % 2 == 0
]  # fmt: skip


@pytest.mark.parametrize(("prior", "noise", "table"), PAIRS)
def test_posterior_is_the_double_integral(prior, noise, table):
    stated, log_density, lambda_of, breaks = PRIORS[prior]
    noise_stated, noise_density = NOISES[noise]
    problem = problems()[table]
    design, spectrum = problem.spectrum("svd")
    if improper(table, prior, noise):
        with pytest.raises(ImproperPosteriorError, match="cannot be integrated"):
            infer(design, spectrum, stated, noise_stated)
        return
    dense = problem.dense()
    on_a = log_density(dense.signal)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        points = oracle.plane(
            dense,
            lambda a, v, on_a=on_a: on_a(a) + noise_density(v),
            lambda_of,
            breaks=breaks,
            a_range=(-60.0, 60.0),
        )
    post = infer(design, spectrum, stated, noise_stated)
    compare(post, points, pdf_at=not breaks)
    if breaks:
        low, high = np.exp(np.array(breaks) * (-2.0 if lambda_of is oracle.ratio_of else 1.0))
        assert post.lambda_.cdf([min(low, high), max(low, high)]) == pytest.approx([0.0, 1.0], abs=1e-9)
    if table != "wide":
        solved = oracle.coefficients(dense, points) if lambda_of is oracle.log_lambda_of else None
        if solved is not None:
            p = problem.X.shape[1]
            mean, variance = solved.moments(np.eye(p + 1)[1:])
            assert np.abs((post.coefficients.mean - mean) / np.sqrt(variance)).max() < 1e-8
            assert post.coefficients.variance == pytest.approx(variance, rel=1e-8)


@pytest.mark.parametrize("table", ["tall", "wide"])
@pytest.mark.parametrize("prior", PRIORS)
def test_known_sigma(prior, table):
    stated, log_density, lambda_of, breaks = PRIORS[prior]
    problem = problems()[table]
    design, spectrum = problem.spectrum("svd")
    dense = problem.dense()
    on_a, v = log_density(dense.signal), np.log(0.8)

    post = infer(design, spectrum, stated, FixedSigma(0.8))
    edges = np.unique(np.concatenate([np.arange(-40.0, 40.1, 0.25), np.array(breaks)]))
    half = 0.5 * np.diff(edges)[:, None]
    a, w = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * _X).ravel(), (half * _W).ravel()
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        log_f = on_a(a) + dense.log_evidence_grid(lambda_of(a, v), np.full_like(a, v))
    total = w @ np.exp(log_f - post.log_marginal_likelihood)
    assert total == pytest.approx(1.0, abs=1e-9)
    assert post.sigma.mean == pytest.approx(0.8, rel=1e-14)


@pytest.mark.parametrize("table", TABLES)
def test_gamma_precisions(table):
    problem = problems()[table]
    design, spectrum = problem.spectrum("svd")
    dense = problem.dense()
    tau, sigma = stats.gamma(1.5, scale=1 / 0.4), stats.gamma(2.0, scale=1 / 0.7)

    def log_prior(a, v):  # a = log tau: the precision tau^-2 has |d log tau^-2 / da| = 2
        return tau.logpdf(np.exp(-2 * a)) - 2 * a + sigma.logpdf(np.exp(-2 * v)) - 2 * v + 2 * np.log(2.0)

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        points = oracle.plane(dense, log_prior, oracle.tau_of, a_range=(-40.0, 40.0), v_range=(-40.0, 40.0))
    compare(infer(design, spectrum, GammaPrecisions(1.5, 0.4, 2.0, 0.7), Jeffreys()), points)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("fixed", ["lambda", "tau"])
@pytest.mark.parametrize("table", TABLES)
def test_one_scale_fixed(table, fixed, noise):
    problem = problems()[table]
    design, spectrum = problem.spectrum("svd")
    dense = problem.dense()
    stated, density = NOISES[noise]
    if table == "wide" and noise == "jeffreys" and fixed == "tau":
        with pytest.raises(ImproperPosteriorError):
            infer(design, spectrum, FixedTau(0.6), stated)
        return
    v = np.concatenate([0.5 * (a + b) + 0.5 * (b - a) * _X for a, b in itertools.pairwise(_CELLS)])
    w = np.tile(0.25 * _W, len(_CELLS) - 1)
    t = np.full_like(v, np.log(1.7)) if fixed == "lambda" else 2.0 * (v - np.log(0.6))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        log_f = dense.log_evidence_grid(t, v) + density(v)
    log_f = np.where(np.isnan(log_f), -np.inf, log_f)
    top = log_f.max()
    mass = w * np.exp(log_f - top)
    prior = FixedLambda(1.7) if fixed == "lambda" else FixedTau(0.6)
    post = infer(design, spectrum, prior, stated)
    assert post.log_marginal_likelihood == pytest.approx(top + np.log(mass.sum()), abs=1e-9)
    assert post.sigma.mean == pytest.approx(mass @ np.exp(v) / mass.sum(), rel=1e-8)


def test_fixed_scales_leave_one_gaussian():
    problem = problems()["tall"]
    design, spectrum = problem.spectrum("svd")
    post = infer(design, spectrum, FixedScales(0.8, 0.5), Jeffreys())
    mean, cov = problem.dense().conditional((0.8 / 0.5) ** 2)
    assert post.coefficients.mean == pytest.approx(mean[1:], rel=1e-11)
    assert post.covariance() == pytest.approx(0.64 * cov[1:, 1:], rel=1e-10, abs=1e-14)
    x = post.coefficients.quantile(0.9)
    assert x == pytest.approx(mean[1:] + stats.norm.ppf(0.9) * 0.8 * np.sqrt(np.diag(cov)[1:]), rel=1e-10)


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_are_normalised(prior):
    stated = PRIORS[prior][0]
    x = np.concatenate([0.5 * (a + b) + 0.5 * (b - a) * _X for a, b in itertools.pairwise(_CELLS)])
    breaks = np.array([np.log(0.5), np.log(6.0), -2 * np.log(0.2), -2 * np.log(3.0)])
    cells = np.unique(np.concatenate([np.arange(-90.0, 90.1, 0.25), breaks]))
    half = 0.5 * np.diff(cells)
    x = (0.5 * (cells[1:] + cells[:-1])[:, None] + half[:, None] * _X).ravel()
    with np.errstate(all="ignore"):
        total = ((half[:, None] * _W).ravel() * np.exp(stated.log_density(x, 3.7))).sum()
    assert total == pytest.approx(1.0, abs=1e-10)


def test_priors_with_large_numbers_are_smooth():
    """Terms of 1e11 that cancel would leave noise of 1e-5, and a fit would take seconds to follow it."""
    for prior, mode in ((BetaR2(5e9, 2.0), 1e-9), (Gamma(5e9, 1.0), 5e9)):
        x = np.log(mode) + np.linspace(-1e-5, 1e-5, 201)
        f = prior.log_density(x)
        smooth = np.polynomial.Polynomial.fit(x, f, 4)
        assert np.abs(f - smooth(x)).max() < 1e-9


@pytest.mark.parametrize("noise", [name for name in NOISES if name != "jeffreys"])
def test_noise_priors_are_normalised(noise):
    stated, density = NOISES[noise]
    x = np.concatenate([0.5 * (a + b) + 0.5 * (b - a) * _X for a, b in itertools.pairwise(_CELLS)])
    w = np.tile(0.25 * _W, len(_CELLS) - 1)
    with np.errstate(all="ignore"):
        assert w @ np.exp(stated.log_density(x)) == pytest.approx(1.0, abs=1e-10)
        seen = (x > -15) & (x < 4)
        assert stated.log_density(x[seen]) == pytest.approx(density(x[seen]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("table", ["tall", "wide"])
@pytest.mark.parametrize("log_pdf", [np.zeros_like, lambda x: -np.log(x), lambda x: -1.5 * np.log(x)])
def test_improper_priors_of_lambda_are_refused(table, log_pdf):
    # lambda -> infinity is pure noise: the likelihood stays positive there, and so must the prior's tail fall
    problem = problems()[table]
    if log_pdf(np.array([4.0]))[0] == -1.5 * np.log(4.0) and table == "tall":
        return  # lambda^(-3/2) near zero is rescued by the likelihood's lambda^(rank / 2): proper
    with pytest.raises(ImproperPosteriorError):
        posterior(problem.X, problem.y, prior=Custom(log_pdf))


def test_priors_in_the_wrong_place_are_refused():
    X, y = problems()["tall"].X, problems()["tall"].y
    with pytest.raises(PriorError):
        posterior(X, y, prior=HalfNormal(1.0, on="sigma"))
    with pytest.raises(PriorError):
        posterior(X, y, noise_prior=HalfNormal(1.0, on="tau"))
    with pytest.raises(PriorError):
        posterior(X, y, prior=Jeffreys())
    with pytest.raises(PriorError):
        posterior(X, y, prior=Custom(lambda x: np.full_like(x, np.nan)))
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(PriorError):
            HalfNormal(bad)


def test_bayes_factors_and_their_refusals():
    problem = problems()["tall"]
    X, y = problem.X, problem.y
    one, two = posterior(X, y, prior=FixedLambda(2.0)), posterior(X, y, prior=LogNormal(3.0, 1.2))
    expected = one.log_marginal_likelihood - two.log_marginal_likelihood
    assert one.log_bayes_factor(two) == expected
    assert two.log_bayes_factor(one) == -expected
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X, y + 1e-9))
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X[1:], y[1:]))
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X, y, unpenalized=(0,)))
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X, y, fit_intercept=False))
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X, y, noise_prior=InverseGamma(2.0, 1.0)))
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X, y, method="evidence"))
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X, y, prior=FixedLambda(0.0)))
    with pytest.raises(DataError):
        one.log_bayes_factor(posterior(X, y, weights=np.full(len(y), 2.0)))


@pytest.mark.parametrize(
    "prior",
    [
        BetaR2(0.5, 2.0), LogNormal(5.0, 1.5), Gamma(2.0, 0.1), HalfCauchy(0.5), HalfT(3.0, 2.0), HalfNormal(1.5),
        HalfT(4.0, 2.0, "tau"), GammaPrecisions(2.0, 1.0, 3.0, 2.0), FixedScales(2.0, 0.5), LogNormal(3.0, 1e-4),
    ],
    ids=lambda prior: prior.text,
)  # fmt: skip
def test_draws_from_densities_and_from_generators_are_of_one_distribution(prior):
    """Every prior draws from its own density; simulation-based calibration by numpy's generators, independently."""
    noise = Jeffreys() if prior.states_noise else InverseGamma(3.0, 2.0)
    rng = np.random.default_rng(1)
    lam, sigma, tau = draw_scales(prior, noise, 3.7, 4000, rng, Reference())
    of_penalty, of_sigma = prior.with_noise(noise)
    expected = lam if of_penalty.variable == "lambda" else tau
    for one, values in ((of_penalty, expected), (of_sigma, sigma)):
        drawn = one.draw(4000, rng, 3.7)
        if one.known is not None:
            np.testing.assert_array_equal(drawn, values)
        else:
            assert stats.ks_2samp(drawn, values).pvalue > 1e-4
