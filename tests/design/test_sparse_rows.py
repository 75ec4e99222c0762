"""Sparse tables: the posterior of the dense ones, and no dense copy."""

import numpy as np
import pytest
import scipy.sparse as sp

from bayesridge import BayesRidge, DataError, posterior
from bayesridge.design import sparse_rows as module
from bayesridge.engines import spectral


def table(n=300, p=12, density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, p), density=density, rng=rng, format="csr")
    return X, X @ rng.standard_normal(p) + 0.3 * rng.standard_normal(n) + 5.0, rng.integers(0, 4, n).astype(float)


def same(one, other, within=1e-10):
    sd = other.coefficients.sd
    np.testing.assert_allclose((one.coefficients.mean - other.coefficients.mean) / sd, 0.0, atol=within)
    np.testing.assert_allclose(one.coefficients.sd, sd, rtol=within)
    assert one.log_marginal_likelihood == pytest.approx(other.log_marginal_likelihood, abs=1e-8)


@pytest.mark.parametrize("weight_kind", [None, "frequency", "precision", "survey"])
@pytest.mark.parametrize("options", [{}, {"scale": False, "unpenalized": [2]}, {"fit_intercept": False}])
def test_sparse_is_dense(weight_kind, options):
    X, y, w = table()
    options = {**options, "weight_kind": weight_kind or "frequency"}
    w = None if weight_kind is None else w
    one, other = posterior(X, y, weights=w, **options), posterior(X.toarray(), y, weights=w, **options)
    same(one, other)
    if weight_kind in (None, "precision"):
        np.testing.assert_allclose(one.loo.pointwise, other.loo.pointwise, atol=1e-9)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_array, sp.coo_matrix, sp.lil_array, sp.dok_matrix])
def test_formats_and_kinds_of_numbers(make):
    X, y, _ = table()
    same(posterior(make(X), y), posterior(X.toarray(), y))
    counts = sp.csr_array((X.toarray() > 0.5).astype(np.int8))
    same(posterior(make(counts), y), posterior(counts.toarray(), y))


def test_columns_at_large_offsets_keep_their_digits():
    X, y, _ = table()
    time = 1.7e9 + np.random.default_rng(1).integers(0, 100, (300, 2))
    dense = np.hstack([X.toarray(), time])
    same(posterior(sp.csr_array(dense), y), posterior(dense, y))


def test_more_columns_than_rows_and_dependent_columns():
    X, y, _ = table(20, 60, density=0.5)
    same(posterior(X, y), posterior(X.toarray(), y))
    X, y, w = table()
    near = sp.hstack([X, X[:, [0]] + 1e-7 * X[:, [1]]]).tocsr()
    for options in ({}, {"fit_intercept": False}, {"weights": w, "weight_kind": "precision"}):
        post = posterior(near, y, **options)
        assert post.spectrum.route == "svd"
        same(post, posterior(near.toarray(), y, **options), 1e-7)  # rounding over 1e-7


def test_the_estimator_takes_and_predicts_sparse_tables():
    X, y, _ = table()
    fit, dense = BayesRidge().fit(X, y), BayesRidge().fit(X.toarray(), y)
    np.testing.assert_allclose(fit.predict(X), dense.predict(X.toarray()), rtol=1e-10)
    mean, sd = fit.predict(sp.csc_matrix(X), return_std=True)
    np.testing.assert_allclose(sd, dense.predict(X.toarray(), return_std=True)[1], rtol=1e-9)
    assert len(mean) == 300
    assert len(fit.summary()) == 13


@pytest.mark.parametrize("weight_kind", [None, "frequency", "precision"])
def test_leave_one_out_makes_u_in_blocks_where_it_is_large(monkeypatch, weight_kind):
    X, y, w = table()
    options = {"weight_kind": weight_kind or "frequency", "weights": None if weight_kind is None else w}
    whole = posterior(X.toarray(), y, unpenalized=[1], **options)
    assert isinstance(whole.engine.deletion(), spectral.SpectralDeletion)
    expected = whole.loo.pointwise
    monkeypatch.setattr(spectral, "_MOST_VALUES", 1000)
    post = posterior(X, y, unpenalized=[1], **options)
    assert isinstance(post.engine.deletion(), spectral.BlockedDeletion)
    np.testing.assert_allclose(post.loo.pointwise, expected, atol=1e-9)
    np.testing.assert_allclose(post.loo.pit, whole.loo.pit, atol=1e-9)
    post.design.y[:5] += 3.0
    with pytest.raises(DataError, match="changed after the fit"):
        post.engine.deletion()


def test_a_row_that_alone_determines_a_coefficient_is_named_in_blocks_too(monkeypatch):
    X, y, _ = table()
    dense = np.column_stack([X.toarray(), np.arange(300) == 7]).astype(float)
    monkeypatch.setattr(spectral, "_MOST_VALUES", 1000)
    with pytest.raises(DataError, match="row 7 alone determines"):
        _ = posterior(sp.csr_array(dense), y, unpenalized=[12]).loo


def test_no_dense_copy_is_made(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_VALUES", 1000)
    X, y, _ = table()
    taken = []
    take = module.SparseRows.take
    monkeypatch.setattr(module.SparseRows, "take", lambda self, rows: taken.append(take(self, rows)) or taken[-1])
    post = posterior(X, y)
    _ = post.coefficients.sd, post.loo.elpd_loo, BayesRidge().fit(X, y).predict(X)
    assert taken
    assert max(one.size for one in taken) <= 1000


def test_what_does_not_fit_or_is_no_number_is_named():
    with pytest.raises(DataError, match=r"1000000 x 1000000 cross-products.*GB"):
        posterior(sp.csr_array((2_000_000, 1_000_000)), np.ones(2_000_000))
    with pytest.raises(DataError, match="no more rows than columns"):
        posterior(sp.csr_array((1_000_000, 1_000_000)), np.ones(1_000_000))
    X, y, _ = table()
    X.data[3] = np.nan
    with pytest.raises(DataError, match=r"NaN: 1 values, the first in row \d+, column \d+"):
        posterior(X, y)
    X.data[3] = np.inf
    with pytest.raises(DataError, match="infinity"):
        posterior(X, y)
    X, y, _ = table()
    y[4] = np.nan
    with pytest.raises(DataError, match="Missing values"):
        posterior(X, y)
    with pytest.raises(DataError, match="formula"):
        posterior(X, formula="y ~ x")
    with pytest.raises(DataError, match="not dropped"):
        posterior(X, np.ones(300), missing="drop")
