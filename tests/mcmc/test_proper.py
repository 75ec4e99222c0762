"""Models with proper priors: PyMC draws from their prior, with the numbers the docs give, and pictures them."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import cumulative_trapezoid

from bayesridge.design.design import build_design
from bayesridge.engines.groups import group_engine
from bayesridge.errors import DataError, PriorError
from bayesridge.linalg.spectrum import factorize
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    Gamma,
    GammaPrecisions,
    HalfCauchy,
    HalfT,
    InverseGamma,
    Jeffreys,
)

pytestmark = pytest.mark.mcmc

N, DRAWS = 8, 400
X = np.random.default_rng(5).standard_normal((N, 3)) * [1.0, 30.0, 0.01]
Y = {
    "y": 500.0 + 20.0 * X[:, 0] + X[:, 1] + 5.0 * np.cos(np.arange(N)),
    "counts": np.array([0.0, 3, 1, 7, 2, 0, 4, 2]),
    "classes": np.arange(N) % 2.0,
}
JEFFREYS = {"prior": BetaR2(), "noise_prior": Jeffreys()}
ON_TAU = {"prior": HalfT(4.0, 0.5, on="tau")}

#: every file of models/ with a model of y in it: what it is of, and its arguments
MODELS = {
    "binomial": ("counts", ON_TAU | {"trials": 9}),
    "conjugate": ("y", JEFFREYS | {"centred": True}),
    "elastic_net": ("y", JEFFREYS | {"mix_a": 1.0, "mix_b": 1.0}),
    "fixed": ("y", {"sigma": 20.0, "tau": 5.0}),
    "gamma_precisions": ("y", {"prior": GammaPrecisions(1.0, 9.0, 1.0, 9.0), "centred": False}),
    "hierarchical": ("y", {"prior": HalfCauchy(9.0, on="tau"), "noise_prior": Jeffreys(), "centred": False}),
    "horseshoe": ("y", {"noise_prior": Jeffreys(), "expected_nonzero": 1.0, "slab_scale": 9.0, "slab_df": 4.0}),
    "lasso": ("y", JEFFREYS),
    "logistic": ("classes", {"tau": 2.5, "intercept_sd": 2.5}),
    "mixed": ("y", JEFFREYS),
    "negative_binomial": ("counts", ON_TAU),
    "poisson": ("counts", {"prior": HalfCauchy(1.0, on="tau")}),  # heavy tails: rates beyond every integer
    "r2d2": ("y", JEFFREYS | {"concentration": 0.5}),
    "robust": ("y", JEFFREYS | {"nu_shape": 2.0, "nu_rate": 0.1, "centred": True}),
}


def build(name, proper=True, **changes):
    target, options = MODELS[name]
    design = build_design(X, Y[target], unpenalized=() if name == "logistic" else (2,))
    if name == "mixed":
        design = group_engine(design, {"one": ["x0"], "other": ["x1"]}, {})
    make = getattr(importlib.import_module(f"bayesridge.models.{name}"), name)
    return make(design, proper=proper, **options | changes)


def prior_draws(model, draws=DRAWS):
    import pymc as pm

    options = {"draws": draws, "random_seed": 1, "compile_kwargs": {"mode": "FAST_COMPILE"}}
    return pm.sample_prior_predictive(model=model, **options)


def test_every_model_is_named_here():
    files = {path.stem for path in (Path(__file__).parents[2] / "models").glob("*.py")}
    assert files - {"__init__", "parts", "scales", "log_scales", "collapsed"} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_draws_from_its_proper_prior(name):
    found = prior_draws(build(name))  # warnings are errors here: no potential is left
    assert found.prior_predictive["y"].shape == (1, DRAWS, N)
    for group in (found.prior, found.prior_predictive):
        for variable, values in group.data_vars.items():
            assert np.isfinite(values.values).all(), variable


@pytest.mark.parametrize("name", MODELS)
def test_every_proper_model_is_a_picture(name):
    import pymc as pm

    model = build(name)
    picture = pm.model_to_mermaid(model)  # of the graph that model_to_graphviz draws with a package of its own
    assert all(f"([{variable.name} ~ " in picture for variable in model.basic_RVs)
    assert 'subgraph "penalized' in picture
    assert f'subgraph "obs ({N})"' in picture


def test_pymc_neither_draws_nor_pictures_flat_variables():
    """When pictures of these work too (they need no draw, but PyMC takes one), the docs may say so."""
    import pymc as pm

    model = build("fixed", proper=False)
    for attempt in (prior_draws, pm.model_to_mermaid):
        with pytest.raises(NotImplementedError, match="flat"):
            attempt(model)


def assert_drawn_from(sample, distribution):
    assert stats.kstest(sample, distribution.cdf).pvalue > 1e-3


def test_the_priors_have_the_numbers_that_are_documented():
    mean, sd = Y["y"].mean(), Y["y"].std()
    found = prior_draws(build("conjugate")).prior
    assert_drawn_from(found["centre"].values[0], stats.norm(mean, 10.0 * sd))
    assert_drawn_from(found["gamma"].values[0, :, 0], stats.norm(0.0, 10.0 * sd))
    assert_drawn_from(np.log(found["sigma"].values[0]), stats.norm(np.log(sd), 1.5))
    found = prior_draws(build("poisson", offset=7.0)).prior
    assert_drawn_from(found["centre"].values[0], stats.norm(np.log(Y["counts"].mean()) - 7.0, 2.5))
    assert_drawn_from(found["gamma"].values[0, :, 0], stats.norm(0.0, 2.5))


def test_with_lambda_zero_the_coefficients_are_wide_and_in_the_units_of_their_columns():
    from bayesridge.models.conjugate import conjugate

    design = build_design(X, Y["y"], scale=False)
    options = {"noise_prior": Jeffreys(), "centred": True, "proper": True}
    found = prior_draws(conjugate(design, prior=FixedLambda(0.0), **options)).prior["beta"].values[0]
    for column, sample in zip(X.T, found.T, strict=True):
        assert_drawn_from(sample, stats.norm(0.0, 10.0 * Y["y"].std() / column.std()))


@pytest.mark.parametrize("mix", [0.0, 0.4, 0.999, 1.0])
def test_the_elastic_net_is_drawn_from_its_density(mix):
    from bayesridge.models.elastic_net import _draw

    u = np.linspace(-25.0, 25.0, 200_001)
    cdf = cumulative_trapezoid(np.exp(-np.sqrt(2.0) * mix * abs(u) - 0.5 * (1.0 - mix) * u * u), u, initial=0.0)
    sample = _draw(mix, np.random.default_rng(3), 4000)
    assert stats.kstest(sample, lambda at: np.interp(at, u, cdf / cdf[-1])).pvalue > 1e-3


def test_rates_are_cut_where_counts_end():
    offset = np.where(np.arange(N) < N // 2, -250.0, 250.0)
    found = prior_draws(build("negative_binomial", offset=offset), 50).prior_predictive["y"].values[0]
    assert found.min() >= 0  # no integer has overflown
    assert np.median(found[:, : N // 2]) == 0
    assert np.median(found[:, N // 2 :]) == pytest.approx(np.exp(36.0), rel=1.0)


def test_frequency_weights_belong_to_the_data():
    """PyMC says that it leaves potentials out: those of the rows' repeats, which a draw of y does not have."""
    from bayesridge.models.conjugate import conjugate

    design = build_design(X, Y["y"], weights=np.r_[0.0, 2.0, np.ones(N - 2)], weight_kind="frequency")
    model = conjugate(design, **JEFFREYS, centred=True, proper=True)
    with pytest.warns(UserWarning, match="Potentials"):
        found = prior_draws(model, 20)
    assert found.prior_predictive["y"].shape == (1, 20, N - 1)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("conjugate", {"noise_prior": Custom(lambda s: -s, of="sigma")}),
        ("conjugate", {"prior": Custom(lambda r2: 0.0 * r2, of="R2")}),
        ("hierarchical", {"prior": Custom(lambda t: -t, of="tau")}),
        ("gamma_precisions", {"prior": GammaPrecisions(1e-6, 1e-6, 1e-6, 1e-6)}),
        ("conjugate", {"noise_prior": InverseGamma(1e-3, 1e-3)}),
        ("robust", {"prior": Gamma(0.01, 1.0)}),
        ("lasso", {"prior": BetaR2(0.5, 0.1)}),
        ("poisson", {"prior": HalfT(0.05, 1.0, on="tau")}),
    ],
)
def test_what_cannot_be_drawn_is_refused(name, changes):
    from pymc.distributions.continuous import FlatRV

    with pytest.raises(DataError, match="proper=True"):
        build(name, **changes)
    # and the next model is flat again
    assert any(isinstance(variable.owner.op, FlatRV) for variable in build("lasso", proper=False).free_RVs)


