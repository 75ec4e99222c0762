r"""A regression of an outcome that is no Gaussian number, in few coordinates.

    eta = offset + flat directions + X_s beta,     beta ~ N(0, tau^2),     lambda = 1 / tau^2

With the flat directions Z (intercept and unpenalised columns) projected out of the standardised columns,
``X_s - Z B = U diag(s) V'``, eta is ``Z gamma + (X_s - Z B) V b`` with b = V'beta, still N(0, tau^2), and
gamma flat: r = rank coordinates in the place of p, and what is left of beta, ``(I - VV') beta``, the data never see.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design, some_rows
from bayesridge.errors import ConstantColumnWarning, DataError
from bayesridge.linalg.spectrum import factor_of
from bayesridge.outcomes.family import Family

Array = NDArray[np.float64]

_JUDGED = 24


@dataclass(frozen=True, eq=False)
class Directions:
    """From coordinates theta = (gamma, b), d = q + r of them, to coefficients in the units of the data.

    Attributes
    ----------
    V : ndarray of shape (p_penalized, r)
    on_flat : ndarray of shape (u, p_penalized)
        B: least-squares coefficients of the penalised columns on the unpenalised ones.
    """

    V: Array
    on_flat: Array

    def of(self, design: Design, X: Array) -> Array:
        """Rows of X (units of the data) in these coordinates, (m, d)."""
        rows = design.standardize(X, design.penalized)
        flat = design.standardize(X, design.unpenalized)
        rows = rows if not flat.shape[1] else rows - flat @ self.on_flat
        ones = np.ones((len(X), int(design.fit_intercept)))
        return np.column_stack([ones, flat, rows @ self.V])

    def coefficients(self, design: Design, theta: Array, tau: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Coefficients (..., p) and the linear predictor at the column means (...), for theta (..., d) and tau (...).

        What the data never saw is drawn from its prior: ``beta = V b + tau (I - VV') eps``.
        """
        k, u = int(design.fit_intercept), len(design.unpenalized)
        beta = theta[..., k + u :] @ self.V.T
        if self.V.shape[1] < self.V.shape[0]:
            eps = rng.standard_normal(beta.shape)
            beta = beta + tau[..., None] * (eps - (eps @ self.V) @ self.V.T)
        coef = np.zeros((*theta.shape[:-1], design.n_columns))
        coef[..., design.penalized] = beta / design.scale[design.penalized]
        coef[..., design.unpenalized] = theta[..., k : k + u] - beta @ self.on_flat.T
        coef[..., design.unpenalized] /= design.scale[design.unpenalized]
        return coef, theta[..., 0] if k else np.zeros(theta.shape[:-1])


@dataclass(frozen=True, eq=False)
class Outcome:
    """The data of a family: rows in few coordinates, and the likelihood.

    Attributes
    ----------
    family : Family
    design : Design
        The description of the columns.
    directions : Directions
    rows : ndarray of shape (n_rows, d)
        The design in the coordinates of `directions`.
    offset : ndarray of shape (n_rows,)
    trials : ndarray of shape (n_rows,) or None
    asks : tuple of str
        Which of "offset" and "trials" were given, so that predictions ask for them too.
    """

    family: Family
    design: Design
    directions: Directions
    rows: Array
    offset: Array
    trials: Array | None
    asks: tuple[str, ...]

    @property
    def n_flat(self) -> int:
        """Flat directions q: the first coordinates."""
        return self.design.n_flat

    @property
    def rank(self) -> int:
        """Penalised directions r."""
        return int(self.rows.shape[1]) - self.n_flat

    @cached_property
    def count(self) -> Array:
        """How many observations each row stands for."""
        weights = self.design.weights
        return np.ones(self.design.n_rows) if weights is None else weights

    @property
    def log_units(self) -> float:
        """Flat priors have density one in the units of the data, and the coordinates are scaled."""
        return float(-np.log(self.design.scale[self.design.unpenalized]).sum())

    @cached_property
    def judged(self) -> NDArray[np.intp]:
        """Penalised coefficients that accuracy is judged by, spread over all."""
        p = len(self.design.penalized)
        return np.unique(np.linspace(0, p - 1, min(_JUDGED, p)).astype(int))

    @property
    def judged_rows(self) -> Array:
        """Flat and judged coefficients in the coordinates, (q + judged, d).

        What is left of a coefficient is drawn from its prior.
        """
        q = self.n_flat
        rows = np.zeros((q + len(self.judged), self.rows.shape[1]))
        rows[:q, :q], rows[q:, q:] = np.eye(q), self.directions.V[self.judged]
        return rows

    def precision(self, lam: float) -> Array:
        """Prior precision of each coordinate, (d,)."""
        return np.concatenate([np.zeros(self.n_flat), np.full(self.rank, lam / self.family.noise**2)])

    def log_density(self, eta: Array) -> Array:
        """Log p(y_i | eta_i) of one observation of each row, for eta (..., n) without the offset."""
        return self.family.log_density(eta + self.offset, self.design.y, self.trials)

    def log_likelihood(self, theta: Array) -> Array:
        """Of all observations, for theta (..., d)."""
        return self.log_likelihood_at(theta @ self.rows.T)

    def log_likelihood_at(self, eta: Array) -> Array:
        """Of all observations, for eta (..., n) without the offset."""
        return self.family.log_likelihood(eta + self.offset, self.design.y, self.trials, self.count)

    def slope(self, eta: Array) -> tuple[Array, Array]:
        """First and minus second derivatives of the weighted log densities."""
        first, second = self.family.slope(eta + self.offset, self.design.y, self.trials)
        return first * self.count, second * self.count

    def given(self, value: Array | float | None) -> Outcome:
        """The same with values of the family's further parameter."""
        return self if value is None else replace(self, family=self.family.given(value))

    def merged(self) -> Outcome:
        """The same likelihood from distinct rows, each counting for its equals, and none that counts for nothing.

        Expectation propagation has a bell for each row: so repeated rows and their weights make the same numbers.
        """
        seen = np.flatnonzero(self.count > 0)
        beside = [self.design.y, self.offset, *([] if self.trials is None else [self.trials])]
        what = np.column_stack([self.design.X, *beside])[seen]
        _, first, group = np.unique(what, axis=0, return_index=True, return_inverse=True)
        at = seen[first]
        design = replace(self.design, y=self.design.y[at], weights=np.bincount(group.ravel(), self.count[seen]))
        trials = None if self.trials is None else self.trials[at]
        return replace(self, design=design, rows=self.rows[at], offset=self.offset[at], trials=trials)

    def beside(self, y: Array) -> Outcome:
        """All rows twice, the second time with the outcomes y; scales and coordinates are kept."""
        twice = np.tile(np.arange(self.design.n_rows), 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConstantColumnWarning)  # of which the fit has told
            design = some_rows(replace(self.design, scaling="given"), twice, np.concatenate([self.design.y, y]))
        trials = None if self.trials is None else self.trials[twice]
        return replace(self, design=design, rows=self.rows[twice], offset=self.offset[twice], trials=trials)

    def without(self, row: int) -> Outcome:
        """The other rows (one observation less, where a row stands for several); scales and coordinates are kept."""
        count = self.count.copy()
        count[row] -= 1.0 if self.design.weight_kind == "frequency" else count[row]
        return replace(self, design=replace(self.design, weights=count))


