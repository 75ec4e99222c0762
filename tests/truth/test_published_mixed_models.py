"""lme4 / MixedModels.jl: a random intercept (or slope) is ridge on unscaled dummy columns, lambda = 1 / theta^2.

REML is the evidence with the flat directions integrated, ML the one with them maximised; -2 log likelihood is the
objective.
"""

from functools import cache

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.fit import posterior
from bayesridge.hyper.evidence import (
    maximize_evidence,
    profile_log_evidence,
    profile_log_evidence_ml,
    profile_sigma,
)
from bayesridge.linalg.filters import effective_dof, penalized_rss, ridge_path
from bayesridge.linalg.spectrum import factorize
from bayesridge.priors import FixedLambda, FixedScales
from tests.truth.published import published, text_table

MODELS = ["Dyestuff", "sleepstudy_int", "sleepstudy_daysonly"]


@cache
def problem(model):
    if model == "Dyestuff":
        table = text_table("mixedmodels/dyestuff.csv")
        y, groups, days = np.array(table["Yield"], dtype=float), np.array(table["Batch"]), None
    else:
        table = text_table("mixedmodels/sleepstudy.csv")
        y, groups = np.array(table["Reaction"], dtype=float), np.array(table["Subject"])
        days = np.array(table["Days"], dtype=float)
    dummies = (groups[:, None] == np.unique(groups)).astype(float)
    if model == "sleepstudy_daysonly":
        dummies *= days[:, None]
    return (dummies, y, []) if days is None else (np.column_stack([days, dummies]), y, [0])


@cache
def solved(model):
    X, y, flat = problem(model)
    design = build_design(X, y, scale=False, unpenalized=flat)
    return design, factorize(design)


def figures(model, criterion):
    return published("mixedmodels_ml_reml")["fits"][model][f"computed_{criterion}"]


def lam_of(facts):
    return facts["theta"][0] ** -2


def objective(problem, lam, criterion):
    design, spectrum = problem
    value = (
        profile_log_evidence(spectrum, lam) if criterion == "REML" else profile_log_evidence_ml(design, spectrum, lam)
    )
    return -2.0 * float(value)


@pytest.mark.parametrize("criterion", ["ML", "REML"])
@pytest.mark.parametrize("model", MODELS)
def test_objective_at_their_theta(model, criterion):
    facts = figures(model, criterion)
    both = solved(model)
    # the objective is asked for to 1e-6; both sides carry 12 digits, and it is flat at the optimum
    assert objective(both, lam_of(facts), criterion) == pytest.approx(facts["objective"], rel=0, abs=1e-8)


@pytest.mark.parametrize("model", ["Dyestuff", "sleepstudy_daysonly"])
def test_printed_objectives(model):
    printed = published("mixedmodels_ml_reml")["fits"][model]["published"]
    both = solved(model)
    spectrum = both[1]
    # theta printed by their optimiser; the objective is asked for to 1e-6
    at = printed["ML"]["theta"][0] ** -2
    assert objective(both, at, "ML") == pytest.approx(printed["ML"]["objective"], rel=0, abs=1e-6)
    if model == "Dyestuff":
        at = objective(both, 0.713**-2, "ML")
        assert at == pytest.approx(printed["ML"]["objective_at_theta_0p713"], rel=0, abs=1e-6)
        best = -2.0 * maximize_evidence(spectrum).best.log_evidence
        assert best == pytest.approx(printed["REML"]["objective"], rel=0, abs=1e-6)
        dof = float(effective_dof(spectrum, printed["ML"]["theta"][0] ** -2)) + 1.0
        assert dof == pytest.approx(printed["ML"]["sum_leverage"], rel=1e-6)  # theta is their optimiser's, to 1e-7


