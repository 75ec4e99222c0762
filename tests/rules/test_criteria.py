"""Every criterion against its definition in dense matrices, and the choice against a search of that definition."""

import numpy as np
import pytest

from bayesridge.linalg.terms import spectral_terms
from bayesridge.priors import FixedSigma, InverseGamma
from bayesridge.rules import criteria
from bayesridge.rules.catalogue import make_rule
from bayesridge.rules.leave_one_out import loo_curves
from bayesridge.rules.problem import NotAvailableError
from tests.truth import rules_dense as brute
from tests.truth.problems import NAMES

SIGMA = 0.8


def terms_at(problem, t):
    return spectral_terms(problem.spectrum, t)


#: name: (ours at an array of log lambda, definition at lambda, rule or None)
CRITERIA = {
    "reml": (
        lambda p, t: criteria.negative_log_evidence(terms_at(p, t), p.spectrum.nu), brute.reml, make_rule("reml")
    ),
    "ml": (
        lambda p, t: criteria.negative_log_evidence(terms_at(p, t), p.spectrum.n_obs), brute.ml, make_rule("ml")
    ),
    "gcv": (lambda p, t: criteria.gcv(terms_at(p, t)), brute.gcv, make_rule("gcv")),
    "rgcv": (lambda p, t: criteria.robust_gcv(terms_at(p, t), 0.3), brute.robust_gcv, make_rule("rgcv", gamma=0.3)),
    "cp": (
        lambda p, t: criteria.sure(terms_at(p, t), SIGMA), lambda d, lam: brute.cp(d, lam, SIGMA),
        make_rule("cp", sigma=SIGMA)
    ),
    "aic": (lambda p, t: criteria.information(terms_at(p, t), 2.0), brute.aic, make_rule("aic")),
    "aicc": (lambda p, t: criteria.corrected_aic(terms_at(p, t)), brute.aicc, make_rule("aicc")),
    "bic": (lambda p, t: criteria.information(terms_at(p, t), np.log(p.spectrum.n_obs)), brute.bic, make_rule("bic")),
    "loo": (
        lambda p, t: loo_curves(p.row_basis, p.spectrum, p.noise, t).squared, brute.press, make_rule("loo")
    ),
    "loo_log": (
        lambda p, t: loo_curves(p.row_basis, p.spectrum, p.noise, t).log_score, brute.log_score, make_rule("loo_log")
    ),
    "quasi_optimality": (lambda p, t: criteria.quasi_optimality(terms_at(p, t)), brute.quasi, None),
    "l_curve": (lambda p, t: criteria.l_curve(terms_at(p, t)), lambda d, lam: -brute.curvature(d, lam), None),
}  # fmt: skip

TOLERANCE = {"l_curve": 1e-5}  # the definition's own finite differences


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", NAMES)
def test_value(name, criterion):
    ours, definition, _ = CRITERIA[criterion]
    problem, d = brute.problem_of(name), brute.dense_of(name)
    low, high = brute.range_of(name)
    # far out the curve hardly moves and differences of its coordinates are rounding
    t = np.linspace(low + 6, high - 6, 9) if criterion == "l_curve" else np.linspace(low, high, 9)
    want = np.array([definition(d, lam) for lam in np.exp(t)])
    got = ours(problem, t).value
    # 1e-8: the normal equations of p > n at the smallest lambda have condition 1e6 and more
    scale = np.maximum(np.abs(want), 1e-3 * np.abs(want[np.isfinite(want)]).max())
    finite = np.isfinite(want)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    assert (np.abs(got[finite] - want[finite]) <= TOLERANCE.get(criterion, 1e-8) * scale[finite]).all()


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", NAMES)
def test_slope_is_the_derivative_up_to_a_positive_factor(name, criterion):
    ours = CRITERIA[criterion][0]
    problem = brute.problem_of(name)
    # no round numbers: at an optimum both are zero and their ratio means nothing
    t, h = np.linspace(*brute.range_of(name), 23) + 0.0137, 1e-4
    values = np.array([ours(problem, t + k * h).value for k in (-2, -1, 1, 2)])
    finite = np.isfinite(values).all(axis=0)
    values[:, ~finite] = 0.0
    numeric = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    slope = ours(problem, t).slope
    # where the difference quotient has more than rounding in it
    seen = finite & (np.abs(numeric) > 1e-7 * np.abs(values[1]))
    assert seen.any() or name == "tied singular values"
    assert (np.sign(numeric[seen]) == np.sign(slope[seen])).all()


@pytest.mark.parametrize("criterion", ["reml", "ml", "gcv", "rgcv", "cp", "aic", "bic"])
@pytest.mark.parametrize("name", NAMES)
def test_slope_is_the_derivative(name, criterion):
    """Where the factor is one (GCV's too: its value times the derivative of its logarithm)."""
    ours = CRITERIA[criterion][0]
    problem = brute.problem_of(name)
    t, h = np.linspace(*brute.range_of(name), 11), 1e-3
    values = np.array([ours(problem, t + k * h).value for k in (-2, -1, 1, 2)])
    numeric = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    # rounding of the values over the step: 1e-16 / 1e-3 and the criterion's own loss of digits
    np.testing.assert_allclose(ours(problem, t).slope, numeric, rtol=1e-7, atol=1e-10 * np.abs(values).max())


