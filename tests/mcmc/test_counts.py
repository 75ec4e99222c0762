"""The Poisson posterior against NUTS on its PyMC model, and the binomial one against rstanarm's published fit."""

import numpy as np
import pytest

from bayesridge import BetaR2, FixedTau, HalfT, Jeffreys, posterior
from bayesridge.design.design import build_design
from bayesridge.mcmc.chains import sample_chains
from bayesridge.outcomes.family import NegativeBinomial, Student
from tests.mcmc.agreement import LIMIT, PYMC
from tests.truth.published import published, table


@pytest.mark.slow
@pytest.mark.mcmc
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a step of the warm-up overflows exp, and is rejected
def test_poisson_model_agrees_with_the_engine():
    """Means, sds and quantiles within four Monte Carlo errors; a wrong offset is seen."""
    import arviz as az

    from bayesridge.models.poisson import poisson

    rng = np.random.default_rng(4)
    X = rng.standard_normal((30, 3))
    offset, times = np.linspace(-1.0, 1.0, 30), 1.0 + np.arange(30) % 2
    y = rng.poisson(np.exp(0.3 + offset + X @ [0.5, -0.3, 0.2])).astype(float)
    prior = HalfT(5.0, 0.6, on="tau")
    design = build_design(X, y, weights=times, unpenalized=[2])
    drawn = sample_chains(poisson(design, prior=prior, offset=offset), PYMC, n_jobs=1, random_state=1).posterior
    post = posterior(X, y, family="poisson", prior=prior, offset=offset, weights=times, unpenalized=[2])
    wrong = posterior(X, y, family="poisson", prior=prior, offset=0.5 * offset, weights=times, unpenalized=[2])
    values = {f"x{j}": drawn["beta"].values[..., j] / design.scale[j] for j in range(2)}
    values["x2"] = drawn["gamma"].values[..., 0] / design.scale[2]

    def furthest(exact):
        gaps = []
        for j, name in enumerate(("x0", "x1", "x2")):
            one, q = values[name], exact.coefficients.take(np.array([j]))
            gaps.append((one.mean() - q.mean[0]) / np.hypot(float(az.mcse(one, method="mean")), q.mcse[0]))
            gaps.append((one.std() - q.sd[0]) / (float(az.mcse(one, method="sd")) + 0.01 * q.sd[0]))
            for prob in (0.05, 0.5, 0.95):
                below = (one <= q.quantile(prob)[0]).astype(float)
                gaps.append((below.mean() - prob) / float(az.mcse(below, method="mean")))
        for prob in (0.1, 0.5, 0.9):
            below = (drawn["tau"].values <= exact.tau.quantile(prob)).astype(float)
            gaps.append((below.mean() - prob) / float(az.mcse(below, method="mean")))
        return np.abs(gaps).max()

    assert furthest(post) < LIMIT
    assert furthest(wrong) > LIMIT


def furthest(drawn, post, names, scales):
    """Largest gap of means, sds and shares below quantiles, in Monte Carlo errors of both."""
    import arviz as az

    gaps = []
    for j, one in enumerate(names):
        values, q = drawn(one), post.coefficients.take(np.array([j]))
        gaps.append((values.mean() - q.mean[0]) / np.hypot(float(az.mcse(values, method="mean")), q.mcse[0]))
        gaps.append((values.std() - q.sd[0]) / (float(az.mcse(values, method="sd")) + 0.01 * q.sd[0]))
    for one, scale in scales.items():
        values = drawn(one)
        for prob in (0.1, 0.5, 0.9):
            below = (values <= scale.quantile(prob)).astype(float)
            gaps.append((below.mean() - prob) / np.hypot(float(az.mcse(below, method="mean")), 0.005))
    return np.abs(gaps).max()


@pytest.mark.slow
@pytest.mark.mcmc
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a step of the warm-up overflows exp, and is rejected
def test_negative_binomial_model_agrees_with_the_engine():
    """Another prior of the dispersion is seen."""
    from bayesridge.models.negative_binomial import negative_binomial

    rng = np.random.default_rng(4)
    X, offset = rng.standard_normal((40, 2)), np.linspace(-0.5, 0.5, 40)
    y = rng.poisson(np.exp(0.5 + offset + X @ [0.5, -0.3]) * rng.gamma(2.0, 0.5, 40)).astype(float)
    prior = HalfT(5.0, 0.6, on="tau")
    design = build_design(X, y)
    drawn = sample_chains(
        negative_binomial(design, prior=prior, offset=offset), PYMC, n_jobs=1, random_state=1
    ).posterior
    post = posterior(X, y, family="negative-binomial", prior=prior, offset=offset)
    wrong = posterior(X, y, family=NegativeBinomial(spread=0.1), prior=prior, offset=offset)

    def values(name):
        return drawn["beta"].values[..., name] / design.scale[name] if isinstance(name, int) else drawn[name].values

    for one, agrees in ((post, True), (wrong, False)):
        scales = {"tau": one.tau, "dispersion": one.scales["dispersion"]}
        assert (furthest(values, one, [0, 1], scales) < LIMIT) == agrees


