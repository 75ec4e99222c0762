"""Coefficients apart from the effects of levels and the bases of smooths, of which there may be thousands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.quantity import Quantity
from bayesridge.posteriors.shown import number
from bayesridge.tables.columns import quoted_list

if TYPE_CHECKING:
    import pandas as pd


def single_columns(design: Design) -> NDArray[np.intp] | slice:
    """Return the columns that are no effects of levels and no bases of smooths."""
    if not design.blocks:
        return slice(None)
    inside = np.concatenate([one.columns for one in design.blocks])
    return np.setdiff1d(np.arange(len(design.names)), inside)


def level_effects(posterior: AnyPosterior, name: str) -> Quantity:
    """Posterior of the effects of all levels, labelled by them; the last is that of a level without rows.

    Raises
    ------
    DataError
        If there are no such effects.
    """
    known = {one.name: one for one in posterior.design.blocks if one.kind == "levels"}
    if name not in known:
        raise DataError(f"there are no effects of levels called {name!r}; there are: {quoted_list(known) or 'none'}")
    found: Any = posterior.coefficients.take(known[name].columns)
    effects: Quantity = replace(found, labels=known[name].labels(posterior.design.names))
    return effects


def all_coefficients(posterior: AnyPosterior, level: float = 0.95) -> pd.DataFrame:
    """Return a table of the intercept and every coefficient, effects of levels included."""
    import pandas as pd

    intercept = [posterior.intercept] if posterior.design.fit_intercept else []
    return pd.concat([part.summary(level) for part in [*intercept, posterior.coefficients]])


def level_tables(posterior: AnyPosterior, level: float = 0.95) -> dict[str, pd.DataFrame]:
    """Return a table of each block of effects: one row a level."""
    blocks = [one for one in posterior.design.blocks if one.kind == "levels"]
    return {one.name: level_effects(posterior, one.name).summary(level) for one in blocks}


def block_sentences(posterior: AnyPosterior) -> list[str]:
    """Say of each block how many effects there are and how far they reach."""
    said = []
    for one in posterior.design.blocks:
        found = posterior.coefficients.take(one.columns)
        if one.kind == "levels":
            for part, label in enumerate(one.labels(posterior.design.names)[-one.parts :]):
                mean, new = found.mean[part :: one.parts][:-1], found.sd[part :: one.parts][-1]
                of = f" of {label.partition(': ')[2]}" if part else ""
                said.append(
                    f"{one.name}: effects{of} of {len(mean)} levels from {number(mean.min())} to {number(mean.max())} "
                    f"(posterior means); that of a new one has sd {number(new)}"
                )
        else:
            said.append(f"{one.name}: a curve of {one.size} columns about its straight line")
    return said
