"""The edge between users' tables and one float64 matrix."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

from bayesridge import errors
from bayesridge.errors import DataError, DataTypeError, DroppedRowsWarning, MissingExtraError
from bayesridge.tables.alignment import align_columns
from bayesridge.tables.columns import Columns, Terms, own_terms
from bayesridge.tables.frames import frame_names, read_columns, read_target
from bayesridge.tables.missing import complete_rows, find_missing, has_only_finite, require_finite
from bayesridge.tables.weights import read_weights

RNG = np.random.default_rng(20260101)
X = RNG.normal(size=(6, 3))
Y = RNG.normal(size=6)
NAMES = ("a", "b", "c")

any_number = st.floats(allow_nan=True, allow_infinity=True)
finite_number = st.floats(allow_nan=False, allow_infinity=False)


def tables(values: np.ndarray) -> dict[str, Any]:
    """The same numbers in every container that has column names."""
    columns = {f"c{j}": values[:, j].tolist() for j in range(values.shape[1])}
    return {
        "pandas": pd.DataFrame(columns),
        "pandas block": pd.DataFrame(values, columns=list(columns)),
        "pandas nullable": pd.DataFrame(columns).astype("Float64"),
        "pandas arrow": pd.DataFrame(columns).astype("float64[pyarrow]"),
        "pandas object": pd.DataFrame(columns).astype(object),
        "polars": pl.DataFrame(columns),
        "pyarrow": pa.table(columns),
        "pyarrow batch": pa.RecordBatch.from_pydict(columns),
    }


# ---------------------------------------------------------------- predictors


@pytest.mark.parametrize("order", ["C", "F"])
def test_float64_arrays_are_not_copied(order: Any) -> None:
    array = np.array(X, order=order)
    array.flags.writeable = False
    columns = read_columns(array)
    assert columns.values is array
    assert columns.names == ("x0", "x1", "x2")
    assert columns.named is False
    assert columns.terms == {"x0": ("x0",), "x1": ("x1",), "x2": ("x2",)}


def test_one_block_of_pandas_is_not_copied() -> None:
    frame = pd.DataFrame(X, columns=list(NAMES))
    assert np.shares_memory(read_columns(frame).values, frame.to_numpy())


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5), elements=any_number))
@settings(deadline=None)  # a busy machine is no failure
def test_every_container_gives_the_same_numbers(values: np.ndarray) -> None:
    for kind, table in tables(values).items():
        columns = read_columns(table)
        np.testing.assert_array_equal(columns.values, values, err_msg=kind)
        assert columns.values.dtype == np.float64
        assert columns.names == tuple(f"c{j}" for j in range(values.shape[1]))
        assert columns.named
    for array in (values.tolist(), values.astype(object), np.asfortranarray(values), np.ma.masked_array(values)):
        columns = read_columns(array)
        np.testing.assert_array_equal(columns.values, values)
        assert not columns.named


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint64, np.bool, ">f8", np.longdouble])
def test_other_number_types_become_float64(dtype: Any) -> None:
    array = np.array([[1, 0], [0, 1], [1, 1]], dtype=dtype)
    columns = read_columns(array)
    assert columns.values.dtype == np.dtype("f8")
    assert columns.values.dtype.isnative
    np.testing.assert_array_equal(columns.values, [[1, 0], [0, 1], [1, 1]])


def test_booleans_decimals_and_missing_values_in_frames() -> None:
    expected = np.array([[1, 1.5, 2, np.nan], [0, np.nan, np.nan, np.nan]])
    data: dict[str, list[Any]] = {"b": [True, False], "d": [Decimal("1.5"), None], "i": [2, None], "e": [None, None]}
    nullable = pd.DataFrame({"i": pd.array([2, None], dtype="Int64"), "b": pd.array([True, None], dtype="boolean")})
    for table in (pd.DataFrame(data), pd.DataFrame(data, dtype=object), pl.DataFrame(data), pa.table(data)):
        np.testing.assert_array_equal(read_columns(table).values, expected)
    np.testing.assert_array_equal(read_columns(nullable).values, [[2, 1], [np.nan, np.nan]])


def test_objects_are_converted_only_if_all_are_numbers() -> None:
    mixed = np.array([[1, 2.5], [Fraction(1, 4), np.True_], [None, pd.NA]], dtype=object)
    np.testing.assert_array_equal(read_columns(mixed).values, [[1, 2.5], [0.25, 1], [np.nan, np.nan]])
    with pytest.raises(DataError, match=r"'x1' \(text, e\.g\. '2\.5' in row 1\)"):
        read_columns(np.array([[1, 2], [3, "2.5"]], dtype=object))
    with pytest.raises(DataError, match=r"'x0' \(text, e\.g\. 'a' in row 1\)"):
        read_columns([[1, 2], ["a", 3]])
    with pytest.raises(DataTypeError, match=r"argument must be a string or a real number, not 'dict'"):
        read_columns(np.array([[1, 2], [3, {}]], dtype=object))
    with pytest.raises(DataError, match="does not fit into float64"):
        read_columns(np.array([[1, 2], [3, 10**400]], dtype=object))


def test_masked_values_are_missing() -> None:
    masked = np.ma.masked_array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    np.testing.assert_array_equal(read_columns(masked).values, [[1, np.nan], [3, 4]])
    values, _ = read_target(np.ma.masked_array([1, 2], mask=[True, False]))
    np.testing.assert_array_equal(values, [np.nan, 2])


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
def test_what_is_no_number_is_named_with_example_and_row(make: Callable[[Any], Any]) -> None:
    day = dt.date(2020, 1, 1)
    table = make({"age": [30, 40, 50], "city": [None, "Oslo", "Rome"], "day": [day] * 3, "text": ["1", "2", "3"]})
    with pytest.raises(DataError) as caught:
        read_columns(table)
    message = str(caught.value)
    assert "3 of 4" in message
    assert "'city' (text, e.g. 'Oslo' in row 1)" in message
    assert re.search(r"'day' \((dates|values of type Date), e\.g\. ", message)
    assert "'text' (text, e.g. '1' in row 0)" in message
    assert "formula=" in message
    assert "'age'" not in message


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pd.Categorical(["u", "v"]), "categories"),
        (pd.Categorical([1, 2]), "categories"),
        (pd.Categorical([True, False]), "categories"),
        (pd.date_range("2020", periods=2), "dates"),
        (pd.date_range("2020", periods=2, tz="UTC"), "dates"),
        (pd.timedelta_range("1h", periods=2), "durations"),
        (pd.period_range("2020", periods=2, freq="Y"), r"period\[Y-DEC\]"),
        (np.array(["2020", "2021"], dtype="M8[D]"), "dates"),
    ],
    ids=["text", "numbers", "boolean", "date", "zoned", "duration", "period", "numpy"],
)
def test_categories_and_times_are_not_numbers(column: Any, what: str) -> None:
    with pytest.raises(DataError, match=rf"1 of 2 do not: 'c' \({what}, e\.g\. .* in row 0\)"):
        read_columns(pd.DataFrame({"x": [1.0, 2.0], "c": column}))
    for y in (pd.Series(column), column):
        with pytest.raises(DataError, match=rf"y must hold numbers, and does not \({what}, e\.g\. "):
            read_target(y)
    for y in (np.array(["2020", "2021"], dtype="M8[D]")[:, None], np.array([["2020"], ["2021"]], dtype="M8[D]")):
        with pytest.raises(DataError, match=r"'x0' \(dates, e\.g\. "):
            read_columns(y)


def test_columns_without_any_value_are_missing_whatever_their_type() -> None:
    nothing = [None, None]
    for table in (
        pd.DataFrame({"x": pd.Series(nothing, dtype="str")}),
        pd.DataFrame({"x": pd.Series(nothing, dtype="category")}),
        pl.DataFrame({"x": pl.Series(nothing, dtype=pl.String)}),
        pa.table({"x": pa.array(nothing, type=pa.string())}),
    ):
        np.testing.assert_array_equal(read_columns(table).values, [[np.nan], [np.nan]])


def test_polars_objects_are_numbers_if_all_are() -> None:
    halves = pl.DataFrame({"x": pl.Series([Fraction(1, 2), 3, None], dtype=pl.Object)})
    np.testing.assert_array_equal(read_columns(halves).values[:, 0], [0.5, 3, np.nan])


def test_polars_categories_are_not_numbers() -> None:
    frame = pl.DataFrame({"u": ["a", "b"], "v": ["a", "b"]}).with_columns(
        pl.col("u").cast(pl.Categorical), pl.col("v").cast(pl.Enum(["a", "b"]))
    )
    with pytest.raises(DataError, match=r"'u' \(categories, e.g. 'a' in row 0\), 'v' \(categories"):
        read_columns(frame)


def test_many_bad_columns_are_counted() -> None:
    frame = pd.DataFrame({f"t{j}": ["a", "b"] for j in range(9)})
    with pytest.raises(DataError, match=r"9 of 9 do not: 't0' .* and 4 more\."):
        read_columns(frame)


@pytest.mark.parametrize("bad", [np.ones((3, 2)) * 1j, [[1j, 2], [3, 4]], np.array([[1j, 1], [2, 3]], dtype=object)])
def test_complex_numbers_are_refused(bad: Any) -> None:
    with pytest.raises(DataError, match="Complex data not supported"):
        read_columns(bad)
    with pytest.raises(DataError, match="Complex data not supported"):
        read_columns(pd.DataFrame(bad, columns=["a", "b"]))


def test_shapes() -> None:
    with pytest.raises(
        DataError, match=r"Expected 2D array, got 1D array instead \(shape=\(6,\)\).\nReshape your data"
    ):
        read_columns(Y)
    for series in (pd.Series(Y), pl.Series(Y), pa.array(Y), Y.tolist()):
        with pytest.raises(DataError, match="Expected 2D array, got 1D array instead"):
            read_columns(series)
    with pytest.raises(DataError, match="got 3D array instead"):
        read_columns(np.ones((2, 2, 2)))
    with pytest.raises(DataError, match="got scalar array instead"):
        read_columns(3.0)
    with pytest.raises(DataError, match="different lengths"):
        read_columns([[1, 2], [3]])


@pytest.mark.parametrize("make", [np.array, pd.DataFrame], ids=["numpy", "pandas"])
def test_too_few_rows_or_columns(make: Callable[[Any], Any]) -> None:
    with pytest.raises(
        DataError, match=r"Found array with 0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 2 is req"
    ):
        read_columns(make(np.empty((0, 3))))
    with pytest.raises(DataError, match=r"1 sample\(s\)"):
        read_columns(make(np.ones((1, 3))))
    assert len(read_columns(make(np.ones((1, 3))), min_rows=1).values) == 1
    with pytest.raises(DataError, match=r"0 feature\(s\) \(shape=\(4, 0\)\) while a minimum of 1 is required\."):
        read_columns(make(np.empty((4, 0))))


def test_sparse_lazy_and_dict_say_what_to_do() -> None:
    for sparse in (scipy.sparse.csr_matrix(X), scipy.sparse.csr_array(X)):
        with pytest.raises(DataError, match=r"Sparse data was passed .* Use X.toarray\(\)"):
            read_columns(sparse)
    with pytest.raises(DataError, match=r"lazy .* use X.collect\(\)"):
        read_columns(pl.DataFrame(X).lazy())
    with pytest.raises(DataError, match=r"pandas\.DataFrame\(X\)"):
        read_columns({"a": [1, 2]})


def test_column_labels_follow_scikit_learn() -> None:
    assert read_columns(pd.DataFrame(X)).named is False
    assert read_columns(pd.DataFrame(X, columns=[2, 0, 1])).names == ("x0", "x1", "x2")
    assert read_columns(pd.DataFrame(X, columns=list("cab"))).names == ("c", "a", "b")
    with pytest.raises(TypeError, match=r"\['int', 'str'\] as feature name"):
        read_columns(pd.DataFrame(X, columns=["a", "b", 0]))
    with pytest.raises(DataError, match=r"more than once: 'b'\."):
        read_columns(pd.DataFrame(X, columns=["b", "a", "b"]))


def test_names_of_every_container() -> None:
    for table in tables(X).values():
        assert frame_names(table) == ("c0", "c1", "c2")
    for nameless in (X, X.tolist(), pd.DataFrame(X)):
        assert frame_names(nameless) is None


def test_terms_can_be_copied_pickled_and_not_changed() -> None:
    terms = Terms({"C(g)": ("g1", "g2"), "x": ("x",)})
    for other in (pickle.loads(pickle.dumps(terms)), copy.deepcopy(terms)):
        assert other == terms
        assert list(other) == ["C(g)", "x"]
    with pytest.raises(TypeError):
        terms["x"] = ()  # type: ignore[index]
    assert own_terms(NAMES) == {"a": ("a",), "b": ("b",), "c": ("c",)}
    assert "C(g)" in repr(terms)


def test_importing_the_edge_imports_no_table_library() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); "
        "import bayesridge.errors, bayesridge.tables.frames, bayesridge.tables.formula, bayesridge.tables.files; "
        "heavy = {'pandas', 'narwhals', 'polars', 'pyarrow', 'sklearn', 'formulaic', 'scipy'}; "
        "print(sorted(heavy & {name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# ---------------------------------------------------------------- target and weights


def test_float64_target_is_not_copied() -> None:
    values, name = read_target(Y, 6)
    assert values is Y
    assert name is None


@given(st.lists(any_number, min_size=1, max_size=6))
@settings(deadline=None)  # a busy machine is no failure
def test_every_series_gives_the_same_target(numbers: list[float]) -> None:
    named = [pd.Series(numbers, name="t"), pl.Series("t", numbers), pd.Series(numbers, name="t", dtype="Float64")]
    bare = [numbers, np.array(numbers), pa.array(numbers), pa.chunked_array([numbers]), pd.Index(numbers)]
    for y in [*named, *bare]:
        values, name = read_target(y, len(numbers))
        np.testing.assert_array_equal(values, numbers)
        assert values.dtype == np.float64
        assert name == ("t" if any(y is one for one in named) else None)


def test_column_vectors_are_taken_with_a_warning() -> None:
    for y, name in ((Y[:, None], None), (pd.DataFrame({"t": Y}), "t"), (pl.DataFrame({"t": Y}), "t")):
        with pytest.warns(DataConversionWarning, match=r"A column-vector y was passed when a 1d array .*\(6,\)"):
            values, got = read_target(y, 6)
        np.testing.assert_array_equal(values, Y)
        assert got == name


def test_bad_targets() -> None:
    with pytest.raises(DataError, match="requires y to be passed, but the target y is None"):
        read_target(None)
    with pytest.raises(DataError, match=r"inconsistent numbers of samples: X has 7 rows, y has 6"):
        read_target(Y, 7)
    for several in (X, pd.DataFrame(X), pl.DataFrame(X)):
        with pytest.raises(DataError, match=r"1d array, got an array of shape \(6, 3\)"):
            read_target(several, 6)
    with pytest.raises(DataError, match=r"shape \(\)"):
        read_target(3.0)
    for text in (["a", "b"], np.array(["a", "b"]), pd.Series(["a", "b"]), pl.Series(["a", "b"])):
        with pytest.raises(DataError, match=r"y must hold numbers, .*text, e.g. '?.*a'?.* in row 0"):
            read_target(text)
    with pytest.raises(DataError, match="Complex"):
        read_target(Y * 1j)
    with pytest.raises(DataError, match="inconsistent"):
        read_target(np.array([], dtype=str), 3)


def test_weights() -> None:
    w = np.array([1.0, 0, 2])
    assert read_weights(None, 3) is None
    assert read_weights(w, 3) is w
    for one in (2, 2.0, np.float32(2), np.int8(2), Decimal(2)):
        np.testing.assert_array_equal(read_weights(one, 3), [2, 2, 2])
    for same in ([1, 0, 2], pd.Series([1, 0, 2]), pl.Series([1, 0, 2]), pa.array([1, 0, 2]), (1, 0, 2)):
        np.testing.assert_array_equal(read_weights(same, 3), w)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0, -2, 3, -4], r"must not be negative, and 2 are: the first is -2 in row 1"),
        ([1, np.nan, 3, 4], r"1 are missing \(NaN\): the first in row 1"),
        ([1, 2, np.inf, 4], r"1 are infinite: the first in row 2"),
        ([0, 0, 0, 0], r"[Aa]ll sample weights are zero"),
        (0, r"[Aa]ll sample weights are zero"),
        (-1.0, "must not be negative, and 4 are"),
        ([1, 2, 3], r"\(4,\) expected, \(3,\) received"),
        (np.ones((4, 1)), r"\(4,\) expected, \(4, 1\) received"),
        (np.ones((4, 2)), r"weights should be a 1d array, got an array of shape \(4, 2\)"),
        (["a"] * 4, "weights must hold numbers"),
    ],
)
def test_bad_weights(weights: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_weights(weights, 4)


def test_missing_weights_may_be_let_through() -> None:
    np.testing.assert_array_equal(read_weights([1, None, 2], 3, allow_missing=True), [1, np.nan, 2])
    with pytest.raises(DataError, match="infinite"):
        read_weights([1, np.inf], 2, allow_missing=True)
    with pytest.raises(DataError, match="zero"):
        read_weights([0, 0], 2)


# ---------------------------------------------------------------- finite, missing


@given(
    arrays(np.float64, array_shapes(min_dims=1, max_dims=2, max_side=6), elements=any_number),
    st.sampled_from(["C", "F", "strided"]),
)
def test_only_finite_agrees_with_a_full_scan(values: np.ndarray, layout: str) -> None:
    a = np.repeat(values, 2, axis=0)[::2] if layout == "strided" else np.array(values, order=layout)  # type: ignore[call-overload]
    assert has_only_finite(a) is bool(np.isfinite(values).all())


@pytest.mark.parametrize("layout", ["C", "F", "strided"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 65535, 65536, 131_072, 199_999])
def test_only_finite_looks_at_every_block(layout: str, bad: float, place: int) -> None:
    values = np.full(200_000, 1e308)  # finite, though the sum is not
    a = values.reshape(50_000, 4)
    a = a if layout == "C" else np.asfortranarray(a) if layout == "F" else np.repeat(a, 2, axis=0)[::2]
    assert has_only_finite(a)
    a[np.unravel_index(place, a.shape)] = bad
    assert not has_only_finite(a)


def test_complete_data_pass_unchanged() -> None:
    columns = read_columns(X)
    rows = complete_rows(columns, Y)
    assert rows.columns is columns
    assert rows.y is Y
    assert (rows.weights, rows.kept, rows.n_dropped) == (None, None, 0)


@given(
    arrays(np.float64, (7, 3), elements=st.one_of(finite_number, st.just(np.nan))),
    arrays(np.float64, 7, elements=st.one_of(finite_number, st.just(np.nan))),
    st.permutations(range(7)),
)
def test_dropping_keeps_exactly_the_complete_rows(x: np.ndarray, y: np.ndarray, order: list[int]) -> None:
    complete = ~(np.isnan(x).any(axis=1) | np.isnan(y))
    columns, permuted = read_columns(x), read_columns(x[order])
    counts = find_missing(columns, y, None)
    assert counts == find_missing(permuted, y[order], None)
    each = [*np.isnan(x).sum(axis=0), np.isnan(y).sum()]
    assert counts == {name: n for name, n in zip(("x0", "x1", "x2", "y"), each, strict=True) if n}
    if complete.sum() < 2:
        with pytest.raises(DataError, match="NaN"):
            complete_rows(columns, y, missing="drop")
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = complete_rows(columns, y, missing="drop")
        other = complete_rows(permuted, y[order], missing="drop")
    np.testing.assert_array_equal(rows.columns.values, x[complete])
    np.testing.assert_array_equal(rows.y, y[complete])
    assert rows.n_dropped == (~complete).sum()
    if complete.all():
        assert not caught
        assert rows.kept is None
    else:
        assert {warning.category for warning in caught} == {DroppedRowsWarning}
        assert rows.kept is not None
        np.testing.assert_array_equal(rows.kept, complete)
        np.testing.assert_array_equal(other.kept, complete[order])
    np.testing.assert_array_equal(other.columns.values, x[order][complete[order]])


def holes() -> tuple[Columns, np.ndarray, np.ndarray]:
    frame = pd.DataFrame(X, columns=list(NAMES))
    frame.loc[[1, 2], "b"] = np.nan
    y, w = Y.copy(), np.ones(6)
    y[2], w[5] = np.nan, np.nan
    return read_columns(frame), y, w


def test_missing_values_are_an_error_that_counts_them() -> None:
    with pytest.raises(DataError) as caught:
        complete_rows(*holes(), target_name="price")
    message = str(caught.value)
    assert "Input contains NaN" in message
    assert "(6 rows in all): b: 2, target 'price': 1, the weights: 1." in message
    assert 'missing="drop"' in message


def test_many_missing_columns_are_not_all_listed() -> None:
    values = np.ones((3, 40))
    values[0, 5:] = np.nan
    with pytest.raises(DataError, match=r"x5: 1, x6: 1, .*x29: 1 and 10 more\."):
        complete_rows(read_columns(values), np.ones(3))


def test_missing_rows_are_dropped_with_a_warning() -> None:
    with pytest.warns(
        DroppedRowsWarning, match=r"Left out 3 of 6 rows .*b: 2, the target y: 1, the weights: 1"
    ) as record:
        rows = complete_rows(*holes(), missing="drop")
    assert record[0].filename == __file__  # points at the caller, not into the package
    assert rows.n_dropped == 3
    np.testing.assert_array_equal(rows.kept, [True, False, False, True, True, False])
    np.testing.assert_array_equal(rows.columns.values, X[[0, 3, 4]])
    np.testing.assert_array_equal(rows.weights, [1, 1, 1])
    assert rows.columns.names == NAMES
    assert rows.columns.named


def test_terms_of_several_columns_are_counted_once() -> None:
    values = np.array([[1, 0, 0], [2, np.nan, np.nan], [np.nan, np.nan, np.nan], [3, 0, 1]])
    columns = Columns(values, ("x", "g1", "g2"), True, Terms({"x": ("x",), "C(g)": ("g1", "g2")}))
    assert find_missing(columns, np.ones(4), None) == {"x": 1, "C(g)": 2}


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_empty_columns_and_infinities_are_always_errors(missing: Any) -> None:
    values = X.copy()
    values[:, 1] = np.nan
    with pytest.raises(DataError, match="no value at all in x1"):
        complete_rows(read_columns(values), Y, missing=missing)
    with pytest.raises(DataError, match="no value at all in the target y"):
        complete_rows(read_columns(X), np.full(6, np.nan), missing=missing)
    values = X.copy()
    values[2:4, 0], values[0, 2] = [np.inf, -np.inf], np.nan
    with pytest.raises(DataError, match=r"infinity: 'x0' \(2: rows 2, 3\)\."):
        complete_rows(read_columns(values), Y, missing=missing)
    y = Y.copy()
    y[4] = np.inf
    with pytest.raises(DataError, match=r"infinity: target 'price' \(1: row 4\)\."):
        complete_rows(read_columns(X), y, missing=missing, target_name="price")
    with pytest.raises(DataError, match=r"infinity: the weights \(1: row 4\)\."):
        complete_rows(read_columns(X), Y, np.where(y == np.inf, np.inf, 1.0), missing=missing)


def test_huge_finite_numbers_are_not_infinite() -> None:
    huge = np.full((4, 2), np.finfo(np.float64).max)
    assert complete_rows(read_columns(huge), huge[:, 0]).n_dropped == 0


def test_too_little_left() -> None:
    values = X.copy()
    values[1:, 0] = np.nan
    with pytest.raises(DataError, match="1 of 6 rows complete, at least 2 needed"):
        complete_rows(read_columns(values), Y, missing="drop")
    w = np.array([0.0, 0, 0, 0, 0, 1])
    values = X.copy()
    values[5, 0] = np.nan
    with pytest.raises(DataError, match="All sample weights are zero in the 5 complete rows"):
        complete_rows(read_columns(values), Y, w, missing="drop")
    with pytest.raises(DataError, match='missing must be "error" or "drop", not \'ignore\''):
        complete_rows(read_columns(X), Y, missing="ignore")  # type: ignore[arg-type]


def test_require_finite_names_rows_and_columns() -> None:
    values = np.zeros((9, 2))
    require_finite(values, ("a", "b"))
    values[[1, 8], 1] = np.nan
    with pytest.raises(DataError, match=r"Input X contains NaN: 'b' \(2: rows 1, 8\)"):
        require_finite(values, ("a", "b"))
    values[:5, 0] = np.nan
    with pytest.raises(DataError, match=r"'a' \(5: rows 0, 1, 2, 3, 4\), 'b'"):
        require_finite(values, ("a", "b"))
    values[:, 0] = np.nan
    with pytest.raises(DataError, match=r"'a' \(9: rows 0, 1, 2, 3, 4, \.\.\.\), 'b'"):
        require_finite(values, ("a", "b"))
    values[0, 0] = np.inf
    with pytest.raises(DataError, match="infinity"):
        require_finite(values, ("a", "b"))


# ---------------------------------------------------------------- prediction


def test_alignment_of_arrays_and_tables() -> None:
    assert align_columns(X, ("x0", "x1", "x2"), False) is X
    for table in (pd.DataFrame(X, columns=list(NAMES)), pl.DataFrame(X, schema=list(NAMES))):
        np.testing.assert_array_equal(align_columns(table, NAMES, True), X)
    np.testing.assert_array_equal(align_columns(X[:1].tolist(), NAMES, False), X[:1])
    np.testing.assert_array_equal(align_columns(pd.DataFrame(X), NAMES, False), X)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "cba",
            (
                "Feature names must be in the same order as they were in fit.\n"
                "X[model.feature_names_in_] puts them in order; a formula and a posterior match columns by name.\n"
            ),
        ),
        (
            "abd",
            "Feature names unseen at fit time:\n- d\nFeature names seen at fit time, yet now missing:\n- c\n",
        ),
        ("ab", "Feature names seen at fit time, yet now missing:\n- c\n"),
        ("abcd", "Feature names unseen at fit time:\n- d\n"),
        ("dabc", "Feature names unseen at fit time:\n- d\n"),
        ("ihgfdabc", "Feature names unseen at fit time:\n- d\n- f\n- g\n- h\n- i\n"),
        ("jihgfdabc", "Feature names unseen at fit time:\n- d\n- f\n- g\n- h\n- i\n- ...\n"),
    ],
)
def test_names_must_be_those_of_the_fit(columns: str, message: str) -> None:
    frame = pd.DataFrame(0.0, index=range(2), columns=list(columns))
    if "d" in columns:
        frame["d"] = "text"  # the names come first: what the column holds does not matter
    with pytest.raises(DataError) as caught:
        align_columns(frame, NAMES, True)
    assert str(caught.value) == "The feature names should match those that were passed during fit.\n" + message
    # Word for word what scikit-learn says, and then how to put them in order.
    scaler = StandardScaler().fit(pd.DataFrame(X, columns=list(NAMES)))
    with pytest.raises(ValueError, match="feature names should match") as theirs:
        scaler.transform(frame)
    assert str(caught.value).startswith(str(theirs.value))


def test_names_on_one_side_only_are_a_warning() -> None:
    with pytest.warns(UserWarning, match="X does not have valid feature names, but BayesRidge was fitted with"):
        np.testing.assert_array_equal(align_columns(X, NAMES, True), X)
    with (
        pytest.warns(UserWarning, match="valid feature names"),
        pytest.raises(DataError, match=r"NaN: 'b' \(1: row 3\)"),
    ):
        align_columns(np.where(np.arange(18).reshape(6, 3) == 10, np.nan, X), NAMES, True)
    with pytest.warns(UserWarning, match="X has feature names, but BayesRidge was fitted without"):
        align_columns(pd.DataFrame(X, columns=list(NAMES)), ("x0", "x1", "x2"), False)


def test_bad_predictors() -> None:
    with pytest.raises(DataError, match="X has 2 features, but BayesRidge is expecting 3 features as input"):
        align_columns(X[:, :2], NAMES, False)
    with pytest.raises(DataError, match=r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1"):
        align_columns(X[:0], NAMES, False)
    with pytest.raises(DataError, match="Reshape your data"):
        align_columns(X[0], NAMES, False)
    holed = X.copy()
    holed[3, 1] = np.nan
    with pytest.raises(DataError, match=r"NaN: 'b' \(1: row 3\)"):
        align_columns(pd.DataFrame(holed, columns=list(NAMES)), NAMES, True)
    with pytest.raises(DataError, match=r"NaN: 'x1' \(1: row 3\)"):
        align_columns(holed, ("x0", "x1", "x2"), False)


# ---------------------------------------------------------------- the whole edge, as scikit-learn sees it


class BayesRidge(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A ridge that knows its data only through this module (its name is in the messages)."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesRidge:
        columns = read_columns(X)
        target, _ = read_target(y, len(columns.values))
        rows = complete_rows(columns, target, read_weights(sample_weight, len(target)))
        self.n_features_in_ = columns.values.shape[1]
        self.__dict__.pop("feature_names_in_", None)
        if columns.named:
            self.feature_names_in_ = np.array(columns.names, dtype=object)
        self.names_, self.named_ = columns.names, columns.named
        values = rows.columns.values
        w = np.ones(len(target)) if rows.weights is None else rows.weights
        self.center_, self.intercept_ = np.average(values, axis=0, weights=w), np.average(target, weights=w)
        centred = values - self.center_
        gram = centred.T @ (centred * w[:, None]) + np.eye(self.n_features_in_)
        self.coef_ = np.linalg.solve(gram, centred.T @ (w * (target - self.intercept_)))
        return self

    def predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return (align_columns(X, self.names_, self.named_) - self.center_) @ self.coef_ + self.intercept_


def test_scikit_learn_accepts_an_estimator_built_on_this_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(BayesRidge(), on_fail=None, on_skip=None)
    wrong = [f"{r['check_name']}: {r['exception']!r}" for r in results if r["status"] == "failed"]
    assert not wrong, "\n".join(wrong)
    assert sum(r["status"] == "passed" for r in results) > 50


# ---------------------------------------------------------------- errors


def test_require_names_the_extra() -> None:
    assert errors.require("json", "nothing") is sys.modules["json"]
    with pytest.raises(
        MissingExtraError, match=r"no_such_package .* is not installed: pip install 'bayesridge\[plots\]'"
    ):
        errors.require("no_such_package.part", "plots")


def test_require_says_when_a_package_is_broken(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed.py").write_text("import a_dependency_that_is_gone\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r"half_installed .* cannot be imported .*a_dependency_that_is_gone"):
        errors.require("half_installed", "extra")


def test_errors_are_what_callers_catch() -> None:
    assert issubclass(DataError, ValueError)
    assert issubclass(DataTypeError, TypeError)
    assert issubclass(DataTypeError, DataError)
    assert issubclass(MissingExtraError, ImportError)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Warning)]
    assert len(kinds) >= 8
    assert all(issubclass(kind, errors.BayesRidgeWarning) for kind in kinds)
