"""A wide table of float32: the posterior of its float64 copy, which is not made."""

import numpy as np
import pytest

from bayesridge import BayesRidge, posterior, problem
from bayesridge.design.wide_rows import StandardRows, WideRows
from bayesridge.linalg.factor import RowSpace
from bayesridge.posteriors import quantity


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(problem, "LARGE", 1000)
    monkeypatch.setattr(quantity, "_MOST_AT_ONCE", 100)
    monkeypatch.setattr(quantity, "_PART", 70)


def table(n=30, p=300):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n, 8)) @ rng.standard_normal((8, p)) + rng.standard_normal((n, p)) + 100.0).astype("f4")
    return X, (X - 100.0) @ rng.standard_normal(p) / 10.0 + rng.standard_normal(n), rng.integers(1, 4, n).astype(float)


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"fit_intercept": False}, {"unpenalized": [3]}])
@pytest.mark.parametrize("weight_kind", [None, "precision"])
def test_float32_is_its_copy(options, weight_kind, tmp_path):
    X, y, w = table()
    if not options.get("fit_intercept", True):
        X = X - np.float32(100.0)
    np.save(tmp_path / "X.npy", X)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    options = {**options, "weight_kind": weight_kind or "frequency", "weights": None if weight_kind is None else w}
    one, other = posterior(X, y, **options), posterior(X.astype(float), y, **options)
    assert isinstance(one.design.source, WideRows)
    right = one.spectrum.right
    if "unpenalized" not in options:
        assert isinstance(right, RowSpace)
        assert isinstance(right.rows, StandardRows)
    sd = other.coefficients.sd
    np.testing.assert_allclose((one.coefficients.mean - other.coefficients.mean) / sd, 0.0, atol=1e-10)
    np.testing.assert_allclose(one.coefficients.sd, sd, rtol=1e-10)
    np.testing.assert_allclose(one.coefficients.interval(), other.coefficients.interval(), rtol=1e-7, atol=1e-9)
    assert one.log_marginal_likelihood == pytest.approx(other.log_marginal_likelihood, abs=1e-9)
    np.testing.assert_allclose(one.loo.pointwise, other.loo.pointwise, atol=1e-8)
    new = np.asarray(X[:3], dtype=float)
    np.testing.assert_allclose(one.predict(new).sd, other.predict(new).sd, rtol=1e-9)
    np.testing.assert_allclose(one.draw(3, 1, 0).coef, other.draw(3, 1, 0).coef, rtol=1e-6, atol=1e-8)


def test_the_estimator_takes_it_too():
    X, y, _ = table()
    found = BayesRidge().fit(X, y)
    np.testing.assert_allclose(found.predict(X), BayesRidge().fit(X.astype(float), y).predict(X), rtol=1e-6)
