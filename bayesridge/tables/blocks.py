"""Special terms after they have seen a table: levels, knots, and the columns that they make of any table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, ExtrapolationWarning, UnseenLevelWarning, warn
from bayesridge.tables.columns import SHOWN, Columns, Float, Terms, listed
from bayesridge.tables.formula_columns import Flags, evaluate
from bayesridge.tables.smooth import Spline
from bayesridge.tables.specials import Effects, Smooth, variables_of

if TYPE_CHECKING:
    import pandas as pd

#: The last level of every factor: one that no row of the fit had. Its effect is a draw of the prior.
NEW = "(new)"


class Coded(NamedTuple):
    """Level effects of some rows, as codes.

    Attributes
    ----------
    name : str
        Of their scale.
    codes : ndarray of int, shape (n,)
    labels : tuple of str
        The last is that of a level that the fit did not see.
    values : ndarray of shape (n, k) or None
        What the effects multiply; one where there is none. Several are correlated within a level.
    missing : ndarray of bool, shape (n,)
        Rows of which the level, or the value, is not known.
    """

    name: str
    codes: NDArray[np.intp]
    labels: tuple[str, ...]
    values: Float | None
    missing: Flags
    parts: tuple[str, ...] = ("",)


@dataclass(frozen=True, eq=False)
class Factor:
    """The levels of some columns' combinations, in their order."""

    by: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    @cached_property
    def _position(self) -> dict[tuple[str, ...], int]:
        return {level: k for k, level in enumerate(self.levels)}

    @classmethod
    def fit(cls, by: tuple[str, ...], data: Mapping[str, Any]) -> Factor:
        """Learn the levels that there are."""
        codes, found = _combinations([data[name] for name in by])
        return cls(by, tuple([found[k] for k in np.unique(codes)]))

    @property
    def labels(self) -> tuple[str, ...]:
        """What each is called."""
        return tuple([":".join(level) for level in self.levels])

    def codes(self, data: Mapping[str, Any]) -> tuple[NDArray[np.intp], list[str]]:
        """The level of each row, one past the last where it is none of these, and those that are none."""
        codes, found = _combinations([data[name] for name in self.by])
        own = np.array([self._position.get(level, len(self.levels)) for level in found], dtype=np.intp)
        return own[codes], [":".join(level) for level in found if level not in self._position]


