"""P-splines as mgcv has them in mixed form (bs = "ps"), and mixed models as lme4 has them, said in formulas."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from bayesridge import BayesRidge, posterior
from tests.truth.published import published, text_table


@cache
def smooth_table():
    i = np.arange(1, 121)
    x = 10.0 * ((i * 0.6180339887498949) % 1.0)
    y = np.sin(x) + 0.1 * x + 0.6 * (((i * i * 7919) % 1009) / 1009.0 - 0.5)
    return pd.DataFrame({"x": x, "y": y, "g": np.array(["a", "b", "c"])[(i - 1) % 3]})


def formula(name, k):
    return f"y ~ g + s(x, k={k}, by=g)" if name == "by" else f"y ~ s(x, k={k})"


@pytest.mark.parametrize("name", ["reml20", "reml12", "fixed0.01", "fixed100", "by"])
def test_at_their_smoothing_parameter(name):
    """Their penalty is ours divided by S.scale; their degrees of freedom count what has no penalty."""
    facts, table = published("mgcv_psplines")["fits"][name], smooth_table()
    lam = facts["sp"] / facts["S.scale"]
    fit = BayesRidge(formula=formula(name, facts["k"]), method="fixed", lam=lam).fit(table)
    flat = fit.posterior_.design.n_flat
    assert fit.posterior_.effective_dof.median + flat == pytest.approx(facts["edf"], abs=1e-9)
    np.testing.assert_allclose(fit.predict(table), facts["fitted"], atol=1e-9 * table.y.std())


@pytest.mark.parametrize("name", ["reml20", "reml12", "by"])
def test_reml_finds_their_smoothing_parameter(name):
    """A maximum is found to the root of the evidence's own rounding, here and there."""
    facts, table = published("mgcv_psplines")["fits"][name], smooth_table()
    fit = BayesRidge(formula=formula(name, facts["k"]), method="evidence").fit(table)
    assert fit.lambda_ == pytest.approx(facts["sp"] / facts["S.scale"], rel=1e-7)
    assert fit.posterior_.effective_dof.median + fit.posterior_.design.n_flat == pytest.approx(facts["edf"], abs=1e-5)
    np.testing.assert_allclose(fit.predict(table), facts["fitted"], atol=1e-7 * table.y.std())


@cache
def frame(name):
    columns = text_table(f"mixedmodels/{name.lower()}.csv")
    table = pd.DataFrame(columns)
    return table.assign(
        **{one: table[one].astype(float) for one in ("Yield", "diameter", "Reaction", "Days") if one in table}
    )


FORMULAS = {
    "Dyestuff": "Yield ~ (1 | Batch)",
    "sleepstudy_int": "Reaction ~ Days + (1 | Subject)",
    "sleepstudy_daysonly": "Reaction ~ Days + (0 + Days | Subject)",
    "Penicillin": "diameter ~ (1 | plate) + (1 | sample)",
    "sleepstudy_zerocorr": "Reaction ~ Days + (Days || Subject)",
}


@pytest.mark.parametrize("model", FORMULAS)
def test_reml_of_mixed_models_said_in_formulas(model):
    facts = published("mixedmodels_ml_reml")["fits"][model]["computed_REML"]
    post = posterior(frame(model.split("_")[0]), formula=FORMULAS[model])
    engine, theta = post.engine, -2.0 * np.log(np.array([facts["theta"]]))
    log_norm, excess = engine.evidence(theta)
    nu, Q = engine.nu, engine.floor + excess[0]
    value = -2.0 * (engine.constant + log_norm[0] - 0.5 * nu * (np.log(Q / nu) + 1.0))
    assert value == pytest.approx(facts["objective"], rel=1e-8)
    assert np.sqrt(Q / nu) == pytest.approx(facts["sigma"], rel=1e-8)
    coefficients = engine.at(theta).mean(engine.coefficients())[engine.design.unpenalized, 0]
    intercept = engine.at(theta).mean(engine.intercept())[:, 0]
    np.testing.assert_allclose([*intercept, *coefficients], facts["beta"], rtol=1e-8)


def test_correlated_slopes_of_sleepstudy():
    """lme4's published REML fit: standard deviations 24.7405 and 5.92213, correlation .06555, sigma 25.5918."""
    post = posterior(frame("sleepstudy"), formula="Reaction ~ Days + (Days | Subject)", method="evidence")
    assert post.reml_criterion == pytest.approx(1743.62827, abs=5e-6)
    full = posterior(frame("sleepstudy"), formula="Reaction ~ Days + (Days | Subject)")
    for name, value in (("tau[Subject]", 24.7405), ("tau[Subject:Days]", 5.92213), ("rho[Subject]", 0.06555)):
        low, high = full.scales[name].interval(0.5)
        assert low < value < high, name
    assert full.levels("Subject").labels[:2] == ("308", "308: Days")
    # shrunken to the truth: means of effects sum to zero beside an intercept and a slope without a prior
    assert full.levels("Subject").mean[::2].sum() == pytest.approx(0.0, abs=1e-6)
