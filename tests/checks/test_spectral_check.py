"""The spectral check: right sizes when the prior is right, and an alarm when the signal sits elsewhere."""

from itertools import combinations, product

import numpy as np
import pytest

from bayesridge import BetaR2, FixedLambda, Jeffreys, posterior
from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.checks.spectral_check import spectral_check
from bayesridge.design.design import build_design
from bayesridge.errors import DataError
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.posterior import infer


def collinear(rng, n=100, p=40):
    """Columns whose singular values fall from 1 to 0.02, with the left singular vectors."""
    Q = np.linalg.qr(rng.standard_normal((p, p)))[0]
    X = rng.standard_normal((n, p)) @ np.diag(np.geomspace(1.0, 0.02, p)) @ Q
    X /= X.std(axis=0)
    return X, np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0]


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")  # some of the data sets have none
@pytest.mark.parametrize(
    ("n", "p", "sets"),
    [(60, 10, 30), (30, 60, 20)]
    + [pytest.param(*shape, 400, marks=pytest.mark.slow) for shape in ((60, 10), (30, 60))],
)
def test_p_values_are_near_uniform_when_the_model_holds(n, p, sets):
    rng = np.random.default_rng(n)
    found = []
    for seed in range(sets):
        X = rng.standard_normal((n, p))
        y = X @ (0.4 * rng.standard_normal(p)) + rng.standard_normal(n)
        found.append([test.p for test in spectral_check(posterior(X, y), simulations=150, random_state=seed).tests])
    below = (np.array(found) < 0.1).mean(axis=0)
    assert (below < 0.1 + 4.0 * np.sqrt(0.09 / sets)).all()  # four standard errors
    # not conservative to the point of uselessness
    assert (np.array(found) > 0.5).mean(axis=0).min() > 0.4 - 2.5 * np.sqrt(0.24 / sets)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")  # the evidence does not see it there
def test_signal_in_small_directions_is_seen():
    rng = np.random.default_rng(1)
    X, U = collinear(rng)
    check = spectral_check(posterior(X, U[:, -8:] @ (20.0 * rng.standard_normal(8)) + rng.standard_normal(100)))
    assert not check.passed
    trend = next(test for test in check.tests if test.name == "trend")
    assert trend.observed < 0
    assert trend.p_adjusted < 0.05
    assert "small variance hold more" in check.verdict


def test_one_dominant_direction_is_named_with_its_columns():
    rng = np.random.default_rng(2)
    X, U = collinear(rng)
    post = posterior(X, 15.0 * U[:, 10] + rng.standard_normal(100))
    check = spectral_check(post)
    assert check.outliers == (10,)
    names = [name for name, _ in check.columns[0]]
    share = np.square(np.linalg.svd((X - X.mean(axis=0)) / X.std(axis=0), full_matrices=False)[2][10])
    assert names == [f"x{j}" for j in np.argsort(-share)[:3]]
    assert check.table["outlier"].to_numpy().nonzero()[0].tolist() == [10]


def factorial(rng):
    """Fifteen effects of four factors in 32 runs, all of one singular value; one effect is large."""
    factors = np.array(list(product((-1.0, 1.0), repeat=4)) * 2)
    X = np.column_stack(
        [factors[:, list(some)].prod(axis=1) for k in range(1, 5) for some in combinations(range(4), k)]
    )
    return X, 6.0 * X[:, 6] + X @ (0.1 * rng.standard_normal(15)) + rng.standard_normal(32)


def test_effects_of_an_orthogonal_experiment_are_their_own_directions():
    X, y = factorial(np.random.default_rng(5))
    check = spectral_check(posterior(X, y), simulations=400)
    np.testing.assert_allclose(check.z, X.T @ y / np.sqrt(32), rtol=1e-9)
    assert check.outliers == (6,)
    (named,) = check.columns
    assert named[0][0] == "x6"
    assert named[0][1] == pytest.approx(1.0, abs=1e-9)
    assert [test.name for test in check.tests] == ["shape", "largest", "noise"]  # of one size there is no trend


def alike(rng):
    """Two columns that are nearly one: a direction that holds both alike, and one that sets them against each other."""
    X = rng.standard_normal((30, 3)) @ np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0]])
    return X, X[:, 0] + rng.standard_normal(30)


def wide(rng):
    X = rng.standard_normal((20, 50))
    return X, X @ rng.standard_normal(50) + rng.standard_normal(20)


def test_signs_order_and_digits_of_orthogonal_columns_do_not_matter():
    """Effects in one column: its sign, its place and the digits that a file keeps leave the verdict."""
    rng = np.random.default_rng(2)
    t = (np.arange(40) + 0.5) * np.pi / 40
    X = np.cos(t[:, None] * np.arange(1, 17))
    y = 8.0 * X[:, 3] + rng.standard_normal(40)
    found = [
        spectral_check(posterior(table, y), simulations=400)
        for table in (X, X * rng.choice([-1.0, 1.0], 16), X[:, ::-1], X.round(8), X.round(5))
    ]
    for check in found:
        assert len(check.outliers) == 1
        assert check.tests[0].p == pytest.approx(found[0].tests[0].p, abs=0.003)
    assert found[0].columns[0][0][0] == found[3].columns[0][0][0] == found[4].columns[0][0][0] == "x3"


@pytest.mark.parametrize("make", [factorial, alike, wide])
def test_rounding_has_no_say_in_what_directions_are(make):
    rng = np.random.default_rng(8)
    X, y = make(rng)
    found = []
    for route in ("svd", "dual" if make is wide else "gram"):
        for order in (np.arange(len(X)), rng.permutation(len(X))):
            design = build_design(X[order], y[order])
            found.append(spectral_check(infer(design, factorize(design, route), BetaR2(), Jeffreys()), simulations=100))
    for check in found[1:]:
        np.testing.assert_allclose(check.z, found[0].z, atol=1e-8 * np.abs(found[0].z).max())  # 1e-16 over gaps of s
        np.testing.assert_allclose(check.standardized, found[0].standardized, atol=1e-7)


def test_units_do_not_matter():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((50, 6))
    y = X.sum(axis=1) + rng.standard_normal(50)
    one, other = spectral_check(posterior(X, y)), spectral_check(posterior(1e6 * X, 1e-4 * y + 3.0))
    np.testing.assert_allclose(np.abs(one.standardized), np.abs(other.standardized), rtol=1e-8)
    assert [test.p for test in one.tests] == [test.p for test in other.tests]


def test_what_cannot_be_checked_is_refused():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((20, 2))
    with pytest.raises(DataError, match="at least 3 singular directions"):
        spectral_check(posterior(X, X.sum(axis=1) + rng.standard_normal(20)))
    X = rng.standard_normal((20, 4))
    with pytest.raises(DataError, match="at least 100"):
        spectral_check(posterior(X, X.sum(axis=1) + rng.standard_normal(20)), simulations=10)
    flat = posterior(X, X.sum(axis=1) + rng.standard_normal(20), prior=FixedLambda(0.0))
    for check in (spectral_check, loo_calibration):  # they were alarms: of NaN
        with pytest.raises(DataError, match="lambda = 0 is a flat prior"):
            check(flat)