def _combinations(columns: Sequence[pd.Series[Any]]) -> tuple[NDArray[np.intp], list[tuple[str, ...]]]:
    """Codes of the rows' combinations of values, and the combinations as text, sorted by the columns in turn."""
    import pandas as pd

    codes: NDArray[np.intp] = np.zeros(len(columns[0]), dtype=np.intp)
    found: list[tuple[str, ...]] = [()]
    for column in columns:
        if isinstance(column.dtype, pd.CategoricalDtype):
            own, values = column.cat.codes.to_numpy(dtype=np.intp), column.cat.categories
        else:
            own, values = pd.factorize(column, sort=True)
        texts = [*map(level_text, values), ""]  # the last of a missing value, whose code is -1
        pairs, codes = np.unique(codes * len(texts) + own % len(texts), return_inverse=True)
        found = [(*found[pair // len(texts)], texts[pair % len(texts)]) for pair in pairs.tolist()]
    return codes, found


def level_text(value: Any) -> str:
    """Name a level: 3, 3.0 and the category 3 are the same one."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True, eq=False)
class LevelEffects:
    """``(1 | g)`` or ``(0 + x | g)``, its levels known."""

    term: Effects
    factor: Factor

    @property
    def variables(self) -> tuple[str, ...]:
        """The table's columns that it reads."""
        return variables_of(self.term)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the levels, that of a new one last."""
        new = NEW
        while new in self.factor.labels:
            new = f"({new})"
        return (*self.factor.labels, new)

    def coded(self, data: Mapping[str, Any], missing: Mapping[str, Flags]) -> Coded:
        """Find the levels of some rows."""
        codes, unseen = self.factor.codes(data)
        gone = np.logical_or.reduce([missing[name] for name in self.variables])
        values = None if self.term.slopes == ("1",) else self._values(data, len(codes))
        new = (codes == len(self.factor.levels)) & ~gone
        if new.any():
            warn(
                f"the fit saw no {':'.join(self.factor.by)} {listed(unseen)} ({_rows(new)}): the effect there is that "
                "of a new level, with mean zero and the spread tau",
                UnseenLevelWarning,
            )
        return Coded(self.term.name, codes, self.labels, values, gone, self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what the effects multiply, where there are several."""
        slopes = self.term.slopes
        return ("",) if len(slopes) == 1 else tuple(["" if one == "1" else one for one in slopes])

    def _values(self, data: Mapping[str, Any], n: int) -> Float:
        return np.column_stack([np.ones(n) if one == "1" else numbers(one, data) for one in self.term.slopes])

    @property
    def names(self) -> list[str]:
        """Names of the effects, level by level."""
        ends = [f":{part}" if part else "" for part in self.parts]
        return [f"{self.term.name}[{label}]{end}" for label in self.labels for end in ends]


@dataclass(frozen=True, eq=False)
class SmoothColumns:
    """``s(x)``, its range known; with ``by`` a curve for each level, all under one penalty.

    Attributes
    ----------
    term : Smooth
    splines : tuple of Spline
        One, or one for each level.
    factor : Factor or None
    """

    term: Smooth
    splines: tuple[Spline, ...]
    factor: Factor | None = None

    @classmethod
    def fit(cls, term: Smooth, data: Mapping[str, Any]) -> SmoothColumns:
        """Learn the range, and the levels, from rows with a value: log(-1) is a missing one, found in the columns."""
        x = numbers(term.expression, data)
        known = np.isfinite(x)
        differ = len(np.unique(x[known]))
        if differ < _LEAST:
            raise DataError(
                f"{term.name} needs {_LEAST} different values at least to bend, and {term.expression} has {differ}: "
                f"write {term.expression}"
            )
        low, high = float(x[known].min()), float(x[known].max())
        if term.by is None:
            return cls(term, (Spline.fit(x[known], term.size, low, high),))
        factor = Factor.fit((term.by,), data)
        codes = factor.codes(data)[0]
        parts = [x[known & (codes == k)] for k in range(len(factor.levels))]
        few = [label for label, part in zip(factor.labels, parts, strict=True) if len(part) == 0 or np.ptp(part) == 0]
        if few:
            raise DataError(f"{term.name}: {term.expression} has one value only where {term.by} is {listed(few)}")
        return cls(term, tuple([Spline.fit(part, term.size, low, high) for part in parts]), factor)

    @property
    def variables(self) -> tuple[str, ...]:
        """The table's columns that it reads."""
        return variables_of(self.term)

    @property
    def _labels(self) -> tuple[str, ...]:
        return ("",) if self.factor is None else tuple([f"[{label}]" for label in self.factor.labels])

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and largest value of the fit."""
        return self.splines[0].low, self.splines[0].high

    @property
    def starts(self) -> tuple[str, ...]:
        """What labels of the curve of each level start with."""
        return ("",) if self.factor is None else tuple([f"{label}: " for label in self.factor.labels])

    @property
    def flat_names(self) -> tuple[str, ...]:
        """Names of the columns without a penalty, the straight lines."""
        return tuple([f"{self.term.name}{label} line" for label in self._labels])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the penalised columns: each is a second difference."""
        return tuple([f"{self.term.name}{label}[{j}]" for label in self._labels for j in range(1, self.term.size - 1)])

    def columns(self, data: Mapping[str, Any], missing: Mapping[str, Flags]) -> Float:
        """The lines, then the penalised columns; NaN in rows of which something is missing."""
        gone = np.logical_or.reduce([missing[name] for name in self.variables])
        x = numbers(self.term.expression, data)
        x = np.where(gone, self.splines[0].low, x)
        far = self.splines[0].outside(x) & np.isfinite(x)
        if far.any():
            low, high = self.splines[0].low, self.splines[0].high
            warn(
                f"{self.term.expression} lies outside {low:g} to {high:g}, where {self.term.name} was fitted "
                f"({_rows(far)}): the curve goes on as a straight line, its bands those of that line",
                ExtrapolationWarning,
            )
        level = np.zeros(len(x), dtype=np.intp)
        if self.factor is not None:
            level, unseen = self.factor.codes(data)
            new = (level == len(self.factor.levels)) & ~gone
            if new.any():
                raise DataError(
                    f"{self.term.name} has no curve for {listed(unseen)} ({_rows(new)}): the levels of {self.term.by} "
                    f"at the fit were {listed([*self.factor.labels], shown=20)}"
                )
        values = self.at(x, level)
        values[gone] = np.nan
        return values

    def at(self, x: Float, level: NDArray[np.intp], *, centred: bool = False) -> Float:
        """The columns where the expression has the value x and the factor the level of this number.

        Centred, the curve has average zero over the rows of the fit, as the penalised columns have in any case.
        """
        lines, bent = [], []
        for k, spline in enumerate(self.splines):
            here = (level == k).astype(np.float64)
            lines.append(here * (x - spline.centre if centred else x))
            bent.append(here[:, None] * spline.columns(np.where(np.isfinite(x), x, spline.low)))
        return np.column_stack([*lines, *bent])


@dataclass(frozen=True, eq=False)
class Blocks:
    """The terms of a formula that have penalties of their own.

    Attributes
    ----------
    effects : tuple of LevelEffects
    smooths : tuple of SmoothColumns
    ridges : dict of str to tuple of str
        Ordinary terms with a penalty of their own.
    """

    effects: tuple[LevelEffects, ...] = ()
    smooths: tuple[SmoothColumns, ...] = ()
    ridges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        terms: Sequence[Effects | Smooth],
        ridges: Mapping[str, tuple[str, ...]],
        data: Mapping[str, Any],
        renamed: Mapping[str, str],
    ) -> Blocks:
        """Learn levels and ranges from complete rows; some effects are called by other names."""
        effects = [
            LevelEffects(replace(one, name=renamed.get(one.name, one.name)), Factor.fit(one.by, data))
            for one in terms
            if isinstance(one, Effects)
        ]
        smooths = [SmoothColumns.fit(one, data) for one in terms if isinstance(one, Smooth)]
        return cls(tuple(effects), tuple(smooths), ridges)

    def __bool__(self) -> bool:
        return bool(self.effects or self.smooths or self.ridges)

    @property
    def uses(self) -> list[tuple[str, ...]]:
        """Columns of the table that each term reads."""
        return [*[one.variables for one in self.effects], *[one.variables for one in self.smooths]]

    @property
    def terms(self) -> dict[str, tuple[str, ...]]:
        """Columns of each smooth."""
        return {one.term.name: (*one.flat_names, *one.names) for one in self.smooths}

    @property
    def flat(self) -> list[str]:
        """Columns of smooths that have no penalty."""
        return [name for one in self.smooths for name in one.flat_names]

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Columns, or terms, that share a penalty of their own; those of levels not among them."""
        return {**self.ridges, **{one.term.name: one.names for one in self.smooths}}

    @property
    def unscaled(self) -> list[str]:
        """Columns of smooths that stay as they are."""
        return [name for one in self.smooths for name in one.names]

    @property
    def level_names(self) -> list[str]:
        """Names of the level effects."""
        return [name for one in self.effects for name in one.names]

    def columns(self, data: Mapping[str, Any], missing: Mapping[str, Flags], complete: Flags) -> Float:
        """Columns of the smooths, of the complete rows that the data are; the others have NaN where a variable has."""
        made = [_spread(one.columns(data, _none(data)), one.variables, missing, complete) for one in self.smooths]
        return np.hstack([np.empty((len(complete), 0)), *made])

    def levels(self, data: Mapping[str, Any], missing: Mapping[str, Flags], complete: Flags) -> tuple[Coded, ...]:
        """Level effects, the same way."""
        found = []
        for one in self.effects:
            name, codes, labels, values, _, parts = one.coded(data, _none(data))
            every = np.zeros(len(complete), dtype=np.intp)
            every[complete] = codes
            gone = np.logical_or.reduce([missing[variable] for variable in one.variables])
            values = None if values is None else _spread(values, (), missing, complete)
            found.append(Coded(name, every, labels, values, gone, parts))
        return tuple(found)

    def apart(self, data: Mapping[str, Any], missing: Mapping[str, Flags]) -> tuple[Float, tuple[Coded, ...]]:
        """Columns of the smooths at new rows, and their levels as codes."""
        rows = len(next(iter(data.values()))) if data else 0
        smooth = np.hstack([np.empty((rows, 0)), *[one.columns(data, missing) for one in self.smooths]])
        return smooth, tuple([one.coded(data, missing) for one in self.effects])


def laid_out(levels: Sequence[Coded]) -> list[Float]:
    """Level effects as columns."""
    found = []
    for one in levels:
        dummies = np.zeros((len(one.codes), len(one.labels), len(one.parts)))
        dummies[np.arange(len(one.codes)), one.codes] = 1.0 if one.values is None else one.values
        found.append(dummies.reshape(len(one.codes), -1))
    return found


def with_gaps(columns: Columns, levels: Sequence[Coded]) -> Columns:
    """Columns, and beside them one for each block of levels that shows which rows lack one."""
    gaps = [np.where(one.missing, np.nan, 0.0) for one in levels]
    names = [one.name for one in levels]
    values = np.column_stack([columns.values, *gaps])
    terms = Terms({**columns.terms, **{name: (name,) for name in names}})
    return Columns(values, (*columns.names, *names), columns.named, terms)


def _none(data: Mapping[str, Any]) -> dict[str, Flags]:
    return {name: np.zeros(len(column), dtype=np.bool) for name, column in data.items()}


def _spread(values: Float, variables: Sequence[str], missing: Mapping[str, Flags], complete: Flags) -> Float:
    """Rows that are not complete get the numbers of one that is: they are not used."""
    every = np.empty((len(complete), values.shape[1]))
    every[complete], every[~complete] = values, values[0]
    for name in variables:
        every[missing[name]] = np.nan
    return every


def _rows(flags: Flags) -> str:
    rows = np.flatnonzero(flags)
    more = f", ... {len(rows)} in all" if len(rows) > SHOWN else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:SHOWN]))}{more}"


_LEAST = 3  # different values


def numbers(expression: str, data: Mapping[str, Any]) -> Float:
    """Compute an expression that is one number a row."""
    import pandas as pd

    learnt: dict[str, Any] = {}
    with np.errstate(all="ignore"):
        found = evaluate(expression, pd.DataFrame(dict(data)), learnt)
    values = np.asarray(found) if not hasattr(found, "__wrapped__") else np.empty(0, dtype=object)
    if learnt or values.dtype.kind not in "biuf" or values.shape != (len(next(iter(data.values()))),):
        raise DataError(
            f"{expression!r} must be one number a row here: a column of numbers, or arithmetic and functions of such"
        )
    return values.astype(np.float64)
