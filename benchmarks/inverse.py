"""Inverse problems: errors and coverage of x, each penalty and rule, on problems whose answer is known.

    python -m benchmarks.inverse [--draws 100] [--n 64]

Five test problems, noise of 0.1, 1 and 10% of the root mean square of A x, all rules on the same draws. A cell is the
median of |x - true x| / |true x| over draws and, in brackets, its worst tenth (90% quantile); then the share of the
true values that 95% intervals hold, lambda integrated ("posterior") or taken for known ("GCV"). "Best" takes the lambda
of least error of each draw. The discrepancy principle is told the true sigma.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from bayesridge import FixedLambda, Jeffreys
from bayesridge.errors import BayesRidgeWarning
from bayesridge.inverse import filter_path, inverse_problem, tikhonov
from bayesridge.inverse.tikhonov import PENALTIES
from bayesridge.linalg.filters import ridge_path
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.rules.catalogue import make_rule
from bayesridge.rules.problem import LambdaProblem, NotAvailableError

PROBLEMS = ("shaw", "deriv2", "gravity", "heat", "blur")
NOISES = (0.001, 0.01, 0.1)
RULES = ("posterior", "evidence", "GCV", "L-curve", "discrepancy", "TSVD, GCV", "TSVD, discr.", "Landweber, discr.")


def chosen(post: Posterior, sigma: float) -> Iterator[tuple[str, float]]:
    """The lambda of each rule, within what makes a difference."""
    problem = LambdaProblem(post)
    rules = {"evidence": make_rule("reml"), "GCV": make_rule("gcv"), "L-curve": make_rule("l_curve")}
    rules["discrepancy"] = make_rule("discrepancy", sigma=sigma)
    ends = float(post.spectrum.s2[-1]) * 1e-6, float(post.spectrum.s2[0]) * 1e6
    for name, rule in rules.items():
        try:
            yield name, float(np.clip(rule.choose(problem).lam, *ends))
        except NotAvailableError:
            yield name, np.nan


def one_draw(problem: Any, penalty: str, noise: float, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Relative errors by rule, and coverage of x."""
    sigma = noise * float(np.sqrt(np.mean(problem.exact**2)))
    post = tikhonov(problem.A, problem.data(noise, seed), penalty)
    s2 = post.spectrum.s2
    grid = ridge_path(post.design, post.spectrum, np.geomspace(s2[-1] * 1e-4, s2[0] * 1e4, 200)).coef
    errors = {"best": min(map(problem.relative_error, grid))}
    errors["posterior"] = problem.relative_error(post.coefficients.mean)
    held = {"posterior": _held(post, problem.x)}
    for name, lam in chosen(post, sigma):
        if not np.isfinite(lam):
            errors[name] = np.nan
            continue
        errors[name] = problem.relative_error(ridge_path(post.design, post.spectrum, lam).coef[0])
        if name == "GCV":
            held[name] = _held(infer(post.design, post.spectrum, FixedLambda(lam), Jeffreys()), problem.x)
    cut = filter_path(post, "truncated", np.arange(post.spectrum.rank))
    for rule, found in (("GCV", cut), ("discr.", cut), ("Landweber", filter_path(post, "landweber"))):
        name = "Landweber, discr." if rule == "Landweber" else f"TSVD, {rule}"
        near = found.residual_squares <= sigma**2 * post.spectrum.nu
        k = found.choose("gcv") if rule == "GCV" else int(np.argmax(near)) if near.any() else len(near) - 1
        errors[name] = problem.relative_error(found.coefficients[k])
    return errors, held


def _held(post: Posterior, x: Any) -> float:
    low, high = post.coefficients.interval().T
    return float(np.mean((low <= x) & (x <= high)))


def main() -> None:
    """Print a table for each level of noise."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--n", type=int, default=64)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", BayesRidgeWarning)
    for noise in NOISES:
        print(f"\nNoise {noise:.1%}:\n")
        print("| problem, penalty | best | " + " | ".join(RULES) + " | held: posterior | held: GCV |")
        print("|---" * (len(RULES) + 4) + "|")
        for name in PROBLEMS:
            problem = inverse_problem(name, asked.n)
            for penalty in PENALTIES:
                found = [one_draw(problem, penalty, noise, seed) for seed in range(asked.draws)]
                cells = [_cell([one[rule] for one, _ in found]) for rule in ("best", *RULES)]
                shares = [f"{np.mean([held[rule] for _, held in found]):.2f}" for rule in ("posterior", "GCV")]
                print(f"| {name}, {penalty} | " + " | ".join([*cells, *shares]) + " |", flush=True)


def _cell(errors: list[float]) -> str:
    kept = np.array(errors)[np.isfinite(errors)]
    if len(kept) < 0.5 * len(errors):
        return "none"
    return f"{_short(float(np.median(kept)))} ({_short(float(np.quantile(kept, 0.9)))})"


def _short(value: float) -> str:
    return "> 10" if value > 10 else "< .001" if value < 5e-4 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


if __name__ == "__main__":
    main()
