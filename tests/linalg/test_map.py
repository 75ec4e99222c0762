"""The numerical maximum of the log posterior is the ridge solution; both against the dense one."""

import dataclasses

import numpy as np
import pytest

from bayesridge.linalg.optimizer import log_posterior, map_estimate, newton_gap
from tests.truth.problems import ROUTES, problems


@pytest.mark.parametrize(("sigma", "tau"), [(0.8, 0.5), (3.0, 0.1), (0.2, 2.0)])
@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_map_is_ridge(name, route, sigma, tau):
    problem = problems()[name]
    found = map_estimate(*problem.spectrum(route), sigma, tau)
    mean, _ = problem.dense().conditional((sigma / tau) ** 2)
    size = np.abs(mean[1:]).max()
    assert found.lam == pytest.approx((sigma / tau) ** 2, rel=1e-15)
    # 1e-10: the optimiser stops at a gradient 1e-12 of the first one
    assert found.difference < 1e-10
    assert np.abs(found.map_coef - mean[1:]).max() < 1e-9 * size
    assert np.abs(found.ridge_coef - mean[1:]).max() < 1e-9 * size
    assert found.map_intercept == pytest.approx(mean[0], rel=1e-9, abs=1e-9)
    assert found.ridge_intercept == pytest.approx(mean[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_newtons_step_from_ridge_is_rounding_and_from_elsewhere_the_way_back(name, route):
    design, spectrum = problems()[name].spectrum(route)
    assert newton_gap(design, spectrum, 0.8, 0.5) < 1e-11
    # coefficients 1% too large: the objective is quadratic, so the step is the whole way back
    wrong = dataclasses.replace(spectrum, z=1.01 * spectrum.z)
    if spectrum.flat is None:
        assert newton_gap(design, wrong, 0.8, 0.5) == pytest.approx(0.01 / 1.01, rel=1e-6)


@pytest.mark.parametrize("name", ["tall", "wide", "precision weights", "unpenalised columns"])
def test_stated_log_posterior_is_that_of_the_rows(name):
    """Differences of the objective are differences of sum w (y - eta)^2 / 2 sigma^2 + |beta|^2 / 2 tau^2."""
    problem = problems()[name]
    design, _ = problem.spectrum("svd")
    target = log_posterior(design, 0.8, 0.5)
    rng = np.random.default_rng(0)
    theta = rng.standard_normal(target.rows.shape[1])
    step = 1e-6 * rng.standard_normal(len(theta))
    slope = (target.value(theta + step) - target.value(theta - step)) / 2.0
    assert slope == pytest.approx(target.gradient(theta) @ step, rel=1e-5)
    assert target.hessian(theta) @ step == pytest.approx(target.hessian_product(theta, step), rel=1e-12)
    u = int(design.fit_intercept)
    gamma, beta = theta[u : u + len(design.unpenalized)], theta[u + len(design.unpenalized) :]
    coef = np.zeros(problem.X.shape[1])
    coef[design.unpenalized], coef[design.penalized] = gamma, beta
    coef *= target.unit / design.scale
    eta = design.y_mean + target.unit * theta[0] + (problem.X - design.mean) @ coef
    w = problem.options.get("weights", np.ones(len(problem.y)))
    expected = w @ (problem.y - eta) ** 2 / (2 * 0.64) + np.square(target.unit * beta).sum() / (2 * 0.25)
    assert target.value(theta) == pytest.approx(expected, rel=1e-11)
