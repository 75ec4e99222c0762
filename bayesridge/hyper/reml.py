r"""Empirical Bayes of several scales: the criteria of REML and ML, their estimates, Wald and profile intervals.

With sigma at its best value given theta the evidence is the restricted likelihood, flat directions integrated out,

    REML = -2 [constant + log_norm(theta) - nu/2 (log(Q / nu) + 1)],

and with C the covariance over sigma^2 of the flat directions' coefficients at theta (``|Z'Z + Lambda| |X'V^-1 X| =
|M| |X'X|`` is what turns one determinant into the other),

    ML = -2 [constant + log_norm(theta)] + log|C| + (n - nu) log 2 pi + n (log(Q / n) + 1).

Both are deviances as lme4 and MixedModels.jl state them. At tau = 0 (lambda infinite) they are finite: the minimum may
lie there, and is then reported as zero, without an interval by curvature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.stats import chi2, norm

from bayesridge.engines.engine import Engine
from bayesridge.errors import AccuracyWarning, DataError, ImproperPosteriorError, NoSignalWarning, warn
from bayesridge.hyper.descent import lowest_near
from bayesridge.hyper.infer import infer_hyper
from bayesridge.hyper.marginal import Marginal, PointMass, Scalar
from bayesridge.hyper.nodes import ConjugateNoise, Nodes
from bayesridge.hyper.point import ConjugatePoint, conjugate_point
from bayesridge.priors import ByGroup, Conjugate, NoisePrior, Prior

Array = NDArray[np.float64]
Kind = Literal["REML", "ML"]

_ABSENT = 50.0  # nats of log lambda beyond the signal: tau / sigma is 1e-11 of what would be half the variance
_PERFECT = 32.0  # nats below it: the noise is 1e-7 of the effects, and no less is told from none in float64
_FEW_DIGITS = 3e-5  # of noise beside effects
_NOISELESS = 25.0  # nats below the signal, where noise is none
_DEEPER = 4.0  # nats below an estimate that is there already
_NO_NOISE = 0.1  # of a deviance: less does not tell noise from none, and in what is flat rounding finds the minimum
_AT_BOUNDARY = 1e-7  # of a deviance: what tau is worth at the least
_LEAST = -36.0  # log signal - log lambda of the smallest tau that a profile looks at


def of_scales(engine: Engine) -> NDArray[np.bool_]:
    """Which thetas are logarithms of lambdas: the first ones; the others are atanh of correlations."""
    return np.arange(len(engine.theta_names)) < len(engine.signals)


def positive_signals(engine: Engine) -> Array:
    """Signal of each theta, one where it has none."""
    found = np.ones(len(engine.theta_names))
    found[: len(engine.signals)] = [one if one > 0 else 1.0 for one in engine.signals]
    return found


def flat_covariance(engine: Engine, theta: Array) -> Array:
    """Covariance over sigma^2 of the intercept and the unpenalised coefficients at each theta, (K, q, q)."""
    design, p = engine.design, engine.design.n_columns
    unit = np.eye(p)[design.unpenalized]
    if design.fit_intercept:
        unit = np.vstack([np.zeros((1, p)), unit])
    q = len(unit)
    # contrasts and the intercept are functionals of two kinds; those of rows are all: b0 + a'coef, and a'coef
    pairs = (unit[:, None] + unit[None]).reshape(-1, p)
    given = engine.at(theta)
    if not design.fit_intercept:
        own, both = given.variance(engine.contrasts(unit)), given.variance(engine.contrasts(pairs)).reshape(q, q, -1)
    else:
        at_rows = given.variance(engine.rows(unit))
        own = np.vstack([at_rows[:1], given.variance(engine.contrasts(unit[1:]))]) if q > 1 else at_rows
        slopes = given.variance(engine.contrasts(pairs)).reshape(q, q, -1)
        slopes[0], slopes[:, 0] = at_rows, at_rows
        slopes[0, 0] = 4.0 * at_rows[0]
        both = slopes
    covariance = 0.5 * (both - own[:, None] - own[None])
    return np.asarray(np.moveaxis(covariance, 2, 0))


@dataclass(frozen=True, eq=False)
class Deviance:
    """Minus twice the log likelihood, restricted or not, as a function of theta (K, G) and log sigma (K,)."""

    engine: Engine
    kind: Kind

    @property
    def count(self) -> float:
        """Power of 1/sigma: residual degrees of freedom, or observations."""
        return self.engine.nu if self.kind == "REML" else self.engine.design.n_obs

    def _parts(self, theta: Array) -> tuple[Array, Array]:
        engine = self.engine
        log_norm, excess = engine.evidence(theta)
        value = -2.0 * (engine.constant + log_norm)
        if self.kind == "ML":
            value = value + (self.count - engine.nu) * np.log(2.0 * np.pi)
            if engine.design.n_flat:
                value = value + np.linalg.slogdet(flat_covariance(engine, theta))[1]
        return value, engine.floor + excess

    def __call__(self, theta: Array, log_sigma: Array) -> Array:
        """Deviance at theta and log sigma."""
        value, Q = self._parts(theta)
        return np.asarray(value + 2.0 * self.count * log_sigma + Q * np.exp(-2.0 * log_sigma))

    def best(self, theta: Array) -> tuple[Array, Array]:
        """Deviance at the best sigma for each theta, and log of that sigma."""
        value, Q = self._parts(theta)
        with np.errstate(divide="ignore"):
            log_sigma = 0.5 * np.log(Q / self.count)
        return value + self.count * (2.0 * log_sigma + 1.0), log_sigma


@dataclass(frozen=True, eq=False)
class Estimate:
    """The scales where a deviance is least.

    Attributes
    ----------
    deviance : Deviance
    theta : ndarray of shape (G,)
        Log lambda; of groups at the boundary a number so large that their effects are nothing.
    absent : ndarray of bool, shape (G,)
        Which groups have tau = 0 there.
    criterion, log_sigma : float
    """

    deviance: Deviance
    theta: Array
    absent: NDArray[np.bool_]
    criterion: float
    log_sigma: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scales: each theta's, and sigma."""
        found = [one.removeprefix("log ").replace("lambda", "tau", 1) for one in self.deviance.engine.theta_names]
        return (*[name.removeprefix("atanh ") for name in found], "sigma")

    @property
    def _of_tau(self) -> NDArray[np.bool_]:
        return of_scales(self.deviance.engine)

    @cached_property
    def _point(self) -> Array:
        """Log tau (as it is, what is no logarithm of a lambda) and log sigma."""
        return np.append(np.where(self._of_tau, self.log_sigma - 0.5 * self.theta, self.theta), self.log_sigma)

    def _at(self, points: Array) -> Array:
        log_sigma = points[:, -1:]
        return self.deviance(
            np.where(self._of_tau, 2.0 * (log_sigma - points[:, :-1]), points[:, :-1]), log_sigma[:, 0]
        )

    @property
    def values(self) -> Array:
        """Each tau (zero at the boundary; a correlation as it is) and sigma."""
        return self._natural(np.where(np.append(self.absent, False), -np.inf, self._point))

    def _natural(self, point: Array) -> Array:
        with np.errstate(over="ignore"):  # where the deviance is all but flat an interval by curvature has no end
            return np.where(np.append(self._of_tau, True), np.exp(point), np.tanh(point))

    def wald(self, level: float = 0.95) -> Array:
        """Intervals by the curvature in the logarithms of the scales, (G + 1, 2); NaN for those at the boundary."""
        free = np.flatnonzero(~np.append(self.absent, False))
        h = 1e-3
        steps = h * np.eye(len(self._point))[free]
        corners = np.array([[a + b, a - b, b - a, -a - b] for a in steps for b in steps])
        value = self._at((self._point + corners).reshape(-1, len(self._point))).reshape(len(free), len(free), 4)
        hessian = (value[..., 0] - value[..., 1] - value[..., 2] + value[..., 3]) / (4.0 * h * h)
        ends = np.full((len(self._point), 2), np.nan)
        variance = 2.0 * np.linalg.inv(hessian).diagonal()
        reach = float(norm.ppf(0.5 + 0.5 * level)) * np.sqrt(np.where(variance > 0, variance, np.nan))
        point = self._point
        for side, sign in ((0, -1.0), (1, 1.0)):
            moved = point.copy()
            moved[free] += sign * reach
            ends[free, side] = self._natural(moved)[free]
        return ends

    def profile(self, level: float = 0.95) -> Array:
        """Intervals of each scale where the least deviance given it rises by a chi-square quantile, (G + 1, 2)."""
        rise = float(chi2.ppf(level, 1))
        return np.array([[self._end(j, side, rise) for side in (-1.0, 1.0)] for j in range(len(self._point))])

    def _end(self, j: int, side: float, rise: float) -> float:
        size = len(self._point)
        others = [k for k in range(size) if k != j]
        lowest = np.append(self._lowest, self._point[-1] - 12.0)
        is_log = np.append(self._of_tau, True)[j]
        start = np.maximum(self._point, lowest)[others]
        # a line search may leap: beyond e^12 of the estimate is nothing but overflow
        highest = np.maximum(self._point, lowest) + 12.0
        logs = np.append(self._of_tau, True)
        bounds = [(lowest[k] - 4.0, highest[k]) if logs[k] else (-18.0, 18.0) for k in others]

        def least(x: float) -> float:
            def value(at: Array) -> tuple[float, Array]:
                h = 1e-5
                point = np.insert(at, j, x)
                moves = h * np.eye(size)[others]
                found = self._at(np.concatenate([point[None], point + moves, point - moves]))
                found = np.where(np.isfinite(found), found, 1e12)  # no number where a matrix is singular to rounding
                return float(found[0]), (found[1:size] - found[size:]) / (2.0 * h)

            nonlocal start
            found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13})
            start = found.x
            return float(found.fun) - self.criterion - rise

        if side < 0 and j < size - 1 and self._of_tau[j] and self.absent[j]:
            return 0.0
        inner, step = float(max(self._point[j], lowest[j])), 0.25 * side
        outer = inner + step
        while least(outer) < 0:
            inner, step = outer, 2.0 * step
            outer += step
            if is_log and side < 0 and outer < lowest[j]:
                return 0.0
            if not is_log and abs(outer) > 18.0:
                return side
            if abs(outer - self._point[j]) > 60.0:
                return np.inf if side > 0 else 0.0
        end = float(brentq(least, inner, outer, xtol=1e-7))
        return float(np.exp(end) if is_log else np.tanh(end))

    @cached_property
    def _lowest(self) -> Array:
        """Log tau that is as good as zero, for each theta."""
        signals = positive_signals(self.deviance.engine)
        return np.where(self._of_tau, self.log_sigma - 0.5 * (np.log(signals) - _LEAST), -18.0)


