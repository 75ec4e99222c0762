r"""What the page carries so that its script can redo the ridge fit at any lambda, exactly, in O(rank).

    b_j = s_j z_j / (s_j^2 + lambda)            coefficients along the singular directions
    quantity = unit (offset + loadings' b)      a coefficient, or the intercept, in the units of the data
    half-width = unit t scale [fixed + sum_j loadings_j^2 / (s_j^2 + lambda) + null / lambda]^(1/2)  of its interval

and s, z, r0, nu for everything else. Leave-one-out needs the rows (U, n x rank): they travel while they are few;
otherwise a Chebyshev series of the logarithm of the mean squared error does.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dct
from scipy.special import ndtri, stdtrit

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.hyper.infer import separate
from bayesridge.hyper.marginal import Marginal
from bayesridge.linalg.filters import spectral_coefficients
from bayesridge.linalg.maps import LinearMap, coefficient_map, intercept_map
from bayesridge.linalg.rows import RowParts, row_parts
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.posterior import Posterior

Array = NDArray[np.float64]

#: Numbers (8 bytes each) of U that may travel, and of the loadings of the coefficients shown.
ROW_BUDGET = 20_000
LOADING_BUDGET = 24_000
MOST_COLUMNS = 60
#: Whole steps of the slider (with fractions of log lambda, rounding could put its last step out of reach), and those
#: from its ends to lambda = 0 and infinity.
STEPS, GAP = 400, 16
#: The slider covers at least this much of log lambda (three decades).
_WIDTH = 6.9
_BLOCK = 1 << 22
_CDF_POINTS = (401, 6001)
_SERIES_TOLERANCE = 1e-12  # of the logarithm: the relative error of what travels
_FEWEST_TERMS, _MOST_TERMS = 48, 768


@dataclass(frozen=True, eq=False)
class RowErrors:
    """Mean squared errors of the rows as functions of lambda.

    Attributes
    ----------
    design, spectrum : Design, Spectrum
    rows : RowParts
    """

    design: Design
    spectrum: Spectrum
    rows: RowParts

    def log_mean_squares(self, log_lam: ArrayLike) -> Array:
        """Logarithm of the mean squared error in the sample and left out, shape (len(log_lam), 2).

        Each observation counts once, in the units of y squared (precision weights fit, they do not judge).
        """
        lam = np.exp(np.atleast_1d(np.asarray(log_lam, dtype=np.float64)))
        size = max(1, _BLOCK // max(1, self.design.n_rows))
        return np.concatenate([self._block(lam[k : k + size]) for k in range(0, len(lam), size)])

    def _block(self, lam: Array) -> Array:
        e, keep = self.rows.at(self.spectrum, lam)
        share = self.rows.count / self.rows.count.sum() / self.rows.precision
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(np.column_stack([np.square(e) @ share, np.square(e / keep) @ share]))

    def root_mean_squares_at_the_ends(self) -> Array:
        """RMSE in the sample and left out at lambda = 0 and at infinity, shape (2, 2); NaN where there is none."""
        found = np.exp(0.5 * self.log_mean_squares([-np.inf, np.inf]))
        rows, seen = self.rows, self.rows.count > 0
        if not rows.residual.any() and not rows.rest[seen].any():  # y is met exactly: the limit of 0 / 0
            share = rows.count / rows.count.sum() / rows.precision
            found[0] = 0.0, np.sqrt(np.square(rows.limit_at_zero(self.spectrum)[seen]) @ share[seen])
        elif (rows.rest[seen] < 1e-12).any():
            found[0, 1] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class SliderData:
    """Everything the slider needs.

    Attributes
    ----------
    posterior : Posterior
    low, high : float
        Range of log lambda.
    columns : ndarray of int
        Columns of the design that are shown, in their order.
    linear : LinearMap
        The columns shown, in the units of the data.
    intercept : LinearMap or None
    errors : RowErrors or None
        None where leave-one-out does not exist.
    no_loo : str
        Why not ("" if it does).
    series : tuple of Chebyshev or None
        Logarithm of the mean squared error in the sample and left out, when the rows do not travel.
    """

    posterior: Posterior
    low: float
    high: float
    columns: NDArray[np.intp]
    linear: LinearMap
    intercept: LinearMap | None
    errors: RowErrors | None
    no_loo: str
    series: tuple[Chebyshev, Chebyshev] | None

    @property
    def spectrum(self) -> Spectrum:
        """The factorisation."""
        return self.posterior.spectrum

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns shown."""
        return tuple([self.posterior.design.names[j] for j in self.columns])

    def reaches(self, lam: float) -> bool:
        """Whether a lambda lies on the slider."""
        return lam in {0.0, np.inf} or bool(lam > 0 and self.low <= np.log(lam) <= self.high)

    def along(self, log_lam: ArrayLike) -> Array:
        """Where log lambda is on the slider, 0 to 1; the ends are lambda = 0 and infinity."""
        share = (np.asarray(log_lam, dtype=np.float64) - self.low) / (self.high - self.low)
        return np.asarray((GAP + STEPS * np.clip(share, -GAP / STEPS, 1.0 + GAP / STEPS)) / (STEPS + 2 * GAP))

    def noise(self, level: float) -> dict[str, Any] | None:
        """Return what makes intervals given lambda: quantile t, and sigma^2 or its inverse-gamma prior, if any."""
        prior = separate(self.posterior.prior, self.posterior.noise_prior)[1]
        if prior.known is not None:
            return {"t": float(ndtri(0.5 + 0.5 * level)), "sigma2": prior.known**2}
        if prior.conjugate is None:
            return None
        shape, rate = 2.0 * prior.conjugate.shape, 2.0 * prior.conjugate.scale

        def student(df: float) -> dict[str, Any] | None:
            return {"t": float(stdtrit(df, 0.5 + 0.5 * level)), "df": df, "rate": rate} if df > 0 else None

        # at lambda = 0 the prior of the coefficients is flat and takes a degree of freedom for each direction
        found = student(self.spectrum.nu + shape)
        return found and found | {"least": student(self.spectrum.nu - self.spectrum.rank + shape)}

    def standardized(self, lam: ArrayLike) -> Array:
        """Ridge coefficients of the columns shown, standardised, shape (len(lam), columns)."""
        b = spectral_coefficients(self.spectrum, np.atleast_1d(lam))
        return np.asarray(self.linear.offset + b @ self.linear.loadings.T)

    def log_mean_squares(self, log_lam: ArrayLike) -> Array | None:
        """Logarithm of the mean squared errors (in the sample, left out), or None without leave-one-out."""
        if self.series is not None:
            return np.column_stack([one(np.atleast_1d(log_lam)) for one in self.series])
        return None if self.errors is None else self.errors.log_mean_squares(log_lam)


