"""The simulator against scipy's distributions and dense covariances; refits with another target against new fits."""

import numpy as np
import pytest
from scipy import stats

from bayesridge.checks.prior_draws import Reference, draw_scales
from bayesridge.checks.sbc_quantities import scale_cdf
from bayesridge.checks.sbc_study import new_row
from bayesridge.checks.simulate import Setup, simulate
from bayesridge.design.design import build_design
from bayesridge.errors import DataError, PriorError
from bayesridge.linalg.spectrum import factorize
from bayesridge.linalg.targets import with_left_vectors, with_target
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedScales,
    FixedSigma,
    FixedTau,
    Gamma,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Jeffreys,
    LogNormal,
)
from tests.truth.problems import NAMES, problems

SIGNAL = 7.0
SIZE = 4000

GAMMA3 = stats.gamma(3)

# prior, noise, what is looked at, and its distribution (scales are folded, hence compared with their absolute values)
LAW = [
    (BetaR2(0.5, 0.5), Jeffreys(), "R2", stats.beta(0.5, 0.5)),
    (BetaR2(2, 3), Jeffreys(), "R2", stats.beta(2, 3)),
    (LogNormal(10, 1.5), Jeffreys(), "lambda", stats.lognorm(1.5, scale=10)),
    (Gamma(2, 0.1), Jeffreys(), "lambda", stats.gamma(2, scale=10)),
    (HalfT(3, 0.5), Jeffreys(), "tau/sigma", stats.t(3, scale=0.5)),
    (HalfCauchy(0.5), FixedSigma(2.0), "tau/sigma", stats.cauchy(scale=0.5)),
    (HalfNormal(0.5), InverseGamma(3, 2), "tau/sigma", stats.norm(scale=0.5)),
    (HalfT(3, 0.5, on="tau"), InverseGamma(3, 2), "tau", stats.t(3, scale=0.5)),
    (HalfNormal(0.5, on="tau"), InverseGamma(3, 2), "sigma^2", stats.invgamma(3, scale=2)),
    (FixedTau(2.0), HalfT(4, 1.5, on="sigma"), "sigma", stats.t(4, scale=1.5)),
    (FixedTau(2.0), HalfNormal(1.5, on="sigma"), "sigma", stats.norm(scale=1.5)),
    (FixedTau(2.0), HalfCauchy(1.5, on="sigma"), "sigma/tau", stats.cauchy(scale=0.75)),
    (GammaPrecisions(2, 0.5, 3, 4), Jeffreys(), "1/tau^2", stats.gamma(2, scale=2)),
    (GammaPrecisions(2, 0.5, 3, 4), Jeffreys(), "1/sigma^2", stats.gamma(3, scale=0.25)),
    (Custom(stats.beta(2, 5).logpdf, of="R2"), Jeffreys(), "R2", stats.beta(2, 5)),
    (Custom(GAMMA3.logpdf, of="lambda"), Jeffreys(), "lambda", GAMMA3),
    (Custom(GAMMA3.logpdf, of="tau/sigma"), Jeffreys(), "tau/sigma", GAMMA3),
    (Custom(GAMMA3.logpdf, of="tau"), FixedSigma(2.0), "tau", GAMMA3),
    (BetaR2(), Custom(GAMMA3.logpdf, of="sigma"), "sigma", GAMMA3),
]


