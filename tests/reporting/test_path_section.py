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


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page of such a posterior; nothing may complain."""
    tab = browser.new_page(viewport={"width": 1300, "height": 900})
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))

    def open_(page):
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        tab.goto((tmp_path / "page.html").as_uri())
        return tab

    yield open_
    assert not complaints
    tab.close()


def test_the_slider_opens_at_the_posterior_median_itself_and_its_button_says_so(post, page, record, opened):
    tab = opened(page)
    assert record["start"] == post.lambda_.median
    pressed = tab.locator(".jumps [aria-pressed=true]")
    assert pressed.count() == 1
    assert pressed.text_content().startswith("posterior median")
    assert tab.inner_text('[data-follows="lambda"]') == f"{post.lambda_.median:.4g}"


def test_the_evidence_that_is_shown_is_never_above_its_maximum(page, record, opened):
    tab = opened(page)
    fine = np.exp(np.linspace(record["t"][0], record["t"][-1], 20001)).tolist()
    found = tab.evaluate("all => all.map(lambda => bayesridgePath.at(lambda).evidence)", fine)
    assert max(found) == pytest.approx(0.0, abs=1e-6)  # the maximum is that of the curve drawn
    assert max(found) < 1e-12
    tab.get_by_role("button", name="evidence maximum").click()
    assert tab.inner_text('[data-follows="evidence"]') == "0.00"


def test_what_the_residuals_say_stays_within_its_table(opened):
    rng = np.random.default_rng(3)
    rates = np.exp(X["age"].to_numpy() + 1.5 * rng.standard_normal(60))
    tab = opened(report_html(posterior(X, rng.poisson(rates).astype(float), family="poisson")))
    cell = tab.locator("#trust td:last-child", has_text="vary more than")
    assert cell.first.evaluate("e => getComputedStyle(e).textAlign") == "left"
    assert tab.evaluate("[...document.querySelectorAll('#trust .scroll')].every(e => e.scrollWidth <= e.clientWidth)")


@pytest.mark.parametrize(("family", "drawn"), [("poisson", True), ("student", False)])
def test_only_of_whole_numbers_pit_values_are_said_to_be_randomised(family, drawn):
    page = report_html(posterior(X, np.random.default_rng(5).poisson(3.0, 60).astype(float), family=family))
    assert ("drawn at random within" in page) == drawn
    assert ("randomised within steps" in page) == drawn
    assert page.count("Leave-one-out PIT values") == 1


def test_the_slider_moves_in_a_browser(page, record, opened):
    """Between the values it is the cubic through four of them: fits there are met to a thousandth."""
    tab = opened(page)
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
