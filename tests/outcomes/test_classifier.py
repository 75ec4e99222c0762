"""The classifier: labels, probabilities, files, scikit-learn's own checks, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from bayesridge import (
    BayesRidge,
    BayesRidgeClassifier,
    DataError,
    DataTypeError,
    ImproperPosteriorError,
    PriorError,
    load,
)
from bayesridge.cli.main import app
from bayesridge.outcomes.family import Binomial
from bayesridge.outcomes.penalized import penalized_mode
from bayesridge.outcomes.prior import density_of_t

ROOT = Path(__file__).resolve().parents[2]

CHECKS = """
import sys, warnings
warnings.simplefilter("ignore")  # the checks' own data, and scikit-learn's own deprecations
from sklearn.utils import estimator_checks as checks
from bayesridge import BayesRidgeClassifier
options = {"method": "fixed", "lam": 10.0} if "fixed" in sys.argv else {}
results = checks.check_estimator(BayesRidgeClassifier(**options), on_fail=None, on_skip=None)
bad = [(r["check_name"], r["status"], repr(r["exception"])) for r in results if r["status"] != "passed"]
print(len(results), "checks")
for line in bad:
    print(*line)
sys.exit(bool(bad))
"""


@pytest.mark.parametrize("method", ["fixed", pytest.param("posterior", marks=pytest.mark.slow)])
def test_every_scikit_learn_check(method):
    """In a process of its own: SCIPY_ARRAY_API must be set before scipy is imported, or a check is skipped.

    At lambda 10 no table needs chains. With lambda integrated the same 63 checks take four minutes: some of the tables
    are separated, and sampled.
    """
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECKS, method], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert int(done.stdout.split()[0]) >= 60  # none were lost


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.standard_normal((60, 2)), columns=["age", "dose"])
    frame["site"] = list("abc") * 20
    chance = expit(0.3 + 1.2 * frame["age"] - 0.5 * frame["dose"])
    return frame.assign(state=np.where(rng.random(60) < chance, "well", "ill"))


@pytest.fixture(scope="module")
def fitted(table):
    return BayesRidgeClassifier().fit(table[["age", "dose"]], table["state"])


def test_probabilities_are_the_posterior_means(table, fitted):
    X = table[["age", "dose"]]
    numeric = BayesRidge(family="binomial").fit(X, (table["state"] == "well").astype(float))
    found = numeric.posterior_.predict(X.to_numpy())
    chance = fitted.predict_proba(X)
    np.testing.assert_allclose(chance[:, 1], found.mean, rtol=1e-12)
    np.testing.assert_array_equal(chance.sum(axis=1), 1.0)
    np.testing.assert_allclose(fitted.predict_interval(X, 0.8), found.expected.interval(0.8), rtol=1e-12)
    np.testing.assert_allclose(expit(fitted.decision_function(X)), chance[:, 1], rtol=1e-12)
    # by the definition, from draws of the parameters: 4,000 of them, four standard errors
    draws = fitted.posterior_.draw(4_000, 1, random_state=0)
    drawn = expit(draws.intercept[0][:, None] + draws.coef[0] @ X.to_numpy().T)
    error = drawn.std(axis=0) / 4_000**0.5 + found.target.mcse
    assert (np.abs(chance[:, 1] - drawn.mean(axis=0)) < 4.0 * error).all()


def test_the_second_class_is_the_one_that_is_modelled(table, fitted):
    assert list(fitted.classes_) == ["ill", "well"]
    assert fitted.coef_[0] > 0  # the older are well more often
    X = table[["age", "dose"]]
    np.testing.assert_array_equal(fitted.predict(X) == "well", fitted.predict_proba(X)[:, 1] > 0.5)
    assert fitted.score(X, table["state"]) > 0.65
    assert fitted.posterior_.design.target_name == "state = well"
    assert list(fitted.summary().index) == ["intercept", "age", "dose"]
    assert "well" in repr(fitted)
    assert not hasattr(fitted, "sigma_")


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: y.astype("category"),
        lambda y: y.tolist(),
        lambda y: (y == "well").to_numpy(),
        lambda y: (y == "well").astype("Int64"),
        lambda y: np.where(y == "well", 7, -3),
        lambda y: pd.array(y, dtype="string"),
    ],
)
def test_labels_of_any_kind_are_the_same_model(table, labels):
    X, fixed = table[["age", "dose"]], {"method": "fixed", "lam": 1.0}
    text = BayesRidgeClassifier(**fixed).fit(X, table["state"])
    other = BayesRidgeClassifier(**fixed).fit(X, labels(table["state"]))
    np.testing.assert_array_equal(other.coef_, text.coef_)
    assert set(other.predict(X)) == set(other.classes_.tolist())


def test_the_mode_is_scikit_learns(table):
    """C = tau^2 = 1 / lambda on the standardised columns."""
    X = table[["age", "dose"]].to_numpy()
    fit = BayesRidgeClassifier(method="fixed", lam=4.0).fit(X, table["state"])
    problem = fit.posterior_.problem
    assert isinstance(problem.family, Binomial)
    coef, _ = problem.directions.coefficients(
        problem.design, penalized_mode(problem, 4.0).mean, np.ones(()), np.random.default_rng(0)
    )
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = LogisticRegression(C=0.25, solver="newton-cholesky", tol=1e-12).fit(Z, table["state"])
    np.testing.assert_allclose(coef * X.std(axis=0), theirs.coef_[0], atol=1e-8)


def test_the_lambda_of_the_largest_evidence_is_plugged_in(table, fitted, tmp_path):
    X, y = table[["age", "dose"]], table["state"]
    plugged = BayesRidgeClassifier(method="evidence").fit(X, y)
    post, full = plugged.posterior_, fitted.posterior_
    assert (post.method, post.prior_texts[0]) == (
        "evidence",
        "none for lambda (plugged in at the maximum of the evidence)",
    )
    assert "plugged in" in repr(plugged)
    # by the other road: the density of lambda over its prior, of the draws that integrate it
    t = np.linspace(full.t[0], full.t[-1], 2001)
    with np.errstate(divide="ignore"):
        evidence = np.log(full.lambda_.pdf(np.exp(t))) + t - density_of_t(full.prior)(t)
    inside = (t > np.log(full.lambda_.quantile(0.01))) & (t < np.log(full.lambda_.quantile(0.99)))
    drop = evidence[inside].max() - np.interp(np.log(post.lambda_.median), t, evidence)
    assert drop < 0.05  # nats: twice what the mass of a node, from some hundred draws, is uncertain by
    again = load(plugged.save(tmp_path / "plugged.bridge"))
    assert again.posterior_.method == "evidence"
    np.testing.assert_allclose(again.predict_proba(X), plugged.predict_proba(X), rtol=1e-12)
    with pytest.raises(DataError, match="a maximum, not a marginal"):
        post.log_bayes_factor(full)
    noise = np.random.default_rng(3).standard_normal((60, 1))
    with pytest.raises(ImproperPosteriorError, match="no signal"):
        BayesRidgeClassifier(method="evidence").fit(noise, y)


def test_labels_on_the_command_line(table, tmp_path):
    table.drop(columns="site").to_csv(tmp_path / "patients.csv", index=False)

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    said = run("fit", tmp_path / "patients.csv", "--target", "state", "--family", "binomial", "--positive", "ill",
               "--method", "fixed", "--prior", "fixed:2", "--out", tmp_path / "out")  # fmt: skip
    assert "state = ill" in said
    direct = BayesRidgeClassifier(method="fixed", lam=2.0).fit(table[["age", "dose"]], table["state"])
    saved = load(tmp_path / "out" / "model.bridge")
    assert list(saved.classes_) == ["well", "ill"]
    sd = direct.posterior_.coefficients.sd  # of the mirrored problem other draws are made: right to .05 sd each
    np.testing.assert_array_less(np.abs(saved.coef_ + direct.coef_), 0.1 * sd)
    found = json.loads(run("predict", tmp_path / "out", tmp_path / "patients.csv", "--json"))["predictions"]
    chance = np.array([one["P(ill)"] for one in found])
    np.testing.assert_allclose(chance, direct.predict_proba(table[["age", "dose"]])[:, 0], atol=0.01)
    assert [one["class"] for one in found] == np.where(chance > 0.5, "ill", "well").tolist()
    assert "probability of ill" in run("predict", tmp_path / "out", tmp_path / "patients.csv")
    done = CliRunner().invoke(app, ["fit", str(tmp_path / "patients.csv"), "--formula", "state ~ age", "--family",
                                    "binomial", "--positive", "dead"])  # fmt: skip
    assert done.exit_code == 1
    assert "classes 'ill' and 'well', and neither is 'dead'" in done.output


def test_a_formula_names_the_labels(table):
    fixed = {"method": "fixed", "lam": 1.0}
    plain = BayesRidgeClassifier(**fixed).fit(table[["age", "dose"]], table["state"])
    for formula in ("state ~ age + dose", "`state` ~ . - site"):
        named = BayesRidgeClassifier(formula=formula, **fixed).fit(table)
        np.testing.assert_allclose(named.predict_proba(table), plain.predict_proba(table[["age", "dose"]]), rtol=1e-9)
    right = BayesRidgeClassifier(formula="age + C(site)", unpenalized=["C(site)"], **fixed).fit(table, table["state"])
    assert len(right.posterior_.design.unpenalized) == 2
    with pytest.raises(DataError, match="names a target and y was passed"):
        BayesRidgeClassifier(formula="state ~ age").fit(table, table["state"])
    with pytest.raises(DataError, match="must be a column of the table that holds the labels"):
        BayesRidgeClassifier(formula="log(state) ~ age").fit(table)


def test_missing_labels_and_weights(table):
    X, y, fixed = table[["age", "dose"]], table["state"].astype(object), {"method": "fixed", "lam": 1.0}
    y[[3, 9]] = None
    with pytest.raises(DataError, match="state = well"):
        BayesRidgeClassifier(**fixed).fit(X, y)
    with pytest.warns(UserWarning, match="2 of 60"):
        fit = BayesRidgeClassifier(missing="drop", **fixed).fit(X, y)
    rest = y.notna()
    direct = BayesRidgeClassifier(**fixed).fit(X[rest], y[rest])
    weighted = BayesRidgeClassifier(**fixed).fit(X, table["state"], sample_weight=rest.astype(float))
    for other in (direct, weighted):
        np.testing.assert_allclose(fit.predict_proba(X), other.predict_proba(X), rtol=1e-8)


@pytest.mark.parametrize("labels", [["ill", "well"], [0, 1], [False, True], [-1.0, 1.0]])
def test_saved_and_loaded(table, labels, tmp_path):
    X, y = table[["age", "dose"]], np.array(labels)[(table["state"] == "well").astype(int)]
    fit = BayesRidgeClassifier(method="fixed", lam=2.0).fit(X, y)
    again = load(fit.save(tmp_path / "state.bridge"))
    assert isinstance(again, BayesRidgeClassifier)
    assert again.classes_.dtype.kind == fit.classes_.dtype.kind
    np.testing.assert_array_equal(again.predict(X), fit.predict(X))
    np.testing.assert_allclose(again.predict_proba(X), fit.predict_proba(X), rtol=1e-12)
    given = again.get_params() | {"unpenalized": ()}  # a list by now
    assert given == fit.get_params()


Y = np.repeat(["a", "b"], 10)
X = np.random.default_rng(0).standard_normal((20, 2))


@pytest.mark.parametrize(
    ("y", "options", "error", "said"),
    [
        (np.full(20, "a"), {}, DataError, "one class only, 'a'"),
        ([*Y[:19], "c"], {}, DataError, "Only binary classification .* 3 classes, 'a', 'b', 'c'"),
        (np.linspace(0, 1, 20), {}, DataError, "Unknown label type"),
        ([1, "a"] * 10, {}, DataTypeError, "all be text"),
        (pd.date_range("2020", periods=20), {}, DataTypeError, "all be text"),
        (np.full(20, None), {}, DataError, "no label"),
        (Y[:, None].repeat(2, axis=1), {}, DataError, "1d array"),
        (Y[5:15], {}, DataError, "inconsistent numbers"),
        (None, {}, DataError, "requires y"),
        (Y, {"link": "cauchit"}, DataError, "link must be"),
        (Y, {"method": "nuts"}, PriorError, "method must be .* bayesridge.models.logistic"),
        (np.where(X[:, 1] > 0, "a", "b"), {"method": "evidence"}, ImproperPosteriorError, "separate the outcomes"),
        (Y, {"method": "fixed"}, PriorError, "needs one of"),
        (Y, {"weight_kind": "precision"}, DataError, "weight_kind must be"),
        (np.where(X[:, 1] > 0, "a", "b"), {"unpenalized": [1]}, ImproperPosteriorError, "x1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(y, options, error, said):
    with pytest.raises(error, match=said):
        BayesRidgeClassifier(**options).fit(X, y)


def test_one_class_is_left_by_the_weights():
    with pytest.raises(DataError, match="one class only, 'b'"):
        BayesRidgeClassifier().fit(X, Y, sample_weight=(Y == "b").astype(float))
