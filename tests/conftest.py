"""Marks the fast tests of numbers: those of the packages that compute, without what is slow or samples."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NUMERICS = tuple(HERE / folder for folder in ("linalg", "hyper", "posteriors", "truth"))


def pytest_collection_modifyitems(items):
    for item in items:
        computes = any(item.path.is_relative_to(folder) for folder in NUMERICS)
        if computes and not (item.get_closest_marker("slow") or item.get_closest_marker("mcmc")):
            item.add_marker(pytest.mark.numerics)
