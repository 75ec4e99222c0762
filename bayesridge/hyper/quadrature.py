r"""Integrals of a positive function of one variable, given by its logarithm, with an error estimate.

The trapezoidal rule on ``x = c + L sinh(u / L)`` with equal steps in u. For a function that is analytic near the real
line and decays at both ends it converges exponentially; inside the bulk ``[c - L, c + L]`` the steps in x are
nearly equal, outside they grow with the distance, so that the slow tails of heavy-tailed priors cost a dozen nodes.

The error is estimated without further evaluations: every second (every third) node makes a rule of step 2h (3h), and
as the error of step h behaves like exp(-c/h), theirs are its square root and cube root. All phases of both are looked
at, because one of them may agree by accident (and powers 1.75 and 2.5 stand for 2 and 3, to err on the safe side).
Functions that do not converge so (a prior with a jump) are integrated by adaptive Gauss-Legendre cells.

A log density of size 1e10 is rounded to 2e-6, and its exponential is no smoother than that: this rounding is a part of
the error, no grid is refined to see less than it, and the number of nodes is limited everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import expit, logit

from bayesridge.errors import ImproperPosteriorError, PriorError

Array = NDArray[np.float64]
LogFunction = Callable[[Array], Array]

_CUT = 44.0  # exp(-44) = 8e-20: what lies below it cannot be seen beside the rest
_BULK = 5.0
_LIMIT = 640.0  # exp(+-640) and its square root times anything ordinary are still floats
_MODE_CUT = 30.0
_STEP = 0.27  # in standard deviations of the narrowest mode
_STEP_OF_BULK = 0.08  # ... or in half widths of the bulk, if that is more
_MAX_STEP = 0.8
_TOLERANCE = 1e-10
#: Relative accuracy that integrals and distribution functions are to have; an AccuracyWarning says when they have not.
ASKED_ACCURACY = 1e-8
_MOST_ROUNDING = 1e-2  # of the log density: beyond it there is nothing to integrate
_PROGRESS = 0.3  # of the exponent, of what an analytic function makes
_MOST_NODES = 20_000
_MOST_CELLS = 2_048
_CELLS_OF_NOISE = 64
_MOST_NOISE = 1e-3  # of the integral: many jumps leave more
_EPS = float(np.finfo(np.float64).eps)

_ORDER = 16
_XI, _WEIGHTS = np.polynomial.legendre.leggauss(_ORDER)
#: The Gauss points, and two points just inside the ends of the cell.
_XI_AND_ENDS = np.concatenate([_XI, [-1.0 + 1e-9, 1.0 - 1e-9]])
_AT_ENDS = np.polynomial.legendre.legvander(np.array([-1.0, 1.0]), _ORDER - 1).T
#: Values at the Gauss points -> Legendre coefficients.
TO_LEGENDRE = (_WEIGHTS[:, None] * np.polynomial.legendre.legvander(_XI, _ORDER - 1)) * (np.arange(_ORDER) + 0.5)


@dataclass(frozen=True, eq=False)
class Stretch:
    """The map ``x = center + width sinh(u / width)`` and the equally spaced u of a trapezoidal rule."""

    center: float
    width: float
    start: float
    step: float
    count: int

    def nodes(self) -> tuple[Array, Array]:
        """Return x and log |dx/du|."""
        v = (self.start + self.step * np.arange(self.count)) / self.width
        return self.center + self.width * np.sinh(v), np.log(np.cosh(v))


@dataclass(frozen=True, eq=False)
class LineRule:
    """Nodes and weights adapted to one positive function f.

    Attributes
    ----------
    x : ndarray of shape (k,)
        Nodes, increasing.
    log_f : ndarray of shape (k,)
        Logarithm of the function there.
    log_weight : ndarray of shape (k,)
        Log of each node's share of the integral.
    log_total : float
        Log of the integral.
    error : float
        Estimated relative error of the integral, rounding included.
    rounding : float
        Of the log density where it is highest.
    stretch : Stretch or None
        The trapezoidal grid, None for Gauss-Legendre cells.
    edges : ndarray or None
        The cells' edges.
    """

    x: Array
    log_f: Array
    log_weight: Array
    log_total: float
    error: float
    rounding: float
    stretch: Stretch | None
    edges: Array | None = None

    @property
    def weight(self) -> Array:
        """Shares of the integral, summing to one: a log density of size 100 alone would leave 1e-14 of every mean."""
        share = np.exp(self.log_weight)
        return np.asarray(share / share.sum())

    @property
    def ends(self) -> tuple[float, float]:
        """Where the function ends, or is negligible beyond."""
        line = self.x if self.edges is None else self.edges
        return float(line[0]), float(line[-1])

    def gauss(self, count: int) -> tuple[Array, Array]:
        """Gauss rule of the rule's own measure: `count` nodes and weights, for functions smooth in filter factors.

        In u = 1 / (1 + exp((x - mode) / 2)), which is what lambda does to a singular value, everything that depends on
        log lambda is nearly a polynomial however long the tails; the rule is that of the Jacobi matrix which Lanczos
        steps make from the nodes and weights (Golub and Welsch 1969).
        """
        mode = self.x[int(np.argmax(self.log_f))]
        u = expit(0.5 * (mode - self.x))
        basis = [np.sqrt(self.weight)]
        diagonal, beside = np.zeros(count), np.zeros(count - 1)
        for k in range(count):
            rest = u * basis[-1]
            diagonal[k] = rest @ basis[-1]
            for _ in range(2):  # orthogonal to rounding
                rest = rest - np.array(basis).T @ (np.array(basis) @ rest)
            if k < count - 1:
                beside[k] = np.linalg.norm(rest)
                basis.append(rest / beside[k])
        value, vector = eigh_tridiagonal(diagonal, beside)
        x = mode - 2.0 * logit(np.clip(value, u.min(), u.max()))
        return x[::-1], np.square(vector[0, ::-1])


def integrate(log_f: LogFunction, scan: Array, what: str, noise: float = 0.0) -> LineRule:
    """Integrate exp(log_f) over the real line.

    Parameters
    ----------
    log_f : callable
        Vectorised; -inf where the function is zero.
    scan : ndarray
        Increasing points that see every feature of the function (about one per unit of its natural width);
        ends are extended and narrow modes zoomed into.
    what : str
        The variable's name in error messages.
    noise : float
        Error of log_f where it is an integral itself: cells are not cut to follow it.

    Raises
    ------
    ImproperPosteriorError
        If the function does not fall off at an end.
    PriorError
        If it is NaN, or zero everywhere, or so small that its logarithm has no digits after the point.
    """
    x, f = _extend(log_f, scan, what)
    x, f, sd = _zoom(log_f, x, f, what)
    rounding = _rounding(float(f.max()))
    if rounding > _MOST_ROUNDING:
        raise PriorError(
            f"prior and data are too far apart for float64: the log density of {what} is {float(f.max()):.1e} at its "
            f"highest, {-np.log10(rounding):.0f} digits after the point are left of it; use a prior nearer to the data"
        )
    stretch = _layout(x, f, sd)
    for _ in range(8):
        points, log_jacobian = stretch.nodes()
        values = log_f(points)
        top = values.max()
        # convex tails are cut too early by the chord that found them: look at the ends and widen
        grow = (values[0] > top - 0.75 * _CUT, values[-1] > top - 0.75 * _CUT)
        if not any(grow):
            break
        extra = max(4, stretch.count // 4)
        stretch = Stretch(
            stretch.center, stretch.width, stretch.start - extra * stretch.step * grow[0], stretch.step,
            stretch.count + extra * sum(grow),
        )  # fmt: skip
    least = 1.0  # of log(error)
    for _ in range(8):
        if _has_jump(values) or noise > _TOLERANCE:
            break  # the estimate below may be small by accident
        rule = _trapezoid(points, values, log_jacobian, stretch)
        error = rule.error - rule.rounding
        if error <= _TOLERANCE:
            return rule
        # the error falls like exp(-c / step): take the step that should do, but neither too bold nor too timid
        factor = float(np.clip(np.log(error) / np.log(0.1 * _TOLERANCE), 0.5, 0.85))
        stretch = _resized(stretch, factor)
        if stretch.count > _MOST_NODES or np.log(error) > least:
            break
        # where it falls so no more, there is a kink (or noise), and a power of the step: cells find it, steps do not
        least = float(np.log(error)) * (1.0 + _PROGRESS * (1.0 / factor - 1.0)) if error < 1.0 else 1.0
        points, log_jacobian = stretch.nodes()
        values = log_f(points)
    return _cells(log_f, points, values, noise)


def refine(rule: LineRule, log_f: LogFunction) -> LineRule:
    """Return the same rule with twice the nodes (the rule itself, once it has too many)."""
    if len(rule.x) > _MOST_NODES:
        return rule
    if rule.stretch is not None:
        stretch = _resized(rule.stretch, 0.5)
        points, log_jacobian = stretch.nodes()
        return _trapezoid(points, log_f(points), log_jacobian, stretch)
    assert rule.edges is not None
    middle = 0.5 * (rule.edges[1:] + rule.edges[:-1])
    return _gauss_rule(log_f, np.sort(np.concatenate([rule.edges, middle])), rule.error)


def weights_error(weights: Array) -> Array:
    """Estimate the relative error of trapezoidal sums from their weights alone (rows that sum to one).

    The same estimate as that of :class:`LineRule`, for many sums at once.
    """
    second = np.abs(2.0 * weights[:, ::2].sum(axis=1) - 1.0)
    third = np.max([np.abs(3.0 * weights[:, k::3].sum(axis=1) - 1.0) for k in range(3)], axis=0)
    return np.asarray(np.maximum(second**1.75, third**2.5))


def _has_jump(values: Array) -> bool:
    """Whether the function is zero beside a value that counts."""
    if values.min() > -np.inf:
        return False
    zero = np.isneginf(values)
    counts = values > values.max() - _MODE_CUT
    return bool((zero[1:] & counts[:-1]).any() or (zero[:-1] & counts[1:]).any())


def _rounding(top: float) -> float:
    """Error of a log density whose terms, of one sign, add up to `top`."""
    return _EPS * (4.0 + abs(top))


def _check(values: Array, x: Array, what: str) -> Array:
    if np.isnan(values.max()):
        raise PriorError(
            f"the log density is NaN at {what} = {x[np.isnan(values)][0]:.4g}; it must be a number or -inf"
        )
    return values


def _extend(log_f: LogFunction, scan: Array, what: str) -> tuple[Array, Array]:
    x, f = scan, _check(log_f(scan), scan, what)
    top = float(f.max())
    if not np.isfinite(top):
        raise PriorError(
            f"the posterior density of {what} is zero or infinite at every point looked at, {x[0]:.3g} to {x[-1]:.3g}; "
            "a prior whose support is narrower than half a unit of its logarithm cannot be found: fix the value instead"
        )
    if max(f[0], f[-1]) <= top - _CUT:
        return x, f
    for side in (-1, 0):
        outward = 1.0 if side == -1 else -1.0
        reach = 16.0
        while f[side] > f.max() - _CUT and abs(x[side]) < _LIMIT:
            more = np.clip(x[side] + outward * reach * np.linspace(0.125, 1.0, 8), -_LIMIT, _LIMIT)
            more = np.sort(more[more != x[side]])
            values = _check(log_f(more), more, what)
            x = np.concatenate([x, more] if side == -1 else [more, x])
            f = np.concatenate([f, values] if side == -1 else [values, f])
            x, keep = np.unique(x, return_index=True)
            f = f[keep]
            reach *= 2.0
        if f[side] > f.max() - _CUT:
            inner = -9 if side == -1 else 8
            rate = outward * (f[inner] - f[side]) / (x[side] - x[inner])
            raise ImproperPosteriorError(
                f"the posterior does not fall off as {what} -> {'+' if side == -1 else '-'}infinity (it loses "
                f"{max(rate, 0.0):.1e} nats per unit there), so it cannot be normalised; use a proper prior "
                "whose density decays in that direction, such as BetaR2(0.5, 0.5)"
            )
    return x, f


def _peaks(x: Array, f: Array) -> list[tuple[int, float]]:
    """Find the local maxima that matter: index, and standard deviation of the parabola through three points."""
    inner = f[1:-1]
    found = ((inner >= f[:-2]) & (inner >= f[2:]) & (inner > f.max() - _MODE_CUT)).nonzero()[0] + 1
    # without one, the maximum sits next to a zero of the density
    indices = found.tolist() or [min(max(int(f.argmax()), 1), len(f) - 2)]
    return [(i, _parabola_sd(x[i - 1 : i + 2].tolist(), f[i - 1 : i + 2].tolist())) for i in indices]


def _parabola_sd(x: list[float], f: list[float]) -> float:
    left, right = x[1] - x[0], x[2] - x[1]
    bend = 2.0 * ((f[1] - f[0]) / left - (f[2] - f[1]) / right) / (left + right)
    if not bend < np.inf:  # a neighbour where the density is zero: as narrow as can be
        return 0.0
    return float(max(bend, 1.0 / (4.0 * max(left, right)) ** 2) ** -0.5)  # three equal values are no parabola


def _zoom(log_f: LogFunction, x: Array, f: Array, what: str) -> tuple[Array, Array, float]:
    """Add points around the peaks until each is resolved; return the narrowest one's standard deviation too."""
    for _ in range(20):
        peaks = _peaks(x, f)
        coarse = [i for i, sd in peaks if _spacing(x, i) > max(1.6 * min(sd, 4.0), 1e-9 * (1.0 + abs(float(x[i]))))]
        if not coarse or len(x) > _MOST_NODES:
            break
        fractions = np.arange(1, 9) / 9.0
        pieces = [x[k] + fractions * (x[k + 1] - x[k]) for i in coarse for k in (i - 1, i)]
        more = np.setdiff1d(np.concatenate(pieces), x)
        values = _check(log_f(more), more, what)
        x, f = np.concatenate([x, more]), np.concatenate([f, values])
        order = np.argsort(x)
        x, f = x[order], f[order]
    return x, f, min([sd for _, sd in peaks if sd > 0], default=0.1)


