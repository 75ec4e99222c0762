"""Speed of the full exact posterior beside scikit-learn's ``BayesianRidge`` and the floor of one syrk and one eigh.

    python -m benchmarks.speed [--quick]

Contenders run in turn in one process. Each waits until BLAS's idle threads, which spin for a tenth of a second after
the last product of the one before, have gone to sleep, and is called untimed first, to wake the processor. Ours is
everything from raw arrays, validation included: the posterior of lambda and sigma on its nodes, and means and sds of
all coefficients.

Further sections: the comparison of all rules for lambda and the HTML report beside our own fit, memory, the command
line, and effective draws per second beside NUTS on the example table (``python -m benchmarks.mcmc`` for more tables).
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIZES = ((442, 10), (1000, 100), (100_000, 50), (20_000, 500), (2000, 1000), (200, 5000))
TARGETS = {(442, 10): 2, (1000, 100): 5, (100_000, 50): 15, (20_000, 500): 10, (2000, 1000): 4, (200, 5000): 300}
COMPARED = ((442, 10), (20_000, 500))
_PAUSE = 0.2


def make_data(n: int, p: int) -> tuple[Array, Array]:
    """Independent Gaussian columns, coefficients of total variance one, noise of variance one."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    y = X @ (rng.standard_normal(p) / np.sqrt(p)) + rng.standard_normal(n) + 3.0
    return X, y


def example_data() -> tuple[Array, Array]:
    """The diabetes table, where scikit-learn's fixed point takes more steps than on simulated columns."""
    from bayesridge.datasets import load_xy

    X, y = load_xy("diabetes")
    return np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)


def exact(X: Array, y: Array) -> None:
    """Compute the exact posterior with all marginal means and sds."""
    from bayesridge import posterior

    post = posterior(X, y)
    nodes = post.hyper.nodes
    _ = nodes.weight @ nodes.noise.mean_variance(), post.coefficients.mean, post.coefficients.sd


def estimator(X: Array, y: Array) -> None:
    """The same through the scikit-learn estimator, which also finds medians of lambda, sigma and tau."""
    from bayesridge import BayesRidge

    _ = BayesRidge().fit(X, y).posterior_.coefficients.sd


def sklearn_fit(X: Array, y: Array) -> None:
    """Fit scikit-learn's plug-in estimate."""
    from sklearn.linear_model import BayesianRidge

    BayesianRidge().fit(X, y)


def floor(X: Array, y: Array) -> None:  # noqa: ARG001
    """One symmetric product and one eigendecomposition of the smaller side."""
    np.linalg.eigh(X.T @ X if X.shape[0] > X.shape[1] else X @ X.T)


