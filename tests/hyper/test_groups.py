"""Several penalties: one group is the spectrum, two a dense grid; mixed models' published criteria; leave-one-out."""

import pickle
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import betaln, gammaln, logsumexp
from scipy.stats import beta

from bayesridge import BayesRidge, load, posterior
from bayesridge.design.design import build_design
from bayesridge.design.levels import LevelRows, Levels
from bayesridge.engines.groups import group_engine
from bayesridge.errors import DataError, NoSignalWarning, PriorError
from bayesridge.hyper.filled_lattice import locate
from bayesridge.hyper.marginal import marginal
from bayesridge.hyper.slices import Slices
from bayesridge.hyper.target import Target
from bayesridge.posteriors.posterior import infer_groups
from bayesridge.posteriors.summary import hyper_table, to_record
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedSigma,
    HalfCauchy,
    HalfT,
    InverseGamma,
    Jeffreys,
    LogNormal,
    by_group,
)
from tests.truth.published import published, text_table

NAMES = tuple(f"x{j}" for j in range(5))
GROUPS = {"live": ["x0", "x1"], "rest": ["x2", "x3", "x4"]}


@cache
def table(n=40):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5)) @ np.diag(np.arange(1.0, 6.0)) + 3.0
    return X, X[:, :2] @ [1.0, -0.7] + 0.05 * X[:, 2] + 1.5 * rng.standard_normal(n)


@cache
def two_groups(prior=None, noise=None):
    return posterior(*table(), groups=GROUPS, prior=prior, noise_prior=noise)


@pytest.mark.parametrize("prior", [BetaR2(), LogNormal(5.0, 1.5), HalfCauchy(0.5)])
@pytest.mark.parametrize("unpenalized", [[], ["x1"]])
def test_one_group_is_the_spectrum(prior, unpenalized):
    """Two ways of linear algebra, one posterior: only rounding is between them."""
    X, y = table()
    design = build_design(X, y, unpenalized=unpenalized)
    engine = group_engine(design, {"all": [name for name in NAMES if name not in unpenalized]}, {})
    made = infer_groups(engine, prior, Jeffreys())
    exact = posterior(X, y, prior=prior, unpenalized=unpenalized)
    sd = exact.coefficients.sd
    assert made.log_marginal_likelihood == pytest.approx(exact.log_marginal_likelihood, abs=1e-9)
    assert np.abs((made.coefficients.mean - exact.coefficients.mean) / sd).max() < 1e-9
    np.testing.assert_allclose(made.coefficients.sd, sd, rtol=1e-9)
    for q in (0.025, 0.5):
        assert np.abs((made.coefficients.quantile(q) - exact.coefficients.quantile(q)) / sd).max() < 1e-9
    np.testing.assert_allclose(made.covariance(), exact.covariance(), rtol=1e-9, atol=1e-12 * sd.max() ** 2)
    np.testing.assert_allclose(made.predict(X[:4]).quantile(0.9), exact.predict(X[:4]).quantile(0.9), rtol=1e-9)
    np.testing.assert_allclose(made.loo.pointwise, exact.loo.pointwise, atol=1e-10)


def dense_log_density(grid):
    """Log p(y, theta) on a product grid by the marginal Gaussian of y itself, sigma integrated under 1/sigma^2."""
    X, y = table()
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    n, ones = len(y), np.ones(len(y))
    out = np.empty((len(grid[0]), len(grid[1])))
    for i, a in enumerate(grid[0]):
        for j, b in enumerate(grid[1]):
            V = np.eye(n) + Z[:, :2] @ Z[:, :2].T / np.exp(a) + Z[:, 2:] @ Z[:, 2:].T / np.exp(b)
            inverse, log_det = np.linalg.inv(V), np.linalg.slogdet(V)[1]
            flat = ones @ inverse @ ones
            Q = y @ inverse @ y - (ones @ inverse @ y) ** 2 / flat
            nu = n - 1
            value = -0.5 * (log_det + np.log(flat)) + gammaln(nu / 2) - nu / 2 * np.log(np.pi * Q)
            for t, signal in ((a, 2.0), (b, 3.0)):
                w = np.log(signal) - t
                value += 0.5 * w - np.logaddexp(0.0, w) - betaln(0.5, 0.5)
            out[i, j] = value
    return out


