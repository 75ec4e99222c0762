"""Tables that a report has to cope with, and how they are fitted."""

import warnings
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd

from bayesridge import BetaR2, FixedLambda, HalfCauchy, HalfT, posterior
from bayesridge.datasets import load_xy
from bayesridge.reporting.build import report_html
from bayesridge.rules.catalogue import pick_rules
from bayesridge.rules.comparison import compare_lambda

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "a < b & \"c\" 'd'",
    "Größe, 高さ, ارتفاع",
    "<!-- ]]> ${oops} $oops %s {x}",
    "<img src=x onerror=window.pwned=1>",
    "javascript:alert(1)\\u003c",
)


@dataclass(frozen=True, eq=False)
class Case:
    """A table with the options of its fit."""

    name: str
    X: object
    y: object
    options: dict = field(default_factory=dict)

    @property
    def posterior(self):
        return _fitted(self.name)

    @property
    def page(self):
        return _page(self.name)


def _data(seed, n, p, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.6 * rng.standard_normal((p, p)) / np.sqrt(p))
    X = X * np.exp(rng.uniform(-2, 2, p)) + 3.0 * rng.standard_normal(p)
    coef = rng.standard_normal(p) / X.std(axis=0) / np.sqrt(p)
    return X, 7.0 + X @ coef + noise * rng.standard_normal(n)


def _long(X):
    return pd.DataFrame(X, columns=[f"measured_at_the_first_visit_of_the_patient_{k}" * 2 for k in range(X.shape[1])])


def _make():
    rng = np.random.default_rng(0)
    plain, wide, tall = _data(1, 40, 5), _data(2, 15, 60), _data(3, 2600, 9)
    hostile = pd.DataFrame(_data(4, 30, len(HOSTILE))[0], columns=list(HOSTILE))
    constant = np.column_stack([plain[0], np.full(40, 2.0)])
    counts, precisions = rng.integers(0, 4, 40).astype(float), np.exp(rng.uniform(-2, 2, 40))
    target = pd.Series(hostile.iloc[:, 0] + rng.standard_normal(30), name='<y> & "z"')
    return (
        Case("diabetes", *load_xy("diabetes")),
        Case("longley", *load_xy("longley")),
        Case("precision", *plain, {"weights": precisions, "weight_kind": "precision"}),
        Case("frequency", *plain, {"weights": counts}),
        Case("unpenalized", *plain, {"unpenalized": [1, 3]}),
        Case("no intercept", *plain, {"fit_intercept": False, "scale": False}),
        Case("fixed", *plain, {"prior": FixedLambda(3.0)}),
        Case("evidence", *plain, {"method": "evidence"}),
        Case("plane", *plain, {"prior": HalfCauchy(1.0, "tau"), "noise_prior": HalfT(3, 2.0, "sigma")}),
        Case("constant column", constant, plain[1]),
        Case("one column", plain[0][:, :1], plain[1], {"prior": BetaR2(1, 1)}),
        Case("wide", *wide),
        Case("wide unpenalized", *wide, {"unpenalized": [0]}),
        Case("series", *tall),
        Case("series precision", *tall, {"weights": np.exp(rng.uniform(-1, 1, 2600)), "weight_kind": "precision"}),
        Case("hostile", hostile, target),
        Case("long names", _long(plain[0]), pd.Series(plain[1], name="yearly_progression_of_the_disease_" * 5)),
    )


CASES = {case.name: case for case in _make()}


@cache
def _fitted(name):
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a constant column warns: the page is what is tested
        return posterior(case.X, case.y, **case.options)


@cache
def _page(name):
    post = _fitted(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        few = compare_lambda(post, rules=pick_rules(["reml", "loo", "gcv", "aic"]), progress=False)
    return report_html(post, comparison=few, warnings=("beware of <this> & that",))
