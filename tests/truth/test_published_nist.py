"""NIST StRD certified linear regressions: ridge as lambda -> 0, and flat priors throughout.

Tolerances. Longley, Pontius, Norris and NoInt are asked for to 1e-10, Filip to 1e-7 (ten powers of one column,
condition
number 4e9 after scaling). Wampler: condition number 1.6e3 after scaling, y up to 2e7 times the coefficient 1; a
column-scaled QR in
float64 is off by 3e-10, 3e-13, 3e-10, 1e-8 and 1e-6 for the five, and the Gram route may lose one digit more
(1e-11 of a
standard error).
"""

import math
import warnings
from functools import cache

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.errors import PerfectFitWarning
from bayesridge.fit import posterior
from bayesridge.linalg.filters import ridge_path
from bayesridge.linalg.spectrum import factorize
from bayesridge.priors import FixedLambda
from tests.truth.published import matrix, published

TOLERANCE = {
    "Longley": 1e-10, "Pontius": 1e-10, "Norris": 1e-10, "NoInt1": 1e-10, "NoInt2": 1e-10, "Filip": 1e-7,
    "Wampler1": 1e-9, "Wampler2": 1e-9, "Wampler3": 1e-9, "Wampler4": 1e-6, "Wampler5": 1e-5,
}  # fmt: skip
PERFECT = ("Wampler1", "Wampler2")
NOISY = [name for name in TOLERANCE if name not in PERFECT]


@cache
def problem(name):
    facts = published("nist_certified")[name]
    X, y, _ = matrix(f"nist/{facts['data_file']}")
    if facts["degree"] and facts["degree"] > 1:
        X = np.column_stack([X[:, 0] ** k for k in range(1, facts["degree"] + 1)])
    coef = np.array([float(v) for v in facts["exact_coef"]])
    se = np.array([float(v) for v in facts["exact_se"]])
    return X, y, facts["intercept"], coef, se, facts


def errors(got, want):
    return np.abs(np.asarray(got) / want - 1.0)


def joined(coef, intercept, has_intercept):
    return np.concatenate([np.atleast_1d(intercept), coef]) if has_intercept else np.asarray(coef)


def tiny_lambda(spectrum, tolerance):
    # a coefficient moves by at most lambda / s_min^2 of the largest; a hundredth of the tolerance is allowed for that
    return 1e-4 * tolerance * float(spectrum.s2[-1])


@pytest.mark.parametrize("name", list(TOLERANCE))
def test_exact_figures_are_the_certified_ones(name):
    """The figures compared with (recomputed in rational arithmetic) agree with the printed ones to 14 digits."""
    coef, se, facts = problem(name)[3:]
    printed = np.array([float(v) for v in facts["certified_coef"]])
    np.testing.assert_allclose(coef, printed, rtol=1e-13)
    if name not in PERFECT:
        np.testing.assert_allclose(se, [float(v) for v in facts["certified_se"]], rtol=1e-13)


@pytest.mark.parametrize("limit", ["zero", "tiny"])
@pytest.mark.parametrize("name", list(TOLERANCE))
def test_ridge_as_lambda_goes_to_zero(name, limit):
    X, y, intercept, coef, _, _ = problem(name)
    design = build_design(X, y, fit_intercept=intercept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if name in PERFECT else "error", PerfectFitWarning)
        spectrum = factorize(design)
    lam = 0.0 if limit == "zero" else tiny_lambda(spectrum, TOLERANCE[name])
    path = ridge_path(design, spectrum, lam)
    got = joined(path.coef[0], path.intercept[0], intercept)
    assert errors(got, coef).max() <= TOLERANCE[name]


