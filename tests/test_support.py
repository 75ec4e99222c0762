"""What works with what: each cell of the table in docs/architecture.md passes, or refuses and says what works instead.

`python -m tests.test_support` writes the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

from bayesridge import (
    BayesKernelRidge,
    BayesRidge,
    backtest,
    compare,
    compare_lambda,
    load,
    plots,
    posterior,
    report,
    validate,
)
from bayesridge.checks.card import QUESTIONS, TESTS
from bayesridge.checks.sbc import posterior_sbc
from bayesridge.checks.spectral_check import spectral_check
from bayesridge.errors import DataError
from bayesridge.posteriors.summary import at_a_glance, coefficient_table, hyper_table, jsonable, to_record
from tests.test_seams import chains, table, two_penalties

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
START, END = "<!-- the table: python -m tests.test_support -->\n", "<!-- end -->"


def counts() -> Any:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 2))
    return posterior(X, rng.poisson(np.exp(0.5 + X @ [0.4, -0.3])).astype(float), family="poisson")


def levels() -> Any:
    X, y = table()
    frame = pd.DataFrame(X, columns=["x0", "x1", "x2", "x3"]).assign(y=y, shop=np.resize(list("abcde"), len(y)))
    return BayesRidge(formula="y ~ x0 + ridge(x1, x2) + (1 | shop)").fit(frame).posterior_


def kernel() -> Any:
    X, y = table(n=25, p=2)
    return BayesKernelRidge().fit(X, y).posterior_


ENGINES: dict[str, Callable[[], Any]] = {
    "one lambda": lambda: posterior(*table()),
    "lambda plugged in": lambda: posterior(*table(), method="evidence"),
    "several groups": two_penalties,
    "level effects": levels,
    "kernel": kernel,
    "counts (Poisson)": counts,
    "Student-t noise": lambda: posterior(*table(), family="student"),
    "sampled": chains,
}


def _save_and_load(post: Any, folder: Path) -> None:
    found = load(post.save(folder / "a.bridge", rows=True)).posterior_
    np.testing.assert_allclose(found.coefficients.mean, post.coefficients.mean, rtol=1e-9)


@cache
def _validated(post: Any) -> Any:
    made = [key for key in QUESTIONS if key not in ("computation", "backtest")]  # these have cells of their own
    return validate(post, checks=made, simulations=200, progress=False)


def _card(post: Any, _: Path) -> None:
    """A card on which nothing could be tested says why in its verdict."""
    card = _validated(post)
    if all(entry.status == "not judged" for entry in card.entries if entry.key in TESTS):
        raise DataError(card.verdict)


def _check(post: Any, key: str) -> None:
    entry = _validated(post)[key]
    if entry.status == "not judged":
        raise DataError(entry.text)


FEATURES: dict[str, Callable[[Any, Path], Any]] = {
    "coefficients: intervals, P(> 0), HDI": lambda post, _: (coefficient_table(post), post.coefficients.hdi()),
    "contrasts": lambda post, _: post.contrast(np.eye(len(post.design.names))[:1]).interval(),
    "scales": lambda post, _: hyper_table(post),
    "summary, JSON record": lambda post, _: (at_a_glance(post), jsonable(to_record(post))),
    "predictions": lambda post, _: post.predict(post.design.X[:3]).interval(),
    "draws, DataTree": lambda post, _: (post.draw(10, 2, 0), post.to_datatree(10, 2, 0)),
    "DataTree with predictive groups": lambda post, _: post.to_datatree(10, 2, 0, predictive=True),
    "leave-one-out": lambda post, _: post.loo.elpd_loo,
    "log p(y)": lambda post, _: post.log_marginal_likelihood,
    "compare(posts)": lambda post, _: compare([post, post]),
    "compare_lambda, rules": lambda post, _: compare_lambda(post, progress=False),
    "backtest": lambda post, _: backtest(post, splitter=KFold(2), progress=False),
    "validate": _card,
    "check: computation (SBC)": lambda post, _: posterior_sbc(post, simulations=2),
    "check: prior of every direction": lambda post, _: spectral_check(post, simulations=200),
    "check: leave-one-out calibration": lambda post, _: _check(post, "leave-one-out"),
    "check: noise": lambda post, _: _check(post, "noise"),
    "check: sensitivity to the prior": lambda post, _: _check(post, "sensitivity"),
    "check: influence of rows": lambda post, _: _check(post, "influence"),
    "plot: coefficients": lambda post, _: plots.coefficients(post),
    "plot: lambda_posterior": lambda post, _: plots.lambda_posterior(post),
    "plot: ridge_trace": lambda post, _: plots.ridge_trace(post),
    "plot: shrinkage": lambda post, _: plots.shrinkage(post),
    "plot: contours": lambda post, _: plots.contours(post),
    "plot: bias_variance": lambda post, _: plots.bias_variance(post),
    "plot: predicted_observed": lambda post, _: plots.predicted_observed(post),
    "plot: loo_pit": lambda post, _: plots.loo_pit(post),
    "plot: posterior_predictive": lambda post, _: plots.posterior_predictive(post),
    "plot: predictive_difference": lambda post, _: plots.predictive_difference(post),
    "plot: residuals": lambda post, _: plots.residuals(post),
    "plot: scales": lambda post, _: plots.scales(post),
    "plot: coefficient_paths": lambda post, _: plots.coefficient_paths(post),
    "report": lambda post, folder: report(post, folder / "report.html"),
    "save, load": _save_and_load,
}

ONE, FIT = "ridge with one lambda", "exact posterior of the same model"
ONLY_ONE_LAMBDA = (
    "compare_lambda, rules", "backtest", "validate", "check: computation (SBC)", "check: prior of every direction",
    "check: leave-one-out calibration", "check: noise", "check: sensitivity to the prior", "check: influence of rows",
    "plot: lambda_posterior", "plot: ridge_trace", "plot: shrinkage", "plot: contours", "plot: bias_variance",
    "plot: loo_pit", "plot: coefficient_paths",
)  # fmt: skip
OTHERS = {
    "several groups": "one lambda", "level effects": "one lambda", "kernel": "one lambda",
    "counts (Poisson)": "spectrum of a Gaussian likelihood", "Student-t noise": "spectrum of a Gaussian likelihood",
    "sampled": "exact posterior",
}  # fmt: skip

#: Cells of these features that pass, for a posterior that brings curves over lambda along.
CURVES = (
    "compare_lambda, rules", "validate", "check: computation (SBC)", "check: leave-one-out calibration", "check: noise",
    "check: sensitivity to the prior", "check: influence of rows",
    "plot: lambda_posterior", "plot: ridge_trace", "plot: loo_pit",
)  # fmt: skip

#: And those that pass with several penalties, each simulated data set fitted by itself.
SEVERAL = (
    "validate", "check: computation (SBC)", "check: leave-one-out calibration", "check: noise",
    "check: sensitivity to the prior", "check: influence of rows", "plot: loo_pit",
)  # fmt: skip

#: What the error of a cell says; every other cell passes.
REFUSED = {
    **{(feature, engine): why for feature in ONLY_ONE_LAMBDA for engine, why in OTHERS.items()},
    ("check: computation (SBC)", "lambda plugged in"): "no posterior to draw lambda from",
    ("check: sensitivity to the prior", "lambda plugged in"): "needs a prior on lambda",
    ("check: influence of rows", "lambda plugged in"): "only where it is inferred",
    ("log p(y)", "sampled"): "the exact one has",
    ("plot: predicted_observed", "sampled"): "the exact posterior of the same model",
    ("DataTree with predictive groups", "kernel"): "draws of slopes",
    ("plot: scales", "counts (Poisson)"): "no noise sd sigma",
}
for passing, engine in (
    (CURVES, "counts (Poisson)"), (CURVES, "Student-t noise"), (SEVERAL, "several groups"), (SEVERAL, "level effects"),
):  # fmt: skip
    for feature in passing:
        del REFUSED[feature, engine]


@pytest.fixture(autouse=True)
def _closed_figures():
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    yield
    plt.close("all")


@cache
def made(engine: str) -> Any:
    return ENGINES[engine]()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("feature", FEATURES)
def test_cell(feature, engine, tmp_path):
    post = made(engine)
    if (why := REFUSED.get((feature, engine))) is None:
        FEATURES[feature](post, tmp_path)
        return
    with pytest.raises(DataError, match=re.escape(why)):
        FEATURES[feature](post, tmp_path)


def markdown() -> str:
    lines = ["| | " + " | ".join(ENGINES) + " |", "|---" * (len(ENGINES) + 1) + "|"]
    for feature in FEATURES:
        cells = ["refused" if (feature, engine) in REFUSED else "yes" for engine in ENGINES]
        lines.append(f"| {feature} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_page_shows_these_cells():
    assert markdown() in PAGE.read_text(encoding="utf-8"), "write it again: python -m tests.test_support"


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    PAGE.write_text(before + START + "\n" + markdown() + "\n" + END + rest.split(END)[1], encoding="utf-8")
