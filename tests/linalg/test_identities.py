"""Identities that hold for any data: no reference value is needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesridge.fit import posterior
from bayesridge.priors import FixedLambda, Gamma, HalfCauchy

pytestmark = [
    pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning"),
    pytest.mark.filterwarnings("ignore::bayesridge.errors.PerfectFitWarning"),  # rows stacked twice in a wide table
]
SEEDS = st.integers(0, 2**31)
SHAPES = st.sampled_from([(12, 3), (8, 8), (9, 8), (6, 11)])
few = settings(max_examples=25, deadline=None, derandomize=True)


def data(seed, shape):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal(shape)
    return rng, X, 0.3 + X @ rng.standard_normal(shape[1]) / shape[1] ** 0.5 + rng.standard_normal(shape[0])


def same(one, two, X, rel=1e-8):
    assert two.log_marginal_likelihood == pytest.approx(one.log_marginal_likelihood, abs=1e-8)
    a, b = one.predict(X), two.predict(X)
    assert b.mean == pytest.approx(a.mean, rel=rel, abs=rel)
    assert b.sd == pytest.approx(a.sd, rel=rel)
    assert float(two.lambda_.median) == pytest.approx(float(one.lambda_.median), rel=1e-7)


@few
@given(SEEDS, SHAPES)
def test_rotating_unscaled_columns_changes_nothing(seed, shape):
    rng, X, y = data(seed, shape)
    R = np.linalg.qr(rng.standard_normal((shape[1], shape[1])))[0]
    one = posterior(X, y, scale=False, prior=HalfCauchy(0.5))
    two = posterior(X @ R, y, scale=False, prior=HalfCauchy(0.5))
    assert two.log_marginal_likelihood == pytest.approx(one.log_marginal_likelihood, abs=1e-8)
    assert two.predict(X @ R).sd == pytest.approx(one.predict(X).sd, rel=1e-8)
    assert R @ two.coefficients.mean == pytest.approx(one.coefficients.mean, rel=1e-7, abs=1e-8)


@few
@given(SEEDS)
def test_rows_repeated_are_frequency_weights(seed):
    rng, X, y = data(seed, (12, 3))
    w = rng.integers(0, 4, 12)
    w[:6] += 1
    same(posterior(np.repeat(X, w, axis=0), np.repeat(y, w)), posterior(X, y, weights=w.astype(float)), X)


@few
@given(SEEDS, SHAPES)
def test_order_of_rows_and_columns(seed, shape):
    rng, X, y = data(seed, shape)
    rows, columns = rng.permutation(shape[0]), rng.permutation(shape[1])
    one, two = posterior(X, y), posterior(X[rows][:, columns], y[rows])
    assert two.log_marginal_likelihood == pytest.approx(one.log_marginal_likelihood, abs=1e-9)
    assert two.coefficients.mean == pytest.approx(one.coefficients.mean[columns], rel=1e-8, abs=1e-10)


@few
@given(SEEDS, SHAPES, st.floats(0.01, 100.0))
def test_stacking_the_rows_doubles_lambda(seed, shape, lam):
    _, X, y = data(seed, shape)
    one = posterior(X, y, prior=FixedLambda(lam))
    two = posterior(np.vstack([X, X]), np.r_[y, y], prior=FixedLambda(2.0 * lam))
    assert two.coefficients.mean == pytest.approx(one.coefficients.mean, rel=1e-9, abs=1e-11)


@few
@given(SEEDS, SHAPES, st.floats(0.1, 10.0))
def test_precision_weights_scale_as_lambda(seed, shape, c):
    # all weights c: sigma^2 / c is the noise; tau / sigma has its prior on the other scale
    _, X, y = data(seed, shape)
    one = posterior(X, y, prior=Gamma(2.0, 0.5))
    two = posterior(X, y, weights=np.full(shape[0], c), weight_kind="precision", prior=Gamma(2.0, 0.5 / c))
    assert two.coefficients.mean == pytest.approx(one.coefficients.mean, rel=1e-7, abs=1e-9)
    assert float(two.lambda_.median) == pytest.approx(c * float(one.lambda_.median), rel=1e-7)
    assert two.sigma.median == pytest.approx(one.sigma.median * c**0.5, rel=1e-7)
