"""Coverage of 95% predictive intervals: coefficients N(0, t^2), noise 1, new points from the same distribution.

A point is covered where the predictive cdf at the new y lies in [0.025, 0.975]. The points of one data set are
correlated, so the
Monte Carlo error is the standard error over data sets.
"""

import numpy as np
import pytest

from bayesridge.fit import posterior

CASES = [
    (6, 2, 1.0), (10, 5, 1.0), (15, 10, 1.0), (20, 5, 0.3), (20, 19, 1.0),
    (20, 40, 0.3), (50, 10, 0.3), (20, 100, 0.2), (50, 200, 0.15),
]  # fmt: skip
POINTS = 10


def coverage(n, p, t, replications, method=None):
    rng = np.random.default_rng([20260727, n, p])
    shares = np.empty(replications)
    for k in range(replications):
        X, X_new = rng.standard_normal((n, p)), rng.standard_normal((POINTS, p))
        beta = t * rng.standard_normal(p)
        y, y_new = X @ beta + rng.standard_normal(n), X_new @ beta + rng.standard_normal(POINTS)
        u = posterior(X, y, method=method).predict(X_new).target.cdf(y_new)
        shares[k] = ((u >= 0.025) & (u <= 0.975)).mean()
    return shares.mean(), shares.std(ddof=1) / np.sqrt(replications)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_coverage():
    """1% of the study, 40 data sets of each kind: each within four Monte Carlo errors of the range, their mean of 360
    within three (each 0.5 points)."""
    shares, errors = np.array([coverage(*case, 40) for case in CASES]).T
    assert ((shares >= 0.94 - 4 * errors) & (shares <= 0.975 + 4 * errors)).all()
    error = np.sqrt(np.square(errors).sum()) / len(CASES)
    assert error < 0.007
    assert 0.94 - 3 * error <= shares.mean() <= 0.975 + 3 * error


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_a_lambda_that_is_plugged_in_covers_less():
    """What the study is for: many columns on few rows, and a noise that is taken for known."""
    share, error = coverage(10, 8, 1.0, 40, "evidence")
    assert share < 0.94 - 4 * error


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize(("n", "p", "t"), CASES)
def test_coverage_in_full(n, p, t):
    """4000 data sets: the Monte Carlo error is below 0.2 points, and the range is the one asked for."""
    share, error = coverage(n, p, t, 4000)
    assert error < 0.002
    assert 0.94 <= share <= 0.975
