"""Four posteriors that rest on no spectrum go through everything above the seam: whatever comes next does too.

Columns in two groups, a kernel whose map to new points moves with its length-scale, weighted
draws of a Poisson regression, and the draws of chains.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import cho_factor, cho_solve
from scipy.special import gammaln

from bayesridge.design.design import build_design
from bayesridge.engines.engine import CoefficientDraws, mixture_moments
from bayesridge.errors import DataError
from bayesridge.fit import posterior
from bayesridge.hyper.marginal import Interval
from bayesridge.hyper.nodes import ConjugateNoise, Nodes
from bayesridge.mcmc.posterior import SampledPosterior
from bayesridge.posteriors.drawn import WeightedQuantity
from bayesridge.posteriors.draws import Draws
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.prediction import Prediction
from bayesridge.posteriors.summary import at_a_glance, coefficient_table, hyper_table, jsonable, to_record
from bayesridge.priors import Jeffreys, LogNormal
from bayesridge.rules.comparison import compare_lambda

PRIOR = LogNormal(5.0, 1.5)


def table(n=40, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ np.diag(np.arange(1.0, p + 1.0)) + 3.0
    return X, X @ np.linspace(1.0, -1.0, p) + 2.0 * rng.standard_normal(n)


def log_prior(theta):
    """The log-normal prior, independently on every lambda."""
    return (-0.5 * ((theta - np.log(5.0)) / 1.5) ** 2 - np.log(1.5 * np.sqrt(2.0 * np.pi))).sum(axis=1)


@dataclass(frozen=True)
class WeightedScalar:
    """One scale on weighted points."""

    values: np.ndarray
    weight: np.ndarray
    known: bool = False

    def _quantile(self, q):
        order = np.argsort(self.values)
        below = np.cumsum(self.weight[order]) - 0.5 * self.weight[order]
        return float(np.exp(np.interp(q, below, np.log(self.values[order]))))

    @property
    def mean(self):
        return float(self.weight @ self.values)

    @property
    def sd(self):
        return float(np.sqrt(self.weight @ (self.values - self.mean) ** 2))

    @property
    def log_sd(self):
        log = np.log(self.values)
        return float(np.sqrt(self.weight @ (log - self.weight @ log) ** 2))

    @property
    def median(self):
        return self._quantile(0.5)

    def interval(self, level=0.95):
        return Interval(self._quantile(0.5 - level / 2), self._quantile(0.5 + level / 2))


@dataclass(frozen=True, eq=False)
class Lattice:
    """Every point of the engine's region is a node; sigma is conjugate under Jeffreys' prior."""

    engine: object
    error: float = 0.0

    @cached_property
    def _found(self):
        theta = self.engine.region()
        log_norm, excess = self.engine.evidence(theta)
        Q = self.engine.floor + excess
        a = 0.5 * self.engine.nu
        f = self.engine.constant + log_norm + log_prior(theta) + gammaln(a) - a * np.log(0.5 * Q) + self.engine.log_cell
        weight = np.exp(f - f.max())
        keep = weight > 1e-13 * weight.sum()
        nodes = Nodes(theta[keep], weight[keep] / weight[keep].sum(), ConjugateNoise(a, 0.5 * Q[keep]))
        return nodes, float(f.max() + np.log(weight.sum()))

    nodes = property(lambda self: self._found[0])
    log_marginal = property(lambda self: self._found[1])
    check = ()

    def finer(self):
        return self

    def scales(self):
        nodes, names = self.nodes, [name.removeprefix("log ") for name in self.engine.theta_names]
        sigma = np.sqrt(nodes.noise.rate / nodes.noise.shape)
        found = {name: WeightedScalar(np.exp(nodes.theta[:, h]), nodes.weight) for h, name in enumerate(names)}
        return {**found, "sigma": WeightedScalar(sigma, nodes.weight)}

    def draw(self, n, rng):
        k = rng.choice(len(self.nodes.weight), n, p=self.nodes.weight)
        noise = self.nodes.noise
        return np.exp(self.nodes.theta[k]), np.sqrt(noise.rate[k] / rng.standard_gamma(noise.shape, n))


class NoSpectrum:
    """What engines without a spectrum share."""

    spectrum, heavy, constant, floor = None, False, 0.0, 0.0

    @property
    def nu(self):
        return self.design.nu

    def intercept(self):
        return self.rows(np.zeros((1, self.design.n_columns)))

    def deletion(self):
        raise DataError("this engine has no leave-one-out: fit again without the row")

    without = deletion

    def state(self, *, rows=False):  # noqa: ARG002
        raise DataError("this engine keeps no state in files: save the draws, to_datatree().to_netcdf(path)")


# -- a kernel whose map to new points moves with theta ---------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Points:
    """Values of the function at points, or, at `at`, its slopes in each direction: K(new, old) depends on theta."""

    X: np.ndarray
    slope: np.ndarray | None = None

    def __len__(self):
        return len(self.X)

    def take(self, index):
        return Points(self.X[index], None if self.slope is None else self.slope[index])


@dataclass(frozen=True, eq=False)
class KernelConditional:
    engine: object
    theta: np.ndarray

    def _each(self, linear):
        old, y = self.engine.design.X, self.engine.design.y
        for log_lam, log_length in self.theta:
            length2, lam = np.exp(2.0 * log_length), np.exp(log_lam)
            K = gaussian(old, old, length2)
            cross = gaussian(linear.X, old, length2)
            own = np.ones(len(linear))
            if linear.slope is not None:
                along = np.einsum("mp,mnp->mn", linear.slope, old[None] - linear.X[:, None])
                cross = cross * along / length2
                own = np.square(linear.slope).sum(axis=1) / length2
            c = cho_factor(K + lam * np.eye(len(K)), lower=True)
            yield cross @ cho_solve(c, y), (own - (cross * cho_solve(c, cross.T).T).sum(axis=1)) / lam

    def mean(self, linear):
        return np.array([mean for mean, _ in self._each(linear)]).T

    def variance(self, linear):
        return np.array([variance for _, variance in self._each(linear)]).T

    def moments(self, linear, weight, noise):
        return mixture_moments(self.mean(linear), self.variance(linear), weight, noise)

    def draw(self, sigma, rng):
        slopes = self.engine.coefficients()
        sd = sigma * np.sqrt(self.variance(slopes))
        coef = (self.mean(slopes) + sd * rng.standard_normal(sd.shape)).T
        return KernelDraws(coef, np.zeros(len(sigma)), self._values(sigma, rng))

    def _values(self, sigma, rng):
        """The function at the rows of the fit, drawn jointly."""
        X, y, out = self.engine.design.X, self.engine.design.y, []
        for (log_lam, log_length), s in zip(self.theta, sigma, strict=True):
            K, lam = gaussian(X, X, np.exp(2.0 * log_length)), np.exp(log_lam)
            c = cho_factor(K + lam * np.eye(len(y)), lower=True)
            covariance = (K - K @ cho_solve(c, K)) / lam
            w, V = np.linalg.eigh(covariance)
            out.append(K @ cho_solve(c, y) + s * V @ (np.sqrt(np.maximum(w, 0.0)) * rng.standard_normal(len(y))))
        return np.array(out)


@dataclass(frozen=True, eq=False)
class KernelDraws(CoefficientDraws):
    """Slopes for coefficients, which no sum over columns makes a prediction of."""

    values: np.ndarray

    def expected(self, rows):  # noqa: ARG002
        return self.values


def gaussian(a, b, length2):
    return np.exp(-0.5 * ((a[:, None] - b[None]) ** 2).sum(axis=-1) / length2)


@dataclass(frozen=True, eq=False)
class Kernel(NoSpectrum):
    """A Gaussian process without an intercept; its "coefficients" are the slopes at the middle of the table."""

    design: object
    theta_names = ("log lambda", "log length")
    log_cell = 2.0 * np.log(0.5)

    def evidence(self, theta):
        out = []
        for log_lam, log_length in theta:
            X, y = self.design.X, self.design.y
            c, _ = cho_factor(gaussian(X, X, np.exp(2.0 * log_length)) * np.exp(-log_lam) + np.eye(len(y)), lower=True)
            constant = -0.5 * self.nu * np.log(2.0 * np.pi)
            out.append((constant - np.log(c.diagonal()).sum(), y @ cho_solve((c, True), y)))
        return tuple(np.array(out).T)

    def region(self):
        lines = np.arange(-6.0, 4.0, 0.5), np.arange(-1.0, 3.0, 0.5)
        return np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)

    def at(self, theta):
        return KernelConditional(self, theta)

    def coefficients(self):
        p = self.design.n_columns
        return Points(np.tile(self.design.X.mean(axis=0), (p, 1)), np.eye(p))

    def contrasts(self, A):
        return Points(np.tile(self.design.X.mean(axis=0), (len(A), 1)), A)

    def rows(self, X):
        return Points(X)


def two_penalties():
    return posterior(*table(), prior=PRIOR, groups={"first": ["x0", "x1"], "second": ["x2", "x3"]})


def kernel():
    X, y = table(n=25, p=2)
    engine = Kernel(build_design(X / X.std(), (y - y.mean()) / y.std(), fit_intercept=False))
    return Posterior(engine, PRIOR, Jeffreys(), Lattice(engine))


# -- weighted draws of a model that is not Gaussian, and the draws of chains ------------------------------------------


@dataclass(frozen=True, eq=False)
class WeightedPosterior:
    """A Poisson regression by importance sampling about its mode, eight replicates."""

    design: object
    values: np.ndarray  # (R, S, p + 1): intercept and coefficients
    weight: np.ndarray
    method: str = "posterior"
    how: str = "weighted draws"
    prior_texts: tuple[str, str] = ("normal(0, 1) on each coefficient", "Poisson")
    check: tuple[str, ...] = ()
    centre: float = 0.0
    has_terms: bool = False
    scales = {}  # noqa: RUF012 -- a Poisson regression at a known tau has none

    coefficients = property(lambda self: WeightedQuantity(self.design.names, self.values[..., 1:], self.weight))
    intercept = property(lambda self: WeightedQuantity(("intercept",), self.values[..., :1], self.weight))

    def predict(self, X):
        eta = self.values[..., :1] + self.values[..., 1:] @ np.asarray(X).T
        labels = tuple(map(str, range(len(X))))
        expected = WeightedQuantity(labels, np.exp(eta), self.weight)
        counts = np.random.default_rng(0).poisson(np.exp(eta)).astype(float)
        return Prediction(expected, WeightedQuantity(labels, counts, self.weight), np.sqrt(expected.mean))

    def facts(self):
        return {"effective_size": float(1.0 / np.square(self.weight).sum())}


def weighted():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((80, 2))
    y = rng.poisson(np.exp(0.5 + X @ [0.4, -0.3])).astype(float)
    rows = np.column_stack([np.ones(80), X])
    precision = np.diag([1e-6, 1.0, 1.0])
    b = np.zeros(3)
    for _ in range(30):
        mu = np.exp(rows @ b)
        H = (rows * mu[:, None]).T @ rows + precision
        b = b + np.linalg.solve(H, rows.T @ (y - mu) - precision @ b)
    z = rng.standard_normal((8, 4000, 3))
    values = b + z @ np.linalg.inv(np.linalg.cholesky(H))
    eta = values @ rows.T
    log_w = (y * eta - np.exp(eta)).sum(axis=-1) - 0.5 * np.square(values) @ precision.diagonal()
    log_w += 0.5 * np.square(z).sum(axis=-1)
    weight = np.exp(log_w - log_w.max())
    return WeightedPosterior(build_design(X, y), values, weight / weight.sum()), (rows, y, precision)


def chains():
    exact = posterior(*table())
    tree = exact.to_datatree(draws=500, chains=2, random_state=3, predictive=True)
    checks = pd.DataFrame({"value": [1000.0, 1000.0], "where": ["", ""], "verdict": ["ok", "ok"]})
    checks.index = ["ESS bulk", "ESS tail"]
    checks.attrs["verdict"] = "ok"
    about = (exact.design, exact.prior_texts, tree, checks, "a fake", "none", 0.0, 1.0)
    return SampledPosterior(*about, interrupted=False, priors=(exact.prior, exact.noise_prior))


POSTERIORS = {
    "two penalties": two_penalties, "kernel": kernel, "weighted": lambda: weighted()[0], "chains": chains,
}  # fmt: skip


@pytest.fixture(scope="module", params=POSTERIORS)
def post(request):
    return POSTERIORS[request.param]()


def test_tables_sentences_and_json(post):
    coefficients, scales = coefficient_table(post), hyper_table(post)
    assert list(coefficients.index[-len(post.design.names) :]) == list(post.design.names)
    low, high = coefficients.columns[2:4]
    assert low == "95% ETI low"
    inside = (coefficients[low] < coefficients["mean"]) & (coefficients["mean"] < coefficients[high])
    assert inside.all()
    assert coefficients["P(>0)"].between(0.0, 1.0).all()
    assert list(scales.index) == list(post.scales)
    assert json.loads(json.dumps(jsonable(to_record(post)), allow_nan=False))["target"] == "y"
    assert post.design.names[0] in at_a_glance(post)


def test_quantities(post):
    q = post.coefficients
    median, interval, hdi = q.median, q.interval(0.9), q.hdi(0.9)
    assert (interval[:, 0] < median).all()
    assert (median < interval[:, 1]).all()
    # draws put a hundredth of their number on either side of a quantile
    np.testing.assert_allclose(q.cdf(median), 0.5, atol=0.01)
    np.testing.assert_allclose(q.prob(interval[:, 0], interval[:, 1]), 0.9, atol=0.01)
    assert (np.ptp(hdi, axis=1) <= np.ptp(interval, axis=1) * (1 + 1e-9)).all()
    one = q.take(np.array([len(q) - 1]))
    assert one.labels == q.labels[-1:]
    np.testing.assert_allclose([one.mean[0], one.sd[0]], [q.mean[-1], q.sd[-1]], rtol=1e-12)
    assert (q.mcse >= 0).all()


def test_predictions(post):
    rows = np.arange(6.0 * len(post.design.names)).reshape(6, -1) / 10.0 - 1.0
    found = post.predict(rows)
    assert found.mean.shape == (6,)
    assert (found.sd >= found.mean_sd).all()
    interval = found.interval(0.8)
    assert (interval[:, 0] <= found.target.median).all()
    assert (found.target.median <= interval[:, 1]).all()


@pytest.mark.parametrize("name", ["two penalties", "kernel", "chains"])
def test_draws_and_datatree_agree_with_the_quantities(name):
    post = POSTERIORS[name]()
    drawn = post.draw(500, 4, random_state=1)
    assert isinstance(drawn, Draws)
    coef = drawn.coef.reshape(-1, len(post.design.names))
    # four standard errors of a mean of 2000 independent draws; chains are resampled from 1000
    np.testing.assert_allclose(
        coef.mean(axis=0), post.coefficients.mean, atol=8 * post.coefficients.sd.max() / 2000**0.5
    )
    tree = post.to_datatree(draws=50, chains=2, random_state=1)
    assert tree["posterior"]["coef"].dims == ("chain", "draw", "feature")
    assert (tree["posterior"]["lambda_"].values > 0).all()


def test_replicates_of_a_kernel_are_of_its_function_and_not_of_its_slopes():
    """Mean and sd of 2000 replicates at each row against the predictive distribution at that row."""
    post = kernel()
    made = post.replicate(np.arange(25), 2000, np.random.default_rng(0))
    expected = post.predict(post.design.X).target
    assert (np.abs(made.mean(axis=0) - expected.mean) < 4.5 * expected.sd / 2000**0.5).all()
    np.testing.assert_allclose(made.std(axis=0), expected.sd, rtol=0.12)  # four standard errors of an sd, and tails


def test_weighted_draws_know_their_error():
    """Against a dense grid over the three coefficients: eight replicates make a t with seven degrees of freedom."""
    post, (rows, y, precision) = weighted()
    line = np.linspace(-6.0, 6.0, 41)
    H = (rows * np.exp(rows @ np.r_[post.intercept.mean, post.coefficients.mean])[:, None]).T @ rows + precision
    root = np.linalg.inv(np.linalg.cholesky(H))
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    b = np.r_[post.intercept.mean, post.coefficients.mean] + grid @ root
    eta = b @ rows.T
    f = (y * eta - np.exp(eta)).sum(axis=1) - 0.5 * np.square(b) @ precision.diagonal()
    w = np.exp(f - f.max())
    mean = (w / w.sum()) @ b
    error = np.abs(np.r_[post.intercept.mean, post.coefficients.mean] - mean)
    mcse = np.r_[post.intercept.mcse, post.coefficients.mcse]
    assert (error < 5.4 * mcse).all()  # P(|t_7| > 5.4) = .001
    assert (mcse < 0.02 * np.r_[post.intercept.sd, post.coefficients.sd]).all()


def test_what_needs_one_lambda_refuses_by_name():
    post = two_penalties()
    for ask in (lambda: post.spectrum, lambda: compare_lambda(post), lambda: post.r2, lambda: post.evidence):
        with pytest.raises(DataError, match=r"lambda\[first\], log lambda\[second\]|one lambda"):
            ask()
    with pytest.raises(DataError, match=r"scales for one of lambda\[first\]"):
        _ = post.lambda_
    with pytest.raises(DataError, match="no leave-one-out"):
        _ = kernel().loo


def test_a_prior_of_each_lambda_reaches_its_own_group():
    """Where the second group is noise, its lambda is the larger."""
    X, y = table(n=200)
    y = X[:, :2] @ [3.0, -2.0] + (y - X @ np.linspace(1.0, -1.0, 4))
    scales = posterior(X, y, prior=PRIOR, groups={"live": ["x0", "x1"], "noise": ["x2", "x3"]}).scales
    assert scales["lambda[noise]"].median > 5.0 * scales["lambda[live]"].median
    assert scales["lambda[live]"].interval()[0] < scales["lambda[live]"].median < scales["lambda[live]"].interval()[1]
