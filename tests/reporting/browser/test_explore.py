"""The explorable page of the documentation in a real browser: its numbers are Python's, and nothing on it is stale."""

from pathlib import Path

import numpy as np
import pytest

from bayesridge import posterior
from bayesridge.linalg.filters import expected_squares, filter_factors, ridge_path, squared_bias
from tests.reporting.browser.axe import axe_violations, needs_axe

PAGE = Path(__file__).resolve().parents[3] / "docs" / "_static" / "explore.html"
OUTPUTS = ("strong", "weak", "alone")


@pytest.fixture(scope="module")
def opened(browser):
    """The page; what it asks for and complains of."""
    tab = browser.new_page(viewport={"width": 1366, "height": 657})
    heard = []
    tab.on("request", lambda request: heard.append(request.url))
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.goto(PAGE.as_uri())
    yield tab
    assert heard == [PAGE.as_uri()]
    tab.close()


@pytest.fixture
def tab(opened):
    """The page as it is at first."""
    opened.locator("#reset").click()
    for name, value in (("rate", "0.01"), ("steps", "100"), ("lambda-number", "1.23")):
        opened.locator(f"#{name}").fill(value)
    return opened


def data(tab):
    x, y = np.array(tab.evaluate("explore.points")).T
    return np.column_stack([x, x * x]), y


def assert_the_posterior_is_that_of_python(tab):
    X, y = data(tab)
    post, found = posterior(X, y), tab.evaluate("explore.state")
    np.testing.assert_allclose(found["median"], post.lambda_.median, rtol=1e-8)
    np.testing.assert_allclose(found["interval"], post.lambda_.interval(0.95), rtol=1e-8)
    np.testing.assert_allclose(found["coefficients"], post.coefficients.mean, rtol=1e-8)
    band = np.array(found["band"])
    new = post.predict(np.column_stack([band[:, 0], band[:, 0] ** 2]))
    np.testing.assert_allclose(band[:, 1], new.mean, atol=1e-8)
    np.testing.assert_allclose(band[:, 2:], new.interval(0.95), atol=1e-8)
    for lam in (1e-3, 0.7, 40.0):
        np.testing.assert_allclose(tab.evaluate(f"explore.cdf({lam})"),
                                   post.lambda_.cdf(lam), rtol=1e-8)  # fmt: skip
    return post


def test_posterior_band_and_coefficients_are_those_of_python(tab):
    assert_the_posterior_is_that_of_python(tab)


def test_dragging_a_point_recomputes_all_and_the_arrow_keys_do_too(tab):
    point = tab.locator("#data .handle").nth(7)
    before, (X, _) = tab.evaluate("explore.state.median"), data(tab)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(box["x"] - 30, box["y"] + 90, steps=3)
    tab.mouse.up()
    assert data(tab)[0][7, 0] < X[7, 0]
    assert tab.evaluate("explore.state.median") != before
    point.press("ArrowUp")
    point.press("ArrowLeft")
    assert_the_posterior_is_that_of_python(tab)


def test_bias_and_variance_are_the_posterior_expectations(tab):
    X, y = data(tab)
    post = posterior(X, y)
    spectrum, nodes = post.spectrum, post.hyper.nodes
    sigma2 = nodes.noise.mean_variance()
    squares = expected_squares(spectrum, np.exp(nodes.theta[:, 0]), sigma2, nodes.weight)
    for lam in (0.01, 1.0, 300.0):
        found = tab.evaluate(f"explore.errors({lam})")
        variance = nodes.weight @ sigma2 * np.square(filter_factors(spectrum, lam)).sum() / len(y)
        np.testing.assert_allclose(found["variance"], variance, rtol=1e-8)
        np.testing.assert_allclose(found["bias"], squared_bias(spectrum, lam, squares) / len(y), rtol=1e-8)


