"""Kernels by name, any of scikit-learn's with at most three free hyperparameters, and matrices that are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from bayesridge.design.design import Design
from bayesridge.errors import DataError, ModelFileError

Array = NDArray[np.float64]

_ROWS = 500  # whose distances say what a length is
NAMES = ("rbf", "matern", "periodic")
_MOST = 3


class KernelFunction(Protocol):
    """A covariance function with h free hyperparameters v, its columns scaled or (a matrix given) as they are."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of exp(v); none where all of the kernel is given."""

    @property
    def spans(self) -> Array:
        """Where each v lies with prior probability 95%, (h, 2)."""

    @property
    def of_columns(self) -> bool:
        """Whether it is a function of columns, which have slopes: not of rows of a given matrix."""

    def matrix(self, A: Array, B: Array, v: Array) -> Array:
        """Covariances of f at rows of A and B, shape (a, b)."""

    def variance(self, A: Array, v: Array) -> Array:
        """Variances of f at rows of A, (a,)."""

    def state(self) -> dict[str, Any]:
        """What a file holds of it."""

    def options(self) -> dict[str, Any]:
        """The estimator's arguments."""


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

    of_columns: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Its length-scale is learnt."""
        return ("length_scale",)

    @property
    def spans(self) -> Array:
        """Where its logarithm lies with prior probability 95%."""
        return np.log([[self.low, self.high]])

    def at(self, v: Array) -> Any:
        """scikit-learn's kernel at a length-scale exp(v)."""
        from sklearn.gaussian_process import kernels

        length = float(np.exp(v[0]))
        if self.name == "rbf":
            return kernels.RBF(length)
        if self.name == "matern":
            return kernels.Matern(length, nu=self.nu)
        return kernels.ExpSineSquared(length, self.period / self.unit)

    def matrix(self, A: Array, B: Array, v: Array) -> Array:
        """Covariances, shape (a, b)."""
        return np.asarray(self.at(v)(A, B), dtype=np.float64)

    def variance(self, A: Array, v: Array) -> Array:  # noqa: ARG002
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

    of_columns: ClassVar[bool] = True

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of its free hyperparameters, those of several elements numbered."""
        free = [one for one in self.kernel.hyperparameters if not one.fixed]
        names = [
            name for one in free
            for name in ([one.name] if one.n_elements == 1 else [f"{one.name}[{k}]" for k in range(one.n_elements)])
        ]  # fmt: skip
        if len(names) > _MOST or any(name.endswith(("constant_value", "noise_level")) for name in names):
            raise DataError(
                f"the kernel {self.kernel} has the free hyperparameters {', '.join(names)}: up to {_MOST} are "
                "integrated, beside an amplitude, which is tau already, and white noise, which is sigma; give the "
                "others, and these two, the bounds 'fixed'"
            )
        return tuple(names)

    @property
    def spans(self) -> Array:
        """Its bounds."""
        return np.asarray(self.kernel.bounds, dtype=np.float64).reshape(-1, 2)

    def at(self, v: Array) -> Any:
        """The kernel at v."""
        return self.kernel.clone_with_theta(v) if self.parameters else self.kernel

    def matrix(self, A: Array, B: Array, v: Array) -> Array:
        """Covariances, shape (a, b)."""
        # a kernel's white noise is there for one argument only: rows and themselves
        return np.asarray(self.at(v)(A) if A is B else self.at(v)(A, B), dtype=np.float64)

    def variance(self, A: Array, v: Array) -> Array:
        """Variances, (a,)."""
        return np.asarray(self.at(v).diag(A), dtype=np.float64)

    def options(self) -> dict[str, Any]:
        """Return the estimator's argument."""
        return {"kernel": self.kernel}

    def state(self) -> dict[str, Any]:
        """Refused: it is an object."""
        raise DataError(f"a kernel object is not written to files, a named one is: {', '.join(NAMES)}")


