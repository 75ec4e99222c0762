"""What every posterior offers, exact or sampled: all that tables, texts, the estimator and the commands know of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design, State
from bayesridge.errors import DataTypeError
from bayesridge.hyper.marginal import Scalar
from bayesridge.posteriors.contrasts import Contrast, Step
from bayesridge.posteriors.draws import Draws
from bayesridge.posteriors.prediction import Prediction
from bayesridge.posteriors.quantity import Quantity

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


@runtime_checkable
class AnyPosterior(Protocol):
    """A posterior, however it came to be known."""

    @property
    def design(self) -> Design:
        """The description of the data."""

    @property
    def prior_texts(self) -> tuple[str, str]:
        """The prior and the noise prior in words."""

    @property
    def method(self) -> str:
        """One of "posterior", "evidence", "fixed" and "nuts"."""

    @property
    def how(self) -> str:
        """What kind of numbers these are."""

    @property
    def check(self) -> tuple[str, ...]:
        """What to think of them, a sentence each; empty where nothing is to be said."""

    @property
    def coefficients(self) -> Quantity:
        """All p coefficients, in the units of the data."""

    @property
    def intercept(self) -> Quantity:
        """The intercept, length 1."""

    @property
    def lambda_(self) -> Scalar:
        """Lambda = sigma^2 / tau^2."""

    @property
    def sigma(self) -> Scalar:
        """The noise standard deviation."""

    @property
    def tau(self) -> Scalar:
        """The prior standard deviation of the standardised coefficients."""

    @property
    def scales(self) -> Mapping[str, Scalar]:
        """Some of "lambda", "sigma", "tau", "R2" and "effective dof"."""

    def contrast(self, what: Contrast, labels: tuple[str, ...] | None = None) -> Quantity:
        """Linear combinations of the coefficients."""

    def effects(self, steps: Mapping[str, Step], *, by_row: bool = False) -> Quantity:
        """Effects of changes of the columns on the expected target."""

    def expected(self, X: Array, *, offset: ArrayLike | None = None, trials: ArrayLike | None = None) -> Array:
        """Posterior mean of the expected target at new rows, (m,)."""

    def predict(
        self,
        X: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> Prediction:
        """Posterior predictive distribution at new rows."""

    @property
    def only(self) -> AnyPosterior:
        """Itself; refused where there are several targets."""

    @property
    def estimates(self) -> Any:
        """Posterior means, ``intercept`` and ``coef``."""

    @property
    def has_terms(self) -> bool:
        """Whether there are several penalties, and :meth:`terms` says what each is worth."""

    @property
    def has_curves(self) -> bool:
        """Whether penalised fits over lambda, ``curves``, stand where one lambda of a Gaussian has its spectrum."""

    @property
    def takes_codes(self) -> bool:
        """Whether :meth:`predict` takes effects of levels as codes, not laid out."""

    def terms(self, level: float = 0.95) -> Any:
        """Spread, share of variance and effective degrees of freedom of each penalty, as a data frame."""

    def summary(self, level: float = 0.95) -> Any:
        """Intercept and coefficients as a data frame."""

    def draw(self, draws: int = 1000, chains: int = 4, random_state: Any = None) -> Draws:
        """Draws of all parameters, arrays of shape (chains, draws, ...)."""

    def replicate(self, rows: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Array:
        """Targets of data sets the model would make at rows of the fit (indices, (m,)): shape (draws, m)."""

    def options(self) -> dict[str, Any]:
        """Return the arguments of the estimator that makes this posterior from plain columns."""

    def state(self, *, rows: bool = False) -> State:
        """What a file holds of it, ``"engine"`` among the facts; with the rows of the data, or without."""

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: Any = None,
        *,
        predictive: bool = False,
    ) -> xr.DataTree:
        """Draws as an ArviZ ``xarray.DataTree``."""

    def _repr_html_(self) -> str:
        """The posterior in a notebook."""

    def facts(self) -> dict[str, Any]:
        """What a record holds beside the tables."""


def require_posterior(post: object, use: str) -> None:
    """Refuse what is no posterior, by name."""
    if not isinstance(post, AnyPosterior):
        raise DataTypeError(
            f"{use} takes a posterior, got {type(post).__name__}; of a fitted estimator it is fit.posterior_"
        )
