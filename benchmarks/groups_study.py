"""Several scales: calibration over the prior, and coverage at fixed truths on fresh designs.

    python -m benchmarks.groups_study sbc --simulations 1000 --record sbc.jsonl
    python -m benchmarks.groups_study "coverage of a plug-in" --simulations 2000 --only crossed

Prints the tables of docs/validation_coverage.md; goes on from its record where it was stopped. Designs are drawn anew
for every data set. The flat directions and sigma stand still at 0 and 1: under the priors that they have (the right
Haar measures of location and scale) posterior probabilities are uniform whatever they are. Data are simulated from the
design's own columns by code of this file.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesridge import BayesRidge
from bayesridge.checks.calibration import holm
from bayesridge.checks.ecdf_bands import uniformity_pvalue
from bayesridge.errors import BayesRidgeWarning
from bayesridge.tables.smooth import Spline

Array = NDArray[np.float64]

_SEED = 14_000  # apart from every other seed of this repository
_ROUND = 20  # data sets of each case in turn


@dataclass
class World:
    """One data set, and what is true of it.

    Attributes
    ----------
    table, options : DataFrame, dict
        With the target "y"; the estimator's arguments.
    scales : dict of str to float
        By the names that the posterior gives them.
    fixed : dict of str to float
        Coefficients.
    effects : dict of str to ndarray
        By factor, in the order of its labels.
    new, expected : DataFrame or None, ndarray
        Further rows, and the expected target there.
    kind : str
        Of these rows: "unseen level", or "curve".
    """

    table: pd.DataFrame
    options: dict[str, Any]
    scales: dict[str, float]
    fixed: dict[str, float] = field(default_factory=dict)
    effects: dict[str, Array] = field(default_factory=dict)
    new: pd.DataFrame | None = None
    expected: Array = field(default_factory=lambda: np.empty(0))
    kind: str = "unseen level"


Ratios = Callable[[np.random.Generator, float], float]


def from_prior(rng: np.random.Generator, signal: float) -> float:
    """Draw tau / sigma from the default prior: half-Cauchy of scale 1 / sqrt(signal)."""
    return float(np.abs(np.tan(np.pi * (rng.random() - 0.5))) / np.sqrt(signal))


def at(*ratios: float) -> Ratios:
    """Give these values of tau / sigma, one after the other."""
    left = iter(ratios)
    return lambda rng, signal: next(left)  # noqa: ARG005


def two_groups(rng: np.random.Generator, ratio: Ratios, n: int = 40, sizes: tuple[int, int] = (4, 6)) -> World:
    """Columns in two groups, on correlated normals."""
    names = [[f"{group}{j}" for j in range(size)] for group, size in zip("uv", sizes, strict=True)]
    X = rng.standard_normal((n, sum(sizes))) + rng.standard_normal((n, 1))
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    tau = [ratio(rng, float(size)) for size in sizes]
    beta = np.repeat(tau, sizes) * rng.standard_normal(sum(sizes))
    columns = names[0] + names[1]
    table = pd.DataFrame(X, columns=columns).assign(y=standard @ beta + rng.standard_normal(n))
    scales = {"sigma": 1.0, "tau[u]": tau[0], "tau[v]": tau[1]}
    found = World(table, {"groups": {"u": names[0], "v": names[1]}}, scales)
    found.fixed = dict(zip(columns, (beta / X.std(axis=0)).tolist(), strict=True))
    return found


def crossed(rng: np.random.Generator, ratio: Ratios, n: int = 72, levels: tuple[int, int] = (8, 6)) -> World:
    """Two crossed factors and a fixed effect; every level is seen."""
    codes = [rng.permutation(np.arange(n) % size) for size in levels]
    tau = [ratio(rng, 1.0) for _ in levels]
    effects = [one * rng.standard_normal(size + 1) for one, size in zip(tau, levels, strict=True)]
    x = rng.standard_normal(n)
    y = rng.standard_normal(n) + effects[0][codes[0]] + effects[1][codes[1]]
    text = [np.char.add(name, np.char.zfill(code.astype(str), 2)) for name, code in zip("ab", codes, strict=True)]
    table = pd.DataFrame({"x": x, "a": text[0], "b": text[1], "y": y})
    return World(
        table, {"formula": "y ~ x + (1 | a) + (1 | b)"}, {"sigma": 1.0, "tau[a]": tau[0], "tau[b]": tau[1]},
        {"x": 0.0}, {"a": effects[0][:-1], "b": effects[1][:-1]},
        pd.DataFrame({"x": [0.5], "a": ["none"], "b": ["none"]}), np.array([effects[0][-1] + effects[1][-1]]),
    )  # fmt: skip


def slopes(rng: np.random.Generator, ratio: Ratios, levels: int = 10, rows: int = 6) -> World:
    """Intercepts and slopes that are correlated within levels; rho is uniform."""
    code, x = np.repeat(np.arange(levels), rows), rng.standard_normal(levels * rows)
    tau = np.array([ratio(rng, 1.0), ratio(rng, float(np.square(x).mean()))])
    rho = rng.uniform(-1.0, 1.0)
    z = rng.standard_normal((levels + 1, 2))
    effects = tau * np.column_stack([z[:, 0], rho * z[:, 0] + np.sqrt(1.0 - rho**2) * z[:, 1]])
    y = rng.standard_normal(len(x)) + effects[code, 0] + effects[code, 1] * x
    table = pd.DataFrame({"x": x, "a": [f"a{k}" for k in code], "y": y})
    scales = {"sigma": 1.0, "tau[a]": tau[0], "tau[a:x]": tau[1], "rho[a]": rho}
    return World(
        table, {"formula": "y ~ x + (x | a)"}, scales, {"x": 0.0}, {"a": effects[:-1].ravel()},
        pd.DataFrame({"x": [1.0], "a": ["none"]}), effects[-1:] @ [1.0, 1.0],
    )  # fmt: skip


def smooth(rng: np.random.Generator, ratio: Ratios, n: int = 60) -> World:
    """A curve drawn from its own prior, its straight line nothing."""
    x = rng.uniform(size=n)
    basis = Spline.fit(x, 20, float(x.min()), float(x.max()))
    Z = basis.columns(x)
    tau = ratio(rng, float(np.square(Z).sum() / n))
    u, new = tau * rng.standard_normal(18), np.linspace(x.min(), x.max(), 11)
    table = pd.DataFrame({"x": x, "y": Z @ u + rng.standard_normal(n)})
    scales = {"sigma": 1.0, "tau": tau}
    expected = basis.columns(new) @ u
    return World(table, {"formula": "y ~ s(x)"}, scales, {}, {}, pd.DataFrame({"x": new}), expected, "curve")


def known_curve(function: Callable[[Array], Array]) -> Callable[[np.random.Generator, Ratios], World]:
    """Make a world of a given curve on [0, 1]."""

    def make(rng: np.random.Generator, ratio: Ratios, n: int = 100) -> World:  # noqa: ARG001
        x = rng.uniform(size=n)
        new = np.linspace(x.min(), x.max(), 21)
        table = pd.DataFrame({"x": x, "y": function(x) + 0.5 * rng.standard_normal(n)})
        return World(
            table, {"formula": "y ~ s(x)"}, {"sigma": 0.5}, {}, {}, pd.DataFrame({"x": new}), function(new), "curve"
        )

    return make


Found = dict[str, Array]

CALIBRATED = {"two groups": two_groups, "crossed": crossed, "smooth": smooth, "correlated slopes": slopes}

COVERED: dict[str, tuple[Callable[..., World], tuple[float, ...]]] = {
    "crossed 6 x 6, tau .3 and 1": (lambda r, t: crossed(r, t, 72, (6, 6)), (0.3, 1.0)),
    "crossed 6 x 6, tau 3 and 1": (lambda r, t: crossed(r, t, 72, (6, 6)), (3.0, 1.0)),
    "crossed 20 x 5, tau 1 and 0": (lambda r, t: crossed(r, t, 100, (20, 5)), (1.0, 0.0)),
    "groups of 10 + 30, n = 60": (lambda r, t: two_groups(r, t, 60, (10, 30)), (0.5, 0.1)),
    "slopes of 10 x 6, tau 1 and .5": (slopes, (1.0, 0.5)),
    "smooth: a line": (known_curve(lambda x: x), ()),
    "smooth: a sine": (known_curve(lambda x: np.sin(2.0 * np.pi * x)), ()),
    "smooth: three sines": (known_curve(lambda x: np.sin(6.0 * np.pi * x)), ()),
}


def probabilities(world: World, **options: Any) -> tuple[Found, Any]:
    """Posterior probability below every truth, and the posterior."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)  # unseen levels, no signal: that is what is simulated
        table = world.table
        data = (table.drop(columns="y"), table["y"]) if "groups" in world.options else (table,)
        fit = BayesRidge(**world.options, **options).fit(*data)
        post = fit.posterior_
        pits = {name: np.atleast_1d(post.scales[name].cdf(value)) for name, value in world.scales.items()}
        if world.fixed:
            names = list(post.design.names)
            some = post.coefficients.take(np.array([names.index(name) for name in world.fixed]))
            pits["fixed effects"] = some.cdf(np.array(list(world.fixed.values())))
        for name, truth in world.effects.items():
            found = post.levels(name)
            pits[f"effects of {name}"] = found.take(slice(0, len(truth))).cdf(truth)
        if world.new is not None:
            pits[world.kind] = fit.predictive(world.new).expected.cdf(world.expected)
    return pits, post


