"""The command line: ``bayesridge look TABLE``, ``fit``, ``predict``, ``choose``, ``validate``, ``report``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bayesridge.cli.choose import choose
from bayesridge.cli.fit import fit
from bayesridge.cli.look import look
from bayesridge.cli.predict import predict
from bayesridge.cli.report import report
from bayesridge.cli.validate import validate

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Bayesian ridge regression with the exact posterior, lambda included.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from bayesridge import __version__

        typer.echo(f"bayesridge {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Bayesian ridge regression with the exact posterior, lambda included.

    Exit codes of all commands: 0 done, 1 the table, the priors, the options or the disk do not allow it (one line on
    stderr says why), 2 the command line itself is wrong, 130 interrupted, 143 terminated.
    """


for _command in (look, fit, predict, choose, validate, report):
    app.command()(_command)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name that a terminal cannot show
    app()
