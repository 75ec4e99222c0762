"""Cross-validation from cross-products of the folds, against the same folds fitted row by row."""

from dataclasses import replace

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.linalg.fold_moments import FoldMoments
from bayesridge.rules import cross_validation
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.folds import HeldOut

LAM = np.array([0.0, 1e-3, 1.0, 30.0, 2e3, 1e9, np.inf])


def _data(n=900, p=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.exp(rng.uniform(-2, 2, p)) + 20.0 * rng.standard_normal(p)
    X[:, 1] += 3.0 * X[:, 0]  # condition number some tens
    y = X @ (rng.standard_normal(p) / X.std(axis=0)) + 2.0 * rng.standard_normal(n) - 7.0
    return X, y


def _by_rows(rule, design, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(cross_validation, "moments_serve", lambda *_: False)
        return rule.losses_of(design)


OPTIONS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "not scaled": {"scale": False},
    "given divisors": {"scale": np.linspace(0.5, 3.0, 12)},
    "frequencies": {"weights": "counts"},
    "precisions": {"weights": "precisions", "weight_kind": "precision"},
}


@pytest.mark.parametrize("name", list(OPTIONS))
@pytest.mark.parametrize(
    "rule", [CrossValidation(5), CrossValidation(10, repeats=2), CrossValidation(5, groups=np.arange(900) // 10)]
)
def test_every_loss_equals_that_of_the_rows(name, rule, monkeypatch):
    X, y = _data()
    rng = np.random.default_rng(3)
    options = dict(OPTIONS[name])
    if "weights" in options:
        made = {"counts": rng.integers(0, 4, len(y)).astype(float), "precisions": rng.gamma(2.0, 1.0, len(y))}
        options["weights"] = made[options["weights"]]
    design = build_design(X, y, **options)
    fast, slow = rule.losses_of(design), _by_rows(rule, design, monkeypatch)
    assert all(isinstance(fold, FoldMoments) for fold in fast.folds)
    assert all(isinstance(fold, HeldOut) for fold in slow.folds)
    np.testing.assert_allclose(fast.weight, slow.weight, rtol=1e-14)
    # squared condition number 1e3 to 1e4, and a loss that is a tenth of the squares it is the difference of
    np.testing.assert_allclose(fast.by_fold(LAM), slow.by_fold(LAM), rtol=1e-10)
    t = np.linspace(-6.0, 15.0, 40)
    for one, other in zip(fast.fold_curves(t), slow.fold_curves(t), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11 * np.abs(other).max())
    best, rows_best = fast.minimize().best, slow.minimize().best
    assert best.lam == pytest.approx(rows_best.lam, rel=1e-8)
    assert best.place == rows_best.place
    assert fast.standard_error(best.lam) == pytest.approx(slow.standard_error(best.lam), rel=1e-10)


def _one_fold_has_it_all(X, y):
    X = X.copy()
    X[:, 3] = 0.0
    X[np.flatnonzero(np.random.default_rng(0).random(len(X)) < 0.002)[:1], 3] = 1.0  # one row is not zero
    return X, y


def _nearly_dependent(X, y):
    return np.column_stack([X, X[:, 0] + 1e-5 * X[:, 1]]), y


def _hardly_any_noise(X, y):
    return X, X @ np.ones(X.shape[1]) + 1e-6 * y


@pytest.mark.filterwarnings("ignore::bayesridge.errors.BayesRidgeWarning")
@pytest.mark.parametrize("spoil", [_one_fold_has_it_all, _nearly_dependent, _hardly_any_noise])
def test_rows_are_taken_where_digits_would_go(spoil):
    design = build_design(*spoil(*_data()))
    losses = CrossValidation(5).losses_of(design)
    assert all(isinstance(fold, HeldOut) for fold in losses.folds)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (CrossValidation(5, loss="log"), {}),
        (CrossValidation(5), {"unpenalized": [0]}),
    ],
    ids=["log score", "flat column"],
)
def test_rows_are_taken_where_cross_products_do_not_say(rule, options):
    losses = rule.losses_of(build_design(*_data(), **options))
    assert all(isinstance(fold, HeldOut) for fold in losses.folds)


def test_small_and_wide_tables_keep_to_the_rows():
    for n, p in ((100, 12), (60, 80)):
        losses = CrossValidation(5).losses_of(build_design(*_data(n, p)))
        assert all(isinstance(fold, HeldOut) for fold in losses.folds)


def test_a_log_score_of_cross_products_is_refused():
    losses = CrossValidation(5).losses_of(build_design(*_data()))
    with pytest.raises(TypeError, match="squared error alone"):
        replace(losses, loss="log").by_fold(1.0)
