"""A report card on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bayesridge.posteriors.summary import describe_data, describe_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayesridge.checks.report_card import ReportCard

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
    console.print("[bold]Can this fit be trusted?[/bold]")
    console.print(escape(f"  {describe_data(card.posterior)}"))
    console.print(escape(f"  prior: {describe_model(card.posterior)}"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 1, 0), show_header=False)
    table.add_column("check", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("finding", overflow="fold")
    for entry in card.entries:
        status = f"[{_STYLE[entry.status]}]{entry.status}[/]"
        table.add_row(escape(entry.key), status, f"[bold]{escape(entry.question)}[/bold]\n{escape(entry.text)}")
    console.print(table)
    console.print(f"[bold]Verdict[/bold]  {escape(card.verdict)}")
    for message in warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(message)}")
    for path in saved:
        console.print(f"wrote {escape(path)}", soft_wrap=True)
