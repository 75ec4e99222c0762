"""Published results: their figures, each file with its source, and the tables they were computed from.

Figures are ``tests/truth/*.json``; tables are in ``tests/truth/data`` where they may be copied (its README says which),
and otherwise looked for in a folder beside the repository: a test that needs one is skipped where it is not.
"""

import csv
import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bayesridge import datasets

HERE = Path(__file__).resolve().parent
BESIDE = HERE.parents[2] / "shared" / "truth" / "data"

#: R's names of Longley's columns, and what R divides statsmodels' by.
_LONGLEY = {
    "GNP.deflator": ("GNPDEFL", 1), "GNP": ("GNP", 1000), "Unemployed": ("UNEMP", 10), "Armed.Forces": ("ARMED", 10),
    "Population": ("POP", 1000), "Year": ("YEAR", 1), "Employed": ("TOTEMP", 1000),
}  # fmt: skip


@cache
def published(name):
    """Figures of one source, such as ``published("nist_certified")``."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def table_file(path):
    """The file of a table, or a skipped test where its licence keeps it out of the repository."""
    for folder in (HERE / "data", BESIDE):
        if (folder / path).is_file():
            return folder / path
    pytest.skip(f"{path} may not be copied into the repository, and is not in ../shared/truth/data beside it")


@cache
def text_table(path):
    """A table as a dict of lists of strings, one for each column."""
    file = table_file(path)
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    return {name: [row[k] for row in rows] for k, name in enumerate(header)}


def table(path):
    """A numeric table as a dict of float arrays."""
    return {name: np.array(values, dtype=np.float64) for name, values in text_table(path).items()}


def matrix(path, target="y"):
    """``X, y, names`` of a numeric table."""
    columns = table(path)
    y = columns.pop(target)
    return np.column_stack(list(columns.values())), y, list(columns)


@cache
def longley(target, names):
    """X and y of Longley's table in R's units."""
    frame = datasets.load("longley")
    columns = {name: frame[ours].to_numpy(dtype=float) / unit for name, (ours, unit) in _LONGLEY.items()}
    return np.column_stack([columns[name] for name in names]), columns[target]
