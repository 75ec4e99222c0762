"""The sampler's interface: seeds, times, interrupts, missing packages, and one result type for all."""

import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import bayesridge.mcmc.chains
from bayesridge import datasets
from bayesridge.design.design import build_design
from bayesridge.errors import DataError, ImproperPosteriorError, MissingExtraError, PriorError
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.sampling import nuts_posterior, sample_model
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Custom, FixedLambda, HalfCauchy, HalfNormal, InverseGamma, Jeffreys
from tests.mcmc.agreement import PYMC, assert_agree

pytestmark = pytest.mark.mcmc


@pytest.fixture(scope="module")
def problem():
    X, y = datasets.load_xy("longley")
    design = build_design(X.to_numpy(dtype=float), y.to_numpy(), names=tuple(X.columns), target_name="TOTEMP")
    return design, factorize(design)


def collapsed(problem, prior=BetaR2(), noise=Jeffreys(), **options):  # noqa: B008 -- frozen objects
    seed = options.pop("random_state", 3)
    sampler = replace(PYMC, **options)
    return nuts_posterior(*problem, prior, noise, sampler, collapsed=True, n_jobs=1, random_state=seed)


FEW = {"noise": InverseGamma(2.0, 1e6), "draws": 50, "tune": 100}


@pytest.fixture(scope="module")
def drawn(problem):
    return collapsed(problem, **FEW)


def test_result_has_the_groups_variables_and_dims_of_the_exact_one(problem, drawn, tmp_path):
    result = drawn
    exact = infer(*problem, BetaR2(), InverseGamma(2.0, 1e6)).to_datatree(
        draws=50, chains=4, random_state=0, predictive=True
    )
    sampled = result.datatree
    assert set(exact.children) == {
        "posterior", "posterior_predictive", "log_likelihood", "log_prior", "prior", "prior_predictive",
        "observed_data", "constant_data",
    }  # fmt: skip
    assert set(sampled.children) == set(exact.children) | {"sample_stats", "diagnostics"}
    assert {"coef_std", "lambda_", "sigma", "tau", "r2", "effective_dof"} <= set(exact["prior"].data_vars)
    for group in exact.children:
        assert set(sampled[group].data_vars) == set(exact[group].data_vars)
        assert sampled[group].attrs == exact[group].attrs
        for name, values in exact[group].data_vars.items():
            assert sampled[group][name].dims == values.dims
            assert sampled[group][name].attrs == values.attrs
    assert sampled.attrs["model"] == result.model_name == "collapsed"
    assert sampled.attrs["verdict"] == result.verdict
    sampled.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "draws.nc", engine="h5netcdf") as back:
        assert list(back["diagnostics"]["verdict"].values) == list(result.diagnostics["verdict"])


@pytest.mark.slow
def test_arviz_treats_exact_and_sampled_draws_alike(tmp_path):
    import arviz as az

    rng = np.random.default_rng(4)
    design = build_design(X := rng.standard_normal((60, 3)), X[:, 0] + rng.standard_normal(60))
    problem, prior, noise = (design, factorize(design)), BetaR2(2.0, 2.0), InverseGamma(2.0, 1.0)
    trees = {
        "exact": infer(*problem, prior, noise).to_datatree(draws=300, chains=4, random_state=0, predictive=True),
        "nuts": collapsed(problem, prior, noise, draws=300, tune=200).datatree,
    }
    tables = [az.summary(tree, ci_prob=0.95, ci_kind="eti", round_to="none") for tree in trees.values()]
    assert list(tables[0].index) == list(tables[1].index)
    assert list(tables[0].columns) == list(tables[1].columns)
    # one posterior: the difference is that of two importance samplings, a fraction of a nat at four parameters
    compared = az.compare(trees, round_to="none")
    assert abs(compared["elpd_diff"]).max() < 0.5
    for name, tree in trees.items():
        tree.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        with xr.open_datatree(tmp_path / f"{name}.nc", engine="h5netcdf") as back:
            assert az.loo(back.load()).elpd == az.loo(tree).elpd


def test_zarr_round_trip(problem, tmp_path):
    pytest.importorskip("zarr")
    for name, tree in {
        "exact": infer(*problem, BetaR2(), Jeffreys()).to_datatree(draws=20, chains=2, random_state=0, predictive=True),
        "nuts": collapsed(problem, draws=20, tune=20, chains=2).datatree,
    }.items():
        tree.to_zarr(tmp_path / name, consolidated=False)
        back = xr.open_datatree(tmp_path / name, engine="zarr", consolidated=False).load()
        xr.testing.assert_equal(tree, back)


