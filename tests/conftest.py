"""Marks the numerics: tests of what the processor's BLAS kernel decides, half a minute of them for each kernel.

Decompositions, the posteriors that rest on them against dense algebra, and published results. Quadrature and priors are
the same arithmetic on every kernel.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NUMERICS = tuple(
    HERE / part
    for part in (
        "linalg", "truth", "hyper/test_dense_evidence.py", "hyper/test_edges.py", "posteriors/test_degenerate.py",
        "posteriors/test_dense_loo.py", "posteriors/test_leave_one_out.py",
        "posteriors/test_weights.py",
    )
)  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        chosen = any(item.path.is_relative_to(part) for part in NUMERICS)
        if chosen and not (item.get_closest_marker("slow") or item.get_closest_marker("mcmc")):
            item.add_marker(pytest.mark.numerics)
