"""Level effects beside GPBoost, statsmodels and PyMC: processor seconds, one thread, all in one run.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.mixed_speed [--peers PYTHON] [--rounds 5] [--nuts 200]

Ours is the posterior: means and sds of scales, fixed effects and all level effects. The peers maximise: GPBoost REML
over its scales, fixed effects and predicted effects; statsmodels' ``MixedLM`` too (it has no crossed effects of this
size). They live in an environment of their own (``pip install gpboost statsmodels pandas``), whose Python is named;
contenders take turns. PyMC's NUTS is not run to the end: from a few draws after as many of tuning, compilation apart,
it is extrapolated to four chains of 1000 + 1000. Its model has the same priors, level effects by index, centred.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Levels of each factor, rows, columns.
TABLES: dict[str, tuple[tuple[int, ...], int, int]] = {
    "1000 groups x 10 rows": ((1000,), 10_000, 1),
    "70,000 rows, 3000 x 1100 crossed": ((3000, 1100), 70_000, 28),
}
CHAINS, DRAWS = 4, 1000


def make(name: str) -> tuple[Array, Array, list[NDArray[np.intp]]]:
    """Columns, target and the codes of each factor."""
    levels, n, p = TABLES[name]
    rng = np.random.default_rng(14)
    codes = [rng.permutation(np.arange(n) % size) for size in levels]
    X = rng.standard_normal((n, p))
    y = 1.0 + X.sum(axis=1) * 0.1 + rng.standard_normal(n)
    for size, code in zip(levels, codes, strict=True):
        y += 0.7 * rng.standard_normal(size)[code]
    return X, y, codes


def bayesridge(name: str) -> Callable[[], str]:
    """The posterior, with all sds."""
    import pandas as pd

    from bayesridge import BayesRidge

    X, y, codes = make(name)
    factors = [f"g{k}" for k in range(len(codes))]
    columns = [f"x{k}" for k in range(X.shape[1])]
    table = pd.DataFrame(X, columns=columns).assign(**dict(zip(factors, codes, strict=True)), y=y)
    formula = " + ".join(["y ~ " + " + ".join(columns), *[f"(1 | {one})" for one in factors]])

    def run() -> str:
        post = BayesRidge(formula=formula).fit(table).posterior_
        _ = post.coefficients.mean, post.coefficients.sd  # effects of levels among them
        tau = [post.scales[f"tau[{one}]" if len(factors) > 1 else "tau"] for one in factors]
        return ", ".join([f"tau {one.mean:.3f} (sd {one.log_sd * one.mean:.3f})" for one in tau])

    return run


def gpboost(name: str) -> Callable[[], str]:
    """Scales, fixed effects and predicted effects at their estimates."""
    import gpboost as gpb

    X, y, codes = make(name)
    design = np.column_stack([np.ones(len(y)), X])

    def run() -> str:
        model = gpb.GPModel(group_data=np.column_stack(codes), likelihood="gaussian", num_parallel_threads=1)
        model.fit(y=y, X=design)
        model.predict_training_data_random_effects()
        found = np.sqrt(np.asarray(model.get_cov_pars(std_err=False)).ravel()[1:])
        return ", ".join([f"tau {one:.3f}" for one in found])

    return run


def statsmodels(name: str) -> Callable[[], str]:
    """The same of one factor."""
    import statsmodels.api as sm

    X, y, codes = make(name)
    if len(codes) > 1:
        raise NotImplementedError

    def run() -> str:
        found = sm.MixedLM(y, sm.add_constant(X), groups=codes[0]).fit(reml=True)
        _ = found.random_effects
        return f"tau {float(np.sqrt(np.asarray(found.cov_re)[0, 0])):.3f}"

    return run


def pymc(name: str, draws: int) -> str:
    """Processor seconds of NUTS, extrapolated."""
    import pymc as pm

    X, y, codes = make(name)
    with pm.Model():
        sigma = pm.math.exp(pm.Flat("log_sigma"))
        mean = pm.Flat("b0") + pm.math.dot(X, pm.Flat("b", shape=X.shape[1]))
        for k, code in enumerate(codes):
            ratio = pm.HalfCauchy(f"ratio_{k}", 1.0)  # R^2 ~ Beta(1/2, 1/2)
            mean = mean + pm.Normal(f"effect_{k}", 0.0, ratio * sigma, shape=int(code.max()) + 1)[code]
        pm.Normal("y", mean, sigma, observed=y)
        at = []
        began = time.process_time()
        tree = pm.sample(
            draws=draws, tune=draws, chains=1, cores=1, progressbar=False, random_seed=1, backend="c",
            compute_convergence_checks=False, callback=lambda **_: at.append(time.process_time()),
        )  # fmt: skip
    tuned, drawn = (float(np.mean(np.diff(part))) for part in (at[:draws], at[draws:]))
    steps = float(tree.sample_stats["n_steps"].mean())
    total = CHAINS * DRAWS * (tuned + drawn)
    return (
        f"{total:.0f} s for {CHAINS} x ({DRAWS} + {DRAWS}), extrapolated from {draws} + {draws} draws "
        f"({1e3 * tuned:.1f} and {1e3 * drawn:.1f} ms each, {steps:.0f} steps); compilation {at[0] - began:.0f} s"
    )


CONTENDERS: dict[str, Callable[[str], Callable[[], str]]] = {
    "bayesridge": bayesridge, "gpboost": gpboost, "statsmodels": statsmodels,
}  # fmt: skip


def serve(contender: str, name: str) -> None:
    """Wait for a line on standard input, run once, answer with processor seconds; and again."""
    run = CONTENDERS[contender](name)
    for _ in sys.stdin:
        start = time.process_time()
        said = run()
        print(f"{time.process_time() - start:.4f}\t{said}", flush=True)


def main() -> None:
    """Print a line for each contender and table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers", default=sys.executable, help="the Python that has GPBoost and statsmodels")
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nuts", type=int, default=200, help="draws of NUTS; 0 leaves it out")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(*asked.serve)
        return
    for name in asked.tables:
        print(name, flush=True)
        who = [one for one in CONTENDERS if one != "statsmodels" or len(TABLES[name][0]) == 1]
        lines = _in_turn(name, who, asked.peers, asked.rounds)
        ours = float(np.median(lines["bayesridge"][0]))
        for one, (seconds, said) in lines.items():
            middle = float(np.median(seconds))
            print(f"  {one:12} {middle:7.3f} s, {middle / ours:5.2f} times ours; {said}", flush=True)
        if asked.nuts:
            print(f"  {'pymc':12} {pymc(name, asked.nuts)}", flush=True)


def _in_turn(name: str, who: list[str], peers: str, rounds: int) -> dict[str, tuple[list[float], str]]:
    """Seconds of each round, the first of which warms up and is not counted."""
    servers: dict[str, subprocess.Popen[Any]] = {
        one: subprocess.Popen(
            [sys.executable if one == "bayesridge" else peers, str(Path(__file__).resolve()), "--serve", one, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for one in who
    }  # fmt: skip
    found: dict[str, tuple[list[float], str]] = {one: ([], "") for one in who}
    for turn in range(rounds + 1):
        for one, server in servers.items():
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write("\n")
            server.stdin.flush()
            seconds, _, said = next(line for line in server.stdout if "\t" in line).strip().partition("\t")
            found[one] = ([*found[one][0], float(seconds)] if turn else [], said)
    for server in servers.values():
        server.communicate()
    return found


if __name__ == "__main__":
    main()
