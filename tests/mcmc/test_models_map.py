"""MAP estimates: three ways to one answer at known scales, published modes, and the joint mode that is none."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from bayesridge import datasets
from bayesridge.design.design import build_design
from bayesridge.errors import PriorError
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.map import find_map, joint_profile, map_three_ways
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Custom, FixedTau, HalfNormal, InverseGamma, Jeffreys
from tests.truth.published import published, table_file


def problem(name, **options):
    table, y = datasets.load_xy(name)
    design = build_design(table.to_numpy(dtype=float), y.to_numpy(), names=tuple(table.columns), **options)
    return design, factorize(design)


@pytest.mark.mcmc
@pytest.mark.parametrize(("name", "options"), [("diabetes", {}), ("longley", {"unpenalized": [1]})])
def test_three_ways_to_one_answer(name, options):
    design, spectrum = problem(name, **options)
    unit = float(design.y.std())
    table = map_three_ways(design, spectrum, 0.7 * unit, 0.2 * unit)
    assert len(table) == 3
    np.testing.assert_allclose(table["lambda_"], 12.25, rtol=1e-14)
    # Newton's method on a quadratic, then rounding times the condition number (1e4 for Longley's unpenalised column)
    assert (table["difference"] < 1e-9).all()
    assert table.loc["PyMC find_MAP", "intercept"] == pytest.approx(table.loc["closed form", "intercept"], rel=1e-9)


def standardised(file, *names):
    frame = pd.read_csv(table_file(f"rethinking/{file}"), sep=";")[list(names)]
    return ((frame - frame.mean()) / frame.std()).to_numpy()  # missing values left out, n - 1


#: sigma ~ Exponential(1). A custom density becomes one of log sigma (times sigma): dividing by sigma beforehand makes
#: the mode that of sigma itself, as quap has it.
EXPONENTIAL = Custom(lambda sigma: -sigma - np.log(sigma), of="sigma", label="exponential mode")


def assert_published(item, values):
    expected = published("rethinking_quap")["items"][item]
    # the file's own optimiser stopped at 1e-5 or so; the published figures have two decimals
    np.testing.assert_allclose(values, expected["computed"], atol=2e-4)
    np.testing.assert_allclose(values, expected["published"], atol=6e-3)


@pytest.mark.mcmc
@pytest.mark.parametrize(
    ("item", "columns", "target"),
    [
        ("m5.1", ["MedianAgeMarriage"], "Divorce"),
        ("m5.3", ["Marriage", "MedianAgeMarriage"], "Divorce"),
        pytest.param("m5.2", ["Marriage"], "Divorce", marks=pytest.mark.slow),
        pytest.param("m5.4", ["MedianAgeMarriage"], "Marriage", marks=pytest.mark.slow),
    ],
)
def test_published_quadratic_approximations(item, columns, target):
    """McElreath's quap: slopes N(0, 0.5), sigma ~ Exponential(1), joint mode with sigma on its natural scale.

    His intercept is N(0, 0.2); with centred columns and target its mode is 0 like that of a flat one.
    """
    from bayesridge.models.hierarchical import hierarchical

    values = standardised("WaffleDivorce.csv", *columns, target)
    design = build_design(values[:, :-1], values[:, -1], scale=False)
    found = find_map(design, hierarchical(design, prior=FixedTau(0.5), noise_prior=EXPONENTIAL, centred=True))
    assert_published(item, [found["intercept"], *found["coef"], found["sigma"]])


@pytest.mark.mcmc
def test_published_approximation_with_a_prior_on_the_intercept():
    """m5.5d: intercept and slope N(0, 1), columns standardised before incomplete rows are dropped."""
    from bayesridge.models.hierarchical import hierarchical

    values = standardised("milk.csv", "neocortex.perc", "kcal.per.g")
    x, y = values[~np.isnan(values).any(axis=1)].T
    design = build_design(np.column_stack([np.ones_like(x), x]), y, scale=False, fit_intercept=False)
    found = find_map(design, hierarchical(design, prior=FixedTau(1.0), noise_prior=EXPONENTIAL, centred=True))
    assert_published("m5.5d", [*found["coef"], found["sigma"]])


# -- the joint mode ------------------------------------------------------------------------------------------------


def test_the_profile_is_the_maximum_of_the_joint_density():
    """Held against a direct maximisation over coefficients, intercept and sigma at fixed lambda."""
    design, spectrum = problem("longley")
    noise = InverseGamma(2.0, 1e5)
    lam = np.array([0.05, 2.0])
    profile = joint_profile(spectrum, BetaR2(), noise, lam)
    X, y, n, p = design.standardize(design.X, design.penalized), design.y - design.y_mean, design.n_rows, 6
    constants = []
    for k, value in enumerate(lam):

        def negative(theta, value=value):
            sigma, beta = np.exp(theta[0]), theta[1:] * 1e3
            rest = y - X @ beta
            squares = rest @ rest + value * beta @ beta
            power = n - 1 + p + 2 * noise.shape  # the intercept is integrated out: n - 1
            return power * theta[0] + (0.5 * squares + noise.scale) / sigma**2 - 0.5 * p * np.log(value)

        start = np.r_[np.log(500.0), np.zeros(p)]
        found = minimize(negative, start, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
        constants.append(profile.log_joint[k] + found.fun - float(BetaR2().log_density(np.log(value), spectrum.signal)))
    # what is left is free of lambda
    assert constants[0] == pytest.approx(constants[1], abs=1e-6)


def test_the_joint_density_is_unbounded_where_all_coefficients_are_zero():
    design, spectrum = problem("diabetes")
    profile = joint_profile(spectrum, BetaR2(), Jeffreys())
    # p/2 - 1/2: ten coefficients, and the prior of R^2 falls like R = lambda^(-1/2)
    assert profile.slope == pytest.approx(4.5, abs=1e-9)
    assert profile.norm[-1] < 1e-4 * profile.norm[0]
    far = joint_profile(spectrum, BetaR2(), Jeffreys(), np.exp(np.array([40.0, 80.0])))
    assert far.log_joint[1] > profile.log_joint.max() + 100.0
    # the evidence, on the other hand, has its maximum inside the posterior of lambda
    posterior = infer(design, spectrum, BetaR2(), Jeffreys())
    low, high = posterior.lambda_.interval(0.9)
    assert low < profile.marginal_mode < high


def test_marginal_profile_is_the_posterior_density_of_lambda_up_to_a_constant():
    design, spectrum = problem("longley")
    noise = InverseGamma(2.0, 1e5)
    lam = np.array([0.02, 0.1, 1.0, 30.0])
    profile = joint_profile(spectrum, BetaR2(), noise, lam)
    density = infer(design, spectrum, BetaR2(), noise).lambda_.log_pdf_log(np.log(lam))
    # maximising an inverse-gamma over log sigma, or integrating it, differs by a constant
    np.testing.assert_allclose(np.diff(profile.log_marginal), np.diff(density), atol=1e-8)


@pytest.mark.mcmc
def test_pymc_walks_off_to_the_unbounded_mode():
    """With more columns than rows there is no local mode: find_MAP on the joint model ends at zero coefficients."""
    from bayesridge.models.conjugate import conjugate

    rng = np.random.default_rng(3)
    X = rng.standard_normal((15, 30))
    design = build_design(X, X @ (0.4 * rng.standard_normal(30)) + rng.standard_normal(15))
    spectrum = factorize(design)
    assert joint_profile(spectrum, BetaR2(), Jeffreys()).local_modes == ()
    model = conjugate(design, prior=BetaR2(), noise_prior=Jeffreys(), centred=True)
    found = find_map(design, model, method="L-BFGS-B")
    posterior = infer(design, spectrum, BetaR2(), Jeffreys())
    assert found["lambda_"] > 100.0 * float(posterior.lambda_.quantile(0.95))
    assert np.abs(found["coef"]).max() < 0.01 * np.abs(posterior.coefficients.mean).max()


def test_a_prior_on_tau_has_no_profile_over_lambda():
    _, spectrum = problem("longley")
    with pytest.raises(PriorError, match="half-normal"):
        joint_profile(spectrum, HalfNormal(1.0, on="tau"), Jeffreys())
