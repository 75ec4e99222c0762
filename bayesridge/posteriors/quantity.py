r"""The seam above: a Quantity is a labelled vector of random numbers, and nobody asks how it came to be known.

Three implementations: an exact mixture over the nodes of the scales, whose components are Student-t or Gaussian;
weighted draws in independent replicates, which give every number a standard error; and plain draws of Markov chains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.row_source import RowIndex
from bayesridge.engines.engine import Conditional, Engine, LateMoments, Linear, LinearMoments
from bayesridge.errors import DataError
from bayesridge.hyper.nodes import HyperPosterior, Nodes
from bayesridge.posteriors.mixture import Mixture
from bayesridge.posteriors.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_MOST_AT_ONCE, _PART = 1 << 14, 1 << 13
_NEGLIGIBLE = 1e-15  # components below this change no probability that float64 can show
_MAX_REFINEMENTS = 5
_MANY, _FEW, _FIRST, _SAMPLE, _SAME = 512, (12, 20, 32, 40), 8, 32, 5e-11


def check_level(level: float) -> None:
    """Refuse interval levels outside (0, 1)."""
    if not isinstance(level, (int, float, np.number)) or not 0.0 < level < 1.0:
        raise DataError(f"level must lie strictly between 0 and 1 (0.95 for 95%), got {level!r}")


def interval_names(level: float, kind: str = "ETI") -> tuple[str, str]:
    """Column names of an interval, such as ``("95% ETI low", "95% ETI high")``."""
    check_level(level)
    return f"{100 * level:g}% {kind} low", f"{100 * level:g}% {kind} high"


class Quantity(Shown, ABC):
    """A labelled vector of m random numbers, in the units of the data.

    Attributes
    ----------
    labels : tuple of str
        What each is called.
    """

    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    @abstractmethod
    def mean(self) -> Array:
        """Means, shape (m,)."""

    @property
    @abstractmethod
    def sd(self) -> Array:
        """Standard deviations, shape (m,); infinite where they do not exist."""

    @abstractmethod
    def quantile(self, q: float) -> Array:
        """Quantile at probability q, shape (m,)."""

    @abstractmethod
    def cdf(self, value: ArrayLike) -> Array:
        """``P(quantity <= value)``, shape (m,)."""

    @abstractmethod
    def hdi(self, level: float = 0.94) -> Array:
        """Shortest (highest-density, if unimodal) intervals, shape (m, 2)."""

    @abstractmethod
    def take(self, index: RowIndex) -> Self:
        """Some of the numbers."""

    @property
    def mcse(self) -> Array:
        """Standard error of the mean that comes from finite sampling, shape (m,): zero where nothing is sampled."""
        return np.zeros(len(self))

    @property
    def sampling_errors(self) -> dict[str, Array]:
        """Columns of a table on the accuracy of sampled numbers: none where nothing is sampled."""
        return {}

    def log_pdf(self, value: ArrayLike) -> Array:  # noqa: ARG002
        """Log density at `value`, shape (m,)."""
        raise DataError("draws have no density: use cdf, or quantile")

    @cached_property
    def median(self) -> Array:
        """Medians, shape (m,)."""
        return self.quantile(0.5)

    @cached_property
    def prob_positive(self) -> Array:
        """``P(quantity > 0)``, shape (m,)."""
        return 1.0 - self.cdf(0.0)

    def prob(self, low: ArrayLike = -np.inf, high: ArrayLike = np.inf) -> Array:
        """``P(low < quantity <= high)``, shape (m,): a region of practical equivalence, say."""
        ends = [np.broadcast_to(np.asarray(end, dtype=np.float64), (len(self),)) for end in (low, high)]
        below, above = (self._cdf_at_ends(end) for end in ends)
        return np.clip(above - below, 0.0, 1.0)

    def rope(self, low: ArrayLike, high: ArrayLike) -> pd.DataFrame:
        """Probabilities below, in and above a region of practical equivalence, one row for each number."""
        import pandas as pd

        columns = {
            "P(below)": self.prob(high=low), "P(in)": self.prob(low, high), "P(above)": 1.0 - self._cdf_at_ends(
                np.broadcast_to(np.asarray(high, dtype=np.float64), (len(self),))
            ),
        }  # fmt: skip
        return pd.DataFrame(columns, index=list(self.labels))

    def _cdf_at_ends(self, value: Array) -> Array:
        inner = self.cdf(np.where(np.isfinite(value), value, 0.0))
        return np.where(np.isposinf(value), 1.0, np.where(np.isneginf(value), 0.0, inner))

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed intervals, shape (m, 2)."""
        check_level(level)
        tail = 0.5 * (1.0 - level)
        return np.column_stack([self.quantile(tail), self.quantile(1.0 - tail)])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """One row for each number: mean, sd, equal-tailed interval, ``P(>0)``, and of draws their accuracy."""
        import pandas as pd

        low, high = interval_names(level)
        ends = self.interval(level)
        columns = {"mean": self.mean, "sd": self.sd, low: ends[:, 0], high: ends[:, 1], "P(>0)": self.prob_positive}
        return pd.DataFrame(columns | self.sampling_errors, index=list(self.labels))

    def _headline(self) -> str:
        return f"Posterior of {len(self)} number{'s' if len(self) > 1 else ''}"


