"""Hold draws against an exact posterior: every difference in units of its own Monte Carlo standard error."""

import numpy as np
import pandas as pd
from scipy import stats

from bayesridge.hyper.marginal import PointMass
from bayesridge.mcmc.chains import Sampler

#: Largest difference in standard errors; some 100 numbers are compared, seeds are fixed, P(|z| > 4) = 6e-5 each.
LIMIT = 4.0
PROBS = (0.05, 0.5, 0.95)

#: PyMC's own sampler, whatever else is installed.
PYMC = Sampler(name="pymc", progressbar=False)


def compare(posterior, tree):
    """Differences of means, sds and quantiles of all parameters, and of the log likelihood, as a table with z scores.

    lambda and tau are compared by quantiles only: their means may not exist.
    """
    import arviz as az

    drawn = tree["posterior"].to_dataset()
    exact = {}
    names = list(drawn["feature"].values)
    linear = posterior.coefficients
    moving = [j for j in range(len(names)) if linear.sd[j] > 0]
    rows = {f"coef[{names[j]}]": drawn["coef"][..., j] for j in moving}
    exact |= {f"coef[{names[j]}]": _linear(linear, j) for j in moving}
    if "intercept" in drawn:
        rows["intercept"] = drawn["intercept"]
        exact["intercept"] = _linear(posterior.intercept, 0)
    for name in ("sigma", "tau", "lambda_", "r2", "effective_dof"):
        marginal = getattr(posterior, name)
        if isinstance(marginal, PointMass):
            np.testing.assert_allclose(drawn[name].values, marginal.value, rtol=1e-10)
            continue
        rows[name] = drawn[name]
        exact[name] = {f"q{q:g}": float(marginal.quantile(q)) for q in PROBS}
        if name not in ("tau", "lambda_"):
            exact[name] |= {"mean": marginal.mean, "sd": marginal.sd}
    found = [
        (name, *_against(az, rows[name].values, statistic, value))
        for name, values in exact.items()
        for statistic, value in values.items()
    ]
    found += _joint(az, posterior, tree)
    table = pd.DataFrame(found, columns=["parameter", "statistic", "exact", "drawn", "mcse", "exact_mcse"])
    table["z"] = (table["drawn"] - table["exact"]) / np.hypot(table["mcse"], table["exact_mcse"])
    return table


def _linear(linear, j):
    values = {f"q{q:g}": float(linear.quantile(q)[j]) for q in PROBS}
    if np.isfinite(linear.sd[j]):
        values |= {"mean": float(linear.mean[j]), "sd": float(linear.sd[j])}
    return values


def _against(az, values, statistic, value):
    """Statistic, exact value, estimate from (chain, draw) values and its Monte Carlo standard error.

    A quantile is judged by the share of draws below its exact value: the same in first order, and its standard error
    needs no estimate of a density, which would be wrong by a quarter at 4000 draws.
    """
    if statistic == "mean":
        return statistic, value, float(values.mean()), float(az.mcse(values, method="mean")), 0.0
    if statistic == "sd":
        return statistic, value, float(values.std(ddof=1)), float(az.mcse(values, method="sd")), 0.0
    below = (values <= value).astype(float)
    return f"share below {statistic}", float(statistic[1:]), float(below.mean()), _share_error(az, below), 0.0


def _share_error(az, below):
    error = float(az.mcse(below, method="mean"))
    return error if error > 0 else 1.0 / below.size  # no draw, or every draw, is below


def _joint(az, posterior, tree):
    """The log likelihood of all data at a draw: one number that all parameters enter together."""
    drawn = log_likelihood(tree)
    exact = log_likelihood(posterior.to_datatree(draws=4000, chains=4, random_state=2**20, predictive=True))
    rows = []
    for statistic in ("mean", "sd"):
        _, _, value, exact_error, _ = _against(az, exact, statistic, 0.0)
        rows.append(("log likelihood", *_against(az, drawn, statistic, value)[:-1], exact_error))
    for prob in PROBS:
        # the exact draws are independent: their own quantile carries a binomial error
        cut, error = float(np.quantile(exact, prob)), np.sqrt(prob * (1.0 - prob) / exact.size)
        rows.append(("log likelihood", *_against(az, drawn, f"q{prob:g}", cut)[:-1], error))
    return rows


def log_likelihood(tree):
    """Log likelihood of all rows together, at every draw."""
    values = tree["log_likelihood"]["y"].values
    weights = np.ones(values.shape[-1])
    if tree.attrs["weight_kind"] == "frequency":
        weights = tree["constant_data"]["weights"].values
    return values @ weights


def rank_p_value(posterior, tree):
    """P value of uniform ranks of the log likelihood among exact draws, chains thinned to independence."""
    import arviz as az

    drawn = log_likelihood(tree)
    keep = max(1, int(np.ceil(drawn.size / float(az.ess(drawn, method="bulk")))))
    exact = np.sort(
        log_likelihood(posterior.to_datatree(draws=4000, chains=4, random_state=2**20, predictive=True)).ravel()
    )
    ranks = np.searchsorted(exact, drawn[:, ::keep].ravel()) / len(exact)
    return float(stats.kstest(ranks, "uniform").pvalue)


def disagreements(posterior, tree, limit=LIMIT):
    """Rows of the comparison beyond the limit."""
    table = compare(posterior, tree)
    return table[~(table["z"].abs() <= limit)]


def assert_agree(posterior, tree):
    """Fail with the table of what disagrees; chains that are not in order do not count as evidence either way."""
    assert tree.attrs.get("verdict", "ok") == "ok", tree["diagnostics"].to_dataset().to_dataframe().to_string()
    wrong = disagreements(posterior, tree)
    assert wrong.empty, f"beyond {LIMIT} Monte Carlo standard errors:\n{wrong.to_string()}"
    assert rank_p_value(posterior, tree) > 1e-3
