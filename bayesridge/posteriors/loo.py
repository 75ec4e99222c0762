r"""Exact leave-one-out, lambda and sigma integrated; no refits and no importance-sampling error.

With e the residual of row i at lambda, h its leverage and B the rate of the inverse gamma (Q/2 under Jeffreys),
deleting the row leaves  B_-i = B - w e^2 / (2 (1 - h)), and at that lambda

    y_i | y_-i ~ Student-t,  2a - 1 dof,  location y_i - e / (1 - h),  scale^2 = 2 B_-i / ((2a - 1) w (1 - h))

(Gaussian with variance sigma^2 / (w (1 - h)) at a node that knows sigma). Over lambda,

    p(y_i | y_-i) = 1 / E_{lambda | y}[ 1 / p(y_i | y_-i, lambda) ],
    p(lambda | y_-i) ∝ p(lambda | y) / p(y_i | y_-i, lambda).

The engine deletes the rows (:class:`bayesridge.engines.engine.Deletion`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.engines.engine import Deletion, Engine
from bayesridge.errors import DataError
from bayesridge.hyper.nodes import ConjugateNoise, HyperPosterior, Nodes
from bayesridge.hyper.quadrature import weights_error
from bayesridge.linalg.student import log_t_constant
from bayesridge.parallel.threads import run_blocks
from bayesridge.posteriors.mixture import Mixture
from bayesridge.posteriors.prediction import noise_variance
from bayesridge.posteriors.quantity import MixtureQuantity, check_level, interval_names
from bayesridge.posteriors.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 16  # rows x nodes worked on at a time: what is made of them stays in the cache
_ROWS = 1 << 12
#: Largest rounding error of a log density that is accepted; a row with more is fitted without it.
MOST_LOST = 1e-10
#: Rows that are fitted without at most; where more would have to be, leave-one-out is refused.
MOST_REFITS = 200


_SMALLEST_GRID = 6  # fewer nodes are a known value, not a grid
_TOLERANCE = 1e-9
_EDGE = 1e-8
_FAINT, _MOST_FAINT = 1e-4, 1e-2  # of several scales: nodes near the lattice's end, and what they may hold


class Predictive(Protocol):
    """The predictive distributions of some rows."""

    @property
    def components(self) -> int:
        """What one of them is a mixture of."""

    @property
    def mean(self) -> Array:
        """Means."""

    def pit(self, y: Array) -> Array:
        """Probability integral transform of outcomes: uniform where the distributions are right."""

    def interval(self, level: float) -> Array:
        """Equal-tailed intervals, (m, 2)."""


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut(Shown):
    """Leave-one-out predictive densities.

    With frequency weights a row stands for w observations and *one* of them is left out; sums count it w times. Rows of
    weight zero have no value (NaN) and do not count.

    Attributes
    ----------
    pointwise : ndarray of shape (n_rows,)
        ``log p(y_i | y_-i)``.
    log_density : ndarray of shape (n_rows,)
        ``log p(y_i | y)``, the in-sample posterior predictive density. Infinite where X can fit every row and the prior
        lets sigma go to zero no faster than 1/sigma grows (the default prior with at least as many columns as rows).
    parts : callable
        The predictive distributions of a slice of rows given the others, computed anew: those of all rows together
        take 3 x nodes numbers a row.
    y : ndarray of shape (n_rows,)
    count : ndarray of shape (n_rows,)
        How many observations each row stands for.
    refitted : ndarray of bool, shape (n_rows,)
        Rows done by an actual fit without them, because the full posterior's nodes do not serve there.
    how : str
        How the densities were found.
    mcse : float
        Monte Carlo standard error of `elpd_loo`; 0 where nothing was drawn.
    """

    pointwise: Array
    log_density: Array
    parts: Callable[[slice], Predictive]
    y: Array
    count: Array
    refitted: NDArray[np.bool_]
    how: str = "exact"
    mcse: float = 0.0

    #: Rows whose value is not to be trusted: none, whose failures are refitted.
    bad_rows: ClassVar[int] = 0

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """One row of the data each: the target; its mean, interval and cdf (``pit``) given the others; its elpd."""
        import pandas as pd

        low, high = interval_names(level)
        ends = self.interval(level)
        columns = {"y": self.y, "mean": self.mean, low: ends[:, 0], high: ends[:, 1], "pit": self.pit}
        return pd.DataFrame(columns | {"elpd": self.pointwise}, index=pd.RangeIndex(len(self.y), name="row"))

    def _headline(self) -> str:
        p_loo = "infinite" if np.isinf(self.p_loo) else f"{self.p_loo:.3g}"
        se = f"se {self.se:.2f}" + (f", of its computation {self.mcse:.2g}" if self.mcse else "")
        return f"Leave-one-out, {self.how}: elpd {self.elpd_loo:.2f} ({se}), p_loo {p_loo}, RMSE {self.rmse:.4g}"

    @property
    def accuracy(self) -> str:
        """How the densities were found, and how exactly."""
        error = f"; standard error of elpd_loo from its computation {self.mcse:.2g} nats" if self.mcse else ""
        refits = f"; {np.count_nonzero(self.refitted)} rows by an actual refit" if self.refitted.any() else ""
        return self.how + error + refits

    @cached_property
    def _seen(self) -> NDArray[np.bool_]:
        return self.count > 0

    @cached_property
    def n_obs(self) -> float:
        """Number of observations."""
        return float(self.count.sum())

    @cached_property
    def elpd_loo(self) -> float:
        """Expected log predictive density: the sum of :attr:`pointwise` over observations."""
        return float((self.count * self.pointwise)[self._seen].sum())

    @cached_property
    def se(self) -> float:
        """Standard error of ``elpd_loo``: sqrt(n times the variance of its terms)."""
        count, terms = self.count[self._seen], self.pointwise[self._seen]
        mean = self.elpd_loo / self.n_obs
        return float(np.sqrt(self.n_obs * (count * (terms - mean) ** 2).sum() / max(self.n_obs - 1.0, 1.0)))

    @cached_property
    def p_loo(self) -> float:
        """Effective number of parameters: in-sample less leave-one-out log density.

        Infinite when the in-sample density is, see :attr:`log_density`.
        """
        return float((self.count * (self.log_density - self.pointwise))[self._seen].sum())

    def _in_parts(self, function: Callable[[Predictive, slice], Array]) -> Array:
        """Apply a function of the predictive distributions to all rows, in blocks."""
        blocks = [slice(k, k + _ROWS) for k in range(0, len(self.y), _ROWS)]
        work = 300.0 * len(self.y) * self.parts(slice(0, 1)).components
        return np.concatenate(run_blocks(lambda part: function(self.parts(part), part), blocks, work))

    @cached_property
    def mixture(self) -> Any:
        """The predictive distributions of all rows given the others."""
        return self.parts(slice(0, len(self.y)))

    @cached_property
    def mean(self) -> Array:
        """Leave-one-out predictive means (exist for more than one degree of freedom)."""
        return self._in_parts(lambda mixture, _: mixture.mean)

    @cached_property
    def rmse(self) -> float:
        """Root mean squared leave-one-out prediction error."""
        error = (self.y - self.mean)[self._seen]
        return float(np.sqrt((self.count[self._seen] * error**2).sum() / self.n_obs))

    @cached_property
    def pit(self) -> Array:
        """``P(y_new <= y_i | y_-i)``: uniform when the model is calibrated."""
        return self._in_parts(lambda mixture, part: mixture.pit(self.y[part]))

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed predictive intervals of each row given the others, shape (n_rows, 2)."""
        check_level(level)
        return self._in_parts(lambda mixture, _: mixture.interval(level))


