"""REML and ML against published mixed models: criteria, estimates, profiles; the boundary; components against zero."""

import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln
from scipy.stats import chi2

from bayesridge import BayesRidge, load, posterior
from bayesridge.design.design import build_design
from bayesridge.design.levels import LevelRows, Levels
from bayesridge.engines.groups import group_engine
from bayesridge.errors import DataError, ImproperPosteriorError, NoSignalWarning
from bayesridge.hyper.reml import Deviance, estimate, log_marginal_without
from bayesridge.posteriors.quantity import MixtureQuantity
from tests.hyper.test_groups import GROUPS, dummies, mixed_engine, table
from tests.truth.published import published, text_table

MODELS = ("Dyestuff", "Penicillin", "sleepstudy_zerocorr")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["REML", "ML"])
def test_published_criteria_and_estimates(model, kind):
    facts = published("mixedmodels_ml_reml")["fits"][model][f"computed_{kind}"]
    engine = mixed_engine(model)
    theta = -2.0 * np.log(np.array([facts["theta"]]))
    assert Deviance(engine, kind).best(theta)[0][0] == pytest.approx(facts["objective"], rel=1e-10)
    found = estimate(engine, kind)
    assert found.criterion == pytest.approx(facts["objective"], rel=1e-10)
    # the criterion is flat to second order there: half of its digits are those of the published estimates
    np.testing.assert_allclose(found.values, [*facts["sds"], facts["sigma"]], rtol=3e-5)
    assert not found.absent.any()
    assert found.names[-1] == "sigma"


@pytest.mark.parametrize(
    ("model", "intervals"),
    [
        # lme4 1.1-31, confint(profile(...)) of the ML fit; `python -m benchmarks.mixed_in_r` runs it again
        ("Dyestuff", [(12.1985, 84.0631), (38.2300, 67.6577)]),
        ("sleepstudy_zerocorr", [(15.2586, 37.7865), (3.96407, 8.76916), (22.88056, 28.78760)]),
    ],
)
def test_published_profile_intervals(model, intervals):
    """Published ones are read off splines of the profile: they have four digits, and three where it bends."""
    found = estimate(mixed_engine(model), "ML")
    np.testing.assert_allclose(found.profile(), intervals, rtol=3e-4)
    # Wald's are no more than near, and about the same logarithm
    np.testing.assert_allclose(np.sqrt(found.wald().prod(axis=1)), found.values, rtol=1e-6)


@cache
def dyestuff2():
    data = text_table("mixedmodels/dyestuff2.csv")
    return dummies(data["Batch"]), np.array(data["Yield"], dtype=float)


def test_an_estimate_at_the_boundary_is_zero():
    """Dyestuff2 was made to have none: lme4 reports 161.8283 (REML), sigma 3.7157; 162.8730 (ML), sigma 3.6532."""
    X, y = dyestuff2()
    with pytest.warns(NoSignalWarning, match="highest as lambda -> infinity"):
        post = posterior(X, y, scale=False, groups={"batch": [f"x{j}" for j in range(6)]}, method="evidence")
    assert post.reml_criterion == pytest.approx(161.8283, abs=1e-4)
    assert post.sigma.median == pytest.approx(3.7157, rel=0.03)
    assert post.scales["tau"].median == 0.0
    assert np.abs(post.coefficients.mean).max() < 1e-6
    found = post.variance_components("ML")
    assert found.attrs["criterion"] == pytest.approx(162.8730, abs=1e-4)
    assert found.loc["sigma", "estimate"] == pytest.approx(3.6532, abs=1e-4)
    assert found.loc["tau", ["estimate", "95% profile low"]].tolist() == [0.0, 0.0]
    assert 0.5 < found.loc["tau", "95% profile high"] < 4.0
    assert np.isnan(found.loc["tau", "95% Wald low"])


def test_plugged_in_scales_make_a_posterior(tmp_path):
    X, y = table()
    y = y + 0.5 * X[:, 3]  # something for the other group
    est = BayesRidge(groups=GROUPS, method="evidence").fit(X, y)
    post = est.posterior_
    found = estimate(post.engine)
    assert post.reml_criterion == pytest.approx(found.criterion, rel=1e-12)
    assert post.scales["lambda[live]"].known
    rest = post.engine.without(3)
    refit = post.infer_again(rest)
    expected = MixtureQuantity(("row",), rest, rest.rows(X[3:4]), refit, np.ones(1)).log_pdf(y[3])
    assert post.loo.pointwise[3] == pytest.approx(expected[0], abs=1e-10)
    again = load(est.save(tmp_path / "plugged.bridge")).posterior_
    np.testing.assert_allclose(again.coefficients.sd, post.coefficients.sd, rtol=1e-5)
    assert pickle.loads(pickle.dumps(post)).method == "evidence"
    assert "plugged in" in repr(post)
    with pytest.raises(DataError, match="needs method='posterior'"):
        post.log_bayes_factor_of("live")


