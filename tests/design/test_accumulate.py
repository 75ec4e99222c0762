"""Files in batches and clusters: the posterior of the table in memory, the same bits after a kill, named errors."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import textwrap
from functools import reduce
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesridge import DataError, Files, FormulaError, ModelFileError, Moments, Triangle, accumulate, posterior
from bayesridge.design import accumulate as module
from bayesridge.errors import DroppedRowsWarning
from bayesridge.tables import batches, streamed
from bayesridge.tables.files import read_table

N = 3000
_ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    site = pd.Categorical(rng.choice(["z", "k", "m"], N), categories=["z", "m", "k", "unused"])
    table = pd.DataFrame(
        {"a": rng.standard_normal(N) + 1e4, "b": rng.integers(0, 9, N), "site": site, "text": rng.choice([*"uvw"], N)}
    )
    table["ok"], table["w"] = rng.random(N) > 0.5, rng.integers(1, 4, N)
    table.loc[:1500, "text"] = "v"  # the others come late
    table["y"] = table.a - 1e4 + 0.3 * table.b + 2.0 * (table.site == "k") - table.ok + rng.standard_normal(N)
    return table


@pytest.fixture(scope="module")
def files(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    frame.to_parquet(folder / "one.parquet", row_group_size=700)
    frame.to_csv(folder / "one.csv", index=False)
    (folder / "parts").mkdir()
    for k in range(3):
        part = frame.iloc[1000 * k : 1000 * (k + 1)]
        part.assign(site=part.site.astype(str)).to_parquet(folder / f"parts/part{k}.parquet", row_group_size=300)
    numbers = frame[["a", "b", "ok", "w", "y"]]
    numbers.to_parquet(folder / "numbers.parquet", row_group_size=300)
    return folder


def same(one, other, within=1e-10):
    sd = other.coefficients.sd
    np.testing.assert_allclose((one.coefficients.mean - other.coefficients.mean) / sd, 0.0, atol=within)
    np.testing.assert_allclose(one.coefficients.sd, sd, rtol=within)
    assert one.log_marginal_likelihood == pytest.approx(other.log_marginal_likelihood, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "formula", "weights"),
    [
        ("one.parquet", "y ~ b + s(a, k=8) + ok", "w"),
        ("one.csv", "y ~ 0 + text + s(exp(a - 1e4), k=6) + s(b)", None),
        ("parts", "y ~ ridge(ok, b) + a", None),
        ("one.parquet", "y ~ bs(b, knots=[2., 5.], lower_bound=-1., upper_bound=9.)", None),
    ],
)
@pytest.mark.filterwarnings("ignore::bayesridge.NoSignalWarning")  # straight lines
def test_terms_with_penalties_of_their_own(files, frame, name, formula, weights):
    gone = frame.assign(b=frame.b.astype(float))
    gone.loc[[2, 900], "b"] = np.nan
    asked = {"formula": formula, "missing": "drop"}
    with pytest.warns(DroppedRowsWarning, match="2 of 3000"):
        whole = posterior(gone, weights=None if weights is None else gone.w, **asked)
    path = files / f"gone-{name}"
    if name == "parts":
        path.mkdir()
        for k in range(3):
            gone.iloc[1000 * k : 1000 * (k + 1)].to_parquet(path / f"{k}.parquet")
    elif name.endswith("csv"):
        gone.to_csv(path, index=False)
    else:
        gone.sort_values("a").to_parquet(path, row_group_size=700)
    with pytest.warns(DroppedRowsWarning, match="2 of 3000"):
        post = posterior(path, weights=weights, **asked)
    assert post.design.names == whole.design.names
    same(post, whole, 1e-9)
    assert [str(one) for one in post.scales] == [str(one) for one in whole.scales]


@pytest.mark.parametrize("name", ["one.parquet", "one.csv", "parts"])
@pytest.mark.parametrize(
    ("formula", "weights"), [("y ~ b + site*text + ok", "w"), ("y ~ text + .", None), ("np.log(y + 100) ~ a:ok", None)]
)
def test_files_and_formulas_are_the_table_in_memory(files, frame, name, formula, weights):
    table = read_table(files / name) if name != "parts" else frame.assign(site=frame.site.astype(str))
    if weights is not None:
        whole = posterior(table.drop(columns="w"), formula=formula, weights=table.w)
    else:
        whole = posterior(table, formula=formula)
    post = posterior(files / name, formula=formula, weights=weights)
    assert post.design.names == whole.design.names
    assert post.design.target_name == whole.design.target_name
    same(post, whole)


def test_plain_columns_weights_and_missing_values(files, frame, tmp_path):
    numbers = frame[["a", "b", "ok", "w", "y"]].astype(float)
    same(
        posterior(files / "numbers.parquet", "y", weights="w"),
        posterior(numbers[["a", "b", "ok"]], numbers.y, weights=numbers.w),
    )
    numbers.loc[[3, 2000], "b"], numbers.loc[7, "y"] = np.nan, np.nan
    for path in (tmp_path / "gaps.parquet", tmp_path / "gaps.csv"):
        numbers.to_parquet(path) if path.suffix == ".parquet" else numbers.to_csv(path, index=False)
        with pytest.raises(DataError, match=r"gaps.*row 0.*Missing values by column.*b.*2"):
            posterior(path, "y")
        with pytest.warns(DroppedRowsWarning, match="3 of 3000"):
            post = posterior(Files(path, drop=["w"]), "y", missing="drop")
        assert post.design.n_dropped == 3
        same(post, posterior(numbers.dropna()[["a", "b", "ok"]], numbers.dropna().y))


def test_columns_that_moments_cannot_carry_are_read_again_for_a_triangle(frame, tmp_path):
    near = frame[["a", "b", "y"]].assign(c=frame.a + 1e-5 * frame.w)
    near.to_parquet(tmp_path / "near.parquet")
    post = posterior(tmp_path / "near.parquet", "y")
    assert post.spectrum.route == "triangle"
    same(post, posterior(near[["a", "b", "c"]], near.y), 1e-6)  # c - a is known to 2e-12 / 1e-5
    with pytest.raises(DataError, match="Triangle"):
        posterior(accumulate(tmp_path / "near.parquet", "y"))
    assert isinstance(accumulate(tmp_path / "near.parquet", "y", kind=Triangle), Triangle)


_KILLED = """
import os, signal, sys
from bayesridge import Files, accumulate
from bayesridge.design import accumulate as module
module._PAUSE = 0.0
path, checkpoint, stop = sys.argv[1], sys.argv[2], int(sys.argv[3])
add = module.Counter.add
def counted(self, unit, one):
    if unit == stop:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, unit, one)