def leave_one_out(
    engine: Engine, hyper: HyperPosterior, refit: Callable[[Engine], HyperPosterior] | None
) -> LeaveOneOut:
    """Compute exact leave-one-out densities from the nodes of the full posterior.

    For a row that the rest contradicts (an extreme outlier), or that alone keeps the rest from a perfect fit, the
    posterior without it lies where the nodes of the full posterior are few or none, or ``Q_-i`` is a difference of
    nearly equal numbers. Such rows are found by the same error estimate as the quadrature's and done by an actual fit
    without the row; :attr:`LeaveOneOut.refitted` says which.

    Parameters
    ----------
    engine, hyper : Engine, HyperPosterior
    refit : callable or None
        Infers the scales of another engine under the same priors. None where the engine has a part of the rows: then
        :attr:`LeaveOneOut.refitted` says which rows would have to be fitted without, and they are not.

    Raises
    ------
    DataError
        If more than 200 rows would have to be fitted without, a fit without one of the rows has no posterior (too few
        degrees of freedom, a row that alone determines an unpenalised coefficient), frequency weights are not whole
        numbers, or the data changed since the fit.
    """
    nodes, design = hyper.nodes, engine.design
    reason = why_no_loo(design, nodes.noise.df)
    if reason:
        raise DataError(reason)
    rows = engine.deletion()
    refuse_alone(rows.alone, design)
    unseen = rows.count == 0
    tolerance = max(
        _TOLERANCE, hyper.error
    )  # a row need not be better than the posterior, which has said how good it is

    def densities(part: slice) -> Array:
        block = _block(rows, design.y, nodes, part, tolerance)
        return np.stack([block.pointwise, block.inside, block.doubtful & ~unseen[part]])

    columns = nodes.weight.size * nodes.noise.share().shape[1]
    size = max(1, _BLOCK_VALUES // columns)
    blocks = [slice(k, k + size) for k in range(0, design.n_rows, size)]
    found = run_blocks(densities, blocks, 300.0 * design.n_rows * columns)
    pointwise, inside, doubt = np.concatenate(found, axis=1)
    pointwise[unseen] = inside[unseen] = np.nan
    if refit is None:
        refits = {}
    elif np.count_nonzero(doubt) > MOST_REFITS:
        raise DataError(
            f"leave-one-out would need an actual fit without each of {np.count_nonzero(doubt)} rows (more than "
            f"{MOST_REFITS}): most rows contradict the others under this prior, as they do where it puts sigma or "
            "lambda far from the data; use a prior that allows what the data show, such as Jeffreys() and BetaR2()"
        )
    else:
        refits = {int(i): _refitted(engine, int(i), refit) for i in np.flatnonzero(doubt)}
    for i, one in refits.items():
        pointwise[i] = one.log_pdf(design.y[i : i + 1])[0]

    def parts(part: slice) -> Mixture:
        block = _block(rows, design.y, nodes, part, tolerance)
        mixture = Mixture(block.location, block.scale, block.share, nodes.noise.df - 1.0)
        for i in range(*part.indices(design.n_rows)):
            if i in refits:
                mixture = _with_row(mixture, i - part.start, refits[i])
        return mixture

    return LeaveOneOut(pointwise, inside, parts, design.y, rows.count, doubt > 0)


def _refitted(engine: Engine, row: int, refit: Callable[[Engine], HyperPosterior]) -> Mixture:
    """Predict one row from a fit to the others."""
    design, rest = engine.design, engine.without(row)
    precise = design.weights is not None and design.weight_kind == "precision"
    precision = float(design.weights[row]) if precise and design.weights is not None else 1.0
    linear = rest.rows(design.source.take(slice(row, row + 1)))
    return MixtureQuantity(("row",), rest, linear, refit(rest), noise_variance(precision, 1)).mixture


def _with_row(mixture: Mixture, row: int, one: Mixture) -> Mixture:
    """Put another mixture in the place of one row, padding the narrower of the two with empty components."""
    width = max(mixture.location.shape[1], one.location.shape[1])

    def widened(values: Array, fill: float) -> Array:
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)

    location, scale, weight = (
        widened(values, fill) for values, fill in ((mixture.location, 0.0), (mixture.scale, 1.0), (mixture.weight, 0.0))
    )
    location[row] = widened(one.location, 0.0)[0]
    scale[row] = widened(one.scale, 1.0)[0]
    weight[row] = widened(np.atleast_2d(one.weight), 0.0)[0]
    return Mixture(location, scale, weight, mixture.df)


