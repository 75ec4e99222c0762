"""Simulation-based calibration of every kind of prior: ``python -m benchmarks.sbc_table [--simulations N] [--jobs K]``.

Prints the table of docs/validation_calibration.md: one row for each pair of priors and size. 5000 simulations of all of
them take half an hour on two cores; ``--simulations 500`` three minutes.
"""

from __future__ import annotations

import argparse

import numpy as np

from bayesridge.checks.calibration import CalibrationResult, holm
from bayesridge.checks.sbc import sbc
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedScales,
    FixedSigma,
    FixedTau,
    Gamma,
    GammaPrecisions,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Jeffreys,
    LogNormal,
    NoisePrior,
    Prior,
)

SIZES = ((20, 5), (20, 40))


def _triangle(r2):
    with np.errstate(divide="ignore"):  # zero at R2 = 1
        return np.log(2.0 * (1.0 - r2))


def _weibull(x):
    return np.log(2.0 * x) - x * x


#: Every prior and noise prior that ships, in all the ways their posteriors are computed (line, plane, point).
PAIRS: dict[str, tuple[Prior, NoisePrior]] = {
    "default": (BetaR2(0.5, 0.5), Jeffreys()),
    "uniform R2": (BetaR2(1.0, 1.0), Jeffreys()),
    "half-t ratio": (HalfT(3.0, 0.5), Jeffreys()),
    "half-Cauchy ratio": (HalfCauchy(0.5), Jeffreys()),
    "half-normal ratio": (HalfNormal(0.5), Jeffreys()),
    "log-normal": (LogNormal(10.0, 1.5), Jeffreys()),
    "gamma": (Gamma(2.0, 0.1), Jeffreys()),
    "custom R2": (Custom(_triangle, of="R2", label="triangular"), Jeffreys()),
    "custom ratio": (Custom(_weibull, of="tau/sigma", label="Weibull(2)"), Jeffreys()),
    "fixed lambda": (FixedLambda(5.0), Jeffreys()),
    "gamma precisions": (GammaPrecisions(2.0, 0.5, 3.0, 2.0), Jeffreys()),
    "inverse-gamma noise": (BetaR2(0.5, 0.5), InverseGamma(3.0, 2.0)),
    "known noise": (BetaR2(0.5, 0.5), FixedSigma(1.0)),
    "known noise, tau": (HalfT(3.0, 0.5, on="tau"), FixedSigma(1.0)),
    "fixed lambda, half-t noise": (FixedLambda(5.0), HalfT(4.0, 1.0, on="sigma")),
    "fixed tau": (FixedTau(0.5), InverseGamma(3.0, 2.0)),
    "fixed tau, half-normal noise": (FixedTau(0.5), HalfNormal(1.0, on="sigma")),
    "fixed scales": (FixedScales(1.0, 0.5), Jeffreys()),
    "half-t tau and sigma": (HalfT(3.0, 0.5, on="tau"), HalfT(4.0, 1.0, on="sigma")),
    "half-Cauchy tau": (HalfCauchy(0.5, on="tau"), InverseGamma(3.0, 2.0)),
    "half-normal tau and sigma": (HalfNormal(0.5, on="tau"), HalfNormal(1.0, on="sigma")),
    "default, half-Cauchy noise": (BetaR2(0.5, 0.5), HalfCauchy(1.0, on="sigma")),
    "custom tau and sigma": (
        Custom(_weibull, of="tau", label="Weibull(2)"),
        Custom(_weibull, of="sigma", label="Weibull(2)"),
    ),
}

#: Least squares: a flat prior of the coefficients, where they are fewer than the rows.
LEAST_SQUARES = (FixedLambda(0.0), Jeffreys())


def cases() -> list[tuple[str, tuple[int, int]]]:
    """All pairs at all sizes."""
    return [(name, size) for size in SIZES for name in PAIRS] + [("least squares", SIZES[0])]


def calibrate(name: str, size: tuple[int, int], simulations: int, n_jobs: int = 1) -> CalibrationResult:
    """Calibrate one pair of priors at one size, with a seed of its own."""
    prior, noise = LEAST_SQUARES if name == "least squares" else PAIRS[name]
    seed = np.random.SeedSequence([20, *size, *name.encode()])
    return sbc(size, prior, noise, simulations=simulations, random_state=seed, n_jobs=n_jobs)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="simulation-based calibration of every prior")
    parser.add_argument("--simulations", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    print("| rows x columns | prior | noise | quantities | refused | smallest p | Holm, within the row | which |")
    print("|---|---|---|---|---|---|---|---|")
    smallest = []
    for name, size in cases():
        found = calibrate(name, size, options.simulations, options.jobs)
        worst = min(found.p_adjusted, key=lambda key: found.p_values[key])
        smallest.append(found.p_adjusted[worst])
        prior, noise = LEAST_SQUARES if name == "least squares" else PAIRS[name]
        print(
            f"| {size[0]} x {size[1]} | {prior.text} | {noise.text} | {len(found.pits)} "
            f"| {found.refused} | {found.p_values[worst]:.2g} | {found.p_adjusted[worst]:.2g} | {worst} |",
            flush=True,
        )
    table = holm(np.array(smallest))
    print(
        f"\n{len(smallest)} studies of {options.simulations} data sets; smallest p of the whole table after Holm's "
        f"adjustment over quantities and studies: {table.min():.2g}"
    )


if __name__ == "__main__":
    main()