module.Counter.add = counted
accumulate(Files(path, checkpoint=checkpoint), "y")
"""


def test_a_killed_run_goes_on_to_the_same_bits(files, tmp_path):
    path, checkpoint = files / "numbers.parquet", tmp_path / "run"
    whole = accumulate(path, "y")
    for stop in (3, 7):  # of ten units; each run goes on from the one before
        done = subprocess.run([sys.executable, "-c", _KILLED, path, checkpoint, str(stop)], check=False, env=_ENV)
        assert done.returncode == -signal.SIGKILL
        assert checkpoint.stat().st_size < 20_000
    with pytest.raises(DataError, match=r"another run \(.*weights"):
        accumulate(Files(path, checkpoint=checkpoint), "y", weights="w")
    seen = []
    after = accumulate(Files(path, checkpoint=checkpoint, progress=lambda *of: seen.append(of)), "y")
    assert [rows for rows, _, _ in seen] == [2400, 2700, 3000]
    assert seen[0][1] == 3000
    assert not checkpoint.exists()
    assert all(np.array_equal(one, after.arrays()[name]) for name, one in whole.arrays().items())
    assert whole.facts() == after.facts()
    Moments.of(np.eye(3), np.ones(3)).save(checkpoint)
    with pytest.raises(ModelFileError, match="not the checkpoint"):
        accumulate(Files(path, checkpoint=checkpoint), "y")


def test_files_that_end_early_change_or_differ_are_named_and_the_checkpoint_stays(files, frame, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    monkeypatch.setattr(batches, "_BUFFER", 4000)  # bytes that are looked at before the run
    folder, checkpoint = tmp_path / "parts", tmp_path / "run"
    folder.mkdir()
    numbers = frame[["a", "b", "y"]]
    for k in range(3):
        numbers.iloc[1000 * k : 1000 * (k + 1)].to_csv(folder / f"{k}.csv", index=False)
    text = (folder / "2.csv").read_text()
    (folder / "2.csv").write_text(text[: len(text) // 2].rsplit(",", 1)[0])  # a line too short
    with pytest.raises(DataError, match=r"2\.csv.*ends early, or is damaged.*Expected 3 columns, got 2"):
        accumulate(Files(folder, checkpoint=checkpoint), "y")
    saved = checkpoint.read_bytes()
    assert len(saved) > 1000
    (folder / "2.csv").write_text(text)
    with pytest.raises(DataError, match=r"another run \(files differ\)"):
        accumulate(Files(folder, checkpoint=checkpoint), "y")
    assert checkpoint.read_bytes() == saved

    whole = (files / "numbers.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"half\.parquet: it ends early, or is damaged"):
        accumulate(tmp_path / "half.parquet", "y")

    (tmp_path / "moves.parquet").write_bytes(whole)

    def touched(rows, _all, _rate):
        if rows == 600:
            os.utime(tmp_path / "moves.parquet", (1, 1))

    with pytest.raises(DataError, match="was changed while it was read"):
        accumulate(Files(tmp_path / "moves.parquet", progress=touched), "y")

    numbers.drop(columns="b").to_csv(folder / "3.csv", index=False)
    with pytest.raises(DataError, match=r"3\.csv lacks 'b'"):
        accumulate(folder, "y")
    numbers.assign(b="x").to_csv(folder / "3.csv", index=False)
    with pytest.raises(DataError, match=r"3\.csv holds text in column 'b', and .*0\.csv holds numbers"):
        accumulate(folder, "y")
    numbers.to_parquet(folder / "3.parquet")
    (folder / "3.csv").unlink()
    with pytest.raises(DataError, match=r"3\.parquet is not of the kind of 0\.csv"):
        accumulate(folder, "y")


def test_a_category_unseen_in_pass_one_is_named(files, monkeypatch):
    learn = streamed._learning_table

    def forgetful(*of):
        learnt = learn(*of)
        return learnt[learnt.text != "w"]

    monkeypatch.setattr(streamed, "_learning_table", forgetful)
    with pytest.raises(DataError, match=r"rows counted from row \d+: 'text' has categories.*'w'"):
        posterior(files / "one.parquet", formula="y ~ text")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"y": "nothing"}, "There is no column 'nothing' for the target"),
        ({"y": "y"}, r"one\.parquet, rows counted from row 0: Every column must hold numbers.*'site'"),
        ({}, "name the column of the target"),
        ({"y": "a", "formula": "y ~ b"}, "leave one out"),
        ({"formula": "y ~ center(a)"}, r"calls center\(...\), which needs all rows"),
        ({"formula": "y ~ a + (1 | site)"}, r"effects of levels \('site'\), which need all rows in memory"),
        ({"formula": "y ~ s(b, by=site)"}, r"a curve for each level \('s\(b, by=site\)'\)"),
        ({"formula": "y ~ s(ok)"}, r"needs 3 different values"),
        ({"formula": "y ~ bs(a, df=5)"}, r"calls bs\(...\), which needs all rows"),
        ({"y": np.ones(3)}, "must be the name of a column"),
        ({"y": "y", "weights": "y"}, "cannot be the target and the weights"),
        ({"y": "y", "weights": "q"}, "There is no column 'q'"),
        ({"y": "y", "trials": "a"}, "leave family and trials out"),
    ],
)
def test_what_files_cannot_do_is_said(files, call, said):
    with pytest.raises((DataError, FormulaError), match=said):
        posterior(files / "one.parquet", **call)


def test_no_file_and_empty_ones(tmp_path):
    for path in (tmp_path, tmp_path / "none.parquet", tmp_path / "data.txt"):
        with pytest.raises(DataError, match=str(path.name)):
            accumulate(path, "y")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "names.csv").write_text("a,y\n")
    pq.write_table(
        pa.table({"a": pa.array([], pa.float64()), "y": pa.array([], pa.float64())}), tmp_path / "no.parquet"
    )
    (tmp_path / "twice.csv").write_text("a,a,y\n1,2,3\n2,3,5\n")
    with pytest.raises(DataError, match=r"twice\.csv: column names must differ"):
        accumulate(tmp_path / "twice.csv", "y")
    (tmp_path / "late.csv").write_text("a,y\n" + "1,2\n" * 300_000 + "oops,3\n")
    with pytest.raises(DataError, match=r"late\.csv.*first megabyte holds other kinds.*'oops'"):
        accumulate(tmp_path / "late.csv", "y")
    for name in ("empty.csv", "names.csv", "no.parquet"):
        with pytest.raises(DataError, match=name if name != "no.parquet" else "no rows"):
            accumulate(tmp_path / name, "y")


# -- clusters ------------------------------------------------------------------------------------------------------


def test_dask_collections_and_lists_of_delayed_add_up(frame):
    dask = pytest.importorskip("dask")
    array = pytest.importorskip("dask.array")
    X, y, w = (frame[columns].to_numpy(float) for columns in (["a", "b", "ok"], "y", "w"))
    whole = posterior(X, y, weights=w)
    chunks = [array.from_array(one, chunks=(700, *one.shape[1:])) for one in (X, y, w)]
    with dask.config.set(scheduler="synchronous"):
        same(posterior(chunks[0], chunks[1], weights=chunks[2]), whole)
        parts = [dask.delayed(lambda k: (X[k : k + 500], y[k : k + 500], w[k : k + 500]))(k) for k in range(0, N, 500)]
        same(posterior(parts), whole)
        tables = [dask.delayed(frame[["a", "b", "ok", "w", "y"]].iloc[k : k + 1000]) for k in range(0, N, 1000)]
        same(posterior(tables, "y", weights="w"), whole)
        with pytest.raises(DataError, match="5 partitions and y 3"):
            posterior(chunks[0], array.from_array(y, chunks=1000))
        with pytest.raises(DataError, match="rechunk it by rows"):
            posterior(array.from_array(X, chunks=(700, 2)), chunks[1])


def test_the_lines_for_spark_and_ray_in_the_docs_run_with_a_plain_map(frame):
    page = (Path(__file__).resolve().parents[2] / "docs/howto/scale.md").read_text()
    (lines,) = [one for one in re.findall(r"```py\n(.*?)```", page, re.DOTALL) if "mapPartitions" in one]
    numbers = frame[["a", "b", "y"]].iloc[:600]
    whole = posterior(numbers[["a", "b"]], numbers.y)
    spark, ray = _Spark(np.array_split(np.arange(600), 4), numbers), _Ray()
    known = {"Moments": Moments, "posterior": posterior, "pd": pd, "df": SimpleNamespace(rdd=spark), "ray": ray}
    known["parts"] = [(one[["a", "b"]], one.y) for one in (numbers.iloc[:250], numbers.iloc[250:])]
    exec(lines, known)
    same(known["post"], whole)
    same(posterior(spark.total), whole)


@dataclasses.dataclass
class _Spark:
    parts: list
    table: pd.DataFrame
    total: object = None

    def mapPartitions(self, function):  # noqa: N802
        rows = [[SimpleNamespace(asDict=self.table.iloc[k].to_dict) for k in part] for part in (*self.parts, [])]
        self.total = [one for part in rows for one in function(part)]
        return self

    def treeReduce(self, merge):  # noqa: N802
        self.total = reduce(merge, self.total)
        return self.total


class _Ray:
    def remote(self, function):
        return SimpleNamespace(remote=function)

    def get(self, found):
        return found


_CLUSTER = """
import os, signal, sys, threading, time
import numpy as np
from distributed import Client, LocalCluster
from dask import delayed
from bayesridge import accumulate

