"""Where rules fail they are shown failing: no noise, no signal, twin rows, p > n, one dominant column."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.errors import BayesRidgeWarning, NoSignalWarning, PerfectFitWarning
from bayesridge.fit import posterior
from bayesridge.linalg.filters import standardized_coefficients
from bayesridge.linalg.spectrum import factorize
from bayesridge.rules.catalogue import standard_rules
from bayesridge.rules.comparison import compare_lambda
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.problem import LambdaProblem


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
            problem = LambdaProblem(posterior(X, rng.standard_normal(50)))
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


def _twins(seed, n=40, p=30, noise=1e-5):
    """Every row twice, the copy with a little noise; and the lambda at which the true risk is smallest.

    Returns
    -------
    X, y, risk : ndarray, ndarray, callable
        ``risk(lam)``: expected squared error of the fitted expectation for new rows, in units of the noise variance.
    """
    rng = np.random.default_rng(seed)
    once = rng.standard_normal((n, p))
    beta = rng.standard_normal(p) / 5.0
    y = once @ beta + rng.standard_normal(n)
    X = np.vstack([once, once + noise * rng.standard_normal((n, p))])
    y = np.r_[y, y + noise * rng.standard_normal(n)]
    design = build_design(X, y)
    spectrum = factorize(design)

    def risk(lam):
        beta_hat = standardized_coefficients(spectrum, lam) / design.scale
        shift = design.y_mean - design.mean @ beta_hat  # the true intercept is 0, the columns have mean 0 and sd 1
        return np.sum((beta_hat - beta) ** 2) + shift**2

    return X, y, risk


def test_grouped_cross_validation_is_added_where_rows_have_twins_and_finds_the_lambda_of_the_truth():
    """Against the lambda of least true risk: rules that split twins choose a fraction of it, and lose by it."""
    fooled = ("loo", "loo_log", "gcv", "cv5", "cv10", "reml")
    keys = (*fooled, "cv5_grouped")
    grid = np.geomspace(1e-2, 1e5, 400)
    off, excess = [], []
    for seed in range(12):
        X, y, risk = _twins(seed)
        with quiet():
            found = compare_lambda(X, y, progress=False)
        risks = np.array([risk(lam) for lam in grid])
        best = int(risks.argmin())
        lam = np.clip([found.row(key).lam for key in keys], grid[0], grid[-1])
        off.append(np.log(lam / grid[best]))
        excess.append([risk(one) / risks[best] - 1.0 for one in lam])
    shift = dict(zip(keys, np.median(off, axis=0), strict=True))
    loss = dict(zip(keys, np.median(excess, axis=0), strict=True))
    # log lambda scatters by 1.2 (grouped) to 2.2 over tables, its median over 12 tables by 0.4 to 0.8
    assert abs(shift["cv5_grouped"]) < 1.0
    for key in fooled:
        assert shift[key] < -1.5
        assert loss[key] > 5.0 * loss["cv5_grouped"]


def test_what_is_said_of_twins():
    X, y, _ = _twins(1)
    with quiet():
        found = compare_lambda(X, y, progress=False)
    row = found.row("cv5_grouped")
    assert found.rows[-1] is row
    assert row.note.startswith("added because 80 of 80 rows have a near-duplicate")
    assert found.grouped == ("cv5_grouped",)
    assert f"Use the lambda of 5-fold grouped cross-validation, which keeps them together: {row.lam:.4g}" in (
        found.recommendation
    )
    assert "Use the full posterior" not in found.recommendation
    assert "One row of each, 40 rows" in found.recommendation
    assert found.to_record()["grouped_rules"] == ["cv5_grouped"]
    # rules that were asked for stay what they are
    own = (*standard_rules(), CrossValidation(5, groups=np.tile(np.arange(20), 4), name="halves"))
    with quiet():
        asked = compare_lambda(X, y, rules=standard_rules(), progress=False)
        mine = compare_lambda(X, y, rules=own, progress=False)
    assert len(asked.rows) == len(standard_rules()) + 1
    assert "No rule compared here keeps them together" in asked.recommendation
    assert mine.grouped == ("halves",)  # twins are forty rows apart, and so in one of these groups
    assert "added" not in mine.row("halves").note
    # without twins nothing of it
    with quiet():
        once = compare_lambda(X[:40], y[:40], progress=False)
    assert "cv5_grouped" not in [row.key for row in once.rows]
    assert once.grouped == ()


def test_a_few_twins_leave_the_posterior_recommended():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((100, 5))
    y = X[:, 0] + rng.standard_normal(100)
    found = compare_lambda(np.r_[X, X[:3]], np.r_[y, y[:3]], progress=False)
    assert "6 of 103 rows" in found.recommendation
    assert "Use the full posterior" in found.recommendation
    assert "Compare the lambda of 5-fold grouped cross-validation" in found.recommendation


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
