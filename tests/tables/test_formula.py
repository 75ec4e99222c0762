"""Formulas: what formulaic makes of a table, and what we add so that nothing goes wrong in silence."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesridge.errors import ConstantColumnWarning, DataError, DroppedRowsWarning
from bayesridge.tables.formula import FormulaSpec
from bayesridge.tables.missing import complete_rows

nan = np.nan

DATA: dict[str, list[Any]] = {
    "y": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    "x": [0.5, 1.5, 2.0, 3.5, 5.0, 8.0],
    "z": [3, 1, 4, 1, 5, 9],
    "site": ["b", "a", "c", "a", "b", "c"],
    "flag": [True, False, True, True, False, False],
    "year": [2001, 2002, 2001, 2003, 2002, 2003],
}
MAKERS: dict[str, Callable[[Any], Any]] = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
each_library = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())

FORMULAS = [
    "y ~ x",
    "y ~ x + z + flag",
    "y ~ C(site) + x",
    "y ~ site * x",
    "y ~ 0 + site + center(x)",
    "y ~ C(year) + scale(z)",
    "y ~ C(site, contr.sum):x",
    "y ~ bs(x, df=4) + poly(z, 2)",
    "y ~ cr(x, df=3) + np.sqrt(z)",
    "log(y) ~ (x + z + flag) ** 2",
    "np.log(y) ~ . - year",
    "y ~ {x + 1} + I(z ** 2)",
    "~ x + site",
    "x + site - 1",
]


def frame(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame(DATA | changes)


def spec_of(formula: str, table: Any) -> FormulaSpec:
    return FormulaSpec.fit(formula, table).spec


# ---------------------------------------------------------------- columns


@pytest.mark.parametrize("formula", FORMULAS)
def test_columns_are_those_of_formulaic_without_its_intercept(formula: str) -> None:
    table = frame()
    fitted = FormulaSpec.fit(formula, table)
    expected = formulaic.model_matrix(formula, table)
    right = getattr(expected, "rhs", expected)
    has_intercept = "Intercept" in right.columns
    right = right.drop(columns="Intercept", errors="ignore")
    assert fitted.columns.names == tuple(right.columns)
    np.testing.assert_allclose(fitted.columns.values, right.to_numpy(dtype=float), rtol=1e-14, atol=1e-14)
    assert fitted.columns.named
    assert fitted.spec.has_intercept is has_intercept
    assert [name for owned in fitted.columns.terms.values() for name in owned] == list(right.columns)
    assert fitted.kept.all()
    assert fitted.n_missing == 0
    if "~" in formula.strip("~ "):
        left = expected.lhs
        assert fitted.target_name == left.columns[0]
        np.testing.assert_allclose(fitted.y, left.iloc[:, 0], rtol=1e-14)
    else:
        assert fitted.y is None
        assert fitted.target_name is None


@each_library
@pytest.mark.parametrize("formula", FORMULAS)
def test_every_library_gives_the_same_columns(formula: str, make: Callable[[Any], Any]) -> None:
    fitted, reference = FormulaSpec.fit(formula, make(DATA)), FormulaSpec.fit(formula, frame())
    assert fitted.columns.names == reference.columns.names
    assert fitted.columns.terms == reference.columns.terms
    np.testing.assert_array_equal(fitted.columns.values, reference.columns.values)
    np.testing.assert_array_equal(reference.spec.transform(make(DATA)).values, reference.columns.values)


def test_terms_name_their_columns() -> None:
    fitted = FormulaSpec.fit("y ~ C(site) * x", frame())
    assert fitted.spec.terms == {
        "C(site)": ("C(site)[T.b]", "C(site)[T.c]"),
        "x": ("x",),
        "C(site):x": ("C(site)[T.b]:x", "C(site)[T.c]:x"),
    }
    assert fitted.spec.variables == ("site", "x")


def test_without_an_intercept_all_categories_have_a_column() -> None:
    fitted = FormulaSpec.fit("y ~ 0 + site", frame())
    assert not fitted.spec.has_intercept
    assert fitted.columns.names == ("site[a]", "site[b]", "site[c]")
    np.testing.assert_array_equal(fitted.columns.values.sum(axis=1), 1)


def test_a_column_may_be_called_intercept() -> None:
    fitted = FormulaSpec.fit("y ~ Intercept + x", frame(Intercept=range(6)))
    assert fitted.spec.has_intercept
    assert fitted.columns.names == ("Intercept", "x")
    np.testing.assert_array_equal(fitted.columns.values[:, 0], range(6))


def test_a_column_may_be_called_like_a_function() -> None:
    fitted = FormulaSpec.fit("y ~ log(x)", frame(log=["text"] * 6))
    np.testing.assert_array_equal(fitted.columns.values[:, 0], np.log(DATA["x"]))
    with pytest.raises(DataError, match="does not have: 'log'"):
        FormulaSpec.fit("y ~ log", frame())


def test_odd_names_stand_in_backticks() -> None:
    table = frame(**{"body mass": DATA["x"], "a.b": DATA["z"]})
    fitted = FormulaSpec.fit("y ~ `body mass` + log(`body mass`) + a.b", table)
    np.testing.assert_array_equal(fitted.columns.values, np.column_stack([DATA["x"], np.log(DATA["x"]), DATA["z"]]))
    assert fitted.spec.variables == ("body mass", "a.b")
    assert spec_of("y ~ Q('body mass')", table).variables == ("body mass",)


def test_a_dot_is_everything_but_the_target() -> None:
    for target in ("y", "log(y)", "center(y)", "I(y - 1)"):
        assert spec_of(f"{target} ~ .", frame()).variables == ("x", "z", "site", "flag", "year")
    assert spec_of("y ~ . - site - year", frame()).variables == ("x", "z", "flag")


def test_a_formula_does_not_see_our_variables() -> None:
    for name in ("formula", "frame", "table", "names", "raw", "self", "pd"):
        with pytest.raises(DataError, match=f"does not have: '{name}'"):
            FormulaSpec.fit(f"y ~ x + {name}", frame())


def test_categories_keep_their_order_and_lose_those_without_a_row() -> None:
    site = pd.Categorical(DATA["site"], categories=["c", "unused", "b", "a"])
    assert spec_of("y ~ site", frame(site=site)).names == ("site[T.b]", "site[T.a]")
    enum = pl.DataFrame(DATA).with_columns(pl.col("site").cast(pl.Enum(["c", "unused", "b", "a"])))
    assert spec_of("y ~ site", enum).names == ("site[T.b]", "site[T.a]")
    categorical = pl.DataFrame(DATA).with_columns(pl.col("site").cast(pl.Categorical))
    assert spec_of("y ~ site", categorical).names == ("site[T.b]", "site[T.c]")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "Int16", "int64[pyarrow]", "float32", "Float32", "object"])
def test_numbers_are_wide_before_they_are_squared(dtype: str) -> None:
    table = frame(big=pd.Series([100, 101, 102, 103, 104, 105]).astype(dtype))
    fitted = FormulaSpec.fit("y ~ I(big ** 2)", table)
    np.testing.assert_array_equal(fitted.columns.values[:, 0], np.arange(100.0, 106) ** 2)
    assert spec_of("y ~ C(big)", table).names[0] in ("C(big)[T.101]", "C(big)[T.101.0]")


@each_library
def test_whole_numbers_and_booleans_stay_so_beside_a_gap(make: Callable[[Any], Any]) -> None:
    data = DATA | {"year": [None, 2002, 2001, 2003, 2002, 2003], "flag": [True, False, True, True, False, None]}
    table = make(data).convert_dtypes() if make is pd.DataFrame else make(data)
    spec = spec_of("y ~ C(year) + C(flag)", table)
    assert spec.names == ("C(year)[T.2002]", "C(year)[T.2003]", "C(flag)[T.True]")
    np.testing.assert_array_equal(spec.transform(make(DATA)).values[5], [0, 1, 0])


def test_numbers_are_numbers_however_they_are_stored() -> None:
    tenths = [Decimal("0.1"), Decimal("0.2"), None, Decimal("0.4"), Decimal("0.5"), Decimal("0.6")]
    expected = [0.1, 0.2, nan, 0.4, 0.5, 0.6]
    arrow = pd.array(pa.array(expected), dtype="float64[pyarrow]")  # NaN, which Arrow does not take for null
    for column in (
        tenths,
        pd.array(tenths, dtype="Float64"),
        arrow,
        pd.array(tenths, dtype=pd.ArrowDtype(pa.float64())),
    ):
        fitted = FormulaSpec.fit("y ~ x + center(x)", frame(x=column))
        centred = np.array(expected) - np.nanmean(expected)
        np.testing.assert_allclose(fitted.columns.values, np.column_stack([expected, centred]), rtol=1e-15, atol=1e-16)
        assert fitted.n_missing == 1
    single = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=np.float32)
    fitted = FormulaSpec.fit("y ~ I(x ** 2)", frame(x=single))
    np.testing.assert_array_equal(fitted.columns.values[:, 0], single.astype(float) ** 2)


@pytest.mark.parametrize("dtype", ["str", "string", "string[pyarrow]", "object", "category"])
def test_every_kind_of_text_is_categorical(dtype: str) -> None:
    fitted = FormulaSpec.fit("y ~ site", frame(site=pd.Series(DATA["site"]).astype(dtype)))
    np.testing.assert_array_equal(fitted.columns.values, FormulaSpec.fit("y ~ site", frame()).columns.values)


def test_a_single_category_adds_no_column_and_says_so() -> None:
    with pytest.warns(ConstantColumnWarning, match=r"'C\(site\)' adds no column"):
        fitted = FormulaSpec.fit("y ~ C(site) + x", frame(site=["a"] * 6))
    assert fitted.columns.names == ("x",)
    assert fitted.columns.terms == {"C(site)": (), "x": ("x",)}


def test_what_adds_no_column_makes_no_row_incomplete() -> None:
    # The incomplete rows got the numbers of the first complete one, and were kept.
    gaps = frame(site=[None, "a", None, "a", None, "a"], x=[nan, 2.0, 3.0, 4.0, 5.0, 6.0])
    with pytest.warns(ConstantColumnWarning, match="'site' adds no column"):
        fitted = FormulaSpec.fit("y ~ site + x", gaps)
    np.testing.assert_array_equal(fitted.columns.values, gaps[["x"]])
    assert fitted.n_missing == 1
    # another term that needs the column does want it
    with pytest.warns(ConstantColumnWarning):
        fitted = FormulaSpec.fit("y ~ site + x + I(2 * x):site", gaps)
    np.testing.assert_array_equal(np.isnan(fitted.columns.values).any(axis=1), [1, 0, 1, 0, 1, 0])


# ---------------------------------------------------------------- prediction


@given(order=st.permutations(range(6)), formula=st.sampled_from(FORMULAS))
@settings(deadline=None, max_examples=40)
def test_rows_are_coded_one_by_one(order: list[int], formula: str) -> None:
    table = frame()
    fitted = FormulaSpec.fit(formula, table)
    shuffled = fitted.spec.transform(table.iloc[order])
    np.testing.assert_array_equal(shuffled.values, fitted.columns.values[order])
    single = fitted.spec.transform(table.iloc[[order[0]]])
    np.testing.assert_array_equal(single.values, fitted.columns.values[[order[0]]])
    refitted = FormulaSpec.fit(formula, table.iloc[order])
    assert refitted.columns.names == fitted.columns.names
    np.testing.assert_allclose(refitted.columns.values, fitted.columns.values[order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS)
def test_specs_can_be_copied_and_pickled(formula: str) -> None:
    fitted = FormulaSpec.fit(formula, frame())
    new = frame().iloc[::2]
    before = fitted.spec.transform(new).values
    for spec in (pickle.loads(pickle.dumps(fitted.spec)), copy.deepcopy(fitted.spec)):
        np.testing.assert_array_equal(spec.transform(new).values, before)
        assert spec.terms == fitted.spec.terms
        assert spec.has_intercept is fitted.spec.has_intercept
    np.testing.assert_array_equal(fitted.spec.transform(frame()).values, fitted.columns.values)


def test_what_was_learnt_is_used_for_new_rows() -> None:
    spec = spec_of("y ~ center(x) + site", frame())
    new = pd.DataFrame({"extra": ["?"], "site": ["c"], "x": [10]})  # other order, no target, one row
    np.testing.assert_allclose(spec.transform(new).values, [[10 - np.mean(DATA["x"]), 0, 1]], rtol=1e-15)


@each_library
def test_unseen_categories_are_an_error(make: Callable[[Any], Any]) -> None:
    for formula in ("y ~ site", "y ~ C(site)", "y ~ 0 + x:site", "y ~ C(site, contr.sum)"):
        spec = spec_of(formula, make(DATA))
        new = make(DATA | {"site": ["a", "d", "b", "d", "e", "c"]})
        with pytest.raises(DataError, match=r"'d' \(row 1\), 'e' \(row 4\)\. Known are: 'a', 'b', 'c'\.") as caught:
            spec.transform(new)
        assert "site" in str(caught.value)


def test_unseen_categories_of_an_expression_are_an_error() -> None:
    spec = spec_of("y ~ C(np.floor(x))", frame())
    with pytest.raises(DataError, match=r"'C\(np\.floor\(x\)\)' has .* 7\.0 \(row 2\)"):
        spec.transform(frame(x=[0.1, 1.2, 7.3, 3, 5, 8]))
    with pytest.raises(DataError, match=r"'c' \(row 2\)"):
        FormulaSpec.fit("y ~ C(site, levels=['a', 'b'])", frame())


def test_categories_may_change_their_container_but_not_their_kind() -> None:
    spec = spec_of("y ~ site + C(year) + x", frame())
    expected = spec.transform(frame()).values
    other = frame(
        site=pd.Categorical(DATA["site"], categories=["c", "a", "b"]), year=np.array(DATA["year"], dtype=float)
    )
    np.testing.assert_array_equal(spec.transform(other).values, expected)
    with pytest.raises(DataError, match=r"'x' held numbers .* now holds categories, e.g. '1' in row 0"):
        spec.transform(frame(x=list("123456")))
    with pytest.raises(DataError, match=r"'site' has categories that the model does not know: 1 \(row 0\)"):
        spec.transform(frame(site=[1] * 6))
    coded = spec_of("y ~ g", frame(g=pd.Categorical([1, 2, 3, 1, 2, 3])))
    np.testing.assert_array_equal(coded.transform(frame(g=[3, 2, 1, 3, 2, 1])).values[:, 1], [1, 0, 0, 1, 0, 0])


def test_a_table_for_prediction_must_have_the_columns() -> None:
    spec = spec_of("y ~ site + x", frame())
    with pytest.raises(DataError, match=r"does not have: 'x'\. The table has: 'y', 'z'"):
        spec.transform(frame().drop(columns="x"))
    with pytest.raises(DataError, match=r"0 sample\(s\)"):
        spec.transform(frame().iloc[:0])
    with pytest.raises(DataError, match="extend beyond upper and/or lower bounds"):
        spec_of("y ~ bs(x, df=4)", frame()).transform(frame(x=[99.0] * 6))


# ---------------------------------------------------------------- missing values


@each_library
def test_missing_values_stay_visible_in_every_column_they_touch(make: Callable[[Any], Any]) -> None:
    holed = make(DATA | {"site": ["b", None, "c", "a", "b", "c"], "z": [3, 1, None, 1, 5, 9]})
    fitted = FormulaSpec.fit("y ~ C(site) * x + z", holed)
    assert fitted.columns.names[:2] == ("C(site)[T.b]", "C(site)[T.c]")
    gone = np.isnan(fitted.columns.values)
    expected = {name: {1} if "site" in name else {2} if name == "z" else set() for name in fitted.columns.names}
    assert {name: set(np.flatnonzero(gone[:, j])) for j, name in enumerate(fitted.columns.names)} == expected
    np.testing.assert_array_equal(fitted.kept, [True, False, False, True, True, True])
    assert fitted.n_missing == 2
    assert fitted.y is not None
    with pytest.raises(DataError, match=r"\(6 rows in all\): C\(site\): 1, z: 1, C\(site\):x: 1\."):
        complete_rows(fitted.columns, fitted.y, target_name=fitted.target_name)
    with pytest.warns(DroppedRowsWarning, match="Left out 2 of 6"):
        rows = complete_rows(fitted.columns, fitted.y, missing="drop")
    np.testing.assert_array_equal(rows.kept, fitted.kept)


holes = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["y", "x", "z", "site", "flag", "year"])), max_size=5)


@given(holes=holes, formula=st.sampled_from(FORMULAS), library=st.sampled_from(list(MAKERS)))
@settings(deadline=None, max_examples=30)
def test_a_fit_with_holes_is_the_fit_to_the_complete_rows(
    holes: list[tuple[int, str]], formula: str, library: str
) -> None:
    data = {name: values * 2 for name, values in DATA.items()}
    data["x"] = [x + 0.1 * i for i, x in enumerate(data["x"])]
    for row, name in holes:
        data[name][row] = None
    fitted = FormulaSpec.fit(formula, MAKERS[library](data))
    used = set(fitted.spec.variables) | ({"y"} if fitted.y is not None else set())
    complete = np.array([all(data[name][i] is not None for name in used) for i in range(12)])
    np.testing.assert_array_equal(fitted.kept, complete)
    assert fitted.n_missing == (~complete).sum()
    alone = FormulaSpec.fit(formula, pd.DataFrame(data)[complete].convert_dtypes())
    # pandas stores whole numbers beside a gap as floats, and so they are called 2001.0
    assert [name.replace(".0]", "]") for name in fitted.columns.names] == list(alone.columns.names)
    np.testing.assert_allclose(fitted.columns.values[complete], alone.columns.values, rtol=1e-12, atol=1e-12)
    if fitted.y is not None and alone.y is not None:
        np.testing.assert_allclose(fitted.y[complete], alone.y, rtol=1e-14)
    for term, owned in fitted.columns.terms.items():
        variables = [name for name in used if re.search(rf"\b{name}\b", term)]
        expected = [any(data[name][i] is None for name in variables) for i in range(12)]
        for name in owned:
            gone = np.isnan(fitted.columns.values[:, fitted.columns.names.index(name)])
            np.testing.assert_array_equal(gone, expected, err_msg=name)


def test_state_is_learnt_from_complete_rows() -> None:
    fitted = FormulaSpec.fit(
        "y ~ center(x) + site", frame(y=[1, 2, 4, 8, 16, nan], site=["a", "b", "a", "a", "b", "c"])
    )
    np.testing.assert_allclose(fitted.columns.values[:5, 0], np.array(DATA["x"][:5]) - np.mean(DATA["x"][:5]))
    # The category "c" has no complete row: the model does not know it, now or later.
    assert fitted.columns.names == ("center(x)", "site[T.b]")
    with pytest.raises(DataError, match="'c'"):
        fitted.spec.transform(frame())


def test_incomplete_rows_may_lie_beyond_what_is_known() -> None:
    fitted = FormulaSpec.fit("y ~ bs(x, df=4) + C(np.floor(z))", frame(site=[None] * 6, y=[1, 2, 4, 8, 16, nan]))
    assert fitted.n_missing == 1  # the only row with x > 5, and with z = 9
    alone = FormulaSpec.fit("y ~ bs(x, df=4) + C(np.floor(z))", frame().iloc[:5])
    assert fitted.columns.names == alone.columns.names
    np.testing.assert_array_equal(fitted.columns.values[:5], alone.columns.values)
    assert np.isfinite(fitted.columns.values).all()


def test_comparisons_do_not_hide_a_missing_value() -> None:
    fitted = FormulaSpec.fit("y ~ I(x > 2)", frame(x=[0.5, nan, 2.0, 3.5, 5.0, 8.0]))
    np.testing.assert_array_equal(fitted.columns.values[:, 0], [0, nan, 0, 1, 1, 1])


def test_a_logarithm_that_does_not_exist_is_found() -> None:
    fitted = FormulaSpec.fit("y ~ log(x)", frame(x=[0.5, 1.5, -2.0, 3.5, 5.0, 8.0]))
    assert fitted.n_missing == 1
    assert fitted.y is not None
    with pytest.raises(DataError, match=r"log\(x\): 1\."):
        complete_rows(fitted.columns, fitted.y)
    fitted = FormulaSpec.fit("y ~ log(x)", frame(x=[0.5, 1.5, 0.0, 3.5, 5.0, 8.0]))
    assert fitted.y is not None
    with pytest.raises(DataError, match=r"infinity: 'log\(x\)' \(1: row 2\)"):
        complete_rows(fitted.columns, fitted.y)


def test_a_lag_looks_at_all_rows() -> None:
    fitted = FormulaSpec.fit("y ~ lag(x)", frame(site=[None] * 6))
    np.testing.assert_array_equal(fitted.columns.values[:, 0], [nan, *DATA["x"][:-1]])
    np.testing.assert_array_equal(fitted.kept, [False] + [True] * 5)
    holed = FormulaSpec.fit("y ~ lag(z) + x.shift(2) + site", frame(site=["b", "a", None, "a", "b", "c"]))
    np.testing.assert_array_equal(holed.columns.values[:, 0], [nan, *DATA["z"][:-1]])
    np.testing.assert_array_equal(holed.columns.values[:, 1], [nan, nan, *DATA["x"][:-2]])
    np.testing.assert_array_equal(holed.kept, [False, False, False, True, True, True])


def test_missing_values_at_prediction_stay_visible() -> None:
    spec = spec_of("y ~ site + center(x) + flag", frame())
    new = frame(site=[None, "a", "b", "c", "a", "b"], x=[1, nan, 1, 1, 1, 1])
    gone = np.isnan(spec.transform(new).values)
    np.testing.assert_array_equal(np.argwhere(gone), [[0, 0], [0, 1], [1, 2]])
    nothing = spec.transform(pd.DataFrame({"site": [None], "x": [None], "flag": [None]}))
    assert np.isnan(nothing.values).all()
    text = pd.DataFrame({"site": ["a"], "x": pd.Series([None], dtype="str"), "flag": [True]})
    np.testing.assert_array_equal(np.isnan(spec.transform(text).values), [[False, False, True, False]])


def test_too_few_complete_rows() -> None:
    with pytest.raises(DataError, match=r"6 sample\(s\), 1 of them complete.*NaN in: x: 3, site: 2\."):
        FormulaSpec.fit("y ~ x + site", frame(x=[nan, nan, nan, 1, 2, 3], site=["a", "a", "a", "b", None, None]))
    assert FormulaSpec.fit("y ~ x", frame(x=[nan, nan, nan, nan, 2, 3])).n_missing == 4
    with pytest.raises(DataError, match=r"0 sample\(s\).*minimum of 2"):
        FormulaSpec.fit("y ~ x", frame().iloc[:0])


def test_infinity_is_found_before_a_transform_spreads_it() -> None:
    for make in MAKERS.values():
        with pytest.raises(DataError, match=r"infinity: 'x' \(1: row 2\)"):
            FormulaSpec.fit("y ~ scale(x)", make(DATA | {"x": [0.5, 1.5, np.inf, 3.5, 5.0, 8.0]}))


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ X", r"does not have: 'X'\. The table has: 'y', 'x', 'z', 'site', 'flag', 'year'\. \(Odd"),
        ("y ~ sites", r"does not have: 'sites'\. Did you mean 'site'\? The table has: 'y', 'x', 'z'"),
        ("y ~ x + log(nope)", r"does not have: 'nope'"),
        ("price ~ x", r"does not have: 'price'"),
        ("y ~ sqrt(x)", r"functions that do not exist here: 'sqrt'\. There are: .*log.* np\.sqrt"),
        ("y ~ {__import__('os').getpid() + x}", "only listed functions may be called"),
        ("y ~ x +* z", r"cannot be read: .*y ~ x >>\+\*<< z$"),
        ("y ~ f(x", "cannot be read"),
        ("y ~ I(x +)", "cannot be read"),
        ("y ~ x | z", "several parts"),
        ("y + x ~ z", "one target, and has 'y', 'x'"),
        ("site ~ x", "target 'site' must be one column of numbers"),
        ("poly(y, 2) ~ x", "must be one column of numbers"),
        ("y ~ x + y", "target 'y' is among its own predictors"),
        ("y ~ 1", r"no predictors: 0 feature\(s\)"),
        ("y ~", r"no predictors: 0 feature\(s\)"),
        ("", r"no predictors"),
        ("y ~ np.mean(x)", r"functions that do not exist here: 'np\.mean'"),
        ("y ~ np.log(2)", r"'np\.log\(2\)' has shape \(\); one value for each of 6 rows"),
        ("y ~ x + `1`", "rename that column"),
        ("y ~ scale(site)", "cannot be evaluated: .*scale"),
        ("y ~ bs(x, df=2)", "cannot be evaluated: .*Invalid value for `df`"),
        (3, "A formula is a string"),
    ],
)
def test_bad_formulas_say_what_is_wrong(formula: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        FormulaSpec.fit(formula, frame())
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


@each_library
def test_dates_are_not_numbers(make: Callable[[Any], Any]) -> None:
    days = [dt.datetime(2020, 1, day) for day in (1, 2, 1, 3, 2, 3)]
    with pytest.raises(DataError, match="'day' holds dates, not numbers"):
        FormulaSpec.fit("y ~ day", make(DATA | {"day": days}))
    fitted = FormulaSpec.fit("y ~ C(day) + {day.dt.day}", make(DATA | {"day": days}))
    assert len(fitted.spec.terms["C(day)"]) == 2
    np.testing.assert_array_equal(fitted.columns.values[:, -1], [1, 2, 1, 3, 2, 3])


@each_library
def test_dates_without_a_time_are_dates(make: Callable[[Any], Any]) -> None:
    days = [dt.date(2020, 1, day) for day in (1, 2, 1, 3, 2, 3)]
    with pytest.raises(DataError, match="'day' holds dates, not numbers"):
        FormulaSpec.fit("y ~ day", make(DATA | {"day": days}))
    spec = spec_of("y ~ {day.dt.day}", make(DATA | {"day": days}))
    np.testing.assert_array_equal(spec.transform(make({"day": [days[3], None]})).values, [[3], [nan]])
    np.testing.assert_array_equal(spec.transform(pd.DataFrame({"day": [pd.NaT]})).values, [[nan]])
    with pytest.raises(DataError, match=r"'day' held dates .* now holds numbers, e\.g\. .*3.* in row 0"):
        spec.transform(make({"day": [3]}))
    with pytest.raises(DataError, match="'wait' holds durations"):
        FormulaSpec.fit("y ~ wait", make(DATA | {"wait": [dt.timedelta(days=1)] * 6}))


def test_mixed_and_strange_values_are_refused() -> None:
    with pytest.raises(DataError, match=r"Column 'x' holds int \(1\), str \('n/a'\): make it all text, or all"):
        FormulaSpec.fit("y ~ x", frame(x=[1, 2, "n/a", 4, 5, 6]))
    with pytest.raises(DataError, match=r"Column 'x' holds list \(\[1\]\)"):
        FormulaSpec.fit("y ~ x", frame(x=[[1]] * 6))


def test_columns_that_collide_are_refused() -> None:
    with pytest.raises(DataError, match=r"more than once: 'x:z'\."):
        FormulaSpec.fit("y ~ x + x:z + `x:z`", frame(**{"x:z": range(6)}))


def test_a_wide_table_is_not_listed_in_full() -> None:
    for count, end in ((19, r"'c18'\. \("), (20, r"'c18' and 1 more\. \(")):
        with pytest.raises(DataError, match=end):
            FormulaSpec.fit("y ~ nope", pd.DataFrame({"y": [1, 2], **{f"c{j}": [1, 2] for j in range(count)}}))


def test_a_formula_needs_names() -> None:
    for table in (np.ones((6, 2)), pd.DataFrame(np.ones((6, 2))), [[1, 2]]):
        with pytest.raises(DataError, match="needs a table whose columns have names"):
            FormulaSpec.fit("y ~ x", table)
    with pytest.raises(DataError, match=r"pandas\.DataFrame\(X\)"):
        FormulaSpec.fit("y ~ x", DATA)
    with pytest.raises(DataError, match="more than once: 'x'"):
        FormulaSpec.fit("y ~ x", pd.concat([frame(), frame()[["x"]]], axis=1))


def test_names_that_are_alike_keep_what_each_learnt_apart() -> None:
    # formulaic gives one of them a random alias, under which it would look in vain for what it learnt.
    table = frame(**{"my x": DATA["x"], "my_x": DATA["z"]})
    fitted = FormulaSpec.fit("y ~ center(`my x`) + center(my_x) + {`my x` * my_x / `my x`}", table)
    expected = np.column_stack([DATA["x"] - np.mean(DATA["x"]), DATA["z"] - np.mean(DATA["z"]), DATA["z"]])
    np.testing.assert_allclose(fitted.columns.values, expected, rtol=1e-15)
    np.testing.assert_array_equal(fitted.spec.transform(table.iloc[2:3]).values, fitted.columns.values[2:3])
