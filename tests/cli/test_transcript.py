"""From a messy file to predictions, guided by nothing but what the commands say."""

import json
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayesridge import BayesRidge
from bayesridge.cli import terminal
from bayesridge.cli.main import app
from bayesridge.errors import DataError
from bayesridge.estimator.files import load

FAR = "ein sehr langer Name: Entfernung zum Hauptbahnhof in Kilometern"
HEAD = ["id", "Fläche", "Fläche", "Baujahr", "Ort", "Miete je m²", "verkauft am", "Lage", "Kennung", FAR, "Preis"]


def german(value, digits):
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def messy(path, n, seed, *, target):
    """Semicolons, Latin-1, points between thousands, dates, percents, a unit, ?, ids, a name that is there twice."""
    rng = np.random.default_rng(seed)
    lines = [HEAD]
    for i in range(n):
        city, rent, far, area = rng.integers(3), rng.uniform(8, 15), rng.uniform(1.5, 20), rng.uniform(40, 160)
        price = 100_000 + 9000 * rent - 3000 * far + 30_000 * (city == 0) + rng.normal(0, 8000)
        year = "?" if i in (4, 17) else str(rng.integers(1900, 2020))
        day = f"{1 + rng.integers(28):02d}.{1 + rng.integers(12):02d}.2021"
        lines.append(
            [str(i + 1), german(area, 1), german(area, 0), year, ["Köln", "Bonn", "Düren"][city],
             german(rent, 2) + " €", day, f"{rng.integers(100)}%", f"K{seed}-{i:04d}", german(far, 3), german(price, 0)]
        )  # fmt: skip
    text = "\n".join(";".join(line if target else line[:-1]) for line in lines)
    path.write_bytes(text.encode("cp1252"))


def run(words):
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, words)


def options_named(text):
    """Return the options that a message names, with their values."""
    return shlex.split(" ".join(re.findall(r"""--[a-z]+ (?:"[^"]*"|'[^']*'|[^\s.,;:)]+)""", text)))


@pytest.mark.filterwarnings("ignore::bayesridge.errors.BayesRidgeWarning")
def test_from_a_messy_file_to_predictions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    messy(tmp_path / "flats.csv", 60, 0, target=True)
    messy(tmp_path / "new.csv", 6, 1, target=False)

    # a name is there twice: the message says what to do, and it works
    done = run(["look", "flats.csv"])
    assert done.exit_code == 1
    extra = options_named(done.stderr)
    assert extra == ["--drop", "Fläche"]
    done = run(["look", "flats.csv", "--target", "Preis", *extra])
    assert done.exit_code == 0, done.stderr
    for said in (
        "Latin-1",
        "'?' is taken for missing (2 of 60, first in row 4)",
        "id: counts the rows",
        "--drop Kennung",
    ):
        assert said in done.stdout
    read = pd.DataFrame(json.loads(run(["look", "flats.csv", *extra, "--json"]).stdout)["columns"]).set_index("name")
    assert read.loc[["Baujahr", "Preis", "Lage"], "kind"].eq("whole numbers").all()
    assert read.loc[["Miete je m²", FAR], "kind"].eq("numbers").all()
    assert read.loc["verkauft am", "kind"] == "dates"
    assert read.loc["Ort", "different"] == 3

    # the command it shows is the one that fits
    command = shlex.split(next(line for line in done.stdout.splitlines() if line.startswith("bayesridge fit")))
    options = command[3:]
    done = run([*command[1:], "--out", "result"])
    assert done.exit_code == 0, done.stderr
    assert "58 rows" in done.stdout
    found = json.loads((tmp_path / "result" / "fit.json").read_text(encoding="utf-8"))
    effect = found["coefficients"]["Miete je m²"]
    assert effect["eti_low"] < 9000 < effect["eti_high"]  # of 9000 a euro; the sd is a tenth of it

    for words in (
        ["choose", "flats.csv", *options, "--rules", "reml,loo"],
        ["validate", "flats.csv", *options, "--simulations", "200", "--splits", "0"],
        ["report", "flats.csv", *options, "--out", "page.html"],
    ):
        done = run(words)
        assert done.exit_code == 0, (words, done.stderr)
    assert (tmp_path / "page.html").stat().st_size > 10_000

    # next month: the new file has the same faults, and one row with a gap
    words = ["predict", "result", "new.csv"]
    for _ in range(3):
        done = run(words)
        if done.exit_code == 0:
            break
        words += [word for word in options_named(done.stderr) if word not in words or word.startswith("--")]
    assert done.exit_code == 0, done.stderr
    assert "--missing" in words
    assert "Left out 1 of 6 rows with missing values ('Baujahr' in row 4)" in " ".join(done.stdout.split())
    predictions = json.loads(run([*words, "--json"]).stdout)["predictions"]
    assert [one["row"] for one in predictions] == [0, 1, 2, 3, 5]
    assert all(one["eti_low"] < one["expectation_eti_low"] < one["mean"] < one["eti_high"] for one in predictions)
    done = run([*words, "--out", "new_predicted.csv"])
    saved = pd.read_csv(tmp_path / "new_predicted.csv", index_col="row")
    np.testing.assert_allclose(saved["mean"], [one["mean"] for one in predictions], rtol=1e-12)
    # the same file of a model in Python
    assert load(tmp_path / "result" / "model.bridge").formula == "Preis ~ ."


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"price of it": rng.standard_normal(60), "a": rng.standard_normal(60)})
    frame["city"] = np.array(["x", "y", "z"])[np.arange(60) % 3]
    frame["code"] = [f"c{i}" for i in range(60)]
    frame["day"] = pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d")
    frame["stock"] = [f"{1000 + i:,}" for i in range(60)]
    frame.loc[7, "a"] = np.nan
    frame.to_csv("t.csv", index=False)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.BayesRidgeWarning")
