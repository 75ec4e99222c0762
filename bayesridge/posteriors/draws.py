"""Independent draws from the posterior: no warm-up, no autocorrelation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.design.row_source import RowIndex
from bayesridge.engines.engine import Engine
from bayesridge.errors import check_counts, check_memory
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.parallel.runs import generator

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of every parameter; leading axes are (chain, draw).

    Attributes
    ----------
    intercept : ndarray of shape (chain, draw)
        In the units of y, at X = 0 (zeros when the model has none).
    coef : ndarray of shape (chain, draw, p)
        In the units of the data, for all columns.
    sigma : ndarray of shape (chain, draw)
        Noise sd; one where the outcome has no noise of its own (counts), so that lambda is 1 / tau^2.
    tau, lam : ndarray of shape (chain, draw), or (chain, draw, G) with G scales
        Prior sd of the standardised coefficients, and ``sigma^2 / tau^2``. Where a prior gives each coefficient its
        own scale, tau is the root of their mean square.
    noise_df : ndarray of shape (chain, draw) or None
        Degrees of freedom of a Student-t likelihood with scale sigma; None for a Gaussian one.
    extra : mapping of str to ndarray
        Further parameters of a model, (chain, draw) or (chain, draw, p_penalized).
    """

    intercept: Array
    coef: Array
    sigma: Array
    tau: Array
    lam: Array
    noise_df: Array | None = None
    extra: Mapping[str, Array] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains, and of draws in each."""
        return self.sigma.shape[0], self.sigma.shape[1]


def draw_posterior(
    engine: Engine,
    hyper: HyperPosterior,
    *,
    draws: int = 1000,
    chains: int = 4,
    random_state: int | np.random.Generator | None = None,
) -> Draws:
    """Draw all parameters jointly and independently: the scales by inverting their cdf, then coefficients given both.

    Parameters
    ----------
    draws, chains : int
        The draws are independent; `chains` only shapes them for tools that expect chains.
    random_state : int, Generator or None
        Seed.
    """
    check_counts(draws=draws, chains=chains)
    n, p = draws * chains, engine.design.n_columns
    check_memory(32.0 * n * (p + 4), f"{n} draws of {p} coefficients", "ask for fewer at a time")
    rng = generator(random_state)
    lam, sigma = hyper.draw(n, rng)
    return draws_given(engine, lam, sigma, (chains, draws), rng)


def replicated(
    design: Design,
    expected: Array,
    sigma: Array,
    rows: RowIndex,
    rng: np.random.Generator,
    noise_df: Array | None = None,
) -> Array:
    """Add noise to draws of the expected target.

    Parameters
    ----------
    expected : ndarray of shape (n, n_rows)
    sigma : ndarray of shape (n,)
    rows : ndarray of int, shape (m,)
        The row of the design that each new observation is of.
    noise_df : ndarray of shape (n,), optional
        Of Student-t noise.

    Returns
    -------
    ndarray of shape (n, m)
    """
    mean = expected[:, rows]
    noise = (
        rng.standard_normal(mean.shape) if noise_df is None else rng.standard_t(noise_df[:, None], mean.shape)
    ) * sigma[:, None]
    if design.weights is not None and design.weight_kind == "precision":
        noise /= np.sqrt(design.weights[rows])
    return np.asarray(mean + noise)


def draws_given(engine: Engine, lam: Array, sigma: Array, shape: tuple[int, int], rng: np.random.Generator) -> Draws:
    """Draw coefficients and intercept given n = chains * draws of exp(theta), (n,) or (n, h), and of sigma, (n,).

    Beside its lambdas an engine may have correlations (atanh) and hyperparameters of its own (log) in theta.
    """
    names = engine.theta_names
    count = sum(name.startswith("log lambda") for name in names)
    with np.errstate(divide="ignore"):
        theta = np.log(lam.reshape(len(lam), -1))
        given = engine.at(theta)
        if len(names) > count:
            lam = lam[:, 0] if count == 1 else lam[:, :count]
        tau = (sigma / np.sqrt(lam).T).T
    drawn = given.draw(sigma, rng)
    return Draws(
        intercept=drawn.intercept.reshape(shape),
        coef=drawn.coef.reshape(*shape, -1),
        sigma=sigma.reshape(shape),
        tau=tau.reshape(shape + tau.shape[1:]),
        lam=lam.reshape(shape + lam.shape[1:]),
        extra={
            name.partition(" ")[2]: (np.tanh if name.startswith("atanh ") else np.exp)(values).reshape(shape)
            for name, values in zip(names[count:], theta[:, count:].T, strict=True)
        },
    )
