"""Write a table, or compare it with the file that is there."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent


def write_or_check(tables: Mapping[str, str], argv: list[str] | None = None) -> int:
    """Write each CSV text into this folder, or with ``--check`` compare it with the file.

    Parameters
    ----------
    tables : mapping of str to str
        File name to CSV text.
    argv : list of str, optional
        The command line; by default that of the process.

    Returns
    -------
    int
        Exit status: 1 if a file differs under ``--check``, else 0.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="compare with the files and write nothing")
    check = parser.parse_args(argv).check
    differing = []
    for name, text in tables.items():
        path = FOLDER / name
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            differing.append(name)
    for name in differing:
        sys.stderr.write(f"{name} is not what its script writes\n")
    return 1 if differing else 0
