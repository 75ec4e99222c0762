"""Fuzzed words: bytes of a table, formulas, cells of a frame, arguments of the command line."""

import contextlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayesridge.errors import BayesRidgeError, BayesRidgeWarning
from bayesridge.fit import posterior
from bayesridge.tables.files import read_table
from tests.fuzz.cases import Picker
from tests.fuzz.invariants import promised, require

CELLS = (
    "1", "2.5", "-3", "0", "1e300", "-1e-300", "1e999", "nan", "", " ", "NA", "inf", "1,5", "1.234,5", "\u0663,\u0665",
    "\uff11\uff12", "x",
    "=1+1", "TRUE", "'", '"', '"a', "a,b", "\x1b[31m", "\x00", "é", "🙂", "2020-01-01", "0x10", "1_000", "1;2",
    "-", "+",
)  # fmt: skip
NAMES = (
    "a", "b", "c", "x y", "", "a", "é", "1", "a:b", "C(a)", "lambda", "np", "Intercept", "\x07", '"', "`", "=cmd", "y ",
    "y",
)  # fmt: skip
PIECES = (
    "a", "b", "g", "a", "b", "y", "1", "0", "-1", "missing", "C(g)", "C(a)", "a:b", "a*b", "a**2", "a^2", "(a + b)**2",
    "np.log(b)", "np.exp(a)", "scale(a)", "center(a)", "bs(a, df=4)", "poly(a, 2)", "I(a + b)", "I(1/0)", "log(a)",
    "a/b",
    "{a + b}", "`x y`", "(1 | g)", "(a || g)", "s(a)", "offset(a)", "ridge(a, b)", "().__class__", "__import__('os')",
    "np.os", "a.values", "a.__class__", "open('x')", "[a for a in b]", "lambda: 0", "a if b else a", "'text'", "1e400",
    "C(g, Treatment('z'))", "a[0]", "a @ b", "(", ")", "~", "|", "%in%", "", "é", "\x00", "a b", "((((a))))", "f(a)(b)",
)  # fmt: skip
JOINS = (" + ", " + ", " + ", " - ", ":", " * ", " ~ ", " | ", "", "\n")
ARGUMENTS = (
    (
        "--prior",
        ("half-cauchy:1", "half-normal:1e-9", "beta:.5,.5", "fixed:0", "nonsense", "half-cauchy:", "fixed:-1", "é"),
    ),
    ("--noise", ("fixed:1", "fixed:1e-9", "inverse-gamma:1,1", "jeffreys", "x:y", "half-normal:0")),
    ("--method", ("posterior", "evidence", "fixed", "wrong")),
    ("--weights", ("b", "y", "missing", "")),
    ("--formula", ("y ~ a", "y ~ a + C(g)", "~", "y ~ nothing", "().__class__ ~ a")),
    ("--features", ("a", "a,b", "a,a", ",", "y", "missing")),
    ("--level", ("0.9", "0", "1", "nan", "-1", "x")),
    ("--json", ()),
    ("--unpenalized", ("a", "missing", "y")),
    ("--target", ("b", "")),
    ("--nonsense", ()),
)
KINDS = ("bytes", "bytes", "csv", "csv", "csv", "formula", "formula", "formula", "frame", "frame", "command")


@dataclass(frozen=True)
class Text:
    """Something written."""

    kind: str
    content: str | bytes | tuple
    suffix: str = ".csv"

    def __str__(self):
        return f"{self.kind}{self.suffix if self.kind in ('bytes', 'csv') else ''} {self.content!r}"


def make_text(pick: Picker) -> Text:
    """Pick something written."""
    kind = pick.choice(KINDS)
    if kind == "bytes":
        seed, length = pick.integer(0, 2**31 - 1), pick.choice((0, 1, 3, 40, 400))
        start = pick.choice((b"", b"a,b,y\n1,2,3\n", b"PAR1", b"\x1f\x8b", b"\xef\xbb\xbf", b"\xff\xfe"))
        suffix = pick.choice((".csv", ".tsv", ".csv.gz", ".parquet"))
        return Text(kind, start + np.random.default_rng(seed).bytes(length), suffix)
    if kind == "csv":
        joint, end = pick.choice((",", ",", ";", "\t")), pick.choice(("\n", "\n", "\r\n", "\r"))
        plain = pick.choice((True, False))
        names = ["a", "b", "y"] if plain else [pick.choice(NAMES) for _ in range(pick.integer(1, 4))]
        odd = pick.integer(0, 3)
        cells = [
            [f"{(3 * i + 7 * j) % 11 + 0.5}" for j in range(len(names))] for i in range(pick.choice((0, 1, 2, 5, 8)))
        ]
        for _ in range(odd):
            if cells:
                cells[pick.integer(0, len(cells) - 1)][pick.integer(0, len(names) - 1)] = pick.choice(CELLS)
        return Text(
            kind, end.join(joint.join(row) for row in [names, *cells]) + end, pick.choice((".csv", ".csv", ".tsv"))
        )
    if kind == "formula":
        words = [pick.choice(PIECES)]
        for _ in range(pick.integer(0, 3)):
            words += [pick.choice(JOINS), pick.choice(PIECES)]
        return Text(kind, pick.choice(("", "y ~ ", "np.log(b) ~ ")) + "".join(words))
    if kind == "frame":
        return Text(kind, tuple(pick.choice(FRAME_COLUMNS) for _ in range(pick.integer(1, 4))))
    arguments = []
    for _ in range(pick.integer(0, 3)):
        name, values = pick.choice(ARGUMENTS)
        arguments += [name, pick.choice(values)] if values else [name]
    return Text(kind, (pick.choice(("fit", "fit", "choose")), *arguments))