@pytest.mark.usefixtures("table")
def test_each_message_names_an_option_that_works():
    words = ["fit", "t.csv", "--target", "price of it"]
    seen = []
    for _ in range(6):
        done = run(words)
        if done.exit_code == 0:
            break
        assert len(done.stderr.splitlines()) == 1
        assert not re.search(r"\b(missing|formula|drop|encoding)=", done.stderr)
        seen.append(done.stderr)
        new = options_named(done.stderr)
        assert new, done.stderr
        for flag, value in zip(new[::2], new[1::2], strict=True):
            words += [flag, value] if flag != "--drop" or value != "NAME" else ["--drop", "day"]
    assert done.exit_code == 0, seen
    assert "C(" not in seen[0]
    assert "'stock': '1,000' is read as 1000" in " ".join(done.stdout.split())


def test_predict_names_columns_rows_and_categories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_normal(40), "g": np.array(["a", "b"])[np.arange(40) % 2]})
    frame["y"] = frame["x"] + rng.standard_normal(40) * 0.1
    frame.to_csv("train.csv", index=False)
    assert run(["fit", "train.csv", "--formula", "y ~ .", "--out", "m"]).exit_code == 0
    for name, change, message in [
        ("gone", frame.drop(columns="g"), "columns that the table does not have: 'g'"),
        ("unseen", frame.assign(g=["a", "b", "c", "b"] * 10), "'c' (row 2)"),
        ("gap", frame.assign(x=frame["x"].where(frame.index != 3)), "'x' in row 3"),
    ]:
        change.to_csv(f"{name}.csv", index=False)
        done = run(["predict", "m", f"{name}.csv"])
        assert done.exit_code == 1
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    # columns are matched by their names, with a formula and without one
    assert run(["fit", "train.csv", "--target", "y", "--drop", "g", "--out", "plain"]).exit_code == 0
    for model in ("m", "plain/model.bridge"):
        expected = run(["predict", model, "train.csv", "--json"])
        frame[["g", "y", "x"]].assign(more=1).to_csv("other.csv", index=False)
        again = run(["predict", model, "other.csv", "--json"])
        assert json.loads(again.stdout)["predictions"] == json.loads(expected.stdout)["predictions"]
    est = load(tmp_path / "plain" / "model.bridge")
    means = [one["mean"] for one in json.loads(expected.stdout)["predictions"]]
    np.testing.assert_allclose(est.predict(frame[["x"]]), means, rtol=1e-12)
    assert run(["predict", "m", "train.csv", "--out", "p.txt"]).exit_code == 1
    assert run(["predict", "nosuch", "train.csv"]).exit_code == 1


