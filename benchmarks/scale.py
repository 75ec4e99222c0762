"""Time and peak memory over rows, columns and targets, beside scikit-learn, himalaya and the floor, with their slopes.

    python -m benchmarks.scale [--rows 1e5,1e6,1e7] [--folder DIR] [--only files,sparse,wide,columns,targets]
    python -m benchmarks.scale --plot docs/_static/scale.svg

Each line is a process of its own, so that its peak is its own; processor seconds stand beside those of the clock, which
other work on the machine stretches. Files are written in pieces, measured, and removed. Series are kept in
``benchmarks/scale.json`` with the machine and versions, a run replacing those it measured; ``--plot`` draws them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

_COLUMNS = 20
_KEPT = Path(__file__).with_suffix(".json")
_COLOURS = {
    "ours": "C0", "ours, all sds": "C9", "BayesianRidge": "C1", "RidgeCV": "C3", "himalaya": "C2", "floor": "0.5",
    "reading": "0.5",
}  # fmt: skip
_THEORY = {"columns, 20,000 rows": 2.0}  # X'X; 1 for rows and targets

_START = """
import re, resource, sys, time
from pathlib import Path
import numpy as np
def status(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
def measured(run):
    before, start, used = status("VmRSS"), time.perf_counter(), cpu()
    run()
    print(time.perf_counter() - start, cpu() - used, status("VmHWM"), status("VmHWM") - before)
"""

_READ = """
import pyarrow.csv, pyarrow.parquet
def read():
    if sys.argv[1].endswith(".csv"):
        batches = pyarrow.csv.open_csv(sys.argv[1])
    else:
        file = pyarrow.parquet.ParquetFile(sys.argv[1], pre_buffer=False, buffer_size=1 << 20)
        batches = file.iter_batches(batch_size=1 << 16)
    for batch in batches:
        pass
measured(read)
"""

_FIT = """
from bayesridge import posterior
import bayesridge.design.accumulate
measured(lambda: posterior(sys.argv[1], "y").coefficients.sd)
"""

_SPARSE = """
import scipy.sparse
from bayesridge import posterior
rng = np.random.default_rng(0)
n, p = int(float(sys.argv[1])), int(sys.argv[2])
X = scipy.sparse.random_array((n, p), density=0.001, rng=rng, format="csr")
y = X @ rng.standard_normal(p) + rng.standard_normal(n)
posterior(X[:1000, :20], y[:1000])
if sys.argv[3] == "floor":
    measured(lambda: np.linalg.eigh((X.T @ X).toarray()))
else:
    measured(lambda: posterior(X, y).coefficients.sd)
"""

_WIDE = """
from bayesridge import posterior
n, p = int(sys.argv[1]), int(float(sys.argv[2]))
rng = np.random.default_rng(0)
X = np.empty((n, p), np.float32)
for row in X:
    row[:] = rng.standard_normal(p, dtype=np.float32)
y = (X @ rng.standard_normal(p).astype(np.float32)).astype(float) / np.sqrt(p) + 0.5 * rng.standard_normal(n)
posterior(X[:50, :3000].astype(float), y[:50]).coefficients.interval()
def floor():
    sum(part @ part.T for part in (X[:, k : k + 2048].astype(float) for k in range(0, p, 2048)))
def all_three():
    post = posterior(X, y)
    return post.coefficients.interval(), post.coefficients.mean, post.coefficients.sd
measured({"floor": floor, "ours": all_three}[sys.argv[3]])
"""

_IN_MEMORY = """
n, p = 20_000, int(sys.argv[1])
rng = np.random.default_rng(0)
X = rng.standard_normal((n, p))
y = X @ rng.standard_normal(p) / np.sqrt(p) + rng.standard_normal(n)
def ours(X, y):
    from bayesridge import posterior
    posterior(X, y).coefficients.sd
def sklearn(X, y):
    from sklearn.linear_model import BayesianRidge
    BayesianRidge().fit(X, y)
def ridge_cv(X, y):
    from sklearn.linear_model import RidgeCV
    RidgeCV(np.logspace(-3, 5, 30)).fit(X, y)
def floor(X, y):
    np.linalg.eigh(X.T @ X)
fit = {"ours": ours, "BayesianRidge": sklearn, "RidgeCV": ridge_cv, "floor": floor}[sys.argv[2]]
fit(X[: 2 * p], y[: 2 * p])
measured(lambda: fit(X, y))
"""

_TARGETS = """
n, p, T = 1000, 200, int(float(sys.argv[1]))
rng = np.random.default_rng(0)
X = rng.standard_normal((n, p))
Y = X @ rng.standard_normal((p, T)) / np.sqrt(p) + rng.standard_normal((n, T))
def ours(X, Y):
    from bayesridge import BayesRidge
    fit = BayesRidge().fit(X, Y)
    return fit.coef_, fit.lambda_
def with_sds(X, Y):
    from bayesridge import BayesRidge
    BayesRidge().fit(X, Y).posterior_.coefficient_sd()
def sklearn(X, Y):
    from sklearn.linear_model import RidgeCV
    RidgeCV(np.logspace(-3, 5, 30), alpha_per_target=True).fit(X, Y)
def himalaya(X, Y):
    from himalaya.ridge import RidgeCV
    RidgeCV(np.logspace(-3, 5, 30)).fit(X, Y)
fit = {"ours": ours, "ours, all sds": with_sds, "RidgeCV": sklearn, "himalaya": himalaya}[sys.argv[2]]
fit(X, Y[:, :2])
measured(lambda: fit(X, Y))
"""


def run(script: str, *arguments: object) -> tuple[float, float, float, float]:
    """Seconds by the clock and of the processor, peak memory and what was added to it (MB)."""
    words = [sys.executable, "-c", _START + script, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    clock, used, peak, added = map(float, done.stdout.split())
    return clock, used, peak, added


def line(what: str, found: tuple[float, float, float, float]) -> None:
    """Print one line."""
    print(f"{what:<48}{found[0]:10.2f} s {found[1]:10.2f} s {found[2]:9.0f} MB {found[3]:9.0f} MB", flush=True)


def write(path: Path, n: int) -> None:
    """Write rows in pieces of half a million, as Parquet or CSV."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    rng = np.random.default_rng(0)
    beta, names = rng.standard_normal(_COLUMNS) / 4.0, [*(f"x{j}" for j in range(_COLUMNS)), "y"]
    schema = pa.schema([(name, pa.float64()) for name in names])
    make = csv.CSVWriter if path.suffix == ".csv" else parquet.ParquetWriter
    with make(str(path), schema) as writer:
        for start in range(0, n, 500_000):
            X = rng.standard_normal((min(500_000, n - start), _COLUMNS))
            y = X @ beta + rng.standard_normal(len(X)) + 3.0
            writer.write_table(pa.table([*X.T, y], schema=schema))


def slope(sizes: list[int], seconds: list[float]) -> float:
    """Log-log slope of seconds over sizes."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def series(axis: str, name: str, sizes: list[int], script: str, arguments: Callable[[int], list[object]]) -> None:
    """Measure one program over sizes, print its lines and their slope, and keep them."""
    found = []
    for size in sizes:
        found.append(run(script, *arguments(size)))
        line(f"{axis}, {size:,}: {name}", found[-1])
    seconds = [round(one[1], 3) for one in found]
    if len(sizes) > 1:
        print(f"  slope of the last two {slope(sizes[-2:], seconds[-2:]):.2f} (theory {_THEORY.get(axis, 1.0):g})")
    keep(axis, name, {"sizes": sizes, "processor seconds": seconds, "added MB": [round(one[3]) for one in found]})


def keep(axis: str, name: str, found: dict[str, object]) -> None:
    """Put a series in the place of the last one of its name, with the machine and the versions."""
    kept = json.loads(_KEPT.read_text()) if _KEPT.exists() else {}
    versions = {one: version(one) for one in ("numpy", "scipy", "scikit-learn", "pyarrow")}
    about = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    kept.setdefault(axis, {})[name] = found | {"machine": about, "versions": versions}
    _KEPT.write_text(json.dumps(kept, indent=1) + "\n")


def files(sizes: list[int], folder: Path) -> None:
    """Measure files of these numbers of rows, beside reading them."""
    for kind in ("parquet", "csv"):
        for n in sizes:
            write(folder / f"{n}.{kind}", n)
        for name, script in (("reading", _READ), ("ours", _FIT)):
            series(f"rows of {kind}, x {_COLUMNS}", name, sizes, script, lambda n, end=kind: [folder / f"{n}.{end}"])
        for n in sizes:
            (folder / f"{n}.{kind}").unlink()


def plot(path: Path) -> None:
    """Draw what was kept: processor seconds over sizes, with the slope of theory dotted."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "scale"
    from matplotlib import pyplot as plt

    kept = json.loads(_KEPT.read_text())
    figure, axes = plt.subplots(1, len(kept), figsize=(2.9 * len(kept), 3.1), layout="constrained", squeeze=False)
    for ax, (axis, found) in zip(axes[0], kept.items(), strict=True):
        for name, one in found.items():
            ax.loglog(one["sizes"], one["processor seconds"], "o-", label=name, markersize=3, color=_COLOURS[name])
        sizes, seconds = np.array(found["ours"]["sizes"], float), found["ours"]["processor seconds"]
        ax.loglog(sizes, seconds[-1] * (sizes / sizes[-1]) ** _THEORY.get(axis, 1.0), "k:", linewidth=0.8)
        ax.set_xlabel(axis)
        ax.xaxis.set_minor_formatter("")
        ax.legend(fontsize=7, frameon=False)
    axes[0, 0].set_ylabel("processor seconds")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1e5,1e6", help="numbers of rows of the files")
    parser.add_argument("--folder", help="where to write them")
    parser.add_argument("--only", default="files,sparse,targets", help="files, sparse, wide, columns, targets")
    parser.add_argument("--plot", type=Path, help="draw what was kept, and measure nothing")
    arguments = parser.parse_args()
    if arguments.plot is not None:
        plot(arguments.plot)
        return
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{'':<48}{'clock':>12} {'processor':>12} {'peak':>12} {'added':>12}")
    asked = arguments.only.split(",")
    if "files" in asked:
        folder = Path(tempfile.mkdtemp(dir=arguments.folder))
        try:
            files([int(float(n)) for n in arguments.rows.split(",")], folder)
        finally:
            shutil.rmtree(folder)
    for key, what, script, sizes in (
        ("sparse", "sparse 1e6 x 2000, 0.1%", _SPARSE, (1e6, 2000)), ("wide", "500 x 1e6 float32", _WIDE, (500, 1e6))
    ):  # fmt: skip
        for who in ("floor", "ours") if key in asked else ():
            line(f"{what}: {who}", run(script, *sizes, who))
    if "columns" in asked:
        for name in ("floor", "ours", "BayesianRidge", "RidgeCV"):
            series("columns, 20,000 rows", name, [50, 100, 200, 400], _IN_MEMORY, lambda p, who=name: [p, who])
    if "targets" in asked:
        for name in ("ours", "ours, all sds", "RidgeCV", "himalaya"):
            if name != "himalaya" or importlib.util.find_spec(name):
                sizes = [100, 1000] if name == "himalaya" else [100, 1000, 10_000]
                series("targets, 1000 x 200", name, sizes, _TARGETS, lambda T, who=name: [T, who])


if __name__ == "__main__":
    main()
