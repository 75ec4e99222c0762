r"""Ridge regression with both scales known: the model whose MAP is the ridge solution.

    y_i = b0 + x_i' beta + e_i,      e_i ~ N(0, sigma^2 / w_i)
    beta_j ~ N(0, tau^2),            b0 and unpenalised columns flat
    sigma, tau known                 lambda = sigma^2 / tau^2

The posterior is one Gaussian. Its mode and mean minimise ``sum w (y - b0 - x'beta)^2 + lambda |beta|^2``.

Hoerl & Kennard (1970), Technometrics 12, 55-67; as a posterior: Lindley & Smith (1972), JRSS B 34, 1-41.
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from bayesridge.design.design import Design
from bayesridge.models.parts import coefficients, flat_part, observe, of_table, standardized


@of_table
def fixed(design: Design, *, sigma: float, tau: float) -> pm.Model:
    """Build the model with known scales.

    Parameters
    ----------
    design : Design
        Or X and y: a table of numbers and its target.
    sigma : float
        Noise standard deviation, in the units of y.
    tau : float
        Prior standard deviation of the standardised coefficients, in the units of y.

    Returns
    -------
    pymc.Model
    """
    table = standardized(design)
    with pm.Model(coords=table.coords) as model:
        beta = coefficients(table, tau, centred=True)
        observe(table, flat_part(table) + pm.math.dot(table.X, beta), sigma)
        for name, value in {"sigma": sigma, "tau": tau, "lambda_": (sigma / tau) ** 2}.items():
            pm.Deterministic(name, pm.math.constant(np.float64(value)))
    return model
