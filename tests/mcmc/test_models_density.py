"""The models are what their docstrings say: densities held against the exact engine and against scipy.

For Gaussian models there is an identity without sampling. Given the scales, the log joint density is quadratic in the
coefficients theta (flat directions included), so that integrating them out is

    log p(y, scales) = log p(y, theta*, scales) + dim(theta)/2 log 2 pi - 1/2 log det H,

theta* the ridge solution and H the (dense) negative second derivative. The left side is the exact engine's evidence
plus log priors.
"""

import numpy as np
import pytest
from scipy import stats

from bayesridge.design.design import build_design
from bayesridge.errors import PriorError
from bayesridge.hyper.evidence import log_evidence
from bayesridge.linalg.filters import standardized_coefficients
from bayesridge.linalg.spectrum import factorize
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedScales,
    FixedSigma,
    FixedTau,
    Gamma,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Jeffreys,
    LogNormal,
)

pytestmark = pytest.mark.mcmc

N = 12
# PyTensor takes the logarithm of a constant such as 7.0, which fits single precision, in single precision: 2e-8 a term
ROUNDING = 1e-6


def problem(kind=None, unpenalized=(), p=3, fit_intercept=True, **options):
    rng = np.random.default_rng(11)
    X = rng.standard_normal((N, p)) * np.linspace(1.0, 20.0, p) + 3.0
    y = 50.0 + 10.0 * (X[:, 0] + rng.standard_normal(N))
    if kind == "frequency":
        options |= {"weights": rng.integers(0, 4, N).astype(float), "weight_kind": kind}
    if kind == "precision":
        options |= {"weights": np.r_[0.0, rng.uniform(0.2, 3.0, N - 1)], "weight_kind": kind}
    design = build_design(X, y, unpenalized=unpenalized, fit_intercept=fit_intercept, **options)
    return design, factorize(design)


def density(model, **values):
    """Log density of a model, on its own variables (no Jacobians of the sampler's transformations)."""
    return density_of(model)(**values)


def density_of(model):
    """The same as a function, compiled once."""
    import pytensor.tensor as pt

    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")

    def log_density(**values):
        point = {}
        for variable in model.free_RVs:
            value = model.rvs_to_values[variable]
            transform = model.rvs_to_transforms[variable]
            given = np.asarray(values[variable.name], dtype=float)
            point[value.name] = (
                given
                if transform is None
                else transform.forward(pt.constant(given), *variable.owner.inputs).eval(mode="FAST_COMPILE")
            )
        return float(logp(point))

    return log_density


def solution(design, spectrum, lam):
    """The ridge solution (centre, gamma, beta) and the dense design of all directions, root-weighted."""
    beta = standardized_coefficients(spectrum, lam)
    X, Z = design.standardize(design.X, design.penalized), design.standardize(design.X, design.unpenalized)
    gamma = np.zeros(0) if spectrum.flat is None else spectrum.on_flat - spectrum.flat.on_predictors @ beta
    flat = [np.ones((N, 1))] if design.fit_intercept else []
    A = np.hstack([*flat, Z, X]) * (1.0 if design.weights is None else np.sqrt(design.weights)[:, None])
    return {"centre": design.y_mean, "gamma": gamma, "beta": beta}, A


def integrated(log_joint, A, p, sigma, tau):
    """Add the Gaussian integral over all coefficients."""
    k = A.shape[1]
    H = A.T @ A / sigma**2 + np.diag(np.r_[np.zeros(k - p), np.full(p, tau**-2.0)])
    return log_joint + 0.5 * k * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(H)[1]


def evidence(design, spectrum, lam, sigma):
    """The engine's flat directions are columns in the units of the data, the models' are scaled: a constant apart."""
    scaled = np.log(design.scale[design.unpenalized]).sum()
    return float(log_evidence(spectrum, lam, sigma)) + scaled


