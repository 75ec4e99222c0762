r"""The maximum a posteriori estimate of the stated model, found by a generic optimiser, beside the closed form.

At given sigma and tau the log posterior of the intercept, the unpenalised and the penalised coefficients is, up to a
constant,

    - sum_i w_i (y_i - b0 - z_i' gamma - x_i' beta)^2 / (2 sigma^2)  -  |beta|^2 / (2 tau^2),

which is -1/(2 sigma^2) times the ridge criterion with lambda = sigma^2 / tau^2: the maximiser *is* the ridge solution.
Here that is shown, not assumed: the optimiser sees only this function, its gradient and its curvature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.filters import original_scale, standardized_coefficients, unit_variances
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]

_DENSE_LIMIT = 600  # parameters up to which the optimiser gets the full matrix of second derivatives


@dataclass(frozen=True, eq=False)
class MapComparison:
    """The MAP estimate and the ridge solution of the same problem.

    Attributes
    ----------
    sigma, tau, lam : float
        Noise sd, prior sd of the standardised coefficients, and ``lambda = sigma^2 / tau^2``.
    map_coef, ridge_coef : ndarray of shape (p,)
        In the units of the data.
    map_intercept, ridge_intercept : float
    difference : float
        Largest difference of the standardised coefficients, relative to the largest of them.
    iterations : int
        Of the optimiser.
    optimizer : str
        scipy's name of it.
    """

    sigma: float
    tau: float
    lam: float
    map_coef: Array
    ridge_coef: Array
    map_intercept: float
    ridge_intercept: float
    difference: float
    iterations: int
    optimizer: str


@dataclass(frozen=True, eq=False)
class LogPosterior:
    """Negative log posterior of ``theta = (intercept at the column means, gamma, beta) / unit``, up to a constant.

    The unit (a spread of y) makes theta a pure number, so that the optimiser's tolerances mean the same in all units.
    """

    rows: Array
    y: Array
    sigma: float
    precision: Array
    unit: float

    def value(self, theta: Array) -> float:
        """Negative log posterior."""
        rest = self.y - self.rows @ (self.unit * theta)
        return float(0.5 * (rest @ rest) / self.sigma**2 + 0.5 * self.precision @ np.square(self.unit * theta))

    def gradient(self, theta: Array) -> Array:
        """Its gradient."""
        rest = self.y - self.rows @ (self.unit * theta)
        return np.asarray(self.unit * (self.precision * self.unit * theta - self.rows.T @ rest / self.sigma**2))

    def hessian(self, theta: Array) -> Array:  # noqa: ARG002 -- constant: the posterior is Gaussian
        """Its matrix of second derivatives."""
        return np.asarray(self.unit**2 * (self.rows.T @ self.rows / self.sigma**2 + np.diag(self.precision)))

    def hessian_product(self, theta: Array, v: Array) -> Array:  # noqa: ARG002
        """The second derivatives times a vector."""
        return np.asarray(self.unit**2 * (self.rows.T @ (self.rows @ v) / self.sigma**2 + self.precision * v))


def log_posterior(design: Design, sigma: float, tau: float) -> LogPosterior:
    """State the model's log posterior at given sigma and tau."""
    X = design.standardized(None, design.penalized)
    Z = design.standardized(None, design.unpenalized)
    ones = np.ones((design.n_rows, int(design.fit_intercept)))
    rows = np.hstack([ones, Z, X])
    y = design.y - design.y_mean
    root = design.root_weights()
    if root is not None:
        rows, y = rows * root[:, None], y * root
    precision = np.concatenate([np.zeros(rows.shape[1] - X.shape[1]), np.full(X.shape[1], tau**-2.0)])
    spread = float(np.sqrt(y @ y / design.total_weight))
    return LogPosterior(rows, y, sigma, precision, spread or sigma)


