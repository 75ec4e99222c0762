"""Leave-one-out of 2,000,000 x 20, lambda integrated, against refits without a sample of rows.

``python -m benchmarks.leave_one_out [rows]`` prints time, memory and the largest difference. A refit reads all other
rows anew; the row of the largest leverage and that of the largest residual are among the sample.
"""

import resource
import sys
import time

import numpy as np

from bayesridge.fit import posterior
from bayesridge.priors import HalfCauchy

COLUMNS, SAMPLE = 20, 5


def main(n=2_000_000):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, COLUMNS))
    X[n // 3] *= 100.0  # one row of much leverage
    y = X @ rng.standard_normal(COLUMNS) + rng.standard_t(4.0, n)
    # a scale found in the data, and a prior of R2, would be found anew by a refit: leave-one-out holds both fixed
    model = {"scale": np.linspace(0.5, 2.0, COLUMNS), "prior": HalfCauchy(0.2)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, clock = time.process_time(), time.monotonic()
    loo = posterior(X, y, **model).loo
    total = loo.pointwise.sum()
    cpu, clock = time.process_time() - cpu, time.monotonic() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{n} x {COLUMNS}: elpd {total:.3f}, {cpu:.1f} s of processor time, {clock:.1f} s", flush=True)
    print(f"memory beyond what stood there: {(peak - before) * 1024 / X.nbytes:.2f} times X", flush=True)
    rows = {n // 3, int(np.argmin(loo.pointwise)), *rng.choice(n, SAMPLE - 2, replace=False).tolist()}
    for i in sorted(rows):
        kept = np.arange(n) != i
        found = posterior(X[kept], y[kept], **model).predict(X[i : i + 1])
        exact, pit = found.log_density(y[i : i + 1])[0], found.target.cdf(y[i : i + 1])[0]
        print(
            f"row {i}: log density {loo.pointwise[i]:.12g}, refitted {exact:.12g}, difference "
            f"{loo.pointwise[i] - exact:.1e}; PIT {loo.pit[i] - pit:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
