"""Prints the tables of docs/validation_coverage.md: about four minutes on two cores; ``--quick`` half a minute."""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from bayesridge.rules.catalogue import make_rule
from benchmarks.coverage.methods import (
    ByRule,
    Exact,
    LeastSquares,
    Method,
    SklearnARD,
    SklearnBayesianRidge,
    SklearnRidgeCV,
)
from benchmarks.coverage.study import coverage_study
from benchmarks.coverage.worlds import Scenario

SCENARIOS: dict[str, Scenario] = {
    "10 x 5": Scenario(10, 5),
    "20 x 5, R² 0.2": Scenario(20, 5, r2=0.2),
    "20 x 5, R² 0.8": Scenario(20, 5, r2=0.8),
    "20 x 15": Scenario(20, 15),
    "20 x 40": Scenario(20, 40),
    "50 x 200": Scenario(50, 200),
    "50 x 20, AR(1) 0.9": Scenario(50, 20, correlation=0.9),
    "50 x 20, all pairs 0.9": Scenario(50, 20, correlation=0.9, structure="equal"),
    "50 x 20, no signal": Scenario(50, 20, r2=0.0),
    "200 x 20": Scenario(200, 20),
    "50 x 40, 4 nonzero": Scenario(50, 40, nonzero=0.1),
    "50 x 20, t3 noise": Scenario(50, 20, noise_df=3.0),
    "50 x 20, uneven noise": Scenario(50, 20, heteroscedasticity=0.5),
}

METHODS: dict[str, Method] = {
    "exact": Exact(),
    "REML plug-in": ByRule(make_rule("reml")),
    "LOO plug-in": ByRule(make_rule("loo")),
    "GCV plug-in": ByRule(make_rule("gcv")),
    "HKB plug-in": ByRule(make_rule("hkb")),
    "least squares": LeastSquares(),
    "BayesianRidge": SklearnBayesianRidge(),
    "ARDRegression": SklearnARD(),
    "RidgeCV": SklearnRidgeCV(),
}


def show(table: pd.DataFrame, title: str, cell, methods: list[str]) -> None:
    """Print one measure as a Markdown table: scenarios down, methods across."""
    print(f"\n### {title}\n")
    print(f"| data | {' | '.join(methods)} |")
    print("|---" * (len(methods) + 1) + "|")
    for name, scenario in SCENARIOS.items():
        rows = {}
        for method in methods:
            here = (table["cell"] == scenario.name) & (table["method"] == METHODS[method].key)
            rows[method] = table[here].iloc[0]
        print(f"| {name} | {' | '.join(cell(rows[method], rows['exact']) for method in methods)} |")


def coverage_and_length(kind: str):
    """Coverage in percent, and mean length relative to the exact posterior's."""

    def cell(row: pd.Series, exact: pd.Series) -> str:
        value = row[f"{kind}_coverage"]
        if np.isnan(value):
            return ""
        share = row.get(f"{kind}_interval_share", 1.0)
        length = "lambda_log_length" if kind == "lambda" else f"{kind}_length"
        mark = "" if share > 0.995 else f" [{100 * share:.0f} %]"
        return f"{100 * value:.1f} ({row[length] / exact[length]:.2f}){mark}"

    return cell


def regret(row: pd.Series, exact: pd.Series) -> str:  # noqa: ARG001
    """Regret with its Monte Carlo error."""
    if np.isnan(row["regret"]):
        return ""
    mark = "" if row["answered"] > 0.995 else f" [{100 * row['answered']:.0f} %]"
    return f"{row['regret']:.3f} ± {row['regret_se']:.3f}{mark}"


def largest_error(table: pd.DataFrame, column: str) -> float:
    """Largest Monte Carlo standard error of a column, in percent."""
    return float(100 * table[f"{column}_se"].max())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="coverage and regret of ridge regressions")
    parser.add_argument("--quick", action="store_true", help="60 data sets a cell instead of 500")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    replications = 60 if options.quick else 500
    table = coverage_study(
        list(SCENARIOS.values()), list(METHODS.values()), replications=replications, n_jobs=options.jobs,
        progress=True, random_state=1,
    )  # fmt: skip
    names = {scenario.name: scenario for scenario in SCENARIOS.values()}
    table["cell"] = np.repeat(list(names), len(METHODS))
    bounded = [name for name in METHODS if name != "RidgeCV"]
    print(f"{replications} data sets in each row; Monte Carlo standard errors of coverages at most", end=" ")
    kinds = ("coef_coverage", "new_coverage", "lambda_coverage")
    print(", ".join(f"{largest_error(table, kind):.1f} ({kind.split('_')[0]})" for kind in kinds), "points")
    show(table, "Coefficients: coverage in % (length)", coverage_and_length("coef"), bounded)
    show(table, "New observations: coverage in % (length)", coverage_and_length("new"), bounded)
    show(
        table, "Lambda: coverage in % (length of log lambda)", coverage_and_length("lambda"), ["exact", "REML plug-in"]
    )
    show(table, "Regret", regret, list(METHODS))


if __name__ == "__main__":
    main()
