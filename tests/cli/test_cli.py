"""The command line: numbers, files, exit codes, one-line errors."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayesridge.cli.main import app
from bayesridge.cli.prior_text import parse_prior
from bayesridge.datasets import load, load_xy
from bayesridge.errors import PriorError
from bayesridge.estimator.files import load as load_model
from bayesridge.fit import posterior
from bayesridge.priors import FixedLambda, HalfCauchy, HalfT


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "diabetes.csv"
    table = load("diabetes")
    table["w"] = np.linspace(0.5, 2.0, len(table))
    table.to_csv(path, index=False)
    return str(path)


def run(*args):
    return CliRunner().invoke(app, ["fit", *map(str, args)])


def record(*args):
    done = run(*args, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def same(found, post):
    # the same computation in the same process: printed with 17 digits
    labels = post.coefficients.labels
    means = [found["coefficients"][name]["mean"] for name in labels]
    np.testing.assert_allclose(means, post.coefficients.mean, rtol=1e-12)
    sds = [found["coefficients"][name]["sd"] for name in labels]
    np.testing.assert_allclose(sds, post.coefficients.sd, rtol=1e-12)
    assert found["hyperparameters"]["lambda"]["median"] == pytest.approx(post.lambda_.median, rel=1e-12)
    assert found["hyperparameters"]["sigma"]["mean"] == pytest.approx(post.sigma.mean, rel=1e-12)


def test_tables(csv):
    done = run(csv, "--target", "progression", "--drop", "w")
    assert done.exit_code == 0
    for word in ("bmi", "intercept", "lambda", "sigma", "R", "elpd", "P(>0)", "ridge", "95%"):
        assert word in done.stdout
    assert "nan" not in done.stdout.lower().replace("finance", "")


def test_json_is_python(csv):
    X, y = load_xy("diabetes")
    post = posterior(X, y)
    found = record(csv, "--target", "progression", "--drop", "w")
    same(found, post)
    assert found["loo"]["elpd_loo"] == pytest.approx(post.loo.elpd_loo, rel=1e-12)
    assert found["log_marginal_likelihood"] == pytest.approx(post.log_marginal_likelihood, rel=1e-12)
    # the optimiser's own tolerance, relative to coefficients of size 1
    assert found["map_vs_ridge"]["difference"] < 1e-8
    assert found["evidence_modes"][0]["lambda"] == pytest.approx(post.evidence.best.lam, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (["--prior", "half-cauchy:2"], {"prior": HalfCauchy(2.0)}),
        (["--prior", "fixed:10", "--method", "fixed"], {"prior": FixedLambda(10.0)}),
        (["--noise", "half-t:3,50"], {"noise_prior": HalfT(3.0, 50.0, on="sigma")}),
        (["--method", "evidence"], {"method": "evidence"}),
        (["--unpenalized", "bmi"], {"unpenalized": ["bmi"]}),
        (["--no-scale"], {"scale": False}),
        (["--no-intercept"], {"fit_intercept": False}),
    ],
    ids=lambda value: "" if isinstance(value, dict) else " ".join(value),
)
def test_options(csv, options, arguments):
    X, y = load_xy("diabetes")
    same(record(csv, "--target", "progression", "--drop", "w", *options), posterior(X, y, **arguments))


@pytest.mark.parametrize("kind", ["precision", "frequency", "survey"])
@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
def test_weights(csv, kind):
    X, y = load_xy("diabetes")
    w = np.linspace(0.5, 2.0, len(y))
    found = record(csv, "--target", "progression", "--weights", "w", "--weight-kind", kind)
    same(found, posterior(X, y, weights=w, weight_kind=kind))
    assert found["weight_kind"] == kind
    assert ("loo" in found) is (kind == "precision")  # parts of an observation cannot be left out
    assert ("no_loo" in found) is (kind != "precision")
    assert any("not whole numbers" in text for text in found["warnings"]) is (kind == "frequency")


def test_formula_and_level(csv):
    found = record(csv, "--formula", "progression ~ bmi * bp", "--level", "0.8")
    same(found, posterior(load("diabetes"), formula="progression ~ bmi * bp"))
    assert found["level"] == 0.8
    assert {"mean", "sd", "eti_low", "eti_high", "prob_positive"} == set(found["coefficients"]["bmi"])


def test_out(csv, tmp_path):
    out = tmp_path / "new" / "folder"
    done = run(csv, "--target", "progression", "--drop", "w", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["coefficients.csv", "draws.nc", "fit.json", "model.bridge"]
    table = pd.read_csv(out / "coefficients.csv", index_col=0)
    facts = json.loads((out / "fit.json").read_text(encoding="utf-8"))
    assert table.loc["bmi", "mean"] == pytest.approx(facts["coefficients"]["bmi"]["mean"], rel=1e-12)
    again = load_model(out / "model.bridge").summary()
    assert again.loc["bmi", "mean"] == facts["coefficients"]["bmi"]["mean"]
    import arviz

    tree = arviz.from_netcdf(out / "draws.nc")
    coef = tree["posterior"]["beta" if "beta" in tree["posterior"] else "coef"]
    assert coef.sizes["chain"] == 4
    mean = float(coef.sel(feature="bmi").mean())
    sd = table.loc["bmi", "sd"]
    count = coef.sizes["chain"] * coef.sizes["draw"]
    assert abs(mean - table.loc["bmi", "mean"]) <= 4.5 * sd / np.sqrt(count)  # independent draws
    tree.close()


def test_parquet(csv, tmp_path):
    path = tmp_path / "t.parquet"
    pd.read_csv(csv).to_parquet(path)
    assert record(path, "--target", "progression") == record(csv, "--target", "progression")


def test_missing(csv, tmp_path):
    table = pd.read_csv(csv)
    table.loc[[3, 8], "bmi"] = np.nan
    path = tmp_path / "gaps.csv"
    table.to_csv(path, index=False)
    done = run(path, "--target", "progression")
    assert done.exit_code == 1
    assert "bmi" in done.stderr
    assert "2" in done.stderr
    assert record(path, "--target", "progression", "--missing", "drop")["n_dropped"] == 2


BAD = {
    "no such file": ("nosuch.csv", None, [], "nosuch.csv"),
    "empty": ("empty.csv", "", [], "empty"),
    "header only": ("head.csv", "a,y\n", [], "no rows"),
    "ragged": ("ragged.csv", "a,y\n1,2\n3,4,5\n", [], "line 3|fields"),
    "twice": ("twice.csv", "a,a,y\n1,2,3\n2,1,4\n", [], "a"),
    "text": ("text.csv", "a,y\nx,1\nz,2\nw,4\n", [], "a"),
    "one row": ("one.csv", "a,y\n1,2\n", [], "1"),
    "binary": ("binary.csv", b"\xff\x00\x01a,y\n", [], "UTF-8"),
    "not parquet": ("not.parquet", "a,y\n1,2\n", [], "Parquet"),
    "unknown kind": ("table.xyz", "a,y\n1,2\n", [], "kind"),
    "bad prior": ("ok.csv", "a,y\n1,2\n2,3\n3,5\n", ["--prior", "nosuch:1"], "nosuch"),
    "bad noise": ("ok.csv", "a,y\n1,2\n2,3\n3,5\n", ["--noise", "half-t:a"], "half-t"),
    "bad level": ("ok.csv", "a,y\n1,2\n2,3\n3,5\n", ["--level", "95"], "level"),
    "fixed without lambda": ("ok.csv", "a,y\n1,2\n2,3\n3,5\n", ["--method", "fixed"], "fixed"),
    "unknown weights": ("ok.csv", "a,y\n1,2\n2,3\n3,5\n", ["--weights", "w"], "w"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_files_give_one_line(case, tmp_path):
    name, text, options, words = BAD[case]
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = run(path, "--target", "y", *options)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("bayesridge: ")
    assert len(done.stderr.splitlines()) == 1
    assert any(word in done.stderr for word in words.split("|"))


def test_unknown_target_names_the_nearest(csv):
    done = run(csv, "--target", "progresion")
    assert done.exit_code == 1
    assert "Did you mean 'progression'" in done.stderr


def test_wrong_command_line():
    assert run().exit_code == 2
    assert run("t.csv", "--method", "nosuch").exit_code == 2
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("bayesridge ")


def test_a_target_that_a_prior_does_not_take_is_no_target():
    with pytest.raises(PriorError, match=r"write r2:0.5,0.5"):
        parse_prior("r2:1,1@tau")
    assert parse_prior("half-t:3,1@tau").on == "tau"
