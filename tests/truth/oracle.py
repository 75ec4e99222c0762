"""Dense reference computations: nothing here shares a formula, a decomposition or a quadrature with the package.

The likelihood is a Gaussian of the rows. With Z the flat columns (intercept and unpenalised, units of the data), A an
orthonormal basis of the complement of Z, X the penalised columns over their divisors and W the precisions,

    integral of N(y; Z g, S) dg  =  N(A'y; 0, A' S A) / sqrt(det Z'Z),      S = sigma^2 (W^-1 + X X' / lambda).

Frequency weights are rows repeated. Hyperparameters are integrated by Gauss-Legendre panels over a plane (a, log sigma)
where ``a`` is whatever the prior is stated in (log lambda, log of tau/sigma, log tau, logit of R^2); lambda follows.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg
from scipy.special import betaln, ndtr


@dataclass(frozen=True, eq=False)
class Dense:
    """Rows as independent observations: Z (n x q), X (n x k, divided by their scales), y, precision w."""

    Z: np.ndarray
    X: np.ndarray
    y: np.ndarray
    w: np.ndarray
    scale: np.ndarray
    pen: np.ndarray
    flat: np.ndarray
    intercept: bool
    n_columns: int
    signal: float

    @property
    def nu(self):
        return len(self.y) - self.Z.shape[1]

    @cached_property
    def basis(self):
        return linalg.null_space(self.Z.T) if self.Z.shape[1] else np.eye(len(self.y))

    @cached_property
    def projected(self):
        A = self.basis
        noise = A.T @ (A / self.w[:, None])
        X = A.T @ self.X
        return noise, X @ X.T, X, A.T @ self.y

    @cached_property
    def half_log_det_flat(self):
        return 0.5 * np.linalg.slogdet(self.Z.T @ self.Z)[1] if self.Z.shape[1] else 0.0

    def log_evidence(self, lam, sigma):
        """log p(y | lambda, sigma) by a Cholesky factor of the dense covariance."""
        noise, kernel, _, y = self.projected
        L = np.linalg.cholesky(sigma**2 * (noise + kernel / lam))
        r = linalg.solve_triangular(L, y, lower=True)
        return -0.5 * len(y) * np.log(2 * np.pi) - np.log(np.diag(L)).sum() - 0.5 * r @ r - self.half_log_det_flat

    @cached_property
    def pencil(self):
        """Eigenvalues of the kernel against the noise, and y in their basis: the same density at O(n) a point."""
        noise, kernel, _, y = self.projected
        values, vectors = linalg.eigh(kernel, noise)
        values = np.where(values > 1e-13 * max(values.max(), 1e-300), values, 0.0)
        return values, np.square(vectors.T @ y), np.linalg.slogdet(noise)[1]

    def log_evidence_grid(self, log_lam, log_sigma):
        """log p(y | lambda, sigma) at many points."""
        values, squares, log_det_noise = self.pencil
        different, which = np.unique(log_lam, return_inverse=True)  # a panel of (log lambda, v) repeats its own
        ratio = 1.0 + np.multiply.outer(np.exp(-different), values)
        half_log_det, Q = (0.5 * np.log(ratio).sum(axis=-1))[which], (squares / ratio).sum(axis=-1)[which]
        with np.errstate(over="ignore"):
            return (
                -0.5 * self.nu * np.log(2 * np.pi) - self.half_log_det_flat - 0.5 * log_det_noise
                - half_log_det - self.nu * log_sigma - 0.5 * Q * np.exp(-2.0 * log_sigma)
            )  # fmt: skip

    def conditional(self, lam):
        """Mean and covariance / sigma^2 of (intercept, all columns), units of the data, given lambda > 0.

        An array of lambdas gives a stack of them.
        """
        B, rows, target, null, ZZ, L = self._regression
        lam = np.asarray(lam, float)[..., None, None]
        stack, k = lam.shape[:-2], B.shape[1]
        Q, R = np.linalg.qr(np.concatenate([_repeated(rows, stack), np.sqrt(lam) * np.eye(k)], axis=-2))
        root = B @ np.linalg.inv(R)
        mean_x = (root @ (Q[..., : len(target), :].mT @ target)[..., None])[..., 0]
        cov_x = root @ root.mT + null / lam
        LX = L @ self.X
        cross = -LX @ cov_x
        mean = np.concatenate([L @ self.y - mean_x @ LX.T, mean_x], axis=-1)
        upper = np.concatenate([ZZ - cross @ LX.T, cross], axis=-1)
        return self._ordered(mean, np.concatenate([upper, np.concatenate([cross.mT, cov_x], axis=-1)], axis=-2))

    @cached_property
    def _regression(self):
        """Rows whitened in the complement of Z, a basis of what they span, and Z's own least squares."""
        noise, _, X, y = self.projected
        half = np.linalg.inv(np.linalg.cholesky(noise))
        k = self.X.shape[1]
        B = linalg.orth(X.T, rcond=1e-12)
        B, null = (np.eye(k), np.zeros((k, k))) if B.shape[1] == k else (B, np.eye(k) - B @ B.T)
        ZW = (self.Z * self.w[:, None]).T
        ZZ = np.linalg.inv(ZW @ self.Z) if self.Z.shape[1] else np.zeros((0, 0))
        return B, half @ X @ B, half @ y, null, ZZ, ZZ @ ZW

    def _ordered(self, mean, cov):
        m = 1 + self.n_columns
        q = self.Z.shape[1]
        place = np.r_[([0] if self.intercept else []), 1 + self.flat, 1 + self.pen].astype(int)
        unit = np.r_[np.ones(q), 1.0 / self.scale]
        stack = mean.shape[:-1]
        full_mean, full_cov = np.zeros((*stack, m)), np.zeros((*stack, m, m))
        full_mean[..., place] = mean * unit
        full_cov[..., place[:, None], place] = cov * np.outer(unit, unit)
        return full_mean, full_cov


