r"""What simulation-based calibration looks at: PIT values from exact cdfs, and ranks among draws.

Parameters one at a time cannot tell a posterior from the prior, or from one that ignores part of the data (Modrak et
al. 2023, Bayesian Analysis): the joint log likelihood, which depends on the data, can. It has no cdf and is ranked
among independent draws; a rank out of L is spread over its own cell, ``(draws below + V (ties + 1)) / (L + 1)`` with
V uniform, which is exactly uniform when the rank is.

Draws and cdfs are computed in different ways, and a wrong spread of one parameter among many hardly moves a joint
quantity: lambda, sigma, the intercept and some coefficients are therefore ranked among the draws as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from bayesridge.checks.simulate import Setup, Truth
from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.hyper.marginal import PointMass
from bayesridge.hyper.nodes import ConjugateNoise, HyperPosterior, Nodes
from bayesridge.linalg.shares import explained
from bayesridge.posteriors.posterior import Posterior
from bayesridge.priors import (
    NoisePrior,
    Prior,
)

Array = NDArray[np.float64]

JOINT = ("log likelihood", "log prior", "log joint")
SCALES = ("lambda", "sigma", "tau", "R2")
NEW = "new observation"
#: Coefficients that are ranked among draws besides their exact cdf.
MOST_DRAWN = 10


@dataclass(frozen=True)
class Quantities:
    """Names of the quantities, in order, and which the prior fixes (nothing to calibrate there).

    Attributes
    ----------
    exact : tuple of str
        With an exact cdf.
    ranked : tuple of str
        Joint quantities, ranked among draws.
    drawn : tuple of str
        Single parameters, ranked among the same draws.
    drawn_columns : tuple of int
        The coefficients among them.
    fixed : tuple of str
        Left out because they are known, or plugged in.
    """

    exact: tuple[str, ...]
    ranked: tuple[str, ...]
    drawn: tuple[str, ...]
    drawn_columns: tuple[int, ...]
    fixed: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All that are tested."""
        return self.exact + self.ranked + self.drawn


def quantities_of(
    design: Design, posterior: Posterior, columns: NDArray[np.intp], new: int, joint: tuple[str, ...] = JOINT
) -> Quantities:
    """Name what can be tested for a design and its kind of posterior; `columns` says which coefficients."""
    marginals = (posterior.lambda_, posterior.sigma, posterior.tau, posterior.r2)
    fixed = tuple([name for name, found in zip(SCALES, marginals, strict=True) if isinstance(found, PointMass)])
    if posterior.method == "evidence":  # tau is not a point, but says nothing beyond lambda's
        fixed = ("lambda", "tau", "R2")
    exact = [name for name in SCALES if name not in fixed]
    exact += [design.names[j] for j in columns]
    exact += ["intercept"] if design.fit_intercept else []
    exact += [NEW] if new == 1 else [f"{NEW} {k}" for k in range(new)]
    spaced = np.linspace(0, len(columns) - 1, min(len(columns), MOST_DRAWN)).round().astype(np.intp)
    some = tuple(columns[spaced].tolist())
    drawn = [name for name in ("lambda", "sigma") if name not in fixed] + [design.names[j] for j in some]
    drawn += ["intercept"] if design.fit_intercept else []
    ranked = tuple([name for name in joint if _has(name, posterior)])
    return Quantities(tuple(exact), ranked, tuple([f"{name} (draws)" for name in drawn]), some, fixed)


def _has(name: str, posterior: Posterior) -> bool:
    if name == "log likelihood":
        return True
    # a flat prior on everything has no log prior to rank, nor has a lambda that was plugged in
    return posterior.prior.known != 0.0 and posterior.method != "evidence"


def tested_columns(design: Design, wanted: Sequence[int] | None) -> NDArray[np.intp]:
    """Columns whose coefficients are tested: those wanted, or all, but for constant ones."""
    free = np.sort(np.concatenate([design.penalized, design.unpenalized]))
    if wanted is None:
        return free
    unknown = [j for j in wanted if not 0 <= j < design.n_columns]
    if unknown:
        raise DataError(f"columns counts from 0 to {design.n_columns - 1}, got {unknown[0]}")
    return np.intersect1d(free, np.array(wanted, dtype=np.intp))


# -- exact cdfs ----------------------------------------------------------------------------------------------------


_NEAR_ONE = 1e-8


def _pit_of_r2(posterior: Posterior, lam: float) -> float:
    """Of R² at a lambda; where it is one to half its digits, as P(lambda is larger)."""
    r2 = explained(posterior.spectrum.signal, np.asarray(lam))
    if 1.0 - float(r2) < _NEAR_ONE:
        return 1.0 - float(posterior.lambda_.cdf(lam))
    return float(posterior.r2.cdf(r2))


def exact_pit(
    posterior: Posterior,
    quantities: Quantities,
    columns: NDArray[np.intp],
    truth: Truth,
    i: int,
    y_new: Array,
    new: Array,
) -> list[float]:
    """PIT values ``F(truth | y)`` of the quantities with an exact cdf, for simulation i."""
    design = posterior.design
    out: list[float] = []
    lam, sigma, tau = float(truth.lam[i]), float(truth.sigma[i]), float(truth.tau[i])
    scales: dict[str, Callable[[], float]] = {
        "lambda": lambda: float(posterior.lambda_.cdf(lam)),
        "sigma": lambda: scale_cdf(posterior, "sigma", sigma),
        "tau": lambda: scale_cdf(posterior, "tau", tau),
        "R2": lambda: _pit_of_r2(posterior, lam),
    }
    out += [scales[name]() for name in SCALES if name in quantities.exact]
    out += _coefficient_pit(posterior, columns, truth.coef[i])
    if design.fit_intercept:
        out.append(float(posterior.intercept.cdf(truth.intercept[i])[0]))
    out += [float(u) for u in posterior.predict(new).target.cdf(y_new)]
    return out


