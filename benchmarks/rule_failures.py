"""Where rules for lambda fail: what each chooses beside the best lambda there is, in situations made to fool some.

    python -m benchmarks.rule_failures [--tables 50]

Columns and noise are simulated, so the coefficients are known, and with them the risk of any lambda: the expected
squared error of the fitted expectation for a new row. The oracle is the lambda of least risk on that very table. A cell
holds, over tables,

    x  the median of the chosen lambda over the oracle's (no noise: of the lambda itself, the oracle being 0; no signal:
       the share of tables in which lambda is infinite), and
    +  the mean excess of the risk over the oracle's, in percent of the noise variance (no noise: of the target's).

The full posterior has no lambda; its risk is that of its posterior mean. The last line is the oracle's own lambda and
risk: where that is large (one dominant column) no single lambda does well, and rules differ little.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import BayesRidgeWarning
from bayesridge.linalg.filters import standardized_coefficients
from bayesridge.posteriors.posterior import Posterior
from bayesridge.rules.comparison import compare_lambda

Array = NDArray[np.float64]

ORACLE = "oracle"
_GRID = np.concatenate([[0.0], np.geomspace(1e-5, 1e8, 521), [np.inf]])


class Sample(NamedTuple):
    """A table and the truth behind it: independent columns of mean 0 and sd 1, intercept 0."""

    X: Array
    y: Array
    beta: Array


@dataclass(frozen=True)
class Situation:
    """A way of making tables, and what the first number of its cells is."""

    title: str
    make: Callable[[np.random.Generator], Sample]
    shows: str = "ratio"


def _sample(rng: np.random.Generator, n: int, beta: Array, noise: float = 1.0) -> Sample:
    X = rng.standard_normal((n, len(beta)))
    return Sample(X, X @ beta + noise * rng.standard_normal(n), beta)


def _dense(rng: np.random.Generator, n: int, p: int, noise: float = 1.0) -> Sample:
    """Coefficients drawn as the model says, half of the variance explained when the noise is 1."""
    return _sample(rng, n, rng.standard_normal(p) / np.sqrt(p), noise)


def _twins(rng: np.random.Generator) -> Sample:
    once = _dense(rng, 40, 30)
    X = np.vstack([once.X, once.X + 1e-5 * rng.standard_normal(once.X.shape)])
    return Sample(X, np.r_[once.y, once.y + 1e-5 * rng.standard_normal(40)], once.beta)


SITUATIONS = (
    Situation("the model holds, 100 x 20", lambda rng: _dense(rng, 100, 20)),
    Situation("no noise, 40 x 6", lambda rng: _dense(rng, 40, 6, noise=0.0), "lambda"),
    Situation("no signal, 50 x 10", lambda rng: _sample(rng, 50, np.zeros(10)), "infinite"),
    Situation("every row twice, 80 x 30", _twins),
    Situation("more columns than rows, 25 x 60", lambda rng: _dense(rng, 25, 60)),
    Situation("one dominant column, 60 x 30", lambda rng: _sample(rng, 60, np.eye(30)[0] * 20.0)),
)


def risk(posterior: Posterior, beta: Array, lam: float | None) -> float:
    """Expected squared error of the expectation at a new row, for one lambda or (None) for the posterior mean."""
    design = posterior.design
    found = posterior.coefficients.mean
    if lam is not None:
        found = standardized_coefficients(posterior.spectrum, lam) / design.scale
    shift = design.y_mean - design.mean @ found
    return float(np.sum((found - beta) ** 2) + shift**2)


class Numbers(NamedTuple):
    """What one rule did on one table; NaN without an answer."""

    lam: float
    ratio: float
    excess: float


def one_table(situation: Situation, seed: int) -> tuple[dict[str, str], dict[str, Numbers]]:
    """Compare all rules on one table; labels and numbers by key of the rule."""
    sample = situation.make(np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        comparison = compare_lambda(sample.X, sample.y, progress=False)
    posterior = comparison.problem.posterior
    risks = np.array([risk(posterior, sample.beta, lam) for lam in _GRID])
    best = int(risks.argmin())
    unit = 1.0 if situation.shows != "lambda" else float(sample.beta @ sample.beta)
    found = {}
    for row in comparison.rows:
        value = np.nan
        if row.available:
            value = risk(posterior, sample.beta, None if row.key == "posterior" else row.lam)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 1.0 if row.lam == _GRID[best] else float(np.float64(row.lam) / _GRID[best])
        found[row.key] = Numbers(row.lam, ratio, (value - risks[best]) / unit)
    found[ORACLE] = Numbers(_GRID[best], 1.0, risks[best] / unit)
    return {row.key: row.label for row in comparison.rows}, found


def oracle_cell(numbers: list[Numbers]) -> str:
    """Write the oracle's own lambda and risk."""
    values = np.array(numbers)
    return f"lambda {_short(float(np.median(values[:, 0])))}, {_short(100.0 * float(values[:, 2].mean()))}%"


def cell(situation: Situation, numbers: list[Numbers]) -> str:
    """Write what one rule did in one situation."""
    if not numbers:
        return ""
    values = np.array(numbers)
    known = values[~np.isnan(values[:, 2])]
    if len(known) < 0.5 * len(values):
        return "no answer"
    excess = f"+{_short(100.0 * max(float(known[:, 2].mean()), 0.0))}%"
    if np.isnan(known[:, 0]).all():  # the full posterior
        return excess
    if situation.shows == "infinite":
        first = f"{100.0 * np.isinf(known[:, 0]).mean():.0f}% infinite"
    elif situation.shows == "lambda":
        first = f"{np.median(known[:, 0]):.0e}"
    else:
        first = f"x {_short(float(np.median(known[:, 1])))}"
    missing = len(values) - len(known)
    return f"{first}, {excess}" + (f" ({missing} without answer)" if missing else "")


def _short(value: float) -> str:
    if value >= 10 or value < 5e-4:
        return f"{value:.0f}"
    return f"{value:.2g}" if value >= 0.01 else f"{value:.1g}"


def table(tables: int) -> str:
    """Simulate, and lay the results out as a Markdown table."""
    labels: dict[str, str] = {}
    columns: list[dict[str, list[Numbers]]] = []
    for situation in SITUATIONS:
        column: dict[str, list[Numbers]] = {}
        for seed in range(tables):
            names, found = one_table(situation, seed)
            labels |= names
            for key, numbers in found.items():
                column.setdefault(key, []).append(numbers)
        columns.append(column)
    head = ["rule", *[one.title for one in SITUATIONS]]
    lines = [f"| {' | '.join(head)} |", f"|---|{'--:|' * len(SITUATIONS)}"]
    for key, label in labels.items():
        cells = [cell(one, column.get(key, [])) for one, column in zip(SITUATIONS, columns, strict=True)]
        lines.append(f"| {' | '.join([label, *cells])} |")
    oracle = ["*the oracle: lambda, risk*", *[oracle_cell(one[ORACLE]) for one in columns]]
    lines.append(f"| {' | '.join(oracle)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="where rules for lambda fail")
    parser.add_argument("--tables", type=int, default=50, help="simulated tables in each situation")
    arguments = parser.parse_args()
    print(f"{arguments.tables} simulated tables in each situation\n\n{table(arguments.tables)}")


if __name__ == "__main__":
    main()
