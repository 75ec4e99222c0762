"""Fitted models in files: ``est.save(path)``, ``posterior.save(path)``, ``bayesridge.load(path)``.

A file (see :mod:`bayesridge.bundle`) holds what the engine knows of the data, the priors, the options, and what a
formula learnt: not the rows, unless asked for, and no code. The engine of one spectrum keeps the sufficient statistics
in spectral form, ``(s, V, z, r0)`` in the place of ``X'X, X'y, y'y``, whose squares would lose digits. The nodes of the
posterior are placed again by the same computation on the same numbers: coefficients, lambda and predictions come back
bit for bit on the same machine and libraries. Where there are no more rows than columns the fit works with the rows
themselves, and without them the numbers come back to 1e-12 posterior sd.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from bayesridge import priors
from bayesridge.atomic import write_atomically
from bayesridge.bundle import Bundle, pack, unpack
from bayesridge.errors import BayesRidgeError, DataError, ModelFileError
from bayesridge.fit import Problem
from bayesridge.linalg.absent import AbsentRows
from bayesridge.linalg.design import Design
from bayesridge.linalg.spectrum import FlatPart, Spectrum, factorize
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.tables.frames import frame_names

if TYPE_CHECKING:
    from bayesridge.estimator import BayesRidge
    from bayesridge.tables.formula import FormulaSpec

SCHEMA = 1
_FORMAT = "bayesridge model"
_PRIORS = (
    "BetaR2", "FixedLambda", "FixedScales", "FixedSigma", "FixedTau", "Gamma", "GammaPrecisions", "HalfCauchy",
    "HalfNormal", "HalfT", "InverseGamma", "Jeffreys", "LogNormal",
)  # fmt: skip
_DESIGN = (
    "weight_kind", "fit_intercept", "names", "target_name", "y_mean", "scaling", "n_obs", "total_weight", "signal",
    "survey",
)  # fmt: skip
_DESIGN_ARRAYS = ("penalized", "unpenalized", "constant", "mean", "scale")
_ROW_ARRAYS = ("X", "y", "weights", "cross")
_SPECTRUM = (
    "r0", "nu", "log_det_flat", "sum_log_weights", "n_obs", "signal", "route", "reason", "condition", "dropped",
    "degenerate",
)  # fmt: skip
_FLAT = tuple(field.name for field in fields(FlatPart))


class Table(NamedTuple):
    """How the columns of the design come from a table.

    Attributes
    ----------
    columns : tuple of str or None
        Names of the table's columns; None for a bare array.
    n_columns : int
    formula : FormulaSpec or None
    """

    columns: tuple[str, ...] | None
    n_columns: int
    formula: FormulaSpec | None


def source_table(X: Any, problem: Problem) -> Table:
    """Describe the table that a problem was read from."""
    if problem.spec is not None:
        names = frame_names(X) or ()
        return Table(names, len(names), problem.spec)
    columns = problem.columns
    return Table(columns.names if columns.named else None, len(columns.names), None)


def save_model(
    posterior: Posterior, path: str | Path, *, table: Table, options: Mapping[str, Any], rows: bool = False
) -> Path:
    """Write a fitted model.

    Parameters
    ----------
    posterior : Posterior
    path : str or Path
        Customarily ``*.bridge``. An existing file is replaced when the new one is complete.
    table : Table
    options : mapping
        Arguments of :class:`~bayesridge.BayesRidge`.
    rows : bool
        Whether to store the data too: then all that a posterior answers is there after loading, leave-one-out and
        checks included, and whoever has the file has the data.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If something in the model is not data: a ``Custom`` prior, a formula that learnt dates.
    OSError
        If the file cannot be written; what was there before stays.
    """
    from bayesridge import __version__
    from bayesridge.tables.formula_state import formula_state

    design, spectrum = posterior.design, posterior.spectrum
    manifest = {
        "format": _FORMAT, "schema": SCHEMA, "engine": "spectrum", "family": "gaussian", "rows": rows,
        "versions": {
            "bayesridge": __version__, "numpy": np.__version__, "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
        "options": {name: _option(name, value) for name, value in options.items()},
        "method": posterior.method,
        "prior": _prior_state(posterior.prior),
        "noise_prior": _prior_state(posterior.noise_prior),
        "table": {
            "columns": table.columns, "n_columns": table.n_columns,
            "formula": None if table.formula is None else formula_state(table.formula),
        },
        "design": {**{name: getattr(design, name) for name in _DESIGN}, "shape": design.X.shape,
                   "weighted": design.weights is not None},
        "spectrum": {**{name: getattr(spectrum, name) for name in _SPECTRUM}, "flat": spectrum.flat is not None},
    }  # fmt: skip
    arrays: dict[str, NDArray[Any] | None] = {name: getattr(design, name) for name in (*_DESIGN_ARRAYS, "kept")}
    arrays |= {name: getattr(design, name) for name in _ROW_ARRAYS} if rows else {
        "s": spectrum.s, "z": spectrum.z, "V": spectrum.V,
        **{name: getattr(spectrum.flat, name, None) for name in _FLAT},
    }  # fmt: skip
    found = {name: values for name, values in arrays.items() if values is not None}
    return write_atomically(path, pack(Bundle(manifest, found)))


def save_posterior(posterior: Posterior, path: str | Path, *, rows: bool = False) -> Path:
    """Write a posterior that was made from plain columns; :func:`load` makes an estimator of it. See `save_model`."""
    names = posterior.design.names
    named = names != tuple(f"x{j}" for j in range(len(names)))
    table = Table(names if named else None, len(names), None)
    return save_model(posterior, path, table=table, options=options_of(posterior), rows=rows)


def options_of(posterior: Posterior) -> dict[str, Any]:
    """Return the arguments of the estimator that makes this posterior from plain columns."""
    design = posterior.design
    return {
        "method": posterior.method, "prior": None if posterior.method == "evidence" else posterior.prior,
        "noise_prior": posterior.noise_prior, "fit_intercept": design.fit_intercept,
        "scale": {"unit sd": True, "none": False, "given": design.scale}[design.scaling],
        "unpenalized": [design.names[j] for j in design.unpenalized], "weight_kind": design.weighting or "frequency",
    }  # fmt: skip


def load(path: str | Path) -> BayesRidge:
    """Read a fitted model.

    Parameters
    ----------
    path : str or Path
        Written by ``save``, or by ``bayesridge fit --out``.

    Returns
    -------
    BayesRidge
        Fitted. What needs the rows of the data raises a :class:`~bayesridge.errors.RowsAbsentError` unless they were
        saved too.

    Raises
    ------
    ModelFileError
        If the file is damaged, was altered, is of a kind that this version does not know, or no model.
    OSError
        If it cannot be read.
    """
    from bayesridge.estimator import BayesRidge
    from bayesridge.tables.formula_state import formula_from_state

    manifest, arrays = unpack(path)
    _check_kind(path, manifest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were given when the model was fitted
            posterior = _posterior(manifest, arrays)
            options = {name: _from_option(value) for name, value in manifest["options"].items()}
            state = manifest["table"]
            formula = None if state["formula"] is None else formula_from_state(state["formula"])
            columns = None if state["columns"] is None else tuple(map(str, state["columns"]))
            return BayesRidge(**options)._keep(Table(columns, int(state["n_columns"]), formula), posterior)
    except (BayesRidgeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelFileError(f"{path} does not describe a model ({type(error).__name__}: {error})") from error


def _check_kind(path: str | Path, manifest: Mapping[str, Any]) -> None:
    if manifest.get("format") != _FORMAT:
        raise ModelFileError(f"{path} is not a saved model")
    if manifest.get("schema") != SCHEMA:
        written = manifest.get("versions", {}).get("bayesridge", "an unknown version")
        raise ModelFileError(
            f"{path} has schema {manifest.get('schema')} (written by bayesridge {written}), and this version reads "
            f"schema {SCHEMA}: load it with a version of bayesridge at least as new as the one that wrote it"
        )
    if (manifest.get("engine"), manifest.get("family")) != ("spectrum", "gaussian"):
        raise ModelFileError(f"{path} holds a {manifest.get('family')} model of engine {manifest.get('engine')!r}")


def _posterior(manifest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Posterior:
    facts = manifest["design"]
    shape = (int(facts["shape"][0]), int(facts["shape"][1]))
    if manifest["rows"]:
        data: dict[str, Any] = {name: arrays.get(name) for name in _ROW_ARRAYS}
    else:
        absent = AbsentRows(shape[:1])
        data = {"X": AbsentRows(shape), "y": absent, "weights": absent if facts["weighted"] else None, "cross": None}
    data |= {name: facts[name] for name in _DESIGN} | {name: arrays[name] for name in _DESIGN_ARRAYS}
    design = Design(**{**data, "names": tuple(map(str, facts["names"]))}, kept=arrays.get("kept"))
    spectrum = factorize(design) if manifest["rows"] else _spectrum(manifest["spectrum"], arrays)
    _check_shapes(design, spectrum, shape)
    prior, noise = _prior(manifest["prior"]), _prior(manifest["noise_prior"])
    return infer(design, spectrum, prior, noise, "evidence" if manifest["method"] == "evidence" else None)


def _spectrum(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Spectrum:
    flat = FlatPart(**{name: arrays[name] for name in _FLAT}) if facts["flat"] else None
    described = {name: facts[name] for name in _SPECTRUM}
    return Spectrum(s=arrays["s"], z=arrays["z"], right=arrays["V"], flat=flat, left=None, **described)


def _check_shapes(design: Design, spectrum: Spectrum, shape: tuple[int, int]) -> None:
    """Hold the arrays against each other: what does not fit together must not become a number."""
    p, k, u, rank = shape[1], len(design.penalized), len(design.unpenalized), spectrum.rank
    columns = np.concatenate([design.penalized, design.unpenalized, design.constant])
    fitting = [
        len(design.names) == p, design.X.shape == shape, design.y.shape == shape[:1],
        design.mean.shape == design.scale.shape == (p,), set(columns.tolist()) <= set(range(p)),
        spectrum.s.shape == spectrum.z.shape, spectrum.V.shape == (k, rank),
        all(np.isfinite(values).all() for values in (design.mean, design.scale, spectrum.s, spectrum.z, spectrum.V)),
        (spectrum.s > 0).all(), (design.scale > 0).all(), np.isfinite([spectrum.r0, design.y_mean]).all(),
    ]  # fmt: skip
    if spectrum.flat is not None:
        flat = spectrum.flat
        fitting.append((flat.on_target.shape, flat.on_predictors.shape) == ((u,), (u, k)))
        fitting.append(flat.root_inverse.shape == (u, u))
    if not all(fitting):
        raise ModelFileError("its arrays do not fit together")


# -- priors and options --------------------------------------------------------------------------------------------


def _prior_state(prior: Any) -> dict[str, Any]:
    name = type(prior).__name__
    if name not in _PRIORS:
        raise DataError(
            f"a saved model holds numbers and no code, and {name} is a function: save the draws (to_datatree), or use "
            f"one of the priors {', '.join(_PRIORS)}"
        )
    values = {field.name: getattr(prior, field.name) for field in fields(prior)}
    return {"class": name, "values": {key: one if isinstance(one, str) else float(one) for key, one in values.items()}}


def _prior(state: Mapping[str, Any]) -> Any:
    if state["class"] not in _PRIORS:
        raise ModelFileError(f"its prior {state['class']!r} is none that this version knows")
    return getattr(priors, state["class"])(**state["values"])


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
    return {"prior": _prior_state(value)}


def _from_option(value: Any) -> Any:
    return _prior(value["prior"]) if isinstance(value, dict) else value
