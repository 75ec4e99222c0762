"""What is printed: no number is cut at any width, and terminals without Unicode get ASCII."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from bayesridge.checks.card import validate
from bayesridge.cli.grid import grid
from bayesridge.cli.main import app
from bayesridge.cli.terminal import Screen, print_card, print_comparison, print_fit
from bayesridge.fit import posterior
from bayesridge.posteriors.summary import jsonable, to_record
from bayesridge.rules.catalogue import pick_rules
from bayesridge.rules.comparison import compare_lambda

WIDTHS = [40, 60, 80, 120]
NAMES = [
    "a",
    "temperature_of_the_outer_wall_in_degrees",
    "größe des gebäudes",
    "名前が長い列",
    "price per square metre and year",
]


def numbers(text):
    return re.findall(r"[-+]?\d[\d.]*(?:e[-+]\d+)?%?", text)


@pytest.fixture(scope="module")
def post():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((40, 5)) * [1e-5, 1.0, 1e4, 3.0, 1e-3], columns=NAMES)
    y = pd.Series(
        X.to_numpy() @ [-3e5, 2.0, 1e-4, 0.1, 1e3] + rng.standard_normal(40), name="a target with a long name"
    )
    return posterior(X, y * 12345.678)


def printed(show, width, encoding="utf-8"):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    show(Screen(Console(file=stream, width=width, highlight=False), width))
    stream.flush()
    return raw.getvalue().decode(encoding)


def shows(post):
    comparison = compare_lambda(post, rules=pick_rules(["reml", "loo", "hkb"], 0.95), progress=False)
    card = validate(post, checks=["prior", "influence", "leave-one-out"], splits=0, simulations=200, progress=False)
    record = dict(jsonable(to_record(post)))
    return {
        "fit": lambda screen: print_fit(post, record, 0.95, screen),
        "choose": lambda screen: print_comparison(comparison, screen=screen),
        "validate": lambda screen: print_card(card, screen=screen),
    }


@pytest.fixture(scope="module")
def every(post):
    return shows(post)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ["fit", "choose", "validate"])
def test_no_number_is_cut(every, command, width):
    whole, narrow = printed(every[command], 10_000), printed(every[command], width)
    assert "…" not in narrow
    if command == "choose":  # which leaves out columns; what is there is whole
        assert set(numbers(narrow)) <= set(numbers(whole))
        assert "elpd - best" in narrow or width < 60
    else:
        assert sorted(set(numbers(whole))) == sorted(set(numbers(narrow)))
    if width >= 60:  # tables; a word of a sentence is never broken
        assert max(map(cell_len, narrow.splitlines())) <= width


@pytest.mark.parametrize("command", ["fit", "choose", "validate"])
def test_ascii_terminals_get_ascii(every, command):
    text = printed(every[command], 80, "ascii")
    assert "^2" in text
    assert text.isascii()


@pytest.mark.parametrize("width", WIDTHS)
def test_help_is_not_cut_either(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    for command in ([], *([name] for name in ("look", "fit", "predict", "choose", "validate", "report"))):
        shown = CliRunner().invoke(app, [*command, "--help"]).stdout
        assert "…" not in shown
        assert not re.search(r"\w\.\.\.$", shown, re.MULTILINE)


def test_off_a_terminal_nothing_is_folded(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    path = tmp_path / "t.csv"
    rng = np.random.default_rng(1)
    pd.DataFrame(rng.standard_normal((9, 2)), columns=["x" * 150, "y"]).to_csv(path, index=False)
    done = CliRunner().invoke(app, ["fit", str(path), "--target", "y"])
    assert done.exit_code == 0, done.stderr
    assert "x" * 150 + "  " in done.stdout


def test_a_grid_that_does_not_fit_stands_in_pieces():
    lines = grid("name", ["abcdefghijklmnop", "b"], {"first": ["-1.234e+05", "1"], "second": ["-5.678e-05", "2"]}, 22)
    assert lines == [
        "name             first",
        "──────────────────────",
        "abcdefghij  -1.234e+05",
        "klmnop",
        "b                    1",
        "",
        "name            second",
        "──────────────────────",
        "abcdefghij  -5.678e-05",
        "klmnop",
        "b                    2",
    ]


def test_look_and_predict_cut_no_number_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.standard_normal((12, 5)) * [1e-7, 1.0, 1e6, 3.0, 1e-3], columns=NAMES)
    frame.assign(y=frame[NAMES[2]] * 1e3).to_csv("t.csv", index=False)
    commands = [["look", "t.csv"], ["predict", "m", "t.csv"]]
    noisy = frame.assign(y=frame[NAMES[2]] * 1e3 + 1e9 * rng.standard_normal(12))
    noisy.to_csv("noisy.csv", index=False)
    done = CliRunner().invoke(app, ["fit", "noisy.csv", "--target", "y", "--out", "m"])
    assert done.exit_code == 0, done.stderr
    for words in commands:
        texts = {width: CliRunner(env={"COLUMNS": str(width)}).invoke(app, words).stdout for width in (60, 80, 300)}
        for width in (60, 80):
            assert sorted(set(numbers(texts[width]))) == sorted(set(numbers(texts[300]))), words
            assert "…" not in texts[width]


@pytest.mark.filterwarnings("ignore::bayesridge.errors.BayesRidgeWarning")
def test_families_and_levels_cut_no_number_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({NAMES[1]: rng.standard_normal(40), "shop": rng.choice(list("abcd"), 40)})
    frame["n"] = rng.poisson(np.exp(0.3 + 0.4 * frame[NAMES[1]]))
    frame["y"] = 1e4 * frame[NAMES[1]] + 1e5 * rng.standard_normal(40)
    frame.to_csv("t.csv", index=False)
    levels = ["fit", "t.csv", "--formula", f"y ~ {NAMES[1]} + (1 | shop)"]
    assert CliRunner().invoke(app, [*levels, "--out", "m"]).exit_code == 0
    counts = ["fit", "t.csv", "--formula", f"n ~ {NAMES[1]}", "--family", "poisson"]
    for words in (levels, counts, ["predict", "m", "t.csv"]):
        monkeypatch.delenv("COLUMNS", raising=False)
        piped = CliRunner().invoke(app, words).stdout
        narrow = CliRunner(env={"COLUMNS": "60"}).invoke(app, words).stdout
        assert set(numbers(piped)) == set(numbers(narrow)), words
        assert max(map(cell_len, narrow.splitlines())) <= 60
        assert "…" not in narrow
