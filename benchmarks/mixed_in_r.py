"""R: lme4 and mgcv beside ours on ten tables, ``python -m benchmarks.mixed_in_r`` (R with lme4, mgcv, jsonlite).

Criteria, standard deviations, profile intervals (ML), fitted values at the REML estimates; seconds are of the
processor, R's for the REML fit alone, ours for the whole posterior. Tables under lme4's licence are looked for beside
the repository.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesridge import BayesRidge
from bayesridge.datasets import load
from bayesridge.errors import BayesRidgeWarning
from bayesridge.hyper.reml import estimate

_HERE = Path(__file__).resolve().parent
_TABLES = _HERE.parents[1] / "shared" / "truth" / "data" / "mixedmodels"


def _crossed() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n, a, b = 1_000, rng.integers(0, 60, 1_000), rng.integers(0, 20, 1_000)
    x = rng.standard_normal(n)
    y = 1.0 + x + 0.5 * rng.standard_normal(60)[a] + rng.standard_normal(20)[b] + rng.standard_normal(n)
    return pd.DataFrame({"x": x, "a": a, "b": b, "y": y})


def _slopes() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(30), 8), rng.standard_normal(240)
    effects = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.4], [0.4, 0.5]], 30)
    return pd.DataFrame({"x": x, "g": g, "y": effects[g, 0] + effects[g, 1] * x + 0.7 * rng.standard_normal(240)})


def _curve() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    x = rng.uniform(0.0, 10.0, 200)
    return pd.DataFrame({"x": x, "y": np.sin(x) + 0.1 * x + 0.4 * rng.standard_normal(200)})


#: Table, R's formula, ours where it is another one, and the columns that are factors.
CASES: dict[str, dict[str, Any]] = {
    "Dyestuff": {"table": "dyestuff", "formula": "Yield ~ 1 + (1 | Batch)"},
    "Dyestuff2": {"table": "dyestuff2", "formula": "Yield ~ 1 + (1 | Batch)"},
    "Penicillin": {"table": "penicillin", "formula": "diameter ~ 1 + (1 | plate) + (1 | sample)"},
    "Pastes": {"table": "pastes", "formula": "strength ~ 1 + (1 | batch/cask)"},
    "sleepstudy": {
        "table": "sleepstudy", "formula": "Reaction ~ Days + (Days || Subject)", "factors": ["Subject"],
    },
    "sleepstudy, correlated": {
        "table": "sleepstudy", "formula": "Reaction ~ Days + (Days | Subject)", "factors": ["Subject"],
    },
    "1000 rows, 60 x 20 crossed": {
        "table": "crossed", "formula": "y ~ x + (1 | a) + (1 | b)", "factors": ["a", "b"],
    },
    "30 x 8 correlated slopes": {"table": "slopes", "formula": "y ~ x + (x | g)", "factors": ["g"]},
    "curve, 200 rows": {
        "table": "curve", "formula": "y ~ s(x, bs = 'ps', k = 20, m = c(2, 2))", "ours": "y ~ s(x, k=20)",
        "kind": "smooth",
    },
    "diabetes over bmi": {
        "table": "diabetes", "formula": "progression ~ s(bmi, bs = 'ps', k = 20, m = c(2, 2)) + bp + s5",
        "ours": "progression ~ s(bmi, k=20) + bp + s5", "kind": "smooth",
    },
}  # fmt: skip


def tables() -> dict[str, pd.DataFrame]:
    """All tables by name."""
    made = {"crossed": _crossed(), "slopes": _slopes(), "curve": _curve(), "diabetes": load("diabetes")}
    names = {str(case["table"]) for case in CASES.values()} - made.keys()
    return made | {name: pd.read_csv(_TABLES / f"{name}.csv") for name in names if (_TABLES / f"{name}.csv").is_file()}


def in_r(found: dict[str, pd.DataFrame], cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What R makes of them."""
    with tempfile.TemporaryDirectory() as folder:
        for name, table in found.items():
            table.to_csv(Path(folder) / f"{name}.csv", index=False)
        (Path(folder) / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
        done = subprocess.run(
            ["Rscript", str(_HERE / "mixed_in_r.R"), folder], capture_output=True, text=True, check=True
        )
    return dict(json.loads(done.stdout))


def compare_smooth(case: dict[str, Any], table: pd.DataFrame, theirs: dict[str, Any]) -> str:
    """Degrees of freedom and fitted values at the REML estimate."""
    fit = BayesRidge(formula=case["ours"], method="evidence").fit(table)
    edf = fit.posterior_.effective_dof.median + fit.posterior_.design.n_flat
    y = table[case["ours"].split(" ~")[0]]
    off = np.abs(fit.predict(table) - theirs["fitted"]).max() / y.std()
    return f"edf {theirs['edf']:.6f}, off by {abs(edf - theirs['edf']):.0e}; fitted values by {off:.0e} sd(y)"


def compare_mixed(case: dict[str, Any], table: pd.DataFrame, theirs: dict[str, Any]) -> str:
    """Criteria, standard deviations and profile intervals."""
    for name in case.get("factors", ()):
        table = table.assign(**{name: table[name].astype(str)})
    fit = BayesRidge(formula=case["formula"], method="evidence").fit(table)
    engine = fit.posterior_.engine
    reml, ml = estimate(engine, "REML"), estimate(engine, "ML")
    off = [abs(one.criterion / theirs[key] - 1.0) for one, key in ((reml, "reml"), (ml, "ml"))]
    own = np.sort(np.abs(reml.values))
    sds = np.sort(np.abs(np.array(theirs["sds"], dtype=float)))
    far = np.abs(own - sds).max() / sds.max()
    # lme4 lists sds (and correlations between them) and sigma apart from the order of ours; some ends it does not find
    ends = np.sort(ml.profile().ravel())
    known = np.sort([one for row in theirs["profile"] for one in row if one is not None])
    apart = np.abs(ends[len(ends) - len(known) :] - known) / np.abs(known).max(initial=0.0)
    shown = "; ".join(f"{lo:.6g} to {hi:.6g}" for lo, hi in ml.profile())
    fitted = np.abs(fit.predict(table) - theirs["fitted"]).max() / (float(np.std(theirs["fitted"])) or 1.0)
    return (
        f"REML {theirs['reml']:.5f}, off by {off[0]:.0e} (ML {off[1]:.0e}) of it; sds by {far:.0e} of the largest; "
        f"profile intervals by {apart.max(initial=0.0):.0e} of the largest end ({shown}); "
        f"fitted values by {fitted:.0e} of their sd"
    )


def main() -> None:
    """Run and print."""
    found = tables()
    cases = {name: {"kind": "mixed", **case} for name, case in CASES.items() if case["table"] in found}
    theirs = in_r(found, cases)
    print("| table | model | R and ours | R, s | ours, posterior, s |\n|---|---|---|---|---|")
    warnings.simplefilter("ignore", BayesRidgeWarning)
    for name, case in cases.items():
        table = found[case["table"]]
        said = (compare_smooth if case["kind"] == "smooth" else compare_mixed)(case, table, theirs[name])
        start = time.process_time()
        _ = BayesRidge(formula=case.get("ours", case["formula"])).fit(table).posterior_.coefficients.sd
        spent = time.process_time() - start
        print(f"| {name} | `{case['formula']}` | {said} | {theirs[name]['seconds']:.2f} | {spent:.2f} |", flush=True)


if __name__ == "__main__":
    main()
