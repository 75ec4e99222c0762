"""Cross-validation against scikit-learn's pipelines, closed forms, plain refits and the definitions."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student_t
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    RepeatedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesridge import FixedLambda, posterior
from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.errors import DataError
from bayesridge.linalg.rows import loo_residuals
from bayesridge.linalg.spectrum import factorize
from bayesridge.rules.cross_validation import CrossValidatedLoss, CrossValidation
from bayesridge.rules.folds import split_fit, subset_design
from bayesridge.rules.problem import LambdaProblem

GRID = np.array([1e-3, 0.5, 7.0, 60.0, 4e3])


def _data(n: int, p: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.exp(rng.uniform(-1, 1, p)) + 3.0
    return X, X @ (0.5 * rng.standard_normal(p) / X.std(axis=0)) + rng.standard_normal(n)


def _sklearn_losses(X, y, splitter, groups=None):
    return np.array([
        -cross_val_score(
            make_pipeline(StandardScaler(), Ridge(lam, solver="svd")), X, y, cv=splitter, groups=groups,
            scoring="neg_mean_squared_error",
        )
        for lam in GRID
    ])  # fmt: skip


SPLITTERS = {
    "k-fold": KFold(5, shuffle=True, random_state=3),
    "repeated": RepeatedKFold(n_splits=4, n_repeats=3, random_state=1),
    "grouped": GroupKFold(4),
    "leave a group out": LeaveOneGroupOut(),
    "time": TimeSeriesSplit(5),
}


@pytest.mark.parametrize("shape", [(60, 5), (40, 70)], ids=["tall", "wide"])
@pytest.mark.parametrize("name", SPLITTERS)
def test_losses_are_those_of_a_pipeline_that_scales_in_every_fold(name, shape):
    X, y = _data(*shape)
    groups = np.arange(len(y)) % 7 if "group" in name else None
    rule = CrossValidation(SPLITTERS[name], groups=groups)
    losses = rule.losses_of(build_design(X, y))
    want = _sklearn_losses(X, y, SPLITTERS[name], groups)
    # both are SVD-accurate; at lambda 1e-3 the wide folds have a condition number of about 1e5
    np.testing.assert_allclose(losses.by_fold(GRID), want, rtol=1e-10)


def test_an_integer_means_shuffled_folds_of_that_seed():
    X, y = _data(50, 4)
    ours = CrossValidation(5, random_state=11).losses_of(build_design(X, y)).by_fold(GRID)
    theirs = _sklearn_losses(X, y, KFold(5, shuffle=True, random_state=11))
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_the_mean_counts_every_row_the_same():
    X, y = _data(41, 4)
    groups = np.repeat([0, 1, 2, 3], [5, 20, 6, 10])
    rule = CrossValidation(LeaveOneGroupOut(), groups=groups)
    losses = rule.losses_of(build_design(X, y))
    total = np.zeros(len(GRID))
    for train, test in LeaveOneGroupOut().split(X, y, groups):
        for k, lam in enumerate(GRID):
            model = make_pipeline(StandardScaler(), Ridge(lam)).fit(X[train], y[train])
            total[k] += ((y[test] - model.predict(X[test])) ** 2).sum()
    np.testing.assert_allclose(losses.mean(GRID), total / len(y), rtol=1e-10)


@pytest.mark.parametrize("shape", [(15, 4), (12, 20)], ids=["tall", "wide"])
def test_n_folds_with_fixed_scales_are_closed_form_leave_one_out(shape):
    X, y = _data(*shape)
    design = build_design(X, y, scale=False)
    loss = CrossValidation(LeaveOneOut()).losses_of(design).mean(GRID)
    want = np.square(loo_residuals(design, factorize(design), GRID)).mean(axis=-1)
    np.testing.assert_allclose(loss, want, rtol=1e-10)


@pytest.mark.parametrize("loss", ["squared", "log"])
@pytest.mark.parametrize("shape", [(50, 5), (30, 45)], ids=["tall", "wide"])
def test_the_choice_is_the_global_minimum_and_no_grid_point(loss, shape):
    problem = LambdaProblem(posterior(*_data(*shape)))
    rule = CrossValidation(5, loss=loss)
    choice, losses = rule.choose(problem), rule.losses(problem)
    t = np.linspace(-12, 14, 5201)
    values = losses.mean(np.exp(t))
    assert choice.best.score <= values.min() * (1 + 1e-12)
    assert abs(np.log(choice.lam) - t[values.argmin()]) <= 0.005 + 1e-9  # the spacing of this grid
    h = 1e-4
    left, right = losses.mean(choice.lam * np.exp([-h, h]))
    assert min(left, right) > choice.best.score


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"fit_intercept": False}, {"unpenalized": [1]}])
@pytest.mark.parametrize("loss", ["squared", "log"])
@pytest.mark.parametrize("shape", [(30, 5), (20, 33)], ids=["tall", "wide"])
def test_slopes_are_derivatives(loss, shape, options):
    losses = CrossValidation(4, loss=loss).losses_of(build_design(*_data(*shape), **options))
    t, h = np.linspace(-4, 7, 9), 1e-4
    value, slope = losses.fold_curves(t)
    np.testing.assert_allclose(value, losses.by_fold(np.exp(t)), rtol=1e-13)
    numeric = (losses.by_fold(np.exp(t + h)) - losses.by_fold(np.exp(t - h))) / (2 * h)
    # a central difference is right to h^2 and to eps / h
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-7 * np.abs(value).max())


@pytest.mark.parametrize("options", [{}, {"unpenalized": [0]}, {"fit_intercept": False}])
@pytest.mark.parametrize("shape", [(25, 4), (12, 20)], ids=["tall", "wide"])
def test_log_score_is_the_predictive_density_of_a_fit_with_that_lambda(shape, options):
    X, y = _data(*shape)
    train, test = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    fold = split_fit(build_design(X, y, **options), train, test)
    for lam in (0.3, 20.0):
        other = posterior(X[train], y[train], prior=FixedLambda(lam), **options).predict(X[test])
        np.testing.assert_allclose(fold.log_scores(lam), other.log_density(y[test]), rtol=1e-11)
        np.testing.assert_allclose(fold.predictions(lam), other.mean, rtol=1e-11)


def test_limits_of_the_log_score():
    X, y = _data(12, 20)
    fold = split_fit(build_design(X, y), np.arange(8), np.arange(8, 12))
    # X fits every training row: sigma goes to zero with lambda, the prior's variance stays
    np.testing.assert_allclose(fold.log_scores(0.0), fold.log_scores(1e-11), rtol=1e-8)
    at_infinity = student_t.logpdf(
        y[8:], 7, y[:8].mean(), np.sqrt(((y[:8] - y[:8].mean()) ** 2).sum() / 7 * (1 + 1 / 8))
    )
    np.testing.assert_allclose(fold.log_scores(np.inf), at_infinity, rtol=1e-12)


def test_one_standard_error_is_the_largest_lambda_within_it():
    X, y = load_xy("diabetes")
    X, y = X.to_numpy(), y.to_numpy()
    problem = LambdaProblem(posterior(X, y))
    rule = CrossValidation(KFold(10, shuffle=True, random_state=5), one_standard_error=True)
    choice = rule.choose(problem)
    t = np.linspace(-5, 9, 1401)

    def losses(lam):
        model = make_pipeline(StandardScaler(), Ridge(lam, solver="cholesky"))
        return -cross_val_score(model, X, y, cv=rule.folds, scoring="neg_mean_squared_error")

    table = np.array([losses(lam) for lam in np.exp(t[::50])])
    sizes = np.array([len(test) for _, test in rule.folds.split(X)])
    mean = table @ sizes / len(y)
    k = mean.argmin()
    at = losses(rule.losses(problem).minimize().best.lam)
    best = at @ sizes / len(y)
    se = np.sqrt(((at - best) ** 2 @ sizes / len(y)) / 9)
    # folds of 44 and 45 rows: nearly the plain standard deviation over the root of ten
    assert se == pytest.approx(at.std(ddof=1) / np.sqrt(10), rel=0.01)
    assert float(losses(choice.lam) @ sizes / len(y)) == pytest.approx(best + se, rel=1e-9)
    beyond = np.exp(t[::50]) > choice.lam
    assert (mean[beyond] > best + se).all()
    assert choice.lam > np.exp(t[::50])[k]
    assert any(other.score == pytest.approx(best) for other in choice.others)


def test_one_standard_error_goes_to_infinity_without_signal():
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = LambdaProblem(posterior(X, y))
    choice = CrossValidation(5, one_standard_error=True).choose(problem)
    assert choice.lam == np.inf
    assert choice.best.place == "infinity"
    assert choice.best.score == pytest.approx(float(CrossValidation(5).losses(problem).mean(np.inf)))


def test_repeats_do_not_make_the_standard_error_smaller():
    design = build_design(*_data(60, 4))
    many = CrossValidation(5, repeats=12).losses_of(design)
    each = [many.one_repeat(r).standard_error(3.0) for r in range(12)]
    assert float(many.standard_error(3.0)) == pytest.approx(np.sqrt(np.mean(np.square(each))), rel=1e-12)
    assert float(many.mean(3.0)) == pytest.approx(np.mean([many.one_repeat(r).mean(3.0) for r in range(12)]), rel=1e-12)


def test_the_interval_is_the_scatter_over_repeats():
    problem = LambdaProblem(posterior(*_data(60, 6, seed=2)))
    rule = CrossValidation(5, repeats=40)
    choice = rule.choose(problem)
    splits = rule.losses(problem)
    alone = []
    for r in range(40):
        part = slice(5 * r, 5 * r + 5)
        one = CrossValidatedLoss(splits.folds[part], 1, "squared", splits.weight[part])
        t = np.linspace(-9, 12, 2101)
        alone.append(np.exp(t[one.mean(np.exp(t)).argmin()]))
    low, high = np.sort(alone)[0], np.sort(alone)[-1]  # 2.5% of 40 is one: the ends are the extremes
    assert choice.interval is not None
    assert choice.interval.lower == pytest.approx(low, rel=0.011) or choice.interval.lower == 0
    assert choice.interval.upper == pytest.approx(high, rel=0.011) or choice.interval.upper == np.inf
    assert "40 repeated splits" in choice.interval.kind
    few = CrossValidation(5, repeats=3).choose(problem)
    assert few.interval is None
    assert "3 repeats" in few.note


def test_frequency_weights_are_repeated_rows_kept_together():
    X, y = _data(24, 4)
    w = np.random.default_rng(1).integers(0, 4, 24).astype(float)
    rows = np.repeat(np.arange(24), w.astype(int))
    groups = np.arange(24) % 6
    for loss in ("squared", "log"):
        short = CrossValidation(LeaveOneGroupOut(), groups=groups, loss=loss)
        long = CrossValidation(LeaveOneGroupOut(), groups=groups[rows], loss=loss)
        a = short.losses_of(build_design(X, y, weights=w, weight_kind="frequency"))
        b = long.losses_of(build_design(X[rows], y[rows]))
        np.testing.assert_allclose(a.by_fold(GRID), b.by_fold(GRID), rtol=1e-11)
        np.testing.assert_allclose(a.mean(GRID), b.mean(GRID), rtol=1e-11)


def test_precision_weights_weigh_training_and_test_rows():
    X, y = _data(30, 4)
    w = np.random.default_rng(2).gamma(2.0, 1.0, 30)
    splitter = KFold(3)
    design = build_design(X, y, weights=w, weight_kind="precision")
    got = CrossValidation(splitter).losses_of(design).by_fold(GRID)
    for k, (train, test) in enumerate(splitter.split(X)):
        scaler = StandardScaler().fit(X[train], sample_weight=w[train])
        for i, lam in enumerate(GRID):
            model = Ridge(lam, solver="svd").fit(scaler.transform(X[train]), y[train], sample_weight=w[train])
            error = y[test] - model.predict(scaler.transform(X[test]))
            assert got[i, k] == pytest.approx(np.average(error**2, weights=w[test]), rel=1e-10)


def test_unpenalised_columns_and_no_intercept():
    X, y = _data(40, 4)
    splitter = KFold(4)
    design = build_design(X, y, unpenalized=[2], fit_intercept=False, scale=np.array([1.0, 2.0, 1.0, 0.5]))
    got = CrossValidation(splitter).losses_of(design).by_fold(GRID)
    divisor, penalty = np.array([1.0, 2.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.0, 1.0])
    for k, (train, test) in enumerate(splitter.split(X)):
        Z = X[train] / divisor
        for i, lam in enumerate(GRID):
            beta = np.linalg.solve(Z.T @ Z + lam * np.diag(penalty), Z.T @ y[train])
            error = y[test] - X[test] / divisor @ beta
            assert got[i, k] == pytest.approx(np.mean(error**2), rel=1e-10)


def test_a_column_constant_in_a_fold_is_left_out_and_said_without_a_warning():
    X, y = _data(30, 3)
    X[:, 1] = 0.0
    X[4, 1] = 1.0  # constant in the one fold that leaves row 4 out
    rule = CrossValidation(KFold(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        choice = rule.choose(LambdaProblem(posterior(X, y)))
    assert "x1" in choice.note
    got = rule.losses_of(build_design(X, y)).by_fold(GRID)
    np.testing.assert_allclose(got, _sklearn_losses(X, y, KFold(5)), rtol=1e-10)


def test_an_unpenalised_column_constant_in_a_fold_is_an_error_that_names_the_fold():
    X, y = _data(30, 3)
    X[:, 1] = 0.0
    X[4, 1] = 1.0
    with pytest.raises(DataError, match=r"training fold 1 .*x1"):
        CrossValidation(KFold(5)).losses_of(build_design(X, y, unpenalized=[1]))


def test_groups_of_a_table_from_which_rows_were_dropped():
    X, y = _data(30, 3)
    bad = X.copy()
    bad[[3, 17], 0] = np.nan
    groups = np.arange(30) // 5
    keep = np.isfinite(bad[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dropped = LambdaProblem(posterior(bad, y, missing="drop"))
    a = CrossValidation(3, groups=groups).choose(dropped)
    b = CrossValidation(3, groups=groups[keep]).choose(LambdaProblem(posterior(X[keep], y[keep])))
    assert a.lam == b.lam


def test_the_formula_counts_as_the_columns_it_makes():
    frame, y = load_xy("diabetes")
    post = posterior(frame.assign(progression=y), formula="progression ~ bmi * bp + C(sex)", unpenalized=["C(sex)"])
    plain = posterior(post.design.X, y.to_numpy(), unpenalized=[int(j) for j in post.design.unpenalized])
    one, two = (CrossValidation(5).choose(LambdaProblem(each)) for each in (post, plain))
    assert one.lam == pytest.approx(two.lam, rel=1e-9)


def test_bad_settings_are_refused():
    for options in ({"folds": 1}, {"folds": 5, "repeats": 0}, {"folds": "five"}, {"loss": "absolute"},
                    {"folds": KFold(3), "repeats": 2}):  # fmt: skip
        with pytest.raises(DataError):
            CrossValidation(**options)
    design = build_design(*_data(20, 2))
    with pytest.raises(DataError, match="cannot split"):
        CrossValidation(30).losses_of(design)
    with pytest.raises(DataError, match="groups must hold"):
        CrossValidation(3, groups=np.arange(5)).losses_of(design)


def test_keys_tell_settings_apart():
    rules = [
        CrossValidation(), CrossValidation(10), CrossValidation(5, repeats=3), CrossValidation(5, loss="log"),
        CrossValidation(5, one_standard_error=True), CrossValidation(5, groups=np.zeros(3)),
        CrossValidation(TimeSeriesSplit()), CrossValidation(name="mine"),
    ]  # fmt: skip
    assert len({rule.key for rule in rules}) == len({rule.label for rule in rules}) + 1 == len(rules)


def test_more_folds_than_rows_or_groups_are_refused():
    X, y = _data(8, 2)
    problem = LambdaProblem(posterior(X, y))
    with pytest.raises(DataError, match="n_splits=9"):
        CrossValidation(9).choose(problem)
    with pytest.raises(DataError, match="n_splits=3"):
        CrossValidation(3, groups=np.arange(8) % 2).choose(problem)


@pytest.mark.parametrize(
    ("options", "scaling"),
    [({}, "unit sd"), ({"scale": False}, "none"), ({"scale": "given"}, "given"),
     ({"unpenalized": [0]}, "unit sd"), ({"fit_intercept": False}, "unit sd")],
)  # fmt: skip
@pytest.mark.parametrize("n", [20, 4], ids=["tall", "wide"])
def test_a_subset_keeps_the_rule_for_the_scales(n, options, scaling):
    X, y = _data(n, 5)
    X = X[:, :3] if n > 5 else X
    names = list("abcde"[: X.shape[1]])
    if scaling == "given":
        options = {"scale": np.linspace(1, 3, len(names))}
    design = build_design(X, y, names=names, **options)
    assert design.scaling == scaling
    rows = np.arange(n - 1) if n == 4 else np.arange(0, n, 2)
    part = subset_design(design, rows)
    direct = build_design(X[rows], y[rows], names=names, **options)
    np.testing.assert_array_equal(part.scale, direct.scale)
    assert part.scaling == scaling
    assert part.names == design.names
    np.testing.assert_array_equal(part.unpenalized, design.unpenalized)


def test_divisors_that_equal_the_standard_deviations_are_still_given():
    """Given divisors stay when rows are left out, whatever they are equal to; a copy by pickle knows it too."""
    X, y = _data(30, 3)
    own = build_design(X, y)
    given = build_design(X, y, scale=own.scale)
    np.testing.assert_array_equal(given.scale, own.scale)
    rows = np.arange(0, 30, 2)
    for design in (given, pickle.loads(pickle.dumps(given)), replace(given, y=2.0 * y)):
        np.testing.assert_array_equal(subset_design(design, rows).scale, own.scale)
    assert not np.allclose(subset_design(own, rows).scale, own.scale, rtol=1e-3)
    assert "scaling='given'" in repr(given)
