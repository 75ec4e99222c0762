"""Poisson and binomial posteriors against brute-force integration, and under what must not matter."""

from __future__ import annotations

import dense
import mpmath
import numpy as np
import pytest
from scipy.special import ndtr

from bayesridge import DataError, FixedLambda, HalfT, posterior
from bayesridge.design.design import build_design
from bayesridge.outcomes import nodes as lattice
from bayesridge.outcomes.certificate import effective_size, pareto_k
from bayesridge.outcomes.correction import Sampler, joined
from bayesridge.outcomes.family import FAMILIES
from bayesridge.outcomes.hamiltonian import Chains
from bayesridge.outcomes.infer import _judge, default_prior, log_evidence
from bayesridge.outcomes.nodes import lay_nodes
from bayesridge.outcomes.penalized import penalized_mode
from bayesridge.outcomes.prior import density_of_t
from bayesridge.outcomes.problem import make_outcome

#: P(|t| > 5.4) = .001 with seven degrees of freedom
FAR = 5.4


def standard(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def table(n=30, p=2, seed=3, family="poisson"):
    rng = np.random.default_rng(seed)
    X = standard(rng.standard_normal((n, p)))
    eta = 0.3 + X @ np.linspace(0.6, -0.3, p)
    y = rng.poisson(np.exp(eta)) if family == "poisson" else rng.random(n) < 1.0 / (1.0 + np.exp(-eta))
    return X, y.astype(float)


CASES = {
    "counts": ("poisson", *table(), None, 0.0),
    "mostly zeros": ("poisson", table(seed=5)[0], np.r_[np.zeros(26), 1.0, 1.0, 2.0, 1.0], None, 0.0),
    "exposure": ("poisson", *table(seed=7), None, np.linspace(-1.0, 1.0, 30)),
    "yes and no": ("binomial", *table(family="binomial"), None, 0.0),
    "three yes": ("binomial", table(seed=11)[0], np.isin(np.arange(30), [3, 11, 20]).astype(float), None, 0.0),
    "separated": ("binomial", table(seed=13)[0], (table(seed=13)[0][:, 0] > 0.1).astype(float), None, 0.0),
    "probit": ("probit", table(seed=19)[0], np.arange(30) % 3.0, np.full(30, 2.0), 0.0),
    "trials": ("binomial", table(seed=17)[0], np.arange(30) % 4.0, np.full(30, 4.0), 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_against_brute_force(name):
    family, X, y, trials, offset = CASES[name]
    given = {"offset": offset} if np.ndim(offset) else {}
    post = posterior(X, y, family=family, trials=trials, **given)
    scale = FAMILIES[family].unit / np.sqrt(2.0)
    b, w, log_tau, log_evidence = dense.integrate(
        family, X, y, 4.0, scale, offset, trials, points=21 if name == "separated" else 15
    )
    mean = w @ b
    sd = np.sqrt(w @ np.square(b - mean))
    found = np.r_[post.intercept.mean, post.coefficients.mean]
    mcse = np.r_[post.intercept.mcse, post.coefficients.mcse]
    separated = "separated" in " ".join(post.check)
    assert separated == (name == "separated")
    assert (np.abs(found - mean) < FAR * mcse + 1e-3 * sd).all()
    np.testing.assert_allclose(np.r_[post.intercept.sd, post.coefficients.sd], sd, rtol=0.15 if separated else 0.05)
    for q in (0.025, 0.5, 0.975):
        wanted = [dense.quantile(b[:, j], w, q) for j in range(3)]
        got = np.r_[post.intercept.quantile(q), post.coefficients.quantile(q)]
        # the certificate's promise: .05 sd is the largest standard error
        assert (np.abs(got - wanted) < 2.36 * 0.05 * sd).all(), (name, q, (got - wanted) / sd)
    for q in (0.1, 0.5, 0.9):
        assert np.log(post.tau.quantile(q)) == pytest.approx(dense.quantile(log_tau, w, q), abs=0.05)
    assert post.log_marginal_likelihood == pytest.approx(log_evidence, abs=FAR * post.log_evidence[1] + 1e-3)


@pytest.mark.parametrize("eta", [-1e6, -250.0, -150.0, -20.0, -0.3, 0.0, 1.7, 9.0, 37.0, 60.0])
def test_the_probit_and_its_derivatives(eta):
    """Against 700 digits: one success of one trial, and its mirror image."""
    family, at = FAMILIES["probit"], np.array([eta])
    with mpmath.workdps(700):
        x = mpmath.mpf(eta)
        # far below the distribution function is an incomplete gamma function; its ratio to the density is Mills'
        below = mpmath.erfc(-x / mpmath.sqrt(2)) / 2
        h = mpmath.npdf(x) / below
        log_below, first, second = (float(one) for one in (mpmath.log(below), h, h * (x + h)))
    for y, sign in ((1.0, 1.0), (0.0, -1.0)):
        got_first, got_second = family.slope(sign * at, np.array([y]), None)
        assert family.log_density(sign * at, np.array([y]), None)[0] == pytest.approx(log_below, rel=1e-12, abs=1e-300)
        assert got_first[0] == pytest.approx(sign * first, rel=1e-12, abs=1e-300)
        # x + h loses x^2 in rounding, and the series is to 50 / x^6
        assert got_second[0] == pytest.approx(second, rel=1e-10, abs=1e-300)


@pytest.mark.slow
def test_standard_errors_are_honest():
    """Of 16 means 95% lie within 2.36 standard errors: fewer than 12 do with probability 1e-3."""
    inside = 0
    for seed in range(8):
        X, y = table(n=25, p=1, seed=100 + seed, family="poisson" if seed % 2 else "binomial")
        family = "poisson" if seed % 2 else "binomial"
        post = posterior(X, y, family=family)
        b, w, _, _ = dense.integrate(family, X, y, 4.0, FAMILIES[family].unit)
        error = np.abs(np.r_[post.intercept.mean, post.coefficients.mean] - w @ b)
        inside += int((error < 2.36 * np.r_[post.intercept.mcse, post.coefficients.mcse]).sum())
    assert inside >= 12


def test_the_mode_is_the_penalised_fit_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression, PoissonRegressor

    X, y = table(n=80, p=5)
    for lam in (0.3, 5.0, 200.0):
        mode = coefficients_at_mode("poisson", X, y, lam)
        theirs = PoissonRegressor(alpha=lam / len(y), solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
        np.testing.assert_allclose(mode, np.r_[theirs.intercept_, theirs.coef_], rtol=0, atol=1e-8)
        mode = coefficients_at_mode("binomial", X, np.minimum(y, 1.0), lam)
        theirs = LogisticRegression(C=1.0 / lam, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        theirs.fit(X, np.minimum(y, 1.0))
        np.testing.assert_allclose(mode, np.r_[theirs.intercept_, theirs.coef_[0]], rtol=0, atol=1e-8)


def test_rows_that_float64_cannot_add_are_named():
    """One row weighs exp(90) times as much as all others: nothing is left of these in the Hessian."""
    problem = make_outcome(FAMILIES["poisson"], build_design(*table()), offset=np.where(np.arange(30) == 4, 90.0, 0.0))
    with pytest.raises(DataError, match=r"rows \d+ and 4 differ so much .* look at the offset"):
        penalized_mode(problem, 1e-9, start=np.zeros(3))


def coefficients_at_mode(family, X, y, lam):
    problem = make_outcome(FAMILIES[family], build_design(X, y))
    mode = penalized_mode(problem, lam).mean
    coef, centre = problem.directions.coefficients(problem.design, mode, np.array(1.0), np.random.default_rng(0))
    return np.r_[centre - coef @ problem.design.mean, coef]


def test_chains_agree_with_the_correction():
    """The fallback on a problem where it is not needed."""
    X, y = table(n=40, p=3, seed=21)
    problem = make_outcome(FAMILIES["poisson"], build_design(X, y))
    nodes = lay_nodes(problem, density_of_t(default_prior(problem.family, problem.design)))
    chains = Chains(problem, nodes, np.random.default_rng(1))
    before = chains.run(100)
    draws = joined(before, chains.run(100))
    verdict = _judge(problem, nodes, before, draws, weighted=False)
    assert verdict.standard_error < 0.1
    post = posterior(X, y, family="poisson")
    coef, _ = problem.directions.coefficients(problem.design, draws.theta, np.ones(1), np.random.default_rng(0))
    gap = coef.mean(axis=(0, 1)) - post.coefficients.mean
    error = coef.mean(axis=1).std(axis=0, ddof=1) / np.sqrt(8)
    assert (np.abs(gap) < FAR * np.hypot(error, post.coefficients.mcse)).all()
    bridge = chains.log_evidence(draws)
    assert abs(bridge[0] - post.log_evidence[0]) < FAR * np.hypot(bridge[1], post.log_evidence[1]) < 0.05
    t = np.array([node.t for node in nodes])
    share = draws.mass.sum(axis=0) / draws.mass.sum()
    assert share @ t == pytest.approx(np.log(post.lambda_.quantile(np.linspace(0.005, 0.995, 100))).mean(), abs=0.1)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("shape", [(6, 10), (12, 3), (7, 10)])
def test_bent_bells_have_the_same_evidence(family, shape):
    """The density of what is drawn is the one that is divided by: with fewer rows bent than there are, too.

    Of seven rows one is left out: the others do not span the coordinates.
    """
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal(shape), np.arange(shape[0]) % 2.0
    problem = make_outcome(FAMILIES[family], build_design(X, y))
    problem = problem.without(0).merged() if shape[0] == 7 else problem
    nodes = lay_nodes(problem, density_of_t(default_prior(problem.family, problem.design)))
    plain, bent = (log_evidence(Sampler(problem, nodes, 1, bent=bent).more(2_048)) for bent in (False, True))
    assert max(plain[1], bent[1]) < 0.02
    assert abs(plain[0] - bent[0]) < 4.0 * np.hypot(plain[1], bent[1]) + 1e-3


def test_bent_bells_are_certified_where_others_are_not():
    X = np.random.default_rng(2).standard_normal((30, 90))
    problem = make_outcome(FAMILIES["binomial"], build_design(X, (X[:, 0] > 0.0).astype(float)))
    nodes = lay_nodes(problem, density_of_t(default_prior(problem.family, problem.design)))
    plain, bent = (Sampler(problem, nodes, 1, bent=bent).more(512) for bent in (False, True))
    assert pareto_k(bent.log_weight) < 0.4 < pareto_k(plain.log_weight)
    assert effective_size(bent.weight) > 0.7 * bent.weight.size > 1.5 * effective_size(plain.weight)


def test_nodes_stand_close_enough_for_quantiles_of_separated_data(monkeypatch):
    """Quantiles of the mixture of bells do not change on another lattice that is dense; without them, by .2 sd."""
    X = np.random.default_rng(1).standard_normal((24, 40))
    problem = make_outcome(FAMILIES["binomial"], build_design(X, (X[:, 0] + 0.5 * X[:, 1] > -1.5).astype(float)))

    def intercept(settings):
        for name, value in settings.items():
            monkeypatch.setattr(lattice, name, value)
        nodes = lay_nodes(problem, density_of_t(default_prior(problem.family, problem.design)))
        log_w = np.array([node.log_step + node.bell.log_evidence for node in nodes])
        w = np.exp(log_w - log_w.max()) / np.exp(log_w - log_w.max()).sum()
        mean = np.array([node.bell.mean[0] for node in nodes])
        sd = np.array([np.linalg.norm(np.linalg.inv(node.bell.root)[:, 0]) for node in nodes])
        at = np.linspace(-60.0, 60.0, 8001)
        ends = np.interp((0.025, 0.5, 0.9, 0.95, 0.975), ndtr((at[:, None] - mean) / sd) @ w, at)
        return ends / np.sqrt(w @ (sd**2 + mean**2) - (w @ mean) ** 2)

    ours, coarse = intercept({}), intercept({"_MOST_GAP": np.inf})
    dense_lattice = intercept({"_STEP": lattice._STEP / 3.0})
    np.testing.assert_allclose(ours, dense_lattice, atol=0.01)
    assert np.abs(coarse - dense_lattice).max() > 0.1


@pytest.mark.parametrize("name", ["binomial", "probit", "negative-binomial"])
def test_the_likelihood_is_the_sum_over_rows(name):
    """Of more rows than factors go into one product, near and far from the data; draws that share a dispersion."""
    rng = np.random.default_rng(0)
    y, family = (rng.random(2_500) < 0.5).astype(float), FAMILIES[name]
    if family.extra is not None:
        family = family.given(np.array([0.3, 2.0, 0.3, 1e-3])[:, None])
    for far in (1.0, 800.0, 1e6):
        eta = far * rng.standard_normal((4, 2_500))
        for count in (np.ones(2_500), 1.0 + np.arange(2_500) % 2):
            each = np.array([family.picked((4, 1), (i, 0)).log_density(eta[i], y, None) for i in range(4)])
            np.testing.assert_allclose(family.log_likelihood(eta, y, None, count), each @ count, rtol=1e-12)


def test_wide_tables_are_sampled_or_certified():
    X, y = table(n=20, p=40, seed=2)
    post = posterior(X, y, family="poisson")
    assert post.coefficients.values.shape[2] == 40
    # what no row sees keeps its prior: in the null space the draws have sd tau
    V = post.directions.V
    null = np.eye(40) - V @ V.T
    direction = null[:, 0] / np.linalg.norm(null[:, 0])
    tau2 = np.exp(-post.t[post.draws_.node])
    got = post.contrast(direction * post.design.scale).sd[0] ** 2
    assert got == pytest.approx((post.draws_.weight * tau2).sum(), rel=0.1)


# -- what must not matter --------------------------------------------------------------------------------------------


def test_units_of_the_columns():
    X, y = table(n=50)
    one, two = (posterior(Z, y, family="poisson") for Z in (X, X * [1000.0, 0.01] + [5.0, -3.0]))
    np.testing.assert_allclose(two.coefficients.mean * [1000.0, 0.01], one.coefficients.mean, rtol=1e-6)
    np.testing.assert_allclose(two.predict(X * [1000.0, 0.01] + [5.0, -3.0]).mean, one.predict(X).mean, rtol=1e-6)


def test_frequency_weights_are_repeated_rows():
    X, y = table(n=30)
    counts = np.arange(30) % 3
    one = posterior(X, y, family="poisson", weights=counts.astype(float))
    two = posterior(np.repeat(X, counts, axis=0), np.repeat(y, counts), family="poisson")
    gap = np.abs(one.coefficients.mean - two.coefficients.mean)
    assert (gap < FAR * np.hypot(one.coefficients.mcse, two.coefficients.mcse)).all()
    assert one.loo.elpd_loo == pytest.approx(two.loo.elpd_loo, abs=0.02)


def test_an_offset_is_a_known_part_of_eta():
    X, y = table(n=50)
    one = posterior(X, y, family="poisson", offset=np.zeros(50))
    two = posterior(X, y, family="poisson", offset=np.full(50, 2.5))
    np.testing.assert_allclose(two.coefficients.mean, one.coefficients.mean, atol=1e-4 * one.coefficients.sd.min())
    assert two.intercept.mean[0] == pytest.approx(one.intercept.mean[0] - 2.5, abs=1e-5)


def test_rows_and_columns_in_another_order():
    X, y = table(n=40, p=3)
    one = posterior(X, y, family="poisson")
    two = posterior(X[::-1, [2, 0, 1]], y[::-1], family="poisson")
    gap = two.coefficients.mean - one.coefficients.mean[[2, 0, 1]]
    assert (np.abs(gap) < FAR * np.hypot(one.coefficients.mcse[[2, 0, 1]], two.coefficients.mcse)).all()


def test_flat_columns_and_a_given_lambda_are_the_likelihood():
    """All columns flat but one that is noise at a huge lambda: maximum likelihood, nearly Gaussian at n = 2000."""
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 3))
    y = rng.poisson(np.exp(0.5 + X @ [0.3, -0.2, 0.0])).astype(float)
    post = posterior(X, y, family="poisson", unpenalized=[0, 1], prior=FixedLambda(1e8))
    theirs = sm.GLM(y, sm.add_constant(X[:, :2]), family=sm.families.Poisson()).fit()
    np.testing.assert_allclose(post.coefficients.mean[:2], theirs.params[1:], atol=0.1 * theirs.bse[1:].min())
    np.testing.assert_allclose(post.coefficients.sd[:2], theirs.bse[1:], rtol=0.05)
    assert post.method == "fixed"
    assert post.lambda_.median == pytest.approx(1e8)


def test_another_prior_is_used():
    X, y = table(n=30)
    scale = 0.05
    post = posterior(X, y, family="poisson", prior=HalfT(5.0, scale, on="tau"))
    b, w, log_tau, _ = dense.integrate("poisson", X, y, 5.0, scale)
    assert np.log(post.tau.median) == pytest.approx(dense.quantile(log_tau, w, 0.5), abs=0.05)
    assert (np.abs(post.coefficients.mean - (w @ b)[1:]) < FAR * post.coefficients.mcse + 1e-4).all()
