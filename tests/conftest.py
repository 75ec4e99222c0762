"""Keeps a file's tests in one process, and marks the numerics: tests of what the processor's BLAS kernel decides.

There is half a minute of them for each kernel.

Decompositions, the posteriors that rest on them against dense algebra, and published results. Quadrature and priors are
the same arithmetic on every kernel.
"""

import gc
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NUMERICS = tuple(
    HERE / part
    for part in (
        "design", "engines", "linalg", "truth",
        "hyper/test_dense_evidence.py", "hyper/test_edges.py", "posteriors/test_degenerate.py",
        "posteriors/test_dense_loo.py", "posteriors/test_weights.py",
    )
)  # fmt: skip
#: Among them, but of files, and of what scikit-learn's interface asks; of kernels, what others hold to dense algebra.
NOT_NUMERICS = (
    "test_accumulate.py", "test_sklearn_suites.py", "test_functions_are_covered", "test_seams",
    "test_units_and_weights", "test_many_rows_are_asked_about_a_part_of_them_first",
    "test_two_length_scales_against_a_dense_grid", "test_dense_quadrature_over_both_scales",
    "test_leave_one_out_is_an_actual_refit", "test_marginal_likelihood_is_the_double_integral",
)  # fmt: skip


@cache
def _numeric(path):
    return path.name not in NOT_NUMERICS and any(path.is_relative_to(part) for part in NUMERICS)


def pytest_ignore_collect(collection_path, config):
    """Where only the numerics are asked for, nothing else is imported."""
    others = collection_path.is_file() and not _numeric(collection_path)
    return True if others and config.option.markexpr.startswith("numerics") else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """What a file's fixtures make is made in one process only, and so is what tests of the report, and of plots, share.

    `--dist loadgroup` would say it with marks, which xdist 3.8 loses under pytest 9.2 without a word (its issue 1386).
    """
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return next((folder for folder in ("tests/plots/", "tests/reporting/") if file.startswith(folder)), file)

    return ByFile(config, log)


def pytest_collection_finish():
    """What was imported stays: collecting it over and over takes a thirtieth of the time."""
    gc.freeze()


def pytest_collection_modifyitems(items):
    for item in items:
        if not _numeric(item.path) or item.originalname in NOT_NUMERICS:
            continue
        if not any(map(item.get_closest_marker, ("slow", "mcmc"))):
            item.add_marker(pytest.mark.numerics)
