"""The command line: ``bayesridge look TABLE``, ``fit``, ``predict``, ``choose``, ``validate``, ``report``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from bayesridge.cli.choose import choose
from bayesridge.cli.fit import fit
from bayesridge.cli.look import look
from bayesridge.cli.options import one_line_errors
from bayesridge.cli.predict import predict
from bayesridge.cli.report import report
from bayesridge.cli.validate import validate

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's panels cut names of options and examples on narrow terminals
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


#: In the list of commands, where longer lines would be cut.
_SHORT: dict[Callable[..., None], str] = {
    look: "What each column of a table is taken for.",
    fit: "Coefficients, lambda, noise, leave-one-out.",
    predict: "Predictions of a saved model, with intervals.",
    choose: "What every rule for lambda chooses.",
    validate: "Can this fit be trusted? Tests and a verdict.",
    report: "All of it on one page, a slider for lambda.",
}
for _command, _line in _SHORT.items():
    app.command(short_help=_line)(_command)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name that a terminal cannot show
    try:
        with one_line_errors():  # before the command's own begin: Ctrl-C while its options are read
            app()
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
