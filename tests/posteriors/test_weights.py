"""What weights mean, and that their size alone means nothing."""

import numpy as np
import pytest

from bayesridge.errors import DataError
from bayesridge.estimator.regressor import BayesRidge
from bayesridge.fit import posterior


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((300, 5))
    w = rng.uniform(0.1, 3.0, 300)
    y = X @ [1.0, 0.0, -1.0, 0.5, 0.0] + rng.standard_normal(300) / np.sqrt(w)
    return X, y, w / w.sum(), rng.standard_normal((7, 5))


@pytest.mark.parametrize("total", [1e-6, 1e-3, 1e3, 1e6])
def test_sum_of_precision_weights_does_not_matter(data, total):
    X, y, w, new = data
    base = posterior(X, y, weights=w * 300, weight_kind="precision")
    other = posterior(X, y, weights=w * total, weight_kind="precision")
    size = total / 300
    a, b = base.predict(new), other.predict(new, weights=np.full(7, size))
    # the same algebra after one rounding of the weights; the quadrature is asked for 1e-8
    np.testing.assert_allclose(b.mean, a.mean, rtol=1e-8)
    np.testing.assert_allclose(b.sd, a.sd, rtol=1e-8)
    np.testing.assert_allclose(other.coefficients.sd, base.coefficients.sd, rtol=1e-8)
    assert other.sigma.median == pytest.approx(base.sigma.median * np.sqrt(size), rel=1e-8)
    assert other.loo.elpd_loo == pytest.approx(base.loo.elpd_loo, rel=1e-8)


@pytest.mark.parametrize("kind", ["precision", "frequency"])
@pytest.mark.parametrize("shape", [(40, 3), (10, 30)])
@pytest.mark.filterwarnings("ignore::bayesridge.errors.PerfectFitWarning")  # repeated rows that p > n columns fit
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")  # up to a million rows in one
def test_no_negative_variance(kind, shape):
    rng = np.random.default_rng(8)
    for spread in (1.0, 6.0, 12.0):
        X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
        w = 10.0 ** rng.uniform(-spread / 2, spread / 2, shape[0])
        if kind == "frequency":
            w = np.ceil(w / w.min() if spread < 2 else w)
        p = posterior(X, y + 3 * X[:, 0], weights=w, weight_kind=kind)
        prediction = p.predict(rng.standard_normal((20, shape[1])) * 10)
        for values in (p.coefficients.variance, p.intercept.variance, prediction.expected.variance):
            assert (values > 0).all()
        assert (prediction.target.variance >= prediction.expected.variance).all()
        assert np.linalg.eigvalsh(p.covariance()).min() >= -1e-12 * np.abs(p.covariance()).max()


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_frequency_weights_repeat_rows():
    rng = np.random.default_rng(3)
    X, y, w = rng.standard_normal((12, 4)), rng.standard_normal(12), rng.integers(0, 4, 12)
    y = y + 2 * X[:, 1]
    a, b = posterior(X, y, weights=w), posterior(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(a.coefficients.mean, b.coefficients.mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(a.coefficients.sd, b.coefficients.sd, rtol=1e-10)
    assert a.log_marginal_likelihood == pytest.approx(b.log_marginal_likelihood, rel=1e-10)
    assert a.loo.elpd_loo == pytest.approx(b.loo.elpd_loo, rel=1e-10)


@pytest.mark.parametrize("kind", ["precision", "frequency"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: np.where(np.arange(300) == 7, -1.0, w), "negative|positive"),
        (lambda w: np.where(np.arange(300) == 7, np.nan, w), "missing|NaN"),
        (lambda w: np.where(np.arange(300) == 7, np.inf, w), "infinite|inf"),
        (lambda w: 0 * w, "zero|0"),
        (lambda w: w[:-1], "299"),
        (lambda w: np.column_stack([w, w]), "shape|one-dimensional|vector"),
    ],
    ids=["negative", "nan", "inf", "zeros", "short", "matrix"],
)
def test_bad_weights(data, kind, change, words):
    X, y, w, _ = data
    with pytest.raises(DataError, match=f"(?si)weight.*({words})|({words}).*weight"):
        posterior(X, y, weights=change(300 * w), weight_kind=kind)
    estimator = BayesRidge(weight_kind=kind)
    with pytest.raises(ValueError, match=r"(?i)weight"):
        estimator.fit(X, y, sample_weight=change(300 * w))
    assert not [name for name in vars(estimator) if name.endswith("_")]
