"""Near-duplicate rows: found where they are, not found where they are not, and what they do to leave-one-out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from bayesridge import posterior
from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.errors import DataError
from bayesridge.rules.catalogue import make_rule
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.duplicates import find_near_duplicates
from bayesridge.rules.problem import LambdaProblem
from bayesridge.rules.row_matching import close_pairs


def _find(X, y, tolerance=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant columns
        design = build_design(np.asarray(X, float), np.asarray(y, float), **options)
    return find_near_duplicates(design, tolerance)


def _same_partition(a, b):
    return np.array_equal(a[:, None] == a, b[:, None] == b)


@pytest.mark.parametrize("name", ["diabetes", "longley"])
def test_real_tables_without_twins(name):
    X, y = load_xy(name)
    found = _find(X.to_numpy(), y.to_numpy())
    assert found.count == found.n_pairs == 0
    np.testing.assert_array_equal(found.groups, np.arange(len(y)))
    assert "No two rows" in found.verdict


@pytest.mark.parametrize("p", [1, 3, 40])
def test_copies_are_found_wherever_they_are(p):
    rng = np.random.default_rng(p)
    X, y = rng.standard_normal((80, p)) * 5 + 100, rng.standard_normal(80)
    origin = np.r_[np.arange(80), 5, 6, 6, 79]
    order = rng.permutation(84)
    found = _find(X[origin][order], y[origin][order])
    assert _same_partition(found.groups, origin[order])
    assert found.count == 7  # 5 twice, 6 three times, 79 twice
    assert found.n_pairs == 1 + 3 + 1
    assert found.share == 7 / 84
    first = np.unique(found.groups, return_index=True)[1]
    np.testing.assert_array_equal(np.sort(first), first)  # numbered by first occurrence
    assert "7 of 84 rows" in found.verdict


def test_copies_with_a_little_noise_and_copies_rounded_otherwise():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    jitter = _find(np.r_[X, X[:9] + 1e-4 * rng.uniform(-1, 1, (9, 4))], np.r_[y, y[:9]])
    assert jitter.count == 18
    # written with two decimals once, cut off and not rounded the other time: one step apart
    other = _find(np.r_[X.round(2), np.floor(100 * X[:9]) / 100], np.r_[y.round(2), y[:9].round(2)])
    assert other.count == 18
    far = _find(np.r_[X, X[:9] + 0.05], np.r_[y, y[:9]])
    assert far.n_pairs == 0


def test_single_precision_copies():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)) * 1e4, rng.standard_normal(60)
    single = X[:9].astype(np.float32).astype(float)
    assert _find(np.r_[X, single], np.r_[y, y[:9].astype(np.float32).astype(float)]).count == 18


def test_twins_need_the_target_and_every_column():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    assert _find(np.r_[X, X], np.r_[y, rng.standard_normal(60)]).count == 0  # replicates with noise of their own
    changed = X.copy()
    changed[:, 2] = rng.standard_normal(60)
    assert _find(np.r_[X, changed], np.r_[y, y]).count == 0


@pytest.mark.parametrize("decimals", [None, 2, 1, 0])
def test_discrete_designs_are_not_twins(decimals):
    rng = np.random.default_rng(1)
    X = rng.integers(0, 2, (1500, 3))
    y = 4 * (X[:, 0] + rng.standard_normal(1500))
    found = _find(X, y if decimals is None else y.round(decimals))
    assert found.count == 0
    assert found.coincidence
    assert "not treated as duplicates" in found.verdict


@pytest.mark.parametrize("p_one", [0.5, 0.9, 0.03])
def test_nor_are_they_with_a_target_of_two_values(p_one):
    rng = np.random.default_rng(2)
    X = rng.integers(0, 3, (800, 2))
    found = _find(X, rng.random(800) < p_one)
    assert found.count == 0


def test_copies_in_a_discrete_design_are_told_from_coincidence():
    rng = np.random.default_rng(3)
    X = rng.integers(0, 2, (600, 3)).astype(float)
    y = rng.standard_normal(600)
    found = _find(np.r_[X, X[:100]], np.r_[y, y[:100]])
    # within the tolerance chance makes many pairs in so small a design; exactly equal ones it does not
    assert found.count == 200
    assert found.n_pairs == 100
    assert found.by_chance < 0.01


def test_pairs_by_chance_are_what_the_density_says():
    rng = np.random.default_rng(3)
    X, y = rng.integers(0, 2, (3000, 3)), rng.standard_normal(3000)
    found = _find(X, y)
    # density of the difference of two standard normals at zero, pairs in the same of 8 cells, width of the tolerance
    expected = 2e-3 * y.std() / np.sqrt(4 * np.pi) * 3000 * 2999 / 2 / 8
    assert found.by_chance == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert found.n_pairs == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert found.coincidence


def test_copies_with_a_target_of_two_values():
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((300, 3)), rng.random(300) < 0.5
    assert _find(np.r_[X, X[:50]], np.r_[y, y[:50]]).count == 100


@pytest.mark.parametrize("tolerance", [0.02, 0.3])
@pytest.mark.parametrize("p", [2, 9])
def test_a_tolerance_of_ones_own_against_all_pairs(p, tolerance):
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((50, p)), rng.standard_normal(50)
    X, y = np.r_[X, X + 0.3 * tolerance * rng.uniform(-1, 1, X.shape)], np.r_[y, y + 0.1 * tolerance]
    table = np.column_stack([X, y])
    near = squareform(pdist(table / table.std(axis=0), "chebyshev")) <= tolerance
    found = _find(X, y, tolerance)
    assert found.n_pairs == (near.sum() - len(y)) // 2
    if found.count:
        assert (near <= (found.groups[:, None] == found.groups)).all()


@pytest.mark.parametrize("seed", range(4))
def test_no_close_pair_is_missed_by_the_cells(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.uniform(-15.0, 15.0, (600, 3)), rng.integers(-12, 12, (200, 3)).astype(float)])
    found = {tuple(sorted(pair)) for pair in close_pairs(values).tolist()}
    near = np.argwhere(np.triu(squareform(pdist(values, "chebyshev")) <= 1.0, 1))  # on the integers exactly one, too
    assert len(near) > 50
    assert {tuple(pair) for pair in near.tolist()} <= found
    assert close_pairs(np.zeros((500, 3))) is None  # all in one cell


def test_a_tolerance_that_makes_everything_a_twin_is_refused():
    rng = np.random.default_rng(6)
    with pytest.raises(DataError, match="too large"):
        _find(rng.standard_normal((9000, 1)), rng.standard_normal(9000), 10.0)
    with pytest.raises(DataError, match="tolerance"):
        _find(rng.standard_normal((9, 1)), rng.standard_normal(9), -1.0)


def test_rows_of_weight_zero_and_constant_columns():
    rng = np.random.default_rng(7)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    X[:, 1] = 4.0
    X[10:], y[10:] = X[:10], y[:10]
    w = np.ones(20)
    w[10:15] = 0.0
    found = _find(X, y, weights=w, weight_kind="precision")
    assert found.count == 10
    assert len(np.unique(found.groups)) == 15


def test_twenty_thousand_rows_take_a_moment():
    rng = np.random.default_rng(8)
    X, y = rng.standard_normal((20000, 100)), rng.standard_normal(20000)
    X[19000:], y[19000:] = X[:1000] + 1e-4, y[:1000]
    found = _find(X, y)  # all pairs would take minutes; half a second was measured
    assert found.count == 2000


def _problem(X, y):
    return LambdaProblem(posterior(X, y))


def test_twins_make_leave_one_out_undersmooth_and_grouped_folds_repair_it():
    # Every row twice: the target of the row left out is known. True lambda 25 for the table written once.
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((40, 15))
        y = X @ rng.standard_normal(15) / 5 + rng.standard_normal(40)
        twice = _problem(np.r_[X, X], np.r_[y, y])
        found = find_near_duplicates(twice.design)
        assert found.count == 80
        # on the doubled table the same fit has twice the lambda: s^2 doubles
        honest = [rule.choose(_problem(X, y)).lam for rule in (make_rule("loo"), make_rule("gcv"))]
        fooled = [rule.choose(twice).lam / 2 for rule in (make_rule("loo"), make_rule("gcv"))]
        grouped = CrossValidation(10, groups=found.groups).choose(twice).lam / 2
        split = CrossValidation(10).choose(twice).lam / 2
        ratios.append(np.log(np.clip([*honest, *fooled, grouped, split], 1e-3, 1e6) / 25))
    honest_loo, honest_gcv, fooled_loo, fooled_gcv, grouped, split = np.median(ratios, axis=0)
    assert abs(honest_loo) < 1 and abs(honest_gcv) < 1 and abs(grouped) < 1  # noqa: PT018
    assert max(fooled_loo, fooled_gcv, split) < min(honest_loo, honest_gcv, grouped) - 1


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_a_survey_is_not_full_of_twins_and_neither_are_its_permutations(seed):
    """statsmodels' `fair`: eight columns of few values, a target that is mostly 0 and otherwise one of 76 numbers."""
    fair = pytest.importorskip("statsmodels.api").datasets.fair.load_pandas().data
    X, y = fair.drop(columns="affairs").to_numpy(), fair["affairs"].to_numpy()
    found = _find(X, y if seed is None else np.random.default_rng(seed).permutation(y))
    assert found.count == 0
    assert found.coincidence
    assert "not treated as duplicates" in found.verdict


