"""Kernel ridge: against dense quadrature over lambda and the length-scale, actual refits, and the ridge it contains."""

import pickle

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import multivariate_t, norm
from sklearn.gaussian_process.kernels import (
    RBF,
    CompoundKernel,
    ConstantKernel,
    DotProduct,
    PairwiseKernel,
    WhiteKernel,
)
from sklearn.kernel_ridge import KernelRidge

import bayesridge.engines.kernel
from bayesridge import (
    BayesKernelRidge,
    BayesRidge,
    BetaR2,
    ConstantColumnWarning,
    DataError,
    FixedLambda,
    FixedSigma,
    load,
)
from bayesridge.design.design import build_design
from bayesridge.engines.kernel import KernelEngine
from bayesridge.engines.kernels import NamedKernel
from bayesridge.hyper.filled_lattice import emulate, fill
from bayesridge.hyper.infer import infer_hyper
from bayesridge.posteriors.prediction import predict

NEW = np.array([[-0.5], [0.3], [1.4]])


def curve(n=15, seed=1, noise=0.2):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-1, 1, n))[:, None]
    return x, np.sin(3 * x[:, 0]) + noise * rng.standard_normal(n)


@pytest.fixture(scope="module")
def fit():
    return BayesKernelRidge().fit(*curve())