def measure(contenders: Mapping[str, Callable[[], object]], rounds: int, repeats: int) -> dict[str, Array]:
    """Seconds of each contender, in turn, `rounds` times; short ones are repeated within a round."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(rounds):
        for name, run in contenders.items():
            time.sleep(_PAUSE)
            for _ in range(3 if repeats > 1 else 1):
                run()
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            seconds[name].append((time.perf_counter() - start) / repeats)
    return {name: np.array(values) for name, values in seconds.items()}


def speed_table(quick: bool) -> None:
    """Print one line a size: medians, and medians of the ratios of each round."""
    print("            n x p      exact  estimator    sklearn      floor   sklearn/exact   exact/floor")
    tables = [("diabetes", *example_data(), TARGETS[442, 10])]
    tables += [("", *make_data(n, p), TARGETS[n, p]) for n, p in SIZES]
    for title, X, y, aim in tables:
        n, p = X.shape
        small = n * p < 200_000
        runs = {
            "exact": lambda X=X, y=y: exact(X, y),
            "estimator": lambda X=X, y=y: estimator(X, y),
            "sklearn": lambda X=X, y=y: sklearn_fit(X, y),
            "floor": lambda X=X, y=y: floor(X, y),
        }
        times = measure(runs, 3 if quick else 7, 30 if small else 1)
        cells = " ".join(f"{1e3 * np.median(times[name]):7.2f} ms" for name in runs)
        ratio = np.median(times["sklearn"] / times["exact"])
        above = np.median(times["exact"] / times["floor"])
        print(f"{title:8} {n:>6} x {p:<5} {cells}  {ratio:6.1f} (aim {aim:3d})  {above:6.2f}", flush=True)


def comparison_table(quick: bool) -> None:
    """Print what the table of all rules for lambda takes, with and without K-fold cross-validation."""
    from bayesridge.rules.catalogue import standard_rules
    from bayesridge.rules.comparison import compare_lambda

    print("\ncompare_lambda          fit     without CV (x fit)     with 5- and 10-fold CV (x fit)")
    for n, p in COMPARED:
        X, y = make_data(n, p)
        runs = {
            "fit": lambda X=X, y=y: exact(X, y),
            "without": lambda X=X, y=y: compare_lambda(X, y, rules=standard_rules(), progress=False),
            "with": lambda X=X, y=y: compare_lambda(X, y, progress=False),
        }
        times = measure(runs, 3 if quick else 7, 20 if n * p < 200_000 else 1)
        cells = [f"{1e3 * np.median(times['fit']):8.1f} ms"]
        for name in ("without", "with"):
            ratio = np.median(times[name] / times["fit"])
            cells.append(f"{1e3 * np.median(times[name]):9.1f} ms ({ratio:.3g} x)")
        print(f"{n:>6} x {p:<5} {'    '.join(cells)}", flush=True)
    done = subprocess.run([sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True)
    print(f"442 x 10, first call of a fresh process, imports left out: {done.stdout.strip()} ms")


_FIRST = """
import time
import sklearn.model_selection
from benchmarks.speed import make_data
from bayesridge.rules.comparison import compare_lambda
X, y = make_data(442, 10)
start = time.perf_counter()
compare_lambda(X, y, progress=False)
print(f"{1e3 * (time.perf_counter() - start):.0f}")
"""


def report_table(quick: bool) -> None:
    """Print what the HTML report takes, and its size, where the package has one."""
    if importlib.util.find_spec("bayesridge.reporting.build") is None:
        return
    from bayesridge import posterior
    from bayesridge.reporting.build import report_html

    print("\nHTML report             seconds      bytes")
    for n, p in COMPARED:
        post, seconds, page = posterior(*make_data(n, p)), [], ""
        for _ in range(2 if quick else 4):
            time.sleep(_PAUSE)
            start = time.perf_counter()
            page = report_html(post)
            seconds.append(time.perf_counter() - start)
        print(f"{n:>6} x {p:<5} {np.median(seconds[1:]):17.2f} {len(page.encode()):>10,}", flush=True)


def draws_table() -> None:
    """Print effective draws per second on the example table: exact, collapsed NUTS, full NUTS."""
    from benchmarks import mcmc

    title, make = mcmc.TABLES["diabetes"]
    design = make()
    lines = [run(title, design, 250) for run in (mcmc.exact, mcmc.collapsed, mcmc.full)]
    print(f"\neffective draws per second, 4 chains of 250 draws\n\n{mcmc.report(lines)}")


_MEMORY = """
import re
from pathlib import Path
import numpy as np
from bayesridge import posterior
rng = np.random.default_rng(0)
X = rng.standard_normal((200, 100_000)); y = X[:, :50].sum(axis=1) + rng.standard_normal(200)
def status(key):
    return 1024 * int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = status("VmRSS")
post = posterior(X, y)
post.coefficients.mean, post.coefficients.sd
peak = status("VmHWM")
print(f"{(peak - before) / X.nbytes:.2f} {peak / X.nbytes:.2f}")
"""


def memory_line() -> None:
    """Print the peak memory of 200 x 100000, in units of X."""
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
    added, whole = done.stdout.split()
    print(f"\nmemory, 200 x 100000: {added} x the size of X beyond X itself; whole process {whole} x (aim: under 4)")


def command_lines() -> None:
    """Print what the command line takes, start of Python included."""
    table = Path(__file__).resolve().parents[1] / "data" / "diabetes.csv"
    for words in (["--help"], ["fit", str(table), "--target", "progression"]):
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "bayesridge", *words], capture_output=True, check=True)
            seconds.append(time.perf_counter() - start)
        print(f"bayesridge {words[0]:<8} {np.median(seconds[1:]):.2f} s")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of seven")
    arguments = parser.parse_args()
    speed_table(arguments.quick)
    comparison_table(arguments.quick)
    report_table(arguments.quick)
    memory_line()
    command_lines()
    draws_table()


if __name__ == "__main__":
    main()
