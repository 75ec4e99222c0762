"""Convolutions against the dense matrix of the same boundary."""

import numpy as np
import pytest
from scipy.ndimage import convolve

from bayesridge import DataError, FixedLambda, FixedScales, FixedSigma
from bayesridge.inverse import deblur, tikhonov

SHAPE = (6, 7)
KERNELS = {
    "periodic": np.array([[0.1, 0.2, 0.0], [0.3, 1.0, 0.25], [0.05, 0.4, 0.1]]),
    "reflect": np.outer([0.3, 1.0, 0.3], [0.1, 0.4, 1.0, 0.4, 0.1]),
}
MODE = {"periodic": "wrap", "reflect": "reflect"}
Y = np.random.default_rng(2).standard_normal(SHAPE) + np.add.outer(np.arange(6), np.sin(np.arange(7)))


def columns(function):
    return np.array([function(one.reshape(SHAPE)).ravel() for one in np.eye(42)]).T


def dense(boundary, penalty):
    """The matrix of the blur, and one L with |L x|^2 the penalty."""
    A = columns(lambda x: convolve(x, KERNELS[boundary], mode=MODE[boundary]))
    if penalty == "identity":
        return A, np.eye(42)
    pad = {"periodic": "wrap", "reflect": "symmetric"}[boundary]
    if penalty == "second differences":
        cross = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        return A, columns(lambda x: convolve(x, cross, mode=MODE[boundary]))
    right = columns(lambda x: np.diff(np.pad(x, ((0, 1), (0, 0)), pad), axis=0))
    return A, np.vstack([right, columns(lambda x: np.diff(np.pad(x, ((0, 0), (0, 1)), pad), axis=1))])


@pytest.mark.parametrize("penalty", ["identity", "first differences", "second differences"])
@pytest.mark.parametrize("boundary", KERNELS)
def test_it_is_the_dense_posterior(boundary, penalty):
    A, L = dense(boundary, penalty)
    exact, found = tikhonov(A, Y.ravel(), L), deblur(Y, KERNELS[boundary], penalty, boundary=boundary)
    np.testing.assert_allclose(found.mean.ravel(), exact.coefficients.mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.sd.ravel(), exact.coefficients.sd, rtol=1e-6)
    np.testing.assert_allclose(found.interval(0.9).reshape(-1, 2), exact.coefficients.interval(0.9), atol=1e-5)
    assert found.lambda_.median == pytest.approx(exact.lambda_.median, rel=1e-6)
    assert found.sigma.median == pytest.approx(exact.sigma.median, rel=1e-6)
    # the flat direction is the sum over cells over the root of their number here, and the like there
    assert found.log_marginal_likelihood == pytest.approx(exact.log_marginal_likelihood, abs=1e-6)


def test_draws_are_of_the_posterior():
    found = deblur(Y, KERNELS["periodic"], prior=FixedScales(0.5, 1.0))
    draws = found.draw(3000, 0)
    assert np.abs((draws.mean(axis=0) - found.mean) / found.sd).max() < 4.5 / np.sqrt(3000)
    np.testing.assert_allclose(draws.std(axis=0), found.sd, rtol=0.07)  # four standard errors and a half
    A, L = dense("periodic", "first differences")
    cov = 0.25 * np.linalg.inv(A.T @ A + 0.25 * L.T @ L)
    error = np.cov(draws.reshape(3000, -1).T) - cov
    assert np.abs(error).max() < 6.0 * cov.diagonal().max() / np.sqrt(3000)
    np.testing.assert_allclose(deblur(Y, KERNELS["periodic"], prior=FixedLambda(2.0)).mean, found.solution(2.0))


def test_a_signal_is_an_image_of_one_axis():
    found = deblur(Y[0], [0.25, 0.5, 0.25], "second differences")
    assert found.mean.shape == (7,)


def test_what_cannot_be_deblurred_is_said():
    kernel = KERNELS["periodic"]
    for image, h, options, why in (
        (Y, kernel, {"boundary": "zero"}, "boundary must be"), (Y, kernel, {"boundary": "reflect"}, "symmetric"),
        (Y, kernel[0], {}, "as many axes"), (Y[:2], kernel, {}, "none longer"), (Y, 0 * kernel, {}, "not all of"),
        (np.where(Y > 1, np.nan, Y), kernel, {}, "finite"), (Y, kernel, {"penalty": "third"}, "penalty must be"),
        (Y, kernel - kernel.mean(), {}, "takes the mean"), (np.ones(SHAPE), kernel, {}, "same everywhere"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=why):
            deblur(image, h, **options)


def test_frequencies_that_the_transform_rounds_away_are_not_divided_by():
    """A box as wide as the signal has one frequency, and the transform some 1e-16 of others."""
    signal = np.random.default_rng(0).standard_normal(29)
    with pytest.raises(DataError, match="nothing to learn"):
        deblur(signal, np.ones(29))
    pair = deblur(signal[:28], np.ones(2), noise_prior=FixedSigma(1e-12))  # the last frequency is exactly zero
    lost = deblur(signal[:28], np.array([0.1, 0.2, 0.1]), noise_prior=FixedSigma(1e-12))  # and here to rounding
    for found in (pair, lost):
        assert np.abs(found.mean).max() < 100.0 * np.abs(signal).max() / np.abs(found.transfer).max()


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf, "much", [1.0]])
def test_one_solution_takes_one_positive_lambda(wrong):
    with pytest.raises(DataError, match="lambda must be"):
        deblur(Y, KERNELS["periodic"], prior=FixedLambda(1.0)).solution(wrong)