def probability(q: float) -> float:
    """Refuse what is no probability strictly between 0 and 1."""
    if not 0.0 < q < 1.0:
        raise DataError(f"a probability strictly between 0 and 1 is needed, got {q}")
    return q


# -- exact mixtures ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class MixtureQuantity(Quantity):
    """Linear functionals of the coefficients, the scales integrated: mixtures over the nodes, exact to quadrature.

    Attributes
    ----------
    labels : tuple of str
    engine : Engine
        That made `linear`.
    linear : Linear
        m functionals.
    hyper : HyperPosterior
        The posterior of the scales.
    noise : ndarray of shape (m,) or None
        Variance over sigma^2 of an independent part: of a new observation, not of its expectation.
    """

    labels: tuple[str, ...]
    engine: Engine
    linear: Linear
    hyper: HyperPosterior
    noise: Array | None = None

    @cached_property
    def _moments(self) -> LateMoments:
        nodes = self.hyper.nodes
        return self.engine.at(nodes.theta).moments(self.linear, nodes.weight, nodes.noise.mean_variance())

    @property
    def mean(self) -> Array:
        """Posterior means, shape (m,)."""
        return self._moments.mean

    @cached_property
    def variance(self) -> Array:
        """Posterior variances, shape (m,); infinite when nu <= 2."""
        of_parameters = self._moments.variance
        return of_parameters if self.noise is None else of_parameters + self.noise * self.hyper.nodes.noise_variance

    @property
    def sd(self) -> Array:
        """Posterior standard deviations, shape (m,)."""
        return np.sqrt(self.variance)

    @property
    def mcse(self) -> Array:
        """Standard error of the mean, by the replicates of the nodes; zero where they were placed, not sampled."""
        nodes, count = self.hyper.nodes, self.hyper.nodes.replicates
        if count == 1:
            return np.zeros(len(self))
        away = (self.engine.at(nodes.theta).mean(self.linear) - self.mean[:, None]) * nodes.weight
        return np.asarray(np.sqrt(count / (count - 1.0) * np.square(away.reshape(len(self), count, -1).sum(2)).sum(1)))

    def take(self, index: RowIndex) -> MixtureQuantity:
        """Some of the functionals."""
        labels = self.labels[index] if isinstance(index, slice) else tuple(np.array(self.labels, dtype=object)[index])
        noise = None if self.noise is None else self.noise[index]
        return replace(self, labels=labels, linear=self.linear.take(index), noise=noise)

    @cached_property
    def mixture(self) -> Mixture:
        """The mixture over the nodes, on a grid fine enough for these functionals.

        A sum of bells on a grid is the integral only while the bells overlap: where conditional means move by more than
        a conditional sd between neighbouring nodes, the nodes are doubled (the error falls like
        exp(-2 pi^2 (sd / step)^2), 3e-9 at equality).
        """
        hyper = self.hyper
        for _ in range(_MAX_REFINEMENTS):
            nodes = hyper.nodes
            given = self.engine.at(nodes.theta)
            location, variance = given.mean(self.linear), given.variance(self.linear)
            if self.noise is not None:
                variance = variance + self.noise[:, None]
            if _overlapping(nodes, location, variance):
                break
            hyper = hyper.finer()
        return flatten(nodes, location, variance)

    def _rules(self) -> list[_FewNodes]:
        """The posterior of the scales in few nodes, where many functionals pay for it."""
        nodes = self.hyper.nodes
        if nodes.fewer is None or len(self) < _MANY or len(nodes.weight) <= 1.5 * _FEW[-1]:
            return []
        return [_FewNodes.of(self.engine, nodes.rule(count), nodes.rule(_FIRST)) for count in _FEW]

    def _solved(
        self,
        of: Callable[[Mixture, Any], Array],
        given: Array,
        wrong: Callable[..., Array],
        rules: list[_FewNodes] | None = None,
    ) -> Array:
        """Apply a function of mixtures and of one value for each, `wrong` by so much probability.

        Where there are very many, to a part of them at a time; where there are many, in as few nodes as give those of a
        sample (from the least to the largest signal) to `_SAME`. What failed in one part is not tried in the next.
        """
        m, rules = len(self), self._rules() if rules is None else rules
        if m > _MOST_AT_ONCE:
            pieces, moments = [], []
            for part in (slice(start, start + _PART) for start in range(0, m, _PART)):
                some = self.take(part)  # its loadings are most of the work, and nearly all of that of moments
                pieces.append(some._solved(of, given[part], wrong, rules))
                if "_moments" not in vars(self):
                    moments.append(some._moments)
            if moments:
                both = ([one.mean for one in moments], [one.variance for one in moments])
                vars(self)["_moments"] = LinearMoments(*map(np.concatenate, both))
            return np.concatenate(pieces)
        if rules and m > _SAMPLE:
            signal = np.argsort(np.abs(self.mean) / np.where(self.sd > 0.0, self.sd, 1.0))
            sample = signal[np.linspace(0, m - 1, _SAMPLE).astype(np.intp)]
            some, asked = self.take(sample), given[sample]
            while rules:
                found = of(rules[0].mixture(some), asked)
                if (np.abs(wrong(some.mixture, asked, found)) <= _SAME).all():
                    return of(rules[0].mixture(self), given)
                del rules[0]
        return of(self.mixture, given)

    def cdf(self, value: ArrayLike) -> Array:
        """``P(functional <= value)``, shape (m,)."""
        at = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),))
        return self._solved(Mixture.cdf, at, lambda mixture, x, found: mixture.cdf(x) - found)

    def log_pdf(self, value: ArrayLike) -> Array:
        """Log posterior density at `value`, shape (m,)."""
        return self.mixture.log_pdf(np.broadcast_to(np.asarray(value, dtype=np.float64), (len(self),)))

    def quantile(self, q: float) -> Array:
        """Posterior quantile, shape (m,)."""
        probability(q)
        levels = np.full(len(self), q)
        return self._solved(Mixture.quantile, levels, lambda mixture, q, found: mixture.cdf(found) - q)

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed intervals, shape (m, 2)."""
        check_level(level)
        levels = np.full(len(self), level)
        return self._solved(lambda mixture, _: mixture.interval(level), levels, _mass_wrong)

    def hdi(self, level: float = 0.94) -> Array:
        """Shortest (highest-density, if unimodal) intervals, shape (m, 2)."""
        check_level(level)
        return np.column_stack(self.mixture.shortest_interval(level))


@dataclass(frozen=True, eq=False)
class _FewNodes:
    """The scales in few nodes, and in still fewer, from which the search of a quantile starts."""

    rules: tuple[Nodes, Nodes]
    given: Conditional

    @classmethod
    def of(cls, engine: Engine, few: Nodes, first: Nodes) -> _FewNodes:
        return cls((few, first), engine.at(np.concatenate([few.theta, first.theta])))

    def mixture(self, of: MixtureQuantity) -> Mixture:
        """The mixtures of functionals."""
        location, variance = self.given.mean(of.linear), self.given.variance(of.linear)
        variance = variance if of.noise is None else variance + of.noise[:, None]
        ends = [len(self.rules[0].weight)]
        both = zip(self.rules, np.split(location, ends, 1), np.split(variance, ends, 1), strict=True)
        found = [flatten(*one) for one in both]
        return replace(found[0], start=found[1])


def _mass_wrong(mixture: Mixture, level: Array, ends: Array) -> Array:
    tail = 0.5 * (1.0 - level)
    return np.concatenate([mixture.cdf(ends[:, 0]) - tail, 1.0 - mixture.cdf(ends[:, 1]) - tail])


def _overlapping(nodes: Nodes, location: Array, variance: Array) -> bool:
    """Whether neighbouring bells overlap; nodes that lie on no line (several scales) are their integrator's affair."""
    seen = nodes.weight > 1e-10
    pairs = seen[1:] & seen[:-1]  # neighbours: what lies between two modes far apart needs no nodes
    if nodes.theta.shape[1] != 1 or not pairs.any():
        return True
    steps = np.abs(np.diff(location, axis=1))[:, pairs]
    scale = np.sqrt(variance * nodes.noise.squared_scale().min(axis=1))
    return bool((steps <= np.minimum(scale[:, 1:], scale[:, :-1])[:, pairs]).all())


def flatten(nodes: Nodes, location: Array, variance: Array) -> Mixture:
    """Put the noise of each node to its location and variance over sigma^2, (m, K): mixtures of one kind of bell."""
    noise = nodes.noise.squared_scale()
    weight = nodes.weight[:, None] * nodes.noise.share()
    k, j = np.nonzero(weight > _NEGLIGIBLE)
    flat = weight[k, j] / weight[k, j].sum()
    return Mixture(location[:, k], np.sqrt(variance[:, k] * noise[k, j]), flat, nodes.noise.df)