def test_two_groups_against_a_dense_grid():
    post = two_groups()
    grid = (np.linspace(-7.0, 18.0, 76), np.linspace(-5.0, 36.0, 83))
    log_p = dense_log_density(grid)
    total = logsumexp(log_p)
    cell = np.log(grid[0][1] - grid[0][0]) + np.log(grid[1][1] - grid[1][0])
    # the sums' own error is below 1e-6: steps of a third of a standard deviation, tails cut at 1e-5
    assert post.log_marginal_likelihood == pytest.approx(total + cell, abs=2e-5)
    weight, nodes = np.exp(log_p - total), post.hyper.nodes
    for g in (0, 1):
        mass = weight.sum(axis=1 - g)
        mean = mass @ grid[g]
        sd = np.sqrt(mass @ np.square(grid[g] - mean))
        found = nodes.weight @ nodes.theta[:, g]
        assert found == pytest.approx(mean, abs=0.001 * sd)
        assert np.sqrt(nodes.weight @ np.square(nodes.theta[:, g] - found)) == pytest.approx(sd, rel=0.001)
        # the density itself, at the nodes of the grid where it counts
        scale = post.scales[("lambda[live]", "lambda[rest]")[g]]
        seen = mass > 1e-3 * mass.max()
        density = mass / (grid[g][1] - grid[g][0])
        np.testing.assert_allclose(np.exp(scale.log_pdf_log(grid[g][seen])), density[seen], rtol=0.003)
        assert scale.log_sd == pytest.approx(sd, rel=0.002)


def test_two_groups_under_a_prior_that_ends():
    """Steps see a jump to their own length only, and their own error not at all: such a posterior is sampled."""
    low, high = 0.02, 0.4  # of R2
    inside = Custom(lambda r2: np.where((r2 > low) & (r2 < high), beta(0.5, 0.5).logpdf(r2), -np.inf), of="R2")
    hyper = posterior(*table(), groups=GROUPS, prior=inside).hyper
    x, share = np.polynomial.legendre.leggauss(16)
    ends = [np.log(signal * (1.0 / r2 - 1.0)) for signal in (2.0, 3.0) for r2 in (high, low)]
    grid = [0.5 * (a + b) + 0.5 * (b - a) * x for a, b in (ends[:2], ends[2:])]
    weight = np.exp((log_p := dense_log_density(grid)) - log_p.max()) * np.outer(share, share)
    assert "importance sampling" in hyper.check[0]
    for g, (mean, sd, error) in enumerate(zip(*hyper.moments, hyper.standard_errors, strict=True)):
        mass = weight.sum(axis=1 - g) / weight.sum()
        assert mean == pytest.approx(mass @ grid[g], abs=4.0 * error * sd)