def pits_of(name: str, k: int, **options: Any) -> dict[str, float]:
    """PIT value of each quantity of data set k, the first where it is several numbers."""
    rng = np.random.default_rng([_SEED, *name.encode(), k])
    found, _ = probabilities(CALIBRATED[name](rng, from_prior), **options)
    return {key: float(value[0]) for key, value in found.items()}


def covered_by(name: str, k: int, **options: Any) -> dict[str, float]:
    """Share of the truths of data set k within their 95% intervals, equal-tailed, and the shortest ones of tau > 0."""
    make, ratios = COVERED[name]
    world = make(np.random.default_rng([_SEED, 1, *name.encode(), k]), at(*ratios))
    pits, post = probabilities(world, **options)
    each: dict[str, list[float]] = {}
    for key, value in pits.items():
        if key == "sigma" or key not in world.scales:
            each.setdefault(key.split(" of ")[0], []).extend((np.abs(value - 0.5) <= 0.475).tolist())
    for key, truth in world.scales.items():
        if key.startswith("tau") and truth > 0:
            low, high = post.scales[key].hdi(0.95)
            each.setdefault("tau (HDI)", []).append(float(low <= truth <= high))
    return {key: float(np.mean(value)) for key, value in each.items()}


STUDIES: dict[str, tuple[Callable[..., dict[str, float]], Any, dict[str, Any]]] = {
    "sbc": (pits_of, CALIBRATED, {}),
    "coverage": (covered_by, COVERED, {}),
    # scales taken for known: what the studies have to find
    "sbc of a plug-in": (pits_of, CALIBRATED, {"method": "evidence"}),
    "coverage of a plug-in": (covered_by, COVERED, {"method": "evidence"}),
}


