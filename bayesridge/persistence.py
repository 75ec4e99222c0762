"""Fitted models in files: what is in them, and how priors and options are said without code.

A file (see :mod:`bayesridge.bundle`) holds what the engine knows of the data (its ``state``), the priors, the options,
and what a formula learnt: not the rows, unless asked for, and no code. The nodes of an exact posterior are placed again
by the same computation on the same numbers: coefficients, lambda and predictions come back bit for bit on the same
machine and libraries. Where there are no more rows than columns the fit works with the rows themselves, and without
them the numbers come back to 1e-12 posterior sd. A sampled posterior is kept draw by draw.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy

from bayesridge import priors
from bayesridge.atomic import write_atomically
from bayesridge.bundle import Bundle, pack, unpack
from bayesridge.design.design import State
from bayesridge.errors import DataError, ModelFileError
from bayesridge.priors.stored_density import StoredDensity
from bayesridge.tables.formula import FormulaSpec

SCHEMA = 1
_FORMAT = "bayesridge model"
_PRIORS = {one.__name__: one for one in (*priors.PRIORS.values(), *priors.NOISE_PRIORS.values())}


class Table(NamedTuple):
    """How the columns of the design come from a table.

    Attributes
    ----------
    columns : tuple of str or None
        Names of the table's columns; None for a bare array.
    n_columns : int
    formula : FormulaSpec or None
    offset : FormulaSpec or None
        Makes the offset, where an expression of the table's columns was given for it.
    labels : tuple of two or None
        Of the classes, where the target is one of two.
    """

    columns: tuple[str, ...] | None
    n_columns: int
    formula: FormulaSpec | None
    offset: FormulaSpec | None = None
    labels: tuple[Any, Any] | None = None


def plain_table(names: tuple[str, ...]) -> Table:
    """The table of a design that was made from plain columns."""
    named = names != tuple(f"x{j}" for j in range(len(names)))
    return Table(names if named else None, len(names), None)


class Stateful(Protocol):
    """A posterior that can say what it is with facts and arrays, the facts ``engine`` and ``family`` among them."""

    def state(self, *, rows: bool = False) -> State:
        """The facts and the arrays."""


class SavedModel(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    state : State
        Of the posterior.
    table : Table
    options : dict
        Arguments of the estimator.
    """

    state: State
    table: Table
    options: dict[str, Any]


def save_model(
    posterior: Stateful, path: str | Path, *, table: Table, options: Mapping[str, Any], rows: bool = False
) -> Path:
    """Write a fitted model.

    Parameters
    ----------
    posterior : Stateful
    path : str or Path
        Customarily ``*.bridge``. An existing file is replaced when the new one is complete.
    table : Table
    options : mapping
        Arguments of the estimator.
    rows : bool
        Whether to store the data too: then all that a posterior answers is there after loading, leave-one-out and
        checks included, and whoever has the file has the data.

    Raises
    ------
    DataError
        If something in the model is not data: a formula that learnt dates, a prior whose density is too rough.
    OSError
        If the file cannot be written; what was there before stays.
    """
    from bayesridge import __version__
    from bayesridge.tables.formula_state import formula_state

    facts, arrays = posterior.state(rows=rows)
    manifest = {
        "format": _FORMAT, "schema": SCHEMA, "rows": rows,
        "versions": {
            "bayesridge": __version__, "numpy": np.__version__, "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
        "options": {name: _option(name, value) for name, value in options.items()},
        "table": {
            "columns": table.columns, "n_columns": table.n_columns, "labels": table.labels,
            "formula": None if table.formula is None else formula_state(table.formula),
            "offset": None if table.offset is None else formula_state(table.offset),
        },
        **facts,
    }  # fmt: skip
    return write_atomically(path, pack(Bundle(manifest, arrays)))


def read_model(path: str | Path) -> SavedModel:
    """Read what a file holds.

    Raises
    ------
    ModelFileError
        If the file is damaged, was altered, is of a kind that this version does not know, or no model.
    OSError
        If it cannot be read.
    """
    from bayesridge.tables.formula_state import formula_from_state

    manifest, arrays = unpack(path)
    if manifest.get("format") != _FORMAT:
        raise ModelFileError(f"{path} is not a saved model")
    if manifest.get("schema") != SCHEMA:
        written = manifest.get("versions", {}).get("bayesridge", "an unknown version")
        raise ModelFileError(
            f"{path} has schema {manifest.get('schema')} (written by bayesridge {written}), and this version reads "
            f"schema {SCHEMA}: load it with a version of bayesridge at least as new as the one that wrote it"
        )
    state = manifest["table"]
    formula = None if state["formula"] is None else formula_from_state(state["formula"])
    offset = None if state["offset"] is None else formula_from_state(state["offset"])
    columns = None if state["columns"] is None else tuple(map(str, state["columns"]))
    options = {name: _from_option(value) for name, value in manifest["options"].items()}
    labels = None if state["labels"] is None else tuple(state["labels"])
    table = Table(columns, int(state["n_columns"]), formula, offset, labels)
    return SavedModel((manifest, dict(arrays)), table, options)


# -- priors and options --------------------------------------------------------------------------------------------


def prior_state(prior: Any) -> dict[str, Any]:
    """Say a prior with JSON."""
    name = type(prior).__name__
    if isinstance(prior, priors.Custom):
        return {"class": name, "values": {"of": prior.of, "label": prior.label}, "density": _tabulated(prior).state()}
    if isinstance(prior, priors.ByGroup):
        each = [prior_state(one) for one in prior.priors]
        return {"class": name, "groups": list(prior.groups), "priors": each}
    if name not in _PRIORS:
        raise DataError(f"a saved model holds numbers and no code, and {name} is none of {', '.join(sorted(_PRIORS))}")
    values = {field.name: getattr(prior, field.name) for field in fields(prior)}
    return {"class": name, "values": {key: one if isinstance(one, str) else float(one) for key, one in values.items()}}


def prior_from_state(state: Mapping[str, Any]) -> Any:
    """Make a prior of its state."""
    if state["class"] == "Custom":
        return priors.Custom(
            StoredDensity.from_state(state["density"]), of=state["values"]["of"], label=state["values"]["label"]
        )
    if state["class"] == "ByGroup":
        return priors.ByGroup(tuple(state["groups"]), tuple([prior_from_state(one) for one in state["priors"]]))
    if state["class"] not in _PRIORS:
        raise ModelFileError(f"its prior {state['class']!r} is none that this version knows")
    made, values = _PRIORS[state["class"]], state["values"]
    known = {field.name for field in fields(made)}
    if missing := known - set(values):  # a default would be another prior
        raise ModelFileError(f"its prior {state['class']} lacks {', '.join(sorted(missing))}")
    return made(**values)


def _option(name: str, value: Any) -> Any:
    """Say an option of the estimator with JSON."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float, np.number, np.bool_)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_option(name, one) for one in value]
    if name == "random_state":
        return None  # a generator has moved on since
    if isinstance(value, Mapping) or name == "sampler":
        given = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        return {"options": {str(key): _option(key, one) for key, one in given.items()}}
    return {"prior": prior_state(value)}


def _from_option(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "options" in value:
        return {key: _from_option(one) for key, one in value["options"].items()}
    return prior_from_state(value["prior"])


def _tabulated(prior: priors.Custom) -> StoredDensity:
    if isinstance(prior.log_pdf, StoredDensity):
        return prior.log_pdf
    return StoredDensity.of(prior.log_pdf, share=prior.of == "R2")
