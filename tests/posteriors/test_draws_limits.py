"""Draws at the ends of lambda: at infinity the prior leaves nothing, at zero the data decide alone."""

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.draws import draws_given


@pytest.mark.parametrize("columns", [3, 40])
def test_infinite_lambda_gives_zero_coefficients(columns):
    rng = np.random.default_rng(0)
    design = build_design(rng.standard_normal((20, columns)), rng.standard_normal(20))
    lam, sigma = np.full(50, np.inf), np.ones(50)
    draws = draws_given(SpectralEngine(design, factorize(design)), lam, sigma, (1, 50), rng)
    np.testing.assert_array_equal(draws.coef, 0.0)
    np.testing.assert_array_equal(draws.tau, 0.0)


def test_lambda_zero_is_least_squares():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    design = build_design(X, y)
    draws = draws_given(SpectralEngine(design, factorize(design)), np.zeros(5), np.full(5, 1e-12), (1, 5), rng)
    solution = np.linalg.lstsq(np.column_stack([np.ones(20), X]), y, rcond=None)[0]
    # noise of 1e-12 stands in for none: 1e-10 is a hundred times that
    np.testing.assert_allclose(draws.coef[0], np.tile(solution[1:], (5, 1)), atol=1e-10)