def _coefficient_pit(posterior: Posterior, columns: NDArray[np.intp], coef: Array) -> list[float]:
    p = len(coef)
    if 4 * len(columns) > p:
        return [float(u) for u in posterior.coefficients.cdf(coef)[columns]]
    if not len(columns):
        return []
    pick = np.zeros((len(columns), p))
    pick[np.arange(len(columns)), columns] = 1.0
    return [float(u) for u in posterior.contrast(pick).cdf(coef[columns])]


_MOST_REFINEMENTS = 6


def scale_cdf(posterior: Posterior, name: str, value: float) -> float:
    r"""P(sigma <= value | y) or P(tau <= value | y).

    Where sigma^2 is inverse-gamma at each node k of lambda, with weight w_k,

        P(sigma <= v) = sum_k w_k Q(a, B_k / v^2),      P(tau <= v) = sum_k w_k Q(a, B_k / (lambda_k v^2)),

    with Q the regularised upper incomplete gamma function: the cdf of the engine's own marginal (to 1e-8, a test) for
    a hundredth of the time. Otherwise that marginal is asked.
    """
    if not isinstance(posterior.hyper.nodes.noise, ConjugateNoise):
        return float((posterior.sigma if name == "sigma" else posterior.tau).cdf(value))
    hyper: HyperPosterior = posterior.hyper
    for _ in range(_MOST_REFINEMENTS):
        nodes, noise = hyper.nodes, _conjugate(hyper.nodes)
        squares = np.log(noise.rate) - (0.0 if name == "sigma" else nodes.log_lam)
        seen = nodes.weight > 1e-10
        # steps of the cdf, 1 / sqrt(shape) wide in log sigma^2, have to overlap from node to node
        steps = np.abs(np.diff(squares))[seen[1:] & seen[:-1]]  # not over a gap between two modes
        if (steps <= 1.0 / np.sqrt(noise.shape)).all():
            break
        hyper = hyper.finer()
    with np.errstate(over="ignore"):
        below = gammaincc(noise.shape, np.exp(np.minimum(squares - 2.0 * np.log(value), 700.0)))
    return float(nodes.weight @ below)


def _conjugate(nodes: Nodes) -> ConjugateNoise:
    assert isinstance(nodes.noise, ConjugateNoise)
    return nodes.noise


# -- ranks among draws ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class JointDensity:
    """Log likelihood, log prior and their sum, of many parameter draws at once.

    Any function of parameters and data may be ranked, so that constants, and the parametrisation of the densities (of
    log lambda, log sigma and the coefficients), do not matter.
    """

    setup: Setup
    prior: Prior
    noise_prior: NoisePrior

    def __call__(self, y: Array, draws: Truth) -> dict[str, Array]:
        """Evaluate at draws (S of them), shapes (S,)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            likelihood, prior = self.log_likelihood(y, draws), self.log_prior(draws)
        return {"log likelihood": likelihood, "log prior": prior, "log joint": likelihood + prior}

    def log_likelihood(self, y: Array, draws: Truth) -> Array:
        """Log density of y."""
        setup = self.setup
        w = np.ones(len(setup.X)) if setup.weights is None else setup.weights
        rest = y - draws.intercept[:, None] - draws.coef @ setup.X.T
        squares = np.square(rest) @ w / draws.sigma**2
        return np.asarray(-0.5 * squares - np.count_nonzero(w) * np.log(draws.sigma))

    def log_prior(self, draws: Truth) -> Array:
        """Log density of (log lambda, log sigma, penalised coefficients), up to a constant."""
        setup = self.setup
        scaled = draws.coef[:, setup.penalized] * setup.divisor[setup.penalized]
        coefficients = -len(setup.penalized) * np.log(draws.tau) - 0.5 * np.square(scaled).sum(axis=1) / draws.tau**2
        return np.asarray(coefficients + self._log_scales(draws))

    def _log_scales(self, draws: Truth) -> Array:
        prior, noise = self.prior.with_noise(self.noise_prior)
        value = np.zeros(len(draws.lam))
        if noise.known is None:
            value = value + noise.log_density(np.log(draws.sigma))
        if prior.known is None:
            scale = draws.lam if prior.variable == "lambda" else draws.tau
            value = value + prior.log_density(np.log(scale), self.setup.signal)
        return value


def parameter_ranks(quantities: Quantities, truth: Truth, draws: Truth, rng: np.random.Generator) -> list[float]:
    """Ranks of one true set of parameters among draws, for the quantities called ``drawn``."""
    values = {
        "lambda (draws)": (truth.lam, draws.lam), "sigma (draws)": (truth.sigma, draws.sigma),
        "intercept (draws)": (truth.intercept, draws.intercept),
    }  # fmt: skip
    found = [values[name] for name in ("lambda (draws)", "sigma (draws)") if name in quantities.drawn]
    found += [(truth.coef[:, j], draws.coef[:, j]) for j in quantities.drawn_columns]
    found += [values["intercept (draws)"]] if len(found) < len(quantities.drawn) else []
    return [spread_rank(float(one[0]), many, v) for (one, many), v in zip(found, rng.random(len(found)), strict=True)]


def spread_rank(value: float, draws: Array, uniform: float) -> float:
    """Rank of a value among draws, as a number in [0, 1] (see the module's text)."""
    if np.isnan(value) or np.isnan(draws).any():
        raise DataError("a test quantity is NaN: it cannot be ranked")
    below, ties = np.count_nonzero(draws < value), np.count_nonzero(draws == value)
    return float((below + uniform * (ties + 1)) / (len(draws) + 1))
