"""What a formula may say, and that nothing else is ever run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bayesridge import BayesRidge, posterior
from bayesridge.cli.main import app
from bayesridge.errors import BayesRidgeError, DataError, FormulaError
from bayesridge.tables.formula import FormulaSpec
from bayesridge.tables.formula_columns import evaluate

SUBCLASSES = "().__class__.__base__.__subclasses__()"
TOUCH = "__import__('pathlib').Path('ran').touch()"


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "y": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
            "x": [0.5, 1.5, 2.0, 3.5, 5.0, 8.0],
            "z": [3, 1, 4, 1, 5, 9],
            "site": ["b", "a", "c", "a", "b", "c"],
            "day": pd.date_range("2020-01-01", periods=6),
        }
    )


HOSTILE = [
    # what Python would run
    f"y ~ {{{SUBCLASSES}[0]}}",
    f"y ~ x + I({SUBCLASSES})",
    f"y ~ I({TOUCH})",
    f"{TOUCH} ~ x",
    f"y ~ C(site, levels=[{TOUCH}])",
    f"y ~ C(site, contrasts={TOUCH})",
    f"y ~ bs(x, df={TOUCH})",
    f"y ~ {{[{TOUCH} for i in x]}}",
    f"y ~ {{(lambda: {TOUCH})()}}",
    f"y ~ {{x if {TOUCH} else z}}",
    f"y ~ {{x and {TOUCH}}}",
    f"y ~ {{x == {TOUCH}}}",
    f"y ~ {{x[{TOUCH}]}}",
    f"y ~ I(*[{TOUCH}])",
    f"y ~ I(x, **{{'a': {TOUCH}}})",
    f"y ~ {{(a := {TOUCH})}}",
    f'y ~ I(f"{{{TOUCH}}}")',
    f"y ~ Q({TOUCH})",
    f"y ~ exec({TOUCH!r})",
    f"y ~ eval({TOUCH!r})",
    f"y ~ {{x.apply(eval({TOUCH!r}))}}",
    f"y ~ {{x.eval({TOUCH!r})}}",
    f"y ~ {{day.dt.strftime({TOUCH!r})}}",
    "y ~ {getattr(np, 'lo' + 'g')(x)}",
    "y ~ np.__loader__.load_module('os')",
    "y ~ np.loadtxt('ran')",
    "y ~ np.fromfile('ran')",
    "y ~ {x.to_pickle('ran')}",
    "y ~ {x.to_csv('ran')}",
    "y ~ {np.save('ran', x)}",
    "y ~ {np.ctypeslib.ctypes.CDLL(None)}",
    "y ~ {np.testing.rundocs('ran')}",
    "y ~ {open('ran', 'w')}",
    "y ~ {x.__class__}",
    "y ~ {x.values}",
    "y ~ {contr.__class__}",
    "y ~ C(site, contr.__init_subclass__())",
    "y ~ {np}",
    "y ~ {print(x)}",
    "y ~ {yield x}",
    "y ~ {await x}",
    # what formulaic's string-pasting would run: it closes a quote, and opens a comment
    f"y ~ Q('\")+{TOUCH}#')",
    f"y ~ Q(\"''+{TOUCH})#\")",
    f"y ~ center(Q('\")+{TOUCH}#'))",
    f"y ~ scale(x, center='\")+{TOUCH}#')",
    f"y ~ `a'` + {{`b')+{TOUCH}+('`}}",
    f"y ~ {{`x` + `'` + {TOUCH} + `'`}}",
    f"y ~ {{x + `_formulaic_x` + `\\` + {TOUCH}`}}",
    # its own state, and options that call
    "y ~ center(x, _state={})",
    "y ~ center(x, _context=1)",
    "y ~ poly(x, 2, _state=x)",
    "y ~ {__FORMULAIC_STATE__}",
    "y ~ center(__FORMULAIC_CONTEXT__)",
    "y ~ hashed(site, 3, hash_func=exec)",
    "y ~ np.log(x, out=x)",
    "y ~ np.log(x, x)",
    "y ~ np.sqrt(x, where=x)",
    # what never ends, or fills the memory
    "y ~ {x + 9**9**9}",
    "y ~ {x + 9**9**9**9**9}",
    "y ~ {x * (2**62 * 2**62)}",
    "y ~ {x ** (10**30)}",
    "y ~ {x + (True * 2**62) * (True * 2**62)}",
    "y ~ {x + abs(9) ** abs(999999999)}",
    "y ~ {x + round(9) ** I(999999999)}",
    "y ~ {x + ((1 < 2) * 999999999) ** 99}",
    "y ~ {x + (1 << 10**9)}",
    "y ~ {x + len('a' * 10**10)}",
    "y ~ {I('a') * 10**10}",
    "y ~ {x + [0] * 10**10}",
    "y ~ {site * 10**10}",
    "y ~ {I(site) * 10**10}",
    "y ~ {np.where(x > 1, 'a', 'b') * 10**10}",
    "y ~ poly(x, 10**9)",
    "y ~ poly(x, degree=z)",
    "y ~ bs(x, df=10**9)",
    "y ~ bs(x, df=np.square(30000))",
    "y ~ cr(x, df=10**12)",
    "y ~ hashed(site, levels=10**10)",
    "y ~ x ** 999999999",
    "y ~ (x + z) ** 99",
    "y ~ (((x + z + site + day) ** 9) ** 9) ** 9",
    "y ~ (x + z) ^ 99999999999999999999",
    "y ~ " + "*".join(f"I(x+{i})" for i in range(40)),
    "y ~ " + "(x + z):" * 40 + "(x + z)",
    "y ~ " + "+".join(f"I(x*{i})" for i in range(20_000)),
    "y ~ " + "x" * 1_000_000,
    "y ~ x " + "+ x" * 500_000,
    "y ~ I(" + "(" * 500 + "x" + ")" * 500 + ")",
    "y ~ I(" + "-" * 1500 + "x)",
    "y ~ I(" + "~" * 1500 + "x)",
    "y ~ " + "I(" * 600 + "x" + ")" * 600,
    "y ~ " + "center(" * 60 + "x" + ")" * 60,
    "y ~ {" + "x+" * 5_000 + "x}",
    "y ~ I(" + "9" * 1_900 + "*x)",
    "y ~ I(1e999 * x)",
    # what looks like something else
    "y ~ \u0445",  # Cyrillic
    "y ~ {\uff45\uff56\uff41\uff4c(x)}",  # full width: Python reads eval
    "y ~ {x.\uff56alues}",
    "y ~ {x.__cl\u0430ss__}",
    "y ~ np\u2024log(x)",
    "y ~ I(x\u202e)",
    "y ~ x\x00",
    "y ~ x + \x1b[31mz",
    "y ~ `x",
    "y ~ ``",
    "y ~ I(``)",
    "y ~ 'x'",
    "y ~ I('x')",
    'y ~ I("""x""")',
    "y ~ {x; z}",
    "y ~ {x\nimport os}",
    "y ~ {b'x'}",
    "y ~ {1j * x}",
    "y ~ {...}",
    "y ~ {x is z}",
    "y ~ {x in z}",
    "y ~ {not x}",
    "y ~ {0 < x < 2}",
    "y ~ {x @ z}",
    "y ~ {x / 0.0 ** -1}",
    "y ~ I()",
    "y ~ np.pi()",
    "y ~ C(x)(x)",
    "y ~ [x ~ z]",
]


@pytest.mark.parametrize("formula", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.filterwarnings("ignore")
def test_hostile_formulas_are_refused_and_nothing_runs(formula: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    table = frame()
    with pytest.raises(FormulaError) as caught:
        FormulaSpec.fit(formula, table)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 4_000
    assert list(tmp_path.iterdir()) == []
    pd.testing.assert_frame_equal(table, frame())


def test_the_sentinel_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(TOUCH)
    assert [file.name for file in tmp_path.iterdir()] == ["ran"]


@pytest.mark.parametrize("formula", HOSTILE[:40:8], ids=range(5))
def test_every_door_refuses(formula: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = frame()
    with pytest.raises(FormulaError):
        posterior(table, formula=formula)
    with pytest.raises(FormulaError):
        BayesRidge(formula=formula).fit(table)
    table.to_csv("table.csv", index=False)
    ran = CliRunner().invoke(app, ["fit", "table.csv", "--formula", formula])
    assert ran.exit_code == 1
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_a_formula_that_was_altered_after_the_fit_is_refused() -> None:
    # What is evaluated is checked once more, in case it comes from elsewhere: a saved model, say.
    for text in (SUBCLASSES, TOUCH, "x.values", "np.mean(x)"):
        with pytest.raises(FormulaError):
            evaluate(text, frame(), {})


ATOMS = st.sampled_from(
    ["x", "z", "y", "site", "day", "nope", "1", "2.5", "'a'", "np", "np.log", "contr.sum", "__import__", "C", "I", "Q",
     "s", "(1|site)", "s(x, k=5)", "ridge(x, z)", "offset(x)", "by=site",
     "center", "poly", "bs", "lag", "`x`", "a.b", "x.shift", "day.dt.day", "lambda", "None", "True", "f'{x}'"]
)  # fmt: skip
GLUE = st.sampled_from(
    [" + ", "*", ":", "**", " ~ ", "|", "(", ")", "[", "]", "{", "}", ",", ".", "=", "==", "-", "/", "`", "'", '"',
     "\\", "@", "%in%", "if", ":=", "#", ";", "\n", "\x00", "\u202e"]
)  # fmt: skip


@given(parts=st.lists(st.one_of(ATOMS, GLUE), max_size=14), inside=st.booleans())
@settings(deadline=None, max_examples=120)
@pytest.mark.filterwarnings("ignore")
def test_any_text_is_a_design_or_an_error_of_ours(parts: list[str], inside: bool) -> None:
    text = "".join(parts)
    with suppress(BayesRidgeError):
        fitted = FormulaSpec.fit(f"y ~ x + I({text})" if inside else text, frame())
        assert fitted.columns.values.shape == (6, len(fitted.columns.names))


@given(text=st.text(max_size=60))
@settings(deadline=None, max_examples=30)
@pytest.mark.filterwarnings("ignore")
def test_noise_is_a_design_or_an_error_of_ours(text: str) -> None:
    for formula in (text, f"y ~ I({text})", f"y ~ x + `{text}`", f"y ~ Q('{text}')"):
        with suppress(BayesRidgeError):
            FormulaSpec.fit(formula, frame())


@pytest.mark.parametrize("formula", ["[)", "y ~ (x]", "y ~ [(x])"])
def test_brackets_that_do_not_match_are_named(formula: str) -> None:
    with pytest.raises(FormulaError, match="do not match"):
        FormulaSpec.fit(formula, frame())


@pytest.mark.parametrize(
    "term",
    ["z:(1 | site)", "-(1 | site)", "((1 | site))", "(1 | site):z", "log(s(x))", "I(offset(x))", "s(x)*z"],
)
def test_special_terms_are_summands(term: str) -> None:
    with pytest.raises(FormulaError, match="is a term"):
        FormulaSpec.fit(f"y ~ z + {term}", frame())


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("(1 | nowhere)", "'nowhere' is no column of the table"),
        ("(1 | site + z)", "'site \\+ z' is no column"),
        ("(1 | )", "one bar stands between"),
        ("(1 | site | z)", "one bar stands between"),
        ("(0 | site)", "what varies by group is 1, a column"),
        ("(x + x || site)", "each once"),
        ("(x + z | site)", "two effects at most are correlated"),
        ("(1 + 2 || site)", "'2' depends on no column"),
        ("(z | z)", "'z' is the same number in all rows of a level"),
        ("(0 + np.log(z + 9) | x:z)", "the same number in all rows of a level"),
        ("(1 | site) + (1 | site)", "'site' has one penalty"),
        ("s(x) + s(x, k=9)", "one penalty"),
        ("s()", "is of nothing"),
        ("s(x, z)", "of one variable"),
        ("s(3)", "depends on no column"),
        ("s(x, k=z)", "k, the number of basis functions"),
        ("s(x, k=4)", "from 5 to 200"),
        ("s(x, sp=1)", "takes no sp="),
        ("s(x, by=z2)", "'z2' is no column"),
        ("s(site)", "must be one number a row"),
        ("s(center(x))", "must be one number a row"),
        ("s(poly(x, 2))", "must be one number a row"),
        ("(bs(x) || site)", "must be one number a row"),
        ("ridge(x, z)", "'z' twice: a term has one penalty"),
        ("ridge()", "is of nothing"),
        ("ridge(x, k=2)", "takes no k="),
        (f"s(I({TOUCH}))", "only listed functions"),
        (f"({TOUCH} || site)", "only listed functions"),
        (f"ridge({TOUCH})", "cannot be read"),
        ("ridge(exec(x))", "functions that do not exist"),
        ("s(nope)", "names what the table does not have: 'nope'"),
    ],
)  # fmt: skip
def test_special_terms_that_cannot_be_say_why(term: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        FormulaSpec.fit(f"y ~ z + {term}", frame())


def test_what_is_named_instead_works() -> None:
    for formula in ("y ~ C(site) + x:C(site)", "y ~ bs(x, df=6)", "y ~ cr(x, df=6)", "I(y - x) ~ z"):
        assert np.isfinite(FormulaSpec.fit(formula, frame()).columns.values).all()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{site == 'a'}", [0, 1, 0, 1, 0, 0]),
        ("{(x > 1) & (z < 5)}", [0, 1, 1, 1, 0, 0]),
        ("{~(x > 2)}", [1, 1, 1, 0, 0, 0]),
        ("{-x / 2}", [-0.25, -0.75, -1.0, -1.75, -2.5, -4.0]),
        ("{x // 2 + z % 2 - 2 ** -1}", [0.5, 0.5, 0.5, 1.5, 2.5, 4.5]),
        ("I(x ** 2)", [0.25, 2.25, 4.0, 12.25, 25.0, 64.0]),
        ("np.where(x > 2, z, np.pi)", [np.pi, np.pi, np.pi, 1, 5, 9]),
        ("np.clip(x, 1, 3)", [1, 1.5, 2, 3, 3, 3]),
        ("np.maximum(x, z)", [3, 1.5, 4, 3.5, 5, 9]),
        ("round(x, 0)", [0, 2, 2, 4, 5, 8]),
        ("abs(x - 2)", [1.5, 0.5, 0, 1.5, 3, 6]),
        ("Q('x')", [0.5, 1.5, 2.0, 3.5, 5.0, 8.0]),
        ("scale(x, scale=False)", [-35 / 12, -23 / 12, -17 / 12, 1 / 12, 19 / 12, 55 / 12]),
        ("{day.dt.day + day.dt.month}", [2, 3, 4, 5, 6, 7]),
    ],
)  # fmt: skip
def test_expressions_are_what_python_would_make_of_them(expression: str, expected: list[float]) -> None:
    fitted = FormulaSpec.fit(f"y ~ {expression}", frame())
    np.testing.assert_allclose(fitted.columns.values[:, -1], expected, rtol=1e-14)


@pytest.mark.parametrize(
    "coding", ["contr.sum", "contr.helmert", "contr.treatment(base='b')", "contr.poly", "Treatment('c')", "Sum"]
)
def test_codings_of_categories_are_formulaics(coding: str) -> None:
    made = FormulaSpec.fit(f"y ~ C(site, {coding})", frame())
    expected = formulaic.model_matrix(f"C(site, {coding})", frame()).drop(columns="Intercept")
    np.testing.assert_allclose(made.columns.values, expected.to_numpy(dtype=float), atol=1e-15)
    assert made.columns.names == tuple(expected.columns)


def test_products_of_many_factors_are_refused_before_they_are_written_out() -> None:
    table = pd.DataFrame(np.random.default_rng(0).standard_normal((9, 16)), columns=list("abcdefghijklmnop"))
    with pytest.raises(FormulaError, match="too many terms"):
        FormulaSpec.fit("a ~ " + "*".join("bcdefghijklmnop"), table)
