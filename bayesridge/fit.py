"""From a table to the posterior in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError, PriorError
from bayesridge.linalg.accumulate import accumulate, is_streamed
from bayesridge.linalg.design import Block, Design, build_design
from bayesridge.linalg.groups import group_engine
from bayesridge.linalg.levels import LAID_OUT, Levels, codes_of, level_rows, levels_of
from bayesridge.linalg.sparse_rows import SparseRows, sparse_rows
from bayesridge.linalg.spectrum import factorize, trouble_of_moments
from bayesridge.linalg.statistics import Statistics, Triangle
from bayesridge.linalg.wide_rows import LARGE, WideRows
from bayesridge.persistence import Table
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.posterior import Method, Posterior, check_method, infer, infer_groups
from bayesridge.posteriors.prediction import refuse_trials
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, by_group
from bayesridge.tables.blocks import Blocks, Coded, with_gaps
from bayesridge.tables.columns import Columns, listed, unnamed
from bayesridge.tables.formula import FormulaSpec, fit_expression, text_groups
from bayesridge.tables.frames import (
    check_shape,
    frame_names,
    is_sparse,
    read_columns,
    read_target,
    read_vector,
    without_columns,
)
from bayesridge.tables.missing import complete_rows
from bayesridge.tables.terms import one_offset
from bayesridge.tables.weights import Weighting, as_counts, read_weights

if TYPE_CHECKING:
    from bayesridge.outcomes.family import Family

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A design together with how its columns came from the table (None for plain columns), and what counts ask for.

    Attributes
    ----------
    groups : dict of str to tuple of str, or None
        Columns (or terms) with penalties of their own; the effects of levels, among the rows of the design, not among
        them. None where all columns share one.
    """

    design: Design
    columns: Columns
    spec: FormulaSpec | None
    offset: Array | None = None
    trials: Array | None = None
    offset_spec: FormulaSpec | None = None
    groups: Mapping[str, str | Sequence[str]] | None = None


def source_table(X: Any, problem: Problem) -> Table:
    """Describe the table that a problem was read from."""
    if problem.spec is not None:
        names = problem.spec.variables if isinstance(X, Statistics) or is_streamed(X) else frame_names(X) or ()
        return Table(names, len(names), problem.spec, problem.offset_spec)
    columns = problem.columns
    return Table(columns.names if columns.named else None, len(columns.names), None, problem.offset_spec)