def together(rows: Iterable[dict[str, float]]) -> dict[str, Array]:
    """Values of each quantity, (simulations,)."""
    found = list(rows)
    return {key: np.array([row[key] for row in found]) for key in found[0]}


def p_values(pits: dict[str, Array]) -> dict[str, float]:
    """P value of uniformity of each, adjusted over the quantities (Holm)."""
    found = np.array([uniformity_pvalue(np.clip(one, 0.0, 1.0)) for one in pits.values()])
    return dict(zip(pits, holm(found).tolist(), strict=True))


def run(what: str, cases: list[str], simulations: int, record: Path) -> None:
    """Fit what is not in the record yet, in rounds over the cases, a line of JSON for each data set."""
    done = {(row["case"], row["k"]) for row in recorded(record, what)}
    one, _, options = STUDIES[what]
    with record.open("a", encoding="utf-8") as file:
        file.write("\n")  # a line that was cut off stays one by itself
        for start in range(0, simulations, _ROUND):
            for name in cases:
                for k in range(start, min(start + _ROUND, simulations)):
                    if (name, k) not in done:
                        row = {"what": what, "case": name, "k": k, "found": one(name, k, **options)}
                        print(json.dumps(row), file=file, flush=True)


def recorded(record: Path, what: str) -> list[dict[str, Any]]:
    """Rows of a record that are of one study, without a line that was cut off."""
    lines = record.read_text(encoding="utf-8").split("\n") if record.exists() else []
    return [row for row in (json.loads(one) for one in lines if one.endswith("}}")) if row["what"] == what]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=tuple(STUDIES))
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--record", type=Path, default=Path("groups_study.jsonl"), help="goes on where it ended")
    options = parser.parse_args()
    cases = [name for name in STUDIES[options.what][1] if options.only in name]
    run(options.what, cases, options.simulations, options.record)
    rows = recorded(options.record, options.what)
    print("| case | data sets | found |\n|---|---|---|")
    for name in cases:
        each = together(row["found"] for row in rows if row["case"] == name)
        if options.what.startswith("sbc"):
            said = ", ".join(f"{key} {value:.2g}" for key, value in p_values(each).items())
        else:
            said = ", ".join(
                f"{key} {100 * v.mean():.1f} ± {100 * v.std() / np.sqrt(len(v)):.1f}" for key, v in each.items()
            )
        print(f"| {name} | {len(next(iter(each.values())))} | {said} |")


if __name__ == "__main__":
    main()
