"""More columns than rows can fit y exactly: the posterior of the noise must not collapse to zero."""

import numpy as np
import pytest

from bayesridge.fit import posterior
from bayesridge.priors import FixedLambda

SHAPES = [(20, 100), (50, 200), (100, 1000)]


def smallest_noise(n, p, replications, prior=None):
    rng = np.random.default_rng([20260727, n, p])
    least = np.inf
    for k in range(replications):
        X = rng.standard_normal((n, p))
        # from pure noise to a strong signal: R^2 of 0, 0.5, 0.9
        beta = rng.standard_normal(p) * np.sqrt([0.0, 1.0, 9.0][k % 3] / p)
        post = posterior(X, X @ beta + rng.standard_normal(n), prior=prior)
        least = min(least, post.sigma.moment(2))
    return least


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")  # a third of them are pure noise
@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_noise_never_collapses(n, p):
    """Two data sets of each strength: 3% of the study."""
    assert smallest_noise(n, p, 6) >= 0.01  # true noise variance 1


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_a_lambda_near_zero_fits_the_noise_away(n, p):
    assert smallest_noise(n, p, 3, FixedLambda(1e-3)) < 0.01


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_noise_never_collapses_in_full(n, p):
    assert smallest_noise(n, p, 200) >= 0.01
