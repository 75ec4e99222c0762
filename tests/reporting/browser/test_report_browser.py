"""The report in a real browser: its numbers, its controls, its looks; nothing leaves the page."""

import re

import numpy as np
import pytest
from scipy.stats import t

from bayesridge import posterior
from bayesridge.reporting.build import report_html
from bayesridge.reporting.payload import GAP, STEPS
from bayesridge.rules.catalogue import pick_rules
from bayesridge.rules.comparison import compare_lambda
from tests.reporting.browser.axe import axe_violations, needs_axe
from tests.reporting.browser.cases import CASES, HOSTILE
from tests.reporting.browser.exact import assert_same, assert_same_intervals

_STATE = """() => {
  const s = window.bayesridge.state;
  return Object.fromEntries(Object.entries(s).map(([k, v]) => [k, v.length === undefined ? v : Array.from(v)]));
}"""


_SHOWN = """() => [...document.querySelectorAll(".bar, .bar input, .bar [data-out]")].every((e) => {
  const { top, bottom, left, right } = e.getBoundingClientRect();
  return top >= -0.5 && bottom <= innerHeight && left >= 0 && right <= innerWidth && e.textContent !== "–";
})"""


# -- the numbers ---------------------------------------------------------------------------------------------------


def check_state(tab, post):
    state = tab.evaluate(_STATE)
    found = {name: np.asarray(v) if isinstance(v, list) else v for name, v in state.items()}
    # JSON has no NaN and playwright none either: a single value has no distribution
    assert_same(found, post, found["lambda"])
    if post.noise_prior.conjugate is not None:
        assert_same_intervals(found, post, found["lambda"])
    else:
        assert np.isnan(found["low"]).all()
    best = post.evidence.best.log_evidence
    np.testing.assert_allclose(found["relativeEvidence"], found["logEvidence"] - best, rtol=1e-12)
    if post.method == "posterior":
        np.testing.assert_allclose(found["probabilityBelow"], post.lambda_.cdf(found["lambda"]), atol=1e-3)
    return found


def ends(tab):
    """Range of log lambda, as the payload has it."""
    return tab.evaluate(
        "(({ low, high }) => [low, high])(JSON.parse(document.getElementById('slider-data').textContent))"
    )


# the numbers of all are held to Python's without a browser in test_report_numbers
@pytest.mark.parametrize(
    "name",
    ["wide unpenalized", "series precision", "hostile"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in ("plane", "frequency", "evidence")],
)
def test_numbers_are_those_of_python_along_the_slider(visit, name):
    case = CASES[name]
    with visit(case.page) as tab:
        slider = tab.locator("#lambda-range")
        seen = [check_state(tab, case.posterior)["lambda"]]
        slider.focus()
        stops = {"Home": 0.0, "End": np.inf}
        for key in ("Home", "ArrowRight", "PageUp", "End", "ArrowLeft"):
            slider.press(key)
            if key in stops:
                assert tab.evaluate("window.bayesridge.state.lambda") == stops[key]
            else:
                seen.append(check_state(tab, case.posterior)["lambda"])
        assert len(set(seen)) == len(seen)
        # the ends beside the stops: one step short of them would be off by 1/400 of the range
        np.testing.assert_allclose(np.log([seen[1], seen[3]]), ends(tab), atol=1e-9)


