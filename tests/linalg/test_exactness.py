"""Everything the engine says about a posterior, against dense algebra and brute-force integration."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from bayesridge import (
    BetaR2,
    Custom,
    Gamma,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    LogNormal,
)
from bayesridge.errors import AccuracyWarning, NoSignalWarning
from bayesridge.fit import posterior
from bayesridge.hyper.evidence import log_evidence
from bayesridge.linalg.design import build_design
from bayesridge.linalg.spectrum import factorize
from tests.truth.dense import Problem, Reference, integrate, log_density_of_y, write_out


def _data(n: int, p: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(0.5, 3.0, p) + np.linspace(-2, 5, p)
    return X, X @ rng.standard_normal(p) * 0.4 + rng.standard_normal(n) + 3.0


def _problems() -> dict[str, Problem]:
    rng = np.random.default_rng(7)
    X, y = _data(24, 4)
    wide_X, wide_y = _data(12, 20, 1)
    square_X, square_y = _data(12, 12, 2)
    orthogonal = np.linalg.qr(rng.standard_normal((16, 4)) - 0.0)[0]
    orthogonal -= orthogonal.mean(axis=0)
    tied = np.linalg.qr(orthogonal)[0] * 3.0
    counts = rng.integers(0, 4, 24).astype(float)
    precisions = np.r_[0.0, rng.uniform(0.2, 5.0, 23)]
    return {
        "tall": Problem(X, y),
        "square": Problem(square_X, square_y),
        "one more row": Problem(square_X[:, :11], square_y),
        "wide": Problem(wide_X, wide_y),
        "rank-deficient": Problem(np.column_stack([X, X[:, 0] + X[:, 1]]), y),
        "duplicated columns": Problem(np.column_stack([X, X[:, :2]]), y),
        "tied singular values": Problem(tied, y[:16], scale=False),
        "frequency weights": Problem(X, y, weights=counts),
        "precision weights": Problem(X, y, weights=precisions, weight_kind="precision"),
        "unpenalised column": Problem(X, y, unpenalized=(1,)),
        "wide, unpenalised": Problem(wide_X, wide_y, unpenalized=(0, 3)),
        "weighted, unpenalised": Problem(X, y, weights=precisions, weight_kind="precision", unpenalized=(2,)),
        "no intercept": Problem(X, y, fit_intercept=False),
        "unscaled": Problem(X, y, scale=False),
    }


PROBLEMS = _problems()


@pytest.fixture(params=PROBLEMS, scope="module")
def problem(request: pytest.FixtureRequest) -> Problem:
    return PROBLEMS[request.param]


def _routes(problem: Problem) -> list[str]:
    n, p = problem.X.shape
    return ["auto", "svd", *(["gram"] if n > p else []), "dual"]


def test_evidence_is_a_dense_gaussian(problem: Problem) -> None:
    """log p(y | lambda, sigma) from the n x n covariance; 1e-10 of the largest term leaves room for its own inverse."""
    written = write_out(problem)
    options = problem.options
    options["unpenalized"] = problem.unpenalized
    design = build_design(problem.X, problem.y, **options)  # type: ignore[arg-type]
    spectrum = factorize(design)
    for lam in (0.01, 1.0, 30.0):
        for sigma in (0.3, 2.0):
            expected = log_density_of_y(written, lam, sigma)
            assert float(log_evidence(spectrum, lam, sigma)) == pytest.approx(expected, rel=1e-9, abs=1e-8)


def test_every_route_gives_the_same_evidence(problem: Problem) -> None:
    """The fast routes lose digits with the condition number, and say so; at lambda >= 0.1 these tables lose few."""
    options = problem.options
    design = build_design(problem.X, problem.y, **options)  # type: ignore[arg-type]
    exact = factorize(design, "svd")
    for route in _routes(problem):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            spectrum = factorize(design, route)  # type: ignore[arg-type]
        for lam in (0.1, 5.0):
            expected = float(log_evidence(exact, lam, 1.0))
            assert float(log_evidence(spectrum, lam, 1.0)) == pytest.approx(expected, rel=1e-7)


# -- the whole posterior -------------------------------------------------------------------------------------------


def _functionals(problem: Problem, new: np.ndarray) -> np.ndarray:
    """Rows on (gamma, beta): all coefficients in column order, the intercept, and the expected target at `new`."""
    written = write_out(problem)
    p = problem.X.shape[1]
    k = int(problem.fit_intercept)
    flat, penalized = list(problem.unpenalized), [j for j in range(p) if j not in problem.unpenalized]
    q = k + len(flat)
    coefficients = np.zeros((p, q + len(penalized)))
    for i, j in enumerate(flat):
        coefficients[j, k + i] = 1.0
    for i, j in enumerate(penalized):
        coefficients[j, q + i] = 1.0 / written.divisor[i]
    intercept = np.zeros((1, coefficients.shape[1]))
    intercept[0, :k] = 1.0
    return np.vstack([coefficients, intercept, new @ coefficients + intercept])


#: Log densities of (log lambda, log sigma), written with scipy.stats; `s` is the design's signal.
#: Jeffreys' 1/sigma^2 is 2 in log sigma.
PRIORS = {
    "R2": (
        {"prior": BetaR2(0.5, 0.5)},
        lambda t, v, s: stats.betaprime.logpdf(s * np.exp(-t), 0.5, 0.5) + np.log(s) - t + np.log(2.0),
    ),
    "half-normal ratio, inverse gamma": (
        {"prior": HalfNormal(0.7), "noise_prior": InverseGamma(2.0, 1.5)},
        lambda t, v, s: (
            stats.halfnorm.logpdf(np.exp(-t / 2), scale=0.7) - t / 2 - np.log(2.0)
            + stats.invgamma.logpdf(np.exp(2 * v), 2.0, scale=1.5) + 2 * v + np.log(2.0)
        ),
    ),
    "log-normal": (
        {"prior": LogNormal(3.0, 0.8)},
        lambda t, v, s: stats.norm.logpdf(t, np.log(3.0), 0.8) + np.log(2.0),
    ),
    "gamma, half-t noise": (
        {"prior": Gamma(2.0, 0.5), "noise_prior": HalfT(3.0, 2.0, on="sigma")},
        lambda t, v, s: (
            stats.gamma.logpdf(np.exp(t), 2.0, scale=2.0) + t
            + stats.t.logpdf(np.exp(v), 3.0, scale=2.0) + np.log(2.0) + v
        ),
    ),
    "half-Cauchy on tau, half-normal noise": (
        {"prior": HalfCauchy(1.5, on="tau"), "noise_prior": HalfNormal(3.0, on="sigma")},
        lambda t, v, s: (
            stats.halfcauchy.logpdf(np.exp(v - t / 2), scale=1.5) + v - t / 2 - np.log(2.0)
            + stats.halfnorm.logpdf(np.exp(v), scale=3.0) + v
        ),
    ),
    "gamma precisions": (
        {"prior": GammaPrecisions(1.5, 0.8, 2.0, 1.2)},
        lambda t, v, s: (
            stats.gamma.logpdf(np.exp(t - 2 * v), 1.5, scale=1 / 0.8) + t - 2 * v
            + stats.gamma.logpdf(np.exp(-2 * v), 2.0, scale=1 / 1.2) - 2 * v + np.log(2.0)
        ),
    ),
    "custom on R2": (
        {"prior": Custom(lambda r: stats.beta.logpdf(r, 2.0, 3.0), of="R2")},
        lambda t, v, s: (
            stats.beta.logpdf(1 / (1 + np.exp(t) / s), 2.0, 3.0)
            - np.logaddexp(0, t - np.log(s)) - np.logaddexp(0, np.log(s) - t) + np.log(2.0)
        ),
    ),
}  # fmt: skip


def _reference(problem: Problem, prior: str, new: np.ndarray) -> Reference:
    written = write_out(problem)
    # X'X + lambda I cannot be inverted far below the rounding of X'X; nothing is left there but for p >= n - 1
    grid = np.arange(-40.0 if problem.X.shape[1] >= len(problem.y) - 1 else -22.0, 70.0, 0.2)
    return integrate(written, _functionals(problem, new), lambda t, v: PRIORS[prior][1](t, v, written.signal), grid)


CASES = [(name, prior) for name in PROBLEMS for prior in ("R2", "custom on R2")] + [
    (name, prior)
    for name in ("tall", "wide", "precision weights")
    for prior in PRIORS
    if prior not in ("R2", "custom on R2")
]


@pytest.mark.parametrize(("name", "prior"), CASES)
def test_the_whole_posterior(name: str, prior: str) -> None:
    """Means, covariances, distribution functions and log p(y) to 1e-8.

    The reference's own grids (steps 0.2 in log lambda, 0.01 in log sigma, trapezoidal, ends below 1e-10) are good to
    1e-9: halving them changes nothing below that.
    """
    problem = PROBLEMS[name]
    new = problem.X[:3] + 0.7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoSignalWarning)
        post = posterior(problem.X, problem.y, **PRIORS[prior][0], **problem.options)  # type: ignore[arg-type]
    reference = _reference(problem, prior, new)
    close = 2e-8
    p = problem.X.shape[1]
    mean, covariance = reference.moments()
    size = np.sqrt(np.diag(covariance))
    assert post.log_marginal_likelihood == pytest.approx(reference.log_marginal, abs=close)
    assert np.abs(post.coefficients.mean - mean[:p]).max() <= close * size[:p].max()
    np.testing.assert_allclose(post.coefficients.sd, size[:p], rtol=close)
    np.testing.assert_allclose(
        post.covariance(), covariance[:p, :p], atol=close * size[:p].max() ** 2
    )  # fmt: skip
    if problem.fit_intercept:
        assert post.intercept.mean[0] == pytest.approx(mean[p], abs=close * size[p])
        assert post.intercept.sd[0] == pytest.approx(size[p], rel=close)
    found = post.predict(new)
    sigma2 = reference.expect(lambda lam, sigma: sigma**2)
    np.testing.assert_allclose(found.mean, mean[p + 1 :], atol=close * size[p + 1 :].max())
    np.testing.assert_allclose(found.mean_sd, size[p + 1 :], rtol=close)
    np.testing.assert_allclose(found.sd, np.sqrt(size[p + 1 :] ** 2 + sigma2), rtol=close)
    for q in (0.025, 0.5, 0.9):
        for j, value in enumerate(post.coefficients.quantile(q)):
            assert reference.cdf(j, float(value)) == pytest.approx(q, abs=close)
        for j, value in enumerate(found.quantile(q)):
            assert reference.cdf(p + 1 + j, float(value), extra=1.0) == pytest.approx(q, abs=close)
    # smooth functions of the hyperparameters, as integrals of their marginal densities
    assert post.sigma.moment(2) == pytest.approx(sigma2, rel=close)
    shrink = reference.expect(lambda lam, sigma: 1 / (1 + lam / write_out(problem).signal) + 0 * sigma)
    assert post.r2.mean == pytest.approx(shrink, rel=close)
    log_tau = reference.expect(lambda lam, sigma: np.log(sigma) - 0.5 * np.log(lam))
    edges, density = post.tau.edges, post.tau.log_density  # type: ignore[union-attr]
    x = np.linspace(edges[0], edges[-1], 20001)
    weight = np.exp(density(x)) * (x[1] - x[0])
    assert weight.sum() == pytest.approx(1.0, abs=1e-8)
    assert weight @ x == pytest.approx(log_tau, abs=close * max(1.0, abs(log_tau)))
