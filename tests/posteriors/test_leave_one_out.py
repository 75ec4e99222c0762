"""Exact leave-one-out against as many fits as there are rows."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest

from bayesridge import BetaR2, Custom, FixedLambda, HalfNormal, HalfT, InverseGamma, LogNormal
from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.errors import AccuracyWarning, DataError, NoSignalWarning, WeightsWarning
from bayesridge.fit import posterior
from bayesridge.linalg.filters import ridge_path
from bayesridge.linalg.rows import leverage, loo_residuals
from bayesridge.linalg.spectrum import factorize

PRIORS = {
    "fixed": {"prior": FixedLambda(0.7)},
    "half-normal": {"prior": HalfNormal(1.0)},
    "inverse gamma": {"prior": LogNormal(2.0, 1.0), "noise_prior": InverseGamma(2.0, 1.0)},
    "plane": {"prior": HalfNormal(1.0, on="tau"), "noise_prior": HalfT(4.0, 1.5, on="sigma")},
}
SHAPES = {
    "tall": (12, 3, {}),
    "one residual degree of freedom": (5, 3, {}),
    "two": (6, 3, {}),
    "square": (8, 8, {}),
    "wide": (7, 15, {}),
    "unpenalised": (9, 4, {"unpenalized": [1]}),
    "no intercept": (8, 4, {"fit_intercept": False}),
}


def _data(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n * 100 + p)
    X = rng.standard_normal((n, p)) + 2.0
    return X, X @ rng.standard_normal(p) + rng.standard_normal(n)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_refits(shape: str, prior: str) -> None:
    """Densities and PIT values to 1e-9: both sides carry the quadrature's own error of some 1e-10 (none when fixed)."""
    n, p, options = SHAPES[shape]
    X, y = _data(n, p)
    arguments = {"scale": np.linspace(0.5, 2.0, p), **PRIORS[prior], **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoSignalWarning)
        post = posterior(X, y, **arguments)
        loo = post.loo
        intervals = loo.interval(0.9) if post.design.nu > 3 else None
        for i in range(n):
            others = np.arange(n) != i
            found = posterior(X[others], y[others], **arguments).predict(X[i : i + 1])
            close = 1e-10 if prior == "fixed" else 1e-9
            assert loo.pointwise[i] == pytest.approx(found.log_density(y[i])[0], abs=close)
            assert loo.pit[i] == pytest.approx(found.target.cdf(y[i])[0], abs=close)
            if intervals is not None:
                assert loo.mean[i] == pytest.approx(found.mean[0], rel=close, abs=close)
                low, high = intervals[i]
                assert found.target.cdf(low)[0] == pytest.approx(0.05, abs=close)
                assert found.target.cdf(high)[0] == pytest.approx(0.95, abs=close)
    assert loo.elpd_loo == pytest.approx(loo.pointwise.sum())
    if p < post.design.nu:
        assert loo.p_loo == pytest.approx((post.predict(X).log_density(y) - loo.pointwise).sum(), abs=1e-8)


def test_in_sample_density_is_infinite_where_it_is() -> None:
    """p(y_i again | y) is p of a table whose every row is fitted, one of them twice: it diverges for b <= 1/2."""
    X, y = _data(8, 20)
    assert posterior(X, y, prior=BetaR2(0.5, 0.5)).loo.p_loo == np.inf
    assert np.isfinite(posterior(X, y, prior=BetaR2(0.5, 1.5)).loo.p_loo)


@pytest.mark.parametrize("kind", ["frequency", "precision"])
def test_weights(kind: str) -> None:
    """A frequency weight stands for copies, of which one is left out; a precision row leaves with its precision."""
    X, y = _data(10, 3)
    w = np.array([1.0, 2, 3, 1, 1, 2, 1, 4, 1, 1]) if kind == "frequency" else np.linspace(0.3, 4.0, 10)
    arguments = {"scale": np.ones(3), "prior": HalfNormal(1.0), "weight_kind": kind}
    post = posterior(X, y, weights=w, **arguments)
    for i in range(10):
        if kind == "frequency":
            less = w - (np.arange(10) == i)
            found = posterior(X, y, weights=less, **arguments).predict(X[i : i + 1])
        else:
            keep = np.arange(10) != i
            found = posterior(X[keep], y[keep], weights=w[keep], **arguments).predict(X[i : i + 1], weights=w[i])
        assert post.loo.pointwise[i] == pytest.approx(found.log_density(y[i])[0], abs=1e-9)
    count = w if kind == "frequency" else np.ones(10)
    assert post.loo.elpd_loo == pytest.approx((count * post.loo.pointwise).sum())


