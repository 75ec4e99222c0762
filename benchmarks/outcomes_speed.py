"""What a certified logistic posterior costs: path, time, error, and ratios to LogisticRegressionCV and to NUTS.

    python -m benchmarks.outcomes_speed [--nuts] [--only 569x30]

Seconds of the processor, one thread. The error is the largest standard error of a mean or 95% limit, in posterior sds.
NUTS is PyMC's own on the same model, two chains of 500 after 500; its time is taken to the same error, whose square
falls with the draws.
"""

from __future__ import annotations

import argparse
import re
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bayesridge import posterior

Array = NDArray[np.float64]


def tables() -> Iterator[tuple[str, Array, Array]]:
    """Breast cancer (separated), and random tables."""
    from sklearn.datasets import load_breast_cancer

    yield "569x30", *load_breast_cancer(return_X_y=True)
    for n, p in ((5_000, 20), (60, 200), (60, 2_000)):
        rng = np.random.default_rng([3, n, p])
        X = rng.standard_normal((n, p))
        yield f"{n}x{p}", X, (rng.random(n) < expit(X @ rng.standard_normal(p) * (2.0 / np.sqrt(p)))).astype(float)


def spent(work: Any) -> tuple[Any, float]:
    """What it returns, and its seconds."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = work()
    return found, time.process_time() - start


def by_nuts(X: Array, y: Array, post: Any, error: float) -> tuple[float, float]:
    """Seconds, compilation taken off, until means and 95% limits are known to `error` posterior sds; and to what here.

    Warm-up is counted once, whatever the error.
    """
    import arviz as az

    from bayesridge.design.design import build_design
    from bayesridge.mcmc.chains import Sampler, sample_chains
    from bayesridge.models.binomial import binomial

    model = binomial(build_design(X, y), prior=post.prior, trials=1)

    def sampled(steps: int) -> tuple[Any, float]:
        take = Sampler("pymc", draws=steps, tune=steps, chains=2, progressbar=False)
        return spent(lambda: sample_chains(model, take, n_jobs=1, random_state=1))

    _, compiled = sampled(4)
    drawn, seconds = sampled(500)
    beta = drawn.posterior["beta"].values
    picked = [beta[..., j] for j in np.unique(np.linspace(0, beta.shape[2] - 1, 24).astype(int))]
    far = max(float(az.mcse(one, method="quantile", prob=q)) / one.std() for one in picked for q in (0.025, 0.975))
    return (seconds - compiled) * (0.5 + 0.5 * (far / error) ** 2), far


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuts", action="store_true")
    parser.add_argument("--only")
    asked = parser.parse_args()
    from sklearn.linear_model import LogisticRegressionCV

    posterior(np.eye(4), np.arange(4.0) % 2, family="binomial")  # imports
    print(
        "| table | path | seconds | error | LogisticRegressionCV | ratio | error of NUTS | to the same error | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, X, y in tables():
        if asked.only not in (None, name):
            continue
        post, ours = spent(lambda X=X, y=y: posterior(X, y, family="binomial"))
        error = float(re.findall(r"95% limit ([\d.]+)", post.check[0])[0])
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
        _, theirs = spent(lambda Z=Z, y=y: LogisticRegressionCV(max_iter=10_000).fit(Z, y))
        line = f"| {name} | {post.how.split(',')[0]} | {ours:.2f} | {error:.3f} | {theirs:.2f} | {ours / theirs:.2f} |"
        if asked.nuts:
            equal, far = by_nuts(X, y, post, error)
            print(f"{line} {far:.3f} | {equal:.0f} | {equal / ours:.0f} |", flush=True)
        else:
            print(f"{line} | | |", flush=True)


if __name__ == "__main__":
    main()
