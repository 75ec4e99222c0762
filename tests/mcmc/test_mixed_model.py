"""The model of several penalties is what its docstring says, and the engines integrate it.

As in ``test_models_density``: given the scales, the log density is quadratic in the coefficients, so that integrating
them takes its value where it is highest and its curvature, both here from dense algebra that knows no engine.
"""

import numpy as np
import pandas as pd
import pytest

from bayesridge import BayesRidge
from bayesridge.design.design import build_design
from bayesridge.design.levels import LevelRows, Levels
from bayesridge.engines.groups import group_engine
from bayesridge.errors import DataError, PriorError
from bayesridge.hyper.target import Target
from bayesridge.priors import BetaR2, HalfT, Jeffreys, LogNormal
from bayesridge.priors.groups import ByGroup
from tests.mcmc.test_models_density import ROUNDING, density_of

pytestmark = pytest.mark.mcmc

N, SIGMA = 14, 7.0


def table():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((N, 4)) * [1.0, 20.0, 0.1, 3.0] + 5.0
    return X, 50.0 + 10.0 * (X[:, 0] + rng.standard_normal(N)), np.arange(N) % 3, (np.arange(N) * 5) % 4


def columns(**options):
    X, y, *_ = table()
    design = build_design(X, y, unpenalized=(3,), **options)
    return group_engine(design, {"one": ["x0", "x2"], "other": ["x1"]}, {})


def levels(*, slopes=False, **options):
    """Crossed intercepts, or correlated intercepts and slopes beside the other's intercepts; one level has no rows."""
    X, y, shop, day = table()
    slope = (np.column_stack([np.ones(N), X[:, 1]]), ("", "x1")) if slopes else (None, ("",))
    rows = LevelRows(X[:, :2], (Levels("day", day, tuple("abcd")), Levels("shop", shop, tuple("pqrs"), *slope)))
    return group_engine(
        build_design(rows, y, names=("x0", "x1", *rows.names), unpenalized=(0,), **options), {"n": ["x1"]}, {}
    )


WEIGHTED = {"weights": np.r_[0.0, np.linspace(0.5, 3.0, N - 1)], "weight_kind": "precision"}
COUNTED = {"weights": np.r_[2.0, 0.0, np.arange(1.0, N - 1)], "weight_kind": "frequency"}
ENGINES = {
    "groups": lambda: columns(**WEIGHTED),
    "crossed": lambda: levels(fit_intercept=False, **COUNTED),
    "correlated": lambda: levels(slopes=True),
}


def dense(engine, lam, rho):
    """Penalised columns, slopes last, and the covariance of their coefficients over sigma^2, from names alone."""
    names = engine.design.names
    of = {"x0": "one", "x1": "other" if "other" in lam else "n", "x2": "one"}
    rest = [j for j in range(len(names)) if j not in engine.design.unpenalized]
    rest.sort(key=lambda j: "]:" in names[j])
    covariance = np.zeros((len(rest), len(rest)))
    for a, j in enumerate(rest):
        group, _, part = names[j].partition("]:")
        group = of.get(group, group.split("[")[0])
        covariance[a, a] = 1.0 / lam[f"{group}:{part}" if part else group]
        if part:
            b = rest.index(names.index(names[j].split(":")[0]))
            covariance[a, b] = covariance[b, a] = rho / np.sqrt(lam[group] * lam[f"{group}:{part}"])
    return rest, covariance


