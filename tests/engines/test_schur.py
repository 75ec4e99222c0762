"""Level effects by elimination against the same columns laid out."""

from functools import cache

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.design.levels import LevelRows, Levels
from bayesridge.engines.few_nodes import through_few
from bayesridge.engines.groups import GroupEngine, group_engine
from bayesridge.engines.schur import LevelEngine
from bayesridge.errors import AccuracyWarning, ConstantTargetWarning, DataError, RowsAbsentError

THETA = np.array([[1.0, 0.5, -0.3], [-3.0, 2.0, 1.0], [4.0, 4.0, 6.0]])


@cache
def problem(weighted=None, slopes=False):
    rng = np.random.default_rng(0)
    n = 60
    X = rng.standard_normal((n, 4)) * [1.0, 3.0, 1.0, 2.0] + 5.0
    shop, day = rng.integers(0, 8, n), rng.integers(0, 5, n)
    blocks = (
        Levels("day", day, tuple("abcde")),
        Levels("shop", shop, tuple("pqrstuvw"), X[:, [3]] if slopes else None),
    )
    y = X @ [1.0, 0.0, -0.5, 0.2] + rng.standard_normal(8)[shop] + rng.standard_normal(5)[day] + rng.standard_normal(n)
    weights = None
    if weighted is not None:
        weights = rng.integers(1, 4, n).astype(float) if weighted == "frequency" else rng.uniform(0.5, 2.0, n)
    return X, y, blocks, weights


@cache
def engines(weighted=None, slopes=False, intercept=True):
    X, y, blocks, weights = problem(weighted, slopes)
    source = LevelRows(X, blocks)
    names = (*"abcd", *source.names)
    about = {
        "names": names, "weights": weights, "weight_kind": weighted or "frequency", "unpenalized": ["a"],
        "fit_intercept": intercept,
    }  # fmt: skip
    found = group_engine(build_design(source, y, **about), {"size": ["b", "c", "d"]}, {})
    dense = build_design(source.take(slice(None)), y, unscaled=source.names, **about)
    groups = {"size": ["b", "c", "d"], "day": blocks[0].names, "shop": blocks[1].names}
    plain = group_engine(dense, groups, {}, dict(zip(found.names, found.signals, strict=True)))
    assert isinstance(found, LevelEngine)
    assert isinstance(plain, GroupEngine)
    return found, plain


CASES = [(None, False, True), ("frequency", False, True), ("precision", True, True), (None, True, False)]


