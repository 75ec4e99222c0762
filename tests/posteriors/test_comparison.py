"""Posteriors side by side: against ArviZ's comparison, repeated rows, and what has to be refused or said."""

import arviz as az
import numpy as np
import pytest

from bayesridge import DataError, FixedLambda, LogNormal, WeightsWarning, compare, posterior
from bayesridge.datasets import load_xy
from tests.test_seams import chains, kernel, table, two_penalties


def test_differences_and_their_errors_are_arvizs():
    """On the very terms: `az.compare` of the pointwise values that draws give is that of the exact ones to a few %."""
    X, y = load_xy("diabetes")
    posts = {
        "all": posterior(X, y),
        "four": posterior(X[["bmi", "bp", "s5", "s3"]], y),
        "bmi": posterior(X[["bmi"]], y),
    }
    found = compare(posts)
    trees = {name: post.to_datatree(1000, 4, random_state=1, predictive=True) for name, post in posts.items()}
    peer = az.compare(trees, round_to="none").loc[found.table.index]
    # PSIS of 4000 draws: some hundredths of a nat in each elpd
    np.testing.assert_allclose(found.table["elpd_loo"], peer["elpd"], atol=0.3)
    np.testing.assert_allclose(np.abs(found.table["elpd_diff"]), np.abs(peer["elpd_diff"]), atol=0.3)
    np.testing.assert_allclose(found.table["dse"], peer["dse"], rtol=0.02, atol=1e-12)
    assert found.table.index[-1] == "bmi"
    best = found.table["log_evidence"].idxmax()
    for name, post in posts.items():
        assert found.table.loc[name, "log_bayes_factor"] == post.log_bayes_factor(posts[best])
    assert found.notes == ()
    np.testing.assert_allclose(found.table["weight"], peer["weight"], atol=0.03)  # az's are of sampled densities
    assert found.table["weight"].sum() == pytest.approx(1.0, abs=1e-12)
    assert "bmi" in repr(found)
    assert "bmi" in found.to_markdown()
    assert "<table" in found._repr_html_()
    side = found.coefficients(0.9)
    assert side["bmi"].dropna().index.tolist() == ["intercept", "bmi"]
    np.testing.assert_array_equal(
        side["four"].dropna()["mean"], posts["four"].summary()["mean"].loc[side["four"].dropna().index]
    )


def test_counted_rows_are_repeated_rows():
    rng = np.random.default_rng(2)
    X, y = table(n=30)
    w = rng.integers(0, 4, 30)
    counted = compare([posterior(X, y, weights=w), posterior(X[:, :2], y, weights=w)]).table
    rows = np.repeat(np.arange(30), w)
    repeated = compare([posterior(X[rows], y[rows]), posterior(X[rows][:, :2], y[rows])]).table
    for column in ("elpd_loo", "se", "elpd_diff", "dse", "log_evidence", "log_bayes_factor"):
        np.testing.assert_allclose(counted[column], repeated[column], rtol=1e-8, atol=1e-9, err_msg=column)


def test_a_clear_difference_is_called_one_and_noise_is_not():
    X, y = table(n=100)
    assert "1 predicts clearly better than 2" in compare([posterior(X, y), posterior(X[:, 3:], y)]).verdict
    alike = compare({"a": posterior(X, y), "b": posterior(X, y, prior=LogNormal(1.0, 1.0))})
    assert "not to be told from noise" in alike.verdict


def test_what_a_posterior_lacks_is_said():
    X, y = table()
    posts = {"exact": posterior(X, y), "plugged in": posterior(X, y, method="evidence"), "two": two_penalties(),
             "flat": posterior(X, y, prior=FixedLambda(0.0)), "chains": chains()}  # fmt: skip
    found = compare(posts)
    notes = " ".join(found.notes)
    assert "chains has no marginal likelihood" in notes
    assert "plugged in has no Bayes factor" in notes
    assert "flat has no Bayes factor" in notes
    missing = found.table["log_bayes_factor"].isna()
    assert list(found.table.index[missing].sort_values()) == ["chains", "flat", "plugged in"]
    assert found.table.loc["two", "lambda[second]"] == posts["two"].scales["lambda[second]"].median
    assert np.isnan(found.table.loc["exact", "lambda[second]"])


def test_other_data_are_refused():
    X, y = table()
    one = posterior(X, y)
    with pytest.raises(DataError, match="targets of '1' and '2' differ"):
        compare([one, posterior(X, y + 1.0)])
    with pytest.raises(DataError, match="targets"):
        compare([one, kernel()])
    with pytest.raises(DataError, match="weights of 'a' and 'b' differ"):
        compare({"a": one, "b": posterior(X, y, weights=np.arange(40) % 3)})
    counts = np.random.default_rng(4).poisson(np.exp(1.0 + 0.3 * X[:, 0] / X[:, 0].std())).astype(float)
    with pytest.raises(DataError, match="densities of a measured target"):
        compare([posterior(X, counts), posterior(X, counts, family="poisson")])
    with pytest.raises(DataError, match="two posteriors or more, got 1"):
        compare([one])


def test_no_leave_one_out_is_said():
    X, y = table()
    with pytest.warns(WeightsWarning, match="not whole numbers"):
        posts = {
            "all": posterior(X, y, weights=np.full(len(y), 1.5)),
            "two": posterior(X[:, :2], y, weights=np.full(len(y), 1.5)),
        }
    found = compare(posts)
    assert "two has no leave-one-out" in " ".join(found.notes)
    assert found.table["elpd_loo"].isna().all()
