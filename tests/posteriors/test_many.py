"""Many targets at once are the targets one by one."""

import warnings

import numpy as np
import pandas as pd
import pytest

from bayesridge import BayesRidge
from bayesridge.design.design import build_design
from bayesridge.errors import AccuracyWarning, ConstantTargetWarning, DataError, PerfectFitWarning, PriorError
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.many import infer_many
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Custom, FixedLambda, Gamma, HalfT, InverseGamma, Jeffreys, LogNormal

TABLES = {
    "tall": (60, 5, {}),
    "wide": (30, 60, {}),
    "square": (12, 11, {}),
    "unpenalised columns, no scaling": (80, 10, {"unpenalized": [0, 3], "scale": False}),
    "no intercept": (80, 10, {"fit_intercept": False}),
    "precision weights": (90, 12, {"weights": np.linspace(0.0, 2.0, 90), "weight_kind": "precision"}),
    "counts": (40, 6, {"weights": np.arange(40) % 3 + 0.0}),
}


def table(n, p, seed=0, count=9):
    """Targets from no signal to hardly any noise, at offsets up to 1e6."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 2.0
    Y = X @ (rng.standard_normal((p, count)) * np.logspace(-3, 1, count)) + rng.standard_normal((n, count))
    return X, Y + np.concatenate([[0.0], np.logspace(0, 6, count - 1)])


def alone(X, y, prior, noise, options):
    design = build_design(X, y, **options)
    return infer(design, factorize(design, "svd"), prior, noise)


@pytest.mark.parametrize(("prior", "noise"), [(BetaR2(), Jeffreys()), (LogNormal(3.0, 2.0), InverseGamma(2.0, 3.0))])
@pytest.mark.parametrize("case", TABLES)
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_each_target_is_what_it_is_alone(case, prior, noise):
    n, p, options = TABLES[case]
    X, Y = table(n, p)
    many = infer_many(build_design(X, Y[:, 0].copy(), **options), Y, prior, noise)
    sd, new, intercepts = many.coefficient_sd(), many.predict(X[:3]).sd, many.intercept
    medians = many.lambda_.median, many.sigma.quantile(0.9)
    for k in range(len(many)):
        one = alone(X, Y[:, k].copy(), prior, noise, options)
        mean, own = one.coefficients.mean, one.coefficients.sd
        np.testing.assert_allclose((many.coef[k] - mean) / own, 0.0, atol=1e-9)
        np.testing.assert_allclose(sd[k], own, rtol=1e-9)
        np.testing.assert_allclose(new[:, k], one.predict(X[:3]).sd, rtol=1e-9)
        assert many.log_marginal_likelihood[k] == pytest.approx(one.log_marginal_likelihood, abs=1e-8)
        assert medians[0][k] == pytest.approx(one.lambda_.median, rel=1e-8)
        assert medians[1][k] == pytest.approx(one.sigma.quantile(0.9), rel=1e-9)
        if one.design.fit_intercept:
            assert (intercepts[k] - one.intercept.mean[0]) / one.intercept.sd[0] == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_scores_of_rows_left_out_are_those_of_each_alone(case):
    n, p, options = TABLES[case]
    X, Y = table(n, p)
    Y = Y - Y.mean(axis=0)  # both lose the digits of an offset
    Y[2, 3] += 1e4  # an outlier, without which lambda lies elsewhere
    many = infer_many(build_design(X, Y[:, 0].copy(), **options), Y, BetaR2(), InverseGamma(2.0, 3.0))
    found = many.loo
    assert found.alone[3] == (case != "counts")  # where the outlier is there twice
    assert found.alone.sum() <= 4
    for k in range(len(many)):
        one = alone(X, Y[:, k].copy(), BetaR2(), InverseGamma(2.0, 3.0), options).loo
        assert found.elpd[k] == pytest.approx(one.elpd_loo, abs=1e-7)
        assert found.se[k] == pytest.approx(one.se, rel=1e-6)


def test_targets_without_leave_one_out_are_named():
    X, Y = table(30, 4)
    Y[:, 2] = 0.0
    with pytest.warns(ConstantTargetWarning):
        many = infer_many(build_design(X, Y[:, 0].copy()), Y, BetaR2(), Jeffreys())
    found = many.loo
    assert np.isfinite(np.delete(found.elpd, 2)).all()


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_one_of_them_is_a_whole_posterior():
    X, Y = table(60, 5)
    many = infer_many(build_design(X, Y[:, 0].copy()), Y, BetaR2(), Jeffreys(), tuple("abcdefghi"))
    one = alone(X, Y[:, 4].copy(), BetaR2(), Jeffreys(), {})
    for post in (many[4], many["e"], many[-5]):
        assert post.design.target_name == "e"
        np.testing.assert_allclose(post.loo.pointwise, one.loo.pointwise, atol=1e-8)
    with pytest.raises(IndexError):
        many[9]


def test_targets_without_noise_or_spread_are_named():
    X, Y = table(40, 3, count=4)
    Y[:, 1], Y[:, 2] = 7.0, X @ [1.0, 2.0, 3.0]
    with (
        pytest.warns(ConstantTargetWarning, match="1 of 4 .*: y1"),
        pytest.warns(PerfectFitWarning, match="1 of 4 .*: y2"),
    ):
        many = infer_many(build_design(X, Y[:, 0].copy()), Y, BetaR2(), Jeffreys())
    assert not many.coef[1].any()
    np.testing.assert_allclose(many.coef[2], [1.0, 2.0, 3.0], rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in (1, 2):
            one = alone(X, Y[:, k].copy(), BetaR2(), Jeffreys(), {})
            assert many.log_marginal_likelihood[k] == pytest.approx(one.log_marginal_likelihood, abs=1e-6)


def test_what_the_shared_grid_cannot_do_is_refused_or_said():
    X, Y = table(40, 3, count=3)
    design = build_design(X, Y[:, 0].copy())
    for prior, noise in ((HalfT(3.0, 1.0, on="tau"), Jeffreys()), (FixedLambda(1.0), Jeffreys())):
        with pytest.raises(PriorError, match="one by one"):
            infer_many(design, Y, prior, noise)
    jump = Custom(lambda lam: np.where(lam < 3.0, 0.0, -np.inf))
    with pytest.warns(AccuracyWarning, match="of 3 targets.*one by one") as given:
        shared = infer_many(design, Y, jump, Jeffreys())
    said = float(str(given[0].message).split("right to ")[1].split()[0])
    exact = [alone(X, y, jump, Jeffreys(), {}) for y in Y.T]
    off = np.abs(shared.log_marginal_likelihood - [one.log_marginal_likelihood for one in exact]).max()
    assert 1e-3 * said < off < said < 2e-2  # of an end of the density the estimate for smooth ones sees nothing


def test_a_prior_much_narrower_than_the_data_is_resolved():
    X, Y = table(40, 3, count=3)
    prior = Gamma(1e6, 1e6)
    shared = infer_many(build_design(X, Y[:, 0].copy()), Y, prior, Jeffreys())
    for k, y in enumerate(Y.T):
        exact = alone(X, y, prior, Jeffreys(), {})
        assert shared.log_marginal_likelihood[k] == pytest.approx(exact.log_marginal_likelihood, abs=1e-9)
        assert shared.lambda_.quantile(0.9)[k] == pytest.approx(exact.lambda_.quantile(0.9), rel=1e-9)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_the_estimator_takes_several_targets():
    X, Y = table(50, 4, count=3)
    frame, targets = pd.DataFrame(X, columns=list("abcd")), pd.DataFrame(Y, columns=["u", "v", "w"])
    est = BayesRidge().fit(frame, targets)
    ones = [BayesRidge().fit(frame, targets[name]) for name in targets]
    mean, std = est.predict(frame[:7], return_std=True)
    for k, one in enumerate(ones):
        own_mean, own_std = one.predict(frame[:7], return_std=True)
        np.testing.assert_allclose((mean[:, k] - own_mean) / own_std, 0.0, atol=1e-9)
        np.testing.assert_allclose(std[:, k], own_std, rtol=1e-9)
        assert est.lambda_[k] == pytest.approx(one.lambda_, rel=1e-8)
        assert est.sigma_[k] == pytest.approx(one.sigma_, rel=1e-9)
    assert (est.coef_.shape, est.intercept_.shape) == ((3, 4), (3,))
    scores = [one.score(frame, targets[name]) for one, name in zip(ones, targets, strict=True)]
    assert est.score(frame, targets) == pytest.approx(np.mean(scores))
    assert list(est.summary().index) == ["u", "v", "w"]
    assert "3 targets" in repr(est)
    for ask in (lambda: est.save("nowhere"), est.hyper_summary, est.to_datatree, lambda: est.predict_interval(frame)):
        with pytest.raises(DataError, match=r"posterior_\[k\]"):
            ask()
    with pytest.raises(AttributeError, match="one target"):
        _ = est.tau_
    with pytest.raises(DataError, match="one by one"):
        BayesRidge(method="evidence").fit(X, Y)
    with pytest.raises(DataError, match="v"):
        BayesRidge().fit(X, targets.assign(v=np.nan))
