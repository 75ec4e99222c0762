"""The nested backtest: scores from actual refits, the corrected standard error by hand, a verdict that stays modest."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, RepeatedKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesridge import FixedLambda, LogNormal, posterior
from bayesridge.datasets import load_xy
from bayesridge.errors import BayesRidgeWarning, DataError
from bayesridge.linalg.optimum import Optimum
from bayesridge.rules.backtest import Backtest, backtest, corrected_standard_error
from bayesridge.rules.catalogue import given_lambda, make_rule
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.problem import Choice, LambdaProblem, NotAvailableError


def _data(n=40, p=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 1.0
    return X, X @ np.linspace(0.2, 1.0, p) + rng.standard_normal(n)


def _run(X, y, rules=None, splitter=None, **options):
    rules = rules or (make_rule("reml"),)
    return backtest(X, y, rules=rules, splitter=splitter or KFold(4), progress=False, **options)


def test_corrected_standard_error_by_hand():
    # Nadeau and Bengio (2003): (1/J + n2/n1) S^2; differences 1, 2, 3, 6 have mean 3 and S^2 = 14/3
    want = np.sqrt((1 / 4 + 0.25) * 14 / 3)
    assert corrected_standard_error(np.array([1.0, 2.0, 3.0, 6.0]), 0.25) == pytest.approx(want, rel=1e-14)
    assert np.isnan(corrected_standard_error(np.array([1.0]), 0.25))
    # more splits of the same rows do not make it vanish
    many = corrected_standard_error(np.tile([1.0, 2.0, 3.0, 6.0], 1000), 0.25)
    assert many == pytest.approx(np.sqrt(0.25 * 3.5), rel=1e-3)


def test_scores_are_those_of_fits_without_the_test_rows():
    X, y = _data()
    splitter = KFold(4, shuffle=True, random_state=2)
    rules = (given_lambda(3.0), make_rule("gcv"), CrossValidation(3))
    found = _run(X, y, rules, splitter)
    for k, (train, test) in enumerate(splitter.split(X)):
        rows = found.splits[found.splits["split"] == k].set_index("rule")
        assert (rows["n_train"] == 30).all() and (rows["n_test"] == 10).all()  # noqa: PT018
        whole = posterior(X[train], y[train]).predict(X[test])
        assert rows.loc["posterior", "rmse"] == pytest.approx(np.sqrt(np.mean((y[test] - whole.mean) ** 2)), rel=1e-10)
        assert rows.loc["posterior", "log_score"] == pytest.approx(whole.log_density(y[test]).mean(), rel=1e-10)
        problem = LambdaProblem(posterior(X[train], y[train]))
        for rule in rules:
            lam = rows.loc[rule.key, "lambda"]
            assert lam == pytest.approx(rule.choose(problem).lam, rel=1e-9)
            model = make_pipeline(StandardScaler(), Ridge(lam)).fit(X[train], y[train])
            rmse = np.sqrt(np.mean((y[test] - model.predict(X[test])) ** 2))
            assert rows.loc[rule.key, "rmse"] == pytest.approx(rmse, rel=1e-9)
            plug_in = posterior(X[train], y[train], prior=FixedLambda(lam)).predict(X[test])
            assert rows.loc[rule.key, "log_score"] == pytest.approx(plug_in.log_density(y[test]).mean(), rel=1e-9)
        line = LinearRegression().fit(X[train], y[train])
        error = y[test] - line.predict(X[test])
        assert rows.loc["least_squares", "rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
        assert rows.loc["mean_only", "rmse"] == pytest.approx(np.sqrt(np.mean((y[test] - y[train].mean()) ** 2)))
        # a new observation of a normal sample: Student-t with n - 1 degrees of freedom
        scale = y[train].std(ddof=1) * np.sqrt(1 + 1 / 30)
        want = student_t.logpdf(y[test], 29, y[train].mean(), scale).mean()
        assert rows.loc["mean_only", "log_score"] == pytest.approx(want, rel=1e-11)


def test_least_squares_log_score_is_the_classical_prediction():
    X, y = _data()
    train, test = np.arange(10, 40), np.arange(10)
    found = _run(X, y, splitter=KFold(4))
    A = np.column_stack([np.ones(30), X[train]])
    new = np.column_stack([np.ones(10), X[test]])
    coef, rss = np.linalg.lstsq(A, y[train])[:2]
    scale = np.sqrt(rss[0] / 24 * (1 + np.einsum("ij,jk,ik->i", new, np.linalg.inv(A.T @ A), new)))
    want = student_t.logpdf(y[test], 24, new @ coef, scale).mean()
    rows = found.splits[found.splits["split"] == 0].set_index("rule")
    assert rows.loc["least_squares", "log_score"] == pytest.approx(want, rel=1e-10)


def test_summary_is_mean_difference_and_corrected_error():
    X, y = _data(60)
    found = _run(X, y, (make_rule("reml"), given_lambda(200.0)), RepeatedKFold(n_splits=5, n_repeats=4, random_state=0))
    assert found.n_splits == 20
    assert found.test_over_train == pytest.approx(12 / 48)
    summary = found.summary()
    assert summary.index[0] == found.best("rmse")
    wide = found.by_split("rmse")
    for key in summary.index:
        d = (wide[key] - wide[found.best("rmse")]).to_numpy()
        assert summary.loc[key, "rmse"] == pytest.approx(wide[key].mean())
        assert summary.loc[key, "rmse_difference"] == pytest.approx(d.mean())
        assert summary.loc[key, "rmse_difference"] >= 0
        assert summary.loc[key, "log_score_difference"] <= 0
        assert summary.loc[key, "rmse_se"] == pytest.approx(np.sqrt((1 / 20 + 0.25) * d.var(ddof=1)))


def test_a_rule_is_given_the_training_rows_alone():
    seen = []

    @dataclass(frozen=True)
    class Spy:
        key: str = "spy"
        label: str = "spy"

        def choose(self, problem):
            seen.append(problem.design)
            return Choice(Optimum(1.0, "interior", 0.0))

    X, y = _data()
    _run(X, y, (Spy(),))
    for design, (train, _) in zip(seen, KFold(4).split(X), strict=True):
        np.testing.assert_array_equal(design.X, X[train])
        np.testing.assert_allclose(design.scale, X[train].std(axis=0), rtol=1e-12)


def test_groups_of_inner_folds_follow_the_outer_training_rows():
    X, y = _data(40)
    groups = np.arange(40) // 4
    rule = CrossValidation(3, groups=groups)
    found = _run(X, y, (rule,), GroupKFold(5), groups=groups)
    chosen = found.by_split("lambda")[rule.key]
    for lam, (train, _) in zip(chosen, GroupKFold(5).split(X, y, groups), strict=True):
        own = CrossValidation(3, groups=groups[train]).choose(LambdaProblem(posterior(X[train], y[train])))
        assert lam == pytest.approx(own.lam, rel=1e-9)


def test_default_splits_keep_groups_together():
    X, y = _data(30)
    groups = np.arange(30) // 3
    found = backtest(X, y, rules=(given_lambda(1.0),), groups=groups, progress=False)
    assert found.n_splits == 50
    assert (found.splits["n_test"] == 6).all()
    assert "10 times GroupKFold" in found.how


def test_time_ordered_splits():
    X, y = _data(40)
    found = _run(X, y, splitter=TimeSeriesSplit(4))
    assert found.splits.groupby("split")["n_train"].first().tolist() == [8, 16, 24, 32]
    assert "TimeSeriesSplit" in found.how


@pytest.mark.slow  # the runner is that of test_sbc
def test_numbers_do_not_depend_on_the_number_of_processes():
    X, y = _data()
    one, two = (_run(X, y, (make_rule("gcv"), CrossValidation(3)), n_jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.splits, two.splits)


def test_data_arguments_reach_the_fits():
    frame, y = load_xy("diabetes")
    w = np.random.default_rng(0).gamma(3.0, 1.0, len(y))
    found = backtest(
        frame.assign(progression=y), formula="progression ~ bmi * bp + C(sex)", weights=w, weight_kind="precision",
        unpenalized=["C(sex)"], prior=LogNormal(2.0, 1.0), rules=(given_lambda(5.0),), splitter=KFold(3),
        progress=False,
    )  # fmt: skip
    train, test = next(iter(KFold(3).split(frame)))
    whole = posterior(frame.assign(progression=y), formula="progression ~ bmi * bp + C(sex)", unpenalized=["C(sex)"])
    columns = whole.design.X
    own = posterior(
        columns[train], y.to_numpy()[train], weights=w[train], weight_kind="precision", prior=LogNormal(2.0, 1.0),
        unpenalized=[int(j) for j in whole.design.unpenalized],
    ).predict(columns[test], w[test])  # fmt: skip
    rows = found.splits[found.splits["split"] == 0].set_index("rule")
    want = np.sqrt(np.average((y.to_numpy()[test] - own.mean) ** 2, weights=w[test]))
    assert rows.loc["posterior", "rmse"] == pytest.approx(want, rel=1e-9)
    assert rows.loc["posterior", "log_score"] == pytest.approx(own.log_density(y.to_numpy()[test]).mean(), rel=1e-9)
    assert "progression" in found.verdict


def test_frequency_weights_are_repeated_rows():
    X, y = _data(30)
    w = np.random.default_rng(1).integers(1, 4, 30).astype(float)
    rows = np.repeat(np.arange(30), w.astype(int))
    groups = np.arange(30) % 5
    short = _run(X, y, (make_rule("gcv"),), LeaveOneGroupOut(), groups=groups, weights=w)
    long = _run(X[rows], y[rows], (make_rule("gcv"),), LeaveOneGroupOut(), groups=groups[rows])
    for column in ("lambda", "rmse", "log_score", "n_test", "n_train"):
        np.testing.assert_allclose(short.splits[column], long.splits[column], rtol=1e-8)


def test_more_columns_than_rows():
    X, y = _data(24, 40)
    found = _run(X, y, (make_rule("reml"), CrossValidation(4)))
    assert np.isfinite(found.splits["rmse"]).all()
    # least squares fits every training row: its log score is that of the limit lambda -> 0, which is finite
    assert np.isfinite(found.splits["log_score"]).all()


def _made(scores: dict[str, list[float]], **options) -> Backtest:
    rows = [
        {"split": k, "rule": key, "lambda": 1.0, "rmse": value, "log_score": -value, "problem": ""}
        | {"n_train": 80.0, "n_test": 20.0}
        for key, values in scores.items()
        for k, value in enumerate(values)
    ]
    n = len(next(iter(scores.values())))
    defaults = {"labels": {key: key.upper() for key in scores}, "test_over_train": 0.25, "asked": n, "how": "by hand"}
    return Backtest(pd.DataFrame(rows), **{**defaults, "target": "y", "seconds": 0.0, **options})


def test_the_verdict_calls_a_difference_only_what_is_one():
    rng = np.random.default_rng(0)
    base = 10 + rng.standard_normal(20)
    scores = {
        "a": base,
        "b": base + 0.01 * rng.standard_normal(20) + 0.001,
        "c": base + 2 + 0.1 * rng.standard_normal(20),
    }
    found = _made({key: list(value) for key, value in scores.items()})
    text = found.verdict
    assert found.best("rmse") in ("a", "b")
    assert "1 cannot be told apart" in text
    assert "measurably worse: C (+2" in text
    assert "approximation" in text
    same = _made({"a": list(base), "b": list(base + 0.01 * rng.standard_normal(20))})
    assert "no other rule can be told apart from" in same.verdict
    assert "worse" not in same.verdict


def test_the_critical_value_holds_for_all_rules_together():
    rng = np.random.default_rng(5)
    found = _made({key: list(rng.standard_normal(6)) for key in "abcde"})
    assert found.critical_value == pytest.approx(student_t.ppf(1 - 0.025 / 4, 5), rel=1e-12)


def test_an_infinite_loss_is_a_difference():
    found = _made({"a": [1.0, 2.0, 3.0], "b": [2.0, np.inf, 3.0]})
    assert "measurably worse: B (+inf" in found.verdict


def test_rules_without_an_answer_are_shown_and_never_best():
    @dataclass(frozen=True)
    class Shy:
        key: str = "shy"
        label: str = "shy rule"

        def choose(self, problem):
            if problem.design.y_mean > 3.0:
                raise NotAvailableError("the mean is too high")
            return Choice(Optimum(2.0, "interior", 0.0))

    X, y = _data()
    means = [y[train].mean() for train, _ in KFold(4).split(X)]
    y = y - np.median(means) + 3.0
    found = _run(X, y, (Shy(), given_lambda(2.0)))
    assert found.summary().loc["shy", "answered"] == 2
    assert found.summary().loc["given", "answered"] == 4
    assert found.best("rmse") != "shy"
    assert "shy rule had no answer on 2 of 4 splits (the mean is too high)" in found.verdict


def test_interrupting_keeps_what_is_done():
    calls = []

    @dataclass(frozen=True)
    class Impatient:
        key: str = "impatient"
        label: str = "impatient"

        def choose(self, problem):  # noqa: ARG002
            calls.append(1)
            if len(calls) > 2:
                raise KeyboardInterrupt
            return Choice(Optimum(2.0, "interior", 0.0))

    X, y = _data()
    with pytest.warns(BayesRidgeWarning, match="interrupted after 2 of 4"):
        found = _run(X, y, (Impatient(),))
    assert found.interrupted
    assert found.n_splits == 2
    assert "4 splits were asked for" in found.verdict


def test_pure_noise_the_mean_is_not_beaten_measurably():
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((60, 8)), rng.standard_normal(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = backtest(X, y, rules=(make_rule("reml"), make_rule("loo")), progress=False)
    summary = found.summary()
    behind = summary.loc["mean_only", "rmse_difference"]
    assert behind <= found.critical_value * summary.loc["mean_only", "rmse_se"]
    assert "mean only (lambda = infinity) (+" not in found.verdict


def test_the_default_contenders_on_diabetes():
    splitter = RepeatedKFold(n_splits=5, n_repeats=3, random_state=0)
    found = backtest(*load_xy("diabetes"), splitter=splitter, progress=False)
    assert {"posterior", "least_squares", "mean_only", "reml", "gcv", "loo", "cv5"} <= set(found.labels)
    assert found.summary().loc["mean_only", "rmse_difference"] > 10
    assert "measurably worse: mean only (lambda = infinity) (+" in found.verdict


def test_bad_arguments():
    X, y = _data()
    with pytest.raises(DataError, match=r"different key.*taken: gcv"):
        _run(X, y, (make_rule("gcv"), make_rule("gcv")))
    with pytest.raises(DataError, match="cannot split"):
        _run(X, y, splitter=KFold(99))
    X[:, 2] = 0.0
    X[3, 2] = 1.0
    with pytest.raises(DataError, match="training set 1"):
        backtest(posterior(X, y, unpenalized=[2]), rules=(make_rule("gcv"),), splitter=KFold(4), progress=False)
