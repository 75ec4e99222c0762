"""Functions of lambda against dense solves; conditioning; the constraint and its inverse."""

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.linalg.filters import (
    conditioning,
    constraint_radius,
    effective_dof,
    filter_factors,
    penalized_rss,
    residual_squares,
    ridge_path,
    standardized_coefficients,
)
from bayesridge.linalg.spectrum import factorize
from tests.truth.problems import ROUTES, problems

LAMBDAS = np.array([0.02, 1.0, 55.0])


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_ridge_path_is_the_dense_solution(name, route):
    problem = problems()[name]
    design, spectrum = problem.spectrum(route)
    dense = problem.dense()
    path = ridge_path(design, spectrum, LAMBDAS)
    Q, total = penalized_rss(spectrum, LAMBDAS), residual_squares(spectrum, LAMBDAS)
    for k, lam in enumerate(LAMBDAS):
        mean, _ = dense.conditional(lam)
        size = np.abs(mean).max()
        assert np.abs(path.coef[k] - mean[1:]).max() < 1e-10 * size
        assert path.intercept[k] == pytest.approx(mean[0], abs=1e-10 * size)
        flat = np.zeros((len(dense.y), 1)) if not dense.Z.size else dense.Z
        rest = dense.y - dense.X @ (mean[1:][dense.pen] * dense.scale)
        rest = rest - flat @ np.linalg.lstsq(np.sqrt(dense.w)[:, None] * flat, np.sqrt(dense.w) * rest)[0]
        squares = dense.w @ rest**2
        penalty = lam * np.square(mean[1:][dense.pen] * dense.scale).sum()
        assert total[k] == pytest.approx(squares, rel=1e-9)
        assert Q[k] == pytest.approx(squares + penalty, rel=1e-10)
        values = dense.pencil[0]
        assert path.effective_dof[k] == pytest.approx((values / (values + lam)).sum(), rel=1e-10)


def spectrum_of(values, n=12, seed=0):
    """Columns with given singular values, unscaled, without intercept."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((n, len(values))))[0]
    V = np.linalg.qr(rng.standard_normal((len(values), len(values))))[0]
    X = (U * np.array(values)) @ V.T
    return factorize(build_design(X, rng.standard_normal(n), fit_intercept=False, scale=False))


def test_conditioning_of_the_worked_example():
    spectrum = spectrum_of([100.0, 1.0, 0.01])
    found = conditioning(spectrum, 1.0)
    # (1e4 + 1) / (1e-4 + 1); the small singular value carries eps * 1e4 relative
    assert found.before == pytest.approx(1e8, rel=1e-8)
    assert found.after == pytest.approx(10001.0 / 1.0001, rel=1e-10)
    assert conditioning(spectrum, 0.0).after == pytest.approx(1e8, rel=1e-8)
    assert conditioning(spectrum, np.inf).after == 1.0
    assert filter_factors(spectrum, 1.0) == pytest.approx([1e4 / 10001, 0.5, 1e-4 / 1.0001], rel=1e-8)
    assert float(effective_dof(spectrum, 1.0)) == pytest.approx(1e4 / 10001 + 0.5 + 1e-4 / 1.0001, rel=1e-10)
    wide = problems()["wide"].spectrum("svd")[1]
    assert conditioning(wide, 0.0).after == np.inf
    assert conditioning(wide, 2.0).after == pytest.approx((wide.s2[0] + 2.0) / 2.0, rel=1e-12)


@pytest.mark.parametrize("name", ["tall", "wide", "tied singular values", "rank 3 of 5"])
def test_constraint_radius(name):
    spectrum = problems()[name].spectrum("svd")[1]
    for lam in (1e-3, 0.4, 20.0, 1e5):
        radius = float(constraint_radius(spectrum, lam))
        assert radius == pytest.approx(np.linalg.norm(standardized_coefficients(spectrum, lam)), rel=1e-12)


def test_zero_lambda_is_the_minimum_norm_solution():
    for name in ("wide", "rank 3 of 5", "duplicated columns", "tall"):
        spectrum = problems()[name].spectrum("svd")[1]
        dense = problems()[name].dense()
        centred = dense.X - dense.X.mean(axis=0)
        expected = np.linalg.pinv(centred, rcond=1e-10) @ (dense.y - dense.y.mean())
        for lam in (0.0, 1e-12 * spectrum.s2[-1]):
            assert standardized_coefficients(spectrum, lam) == pytest.approx(expected, rel=1e-8, abs=1e-9)