def read_problem(
    X: Any,
    y: Any = None,
    *,
    formula: str | None = None,
    weights: Any = None,
    weight_kind: Weighting = "frequency",
    fit_intercept: bool = True,
    scale: bool | Any = True,
    unpenalized: Sequence[str | int] = (),
    missing: Literal["error", "drop"] = "error",
    offset: Any = None,
    trials: Any = None,
    groups: Mapping[str, str | Sequence[str]] | None = None,
    family: str | Family = "gaussian",
) -> Problem:
    """Read a table, a formula and weights into a design. Parameters as for :func:`posterior`."""
    if isinstance(X, Statistics):
        asked = {"y": y, "formula": formula, "weights": weights, "offset": offset, "trials": trials}
        if given := [name for name, value in asked.items() if value is not None]:
            raise DataError(f"statistics hold the rows added up already: leave out {', '.join(given)}")
        return replace(_added_up(X, weight_kind, fit_intercept, scale, unpenalized), groups=groups)
    if is_streamed(X):
        if family != "gaussian" or trials is not None:
            raise DataError("rows in batches have Gaussian noise: leave family and trials out")
        formula, offset = one_offset(formula, offset)
        add = partial(accumulate, X, y, weights=weights, formula=formula, offset=offset, missing=missing)
        problem = _added_up(add(), weight_kind, fit_intercept, scale, unpenalized)
        if trouble_of_moments(problem.design):
            problem = _added_up(add(kind=Triangle), weight_kind, fit_intercept, scale, unpenalized)
        return replace(problem, groups=groups)
    if is_sparse(X) or _is_wide(X):
        if formula is not None or isinstance(offset, str):
            raise DataError("an array, dense or sparse, has no names that a formula could use: leave the formula out")
        problem = _as_it_is(X, y, weights, weight_kind, fit_intercept, scale, unpenalized, missing)
        n = problem.design.n_rows
        shift, counts = (_beside(one, n, None, what) for one, what in ((offset, "offset"), (trials, "trials")))
        if shift is not None and family == "gaussian":
            raise DataError("an offset of a Gaussian target is subtracted from it: subtract it from y for such a table")
        return replace(problem, offset=shift, trials=counts, groups=groups)
    spec: FormulaSpec | None = None
    target_name: str | None = None
    blocks, coded = Blocks(), tuple[Coded, ...]()
    formula, offset = one_offset(formula, offset)
    within = offset if isinstance(offset, str) else "offset"
    X, offset, offset_spec = _expression(X, offset, formula)
    formula, renamed = text_groups(X, formula, groups)
    if formula is not None:
        made = FormulaSpec.fit(formula, X, renamed)
        spec, columns, blocks, coded = made.spec, made.columns, made.spec.blocks, made.levels
        fit_intercept = fit_intercept and spec.has_intercept
        if made.y is not None and y is not None:
            raise DataError(f"the formula {formula!r} names a target and y was passed too: leave one out")
        y, target_name = (made.y, made.target_name) if made.y is not None else (y, None)
    else:
        columns = read_columns(X)
    target, found = read_target(y, len(columns.values))
    target_name = target_name or found or "y"
    if offset is not None and family == "gaussian":
        target = target - np.asarray(_beside(offset, len(target), None, "offset"))
        target_name = f"{target_name} - {within}"
    w = read_weights(weights, len(target), allow_missing=missing == "drop")
    kept = None
    if missing != "error" or any(one.missing.any() for one in coded):
        # otherwise the design finds missing values while it adds up; levels are not numbers that do
        complete = complete_rows(with_gaps(columns, coded), target, w, missing=missing, target_name=target_name)
        kept = complete.kept
        if kept is not None:
            columns = replace(columns, values=columns.values[kept])
        target, w = complete.y, complete.weights
    w = as_counts(w, weight_kind)
    levels = tuple([_levels(one, kept) for one in coded])
    rows = level_rows(columns.values, levels)
    names = (*columns.names, *[name for block in levels for name in block.names])
    own = {name: members for name, members in (groups or {}).items() if name not in renamed.values()}
    together = None if groups is None and not blocks else {**blocks.groups, **own}
    if blocks and (others := _without_penalty(columns, together or {}, unpenalized)):
        if renamed:
            raise DataError(f"columns {listed(others)} are in no group: add them to one, or to unpenalized")
        unpenalized = [*unpenalized, *others]
    design = build_design(
        rows, target, names=names, target_name=target_name, weights=w,
        weight_kind="precision" if weight_kind == "precision" else "frequency", survey=weight_kind == "survey",
        fit_intercept=fit_intercept, scale=_with_ones(_divisors(scale), columns, len(names)),
        unpenalized=unpenalized, terms=columns.terms, kept=kept,
        unscaled=[*blocks.unscaled, *range(len(columns.names), len(names))],
        shifted=offset is not None and family == "gaussian", blocks=_blocks(blocks, levels, names),
    )  # fmt: skip
    for one in levels:
        refuse_unidentified(one, design)
    shift, counts = (_beside(one, design.n_rows, kept, what) for one, what in ((offset, "offset"), (trials, "trials")))
    return Problem(design, columns, spec, shift, counts, offset_spec, together)


def _blocks(blocks: Blocks, levels: tuple[Levels, ...], names: tuple[str, ...]) -> tuple[Block, ...]:
    """Where the columns of smooths and of levels lie."""
    found = [Block(one.term.name, "smooth", names.index(one.names[0]), len(one.names)) for one in blocks.smooths]
    first = len(names) - sum(one.n_columns for one in levels)
    for one in levels:
        found.append(Block(one.name, "levels", first, one.n_columns, len(one.parts)))
        first += one.n_columns
    return tuple(found)


def _levels(coded: Coded, kept: NDArray[np.bool_] | None) -> Levels:
    rows = slice(None) if kept is None else kept
    values = None if coded.values is None else coded.values[rows]
    return Levels(coded.name, coded.codes[rows], coded.labels, values, coded.parts)


def _without_penalty(
    columns: Columns, groups: Mapping[str, str | Sequence[str]], unpenalized: Sequence[str | int]
) -> list[str]:
    """Beside terms with penalties of their own, all other columns are fixed effects, as in any mixed model."""
    named = [name for one in groups.values() for name in ([one] if isinstance(one, str) else one)]
    taken = {name for one in named for name in columns.terms.get(one, (one,))} | set(map(str, unpenalized))
    return [name for name in columns.names if name not in taken]