@pytest.mark.parametrize("case", CASES)
def test_evidence_and_coefficients_are_those_of_the_columns_laid_out(case):
    found, plain = engines(*case)
    assert found.theta_names == plain.theta_names
    log_norm, Q = found.evidence(THETA)
    log_norm_0, excess = plain.evidence(THETA)
    np.testing.assert_allclose(Q, plain.floor + excess, rtol=1e-11)
    np.testing.assert_allclose(found.constant + log_norm, plain.constant + log_norm_0, rtol=1e-11, atol=1e-9)
    given, given_0 = found.at(THETA), plain.at(THETA)
    X, rng = problem(*case[:2])[0], np.random.default_rng(1)
    new = LevelRows(X[:6], tuple(block.take(slice(6)) for block in problem(*case[:2])[2])).take(slice(None))
    A = rng.standard_normal((3, found.design.n_columns))
    for one, other in (
        (found.coefficients(), plain.coefficients()), (found.intercept(), plain.intercept()),
        (found.rows(new), plain.rows(new)), (found.contrasts(A), plain.contrasts(A)),
    ):  # fmt: skip
        np.testing.assert_allclose(given.mean(one), given_0.mean(other), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(given.variance(one), given_0.variance(other), rtol=1e-9, atol=1e-12)
    weight, noise = np.array([0.2, 0.5, 0.3]), np.array([1.0, 2.0, 0.5])
    np.testing.assert_allclose(
        found.covariance(THETA, weight, noise), plain.covariance(THETA, weight, noise), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("case", CASES)
def test_rows_deleted_are_those_of_the_columns_laid_out(case):
    found, plain = engines(*case)
    some = slice(3, 40)
    deleted, other = found.deletion().at(THETA, some), plain.deletion().at(THETA, some)
    np.testing.assert_allclose(deleted.residual, other.residual, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(deleted.keep, other.keep, rtol=1e-10)
    np.testing.assert_allclose(deleted.Q, other.Q, rtol=1e-10)
    np.testing.assert_array_equal(found.deletion().count, plain.deletion().count)
    np.testing.assert_array_equal(found.deletion().precision, plain.deletion().precision)
    assert not len(found.deletion().alone)
    rest = found.without(7)
    np.testing.assert_allclose(found.deletion().at(THETA, slice(7, 8)).Q[0], rest.evidence(THETA)[1], rtol=1e-10)
    assert rest.signals == found.signals


def test_draws_have_the_conditional_moments():
    found, _ = engines()
    theta = np.repeat(THETA[:1], 4000, axis=0)
    drawn = found.at(theta).draw(np.full(4000, 0.7), np.random.default_rng(3))
    given = found.at(THETA[:1])
    linear = found.coefficients()
    mean, sd = given.mean(linear)[:, 0], 0.7 * np.sqrt(given.variance(linear)[:, 0])
    assert np.abs((drawn.coef.mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(4000)
    np.testing.assert_allclose(drawn.coef.std(axis=0), sd, rtol=4.5 / np.sqrt(8000))
    at_zero = given.mean(found.intercept())[0, 0], 0.7 * np.sqrt(given.variance(found.intercept())[0, 0])
    assert abs(drawn.intercept.mean() - at_zero[0]) < 4.5 * at_zero[1] / np.sqrt(4000)


def test_large_problems_take_the_sparse_way_to_the_same_numbers(monkeypatch):
    X, y, blocks, weights = problem("precision", slopes=True)
    blocks = (*blocks, Levels("pair", blocks[1].codes, blocks[1].labels, X[:, :2], ("", "a")))  # with the largest
    source = LevelRows(X, blocks)
    about = {"names": (*"abcd", *source.names), "weights": weights, "weight_kind": "precision", "unpenalized": ["a"]}
    groups = {"size": ["b", "c", "d"]}
    dense = group_engine(build_design(source, y, **about), groups, {})
    monkeypatch.setattr("bayesridge.engines.level_sums._DENSE", 0)
    found = group_engine(build_design(source, y, **about), groups, {})
    theta = np.column_stack([THETA, THETA[:, ::-1]])
    assert isinstance(dense.sums.cross, np.ndarray)
    assert not isinstance(found.sums.cross, np.ndarray)
    assert found.theta_names[-1] == "atanh rho[pair]"
    for one, other in zip(found.evidence(theta), dense.evidence(theta), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-9)
    linear = found.coefficients()
    np.testing.assert_allclose(found.at(theta).mean(linear), dense.at(theta).mean(linear), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found.at(theta).variance(linear), dense.at(theta).variance(linear), rtol=1e-8)
    for name in ("residual", "keep", "Q"):
        one, other = (getattr(engine.deletion().at(theta, slice(60)), name) for engine in (found, dense))
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)
    drawn = [engine.at(theta).draw(np.ones(3), np.random.default_rng(1)).coef for engine in (found, dense)]
    np.testing.assert_allclose(*drawn, rtol=1e-7, atol=1e-8)


def test_correlated_effects_against_the_marginal_gaussian_of_y():
    """V = I + sum over levels of Z_i Sigma Z_i', Sigma with the sds and the correlation of theta."""
    X, y, blocks, _ = problem()
    Z = np.column_stack([np.ones(60), X[:, 3]])
    source = LevelRows(X[:, :1], (Levels("shop", blocks[1].codes, blocks[1].labels, Z, ("", "d")),))
    found = group_engine(build_design(source, y, names=("a", *source.names), unpenalized=["a"]), {}, {})
    assert found.theta_names == ("log lambda[shop]", "log lambda[shop:d]", "atanh rho[shop]")
    np.testing.assert_allclose(found.signals, [1.0, np.square(X[:, 3]).mean()])
    F = np.column_stack([np.ones(60), X[:, 0]])
    for theta in THETA:
        sd, rho = np.exp(-0.5 * theta[:2]), np.tanh(theta[2])
        Sigma = np.outer(sd, sd) * np.array([[1.0, rho], [rho, 1.0]])
        same = np.equal.outer(blocks[1].codes, blocks[1].codes)
        V = np.eye(60) + (Z @ Sigma @ Z.T) * same
        inverse = np.linalg.inv(V)
        flat = F.T @ inverse @ F
        rest = y - F @ np.linalg.solve(flat, F.T @ inverse @ y)
        log_norm, Q = found.evidence(theta[None])
        assert Q[0] == pytest.approx(rest @ inverse @ rest, rel=1e-10)
        expected = -0.5 * (np.linalg.slogdet(V)[1] + np.linalg.slogdet(flat)[1] + 58 * np.log(2 * np.pi))
        assert found.constant + log_norm[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rows", [True, False])
def test_a_state_makes_the_engine_again(rows):
    found, _ = engines("frequency")
    again = LevelEngine.from_state(*found.state(rows=rows))
    for one, other in zip(again.evidence(THETA), found.evidence(THETA), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    new = np.random.default_rng(0).standard_normal((3, found.design.n_columns))
    given, given_0 = again.at(THETA), found.at(THETA)
    np.testing.assert_allclose(given.mean(again.rows(new)), given_0.mean(found.rows(new)), rtol=1e-12)
    if rows:
        np.testing.assert_allclose(again.deletion().at(THETA, slice(5)).Q, found.deletion().at(THETA, slice(5)).Q)
    else:
        with pytest.raises(RowsAbsentError):
            again.deletion().at(THETA, slice(5))


def test_three_correlated_effects_are_refused():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(5)
    three = Levels("g", np.zeros(5, dtype=int), ("a",), rng.standard_normal((5, 3)), ("", "u", "v"))
    with pytest.raises(DataError, match="two are what there is"):
        group_engine(build_design(LevelRows(np.empty((5, 0)), (three,)), y, names=three.names), {}, {})


def test_a_level_that_no_row_has_keeps_its_prior():
    X, y, blocks, _ = problem()
    block = Levels("shop", blocks[1].codes, (*blocks[1].labels, "new"))
    source = LevelRows(X[:, :1], (block,))
    found = group_engine(build_design(source, y, names=("a", *source.names), unpenalized=["a"]), {}, {})
    given, linear = found.at(np.array([[0.7]])), found.coefficients()
    assert given.mean(linear)[-1, 0] == 0.0
    assert given.variance(linear)[-1, 0] == pytest.approx(np.exp(-0.7), rel=1e-12)


def test_a_constant_target_is_said():
    X, y, blocks, _ = problem()
    source = LevelRows(X[:, :1], blocks[:1])
    with pytest.warns(ConstantTargetWarning):
        found = group_engine(build_design(source, 0.0 * y + 3.0, names=("a", *source.names), unpenalized=["a"]), {}, {})
    assert found.evidence(np.zeros((1, 1)))[1][0] > 0
    assert not found.at(np.zeros((1, 1))).mean(found.coefficients()).any()


def one_heavy_row(power):
    rng = np.random.default_rng(3)
    n, levels = 120, 20
    x, g = rng.standard_normal((n, 1)) + 3.0, rng.integers(0, levels, n)
    y = x[:, 0] + rng.standard_normal(levels)[g] + 0.5 * rng.standard_normal(n)
    source = LevelRows(x, (Levels("g", g, tuple(map(str, range(levels)))),))
    weights = np.ones(n)
    weights[7] = 10.0**power
    about = {"names": ("x", *source.names), "weights": weights, "weight_kind": "precision", "unpenalized": ["x"]}
    return source, y, about


def test_weights_that_sums_cannot_carry_are_warned_of_and_refused():
    # at a ratio of 1e14 coefficients were 50 sds off without a word
    source, y, about = one_heavy_row(12)
    with pytest.raises(DataError, match=r"row 7 weighs 1e\+12 times as much"):
        group_engine(build_design(source, y, **about), {}, {})
    source, y, about = one_heavy_row(10)
    with pytest.warns(AccuracyWarning, match="right to some 2e-06 posterior sds"):
        found = group_engine(build_design(source, y, **about), {}, {})
    dense = build_design(source.take(slice(None)), y, unscaled=source.names, **about)
    groups = {"g": source.names}
    plain = group_engine(dense, groups, {}, dict(zip(found.names, found.signals, strict=True)))
    theta = np.array([[-1.0], [1.0]])
    a, b = found.at(theta), plain.at(theta)
    sd = np.sqrt(b.variance(plain.coefficients()))
    off = (a.mean(found.coefficients()) - b.mean(plain.coefficients())) / sd
    assert np.abs(off[: len(sd)]).max() < 2e-6  # what is announced


def test_entries_that_are_looked_up_are_those_of_the_products(monkeypatch):
    found, _ = engines("precision", slopes=True)
    linear, rows = found.coefficients(), found.rows(found.design.source)
    expected = [found.at(THETA).variance(one) for one in (linear, rows)]
    monkeypatch.setattr("bayesridge.engines.level_conditional._LITTLE", 0)
    for one, wanted in zip((linear, rows), expected, strict=True):
        np.testing.assert_allclose(found.at(THETA.copy()).variance(one), wanted, rtol=1e-10)


def test_variances_through_few_thetas_are_those_at_all_or_are_computed_there():
    """A cubic through the ten best of 81 thetas of sd 0.1, and a wide grid, which it cannot follow."""
    found, _ = engines()
    steps = np.stack(np.meshgrid(np.arange(-4.0, 5.0), np.arange(-4.0, 5.0)), -1).reshape(-1, 2)
    asked = []

    def variances(theta):
        asked.append(len(theta))
        return found.at(np.column_stack([np.ones(len(theta)), theta])).variance(found.coefficients()).T

    narrow = through_few(0.1 * steps, variances)
    assert asked == [13]
    np.testing.assert_allclose(narrow, variances(0.1 * steps), rtol=1e-4)
    wide = 1.5 * steps
    np.testing.assert_array_equal(through_few(wide, variances), variances(wide))


@pytest.mark.parametrize("sparse", [False, True])
def test_the_excess_has_its_digits_however_large_lambda_is(monkeypatch, sparse):
    """Against generalised least squares with V = I + ZZ'/lambda, which at lambda = infinity are ordinary ones."""
    if sparse:
        monkeypatch.setattr("bayesridge.engines.level_sums._DENSE", 0)
    X, y, blocks, _ = problem()
    source = LevelRows(X[:, :1], blocks)
    design = build_design(source, y, names=("a", *source.names), unpenalized=["a"])
    engine = group_engine(design, {}, {})
    assert isinstance(engine, LevelEngine)
    F = np.column_stack([np.ones(60), X[:, 0]])
    for theta in ([40.0, 45.0], [100.0, 60.0], [400.0, 300.0], [40.0, 0.5], [-1.0, 80.0]):
        V = np.eye(60)
        for one, log_lam in zip(blocks, theta, strict=True):
            V += np.exp(-log_lam) * (one.codes[:, None] == one.codes)
        L = np.linalg.cholesky(V)
        least = np.linalg.lstsq(np.linalg.solve(L, F), np.linalg.solve(L, y))[1][0]
        assert engine.excess(np.array([theta]))[0] == pytest.approx(least, rel=1e-10)