@pytest.mark.parametrize("name", NOISY)
def test_standard_errors_of_a_flat_prior(name):
    """Lambda = 0: sd of the posterior = s.e. * sqrt(nu / (nu - 2)), nu = n - p (Student-t); its median sigma scale
    too."""
    X, y, intercept, coef, se, facts = problem(name)
    post = posterior(X, y, prior=FixedLambda(0.0), fit_intercept=intercept)
    nu = facts["n"] - facts["p"]
    got = joined(post.coefficients.mean, post.intercept.mean, intercept)
    assert errors(got, coef).max() <= TOLERANCE[name]
    # the Student-t scale is the certified standard error, whether or not a standard deviation exists
    sigma_level = 0.5 * math.erfc(-1.0 / math.sqrt(2.0))  # P(N(0, 1) < 1)
    from scipy.stats import t

    width = t.ppf(sigma_level, nu)
    parts = [post.intercept] if intercept else []
    quantile = np.concatenate([p.quantile(sigma_level) for p in [*parts, post.coefficients]])
    # the quantile is the coefficient plus its scale: where the coefficient is large the difference loses digits
    room = 1e-11 * np.abs(coef / se)
    assert (errors((quantile - got) / width, se) <= TOLERANCE[name] + room).all()
    if nu > 2:
        sd = np.concatenate([p.sd for p in [*parts, post.coefficients]])
        assert errors(sd / math.sqrt(nu / (nu - 2)), se).max() <= TOLERANCE[name]
    else:
        assert np.isinf(post.coefficients.sd).all()


@pytest.mark.parametrize("name", NOISY)
def test_all_columns_unpenalised(name):
    X, y, intercept, coef, se, facts = problem(name)
    post = posterior(X, y, fit_intercept=intercept, unpenalized=list(range(X.shape[1])))
    nu = facts["n"] - facts["p"]
    assert post.design.nu == nu
    parts = [post.intercept, post.coefficients] if intercept else [post.coefficients]
    assert errors(np.concatenate([p.mean for p in parts]), coef).max() <= TOLERANCE[name]
    sd = np.concatenate([p.sd for p in parts])
    if nu > 2:
        assert errors(sd / math.sqrt(nu / (nu - 2)), se).max() <= TOLERANCE[name]
    else:
        assert np.isinf(sd).all()
    # E[1 / sigma^2] = nu / RSS = 1 / rsd^2 under Jeffreys: by the sigma the nodes carry
    rsd = float(facts["exact_rsd"])
    np.testing.assert_allclose(math.sqrt(post.spectrum.r0 / nu), rsd, rtol=max(TOLERANCE[name], 1e-10))


@pytest.mark.parametrize("name", PERFECT)
def test_perfect_fits_warn_and_keep_the_coefficients(name):
    """Wampler 1 and 2 are exact polynomials: certified standard errors are zero, ours an upper bound from rounding."""
    X, y, _, coef, _, _ = problem(name)
    with pytest.warns(PerfectFitWarning, match="linear function"):
        post = posterior(X, y)
    got = np.concatenate([post.intercept.mean, post.coefficients.mean])
    # The noise reported is 16 eps max|y|; the coefficients are uncertain by that, times the certified se / rsd (which
    # does not depend on y: Wampler3 has the same columns)
    other = problem("Wampler3")
    unit = other[4] / float(other[5]["exact_rsd"])
    bound = 16 * np.finfo(float).eps * np.abs(y).max() * unit
    assert (np.abs(got - coef) <= bound * 5).all()
    sd = np.concatenate([post.intercept.sd, post.coefficients.sd])
    assert np.isfinite(sd).all()
    assert (sd > 0).all()
    assert (sd <= bound * 3).all()


def test_a_wrong_figure_would_be_seen():
    """The comparison has teeth: a change of 1e-9 of one Longley value moves the result by more than the tolerance."""
    X, y, _, coef, _, _ = problem("Longley")
    y = y.copy()
    y[3] *= 1 + 1e-9
    design = build_design(X, y)
    path = ridge_path(design, factorize(design), 0.0)
    assert errors(joined(path.coef[0], path.intercept[0], True), coef).max() > TOLERANCE["Longley"]
