r"""Data sets that a model with several penalties could have produced, and the leave-one-out residuals of each.

As in :mod:`bayesridge.checks.replicates`, where one decomposition serves every lambda. Here each theta costs a
factorisation, and the scales that a data set learns by itself are those of the highest posterior density among some
nodes of the fit's posterior, the same for all data sets: they reach five standard deviations to all sides. Any function
of a data set alone will do, as long as the real and the simulated ones are treated alike.

(lambda, sigma) come from the posterior, the coefficients from their prior at them; the flat directions, of which
residuals know nothing, stand where the data have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from bayesridge.errors import DataError
from bayesridge.hyper.marginal import PointMass
from bayesridge.posteriors.posterior import Posterior

Array = NDArray[np.float64]

_MANY_DF, _SERIES = 1_000.0, 4.0  # from where, and up to which |t|, the series serves
_NODES = 48
_BLOCK_VALUES = 1 << 21
_MOST_VALUES = 1 << 26  # targets that are simulated
_ROUNDING = 1e-7  # of the target: sums of squares carry half the digits


@dataclass(frozen=True, eq=False)
class Residuals:
    """Targets of m data sets on the same n rows, and what is left of them when each row is predicted by the others.

    Attributes
    ----------
    y : ndarray of shape (m, n)
    predicted : ndarray of shape (m, n)
        Leave-one-out predictions, at the data set's own lambda.
    score : ndarray of shape (m, n)
        Leave-one-out residuals as normal scores: standard normal if the model holds.
    """

    y: Array
    predicted: Array
    score: Array


def no_residuals(posterior: Posterior) -> str:
    """Say whether the target is "constant" or fitted without an error ("perfect"), to rounding; otherwise nothing."""
    if not posterior.has_terms:
        return posterior.spectrum.degenerate
    y = posterior.design.y
    if np.ptp(y) <= _ROUNDING * np.abs(y).max(initial=0.0):
        return "constant"
    nodes = posterior.hyper.nodes
    variance = float(nodes.weight @ nodes.noise.squared_scale().mean(axis=1))
    return "perfect" if variance <= (_ROUNDING * np.abs(y).max()) ** 2 else ""


def simulated_targets(posterior: Posterior, simulations: int, rng: np.random.Generator) -> Iterator[Array]:
    """Draw targets, (m, n) at a time.

    Raises
    ------
    DataError
        If they would take hours to be fitted again.
    """
    design, engine = posterior.design, posterior.engine
    n = design.n_rows
    if simulations * n > _MOST_VALUES:
        raise DataError(
            f"{simulations} data sets of {n} rows are too many to be fitted again under several penalties: take at "
            f"most {_MOST_VALUES // n} simulations, or check a part of the rows"
        )
    lam, sigma = posterior.hyper.draw(simulations, rng)
    with np.errstate(divide="ignore"):
        theta = np.log(lam.reshape(simulations, -1))
    weights = np.ones(n) if design.weights is None else np.where(design.weights > 0, design.weights, 1.0)
    root = np.sqrt(weights)
    chosen = np.equal.outer(np.arange(design.n_columns), design.unpenalized).astype(np.float64)
    flat = np.hstack([np.ones((n, int(design.fit_intercept))), design.source.times(chosen)])
    basis = np.linalg.qr(root[:, None] * flat)[0]
    observed = basis @ (basis.T @ (root * design.y))
    step = max(1, _BLOCK_VALUES // (n + 1))
    for part in (slice(k, k + step) for k in range(0, simulations, step)):
        coef = _prior_coefficients(engine, theta[part], sigma[part], rng)
        noise = sigma[part, None] * rng.standard_normal((len(coef), n))
        y = root * design.source.times(coef.T).T + noise
        yield (y - (y @ basis) @ basis.T + observed) / root


def _prior_coefficients(engine: Any, theta: Array, sigma: Array, rng: np.random.Generator) -> Array:
    """Draw coefficients in the units of the data from their prior at theta (m, h), sigma (m,); flat ones are zero."""
    which, count = engine.penalties, len(engine.signals)
    seen = np.flatnonzero(which >= 0)
    unit = np.zeros((len(theta), len(which)))
    unit[:, seen] = rng.standard_normal((len(theta), len(seen)))
    for k, pair in enumerate(engine.pairs.values()):
        rho = np.tanh(theta[:, count + k, None])
        unit[:, pair[:, 1]] = rho * unit[:, pair[:, 0]] + np.sqrt(1.0 - rho**2) * unit[:, pair[:, 1]]
    with np.errstate(over="ignore"):
        unit[:, seen] *= sigma[:, None] * np.exp(-0.5 * theta[:, which[seen]]) / engine.design.scale[seen]
    return unit


def refitted(posterior: Posterior, y: Array, keep: NDArray[np.intp]) -> Residuals:
    """Leave-one-out residuals of m targets (m, n), each at its own scales, at the rows that count."""
    engine: Any = posterior.engine
    nodes = posterior.hyper.nodes
    theta = nodes.theta
    if len(theta) > _NODES:
        theta = theta[np.random.default_rng(0).choice(len(theta), _NODES, replace=False)]
    deletion = engine.deletion()
    free_of = deletion.at(theta, slice(None)).keep[keep]
    nu, known = engine.nu, isinstance(posterior.sigma, PointMass)
    log_norm = np.zeros(1) if len(theta) == 1 else _log_norm(posterior, theta)
    own = getattr(posterior.noise_prior, "conjugate", None)
    shape, scale = (0.5 * nu, 0.0) if own is None else (0.5 * nu + own.shape, own.scale)
    best = np.full(len(y), -np.inf)
    e, free, least = np.empty((len(y), len(keep))), np.empty((len(y), len(keep))), np.empty(len(y))
    for k, (residual, Q) in enumerate(engine.refits(theta, y)):
        fit = -0.5 * Q / posterior.sigma.median**2 if known else -shape * np.log(0.5 * Q + scale)
        better = (log_norm[k] + fit > best) | (k == 0)
        best[better] = (log_norm[k] + fit)[better]
        e[better], least[better] = residual[better][:, keep], Q[better]
        free[better] = free_of[:, k]
    if known:
        score = e / (np.sqrt(free) * posterior.sigma.median)
    else:
        without = np.maximum(least[:, None] - e * e / free, 1e-14 * least[:, None])
        score = normal_score(e / np.sqrt(free * without / (nu - 1.0)), nu - 1.0)
    rows = y[:, keep]
    return Residuals(rows, rows - e / free / np.sqrt(deletion.precision[keep]), score)


def _log_norm(posterior: Posterior, theta: Array) -> Array:
    """What the log density of theta has beyond Q."""
    return posterior.engine.evidence(theta)[0] + posterior.prior.log_density_of(theta, posterior.engine.signals)


def normal_score(t: Array, df: float) -> Array:
    """Turn Student-t values into normal ones of the same probability; from the lower tail, where nothing is lost.

    Many degrees of freedom: Fisher's series in 1/df (Hill 1970), whose next term is below 1e-7 there, in a tenth of the
    time.
    """
    if df < _MANY_DF:
        return np.asarray(-np.sign(t) * ndtri(np.maximum(stdtr(df, -np.abs(t)), 1e-300)))
    s, c = t * t, 1.0 / df
    third = c / 384.0 * (((35.0 * s + 19.0) * s + 1.0) * s - 15.0)
    z = t * (1.0 - c * (0.25 * (s + 1.0) - c * (((13.0 * s + 8.0) * s + 3.0) / 96.0 - third)))
    far = np.abs(t) > _SERIES
    z[far] = -np.sign(t[far]) * ndtri(np.maximum(stdtr(df, -np.abs(t[far])), 1e-300))
    return np.asarray(z)
