"""Mixed models, smooths and offsets said in formulas: from the table to predictions, files and edges."""

import json
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayesridge import BayesRidge, load, posterior, report
from bayesridge.cli.main import app
from bayesridge.errors import (
    DataError,
    DroppedRowsWarning,
    ExtrapolationWarning,
    NoSignalWarning,
    PriorError,
    UnseenLevelWarning,
)
from bayesridge.posteriors.summary import at_a_glance, jsonable, to_record
from bayesridge.posteriors.term_table import shares
from bayesridge.priors import BetaR2, LogNormal


@cache
def shops(n=90, levels=9):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.uniform(0.0, 10.0, n), "z": rng.standard_normal(n)})
    code = rng.integers(0, levels, n)
    table["shop"] = np.array([f"s{k}" for k in range(levels)])[code]
    table["city"] = code % 3 + 1
    effect = rng.standard_normal(levels)
    table["y"] = np.sin(table.x) + table.z + effect[code] + 0.4 * rng.standard_normal(n)
    return table


@cache
def fitted(formula):
    return BayesRidge(formula=formula).fit(shops())


def dense_shops():
    """Effects of shops as dummies beside two fixed effects, laid out by hand."""
    table = shops()
    dummies = pd.get_dummies(table.shop, dtype=float)
    return pd.concat([table[["x", "z"]], dummies], axis=1), list(dummies)


def test_effects_of_levels_are_unscaled_dummies_and_other_columns_have_no_penalty():
    X, names = dense_shops()
    by_hand = posterior(
        X, shops().y, groups={"shop": names}, unpenalized=["x", "z"], scale=False, prior=LogNormal(1.0, 2.0)
    )
    said = posterior(shops(), formula="y ~ x + z + (1 | shop)", prior=LogNormal(1.0, 2.0))
    sd = by_hand.coefficients.sd
    np.testing.assert_allclose(said.coefficients.mean[:2], by_hand.coefficients.mean[:2], atol=1e-9 * sd[:2].max())
    found = said.levels("shop")
    assert found.labels == (*names, "(new)")
    np.testing.assert_allclose(found.mean[:-1], by_hand.coefficients.mean[2:], atol=1e-9)
    np.testing.assert_allclose(found.sd[:-1], sd[2:], rtol=1e-9)
    assert said.log_marginal_likelihood == pytest.approx(by_hand.log_marginal_likelihood, abs=1e-9)


def test_the_default_prior_is_on_the_intraclass_correlation():
    """S_g = 1, however the rows are spread over the levels: the prior of tau / sigma is a half-Cauchy of scale one."""
    post = fitted("y ~ z + (1 | shop)").posterior_
    assert post.engine.signals == (pytest.approx(1.0, rel=1e-12),)
    cauchy = posterior(shops(), formula="y ~ z + (1 | shop)", prior=BetaR2())
    assert cauchy.log_marginal_likelihood == post.log_marginal_likelihood


@pytest.mark.parametrize("formula", ["y ~ z + (1 | shop)", "y ~ z + (1 | shop) + (1 | city)"])
def test_a_new_level_is_a_draw_of_the_prior(formula):
    """Its effect has mean zero and variance E[tau^2]; what the rows say of the rest is the same."""
    fit, new = fitted(formula), pd.DataFrame({"z": [0.3, 0.3], "shop": ["s1", "nowhere"], "city": [1, 1]})
    with pytest.warns(UnseenLevelWarning, match=r"no shop nowhere \(row 1\)"):
        found = fit.predictive(new)
    post = fit.posterior_
    rest = post.contrast({"z": 0.3}).mean[0] + post.intercept.mean[0]
    rest += 0.0 if "city" not in formula else post.levels("city").mean[0]
    assert found.mean[1] == pytest.approx(rest, abs=1e-10)
    tau = next(post.scales[name] for name in ("tau[shop]", "tau") if name in post.scales)
    effect = post.levels("shop")
    # the marginal of tau is a spline of sums over the lattice, good to a few parts in a thousand
    assert effect.sd[-1] == pytest.approx(np.hypot(tau.mean, tau.sd), rel=5e-3)
    assert effect.mean[-1] == pytest.approx(0.0, abs=1e-12)
    assert found.mean_sd[1] > found.mean_sd[0]
    assert fit.predict(new.head(1))[0] == pytest.approx(found.mean[0], abs=1e-12)