def test_predictions_of_counts_take_the_offset_from_the_new_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, exposure = rng.standard_normal(50), rng.uniform(1.0, 5.0, 50)
    frame = pd.DataFrame({"x": x, "le": np.log(exposure), "y": rng.poisson(exposure * np.exp(0.4 * x))})
    frame.to_csv("c.csv", index=False)
    assert run(["fit", "c.csv", "--target", "y", "--family", "poisson", "--offset", "le", "--out", "m"]).exit_code == 0
    frame.assign(le=frame["le"] + np.log(2.0)).to_csv("twice.csv", index=False)
    once, twice = (json.loads(run(["predict", "m", name, "--json"]).stdout) for name in ("c.csv", "twice.csv"))
    ratio = [b["mean"] / a["mean"] for a, b in zip(once["predictions"], twice["predictions"], strict=True)]
    np.testing.assert_allclose(ratio, 2.0, rtol=1e-9)  # twice the exposure, twice the counts


def test_columns_of_wild_scales_beside_counts(tmp_path, monkeypatch):
    """exp(coefficient) beyond float64, and rows whose expected count without them is: no words of numpy's."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2)) * [1e-12, 1e12]
    pd.DataFrame(X, columns=["a", "b"]).assign(y=rng.poisson(3.0, 40)).to_csv("c.csv", index=False)
    done = run(["fit", "c.csv", "--target", "y", "--family", "poisson"])
    assert done.exit_code == 0
    assert "encountered" not in done.output
    said = terminal._leave_one_out({"elpd_loo": None, "se": None, "p_loo": None, "rmse": None, "how": "exact"})
    assert said.count("infinite") == 4


def test_predict_takes_trials_and_offsets_and_models_with_groups(tmp_path, monkeypatch):
    """What the estimator says of the same rows; what is missing is named by its option, and that option works."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.standard_normal(40), "m": rng.integers(5, 20, 40), "years": rng.uniform(1, 3, 40)})
    frame["s"] = rng.binomial(frame["m"], 1.0 / (1.0 + np.exp(-0.5 * frame["x"])))
    frame["n"] = rng.poisson(frame["years"] * np.exp(0.3 * frame["x"]))
    frame.to_csv("t.csv", index=False)
    common = ["fit", "t.csv", "--drop", "years", "--drop", "n"]
    done = run([*common, "--target", "s", "--family", "binomial", "--trials", "m", "--out", "b"])
    assert done.exit_code == 0, done.stderr
    done = run(["predict", "b", "t.csv"])
    assert done.exit_code == 1
    assert "--trials" in done.stderr
    found = json.loads(run(["predict", "b", "t.csv", "--trials", "m", "--json"]).stdout)["predictions"]
    expected = load(tmp_path / "b" / "model.bridge").predictive(frame[["x"]], trials=frame["m"])
    np.testing.assert_allclose([one["mean"] for one in found], expected.mean, rtol=1e-12)
    assert {one["eti_high"] for one in found} <= set(map(float, range(21)))

    # an offset that was an array is asked for, and may be an expression
    est = BayesRidge(family="poisson").fit(frame[["x"]], frame["n"], offset=np.log(frame["years"]))
    est.save("p.bridge")
    done = run(["predict", "p.bridge", "t.csv"])
    assert done.exit_code == 1
    assert "--offset" in done.stderr
    found = json.loads(run(["predict", "p.bridge", "t.csv", "--offset", "log(years)", "--json"]).stdout)["predictions"]
    np.testing.assert_allclose(
        [one["mean"] for one in found], est.predict(frame[["x"]], offset=np.log(frame["years"])), rtol=1e-9
    )

    # several penalties
    est = BayesRidge(groups={"one": ["x"], "two": ["m", "years"]}).fit(frame[["x", "m", "years"]], frame["n"])
    est.save("g.bridge")
    found = json.loads(run(["predict", "g.bridge", "t.csv", "--json", "--level", "0.8"]).stdout)["predictions"]
    np.testing.assert_allclose(
        [[one["eti_low"], one["eti_high"]] for one in found],
        est.predict_interval(frame[["x", "m", "years"]], level=0.8), rtol=1e-9,
    )  # fmt: skip


