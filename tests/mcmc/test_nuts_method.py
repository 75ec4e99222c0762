"""``method="nuts"`` in the estimator and on the command line: the sampled posterior in the place of the exact one."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.base import clone
from typer.testing import CliRunner

from bayesridge import BayesRidge, load, posterior, sample
from bayesridge.cli.main import app
from bayesridge.cli.terminal import print_fit
from bayesridge.errors import DataError, MissingExtraError, PriorError
from bayesridge.posteriors.summary import to_record
from bayesridge.priors import FixedScales
from tests.mcmc.agreement import assert_agree

pytestmark = pytest.mark.mcmc

SAMPLER = {"name": "pymc", "draws": 400, "tune": 300, "progressbar": False}


def table():
    """Four columns that matter, none of them alike: the posterior is close to normal."""
    rng = np.random.default_rng(6)
    X = pd.DataFrame(rng.standard_normal((80, 4)), columns=["bmi", "bp", "ltg", "tch"])
    return X, pd.Series(10.0 + X @ [2.0, -1.0, 1.5, 1.0] + rng.standard_normal(80), name="progression")


@pytest.fixture(scope="module")
def fitted():
    X, y = table()
    return BayesRidge(method="nuts", sampler=SAMPLER, n_jobs=1, random_state=3).fit(X, y), X, y


def test_the_posterior_is_the_sampled_one_and_agrees_with_the_exact_one(fitted):
    one, X, y = fitted
    exact = posterior(X, y)
    assert one.posterior_.method == "nuts"
    assert one.posterior_.compile_seconds > 0
    assert one.posterior_.sampling_seconds > 0
    assert one.to_datatree() is one.posterior_.datatree
    assert_agree(exact, one.to_datatree())
    # the Monte Carlo error of some 1000 effective draws is 0.03 sd
    rows = X.to_numpy()
    np.testing.assert_allclose(one.predict(X), exact.predict(rows).mean, atol=0.2 * exact.predict(rows).mean_sd.max())
    np.testing.assert_allclose(
        one.predict_interval(X), exact.predict(rows).interval(), atol=0.1 * exact.predict(rows).sd.max()
    )


def test_what_is_reported_comes_from_the_draws(fitted):
    one, X, _ = fitted
    drawn = one.posterior_.datatree["posterior"]
    np.testing.assert_allclose(one.coef_, drawn["coef"].values.mean(axis=(0, 1)), rtol=1e-12)
    assert one.intercept_ == pytest.approx(float(drawn["intercept"].values.mean()), rel=1e-12)
    for name, theirs in (("lambda_", "lambda_"), ("sigma_", "sigma"), ("tau_", "tau")):
        assert getattr(one, name) == np.median(drawn[theirs].values)
    mean, sd = one.predict(X, return_std=True)
    np.testing.assert_allclose(mean, one.predict(X), rtol=1e-12)
    assert (sd > drawn["sigma"].values.mean()).all()
    frame = one.summary(0.9)
    assert list(frame.columns) == ["mean", "sd", "90% ETI low", "90% ETI high", "P(>0)", "mcse", "ess_bulk", "ess_tail"]
    scales = one.hyper_summary()
    assert scales.loc["lambda", "median"] == one.lambda_
    assert np.isnan(scales.loc["lambda", "mean"])


def test_texts_name_the_sampler_and_the_verdict(fitted, capsys):
    one, _, _ = fitted
    record = to_record(one.posterior_)
    print_fit(one.posterior_, record, 0.95)
    for text in (repr(one), one._repr_html_(), capsys.readouterr().out):
        for word in ("NUTS", f"chains: {one.posterior_.verdict}", "compiled in", "effective draws", "bmi", "lambda"):
            assert word in text
    assert record["sampling"]["chains"] == 4
    assert record["loo"]["bad_rows"] == 0


def test_draws_are_saved_as_they_are(fitted, tmp_path):
    one, X, _ = fitted
    one.save(tmp_path / "m.bridge")
    np.testing.assert_array_equal(load(tmp_path / "m.bridge").predict(X), one.predict(X))


def test_a_fixing_prior_is_sampled_and_lam_is_refused():
    X, y = table()
    few = SAMPLER | {"draws": 100, "tune": 100, "chains": 2}
    one = BayesRidge(method="nuts", prior=FixedScales(1.0, 0.5), sampler=few, n_jobs=1, random_state=3).fit(X, y)
    assert one.lambda_ == pytest.approx(4.0, rel=1e-12)
    assert one.hyper_summary().loc["lambda", "sd"] == 0.0
    assert "fixed by the user" in repr(one)
    with pytest.raises(PriorError, match="method='fixed'"):
        BayesRidge(method="nuts", lam=1.0).fit(X, y)


def test_a_formula_and_a_table_with_an_unseen_order_of_columns():
    X, y = table()
    frame = X.assign(y=y)
    few = SAMPLER | {"draws": 50, "tune": 50, "chains": 1}
    one = BayesRidge(method="nuts", formula="y ~ bmi + bp", sampler=few, random_state=1).fit(frame)
    assert one.posterior_.verdict != "ok"  # one chain of fifty draws
    np.testing.assert_array_equal(one.coef_names_, ["bmi", "bp"])
    np.testing.assert_array_equal(one.predict(frame), one.predict(frame[frame.columns[::-1]]))


def test_another_sampler_is_asked_for_by_name(monkeypatch):
    """The extra that is missing is named; a method that does not sample never looks."""
    import sys

    X, y = table()
    monkeypatch.setitem(sys.modules, "numpyro", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesridge\[numpyro\]'"):
        BayesRidge(method="nuts", sampler="numpyro").fit(X, y)
    with pytest.raises(MissingExtraError, match="numpyro"):
        sample(posterior(X, y), sampler={"name": "numpyro"})
    BayesRidge(sampler="numpyro").fit(X, y)


@pytest.mark.parametrize(
    ("sampler", "told"),
    [
        ("gibbs", "sampler must be 'pymc'"),
        ({"warmup": 5}, "some of name, draws, tune, chains, target_accept"),
        ({"draws": 1}, "draws must be at least 4"),
        ({"chains": 0}, "chains must be at least 1"),
        ({"target_accept": 1.0}, "between 0 and 1"),
        (7, "a name or a dictionary"),
    ],
)
def test_samplers_that_do_not_exist_are_refused(sampler, told):
    X, y = table()
    one = BayesRidge(method="nuts", sampler=sampler)
    assert clone(one).sampler == sampler
    with pytest.raises(DataError, match=told):
        one.fit(X, y)


def test_a_plugged_in_lambda_is_no_posterior_to_sample():
    X, y = table()
    with pytest.raises(PriorError, match="plugs lambda in"):
        sample(posterior(X, y, method="evidence"))


def test_command_line_end_to_end(tmp_path):
    X, y = table()
    X.assign(progression=y).to_csv(tmp_path / "t.csv", index=False)
    arguments = ["fit", str(tmp_path / "t.csv"), "--target", "progression", "--method", "nuts", "--sampler", "pymc"]
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [*arguments, "--draws", "80", "--tune", "100", "--json", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    record = json.loads((out / "fit.json").read_text(encoding="utf-8"))
    assert record == json.loads(done.stdout)
    assert record["method"] == "nuts"
    assert record["sampling"]["draws"] == 20
    assert record["sampling"]["chains"] == 4
    assert record["diagnostics"]["R-hat"]["limit"] == "<= 1.01"
    assert record["verdict"] in ("ok", "doubtful", "bad")
    assert record["hyperparameters"]["lambda"]["mean"] is None
    frame = pd.read_csv(out / "coefficients.csv", index_col="column")
    with xr.open_datatree(out / "draws.nc", engine="h5netcdf") as tree:
        assert tree.attrs["method"] == "nuts"
        assert tree["posterior"]["coef"].shape == (4, 20, 4)
        np.testing.assert_allclose(tree["posterior"]["coef"].values.mean(axis=(0, 1)), frame["mean"].iloc[1:])
    saved = load(out / "model.bridge")
    assert saved.posterior_.method == "nuts"
    np.testing.assert_allclose(saved.coef_, frame["mean"].iloc[1:])
