"""Sampled scales against the lattice, which a dense grid has judged; standard errors that hold."""

from dataclasses import replace

import numpy as np
import pytest

from bayesridge import posterior
from bayesridge.design.design import build_design
from bayesridge.design.levels import LevelRows, Levels
from bayesridge.engines.groups import group_engine
from bayesridge.errors import DataError
from bayesridge.hyper import importance
from bayesridge.hyper.importance import WeightedPosterior, _slices, _two_sided, weighted_posterior
from bayesridge.posteriors.posterior import infer_groups
from bayesridge.priors import Jeffreys, by_group
from tests.hyper.test_groups import GROUPS, table, two_groups


def lattice_moments():
    nodes = two_groups().hyper.nodes
    mean = nodes.weight @ nodes.theta
    return mean, np.sqrt(nodes.weight @ np.square(nodes.theta - mean))


def made(how):
    hyper = two_groups().hyper
    if how == "slices":
        return _slices(hyper.target, hyper.mode, hyper.axes, _two_sided(hyper.target, hyper.mode, hyper.axes))
    return weighted_posterior(hyper.target, hyper.mode, hyper.axes)


@pytest.mark.parametrize("how", ["importance", "slices"])
def test_sampled_scales_are_those_of_the_lattice(how, monkeypatch):
    monkeypatch.setattr(importance, "_MOST", 2048 if how == "importance" else 200)
    monkeypatch.setattr(importance, "_WARM_UP", 40)
    found, (mean, sd) = made(how), lattice_moments()
    assert found.how.startswith(how[:5])
    errors = found.standard_errors
    # eight replicates: a t with seven degrees of freedom, whose .9995 quantile is 5.4
    assert (np.abs((found.moments[0] - mean) / sd) < 5.4 * errors).all()
    assert errors.max() < (0.02 if how == "importance" else 0.3)
    np.testing.assert_allclose(found.moments[1], sd, rtol=0.03 if how == "importance" else 0.3)
    if how == "importance":
        assert found.log_marginal == pytest.approx(two_groups().log_marginal_likelihood, abs=0.05)
    else:
        with pytest.raises(DataError, match="no marginal likelihood"):
            _ = found.log_marginal


def test_scales_and_coefficients_of_sampled_nodes(monkeypatch):
    exact = two_groups()  # kept for other tests: before the lattice is forbidden
    monkeypatch.setattr("bayesridge.hyper.lattice._MOST_THETAS", 1)
    found = posterior(*table(), groups=GROUPS)
    assert "standard errors of at most" in found.check[0]
    assert list(found.scales) == list(exact.scales)
    for name, scale in exact.scales.items():
        width = scale.log_sd
        for q in (0.025, 0.5, 0.975):
            one, other = (np.log(each.quantile(q)) for each in (found.scales[name], scale))
            assert abs(one - other) < 0.1 * width, (name, q)
    mcse = found.coefficients.mcse
    assert (mcse > 0).all()
    assert not exact.coefficients.mcse.any()
    assert (np.abs(found.coefficients.mean - exact.coefficients.mean) < 5.4 * mcse + 1e-6).all()
    np.testing.assert_allclose(found.coefficients.sd, exact.coefficients.sd, rtol=0.02)
    drawn = found.draw(500, 4, 1)
    assert abs(np.log(drawn.sigma).mean() - np.log(exact.sigma.median)) < 0.1 * exact.sigma.log_sd
    assert np.abs(found.loo.pointwise - exact.loo.pointwise).max() < 0.02


def test_sampled_scales_end_where_their_prior_does():
    """Log-uniform on [.5, 20]: quantiles, and the mean, for nothing is folded or carried over the ends."""
    low, high = np.log([0.5, 20.0])
    x = np.linspace(low, high, 4096)
    found = WeightedPosterior(None, x[:, None], np.zeros(4096), x, "slice sampling", np.nan)._smooth("lambda", x, 0.0)
    q = np.array([1e-6, 0.01, 0.3, 0.99, 1 - 1e-6])
    # the kernel draws points together by 2%, so that it leaves their variance as it is
    np.testing.assert_allclose(np.log(found.quantile(q)), low + q * (high - low), atol=0.02)
    assert 0.5 <= found.interval(0.999999).lower < found.interval(0.999999).upper <= 20.0 * (1 + 1e-12)
    assert found.mean == pytest.approx(19.5 / (high - low), rel=0.02)


def test_six_groups_take_samples():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12))
    y = 2.0 * X @ np.repeat([1.0, 0.3], 6) + rng.standard_normal(60)
    post = posterior(X, y, groups={f"g{k}": [f"x{2 * k}", f"x{2 * k + 1}"] for k in range(6)})
    assert post.hyper.error < 0.03
    assert post.scales["lambda[g0]"].median < post.scales["lambda[g5]"].median
    assert "standard errors" in post.check[0]


def test_a_heavy_engine_takes_fewer_nodes_to_the_same_posterior(monkeypatch):
    """Newton's steps, a coarser lattice, and a polynomial through its nodes where densities are asked at many."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 30, 600), rng.integers(0, 20, 600)
    blocks = tuple(Levels(name, c, tuple(map(str, range(30)))) for name, c in (("a", a), ("b", b)))
    y = rng.standard_normal(30)[a] + 0.5 * rng.standard_normal(30)[b] + rng.standard_normal(600)

    def fitted():
        source = LevelRows(np.empty((600, 0)), blocks)
        engine = group_engine(build_design(source, y, names=source.names), {}, {})
        return infer_groups(engine, by_group(engine.names, None), Jeffreys())

    light = fitted()
    assert light.check == ()
    monkeypatch.setattr("bayesridge.engines.level_system._HEAVY", 0)
    monkeypatch.setattr("bayesridge.engines.level_sums._DENSE", 0)
    heavy = fitted()
    assert "1e-04 of a variance" in heavy.check[-1]
    assert len(heavy.hyper.nodes.weight) < 0.5 * len(light.hyper.nodes.weight)
    assert heavy.log_marginal_likelihood == pytest.approx(light.log_marginal_likelihood, abs=2e-3)
    for name, scale in light.scales.items():
        for q in (0.025, 0.5, 0.975):
            away = np.log(heavy.scales[name].quantile(q)) - np.log(scale.quantile(q))
            assert abs(away) < 0.01 * scale.log_sd, (name, q)
    np.testing.assert_allclose(heavy.intercept.sd, light.intercept.sd, rtol=2e-3)
    np.testing.assert_allclose(heavy.coefficients.sd, light.coefficients.sd, rtol=2e-3)


def test_draws_of_a_chain_have_no_evidence_and_say_the_rest(monkeypatch):
    monkeypatch.setattr(importance, "_MOST", 64)
    monkeypatch.setattr(importance, "_WARM_UP", 10)
    post = replace(two_groups(), hyper=made("slices"))
    facts = post.facts()
    assert "log_marginal_likelihood" not in facts
    assert facts["quadrature_error"] == post.quadrature_error
    assert len(post.summary()) == 1 + len(post.coefficients)
    assert "log_marginal_likelihood" not in post.to_datatree(draws=20).attrs
    with pytest.raises(DataError, match="slice sampling has no marginal likelihood"):
        _ = post.log_marginal_likelihood