def newton_gap(design: Design, spectrum: Spectrum, sigma: float, tau: float) -> float:
    """How far the ridge solution is from the MAP estimate: Newton's step from it on the model's log posterior.

    The log posterior is quadratic, so that one step leads to its maximum. The gradient is computed from the rows, as
    the model states it; with A = X'X + lambda I, flat directions projected out, the step is A^-1 (lambda beta - X'r).

    Returns
    -------
    float
        Largest difference of the standardised coefficients, relative to the largest of them.
    """
    lam = (sigma / tau) ** 2
    target = log_posterior(design, sigma, tau)
    beta = standardized_coefficients(spectrum, lam)
    coef, _ = original_scale(design, spectrum, beta)
    k, u = int(design.fit_intercept), len(design.unpenalized)
    flat = design.coordinates(coef)[design.unpenalized]
    theta = np.concatenate([np.zeros(k), flat, beta]) / target.unit  # the intercept at the column means is that of y
    slope = target.gradient(theta) * (sigma**2 / target.unit)
    rest = slope[k + u :]
    if spectrum.flat is not None:
        rest = rest - slope[k : k + u] @ spectrum.flat.on_predictors
    along = rest @ spectrum.V
    step = spectrum.V @ (along * unit_variances(spectrum, lam))
    if spectrum.rank < spectrum.n_features:
        step += (rest - spectrum.V @ along) / lam
    largest = float(np.abs(beta).max(initial=0.0))
    return float(np.abs(step).max(initial=0.0)) / (largest or 1.0)


def map_estimate(design: Design, spectrum: Spectrum, sigma: float, tau: float) -> MapComparison:
    """Maximise the log posterior numerically and compare with ridge at ``lambda = sigma^2 / tau^2``.

    Parameters
    ----------
    design, spectrum : Design, Spectrum
    sigma, tau : float
        Noise sd and prior sd of the standardised coefficients, in units of y.

    Returns
    -------
    MapComparison
    """
    if not (np.isfinite([sigma, tau]).all() and sigma > 0 and tau > 0):
        raise DataError(f"sigma and tau must be positive numbers, got sigma={sigma}, tau={tau}")
    target = log_posterior(design, sigma, tau)
    start = np.zeros(target.rows.shape[1])
    tolerance = 1e-12 * max(float(np.abs(target.gradient(start)).max()), 1e-300)
    options: Any = {"gtol": tolerance, "maxiter": 200, "max_trust_radius": 1e10, "initial_trust_radius": 10.0}
    solve: Any = minimize  # its stubs know fewer options than the methods
    if len(start) <= _DENSE_LIMIT:
        method = "trust-exact"
        found = solve(
            target.value, start, jac=target.gradient, hess=target.hessian, method=method, options=options
        )  # fmt: skip
    else:
        method = "trust-krylov"
        found = solve(
            target.value, start, jac=target.gradient, hessp=target.hessian_product, method=method, options=options
        )
    lam = (sigma / tau) ** 2
    theta = np.asarray(found.x) * target.unit
    u, k = len(design.unpenalized), int(design.fit_intercept)
    map_coef = np.zeros(design.n_columns)
    map_coef[design.unpenalized], map_coef[design.penalized] = theta[k : k + u], theta[k + u :]
    map_coef = design.coefficients(map_coef)
    centre = design.y_mean + theta[0] if k else 0.0
    beta = standardized_coefficients(spectrum, lam)
    ridge_coef, ridge_intercept = original_scale(design, spectrum, beta)
    largest = float(np.abs(beta).max(initial=0.0))
    gap = float(np.abs(theta[k + u :] - beta).max(initial=0.0))
    return MapComparison(
        sigma=sigma,
        tau=tau,
        lam=lam,
        map_coef=map_coef,
        ridge_coef=ridge_coef,
        map_intercept=float(centre - map_coef @ design.mean) if k else 0.0,
        ridge_intercept=float(ridge_intercept),
        difference=gap / largest if largest > 0 else gap,
        iterations=int(found.nit),
        optimizer=method,
    )
