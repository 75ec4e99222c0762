"""The posterior of an outcome: nodes, bells, correction; sampling where the correction is not certified."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design
from bayesridge.errors import AccuracyWarning, ModelFileError, PriorError, warn
from bayesridge.outcomes.certificate import ACCURACY, WITHIN, Certificate, Judged, certify
from bayesridge.outcomes.correction import Sampler, Weighted, joined
from bayesridge.outcomes.family import Family, family_of
from bayesridge.outcomes.hamiltonian import CHAINS, Chains
from bayesridge.outcomes.nodes import Node, lay_nodes, most_evident
from bayesridge.outcomes.posterior import DRAWS, OutcomePosterior
from bayesridge.outcomes.prior import default_prior, density_of_t, fixed_t
from bayesridge.outcomes.problem import Directions, Outcome, make_outcome
from bayesridge.outcomes.separation import refuse_flat_separation, separation
from bayesridge.parallel.threads import threads_for
from bayesridge.persistence import prior_from_state
from bayesridge.priors import FixedLambda, Prior

Array = NDArray[np.float64]

SEED = 20_011  # of the scramblings and chains: the same data give the same numbers
_FIRST = 512  # draws of each replicate, twice
_MOST = 16_384
_MOST_WORK = 4e10  # rows x coordinates x draws
_CHAIN = 64  # draws of each chain, twice
_LONGEST = 8_192
_MOST_KEPT = 20_000_000  # draws x columns


def infer_outcome(
    family: Family,
    design: Design,
    prior: Prior | None = None,
    offset: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    *,
    plug_in: bool = False,
) -> OutcomePosterior:
    """Compute the posterior; `plug_in` takes the lambda of the largest evidence, whose uncertainty it ignores.

    Raises
    ------
    DataError
        For outcomes, offsets, trials or weights that cannot be.
    PriorError
        For a prior that needs a noise variance.
    ImproperPosteriorError
        If the flat columns alone separate the outcomes, the prior's tail is too heavy, or there is no largest evidence.
    """
    problem = make_outcome(family, design, offset, trials)
    if plug_in and family.learns:
        raise PriorError(
            f"method='evidence' plugs lambda in, and {family.text} learn {family.learns} too: give it (family="
            f"{type(family).__name__}({family.learns}=...)), or use method='posterior'"
        )
    if not plug_in:
        return infer_problem(problem, prior or default_prior(family, design))
    refuse_flat_separation(problem)
    return infer_problem(problem, FixedLambda(float(np.exp(most_evident(problem.merged())))), plugged_in=True)


def infer_problem(problem: Outcome, prior: Prior, *, plugged_in: bool = False) -> OutcomePosterior:
    """:func:`infer_outcome` of a problem in coordinates."""
    refuse_flat_separation(problem)
    fixed = fixed_t(prior)
    with threads_for(max(problem.rows.shape[1], 32)):  # tall products too
        distinct = problem.merged()
        nodes = lay_nodes(distinct, density_of_t(prior)) if fixed is None else lay_nodes(distinct, None, fixed)
        found = _draws(distinct, nodes)
    sentences = _sentences(problem, found)
    step = max(1, int(np.ceil(found.draws.node.size * problem.design.n_columns / _MOST_KEPT)))
    all_of = found.draws
    kept = Weighted(all_of.theta[:, ::step], all_of.node[:, ::step], all_of.log_weight[:, ::step], all_of.mass)
    evidence = None if found.evidence is None else (found.evidence[0] + problem.log_units, found.evidence[1])
    of_lambda = "integrated" if fixed is None else "plugged in" if plugged_in else "given"
    return OutcomePosterior(
        problem.family, problem.design, problem.directions, prior, kept, np.array([node.t for node in nodes]),
        np.array([node.log_step for node in nodes]), _extra(nodes), f"{found.how}, lambda {of_lambda}", sentences,
        evidence, problem.asks, partial(infer_problem, plugged_in=plugged_in), problem, plugged_in,
    )  # fmt: skip


def outcome_from_state(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> OutcomePosterior:
    """Make the posterior of what a file holds.

    Raises
    ------
    ModelFileError
        If parts do not fit together.
    """
    family = family_of(str(facts["family"]))
    if (family.learns is None) != ("extra" not in arrays):
        raise ModelFileError(f"it holds no draws of what {family.name} learns, or draws of what it does not")
    design = Design.from_state(facts["design"], arrays)
    directions = Directions(arrays["V"], arrays["on_flat"])
    draws = Weighted(**{name: arrays[name] for name in DRAWS})
    t, (R, S, d) = arrays["t"], draws.theta.shape
    fitting = [
        draws.node.shape == draws.log_weight.shape == (R, S), draws.mass.shape == (R, len(t)),
        d == design.n_flat + directions.V.shape[1], len(directions.V) == len(design.penalized),
        directions.on_flat.shape == (len(design.unpenalized), len(design.penalized)),
        arrays["log_step"].shape == arrays.get("extra", t).shape == t.shape,
        0 <= draws.node.min() <= draws.node.max() < len(t),
        all(np.isfinite(values).all() for values in (draws.theta, draws.log_weight, draws.mass, t)),
        all(np.isfinite(values).all() for values in (directions.V, directions.on_flat)),
        all(np.isfinite(arrays[name]).all() for name in ("offset", "trials") if name in arrays),
        all(arrays[name].shape == (design.n_rows,) for name in ("offset", "trials") if name in arrays),
    ]  # fmt: skip
    if not all(fitting):
        raise ModelFileError("its arrays do not fit together")
    asks, plugged_in = tuple(map(str, facts["asks"])), facts["method"] == "evidence"
    problem = None
    if design.has_rows:
        rows = directions.of(design, design.X)
        problem = Outcome(family, design, directions, rows, arrays["offset"], arrays.get("trials"), asks)
    evidence = (
        None if facts["log_evidence"] is None else (float(facts["log_evidence"][0]), float(facts["log_evidence"][1]))
    )
    return OutcomePosterior(
        family, design, directions, prior_from_state(facts["prior"]), draws, t, arrays["log_step"],
        arrays.get("extra"), str(facts["how"]), tuple(map(str, facts["check"])), evidence, asks,
        partial(infer_problem, plugged_in=plugged_in), problem, plugged_in,
    )  # fmt: skip


def _extra(nodes: list[Node]) -> Array | None:
    return None if nodes[0].extra is None else np.array([node.extra for node in nodes])


class _Found(NamedTuple):
    draws: Weighted
    certificate: Certificate
    how: str
    evidence: tuple[float, float] | None
    refused: Certificate | None = None


def _draws(problem: Outcome, nodes: list[Node]) -> _Found:
    """Weight draws from the bells, then from the bells bent row by row; where neither is certified, sample."""
    plain = _weighted(problem, nodes, bent=False)
    if plain.certificate.passed:
        return plain
    bent = _weighted(problem, nodes, bent=True)
    return bent if bent.certificate.passed else _chains(problem, nodes, bent.certificate)


def _weighted(problem: Outcome, nodes: list[Node], *, bent: bool) -> _Found:
    sampler = Sampler(problem, nodes, SEED, bent=bent)
    before = sampler.more(_FIRST)
    most = min(_MOST, _MOST_WORK / (problem.rows.size * 8.0))
    while True:
        count = before.node.shape[1]
        draws = joined(before, sampler.more(count))
        verdict = _judge(problem, nodes, before, draws, weighted=True)
        if verdict.passed or 4 * count > most or verdict.hopeless(most / (2 * count)):
            how = f"{'bent ' if bent else ''}expectation propagation corrected by importance sampling"
            return _Found(draws, verdict, how, log_evidence(draws))
        before = draws


def log_evidence(draws: Weighted) -> tuple[float, float]:
    """Log of the mean weight and its standard error from the replicates."""
    top = draws.log_weight.max()
    each = np.exp(draws.log_weight - top).mean(axis=1)
    error = float(each.std(ddof=1) / np.sqrt(len(each)) / each.mean())
    return float(top + np.log(each.mean())), error


def _chains(problem: Outcome, nodes: list[Node], refused: Certificate) -> _Found:
    """Sample; how many draws are kept is a matter of memory."""
    chains = Chains(problem, nodes, np.random.default_rng(SEED))
    before = chains.run(_CHAIN)
    while True:
        length = before.node.shape[1] // CHAINS
        draws = joined(before, chains.run(length))
        verdict = _judge(problem, nodes, before, draws, weighted=False)
        if verdict.passed or 4 * length > _LONGEST:
            break
        before = draws
    if not verdict.passed:
        warn(accuracy_text(verdict), AccuracyWarning)
    how = "Hamiltonian sampling in whitened coordinates"
    return _Found(draws, verdict, how, chains.log_evidence(draws), refused)


def accuracy_text(verdict: Certificate) -> str:
    """What is warned of where the certificate was not given."""
    return (
        f"the numbers of this posterior are right to {WITHIN * verdict.standard_error:.2g} posterior sd only (asked: "
        f"{WITHIN * ACCURACY:.2g}): {verdict.sentence}"
    )


def _judge(problem: Outcome, nodes: list[Node], before: Weighted, after: Weighted, *, weighted: bool) -> Certificate:
    logs = {"log lambda": np.array([node.t for node in nodes])}
    if (extra := _extra(nodes)) is not None:
        logs[f"log {problem.family.learns}"] = np.log(extra)
    return judge(problem, logs, before, after, weighted=weighted)


def judge(
    problem: Outcome, logs: Mapping[str, Array], before: Weighted, after: Weighted, *, weighted: bool
) -> Certificate:
    """Judge draws by coefficients spread over all, by the scales at the nodes, and by what else was drawn."""
    design, picked, seen = problem.design, problem.judged, problem.judged_rows

    def judged(draws: Weighted) -> Judged:
        values = [draws.theta @ seen.T]
        values += [] if draws.extra is None else [np.log(np.moveaxis(draws.extra, 0, 2))]
        return Judged(np.concatenate(values, axis=2), draws.weight, np.column_stack([*logs.values()]), draws.mass)

    flat = [*(["intercept"] if design.fit_intercept else []), *[design.names[j] for j in design.unpenalized]]
    drawn = [] if after.extra is None else ["log sigma", "log degrees of freedom"]
    labels = (*flat, *[design.names[j] for j in design.penalized[picked]], *drawn, *logs)
    return certify(judged(before), judged(after), labels, after.log_weight, weighted=weighted)


def _sentences(problem: Outcome, found: _Found) -> tuple[str, ...]:
    said = [f"accuracy: {found.certificate.sentence}"]
    if found.refused is not None:
        said.append(f"sampled, because importance sampling was not certified: {found.refused.sentence}")
    apart = separation(problem)
    if apart is not None:
        design = problem.design
        used = np.flatnonzero(np.abs(apart.coef) > 1e-6 * np.abs(apart.coef).max(initial=0.0))
        used = used[np.argsort(-np.abs(apart.coef[used]), kind="stable")]
        names = ", ".join([design.names[j] for j in used[:6]]) + (", ..." if len(used) > 6 else "")
        rows = ", ".join(map(str, design.input_rows[apart.rows[:6]])) + (", ..." if len(apart.rows) > 6 else "")
        said.append(
            f"separated: along a direction of {names} the likelihood grows for ever ({len(apart.rows)} rows: {rows}); "
            "the prior of tau holds the coefficients, judge them by medians and quantiles"
        )
    return tuple(said)
