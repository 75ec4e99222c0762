"""Units never matter: y -> c y + a, X -> k X + b change predictions and sds only as they must.

Bounds. Powers of two leave every float64 digit in place, other factors round each value once (1e-16), and an
offset b of a
value of size 1 rounds it to eps b: nothing can be better than that. Bound: 1e-8, or 50 times the rounding of the input.
"""

import numpy as np
import pytest

from bayesridge.fit import posterior

EPS = float(np.finfo(float).eps)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    X = rng.standard_normal((40, 6)) @ (np.eye(6) + 0.7)
    y = X @ np.array([1.0, -2.0, 0.0, 0.5, 0.0, 3.0]) + rng.standard_normal(40)
    return X, y, rng.standard_normal((5, 6))


@pytest.fixture(scope="module", params=["tall", "wide"])
def base(request, data):
    X, y, new = data
    if request.param == "wide":
        X, y = X[:5], y[:5]
    p = posterior(X, y)
    prediction = p.predict(new)
    return X, y, new, prediction.mean, prediction.sd, prediction.interval(), p


def compare(base, X, y, new, c, a, bound):
    _, _, _, mean, sd, interval, reference = base
    p = posterior(X, y)
    got = p.predict(new)
    assert (np.abs((got.mean - a) / c - mean) <= bound * sd).all()
    np.testing.assert_allclose(got.sd / c, sd, rtol=bound)
    assert (np.abs((got.interval() - a) / c - interval) <= 4 * bound * sd[:, None]).all()
    assert p.lambda_.median == pytest.approx(reference.lambda_.median, rel=4 * bound)


@pytest.mark.parametrize("c", [1e-8, 1e-4, 1e4, 1e8])
@pytest.mark.parametrize("k", [1e-8, 1.0, 1e8])
def test_scales(base, c, k):
    X, y, new = base[:3]
    compare(base, k * X, c * y, k * new, c, 0.0, 1e-8)


def test_each_column_its_own_unit(base):
    X, y, new = base[:3]
    k = 10.0 ** np.array([-8, 8, 0, -4, 4, 2])
    compare(base, k * X, y, k * new, 1.0, 0.0, 1e-8)


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e10])
@pytest.mark.parametrize("where", ["X", "y"])
def test_offsets(base, offset, where):
    X, y, new = base[:3]
    bound = max(1e-8, 50 * EPS * offset)
    a, b = (offset, 0.0) if where == "y" else (0.0, offset)
    compare(base, X + b, y + a, new + b, 1.0, a, bound)


def test_exact_offsets_cost_nothing():
    """Values that float64 holds exactly with the offset (multiples of 2^-10, offset 2^33): agreement to 1e-8."""
    rng = np.random.default_rng(12)
    X = np.round(1024 * rng.standard_normal((30, 4))) / 1024
    y = np.round(1024 * (X @ [1.0, 2.0, 0.0, -1.0] + rng.standard_normal(30))) / 1024
    p, q = posterior(X, y), posterior(X + 2.0**33, y + 2.0**33)
    np.testing.assert_allclose(q.coefficients.mean, p.coefficients.mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(q.coefficients.sd, p.coefficients.sd, rtol=1e-8)
    # predictions near 1e10 are themselves rounded to 2e-6
    gap = q.predict(X + 2.0**33).mean - 2.0**33 - p.predict(X).mean
    assert np.abs(gap).max() <= 8 * EPS * 2.0**33


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e10])
def test_loo_does_not_see_offsets(base, offset):
    X, y = base[:2]
    # the log density of n rows: n times the relative change of a scale, and of a location in sds
    bound = 10 * max(1e-8, 50 * EPS * offset) * len(y)
    assert posterior(X + offset, y + offset).loo.elpd_loo == pytest.approx(base[6].loo.elpd_loo, abs=bound)
