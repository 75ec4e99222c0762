"""The posterior of a kernel ridge, a Gaussian process: the contract of every posterior, on functions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.engines.kernel import KernelEngine
from bayesridge.engines.kernels import kernel_from_state
from bayesridge.errors import BayesRidgeWarning, DataError
from bayesridge.hyper.infer import infer_hyper
from bayesridge.persistence import prior_from_state
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.prediction import checked_rows, predict
from bayesridge.priors import NoisePrior, Prior

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class KernelPosterior(Posterior):
    """Everything known of a function after seeing it with noise.

    ``coefficients`` are slopes: how much the function rises over one standard deviation of a column about the middle of
    the table, the other columns at their means, divided by that standard deviation. ``intercept`` is its value where
    every column is zero.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return infer_kernel, (KernelEngine(self.design, self._kernel), self.prior, self.noise_prior)

    @property
    def _kernel(self) -> Any:
        assert isinstance(self.engine, KernelEngine)
        return self.engine.kernel

    @property
    def how(self) -> str:
        """What kind of numbers these are."""
        own = "".join([f" and {name}" for name in self._kernel.parameters])
        rows = "slopes at the middle of the table" if self._kernel.of_columns else "its values at the rows of the fit"
        return f"exact posterior of a function, lambda{own} integrated; rows are {rows}"

    def expected(self, X: Array, *, offset: ArrayLike | None = None, trials: ArrayLike | None = None) -> Array:
        """Posterior mean of the function at new rows, (m,)."""
        rows = checked_rows(X, self.design, offset, trials)
        return predict(self.engine, self.hyper, rows, None).expected.mean

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: int | np.random.Generator | None = None,
        *,
        predictive: bool = False,
    ) -> xr.DataTree:
        """Independent draws of scales and slopes as an ArviZ ``xarray.DataTree``, by default four chains of 1000.

        Raises
        ------
        DataError
            With ``predictive=True``: a function is not a sum of slopes.
        """
        if predictive:
            raise DataError(
                "draws of slopes do not make draws of the function: predict(X).expected and .target have its "
                "distribution at any rows"
            )
        return super().to_datatree(draws, chains, random_state)

    def options(self) -> dict[str, Any]:
        """Return the arguments of the estimator that makes this posterior."""
        design = self.design.options()
        kept = {name: design[name] for name in ("fit_intercept", "scale", "weight_kind") if name in design}
        return {"prior": self.prior, "noise_prior": self.noise_prior, **self._kernel.options(), **kept}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Posterior:
        """Make the posterior of its state: the rows and the kernel."""
        priors = prior_from_state(facts["prior"]), prior_from_state(facts["noise_prior"])
        engine = KernelEngine.from_state(facts, arrays, kernel_from_state(facts["kernel"], arrays["X"]))
        return infer_kernel(engine, *priors)


def infer_kernel(engine: KernelEngine, prior: Prior, noise_prior: NoisePrior) -> KernelPosterior:
    """Compute the posterior of a function, lambda, sigma and the kernel's own hyperparameters integrated.

    Of many rows a part says first where the hyperparameters lie, which saves decompositions; where all rows contradict
    it they are asked without it.
    """
    few = engine.few()
    if few is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesRidgeWarning)  # about a part of the rows, in passing
            nodes = infer_kernel(few, prior, noise_prior).hyper.nodes
        sooner = engine.about(nodes.theta, nodes.weight)
        hyper = infer_hyper(sooner, prior, noise_prior)
        if sooner.holds(hyper.nodes.theta, hyper.nodes.weight):
            sooner.forget(hyper.nodes.theta[:, 1:])
            return KernelPosterior(sooner, prior, noise_prior, hyper)
    return KernelPosterior(engine, prior, noise_prior, infer_hyper(engine, prior, noise_prior))
