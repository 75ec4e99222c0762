"""A design on some of its rows: same names, same roles of the columns, same rule for the scales."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import BayesRidgeWarning
from bayesridge.linalg.design import Design, build_design
from bayesridge.linalg.spectrum import Spectrum, factorize

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

_SCALE = {"unit sd": True, "none": False}


def subset_design(
    design: Design,
    rows: Rows | NDArray[np.bool_],
    *,
    y: Array | None = None,
    weights: Array | None = None,
) -> Design:
    """Describe the same regression on some of the rows (repeats allowed), centres and scales refitted there.

    Divisors that were given, and ``scale=False``, stay.

    Parameters
    ----------
    design : Design
    rows : ndarray of int or bool
        Which rows, in this order.
    y, weights : ndarray of shape (number of rows,), optional
        Another target, other weights (of the same kind) for these rows.

    Returns
    -------
    Design
        Columns without spread in these rows are left out of it (their coefficients are zero there), without the
        warning that would be due to the analyst's own table.

    Raises
    ------
    DataError
        If the rows are too few, or an unpenalised column has no spread in them.
    """
    own = None if design.weights is None else design.weights[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        return build_design(
            design.X[rows],
            design.y[rows] if y is None else y,
            names=design.names,
            target_name=design.target_name,
            weights=own if weights is None else weights,
            weight_kind=design.weight_kind,
            fit_intercept=design.fit_intercept,
            scale=_SCALE.get(design.scaling, design.scale),
            unpenalized=[int(j) for j in design.unpenalized],
        )


def factorize_quietly(design: Design) -> Spectrum:
    """Factorise a part of the analyst's table, without warnings about that part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesRidgeWarning)
        return factorize(design)
