"""The page of counts, groups and draws: its numbers are the posterior's, and it says what is not on it."""

import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from bayesridge import compare_lambda, posterior
from bayesridge.cli.report import report
from bayesridge.errors import DataError
from bayesridge.posteriors.summary import hyper_table
from bayesridge.reporting.build import report_html
from bayesridge.reporting.html import number, rounded
from tests.reporting.test_report_page import Tree
from tests.test_seams import chains, kernel, table, two_penalties
from tests.test_support import counts

POSTERIORS = {"counts": counts, "groups": two_penalties, "kernel": kernel, "sampled": chains}


@pytest.fixture(scope="module", params=POSTERIORS)
def post(request):
    return POSTERIORS[request.param]()


@pytest.fixture(scope="module")
def page(post):
    return report_html(post, level=0.9)


def section(page, name):
    return re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL).group(0)


def rows(page, caption):
    """Cells of the table of this name, without tags, by the heading of the row."""
    box = re.search(rf'aria-label="{caption}">(.*?)</table>', page, re.DOTALL).group(1)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", box)]
    return {html.unescape(row[0]): row[1:] for row in cells}


def refused(ask):
    try:
        ask()
    except DataError as why:
        return str(why)
    return ""


def test_numbers_on_the_page_are_those_of_the_posterior(post, page):
    found, part, ends = (
        rows(page, "Coefficients, units of the data"),
        post.coefficients,
        post.coefficients.interval(0.9),
    )
    assert found["column"][3:5] == ["90% ETI low", "90% ETI high"]
    for j, name in enumerate(part.labels):
        mean, *interval = (rounded(float(v), float(part.sd[j])) for v in (part.mean[j], *ends[j]))
        assert found[name][1:5] == [mean, rounded(part.sd[j], part.sd[j]), *interval]
    scales, ends = (
        rows(page, "Posterior of the scales"),
        hyper_table(post, 0.9),
    )  # HDIs of several lambdas
    for name, scale in post.scales.items():
        assert scales[name][:3] == [number(v) for v in (scale.median, *ends.loc[name].iloc[1:3])]
    for line in (post.how, *post.check):
        assert html.escape(line) in section(page, "checks")


def test_leave_one_out_on_the_page_is_that_of_the_posterior(post, page):
    said = section(page, "predictions")
    if refusal := refused(lambda: post.loo):
        assert html.escape(refusal) in said
        return
    loo = post.loo
    assert f"{loo.elpd_loo:.1f} (se {loo.se:.1f}) nats".replace("-", "−") in said
    assert html.escape(loo.accuracy) in said
    if refusal := refused(lambda: loo.pit):
        assert html.escape(refusal)[1:] in said
        return
    assert f"{100 * np.mean(np.abs(loo.pit - 0.5) <= 0.25):.3g}%" in said
    assert page.count("Leave-one-out PIT values") == 1


def test_what_needs_one_lambda_is_absent_and_the_page_says_why(post, page):
    if hasattr(type(post), "curves"):
        pytest.skip("it has a slider of its own, over penalised fits: test_path_section")
    tree = Tree(page)
    assert not {attrs.get("id") for _, attrs, _ in tree.elements} & {"slider", "rules", "decay", "lambda-range"}
    assert not [tag for tag, _, _ in tree.elements if tag in ("script", "input")]
    assert "script-src 'none'" in page
    identities = {attrs["id"] for _, attrs, _ in tree.elements if "id" in attrs}
    assert {a["href"][1:] for tag, a, _ in tree.elements if tag == "a"} <= identities
    with pytest.raises(DataError) as why:
        _ = post.spectrum
    assert html.escape(str(why.value)) in section(page, "answer")
    assert not re.search(r"\bnan\b|\binf\b|None", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    with pytest.raises(DataError, match=re.escape(str(why.value))):
        report_html(post, comparison=compare_lambda(posterior(*table()), progress=False))


@pytest.mark.parametrize(("family", "ratio"), [("poisson", "Rate ratio"), ("binomial", "Odds ratio")])
def test_ratios_stand_beside_their_logarithms(family, ratio):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((50, 2))
    post = posterior(X, rng.integers(0, 2, 50).astype(float), family=family)
    found = rows(report_html(post), f"{ratio}s, per unit of the column")
    medians, ends = np.exp(post.coefficients.median), np.exp(post.coefficients.interval())
    for j, name in enumerate(post.design.names):
        assert found[name] == [number(v) for v in (medians[j], *ends[j])]
    assert not re.search(r"<caption>[^/]*ratio", report_html(two_penalties()))


def test_chains_that_are_bad_are_warned_of_first():
    post = chains()
    assert "Before you read on" not in report_html(post)
    post.diagnostics.attrs["verdict"] = "bad"
    page = report_html(replace(post))
    assert page.index("the chains are bad") < page.index('id="answer-title"')


def test_hostile_names_do_nothing():
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.standard_normal((40, 2)), columns=["<script>x</script>", "a & b"])
    page = report_html(posterior(X, rng.poisson(2.0, 40).astype(float), family="poisson"))
    assert page.count("<script>") == 1  # the slider's own
    assert [data for tag, data in Tree(page).texts if tag == "th"].count("<script>x</script>") == 3