def _repeated(matrix, stack):
    return np.broadcast_to(matrix, (*stack, *matrix.shape))


def dense(X, y, weights=None, weight_kind="frequency", unpenalized=(), fit_intercept=True, scale=True):
    """Spell a problem out row by row."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    if weights is None:
        weights = np.ones(len(y))
    weights = np.asarray(weights, float)
    if weight_kind == "frequency":
        index = np.repeat(np.arange(len(y)), weights.astype(int))
        X, y, w = X[index], y[index], np.ones(len(index))
    else:
        kept = weights > 0
        X, y, w = X[kept], y[kept], weights[kept]
    p = X.shape[1]
    flat = np.array(sorted(unpenalized), dtype=int)
    pen = np.array([j for j in range(p) if j not in set(flat)], dtype=int)
    Z = np.hstack([np.ones((len(y), int(fit_intercept))), X[:, flat]])
    rows = X[:, pen]
    centre = np.average(rows, axis=0, weights=w) if fit_intercept else np.zeros(len(pen))
    squares = (w[:, None] * (rows - centre) ** 2).sum(axis=0)
    if isinstance(scale, bool):
        divisor = np.sqrt(squares / w.sum()) if scale else np.ones(len(pen))
    else:
        divisor = np.asarray(scale, float)[pen]
    # centring changes nothing where the intercept is flat, and keeps digits
    offset = centre
    Xs = (rows - offset) / divisor
    problem = Dense(Z, Xs, y, w, divisor, pen, flat, fit_intercept, p, float((squares / divisor**2).sum() / len(y)))
    return _Shifted(problem, offset) if fit_intercept else problem


class _Shifted:
    """Columns were centred: put the intercept back where every column is zero."""

    def __init__(self, problem, offset):
        self._problem, self.offset = problem, offset

    def __getattr__(self, name):
        return getattr(self._problem, name)

    def conditional(self, lam):
        mean, cov = self._problem.conditional(lam)
        T = np.eye(mean.shape[-1])
        T[0, 1 + self._problem.pen] = -self.offset
        return mean @ T.T, T @ cov @ T.T


# -- the plane of hyperparameters ----------------------------------------------------------------------------------

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


def log_lambda_of(a, v):
    """a = log lambda."""
    return a + 0.0 * v


def ratio_of(a, v):
    """a = log(tau / sigma)."""
    return -2.0 * a + 0.0 * v


def tau_of(a, v):
    """a = log tau."""
    return 2.0 * (v - a)


@dataclass(frozen=True, eq=False)
class Points:
    """Weighted points of the posterior: log lambda, log sigma and log of (weight x density)."""

    log_lam: np.ndarray
    log_sigma: np.ndarray
    log_mass: np.ndarray

    @cached_property
    def log_total(self):
        top = self.log_mass.max()
        return float(top + np.log(np.exp(self.log_mass - top).sum()))

    @cached_property
    def weight(self):
        return np.exp(self.log_mass - self.log_total)

    @property
    def lam(self):
        return np.exp(self.log_lam)

    @property
    def sigma(self):
        return np.exp(self.log_sigma)

    @property
    def tau(self):
        return np.exp(self.log_sigma - 0.5 * self.log_lam)

    def expect(self, values):
        return np.tensordot(self.weight, values, axes=(0, 0))


def _edges(low, high, width, breaks, below):
    inner = np.arange(low, high + 0.5 * width, width)
    edges = np.unique(np.concatenate([inner, np.asarray(breaks, float)]))
    if below is not None:
        edges = np.append(edges[edges < below], below)
    return edges


def plane(
    problem, log_prior, lambda_of=log_lambda_of, *, breaks=(), below_a=None, below_v=None,
    a_range=(-70.0, 70.0), v_range=(-45.0, 45.0), a_width=0.5, v_width=0.25, floor=52.0,
):  # fmt: skip
    """Integrate ``exp(log_prior(a, v) + log p(y | lambda(a, v), exp(v)))`` over the plane (a, v), v = log sigma.

    Panels whose corners and centre all lie `floor` nats below the top are left out. ``below_a`` (``below_v``) cuts the
    plane off above that value, which is how distribution functions are made.
    """
    v_centre = 0.25 * np.round(4.0 * np.log(problem.y.std() + 1e-300))
    a_edges = _edges(*a_range, a_width, breaks, below_a)
    v_edges = _edges(v_centre + v_range[0], v_centre + v_range[1], v_width, (), below_v)

    def log_f(a, v):
        prior = log_prior(a, v)
        value = np.full(np.shape(prior), -np.inf)
        seen = np.isfinite(prior)
        t = lambda_of(a, v)
        value[seen] = prior[seen] + problem.log_evidence_grid(t[seen], v[seen])
        return value

    a_mid = 0.5 * (a_edges[1:] + a_edges[:-1])
    v_mid = 0.5 * (v_edges[1:] + v_edges[:-1])
    coarse = np.concatenate([log_f(*np.meshgrid(part, v_mid, indexing="ij")) for part in np.array_split(a_mid, 8)])
    # neighbours are kept too: a panel's corner is its neighbour's
    keep = coarse > coarse.max() - floor
    grown = keep.copy()
    grown[1:] |= keep[:-1]
    grown[:-1] |= keep[1:]
    grown[:, 1:] |= keep[:, :-1]
    grown[:, :-1] |= keep[:, 1:]
    i, j = np.nonzero(grown)
    half_a, half_v = 0.5 * np.diff(a_edges)[i], 0.5 * np.diff(v_edges)[j]
    a = (a_mid[i, None, None] + half_a[:, None, None] * _NODES[:, None]) + 0.0 * _NODES
    v = (v_mid[j, None, None] + half_v[:, None, None] * _NODES) + 0.0 * _NODES[:, None]
    log_w = np.log(half_a * half_v)[:, None, None] + np.log(np.multiply.outer(_WEIGHTS, _WEIGHTS))
    a, v, log_w = a.ravel(), v.ravel(), log_w.ravel()
    size = max(1, 2_000_000 // max(1, problem.nu))
    values = np.concatenate([log_f(a[k : k + size], v[k : k + size]) for k in range(0, len(a), size)])
    mass = values + log_w
    seen = mass > mass.max() - floor + 4.0
    return Points(lambda_of(a, v)[seen], v[seen], mass[seen])


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Conditional means and covariances of (intercept, columns) at the points of a plane."""

    mean: np.ndarray
    cov: np.ndarray
    which: np.ndarray
    points: Points

    def functional(self, rows):
        """Conditional mean and variance / sigma^2 of ``rows @ (intercept, columns)`` at every point, (points, m)."""
        m, c = self._at_lambda(rows)
        return m[self.which], c[self.which]

    def _at_lambda(self, rows):
        return self.mean @ rows.T, ((rows @ self.cov) * rows).sum(axis=-1)

    @cached_property
    def _weights(self):
        """The mass at each lambda, and that mass times sigma^2."""
        mass, sizes = self.points.weight, len(self.mean)
        return tuple(np.bincount(self.which, weights=w, minlength=sizes) for w in (mass, mass * self.points.sigma**2))

    def moments(self, rows, noise=0.0):
        m, c = self._at_lambda(rows)
        w_lam, w_var = self._weights
        centre = w_lam @ m
        return centre, w_lam @ (m - centre) ** 2 + w_var @ (c + noise)

    def covariance(self):
        w_lam, w_var = self._weights
        centre = w_lam @ self.mean
        spread = (self.mean - centre) * np.sqrt(w_lam)[:, None]
        return spread.T @ spread + np.tensordot(w_var, self.cov, axes=(0, 0))

    def cdf(self, rows, x, noise=0.0):
        m, c = self.functional(rows)
        seen = self.points.weight > 1e-19
        z = ((x - m) / np.sqrt(c + noise))[seen] / self.points.sigma[seen, None]
        return self.points.weight[seen] @ ndtr(z)

    def log_pdf(self, rows, x, noise=0.0):
        m, c = self.functional(rows)
        s = np.sqrt(c + noise) * self.points.sigma[:, None]
        return np.log(self.points.expect(np.exp(-0.5 * ((x - m) / s) ** 2) / s / np.sqrt(2 * np.pi)))


def coefficients(problem, points):
    """Solve the dense regression at every lambda of a plane."""
    log_lam, which = np.unique(points.log_lam, return_inverse=True)
    return Coefficients(*problem.conditional(np.exp(log_lam)), which, points)


def log_beta_r2(signal, a=0.5, b=0.5):
    """Beta(a, b) on R^2 = signal / (signal + lambda) and 1/sigma^2 on sigma^2, as a density of (log lambda, v)."""

    def log_prior(t, v):
        # d R2 / d log lambda = R2 (1 - R2); both factors without cancellation
        log_r2, log_rest = -np.log1p(np.exp(t) / signal), -np.log1p(signal * np.exp(-t))
        return a * log_r2 + b * log_rest - betaln(a, b) + np.log(2.0) + 0.0 * v

    return log_prior
