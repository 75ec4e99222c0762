"""50-digit log evidence, means and sds at a fixed lambda, from the floats of the table as they are: mpmath."""

import mpmath as mp
import numpy as np


def exact_fit(case, numbers):
    """``log p(y), means, sds`` of a small case with lambda fixed and sigma known or under Jeffreys; None for others.

    The n x n covariance ``W^-1 + X X' / lambda`` is factorised as it stands; flat columns are integrated with density
    one, as in a generalised least-squares fit.
    """
    known = case.prior == "fixed scales"
    if not (known or (case.prior == "fixed lambda" and case.noise == "jeffreys")) or case.method or case.rows > 12:
        return None
    X, y, w = numbers
    p = X.shape[1]
    if p > 9 or (w is not None and (w == 0).any()) or (w is not None and case.weight_kind == "frequency"):
        return None
    with mp.workdps(50 + 2 * (abs(case.prior_decade) + abs(case.decade_x)) + case.graded):
        return _solve(case, X, y, np.ones(len(y)) if w is None else w, known)


def _solve(case, X, y, w, known):
    n, p = X.shape
    weights, total = [mp.mpf(float(v)) for v in w], mp.fsum(mp.mpf(float(v)) for v in w)
    columns = [[mp.mpf(float(v)) for v in X[:, j]] for j in range(p)]
    pen = [j for j in range(p) if j not in case.unpenalized and np.ptp(X[:, j]) > 0]
    flat = [columns[j] for j in case.unpenalized]
    if len(pen) + len(flat) < p:
        return None  # a constant column is left out with coefficient zero: a convention, not arithmetic
    center = {j: mp.fsum(a * b for a, b in zip(weights, columns[j], strict=True)) / total * case.intercept for j in pen}
    scaled, divisor = [], []
    for j in pen:
        moved = [v - center[j] for v in columns[j]]
        sd = (
            mp.sqrt(mp.fsum(a * v * v for a, v in zip(weights, moved, strict=True)) / total)
            if case.scale
            else mp.mpf(1)
        )
        scaled.append([v / sd for v in moved])
        divisor.append(sd)
    Z = (
        mp.matrix([[*([mp.mpf(1)] * case.intercept), *(f[i] for f in flat)] for i in range(n)])
        if flat or case.intercept
        else None
    )
    unit = mp.mpf(10.0**case.decade_y)
    sigma, tau = mp.mpf(float(unit)), mp.mpf(float(10.0**case.decade_y * 10.0**case.prior_decade))
    lam = (sigma / tau) ** 2 if known else mp.mpf(10.0**case.prior_decade)
    q, k = (Z.cols if Z is not None else 0), len(pen)
    # the penalised normal equations of all columns: B'WB + lambda D
    B = mp.matrix(n, q + k)
    for i in range(n):
        for j in range(q):
            B[i, j] = Z[i, j]
        for j in range(k):
            B[i, q + j] = scaled[j][i]
    H = mp.matrix(q + k, q + k)
    for a in range(q + k):
        for b in range(q + k):
            H[a, b] = mp.fsum(weights[i] * B[i, a] * B[i, b] for i in range(n))
        if a >= q:
            H[a, a] += lam
    right = mp.matrix([mp.fsum(weights[i] * B[i, a] * mp.mpf(float(y[i])) for i in range(n)) for a in range(q + k)])
    inverse = H**-1
    theta = inverse * right
    rest = [mp.mpf(float(y[i])) - mp.fsum(B[i, a] * theta[a] for a in range(q + k)) for i in range(n)]
    Q = mp.fsum(weights[i] * rest[i] ** 2 for i in range(n)) + lam * mp.fsum(theta[q + j] ** 2 for j in range(k))
    nu = n - q
    log_const = k * mp.log(lam) / 2 - mp.log(mp.det(H)) / 2 + mp.fsum(mp.log(v) for v in weights) / 2
    if known:
        log_evidence = log_const - nu * mp.log(2 * mp.pi * sigma**2) / 2 - Q / (2 * sigma**2)
        variance = sigma**2
    else:
        if Q <= 0 or nu < 3:
            return None
        # integral of sigma^-nu exp(-Q / 2 sigma^2) d sigma^2 / sigma^2
        log_evidence = log_const - nu * mp.log(2 * mp.pi) / 2 + mp.loggamma(mp.mpf(nu) / 2) - nu * mp.log(Q / 2) / 2
        variance = Q / (nu - 2)
    mean, sd = np.zeros(p), np.zeros(p)
    places = [(q + i, j, divisor[i]) for i, j in enumerate(pen)]
    places += [(int(case.intercept) + i, j, mp.mpf(1)) for i, j in enumerate(case.unpenalized)]
    for at, j, by in places:
        mean[j], sd[j] = float(theta[at] / by), float(mp.sqrt(variance * inverse[at, at]) / by)
    return float(log_evidence), mean, sd