PROBLEMS = [
    {},
    {"kind": "precision"},
    {"kind": "frequency"},
    {"unpenalized": (1,), "kind": "precision"},
    {"p": 20},
    {"fit_intercept": False},
]


@pytest.mark.parametrize(("options", "centred"), [(one, i % 2 == 0) for i, one in enumerate(PROBLEMS)])
def test_conjugate_model_integrates_to_the_evidence(options, centred):
    from bayesridge.models.conjugate import conjugate

    design, spectrum = problem(**options)
    sigma, lam = 7.0, 2.5
    tau, r2 = sigma / np.sqrt(lam), design.signal / (design.signal + lam)
    model = conjugate(design, prior=BetaR2(0.7, 1.3), noise_prior=Jeffreys(), centred=centred)
    at, A = solution(design, spectrum, lam)
    log_joint = density(model, r2=r2, log_sigma=np.log(sigma), beta_raw=at["beta"] / tau, **at)
    p = spectrum.n_features
    if not centred:
        log_joint -= p * np.log(tau)  # the density of beta_raw, as one of beta
    expected = evidence(design, spectrum, lam, sigma) + stats.beta(0.7, 1.3).logpdf(r2) + np.log(2.0)
    assert integrated(log_joint, A, p, sigma, tau) == pytest.approx(expected, abs=ROUNDING)


def on_scale(density, value):
    """Density of a positive scalar from that of its logarithm."""
    return float(density(np.log(value)) - np.log(value))


SCALES = [
    (LogNormal(3.0, 1.2), InverseGamma(2.0, 40.0)),
    (Gamma(1.5, 0.4), HalfT(3.0, 10.0, on="sigma")),
    (HalfCauchy(0.5), HalfNormal(9.0, on="sigma")),
    (HalfT(4.0, 0.3), HalfCauchy(8.0, on="sigma")),
    (Custom(lambda lam: -0.5 * lam, of="lambda"), Custom(lambda s: -0.1 * s, of="sigma")),
    (Custom(lambda r: -3.0 * r, of="tau/sigma"), Jeffreys()),
    (Custom(lambda r2: 2.0 * np.log(r2), of="R2"), Jeffreys()),
    (HalfNormal(6.0, on="tau"), Jeffreys()),
    (HalfCauchy(6.0, on="tau"), InverseGamma(2.0, 40.0)),
    (HalfT(3.0, 6.0, on="tau"), HalfT(3.0, 10.0, on="sigma")),
    (Custom(lambda t: -0.2 * t, of="tau"), Jeffreys()),
    (FixedTau(4.0), HalfNormal(9.0, on="sigma")),
    (FixedLambda(2.5), Jeffreys()),
    (GammaPrecisions(1.2, 30.0, 0.8, 50.0), Jeffreys()),
    (BetaR2(0.7, 1.3), Jeffreys()),
    (BetaR2(0.7, 1.3), FixedSigma(7.0)),
    (HalfCauchy(6.0, on="tau"), FixedSigma(7.0)),
]


def collapsed_density(spectrum, prior, noise, sigma, tau):
    """Log density of the collapsed model, as one of (log lambda, log sigma) or of the one of them that is free."""
    from bayesridge.models.collapsed import collapsed

    model = collapsed(spectrum, prior=prior, noise_prior=noise)
    free = {variable.name for variable in model.free_RVs}
    at = {"log_lambda": np.log((sigma / tau) ** 2), "noise": 0.0}
    point, slope = {name: at[name] for name in free}, 0.0
    if "noise" in free:  # log sigma is linear in it
        of_noise = model.compile_fn(model.replace_rvs_by_values([model["sigma"]]), mode="FAST_COMPILE")
        v0, v1 = (float(np.log(of_noise(point | {"noise": x}))[0]) for x in (0.0, 1.0))
        point["noise"], slope = (np.log(sigma) - v0) / (v1 - v0), np.log(v1 - v0)
    return density(model, **point) - slope, free


