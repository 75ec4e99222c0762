"""Sampled models against published posteriors (posteriordb, rstanarm), and the exact figures recomputed for them."""

from dataclasses import replace

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.chains import sample_chains
from bayesridge.mcmc.sampling import nuts_posterior
from bayesridge.priors import FixedTau, HalfCauchy, HalfNormal
from tests.mcmc.agreement import PYMC
from tests.truth.published import matrix, published, table

pytestmark = pytest.mark.mcmc

LIMIT = 4.0  # Monte Carlo standard errors


def assert_figures(values, figures):
    """Mean, sd and quantiles of (chain, draw) values against exact ones; quantiles by the share of draws below."""
    import arviz as az

    assert abs(values.mean() - figures["exact_mean"]) < LIMIT * float(az.mcse(values, method="mean"))
    assert abs(values.std(ddof=1) - figures["exact_sd"]) < LIMIT * float(az.mcse(values, method="sd"))
    for name, prob in (("exact_q05", 0.05), ("exact_q50", 0.5), ("exact_q95", 0.95)):
        below = (values <= figures[name]).astype(float)
        assert abs(below.mean() - prob) < LIMIT * float(az.mcse(below, method="mean"))


@pytest.mark.slow
def test_posteriordb_normal_prior():
    """sblri-blr: coefficients N(0, 10) on columns as they are, no intercept, sigma half-normal(10)."""
    X, y, _ = matrix("posteriordb/sblri-blr.csv")
    design = build_design(X, y, fit_intercept=False, scale=False)
    noise = HalfNormal(10.0, on="sigma")
    few = replace(PYMC, draws=500, tune=300)
    result = nuts_posterior(design, factorize(design), FixedTau(10.0), noise, few, n_jobs=1, random_state=2)
    assert result.verdict == "ok"
    figures = published("posteriordb")["sblri-blr"]["params"]
    for j in range(5):
        assert_figures(result.datatree["posterior"]["coef"].values[..., j], figures[f"beta[{j + 1}]"])
    assert_figures(result.datatree["posterior"]["sigma"].values, figures["sigma"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kidiq-kidscore_momiq", "kidiq-kidscore_momhsiq"])
@pytest.mark.parametrize("collapsed", [False, True])
def test_posteriordb_flat_prior(name, collapsed):
    """kidiq: flat coefficients, sigma half-Cauchy(2.5): all columns unpenalised, and the prior of tau moves nothing."""
    X, y, _ = matrix(f"posteriordb/{name}.csv")
    X = X[:, 1:]  # without the column of ones
    design = build_design(X, y, unpenalized=range(X.shape[1]))
    noise = HalfCauchy(2.5, on="sigma")
    result = nuts_posterior(
        design, factorize(design), HalfNormal(1.0, on="tau"), noise, PYMC, collapsed=collapsed, n_jobs=1, random_state=2
    )
    assert result.verdict == "ok"
    figures = published("posteriordb")[name]["params"]
    posterior = result.datatree["posterior"]
    assert_figures(posterior["intercept"].values, figures["beta[1]"])
    for j in range(X.shape[1]):
        assert_figures(posterior["coef"].values[..., j], figures[f"beta[{j + 2}]"])
    assert_figures(posterior["sigma"].values, figures["sigma"])


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["fit2", "fit3"])
def test_rstanarm_wells(fit):
    """Logistic ridge: medians and leave-one-out against rstanarm's print-out and the exact figures."""
    import arviz as az

    from bayesridge.models.logistic import logistic

    figures = published("wells_logistic")["fits"][fit]
    wells = table("ros/wells.csv")
    X = np.column_stack([wells["dist"] / 100.0 if name == "dist100" else wells[name] for name in figures["cols"]])
    # rstanarm divides by the sample standard deviation (n - 1)
    design = build_design(X, wells["switch"], names=figures["cols"], scale=X.std(axis=0, ddof=1))
    np.testing.assert_allclose(2.5 / design.scale, figures["prior_sd"], rtol=1e-9)
    drawn = sample_chains(logistic(design, tau=2.5, intercept_sd=2.5), PYMC, n_jobs=1, random_state=1).posterior
    coef = drawn["beta"].values / design.scale
    intercept = drawn["centre"].values - coef @ design.mean
    for values, median, (printed, _) in zip(
        [intercept, *np.moveaxis(coef, -1, 0)], figures["exact_median"], figures["published"]["coef"], strict=True
    ):
        below = (values <= median).astype(float)
        assert abs(below.mean() - 0.5) < LIMIT * float(az.mcse(below, method="mean"))
        assert np.median(values) == pytest.approx(printed, abs=0.01)
    eta = intercept[..., None] + coef @ X.T
    log_likelihood = -np.logaddexp(0.0, np.where(design.y == 1, -eta, eta))
    loo = az.loo(az.from_dict({"posterior": {"centre": intercept}, "log_likelihood": {"y": log_likelihood}}))
    assert loo.elpd == pytest.approx(figures["exact_elpd_loo"], abs=0.1)
    assert loo.elpd == pytest.approx(figures["published"]["elpd"], abs=0.15)
