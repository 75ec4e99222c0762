"""Contrasts in words, statements, regions of practical equivalence, effects of a variable; how results are shown."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from bayesridge.datasets import load
from bayesridge.errors import DataError
from bayesridge.estimator.kernel import BayesKernelRidge
from bayesridge.estimator.regressor import BayesRidge
from bayesridge.fit import posterior
from bayesridge.posteriors.contrasts import contrast_rows, statement_rows

NAMES = ("bmi", "bp", "s1", "C(site)[T.b]")


@pytest.fixture(scope="module")
def post():
    return posterior(load("diabetes"), formula="progression ~ .")


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("bmi - bp", [1, -1, 0, 0]),
        ("2*bmi - (bp + s1)/2", [2, -0.5, -0.5, 0]),
        ("-bmi*3 + `C(site)[T.b]`", [-3, 0, 0, 1]),
        ("bmi + bmi", [2, 0, 0, 0]),
        ({"bmi": 1, "bp": -1}, [1, -1, 0, 0]),
        ({"C(site)[T.b]": 0.5}, [0, 0, 0, 0.5]),
    ],
)
def test_words_are_the_numbers_they_stand_for(what, row):
    rows, labels = contrast_rows(what, NAMES)
    np.testing.assert_array_equal(rows, [row])
    assert len(labels) == 1


def test_several_at_once_and_numbers():
    rows, labels = contrast_rows(["bmi", "bp - s1"], NAMES)
    np.testing.assert_array_equal(rows, [[1, 0, 0, 0], [0, 1, -1, 0]])
    assert labels == ("bmi", "bp - s1")
    assert contrast_rows({"bmi": -1, "bp": 2.5, "s1": -0.5}, NAMES)[1] == ("- bmi + 2.5 bp - 0.5 s1",)
    np.testing.assert_array_equal(contrast_rows(np.eye(4)[:2], NAMES)[0], np.eye(4)[:2])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("bmi - bpp", "no coefficient 'bpp'. Did you mean 'bp'"),
        ("bmi * bp", "no sum of coefficients times numbers"),
        ("bmi / bp", "no sum of coefficients"),
        ("bmi / 0", "no sum of coefficients"),
        ("1 / bmi", "no sum of coefficients"),
        ("bmi + 1", "adds the number 1"),
        ("bmi -", "cannot be read"),
        ("__import__('os')", "no sum of coefficients"),
        ("(" * 4000 + "bmi" + ")" * 4000, "cannot be read"),
        ({"nosuch": 1}, "no coefficient 'nosuch'"),
        (np.eye(3), "A must have 4 columns"),
    ],
)
def test_what_is_no_contrast_is_refused(what, message):
    with pytest.raises(DataError, match=message):
        contrast_rows(what, NAMES)


def test_statements():
    for text, row, low, high in [
        ("bmi > bp", [1, -1, 0, 0], 0.0, np.inf),
        ("bmi < 2", [1, 0, 0, 0], -np.inf, 2.0),
        ("bmi - bp + 1 > 0.5", [1, -1, 0, 0], -0.5, np.inf),
    ]:
        found = statement_rows(text, NAMES)
        np.testing.assert_array_equal(found[0], [row])
        assert found[1:] == (low, high)
    for text in ("bmi", "bmi > bp > 0", "bmi == bp"):
        with pytest.raises(DataError, match="a statement such as"):
            statement_rows(text, NAMES)


def test_probabilities_are_those_of_draws(post):
    drawn = post.draw(draws=5000, chains=2, random_state=0)
    names = list(post.design.names)
    bmi, bp = (drawn.coef.reshape(-1, len(names))[:, names.index(name)] for name in ("bmi", "bp"))
    share = np.mean(bmi > 5 * bp)
    # 10,000 independent draws
    assert post.prob("bmi > 5*bp") == pytest.approx(share, abs=4 * np.sqrt(0.25 / 10_000))
    assert post.prob("bmi > 5*bp") + post.prob("bmi < 5*bp") == pytest.approx(1.0, abs=1e-9)
    found = post.contrast("bmi - 5*bp")
    assert post.prob("bmi > 5*bp") == pytest.approx(found.prob_positive[0], abs=1e-12)
    rope = found.rope(-0.5, 0.5)
    assert rope.sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-9)
    inside = np.mean(np.abs(bmi - 5 * bp) < 0.5)
    assert rope.loc["bmi - 5*bp", "P(in)"] == pytest.approx(inside, abs=4 * np.sqrt(0.25 / 10_000))


# -- effects -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    table = load("diabetes")
    table["site"] = np.array(["a", "b", "c"])[np.arange(len(table)) % 3]
    return BayesRidge(formula="progression ~ bmi*bp + I(bmi**2) + site + site:bmi").fit(table), table


def test_an_average_slope_is_the_derivative_averaged(fitted):
    est, table = fitted
    names = list(est.coef_names_)
    wanted = dict.fromkeys(names, 0.0) | {
        "bmi": 1.0,
        "bmi:bp": table["bp"].mean(),
        "I(bmi ** 2)": 2 * table["bmi"].mean(),
    }
    wanted |= {f"site[T.{site}]:bmi": float((table["site"] == site).mean()) for site in "bc"}
    assert set(wanted) == set(names), names
    by_hand = est.posterior_.contrast(wanted)
    found = est.effects(table, "bmi")
    assert found.labels == ("slope of bmi",)
    # at the ends of the column the quotient is one-sided: 1e-4 sd of curvature there, in 2 of 442 rows
    np.testing.assert_allclose([found.mean, found.sd], [by_hand.mean, by_hand.sd], rtol=1e-5)
    each = est.effects(table, "bmi", by_row=True)
    assert each.mean.mean() == pytest.approx(found.mean[0], rel=1e-9)
    assert len(each) == len(table)


def test_comparisons_are_differences_of_predictions(fitted):
    est, table = fitted
    found = est.effects(table, "bmi", (20, 30))
    gap = est.predict(table.assign(bmi=30)) - est.predict(table.assign(bmi=20))
    assert found.labels == ("bmi: 20 to 30",)
    assert found.mean[0] == pytest.approx(gap.mean(), rel=1e-9)
    sites = est.effects(table, "site")
    assert sites.labels == ("site: a to b", "site: a to c")
    gap = est.predict(table.assign(site="c")) - est.predict(table.assign(site="a"))
    assert sites.mean[1] == pytest.approx(gap.mean(), rel=1e-9)


def test_effects_without_a_formula_and_within_a_spline():
    table = load("diabetes")
    X = table.drop(columns="progression")
    plain = BayesRidge().fit(X, table["progression"])
    np.testing.assert_allclose(plain.effects(X, "bmi").mean[0], plain.coef_[list(X).index("bmi")], rtol=1e-8)
    spline = BayesRidge(formula="progression ~ bs(bmi, df=5) + bp").fit(table)
    assert np.isfinite(spline.effects(table, "bmi", by_row=True).mean).all()
    with pytest.raises(DataError, match="no column 'nosuch'"):
        plain.effects(X, "nosuch")
    with pytest.raises(DataError, match="pandas data frame"):
        plain.effects(X.to_numpy(), "bmi")
    with pytest.raises(DataError, match="one value only"):
        spline.effects(table.assign(g="a"), "g")


# -- how results are shown ---------------------------------------------------------------------------------------------


def test_results_are_short_at_the_prompt_and_tables_in_a_notebook(post):
    X = load("diabetes").drop(columns="progression").to_numpy()
    for result in (post, post.coefficients, post.predict(X), post.loo, post.contrast("bmi - bp")):
        text, page = repr(result), result._repr_html_()
        assert len(text.splitlines()) < 25
        assert max(map(len, text.splitlines())) < 140
        assert "<table" in page
        assert "array(" not in text
        table = result.summary(level=0.9)
        assert isinstance(table, pd.DataFrame)
        assert "90% ETI low" in table
        markdown = result.to_markdown(level=0.9)
        assert len(markdown.splitlines()) == len(table) + 2
        assert len({line.count("|") for line in markdown.splitlines()}) == 1
        latex = result.to_latex()
        assert latex.count(r"\\") == len(table) + 1
        assert "95\\% ETI low" in latex


def test_probabilities_read_the_same_in_python_and_on_the_terminal(post, capsys):
    from bayesridge.cli.terminal import print_fit
    from bayesridge.posteriors.summary import to_record

    print_fit(post, to_record(post), 0.95)
    printed = capsys.readouterr().out
    for text in (printed, repr(post), post.to_markdown()):
        assert ">0.999" in text
        assert "1.000" not in text


def test_effects_on_counts_are_on_their_rate_and_not_on_its_logarithm():
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"x": rng.standard_normal(60), "g": np.array(["a", "b"])[np.arange(60) % 2]})
    table["y"] = rng.poisson(np.exp(1.0 + 0.5 * table["x"] + 0.3 * (table["g"] == "b")))
    est = BayesRidge(formula="y ~ x + g", family="poisson").fit(table)
    for variable, values, change in (("x", (0.0, 1.0), {"x": (0.0, 1.0)}), ("g", None, {"g": ("a", "b")})):
        found = est.effects(table, variable, values)
        ((name, (low, high)),) = change.items()
        gap = est.predict(table.assign(**{name: high})) - est.predict(table.assign(**{name: low}))
        assert found.mean[0] == pytest.approx(gap.mean(), rel=1e-9)
        assert est.effects(table, variable, values, by_row=True).mean == pytest.approx(gap, rel=1e-9)
    # d exp(eta) / dx = coefficient times the rate: in the mean over draws near their product
    slope = est.effects(table, "x")
    assert slope.mean[0] == pytest.approx(est.coef_[0] * est.predict(table).mean(), rel=0.02)
    assert "poisson" in repr(est.posterior_).lower() or "counts" in repr(est.posterior_)
    assert 0.0 <= est.posterior_.prob("x > 0") <= 1.0


# -- names of columns ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(8)
    return pd.DataFrame(rng.standard_normal((12, 3)), columns=["a", "b", "c"])


@pytest.fixture(scope="module")
def target(frame):
    return 1.0 + frame["a"] - frame["c"] + 0.3 * np.random.default_rng(9).standard_normal(12)


MADE = {
    "exact": lambda X, y: posterior(X, y),
    "several targets": lambda X, y: BayesRidge().fit(X, np.column_stack([y, 2.0 - y])).posterior_,
    "of a function": lambda X, y: BayesKernelRidge().fit(X, y).posterior_,
    "counts": lambda X, y: posterior(X, np.round(np.exp(y)), family="poisson"),
}


@pytest.mark.parametrize("kind", MADE)
def test_posteriors_take_columns_by_name(kind, frame, target):
    post = MADE[kind](frame, target)
    table = frame.assign(more="text")[["more", "c", "b", "a"]]
    for turned in (table, pl.from_pandas(table)):
        np.testing.assert_array_equal(post.predict(turned).mean, post.predict(frame.to_numpy()).mean)
        np.testing.assert_array_equal(post.expected(turned), post.expected(frame.to_numpy()))
    with pytest.raises(DataError, match=r"columns that the table does not have: 'b'\. The table has: 'c', 'x', 'a'"):
        post.predict(frame.rename(columns={"b": "x"})[["c", "x", "a"]])
    with pytest.raises(DataError, match=r"NaN: 'c' \(1: row 2\)"):
        post.predict(frame.assign(c=frame["c"].where(frame.index != 2)))


def test_numbers_with_names_go_where_the_names_say(frame, target):
    post = posterior(frame, target)
    asked = pd.Series({"c": 3.0, "b": 2.0, "a": 1.0})
    want = post.coefficients.mean @ [1.0, 2.0, 3.0]
    for what in (asked, asked.to_frame().T):
        np.testing.assert_allclose(post.contrast(what).mean, want, rtol=1e-12)
    np.testing.assert_allclose(post.contrast(asked[:2]).mean, post.coefficients.mean @ [0.0, 2.0, 3.0], rtol=1e-12)
    scaled = posterior(frame, target, scale=asked)
    np.testing.assert_array_equal(scaled.design.scale, [1.0, 2.0, 3.0])


def test_a_fit_without_names_takes_columns_as_they_stand_and_says_so(frame, target):
    post = posterior(frame.to_numpy(), target)
    with pytest.warns(UserWarning, match="without feature names"):
        np.testing.assert_array_equal(post.predict(frame).mean, post.predict(frame.to_numpy()).mean)