@pytest.mark.parametrize(("prior", "noise", "of", "law"), LAW)
def test_scales_are_drawn_from_their_priors(prior, noise, of, law):
    rng = np.random.default_rng([7, SIZE])
    lam, sigma, tau = draw_scales(prior, noise, SIGNAL, SIZE, rng, Reference())
    np.testing.assert_allclose(lam, (sigma / tau) ** 2, rtol=1e-12)
    values = {
        "lambda": lam, "R2": SIGNAL / (SIGNAL + lam), "sigma": sigma, "tau": tau, "tau/sigma": tau / sigma,
        "sigma/tau": np.sqrt(lam), "sigma^2": sigma**2, "1/sigma^2": sigma**-2.0, "1/tau^2": tau**-2.0,
    }[of]  # fmt: skip
    assert (values > 0).all()
    if law.support()[0] < 0:
        values = values * rng.choice([-1.0, 1.0], SIZE)
    # 19 laws: one in a thousand by chance, 1 in 50 that any fails under another seed
    assert stats.kstest(values, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("weighted", [False, True])
def test_covariance_of_simulated_data(weighted):
    """y and a new observation are normal with covariance tau^2 Xs Xs' + sigma^2 / w, the intercept added to both."""
    rng = np.random.default_rng(8)
    X = rng.standard_normal((4, 3)) * [1.0, 5.0, 0.2] + 3.0
    w = np.array([1.0, 2.0, 0.5, 4.0]) if weighted else None
    new = rng.standard_normal((1, 3))
    setup = Setup(X, new, w)
    share = np.full(4, 0.25) if w is None else w / w.sum()
    sd = np.sqrt(share @ (X - share @ X) ** 2)
    sim = simulate(setup, FixedScales(0.7, 1.3), Jeffreys(), 60_000, rng, Reference(intercept=5.0))
    both = np.column_stack([sim.y, sim.y_new])
    rows = np.concatenate([X, new]) / sd
    noise = 0.7**2 / np.append(np.ones(4) if w is None else w, 1.0)
    expected = 1.3**2 * rows @ rows.T + np.diag(noise)
    # entries of a sample covariance have a relative error of about sqrt(2 / 60000) = 0.6%
    np.testing.assert_allclose(np.cov(both.T), expected, rtol=0.03)
    np.testing.assert_allclose(both.mean(axis=0), 5.0, atol=5 * np.sqrt(expected.max() / 60_000))
    assert setup.signal == pytest.approx(build_design(X, sim.y[0], weights=w, weight_kind="precision").signal)


def test_lambda_zero_fixes_the_coefficients():
    setup = Setup(np.random.default_rng(1).standard_normal((6, 2)), np.zeros((1, 2)))
    sim = simulate(setup, FixedLambda(0.0), Jeffreys(), 3, np.random.default_rng(2), Reference(unpenalized=2.0))
    np.testing.assert_allclose(sim.truth.coef * setup.divisor, 2.0)


@pytest.mark.parametrize(
    "prior", [HalfT(3, 1, on="tau"), FixedTau(1.0), Custom(stats.gamma(3).logpdf, of="tau"), HalfNormal(1, on="tau")]
)
def test_priors_in_units_of_y_need_a_proper_noise_prior(prior):
    setup = Setup(np.eye(4), np.zeros((1, 4)))
    with pytest.raises(PriorError, match="give a proper noise prior"):
        simulate(setup, prior, Jeffreys(), 3, np.random.default_rng(1))


def test_improper_and_nearly_improper_priors_are_refused():
    setup = Setup(np.eye(4), np.zeros((1, 4)))
    flat = Custom(lambda x: -np.log(x), of="lambda", label="flat in the logarithm")
    with pytest.raises(PriorError, match="improper"):
        simulate(setup, flat, Jeffreys(), 3, np.random.default_rng(1))
    with pytest.raises(PriorError, match="nearly improper"):
        simulate(setup, GammaPrecisions(), Jeffreys(), 50, np.random.default_rng(1))
    with pytest.raises(DataError, match="no penalised column"):
        simulate(Setup(np.ones((4, 1)), np.zeros((1, 1))), BetaR2(), Jeffreys(), 3, np.random.default_rng(1))


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize("name", NAMES)
def test_refit_with_another_target_equals_a_new_fit(name):
    """All shapes, weights and flat columns of the test problems; the eigenvectors agree up to sign."""
    problem = problems()[name]
    design, _ = problem.spectrum("svd")
    rng = np.random.default_rng(9)
    y = problem.y[rng.permutation(len(problem.y))] + rng.standard_normal(len(problem.y))
    base = with_left_vectors(design, factorize(design, "svd"))
    moved, spectrum = with_target(design, base, y)
    fresh = build_design(problem.X, y, **problem.options)
    expected = factorize(fresh, "svd")
    assert moved.y_mean == pytest.approx(fresh.y_mean, rel=1e-12)
    if fresh.cross is not None:
        np.testing.assert_allclose(moved.cross, fresh.cross, atol=1e-10 * np.abs(fresh.cross).max())
    size = expected.total_squares
    np.testing.assert_allclose(spectrum.V @ spectrum.z, expected.V @ expected.z, atol=1e-11 * np.sqrt(size))
    assert spectrum.r0 == pytest.approx(expected.r0, abs=1e-12 * size)
    if expected.flat is not None:
        np.testing.assert_allclose(spectrum.on_flat, expected.on_flat, rtol=1e-10, atol=1e-12)
    ours, theirs = (infer(d, s, BetaR2(), Jeffreys()) for d, s in ((moved, spectrum), (fresh, expected)))
    assert ours.log_marginal_likelihood == pytest.approx(theirs.log_marginal_likelihood, rel=1e-10, abs=1e-9)
    np.testing.assert_allclose(ours.coefficients.mean, theirs.coefficients.mean, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("size", [(20, 5), (20, 40), (6, 2)])
@pytest.mark.parametrize(
    "pair",
    [(BetaR2(), Jeffreys()), (HalfCauchy(1.0), InverseGamma(3, 2)), (GammaPrecisions(2, 1, 2, 1), Jeffreys()),
     (FixedLambda(3.0), Jeffreys()), (HalfT(3, 1, on="tau"), HalfT(3, 1, on="sigma"))],
)  # fmt: skip
def test_fast_cdf_of_scales_is_that_of_the_marginals(size, pair):
    rng = np.random.default_rng(10)
    X = rng.standard_normal(size)
    design = build_design(X, X @ rng.standard_normal(size[1]) + rng.standard_normal(size[0]))
    posterior = infer(design, factorize(design), *pair)
    for name in ("sigma", "tau"):
        marginal = getattr(posterior, name)
        for value in marginal.quantile([0.001, 0.2, 0.9, 0.999]):
            # far below what a rank among thousands of simulations can show
            assert scale_cdf(posterior, name, value) == pytest.approx(float(marginal.cdf(value)), abs=1e-7)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_table_of_two_rows_has_a_new_row_too(rows):
    X = np.arange(2.0 * rows).reshape(rows, 2)
    new = new_row(X, np.random.default_rng(0))
    assert new.shape == (1, 2)
    assert new[0, 1] == new[0, 0] + 1.0  # as in every row, so in sums of two less a third
