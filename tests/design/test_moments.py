"""Moments merge: any split and order of the rows gives what exact arithmetic gives of all of them."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from bayesridge.design.moments import cross_products
from bayesridge.errors import DataError

EPS = np.finfo(float).eps


def table(n=60, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)) * [1.0, 5.0, 0.2] + offset, rng.standard_normal(n) - offset


def exact(X, y, w):
    """Means and centred cross-products in rational numbers."""
    rows = [[Fraction(float(v)) for v in (*x, t)] for x, t in zip(X, y, strict=True)]
    weights = [Fraction(float(v)) for v in w]
    total = sum(weights)
    mean = [sum(v * row[j] for v, row in zip(weights, rows, strict=True)) / total for j in range(4)]
    apart = [[a - b for a, b in zip(row, mean, strict=True)] for row in rows]
    cross = [[sum(v * d[j] * d[k] for v, d in zip(weights, apart, strict=True)) for k in range(4)] for j in range(4)]
    return mean, np.array(cross, dtype=float)


def merged(X, y, w, edges, order):
    parts = [cross_products(X[a:b], y[a:b], None if w is None else w[a:b], center=True) for a, b in pairwise(edges)]
    found = parts[order[0]]
    for k in order[1:]:
        found = found + parts[k]
    return found


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e10, 1.7e9], ids=lambda value: f"{value:g}")
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("edges", [[0, 30, 60], [0, 2, 3, 40, 60], list(range(61))], ids=["halves", "uneven", "rows"])
def test_merged_moments_are_the_exact_ones(offset, weighted, edges):
    X, y = table(offset=offset)
    w = np.linspace(0.5, 2.0, len(y)) if weighted else None
    mean, cross = exact(X, y, np.ones(len(y)) if w is None else w)
    order = np.random.default_rng(1).permutation(len(edges) - 1)
    size = np.sqrt(np.multiply.outer(cross.diagonal(), cross.diagonal()))
    one, many = cross_products(X, y, w, center=True), merged(X, y, w, edges, order)
    for found in (one, many):
        # sums of 60 products: 60 roundings at most
        np.testing.assert_array_less(np.abs(found.cross - cross), 60 * EPS * size)
        # the mean, in two doubles, to the rounding of the spread and not of the offset
        parts = zip(found.mean, found.rest, mean, strict=True)
        off = [float(Fraction(float(a)) + Fraction(float(b)) - m) for a, b, m in parts]
        np.testing.assert_array_less(np.abs(off), 60 * EPS * np.sqrt(cross.diagonal()))


def test_one_double_would_not_do():
    X, y = table(offset=1e10)
    half = [cross_products(X[rows], y[rows], None, center=True) for rows in (slice(0, 7), slice(7, 60))]
    apart = half[1].mean - half[0].mean
    lost = half[0].cross + half[1].cross + 7 * 53 / 60 * np.multiply.outer(apart, apart)
    _, cross = exact(X, y, np.ones(60))
    size = np.sqrt(np.multiply.outer(cross.diagonal(), cross.diagonal()))
    assert (np.abs(lost - cross) / size).max() > 1e4 * 60 * EPS


def test_without_a_centre_products_add_up():
    X, y = table(offset=2.0)
    whole = cross_products(X, y, None, center=False)
    both = cross_products(X[:20], y[:20], None, center=False) + cross_products(X[20:], y[20:], None, center=False)
    np.testing.assert_allclose(both.cross, whole.cross, rtol=60 * EPS)
    assert not both.mean.any()
    assert both.total_weight == 60.0


def test_rows_of_weight_zero_add_nothing_and_other_columns_are_refused():
    X, y = table()
    one = cross_products(X, y, None, center=True)
    with np.errstate(invalid="ignore"):
        nothing = cross_products(X, y, np.zeros(60), center=True)
    assert one + nothing is one
    assert nothing + one is one
    with pytest.raises(DataError, match="of 3 and 2"):
        one + cross_products(X[:, :2], y, None, center=True)
