"""Draws at the ends of lambda, where the prior leaves nothing or the data decide alone, and what is no seed."""

from functools import partial

import numpy as np
import pytest

import bayesridge as br
from bayesridge.design.design import build_design
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import DataTypeError
from bayesridge.linalg.spectrum import factorize
from bayesridge.parallel.runs import run_many
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


@pytest.mark.parametrize("seed", ["x", -1, 2.5])
def test_seeds_that_are_none_are_refused_by_name(seed):
    rng = np.random.default_rng(0)
    post = br.posterior(rng.standard_normal((20, 3)), rng.standard_normal(20))
    for use in (post.draw, post.to_datatree, partial(br.report, post, "unused.html"), partial(run_many, print, 2)):
        with pytest.raises(DataTypeError, match="random_state"):
            use(random_state=seed)


@pytest.mark.parametrize("wrong", [None, 3, br.BayesRidge()])
def test_what_is_no_posterior_is_refused_by_name(wrong):
    for use in (partial(br.report, path="unused.html"), lambda given: br.compare([given, given])):
        with pytest.raises(DataTypeError, match=f"takes a posterior, got {type(wrong).__name__}"):
            use(wrong)
