"""Rules of the user's own: a number, or a criterion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.filters import check_lambda
from bayesridge.linalg.optimum import Optimum, Place, minimize_values
from bayesridge.rules.rule import Choice, LambdaProblem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GivenLambda:
    """A lambda from elsewhere (0 and infinity allowed).

    Attributes
    ----------
    lam : float
        Penalty on the scaled columns.
    """

    lam: float
    key: str = "given"
    label: str = "given"

    def __post_init__(self) -> None:
        check_lambda(self.lam)

    def choose(self, problem: LambdaProblem) -> Choice:  # noqa: ARG002
        """Return the number."""
        place: Place = "zero" if self.lam == 0 else "infinity" if np.isinf(self.lam) else "interior"
        return Choice(self.key, Optimum(float(self.lam), place, np.nan))


@dataclass(frozen=True)
class UserCriterion:
    """Minimum of any criterion, found from its values alone (to 1e-8 in log lambda).

    Attributes
    ----------
    function : callable
        (problem, log lambda of shape (K,)) -> values of shape (K,), lower is better.
    key, label : str
    """

    function: Callable[[LambdaProblem, Array], Array]
    key: str = "own"
    label: str = "own criterion"

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""

        def values(t: Array) -> Array:
            got = np.asarray(self.function(problem, t), dtype=np.float64)
            if got.shape != t.shape:
                raise DataError(
                    f"the criterion {self.key!r} must return one value for each of {t.shape[0]} log lambda, got shape "
                    f"{got.shape}"
                )
            return got

        found = minimize_values(values, problem.where)
        return Choice(self.key, found.best, found.others, note=found.note)
