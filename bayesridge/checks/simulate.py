r"""Data drawn from the stated model, from scratch: nothing here is shared with the code that is being checked.

    lambda, sigma, tau ~ their priors,    lambda = sigma^2 / tau^2
    beta_j ~ N(0, tau^2)       on columns divided by their (weighted) standard deviation
    y_i ~ N(b0 + z_i' gamma + x_i' beta, sigma^2 / w_i)

The intercept b0 and the unpenalised gamma have flat priors, and sigma under Jeffreys' prior has 1/sigma^2 for
sigma^2: nothing can be drawn from those, and nothing has to be. They are the right Haar priors of moving y
along the flat columns, and of multiplying y by a constant. Under such a prior the posterior moves with the data: if
(theta, y) becomes (g theta, g y), every posterior probability of an event that moves along is the same. So the PIT
value P(h(theta') <= h(theta) | y) of any quantity h that moves by an increasing function (lambda, R^2: not at all;
sigma, tau, coefficients, intercept, new observations: scaled and shifted; log likelihood, log prior: a constant is
added) does not depend on where b0, gamma and sigma stand, and its distribution is uniform at *every* fixed value of
them, not only on average (Stein 1965; Severini, Mukerjee and Ghosh 2002, Biometrika 89). They are fixed at a
:class:`~bayesridge.checks.prior_draws.Reference`, and the choice changes no PIT value (a test).

For this the whole model has to move with y. A prior on tau itself, in units of y, does not, and with Jeffreys'
prior of sigma beside it there is no sense in which the joint prior can be simulated: such pairs are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bayesridge.checks.prior_draws import Reference, check_simulable, draw_scales
from bayesridge.priors import NoisePrior, Prior

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Setup:
    """The columns of a simulated study, and what the model does with them.

    Attributes
    ----------
    X : ndarray of shape (n, p)
    new : ndarray of shape (m, p)
        Rows at which new observations are made.
    weights : ndarray of shape (n,) or None
        Precision weights, noise variance sigma^2 / w.
    fit_intercept : bool
    scale : bool or ndarray of shape (p,)
    unpenalized : tuple of int
    """

    X: Array
    new: Array
    weights: Array | None = None
    fit_intercept: bool = True
    scale: bool | Array = True
    unpenalized: tuple[int, ...] = ()
    divisor: Array = field(init=False, repr=False)
    penalized: NDArray[np.intp] = field(init=False, repr=False)
    signal: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        X, p = self.X, self.X.shape[1]
        w = np.ones(len(X)) if self.weights is None else self.weights
        centre = np.average(X, axis=0, weights=w) if self.fit_intercept else np.zeros(p)
        spread = np.sqrt(np.average((X - centre) ** 2, axis=0, weights=w))
        varies = spread > 1e-14 * np.abs(X).max(axis=0)
        if isinstance(self.scale, (bool, np.bool_)):
            divisor = np.where(varies, spread, 1.0) if self.scale else np.ones(p)
        else:
            divisor = np.asarray(self.scale, dtype=np.float64)
        flat = np.isin(np.arange(p), np.array(self.unpenalized, dtype=np.intp))
        penalized = np.flatnonzero(varies & ~flat)
        n_obs = np.count_nonzero(w)
        explained = float((spread[penalized] ** 2 / divisor[penalized] ** 2).sum())
        object.__setattr__(self, "divisor", divisor)
        object.__setattr__(self, "penalized", penalized)
        object.__setattr__(self, "signal", explained * float(w.sum()) / n_obs)


@dataclass(frozen=True, eq=False)
class Truth:
    """S draws of all parameters.

    Attributes
    ----------
    lam, sigma, tau, intercept : ndarray of shape (S,)
    coef : ndarray of shape (S, p)
        In the units of the data.
    """

    lam: Array
    sigma: Array
    tau: Array
    intercept: Array
    coef: Array


@dataclass(frozen=True, eq=False)
class Simulation:
    """S draws of parameters and of the data they make.

    Attributes
    ----------
    truth : Truth
    y : ndarray of shape (S, n)
    y_new : ndarray of shape (S, m)
        New observations at ``Setup.new``, of precision weight one.
    """

    truth: Truth
    y: Array
    y_new: Array


def simulate(
    setup: Setup,
    prior: Prior,
    noise_prior: NoisePrior,
    simulations: int,
    rng: np.random.Generator,
    reference: Reference | None = None,
) -> Simulation:
    """Draw parameters from their priors, and data from them.

    Parameters
    ----------
    setup : Setup
    prior, noise_prior : Prior, NoisePrior
    simulations : int
    rng : Generator
    reference : Reference, optional
        Values of what has no proper prior.

    Returns
    -------
    Simulation

    Raises
    ------
    PriorError
        If the priors cannot be simulated from.
    """
    at = reference or Reference()
    check_simulable(prior, noise_prior)
    lam, sigma, tau = draw_scales(prior, noise_prior, setup.signal, simulations, rng, at)
    p = setup.X.shape[1]
    scaled = np.zeros((simulations, p))
    normal = rng.standard_normal((simulations, len(setup.penalized)))
    # lambda = 0 is a flat prior on the coefficients, which then stand at the reference too
    free = np.isfinite(tau)[:, None]
    scaled[:, setup.penalized] = np.where(free, np.where(free, tau[:, None], 0.0) * normal, at.unpenalized)
    scaled[:, list(setup.unpenalized)] = at.unpenalized
    intercept = np.full(simulations, at.intercept if setup.fit_intercept else 0.0)
    return observe(setup, Truth(lam, sigma, tau, intercept, scaled / setup.divisor), rng)


def observe(setup: Setup, truth: Truth, rng: np.random.Generator) -> Simulation:
    """Draw data from given parameters."""
    sigma = truth.sigma[:, None]
    root = np.ones(len(setup.X))
    if setup.weights is not None:  # a row of weight zero is no observation: any number will do
        root = np.sqrt(np.where(setup.weights > 0, setup.weights, 1.0))
    mean = truth.intercept[:, None] + truth.coef @ setup.X.T
    y = mean + sigma * rng.standard_normal(mean.shape) / root
    mean_new = truth.intercept[:, None] + truth.coef @ setup.new.T
    return Simulation(truth, y, mean_new + sigma * rng.standard_normal(mean_new.shape))