def test_a_row_whose_level_is_seen_nowhere_else_is_left_out_exactly():
    """Leave-one-out of a level's only row is the prediction of a new level."""
    table = shops().head(30).assign(shop=["only", *shops().shop[1:30]])
    post = posterior(table, formula="y ~ (1 | shop)", prior=LogNormal(1.0, 1.0))
    without = BayesRidge(formula="y ~ (1 | shop)", prior=LogNormal(1.0, 1.0)).fit(table[1:])
    with pytest.warns(UnseenLevelWarning):
        expected = without.predictive(table[:1]).log_density(table.y[:1])[0]
    assert post.loo.pointwise[0] == pytest.approx(expected, abs=1e-8)


def test_a_smooth_is_straight_beyond_its_range_and_its_curve_is_centred():
    fit = fitted("y ~ z + s(x, k=10)")
    table = shops()
    low, high = table.x.min(), table.x.max()
    far = pd.DataFrame({"z": 0.0, "x": [high, high + 1.0, high + 2.0, high + 3.0]})
    with pytest.warns(ExtrapolationWarning, match=r"rows 1, 2, 3"):
        steps = np.diff(fit.predict(far))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    curve = fit.smooth("s(x, k=10)".replace(", k=10", ""), table.x)
    assert curve.mean.mean() == pytest.approx(0.0, abs=1e-10)
    difference = fit.predict(table.assign(z=0.0))
    np.testing.assert_allclose(curve.mean, difference - difference.mean(), atol=1e-9)
    assert fit.smooth("s(x)").labels[0] == f"{low:g}"
    with pytest.raises(DataError, match=r"no smooth 's\(z\)'.*s\(x\)"):
        fit.smooth("s(z)")


def test_a_curve_for_each_level():
    table = shops().assign(kind=np.where(shops().z > 0, "b", "a"))
    fit = BayesRidge(formula="y ~ kind + s(x, k=8, by=kind)").fit(table)
    curve = fit.smooth("s(x, by=kind)", [2.0, 5.0])
    assert curve.labels == ("a: 2", "a: 5", "b: 2", "b: 5")
    new = pd.DataFrame({"x": [2.0, 5.0, 2.0, 5.0], "kind": list("aabb")})
    found = fit.predict(new)
    assert curve.mean[1] - curve.mean[0] == pytest.approx(found[1] - found[0], abs=1e-9)
    assert curve.mean[3] - curve.mean[2] == pytest.approx(found[3] - found[2], abs=1e-9)
    with pytest.raises(DataError, match=r"does not know: .c. \(row 0\)"):
        fit.predict(new.assign(kind="c"))


def test_a_spline_function_that_hardly_a_row_touches():
    """One row of level a lies 1e-6 beyond the third knot: a column of 1e-17 beside columns of one."""
    rng = np.random.default_rng(8)
    a, b = np.linspace(0.0, 0.2, 25), np.linspace(0.0, 1.0, 35)
    y = np.sin(5.0 * np.concatenate([a, b])) + 0.2 * rng.standard_normal(60)
    found = []
    for beyond in (0.0, 1e-6):
        x = np.concatenate([a[:-1], [0.2 + beyond], b])
        table = pd.DataFrame({"y": y, "x": x, "kind": ["a"] * 25 + ["b"] * 35})
        found.append(BayesRidge(formula="y ~ kind + s(x, k=8, by=kind)").fit(table).predictive(table).expected)
    assert np.abs(found[1].mean - found[0].mean).max() <= 1e-4 * found[0].sd.min()  # the point itself moves by 1e-6