def around_peaks(log_f: LogFunction, x: Array, what: str) -> tuple[float, float]:
    """Ends of what counts of a function, zoomed into from points that may lie far from it."""
    x, f, _ = _zoom(log_f, x, _check(log_f(x), x, what), what)
    return _crossings(x, f, float(f.max()) - _CUT)


def _spacing(x: Array, i: int) -> float:
    return float(max(x[i] - x[i - 1], x[i + 1] - x[i]))


def _crossings(x: Array, f: Array, level: float) -> tuple[float, float]:
    inside = (f > level).nonzero()[0]
    return _crossing(x, f, level, int(inside[0]), -1), _crossing(x, f, level, int(inside[-1]), 1)


def _crossing(x: Array, f: Array, level: float, k: int, side: int) -> float:
    if not 0 <= k + side < len(x):
        return float(x[k])
    fall = float(f[k] - f[k + side])
    share = min(1.0, 1.25 * (float(f[k]) - level) / fall) if fall < np.inf else 1.0
    return float(x[k] + share * (x[k + side] - x[k]))


def _layout(x: Array, f: Array, sd: float) -> Stretch:
    top = float(f.max())
    low, high = _crossings(x, f, top - _CUT)
    bulk_low, bulk_high = _crossings(x, f, top - _BULK)
    center = 0.5 * (bulk_low + bulk_high)
    width = max(0.5 * (bulk_high - bulk_low), 3.0 * sd)
    step = min(max(_STEP * sd, _STEP_OF_BULK * 0.5 * (bulk_high - bulk_low)), _MAX_STEP)
    u_low, u_high = width * np.arcsinh((low - center) / width), width * np.arcsinh((high - center) / width)
    count = max(12, int(np.ceil((u_high - u_low) / step))) + 1
    return Stretch(center, width, float(u_low), float((u_high - u_low) / (count - 1)), count)


