r"""Deblurring: a convolution is diagonal in Fourier's (or the cosine's) basis, and so is its ridge.

With y = h * x + e on a grid of N cells, F the unitary transform, H = F h its transfer function and D that of the
penalty's differences::

    s = |H| / |D|,   z = |F y|,   E[x | lambda] = F^-1 (conj(H) F y / (|H|^2 + lambda |D|^2)),

one direction for each frequency: a complex pair counts as two real directions with one s, of which ``|F y|^2`` is the
sum of squares. Frequencies that the penalty does not see (the mean of the image) are flat directions. Nothing larger
than the image is formed; N log N for each lambda. Variances given lambda are sums over frequencies of squared basis
functions, which under a periodic boundary are 1/N everywhere.

The boundary is part of the model. "periodic": the image goes on at its other end (fast Fourier transform). "reflect":
it goes on as in a mirror (cosine transform of the second kind; Ng, Chan and Tang 1999), for symmetric kernels only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import DataError, PriorError, check_counts
from bayesridge.hyper.infer import infer_hyper
from bayesridge.hyper.marginal import Marginal, PointMass
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.inverse.tikhonov import PENALTIES, numbers, refuse_units
from bayesridge.linalg.shares import resolvent
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.quantity import check_level, flatten
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, check_priors

Array = NDArray[np.float64]
Boundary = Literal["periodic", "reflect"]

_EPS = float(np.finfo(np.float64).eps)
_AT_ONCE = 1 << 24  # numbers
_ROUNDING = 32.0 * _EPS  # of the largest |H|: the transform's, below which a kernel has nothing


@dataclass(frozen=True, eq=False)
class Frequencies:
    """A grid in the basis in which convolutions with one boundary are diagonal.

    Attributes
    ----------
    shape : tuple of int
    boundary : {"periodic", "reflect"}
    """

    shape: tuple[int, ...]
    boundary: Boundary

    def forward(self, x: Array) -> NDArray[Any]:
        """Coefficients of an image in the orthonormal basis."""
        return np.asarray(fft.fftn(x, norm="ortho") if self.boundary == "periodic" else fft.dctn(x, norm="ortho"))

    def back(self, c: NDArray[Any]) -> Array:
        """The image of coefficients."""
        if self.boundary == "periodic":
            return np.asarray(fft.ifftn(c, norm="ortho").real)
        return np.asarray(fft.idctn(c, norm="ortho"))

    def transfer(self, kernel: Array) -> NDArray[Any]:
        """Eigenvalues of the convolution with a kernel, whose middle is that of its array."""
        if self.boundary == "periodic":
            laid = np.zeros(self.shape)
            laid[tuple(slice(0, k) for k in kernel.shape)] = kernel
            return np.asarray(fft.fftn(np.roll(laid, [-(k // 2) for k in kernel.shape], range(kernel.ndim))))
        value = kernel
        for axis, (k, n) in enumerate(zip(kernel.shape, self.shape, strict=True)):
            angles = np.cos(np.pi / n * np.outer(np.arange(k) - k // 2, np.arange(n)))
            value = np.moveaxis(np.tensordot(value, angles, ([axis], [0])), -1, axis)
        return np.asarray(value)

    def penalty(self, order: int) -> Array:
        """Squared differences: 1, sums over axes of the first ones squared, their square (the Laplacian)."""
        total = np.zeros(self.shape)
        for axis, n in enumerate(self.shape):
            angle = np.arange(n) * (2.0 * np.pi / n if self.boundary == "periodic" else np.pi / n)
            line = 4.0 * np.square(np.sin(0.5 * angle))
            total += line.reshape([-1 if k == axis else 1 for k in range(len(self.shape))])
        return np.asarray(total**order)

    def spread(self, variance: Array) -> Array:
        """Variance of each cell from variances of the coefficients, (...) the shape of the grid."""
        if self.boundary == "periodic":
            return np.full(self.shape, variance.mean())
        for axis, n in enumerate(self.shape):
            squares = np.square(fft.idct(np.eye(n), norm="ortho", axis=0))
            variance = np.moveaxis(np.tensordot(variance, squares, ([axis], [1])), -1, axis)
        return variance


@dataclass(frozen=True, eq=False)
class Deblurred:
    """The posterior of an image.

    Attributes
    ----------
    grid : Frequencies
    data : ndarray
        Coefficients of the blurred image.
    transfer, penalty : ndarray
        H and ``|D|^2`` of each frequency.
    hyper : HyperPosterior
    spectrum : Spectrum
        s, z and r0 of all frequencies; no right vectors.
    """

    grid: Frequencies
    data: NDArray[Any]
    transfer: NDArray[Any]
    penalty: Array
    hyper: HyperPosterior
    spectrum: Spectrum

    @cached_property
    def lambda_(self) -> Marginal | PointMass:
        """Posterior of lambda = sigma^2 / tau^2."""
        return self.hyper.lambda_marginal()

    @cached_property
    def sigma(self) -> Marginal | PointMass:
        """Posterior of the noise standard deviation."""
        return self.hyper.sigma_marginal()

    @property
    def log_marginal_likelihood(self) -> float:
        """Log p(y) in nats."""
        return self.hyper.log_marginal

    def solution(self, lam: float) -> Array:
        """Tikhonov's image at one lambda, a positive number."""
        given = numbers(lam, "lambda")
        if given.ndim or not 0.0 < given < 1e300:
            raise DataError(f"lambda must be a positive number, got {lam!r}")
        return self.grid.back(self._filter(lam) * self.data)

    def _filter(self, lam: float) -> NDArray[Any]:
        power = np.square(np.abs(self.transfer))
        below = power + lam * self.penalty
        return np.asarray(np.conj(self.transfer) / np.where(below > 0, below, 1.0))

    def _variance(self, lam: float) -> Array:
        """Of the coefficients, over sigma^2."""
        return resolvent(np.square(np.abs(self.transfer)), lam * self.penalty)

    @property
    def mean(self) -> Array:
        """Posterior mean of the image."""
        weight = self.hyper.nodes.weight
        total = sum(w * self._filter(lam) for w, lam in zip(weight, self.hyper.nodes.lam, strict=True))
        return self.grid.back(np.asarray(total) * self.data)

    @cached_property
    def sd(self) -> Array:
        """Posterior standard deviation of each cell, lambda and sigma integrated."""
        nodes, centre = self.hyper.nodes, self.mean
        noise, within, between = nodes.weight * nodes.noise.mean_variance(), np.zeros_like(self.penalty), 0.0 * centre
        for k, lam in enumerate(nodes.lam):
            within += noise[k] * self._variance(lam)
            between += nodes.weight[k] * np.square(self.solution(lam) - centre)
        return np.sqrt(self.grid.spread(within) + between)

    def interval(self, level: float = 0.95) -> Array:
        """Equal-tailed interval of each cell (pointwise), the grid's shape and 2."""
        check_level(level)
        nodes, cells = self.hyper.nodes, self.penalty.size
        size = max(1, _AT_ONCE // len(nodes.lam))  # cells at a time: all of them at all nodes may not fit into memory
        ends = [self._interval(slice(start, start + size), level) for start in range(0, cells, size)]
        return np.concatenate(ends).reshape(*self.grid.shape, 2)

    def _interval(self, part: slice, level: float) -> Array:
        lam = self.hyper.nodes.lam
        mean = np.column_stack([self.solution(one).ravel()[part] for one in lam])
        variance = np.column_stack([self.grid.spread(self._variance(one)).ravel()[part] for one in lam])
        return flatten(self.hyper.nodes, mean, variance).interval(level)

    def draw(self, n: int, random_state: int | np.random.Generator | None = None) -> Array:
        """Independent images from the posterior, (n, ...)."""
        check_counts(n=n)
        rng = generator(random_state)
        lam, sigma = self.hyper.draw(n, rng)
        out = np.empty((n, *self.grid.shape))
        for k in range(n):
            noise = self.grid.forward(rng.standard_normal(self.grid.shape)) * np.sqrt(self._variance(float(lam[k])))
            out[k] = self.grid.back(self._filter(float(lam[k])) * self.data + sigma[k] * noise)
        return out


def deblur(
    image: ArrayLike,
    kernel: ArrayLike,
    penalty: Literal["identity", "first differences", "second differences"] = "first differences",
    *,
    boundary: Boundary = "periodic",
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
) -> Deblurred:
    r"""Compute the posterior of an image (or a signal) seen through a known blur and white noise, lambda integrated.

    .. math:: y = h * x + e,\quad e \sim N(0, \sigma^2 I),\quad p(x) \propto e^{-|D x|^2 / (2 \tau^2)},\quad
              \lambda = \sigma^2/\tau^2

    Parameters
    ----------
    image : array_like
        What was seen, in one, two or more dimensions.
    kernel : array_like
        h, of as many dimensions and nowhere larger than the image; its middle (position k // 2) stays in place.
    penalty : {"identity", "first differences", "second differences"}
        D: the image itself, its gradient, its Laplacian. The last two leave the mean of the image free.
    boundary : {"periodic", "reflect"}
        How the image goes on beyond its ends; "reflect" is for kernels of odd size that are symmetric in every axis.
    prior, noise_prior : Prior, NoisePrior, optional
        As for :func:`bayesridge.tikhonov`.

    Returns
    -------
    Deblurred
        ``mean``, ``sd``, ``interval()``, ``draw()`` of the image, ``lambda_`` and ``sigma``.

    Raises
    ------
    DataError
        If the image or the kernel cannot be used.
    """
    prior, noise_prior = prior or BetaR2(), noise_prior or Jeffreys()
    check_priors(prior, noise_prior)
    y, h = _checked(image, kernel, boundary)
    if prior.known == 0.0:
        raise PriorError("lambda = 0 divides by the blur, and leaves no noise: there is no posterior; use lambda > 0")
    if not isinstance(penalty, str) or penalty not in PENALTIES:
        raise DataError(f"penalty must be one of {', '.join(map(repr, PENALTIES))}, got {penalty!r}")
    grid = Frequencies(y.shape, boundary)
    data, transfer, D2 = grid.forward(y), grid.transfer(h), grid.penalty(PENALTIES[penalty])
    transfer[np.abs(transfer) <= _ROUNDING * np.abs(transfer).max()] = 0.0
    spectrum = _spectrum(data, transfer, D2)
    absent: Any = None  # there is no table: integrators ask the spectrum alone
    hyper = infer_hyper(SpectralEngine(absent, spectrum), prior, noise_prior)
    return Deblurred(grid, data, transfer, D2, hyper, spectrum)


def _spectrum(data: NDArray[Any], transfer: NDArray[Any], D2: Array) -> Spectrum:
    power, squares = np.square(np.abs(transfer)).ravel(), np.square(np.abs(data)).ravel()
    flat = D2.ravel() == 0.0
    if flat.any() and not (power[flat] > (_EPS * power.max() * power.size)).all():
        raise DataError("the kernel takes the mean of the image away, and this penalty leaves it free: use 'identity'")
    s2 = power[~flat] / D2.ravel()[~flat]
    order = np.argsort(-s2, kind="stable")
    s2, z2 = s2[order], squares[~flat][order]
    if s2[0] == 0.0:
        raise DataError("the kernel takes all of the image away but its mean: there is nothing to learn from it")
    rank = int(np.count_nonzero(s2 > (power.size * _EPS) ** 2 * s2[0]))
    nu, n = float(power.size - flat.sum()), float(power.size)
    left = float(z2[rank:].sum())
    return Spectrum(
        s=np.sqrt(s2[:rank]), right=np.empty((0, rank)), nu=nu, log_det_flat=float(np.log(power[flat]).sum()),
        sum_log_weights=0.0, n_obs=n, signal=float(s2.sum()) / n, flat=None, left=None, route="fourier",
        reason="a convolution is diagonal there", dropped=len(s2) - rank, z=np.sqrt(z2[:rank]), r0=left,
        on_flat=np.empty(0),
    )  # fmt: skip


def _checked(image: ArrayLike, kernel: ArrayLike, boundary: str) -> tuple[Array, Array]:
    y, h = numbers(image, "the image"), numbers(kernel, "the kernel")
    if boundary not in ("periodic", "reflect"):
        raise DataError(f"boundary must be 'periodic' or 'reflect', got {boundary!r}")
    if y.ndim == 0 or y.size < 4 or h.ndim != y.ndim or any(a > b for a, b in zip(h.shape, y.shape, strict=True)):
        raise DataError(
            f"the kernel must have as many axes as the image, and none longer: shapes {h.shape} and {y.shape}"
        )
    refuse_units(**{"the image": y, "the kernel": h})
    if np.ptp(y) == 0:
        raise DataError("the image is the same everywhere: there is nothing to learn")
    if boundary == "reflect" and not all(
        k % 2 == 1 and np.allclose(h, np.flip(h, axis), rtol=0, atol=1e-9 * np.abs(h).max())
        for axis, k in enumerate(h.shape)
    ):
        raise DataError("boundary='reflect' takes kernels of odd size that are symmetric in every axis")
    return y, h