@pytest.mark.slow
@pytest.mark.mcmc
def test_robust_model_agrees_with_the_sampler():
    """Degrees of freedom learned; those of four are seen."""
    from bayesridge.models.robust import robust

    rng = np.random.default_rng(4)
    X = rng.standard_normal((40, 2))
    y = 1.0 + X @ [0.5, -0.3] + rng.standard_t(2.0, 40)
    design, prior, noise = build_design(X, y), BetaR2(), Jeffreys()
    model = robust(design, prior=prior, noise_prior=noise, nu_shape=2.0, nu_rate=0.1, centred=True)
    drawn = sample_chains(model, PYMC, n_jobs=1, random_state=1).posterior
    post, wrong = (posterior(X, y, family=Student(df)) for df in (None, 30.0))

    def values(name):
        return drawn["beta"].values[..., name] / design.scale[name] if isinstance(name, int) else drawn[name].values

    for one, agrees in ((post, True), (wrong, False)):
        scales = {"tau": one.tau, "sigma": one.sigma, "lambda_": one.lambda_}
        assert (furthest(values, one, [0, 1], scales) < LIMIT) == agrees


@pytest.mark.mcmc
def test_negative_binomial_and_binomial_models_have_the_densities_written_out():
    """Log joint densities of the PyMC models against scipy's, weights and offset included."""
    from scipy import stats

    from bayesridge.models.binomial import binomial
    from bayesridge.models.negative_binomial import negative_binomial

    rng = np.random.default_rng(4)
    X, offset, times = rng.standard_normal((12, 2)), np.linspace(-1.0, 1.0, 12), 1.0 + np.arange(12) % 2
    y = rng.binomial(4, 0.4, 12).astype(float)
    design = build_design(X, y, weights=times)
    tau, raw, centre, variation = 0.7, np.array([0.3, -1.1]), 0.4, 0.9
    eta = offset + centre + (X - design.mean) / design.scale @ (tau * raw)
    prior = HalfT(5.0, 0.6, on="tau")
    rest = stats.norm.logpdf(raw).sum() + np.log(2.0 / 0.6) + stats.t.logpdf(tau / 0.6, 5.0)
    given = {"tau": np.log(tau), "beta_raw": raw, "centre": centre, "variation": np.log(variation)}
    a = variation**-2
    counted = times @ stats.nbinom.logpmf(y, a, a / (a + np.exp(eta))) + np.log(2.0) + stats.t.logpdf(variation, 4.0)
    successes = times @ stats.binom.logpmf(y, 4, 1.0 / (1.0 + np.exp(-eta)))
    for model, wanted in (
        (negative_binomial(design, prior=prior, offset=offset), counted),
        (binomial(design, prior=prior, trials=4, offset=offset), successes),
    ):
        value = {rv.name: model.rvs_to_values[rv] for rv in model.free_RVs}
        point = {value[name].name: np.asarray(given[name]) for name in value}
        found = model.compile_logp(jacobian=False, mode="FAST_COMPILE")(point)
        assert float(found) == pytest.approx(wanted + rest, abs=1e-7)


@pytest.mark.mcmc
def test_poisson_model_has_the_density_written_out():
    """Log joint density of the PyMC model against scipy's densities, weights and offset included."""
    from scipy import stats

    from bayesridge.models.poisson import poisson

    rng = np.random.default_rng(4)
    X, offset, times = rng.standard_normal((12, 3)), np.linspace(-1.0, 1.0, 12), 1.0 + np.arange(12) % 2
    y = rng.poisson(2.0, 12).astype(float)
    design = build_design(X, y, weights=times, unpenalized=[2])
    model = poisson(design, prior=HalfT(5.0, 0.6, on="tau"), offset=offset)
    tau, raw, centre, gamma = 0.7, np.array([0.3, -1.1]), 0.4, np.array([-0.2])
    Z = (X - design.mean) / design.scale
    eta = offset + centre + Z[:, :2] @ (tau * raw) + Z[:, 2:] @ gamma
    wanted = times @ stats.poisson.logpmf(y, np.exp(eta)) + stats.norm.logpdf(raw).sum()
    wanted += np.log(2.0 / 0.6) + stats.t.logpdf(tau / 0.6, 5.0)
    value = {rv.name: model.rvs_to_values[rv] for rv in model.free_RVs}
    given = {"tau": np.log(tau), "beta_raw": raw, "centre": centre, "gamma": gamma}
    point = {value[name].name: np.asarray(one) for name, one in given.items()}
    found = model.compile_logp(jacobian=False, mode="FAST_COMPILE")(point)
    # two libraries with log-gamma functions of their own
    assert float(found) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize(
    ("fit", "loo"), [("fit3", False), *(pytest.param(fit, True, marks=pytest.mark.slow) for fit in ("fit2", "fit3"))]
)
def test_wells_of_rstanarm(fit, loo):
    """Medians and leave-one-out of the published fit; its N(0, 2.5) on the centred intercept is flat here."""
    figures = published("wells_logistic")["fits"][fit]
    wells = table("ros/wells.csv")
    X = np.column_stack([wells["dist"] / 100.0 if name == "dist100" else wells[name] for name in figures["cols"]])
    post = posterior(X, wells["switch"], family="binomial", prior=FixedTau(2.5), scale=X.std(axis=0, ddof=1))
    medians = np.r_[post.intercept.median, post.coefficients.median]
    # the largest standard error that the certificate allows is .05 sd
    np.testing.assert_allclose(medians, figures["exact_median"], atol=2.36 * 0.05 * min(figures["exact_mad"]))
    np.testing.assert_allclose(medians, np.array(figures["published"]["coef"])[:, 0], atol=0.012)
    if loo:  # of 3,020 rows: seconds
        assert post.loo.elpd_loo == pytest.approx(figures["exact_elpd_loo"], abs=0.02)
        assert post.loo.p_loo == pytest.approx(figures["exact_p_loo"], abs=0.05)