def slider_data(post: Posterior, marks: ArrayLike = ()) -> SliderData:
    """Collect what the slider needs.

    Parameters
    ----------
    post : Posterior
    marks : array_like
        Further values of lambda that the slider has to reach; 0 and infinity are passed over.
    """
    low, high = slider_range(post, marks)
    columns = shown_columns(post)
    errors, reason = _row_errors(post)
    design, spectrum = post.design, post.spectrum
    series = None
    if errors is not None and design.n_rows * spectrum.rank > ROW_BUDGET:
        series = (
            chebyshev(lambda t: errors.log_mean_squares(t)[:, 0], low, high),
            chebyshev(lambda t: errors.log_mean_squares(t)[:, 1], low, high),
        )
    return SliderData(
        post, low, high, columns, coefficient_map(design, spectrum).take(columns),
        intercept_map(design, spectrum) if design.fit_intercept else None, errors,
        reason, series,
    )  # fmt: skip


def chebyshev(function: Callable[[Array], Array], low: float, high: float) -> Chebyshev:
    r"""Interpolate a function of log lambda, with as many terms as it takes to be right to 1e-12 (at most 768).

    Errors of rows are sums of rational functions of lambda whose poles lie on the negative axis, hence analytic for
    \|Im t\| < pi. On an interval of half-width a the error of n terms falls like rho^-n with rho about 1 + pi/a
    (Trefethen, Approximation Theory and Approximation Practice, chapter 8).
    """
    middle, half, terms = 0.5 * (low + high), 0.5 * (high - low), _FEWEST_TERMS
    while True:
        # the cosine transform, as Chebyshev.interpolate loses four digits at these degrees to its recurrence
        series = np.asarray(dct(function(middle + half * np.cos(np.pi * (np.arange(terms) + 0.5) / terms)))) / terms
        series[0] *= 0.5
        made = Chebyshev(series, domain=[low, high])
        # halfway between neighbouring nodes in angle, where the error is largest, and at the ends
        between = middle + half * np.cos(np.pi * np.arange(0, terms + 1, terms // _FEWEST_TERMS) / terms)
        if np.abs(made(between) - function(between)).max() <= _SERIES_TOLERANCE or terms >= _MOST_TERMS:
            return made
        terms *= 2


def slider_range(post: Posterior, marks: ArrayLike = ()) -> tuple[float, float]:
    """Ends of the slider in log lambda: the posterior's 0.05% to 99.95%, and the marks that can be reached."""
    marginal, (low, high) = post.lambda_, post.spectrum.log_range
    floor, ceiling = low - 9.0, high + 9.0  # beyond nothing moves: every filter factor is within 1e-4 of 1, or of 0
    values = np.asarray([*marginal.quantile([0.0005, 0.9995]), *np.ravel(np.asarray(marks, dtype=np.float64))])
    values = values[np.isfinite(values) & (values > 0)]
    t = np.clip(np.log(values), floor, ceiling)
    low, high = (float(t.min()), float(t.max())) if len(t) else (floor, ceiling)
    middle = float(np.log(marginal.median))  # on the slider even where nothing moves any more
    low, high = min(low, middle), max(high, middle)
    spare = max(1.0, 0.5 * (_WIDTH - (high - low)))
    return low - spare, high + spare


def shown_columns(post: Posterior) -> NDArray[np.intp]:
    """Columns whose coefficients are shown: all, or those farthest from zero in posterior sds, in the table's order."""
    rank = max(1, post.spectrum.rank)
    return certain_columns(post, min(MOST_COLUMNS, max(10, LOADING_BUDGET // rank)))


def certain_columns(post: Posterior, most: int = MOST_COLUMNS) -> NDArray[np.intp]:
    """All columns, or the `most` (at most 40 then) whose coefficients are farthest from zero in posterior sds."""
    p = post.design.n_columns
    if p <= most:
        return np.arange(p)
    most = min(most, 40)
    mean, sd = post.coefficients.mean, post.coefficients.sd
    size = np.abs(mean) / np.where((sd > 0) & np.isfinite(sd), sd, np.inf)
    return np.sort(np.argsort(-size, kind="stable")[:most])


def _row_errors(post: Posterior) -> tuple[RowErrors | None, str]:
    try:
        rows = row_parts(post.design, post.spectrum)
    except DataError as error:
        return None, str(error)
    seen = rows.count > 0
    if (rows.rest + np.square(rows.U).sum(axis=1) <= 1e-13)[seen].any():
        return None, "a row alone determines an unpenalised coefficient, so that it cannot be left out"
    if post.design.nu < 2:
        return None, "too few degrees of freedom to leave a row out"
    weights = post.design.weights if post.design.weight_kind == "frequency" else None
    if weights is not None and (weights != np.round(weights)).any():
        return None, "frequency weights that are not whole numbers"
    return RowErrors(post.design, post.spectrum, rows), ""


# -- as JSON -------------------------------------------------------------------------------------------------------


def packed(values: ArrayLike) -> str:
    """Doubles, little-endian, row by row, in base 64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode("ascii")


def to_json(data: SliderData, level: float) -> dict[str, Any]:
    """Everything for the page's script; arrays in base 64 (:func:`packed`); `level` is of the intervals."""
    spectrum = data.spectrum
    s, z, r0 = spectrum.coordinates
    record: dict[str, Any] = {
        "low": data.low,
        "high": data.high,
        "rank": spectrum.rank,
        "s": packed(s),
        "z": packed(z),
        "r0": r0,
        "nu": spectrum.nu,
        "logDet": spectrum.log_det_flat - spectrum.sum_log_weights,
        "bestEvidence": data.posterior.evidence.best.log_evidence,
        "steps": STEPS,
        "gap": GAP,
        "coefficients": _map_json(data.linear),
        "intercept": None if data.intercept is None else _map_json(data.intercept),
        "noise": data.noise(level),
    }
    record["errors"] = _errors_json(data)
    marginal = data.posterior.lambda_
    record["below"] = packed(_below(data, marginal)) if not marginal.known else None
    record["start"] = start_lambda(data)
    return record


def _map_json(of: LinearMap) -> dict[str, str]:
    parts = {"offset": of.offset, "loadings": of.loadings, "null": of.null, "fixed": of.fixed, "unit": of.unit}
    return {name: packed(values) for name, values in parts.items()}


def _below(data: SliderData, marginal: Marginal) -> Array:
    """Distribution function on even points of the slider, close enough for linear interpolation to three digits."""
    low, high = np.log(marginal.quantile([0.025, 0.975]))
    many = int(np.clip(100.0 * (data.high - data.low) / max(high - low, 1e-9), *_CDF_POINTS))
    return marginal.cdf(np.exp(np.linspace(data.low, data.high, many)))


def start_lambda(data: SliderData) -> float:
    """Where the slider stands at first: the posterior median, or the fixed value if it can be reached."""
    return float(np.clip(data.posterior.lambda_.median, np.exp(data.low), np.exp(data.high)))


def _errors_json(data: SliderData) -> dict[str, Any] | None:
    if data.errors is None:
        return None
    found = data.errors.root_mean_squares_at_the_ends().tolist()
    ends = [[v if np.isfinite(v) else None for v in row] for row in found]
    if data.series is not None:
        both = {name: packed(one.coef) for name, one in zip(("train", "loo"), data.series, strict=True)}
        return {"kind": "series", "ends": ends, **both}
    rows = data.errors.rows
    arrays = {"U": rows.U, "residual": rows.residual, "rest": rows.rest,
              "share": rows.count / rows.count.sum() / rows.precision}  # fmt: skip
    return {"kind": "rows", "ends": ends, **{name: packed(values) for name, values in arrays.items()}}
