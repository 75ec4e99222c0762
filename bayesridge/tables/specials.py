"""Terms with a grammar of their own: ``(1 | g)``, ``s(x)``, ``ridge(a, b)`` and ``offset(x)``, split off and read.

They are found among the summands of the right side by formulaic's tokenizer, which evaluates nothing, and read here;
what is left is an ordinary formula. The expressions inside them pass the same grammar as all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bayesridge.errors import FormulaError
from bayesridge.tables.columns import quoted_list
from bayesridge.tables.grammar import SPECIALS, Checker, parse_expression, read_expression

LONGEST = 50_000  # characters of a formula
_SMALLEST, _LARGEST = 5, 200  # basis functions of a smooth
_USUAL = 20


@dataclass(frozen=True)
class Effects:
    """A coefficient for each level of a factor, ``(1 | g)`` or ``(0 + x | g)``; several where they are correlated.

    Attributes
    ----------
    name : str
        Of its scale: ``g``, or ``x|g``.
    slopes : tuple of str
        Expressions; "1" is the level itself.
    by : tuple of str
        The columns whose combinations are the levels.
    """

    name: str
    slopes: tuple[str, ...]
    by: tuple[str, ...]


@dataclass(frozen=True)
class Smooth:
    """A smooth function of an expression, ``s(x, k=20)``, or one for each level of a factor, ``s(x, by=g)``."""

    name: str
    expression: str
    size: int
    by: str | None


@dataclass(frozen=True)
class Ridge:
    """Ordinary terms with a penalty of their own."""

    name: str
    terms: tuple[str, ...]


def take_specials(formula: Any, keys: Sequence[str]) -> tuple[Any, list[str]]:
    """Take the terms of some kinds out of a formula: what is left, and their texts.

    Only a summand of the right side is one: ``y ~ x + (1 | g)``. Whatever cannot be read is left for the parser of
    formulas to refuse.
    """
    if not isinstance(formula, str) or len(formula) > LONGEST:
        return formula, []
    from formulaic.errors import FormulaSyntaxError
    from formulaic.parser.algos.tokenize import tokenize

    try:
        tokens = list(tokenize(formula))
    except FormulaSyntaxError:
        return formula, []
    start = depth = 0
    sign, left = "", ""
    parts: list[tuple[str, str, str]] = []
    group: list[Any] = []
    for token in [*tokens, None]:
        level = token is not None and token.kind is token.Kind.OPERATOR and depth == 0
        if token is None or (level and token.token in ("+", "-", "~")):
            end = len(formula) if token is None else token.source_start
            if group or formula[start:end].strip():
                parts.append((sign, formula[start:end].strip(), _kind(group)))
            if token is None:
                break
            start, sign, group = token.source_end + 1, token.token, []
            if token.token == "~":
                left, sign, parts = formula[:start], "", []
            continue
        if token.kind is token.Kind.CONTEXT:
            depth += 1 if token.token in "([" else -1
        group.append(token)
    found = [text for sign, text, kind in parts if kind in keys and sign != "-"]
    if not found:
        return formula, []
    rest = [(sign, text) for sign, text, kind in parts if kind not in keys or sign == "-"]
    if not rest or rest[0][0] == "-":
        rest = [("", "1"), *rest]
    said = " ".join(f"{sign} {text}" for sign, text in rest).strip().removeprefix("+").strip()
    return f"{left} {said}".strip(), found


def _kind(tokens: Sequence[Any]) -> str:
    """Which special term the tokens of a summand are, "" for an ordinary one."""
    if len(tokens) == 1 and tokens[0].kind is tokens[0].Kind.PYTHON:
        name = re.match(r"(\w+)\(", tokens[0].token)
        return name.group(1) if name is not None and name.group(1) in SPECIALS else ""
    enclosed = len(tokens) > 2 and tokens[0].token == "(" and tokens[-1].token == ")"
    depths, bars = 0, 0
    for token in tokens:
        if token.kind is token.Kind.CONTEXT:
            depths += 1 if token.token in "([" else -1
            enclosed &= depths > 0 or token is tokens[-1]
        bars += depths == 1 and token.kind is token.Kind.OPERATOR and token.token in ("|", "||")
    return "|" if enclosed and bars else ""


def read_specials(texts: Iterable[str], columns: tuple[str, ...]) -> list[Effects | Smooth | Ridge]:
    """Read special terms, every expression checked against the grammar.

    Raises
    ------
    FormulaError
        If one cannot be read, or is there twice.
    """
    found: list[Effects | Smooth | Ridge] = []
    for text in texts:
        if text.startswith("("):
            found += _effects(text, columns)
        elif text.startswith("ridge("):
            terms, _ = _arguments(text, ())
            found.append(Ridge(f"ridge({', '.join(terms)})", tuple(terms)))
        else:
            found.append(_smooth(text, columns))
    names = [one.name for one in found]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise FormulaError(f"The formula has the same term twice: {quoted_list(twice)} has one penalty.")
    return found


def variables_of(term: Effects | Smooth) -> tuple[str, ...]:
    """The table's columns that a term reads."""
    if isinstance(term, Effects):
        expressions, by = [one for one in term.slopes if one != "1"], term.by
    else:
        expressions, by = [term.expression], () if term.by is None else (term.by,)
    checker = Checker(())
    for one in expressions:
        checker.check(parse_expression(one))
    return (*[name for name in sorted(checker.names) if name not in by], *by)


