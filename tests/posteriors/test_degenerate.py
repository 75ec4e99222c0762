"""Data at the edges: a decided, documented answer with a warning, or a clear error, never a NaN."""

import numpy as np
import pandas as pd
import pytest

from bayesridge.errors import (
    BayesRidgeError,
    ConstantColumnWarning,
    ConstantTargetWarning,
    DataError,
    NoSignalWarning,
    PerfectFitWarning,
)
from bayesridge.estimator.regressor import BayesRidge
from bayesridge.fit import posterior
from bayesridge.priors import FixedLambda, HalfCauchy


def rng(seed=0):
    return np.random.default_rng(seed)


def no_nan(p, new):
    prediction = p.predict(new)
    for values in (
        p.coefficients.mean, p.coefficients.sd, p.coefficients.interval(), p.intercept.mean, p.intercept.sd,
        prediction.mean, prediction.sd, prediction.interval(), prediction.noise_sd,
        p.sigma.median, p.lambda_.median, p.tau.median, p.r2.median, p.effective_dof.median, p.log_marginal_likelihood,
    ):  # fmt: skip
        assert not np.isnan(values).any()
    assert (prediction.sd >= 0).all()


@pytest.mark.parametrize("value", [0.0, 5.0, -1e12])
@pytest.mark.parametrize("shape", [(20, 3), (5, 9)])
def test_constant_target(value, shape):
    X = rng().standard_normal(shape)
    with pytest.warns(ConstantTargetWarning, match="constant"):
        p = posterior(X, np.full(shape[0], value))
    assert (p.coefficients.mean == 0).all()
    # the mean of n equal numbers is right to a rounding
    assert p.intercept.mean[0] == pytest.approx(value, rel=1e-15)
    no_nan(p, X)


@pytest.mark.parametrize("n", [12, 40])
def test_perfect_fit(n):
    X = rng().standard_normal((n, 4))
    beta = np.array([1.0, -2.0, 0.0, 4.0])
    with pytest.warns(PerfectFitWarning, match="linear function"):
        p = posterior(X, X @ beta + 3)
    # the noise is at the rounding of y, of about 10: 1e-12 is a thousand of them
    np.testing.assert_allclose(p.coefficients.mean, beta, atol=1e-12)
    assert p.sigma.median < 1e-12
    no_nan(p, X)


def test_pure_noise_says_infinity():
    X, y = rng(3).standard_normal((50, 5)), rng(4).standard_normal(50)
    X -= X.mean(axis=0)
    y -= X @ np.linalg.lstsq(X, y)[0]  # no correlation at all is left
    with pytest.warns(NoSignalWarning, match="infinity"):
        p = posterior(X, y)
    assert p.evidence.best.place == "infinity"
    assert np.isinf(p.evidence.best.lam)
    assert [m.mode.place for m in p.evidence_modes] == ["infinity"]
    assert p.evidence_modes[0].share == pytest.approx(1.0, abs=1e-12)
    no_nan(p, X)
    with pytest.warns(NoSignalWarning, match="infinity"):
        plug = posterior(X, y, method="evidence")
    assert (plug.coefficients.mean == 0).all()


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("p", [1, 2, 7])
def test_very_few_rows(n, p):
    X, y = rng(n).standard_normal((n, p)), rng(p).standard_normal(n)
    post = posterior(X, y)
    no_nan(post, X)
    nu = n - 1
    infinite = nu <= 2
    assert np.isinf(post.coefficients.sd).all() == infinite
    assert np.isinf(post.predict(X).sd).all() == infinite
    assert np.isfinite(post.predict(X).interval()).all()
    if nu >= 2:
        assert np.isfinite(post.loo.pointwise).all()
    else:
        with pytest.raises(DataError, match="at least 2 residual degrees"):
            _ = post.loo


@pytest.mark.parametrize("shape", [(20, 4), (5, 9)])
def test_constant_columns(shape):
    X = rng().standard_normal(shape)
    y = X[:, 0] * 3 + rng(1).standard_normal(shape[0])
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(shape[1])])
    frame["c1"], frame["c3"] = 0.0, 1e9
    with pytest.warns(ConstantColumnWarning, match=r"c1, c3$"):
        p = posterior(frame, y)
    assert (p.coefficients.mean[[1, 3]] == 0).all()
    assert (p.coefficients.sd[[1, 3]] == 0).all()
    same = posterior(frame.drop(columns=["c1", "c3"]), y)
    keep = [j for j in range(shape[1]) if j not in (1, 3)]
    # without them the very same problem; only the order of sums differs
    np.testing.assert_allclose(p.coefficients.mean[keep], same.coefficients.mean, rtol=1e-10)


def test_only_constant_columns():
    y = rng().standard_normal(10)
    with pytest.warns(ConstantColumnWarning):
        p = posterior(np.ones((10, 2)), y)
    assert p.predict(np.ones((1, 2))).mean[0] == pytest.approx(y.mean())
    assert p.sigma.median > 0


