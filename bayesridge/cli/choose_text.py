"""A comparison of rules on the terminal, as wide as the terminal allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayesridge.posteriors.summary import describe_data, describe_model, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayesridge.rules.comparison_result import LambdaComparison, Row

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
    posterior = comparison.problem.posterior
    console.print(f"[bold]Which lambda[/bold]: {len(comparison.rows) - 1} rules on one spectrum")
    console.print(escape(f"  {describe_data(posterior)}"))
    console.print(escape(f"  prior: {describe_model(posterior)}"))
    console.print(_table(comparison, console.width))
    for line in _legend(comparison, console.width):
        console.print(escape(line), style="dim")
    missing = [row for row in comparison.rows if not row.available]
    for row in missing:
        console.print(escape(f"no answer: {row.label}: {row.note}"))
    console.print()
    console.print(escape(f"Disagreement  {comparison.disagreement}"))
    console.print()
    console.print(f"[bold]Use here[/bold]      {escape(comparison.recommendation)}")
    for message in warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(message)}")
    for path in saved:
        console.print(f"wrote {escape(path)}", soft_wrap=True)


def _table(comparison: LambdaComparison, width: int) -> Table:
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