def test_a_seed_gives_the_same_draws(problem, drawn):
    one, two = (result.datatree["posterior"]["coef"].values for result in (drawn, collapsed(problem, **FEW)))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one[0], one[1])  # chains have seeds of their own


class InterruptAt:
    """Stands in for the callback, and presses control-C once at a given draw of a given chain."""

    def __init__(self, chain, draw):
        self.chain, self.draw, self.done = chain, draw, False

    def __call__(self, length):
        inner = original(length)

        def callback(trace, draw):
            inner(trace, draw)
            if not self.done and (draw.chain, draw.draw_idx) == (self.chain, self.draw):
                self.done = True
                raise KeyboardInterrupt

        return callback


original = bayesridge.mcmc.chains._StopAllChains


@pytest.mark.parametrize(("chain", "kept"), [(0, (1, 60)), pytest.param(3, (3, 200), marks=pytest.mark.slow)])
def test_interrupting_keeps_what_was_drawn(problem, monkeypatch, chain, kept):
    """Stopped 60 draws into a chain: most draws are kept, and no further chain is begun."""
    monkeypatch.setattr(bayesridge.mcmc.chains, "_StopAllChains", InterruptAt(chain, 100 + 59))
    result = collapsed(problem, draws=200, tune=100)
    sizes = result.datatree["posterior"].sizes
    assert (sizes["chain"], sizes["draw"]) == kept
    assert result.interrupted
    assert result.diagnostics.loc["draws kept", "verdict"] == "doubtful"
    assert np.isfinite(result.datatree["posterior"]["coef"].values).all()


CHILD = """
    import multiprocessing, os, signal, sys, threading, time
    from bayesridge import BayesRidge, datasets

    def control_c():  # reaches the whole foreground group, as from a terminal
        while not multiprocessing.active_children():
            time.sleep(0.05)
        time.sleep(1.0)
        os.killpg(0, signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # what was started in the background ignores it
    threading.Thread(target=control_c, daemon=True).start()
    X, y = datasets.load_xy("longley")
    fit = BayesRidge(
        method="nuts", n_jobs=2, random_state=0,
        sampler=dict(name="pymc", draws=100_000, tune=0, chains=2, progressbar=False),
    ).fit(X.iloc[:, :2], y)
    drawn = fit.posterior_
    sizes = drawn.datatree["posterior"].sizes
    print(sizes["chain"], sizes["draw"], drawn.interrupted, drawn.verdict, "stopped early" in repr(fit))
"""