def dense(kernel, x, y, new):
    """Everything by plain matrices on a grid of (log length, log lambda)."""
    n, nu = len(y), len(y) - 1
    Z, N = (x - x.mean()) / x.std(), (new - x.mean()) / x.std()
    low, high = kernel.spans[0]
    centre, sd = 0.5 * (low + high), (high - low) / 2 / 1.959963984540054
    H, one = np.eye(n) - 1 / n, np.ones(n)
    V, T = centre + sd * np.linspace(-5, 5, 61), np.linspace(-22, 24, 139)
    log_f, means, variances, sigma2 = np.empty((61, 139)), *np.empty((2, 61, 139, 3)), np.empty((61, 139))
    for i, v in enumerate(V):
        rbf = RBF(np.exp(v))
        K, cross = rbf(Z), rbf(N, Z)
        k, U = np.linalg.eigh(H @ K @ H)
        k, z2, signal = np.maximum(k, 0), np.square(U.T @ (y - y.mean())), np.trace(H @ K @ H) / n
        prior_v = -0.5 * ((v - centre) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
        for j, t in enumerate(T):
            d = k * np.exp(-t) + 1
            Q = (z2 / d).sum()
            log_f[i, j] = (
                -0.5 * np.log(d).sum() - 0.5 * nu * np.log(np.pi) - 0.5 * np.log(n) + gammaln(nu / 2)
                - nu / 2 * np.log(Q) + BetaR2().log_density(np.array([t]), signal)[0] + prior_v
            )  # fmt: skip
            sigma2[i, j] = Q / (nu - 2)
            A = np.linalg.inv(K * np.exp(-t) + np.eye(n))
            level, rows = one @ A @ y / (one @ A @ one), cross * np.exp(-t)
            means[i, j] = level + rows @ A @ (y - level)
            left = 1 - rows @ A @ one
            variances[i, j] = np.exp(-t) - np.einsum("ij,jk,ik->i", rows, A, rows) + left**2 / (one @ A @ one)
    total = logsumexp(log_f)
    weight = np.exp(log_f - total)
    mean = np.tensordot(weight, means, 2)
    second = np.tensordot(weight, sigma2[..., None] * variances + means**2, 2)
    return total + np.log((V[1] - V[0]) * (T[1] - T[0])), mean, np.sqrt(second - mean**2)


def test_dense_quadrature_over_both_scales(fit):
    post = fit.posterior_
    log_p, mean, sd = dense(post.engine.kernel, *curve(), NEW)
    found = post.predict(NEW).expected
    # the nodes of the length-scale are cut 12 nats below the top, and leave out some 1e-5 of the mass
    assert post.log_marginal_likelihood == pytest.approx(log_p, abs=1e-4)
    np.testing.assert_allclose((found.mean - mean) / sd, 0, atol=1e-4)
    np.testing.assert_allclose(found.sd, sd, rtol=1e-4)
    np.testing.assert_allclose(fit.predict(NEW), mean, atol=1e-4)


def test_a_given_lambda_and_length_is_kernel_ridge():
    x, y = curve()
    kernel = RBF(0.4, length_scale_bounds="fixed")
    fit = BayesKernelRidge(kernel=kernel, prior=FixedLambda(0.3), fit_intercept=False).fit(x, y)
    Z, N = x / fit.posterior_.design.scale, NEW / fit.posterior_.design.scale
    wanted = KernelRidge(alpha=0.3, kernel="precomputed").fit(kernel(Z), y).predict(kernel(N, Z))
    np.testing.assert_allclose(fit.predict(NEW), wanted, rtol=1e-9)


def test_the_linear_kernel_is_ridge():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    y = X @ [1.0, -0.5, 0.2] + rng.standard_normal(30)
    kernel = DotProduct(0.0, sigma_0_bounds="fixed")
    ours, ridge = BayesKernelRidge(kernel=kernel).fit(X, y), BayesRidge().fit(X, y)
    a, b = ours.posterior_, ridge.posterior_
    assert a.log_marginal_likelihood == pytest.approx(b.log_marginal_likelihood, abs=1e-9)
    np.testing.assert_allclose(ours.coef_, ridge.coef_, rtol=1e-8)  # a slope over one sd is the slope
    np.testing.assert_allclose(a.coefficients.interval(), b.coefficients.interval(), rtol=1e-7)
    np.testing.assert_allclose(a.loo.pointwise, b.loo.pointwise, atol=1e-8)
    assert a.lambda_.median == pytest.approx(b.lambda_.median, rel=1e-7)
    assert ours.intercept_ == pytest.approx(ridge.intercept_, abs=1e-8)


def test_leave_one_out_is_an_actual_refit(fit):
    post, (x, y) = fit.posterior_, curve()
    for row in (0, 7):
        rest = infer_hyper(post.engine.without(row), post.prior, post.noise_prior)
        alone = predict(post.engine.without(row), rest, x[row : row + 1], None).target
        assert post.loo.pointwise[row] == pytest.approx(alone.log_pdf(y[row : row + 1])[0], abs=2e-4)


def test_functions_are_covered():
    # Runge's function on equispaced points: 95% intervals of f, 1% of benchmarks/runge.py (95.4% of 400 data sets)
    inside = []
    for seed in range(4):
        x = np.linspace(-1, 1, 20)[:, None]
        f = 1 / (1 + 25 * x[:, 0] ** 2)
        y = f + 0.05 * np.random.default_rng(seed).standard_normal(20)
        low, high = BayesKernelRidge().fit(x, y).predict_interval(x, of="mean").T
        inside.append(np.mean((low <= f) & (f <= high)))
    assert np.mean(inside) > 0.8  # one data set holds .95 with an sd of .08: four standard errors


def test_seams(fit, tmp_path):
    post = fit.posterior_
    tree = post.to_datatree(draws=2000, chains=1, random_state=0)["posterior"]
    assert float(tree["coef"].mean()) == pytest.approx(fit.coef_[0], abs=4 * post.coefficients.sd[0] / np.sqrt(2000))
    assert float(tree["coef"].std()) == pytest.approx(post.coefficients.sd[0], rel=0.1)
    assert float(tree["intercept"].mean()) == pytest.approx(fit.intercept_, abs=0.02)
    assert "length_scale" in tree
    assert "length_scale" in post.scales
    with pytest.raises(DataError, match="draws of slopes"):
        post.to_datatree(predictive=True)
    with pytest.raises(DataError, match="rows=True"):
        fit.save(tmp_path / "a.bridge")
    again = load(fit.save(tmp_path / "a.bridge", rows=True))
    np.testing.assert_allclose(again.predict(NEW), fit.predict(NEW), rtol=1e-12)
    copy = pickle.loads(pickle.dumps(post))
    np.testing.assert_allclose(copy.predict(NEW).sd, post.predict(NEW).sd, rtol=1e-12)
    assert "length_scale" in repr(fit)
    assert fit.predict_interval(NEW).shape == (3, 2)


def test_units_and_weights():
    x, y = curve()
    one = BayesKernelRidge().fit(x, y)
    other = BayesKernelRidge().fit(1e3 * x + 5e4, 1e-6 * y)
    np.testing.assert_allclose(1e6 * other.predict(1e3 * NEW + 5e4), one.predict(NEW), rtol=1e-6)
    counted = BayesKernelRidge(kernel=RBF(0.5, (0.05, 5.0))).fit(x, y, sample_weight=np.r_[2, np.ones(14)])
    repeated = BayesKernelRidge(kernel=RBF(0.5, (0.05, 5.0)), scale=counted.posterior_.design.scale)
    repeated = repeated.fit(np.vstack([x[:1], x]), np.r_[y[0], y])
    # the columns are centred at another place, which no stationary kernel sees
    np.testing.assert_allclose(counted.predict(NEW), repeated.predict(NEW), atol=1e-5)  # other pivots


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kernel": "gauss"}, "no kernel 'gauss'"),
        ({"kernel": "periodic"}, "its period="),
        ({"kernel": "matern", "nu": 2.0}, "nu must be"),
        ({"kernel": 3}, "kernel must be one of"),
        ({"kernel": ConstantKernel() * RBF()}, "an amplitude, which is tau already"),
        ({"kernel": "precomputed"}, "square matrix"),
        ({"kernel": RBF}, "kernel must be one of"),
        ({"kernel": RBF([1.0, 1.0])}, "does not take 1 column"),
        ({"kernel": RBF(1.0, (10.0, 0.1))}, "in order"),
        ({"kernel": RBF(1.0, (1.0, 1.0))}, "in order"),
        ({"kernel": RBF(1.0, (0.0, np.inf))}, "positive, finite"),
        ({"kernel": CompoundKernel([RBF(1.0, "fixed")])}, "no matrix of rows by rows"),
        ({"kernel": PairwiseKernel(metric="sigmoid", gamma_bounds="fixed")}, "negative eigenvalues"),
        ({"kernel": "periodic", "period": "long"}, "its period="),
    ],
)
def test_kernels_that_cannot_be(options, match):
    with pytest.raises(DataError, match=match):
        BayesKernelRidge(**options).fit(*curve())


