"""The errors and warnings of this package, and the import of optional packages.

Every error is a :class:`BayesRidgeError` and also the built-in exception a caller would expect, so code
written for scikit-learn (``except ValueError``) keeps working.
"""

from __future__ import annotations

import importlib
import operator
import os
import warnings
from pathlib import Path
from types import ModuleType

_PACKAGE = os.path.dirname(__file__)


class BayesRidgeError(Exception):
    """The base of every error this package raises on purpose."""


class DataError(BayesRidgeError, ValueError):
    """The data, or an argument that describes it, cannot be used; the text says what to do."""


class DataTypeError(DataError, TypeError):
    """A value, or a column label, is of a kind that has no meaning as a number or a name."""


class FormulaError(DataError):
    """A formula that cannot be read, or that asks for what no formula may do."""


class RowsAbsentError(DataError):
    """An answer needs the rows of the data, and the model was saved without them."""


class ModelFileError(DataError):
    """A saved model cannot be read: it is damaged, altered, of an unknown kind, or no model."""


class ImproperPosteriorError(BayesRidgeError, ValueError):
    """Data and prior together leave some parameter without a proper posterior distribution."""


class PriorError(BayesRidgeError, ValueError):
    """A prior with impossible parameters, or one used where another kind belongs."""


class MissingExtraError(BayesRidgeError, ImportError):
    """An optional package is needed and is not installed (or cannot be imported)."""


class BayesRidgeWarning(UserWarning):
    """The base of every warning this package gives."""


class UnseenLevelWarning(BayesRidgeWarning):
    """A prediction is for a level of a random effect that the fit did not see: its effect is a draw of the prior."""


class ExtrapolationWarning(BayesRidgeWarning):
    """A prediction lies beyond the values that a smooth was fitted to."""


class ConstantColumnWarning(BayesRidgeWarning):
    """A predictor has one value only: the data say nothing about its coefficient."""


class PerfectFitWarning(BayesRidgeWarning):
    """The predictors reproduce the target exactly: the noise cannot be estimated."""


class ConstantTargetWarning(BayesRidgeWarning):
    """The target has one value only: there is nothing to explain."""


class NoSignalWarning(BayesRidgeWarning):
    """The data do not tell the coefficients from zero."""


class DroppedRowsWarning(BayesRidgeWarning):
    """Rows with missing values were left out, as the caller asked."""


class ReadingWarning(BayesRidgeWarning):
    """A file says something in a way that leaves a choice; the text says what was made of it."""


class WeightsWarning(BayesRidgeWarning):
    """Frequency weights do not look like counts of rows, and the number of observations is their sum."""


class AccuracyWarning(BayesRidgeWarning):
    """A number is right to fewer digits than usual."""


class DuplicateRowsWarning(BayesRidgeWarning):
    """Rows occur several times where each was expected to be a new observation."""


def warn(message: str, category: type[Warning]) -> None:
    """Give a warning that points at the first line outside this package.

    Parameters
    ----------
    message : str
        What happened and what the reader may do about it.
    category : type of Warning
        Usually one of the subclasses of `BayesRidgeWarning`.
    """
    warnings.warn(message, category, stacklevel=2, skip_file_prefixes=(_PACKAGE,))


def check_counts(*, least: int = 1, **counts: int) -> None:
    """Refuse numbers of draws, chains, simulations ... that are not whole, or too small.

    Raises
    ------
    DataTypeError
        For what is no integer: 2.5, True, "3".
    DataError
        Below `least`.
    """
    for name, value in counts.items():
        try:
            whole = operator.index(value)
        except TypeError:
            whole = None
        if whole is None or isinstance(value, bool):
            raise DataTypeError(f"{name} must be a whole number, got {value!r}")
        if whole < least:
            raise DataError(f"{name} must be at least {least}, got {value}")


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file, and refuse by name what is none: a number, None, bytes."""
    if not isinstance(path, (str, os.PathLike)) or "\0" in os.fspath(path):
        raise DataTypeError(f"the name of a file is a string or a path, got {path!r}")
    return Path(path)


def check_memory(needed: float, what: str, remedy: str) -> None:
    """Refuse what takes more bytes than the machine has, before it is begun."""
    there = float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else float("inf")
    if needed > there:
        raise DataError(
            f"{what} take {needed / 1e9:.3g} GB, and this machine has {there / 1e9:.3g} GB of memory: {remedy}"
        )


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module.

    Parameters
    ----------
    module : str
        Dotted name of the module, such as ``"pyarrow.parquet"``.
    extra : str
        The extra of this package that installs it, such as ``"parquet"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        If it cannot be imported; the text names the extra, and the cause when the package is
        there but broken.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        absent = isinstance(error, ModuleNotFoundError) and error.name == package
        problem = "is not installed" if absent else f"cannot be imported ({error})"
        raise MissingExtraError(
            f"{package} is needed here and {problem}: pip install 'bayesridge[{extra}]'", name=package
        ) from error