def _trapezoid(points: Array, values: Array, log_jacobian: Array, stretch: Stretch) -> LineRule:
    terms = values + log_jacobian
    top = terms.max()
    share = np.exp(terms - top)
    total = float(share.sum())
    log_sum = top + np.log(total)
    second = abs(2.0 * float(share[::2].sum()) / total - 1.0)
    thirds = [float(share[0::3].sum()), float(share[1::3].sum())]
    thirds.append(total - sum(thirds))
    third = max([abs(3.0 * part / total - 1.0) for part in thirds])
    rounding = _rounding(float(values.max()))
    error = max(second**1.75, third**2.5) + rounding
    log_total = float(log_sum + np.log(stretch.step))
    # ends may fall like exp(-exp(x)), and nodes without weight may have numbers that leave float64
    seen = share.nonzero()[0]
    part = slice(seen[0], seen[-1] + 1)
    return LineRule(points[part], values[part], terms[part] - log_sum, log_total, error, rounding, stretch)


def _resized(stretch: Stretch, factor: float) -> Stretch:
    count = int(np.ceil((stretch.count - 1) / factor)) + 1
    step = stretch.step * (stretch.count - 1) / (count - 1)
    return Stretch(stretch.center, stretch.width, stretch.start, step, count)


# -- adaptive cells ------------------------------------------------------------------------------------------------