@pytest.mark.parametrize("discrete", [0, 2])
@pytest.mark.parametrize("target", ["normal", "zero-inflated"])
def test_rows_repeated_with_jitter_beside_discrete_columns(discrete, target):
    rng = np.random.default_rng(5)
    D = rng.integers(0, 3, (300, discrete)).astype(float)
    C = rng.standard_normal((300, 2))
    y = rng.standard_normal(300)
    y = y if target == "normal" else np.where(y > 0.5, y, 0.0)
    jitter = C[:40] + 1e-4 * rng.uniform(-1, 1, (40, 2))
    found = _find(np.r_[np.c_[D, C], np.c_[D[:40], jitter]], np.r_[y, y[:40]])
    twins = np.r_[np.arange(40), np.arange(300, 340)]
    assert set(twins) <= set(np.flatnonzero(np.bincount(found.groups)[found.groups] > 1))
    assert found.count <= 84  # by chance a row or two more: 300 rows in the plane, within a thousandth of a sd
    assert not found.discrete
    assert "keep one row of each" in found.verdict


def test_no_advice_to_drop_rows_of_a_discrete_design():
    rng = np.random.default_rng(3)
    X, y = rng.integers(0, 2, (600, 3)).astype(float), rng.standard_normal(600)
    found = _find(np.r_[X, X[:100]], np.r_[y, y[:100]])
    assert found.count == 200
    assert found.discrete
    assert "keep one row" not in found.verdict


def test_false_alarms_are_rare():
    """Of 1,080 simulated tables 0.6% raised one (see the module); 60 of the same kinds, of which 3 may."""
    alarms = 0
    for seed in range(12):
        rng = np.random.default_rng(1000 + seed)
        D, C = rng.integers(0, 5, (250, 3)).astype(float), rng.standard_normal((250, 3))
        for X in (C, D, np.c_[D, C[:, :1].round(2)])[seed % 3 :][:1]:
            mu, e = X @ rng.standard_normal(X.shape[1]), rng.standard_normal(250)
            odd = rng.choice(rng.gamma(1, 2, 76), 250)
            for y in (mu + e, (mu + e).round(1), rng.poisson(2.0, 250), np.where(e > 0.5, odd, 0.0), mu + e > 0):
                alarms += _find(X, y).count > 0
    # four or more of 60 at a rate of 0.6% have probability 5e-4
    assert alarms <= 3
