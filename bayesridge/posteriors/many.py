r"""Exact posteriors of many targets regressed on the same columns, from one factor.

Each target has a lambda, a sigma and an evidence of its own; nothing is shared between targets but the columns. With
H = 1 / (s^2 + lambda_k) on a block's nodes and weights W (targets x K), means are ``V (s z * (W H))`` and the variance
of a coefficient is

    V^2 E[sigma^2 H] + null E[sigma^2 / lambda] + fixed E[sigma^2] + Var_k(V (s z * H_k)).

The last term is a covariance over the nodes of one target. As functions of lambda the rank columns of H lie, to
rounding, in a space of a dozen dimensions: with H = A B and the covariance of A's rows under a target's weights
decomposed, L L', it is the sum of squares of V (s z * B'L), some five products.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import AccuracyWarning, ConstantTargetWarning, DataError, PerfectFitWarning, PriorError, warn
from bayesridge.hyper.infer import separate
from bayesridge.hyper.many import Block, Targets, integrate_targets, sigma_quantile
from bayesridge.linalg.factor import Factor
from bayesridge.linalg.maps import LinearMap, coefficient_map, prediction_map
from bayesridge.linalg.routes import rounding_floor
from bayesridge.linalg.rows import row_parts, row_weights
from bayesridge.linalg.spectrum import Spectrum, factor_of, left_of, without_target
from bayesridge.linalg.targets import on_flat_columns, with_target
from bayesridge.parallel.threads import threads_for
from bayesridge.posteriors.loo import refuse_alone, why_no_loo
from bayesridge.posteriors.many_loo import ManyScores, scores
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.posteriors.prediction import checked_rows, named_rows, refuse_outcome_terms
from bayesridge.posteriors.quantity import check_level
from bayesridge.posteriors.summary import Estimates
from bayesridge.priors import NoisePrior, Prior

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_BLOCK_VALUES = 1 << 18  # rows x targets worked on at a time
_SAME = 1e-14


@dataclass(frozen=True, eq=False)
class Scale:
    """A scale of each target.

    Attributes
    ----------
    name : {"lambda", "sigma"}
    many : ManyPosteriors
    """

    name: str
    many: ManyPosteriors

    @property
    def median(self) -> Array:
        """Posterior medians, (T,)."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> Array:
        """A quantile of each target, (T,)."""
        if not 0.0 < q < 1.0:
            raise DataError("probabilities must lie between 0 and 1")
        many = self.many
        out = np.empty(len(many))
        for block in many.blocks:
            out[block.index] = block.quantile(q) if self.name == "lambda" else many.sigma_quantile(block, q)
        return out

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed intervals, (T, 2)."""
        check_level(level)
        return np.stack([self.quantile(0.5 * (1.0 - level)), self.quantile(0.5 * (1.0 + level))], axis=1)


class ManyPredictions(NamedTuple):
    """Of new observations of T targets at m rows: means and standard deviations, (m, T) each."""

    mean: Array
    sd: Array


@dataclass(frozen=True, eq=False)
class ManyPosteriors:
    """The posteriors of T targets. ``many[k]`` is the whole posterior of one of them.

    Attributes
    ----------
    design : Design
        Of the columns; its target is the first.
    factor : Factor
    Y : ndarray of shape (n, T)
        The targets as given.
    names : tuple of str
        Theirs.
    y_mean : ndarray of shape (T,)
    on_flat : ndarray of shape (u, T)
    prior, noise_prior : Prior, NoisePrior
    targets : Targets
    blocks : list of Block
        Targets that share nodes.
    """

    design: Design
    factor: Factor
    Y: Array
    names: tuple[str, ...]
    y_mean: Array
    on_flat: Array
    prior: Prior
    noise_prior: NoisePrior
    targets: Targets
    blocks: list[Block]

    takes_codes: ClassVar[bool] = False

    def __len__(self) -> int:
        return int(self.Y.shape[1])

    def __getitem__(self, target: int | str) -> Posterior:
        """The posterior of one target, by its position or name: distributions, predictions, leave-one-out, draws."""
        k = self.names.index(target) if isinstance(target, str) else range(len(self))[target]
        design, spectrum = with_target(self.design, self.factor, np.ascontiguousarray(self.Y[:, k]))
        return infer(replace(design, target_name=self.names[k]), spectrum, self.prior, self.noise_prior)

    @cached_property
    def coef(self) -> Array:
        """Posterior means of the coefficients, (T, p), in the units of the data."""
        return self._means(self._coefficients)

    @property
    def centre(self) -> Array:
        """Expected targets at the column means, (T,)."""
        return self.y_mean

    @property
    def intercept(self) -> Array:
        """Posterior means of the intercepts, (T,)."""
        if not self.design.fit_intercept:
            return np.zeros(len(self))
        return np.asarray(self.y_mean - self.coef @ self.design.mean)

    @property
    def lambda_(self) -> Scale:
        """Lambda of each target."""
        return Scale("lambda", self)

    @property
    def sigma(self) -> Scale:
        """The noise standard deviation of each target."""
        return Scale("sigma", self)

    @property
    def tau(self) -> Scale:
        """Refused: it takes a grid for each target."""
        raise DataError("tau_ is there for one target: posterior_[k].tau")

    @cached_property
    def log_marginal_likelihood(self) -> Array:
        """Log p(y) of each target, (T,)."""
        return self._gather(lambda block: block.log_evidence)

    @cached_property
    def loo(self) -> ManyScores:
        """Exact leave-one-out scores of each target, lambda integrated; ``many[k].loo`` has those of its rows.

        Raises
        ------
        DataError
            If the rows, whatever the target, have no leave-one-out.
        """
        if reason := why_no_loo(self.design, 2.0 * self.targets.shape):
            raise DataError(reason)
        rows = row_parts(*with_target(self.design, self.factor, np.ascontiguousarray(self.Y[:, 0])))
        refuse_alone(rows.alone, self.design)
        spanned = self.factor.rank >= self.factor.nu
        root = np.sqrt(row_weights(self.design)[2])[:, None]
        elpd, se, doubt = np.empty(len(self)), np.empty(len(self)), np.empty(len(self), dtype=bool)
        size = max(1, _BLOCK_VALUES // self.design.n_rows)
        for block in self.blocks:
            for some in (slice(k, k + size) for k in range(0, len(block.index), size)):
                index = block.index[some]
                rest = _centred(self.design, self.factor, self.Y[:, index])[2] / root
                rest = np.zeros_like(rest) if spanned else rest - rows.U @ self.targets.left(index, np.inf)[0].T
                elpd[index], se[index], doubt[index] = scores(rows, rest, self.targets, block, some)
        for k in np.flatnonzero(doubt):
            elpd[k], se[k] = self._score_alone(int(k))
        return ManyScores(elpd, se, doubt)

    def _score_alone(self, k: int) -> tuple[float, float]:
        try:
            found = self[k].loo
        except DataError as error:
            warn(f"{self.names[k]} has no leave-one-out: {error}", AccuracyWarning)
            return np.nan, np.nan
        return found.elpd_loo, found.se

    @cached_property
    def quadrature_error(self) -> Array:
        """Estimated relative error of each target's integral over lambda, (T,)."""
        return self._gather(lambda block: block.error)

    def coefficient_sd(self) -> Array:
        """Posterior standard deviations of the coefficients, (T, p)."""
        variance = self._variances(self._coefficients)
        return np.sqrt(variance, out=variance)

    def expected(self, X: Array, *, offset: ArrayLike | None = None, trials: ArrayLike | None = None) -> Array:
        """Posterior means of the expected targets at new rows, (m, T)."""
        refuse_outcome_terms(offset, trials)
        # centred, so that columns with large offsets lose no digits
        return np.asarray(self.y_mean + (named_rows(X, self.design) - self.design.mean) @ self.coef.T)

    def predict(
        self, X: ArrayLike, *, offset: ArrayLike | None = None, trials: ArrayLike | None = None
    ) -> ManyPredictions:
        """Means and standard deviations of new observations at new rows, noise included."""
        rows = checked_rows(X, self.design, offset, trials)
        variance = self._variances(prediction_map(self.design, self._spectrum, rows))
        sd = np.sqrt(variance + self._gather(self._noise)[:, None]).T
        return ManyPredictions(self.expected(rows), sd)

    @property
    def only(self) -> Posterior:
        """Refused: there are several."""
        raise DataError(f"this is for one target, and there are {len(self)}: posterior_[k] is the posterior of one")

    @property
    def estimates(self) -> Estimates:
        """Posterior means of intercepts (T,) and coefficients (T, p)."""
        return Estimates(self.intercept, self.coef)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """A row for each target: lambda and sigma with their intervals, log p(y)."""
        import pandas as pd

        columns = {}
        for scale in (self.lambda_, self.sigma):
            ends = scale.interval(level)
            columns[scale.name] = scale.median
            columns[f"{scale.name} {100 * level:g}% ETI low"], columns[f"{scale.name} {100 * level:g}% ETI high"] = (
                ends.T
            )
        columns["log p(y)"] = self.log_marginal_likelihood
        return pd.DataFrame(columns, index=list(self.names))

    def __repr__(self) -> str:
        n, p = self.design.n_rows, self.design.n_columns
        return (
            f"Bayesian ridge regression (exact posteriors of {len(self)} targets, a lambda for each)\n"
            f"  {n} rows, {p} columns; prior: {self.prior.text}; noise {self.noise_prior.text}\n"
            "  summary(): one line a target; [k]: the whole posterior of one"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    # -- products over the nodes -----------------------------------------------------------------------------------

    @cached_property
    def _spectrum(self) -> Spectrum:
        return without_target(self.factor.formed())

    @cached_property
    def _coefficients(self) -> LinearMap:
        linear = coefficient_map(self.design, self._spectrum)
        assert isinstance(linear, LinearMap)
        return linear

    def _gather(self, of: Callable[[Block], Array]) -> Array:
        out = np.empty(len(self))
        for block in self.blocks:
            out[block.index] = of(block)
        return out

    def sigma_quantile(self, block: Block, q: float) -> Array:
        """Quantile of sigma of the targets of a block."""
        return sigma_quantile(block, self._rate(block), self.targets.shape, q)

    def _rate(self, block: Block) -> Array:
        return self.targets.rate(block.index, block.log_lam)

    def _noise(self, block: Block) -> Array:
        """E[sigma^2] of the targets of a block."""
        if self.targets.shape <= 1.0:
            return np.full(len(block.index), np.inf)
        return np.asarray((block.weight * self._rate(block)).sum(axis=1) / (self.targets.shape - 1.0))

    def _means(self, linear: LinearMap) -> Array:
        """Means of functionals of every target, (T, m), the flat directions' part included."""
        out = np.empty((len(self), len(linear)))
        for block in self.blocks:
            resolvent = self.targets.resolvent(block.log_lam)
            directions = (block.weight @ resolvent) * self.targets.right_sides(block.index)
            out[block.index] = directions @ linear.loadings.T
        if len(self.on_flat):
            out[:, self.design.unpenalized] += self.on_flat.T
        out *= linear.unit
        return out

    def _variances(self, linear: LinearMap) -> Array:
        out = np.empty((len(self), len(linear)))
        if self.targets.shape <= 1.0:  # sigma^2 has no mean
            out[:] = np.inf
            return out
        squares = np.square(linear.loadings).T
        for block in self.blocks:
            noise = block.weight * self._rate(block) / (self.targets.shape - 1.0)
            part = (noise @ self.targets.resolvent(block.log_lam)) @ squares
            part += np.multiply.outer(noise.sum(axis=1), linear.fixed)
            if self.factor.rank < self.factor.n_features:
                part += np.multiply.outer(noise @ np.exp(-block.log_lam), linear.null)
            for one in self._between(block):
                moved = one @ linear.loadings.T
                moved *= moved
                part += moved
            out[block.index] = part
        out *= np.square(linear.unit)
        return out

    def _between(self, block: Block) -> Iterator[Array]:
        """Directions whose squares add up to the variance of the conditional means over the nodes, each (B, rank)."""
        H = self.targets.resolvent(block.log_lam)
        size = H.max(axis=0)
        H = (H - block.weight.mean(axis=0) @ H) / size
        axes = _row_space(H * np.sqrt(block.weight.max(axis=0))[:, None])  # of the rows that a target gives weight to
        A, B = H @ axes.T, axes * size
        apart = A - (block.weight @ A)[:, None, :]  # (B, K, m)
        apart *= np.sqrt(block.weight)[:, :, None]
        values, vectors = np.linalg.eigh(apart.transpose(0, 2, 1) @ apart)
        scaled = self.targets.right_sides(block.index)
        largest = values.max()
        roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        seen = np.flatnonzero(values.max(axis=0) > 1e-14 * largest)
        return ((roots[:, :, k] @ B) * scaled for k in seen)


def _row_space(R: Array) -> Array:
    """Orthonormal rows that span those of a matrix of low numerical rank, found through products with random vectors.

    Halko, Martinsson & Tropp (2011), algorithm 4.1: what is left outside is looked at, and more are taken if it counts.
    """
    rng, size, most = np.random.default_rng(0), 32, min(R.shape)
    while size < most:
        Q = np.linalg.qr(R @ rng.standard_normal((R.shape[1], size)))[0]
        inside = Q.T @ R
        if np.abs(R - Q @ inside).max() <= _SAME * np.abs(R).max():
            break
        size *= 2
    else:
        inside = R
    _, singular, axes = np.linalg.svd(inside, full_matrices=False)
    return np.asarray(axes[: max(1, np.count_nonzero(singular > _SAME * singular[0]))])


def infer_many(
    design: Design, Y: Array, prior: Prior, noise_prior: NoisePrior, names: tuple[str, ...] | None = None
) -> ManyPosteriors:
    """Compute the posteriors of many targets on the columns of a design.

    Parameters
    ----------
    design : Design
        Its own target does not matter.
    Y : ndarray of shape (n_rows, T)
        Finite.
    prior : Prior
        On lambda, on tau/sigma, or on R^2; learnt, not fixed.
    noise_prior : NoisePrior
        Jeffreys or inverse-gamma.
    names : tuple of str, optional

    Raises
    ------
    PriorError
        For priors under which sigma does not integrate out in closed form.
    """
    of_lambda, of_sigma = separate(prior, noise_prior)
    noise = of_sigma.conjugate
    if of_lambda.variable != "lambda" or of_lambda.known is not None or noise is None:
        raise PriorError(
            "many targets at once need a prior on lambda, tau/sigma or R² that is learnt, and Jeffreys() or "
            f"InverseGamma(...) for the noise; got {prior.text} and {noise_prior.text}: fit targets one by one"
        )
    names = names or tuple(f"y{k}" for k in range(Y.shape[1]))
    with threads_for(design.n_columns):
        factor = factor_of(design)
    y_mean, z, r0, on_flat = _project(design, factor, Y, names)
    engine = SpectralEngine(design, without_target(factor))
    shape, constant = 0.5 * factor.nu + noise.shape, engine.constant + noise.log_norm
    targets = Targets(factor, z, r0 + 2.0 * noise.scale, shape, of_lambda, constant)
    blocks = integrate_targets(targets)
    return ManyPosteriors(design, factor, Y, names, y_mean, on_flat, prior, noise_prior, targets, blocks)


def _project(design: Design, factor: Factor, Y: Array, names: tuple[str, ...]) -> tuple[Array, Array, Array, Array]:
    """Means, z, r0 and the coefficients on the flat columns of all targets; what :func:`with_target` does for one."""
    U, T = left_of(design, factor), Y.shape[1]
    y_mean, z, r0 = np.zeros(T), np.empty((T, factor.rank)), np.empty(T)
    on_flat = np.empty((len(design.unpenalized), T))
    constant, perfect = np.zeros(T, dtype=bool), np.zeros(T, dtype=bool)
    size = max(1, _BLOCK_VALUES // design.n_rows)
    spanned = factor.rank >= factor.nu
    for start in range(0, T, size):
        part = slice(start, start + size)
        y_mean[part], on_flat[:, part], rest = _centred(design, factor, Y[:, part])
        z[part] = rest.T @ U
        total = np.einsum("ij,ij->j", rest, rest)
        rest -= U @ z[part].T
        r0[part] = 0.0 if spanned else np.einsum("ij,ij->j", rest, rest)
        floor = np.array([rounding_floor(design, largest) for largest in np.abs(Y[:, part]).max(axis=0)])
        constant[part] = total <= floor
        perfect[part] = ~constant[part] & (r0[part] <= floor) & (not spanned)
        r0[part] = np.where(constant[part] | perfect[part], floor, r0[part])
        z[part][constant[part]] = 0.0
    for bad, what, kind in (
        (constant, "are constant to rounding: coefficients are 0", ConstantTargetWarning),
        (perfect, "are linear functions of the columns to the rounding of their own values", PerfectFitWarning),
    ):
        if bad.any():
            some = ", ".join([names[k] for k in np.flatnonzero(bad)[:5]])
            warn(f"{np.count_nonzero(bad)} of {T} targets {what}, the noise is an upper bound: {some}", kind)
    return y_mean, z, r0, on_flat


def _centred(design: Design, factor: Factor, Y: Array) -> tuple[Array, Array, Array]:
    """Means (B,), coefficients on the flat columns (u, B), and targets without them times root weights, (n, B)."""
    rest, mean, w = np.array(Y), np.zeros(Y.shape[1]), design.weights
    if design.fit_intercept:
        for _ in range(2):  # the second takes what the rounding of the first left
            more = rest.mean(axis=0) if w is None else (w / design.total_weight) @ rest
            rest -= more
            mean += more
    on_flat = on_flat_columns(design, factor, rest)
    rest -= design.standardized(None, design.unpenalized) @ on_flat
    root = design.root_weights()
    return mean, on_flat, rest if root is None else rest * root[:, None]
