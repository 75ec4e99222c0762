"""Saved models are read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bayesridge.errors import BayesRidgeError, ModelFileError, check_path
from bayesridge.estimator.classifier import BayesRidgeClassifier
from bayesridge.estimator.kernel import BayesKernelRidge
from bayesridge.estimator.regressor import BayesRidge
from bayesridge.mcmc.posterior import SampledPosterior
from bayesridge.outcomes.infer import outcome_from_state
from bayesridge.outcomes.student import student_from_state
from bayesridge.persistence import read_model
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.kernel import KernelPosterior
from bayesridge.posteriors.posterior import Posterior

#: What makes a posterior of the state that a file holds, by the file's word for the engine.
READERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], AnyPosterior]] = {
    "spectrum": Posterior.from_state,
    "groups": Posterior.from_state,
    "levels": Posterior.from_state,
    "kernel": KernelPosterior.from_state,
    "chains": SampledPosterior.from_state,
    "outcome": outcome_from_state,
    "student": student_from_state,
}


def load(path: str | Path) -> BayesRidge | BayesRidgeClassifier | BayesKernelRidge:
    """Read a fitted model.

    Parameters
    ----------
    path : str or Path
        Written by ``save``; or the folder that ``bayesridge fit --out`` wrote, whose ``model.bridge`` is read.

    Returns
    -------
    BayesRidge, BayesRidgeClassifier or BayesKernelRidge
        Fitted. What needs the rows of the data raises a :class:`~bayesridge.errors.RowsAbsentError` unless they were
        saved too.

    Raises
    ------
    ModelFileError
        If the file is damaged, was altered, is of a kind that this version does not know, or no model.
    OSError
        If it cannot be read.
    """
    given = check_path(path)
    path = given / "model.bridge" if given.is_dir() else given
    if given.is_dir() and not path.is_file():
        raise ModelFileError(f"{given} is a folder that holds no model.bridge: name the file of the model")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were given when the model was fitted
            saved = read_model(path)
            facts, arrays = saved.state
            if facts["engine"] not in READERS:
                raise ModelFileError(f"{path} holds a {facts['family']} model of engine {facts['engine']!r}")
            posterior = READERS[facts["engine"]](facts, arrays)
            if saved.table.labels is not None:
                return BayesRidgeClassifier(**saved.options)._keep(saved.table, posterior)
            if facts["engine"] == "kernel":
                return BayesKernelRidge(**saved.options)._keep(saved.table, posterior)
            return BayesRidge(**saved.options)._keep(saved.table, posterior)
    except (BayesRidgeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, ModelFileError) and str(path) in str(error):
            raise
        missing = isinstance(error, KeyError)
        why = f"it lacks {error}" if missing else f"{type(error).__name__}: {error}"
        remedy = "; if another version of bayesridge wrote it, fit again and save" if missing else ""
        raise ModelFileError(f"{path} does not describe a model ({why}){remedy}") from error
