"""Probabilities between 0 and 1, and shortest intervals that are the shortest, whatever rounding does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesridge import posterior
from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.hyper.marginal import EXP, correlation, marginal
from bayesridge.posteriors.mixture import Mixture

LEVELS = (0.05, 0.5, 0.95)


@st.composite
def mixtures(draw, apart=(0.0, 1.0, 1e4), decades=4.0, points=0.1):
    """Three mixtures of up to six components, some of them points."""
    K = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weight = rng.gamma(draw(st.sampled_from([0.2, 1.0, 20.0])), size=K) + 1e-300
    scale = 10.0 ** rng.uniform(-decades, 0, (3, K)) * (rng.random((3, K)) > points)
    location = draw(st.sampled_from(apart)) * rng.standard_normal((3, K))
    return Mixture(location, scale, weight / weight.sum(), draw(st.sampled_from([1.0, 5.0, 300.0, np.inf])))


@settings(max_examples=60, deadline=None)
@given(mixtures())
def test_a_mixtures_cdf_is_a_probability(mixture):
    ends = [mixture.location.min(axis=1), mixture.location.max(axis=1)]
    for x in (*ends, *(end + side * 1e6 for end in ends for side in (-1, 1)), np.full(3, np.inf), np.full(3, -np.inf)):
        below = mixture.cdf(x)
        assert (below >= 0).all()
        assert (below <= 1).all()


# components of a posterior overlap, and the interval is a solution of two smooth equations
@settings(max_examples=25, deadline=None)
@given(mixtures((0.0, 0.3, 1.0), 0.7, 0.0), st.sampled_from(LEVELS))
def test_no_shortest_interval_of_a_mixture_is_longer_than_the_equal_tailed_one(mixture, level):
    low, high = mixture.shortest_interval(level)
    assert (high - low <= np.ptp(mixture.interval(level), axis=1)).all()
    held = mixture.cdf(high) - mixture.cdf(low)
    assert (np.abs(held - level) <= 1e-8)[mixture.scale.max(axis=1) > 0].all()


@settings(max_examples=8, deadline=None)
@given(st.floats(-30, 30), st.floats(0.05, 3.0), st.floats(0.0, 8.0), st.sampled_from(LEVELS))
def test_a_marginals_cdf_is_a_probability_and_its_hdi_the_shortest(centre, sd, apart, level):
    def log_density(t):
        one, two = (-0.5 * ((t - centre - side * apart * sd) / sd) ** 2 for side in (-0.5, 0.5))
        return np.logaddexp(one, two) - np.log(2.0 * sd * np.sqrt(2.0 * np.pi))

    reach = (9.0 + 0.5 * apart) * sd
    found = marginal("x", log_density, centre - reach, centre + reach, EXP)
    x = np.exp(np.linspace(centre - 2 * reach, centre + 2 * reach, 801))
    below = found.cdf(np.append(x, [0.0, np.inf]))
    assert (below >= 0).all()
    assert (below <= 1).all()
    tails, shortest = found.interval(level), found.hdi(level)
    assert shortest.upper - shortest.lower <= tails.upper - tails.lower
    assert float(np.diff(found.cdf(shortest))[0]) == pytest.approx(level, abs=1e-8)


def test_the_shortest_interval_of_a_symmetric_scale_is_the_equal_tailed_one():
    sd = 0.3
    found = correlation("rho", lambda x: -0.5 * (x / sd) ** 2 - np.log(sd * np.sqrt(2.0 * np.pi)), (-10 * sd, 10 * sd))
    for level in (0.2, 0.41, 0.43, 0.45, 0.94):  # where the longer by rounding would be chosen
        tails, shortest = found.interval(level), found.hdi(level)
        assert shortest.upper - shortest.lower <= tails.upper - tails.lower


@pytest.mark.filterwarnings("ignore::bayesridge.NoSignalWarning")
@pytest.mark.parametrize("seed", range(8))
def test_one_row_far_away_does_not_switch_the_leave_one_out_check_off(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 3))
    y = X @ [1.0, -1.0, 0.5] + rng.standard_normal(40)
    y[7] += 50.0
    post = posterior(X, y)
    pit = post.loo.pit
    assert (pit >= 0).all()
    assert (pit <= 1).all()
    assert ((post.coefficients.prob_positive >= 0) & (post.coefficients.prob_positive <= 1)).all()
    loo_calibration(post, simulations=100)  # an ECDF takes values between 0 and 1 only
