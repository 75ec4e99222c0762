"""Every plot, on real and awkward fits: runs, is legible, leaves no trace."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from bayesridge import BayesRidge, plots, posterior
from bayesridge.checks.sbc import posterior_sbc
from bayesridge.checks.spectral_check import spectral_check
from bayesridge.errors import DataError
from bayesridge.plots.layout import spread
from bayesridge.plots.look import COLORS, GREY, line_look
from bayesridge.rules.catalogue import pick_rules
from bayesridge.rules.comparison import compare_lambda
from tests.plots.drawn_text import troubles
from tests.plots.fits import FITS, compared, fitted

OF_FIT = {
    "ridge_trace": plots.ridge_trace,
    "lambda_posterior": plots.lambda_posterior,
    "coefficients": plots.coefficients,
    "shrinkage": plots.shrinkage,
    "contours": plots.contours,
    "bias_variance": plots.bias_variance,
    "loo_pit": plots.loo_pit,
    "posterior_predictive": plots.posterior_predictive,
    "predicted_observed": plots.predicted_observed,
}


#: The same, drawn of fewer fits: they share their layout with those above.
MORE = {
    "coefficient_paths": plots.coefficient_paths,
    "predictive_difference": plots.predictive_difference,
    "residuals": plots.residuals,
    "scales": plots.scales,
}


@pytest.fixture(autouse=True)
def pyplot() -> Iterator[Any]:
    """Agg; nothing in rcParams changed by a plot, and no figure but its own."""
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    plt.close("all")
    before = dict(mpl.rcParams)
    yield plt
    assert dict(mpl.rcParams) == before
    plt.close("all")


def _one_figure(axes: Any, plt: Any) -> Any:
    figures = {id(ax.get_figure(root=True)) for ax in np.ravel(axes)}
    assert len(figures) == 1
    assert len(plt.get_fignums()) == 1
    return np.ravel(axes)[0].get_figure(root=True)


#: What changes the texts; the other fits change numbers only, and are drawn without being looked at.
LEGIBLE = ("longley", "unpenalised columns", "lambda plugged in", "300 columns, long names", "one column")
#: The longest texts and the fewest in every plot, the others in a third of the plots each.
LOOKED_AT = [(plot, name) for i, plot in enumerate(OF_FIT) for name in (*LEGIBLE[3:], LEGIBLE[i % 3])]
#: Every plot of a fifth of these, every one of these in two plots.
DRAWN = [
    (plot, name) for i, plot in enumerate(OF_FIT) for j, name in enumerate(sorted(FITS.keys() - set(LEGIBLE)))
    if (i + j) % 5 == 0 or (plot, name) == ("loo_pit", "frequency weights")
]  # fmt: skip


@pytest.mark.parametrize(("plot", "name"), LOOKED_AT)
def test_text_is_legible_in_one_column(plot: str, name: str, pyplot: Any, monkeypatch: Any) -> None:
    post = fitted(name)
    if plot == "contours" and post.spectrum.n_features < 2:
        with pytest.raises(DataError, match="two penalised columns"):
            plots.contours(post)
        return
    with plots.style("dark", font_size=8):
        mpl.rcParams["figure.figsize"] = (3.5, 3.0)
        figure = _one_figure(OF_FIT[plot](post), pyplot)
        assert troubles(figure, monkeypatch) == []


@pytest.mark.slow  # in one column it is harder to be
@pytest.mark.parametrize("plot", OF_FIT)
def test_text_is_legible_at_the_default_size(plot: str, pyplot: Any, monkeypatch: Any) -> None:
    assert troubles(_one_figure(OF_FIT[plot](fitted("300 columns, long names")), pyplot), monkeypatch) == []


@pytest.mark.parametrize(("plot", "name"), DRAWN)
def test_every_fit_can_be_drawn(plot: str, name: str, pyplot: Any) -> None:
    if plot == "loo_pit" and name == "frequency weights":
        with pytest.raises(DataError, match="one row for each observation"):
            plots.loo_pit(fitted(name))
        return
    _one_figure(OF_FIT[plot](fitted(name)), pyplot)


@pytest.mark.parametrize(("name", "width"), [("300 columns, long names", 3.5), ("one column", 6.4)])
@pytest.mark.parametrize("plot", MORE)
def test_the_other_plots_are_legible(plot: str, name: str, width: float, pyplot: Any, monkeypatch: Any) -> None:
    with plots.style("dark", font_size=8 if width < 5 else 10):
        mpl.rcParams["figure.figsize"] = (width, 3.0)
        assert troubles(_one_figure(MORE[plot](fitted(name)), pyplot), monkeypatch) == []


@pytest.mark.parametrize("name", ["lambda fixed", "prior on tau", "frequency weights"])
def test_the_other_plots_can_be_drawn(name: str, pyplot: Any) -> None:
    for plot in MORE.values():
        _one_figure(plot(fitted(name)), pyplot)
        pyplot.close("all")


def _flats() -> tuple[Any, Any]:
    import pandas as pd

    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"area in square metres": rng.uniform(20, 160, 40), "floor": rng.integers(0, 4, 40)})
    frame["part of the town"] = np.array(["Altstadt am Fluss", "Neustadt", "Hafen", "Universitätsviertel"])[
        rng.integers(0, 4, 40)
    ]
    frame["lift"] = rng.random(40) < 0.5
    area = frame["area in square metres"]
    frame["rent"] = 3.0 * area - 0.01 * area**2 + 20.0 * frame["lift"] + 10.0 * rng.standard_normal(40)
    formula = "rent ~ {`area in square metres`} + {`area in square metres`**2} + floor + `part of the town` + lift"
    return frame, BayesRidge(formula=formula).fit(frame)


@pytest.mark.parametrize("width", [3.5, 6.4])
def test_partial_effects_are_legible(width: float, pyplot: Any, monkeypatch: Any) -> None:
    frame, fit = _flats()
    with plots.style(font_size=8 if width < 5 else 10):
        mpl.rcParams["figure.figsize"] = (width, 3.0)
        assert troubles(_one_figure(plots.partial_effects(fit, frame), pyplot), monkeypatch) == []
    axes = pyplot.subplots(1, 2)[1]
    given = plots.partial_effects(fit, frame, ["lift", "floor"], axes=axes)
    assert given.tolist() == axes.tolist()


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda frame, fit: plots.partial_effects(fit, frame.to_numpy()), "data frame"),
        (lambda frame, fit: plots.partial_effects(fit, frame, ["nosuch"]), "no column 'nosuch'"),
        (lambda frame, fit: plots.partial_effects(fit, frame, []), "name the variables"),
        (lambda frame, fit: plots.partial_effects(fit, frame, ["lift"] * 13), "not of 13"),
        (lambda frame, fit: plots.partial_effects(fit, frame.assign(lift=None), ["lift"]), "no value"),
        (lambda frame, fit: plots.partial_effects(fit.posterior_, frame), "takes a fitted BayesRidge"),
        (lambda _, fit: plots.coefficient_paths(fit.posterior_, columns=0), "columns must be 1"),
        (lambda _, fit: plots.residuals(fit.posterior_, rows=0), "rows must be 1"),
        (lambda _, fit: plots.predictive_difference(fit.posterior_, draws=5), "at least 20"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(ask: Any, text: str, pyplot: Any) -> None:
    with pytest.raises(DataError, match=text):
        ask(*_flats())
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(("name", "width"), [("300 columns, long names", 3.5), ("no signal", 6.4)])
def test_rules_are_legible(name: str, width: float, pyplot: Any, monkeypatch: Any) -> None:
    comparison = compared(name)
    with plots.style(font_size=8 if width < 5 else 10):
        mpl.rcParams["figure.figsize"] = (width, 3.0)
        assert troubles(_one_figure(plots.rules(comparison), pyplot), monkeypatch) == []
        pyplot.close("all")
        assert troubles(_one_figure(plots.ridge_trace(fitted(name), comparison), pyplot), monkeypatch) == []


def test_checks_are_legible(pyplot: Any, monkeypatch: Any) -> None:
    with plots.style(font_size=8):
        mpl.rcParams["figure.figsize"] = (3.5, 3.0)
        for name in ("longley", "300 columns, long names"):
            check = spectral_check(fitted(name), simulations=200)
            assert troubles(_one_figure(plots.spectral_check(check), pyplot), monkeypatch) == []
            pyplot.close("all")
        result = posterior_sbc(fitted("longley"), simulations=60, draws=20, random_state=1)
        assert troubles(_one_figure(plots.sbc_ranks(result), pyplot), monkeypatch) == []


@pytest.mark.parametrize("plot", OF_FIT)
def test_given_axes_are_used_and_nothing_else_is_made(plot: str, pyplot: Any) -> None:
    panels = 2 if plot in ("ridge_trace", "lambda_posterior") else 1
    figure, given = pyplot.subplots(panels, 1, layout="constrained")
    drawn = OF_FIT[plot](fitted("diabetes"), axes=given) if panels == 2 else OF_FIT[plot](fitted("diabetes"), ax=given)
    assert np.ravel(drawn).tolist() == np.ravel(given).tolist()
    assert pyplot.get_fignums() == [figure.number]


def test_too_few_axes_are_refused(pyplot: Any) -> None:
    with pytest.raises(DataError, match="has 2 panels"):
        plots.ridge_trace(fitted("diabetes"), axes=pyplot.subplots()[1])


@pytest.mark.parametrize("plot", ["posterior_predictive", "contours"])
def test_rendering_twice_gives_the_same_bytes(plot: str, pyplot: Any) -> None:
    images = []
    for _ in range(2):
        axes = OF_FIT[plot](fitted("longley"))
        file = io.BytesIO()
        np.ravel(axes)[0].figure.savefig(file, format="png")
        images.append(file.getvalue())
        pyplot.close("all")
    assert images[0] == images[1]


def test_a_subfigure_will_do(pyplot: Any) -> None:
    figure = pyplot.figure(layout="constrained")
    ax = figure.subfigures(1, 2)[0].subplots()
    assert plots.coefficients(fitted("longley"), ax=ax) is ax


def test_text_that_cannot_be_read_is_noticed(pyplot: Any, monkeypatch: Any) -> None:
    figure, ax = pyplot.subplots()
    ax.set_axis_off()
    ax.text(0.5, 0.5, "one thing")
    assert troubles(figure, monkeypatch) == []
    ax.annotate("on another", (0.5, 0.51))
    ax.text(0.95, 0.1, "a text that runs out of the figure")
    ax.text(0.5, 0.5, "not shown", visible=False)
    found = troubles(figure, monkeypatch)
    assert [text.split(" ")[0] for text in found] == ["outside", "overlap"]


def test_style_restores_and_refuses() -> None:
    before = mpl.rcParams["text.color"]
    with plots.style("dark"):
        assert mpl.rcParams["text.color"] != before
    assert mpl.rcParams["text.color"] == before
    with pytest.raises(DataError, match="'light' or 'dark'"):
        plots.style("sepia")  # type: ignore[arg-type]


def _luminance(color: str) -> float:
    # WCAG 2.1, relative luminance
    parts = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in mpl.colors.to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], parts))


@pytest.mark.parametrize("ground", ["#ffffff", "#131416"])
@pytest.mark.parametrize("color", [*COLORS, GREY])
def test_colours_stand_out_on_light_and_dark(color: str, ground: str) -> None:
    low, high = sorted([_luminance(color), _luminance(ground)])
    assert (high + 0.05) / (low + 0.05) >= 3.0  # WCAG 2.1, 1.4.11: graphics


def test_twenty_lines_can_be_told_apart() -> None:
    assert len({(look["color"], str(look["linestyle"])) for look in map(line_look, range(20))}) == 20


def test_spread_moves_labels_apart_and_no_further() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 30):
        values = rng.uniform(0, 1, n)
        moved = spread(values, 0.03, 0.0, 1.0)
        assert moved.min() >= 0.0
        assert moved.max() <= 1.0
        assert (np.argsort(moved, kind="stable") == np.argsort(values, kind="stable")).all()
        assert np.diff(np.sort(moved)).min(initial=1.0) >= 0.03 - 1e-12
    apart = np.array([0.9, 0.1, 0.5])
    assert spread(apart, 0.1, 0.0, 1.0) == pytest.approx(apart)
    # three at one place: least squares keeps their mean
    assert spread(np.full(3, 0.5), 0.1, 0.0, 1.0) == pytest.approx([0.4, 0.5, 0.6])


def test_importing_the_plots_does_not_import_matplotlib() -> None:
    code = "import sys, bayesridge.plots as p; p.ridge_trace, p.rules; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_is_exported_and_unknown_ones_are_not() -> None:
    for name in plots.__all__:
        assert "What to see" in (getattr(plots, name).__doc__ or "") or name == "style"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = plots.nothing


def test_chosen_rules_can_be_few(pyplot: Any, monkeypatch: Any) -> None:
    comparison = compare_lambda(fitted("longley"), rules=pick_rules(["gcv"]), progress=False)
    assert troubles(_one_figure(plots.rules(comparison), pyplot), monkeypatch) == []


@pytest.mark.parametrize(
    ("plot", "text"),
    [
        (plots.coefficients, "takes a Posterior .* posterior_ of a fitted BayesRidge"),
        (plots.contours, "takes a Posterior"),
        (plots.rules, "takes a LambdaComparison"),
        (plots.spectral_check, "takes a SpectralCheck"),
        (plots.sbc_ranks, "takes a CalibrationResult"),
    ],
)
def test_the_wrong_thing_is_refused_with_the_right_one(plot: Any, text: str, pyplot: Any) -> None:
    with pytest.raises(DataError, match=text):
        plot([1, 2, 3])
    assert pyplot.get_fignums() == []


def test_very_many_columns_are_not_all_drawn_and_that_is_said() -> None:
    rng = np.random.default_rng(0)
    post = posterior(rng.standard_normal((12, 700)), rng.standard_normal(12))
    top, _ = plots.ridge_trace(post, columns=3)
    assert sum(len(line.get_xdata()) == 400 for line in top.lines) == 503
    title = top.get_title(loc="left").replace("\n", " ")
    assert "3 of 700 columns" in title
    assert "the next 500 thin" in title


@cache
def _mixed(formula: str) -> Any:
    import pandas as pd

    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"days since opening": rng.uniform(0.0, 9.0, 90), "x": rng.standard_normal(90)})
    frame["district of the town"] = np.array([f"Stadtteil Nummer {k}, am Fluss" for k in range(6)])[np.arange(90) % 6]
    frame["shop"] = np.arange(90) % 45
    effect = np.arange(6.0)[np.arange(90) % 6]
    frame["y"] = np.sin(frame["days since opening"]) + effect * (1.0 + frame.x) + 0.4 * rng.standard_normal(90)
    return BayesRidge(formula=formula).fit(frame)


@pytest.mark.parametrize("width", [3.5, 6.4])
def test_terms_are_legible_and_what_they_draw_is_the_posterior(width: float, pyplot: Any, monkeypatch: Any) -> None:
    fit = _mixed("y ~ s(`days since opening`, k=8) + (1 | shop)")
    with plots.style(font_size=8 if width < 5 else 10):
        mpl.rcParams["figure.figsize"] = (width, 3.0)
        drawn = plots.levels(fit.posterior_, "shop")
        assert troubles(_one_figure(drawn, pyplot), monkeypatch) == []
        effects = np.sort(fit.posterior_.levels("shop").mean[:-1])
        np.testing.assert_allclose(drawn[0].lines[1].get_ydata(), effects, rtol=1e-12)
        pyplot.close("all")
        ax = plots.smooth(fit, "s(`days since opening`)")
        assert troubles(_one_figure(ax, pyplot), monkeypatch) == []
        np.testing.assert_allclose(ax.lines[1].get_ydata(), fit.smooth("s(`days since opening`)").mean, rtol=1e-12)
    with pytest.raises(DataError, match=r"no effects of levels called 'month'.*'shop'"):
        plots.levels(fit.posterior_, "month")


def test_correlated_effects_have_a_panel_each(pyplot: Any, monkeypatch: Any) -> None:
    post = _mixed("y ~ x + (x | `district of the town`)").posterior_
    drawn = plots.levels(post, "district of the town")
    assert troubles(_one_figure(drawn, pyplot), monkeypatch) == []
    for part, ax in enumerate(drawn):
        effects = np.sort(post.levels("district of the town").mean[part:-2:2])
        np.testing.assert_allclose(ax.lines[1].get_xdata(), effects, rtol=1e-12)
