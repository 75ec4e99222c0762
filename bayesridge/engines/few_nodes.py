"""A function of theta at many thetas from its values at a few: a cubic through them, checked at others.

Conditional variances are smooth functions of theta. Where one theta takes a large factorisation, they are computed at
as many of the nodes as a polynomial of the third degree has coefficients, chosen by a QR decomposition with pivoting
of its monomials (Sommariva and Vianello 2009, "Computing approximate Fekete points by QR factorizations of Vandermonde
matrices"), and at three more, which have to agree to 1e-4. Posteriors that rest on it say so in their ``check``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

Array = NDArray[np.float64]

_DEGREE = 3
_CHECKS = 3
#: How nearly the logarithms at the other thetas have to be met; the values are computed at every theta otherwise.
AGREED = 1e-4


def through_few(theta: Array, of: Callable[[Array], Array]) -> Array:
    """Values (K, m), all positive, of a function of theta (K, h).

    Parameters
    ----------
    theta : ndarray of shape (K, h)
    of : callable
        Values (k, m) at k of them.
    """
    powers = np.array([one for one in product(range(_DEGREE + 1), repeat=theta.shape[1]) if sum(one) <= _DEGREE])
    count = len(powers)
    if len(theta) < 2 * (count + _CHECKS):
        return of(theta)
    span = np.ptp(theta, axis=0)
    u = (theta - theta.mean(axis=0)) / np.where(span > 0, span, 1.0)
    V = np.prod(u[:, None] ** powers, axis=2)
    order = qr(V.T, mode="r", pivoting=True)[1]
    chosen, rest = order[:count], order[count:]
    if np.linalg.cond(V[chosen]) > 1e8:
        return of(theta)
    some = rest[:: -(-len(rest) // _CHECKS)]
    known = of(theta[np.concatenate([chosen, some])])
    if not (np.isfinite(known) & (known > 0)).all():
        return of(theta)
    logs = np.log(known)
    found = V @ np.linalg.solve(V[chosen], logs[:count])
    if np.abs(found[some] - logs[count:]).max(initial=0.0) > AGREED:
        return of(theta)
    return np.asarray(np.exp(found))
