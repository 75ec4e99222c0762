"""When is ridge the wrong prior? Five priors on the diabetes table, a sparse truth and a dense one.

python -m benchmarks.prior_choice [--quick]
"""

from __future__ import annotations

import argparse

import numpy as np

from bayesridge.datasets import load_xy
from bayesridge.design.design import Design, build_design
from bayesridge.mcmc.comparison import compare_priors

ROWS, COLUMNS = 100, 30


def sparse_truth(rows: int = ROWS, columns: int = COLUMNS, seed: int = 1) -> Design:
    """Three coefficients (2, -1.5, 1) and zeros; noise of variance one."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns))
    return build_design(X, X[:, :3] @ np.array([2.0, -1.5, 1.0]) + rng.standard_normal(rows))


def dense_truth(rows: int = ROWS, columns: int = COLUMNS, seed: int = 1) -> Design:
    """All coefficients normal with one variance, and the same signal in expectation as the sparse truth."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns))
    beta = rng.standard_normal(columns) * np.sqrt(7.25 / columns)
    return build_design(X, X @ beta + rng.standard_normal(rows))


def diabetes() -> Design:
    """The example table."""
    table, y = load_xy("diabetes")
    return build_design(table.to_numpy(dtype=float), y.to_numpy(), names=tuple(table.columns))


TRUTHS = {"diabetes": diabetes, "sparse truth": sparse_truth, "dense truth": dense_truth}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="ridge against lasso, elastic net, horseshoe and R2D2")
    parser.add_argument("--quick", action="store_true", help="500 draws of 2 chains instead of 1000 of 4")
    size = {"draws": 500, "tune": 500, "chains": 2} if parser.parse_args().quick else {}
    for name, make in TRUTHS.items():
        found = compare_priors(make(), sampler={"progressbar": False, **size}, n_jobs=1, random_state=1)
        columns = ["elpd", "elpd_diff", "dse", "p", "weight", "bad_rows", "exact_elpd", "log_marginal", "seconds"]
        print(f"## {name}\n")
        print(found.table[columns].round(2).to_string(na_rep=""))
        print(f"\nChains: {', '.join(f'{prior} {word}' for prior, word in found.table['verdict'].items())}.")
        for prior, text in found.assumptions.items():
            print(f"- {prior}: {text}")
        print("".join(f"\nCaution: {text}." for text in found.caveats))
        print(f"{found.sentence}\n", flush=True)


if __name__ == "__main__":
    main()
