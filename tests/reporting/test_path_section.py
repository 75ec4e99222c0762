"""The page of counts and successes: the numbers its slider interpolates, its rules and checks, and what it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from bayesridge import DataError, FixedLambda, compare_lambda, posterior
from bayesridge.reporting.build import report_html

RNG = np.random.default_rng(4)
X = pd.DataFrame(RNG.standard_normal((60, 3)), columns=["age", "dose", "<i>&amp;"])
Y = (RNG.random(60) < expit(X @ [1.0, -0.5, 0.0])).astype(float)


@pytest.fixture(scope="module")
def post():
    return posterior(X, Y, family="binomial")


@pytest.fixture(scope="module")
def page(post):
    return report_html(post)


@pytest.fixture(scope="module")
def record(page):
    return json.loads(re.search(r'id="path-data">(.*?)</script>', page).group(1))


def test_the_numbers_are_those_of_fits_at_these_lambdas(post, record):
    t, Z = np.array(record["t"]), (X - X.mean()) / X.std(ddof=0)
    np.testing.assert_allclose(np.diff(t), t[1] - t[0], rtol=1e-9)
    for k in (5, 25, 38):
        lam = float(np.exp(t[k]))
        theirs = LogisticRegression(C=1.0 / lam, solver="newton-cholesky", tol=1e-12).fit(Z, Y)
        np.testing.assert_allclose([one[k] for one in record["coef"]] * X.std(ddof=0), theirs.coef_[0], atol=1e-6)
        log_p = theirs.predict_log_proba(Z)[np.arange(60), Y.astype(int)]
        assert record["deviance"][k] == pytest.approx(-2.0 * log_p.sum(), abs=1e-6)
    near = int(np.abs(t - np.log(post.lambda_.median)).argmin())
    fixed = posterior(X, Y, family="binomial", prior=FixedLambda(float(np.exp(t[near]))))
    assert record["elpd"][near] == pytest.approx(fixed.loo.elpd_loo, abs=4.0 * fixed.loo.mcse + 0.05)
    assert -0.1 < max(record["evidence"]) <= 1e-9  # below the highest point between them


def test_the_page_says_what_it_shows(page, record):
    assert f"computed at {len(record['t'])} values" in page
    for said in ("Turn λ yourself", "10-fold CV", "AIC", "Reliability of rows left out", "Influence on lambda"):
        assert said in page
    assert "<i>" not in page
    assert "Not on this page" not in page
    assert page.count("<script>") == 1


def test_a_comparison_made_before_is_taken_and_another_is_refused(post):
    found = compare_lambda(post, rules=["aic"])
    assert report_html(post, comparison=found).count("10-fold") == 0
    other = posterior(X, 1.0 - Y, family="binomial")
    with pytest.raises(DataError, match="another fit"):
        report_html(other, comparison=found)


def test_without_leave_one_out_the_slider_shows_the_rest():
    weighted = posterior(X, Y, family="binomial", weights=np.linspace(0.5, 1.5, 60), weight_kind="survey")
    found = report_html(weighted)
    assert '"evidence":[' in found
    assert '"elpd":[' not in found
    assert "There is no leave-one-out here" in found


def test_the_slider_moves_in_a_browser(page, record, browser, tmp_path):
    """Between the values it is the cubic through four of them: fits there are met to a thousandth."""
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    tab = browser.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto((tmp_path / "page.html").as_uri())
    before = tab.inner_text('[data-follows="elpd"]')
    tab.evaluate("""() => {
      const range = document.getElementById("path-range");
      range.value = 60; range.dispatchEvent(new Event("input"));
    }""")
    assert tab.inner_text('[data-follows="elpd"]') != before
    t = np.array(record["t"])
    lam = float(np.exp(0.5 * (t[30] + t[31])))
    got = tab.evaluate(f"bayesridgePath.at({lam!r})")
    Z = (X - X.mean()) / X.std(ddof=0)
    theirs = LogisticRegression(C=1.0 / lam, solver="newton-cholesky", tol=1e-12).fit(Z, Y)
    np.testing.assert_allclose(got["coefficients"] * X.std(ddof=0), theirs.coef_[0], atol=1e-3)
    tab.click("button[data-path]")
    assert not complaints
    tab.close()