def test_the_collapsed_model_has_no_y():
    from bayesridge.models.collapsed import collapsed

    spectrum = factorize(build_design(X, Y["y"]))
    with pytest.raises(DataError, match="take conjugate, hierarchical or gamma_precisions with proper=True"):
        collapsed(spectrum, prior=BetaR2(), noise_prior=Jeffreys(), proper=True)
    of_table = collapsed(X, Y["y"], prior=BetaR2(), noise_prior=Jeffreys())  # as every other model
    assert list(of_table.named_vars) == list(collapsed(spectrum, prior=BetaR2(), noise_prior=Jeffreys()).named_vars)


@pytest.mark.parametrize(("unit", "rows"), [(1e-30, N), (0.0, N), (1e30, 2)])
def test_units_and_few_rows_do_not_matter(unit, rows):
    from bayesridge.models.lasso import lasso

    found = prior_draws(lasso(X[:rows, :2], unit * Y["y"][:rows], **JEFFREYS, proper=True), 20)
    assert np.isfinite(found.prior_predictive["y"].values).all()


@pytest.mark.parametrize("proper", [False, True])
def test_robust_regression_needs_a_penalty(proper):
    with pytest.raises(PriorError, match="lambda = 0"):
        build("robust", proper, prior=FixedLambda(0.0))