def estimate(engine: Engine, kind: Kind = "REML") -> Estimate:
    """Minimise a deviance over the scales.

    Raises
    ------
    ImproperPosteriorError
        If nothing tells sigma from zero: the columns can fit y exactly.
    """
    deviance = Deviance(engine, kind)
    of_tau, signals = of_scales(engine), positive_signals(engine)
    top = np.where(of_tau, np.log(signals) + _ABSENT, 18.0)
    lowest = np.where(of_tau, np.log(signals) - _PERFECT, -18.0)

    def value(theta: Array) -> Array:
        found = deviance.best(theta)[0]
        return np.where(np.isfinite(found), found, 1e12)  # no number where a matrix is singular to rounding

    start = engine.region()
    theta = start[int(np.argmin(value(start)))]
    absent = np.zeros(len(theta), dtype=bool)
    for _ in range(2 * len(theta) + 1):
        theta = lowest_near(value, theta, ~absent, lowest, top)
        here = float(value(theta[None])[0])
        without = np.array(
            [float(value(np.where(np.arange(len(theta)) == g, top, theta)[None])[0]) for g in range(len(theta))]
        )
        gone = of_tau & ~absent & (without <= here + _AT_BOUNDARY)
        if not gone.any():
            break
        absent[int(np.argmin(np.where(gone, without, np.inf)))] = True
        theta = np.where(absent, top, theta)
    criterion, log_sigma = (float(part[0]) for part in deviance.best(theta[None]))
    live = of_tau & ~absent
    depth = (theta - np.log(signals))[live].min(initial=_ABSENT) + _NOISELESS
    noiseless = np.maximum(theta - live * max(depth, _DEEPER), lowest)
    if not criterion < 1e12 or (live.any() and float(value(noiseless[None])[0]) <= criterion + _NO_NOISE):
        raise ImproperPosteriorError(
            f"the {kind} criterion is as low where sigma is zero: the columns fit y exactly, or to 1e-7 of what they "
            "explain; method='posterior' averages over the scales instead"
        )
    ratio = float(np.exp(0.5 * (theta - np.log(signals))[live].min(initial=0.0)))
    if ratio < _FEW_DIGITS:
        warn(
            f"the noise is {ratio:.0e} of the effects: rounding leaves few digits of its size, and of lambda "
            "(a thousandth at 1e-5, a third at 1e-6)",
            AccuracyWarning,
        )
    return Estimate(deviance, theta, absent, criterion, log_sigma)


