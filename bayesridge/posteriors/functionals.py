"""The posterior of linear functionals: moments, quantiles, intervals and probabilities, lambda and sigma integrated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.nodes import HyperPosterior, Nodes
from bayesridge.linalg.maps import AnyLinearMap, linear_moments, node_locations, node_variances
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.mixture import Mixture

Array = NDArray[np.float64]

_NEGLIGIBLE = 1e-15  # components below this change no probability that float64 can show
_MAX_REFINEMENTS = 5


@dataclass(frozen=True, eq=False)
class LinearPosterior:
    """Exact posterior of m linear functionals, in the units of the data.

    Attributes
    ----------
    labels : tuple of str
    linear : LinearMap or RowSpaceCoefficients
    spectrum : Spectrum
    hyper : HyperPosterior
    """

    labels: tuple[str, ...]
    linear: AnyLinearMap
    spectrum: Spectrum
    hyper: HyperPosterior

    def __len__(self) -> int:
        return len(self.linear)

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        moments = linear_moments(self.linear, self.spectrum, self.hyper.nodes)
        return moments.mean, moments.variance

    @property
    def mean(self) -> Array:
        """Posterior means, shape (m,)."""
        return self._moments[0]

    @property
    def variance(self) -> Array:
        """Posterior variances, shape (m,); infinite when nu <= 2."""
        return self._moments[1]

    @property
    def sd(self) -> Array:
        """Posterior standard deviations, shape (m,)."""
        return np.sqrt(self._moments[1])

    @cached_property
    def mixture(self) -> Mixture:
        """The mixture over hyperparameter nodes, on a grid fine enough for these functionals.

        A sum of bells on a grid is the integral only while the bells overlap: where conditional means move by more than
        a conditional sd between neighbouring nodes, the nodes are doubled (the error falls like
        exp(-2 pi^2 (sd / step)^2), 3e-9 at equality).
        """
        hyper = self.hyper
        for _ in range(_MAX_REFINEMENTS):
            nodes = hyper.nodes
            location = node_locations(self.linear, self.spectrum, nodes)
            variance = node_variances(self.linear, self.spectrum, nodes)
            if self._overlapping(nodes, location, variance):
                break
            hyper = hyper.finer()
        return self._flatten(nodes, location, variance)

    def _overlapping(self, nodes: Nodes, location: Array, variance: Array) -> bool:
        seen = nodes.weight > 1e-10
        if np.count_nonzero(seen) < 2:
            return True
        steps = np.abs(np.diff(location[:, seen], axis=1))
        scale = np.sqrt(variance[:, seen] * nodes.noise.squared_scale().min(axis=1)[seen])
        return bool((steps <= np.minimum(scale[:, 1:], scale[:, :-1])).all())

    def _flatten(self, nodes: Nodes, location: Array, variance: Array) -> Mixture:
        noise = nodes.noise.squared_scale()
        weight = nodes.weight[:, None] * nodes.noise.share()
        k, j = np.nonzero(weight > _NEGLIGIBLE)
        flat = weight[k, j] / weight[k, j].sum()
        unit = self.linear.unit[:, None]
        return Mixture(
            location[:, k] * unit, np.sqrt(variance[:, k] * noise[k, j]) * np.abs(unit), flat, nodes.noise.df
        )

    def cdf(self, value: ArrayLike) -> Array:
        """P(functional <= value), shape (m,)."""
        return self.mixture.cdf(np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),)))

    def log_pdf(self, value: ArrayLike) -> Array:
        """Log posterior density at `value`, shape (m,)."""
        return self.mixture.log_pdf(np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),)))

    @cached_property
    def prob_positive(self) -> Array:
        """P(functional > 0), shape (m,)."""
        return 1.0 - self.cdf(0.0)

    def quantile(self, q: float) -> Array:
        """Posterior quantile, shape (m,)."""
        if not 0.0 < q < 1.0:
            raise DataError(f"a probability strictly between 0 and 1 is needed, got {q}")
        return self.mixture.quantile(q)

    @cached_property
    def median(self) -> Array:
        """Posterior medians, shape (m,)."""
        return self.quantile(0.5)

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed intervals, shape (m, 2)."""
        check_level(level)
        tail = 0.5 * (1.0 - level)
        return np.column_stack([self.quantile(tail), self.quantile(1.0 - tail)])

    def hdi(self, level: float = 0.94) -> Array:
        """Shortest (highest-density, if unimodal) intervals, shape (m, 2)."""
        check_level(level)
        return np.column_stack(self.mixture.shortest_interval(level))


def check_level(level: float) -> None:
    """Refuse interval levels outside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise DataError(f"level must lie strictly between 0 and 1 (0.95 for 95%), got {level}")
