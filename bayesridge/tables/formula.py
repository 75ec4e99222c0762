"""Formulas such as ``price ~ area + C(city)``: a table in, columns of numbers out, by formulaic.

formulaic does the parsing and the coding.  This module adds what an honest fit needs around it.  The state
of ``center()``, ``scale()``, ``bs()`` and the categories is learnt from complete rows only; a missing value
stays visible as NaN in every column it touches, where formulaic would code a missing category as zeros
(the reference) or poison a whole centred column; a category not seen at the fit is an error, where formulaic
warns and codes it as the reference.

What may stand in a formula, and how its expressions are computed, is said in `grammar`; formulaic evaluates nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bayesridge.errors import ConstantColumnWarning, DataError, FormulaError, warn
from bayesridge.tables.blocks import Blocks, Coded, laid_out
from bayesridge.tables.columns import Columns, Float, Terms, listed, quoted_list
from bayesridge.tables.formula_columns import (
    Flags,
    conform,
    evaluate,
    is_missing,
    kind_of,
    open_table,
    take_columns,
    tidy,
)
from bayesridge.tables.frames import as_frame, frame_names, read_columns, without_columns
from bayesridge.tables.guess import is_number, month_of, odd_one
from bayesridge.tables.missing import require_finite
from bayesridge.tables.specials import variables_of
from bayesridge.tables.terms import is_intercept, parse_formula, plain_message

_MANY = 20  # categories that no column of text is refused for


class FormulaData(NamedTuple):
    """What a formula makes of a table of n rows.

    Attributes
    ----------
    spec : FormulaSpec
        Makes the same columns from another table.
    columns : Columns
        The right side, all n rows; NaN wherever a variable of the term is missing.  What else stands in a
        row that is not kept has no meaning.
    y : ndarray of shape (n,) or None
        The left side, NaN where missing; None for a formula without one.
    target_name : str or None
        The left side as it is written.
    kept : ndarray of bool, shape (n,)
        Rows in which nothing is missing.
    n_missing : int
        How many are not.
    levels : tuple of Coded
        Effects of levels, whose columns follow those of `columns` and are not laid out.
    """

    spec: FormulaSpec
    columns: Columns
    y: Float | None
    target_name: str | None
    kept: Flags
    n_missing: int
    levels: tuple[Coded, ...] = ()


def fit_expression(expression: str, table: Any, what: str) -> FormulaData:
    """Evaluate one expression of columns, such as ``log(exposure)``, and remember how.

    Raises
    ------
    DataError
        If it cannot be read, or is not one column of numbers.
    """
    made = FormulaSpec.fit(f"0 + {{{expression}}}", table)
    if made.columns.values.shape[1] != 1 or made.y is not None:
        raise DataError(
            f"{what}={expression!r} must be one column of numbers, and makes {quoted_list(made.columns.names)}"
        )
    return made


def text_groups(
    table: Any, formula: str | None, groups: Mapping[str, str | Sequence[str]] | None
) -> tuple[str | None, dict[str, str]]:
    """Say a plain table some groups of which are columns of text as a formula, with (1 | column) for each of them.

    Returns
    -------
    formula : str or None
        As it was, where no group is a column of text.
    renamed : dict of str to str
        The group of each such column.

    Raises
    ------
    DataError
        If a column of text is not alone in its group.
    """
    frame = None if formula is not None or not groups else as_frame(table)
    names = None if frame is None else frame_names(frame)
    if not groups or names is None:
        return formula, {}
    members = {group: [wanted] if isinstance(wanted, str) else list(wanted) for group, wanted in groups.items()}
    asked = {name: group for group, wanted in members.items() for name in wanted if name in names}
    text = [name for name, column in take_columns(frame, asked).items() if kind_of(tidy(name, column)) == "categories"]
    if not text:
        return formula, {}
    for name in text:
        if len(members[asked[name]]) > 1:
            raise DataError(f"'{name}' is text, whose levels are a group of their own: {{{name!r}: {name!r}}}")
    others = [name for name in names if name not in text]
    if others:
        read_columns(without_columns(table, text))  # refuses further columns of text
    ticked = [f"`{name}`" for name in others] or ["1"]
    return " + ".join([*ticked, *[f"(1 | `{name}`)" for name in text]]), {name: asked[name] for name in text}


@dataclass(frozen=True, eq=False)
class FormulaSpec:
    """A formula together with everything it learnt from the table it was fitted to.

    Can be copied and pickled (as far as formulaic keeps reading its own pickles: same version).

    Attributes
    ----------
    formula : str
        As the user wrote it.
    names : tuple of str
        Names of the columns, formulaic's intercept left out.
    terms : mapping of str to tuple of str
        Columns of each term, so that ``C(site)`` can stand for all its columns.
    has_intercept : bool
        False where the formula says ``0 +`` or ``- 1``.
    variables : tuple of str
        The table's columns that the right side reads.
    blocks : Blocks
        The terms with penalties of their own.
    """

    formula: str
    names: tuple[str, ...]
    terms: Mapping[str, tuple[str, ...]]
    has_intercept: bool
    variables: tuple[str, ...]
    _side: _Side = field(repr=False)
    _kinds: Mapping[str, str] = field(repr=False)
    blocks: Blocks = field(default_factory=Blocks)

    @classmethod
    def fit(cls, formula: str, table: Any, renamed: Mapping[str, str] | None = None) -> FormulaData:
        """Evaluate a formula and remember how.

        Parameters
        ----------
        formula : str
            One- or two-sided.  Names are those of the table; odd ones stand in backticks; ``.`` means
            all other columns.  Text and categories are coded against their first category (in
            ascending order, or the order of a categorical column), as far as the columns would otherwise
            be linearly dependent.  Categories without a row are forgotten.
        table : data frame
            pandas, polars or pyarrow table of n rows.
        renamed : mapping of str to str, optional
            What level effects are called, by the names that the formula gives them.

        Returns
        -------
        FormulaData
            See there; hand `columns` and `y` to `tables.complete_rows`.

        Raises
        ------
        DataError
            If the formula cannot be read or evaluated, names a variable the table does not have, has no
            predictors, several parts or targets, or if fewer than two rows are complete.
        """
        frame, names = open_table(table)
        left, right, uses, specials, ridges = parse_formula(formula, names)
        asked = [*uses.values(), *map(variables_of, specials)]
        raw = take_columns(frame, {name: None for used in asked for name in used})
        missing = {name: is_missing(column) for name, column in raw.items()}
        n = frame.shape[0]
        rows = _Rows.of(raw, missing, n)
        side, values = _Side.fit(right, uses, rows)
        idle = {name for term, owned in side.terms.items() if not owned for name in uses[term]}
        idle -= {name for term, used in uses.items() if side.terms.get(term, True) for name in used}
        idle -= {name for one in specials for name in variables_of(one)}
        if any(missing[name].any() for name in idle):
            # what makes no column makes no row incomplete
            missing = {name: flags & (name not in idle) for name, flags in missing.items()}
            rows = _Rows.of(raw, missing, n)
            side, values = _Side.fit(right, uses, rows)
        for term, owned in side.terms.items():
            if not owned:
                warn(f"The term '{term}' adds no column: it has one category only.", ConstantColumnWarning)
        learnt, kinds, complete = rows.learnt, rows.kinds, rows.complete
        blocks = Blocks.fit(specials, ridges, learnt, renamed or {})
        values = np.hstack([values, blocks.columns(learnt, missing, complete)])
        levels = blocks.levels(learnt, missing, complete)
        kept = ~np.logical_or.reduce([np.isnan(values).any(axis=1), *[one.missing for one in levels]])
        y = target_name = None
        if left is not None:
            target_name = str(left[0])
            target, target_values = _Side.fit(left, uses, rows)
            if target.categories or len(target.names) != 1:
                raise DataError(f"The target '{target_name}' must be one column of numbers, and is not.")
            y = target_values[:, 0]
            kept &= ~np.isnan(y)
        own = tuple(dict.fromkeys(name for used in [*side.uses.values(), *blocks.uses] for name in used))
        spec = cls.of(formula, side, own, {name: kinds[name] for name in own}, blocks)
        columns = Columns(values, spec.names, True, spec.terms)
        return FormulaData(spec, columns, y, target_name, kept, int(n - kept.sum()), levels)

    @classmethod
    def of(
        cls, formula: str, side: _Side, variables: tuple[str, ...], kinds: Mapping[str, str], blocks: Blocks
    ) -> FormulaSpec:
        """Put together what was learnt."""
        terms = Terms({**side.terms, **blocks.terms})
        names = tuple([name for owned in terms.values() for name in owned])
        twice = sorted({name for name in names if names.count(name) > 1}) if blocks.terms else []
        if twice:
            raise DataError(f"The formula makes these columns more than once: {quoted_list(twice)}.")
        return cls(formula, names, terms, side.has_intercept, variables, side, kinds, blocks)

    def transform(self, table: Any) -> Columns:
        """Make the same columns from another table.

        Parameters
        ----------
        table : data frame
            pandas, polars or pyarrow table of m rows, with the columns in `variables`; others, and their
            order, do not matter.

        Returns
        -------
        Columns
            m rows; NaN wherever a variable of the term is missing.

        Raises
        ------
        DataError
            If a column is missing, holds another kind of values than at the fit, or a category that
            was not seen then.
        """
        columns, levels = self.apart(table)
        if not levels:
            return columns
        values = np.hstack([columns.values, *laid_out(levels)])
        return Columns(values, (*self.names, *self.blocks.level_names), True, self.terms)

    def apart(self, table: Any) -> tuple[Columns, tuple[Coded, ...]]:
        """As :meth:`transform`, level effects as codes."""
        frame, names = open_table(table)
        absent = [name for name in self.variables if name not in names]
        if absent:
            raise DataError(
                f"The formula {self.formula!r} needs columns that the table does not have: {quoted_list(absent)}. "
                f"The table has: {quoted_list(names)}."
            )
        if frame.shape[0] < 1:
            raise DataError(f"Found array with 0 sample(s) (shape={frame.shape}) while a minimum of 1 is required.")
        raw = take_columns(frame, self.variables)
        missing = {name: is_missing(column) for name, column in raw.items()}
        everything = np.ones(frame.shape[0], dtype=np.bool)
        data = conform(raw, self._kinds)
        values = self._side.evaluate({name: data[name] for name in self._side.variables}, missing, everything)
        if not self.blocks.uses:
            return Columns(values, self.names, True, self.terms), ()
        of_blocks = {name: missing[name] for used in self.blocks.uses for name in used}
        gaps = np.column_stack([np.where(flags, np.nan, 0.0) for flags in of_blocks.values()])
        require_finite(gaps, tuple(of_blocks))
        smooth, levels = self.blocks.apart(data, missing)
        return Columns(np.hstack([values, smooth]), self.names, True, self.terms), levels


@dataclass(frozen=True, eq=False)
class _Rows:
    """The table that is fitted, by column: as it came, and its complete rows."""

    raw: Mapping[str, Any]
    learnt: Mapping[str, Any]  # complete rows, tidy
    kinds: Mapping[str, str]
    missing: Mapping[str, Flags]
    complete: Flags

    @classmethod
    def of(cls, raw: Mapping[str, Any], missing: Mapping[str, Flags], n: int) -> _Rows:
        """Find the complete ones of n rows."""
        complete = ~np.logical_or.reduce([np.zeros(n, dtype=np.bool), *missing.values()])
        if complete.sum() < 2:
            counts = ", ".join(f"{name}: {flags.sum()}" for name, flags in missing.items() if flags.any())
            raise DataError(
                f"Found array with {n} sample(s), {complete.sum()} of them complete, while a minimum of 2 is "
                f"required. Input contains NaN in: {counts or 'no column'}."
            )
        learnt = {name: tidy(name, column[complete].reset_index(drop=True)) for name, column in raw.items()}
        kinds = {name: kind_of(column) for name, column in learnt.items()}
        return cls(raw, learnt, kinds, missing, complete)


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of a formula, fitted: formulaic's model, and our account of its terms."""

    model: Any
    terms: Terms
    uses: Mapping[str, tuple[str, ...]]  # term -> columns of the table
    factors: Mapping[str, tuple[str, ...]]  # term -> expressions
    categories: Mapping[str, tuple[Any, ...]]  # expression -> its categories, if it has any
    has_intercept: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for owned in self.terms.values() for name in owned)

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for used in self.uses.values() for name in used))

    @classmethod
    def fit(cls, formula: Any, uses: Mapping[str, tuple[str, ...]], rows: _Rows) -> tuple[_Side, Float]:
        """Learn from the complete rows; return what was learnt, and the columns for all rows."""
        n_complete = int(rows.complete.sum())
        own = {name: rows.learnt[name] for used in uses.values() for name in used}
        data = own or {"": np.zeros(n_complete)}  # a table of as many rows, where there is nothing but an intercept
        _, model, _ = _run(formula, data, {}, np.ones(n_complete, dtype=np.bool))
        side = cls.of_model(model, uses)
        twice = sorted({name for name in side.names if side.names.count(name) > 1})
        if twice:
            raise DataError(f"The formula makes these columns more than once: {quoted_list(twice)}.")
        for expr, known in side.categories.items():
            if expr in rows.learnt and len(known) > max(_MANY, n_complete // 2):
                raise DataError(_nearly_unique(expr, known, n_complete))
        return side, side._spread(rows, n_complete)

    @classmethod
    def of_model(cls, model: Any, uses: Mapping[str, tuple[str, ...]]) -> _Side:
        """Account for the terms of a fitted model of formulaic's."""
        structure = {str(row.term): row for row in model.structure if not is_intercept(row.term)}
        categories = {
            str(expr): tuple(state["categories"])
            for expr, (_, state) in model.encoder_state.items()
            if "categories" in state
        }
        return cls(
            model,
            Terms({term: tuple(map(str, row.columns)) for term, row in structure.items()}),
            {term: uses[term] for term in structure},
            {term: tuple(f.expr for f in row.term.factors) for term, row in structure.items()},
            categories,
            len(structure) < len(model.structure),
        )

    def _spread(self, rows: _Rows, n_complete: int) -> Float:
        """Return the columns for all rows of the table that was fitted, complete or not."""
        none_missing = {name: np.zeros(n_complete, dtype=np.bool) for name in rows.learnt}
        checked = np.ones(n_complete, dtype=np.bool)
        some = self.evaluate(rows.learnt, none_missing, checked)
        if rows.complete.all():
            return some
        backwards = {name: column[::-1].reset_index(drop=True) for name, column in rows.learnt.items()}
        again = self.evaluate(backwards, none_missing, checked)[::-1]
        if not np.allclose(some, again, rtol=1e-10, atol=1e-12, equal_nan=True):
            # lag() and its like look at the rows around, which must then all be there.
            return self.evaluate(conform(rows.raw, rows.kinds), rows.missing, rows.complete)
        # An incomplete row is not used, and may be such that it cannot be evaluated (a category, or a value
        # beyond the knots, that no complete row has): it gets the numbers of a complete one.
        values = np.empty((len(rows.complete), some.shape[1]))
        values[rows.complete], values[~rows.complete] = some, some[0]
        self._blank(values, rows.missing, {})
        return values

    def evaluate(self, data: Mapping[str, Any], missing: Mapping[str, Flags], checked: Flags) -> Float:
        """Return the columns, NaN where a variable is missing; an unknown category in a checked row raises."""
        if not self.terms:
            return np.empty((len(checked), 0))
        matrix, _, nulls = _run(self.model, data, self.categories, checked)
        own = [not is_intercept(row.term) for row in self.model.structure for _ in row.columns]
        values: Float = matrix[:, np.array(own, dtype=np.bool)]
        self._blank(values, missing, nulls)
        return values

    def _blank(self, values: Float, missing: Mapping[str, Flags], nulls: Mapping[str, Flags]) -> None:
        """Put NaN, in place, wherever a variable of the term is missing or an expression has no category."""
        start = 0
        for term, owned in self.terms.items():
            gone = [missing[name] for name in self.uses[term]]
            gone += [nulls[expr] for expr in self.factors[term] if expr in nulls]
            if gone:
                values[np.logical_or.reduce(gone), start : start + len(owned)] = np.nan
            start += len(owned)


def _ticked(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def _nearly_unique(name: str, known: tuple[Any, ...], n: int) -> str:
    odd = odd_one(known)
    where = f" ({known[odd]!r} is none)" if odd is not None else ""
    numbers = "; most of its values are numbers, which have to be written alike" if is_number(known[0]) else ""
    return (
        f"'{name}' is text with {len(known)} different values in {n} rows, such as {known[0]!r}{numbers}{where}: "
        f"next to every row would have a coefficient of its own. Leave it out (- {name}), or write "
        f"C({_ticked(name)}) where that is meant."
    )


# ---------------------------------------------------------------- formulaic


def _run(
    formula: Any, data: Mapping[str, Any], categories: Mapping[str, tuple[Any, ...]], checked: Flags
) -> tuple[Float, Any, dict[str, Flags]]:
    """Evaluate one side; return its matrix, the fitted model, and which rows lack a category."""
    import pandas as pd
    from formulaic.errors import DataMismatchWarning
    from formulaic.materializers import PandasMaterializer

    # An explicit, empty context: by default formulaic would let a formula see the variables of its caller.
    table = pd.DataFrame(dict(data))
    materializer = PandasMaterializer(table, context={})
    # In place of its eval(); the second value would be the variables read, which we know.
    materializer._evaluate = lambda expr, _, spec: (evaluate(expr, table, spec.transform_state), set())
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # An unseen category is an error below; what log(0) makes is found, and named, by `complete_rows`.
            warnings.simplefilter("ignore", DataMismatchWarning)
            warnings.filterwarnings("ignore", message="Constructing a Categorical with a dtype and values")
            matrix = materializer.get_model_matrix(formula, na_action="ignore", output="numpy")
    except Exception as error:  # pandas, numpy and the splines raise many kinds
        _check_factors(materializer.factor_cache, categories, checked)
        if isinstance(error.__cause__, FormulaError):
            raise error.__cause__ from None
        raise DataError(f"The formula cannot be evaluated: {plain_message(error)}") from error
    nulls = _check_factors(materializer.factor_cache, categories, checked)
    return np.array(matrix, dtype=np.float64), matrix.model_spec, nulls


def _check_factors(
    factors: Mapping[str, Any], categories: Mapping[str, tuple[Any, ...]], checked: Flags
) -> dict[str, Flags]:
    """Refuse values that cannot be coded; return which rows lack a category."""
    for expr, factor in factors.items():
        values = getattr(factor.values, "__wrapped__", factor.values)
        if factor.metadata.kind.value != "numerical" or isinstance(values, dict):
            continue
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            what = {"M": "dates", "m": "durations", "c": "complex numbers"}.get(array.dtype.kind, str(array.dtype))
            raise DataError(
                f"'{expr}' holds {what}, not numbers. Leave it out (- {expr})"
                + (f", or take a number of it, such as {month_of(expr)}." if what == "dates" else ".")
            )
        if array.shape[:1] != checked.shape:
            raise DataError(f"'{expr}' has shape {array.shape}; one value for each of {len(checked)} rows is needed.")
    return {
        expr: _check_categories(expr, factors[expr], known, checked)
        for expr, known in categories.items()
        if expr in factors
    }


def _check_categories(expr: str, factor: Any, known: tuple[Any, ...], checked: Flags) -> Flags:
    """Refuse categories that are not known; return which rows have none."""
    import pandas as pd

    values = pd.Series(np.asarray(getattr(factor.values, "__wrapped__", factor.values), dtype=object))
    null = values.isna().to_numpy(dtype=np.bool)
    wrong = ~(null | values.isin(list(known)).to_numpy(dtype=np.bool)) & checked
    if wrong.any():
        unseen = [f"{value!r} (row {row})" for row, value in values[wrong].drop_duplicates().items()]
        raise DataError(
            f"'{expr}' has categories that the model does not know: {listed(unseen, shown=20)}. Known are: "
            f"{listed([*map(repr, known)], shown=20)}. Leave out these rows, or fit with every category."
        )
    return null
