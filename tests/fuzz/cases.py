"""One generator of regressions for the fuzzer and for hypothesis: whatever picks, a random Generator or a strategy.

A `Case` is a description of words and small numbers, so that a failure can be read, repeated and shrunk; `table` makes
its numbers. Most options are the ordinary one: a case has one or two oddities, and seldom six.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bayesridge import priors


class Picker(Protocol):
    """Chooses: one of several options, each as likely as it is often listed."""

    def choice[T](self, options: Sequence[T]) -> T: ...

    def integer(self, low: int, high: int) -> int: ...


@dataclass(frozen=True)
class RandomPicker:
    """Picks by a numpy Generator."""

    rng: np.random.Generator

    def choice[T](self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))


# -- what there is to pick from ------------------------------------------------------------------------------------

COLUMNS = (
    "plain", "plain", "plain", "plain", "plain", "duplicate", "nearly duplicate", "sum of two", "constant", "zero",
    "binary", "one row", "tied", "heavy tails", "offset 1e6", "offset 1e12",
)  # fmt: skip
TARGETS = ("signal",) * 8 + ("noise", "constant", "zero", "perfect", "outlier", "heavy tails", "offset 1e8")
DECADES = (0,) * 14 + (-3, 3, -8, 8, -30, 30)  # squares, times weights of 1e12, stay far from the ends of float64
LAYOUTS = ("plain",) * 8 + (
    "fortran", "strided", "reversed", "read-only", "float32", "float16", "longdouble", "integers", "booleans", "object",
    "list", "masked", "frame", "big-endian",
)  # fmt: skip
WEIGHTS = (
    ("none",) * 10
    + ("ones", "counts", "some zero", "one row left", "fractions", "thousands", "one 1e12", "all 1e12", "graded",
       "tiny")
)  # fmt: skip
PRIORS = (
    *("default",) * 4, *("beta", "log-normal", "gamma", "half-cauchy", "half-t", "half-normal") * 2, "half-cauchy tau",
    "half-t tau", "half-normal tau", "fixed lambda", "fixed lambda", "lambda zero", "fixed tau",
    "fixed scales", "gamma precisions", "custom lambda", "custom r2", "custom tau",
)  # fmt: skip
NOISES = (
    ("jeffreys",) * 30 + ("inverse-gamma", "inverse-gamma", "fixed", "half-normal", "half-cauchy", "half-t", "custom")
)  # fmt: skip
PRIOR_DECADES = (0,) * 8 + tuple(range(-10, 11))
SHAPES = (
    (2, 1),
    (2, 3),
    (3, 1),
    (3, 3),
    (4, 2),
    (6, 3),
    (6, 9),
    (12, 4),
    (12, 11),
    (12, 12),
    (12, 30),
    (40, 5),
    (120, 8),
)
RELATIONS = (
    "none", "layout", "order of rows", "order of columns", "unit of y", "unit of a column", "rows repeated",
    "sign of y",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A regression and one relation its posterior has to another's."""

    seed: int
    rows: int
    columns: tuple[str, ...]
    graded: int
    target: str
    decade_x: int
    decade_y: int
    layout: str
    weights: str
    weight_kind: str
    intercept: bool
    scale: bool
    unpenalized: tuple[int, ...]
    prior: str
    prior_decade: int
    noise: str
    noise_decade: int
    method: str | None
    relation: str

    def __str__(self):
        plain = Case(self.seed, self.rows, self.columns, **ORDINARY)
        odd = [f"{k}={v!r}" for k, v in vars(self).items() if k in ORDINARY and v != getattr(plain, k)]
        return f"{self.rows} x {len(self.columns)} {'|'.join(self.columns)}; {', '.join(odd) or 'ordinary'}"


#: The ordinary value of each option.
ORDINARY = {
    "graded": 0, "target": "signal", "decade_x": 0, "decade_y": 0, "layout": "plain", "weights": "none",
    "weight_kind": "frequency", "intercept": True, "scale": True, "unpenalized": (), "prior": "default",
    "prior_decade": 0, "noise": "jeffreys", "noise_decade": 0, "method": None, "relation": "none",
}  # fmt: skip


