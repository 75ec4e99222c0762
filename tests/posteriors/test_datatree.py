"""The result type: names, dims and labels, and log densities held against scipy's on the original scale."""

import numpy as np
import pytest
from scipy import stats

from bayesridge.design.design import build_design
from bayesridge.errors import DataError
from bayesridge.linalg.filters import original_scale
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.datatree import Draws, to_datatree
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, InverseGamma, Jeffreys

N, P = 30, 4


def problem(offset=0.0, **options):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((N, P)) * [1.0, 10.0, 0.1, 3.0] + [5.0, 0.0, -1.0, 2.0]
    y = X @ [1.0, 0.1, 0.0, -0.5] + rng.standard_normal(N) + 3.0
    design = build_design(X + offset, y, names=list("abcd"), target_name="yield", **options)
    return design, factorize(design)


def some_draws(design, spectrum, chains=2, draws=50, seed=1):
    """Arbitrary values: what is tested is what is made of them."""
    rng = np.random.default_rng(seed)
    beta = rng.standard_normal((chains, draws, len(design.penalized)))
    coef, intercept = original_scale(design, spectrum, beta)
    sigma = rng.uniform(0.5, 2.0, (chains, draws))
    lam = rng.uniform(0.1, 20.0, (chains, draws))
    return Draws(intercept, coef, sigma, sigma / np.sqrt(lam), lam)


def prior_values(design, draws):
    """Draws of a proper prior of both scales and the coefficients."""
    total = draws.sigma.size
    rng = np.random.default_rng(4)
    sigma, tau = rng.uniform(1.0, 3.0, (2, total))
    values = {"sigma": sigma, "tau": tau, "lambda_": (sigma / tau) ** 2}
    return values | {"coef_std": tau[:, None] * rng.standard_normal((total, len(design.penalized)))}


def test_groups_dims_and_labels():
    design, spectrum = problem(unpenalized=["c"])
    draws = some_draws(design, spectrum)
    tree = to_datatree(
        design, draws, spectrum=spectrum, prior=prior_values(design, draws), attrs={"method": "exact"}, random_state=0,
        sample_stats={"diverging": np.zeros(draws.shape, dtype=bool)},
    )  # fmt: skip
    assert set(tree.children) == {
        "posterior", "posterior_predictive", "log_likelihood", "sample_stats", "prior", "prior_predictive",
        "observed_data", "constant_data",
    }  # fmt: skip
    assert tree["prior_predictive"].attrs["taken_from_posterior"] == "intercept, c"
    posterior = tree["posterior"]
    scalars = {"intercept", "sigma", "tau", "lambda_", "r2", "effective_dof"}
    assert set(posterior.data_vars) == scalars | {"coef", "coef_std"}
    assert all(posterior[name].dims == ("chain", "draw") for name in scalars)
    assert posterior["coef"].dims == ("chain", "draw", "feature")
    assert list(posterior["feature"].values) == list("abcd")
    assert list(posterior["penalized"].values) == list("abd")
    assert tree["log_likelihood"]["y"].dims == ("chain", "draw", "obs")
    assert tree["observed_data"]["y"].attrs["target"] == "yield"
    assert tree["constant_data"]["X"].dims == ("obs", "feature")
    assert tree.attrs["method"] == "exact"
    for group in ("posterior", "prior"):
        assert all(v.attrs["long_name"] and "units" in v.attrs for v in tree[group].data_vars.values())


def test_without_intercept_there_is_no_variable_for_it():
    design, spectrum = problem(fit_intercept=False)
    tree = to_datatree(design, some_draws(design, spectrum), spectrum=None, predictive=False)
    assert "intercept" not in tree["posterior"]
    assert "effective_dof" not in tree["posterior"]
    assert set(tree.children) == {"posterior", "observed_data", "constant_data"}


