"""From a table to the posterior in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.linalg.design import Design, build_design
from bayesridge.linalg.spectrum import factorize
from bayesridge.persistence import Table
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.posterior import Method, Posterior, infer
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior
from bayesridge.tables.columns import Columns
from bayesridge.tables.formula import FormulaSpec
from bayesridge.tables.frames import frame_names, read_columns, read_target
from bayesridge.tables.missing import complete_rows
from bayesridge.tables.weights import Weighting, as_counts, read_weights

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A design together with how its columns came from the table (None for plain columns)."""

    design: Design
    columns: Columns
    spec: FormulaSpec | None


def source_table(X: Any, problem: Problem) -> Table:
    """Describe the table that a problem was read from."""
    if problem.spec is not None:
        names = frame_names(X) or ()
        return Table(names, len(names), problem.spec)
    columns = problem.columns
    return Table(columns.names if columns.named else None, len(columns.names), None)


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
) -> Problem:
    """Read a table, a formula and weights into a design. Parameters as for :func:`posterior`."""
    spec: FormulaSpec | None = None
    target_name: str | None = None
    if formula is not None:
        made = FormulaSpec.fit(formula, X)
        spec, columns = made.spec, made.columns
        fit_intercept = fit_intercept and spec.has_intercept
        if made.y is not None and y is not None:
            raise DataError(f"the formula {formula!r} names a target and y was passed too: leave one out")
        y, target_name = (made.y, made.target_name) if made.y is not None else (y, None)
    else:
        columns = read_columns(X)
    target, found = read_target(y, len(columns.values))
    target_name = target_name or found
    w = read_weights(weights, len(target), allow_missing=missing == "drop")
    kept = None
    if missing != "error":  # otherwise the design finds missing values while it adds up
        complete = complete_rows(columns, target, w, missing=missing, target_name=target_name)
        columns, target, w, kept = complete.columns, complete.y, complete.weights, complete.kept
    w = as_counts(w, weight_kind)
    divisors = bool(scale) if isinstance(scale, (bool, np.bool_)) else np.asarray(scale, dtype=np.float64)
    design = build_design(
        columns.values, target, names=columns.names, target_name=target_name or "y", weights=w,
        weight_kind="precision" if weight_kind == "precision" else "frequency", survey=weight_kind == "survey",
        fit_intercept=fit_intercept, scale=divisors, unpenalized=unpenalized, terms=columns.terms, kept=kept,
    )  # fmt: skip
    return Problem(design, columns, spec)


def posterior(
    X: Any,
    y: Any = None,
    *,
    prior: Prior | None = None,
    noise_prior: NoisePrior | None = None,
    formula: str | None = None,
    weights: Any = None,
    weight_kind: Weighting = "frequency",
    fit_intercept: bool = True,
    scale: bool | Any = True,
    unpenalized: Sequence[str | int] = (),
    missing: Literal["error", "drop"] = "error",
    method: Method | None = None,
) -> Posterior:
    r"""Compute the exact posterior of a Bayesian ridge regression.

    .. math:: y_i = b_0 + x_i'\beta + e_i,\quad e_i \sim N(0, \sigma^2/w_i),\quad \beta_j \sim N(0, \tau^2),\quad
              \lambda = \sigma^2/\tau^2

    with a flat prior on the intercept and on unpenalised columns, and the columns scaled to unit standard deviation.

    Parameters
    ----------
    X : array_like or data frame of shape (n, p)
        numpy, pandas, polars or pyarrow; numeric unless `formula` is given.
    y : array_like of shape (n,), optional
        Target; not needed when the formula names it.
    prior : Prior, optional
        ``BetaR2(0.5, 0.5)`` by default; see :mod:`bayesridge.priors`.
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

    Returns
    -------
    Posterior

    Raises
    ------
    DataError
        For data that cannot be used, naming columns and rows.
    ImproperPosteriorError
        If the priors have no posterior for these data.
    """
    problem = read_problem(
        X, y, formula=formula, weights=weights, weight_kind=weight_kind, fit_intercept=fit_intercept, scale=scale,
        unpenalized=unpenalized, missing=missing,
    )  # fmt: skip
    design = problem.design
    return infer(design, factorize(design), prior or BetaR2(), noise_prior or Jeffreys(), method)


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