def test_equal_rows_have_no_function():
    with pytest.warns(ConstantColumnWarning), pytest.raises(DataError, match="no function of them"):
        BayesKernelRidge().fit(np.ones((6, 1)), np.arange(6.0))


def test_white_noise_within_a_kernel_is_noise():
    """f + g, g white of variance .5 tau^2, and e: together white of variance sigma^2 (1 + .5 / lambda)."""
    white = RBF(1.0, "fixed") + WhiteKernel(0.5, "fixed")
    inside = BayesKernelRidge(kernel=white, prior=FixedLambda(0.25), noise_prior=FixedSigma(0.2)).fit(*curve())
    outside = BayesKernelRidge(
        kernel=RBF(1.0, "fixed"), prior=FixedLambda(0.75), noise_prior=FixedSigma(0.2 * np.sqrt(3.0))
    ).fit(*curve())
    one, two = inside.predictive(NEW), outside.predictive(NEW)
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-7)  # of a smooth kernel 1e-13 is left out
    np.testing.assert_allclose(one.sd, two.sd, rtol=1e-7)
    assert inside.posterior_.log_marginal_likelihood == pytest.approx(outside.posterior_.log_marginal_likelihood)


def test_periodic():
    x = np.linspace(0, 20, 60)[:, None]
    y = np.sin(2 * np.pi * x[:, 0] / 4) + 0.1 * np.random.default_rng(0).standard_normal(60)
    fit = BayesKernelRidge(kernel="periodic", period=4.0).fit(x, y)
    ahead = np.array([[25.0], [41.0]])  # quarters of a period on: 1 and 1
    np.testing.assert_allclose(fit.predict(ahead), 1.0, atol=0.1)


