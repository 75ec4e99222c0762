"""From a table to the posterior in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.design.levels import LAID_OUT, codes_of, levels_of
from bayesridge.engines.groups import group_engine
from bayesridge.errors import DataError, DataTypeError, PriorError
from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.inferred import Method
from bayesridge.posteriors.posterior import Posterior, check_method, infer, infer_groups
from bayesridge.posteriors.prediction import refuse_trials
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, by_group
from bayesridge.problem import Problem, read_problem
from bayesridge.tables.blocks import SmoothColumns
from bayesridge.tables.weights import Weighting

if TYPE_CHECKING:
    from bayesridge.outcomes.family import Family

Array = NDArray[np.float64]


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
        if not design.has_rows:
            found[one.term.name] = _signal_of_sums(design, one)
            continue
        codes = codes_of(design.source)
        X = design.X if codes is None else codes.X
        bent, lines = (X[:, [design.names.index(name) for name in names]] for names in (one.names, one.flat_names))
        root = np.ones(len(X)) if design.weights is None else np.sqrt(design.weights)
        flat = np.column_stack([*([np.ones(len(X))] if design.fit_intercept else []), lines - lines.mean(axis=0)])
        flat, bent = flat * root[:, None], bent * root[:, None]
        rest = bent - flat @ np.linalg.lstsq(flat, bent)[0]
        found[one.term.name] = float(np.square(rest).sum() / design.n_obs)
    return found


def _signal_of_sums(design: Design, of: SmoothColumns) -> float:
    """The same from cross-products, which are about the means where there is an intercept."""
    assert design.cross is not None
    bent, lines = ([design.names.index(name) for name in names] for names in (of.names, of.flat_names))
    C = design.cross
    between = C[np.ix_(lines, bent)]
    explained = (between * np.linalg.solve(C[np.ix_(lines, lines)], between)).sum()
    return float((C[bent, bent].sum() - explained) / design.n_obs)


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
    if not hasattr(type(post), "spectrum"):
        raise DataTypeError(
            "a posterior is needed (bayesridge.posterior(X, y), or the attribute posterior_ of a fitted model), got "
            f"{type(post).__name__}"
        )
    _ = post.spectrum  # a posterior that has none says so, and what works instead
    found: Posterior = post
    return found