def test_repeated_rows_are_frequency_weights() -> None:
    X, y = _data(9, 3)
    w = np.array([1, 2, 1, 3, 1, 1, 2, 1, 1])
    one = posterior(X, y, weights=w.astype(float)).loo
    many = posterior(np.repeat(X, w, axis=0), np.repeat(y, w)).loo
    np.testing.assert_allclose(np.repeat(one.pointwise, w), many.pointwise, rtol=1e-9)
    assert one.elpd_loo == pytest.approx(many.elpd_loo, rel=1e-10)
    assert one.se == pytest.approx(many.se, rel=1e-9)
    assert one.p_loo == pytest.approx(many.p_loo, rel=1e-8)


def test_an_extreme_outlier() -> None:
    """The row the posterior leans on most: its own density comes from where the full posterior has little mass."""
    X, y = _data(25, 3)
    y[4] += 1e4
    arguments = {"scale": np.ones(3), "prior": BetaR2()}
    keep = np.arange(25) != 4
    # the prior of lambda is held fixed, so the refit takes the whole table's signal into its own
    signal = build_design(X, y, scale=np.ones(3)).signal
    prior = Custom(lambda lam: _beta_prime(signal / lam, lam), of="lambda")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoSignalWarning)
        whole = posterior(X, y, **arguments)
        found = posterior(X[keep], y[keep], scale=np.ones(3), prior=prior).predict(X[4:5])
    assert whole.loo.pointwise[4] == pytest.approx(found.log_density(y[4])[0], rel=1e-8)


def _beta_prime(W: np.ndarray, lam: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * np.log(W) - np.log1p(W) - np.log(np.pi) - np.log(lam))


def test_closed_form_residuals_and_leverages() -> None:
    X, y = _data(14, 4)
    design = build_design(X, y, scale=np.ones(4))
    spectrum = factorize(design)
    for lam in (0.0, 0.3, 20.0):
        expected = []
        for i in range(14):
            keep = np.arange(14) != i
            part = build_design(X[keep], y[keep], scale=np.ones(4))
            path = ridge_path(part, factorize(part), lam)
            expected.append(y[i] - path.intercept[0] - X[i] @ path.coef[0])
        np.testing.assert_allclose(loo_residuals(design, spectrum, lam), expected, rtol=1e-10)
        Z = np.column_stack([np.ones(14), X])
        hat = Z @ np.linalg.solve(Z.T @ Z + lam * np.diag([0.0, 1, 1, 1, 1]), Z.T)
        np.testing.assert_allclose(leverage(design, spectrum, lam), np.diag(hat), rtol=1e-9)


def test_what_has_no_leave_one_out() -> None:
    X, y = _data(6, 2)
    y = 5.0 * X[:, 0] + y
    with pytest.raises(DataError, match="at least 2 residual degrees"):
        _ = posterior(X[:2], y[:2]).loo
    with pytest.warns(WeightsWarning, match="not whole numbers"):
        fractional = posterior(X, y, weights=np.full(6, 1.5))
    with pytest.raises(DataError, match="not whole numbers"):
        _ = fractional.loo
    dummy = np.column_stack([X, np.arange(6) == 3])
    with pytest.raises(DataError, match="row 3 alone determines"):
        _ = posterior(dummy, y, unpenalized=[2]).loo


def test_changed_data_are_noticed() -> None:
    X, y = _data(30, 3)
    post = posterior(X, y)
    X[:, 0] = 0.0
    with pytest.raises(DataError, match="changed after the fit"):
        _ = post.loo


def test_the_row_that_is_needed_is_named_as_it_stood_in_the_table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 3))
    X[:, 2] = np.arange(12) == 7
    X[2, 0] = np.nan  # dropped
    with pytest.warns(match="Left out 1 of 12"):
        post = posterior(X, 3.0 * X[:, 1] + rng.standard_normal(12), unpenalized=[2], missing="drop")
    with pytest.raises(DataError, match="row 7 alone determines"):
        _ = post.loo


def test_refits_are_bounded():
    """A noise prior twelve decades below the data makes every row contradict the others: refused, not refitted."""
    X, y = load_xy("diabetes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        found = posterior(X, y, noise_prior=HalfNormal(1e-9, on="sigma"))
        with pytest.raises(DataError, match=r"an actual fit without each of \d+ rows .* prior that allows"):
            _ = found.loo


def test_memory_of_many_rows():
    """Rows in blocks: no more than three times X, U (as large as X) among it, and a few blocks of 2^18 numbers."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10_000, 20))
    post = posterior(X, X[:, 0] + rng.standard_normal(10_000))
    post.hyper.nodes  # noqa: B018 -- what does not grow with the rows
    tracemalloc.start()
    _ = post.loo.elpd_loo
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3.0 * X.nbytes + (1 << 23)
