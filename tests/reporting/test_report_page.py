"""The report's page as text: well-formed, self-contained, safe against hostile names, the same every time."""

import base64
import hashlib
import html
import json
import re
import warnings
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bayesridge import FixedLambda, FixedScales, FixedSigma, posterior
from bayesridge.checks.card import validate
from bayesridge.cli.report import report
from bayesridge.datasets import load, load_xy
from bayesridge.errors import DataError
from bayesridge.reporting.back_matter import Source
from bayesridge.reporting.build import report as write_page
from bayesridge.reporting.build import report_html
from bayesridge.reporting.html import data_script
from bayesridge.rules.catalogue import pick_rules
from bayesridge.rules.comparison import compare_lambda
from tests.reporting.browser.cases import CASES, HOSTILE

_ROWS = np.random.default_rng(0).standard_normal((12, 3))
_TARGET = _ROWS @ [1.0, 2.0, 0.0] + np.random.default_rng(1).standard_normal(12)
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Tree(HTMLParser):
    """A strict reader: every element that is opened is closed, in order."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts, self.headings = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> says {names} twice"
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if self.open:
            self.texts.append((self.open[-1], data))
            if re.fullmatch("h[1-6]", self.open[-1]):
                self.headings.append((int(self.open[-1][1]), data))


@pytest.fixture(params=list(CASES))
def page(request):
    return CASES[request.param].page


def test_elements_are_balanced_and_identities_unique(page):
    tree = Tree(page)
    identities = Counter(attrs["id"] for _, attrs, _ in tree.elements if "id" in attrs)
    assert max(identities.values()) == 1
    for _, attrs, _ in tree.elements:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            for word in (attrs.get(name) or "").split():
                assert word in identities, f"{name}={word} leads nowhere"
        if (attrs.get("href") or "").startswith("#"):
            assert attrs["href"][1:] in identities


def test_every_control_has_a_name_and_every_picture_a_description(page):
    tree = Tree(page)
    labelled = {attrs["for"] for tag, attrs, _ in tree.elements if tag == "label"}
    for tag, attrs, _ in tree.elements:
        if tag == "input":
            assert attrs.get("aria-label") or attrs["id"] in labelled
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or (attrs.get("role") == "img" and attrs.get("aria-label"))
        if tag == "button":
            assert attrs["type"] == "button"
        if tag == "th":
            assert attrs["scope"] in ("row", "col")


def test_headings_skip_no_level(page):
    levels = [level for level, _ in Tree(page).headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_nothing_is_fetched_and_nothing_runs_but_what_the_policy_names(page):
    tree = Tree(page)
    policy = next(a["content"] for t, a, _ in tree.elements if t == "meta" and "content-security" in str(a).lower())
    rules = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for name, blocks in (("script-src", scripts), ("style-src", styles)):
        made = [f"'sha256-{base64.b64encode(hashlib.sha256(b.encode()).digest()).decode()}'" for b in blocks]
        assert rules[name] == made
    for tag, attrs, _ in tree.elements:
        assert not [name for name in attrs if name.startswith("on") or name in ("style", "srcset", "action")]
        assert tag not in {"iframe", "object", "embed", "base", "form", "img"}
        for name in ("href", "src"):
            assert attrs.get(name, "#").startswith(("#", "data:,"))
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_names_are_shown_as_they_are_and_do_nothing():
    page = CASES["hostile"].page
    tree = Tree(page)
    cells = [data for tag, data in tree.texts if tag == "th"]
    for name in HOSTILE:
        assert cells.count(name) >= 2, name  # the slider's table and the posterior's
    assert sum(tag == "script" for tag, _, _ in tree.elements) == 2  # data, slider
    assert "<this>" not in page
    assert any("<this> & that" in data for _, data in tree.texts)


def test_json_in_a_script_cannot_end_it():
    made = data_script("names", {"names": list(HOSTILE)})
    inside = made.removeprefix('<script type="application/json" id="names">').removesuffix("</script>")
    assert not set("<>&") & set(inside)
    assert json.loads(inside) == {"names": list(HOSTILE)}


def test_same_input_same_bytes_and_the_date_only_where_given():
    post = CASES["longley"].posterior
    comparison = compare_lambda(post, rules=pick_rules(["reml", "loo"]), progress=False)
    pages = [report_html(post, comparison=comparison) for _ in range(2)]
    assert pages[0] == pages[1]
    assert report_html(posterior(*load_xy("longley"))) == report_html(posterior(*load_xy("longley")))
    dated = report_html(post, comparison=comparison, source=Source(date="a day in May"))
    assert dated.replace(" · <time>a day in May</time>", "") == pages[0]


def test_seed_moves_the_simulated_checks_alone():
    post = CASES["longley"].posterior
    comparison = compare_lambda(post, rules=pick_rules(["reml"]), progress=False)
    a, b = (report_html(post, comparison=comparison, random_state=seed) for seed in (0, 1))

    def sections(page):
        return dict(re.findall(r'<section id="(\w+)".*?>(.*?)</section>', page, re.DOTALL))

    one, two = sections(a), sections(b)
    assert {name for name in one if one[name] != two[name]} == {"checks", "reproduce"}


def test_numbers_of_the_text_are_those_of_the_posterior():
    post = CASES["diabetes"].posterior
    page = CASES["diabetes"].page
    low, high = post.lambda_.interval(0.95)
    answer = re.search(r'<p class="lead">(.*?)</p>', page, re.DOTALL).group(1)
    assert f"λ = {post.lambda_.median:.2g}</strong> (posterior median; 95% ETI {low:.2g} to {high:.2g})" in answer
    assert f"{post.effective_dof.median:.2g} of 10 effective degrees of freedom" in answer
    assert f"missed by {post.loo.rmse:.4g} (RMSE)" in answer
    # the mean of the others as a prediction: y_i - mean_-i = (y_i - mean) n / (n - 1)
    y = post.design.y
    n = len(y)
    assert f"the mean alone would miss it by {np.std(y) * n / (n - 1):.4g}" in answer
    ends = post.coefficients.interval(0.95)
    away = [name for name, (a, b) in zip(post.design.names, ends, strict=True) if a > 0 or b < 0]
    assert f"of {len(away)} of 10 coefficients exclude zero: {', '.join(away)}" in answer


def test_prior_is_said_in_words():
    # Beta(1, 1) is uniform: 90% of it lie between 5% and 95%; arcsine law: P(R² < x) = 2/pi asin(sqrt(x))
    assert "between 5% and 95% of the variance (90% ETI of the prior)" in CASES["one column"].page
    low = 100 * np.sin(0.05 * np.pi / 2) ** 2
    assert f"Beta(0.5, 0.5) on R²: before the data, the columns are expected to explain between {low:.3g}%" in (
        CASES["longley"].page
    )


def test_columns_that_are_left_out_are_counted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 120))
    post = posterior(X, X[:, 0] * 3 + rng.standard_normal(50))
    page = report_html(post, comparison=compare_lambda(post, rules=pick_rules(["reml"])))
    assert "40 of 120 columns" in page


@pytest.mark.parametrize(("shape", "limit"), [((442, 10), 300_000), ((60, 900), 400_000), ((3000, 120), 500_000)])
def test_size_stays_small(shape, limit):
    """The limit of 1.5 MB is for 20000 x 500 (measured: docs/report.md); these scale as that does."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape)
    post = posterior(X, X[:, :5].sum(axis=1) + rng.standard_normal(shape[0]))
    page = report_html(post, comparison=compare_lambda(post, rules=pick_rules(["reml", "loo"])))
    assert len(page.encode()) < limit