def test_pivots_make_the_kernel():
    x, y = curve(n=80)
    engine = KernelEngine(build_design(x, y), NamedKernel("rbf", 0.1, 4.0))
    given = engine.given(np.zeros(1))
    F = given.engine.design.X
    Z = (x - x.mean()) / x.std()
    assert F.shape[1] < 30  # of 80: a smooth kernel has few directions
    H = np.eye(80) - 1 / 80
    np.testing.assert_allclose(F @ F.T, H @ RBF(1.0)(Z) @ H, atol=1e-12)


def test_replicates_are_of_the_function_and_not_of_its_slopes():
    """Mean and sd of 1500 replicates at each row against the predictive distribution there."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2.0, 2.0, (30, 1))
    post = BayesKernelRidge().fit(X, 3.0 * np.sin(2.0 * X[:, 0]) + 0.5 * rng.standard_normal(30)).posterior_
    made = post.replicate(np.arange(30), 1500, np.random.default_rng(1))
    expected = post.predict(X).target
    assert (np.abs(made.mean(axis=0) - expected.mean) < 4.5 * expected.sd / 1500**0.5).all()
    np.testing.assert_allclose(made.std(axis=0), expected.sd, rtol=0.12)  # four standard errors of an sd, and tails


def test_weights_are_those_of_dense_algebra_or_refused():
    # at 1e6 predictions of a smooth kernel were half an sd off without a word, at 1e9 a constant
    x, y = curve(n=40)
    w = np.ones(40)
    w[7] = 1e5
    kernel = RBF(0.5, "fixed")
    about = {"kernel": kernel, "weight_kind": "precision", "prior": FixedLambda(0.1)}
    fit = BayesKernelRidge(**about).fit(x, y, sample_weight=w)
    design = fit.posterior_.design
    Z, N = ((one - design.mean) / design.scale for one in (x, NEW))
    A, one = np.linalg.inv(kernel(Z) / 0.1 + np.diag(1 / w)), np.ones(40)
    level = one @ A @ y / (one @ A @ one)
    np.testing.assert_allclose(fit.predict(NEW), level + kernel(N, Z) / 0.1 @ A @ (y - level), atol=1e-8)
    w[7] = 1e6
    with pytest.raises(DataError, match=r"row 7 weighs 1e\+06 times as much"):
        BayesKernelRidge(**about).fit(x, y, sample_weight=w)


def dense_logs(y, kernels, T):
    """log p(y | v, lambda) with sigma and the intercept integrated, for each kernel matrix and log lambda."""
    n, nu = len(y), len(y) - 1
    H = np.eye(n) - 1 / n
    for K in kernels:
        k, U = np.linalg.eigh(H @ K @ H)
        k, z2 = np.maximum(k, 0), np.square(U.T @ (y - y.mean()))
        d = k * np.exp(-T)[:, None] + 1
        prior = BetaR2().log_density(T, np.trace(H @ K @ H) / n)
        constant = gammaln(nu / 2) - 0.5 * nu * np.log(np.pi) - 0.5 * np.log(n)
        yield constant - 0.5 * np.log(d).sum(axis=1) - nu / 2 * np.log((z2 / d).sum(axis=1)) + prior


def test_eleven_points_to_a_millionth():
    """The shape of posteriordb's gp_regr: one column, eleven points, length-scale, amplitude and noise unknown."""
    x, y = curve(11, seed=5, noise=0.3)
    fit = BayesKernelRidge().fit(x, y)
    post = fit.posterior_
    (low, high), Z, N = post.engine.kernel.spans[0], (x - x.mean()) / x.std(), (NEW - x.mean()) / x.std()
    centre, sd = 0.5 * (low + high), (high - low) / 2 / 1.959963984540054
    V, T = centre + sd * np.linspace(-7, 7, 99), np.linspace(-60, 60, 361)
    logs = np.array(list(dense_logs(y, (RBF(np.exp(v))(Z) for v in V), T)))
    logs += -0.5 * ((V[:, None] - centre) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
    exact = logsumexp(logs) + np.log((V[1] - V[0]) * (T[1] - T[0]))
    assert post.log_marginal_likelihood == pytest.approx(exact, abs=1e-6)
    weight, mean = np.exp(logs - logsumexp(logs)), np.zeros(3)
    for v, share in zip(V, weight, strict=True):
        K, cross = RBF(np.exp(v))(Z), RBF(np.exp(v))(N, Z)
        cross = cross - cross.mean(axis=1)[:, None] - K.mean(axis=0) + K.mean()
        k, U = np.linalg.eigh(K - K.mean(axis=0) - K.mean(axis=0)[:, None] + K.mean())
        mean += cross @ U @ ((U.T @ (y - y.mean()))[:, None] / (np.maximum(k, 0)[:, None] + np.exp(T)) @ share)
    found = post.predict(NEW).expected
    np.testing.assert_allclose((found.mean - y.mean() - mean) / found.sd, 0, atol=1e-6)
    share, v = post.hyper.share, post.hyper.v[:, 0]
    assert share @ v == pytest.approx(weight.sum(axis=1) @ V, abs=1e-5)
    at, inside = weight.sum(axis=0) @ T, weight.sum(axis=0)
    assert post.scales["lambda"].log_sd ** 2 == pytest.approx(inside @ (T - at) ** 2, rel=5e-5)
    # a spline of the nodes, straight beyond the last
    of_v = weight.sum(axis=1) @ (V - weight.sum(axis=1) @ V) ** 2
    assert post.scales["length_scale"].log_sd ** 2 == pytest.approx(of_v, rel=2e-4)


@pytest.mark.parametrize(
    ("kernel", "n"),
    [
        ("rbf", 150),
        pytest.param("matern", 600, marks=pytest.mark.slow),
        pytest.param("rbf", 600, marks=pytest.mark.slow),
    ],
)
def test_many_rows_are_asked_about_a_part_of_them_first(kernel, n, monkeypatch):
    """Fewer, smaller decompositions by cross-products: means to 1e-5 sd, sds to 5e-5 of those of all of them."""
    x, y = curve(n=n)
    monkeypatch.setattr(bayesridge.engines.kernel, "_MANY", n + 1)
    whole = BayesKernelRidge(kernel=kernel).fit(x, y).posterior_
    monkeypatch.setattr(bayesridge.engines.kernel, "_MANY", min(n, 300))
    post = BayesKernelRidge(kernel=kernel).fit(x, y).posterior_
    assert len(post.engine._given) < 0.8 * len(whole.engine._given)
    assert post.engine.least > 0
    assert {one.engine.spectrum.route for one in post.engine._given.values()} <= {"gram", "dual"}
    new = np.linspace(-1.1, 1.1, 12)[:, None]
    wanted, found = whole.predict(new).expected, post.predict(new).expected
    np.testing.assert_allclose((found.mean - wanted.mean) / wanted.sd, 0, atol=1e-5)
    np.testing.assert_allclose(found.sd, wanted.sd, rtol=5e-5)
    np.testing.assert_allclose(post.loo.pointwise, whole.loo.pointwise, atol=1e-5)
    for name, scale in whole.scales.items():
        np.testing.assert_allclose(
            post.scales[name].interval(), scale.interval(), rtol=5e-3 * scale.log_sd
        )  # a long tail of lambda is cut
    assert post.log_marginal_likelihood == pytest.approx(whole.log_marginal_likelihood, abs=1e-5)


def test_noise_that_the_part_did_not_show_is_asked_without_it(monkeypatch):
    x, y = curve(n=120)
    monkeypatch.setattr(bayesridge.engines.kernel, "_MANY", 100)
    monkeypatch.setattr(bayesridge.engines.kernel, "_MARGIN", 1e3)  # as if the part had said so
    post = BayesKernelRidge().fit(x, y).posterior_
    assert post.engine.least == 0
    assert post.engine.start is None


def test_two_length_scales_against_a_dense_grid():
    rng = np.random.default_rng(7)
    X = rng.uniform(-2, 2, (18, 2))
    y = np.sin(2 * X[:, 0]) + 0.2 * rng.standard_normal(18)
    fit = BayesKernelRidge(kernel=RBF([1.0, 1.0], (0.2, 8.0))).fit(X, y)
    post, Z = fit.posterior_, (X - X.mean(axis=0)) / X.std(axis=0)
    low, high = np.log([0.2, 8.0])
    centre, sd = 0.5 * (low + high), (high - low) / 2 / 1.959963984540054
    V, T = centre + sd * np.linspace(-4.5, 4.5, 25), np.linspace(-40, 40, 121)
    kernels = (RBF(np.exp([a, b]))(Z) for a in V for b in V)
    given = np.array([logsumexp(one) for one in dense_logs(y, kernels, T)]).reshape(25, 25)
    given += np.log(T[1] - T[0])
    prior = -0.5 * ((V - centre) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
    logs = given + prior + prior[:, None]
    assert post.log_marginal_likelihood == pytest.approx(logsumexp(logs) + 2 * np.log(V[1] - V[0]), abs=2e-3)
    weight = np.exp(logs - logsumexp(logs))
    for k, name in enumerate(("length_scale[0]", "length_scale[1]")):
        share = weight.sum(axis=1 - k)
        scale = post.scales[name]
        assert np.log(scale.median) == pytest.approx(np.interp(0.5, np.cumsum(share) - 0.5 * share, V), abs=0.03)
        assert scale.log_sd == pytest.approx(np.sqrt(share @ V**2 - (share @ V) ** 2), rel=0.01)
    assert fit.predict(X[:2]).shape == (2,)
    assert post.draw(5, 1, 0).coef.shape == (1, 5, 2)


def test_between_the_nodes_of_a_bent_lattice():
    """A polynomial alone rises without end beside a bend: a length-scale stood at .034 (95% ETI .0343 to .0353)."""

    class Bent:
        """x normal, y normal about x^2, z about -x: a log density, and a rate."""

        engine = None

        def __call__(self, theta):
            x, y, z = theta.T
            return -0.5 * (x**2 + (y - x**2) ** 2 / 0.3 + (z + x) ** 2), np.exp(0.1 * x)

    axes = np.diag([0.5, 0.4, 0.5])
    filled = fill(Bent(), np.zeros(3), axes, 12.0)
    emulated = emulate(filled, np.zeros(3), axes)
    theta = np.random.default_rng(0).uniform([-4, -3, -4], [4, 12, 4], (4000, 3))
    exact, rate = Bent()(theta)
    found, found_rate = emulated(theta)
    assert found.max() < 0.1
    near = exact > -8.0
    np.testing.assert_allclose(found[near], exact[near], atol=0.05)
    np.testing.assert_allclose(found_rate[near], rate[near], rtol=0.01)


@pytest.mark.slow
def test_three_length_scales_against_importance_sampling():
    """1,500 draws from a t about the posterior of v, lambda and sigma by dense quadrature at each."""
    n, draws = 30, 1500
    rng = np.random.default_rng(7)
    X = rng.uniform(-2, 2, (n, 3))
    y = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + 0.3 * rng.standard_normal(n)
    post = BayesKernelRidge(kernel=RBF([1.0] * 3, (0.2, 8.0))).fit(X, y).posterior_
    v, share = post.hyper.v, post.hyper.share
    middle = share @ v
    spread = 1.5 * (v - middle).T @ ((v - middle) * share[:, None])
    asked = multivariate_t(middle, spread, 6, seed=1)
    V, Z, T = asked.rvs(draws), (X - X.mean(axis=0)) / X.std(axis=0), np.linspace(-25, 25, 101)
    low, high = np.log([0.2, 8.0])
    prior = norm(0.5 * (low + high), (high - low) / 2 / 1.959963984540054).logpdf(V).sum(axis=1)
    given = [logsumexp(one) for one in dense_logs(y, (RBF(np.exp(one))(Z) for one in V), T)]
    log_w = np.array(given) + np.log(T[1] - T[0]) + prior - asked.logpdf(V)
    w = np.exp(log_w - logsumexp(log_w))
    size = 1.0 / (w @ w)
    assert size > 800
    assert post.log_marginal_likelihood == pytest.approx(logsumexp(log_w) - np.log(draws), abs=4.0 / np.sqrt(size))
    for k in range(3):
        scale, sd = post.scales[f"length_scale[{k}]"], np.sqrt(w @ (V[:, k] - w @ V[:, k]) ** 2)
        below = [w @ (V[:, k] <= np.log(end)) for end in (*scale.interval(), scale.median)]
        np.testing.assert_allclose(below, [0.025, 0.975, 0.5], atol=4.0 * 0.5 / np.sqrt(size))
        assert scale.log_sd == pytest.approx(sd, rel=0.1)


def test_rows_of_no_weight_are_rows_that_are_not_there():
    x, y = curve(n=40)
    w = np.arange(40) % 3.0
    kernel = RBF(0.5, "fixed")
    with_them = BayesKernelRidge(kernel=kernel, scale=np.ones(1)).fit(x, y, sample_weight=w)
    without = BayesKernelRidge(kernel=kernel, scale=np.ones(1)).fit(x[w > 0], y[w > 0], sample_weight=w[w > 0])
    found, wanted = with_them.posterior_, without.posterior_
    # a direction is left out below 1e-13 of the variance, in one fit perhaps and not in the other: beyond the rows, at
    # 1.4, it may be a root of that, 3e-7, of tau
    room = 3.2e-7 * wanted.tau.median
    np.testing.assert_allclose(with_them.predict(NEW), without.predict(NEW), rtol=1e-8, atol=room)
    np.testing.assert_allclose(found.predict(NEW).sd, wanted.predict(NEW).sd, rtol=1e-8, atol=room)
    assert found.log_marginal_likelihood == pytest.approx(wanted.log_marginal_likelihood, abs=1e-8)


def test_a_given_matrix_is_its_kernel(tmp_path):
    (x, y), kernel = curve(), RBF(0.3, "fixed")
    K, whole = kernel(x), kernel(x).copy()
    ours = BayesKernelRidge(kernel="precomputed").fit(K, y)
    same = BayesKernelRidge(kernel=kernel, scale=np.ones(1)).fit(x, y)
    np.testing.assert_array_equal(K, whole)
    found, wanted = ours.predict(kernel(NEW, x), return_std=True), same.predict(NEW, return_std=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-8)
    a, b = ours.posterior_, same.posterior_
    np.testing.assert_allclose(a.loo.pointwise, b.loo.pointwise, atol=1e-9)
    np.testing.assert_allclose(a.coefficients.sd, b.predict(x).expected.sd, rtol=1e-7)  # values at the rows
    np.testing.assert_allclose(a.coefficients.mean, b.predict(x).expected.mean, rtol=1e-7)
    draws = a.draw(4000, 1, 0)
    assert np.abs((draws.coef[0].mean(axis=0) - a.coefficients.mean) / a.coefficients.sd).max() < 4.5 / 4000**0.5
    again = load(ours.save(tmp_path / "a.bridge", rows=True))
    np.testing.assert_allclose(again.predict(kernel(NEW, x)), found[0], rtol=1e-10)
    # a matrix of few columns: new points are combinations of old ones
    X, new = np.random.default_rng(1).standard_normal((15, 2)), np.array([[1.0, -1.0]])
    dot = BayesKernelRidge(kernel=DotProduct(0.0, "fixed"), scale=np.ones(2)).fit(X, y)
    given = BayesKernelRidge(kernel="precomputed").fit(X @ X.T, y)
    # the columns are not centred: the intercept takes their mean
    np.testing.assert_allclose(given.predict(new @ X.T), dot.predict(new), rtol=1e-6)
    uneven = np.diag(np.arange(1.0, 16.0)) + 0.1
    with pytest.raises(DataError, match="diagonal varies"):
        BayesKernelRidge(kernel="precomputed").fit(uneven, y).predict(uneven[:1] * 0.5, return_std=True)
    with pytest.raises(DataError, match="no negative eigenvalues"):
        BayesKernelRidge(kernel="precomputed").fit(-K, y)
