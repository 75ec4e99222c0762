"""Simulation-based calibration of families: truths drawn from the priors are uniform in the posteriors of their data.

    python -m benchmarks.outcomes_sbc --simulations 1000 --out build/outcomes_sbc.jsonl

Without an intercept, whose prior is flat. A line a data set is appended, made by its number alone; those that the file
has are not run again. Beside each truth stand two that are wrong, which the same tests have to see: coefficients twice
as far from their posterior mean, and three times lambda.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.special import expit
from scipy.stats import kstest

from bayesridge import BetaR2, HalfT, InverseGamma, posterior
from bayesridge.errors import BayesRidgeWarning
from bayesridge.outcomes import student

FAMILIES = ("binomial", "poisson", "negative-binomial", "student")
SHAPES = ((40, 5), (30, 60))
Cell = tuple[str, tuple[int, int]]
_STUDENT = {"_FIRST": 25, "_MOST": 0}  # 1,600 draws of 32 chains: enough for a rank
_FURTHER = 2.0
_TIMES = 3.0


def simulate(family: str, shape: tuple[int, int], number: int) -> dict[str, Any]:
    """Probabilities of the truths under the posterior: three coefficients, lambda, and the family's own parameter."""
    (n, p), record = shape, {"family": family, "shape": list(shape), "number": number}
    rng = np.random.default_rng([7, FAMILIES.index(family), n, p, number])
    X = rng.standard_normal(shape)
    known = {"fit_intercept": False, "scale": False}
    if family == "student":
        noise = InverseGamma(4.0, 4.0)
        lam, own = BetaR2().draw(1, rng, float(p))[0], noise.draw(1, rng)[0]
        beta = own * lam**-0.5 * rng.standard_normal(p)
        y = X @ beta + own * rng.standard_t(4.0, n)
        known["noise_prior"] = noise
    else:
        scale = (np.pi / 3.0**0.5 if family == "binomial" else 1.0) / p**0.5
        tau = HalfT(4.0, scale, on="tau").draw(1, rng)[0]
        lam, beta = tau**-2.0, tau * rng.standard_normal(p)
        eta, own = X @ beta, np.square(rng.standard_t(4.0))
        if family == "binomial":
            y = (rng.random(n) < expit(eta)).astype(float)
        elif eta.max() > 20.0:  # more counts than a likelihood tells apart: as rare among truths as among draws
            return record
        else:
            y = rng.poisson(np.exp(eta) * (rng.gamma(1.0 / own, own, n) if family != "poisson" else 1.0)).astype(float)
    with warnings.catch_warnings(record=True) as heard, patch.multiple(student, **_STUDENT):
        warnings.simplefilter("always", BayesRidgeWarning)
        post = posterior(X, y, family=family, **known)
    mean, scales = post.coefficients.mean, dict(post.scales)
    named = [scales[name] for name in ("sigma", "dispersion") if name in scales]
    found = [*post.coefficients.cdf(beta)[:3], post.lambda_.cdf(lam), *[one.cdf(own) for one in named]]
    wrong = [*post.coefficients.cdf(mean + _FURTHER * (beta - mean))[:3], post.lambda_.cdf(_TIMES * lam)]
    warned = family != "student" and any(issubclass(one.category, BayesRidgeWarning) for one in heard)
    return record | {"found": [float(u) for u in found], "wrong": [float(u) for u in wrong], "warned": warned}


def records(out: Path, cells: Iterable[Cell], simulations: int) -> list[dict[str, Any]]:
    """Run what the file does not have, a cell after the other, and return what it has of them."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()
    cells = list(cells)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    done = {(one["family"], *one["shape"], one["number"]) for one in rows}
    for family, shape in cells:
        for number in range(simulations):
            if (family, *shape, number) not in done:
                rows.append(simulate(family, shape, number))
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    return [one for one in rows if (one["family"], tuple(one["shape"])) in cells and one["number"] < simulations]


def p_values(rows: list[dict[str, Any]], of: str = "found") -> list[float]:
    """Of uniformity, each number's (Kolmogorov and Smirnov)."""
    columns = np.array([one[of] for one in rows if of in one]).T
    return [float(kstest(column, "uniform").pvalue) for column in columns]


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the table of the documentation."""
    lines = [
        "| family | shape | data sets | numbers | smallest p times numbers | largest p of wrong ones | warned |",
        "|---|---|---|---|---|---|---|",
    ]
    for family in FAMILIES:
        for shape in SHAPES:
            some = [one for one in rows if one["family"] == family and tuple(one["shape"]) == shape and "found" in one]
            if len(some) > 1:
                right, wrong = p_values(some), p_values(some, "wrong")
                least = min(1.0, len(right) * min(right))
                # chains of Student-t noise are shorter here than in fits, and always say so
                warned = "–" if family == "student" else sum(one["warned"] for one in some)
                lines.append(
                    f"| {family} | {shape[0]} x {shape[1]} | {len(some)} | {len(right)} | {least:.3f} | "
                    f"{max(wrong):.1e} | {warned} |"
                )
    return "\n".join(lines)


def main() -> None:
    """Run, writing a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1_000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    # the cheapest first: .1, .3, 1, 1.5 and 1.4, 2.8, 2.4, 11 s of the processor each
    cells = [(one, shape) for shape in SHAPES for one in ("poisson", "binomial", "negative-binomial", "student")]
    print(summary(records(asked.out, cells, asked.simulations)))


if __name__ == "__main__":
    main()
