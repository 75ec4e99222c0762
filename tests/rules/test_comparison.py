"""The table of all rules: its numbers, texts, record, and how it is printed."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from scipy import stats
from typer.testing import CliRunner

from bayesridge.cli.choose import choose
from bayesridge.cli.terminal import Screen, print_comparison
from bayesridge.datasets import load, load_xy
from bayesridge.errors import DataError, WeightsWarning
from bayesridge.fit import posterior
from bayesridge.hyper.evidence import profile_sigma
from bayesridge.linalg.filters import effective_dof, standardized_coefficients
from bayesridge.linalg.rows import loo_residuals
from bayesridge.priors import FixedLambda, HalfCauchy
from bayesridge.rules.backtest import backtest
from bayesridge.rules.bootstrap import bootstrap_choices
from bayesridge.rules.catalogue import default_rules, given_lambda, make_rule, pick_rules, standard_rules
from bayesridge.rules.comparison import compare_lambda
from bayesridge.rules.problem import LambdaProblem


@pytest.fixture(scope="module")
def found():
    X, y = load_xy("diabetes")
    return compare_lambda(X, y, progress=False)


def test_every_number_of_a_row(found):
    """Against refits: the posterior at that fixed lambda has its own exact leave-one-out."""
    design, spectrum = found.problem.design, found.problem.spectrum
    for key in ("reml", "loo", "gcv", "bic", "l_curve", "cv5"):
        row = found.row(key)
        fixed = posterior(design.X, design.y, prior=FixedLambda(row.lam))
        assert row.elpd_loo == pytest.approx(fixed.loo.elpd_loo, rel=1e-12)
        assert row.elpd_se == pytest.approx(fixed.loo.se, rel=1e-9)
        assert row.loo_rmse == pytest.approx(fixed.loo.rmse, rel=1e-12)
        rmse = np.sqrt(np.mean(loo_residuals(design, spectrum, row.lam) ** 2))
        assert row.loo_rmse == pytest.approx(rmse, rel=1e-12)
        assert row.effective_dof == pytest.approx(float(effective_dof(spectrum, row.lam)), rel=1e-13)
        assert row.sigma == pytest.approx(float(profile_sigma(spectrum, row.lam)), rel=1e-13)
        norm = np.linalg.norm(standardized_coefficients(spectrum, row.lam))
        assert row.beta_norm == pytest.approx(norm, rel=1e-12)
        assert row.regret == pytest.approx(row.loo_rmse / found.best_loo_rmse - 1.0, abs=1e-14)


def test_the_full_posterior_is_a_row(found):
    row, posterior = found.row("posterior"), found.problem.posterior
    assert found.rows[0] is row
    assert row.place == "integrated"
    assert np.isnan(row.lam)
    assert row.elpd_loo == pytest.approx(posterior.loo.elpd_loo, rel=1e-12)
    assert row.loo_rmse == pytest.approx(posterior.loo.rmse, rel=1e-12)
    assert row.sigma == posterior.sigma.median
    assert row.effective_dof == pytest.approx(posterior.effective_dof.mean, rel=1e-8)
    assert (row.interval.lower, row.interval.upper) == posterior.lambda_.interval(0.95)


def test_paired_differences(found):
    """Mean and standard error of the pointwise differences to the best row, by scipy."""
    best = max((row for row in found.rows if row.available), key=lambda row: row.elpd_loo)
    assert best.elpd_diff == 0.0
    assert best.elpd_diff_se == 0.0
    design = found.problem.design
    n = design.n_rows
    at_best = posterior(design.X, design.y, prior=FixedLambda(best.lam)).loo.pointwise
    for key in ("bic", "reml"):
        row = found.row(key)
        gap = posterior(design.X, design.y, prior=FixedLambda(row.lam)).loo.pointwise - at_best
        assert row.elpd_diff == pytest.approx(gap.sum(), rel=1e-6)
        assert row.elpd_diff_se == pytest.approx(n * stats.sem(gap), rel=1e-6)
    gap = found.problem.posterior.loo.pointwise - at_best
    assert found.row("posterior").elpd_diff == pytest.approx(gap.sum(), rel=1e-6)


def test_regret_is_against_the_best_single_lambda(found):
    assert found.row("loo").regret == pytest.approx(0.0, abs=1e-14)
    assert all(row.regret >= -1e-12 for row in found.rows if row.available and row.key != "posterior")
    # without the rule in the table the reference is the same
    X, y = load_xy("diabetes")
    again = compare_lambda(X, y, rules=[make_rule("gcv")], progress=False)
    assert again.best_loo_rmse == pytest.approx(found.best_loo_rmse, rel=1e-13)
    assert again.row("gcv").regret == pytest.approx(found.row("gcv").regret, rel=1e-6)


def test_table(found):
    table = found.table
    assert isinstance(table, pd.DataFrame)
    assert len(table) == len(default_rules()) + 1
    assert table.index[0] == "full posterior (lambda integrated)"
    assert table.loc["GCV", "lambda"] == found.choices["gcv"].lam
    assert table.loc["evidence (REML)", "interval kind"].startswith("95% Wald interval")
    assert table.loc["posterior median", "interval kind"] == "95% ETI of the posterior"
    assert (table["seconds"] >= 0).all()
    assert {"cv5", "cv10"} <= set(table["key"])


def test_texts_carry_their_numbers(found):
    text = found.disagreement
    lam = [choice.lam for choice in found.choices.values()]
    assert f"{min(lam):.4g}" in text
    assert f"{max(lam):.4g}" in text
    assert "all overlap" in text
    assert "posterior sds" in text
    assert f"{found.spread.in_sigma:.2g} sigma" in text
    assert "Use the full posterior" in found.recommendation
    assert f"{found.problem.posterior.lambda_.median:.4g}" in found.recommendation
    assert "95% ETI" in found.recommendation
    assert text in repr(found)
    assert "<table" in found._repr_html_()


def test_disjoint_intervals_are_said():
    """A prior far from the data: its posterior and the evidence do not overlap, and the scores tell which is worse."""
    X, y = load_xy("diabetes")
    far = compare_lambda(X, y, prior=HalfCauchy(1e-4), rules=standard_rules(0.5), level=0.5, progress=False)
    both = far.row("posterior_median").interval, far.row("reml").interval
    overlap = both[0].lower <= both[1].upper and both[1].lower <= both[0].upper
    assert ("do not all overlap" in far.disagreement) == (not overlap)


def test_a_posterior_that_predicts_worse_is_not_recommended():
    from bayesridge.priors import LogNormal

    X, y = load_xy("diabetes")
    wrong = compare_lambda(X, y, prior=LogNormal(1e6, 0.1), rules=standard_rules(), progress=False)
    assert "predicts worse here" in wrong.recommendation
    assert "Use the full posterior" not in wrong.recommendation
    assert "do not all overlap" in wrong.disagreement
    assert "more than two paired standard errors below" in wrong.disagreement


def test_a_fixed_lambda_is_compared_too():
    X, y = load_xy("diabetes")
    fixed = compare_lambda(X, y, prior=FixedLambda(5.0), rules=standard_rules(), progress=False)
    assert not fixed.row("posterior_median").available
    assert "not learned" in fixed.recommendation
    assert fixed.row("posterior").elpd_loo == pytest.approx(
        posterior(X, y, prior=FixedLambda(5.0)).loo.elpd_loo, rel=1e-12
    )


def test_ends_have_numbers():
    """lambda = 0 is least squares and infinity is the mean; leave-one-out of both by refits."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((25, 3))
    y = X[:, 0] + rng.standard_normal(25)
    found = compare_lambda(X, y, rules=[given_lambda(0.0, "ols"), given_lambda(np.inf, "mean")], progress=False)
    errors = {"ols": [], "mean": []}
    for i in range(25):
        keep = np.arange(25) != i
        design = np.column_stack([np.ones(24), X[keep]])
        coef = np.linalg.lstsq(design, y[keep])[0]
        errors["ols"].append(y[i] - np.r_[1.0, X[i]] @ coef)
        errors["mean"].append(y[i] - y[keep].mean())
    for key, values in errors.items():
        assert found.row(key).loo_rmse == pytest.approx(np.sqrt(np.mean(np.square(values))), rel=1e-10)
    assert found.row("ols").effective_dof == 3.0
    assert found.row("mean").effective_dof == 0.0
    assert found.row("mean").beta_norm == 0.0


