"""Results on the terminal, every number with its meaning.

Off a terminal there is no width to keep to; a terminal that cannot show σ² gets sigma^2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from bayesridge.cli.grid import grid
from bayesridge.posteriors.quantity import interval_names
from bayesridge.posteriors.shown import number, probability
from bayesridge.posteriors.summary import (
    coefficient_table,
    describe_data,
    describe_model,
    evidence_sentences,
    hyper_table,
)
from bayesridge.posteriors.terms import block_sentences

if TYPE_CHECKING:
    import pandas as pd

    from bayesridge.checks.card import ReportCard
    from bayesridge.posteriors.contract import AnyPosterior
    from bayesridge.rules.comparison import LambdaComparison
    from bayesridge.rules.table import Row

_MOST_ROWS = 60
_NO_LIMIT = 10_000  # characters in a line, where nothing limits them
_PLAIN = str.maketrans(
    {
        "²": "^2", "σ": "sigma", "τ": "tau", "λ": "lambda", "β": "beta", "±": "+/-", "…": "...", "–": "-", "—": "-",
        "−": "-", "─": "-", "→": "->", "≥": ">=", "≤": "<=",
    }
)  # fmt: skip


def shown(text: object, encoding: str) -> str:
    """Write a text with the characters that an encoding has."""
    plain = str(text)
    try:
        plain.encode(encoding)
    except UnicodeEncodeError:
        return plain.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return plain


@dataclass(frozen=True)
class Screen:
    """Where results are printed.

    Attributes
    ----------
    console : rich.console.Console
    width : int
        Characters in a line.
    """

    console: Console
    width: int

    @classmethod
    def standard(cls) -> Screen:
        """The terminal; no width where there is none, as in a pipe or a file."""
        console = Console(highlight=False)
        if console.is_terminal or "COLUMNS" in os.environ:
            return cls(console, console.width)
        return cls(Console(highlight=False, width=_NO_LIMIT), _NO_LIMIT)

    def fit(self, text: object) -> str:
        """Write a text with the characters that the screen has."""
        return shown(text, self.console.encoding)

    def say(self, text: object = "", *, lead: str = "", style: str = "") -> None:
        """Print a line, wrapped between words; `lead` stands before it in bold (or `style`)."""
        self.console.print(Text.assemble((self.fit(lead), style or "bold"), (self.fit(text), "" if lead else style)))

    def line(self, text: object) -> None:
        """Print a line that is to be copied: never wrapped here."""
        self.console.print(Text(self.fit(text)), soft_wrap=True)

    def table(self, heading: str, names: Sequence[object], columns: Mapping[str, Sequence[str]]) -> None:
        """Print a table."""
        cells = {self.fit(title): [self.fit(cell) for cell in column] for title, column in columns.items()}
        for line in grid(self.fit(heading), [self.fit(name) for name in names], cells, self.width):
            self.line(line)
        self.say()

    def open(self, lead: str, text: str, posterior: AnyPosterior) -> None:
        """Print what the result is of."""
        self.say(text, lead=lead)
        self.say(f"  {describe_data(posterior)}")
        self.say(f"  prior: {describe_model(posterior)}")
        self.say()

    def close(self, warnings: Iterable[str], saved: Iterable[str]) -> None:
        """Repeat warnings, and name the files that were written."""
        for message in warnings:
            self.say(message, lead="warning: ", style="yellow")
        for path in saved:
            self.line(f"wrote {path}")


# -- fit -----------------------------------------------------------------------------------------------------------


def print_fit(posterior: AnyPosterior, record: Mapping[str, Any], level: float, screen: Screen | None = None) -> None:
    """Print what an analyst needs from a fit.

    Parameters
    ----------
    posterior : AnyPosterior
    record : mapping
        As from :func:`bayesridge.posteriors.summary.to_record`, with ``warnings`` and perhaps ``saved``: what it holds
        is printed.
    level : float
        Probability of the equal-tailed intervals.
    screen : Screen, optional
    """
    screen = screen or Screen.standard()
    screen.open("Bayesian ridge regression", f": {posterior.how}", posterior)
    _coefficients(screen, coefficient_table(posterior, level), level)
    for line in block_sentences(posterior):
        screen.say(line)
    if posterior.design.blocks:
        screen.say()
    _hyperparameters(screen, hyper_table(posterior, level))
    for line in [*posterior.check, *_facts(record)]:
        screen.say(line)
    screen.close(record.get("warnings", []), record.get("saved", []))


def _coefficients(screen: Screen, frame: pd.DataFrame, level: float) -> None:
    rows = frame.iloc[:_MOST_ROWS]
    columns = {name: list(map(number, rows[name])) for name in ("mean", "sd", *interval_names(level))}
    columns["P(>0)"] = list(map(probability, rows["P(>0)"]))
    if "ess_bulk" in rows:
        columns["ESS"] = [f"{value:.0f}" for value in rows[["ess_bulk", "ess_tail"]].min(axis=1)]
    elif "mcse" in rows:
        columns["mcse"] = [f"{value:.1g}" for value in rows["mcse"]]
    screen.say(lead="Coefficients, units of the data (posterior)")
    screen.table("column", list(rows.index), columns)
    if len(frame) > _MOST_ROWS:
        screen.say(f"the first {_MOST_ROWS} of {len(frame)}; --out or --json give all")


_LABELS = {
    "lambda": "lambda = sigma²/tau²",
    "sigma": "sigma (noise sd)",
    "tau": "tau (prior sd)",
    "R2": "R² (population)",
    "effective dof": "dof, no intercept",
}


def _hyperparameters(screen: Screen, frame: pd.DataFrame) -> None:
    columns = {
        # no mean where it may be infinite
        name: ["" if np.isnan(value) else number(value) for value in frame[name]]
        for name in frame.columns
    }
    screen.say(lead="Penalty and noise (posterior)")
    labels = _LABELS if "sigma" in frame.index else {**_LABELS, "lambda": "lambda = 1/tau²"}
    screen.table("", [labels.get(str(name), name) for name in frame.index], columns)


def _facts(record: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that the record holds."""
    lines = [f"evidence       {line}" for line in evidence_sentences(record.get("evidence_modes", []))]
    if "log_marginal_likelihood" in record:
        error, sampled = record.get("quadrature_error"), record.get("log_marginal_likelihood_se")
        known = "" if error is None else f" (quadrature error {error:.0e})"
        known = known if sampled is None else f" (standard error {sampled:.0e})"
        lines.append(f"log p(y)       {record['log_marginal_likelihood']:.3f} nats{known}")
    if "loo" in record:
        lines.append(f"leave-one-out  {_leave_one_out(record['loo'])}")
    elif "no_loo" in record:
        lines.append(f"leave-one-out  none: {record['no_loo']}")
    if "map_vs_ridge" in record:
        both = record["map_vs_ridge"]
        lines.append(
            f"MAP vs ridge   differ by {both['difference']:.0e} (relative) at sigma {number(both['sigma'])}, "
            f"tau {number(both['tau'])}, lambda = sigma²/tau² = {number(both['lambda'])}"
        )
    if "conditioning" in record:
        condition, spectrum = record["conditioning"], record["spectrum"]
        lines.append(
            f"conditioning   X'X {_short(condition['before'])}, with lambda {_short(condition['lambda'])} "
            f"{_short(condition['after'])}; rank {spectrum['rank']} ({spectrum['route']}: {spectrum['reason']})"
        )
    return lines


