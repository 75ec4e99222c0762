"""What integrators of several scales sum: the log density of theta given y, sigma integrated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesridge.engines.engine import Engine
from bayesridge.hyper.likelihood import log_growth
from bayesridge.priors import Conjugate, ScalePrior

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Target:
    """The log density of theta given y, up to `constant`, sigma integrated (or known).

    Attributes
    ----------
    engine, prior : Engine, ScalePrior
    noise : Conjugate or None
        The prior of sigma^2; None where sigma is known.
    log_sigma : float
        Where it is known.
    sizes : tuple of float or None
        Nats below the top at which a lattice ends, and its steps in standard deviations, where they are not the usual.
    """

    engine: Engine
    prior: ScalePrior
    noise: Conjugate | None
    log_sigma: float = np.nan
    sizes: tuple[float, float] | None = None

    @cached_property
    def shape(self) -> float:
        """Of sigma^2 given theta."""
        assert self.noise is not None
        return 0.5 * self.engine.nu + self.noise.shape

    @cached_property
    def _floor(self) -> float:
        return self.engine.floor + (0.0 if self.noise is None else 2.0 * self.noise.scale)

    @cached_property
    def constant(self) -> float:
        """What log p(y, theta) has beyond :meth:`__call__`."""
        engine = self.engine
        if self.noise is None:
            return float(
                engine.constant - engine.nu * self.log_sigma - 0.5 * engine.floor * np.exp(-2.0 * self.log_sigma)
            )
        power = self.shape * float(np.log(0.5 * (self._floor or 1.0)))
        return engine.constant + self.noise.log_norm + float(gammaln(self.shape)) - power

    def __call__(self, theta: Array) -> tuple[Array, Array]:
        """Log density and the rate of sigma^2 at theta (K, G), each (K,)."""
        log_norm, excess = self.engine.evidence(theta)
        value = log_norm + self.prior.log_density_of(theta, self.engine.signals)
        if self.noise is None:
            value = value - 0.5 * excess * np.exp(-2.0 * self.log_sigma)
        else:
            value = value - self.shape * log_growth(self._floor, excess)
        return np.where(np.isnan(value), -np.inf, value), 0.5 * (self._floor + excess)
