"""What the commands share: the options that describe the data, and how they become the arguments of a fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from bayesridge.priors import NoisePrior, Prior

# Only what --help needs is imported here; the rest waits until there is something to do.

PRIORS = (
    "r2:0.5,0.5 | half-cauchy:1 | half-t:3,1 | half-normal:1 (these three also ...@tau) | lognormal:10,1 | "
    "gamma:2,0.1 | gamma-precisions:a,b,c,d | fixed:10 | fixed-tau:2 | fixed-scales:1,2"
)

TableFile = Annotated[Path, typer.Argument(help="CSV (also .tsv, .csv.gz) or Parquet file.")]
Target = Annotated[str | None, typer.Option(help="Name of the target column (or name it in the formula).")]
Formula = Annotated[str | None, typer.Option(help="As 'bmi * sex + C(site)'; all other columns if left out.")]
PriorText = Annotated[str | None, typer.Option("--prior", help=PRIORS)]
NoiseText = Annotated[
    str | None, typer.Option("--noise", help="jeffreys | inverse-gamma:2,1 | half-t:3,1 | half-normal:1")
]
Weights = Annotated[str | None, typer.Option(help="Name of a column of weights.")]
WeightMeaning = Annotated[
    Literal["frequency", "precision"], typer.Option(help="A row counted w times, or noise variance sigma²/w.")
]
Unpenalized = Annotated[list[str] | None, typer.Option(help="Column with a flat prior; may be repeated.")]
Drop = Annotated[list[str] | None, typer.Option(help="Column to leave out; may be repeated.")]
Missing = Annotated[Literal["error", "drop"], typer.Option(help="What to do with rows that have missing values.")]
NoScale = Annotated[bool, typer.Option("--no-scale", help="Do not scale the columns to unit sd.")]
NoIntercept = Annotated[bool, typer.Option("--no-intercept", help="Fit without an intercept.")]
Level = Annotated[float, typer.Option(help="Probability of the equal-tailed intervals.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is random.")]
Jobs = Annotated[int, typer.Option(help="Processes for long work (-1: one a core).")]


@dataclass(frozen=True)
class DataOptions:
    """The options of a command that say what the data are."""

    table: Path
    target: str | None = None
    formula: str | None = None
    weights: str | None = None
    weight_kind: Literal["frequency", "precision"] = "frequency"
    unpenalized: list[str] | None = None
    drop: list[str] | None = None
    missing: Literal["error", "drop"] = "error"
    no_scale: bool = False
    no_intercept: bool = False

    def read(self) -> dict[str, Any]:
        """Read the table; return keyword arguments ``X, y, formula, weights, ...`` as :func:`bayesridge.fit` takes.

        Raises
        ------
        DataError
            If the file cannot be read or has no such columns.
        """
        from bayesridge.errors import DataError
        from bayesridge.tables.files import read_table, take_column

        frame = read_table(self.table)
        w = None
        if self.weights is not None:
            frame, w = take_column(frame, self.weights, "weights")
        for name in self.drop or []:
            frame, _ = take_column(frame, name, "drop")
        y = None
        if self.target is not None:
            frame, y = take_column(frame, self.target, "target")
        elif self.formula is None or "~" not in self.formula:
            raise DataError(f"name the target column with --target; the table has {', '.join(map(str, frame.columns))}")
        return {
            "X": frame,
            "y": y,
            "formula": self.formula,
            "weights": w,
            "weight_kind": self.weight_kind,
            "fit_intercept": not self.no_intercept,
            "scale": not self.no_scale,
            "unpenalized": self.unpenalized or [],
            "missing": self.missing,
        }


def read_priors(prior: str | None, noise: str | None) -> tuple[Prior | None, NoisePrior | None]:
    """Parse the texts of ``--prior`` and ``--noise`` (None where left out)."""
    from bayesridge.cli.prior_text import parse_noise, parse_prior

    return None if prior is None else parse_prior(prior), None if noise is None else parse_noise(noise)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the command with exit code 1 and one line on stderr where data, priors or options do not fit together."""
    from bayesridge.errors import BayesRidgeError

    try:
        yield
    except (BayesRidgeError, OSError) as error:
        typer.echo(f"bayesridge: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def collected_warnings(into: list[str]) -> Iterator[None]:
    """Collect the texts of warnings, each once, to be shown with the result."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    into.extend(text for text in dict.fromkeys(str(item.message) for item in caught) if text not in into)
