r"""What all models share: the standardised table, the flat directions, and the likelihood of weighted rows.

    y_i = centre + z_i' gamma + x_i' beta + e_i,      centre, gamma flat,      e_i ~ N(0, sigma^2 / w_i)

x and z are the penalised and unpenalised columns less their means, divided by their scales, as in the exact engine.
A frequency weight w multiplies the log likelihood of its row instead (the row stands for w observations).

Every model of (X, y) takes ``proper=True``: what is flat then has a wide, proper prior, and PyMC's
``sample_prior_predictive`` can draw from it. With m and s the mean and standard deviation of y, and d_j the root mean
square of a column of z (1 if scaled),

    centre ~ N(m, (10 s)^2),      gamma_j ~ N(0, (10 s / d_j)^2),      log sigma ~ N(log s, 1.5^2)  (for Jeffreys)
    beta_j ~ N(0, (10 s / d_j)^2)                                      (for lambda = 0, d_j of x)
    centre ~ N(l(m) - o, 2.5^2),  gamma_j ~ N(0, (2.5 / d_j)^2)        (link scale: l the link function, o mean offset)

On the link scale eta is also cut at 36: beyond, counts near exp(36) = 4e15 are no whole numbers in double precision.
These priors look at y for its position and unit: they are there to simulate from, not to compare models by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import pymc as pm
from numpy.typing import NDArray
from pymc.logprob.transforms import Transform

from bayesridge.design.design import Design, build_design
from bayesridge.errors import DataError
from bayesridge.models.scales import PROPER, flat, prior_scale, refuse_what_cannot_be_drawn
from bayesridge.priors import Prior
from bayesridge.tables.frames import read_columns, read_target

Array = NDArray[np.float64]


def of_table(make: Callable[..., pm.Model]) -> Callable[..., pm.Model]:
    """Let a model take ``model(X, y, ...)``, a table and its target, in the place of a design, and ``proper=True``."""

    @wraps(make)
    def model(design: Any, y: Any = None, *, proper: bool = False, **options: Any) -> pm.Model:
        with drawable(proper, options.get("prior"), options.get("noise_prior")):
            return make(as_design(design, y), **options)

    return model


def as_design(design: Any, y: Any = None) -> Design:
    """A design as it is; of a table and its target the one that they make."""
    if isinstance(design, Design):
        return design
    columns = read_columns(design)
    target, name = read_target(y, len(columns.values))
    return build_design(columns.values, target, names=columns.names, target_name=name or "y")


@contextmanager
def drawable(proper: bool, *priors: Any) -> Iterator[None]:
    """Put wide proper priors in the place of flat ones, where that is asked for."""
    if proper:
        refuse_what_cannot_be_drawn(*priors)
    asked = PROPER.set(proper)
    try:
        yield
    finally:
        PROPER.reset(asked)


@dataclass(frozen=True, eq=False)
class Table:
    """The observations a model sees (rows of weight zero are none).

    Attributes
    ----------
    X, Z : ndarray of shape (n, p_penalized) and (n, u)
        Penalised and unpenalised columns, centred and scaled.
    y : ndarray of shape (n,)
        In its own units.
    weights : ndarray of shape (n,) or None
    weight_kind : {"frequency", "precision"}
    y_mean, unit : float
        Weighted mean of y, and its standard deviation: where a sampler starts, and its yardstick.
    signal : float
        Prior ratio of explained to noise variance is ``signal * tau^2 / sigma^2`` (p for standardised columns).
    coords : dict
        Labels of the dimensions ``obs``, ``penalized`` and ``unpenalized``.
    """

    X: Array
    Z: Array
    y: Array
    weights: Array | None
    weight_kind: str
    has_intercept: bool
    y_mean: float
    unit: float
    signal: float
    coords: dict[str, Any]


def standardized(design: Design) -> Table:
    """Return the standardised observations of a design."""
    seen = np.arange(design.n_rows) if design.weights is None else np.flatnonzero(design.weights > 0)
    X, y = design.X[seen], design.y[seen]
    weights = None if design.weights is None else design.weights[seen]
    rest = y - design.y_mean
    unit = float(np.sqrt(np.average(rest * rest, weights=weights)))
    names = np.array(design.names, dtype=str)
    coords = {"obs": seen, "penalized": names[design.penalized], "unpenalized": names[design.unpenalized]}
    return Table(
        X=design.standardize(X, design.penalized), Z=design.standardize(X, design.unpenalized), y=y, weights=weights,
        weight_kind=design.weight_kind, has_intercept=design.fit_intercept, y_mean=design.y_mean,
        unit=unit if unit > 0 else 1.0, signal=design.signal, coords=coords,
    )  # fmt: skip


class InUnits(Transform):  # type: ignore[misc]
    """Let the sampler work on ``(value - origin) / unit``.

    A linear change of variable leaves the model as it is. It makes starting points and step sizes, which samplers
    choose near 1, fit a target measured in micrograms or in millions.
    """

    name = "units"
    ndim_supp = 0

    def __init__(self, unit: float, origin: float = 0.0) -> None:
        self.unit = unit
        self.origin = origin

    def forward(self, value: Any, *inputs: Any) -> Any:  # noqa: ARG002
        """Model's value to sampler's."""
        return (value - self.origin) / self.unit

    def backward(self, value: Any, *inputs: Any) -> Any:  # noqa: ARG002
        """Sampler's value to model's."""
        return self.origin + self.unit * value

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:  # noqa: ARG002
        """Logarithm of the constant slope."""
        return pm.math.zeros_like(value) + np.log(self.unit)


def wide(table: Table, columns: Array, reach: float) -> Array:
    """Prior sd of each column's coefficient that gives its contributions the sd `reach`."""
    size = np.sqrt(np.average(columns * columns, axis=0, weights=table.weights))
    return np.asarray(reach / np.where(size > 0, size, 1.0))