@pytest.mark.slow
def test_large_table_stays_below_one_and_a_half_megabytes():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 500))
    page = report_html(posterior(X, X[:, :10].sum(axis=1) + 3 * rng.standard_normal(20_000)))
    assert len(page.encode()) < 1_500_000


def test_where_leave_one_out_does_not_exist_the_page_says_why():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 3))
    X[:, 2] = np.arange(12) == 4
    post = posterior(X, X[:, 0] + rng.standard_normal(12), unpenalized=[2])
    page = report_html(post, comparison=compare_lambda(post, rules=pick_rules(["reml"])))
    Tree(page)
    assert "Leave-one-out is not available" in page
    assert 'data-out="looRmse"' not in page


def test_lambda_without_a_logarithm_and_a_comparison_of_other_data_are_refused():
    X, y = load_xy("longley")
    with pytest.raises(DataError, match="logarithm of lambda"):
        report_html(posterior(X, y, prior=FixedLambda(0.0)))
    other = compare_lambda(posterior(X.iloc[:-1], y.iloc[:-1]), rules=pick_rules(["reml"]), progress=False)
    with pytest.raises(DataError, match="another fit"):
        report_html(posterior(X, y), comparison=other)
    with pytest.raises(DataError, match="level"):
        report_html(posterior(X, y), level=1.0)


# -- the command ---------------------------------------------------------------------------------------------------

