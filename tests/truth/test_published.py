"""Rules against published figures and other libraries: MASS, genridge, lme4, scikit-learn."""

import numpy as np
import pytest

from bayesridge.datasets import load_xy
from bayesridge.fit import posterior
from bayesridge.linalg.filters import effective_dof, residual_squares
from bayesridge.rules.catalogue import make_rule, own_criterion
from bayesridge.rules.leave_one_out import loo_curves
from bayesridge.rules.problem import LambdaProblem
from tests.truth.published import longley as longley_table
from tests.truth.published import published, text_table

GENRIDGE = ("GNP", "Unemployed", "Armed.Forces", "Population", "Year", "GNP.deflator")


def longley(target):
    names = GENRIDGE if target == "Employed" else (*GENRIDGE[:5], "Employed")
    return LambdaProblem(posterior(*longley_table(target, names)))


def mass(target):
    return published("mass_lmridge_longley")["MASS_example_y=GNP.deflator" if target != "Employed" else "Employed~."]


@pytest.mark.parametrize("target", ["GNP.deflator", "Employed"])
def test_mass_hkb_and_lw(target):
    """MASS prints the modified (p - 2) forms, on columns scaled as ours."""
    problem, want = longley(target), mass(target)["computed"]
    got = [rule.choose(problem).lam for rule in (make_rule("hkb"), make_rule("lw"))]
    # condition number 1e2, squared and squared again, times eps
    np.testing.assert_allclose(got, [want["HKB"], want["LW"]], rtol=1e-9)
    if target == "GNP.deflator":
        printed = mass(target)["published"]
        np.testing.assert_allclose(got, [printed["modified_HKB"], printed["modified_LW"]], rtol=0, atol=0.51e-8)
    original = make_rule("hkb", subtract=0).choose(problem).lam
    assert original / got[0] == pytest.approx(6 / 4, rel=1e-12)  # p over p - 2


def test_genridge_hkb_and_lw():
    problem, want = longley("Employed"), published("genridge_longley")
    # six printed decimals
    assert make_rule("hkb").choose(problem).lam == pytest.approx(want["HKB"], abs=0.51e-6)
    assert make_rule("lw").choose(problem).lam == pytest.approx(want["LW"], abs=0.51e-6)


@pytest.mark.parametrize("target", ["GNP.deflator", "Employed"])
def test_mass_gcv(target):
    """MASS does not count the intercept; with its formula the continuous minimum is the grid's to half a step."""
    problem = longley(target)
    spectrum, n = problem.spectrum, problem.spectrum.n_obs

    def theirs(_, log_lam):
        lam = np.exp(log_lam)
        return residual_squares(spectrum, lam) / (n - effective_dof(spectrum, lam)) ** 2

    want = mass(target)["computed"]["GCV"]
    assert own_criterion(theirs).choose(problem).lam == pytest.approx(want, abs=0.5e-4)
    # the intercept is a parameter: counted, as here, one less is left and the minimum moves to more penalty
    assert make_rule("gcv").choose(problem).lam > want


@pytest.mark.parametrize("model", ["Dyestuff", "sleepstudy_int"])
def test_lme4_reml(model):
    if model == "Dyestuff":
        columns = text_table("mixedmodels/dyestuff.csv")
        y, groups, days = np.array(columns["Yield"], dtype=float), np.array(columns["Batch"]), None
    else:
        columns = text_table("mixedmodels/sleepstudy.csv")
        y, groups = np.array(columns["Reaction"], dtype=float), np.array(columns["Subject"])
        days = np.array(columns["Days"], dtype=float)
    dummies = (groups[:, None] == np.unique(groups)).astype(float)
    X = dummies if days is None else np.column_stack([days, dummies])
    problem = LambdaProblem(posterior(X, y, scale=False, unpenalized=[] if days is None else [0]))
    facts = published("mixedmodels_ml_reml")["fits"][model]["computed_REML"]
    lam = facts["theta"][0] ** -2  # their optimiser stops at 1e-7 of theta
    choice = make_rule("reml").choose(problem)
    assert choice.lam == pytest.approx(lam, rel=2e-6)
    assert -2.0 * choice.best.score == pytest.approx(facts["objective"], abs=1e-8)
    # the fixed points of MacKay and EM are the same maximum
    assert make_rule("mackay").choose(problem).lam == pytest.approx(choice.lam, rel=1e-7)
    assert make_rule("em", tol=1e-11).choose(problem).lam == pytest.approx(choice.lam, rel=1e-7)


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.mark.parametrize("shape", ["diabetes", "wide"])
def test_scikit_learn_ridge_cv(shape):
    """RidgeCV's leave-one-out errors on a grid of alpha, for columns scaled beforehand as ours are."""
    from sklearn.linear_model import RidgeCV

    if shape == "diabetes":
        X, y = (np.asarray(a, dtype=float) for a in load_xy("diabetes"))
    else:
        rng = np.random.default_rng(3)
        X = rng.standard_normal((20, 35))
        y = X[:, :5].sum(axis=1) + 0.5 * rng.standard_normal(20)
    alphas = np.logspace(-2, 4, 61)
    theirs = RidgeCV(alphas, store_cv_results=True).fit(standardized(X), y)
    want = theirs.cv_results_.mean(axis=0)
    problem = LambdaProblem(posterior(X, y))
    got = loo_curves(problem.row_basis, problem.spectrum, problem.noise, np.log(alphas)).squared.value
    np.testing.assert_allclose(got, want, rtol=1e-9)
    choice = make_rule("loo").choose(problem)
    assert choice.best.score <= want.min()
    assert abs(np.log(choice.lam) - np.log(theirs.alpha_)) <= np.log(alphas[1] / alphas[0])


def test_scikit_learn_ridge_cv_weighted():
    """Precision weights weight the squared errors, as scikit-learn's sample weights do."""
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(4)
    X, w = rng.standard_normal((25, 4)), rng.gamma(2.0, 1.0, 25)
    y = X @ [1.0, 0.5, 0.0, 0.0] + rng.standard_normal(25) / np.sqrt(w)
    alphas = np.array([0.1, 1.0, 10.0, 100.0])
    problem = LambdaProblem(posterior(X, y, weights=w, weight_kind="precision", scale=False))
    got = loo_curves(problem.row_basis, problem.spectrum, problem.noise, np.log(alphas)).squared.value
    theirs = RidgeCV(alphas, store_cv_results=True).fit(X, y, sample_weight=w).cv_results_
    # they store w times the squared error
    np.testing.assert_allclose(got, theirs.sum(axis=0) / w.sum(), rtol=1e-9)
