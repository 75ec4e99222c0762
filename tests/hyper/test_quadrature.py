"""The line rule, marginals and mixtures on functions whose integrals are known."""

from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, gammaln, logsumexp

from bayesridge.errors import AccuracyWarning, ImproperPosteriorError, PriorError
from bayesridge.fit import posterior
from bayesridge.hyper.marginal import marginal
from bayesridge.hyper.nested import _on_a_line
from bayesridge.hyper.quadrature import integrate, refine
from bayesridge.posteriors.mixture import Mixture
from bayesridge.priors import BetaR2, Custom, FixedSigma
from tests.truth.problems import problems

SCAN = np.linspace(-10.0, 10.0, 41)
KNOWN = {
    "normal": (lambda x: -0.5 * x * x, 0.5 * np.log(2 * np.pi)),
    "narrow": (lambda x: -0.5 * ((x - 1.234) / 1e-3) ** 2, 0.5 * np.log(2 * np.pi) - 3 * np.log(10.0)),
    "logistic tails": (lambda x: -np.logaddexp(0, x) - np.logaddexp(0, -x), 0.0),
    "skew: log gamma(0.2)": (lambda x: 0.2 * x - np.exp(np.minimum(x, 700.0)), gammaln(0.2)),
    "slow tail": (lambda x: 0.1 * x - np.exp(np.minimum(x, 700.0)), gammaln(0.1)),
    "two narrow modes": (
        lambda x: np.logaddexp(-0.5 * ((x + 6) / 0.05) ** 2, -0.5 * ((x - 6) / 0.05) ** 2),
        np.log(2 * 0.05) + 0.5 * np.log(2 * np.pi),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_integrals(name):
    f, log_total = KNOWN[name]
    rule = integrate(f, SCAN, "x")
    # 1e-10 is the rule's tolerance
    assert rule.log_total == pytest.approx(log_total, abs=1e-10)
    assert rule.weight.sum() == pytest.approx(1.0, abs=1e-13)
    assert abs(np.expm1(rule.log_total - log_total)) <= max(10 * rule.error, 1e-13)
    assert refine(rule, f).log_total == pytest.approx(log_total, abs=1e-11)


def test_a_kink_is_left_to_cells_and_noise_to_few():
    """Steps of a trapezoid converge to neither: work and nodes are bounded, the error says what is left."""
    seen = []

    def kink(x):
        seen.append(len(x))
        return -3.0 * np.abs(x - 0.1234)

    rule = integrate(kink, SCAN, "x")
    assert rule.log_total == pytest.approx(np.log(2.0 / 3.0), abs=1e-9)
    assert sum(seen) < 6000  # 35,000 by halving steps to the end
    rough = integrate(lambda x: -0.5 * x * x + 1e-3 * np.sin(1e9 * x), SCAN, "x")
    assert len(rough.x) <= 64 * 16
    assert rough.log_total == pytest.approx(0.5 * np.log(2.0 * np.pi), abs=2e-3)
    assert 1e-8 < rough.error < 1e-1


@pytest.mark.parametrize("low", [-3.0, -0.71234, 0.3])
@pytest.mark.parametrize("length", [1.7, 6.1])
def test_a_function_with_jumps(low, length):
    def f(x):
        return np.where((x > low) & (x < low + length), -0.5 * x * x, -np.inf)

    rule = integrate(f, SCAN, "x")
    with mpmath.workdps(25):
        total = mpmath.ncdf(low + length) - mpmath.ncdf(low)
        expected = float(mpmath.log(total * mpmath.sqrt(2 * mpmath.pi)))
    assert rule.log_total == pytest.approx(expected, abs=1e-9)


def test_a_support_that_the_scan_misses_is_said():
    with pytest.raises(PriorError):
        integrate(lambda x: np.where(abs(x - 0.31) < 0.01, 0.0, -np.inf), SCAN, "x")


@pytest.mark.parametrize("f", [np.zeros_like, lambda x: -np.maximum(x, 0.0), lambda x: np.minimum(x, 0.0)])
def test_functions_without_an_integral_are_refused(f):
    with pytest.raises(ImproperPosteriorError):
        integrate(f, SCAN, "x")


def test_marginal_of_a_log_normal():
    exact = stats.lognorm(0.8, scale=2.0)
    m = marginal("x", lambda x: stats.norm(np.log(2.0), 0.8).logpdf(x), np.log(2.0) - 8.0, np.log(2.0) + 8.0)
    q = np.array([1e-6, 0.025, 0.3, 0.5, 0.9, 0.999])
    assert m.quantile(q) == pytest.approx(exact.ppf(q), rel=1e-9)
    assert m.cdf(exact.ppf(q)) == pytest.approx(q, rel=1e-9)
    assert m.pdf(np.array([0.1, 1.0, 7.0])) == pytest.approx(exact.pdf([0.1, 1.0, 7.0]), rel=1e-12)
    assert m.mean == pytest.approx(exact.mean(), rel=1e-10)
    assert m.sd == pytest.approx(exact.std(), rel=1e-10)
    assert m.mode == pytest.approx(2.0 * np.exp(-0.64), rel=1e-6)
    assert m.log_mode == pytest.approx(2.0, rel=1e-6)


def test_a_distribution_narrower_than_all_cells_is_found():
    """Between the points of all of them there was nothing, and any number was a quantile."""
    for centre, sd in ((0.123, 1e-4), (-31.3, 1e-3)):
        normal = stats.norm(centre, sd)
        found = marginal("x", normal.logpdf, -40.0, 47.0)
        assert np.log(found.quantile(0.975)) == pytest.approx(normal.ppf(0.975), abs=1e-9 * sd + 1e-14)
    with pytest.warns(AccuracyWarning, match="add up to 0.4"):
        marginal("x", lambda x: stats.norm.logpdf(x) + np.log(0.4), -9.0, 9.0)


def test_cdf_of_a_number():
    post = posterior(problems()["tall"].X, problems()["tall"].y)
    assert float(post.lambda_.cdf(1.0)) == float(post.lambda_.cdf([1.0])[0])


@pytest.mark.parametrize(
    "name", ["tiny", "rank 3 of 5", *[pytest.param(name, marks=pytest.mark.slow) for name in ("tall", "wide")]]
)
def test_marginals_are_distributions(name):
    post = problems()[name].infer("svd")
    p = np.array([0.001, 0.05, 0.5, 0.95, 0.999])
    for m in (post.lambda_, post.sigma, post.tau, post.r2, post.effective_dof):
        x = m.quantile(p)
        assert (np.diff(x) > 0).all()
        assert m.cdf(x) == pytest.approx(p, abs=1e-10)
        # integral of the density per unit of the scalar between quantiles, by panels
        for a, b, mass in zip(x, x[1:], np.diff(p), strict=False):
            edges = np.geomspace(a, b, 60)
            half = 0.5 * np.diff(edges)
            nodes, weights = np.polynomial.legendre.leggauss(16)
            points = 0.5 * (edges[1:] + edges[:-1])[:, None] + half[:, None] * nodes
            total = (half[:, None] * weights * m.pdf(points)).sum()
            assert total == pytest.approx(mass, abs=1e-8), m.name
        hdi, eti = m.hdi(0.9), m.interval(0.9)
        assert np.diff(m.cdf(np.array(hdi)))[0] == pytest.approx(0.9, abs=1e-8)
        assert hdi.upper - hdi.lower <= (eti.upper - eti.lower) * (1 + 1e-9)


def test_means_are_infinite_where_they_are():
    problem = problems()["tall"]
    # the upper tail of lambda is the prior's: a BetaPrime(a, b) on signal / lambda falls as lambda^(-a - 1)
    assert posterior(problem.X, problem.y, prior=BetaR2(0.5, 0.5)).lambda_.mean == np.inf
    assert posterior(problem.X, problem.y, prior=BetaR2(1.5, 0.5)).lambda_.mean < np.inf
    assert posterior(problem.X, problem.y, prior=BetaR2(1.5, 0.5)).lambda_.sd == np.inf
    assert posterior(problem.X, problem.y, prior=BetaR2(2.5, 0.5)).lambda_.sd < np.inf


@pytest.mark.parametrize("df", [5.0, 120.0, np.inf])
def test_a_spike_without_weight_does_not_hold_quantiles(df):
    """A prior with heavy tails has nodes at lambda 1e180: 1e-15 of the weight, at scales 1e89 times smaller."""
    mixture = Mixture(np.array([[2.0, 1.5, 0.0]]), np.array([[1.0, 0.7, 1e-89]]), np.array([0.6, 0.4, 2e-15]), df)
    for q in (0.025, 0.5, 0.975):
        assert mixture.cdf(mixture.quantile(q)) == pytest.approx([q], abs=1e-10)


@pytest.mark.parametrize("df", [3.0, 7.5, np.inf])
def test_mixture_against_scipy(df):
    location, scale = np.array([[0.0, 1.0, 5.0], [2.0, 2.0, 2.5]]), np.array([[1.0, 0.3, 0.5], [0.1, 1.0, 3.0]])
    weight = np.array([0.5, 0.3, 0.2])
    mixture = Mixture(location, scale, weight, df)
    component = stats.norm(location, scale) if np.isinf(df) else stats.t(df, location, scale)
    for x in (np.array([-1.0, 0.4]), np.array([3.0, 2.2])):
        assert mixture.cdf(x) == pytest.approx((weight * component.cdf(x[:, None])).sum(axis=1), abs=1e-13)
        assert mixture.log_pdf(x) == pytest.approx(np.log((weight * component.pdf(x[:, None])).sum(axis=1)), abs=1e-12)
    for q in (1e-4, 0.3, 0.5, 0.99):
        x = mixture.quantile(q)
        assert (weight * component.cdf(x[:, None])).sum(axis=1) == pytest.approx([q, q], rel=1e-11)
    low, high = mixture.shortest_interval(0.8)
    assert mixture.cdf(high) - mixture.cdf(low) == pytest.approx([0.8, 0.8], abs=1e-10)
    grid = np.linspace(1e-6, 0.2 - 1e-6, 4001)
    for k in range(2):
        one = Mixture(np.repeat(location[k : k + 1], 4001, 0), np.repeat(scale[k : k + 1], 4001, 0), weight, df)
        shortest = (one.quantile(grid + 0.8) - one.quantile(grid)).min()
        # at the optimum the length is flat: a grid of 5e-5 sees it to 1e-6
        assert high[k] - low[k] <= shortest * (1 + 1e-6)


def test_a_mixture_at_one_point_but_for_what_has_no_weight():
    """The median of symmetric components about zero is zero; it was the mean, which another's 1e-15 moves."""
    mixture = Mixture(
        np.r_[np.zeros(40), -5e10][None], np.r_[np.ones(40), 1e9][None], np.r_[np.full(40, 0.025), 2e-15], 9
    )
    assert mixture.quantile(0.5)[0] == 0.0


def test_bounded_prior_keeps_its_bounds():
    problem = problems()["tall"]

    def log_pdf(lam):
        return np.where((lam > 0.5) & (lam < 6.0), -np.log(5.5), -np.inf)

    post = posterior(problem.X, problem.y, prior=Custom(log_pdf), noise_prior=FixedSigma(0.8))
    assert post.lambda_.cdf([0.5, 6.0]) == pytest.approx([0.0, 1.0], abs=1e-9)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")  # the larger mode lies at infinity
def test_sigma_with_two_modes_far_apart():
    # signal in the smallest directions: a perfect fit at small lambda (1e-5 of the mass), or all of it noise
    rng = np.random.default_rng(1)
    Q = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    X = rng.standard_normal((100, 40)) @ np.diag(np.geomspace(1.0, 0.02, 40)) @ Q
    X /= X.std(axis=0)
    U = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0]
    post = posterior(X, U[:, -8:] @ (20.0 * rng.standard_normal(8)) + rng.standard_normal(100))
    nodes = post.hyper.nodes
    # E[sigma^2] is a sum over the nodes; the marginal's own quadrature promises 1e-8
    expected = nodes.weight @ nodes.noise.mean_variance()
    assert post.sigma.mean**2 + post.sigma.sd**2 == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("natural", [True, False])
def test_the_mode_of_lambda_against_forty_digits(natural):
    """Values alone place a maximum to 1e-8: the derivative's root in multiple precision shows it."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 4))
    post = posterior(X, X @ [1.0, -0.5, 0.2, 0.0] + rng.standard_normal(60))
    s = post.spectrum
    with mpmath.workdps(40):

        def log_density(t):
            lam = mpmath.exp(t)
            Q = s.r0 + sum(z2 * lam / (s2 + lam) for z2, s2 in zip(s.z2.tolist(), s.s2.tolist(), strict=True))
            log_det = sum(mpmath.log1p(s2 / lam) for s2 in s.s2.tolist())
            prior = mpmath.log(s.signal / lam) / 2 - mpmath.log1p(s.signal / lam)
            return prior - log_det / 2 - s.nu / 2 * mpmath.log(Q) - (t if natural else 0)

        found = post.lambda_.mode if natural else post.lambda_.log_mode
        exact = mpmath.exp(mpmath.findroot(lambda t: mpmath.diff(log_density, t), mpmath.log(found)))
        assert abs(found / exact - 1) < 1e-11


def test_the_gauss_rule_of_a_line_has_its_moments():
    f, _ = KNOWN["slow tail"]
    rule = integrate(f, SCAN, "x")
    x, weight = rule.gauss(12)
    mode = rule.x[np.argmax(rule.log_f)]
    assert (np.diff(x) > 0).all()
    for power in range(24):  # of u, which the rule of twelve nodes has exactly up to the 23rd
        all_, few = (w @ expit(0.5 * (mode - at)) ** power for at, w in ((rule.x, rule.weight), (x, weight)))
        assert few == pytest.approx(all_, rel=1e-12)


def test_two_modes_that_every_second_node_sees_alike():
    """At -3 and 3, nodes two apart from zero on: sums over even and odd ones agree, of three phases they do not."""
    modes = stats.norm([-3.0, 3.0], 0.6)

    def at(v):
        return float(logsumexp(np.log([0.6, 0.4]) + modes.logpdf(v[0]))), SimpleNamespace(error=0.0)

    nested = SimpleNamespace(spans=np.array([[-8.0, 8.0]]), start=None)
    found = _on_a_line(SimpleNamespace(centre=np.zeros(1), nested=nested, at=at, theta_names=("v",)))
    x = np.array([-3.0, 0.0, 2.4])
    exact = [float(np.dot([0.6, 0.4], modes.cdf(one))) for one in x]
    assert found.log_marginal == pytest.approx(0.0, abs=1e-6)
    assert found._own(0).cdf(np.exp(x)) == pytest.approx(exact, abs=1e-6)