def test_weights_and_unpenalised_columns():
    """Frequency weights give the table of the repeated rows."""
    rng = np.random.default_rng(2)
    X, w = rng.standard_normal((20, 4)), rng.integers(1, 4, 20)
    y = X[:, 0] + rng.standard_normal(20)
    rules = [make_rule("reml"), make_rule("loo"), make_rule("gcv")]
    one = compare_lambda(X, y, weights=w, unpenalized=[3], rules=rules, progress=False)
    two = compare_lambda(np.repeat(X, w, axis=0), np.repeat(y, w), unpenalized=[3], rules=rules, progress=False)
    for a, b in zip(one.rows, two.rows, strict=True):
        if a.key != "posterior":
            assert np.log(a.lam) == pytest.approx(np.log(b.lam), abs=1e-8)
        for field in ("effective_dof", "sigma", "loo_rmse", "elpd_loo", "elpd_se", "elpd_diff_se"):
            assert getattr(a, field) == pytest.approx(getattr(b, field), rel=1e-7, abs=1e-9)


def test_without_leave_one_out_the_rest_is_there():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((12, 2))
    y = X[:, 0] + rng.standard_normal(12)
    with pytest.warns(WeightsWarning, match="not whole"):
        found = compare_lambda(X, y, weights=np.full(12, 1.5), rules=standard_rules(), progress=False)
    assert np.isnan(found.row("reml").elpd_loo)
    assert np.isfinite(found.row("reml").lam)
    assert not found.row("loo").available
    assert "whole numbers" in found.row("posterior").note
    assert "cannot be compared" in found.disagreement