@pytest.mark.parametrize("kind", [None, "frequency", "precision"])
@pytest.mark.parametrize("unpenalized", [(), ("b", "d")])
def test_log_likelihood_is_that_of_the_data_scale(kind, unpenalized):
    weights = None if kind is None else np.random.default_rng(3).integers(1, 5, N).astype(float)
    options = {} if kind is None else {"weights": weights, "weight_kind": kind}
    design, spectrum = problem(unpenalized=unpenalized, **options)
    draws = some_draws(design, spectrum)
    tree = to_datatree(design, draws, spectrum=spectrum, random_state=0)
    mean = draws.intercept[..., None] + draws.coef @ design.X.T
    scale = draws.sigma[..., None] * np.ones(N)
    if kind == "precision":
        scale = scale / np.sqrt(weights)
    # both sides sum some ten numbers of size 10: rounding only
    expected = stats.norm(mean, scale).logpdf(design.y)
    np.testing.assert_allclose(tree["log_likelihood"]["y"].values, expected, rtol=1e-11)
    uniform = stats.norm(mean, scale).cdf(tree["posterior_predictive"]["y"].values)
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
    assert ("one of the observations" in tree["log_likelihood"]["y"].attrs["long_name"]) == (kind == "frequency")


def test_student_t_likelihood():
    design, spectrum = problem()
    base = some_draws(design, spectrum)
    df = np.random.default_rng(2).uniform(2.0, 30.0, base.shape)
    draws = Draws(base.intercept, base.coef, base.sigma, base.tau, base.lam, noise_df=df)
    tree = to_datatree(design, draws, spectrum=None, random_state=0)
    mean = draws.intercept[..., None] + draws.coef @ design.X.T
    noise = stats.t(df[..., None], mean, draws.sigma[..., None])
    np.testing.assert_allclose(tree["log_likelihood"]["y"].values, noise.logpdf(design.y), rtol=1e-11)
    uniform = noise.cdf(tree["posterior_predictive"]["y"].values)
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(tree["posterior"]["nu"].values, df)


def test_prior_predictive_takes_only_what_is_improper_from_the_posterior():
    design, spectrum = problem(unpenalized=["b"])
    draws = some_draws(design, spectrum, draws=200)
    proper = prior_values(design, draws)
    beta = proper["coef_std"].reshape(*draws.shape, -1)
    centre = draws.intercept + draws.coef @ design.mean
    mean = centre[..., None] + beta @ design.standardize(design.X, design.penalized).T
    gamma = draws.coef[..., design.unpenalized] * design.scale[design.unpenalized]
    mean += gamma @ design.standardize(design.X, design.unpenalized).T
    for prior in (proper, {name: proper[name] for name in ("tau", "coef_std")}):
        tree = to_datatree(design, draws, spectrum=spectrum, prior=prior, random_state=0)
        sigma = prior["sigma"].reshape(draws.shape) if "sigma" in prior else draws.sigma
        uniform = stats.norm(mean, sigma[..., None]).cdf(tree["prior_predictive"]["y"].values)
        assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
    improper = to_datatree(design, draws, spectrum=spectrum, prior={"r2": proper["tau"]}, random_state=0)
    assert "prior_predictive" not in improper


def test_prior_predictive_of_student_t_noise_and_of_other_shapes():
    design, spectrum = problem()
    base = some_draws(design, spectrum, draws=200)
    prior = prior_values(design, base) | {"nu": np.random.default_rng(8).uniform(2.0, 9.0, base.sigma.size)}
    df = np.full(base.shape, 50.0)
    draws = Draws(base.intercept, base.coef, base.sigma, base.tau, base.lam, noise_df=df)
    beta = prior["coef_std"].reshape(*base.shape, -1)
    centre = base.intercept + base.coef @ design.mean
    mean = centre[..., None] + beta @ design.standardize(design.X, design.penalized).T
    scale = prior["sigma"].reshape(base.shape)[..., None]
    for given, nu in ((prior, prior["nu"].reshape(base.shape)), ({k: v for k, v in prior.items() if k != "nu"}, df)):
        tree = to_datatree(design, draws, spectrum=None, prior=given, random_state=0)
        uniform = stats.t(nu[..., None], mean, scale).cdf(tree["prior_predictive"]["y"].values)
        assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
        assert ("nu" in tree["prior_predictive"].attrs["taken_from_posterior"]) == ("nu" not in given)
    # without a single lambda the coefficients' prior need not be normal: nothing is made up
    tree = to_datatree(design, draws, spectrum=None, prior={"tau": prior["tau"]}, random_state=0)
    assert "prior_predictive" not in tree


