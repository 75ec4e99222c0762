"""Rows that are not one array in memory: the same posterior, and nobody asks for all of them at once."""

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.design.moments import cross_products
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Jeffreys


class Batches:
    """Batches of rows, as of a file: whoever takes the whole table fails."""

    def __init__(self, parts):
        self.parts = parts
        self.edges = np.cumsum([0, *(len(part) for part in parts)])
        self.shape = (int(self.edges[-1]), parts[0].shape[1])

    def take(self, rows):
        index = np.arange(self.shape[0])[rows]
        assert len(index) < self.shape[0], "the whole table was asked for"
        which = np.searchsorted(self.edges, index, side="right") - 1
        return np.array([self.parts[k][i - self.edges[k]] for k, i in zip(which, index, strict=True)])

    def blocks(self):
        return (slice(int(a), int(b)) for a, b in zip(self.edges[:-1], self.edges[1:], strict=True))

    def moments(self, y, weights, *, center):
        parts = [
            cross_products(self.parts[k], y[rows], None if weights is None else weights[rows], center=center)
            for k, rows in enumerate(self.blocks())
        ]
        return sum(parts[1:], parts[0])

    def times(self, right):
        return np.concatenate([part @ right for part in self.parts])

    def cross(self, left):
        return sum(left[..., rows] @ part for part, rows in zip(self.parts, self.blocks(), strict=True))


@pytest.mark.parametrize("weight_kind", [None, "frequency", "precision"])
@pytest.mark.parametrize("n", [60, 20_000])
def test_a_file_in_batches_gives_the_same_posterior(weight_kind, n):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((n, 12)) @ rng.standard_normal((12, 12)) + 1e5
    y = X @ rng.standard_normal(12) / 4 + rng.standard_normal(n)
    weights = None if weight_kind is None else rng.integers(1, 4, n).astype(float)
    options = {"weights": weights, "weight_kind": weight_kind or "frequency"}

    def fit(table):
        design = build_design(table, y, **options)
        return infer(design, factorize(design), BetaR2(), Jeffreys())

    whole, batches = fit(X), fit(Batches(np.array_split(X, [5, 17, n // 2])))
    assert batches.spectrum.route == "gram"
    sd = whole.coefficients.sd
    # condition 100 or so: the Gram's eigenvalues are right to eps times its square
    np.testing.assert_allclose((batches.coefficients.mean - whole.coefficients.mean) / sd, 0.0, atol=1e-9)
    np.testing.assert_allclose(batches.coefficients.sd, sd, rtol=1e-9)
    np.testing.assert_allclose(batches.loo.pointwise, whole.loo.pointwise, atol=1e-9)
    assert batches.draw(5, 1, 0).coef == pytest.approx(whole.draw(5, 1, 0).coef, rel=1e-7)
