"""Leave-one-out on the compressed basis equals leave-one-out on U itself."""

import numpy as np
import pytest

from bayesridge.errors import DataError, NoSignalWarning
from bayesridge.fit import posterior
from bayesridge.linalg import rows as module
from bayesridge.rules.evaluation import evaluate, spread_of_fits
from bayesridge.rules.leave_one_out import loo_curves, loo_rows
from bayesridge.rules.problem import LambdaProblem


def table(kind, n=900, p=120):
    rng = np.random.default_rng(11)
    X = rng.standard_normal((n, p)) * np.exp(0.5 * rng.standard_normal(p)) + rng.standard_normal((n, 1))
    y = X @ rng.standard_normal(p) * 0.1 + rng.standard_normal(n)
    options = {
        "plain": {},
        "frequency": {"weights": rng.integers(0, 3, n).astype(float)},
        "precision": {"weights": rng.gamma(1.5, 1.0, n) * (np.arange(n) % 7 != 2), "weight_kind": "precision"},
        "unpenalized": {"unpenalized": [0, 5]},
        "no intercept": {"fit_intercept": False},
        "unscaled": {"scale": False},
    }[kind]
    return X, y, options


KINDS = ["plain", "frequency", "precision", "unpenalized", "no intercept", "unscaled"]


def both(kind, monkeypatch):
    X, y, options = table(kind)
    monkeypatch.setattr(module, "_DIRECT_WORK", 10**12)
    direct = LambdaProblem(posterior(X, y, **options))
    assert direct.row_basis.basis is None
    monkeypatch.setattr(module, "_DIRECT_WORK", 0)
    compressed = LambdaProblem(posterior(X, y, **options))
    assert compressed.row_basis.basis is not None
    return direct, compressed


@pytest.mark.parametrize("kind", KINDS)
def test_criteria_and_rows(kind, monkeypatch):
    direct, compressed = both(kind, monkeypatch)
    # lambda between the points the basis was made from, and far out on both sides
    t = np.concatenate([direct.where.grid[1::7] + 0.031, [direct.where.zero, direct.where.infinity]])
    one, two = (loo_curves(p.row_basis, p.spectrum, p.noise, t) for p in (direct, compressed))
    # the basis holds every g to 1e-14 of its own size
    np.testing.assert_allclose(two.squared.value, one.squared.value, rtol=1e-12)
    np.testing.assert_allclose(two.log_score.value, one.log_score.value, rtol=1e-12)
    for a, b in ((one.squared.slope, two.squared.slope), (one.log_score.slope, two.log_score.slope)):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-11 * np.abs(a).max())
    rows, again = (loo_rows(p.row_basis, p.spectrum, p.noise, t) for p in (direct, compressed))
    np.testing.assert_allclose(again.error, rows.error, rtol=0, atol=1e-12 * np.abs(rows.error).max())
    np.testing.assert_allclose(again.log_density, rows.log_density, rtol=1e-10)
    np.testing.assert_array_equal(compressed.row_basis.index, direct.row_basis.index)


@pytest.mark.parametrize("kind", KINDS)
def test_full_posterior_and_spread(kind, monkeypatch):
    """Lambda integrated on the compressed basis equals the posterior's own leave-one-out."""
    direct, compressed = both(kind, monkeypatch)
    lam = np.array([0.0, 1.0, 50.0, np.inf])
    one, two = evaluate(direct, lam), evaluate(compressed, lam)
    loo = direct.posterior.loo
    assert "loo" not in vars(compressed.posterior)  # it was not needed
    assert two.elpd[-1] == pytest.approx(loo.elpd_loo, rel=1e-10)
    assert two.elpd_se[-1] == pytest.approx(loo.se, rel=1e-8)
    np.testing.assert_allclose(two.pointwise, one.pointwise, rtol=1e-9)
    np.testing.assert_allclose(two.rmse, one.rmse, rtol=1e-10)
    a, b = spread_of_fits(direct, lam), spread_of_fits(compressed, lam)
    assert (a.row, a.low, a.high) == (b.row, b.low, b.high)
    np.testing.assert_allclose([b.in_sd, b.in_sigma, b.rms_in_sigma], [a.in_sd, a.in_sigma, a.rms_in_sigma], rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_spread_is_that_of_predictions(kind, monkeypatch):
    """Fitted values by prediction at fixed lambda, and the posterior sd of the mean as predict gives it."""
    from bayesridge.linalg.filters import ridge_path

    direct, _ = both(kind, monkeypatch)
    lam = np.array([0.5, 300.0])
    path = ridge_path(direct.design, direct.spectrum, lam)
    rows = direct.row_basis.index
    X = direct.design.X[rows]
    fitted = X @ path.coef.T + path.intercept
    gap = np.abs(fitted[:, 1] - fitted[:, 0])
    ratio = gap / direct.posterior.predict(X).mean_sd
    found = spread_of_fits(direct, lam)
    assert found.in_sd == pytest.approx(ratio.max(), rel=1e-7)
    assert found.row == rows[np.argmax(ratio)]
    sigma = direct.posterior.sigma.median
    assert found.in_sigma == pytest.approx(gap.max() / sigma, rel=1e-9)
    assert found.rms_in_sigma == pytest.approx(np.sqrt(np.mean(gap**2)) / sigma, rel=1e-9)


def test_an_outlier_that_is_all_of_the_residual_goes_the_long_way(monkeypatch):
    """The nodes of the full posterior do not serve it: leave-one-out refits, on the large path as well."""
    monkeypatch.setattr(module, "_DIRECT_WORK", 0)
    X, y, _ = table("plain")
    y = y.copy()
    y[17] += 1e5
    with pytest.warns(NoSignalWarning):
        problem = LambdaProblem(posterior(X, y))
    assert problem.row_basis.basis is not None
    found = evaluate(problem, np.array([1.0]))
    assert "loo" in vars(problem.posterior)
    assert found.elpd[-1] == pytest.approx(problem.posterior.loo.elpd_loo, rel=1e-12)


def test_changed_data_are_noticed(monkeypatch):
    monkeypatch.setattr(module, "_DIRECT_WORK", 0)
    X, y, _ = table("plain")
    problem = LambdaProblem(posterior(X, y))
    X[:, 0] += np.arange(len(X))
    with pytest.raises(DataError, match="data changed"):
        _ = problem.row_basis
