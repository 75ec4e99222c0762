r"""What each term with a penalty of its own is worth: its spread, its share of the variance, its degrees of freedom.

With W_g = S_g / lambda_g (S_g the sum over the term's columns of their mean squares) the term's share of the variance
that is no fixed effect's is ``W_g / (1 + sum of all W)``, the rest is noise; for intercepts of levels it is the
intraclass correlation. Correlated parts of a term are counted apart, without what they have in common. Its effective
degrees of freedom are the diagonal of ``M^-1 X'WX = I - M^-1 S`` at its columns: with the flat directions they add up
to the trace of the hat matrix. Both are functions of the lambdas alone, and averaged over their nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.reml import Estimate
from bayesridge.posteriors.quantity import interval_names

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_STARTS = 501  # lower ends that are tried
_NOTHING = 1e-6  # of the median: an interval that begins below begins at zero


def term_table(posterior: Any, level: float = 0.95) -> pd.DataFrame:
    """One row a penalty.

    Parameters
    ----------
    posterior : Posterior
        With one lambda or several.
    level : float
        Of the shortest (highest-density) intervals of tau: an equal-tailed one covers zero never.

    Returns
    -------
    pandas.DataFrame
        Columns: median of tau and its HDI (units of the target, per unit of the scaled columns), posterior mean and sd
        of the share of variance, and of the effective degrees of freedom (neither intercept nor fixed effects counted).
    """
    import pandas as pd

    engine, scales = posterior.engine, posterior.scales
    names: tuple[str, ...]
    tau: tuple[str, ...]
    if engine.spectrum is not None:
        blocks = posterior.design.blocks
        names, tau = (blocks[0].name if len(blocks) == 1 else "penalised columns",), ("tau",)
        share, dof = ([(scales[key].mean, scales[key].sd)] for key in ("R2", "effective dof"))
    elif not posterior.has_terms:
        raise DataError("shares and degrees of freedom by term are of penalties on columns")
    else:
        names = engine.names
        tau = tuple([f"tau[{name}]" if f"tau[{name}]" in scales else "tau" for name in names])
        nodes = posterior.hyper.nodes
        share = _moments(nodes.weight, shares(nodes.theta, engine.signals))
        dof = _moments(nodes.weight, engine.dof(nodes.theta))
    low, high = interval_names(level, "HDI")
    rows = []
    for name, of_share, of_dof in zip(tau, share, dof, strict=True):
        rows.append([scales[name].median, *shortest(scales[name], level), *of_share, *of_dof])
    columns = ["tau", low, high, "share of variance", "sd of share", "effective dof", "sd of dof"]
    return pd.DataFrame(rows, index=list(names), columns=columns)


def component_table(found: Estimate, level: float) -> pd.DataFrame:
    """One row for each tau and sigma at the maximum of a likelihood, with Wald and profile intervals."""
    import pandas as pd

    columns: dict[str, Array] = {"estimate": found.values}
    for kind, ends in (("Wald", found.wald(level)), ("profile", found.profile(level))):
        columns |= {f"{100 * level:g}% {kind} low": ends[:, 0], f"{100 * level:g}% {kind} high": ends[:, 1]}
    table = pd.DataFrame(columns, index=list(found.names))
    table.attrs["criterion"] = found.criterion
    return table


def shortest(scale: Any, level: float) -> tuple[float, float]:
    """Ends of the shortest interval of a tau or R^2, which begins at zero where it begins next to it."""
    low, high = scale.hdi(level)
    return (0.0 if 0.0 <= low < _NOTHING * scale.median else low), high


def of_ratio(lam: Any, level: float) -> tuple[float, float]:
    """Ends of the shortest interval of ``tau/sigma = lambda^(-1/2)`` in terms of lambda: to infinity if it has zero."""
    start = np.linspace(0.0, 1.0 - level, _STARTS)
    high, low = lam.quantile(1.0 - start), lam.quantile(np.maximum(1.0 - start - level, 0.0))
    with np.errstate(divide="ignore"):
        best = int(np.argmin(low**-0.5 - high**-0.5))
    reaches_zero = high[best] ** -0.5 < _NOTHING * lam.median**-0.5
    return float(low[best]), float("inf" if reaches_zero else high[best])


def shares(theta: Array, signals: tuple[float, ...]) -> Array:
    """Share of variance of each lambda at theta (K, h), (K, G)."""
    log_w = np.log(np.maximum(signals, 1e-300)) - theta[:, : len(signals)]
    top = np.maximum(log_w.max(axis=1, keepdims=True), 0.0)
    W = np.exp(log_w - top)  # of the largest, so that none overflows
    return np.asarray(W / (np.exp(-top) + W.sum(axis=1, keepdims=True)))


def _moments(weight: Array, values: Array) -> list[tuple[float, float]]:
    mean = weight @ values
    sd = np.sqrt(weight @ np.square(values - mean))
    return list(zip(mean.tolist(), sd.tolist(), strict=True))