def refuse_unidentified(levels: Levels, design: Design) -> None:
    """Refuse effects of which the data can say nothing: of one level, or of a level for each row."""
    w = np.ones(design.n_rows) if design.weights is None else design.weights
    rows = np.bincount(levels.codes, w > 0, len(levels.labels))[:-1]  # the last label is that of new levels
    counts = rows if design.weight_kind == "precision" else np.bincount(levels.codes, w, len(levels.labels))[:-1]
    if (rows > 0).sum() < 2:
        raise DataError(f"{levels.name} has one level in these rows: the spread of its effects cannot be known")
    if levels.columns is None and counts.max() <= 1 and (design.weights is None or np.ptp(w[w > 0]) == 0):
        raise DataError(
            f"every level of {levels.name} has one row: the spread of its effects is not identified, it cannot be told "
            "from the noise; leave the term out"
        )


def _with_ones(scale: bool | Array, columns: Columns, p: int) -> bool | Array:
    """Divisors that were given for the table's own columns: effects of levels have none."""
    given = not isinstance(scale, bool) and scale.shape == (len(columns.names),)
    return np.append(scale, np.ones(p - len(columns.names))) if given else scale


def _divisors(scale: Any) -> bool | Array:
    return bool(scale) if isinstance(scale, (bool, np.bool_)) else np.asarray(scale, dtype=np.float64)


def _is_wide(X: Any) -> bool:
    """Whether a table is one of float32 that is too large to be copied to float64 for no need."""
    return isinstance(X, np.ndarray) and X.dtype == np.float32 and X.ndim == 2 and LARGE < X.size <= X.shape[1] ** 2


def _as_it_is(
    X: Any, y: Any, weights: Any, weight_kind: Weighting, fit_intercept: bool, scale: Any,
    unpenalized: Sequence[str | int], missing: str,
) -> Problem:  # fmt: skip
    """The problem of a table that no copy is made of: a sparse one, or a wide one of float32."""
    if missing != "error":
        raise DataError("rows of such a table are not dropped: remove those with missing values, missing='error'")
    source: SparseRows | WideRows = sparse_rows(X) if is_sparse(X) else WideRows(X)
    check_shape(source.shape, 2)
    target, name = read_target(y, source.shape[0])
    w = as_counts(read_weights(weights, len(target)), weight_kind)
    names, terms = unnamed(source.shape[1])
    nothing = Columns(np.empty((len(target), 0)), (), False, {})
    complete_rows(nothing, target, w, target_name=name)
    design = build_design(
        source, target, names=names, target_name=name or "y", weights=w,
        weight_kind="precision" if weight_kind == "precision" else "frequency", survey=weight_kind == "survey",
        fit_intercept=fit_intercept, scale=_divisors(scale), unpenalized=unpenalized,
    )  # fmt: skip
    absent: Any = source
    return Problem(design, Columns(absent, names, False, terms), None)


def _added_up(
    of: Statistics, weight_kind: Weighting, fit_intercept: bool, scale: Any, unpenalized: Sequence[str | int]
) -> Problem:
    """The problem of rows that were added up."""
    fit_intercept = fit_intercept and (of.spec is None or of.spec.has_intercept)
    design = of.design(
        weight_kind=weight_kind, fit_intercept=fit_intercept, scale=_divisors(scale), unpenalized=unpenalized
    )
    absent: Any = design.source
    return Problem(design, Columns(absent, of.names, of.named, of.terms), of.spec, offset_spec=of.offset)


def _expression(X: Any, offset: Any, formula: str | None) -> tuple[Any, Any, FormulaSpec | None]:
    """Evaluate an offset that is an expression; without a formula its columns are no predictors."""
    if not isinstance(offset, str):
        return X, offset, None
    made = fit_expression(offset, X, "offset")
    if formula is None:
        X = without_columns(X, made.spec.variables)
    return X, made.columns.values[:, 0], made.spec


def _beside(values: Any, n_rows: int, kept: NDArray[np.bool_] | None, what: str) -> Array | None:
    """Read a number for each row of the table that came in; return those of the rows that are used."""
    if values is None or np.ndim(values) == 0:
        return None if values is None else np.full(n_rows, float(values))
    column, _, shape = read_vector(values, f"the {what}")
    expected = n_rows if kept is None else len(kept)
    if shape != (expected,):
        raise DataError(f"{what} must have one number a row: shape ({expected},) expected, {shape} received")
    return column if kept is None else column[kept]


