"""What plug-in ridge gets wrong on ordinary data, beside the exact posterior: ``python -m benchmarks.peers``.

Every line is a simulation of a few seconds with a fixed seed; the peer is scikit-learn's ``BayesianRidge``.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge

from bayesridge import BayesRidge

Array = NDArray[np.float64]


def units(rng: np.random.Generator) -> None:
    """The same data, y in other units: how much do predictions change?"""
    X = rng.standard_normal((40, 5))
    y = X @ rng.standard_normal(5) + rng.standard_normal(40)
    X_new = rng.standard_normal((10, 5))
    print("units: y and X multiplied by c, predictions divided by it; largest relative change")
    for c in (1e-8, 1e-4, 1e4, 1e8):
        line = []
        for make in (BayesRidge, BayesianRidge):
            base = make().fit(X, y).predict(X_new)
            moved = make().fit(X * c, y * c).predict(X_new * c) / c
            line.append(float(np.abs(moved - base).max() / np.abs(base).max()))
        print(f"  c = {c:7.0e}   bayesridge {line[0]:8.1e}   BayesianRidge {line[1]:8.1e}")


def right_mode(rng: np.random.Generator) -> None:
    """y depends on the small difference of two nearly equal columns."""
    print("right mode: x2 = x1 + d z, y = z + noise, n = 60, three noise columns; median test R² of 100 data sets")
    for d in (0.1, 0.01, 0.001):
        scores: list[list[float]] = [[], []]
        for _ in range(100):
            X, y = _difference(rng, 60, d)
            X_test, y_test = _difference(rng, 500, d)
            for k, make in enumerate((BayesRidge, BayesianRidge)):
                scores[k].append(float(make().fit(X, y).score(X_test, y_test)))
        print(f"  d = {d:5g}   bayesridge {np.median(scores[0]):6.3f}   BayesianRidge {np.median(scores[1]):6.3f}")


def _difference(rng: np.random.Generator, n: int, d: float) -> tuple[Array, Array]:
    x1, z = rng.standard_normal((2, n))
    X = np.column_stack([x1, x1 + d * z, rng.standard_normal((n, 3))])
    return X, z + 0.1 * rng.standard_normal(n)


def noise(rng: np.random.Generator) -> None:
    """More columns than rows, true noise variance 1."""
    print("noise: true sigma² = 1, more columns than rows; smallest estimate of sigma² in 50 data sets")
    for n, p in ((20, 100), (50, 200)):
        smallest = [np.inf, np.inf]
        for _ in range(50):
            X = rng.standard_normal((n, p))
            y = X @ rng.standard_normal(p) * 0.2 + rng.standard_normal(n)
            smallest[0] = min(smallest[0], BayesRidge().fit(X, y).posterior_.sigma.moment(2))
            smallest[1] = min(smallest[1], 1.0 / BayesianRidge().fit(X, y).alpha_)
        print(f"  n = {n:3d}, p = {p:3d}   bayesridge {smallest[0]:8.2g}   BayesianRidge {smallest[1]:8.2g}")


def coverage(rng: np.random.Generator) -> None:
    """How often do 95% predictive intervals hold a new observation?"""
    print("coverage of 95% predictive intervals, coefficients N(0, t²), noise 1 (400 data sets x 20 new rows)")
    for n, p, t in ((6, 2, 1.0), (20, 5, 0.3), (20, 19, 1.0), (20, 40, 0.3), (50, 200, 0.15)):
        inside = np.zeros(2)
        for _ in range(400):
            beta = t * rng.standard_normal(p)
            X, X_new = rng.standard_normal((n, p)), rng.standard_normal((20, p))
            y, y_new = X @ beta + rng.standard_normal(n), X_new @ beta + rng.standard_normal(20)
            ours = BayesRidge().fit(X, y).predictive(X_new).target.cdf(y_new)
            mean, sd = BayesianRidge().fit(X, y).predict(X_new, return_std=True)
            inside += (np.mean((ours > 0.025) & (ours < 0.975)), np.mean(np.abs(y_new - mean) < 1.959964 * sd))
        print(
            f"  n = {n:2d}, p = {p:3d}   bayesridge {inside[0] / 4:5.1f}%   BayesianRidge {inside[1] / 4:5.1f}%",
            flush=True,
        )


def main() -> None:
    """Run every comparison."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's, on data it cannot handle
        for study in (units, right_mode, noise, coverage):
            study(np.random.default_rng(1))


if __name__ == "__main__":
    main()