def _effects(text: str, columns: tuple[str, ...]) -> list[Effects]:
    inner, apart = text[1:-1], "||" in text
    sides = split_outside(inner, "||" if apart else "|")
    if len(sides) != 2 or not all(sides):
        raise _wrong(text, "one bar stands between what varies and the groups, as in (1 | shop)")
    slopes = split_outside(sides[0], "+")
    bare = "0" in slopes
    slopes = [one for one in slopes if one not in ("0", "1")]
    read = {one: read_expression(one, columns)[1] for one in slopes}
    for one, names in read.items():
        if not names:
            raise _wrong(text, f"{one!r} depends on no column")
    if not bare:
        slopes = ["1", *slopes]
    if not slopes or len(set(slopes)) < len(slopes):
        raise _wrong(text, "what varies by group is 1, a column, or several joined by +, each once")
    together = len(slopes) > 1 and not apart
    if together and len(slopes) > 2:
        raise _wrong(text, "two effects at most are correlated; || takes them as independent")
    nested = [
        [_column(name, text, columns) for name in split_outside(one, ":")] for one in split_outside(sides[1], "/")
    ]
    found: list[Effects] = []
    path: list[str] = []
    for level in nested:
        path = [*path, *[name for name in level if name not in path]]
        flat = [one for one, names in read.items() if names <= {*path}]
        if flat:
            raise _wrong(text, f"{flat[0]!r} is the same number in all rows of a level: what varies is another column")
        groups = ":".join(path)
        if together:
            found.append(Effects(groups, tuple(slopes), tuple(path)))
            continue
        found += [Effects(groups if one == "1" else f"{one}|{groups}", (one,), tuple(path)) for one in slopes]
    return found


def _smooth(text: str, columns: tuple[str, ...]) -> Smooth:
    given, options = _arguments(text, ("k", "by"))
    if len(given) != 1:
        raise _wrong(text, "a smooth is of one variable: s(x), s(x, k=40), s(x, by=group)")
    if not read_expression(given[0], columns)[1]:
        raise _wrong(text, "it depends on no column")
    size = options.get("k", str(_USUAL))
    if not re.fullmatch(r"[0-9]{1,4}", size) or not _SMALLEST <= int(size) <= _LARGEST:
        raise _wrong(text, f"k, the number of basis functions, is a whole number from {_SMALLEST} to {_LARGEST}")
    by = options.get("by")
    return Smooth(
        f"s({given[0]}{'' if by is None else f', by={by}'})", given[0], int(size),
        None if by is None else _column(by, text, columns),
    )  # fmt: skip


def _arguments(text: str, keywords: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """Arguments of a special call, as they are written."""
    given: list[str] = []
    options: dict[str, str] = {}
    for one in split_outside(text[text.index("(") + 1 : -1], ","):
        word = re.fullmatch(r"(\w+)\s*=(?!=)\s*(.*)", one, re.DOTALL)
        if word is None:
            given.append(one)
        elif word.group(1) in keywords and word.group(1) not in options:
            options[word.group(1)] = word.group(2)
        else:
            raise _wrong(text, f"it takes no {word.group(1)}= here")
    if not given or not all(given):
        raise _wrong(text, "it is of nothing")
    return given, options


def _column(name: str, text: str, columns: tuple[str, ...]) -> str:
    plain = name[1:-1] if len(name) > 2 and name[0] == name[-1] == "`" else name
    if plain not in columns:
        raise _wrong(text, f"{plain!r} is no column of the table, which has {quoted_list(columns)}")
    return plain


def split_outside(text: str, separator: str) -> list[str]:
    """Split a text where a separator stands outside brackets, quotes and backticks."""
    parts, depth, quote, start, k = [], 0, "", 0, 0
    while k < len(text):
        c = text[k]
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"`":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0 and text.startswith(separator, k):
            parts.append(text[start:k].strip())
            k = start = k + len(separator)
            continue
        k += 1
    return [*parts, text[start:].strip()]


def _wrong(text: str, why: str) -> FormulaError:
    return FormulaError(f"The formula cannot be used: it has the term {text[:200]!r}, and {why}.")
