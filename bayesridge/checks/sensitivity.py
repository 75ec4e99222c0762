r"""Prior sensitivity by power-scaling, exactly: how the posterior moves if the prior, or the data, count a little more.

Kallioinen, Paananen, Burkner and Vehtari (2023), Detecting and diagnosing prior and likelihood sensitivity with
power-scaling, Statistics and Computing 34:57. The prior of the penalty, or the likelihood, is raised to a power near 1,
and the cumulative Jensen-Shannon distance between the base and the scaled posterior of each quantity is divided by the
log2 of the power. Above 0.05 a quantity is called sensitive.

No importance weights are needed. The prior raised to a power is another prior. The likelihood raised to the power a,
coefficients and all, is that of data in which every row counts a times: s^2, z^2 and r0 are multiplied by a and nu
becomes a n - q. Both are posteriors of their own, from the same factorisation.

The distance is relative to the integral of the cdf, which depends on where the line is cut. It is cut at the range that
4000 draws have, for which the limit 0.05 was proposed.

A power-scaled density depends on which variable it is the density of: here the one that the prior names (R^2 for
BetaR2, tau/sigma or tau for half priors, lambda for LogNormal and Gamma), as in the PyMC models. The noise prior stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.engines.spectral import SpectralEngine
from bayesridge.errors import DataError, ImproperPosteriorError
from bayesridge.fit import one_lambda
from bayesridge.hyper.infer import infer_hyper
from bayesridge.hyper.marginal import PointMass
from bayesridge.linalg.targets import rows_counted
from bayesridge.posteriors.mixture import Mixture
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import MixtureQuantity
from bayesridge.posteriors.shown import Finding
from bayesridge.posteriors.terms import single_columns

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
#: A distribution function, and what makes points that span it (asked of the posterior as it is alone).
Distribution = tuple[Callable[[Array], Array], Callable[[], Array]]

#: Above it a quantity is called sensitive (Kallioinen et al., section 3.3).
THRESHOLD = 0.05
_POWERS = (0.99, 1.01)
_POINTS = 400
_TAIL = 1.0 / 4000.0


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity of one quantity's posterior.

    Attributes
    ----------
    name : str
    prior, likelihood : float
        Cumulative Jensen-Shannon distance per doubling of the prior's, or the likelihood's, weight.
    mean_prior, mean_likelihood : float
        Change of the posterior mean (of the logarithm, for lambda, sigma and tau) in posterior sds, per doubling.
    diagnosis : str
        "prior-data conflict", "strong prior / weak likelihood", or "-".
    """

    name: str
    prior: float
    likelihood: float
    mean_prior: float
    mean_likelihood: float
    diagnosis: str


@dataclass(frozen=True, eq=False, repr=False)
class PowerScaling(Finding):
    """Result of :func:`power_scaling`.

    Attributes
    ----------
    rows : tuple of Sensitivity
        lambda, sigma, R^2, intercept, coefficients; with several penalties every lambda, sigma and correlation, and the
        coefficients that are no effects of levels.
    prior : str
        What was scaled.
    """

    rows: tuple[Sensitivity, ...]
    prior: str

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Quantities that both the prior and the data pull, in different directions as a rule."""
        return tuple([row.name for row in self.rows if row.diagnosis == "prior-data conflict"])

    @property
    def weak(self) -> tuple[str, ...]:
        """Quantities on which the data say little beside the prior."""
        return tuple([row.name for row in self.rows if row.diagnosis.startswith("strong prior")])

    @property
    def passed(self) -> bool:
        """Whether no quantity is sensitive to the prior."""
        return not (self.conflicts or self.weak)

    @property
    def verdict(self) -> str:
        """What is sensitive, in words."""
        if self.passed:
            worst = max(self.rows, key=lambda row: row.prior)
            return (
                f"no posterior is sensitive to the prior {self.prior} (largest: {worst.name}, {worst.prior:.2g}, "
                f"limit {THRESHOLD:g})"
            )
        parts = []
        for names, what in ((self.conflicts, "prior and data pull"), (self.weak, "the prior decides much of")):
            if names:
                parts.append(f"{what} {_some(names)}")
        return "; ".join(parts) + f": state the prior ({self.prior}) with care, or report another beside it"

    @property
    def table(self) -> pd.DataFrame:
        """One row a quantity."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.rows]).set_index("name")

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {"prior": self.prior, "rows": [vars(row) for row in self.rows], "verdict": self.verdict}


def power_scaling(posterior: Posterior, *, coefficients: bool = True) -> PowerScaling:
    """Measure how much prior and likelihood decide each posterior.

    Parameters
    ----------
    posterior : Posterior
        With lambda integrated.
    coefficients : bool
        Whether to include intercept and coefficients (p mixtures; the scales alone take milliseconds).

    Returns
    -------
    PowerScaling

    Raises
    ------
    DataError
        If lambda is fixed or plugged in, or the prior is a pair of gammas (its power need not be a proper prior).
    """
    if not posterior.has_terms:
        posterior = one_lambda(posterior)
    if posterior.method != "posterior":
        raise DataError("power-scaling needs a prior on lambda; here lambda is fixed or plugged in")
    prior = posterior.prior
    below, above = (_scaled_prior(posterior, power) for power in _POWERS)
    counted = _scaled_likelihoods(posterior)
    rows = []
    for name, read in _quantities(posterior, coefficients=coefficients):
        base = read(posterior)
        p, p_mean = change(base, {power: read(one) for power, one in zip(_POWERS, (below, above), strict=True)})
        q, q_mean = change(base, {power: read(one) for power, one in counted.items()})
        rows.append(Sensitivity(name, p, q, p_mean, q_mean, diagnosis(p, q)))
    return PowerScaling(tuple(rows), prior.text)


