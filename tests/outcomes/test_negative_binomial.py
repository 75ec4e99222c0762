"""Counts with a learned dispersion: against sums over a dense grid, mpmath, and under what must not matter."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from dense import moments
from scipy.special import gammaln
from scipy.stats import kstest, nbinom, norm
from scipy.stats import t as student

from bayesridge import BayesRidge, DataError, FixedLambda, PriorError, load, posterior
from bayesridge.outcomes.family import FAMILIES, NegativeBinomial
from bayesridge.outcomes.hamiltonian import Chains
from bayesridge.outcomes.infer import _judge, default_prior
from bayesridge.outcomes.nodes import lay_nodes, marginal_of_nodes
from bayesridge.outcomes.prior import density_of_t
from bayesridge.outcomes.rows import CountMixture

FAR = 5.4  # P(|t| > 5.4) = .001 with seven degrees of freedom


def table(n=24, seed=3, dispersion=0.8):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    x = (x - x.mean()) / x.std()
    return x[:, None], rng.poisson(np.exp(0.7 + 0.5 * x) * rng.gamma(1.0 / dispersion, dispersion, n)).astype(float)


def half_t(value, scale):
    return 2.0 * student.pdf(value / scale, 4.0) / scale


def summed(x, y, offset):
    """Weights of a grid of (centre, beta, log dispersion), tau integrated out, and log p(y)."""
    centre = np.linspace(-1.0, 1.8, 43)
    u = np.linspace(-7.8, 7.8, 156)
    beta, width = 2e-3 * np.sinh(u), 2e-3 * np.cosh(u)  # dense around 0, where its prior is infinite, and integrable
    s = np.linspace(-16.0, 4.0, 61)
    phi = np.exp(s)
    mu = np.exp(centre[:, None, None] + beta[:, None] * x + offset)
    likelihood = np.empty((len(centre), len(beta), len(s)))
    for k, one in enumerate(phi):
        constant = gammaln(y + 1.0 / one) - gammaln(1.0 / one) - gammaln(y + 1.0)
        likelihood[..., k] = (constant + y * np.log(one * mu) - (y + 1.0 / one) * np.log1p(one * mu)).sum(axis=-1)
    log_tau = np.linspace(-14.0, 5.0, 400)
    tau = np.exp(log_tau)
    of_beta = np.exp(-0.5 * np.square(beta[:, None] / tau)) / (tau * np.sqrt(2.0 * np.pi)) * half_t(tau, 1.0) * tau
    of_s = half_t(np.sqrt(phi), 1.0) * 0.5 * np.sqrt(phi)
    top = likelihood.max()
    w = np.exp(likelihood - top) * (of_beta.sum(axis=1) * (log_tau[1] - log_tau[0]) * width)[:, None] * of_s
    cell = (centre[1] - centre[0]) * (u[1] - u[0]) * (s[1] - s[0])
    tau_given = (of_beta / of_beta.sum(axis=1, keepdims=True)).T @ w.sum(axis=(0, 2))
    return (centre, w.sum(axis=(1, 2))), (beta, w.sum(axis=(0, 2))), (s, w.sum(axis=(0, 1))), (log_tau, tau_given), (
        top + np.log(w.sum() * cell)
    )  # fmt: skip


@pytest.mark.parametrize(("dispersion", "seed", "shift"), [(0.3, 22, 0.0), (1e-9, 3, 0.3)])
def test_against_sums_over_a_grid(dispersion, seed, shift):
    """Dispersed counts, of a posterior that ends between two nodes, and Poisson ones, whose dispersion reaches zero."""
    X, y = table(dispersion=dispersion, seed=seed)
    offset = np.linspace(-shift, shift, len(y))
    post = posterior(X, y, family="negative-binomial", offset=offset)
    centre, beta, s, log_tau, log_evidence = summed(X[:, 0], y, offset)
    for found, truth in ((post.intercept, centre), (post.coefficients, beta)):
        mean, sd, ends = moments(*truth, (0.025, 0.5, 0.975))
        assert abs(found.mean[0] - mean) < FAR * found.mcse[0] + 2e-3 * sd
        assert found.sd[0] == pytest.approx(sd, rel=0.03)
        got = [found.quantile(q)[0] for q in (0.025, 0.5, 0.975)]
        np.testing.assert_allclose(got, ends, atol=2.36 * 0.05 * sd)  # what the certificate promises
    for found, truth in ((post.scales["dispersion"], s), (post.tau, log_tau)):
        _, sd, ends = moments(*truth, (0.1, 0.5, 0.9))
        np.testing.assert_allclose(np.log(found.quantile([0.1, 0.5, 0.9])), ends, atol=0.1 * sd)
    assert post.log_marginal_likelihood == pytest.approx(log_evidence, abs=FAR * post.log_evidence[1] + 5e-3)


@pytest.mark.parametrize("end", [[], [3e-13], [0.0], [1e-6, 0.0], [0.0, 0.0]])
def test_a_density_follows_its_nodes_and_nothing_else(end):
    """Masses of a Gaussian in nodes 1.2 sd apart; where they end in nothing, with or without a steep fall before."""
    points = np.concatenate([np.arange(-4.8, 1.3, 1.2), 1.2 + 1.2 * np.arange(1.0, len(end) + 1)])
    mass = np.concatenate([norm.pdf(points[: len(points) - len(end)]), end])
    found = np.log(marginal_of_nodes("dispersion", points, mass / mass.sum()).quantile([0.1, 0.5, 0.75]))
    cut = 0.5 * (norm.cdf(1.2) + norm.cdf(2.4 if end else 1.2))  # what lies beyond the last node is not known
    np.testing.assert_allclose(found, norm.ppf(np.array([0.1, 0.5, 0.75]) * cut), atol=0.15)


def test_the_sampler_agrees_with_the_correction():
    X, y = table(seed=5)
    post = posterior(X, y, family="negative-binomial")
    problem = post.problem
    prior = default_prior(problem.family, problem.design)
    nodes = lay_nodes(problem.merged(), density_of_t(prior))
    chains = Chains(problem.merged(), nodes, np.random.default_rng(1))
    before, draws = chains.run(40), chains.run(80)
    assert _judge(problem, nodes, before, draws, weighted=False).standard_error < 0.25
    scale = post.design.scale
    beta = draws.theta[..., 1] * problem.directions.V[0, 0] / scale[0]
    error = beta.mean(axis=1).std(ddof=1) / np.sqrt(8)
    assert abs(beta.mean() - post.coefficients.mean[0]) < FAR * np.hypot(error, post.coefficients.mcse[0])
    bridge = chains.log_evidence(draws)
    assert abs(bridge[0] - post.log_evidence[0]) < FAR * np.hypot(bridge[1], post.log_evidence[1]) < 0.05
    log_phi = np.log([node.extra for node in nodes])
    each = draws.mass @ log_phi / draws.mass.sum(axis=1)
    of_post = post.draws_.mass.sum(axis=0) @ np.log(post.extra)
    assert abs(each.mean() - of_post) < FAR * each.std(ddof=1) / np.sqrt(8) + 0.05


@pytest.mark.parametrize("eta", [-30.0, -1.0, 0.0, 3.0, 12.0])
@pytest.mark.parametrize("dispersion", [1e-11, 1e-3, 1.0, 1e3])
def test_the_density_and_its_derivatives(eta, dispersion):
    """Against 60 digits."""
    family, at = NegativeBinomial(dispersion), np.array([eta])
    with mpmath.workdps(60):
        a = 1 / mpmath.mpf(dispersion)

        def log_p(x, y):
            mu = mpmath.exp(x)
            constant = mpmath.loggamma(y + a) - mpmath.loggamma(a) - mpmath.loggamma(y + 1)
            return constant + a * mpmath.log(a / (a + mu)) + y * mpmath.log(mu / (a + mu))

        for y in (0, 1, 7):
            truth = [float(log_p(mpmath.mpf(eta), y))]
            truth += [float(mpmath.diff(lambda x, y=y: log_p(x, y), mpmath.mpf(eta), k)) for k in (1, 2)]
            got = family.log_density(at, np.array([float(y)]), None)[0]
            first, second = family.slope(at, np.array([float(y)]), None)
            assert got == pytest.approx(truth[0], rel=1e-12, abs=1e-13 * (1.0 + 7.0 * abs(np.log(dispersion))))
            assert first[0] == pytest.approx(truth[1], rel=1e-9, abs=1e-14)
            assert -second[0] == pytest.approx(truth[2], rel=1e-9, abs=1e-14)


def test_predictions_draws_and_files(tmp_path):
    X, y = table(n=40)
    fit = BayesRidge(family="negative-binomial").fit(X, y)
    post = fit.posterior_
    draws = post.draw(4000, 1, random_state=0)
    phi, scalar = draws.extra["dispersion"][0], post.scales["dispersion"]
    for q in (0.1, 0.5, 0.9):
        assert (phi < scalar.quantile(q)).mean() == pytest.approx(q, abs=0.035)
    assert len(np.unique(phi)) == 4000
    mu = np.exp(draws.intercept[0] + draws.coef[0, :, 0] * X[0, 0])
    found = post.predict(X[:1])
    assert found.sd[0] ** 2 == pytest.approx((mu + phi * mu**2).mean() + mu.var(), rel=0.06)
    for value in (0.0, 2.0, 6.0):
        below = nbinom.cdf(value, 1.0 / phi, 1.0 / (1.0 + phi * mu)).mean()
        assert found.target.cdf(value)[0] == pytest.approx(below, abs=0.01)
    again = load(fit.save(tmp_path / "nb.bridge", rows=True))
    assert again.family == "negative-binomial"
    np.testing.assert_allclose(again.predict(X), fit.predict(X), rtol=1e-12)
    assert again.posterior_.scales["dispersion"].median == pytest.approx(scalar.median, rel=1e-9)
    tree = post.to_datatree(50, 2, 0, predictive=True)
    assert tree["posterior"]["dispersion"].shape == (2, 50)
    rows = np.flatnonzero(y > 0)[:1]
    phi, coef = (tree["posterior"][name].values[0, 0] for name in ("dispersion", "coef"))
    mu = np.exp(tree["posterior"]["intercept"].values[0, 0] + coef @ X[rows[0]])
    wanted = nbinom.logpmf(y[rows[0]], 1.0 / phi, 1.0 / (1.0 + phi * mu))
    assert tree["log_likelihood"]["y"].values[0, 0, rows[0]] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.slow  # test_use has the same of counts without dispersion
def test_leave_one_out_is_the_fit_without_the_row():
    X, y = table(n=16, seed=9, dispersion=0.3)
    y[4] = 60.0
    post = posterior(X, y, family="negative-binomial", scale=[1.0])
    rest = np.arange(16) != 4
    other = posterior(X[rest], y[rest], family="negative-binomial", scale=[1.0])
    assert post.loo.pointwise[4] == pytest.approx(other.predict(X[4:5]).log_density(y[4:5])[0], abs=0.03)


def test_a_known_dispersion_and_a_known_lambda(tmp_path):
    X, y = table(n=40)
    known = posterior(X, y, family=NegativeBinomial(0.5))
    assert known.scales["dispersion"].median == 0.5
    assert "dispersion 0.5" in known.prior_texts[1]
    again = load(known.save(tmp_path / "known.bridge"))
    assert again.posterior_.family == NegativeBinomial(0.5)
    poisson = posterior(X, y, family="poisson")
    limit = posterior(X, y, family=NegativeBinomial(1e-9))
    np.testing.assert_allclose(
        limit.coefficients.mean, poisson.coefficients.mean, atol=0.01 * poisson.coefficients.sd[0]
    )
    assert limit.log_marginal_likelihood == pytest.approx(poisson.log_marginal_likelihood, abs=0.01)
    fixed = posterior(X, y, family="negative-binomial", prior=FixedLambda(2.0))
    assert fixed.method == "fixed"
    assert fixed.lambda_.median == 2.0
    assert fixed.scales["dispersion"].sd > 0
    assert posterior(X, y, family="negative-binomial").log_bayes_factor(poisson) > 1.0


@pytest.mark.parametrize(
    ("family", "error", "said"),
    [
        (lambda: NegativeBinomial(-1.0), PriorError, "must be positive"),
        (lambda: NegativeBinomial(spread=0.0), PriorError, "must be positive"),
        (lambda: "negative-binomial, dispersion=x", DataError, "does not take"),
        (lambda: "negative-binomial, size=2", DataError, "does not take"),
    ],
)
def test_what_cannot_be(family, error, said):
    X, y = table()
    with pytest.raises(error, match=said):
        posterior(X, y, family=family())


def test_it_is_named_among_the_families():
    assert list(FAMILIES) == ["poisson", "negative-binomial", "binomial", "probit", "student"]


@pytest.mark.parametrize("name", ["poisson", "binomial", "negative-binomial"])
def test_the_randomised_pit_lies_between_the_cdf_and_the_one_below(name):
    """And where it lies is uniform: 2,000 outcomes of one mixture, Kolmogorov-Smirnov at 1e-4."""
    rng = np.random.default_rng(0)
    family = FAMILIES[name] if name != "negative-binomial" else NegativeBinomial(dispersion=0.5)
    trials = np.full(2_000, 7.0) if name == "binomial" else None
    mixture = CountMixture(family, np.array([[-0.5], [1.0]]) + np.zeros(2_000), np.full((2, 1), 0.5), trials)
    y = mixture.simulate(1, rng)[0]
    pit = mixture.pit(y)
    assert (pit >= mixture.cdf(y - 1.0) - 1e-12).all()
    assert (pit <= mixture.cdf(y) + 1e-12).all()
    assert kstest(pit, "uniform").pvalue > 1e-4