def test_bootstrap_gives_the_others_intervals():
    X, y = load_xy("diabetes")
    rules = [make_rule("reml"), make_rule("gcv")]
    problem = LambdaProblem(posterior(X, y))
    one = compare_lambda(problem.posterior, rules=rules, bootstrap=20, random_state=3, level=0.8, progress=False)
    two = compare_lambda(problem.posterior, rules=rules, bootstrap=20, random_state=3, level=0.8, progress=False)
    assert "row bootstraps" in one.row("gcv").interval.kind
    assert one.row("gcv").interval == two.row("gcv").interval
    assert "Wald" in one.row("reml").interval.kind  # it has its own
    with pytest.raises(DataError, match="number of resamples"):
        compare_lambda(problem.posterior, rules=rules, bootstrap=-1)


def test_what_is_resampled_and_what_it_says():
    """More rows than columns: rows; else residuals; or what was asked for. Notes reach table, record and text."""
    rng = np.random.default_rng(11)
    X = rng.standard_normal((30, 40))
    y = X[:, 0] + rng.standard_normal(30)
    rules = [make_rule("gcv"), make_rule("loo"), make_rule("reml")]
    tall, wide = LambdaProblem(posterior(X[:, :5], y)), LambdaProblem(posterior(X, y))
    for problem, kind, asked in ((tall, "rows", None), (wide, "residuals", None), (tall, "residuals", "residuals")):
        found = compare_lambda(problem.posterior, rules=rules, bootstrap=40, bootstrap_kind=asked, progress=False)
        direct = bootstrap_choices(problem, rules[:2], 40, kind=kind, random_state=0, progress=False)
        assert found.bootstrap.kind == kind
        np.testing.assert_array_equal(found.bootstrap.draws, direct.draws)
        assert f"40 resamples of {kind} (" in found.disagreement
        assert ("as asked" in found.disagreement) == (asked is not None)
        assert found.to_record()["bootstrap"]["kind"] == kind
        for rule in rules[:2]:
            note = direct.notes[rule.key]
            assert note in found.table.loc[rule.label, "note"]
            assert found.to_record()["bootstrap"]["notes"][rule.key] == note
        if problem is wide:
            assert any("of the resamples" in note for note in direct.notes.values())
            assert "They reach lambda = 0 or infinity for" in found.disagreement
    assert compare_lambda(tall.posterior, rules=rules, progress=False).bootstrap is None
    assert compare_lambda(tall.posterior, rules=rules, progress=False).to_record()["bootstrap"] is None


def test_twins_are_drawn_together():
    rng = np.random.default_rng(12)
    X = np.tile(rng.standard_normal((20, 3)), (2, 1))
    y = np.tile(rng.standard_normal(20), 2) + np.tile(X[:20, 0], 2)
    problem = LambdaProblem(posterior(X, y))
    found = compare_lambda(problem.posterior, rules=[make_rule("gcv")], bootstrap=10, progress=False)
    groups = np.tile(np.arange(20), 2)
    direct = bootstrap_choices(
        problem, [make_rule("gcv")], 10, kind="rows", groups=groups, random_state=0, progress=False
    )
    np.testing.assert_array_equal(found.bootstrap.draws, direct.draws)
    assert "row group bootstraps" in found.row("gcv").interval.kind
    assert "near-duplicates drawn together" in found.disagreement


def test_refusals():
    X, y = load_xy("diabetes")
    problem = LambdaProblem(posterior(X, y))
    with pytest.raises(DataError, match="gcv"):
        compare_lambda(problem.posterior, rules=[make_rule("gcv"), make_rule("gcv")])
    with pytest.raises(DataError, match="posterior"):
        compare_lambda(problem.posterior, rules=[given_lambda(1.0, key="posterior")])
    with pytest.raises(DataError, match="no rule"):
        compare_lambda(problem.posterior, rules=[])
    with pytest.raises(DataError, match="level"):
        compare_lambda(problem.posterior, level=95)
    with pytest.raises(DataError, match="there are posterior_median"):
        pick_rules(["bla"])
    assert [rule.key for rule in pick_rules(["gcv", "cv5", "gcv"])] == ["gcv", "cv5"]


