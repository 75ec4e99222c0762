"""The Poisson posterior against NUTS on its PyMC model, and the binomial one against rstanarm's published fit."""

import numpy as np
import pytest

from bayesridge import FixedTau, HalfT, posterior
from bayesridge.linalg.design import build_design
from bayesridge.mcmc.chains import sample_chains
from tests.mcmc.agreement import LIMIT, PYMC
from tests.truth.published import published, table


@pytest.mark.slow
@pytest.mark.mcmc
@pytest.mark.xdist_group("mcmc")
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


@pytest.mark.parametrize("fit", ["fit2", "fit3"])
def test_wells_of_rstanarm(fit):
    """Medians and leave-one-out of the published fit; its N(0, 2.5) on the centred intercept is flat here."""
    figures = published("wells_logistic")["fits"][fit]
    wells = table("ros/wells.csv")
    X = np.column_stack([wells["dist"] / 100.0 if name == "dist100" else wells[name] for name in figures["cols"]])
    post = posterior(X, wells["switch"], family="binomial", prior=FixedTau(2.5), scale=X.std(axis=0, ddof=1))
    medians = np.r_[post.intercept.median, post.coefficients.median]
    # the largest standard error that the certificate allows is .05 sd
    np.testing.assert_allclose(medians, figures["exact_median"], atol=2.36 * 0.05 * min(figures["exact_mad"]))
    np.testing.assert_allclose(medians, np.array(figures["published"]["coef"])[:, 0], atol=0.012)
    assert post.loo.elpd_loo == pytest.approx(figures["exact_elpd_loo"], abs=0.02)
    assert post.loo.p_loo == pytest.approx(figures["exact_p_loo"], abs=0.05)