@pytest.mark.parametrize(
    "formula",
    ["y ~ z + s(x, k=8) + (1 | shop)", "y ~ (1 | city/shop)", "y ~ (z || shop)", "y ~ (z | shop)", "y ~ x + ridge(z)"],
)
def test_what_is_loaded_knows_levels_and_knots(formula, tmp_path):
    fit = fitted(formula)
    new = shops().head(4).assign(shop=["s1", "s2", "elsewhere", "s0"])
    again = load(fit.save(tmp_path / "m.bridge"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnseenLevelWarning)
        for of in ("mean", "new"):
            np.testing.assert_allclose(
                again.predict_interval(new, of=of), fit.predict_interval(new, of=of), rtol=1e-9, atol=1e-9
            )
    assert at_a_glance(again.posterior_) == at_a_glance(fit.posterior_)


def test_thousands_of_levels_do_not_flood_the_tables():
    fit = fitted("y ~ z + (1 | shop)")
    assert list(fit.summary().index) == ["intercept", "z"]
    assert "shop: effects of 9 levels from" in repr(fit)
    record = jsonable(to_record(fit.posterior_))
    assert list(record["coefficients"]) == ["intercept", "z"]
    assert list(record["levels"]["shop"])[-2:] == ["s8", "(new)"]
    assert record["levels"]["shop"]["s3"]["mean"] == pytest.approx(fit.posterior_.levels("shop").mean[3])
    with pytest.raises(DataError, match="'city'; there are: 'shop'"):
        fit.posterior_.levels("city")


def test_a_column_of_text_is_a_group():
    table = shops()
    fit = BayesRidge(groups={"size": ["x", "z"], "place": "shop"}).fit(table[["x", "z", "shop"]], table.y)
    assert list(fit.posterior_.scales)[:2] == ["lambda[size]", "lambda[place]"]
    assert fit.posterior_.levels("place").labels[0] == "s0"
    assert np.isfinite(fit.predict(table[["x", "z", "shop"]])).all()
    same = BayesRidge(formula="y ~ ridge(x, z) + (1 | shop)").fit(table)
    np.testing.assert_allclose(fit.predict(table), same.predict(table), atol=1e-9)
    with pytest.raises(DataError, match="a group of their own"):
        BayesRidge(groups={"both": ["x", "shop"], "z": "z"}).fit(table[["x", "z", "shop"]], table.y)
    with pytest.raises(DataError, match="columns x, z are in no group"):
        BayesRidge(groups={"place": "shop"}).fit(table[["x", "z", "shop"]], table.y)


def test_an_offset_is_taken_off_the_target_and_added_to_predictions(tmp_path):
    table = shops()
    said = BayesRidge(formula="y ~ z + offset(2 * x)").fit(table)
    by_hand = BayesRidge(formula="z").fit(table, table.y - 2.0 * table.x)
    given = BayesRidge(formula="z").fit(table, table.y, offset=2.0 * table.x)
    expected = by_hand.predict(table) + 2.0 * table.x
    np.testing.assert_allclose(said.predict(table), expected, rtol=1e-12)
    np.testing.assert_allclose(given.predict(table, offset=2.0 * table.x), expected, rtol=1e-12)
    np.testing.assert_allclose(
        said.predict_interval(table), by_hand.predict_interval(table) + 2.0 * table.x.to_numpy()[:, None], rtol=1e-9
    )
    with pytest.raises(DataError, match="fitted with offset, and a prediction needs it"):
        given.predict(table)
    with pytest.raises(DataError, match="where the model was fitted with one"):
        by_hand.predict(table, offset=1.0)
    assert "y - 2 * x" in repr(said)
    again = load(said.save(tmp_path / "m.bridge"))
    np.testing.assert_allclose(again.predict(table), expected, rtol=1e-12)


def test_a_prior_for_each_term():
    post = posterior(shops(), formula="y ~ z + s(x, k=8) + (1 | shop)", prior={"shop": LogNormal(0.5, 0.2)})
    assert "shop: log-normal" in post.prior_texts[0]
    low, high = post.scales["lambda[shop]"].interval(0.95)
    assert 0.2 < low < high < 1.0
    with pytest.raises(PriorError, match="names the group 'city'"):
        posterior(shops(), formula="y ~ z + (1 | shop)", prior={"city": BetaR2()})


# -- edges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ z + (1 | row)", "every level of row has one row: .* not identified"),
        ("y ~ (z | row)", "every level of row has one row: .* not identified"),
        ("y ~ (big | shop)", "what varies by shop is as large as .*: squares leave float64"),
        ("y ~ z + (1 | one)", "one has one level in these rows"),
        ("y ~ z + s(two)", r"s\(two\) needs 3 different values at least to bend, and two has 2"),
        ("y ~ z + s(x, by=row)", "has one value only where row is 0"),
        ("y ~ z + x + s(x)", "could be|collinear|depend|no posterior"),
        ("y ~ (1 | gone)", "no value|complete"),
        ("y ~ (1 | inf)", "infinity"),
    ],
)
def test_what_cannot_be_known_is_refused_by_name(formula, says):
    table = shops().assign(row=np.arange(90), one="a", two=np.arange(90) % 2, gone=None)
    table["big"] = 1e150 * table.x
    table["inf"] = np.where(np.arange(90) == 3, np.inf, 1.0)
    with pytest.raises(DataError, match=says):
        posterior(table, formula=formula)