def test_at_its_ends_the_slider_is_least_squares_and_the_mean_alone(visit):
    case = CASES["diabetes"]
    X, y = np.asarray(case.X, dtype=float), np.asarray(case.y, dtype=float)
    A = np.column_stack([np.ones(len(y)), X])
    exact = np.linalg.lstsq(A, y)[0]
    hat = np.einsum("ij,ji->i", A, np.linalg.pinv(A))
    error = (y - A @ exact) / (1 - hat)
    with visit(case.page) as tab:
        tab.get_by_role("button", name="least squares").click()
        found = tab.evaluate(_STATE)
        np.testing.assert_allclose([found["intercept"], *found["coefficients"]], exact, rtol=1e-8)  # s1 to s6 collinear
        np.testing.assert_allclose(found["looRmse"], np.sqrt(np.mean(error**2)), rtol=1e-10)
        assert tab.locator("#lambda-range").get_attribute("aria-valuetext") == "least squares, lambda 0"
        assert tab.locator("#lambda-number").input_value() == "0"
        # the intervals that every textbook has: Student-t with n - p - 1 degrees of freedom
        scale = np.sqrt(np.sum((y - A @ exact) ** 2) / (len(y) - 11) * np.diag(np.linalg.inv(A.T @ A))[1:])
        half = t.ppf(0.975, len(y) - 11) * scale
        np.testing.assert_allclose(found["high"], exact[1:] + half, rtol=1e-7, atol=1e-7 * half.max())
        tab.get_by_role("button", name="mean alone").click()
        found = tab.evaluate(_STATE)
        assert found["lambda"] == np.inf
        np.testing.assert_allclose(found["intercept"], y.mean(), rtol=1e-12)
        assert not np.any(found["coefficients"])
        assert not np.any(found["high"])
        np.testing.assert_allclose(found["looRmse"], y.std() * len(y) / (len(y) - 1), rtol=1e-12)
        assert tab.locator("#lambda-number").input_value() == ""


def test_where_the_columns_fit_every_row_least_squares_has_its_own_leave_one_out(visit):
    """The minimum-norm solution without each row, by refits on centred rows with the scales held fixed."""
    case = CASES["wide"]
    X, y = case.X / case.posterior.design.scale, np.asarray(case.y)
    errors = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        centre = X[rest].mean(axis=0)
        beta = np.linalg.pinv(X[rest] - centre, rcond=1e-10) @ (y[rest] - y[rest].mean())
        errors.append(y[i] - y[rest].mean() - (X[i] - centre) @ beta)
    with visit(case.page) as tab:
        tab.locator("#lambda-range").press("Home")
        found = tab.evaluate(_STATE)
        np.testing.assert_allclose(found["looRmse"], np.sqrt(np.mean(np.square(errors))), rtol=1e-9)
        assert found["trainRmse"] == 0


def test_dragging_the_thumb_moves_lambda_and_every_number(visit):
    case = CASES["series"]
    with visit(case.page, viewport={"width": 1200, "height": 900}) as tab:
        slider = tab.locator("#lambda-range")
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        low, high = ends(tab)
        start = np.log(tab.evaluate(_STATE)["lambda"])
        middle = box["y"] + box["height"] / 2
        inner = box["width"] - 22  # the thumb's centre goes from half a thumb to half a thumb before the end

        def place(share):
            return box["x"] + 11 + inner * (GAP + STEPS * share) / (STEPS + 2 * GAP)

        tab.mouse.move(place((start - low) / (high - low)), middle)
        tab.mouse.down()
        lambdas = []
        for share in (0.2, 0.55, 0.9):
            tab.mouse.move(place(share), middle, steps=4)
            lambdas.append(check_state(tab, case.posterior)["lambda"])
            # a pixel and half a step
            np.testing.assert_allclose(np.log(lambdas[-1]), low + share * (high - low), atol=(high - low) / 200)
            x = [float(one.get_attribute("x1")) for one in tab.locator("line.cursor").all()]
            assert len(x) >= 3
            np.testing.assert_allclose(x, 46 + (368 - 46) * (np.log(lambdas[-1]) - low) / (high - low), atol=1e-6)
        for beyond, lam in ((1.0 + 0.7 * GAP / STEPS, np.inf), (-0.7 * GAP / STEPS, 0.0)):
            tab.mouse.move(place(beyond), middle, steps=4)
            assert tab.evaluate("window.bayesridge.state.lambda") == lam
        tab.mouse.up()
        assert lambdas == sorted(lambdas)