@pytest.mark.parametrize(("prior", "noise"), SCALES, ids=lambda prior: prior.text)
def test_collapsed_model_is_the_evidence_with_the_priors_of_the_engine(prior, noise):
    _, spectrum = problem(unpenalized=(1,))
    sigma = noise.sigma if isinstance(noise, FixedSigma) else 7.0
    tau = prior.tau if isinstance(prior, FixedTau) else 4.2
    lam = prior.lam if isinstance(prior, FixedLambda) else (sigma / tau) ** 2
    tau = sigma / np.sqrt(lam)
    found, free = collapsed_density(spectrum, prior, noise, sigma, tau)
    fixed = {"log_lambda"} if isinstance(prior, (FixedLambda, FixedTau)) else set()
    fixed |= {"noise"} if isinstance(noise, FixedSigma) else set()
    assert free == {"log_lambda", "noise"} - fixed
    expected = float(log_evidence(spectrum, lam, sigma))
    if isinstance(prior, GammaPrecisions):
        # |d precision / d log scale| = 2 precision, and log tau is half of log lambda away from log sigma
        expected += stats.gamma(0.8, scale=1 / 50.0).logpdf(sigma**-2) + np.log(2.0 * sigma**-2)
        expected += stats.gamma(1.2, scale=1 / 30.0).logpdf(tau**-2) + np.log(2.0 * tau**-2) - np.log(2.0)
    else:
        if "noise" in free:
            expected += float(noise.log_density(np.array(np.log(sigma))))
        if prior.known is None:
            expected += float(prior.given_sigma(np.array(np.log(lam)), np.log(sigma), spectrum.signal))
    assert found == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(
    ("prior", "noise"),
    [(FixedScales(1.0, 2.0), Jeffreys()), (FixedTau(1.0), FixedSigma(2.0)), (FixedLambda(1.0), FixedSigma(2.0))],
)
def test_collapsed_model_with_nothing_to_sample_is_refused(prior, noise):
    from bayesridge.models.collapsed import collapsed

    _, spectrum = problem()
    with pytest.raises(PriorError, match="nothing to sample"):
        collapsed(spectrum, prior=prior, noise_prior=noise)


@pytest.mark.parametrize(("prior", "noise"), [SCALES[7], SCALES[9], SCALES[11]], ids=lambda prior: prior.text)
def test_hierarchical_model_integrates_to_the_collapsed_one(prior, noise):
    from bayesridge.models.hierarchical import hierarchical

    design, spectrum = problem(kind="frequency")
    sigma, tau = 7.0, prior.tau if isinstance(prior, FixedTau) else 3.0
    lam = (sigma / tau) ** 2
    at, A = solution(design, spectrum, lam)
    values = {"sigma": sigma, "log_sigma": np.log(sigma), "tau": tau}
    log_joint = density(hierarchical(design, prior=prior, noise_prior=noise, centred=True), **at, **values)
    expected, _ = collapsed_density(spectrum, prior, noise, sigma, tau)
    # densities of (log lambda, log sigma) in one model; of tau, and of sigma or its logarithm, in the other
    expected += 0.0 if isinstance(prior, FixedTau) else np.log(2.0 / tau)
    expected += 0.0 if isinstance(noise, Jeffreys) else np.log(1.0 / sigma)
    assert integrated(log_joint, A, 3, sigma, tau) == pytest.approx(expected, abs=ROUNDING)


def test_gamma_precisions_model_integrates_to_the_collapsed_one():
    from bayesridge.models.gamma_precisions import gamma_precisions

    prior = GammaPrecisions(1.2, 30.0, 0.8, 50.0)
    design, spectrum = problem()
    sigma, tau = 7.0, 3.0
    at, A = solution(design, spectrum, (sigma / tau) ** 2)
    values = {"noise_precision": sigma**-2, "prior_precision": tau**-2}
    log_joint = density(gamma_precisions(design, prior=prior, centred=True), **at, **values)
    expected, _ = collapsed_density(spectrum, prior, Jeffreys(), sigma, tau)
    # log sigma = -log(a) / 2 and log lambda = log(b) - log(a) of the precisions a and b
    expected += np.log(0.5 * sigma**2) + np.log(tau**2)
    assert integrated(log_joint, A, 3, sigma, tau) == pytest.approx(expected, abs=ROUNDING)