def part(k, flag):
    if k == 5 and not os.path.exists(flag):
        open(flag, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)  # the worker, in the middle of its part
    rng = np.random.default_rng(k)
    X = rng.standard_normal((1000, 8))
    return X, X.sum(axis=1) + rng.standard_normal(1000)

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        with Client(cluster):
            total = accumulate([delayed(part)(k, sys.argv[1]) for k in range(8)])
    total.save(sys.argv[2])
"""


@pytest.mark.slow
def test_a_killed_worker_changes_no_bit(tmp_path):
    pytest.importorskip("distributed")
    (tmp_path / "run.py").write_text(textwrap.dedent(_CLUSTER))
    for name, flag in (("calm", tmp_path), ("killed", tmp_path / "flag")):
        subprocess.run([sys.executable, tmp_path / "run.py", flag, tmp_path / name], check=True, timeout=120, env=_ENV)
    assert (tmp_path / "flag").exists()
    assert (tmp_path / "calm").read_bytes() == (tmp_path / "killed").read_bytes()
    parts = []
    for k in range(8):
        rng = np.random.default_rng(k)
        X = rng.standard_normal((1000, 8))
        parts.append((X, X.sum(axis=1) + rng.standard_normal(1000)))
    same(
        posterior(Moments.load(tmp_path / "killed")),
        posterior(*(np.concatenate(one) for one in zip(*parts, strict=True))),
    )
