# ruff: noqa: E501 -- a mend is one line
"""Undo the mends of docs/edges.md one by one, in a copy, and see whether the test that holds each fails.

``python -m benchmarks.undone`` (some ten minutes of one processor), or with numbers of defects: ``... 6 19``.
A mend of more than a few lines is undone at the line that matters. A test that does not end in two minutes tells nothing
on a busy machine, and is not counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_SECONDS = 120.0


class Mend(NamedTuple):
    """A mend: the text that makes it, what stands there without it, and the tests that hold it (of pytest, with -k)."""

    number: str
    what: str
    file: str
    now: str
    undone: str
    tests: str
    only: str


EDGES, LOO, QUANTILES = "hyper/test_edges.py", "posteriors/test_leave_one_out.py", "posteriors/test_quantiles.py"
PROBABILITIES, HEAVY, RESIDUALS = (
    "posteriors/test_probabilities.py", "linalg/test_heavy_rows.py", "checks/test_residual_checks.py"
)  # fmt: skip
MENDS = (
    Mend("1", "log Q by log1p", "hyper/likelihood.py", "np.log1p(excess / floor) if", "np.log(floor + excess) - np.log(floor) if", EDGES, "frequency_weights"),
    Mend("1", "exp(-y) - 1 + y by its series", "hyper/likelihood.py", "    if factor < _LARGE_SHAPE:", "    if factor < np.inf:", EDGES, "smooth_bell"),
    Mend("1", "cells are capped", "hyper/quadrature.py", "_MOST_CELLS = 2_048", "_MOST_CELLS = 200_000", EDGES, "work_is_bounded"),
    Mend("1", "rounding is a part of the error", "hyper/quadrature.py", "third**2.5) + rounding", "third**2.5) + 0.0 * rounding", EDGES, "sigma_found_between"),
    Mend("1", "the constant of Student's t by Stirling", "linalg/student.py", "_MANY = 1e5", "_MANY = 1e300", EDGES, "many_degrees or count_a_population"),
    Mend("1", "large frequencies are doubted", "tables/weights.py", "(not whole or total / max(n_rows, 1) > _POPULATION)", "not whole", "tables/test_weights.py", "doubted"),
    Mend("1", "broken frequencies are doubted", "tables/weights.py", "(not whole or total / max(n_rows, 1) > _POPULATION)", "total / max(n_rows, 1) > _POPULATION", "tables/test_weights.py", "doubted"),
    Mend("1", "survey weights have Kish's sum", "tables/weights.py", "(relative.sum() / (relative @ relative))", "(len(relative) / relative.sum())", "tables/test_weights.py", "survey"),
    Mend("2", "the range is extended to where the mass is", "hyper/quadrature.py", "if max(f[0], f[-1]) <= top - _CUT:", "if True:", EDGES, "fixed_far_below or found_between"),
    Mend("2", "narrow peaks are zoomed into", "hyper/quadrature.py", "        if not coarse or len(x) > _MOST_NODES:", "        if True:", EDGES, "fixed_far_below or found_between"),
    Mend("2", "a prior beyond float64 is refused", "hyper/quadrature.py", "if rounding > _MOST_ROUNDING:", "if False:", EDGES, "beyond_float64"),
    Mend("3", "tau of no penalty is infinite", "hyper/line.py", '        if np.isneginf(self.log_lam):\n            return PointMass("tau", np.inf)\n        shift', "        shift", EDGES, "no_penalty"),
    Mend("3", "the constant of log p(y) at lambda = 0", "engines/spectral.py", "self.constant + 0.5 * s.rank * float(np.log(2.0 * np.pi))", "self.constant", EDGES, "no_penalty"),
    Mend("4", "a flat evidence is refused", "hyper/evidence.py", "    if not slopes.any():", "    if False:", EDGES, "flat_evidence"),
    Mend("4", "a slope of rounding has no sign", "hyper/evidence.py", "np.abs(slope) > 1e-13 * dof", "np.abs(slope) > 0.0 * dof", EDGES, "flat_evidence"),
    Mend("5", "no mean of sigma squared where it diverges", "hyper/nodes.py", "if self.shape <= 1.0:", "if False:", "posteriors/test_degenerate.py", "very_few_rows"),
    Mend("5", "nothing is left of y by dimension", "linalg/spectrum.py", "elif len(f.s) >= design.nu:", "elif False:", "posteriors/test_degenerate.py", "very_few_rows"),
    Mend("5", "leave-one-out needs two degrees of freedom", "posteriors/loo.py", "(df is not None and df - 1.0 <= 0) or design.nu < 2", "False", "posteriors/test_degenerate.py", "very_few_rows"),
    Mend("6", "a mixture's cdf is at most one", "posteriors/mixture.py", "return np.minimum(below, 1.0)", "return below", PROBABILITIES, "mixtures_cdf or one_row_far"),
    Mend("6", "a marginal's cdf is a probability", "hyper/marginal.py", "np.clip(start + self._inside(cell, self._local(cell, x)), 0.0, 1.0)", "start + self._inside(cell, self._local(cell, x))", PROBABILITIES, "marginals_cdf"),
    Mend("6", "no HDI of a mixture longer than its ETI", "posteriors/mixture.py", "return np.where(shorter[:, None], equal, tails)", "return equal", PROBABILITIES, "shortest"),
    Mend("6", "no HDI of a scale longer than its ETI", "hyper/marginal.py", "return min(shortest, tails, key=lambda ends: ends.upper - ends.lower)", "return shortest", PROBABILITIES, "symmetric"),
    Mend("7", "the grid of lambda is widened", "checks/own_scales.py", "_MOST_STEPS = 10", "_MOST_STEPS = 1", RESIDUALS, "any_r2 or posterior_mean_of_log_lambda"),
    Mend("8", "a quadrature error is said", "hyper/infer.py", "    if hyper.error > asked:", "    if False:", EDGES, "found_between"),
    Mend("8", "rough cells are said", "hyper/marginal.py", "    if found.unresolved > ASKED_ACCURACY:", "    if False:", EDGES, "work_is_bounded"),
    Mend("9", "noise of a prediction is no difference", "posteriors/prediction.py", "np.sqrt(variance * noise))", "np.sqrt(np.maximum(replace(expected, noise=noise).sd ** 2 - expected.sd**2, 0.0)))", EDGES, "noise_of_a_prediction"),
    Mend("11", "rounding of a row does not grow with n", "posteriors/loo.py", "lost = (share * cancelled * pull).sum(axis=1)", "lost = (share * cancelled * pull).sum(axis=1) * max(min(nodes.noise.df, 1e300), 1.0)", f"{LOO} {EDGES}", "leave_one_out or memory"),
    Mend("11", "refits are bounded", "posteriors/loo.py", "elif np.count_nonzero(doubt) > MOST_REFITS:", "elif False:", LOO, "refits_are_bounded"),
    Mend("12", "rows in blocks", "posteriors/loo.py", "size = max(1, _BLOCK_VALUES // columns)", "size = design.n_rows", LOO, "memory_of_many_rows"),
    Mend("13", "predictive groups on request", "posteriors/exact_datatree.py", "random_state=rng, predictive=predictive", "random_state=rng, predictive=True", "posteriors/test_datatree.py", "on_request"),
    Mend("13", "a size is refused", "posteriors/exact_datatree.py", "if parameters + groups <= _LARGEST:", "if draws < 10**9:", "posteriors/test_datatree.py", "on_request"),
    Mend("14", "twins exceed what permuted values give", "rules/duplicates.py", "    agreements, found = found.n_pairs, _copies(view)\n", "    return found\n", "rules/test_duplicates.py", "survey"),
    Mend("14", "no advice to drop discrete rows", "rules/duplicates.py", 'if self.discrete else ", or', 'if False else ", or', "rules/test_duplicates.py", "no_advice"),
    Mend("15", "files are written beside their place", "atomic.py", "        temporary.replace(target)", "        target.write_bytes(temporary.read_bytes())", "test_atomic.py", "not kill_at"),
    Mend("16", "written files reach the disk", "atomic.py", "            os.fsync(file.fileno())\n", "", "test_atomic.py cli/test_faults.py", "fault"),
    Mend("16", "a folder is swapped, not emptied", "atomic.py", "    elif not _exchange(new, folder):", "    elif shutil.rmtree(folder) is None:\n        new.replace(folder)\n    elif False:", "test_atomic.py", "fault or kill"),
    Mend("16", "a link is replaced", "atomic.py", "    target = check_path(path)\n    mode", "    target = check_path(path).resolve()\n    mode", "test_atomic.py", "link"),
    Mend("17", "digits of other scripts are text", "tables/guess.py", "        found = pattern.fullmatch(text)\n", "        found = re.compile(pattern.pattern.replace('[0-9]', '\\\\d')).fullmatch(text)\n", "tables/test_reading.py", "other_scripts or no_number"),
    Mend("17", "control characters are written out", "tables/columns.py", "return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text) if isinstance(text, str) else text", "return text", "tables/test_reading.py", "control"),
    Mend("17", "what a spreadsheet would run is quoted", "tables/files.py", "isinstance(value, str) and value.startswith(_RUNS_IN_A_SPREADSHEET)", "False", "tables/test_reading.py", "spreadsheet or safe_to_open"),
    Mend("18", "nodes that are not listed are refused", "tables/grammar.py", '        raise refused(node, _ADVICE.get(type(getattr(node, "op", node)), "no formula may contain that"))', "        return None", "tables/test_grammar.py", "hostile or door"),
    Mend("18", "calls that are not listed are refused", "tables/grammar.py", '                raise refused(node, "only listed functions may be called")', "                return", "tables/test_grammar.py", "hostile or door"),
    Mend("19", "tau under a fixed lambda", "hyper/line.py", "shift = 0.5 * self.log_lam\n", "shift = 0.5 * self.log_lam + 0.01\n", EDGES, "tau_under_a_fixed"),
    Mend("19", "tau under a fixed lambda, sigma integrated", "hyper/point.py", 'self._scale_marginal("tau", 0.5 * self.log_lam)', 'self._scale_marginal("tau", 0.5 * self.log_lam + 0.01)', EDGES, "tau_under_a_fixed"),
    Mend("19", "tau under a fixed lambda and sigma", "hyper/point.py", "np.exp(self.log_sigma - 0.5 * self.log_lam)", "np.exp(self.log_sigma - 0.5 * self.log_lam + 0.01)", EDGES, "tau_under_a_fixed"),
    Mend("19", "sigma's nodes are refined", "hyper/line.py", "_MOST_REFINEMENTS = 6", "_MOST_REFINEMENTS = 0", EDGES, "narrow_bells"),
    Mend("22", "draws are ranked", "checks/sbc_quantities.py", 'tuple([f"{name} (draws)" for name in drawn]), some', "(), ()", "checks/test_sbc.py", "plugged_in_sigma_fails or cdfs_are_right"),
    Mend("22", "an intercept is drawn with its own sigma", "engines/conditional.py", "design.y_mean + sigma * rng.standard_normal(n)", "design.y_mean + float(np.median(sigma)) * rng.standard_normal(n)", "posteriors/test_draws.py", "own_draw"),
    Mend("heavy", "rows are centred twice", "linalg/routes.py", "    if design.fit_intercept and design.tally is None:", "    if False:", HEAVY, "test"),
    Mend("heavy", "pivot rows by their largest entry", "linalg/heavy_rows.py", "row = k + int(np.abs(A[k:, k]).argmax())", "row = k", HEAVY, "test"),
    Mend("heavy", "V by Jacobi", "linalg/heavy_rows.py", "    if failed:\n", "    if True:\n", HEAVY, "test"),
    Mend("heavy", "columns far apart by Jacobi's method", "linalg/heavy_rows.py", "    if failed:", "    if True:", HEAVY, "test"),
    Mend("heavy", "cross-products are not trusted", "linalg/routes.py", "    if design.tally is None and heaviest_row(design.weights) is not None:", "    if False:", HEAVY, "test"),
    Mend("heavy", "shrunken coefficients are held against elimination", "linalg/heavy_rows.py", "max(of_least_squares, _lost_by_shrinking(found, sigma))", "of_least_squares", HEAVY, "test"),
    Mend("heavy", "a perfect fit by counted rows", "linalg/routes.py", "        if design.nu > len(s) >= degrees_of_rows(design):", "        if False:", HEAVY, "test"),
    Mend("heavy", "its rounding is said", "linalg/routes.py", "    if lost > _MOST_LOST:", "    if False:", HEAVY, "test"),
    Mend("file", "a prior that lacks a number", "persistence.py", "if missing := known - set(values):", "if missing := set():", "test_persistence.py", "lacks or spoil or prior"),
    Mend("fork", "what was locked stays locked no longer", "parallel/threads.py", "os.register_at_fork(after_in_child=_after_fork)", "", "test_loads.py", "processes"),
    Mend("spike", "quantiles are told apart about the heaviest component", "posteriors/mixture.py", "centre = part.location[np.arange(len(q)), part.weight.argmax(axis=-1)]", "centre = part.mean", QUANTILES, "spike"),
    Mend("null", "null directions by a basis of theirs", "linalg/maps.py", "few = np.flatnonzero(null <= _CANCELLED * squares)", "few = np.flatnonzero(null < -1.0)", EDGES, "hardly_touch"),
    Mend("batches", "rows dropped by a fit in batches", "design/design.py", "            return self.tally.n_dropped", "            return 0", "design/test_statistics.py", "missing_values"),
    Mend("chain", "a chain has no evidence", "posteriors/facts.py", "    with suppress(DataError):\n", "    if hyper:\n", "hyper/test_importance.py", "draws_of_a_chain"),
    Mend("wild", "exp(coefficient) beyond float64", "outcomes/posterior.py", 'with np.errstate(over="ignore"):  # of a column in tiny', 'with np.errstate(over="warn"):  # of a column in tiny', "cli/test_transcript.py", "wild_scales"),
)  # fmt: skip


def undo(mend: Mend, copy: Path) -> str:
    """Run a mend's tests without it: "found" where they fail, "NOT FOUND", "moved" where the text is no longer there."""
    path = copy / "bayesridge" / mend.file
    text = path.read_text(encoding="utf-8")
    if text.count(mend.now) != 1:
        return f"moved ({text.count(mend.now)} places)"
    path.write_text(text.replace(mend.now, mend.undone), encoding="utf-8")
    tests = [f"tests/{name}" for name in mend.tests.split()]
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", mend.only, *tests]
    one = {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            ["prlimit", "--as=8000000000", *words], cwd=copy, capture_output=True, text=True, timeout=_SECONDS,
            env={**os.environ, **one}, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "does not end"
    finally:
        path.write_text(text, encoding="utf-8")
    if done.returncode == 1:
        why = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return f"found by {why[0].split('::')[-1][:110] if why else '?'}"
    return "NOT FOUND" if done.returncode == 0 else f"no such test (exit code {done.returncode})"


def main() -> None:
    """Print one line a mend, and how many were found."""
    wanted, found = set(sys.argv[1:]), []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", "build", "notebooks"))
        for mend in MENDS:
            if not wanted or mend.number in wanted:
                found.append(undo(mend, copy))
                print(f"({mend.number}) {mend.what}: {found[-1]}", flush=True)
    print(f"{sum(one.startswith('found') for one in found)} of {len(found)} found")


if __name__ == "__main__":
    main()
