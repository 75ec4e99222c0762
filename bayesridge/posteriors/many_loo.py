r"""Leave-one-out scores of many targets on the same columns, a node of lambda at a time.

Rows are deleted as in :mod:`bayesridge.linalg.deletion` and averaged as in :mod:`bayesridge.posteriors.loo`. Leverages
are those of the columns and serve all targets. With d = e^2 / m, B = Q/2 + b0 the rate of sigma^2, a its shape and w
the row's precision, at each lambda

    log p(y_i | y_-i) = c + 1/2 log(w m) - 1/2 log(2 B) + (a - 1/2) log(1 - d / 2B),

a logarithm for each row, node and target. A row that leaves next to nothing of B, or whose removal moves the posterior
of lambda to where the nodes are few, makes its target one of those that are done one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.hyper.many import Block, Targets
from bayesridge.hyper.quadrature import weights_error
from bayesridge.linalg.rows import RowParts
from bayesridge.linalg.student import log_t_constant

Array = NDArray[np.float64]

_LOST = 1e-15  # relative rounding of d / 2B
_MOST_LOST = 1e-10  # of a log density
_EDGE = 1e-8
_CLASSES = 6  # every second and every third node: what the error is judged by
_THINNED = 1e-10  # of the sum of the weights
_HIGHEST = 600.0
_NEGLIGIBLE = 1e-16  # probability of a node, before it is divided by densities


class ManyScores(NamedTuple):
    """Leave-one-out of each target.

    Attributes
    ----------
    elpd : ndarray of shape (T,)
        Sum of log p(y_i | y_-i); NaN where a target has none (it is fitted exactly).
    se : ndarray of shape (T,)
        Its standard error: sqrt(n times the variance of its terms).
    alone : ndarray of bool, shape (T,)
        Targets that were done one by one.
    """

    elpd: Array
    se: Array
    alone: NDArray[np.bool_]


def scores(
    rows: RowParts, residual: Array, targets: Targets, block: Block, some: slice
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """elpd, se and doubt of some targets of a block, (B,) each; `residual` at lambda = 0, (n, B)."""
    index, weight, error = block.index[some], block.weight[some], block.error[some]
    count, residual = rows.count[rows.count > 0], residual[rows.count > 0]
    pointwise, doubt = np.empty_like(residual), np.empty(len(index), dtype=bool)
    stride = _strides(weight)
    for step in np.unique(stride):
        of = np.flatnonzero(stride == step)
        nodes = _Nodes(index[of], block.log_lam[::step], step * weight[of, ::step], error[of])
        pointwise[:, of], doubt[of] = _pointwise(rows, residual[:, of], targets, nodes)
    elpd, n = count @ pointwise, count.sum()
    squares = count @ np.square(pointwise - elpd / n)
    return elpd, np.sqrt(n * squares / max(n - 1.0, 1.0)), doubt


class _Nodes(NamedTuple):
    """Those of some targets: their indices (B,), log lambda (K,), weights (B, K), error of the integral (B,)."""

    targets: NDArray[np.intp]
    log_lam: Array
    weight: Array
    error: Array


def _strides(weight: Array) -> NDArray[np.intp]:
    """How many of the shared nodes a target may step over: they are as close as the narrowest of all needs them."""
    stride = np.ones(len(weight), dtype=np.intp)
    for step in (2, 4, 8, 16):
        some = weight[:, ::step]
        if some.shape[1] > _CLASSES:
            total = some.sum(axis=1, keepdims=True)
            fine = (np.abs(step * total[:, 0] - 1.0) < _THINNED) & (weights_error(some / total) < _THINNED)
            stride[fine & (stride == step // 2)] = step
    return stride


def _pointwise(rows: RowParts, residual: Array, targets: Targets, nodes: _Nodes) -> tuple[Array, NDArray[np.bool_]]:
    """Log p(y_i | y_-i), (n, B), and which targets have a row that is not to be trusted, (B,)."""
    index, log_lam, weight, error = nodes
    seen = rows.count > 0
    U, rest, precision = rows.U[seen], rows.rest[seen, None], rows.precision[seen, None]
    a = targets.shape
    rate = targets.rate(index, log_lam)
    constant = log_t_constant(2.0 * a - 1.0) + 0.5 * np.log((2.0 * a - 1.0) * precision)
    U2 = np.square(U)
    nearest = np.ones_like(residual)

    def log_density(k: int, of: NDArray[np.intp]) -> Array:
        unexplained, g = targets.left(index[of], log_lam[k])
        left = U @ unexplained.T
        left += residual[:, of]
        m = rest + (U2 @ g)[:, None]
        left *= left
        left /= m * (2.0 * rate[of, k])
        np.subtract(1.0, left, out=left)
        nearest[:, of] = np.minimum(nearest[:, of], left)
        with np.errstate(divide="ignore", invalid="ignore"):  # what is not positive is rounding, and in doubt
            np.log(left, out=left)
        left *= a - 0.5
        left += constant + 0.5 * np.log(m)
        left -= 0.5 * np.log(2.0 * rate[of, k])
        return np.asarray(left)

    # sums of weight / density, relative to the density at the node that weighs most; each target has nodes of its own
    counts = weight > _NEGLIGIBLE
    first, last, mode = (
        counts.argmax(axis=1),
        counts.shape[1] - 1 - counts[:, ::-1].argmax(axis=1),
        weight.argmax(axis=1),
    )
    relative_to, ends = np.empty_like(residual), np.zeros_like(residual)
    for k in np.unique(mode):
        of = np.flatnonzero(mode == k)
        relative_to[:, of] = log_density(int(k), of)
    sums = np.zeros((_CLASSES, *residual.shape))
    for k in range(int(first.min()), int(last.max()) + 1):
        of = np.flatnonzero((first <= k) & (k <= last))
        with np.errstate(invalid="ignore"):
            term = weight[of, k] * np.exp(np.minimum(relative_to[:, of] - log_density(k, of), _HIGHEST))
        sums[k % _CLASSES][:, of] += term
        outermost = (first[of] == k) | (last[of] == k)
        ends[:, of[outermost]] = np.maximum(ends[:, of[outermost]], term[:, outermost])
    total = sums.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (sums / total).reshape(_CLASSES, -1).T
        doubtful = ~(weights_error(shares).reshape(total.shape) <= np.maximum(1e-9, error))
        doubtful |= ~(ends <= _EDGE * total) | ~(a * _LOST <= _MOST_LOST * nearest)
        found = relative_to - np.log(total)
    return found, np.asarray((doubtful | ~np.isfinite(found)).any(axis=0))
