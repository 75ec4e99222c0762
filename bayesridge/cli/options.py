"""What the commands share: the options that describe data and priors, and how errors and warnings are shown."""

from __future__ import annotations

import inspect
import json
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, get_type_hints

import typer

if TYPE_CHECKING:
    from bayesridge.design.accumulate import Files

# Only what --help needs is imported here; the rest waits until there is something to do.

PRIORS = (
    "r2:0.5,0.5 | half-cauchy:1 | half-t:3,1 | half-normal:1 (these three also ...@tau) | lognormal:10,1 | "
    "gamma:2,0.1 | gamma-precisions:a,b,c,d | fixed:10 | fixed-tau:2 | fixed-scales:1,2"
)

Level = Annotated[float, typer.Option(help="Probability of the equal-tailed intervals.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is random.")]
Encoding = Annotated[
    str | None, typer.Option(help="Of a text file, as latin-1: UTF-8 if left out, Latin-1 where it is none.")
]
DecimalMark = Annotated[
    Literal[".", ","] | None, typer.Option(help="Before decimals; what the numbers show, if left out.")
]
FamilyName = Annotated[
    Literal["gaussian", "student", "poisson", "negative-binomial", "binomial", "probit"],
    typer.Option(
        "--family", help="What the target is: a number (student: with outliers), a count, successes or labels."
    ),
]
Positive = Annotated[
    str | None, typer.Option(help="Of a target of two labels (--family binomial): the one that is modelled.")
]
Offset = Annotated[
    str | None, typer.Option(help="Of counts: an expression added to the linear predictor, as log(exposure).")
]
Trials = Annotated[str | None, typer.Option(help="Column with the numbers of trials of --family binomial.")]
Missing = Annotated[Literal["error", "drop"], typer.Option(help="What to do with rows that have missing values.")]
Drop = Annotated[list[str] | None, typer.Option(help="Column to leave out; may be repeated.", metavar="<str>")]
Jobs = Annotated[int, typer.Option(help="Processes for long work (-1: one a core).")]


@dataclass(frozen=True)
class Model:
    """The options of every command that say what the data and the priors are."""

    table: Annotated[Path, typer.Argument(help="CSV (also .tsv, .csv.gz) or Parquet file (fit: or a folder of them).")]
    target: Annotated[str | None, typer.Option(help="Name of the target column (or name it in the formula).")] = None
    formula: Annotated[str | None, typer.Option(help="As 'bmi * sex + C(site)'; all other columns if left out.")] = None
    prior: Annotated[str | None, typer.Option(help=PRIORS)] = None
    noise: Annotated[
        str | None, typer.Option(help="jeffreys | inverse-gamma:2,1 | half-t:3,1 | half-normal:1 | fixed:1")
    ] = None
    weights: Annotated[str | None, typer.Option(help="Name of a column of weights.")] = None
    weight_kind: Annotated[
        Literal["frequency", "precision", "survey"],
        typer.Option(help="A row counted w times; noise variance sigma²/w; or w units of a population."),
    ] = "frequency"
    unpenalized: Annotated[
        list[str] | None, typer.Option(help="Column with a flat prior; may be repeated.", metavar="<str>")
    ] = None
    drop: Drop = None
    encoding: Encoding = None
    decimal: DecimalMark = None
    missing: Missing = "error"
    no_scale: Annotated[bool, typer.Option("--no-scale", help="Do not scale the columns to unit sd.")] = False
    no_intercept: Annotated[bool, typer.Option("--no-intercept", help="Fit without an intercept.")] = False

    def read(self, *, trials: str | None = None) -> dict[str, Any]:
        """Read the table; return keyword arguments ``X, y, formula, prior, ...`` of :func:`bayesridge.posterior`.

        Parameters
        ----------
        trials : str, optional
            Name of the column of trials, which are taken from the table.

        Raises
        ------
        DataError
            If the file cannot be read or has no such columns.
        PriorError
            If a prior cannot be read.
        """
        from bayesridge.errors import DataError
        from bayesridge.tables.columns import quoted_list
        from bayesridge.tables.files import read_table, take_column

        asked = self._asked()
        with working(f"reading {self.table}"):
            frame = read_table(self.table, encoding=self.encoding, decimal=self.decimal, drop=self.drop or [])
        w = None
        if self.weights is not None:
            frame, w = take_column(frame, self.weights, "weights")
        m = None
        if trials is not None:
            frame, m = take_column(frame, trials, "trials")
        y = None
        left, tilde, _ = (self.formula or "").partition("~")
        if tilde and self.target == left.strip().strip("`"):
            pass  # the formula takes it
        elif self.target is not None:
            frame, y = take_column(frame, self.target, "target")
        elif self.formula is None or "~" not in self.formula:
            raise DataError(f"name the target column with --target; the table has {quoted_list(frame.columns)}")
        return {"X": frame, "y": y, "weights": w, **asked, **({} if m is None else {"trials": m})}

    def in_batches(self, files: Files) -> dict[str, Any]:
        """Return what :meth:`read` does for files that are read in batches of rows."""
        left, tilde, _ = (self.formula or "").partition("~")
        y = None if tilde and self.target == left.strip().strip("`") else self.target
        if self.encoding is not None or self.decimal is not None:
            from bayesridge.errors import DataError

            raise DataError("files in batches are UTF-8 with decimal points: leave --encoding and --decimal out")
        return {"X": files, "y": y, "weights": self.weights, **self._asked()}

    def _asked(self) -> dict[str, Any]:
        from bayesridge.cli.prior_text import parse_noise, parse_prior

        return {
            "formula": self.formula, "prior": None if self.prior is None else parse_prior(self.prior),
            "noise_prior": None if self.noise is None else parse_noise(self.noise),
            "weight_kind": self.weight_kind, "fit_intercept": not self.no_intercept, "scale": not self.no_scale,
            "unpenalized": self.unpenalized or [], "missing": self.missing,
        }  # fmt: skip


