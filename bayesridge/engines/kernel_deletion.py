"""Leave-one-out of a kernel engine, v by v."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bayesridge.engines.engine import Deleted
from bayesridge.engines.kernel_columns import KernelColumns
from bayesridge.engines.spectral import BlockedDeletion, SpectralDeletion, SpectralEngine
from bayesridge.linalg.filters import shrinkage
from bayesridge.linalg.rows import flat_leverage, row_weights

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class NoisyDeletion(SpectralDeletion):
    """Leave-one-out where lambda is not small: by differences.

    Cross-products leave columns of U at the smallest s that are none. They count f = s^2 / (s^2 + lambda), next to
    nothing, as long as nothing is asked of lambda = 0.
    """

    @classmethod
    def of(cls, engine: SpectralEngine, found: SpectralDeletion) -> NoisyDeletion:
        """The same rows, 1 - h at lambda = 0 not cut at zero."""
        rows, (_, _, unit) = found.rows, row_weights(engine.design)
        rest = 1.0 - flat_leverage(engine.design, engine.spectrum) / unit - np.square(rows.U).sum(axis=1)
        return cls(replace(rows, rest=np.where(rows.count > 0, rest, 1.0)), engine.spectrum)

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each log lambda, theta of shape (K, 1)."""
        s, rows = self.spectrum, self.rows
        shrink = shrinkage(s, np.exp(theta[:, 0])).T
        e = rows.residual[part, None] + rows.U[part] @ (s.z[:, None] * shrink)
        keep = rows.rest[part, None] + np.square(rows.U[part]) @ shrink
        total = s.r0 + s.z2 @ shrink
        Q = total - e * e / keep
        return Deleted(e, keep, Q, _EPS * total / Q, total)


@dataclass(frozen=True, eq=False)
class KernelDeletion:
    """Exact leave-one-out, from that of each v; the kernel's columns and the prior are held fixed."""

    columns: KernelColumns
    _found: dict[tuple[float, ...], SpectralDeletion | BlockedDeletion] = field(default_factory=dict, repr=False)

    @property
    def _any(self) -> SpectralDeletion | BlockedDeletion:
        return self._at(self.columns.known_v())

    def _at(self, v: Array) -> SpectralDeletion | BlockedDeletion:
        """Leave-one-out at one v."""
        key = tuple(v.tolist())
        if key not in self._found:
            engine = self.columns.given(v).engine
            found = engine.deletion()
            if self.columns.least > 0 and isinstance(found, SpectralDeletion):
                found = NoisyDeletion.of(engine, found)
            self._found[key] = found
        return self._found[key]

    @property
    def count(self) -> Array:
        """Observations each row stands for, (n_rows,)."""
        return self._any.count

    @property
    def precision(self) -> Array:
        """1 / noise variance of each row over sigma^2, (n_rows,)."""
        return self._any.precision

    @property
    def alone(self) -> NDArray[np.intp]:
        """Rows without which the intercept has no posterior."""
        return self._any.alone

    def at(self, theta: Array, part: slice) -> Deleted:
        """Delete each of some rows at each theta."""
        rows = len(range(*part.indices(self.columns.design.n_rows)))
        tables = np.empty((4, rows, len(theta)))
        total = np.empty(len(theta))
        for nodes, v in self.columns.by_v(theta):
            found = self._at(v).at(theta[nodes, :1], part)
            tables[:, :, nodes] = found.residual, found.keep, found.Q, found.cancelled
            total[nodes] = found.total
        residual, keep, Q, cancelled = tables
        return Deleted(residual, keep, Q, cancelled, total)