def _leave_one_out(loo: Mapping[str, Any]) -> str:
    rmse = ""
    if "rmse" in loo:
        rmse = f", RMSE {'infinite' if loo['rmse'] is None else number(loo['rmse'])}"
    elpd, se = ("infinite" if loo[name] is None else f"{loo[name]:.2f}" for name in ("elpd_loo", "se"))
    how = f"importance sampling, {loo['bad_rows']} rows not to be trusted" if "bad_rows" in loo else loo["how"]
    return f"elpd {elpd} (se {se}), p_loo {_short(loo['p_loo'])}{rmse}; {how}"


def _short(value: float | None) -> str:
    """Write a number of a record, where what is infinite is null."""
    return "infinite" if value is None or np.isinf(value) else f"{value:.3g}"


# -- choose ----------------------------------------------------------------------------------------------------------

#: Columns by the width from which on they are shown.
_COLUMNS = (
    ("lambda", 0), ("interval", 0), ("dof", 86), ("sigma", 114), ("|beta|", 122), ("LOO RMSE", 100), ("regret", 91),
    ("elpd", 132), ("elpd - best", 0), ("ms", 107),
)  # fmt: skip


def print_comparison(
    comparison: LambdaComparison,
    *,
    warnings: Sequence[str] = (),
    saved: Sequence[str] = (),
    screen: Screen | None = None,
) -> None:
    """Print a comparison: the table, rules without an answer, how far the rules disagree, and what to use.

    Parameters
    ----------
    comparison : LambdaComparison
    warnings, saved : sequence of str
        Warnings to repeat, and files that were written.
    screen : Screen, optional
    """
    screen = screen or Screen.standard()
    title = f": {len(comparison.rows) - 1} rules on the same data"
    screen.open("Which lambda", title, comparison.problem.posterior)
    answers = [row for row in comparison.rows if row.available]
    cells = [_cells(row) for row in answers]
    titles = {"interval": f"{100 * comparison.level:g}% interval"}
    columns = {
        titles.get(name, name): [row[name] for row in cells]
        for name, least in _COLUMNS
        if screen.width >= least and any(row[name] for row in cells)
    }
    screen.table("rule", [row.label.removesuffix(" (lambda integrated)") for row in answers], columns)
    for line in _legend(comparison, screen.width):
        screen.say(line, style="dim")
    for row in comparison.rows:
        if not row.available:
            screen.say(f"no answer: {row.label}: {row.note}")
    screen.say()
    screen.say(f"Disagreement  {comparison.disagreement}")
    screen.say()
    screen.say(comparison.recommendation, lead="Use here      ")
    screen.close(warnings, saved)