@pytest.mark.slow  # the same without processes above
def test_control_c_in_the_middle_of_sampling():
    """A real signal to a real process, chains in parallel: it goes on with what was drawn and says so."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD)], capture_output=True, text=True, timeout=240, check=False,
        start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    chains, draws, interrupted, verdict, told = done.stdout.split()
    assert chains in ("1", "2")
    assert 4 <= int(draws) < 100_000
    assert (interrupted, told) == ("True", "True")
    assert verdict in ("doubtful", "bad")


def test_interrupting_before_anything_was_drawn_is_an_interrupt(problem, monkeypatch):
    monkeypatch.setattr(bayesridge.mcmc.chains, "_StopAllChains", InterruptAt(0, 20))
    with pytest.raises(KeyboardInterrupt):
        collapsed(problem, draws=200, tune=100)


def test_unequal_chains_are_cut_so_that_most_draws_stay():
    draws = np.arange(40.0).reshape(4, 10).copy()
    draws[1, 6:] = draws[2, 1:] = np.nan
    one = xr.Dataset({"sigma": (("chain", "draw"), draws)})
    posterior, stats = bayesridge.mcmc.chains._drawn(one, one)
    # two chains of ten draws are more than three of six
    np.testing.assert_array_equal(posterior["sigma"].values, draws[[0, 3]])
    assert stats.sizes == posterior.sizes


def test_refusals_come_before_sampling(problem):
    with pytest.raises(DataError, match="draws must be at least 4"):
        collapsed(problem, draws=1)
    with pytest.raises(DataError, match="sampler must be"):
        collapsed(problem, name="gibbs")
    with pytest.raises(ImproperPosteriorError, match="lambda = 0"):
        collapsed(problem, prior=FixedLambda(0.0))
    stubborn = Custom(lambda lam: float(lam[0]), of="lambda")
    with pytest.raises(PriorError, match="PyMC variable"):
        sample_model_with(problem, stubborn)
    wide = build_design(np.random.default_rng(0).standard_normal((5, 8)), np.arange(5.0))
    with pytest.raises(ImproperPosteriorError, match="1/sigma"):
        nuts_posterior(wide, factorize(wide), HalfCauchy(1.0, on="tau"), Jeffreys())


@pytest.mark.parametrize("package", ["nutpie", "numpyro", "blackjax"])
def test_a_missing_package_is_named_with_its_extra(problem, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # what Python does for a package that cannot be imported
    with pytest.raises(MissingExtraError, match=rf"{package} .*pip install 'bayesridge\[{package}\]'"):
        collapsed(problem, name=package)


def test_a_blackjax_that_does_not_work_with_pymc_is_explained(problem, monkeypatch):
    import pymc as pm

    def fails(*args, **options):  # noqa: ARG001
        raise TypeError("kernel() got an unexpected keyword argument 'progress_bar'")

    monkeypatch.setattr(pm, "sample", fails)
    monkeypatch.setattr(bayesridge.mcmc.chains, "require", lambda *_: None)
    monkeypatch.setattr(
        bayesridge.mcmc.chains, "version", lambda package: {"blackjax": "1.7.1", "pymc": "6.4.0"}[package]
    )
    with pytest.raises(MissingExtraError, match=r"blackjax 1\.7\.1 does not work with PyMC 6\.4\.0 .*sampler='pymc'"):
        collapsed(problem, name="blackjax")
    with pytest.raises(TypeError, match="progress_bar"):  # our own mistakes are not blamed on blackjax
        collapsed(problem, name="pymc")


def sample_model_with(problem, prior):
    from bayesridge.models.collapsed import collapsed as model

    return model(problem[1], prior=prior, noise_prior=Jeffreys())


@pytest.mark.parametrize("package", ["nutpie", "numpyro", "blackjax"])
@pytest.mark.filterwarnings("ignore:There are not enough devices to run parallel chains")  # JAX on one processor
def test_other_samplers(problem, package):
    pytest.importorskip(package)
    try:
        result = collapsed(problem, noise=InverseGamma(2.0, 1e6), name=package, draws=2000)
    except MissingExtraError as error:
        pytest.skip(str(error))  # a version that does not work with PyMC's, which the error says
    assert result.sampler == package
    assert_agree(infer(*problem, BetaR2(), InverseGamma(2.0, 1e6)), result.datatree)


@pytest.mark.slow
def test_no_penalised_columns(problem):
    """Least squares with a noise prior: all columns flat."""
    design, _ = problem
    flat = build_design(design.X[:, [2, 3]], design.y, unpenalized=[0, 1])  # not the collinear ones: short trajectories
    spectrum = factorize(flat)
    prior, noise = HalfNormal(1.0, on="tau"), InverseGamma(3.0, 1e6)
    result = nuts_posterior(flat, spectrum, prior, noise, PYMC, n_jobs=1, random_state=1)
    assert_agree(infer(flat, spectrum, prior, noise), result.datatree)


@pytest.mark.slow  # a fixing prior is sampled in test_nuts_method
def test_lambda_zero_is_least_squares():
    rng = np.random.default_rng(8)  # columns that are not alike: short trajectories
    X = rng.standard_normal((25, 2))
    two = build_design(X, X @ [1.0, -0.5] + rng.standard_normal(25))
    spectrum = factorize(two)
    few = replace(PYMC, draws=300, tune=150)
    result = nuts_posterior(two, spectrum, FixedLambda(0.0), Jeffreys(), few, n_jobs=1, random_state=1)
    assert_agree(infer(two, spectrum, FixedLambda(0.0), Jeffreys()), result.datatree)


@pytest.mark.slow
def test_units_of_y_do_not_matter():
    """The same table in other units gives the same draws (the sampler works in units of y's own sd)."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 2))
    y = X @ [1.0, -1.0] + rng.standard_normal(40)
    drawn = []
    for unit in (1.0, 1e-7):
        design = build_design(X, y * unit)
        few = replace(PYMC, draws=200, tune=300, chains=2)
        result = nuts_posterior(
            design, factorize(design), BetaR2(), Jeffreys(), few, centred=True, n_jobs=1, random_state=1
        )
        drawn.append(result.datatree["posterior"]["coef"].values / unit)
    # chains amplify rounding: after 400 trajectories only the distribution is the same
    for other in drawn[1:]:
        np.testing.assert_allclose(other.mean((0, 1)), drawn[0].mean((0, 1)), atol=0.06)
        np.testing.assert_allclose(other.std((0, 1)), drawn[0].std((0, 1)), rtol=0.3)


@pytest.mark.slow
def test_steps_of_the_collapsed_sampler_do_not_grow_with_the_columns():
    """Two nearly independent parameters of unit size whatever the spectrum: trajectories as short, draws as good."""
    steps = []
    for columns in (10, 300):  # more columns than rows in the second
        rng = np.random.default_rng(columns)
        X = rng.standard_normal((150, columns))
        y = X @ rng.standard_normal(columns) / np.sqrt(columns) + rng.standard_normal(150)
        design = build_design(X, y)
        result = collapsed((design, factorize(design)), draws=300, tune=300, chains=2)
        assert result.diagnostics.loc["divergences", "value"] == 0
        # independent draws would have 600
        assert result.diagnostics.loc["ESS bulk", "value"] > 150
        steps.append(float(result.datatree["sample_stats"]["n_steps"].mean()))
    assert max(steps) < 1.5 * min(steps)


def test_prior_of_other_models_is_drawn_where_it_is_proper():
    from bayesridge.mcmc.sampling import proper_prior_draws
    from bayesridge.models.elastic_net import elastic_net
    from bayesridge.models.lasso import lasso
    from bayesridge.models.robust import robust

    rng = np.random.default_rng(1)
    design = build_design(rng.standard_normal((30, 2)), rng.standard_normal(30))
    proper, improper = InverseGamma(3.0, 2.0), Jeffreys()
    n = 4000
    found = proper_prior_draws(design, lasso(design, prior=BetaR2(2.0, 3.0), noise_prior=proper), n, rng)
    assert set(found) == {"lambda_", "sigma", "tau", "coef_std", "r2"}
    assert stats.kstest(found["r2"], stats.beta(2.0, 3.0).cdf).pvalue > 1e-3
    assert stats.kstest(found["sigma"] ** 2, stats.invgamma(3.0, scale=2.0).cdf).pvalue > 1e-3
    laplace = found["coef_std"] / found["tau"][:, None] * np.sqrt(2.0)
    assert stats.kstest(laplace.ravel(), stats.laplace.cdf).pvalue > 1e-3
    np.testing.assert_allclose(found["lambda_"], (found["sigma"] / found["tau"]) ** 2, rtol=1e-10)
    made = robust(design, prior=BetaR2(), noise_prior=improper, nu_shape=2.0, nu_rate=0.1, centred=True)
    assert set(proper_prior_draws(design, made, 10, rng)) == {"lambda_", "nu", "r2"}
    made = elastic_net(design, prior=BetaR2(), noise_prior=proper, mix_a=1.0, mix_b=1.0)
    assert set(proper_prior_draws(design, made, 10, rng)) == {"lambda_", "sigma", "tau", "coef_std", "r2"}


@pytest.mark.slow  # the lasso of test_model_comparison takes the same way
def test_a_model_runs_on_its_own():
    """Import, build, sample: the draws come in the common result type."""
    from bayesridge.models.robust import robust

    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 2))
    y = X @ [2.0, -1.0] + rng.standard_normal(60)
    y[:4] += 60.0  # outliers
    design = build_design(X, y)
    model = robust(design, prior=BetaR2(), noise_prior=Jeffreys(), nu_shape=2.0, nu_rate=0.1, centred=True)
    few = replace(PYMC, draws=100, tune=150, chains=2)
    result = sample_model(design, model, "robust", few, n_jobs=1, random_state=1)
    posterior = result.datatree["posterior"]
    # the outliers pull least squares by units; Student-t noise leaves them out
    np.testing.assert_allclose(posterior["coef"].mean(("chain", "draw")).values, [2.0, -1.0], atol=0.5)
    assert float(posterior["nu"].mean()) < 5.0
    assert "effective_dof" not in posterior