def test_what_is_written_is_what_was_computed(visit):
    with visit(CASES["longley"].page) as tab:
        tab.locator("#lambda-range").press("PageDown")
        state = tab.evaluate(_STATE)
        error = {"effectiveDof": {"rtol": 5.1e-3}, "relativeEvidence": {"rtol": 0, "atol": 5.1e-3},
                 "probabilityBelow": {"rtol": 0, "atol": 5.1e-4}}  # fmt: skip
        for name in ("effectiveDof", "trainRmse", "looRmse", "relativeEvidence", "probabilityBelow"):
            for output in tab.locator(f'[data-out="{name}"]').all():
                assert float(output.get_attribute("data-value")) == state[name]
                written = output.text_content().replace("−", "-")
                value = float(written.rstrip("%")) / (100 if "%" in written else 1)
                np.testing.assert_allclose(value, state[name], **error.get(name, {"rtol": 5.1e-4}))
        rows = tab.locator("tr[data-row]:not(.intercept)")
        assert rows.count() == 6
        for k, sd in enumerate(CASES["longley"].posterior.coefficients.sd):
            cell = rows.nth(k).locator("[data-out=value]")
            assert float(cell.get_attribute("data-value")) == state["coefficients"][k]
            ends = rows.nth(k).locator("[data-out=ends]").text_content()
            texts = [cell.text_content(), *ends.split(" to ")]
            exact = [state["coefficients"][k], state["low"][k], state["high"][k]]
            # half a unit of the sd's second digit
            np.testing.assert_allclose([float(v.replace("−", "-")) for v in texts], exact, rtol=0, atol=0.051 * sd)


def test_buttons_go_exactly_where_they_say(visit):
    post = CASES["diabetes"].posterior
    low, high = post.lambda_.interval(0.95)
    wanted = {"posterior median": post.lambda_.median, "95% ETI low": low, "95% ETI high": high,
              "evidence maximum": post.evidence.best.lam}  # fmt: skip
    with visit(CASES["diabetes"].page) as tab:
        for name, lam in wanted.items():
            tab.get_by_role("button", name=name).first.click()
            assert check_state(tab, post)["lambda"] == lam
        tab.get_by_role("button", name="evidence maximum").first.click()
        assert abs(tab.evaluate(_STATE)["relativeEvidence"]) < 1e-11
        tab.get_by_role("button", name="LOO minimum").click()
        here = tab.evaluate(_STATE)
        for factor in (0.9, 1.1):
            other = tab.evaluate("lambda => window.bayesridge.at(lambda).looRmse", here["lambda"] * factor)
            assert other >= here["looRmse"]


def test_typed_lambda_is_taken_and_an_impossible_one_is_not(visit):
    post = CASES["diabetes"].posterior
    with visit(CASES["diabetes"].page) as tab:
        number = tab.locator("#lambda-number")
        number.fill("21.5")
        assert check_state(tab, post)["lambda"] == 21.5
        low, high = ends(tab)
        share = float(tab.locator("#lambda-range").input_value()) / STEPS
        assert abs(low + share * (high - low) - np.log(21.5)) < (high - low) / 700  # the thumb stands on the next step
        for bad in ("-3", "1e-300", "1e300", ""):
            number.fill(bad)
            assert number.get_attribute("aria-invalid") == "true"
            assert tab.locator("#lambda-hint").is_visible()
            assert tab.evaluate(_STATE)["lambda"] == 21.5
        number.fill("5")
        assert number.get_attribute("aria-invalid") is None
        assert not tab.locator("#lambda-hint").is_visible()


# -- who cannot see, or has no mouse -------------------------------------------------------------------------------


def test_slider_has_a_name_and_says_lambda(visit):
    with visit(CASES["diabetes"].page) as tab:
        slider = tab.get_by_role("slider", name="lambda")
        assert slider.count() == 1
        before = slider.get_attribute("aria-valuetext")
        slider.press("PageUp")
        after = slider.get_attribute("aria-valuetext")
        lam = tab.evaluate(_STATE)["lambda"]
        assert before != after
        np.testing.assert_allclose(float(after.removeprefix("lambda ")), lam, rtol=5.1e-3)


def test_arrow_moves_less_than_page_key_and_both_the_right_way(visit):
    with visit(CASES["diabetes"].page) as tab:
        slider = tab.locator("#lambda-range")
        steps = {}
        for key in ("ArrowRight", "ArrowUp", "PageUp", "ArrowLeft", "ArrowDown", "PageDown"):
            before = np.log(tab.evaluate(_STATE)["lambda"])
            slider.press(key)
            steps[key] = np.log(tab.evaluate(_STATE)["lambda"]) - before
        assert 0 < steps["ArrowUp"] < steps["PageUp"]
        assert 0 > steps["ArrowDown"] > steps["PageDown"]
        assert steps["ArrowRight"] > 0 > steps["ArrowLeft"]


