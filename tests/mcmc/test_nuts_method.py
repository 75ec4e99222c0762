"""``method="nuts"`` in the estimator and on the command line: the same reports, from the chains."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from bayesridge import BayesRidge
from bayesridge.cli.main import app
from bayesridge.datasets import load, load_xy
from bayesridge.errors import DataError, PriorError
from bayesridge.mcmc.prediction import DrawnPrediction, predict_from_draws
from bayesridge.priors import FixedScales
from tests.mcmc.agreement import assert_agree

pytestmark = [pytest.mark.mcmc, pytest.mark.xdist_group("mcmc")]

FEW = {"draws": 500, "tune": 500, "n_jobs": 1, "random_state": 3, "progressbar": False}


@pytest.fixture(scope="module")
def fitted():
    X, y = load_xy("diabetes")
    return BayesRidge(method="nuts", **FEW).fit(X, y), X, y


def test_the_chains_agree_with_the_exact_posterior_beside_them(fitted):
    fit, _, _ = fitted
    assert fit.nuts_.verdict in ("ok", "doubtful")
    assert fit.nuts_.compile_seconds > 0
    assert fit.nuts_.sampling_seconds > 0
    assert_agree(fit.posterior_, fit.to_datatree())


def test_what_is_reported_comes_from_the_draws(fitted):
    fit, _, _ = fitted
    posterior = fit.nuts_.datatree["posterior"]
    np.testing.assert_array_equal(fit.coef_, posterior["coef"].values.mean(axis=(0, 1)))
    assert fit.intercept_ == posterior["intercept"].values.mean()
    for name, drawn in (("lambda_", "lambda_"), ("sigma_", "sigma"), ("tau_", "tau")):
        assert getattr(fit, name) == np.median(posterior[drawn].values)
    assert fit.to_datatree() is fit.nuts_.datatree
    table = fit.summary(0.9)
    assert list(table.columns) == ["mean", "sd", "90% ETI low", "90% ETI high", "P(>0)", "mcse", "ess_bulk", "ess_tail"]
    np.testing.assert_allclose(table["90% ETI low"].iloc[1:], np.quantile(posterior["coef"].values, 0.05, axis=(0, 1)))
    np.testing.assert_allclose(table["mcse"], table["sd"] / np.sqrt(table["ess_bulk"]), rtol=0.2)
    scales = fit.hyper_summary()
    assert scales.loc["lambda", "median"] == fit.lambda_
    assert np.isnan(scales.loc["lambda", "mean"])
    assert scales.loc["sigma", "mean"] == posterior["sigma"].values.mean()


def test_predictions_are_the_mixture_over_draws(fitted):
    fit, X, _ = fitted
    rows = X.iloc[:5]
    found = fit.predictive(rows, weights=[1.0, 2.0, 1.0, 4.0, 1.0])
    posterior = fit.nuts_.datatree["posterior"]
    coef, b0 = posterior["coef"].values.reshape(-1, 10), posterior["intercept"].values.ravel()
    sigma = posterior["sigma"].values.ravel()
    expected = b0 + rows.to_numpy(dtype=float) @ coef.T
    np.testing.assert_allclose(found.mean, expected.mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(found.mean_sd, expected.std(axis=1, ddof=1), rtol=1e-8)
    np.testing.assert_allclose(found.noise_sd**2, np.mean(sigma**2) / np.array([1, 2, 1, 4, 1]), rtol=1e-12)
    np.testing.assert_allclose(found.sd**2, found.mean_sd**2 + found.noise_sd**2, rtol=1e-12)
    scale = sigma / np.sqrt([[1.0], [2.0], [1.0], [4.0], [1.0]])
    for q, value in zip((0.05, 0.95), found.interval(0.9).T, strict=True):
        np.testing.assert_allclose(stats.norm(expected, scale).cdf(value[:, None]).mean(axis=1), q, atol=1e-9)
    mean, sd = fit.predict(rows, return_std=True)
    np.testing.assert_array_equal(mean, fit.predict(rows))
    # against the exact predictive distribution, to the Monte Carlo error of 2000 draws (0.1 of a standard deviation)
    exact = fit.posterior_.predict(rows.to_numpy(dtype=float))
    np.testing.assert_allclose(mean, exact.mean, atol=0.1 * exact.mean_sd.max())
    np.testing.assert_allclose(sd, exact.sd, rtol=0.02)
    np.testing.assert_allclose(fit.predict_interval(rows), exact.interval(), atol=0.05 * exact.sd.max())


def test_quantiles_of_many_rows_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    rows, coef = rng.standard_normal((400, 3)), rng.standard_normal((9000, 3))
    sigma, noise = rng.uniform(1.0, 2.0, 9000), np.ones(400)
    centre = rng.standard_normal(9000)
    together = DrawnPrediction(centre, coef, sigma, rows, noise).quantile(0.9)  # more than one block
    alone = DrawnPrediction(centre, coef, sigma, rows[-1:], noise[-1:]).quantile(0.9)
    assert together[-1] == alone[0]
    # far in the tail too: the mixture's probability there is that of its widest draw
    low = DrawnPrediction(centre, coef, sigma, rows[:1], noise[:1]).quantile(1e-30)
    assert stats.norm(centre + coef @ rows[0], sigma).cdf(low).mean() == pytest.approx(1e-30, rel=1e-6)
    with pytest.raises(DataError, match="between 0 and 1"):
        DrawnPrediction(centre, coef, sigma, rows, noise).quantile(1.0)


def test_rows_of_another_shape_are_refused(fitted):
    fit, X, _ = fitted
    with pytest.raises(DataError, match=r"X must have shape \(rows, 10\), got \(442, 5\)"):
        predict_from_draws(fit.posterior_.design, fit.nuts_, X.to_numpy(dtype=float)[:, :5])


def test_texts_name_the_sampler_and_the_verdict(fitted):
    fit, _, _ = fitted
    for text in (repr(fit), fit._repr_html_()):
        assert "NUTS" in text
        assert fit.nuts_.verdict in text
        assert "compiled in" in text
        assert "effective draws" in text
        assert "bmi" in text


def test_a_refit_by_another_method_forgets_the_chains(fitted):
    _, X, y = fitted
    fit = BayesRidge(method="nuts", **(FEW | {"draws": 50, "tune": 50, "chains": 1})).fit(X, y)
    assert fit.nuts_.verdict != "ok"  # one chain of fifty draws
    fit.set_params(method="posterior").fit(X, y)
    assert not hasattr(fit, "nuts_")
    np.testing.assert_array_equal(fit.coef_, fit.posterior_.coefficients.mean)


def test_a_fixing_prior_is_sampled_and_lam_is_refused():
    X, y = load_xy("longley")
    options = FEW | {"draws": 200, "tune": 300}
    fit = BayesRidge(method="nuts", prior=FixedScales(1000.0, 500.0), **options).fit(X, y)
    assert fit.lambda_ == pytest.approx(4.0, rel=1e-12)
    assert fit.hyper_summary().loc["lambda", "sd"] == 0.0
    with pytest.raises(PriorError, match="method='fixed'"):
        BayesRidge(method="nuts", lam=1.0).fit(X, y)


def test_weights_formula_and_a_table_with_an_unseen_order_of_columns():
    X, y = load_xy("longley")
    frame = X.assign(TOTEMP=y)
    fit = BayesRidge(method="nuts", formula="TOTEMP ~ GNP + YEAR", weight_kind="precision", **FEW)
    fit.fit(frame, sample_weight=np.linspace(0.5, 2.0, 16))
    np.testing.assert_array_equal(fit.coef_names_, ["GNP", "YEAR"])
    np.testing.assert_array_equal(fit.predict(frame), fit.predict(frame[frame.columns[::-1]]))


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("nuts") / "diabetes.csv"
    load("diabetes").to_csv(path, index=False)
    return str(path)


def test_command_line_end_to_end(csv, tmp_path):
    arguments = ["fit", csv, "--target", "progression", "--method", "nuts", "--draws", "800", "--tune", "500"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.stderr
    for word in ("NUTS", "conjugate, centred", "compiled in", "bmi", "lambda", "chains:", "elpd", "95%"):
        assert word in done.stdout
    record = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert record["method"] == "nuts"
    assert record["sampling"]["draws"] == 200
    assert record["sampling"]["chains"] == 4
    assert record["diagnostics"]["R-hat"]["limit"] == "<= 1.01"
    assert record["verdict"] in ("ok", "doubtful", "bad")
    assert record["hyperparameters"]["lambda"]["mean"] == "NaN"
    table = pd.read_csv(tmp_path / "coefficients.csv", index_col="column")
    with xr.open_datatree(tmp_path / "draws.nc", engine="h5netcdf") as tree:
        assert tree.attrs["method"] == "nuts"
        assert tree["posterior"]["coef"].shape == (4, 200, 10)
        np.testing.assert_allclose(tree["posterior"]["coef"].values.mean(axis=(0, 1)), table["mean"].iloc[1:])
    exact = BayesRidge().fit(*load_xy("diabetes"))
    assert np.abs(table["mean"] - exact.summary()["mean"]).max() < 0.5 * table["sd"].max()


def test_json_and_the_same_seed_the_same_numbers(csv):
    arguments = ["fit", csv, "--target", "progression", "--method", "nuts", "--draws", "400", "--tune", "300", "--json"]
    one, two = (json.loads(CliRunner().invoke(app, [*arguments, "--seed", "7"]).stdout) for _ in range(2))
    assert one["coefficients"] == two["coefficients"]
    assert one["loo"]["bad_rows"] == 0
