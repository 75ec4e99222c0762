"""A prior for each of several lambdas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesridge.errors import PriorError
from bayesridge.priors.penalty import BetaR2, FixedLambda, FixedScales, FixedTau, Gamma, GammaPrecisions, LogNormal
from bayesridge.priors.scale import (
    Array,
    ScalePrior,
    uniform_correlations,
)
from bayesridge.priors.shapes import Custom, HalfPrior


@dataclass(frozen=True)
class ByGroup(ScalePrior):
    """Independent priors of several lambdas, one for each group of columns.

    Parameters
    ----------
    groups : tuple of str
    priors : tuple of Prior
        Each on R^2, lambda or tau/sigma of its own group.
    """

    groups: tuple[str, ...]
    priors: tuple[Prior, ...]

    def __post_init__(self) -> None:
        for name, prior in zip(self.groups, self.priors, strict=True):
            if not isinstance(prior, ScalePrior):
                raise PriorError(f"the prior of group {name!r} must be a prior object such as BetaR2(), got {prior!r}")
            if prior.variable != "lambda" or prior.known is not None:
                raise PriorError(
                    f"with several groups a prior is one of R², lambda or tau/sigma, to be learnt; that of group "
                    f"{name!r} is {prior.text}"
                )

    def log_density(self, log_x: Array, signal: float = 1.0) -> Array:  # noqa: ARG002
        """None: there is no one lambda."""
        raise PriorError(f"{self.text} is a prior of several lambdas, and the model has one: say groups={{...}}")

    def log_density_of(self, theta: Array, signals: tuple[float, ...]) -> Array:
        """Joint log density of the logarithms of all lambdas, theta of shape (K, G)."""
        if len(signals) != len(self.priors):
            raise PriorError(
                f"priors of {len(self.priors)} groups ({', '.join(self.groups)}), and the model has {len(signals)}: "
                "say groups={...}"
            )
        terms = [one.log_density(t, s) for one, t, s in zip(self.priors, theta.T, signals, strict=False)]
        return np.asarray(np.sum(terms, axis=0)) + uniform_correlations(theta[:, len(signals) :])

    def power(self, power: float) -> ByGroup:
        """Every one to a power, in its own variable; correlations are uniform, and stay so."""
        return ByGroup(self.groups, tuple([one.power(power) for one in self.priors]))

    @property
    def normalized(self) -> bool:  # type: ignore[override]
        """Whether every one is."""
        return all(one.normalized for one in self.priors)

    @property
    def text(self) -> str:
        """One line for reports."""
        texts = [one.text for one in self.priors]
        if len(set(texts)) == 1:
            return f"{texts[0]} of each group"
        return ", ".join([f"{name}: {one}" for name, one in zip(self.groups, texts, strict=True)])


Prior = (
    BetaR2 | LogNormal | Gamma | Custom | HalfPrior | FixedLambda | FixedTau | FixedScales | GammaPrecisions | ByGroup
)


def by_group(groups: tuple[str, ...], prior: Prior | Mapping[str, Prior] | None) -> Prior:
    """Give each group a prior: its own, the one for all, or ``BetaR2()`` where nothing is said; one group has one."""
    if not isinstance(prior, Mapping):
        one = BetaR2() if prior is None else prior
        return one if len(groups) == 1 or isinstance(one, ByGroup) else ByGroup(groups, (one,) * len(groups))
    unknown = [name for name in prior if name not in groups]
    if unknown:
        raise PriorError(f"prior names the group {unknown[0]!r}, and the groups are {', '.join(groups)}")
    found = [prior.get(name, BetaR2()) for name in groups]
    return found[0] if len(groups) == 1 else ByGroup(groups, tuple(found))
