"""The report: one HTML page with everything in it, that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.atomic import write_atomically
from bayesridge.errors import DataError
from bayesridge.fit import one_lambda
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.contract import AnyPosterior, require_posterior
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level
from bayesridge.posteriors.summary import describe_data
from bayesridge.reporting import back_matter, path_section, scales_section
from bayesridge.reporting.answer_section import answer, predictions
from bayesridge.reporting.back_matter import Source
from bayesridge.reporting.checks import run_checks
from bayesridge.reporting.content import Content, LambdaContent, own_columns
from bayesridge.reporting.html import asset, data_script, template, text
from bayesridge.reporting.path_section import PathContent
from bayesridge.reporting.payload import MOST_COLUMNS, certain_columns, slider_data, to_json
from bayesridge.reporting.slider_section import bar, moves, turn
from bayesridge.reporting.table_sections import coefficients, rules
from bayesridge.rules.comparison import LambdaComparison, compare_lambda

#: Identity, name in the navigation ("" for none), title, and HTML.
Section = tuple[str, str, str, str]
_NONE = "'none'"


def report_html(
    post: AnyPosterior,
    *,
    comparison: LambdaComparison | None = None,
    level: float = 0.95,
    random_state: int = 0,
    warnings: Sequence[str] | None = None,
    source: Source | None = None,
) -> str:
    """Write a posterior as a self-contained HTML page, of ridge with one lambda with a live slider.

    Parameters
    ----------
    post : AnyPosterior
        Where it is not of one lambda and normal noise (counts, groups, sampled), what needs these is not on the page,
        which says so.
    comparison : LambdaComparison, optional
        Of the rules for lambda on the same posterior; made here if left out.
    level : float
        Of the equal-tailed intervals.
    random_state : int
        Seed of the simulations behind the checks.
    warnings : sequence of str, optional
        Shown at the top of the page. The command passes those of the fit; if left out, what the posterior itself
        says of its data (constant target or columns, perfect fit, no signal, lambda plugged in).
    source : Source, optional
        Title, date, and how to make the page again.

    Returns
    -------
    str
        The page. The same input gives the same text.

    Raises
    ------
    DataError
        If `comparison` is of other data, or given where there is not one lambda, or lambda is fixed at 0 or infinity,
        where there is no slider.
    """
    require_posterior(post, "a report")
    check_level(level)
    generator(random_state)  # here, or each check that takes it would be said to be impossible
    source = source or Source()
    try:
        one = one_lambda(post)
    except DataError as why:
        path = _path(post, comparison, level)
        if comparison is not None and path is None:
            raise
        return _page(*_general_parts(post, level, warnings, source, str(why), path, random_state))
    return _page(*_lambda_parts(one, comparison, level, warnings, source, random_state))


def _lambda_parts(
    post: Posterior, comparison: LambdaComparison | None, level: float, warnings: Sequence[str] | None, source: Source,
    random_state: int,
) -> tuple[dict[str, str], list[Section]]:  # fmt: skip
    """Return the head of the page with what the slider needs, and its sections, of ridge with one lambda."""
    if not 0.0 < post.lambda_.median < float("inf"):
        raise DataError(
            f"the report's slider is over the logarithm of lambda, and lambda is {post.lambda_.median:g} here; "
            "fit with a prior for lambda, or fix a positive one"
        )
    if comparison is None:
        comparison = compare_lambda(post, level=level, progress=False)
    elif comparison.problem.design is not post.design:
        raise DataError("the comparison of rules belongs to another fit: make it from the same posterior")
    data = slider_data(post, [row.lam for row in comparison.rows if row.available and row.key != "posterior"])
    content = LambdaContent(post, level, data.columns, comparison, data)
    python = back_matter.generic_python(post, random_state)
    seed = f"; seed {random_state} for the simulations of the checks, all else is exact"
    sections = [
        ("answer", "Answer", "The answer", answer(content)),
        ("slider", "Turn λ", "Turn λ yourself", turn(content)),
        ("moves", "", "What follows λ", moves(content)),
        ("coefficients", "Coefficients", "Coefficients", coefficients(content)),
        ("rules", "Which λ", "Which λ do the usual rules choose?", rules(content)),
        ("predictions", "Predictions", "How well does it predict?", predictions(content)),
        ("checks", "Checks", "Can it be trusted?", back_matter.diagnostics(run_checks(post, random_state))),
        ("data", "", "Data and model", back_matter.data_and_model(content)),
        ("method", "Method", "Method", back_matter.method(post)),
        ("reproduce", "", "How to make this page again", back_matter.reproduce(source, python, seed)),
    ]
    cautions = back_matter.cautions(post) if warnings is None else warnings
    head = {**_head(post, cautions, source), "payload": data_script("slider-data", to_json(data, level))}
    return {**head, "bar": bar(content), "script": "slider.js"}, sections


def _general_parts(
    post: Any,
    level: float,
    warnings: Sequence[str] | None,
    source: Source,
    why: str,
    path: PathContent | None,
    random_state: int,
) -> tuple[dict[str, str], list[Section]]:
    """Return the same of any other posterior: what it offers, without a slider."""
    content = path or Content(post, level, _own_columns(post))
    about = f"# {describe_data(post)}\n# prior: {content.prior}\n"
    python = f'from bayesridge import report\n\n{about}report(post, "report.html")\n'
    terms, computed = scales_section.terms(content), scales_section.computation(content)
    if path is None:  # whose checks have the picture
        computed += scales_section.calibration(content)
    sections = [
        ("answer", "Answer", "The answer", scales_section.answer(content, "" if path else why)),
        *([] if path is None else path_section.sections(path, random_state)),
        ("coefficients", "Coefficients", "Coefficients", coefficients(content)),
        *([("terms", "Terms", "What is each term worth?", terms)] if terms else []),
        ("scales", "Scales", "Scales", scales_section.scales(content)),
        ("predictions", "Predictions", "How well does it predict?", predictions(content)),
        ("checks", "Computation", "How was it computed, and how exactly?", computed),
        ("data", "Data", "Data and model", back_matter.data_and_model(content)),
        ("reproduce", "", "How to make this page again", back_matter.reproduce(source, python, "")),
    ]
    cautions = scales_section.cautions(post) if warnings is None else warnings
    head = _head(post, cautions, source)
    if path is not None:
        head |= {"payload": path.payload(), "bar": path_section.bar(path), "script": "path.js"}
    return head, sections


def _own_columns(post: Any) -> NDArray[np.intp]:
    """Columns with a row in the table of coefficients; effects of levels and bases of curves have a section."""
    own = own_columns(post.design)
    return own if len(own) <= MOST_COLUMNS else np.intersect1d(certain_columns(post), own)


def _path(post: Any, comparison: LambdaComparison | None, level: float) -> PathContent | None:
    """What a slider over penalised fits is made from, of a posterior that has curves over lambda."""
    if not post.has_curves:
        return None
    try:
        compared = comparison or compare_lambda(post, level=level, progress=False)
        if compared.problem.design is not post.design:
            raise DataError("the comparison of rules belongs to another fit: make it from the same posterior")
        return PathContent(post, level, certain_columns(post), compared)
    except DataError:
        if comparison is not None:
            raise
        return None


def report(
    post: AnyPosterior,
    path: str | Path,
    *,
    comparison: LambdaComparison | None = None,
    level: float = 0.95,
    random_state: int = 0,
    warnings: Sequence[str] | None = None,
    source: Source | None = None,
) -> Path:
    """Write :func:`report_html` to a file, in UTF-8; where that fails, what was there before stays.

    Parameters
    ----------
    post : AnyPosterior
    path : str or Path
    comparison, level, random_state, warnings, source
        As for :func:`report_html`.

    Returns
    -------
    Path
        Of the file written.
    """
    page = report_html(
        post, comparison=comparison, level=level, random_state=random_state, warnings=warnings, source=source
    )
    return write_atomically(path, page)


def _head(post: Posterior, cautions: Sequence[str], source: Source) -> dict[str, str]:
    """Return the HTML of what stands above the sections."""
    date = f" · <time>{text(source.date)}</time>" if source.date else ""
    return {
        "title": text(source.title or f"Ridge regression of {post.design.target_name}"),
        "subtitle": text(describe_data(post)) + date,
        "warnings": back_matter.warnings_box(cautions),
        "payload": "",
        "script": "",
        "bar": "",
    }


def _page(head: dict[str, str], sections: Sequence[Section]) -> str:
    style = asset("style.css")
    scripts = [asset(head["script"])] if head["script"] else []
    # only these very texts may style the page or run in it; nothing may be fetched, framed, or sent
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts)) or _NONE}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    blocks = "".join([f"<script>{one}</script>\n" for one in scripts])
    nav = "".join([f'<li><a href="#{key}">{short}</a></li>\n' for key, short, _, _ in sections if short])
    bodies = "".join(
        [
            f'<section id="{key}" aria-labelledby="{key}-title">\n<h2 id="{key}-title">{title}</h2>\n{body}\n'
            "</section>\n" + (head["bar"] if key == "slider" else "")  # in main itself, so that it stays in view
            for key, _, title, body in sections
        ]
    )
    return template("page.html", **head, nav=nav, sections=bodies, policy=policy, style=style, scripts=blocks)


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