app = typer.Typer()
app.command()(report)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def without_reproduction(page):
    return re.sub(r'<section id="reproduce".*?</section>', "", page, flags=re.DOTALL)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--noise", "inverse-gamma:2,1000", "--unpenalized", "YEAR", "--no-scale"],
        ["--prior", "fixed:0.1", "--drop", "GNP", "--drop", "POP", "--no-intercept", "--seed", "3", "--level", "0.9"],
        ["--weights", "ARMED", "--weight-kind", "precision", "--missing", "drop", "--formula", "GNP + UNEMP"],
    ],
)
def test_command_writes_the_page_and_the_code_on_it_makes_it_again(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    load("longley").to_csv("it's a table.csv", index=False)
    result = run("it's a table.csv", "--target", "TOTEMP", "--out", "page.html", *words)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    blocks = [data for tag, data in Tree(page).texts if tag == "code" and "report(post" in data]
    assert len(blocks) == 1
    (tmp_path / "page.html").unlink()
    exec(blocks[0], {})
    again = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert without_reproduction(again) == without_reproduction(page)


def test_command_on_the_page_is_the_one_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load("longley").to_csv("t.csv", index=False)
    words = ["t.csv", "--target", "TOTEMP", "--prior", "r2:1,1", "--title", "Jobs & <years>", "--date", "today"]
    assert run(*words).exit_code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    code = [data for tag, data in Tree(page).texts if tag == "code"]
    line = "bayesridge report t.csv --target TOTEMP --prior r2:1,1 --title 'Jobs & <years>' --date today"
    assert f"{line} --out report.html" in code
    assert ("h1", "Jobs & <years>") in Tree(page).texts


def test_command_says_in_one_line_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load("longley").to_csv("t.csv", index=False)
    result = run("t.csv", "--target", "nothing")
    assert result.exit_code == 1
    assert not (tmp_path / "report.html").exists()


def test_warnings_of_the_fit_stand_at_the_top(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load("longley").assign(same=1.0).to_csv("t.csv", index=False)
    result = run("t.csv", "--target", "TOTEMP")
    assert result.exit_code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("columns without spread") < page.index('id="answer-title"')


@pytest.mark.parametrize(
    ("name", "words"),
    [("constant column", "columns without spread are left out, their coefficients are 0: x5"),
     ("evidence", "intervals ignore its uncertainty"), ("diabetes", None)],
)  # fmt: skip
def test_from_python_the_posterior_itself_gives_the_cautions(name, words):
    post = CASES[name].posterior
    page = report_html(post, comparison=compare_lambda(post, rules=pick_rules(["reml"])))
    assert ("Before you read on" in page) == (words is not None)
    if words is not None:
        assert words in page[: page.index('id="answer-title"')]


@pytest.mark.parametrize(
    ("X", "y", "options"),
    [(_ROWS, np.ones(12), {}), (_ROWS, _ROWS @ [1.0, 2.0, 3.0], {}), (_ROWS[:2], _ROWS[:2, 0], {}),
     (_ROWS, _TARGET, {"unpenalized": [0, 1, 2]}), (np.ones((12, 1)), _TARGET, {}),
     (_ROWS, _TARGET, {"weights": np.linspace(0.5, 2.0, 12)}), (_ROWS, _TARGET, {"prior": FixedLambda(1e-12)}),
     (_ROWS, _TARGET, {"prior": FixedLambda(1e15)}), (_ROWS * 1e110, _TARGET * 1e60, {}),
     (np.column_stack([_ROWS, _ROWS]), _TARGET, {})],
    ids=["constant target", "perfect fit", "two rows", "nothing penalised", "constant columns", "weights not whole",
         "tiny lambda", "huge lambda", "huge values", "twice the same columns"],
)  # fmt: skip
def test_degenerate_data_have_a_page_too(X, y, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # they all warn: the page has to say so
        post = posterior(X, y, **options)
        page = report_html(post, comparison=compare_lambda(post, rules=pick_rules(["reml", "loo"])))
    Tree(page)
    text = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r"\bnan\b|\binf\b|None", text)
    record = json.loads(re.search(r'id="slider-data">(.*?)</script>', page, re.DOTALL).group(1))
    assert record["low"] < np.log(post.lambda_.median) < record["high"]


def test_report_returns_the_path(tmp_path):
    post = CASES["longley"].posterior
    comparison = compare_lambda(post, rules=pick_rules(["reml"]), progress=False)
    path = write_page(post, tmp_path / "a.html", comparison=comparison)
    assert path.read_text(encoding="utf-8") == report_html(post, comparison=comparison)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Posterior, λ and σ integrated"),
        ({"prior": FixedLambda(2.0)}, "Posterior, λ fixed, σ integrated"),
        ({"prior": FixedScales(2.0, 1.0)}, "Posterior, λ and σ fixed"),
        ({"method": "evidence"}, "Posterior, λ plugged in (its uncertainty ignored), σ integrated"),
        ({"noise_prior": FixedSigma(2.0)}, "Posterior, λ integrated, σ known"),
    ],
)
def test_the_page_says_which_scales_were_integrated(options, said):
    page = report_html(posterior(*load_xy("sensor"), **options))
    assert said in page
    assert ("is a function of one variable" in page) == ("fixed" not in said and "plugged" not in said)


def test_the_page_and_the_report_card_say_the_same():
    post = posterior(*load_xy("sensor"))
    page = report_html(post)
    card = validate(post, checks=["prior", "leave-one-out", "noise", "influence"], progress=False)
    for entry in card.entries:
        words = entry.text[:1].upper() + entry.text[1:]
        assert html.escape(words, quote=False) in page or html.escape(words) in page, entry.key


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_data_without_signal_ask_for_no_lambda():
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    noise = posterior(X, y - X @ np.linalg.lstsq(X, y)[0])  # less than chance would leave
    assert noise.evidence.best.place == "infinity"
    said = report_html(noise, comparison=compare_lambda(noise, rules=pick_rules(["reml"], 0.95), progress=False))
    assert "no signal" in said
    assert "ask for a penalty" not in said
    assert "ask for a penalty" in report_html(posterior(_ROWS, _TARGET))