def test_a_smooth_of_what_has_no_logarithm_names_the_term_and_leaves_such_rows_out():
    table = shops()
    formula, known = "y ~ z + s(log(x - 1), k=8)", table.x > 1
    with pytest.raises(DataError, match=rf"Missing values by column .*s\(log\(x - 1\)\) line: {(~known).sum()}\."):
        posterior(table, formula=formula)
    with pytest.warns(DroppedRowsWarning):
        fit = BayesRidge(formula=formula, missing="drop").fit(table)
    rows = posterior(table[known], formula=formula)
    np.testing.assert_allclose(fit.posterior_.coefficients.mean, rows.coefficients.mean, rtol=1e-8)
    with pytest.raises(DataError, match=r"s\(log\(x - 1\)\) line' \(1: row 1\)"):
        fit.predict(pd.DataFrame({"x": [2.0, 0.0], "z": 0.0}))


@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize("term", ["(1 | shop)", "s(x)", "ridge(x)"])
def test_other_families_take_one_penalty(family, term):
    table = shops().assign(y=(shops().y > 0).astype(float))
    with pytest.raises(DataError, match="for the Gaussian family so far"):
        posterior(table, formula=f"y ~ z + {term}", family=family)


def test_a_level_seen_once_and_a_smooth_of_four_values():
    table = shops().assign(four=np.arange(90) % 4)
    table.loc[0, "shop"] = "once"
    found = posterior(table, formula="y ~ z + (1 | shop) + s(four)")
    assert np.isfinite(found.coefficients.sd).all()
    assert found.quadrature_error < 2e-3
    once = found.levels("shop")
    place = once.labels.index("once")
    assert once.sd[:-1].max() == once.sd[place] < once.sd[-1]


