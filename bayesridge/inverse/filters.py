r"""Other filters on the spectrum of an inverse problem, and the rules that choose among them.

Every linear regularisation of y = A x + e keeps a share f_j of each direction's least-squares coefficient z_j / s_j::

    ridge (Tikhonov)    s^2 / (s^2 + lambda)
    truncated SVD       1 for the first k directions, 0 for the others
    Landweber           1 - (1 - s^2 / s_1^2)^k: k steps of gradient descent from zero (Landweber 1951)
    Wiener              s^2 P / (s^2 P + sigma^2), P_j the variance that the unknown is known to have along direction j

Its residual is r0 + sum (1 - f)^2 z^2 and its degrees of freedom sum f, so that rules need no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.inverse.tikhonov import LARGEST, numbers
from bayesridge.linalg.filters import (
    filter_factors,
    filtered_coefficients,
    filtered_squares,
    from_directions,
    landweber_factors,
    original_scale,
    signal_squares,
    wiener_factors,
)
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.posterior import Posterior

Array = NDArray[np.float64]
Kind = Literal["ridge", "truncated", "landweber", "wiener"]

_STEPS = 60


@dataclass(frozen=True, eq=False)
class Filtered:
    """Solutions of one kind of filter, from the most regular to the least.

    Attributes
    ----------
    design, spectrum : Design, Spectrum
    kind : str
    parameter : ndarray of shape (K,)
        lambda; the number of directions, or of steps; the noise variance.
    factors : ndarray of shape (K, rank)
    """

    design: Design
    spectrum: Spectrum
    kind: Kind
    parameter: Array
    factors: Array

    @property
    def effective_dof(self) -> Array:
        """Sum of the filter factors (unpenalised directions not counted), (K,)."""
        return np.asarray(self.factors.sum(axis=1))

    @property
    def residual_squares(self) -> Array:
        """Weighted residual sums of squares, (K,)."""
        return filtered_squares(self.spectrum, self.factors)

    @property
    def coefficients(self) -> Array:
        """The solutions x, (K, p)."""
        along = filtered_coefficients(self.spectrum, self.factors)
        return original_scale(self.design, self.spectrum, from_directions(self.spectrum, along))[0]

    def choose(self, rule: Literal["gcv", "discrepancy", "cp"], sigma: float | None = None) -> int:
        """Which solution a rule takes (its position).

        Parameters
        ----------
        rule : {"gcv", "discrepancy", "cp"}
            Least ``RSS / (nu - dof)^2`` (Golub, Heath and Wahba 1979); the most regular one whose residual is no more
            than ``sigma^2 nu`` (Morozov 1966); least ``RSS + 2 sigma^2 dof`` (Mallows 1973).
        sigma : float
            Of the noise, which "discrepancy" and "cp" need.

        Raises
        ------
        DataError
            If there is no such rule, sigma is missing, or no solution has so small a residual.
        """
        rss, dof, nu = self.residual_squares, self.effective_dof, self.spectrum.nu
        if rule == "gcv":
            left = nu - dof
            score = np.where(left > 1e-9 * nu, rss / np.maximum(left, 1e-9 * nu) ** 2, np.inf)
            return int(np.argmin(score))
        if rule not in ("discrepancy", "cp"):
            raise DataError(f"rule must be 'gcv', 'discrepancy' or 'cp', got {rule!r}")
        given = numbers(0.0 if sigma is None else sigma, "sigma")
        if given.ndim or not 0.0 < given < LARGEST:
            raise DataError(f"{rule!r} needs the standard deviation of the noise, sigma=, a positive number")
        variance = float(given) ** 2
        if rule == "cp":
            return int(np.argmin(rss + 2.0 * variance * dof))
        near = rss <= variance * nu
        if not near.any():
            raise DataError(
                f"no solution leaves a residual as small as the noise ({variance * nu:.3g}, the least is "
                f"{rss.min():.3g}): sigma is too small, or the model is not that of the data"
            )
        return int(np.argmax(near))


def filter_path(
    post: Posterior, kind: Kind, parameter: ArrayLike | None = None, *, power: ArrayLike | None = None
) -> Filtered:
    """Filter the spectrum of a posterior of one lambda in another way.

    Parameters
    ----------
    post : Posterior
        Of :func:`bayesridge.tikhonov` or :func:`bayesridge.posterior`; its penalty says what directions are.
    kind : {"ridge", "truncated", "landweber", "wiener"}
    parameter : array_like, optional
        Values of lambda, numbers of directions or steps, noise variances; by default all numbers of directions, and 60
        values over what makes a difference of the others.
    power : array_like of shape (rank,), optional
        For "wiener": prior variance along each direction, the right singular vectors in the coordinates of the penalty.
    """
    if not isinstance(post, AnyPosterior):
        raise DataError(f"filters are of a posterior with one lambda, got {type(post).__name__}: posterior_ of a fit")
    s, design = post.spectrum, post.design
    if s.rank == 0:
        raise DataError("the columns have no direction to filter")
    if (power is None) == (kind == "wiener"):
        raise DataError("power= is for kind='wiener', which needs it")
    values = _default(s, kind, power) if parameter is None else np.atleast_1d(numbers(parameter, "parameter"))
    if values.ndim != 1 or not values.size or not (np.isfinite(values) & (values >= 0)).all():
        raise DataError("parameter must be numbers that are zero or positive")
    if kind in ("truncated", "landweber"):
        values = np.sort(np.round(values))
    else:
        values = np.sort(values)[::-1]
    return Filtered(design, s, kind, values, _factors(s, kind, values, power))


def _default(s: Spectrum, kind: Kind, power: ArrayLike | None) -> Array:
    if kind == "truncated":
        return np.arange(s.rank + 1, dtype=np.float64)
    if kind == "landweber":
        most = min(1e7, 10.0 * s.condition**2)
        return np.unique(np.round(np.geomspace(1.0, max(most, 2.0), _STEPS)))
    scale = signal_squares(s, 1.0 if power is None else _checked(power, s.rank))
    scale = scale[scale > 0] if (scale > 0).any() else np.ones(1)
    return np.geomspace(1e-2 * scale.min(), 1e2 * scale.max(), _STEPS)


def _factors(s: Spectrum, kind: Kind, values: Array, power: ArrayLike | None) -> Array:
    if kind == "ridge":
        return filter_factors(s, values)
    if kind == "truncated":
        return np.asarray(np.arange(s.rank) < values[:, None], dtype=np.float64)
    if kind == "landweber":
        return landweber_factors(s, values)
    if kind == "wiener":
        return wiener_factors(s, _checked(power, s.rank), values)
    raise DataError(f"kind must be 'ridge', 'truncated', 'landweber' or 'wiener', got {kind!r}")


def _checked(power: ArrayLike | None, rank: int) -> Array:
    found = numbers(power, "power")
    if found.shape != (rank,) or not (np.isfinite(found) & (found >= 0)).all():
        raise DataError(f"power must be {rank} variances, one for each direction, got shape {found.shape}")
    return found
