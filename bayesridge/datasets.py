"""The example tables that come with the package.

============  ====  ==========  =======================================================================
name          rows  predictors  target
============  ====  ==========  =======================================================================
``diabetes``   442          10  ``progression``: disease progression after one year (a score, no unit)
``longley``     16           6  ``TOTEMP``: total employment (thousands of people)
``sensor``     120           5  ``error``: sensor reading less reference (ppm), simulated
============  ====  ==========  =======================================================================

Predictors and their units:

- ``diabetes``: age (years), sex (coded 1 and 2), bmi (kg/m^2), bp (mean arterial pressure, mm Hg), and from
  blood serum s1 (total cholesterol, mg/dl), s2 (low-density lipoproteins, mg/dl), s3 (high-density
  lipoproteins, mg/dl), s4 (total cholesterol over HDL), s5 (possibly the log of triglycerides), s6 (glucose,
  mg/dl).
- ``longley``: GNPDEFL (price deflator of GNP, 1954 = 100), GNP (millions of dollars), UNEMP, ARMED and POP
  (unemployed, armed forces, population of 14 years and over, each in thousands), YEAR.
- ``sensor``: temperature (degrees Celsius), humidity (relative, per cent), pressure (hPa), supply_voltage
  (V), age_days (days). The coefficients behind it are known: see ``bayesridge.data.make_sensor``.
"""

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_TARGETS = {"diabetes": "progression", "longley": "TOTEMP", "sensor": "error"}

__all__ = ["load", "load_xy", "names", "target"]


def names() -> tuple[str, ...]:
    """Return the names of the tables.

    Returns
    -------
    tuple of str
        In alphabetical order.
    """
    return tuple(sorted(_TARGETS))


def target(name: str) -> str:
    """Return the name of a table's target column.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    str
        The column to be predicted.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    if name not in _TARGETS:
        raise ValueError(f"no data set called {name!r}; there are: {', '.join(names())}")
    return _TARGETS[name]


def load(name: str) -> "pd.DataFrame":
    """Read a table.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pandas.DataFrame
        Predictors and target, in the units given at the top of this module; no value is missing.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    target(name)
    import pandas as pd

    with files("bayesridge.data").joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def load_xy(name: str) -> "tuple[pd.DataFrame, pd.Series[float]]":
    """Read a table, predictors and target apart.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    X : pandas.DataFrame
        All columns but the target.
    y : pandas.Series
        The target, as float.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    frame = load(name)
    y = frame.pop(target(name)).astype(float)
    return frame, y
