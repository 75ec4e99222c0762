"""Where rules fail they are shown failing: no noise, no signal, twin rows, p > n, one dominant column."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest

from bayesridge.choosing.comparison import compare_lambda
from bayesridge.choosing.rule import LambdaProblem
from bayesridge.choosing.standard import standard_rules
from bayesridge.errors import BayesRidgeWarning, NoSignalWarning, PerfectFitWarning
from bayesridge.fitting import fit
from bayesridge.ridge import standardized_coefficients


@contextmanager
def quiet():
    """Some of these samples warn and some do not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        yield


def compare(X, y, **options):
    return compare_lambda(X, y, rules=standard_rules(), progress=False, **options)


def test_noise_free_target():
    """Nothing to choose: every rule that answers fits the table to rounding, and the text says why."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 6))
    with pytest.warns(PerfectFitWarning):
        found = compare(X, X @ rng.standard_normal(6) + 3.0)
    lam = np.array([choice.lam for choice in found.choices.values()])
    # the discrepancy principle lets the residual be as large as the noise, sqrt(rounding) being the lambda for that
    assert lam.max() < 1e-10
    assert "its own rounding" in found.recommendation
    assert found.row("hkb").lam < 1e-20


def test_pure_noise():
    """Lambda should be infinite. In about half of all samples every rule but BIC finds something all the same."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((50, 10))
    keys = {"reml", "gcv", "loo", "loo_log", "aic", "bic"}
    rules = [rule for rule in standard_rules() if rule.key in keys]
    infinite = dict.fromkeys(keys, 0)
    for _ in range(60):
        with quiet():
            problem = LambdaProblem(fit(X, rng.standard_normal(50)))
        for rule in rules:
            infinite[rule.key] += rule.choose(problem).best.place == "infinity"
    # of 60 samples; the standard error of a count is at most 4
    assert infinite["bic"] > 50
    assert all(15 < infinite[key] < 45 for key in keys - {"bic"})


def test_no_signal_is_said():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 4))
    y = rng.standard_normal(40)
    y -= 0.95 * X @ np.linalg.lstsq(X, y)[0]
    with pytest.warns(NoSignalWarning):
        found = compare(X, y)
    assert found.row("reml").place == "infinity"
    assert found.table.loc["evidence (REML)", "lambda"] == np.inf
    assert "no signal" in found.recommendation


def test_twin_rows_undersmooth():
    """Every row twice: one copy left out is predicted by the other, and leave-one-out asks for no penalty at all."""
    rng = np.random.default_rng(4)
    n, p = 30, 20
    X = rng.standard_normal((n, p))
    y = X[:, :3].sum(axis=1) + 2.0 * rng.standard_normal(n)
    once, twice = compare(X, y), compare(np.vstack([X, X]), np.r_[y, y])
    for key in ("loo", "loo_log", "gcv", "cp", "aic"):
        assert twice.row(key).effective_dof > once.row(key).effective_dof + 1.0
    assert "near-duplicate" in twice.recommendation
    assert "near-duplicate" not in once.recommendation
    # against the truth: the error of the coefficients is larger with the twins' lambda
    truth = np.r_[np.ones(3), np.zeros(p - 3)] * X.std(axis=0)
    spectrum = once.problem.spectrum

    def error(lam):
        return np.linalg.norm(standardized_coefficients(spectrum, lam) - truth)

    # lambda of a table with each row twice is twice that of the table for the same fit
    assert error(0.5 * twice.row("loo").lam) > error(once.row("loo").lam)


def test_more_columns_than_rows():
    """Least squares does not exist: its rules say so, AIC and BIC fall without end, the others answer."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((25, 60))
    y = X[:, :4].sum(axis=1) + rng.standard_normal(25)
    found = compare(X, y)
    for key in ("hkb", "lw", "cp", "discrepancy"):
        assert not found.row(key).available
        assert "unpenalised fit" in found.row(key).note or "least-squares" in found.row(key).note
    for key in ("aic", "bic", "ml"):
        row = found.row(key)
        assert row.place == "zero"
        assert "without end" in row.note
        assert row.sigma == 0.0  # the plug-in noise has collapsed
        assert np.isfinite(row.loo_rmse)
        assert np.isfinite(row.elpd_loo)
    for key in ("reml", "loo", "gcv", "aicc"):
        assert found.row(key).place == "interior"
    assert "fit every row exactly" in found.recommendation


def test_one_dominant_column():
    """One column carries nearly all: HKB, which looks at |beta| alone, hardly penalises the many that are noise."""
    rng = np.random.default_rng(6)
    X = rng.standard_normal((60, 30))
    y = 20.0 * X[:, 0] + rng.standard_normal(60)
    found = compare(X, y)
    assert found.row("hkb").effective_dof > 29.5
    assert found.row("reml").effective_dof > 29.5
    # the noise columns are not shrunk: no single lambda can keep one and drop the rest, and none of the rules says so
    assert found.row("loo").regret == pytest.approx(0.0, abs=1e-12)
    assert found.row("bic").effective_dof > 20.0


def test_no_columns_to_choose_for():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((20, 2))
    y = X.sum(axis=1) + rng.standard_normal(20)
    with quiet():
        found = compare(X, y, unpenalized=[0, 1])
    assert {found.row(key).lam for key in ("gcv", "aic", "reml", "loo")} == {np.inf}
    assert "does not depend on lambda" in found.row("gcv").note
