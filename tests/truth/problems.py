"""The table of problems that parametrises the tests of the core."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from bayesridge.linalg.spectrum import factorize
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Jeffreys
from bayesridge.problem import read_problem
from tests.truth.oracle import dense


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, the keyword arguments of ``fit``, and the routes that apply without a warning."""

    name: str
    X: np.ndarray
    y: np.ndarray
    options: dict = field(default_factory=dict)
    routes: tuple = ("svd", "dual")

    def dense(self):
        return dense(self.X, self.y, **self.options)

    def design(self):
        return read_problem(self.X, self.y, **self.options).design

    def spectrum(self, route):
        design = self.design()
        return design, factorize(design, route)

    def infer(self, route, prior=None, noise=None, kind=None):
        design, spectrum = self.spectrum(route)
        return infer(design, spectrum, prior or BetaR2(), noise or Jeffreys(), kind)


def _data(seed, n, p, noise=0.7, coef_sd=0.6, center=2.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.exp(rng.uniform(-1, 1, p)) + center * rng.standard_normal(p)
    coef = coef_sd * rng.standard_normal(p) / X.std(axis=0) * np.sqrt(3.0 / p)
    return rng, X, 1.5 + X @ coef + noise * rng.standard_normal(n)


def _tall():
    _, X, y = _data(1, 20, 4)
    return Problem("tall", X, y, routes=("gram", "svd", "dual"))


def _tiny():
    _, X, y = _data(2, 5, 2)
    return Problem("tiny", X, y, routes=("gram", "svd", "dual"))


def _square():
    _, X, y = _data(3, 8, 8)
    return Problem("square", X, y)


def _one_more_row():
    _, X, y = _data(4, 9, 8)
    return Problem("n = p + 1", X, y, routes=("svd", "dual"))


def _wide():
    _, X, y = _data(5, 9, 16)
    return Problem("wide", X, y)


def _deficient():
    rng, X, y = _data(6, 18, 3)
    X = X @ rng.standard_normal((3, 5))
    return Problem("rank 3 of 5", X, y, routes=("svd",))


def _wide_deficient():
    rng, X, y = _data(7, 12, 4)
    X = X @ rng.standard_normal((4, 15))
    return Problem("wide, rank 4", X, y, routes=("svd",))


def _duplicated():
    _, X, y = _data(8, 15, 3)
    return Problem("duplicated columns", X[:, [0, 1, 1, 2, 2]], y, routes=("svd",))


def _orthogonal():
    rng, X, y = _data(9, 16, 5)
    Q = np.linalg.qr(np.column_stack([np.ones(16), X]))[0][:, 1:]
    y = Q @ np.array([3.0, -2.0, 1.0, 0.0, 0.5]) + 0.4 * rng.standard_normal(16)
    return Problem("tied singular values", 4.0 * Q, y, routes=("gram", "svd", "dual"))


def _frequency():
    rng, X, y = _data(10, 14, 4)
    w = rng.integers(0, 4, 14).astype(float)
    return Problem("frequency weights", X, y, {"weights": w, "weight_kind": "frequency"}, ("gram", "svd", "dual"))


def _precision():
    rng, X, y = _data(11, 14, 4)
    w = rng.gamma(1.5, 0.7, 14) * (np.arange(14) % 5 != 2)
    return Problem("precision weights", X, y, {"weights": w, "weight_kind": "precision"}, ("gram", "svd", "dual"))


def _wide_precision():
    rng, X, y = _data(12, 10, 14)
    w = rng.gamma(1.5, 0.7, 10) * (np.arange(10) != 4)
    return Problem("wide, precision weights", X, y, {"weights": w, "weight_kind": "precision"})


def _wide_frequency():
    # a row counted twice in a wide table leaves no noise to estimate, so 0 and 1 are the weights that make sense
    _, X, y = _data(13, 9, 12)
    w = np.array([1.0, 1, 0, 1, 1, 1, 0, 1, 1])
    return Problem("wide, frequency weights", X, y, {"weights": w, "weight_kind": "frequency"})


def _unpenalized():
    _, X, y = _data(14, 18, 5)
    return Problem("unpenalised columns", X, y, {"unpenalized": (1, 3)}, ("gram", "svd", "dual"))


def _wide_unpenalized():
    _, X, y = _data(15, 10, 14)
    return Problem("wide, unpenalised", X, y, {"unpenalized": (2, 5)})


def _weighted_unpenalized():
    rng, X, y = _data(16, 18, 5)
    w = rng.gamma(2.0, 1.0, 18)
    options = {"unpenalized": (0,), "weights": w, "weight_kind": "precision"}
    return Problem("unpenalised, precision weights", X, y, options, ("gram", "svd", "dual"))


def _no_intercept():
    _, X, y = _data(17, 16, 4, center=0.5)
    return Problem("no intercept", X, y - 1.5, {"fit_intercept": False}, ("gram", "svd", "dual"))


def _wide_no_intercept():
    _, X, y = _data(18, 8, 13, center=0.5)
    return Problem("wide, no intercept", X, y - 1.5, {"fit_intercept": False})


def _no_intercept_unpenalized():
    _, X, y = _data(19, 16, 5, center=0.5)
    options = {"fit_intercept": False, "unpenalized": (2,)}
    return Problem("no intercept, unpenalised", X, y, options, ("gram", "svd", "dual"))


def _unscaled():
    _, X, y = _data(20, 16, 4)
    return Problem("unscaled", X, y, {"scale": False}, ("gram", "svd", "dual"))


def _held_scale():
    _, X, y = _data(21, 9, 12)
    return Problem("scales given", X, y, {"scale": np.linspace(0.5, 2.0, 12)})


@cache
def problems():
    makers = (
        _tall, _tiny, _square, _one_more_row, _wide, _deficient, _wide_deficient, _duplicated, _orthogonal, _frequency,
        _precision, _wide_precision, _wide_frequency, _unpenalized, _wide_unpenalized, _weighted_unpenalized,
        _no_intercept, _wide_no_intercept, _no_intercept_unpenalized, _unscaled, _held_scale,
    )  # fmt: skip
    return {problem.name: problem for problem in (make() for make in makers)}


NAMES = list(problems())
ROUTES = [(name, route) for name, problem in problems().items() for route in problem.routes]