def test_more_levels_than_rows_of_any_and_a_missing_level():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"g": np.r_[np.arange(20), 0, 1], "x": rng.standard_normal(22)})
    table["y"] = rng.standard_normal(22)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoSignalWarning)
        found = posterior(table, formula="y ~ x + (1 | g) + (0 + x | g)")
    assert found.design.n_columns > found.design.n_rows
    assert np.isfinite(found.coefficients.sd).all()
    holes = table.assign(g=table.g.where(table.index != 5))
    with pytest.raises(DataError, match=r"Missing values by column.*g: 1"):
        posterior(holes, formula="y ~ x + (1 | g)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dropped = posterior(holes, formula="y ~ x + (1 | g)", missing="drop")
    assert dropped.design.n_rows == 21
    assert "5" not in dropped.levels("g").labels


def test_names_of_levels_are_text_whatever_type_they_come_in():
    table = shops()
    plain = posterior(table, formula="y ~ z + (1 | city)")
    as_float = BayesRidge(formula="y ~ z + (1 | city)").fit(table.assign(city=table.city.astype(float)))
    assert as_float.posterior_.levels("city").labels == plain.levels("city").labels == ("1", "2", "3", "(new)")
    np.testing.assert_array_equal(
        as_float.predict(table.assign(city=table.city.astype(object))), as_float.predict(table)
    )
    category = BayesRidge(formula="y ~ z + (1 | shop)").fit(table.assign(shop=pd.Categorical(table.shop)))
    np.testing.assert_allclose(category.predict(table), fitted("y ~ z + (1 | shop)").predict(table), rtol=1e-10)


def test_odd_names_and_hostile_levels():
    table = shops().rename(columns={"shop": "the shop", "x": "a|b"}).assign(pair=shops().shop + ":x")
    table["the shop"] = table["the shop"].replace({"s0": "(new)", "s1": "s(x)", "s2": "[]", "s3": "|"})
    fit = BayesRidge(formula="y ~ z + (1 | `the shop`) + s(`a|b`, k=6)").fit(table)
    assert np.isfinite(fit.predict(table)).all()
    nested = BayesRidge(formula="y ~ z + (1 | pair:`the shop`)").fit(table)
    assert np.isfinite(nested.predict(table)).all()


def test_control_characters_in_names_and_levels_are_written_out(tmp_path):
    bell = "\x1b[31mred\x07\u202e"
    table = shops().rename(columns={"y": bell}).replace({"shop": {"s1": bell}})
    found = posterior(table.rename(columns={bell: "y"}), formula="y ~ z + (1 | shop)")
    texts = [repr(found.levels("shop")), report(found, tmp_path / "r.html").read_text("utf-8")]
    texts.append(repr(posterior(table[["x", "z"]].rename(columns={"z": bell}), table[bell])))
    for text in texts:
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
        assert "\\x1b[31mred" in text


def test_draws_have_a_dimension_for_each_factor(tmp_path):
    fit = fitted("y ~ z + s(x, k=8) + (1 | shop)")
    tree = fit.to_datatree(50, 2, 0)
    parts = tree["posterior"]
    assert parts["shop"].dims == ("chain", "draw", "shop level")
    assert list(parts["shop level"].values) == list(fit.posterior_.levels("shop").labels)
    assert list(parts["scale"].values) == list(fit.scale_names_) == ["s(x)", "shop"]
    assert list(parts["feature"].values)[:3] == ["z", "s(x) line", "s(x)[1]"]
    assert not [name for name in parts["feature"].values if name.startswith("shop")]
    assert tree["constant_data"]["X"].sizes["feature"] == parts.sizes["feature"]
    # 100 draws: their mean lies within 5 standard errors
    error = np.abs(parts["shop"].mean(["chain", "draw"]).values - fit.posterior_.levels("shop").mean)
    assert (error < 0.5 * fit.posterior_.levels("shop").sd).all()
    tree.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    assert fit.lambda_.shape == fit.tau_.shape == (2,)


def test_a_command_fits_and_predicts_shops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shops().to_csv("shops.csv", index=False)
    shops().head(3).assign(shop=["s1", "zz", "s2"], x=[1.0, 2.0, 15.0]).drop(columns="y").to_csv("new.csv", index=False)
    ran = CliRunner().invoke(app, ["fit", "shops.csv", "--formula", "y ~ z + s(x) + (1 | shop)", "--out", "fit"])
    assert ran.exit_code == 0, ran.output
    assert "shop: effects of 9 levels from" in ran.output
    assert "shop[s3]" not in ran.output
    table = pd.read_csv("fit/coefficients.csv", index_col=0)
    assert {"intercept", "z", "s(x) line", "shop[s3]", "shop[(new)]"} <= set(table.index)
    ran = CliRunner().invoke(app, ["predict", "fit", "new.csv", "--json"])
    found = json.loads(ran.output)
    assert any("saw no shop zz (row 1)" in text for text in found["warnings"])
    assert any("row 2" in text and "straight line" in text for text in found["warnings"])
    again = load("fit/model.bridge")
    np.testing.assert_allclose(
        found["predictions"][0]["mean"], again.predict(pd.read_csv("new.csv").head(1))[0], rtol=1e-9
    )
    np.testing.assert_allclose(
        again.fit(shops()).predict(shops()), fitted("y ~ z + s(x) + (1 | shop)").predict(shops())
    )


@pytest.mark.parametrize("formula", ["y ~ z + s(x, k=8)", "y ~ z + (1 | shop) + s(x, k=8)"])
def test_frequency_weights_are_repeated_rows(formula):
    """Of smooths too: what their prior is measured by is free of the line and the mean, weights counted."""
    table, w = shops(), np.where(np.arange(90) < 20, 2.0, 1.0)
    weighted = BayesRidge(formula=formula).fit(table, sample_weight=w)
    repeated = BayesRidge(formula=formula).fit(pd.concat([table, table.head(20)]))
    np.testing.assert_allclose(weighted.predict(table), repeated.predict(table), atol=1e-9)
    np.testing.assert_allclose(weighted.lambda_, repeated.lambda_, rtol=1e-7)


def test_equal_groups_share_and_divisors_are_of_the_tables_columns():
    table = shops().assign(again=shops().shop)
    both = BayesRidge(formula="y ~ z + (1 | shop) + (1 | again)").fit(table)
    assert both.tau_[0] == pytest.approx(both.tau_[1], rel=1e-6)
    np.testing.assert_allclose(both.posterior_.levels("shop").mean, both.posterior_.levels("again").mean, atol=1e-6)
    given = BayesRidge(formula="y ~ ridge(x, z) + (1 | shop)", scale=[1.0, 1.0]).fit(table)
    bare = BayesRidge(formula="y ~ ridge(x, z) + (1 | shop)", scale=False).fit(table)
    np.testing.assert_allclose(given.predict(table), bare.predict(table), rtol=1e-9)


@pytest.mark.parametrize("formula", ["y ~ z + (1 | shop)", "y ~ z + s(x, k=8) + (x | shop) + (1 | city)"])
def test_predictions_at_many_rows_take_levels_as_codes_to_the_same_numbers(monkeypatch, formula):
    fit, new = fitted(formula), shops().tail(20).assign(shop=["elsewhere", *shops().shop[-19:]])
    with pytest.warns(UnseenLevelWarning):
        plain = fit.predictive(new)
    monkeypatch.setattr("bayesridge.estimator.shared.LAID_OUT", 0)
    with pytest.warns(UnseenLevelWarning, match=r"row 0"):
        found = fit.predictive(new)
    np.testing.assert_allclose(found.mean, plain.mean, rtol=1e-10)
    np.testing.assert_allclose(found.mean_sd, plain.mean_sd, rtol=1e-9)
    known = new.tail(19)
    monkeypatch.setattr("bayesridge.tables.formula.laid_out", None)
    np.testing.assert_allclose(fit.predict(known), plain.mean[1:], rtol=1e-9)


@pytest.mark.parametrize("formula", ["y ~ z + s(x, k=8) + (1 | shop)", "y ~ z + (x | shop)"])
def test_degrees_of_freedom_by_term_add_up_to_the_hat_matrix(formula):
    post = fitted(formula).posterior_
    theta, weight = post.hyper.nodes.theta, post.hyper.nodes.weight
    leverages = 1.0 - post.engine.deletion().at(theta, slice(0, 90)).keep
    dof = post.engine.dof(theta)
    np.testing.assert_allclose(leverages.sum(axis=0), dof.sum(axis=1) + post.design.n_flat, rtol=1e-9)
    table = post.terms()
    np.testing.assert_allclose(table["effective dof"], weight @ dof, rtol=1e-12)
    if "rho[shop]" in post.scales:  # at the ends of its range, without a warning
        np.testing.assert_allclose(post.scales["rho[shop]"].cdf([-1.0, 1.0]), [0.0, 1.0], atol=1e-9)
    assert 0.0 < table["share of variance"].sum() < 1.0
    assert (table["95% HDI low"] < table["tau"]).all()
    said = json.loads(json.dumps(jsonable(to_record(post))))["terms"]
    assert said["shop"]["dof"] == pytest.approx(table.loc["shop", "effective dof"])
    assert "effective dof: " in repr(post)


def test_the_share_of_intercepts_is_their_intraclass_correlation():
    """One factor alone: R² of its prior; beside a second one without effects, nearly the same."""
    one = fitted("y ~ z + (1 | shop)").posterior_
    table = one.terms()
    assert table.index.tolist() == ["shop"]
    assert table.loc["shop", "share of variance"] == pytest.approx(one.r2.mean, rel=1e-9)
    theta = np.log(np.array([[2.0, 4.0]]))
    np.testing.assert_allclose(shares(theta, (1.0, 1.0)), [[0.5 / 1.75, 0.25 / 1.75]])
    np.testing.assert_allclose(shares(np.array([[-800.0, 800.0]]), (1.0, 1.0)), [[1.0, 0.0]])


def test_groups_with_equal_columns_share_what_they_explain():
    """Two groups with the same columns: their sum is that of the model with one, to what two priors say more."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 3))
    both = np.hstack([X, X])
    y = X @ [1.0, -1.0, 0.5] + 0.3 * rng.standard_normal(60)
    post = posterior(both, y, groups={"a": ["x0", "x1", "x2"], "b": ["x3", "x4", "x5"]})
    mean = post.coefficients.mean
    np.testing.assert_allclose(mean[:3], mean[3:], rtol=1e-6)  # nothing tells them apart
    one = posterior(X, y)
    np.testing.assert_allclose(mean[:3] + mean[3:], one.coefficients.mean, atol=0.2 * one.coefficients.sd.max())
    assert (post.coefficients.sd[:3] > 3.0 * one.coefficients.sd).all()  # their difference is known by the prior alone
    table = post.terms()
    assert table.loc["a", "effective dof"] == pytest.approx(table.loc["b", "effective dof"], rel=1e-6)
    assert table["effective dof"].sum() < 3.0


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"a": ["x0", "x1"], "b": ["x1", "x2"]}, "'x1' is in two groups"),
        ({"a": ["x0", "x1", "x2"], "b": []}, "'b' has no column with spread"),
        ({"a": ["x0", "x1"]}, "columns x2 are in no group"),
        ({"a": ["x0", "x1", "nosuch"], "b": ["x2"]}, "names 'nosuch', but the columns are x0, x1, x2"),
    ],
)
def test_groups_that_are_none_are_named(groups, says):
    X = np.random.default_rng(0).standard_normal((12, 3))
    with pytest.raises(DataError, match=says):
        posterior(X, X[:, 0], groups=groups)


def test_more_levels_than_rows_of_anything_else_and_no_effects_at_all():
    """Forty levels in sixty rows, tau at zero; a group of one column beside them."""
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"x": rng.standard_normal(60), "g": np.arange(60) % 40})
    table["y"] = rng.standard_normal(60)
    post = posterior(table, formula="y ~ ridge(x) + (1 | g)")
    for name in ("tau[ridge(x)]", "tau[g]"):
        assert post.scales[name].hdi(0.95).lower < 0.02 < post.scales[name].median < 0.7
    assert np.abs(post.levels("g").mean).max() < post.sigma.median
    found = post.variance_components()
    assert found.loc["sigma", "estimate"] == pytest.approx(table.y.std(), rel=0.15)
    with pytest.raises(DataError, match="every level of g has one row"):
        posterior(table.head(30), formula="y ~ (1 | g) + x")