def test_scales_against_their_draws():
    """Sigma and both tau: 4000 draws by rejection from the density itself against the marginals."""
    post = two_groups()
    drawn = post.draw(1000, 4, 3)
    values = {
        "sigma": drawn.sigma, "tau[live]": drawn.tau[..., 0], "tau[rest]": drawn.tau[..., 1],
        "lambda[live]": drawn.lam[..., 0], "lambda[rest]": drawn.lam[..., 1],
    }  # fmt: skip
    assert list(post.scales) == ["lambda[live]", "lambda[rest]", "sigma", "tau[live]", "tau[rest]"]
    for name, value in values.items():
        u = post.scales[name].cdf(np.sort(value.ravel()))
        # Kolmogorov's distance of 4000 independent draws is below 1.95 / sqrt(4000) with probability .999
        assert np.abs(u - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / np.sqrt(4000), name
    coef = drawn.coef.reshape(-1, 5)
    assert np.abs((coef.mean(axis=0) - post.coefficients.mean) / post.coefficients.sd).max() < 4.0 / np.sqrt(4000)


def test_sigma_known_is_the_limit_of_a_sharp_prior():
    known = two_groups(None, FixedSigma(1.5))
    sharp = two_groups(None, InverseGamma(1e6, 1e6 * 2.25))
    # the prior's own width: log sigma has an sd of 5e-4
    assert known.log_marginal_likelihood == pytest.approx(sharp.log_marginal_likelihood, abs=1e-3)
    np.testing.assert_allclose(known.coefficients.mean, sharp.coefficients.mean, rtol=1e-4)
    for name in ("tau[live]", "tau[rest]"):
        np.testing.assert_allclose(known.scales[name].interval(0.9), sharp.scales[name].interval(0.9), rtol=2e-3)
    assert known.sigma.known


# -- mixed models: random effects are groups of dummy columns ---------------------------------------------------------


def dummies(column):
    values = np.array(column)
    return (values[:, None] == np.unique(values)).astype(float)


@cache
def mixed(model):
    """Predictors, target, unpenalised columns and groups."""
    if model == "Dyestuff":
        data = text_table("mixedmodels/dyestuff.csv")
        parts, y, flat = [dummies(data["Batch"])], data["Yield"], []
    elif model == "Penicillin":
        data = text_table("mixedmodels/penicillin.csv")
        parts, y, flat = [dummies(data["plate"]), dummies(data["sample"])], data["diameter"], []
    else:
        data = text_table("mixedmodels/sleepstudy.csv")
        days, subject = np.array(data["Days"], dtype=float), dummies(data["Subject"])
        parts, y, flat = [subject, subject * days[:, None]], data["Reaction"], [days]
    X = np.column_stack([*flat, *parts])
    sizes = np.cumsum([len(flat), *[part.shape[1] for part in parts]])
    groups = {f"g{k}": [f"x{j}" for j in range(a, b)] for k, (a, b) in enumerate(pairwise(sizes.tolist()))}
    return X, np.array(y, dtype=float), [0][: len(flat)], groups


@cache
def mixed_engine(model):
    X, y, flat, groups = mixed(model)
    design = build_design(X, y, scale=False, unpenalized=flat)
    return group_engine(design, groups, {})


@pytest.mark.parametrize("model", ["Dyestuff", "Penicillin", "sleepstudy_zerocorr"])
def test_reml_criterion_of_published_mixed_models(model):
    facts = published("mixedmodels_ml_reml")["fits"][model]["computed_REML"]
    engine = mixed_engine(model)
    theta = -2.0 * np.log(np.array([facts["theta"]]))
    log_norm, excess = engine.evidence(theta)
    nu, Q = engine.nu, engine.floor + excess[0]
    value = -2.0 * (engine.constant + log_norm[0] - 0.5 * nu * (np.log(Q / nu) + 1.0))
    assert value == pytest.approx(facts["objective"], rel=1e-8)
    assert np.sqrt(Q / nu) == pytest.approx(facts["sigma"], rel=1e-9)
    np.testing.assert_allclose(np.sqrt(Q / nu) * np.exp(-0.5 * theta[0]), facts["sds"], rtol=1e-9)
    coefficients = engine.at(theta).mean(engine.coefficients())[engine.design.unpenalized, 0]
    intercept = engine.at(theta).mean(engine.intercept())[:, 0]
    np.testing.assert_allclose([*intercept, *coefficients], facts["beta"], rtol=1e-9)


def test_the_reml_estimate_lies_within_the_posterior():
    facts = published("mixedmodels_ml_reml")["fits"]["Penicillin"]["computed_REML"]
    X, y, _, groups = mixed("Penicillin")
    post = posterior(X, y, scale=False, groups=groups)
    for name, sd in zip(("tau[g0]", "tau[g1]"), facts["sds"], strict=True):
        low, high = post.scales[name].interval(0.5)
        assert low < sd < high
    assert post.sigma.median == pytest.approx(facts["sigma"], rel=0.02)


# -- leave-one-out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 7, 39])
def test_a_row_deleted_equals_the_engine_without_it(row):
    """At every node: density of the row given the others, by their evidence with and without it."""
    X, y = table()
    design = build_design(X, y, unpenalized=["x4"])
    groups = {"live": ["x0", "x1"], "rest": ["x2", "x3"]}
    engine = group_engine(design, groups, {})
    theta = np.array([[0.5, 1.0], [-3.0, 8.0], [4.0, -2.0], [12.0, 12.0]])
    deleted = engine.deletion().at(theta, slice(row, row + 1))
    rest = engine.without(row)
    assert rest.signals == engine.signals
    np.testing.assert_allclose(deleted.Q[0], rest.floor + rest.excess(theta), rtol=1e-10)
    given, linear = rest.at(theta), rest.rows(X[row : row + 1])
    np.testing.assert_allclose((y[row] - given.mean(linear))[0], (deleted.residual / deleted.keep)[0], rtol=1e-9)
    np.testing.assert_allclose(1.0 / (1.0 + given.variance(linear))[0], deleted.keep[0], rtol=1e-10)


def test_leave_one_out_equals_refits():
    """Nodes are placed anew in each refit: what is between the two is the error of the lattices."""
    X, y = table()
    post = two_groups()
    for i in (3, 20):
        rest = post.engine.without(i)
        refit = infer_groups(rest, post.prior, post.noise_prior)
        expected = refit.predict(X[i : i + 1]).log_density(y[i : i + 1])[0]
        assert post.loo.pointwise[i] == pytest.approx(expected, abs=1e-4)
        assert post.log_marginal_likelihood - refit.log_marginal_likelihood == pytest.approx(
            post.loo.pointwise[i], abs=1e-4
        )


# -- said as analysts say it ------------------------------------------------------------------------------------------


def test_estimator_tables_and_files(tmp_path):
    X, y = table()
    est = BayesRidge(groups=GROUPS, prior={"rest": LogNormal(5.0, 1.5)}).fit(X, y)
    assert est.lambda_.shape == est.tau_.shape == (2,)
    assert list(hyper_table(est.posterior_).index) == list(est.posterior_.scales)
    assert "lambda[rest]" in repr(est)
    assert "live: Beta(0.5, 0.5) on R², rest: log-normal" in repr(est)
    again = load(est.save(tmp_path / "groups.bridge"))
    # arrays may lie otherwise in memory, and sums of products are rounded otherwise
    np.testing.assert_allclose(again.coef_, est.coef_, rtol=1e-10)
    np.testing.assert_allclose(again.predict(X[:3]), est.predict(X[:3]), rtol=1e-10)
    assert again.posterior_.prior_texts == est.posterior_.prior_texts
    rows = load(est.save(tmp_path / "rows.bridge", rows=True)).posterior_
    assert rows.loo.elpd_loo == pytest.approx(est.posterior_.loo.elpd_loo, abs=1e-9)
    thawed = pickle.loads(pickle.dumps(est.posterior_))
    np.testing.assert_allclose(thawed.coefficients.mean, est.coef_, rtol=1e-10)


def test_intervals_of_scales_are_the_shortest_and_named_so():
    X, y = table()
    post = BayesRidge(groups=GROUPS).fit(X, y).posterior_
    found = hyper_table(post, 0.9)
    assert list(found.columns[1:3]) == ["90% HDI low", "90% HDI high"]
    for name in GROUPS:
        tau, lam = post.scales[f"tau[{name}]"], post.scales[f"lambda[{name}]"]
        low, high = found.loc[f"tau[{name}]"].iloc[1:3]
        assert tau.cdf(high) - tau.cdf(low) == pytest.approx(0.9, abs=1e-6)
        for start in np.linspace(0.001, 0.099, 25):  # no other is shorter
            other = tau.quantile([start, start + 0.9])
            assert high - low <= (other[1] - other[0]) * (1.0 + 1e-9)
        low, high = found.loc[f"lambda[{name}]"].iloc[1:3]
        assert lam.cdf(high) - lam.cdf(low) == pytest.approx(0.9, abs=1e-6)
        for start in np.linspace(0.001, 0.099, 25):  # nor of tau/sigma
            other = lam.quantile([start, start + 0.9]) ** -0.5
            assert low**-0.5 - high**-0.5 <= (other[0] - other[1]) * (1.0 + 1e-4)
    assert {"hdi_low", "hdi_high"} <= set(to_record(post)["hyperparameters"]["sigma"])


def test_an_absent_effect_has_an_interval_from_zero():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"g": list("abcde") * 8, "y": np.random.default_rng(0).permutation(np.arange(40.0))})
    with pytest.warns(NoSignalWarning):
        found = BayesRidge(formula="y ~ (1 | g)").fit(frame).hyper_summary()
    assert found.loc["tau", "95% HDI low"] == 0.0
    assert found.loc["lambda", "95% HDI high"] == np.inf


