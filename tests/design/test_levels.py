"""Level effects as codes: the same columns, laid out or not."""

from functools import cache

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.design.levels import LevelRows, Levels
from bayesridge.engines.groups import group_engine
from bayesridge.errors import DataError

LABELS = ("north", "south", "west")


@cache
def rows(n=40):
    rng = np.random.default_rng(0)
    X, codes = rng.standard_normal((n, 2)), rng.integers(0, 3, n)
    codes[5] = -1
    return LevelRows(X, (Levels("shop", codes, LABELS), Levels("day", codes, LABELS, X[:, [1, 0]] + 2.0, ("", "t"))))


def test_a_source_of_codes_is_the_table_laid_out():
    source, rng = rows(), np.random.default_rng(1)
    dense = source.take(slice(None))
    assert dense.shape == source.shape == (40, 11)
    assert source.names == (
        "shop[north]", "shop[south]", "shop[west]", "day[north]", "day[north]:t", "day[south]", "day[south]:t",
        "day[west]", "day[west]:t",
    )  # fmt: skip
    assert not dense[5, 2:].any()
    np.testing.assert_array_equal(dense[:, 2].nonzero()[0], np.flatnonzero(source.levels[0].codes == 0))
    np.testing.assert_array_equal(source.take(np.array([3, 7])), dense[[3, 7]])
    np.testing.assert_array_equal(source.pick(slice(4, 9)).take(slice(None)), dense[4:9])
    right, left = rng.standard_normal((11, 2)), rng.standard_normal((3, 40))
    np.testing.assert_allclose(source.times(right), dense @ right, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(source.cross(left), left @ dense, rtol=1e-12, atol=1e-14)
    assert list(source.blocks())[-1].stop == 40


def test_level_effects_are_not_scaled_and_their_signal_is_one():
    """So that R^2 of the group is the intraclass correlation, whatever the number of levels."""
    rng = np.random.default_rng(2)
    X, codes = 5.0 * rng.standard_normal((40, 2)), rng.integers(0, 3, 40)
    source = LevelRows(X, (Levels("shop", codes, LABELS), Levels("shop:x", codes, LABELS, X[:, :1] + 2.0)))
    y = X[:, 0] + np.array([0.0, 1.0, 3.0])[codes] + rng.standard_normal(40)
    names = ("a", "b", *source.names)
    design = build_design(source, y, names=names, unscaled=source.names)
    np.testing.assert_array_equal(design.scale[2:], 1.0)
    np.testing.assert_allclose(design.scale[:2], X.std(axis=0))
    engine = group_engine(design, {"size": ["a", "b"]}, {})
    assert engine.names == ("size", "shop", "shop:x")
    np.testing.assert_allclose(engine.signals, [2.0, 1.0, np.square(X[:, 0] + 2.0).mean()])
    with pytest.raises(DataError, match="call one of them otherwise"):
        group_engine(design, {"shop": ["a", "b"]}, {})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("g", np.array([0, 3]), LABELS), "between -1 and 2"),
        (("g", np.array([0, -2]), LABELS), "between -1 and 2"),
        (("g", np.array([0, 1]), LABELS, np.ones((3, 1))), r"where \(2, 1\) was expected"),
    ],
)
def test_codes_and_columns_that_do_not_fit(arguments, says):
    with pytest.raises(DataError, match=says):
        Levels(*arguments)
