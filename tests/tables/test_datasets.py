"""The example tables: they load, and are what their scripts write."""

import re
from pathlib import Path

import numpy as np
import pytest

from bayesridge import datasets
from bayesridge.data import _files, make_sensor, make_tables

README = Path(__file__).resolve().parents[2] / "data" / "README.md"
SHAPES = {"diabetes": (442, 10), "longley": (16, 6), "sensor": (120, 5)}


def test_names_and_shapes():
    assert datasets.names() == tuple(SHAPES)
    for name, shape in SHAPES.items():
        X, y = datasets.load_xy(name)
        assert X.shape == shape
        assert y.shape == shape[:1]
        assert y.name == datasets.target(name)
        assert y.name not in X
        assert y.dtype == float
        assert not datasets.load(name).isna().any(axis=None)


@pytest.mark.parametrize("call", [datasets.load, datasets.load_xy, datasets.target])
def test_an_unknown_name_is_answered_with_the_known_ones(call):
    with pytest.raises(ValueError, match="no data set called 'iris'; there are: diabetes, longley, sensor"):
        call("iris")


def test_diabetes_equals_scikit_learn():
    from sklearn.datasets import load_diabetes

    X, y = datasets.load_xy("diabetes")
    source = load_diabetes(scaled=False)
    np.testing.assert_array_equal(X.to_numpy(), source.data)
    np.testing.assert_array_equal(y.to_numpy(), source.target)
    assert list(X) == source.feature_names


def test_longley_equals_statsmodels():
    from statsmodels.datasets import longley

    source = longley.load_pandas().data
    np.testing.assert_array_equal(datasets.load("longley").to_numpy(), source.to_numpy())
    assert list(datasets.load("longley")) == list(source)


@pytest.mark.parametrize("script", [make_sensor, make_tables])
def test_the_files_are_what_the_scripts_write(script):
    assert _files.write_or_check(script.tables(), ["--check"]) == 0


def test_check_sees_a_changed_and_a_missing_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_files, "FOLDER", tmp_path)
    tables = {"a.csv": "x\n1\n", "b.csv": "x\n2\n", "c.csv": "x\n3\n"}
    assert _files.write_or_check(tables, []) == 0
    assert _files.write_or_check(tables, ["--check"]) == 0
    (tmp_path / "a.csv").write_text("x\n9\n")
    (tmp_path / "b.csv").unlink()
    assert _files.write_or_check(tables, ["--check"]) == 1
    assert re.findall(r"^\w\.csv", capsys.readouterr().err, flags=re.MULTILINE) == ["a.csv", "b.csv"]
    assert (tmp_path / "a.csv").read_text() == "x\n9\n"


def test_sensor_obeys_the_truth_that_it_states():
    X, y = datasets.load_xy("sensor")
    coefficients = make_sensor.COEFFICIENTS
    noise = (y - make_sensor.INTERCEPT - X[list(coefficients)] @ list(coefficients.values())).to_numpy()
    # Four standard errors of the mean and, with chi-square for the variance, of the standard deviation.
    assert abs(noise.mean()) < 4 * make_sensor.NOISE_SD / np.sqrt(len(y))
    assert abs(noise.std() / make_sensor.NOISE_SD - 1) < 4 / np.sqrt(2 * len(y))
    assert X["temperature"].corr(X["humidity"]) == pytest.approx(-0.97, abs=0.01)
    assert X["humidity"].between(0, 100).all()


def test_the_readme_describes_every_column_and_states_the_truth():
    text = README.read_text(encoding="utf-8")
    for name in datasets.names():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        frame = datasets.load(name)
        described = re.findall(r"^\| (\w+) \|", section, flags=re.MULTILINE)
        assert described[1:] == list(frame)
        rows, columns = frame.shape
        assert f"{rows} rows, {columns} columns. Target: `{datasets.target(name)}`" in section
    for name, value in make_sensor.COEFFICIENTS.items():
        assert re.search(rf"^\| {name} \|.*\| {value!r} \|$", text, flags=re.MULTILINE), name
    assert f"is {make_sensor.INTERCEPT:.0f} ppm" in text
    assert f"deviation {make_sensor.NOISE_SD:.0f} ppm" in text
