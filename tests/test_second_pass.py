"""What needs rows again, files read once more: predictions and leave-one-out are those of the table in memory."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from typer.testing import CliRunner

from bayesridge import BayesRidge, DataError, Files, FormulaError, PriorError, accumulate, load, posterior
from bayesridge.cli.main import app
from bayesridge.errors import AccuracyWarning, DroppedRowsWarning
from bayesridge.estimator import batches
from bayesridge.posteriors import files_loo

N = 1000
FORMULA = "y ~ a + site + offset(log(years))"


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    found = pd.DataFrame({"a": rng.standard_normal(N), "b": rng.standard_normal(N), "site": rng.choice([*"klm"], N)})
    found["years"], found["w"] = 1.0 + rng.random(N), rng.integers(0, 4, N)
    found["y"] = found.a - found.b + (found.site == "k") + np.log(found.years) + rng.standard_normal(N)
    return found


@pytest.fixture(scope="module")
def folder(frame, tmp_path_factory):
    found = tmp_path_factory.mktemp("rows")
    frame.to_parquet(found / "t.parquet", row_group_size=300)
    (found / "parts").mkdir()
    for k in range(2):
        frame.iloc[500 * k : 500 * (k + 1)].to_csv(found / f"parts/{k}.csv", index=False)
    return found


@pytest.fixture(scope="module")
def fit(frame):
    return BayesRidge(formula=FORMULA).fit(frame)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(batches, "_ROWS", 128)
    monkeypatch.setattr(files_loo, "_ROWS", 128)


def read(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


@pytest.mark.parametrize(("source", "out"), [("t.parquet", "p.csv"), ("parts", "p.parquet")])
def test_predictions_of_files_are_those_of_the_table(fit, frame, folder, tmp_path, source, out):
    seen = []
    found = read(fit.predict_files(Files(folder / source, progress=lambda *of: seen.append(of)), tmp_path / out))
    whole = fit.predictions(frame)
    assert found.row.tolist() == list(range(N))
    np.testing.assert_allclose(found["mean"], whole["mean"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.eti_high, whole["95% ETI high"], rtol=1e-9, atol=1e-9)
    assert seen[-1][0] == N
    assert sorted(path.name for path in tmp_path.iterdir()) == [out]


def test_predictions_with_gaps_an_offset_and_an_array(fit, frame, folder, tmp_path):
    gaps = frame.copy()
    gaps.loc[[5, 700], "a"] = np.nan
    gaps.to_parquet(tmp_path / "gaps.parquet", row_group_size=300)
    with pytest.raises(DataError, match=r"gaps\.parquet, rows counted from row 0: 1 of 128 rows.*'a' in row 5"):
        fit.predict_files(tmp_path / "gaps.parquet", tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
    with pytest.warns(DroppedRowsWarning, match="2 of 1000"):
        found = read(fit.predict_files(tmp_path / "gaps.parquet", tmp_path / "p.csv", missing="drop"))
    assert found.row.tolist() == [k for k in range(N) if k not in (5, 700)]
    told = BayesRidge().fit(frame[["a", "b"]], frame.y, offset=np.log(frame.years))
    found = read(told.predict_files(folder / "t.parquet", tmp_path / "p.csv", offset="log(years)"))
    np.testing.assert_allclose(found["mean"], told.predict(frame[["a", "b"]], offset=np.log(frame.years)), rtol=1e-9)
    with pytest.raises(FormulaError, match="needs all rows at once"):
        told.predict_files(folder / "t.parquet", tmp_path / "p.csv", offset="center(years)")
    plain = BayesRidge().fit(frame[["a", "b"]].to_numpy(), frame.y)
    frame[["a", "b"]].to_parquet(tmp_path / "ab.parquet")
    with pytest.warns(UserWarning, match="fitted without feature names"):
        found = read(plain.predict_files(tmp_path / "ab.parquet", tmp_path / "q.parquet"))
    np.testing.assert_allclose(found["mean"], plain.predict(frame[["a", "b"]].to_numpy()), rtol=1e-12)


def test_what_is_wrong_with_files_is_named_and_nothing_is_left(fit, frame, folder, tmp_path):
    out = tmp_path / "p.csv"
    out.write_text("old")

    def refused(path, match, **options):
        with pytest.raises((DataError, FormulaError), match=match):
            fit.predict_files(path, out, **options)
        assert out.read_text() == "old"

    whole = (folder / "t.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "half.parquet", "ends early, or is damaged")
    (tmp_path / "moves.parquet").write_bytes(whole)
    moves = Files(tmp_path / "moves.parquet", progress=lambda *_: os.utime(tmp_path / "moves.parquet", (1, 1)))
    refused(moves, "was changed while it was read")
    frame.drop(columns="a").to_parquet(tmp_path / "less.parquet")
    refused(tmp_path / "less.parquet", "does not have: 'a'")
    frame.replace({"site": {"m": "new"}}).to_parquet(tmp_path / "new.parquet")
    refused(tmp_path / "new.parquet", r"new\.parquet, rows counted from row 0: 'site' has categories.*'new'")
    (tmp_path / "drift").mkdir()
    frame.to_parquet(tmp_path / "drift/0.parquet")
    frame.assign(a="text").to_parquet(tmp_path / "drift/1.parquet")
    refused(tmp_path / "drift", r"1\.parquet holds text in column 'a'")
    refused(Files(folder / "t.parquet", checkpoint="c"), "leave checkpoint out")
    frame.assign(a=np.nan).to_parquet(tmp_path / "none.parquet")
    with pytest.warns(DroppedRowsWarning, match="1000 of 1000"):
        refused(tmp_path / "none.parquet", "no row is left", missing="drop")
    for own in (folder / "t.parquet", folder / "parts/0.csv"):
        with pytest.raises(DataError, match="is where the rows are"):
            fit.predict_files(own if own.suffix == ".parquet" else own.parent, own)
    with pytest.raises(DataError, match=r"ends in \.csv or \.parquet"):
        fit.predict_files(folder / "t.parquet", tmp_path / "p.txt")
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("kind", [None, "frequency", "precision"])
def test_leave_one_out_of_files_is_that_of_the_table(frame, folder, kind, tmp_path):
    asked = {"formula": FORMULA, "weights": None if kind is None else "w"}
    post = posterior(folder / "t.parquet", weight_kind=kind or "frequency", **asked)
    out = tmp_path / ("rows.csv" if kind is None else "rows.parquet")
    found = post.loo_of_files(folder / "t.parquet", out=out, **asked)
    weights = None if kind is None else frame.w
    whole = posterior(frame.drop(columns="w"), formula=FORMULA, weights=weights, weight_kind=kind or "frequency").loo
    for name in ("elpd_loo", "se", "p_loo", "rmse", "n_obs"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    counts = np.histogram(whole.pit, 100, (0.0, 1.0), weights=whole.count)[0]
    np.testing.assert_array_equal(found.pit, counts)
    assert found.table["first row"].tolist() == [0, 300, 600, 900]
    assert found.table.elpd.sum() == pytest.approx(found.elpd_loo)
    assert found.doubtful == 0
    assert "elpd" in repr(found)
    scores = read(out)
    assert scores.row.tolist() == list(range(N))
    np.testing.assert_allclose(scores.elpd, whole.pointwise, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scores["mean"], whole.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scores.pit, np.where(whole.count > 0, whole.pit, np.nan), rtol=1e-9, atol=1e-9)


def test_leave_one_out_of_a_loaded_model(frame, folder, tmp_path):
    asked = {"formula": FORMULA, "missing": "drop"}
    gaps = frame.copy()
    gaps.loc[[5, 700], "a"] = np.nan
    gaps.to_parquet(tmp_path / "gaps.parquet", row_group_size=300)
    with pytest.warns(DroppedRowsWarning):
        posts = [posterior(tmp_path / "gaps.parquet", **asked), posterior(gaps, **asked)]
    whole, out = posts[1].loo, tmp_path / "rows.parquet"
    for k, post in enumerate(posts):
        post.save(tmp_path / f"{k}.bridge")
        loaded = load(tmp_path / f"{k}.bridge").posterior_
        found = loaded.loo_of_files(tmp_path / "gaps.parquet", out=out, **asked)
        assert found.elpd_loo == pytest.approx(whole.elpd_loo, abs=1e-8)
        assert read(out).row.tolist() == [k for k in range(N) if k not in (5, 700)]
        out.unlink()
        used = gaps.drop(index=[5, 700])
        for column, factor in (("a", 1.0 + 1e-6), ("y", 1.0 + 1e-6)):
            centre = used[column].mean()
            other = gaps.assign(**{column: centre + factor * (gaps[column] - centre)})
            other.to_parquet(tmp_path / "other.parquet")
            with pytest.raises(DataError, match="not the rows of the fit"):
                loaded.loo_of_files(tmp_path / "other.parquet", out=out, **asked)
            assert not out.exists()
    with pytest.raises(DataError, match="is where the rows are"):
        loaded.loo_of_files(folder / "parts", out=folder / "parts/2.csv", **asked)
    with pytest.raises(DataError, match=r"ends in \.csv or \.parquet"):
        loaded.loo_of_files(tmp_path / "gaps.parquet", out=tmp_path / "rows.txt", **asked)


def test_leave_one_out_of_groups_and_of_other_rows(frame, folder, tmp_path):
    files = Files(folder / "t.parquet", drop=["site", "w", "years"])
    groups = {"one": ["a"], "two": ["b"]}
    post = posterior(files, "y", groups=groups)
    whole = posterior(frame[["a", "b"]], frame.y, groups=groups)
    assert post.loo_of_files(files, "y").elpd_loo == pytest.approx(whole.loo.elpd_loo, abs=1e-8)

    other = frame.copy()
    other.loc[7, "b"] += 1e-3
    other.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="not the rows of the fit"):
        post.loo_of_files(Files(tmp_path / "t.parquet", drop=["site", "w", "years"]), "y")
    with pytest.raises(DataError, match="not those of the fit"):
        post.loo_of_files(Files(folder / "t.parquet", drop=["site"]), "y")
    with pytest.raises(DataError, match="for a posterior without rows; this one has its rows"):
        whole.loo_of_files(files, "y")
    survey = posterior(Files(folder / "t.parquet", drop=["site"]), "y", weights="w", weight_kind="survey")
    with pytest.raises(DataError, match="survey weights"):
        survey.loo_of_files(Files(folder / "t.parquet", drop=["site"]), "y", weights="w")


@pytest.mark.filterwarnings("ignore::bayesridge.NoSignalWarning")
def test_rows_that_contradict_all_others_are_counted(frame, tmp_path):
    odd = frame[["a", "b", "y"]].copy()
    odd.loc[3, "y"] = 1e9
    odd.to_parquet(tmp_path / "odd.parquet")
    post = posterior(tmp_path / "odd.parquet", "y")
    with pytest.warns(AccuracyWarning, match="1 rows contradict"):
        found = post.loo_of_files(tmp_path / "odd.parquet", "y")
    assert found.doubtful == 1


def test_an_offset_of_batches_is_that_of_memory(frame, folder, tmp_path):
    files = Files(folder / "t.parquet", drop=["site", "w"])
    post, whole = (
        posterior(files, "y", offset="log(years)"),
        posterior(frame[["a", "b"]], frame.y - np.log(frame.years)),
    )
    assert post.design.names == ("a", "b")
    assert post.design.target_name == "y - log(years)"
    np.testing.assert_allclose(post.coefficients.mean, whole.coefficients.mean, rtol=1e-10)
    sums = accumulate(files, "y", offset="log(years)")
    sums.save(tmp_path / "sums")
    assert type(sums).load(tmp_path / "sums").target_name == "y - log(years)"
    with pytest.raises(DataError, match="another offset"):
        sums + accumulate(Files(folder / "t.parquet", drop=["site", "w", "years"]), "y")
    with pytest.raises(DataError, match="subtract it from y"):
        accumulate(frame[["a"]], frame.y, offset="a")
    with pytest.raises(FormulaError, match="needs all rows at once"):
        posterior(files, "y", offset="center(years)")


def test_the_commands(frame, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    table, formula = str(folder / "t.parquet"), "y ~ a + site"
    words = ["fit", table, "--formula", formula, "--offset", "log(years)", "--batches", "--draws", "40"]
    done = run(app, [*words, "--loo-rows", "rows.csv", "--out", "m", "--json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    whole = posterior(frame, formula=FORMULA)
    assert record["loo"]["elpd_loo"] == pytest.approx(whole.loo.elpd_loo)
    assert len(read(tmp_path / "rows.csv")) == N
    done = run(app, ["predict", "m", str(folder / "parts"), "--out", "p.parquet"])
    assert done.exit_code == 0, done.output
    assert "of 1000 rows" in done.stdout
    assert "the first 60 of 1000" in done.stdout
    found = read(tmp_path / "p.parquet")
    np.testing.assert_allclose(found["mean"], load(tmp_path / "m/model.bridge").predict(frame), rtol=1e-9)
    assert run(app, ["predict", "m", table, "--out", "q.parquet"]).exit_code == 0  # in memory
    np.testing.assert_allclose(read(tmp_path / "q.parquet")["mean"], found["mean"], rtol=1e-12)
    for wrong, said in (
        (["predict", "m", str(folder / "parts")], "--out NAME.csv"),
        (["predict", "m", table, "--batches", "--out", "p.json"], "--out NAME.csv"),
        (["fit", table, "--formula", formula, "--loo"], "--loo is for --batches"),
        (["predict", "m", table, "--out", table], "is where the rows are"),
    ):
        done = run(app, wrong)
        assert done.exit_code == 1
        assert said in " ".join(done.stderr.split())


def test_words_and_paths_that_are_none_are_refused(fit, folder, tmp_path):
    with pytest.raises(DataError, match="not 'Drop'"):
        fit.predict_files(folder / "t.csv", tmp_path / "p.csv", missing="Drop")
    for source, out in ((None, "p.csv"), (pd.DataFrame({"a": [1.0]}), "p.csv"), (folder / "t.csv", 3)):
        with pytest.raises(DataError, match="named by its path"):
            fit.predict_files(source, out)
    with pytest.raises(NotFittedError):
        BayesRidge().predict_files(folder / "t.csv", tmp_path / "p.csv")


def test_rows_whose_squares_are_no_numbers_are_refused():
    rng = np.random.default_rng(0)
    post = posterior(rng.standard_normal((9, 2)), rng.standard_normal(9))
    assert np.isfinite(post.predict(np.array([[1e99, 2.0]])).interval()).all()
    with pytest.raises(DataError, match="x0 is as large as 1e\\+160 in row 1"):
        post.predict(np.array([[1.0, 2.0], [-1e160, 2.0]]))
    for method in ("average", "fixed"):  # neither there, nor with a prior that fixes nothing
        with pytest.raises(PriorError, match="method"):
            posterior(rng.standard_normal((9, 2)), rng.standard_normal(9), method=method)
