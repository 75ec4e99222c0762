"""Identities that hold for any data, as property tests."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesridge import BetaR2, FixedLambda, posterior
from bayesridge.design.design import build_design
from bayesridge.errors import NoSignalWarning, PerfectFitWarning
from bayesridge.hyper.evidence import log_evidence
from bayesridge.linalg.filters import conditioning, constraint_radius, effective_dof, penalized_rss, ridge_path
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.posterior import Posterior

seeds = st.integers(0, 10**6)
shapes = st.tuples(st.integers(6, 18), st.integers(1, 22))
fast = settings(max_examples=25, deadline=None)


def _draw(seed: int, n: int, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * rng.uniform(0.1, 10, p) + rng.uniform(-5, 5, p)
    return X, X @ rng.standard_normal(p) / p + rng.standard_normal(n), X[:3] + rng.standard_normal((3, p))


def _fit(X: np.ndarray, y: np.ndarray, **options: object) -> Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoSignalWarning)
        return posterior(X, y, **options)  # type: ignore[arg-type]


def _same_predictions(a: Posterior, b: Posterior, X_a: np.ndarray, X_b: np.ndarray, close: float = 1e-8) -> None:
    one, two = a.predict(X_a), b.predict(X_b)
    np.testing.assert_allclose(one.mean, two.mean, rtol=close, atol=close * float(one.sd.max()))
    np.testing.assert_allclose(one.sd, two.sd, rtol=close)


@fast
@given(seeds, shapes)
def test_order_of_rows_and_columns(seed: int, shape: tuple[int, int]) -> None:
    X, y, new = _draw(seed, *shape)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(y)), rng.permutation(X.shape[1])
    a, b = _fit(X, y), _fit(X[rows][:, columns], y[rows])
    _same_predictions(a, b, new, new[:, columns])
    np.testing.assert_allclose(a.coefficients.sd[columns], b.coefficients.sd, rtol=1e-7)
    assert a.log_marginal_likelihood == pytest.approx(b.log_marginal_likelihood, abs=1e-8)


@fast
@given(seeds, shapes)
def test_repeated_rows_are_frequency_weights(seed: int, shape: tuple[int, int]) -> None:
    X, y, new = _draw(seed, *shape)
    w = np.random.default_rng(seed).integers(1, 4, len(y))
    if np.count_nonzero(w) <= X.shape[1] + 1:  # repeated rows that X fits exactly: a perfect fit, said elsewhere
        return
    a, b = _fit(X, y, weights=w.astype(float)), _fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    _same_predictions(a, b, new, new)
    assert a.log_marginal_likelihood == pytest.approx(b.log_marginal_likelihood, abs=1e-8)


@fast
@given(seeds, shapes)
def test_rotation_of_unscaled_columns(seed: int, shape: tuple[int, int]) -> None:
    X, y, new = _draw(seed, *shape)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((X.shape[1], X.shape[1])))[0]
    _same_predictions(_fit(X, y, scale=False), _fit(X @ turn, y, scale=False), new, new @ turn, close=1e-7)


@fast
@given(seeds, shapes, st.floats(-8, 8), st.floats(-8, 8), st.floats(-100, 100))
def test_units_do_not_matter(seed: int, shape: tuple[int, int], log_c: float, log_k: float, offset: float) -> None:
    X, y, new = _draw(seed, *shape)
    c, k = 10.0**log_c, 10.0**log_k
    a, b = _fit(X, y), _fit(X * k + offset * k, y * c + offset * c)
    one, two = a.predict(new), b.predict(new * k + offset * k)
    # the offset costs up to two of the sixteen digits of the columns, their spread being of order 0.1 to 10
    np.testing.assert_allclose(two.mean / c - offset, one.mean, rtol=1e-8, atol=1e-8 * float(one.sd.max()))
    np.testing.assert_allclose(two.sd / c, one.sd, rtol=1e-8)
    assert a.lambda_.median == pytest.approx(b.lambda_.median, rel=1e-7)


@fast
@given(seeds, shapes, st.floats(0.01, 100))
def test_twice_lambda_is_stacked_rows(seed: int, shape: tuple[int, int], lam: float) -> None:
    X, y, _ = _draw(seed, *shape)
    once = build_design(X, y, scale=False)
    twice = build_design(np.vstack([X, X]), np.r_[y, y], scale=False)
    a = ridge_path(once, factorize(once), lam)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerfectFitWarning)  # rows that X fits exactly, twice
        b = ridge_path(twice, factorize(twice), 2 * lam)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-7, atol=1e-9 * np.abs(a.coef).max())
    np.testing.assert_allclose(a.effective_dof, b.effective_dof, rtol=1e-8)


@fast
@given(seeds, shapes)
def test_lambda_to_zero_is_the_minimum_norm_solution(seed: int, shape: tuple[int, int]) -> None:
    X, y, _ = _draw(seed, *shape)
    design = build_design(X, y, scale=False)
    spectrum = factorize(design)
    centred = X - X.mean(axis=0)
    expected = np.linalg.pinv(centred) @ (y - y.mean())
    found = ridge_path(design, spectrum, 0.0).coef[0]
    # the pseudo-inverse and we both lose digits with the condition number
    np.testing.assert_allclose(found, expected, atol=1e-13 * spectrum.condition**2 * np.abs(expected).max() + 1e-12)


@fast
@given(seeds, shapes, st.floats(0.001, 1000))
def test_functions_of_lambda(seed: int, shape: tuple[int, int], lam: float) -> None:
    X, y, _ = _draw(seed, *shape)
    design = build_design(X, y)
    spectrum = factorize(design)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    gram = standard.T @ standard
    beta = np.linalg.solve(gram + lam * np.eye(len(gram)), standard.T @ (y - y.mean()))
    rest = y - y.mean() - standard @ beta
    np.testing.assert_allclose(ridge_path(design, spectrum, lam).coef[0] * X.std(axis=0), beta, rtol=1e-7, atol=1e-9)
    assert float(penalized_rss(spectrum, lam)) == pytest.approx(rest @ rest + lam * beta @ beta, rel=1e-9)
    dof = np.trace(np.linalg.solve(gram + lam * np.eye(len(gram)), gram))
    assert float(effective_dof(spectrum, lam)) == pytest.approx(dof, rel=1e-8)
    radius = float(constraint_radius(spectrum, lam))
    assert radius == pytest.approx(np.linalg.norm(beta), rel=1e-8)


def test_condition_numbers() -> None:
    rng = np.random.default_rng(0)
    U = np.linalg.qr(np.column_stack([np.ones(9), rng.standard_normal((9, 3))]))[0][:, 1:]
    V = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    X = U @ np.diag([100.0, 1.0, 0.01]) @ V.T
    found = conditioning(factorize(build_design(X, rng.standard_normal(9), scale=False)), 1.0)
    assert found.before == pytest.approx(1e8, rel=1e-8)
    assert found.after == pytest.approx(1e4, rel=1e-3)


@fast
@given(seeds, st.floats(0.01, 100), st.floats(0.1, 10))
def test_marginal_likelihood_of_fixed_lambda_is_the_evidence_integrated(seed: int, lam: float, c: float) -> None:
    """Scaling y by c divides a density of nu dimensions by c^nu; Jeffreys' prior brings no factor of its own."""
    X, y, _ = _draw(seed, 10, 3)
    a = _fit(X, y, prior=FixedLambda(lam)).log_marginal_likelihood
    b = _fit(X, c * y, prior=FixedLambda(lam)).log_marginal_likelihood
    assert b == pytest.approx(a - 9 * np.log(c), abs=1e-9)
    spectrum = factorize(build_design(X, y))
    v = np.linspace(-8, 12, 4001)
    terms = log_evidence(spectrum, lam, np.exp(v)) + np.log(2.0)
    assert a == pytest.approx(np.logaddexp.reduce(terms) + np.log(v[1] - v[0]), abs=1e-9)


def test_bayes_factors_compare_what_can_be_compared() -> None:
    X, y, _ = _draw(3, 20, 3)
    small, large = _fit(X[:, :1], y), _fit(X, y)
    assert large.log_bayes_factor(small) == pytest.approx(-small.log_bayes_factor(large))
    for other in (_fit(X, y + 1.0), _fit(X, y, unpenalized=[0]), _fit(X, y, fit_intercept=False)):
        with pytest.raises(ValueError, match="differ"):
            large.log_bayes_factor(other)
    with pytest.raises(ValueError, match="maximum"):
        large.log_bayes_factor(_fit(X, y, method="evidence"))


def test_default_prior_is_half_cauchy_on_the_ratio() -> None:
    from bayesridge import HalfCauchy

    X, y, new = _draw(5, 15, 4)
    a, b = _fit(X, y, prior=BetaR2(0.5, 0.5)), _fit(X, y, prior=HalfCauchy(1 / np.sqrt(4)))
    _same_predictions(a, b, new, new, close=1e-9)
    assert a.log_marginal_likelihood == pytest.approx(b.log_marginal_likelihood, abs=1e-9)
