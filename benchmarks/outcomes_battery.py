"""Posteriors of families on fresh random problems, held against references of a finer lattice and many more draws.

    python -m benchmarks.outcomes_battery --problems 200 --out build/battery.jsonl
    python -m benchmarks.outcomes_battery --pymc --out build/pymc.jsonl

One line a problem is appended; those that the file has are not run again. Each problem draws its family, 20 to 1,000
rows, 2 to 300 columns, their correlation, how strong they are and how rare successes are; a part of the binary ones is
separated. Numbers are means, sds and 2.5, 50, 97.5% quantiles of (at most eight) coefficients and of log lambda; a
number agrees when it is within 2.36 sqrt(SE^2 + SE of the reference^2), both from the spread of eight replicates.

The reference has half the spacing of nodes and scramblings of its own. It samples by importance, from the bells or from
bent ones, where at the end Pareto k < .5 and every standard error is below .021 sd, else by Hamiltonian chains; every
tenth problem has both, compared. `--pymc` holds references against what has nothing in common with them: PyMC's NUTS on
the model as it is written in `models/`, for the first twenty problems of at most 30 directions and 30,000 entries.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bayesridge.design.design import build_design
from bayesridge.errors import BayesRidgeError, BayesRidgeWarning
from bayesridge.outcomes import nodes as lattice
from bayesridge.outcomes.correction import Sampler, Weighted, joined
from bayesridge.outcomes.family import FAMILIES
from bayesridge.outcomes.hamiltonian import Chains
from bayesridge.outcomes.infer import infer_problem, judge
from bayesridge.outcomes.posterior import OutcomePosterior
from bayesridge.outcomes.prior import default_prior, density_of_t
from bayesridge.outcomes.problem import Outcome, make_outcome

Array = NDArray[np.float64]

_FAR = 2.36
_PROBABILITIES = (0.025, 0.5, 0.975)
_SEED = 90_217  # apart from every other seed of this repository
_KINDS = ("binomial", "binomial", "poisson", "negative-binomial")
_MOST_VALUES = 3e7  # of a reference by importance
_SURE = 0.021  # sds
_SMALL = (30, 30_000)  # directions and entries of problems that NUTS is run on
_AS_MANY = 20
_LATTICE = 0.01  # sds of log lambda, which the spline through its nodes is allowed: they have no standard error


def problem(number: int, largest: int) -> tuple[Outcome, str]:
    """Make a problem by its number alone."""
    rng = np.random.default_rng([_SEED, number])
    while True:
        name = _KINDS[rng.integers(len(_KINDS))]
        n = int(np.exp(rng.uniform(np.log(20), np.log(min(1_000, largest)))))
        p = int(np.exp(rng.uniform(np.log(2), np.log(min(300, largest)))))
        common = rng.uniform(0.0, 0.95) * rng.integers(2)
        X = np.sqrt(common) * rng.standard_normal((n, 1)) + np.sqrt(1.0 - common) * rng.standard_normal((n, p))
        slopes = rng.standard_normal(p) * (rng.random(p) < rng.choice([0.2, 1.0])) * rng.choice([0.3, 1.0, 3.0])
        eta = X @ slopes / np.sqrt(p)
        if name == "binomial":
            eta = eta + rng.choice([0.0, 0.0, -2.0])
            separated = rng.random() < 0.15
            y = (eta > np.median(eta) if separated else rng.random(n) < expit(eta)).astype(float)
            if min(y.sum(), n - y.sum()) < 3:
                continue
        else:
            rate = np.exp(np.clip(eta + rng.choice([-1.5, 0.5, 2.0]), -20.0, 8.0))
            y = rng.poisson(rate * (rng.gamma(2.0, 0.5, n) if name == "negative-binomial" else 1.0)).astype(float)
            if np.count_nonzero(y) < 3:
                continue
        return make_outcome(FAMILIES[name], build_design(X, y)), f"{name} {n}x{p}"


def numbers(post: OutcomePosterior, directions: Array) -> tuple[Array, Array, Array]:
    """Mean, sd and quantiles (5, m + 1) of directions and log lambda, their standard errors, and the sds."""
    draws = post.draws_
    values = np.concatenate([draws.theta @ directions.T, post.t[draws.node][..., None]], axis=2)
    each = np.array([_of(v, w) for v, w in zip(values, draws.weight, strict=True)])
    share = draws.mass / draws.mass.sum(axis=1, keepdims=True)  # of chains, better than counts
    mean = share @ post.t
    each[:, 0, -1], each[:, 1, -1] = mean, np.sqrt(share @ np.square(post.t) - mean**2)
    whole = _of(values.reshape(-1, values.shape[2]), draws.weight.ravel())
    share = draws.mass.sum(axis=0) / draws.mass.sum()
    mean = share @ post.t
    ends = [np.log(post.lambda_.quantile(q)) for q in _PROBABILITIES]
    whole[:, -1] = [mean, np.sqrt(share @ np.square(post.t) - mean**2), *ends]
    R = len(each)
    return whole, np.sqrt(np.square(each - each.mean(axis=0)).sum(axis=0) / (R * (R - 1))), whole[1]


def _of(values: Array, weight: Array) -> Array:
    w = weight / weight.sum()
    mean = w @ values
    order = np.argsort(values, axis=0)
    below = np.cumsum(w[order], axis=0) - 0.5 * w[order]
    ends = [np.interp(_PROBABILITIES, below[:, j], values[order[:, j], j]) for j in range(values.shape[1])]
    return np.vstack([mean, np.sqrt(w @ np.square(values - mean)), np.array(ends).T])


def by_importance(distinct: Outcome, nodes: list[lattice.Node], seconds: float, *, bent: bool) -> tuple[Weighted, bool]:
    """Double until the time is over; whether the certificate is given, and the errors are half of what it asks."""
    sampler, start = Sampler(distinct, nodes, _SEED, bent=bent), time.process_time()
    before = sampler.more(1_024)
    while True:
        draws = joined(before, sampler.more(before.node.shape[1]))
        if draws.theta.size > _MOST_VALUES or time.process_time() - start > 0.5 * seconds:
            break
        before = draws
    logs = {"log lambda": np.array([node.t for node in nodes])}
    verdict = judge(distinct, logs, before, draws, weighted=True)
    return draws, verdict.passed and verdict.standard_error <= _SURE


def by_chains(distinct: Outcome, nodes: list[lattice.Node], seconds: float) -> Weighted:
    """Run until the time is over."""
    start = time.process_time()
    chains = Chains(distinct, nodes, np.random.default_rng([_SEED, 1]))
    parts = [chains.run(50)]
    while time.process_time() - start < seconds and len(parts) * parts[0].theta.size < _MOST_VALUES:
        parts.append(chains.run(50))
    draws = parts[0]
    for part in parts[1:]:
        draws = joined(draws, part)
    return draws


def references(post: OutcomePosterior, one: Outcome, seconds: float, both: bool) -> dict[str, OutcomePosterior]:
    """Posteriors of the same problem by other means."""
    distinct = one.merged()
    with patch.object(lattice, "_STEP", lattice._STEP * (0.5 if one.family.learns is None else 0.7)):
        nodes = lattice.lay_nodes(distinct, density_of_t(post.prior))
    found: dict[str, Weighted] = {}
    draws, sure = by_importance(distinct, nodes, seconds, bent=False)
    if not sure:
        draws, sure = by_importance(distinct, nodes, seconds, bent=True)
    if sure:
        found["importance"] = draws
    if both or not sure:
        found["chains"] = by_chains(distinct, nodes, seconds)
    extra = None if nodes[0].extra is None else np.array([node.extra for node in nodes])
    t, log_step = (np.array([getattr(node, name) for node in nodes]) for name in ("t", "log_step"))
    return {k: replace(post, draws_=one, t=t, log_step=log_step, extra=extra) for k, one in found.items()}


def looked_at(one: Outcome) -> Array:
    """The intercept, and what the data see of at most seven coefficients, in the coordinates of a problem."""
    q = one.n_flat
    picked = np.unique(np.linspace(0, len(one.directions.V) - 1, 7).astype(int))
    directions = np.zeros((q + len(picked), one.rows.shape[1]))
    directions[:q, :q] = np.eye(q)
    directions[q:, q:] = one.directions.V[picked]
    return directions


def held_against_nuts(number: int, largest: int, seconds: float) -> dict[str, Any] | None:
    """Differences between a problem's reference and NUTS, in their standard errors; None for large problems."""
    import arviz as az

    from bayesridge.mcmc.chains import Sampler, sample_chains

    one, label = problem(number, largest)
    n, p = one.design.X.shape
    if one.rank > _SMALL[0] or n * p > _SMALL[1]:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        post = infer_problem(one, default_prior(one.family, one.design))
    directions = looked_at(one)
    ((kind, reference),) = references(post, one, seconds, both=False).items()
    expected, error, sd = numbers(reference, directions)
    name = one.family.name.replace("-", "_")
    model = getattr(import_module(f"bayesridge.models.{name}"), name)(one.design, prior=post.prior)
    drawn = sample_chains(model, Sampler("pymc", progressbar=False), n_jobs=1, random_state=number)
    draws = drawn.posterior
    theta = np.concatenate([draws["centre"].values[..., None], draws["beta"].values @ one.directions.V], axis=2)
    values = np.concatenate([theta @ directions.T, np.log(draws["lambda_"].values)[..., None]], axis=2)
    asked = [("mean", {}), ("sd", {}), *[("quantile", {"prob": q}) for q in _PROBABILITIES]]
    columns = range(values.shape[2])
    mcse = np.array([[float(az.mcse(values[..., j], method=how, **to)) for j in columns] for how, to in asked])
    flat = values.reshape(-1, values.shape[2])
    found = np.vstack([flat.mean(axis=0), flat.std(axis=0), np.quantile(flat, _PROBABILITIES, axis=0)])
    first = 2 if "separated" in " ".join(post.check) else 0  # judged by median and quantiles
    z = ((found - expected) / np.hypot(mcse, error))[first:]
    return {
        "problem": number, "what": label, "reference": kind, "separated": first > 0, "numbers": z.size,
        "within_2": int((np.abs(z) < 2.0).sum()), "within_4": int((np.abs(z) < 4.0).sum()),
        "root_mean_square": round(float(np.sqrt(np.square(z).mean())), 3), "largest": round(float(np.abs(z).max()), 2),
        "mcse_sd": round(float(np.median(mcse[first:] / sd)), 4), "seconds": round(drawn.sampling_seconds, 1),
        "divergences": int(drawn.sample_stats["diverging"].sum()),
        "rhat": round(max(float(az.rhat(values[..., j])) for j in columns), 3),
    }  # fmt: skip


