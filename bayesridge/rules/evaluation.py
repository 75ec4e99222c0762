"""What a choice of lambda means on these data: size of the fit, leave-one-out error and score, one row a choice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.evidence import profile_sigma
from bayesridge.hyper.nodes import ConjugateNoise
from bayesridge.linalg.deletion import in_blocks
from bayesridge.linalg.filters import constraint_radius, effective_dof, filter_factors, filtered_coefficients
from bayesridge.linalg.terms import spectral_terms
from bayesridge.posteriors.loo import MOST_LOST
from bayesridge.rules.leave_one_out import check_leave_one_out, loo_mixture, loo_rows
from bayesridge.rules.problem import LambdaProblem

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Facts about K fixed lambdas, and in the last place about the full posterior with lambda integrated.

    Attributes
    ----------
    effective_dof : ndarray of shape (K + 1,)
        Of the penalised columns (flat directions not counted); posterior mean in the last place.
    sigma : ndarray of shape (K + 1,)
        ``sqrt(Q / nu)``, the sigma that maximises the evidence at that lambda; posterior median in the last place.
    beta_norm : ndarray of shape (K + 1,)
        Euclidean norm of the standardised penalised coefficients; of their posterior mean in the last place.
    rmse : ndarray of shape (K + 1,)
        Root mean squared leave-one-out error (weighted by precision weights), units of y; NaN where there is none.
    pointwise : ndarray of shape (m, K + 1)
        ``log p(y_i | y_-i)`` given lambda, sigma integrated; lambda integrated too in the last place. The m
        rows of positive weight.
    count : ndarray of shape (m,)
        Observations a row stands for.
    unavailable : str
        Why there is no leave-one-out ("" if there is).
    """

    effective_dof: Array
    sigma: Array
    beta_norm: Array
    rmse: Array
    pointwise: Array
    count: Array
    unavailable: str

    @property
    def elpd(self) -> Array:
        """Sum of log predictive densities over observations, shape (K + 1,)."""
        return np.asarray(self.count @ self.pointwise)

    @property
    def elpd_se(self) -> Array:
        """Standard error of :attr:`elpd`: sqrt(n times the variance of its terms)."""
        return self._standard_error(self.pointwise)

    def difference(self, best: int) -> tuple[Array, Array]:
        """Differences of elpd to that of one column, and their paired standard errors."""
        gap = self.pointwise - self.pointwise[:, [best]]
        return np.asarray(self.count @ gap), self._standard_error(gap)

    def _standard_error(self, terms: Array) -> Array:
        n = float(self.count.sum())
        spread = self.count @ np.square(terms - (self.count @ terms) / n)
        return np.sqrt(n * spread / max(n - 1.0, 1.0))


def evaluate(problem: LambdaProblem, lam: Array) -> Evaluation:
    """Evaluate K lambdas (0 and infinity allowed) and the full posterior."""
    spectrum, posterior = problem.spectrum, problem.posterior
    nodes = posterior.hyper.nodes
    f = filter_factors(spectrum, nodes.lam)
    mean_fit = nodes.weight @ f
    dof = np.append(effective_dof(spectrum, lam), mean_fit.sum())
    sigma = np.append(profile_sigma(spectrum, lam), problem.sigma)
    norm = np.append(constraint_radius(spectrum, lam), np.linalg.norm(filtered_coefficients(spectrum, mean_fit)))
    K = len(lam)
    rows = problem.row_basis
    rmse, pointwise, why = np.full(K + 1, np.nan), np.full((len(rows.index), K + 1), np.nan), ""
    try:
        check_leave_one_out(problem.design, spectrum)
        full = _full_posterior(problem)
    except DataError as error:
        why = str(error)
    else:
        each = loo_rows(rows, spectrum, problem.noise, problem.where.log_lambda(lam))
        errors = np.column_stack([each.error, full[0]])
        weight = rows.count * rows.precision
        rmse = np.sqrt(weight @ np.square(errors) / weight.sum())
        pointwise = np.column_stack([each.log_density, full[1]])
    return Evaluation(dof, sigma, norm, np.asarray(rmse), pointwise, rows.count, why)


