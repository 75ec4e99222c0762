"""Simultaneous ECDF bands against Kolmogorov's exact distribution, enumeration, simulation and ArviZ."""

import itertools
from math import factorial

import numpy as np
import pytest
from arviz_stats.ecdf_utils import simulate_confidence_bands
from scipy.stats import binom, kstwo

from bayesridge.checks.ecdf_bands import band_probability, ecdf, simultaneous_band, uniformity_pvalue
from bayesridge.errors import DataError


@pytest.mark.parametrize(("n", "k"), [(5, 2), (10, 3), (37, 8), (100, 13)])
def test_kolmogorovs_distribution(n, k):
    """P(sup |F - z| < k / n) is that of counts between j + 1 - k and j - 1 + k at j / n, for j = 1 .. n - 1."""
    j = np.arange(1, n)
    # recursions of some hundred steps in float64: 1e-10 leaves a wide margin
    assert band_probability(n, j / n, j + 1 - k, j - 1 + k) == pytest.approx(kstwo.cdf(k / n, n), abs=1e-10)


def test_enumeration():
    """Six values in four cells of different width: the multinomial, summed outright."""
    n, z = 6, np.array([0.1, 0.45, 0.8])
    lower, upper = np.array([0, 1, 3]), np.array([2, 4, 6])
    cells = np.diff(np.concatenate([[0.0], z, [1.0]]))
    total = 0.0
    for counts in itertools.product(range(n + 1), repeat=4):
        below = np.cumsum(counts)
        if below[-1] == n and (below[:-1] >= lower).all() and (below[:-1] <= upper).all():
            ways = factorial(n) / np.prod([factorial(c) for c in counts])
            total += ways * np.prod(cells ** np.array(counts))
    assert band_probability(n, z, lower, upper) == pytest.approx(total, rel=1e-13)


def test_a_band_that_holds_everything_or_nothing():
    z = np.array([0.5])
    assert band_probability(7, z, np.array([0]), np.array([7])) == pytest.approx(1.0, abs=1e-14)
    assert band_probability(7, z, np.array([5]), np.array([4])) == 0.0
    # one point: a binomial probability
    assert band_probability(7, z, np.array([2]), np.array([4])) == pytest.approx(
        binom.cdf(4, 7, 0.5) - binom.cdf(1, 7, 0.5), rel=1e-13
    )


@pytest.mark.parametrize("n", [50, 250])
def test_simulated_uniform_samples_stay_inside_as_often_as_computed(n):
    band = simultaneous_band(n, 0.9)
    rng = np.random.default_rng(1)
    counts = np.array([ecdf(rng.random(n)) for _ in range(4000)])
    inside = ((counts >= band.lower - 1e-12) & (counts <= band.upper + 1e-12)).all(axis=1).mean()
    # four binomial standard errors of 4000 samples: 0.019
    assert inside == pytest.approx(band.coverage, abs=4 * np.sqrt(0.9 * 0.1 / 4000))
    # counts are whole numbers: the level cannot be met exactly, but is not exceeded by much
    assert 0.9 <= band.coverage < 0.92


def test_arviz_finds_the_same_pointwise_level():
    n, k = 100, 100
    band = simultaneous_band(n, 0.95)
    rng = np.random.default_rng(3)
    level = simulate_confidence_bands(n, 1, np.arange(1, k) / k, 0.95, 4000, rng)
    # gamma is a 5% quantile of 4000 simulated tail probabilities, itself known to about a tenth
    assert 1.0 - level == pytest.approx(band.gamma, rel=0.25)
    assert band.gamma > 4 * 0.05 / k  # far from Bonferroni's
    assert band.gamma < 0.05 / 4


def test_p_value_and_band_agree():
    rng = np.random.default_rng(4)
    band = simultaneous_band(80, 0.8)
    outside = 0
    for _ in range(300):
        u = rng.random(80)
        values = ecdf(u)
        left = bool(((values < band.lower - 1e-12) | (values > band.upper + 1e-12)).any())
        # p <= 1 - coverage exactly where some count lies outside
        assert left == (uniformity_pvalue(u) <= 1.0 - band.coverage + 1e-9)
        outside += left
    assert 30 < outside < 90


def test_p_values_of_uniform_samples_are_nominal():
    """False alarms at level alpha: at most alpha, and not much below (the p-values are discrete)."""
    rng = np.random.default_rng(5)
    p = np.array([uniformity_pvalue(rng.random(200)) for _ in range(300)])
    for alpha in (0.01, 0.05, 0.1, 0.5):
        error = np.sqrt(alpha * (1 - alpha) / len(p))
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=4 * error + 0.02 * alpha)


@pytest.mark.parametrize("wrong", [(0.8, 0.8), (1.3, 1.0), (1.25, 1.25)])
def test_power(wrong):
    """Beta values that a histogram of 2000 hardly shows are found."""
    u = np.random.default_rng(6).beta(*wrong, size=2000)
    assert uniformity_pvalue(u) < 1e-4


def test_refused():
    with pytest.raises(DataError, match="at least 2 values"):
        simultaneous_band(1)
    with pytest.raises(DataError, match="strictly between"):
        simultaneous_band(10, 1.0)
    with pytest.raises(DataError, match="between 0 and 1"):
        uniformity_pvalue([0.5, 1.5])
    with pytest.raises(DataError, match="between 0 and 1"):
        uniformity_pvalue([0.5, np.nan])