@pytest.mark.parametrize("model", MODELS)
def test_reml_maximum(model):
    facts = figures(model, "REML")
    found = maximize_evidence(solved(model)[1])
    assert [mode.place for mode in found.modes] == ["interior"]
    assert -2.0 * found.best.log_evidence == pytest.approx(facts["objective"], rel=0, abs=1e-8)
    # ours is at least as good, to rounding; theirs stops at 1e-7 in theta, where the objective is flat
    assert -2.0 * found.best.log_evidence <= facts["objective"] + 1e-9
    assert found.best.lam**-0.5 == pytest.approx(facts["theta"][0], rel=1e-6)
    assert found.best.sigma == pytest.approx(facts["sigma"], rel=1e-6)
    assert found.best.tau == pytest.approx(facts["sds"][0], rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_ml_maximum(model):
    """No theta beside theirs has a lower ML objective (theta is right to 1e-6, or the objective would fall)."""
    facts, both = figures(model, "ML"), solved(model)
    near = facts["theta"][0] * (1 + np.array([-1e-3, -1e-4, 0.0, 1e-4, 1e-3]))
    values = [objective(both, theta**-2, "ML") for theta in near]
    assert int(np.argmin(values)) == 2


@pytest.mark.parametrize("criterion", ["ML", "REML"])
@pytest.mark.parametrize("model", MODELS)
def test_sigma_coefficients_and_edf(model, criterion):
    facts = figures(model, criterion)
    design, spectrum = solved(model)
    lam = lam_of(facts)
    degrees = spectrum.nu if criterion == "REML" else spectrum.n_obs
    # 1e-10 throughout: given theta these are closed forms on both sides
    sigma = float(np.sqrt(penalized_rss(spectrum, lam) / degrees))
    assert sigma == pytest.approx(facts["sigma"], rel=1e-10)
    if criterion == "REML":
        assert float(profile_sigma(spectrum, lam)) == pytest.approx(facts["sigma"], rel=1e-10)
    assert sigma * lam**-0.5 == pytest.approx(facts["sds"][0], rel=1e-10)
    path = ridge_path(design, spectrum, lam)
    got = [path.intercept[0], *path.coef[0][design.unpenalized]]
    np.testing.assert_allclose(got, facts["beta"], rtol=1e-10)
    assert float(effective_dof(spectrum, lam)) + design.n_flat == pytest.approx(facts["edf"], rel=1e-10)


@pytest.mark.parametrize("criterion", ["ML", "REML"])
@pytest.mark.parametrize("model", MODELS)
def test_standard_errors_of_the_fixed_effects(model, criterion):
    """At given sigma and tau the posterior sd under a flat prior *is* the standard error of generalised least
    squares."""
    facts = figures(model, criterion)
    X, y, flat = problem(model)
    post = posterior(X, y, scale=False, unpenalized=flat, prior=FixedScales(facts["sigma"], facts["sds"][0]))
    got = [post.intercept.sd[0], *post.coefficients.sd[post.design.unpenalized]]
    np.testing.assert_allclose(got, facts["stderr"], rtol=1e-9)  # printed figures are rounded products of the two sds
    got = [post.intercept.mean[0], *post.coefficients.mean[post.design.unpenalized]]
    np.testing.assert_allclose(got, facts["beta"], rtol=1e-10)


@pytest.mark.parametrize("model", MODELS)
def test_sigma_integrated_is_the_t_of_the_same_scale(model):
    """With lambda given and sigma integrated: sd = stderr * sqrt(nu / (nu - 2)), stderr with sigma^2 = Q / nu
    (REML)."""
    facts = figures(model, "REML")
    X, y, flat = problem(model)
    post = posterior(X, y, scale=False, unpenalized=flat, prior=FixedLambda(lam_of(facts)))
    nu = post.design.nu
    got = [post.intercept.sd[0], *post.coefficients.sd[post.design.unpenalized]]
    np.testing.assert_allclose(np.array(got) * np.sqrt((nu - 2) / nu), facts["stderr"], rtol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_evidence_method_plugs_in_reml(model):
    facts = figures(model, "REML")
    X, y, flat = problem(model)
    post = posterior(X, y, scale=False, unpenalized=flat, method="evidence")
    assert post.lambda_.median == pytest.approx(lam_of(facts), rel=2e-6)  # theta is right to 1e-6