FRAME_COLUMNS = (
    "float", "float", "int", "bool", "nullable", "missing", "none", "text", "category", "date", "object", "mixed",
    "complex", "infinite", "decimal", "lists", "same name", "timedelta", "huge int",
)  # fmt: skip


def _frame(kinds):
    import decimal

    import pandas as pd

    n = 8
    rng = np.random.default_rng(5)
    made = {
        "float": lambda: rng.standard_normal(n), "int": lambda: np.arange(n), "bool": lambda: np.arange(n) % 2 == 0,
        "nullable": lambda: pd.array([1, None, *range(n - 2)], dtype="Int64"),
        "missing": lambda: np.where(np.arange(n) == 3, np.nan, 1.0 * np.arange(n)), "none": lambda: [None] * n,
        "text": lambda: list("abcdefgh"), "category": lambda: pd.Categorical(list("aabbccdd")),
        "date": lambda: pd.date_range("2020-01-01", periods=n), "object": lambda: np.arange(n).astype(object),
        "mixed": lambda: [1, "2", 3.0, None, True, 6, 7, 8], "complex": lambda: 1j * np.arange(n),
        "infinite": lambda: np.where(np.arange(n) == 3, np.inf, 1.0),
        "decimal": lambda: [decimal.Decimal(i) for i in range(n)],
        "lists": lambda: [[i] for i in range(n)], "same name": lambda: np.arange(n) ** 2.0,
        "timedelta": lambda: pd.to_timedelta(np.arange(n), unit="s"),
        "huge int": lambda: [10**400 + i for i in range(n)],
    }  # fmt: skip
    columns = [
        pd.Series(made[kind](), name="same" if kind == "same name" else f"{kind} {k}") for k, kind in enumerate(kinds)
    ]
    return pd.concat(columns, axis=1)


def _table():
    import pandas as pd

    rng = np.random.default_rng(4)
    a, b = rng.standard_normal(12), rng.gamma(2.0, 1.0, 12)
    return pd.DataFrame({"a": a, "b": b, "g": list("uvwuvwuvwuvw"), "x y": b**2, "y": a + b + rng.standard_normal(12)})


def check_text(text: Text):
    """What came of it; an exception that is not ours, or a broken number, is raised."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        try:
            outcome = CHECKS[text.kind](text)
        except BayesRidgeError as error:
            outcome = type(error).__name__
    for warning in given:
        require(issubclass(warning.category, BayesRidgeWarning), f"a foreign warning: {warning.message}")
    return outcome


def _check_file(text):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"table{text.suffix}"
        file.write_bytes(
            text.content if isinstance(text.content, bytes) else text.content.encode("utf-8", "surrogatepass")
        )
        frame = read_table(file)
    require(len(frame) > 0, "a table without rows")
    promised(posterior(frame.iloc[:, :-1], frame.iloc[:, -1]))
    return "fitted"


def _check_formula(text):
    table = _table()
    y = None if "~" in text.content else table["y"]
    before = set(os.listdir("."))
    try:
        promised(posterior(table, y, formula=text.content))
    finally:
        require(set(os.listdir(".")) == before, "a formula wrote a file")
    return "fitted"


def _check_frame(text):
    promised(posterior(_frame(text.content), _table()["y"][:8]))
    return "fitted"


def _check_command(text):
    from typer.testing import CliRunner

    from bayesridge.cli.main import app

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        _table().to_csv("table.csv", index=False)
        command, *rest = text.content
        options = [] if "--formula" in rest or "--target" in rest else ["--target", "y"]
        result = CliRunner().invoke(app, [command, "table.csv", *options, *rest])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    require(result.exit_code in (0, 1, 2), f"exit code {result.exit_code}")
    require(result.exit_code == 0 or result.output.strip(), "a failure without a word")
    return f"exit {result.exit_code}"


CHECKS = {
    "bytes": _check_file,
    "csv": _check_file,
    "formula": _check_formula,
    "frame": _check_frame,
    "command": _check_command,
}
