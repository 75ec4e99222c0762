"""Posteriors of families on fresh random problems, held against long Hamiltonian sampling.

    python -m benchmarks.outcomes_battery --problems 200 --out build/battery.csv

Each problem draws its family, 20 to 1,000 rows, 2 to 300 columns, their correlation, how strong they are and how rare
successes are; a part of the binary ones is separated. Numbers are means, sds and 2.5, 50, 97.5% quantiles of (at most
eight) coefficients and of log lambda; a number agrees when it is within 2.36 sqrt(SE^2 + SE of the reference^2), both
from the spread of eight replicates.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bayesridge.errors import BayesRidgeError, BayesRidgeWarning
from bayesridge.linalg.design import build_design
from bayesridge.outcomes.family import FAMILIES
from bayesridge.outcomes.hamiltonian import Chains
from bayesridge.outcomes.infer import infer_problem
from bayesridge.outcomes.nodes import lay_nodes
from bayesridge.outcomes.prior import default_prior, density_of_t
from bayesridge.outcomes.problem import Outcome, make_outcome

Array = NDArray[np.float64]

_FAR = 2.36
_PROBABILITIES = (0.025, 0.5, 0.975)
_SEED = 90_210  # apart from every other seed of this repository
_KINDS = ("binomial", "binomial", "poisson", "negative-binomial")


def problem(number: int, largest: int) -> tuple[Outcome, str]:
    """Make a problem by its number alone."""
    rng = np.random.default_rng([_SEED, number])
    while True:
        name = _KINDS[rng.integers(len(_KINDS))]
        n = int(np.exp(rng.uniform(np.log(20), np.log(min(1_000, largest)))))
        p = int(np.exp(rng.uniform(np.log(2), np.log(min(300, largest)))))
        common = rng.uniform(0.0, 0.95) * rng.integers(2)
        X = np.sqrt(common) * rng.standard_normal((n, 1)) + np.sqrt(1.0 - common) * rng.standard_normal((n, p))
        slopes = rng.standard_normal(p) * (rng.random(p) < rng.choice([0.2, 1.0])) * rng.choice([0.3, 1.0, 3.0])
        eta = X @ slopes / np.sqrt(p)
        if name == "binomial":
            eta = eta + rng.choice([0.0, 0.0, -2.0])
            separated = rng.random() < 0.15
            y = (eta > np.median(eta) if separated else rng.random(n) < expit(eta)).astype(float)
            if min(y.sum(), n - y.sum()) < 3:
                continue
        else:
            rate = np.exp(np.clip(eta + rng.choice([-1.5, 0.5, 2.0]), -20.0, 8.0))
            y = rng.poisson(rate * (rng.gamma(2.0, 0.5, n) if name == "negative-binomial" else 1.0)).astype(float)
            if np.count_nonzero(y) < 3:
                continue
        return make_outcome(FAMILIES[name], build_design(X, y)), f"{name} {n}x{p}"


def numbers(values: Array, weight: Array) -> tuple[Array, Array]:
    """Mean, sd and quantiles (5, m) of all draws, and their standard errors from the replicates."""
    each = np.array([_of(v, w) for v, w in zip(values, weight, strict=True)])
    whole = _of(values.reshape(-1, values.shape[2]), weight.ravel())
    R = len(each)
    return whole, np.sqrt(np.square(each - whole).sum(axis=0) / (R * (R - 1)))


def _of(values: Array, weight: Array) -> Array:
    w = weight / weight.sum()
    mean = w @ values
    order = np.argsort(values, axis=0)
    below = np.cumsum(w[order], axis=0) - 0.5 * w[order]
    ends = [np.interp(_PROBABILITIES, below[:, j], values[order[:, j], j]) for j in range(values.shape[1])]
    return np.vstack([mean, np.sqrt(w @ np.square(values - mean)), np.array(ends).T])


def reference(one: Outcome, directions: Array, size: int, seconds: float) -> tuple[Array, Array, float]:
    """Chains until their effective size (of the worst mean) is reached, or the time is over."""
    distinct = one.merged()
    nodes = lay_nodes(distinct, density_of_t(default_prior(one.family, one.design)))
    chains = Chains(distinct, nodes, np.random.default_rng([_SEED, 1]))
    t = np.array([node.t for node in nodes])
    start, drawn = time.perf_counter(), None
    while True:
        more = chains.run(200)
        part = np.concatenate([more.theta @ directions.T, t[more.node][..., None]], axis=2)
        drawn = part if drawn is None else np.concatenate([drawn, part], axis=1)
        found, error = numbers(drawn, np.ones(drawn.shape[:2]))
        effective = float(np.square(found[1] / error[0]).min())
        if effective >= size or time.perf_counter() - start > seconds:
            return found, error, effective


def measure(number: int, largest: int, size: int, seconds: float) -> dict[str, Any]:
    """Fit one problem, and hold it against its reference."""
    one, label = problem(number, largest)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", BayesRidgeWarning)
        post = infer_problem(one, default_prior(one.family, one.design))
    elapsed = time.perf_counter() - start
    q = one.n_flat
    picked = np.unique(np.linspace(0, len(one.directions.V) - 1, 7).astype(int))
    directions = np.zeros((q + len(picked), one.rows.shape[1]))
    directions[:q, :q] = np.eye(q)
    directions[q:, q:] = one.directions.V[picked]  # what the data see of the coefficients
    draws = post.draws_
    values = np.concatenate([draws.theta @ directions.T, post.t[draws.node][..., None]], axis=2)
    found, error = numbers(values, draws.weight)
    truth, truth_error, effective = reference(one, directions, size, seconds)
    gap, sd = np.abs(found - truth), truth[1]
    agree = gap <= _FAR * np.hypot(error, truth_error) + 1e-12
    separated = "separated" in " ".join(post.check)
    if separated:  # judged by median and quantiles
        gap, agree = gap[2:], agree[2:]
    return {
        "problem": number, "what": label, "separated": separated, "rank": one.rank, "path": post.how.split(",")[0],
        "seconds": round(elapsed, 2), "agree": round(float(agree.mean()), 4),
        "worst_sd": round(float((gap / sd).max()), 4), "reference_sd": round(float((truth_error / sd).max()), 4),
        "reference_effective": round(effective), "warned": len(heard),
    }  # fmt: skip


def main() -> None:
    """Run, writing a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--largest", type=int, default=1_000, help="rows and columns at most")
    parser.add_argument("--effective", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=600.0, help="for each reference")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with asked.out.open("w", newline="", encoding="utf-8") if asked.out else sys.stdout as file:
        writer: csv.DictWriter[str] | None = None
        for number in range(asked.first, asked.first + asked.problems):
            try:
                rows.append(measure(number, asked.largest, asked.effective, asked.seconds))
            except BayesRidgeError as why:
                print(f"problem {number}: {why}", file=sys.stderr)
                continue
            writer = writer or csv.DictWriter(file, list(rows[0]))
            if len(rows) == 1:
                writer.writeheader()
            writer.writerow(rows[-1])
            file.flush()
    fast = [one for one in rows if "importance" in one["path"]]
    small = [one for one in rows if one["rank"] <= 20 and not one["separated"]]
    share = 100.0 * np.mean([one["agree"] for one in rows])
    bad = [one["problem"] for one in rows if one["worst_sd"] - 3.0 * one["reference_sd"] > 0.1 and not one["warned"]]
    print(
        f"{len(rows)} problems: {share:.1f}% of the numbers within {_FAR} standard errors; {len(fast)} by importance "
        f"sampling, {sum('importance' in one['path'] for one in small)} of {len(small)} unseparated ones of rank <= 20"
        f"; beyond .1 sd and not warned of: {bad}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
