"""A fit of ten million rows that is killed and goes on, and Dask's workers, one of which dies: the same bits?

    python -m benchmarks.scale_faults [--rows 1e7] [--folder DIR] [--only files,dask] [--csv] [--keep]

The file is written in pieces and removed. Killed: by SIGKILL after a tenth, a half and nine tenths of the rows, each
run going on from the checkpoint of the last. Dask: worker processes with one thread each add up row groups of the same
file; the clock of one worker beside two, then two of which one is killed in the middle.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bayesridge import Files, Moments, accumulate, posterior
from benchmarks.scale import write

_KILLED = """
import os, signal, sys
from bayesridge import Files, accumulate
stop = float(sys.argv[3])
def progress(rows, *_):  # of a CSV file nobody knows how many there are
    if rows >= stop:
        os.kill(os.getpid(), signal.SIGKILL)
accumulate(Files(sys.argv[1], checkpoint=sys.argv[2], progress=progress), "y")
"""


def bits(statistics: Any) -> str:
    """Hash of all numbers of statistics."""
    found = hashlib.sha256()
    for name, values in sorted(statistics.arrays().items()):
        found.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:16]


def files(path: Path) -> None:
    """Kill and resume."""
    start = time.perf_counter()
    whole = accumulate(path, "y")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"in one go:  {bits(whole)}  {time.perf_counter() - start:.1f} s, peak {peak:.0f} MB", flush=True)
    checkpoint = path.with_suffix(".sums")
    for share in (0.1, 0.5, 0.9):
        words = [sys.executable, "-c", _KILLED, str(path), str(checkpoint), str(share * float(path.stem))]
        done = subprocess.run(words, check=False)
        size = checkpoint.stat().st_size if checkpoint.exists() else 0
        print(f"killed at {share:.0%}: signal {-done.returncode}, checkpoint {size} bytes", flush=True)
        assert done.returncode == -signal.SIGKILL
    seen: list[int] = []
    after = accumulate(Files(path, checkpoint=checkpoint, progress=lambda rows, *_: seen.append(rows)), "y")
    print(f"resumed:    {bits(after)}  {len(seen)} pieces were left", flush=True)
    assert bits(after) == bits(whole)


def group(path: str, k: int, flag: str | None) -> tuple[Any, Any]:
    """Read a row group; the first to read the fifth dies, if a flag says where to say so."""
    import pyarrow.parquet as parquet

    if k == 5 and flag is not None and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    table = parquet.ParquetFile(path).read_row_group(k, use_threads=False)
    X = np.column_stack([table.column(name).to_numpy() for name in table.column_names[:-1]])
    return X, table.column("y").to_numpy()


def added_up(path: Path, n_workers: int, flag: Path | None = None) -> tuple[Moments, float]:
    """Moments from a cluster, and the seconds without its start."""
    import pyarrow.parquet as parquet
    from dask import delayed
    from distributed import Client, LocalCluster, wait

    count = parquet.ParquetFile(path).num_row_groups
    asked: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=n_workers, **asked) as cluster, Client(cluster) as client:
        wait(client.map(lambda _: __import__("bayesridge.design.accumulate") and None, range(4 * n_workers)))
        start = time.perf_counter()
        where = None if flag is None else str(flag)
        total = accumulate([delayed(group)(str(path), k, where) for k in range(count)])
        return total, time.perf_counter() - start


def dask(path: Path) -> None:
    """One worker, two, and two of which one dies."""
    one, seconds_one = added_up(path, 1)
    print(f"one worker:  {bits(one)}  {seconds_one:.1f} s", flush=True)
    two, seconds_two = added_up(path, 2)
    print(f"two workers: {bits(two)}  {seconds_two:.1f} s, {seconds_one / seconds_two:.2f} times as fast", flush=True)
    killed, seconds = added_up(path, 2, path.with_suffix(".flag"))
    print(f"one killed:  {bits(killed)}  {seconds:.1f} s; died: {path.with_suffix('.flag').exists()}", flush=True)
    assert bits(one) == bits(two) == bits(killed)
    X, y = (np.concatenate(part) for part in zip(*(group(str(path), k, None) for k in range(4)), strict=True))
    parts = [(X[k : k + 100_000], y[k : k + 100_000]) for k in range(0, len(y), 100_000)]
    apart, whole = posterior(sum(Moments.of(*part) for part in parts)), posterior(X, y)  # type: ignore[arg-type]
    away = np.abs(apart.coefficients.mean - whole.coefficients.mean) / whole.coefficients.sd
    print(f"added up against memory, {len(y):,} rows: {away.max():.1e} sd", flush=True)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1e7", help="rows of the file")
    parser.add_argument("--folder", help="where to write it")
    parser.add_argument("--only", default="files,dask", help="files, dask")
    parser.add_argument("--csv", action="store_true", help="a CSV file, for files alone")
    parser.add_argument("--keep", action="store_true", help="leave the file there, and take it if it is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        where = Path(arguments.folder or ".") if arguments.keep else Path(folder)
        path = where / f"{int(float(arguments.rows))}.{'csv' if arguments.csv else 'parquet'}"
        if not path.exists():
            write(path, int(float(arguments.rows)))
        for name, run in (("files", files), ("dask", dask)):
            if name in arguments.only.split(","):
                run(path)


if __name__ == "__main__":
    main()
