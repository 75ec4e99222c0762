r"""Test problems of inverse problems, by their published formulas: A, the true x, and A x.

========  ==========================================================================================================
shaw      image restoration in one dimension (C. B. Shaw 1972): midpoint rule of
          :math:`(\cos s + \cos t)^2 (\sin u / u)^2, u = \pi(\sin s + \sin t)` on :math:`[-\pi/2, \pi/2]`;
          two Gaussian humps
deriv2    second derivative: Galerkin's method with box functions for the Green's function of :math:`x'' = y` on
          [0, 1]; x(t) = t
gravity   a mass line at depth d = 1/4 under a line of measurements: midpoint rule of
          :math:`d (d^2 + (s - t)^2)^{-3/2}`; :math:`\sin \pi t + \frac12 \sin 2 \pi t`
heat      inverse heat equation (A. S. Carasso 1982), a Volterra equation with the kernel
          :math:`(t^{-3/2} / (2 \sqrt \pi)) e^{-1/(4 t)}`; a hump that starts suddenly
blur      a signal (n samples) seen through a Gaussian of standard deviation n / 40, zero beyond its ends; a box, a
          ramp and a hump
========  ==========================================================================================================

The first four are those of P. C. Hansen, "Regularization Tools", Numerical Algorithms 6 (1994).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.errors import DataError
from bayesridge.parallel.runs import generator

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InverseProblem:
    """A linear inverse problem of which the answer is known.

    Attributes
    ----------
    name : str
    t : ndarray of shape (p,)
        Where x is.
    A : ndarray of shape (n, p)
    x : ndarray of shape (p,)
    """

    name: str
    t: Array
    A: Array
    x: Array

    @property
    def exact(self) -> Array:
        """``A x``, without noise."""
        return np.asarray(self.A @ self.x)

    def data(self, noise: float, random_state: int | np.random.Generator | None = None) -> Array:
        """``A x + e``, e Gaussian with `noise` times the root mean square of ``A x`` as standard deviation."""
        rng, b = generator(random_state), self.exact
        return np.asarray(b + noise * np.sqrt(np.mean(b * b)) * rng.standard_normal(len(b)))

    def relative_error(self, x: ArrayLike) -> float:
        """``|x - true x| / |true x|``."""
        return float(np.linalg.norm(np.asarray(x) - self.x) / np.linalg.norm(self.x))


class _Parts(NamedTuple):
    t: Any
    A: Any
    x: Any


def inverse_problem(name: str, n: int = 64) -> InverseProblem:
    """Make a test problem of n unknowns and n data.

    Parameters
    ----------
    name : {"shaw", "deriv2", "gravity", "heat", "blur"}
    n : int
        At least 4.

    Raises
    ------
    DataError
        If there is none of that name, or n is less than 4.
    """
    if not isinstance(name, str) or name not in _PROBLEMS:
        raise DataError(f"no test problem {name!r}; there are: {', '.join(_PROBLEMS)}")
    if not isinstance(n, (int, np.integer)) or n < 4:
        raise DataError(f"a test problem has at least 4 unknowns, a whole number, got {n!r}")
    return InverseProblem(name, *_PROBLEMS[name](int(n)))


def _shaw(n: int) -> _Parts:
    h = np.pi / n
    t = (np.arange(n) + 0.5) * h - np.pi / 2
    c, u = np.cos(t), np.pi * np.sin(t)
    A = h * np.square(np.add.outer(c, c) * np.sinc(np.add.outer(u, u) / np.pi))
    return _Parts(t, A, 2.0 * np.exp(-6.0 * (t - 0.8) ** 2) + np.exp(-2.0 * (t + 0.5) ** 2))


def _deriv2(n: int) -> _Parts:
    # K(s, t) = min(s, t) (max(s, t) - 1), integrated over the squares of boxes 1/sqrt(h) high
    h = 1.0 / n
    i = np.arange(1, n + 1)
    low, high = np.minimum.outer(i, i), np.maximum.outer(i, i)
    A = h * h * ((low - 0.5) * (high * h - 0.5 * h - 1.0))
    A[np.diag_indices(n)] = h * h * ((i - 0.5) ** 2 * h - (i - 2.0 / 3.0))
    t = (i - 0.5) * h
    return _Parts(t, A, np.sqrt(h) * t)


def _gravity(n: int) -> _Parts:
    t, d = (np.arange(n) + 0.5) / n, 0.25
    A = d / n * (d * d + np.square(np.subtract.outer(t, t))) ** -1.5
    return _Parts(t, A, np.sin(np.pi * t) + 0.5 * np.sin(2.0 * np.pi * t))


def _heat(n: int) -> _Parts:
    h = 1.0 / n
    t = (np.arange(n) + 0.5) * h
    kernel = h / (2.0 * np.sqrt(np.pi)) * t**-1.5 * np.exp(-0.25 / t)
    lag = np.subtract.outer(np.arange(n), np.arange(n))
    A = np.where(lag >= 0, kernel[np.maximum(lag, 0)], 0.0)
    u = 20.0 * (np.arange(n) + 1) * h
    rise = 0.75 * u**2 / 4.0
    top = 0.75 + (u - 2.0) * (3.0 - u)
    x = np.where(u < 2.0, rise, np.where(u < 3.0, top, 0.75 * np.exp(-2.0 * (u - 3.0))))
    return _Parts(t, A, np.where(u <= 10.0, x, 0.0))


def _blur(n: int) -> _Parts:
    t, i = (np.arange(n) + 0.5) / n, np.arange(n)
    width = n / 40.0
    A = np.exp(-0.5 * np.square(np.subtract.outer(i, i) / width)) / (width * np.sqrt(2.0 * np.pi))
    box, ramp = 1.0 * ((t > 0.15) & (t < 0.3)), np.clip((t - 0.4) / 0.15, 0.0, 1.0) * (t < 0.55)
    return _Parts(t, A, box + ramp + 0.8 * np.exp(-0.5 * ((t - 0.77) / 0.05) ** 2))


_PROBLEMS: dict[str, Callable[[int], _Parts]] = {
    "shaw": _shaw, "deriv2": _deriv2, "gravity": _gravity, "heat": _heat, "blur": _blur,
}  # fmt: skip