def make_outcome(
    family: Family, design: Design, offset: ArrayLike | None = None, trials: ArrayLike | None = None
) -> Outcome:
    """Check an outcome and put it into coordinates.

    Parameters
    ----------
    family : Family
    design : Design
    offset, trials : array_like of shape (n_rows,), optional
        Added to the linear predictor (log exposure, for counts); numbers of trials.

    Raises
    ------
    DataError
        If y, the offset or the trials cannot be, naming rows; if the weights are precisions, which are of Gaussian
        noise.
    """
    if design.weights is not None and design.weight_kind == "precision":
        raise DataError(
            f"precision weights divide a Gaussian's noise variance, and {family.text} have none: for exposure use "
            "offset=log(exposure), for repeated rows weight_kind='frequency'"
        )
    shift = np.zeros(design.n_rows) if offset is None else _column(offset, design.n_rows, "offset")
    _refuse(~np.isfinite(shift), shift, design, "the offset must be finite (of an exposure: log of a positive number)")
    m = None
    if trials is not None:
        if not family.takes_trials:
            raise DataError(f"trials are for family='binomial', and this is {family.name}; exposure is an offset")
        m = _column(trials, design.n_rows, "trials")
        _refuse(~((m >= 1) & (m == np.rint(m)) & np.isfinite(m)), m, design, "trials must be whole numbers, 1 or more")
    wrong, expected = family.wrong(design.y, m)
    _refuse(wrong, design.y, design, expected)
    factor = factor_of(design)
    flat = factor.flat
    on_flat = np.zeros((len(design.unpenalized), factor.n_features)) if flat is None else flat.on_predictors
    V = np.array(factor.V, order="C")
    # a direction has no sign of its own: that of its first large entry, which equal ones share, so that repeated rows,
    # their weights, and other units make the same draws
    if V.size:
        large = np.abs(V) > 0.618 * np.abs(V).max(axis=0)
        V *= np.where(V[large.argmax(axis=0), np.arange(V.shape[1])] < 0.0, -1.0, 1.0)
    directions = Directions(V, on_flat)
    asks = tuple([name for name, given in (("offset", offset), ("trials", trials)) if given is not None])
    return Outcome(family, design, directions, directions.of(design, design.X), shift, m, asks)


def _column(values: ArrayLike, n: int, what: str) -> Array:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim == 0:
        return np.full(n, float(column))
    if column.shape != (n,):
        raise DataError(f"{what} must have one number a row, shape ({n},), got {column.shape}")
    return column


def _refuse(wrong: NDArray[np.bool_], values: Array, design: Design, expected: str) -> None:
    if not wrong.any():
        return
    rows = np.flatnonzero(wrong)
    shown = ", ".join([f"{values[i]:g} in row {design.input_rows[i]}" for i in rows[:5]])
    raise DataError(
        f"{design.target_name}: {expected}; {len(rows)} {'is' if len(rows) == 1 else 'are'} not: {shown}"
        + (", ..." if len(rows) > 5 else "")
    )
