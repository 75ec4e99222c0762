"""Lambda given: every number has a textbook form, held here against scipy's distributions and QR of augmented rows.

Mutants these kill: tau off by one per cent, and the constant of log p(y) at lambda = 0.
"""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import gammaln

from bayesridge import FixedLambda, FixedSigma, HalfNormal, InverseGamma, Jeffreys, posterior

QS = np.array([0.001, 0.025, 0.5, 0.975, 0.999])


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(31)
    X = rng.standard_normal((15, 4)) @ np.diag([1.0, 3.0, 0.2, 8.0]) + [4.0, 0.0, -1.0, 20.0]
    return X, 2.0 + X @ [0.4, -0.3, 1.0, 0.1] + 1.3 * rng.standard_normal(15)


def written_out(X, y, lam, unpenalized=()):
    """QR of the augmented rows: Q(lambda), log |det R|, degrees of freedom, and the number k of penalised columns."""
    pen = [j for j in range(X.shape[1]) if j not in unpenalized]
    Z = np.column_stack([np.ones(len(y)), X[:, list(unpenalized)]])
    B = np.hstack([Z, (X[:, pen] - X[:, pen].mean(axis=0)) / X[:, pen].std(axis=0)])
    rows = np.vstack([B, np.hstack([np.zeros((len(pen), Z.shape[1])), np.sqrt(lam) * np.eye(len(pen))])])
    Q, R = np.linalg.qr(rows)
    target = np.r_[y, np.zeros(len(pen))]
    rest = target - Q @ (Q.T @ target)
    return float(rest @ rest), float(np.log(np.abs(np.diag(R))).sum()), len(y) - Z.shape[1], len(pen)


@pytest.mark.parametrize("unpenalized", [(), (1,)])
@pytest.mark.parametrize("noise", [Jeffreys(), InverseGamma(2.0, 3.0)])
@pytest.mark.parametrize("lam", [0.02, 3.0, 500.0])
def test_sigma_and_tau_are_root_inverse_gamma(table, lam, noise, unpenalized):
    """sigma^2 ~ InvGamma(nu/2 + a, Q/2 + b), and tau^2 = sigma^2 / lambda is one with its scale over lambda."""
    Q, _, nu, _ = written_out(*table, lam, unpenalized)
    a, b = (noise.shape, noise.scale) if isinstance(noise, InverseGamma) else (0.0, 0.0)
    post = posterior(*table, prior=FixedLambda(lam), noise_prior=noise, unpenalized=unpenalized)
    shape = 0.5 * nu + a
    for got, divisor in ((post.sigma, 1.0), (post.tau, lam)):
        scale = (0.5 * Q + b) / divisor
        # 1e-9: the promise of every quantile
        np.testing.assert_allclose(got.quantile(QS), np.sqrt(stats.invgamma(shape, scale=scale).ppf(QS)), rtol=1e-9)
        assert got.mean == pytest.approx(np.sqrt(scale) * np.exp(gammaln(shape - 0.5) - gammaln(shape)), rel=1e-9)
        np.testing.assert_allclose(got.cdf(got.quantile(QS)), QS, rtol=1e-9)


@pytest.mark.parametrize("noise", [FixedSigma(1.2), Jeffreys(), InverseGamma(2.0, 3.0), HalfNormal(2.0, on="sigma")])
@pytest.mark.parametrize("unpenalized", [(), (1,)])
@pytest.mark.parametrize("lam", [0.0, 3.0])
def test_log_evidence_with_its_constant(table, lam, unpenalized, noise):
    """log p(y) by scipy's quadrature over sigma; at lambda = 0 the flat density is 1 per unit of a scaled coefficient.

    p(y | sigma) = (2 pi sigma^2)^(-m/2) exp(-Q / 2 sigma^2) lambda^(k/2) / |det R|, with m = nu at lambda > 0; a flat
    prior instead of lambda^(k/2) (2 pi sigma^2)^(-k/2) leaves m = nu - k.
    """
    Q, log_det, nu, k = written_out(*table, lam, unpenalized)
    m, log_constant = (nu, 0.5 * k * np.log(lam)) if lam > 0 else (nu - k, 0.0)

    def log_likelihood(v):
        return log_constant - log_det - 0.5 * m * np.log(2 * np.pi) - m * v - 0.5 * Q * np.exp(-2 * v)

    if isinstance(noise, FixedSigma):
        want = log_likelihood(np.log(noise.sigma))
    else:
        top = 0.5 * np.log(Q / m)
        height = log_likelihood(top)

        def integrand(v):
            return np.exp(log_likelihood(v) - height + float(noise.log_density(np.array(v))))

        want = height + np.log(quad(integrand, top - 3, top + 12, points=[top], epsabs=0, epsrel=1e-11, limit=200)[0])
    post = posterior(*table, prior=FixedLambda(lam), noise_prior=noise, unpenalized=unpenalized)
    assert post.log_marginal_likelihood == pytest.approx(want, rel=0, abs=1e-9)