@pytest.mark.parametrize(
    ("noise", "taken"), [(Jeffreys(), "intercept, b, sigma"), (InverseGamma(3.0, 2.0), "intercept, b")]
)
def test_prior_groups_of_an_exact_posterior(noise, taken):
    design, spectrum = problem(unpenalized=["b"])
    tree = infer(design, spectrum, BetaR2(2.0, 3.0), noise).to_datatree(
        draws=1000, chains=2, random_state=0, predictive=True
    )
    prior = tree["prior"]
    always = {"lambda_", "r2", "effective_dof"}
    assert set(prior.data_vars) == always | ({"sigma", "tau", "coef_std"} if "sigma" not in taken else set())
    assert stats.kstest(prior["r2"].values.ravel(), stats.beta(2.0, 3.0).cdf).pvalue > 1e-3
    assert tree["prior_predictive"].attrs["taken_from_posterior"] == taken
    assert tree["prior_predictive"]["y"].dims == ("chain", "draw", "obs")
    # prior and posterior predictive differ in the coefficients: the prior's are centred at zero
    spread = [tree[group]["y"].values.std(axis=(0, 1)).mean() for group in ("prior_predictive", "posterior_predictive")]
    assert spread[0] > spread[1]


def test_a_plugged_in_lambda_has_no_prior():
    design, spectrum = problem()
    tree = infer(design, spectrum, BetaR2(), Jeffreys(), "evidence").to_datatree(
        draws=5, chains=1, random_state=0, predictive=True
    )
    assert "prior" not in tree
    assert "plugged in" in tree.attrs["prior"]


def test_rows_that_are_no_observations_are_left_out_and_the_others_keep_their_labels():
    rng = np.random.default_rng(0)
    kept = np.ones(N + 3, dtype=bool)
    kept[[0, 7, 20]] = False
    weights = rng.uniform(0.5, 2.0, N)
    weights[[2, 5]] = 0.0
    design, spectrum = problem(weights=weights, weight_kind="precision", kept=kept)
    tree = to_datatree(design, some_draws(design, spectrum), spectrum=spectrum)
    obs = tree["log_likelihood"]["obs"].values
    np.testing.assert_array_equal(obs, np.flatnonzero(kept)[weights > 0])
    np.testing.assert_array_equal(tree["observed_data"]["y"].values, design.y[weights > 0])
    np.testing.assert_array_equal(tree["constant_data"]["weights"].values, weights[weights > 0])
    assert np.isfinite(tree["log_likelihood"]["y"].values).all()


def test_r2_and_effective_dof_are_those_of_a_dense_computation():
    design, spectrum = problem()
    draws = some_draws(design, spectrum, chains=1, draws=5)
    posterior = to_datatree(design, draws, spectrum=spectrum, predictive=False)["posterior"]
    Xs = design.standardize(design.X, design.penalized)
    explained = np.trace(Xs.T @ Xs) / N * draws.tau**2
    np.testing.assert_allclose(posterior["r2"].values, explained / (explained + draws.sigma**2), rtol=1e-12)
    trace = [np.trace(Xs @ np.linalg.solve(Xs.T @ Xs + lam * np.eye(P), Xs.T)) for lam in draws.lam[0]]
    np.testing.assert_allclose(posterior["effective_dof"].values[0], trace, rtol=1e-10)


