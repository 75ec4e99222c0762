"""One row that weighs 1e12, beside flat columns too: right in posterior sds against 50-digit normal equations."""

import warnings

import mpmath as mp
import numpy as np
import pytest

from bayesridge.errors import AccuracyWarning, DataError
from bayesridge.fit import posterior
from bayesridge.linalg.heavy_rows import decompose, eliminate
from bayesridge.priors import FixedLambda, FixedSigma

N, P, LAM = 12, 5, 0.5


def table(seed, intercept):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, P))
    X[:, 3] = np.arange(N) % 2  # nothing in the heavy row: large in the others, once it is scaled
    X[:, 4] = X[:, 0] + 1e-3 * X[:, 4]
    w = np.where(np.arange(N) == 6, 1e12, 1.0)
    return X, X @ rng.standard_normal(P) + intercept + rng.standard_normal(N), w


def exact(X, y, w, flat, intercept, sigma=None):
    """Coefficients at lambda, and sqrt of the diagonal of ``(X'WX + lambda D)^-1 Q / (nu - 2)``."""
    with mp.workdps(160):  # with an intercept and more columns than rows both Q and the weights are of 1e-12
        rows = [[mp.mpf(float(v)) for v in row] + [mp.mpf(1)] * intercept for row in X]
        weights, total = [mp.mpf(float(v)) for v in w], mp.fsum(mp.mpf(float(v)) for v in w)
        A, W = mp.matrix(rows), mp.diag(weights)
        H, right = A.T * W * A, A.T * W * mp.matrix([mp.mpf(float(v)) for v in y])
        for j in set(range(P)) - set(flat):
            mean = mp.fsum(a * row[j] for a, row in zip(weights, rows, strict=True)) / total * intercept
            H[j, j] += LAM * mp.fsum(a * (row[j] - mean) ** 2 for a, row in zip(weights, rows, strict=True)) / total
        beta, inverse = mp.lu_solve(H, right), H**-1
        Q = mp.fsum(a * mp.mpf(float(v)) ** 2 for a, v in zip(weights, y, strict=True)) - (right.T * beta)[0]
        variance = Q / (total - len(flat) - intercept - 2) if sigma is None else mp.mpf(sigma) ** 2
        return [np.array([float(v) for v in each]) for each in (
            beta[:P], [mp.sqrt(inverse[j, j] * variance) for j in range(P)])
        ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
@pytest.mark.parametrize("intercept", [0, 1])
@pytest.mark.parametrize("flat", [(), (1,), (3,), (1, 3)])
def test_no_row_is_rounded_in_the_size_of_another(flat, intercept):
    X, y, w = table(5, intercept)
    order = np.random.default_rng(1).permutation(N)
    for rows in (np.arange(N), order):
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always", AccuracyWarning)
            post = posterior(
                X[rows], y[rows], weights=w[rows], prior=FixedLambda(LAM), unpenalized=flat,
                fit_intercept=bool(intercept),
            )  # fmt: skip
        said = max([float(str(one.message).split("right to ")[1].split()[0]) for one in given], default=1e-8)
        assert said < 2e-3  # columns equal to three digits, and sds of 1e-6 of their coefficients, at any lambda
        mean, sd = exact(X, y, w, flat, intercept)
        np.testing.assert_array_less(np.abs(post.coefficients.mean - mean) / sd, said)
        np.testing.assert_allclose(post.coefficients.sd, sd, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:row 2 .counted from 0. weighs so much more.*right to .e-0[78]")
@pytest.mark.parametrize("weight", [1e12, 1e14])
@pytest.mark.parametrize("intercept", [0, 1])
@pytest.mark.parametrize("flat", [(), (3,)])
def test_a_heavy_row_among_fewer_rows_than_columns(flat, intercept, weight):
    X, y, w = table(5, intercept)
    X, y, w = X[4:8], y[4:8], np.where(w[4:8] > 1.0, weight, 1.0)
    options = {"weight_kind": "precision", "prior": FixedLambda(LAM), "noise_prior": FixedSigma(1.0)}
    post = posterior(X, y, weights=w, unpenalized=flat, fit_intercept=bool(intercept), **options)
    mean, sd = exact(X, y, w, flat, intercept, sigma=1.0)
    np.testing.assert_array_less(np.abs(post.coefficients.mean - mean) / sd, 1e-11)
    np.testing.assert_allclose(post.coefficients.sd, sd, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
@pytest.mark.filterwarnings("ignore::bayesridge.errors.PerfectFitWarning")
def test_the_rounding_of_a_heavy_row_is_said_without_a_residual():
    X, y, w = table(5, 0)
    with pytest.warns(AccuracyWarning, match=r"row 2 \(counted from 0\) weighs so much more"):
        posterior(X[4:8], y[4:8], weights=1e3 * w[4:8], prior=FixedLambda(LAM), fit_intercept=False)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
@pytest.mark.filterwarnings("ignore::bayesridge.errors.PerfectFitWarning")
@pytest.mark.filterwarnings("ignore:y is so large beside its noise:bayesridge.errors.AccuracyWarning")
@pytest.mark.parametrize(
    ("seed", "rows", "weight", "apart", "flat", "intercept"),
    [
        (414246, (4, 9), 1e15, 1e-4, (1,), 1),  # as many rows as columns, for which 1e-8 was said and 0.1 lost
        (43013, (5, 10), 1e14, 1e-3, (3,), 1),
        (0, (2, 8), 1e13, 1e-3, (), 0),  # a direction that lambda takes away: 460 sds where 1e-2 was said
        (392950, (1, 9), 1e13, 1e-2, (), 1),
        (5, (1, 8), 1e12, 1.0, (1,), 1),  # cross-products: 1e-3 and not a word
    ],
)
def test_a_warning_covers_what_counted_rows_lose(seed, rows, weight, apart, flat, intercept):
    X, y, w = table(seed, intercept)
    X[:, 4] = X[:, 0] + apart * (X[:, 4] - X[:, 0])
    X, y, w = X[slice(*rows)], y[slice(*rows)], np.where(w[slice(*rows)] > 1.0, weight, 1.0)
    with pytest.warns(AccuracyWarning, match="weighs so much more") as given:
        post = posterior(
            X, y, weights=w, prior=FixedLambda(LAM), unpenalized=flat, fit_intercept=bool(intercept)
        )  # fmt: skip
    said = next(str(one.message) for one in given if "weighs so much more" in str(one.message))
    error = np.abs(post.coefficients.mean - exact(X, y, w, flat, intercept)[0]) / post.coefficients.sd
    assert "wrong by posterior sds" in said or error.max() < float(said.split("right to ")[1].split()[0])


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
def test_cross_products_of_a_heavy_row_are_not_trusted():
    """Columns as unlike as any, small in that row: their cross-products are well-conditioned, and off by 2e-3 sds."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((27, P))
    y, w = X @ rng.standard_normal(P) + rng.standard_normal(27), np.where(np.arange(27) == 6, 1e13, 1.0)
    X[6] *= 1e-3
    with pytest.warns(AccuracyWarning, match="weighs so much more"):
        post = posterior(X, y, weights=w, prior=FixedLambda(LAM), unpenalized=(1,), fit_intercept=False)
    mean, sd = exact(X, y, w, (1,), 0)
    np.testing.assert_array_less(np.abs(post.coefficients.mean - mean) / sd, 1e-5)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")
def test_what_two_flat_columns_cannot_tell_apart_is_said():
    X, y, w = table(5, 0)
    X[:, 2] = X[:, 1] * (1.0 + 1e-9 * X[:, 2])
    with pytest.warns(AccuracyWarning, match=r"row 6 \(counted from 0\) weighs so much more.*right to"):
        posterior(X, y, weights=w, prior=FixedLambda(LAM), unpenalized=[1, 2], fit_intercept=False)


def test_dependent_columns_are_told_from_graded_ones():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((N, 3)) * np.where(np.arange(N) == 2, 1e9, 1.0)[:, None]
    found = eliminate(Z, np.eye(N))
    assert found.rank == 3
    np.testing.assert_allclose(found.coefficients @ Z, np.eye(3), atol=1e-13)
    assert eliminate(np.column_stack([Z, Z @ [1.0, -2.0, 1.0]]), np.ones((N, 1))).rank == 3
    X, y, w = table(5, 0)
    with pytest.raises(DataError, match="linearly dependent"):
        posterior(np.column_stack([X, X[:, 0] + X[:, 1]]), y, weights=w, weight_kind="precision", unpenalized=[0, 1, 5])


def test_no_direction_is_left_beside_flat_columns():
    """Two rows, two flat columns, one heavy row: LAPACK's matrices of no columns were 1 x 1."""
    found = decompose(np.empty((0, 0)), np.empty(0))
    assert found.s.shape == found.z.shape == (0,)
    assert found.V.shape == (0, 0)
    assert found.rest == 0.0
