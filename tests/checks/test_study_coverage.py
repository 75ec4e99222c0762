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


def coverage(n, p, t, replications):
    rng = np.random.default_rng([20260727, n, p])
    shares = np.empty(replications)
    for k in range(replications):
        X, X_new = rng.standard_normal((n, p)), rng.standard_normal((POINTS, p))
        beta = t * rng.standard_normal(p)
        y, y_new = X @ beta + rng.standard_normal(n), X_new @ beta + rng.standard_normal(POINTS)
        u = posterior(X, y).predict(X_new).target.cdf(y_new)
        shares[k] = ((u >= 0.025) & (u <= 0.975)).mean()
    return shares.mean(), shares.std(ddof=1) / np.sqrt(replications)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize(("n", "p", "t"), CASES)
def test_coverage(n, p, t):
    """150 data sets: the range asked for, widened by three Monte Carlo errors (each about 0.8 points)."""
    share, error = coverage(n, p, t, 150)
    assert error < 0.012
    assert 0.94 - 3 * error <= share <= 0.975 + 3 * error


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize(("n", "p", "t"), CASES)
def test_coverage_in_full(n, p, t):
    """4000 data sets: the Monte Carlo error is below 0.2 points, and the range is the one asked for."""
    share, error = coverage(n, p, t, 4000)
    assert error < 0.002
    assert 0.94 <= share <= 0.975