@pytest.mark.parametrize("name", ENGINES)
def test_integrates_to_the_evidence_of_the_engine(name):
    from bayesridge.models.mixed import mixed

    engine = ENGINES[name]()
    design, G = engine.design, len(engine.names)
    theta = np.array([0.7, -0.9, 1.6, 3.0][:G] + [0.8] * len(engine.pairs))
    lam, rho = np.exp(theta[:G]), np.tanh(0.8)
    prior = ByGroup(engine.names, (BetaR2(0.7, 1.3), LogNormal(3.0, 2.0), BetaR2(), HalfT(3.0, 1.5))[:G])
    rest, covariance = dense(engine, dict(zip(engine.names, lam, strict=True)), rho)
    ones = [np.ones((N, 1))] if design.fit_intercept else []
    A = np.hstack([*ones, design.standardize(design.X, design.unpenalized), design.standardize(design.X, rest)])
    k, weights = A.shape[1] - len(rest), np.ones(N) if design.weights is None else design.weights
    H = A.T @ (weights[:, None] * A) / SIGMA**2
    H[k:, k:] += np.linalg.inv(covariance) / SIGMA**2
    best = np.linalg.solve(H, A.T @ (weights * design.y) / SIGMA**2)

    of_scales = {"log_sigma": np.log(SIGMA), "rho": [rho]}
    for one, each, signal in zip(engine.names, lam, engine.signals, strict=True):
        of_scales |= {f"{one}::r2": signal / (signal + each), f"{one}::lambda_": each, f"{one}::ratio": each**-0.5}
    root = SIGMA * np.linalg.cholesky(covariance)
    of_model = density_of(mixed(engine, prior=prior, noise_prior=Jeffreys()))

    def log_joint(at):
        """As a density of the coefficients: the model's are a root of their covariance times standard normals."""
        raw = np.empty(len(rest))
        raw[np.argsort(np.argsort(rest))] = np.linalg.solve(root, at[k:])
        here = {"centre": at[0], "gamma": at[k - len(design.unpenalized) : k], "beta_raw": raw}
        return of_model(**here, **of_scales) - np.log(np.diag(root)).sum()

    top = log_joint(best)
    step = 0.3 * np.random.default_rng(0).standard_normal(len(best)) / np.sqrt(np.diag(H))
    assert log_joint(best + step) == pytest.approx(top - 0.5 * step @ H @ step, abs=10 * ROUNDING)

    found = top + 0.5 * len(best) * np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(H)[1]
    target = Target(engine, prior, None, float(np.log(SIGMA)))
    expected = target.constant + target(theta[None])[0][0]  # a density of log lambda and atanh rho
    W = np.array(engine.signals) / lam
    of_r2 = W / (1.0 + W) ** 2  # slopes of R^2, lambda, R^2 and tau/sigma in log lambda
    slopes = [of_r2[0], lam[1], of_r2[min(2, G - 1)], 0.5 * lam[-1] ** -0.5][:G] + [1.0 - rho**2] * len(engine.pairs)
    scaled = np.log(design.scale[design.unpenalized]).sum()  # the engine's flat columns are in the units of the data
    assert found == pytest.approx(expected - np.log(slopes).sum() + scaled + np.log(2.0), abs=10 * ROUNDING)


def test_one_penalty_and_priors_on_tau_are_refused():
    from bayesridge.models.mixed import mixed

    X, y, *_ = table()
    with pytest.raises(DataError, match="with one lambda take conjugate"):
        mixed(build_design(X, y), prior=BetaR2(), noise_prior=Jeffreys())
    with pytest.raises(PriorError, match="one of R², lambda or tau/sigma"):
        mixed(columns(), prior=HalfT(3.0, 1.0, on="tau"), noise_prior=Jeffreys())


def slopes_of_ten():
    rng = np.random.default_rng(7)
    g, x = np.repeat(np.arange(10), 8), rng.standard_normal(80)
    a, b = rng.standard_normal((2, 10))
    y = 1.0 + a[g] + (0.5 + 0.4 * a[g] + 0.5 * b[g]) * x + rng.standard_normal(80)
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{k}" for k in g]})


def scores(posterior, found):
    """What draws are off by, in their standard errors: quantiles of scales, moments and quantiles of effects."""
    import arviz as az

    drawn = {"sigma": found["sigma"].values, "rho[g]": found["rho"].values[..., 0]}
    drawn |= {f"tau[{name}]": found["tau"].sel(penalty=name).values for name in posterior.engine.names}
    exact = {name: posterior.scales[name] for name in drawn}
    out = {}
    for name, values in drawn.items():
        for q in (0.05, 0.25, 0.5, 0.75, 0.95):
            below = (values <= float(exact[name].quantile(q))).astype(float)
            out[name, q] = (below.mean() - q) / float(az.mcse(below, method="mean"))
        for moment in ("mean", "sd") if name in ("sigma", "rho[g]") else ():
            value = values.mean() if moment == "mean" else values.std(ddof=1)
            out[name, moment] = (value - getattr(exact[name], moment)) / float(az.mcse(values, method=moment))
    design = posterior.design
    of_flat = {"x": found["gamma"].values[..., 0] / design.scale[design.names.index("x")]}
    effects = {str(name): found["beta"].sel(penalized=name).values for name in found["penalized"].values}
    for name, values in (of_flat | effects).items():
        one = posterior.coefficients.take(np.array([list(design.names).index(name)]))
        out[name, "mean"] = (values.mean() - one.mean[0]) / float(az.mcse(values, method="mean"))
        out[name, "sd"] = (values.std(ddof=1) - one.sd[0]) / float(az.mcse(values, method="sd"))
    return out