def flat_part(table: Table) -> Any:
    """Intercept of the centred columns and unpenalised columns, all with flat priors; to be called inside a model."""
    mean: Any = 0.0
    if table.has_intercept:
        origin = InUnits(table.unit, table.y_mean)
        mean = flat("centre", table.y_mean, 10.0 * table.unit, transform=origin, initval=table.y_mean)
    if table.Z.shape[1]:
        sd = wide(table, table.Z, 10.0 * table.unit)
        gamma = flat("gamma", 0.0, sd, dims="unpenalized", transform=InUnits(table.unit))
        mean = mean + pm.math.dot(table.Z, gamma)
    return mean


def coefficients(table: Table, tau: Any, *, centred: bool) -> Any:
    """``beta_j ~ N(0, tau^2)``, sampled as such (centred) or as ``tau`` times a standard normal (non-centred)."""
    if centred:
        return pm.Normal("beta", 0.0, tau, dims="penalized", transform=InUnits(table.unit))
    raw = pm.Normal("beta_raw", 0.0, 1.0, dims="penalized")
    return pm.Deterministic("beta", tau * raw, dims="penalized")


def observe(table: Table, mean: Any, sigma: Any) -> None:
    """``y_i ~ N(mean_i, sigma^2 / w_i)``, or a row counted w_i times."""
    if table.weights is None:
        pm.Normal("y", mean, sigma, observed=table.y, dims="obs")
    elif table.weight_kind == "precision":
        pm.Normal("y", mean, sigma / np.sqrt(table.weights), observed=table.y, dims="obs")
    else:
        pm.Normal("y", mean, sigma, observed=table.y, dims="obs")
        once = pm.logp(pm.Normal.dist(mean, sigma), table.y)
        pm.Potential("repeats", ((table.weights - 1.0) * once).sum())


def refuse_what_is_no_count(design: Design, table: Table) -> None:
    """Refuse targets and weights that a model of counts has no place for."""
    if (table.y < 0).any() or (table.y != np.rint(table.y)).any():
        raise DataError(f"this model needs counts, and {design.target_name} has other values")
    if table.weights is not None and table.weight_kind == "precision":
        raise DataError("precision weights divide a Gaussian's noise variance; counts take frequency weights")


def linear_predictor(design: Design, table: Table, prior: Prior, offset: Any, start: float) -> Any:
    """Eta of an outcome without noise variance, with ``tau ~ prior`` and ``lambda_``; to be called inside a model."""
    tau = prior_scale(prior, 1.0)
    pm.Deterministic("lambda_", tau**-2.0)
    raw = pm.Normal("beta_raw", 0.0, 1.0, dims="penalized")
    eta = pm.math.dot(table.X, pm.Deterministic("beta", tau * raw, dims="penalized"))
    known = np.zeros(len(table.y))
    if offset is not None:
        known = np.broadcast_to(np.asarray(offset, dtype=np.float64), (design.n_rows,))[table.coords["obs"]]
        eta = eta + known
    if table.has_intercept:
        middle = start - float(np.average(known, weights=table.weights))
        eta = eta + flat("centre", middle, 2.5, initval=start)
    if table.Z.shape[1]:
        start_at, sd = np.zeros(table.Z.shape[1]), wide(table, table.Z, 2.5)
        eta = eta + pm.math.dot(table.Z, flat("gamma", 0.0, sd, dims="unpenalized", initval=start_at))
    return pm.math.minimum(eta, 36.0) if PROPER.get() else eta


def repeat(table: Table, outcome: Any, y: Any) -> None:
    """Count a row of frequency weight w as w of them."""
    if table.weights is not None:
        pm.Potential("repeats", ((table.weights - 1.0) * pm.logp(outcome, y)).sum())