def infer_problem(
    problem: Problem,
    prior: Prior | Mapping[str, Prior] | None = None,
    noise_prior: NoisePrior | None = None,
    method: Method | None = None,
    family: str | Family = "gaussian",
) -> AnyPosterior:
    """Compute the posterior of a problem that was read; here, and nowhere else, the family chooses who does."""
    if problem.groups is not None:
        if family != "gaussian":
            raise DataError(
                "several penalties, (1 | g), s(x) and ridge(...) are for the Gaussian family so far: other families "
                "take one penalty"
            )
        refuse_trials(problem.trials)
        return _infer_groups(problem, prior, noise_prior or Jeffreys(), method, problem.groups)
    if isinstance(prior, Mapping):
        raise PriorError("a prior for each group needs groups={...} too, or a formula with (1 | g), s(x) or ridge(...)")
    if family == "gaussian":
        refuse_trials(problem.trials)
        return infer(problem.design, factorize(problem.design), prior or BetaR2(), noise_prior or Jeffreys(), method)
    from bayesridge.outcomes.family import Student, family_of
    from bayesridge.outcomes.infer import infer_outcome

    outcome = family_of(family)
    check_method(method, fixed=prior is not None and prior.known is not None)
    if isinstance(outcome, Student):
        if method == "evidence":
            raise PriorError(
                "method='evidence' is not for Student-t noise, which is sampled: lambda is integrated or given"
            )
        from bayesridge.outcomes.student import infer_student

        return infer_student(outcome, problem.design, prior, noise_prior, problem.offset, problem.trials)
    if noise_prior is not None:
        raise PriorError(f"{outcome.text} have no noise variance: leave noise_prior out")
    return infer_outcome(outcome, problem.design, prior, problem.offset, problem.trials, plug_in=method == "evidence")


def posterior(
    X: Any,
    y: Any = None,
    *,
    prior: Prior | Mapping[str, Prior] | None = None,
    noise_prior: NoisePrior | None = None,
    formula: str | None = None,
    weights: Any = None,
    weight_kind: Weighting = "frequency",
    fit_intercept: bool = True,
    scale: bool | Any = True,
    unpenalized: Sequence[str | int] = (),
    missing: Literal["error", "drop"] = "error",
    method: Method | None = None,
    family: str | Family = "gaussian",
    offset: Any = None,
    trials: Any = None,
    groups: Mapping[str, str | Sequence[str]] | None = None,
) -> AnyPosterior:
    r"""Compute the exact posterior of a Bayesian ridge regression.

    .. math:: y_i = b_0 + x_i'\beta + e_i,\quad e_i \sim N(0, \sigma^2/w_i),\quad \beta_j \sim N(0, \tau^2),\quad
              \lambda = \sigma^2/\tau^2

    with a flat prior on the intercept and on unpenalised columns, and the columns scaled to unit standard deviation.

    Parameters
    ----------
    X : array_like or data frame of shape (n, p), Moments, Triangle, path or collection
        numpy, pandas, polars or pyarrow; numeric unless `formula` is given. Or rows that were added up; or rows that
        are now, in one pass and never in memory together (:func:`bayesridge.accumulate`): a file or folder of files,
        Dask's collections, with `y` and `weights` the names of columns.
    y : array_like of shape (n,), optional
        Target; not needed when the formula names it.
    prior : Prior, optional
        ``BetaR2(0.5, 0.5)`` by default; see :mod:`bayesridge.priors`. With groups, one for all or one for each by name.
    noise_prior : NoisePrior, optional
        ``Jeffreys()`` by default.
    formula : str, optional
        As ``"progression ~ bmi * sex + C(site)"``, evaluated in the table `X`.
    weights : array_like of shape (n,), optional
    weight_kind : {"frequency", "precision", "survey"}
        A row counted w times (n becomes the sum of w); noise variance sigma^2 / w (n stays); or a row that stands for w
        units of a population: the weights are rescaled to Kish's effective sample size, (sum w)^2 / sum w^2, which
        becomes n. That is an approximation: other effects of a survey's design (strata, clusters) are ignored, and
        leave-one-out is refused.
    fit_intercept : bool
    scale : bool or array_like of shape (p,)
        Whether to divide penalised columns by their weighted standard deviation; or the divisors.
    unpenalized : sequence of str or int
        Columns (or formula terms) with a flat prior.
    missing : {"error", "drop"}
        What to do with rows that have missing values.
    method : {"posterior", "evidence", "fixed"}, optional
        "evidence" plugs in the lambda that maximises the evidence, ignoring its uncertainty.
    family : {"gaussian", "student", "poisson", "negative-binomial", "binomial", "probit"} or Family
        Counts (log link) and successes of trials (logit or probit link) have no sigma: lambda = 1 / tau^2, and the
        default prior is a half-t on tau (:func:`bayesridge.outcomes.infer.default_prior`). Their posterior is weighted
        draws whose ``check`` says how accurate they are.
    offset : array_like of shape (n,), or str, optional
        Added to the linear predictor of counts: log exposure. As an expression of the table's columns,
        ``"log(exposure)"``, or in the formula, ``"claims ~ age + offset(log(exposure))"``, predictions make it too.
    trials : array_like of shape (n,), optional
        Numbers of trials of family "binomial"; one each by default.
    groups : mapping of str to str or sequence of str, optional
        Columns (or terms of the formula) in groups, each with a lambda of its own, all of them integrated:
        ``{"size": ["area", "rooms"], "place": "C(district)"}``. Every penalised column belongs to one group. The
        coefficients of dummy columns are random effects; with ``scale=False`` tau is then the standard deviation of
        the effects. Independent priors, by default ``BetaR2(0.5, 0.5)`` on the share of variance that each group
        explains beside the noise.

    Returns
    -------
    Posterior, or OutcomePosterior

    Raises
    ------
    DataError
        For data that cannot be used, naming columns and rows.
    ImproperPosteriorError
        If the priors have no posterior for these data.
    """
    problem = read_problem(
        X, y, formula=formula, weights=weights, weight_kind=weight_kind, fit_intercept=fit_intercept, scale=scale,
        unpenalized=unpenalized, missing=missing, offset=offset, trials=trials, groups=groups, family=family,
    )  # fmt: skip
    return infer_problem(problem, prior, noise_prior, method, family)


