"""The report's payload: what travels in the page gives the package's numbers back."""

import base64
import json
import re

import numpy as np
import pytest

from bayesridge import posterior
from bayesridge.linalg.rows import row_parts
from bayesridge.reporting.html import number, rounded, scale_number
from bayesridge.reporting.payload import (
    ROW_BUDGET,
    RowErrors,
    chebyshev,
    shown_columns,
    slider_data,
    slider_range,
    to_json,
)
from tests.reporting.browser.cases import CASES
from tests.reporting.browser.exact import assert_same, assert_same_intervals


def unpack(text):
    return np.frombuffer(base64.b64decode(text), dtype="<f8")


def payload(page):
    found = re.search(r'<script type="application/json" id="slider-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found.group(1))


def functionals(record, parts, b, Q, lam):
    """Values and ends of intervals of what travels as a map of the spectral coefficients."""
    of = {name: unpack(values) for name, values in parts.items()}
    loadings, noise = of["loadings"].reshape(-1, record["rank"]), record["noise"]
    value = of["offset"] + loadings @ b
    half = np.full(len(value), np.nan)
    if noise is not None:
        squared = noise["sigma2"] if "sigma2" in noise else (Q + noise["rate"]) / noise["df"]
        s = unpack(record["s"])
        half = noise["t"] * np.sqrt(squared * (of["fixed"] + loadings**2 @ (1 / (s * s + lam)) + of["null"] / lam))
    return [of["unit"] * v for v in (value, value - half, value + half)]


def evaluate(record, lam):
    """What the page's script does, from what travels and nothing else."""
    s, z, rank = unpack(record["s"]), unpack(record["z"]), record["rank"]
    b = s * z / (s * s + lam)
    shrink = lam / (s * s + lam)
    Q = record["r0"] + shrink @ z**2
    nu = record["nu"]
    coefficients, low, high = functionals(record, record["coefficients"], b, Q, lam)
    constant = [np.zeros(1)] * 3 if record["intercept"] is None else functionals(record, record["intercept"], b, Q, lam)
    errors = record["errors"]
    if errors["kind"] == "series":
        x = (2 * np.log(lam) - record["low"] - record["high"]) / (record["high"] - record["low"])
        train, loo = (
            np.exp(0.5 * np.polynomial.chebyshev.chebval(x, unpack(errors[name]))) for name in ("train", "loo")
        )
    else:
        U, share = unpack(errors["U"]).reshape(-1, rank), unpack(errors["share"])
        e = unpack(errors["residual"]) + U @ (shrink * z)
        keep = unpack(errors["rest"]) + U**2 @ shrink
        train, loo = np.sqrt(share @ e**2), np.sqrt(share @ (e / keep) ** 2)
    return {
        "standardized": coefficients / unpack(record["coefficients"]["unit"]),
        "coefficients": coefficients,
        "low": low,
        "high": high,
        "intercept": constant[0][0],
        "interceptLow": constant[1][0],
        "interceptHigh": constant[2][0],
        "filter": s * s / (s * s + lam),
        "effectiveDof": (s * s / (s * s + lam)).sum(),
        "penalizedRss": Q,
        "trainRmse": train,
        "looRmse": loo,
        "logEvidence": -0.5 * nu * (np.log(2 * np.pi * Q / nu) + 1)
        - 0.5 * (record["logDet"] + np.log1p(s * s / lam).sum()),
    }


@pytest.mark.parametrize("name", CASES)
def test_payload_gives_the_numbers_of_the_package_all_along_the_slider(name):
    case = CASES[name]
    record = payload(case.page)
    for t in np.linspace(record["low"], record["high"], 23):
        lam = float(np.exp(t))
        found = evaluate(record, lam)
        assert_same(found, case.posterior, lam)
        if record["noise"] is not None:
            assert_same_intervals(found, case.posterior, lam)


@pytest.mark.parametrize("name", CASES)
def test_slider_reaches_what_is_plausible_and_below_is_the_posterior_distribution(name):
    post = CASES[name].posterior
    record = payload(CASES[name].page)
    assert record["low"] < np.log(post.lambda_.median) < record["high"]
    if post.method != "posterior":
        assert record["below"] is None
        return
    ends = np.log(np.asarray(post.lambda_.interval(0.95)))
    assert record["low"] < ends[0] < ends[1] < record["high"]
    below = unpack(record["below"])
    grid = np.exp(np.linspace(record["low"], record["high"], len(below)))
    # linear between the points of the table: the page writes it with three digits
    middle = np.sqrt(grid[1:] * grid[:-1])
    np.testing.assert_allclose(0.5 * (below[1:] + below[:-1]), post.lambda_.cdf(middle), atol=1e-3)


@pytest.mark.parametrize("name", ["precision", "unpenalized", "wide"])
def test_leave_one_out_curve_is_that_of_actual_refits(name):
    """Normal equations of the other rows, written out: centres of the others, scales held fixed."""
    case = CASES[name]
    design = case.posterior.design
    lam = 2.5
    w = np.ones(design.n_rows) if design.weights is None else design.weights
    penalty = np.zeros(design.X.shape[1] + 1)
    penalty[1 + design.penalized] = lam
    A = np.column_stack([np.ones(design.n_rows), (design.X - design.mean) / design.scale])
    squares = []
    for i in range(design.n_rows):
        rest = np.arange(design.n_rows) != i
        normal = (A[rest].T * w[rest]) @ A[rest] + np.diag(penalty)
        beta = np.linalg.solve(normal, A[rest].T @ (w[rest] * design.y[rest]))
        squares.append((design.y[i] - A[i] @ beta) ** 2)
    found = evaluate(payload(case.page), lam)["looRmse"]
    # normal equations square the condition number
    np.testing.assert_allclose(found, np.sqrt(np.mean(squares)), rtol=1e-9)


def test_rows_travel_while_they_are_few_and_a_series_does_then():
    for name, case in CASES.items():
        kind = payload(case.page)["errors"]["kind"]
        size = case.posterior.design.n_rows * case.posterior.spectrum.rank
        assert kind == ("series" if size > ROW_BUDGET else "rows"), name
    assert {payload(CASES[name].page)["errors"]["kind"] for name in ("diabetes", "series")} == {"rows", "series"}


@pytest.mark.parametrize("shape", [(2600, 9), (160, 400)])
def test_series_of_the_errors_is_exact_between_its_nodes(shape):
    rng = np.random.default_rng(5)
    X = rng.standard_normal(shape) * np.exp(rng.uniform(-4, 4, shape[1]))
    signal = X.sum(axis=1)
    post = posterior(X, signal / signal.std() + 0.3 * rng.standard_normal(shape[0]), scale=False)
    data = slider_data(post, [1e-6, 1e6])
    exact = RowErrors(post.design, post.spectrum, row_parts(post.design, post.spectrum))
    t = np.linspace(data.low, data.high, 331)
    assert data.series is not None
    np.testing.assert_allclose(data.log_mean_squares(t), exact.log_mean_squares(t), atol=2e-12, rtol=0)


@pytest.mark.parametrize("width", [1.0, 15.0, 40.0])
def test_series_takes_the_terms_it_needs(width):
    made = chebyshev(lambda t: np.log1p(np.exp(t)), -width, width)
    t = np.linspace(-width, width, 997)
    np.testing.assert_allclose(made(t), np.log1p(np.exp(t)), atol=1e-12, rtol=0)


def test_series_of_a_kink_ends_and_is_no_worse_than_theory():
    # |t| has no analytic strip: beside its kink n terms err by about the distance of their nodes, pi / n
    t = np.linspace(-1, 1, 997)
    assert 1e-5 < np.abs(chebyshev(np.abs, -1.0, 1.0)(t) - np.abs(t)).max() < np.pi / 768


def test_columns_farthest_from_zero_are_shown_in_their_own_order():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((300, 90))
    strong = [3, 50, 77]
    post = posterior(X, X[:, strong] @ [3.0, -3.0, 3.0] + rng.standard_normal(300))
    shown = shown_columns(post)
    assert len(shown) == 40
    assert (np.diff(shown) > 0).all()
    assert set(strong) <= set(shown.tolist())
    ratio = np.abs(post.coefficients.mean) / post.coefficients.sd
    hidden = np.setdiff1d(np.arange(90), shown)
    assert ratio[shown].min() >= ratio[hidden].max()


def test_range_covers_marks_and_passes_over_the_ends():
    post = CASES["diabetes"].posterior
    low, high = slider_range(post, [0.0, np.inf, 0.01, 5e4])
    assert low < np.log(0.01)
    assert high > np.log(5e4)
    assert np.isfinite([low, high]).all()


def test_json_has_no_number_that_json_lacks():
    for case in CASES.values():
        json.dumps(to_json(slider_data(case.posterior), 0.95), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (13.6191, "13.62"), (-0.015, "−0.015"), (1234567.0, "1.235e6"), (-2.5e-7, "−2.5e-7".replace("-", "−")),
     (np.inf, "∞"), (-np.inf, "−∞"), (np.nan, "–"), (999999.0, "1000000"), (100.0, "100"), (0.00012345, "0.0001234")],
)  # fmt: skip
def test_numbers_are_written_with_four_digits(value, written):
    assert number(value) == written


@pytest.mark.parametrize(
    ("value", "sd", "written"),
    [(5.531, 0.6997, "5.53"), (-250.4, 46.12, "−250"), (-0.001, 0.213, "0.00"), (12345.0, 4600.0, "12300"),
     (3.0, 0.0, "3"), (3.0, np.inf, "3"), (np.inf, 1.0, "∞"), (2.5e7, 1.2e5, "2.5e7"), (2.512e7, 1.2e5, "2.512e7"),
     (3.21e-9, 1.1e-9, "3.2e−9"), (0.0, 1.1e-9, "0")],
)  # fmt: skip
def test_numbers_have_the_digits_that_their_sd_leaves(value, sd, written):
    assert rounded(value, sd) == written


def test_scales_have_the_digits_that_their_interval_leaves():
    assert [scale_number(v, (4.352, 32.99)) for v in (13.62, 4.352, 32.99)] == ["14", "4.4", "33"]
    assert scale_number(54.24, (50.8, 57.9)) == "54.2"
    assert scale_number(1395.0, (0.1, 1e6)) == "1400"
    assert scale_number(2.0, (2.0, 2.0)) == "2"
