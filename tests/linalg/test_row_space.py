"""With more columns than rows, coefficient moments come from the rows without V: the same numbers as from V."""

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.hyper.infer import infer_hyper
from bayesridge.linalg.maps import RowSpaceCoefficients, coefficient_map
from bayesridge.linalg.spectrum import factorize
from bayesridge.priors import BetaR2, Jeffreys


def problem(n, p, factors, weights=None):
    rng = np.random.default_rng(n + p)
    X = rng.standard_normal((n, p)) * factors(p)
    y = X @ (rng.standard_normal(p) / np.sqrt(p)) + rng.standard_normal(n)
    return build_design(X, y, scale=False, weights=weights, weight_kind="precision")


def moments(design, spectrum, nodes):
    engine = SpectralEngine(design, spectrum)
    return engine.at(nodes.theta).moments(engine.coefficients(), nodes.weight, nodes.noise.mean_variance())


@pytest.mark.parametrize(
    ("n", "p", "factors"),
    [
        (12, 40, np.ones),
        (30, 31, np.ones),
        (30, 300, np.ones),
        # a few columns so large that the rows fix their coefficients: nearly all of the prior variance cancels there
        (12, 40, lambda p: np.where(np.arange(p) < 2, 500.0, 1.0)),
        (5, 6, lambda p: np.linspace(1.0, 20.0, p)),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_row_space_moments_equal_those_of_the_accurate_route(n, p, factors, weighted):
    weights = np.random.default_rng(1).uniform(0.5, 2.0, n) if weighted else None
    design = problem(n, p, factors, weights)
    dual, exact = factorize(design, "dual"), factorize(design, "svd")
    nodes = infer_hyper(SpectralEngine(design, exact), BetaR2(), Jeffreys()).nodes
    linear = coefficient_map(design, dual)
    assert isinstance(linear, RowSpaceCoefficients)
    assert "V" not in vars(dual)  # nothing has asked for it
    made = moments(design, dual, nodes)
    true = moments(design, exact, nodes)
    assert "V" not in vars(dual)
    # the dual carries eps * condition^2 (condition below 1000 here) in its small directions
    scale = np.abs(true.mean).max()
    np.testing.assert_allclose(made.mean, true.mean, rtol=1e-10, atol=1e-11 * scale)
    # 1 - sum V^2 has an absolute error of a few eps, whichever way it is come by
    np.testing.assert_allclose(made.variance, true.variance, rtol=1e-10, atol=1e-15 * true.variance.max())


def test_large_columns_are_the_cancelling_ones():
    design = problem(12, 40, lambda p: np.where(np.arange(p) < 2, 500.0, 1.0))
    spectrum = factorize(design, "dual")
    nodes = infer_hyper(SpectralEngine(design, spectrum), BetaR2(), Jeffreys()).nodes
    variance = moments(design, spectrum, nodes).variance
    assert (variance[:2] < 1e-4 * variance.max()).all()