@pytest.mark.slow
def test_draws_of_correlated_slopes_are_those_of_the_exact_posterior():
    import arviz as az
    import pymc as pm

    from bayesridge.models.mixed import mixed

    data, formula = slopes_of_ten(), "y ~ x + (x | g)"
    right = BayesRidge(formula=formula).fit(data).posterior_
    model = mixed(right.engine, prior=right.prior, noise_prior=Jeffreys())
    options = {"draws": 2000, "tune": 1500, "chains": 4, "cores": 1, "random_seed": 5, "target_accept": 0.99}
    found = pm.sample(model=model, progressbar=False, **options)["posterior"].to_dataset()
    assert float(az.rhat(found[["sigma", "tau", "rho"]]).to_array().max()) < 1.01
    z = scores(right, found)
    assert max(map(abs, z.values())) < 4.0, {key: round(value, 1) for key, value in z.items() if abs(value) >= 4.0}
    # and another prior of the scales would have been found out
    other = BayesRidge(formula=formula, prior=BetaR2(2.0, 1.0)).fit(data).posterior_
    assert max(map(abs, scores(other, found).values())) > 8.0


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (1 | g) + s(x, k=6)", "y ~ x + (1 | g)"])
def test_chains_of_the_model_are_a_posterior_of_the_table(formula, monkeypatch, tmp_path):
    """Draws of the exact posterior in the model's variables, as if chains had brought them."""
    import xarray as xr

    from bayesridge import load
    from bayesridge.mcmc import sampling
    from bayesridge.mcmc.chains import Chains

    data = slopes_of_ten()
    formula = formula.replace("x + (1 | g) +", "(1 | g) +")
    exact = BayesRidge(formula=formula).fit(data).posterior_
    drawn, design = exact.draw(40, 2, 1), exact.design
    several = exact.has_terms
    columns = np.flatnonzero(exact.engine.penalties >= 0) if several else design.penalized
    in_scale = design.coordinates(drawn.coef)
    values = {
        "centre": (("chain", "draw"), drawn.intercept + drawn.coef @ design.mean),
        "gamma": (("chain", "draw", "unpenalized"), in_scale[..., design.unpenalized]),
        "beta": (("chain", "draw", "penalized"), in_scale[..., columns]),
        "sigma": (("chain", "draw"), drawn.sigma),
    }
    dims = ("chain", "draw", "penalty") if several else ("chain", "draw")
    values |= {"tau": (dims, drawn.tau), "lambda_": (dims, drawn.lam)}
    if "rho[g]" in drawn.extra:
        values["rho"] = (("chain", "draw", "correlated"), drawn.extra["rho[g]"][..., None])
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 40), dtype=bool))})
    chains = Chains(xr.Dataset(values), stats, "none", "none", 1.0, 1.0, 2, 40, 10, False)
    monkeypatch.setattr(sampling, "sample_chains", lambda *_, **__: chains)
    monkeypatch.setattr(sampling, "choose_model", lambda *_, **__: ("conjugate", None))

    fit = BayesRidge(formula=formula, method="nuts", random_state=3).fit(data)
    found = fit.posterior_
    assert set(exact.scales) == set(found.scales)
    known = columns if several else np.concatenate([design.penalized, design.unpenalized])
    np.testing.assert_allclose(found.coefficients.values[..., known], drawn.coef[..., known], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        found.levels("g").mean[:-1], drawn.coef.mean((0, 1))[exact.design.blocks[-1].columns][:-1]
    )
    with pytest.warns(UserWarning, match="elsewhere"):
        new = fit.predictive(pd.DataFrame({"x": [0.0, 0.0], "g": ["g0", "elsewhere"]})).expected
    assert new.sd[1] > 1.5 * new.sd[0]  # a level without rows has the spread of the prior
    assert ("lambda[" in repr(found)) == several
    fit.save(tmp_path / "sampled.bridge")
    again = load(tmp_path / "sampled.bridge").posterior_
    np.testing.assert_array_equal(again.coefficients.values, found.coefficients.values)
    assert list(again.scales) == list(found.scales)
    if several:
        with pytest.raises(DataError, match=r"several lambdas: ask scales for one of lambda\["):
            _ = found.lambda_
