"""The report card and `bayesridge validate`: what is on it, what it claims, and that alarms are rare or right."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayesridge import FixedLambda, posterior
from bayesridge.checks.card import TESTS, validate
from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.checks.predictive_checks import predictive_checks
from bayesridge.checks.spectral_check import spectral_check
from bayesridge.cli.main import app
from bayesridge.cli.terminal import print_card
from bayesridge.datasets import load_xy
from bayesridge.errors import DataError


@pytest.fixture(scope="module")
def longley():
    return validate(*load_xy("longley"), simulations=200, splits=5, progress=False)


def test_every_question_is_answered(longley):
    assert [entry.key for entry in longley.entries] == [
        "computation", "prior", "leave-one-out", "noise", "sensitivity", "influence", "duplicates", "backtest",
    ]  # fmt: skip
    assert longley.passed
    assert "does not prove" in longley.verdict
    assert longley["prior"].finding.passed
    with pytest.raises(DataError, match="no entry 'x'"):
        longley["x"]


def test_the_record_is_json_and_the_seed_repeats_it(longley):
    # the two that take long repeat themselves in tests of their own
    quick = [entry.key for entry in longley.entries if entry.key not in ("computation", "backtest")]
    again = validate(*load_xy("longley"), checks=quick, simulations=200, progress=False)

    def numbers(card):
        record = json.loads(json.dumps(card.record, allow_nan=False))
        for check in record["checks"].values():
            check.pop("seconds")
        return record

    first = numbers(longley)["checks"]
    assert numbers(again)["checks"] == {key: first[key] for key in quick}
    assert numbers(longley)["checks"]["computation"]["details"]["alpha"] == 0.05 / len(TESTS)


def test_a_test_has_one_p_value_on_the_card_and_by_itself():
    post = posterior(*load_xy("longley"))
    card = validate(post, checks=["prior", "leave-one-out", "noise"], random_state=3, progress=False)
    for key, by_itself in (("prior", spectral_check), ("noise", predictive_checks)):
        alone = by_itself(post, random_state=3)
        assert [test.p_adjusted for test in alone.tests] == [test.p_adjusted for test in card[key].finding.tests]
    assert loo_calibration(post, random_state=3).p_value == card["leave-one-out"].finding.p_value


def test_a_wrong_model_raises_alarms_and_says_what_to_do():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 4))
    y = X @ [1.0, 1.0, 0.0, 0.0] + rng.standard_t(1.5, 150)
    card = validate(X, y, checks=["prior", "leave-one-out", "noise"], simulations=200, progress=False)
    assert not card.passed
    assert card["noise"].status == "alarm"
    assert "heavier tails" in card.verdict
    assert "robust" in card.verdict
    with pytest.raises(DataError, match="no entry 'backtest'"):
        card["backtest"]


def test_what_does_not_apply_is_not_judged():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((25, 2))
    y = X.sum(axis=1) + rng.standard_normal(25)
    card = validate(X, y, prior=FixedLambda(2.0), weights=np.full(25, 3.0), simulations=200, splits=0, progress=False)
    status = {entry.key: entry.status for entry in card.entries}
    assert status["sensitivity"] == status["influence"] == status["leave-one-out"] == status["noise"] == "not judged"
    assert status["prior"] == "not judged"  # two directions
    assert "Not judged: prior, leave-one-out, noise." in card.verdict
    assert "1 tests" not in card.verdict


def test_rows_that_repeat_others_stay_together_in_the_backtest():
    rng = np.random.default_rng(2)
    X = np.repeat(rng.standard_normal((30, 3)), 2, axis=0)
    y = np.repeat(X[::2].sum(axis=1) + rng.standard_normal(30), 2)
    card = validate(X, y, checks=["duplicates", "backtest"], splits=5, progress=False)
    assert card["duplicates"].status == "note"
    assert "60" in card["duplicates"].text
    assert "GroupKFold" in card["backtest"].text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(3)
    alarms = 0
    for seed in range(200):
        X = rng.standard_normal((40, 6))
        y = X @ (0.5 * rng.standard_normal(6)) + rng.standard_normal(40)
        card = validate(posterior(X, y), simulations=200, splits=0, random_state=seed, progress=False)
        alarms += not card.passed
    # at most 5%, and three standard errors of a share of 200
    assert alarms / 200 < 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"simulations": 50}, "at least 200"), ({"splits": 7}, "multiple of 5"), ({"alpha": 1.5}, "between 0 and 1")],
)
def test_wrong_settings(options, text):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((20, 3))
    post = posterior(X, X.sum(axis=1) + rng.standard_normal(20))
    with pytest.raises(DataError, match=text):
        validate(post, progress=False, **options)


def run(*args):
    return CliRunner().invoke(app, ["validate", *map(str, args)])


def test_what_is_printed_answers_every_question(longley, capsys):
    print_card(longley, warnings=["a warning"])
    shown = capsys.readouterr().out
    for word in ("computation", "leave-one-out", "Verdict", "influence", "backtest", "a warning"):
        assert word in shown


def test_the_command_saves(tmp_path):
    X, y = load_xy("longley")
    table = pd.DataFrame(X).assign(total=np.asarray(y))
    table.to_csv(tmp_path / "longley.csv", index=False)
    args = [tmp_path / "longley.csv", "--target", "total", "--simulations", "200", "--splits", "5"]
    done = run(*args, "--json", "--out", tmp_path / "card")
    assert done.exit_code == 0, done.stderr
    names = {path.name for path in (tmp_path / "card").iterdir()}
    assert names == {
        "validation.json", "calibration.csv", "directions.csv", "leave_one_out.csv", "sensitivity.csv", "influence.csv",
        "backtest.csv", "noise.csv", "near_duplicates.csv",
    }  # fmt: skip
    record = json.loads((tmp_path / "card" / "validation.json").read_text())
    assert record["passed"] is True
    assert json.loads(done.stdout) == record
    assert pd.read_csv(tmp_path / "card" / "leave_one_out.csv", index_col="row")["y"].tolist() == list(y)


def test_the_command_fails_in_one_line(tmp_path):
    done = run(tmp_path / "none.csv", "--target", "y")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1


def test_some_checks_are_those_of_the_whole_card(longley):
    post = posterior(*load_xy("longley"))
    some = validate(post, checks=["noise", "prior"], simulations=200, progress=False)
    assert [entry.key for entry in some.entries] == ["prior", "noise"]
    for key in ("prior", "noise"):
        assert some[key].text == longley[key].text  # the same seeds and the same share of alpha
    with pytest.raises(DataError, match="no check called luck"):
        validate(post, checks=["luck"], progress=False)
    with pytest.raises(DataError, match="drop y, formula"):
        validate(post, load_xy("longley")[1], formula="a ~ b")


def test_every_finding_has_a_table_and_a_record(longley):
    for entry in longley.entries:
        assert len(entry.finding.table) > 0
        assert entry.finding.verdict.removesuffix(".") == entry.text
        assert entry.finding.record