def _cells(row: Row) -> dict[str, str]:
    lam = {"zero": "-> 0", "infinity": "-> inf", "integrated": "integrated"}.get(row.place, number(row.lam))
    interval = row.interval
    ends = "" if interval is None else f"{number(interval.lower)} to {number(interval.upper)} {_mark(interval.kind)}"
    scored = np.isfinite(row.elpd_diff)
    return {
        "lambda": lam,
        "interval": ends,
        "dof": f"{row.effective_dof:.2f}",
        "sigma": number(row.sigma) if np.isfinite(row.sigma) else "",
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
    known = any(np.isfinite(row.sigma) for row in comparison.rows)
    given = "sigma integrated" if known else "coefficients integrated"
    lines.append(f"{dof}elpd: leave-one-out log density at that lambda, {given}, ± paired standard error")
    if width >= 91:
        lines.append("regret: LOO RMSE over the least that any single lambda reaches, less 1")
    if width >= 114 and known:
        lines.append("sigma: sqrt(Q/nu) at that lambda, posterior median in the first row")
    return lines


# -- validate --------------------------------------------------------------------------------------------------------

_STYLE = {"passed": "green", "alarm": "bold red", "note": "yellow", "not judged": "dim"}


def print_card(
    card: ReportCard, *, warnings: Sequence[str] = (), saved: Sequence[str] = (), screen: Screen | None = None
) -> None:
    """Print a report card: question, status and finding of each check, and the verdict.

    Parameters
    ----------
    card : ReportCard
    warnings, saved : sequence of str
        Warnings to repeat, and files that were written.
    screen : Screen, optional
    """
    screen = screen or Screen.standard()
    screen.open("Can this fit be trusted?", "", card.posterior)
    for entry in card.entries:
        screen.say(f"  {entry.key}: {entry.question}", lead=f"{entry.status:<11}", style=_STYLE[entry.status])
        screen.say(entry.text)
        screen.say()
    screen.say(card.verdict, lead="Verdict  ")
    screen.close(warnings, saved)
