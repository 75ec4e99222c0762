"""Formulas as MathML: browsers set them themselves, offline, with no script and no font to fetch.

latex2mathml translates TeX; here it is offered to Sphinx as a math renderer, with the spacing of names and bars put
right. Formulas with a command that it does not know become warnings, which the build turns into errors.
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)

#: What the translator reads amiss, and what it reads well instead.
_SPELLING = {"aligned}": "align*}", r"\Bigl\{": r"\left\{", r"\Bigr\}": r"\right\}"}
_CHARACTERS = {
    "&#x027C2;": "&#x022A5;",
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    "<mo>&#x0007E;</mo>": "<mo>&#x0223C;</mo>",
}

_THIN = '<mspace width="0.167em" />'
_NAME = r"<mi>(?:[A-Za-z]{2,})</mi>"
_OPEN = r"(?:<mo[^>]*>(?:&#x00028;|\()|<mo[^>]*>\[|</)"


def to_mathml(text: str, *, block: bool) -> str:
    """Translate a formula.

    Raises
    ------
    ValueError
        If it has a command that is not known.
    """
    text = " ".join(text.split())
    if block and r"\\" in text and r"\begin{" not in text:
        text = rf"\begin{{align*}}{text}\end{{align*}}"
    for written, read in _SPELLING.items():
        text = text.replace(written, read)
    found = convert(text, display="block" if block else "inline")
    unknown = re.search(r"\\[A-Za-z{}]+|<mi>&</mi>|linebreak", found)
    if unknown:
        raise ValueError(f"not understood: {unknown[0]}")
    # log, det, diag: names, with a thin space to a letter or number on either side and none to a parenthesis
    found = re.sub(r"<mo(?: movablelimits=\"true\")?>([A-Za-z]{2,})</mo>", r"<mi>\1</mi>", found)
    found = re.sub(rf"({_NAME})(?!{_OPEN})", rf"\1{_THIN}", found)
    found = re.sub(rf"((?:</mi>|</mn>|</mfrac>|</msup>|</msub>|</msubsup>))({_NAME})", rf"\1{_THIN}\2", found)
    # norms: bars are brackets, not relations
    found = re.sub(r"<mo>(&#x0007C;|&#x02016;)</mo>", r'<mo lspace="0" rspace="0" stretchy="false">\1</mo>', found)
    for written, read in _CHARACTERS.items():
        found = found.replace(written, read)
    return found


def _render(node: nodes.Element, *, block: bool) -> str:
    try:
        return to_mathml(node.astext(), block=block)
    except Exception as error:  # noqa: BLE001 -- whatever the translator raises, the page and the formula are named
        logger.warning("formula %r: %s", node.astext(), error, location=node, type="mathml")
        return f"<code>{html.escape(node.astext())}</code>"


def visit_inline(self: Any, node: nodes.math) -> None:
    self.body.append(_render(node, block=False))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(_render(node, block=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