def test_fixed_model_integrates_to_the_evidence_and_its_mode_is_ridge():
    from bayesridge.models.fixed import fixed

    design, spectrum = problem()
    sigma, tau = 7.0, 3.0
    lam = (sigma / tau) ** 2
    model = fixed(design, sigma=sigma, tau=tau)
    at, A = solution(design, spectrum, lam)
    log_joint = density(model, **at)
    assert integrated(log_joint, A, 3, sigma, tau) == pytest.approx(
        evidence(design, spectrum, lam, sigma), abs=ROUNDING
    )
    for shift in np.eye(3) * 1e-3:
        assert density(model, **(at | {"beta": at["beta"] + shift})) < log_joint


def test_a_frequency_weight_is_a_repeated_row():
    from bayesridge.models.conjugate import conjugate

    design, _ = problem(kind="frequency")
    times = design.weights.astype(int)
    long = build_design(np.repeat(design.X, times, axis=0), np.repeat(design.y, times))
    values = {"r2": 0.4, "log_sigma": 1.9, "centre": 40.0, "beta": np.array([3.0, -2.0, 0.5])}
    a, b = (
        density(conjugate(one, prior=BetaR2(), noise_prior=Jeffreys(), centred=True), **values)
        for one in (design, long)
    )
    assert a == pytest.approx(b, abs=ROUNDING)


# -- models beyond the exact engine: scipy's densities, term by term -------------------------------------------------

BETA, CENTRE, SIGMA, LAM = np.array([3.0, -2.0, 0.5]), 40.0, 6.0, 2.0


def common(design):
    tau = SIGMA / np.sqrt(LAM)
    mean = CENTRE + design.standardize(design.X, design.penalized) @ BETA
    r2 = design.signal / (design.signal + LAM)
    log_prior = stats.beta(0.5, 0.5).logpdf(r2) + np.log(2.0)
    return tau, mean, r2, log_prior, {"r2": r2, "log_sigma": np.log(SIGMA), "centre": CENTRE, "beta": BETA}


def test_robust_model():
    from bayesridge.models.robust import robust

    design, _ = problem(kind="precision")
    tau, mean, _, log_prior, values = common(design)
    seen = design.weights > 0
    noise = stats.t(4.0, mean[seen], SIGMA / np.sqrt(design.weights[seen])).logpdf(design.y[seen]).sum()
    expected = noise + stats.norm(0, tau).logpdf(BETA).sum() + stats.gamma(2.0, scale=10.0).logpdf(4.0) + log_prior
    model = robust(design, prior=BetaR2(), noise_prior=Jeffreys(), nu_shape=2.0, nu_rate=0.1, centred=True)
    assert density(model, nu=4.0, **values) == pytest.approx(expected, abs=ROUNDING)


def test_lasso_model():
    from bayesridge.models.lasso import lasso

    design, _ = problem()
    tau, mean, _, log_prior, values = common(design)
    laplace = stats.laplace(0.0, tau / np.sqrt(2.0))
    assert laplace.std() == pytest.approx(tau)
    # the density of beta_raw = beta / tau is that of beta times tau^3
    expected = stats.norm(mean, SIGMA).logpdf(design.y).sum() + laplace.logpdf(BETA).sum() + 3 * np.log(tau) + log_prior
    model = lasso(design, prior=BetaR2(), noise_prior=Jeffreys())
    assert density(model, beta_raw=BETA / tau, **values) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("mix", [0.02, 0.4, 0.95])
