"""Independent draws against exact moments, and the MAP of the stated model against the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from bayesridge import BetaR2, FixedScales, FixedTau, GammaPrecisions, HalfCauchy, HalfNormal, HalfT
from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.errors import DataError
from bayesridge.fit import posterior
from bayesridge.linalg.optimizer import map_estimate
from bayesridge.linalg.spectrum import factorize

RNG = np.random.default_rng(11)
TABLES = {
    "tall": (RNG.standard_normal((40, 5)), {}),
    "wide": (RNG.standard_normal((15, 30)), {}),
    "unpenalised": (RNG.standard_normal((30, 5)), {"unpenalized": [0, 2]}),
    "precision": (RNG.standard_normal((30, 4)), {"weights": RNG.uniform(0.2, 4, 30), "weight_kind": "precision"}),
}
PRIORS = {
    "conjugate line": {"prior": BetaR2(2, 2)},
    "plane": {"prior": HalfCauchy(1.0, on="tau"), "noise_prior": HalfT(4, 1, on="sigma")},
    "gamma precisions": {"prior": GammaPrecisions(2, 1, 2, 1)},
    "sigma line": {"prior": FixedTau(0.8), "noise_prior": HalfNormal(2, on="sigma")},
    "point": {"prior": FixedScales(1.0, 0.7)},
}


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("table", TABLES)
def test_draws_match_exact_moments_and_distributions(table: str, prior: str) -> None:
    X, options = TABLES[table]
    y = X[:, 0] - X[:, 1] + np.random.default_rng(2).standard_normal(len(X))
    post = posterior(X, y, **PRIORS[prior], **options)
    n = 20_000
    draws = post.draw(n // 4, 4, random_state=1)
    coef = draws.coef.reshape(n, -1)
    mean, sd = post.coefficients.mean, post.coefficients.sd
    assert (np.abs(coef.mean(axis=0) - mean) <= 4 * coef.std(axis=0) / np.sqrt(n)).all()
    # the standard error of a variance needs the fourth moment, estimated from the draws
    squares = (coef - mean) ** 2
    assert (np.abs(squares.mean(axis=0) - sd**2) <= 4 * squares.std(axis=0) / np.sqrt(n)).all()
    intercept = draws.intercept.ravel()
    assert abs(intercept.mean() - post.intercept.mean[0]) <= 4 * intercept.std() / np.sqrt(n)
    for values, marginal in (
        (draws.lam, post.lambda_),
        (draws.sigma, post.sigma),
        (draws.tau, post.tau),
    ):
        if marginal.sd > 0:
            # one in a million by chance, for each of some fifty tests with a fixed seed
            assert kstest(marginal.cdf(values.ravel()), "uniform").pvalue > 1e-6
        else:
            np.testing.assert_allclose(values, marginal.median, rtol=1e-12)
    j = int(np.argmax(np.abs(mean / sd)))
    many = np.quantile(coef[:, j], [0.05, 0.5, 0.95])
    found = [post.coefficients.cdf(q)[j] for q in many]
    np.testing.assert_allclose(found, [0.05, 0.5, 0.95], atol=4 * 0.5 / np.sqrt(n))


def test_same_seed_same_draws() -> None:
    X, y = load_xy("longley")
    post = posterior(X, y)
    one, two = (post.draw(50, 2, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one.coef, two.coef)
    for count, said in (
        (0, "draws must be at least 1"),
        (2.5, "whole number, got 2.5"),
        ("3", "got '3'"),
        (True, "got T"),
        (10**12, "draws .* GB"),
    ):
        with pytest.raises(DataError, match=said):
            post.draw(count)
        with pytest.raises(DataError, match=said):
            post.to_datatree(draws=count)


@pytest.mark.parametrize("name", ["diabetes", "longley", "sensor"])
@pytest.mark.parametrize(("sigma", "tau"), [(1.0, 1.0), (50.0, 10.0), (0.1, 3.0)])
def test_map_is_ridge(name: str, sigma: float, tau: float) -> None:
    """The optimiser solves the same normal equations once: 1e-10 leaves it the condition number of Longley."""
    X, y = load_xy(name)
    design = build_design(X.to_numpy(float), y.to_numpy(float), names=list(X.columns))
    both = map_estimate(design, factorize(design), sigma, tau)
    assert both.lam == pytest.approx(sigma**2 / tau**2)
    assert both.difference < 1e-10
    np.testing.assert_allclose(both.map_coef, both.ridge_coef, rtol=1e-8, atol=1e-9 * np.abs(both.ridge_coef).max())
    assert both.map_intercept == pytest.approx(both.ridge_intercept, rel=1e-8)


def test_map_with_weights_and_flat_columns() -> None:
    X, options = TABLES["precision"]
    y = X @ [1.0, 2, 3, 4] + np.random.default_rng(0).standard_normal(30)
    design = build_design(X, y, unpenalized=[3], **options)  # type: ignore[arg-type]
    both = map_estimate(design, factorize(design), 1.3, 0.4)
    assert both.difference < 1e-10
    # the criterion, written out for this table and minimised by least squares on augmented rows
    w, scale = options["weights"], design.scale  # type: ignore[index]
    rows = np.column_stack([np.ones(30), X]) * np.sqrt(w)[:, None]
    penalty = np.diag(np.r_[0.0, np.sqrt(both.lam) * scale[:3], 0.0])
    solution = np.linalg.lstsq(np.vstack([rows, penalty]), np.r_[y * np.sqrt(w), np.zeros(5)], rcond=None)[0]
    np.testing.assert_allclose(both.map_coef, solution[1:], rtol=1e-9)
    assert both.map_intercept == pytest.approx(solution[0], rel=1e-8)


def test_map_refuses_impossible_scales() -> None:
    design = build_design(*(np.eye(3), np.arange(3.0)))
    with pytest.raises(DataError, match="positive"):
        map_estimate(design, factorize(design), 1.0, 0.0)