def adaptive_cells(log_f: LogFunction, edges: Array, tolerance: float = 1e-13) -> tuple[Array, Array, float]:
    """Cut an interval until f is a polynomial of degree 15 on every cell, or there are too many cells.

    Halves of an analytic function's cells leave 1e-5 of what their wholes left, those of a jump a half. Where more and
    more cells leave little, and most of what was left before, it is noise, and no cut finds its end.

    Parameters
    ----------
    log_f : callable
    edges : ndarray of shape (c + 1,)
        First guess of the cells.
    tolerance : float
        Of the last Legendre coefficients, relative to the whole integral; not less than the rounding of log f. What
        the rounding of x does to a function much narrower than x is added.

    Returns
    -------
    edges : ndarray of shape (m + 1,)
    log_values : ndarray of shape (m, 16)
        log f at the Gauss-Legendre points of each cell.
    error : float
        Estimated relative error of the integral in cells that could not be cut further.
    """
    # log f falls by some 2 * 44 from the middle to the ends
    tolerance += 88.0 * _EPS * float(np.abs(edges[[0, -1]]).max() / (edges[-1] - edges[0]))
    unresolved = 0.0
    starts, stops = edges[:-1], edges[1:]
    done: list[tuple[Array, Array, Array]] = []
    peak, mass, count = -np.inf, 0.0, len(starts)
    shortest = 1e-13 * float(edges[-1] - edges[0])
    before, spreading = (len(starts), np.inf), 0
    for _ in range(60):
        half = 0.5 * (stops - starts)
        x = 0.5 * (starts + stops)[:, None] + half[:, None] * _XI_AND_ENDS
        everywhere = log_f(x.ravel()).reshape(x.shape)
        values, at_ends = everywhere[:, :_ORDER], everywhere[:, _ORDER:]
        new_peak = max(peak, float(everywhere.max()))
        mass = mass * np.exp(peak - new_peak) if np.isfinite(peak) else 0.0
        peak = new_peak
        shares = np.exp(values - peak)
        coefficients = shares @ TO_LEGENDRE
        cell_mass = 2.0 * half * coefficients[:, 0]
        tail = half * np.abs(coefficients[:, -3:]).sum(axis=1)
        total = mass + float(cell_mass.sum())
        # a jump between the last Gauss point and the end of the cell shows only at the end
        gap = half * np.abs(np.exp(at_ends - peak) - coefficients @ _AT_ENDS).max(axis=1)
        fine = ((tail <= tolerance * total) & (gap <= 1e3 * tolerance * total)) | (half < shortest)
        rough = int(np.count_nonzero(~fine))
        left = float(np.maximum(tail, gap)[~fine].sum()) / total if rough else 0.0  # the total may be zero, too
        count += 2 * rough
        spreading = spreading + 1 if rough > 1.5 * before[0] and 0.6 * before[1] < left < _MOST_NOISE else 0
        before = rough, left
        if count > _MOST_CELLS or spreading == 2:
            unresolved = left
            fine[:] = True
        done.append((starts[fine], stops[fine], values[fine]))
        mass += float(cell_mass[fine].sum())
        if fine.all():
            break
        a, b = starts[~fine], stops[~fine]
        middle = 0.5 * (a + b)
        starts, stops = np.concatenate([a, middle]), np.concatenate([middle, b])
    a = np.concatenate([cell[0] for cell in done])
    order = np.argsort(a)
    b = np.concatenate([cell[1] for cell in done])[order]
    return np.append(a[order], b[-1]), np.concatenate([cell[2] for cell in done])[order], unresolved


