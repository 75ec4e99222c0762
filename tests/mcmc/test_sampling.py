"""The sampler's interface: seeds, times, interrupts, missing packages, and one result type for all."""

import numpy as np
import pytest
import xarray as xr

import bayesridge.chains
from bayesridge import datasets
from bayesridge.chains import quiet
from bayesridge.design import build_design
from bayesridge.errors import DataError, ImproperPosteriorError, MissingExtraError, PriorError
from bayesridge.posterior import infer
from bayesridge.priors import BetaR2, Custom, FixedLambda, HalfCauchy, HalfNormal, InverseGamma, Jeffreys
from bayesridge.sampling import nuts_posterior, sample_model
from bayesridge.spectrum import factorize
from tests.mcmc.agreement import assert_agree

pytestmark = [pytest.mark.mcmc, pytest.mark.xdist_group("mcmc")]

QUIET = {"n_jobs": 1, "progressbar": False, "sampler": "pymc"}


@pytest.fixture(scope="module")
def problem():
    X, y = datasets.load_xy("longley")
    design = build_design(X.to_numpy(dtype=float), y.to_numpy(), names=tuple(X.columns), target_name="TOTEMP")
    return design, factorize(design)


def collapsed(problem, prior=BetaR2(), noise=Jeffreys(), **options):  # noqa: B008 -- frozen objects
    return nuts_posterior(*problem, prior, noise, collapsed=True, **(QUIET | {"random_state": 3} | options))


def test_result_has_the_groups_variables_and_dims_of_the_exact_one(problem, tmp_path):
    result = collapsed(problem, noise=InverseGamma(2.0, 1e6), draws=200, tune=300)
    exact = infer(*problem, BetaR2(), InverseGamma(2.0, 1e6)).to_datatree(draws=50, chains=4, random_state=0)
    sampled = result.datatree
    assert set(exact.children) <= set(sampled.children)
    assert set(sampled.children) - set(exact.children) <= {"sample_stats", "diagnostics", "prior_predictive"}
    for group in exact.children:
        assert set(sampled[group].data_vars) == set(exact[group].data_vars)
        for name, values in exact[group].data_vars.items():
            assert sampled[group][name].dims == values.dims
    assert sampled.attrs["model"] == result.model_name == "collapsed"
    assert sampled.attrs["verdict"] == result.verdict
    sampled.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "draws.nc", engine="h5netcdf") as back:
        assert list(back["diagnostics"]["verdict"].values) == list(result.diagnostics["verdict"])


def test_a_seed_gives_the_same_draws(problem):
    one, two, other = (
        collapsed(problem, draws=50, tune=50, random_state=seed).datatree["posterior"] for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one["coef"].values, two["coef"].values)
    assert not np.array_equal(one["coef"].values, other["coef"].values)


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


original = bayesridge.chains._StopAllChains


@pytest.mark.parametrize(("chain", "kept"), [(0, (1, 60)), (1, (1, 200)), (3, (3, 200))])
def test_interrupting_keeps_what_was_drawn(problem, monkeypatch, chain, kept):
    """Stopped 60 draws into a chain: most draws are kept, and no further chain is begun."""
    monkeypatch.setattr(bayesridge.chains, "_StopAllChains", InterruptAt(chain, 100 + 59))
    result = collapsed(problem, draws=200, tune=100)
    sizes = result.datatree["posterior"].sizes
    assert (sizes["chain"], sizes["draw"]) == kept
    assert result.interrupted
    assert result.diagnostics.loc["draws kept", "verdict"] == "doubtful"
    assert np.isfinite(result.datatree["posterior"]["coef"].values).all()


def test_interrupting_before_anything_was_drawn_is_an_interrupt(problem, monkeypatch):
    monkeypatch.setattr(bayesridge.chains, "_StopAllChains", InterruptAt(0, 20))
    with pytest.raises(KeyboardInterrupt):
        collapsed(problem, draws=200, tune=100)


def test_unequal_chains_are_cut_so_that_most_draws_stay():
    draws = np.arange(40.0).reshape(4, 10).copy()
    draws[1, 6:] = draws[2, 1:] = np.nan
    one = xr.Dataset({"sigma": (("chain", "draw"), draws)})
    posterior, stats = bayesridge.chains._drawn(one, one)
    # two chains of ten draws are more than three of six
    np.testing.assert_array_equal(posterior["sigma"].values, draws[[0, 3]])
    assert stats.sizes == posterior.sizes


