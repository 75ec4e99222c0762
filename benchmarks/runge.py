"""Runge's function from noisy equispaced points: do 95% intervals of f hold it?

    python -m benchmarks.runge [--count 400] [--beside 100] [--kernels rbf matern]

f(x) = 1 / (1 + 25 x^2) on [-1, 1], three settings of n and noise; the share of the points at which the interval of f
holds f, its standard error over data sets, and the root mean square error of the mean, for this package's kernel ridge
(length-scale, lambda and sigma integrated) and, on the first `beside` data sets, for scikit-learn's Gaussian process
(all of them plugged in at the maximum of the likelihood).
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from bayesridge import BayesKernelRidge

Array = NDArray[np.float64]

SETTINGS = ((20, 0.05), (40, 0.1), (80, 0.2))
PLUGGED = {"rbf": RBF(0.3), "matern": Matern(0.3, nu=2.5)}


def data(n: int, noise: float, seed: int) -> tuple[Array, Array, Array]:
    """Points (n, 1), f there, and f with noise."""
    x = np.linspace(-1.0, 1.0, n)
    f = 1.0 / (1.0 + 25.0 * x * x)
    return x[:, None], f, f + noise * np.random.default_rng(seed).standard_normal(n)


def integrated(kernel: str, x: Array, y: Array) -> tuple[Array, Array]:
    """Mean and 95% ETI of f."""
    found = BayesKernelRidge(kernel=kernel).fit(x, y).predictive(x).expected
    return found.mean, found.interval()


def plugged_in(kernel: str, x: Array, y: Array) -> tuple[Array, Array]:
    """The same of scikit-learn's."""
    whole = ConstantKernel() * PLUGGED[kernel] + WhiteKernel(0.01)
    fit = GaussianProcessRegressor(whole, normalize_y=True, n_restarts_optimizer=2, random_state=0).fit(x, y)
    fit.kernel_ = fit.kernel_.k1  # of f, not of a new observation
    mean, sd = fit.predict(x, return_std=True)
    return mean, mean[:, None] + 1.959964 * sd[:, None] * [-1.0, 1.0]


def main() -> None:
    """Print a row for each setting and method."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--beside", type=int, default=100)
    parser.add_argument("--kernels", nargs="*", default=list(PLUGGED))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| kernel | n | noise | method | data sets | f held, % | standard error | rmse |")
    print("|---" * 8 + "|")
    for kernel in asked.kernels:
        for n, noise in SETTINGS:
            for method, count in ((integrated, asked.count), (plugged_in, asked.beside)):
                held, squares = np.empty(count), np.empty(count)
                for seed in range(count):
                    x, f, y = data(n, noise, seed)
                    mean, ends = method(kernel, x, y)
                    held[seed] = 100.0 * np.mean((ends[:, 0] <= f) & (f <= ends[:, 1]))
                    squares[seed] = np.square(mean - f).mean()
                cells = [kernel, n, noise, method.__name__.replace("_", " "), count, f"{held.mean():.1f}"]
                cells += [f"{held.std(ddof=1) / np.sqrt(count):.1f}", f"{np.sqrt(squares.mean()):.4f}"]
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