def test_elastic_net_model_is_normalised(mix):
    from scipy.integrate import quad

    from bayesridge.models.elastic_net import elastic_net

    design, _ = problem()
    tau, mean, _, log_prior, values = common(design)

    def shape(u):
        return np.exp(-np.sqrt(2.0) * mix * abs(u) - 0.5 * (1.0 - mix) * u * u)

    constant = 2.0 * quad(shape, 0.0, 60.0, epsabs=0.0, epsrel=1e-12)[0]
    raw = BETA / tau
    expected = (
        stats.norm(mean, SIGMA).logpdf(design.y).sum() + np.log(shape(raw)).sum() - 3 * np.log(constant)
        + stats.beta(2.0, 3.0).logpdf(mix) + log_prior
    )  # fmt: skip
    model = elastic_net(design, prior=BetaR2(), noise_prior=Jeffreys(), mix_a=2.0, mix_b=3.0)
    assert density(model, beta_raw=raw, mix=mix, **values) == pytest.approx(expected, abs=ROUNDING)


def test_horseshoe_model():
    from bayesridge.models.horseshoe import horseshoe

    design, _ = problem()
    _, _, _, _, values = common(design)
    local, slab_raw, global_raw, raw = np.array([0.3, 2.0, 9.0]), 1.7, 0.8, np.array([0.5, -1.0, 2.0])
    t = global_raw * 1.0 / (3.0 - 1.0) * SIGMA / np.sqrt(N)
    c = 20.0 * np.sqrt(slab_raw)
    scale = t * local * c / np.sqrt(c**2 + t**2 * local**2)
    mean = CENTRE + design.standardize(design.X, design.penalized) @ (scale * raw)
    expected = (
        stats.norm(mean, SIGMA).logpdf(design.y).sum() + stats.halfcauchy.logpdf([*local, global_raw]).sum()
        + stats.invgamma(2.0, scale=2.0).logpdf(slab_raw) + stats.norm.logpdf(raw).sum() + np.log(2.0)
    )  # fmt: skip
    model = horseshoe(design, noise_prior=Jeffreys(), expected_nonzero=1.0, slab_scale=20.0, slab_df=4.0)
    values |= {"local": local, "slab_raw": slab_raw, "global_raw": global_raw, "beta_raw": raw}
    assert density(model, **values) == pytest.approx(expected, abs=ROUNDING)


def test_r2d2_model_and_its_limit():
    from bayesridge.models.r2d2 import r2d2

    design, _ = problem()
    tau, _, _, log_prior, values = common(design)
    phi, raw = np.array([0.2, 0.7, 0.1]), np.array([0.5, -1.0, 2.0])
    mean = CENTRE + design.standardize(design.X, design.penalized) @ (tau * np.sqrt(3.0 * phi) * raw)
    expected = (
        stats.norm(mean, SIGMA).logpdf(design.y).sum() + stats.dirichlet([0.5] * 3).logpdf(phi)
        + stats.norm.logpdf(raw).sum() + log_prior
    )  # fmt: skip
    model = r2d2(design, prior=BetaR2(), noise_prior=Jeffreys(), concentration=0.5)
    assert density(model, phi=phi, **(values | {"beta_raw": raw})) == pytest.approx(expected, abs=ROUNDING)


def test_logistic_model():
    from bayesridge.models.logistic import logistic

    rng = np.random.default_rng(0)
    design = build_design(rng.standard_normal((N, 3)), rng.integers(0, 2, N).astype(float))
    eta = 0.3 + design.standardize(design.X, design.penalized) @ BETA
    expected = (
        -np.log1p(np.exp(np.where(design.y == 1, -eta, eta))).sum() + stats.norm(0, 2.5).logpdf(BETA).sum()
        + stats.norm(0, 1.5).logpdf(0.3)
    )  # fmt: skip
    model = logistic(design, tau=2.5, intercept_sd=1.5)
    assert density(model, centre=0.3, beta=BETA) == pytest.approx(expected, abs=ROUNDING)
