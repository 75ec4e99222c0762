"""Replicated data sets, LOO-PIT calibration and predictive checks: right sizes when the model holds, and power."""

import numpy as np
import pytest
from scipy import stats

from bayesridge import FixedScales, HalfNormal, InverseGamma, posterior
from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.checks.own_scales import own_scales
from bayesridge.checks.predictive_checks import predictive_checks
from bayesridge.checks.refits import normal_score
from bayesridge.checks.replicates import observed_residuals, replicated_residuals
from bayesridge.datasets import load_xy
from bayesridge.errors import DataError
from tests.truth.problems import NAMES, problems

pytestmark = pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")  # some simulated sets have none


def simulated(rng, n, p, noise=None):
    X = rng.standard_normal((n, p))
    return X, X @ (0.4 * rng.standard_normal(p)) + (rng.standard_normal(n) if noise is None else noise)


def own_lambda(post):
    return float(own_scales(post, post.spectrum.z[None], np.array([post.spectrum.r0])).lam[0])


@pytest.mark.parametrize(("n", "p", "weighted"), [(30, 5, False), (12, 20, False), (25, 4, True)])
def test_residuals_are_those_of_n_refits(n, p, weighted):
    rng = np.random.default_rng(n)
    X, y = simulated(rng, n, p)
    w = rng.uniform(0.3, 3.0, n) if weighted else np.ones(n)
    post = posterior(X, y, weights=w if weighted else None, weight_kind="precision")
    found = observed_residuals(post)
    lam = own_lambda(post)
    S = (X - post.design.mean) / post.design.scale  # scales are held fixed
    for i in range(n):
        rest = np.arange(n) != i
        A = np.column_stack([np.ones(n - 1), S[rest]])
        W = w[rest, None]
        precision = A.T @ (W * A) + np.diag([0.0, *[lam] * p])
        coef = np.linalg.solve(precision, A.T @ (w[rest] * y[rest]))
        residual = y[rest] - A @ coef
        Q = residual @ (w[rest] * residual) + lam * coef[1:] @ coef[1:]
        a = np.array([1.0, *S[i]])
        scale = np.sqrt(Q / (n - 2) * (1.0 / w[i] + a @ np.linalg.solve(precision, a)))
        t = (y[i] - a @ coef) / scale
        # a solve with p + 1 unknowns against the closed form: rounding
        assert found.predicted[0, i] == pytest.approx(a @ coef, rel=1e-8, abs=1e-10)
        assert found.score[0, i] == pytest.approx(stats.norm.ppf(stats.t.cdf(t, n - 2)), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_problem_is_judged_or_refused(name):
    problem = problems()[name]
    post = problem.infer(problem.routes[0])
    weights = post.design.weights
    if post.design.weight_kind == "frequency" and weights is not None and (weights > 1).any():
        with pytest.raises(DataError, match="one row for each observation"):
            predictive_checks(post, simulations=100)
        return
    if post.design.nu < 3:
        with pytest.raises(DataError, match="at least 3 residual degrees"):
            predictive_checks(post, simulations=100)
        return
    found = predictive_checks(post, simulations=100)
    assert all(0.0 < check.p <= 1.0 for check in found.tests)
    assert np.isfinite([check.observed for check in found.tests]).all()
    assert np.isfinite(loo_calibration(post, simulations=100).p_value)


def test_replicates_have_the_stated_variances():
    rng = np.random.default_rng(3)
    X, y = simulated(rng, 25, 4)
    w = rng.uniform(0.3, 3.0, 25)
    post = posterior(X, y, prior=FixedScales(sigma=1.5, tau=0.7), weights=w, weight_kind="precision")
    block = np.concatenate([part.y for part in replicated_residuals(post, 40_000, 1)])
    S = (X - post.design.mean) / post.design.scale
    expected = 0.7**2 * S @ S.T + np.diag(1.5**2 / w)
    flat = np.sqrt(w)  # the intercept's direction carries nothing: project it out of both
    P = np.eye(25) - np.outer(flat, flat) / w.sum()
    root = np.sqrt(w)
    got = P @ np.cov((root * block).T) @ P
    want = P @ (root[:, None] * expected * root) @ P
    # standard error of a covariance of m Gaussian draws, largest of 625: five of them
    size = np.sqrt(np.outer(np.diag(want), np.diag(want)) + want**2)
    assert (np.abs(got - want) < 5.0 * size / np.sqrt(40_000) + 1e-10).all()


SIZES = ((60, 10), (20, 5), (30, 60))


@pytest.mark.parametrize(
    ("n", "p", "sets"),
    [(*size, 20) for size in SIZES] + [pytest.param(*size, 300, marks=pytest.mark.slow) for size in SIZES],
)
def test_p_values_are_near_uniform_when_the_model_holds(n, p, sets):
    rng = np.random.default_rng(n)
    found = []
    for seed in range(sets):
        post = posterior(*simulated(rng, n, p))
        checks = predictive_checks(post, simulations=150, random_state=seed).tests
        found.append([loo_calibration(post, simulations=150, random_state=seed).p_value, *[c.p for c in checks]])
    below = (np.array(found) < 0.1).mean(axis=0)
    assert (below < 0.1 + 4.0 * np.sqrt(0.09 / sets)).all()  # four standard errors
    # not timid to the point of uselessness
    assert (np.array(found) > 0.5).mean(axis=0).min() > 0.43 - 2.5 * np.sqrt(0.25 / sets)


def noise_of(kind, rng, X, signal):
    n = len(X)
    if kind == "tails":
        return signal + rng.standard_t(2, n)
    if kind == "outlier":
        return signal + rng.standard_normal(n) + 9.0 * (np.arange(n) == 17)
    if kind == "spread":
        return signal + rng.standard_normal(n) * np.exp(0.8 * signal / signal.std())
    if kind == "curvature":
        return signal**2 + 4.0 * signal + rng.standard_normal(n)
    if kind == "row order":
        e = rng.standard_normal(n)
        for i in range(1, n):
            e[i] += 0.6 * e[i - 1]
        return signal + e
    if kind == "lowest":
        return np.maximum(signal + rng.standard_normal(n), np.median(signal))
    return signal + rng.exponential(2.0, n)  # skewness


@pytest.mark.parametrize("kind", ["tails", "outlier", "spread", "curvature", "row order", "lowest", "skewness"])
def test_departures_are_found_and_named(kind):
    rng = np.random.default_rng(11)
    X = rng.standard_normal((200, 5))
    y = noise_of(kind, rng, X, X @ np.array([1.0, -0.8, 0.6, 0.0, 0.3]))
    found = predictive_checks(posterior(X, y), simulations=400)
    assert not found.passed
    named = next(check for check in found.tests if check.name == kind)
    assert named.p_adjusted < 0.05
    assert named.reading in found.verdict
    if kind == "outlier":
        assert found.largest[0] == 17
        assert "row 17" in found.verdict


def test_wrong_known_noise_fails_the_loo_calibration():
    rng = np.random.default_rng(5)
    X, y = simulated(rng, 80, 5)
    narrow = loo_calibration(posterior(X, y, prior=FixedScales(sigma=0.5, tau=0.4)))
    assert not narrow.passed
    assert "too narrow" in narrow.verdict
    assert loo_calibration(posterior(X, y, prior=FixedScales(sigma=1.0, tau=0.4))).passed


def test_loo_pit_and_counts_are_those_of_exact_leave_one_out():
    rng = np.random.default_rng(6)
    X, y = simulated(rng, 40, 3)
    post = posterior(X, y, prior=HalfNormal(1.0, on="tau"), noise_prior=InverseGamma(2.0, 1.0))
    found = loo_calibration(post, simulations=200)
    interval = post.loo.interval(0.95)
    assert found.coverage[-1].inside == np.count_nonzero((interval[:, 0] <= y) & (y <= interval[:, 1]))
    np.testing.assert_array_equal(found.pit, post.loo.pit)
    assert (found.lower <= found.z).all()
    assert (found.z <= found.upper).all()


def test_the_band_is_narrower_than_for_independent_values():
    # the scales were learned from the same rows (Lilliefors)
    from bayesridge.checks.ecdf_bands import simultaneous_band

    rng = np.random.default_rng(7)
    found = loo_calibration(posterior(*simulated(rng, 100, 3)), simulations=1000)
    independent = simultaneous_band(100, 0.95, len(found.z) + 1)
    assert np.mean(found.upper - found.lower) < 0.9 * np.mean(independent.upper - independent.lower)


def test_rows_that_stand_for_several_observations_are_refused():
    rng = np.random.default_rng(8)
    X, y = simulated(rng, 20, 2)
    with pytest.raises(DataError, match="one row for each observation"):
        loo_calibration(posterior(X, y, weights=np.full(20, 2.0)))
    w = np.where(np.arange(20) < 15, 1.0, 0.0)
    some, part = loo_calibration(posterior(X, y, weights=w)), loo_calibration(posterior(X[:15], y[:15]))
    np.testing.assert_allclose(some.pit[:15], part.pit, rtol=1e-9)
    assert np.isnan(some.pit[15:]).all()
    assert some.p_value == part.p_value


def test_too_few_simulations_and_targets_without_residuals_are_refused():
    rng = np.random.default_rng(9)
    X, y = simulated(rng, 20, 2)
    with pytest.raises(DataError, match="at least 100"):
        predictive_checks(posterior(X, y), simulations=50)
    with pytest.warns(match="linear function"):
        perfect = posterior(X, X @ np.ones(2))
    with pytest.raises(DataError, match="no residuals"):
        loo_calibration(perfect)


@pytest.mark.parametrize("unit", [1e-50, 1e-8, 1e8, 1e50])
def test_units_do_not_matter(unit):
    rng = np.random.default_rng(12)
    X, y = simulated(rng, 60, 4)
    one, other = predictive_checks(posterior(X, y)), predictive_checks(posterior(X / unit, unit * y))
    assert [check.p for check in other.tests] == [check.p for check in one.tests]
    assert loo_calibration(posterior(X / unit, unit * y)).p_value == loo_calibration(posterior(X, y)).p_value


# -- R² near 1: lambda lies far below the squared singular values ----------------------------------------------------


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4, 1e-7])
def test_own_lambda_is_the_posterior_mean_of_log_lambda(size):
    rng = np.random.default_rng(13)
    X = rng.standard_normal((60, 4))
    post = posterior(X, X.sum(axis=1) + size * rng.standard_normal(60))
    q = (np.arange(4000) + 0.5) / 4000
    # midpoints of quantiles, and a grid of a quarter of a nat where the posterior is one wide
    assert np.log(own_lambda(post)) == pytest.approx(np.log(post.lambda_.quantile(q)).mean(), abs=2e-3)


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_heavy_tails_fail_the_loo_calibration_at_any_r2(size):
    X = np.asarray(load_xy("diabetes")[0], dtype=float)
    rng = np.random.default_rng(14)
    signal = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(X.shape[1])
    found = loo_calibration(posterior(X, signal + size * rng.standard_t(1.2, len(X))), simulations=200)
    assert not found.passed


