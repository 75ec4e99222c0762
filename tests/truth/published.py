"""The folder of published results beside the repository: its tables and its figures, never copied into it."""

import csv
import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "truth"

#: For modules that use the folder: ``pytestmark = needs_truth``.
needs_truth = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the published results (../shared/truth beside the repository) are not here"
)


@cache
def published(name):
    """Figures of one source, such as ``published("nist_certified")``."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@cache
def text_table(path):
    """A table as a dict of lists of strings, one for each column."""
    file = FOLDER / "data" / path
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