def test_refusals_come_before_sampling(problem, monkeypatch):
    monkeypatch.setattr(bayesridge.chains, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="draws must be at least 4"):
        collapsed(problem, draws=1)
    with pytest.raises(DataError, match="sampler must be"):
        collapsed(problem, sampler="gibbs")
    with pytest.raises(MissingExtraError, match="blackjax"):
        collapsed(problem, sampler="blackjax")
    with pytest.raises(ImproperPosteriorError, match="lambda = 0"):
        collapsed(problem, prior=FixedLambda(0.0))
    stubborn = Custom(lambda lam: float(lam[0]), of="lambda")
    with pytest.raises(PriorError, match="PyMC variable"):
        sample_model_with(problem, stubborn)
    wide = build_design(np.random.default_rng(0).standard_normal((5, 8)), np.arange(5.0))
    with pytest.raises(ImproperPosteriorError, match="1/sigma"):
        nuts_posterior(wide, factorize(wide), HalfCauchy(1.0, on="tau"), Jeffreys())


def sample_model_with(problem, prior):
    from bayesridge.models.collapsed import collapsed as model

    return model(problem[1], prior=prior, noise_prior=Jeffreys())


@pytest.mark.parametrize("package", ["nutpie", "numpyro"])
def test_other_samplers(problem, package):
    pytest.importorskip(package)
    result = collapsed(problem, noise=InverseGamma(2.0, 1e6), sampler=package, draws=2000)
    assert result.sampler == package
    assert_agree(infer(*problem, BetaR2(), InverseGamma(2.0, 1e6)), result.datatree)


def test_no_penalised_columns(problem):
    """Least squares with a noise prior: all columns flat."""
    design, _ = problem
    flat = build_design(design.X[:, :2], design.y, unpenalized=[0, 1])
    spectrum = factorize(flat)
    prior, noise = HalfNormal(1.0, on="tau"), InverseGamma(3.0, 1e6)
    result = nuts_posterior(flat, spectrum, prior, noise, random_state=1, **QUIET)
    assert_agree(infer(flat, spectrum, prior, noise), result.datatree)


def test_lambda_zero_is_least_squares(problem):
    design, _ = problem
    two = build_design(design.X[:, [2, 3]], design.y)
    spectrum = factorize(two)
    result = nuts_posterior(two, spectrum, FixedLambda(0.0), Jeffreys(), random_state=1, **QUIET)
    assert_agree(infer(two, spectrum, FixedLambda(0.0), Jeffreys()), result.datatree)


def test_units_of_y_do_not_matter():
    """The same table in other units gives the same draws (the sampler works in units of y's own sd)."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 2))
    y = X @ [1.0, -1.0] + rng.standard_normal(40)
    drawn = []
    for unit in (1.0, 1e-7):
        design = build_design(X, y * unit)
        result = nuts_posterior(
            design, factorize(design), BetaR2(), Jeffreys(), draws=100, tune=300, random_state=1, centred=True, **QUIET
        )
        drawn.append(result.datatree["posterior"]["coef"].values / unit)
    # chains amplify rounding: after 400 trajectories only the distribution is the same
    for other in drawn[1:]:
        np.testing.assert_allclose(other.mean((0, 1)), drawn[0].mean((0, 1)), atol=0.06)
        np.testing.assert_allclose(other.std((0, 1)), drawn[0].std((0, 1)), rtol=0.3)


def test_a_model_runs_on_its_own():
    """As in a notebook: import, build, pm.sample; ours brings the draws into the common result type."""
    import pymc as pm

    from bayesridge.models.robust import robust

    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 2))
    y = X @ [2.0, -1.0] + rng.standard_normal(60)
    y[:4] += 60.0  # outliers
    design = build_design(X, y)
    model = robust(design, prior=BetaR2(), noise_prior=Jeffreys(), nu_shape=2.0, nu_rate=0.1, centred=True)
    result = sample_model(design, model, "robust", random_state=1, draws=500, tune=500, **QUIET)
    posterior = result.datatree["posterior"]
    # the outliers pull least squares by units; Student-t noise leaves them out
    np.testing.assert_allclose(posterior["coef"].mean(("chain", "draw")).values, [2.0, -1.0], atol=0.5)
    assert float(posterior["nu"].mean()) < 5.0
    assert "effective_dof" not in posterior
    with quiet(), model:
        plain = pm.sample(
            20, tune=20, chains=1, cores=1, backend="c", progressbar=False, compute_convergence_checks=False
        )
    assert plain["posterior"]["beta"].dims == ("chain", "draw", "penalized")