def make_case(pick: Picker) -> Case:
    """Pick a case."""
    rows, p = pick.choice(SHAPES)
    columns = tuple(pick.choice(COLUMNS) for _ in range(p))
    unpenalized = tuple(sorted({pick.integer(0, p - 1) for _ in range(pick.choice((0, 0, 0, 0, 1, 2)))}))
    return Case(
        pick.integer(0, 2**31 - 1), rows, columns, pick.choice((0, 0, 0, 0, 4, 12, 20)), pick.choice(TARGETS),
        pick.choice(DECADES), pick.choice(DECADES), pick.choice(LAYOUTS), pick.choice(WEIGHTS),
        pick.choice(("frequency", "precision")), pick.choice((True, True, True, False)),
        pick.choice((True, True, True, False)), unpenalized, pick.choice(PRIORS), pick.choice(PRIOR_DECADES),
        pick.choice(NOISES), pick.choice(PRIOR_DECADES), pick.choice((None,) * 6 + ("evidence",)),
        pick.choice(RELATIONS),
    )  # fmt: skip


# -- numbers -------------------------------------------------------------------------------------------------------


def _column(kind, rng, n, earlier):
    x = rng.standard_normal(n)
    if kind == "duplicate" and earlier:
        return earlier[-1].copy()
    if kind == "nearly duplicate" and earlier:
        return earlier[-1] * (1.0 + 1e-10 * x)
    if kind == "sum of two" and len(earlier) > 1:
        return earlier[-1] + earlier[-2]
    made = {
        "constant": np.full(n, 0.1), "zero": np.zeros(n), "binary": (x > 0.3).astype(float),
        "one row": np.eye(n)[0], "tied": np.roll((np.arange(n) < n // 2) * (-1.0) ** np.arange(n), len(earlier)),
        "heavy tails": rng.standard_cauchy(n), "offset 1e6": x + 1e6, "offset 1e12": x + 1e12,
    }  # fmt: skip
    return np.asarray(made.get(kind, x), dtype=float)


def _target(kind, rng, X):
    n = len(X)
    spread = X.std(axis=0)
    noise = rng.standard_normal(n)
    Z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    fitted = Z @ rng.standard_normal(X.shape[1]) / np.sqrt(X.shape[1])
    made = {
        "noise": noise, "constant": np.full(n, 0.3), "zero": np.zeros(n), "perfect": fitted,
        "outlier": fitted + noise + 50.0 * (np.arange(n) == 0), "heavy tails": fitted + rng.standard_cauchy(n),
        "offset 1e8": fitted + noise + 1e8,
    }  # fmt: skip
    return made.get(kind, fitted + noise)


def table(case: Case):
    """Numbers of the case: ``X, y, weights`` as float64 arrays (weights may be None)."""
    rng = np.random.default_rng(case.seed)
    n, earlier = case.rows, []
    for kind in case.columns:
        earlier.append(_column(kind, rng, n, earlier))
    X = np.column_stack(earlier)
    y = _target(case.target, rng, X) * 10.0**case.decade_y
    X = X * 10.0 ** (case.decade_x + np.linspace(0, case.graded, X.shape[1]))
    if case.layout in ("integers", "booleans"):
        with np.errstate(all="ignore"):
            X = np.clip(np.round(X), -1e9, 1e9) if case.layout == "integers" else (X > 0).astype(float)
    if case.layout in ("float32", "float16"):
        with np.errstate(over="ignore"):
            X = X.astype(case.layout).astype(float)
    return X, y, _weights(case.weights, rng, n)


def _weights(kind, rng, n):
    counts = rng.integers(1, 5, n).astype(float)
    one = np.arange(n) == n // 2
    made = {
        "ones": np.ones(n), "counts": counts, "some zero": counts * (rng.random(n) < 0.6),
        "one row left": one.astype(float), "fractions": rng.gamma(2.0, 0.5, n), "thousands": counts * 1000.0,
        "one 1e12": np.where(one, 1e12, 1.0), "all 1e12": counts * 1e12,
        "graded": 10.0 ** rng.uniform(-8, 8, n), "tiny": counts * 1e-12,
    }  # fmt: skip
    return made.get(kind)


def laid_out(layout: str, X):
    """The same numbers in another layout."""
    n, p = X.shape
    if layout == "frame":
        import pandas as pd

        return pd.DataFrame(X, columns=[f"column {j}" for j in range(p)])
    if layout == "read-only":
        X = X.copy()
        X.flags.writeable = False
        return X
    wide = np.zeros((2 * n, 2 * p))
    wide[::2, ::2] = X
    made = {
        "fortran": lambda: np.asfortranarray(X), "strided": lambda: wide[::2, ::2],
        "reversed": lambda: X[::-1, ::-1].copy()[::-1, ::-1], "longdouble": lambda: X.astype(np.longdouble),
        "float32": lambda: X.astype(np.float32), "float16": lambda: X.astype(np.float16),
        "integers": lambda: X.astype(np.int64), "booleans": lambda: X.astype(bool), "object": lambda: X.astype(object),
        "list": lambda: X.tolist(), "masked": lambda: np.ma.masked_array(X, np.zeros(X.shape, bool)),
        "big-endian": lambda: X.astype(">f8"),
    }  # fmt: skip
    return made.get(layout, lambda: X)()


# -- priors --------------------------------------------------------------------------------------------------------


def prior_of(case: Case, unit: float):
    """The case's prior of the scales; `unit` is the unit of y."""
    at = 10.0**case.prior_decade
    tau = unit * at
    made = {
        "beta": lambda: priors.BetaR2(0.5 * at, 2.0), "log-normal": lambda: priors.LogNormal(at, 1.5),
        "gamma": lambda: priors.Gamma(1.5, at), "half-cauchy": lambda: priors.HalfCauchy(at),
        "half-t": lambda: priors.HalfT(3.0, at), "half-normal": lambda: priors.HalfNormal(at),
        "half-cauchy tau": lambda: priors.HalfCauchy(tau, on="tau"),
        "half-t tau": lambda: priors.HalfT(4.0, tau, on="tau"),
        "half-normal tau": lambda: priors.HalfNormal(tau, on="tau"), "fixed lambda": lambda: priors.FixedLambda(at),
        "lambda zero": lambda: priors.FixedLambda(0.0), "fixed tau": lambda: priors.FixedTau(tau),
        "fixed scales": lambda: priors.FixedScales(unit, tau),
        "gamma precisions": lambda: priors.GammaPrecisions(1.0, tau**2, 1.0, unit**2),
        "custom lambda": lambda: priors.Custom(lambda lam: -lam / at),
        "custom r2": lambda: priors.Custom(lambda r2: np.log1p(r2 * r2), of="R2"),
        "custom tau": lambda: priors.Custom(lambda t: -0.5 * (t / tau) ** 2, of="tau"),
    }  # fmt: skip
    return made.get(case.prior, priors.BetaR2)()


def noise_of(case: Case, unit: float):
    """The case's prior of sigma."""
    sigma = unit * 10.0**case.noise_decade
    made = {
        "inverse-gamma": lambda: priors.InverseGamma(2.0, sigma**2), "fixed": lambda: priors.FixedSigma(sigma),
        "half-normal": lambda: priors.HalfNormal(sigma, on="sigma"),
        "half-cauchy": lambda: priors.HalfCauchy(sigma, on="sigma"),
        "half-t": lambda: priors.HalfT(3.0, sigma, on="sigma"),
        "custom": lambda: priors.Custom(lambda s: -s / sigma, of="sigma"),
    }  # fmt: skip
    return made.get(case.noise, priors.Jeffreys)()