def with_classes(
    data: dict[str, Any], family: str, positive: str | None
) -> tuple[dict[str, Any], tuple[Any, Any] | None]:
    """Turn a target of two labels into zeros and ones.

    Returns
    -------
    data : dict
        Arguments of :func:`bayesridge.posterior`; the target's name says which label is 1.
    classes : tuple of two or None
        None where the target is no label: another family, trials, or the numbers 0 and 1 themselves.
    """
    from bayesridge.errors import DataError
    from bayesridge.tables.labels import read_labels, split_target

    if family not in ("binomial", "probit") or "trials" in data:
        if positive is not None:
            raise DataError("--positive names one of two labels: it is for --family binomial or probit without trials")
        return data, None
    formula, X, y = data["formula"], data["X"], data["y"]
    if y is None:
        try:
            formula, X, y = split_target(formula, X, None)
        except DataError:  # an expression: it makes numbers
            return data, None
    if positive is None and y.dropna().isin([0, 1]).all():
        return data, None
    labels = read_labels(y, positive)
    target = type(y)(labels.codes, index=y.index, name=labels.name)
    return {**data, "formula": formula, "X": X, "y": target}, labels.classes


def command(run: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function of a :class:`Model` and options of its own: typer sees all of them.

    Where data, priors, options or the disk do not allow it, the command ends with exit code 1 and one line on stderr;
    when it is interrupted, with 130, terminated, with 143.
    """
    hints = get_type_hints(run, include_extras=True)
    own = list(inspect.signature(run).parameters.values())[1:]
    shared = [(field.name, field.default) for field in fields(Model)]
    types = {**get_type_hints(Model, include_extras=True), **hints}
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=types[name],
            default=inspect.Parameter.empty if default is MISSING else default,
        )
        for name, default in [*shared, *((one.name, one.default) for one in own)]
    ]  # fmt: skip

    @wraps(run)
    def called(**options: Any) -> None:
        model = Model(**{name: options.pop(name) for name, _ in shared})
        with one_line_errors(model.target):
            run(model, **options)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


class _Stopped(BaseException):
    """A signal ends the command.

    Not a KeyboardInterrupt: that tells simulations and samplers to go on with what they have.
    """


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    for each, usual in _USUAL.items():  # a second signal does not wait for what is being cleared away
        signal.signal(each, usual)
    raise _Stopped(number)


_USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM end the command (only the main thread may say so, and only it is told)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in _USUAL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def one_line_errors(target: str | None = None) -> Iterator[None]:
    """End the command with one line on stderr where it cannot go on, its advice in options of the command line."""
    from bayesridge.errors import BayesRidgeError

    try:
        with _signals_stop():
            yield
    except BrokenPipeError:  # of the terminal, as in `| head`: typer knows
        raise
    except BayesRidgeError as error:
        text, code = str(error), 1
    except OSError as error:
        text, code = (f"{error.filename}: {error.strerror}" if error.filename else str(error)), 1
    except MemoryError as error:
        text, code = f"not enough memory: {error}", 1
    except KeyboardInterrupt:
        text, code = "interrupted; no result is half-written", 130
    except _Stopped as stopped:
        number = stopped.args[0]
        text = f"{'interrupted' if number == signal.SIGINT else 'terminated'}; no result is half-written"
        code = 128 + number
    else:
        return
    typer.echo(f"bayesridge: {in_options(' '.join(text.split()), target)}", err=True)
    raise typer.Exit(code)


@contextmanager
def collected_warnings(into: list[str]) -> Iterator[None]:
    """Collect the texts of warnings, each once, to be shown with the result."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = dict.fromkeys(in_options(str(item.message)) for item in caught)
    into.extend(text for text in found if text not in into)


#: What Python's arguments are called on the command line; any other ``name="value"`` is ``--name value``.
_FLAGS = (
    (re.compile(r"fit_intercept=False"), "--no-intercept"),
    (re.compile(r"scale=False"), "--no-scale"),
    (re.compile(r"\bunpenalized=\[[^]]*\]"), "--unpenalized COLUMN"),
    (
        re.compile(r"\bmethod='fixed' needs one of lam=\.\.\. and a fixing prior"),
        "--method fixed needs a fixing --prior",
    ),
    (re.compile(r"\(- ([^()]*)\)"), r"(--drop '\1')"),
    (re.compile(r"Leave dates out"), "Leave dates out (--drop NAME)"),
    (re.compile(r"""\b(formula)=(["'].*?["'])"""), r"--\1 \2"),
    (
        re.compile(r"""\b(missing|encoding|decimal|drop|method|level|offset|trials)=["']?([^\s"',;)]*)["']?"""),
        r"--\1 \2",
    ),
)

_VALUES = {"encoding": "NAME", "offset": "EXPRESSION", "trials": "COLUMN"}


def in_options(text: str, target: str | None = None) -> str:
    """Say with options what a message says with arguments of Python's functions."""
    for pattern, flag in _FLAGS:
        text = pattern.sub(flag, text)
    if target is not None:
        text = text.replace('"y ~ ."', f'"{target} ~ ."' if target.isidentifier() else f"'`{target}` ~ .'")
    return re.sub(r"--(encoding|offset|trials) \.\.\.", lambda found: f"--{found[1]} {_VALUES[found[1]]}", text)


@contextmanager
def working(what: str) -> Iterator[Callable[[int, int | None, float], None]]:
    """Say on a terminal what is being done, while it is done; what is given may be told how far it is, in rows."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(what, spinner="dots" if console.encoding.startswith("utf") else "line") as status:

        def counted(done: int, rows: int | None, rate: float) -> None:
            of = "" if rows is None else f" of {rows:,}"
            status.update(f"{what}: {done:,}{of} rows, {rate:,.0f} a second")

        yield counted


def echo_json(record: dict[str, Any]) -> None:
    """Print a record as JSON, in ASCII where the output has nothing else."""
    text = as_text(record)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(record, indent=2)
    typer.echo(text)


def as_text(record: dict[str, Any]) -> str:
    """Write a record as JSON."""
    return json.dumps(record, indent=2, ensure_ascii=False)