def test_circle_and_path_are_ridge_and_gradient_descent_with_weight_decay(tab):
    X, y = data(tab)
    post = posterior(X, y)
    Z, lam, rate = (X - X.mean(axis=0)) / X.std(axis=0), 1.23, 0.01
    found = tab.evaluate("explore.state")
    ridge = ridge_path(post.design, post.spectrum, lam).coef[0] * X.std(axis=0)
    np.testing.assert_allclose(found["ridge"], ridge, rtol=1e-9)
    np.testing.assert_allclose(found["radius"], np.linalg.norm(ridge), rtol=1e-9)
    w, walk = np.array([-0.9, 0.1]), []
    for _ in range(101):
        walk.append(w)
        w = w - rate * (-2 * Z.T @ (y - y.mean() - Z @ w) + 2 * lam * w)
    np.testing.assert_allclose(found["path"], walk, atol=1e-12)
    s2 = np.linalg.svd(Z, compute_uv=False) ** 2
    np.testing.assert_allclose(found["factors"], 1 - 2 * rate * (np.append(s2, 0.0) + lam), rtol=1e-10)


def test_textbook_weight_decays_to_998_thousandths(tab):
    tab.locator("#rate").fill("0.2")
    assert "diverge" in tab.locator("#reading").text_content()
    tab.locator("#textbook").click()
    assert tab.locator("[data-out=alone]").text_content() == "0.998"
    assert tab.locator("#lambda-number").input_value() == "0.1"
    np.testing.assert_allclose(tab.evaluate("explore.state.factors[2]"), 0.998, rtol=1e-15)
    # half of it is gone after log(1/2) / log(.998) = 346 steps; the page writes two digits
    assert "a weight without data halves in 350" in tab.locator("#reading").text_content()


@pytest.mark.parametrize(
    ("field", "bad", "name"),
    [("rate", "-1", "learning rate"), ("rate", "", "learning rate"), ("steps", "0", "number of steps"),
     ("steps", "2.5", "number of steps"), ("lambda-number", "-2", "λ is a number")],
)  # fmt: skip
def test_an_impossible_field_says_so_and_leaves_no_stale_result(tab, field, bad, name):
    tab.locator(f"#{field}").fill(bad)
    assert tab.locator(f"#{field}").get_attribute("aria-invalid") == "true"
    assert name in tab.locator("#decay-problem").text_content()
    assert [tab.locator(f"[data-out={out}]").text_content() for out in OUTPUTS] == ["–"] * 3
    assert tab.locator("#reading").text_content() == ""
    assert tab.evaluate("explore.state.factors") is None
    assert tab.locator("#decay .line").count() == 0
    tab.locator(f"#{field}").fill("3")
    assert tab.locator("#decay-problem").text_content() == ""
    assert tab.evaluate("explore.state.factors.length") == 3


def test_points_that_determine_no_parabola_are_said_to(tab):
    tab.evaluate("explore.points.forEach((p) => { p[0] = 0.5; })")
    tab.locator("#data .handle").first.press("ArrowUp")
    assert "move one" in tab.locator("#problem").text_content()
    assert [tab.locator(f"[data-out={out}]").text_content() for out in ("median", "interval", *OUTPUTS)] == ["–"] * 5
    assert tab.locator("svg .line").count() <= 20  # those of the keys
    assert "NaN" not in tab.locator("main").inner_html()
    tab.locator("#reset").click()
    assert tab.locator("#problem").text_content() == ""


@pytest.mark.parametrize(
    "options",
    [{"viewport": {"width": 1366, "height": 657}}, {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
     {"viewport": {"width": 360, "height": 740}, "forced_colors": "active"}],
)  # fmt: skip
def test_every_screen_holds_it_with_the_bar_in_view(visit, options):
    with visit(PAGE.read_text(encoding="utf-8"), **options) as page:
        width = options["viewport"]["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelector('#t-steps').scrollIntoView({ behavior: 'instant' })")
        bar, title = page.locator(".bar").bounding_box(), page.locator("#t-steps").bounding_box()
        assert bar["y"] >= -0.5
        assert bar["height"] < options["viewport"]["height"] / 5
        assert title["y"] >= bar["y"] + bar["height"]


@needs_axe
def test_axe_finds_no_violation(visit):
    with visit(PAGE.read_text(encoding="utf-8"), bypass_csp=True, color_scheme="dark") as page:
        assert axe_violations(page) == []
