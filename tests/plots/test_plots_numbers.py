"""Numbers drawn are numbers computed: read back from the axes and held against dense algebra, draws and refits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.optimize import minimize
from scipy.special import ndtri
from scipy.stats import t as student_t

from bayesridge import BayesRidge, plots, posterior
from bayesridge.checks.sbc import posterior_sbc, sbc
from bayesridge.checks.spectral_check import spectral_check
from bayesridge.datasets import load_xy
from bayesridge.errors import DataError
from bayesridge.hyper.prior_of_lambda import LambdaPrior, prior_density
from bayesridge.plots.ellipses import two_coefficients
from bayesridge.plots.inputs import choose_columns, column_sd
from bayesridge.plots.risk import risk_terms
from bayesridge.plots.trace import group_choices
from bayesridge.posteriors.exact_datatree import prior_draws
from bayesridge.posteriors.posterior import Posterior
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedScales,
    FixedSigma,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    LogNormal,
)
from tests.plots.fits import compared, fitted


@pytest.fixture(autouse=True)
def pyplot() -> Iterator[Any]:
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    yield plt
    plt.close("all")


def _standardized(post: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """Columns centred and divided by their sd, target centred: dense, from the data alone (no weights)."""
    X, y = post.design.X, post.design.y
    return (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()


def _ridge(X: np.ndarray, y: np.ndarray, lam: float) -> np.ndarray:
    return np.linalg.solve(X.T @ X + lam * np.eye(X.shape[1]), X.T @ y)


def _line(ax: Any, label: str) -> Any:
    found = [line for line in ax.lines if line.get_label() == label]
    assert len(found) == 1, label
    return found[0]


def _legend(ax: Any) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]


def _title(ax: Any) -> str:
    return ax.get_title(loc="left").replace("\n", " ")


# -- ridge trace -----------------------------------------------------------------------------------------------------


def test_trace_lines_are_dense_ridge_solutions() -> None:
    post = fitted("diabetes")
    top, _ = plots.ridge_trace(post)
    X, y = _standardized(post)
    lam = _line(top, "bmi").get_xdata()
    for k in (0, 150, 399):
        drawn = [_line(top, name).get_ydata()[k] for name in post.design.names]
        # the normal equations of standardised columns have condition 470: 1e-12 of it is rounding
        np.testing.assert_allclose(drawn, _ridge(X, y, lam[k]), rtol=1e-9, atol=1e-9)


def test_trace_density_has_area_one_and_stands_at_the_posterior() -> None:
    post = fitted("diabetes")
    bottom = plots.ridge_trace(post)[-1]
    fill = next(c for c in bottom.collections if type(c).__name__ == "FillBetweenPolyCollection")
    x, height = fill.get_paths()[0].vertices.T
    upper = height > 0
    order = np.argsort(x[upper])
    area = trapezoid(height[upper][order], np.log10(x[upper][order]))
    assert area == pytest.approx(1.0, abs=2e-3)  # the axis leaves out 0.2% of the mass at most
    low, high = post.lambda_.interval(0.95)
    span = bottom.patches[0]
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((low, high), rel=1e-12)


def test_trace_names_the_largest_of_many_columns() -> None:
    post = fitted("300 columns, long names")
    top, _ = plots.ridge_trace(post, columns=5)
    score = np.abs(post.coefficients.mean / post.coefficients.sd)
    best = {post.design.names[j].replace("$", r"\$") for j in np.argsort(-score)[:5]}
    assert {line.get_label() for line in top.lines} & best == best
    assert "5 of 300 columns" in _title(top)
    path = [line for line in top.lines if len(line.get_xdata()) == 400]
    assert len(path) == 300  # the others are drawn too


def test_choices_are_grouped_completely_and_marked_where_they_are() -> None:
    post, comparison = fitted("longley"), compared("longley")
    groups = group_choices(comparison)
    labels = [label for group in groups for label in group.labels]
    assert sorted(labels) == sorted(row.label for row in comparison.rows if row.key in comparison.choices)
    assert all(np.log10(group.high / group.low) <= 0.12 for group in groups)
    _, middle, _ = plots.ridge_trace(post, comparison)
    marked = sorted(float(x) for line in middle.lines if line.get_marker() == "o" for x in line.get_xdata())
    assert marked == pytest.approx(sorted(lam for group in groups for lam in (group.low, group.high)), rel=1e-12)


def test_choices_at_zero_and_infinity_are_arrows_at_the_edge() -> None:
    post, comparison = fitted("no signal"), compared("no signal")
    ends = {choice.lam for choice in comparison.choices.values()} & {0.0, np.inf}
    assert ends, "this fit is here because rules choose the ends"
    _, middle, _ = plots.ridge_trace(post, comparison)
    assert {"<": 0.0, ">": np.inf}.keys() & {line.get_marker() for line in middle.lines}
    assert any("λ = " in text.get_text() for text in middle.texts)


# -- posterior of lambda ---------------------------------------------------------------------------------------------


def test_lambda_density_evidence_and_modes() -> None:
    post = fitted("longley")
    top, bottom = plots.lambda_posterior(post)
    grid, density = top.lines[0].get_data()
    assert trapezoid(density, np.log10(grid)) == pytest.approx(1.0, abs=2e-3)
    X, y = _standardized(post)
    # profile evidence from the dense marginal covariance of the centred y, up to a constant
    lam, drawn = bottom.lines[0].get_data()
    basis = np.linalg.svd(np.ones((len(y), 1)))[0][:, 1:]

    def dense(value: float) -> float:
        cov = np.eye(len(y) - 1) + basis.T @ X @ X.T @ basis / value
        inside = basis.T @ y
        return -0.5 * np.linalg.slogdet(cov)[1] - 0.5 * len(inside) * np.log(inside @ np.linalg.solve(cov, inside))

    some = [100, 250, 400]
    values = np.array([dense(lam[k]) for k in some])
    np.testing.assert_allclose(np.diff(drawn[some]), np.diff(values), atol=1e-7)
    assert bottom.lines[1].get_xdata()[0] == pytest.approx(post.evidence.best.lam)
    assert bottom.lines[1].get_ydata()[0] == 0.0
    assert "95% ETI" in _legend(bottom)


def test_several_modes_are_marked_with_their_shares() -> None:
    post = fitted("two modes")
    assert len(post.evidence_modes) == 2
    _, bottom = plots.lambda_posterior(post)
    shares = [100 * one.share for one in post.evidence_modes]
    assert min(shares) > 10, "a second mode that counts"
    assert [text.get_text().split("\n")[1] for text in bottom.texts] == [f"{share:.0f}% of mass" for share in shares]
    markers = [line.get_marker() for line in bottom.lines[1:]]
    assert markers == ["o", ">"]  # the second is the limit lambda -> infinity


@pytest.mark.parametrize(
    ("prior", "noise"),
    [
        (BetaR2(0.5, 0.5), None),
        (BetaR2(2, 3), None),
        (LogNormal(3.0, 1.2), None),
        (HalfNormal(0.7), None),
        (HalfNormal(2.0, on="tau"), HalfT(3, 2.0, on="sigma")),
        (HalfT(4, 1.5, on="tau"), InverseGamma(3.0, 2.0)),
        (HalfCauchy(2.0, on="tau"), FixedSigma(1.8)),
        (GammaPrecisions(1.5, 0.8, 2.0, 1.3), None),
    ],
    ids=str,
)
def test_prior_of_lambda_is_that_of_its_draws(prior: Any, noise: Any) -> None:
    post = posterior(*load_xy("sensor"), prior=prior, noise_prior=noise)
    density = prior_of(post)
    assert density is not None
    assert density.normalized
    t = np.arange(-60.0, 60.0, 0.04)
    height = np.exp(density.log_density(t))
    cumulative = 0.04 * (np.cumsum(height) - 0.5 * height)
    assert cumulative[-1] == pytest.approx(1.0, abs=1e-6)
    n = 40_000
    drawn = np.log(
        prior_draws(post.spectrum, post.prior, post.noise_prior, n, np.random.default_rng(3))["lambda_"].ravel()
    )
    for q in (0.1, 0.5, 0.9):
        share = np.interp(np.quantile(drawn, q), t, cumulative)
        assert abs(share - q) < 4.5 * np.sqrt(q * (1 - q) / n)


def prior_of(post: Posterior) -> LambdaPrior | None:
    return prior_density(post.prior, post.noise_prior, post.spectrum.signal, post.sigma.median)


def test_prior_is_left_out_where_there_is_none() -> None:
    assert prior_of(fitted("lambda fixed")) is None
    assert len(_legend(plots.lambda_posterior(fitted("lambda plugged in"))[1])) == 3  # its line, evidence, modes
    improper = posterior(*load_xy("sensor"), prior=HalfNormal(2.0, on="tau"))
    assert prior_of(improper) is None
    custom = posterior(*load_xy("sensor"), prior=Custom(lambda lam: -np.log1p(lam) * 2 + 5.0))
    density = prior_of(custom)
    assert density is not None
    assert not density.normalized
    assert any("shape only" in text for text in _legend(plots.lambda_posterior(custom)[1]))


# -- coefficients ----------------------------------------------------------------------------------------------------


def test_forest_draws_posterior_map_and_least_squares() -> None:
    post = fitted("diabetes")
    ax = plots.coefficients(post)
    X, y = _standardized(post)
    n, p = X.shape
    by_marker = {line.get_marker(): line for line in ax.lines if len(line.get_xdata()) == p}
    # posterior means: ridge averaged over the nodes, densely
    nodes = post.hyper.nodes
    mean = sum(w * _ridge(X, y, lam) for w, lam in zip(nodes.weight, nodes.lam, strict=True))
    np.testing.assert_allclose(by_marker["o"].get_xdata(), mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(by_marker["D"].get_xdata(), _ridge(X, y, post.evidence.best.lam), atol=1e-9)
    ols = _ridge(X, y, 0.0)
    np.testing.assert_allclose(by_marker["s"].get_xdata(), ols, atol=1e-8)
    df = n - p - 1
    se = np.sqrt(np.sum((y - X @ ols) ** 2) / df * np.linalg.inv(X.T @ X).diagonal())
    half = student_t.ppf(0.975, df) * se
    posterior_bars, ols_bars = (np.array(c.get_segments())[:, :, 0] for c in ax.collections[:2])
    # quantiles are solved to 1e-9 of their scale
    np.testing.assert_allclose(ols_bars, np.column_stack([ols - half, ols + half]), atol=1e-6)
    draws = post.draw(4000, 1, 0).coef[0] * column_sd(post.design)
    inside = ((draws > posterior_bars[:, 0]) & (draws < posterior_bars[:, 1])).mean(axis=0)
    assert np.abs(inside - 0.95).max() < 4.5 * np.sqrt(0.95 * 0.05 / 4000)


def test_forest_leaves_least_squares_out_without_rank_and_says_what_it_left_out() -> None:
    ax = plots.coefficients(fitted("300 columns, long names"), columns=7)
    assert not any("least squares" in text for text in _legend(ax))
    assert "7 of 300 columns" in _title(ax)
    assert len(ax.get_yticklabels()) == 7
    ax = plots.coefficients(fitted("constant column"))
    assert "1 without spread not shown" in _title(ax)
    assert len(ax.get_yticklabels()) == 3


def test_column_sd_is_weighted() -> None:
    design = fitted("precision weights").design
    w = design.weights / design.weights.sum()
    expected = np.sqrt(w @ (design.X - w @ design.X) ** 2)
    np.testing.assert_allclose(column_sd(design), expected, rtol=1e-12)
    assert choose_columns(fitted("precision weights"), 10).note == ""


# -- shrinkage -------------------------------------------------------------------------------------------------------


def test_shrinkage_bars_are_filter_factors_and_the_band_their_quantiles() -> None:
    post = fitted("longley")
    ax = plots.shrinkage(post)
    s2 = np.linalg.svd(_standardized(post)[0], compute_uv=False) ** 2
    heights = np.array([bar.get_height() for bar in ax.containers[0]])
    # small singular values of Longley (condition 110) lose a few digits in s2
    np.testing.assert_allclose(heights, s2 / (s2 + post.lambda_.median), rtol=1e-8)
    segments = np.array(ax.containers[2].lines[2][0].get_segments())[:, :, 1]
    lam = post.draw(20_000, 1, 2).lam[0]
    factors = s2 / (s2 + lam[:, None])
    inside = ((factors > segments[:, 0]) & (factors < segments[:, 1])).mean(axis=0)
    assert np.abs(inside - 0.95).max() < 4.5 * np.sqrt(0.95 * 0.05 / 20_000)
    assert "intercept not counted" in _title(ax)


# -- contours --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [("s1", "s2"), ("bmi", "bp")])
def test_contour_solution_is_the_minimiser_with_the_others_held(pair: tuple[str, str]) -> None:
    post = fitted("diabetes")
    problem = two_coefficients(post, pair, 40.0)
    X, y = _standardized(post)
    beta = _ridge(X, y, 40.0)
    at = [post.design.names.index(name) for name in pair]
    rest = y - np.delete(X, at, axis=1) @ np.delete(beta, at)

    def loss(b: np.ndarray) -> float:
        return float(np.sum((rest - X[:, at] @ b) ** 2))

    found = minimize(lambda b: loss(b) + 40.0 * b @ b, np.zeros(2), method="BFGS", options={"gtol": 1e-6})
    # the criterion is flat to rounding (1e-16 of 1e6) within 1e-5 or so of its minimum
    np.testing.assert_allclose(problem.solution, found.x, atol=1e-4)
    np.testing.assert_allclose(problem.solution, beta[at], rtol=1e-9)
    np.testing.assert_allclose(problem.minimum, np.linalg.lstsq(X[:, at], rest)[0], rtol=1e-8)
    ring = problem.ellipse(7.0, 12)
    np.testing.assert_allclose([loss(b) - loss(problem.minimum) for b in ring], 7.0, rtol=1e-5)
    # the circle touches the contour: the gradient of the loss points along the solution
    gradient = 2.0 * problem.gram @ (problem.solution - problem.minimum)
    np.testing.assert_allclose(gradient, -2.0 * 40.0 * problem.solution, rtol=1e-8)


def test_contours_draw_what_was_computed() -> None:
    post = fitted("diabetes")
    problem = two_coefficients(post, ("s1", "s2"))
    ax = plots.contours(post, ("s1", "s2"))
    markers = {line.get_marker(): line.get_xydata()[0] for line in ax.lines if len(line.get_xdata()) == 1}
    np.testing.assert_allclose(markers["o"], problem.solution)
    np.testing.assert_allclose(markers["s"], problem.minimum)
    rings = [line.get_xydata() for line in ax.lines if len(line.get_xdata()) == 361]
    assert min(np.abs(ring - problem.solution).max(axis=1).min() for ring in rings[:-1]) < 0.1
    np.testing.assert_allclose(np.linalg.norm(rings[-1], axis=1), np.linalg.norm(problem.solution))
    assert ax.get_aspect() == 1.0


def test_default_pair_is_the_most_correlated() -> None:
    correlation = np.abs(np.corrcoef(fitted("diabetes").design.X.T)) - np.eye(10)
    a, b = np.unravel_index(np.argmax(correlation), correlation.shape)
    names = fitted("diabetes").design.names
    assert set(two_coefficients(fitted("diabetes")).names) == {names[a], names[b]}


@pytest.mark.parametrize(
    ("pair", "lam", "text"),
    [(("s1", "nothing"), None, "names 'nothing'"), (("s1", "s1"), None, "two different"), (None, 0.0, "positive")],
)
def test_contours_refuse(pair: Any, lam: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        plots.contours(fitted("diabetes"), pair, lam=lam)


def test_contours_of_duplicated_columns_stay_finite() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((30, 2))
    post = posterior(x[:, [0, 0, 1]], x[:, 0] + rng.standard_normal(30))
    problem = two_coefficients(post, ("x0", "x1"))
    assert np.isfinite(problem.minimum).all()
    assert np.isfinite(problem.ellipse(1.0)).all()
    plots.contours(post, ("x0", "x1"))


# -- bias and variance -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["longley", "unpenalised columns", "precision weights", "frequency weights", "no intercept"]
)
def test_bias_and_variance_equal_the_dense_hat_matrix(name: str) -> None:
    post = fitted(name)
    design = post.design
    n, p = design.X.shape
    rng = np.random.default_rng(0)
    coef, sigma, lam = rng.standard_normal(p) / column_sd(design), 1.7, 2.5
    w = np.ones(n) if design.weights is None else design.weights
    # the model as it stands: intercept and unpenalised columns without a penalty, the others scaled
    X = design.X / design.scale
    penalty = np.full(p, lam)
    penalty[design.unpenalized] = 0.0
    if design.fit_intercept:
        X, penalty = np.column_stack([np.ones(n), X]), np.concatenate([[0.0], penalty])
    hat = X @ np.linalg.solve(X.T @ (w[:, None] * X) + np.diag(penalty), X.T * w)
    truth = design.X @ coef
    # rows counted w times have noise variance sigma^2 / w on average over their copies, as precision weights have
    spread = np.divide(sigma**2, w, out=np.zeros(n), where=w > 0)
    bias2 = np.sum(w * (hat @ truth - truth) ** 2) / design.n_obs
    variance = np.sum(w * (hat**2 @ spread)) / design.n_obs
    terms = risk_terms(post, [lam], coef=coef, sigma=sigma)
    assert terms.bias2[0] == pytest.approx(bias2, rel=1e-8)
    assert terms.variance[0] == pytest.approx(variance, rel=1e-8)
    assert terms.total[0] == pytest.approx(bias2 + variance + sigma**2, rel=1e-8)


@pytest.mark.parametrize("name", ["diabetes", "longley", "prior on tau", "lambda fixed", "300 columns, long names"])
def test_posterior_average_equals_that_over_draws(name: str) -> None:
    post = fitted(name)
    lam = np.array([0.02, 1.0, 30.0])
    terms = risk_terms(post, lam)
    drawn = post.draw(1500, 1, 4)
    many = [risk_terms(post, lam, coef=c, sigma=s) for c, s in zip(drawn.coef[0], drawn.sigma[0], strict=True)]
    for field in ("bias2", "variance", "total"):
        values = np.array([getattr(one, field) for one in many])
        error = values.std(axis=0) / np.sqrt(len(values))
        # draws of one posterior serve nine comparisons: 4.5 standard errors
        assert (np.abs(values.mean(axis=0) - getattr(terms, field)) < 4.5 * error).all(), field


def test_bias_variance_draws_its_terms_and_their_minimum() -> None:
    post = fitted("longley")
    ax = plots.bias_variance(post)
    lam, total = ax.lines[0].get_data()
    terms = risk_terms(post, lam)
    np.testing.assert_allclose(total, terms.bias2 + terms.variance)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), terms.bias2)
    np.testing.assert_allclose(ax.lines[2].get_ydata(), terms.variance)
    assert ax.lines[3].get_xdata()[0] == lam[np.argmin(terms.total)]


def test_risk_terms_refuse_half_a_truth() -> None:
    post = fitted("longley")
    with pytest.raises(DataError, match="together"):
        risk_terms(post, 1.0, sigma=1.0)
    with pytest.raises(DataError, match="6 finite numbers"):
        risk_terms(post, 1.0, coef=np.ones(3), sigma=1.0)
    with pytest.raises(DataError, match="sigma must be"):
        risk_terms(post, 1.0, coef=np.ones(6), sigma=-1.0)
    rng = np.random.default_rng(0)
    tiny = posterior(rng.standard_normal((3, 2)), rng.standard_normal(3))
    with pytest.raises(DataError, match="infinite"):
        plots.bias_variance(tiny)


# -- checks ----------------------------------------------------------------------------------------------------------


def test_spectral_plots_show_every_direction() -> None:
    post = fitted("diabetes")
    check = spectral_check(post, simulations=200)
    left, right = plots.spectral_check(check)
    points = next(line for line in left.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_ydata(), np.sort(check.standardized))
    np.testing.assert_allclose(points.get_xdata(), ndtri((np.arange(1, 11) - 0.375) / 10.25))
    X, y = _standardized(post)
    z = np.abs(np.linalg.svd(X, full_matrices=False)[0].T @ y)
    squares = next(line for line in right.lines if line.get_marker() == "s")
    np.testing.assert_allclose(squares.get_ydata(), z, rtol=1e-8)


def test_outlying_directions_are_named() -> None:
    rng = np.random.default_rng(3)
    Q = np.linalg.qr(np.column_stack([np.ones(80), rng.standard_normal((80, 40))]))[0][:, 1:]
    X = Q @ np.diag(np.linspace(3, 1, 40))
    y = 60.0 * Q[:, 7] + 0.3 * rng.standard_normal(80)
    check = spectral_check(posterior(X, y), simulations=400)
    assert len(check.outliers) == 1
    left, _ = plots.spectral_check(check)
    assert [text.get_text() for text in left.texts] == [f"{check.outliers[0] + 1}: {check.columns[0][0][0]}"]
    assert "departs" in _title(left)
    assert "larger than the prior allows" in _legend(left)


def test_loo_pit_curve_is_the_share_below_less_the_diagonal() -> None:
    post = fitted("precision weights")
    ax = plots.loo_pit(post)
    pit = post.loo.pit[post.design.weights > 0]
    curve = next(line for line in ax.lines if len(line.get_xdata()) > 2)
    z, drawn = curve.get_data()
    np.testing.assert_allclose(drawn[1:-1], [(pit <= at).mean() - at for at in z[1:-1]], atol=1e-12)
    assert f"{len(pit)} rows" in _title(ax)


@pytest.mark.parametrize(("family", "drawn"), [("poisson", True), ("student", False)])
def test_loo_pit_is_randomised_only_of_whole_numbers(family: str, drawn: bool) -> None:
    rng = np.random.default_rng(4)
    X = rng.standard_normal((30, 2))
    ax = plots.loo_pit(posterior(X, rng.poisson(3.0, 30).astype(float), family=family), simulations=50)
    assert ("randomised" in _title(ax)) == drawn


def test_loo_pit_says_what_the_calibration_finds() -> None:
    rng = np.random.default_rng(8)
    X = rng.standard_normal((100, 3))
    y = X.sum(axis=1) + rng.standard_normal(100)
    assert "no departure found" in _title(plots.loo_pit(posterior(X, y)))
    ax = plots.loo_pit(posterior(X, y, prior=FixedScales(sigma=0.4, tau=1.0)))
    assert "not uniform" in _title(ax)
    z, drawn = next(line for line in ax.lines if len(line.get_xdata()) > 2).get_data()
    outline = ax.collections[0].get_paths()[0]  # the band, as a polygon
    assert not all(outline.contains_point(point, radius=1e-9) for point in zip(z[1:-1], drawn[1:-1], strict=True))


def test_replicates_follow_the_exact_predictive_distribution() -> None:
    post = fitted("lambda fixed")
    ax = plots.posterior_predictive(post, draws=300, lines=300)
    curves = np.array([line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 256])
    assert curves.shape == (300, 256)
    grid = ax.lines[0].get_xdata()
    target = post.predict(post.design.X).target
    for k in (90, 128, 160):
        exact = target.cdf(grid[k]).mean()
        error = curves[:, k].std() / np.sqrt(300)
        assert abs(curves[:, k].mean() - exact) < 4.5 * error
    observed = ax.lines[-1]
    y = post.design.y
    x, share = observed.get_data()
    last = np.append(np.diff(x[1:-1]) > 0, True)  # of tied values the last step counts
    np.testing.assert_allclose(share[1:-1][last], [(y <= at).mean() for at in x[1:-1][last]])


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_replicates_of_counts_are_counts(family: str) -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 2))
    y, trials = rng.binomial(6, 0.4, 60).astype(float), np.full(60, 6.0) if family == "binomial" else None
    post = posterior(X, y, family=family, offset=np.linspace(-0.5, 0.5, 60), trials=trials)
    ax = plots.posterior_predictive(post, draws=400, lines=400)
    curves = np.array([line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 256])
    grid = ax.lines[0].get_xdata()
    target = post.predict(X, offset=np.linspace(-0.5, 0.5, 60), trials=trials).target
    for value in (0.5, 1.5, 2.5, 4.5):
        at = curves[:, np.searchsorted(grid, value)]
        assert abs(at.mean() - target.cdf(value).mean()) < 4.5 * at.std() / np.sqrt(400)
    assert (curves[:, grid < 0] == 0).all()
    weighted = posterior(X, y, family="poisson", weights=np.full(60, 2.0))
    with pytest.raises(DataError, match="repeat the rows"):
        plots.posterior_predictive(weighted)


def test_replicates_count_rows_by_frequency_and_leave_out_weight_zero() -> None:
    ax = plots.posterior_predictive(fitted("frequency weights"), draws=40)
    assert f"{fitted('frequency weights').design.n_obs:g} observations" in _title(ax)
    ax = plots.posterior_predictive(fitted("precision weights"), draws=40)
    assert "23 observations" in _title(ax)
    with pytest.raises(DataError, match="lines"):
        plots.posterior_predictive(fitted("longley"), draws=10, lines=20)


def test_leave_one_out_intervals_are_those_of_refits_and_are_counted() -> None:
    X, y = (np.asarray(part, dtype=float) for part in load_xy("longley"))
    prior = LogNormal(0.1, 1.5)  # does not depend on the design, so that a refit has the same one
    post = posterior(X, y, prior=prior)
    ax = plots.predicted_observed(post)
    bars = np.array(next(c for c in ax.collections if hasattr(c, "get_segments")).get_segments())
    inside = 0
    for i in range(len(y)):
        keep = np.arange(len(y)) != i
        rest = posterior(X[keep], y[keep], prior=prior, scale=post.design.scale)
        refit = rest.predict(X[i : i + 1])
        low, high = refit.interval(0.95)[0]
        # both quantiles are solved to 1e-9 of the scale, means agree to 1e-10
        np.testing.assert_allclose(bars[i, :, 1], [low, high], rtol=1e-6)
        np.testing.assert_allclose(bars[i, 0, 0], refit.mean[0], rtol=1e-8)
        inside += bool(low <= y[i] <= high)
    found = re.search(r"hold (\d+) of (\d+) rows", _title(ax))
    assert found
    assert (int(found[1]), int(found[2])) == (inside, len(y))
    outside = next(line for line in ax.lines if line.get_marker() == "X")
    assert len(outside.get_xdata()) == len(y) - inside


# -- rules and calibration -------------------------------------------------------------------------------------------


def test_rules_stand_at_their_lambda_in_order() -> None:
    comparison = compared("longley")
    left, right = plots.rules(comparison)
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels[0].startswith("full posterior")
    chosen = sorted((row for row in comparison.rows if row.key in comparison.choices), key=lambda row: row.lam)
    at = {float(y): float(x) for line in left.lines if line.get_marker() not in ("None", "", None)
          for x, y in line.get_xydata()}  # fmt: skip
    for k, row in enumerate(chosen, start=1):
        assert labels[k] == row.label
        assert at[float(k)] == pytest.approx(row.lam, rel=1e-12)
    cost = right.containers[0].lines[0]
    expected = [comparison.rows[0].elpd_diff, *[row.elpd_diff for row in chosen]]
    np.testing.assert_allclose(cost.get_xdata(), expected)
    assert {"95% ETI of the posterior", "no interval of its own"} <= set(_legend(left))


def test_rules_without_an_answer_say_so_and_ends_are_arrows() -> None:
    comparison = compared("300 columns, long names")
    left, _ = plots.rules(comparison)
    silent = sum(not row.available for row in comparison.rows)
    zero = sum(row.lam == 0 for row in comparison.rows)
    assert silent
    texts = [text.get_text() for text in left.texts]
    assert texts.count("no answer") == silent
    assert texts.count("λ = 0") == zero


def test_sbc_curves_and_failures() -> None:
    result = posterior_sbc(fitted("longley"), simulations=80, draws=20, random_state=2)
    ax = plots.sbc_ranks(result)
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert len(curves) == len(result.pits)
    for line, (name, pit) in zip(curves, result.pits.items(), strict=True):
        z, drawn = line.get_data()
        expected = [(pit <= at).mean() - at for at in z[1:-1]]
        np.testing.assert_allclose(drawn[1:-1], expected, atol=1e-12, err_msg=name)
    # plugging lambda in is not calibrated: with 200 small data sets it must show
    broken = sbc((8, 6), simulations=300, draws=20, method="evidence", random_state=0)
    assert broken.failed
    ax = plots.sbc_ranks(broken)
    named = [text for text in _legend(ax) if text.endswith(": fails")]
    assert len(named) == min(len(broken.failed), 10)
    assert f"{len(broken.failed)} of {len(broken.pits)} quantities fail" in _title(ax)


# -- differences, residuals, joint scales, bands, partial effects -----------------------------------------------------


def test_difference_of_ecdfs_against_the_predictive_cdf_and_its_band_holds_whole_curves() -> None:
    post = fitted("longley")
    ax = plots.predictive_difference(post, draws=2000)
    grid, drawn = ax.lines[0].get_data()
    y, target = np.sort(post.design.y), post.predict(post.design.X).target
    for k in (60, 128, 200):
        expected = (y <= grid[k]).mean() - target.cdf(grid[k]).mean()  # replicates average to the predictive cdf
        assert drawn[k] == pytest.approx(expected, abs=4.5 * 0.5 / np.sqrt(2000))
    # other replicates of the same model: 95% of whole curves stay inside, give or take 4 sd of a share of 1000
    rng = np.random.default_rng(7)
    made = np.sort(post.replicate(np.arange(len(y)), 1000, rng), axis=1)
    curves = np.array([np.searchsorted(one, grid, side="right") for one in made]) / len(y)
    half = ax.lines[1].get_ydata()
    centre = (np.searchsorted(y, grid, side="right") / len(y)) - drawn
    inside = (np.abs(curves - centre) <= half + 1e-12).all(axis=1).mean()
    assert inside == pytest.approx(0.95, abs=0.03)


def test_the_difference_leaves_its_band_where_the_model_is_wrong() -> None:
    assert "leaves its band" in _title(plots.predictive_difference(fitted("diabetes")))
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 3))
    ax = plots.predictive_difference(posterior(X, X[:, 0] + rng.standard_normal(60)))
    assert "stays in its band" in _title(ax)


def test_residuals_intervals_and_means_of_neighbours() -> None:
    post = fitted("precision weights")
    ax = plots.residuals(post)
    seen = post.design.weights > 0
    found = post.predict(post.design.X[seen], post.design.weights[seen])
    left = post.design.y[seen] - found.mean
    low, high = found.interval().T
    inside = (low <= post.design.y[seen]) & (post.design.y[seen] <= high)
    assert f"{inside.sum()} of 23 rows" in _title(ax)
    drawn = np.concatenate([line.get_xydata() for line in ax.lines if line.get_marker() in ("o", "X")])
    wanted = np.column_stack([found.mean, left])
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], wanted[np.lexsort(wanted.T)], rtol=1e-12)
    # of many rows, groups of neighbours: against scipy's own interval
    post = fitted("diabetes")
    ax = plots.residuals(post)
    bars = ax.containers[0]
    fitted_ = post.predict(post.design.X).mean
    first = np.argsort(fitted_, kind="stable")[:37]  # 442 rows in twelve groups
    some = (post.design.y - fitted_)[first]
    assert bars.lines[0].get_ydata()[0] == pytest.approx(some.mean(), rel=1e-9)
    ends = student_t.interval(0.95, 36, some.mean(), some.std(ddof=1) / np.sqrt(37))
    np.testing.assert_allclose(bars.lines[2][0].get_segments()[0][:, 1], ends, rtol=1e-9)
    assert "100 of 100 of 442 rows" in _title(plots.residuals(post, rows=100, level=0.9999))


def test_residuals_of_counts_need_their_offset() -> None:
    rng = np.random.default_rng(4)
    X = rng.standard_normal((30, 2))
    offset = rng.uniform(0.0, 1.0, 30)
    post = posterior(X, rng.poisson(np.exp(offset + 0.3 * X[:, 0])), family="poisson", offset=offset)
    with pytest.raises(DataError, match="offset"):
        plots.residuals(post)
    ax = plots.residuals(post, offset=offset)
    mean = post.predict(X, offset=offset).mean
    drawn = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() in ("o", "X")])
    np.testing.assert_allclose(np.sort(drawn), np.sort(mean), rtol=1e-12)
    with pytest.raises(DataError, match="no noise sd"):
        plots.scales(post)


def test_regions_of_sigma_and_tau_hold_what_they_say_and_lines_are_of_equal_lambda() -> None:
    from matplotlib.path import Path

    post = fitted("longley")
    ax = plots.scales(post)
    drawn = post.draw(4_000, 1, random_state=5)
    points = np.column_stack([drawn.sigma[0], drawn.tau[0]])
    contours = next(c for c in ax.collections if type(c).__name__.endswith("ContourSet"))
    for path, share in zip(contours.get_paths(), (0.95, 0.5), strict=True):
        held = np.any([Path(part).contains_points(points) for part in path.to_polygons()], axis=0).mean()
        assert held == pytest.approx(share, abs=0.02)  # smoothing a skewed density moves its edges by a hundredth
    lines = [line for line in ax.lines if line.get_color() == "#858585"]
    assert lines
    for line in lines:
        sigma, tau = line.get_data()
        assert (sigma[0] / tau[0]) ** 2 == pytest.approx((sigma[1] / tau[1]) ** 2, rel=1e-9)
    texts = {text.get_text() for text in ax.texts}
    assert all(text.startswith("λ = ") for text in texts)
    assert len(texts) == len(lines)  # each has its value beside it
    low, high = post.tau.interval()
    assert f"{low:.0f} to {high:.0f}" in _title(plots.scales(post))
    # every group of columns has a tau of its own
    groups = {"first": ["x0"], "second": ["x1", "x2"]}
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30, 3))
    ax = plots.scales(posterior(X, X[:, 0] + rng.standard_normal(30), groups=groups))
    assert [text.split(":")[0] for text in _legend(ax)[:2]] == ["σ and τ[first]", "σ and τ[second]"]


def test_bands_of_paths_are_t_intervals_at_that_lambda_and_the_edge_is_the_posterior() -> None:
    post = fitted("diabetes")
    axes = plots.coefficient_paths(post, columns=10)
    X, y = _standardized(post)
    nu = len(y) - 1
    for k, ax in enumerate(axes):
        lam = ax.lines[1].get_xdata()
        i = 12
        inverse = np.linalg.inv(X.T @ X + lam[i] * np.eye(10))
        beta = inverse @ X.T @ y
        Q = y @ (y - X @ beta)
        half = student_t.ppf(0.975, nu) * np.sqrt(Q / nu * inverse[k, k])
        assert ax.lines[1].get_ydata()[i] == pytest.approx(beta[k], rel=1e-7, abs=1e-7)
        band = next(c for c in ax.collections if type(c).__name__ == "FillBetweenPolyCollection")
        at = band.get_paths()[0].vertices
        ends = np.sort(np.unique(at[np.isclose(at[:, 0], lam[i], rtol=1e-12), 1]))
        np.testing.assert_allclose(ends[[0, -1]], [beta[k] - half, beta[k] + half], rtol=1e-6)
        own = next(c for c in ax.collections if hasattr(c, "get_segments")).get_segments()[0][:, 1]
        wanted = post.coefficients.interval()[k] * post.design.X[:, k].std()
        np.testing.assert_allclose(own, wanted, rtol=1e-9)


def test_partial_effects_are_contrasts_of_averages() -> None:
    """A quadratic and an interaction, written out: its value less its average, with the covariance of both."""
    import pandas as pd

    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"x": rng.uniform(0.0, 2.0, 50), "g": np.array(["a", "b"])[np.arange(50) % 2]})
    frame["y"] = frame.x**2 + np.where(frame.g == "b", frame.x, 0.0) + 0.3 * rng.standard_normal(50)
    fit = BayesRidge(formula="y ~ x + {x**2} + g + x:g").fit(frame)
    of_x, of_g = plots.partial_effects(fit, frame)
    b = frame.g.eq("b").to_numpy(dtype=float)
    names = list(fit.coef_names_)

    def row(x: np.ndarray, g: np.ndarray) -> np.ndarray:
        made = {"x": x, "x**2": x**2, "g[T.b]": g, "x:g[T.b]": x * g}
        return np.array([made[name.strip("{}").replace(" ", "")].mean() for name in names])

    values, drawn = of_x.lines[1].get_data()
    for k in (0, 20, 40):
        at = row(np.full(50, values[k]), b) - row(frame.x.to_numpy(), b)
        assert drawn[k] == pytest.approx(at @ fit.coef_, rel=1e-9)
    segments = next(c for c in of_g.collections if hasattr(c, "get_segments")).get_segments()
    for k in (0, 1):
        at = row(frame.x.to_numpy(), np.full(50, float(k))) - row(frame.x.to_numpy(), b)
        np.testing.assert_allclose(segments[k][:, 1], fit.posterior_.contrast(at[None]).interval()[0], rtol=1e-9)


def test_partial_effects_of_counts_are_on_the_rate() -> None:
    import pandas as pd

    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"x": rng.standard_normal(60)})
    frame["y"] = rng.poisson(np.exp(0.5 + 0.6 * frame.x))
    fit = BayesRidge(family="poisson", formula="y ~ x").fit(frame)
    (ax,) = plots.partial_effects(fit, frame)
    values, drawn = ax.lines[1].get_data()
    wanted = fit.predict(pd.DataFrame({"x": values})) - fit.predict(frame).mean()
    np.testing.assert_allclose(drawn, wanted, rtol=1e-9, atol=1e-12)


def test_the_band_of_the_picard_plot_holds_sizes_and_not_their_sd() -> None:
    """Half-normal quantiles from scipy; of directions simulated from the model one in twenty lies outside."""
    from scipy.stats import halfnorm

    check = spectral_check(fitted("300 columns, long names"), simulations=200)
    band = next(c for c in plots.spectral_check(check)[1].collections if type(c).__name__.startswith("FillBetween"))
    at = band.get_paths()[0].vertices
    low, high = halfnorm.ppf([0.025, 0.975])
    np.testing.assert_allclose(at[at[:, 0] == 1.0, 1].min(), low * check.expected[0, 1], rtol=1e-9)
    np.testing.assert_allclose(at[at[:, 0] == 1.0, 1].max(), high * check.expected[0, 1], rtol=1e-9)
    inside = (np.abs(check.z) > low * check.expected[:, 1]) & (np.abs(check.z) < high * check.expected[:, 1])
    assert inside.mean() > 0.85  # 39 directions of a table that the model fits: 0.95 less three standard errors