def test_limits_of_lambda():
    design, spectrum = problem()
    base = some_draws(design, spectrum, chains=1, draws=2)
    lam = np.array([[0.0, np.inf]])
    draws = Draws(base.intercept, base.coef, base.sigma, base.tau, lam)
    posterior = to_datatree(design, draws, spectrum=spectrum, predictive=False)["posterior"]
    np.testing.assert_array_equal(posterior["r2"].values, [[1.0, 0.0]])
    np.testing.assert_allclose(posterior["effective_dof"].values, [[P, 0.0]], rtol=1e-15)


def test_a_large_offset_of_the_columns_costs_no_more_than_the_input_itself():
    plain, spectrum = problem()
    moved, moved_spectrum = problem(offset=1e8)
    a = to_datatree(plain, some_draws(plain, spectrum), spectrum=None, random_state=0)
    b = to_datatree(moved, some_draws(moved, moved_spectrum), spectrum=None, random_state=0)
    # adding 1e8 rounds each x to 7e-9, which the narrowest column's coefficients (up to 30 a unit) turn into 2e-7
    np.testing.assert_allclose(a["log_likelihood"]["y"].values, b["log_likelihood"]["y"].values, atol=2e-5)
    np.testing.assert_allclose(a["posterior_predictive"]["y"].values, b["posterior_predictive"]["y"].values, atol=1e-6)


def test_the_file_keeps_everything(tmp_path):
    import xarray as xr

    design, spectrum = problem()
    draws = some_draws(design, spectrum)
    stats_ = {"diverging": np.zeros(draws.shape, dtype=bool)}
    tree = to_datatree(design, draws, spectrum=spectrum, prior=prior_values(design, draws), sample_stats=stats_)
    tree.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "draws.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(tree, back.load())
        assert back.attrs == tree.attrs
        assert back["posterior"]["coef"].attrs == tree["posterior"]["coef"].attrs


def test_arviz_reads_it():
    import arviz as az

    design, spectrum = problem()
    tree = to_datatree(design, some_draws(design, spectrum, draws=200), spectrum=spectrum, random_state=0)
    table = az.summary(tree, var_names=["coef", "sigma", "lambda_"], ci_prob=0.95, ci_kind="eti", round_to="none")
    np.testing.assert_allclose(table.loc["sigma", "mean"], tree["posterior"]["sigma"].mean(), rtol=1e-12)
    assert "coef[a]" in table.index


def test_wrong_shapes_are_refused_with_both_shapes():
    design, spectrum = problem()
    good = some_draws(design, spectrum)
    bad = Draws(good.intercept, good.coef[..., :-1], good.sigma, good.tau, good.lam)
    with pytest.raises(DataError, match=r"draws\.coef must have shape \(2, 50, 4\), got \(2, 50, 3\)"):
        to_datatree(design, bad, spectrum=spectrum)
    with pytest.raises(DataError, match="prior draws of tau must number 2 x 50, got 7"):
        to_datatree(design, good, spectrum=spectrum, prior={"tau": np.ones(7)})


def test_what_grows_with_the_rows_is_made_on_request_and_never_without_bound():
    design, spectrum = problem()
    post = infer(design, spectrum, BetaR2(), Jeffreys())
    assert {"posterior_predictive", "log_likelihood"}.isdisjoint(post.to_datatree(2, 1, 0).children)
    assert {"posterior", "observed_data", "constant_data"} <= set(post.to_datatree(2, 1, 0).children)
    n, p = design.X.shape
    for predictive, size in ((False, 16 * p), (True, 16 * p + 24 * n)):
        most = int(4e9 / size)  # draws
        with pytest.raises(DataError, match=rf"GB.*ask for {most} draws") as caught:
            post.to_datatree(10 * most, 1, 0, predictive=predictive)
        assert ("predictive" in str(caught.value)) == predictive
