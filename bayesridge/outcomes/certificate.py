r"""Whether weighted draws may be believed: four signs that have to agree, for none of them does by itself.

Pareto k of the weights below .5 (their variance exists; Vehtari et al. 2024), effective size above 5,000, standard
errors of means and 2.5%, 50%, 97.5% quantiles from the eight replicates so small that 2.36 of them (95% of a t with 7
degrees of freedom) are below .1 posterior sd, and little change from the first half of the draws (stability under
doubling). Standard errors of .05 would let every tenth limit that has them be off by .1. k alone passes answers wrong
by a posterior sd: the draws do not see what they have never met. The largest of some hundred standard errors with 7
degrees of freedom each is about 1.8 times what most of them are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Standard errors that go into a 95% interval.
WITHIN = 2.36
#: Largest standard error of any mean or quantile, in posterior standard deviations.
ACCURACY = 0.1 / WITHIN
LARGEST_K = 0.5
SMALLEST_SIZE = 5_000.0
_PROBABILITIES = (0.025, 0.5, 0.975)
_HALVINGS = 8  # of what the replicates differ by


@dataclass(frozen=True)
class Certificate:
    """What is known of the accuracy of weighted draws; errors in posterior standard deviations.

    Attributes
    ----------
    pareto_k : float
        Of the weights; -inf for draws of equal weight.
    effective_size : float
    standard_error : float
        The largest over means and quantiles of coefficients and of log lambda.
    shift : float
        The largest change of them when the draws were doubled.
    worst : str
        Whose standard error it is.
    """

    pareto_k: float
    effective_size: float
    standard_error: float
    shift: float
    worst: str

    @property
    def passed(self) -> bool:
        """Whether all four signs agree."""
        return (
            self.pareto_k < LARGEST_K
            and self.effective_size > SMALLEST_SIZE
            and self.standard_error <= ACCURACY
            and self.shift <= 2.0 * ACCURACY
        )

    def hopeless(self, growth: float) -> bool:
        """Whether `growth` times as many draws would not do: the error falls like their root, and k not at all.

        Of few draws it may be twice what it is.
        """
        return self.pareto_k > LARGEST_K + 0.1 or self.standard_error > 2.0 * ACCURACY * np.sqrt(growth)

    @property
    def sentence(self) -> str:
        """What was found."""
        k = "" if np.isneginf(self.pareto_k) else f"Pareto k {self.pareto_k:.2f}, "
        return (
            f"{k}effective draws {self.effective_size:.0f}, largest standard error of a mean or 95% limit "
            f"{self.standard_error:.3f} sd ({self.worst}), largest change on doubling {self.shift:.3f} sd"
        )


@dataclass(frozen=True, eq=False)
class Judged:
    """Weighted numbers to be judged.

    Attributes
    ----------
    values : ndarray of shape (R, S, m)
    weight : ndarray of shape (R, S)
    logs, mass : ndarray of shape (K, h) and (R, K)
        Nodes of log lambda (and the log of what else is learned), and their probabilities.
    """

    values: Array
    weight: Array
    logs: Array
    mass: Array

    def numbers(self) -> Array:
        """Mean and quantiles of each replicate, and (last) of all: (R + 1, 4, m + h)."""
        R = len(self.values)
        mass = np.concatenate([self.mass, self.mass.sum(axis=0, keepdims=True)])
        scales = []
        for logs in self.logs.T:
            at, of = np.unique(logs, return_inverse=True)
            share = np.array([np.bincount(of, one) for one in mass])
            scales.append(_of(np.broadcast_to(at[:, None], (R + 1, len(at), 1)), share)[:-1])
        return np.concatenate([_of(self.values, self.weight), *scales], axis=2)

    def sd(self) -> Array:
        """Standard deviations, (m + h,)."""
        flat, w = self.values.reshape(-1, self.values.shape[2]), self.weight.ravel() / self.weight.sum()
        share = self.mass.sum(axis=0) / self.mass.sum()
        variance = np.append(w @ np.square(flat - w @ flat), share @ np.square(self.logs - share @ self.logs))
        size = np.append(w @ np.square(flat), share @ np.square(self.logs))
        return np.where(
            variance > 1e-20 * size, np.sqrt(np.maximum(variance, 0.0)), np.inf
        )  # what is known has no error


def certify(
    before: Judged, after: Judged, labels: tuple[str, ...], log_weight: Array, *, weighted: bool
) -> Certificate:
    """Judge the draws `after` a doubling against those `before` it.

    Parameters
    ----------
    labels : tuple of str
        Of the m + h numbers.
    log_weight : ndarray
    weighted : bool
        Whether the weights are importance weights, rather than chains of equal weight.
    """
    *each, whole = after.numbers()
    sd = after.sd()
    R = len(each)
    error = np.sqrt(np.square(np.array(each) - whole).sum(axis=0) / (R * (R - 1))) / sd
    shift = np.abs(whole - before.numbers()[-1]) / sd
    at = int(error.max(axis=0).argmax())
    if weighted:
        k, size = pareto_k(log_weight), effective_size(after.weight / after.weight.sum())
    else:  # of the means: 1 / (standard error in sds)^2
        k, size = -np.inf, float(1.0 / np.median(np.square(error[0][np.isfinite(sd)])))
    return Certificate(k, size, float(error.max()), float(shift.max()), labels[at])


def _of(values: Array, weight: Array) -> Array:
    """Mean and quantiles of R replicates (R, S, m), and of all together: (R + 1, 4, m)."""
    total = weight.sum(axis=1)
    share, of_all = weight / total[:, None], total / total.sum()
    R, _, m = values.shape
    out = np.empty((R + 1, 1 + len(_PROBABILITIES), m))
    out[:R, 0] = np.einsum("rs,rsm->rm", share, values)
    out[R, 0] = of_all @ out[:R, 0]
    for j in range(m):
        lines = []
        for r, w in enumerate(share):
            order = np.argsort(values[r, :, j])
            lines.append((values[r, order, j], np.cumsum(w[order]) - 0.5 * w[order]))
            out[r, 1:, j] = np.interp(_PROBABILITIES, lines[r][1], lines[r][0])
        # the quantile of a mixture lies between those of its parts: halved, instead of sorting all together
        low, high = out[:R, 1:, j].min(axis=0), out[:R, 1:, j].max(axis=0)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            above = of_all @ [np.interp(middle, *line) for line in lines] > _PROBABILITIES
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        out[R, 1:, j] = 0.5 * (low + high)
    return out


def effective_size(weight: Array) -> float:
    """``1 / sum w^2`` of weights that add up to one."""
    return float(1.0 / np.square(weight).sum())


def pareto_k(log_weight: Array) -> float:
    """Shape of the tail of importance weights (Zhang & Stephens 2009, weakly regularised as by Vehtari et al. 2024)."""
    log_w = np.sort(log_weight.ravel())
    S = len(log_w)
    M = int(min(0.2 * S, 3.0 * np.sqrt(S)))
    if M < 5 or log_w[-1] - log_w[-M - 1] < 1e-12:
        return -np.inf
    x = np.exp(log_w[-M:] - log_w[-1]) - np.exp(log_w[-M - 1] - log_w[-1])
    x = np.maximum(x, 1e-300)
    m = 30 + int(np.sqrt(M))
    grid = 1.0 / x[-1] + (1.0 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3.0 * x[int(M / 4 + 0.5) - 1])
    k = np.log1p(-grid[:, None] * x).mean(axis=1)
    profile = M * (np.log(-grid / k) - k - 1.0)
    w = 1.0 / np.exp(np.minimum(profile - profile[:, None], 700.0)).sum(axis=1)
    best = float((grid * w).sum() / w.sum())
    found = float(np.log1p(-best * x).mean())
    return (found * M + 0.5 * 10.0) / (M + 10.0)