@dataclass(frozen=True, eq=False)
class GivenMatrix:
    """A matrix K(X, X) that is given, and rows K(new, X).

    What K(new, new) is nobody says. Where the diagonal is the same everywhere it is that at new points too. Otherwise
    new points are taken to be combinations of the old ones, as under a kernel of few columns: K has to be singular.

    Attributes
    ----------
    K : ndarray of shape (n, n)
    """

    K: Array
    parameters: tuple[str, ...] = ()
    of_columns: ClassVar[bool] = False

    @property
    def spans(self) -> Array:
        """None."""
        return np.empty((0, 2))

    @cached_property
    def _inverse(self) -> Array:
        return np.linalg.pinv(self.K, rcond=1e-12, hermitian=True)

    def matrix(self, A: Array, B: Array, v: Array) -> Array:  # noqa: ARG002
        """Covariances of rows of which those of one are the matrix's own."""
        if np.array_equal(B, self.K):
            return A.copy()  # the caller centres it in place
        return B.T.copy() if np.array_equal(A, self.K) else A @ self._inverse @ B.T

    def variance(self, A: Array, v: Array) -> Array:  # noqa: ARG002
        """Of new points: the diagonal, if it is constant; what the old ones say of them, if they say everything."""
        diagonal = self.K.diagonal()
        if np.ptp(diagonal) <= 1e-8 * diagonal.max():
            return np.full(len(A), diagonal.max())
        if np.linalg.matrix_rank(self.K, tol=1e-10 * np.linalg.norm(self.K, 2), hermitian=True) == len(self.K):
            raise DataError(
                "of a given matrix whose diagonal varies the variance at new points is not known: pass the kernel "
                "itself, or divide K(a, b) by the roots of K(a, a) and K(b, b)"
            )
        return np.asarray(np.einsum("ij,jk,ik->i", A, self._inverse, A))

    def options(self) -> dict[str, Any]:
        """Return the estimator's argument."""
        return {"kernel": "precomputed"}

    def state(self) -> dict[str, Any]:
        """Its name: the matrix is the table of the fit."""
        return {"name": "precomputed"}


def kernel_of(
    kernel: Any, design: Design, *, nu: float = 2.5, period: float | None = None
) -> NamedKernel | GivenKernel | GivenMatrix:
    """Return a kernel by its name, or as it is given.

    The length-scale of a named one lies, with prior probability 95%, between half the usual distance of neighbours and
    twice the width of the table.

    Raises
    ------
    DataError
        If there is no such kernel, or a period is missing or not of one column.
    """
    if not isinstance(kernel, str):
        needed = ("clone_with_theta", "hyperparameters", "diag")
        if isinstance(kernel, type) or not all(hasattr(kernel, name) for name in needed):
            raise DataError(f"kernel must be one of {', '.join(NAMES)} or a kernel of scikit-learn, got {kernel!r}")
        return _given_kernel(GivenKernel(kernel), design.X[:2])
    if kernel == "precomputed":
        return _given_matrix(design.X)
    if kernel not in NAMES:
        raise DataError(f"no kernel {kernel!r}: there are {', '.join(NAMES)}, 'precomputed', and any of scikit-learn's")
    if kernel == "matern" and nu not in (0.5, 1.5, 2.5):
        raise DataError(f"nu must be 0.5, 1.5 or 2.5, got {nu!r}")
    if kernel == "periodic":
        number = isinstance(period, (int, float, np.number)) and bool(np.isfinite(period) and period > 0)
        if design.n_columns != 1 or period is None or not number:
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


def _given_kernel(given: GivenKernel, rows: Array) -> GivenKernel:
    """Refuse bounds that are no interval, and kernels that make no matrix of the table's rows."""
    with np.errstate(all="ignore"):
        spans = given.spans if given.parameters else np.empty((0, 2))
    if not (np.isfinite(spans).all() and (spans[:, 0] < spans[:, 1]).all()):
        raise DataError(
            f"the bounds of {given.kernel} must be positive, finite and in order (low, high), or the word 'fixed'"
        )
    try:
        shape = np.shape(given.kernel(rows))
    except (TypeError, ValueError) as error:
        raise DataError(f"the kernel {given.kernel} does not take {rows.shape[1]} columns: {error}") from error
    if shape != (len(rows), len(rows)):
        raise DataError(f"the kernel {given.kernel} makes no matrix of rows by rows, its shape for two is {shape}")
    return given


def _given_matrix(K: Array) -> GivenMatrix:
    if K.shape[0] != K.shape[1]:
        raise DataError(
            f"kernel='precomputed' takes the square matrix K(X, X) as X, got shape {K.shape}: a row that is left "
            "out is left out of its columns too"
        )
    if not np.allclose(K, K.T, rtol=0, atol=1e-8 * np.abs(K).max()):
        raise DataError("kernel='precomputed' takes the matrix K(X, X) as X, and this one is not symmetric")
    values = np.linalg.eigvalsh(K)
    if values[0] < -1e-8 * max(values[-1], 0.0) or not values[-1] > 0:
        raise DataError(f"the kernel's matrix must have no negative eigenvalues, and one is {values[0]:.3g}")
    return GivenMatrix(K)


def kernel_from_state(facts: Mapping[str, Any], X: Array) -> NamedKernel | GivenMatrix:
    """Make a kernel of its state, and of the rows."""
    if facts.get("name") == "precomputed":
        return GivenMatrix(X)
    if facts.get("name") not in NAMES:
        raise ModelFileError(f"no kernel {facts.get('name')!r}")
    return NamedKernel(**facts)
