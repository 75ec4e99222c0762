"""What a formula names: its terms, the columns each reads, and names that are nothing."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable
from typing import Any

from bayesridge.errors import DataError

_BUILTINS = {"abs", "bool", "float", "int", "len", "list", "max", "min", "pow", "range", "round", "str", "sum"}
_SHOWN = 20  # names or categories an error lists


def is_intercept(term: Any) -> bool:
    """Say whether a term is the intercept."""
    # formulaic names its column "Intercept" and the term "1", and so may a column of the table be named.
    return bool(term.degree == 0)


def plain_message(error: Exception) -> str:
    """Return formulaic's message on one line, its colours as plain marks."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).replace("⧛", ">>").replace("⧚", "<<")
    return re.sub(r"\s*\n\s*", " ", text).strip() or type(error).__name__


def parse_formula(formula: str, columns: tuple[str, ...]) -> tuple[Any, Any, dict[str, tuple[str, ...]]]:
    """Return left side (or None), right side, and the columns of the table that each term uses."""
    from formulaic import Formula, SimpleFormula

    if not isinstance(formula, str):
        raise DataError(f"A formula is a string such as 'y ~ x + C(group)', not {type(formula).__name__}.")
    if re.search(r"`[\d.]+`", formula):
        raise DataError(f"The formula {formula!r} names a number in backticks, which means 1: rename that column.")

    def parse(available: Iterable[str]) -> tuple[Any, Any]:
        context = {"__formulaic_variables_available__": list(available)}  # what `.` stands for
        try:
            parsed = Formula(formula, _context=context)
        except Exception as error:  # Python's parser and formulaic's raise many kinds
            raise DataError(f"The formula {formula!r} cannot be read: {plain_message(error)}") from error
        sides = (None, parsed) if isinstance(parsed, SimpleFormula) else (parsed.lhs, parsed.rhs)
        if not all(side is None or isinstance(side, SimpleFormula) for side in sides):
            raise DataError(
                f"The formula {formula!r} has several parts; write one target ~ terms joined by +. "
                "(There is no '|': a group of coefficients shrunk together is C(group) itself.)"
            )
        return sides

    left, right = parse(columns)
    if left is not None:
        # formulaic overlooks the target inside a transform, center(y) ~ ., and would predict it from itself.
        targets = {name for term in left for name in uses(term, columns, formula)}
        left, right = parse(name for name in columns if name not in targets)
        if len(left) != 1:
            raise DataError(f"The formula {formula!r} must have one target, and has {quoted_list(map(str, left))}.")
        if str(left[0]) in map(str, right):
            raise DataError(f"The target '{left[0]}' is among its own predictors in {formula!r}.")
    if all(is_intercept(term) for term in right):
        raise DataError(f"The formula {formula!r} has no predictors: 0 feature(s) while a minimum of 1 is required.")
    return left, right, {str(term): uses(term, columns, formula) for term in [*(left or ()), *right]}


def uses(term: Any, columns: tuple[str, ...], formula: str) -> tuple[str, ...]:
    """Return the columns of the table that a term reads; refuse names that are nothing."""
    from formulaic.transforms import TRANSFORMS

    used: list[str] = []
    for factor in term.factors:
        method = factor.eval_method.value
        if method == "literal":
            continue
        values, functions = ({factor.expr}, set()) if method == "lookup" else _names_in(factor.expr, formula)
        provided = set() if method == "lookup" else {*TRANSFORMS, *_BUILTINS}
        unknown = sorted(values - set(columns) - provided)
        if unknown:
            near = [m for name in unknown for m in difflib.get_close_matches(name, columns, n=1)]
            raise DataError(
                f"The formula {formula!r} names what the table does not have: {quoted_list(unknown)}. "
                + (f"Did you mean {quoted_list(near)}? " if near else "")
                + f"The table has: {quoted_list(columns)}. (Odd names stand in `backticks`, expressions in {{braces}}.)"
            )
        unknown = sorted(functions - provided - set(columns))
        if unknown:
            usual = sorted(name for name in TRANSFORMS if name[0].islower())
            raise DataError(
                f"The formula {formula!r} calls functions that do not exist here: {quoted_list(unknown)}. "
                f"There are: {quoted_list(usual, quote=False, shown=99)}, and all of numpy as np, e.g. np.sqrt(x)."
            )
        used += [name for name in columns if name in values]
    return tuple(dict.fromkeys(used))


def _names_in(expr: str, formula: str) -> tuple[set[str], set[str]]:
    """Return the names an expression reads, and those it only calls."""
    from formulaic.utils.code import sanitize_variable_names

    aliases: dict[str, str] = {}
    try:
        tree = ast.parse(sanitize_variable_names(expr, {}, aliases), mode="eval")
    except SyntaxError as error:
        raise DataError(f"The formula {formula!r} cannot be read: {expr!r} is not valid Python.") from error
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    local = {node.arg for node in nodes if isinstance(node, ast.arg)}
    local |= {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    names = [node for node in nodes if isinstance(node, ast.Name) and node.id not in local]
    values = {aliases.get(node.id, node.id) for node in names if id(node) not in called}
    for node in nodes:  # Q("my column") is patsy's way to quote
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Q":
            values |= {str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)}
    return values, {node.id for node in names if id(node) in called} - values


def quoted_list(names: Iterable[str], *, quote: bool = True, shown: int = _SHOWN) -> str:
    """List names, the first few of them."""
    items = [f"'{name}'" if quote else name for name in names]
    return ", ".join(items[:shown]) + (f" and {len(items) - shown} more" if len(items) > shown else "")
