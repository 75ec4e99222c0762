"""A fit on the terminal: tables by rich, every number with its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.summary import (
    coefficient_table,
    describe_data,
    describe_model,
    evidence_sentences,
    hyper_table,
    interval_names,
    method_name,
    number,
)

if TYPE_CHECKING:
    import pandas as pd

    from bayesridge.mcmc.sampling import NutsResult

_MOST_ROWS = 60


def print_fit(posterior: Posterior, record: dict[str, Any], level: float) -> None:
    """Print what an analyst needs from a fit.

    Parameters
    ----------
    posterior : Posterior
    record : dict
        As from :func:`bayesridge.posteriors.summary.to_record`, with ``warnings`` and perhaps ``saved``.
    level : float
        Probability of the equal-tailed intervals.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]Bayesian ridge regression[/bold]: {method_name(posterior)}")
    console.print(f"  {escape(describe_data(posterior))}")
    console.print(f"  prior: {escape(describe_model(posterior))}\n")
    console.print(_coefficients(coefficient_table(posterior, level), level))
    console.print(_hyperparameters(hyper_table(posterior, level), level))
    for line in _facts(posterior, record):
        console.print(escape(line))
    for message in record.get("warnings", []):
        console.print(f"[yellow]warning:[/yellow] {escape(message)}")
    for path in record.get("saved", []):
        console.print(f"wrote {escape(path)}")


def print_drawn(posterior: Posterior, result: NutsResult, record: dict[str, Any], level: float) -> None:
    """Print a sampled posterior: the same tables from the draws, and what to think of the chains.

    Parameters
    ----------
    posterior : Posterior
        The exact one, for the description of data and priors.
    result : NutsResult
    record : dict
        As from :func:`bayesridge.mcmc.results.drawn_record`, with ``warnings`` and perhaps ``saved``.
    level : float
        Probability of the equal-tailed intervals.
    """
    from bayesridge.mcmc.results import drawn_coefficient_table, drawn_hyper_table, how_sampled

    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold]Bayesian ridge regression[/bold]: posterior sampled by NUTS")
    console.print(f"  {escape(describe_data(posterior))}")
    console.print(f"  prior: {escape(describe_model(posterior))}\n")
    console.print(_coefficients(drawn_coefficient_table(result, level), level))
    console.print(_hyperparameters(drawn_hyper_table(result, level), level))
    console.print("ESS: the smaller of bulk and tail. No mean of lambda and tau: it may be infinite.")
    for line in how_sampled(result):
        console.print(escape(line))
    loo = record.get("loo")
    if loo:
        console.print(
            f"leave-one-out  elpd {loo['elpd_loo']:.2f} (se {loo['se']:.2f}), p_loo {_short(loo['p_loo'])}; importance "
            f"sampling, {loo['bad_rows']} rows not to be trusted"
        )
    for message in record.get("warnings", []):
        console.print(f"[yellow]warning:[/yellow] {escape(message)}")
    for path in record.get("saved", []):
        console.print(f"wrote {escape(path)}")


def _coefficients(frame: pd.DataFrame, level: float) -> Table:
    low, high = interval_names(level)
    table = Table(
        title="Coefficients, units of the data (posterior)", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    sampled = "ess_bulk" in frame
    for name in ("column", "mean", "sd", low, high, "P(>0)", *(["ESS"] if sampled else [])):
        table.add_column(name, justify="left" if name == "column" else "right", no_wrap=True)
    for label, row in list(frame.iterrows())[:_MOST_ROWS]:
        cells = [number(row[name]) for name in ("mean", "sd", low, high)]
        ess = [f"{min(row['ess_bulk'], row['ess_tail']):.0f}"] if sampled else []
        table.add_row(escape(str(label)), *cells, _probability(row["P(>0)"]), *ess)
    if len(frame) > _MOST_ROWS:
        table.caption = f"the first {_MOST_ROWS} of {len(frame)}; --out or --json give all"
    return table


_LABELS = {
    "lambda": "lambda = sigma²/tau²",
    "sigma": "sigma (noise sd)",
    "tau": "tau (prior sd)",
    "R2": "R² (population)",
    "effective dof": "dof, no intercept",
}


def _hyperparameters(frame: pd.DataFrame, level: float) -> Table:
    low, high = interval_names(level)
    table = Table(title="Penalty and noise (posterior)", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "median", "mean", "sd", low, high):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for label, row in frame.iterrows():
        # draws do not tell whether a mean exists: the table of a sampled posterior leaves it out
        cells = ["" if np.isnan(row[name]) else number(row[name]) for name in ("median", "mean", "sd", low, high)]
        table.add_row(_LABELS[str(label)], *cells)
    return table


def _facts(posterior: Posterior, record: dict[str, Any]) -> list[str]:
    lines = [f"evidence       {line}" for line in evidence_sentences(posterior)]
    lines.append(
        f"log p(y)       {record['log_marginal_likelihood']:.3f} nats "
        f"(quadrature error {record['quadrature_error']:.0e})"
    )
    loo = record.get("loo")
    if loo:
        lines.append(
            f"leave-one-out  elpd {loo['elpd_loo']:.2f} (se {loo['se']:.2f}), p_loo {_short(loo['p_loo'])}, "
            f"RMSE {number(loo['rmse'])}; exact, lambda integrated"
        )
    both = record.get("map_vs_ridge")
    if both:
        lines.append(
            f"MAP vs ridge   differ by {both['difference']:.0e} (relative) at sigma {number(both['sigma'])}, "
            f"tau {number(both['tau'])}, lambda = sigma²/tau² = {number(both['lambda'])}"
        )
    condition, spectrum = record["conditioning"], record["spectrum"]
    lines.append(
        f"conditioning   X'X {_short(condition['before'])}, with lambda {_short(condition['lambda'])} "
        f"{_short(condition['after'])}; rank {spectrum['rank']} ({spectrum['route']}: {spectrum['reason']})"
    )
    return lines


def _probability(value: float) -> str:
    if value < 0.0005:
        return "<0.001"
    return ">0.999" if value > 0.9995 else f"{value:.3f}"


def _short(value: Any) -> str:
    """Write a number of the record, where infinity is a word."""
    return "infinity" if value == "Infinity" else f"{float(value):.3g}"