def measure(number: int, largest: int, seconds: float) -> dict[str, Any]:
    """Fit one problem, and hold it against its reference."""
    one, label = problem(number, largest)
    start = time.process_time()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", BayesRidgeWarning)
        post = infer_problem(one, default_prior(one.family, one.design))
    elapsed = time.process_time() - start
    directions = looked_at(one)
    found = numbers(post, directions)
    held = {k: numbers(ref, directions) for k, ref in references(post, one, seconds, both=number % 10 == 0).items()}
    kind = "importance" if "importance" in held else "chains"
    separated = "separated" in " ".join(post.check)
    first = 2 if separated else 0  # judged by median and quantiles

    def against(a: tuple[Array, Array, Array], b: tuple[Array, Array, Array]) -> tuple[Array, float]:
        gap, both = np.abs(a[0] - b[0])[first:], np.hypot(a[1], b[1])[first:]
        beyond = (gap - 3.0 * b[1][first:]) / b[2]
        lattice_error = np.append(np.zeros(gap.shape[1] - 1), _LATTICE * b[2][-1])
        return gap <= _FAR * both + lattice_error + 1e-12, float(beyond.max())

    agree, beyond = against(found, held[kind])
    record = {
        "problem": number, "what": label, "separated": separated, "rank": one.rank, "path": post.how.split(",")[0],
        "seconds": round(elapsed, 2), "agree": round(float(agree.mean()), 4), "of_lambda": agree[:, -1].tolist(),
        "error_sd": round(float((found[1][first:] / held[kind][2]).max()), 4),
        "beyond_sd": round(beyond, 4), "warned": len(heard), "reference": kind,
        "reference_sd": round(float((held[kind][1][first:] / held[kind][2]).max()), 4),
        "reference_effective": round(float(np.median(np.square(held[kind][2] / held[kind][1][0])))),
        "reference_seconds": round(time.process_time() - start - elapsed, 1),
    }  # fmt: skip
    if len(held) == 2:
        record["references_agree"] = round(float(against(held["importance"], held["chains"])[0].mean()), 4)
    return record


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the table of the documentation."""
    kinds: dict[str, list[dict[str, Any]]] = {"all": rows}
    for name in ("binomial", "poisson", "negative-binomial"):
        kinds[name] = [one for one in rows if one["what"].startswith(name)]
    kinds["separated"] = [one for one in rows if one["separated"]]
    kinds["not separated, rank <= 20"] = [one for one in rows if one["rank"] <= 20 and not one["separated"]]
    kinds["rank > 20"] = [one for one in rows if one["rank"] > 20]
    lines = [
        "| problems | number | within 2.36 SE | by importance sampling | off by .1 sd | warned | median s | slowest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, some in kinds.items():
        if not some:
            continue
        fast = sum("importance" in one["path"] for one in some)
        far = [one for one in some if one["beyond_sd"] > 0.1]
        seconds = [one["seconds"] for one in some]
        lines.append(
            f"| {name} | {len(some)} | {100.0 * np.mean([one['agree'] for one in some]):.1f}% | {fast} | {len(far)} | "
            f"{sum(one['warned'] > 0 for one in far)} | {np.median(seconds):.2g} | {max(seconds):.3g} |"
        )
    by = [one["reference"] for one in rows]
    twice = [one["references_agree"] for one in rows if "references_agree" in one]
    size = np.quantile([one["reference_effective"] for one in rows], [0.1, 0.5, 0.9])
    lines.append(
        f"\nReferences: {by.count('importance')} by importance, {by.count('chains')} by chains; effective draws "
        f"(tenth, median, ninth) {', '.join(f'{one:,.0f}' for one in size)}; on {len(twice)} problems with both, "
        f"{100.0 * np.mean(twice) if twice else np.nan:.1f}% of their numbers agree"
    )
    return "\n".join(lines)


def agreement(rows: list[dict[str, Any]]) -> str:
    """Return the table of the documentation: references against NUTS, by family."""
    lines = [
        "| problems | number | numbers | within 2 errors | within 4 | root mean square |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("", "binomial", "poisson", "negative-binomial"):
        some = [one for one in rows if one["what"].startswith(name)]
        total = sum(one["numbers"] for one in some)
        two, four = (sum(one[key] for one in some) for key in ("within_2", "within_4"))
        square = np.sqrt(sum(one["numbers"] * one["root_mean_square"] ** 2 for one in some) / max(total, 1))
        lines.append(f"| {name or 'all'} | {len(some)} | {total} | {two} | {four} | {square:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Run, writing a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--largest", type=int, default=1_000, help="rows and columns at most")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the processor, for each reference")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pymc", action="store_true", help="hold references against NUTS")
    asked = parser.parse_args()
    asked.out.touch()
    done = {json.loads(line)["problem"] for line in asked.out.read_text().splitlines()}
    for number in range(asked.problems):
        if number in done or (asked.pymc and len(done) == _AS_MANY):
            continue
        try:
            record = (held_against_nuts if asked.pymc else measure)(number, asked.largest, asked.seconds)
        except BayesRidgeError as why:
            print(f"problem {number}: {why}", flush=True)
            continue
        if record is None:
            continue
        done.add(number)
        with asked.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    rows = [json.loads(line) for line in asked.out.read_text().splitlines()]
    print(agreement(rows) if asked.pymc else summary(rows))


if __name__ == "__main__":
    main()
