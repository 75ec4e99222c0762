r"""Lambda in other libraries' words.

Here lambda is what it is in the sum that ridge minimises, for columns and target as they are passed to it::

    Gaussian:          sum_i w_i (y_i - b0 - x_i'b)^2 + lambda |b|^2,           lambda = sigma^2 / tau^2,
    other families:    -log L(b0, b) + lambda / 2 |b|^2,                         lambda = 1 / tau^2,

b0 without a penalty. Other libraries minimise the same up to a factor, so that their argument is a multiple or a
reciprocal of lambda; :data:`OBJECTIVES` has the factor of each, and what else is to be watched. Each line of it is held
against the library itself in the tests, those of R against its recorded results.

Sources: the documentation of each library, under the name in its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bayesridge.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_OWN_COLUMNS = (
    "it divides columns by their standard deviation (with n) itself, as BayesRidge does: pass them as they are"
)
_NO_SCALING = "it takes columns as they are: divide them by their standard deviation, or say scale=False here"
_SHRINKS_INTERCEPT = "it penalises the intercept with the rest: centre the columns and the target, and leave it out"
_BATCHES = "where a batch is all n rows (lbfgs); in batches of m rows it divides by m, and lambda is alpha n/m"
_AFTER = "AdamW's decay is no penalty and has no lambda; L2 in the gradient before Adam is one"


@dataclass(frozen=True)
class Objective:
    """What a library minimises, and how its argument comes out of lambda.

    Attributes
    ----------
    library, argument : str
        Class or function, and the name of its argument.
    minimizes : str
    outcome : {"gaussian", "other"}
        Whose lambda it is: sigma^2 / tau^2, or 1 / tau^2.
    power : float
        The argument is ``factor * lambda ** power``.
    factor : str
        In words; "1" where the argument is lambda itself.
    needs : tuple of str
        What the factor is made of.
    notes : tuple of str
        What else differs.
    """

    library: str
    argument: str
    minimizes: str
    outcome: Literal["gaussian", "other"]
    power: float
    factor: str
    compute: Callable[[Mapping[str, float]], float]
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = (_NO_SCALING,)


def _same(_: Mapping[str, float]) -> float:
    return 1.0


def _over_n(given: Mapping[str, float]) -> float:
    return 1.0 / given["n"]


_RIDGE = "|y - Xb|² + alpha |b|²"
_HALF_MEAN = "|y - Xb|² / (2n) + alpha/2 |b|²"
_LIKELIHOOD = "-log L / n + alpha/2 |b|²"
_LISTED = (
    Objective("sklearn.linear_model.Ridge", "alpha", _RIDGE, "gaussian", 1.0, "1", _same),
    Objective("sklearn.linear_model.RidgeCV", "alpha_", _RIDGE, "gaussian", 1.0, "1", _same),
    Objective("sklearn.kernel_ridge.KernelRidge", "alpha", "|y - Ka|² + alpha a'Ka", "gaussian", 1.0, "1", _same,
              notes=(_NO_SCALING, "it has no intercept: centre the columns and the target")),
    Objective("sklearn.linear_model.BayesianRidge", "lambda_", "alpha_ |y - Xb|² + lambda_ |b|²", "gaussian", 1.0,
              "1/sigma²", lambda given: given["sigma"] ** -2.0, ("sigma",),
              (_NO_SCALING, "lambda_ and alpha_ are precisions of coefficients and noise: lambda is their ratio")),
    Objective("sklearn.linear_model.ElasticNet", "alpha", _HALF_MEAN, "gaussian", 1.0, "1/n", _over_n, ("n",),
              (_NO_SCALING, "with l1_ratio=0")),
    Objective("sklearn.linear_model.SGDRegressor", "alpha", _HALF_MEAN, "gaussian", 1.0, "1/n", _over_n, ("n",),
              (_NO_SCALING, "where it has converged, which takes a falling learning rate")),
    Objective("sklearn.linear_model.LogisticRegression", "C", "-C log L + |b|²/2", "other", -1.0, "1", _same),
    Objective("sklearn.linear_model.PoissonRegressor", "alpha", "deviance / (2n) + alpha/2 |b|²", "other", 1.0, "1/n",
              _over_n, ("n",), (_NO_SCALING, "with weights n is their sum")),
    Objective("sklearn.linear_model.SGDClassifier", "alpha", _LIKELIHOOD, "other", 1.0, "1/n", _over_n, ("n",),
              (_NO_SCALING, "with loss=\"log_loss\", where it has converged")),
    Objective("sklearn.neural_network.MLPRegressor", "alpha", "(|y - f|² + alpha |W|²) / (2n)", "gaussian", 1.0, "1",
              _same, notes=(_NO_SCALING, _BATCHES)),
    Objective("sklearn.neural_network.MLPClassifier", "alpha", "(-log L + alpha/2 |W|²) / n", "other", 1.0, "1", _same,
              notes=(_NO_SCALING, _BATCHES)),
    Objective("statsmodels.OLS.fit_regularized", "alpha", _HALF_MEAN, "gaussian", 1.0, "1/n", _over_n, ("n",),
              (_NO_SCALING, "with L1_wt=0; alpha is an array with 0 for the constant, which it penalises otherwise")),
    Objective("statsmodels.GLM.fit_regularized", "alpha", _LIKELIHOOD, "other", 1.0, "1/n", _over_n, ("n",),
              (_NO_SCALING, "with L1_wt=0; alpha is an array with 0 for the constant, which it penalises otherwise")),
    Objective("scipy.sparse.linalg.lsqr", "damp", "|y - Xb|² + damp² |b|²", "gaussian", 0.5, "1", _same,
              notes=(_NO_SCALING, _SHRINKS_INTERCEPT)),
    Objective("glmnet", "lambda", "|y - Xb|² / (2n) + lambda/2 |b|², y divided by its sd", "gaussian", 1.0, "sd(y)/n",
              lambda given: given["sd_y"] / given["n"], ("n", "sd_y"),
              (_OWN_COLUMNS, "with alpha = 0; sd(y) has the denominator n")),
    Objective("glmnet, other families", "lambda", "-log L / n + lambda/2 |b|²", "other", 1.0, "1/n", _over_n, ("n",),
              (_OWN_COLUMNS, "with alpha = 0 and family = \"binomial\" or \"poisson\"")),
    Objective("MASS::lm.ridge", "lambda", _RIDGE.replace("alpha", "lambda"), "gaussian", 1.0, "1", _same,
              notes=(_OWN_COLUMNS,)),
    Objective("mgcv::gam", "sp", "|y - Xb|² + sp b'Sb", "gaussian", 1.0, "1", _same,
              notes=(_NO_SCALING, "with paraPen = list(X = list(diag(p))); a smooth's own sp is for a rescaled S")),
    Objective("keras.regularizers.l2", "l2", "|y - Xb|² / n + l2 |b|²", "gaussian", 1.0, "1/n", _over_n, ("n",),
              (_NO_SCALING, "with the loss \"mse\" of one output")),
    Objective("keras.regularizers.l2, log loss", "l2", "-log L / n + l2 |b|²", "other", 1.0, "1/(2n)",
              lambda given: 0.5 / given["n"], ("n",)),
    Objective("torch.optim.SGD", "weight_decay", "|y - Xb|² / n + weight_decay/2 |b|²", "gaussian", 1.0, "2/n",
              lambda given: 2.0 / given["n"], ("n",),
              (_NO_SCALING, "with MSELoss; it decays biases too unless they stand in a parameter group of their own",
               _AFTER)),
    Objective("optax.add_decayed_weights", "weight_decay", "|y - Xb|² / n + weight_decay/2 |b|²", "gaussian", 1.0,
              "2/n", lambda given: 2.0 / given["n"], ("n",),
              (_NO_SCALING, "with the mean of squares, before the optimiser; optax.l2_loss halves them: 1/n", _AFTER)),
    Objective("prior sd", "sd", "-log posterior, b ~ N(0, sd²)", "gaussian", -0.5, "sigma",
              lambda given: given["sigma"], ("sigma",),
              (_NO_SCALING, "of brms, rstanarm and PyMC", "rstanarm's autoscale multiplies it by sd(y)/sd(x)")),
    Objective("prior sd, other families", "sd", "-log posterior, b ~ N(0, sd²)", "other", -0.5, "1", _same,
              notes=(_NO_SCALING, "of brms, rstanarm and PyMC")),
)  # fmt: skip

#: Every objective, by its library.
OBJECTIVES: Mapping[str, Objective] = {one.library: one for one in _LISTED}


def from_lambda(
    lam: float, library: str, *, n: float | None = None, sd_y: float | None = None, sigma: float | None = None
) -> float:
    """Return a library's argument for a lambda.

    Parameters
    ----------
    lam : float
        Positive: sigma^2 / tau^2 for a Gaussian target, 1 / tau^2 for other families.
    library : str
        A name of :data:`OBJECTIVES`; the last part of it is enough (``"Ridge"``).
    n : float, optional
        Number of observations, or the sum of the weights.
    sd_y : float, optional
        Standard deviation of the target, denominator n.
    sigma : float, optional
        Standard deviation of the noise.

    Raises
    ------
    DataError
        If there is no such library, or something its factor needs is missing or not positive.

    Examples
    --------
    >>> from bayesridge import translate
    >>> translate.from_lambda(10.0, "PoissonRegressor", n=200)
    0.05
    """
    one = find(library)
    with np.errstate(over="ignore"):
        value = _factor(one, n=n, sd_y=sd_y, sigma=sigma) * np.float64(_positive("lam", lam)) ** one.power
    return _positive(one.argument, value)


def to_lambda(
    value: float, library: str, *, n: float | None = None, sd_y: float | None = None, sigma: float | None = None
) -> float:
    """Return lambda for a library's argument; parameters as for :func:`from_lambda`.

    Examples
    --------
    >>> from bayesridge import translate
    >>> translate.to_lambda(0.1, "LogisticRegression")
    10.0
    """
    one = find(library)
    ratio = _positive(one.argument, value) / _factor(one, n=n, sd_y=sd_y, sigma=sigma)
    with np.errstate(over="ignore"):
        return _positive("lambda", np.float64(ratio) ** (1.0 / one.power))


def convert(
    value: float,
    source: str,
    target: str,
    *,
    n: float | None = None,
    sd_y: float | None = None,
    sigma: float | None = None,
) -> float:
    """Return the argument of `target` that has the minimiser of `source` at `value`; see :func:`from_lambda`.

    Raises
    ------
    DataError
        If one is of a Gaussian target and the other is not: they have no minimiser in common.
    """
    first, second = find(source), find(target)
    if first.outcome != second.outcome:
        raise DataError(
            f"{first.library} is of {_OUTCOMES[first.outcome]} and {second.library} of {_OUTCOMES[second.outcome]}: "
            "they have no minimiser in common"
        )
    lam = to_lambda(value, source, n=n, sd_y=sd_y, sigma=sigma)
    return from_lambda(lam, target, n=n, sd_y=sd_y, sigma=sigma)


def explain(library: str) -> str:
    """Say what a library minimises, by which factor its argument differs from lambda, and what else does."""
    one = find(library)
    power = {1.0: "lambda", -1.0: "1/lambda", 0.5: "sqrt(lambda)", -0.5: "1/sqrt(lambda)"}[one.power]
    product = power if one.factor == "1" else f"{one.factor} x {power}"
    ours = "|y - Xb|² + lambda |b|²" if one.outcome == "gaussian" else "-log L + lambda/2 |b|²"
    lines = [f"{one.library} minimises {one.minimizes}; here {ours}.", f"{one.argument} = {product}"]
    return "\n".join([*lines, *[f"- {note}" for note in one.notes]])


def table() -> pd.DataFrame:
    """Every library: argument, what it minimises, outcome, factor, power of lambda, notes."""
    import pandas as pd

    rows = [
        {"argument": one.argument, "minimizes": one.minimizes, "outcome": one.outcome, "factor": one.factor,
         "power of lambda": one.power, "notes": "; ".join(one.notes)}
        for one in _LISTED
    ]  # fmt: skip
    return pd.DataFrame(rows, index=pd.Index(list(OBJECTIVES), name="library"))


_OUTCOMES = {"gaussian": "a Gaussian target", "other": "a likelihood without sigma"}


def find(library: str) -> Objective:
    """Return the objective of a library, by its name or the last part of it."""
    found = [one for name, one in OBJECTIVES.items() if library in (name, name.rpartition(".")[2])]
    if len(found) == 1:
        return found[0]
    near = difflib.get_close_matches(library, OBJECTIVES, n=1, cutoff=0.4)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise DataError(f"no objective {library!r}{hint}; there are {', '.join(OBJECTIVES)}")


def _factor(one: Objective, **given: float | None) -> float:
    missing = [name for name in one.needs if given[name] is None]
    if missing:
        raise DataError(f"{one.argument} of {one.library} is {one.factor} times lambda's power: pass {missing[0]}=")
    return one.compute({name: _positive(name, value) for name, value in given.items() if value is not None})


def _positive(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not 0 < number < np.inf:
        raise DataError(f"{name} must be a positive number, got {value!r}")
    return number
