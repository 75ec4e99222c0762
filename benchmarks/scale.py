"""Time and peak memory over rows, columns and targets, beside scikit-learn, himalaya and the floor, with their slopes.

    python -m benchmarks.scale [--rows 1e5,1e6,1e7] [--folder DIR] [--only files,sparse,wide,targets]

Each line is a process of its own, so that its peak is its own; processor seconds stand beside those of the clock, which
other work on the machine stretches. Files are written in pieces, measured, and removed.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_COLUMNS = 20

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
import bayesridge.linalg.accumulate
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
def moments():
    post = posterior(X, y)
    return post.coefficients.mean, post.coefficients.sd
def intervals():
    posterior(X, y).coefficients.interval()
measured({"floor": floor, "means and sds": moments, "intervals": intervals}[sys.argv[3]])
"""

_TARGETS = """
n, p, T = 1000, 200, int(float(sys.argv[1]))
rng = np.random.default_rng(0)
X = rng.standard_normal((n, p))
Y = X @ rng.standard_normal((p, T)) / np.sqrt(p) + rng.standard_normal((n, T))
def ours():
    from bayesridge import BayesRidge
    fit = BayesRidge().fit(X, Y)
    return fit.coef_, fit.lambda_
def sklearn():
    from sklearn.linear_model import RidgeCV
    RidgeCV(np.logspace(-3, 5, 30), alpha_per_target=True).fit(X, Y)
def himalaya():
    from himalaya.ridge import RidgeCV
    RidgeCV(np.logspace(-3, 5, 30)).fit(X, Y)
measured({"ours": ours, "scikit-learn": sklearn, "himalaya": himalaya}[sys.argv[2]])
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


def slope(sizes: list[float], seconds: list[float]) -> float:
    """Log-log slope of seconds over sizes."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def files(sizes: list[int], folder: Path) -> None:
    """Print what files of these numbers of rows take, beside reading them."""
    for suffix in (".parquet", ".csv"):
        seconds = []
        for n in sizes:
            path = folder / f"rows{suffix}"
            write(path, n)
            line(f"{suffix[1:]} {n:>11,} x {_COLUMNS}: read", run(_READ, path))
            found = run(_FIT, path)
            line(f"{suffix[1:]} {n:>11,} x {_COLUMNS}: posterior", found)
            seconds.append(found[1])
            path.unlink()
        if len(sizes) > 1:
            rise = slope([float(n) for n in sizes[-2:]], seconds[-2:])
            hours = seconds[-1] * (1e9 / sizes[-1]) / 3600.0
            print(f"  slope of the last two {rise:.2f} (theory 1); 1e9 rows would take {hours:.2f} processor hours")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1e5,1e6", help="numbers of rows of the files")
    parser.add_argument("--folder", help="where to write them")
    parser.add_argument("--only", default="files,sparse,targets", help="files, sparse, wide, targets")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{'':<48}{'clock':>12} {'processor':>12} {'peak':>12} {'added':>12}")
    asked = arguments.only.split(",")
    if "files" in asked:
        folder = Path(tempfile.mkdtemp(dir=arguments.folder))
        try:
            files([int(float(n)) for n in arguments.rows.split(",")], folder)
        finally:
            shutil.rmtree(folder)
    if "sparse" in asked:
        for what in ("floor", "posterior"):
            line(f"sparse 1e6 x 2000, 0.1%: {what}", run(_SPARSE, 1e6, 2000, what))
    if "wide" in asked:
        for what in ("floor", "means and sds", "intervals"):
            line(f"500 x 1e6 float32: {what}", run(_WIDE, 500, 1e6, what))
    if "targets" in asked:
        peers = ["ours", "scikit-learn", *(["himalaya"] if importlib.util.find_spec("himalaya") else [])]
        for T in (100, 1000):
            for peer in peers:
                line(f"1000 x 200, {T} targets: {peer}", run(_TARGETS, T, peer))


if __name__ == "__main__":
    main()
