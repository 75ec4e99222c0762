"""A sampled posterior from draws whose distribution is known: the exact engine's, in the place of a sampler's."""

import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayesridge.design.design import build_design
from bayesridge.errors import DataError
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.diagnostics import diagnose
from bayesridge.mcmc.posterior import SampledPosterior
from bayesridge.mcmc.rows import RowDraws
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.posteriors.summary import at_a_glance, coefficient_table, hyper_table, jsonable, to_record
from bayesridge.priors import BetaR2, FixedLambda, Jeffreys


def problem(prior=BetaR2(), **options):  # noqa: B008 -- a frozen object
    rng = np.random.default_rng(8)
    X = rng.standard_normal((50, 3)) + 100.0
    y = 3.0 + X @ [1.0, -2.0, 0.0] + rng.standard_normal(50)
    design = build_design(X, y, names=("a", "b", "c"), **options)
    return infer(design, factorize(design), prior, Jeffreys())


def sampled_from(exact, draws=1000):
    tree = exact.to_datatree(draws, 4, 0, predictive=True)
    table = diagnose(tree["posterior"].to_dataset(), None)
    tree["diagnostics"] = xr.DataTree(table.to_xarray())
    return SampledPosterior(exact.design, exact.prior_texts, tree, table, "test", "exact", 1.0, 2.0, False)


@pytest.fixture(scope="module")
def both():
    exact = problem()
    return exact, sampled_from(exact)


def public(protocol):
    return [name for name in vars(protocol) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [Posterior, SampledPosterior])
def test_both_posteriors_offer_what_the_contract_says(kind):
    have = set(dir(kind)) | set(kind.__dataclass_fields__)
    assert set(public(AnyPosterior)) <= have
    assert {"contrast", "covariance", "loo", "draw", "r2", "effective_dof"} <= have


def test_tables_have_the_same_rows_and_numbers_within_their_errors(both):
    exact, sampled = both
    want, got = coefficient_table(exact), coefficient_table(sampled)
    assert list(got.index) == list(want.index)
    assert list(got.columns) == [*want.columns, "mcse", "ess_bulk", "ess_tail"]
    # 4000 independent draws: an error of the mean of sd / 63, five of which nothing exceeds
    assert (np.abs(got["mean"] - want["mean"]) < 5.0 * got["mcse"]).all()
    np.testing.assert_allclose(got["mcse"], want["sd"] / np.sqrt(4000.0), rtol=0.1)
    np.testing.assert_allclose(got["P(>0)"], want["P(>0)"], atol=5.0 * 0.5 / np.sqrt(4000.0))
    scales, drawn = hyper_table(exact), hyper_table(sampled)
    assert list(drawn.index) == list(scales.index)
    assert list(drawn.columns) == list(scales.columns)
    np.testing.assert_allclose(drawn["median"], scales["median"], rtol=0.1)
    assert drawn.loc[["lambda", "tau"], ["mean", "sd"]].isna().all(axis=None)
    assert drawn.loc[["sigma", "R2", "effective dof"]].notna().all(axis=None)
    text = at_a_glance(sampled)
    assert "sampled by NUTS" in text
    assert "chains: ok" in text
    record = jsonable(to_record(sampled))
    assert (record["prior"], record["noise_prior"]) == exact.prior_texts
    assert record["sampling"]["model"] == "test"


def test_a_lambda_that_is_known_is_said_to_be(both):
    sampled = sampled_from(problem(FixedLambda(3.0)), draws=50)
    assert sampled.lambda_.sd == 0.0
    assert sampled.lambda_.mean == pytest.approx(3.0, rel=1e-12)
    assert "fixed by the user" in at_a_glance(sampled)
    assert "fixed by the user" not in at_a_glance(both[1])