def test_result_is_spoken_once_the_slider_rests(visit):
    with visit(CASES["diabetes"].page) as tab:
        tab.wait_for_timeout(700)
        live = tab.locator("#lambda-live")
        assert live.get_attribute("aria-live") == "polite"
        tab.evaluate("""() => {
          window.said = [];
          new MutationObserver(() => window.said.push(document.getElementById("lambda-live").textContent))
            .observe(document.getElementById("lambda-live"), { childList: true, characterData: true, subtree: true });
        }""")
        # five steps at once: on a busy machine keys come so far apart that the slider rests between them
        said_meanwhile = tab.evaluate("""() => {
          const range = document.getElementById("lambda-range");
          for (let k = 0; k < 5; k++) { range.stepUp(); range.dispatchEvent(new Event("input", { bubbles: true })); }
          return window.said.length;
        }""")
        assert said_meanwhile == 0
        tab.wait_for_timeout(900)
        said = tab.evaluate("window.said")
        assert len(said) == 1
        lam = tab.evaluate(_STATE)["lambda"]
        np.testing.assert_allclose(float(re.match(r"lambda (\S+):", said[0]).group(1)), lam, rtol=5.1e-3)


def test_every_control_is_reached_by_tab_and_shows_its_focus(visit):
    with visit(CASES["longley"].page) as tab:
        wanted = {"lambda-range", "lambda-number"}
        reached = set()
        for _ in range(120):
            tab.keyboard.press("Tab")
            found = tab.evaluate("""() => {
              const e = document.activeElement, style = getComputedStyle(e);
              const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
              return [e.id, e === document.body || shown];
            }""")
            assert found[1], found
            reached.add(found[0])
            if wanted <= reached:
                break
        assert wanted <= reached