def _infer_groups(
    problem: Problem,
    prior: Prior | Mapping[str, Prior] | None,
    noise_prior: NoisePrior,
    method: Method | None,
    groups: Mapping[str, str | Sequence[str]],
) -> Posterior:
    design, levels = problem.design, levels_of(problem.design.source)
    names = [*groups, *[one.name for one in levels for _ in one.parts]]
    if not names:
        raise DataError("groups names no group: leave it out, or say {'name': [columns]}")
    if (
        len(names) == 1 and design.n_rows * design.n_columns <= LAID_OUT
    ):  # one lambda: the spectrum is exact, and faster
        _ = group_engine(design, groups, problem.columns.terms) if groups else None  # refuses columns in no group
        signal = float(levels[0].signals(design.weights, design.n_obs)[0]) if levels else design.signal
        one = replace(design, signal=_signals(problem).get(names[0], signal))
        return infer(one, factorize(one), by_group(tuple(names), prior), noise_prior, method)
    engine = group_engine(design, groups, problem.columns.terms, _signals(problem))
    return infer_groups(engine, by_group(engine.names, prior), noise_prior, method)


def _signals(problem: Problem) -> dict[str, float]:
    """For each smooth the sum of squares of its penalised columns over n, its null space projected out."""
    found: dict[str, float] = {}
    design = problem.design
    for one in problem.spec.blocks.smooths if problem.spec is not None else ():
        codes = codes_of(design.source)
        X = design.X if codes is None else codes.X
        bent, lines = (X[:, [design.names.index(name) for name in names]] for names in (one.names, one.flat_names))
        root = np.ones(len(X)) if design.weights is None else np.sqrt(design.weights)
        flat = np.column_stack([*([np.ones(len(X))] if design.fit_intercept else []), lines - lines.mean(axis=0)])
        flat, bent = flat * root[:, None], bent * root[:, None]
        rest = bent - flat @ np.linalg.lstsq(flat, bent)[0]
        found[one.term.name] = float(np.square(rest).sum() / design.n_obs)
    return found


def posterior_of(data: Any, y: Any = None, **options: Any) -> Any:
    """Open the door of everything that takes a posterior made before, or a table that is made into one.

    Parameters
    ----------
    data, y, **options
        A posterior, alone; or as for :func:`posterior`.

    Raises
    ------
    DataError
        If the data cannot be used, or if a posterior comes with options.
    """
    if not isinstance(data, AnyPosterior):
        return posterior(data, y, **options)
    if given := [*(["y"] if y is not None else []), *options]:
        raise DataError(
            f"a posterior holds its data and priors already; drop {', '.join(given)}, or give a table in its place"
        )
    return data


def one_lambda(post: Any) -> Posterior:
    """Return the posterior if it is the exact one of a single lambda; its own refusal if it is another."""
    _ = post.spectrum  # a posterior that has none says so, and what works instead
    found: Posterior = post
    return found
