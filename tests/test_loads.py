"""Many fits at once and one after another: threads, new processes and forks, and memory that stays flat."""

import gc
import os
import resource
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

import bayesridge
from bayesridge import HalfNormal, posterior

pytestmark = pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")

SHAPES = ((60, 4), (12, 30), (400, 40), (9, 9))


def fit(k):
    """What one of many fits answers, in posterior sds; every fourth one has a noise prior, hence two dimensions."""
    n, p = SHAPES[k % len(SHAPES)]
    rng = np.random.default_rng(k)
    X = rng.standard_normal((n, p))
    y = 4.0 * X[:, 0] + rng.standard_normal(n)
    post = posterior(X, y, noise_prior=HalfNormal(2.0, on="sigma") if k % 8 == 0 else None)
    c = post.coefficients
    return np.concatenate([c.mean / c.sd, c.quantile(0.9) / c.sd, post.predict(X[:3]).interval(0.9).ravel()])


def test_twenty_four_threads_at_once():
    alone = [fit(k) for k in range(24)]
    together = Barrier(24)

    def run(k):
        together.wait()
        return fit(k)

    with ThreadPoolExecutor(24) as pool:
        for one, same in zip(pool.map(run, range(24)), alone, strict=True):
            np.testing.assert_allclose(one, same, rtol=1e-10, atol=1e-10)  # another number of BLAS threads


PROCESSES = """
import multiprocessing, sys, threading, warnings
from bayesridge.parallel.threads import _SECTION
from tests.test_loads import fit

if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is what is tested
    fit(2)
    for method in ("spawn", "fork"):
        with _SECTION, _SECTION._lock:  # as another thread would, in the middle of a fit
            pool = multiprocessing.get_context(method).Pool(1 if method == "spawn" else 2)
        with pool:
            print(method, *[repr(float(v)) for k in range(3) for v in pool.apply_async(fit, (k,)).get(timeout=60)[:3]])
"""


def test_processes_that_start_anew_and_forks_of_one_that_is_at_work(tmp_path):
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    root = Path(bayesridge.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=200, check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    expected = [float(v) for k in range(3) for v in fit(k)[:3]]
    for line, method in zip(done.stdout.splitlines(), ("spawn", "fork"), strict=True):
        name, *found = line.split()
        assert name == method
        np.testing.assert_allclose([float(v) for v in found], expected, rtol=1e-10, atol=1e-10)


def grown(fits):
    """Bytes that are held after so many fits more."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for k in range(fits):
        fit(k % 16)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def test_memory_stays_flat():
    grown(16)  # tables of the t distributions, imports
    assert grown(64) < 64 * 500  # rows or nodes kept of a fit would be more; arrays of columns are seen below


@pytest.mark.slow
def test_ten_thousand_fits_in_the_same_memory():
    grown(16)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert grown(10_000) < 1_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes
