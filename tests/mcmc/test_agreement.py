"""Exact engine, NUTS on the full model and NUTS on the collapsed model give one posterior."""

from dataclasses import replace

import numpy as np
import pytest

from bayesridge import datasets
from bayesridge.design.design import build_design
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.sampling import nuts_posterior
from bayesridge.posteriors.datatree import to_datatree
from bayesridge.posteriors.draws import draws_given
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import (
    BetaR2,
    FixedScales,
    FixedTau,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Jeffreys,
    LogNormal,
)
from tests.mcmc.agreement import PYMC, assert_agree, disagreements, rank_p_value

pytestmark = pytest.mark.mcmc


#: Rows, columns, size of the coefficients: a table that any sampler copes with, and one with more columns than rows.
TABLES = {"plain": (60, 4, 1.0), "wide": (15, 30, 0.4)}


def problem(name, **options):
    if name in TABLES:
        n, p, size = TABLES[name]
        rng = np.random.default_rng(3)
        X = rng.standard_normal((n, p))
        y = X @ (size * rng.standard_normal(p)) + rng.standard_normal(n)
        design = build_design(X, y, **options)
    else:
        table, target = datasets.load_xy(name)
        X, y = table.to_numpy(dtype=float), target.to_numpy()
        design = build_design(X, y, names=tuple(table.columns), target_name=datasets.target(name), **options)
    return design, factorize(design)


def priors(model, design):
    """Priors of each model, proper enough for more columns than rows, on the scale of y."""
    unit = float(design.y.std())
    return {
        "conjugate": (BetaR2(1.0, 3.0), InverseGamma(2.0, unit**2)),
        "default": (BetaR2(), Jeffreys()),
        "hierarchical": (HalfNormal(0.3 * unit, on="tau"), InverseGamma(2.0, unit**2)),
        "half-cauchy": (HalfCauchy(unit, on="tau"), HalfT(3.0, unit, on="sigma")),
        "gamma_precisions": (GammaPrecisions(2.0, 0.1 * unit**2, 2.0, unit**2), Jeffreys()),
        "fixed": (FixedScales(0.7 * unit, 0.2 * unit), Jeffreys()),
        "known tau": (FixedTau(0.3 * unit), InverseGamma(2.0, unit**2)),
    }[model]


def check(design, spectrum, prior, noise, **options):
    """Sample, and hold the draws against the exact posterior.

    Chains follow the last digits of the processor's arithmetic: the same seed takes other paths elsewhere. What holds
    everywhere is that chains which the diagnostics find in order agree.
    """
    how = {name: options.pop(name) for name in ("draws", "tune", "target_accept") if name in options}
    result = nuts_posterior(design, spectrum, prior, noise, replace(PYMC, **how), n_jobs=1, random_state=5, **options)
    assert_agree(infer(design, spectrum, prior, noise), result.datatree)
    return result


# -- ways to sample, where neither collinear columns nor a funnel are in their way -------------------------------------


@pytest.mark.slow  # its density is held to the evidence in test_models_density
def test_the_collapsed_model_agrees_with_the_exact_posterior():
    design, spectrum = problem("wide")
    result = check(design, spectrum, *priors("default", design), collapsed=True, draws=500, tune=500)
    assert result.compile_seconds > 0
    assert result.sampling_seconds > 0
    assert result.model_name == "collapsed"


@pytest.mark.parametrize(
    ("model", "centred"),
    [("hierarchical", True), ("conjugate", False)],
)
@pytest.mark.slow  # the full model of the default priors is held against the posterior in test_nuts_method
def test_the_full_model_agrees_with_the_exact_posterior(model, centred):
    """With precision weights and an unpenalised column, which both models take from what all models share."""
    weights = np.random.default_rng(0).uniform(0.2, 4.0, 60)
    design, spectrum = problem("plain", weights=weights, weight_kind="precision", unpenalized=[1])
    result = check(design, spectrum, *priors(model, design), centred=centred, target_accept=0.95, draws=400, tune=300)
    assert result.datatree.attrs["weight_kind"] == "precision"


@pytest.mark.slow
def test_hard_posteriors_are_flagged_not_passed_over():
    """With more columns than rows the default prior allows a close fit: a funnel that NUTS on the full model misses.

    The diagnostics must not call it good. (A few draws they never call good, whatever the table.)
    """
    design, spectrum = problem("wide")
    prior, noise = priors("default", design)
    result = nuts_posterior(design, spectrum, prior, noise, PYMC, n_jobs=1, random_state=1)
    assert result.verdict != "ok"
    failed = result.diagnostics[result.diagnostics["verdict"] != "ok"]
    assert failed["remedy"].str.contains("method='posterior'").all()


