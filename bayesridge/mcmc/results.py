"""Tables and texts of a sampled posterior, in the layout of the exact ones, with Monte Carlo errors beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesridge.linalg.design import Design
from bayesridge.mcmc.sampling import NutsResult
from bayesridge.posteriors.summary import interval_names, number

if TYPE_CHECKING:
    import pandas as pd

#: Pareto shape above which the importance sampling of a row is not to be trusted.
PARETO_LIMIT = 0.7


def drawn_coefficient_table(result: NutsResult, level: float = 0.95) -> pd.DataFrame:
    """Posterior of the intercept and the coefficients, in the units of the data.

    Parameters
    ----------
    result : NutsResult
    level : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        One row each; columns mean, sd, interval ends, ``P(>0)``, ``mcse`` (standard error of the mean that comes from
        the finite chain), ``ess_bulk`` and ``ess_tail`` (effective draws for the mean, for the 5% and 95% quantiles).
    """
    import arviz as az
    import pandas as pd

    posterior = result.datatree["posterior"].to_dataset()
    low, high = interval_names(level)
    probs = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    columns = {"intercept": posterior["intercept"].values} if "intercept" in posterior else {}
    coef = posterior["coef"]
    columns |= {str(name): coef.values[..., j] for j, name in enumerate(coef["feature"].values)}
    rows = []
    for values in columns.values():
        ends = np.quantile(values, probs)
        # a column without spread has coefficient zero in every draw: no chain to judge
        error, bulk, tail = 0.0, float(values.size), float(values.size)
        if (values != values.flat[0]).any():
            error = float(az.mcse(values, method="mean"))
            bulk = float(az.ess(values, method="bulk"))
            tail = float(az.ess(values, method="tail", prob=(0.05, 0.95)))
        above = float((values > 0).mean())
        rows.append([float(values.mean()), float(values.std(ddof=1)), ends[0], ends[1], above, error, bulk, tail])
    names = ["mean", "sd", low, high, "P(>0)", "mcse", "ess_bulk", "ess_tail"]
    return pd.DataFrame(rows, index=list(columns), columns=names)


def drawn_hyper_table(result: NutsResult, level: float = 0.95) -> pd.DataFrame:
    """Posterior of lambda, sigma, tau, R² and the effective degrees of freedom.

    Parameters
    ----------
    result : NutsResult
    level : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        Columns mean, sd, median, and the ends of the equal-tailed interval. Mean and sd of lambda and tau are NaN:
        under heavy-tailed priors they are infinite, and an average of draws would not show it.
    """
    import pandas as pd

    posterior = result.datatree["posterior"].to_dataset()
    low, high = interval_names(level)
    names = {"lambda": "lambda_", "sigma": "sigma", "tau": "tau", "R2": "r2", "effective dof": "effective_dof"}
    rows = {}
    for label, name in names.items():
        values = posterior[name].values
        ends = np.quantile(values, [0.5, 0.5 * (1.0 - level), 0.5 * (1.0 + level)])
        known = bool((values == values.flat[0]).all()) or name not in ("lambda_", "tau")
        moments = [float(values.mean()), float(values.std(ddof=1))] if known else [np.nan, np.nan]
        rows[label] = [*moments, *(float(end) for end in ends)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd", "median", low, high])


def how_sampled(result: NutsResult) -> list[str]:
    """Say what was sampled, how long that took, and what to think of the chains."""
    sizes = result.datatree["posterior"].sizes
    draws = f"{sizes['chain']} chains of {sizes['draw']} draws" if sizes["chain"] > 1 else f"{sizes['draw']} draws"
    seconds = f"compiled in {result.compile_seconds:.1f} s, sampled in {result.sampling_seconds:.1f} s"
    ess, where = worst_ess(result)
    lines = [
        f"NUTS ({result.sampler}) on the model {result.model_name}: {draws}; {seconds}",
        f"effective draws: {ess:.0f} of the slowest parameter ({where}), {ess / result.sampling_seconds:.0f} a second",
        f"chains: {result.verdict}",
    ]
    wrong = result.diagnostics[result.diagnostics["verdict"] != "ok"]
    for check, row in wrong.iterrows():
        at = f" ({row['where']})" if row["where"] else ""
        value = float(row["value"])
        shown = f"{value:.0f}" if value.is_integer() else number(value)
        lines.append(f"{check} {shown}{at}, should be {row['limit']}: {row['remedy']}")
    return lines


def worst_ess(result: NutsResult) -> tuple[float, str]:
    """Return the smaller of the bulk and the tail ESS of the parameter that has the smallest, and its name."""
    checks = result.diagnostics.loc[["ESS bulk", "ESS tail"]]
    values = checks["value"].to_numpy(dtype=np.float64)
    return float(values.min()), str(checks["where"].iloc[int(values.argmin())])


def drawn_at_a_glance(design: Design, result: NutsResult, most: int = 12) -> str:
    """Return the result on one screen: chains, lambda, noise, and the first coefficients."""
    table, scales = drawn_coefficient_table(result), drawn_hyper_table(result)
    low, high = interval_names(0.95)
    middle, lower, upper = map(number, scales.loc["lambda", ["median", low, high]].to_numpy(dtype=np.float64))
    sigma, dof = map(number, scales.loc[["sigma", "effective dof"], "median"].to_numpy(dtype=np.float64))
    lines = [
        "Bayesian ridge regression (sampled posterior)",
        *(f"  {line}" for line in how_sampled(result)),
        f"  {design.target_name}: prior {result.datatree.attrs['prior']}; noise {result.datatree.attrs['noise_prior']}",
        f"  lambda = {middle} (posterior median; 95% ETI {lower} to {upper})",
        f"  sigma = {sigma}, effective dof = {dof} (medians; dof without intercept)",
        table.head(most).to_string(float_format=lambda value: f"{value:.4g}"),
    ]
    if len(table) > most:
        lines.append(f"... the first {most} rows of {len(table)}; all in summary()")
    return "\n".join(lines)


def drawn_record(design: Design, result: NutsResult, level: float = 0.95) -> dict[str, Any]:
    """Everything of a sampled fit that fits in JSON."""
    attrs = result.datatree.attrs
    sizes = result.datatree["posterior"].sizes
    record: dict[str, Any] = {
        "bayesridge_version": attrs["bayesridge_version"],
        "target": design.target_name,
        "n_rows": design.n_rows,
        "n_observations": design.n_obs,
        "n_dropped": design.n_dropped,
        "weight_kind": design.weighting,
        "method": "nuts",
        "prior": attrs["prior"],
        "noise_prior": attrs["noise_prior"],
        "interval": f"{100 * level:g}% ETI",
        "coefficients": drawn_coefficient_table(result, level).to_dict(orient="index"),
        "hyperparameters": drawn_hyper_table(result, level).to_dict(orient="index"),
        "sampling": {
            "sampler": result.sampler, "model": result.model_name, "chains": sizes["chain"], "draws": sizes["draw"],
            "compile_seconds": result.compile_seconds, "sampling_seconds": result.sampling_seconds,
            "interrupted": result.interrupted,
        },
        "verdict": result.verdict,
        "diagnostics": result.diagnostics.to_dict(orient="index"),
    }  # fmt: skip
    loo = psis_loo(design, result)
    return record | ({"loo": loo} if loo else {})


def psis_loo(design: Design, result: NutsResult) -> dict[str, float] | None:
    """Leave-one-out by Pareto-smoothed importance sampling; None for counted rows, which it cannot leave out singly."""
    if design.weights is not None and design.weight_kind == "frequency":
        return None
    import warnings

    import arviz as az

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)  # counted below
        found = az.loo(result.datatree, pointwise=True)
    bad = int((np.asarray(found.pareto_k) > PARETO_LIMIT).sum())
    return {"elpd_loo": float(found.elpd), "se": float(found.se), "p_loo": float(found.p), "bad_rows": bad}
