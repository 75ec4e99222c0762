"""The grammar of formulas: everything that may stand in one is listed here.

Whoever writes a formula may be a stranger (a shared command, a saved model), and Python could run whatever it says.
So nothing is handed to ``eval``: an expression is a syntax tree of listed nodes only (names of the table's columns,
numbers, arithmetic, comparisons, the calls in `CALLS` and `NUMPY`), checked before formulaic sees the formula, and
computed node by node in `formula_columns`. Lengths, depths, powers and numbers of columns are bounded.

Terms with a grammar of their own, such as ``(1 | group)``, are listed in `SPECIALS`, read by `specials`, and never
reach formulaic.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bayesridge.errors import FormulaError
from bayesridge.tables.columns import quoted_list

_LONGEST = 2_000  # characters of an expression
_DEEPEST = 40  # nodes inside one another
_LARGEST = 2**62  # of a number: what numpy computes stays within 64 bits
_MOST_COLUMNS = 1_000  # of one spline or polynomial


#: How each term that is no column of numbers is written.
SPECIALS: Mapping[str, str] = {"|": "(1 | g)", "s": "s(x)", "ridge": "ridge(a, b)", "offset": "offset(x)"}


@dataclass(frozen=True)
class Call:
    """What a call takes, beside one first argument with values of the table's rows."""

    most: int = 1  # arguments without a keyword
    keywords: frozenset[str] = frozenset()
    words: bool = False  # text and lists, beyond the first argument
    codings: bool = False  # contr.sum and its like
    sized: bool = False  # the second argument, df, degree and levels say how many columns there will be
    learns: bool = False  # keeps what it learnt from the rows of the fit


def _call(most: int, keywords: str = "", **what: bool) -> Call:
    return Call(most, frozenset(keywords.split()), **what)


_BASIS = "df knots degree include_intercept lower_bound upper_bound extrapolation"
_CUBIC = _call(2, "df knots lower_bound upper_bound constraints extrapolation", words=True, sized=True, learns=True)
CALLS: Mapping[str, Call] = {
    **dict.fromkeys(("I", "Q", "abs", "exp", "exp2", "log", "log10", "log2"), Call()),
    "C": _call(2, "contrasts levels spans_intercept", words=True, codings=True),
    "bs": _call(2, _BASIS, words=True, sized=True, learns=True),
    **dict.fromkeys(("cc", "cr", "cs"), _CUBIC),
    "center": _call(1, learns=True),
    "hashed": _call(2, "levels spans_intercept", sized=True),
    "lag": _call(2, "offset"),
    "poly": _call(2, "degree raw", sized=True, learns=True),
    "round": _call(2, "ndigits"),
    "scale": _call(4, "center scale ddof", learns=True),
    "standardize": _call(4, "center rescale ddof", learns=True),
}
_NUMPY_OF_ONE = """abs absolute arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil cos cosh deg2rad degrees exp exp2
    expm1 fabs floor log log10 log1p log2 logical_not negative rad2deg radians reciprocal rint sign sin sinh sqrt square
    tan tanh trunc"""
_NUMPY_OF_TWO = """arctan2 copysign float_power floor_divide fmax fmin fmod heaviside hypot logaddexp logical_and
    logical_or logical_xor maximum minimum mod power remainder"""
NUMPY: Mapping[str, Call] = {
    # Functions of one row alone: np.mean(x) would be another number for each table.
    **dict.fromkeys(_NUMPY_OF_ONE.split(), Call()),
    **dict.fromkeys(_NUMPY_OF_TWO.split(), Call(2)),
    **dict.fromkeys(("around", "round"), _call(2, "decimals")),
    "clip": Call(3),
    "digitize": Call(2, words=True),
    "where": Call(3, words=True),
}
NUMPY_CONSTANTS = {"e", "pi"}
PATSY_CODINGS = {"Diff", "Helmert", "Poly", "Sum", "Treatment"}
CONTR = {"SAS", "custom", "diff", "helmert", "poly", "sum", "treatment"}  # contr.sum and so on
_CODING_WORDS = {"backward", "base", "contrasts", "drop", "names", "reference", "reverse", "scale", "scores"}
_DATES = {"day", "dayofweek", "dayofyear", "hour", "minute", "month", "quarter", "second", "weekday", "year"}  # day.dt
UNARY: Mapping[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert,
}  # fmt: skip
BINARY: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip
COMPARE: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_ADVICE: Mapping[type[object], str] = {
    ast.BoolOp: "write (a > 1) & (b > 1), with | for or and ~ for not",
    ast.IfExp: "write np.where(condition, a, b)",
    ast.Not: "write ~(a > 1)",
    ast.Dict: "write contr.custom([[...], ...])",
}