@dataclass(frozen=True, eq=False)
class PluggedIn:
    """Every lambda at its REML estimate, sigma integrated: one Student-t node."""

    estimate: Estimate
    point: ConjugatePoint
    error: float = 0.0

    @property
    def nodes(self) -> Nodes:
        """One node."""
        noise = self.point.nodes.noise
        assert isinstance(noise, ConjugateNoise)
        return Nodes(self.estimate.theta[None], np.ones(1), noise)

    @property
    def log_marginal(self) -> float:
        """Log p(y) at these lambdas."""
        return self.point.log_marginal

    @property
    def check(self) -> tuple[str, ...]:
        """Nothing is to be said of numbers that were not sampled."""
        return ()

    def finer(self) -> PluggedIn:
        """Itself."""
        return self

    def scales(self) -> dict[str, Scalar]:
        """Every lambda, sigma, and every tau."""
        names, estimated = self.estimate.names[:-1], self.estimate
        of_tau = estimated._of_tau
        lam = np.where(estimated.absent, np.inf, np.where(of_tau, np.exp(estimated.theta), np.tanh(estimated.theta)))
        found: dict[str, Scalar] = {
            name.replace("tau", "lambda", 1) if one else name: PointMass(name, float(value))
            for name, one, value in zip(names, of_tau, lam, strict=True)
        }
        found["sigma"] = self.sigma_marginal()
        for name, one, value in zip(names, of_tau, lam, strict=True):
            if one:
                with np.errstate(divide="ignore"):
                    found[name] = replace(self.point, log_lam=float(np.log(value))).tau_marginal()
        return found

    def lambda_marginal(self) -> Marginal:
        """There is none: a model with several lambdas has one for each group."""
        raise DataError("the model has several lambdas: ask scales for one of them")

    def sigma_marginal(self) -> Marginal:
        """Root of an inverse-gamma variable."""
        return self.point.sigma_marginal()

    def tau_marginal(self) -> Marginal:
        """There is none either."""
        raise DataError("the model has several scales: ask scales for one of them")

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent draws of (lambda, sigma)."""
        return np.tile(np.exp(self.estimate.theta), (n, 1)), self.point.draw(n, rng)[1]


def plug_in_scales(engine: Engine, noise: Conjugate | None) -> PluggedIn:
    """Treat the REML estimates of all lambdas as known.

    Raises
    ------
    DataError
        If the noise prior is neither 1/sigma^2 nor inverse gamma.

    Warns
    -----
    NoSignalWarning
        If an estimate is tau = 0.
    """
    if noise is None:
        raise DataError("method='evidence' takes Jeffreys() or InverseGamma(...) as noise prior")
    found = estimate(engine)
    gone = [name for name, absent in zip(found.names, found.absent, strict=False) if absent]
    if gone:
        warn(
            f"the estimate of {', '.join(gone)} is zero: the restricted likelihood is highest at the boundary, and its "
            "effects are taken to be exactly nothing; method='posterior' averages over it instead",
            NoSignalWarning,
        )
    return plugged_at(found, engine, noise)


def plugged_at(found: Estimate, engine: Engine, noise: Conjugate | None) -> PluggedIn:
    """Take the lambdas of an estimate for those of another engine: the same data without a row, say."""
    assert noise is not None  # there is none without
    return PluggedIn(found, _point(engine, found.theta[None], noise))


def _point(engine: Engine, theta: Array, noise: Conjugate) -> ConjugatePoint:
    log_norm, excess = engine.evidence(theta)
    return conjugate_point(0.0, engine.nu, float(engine.floor + excess[0]), float(engine.constant + log_norm[0]), noise)


# -- a component against zero -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Without:
    """An engine with some of its lambdas infinite: what integrators ask of one."""

    engine: Engine
    gone: NDArray[np.intp]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    @property
    def _kept(self) -> NDArray[np.intp]:
        return np.setdiff1d(np.arange(len(self.engine.theta_names)), self.gone)

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the others."""
        return tuple([self.engine.theta_names[k] for k in self._kept])

    @property
    def signals(self) -> tuple[float, ...]:
        """Of the others."""
        return tuple([self.engine.signals[k] for k in self._kept if k < len(self.engine.signals)])

    def _with(self, theta: Array) -> Array:
        all_ = np.empty((len(theta), len(self.engine.theta_names)))
        all_[:, self._kept] = theta
        far = np.where(of_scales(self.engine), np.log(positive_signals(self.engine)) + _ABSENT, 0.0)
        all_[:, self.gone] = far[self.gone]
        return all_

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """As the engine's."""
        return self.engine.evidence(self._with(theta))

    def excess(self, theta: Array) -> Array:
        """As the engine's."""
        return self.engine.excess(self._with(theta))

    def region(self) -> Array:
        """As the engine's."""
        return np.unique(self.engine.region()[:, self._kept], axis=0)


def log_marginal_without(engine: Engine, gone: list[int], prior: Prior, noise: NoisePrior) -> float:
    """Log p(y) of the model without some of its scales, the priors of the others as they are."""
    rest = [k for k in range(len(engine.theta_names)) if k not in gone]
    reduced: Any = Without(engine, np.array(gone, dtype=np.intp))
    if not rest:
        if noise.conjugate is None:
            raise DataError("without a group nothing is left to integrate over: state Jeffreys() or InverseGamma(...)")
        return _point(reduced, np.empty((1, 0)), noise.conjugate).log_marginal
    if isinstance(prior, ByGroup):
        rest = [k for k in rest if k < len(prior.priors)]
        kept = [prior.priors[k] for k in rest]
        prior = kept[0] if len(rest) == 1 else ByGroup(tuple([prior.groups[k] for k in rest]), tuple(kept))
    return infer_hyper(reduced, prior, noise).log_marginal