def test_files_and_json_name_their_columns_alike_at_every_level(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.standard_normal((30, 3)), columns=["a", "b", "y"])
    frame.to_csv("t.csv", index=False)
    for words in (["fit", "t.csv", "--target", "y", "--level", "0.8", "--out", "f"],
                  ["predict", "f", "t.csv", "--level", "0.8", "--out", "p.csv"],
                  ["predict", "f", "t.csv", "--level", "0.8", "--out", "p.json"],
                  ["choose", "t.csv", "--target", "y", "--level", "0.8", "--out", "c"]):  # fmt: skip
        done = run(words)
        assert done.exit_code == 0, done.stderr
    read = {name: pd.read_csv(name, index_col=0) for name in ("f/coefficients.csv", "p.csv", "c/comparison.csv")}
    assert all((one["level"] == 0.8).all() and not one.columns.str.contains("%| ").any() for one in read.values())
    fit, new, choice = (json.loads((tmp_path / name).read_text()) for name in
                        ("f/fit.json", "p.json", "c/comparison.json"))  # fmt: skip
    assert set(fit["coefficients"]["a"]) == set(read["f/coefficients.csv"].columns) - {"level"}
    assert set(new["predictions"][0]) == set(read["p.csv"].columns) - {"level"} | {"row"}
    own = next(one for one in choice["rules"] if one["key"] == "posterior_median")
    line = read["c/comparison.csv"].set_index("key").loc["posterior_median"]
    assert (own["interval"]["low"], own["interval"]["high"]) == (line["interval_low"], line["interval_high"])
    assert own["beta_norm"] == line["beta_norm"]
    assert {one["schema"] for one in (fit, new, choice)} == {2}


def test_the_rule_on_reordered_columns_is_as_written(tmp_path, monkeypatch):
    """By name on the command line and with a formula; refused by the bare estimator, as scikit-learn asks."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.standard_normal((20, 2)), columns=["a", "b"])
    frame["y"] = frame["a"] + 0.3 * rng.standard_normal(20)
    X = frame[["a", "b"]]
    frame.to_csv("t.csv", index=False)
    frame[["b", "y", "a"]].to_csv("turned.csv", index=False)
    assert run(["fit", "t.csv", "--target", "y", "--out", "m"]).exit_code == 0
    one, two = (
        json.loads(run(["predict", "m", name, "--json"]).stdout)["predictions"] for name in ("t.csv", "turned.csv")
    )
    assert one == two
    with_formula = BayesRidge(formula="y ~ a + b").fit(frame)
    np.testing.assert_array_equal(with_formula.predict(frame[["b", "a"]]), with_formula.predict(frame))
    plain = BayesRidge().fit(frame[["a", "b"]], frame["y"])
    with pytest.raises(DataError, match=r"order; a formula and a posterior match columns by name"):
        plain.predict(frame[["b", "a"]])
    np.testing.assert_array_equal(plain.predict(frame[["b", "a"]][plain.feature_names_in_]), plain.predict(X))


def test_probabilities_print_alike_in_python_and_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(rng.standard_normal((60, 3)), columns=["a", "b", "c"])
    frame["y"] = 5.0 * frame["a"] - 4.0 * frame["b"] + rng.standard_normal(60)
    frame.to_csv("t.csv", index=False)
    printed = run(["fit", "t.csv", "--target", "y"]).stdout
    shown = repr(BayesRidge().fit(frame[["a", "b", "c"]], frame["y"]))
    for name in ("a", "b", "c"):
        last = [next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[-1]
                for text in (printed, shown)]  # fmt: skip
        assert last[0] == last[1]
    assert ">0.999" in printed
    assert "<0.001" in printed
