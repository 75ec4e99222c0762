"""Many quantiles at once start from a table, few do not: both solve the same equation to rounding."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.fit import posterior
from bayesridge.hyper.marginal import marginal
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.mixture import Mixture
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, FixedSigma, GammaPrecisions, HalfCauchy, HalfNormal, HalfT, InverseGamma, Jeffreys


def mixture(x):
    """Two bells far apart in width and place: nearly no mass between them."""
    return np.logaddexp(np.log(0.3) + stats.norm(-4.0, 0.02).logpdf(x), np.log(0.7) + stats.norm(3.0, 1.0).logpdf(x))


def lambda_of(name, prior, noise):
    X, y = load_xy(name)
    design = build_design(X.to_numpy(dtype=float), y.to_numpy())
    return infer(design, factorize(design), prior, noise).lambda_


MARGINALS = {
    "bimodal": lambda: marginal("x", mixture, -5.0, 12.0),
    "exponential tails": lambda: marginal("x", lambda x: -np.abs(x) - np.log(2.0), -40.0, 40.0),
    "diabetes": lambda: lambda_of("diabetes", BetaR2(), Jeffreys()),
    "longley, plane": lambda: lambda_of("longley", HalfCauchy(500.0, on="tau"), HalfNormal(500.0, on="sigma")),
    "longley, conjugate": lambda: lambda_of("longley", BetaR2(1.0, 1.0), InverseGamma(2.0, 1e5)),
}


@pytest.mark.parametrize("name", MARGINALS)
def test_many_quantiles_are_those_of_each_alone(name):
    one = MARGINALS[name]()
    q = np.concatenate([[0.0, 1e-12, 1e-6], np.random.default_rng(0).random(500), [1 - 1e-6, 1 - 1e-12, 1.0]])
    many = one.quantile(q)
    few = np.concatenate([one.quantile(part) for part in np.array_split(q, 10)])
    # a rounding of q of 1e-16 moves a quantile by that over the density: compare probabilities
    np.testing.assert_allclose(one.cdf(many), one.cdf(few), rtol=0, atol=1e-13)
    np.testing.assert_allclose(one.cdf(many), q, rtol=0, atol=1e-11)  # the mass of the density is 1 to about 1e-12
    order = np.argsort(q)
    assert (np.diff(many[order]) >= 0).all()
    middle = (q > 0.01) & (q < 0.99)
    np.testing.assert_allclose(np.log(many[middle]), np.log(few[middle]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("df", [1.0, 3.0, 199.0, np.inf])
def test_quantiles_of_mixtures_of_very_narrow_and_very_wide_components(df):
    """Between a spike and a bell Newton's step can stall far from the root: the cdf at the quantile is its level."""
    rng = np.random.default_rng(3)
    m, K = 60, 90
    scale = 10.0 ** np.sort(rng.uniform(-4.0, 0.0, (m, K)), axis=1)
    location = np.cumsum(rng.uniform(0.0, 0.02, (m, K)), axis=1)
    weight = rng.dirichlet(np.full(K, 0.3))
    made = Mixture(location, scale, weight, df)
    for q in (1e-4, 0.025, 0.5, 0.975):
        x = made.quantile(q)
        component = stats.norm if np.isinf(df) else stats.t(df)
        below = (weight * component.cdf((x[:, None] - location) / scale)).sum(axis=1)
        # the last Newton step is below 1e-7 of the mean scale, its square below 1e-9 of the narrowest that matters
        np.testing.assert_allclose(below, q, rtol=0, atol=1e-9)


