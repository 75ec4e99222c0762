"""What a file's text means: numbers, gaps and dates where all values agree, and said; text otherwise."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesridge.errors import DataError, ReadingWarning
from bayesridge.fit import posterior
from bayesridge.tables.files import read_noted, read_table
from bayesridge.tables.frames import read_columns
from bayesridge.tables.guess import decimal_mark, guess

NAN = np.nan


def series(*values: Any) -> pd.Series[Any]:
    return pd.Series(list(values), dtype="str")


@pytest.mark.parametrize(
    ("texts", "mark", "numbers", "note"),
    [
        (["2,783", "95", "1,002,783"], ".", [2783, 95, 1002783], "'2,783' is read as 2783"),
        (["-2,783.50", "0.5"], ".", [-2783.5, 0.5], "'-2,783.50' is read as -2783.5"),
        (["2.783,50", "7"], ",", [2783.5, 7], "'2.783,50' is read as 2783.5"),
        (["2 783", "10"], ".", [2783, 10], "'2 783' is read as 2783"),
        (["2\u202f783", "10"], ".", [2783, 10], "is read as 2783"),
        (["2'783.5", "10"], ".", [2783.5, 10], "is read as 2783.5"),
        (["12%", "7.5 %"], ".", [12, 7.5], "'12%' is read as 12"),
        (["$2,783", "-$5"], ".", [2783, -5], "is read as 2783"),
        (["3,5 €", "4 €"], ",", [3.5, 4], "is read as 3.5"),
        (["\u22122.5", "1e3"], ".", [-2.5, 1000], ""),
        (["1.5", "?", "2", "?"], ".", [1.5, NAN, 2, NAN], r"'\?' is taken for missing \(2 of 4, first in row 1\)"),
        (["1.5", "Unknown"], ".", [1.5, NAN], "'Unknown' is taken for missing"),
    ],
)
def test_numbers(texts: list[str], mark: Any, numbers: list[float], note: str) -> None:
    found = guess(series(*texts), mark)
    assert found is not None
    np.testing.assert_array_equal(found.values, numbers)
    import re

    assert re.search(note, found.note)
    assert bool(found.note) == bool(note)


@pytest.mark.parametrize(
    "texts",
    [
        ["1,2", "3"], ["12,34,567", "1"], ["1", "x"], ["12%", "3"], ["$1", "€2"], ["1.5.2", "1"], ["a", "?"],
        ["?", "-"], ["1 2", "3"], ["2,783 95", "1"], ["0x10", "1"], ["1_000", "1"], ["٣", "1"],
    ],
)  # fmt: skip
def test_text_stays_text(texts: list[str]) -> None:
    assert guess(series(*texts), ".") is None


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        (["2021-03-04", "2021-12-31"], ["2021-03-04", "2021-12-31"]),
        (["2021-03-04 12:30", "?"], ["2021-03-04T12:30", "NaT"]),
        (["4.3.2021", "31.12.2021"], ["2021-03-04", "2021-12-31"]),
        (["04/03/2021", "31/12/2021"], ["2021-03-04", "2021-12-31"]),
        (["03/04/2021", "12/31/2021"], ["2021-03-04", "2021-12-31"]),
    ],
)
def test_dates(texts: list[str], days: list[str]) -> None:
    found = guess(series(*texts), ".")
    assert found is not None
    np.testing.assert_array_equal(found.values.to_numpy().astype("M8[m]"), np.array(days, dtype="M8[m]"))
    assert "dates" in found.note


def test_a_date_that_is_two_days_is_text() -> None:
    assert guess(series("03/04/2021", "05/06/2021"), ".") is None
    assert guess(series("2021-03-04", "soon"), ".") is None
    assert guess(series("2021-02-30", "2021-01-01"), ".") is None


def test_the_decimal_mark_is_what_only_one_mark_can_be() -> None:
    assert decimal_mark(["2,783"]) is None
    assert decimal_mark(["2,783", "1,5"]) == ","
    assert decimal_mark(["2,783", "0,250"]) == ","
    assert decimal_mark(["2,783", "1,234.5"]) == "."
    assert decimal_mark(["1,234,567"]) == "."


def read(tmp_path: Path, text: str | bytes, **options: Any) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, str]]:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_noted(path, **options)


def test_a_file_with_decimal_commas_has_points_between_thousands(tmp_path: Path) -> None:
    table, _, notes = read(tmp_path, "a;b;c\n1,5;2.780;1.2345\n2,25;13.500;2.5\n")
    np.testing.assert_array_equal(table["b"], [2780, 13500])
    np.testing.assert_array_equal(table["c"], [1.2345, 2.5])  # no thousands: left as they are
    assert notes == {"b": "'2.780' is read as 2780"}
    table, _, notes = read(tmp_path, "a;b\n1,5;2.780\n2,25;13.500\n", decimal=".")
    np.testing.assert_array_equal(table["b"], [2.78, 13.5])
    assert list(table["a"]) == ["1,5", "2,25"]


def test_what_could_be_either_is_said(tmp_path: Path) -> None:
    table, _, notes = read(tmp_path, "a;b\n1,500;1\n2,783;2\n")
    np.testing.assert_array_equal(table["a"], [1.5, 2.783])
    assert notes["a"] == "'1,500' is read as 1.5; decimal=\".\" reads it as 1500"
    np.testing.assert_array_equal(read(tmp_path, "a;b\n1,500;1\n2,783;2\n", decimal=".")[0]["a"], [1500, 2783])


def test_encodings(tmp_path: Path) -> None:
    text = "größe,preis €\n1,2\n3,4\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        table, of_file, _ = read(tmp_path, text.encode(encoding))
        assert list(table.columns) == ["größe", "preis €"]
        assert of_file == ()
    table, of_file, _ = read(tmp_path, text.encode("cp1252"))
    assert list(table.columns) == ["größe", "preis €"]
    assert "was read as Latin-1 (cp1252)" in of_file[0]
    assert read(tmp_path, text.encode("cp1252"), encoding="cp1252")[1] == ()
    table, _, _ = read(tmp_path, "größe,y\n1,2\n3,4\n".encode("cp437"), encoding="cp437")
    assert list(table.columns) == ["größe", "y"]
    with pytest.raises(DataError, match="there is no encoding 'nosuch'"):
        read(tmp_path, text, encoding="nosuch")


def test_what_was_decided_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b,c\n"2,783",?,1\n95,3,2\n')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_table(path)
    assert [str(one.message) for one in caught if one.category is ReadingWarning] == [
        "column 'a': '2,783' is read as 2783; column 'b': '?' is taken for missing (1 of 2, first in row 0)"
    ]


def test_a_column_that_is_there_twice_can_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"more than once: 'a'.*drop=.a."):
        read(tmp_path, "a,b,a\n1,2,3\n4,5,6\n")
    table, _, _ = read(tmp_path, "a,b,a\n1,2,3\n4,5,6\n", drop=["a"])
    assert list(table.columns) == ["b"]
    with pytest.raises(DataError, match="no column 'aa' for the drop"):
        read(tmp_path, "a,b\n1,2\n", drop=["aa"])


# ---------------------------------------------------------------- messages


def test_the_cell_that_offends_is_shown() -> None:
    values = [str(i) for i in range(50)]
    values[17] = "12 apples"
    with pytest.raises(DataError, match=r"'a' \(text, e\.g\. '12 apples' in row 17\)") as caught:
        read_columns(pd.DataFrame({"a": values}))
    assert "C(" not in str(caught.value)
    with pytest.raises(DataError, match=r"'a' \(text, e\.g\. '2,783' in row 0\)\. Write numbers") as caught:
        read_columns(pd.DataFrame({"a": ["2,783", "95"]}))
    assert "C(" not in str(caught.value)


def test_text_that_is_nearly_unique_is_refused_in_a_formula() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(60)
    table = pd.DataFrame({"y": x + rng.standard_normal(60), "x": x, "id": [f"k{i}" for i in range(60)]})
    with pytest.raises(DataError, match=r"'id' is text with 60 different values in 60 rows, such as 'k0'.*\(- id\)"):
        posterior(table, formula="y ~ .")
    assert posterior(table, formula="y ~ . - id").design.names == ("x",)
    assert len(posterior(table, formula="y ~ x + C(id)").design.names) == 60
    table["id"] = table["id"].str[:2]  # 10 categories
    assert len(posterior(table, formula="y ~ .").design.names) > 5