def _cells(log_f: LogFunction, points: Array, values: Array, noise: float) -> LineRule:
    keep = np.flatnonzero(values > values.max() - _CUT)
    low = _boundary(log_f, points, values, int(keep[0]), -1)
    high = _boundary(log_f, points, values, int(keep[-1]), 1)
    rounding = _rounding(float(values.max())) + noise
    tolerance = 1e-12 + rounding
    edges, _, unresolved = adaptive_cells(log_f, np.linspace(low, high, 17), tolerance)
    if unresolved > 0.0:  # log f is rougher than its size says: cells that follow it only make more of every mixture
        while len(edges) > _CELLS_OF_NOISE and tolerance < _MOST_ROUNDING:
            tolerance *= 16.0
            edges, _, unresolved = adaptive_cells(log_f, np.linspace(low, high, 17), tolerance)
        unresolved += tolerance
    coarse = _gauss_rule(log_f, edges, 0.0)
    fine = _gauss_rule(log_f, np.sort(np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1])])), 0.0)
    error = abs(float(np.expm1(fine.log_total - coarse.log_total))) + unresolved + rounding
    return replace(coarse, error=error, rounding=rounding)


def _boundary(log_f: LogFunction, points: Array, values: Array, last: int, side: int) -> float:
    """Return where the function ends: the next point, or, if it is zero there, the jump found by bisection."""
    outer = last + side
    if not 0 <= outer < len(points):
        return float(points[last])
    inside, outside = float(points[last]), float(points[outer])
    if np.isfinite(values[outer]):
        return outside
    for _ in range(64):
        if abs(outside - inside) <= 4.0 * _EPS * max(abs(inside), abs(outside)):
            break
        middle = 0.5 * (inside + outside)
        if np.isfinite(log_f(np.array([middle]))[0]):
            inside = middle
        else:
            outside = middle
    return inside


def gauss_points(edges: Array) -> tuple[Array, Array]:
    """Return the Gauss-Legendre points of all cells and the logarithms of their weights."""
    half = 0.5 * np.diff(edges)
    x = (0.5 * (edges[1:] + edges[:-1])[:, None] + half[:, None] * _XI).ravel()
    with np.errstate(divide="ignore"):
        return x, np.log((half[:, None] * _WEIGHTS).ravel())


def _gauss_rule(log_f: LogFunction, edges: Array, error: float) -> LineRule:
    x, log_width = gauss_points(edges)
    values = log_f(x)
    terms = values + log_width
    top = terms.max()
    log_total = float(top + np.log(np.exp(terms - top).sum()))
    return LineRule(x, values, terms - log_total, log_total, error, _rounding(float(values.max())), None, edges)
