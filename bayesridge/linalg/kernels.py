"""Kernels by name, and any of scikit-learn's, with at most one free hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from bayesridge.errors import DataError, ModelFileError
from bayesridge.linalg.design import Design

Array = NDArray[np.float64]

_ROWS = 500  # whose distances say what a length is
NAMES = ("rbf", "matern", "periodic")


@dataclass(frozen=True)
class NamedKernel:
    """A kernel of unit variance, of scikit-learn's making, on scaled columns.

    Attributes
    ----------
    name : {"rbf", "matern", "periodic"}
        exp(-d²/2l²); Matérn's with smoothness `nu`; exp(-2 sin²(pi d / period) / l²).
    low, high : float
        Where the length-scale l lies with prior probability 95%, in standard deviations of the columns.
    nu : float
        0.5, 1.5 or 2.5.
    period : float
        In the units of the one column.
    unit : float
        Standard deviation of that column.
    """

    name: str
    low: float
    high: float
    nu: float = 2.5
    period: float = 0.0
    unit: float = 1.0

    @property
    def parameter(self) -> str:
        """Its length-scale is learnt."""
        return "length_scale"

    @property
    def span(self) -> tuple[float, float]:
        """Where its logarithm lies with prior probability 95%."""
        return float(np.log(self.low)), float(np.log(self.high))

    def at(self, v: float) -> Any:
        """scikit-learn's kernel at a length-scale exp(v)."""
        from sklearn.gaussian_process import kernels

        length = float(np.exp(v))
        if self.name == "rbf":
            return kernels.RBF(length)
        if self.name == "matern":
            return kernels.Matern(length, nu=self.nu)
        return kernels.ExpSineSquared(length, self.period / self.unit)

    def matrix(self, A: Array, B: Array, v: float) -> Array:
        """Covariances, shape (a, b)."""
        return np.asarray(self.at(v)(A, B), dtype=np.float64)

    def variance(self, A: Array, v: float) -> Array:  # noqa: ARG002
        """Ones."""
        return np.ones(len(A))

    def options(self) -> dict[str, Any]:
        """Return the estimator's arguments."""
        return {"kernel": self.name, "nu": self.nu, "period": self.period or None}

    def state(self) -> dict[str, Any]:
        """What a file holds of it."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class GivenKernel:
    """A kernel object of scikit-learn's; its bounds are read as a prior's 95%.

    Attributes
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
    """

    kernel: Any

    @cached_property
    def parameter(self) -> str | None:
        """Name of its one free hyperparameter."""
        free = [one.name for one in self.kernel.hyperparameters if not one.fixed]
        if len(self.kernel.theta) > 1:
            raise DataError(
                f"the kernel {self.kernel} has {len(self.kernel.theta)} free hyperparameters ({', '.join(free)}), and "
                "one is integrated: give the others the bounds 'fixed' (an amplitude is tau already, white noise "
                "sigma)"
            )
        return free[0] if free else None

    @property
    def span(self) -> tuple[float, float]:
        """Its bounds."""
        low, high = self.kernel.bounds[0] if self.parameter else (0.0, 0.0)
        return float(low), float(high)

    def at(self, v: float) -> Any:
        """The kernel at v."""
        return self.kernel.clone_with_theta(np.array([v])) if self.parameter else self.kernel

    def matrix(self, A: Array, B: Array, v: float) -> Array:
        """Covariances, shape (a, b)."""
        return np.asarray(self.at(v)(A, B), dtype=np.float64)

    def variance(self, A: Array, v: float) -> Array:
        """Variances, (a,)."""
        return np.asarray(self.at(v).diag(A), dtype=np.float64)

    def options(self) -> dict[str, Any]:
        """Return the estimator's argument."""
        return {"kernel": self.kernel}

    def state(self) -> dict[str, Any]:
        """Refused: it is an object."""
        raise DataError(f"a kernel object is not written to files, a named one is: {', '.join(NAMES)}")


def kernel_of(
    kernel: Any, design: Design, *, nu: float = 2.5, period: float | None = None
) -> NamedKernel | GivenKernel:
    """Return a kernel by its name, or as it is given.

    The length-scale of a named one lies, with prior probability 95%, between half the usual distance of neighbours and
    twice the width of the table.

    Raises
    ------
    DataError
        If there is no such kernel, or a period is missing or not of one column.
    """
    if not isinstance(kernel, str):
        if not all(hasattr(kernel, name) for name in ("clone_with_theta", "hyperparameters", "diag")):
            raise DataError(f"kernel must be one of {', '.join(NAMES)} or a kernel of scikit-learn, got {kernel!r}")
        return GivenKernel(kernel)
    if kernel not in NAMES:
        raise DataError(f"no kernel {kernel!r}: there are {', '.join(NAMES)}, and any of scikit-learn's")
    if kernel == "matern" and nu not in (0.5, 1.5, 2.5):
        raise DataError(f"nu must be 0.5, 1.5 or 2.5, got {nu!r}")
    if kernel == "periodic":
        if design.n_columns != 1 or period is None or not (np.isfinite(period) and period > 0):
            raise DataError("kernel='periodic' takes one column and its period=, a positive number in its units")
        return NamedKernel(kernel, 0.1, 10.0, period=float(period), unit=float(design.scale[0]))
    rows = (design.X - design.mean) / design.scale
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _ROWS)).astype(np.intp))]
    apart = squareform(pdist(np.unique(some, axis=0)))
    if len(apart) < 2:
        raise DataError("all rows have the same columns: there is no function of them to learn")
    np.fill_diagonal(apart, np.inf)
    nearest, widest = float(np.median(apart.min(axis=1))), float(apart[np.isfinite(apart)].max())
    return NamedKernel(kernel, 0.5 * min(nearest, 0.25 * widest), 2.0 * widest, nu=nu)


def kernel_from_state(facts: Mapping[str, Any]) -> NamedKernel:
    """Make a kernel of its state."""
    if facts.get("name") not in NAMES:
        raise ModelFileError(f"no kernel {facts.get('name')!r}")
    return NamedKernel(**facts)