def test_terms_of_a_formula_are_groups():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"a": rng.standard_normal(60), "b": rng.standard_normal(60), "shop": list("pqrstu") * 10})
    frame["y"] = frame.a + frame.shop.map(dict(zip("pqrstu", rng.standard_normal(6), strict=True)))
    frame["y"] += 0.5 * rng.standard_normal(60)
    post = posterior(frame, formula="y ~ a + b + C(shop)", groups={"size": ["a", "b"], "place": "C(shop)"})
    assert list(post.scales)[:2] == ["lambda[size]", "lambda[place]"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"groups": {}}, "names no group"),
        ({"groups": {"a": ["x0", "x1"]}}, "x2, x3, x4 are in no group"),
        ({"groups": {"a": list(NAMES), "b": []}}, "group 'b' has no column"),
        ({"groups": {"a": list(NAMES), "b": ["x1"]}}, "'x1' is in two groups"),
        ({"groups": {"a": [*NAMES, "x9"]}}, "names 'x9'"),
        ({"groups": {"a": list(NAMES)}, "unpenalized": ["x0"]}, "'x0' is unpenalised and in group"),
        ({"groups": GROUPS, "method": "evidence", "noise_prior": HalfT(3.0, 1.0, "sigma")}, "takes Jeffreys"),
        ({"groups": GROUPS, "prior": FixedLambda(1.0)}, "to be learnt"),
        ({"groups": GROUPS, "prior": HalfCauchy(1.0, "tau")}, "to be learnt"),
        ({"groups": GROUPS, "prior": {"dead": BetaR2()}}, "prior names the group 'dead'"),
        ({"groups": GROUPS, "noise_prior": HalfT(3.0, 1.0, "sigma")}, "with several groups the noise prior is"),
        ({"prior": {"a": BetaR2()}}, "needs groups"),
    ],
)
def test_what_cannot_be_is_said(arguments, says):
    with pytest.raises((DataError, PriorError), match=says):
        posterior(*table(), **arguments)