RULES = [name for name, (_, _, rule) in CRITERIA.items() if rule is not None]


# every other pair: the values of all of them are held on a grid below
@pytest.mark.parametrize(
    ("name", "criterion"), [(name, one) for i, name in enumerate(NAMES) for one in RULES[i % 2 :: 2]]
)
def test_choice_is_the_lowest_point_of_the_definition(name, criterion):
    _, definition, rule = CRITERIA[criterion]
    problem, d = brute.problem_of(name), brute.dense_of(name)
    try:
        choice = rule.choose(problem)
    except NotAvailableError:
        assert criterion == "aicc"
        assert problem.spectrum.nu <= 2
        return
    score = -choice.best.score if criterion in ("reml", "ml", "loo_log") else choice.best.score
    low, high = brute.range_of(name)
    t, value = brute.lowest(lambda t: definition(d, np.exp(t)), low, high)
    if choice.best.place == "interior":
        # a search of values sees a minimum to the square root of rounding, here of 1e-9 and less
        assert np.log(choice.lam) == pytest.approx(t, abs=3e-4)
        assert score == pytest.approx(value, rel=1e-8, abs=1e-9)
    else:
        # at an end: the definition falls towards it, and (unless it falls without end) not below its limit
        end = (low, low + 1.0) if choice.best.place == "zero" else (high, high - 1.0)
        assert definition(d, np.exp(end[0])) <= definition(d, np.exp(end[1])) * (1 + 1e-12)
        assert score <= value + 1e-8 * abs(value)


@pytest.mark.parametrize("name", ["tall", "precision weights", "wide", "frequency weights"])
def test_log_score_under_other_noise_priors(name):
    d, t = brute.dense_of(name), np.linspace(*brute.range_of(name), 5)
    problem = brute.problem_of(name, None, InverseGamma(2.0, 0.7))
    got = loo_curves(problem.row_basis, problem.spectrum, problem.noise, t).log_score.value
    want = [brute.log_score(d, lam, 2.0, 0.7) for lam in np.exp(t)]
    np.testing.assert_allclose(got, want, rtol=1e-8)
    problem = brute.problem_of(name, None, FixedSigma(0.6))
    got = loo_curves(problem.row_basis, problem.spectrum, problem.noise, t).log_score.value
    want = []
    for lam in np.exp(t):
        total = 0.0
        for i in range(len(d.y)):
            fit, row = brute.Fit(d, lam, np.arange(len(d.y)) != i), np.r_[d.Z[i], d.X[i]]
            variance = 0.36 * (1 / d.w[i] + fit.variance_factor(row))
            total += 0.5 * np.log(2 * np.pi * variance) + 0.5 * (d.y[i] - row @ fit.coef) ** 2 / variance
        want.append(total)
    np.testing.assert_allclose(got, want, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_discrepancy(name):
    problem, d = brute.problem_of(name), brute.dense_of(name)
    largest = float(problem.spectrum.total_squares)
    for share in (0.3, 0.6, 0.95):
        sigma = np.sqrt((problem.spectrum.r0 + share * (largest - problem.spectrum.r0)) / d.nu)
        choice = make_rule("discrepancy", sigma=sigma).choose(problem)
        assert choice.best.place == "interior"
        assert brute.Fit(d, choice.lam).rss == pytest.approx(sigma**2 * d.nu, rel=1e-9)
    assert make_rule("discrepancy", sigma=np.sqrt(1.1 * largest / d.nu)).choose(problem).best.place == "infinity"
    if problem.spectrum.r0 > 0:
        assert (
            make_rule("discrepancy", sigma=np.sqrt(0.5 * problem.spectrum.r0 / d.nu)).choose(problem).best.place
            == "zero"
        )


@pytest.mark.parametrize("name", NAMES)
def test_quasi_optimality_and_l_curve_are_local_optima_of_their_definitions(name):
    problem, d = brute.problem_of(name), brute.dense_of(name)
    for rule, definition in (
        (make_rule("quasi_optimality"), brute.quasi),
        (make_rule("l_curve"), lambda d, lam: -brute.curvature(d, lam)),
    ):
        try:
            choice = rule.choose(problem)
        except NotAvailableError:
            continue
        if choice.best.place != "interior":
            continue
        around = [definition(d, choice.lam * np.exp(k)) for k in (-0.2, 0.0, 0.2)]
        # where the curve bends as much at its end, differences of its coordinates cannot tell which is more
        slack = 1e-3 * abs(around[1]) if "no clear corner" in choice.note else 0.0
        assert around[1] < around[0] + slack
        assert around[1] < around[2] + slack
