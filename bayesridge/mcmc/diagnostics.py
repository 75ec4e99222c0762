"""What to think of Markov chains: a table of checks, each with its limit, a verdict and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]
Verdict = Literal["ok", "doubtful", "bad"]

#: Limits of Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021), Bayesian Analysis 16; energy: Betancourt (2016).
R_HAT_LIMIT, R_HAT_BAD = 1.01, 1.05
ESS_PER_CHAIN, ESS_PER_CHAIN_BAD = 100.0, 25.0
BFMI_LIMIT, BFMI_BAD = 0.3, 0.1
DIVERGENT_SHARE_BAD = 0.01

_LONGER = "draw more (the sampler's draws and tune)"
_COLLAPSE = "for a Gaussian ridge take method='posterior' or collapsed=True"


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes
    ----------
    check : str
    value : float
    where : str
        The parameter or chain with the worst value.
    limit : str
    verdict : {"ok", "doubtful", "bad"}
    remedy : str
        What to do; empty when nothing is to be done.
    """

    check: str
    value: float
    where: str
    limit: str
    verdict: Verdict
    remedy: str


def diagnose(posterior: xr.Dataset, sample_stats: xr.Dataset | None, *, missing: str = "") -> pd.DataFrame:
    """Check chains.

    Parameters
    ----------
    posterior : xarray.Dataset
        Draws with dimensions chain and draw. Constant parameters are passed over.
    sample_stats : xarray.Dataset or None
        The sampler's record; ``diverging``, ``energy`` and ``reached_max_treedepth`` (nutpie: ``maxdepth_reached``) are
        used where present.
    missing : str
        What had been asked for (as "4 x 1000"), if the sampler was stopped before that; otherwise empty.

    Returns
    -------
    pandas.DataFrame
        Indexed by check: value, where, limit, verdict and remedy; the worst verdict in ``attrs["verdict"]``.
    """
    import pandas as pd

    checks = [*_convergence(posterior), *([] if sample_stats is None else _hamiltonian(sample_stats))]
    if missing:
        n = posterior.sizes["chain"] * posterior.sizes["draw"]
        what = "interrupted: the sampler was stopped early, this is what it had drawn"
        checks.append(Check("draws kept", float(n), "", missing, "doubtful", what))
    table = pd.DataFrame([vars(check) for check in checks]).set_index("check")
    table.attrs["verdict"] = overall(checks)
    return table


def overall(checks: list[Check]) -> Verdict:
    """Worst of the verdicts."""
    found = {check.verdict for check in checks}
    if "bad" in found:
        return "bad"
    return "doubtful" if "doubtful" in found else "ok"


def _grade(*, ok: bool, bad: bool) -> Verdict:
    if ok:
        return "ok"
    return "bad" if bad else "doubtful"


# -- convergence: any Markov chain ---------------------------------------------------------------------------------


def _convergence(posterior: xr.Dataset) -> list[Check]:
    import arviz as az

    moving = posterior[[name for name, values in posterior.data_vars.items() if _moves(values)]]
    chains = posterior.sizes["chain"]
    checks: list[Check] = []
    if chains > 1:
        r_hat, where = _extreme(az.rhat(moving), np.nanmax)
        verdict = _grade(ok=r_hat <= R_HAT_LIMIT, bad=not r_hat <= R_HAT_BAD)
        remedy = (
            f"chains disagree: {_LONGER}; if it stays, there are several modes or a bad parametrisation; {_COLLAPSE}"
        )
        checks.append(Check("R-hat", r_hat, where, f"<= {R_HAT_LIMIT}", verdict, "" if verdict == "ok" else remedy))
    else:
        remedy = "one chain cannot be held against others: use chains=4"
        checks.append(Check("R-hat", np.nan, "", f"<= {R_HAT_LIMIT}", "doubtful", remedy))
    # ArviZ's own default for the tail is another pair of quantiles
    for kind, of, prob in (("bulk", "means", None), ("tail", "5% and 95% quantiles", (0.05, 0.95))):
        ess, where = _extreme(az.ess(moving, method=kind, prob=prob), np.nanmin)
        verdict = _grade(ok=ess >= ESS_PER_CHAIN * chains, bad=not ess >= ESS_PER_CHAIN_BAD * chains)
        remedy = "" if verdict == "ok" else f"{of} are not yet reliable: {_LONGER}; {_COLLAPSE}"
        checks.append(Check(f"ESS {kind}", ess, where, f">= {ESS_PER_CHAIN * chains:.0f}", verdict, remedy))
    return checks


def _moves(values: xr.DataArray) -> bool:
    a = values.values
    return a.size > 0 and np.issubdtype(a.dtype, np.floating) and bool((a != a[:1, :1]).any())


def _extreme(found: Any, of: Any) -> tuple[float, str]:
    """Worst value over all parameters, and the label it belongs to."""
    dataset = found["posterior"].to_dataset() if hasattr(found, "children") and "posterior" in found else found
    worst, where = np.nan, ""
    for name, values in dataset.data_vars.items():
        a = np.asarray(values.values, dtype=np.float64)
        if np.isnan(a).all():
            continue
        extreme = float(of(a))
        if np.isnan(worst) or of([worst, extreme]) != worst:
            index = np.unravel_index(int(np.flatnonzero(a.ravel() == extreme)[0]), a.shape)
            labels = [str(values[dim].values[i]) for dim, i in zip(values.dims, index, strict=True)]
            worst, where = extreme, f"{name}[{', '.join(labels)}]" if labels else str(name)
    return worst, where


# -- Hamiltonian Monte Carlo ---------------------------------------------------------------------------------------


def _hamiltonian(stats: xr.Dataset) -> list[Check]:
    checks: list[Check] = []
    if "diverging" in stats:
        diverging = stats["diverging"].values
        count = int(diverging.sum())
        verdict = _grade(ok=count == 0, bad=count > DIVERGENT_SHARE_BAD * diverging.size)
        remedy = (
            "the chains cannot follow part of the posterior and may be biased: raise target_accept to 0.95 or 0.99, "
            f"try the other of centred and non-centred; {_COLLAPSE}"
        )
        checks.append(Check("divergences", count, "", "0", verdict, "" if verdict == "ok" else remedy))
    deepest = next((name for name in ("reached_max_treedepth", "maxdepth_reached") if name in stats), None)
    if deepest is not None:
        share = float(np.mean(stats[deepest].values))
        verdict = _grade(ok=share == 0.0, bad=share > 0.5)
        remedy = f"correct but slow, coefficients are strongly correlated: {_COLLAPSE}; or drop duplicate columns"
        checks.append(Check("at maximum tree depth", share, "", "0", verdict, "" if verdict == "ok" else remedy))
    if "energy" in stats:
        energy = stats["energy"].values
        moves = np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1)
        worst = int(np.argmin(moves))
        verdict = _grade(ok=moves[worst] >= BFMI_LIMIT, bad=moves[worst] < BFMI_BAD)
        remedy = f"the chains explore the scales slowly (heavy tails or a funnel): use centred=False; {_COLLAPSE}"
        place = f"chain {worst}"
        checks.append(
            Check("BFMI", float(moves[worst]), place, f">= {BFMI_LIMIT}", verdict, "" if verdict == "ok" else remedy)
        )
    return checks
