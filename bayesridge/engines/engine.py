r"""The seam below: what integrators and posteriors ask of an engine, and nothing else.

An engine is one data set under one structure of penalties. With theta its hyperparameters (log lambda, say, one for
each penalty),

    log p(y | theta, sigma) = constant + log_norm(theta) - nu log sigma - (floor + excess(theta)) / (2 sigma^2),

coefficients and flat directions integrated out; ``Q = floor + excess`` is stated in two parts because all of this is of
the order of n, and so would be its rounding: what depends on theta is right to its own last digit. Given
(theta, sigma) every linear functional of the coefficients is Gaussian with the mean and sigma^2 times the variance of
its :class:`Conditional`. Engines whose noise has no sigma have nu = 0 and floor = excess = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design, State
from bayesridge.design.levels import LevelRows
from bayesridge.design.row_source import RowIndex, RowSource
from bayesridge.linalg.spectrum import Spectrum

Array = NDArray[np.float64]


class Linear(Protocol):
    """m linear functionals of the coefficients, in whatever form the engine that made them likes best."""

    def __len__(self) -> int:
        """Number of functionals m."""

    def take(self, index: RowIndex) -> Linear:
        """Some of them."""


@dataclass(frozen=True, eq=False)
class CoefficientDraws:
    """Coefficients drawn one for each of n nodes, in the units of the data.

    Attributes
    ----------
    coef : ndarray of shape (n, p)
    intercept : ndarray of shape (n,)
        Zeros when the model has none.
    """

    coef: Array
    intercept: Array

    def expected(self, rows: RowSource) -> Array:
        """Expected target at the rows of the fit, (n, rows): linear in the columns, if an engine says nothing else."""
        return np.asarray(self.intercept[:, None] + rows.times(self.coef.T).T)


class LateMoments(Protocol):
    """Posterior means and variances of m linear functionals; the variances may be computed when they are asked for."""

    @property
    def mean(self) -> Array:
        """Shape (m,)."""

    @property
    def variance(self) -> Array:
        """Shape (m,)."""


@dataclass(frozen=True, eq=False)
class LinearMoments:
    """Posterior means and variances of m linear functionals, in the units of the data.

    Attributes
    ----------
    mean : ndarray of shape (m,)
    variance : ndarray of shape (m,)
        Infinite where sigma^2 has no mean (two or fewer degrees of freedom).
    """

    mean: Array
    variance: Array


class Conditional(Protocol):
    """The coefficients given each of K values of theta, and sigma = 1."""

    def mean(self, linear: Any) -> Array:
        """Conditional means, shape (m, K)."""

    def variance(self, linear: Any) -> Array:
        """Conditional variances over sigma^2, shape (m, K)."""

    def moments(self, linear: Any, weight: Array, noise: Array) -> LateMoments:
        """Mean and variance of the mixture with these weights (K,) and E[sigma^2 | node] (K,)."""

    def draw(self, sigma: Array, rng: np.random.Generator) -> CoefficientDraws:
        """Coefficients at each of the K values, given sigma (K,)."""


@dataclass(frozen=True, eq=False)
class Deleted:
    """Rows deleted at K values of theta; arrays of shape (rows, K).

    Attributes
    ----------
    residual : ndarray
        Root-weighted residual e of the row in the fit to all.
    keep : ndarray
        ``1 - h``, h its leverage.
    Q : ndarray
        Q without the row.
    cancelled : ndarray
        Relative rounding error of Q.
    total : ndarray of shape (K,)
        Q of all rows.
    """

    residual: Array
    keep: Array
    Q: Array
    cancelled: Array
    total: Array


class Deletion(Protocol):
    """Leave-one-out of an engine, without fitting again."""

    @property
    def count(self) -> Array:
        """Observations each row stands for, (n_rows,)."""

    @property
    def precision(self) -> Array:
        """1 / noise variance of each row over sigma^2, (n_rows,)."""

    @property
    def alone(self) -> NDArray[np.intp]:
        """Rows without which a flat direction has no posterior."""

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each theta (K, h)."""


