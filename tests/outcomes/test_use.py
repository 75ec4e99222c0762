"""Counts from the table to the answer: offsets, predictions, leave-one-out, files, the command, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson
from typer.testing import CliRunner

from bayesridge import (
    BayesRidge,
    BetaR2,
    DataError,
    FixedLambda,
    FixedSigma,
    HalfCauchy,
    HalfT,
    ImproperPosteriorError,
    NoSignalWarning,
    PriorError,
    load,
    posterior,
)
from bayesridge.cli.main import app


@pytest.fixture(scope="module")
def claims():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.standard_normal((60, 2)), columns=["age", "power"])
    table["years"] = rng.uniform(0.2, 3.0, 60)
    table["claims"] = rng.poisson(table["years"] * np.exp(0.2 + 0.5 * table["age"]))
    return table


@pytest.fixture(scope="module")
def fitted(claims):
    return BayesRidge(family="poisson", formula="claims ~ age + power + offset(log(years))").fit(claims)


def test_the_offset_in_the_formula_is_that_of_the_argument(claims, fitted):
    X, y = claims[["age", "power"]], claims["claims"]
    given = BayesRidge(family="poisson").fit(X, y, offset=np.log(claims["years"]))
    named = BayesRidge(family="poisson").fit(claims.drop(columns="claims"), y, offset="log(years)")
    for other in (given, named):
        np.testing.assert_allclose(other.coef_, fitted.coef_, rtol=1e-9)
    expected = given.predict(X, offset=np.log(claims["years"]))
    np.testing.assert_allclose(fitted.predict(claims), expected, rtol=1e-9)
    np.testing.assert_allclose(named.predict(claims.drop(columns="claims")), expected, rtol=1e-9)
    with pytest.raises(DataError, match="fitted with offset"):
        given.predict(X)
    doubled = given.predict(X, offset=np.log(2.0 * claims["years"]))
    np.testing.assert_allclose(doubled, 2.0 * expected, rtol=1e-9)


def test_predictions_are_the_mixture_of_the_family(claims, fitted):
    post = fitted.posterior_
    X = claims[["age", "power"]].to_numpy()[:4]
    found = post.predict(X, offset=np.zeros(4))
    draws = post.draw(20_000, 1, random_state=0)
    mu = np.exp(draws.intercept[0][:, None] + draws.coef[0] @ X.T)
    # 20,000 draws: a hundredth of an sd, four times
    assert (np.abs(found.mean - mu.mean(axis=0)) < 4.0 * mu.std(axis=0) / 20_000**0.5 + 4.0 * found.target.mcse).all()
    np.testing.assert_allclose(found.mean_sd, mu.std(axis=0), rtol=0.05)
    np.testing.assert_allclose(found.sd, np.sqrt(mu.mean(axis=0) + mu.var(axis=0)), rtol=0.03)
    for value in (0.0, 2.0, 5.0):
        below = poisson.cdf(value, mu).mean(axis=0)
        np.testing.assert_allclose(found.target.cdf(value), below, atol=0.01)
    low, high = found.interval(0.9).T
    assert (found.target.cdf(high) >= 0.95).all()
    assert (found.target.cdf(high - 1.0) < 0.95).all()
    assert (low == np.rint(low)).all()
    hdi = found.target.hdi(0.9)
    assert (found.target.cdf(hdi[:, 1]) - found.target.cdf(hdi[:, 0] - 1.0) >= 0.89).all()
    np.testing.assert_allclose(
        np.exp(found.log_density(np.ones(4))), found.target.cdf(1.0) - found.target.cdf(0.0), atol=0.01
    )
    of_mean = fitted.predict_interval(claims[:4], of="mean")
    new = fitted.predict_interval(claims[:4])
    assert (new[:, 1] > of_mean[:, 1]).all()


def test_draws_have_a_continuous_lambda_that_agrees(fitted):
    post = fitted.posterior_
    draws = post.draw(4000, 1, random_state=3)
    assert len(np.unique(draws.lam)) == 4000
    # 4000 draws: the standard error of a probability of a half is .008
    assert (draws.lam < post.lambda_.median).mean() == pytest.approx(0.5, abs=0.035)
    assert (draws.tau < post.tau.quantile(0.9)).mean() == pytest.approx(0.9, abs=0.02)


def test_leave_one_out_is_the_fit_without_the_row(claims):
    table = claims[:25].copy()
    table.loc[3, "claims"] = 30  # far from the others
    X, y, offset = (
        table[["age", "power"]].to_numpy(),
        table["claims"].to_numpy(float),
        np.log(table["years"]).to_numpy(),
    )
    post = posterior(X, y, family="poisson", offset=offset, scale=X.std(axis=0))
    loo = post.loo
    assert loo.refitted[3]
    for row in (0, 3, 11):
        rest = np.arange(25) != row
        other = posterior(X[rest], y[rest], family="poisson", offset=offset[rest], scale=X.std(axis=0))
        direct = other.predict(X[row : row + 1], offset=offset[row : row + 1]).log_density(y[row : row + 1])[0]
        # both have Monte Carlo errors; the outlier's density lies far in the tail
        assert loo.pointwise[row] == pytest.approx(direct, abs=0.02 if row != 3 else 0.02 * abs(direct))
    assert ((loo.pit >= 0) & (loo.pit <= 1)).all()
    assert (loo.interval(0.9)[:, 0] <= loo.mean).all()
    assert loo.p_loo > 0


def test_saved_and_loaded(fitted, claims, tmp_path):
    again = load(fitted.save(tmp_path / "counts.bridge"))
    np.testing.assert_allclose(again.predict(claims), fitted.predict(claims), rtol=1e-12)
    np.testing.assert_allclose(again.summary().to_numpy(), fitted.summary().to_numpy(), rtol=1e-12)
    assert again.posterior_.check == fitted.posterior_.check
    with pytest.raises(DataError, match="without"):
        _ = again.posterior_.loo
    whole = load(fitted.save(tmp_path / "rows.bridge", rows=True))
    assert whole.posterior_.loo.elpd_loo == pytest.approx(fitted.posterior_.loo.elpd_loo, abs=1e-9)


def test_the_command_prints_and_saves(claims, tmp_path):
    claims.to_csv(tmp_path / "claims.csv", index=False)
    arguments = ["fit", str(tmp_path / "claims.csv"), "--target", "claims", "--family", "poisson"]
    arguments += ["--offset", "log(years)", "--out", str(tmp_path / "out"), "--draws", "400"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    for text in ("age", "power", "1/tau²", "accuracy", "leave-one-out"):
        assert text in found.output
    assert "years" not in load(tmp_path / "out" / "model.bridge").coef_names_
    record = json.loads((tmp_path / "out" / "fit.json").read_text(encoding="utf-8"))
    assert record["family"] == "poisson"
    assert record["ratios"]["rate ratio"]["age"]["rate ratio"] > 1.0


def test_the_separating_columns_and_rows_are_named():
    X = pd.DataFrame({"a": [-2.0, -1.5, -1.0, 0.5, 1.0, 2.0], "b": [1.0, -1.0, 0.3, 0.2, -0.5, 0.1]})
    post = posterior(X, np.array([0, 0, 0, 1, 1, 1.0]), family="binomial")
    said = " ".join(post.check)
    assert "separated: along a direction of a" in said
    assert re.search(r"\([3-6] rows: [0-5], ", said)
    assert np.isfinite(post.coefficients.sd).all()


X = np.random.default_rng(0).standard_normal((20, 2))
COUNTS = np.random.default_rng(1).poisson(2.0, 20).astype(float)


def edited(row, value):
    y = COUNTS.copy()
    y[row] = value
    return y


@pytest.mark.parametrize(
    ("y", "options", "error", "said"),
    [
        (edited(4, -1.0), {}, DataError, "-1 in row 4"),
        (edited(7, 1.5), {}, DataError, "whole numbers, 0 or more; 1 is not: 1.5 in row 7"),
        (COUNTS, {"offset": np.r_[np.nan, np.zeros(19)]}, DataError, "offset must be finite.*row 0"),
        (COUNTS, {"offset": np.zeros(3)}, DataError, r"shape \(20,\) expected, \(3,\) received"),
        (COUNTS, {"trials": np.ones(20)}, DataError, "trials are for family='binomial'"),
        (COUNTS, {"family": "binomial"}, DataError, "successes must be 0 or 1"),
        (COUNTS, {"family": "binomial", "trials": 2.0}, DataError, "from 0 to the number of trials"),
        (COUNTS, {"family": "binomial", "trials": np.r_[0.0, np.full(19, 20.0)]}, DataError, "trials must be whole"),
        (COUNTS, {"family": "binomial", "trials": np.inf}, DataError, "trials must be whole"),
        (COUNTS, {"family": "gamma"}, DataError, "family must be 'gaussian', 'poisson', 'negative-bin"),
        (COUNTS, {"family": "gaussian", "trials": np.ones(20)}, DataError, "trials are of successes"),
        (COUNTS, {"weights": np.ones(20), "weight_kind": "precision"}, DataError, "precision weights"),
        (COUNTS, {"prior": BetaR2()}, PriorError, "needs a noise variance"),
        (COUNTS, {"prior": FixedLambda(0.0)}, PriorError, "must be positive"),
        (COUNTS, {"noise_prior": HalfCauchy(1.0, on="sigma")}, PriorError, "no noise variance"),
        (np.zeros(20), {}, ImproperPosteriorError, "separated by the intercept alone"),
        (np.ones(20), {"family": "binomial"}, ImproperPosteriorError, "separated by the intercept alone"),
        (np.where(X[:, 1] > 0.3, COUNTS + 1.0, 0.0), {"unpenalized": [1]}, None, None),
        (COUNTS, {"unpenalized": [0, 1], "prior": FixedLambda(1.0)}, None, None),
        ((X[:, 1] > 0.3).astype(float), {"family": "binomial", "unpenalized": [1]}, ImproperPosteriorError, "x1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(y, options, error, said):
    options = {"family": "poisson", **options}
    if error is None:
        assert np.isfinite(posterior(X, y, **options).coefficients.mean).all()
        return
    with pytest.raises(error, match=said):
        posterior(X, y, **options)


def test_a_prior_with_too_heavy_a_tail_is_refused_where_the_columns_separate():
    """p(y | tau) grows like tau, and a half-Cauchy falls like tau^-2 in tau, tau^-1 in log tau."""
    y = (X[:, 0] > 0.3).astype(float)
    with pytest.raises(ImproperPosteriorError, match="does not fall off as tau"):
        posterior(X, y, family="binomial", prior=HalfCauchy(1.0, on="tau"))
    assert np.isfinite(posterior(X, y, family="binomial").coefficients.median).all()


def test_what_the_estimator_has_not_here(fitted):
    assert not hasattr(fitted, "sigma_")
    assert fitted.tau_ > 0
    assert fitted.lambda_ == pytest.approx(fitted.tau_**-2, rel=1e-6)


@pytest.mark.parametrize("size", [1e9, 1e15])
def test_counts_as_large_as_float64_tells_apart(size):
    """Counts of 1e9 without noise give the coefficients that made them (sds 5e-6); beyond, the door says why not."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    y = np.round(size * np.exp(X @ [0.5, -0.3, 0.0]))
    if size > 1e14:
        with pytest.raises(DataError, match="add up to"):
            posterior(X, y, family="poisson")
    else:
        found = posterior(X, y, family="poisson").coefficients.mean
        np.testing.assert_allclose(found, [0.5, -0.3, 0.0], atol=1e-4)


def test_counts_near_a_million_are_logarithms_with_known_noise():
    """log y has noise of sd 1/1000, and the Gaussian engine the same posterior; without signal its tail is far out."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((15, 3))
    y = rng.poisson(np.full(15, 1e6)).astype(float)
    post = posterior(X, y, family="poisson")
    with pytest.warns(NoSignalWarning):
        one = posterior(X, np.log(y), noise_prior=FixedSigma(1e-3), prior=post.prior)
    sd = one.coefficients.sd
    np.testing.assert_allclose(post.coefficients.mean, one.coefficients.mean, atol=0.03 * sd.min())
    np.testing.assert_allclose(post.coefficients.sd, sd, rtol=0.03)
    assert post.tau.median == pytest.approx(one.tau.median, rel=0.03)


def test_a_prior_far_from_the_data_is_named_and_no_separation():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    with pytest.raises(ImproperPosteriorError, match="too far from the other data"):
        posterior(X, rng.poisson(np.exp(X[:, 0])), family="poisson", prior=HalfT(4.0, 1e-20, on="tau"))
