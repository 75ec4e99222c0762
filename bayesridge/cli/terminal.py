"""Results on the terminal: tables by rich, every number with its meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    from bayesridge.checks.card import ReportCard
    from bayesridge.mcmc.posterior import SampledPosterior
    from bayesridge.posteriors.contract import AnyPosterior
    from bayesridge.rules.comparison import LambdaComparison
    from bayesridge.rules.table import Row

_MOST_ROWS = 60


def _open(console: Console, title: str, posterior: AnyPosterior) -> None:
    console.print(title)
    console.print(escape(f"  {describe_data(posterior)}"))
    console.print(escape(f"  prior: {describe_model(posterior)}"))


def _close(console: Console, warnings: Iterable[str], saved: Iterable[str]) -> None:
    for message in warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(message)}")
    for path in saved:
        console.print(f"wrote {escape(path)}", soft_wrap=True)


# -- fit -----------------------------------------------------------------------------------------------------------


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
    _open(console, f"[bold]Bayesian ridge regression[/bold]: {method_name(posterior)}", posterior)
    console.print()
    console.print(_coefficients(coefficient_table(posterior, level), level))
    console.print(_hyperparameters(hyper_table(posterior, level), level))
    for line in _facts(posterior, record):
        console.print(escape(line))
    _close(console, record.get("warnings", []), record.get("saved", []))


def print_drawn(posterior: SampledPosterior, record: dict[str, Any], level: float) -> None:
    """Print a sampled posterior: the same tables from the draws, and what to think of the chains.

    Parameters
    ----------
    posterior : SampledPosterior
    record, level
        As for :func:`print_fit`.
    """
    console = Console(highlight=False, soft_wrap=True)
    _open(console, f"[bold]Bayesian ridge regression[/bold]: {method_name(posterior)}", posterior)
    console.print()
    console.print(_coefficients(coefficient_table(posterior, level), level))
    console.print(_hyperparameters(hyper_table(posterior, level), level))
    console.print("ESS: the smaller of bulk and tail. No mean of lambda and tau: it may be infinite.")
    for line in posterior.check:
        console.print(escape(line))
    loo = record.get("loo")
    if loo:
        console.print(
            f"leave-one-out  elpd {loo['elpd_loo']:.2f} (se {loo['se']:.2f}), p_loo {_short(loo['p_loo'])}; importance "
            f"sampling, {loo['bad_rows']} rows not to be trusted"
        )
    _close(console, record.get("warnings", []), record.get("saved", []))


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
    else:
        lines.append(f"leave-one-out  none: {record['no_loo']}")
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


# -- choose ----------------------------------------------------------------------------------------------------------

#: Columns by the width from which on they are shown.
_COLUMNS = (
    ("rule", 0), ("lambda", 0), ("interval", 0), ("dof", 86), ("sigma", 114), ("|beta|", 122), ("LOO RMSE", 100),
    ("regret", 91), ("elpd", 132), ("elpd - best", 0), ("ms", 107),
)  # fmt: skip


def print_comparison(
    comparison: LambdaComparison,
    *,
    warnings: Sequence[str] = (),
    saved: Sequence[str] = (),
    console: Console | None = None,
) -> None:
    """Print a comparison: the table, rules without an answer, how far the rules disagree, and what to use.

    Parameters
    ----------
    comparison : LambdaComparison
    warnings, saved : sequence of str
        Warnings to repeat, and files that were written.
    console : rich.console.Console, optional
    """
    console = console or Console(highlight=False)
    title = f"[bold]Which lambda[/bold]: {len(comparison.rows) - 1} rules on one spectrum"
    _open(console, title, comparison.problem.posterior)
    console.print(_rules_table(comparison, console.width))
    for line in _legend(comparison, console.width):
        console.print(escape(line), style="dim")
    missing = [row for row in comparison.rows if not row.available]
    for row in missing:
        console.print(escape(f"no answer: {row.label}: {row.note}"))
    console.print()
    console.print(escape(f"Disagreement  {comparison.disagreement}"))
    console.print()
    console.print(f"[bold]Use here[/bold]      {escape(comparison.recommendation)}")
    _close(console, warnings, saved)


def _rules_table(comparison: LambdaComparison, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    columns = [name for name, least in _COLUMNS if width >= least]
    percent = f"{100 * comparison.level:g}%"
    for name in columns:
        title = f"{percent} interval" if name == "interval" else name
        table.add_column(title, justify="left" if name == "rule" else "right", no_wrap=name != "rule")
    for row in comparison.rows:
        if row.available:
            cells = _cells(row)
            table.add_row(*[escape(cells[name]) for name in columns], style="bold" if row.key == "posterior" else None)
    return table


def _cells(row: Row) -> dict[str, str]:
    lam = {"zero": "-> 0", "infinity": "-> inf", "integrated": "integrated"}.get(row.place, number(row.lam))
    interval = row.interval
    ends = "" if interval is None else f"{number(interval.lower)} to {number(interval.upper)} {_mark(interval.kind)}"
    scored = np.isfinite(row.elpd_diff)
    return {
        "rule": row.label.removesuffix(" (lambda integrated)"),
        "lambda": lam,
        "interval": ends,
        "dof": f"{row.effective_dof:.2f}",
        "sigma": number(row.sigma),
        "|beta|": number(row.beta_norm),
        "LOO RMSE": number(row.loo_rmse) if np.isfinite(row.loo_rmse) else "",
        "regret": f"{100 * row.regret:.2f}%" if np.isfinite(row.regret) else "",
        "elpd": f"{row.elpd_loo:.2f}" if scored else "",
        "elpd - best": f"{row.elpd_diff:.2f} ± {row.elpd_diff_se:.2f}" if scored else "",
        "ms": f"{1e3 * row.seconds:.1f}",
    }


def _mark(kind: str) -> str:
    return "p" if kind.startswith("ETI") else "w" if kind.startswith("Wald") else "b" if "bootstrap" in kind else "s"


def _legend(comparison: LambdaComparison, width: int) -> list[str]:
    kinds = dict.fromkeys(row.interval.kind for row in comparison.rows if row.interval is not None)
    named = ", ".join(f"{_mark(kind)} = {100 * comparison.level:g}% {kind}" for kind in kinds)
    lines = [f"intervals: {named or 'none; a bootstrap gives them'}"]
    dof = "dof: effective, intercept not counted; " if width >= 86 else ""
    lines.append(f"{dof}elpd: leave-one-out log density at that lambda, sigma integrated, ± paired standard error")
    if width >= 91:
        lines.append("regret: LOO RMSE over the least that any single lambda reaches, less 1")
    if width >= 114:
        lines.append("sigma: sqrt(Q/nu) at that lambda, posterior median in the first row")
    return lines


# -- validate --------------------------------------------------------------------------------------------------------

_STYLE = {"passed": "green", "alarm": "bold red", "note": "yellow", "not judged": "dim"}


def print_card(
    card: ReportCard, *, warnings: Sequence[str] = (), saved: Sequence[str] = (), console: Console | None = None
) -> None:
    """Print a report card: question, status and finding of each check, and the verdict.

    Parameters
    ----------
    card : ReportCard
    warnings, saved : sequence of str
        Warnings to repeat, and files that were written.
    console : rich.console.Console, optional
    """
    console = console or Console(highlight=False)
    _open(console, "[bold]Can this fit be trusted?[/bold]", card.posterior)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 1, 0), show_header=False)
    table.add_column("check", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("finding", overflow="fold")
    for entry in card.entries:
        status = f"[{_STYLE[entry.status]}]{entry.status}[/]"
        table.add_row(escape(entry.key), status, f"[bold]{escape(entry.question)}[/bold]\n{escape(entry.text)}")
    console.print(table)
    console.print(f"[bold]Verdict[/bold]  {escape(card.verdict)}")
    _close(console, warnings, saved)
