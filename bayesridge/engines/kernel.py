r"""The engine of kernel ridge, a Gaussian process: y = b0 + f(x) + e, f ~ GP(0, tau^2 k_v), e ~ N(0, sigma^2 / w).

At one value v of the kernel's own hyperparameters (logarithms of length-scales) this is ridge with one lambda =
sigma^2 / tau^2 on columns that the kernel makes. Cholesky's factorisation with pivoting, stopped where what is left of
the diagonal is rounding, gives them,

    k_v(X, X) = F F',    F = P [L; ...],    row of any x:  phi(x) = L^-1 k_v(pivots, x),

r columns for n rows; a smooth kernel has few. What phi does not hold of a new point, ``k(x, x) - |phi(x)|^2``, is
variance tau^2 that the data say nothing of. With an intercept, whose prior is flat, k is the covariance of f less its
mean over the rows: the same model, and columns without a constant among them. So there is one spectral engine
(:mod:`bayesridge.engines.spectral`) for each v, and everything that it can do; theta is (log lambda, v).

The "coefficients" are slopes: how f rises over one standard deviation of a column about the middle of the table,
divided by that standard deviation, the other columns at their means. They exist for every kernel, smooth or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design, State, build_design
from bayesridge.engines.kernel_columns import Given, KernelColumns, Points
from bayesridge.engines.kernel_conditional import KernelConditional
from bayesridge.engines.kernel_deletion import KernelDeletion
from bayesridge.engines.kernels import KernelFunction
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import DataError

Array = NDArray[np.float64]

_MANY, _PART = 300, 5  # rows from which on a part of them says first where to look: every fifth
_SEEN = 1e-9  # of a node
_MARGIN = 0.1  # of the harmonic mean of lambda that a part of the rows says


def _harmonic(theta: Array, weight: Array) -> float:
    seen = weight > _SEEN * weight.max()
    return float(1.0 / (weight[seen] / weight[seen].sum() @ np.exp(-theta[seen, 0])))


@dataclass(frozen=True, eq=False)
class KernelEngine(KernelColumns):
    """Kernel ridge behind the contract of :mod:`bayesridge.engines.engine`.

    Attributes
    ----------
    start : ndarray of shape (h, 2) or None
        Where to look for v first, and how far about it: what a part of the rows says.
    """

    start: Array | None = None
    spectrum: None = None

    heavy: ClassVar[bool] = False  # a lambda costs nothing

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Log lambda, and the logs of the kernel's own hyperparameters."""
        return ("log lambda", *[f"log {name}" for name in self.kernel.parameters])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the kernel's own hyperparameters."""
        return self.kernel.parameters

    @property
    def spans(self) -> Array:
        """Where their logarithms lie with prior probability 95%."""
        return self.kernel.spans

    def inner(self, v: Array) -> SpectralEngine:
        """Ridge at one v."""
        return self.given(v).engine

    # -- many rows: a part of them first -----------------------------------------------------------------------------

    def few(self) -> KernelEngine | None:
        """Some of the rows, half of them neighbours, which see short length-scales; None where all are few."""
        old = self.design
        if old.n_rows < _MANY or not self.kernel.parameters:
            return None
        half = old.n_rows // (2 * _PART)
        order = np.random.default_rng(0).permutation(old.n_rows)
        rows = self.scaled(old.X)
        near = np.argsort(np.square(rows - rows[order[0]]).sum(axis=1), kind="stable")[:half]
        some = np.union1d(order[:half], near)
        design = build_design(
            old.X[some], old.y[some], weights=None if old.weights is None else old.weights[some],
            weight_kind=old.weight_kind, fit_intercept=old.fit_intercept, scale=old.scale,
        )  # fmt: skip
        return KernelEngine(design, self.kernel)

    def about(self, theta: Array, weight: Array) -> KernelEngine:
        """The engine that looks first where a part of the rows has its posterior: nodes (K, 1 + h), weights (K,)."""
        v, share = theta[:, 1:], weight / weight.sum()
        centre = share @ v
        start = np.column_stack([centre, np.sqrt(share @ np.square(v - centre))])
        return replace(self, start=start, least=_MARGIN * _harmonic(theta, weight), _given={})

    def holds(self, theta: Array, weight: Array) -> bool:
        """Whether lambda is what it was taken to be: the trace that is left out, over lambda, is small in the mean."""
        return bool(_harmonic(theta, weight) >= self.least)

    def forget(self, v: Array) -> None:
        """Keep the decompositions of these v alone, (J, h)."""
        kept = {tuple(one) for one in v.tolist()}
        for key in self._given.keys() - kept:
            del self._given[key]

    # -- the contract ----------------------------------------------------------------------------------------------

    @property
    def nu(self) -> float:
        """Residual degrees of freedom."""
        return self.design.nu

    @property
    def constant(self) -> float:
        """Terms of the log evidence free of theta and sigma."""
        return self.given(self.known_v()).engine.constant

    @property
    def floor(self) -> float:
        """Nothing: as n grows, or the length-scale falls, a kernel fits every row."""
        return 0.0 if self.kernel.parameters else self.given(self.known_v()).engine.floor

    @property
    def signals(self) -> tuple[float, ...]:
        """Variance of f over the rows at lambda = 1, at a v that is at hand."""
        return self.given(self.known_v()).engine.signals

    def evidence(self, theta: Array) -> tuple[Array, Array]:
        """``log_norm`` and ``excess`` at theta."""
        log_norm, excess = np.empty(len(theta)), np.empty(len(theta))
        for nodes, v in self.by_v(theta):
            engine = self.given(v).engine
            log_norm[nodes], above = engine.evidence(theta[nodes, :1])
            excess[nodes] = above + (engine.floor - self.floor)
        return log_norm, excess

    def excess(self, theta: Array) -> Array:
        """``excess`` alone."""
        return self.evidence(theta)[1]

    def region(self) -> Array:
        """Values of theta that see every feature of the evidence."""
        line = self.given(self.known_v()).engine.region()
        v = self.kernel.spans.mean(axis=1)
        return np.hstack([line, np.broadcast_to(v, (len(line), len(v)))])

    def at(self, theta: Array) -> KernelConditional:
        """The function given theta."""
        return KernelConditional(self, theta)

    def coefficients(self) -> Points:
        """The slope of each column over one standard deviation about the middle of the table."""
        return self.slopes_and_zero().take(np.arange(self.design.n_columns))

    def intercept(self) -> Points:
        """The function where every column is zero (of a given matrix: its mean over the rows)."""
        return self.slopes_and_zero().take(np.array([self.design.n_columns]))

    def rows(self, X: Any) -> Points:
        """The function at new rows."""
        return Points(np.asarray(X, dtype=np.float64))

    def contrasts(self, A: Array) -> Points:
        """Linear combinations of the slopes."""
        slopes = self.coefficients()
        assert slopes.weights is not None
        return Points(slopes.X, np.asarray(A) @ slopes.weights)

    def covariance(self, theta: Array, weight: Array, noise: Array) -> Array:  # noqa: ARG002
        """Refused."""
        raise DataError("a kernel has no coefficients, and so no matrix of their covariances: ask contrasts one by one")

    def deletion(self) -> KernelDeletion:
        """Exact leave-one-out."""
        return self._deletion

    @cached_property
    def _deletion(self) -> KernelDeletion:
        return KernelDeletion(self)

    def without(self, row: int) -> KernelEngine:
        """The engine of the other rows; the kernel's columns and scales are held fixed."""
        return WithoutRow(self.design, self.kernel, whole=self, row=row)

    def state(self, *, rows: bool = False) -> State:
        """The rows and the kernel: without its rows a kernel predicts nothing."""
        if not rows:
            raise DataError("a kernel predicts from the rows it has seen: save it with rows=True")
        facts, arrays = self.design.state(rows=True)
        return {"engine": "kernel", "family": "gaussian", "design": facts, "kernel": self.kernel.state()}, arrays

    @classmethod
    def from_state(
        cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], kernel: KernelFunction
    ) -> KernelEngine:
        """Make the engine of its state."""
        return cls(Design.from_state(facts["design"], arrays), kernel)


@dataclass(frozen=True, eq=False)
class WithoutRow(KernelEngine):
    """A kernel engine with one row less."""

    whole: KernelEngine | None = None
    row: int = 0

    def _decompose(self, v: Array) -> Given:
        assert self.whole is not None
        one = self.whole.given(v)
        return replace(one, engine=one.engine.without(self.row))

    @property
    def nu(self) -> float:
        """One less."""
        return self.given(self.known_v()).engine.nu