def read_expression(text: str, columns: Iterable[str]) -> tuple[ast.expr, set[str]]:
    """Read an expression and check every node of it.

    Parameters
    ----------
    text : str
        Names of columns that are no names of Python stand in backticks.
    columns : iterable of str
        The names there are.

    Returns
    -------
    tree : ast.expr
        With the columns' own names, without backticks.
    names : set of str
        The columns it reads.

    Raises
    ------
    FormulaError
        If anything in it is not listed.
    """
    tree, checker = parse_expression(text), Checker(columns)
    checker.check(tree)
    checker.refuse_unknown(f"The expression {text[:200]!r}")
    return tree, checker.names


def parse_expression(text: str) -> ast.expr:
    """Parse an expression, backticks resolved; refuse what is no Python, too long or too deep."""
    from formulaic.utils.code import sanitize_variable_names

    problem = f"is longer than {_LONGEST} characters" if len(text) > _LONGEST else None
    aliases: dict[str, str] = {}
    try:
        if problem is None:
            clean = sanitize_variable_names(text, {}, aliases, template="_quoted_{}")
            with warnings.catch_warnings():
                warnings.simplefilter("error", SyntaxWarning)
                tree: ast.expr = ast.parse(clean, mode="eval").body
            level: list[ast.AST] = [tree]
            for _ in range(_DEEPEST):
                for node in level:
                    if isinstance(node, ast.Name):
                        node.id = aliases.get(node.id, node.id)
                level = [child for node in level for child in ast.iter_child_nodes(node)]
            if not level:
                return tree
            problem = "is nested too deeply"
    except (SyntaxError, ValueError, IndexError) as error:
        problem = f"is not valid Python ({error.msg})" if isinstance(error, SyntaxError) else "is not valid Python"
    except (RecursionError, MemoryError):
        problem = "is nested too deeply"
    raise FormulaError(f"The formula cannot be read: its expression {text[:200]!r} {problem}.")