def _full_posterior(problem: LambdaProblem) -> tuple[Array, Array]:
    """Leave-one-out errors and log densities with lambda integrated, rows of positive weight.

    On a large table, from the same brackets as everything else: ``p(y_i | y_-i) = 1 / E[1 / p(y_i | y_-i, lambda)]``
    over the posterior's nodes, unless they do not serve some row; then as :func:`leave_one_out` does it.
    """
    posterior, rows = problem.posterior, problem.row_basis
    nodes = posterior.hyper.nodes
    known = "loo" in vars(posterior) or rows.basis is None or problem.noise.note
    if not known and isinstance(nodes.noise, ConjugateNoise):
        each = loo_mixture(rows, problem.spectrum, problem.noise, nodes.log_lam, nodes.weight)
        lost = np.finfo(np.float64).eps * problem.spectrum.nu / each.left
        if lost <= MOST_LOST and each.resolved:
            return each.error, each.log_density
    full = posterior.loo
    return (full.y - full.mean)[rows.index], full.pointwise[rows.index]


@dataclass(frozen=True)
class Spread:
    """How far apart the fitted values of several lambdas are.

    Attributes
    ----------
    row, low, high : int
        The row, and the two lambdas (indices), that are furthest apart in units of the posterior sd.
    in_sd : float
        That distance in posterior sds of the expected target at the row (parameter uncertainty, lambda integrated);
        NaN when that sd is infinite.
    in_sigma : float
        The largest distance at any row in units of sigma (posterior median).
    rms_in_sigma : float
        Root mean square over rows of the largest distance there, in units of sigma.
    """

    row: int
    low: int
    high: int
    in_sd: float
    in_sigma: float
    rms_in_sigma: float


def spread_of_fits(problem: LambdaProblem, lam: Array) -> Spread:
    """Compare the fitted values of K lambdas over the rows of the table (units of a row of weight one)."""
    rows = problem.row_basis
    nodes = problem.posterior.hyper.nodes
    choices, at_nodes = _coordinates(problem, problem.where.log_lambda(lam)), _coordinates(problem, nodes.log_lam)
    infinite = not np.isfinite(nodes.noise_variance)
    variance = nodes.weight * (1.0 if infinite else nodes.noise.mean_variance())
    # Fitted values, but for what does not depend on lambda, are -on_residual @ choices. Over the posterior of lambda
    # they have the variance |on_residual @ root|^2, and given lambda that of the leverage.
    root = at_nodes[0] - (at_nodes[0] @ nodes.weight)[:, None]
    root = np.linalg.qr((root * np.sqrt(nodes.weight)).T, mode="r").T
    sd, width = np.empty((2, len(rows.index)))
    low, high = np.empty((2, len(rows.index)), dtype=np.intp)

    def fill(part: slice) -> None:
        fits = rows.on_residual[part] @ -choices[0]
        moving = np.square(rows.on_residual[part] @ root).sum(axis=1)
        leverage = 1.0 - rows.rest[part, None] - rows.on_leverage[part] @ at_nodes[1]
        given = np.zeros(len(moving)) if infinite else np.maximum(leverage, 0.0) @ variance
        sd[part], width[part] = np.sqrt(moving + given), np.ptp(fits, axis=1)
        low[part], high[part] = fits.argmin(axis=1), fits.argmax(axis=1)

    in_blocks(fill, rows, len(lam) + len(nodes.log_lam))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(width > 0, width / sd, 0.0)  # both carry the root of the precision
    k = int(np.argmax(width if infinite else ratio))
    sigma = problem.sigma
    width = width / np.sqrt(rows.precision)
    return Spread(
        int(rows.index[k]), int(low[k]), int(high[k]), np.nan if infinite else float(ratio[k]),
        float(width.max() / sigma), float(np.sqrt(np.mean(np.square(width))) / sigma),
    )  # fmt: skip


def _coordinates(problem: LambdaProblem, log_lam: Array) -> tuple[Array, Array]:
    g = spectral_terms(problem.spectrum, log_lam).g
    return problem.row_basis.coordinates(g, g[:, -1:] if problem.spectrum.rank else 1.0)
