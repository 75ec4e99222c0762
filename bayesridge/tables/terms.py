"""A formula split into its terms: formulaic's parser, behind a check of all that it would see."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from bayesridge.errors import DataError, FormulaError
from bayesridge.tables.columns import quoted_list
from bayesridge.tables.grammar import SPECIALS, Checker, parse_expression, read_expression
from bayesridge.tables.specials import LONGEST, Effects, Ridge, Smooth, read_specials, take_specials, variables_of

_HIGHEST = 20  # power of terms, (a + b) ** 2
_MOST_WORK = 3_000_000  # of expanding terms; some microseconds each


class Parsed(NamedTuple):
    """A formula split into its terms.

    Attributes
    ----------
    left, right : formulaic.SimpleFormula or None, formulaic.SimpleFormula
        The target, None where there is none, and the ordinary predictors.
    uses : dict of str to tuple of str
        Which columns of the table each of these terms reads.
    specials : tuple of Effects and Smooth
    ridges : dict of str to tuple of str
        The terms of each ``ridge(a, b)``, which are among those of the right side.
    """

    left: Any
    right: Any
    uses: dict[str, tuple[str, ...]]
    specials: tuple[Effects | Smooth, ...]
    ridges: dict[str, tuple[str, ...]]


def parse_formula(formula: str, columns: tuple[str, ...]) -> Parsed:
    """Check a formula and split it into terms.

    Parameters
    ----------
    formula : str
    columns : tuple of str
        The table's.

    Raises
    ------
    FormulaError
        If it cannot be read, or holds anything that is not in this grammar.
    """
    from formulaic import Formula, SimpleFormula

    shown = _check_text(formula)
    ordinary, texts = take_specials(formula, ("|", "s", "ridge"))
    found = read_specials(texts, columns)
    specials = tuple([one for one in found if not isinstance(one, Ridge)])
    taken = {name for one in specials for name in variables_of(one)}
    written = {one.name: " + ".join(["0", *one.terms]) for one in found if isinstance(one, Ridge)}
    for part in (ordinary, *written.values()):
        _check(part, columns, shown)

    def parse(text: str, available: Iterable[str]) -> tuple[Any, Any]:
        context = {"__formulaic_variables_available__": list(available)}  # what `.` stands for
        try:
            parsed = Formula(text, _context=context)
        except Exception as error:  # formulaic's parser raises many kinds
            raise FormulaError(f"The formula {shown} cannot be read: {plain_message(error)}") from error
        sides = (None, parsed) if isinstance(parsed, SimpleFormula) else (None, None)
        if hasattr(parsed, "rhs"):  # without a target, parts are a tuple of which nothing has a side
            sides = parsed.lhs, parsed.rhs
        if sides[1] is None or not all(side is None or isinstance(side, SimpleFormula) for side in sides):
            raise FormulaError(
                f"The formula {shown} has several parts; write one target ~ terms joined by +. "
                "(A bar stands within brackets, as in (1 | group).)"
            )
        return sides

    free = [name for name in columns if name not in taken]
    left, right = parse(ordinary, free)
    if left is not None:
        # formulaic overlooks the target inside a transform, center(y) ~ ., and would predict it from itself.
        targets = {name for term in left for name in _uses(term, columns)}
        free = [name for name in free if name not in targets]
        left, right = parse(ordinary, free)
        if len(left) != 1:
            raise FormulaError(f"The formula {shown} must have one target, and has {quoted_list(map(str, left))}.")
        if str(left[0]) in map(str, right):
            raise FormulaError(f"The target '{left[0]}' is among its own predictors in {shown}.")
    ridges = {name: tuple(map(str, parse(text, free)[1])) for name, text in written.items()}
    named = [*map(str, right), *[term for terms in ridges.values() for term in terms]]
    twice = [term for term in dict.fromkeys(named) if named.count(term) > 1]
    if ridges and twice:
        raise FormulaError(f"The formula {shown} has {quoted_list(twice)} twice: a term has one penalty.")
    if ridges:
        joined = " + ".join([ordinary, *[text.removeprefix("0 + ") for text in written.values()]])
        left, right = parse(joined, free)
    if not specials and all(is_intercept(term) for term in right):
        raise FormulaError(f"The formula {shown} has no predictors: 0 feature(s) while a minimum of 1 is required.")
    return Parsed(left, right, {str(term): _uses(term, columns) for term in [*(left or ()), *right]}, specials, ridges)


def one_offset(formula: Any, offset: Any) -> tuple[Any, Any]:
    """Take the term ``offset(expression)`` out of a formula; return the rest, and the expression or what was passed.

    Raises
    ------
    DataError
        If there are several.
    """
    rest, found = take_specials(formula, ("offset",))
    if len(found) > 1:
        raise FormulaError(f"The formula has the offsets {' and '.join(found)}: add them up in one.")
    if found and offset is not None:
        raise DataError(f"the formula has {found[0]} and offset was passed too: leave one out")
    return rest, found[0][len("offset(") : -1] if found else offset


def is_intercept(term: Any) -> bool:
    """Say whether a term is the intercept."""
    # formulaic names its column "Intercept" and the term "1", and so may a column of the table be named.
    return bool(term.degree == 0)


def plain_message(error: Exception) -> str:
    """Return formulaic's message on one line, its colours as plain marks."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).replace("⧛", ">>").replace("⧚", "<<")
    return re.sub(r"\s*\n\s*", " ", text).strip() or type(error).__name__


