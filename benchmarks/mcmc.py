"""Effective draws per second: the exact sampler, NUTS on the full model, and NUTS on the collapsed one.

    python -m benchmarks.mcmc [--quick] [--columns 10 100 1000]

The worst bulk ESS over coefficients and log-scales, divided by the seconds of sampling: warm-up counts (a chain cannot
do without), compilation is shown apart. The exact seconds are those of the whole way from the raw table, factorisation
and quadrature included; the collapsed ones include the factorisation and the drawing of coefficients. One process,
chains one after the other: parallel chains divide the seconds of NUTS by at most their number.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.datatree import Draws
from bayesridge.design import Design, build_design
from bayesridge.draws import draws_given
from bayesridge.posterior import infer
from bayesridge.priors import BetaR2, Jeffreys
from bayesridge.sampling import nuts_posterior
from bayesridge.spectrum import factorize

Array = NDArray[np.float64]
COLUMNS = (10, 100, 1000)
ROWS = 500


@dataclass(frozen=True)
class Line:
    """One contender at one size."""

    columns: int
    name: str
    worst_ess: float
    seconds: float
    compile_seconds: float
    r_hat: float
    sampler_rate: float  # effective draws of (lambda, sigma) for each second inside the sampler

    @property
    def rate(self) -> float:
        """Effective draws per second."""
        return self.worst_ess / self.seconds


def make_design(rows: int, columns: int) -> Design:
    """Correlated Gaussian columns (0.5 between neighbours), half of the variance explained."""
    rng = np.random.default_rng(columns)
    X = rng.standard_normal((rows, columns))
    for j in range(1, columns):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    signal = X @ rng.standard_normal(columns)
    return build_design(X, signal / signal.std() + rng.standard_normal(rows))


def worst(draws: Draws) -> tuple[float, float]:
    """Smallest bulk ESS and largest R-hat of coefficients, log sigma and log lambda."""
    import arviz as az

    values = np.concatenate([draws.coef, np.log(draws.sigma)[..., None], np.log(draws.lam)[..., None]], axis=-1)
    parts = [values[..., j] for j in range(values.shape[-1])]
    return (
        min(float(az.ess(part, method="bulk")) for part in parts),
        max(float(az.rhat(part)) for part in parts),
    )


def exact(design: Design, draws: int) -> Line:
    """Draw independently, from the table on; the best of five."""
    seconds, drawn = np.inf, None
    for seed in range(5):
        start = time.perf_counter()
        fresh = build_design(design.X, design.y)
        drawn = infer(fresh, factorize(fresh), BetaR2(), Jeffreys()).draw(draws, 4, seed)
        seconds = min(seconds, time.perf_counter() - start)
    assert drawn is not None
    # independent draws: the effective number is the number
    return Line(design.X.shape[1], "exact", 4.0 * draws, seconds, 0.0, worst(drawn)[1], 4.0 * draws / seconds)


def nuts(design: Design, draws: int, *, collapsed: bool) -> Line:
    """Sample with PyMC's NUTS, warm-up as long as the draws."""
    start = time.perf_counter()
    spectrum = factorize(design)
    outside = time.perf_counter() - start
    result = nuts_posterior(
        design, spectrum, BetaR2(), Jeffreys(), sampler="pymc", collapsed=collapsed, draws=draws, tune=draws,
        target_accept=0.9, n_jobs=1, random_state=1, progressbar=False,
    )  # fmt: skip
    posterior = result.datatree["posterior"]
    sigma, lam = posterior["sigma"].values, posterior["lambda_"].values
    if collapsed:
        start = time.perf_counter()
        draws_given(design, spectrum, lam.ravel(), sigma.ravel(), (4, draws), np.random.default_rng(0))
        outside += time.perf_counter() - start
    else:
        outside = 0.0  # NUTS on the full model needs no factorisation
    found = Draws(
        posterior["coef_std"].values, None, posterior["intercept"].values, posterior["coef"].values, sigma,
        posterior["tau"].values, lam,
    )  # fmt: skip
    ess, r_hat = worst(found)
    scales = min(float(_ess(np.log(one))) for one in (sigma, lam))
    return Line(
        design.X.shape[1], f"NUTS, {result.model_name}", ess, result.sampling_seconds + outside, result.compile_seconds,
        r_hat, scales / result.sampling_seconds,
    )  # fmt: skip


def _ess(values: Array) -> float:
    import arviz as az

    return float(az.ess(values, method="bulk"))


def report(lines: list[Line]) -> str:
    """Lay the lines out as a Markdown table."""
    head = (
        "| columns | method | worst ESS | seconds | effective draws / s | exact is faster by | R-hat | compile s "
        "| scales: ESS / s in the sampler |"
    )
    text = [head, "|--:|---|--:|--:|--:|--:|--:|--:|--:|"]
    for line in lines:
        base = next(one for one in lines if one.columns == line.columns and one.name == "exact")
        text.append(
            f"| {line.columns} | {line.name} | {line.worst_ess:.0f} | {line.seconds:.3g} | {line.rate:.3g} | "
            f"{base.rate / line.rate:.3g} x | {line.r_hat:.3f} | {line.compile_seconds:.1f} | {line.sampler_rate:.3g} |"
        )
    return "\n".join(text)


def main() -> None:
    """Run the contenders and print the table."""
    parser = argparse.ArgumentParser(description="effective draws per second, exact against NUTS")
    parser.add_argument("--quick", action="store_true", help="250 draws a chain instead of 1000")
    parser.add_argument("--columns", type=int, nargs="+", default=list(COLUMNS))
    options = parser.parse_args()
    draws = 250 if options.quick else 1000
    lines: list[Line] = []
    for columns in options.columns:
        design = make_design(ROWS, columns)
        for run in (
            lambda d: exact(d, draws),
            lambda d: nuts(d, draws, collapsed=True),
            lambda d: nuts(d, draws, collapsed=False),
        ):
            lines.append(run(design))
            print(f"... {columns} columns, {lines[-1].name}: {lines[-1].rate:.3g} effective draws / s", flush=True)
    print(f"\n{ROWS} rows, 4 chains of {draws} draws after as many warm-up steps, one after the other\n")
    print(report(lines))


if __name__ == "__main__":
    main()
