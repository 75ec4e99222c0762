"""What each lambda does to counts and successes: curves from one posterior's draws, and the rules made of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from typer.testing import CliRunner

from bayesridge import DataError, FixedLambda, HalfT, compare_lambda, posterior
from bayesridge.cli.main import app
from bayesridge.design.design import build_design
from bayesridge.outcomes import loo
from bayesridge.outcomes.curves import Curves, Tilted, densities, log_lambda_without, tilted
from bayesridge.outcomes.family import FAMILIES
from bayesridge.outcomes.prior import density_of_t
from bayesridge.outcomes.problem import make_outcome
from bayesridge.outcomes.rows import PlaneDraws
from bayesridge.outcomes.scaling import power_scaled
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.curve_problem import CurveProblem
from bayesridge.rules.problem import NotAvailableError

RNG = np.random.default_rng(3)
X = RNG.standard_normal((40, 3)) * [1.0, 5.0, 0.2]
Z = (X - X.mean(axis=0)) / X.std(axis=0)
Y = RNG.poisson(np.exp(0.3 + Z @ [0.4, -0.3, 0.0])).astype(float)
TABLE = pd.DataFrame(X, columns=["age", "power", "noise"]).assign(claims=Y)


@pytest.fixture(scope="module")
def post():
    return posterior(X, Y, family="poisson")


@pytest.fixture(scope="module")
def comparison(post):
    return compare_lambda(post)


@pytest.mark.parametrize("lam", [0.05, 2.0, 20.0])
def test_evidence_and_leave_one_out_are_those_of_a_fit_at_that_lambda(post, lam):
    fixed, t = posterior(X, Y, family="poisson", prior=FixedLambda(lam)), np.array([np.log(lam)])
    value, error = post.curves.evidence(t)
    both = fixed.log_evidence[0] - post.log_evidence[0]
    assert abs(value[0] - both) < 4.0 * (error[0] + fixed.log_evidence[1] + post.log_evidence[1])
    found = post.curves.loo(t)
    np.testing.assert_allclose(found.pointwise[:, 0], fixed.loo.pointwise, atol=0.02)  # draws of either: 0.005 each
    assert abs(found.pointwise.sum() - fixed.loo.elpd_loo) < 4.0 * (found.mcse[0] + fixed.loo.mcse)
    # means there are of 2,048 resampled draws, which the most influential row tilts to some hundred
    np.testing.assert_allclose(found.mean[:, 0], fixed.loo.mean, rtol=0.1)


def test_fits_are_the_penalised_likelihood(post):
    curves = post.curves
    for k in (8, 20, 30):
        lam = float(np.exp(curves.t[k]))
        theirs = PoissonRegressor(alpha=lam / 40, solver="newton-cholesky", tol=1e-12).fit(Z, Y)
        np.testing.assert_allclose(curves.coef[k] * X.std(axis=0), theirs.coef_, atol=1e-7)
        mu = theirs.predict(Z)
        D = np.column_stack([np.ones(40), Z])
        W = (D.T * mu) @ D
        trace = np.trace(np.linalg.solve(W + lam * np.diag([0.0, 1, 1, 1]), W))
        assert curves.dof[k] == pytest.approx(trace - 1.0, abs=1e-7)
        np.testing.assert_allclose(np.exp(curves.intercept[k] + X @ curves.coef[k]), mu, rtol=1e-6)


def test_held_out_rows_are_those_of_scikit_learns_fit_to_the_others():
    y = (Y > 1).astype(float)
    curves = posterior(X, y, family="binomial").curves
    train, test = np.arange(30), np.arange(30, 40)
    k = 25
    lam = float(np.exp(curves.t[k]))
    theirs = LogisticRegression(C=1.0 / lam, solver="newton-cholesky", tol=1e-12).fit(Z[train], y[train])
    log_p = theirs.predict_log_proba(Z[test])[np.arange(10), y[test].astype(int)]
    np.testing.assert_allclose(curves.held_out(train, test)[:, k], log_p, atol=1e-6)


def test_leave_one_out_where_densities_are_hundreds_of_nats_apart():
    """Against sums of logarithms: of a row that the draws know, one whose densities underflow, one fitted without."""
    rng = np.random.default_rng(0)
    problem = make_outcome(FAMILIES["poisson"], build_design(Z[:3, :1], np.array([2.0, 1e5, 3e5])))
    one, other = (
        Tilted(PlaneDraws(b[..., None], b + 2.0, np.full((8, 60), 1 / 480)), 1, 1e3 * b**2, 0.0 * b, b)
        for b in rng.normal(0.0, 3.0, (2, 8, 60))
    )
    t = np.array([-2.0, 1.0])
    nothing = np.zeros(1)
    found = Curves(problem, t, nothing, nothing, nothing, nothing, one, {2: other}, "").loo(t)
    for i, draws in enumerate((one, one, other)):
        log_p = densities(problem, draws.planes, slice(i, i + 1))[0]
        with_it = draws.log_weights(t) - (0.0 if i == 2 else log_p)
        expected = logsumexp(with_it + log_p, axis=(0, 1)) - logsumexp(with_it, axis=(0, 1))
        np.testing.assert_allclose(found.pointwise[i], expected, rtol=1e-12)
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.mcse).all()
    inverse = np.log(one.planes.weight)[..., None] - densities(problem, one.planes, slice(0, 3))[0]
    share = np.exp(inverse - logsumexp(inverse, axis=(0, 1)))
    mean = np.einsum("rsm,rs->m", share, one.mean_t)
    np.testing.assert_allclose(log_lambda_without(problem, one.planes, one.mean_t, {}), mean, rtol=1e-10)


def test_draws_without_weight_may_lie_anywhere():
    """The likelihood to a power below one, where it is thousands of nats lower: it was NaN."""
    problem = make_outcome(FAMILIES["poisson"], build_design(Z[:3, :1], np.array([2.0, 1e5, 3e5])))
    b = np.zeros((8, 20))
    b[:, 0] = -3.0
    planes = PlaneDraws(b[..., None], b + 12.0, np.where(b < 0, 0.0, 1 / 152))
    prior = HalfT(4.0, 1.0, on="tau")
    draws = tilted(planes, b[..., None], (-2.0, 2.0), density_of_t(prior))
    given = power_scaled(problem, draws, prior, lambda one, t: density_of_t(one)(t), (-2.0, 2.0), [0.98])
    for weighed in (given.base, given.likelihood[0.98]):
        np.testing.assert_allclose(weighed.weight / weighed.weight.sum(), planes.weight, rtol=1e-9)


def test_a_fold_without_any_event_has_no_fit(post, monkeypatch):
    """The rule is not available, and the others are."""
    only = replace(post.curves.problem.design, y=np.where(np.arange(40) == 5, 1.0, 0.0))
    curves = replace(post.curves, problem=replace(post.curves.problem, design=only))
    monkeypatch.setitem(vars(post), "curves", curves)
    with pytest.raises(NotAvailableError, match="separated by the intercept"):
        CurveProblem(post).cross_validate(CrossValidation(4, loss="log"))


def test_every_rule_that_makes_sense(post, comparison):
    keys = [row.key for row in comparison.rows]
    assert keys == ["posterior", "posterior_median", "posterior_mean", "posterior_mode", "evidence", "loo", "loo_log",
                    "aic", "bic", "cv5_log", "cv10_log"]  # fmt: skip
    assert all(row.available for row in comparison.rows)
    best = comparison.row("evidence")
    t = np.log(best.lam) + np.array([-0.3, 0.0, 0.3])
    assert post.curves.evidence(t)[0].argmax() == 1
    assert best.interval.lower < best.lam < best.interval.upper
    # the scores of the table are those of a fit at that lambda
    fixed = posterior(X, Y, family="poisson", prior=FixedLambda(comparison.row("loo_log").lam))
    assert comparison.row("loo_log").elpd_loo == pytest.approx(fixed.loo.elpd_loo, abs=0.08)
    assert comparison.row("posterior").elpd_loo == pytest.approx(post.loo.elpd_loo, rel=1e-12)
    assert "full posterior" in comparison.recommendation
    assert json.dumps(comparison.to_record())


@pytest.mark.parametrize(("key", "price"), [("aic", 2.0), ("bic", np.log(40.0))])
def test_information_criteria_count_the_effective_degrees_of_freedom(comparison, key, price):
    def criterion(lam):
        theirs = PoissonRegressor(alpha=lam / 40, solver="newton-cholesky", tol=1e-12).fit(Z, Y)
        mu = theirs.predict(Z)
        D = np.column_stack([np.ones(40), Z])
        W = (D.T * mu) @ D
        trace = np.trace(np.linalg.solve(W + lam * np.diag([0.0, 1, 1, 1]), W))
        log_p = Y * np.log(mu) - mu - [float(np.log(np.arange(1, k + 1)).sum()) for k in Y]
        return -2.0 * log_p.sum() + price * trace

    row, choice = comparison.row(key), comparison.choices[key]
    scores = [criterion(row.lam * factor) for factor in (0.8, 1.0, 1.25)]
    assert scores[1] == min(scores)
    assert choice.best.score == pytest.approx(scores[1], abs=1e-3)  # a spline through 41 values


def test_rules_of_a_gaussian_are_refused_by_their_reason(post):
    found = compare_lambda(post, rules=["loo_log", CrossValidation(5), CrossValidation(4, loss="log")])
    assert not found.row("cv5").available
    assert "loss='log'" in found.row("cv5").note
    assert found.row("cv4_log").available
    with pytest.raises(DataError, match="no rule called gcv; there are posterior_median"):
        compare_lambda(post, rules=["gcv"])
    with pytest.raises(DataError, match="leave it out"):
        compare_lambda(post, bootstrap=10)


def test_a_given_lambda_is_compared_too():
    fixed = posterior(X, Y, family="poisson", prior=FixedLambda(3.0))
    found = compare_lambda(fixed, rules=["aic"])
    assert "not learned" in found.recommendation
    assert found.row("aic").available


def test_the_command_chooses_for_counts(tmp_path):
    TABLE.to_csv(tmp_path / "claims.csv", index=False)
    words = ["choose", str(tmp_path / "claims.csv"), "--target", "claims", "--family", "poisson", "--rules", "aic,bic"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "coefficients integrated" in shown.output
    assert "sigma" not in shown.output


def test_without_leave_one_out_the_other_rules_answer():
    weighted = posterior(X, Y, family="poisson", weights=np.linspace(0.5, 1.5, 40), weight_kind="survey")
    found = compare_lambda(weighted)
    assert [row.key for row in found.rows if not row.available] == ["loo", "loo_log"]
    assert "survey weights" in found.row("loo").note
    assert np.isnan(found.row("aic").elpd_loo)


def test_work_of_leaving_rows_out_is_bounded(post, monkeypatch):
    """On a separated table of 569 x 30, 183 rows would be fitted without, a quarter of a minute each."""
    for name, value in (("LARGEST_K", -np.inf), ("_TOO_FAR", -np.inf), ("_MOST_WORK", 100.0)):
        monkeypatch.setattr(loo, name, value)
    with pytest.raises(DataError, match="each of 40 influential rows"):
        loo.leave_one_out(post.rows(), post._planes, lambda row: post.without(row)._planes)
