"""Effective draws per second: the exact sampler, NUTS on the collapsed model, NUTS on the full one.

    python -m benchmarks.mcmc [--quick] [--tables diabetes 10 100 1000 wide]

What is counted, alike for all: effective draws are the smaller of bulk and tail ESS of the parameter that has the
smallest, over all coefficients, the intercept, log sigma and log lambda (an independent draw counts as one). Seconds
are those from the raw table to the draws, on one processor, chains one after the other:

    exact        centring, factorisation, quadrature and drawing; the best of five
    collapsed    factorisation, warm-up and draws of (lambda, sigma), drawing of coefficients given them
    full         warm-up and draws

Compilation is left out of the seconds and shown beside them (short only where PyTensor's cache has the functions from
an earlier run); the exact engine has none. Sampler seconds for each step of the leapfrog, and steps for each draw, are
shown as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesridge.datasets import load_xy
from bayesridge.design.design import Design, build_design
from bayesridge.engines.spectral import SpectralEngine
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.chains import Sampler
from bayesridge.mcmc.posterior import SampledPosterior
from bayesridge.mcmc.sampling import nuts_posterior
from bayesridge.posteriors.draws import Draws, draws_given
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Jeffreys

Array = NDArray[np.float64]
PRIORS = BetaR2(), Jeffreys()


@dataclass(frozen=True)
class Line:
    """One contender on one table."""

    table: str
    name: str
    ess: float
    seconds: float
    compile_seconds: float = 0.0
    steps: float = 0.0  # leapfrog steps for each draw
    step_seconds: float = 0.0
    verdict: str = "independent"

    @property
    def rate(self) -> float:
        """Effective draws per second."""
        return self.ess / self.seconds


def diabetes() -> Design:
    """The example table, 442 x 10."""
    X, y = load_xy("diabetes")
    return build_design(X.to_numpy(dtype=float), y.to_numpy())


def correlated(rows: int, columns: int) -> Design:
    """Gaussian columns (correlation 0.5 between neighbours), half of the variance explained."""
    rng = np.random.default_rng(columns)
    X = rng.standard_normal((rows, columns))
    for j in range(1, columns):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    signal = X @ rng.standard_normal(columns)
    return build_design(X, signal / signal.std() + rng.standard_normal(rows))


TABLES: dict[str, tuple[str, Callable[[], Design]]] = {
    "diabetes": ("diabetes, 442 x 10", diabetes),
    "10": ("500 x 10", lambda: correlated(500, 10)),
    "100": ("500 x 100", lambda: correlated(500, 100)),
    "1000": ("500 x 1000", lambda: correlated(500, 1000)),
    "wide": ("50 x 200", lambda: correlated(50, 200)),
}


def smallest_ess(draws: Draws) -> float:
    """Smaller of bulk and tail ESS of the slowest of coefficients, intercept, log sigma and log lambda."""
    import arviz as az

    scalars = [draws.intercept, np.log(draws.sigma), np.log(draws.lam)]
    values = [*scalars, *np.moveaxis(draws.coef, -1, 0)]
    bulk = min(float(az.ess(one, method="bulk")) for one in values)
    return min(bulk, *(float(az.ess(one, method="tail", prob=(0.05, 0.95))) for one in values))


def exact(table: str, design: Design, draws: int) -> Line:
    """Draw independently, from the table on; the best of five."""
    seconds = np.inf
    for seed in range(5):
        start = time.perf_counter()
        fresh = build_design(design.X, design.y)
        infer(fresh, factorize(fresh), *PRIORS).draw(draws, 4, seed)
        seconds = min(seconds, time.perf_counter() - start)
    return Line(table, "exact", 4.0 * draws, seconds)


def collapsed(table: str, design: Design, draws: int) -> Line:
    """Sample (lambda, sigma) with NUTS and draw the coefficients given them."""
    start = time.perf_counter()
    spectrum = factorize(build_design(design.X, design.y))
    outside = time.perf_counter() - start
    result = _sample(design, draws, collapsed=True)
    posterior = result.datatree["posterior"]
    lam, sigma = posterior["lambda_"].values, posterior["sigma"].values
    start = time.perf_counter()
    draws_given(SpectralEngine(design, spectrum), lam.ravel(), sigma.ravel(), lam.shape, np.random.default_rng(0))
    return _line(table, result, outside + time.perf_counter() - start)


def full(table: str, design: Design, draws: int) -> Line:
    """Sample all parameters with NUTS."""
    return _line(table, _sample(design, draws, collapsed=False), 0.0)


def _sample(design: Design, draws: int, *, collapsed: bool) -> SampledPosterior:
    return nuts_posterior(
        design, factorize(design), *PRIORS, Sampler("pymc", draws, draws, progressbar=False), collapsed=collapsed,
        n_jobs=1, random_state=1,
    )  # fmt: skip


def _line(table: str, result: SampledPosterior, outside: float) -> Line:
    found = result.drawn
    steps = float(result.datatree["sample_stats"]["n_steps"].mean())
    every = 2.0 * found.sigma.size * steps  # warm-up is as long as the draws; its steps are about as many
    return Line(
        table, f"NUTS, {result.model_name}", smallest_ess(found), result.sampling_seconds + outside,
        result.compile_seconds, steps, result.sampling_seconds / every, result.verdict,
    )  # fmt: skip


def report(lines: list[Line]) -> str:
    """Lay the lines out as a Markdown table."""
    head = (
        "| table | method | effective draws | seconds | effective draws / s | exact is faster by | chains | compile s "
        "| steps a draw | µs a step |"
    )
    text = [head, "|---|---|--:|--:|--:|--:|---|--:|--:|--:|"]
    for line in lines:
        base = next(one for one in lines if one.table == line.table and one.name == "exact")
        row = [
            line.table, line.name, f"{line.ess:.0f}", f"{line.seconds:.3g}", _short(line.rate),
            "" if line is base else f"{_short(base.rate / line.rate)} x", line.verdict,
        ]  # fmt: skip
        chain = [f"{line.compile_seconds:.1f}", f"{line.steps:.0f}", f"{1e6 * line.step_seconds:.0f}"]
        text.append(f"| {' | '.join([*row, *(['', '', ''] if line is base else chain)])} |")
    return "\n".join(text)


def _short(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10.0 else f"{value:.2g}"


def main() -> None:
    """Run the contenders and print the table."""
    parser = argparse.ArgumentParser(description="effective draws per second, exact against NUTS")
    parser.add_argument("--quick", action="store_true", help="250 draws a chain instead of 1000")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    options = parser.parse_args()
    draws = 250 if options.quick else 1000
    lines: list[Line] = []
    for name in options.tables:
        text, make = TABLES[name]
        design = make()
        for run in (exact, collapsed, full):
            lines.append(run(text, design, draws))
            print(f"... {text}, {lines[-1].name}: {_short(lines[-1].rate)} effective draws / s", flush=True)
    _, _, body = (__doc__ or "").partition("\n\n")
    print(f"\n{body.partition(chr(10) * 2)[2].strip()}\n\n4 chains of {draws} draws after as many warm-up steps\n")
    print(report(lines))


if __name__ == "__main__":
    main()
