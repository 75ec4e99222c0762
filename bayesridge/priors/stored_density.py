"""A density given as a function, kept as numbers: what a file holds of a ``Custom`` prior.

Its logarithm is a polynomial of degree 15 in log x (in log x - log(1 - x) for a density on (0, 1)) on cells that are
cut in two until it meets the function to 1e-12 or to the rounding of x. Where a cell as short as 1e-9 does not, at a
jump, it is a constant. Beyond e^300 it is what it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from bayesridge.errors import ModelFileError, PriorError

Array = NDArray[np.float64]

_ORDER = 16
_XI, _WEIGHTS = legendre.leggauss(_ORDER)
_TO_LEGENDRE = (_WEIGHTS[:, None] * legendre.legvander(_XI, _ORDER - 1)) * (np.arange(_ORDER) + 0.5)
_BETWEEN = np.concatenate([[-1.0 + 1e-9], 0.5 * (_XI[1:] + _XI[:-1]), [1.0 - 1e-9]])
_AT_BETWEEN = legendre.legvander(_BETWEEN, _ORDER - 1).T
_REACH = 300.0  # no scale of a data set is beyond e^300
_LAST_SHARE = 36.0  # log x - log(1 - x) of the last float below one is 36.7
_TOLERANCE = 1e-12
_SHORTEST = 1e-9
_MOST_CELLS = 4096


@dataclass(frozen=True, eq=False)
class StoredDensity:
    """A log density on the half line, or on (0, 1), as piecewise polynomials.

    Attributes
    ----------
    share : bool
        Whether x lies in (0, 1).
    edges : ndarray of shape (c + 1,)
        Of the cells, in log x or log x - log(1 - x).
    coefficients : ndarray of shape (c, 16)
        Of Legendre polynomials; the first is all there is where the log density is infinite.
    """

    share: bool
    edges: Array
    coefficients: Array

    @classmethod
    def of(cls, log_pdf: Callable[[Array], Array], *, share: bool) -> StoredDensity:
        """Tabulate a vectorised log density.

        Raises
        ------
        PriorError
            If it is so rough that 4096 cells do not hold it.
        """
        last = _LAST_SHARE if share else _REACH
        left, right = np.array([-_REACH]), np.array([last])
        done: list[tuple[Array, Array, Array]] = []
        while len(left):
            x = _argument(0.5 * (left + right)[:, None] + 0.5 * (right - left)[:, None] * _XI, share=share)
            between = _argument(0.5 * (left + right)[:, None] + 0.5 * (right - left)[:, None] * _BETWEEN, share=share)
            values, check = _evaluate(log_pdf, x), _evaluate(log_pdf, between)
            with np.errstate(invalid="ignore"):
                coefficients = values @ _TO_LEGENDRE
                rounding = np.abs(_evaluate(log_pdf, np.nextafter(between, np.inf)) - check)
                allowed = _TOLERANCE * (1.0 + np.abs(values).max(axis=1, keepdims=True)) + 2.0 * rounding
                meets = (np.abs(coefficients @ _AT_BETWEEN - check) <= allowed).all(axis=1)
            everything = np.concatenate([values, check], axis=1)
            flat = (np.isneginf(everything) | np.isnan(everything)).all(axis=1) & (right - left <= 1.0)
            short = right - left <= _SHORTEST
            constant = ~meets & (flat | short)
            coefficients[constant] = 0.0
            coefficients[constant, 0] = values[constant, _ORDER // 2]
            stop = meets | constant
            done.append((left[stop], right[stop], coefficients[stop]))
            a, b = left[~stop], right[~stop]
            left, right = np.concatenate([a, 0.5 * (a + b)]), np.concatenate([0.5 * (a + b), b])
            if sum(len(one[0]) for one in done) + len(left) > _MOST_CELLS:
                raise PriorError("the custom log density is too rough to be stored as numbers: 4096 polynomials do not")
        start = np.concatenate([one[0] for one in done])
        order = np.argsort(start)
        return cls(share, np.append(start[order], last), np.concatenate([one[2] for one in done])[order])

    def __call__(self, x: Array) -> Array:
        """Log density at x.

        Raises
        ------
        PriorError
            If x is no array of numbers: the function itself, which a sampler needs, is not in the file.
        """
        try:
            values = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise PriorError(
                "the custom density of this model was stored as numbers and cannot be sampled: give the function again"
            ) from error
        with np.errstate(divide="ignore"):
            u = np.log(values) - (np.log1p(-values) if self.share else 0.0)
        at = np.clip(u, self.edges[0], self.edges[-1])
        cell = np.clip(np.searchsorted(self.edges, at, side="right") - 1, 0, len(self.coefficients) - 1)
        xi = 2.0 * (at - self.edges[cell]) / (self.edges[cell + 1] - self.edges[cell]) - 1.0
        with np.errstate(invalid="ignore"):
            found = np.einsum("...k,...k->...", legendre.legvander(xi, _ORDER - 1), self.coefficients[cell])
        first = self.coefficients[cell, 0]
        return np.asarray(np.where(np.isfinite(first), found, first))

    def state(self) -> dict[str, Any]:
        """What JSON can say of it."""
        return {"share": self.share, "edges": self.edges.tolist(), "coefficients": self.coefficients.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> StoredDensity:
        """Make it of its state.

        Raises
        ------
        ModelFileError
            If parts do not fit together.
        """
        edges, coefficients = (np.array(state[name], dtype=np.float64) for name in ("edges", "coefficients"))
        cells = len(edges) - 1
        if cells < 1 or coefficients.shape != (cells, _ORDER) or not (np.diff(edges) > 0).all():
            raise ModelFileError("its custom density does not fit together")
        return cls(bool(state["share"]), edges, coefficients)


def _argument(u: Array, *, share: bool) -> Array:
    return 1.0 / (1.0 + np.exp(-u)) if share else np.exp(u)


def _evaluate(log_pdf: Callable[[Array], Array], x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(log_pdf(x.ravel()), dtype=np.float64).reshape(x.shape)
