"""Rows that were added up: the posterior of the table itself, whatever the batches and their order."""

import warnings
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesridge import AccuracyWarning, BayesRidge, DataError, ModelFileError, Moments, Triangle, load, posterior
from bayesridge.design.statistics import Statistics
from bayesridge.errors import RowsAbsentError


def table(n=200, p=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ rng.standard_normal((p, p)) + 100.0 * rng.standard_normal(p)
    return X, X @ rng.standard_normal(p) + 2.0 * rng.standard_normal(n), rng.integers(0, 4, n).astype(float)


def added(kind, X, y, w=None, size=37, order=1):
    parts = [
        kind.of(X[k : k + size], y[k : k + size], None if w is None else w[k : k + size])
        for k in range(0, len(y), size)
    ]
    return sum(parts[::order])


def distance(one, other):
    """Largest difference of two posteriors: means in sds, sds and log p(y) relatively."""
    sd = other.coefficients.sd
    return max(
        np.abs((one.coefficients.mean - other.coefficients.mean) / sd).max(),
        np.abs(one.coefficients.sd / sd - 1.0).max(),
        abs(one.log_marginal_likelihood - other.log_marginal_likelihood),
        abs(np.log(one.lambda_.median / other.lambda_.median)),
        np.abs(np.log(np.array(one.sigma.interval(0.9)) / np.array(other.sigma.interval(0.9)))).max(),
    )


@pytest.mark.parametrize("kind", [Moments, Triangle])
@pytest.mark.parametrize("weight_kind", [None, "frequency", "precision", "survey"])
@pytest.mark.parametrize("options", [{}, {"scale": False, "unpenalized": [1, 3]}, {"fit_intercept": False}])
def test_any_order_and_batching_gives_the_posterior_of_the_table(kind, weight_kind, options):
    X, y, w = table()
    w = None if weight_kind is None else w
    options = {**options, "weight_kind": weight_kind or "frequency"}
    if not options.get("fit_intercept", True):
        X = X - X.mean(axis=0) + 0.3  # about zero, condition 1e3 would be the offsets'
    whole = posterior(X, y, weights=w, **options)
    for size, order in ((37, 1), (37, -1), (3, 1), (200, 1)):
        assert distance(posterior(added(kind, X, y, w, size, order), **options), whole) < 1e-10


def test_the_same_blocks_are_the_same_bits_and_so_is_a_file(tmp_path):
    X, y, w = table()
    for kind in (Moments, Triangle):
        one, two = added(kind, X, y, w), added(kind, X, y, w)
        back = kind.load(one.save(tmp_path / "sums"))
        for other in (two, back, Statistics.load(tmp_path / "sums")):
            assert type(other) is kind
            assert all(np.array_equal(a, other.arrays()[name]) for name, a in one.arrays().items())
            assert other.facts() == one.facts()
        assert np.array_equal(posterior(back).coefficients.mean, posterior(one).coefficients.mean)
        later = back.update(X[:3], y[:3], w[:3])
        assert later.tally.n_rows == 203
    with pytest.raises(ModelFileError, match="holds Triangle, not Moments"):
        Moments.load(tmp_path / "sums")
    posterior(one).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="does not hold statistics"):
        Moments.load(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").coef_, posterior(one).coefficients.mean)


def test_moments_refuse_what_they_cannot_carry_and_a_triangle_carries_it():
    rng = np.random.default_rng(3)
    base = rng.standard_normal((400, 4))
    X = np.column_stack([base, base[:, 0] + 1e-6 * rng.standard_normal(400)])  # condition 2e6
    y = 1e5 * (X[:, 4] - X[:, 0]) + base[:, 1] + rng.standard_normal(400)
    with pytest.raises(DataError, match="Triangle"):
        posterior(added(Moments, X, y))
    # rounding of the data over their spread, 2e-16 / 1e-6, is what any method is left with
    assert distance(posterior(added(Triangle, X, y)), posterior(X, y)) < 1e-8
    nearly = base @ np.arange(4.0) + 1e-5 * rng.standard_normal(400)
    with pytest.raises(DataError, match=r"tiny share.*Triangle"):
        posterior(added(Moments, base, nearly))
    # means of 3 with sds of 5e-7: their rounding is 1e-9 sd
    assert distance(posterior(added(Triangle, base, nearly)), posterior(base, nearly)) < 1e-7


@pytest.mark.filterwarnings("ignore::bayesridge.NoSignalWarning")
@pytest.mark.parametrize("n", [5, 6, 7])
def test_fewer_rows_than_columns_are_for_a_triangle(n):
    X, y, _ = table(n)
    assert distance(posterior(added(Triangle, X, y, size=2)), posterior(X, y)) < 1e-9


def test_offsets_cost_the_digits_of_the_data_and_no_more():
    X, y, _ = table()
    time = 1.7e9 + np.sort(np.random.default_rng(1).integers(0, 1000, 200)).astype(float)
    X = np.column_stack([X, time])
    assert distance(posterior(added(Moments, X, y)), posterior(X, y)) < 1e-10
    X[:, 5] = 1e9 + X[:, 5] * 1e-3
    with pytest.warns(AccuracyWarning, match=r"x5 \(\de-07\)"):
        posterior(added(Moments, X, y))


def test_what_needs_rows_says_that_they_are_gone():
    X, y, _ = table()
    post = posterior(added(Moments, X, y))
    with pytest.raises(RowsAbsentError, match="added up"):
        _ = post.loo
    assert "added up" in post.facts()["no_loo"]
    assert post.predict(X[:2]).mean == pytest.approx(posterior(X, y).predict(X[:2]).mean)
    assert post.draw(10, 1, 0).coef.shape == (1, 10, 5)
    grouped = posterior(added(Moments, X, y), groups={"a": ["x0", "x1"], "b": ["x2", "x3", "x4"]})
    exact = posterior(X, y, groups={"a": ["x0", "x1"], "b": ["x2", "x3", "x4"]})
    assert grouped.coefficients.mean == pytest.approx(exact.coefficients.mean, rel=1e-8)
    with pytest.raises(DataError, match="leave out y"):
        posterior(added(Moments, X, y), y)
    with pytest.raises(DataError):
        posterior(added(Moments, X, np.round(np.abs(y))), family="poisson")


def test_missing_values_and_other_columns(tmp_path):
    X, y, w = table()
    X[5, 2], y[9], w[11] = np.nan, np.nan, np.nan
    with pytest.raises(DataError, match="Missing values by column"):
        Moments.of(X, y)
    dropped = Moments.of(X[:100], y[:100], w[:100], missing="drop").update(X[100:], y[100:], w[100:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = posterior(X, y, weights=w, missing="drop")
    post = posterior(dropped)
    assert distance(post, whole) < 1e-10
    assert post.design.n_dropped == 3
    again = load(post.save(tmp_path / "m.bridge")).posterior_
    assert (again.design.n_dropped, again.design.n_seen) == (3, post.design.n_seen)
    assert again.summary().to_dict() == post.summary().to_dict()
    with pytest.raises(DataError, match="of 5 and 2"):
        dropped + Moments.of(X[20:, :2], y[20:])
    frame = pd.DataFrame(X[20:], columns=list("abcde"))
    with pytest.raises(DataError, match="one has 'a', the other has 'b'"):
        Moments.of(frame, y[20:]) + Moments.of(frame[list("bacde")], y[20:])
    with pytest.raises(DataError, match="infinity"):
        Moments.of(np.full((3, 1), np.inf), np.ones(3))
    with pytest.raises(TypeError):
        Moments.of(X[20:], y[20:]) + Triangle.of(X[20:], y[20:])
    with pytest.raises(DataError, match="at least 2"):
        posterior(Moments.of(X[:1], y[:1]))


def test_the_merge_that_the_docs_show_for_other_clusters_is_the_table_in_memory():
    page = Path(__file__).parents[2] / "docs/howto/scale.md"
    shown = page.read_text(encoding="utf-8").partition("# Spark")[2].partition("total = df.rdd")[0]
    found = {"Moments": Moments}
    exec(shown.partition("\n")[2], found)  # def part(frames)
    X, y, _ = table()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(y=y)
    partitions = [[frame[:50], frame[50:50]], [frame[50:120]], [frame[120:]]]
    parts = [one for partition in map(found["part"], partitions) for one in partition]
    assert distance(posterior(reduce(add, parts)), posterior(X, y)) < 1e-10


def test_partial_fit_is_fit():
    X, y, w = table()
    frame = pd.DataFrame(X, columns=list("abcde"))
    fit = BayesRidge(unpenalized=["b"])
    for k in range(0, 200, 50):
        fit.partial_fit(frame[k : k + 50], y[k : k + 50], w[k : k + 50])
    whole = BayesRidge(unpenalized=["b"]).fit(frame, y, w)
    assert distance(fit.posterior_, whole.posterior_) < 1e-10
    assert fit.predict(frame) == pytest.approx(whole.predict(frame), rel=1e-10)
    assert fit.summary().index.tolist() == whole.summary().index.tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        fit.partial_fit(frame[list("bacde")], y, w)
    assert fit.statistics_.tally.n_rows == 200
    assert not hasattr(fit.fit(frame, y), "statistics_")
    with pytest.raises(DataError, match="partial_fit"):
        BayesRidge(family="poisson").partial_fit(X, y)