def test_a_component_against_zero_is_the_model_without_it():
    X, y = table()
    whole = posterior(X, y, groups=GROUPS)
    live = posterior(X[:, :2], y)
    expected = whole.log_marginal_likelihood - live.log_marginal_likelihood
    # the error of the lattice of two scales
    assert whole.log_bayes_factor_of("rest") == pytest.approx(expected, abs=1e-4)
    nothing = log_marginal_without(whole.engine, [0, 1], whole.prior, whole.noise_prior)
    n, rest = len(y), y - y.mean()
    flat = -0.5 * np.log(n) + gammaln((n - 1) / 2) - (n - 1) / 2 * np.log(np.pi * (rest @ rest))
    assert nothing == pytest.approx(flat, abs=1e-9)
    assert whole.log_bayes_factor_of("live") > 4.0
    with pytest.raises(DataError, match="live, rest"):
        whole.log_bayes_factor_of("dead")
    with pytest.raises(DataError, match="method='evidence'"):
        _ = whole.reml_criterion


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5])  # of 2 the criterion has its minimum at sigma = .0012, by 2.4
def test_a_perfect_fit_has_no_estimate(seed):
    """More columns than rows and no noise: the likelihood is as high at sigma = 0."""
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((20, 20)) * 0.6 ** np.arange(20)) @ rng.standard_normal((20, 40))
    groups = {"a": [f"x{j}" for j in range(20)], "b": [f"x{j}" for j in range(20, 40)]}
    with pytest.raises(ImproperPosteriorError, match="as low where sigma is zero"):
        posterior(X, X @ rng.standard_normal(40), method="evidence", groups=groups)


@pytest.mark.parametrize(("seed", "noise"), [(3, 0.1), (13, 0.01), (8, 0.001), (0, 1e-4), (0, 1e-5)])
def test_a_spread_that_is_as_good_as_none_to_the_descent_is_found(seed, noise):
    """Balanced crossed effects, where REML is the analysis of variance; from tau = 0 on the criterion is flat."""
    rng = np.random.default_rng(seed)
    a, b = np.divmod(np.arange(16), 4)
    y = rng.normal(size=4)[a] + 0.0 * rng.normal(size=4)[b] + noise * rng.normal(size=16)
    if noise < 1e-3:
        y += rng.normal(size=4)[b]
    Y = y.reshape(4, 4)
    rows, columns = Y.mean(axis=1) - Y.mean(), Y.mean(axis=0) - Y.mean()
    rest = np.square(Y - Y.mean() - rows[:, None] - columns).sum() / 9.0
    wanted = [4.0 * rest / (4.0 * np.square(one).sum() / 3.0 - rest) for one in (rows, columns)]
    frame = {"y": y, "a": [f"a{i}" for i in a], "b": [f"b{i}" for i in b]}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = BayesRidge(formula="y ~ (1 | a) + (1 | b)", method="evidence").fit(pd.DataFrame(frame))
    np.testing.assert_allclose(found.lambda_, wanted, rtol=1e-4 if noise > 1e-4 else 1e-2)
    assert any("rounding leaves few digits" in str(one.message) for one in said) == (noise < 1e-4)


def test_sleepstudy_with_correlated_slopes():
    """lme4's manual, fm1: REML 1743.62827; profile intervals of the ML fit."""
    data = text_table("mixedmodels/sleepstudy.csv")
    days, (labels, codes) = np.array(data["Days"], dtype=float), np.unique(data["Subject"], return_inverse=True)
    both = np.column_stack([np.ones(180), days])
    source = LevelRows(days[:, None], (Levels("subject", codes, tuple(labels), both, ("", "days")),))
    y = np.array(data["Reaction"], dtype=float)
    engine = group_engine(build_design(source, y, names=("days", *source.names), unpenalized=["days"]), {}, {})
    found = estimate(engine)
    assert found.names == ("tau[subject]", "tau[subject:days]", "rho[subject]", "sigma")
    assert found.criterion == pytest.approx(1743.62827, rel=1e-8)
    np.testing.assert_allclose(found.values, [24.7405, 5.92213, 0.06555, 25.5918], rtol=2e-4)
    fitted = estimate(engine, "ML")
    assert fitted._end(2, 1.0, chi2.ppf(0.95, 1)) == pytest.approx(0.6850, abs=2e-4)
