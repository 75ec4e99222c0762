"""The estimator in scikit-learn's conventions."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from bayesridge import BayesRidge
from bayesridge.errors import DataError, PriorError
from bayesridge.fit import posterior
from bayesridge.priors import FixedLambda, HalfCauchy

ROOT = Path(__file__).resolve().parents[1]

CHECKS = """
import sys, warnings
warnings.simplefilter("ignore")  # the checks' own data (constant, perfect fits) and scikit-learn's own deprecations
from sklearn.utils.estimator_checks import check_estimator
from bayesridge import BayesRidge
results = []
for method, extra in (("posterior", {}), ("evidence", {}), ("fixed", {"lam": 1.0})):
    results += check_estimator(BayesRidge(method=method, **extra), on_fail=None, on_skip=None)
bad = [(r["check_name"], r["status"], repr(r["exception"])) for r in results if r["status"] != "passed"]
print(len(results), "checks")
for line in bad:
    print(*line)
sys.exit(bool(bad))
"""


def test_every_scikit_learn_check():
    """In a process of its own: SCIPY_ARRAY_API must be set before scipy is imported, or a check is skipped."""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECKS], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert int(done.stdout.split()[0]) >= 150  # three methods, at least fifty each: none were lost


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(21)
    frame = pd.DataFrame({"a": rng.standard_normal(60), "b": rng.standard_normal(60), "site": list("xyz") * 20})
    shift = frame["site"].map({"x": 0.0, "y": 2.0, "z": -1.0})
    y = 1 + frame["a"] * 2 + frame["a"] * frame["b"] + shift + 0.5 * rng.standard_normal(60)
    return frame.assign(y=y)


def test_attributes_are_the_posteriors(table):
    X, y = table[["a", "b"]], table["y"]
    one, p = BayesRidge().fit(X, y), posterior(X, y)
    np.testing.assert_array_equal(one.coef_, p.coefficients.mean)
    assert one.intercept_ == p.intercept.mean[0]
    assert (one.lambda_, one.sigma_, one.tau_) == (p.lambda_.median, p.sigma.median, p.tau.median)
    assert list(one.feature_names_in_) == ["a", "b"]
    mean, sd = one.predict(X, return_std=True)
    # the same number in two orders of summation
    np.testing.assert_allclose(one.predict(X), mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(sd, p.predict(X.to_numpy()).sd)
    interval = one.predict_interval(X, level=0.8)
    np.testing.assert_allclose(p.predict(X.to_numpy()).target.cdf(interval[:, 0]), 0.1, atol=1e-9)
    np.testing.assert_allclose(p.predict(X.to_numpy()).target.cdf(interval[:, 1]), 0.9, atol=1e-9)
    error = y - one.predict(X)
    assert one.score(X, y) == pytest.approx(1 - (error @ error) / np.square(y - y.mean()).sum(), rel=1e-12)


def test_summary_and_reprs(table):
    one = BayesRidge().fit(table[["a", "b"]], table["y"])
    assert list(one.summary(0.9).columns) == ["mean", "sd", "90% ETI low", "90% ETI high", "P(>0)"]
    assert list(one.summary().index) == ["intercept", "a", "b"]
    assert repr(BayesRidge()) == "BayesRidge()"
    for text in (repr(one), one._repr_html_(), one._repr_mimebundle_()["text/html"]):
        assert "lambda" in text
        assert re.search(r"\ba\b", text)
        assert f"{one.coef_[0]:.3g}" in text


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "list", "readonly"])
def test_other_tables_are_the_same(table, kind):
    X, y = table[["a", "b"]], table["y"].to_numpy()
    want = BayesRidge().fit(X.to_numpy(), y)
    if kind == "polars":
        other = pytest.importorskip("polars").DataFrame(X.to_dict("list"))
    elif kind == "pyarrow":
        other = pytest.importorskip("pyarrow").table(X.to_dict("list"))
    elif kind == "list":
        other = X.to_numpy().tolist()
    else:
        other = X.to_numpy().copy()
        other.flags.writeable = False
    got = BayesRidge().fit(other, y)
    # BLAS adds rows and columns of a table in different orders, on some processors: a few roundings of the largest sum
    np.testing.assert_allclose(got.coef_, want.coef_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got.predict(other), want.predict(X.to_numpy()), rtol=1e-12, atol=1e-12)


def test_formula(table):
    one = BayesRidge(formula="y ~ a * b + C(site)").fit(table)
    by_hand = np.column_stack(
        [table["a"], table["b"], table["site"] == "y", table["site"] == "z", table["a"] * table["b"]]
    ).astype(float)
    other = BayesRidge().fit(by_hand, table["y"])
    np.testing.assert_allclose(np.sort(one.coef_), np.sort(other.coef_), rtol=1e-9)  # the order of columns is its own
    np.testing.assert_allclose(one.predict(table.drop(columns="y")), other.predict(by_hand), rtol=1e-9)
    with pytest.raises(DataError, match="w"):
        one.predict(table.head(2).assign(site=["x", "w"]))


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")  # the other columns may have none
def test_unpenalised_by_name_and_term(table):
    by_name = BayesRidge(unpenalized=["a"]).fit(table[["a", "b"]], table["y"])
    by_index = BayesRidge(unpenalized=[0]).fit(table[["a", "b"]].to_numpy(), table["y"])
    np.testing.assert_array_equal(by_name.coef_, by_index.coef_)
    term = BayesRidge(formula="y ~ a + b + C(site)", unpenalized=["C(site)"]).fit(table)
    assert len(term.posterior_.design.unpenalized) == 2
    names = [term.posterior_.design.names[j] for j in term.posterior_.design.unpenalized]
    assert all("site" in name for name in names)


def test_methods(table):
    X, y = table[["a", "b"]], table["y"]
    plug = BayesRidge(method="evidence").fit(X, y)
    assert plug.lambda_ == pytest.approx(plug.posterior_.evidence.best.lam, rel=1e-12)
    assert "plugged in" in repr(plug)
    for given in (BayesRidge(method="fixed", lam=3.0), BayesRidge(method="fixed", prior=FixedLambda(3.0))):
        # exp(log(lambda)) is off by a rounding
        assert given.fit(X, y).lambda_ == pytest.approx(3.0, rel=1e-14)


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "nosuch"},
        {"method": "fixed"},
        {"method": "fixed", "lam": 1.0, "prior": FixedLambda(1.0)},
        {"method": "fixed", "lam": -1.0},
        {"lam": 1.0},
        {"prior": FixedLambda(1.0)},
        {"method": "evidence", "prior": HalfCauchy(1.0)},
        {"prior": "r2"},
        {"prior": HalfCauchy(1.0, on="sigma")},
    ],
)
def test_arguments_that_do_not_fit(table, arguments):
    one = BayesRidge(**arguments)
    with pytest.raises(PriorError):
        one.fit(table[["a", "b"]], table["y"])
    with pytest.raises(NotFittedError):
        one.predict(table[["a", "b"]])


def test_pickle_and_clone(table):
    one = BayesRidge(formula="y ~ a * b + C(site)").fit(table)
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.predict(table), one.predict(table))
    np.testing.assert_array_equal(again.predict_interval(table), one.predict_interval(table))
    assert not hasattr(clone(one), "posterior_")


def test_columns_at_prediction(table):
    one = BayesRidge().fit(table[["a", "b"]], table["y"])
    for other in (table[["b", "a"]], table[["a"]], table[["a", "b"]].rename(columns={"b": "c"})):
        with pytest.raises(ValueError, match=r"feature names|columns|\bb\b"):
            one.predict(other)
    plain = BayesRidge().fit(table[["a", "b"]].to_numpy(), table["y"])
    with pytest.raises(ValueError, match=r"\b1\b"):
        plain.predict(np.ones((2, 1)))


def test_datatree_groups(table):
    tree = (
        BayesRidge().fit(table[["a", "b"]], table["y"]).to_datatree(draws=50, chains=2, random_state=1, predictive=True)
    )
    groups = {"posterior", "posterior_predictive", "log_likelihood", "observed_data", "constant_data"}
    assert groups <= set(tree.children)
    assert dict(tree["posterior"].sizes)["draw"] == 50