def test_predictions_are_the_mixture_over_draws(both):
    exact, sampled = both
    X, weights = exact.design.X[:4] + 0.5, np.array([1.0, 2.0, 1.0, 4.0])
    found = sampled.predict(X, weights)
    every = sampled.drawn
    expected = (every.intercept[..., None] + every.coef @ X.T).reshape(-1, 4)
    sigma = every.sigma.ravel()
    # intercept and coefficients cancel to three digits of these columns, which are 100 from zero
    np.testing.assert_allclose(found.mean, expected.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(found.mean_sd, expected.std(axis=0, ddof=1), rtol=1e-8)
    np.testing.assert_allclose(found.noise_sd**2, np.mean(sigma**2) / weights, rtol=1e-12)
    np.testing.assert_allclose(found.sd**2, found.mean_sd**2 + found.noise_sd**2, rtol=1e-12)
    scale = sigma[:, None] / np.sqrt(weights)
    for q, value in zip((0.05, 0.95), found.interval(0.9).T, strict=True):
        np.testing.assert_allclose(stats.norm(expected, scale).cdf(value).mean(axis=0), q, atol=1e-9)
        np.testing.assert_allclose(found.target.cdf(value), q, atol=1e-9)
    np.testing.assert_allclose(
        found.log_density(expected[0]), np.log(stats.norm(expected, scale).pdf(expected[0]).mean(axis=0)), rtol=1e-9
    )
    shortest, tails = found.target.hdi(0.9), found.interval(0.9)
    np.testing.assert_allclose(np.diff(found.target.cdf(shortest.T[1]) - found.target.cdf(shortest.T[0])), 0, atol=1e-9)
    assert (np.diff(shortest) <= np.diff(tails) * (1 + 1e-9)).all()
    # the expected target is known by its draws only
    np.testing.assert_allclose(found.expected.quantile(0.3), np.quantile(expected, 0.3, axis=0), rtol=1e-12)
    with pytest.raises(DataError, match="no density"):
        found.expected.log_pdf(1.0)
    want = exact.predict(X, weights)
    np.testing.assert_allclose(found.interval(), want.interval(), atol=0.1 * want.sd.max())
    assert sampled.centre == pytest.approx(float(exact.design.y.mean()), abs=5.0 * sigma.mean() / np.sqrt(50 * 4000))


def test_quantiles_of_many_rows_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    rows, coef = rng.standard_normal((400, 3)), rng.standard_normal((3, 3000, 3))
    sigma, centre = rng.uniform(1.0, 2.0, (3, 3000)), rng.standard_normal((3, 3000))
    many = RowDraws(tuple(map(str, range(400))), centre, coef, sigma, rows, np.ones(400))
    one = many.take(np.array([399]))
    together = many.quantile(0.9)  # more than one block
    assert together[-1] == pytest.approx(one.quantile(0.9)[0], rel=1e-12)  # each is found about its own mean
    assert one.labels == ("399",)
    # far in the tail too: the mixture's probability there is that of its widest draw
    low = one.quantile(1e-30)
    assert stats.norm(centre + coef @ rows[-1], sigma).cdf(low).mean() == pytest.approx(1e-30, rel=1e-6)
    none = many.take(slice(0, 0))
    assert none.quantile(0.5).shape == none.mean.shape == none.sd.shape == (0,)
    for q in (0.0, 1.0, np.nan):
        with pytest.raises(DataError, match="between 0 and 1"):
            many.quantile(q)


def test_rows_and_weights_that_do_not_fit_are_refused(both):
    _, sampled = both
    with pytest.raises(DataError, match=r"X must have shape \(rows, 3\), got \(50, 2\)"):
        sampled.predict(sampled.design.X[:, :2])
    with pytest.raises(DataError, match="positive"):
        sampled.predict(sampled.design.X[:2], [1.0, 0.0])
    with pytest.raises(DataError, match="3 columns"):
        sampled.contrast([[1.0, -1.0]])


def test_contrasts_and_covariance_are_of_the_draws(both):
    exact, sampled = both
    A = np.array([[1.0, -1.0, 0.0]])
    covariance = sampled.covariance()
    assert sampled.contrast(A).sd[0] == pytest.approx(float(np.sqrt(A @ covariance @ A.T).item()), rel=1e-10)
    assert sampled.contrast(A).mean[0] == pytest.approx(exact.contrast(A).mean[0], abs=5 * sampled.contrast(A).mcse[0])


def test_leave_one_out_is_near_the_exact_one_and_says_what_it_is_worth(both):
    exact, sampled = both
    loo = sampled.loo
    # five parameters, fifty well-behaved rows: importance sampling is right to hundredths of a nat
    assert loo.elpd_loo == pytest.approx(exact.loo.elpd_loo, abs=0.1)
    np.testing.assert_allclose(loo.pointwise, exact.loo.pointwise, atol=0.05)
    assert loo.bad_rows == 0
    X, y = exact.design.X, exact.design.y.copy()
    y[0] += 60.0  # a row that moves everything: its weights have a heavy tail
    outlier = build_design(X, y)
    assert sampled_from(infer(outlier, factorize(outlier), BetaR2(), Jeffreys())).loo.bad_rows >= 1
    counted = sampled_from(problem(weights=np.full(50, 2.0), weight_kind="frequency"), draws=20)
    with pytest.raises(DataError, match="repeat the rows"):
        _ = counted.loo
    assert "loo" not in counted.facts()


def test_draws_are_picked_from_the_chains(both):
    _, sampled = both
    some = sampled.draw(7, 2, random_state=1)
    assert some.coef.shape == (2, 7, 3)
    rows = pd.DataFrame(np.column_stack([sampled.drawn.sigma.ravel(), sampled.drawn.coef.reshape(-1, 3)]))
    picked = pd.DataFrame(np.column_stack([some.sigma.ravel(), some.coef.reshape(-1, 3)]))
    assert len(picked.merge(rows)) == 14  # whole draws, not a mixture of them
    np.testing.assert_array_equal(sampled.draw(7, 2, random_state=1).sigma, some.sigma)
    tree = sampled.to_datatree(7, 2, random_state=1)
    np.testing.assert_array_equal(tree["posterior"]["sigma"].values, some.sigma)
    np.testing.assert_array_equal(tree["posterior"]["coef"].values, some.coef)
    assert tree["log_likelihood"]["y"].shape == (2, 7, 50)
    assert sampled.to_datatree() is sampled.datatree
    with pytest.raises(DataError, match="at least 1"):
        sampled.draw(0)


def test_what_needs_a_spectrum_or_an_integral_is_refused(both):
    _, sampled = both
    with pytest.raises(DataError, match=r"takes the exact posterior .* method='posterior'"):
        _ = sampled.spectrum
    with pytest.raises(DataError, match=r"to_netcdf\(path\)"):
        sampled.save("nowhere")
    with pytest.raises(DataError, match="no marginal likelihood"):
        _ = sampled.log_marginal_likelihood


def test_it_pickles(both):
    _, sampled = both
    again = pickle.loads(pickle.dumps(sampled))
    assert again.verdict == sampled.verdict
    np.testing.assert_array_equal(again.coefficients.mean, sampled.coefficients.mean)


def test_without_an_intercept_there_is_none(both):
    sampled = sampled_from(problem(fit_intercept=False), draws=50)
    assert list(coefficient_table(sampled).index) == ["a", "b", "c"]
    assert (sampled.intercept.mean == 0.0).all()
    X = sampled.design.X[:3]
    np.testing.assert_allclose(sampled.predict(X).mean, X @ sampled.coefficients.mean, rtol=1e-12)
    assert both[0].design.fit_intercept
