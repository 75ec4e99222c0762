"""Power-scaling: against refits on repeated rows, against ArviZ on draws, and where it must say something."""

import warnings

import numpy as np
import pytest

from bayesridge import BetaR2, FixedLambda, GammaPrecisions, HalfCauchy, HalfNormal, LogNormal, posterior
from bayesridge.checks.sensitivity import cumulative_jensen_shannon, power_scaling
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import DataError
from bayesridge.hyper.infer import infer_hyper
from bayesridge.linalg.targets import rows_counted
from bayesridge.priors import Gamma, Jeffreys


def table(n=12, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, 3.0 * X @ np.resize([1.0, 2.0, 0.0, 1.0], p) + rng.standard_normal(n)


@pytest.mark.parametrize("unpenalized", [[], ["x1"]])
def test_likelihood_to_the_power_two_is_every_row_twice(unpenalized):
    X, y = table()
    once = posterior(X, y, unpenalized=unpenalized)
    twice = posterior(np.vstack([X, X]), np.concatenate([y, y]), unpenalized=unpenalized)
    spectrum = rows_counted(once.spectrum, 2.0, once.design.n_flat)
    hyper = infer_hyper(SpectralEngine(once.design, spectrum), BetaR2(), Jeffreys())
    # an identity: only rounding and the quadrature's own error are between them
    assert hyper.log_marginal == pytest.approx(twice.log_marginal_likelihood, rel=1e-9)
    q = np.array([0.05, 0.5, 0.95])
    np.testing.assert_allclose(hyper.lambda_marginal().quantile(q), twice.lambda_.quantile(q), rtol=1e-8)
    np.testing.assert_allclose(hyper.sigma_marginal().quantile(q), twice.sigma.quantile(q), rtol=1e-8)


@pytest.mark.parametrize(
    ("prior", "jacobian"),
    [
        (LogNormal(3.0, 0.7), lambda t: t),
        (Gamma(2.0, 0.3), lambda t: t),
        (HalfCauchy(1.0), lambda t: -0.5 * t),
        (HalfNormal(2.0), lambda t: -0.5 * t),
        # R2 = W / (1 + W), W = 5 / lambda:  |dR2 / dt| = R2 (1 - R2)
        (BetaR2(0.5, 2.0), lambda t: -np.logaddexp(0.0, t - np.log(5.0)) - np.logaddexp(0.0, np.log(5.0) - t)),
    ],
)
def test_prior_to_a_power_in_its_own_variable(prior, jacobian):
    t = np.linspace(-3.0, 5.0, 9)
    base, scaled = prior.log_density(t, 5.0), prior.power(1.3).log_density(t, 5.0)
    expected = 1.3 * (base - jacobian(t)) + jacobian(t)
    difference = scaled - expected  # up to the constant of normalisation
    np.testing.assert_allclose(difference, difference[0], atol=1e-10)


def test_agrees_with_arviz_on_draws():
    import arviz as az
    import xarray as xr

    X, y = table()
    post = posterior(X, y, prior=BetaR2(20.0, 20.0))
    found = power_scaling(post).table
    values = []
    for seed in range(12):  # the definition depends on the range of 4000 draws, so more draws are not better ones
        tree = post.to_datatree(1000, 4, seed, predictive=True)
        drawn = tree["posterior"]
        shown = {"lambda": np.log(drawn["lambda_"]), "sigma": np.log(drawn["sigma"]), "R2": drawn["r2"]}
        tree["posterior"] = xr.DataTree(xr.Dataset(shown | {"x1": drawn["coef"][..., 1].drop_vars("feature")}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about heavy tails of the weights
            values.append(az.psense_summary(tree, round_to=6)[["prior", "likelihood"]])
    mean = sum(values) / len(values)
    for name in ("lambda", "sigma", "R2", "x1"):
        # ArviZ's square root of a noisy divergence is biased upwards by some per cent, and its range is random
        np.testing.assert_allclose(found.loc[name, ["prior", "likelihood"]].astype(float), mean.loc[name], rtol=0.12)


def test_conflict_is_said_and_its_absence_too():
    X, y = table()
    strong = power_scaling(posterior(X, y, prior=BetaR2(20.0, 20.0)))
    assert {"lambda", "R2"} <= set(strong.conflicts)
    assert "prior and data pull lambda" in strong.verdict
    X, y = table(n=400, p=10)
    weak = power_scaling(posterior(X, y))
    assert weak.passed
    assert weak.verdict.startswith("no posterior is sensitive")


def test_distance_is_between_zero_and_one_and_symmetric():
    x = np.linspace(-5.0, 5.0, 2001)
    p, q = (x > -1).astype(float), (x > 1).astype(float)
    assert cumulative_jensen_shannon(x, p, p) == 0.0
    assert cumulative_jensen_shannon(x, p, q) == cumulative_jensen_shannon(x, q, p)
    # by hand: p = 1, q = 0 on [-1, 1], equal elsewhere: sqrt(2 log2(2) / (6 + 4)), and the same for -x
    assert cumulative_jensen_shannon(x, p, q) == pytest.approx(np.sqrt(2.0 / 10.0), rel=2e-3)


def test_what_has_no_prior_to_scale_is_refused():
    X, y = table()
    with pytest.raises(DataError, match="fixed or plugged in"):
        power_scaling(posterior(X, y, prior=FixedLambda(1.0)))
    with pytest.raises(DataError, match="cannot be raised to a power"):
        power_scaling(posterior(X, y, prior=GammaPrecisions(1.0, 1.0, 1.0, 1.0)))


def test_spectrum_is_left_alone():
    X, y = table()
    spectrum = posterior(X, y).spectrum
    before = spectrum.s.copy(), spectrum.r0
    rows_counted(spectrum, 1.5, 1)
    np.testing.assert_array_equal(spectrum.s, before[0])
    assert spectrum.r0 == before[1]


def test_more_columns_than_rows_have_a_sensitivity_too():
    # every row counted 1.01 times repeats a perfect fit, which has no posterior under 1/sigma^2: one side is left
    rng = np.random.default_rng(6)
    X = rng.standard_normal((200, 250))
    found = power_scaling(posterior(X, X[:, 0] + rng.standard_normal(200)), coefficients=False)
    assert all(np.isfinite([row.prior, row.likelihood]).all() for row in found.rows)
    assert max(row.likelihood for row in found.rows) > 0.01