def diagnosis(prior: float, likelihood: float) -> str:
    """What the two sensitivities mean together."""
    if prior < THRESHOLD:
        return "-"
    return "prior-data conflict" if likelihood >= THRESHOLD else "strong prior / weak likelihood"


# -- the scaled posteriors -----------------------------------------------------------------------------------------


def _scaled_prior(posterior: Posterior, power: float) -> Posterior:
    prior = posterior.prior.power(power)
    hyper = infer_hyper(posterior.engine, prior, posterior.noise_prior)
    return replace(posterior, prior=prior, hyper=hyper)


def _scaled_likelihoods(posterior: Posterior) -> dict[float, Posterior]:
    """Posteriors by power of the likelihood.

    Where the columns fit every row, rows that count more than once repeat a perfect fit: under an improper noise prior
    there may be no posterior of that, and the change is taken on the other side alone.
    """
    found = {_POWERS[0]: _counted(posterior, _POWERS[0])}
    with contextlib.suppress(ImproperPosteriorError):
        found[_POWERS[1]] = _counted(posterior, _POWERS[1])
    return found


def _counted(posterior: Posterior, power: float) -> Posterior:
    if posterior.has_terms:
        engine = posterior.penalties.counted(power)
    else:
        spectrum = rows_counted(posterior.spectrum, power, posterior.design.n_flat)
        design = replace(posterior.design, total_weight=posterior.design.total_weight * power)
        engine = SpectralEngine(design, spectrum)
    return replace(posterior, engine=engine, hyper=infer_hyper(engine, posterior.prior, posterior.noise_prior))


# -- distances -----------------------------------------------------------------------------------------------------


def _coefficient(j: int, posterior: Posterior) -> Distribution:
    return _linear(posterior.coefficients.take(slice(j, j + 1)))


def _quantities(posterior: Posterior, *, coefficients: bool) -> list[tuple[str, Callable[[Posterior], Distribution]]]:
    """Names, and what reads the cdf of a quantity from a posterior together with points that span it."""
    names = list(posterior.scales) if posterior.has_terms else ["lambda", "sigma", "R2"]
    found: list[tuple[str, Callable[[Posterior], Distribution]]] = [
        (name, partial(_scale, name)) for name in names
        if not name.startswith("tau") and not isinstance(posterior.scales[name], PointMass)
    ]  # fmt: skip
    if not coefficients:
        return found
    design = posterior.design
    if design.fit_intercept:
        found.append(("intercept", lambda p: _linear(p.intercept)))
    constant = set(design.constant.tolist())
    found += [
        (design.names[j], partial(_coefficient, j))
        for j in np.arange(design.n_columns)[single_columns(design)].tolist() if j not in constant
    ]  # fmt: skip
    return found


def _scale(name: str, posterior: Posterior) -> Distribution:
    return _scalar(posterior.scales[name], logarithm=name.startswith(("lambda", "sigma")))


def _scalar(marginal: Any, *, logarithm: bool) -> Distribution:
    def span() -> Array:
        low, high = (float(end) for end in marginal.quantile(np.array([_TAIL, 1.0 - _TAIL])))
        return np.linspace(np.log(low), np.log(high), _POINTS) if logarithm else np.linspace(low, high, _POINTS)

    return (lambda x: np.asarray(marginal.cdf(np.exp(x)))) if logarithm else marginal.cdf, span


def _linear(one: MixtureQuantity) -> Distribution:
    mixture = one.mixture

    def cdf(x: Array) -> Array:
        wide = (len(x), mixture.location.shape[1])
        location, scale = np.broadcast_to(mixture.location, wide), np.broadcast_to(mixture.scale, wide)
        return Mixture(location, scale, mixture.weight, mixture.df).cdf(x)

    return cdf, lambda: np.linspace(one.quantile(_TAIL)[0], one.quantile(1.0 - _TAIL)[0], _POINTS)


def change(base: Distribution, scaled: dict[float, Distribution]) -> tuple[float, float]:
    """Distance, and shift of the mean in sds, per doubling: the average over the powers."""
    cdf, span = base
    x = span()
    p = cdf(x)
    distances, means = [], []
    for power, other in scaled.items():
        q = other[0](x)
        distances.append(cumulative_jensen_shannon(x, p, q) / abs(np.log2(power)))
        means.append(float(np.trapezoid(p - q, x)) / np.log2(power))  # E = integral of the survival function
    mean = float(np.trapezoid(1.0 - p, x)) + x[0]
    second = x[0] ** 2 + float(np.trapezoid(2.0 * x * (1.0 - p), x))
    sd = np.sqrt(max(second - mean**2, 0.0))
    return float(np.mean(distances)), float(np.mean(means) / sd) if sd > 0 else 0.0


def cumulative_jensen_shannon(x: Array, p: Array, q: Array) -> float:
    """Cumulative Jensen-Shannon distance of two distribution functions on a grid: the larger over x and -x.

    Nguyen and Vreeken (2015); the square root of the symmetrised divergence over its bound, between 0 and 1.
    """
    return max(_one_sided(x, p, q), _one_sided(x, 1.0 - p, 1.0 - q))


def _one_sided(x: Array, p: Array, q: Array) -> float:
    middle = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the linear terms of the two directions cancel in the sum
        both = np.where(p > 0, p * np.log2(p / middle), 0.0) + np.where(q > 0, q * np.log2(q / middle), 0.0)
    bound = float(np.trapezoid(p + q, x))
    return float(np.sqrt(max(float(np.trapezoid(both, x)), 0.0) / bound)) if bound > 0 else 0.0


def _some(names: tuple[str, ...], most: int = 4) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
