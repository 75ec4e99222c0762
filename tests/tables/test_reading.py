"""Reading a table from a file."""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bayesridge.cli.main import app
from bayesridge.errors import DataError, MissingExtraError, ReadingWarning
from bayesridge.tables.columns import _CONTROL
from bayesridge.tables.files import csv_text, read_table, take_column
from bayesridge.tables.frames import read_columns

FRAME = pd.DataFrame({"y": [1.5, 2.5, 4.0], "x": [1, 2, 3], "group": ["a", "b", "a"]})


def write(path: Path, text: str | bytes) -> Path:
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def one_line(caught: Any) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


# ---------------------------------------------------------------- what can be read


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ("t.csv", ","),
        ("t.csv", ";"),
        ("t.csv", "\t"),
        ("t.csv.gz", ";"),
        ("t.tsv", "\t"),
        ("t.tsv.gz", "\t"),
        ("T.CSV", ","),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_files(tmp_path: Path, name: str, separator: str, end: str) -> None:
    text = FRAME.to_csv(index=False, sep=separator, lineterminator=end)
    for content in (text, "\ufeff" + text, end + text):
        pd.testing.assert_frame_equal(read_table(write(tmp_path / name, content)), FRAME)
    assert len(read_table(str(tmp_path / name))) == 3


@pytest.mark.parametrize("name", ["t.parquet", "t.pq"])
def test_parquet_files(tmp_path: Path, name: str) -> None:
    FRAME.to_parquet(tmp_path / name)
    pd.testing.assert_frame_equal(read_table(tmp_path / name), FRAME)


text = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff"), min_size=1, max_size=5)


@given(
    names=st.lists(text.filter(lambda name: name.strip() == name != ""), min_size=2, max_size=4, unique=True),
    values=st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=5),
    separator=st.sampled_from(",;\t"),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pandas_writes_comes_back(tmp_path: Path, names: list[str], values: list[float], separator: str) -> None:
    frame = pd.DataFrame(dict.fromkeys(names, values))
    # The separator is told by the first line: it must not be outdone by another within the names.
    quiet = [name for name in names if not set(name) & set(',;\t"')]
    frame = frame[quiet] if len(quiet) > 1 else frame.set_axis([f"c{j}" for j in range(len(names))], axis=1)
    path = write(tmp_path / "t.csv", frame.to_csv(index=False, sep=separator))
    pd.testing.assert_frame_equal(read_table(path), frame, rtol=1e-15)


