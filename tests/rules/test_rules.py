"""Rules that are not the minimum of a criterion: posterior summaries, fixed points, closed formulas, the user's own."""

import numpy as np
import pytest
from scipy.special import ndtri

from bayesridge.errors import DataError, WeightsWarning
from bayesridge.fit import posterior
from bayesridge.hyper.evidence import log_evidence, profile_derivatives, profile_log_evidence
from bayesridge.priors import FixedLambda, FixedSigma
from bayesridge.rules.catalogue import default_rules, given_lambda, make_rule, own_criterion
from bayesridge.rules.fixed_points import em_step, mackay_step
from bayesridge.rules.problem import LambdaProblem, NotAvailableError
from tests.truth import rules_dense as brute
from tests.truth.problems import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_mackay_is_a_stationary_point_of_the_evidence(name):
    problem = brute.problem_of(name)
    choice = make_rule("mackay").choose(problem)
    if choice.best.place != "interior" or "not converged" in choice.note:
        # run to an end, or stuck on the way to one: it says so, and the evidence has no maximum where it began
        assert "run out" in choice.note or "not converged" in choice.note
        return
    slope, curvature = profile_derivatives(problem.spectrum, choice.lam)
    # a step of 1e-10 in log lambda, at a rate of convergence of one half or so
    assert abs(float(slope)) < 1e-7
    assert float(curvature) < 0
    assert mackay_step(problem.spectrum, np.log(choice.lam)) == pytest.approx(np.log(choice.lam), abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_em_never_lowers_the_evidence(name):
    spectrum = brute.problem_of(name).spectrum
    t, variance = float(np.log(spectrum.signal)) + 3.0, spectrum.total_squares / spectrum.nu
    before = float(log_evidence(spectrum, np.exp(t), np.sqrt(variance)))
    for _ in range(50):
        t, variance = em_step(spectrum, t, variance)
        now = float(log_evidence(spectrum, np.exp(t), np.sqrt(variance)))
        assert now >= before - 1e-12 * abs(before)
        before = now


def test_em_and_mackay_say_what_they_did():
    problem = brute.problem_of("tall")
    reml = make_rule("reml").choose(problem).lam
    for rule in (make_rule("mackay"), make_rule("em", tol=1e-12)):
        choice = rule.choose(problem)
        assert choice.lam == pytest.approx(reml, rel=1e-8)
        assert "iterations" in choice.note
    stopped = make_rule("em", max_iter=2).choose(problem)
    assert stopped.note.startswith("2 iterations, not converged")


@pytest.mark.parametrize("name", ["tall", "wide", "precision weights", "unscaled"])
def test_posterior_summaries_by_brute_force(name):
    """Quantiles and moments of exp(log density of log lambda), summed on a fine grid."""
    problem = brute.problem_of(name)
    marginal = problem.posterior.lambda_
    t = np.linspace(marginal.edges[0], marginal.edges[-1], 200_001)
    density = np.exp(marginal.log_pdf_log(t))
    step = t[1] - t[0]
    assert density.sum() * step == pytest.approx(1.0, abs=1e-8)
    mean = (t * density).sum() * step
    assert np.log(make_rule("posterior_mean").choose(problem).lam) == pytest.approx(mean, abs=1e-6)
    assert np.log(make_rule("posterior_mode").choose(problem).lam) == pytest.approx(t[np.argmax(density)], abs=2 * step)
    choice = make_rule("posterior_median", level=0.9).choose(problem)
    below = (np.cumsum(density) - 0.5 * density) * step
    for q, lam in ((0.5, choice.lam), (0.05, choice.interval.lower), (0.95, choice.interval.upper)):
        assert np.interp(np.log(lam), t, below) == pytest.approx(q, abs=1e-5)
    assert choice.interval.kind == "ETI of the posterior"
    assert choice.interval.level == 0.9


@pytest.mark.parametrize(("key", "degrees"), [("reml", "nu"), ("ml", "n_obs")])
def test_wald_interval(key, degrees):
    """The curvature by differences of the profile itself."""
    problem = brute.problem_of("tall")
    choice = make_rule(key, level=0.8).choose(problem)
    spectrum = problem.spectrum
    t, h = np.log(choice.lam), 1e-3

    def profile(t):
        value = profile_log_evidence(spectrum, np.exp(t))
        if degrees == "nu":
            return value
        from bayesridge.linalg.filters import penalized_rss

        return value - 0.5 * (spectrum.n_obs - spectrum.nu) * np.log(penalized_rss(spectrum, np.exp(t)))

    curvature = (profile(t + h) - 2 * profile(t) + profile(t - h)) / h**2
    reach = ndtri(0.9) / np.sqrt(-curvature)
    # the second difference carries 1e-16 * 20 / 1e-6
    assert np.log(choice.interval.upper / choice.lam) == pytest.approx(reach, rel=1e-5)
    assert np.log(choice.lam / choice.interval.lower) == pytest.approx(reach, rel=1e-5)
    assert "Wald" in choice.interval.kind


def test_no_wald_interval_at_an_end():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((30, 3))
    y = rng.standard_normal(30)
    y -= X @ np.linalg.lstsq(X, y)[0] * 0.99  # nothing left to find
    with pytest.warns(UserWarning, match="no signal"):
        problem = LambdaProblem(posterior(X, y))
    choice = make_rule("reml").choose(problem)
    assert choice.best.place == "infinity"
    assert choice.interval is None


def test_sigma_given_by_the_model_is_used():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((20, 30))
    y = X[:, 0] + rng.standard_normal(20)
    problem = LambdaProblem(posterior(X, y, noise_prior=FixedSigma(1.0)))
    assert "sigma of the model" in make_rule("cp").choose(problem).note
    assert make_rule("cp").choose(problem).lam == make_rule("cp", sigma=1.0).choose(problem).lam
    problem = LambdaProblem(posterior(X, y))
    for rule in (make_rule("cp"), make_rule("discrepancy")):
        with pytest.raises(NotAvailableError, match="needs sigma"):
            rule.choose(problem)
    for rule in (make_rule("hkb"), make_rule("lw")):
        with pytest.raises(NotAvailableError, match="least-squares"):
            rule.choose(problem)


def test_closed_formulas_want_three_columns():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((20, 2))
    problem = LambdaProblem(posterior(X, X.sum(axis=1) + rng.standard_normal(20)))
    with pytest.raises(NotAvailableError, match="subtract=0"):
        make_rule("hkb").choose(problem)
    beta, rest = np.linalg.lstsq(np.column_stack([np.ones(20), X]), problem.design.y)[:2]
    scaled = beta[1:] * X.std(axis=0)
    want = 2 * rest[0] / 17 / (scaled @ scaled)
    assert make_rule("hkb", subtract=0).choose(problem).lam == pytest.approx(want, rel=1e-10)


def test_a_fixed_lambda_has_no_posterior():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((20, 3))
    y = X[:, 0] + rng.standard_normal(20)
    problem = LambdaProblem(posterior(X, y, prior=FixedLambda(2.0), noise_prior=FixedSigma(1.0)))
    for rule in (make_rule("posterior_mean"), make_rule("posterior_median"), make_rule("posterior_mode")):
        with pytest.raises(NotAvailableError, match="fixed by the prior"):
            rule.choose(problem)


def test_leave_one_out_needs_observations_to_leave_out():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((10, 2))
    y = X[:, 0] + rng.standard_normal(10)
    with pytest.warns(WeightsWarning, match="not whole"):
        problem = LambdaProblem(posterior(X, y, weights=np.full(10, 1.5)))
    for rule in (make_rule("loo"), make_rule("loo_log")):
        with pytest.raises(NotAvailableError, match="whole numbers"):
            rule.choose(problem)
    alone = np.column_stack([X, np.arange(10) == 3])
    problem = LambdaProblem(posterior(alone, y, unpenalized=[2]))
    with pytest.raises(NotAvailableError, match="row 3 alone"):
        make_rule("loo").choose(problem)


def test_own_rules():
    problem = brute.problem_of("tall")
    assert given_lambda(3.0).choose(problem).lam == 3.0
    assert given_lambda(0.0).choose(problem).best.place == "zero"
    assert given_lambda(np.inf).choose(problem).best.place == "infinity"
    with pytest.raises(DataError, match="0 or positive"):
        given_lambda(-1.0)
    with pytest.raises(DataError, match="one value for each"):
        own_criterion(lambda _, t: np.zeros(3)).choose(problem)  # noqa: ARG005
    with pytest.raises(DataError, match="gamma"):
        make_rule("rgcv", gamma=0.0).choose(problem)
    with pytest.raises(DataError, match="has no setting sigma; it has gamma"):
        make_rule("rgcv", sigma=1.0)
    with pytest.raises(DataError, match="no rule called gvc; there are posterior_median"):
        make_rule("gvc")
    assert make_rule("rgcv", gamma=1.0).choose(problem).lam == pytest.approx(
        make_rule("gcv").choose(problem).lam, rel=1e-12
    )

    def gcv(_, log_lam):
        return np.array([brute.gcv(brute.dense_of("tall"), lam) for lam in np.exp(np.clip(log_lam, -30, 30))])

    # found from values, to the square root of rounding
    assert own_criterion(gcv).choose(problem).lam == pytest.approx(make_rule("gcv").choose(problem).lam, rel=1e-5)


def test_rules_are_immutable_and_have_keys_of_their_own():
    rules = default_rules()
    assert len({rule.key for rule in rules}) == len(rules)
    assert all(rule.label for rule in rules)
    with pytest.raises(AttributeError):
        rules[0].level = 0.5