def test_quantiles_where_a_wide_bell_meets_a_spike_at_zero():
    """Nearly improper gamma priors leave a second mode at lambda = infinity: bells beside a spike at zero."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 15)) @ np.diag(rng.uniform(0.1, 5.0, 15))
    y = X @ rng.standard_normal(15) + 2.0 * rng.standard_normal(20)
    found = posterior(X, y, prior=GammaPrecisions()).coefficients
    np.testing.assert_allclose(found.cdf(found.quantile(0.975)), 0.975, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize("n", [3, 4, 6])
def test_quantiles_inside_tails_without_a_variance(n):
    """An unpenalised slope is least squares with n - 2 degrees of freedom: Student-t, here as a sum over sigma.

    With one degree of freedom the widths of the components have no mean square: no measure of a step's size.
    """
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, 1))
    y = X[:, 0] + rng.standard_normal(n)
    found = stats.linregress(X[:, 0], y)
    post = posterior(X, y, unpenalized=[0], prior=HalfT(4.0, 1.0, on="tau"))
    for q in (0.025, 0.25, 0.5, 0.75, 0.975):
        standardised = (post.coefficients.quantile(q)[0] - found.slope) / found.stderr
        assert stats.t(n - 2).cdf(standardised) == pytest.approx(q, abs=1e-10)  # the tolerance of the sum over sigma


def test_quantiles_of_a_spike_narrower_than_the_rounding_of_the_mean():
    """A prior 20 powers of ten below the data nearly always wins, and the mean is that of the rest."""
    location = np.array([[0.0, 1e-40, 2e7]])
    mixture = Mixture(location, np.array([[1e-20, 3e-19, 1e3]]), np.array([0.4, 0.6 - 1e-6, 1e-6]), np.inf)
    for q in (0.025, 0.3, 0.5, 0.975):
        below = 0.4 * stats.norm.cdf(mixture.quantile(q) / 1e-20) + 0.599999 * stats.norm.cdf(
            mixture.quantile(q) / 3e-19
        )
        assert below == pytest.approx(q, abs=1e-9)


@pytest.fixture(scope="module")
def many_coefficients():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 700))
    return posterior(X, X[:, 0] + rng.standard_normal(40)).coefficients


@pytest.mark.parametrize("noise_prior", [None, FixedSigma(2.0)], ids=["conjugate", "known"])
def test_few_nodes_give_the_quantiles_of_all(many_coefficients, noise_prior):
    coefficients = many_coefficients
    if noise_prior is not None:
        rng = np.random.default_rng(4)
        X = rng.standard_normal((40, 700))
        coefficients = posterior(X, 2.0 * X[:, 0], noise_prior=noise_prior).coefficients
    rules = coefficients._rules()
    away = np.abs(coefficients.interval(0.95) - coefficients.mixture.interval(0.95)) / coefficients.sd[:, None]
    coefficients._solved(Mixture.quantile, np.full(len(coefficients), 0.025), lambda m, q, x: m.cdf(x) - q, rules)
    assert 0 < len(rules) < 4  # some were too few, one was enough
    assert away.max() < 1e-9  # the digits promised of quantiles
    below = coefficients.mixture.cdf(np.zeros(len(coefficients)))
    np.testing.assert_allclose(coefficients.cdf(0.0), below, atol=1e-10)


def test_few_nodes_that_will_not_do_are_found_out(many_coefficients, monkeypatch):
    rules = many_coefficients._rules()
    wrong = [dataclasses.replace(rule, given=_Wider(rule.given)) for rule in rules]
    monkeypatch.setattr(type(many_coefficients), "_rules", lambda _: wrong)
    assert (many_coefficients.interval(0.95) == many_coefficients.mixture.interval(0.95)).all()
    assert wrong == []


@dataclasses.dataclass
class _Wider:
    given: object

    def mean(self, linear):
        return self.given.mean(linear)

    def variance(self, linear):
        return self.given.variance(linear) * (1.0 + 2e-8)


def test_a_table_of_resolvents_of_low_rank_loses_no_digits():
    """A hundred singular values within a tenth of each other, at forty lambdas and for more than a thousand columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 1500))
    post = posterior(X, X @ rng.standard_normal(1500))
    linear = post.engine.coefficients().take(slice(None))
    given = post.engine.at(np.linspace(-3.0, 20.0, 40)[:, None])
    mean, variance = given.mean(linear), given.variance(linear)
    assert given._factors is not None
    for part in (slice(0, 500), slice(500, 1500)):
        plain = linear.take(part)
        np.testing.assert_allclose(variance[part], given.variance(plain), rtol=1e-13)
        np.testing.assert_allclose((mean[part] - given.mean(plain)) / np.abs(mean).max(axis=0), 0.0, atol=1e-13)