def test_duplicated_rows_and_columns():
    X = rng().standard_normal((8, 3))
    y = X[:, 0] + rng(1).standard_normal(8)
    twice = posterior(np.vstack([X, X]), np.concatenate([y, y]))
    no_nan(twice, X)
    columns = posterior(np.column_stack([X, X]), y)
    assert columns.spectrum.rank == 3
    # equal columns share their coefficient equally; 1e-10: the two are rounded apart
    np.testing.assert_allclose(columns.coefficients.mean[:3], columns.coefficients.mean[3:], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("size", [1e-115, 1e-60, 1e60, 1e115])
def test_huge_and_tiny_values(size):
    X = rng().standard_normal((20, 3))
    y = X @ [1.0, 2.0, 3.0] + rng(1).standard_normal(20)
    base = posterior(X, y)
    # 1e-8: the bound for changes of units
    p = posterior(X * size, y)
    np.testing.assert_allclose(p.coefficients.mean * size, base.coefficients.mean, rtol=1e-8)
    q = posterior(X, y * size)
    np.testing.assert_allclose(q.coefficients.mean / size, base.coefficients.mean, rtol=1e-8)


def test_values_that_overflow_are_refused():
    X, y = rng().standard_normal((20, 3)), rng(1).standard_normal(20)
    with pytest.raises(DataError, match="overflow"):
        posterior(X * 1e200, y)
    with pytest.raises(DataError, match="overflow"):
        posterior(X, y * 1e200)
    # what would overflow only later, or vanish: the square of a coefficient, of a tiny column or target
    for of_x, of_y in ((1e-150, 1.0), (1e-200, 1.0), (1.0, 1e-170), (1e-70, 1e70), (1e120, 1e-10), (1e140, 1e140)):
        X[:, 1] = rng(2).standard_normal(20) * of_x
        with pytest.raises(DataError, match=r"(x1|x0|y) varies by .* leave the range of float64"):
            posterior(X, y * of_y)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize("outlier", [1e2, 1e5])
@pytest.mark.parametrize("shape", [(20, 3), (10, 15)])
def test_extreme_outlier_in_leave_one_out(outlier, shape):
    """Against an actual refit with the scales held, lambda given: exact; then integrated, where nodes must reach."""
    X = rng(2).standard_normal(shape)
    y = X[:, 0] * 2 + 0.5 * rng(3).standard_normal(shape[0])
    y[4] += outlier
    scale = X.std(axis=0)
    rest = np.arange(shape[0]) != 4
    for prior, bound in ((FixedLambda(2.0), 1e-9), (None, 1e-8)):
        full = posterior(X, y, scale=scale, prior=prior)
        # a prior on R^2 means the same lambda only if the signal (here of the full data) is the same: state it on tau
        if prior is None:
            held = HalfCauchy(1 / np.sqrt(shape[1]))
            full, refit = posterior(X, y, scale=scale, prior=held), posterior(X[rest], y[rest], scale=scale, prior=held)
        else:
            refit = posterior(X[rest], y[rest], scale=scale, prior=prior)
        want = float(refit.predict(X[4:5]).log_density(y[4:5])[0])
        assert full.loo.pointwise[4] == pytest.approx(want, rel=0, abs=bound * max(1.0, abs(want)))


# -- bad input -------------------------------------------------------------------------------------------------------

X0, Y0 = rng(9).standard_normal((10, 3)), rng(10).standard_normal(10)


def with_value(value):
    X = X0.copy()
    X[2, 1] = value
    return X


def frame(**changes):
    return pd.DataFrame(X0, columns=["a", "b", "c"]).assign(**changes)


BAD = {
    "rows differ": (X0, Y0[:9], r"(?s)10.*9|9.*10"),
    "X is a vector": (X0[:, 0], Y0, "(10,)"),
    "X is a cube": (X0[:, :, None], Y0, r"3|dimension"),
    "y is a cube": (X0, np.zeros((10, 2, 2)), r"\(10, 2, 2\)|dim"),
    "strings": (frame(b=list("abcdefghij")), Y0, "b"),
    "inf": (with_value(np.inf), Y0, "inf"),
    "nan": (frame(b=with_value(np.nan)[:, 1]), Y0, "b.*1|1.*b"),
    "inf in y": (X0, np.where(np.arange(10) == 3, np.inf, Y0), "inf"),
    "nan in y": (X0, np.where(np.arange(10) == 3, np.nan, Y0), "y"),
    "one row": (X0[:1], Y0[:1], "1"),
    "no rows": (X0[:0], Y0[:0], "0"),
    "no columns": (X0[:, :0], Y0, "0"),
    "duplicate names": (pd.DataFrame(X0, columns=["a", "b", "a"]), Y0, "a"),
    "complex": (X0 + 1j, Y0, "omplex"),
    "no target": (X0, None, "target|y"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input(case):
    X, y, words = BAD[case]
    with pytest.raises(BayesRidgeError, match=words):
        posterior(X, y)
    estimator = BayesRidge()
    with pytest.raises(ValueError, match=words):
        estimator.fit(X, y)
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_a_failed_fit_keeps_the_last_one_whole():
    estimator = BayesRidge().fit(frame(), Y0 + 2 * X0[:, 0])
    before = estimator.coef_.copy(), estimator.posterior_
    with pytest.raises(DataError):
        estimator.fit(with_value(np.nan), Y0)
    assert estimator.posterior_ is before[1]
    np.testing.assert_array_equal(estimator.coef_, before[0])


def test_unknown_unpenalised_column():
    with pytest.raises(DataError, match="nosuch"):
        posterior(frame(), Y0, unpenalized=["nosuch"])


def test_dependent_unpenalised_columns():
    with pytest.raises(DataError, match="dependent"):
        posterior(frame(c=2 * X0[:, 0]), Y0, unpenalized=["a", "c"])


def test_several_targets_are_the_estimators():
    with pytest.raises(BayesRidgeError, match=r"\(10, 2\)|2 columns|one-dimensional"):
        posterior(X0, np.column_stack([Y0, Y0]))