class Engine(Protocol):
    """One data set and one structure of penalties (see the module's text)."""

    @property
    def design(self) -> Design:
        """The description of the data."""

    @property
    def spectrum(self) -> Spectrum | None:
        """The one decomposition of a model with one lambda; None where there is none."""

    @property
    def heavy(self) -> bool:
        """Whether one theta takes so long that every one counts."""

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of the h hyperparameters, such as ``("log lambda",)``."""

    @property
    def nu(self) -> float:
        """Power of 1/sigma in the likelihood: the residual degrees of freedom."""

    @property
    def constant(self) -> float:
        """Terms of the log evidence free of theta and sigma."""

    @property
    def floor(self) -> float:
        """The least value of Q, which no theta can go below."""

    @property
    def signals(self) -> tuple[float, ...]:
        """For each theta the sum of squares of its columns over n: what a prior of R^2 is measured by."""

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """``log_norm`` and ``excess`` at theta (K, h), each of shape (K,)."""

    def excess(self, theta: Array) -> Array:
        """``excess`` alone, where that is less work."""

    def region(self) -> Array:
        """Values of theta, shape (m, h), that see every feature of the evidence."""

    def at(self, theta: Array) -> Conditional:
        """The coefficients given theta (K, h); an engine that needs more remembers it for the theta it was asked."""

    def coefficients(self) -> Linear:
        """All p coefficients, in the units of the data."""

    def intercept(self) -> Linear:
        """The intercept (one functional)."""

    def rows(self, X: Array | LevelRows) -> Linear:
        """The linear predictor at new rows, (m, p) in the units of the data."""

    def contrasts(self, A: Array) -> Linear:
        """Linear combinations ``A @ coef``, A of shape (m, p)."""

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:
        """Covariance matrix of the coefficients over the mixture of nodes, (p, p)."""

    def deletion(self) -> Deletion:
        """Leave-one-out; an engine that has none raises a DataError that says why."""

    def state(self, *, rows: bool = False) -> State:
        """What a file holds of it (its class makes it again, ``from_state``), or the reason why it has none."""

    def without(self, row: int) -> Engine:
        """The engine of the other rows (of one observation less, where a row stands for several)."""


@runtime_checkable
class Penalties(Protocol):
    """An engine of several penalties on columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the penalties."""

    @property
    def signals(self) -> tuple[float, ...]:
        """Sum over the columns of each of their mean squares."""

    @property
    def penalties(self) -> NDArray[np.intp]:
        """Which lambda is that of each column of the design; -1 where it has none, or is left out."""
        ...

    @property
    def pairs(self) -> dict[str, NDArray[np.intp]]:
        """For each correlation the columns of the design that have it, (levels, 2)."""
        ...

    def dof(self, theta: Array) -> Array:
        """Effective degrees of freedom of each at theta, (K, G)."""

    def refits(self, theta: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        """Root-weighted residuals (m, n) and Q (m,) of m other targets on the same rows, at each theta (K, h)."""
        ...

    def counted(self, power: float) -> Engine:
        """The engine of the same data with every row counted `power` times."""
        ...

    def beside(self, y: Array) -> Engine:
        """The engine of all rows twice, the second time with the target y."""
        ...


@runtime_checkable
class Nested(Protocol):
    """An engine of one lambda at every value v of h more hyperparameters, which costs a decomposition each."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of exp(v); none where v is known."""

    @property
    def spans(self) -> Array:
        """Where each v lies with prior probability 95%, (h, 2)."""

    @property
    def start(self) -> Array | None:
        """Where to look for v first and how far about it, (h, 2), where that is known."""
        ...

    def inner(self, v: Array) -> Engine:
        """The engine at one v, (h,)."""


def mixture_moments(mean: Array, variance: Array, weight: Array, noise: Array) -> LinearMoments:
    """``E[mean]`` and ``E[sigma^2 variance] + Var(mean)`` over K nodes: the plain road to :meth:`Conditional.moments`.

    Parameters
    ----------
    mean, variance : ndarray of shape (m, K)
    weight, noise : ndarray of shape (K,)
        Probabilities of the nodes, and E[sigma^2 | node].
    """
    centre = mean @ weight
    seen = weight > 0  # a weight may underflow, and the noise of its node be infinite
    within = np.where(variance[:, seen] > 0, variance[:, seen] * noise[seen], 0.0) @ weight[seen]
    return LinearMoments(centre, within + np.square(mean - centre[:, None]) @ weight)


def mixture_covariance(mean: Array, halves: Iterable[Array], weight: Array, noise: Array) -> Array:
    """Covariance matrix of the mixture over K nodes, (m, m); `halves`: H of each, H'H its covariance over sigma^2."""
    spread = mean - (mean @ weight)[:, None]
    total = (spread * weight) @ spread.T
    for each, half in zip(weight * noise, halves, strict=True):
        total += each * (half.T @ half)
    return np.asarray(total)