_CONTRAST = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const kinds = "p,li,dt,dd,th,td,small,a,button,output,figcaption,h1,h2,h3,label,input[type=number],text,code,b";
  for (const e of document.querySelectorAll(kinds)) {
    if (!e.textContent.trim() && e.tagName !== "INPUT" || e.closest("noscript,.visually-hidden")) continue;
    const style = getComputedStyle(e);
    const front = parse(e.tagName === "text" ? style.fill : style.color);
    const [a, b] = [light(front), light(behind(e))].sort((p, q) => q - p);
    const ratio = (a + 0.05) / (b + 0.05);
    const name = `${e.tagName}.${e.className.baseVal ?? e.className}`;
    if (ratio < 4.5) bad.push(`${name}: ${ratio.toFixed(2)} ${e.textContent.slice(0, 30)}`);
  }
  return [...new Set(bad)];
}"""


@pytest.mark.parametrize(("name", "scheme"), [("diabetes", "dark"), ("wide", "light")])
def test_text_has_the_contrast_of_wcag_aa(visit, name, scheme):
    with visit(CASES[name].page, color_scheme=scheme) as tab:
        ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(int(v) for v in re.findall(r"\d+", ground)[:3]) > 3 * 128
        assert light == (scheme == "light")
        assert tab.evaluate(_CONTRAST) == []


# -- screens, paper, no script -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "width"),
    [("diabetes", 1200), ("wide", 320), ("wide", 768), ("hostile", 320), ("longley", 360), ("long names", 320),
     ("long names", 1200)],
)  # fmt: skip
def test_page_never_scrolls_sideways_and_tables_do(visit, name, width):
    with visit(CASES[name].page, viewport={"width": width, "height": 800}) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        boxes = tab.locator(".scroll")
        assert boxes.count() >= 3
        if width <= 360:
            assert tab.evaluate("[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)")
        # nothing that is not in such a box sticks out
        assert tab.evaluate("""width => [...document.querySelectorAll("p,h1,h2,h3,dl,figure,input,button,pre,math,ul")]
            .filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right > width + 0.5 && e.offsetParent)
            .map(e => e.outerHTML.slice(0, 80))""", width) == []  # fmt: skip


@pytest.mark.parametrize("width", [320, 390, 480, 768])
def test_no_table_is_squeezed_beside_a_picture(visit, width):
    with visit(CASES["diabetes"].page, viewport={"width": width, "height": 800}) as tab:
        wide = tab.evaluate("[...document.querySelectorAll('.scroll')].map(e => e.clientWidth)")
        assert min(wide) >= 200


@pytest.mark.parametrize("name", ["longley", "wide", "plane"])
def test_labels_in_pictures_do_not_overlap_and_are_not_cut(visit, name):
    with visit(CASES[name].page, viewport={"width": 360, "height": 800}) as tab:
        clashes = tab.evaluate("""() => {
          const found = [];
          for (const svg of document.querySelectorAll("svg.chart, svg.scale")) {
            const texts = [...svg.querySelectorAll("text")].filter((e) => e.textContent.trim());
            const boxes = texts.map((e) => e.getBoundingClientRect());
            boxes.forEach((a, i) => {
              if (a.left < 0 || a.right > innerWidth) found.push("cut: " + texts[i].textContent);
              boxes.slice(i + 1).forEach((b, k) => {
                const over = Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
                  Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
                if (over) found.push(`${texts[i].textContent} on ${texts[i + 1 + k].textContent}`);
              });
            });
          }
          return found;
        }""")
        assert clashes == []


@pytest.mark.parametrize("name", ["longley", "wide"])
def test_paper_has_no_controls_of_navigation_and_cuts_nothing_off(visit, name):
    # 180 mm, A4 less its margins; a reader of the dark theme prints on white paper all the same
    with visit(CASES[name].page, viewport={"width": 680, "height": 900}, color_scheme="dark") as tab:
        tab.emulate_media(media="print")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert tab.evaluate(_CONTRAST) == []
        assert tab.evaluate("""() => [...document.querySelectorAll("table, figure, math, pre, dl")]
            .filter(e => e.offsetParent && e.getBoundingClientRect().right > innerWidth + 0.5)
            .map(e => e.outerHTML.slice(0, 120))""") == []  # fmt: skip
        assert not tab.locator("nav").is_visible()
        assert not tab.locator(".jumps").is_visible()
        assert tab.locator("#coefficients table").is_visible()
        pages = len(re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A4")))
        assert 3 <= pages <= 14


def test_without_script_everything_but_the_slider_is_there(visit):
    with visit(CASES["diabetes"].page, java_script_enabled=False) as tab:
        assert tab.locator("noscript p").is_visible()
        assert tab.locator("#coefficients td").count() > 50
        assert not tab.locator("line.cursor").first.is_visible()
        assert tab.locator("svg.chart").count() >= 8


@pytest.mark.parametrize(("width", "height"), [(1366, 657), (360, 740)])
def test_bar_stays_in_view_and_a_rule_of_the_table_moves_it(visit, width, height):
    with visit(CASES["diabetes"].page, viewport={"width": width, "height": height}) as tab:
        for section in ("moves", "coefficients", "rules", "checks", "method"):
            tab.evaluate("id => document.getElementById(id).scrollIntoView({ behavior: 'instant' })", section)
            assert tab.evaluate(_SHOWN), section
            # and covers no more than a sixth of the screen, nor the title that was asked for
            bar, title = tab.locator(".bar").bounding_box(), tab.locator(f"#{section}-title").bounding_box()
            assert bar["height"] < height / 6
            assert title["y"] >= bar["y"] + bar["height"]
        before = {name: tab.locator(f".bar [data-out={name}]").text_content() for name in ("effectiveDof", "looRmse")}
        button = tab.locator("#rules button.link", has_text=re.compile("^1\\.8$"))
        button.click()
        assert tab.evaluate(_SHOWN)
        assert button.get_attribute("aria-pressed") == "true"
        assert tab.locator("button[data-jump][aria-pressed=true]").count() == 2  # in the table, and above the bar
        assert tab.locator(".bar [data-out=effectiveDof]").text_content() != before["effectiveDof"]
        assert float(tab.locator("#lambda-number").input_value()) == pytest.approx(1.83, abs=0.01)


@pytest.mark.parametrize("name", ["wide", "long names"])
def test_no_number_is_broken_over_lines_on_a_phone(visit, name):
    with visit(CASES[name].page, viewport={"width": 360, "height": 740}) as tab:
        broken = tab.evaluate("""() => {
          const found = [], words = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
          while (words.nextNode()) {
            if (words.currentNode.parentElement.closest("script, pre, code, noscript")) continue;
            for (const one of words.currentNode.textContent.matchAll(/(?<![\\w])[−+-]?\\d[\\d.e−%]*(?![\\w])/g)) {
              const range = document.createRange();
              range.setStart(words.currentNode, one.index);
              range.setEnd(words.currentNode, one.index + one[0].length);
              const boxes = [...range.getClientRects()].filter((r) => r.width > 0);
              const tops = new Set(boxes.map((r) => Math.round(r.top)));
              if (tops.size > 1) found.push(one[0]);
            }
          }
          return found;
        }""")
        assert broken == []


def test_forced_colours_keep_the_track_and_the_lines(visit):
    with visit(CASES["diabetes"].page, forced_colors="active", viewport={"width": 1366, "height": 657}) as tab:
        seen = tab.evaluate("""() => {
          const style = (name, pseudo) => getComputedStyle(document.querySelector(name), pseudo);
          return [style("#lambda-range", "::-webkit-slider-runnable-track").backgroundColor, style("path.line").stroke,
            style(".cursor").stroke, style("body").backgroundColor];
        }""")
        assert len(set(seen)) == 4  # all differ from the ground, and from each other
        assert tab.evaluate("getComputedStyle(document.querySelector('#lambda-range')).forcedColorAdjust") == "none"


@needs_axe
@pytest.mark.parametrize("options", [
    {"viewport": {"width": 1366, "height": 657}}, {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
    {"viewport": {"width": 1366, "height": 657}, "forced_colors": "active"},
])  # fmt: skip
def test_axe_finds_no_violation(visit, options):
    with visit(CASES["hostile"].page, **options) as tab:
        assert axe_violations(tab) == []


# -- safety --------------------------------------------------------------------------------------------------------


def test_hostile_names_are_text(visit):
    with visit(CASES["hostile"].page) as tab:
        assert tab.evaluate("window.pwned") is None
        heads = tab.locator("#coefficients tbody th").all_text_contents()
        assert heads == ["intercept", *HOSTILE]
        assert tab.locator("#moves tbody th").all_text_contents() == ["intercept", *HOSTILE]
        check_state(tab, CASES["hostile"].posterior)


def test_policy_stops_what_would_leave_the_page(browser, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(CASES["longley"].page, encoding="utf-8", newline="\n")
    tab = browser.new_page()
    tab.goto(file.as_uri())
    stopped = tab.evaluate("""async () => {
      const stopped = [];
      document.addEventListener("securitypolicyviolation", (e) => stopped.push(e.effectiveDirective));
      await fetch("http://127.0.0.1:9/").catch(() => 0);
      const image = new Image();
      image.src = "http://127.0.0.1:9/x.png";
      const script = document.createElement("script");
      script.textContent = "window.injected = 1";
      document.body.append(image, script);
      await new Promise((done) => setTimeout(done, 200));
      return stopped.sort();
    }""")
    assert stopped == ["connect-src", "img-src", "script-src-elem"]
    assert tab.evaluate("window.injected") is None
    tab.close()


@pytest.mark.slow  # a matter of speed
def test_many_columns_and_rows_stay_quick(visit):
    """A step of the slider is O(rank) for each number shown: less than a frame of the screen."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 200))
    post = posterior(X, X[:, :5].sum(axis=1) + rng.standard_normal(300))
    page = report_html(post, comparison=compare_lambda(post, rules=pick_rules(["reml"])))
    with visit(page) as tab:
        check_state(tab, post)
        took = tab.evaluate("""() => {
          const start = performance.now();
          for (let k = 0; k < 100; k++) window.bayesridge.at(1 + k);
          return (performance.now() - start) / 100;
        }""")
        assert took < 16.0