def test_quoted_names_and_line_breaks(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.csv", '"a, b; c","two\nlines", spaced \n1,"x\ny",3\n4,z,6\n'))
    assert list(table.columns) == ["a, b; c", "two\\nlines", "spaced"]
    assert table.iloc[0, 1] == "x\\ny"


def test_which_separator(tmp_path: Path) -> None:
    assert list(read_table(write(tmp_path / "t.tsv", "a,b,c\td\n1\t2\n")).columns) == ["a,b,c", "d"]
    assert list(read_table(write(tmp_path / "t.csv", "a,b,c\td\n1,2,3\n")).columns) == ["a", "b", r"c\td"]
    assert list(read_table(write(tmp_path / "t.csv", "a,b;c\n1,2\n")).columns) == ["a", "b;c"]
    assert list(read_table(write(tmp_path / "t.csv", "a\n1\n")).columns) == ["a"]


def test_blanks_after_the_separator(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.csv", "a, b\n1, 2\n3, 4\n"))
    assert list(table.columns) == ["a", "b"]


def test_row_labels_become_the_index(tmp_path: Path) -> None:
    named = FRAME.set_axis(["Mazda", "Datsun", "Hornet"])
    table = read_table(write(tmp_path / "t.csv", named.to_csv()))
    pd.testing.assert_frame_equal(table, named)
    numbered = read_table(write(tmp_path / "t.csv", FRAME.to_csv()))
    assert list(numbered.columns) == list(FRAME.columns)
    with pytest.raises(DataError, match="first column has no name, and its values repeat"):
        read_table(write(tmp_path / "t.csv", ",a\n1,2\n1,3\n"))


def test_decimal_commas(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.csv", "a;b;c;d;e\n1,5;2;x;1,5;\n-2;3.5;y,2;2.5;1,0\n"))
    np.testing.assert_array_equal(table["a"], [1.5, -2])
    np.testing.assert_array_equal(table["b"], [2, 3.5])
    assert list(table["c"]) == ["x", "y,2"]
    assert list(table["d"]) == ["1,5", "2.5"]  # written in both ways: left as the text it is
    np.testing.assert_array_equal(table["e"], [np.nan, 1])
    with pytest.warns(ReadingWarning, match="column 'a': '1,5' is read as 1.5"):  # where no file has to have them
        with_comma = read_table(write(tmp_path / "t.csv", 'a,b\n"1,5",2\n"2,5",3\n'))
    np.testing.assert_array_equal(with_comma["a"], [1.5, 2.5])


def test_digits_of_other_scripts_are_text(tmp_path: Path) -> None:
    # int() reads them, pandas does not: no raw error, and the fit names the column
    table = read_table(write(tmp_path / "t.csv", "a;y\n\u0661,\u0665;1\n\u0662,\u0665;2\n"))
    assert list(table["a"]) == ["\u0661,\u0665", "\u0662,\u0665"]
    with pytest.raises(DataError, match="'a' \\(text"):
        read_columns(table)


def test_one_value_that_is_no_number_leaves_its_column_text(tmp_path: Path) -> None:
    for value in ("1,5,0", "True", "1.5", "y", "\u0661", "1,", ",5", "0x10", "1_0", "1,5 kg"):
        table = read_table(write(tmp_path / "t.csv", f"a;y\n1,5;1\n{value};2\n2,5;3\n"))
        assert list(table["a"]) == ["1,5", value, "2,5"]
        with pytest.raises(DataError, match="'a' \\(text"):
            read_columns(table)


CONTROLS = "\x1b[31m\x07\x00\r\n\t\x9b\u202e\u2028"


def test_control_characters_are_written_out(tmp_path: Path) -> None:
    expected = r"a\x1b[31m\x07\x00\r\n\t\x9b\u202e\u2028b"
    quoted = '"a' + CONTROLS.replace("\x00", "") + 'b"'
    for name in ("t.csv", "t.csv.gz"):
        text = f"{quoted},c,y\nr,{quoted},1\ns,d,2\n"
        table = read_table(write(tmp_path / name, text))
        assert list(table.columns) == [expected.replace(r"\x00", ""), "c", "y"]
        assert list(table["c"]) == [expected.replace(r"\x00", ""), "d"]
    labelled = read_table(write(tmp_path / "t.csv", f",y\n{quoted},1\ns,2\n"))
    assert list(labelled.index) == [expected.replace(r"\x00", ""), "s"]
    frame = pd.DataFrame({f"a{CONTROLS}b": ["x", f"a{CONTROLS}b"], "y": [1.0, 2.0]})
    for column in (frame, frame.astype({f"a{CONTROLS}b": "category"})):
        column.to_parquet(tmp_path / "t.parquet")
        table = read_table(tmp_path / "t.parquet")
        assert list(table.columns) == [expected, "y"]
        assert list(table.iloc[:, 0].astype(object)) == ["x", expected]
    with pytest.raises(DataError, match=r"occur more than once: 'a\\x1b'") as caught:
        read_table(write(tmp_path / "t.csv", "a\x1b,a\\x1b\n1,2\n"))
    assert "\x1b" not in str(caught.value)


def test_no_control_character_reaches_the_terminal(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "\x1b[2Ja,\x9bg,y\n" + "".join(f"{i},{'u\x1b]0;' if i % 2 else 'v'},{i * i % 7}\n" for i in range(9)),
    )
    for arguments in (
        ["--target", "y"],
        ["--target", "nope"],
        ["--target", "y", "--drop", "\\x9bg"],
        ["--formula", r"y ~ `\x1b[2Ja` + `\x9bg`"],
        ["--formula", "y ~ \x1b[2Ja"],
        ["--target", "y\x1b[2J"],
    ):
        done = CliRunner().invoke(app, ["fit", str(path), *arguments])
        assert not set(done.output) & set("\x1b\x9b\x07")


@pytest.mark.parametrize("bad", ["=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_is_quoted(bad: str) -> None:
    table = pd.DataFrame({"n": [-1.5, 2.0], bad: [bad, "fine"]}, index=[bad, "b"])
    back = list(csv.reader(io.StringIO(csv_text(table, "label"))))
    assert back == [["label", "n", f"'{bad}"], [f"'{bad}", "-1.5", f"'{bad}"], ["b", "2.0", "fine"]]
    assert list(table.columns) == ["n", bad]


def test_results_are_safe_to_open(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "=cmd(),b,y\n" + "".join(f"{i % 3},{i % 4},{i * i % 5}\n" for i in range(12)))
    done = CliRunner().invoke(app, ["fit", str(path), "--target", "y", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out" / "coefficients.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["intercept", "'=cmd()", "b"]


@given(
    content=st.binary(max_size=60), start=st.sampled_from([b"", b"a,b\n", b"a;b\n1,5;2\n", b"a\tb\n1\t", b",a\nr,1\n"])
)
@pytest.mark.filterwarnings("ignore::bayesridge.errors.ReadingWarning")
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_table_or_an_error_of_ours(tmp_path: Path, content: bytes, start: bytes) -> None:
    for name in ("t.csv", "t.tsv"):
        (tmp_path / name).write_bytes(start + content)
        with suppress(DataError):
            table = read_table(tmp_path / name)
            assert len(table) > 0
            assert not any(_CONTROL.search(column) for column in table.columns)
            read_columns(table)


def test_missing_values(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.csv", "a,b\n1,\nNA,2\n,\n"))
    np.testing.assert_array_equal(table.to_numpy(), [[1, np.nan], [np.nan, 2], [np.nan, np.nan]])


# ---------------------------------------------------------------- what cannot


def test_no_such_file(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(DataError, match="No such file") as caught:
            read_table(tmp_path / name)
        assert name in one_line(caught)


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match=r"d\.csv is a directory"):
        read_table(tmp_path / "d.csv")


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.gz", "csv"])
def test_an_unknown_kind(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"unknown kind of file.*\.csv, .*\.parquet"):
        read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"a,b\n", "has column names and no rows"),
        (b"a,b,a,c,c\n1,2,3,4,5\n", "occur more than once: 'a', 'c'"),
        (b"a,b, a\n1,2,3\n", "occur more than once: 'a'"),
        (b"a,,c\n1,2,3\n", "1 of 3 columns have no name"),
        (b",\n1,2\n", "1 of 1 columns have no name"),
        (b'""\n1\n', "1 of 1 columns have no name"),
        (b"a,b\n1,2\n3\n5,6\n", "line 3 has 1 fields where the header has 2"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 fields where the header has 2"),
        (b"a,b\n1,2,3\n4,5,6\n", "line 2 has 3 fields where the header has 2"),
        (b'a,b\n1,"2\n3"\n\n4\n', "line 5 has 1 fields where the header has 2"),
        (b"a;b\n1;2\n3;4;5\n", "line 3 has 3 fields"),
        (b"a,b\n1,\xff\x81\n", "is not UTF-8 text .*encoding="),
        (b"a,b\n1,\xff\x00\n", "is not UTF-8 text .*encoding="),
        (b"\xff\xfea\x00,\x00b\x00\n\x001", "is not UTF-8 text"),
    ],
)
def test_broken_text_files(tmp_path: Path, content: bytes, message: str) -> None:
    for name in ("t.csv", "t.csv.gz"):
        with pytest.raises(DataError, match=message) as caught:
            read_table(write(tmp_path / name, content))
        assert name in one_line(caught)


def test_a_broken_archive(tmp_path: Path) -> None:
    whole = gzip.compress(FRAME.to_csv(index=False).encode() * 50)
    for content in (b"no archive at all", whole[:40], whole[:-8] + b"12345678"):
        (tmp_path / "t.csv.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"t\.csv\.gz cannot be read") as caught:
            read_table(tmp_path / "t.csv.gz")
        one_line(caught)


def test_broken_parquet_files(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write(path, "")
    with pytest.raises(DataError, match="is empty"):
        read_table(path)
    write(path, "a,b\n1,2\n")
    with pytest.raises(DataError, match="cannot be read as Parquet") as caught:
        read_table(path)
    one_line(caught)
    pq.write_table(pa.table([[1], [2], [3]], names=["a", "b", "a"]), path)
    with pytest.raises(DataError, match="occur more than once: 'a'"):
        read_table(path)
    FRAME.iloc[:0].to_parquet(path)
    with pytest.raises(DataError, match="no rows"):
        read_table(path)


def test_parquet_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesridge\[parquet\]'"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_we_may_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b\n1,2\n")
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_table(path)


# ---------------------------------------------------------------- columns with a role


def test_a_column_is_taken_out() -> None:
    rest, y = take_column(FRAME, "y", "target")
    assert list(rest.columns) == ["x", "group"]
    pd.testing.assert_series_equal(y, FRAME["y"])
    rest, weights = take_column(rest, "x", "weights")
    assert list(rest.columns) == ["group"]
    pd.testing.assert_series_equal(weights, FRAME["x"])
    assert list(FRAME.columns) == ["y", "x", "group"]
    with pytest.raises(DataError, match=r"No column is left beside the target 'group'"):
        take_column(rest, "group", "target")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("grop", r"no column 'grop' for the target\. Did you mean 'group'\? The columns are: 'y', 'x', 'group'\."),
        ("Y", r"Did you mean 'y'\?"),
        ("price", r"no column 'price' for the target\. The columns are"),
    ],
)
def test_unknown_columns(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        take_column(FRAME, name, "target")
    one_line(caught)


def test_many_columns_are_not_all_listed() -> None:
    for count, end in ((50, r"'c19' and 30 more\."), (20, r"'c19'\.")):
        wide = pd.DataFrame(0, index=[0], columns=[f"c{j}" for j in range(count)])
        with pytest.raises(DataError, match=end):
            take_column(wide, "zzz", "target")
