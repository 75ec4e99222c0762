"""Level effects by elimination against the same columns laid out."""

from functools import cache

import numpy as np
import pytest

from bayesridge.linalg.design import build_design
from bayesridge.linalg.groups import GroupEngine, group_engine
from bayesridge.linalg.levels import LevelRows, Levels
from bayesridge.linalg.schur import LevelEngine

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