@pytest.mark.parametrize(
    "words",
    [
        ["--formula", "claims ~ age + power", "--family", "poisson", "--offset", "log(years)"],
        ["--target", "state", "--drop", "won", "--family", "binomial", "--positive", "ill"],
        ["--formula", "state ~ age + power", "--family", "binomial"],
        pytest.param(
            ["--target", "won", "--drop", "claims", "--family", "binomial", "--trials", "n", "--level", "0.8"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_command_writes_the_page_and_the_code_on_it_makes_it_again(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.standard_normal((40, 2)), columns=["age", "power"])
    frame["years"] = rng.uniform(0.2, 3.0, 40)
    frame["claims"], frame["n"] = rng.poisson(frame["years"]), rng.integers(1, 9, 40)
    frame["state"] = np.where(rng.random(40) < 0.4, "ill", "well")
    frame.assign(won=rng.binomial(frame["n"], 0.4)).to_csv("t.csv", index=False)
    app = typer.Typer()
    app.command()(report)
    result = CliRunner().invoke(app, ["t.csv", *words])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    code = next(data for tag, data in Tree(page).texts if tag == "code" and "report(post" in data)
    (tmp_path / "report.html").unlink()
    exec(code, {})
    again = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert section(page, "reproduce") != section(again, "reproduce")  # the page knows how it was made
    assert page.replace(section(page, "reproduce"), "") == again.replace(section(again, "reproduce"), "")


def test_terms_and_effects_of_levels_are_on_the_page():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_normal(60), "<shop>": np.arange(60) % 6, "day": np.arange(60) // 12})
    frame["y"] = frame.x + np.arange(6.0)[frame["<shop>"]] + 0.5 * rng.standard_normal(60)
    mixed = posterior(frame, formula="y ~ x + (1 | `<shop>`) + (1 | day)")
    page = report_html(mixed, level=0.9)
    found, wanted = rows(page, "Terms"), mixed.terms(0.9)
    assert found["term"] == list(wanted.columns)
    assert found["<shop>"] == [number(value) for value in wanted.loc["<shop>"]]
    effects = mixed.levels("<shop>")
    found, ends = rows(page, "Effects of 6 levels of &lt;shop&gt;"), effects.interval(0.9)
    for k in range(6):
        sd = float(effects.sd[k])
        assert found[effects.labels[k]][1:] == [rounded(float(v), sd) for v in (effects.mean[k], sd, *ends[k])]
    assert [float(found[one][1].replace("−", "-")) for one in found if one != "level"] == sorted(
        round(value, 1 - int(np.floor(np.log10(sd)))) for value, sd in zip(effects.mean[:6], effects.sd, strict=False)
    )
    assert "HDI" in section(page, "scales")
    assert "of 1 coefficients" in section(page, "answer")  # x; levels have a table of their own
    assert "other 13 coefficients" in section(page, "coefficients")


def test_many_levels_are_ranks():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_normal(100), "shop": np.arange(100) % 45, "day": np.arange(100) % 3})
    frame["y"] = frame.x + rng.standard_normal(45)[frame.shop] + 0.5 * rng.standard_normal(100)
    part = section(report_html(posterior(frame, formula="y ~ x + (1 | shop) + (1 | day)")), "terms")
    assert part.count("<figure>") == 1
    assert part.count("h0") == 45  # a dot for each level
    assert "Effects of 3 levels of day" in part


def test_levels_under_one_lambda_are_coefficients_like_others():
    frame = pd.DataFrame({"x": np.arange(30.0) % 7, "shop": np.arange(30) % 5})
    frame["y"] = frame.x + frame.shop + np.sin(np.arange(30.0))
    page = report_html(posterior(frame, formula="y ~ x + (1 | shop)"))
    assert "of 7 coefficients" in section(page, "answer")  # a new level is one, too
    assert "other" not in section(page, "coefficients")
    assert "shop[4]" in rows(page, "Coefficients, units of the data")
