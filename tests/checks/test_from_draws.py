"""Checks of counts and successes: silent where the model holds, loud on what each is for, and their numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import poisson
from typer.testing import CliRunner

from bayesridge import BetaR2, FixedLambda, posterior, validate
from bayesridge.checks.from_draws import draws_sensitivity, outcome_calibration, outcome_checks
from bayesridge.checks.influence import row_influence
from bayesridge.checks.sbc import posterior_sbc
from bayesridge.cli.main import app

RNG = np.random.default_rng(5)
X = RNG.standard_normal((120, 2))
QUICK = ["prior", "leave-one-out", "noise", "sensitivity", "influence"]  # no fits of their own
RATE = np.exp(0.6 + X @ [0.4, -0.3])


@pytest.fixture(scope="module")
def counts():
    return posterior(X, RNG.poisson(RATE).astype(float), family="poisson")


@pytest.fixture(scope="module")
def successes():
    return posterior(X, (RNG.random(120) < expit(X @ [1.0, -0.5])).astype(float), family="binomial")


def test_a_model_that_holds_gets_a_card_without_alarms(counts, successes):
    for post in (counts, successes):
        card = validate(post, checks=QUICK, splits=0, simulations=200, progress=False)
        assert card.passed
        assert [entry.status for entry in card.entries].count("not judged") == 1  # of one lambda's spectrum
        assert json.dumps(card.record)
        assert all(len(card[key].finding.table) for key in ("leave-one-out", "noise", "sensitivity", "influence"))


def test_counts_that_vary_more_raise_alarms():
    y = np.random.default_rng(6).poisson(RATE * np.random.default_rng(7).standard_gamma(1.0, 120)).astype(float)
    card = validate(posterior(X, y, family="poisson"), checks=["leave-one-out", "noise"], progress=False)
    assert card["leave-one-out"].status == card["noise"].status == "alarm"
    assert "too narrow" in card["leave-one-out"].text
    assert "vary more than the family says" in card["noise"].text
    assert "more zeros" in card["noise"].text
    assert "a family with more spread" in card.verdict


def test_counts_that_vary_less_raise_an_alarm():
    found = outcome_checks(posterior(X, np.rint(RATE + 2.0), family="poisson"), simulations=400)
    assert "vary less" in found.verdict


def test_probabilities_that_are_bent_raise_an_alarm():
    """Jumps where the model has a slope of x and x^2: no coefficients follow them."""
    rng = np.random.default_rng(8)
    x = rng.uniform(-3, 3, 400)
    y = (rng.random(400) < np.where(np.abs(x) > 1.5, 0.9, 0.1)).astype(float)
    found = outcome_calibration(posterior(np.column_stack([x, x**2]), y, family="binomial"), simulations=200)
    assert not found.passed
    assert found.recalibrated is not None
    assert ((found.recalibrated < found.lower) | (found.recalibrated > found.upper)).any()
    assert "probabilities of rows left out are" in found.verdict


def test_recalibrated_shares_are_the_best_that_rise(successes):
    found = outcome_calibration(successes, simulations=200)
    order = np.argsort(found.left.mean)
    assert (np.diff(found.recalibrated[order]) >= -1e-12).all()
    assert found.recalibrated.mean() == pytest.approx(found.left.y.mean())
    assert set(found.table.columns) == {"y", "predicted", "pit", "recalibrated", "band low", "band high"}


def test_simulated_outcomes_have_the_moments_of_the_predictions(counts):
    mixture = counts.loo.parts(slice(0, 4))
    drawn = mixture.simulate(40_000, np.random.default_rng(0))
    error = mixture.sd / 200.0
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mixture.mean), 4.5 * error)
    np.testing.assert_allclose(drawn.std(axis=0), mixture.sd, rtol=0.05)
    np.testing.assert_allclose((drawn == 0).mean(axis=0), mixture.cdf(np.zeros(4)), atol=4.5 * 0.5 / 200.0)


def test_influence_is_that_of_actual_fits(counts):
    found = row_influence(counts)
    row = found.top(1)[0]
    keep = np.arange(120) != row
    rest = posterior(X[keep], counts.design.y[keep], family="poisson", prior=counts.prior, scale=counts.design.scale)
    share = rest.draws_.mass.sum(axis=0) / rest.draws_.mass.sum()
    assert found.log_lambda_shift[row] == pytest.approx(share @ rest.t - found.log_lambda_mean, abs=0.05)


def test_sensitivity_is_that_of_actual_fits(counts):
    """The means move as they do when prior or data count more: compared with fits at powers far enough to be seen."""
    found = draws_sensitivity(counts)
    table = found.table
    assert list(table.index) == ["lambda", "intercept", "x0", "x1"]
    y = counts.design.y
    twice = posterior(X, y, family="poisson", prior=counts.prior, weights=np.full(120, 2.0))
    moved = (twice.coefficients.mean[0] - counts.coefficients.mean[0]) / counts.coefficients.sd[0]
    # a doubling is far from a power of 1.01, along the same way: the same sign, and half to twice as far
    assert 0.4 < table.loc["x0", "mean_likelihood"] / moved < 2.5
    assert table.loc["x0", "likelihood"] > 0.05
    strong = posterior(X, y, family="poisson", prior=counts.prior.power(1.05))
    share = strong.draws_.mass.sum(axis=0) / strong.draws_.mass.sum()
    base = counts.draws_.mass.sum(axis=0) / counts.draws_.mass.sum()
    mean = base @ counts.t
    sd = np.sqrt(base @ np.square(counts.t - mean))
    shift = (share @ strong.t - mean) / sd / np.log2(1.05)
    assert table.loc["lambda", "mean_prior"] == pytest.approx(shift, rel=0.1, abs=0.02)


@pytest.mark.slow
def test_student_draws_weighted_anew_are_actual_fits():
    """Row left out, prior and likelihood squared: weights on the draws, and fits (errors of both: .05 sd)."""
    y = X[:60] @ [1.0, -0.5] + RNG.standard_t(4.0, 60)
    post = posterior(X[:60], y, family="student", prior=BetaR2(2.0, 2.0))
    found = row_influence(post)
    row = found.top(1)[0]
    assert found.log_lambda_shift[row] == pytest.approx(
        post.without(row)._of_log_lambda[0] - found.log_lambda_mean, abs=0.2 * found.log_lambda_sd
    )
    scaled = post.scaled([2.0])
    squared = posterior(X[:60], y, family="student", prior=post.prior.power(2.0))
    twice = posterior(X[:60], y, family="student", prior=post.prior, weights=np.full(60, 2.0))
    for weighed, fit in ((scaled.prior[2.0], squared), (scaled.likelihood[2.0], twice)):
        w = weighed.weight / weighed.weight.sum()
        mean = np.einsum("rs,rsj->j", w, weighed.coef)
        np.testing.assert_allclose(mean, fit.coefficients.mean, atol=0.3 * fit.coefficients.sd.min())
        logs = weighed.mass @ weighed.t / weighed.mass.sum()
        assert logs == pytest.approx(fit._of_log_lambda[0], abs=0.3 * fit._of_log_lambda[1])


@pytest.mark.slow
def test_the_computation_is_calibrated_and_a_wrong_one_is_found():
    """Wrong: fitted with a known part of eta that is not there."""
    y = np.random.default_rng(2).poisson(RATE[:25]).astype(float)
    post = posterior(X[:25, :1], y, family="poisson")
    assert posterior_sbc(post, simulations=60, random_state=1).passed

    def wrong(problem, prior):
        return post.infer(replace(problem, offset=problem.offset - 0.5), prior)

    assert not posterior_sbc(replace(post, infer=wrong), simulations=60, random_state=1).passed


def test_what_is_not_judged_says_why():
    y = poisson.rvs(RATE[:30], random_state=1).astype(float)
    plugged = posterior(X[:30], y, family="poisson", prior=FixedLambda(2.0))
    card = validate(plugged, checks=QUICK, splits=0, simulations=200, progress=False)
    assert card["leave-one-out"].status == "passed"
    assert "fixed or plugged in" in card["sensitivity"].text
    assert "fixed or plugged in" in card["influence"].text
    doubled = posterior(X[:30], y, family="poisson", prior=FixedLambda(2.0), weights=np.full(30, 2.0))
    assert "several observations" in validate(doubled, checks=["noise"], progress=False)["noise"].text


def test_the_command_validates_successes(tmp_path, successes, monkeypatch):
    import pandas as pd

    monkeypatch.setattr("bayesridge.checks.card._FITS", 2)  # of 200
    table = pd.DataFrame(X, columns=["a", "b"]).assign(state=np.where(successes.design.y == 1, "ill", "well"))
    table.to_csv(tmp_path / "t.csv", index=False)
    words = ["validate", str(tmp_path / "t.csv"), "--target", "state", "--family", "binomial", "--positive", "ill",
             "--splits", "0", "--simulations", "200", "--out", str(tmp_path / "out")]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "probabilities of rows left out look calibrated" in " ".join(done.output.split())
    record = json.loads((tmp_path / "out" / "validation.json").read_text())
    assert record["checks"]["leave-one-out"]["details"]["test"] == "reliability"
    assert (tmp_path / "out" / "leave_one_out.csv").exists()