# -- positive controls: the comparison must see a wrong posterior ----------------------------------------------------


def wrong_draws(kind, design, spectrum, posterior):
    rng = np.random.default_rng(0)
    lam, sigma = posterior.hyper.draw(4000, rng)
    if kind == "nothing wrong":
        changed = lam, sigma
    elif kind == "variance for precision":  # tau^2 where 1/tau^2 belongs
        changed = sigma**2 * (sigma**2 / lam), sigma
    elif kind == "plug-in sigma":
        # all but constant: the spread of a constant is rounding, and ArviZ may divide by it
        changed = lam, posterior.sigma.mean * np.exp(1e-3 * rng.standard_normal(len(sigma)))
    else:  # "lambda and sigma shuffled": every marginal of them is right, only the joint is wrong
        changed = lam, rng.permutation(sigma)
    found = draws_given(SpectralEngine(design, spectrum), *changed, (4, 1000), rng)
    return to_datatree(design, found, spectrum=spectrum, random_state=rng)


@pytest.mark.parametrize("name", ["diabetes", "longley", "wide"])
@pytest.mark.parametrize("kind", ["nothing wrong", "variance for precision", "plug-in sigma"])
def test_positive_controls(kind, name):
    design, spectrum = problem(name)
    posterior = infer(design, spectrum, *priors("conjugate", design))
    tree = wrong_draws(kind, design, spectrum, posterior)
    found = disagreements(posterior, tree)
    assert found.empty == (kind == "nothing wrong"), found.to_string()


def test_the_joint_check_sees_what_marginals_of_the_scales_do_not():
    """On the wide table lambda and sigma depend on each other; shuffling one keeps both marginals."""
    design, spectrum = problem("wide")
    posterior = infer(design, spectrum, *priors("default", design))
    tree = wrong_draws("lambda and sigma shuffled", design, spectrum, posterior)
    found = disagreements(posterior, tree)
    assert not set(found["parameter"]) & {"lambda_", "sigma", "r2", "effective_dof"}
    assert "log likelihood" in set(found["parameter"])
    assert rank_p_value(posterior, tree) < 1e-3


@pytest.mark.slow  # wrong posteriors are seen above, wrong densities in test_models_density
def test_a_wrong_model_is_seen():
    """A chain of a model whose lambda is inverted, the classic slip of precision for variance, must not pass."""
    design, spectrum = problem("longley")
    noise = InverseGamma(2.0, float(design.y.var()))
    posterior = infer(design, spectrum, LogNormal(5.0, 0.5), noise)
    few = replace(PYMC, draws=500, tune=500)
    wrong = nuts_posterior(design, spectrum, LogNormal(0.2, 0.5), noise, few, collapsed=True, n_jobs=1, random_state=1)
    assert wrong.verdict == "ok"
    assert len(disagreements(posterior, wrong.datatree)) > 10


# -- the full matrix -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "way"),
    [("diabetes", "centred"), ("plain", "centred"), ("plain", "non-centred")]
    + [(name, "collapsed") for name in ("diabetes", "longley", "wide")],
)
@pytest.mark.parametrize("model", ["conjugate", "hierarchical", "gamma_precisions", "known tau"])
def test_every_gaussian_model_on_every_table(model, name, way):
    design, spectrum = problem(name)
    check(
        design, spectrum, *priors(model, design), collapsed=way == "collapsed", centred=way == "centred",
        target_accept=0.9 if way == "collapsed" else 0.99, draws=2000,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["diabetes", "longley", "wide"])
def test_known_scales(name):
    """Nothing but coefficients to sample: one normal distribution, and no funnel on any table."""
    design, spectrum = problem(name)
    check(design, spectrum, *priors("fixed", design), target_accept=0.99, draws=2000)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["centred", "non-centred", "collapsed"])
def test_half_cauchy_scales(way):
    design, spectrum = problem("plain")
    prior, noise = priors("half-cauchy", design)
    check(design, spectrum, prior, noise, collapsed=way == "collapsed", centred=way == "centred", draws=2000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frequency", "precision"])
@pytest.mark.parametrize("collapsed", [False, True])
def test_weighted_designs(kind, collapsed):
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, 442).astype(float) if kind == "frequency" else rng.uniform(0.1, 5.0, 442)
    design, spectrum = problem("diabetes", weights=weights, weight_kind=kind, unpenalized=["bmi"])
    check(design, spectrum, *priors("default", design), collapsed=collapsed)