def refuse_alone(rows: NDArray[np.intp], design: Design) -> None:
    """Refuse rows without which a flat direction has no posterior."""
    if len(rows):
        raise DataError(
            f"row {int(design.input_rows[rows[0]])} alone determines an unpenalised coefficient: without it there is "
            "no posterior, so leave-one-out does not exist; penalise that column or drop the row"
        )


def why_no_loo(design: Design, df: float | None = None) -> str:
    """Say why these rows have no leave-one-out density; nothing where they have one.

    Parameters
    ----------
    design : Design
    df : float, optional
        Degrees of freedom of the noise given lambda, with those of its prior.
    """
    if (df is not None and df - 1.0 <= 0) or design.nu < 2:
        return (
            f"leave-one-out needs at least 2 residual degrees of freedom, got {design.nu:g}: without a row too few "
            "are left"
        )
    w = design.weights
    if w is not None and design.weight_kind == "frequency" and (design.survey or (w != np.round(w)).any()):
        what = "survey weights" if design.survey else "frequency weights that are not whole numbers"
        return (
            f"leave-one-out leaves out one observation, and {what} do not count observations; "
            "use weight_kind='precision', or round them"
        )
    return ""


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows, each given the others: log densities, and the mixture over nodes tilted by the row left out."""

    pointwise: Array
    inside: Array
    location: Array
    scale: Array
    share: Array
    doubtful: NDArray[np.bool_]


def _block(rows: Deletion, y: Array, nodes: Nodes, part: slice, tolerance: float) -> _Block:
    deleted = rows.at(nodes.theta, part)
    e, keep, cancelled = deleted.residual, deleted.keep, deleted.cancelled
    precision = rows.precision[part, None]
    root = np.sqrt(precision)
    loo_error = e / keep
    location = y[part, None] - loo_error / root
    if isinstance(nodes.noise, ConjugateNoise):
        a, rate = nodes.noise.shape, nodes.noise.rate
        df = 2.0 * a - 1.0
        # what the noise prior adds to Q/2; a difference at rounding is none
        extra = rate - 0.5 * deleted.total
        extra = np.where(extra > 1e-13 * rate, extra, 0.0)
        scale = np.sqrt((deleted.Q + 2.0 * extra) / (df * precision * keep))
        log_out = _log_t(loo_error / root, scale, df)
        # in-sample: the prediction's variance coefficient is 1 + (leverage of the full fit)
        log_in = _log_t(e / root, np.sqrt(rate / a * (2.0 - keep) / precision), 2.0 * a)
        weight, J = nodes.weight, 1
    else:
        J = nodes.noise.weight.shape[1]
        variance = nodes.noise.squared_scale().ravel()
        location, e, keep, loo_error = (np.repeat(v, J, axis=1) for v in (location, e, keep, loo_error))
        scale = np.sqrt(variance / (precision * keep))
        log_out = _log_normal(loo_error / root, scale)
        log_in = _log_normal(e / root, np.sqrt(variance * (2.0 - keep) / precision))
        weight = (nodes.weight[:, None] * nodes.noise.weight).ravel()
    with np.errstate(divide="ignore"):
        log_weight = np.log(weight)
    one_line = nodes.theta.shape[1] == 1
    inside = _in_sample((log_in + log_weight).reshape(len(location), -1, J), one_line=one_line)
    tilted = log_weight - log_out
    log_total = np.logaddexp.reduce(tilted, axis=1)
    share = np.exp(tilted - log_total[:, None])
    # A relative error d of scale^2 is one of at most d (1 + min(u^2, df)) / 2 in the log density, u = error / scale:
    # it does not grow with the number of rows.
    pull = 0.5 * (1.0 + np.minimum(np.square(loo_error / (root * scale)), max(nodes.noise.df - 1.0, 1.0)))
    if J > 1:
        cancelled = np.repeat(cancelled, J, axis=1)
    lost = (share * cancelled * pull).sum(axis=1)
    doubtful = lost > MOST_LOST
    if one_line:
        doubtful |= unresolved(share.reshape(len(share), -1, J), tolerance)
    else:  # a row that moves the scales to where the lattice ends
        doubtful |= share[:, weight < _FAINT * weight.max()].sum(axis=1) > _MOST_FAINT
    return _Block(-log_total, inside, location, scale, share, doubtful)


def _in_sample(terms: Array, *, one_line: bool) -> Array:
    """Log of the sum over nodes; infinite where the sum does not end.

    When X can fit every row, the density of a row's own y grows like 1/sigma as sigma -> 0, and under priors such as
    Beta(1/2, 1/2) on R^2 the posterior does not fall fast enough to make up for it.
    """
    rows, K, J = terms.shape
    flat = terms.reshape(rows, -1)
    top = flat.max(axis=1)
    ends = [terms[:, 0].max(axis=1)] if K >= _SMALLEST_GRID and one_line else []
    ends += [terms[:, :, 0].max(axis=1)] if J >= _SMALLEST_GRID else []
    value = top + np.log(np.exp(flat - top[:, None]).sum(axis=1))
    endless = [end > top + np.log(_EDGE) for end in ends]
    return np.where(np.any(endless, axis=0), np.inf, value) if endless else np.asarray(value)


def unresolved(share: Array, tolerance: float = _TOLERANCE) -> NDArray[np.bool_]:
    """Say for which rows the tilted weights (rows x K x J) are not resolved by the nodes, or run off their ends."""
    doubtful = np.zeros(len(share), dtype=bool)
    for axis, count in ((1, share.shape[1]), (2, share.shape[2])):
        if count < _SMALLEST_GRID:
            continue
        line = share.sum(axis=3 - axis)
        doubtful |= weights_error(line) > tolerance
        doubtful |= (line[:, 0] > _EDGE) | (line[:, -1] > _EDGE)
    return doubtful


def _log_t(x: Array, scale: Array, df: float) -> Array:
    u2 = np.square(x / scale)
    constant = log_t_constant(df)
    return np.asarray(constant - np.log(scale) - 0.5 * (df + 1.0) * np.log1p(u2 / df))


def _log_normal(x: Array, scale: Array) -> Array:
    return np.asarray(-0.5 * np.square(x / scale) - np.log(scale) - 0.5 * np.log(2.0 * np.pi))
