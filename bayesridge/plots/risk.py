r"""Squared bias and variance of ridge predictions over lambda, in the spectral basis.

Let the truth be (beta, sigma) and y new at the same rows (weights as given). With b = V'beta (standardised columns),
``U'yc = s b + sigma eps``, so ridge at lambda predicts ``f_j (s_j b_j + sigma eps_j)`` along direction j where
``s_j b_j`` is true. Averaged over the n observations,

    bias^2    = 1/n sum_j (1 - f_j)^2 s_j^2 b_j^2,
    variance  = sigma^2 / n (sum_j f_j^2 + q),         q flat directions (intercept, unpenalised columns), never biased,
    noise     = sigma^2,

and their sum is the expected squared prediction error of new observations at the same rows (weighted by w where w is a
precision). Parts of beta that X never saw do not enter.

Averaged over the posterior, b_j^2 and sigma^2 are replaced by their expectations, at node k of lambda

    E[b_j^2 | k] = (s_j z_j / (s_j^2 + lambda_k))^2 + E[sigma^2 | k] / (s_j^2 + lambda_k),

mixed with the nodes' weights. That is the risk of the estimator "ridge at lambda" for a truth drawn from the posterior:
uncertainty about the truth, lambda included, is in it, and no plug-in is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.filters import along_directions, check_lambda, expected_squares, filter_factors, squared_bias
from bayesridge.plots.inputs import expect, target
from bayesridge.plots.lambda_axis import LABEL, lambda_grid, log_axis, number, shade_interval
from bayesridge.plots.layout import describe, legend_below, one_axes
from bayesridge.plots.look import BLUE, GREEN, LINES, VERMILION
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def bias_variance(
    post: Posterior,
    *,
    coef: ArrayLike | None = None,
    sigma: float | None = None,
    ax: Axes | None = None,
    level: float = 0.95,
) -> Axes:
    """Draw squared bias, variance and their sum over lambda, for new observations at the rows of the fit.

    What to see: the sum is flat around its minimum, so that much of the shaded interval of lambda predicts about
    equally well; left of it variance is paid for, right of it bias.

    Parameters
    ----------
    post : Posterior
    coef, sigma : array_like of shape (p,), float, optional
        The truth, in the units of the data, where it is known (simulations). By default both are averaged over the
        posterior, exactly: the risk of ridge at lambda if the truth is a draw from the posterior, which is a statement
        of the model about itself and not an estimate from held-out data.
    ax : Axes, optional
    level : float
        Of the equal-tailed interval of lambda.

    Returns
    -------
    Axes
        Mean squares in squared units of the target. The right axis adds the noise variance to the left one: on it the
        sum is the expected squared prediction error.
    """
    expect(post, "Posterior")
    check_level(level)
    grid = lambda_grid(post)
    terms = risk_terms(post, grid, coef=coef, sigma=sigma)
    ax = one_axes(ax, 4.4)
    total = terms.bias2 + terms.variance
    best = int(np.argmin(total))
    handles: list[Any] = [
        *ax.plot(grid, total, color=BLUE, lw=2.2),
        *ax.plot(grid, terms.bias2, color=VERMILION, lw=1.6, ls=LINES[1]),
        *ax.plot(grid, terms.variance, color=GREEN, lw=1.6, ls=LINES[2]),
        *ax.plot(grid[best], total[best], color=BLUE, marker="o", ms=7, ls=""),
    ]
    labels = ["bias² + variance", "bias²", "variance", f"smallest sum, at λ = {number(grid[best])}"]
    interval = shade_interval(ax, post, level)
    if ax.patches:
        handles.append(ax.patches[-1])
        labels.append(interval)
    log_axis(ax, grid[0], grid[-1])
    # towards its ends the sum may rise without bound: the picture is about its valley
    ax.set_ylim(0.0, min(1.08 * float(total.max()), 6.0 * float(total[best])))
    unit = f"squared units of {target(post.design)}"
    describe(
        ax, title=f"Bias and variance of predictions at these rows, {terms.truth}", x=LABEL, y=f"mean square ({unit})"
    )
    noise = terms.noise
    right = ax.secondary_yaxis("right", functions=(partial(np.add, noise), partial(np.add, -noise)))
    right.set_ylabel(f"with noise (σ² = {number(noise)}): prediction error")
    legend_below(ax, handles, labels)
    return ax


@dataclass(frozen=True, eq=False)
class RiskTerms:
    """Parts of the expected squared prediction error at the rows of the fit, in squared units of the target.

    Attributes
    ----------
    lam, bias2, variance : ndarray of shape (k,)
    noise : float
        sigma^2 (its posterior mean, when averaged over the posterior).
    truth : str
        What was taken to be true.
    """

    lam: Array
    bias2: Array
    variance: Array
    noise: float
    truth: str

    @property
    def total(self) -> Array:
        """Expected squared prediction error of a new observation."""
        return self.bias2 + self.variance + self.noise


def risk_terms(
    post: Posterior, lam: ArrayLike, *, coef: ArrayLike | None = None, sigma: float | None = None
) -> RiskTerms:
    """Compute bias^2, variance and noise over lambda.

    Parameters
    ----------
    post : Posterior
    lam : array_like of shape (k,)
    coef, sigma : array_like of shape (p,), float, optional
        The truth, in the units of the data (simulations); by default both are averaged over the posterior.

    Raises
    ------
    DataError
        If only one of the two is given, shapes do not fit, or the posterior mean of sigma^2 is infinite.
    """
    grid = np.atleast_1d(check_lambda(lam))
    if (coef is None) != (sigma is None):
        raise DataError("the truth is coef and sigma together: give both, or neither to average over the posterior")
    if coef is None or sigma is None:
        square, noise = _posterior_squares(post)
        truth = "averaged over the posterior"
    else:
        square, noise = _true_squares(post, coef, sigma)
        truth = "at the given truth"
    spectrum, n = post.spectrum, post.design.n_obs
    bias2 = squared_bias(spectrum, grid, square) / n
    variance = noise / n * ((filter_factors(spectrum, grid) ** 2).sum(axis=-1) + post.design.n_flat)
    return RiskTerms(grid, bias2, variance, noise, truth)


def _posterior_squares(post: Posterior) -> tuple[Array, float]:
    """Posterior means of b_j^2 and of sigma^2."""
    spectrum, nodes = post.spectrum, post.hyper.nodes
    variance, noise = nodes.noise.mean_variance(), nodes.noise_variance
    if not np.isfinite(noise):
        raise DataError(
            f"the posterior mean of sigma² is infinite with {spectrum.nu:g} residual degrees of freedom: give the "
            "truth (coef and sigma), or a proper noise prior"
        )
    return expected_squares(spectrum, nodes.lam, variance, nodes.weight), noise


def _true_squares(post: Posterior, coef: ArrayLike, sigma: float) -> tuple[Array, float]:
    design = post.design
    values = np.asarray(coef, dtype=np.float64)
    if values.shape != (len(design.names),) or not np.isfinite(values).all():
        raise DataError(f"coef must be {len(design.names)} finite numbers (units of the data), got {values.shape}")
    if not (np.isfinite(sigma) and sigma >= 0):
        raise DataError(f"sigma must be 0 or positive, got {sigma}")
    beta = design.coordinates(values)[design.penalized]
    return np.square(along_directions(post.spectrum, beta)), float(sigma) ** 2