def test_false_alarms_are_rare_at_r2_near_1():
    found = []
    for seed in range(60):
        rng = np.random.default_rng([15, seed])
        X = rng.standard_normal((40, 4))
        y = X.sum(axis=1) + 10.0 ** rng.uniform(-7, -3) * rng.standard_normal(40)
        found.append(loo_calibration(posterior(X, y), simulations=100, random_state=seed).p_value)
    # 60 data sets, three standard errors on both sides: neither alarmed nor timid (p = 1 everywhere before)
    assert np.mean(np.array(found) < 0.1) < 0.1 + 3.0 * np.sqrt(0.09 / 60)
    assert np.mean(np.array(found) < 0.5) > 0.5 - 3.0 * np.sqrt(0.25 / 60)


@pytest.mark.parametrize("df", [20.0, 1_000.0, 2_999.0, 1e6])
def test_normal_scores_have_the_probability_of_the_t_values(df):
    t = np.concatenate([np.linspace(-6.0, 6.0, 241), [-40.0, 40.0]])
    found = normal_score(t[None].copy(), df)[0]
    inside = np.abs(t) <= 6.0
    expected = stats.t.logcdf(-np.abs(t[inside]), df)
    np.testing.assert_allclose(stats.norm.logcdf(-np.abs(found[inside])), expected, atol=1e-6)
    np.testing.assert_array_equal(np.sign(found), np.sign(t))
    assert (np.diff(found[inside]) > 0).all()


def test_what_the_design_makes_a_constant_is_not_judged():
    """Residuals in pairs have a skewness of zero, but for the rounding of a large y, which no simulated one has."""
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.standard_normal((20, 3)), np.repeat(np.eye(10), 2, axis=0)[:, 1:]])
    y = X[:, 0] + rng.standard_normal(20)
    for level in (0.0, 1e6):
        post = posterior(X, y + level, unpenalized=list(range(3, 12)))
        skewness = next(test for test in predictive_checks(post, simulations=200).tests if test.name == "skewness")
        assert abs(skewness.observed) < 1e-6
        assert skewness.p == 1.0
