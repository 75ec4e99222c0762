"""The report: one HTML page with everything in it, that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from bayesridge.atomic import write_atomically
from bayesridge.errors import DataError
from bayesridge.fit import one_lambda
from bayesridge.posteriors.posterior import Posterior
from bayesridge.posteriors.quantity import check_level
from bayesridge.posteriors.summary import describe_data
from bayesridge.reporting import back_matter
from bayesridge.reporting.answer_section import answer, predictions
from bayesridge.reporting.back_matter import Source
from bayesridge.reporting.checks import run_checks
from bayesridge.reporting.content import Content
from bayesridge.reporting.html import asset, data_script, template, text
from bayesridge.reporting.payload import slider_data, to_json
from bayesridge.reporting.slider_section import slider
from bayesridge.reporting.table_sections import coefficients, rules
from bayesridge.rules.comparison import LambdaComparison, compare_lambda


def report_html(
    post: Posterior,
    *,
    comparison: LambdaComparison | None = None,
    level: float = 0.95,
    random_state: int = 0,
    warnings: Sequence[str] | None = None,
    source: Source | None = None,
) -> str:
    """Write a posterior as a self-contained HTML page with a live lambda slider.

    Parameters
    ----------
    post : Posterior
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
        If `comparison` is of other data, or lambda is fixed at 0 or infinity, where there is no slider.
    """
    check_level(level)
    post = one_lambda(post)
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
    content = Content(post, comparison, data, level)
    cautions = back_matter.cautions(post) if warnings is None else warnings
    return _page(_parts(content, cautions, source or Source(), random_state))


def report(
    post: Posterior,
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
    post : Posterior
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


def _parts(content: Content, cautions: Sequence[str], source: Source, random_state: int) -> dict[str, str]:
    """Return the HTML of each place in the page."""
    post = content.posterior
    date = f" · <time>{text(source.date)}</time>" if source.date else ""
    return {
        "title": text(source.title or f"Ridge regression of {post.design.target_name}"),
        "subtitle": text(describe_data(post)) + date,
        "warnings": back_matter.warnings_box(cautions),
        "answer": answer(content),
        "slider": slider(content),
        "coefficients": coefficients(content),
        "rules": rules(content),
        "predictions": predictions(content),
        "diagnostics": back_matter.diagnostics(run_checks(post, random_state)),
        "data_and_model": back_matter.data_and_model(post),
        "method": back_matter.method(post),
        "reproduce": back_matter.reproduce(post, source, random_state),
        "payload": data_script("slider-data", to_json(content.data)),
    }


def _page(parts: dict[str, str]) -> str:
    style, *scripts = [asset(name) for name in ("style.css", "slider.js", "decay.js")]
    # only these very texts may style the page or run in it; nothing may be fetched, framed, or sent
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {' '.join([_hash(one) for one in scripts])}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    blocks = "".join([f"<script>{one}</script>\n" for one in scripts])
    return template("page.html", **parts, policy=policy, style=style, scripts=blocks)


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