def test_record(found):
    record = json.loads(json.dumps(found.to_record()))
    rules = {rule["key"]: rule for rule in record["rules"]}
    assert rules["reml"]["lambda"] == found.row("reml").lam
    assert rules["posterior"]["lambda"] is None
    assert rules["reml"]["interval"]["level"] == 0.95
    assert rules["gcv"]["other_optima"][0]["place"] in ("zero", "interior", "infinity")
    assert record["recommendation"] == found.recommendation


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_printed(found, width):
    stream = io.StringIO()
    print_comparison(found, screen=Screen(Console(file=stream, width=width, highlight=False), width))
    lines = stream.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    table = [line for line in lines if any(line.strip().startswith(row.label[:12]) for row in found.rows)]
    if width >= 80:  # one line a rule
        assert len(table) >= len(found.rows)
        assert any("REML" in line and f"{found.row('reml').lam:.4g}" in line for line in table)
    assert ("regret" in stream.getvalue()) == (width >= 91)
    assert "Use here" in stream.getvalue()
    assert "nan" not in stream.getvalue()


def test_rules_without_an_answer_are_printed():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((15, 30))
    found = compare_lambda(X, X[:, :5].sum(axis=1) + rng.standard_normal(15), rules=standard_rules(), progress=False)
    stream = io.StringIO()
    print_comparison(
        found, screen=Screen(Console(file=stream, width=120, highlight=False), 120), warnings=["careful"], saved=["x"]
    )
    text = stream.getvalue()
    assert "no answer: Hoerl-Kennard-Baldwin: needs the least-squares fit" in text
    assert "-> 0" in text
    assert "careful" in text
    assert "wrote x" in text


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app():
    made = typer.Typer(pretty_exceptions_enable=False)
    made.command()(choose)
    return made


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("choose") / "diabetes.csv"
    load("diabetes").to_csv(path, index=False)
    return str(path)


def test_command(app, csv, tmp_path):
    done = CliRunner().invoke(app, [csv, "--target", "progression", "--rules", "reml,gcv", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.stderr
    assert "evidence (REML)" in done.stdout
    table = pd.read_csv(tmp_path / "comparison.csv", index_col="rule")
    assert list(table["key"]) == ["posterior", "reml", "gcv"]
    record = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    X, y = load_xy("diabetes")
    want = compare_lambda(X, y, rules=[make_rule("reml"), make_rule("gcv")], progress=False)
    assert record["rules"][1]["lambda"] == pytest.approx(want.row("reml").lam, rel=1e-12)
    assert table.loc["GCV", "lambda"] == pytest.approx(want.row("gcv").lam, rel=1e-12)
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_intervals_are_shown_on_a_terminal_of_80_columns(app, csv):
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, [csv, "--target", "progression"])
    low, high = posterior(*load_xy("diabetes")).lambda_.interval(0.95)
    line = next(line for line in done.stdout.splitlines() if line.strip().startswith("full posterior"))
    assert f"{low:.4g} to {high:.4g} p" in line
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_command_json(app, csv):
    arguments = ["--target", "progression", "--json", "--rules", "gcv", "--bootstrap", "5", "--seed", "2"]
    done = CliRunner().invoke(app, [csv, *arguments])
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["seed"] == 2
    assert "5 row bootstraps" in record["rules"][1]["interval"]["kind"]
    done = CliRunner().invoke(app, [csv, *arguments, "--bootstrap-kind", "residuals"])
    assert "5 residual bootstraps" in json.loads(done.stdout)["rules"][1]["interval"]["kind"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--target", "nothing"],
        [],
        ["--target", "progression", "--rules", "bla"],
        ["--target", "progression", "--level", "2"],
    ],
)
def test_command_errors_are_one_line(app, csv, arguments):
    done = CliRunner().invoke(app, [csv, *arguments])
    assert done.exit_code == 1
    assert done.stderr.startswith("bayesridge: ")
    assert done.stderr.count("\n") == 1


def test_a_posterior_has_its_data_in_it():
    X, y = load_xy("longley")
    post = posterior(X, y)
    one, two = compare_lambda(post, progress=False), compare_lambda(X, y, progress=False)
    pd.testing.assert_frame_equal(one.table.drop(columns="seconds"), two.table.drop(columns="seconds"))
    assert one.problem.posterior.design is post.design
    with pytest.raises(DataError, match="drop y, prior"):
        compare_lambda(post, y, prior=HalfCauchy(1.0))
    with pytest.raises(DataError, match="drop missing"):
        backtest(post, missing="drop")


def test_rules_refuse_a_posterior_of_another_engine():
    """They move one lambda along one spectrum."""
    X, y = load_xy("longley")
    post = replace(
        posterior(X, y), engine=SimpleNamespace(spectrum=None, theta_names=("log lambda[a]", "log lambda[b]"))
    )
    for compare in (compare_lambda, backtest):
        with pytest.raises(DataError, match=r"ridge with one lambda, and the model has log lambda\[a\]"):
            compare(post, progress=False)