def _uses(term: Any, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of the table that a term reads."""
    used: list[str] = []
    for factor in term.factors:
        if factor.eval_method.value == "lookup":
            used.append(factor.expr)
        elif factor.eval_method.value == "python":
            found = read_expression(factor.expr, columns)[1]
            used += [name for name in columns if name in found]
    return tuple(dict.fromkeys(used))


def _check_text(formula: str) -> str:
    """Refuse a formula that is no text, too long, or holds characters that none may; return it as messages show it."""
    if not isinstance(formula, str):
        raise FormulaError(f"A formula is a string such as 'y ~ x + C(group)', not {type(formula).__name__}.")
    shown = repr(formula if len(formula) <= 500 else formula[:200] + "...")
    if len(formula) > LONGEST:
        raise FormulaError(f"The formula {shown} has {len(formula)} characters, more than {LONGEST}.")
    strange = sorted({repr(c) for c in formula if unicodedata.category(c) in ("Cc", "Cs") and not c.isspace()})
    if strange:
        raise FormulaError(f"The formula {shown} contains control characters: {', '.join(strange[:20])}.")
    if re.search(r"`[\d.]+`", formula):
        raise FormulaError(f"The formula {shown} names a number in backticks, which means 1: rename that column.")
    return shown


def _check(formula: str, columns: tuple[str, ...], shown: str) -> None:
    """Refuse what no formula may say; its special terms are taken out already."""
    from formulaic.errors import FormulaSyntaxError
    from formulaic.parser import DefaultFormulaParser
    from formulaic.parser.algos.sanitize_tokens import sanitize_python_code
    from formulaic.parser.algos.tokenize import tokenize

    checker = Checker(columns)
    try:
        tokens = list(tokenize(formula))  # formulaic's own, which evaluates nothing: what it will see is what we see
        _refuse_groups(tokens, formula, shown)
        for token in tokens:
            if token.kind is token.Kind.PYTHON:
                _refuse_special_call(token.token, shown)
                checker.check(parse_expression(token.token))
                checker.check(
                    parse_expression(sanitize_python_code(token.token))
                )  # what formulaic makes of it, and keeps
            elif token.kind is token.Kind.NAME and token.token != ".":
                checker.names.add(token.token)
        checker.refuse_unknown(f"The formula {shown}")
        tree = DefaultFormulaParser().parse(
            formula, target="ast", context={"__formulaic_variables_available__": list(columns)}
        )
    except FormulaSyntaxError as error:
        raise FormulaError(f"The formula {shown} cannot be read: {plain_message(error)}") from error
    if _work(tree, len(columns)) > _MOST_WORK:
        raise FormulaError(f"The formula {shown} has too many terms: write out those that matter, or use no formula.")


def _refuse_groups(tokens: list[Any], formula: str, shown: str) -> None:
    """Find ``(x | g)`` where it is no summand, a bar within brackets; and brackets that do not match."""
    opened: list[Any] = []
    bar = False
    for token in tokens:
        if token.kind is token.Kind.CONTEXT and token.token in "([":
            opened.append(token)
        elif token.kind is token.Kind.CONTEXT and opened:
            start = opened.pop()
            within = formula[start.source_start : token.source_end + 1]
            if start.token + token.token not in ("()", "[]"):
                raise FormulaError(f"The formula {shown} cannot be read: the brackets of {within!r} do not match.")
            if bar:
                _refuse_special("|", within, shown)
        elif token.kind is token.Kind.OPERATOR and "|" in token.token and opened:
            bar = True


def _refuse_special_call(text: str, shown: str) -> None:
    """Find ``s(x)`` and its like where they are no summands, whatever they hold."""
    name = re.match(r"\w+", text)
    if name is not None and name.group() in SPECIALS and text[name.end() :].startswith("("):
        _refuse_special(name.group(), text, shown)


def _refuse_special(key: str, text: str, shown: str) -> NoReturn:
    raise FormulaError(
        f"The formula {shown} has {text[:200]!r}: {SPECIALS[key]} is a term of its own, which + joins to others."
    )


def _work(tree: Any, n_columns: int) -> float:
    """Bound the work of expanding a formula: the sizes of its sets of terms, from the leaves up."""
    order, todo = [], [tree]
    while todo:
        node = todo.pop()
        order.append(node)
        todo += getattr(node, "args", ())
    size: dict[int, float] = {}
    work = 0.0
    for node in reversed(order):
        parts = [size[id(arg)] for arg in getattr(node, "args", ())]
        symbol = node.operator.symbol if hasattr(node, "args") else None
        product = 0.0
        if symbol is None:
            made = 1.0
        elif symbol == ".":
            made = float(n_columns)
        elif symbol in ("**", "^"):
            text = str(node.args[1])
            times = int(text) if re.fullmatch(r"[0-9]{1,2}", text) else _HIGHEST + 1
            made = min(parts[0], 1e9) ** times if times <= _HIGHEST else math.inf
            product = made * times
        elif symbol in ("*", ":"):
            product = math.prod(parts)
            made = product + (sum(parts) if symbol == "*" else 0.0)
        else:
            made = sum(parts)
        size[id(node)] = made
        work += made + 120.0 * product
    return work
