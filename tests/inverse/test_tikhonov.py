"""Derivative penalties against dense algebra, actual refits and identities of the filters."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal

from bayesridge import BetaR2, DataError, FixedScales, Jeffreys, NoSignalWarning, load, plots
from bayesridge.checks.sbc import posterior_sbc
from bayesridge.inverse import differences, filter_path, inverse_problem, tikhonov
from bayesridge.linalg.filters import ridge_path
from bayesridge.linalg.optimizer import map_estimate
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.posterior import infer
from bayesridge.rules.catalogue import make_rule
from bayesridge.rules.problem import problem_of

SIGMA, TAU = 0.3, 1.7
rng = np.random.default_rng(4)
A, W = rng.standard_normal((9, 7)), rng.uniform(0.3, 3.0, 9)
Y = A @ [0.0, 2.0, 1.0, -1.0, 0.0, 2.0, 3.0] + 0.4 * rng.standard_normal(9)
ODD = rng.standard_normal((9, 5)) @ rng.standard_normal((5, 7))  # rank 5 of 7, more rows than that
PENALTIES = {"identity": np.eye(7), "first differences": differences(7, 1), "second differences": differences(7, 2)}


def dense(L, w, lam=(SIGMA / TAU) ** 2):
    """Mean and covariance over sigma^2 of x."""
    inverse = np.linalg.inv(A.T @ (w[:, None] * A) + lam * L.T @ L)
    return inverse @ (A.T @ (w * Y)), inverse


@pytest.mark.parametrize("penalty", [*PENALTIES, "odd"])
@pytest.mark.parametrize("weights", [None, W], ids=["plain", "weighted"])
def test_given_the_scales_it_is_the_dense_gaussian(penalty, weights):
    L = PENALTIES.get(penalty, ODD)
    w = np.ones(9) if weights is None else weights
    post = tikhonov(A, Y, penalty if penalty in PENALTIES else ODD, weights=weights, prior=FixedScales(SIGMA, TAU))
    mean, cov = dense(L, w)
    x = post.coefficients
    np.testing.assert_allclose(x.mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(x.sd, SIGMA * np.sqrt(cov.diagonal()), rtol=1e-10)
    np.testing.assert_allclose(post.covariance(), SIGMA**2 * cov, rtol=1e-9, atol=1e-12)
    new = rng.standard_normal((3, 7))
    found = post.predict(new).expected
    np.testing.assert_allclose(found.mean, new @ mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.sd, SIGMA * np.sqrt(np.einsum("ij,jk,ik->i", new, cov, new)), rtol=1e-9)
    np.testing.assert_allclose(post.expected(new), new @ mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(post.contrast(new).mean, new @ mean, rtol=1e-9, atol=1e-12)
    # log p(y): a proper part, and a flat one of density 1 on an orthonormal basis N of the null space of L
    _, d, rows = np.linalg.svd(L)
    rank = np.linalg.matrix_rank(L)
    Z, N = (rows[:rank] / d[:rank, None]).T, rows[rank:].T
    V = TAU**2 * A @ Z @ Z.T @ A.T + np.diag(SIGMA**2 / w)
    flat, inverse = A @ N, np.linalg.inv(V)
    gram = flat.T @ inverse @ flat
    best = flat @ np.linalg.solve(gram, flat.T @ inverse @ Y)
    log_p = multivariate_normal(best, V).logpdf(Y) + 0.5 * (len(gram) * np.log(2 * np.pi) - np.linalg.slogdet(gram)[1])
    assert post.log_marginal_likelihood == pytest.approx(log_p, abs=1e-9)


@pytest.fixture(scope="module")
def post():
    return tikhonov(A, Y, "second differences")


def test_it_has_what_every_posterior_has(post, tmp_path):
    mean, _ = dense(PENALTIES["second differences"], np.ones(9), 2.0)
    np.testing.assert_allclose(ridge_path(post.design, post.spectrum, 2.0).coef[0], mean, rtol=1e-9, atol=1e-12)
    found = map_estimate(post.design, post.spectrum, 1.0, 0.5)
    np.testing.assert_allclose(found.map_coef, found.ridge_coef, atol=1e-8)
    draws = post.draw(4000, 1, 0)
    off = (draws.coef[0].mean(axis=0) - post.coefficients.mean) / post.coefficients.sd
    assert np.abs(off).max() < 4.5 / np.sqrt(4000)  # standard errors
    tree = post.to_datatree(200, 2, 0, predictive=True)
    error = tree["posterior_predictive"].y.values - np.einsum("cdp,np->cdn", tree["posterior"].coef.values, A)
    assert 0.9 < error.std() / np.sqrt(np.square(tree["posterior"].sigma.values).mean()) < 1.1
    assert list(tree["posterior"].penalized.values[:2]) == ["direction 0", "direction 1"]
    for rows in (True, False):
        again = load(post.save(tmp_path / "a.bridge", rows=rows)).posterior_
        np.testing.assert_allclose(again.coefficients.interval(), post.coefficients.interval(), rtol=1e-7)
        np.testing.assert_allclose(again.expected(A), post.expected(A), rtol=1e-9, atol=1e-12)


def test_leave_one_out_is_that_of_refits(post):
    others = np.arange(9) != 3
    design = replace(tikhonov(A[others], Y[others]).design, signal=post.design.signal)  # the prior stays
    refit = infer(design, factorize(design), post.prior, post.noise_prior)
    exact = refit.predict(A[3:4]).log_density(Y[3:4])[0]
    assert post.loo.pointwise[3] == pytest.approx(exact, abs=1e-7)
    without = post.engine.without(3)
    np.testing.assert_allclose(without.spectrum.s, refit.spectrum.s, rtol=1e-10)


def test_rules_take_the_penalty_as_it_is(post):
    L = PENALTIES["second differences"]

    def gcv(t):
        hat = A @ np.linalg.solve(A.T @ A + np.exp(t) * L.T @ L, A.T)
        return np.square(Y - hat @ Y).sum() / (9 - np.trace(hat)) ** 2

    lam = make_rule("gcv").choose(problem_of(post)).lam
    best = minimize_scalar(gcv, bounds=(-12, 12), method="bounded", options={"xatol": 1e-10})
    assert gcv(np.log(lam)) <= best.fun * (1 + 1e-9)


def test_only_the_length_of_what_is_penalised_counts(post):
    turned = np.linalg.qr(rng.standard_normal((5, 5)))[0] @ differences(7, 2)
    np.testing.assert_allclose(tikhonov(A, Y, turned).coefficients.sd, post.coefficients.sd, rtol=1e-9)
    stacked = tikhonov(A, Y, np.vstack([differences(7, 2)] * 2) / np.sqrt(2.0))
    assert stacked.log_marginal_likelihood == pytest.approx(post.log_marginal_likelihood, abs=1e-8)


def test_what_cannot_be_done_is_said(post):
    with pytest.raises(DataError, match="combinations of coefficients"):
        plots.contours(post)
    with pytest.raises(DataError, match="penalties on single coefficients"):
        posterior_sbc(post, simulations=10)
    for bad, why in (
        ("third", "one of"), (np.ones((2, 3)), "7 columns"), (np.zeros((2, 7)), "not all of them zero"),
        (np.full((2, 7), np.nan), "finite"), ([["a"] * 7], "real numbers"), (1e200 * np.eye(7), "power of ten"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=why):
            tikhonov(A, Y, bad)
    blind = A - A.mean(axis=1, keepdims=True)  # constants are not seen
    with pytest.raises(DataError, match="does not see"):
        tikhonov(blind, Y, "first differences")
    for size in (1e200, 1e-200, 0.0):
        with pytest.raises(DataError, match=r"power of ten|not all of them zero"):
            tikhonov(size * A, Y)
    with pytest.raises(DataError, match="y is as large as"):
        tikhonov(A, 1e200 * Y)
    with pytest.raises(DataError, match="x2"):
        tikhonov(np.where(A > 2, np.nan, A) + np.where(np.arange(7) == 2, np.inf, 0), Y)


def test_a_straight_line_needs_no_bending():
    problem = inverse_problem("deriv2", 32)
    with pytest.warns(NoSignalWarning, match="what the penalty does not see"):
        found = tikhonov(problem.A, problem.data(0.01, 1))
    assert problem.relative_error(found.coefficients.mean) < 0.02


# -- other filters ---------------------------------------------------------------------------------------------------


def test_filters_meet_what_they_are():
    problem = inverse_problem("blur", 20)
    y = problem.data(0.02, 1)
    post = tikhonov(problem.A, y, "identity")
    U, s, Vt = np.linalg.svd(problem.A)
    cut = filter_path(post, "truncated", [3])
    np.testing.assert_allclose(cut.coefficients[0], Vt[:3].T @ ((U.T @ y)[:3] / s[:3]), rtol=1e-9)
    x = np.zeros(20)
    for _ in range(7):
        x += problem.A.T @ (y - problem.A @ x) / s[0] ** 2
    np.testing.assert_allclose(filter_path(post, "landweber", [7]).coefficients[0], x, rtol=1e-7, atol=1e-10)
    ridge = filter_path(post, "ridge", [0.3])
    np.testing.assert_allclose(
        filter_path(post, "wiener", [0.6], power=np.full(post.spectrum.rank, 2.0)).factors, ridge.factors, rtol=1e-12
    )
    np.testing.assert_allclose(ridge.residual_squares, np.square(y - problem.A @ ridge.coefficients[0]).sum())
    whole = filter_path(post, "truncated")
    sigma = 0.02 * np.sqrt(np.mean(problem.exact**2))
    k = whole.choose("discrepancy", sigma)
    assert whole.residual_squares[k] <= 20 * sigma**2 < whole.residual_squares[k - 1]
    assert problem.relative_error(whole.coefficients[whole.choose("gcv")]) < 0.6
    for rule, value in (("discrepancy", None), ("discrepancy", 1e-9), ("l", 1.0)):
        with pytest.raises(DataError):
            filter_path(post, "truncated", np.arange(5)).choose(rule, value)
    for options in ({"kind": "wiener"}, {"kind": "odd"}, {"kind": "ridge", "parameter": [-1.0]}):
        with pytest.raises(DataError):
            filter_path(post, **options)


# -- test problems ---------------------------------------------------------------------------------------------------


def test_problems_are_what_their_equations_say():
    shaw = inverse_problem("shaw", 20)  # the condition number that Hansen's manual gives for n = 20 is 5e14 and more
    assert shaw.A.max() == pytest.approx(np.square(2 * np.cos(shaw.t)).max() * np.pi / 20, rel=0.05)
    np.testing.assert_allclose(shaw.A, shaw.A.T, atol=1e-15)
    deriv = inverse_problem("deriv2", 200)  # A x = (s^3 - s)/6 at x = t, in coefficients of boxes
    s = deriv.t
    np.testing.assert_allclose(deriv.exact * np.sqrt(200), (s**3 - s) / 6, atol=2e-5)
    # eigenvalues of the Green's function: -1/(k pi)^2
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(deriv.A))[:3], -1 / (np.pi * np.arange(1, 4)) ** 2, rtol=1e-3)
    gravity, heat = inverse_problem("gravity", 40), inverse_problem("heat", 40)
    assert gravity.A[0, 0] == pytest.approx(0.25**-2 / 40)
    assert (np.triu(heat.A, 1) == 0).all()
    assert heat.x.max() == pytest.approx(1.0, abs=0.01)
    for name, n in (("none", 30), ("shaw", 2)):
        with pytest.raises(DataError):
            inverse_problem(name, n)


def test_the_prior_is_of_the_share_that_is_explained(post):
    _, d, rows = np.linalg.svd(differences(7, 2))
    Z, N = (rows[:5] / d[:, None]).T, rows[5:].T
    rest = A @ Z - A @ N @ np.linalg.lstsq(A @ N, A @ Z)[0]
    assert post.design.signal == pytest.approx(np.square(rest).sum() / 9)
    assert (post.prior, post.noise_prior) == (BetaR2(), Jeffreys())
    assert np.abs(N.T @ Z).max() < 1e-12


@pytest.mark.parametrize("weight", [0.0, 1e-30])
def test_a_row_that_counts_for_nothing_sees_nothing_of_what_is_free(weight):
    rows = np.vstack([differences(7, 1), np.ones(7)])  # the mean of x is in the last row alone
    with pytest.raises(DataError, match="left free"):
        tikhonov(rows, Y[:7], "first differences", weights=np.append(np.ones(6), weight))


def test_what_is_asked_of_filters_is_numbers():
    post = tikhonov(A, Y, "identity", prior=FixedScales(SIGMA, TAU))
    for wrong in ("two", [], [1j], [np.nan], [-1.0]):
        with pytest.raises(DataError, match="parameter"):
            filter_path(post, "ridge", wrong)
    for wrong in ("two", [1.0, 2.0], 1e300, 1j, np.nan):
        with pytest.raises(DataError, match="sigma"):
            filter_path(post, "ridge").choose("cp", wrong)
    with pytest.raises(DataError, match="power"):
        filter_path(post, "wiener", power="all")
    with pytest.raises(DataError, match="got int"):
        filter_path(3, "ridge")
    for wrong in ("64", 64.5, np.nan, 3):
        with pytest.raises(DataError, match="whole number"):
            inverse_problem("shaw", wrong)


def test_units_whose_products_leave_float64_are_refused():
    with pytest.raises(DataError, match="squares leave float64"):
        tikhonov(1e-59 * A, 1e59 * Y, 1e55 * np.eye(7))
    extreme = tikhonov(1e-39 * A, 1e39 * Y, 1e39 * np.eye(7)).coefficients
    assert extreme.sd == pytest.approx(1e78 * tikhonov(A, Y, "identity").coefficients.sd, rel=1e-8)


def test_masked_numbers_are_not_unmasked():
    with pytest.raises(DataError, match="real numbers"):
        tikhonov(A, Y, np.ma.masked_array(np.eye(7), np.eye(7) > 0))