def test_a_prior_by_group_wants_groups():
    with pytest.raises(PriorError, match="say groups"):
        posterior(*table(), prior=by_group(("a", "b"), BetaR2()))


def test_groups_of_equal_columns_and_more_levels_than_rows():
    """Two groups of the same columns share them; with more columns than rows nothing is divided by zero."""
    X, y = table()
    same = posterior(np.column_stack([X, X]), y, groups={"a": list(NAMES), "b": [f"x{j}" for j in range(5, 10)]})
    one, other = same.coefficients.mean[:5], same.coefficients.mean[5:]
    np.testing.assert_allclose(one, other, atol=1e-3 * same.coefficients.sd.max())
    rng = np.random.default_rng(5)
    wide = rng.standard_normal((12, 30))
    post = posterior(
        wide, wide[:, 0] + rng.standard_normal(12),
        groups={"few": [f"x{j}" for j in range(3)], "many": [f"x{j}" for j in range(3, 30)]},
    )  # fmt: skip
    assert np.isfinite(post.coefficients.sd).all()
    assert np.isfinite(post.log_marginal_likelihood)
    assert post.quadrature_error < 1e-3


def test_the_mode_is_found_where_a_wide_step_meets_no_evidence():
    """5000 rows: the slope at the start is steep, and a step along it to the end of a wide box has no evidence."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 300, 5000), rng.integers(0, 100, 5000)
    y = 0.33 * rng.standard_normal(300)[codes[0]] + 0.51 * rng.standard_normal(100)[codes[1]]
    levels = [
        Levels(name, code, tuple(map(str, range(code.max() + 1)))) for name, code in zip("sd", codes, strict=True)
    ]
    source = LevelRows(np.empty((5000, 0)), tuple(levels))
    design = build_design(source, y + 1.18 * rng.standard_normal(5000), names=source.names, unscaled=source.names)
    engine = group_engine(design, {}, {})
    target = Target(engine, by_group(engine.names, BetaR2()), Jeffreys().conjugate)
    mode, _ = locate(target)
    around = mode + 0.05 * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert (target(mode[None])[0] > target(around)[0]).all()


def test_tau_of_many_rows_has_moments():
    """Log lambda normal, sigma nearly known: tau is log-normal. From 2,000 rows on its mean was infinite."""
    x = np.linspace(-3.0, 3.0, 25)
    log_p = -0.5 * np.square(x / 0.4) - np.log(0.4 * np.sqrt(2.0 * np.pi))
    tau = Slices(x, log_p, np.full(25, 0.3), 1e-4).tau_marginal("tau", (0.0, 0.6))
    variance = 1e-4 + 0.2**2
    mean = np.exp(0.3 + 0.5 * variance)
    assert tau.mean == pytest.approx(mean, rel=1e-6)
    assert tau.sd == pytest.approx(mean * np.sqrt(np.expm1(variance)), rel=1e-5)
    assert tau.quantile(0.975) == pytest.approx(np.exp(0.3 + 1.959964 * np.sqrt(variance)), rel=1e-6)


def test_a_moment_next_to_divergence_is_infinite():
    """Two levels leave tau a second moment that hardly falls or does not: it was 1e300, where exp(x) leaves float64."""
    one = marginal("tau", lambda x: np.log(1.0015) - 2.003 * np.abs(x), -20.0, 20.0)
    assert one.mean == pytest.approx(0.5 * 2.003 * (1 / 1.003 + 1 / 3.003), rel=1e-6)
    assert one.sd == np.inf