class Checker:
    """Walks over trees: refuses what is not listed, collects the names of columns, and of functions there are not."""

    def __init__(self, columns: Iterable[str]) -> None:
        self.columns = tuple(columns)
        self.names: set[str] = set()
        self.functions: set[str] = set()

    def refuse_unknown(self, who: str) -> None:
        """Refuse names that are not among the columns, and functions that do not exist."""
        unknown = sorted(self.names - set(self.columns))
        if unknown:
            near = [m for name in unknown[:20] for m in difflib.get_close_matches(name, self.columns, n=1)]
            raise FormulaError(
                f"{who} names what the table does not have: {quoted_list(unknown)}. "
                + (f"Did you mean {quoted_list(near)}? " if near else "")
                + f"The table has: {quoted_list(self.columns)}. "
                "(Odd names stand in `backticks`, expressions in {braces}.)"
            )
        if self.functions:
            raise FormulaError(
                f"{who} calls functions that do not exist here: {quoted_list(sorted(self.functions))}. "
                f"There are: {', '.join(CALLS)}; and of numpy, as in np.sqrt(x): {', '.join(NUMPY)}."
            )

    def check(self, node: ast.expr) -> float | None:
        """Check a node and all below; return its value if that is a plain number, None if rows decide."""
        match node:
            case ast.Constant(value=bool() | int() | float() as value):
                return _bounded(node, value)
            case ast.Name(id=name):
                self.names.add(name)
                return None
            case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
                return _fold(node, UNARY[type(op)], self.check(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return _fold(node, BINARY[type(op)], self.check(left), self.check(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
                if None not in [self.check(side) for side in (left, right) if not _is_text(side)]:
                    raise refused(node, "it compares nothing of the table")
                return None
            case ast.Compare(ops=[_, _, *_]):
                raise refused(node, "comparisons come one by one: (1 < x) & (x < 2)")
            case ast.Call():
                self._check_call(node)
                return None
            case ast.Attribute(value=ast.Name(id="np"), attr=attr) if attr in NUMPY_CONSTANTS:
                return float(getattr(math, attr))
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="dt"), attr=attr) if attr in _DATES:
                self.names.add(name)
                return None
        raise refused(node, _ADVICE.get(type(getattr(node, "op", node)), "no formula may contain that"))

    def _check_call(self, node: ast.Call) -> None:
        constants = False  # whether it may be of a plain number
        match node:
            case ast.Call(func=ast.Name(id="Q"), args=[ast.Constant(value=str() as name)], keywords=[]):
                self.names.add(name)
                return
            case ast.Call(func=ast.Name(id=name)) if name in SPECIALS:
                raise refused(node, f"{SPECIALS[name]} is a term, and no part of another")
            case ast.Call(func=ast.Name(id=name)):
                call = CALLS.get(name)
                if call is None:
                    self.functions.add(name)
                    return
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr=name)):
                call, constants = NUMPY.get(name), True
                if call is None:
                    self.functions.add(f"np.{name}")
                    return
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="shift")):
                self.names.add(name)
                call, constants = Call(), True
            case _:
                raise refused(node, "only listed functions may be called")
        self._check_arguments(node, call, constants=constants)

    def _check_arguments(self, node: ast.Call, call: Call, *, constants: bool) -> None:
        if len(node.args) > call.most or not node.args:
            raise refused(
                node, f"it takes {f'1 to {call.most}' if call.most > 1 else 'one'} argument(s) without a keyword"
            )
        wrong = [word.arg for word in node.keywords if word.arg not in call.keywords]
        if wrong:
            raise refused(node, f"it takes no {wrong[0] or '**'}= here")
        if self.check(node.args[0]) is not None and not constants:
            raise refused(node, "it depends on no column")
        others = [("", argument) for argument in node.args[1:]] + [(word.arg, word.value) for word in node.keywords]
        for name, argument in others:
            size = self._check_option(argument, call)
            counts = call.sized and name in ("", "df", "degree", "levels") and not _is_none(argument)
            if counts and (size is None or not 0 <= size <= _MOST_COLUMNS):
                raise refused(argument, f"a number of columns up to {_MOST_COLUMNS} is expected")

    def _check_option(self, node: ast.expr, call: Call) -> float | None:
        """Check an argument beyond the first, which may also be text, a list, or the name of a coding."""
        match node:
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=str()) if call.words:
                return None
            case ast.List(elts=items) | ast.Tuple(elts=items) if call.words:
                for item in items:
                    self._check_option(item, call)
                return None
            case ast.Call(func=made, args=arguments, keywords=words) if call.codings and _is_coding(made):
                for argument in [*arguments, *[word.value for word in words if word.arg in _CODING_WORDS]]:
                    self._check_option(argument, call)
                if len(arguments) > 1 or any(word.arg not in _CODING_WORDS for word in words):
                    raise refused(node, f"a coding takes {', '.join(sorted(_CODING_WORDS))}")
                return None
        if call.codings and _is_coding(node):
            return None
        return self.check(node)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_coding(node: ast.expr) -> bool:
    """Say whether a node names a coding of categories: ``contr.sum``, or ``Sum`` as patsy has it."""
    match node:
        case ast.Attribute(value=ast.Name(id="contr"), attr=attr):
            return attr in CONTR
        case ast.Name(id=name):
            return name in PATSY_CODINGS
    return False


def _fold(node: ast.expr, operate: Callable[..., Any], *values: float | None) -> float | None:
    """Compute with plain numbers, so that none becomes so large that the next step would never end."""
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return None
    if operate is operator.pow and abs(numbers[0]) > 1 and numbers[1] * math.log2(abs(numbers[0])) > 900:
        raise refused(node, "the number is too large")
    try:
        return _bounded(node, operate(*numbers))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise refused(node, str(error)) from error


def _bounded(node: ast.expr, value: Any) -> float:
    if isinstance(value, complex) or not abs(value) <= (_LARGEST if isinstance(value, int) else 1e300):
        raise refused(node, "the number is too large, or none")
    number: float = value
    return number


def refused(node: ast.AST, why: str) -> FormulaError:
    """Return the error that refuses a formula for what a node says."""
    return FormulaError(f"The formula cannot be used: it has {ast.unparse(node)[:200]!r}, and {why}.")
