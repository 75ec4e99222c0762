r"""Draws, exact or from a Markov chain, in one result type: ArviZ's ``xarray.DataTree``.

Dimensions are ``chain``, ``draw``, ``feature`` (all columns), ``penalized`` (the columns under the prior) and ``obs``.
``obs`` holds the rows of the caller's table that are observations: rows left out for missing values, or of weight
zero, have no place in it, and its labels are their positions in that table.

With a precision weight w an observation has noise sd ``sigma / sqrt(w)``. With a frequency weight w a row stands for w
observations, and the log likelihood stored is that of *one* of them (an attribute says so): leave-one-out
sums have to multiply by the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.filters import effective_dof
from bayesridge.linalg.shares import explained
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.linalg.student import log_t_constant
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.draws import Draws

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Seed = int | np.random.Generator | None

_BLOCK_VALUES = 1 << 20  # draws x observations worked on at a time


@dataclass(frozen=True, eq=False)
class _Observations:
    """The rows that are observations, as given."""

    index: NDArray[np.intp]
    y: Array
    X: Array
    weights: Array | None
    root_precision: Array | None


class OutcomeText(NamedTuple):
    """What the layout has to know of an outcome that is no Gaussian number.

    Attributes
    ----------
    unit : str
        What intercept and coefficients are in.
    predicted : callable
        Predictive draws and log densities of the observations, (chain, draw, obs) each.
    """

    unit: str
    predicted: Callable[[Draws, np.random.Generator], tuple[Array, Array]]


def to_datatree(
    design: Design,
    draws: Draws,
    *,
    spectrum: Spectrum | None,
    prior: Mapping[str, Array] | None = None,
    sample_stats: Mapping[str, NDArray[Any]] | None = None,
    attrs: Mapping[str, str | int | float] | None = None,
    random_state: Seed = None,
    predictive: bool = True,
    outcome: OutcomeText | None = None,
) -> xr.DataTree:
    """Lay draws out as a DataTree with ArviZ's groups.

    Parameters
    ----------
    design : Design
        The problem the draws belong to.
    draws : Draws
        Of the posterior.
    spectrum : Spectrum or None
        For the effective degrees of freedom; None leaves them out (priors without a single lambda).
    prior : mapping of str to ndarray, optional
        As many independent draws as the posterior has, of what has a proper prior: some of ``lambda_``, ``r2``,
        ``effective_dof``, ``sigma``, ``tau``, ``nu`` (chain * draw,) and ``coef_std`` (chain * draw, p_penalized). They
        become the group ``prior``, and with the posterior's draws of what has no proper prior, ``prior_predictive``.
        Coefficients that are missing are drawn as N(0, tau^2) where `spectrum` says that this is their prior.
    sample_stats : mapping of str to ndarray of shape (chain, draw), optional
        The sampler's own record (``diverging``, ``energy``, ...).
    attrs : mapping, optional
        Further attributes of the whole tree (method, prior, sampler, ...).
    random_state : int, Generator or None
        Seed of the predictive noise.
    predictive : bool
        Whether to add the groups whose size is draws x observations (``posterior_predictive``,
        ``log_likelihood``, ``prior_predictive``).
    outcome : OutcomeText, optional
        Of an outcome that is no Gaussian number.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior``, ``posterior_predictive``, ``log_likelihood``, ``observed_data``, ``constant_data``, and
        where given ``prior``, ``prior_predictive``, ``sample_stats``. A model saved without its rows has no
        ``observed_data`` and no ``constant_data``.
    """
    import xarray as xr

    rng = generator(random_state)
    _check_shapes(design, draws)
    seen = _observations(design) if predictive or design.has_rows else None
    labels = _root_attrs(design, attrs or {})
    groups = {"posterior": _parameters(design, draws, spectrum)}
    if outcome is not None:
        groups["posterior"] = _without_noise(groups["posterior"], outcome)
    if predictive and seen is not None:
        y_new, log_density = (
            _predict(design, seen, draws, rng, likelihood=True) if outcome is None else outcome.predicted(draws, rng)
        )
        groups["posterior_predictive"] = _sampled(design, seen, y_new, "posterior predictive draw of one observation")
        assert log_density is not None
        groups["log_likelihood"] = _sampled(design, seen, log_density, _likelihood_name(design))
        groups["log_likelihood"]["y"].attrs["units"] = "nats"
    if sample_stats is not None:
        groups["sample_stats"] = xr.Dataset(
            {name: (("chain", "draw"), values) for name, values in sample_stats.items()},
            coords=_draw_coords(draws.shape),
        )
    if prior:
        groups["prior"] = _prior(design, prior, draws.shape)
        completed = _completed(design, prior, draws, rng, normal=spectrum is not None) if predictive else None
        if completed is not None and seen is not None:
            y_new, _ = _predict(design, seen, completed, rng, likelihood=False)
            groups["prior_predictive"] = _sampled(design, seen, y_new, "prior predictive draw of one observation")
            groups["prior_predictive"].attrs["taken_from_posterior"] = _improper(design, prior, draws)
    if seen is not None:
        groups["observed_data"] = _dataset(
            design, {"y": (("obs",), seen.y, _target_attrs(design, "observed target"))}, obs=seen.index
        )
        groups["constant_data"] = _constants(design, seen)
    if design.blocks:
        groups = {name: _levels_apart(design, one) for name, one in groups.items()}
    for group in groups.values():
        group.attrs |= {"inference_library": "bayesridge", "inference_library_version": labels["bayesridge_version"]}
    tree: xr.DataTree = xr.DataTree.from_dict(groups)
    tree.attrs = labels
    return tree


def _levels_apart(design: Design, group: xr.Dataset) -> xr.Dataset:
    """Give the effects of each factor a variable of their own, its dimension the levels."""
    inside = [design.names[j] for one in design.blocks if one.kind == "levels" for j in one.columns]
    apart = {}
    for one in design.blocks if "coef" in group else ():
        if one.kind != "levels":
            continue
        name = one.name.replace("/", "_")  # which parts paths in a file
        name = f"effect of {name}" if name in group.variables else name
        dim = f"{name} level"
        effects = group["coef"].isel(feature=one.columns).rename(feature=dim)
        about = {"long_name": f"effects of the levels of {one.name}", "units": f"units of {design.target_name}"}
        apart[name] = effects.assign_coords({dim: list(one.labels(design.names))}).assign_attrs(about)
    for dim in ("feature", "penalized"):
        if dim in group.dims:
            group = group.isel({dim: ~np.isin(group[dim].values, inside)})
    return group.assign(apart)


def coefficient_draws(design: Design, group: xr.Dataset) -> Array:
    """All p coefficients of a group of draws, effects of levels in their places again, (chain, draw, p)."""
    coef = group["coef"].values
    levels = [one for one in design.blocks if one.kind == "levels"]
    if not levels:
        return np.asarray(coef)
    found = np.empty((*coef.shape[:2], design.n_columns))
    inside = np.concatenate([one.columns for one in levels])
    found[..., np.setdiff1d(np.arange(design.n_columns), inside)] = coef
    for one in levels:
        name = one.name.replace("/", "_")
        apart = f"effect of {name}"
        found[..., one.columns] = group[apart if apart in group else name].values
    return found


def _check_shapes(design: Design, draws: Draws) -> None:
    expected = {"coef": (*draws.shape, design.n_columns), "intercept": draws.shape}
    for name, shape in expected.items():
        if getattr(draws, name).shape != shape:
            raise DataError(f"draws.{name} must have shape {shape}, got {getattr(draws, name).shape}")


def _standardized(design: Design, coef: Array, columns: NDArray[np.intp]) -> Array:
    """Coefficients of the scaled columns: units of y per scale of the column."""
    return np.asarray(design.coordinates(coef)[..., columns])


# -- parameters ----------------------------------------------------------------------------------------------------

_SCALAR = ("chain", "draw")


def _without_noise(parameters: xr.Dataset, outcome: OutcomeText) -> xr.Dataset:
    """Leave out what is of the noise, and say what the rest is in."""
    kept = parameters.drop_vars([name for name in ("sigma", "r2") if name in parameters])
    for name in ("intercept", "coef", "coef_std", "tau"):
        if name in kept:
            kept[name].attrs["units"] = outcome.unit
    kept["lambda_"].attrs["long_name"] = "ridge penalty 1 / tau^2 of the scaled columns"
    return kept


def _parameters(design: Design, draws: Draws, spectrum: Spectrum | None) -> xr.Dataset:
    coef_std = _standardized(design, draws.coef, design.penalized)
    values = {"coef": draws.coef, "coef_std": coef_std, "sigma": draws.sigma, "tau": draws.tau}
    if design.fit_intercept:
        values = {"intercept": draws.intercept, **values}
    values["lambda_"] = draws.lam
    if draws.lam.ndim == 2:  # W / (1 + W) with W = signal / lambda, which may be infinite
        values["r2"] = explained(design.signal, draws.lam)
    if spectrum is not None:
        values["effective_dof"] = _effective_dof(spectrum, draws.lam)
    if draws.noise_df is not None:
        values["nu"] = draws.noise_df
    return _dataset(design, _labelled(design, {**values, **draws.extra}, draws.noise_df is not None), shape=draws.shape)


def _labelled(design: Design, values: Mapping[str, Array], student: bool) -> dict[str, Any]:
    """Give each parameter its dimensions, name and units."""
    y_unit = f"units of {design.target_name}"
    about = {
        "intercept": ("intercept, at X = 0", y_unit),
        "coef": ("regression coefficients", f"{y_unit} per unit of the column"),
        "coef_std": ("coefficients of the scaled columns (x - mean) / scale, penalised columns", y_unit),
        "sigma": ("scale of the Student-t noise" if student else "noise standard deviation", y_unit),
        "tau": ("prior standard deviation of coef_std", y_unit),
        "lambda_": ("ridge penalty sigma^2 / tau^2 of the scaled columns", "1"),
        "r2": ("share of variance the prior expects to be explained, W / (1 + W) with W = signal / lambda_", "1"),
        "effective_dof": ("effective degrees of freedom of the penalised columns (no intercept, no unpenalised)", "1"),
        "nu": ("degrees of freedom of the Student-t noise", "1"),
    }
    dims = {"coef": (*_SCALAR, "feature")}
    labelled: dict[str, Any] = {}
    for name, value in values.items():
        long_name, units = about.get(name, (name.replace("_", " "), ""))
        own = dims.get(name, _SCALAR if value.ndim == 2 else (*_SCALAR, "penalized"))
        if name in ("lambda_", "tau") and value.ndim == 3:
            own = (*_SCALAR, "scale")
        labelled[name] = (own, value, {"long_name": long_name, "units": units})
    return labelled


def _effective_dof(spectrum: Spectrum, lam: Array) -> Array:
    flat = lam.ravel()
    size = max(1, _BLOCK_VALUES // max(spectrum.rank, 1))
    parts = [effective_dof(spectrum, flat[k : k + size]) for k in range(0, len(flat), size)]
    return np.concatenate(parts).reshape(lam.shape)


def _prior(design: Design, prior: Mapping[str, Array], shape: tuple[int, int]) -> xr.Dataset:
    for name, values in prior.items():
        if len(values) != shape[0] * shape[1]:
            raise DataError(f"prior draws of {name} must number {shape[0]} x {shape[1]}, got {len(values)}")
    shaped = {name: values.reshape(shape + values.shape[1:]) for name, values in prior.items()}
    return _dataset(design, _labelled(design, shaped, student="nu" in prior), shape=shape)


def _improper(design: Design, prior: Mapping[str, Array], draws: Draws) -> str:
    """Names of the parameters without a proper prior."""
    flat = ["intercept"] if design.fit_intercept else []
    flat += [design.directions[j] for j in design.unpenalized]
    flat += [] if "sigma" in prior else ["sigma"]
    return ", ".join(flat + (["nu"] if draws.noise_df is not None and "nu" not in prior else []))


def _completed(
    design: Design, prior: Mapping[str, Array], draws: Draws, rng: np.random.Generator, *, normal: bool
) -> Draws | None:
    """Prior draws with the posterior's draws of what has no proper prior; None where coefficients are not to be had."""
    shape = draws.shape
    sigma = prior["sigma"].reshape(shape) if "sigma" in prior else draws.sigma
    if "tau" in prior:
        tau = prior["tau"].reshape(shape)
    elif "lambda_" in prior and (prior["lambda_"] > 0).all():
        tau = sigma / np.sqrt(prior["lambda_"].reshape(shape))
    else:
        return None
    if "coef_std" in prior:
        beta = prior["coef_std"].reshape(*shape, -1)
    elif normal:
        beta = tau[..., None] * rng.standard_normal((*shape, len(design.penalized)))
    else:
        return None
    coef = design.coordinates(draws.coef)
    coef[..., design.penalized] = beta
    coef = design.coefficients(coef)
    intercept = draws.intercept - (coef - draws.coef) @ design.mean  # the centred intercept stays
    df = draws.noise_df
    if df is not None and "nu" in prior:
        df = prior["nu"].reshape(shape)
    return Draws(intercept, coef, sigma, tau, np.square(sigma / tau), noise_df=df)


def _about(name: str, units: str) -> dict[str, str]:
    return {"long_name": name, "units": units}


def _dataset(
    design: Design,
    variables: dict[str, Any],
    *,
    shape: tuple[int, int] | None = None,
    obs: NDArray[np.intp] | None = None,
) -> xr.Dataset:
    import xarray as xr

    names = np.array(design.names, dtype=str)
    used = {dim for value in variables.values() for dim in value[0]}
    coords: dict[str, NDArray[Any]] = {} if shape is None else _draw_coords(shape)
    coords |= {"feature": names} if "feature" in used else {}
    coords |= {"penalized": np.array(design.directions, dtype=str)[design.penalized]} if "penalized" in used else {}
    coords |= {"obs": obs} if obs is not None else {}
    return xr.Dataset(variables, coords=coords)


def _draw_coords(shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
    return {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}


# -- observations --------------------------------------------------------------------------------------------------


def _observations(design: Design) -> _Observations:
    rows = np.arange(design.n_rows) if design.weights is None else np.flatnonzero(design.weights > 0)
    index = rows if design.kept is None else np.flatnonzero(design.kept)[rows]
    part: NDArray[np.intp] | slice = slice(None) if len(rows) == design.n_rows else rows
    weights = None if design.weights is None else design.weights[part]
    root = np.sqrt(weights) if weights is not None and design.weight_kind == "precision" else None
    return _Observations(index, design.y[part], design.source.take(part), weights, root)


def _predict(
    design: Design, seen: _Observations, draws: Draws, rng: np.random.Generator, *, likelihood: bool
) -> tuple[Array, Array | None]:
    """Predictive draws of every observation and, if asked, its log density: both (chain, draw, obs)."""
    chains, count = draws.shape
    total, n = chains * count, len(seen.y)
    # the centred intercept: X enters by its deviations from the mean, so that large offsets cost nothing
    centre = (draws.intercept + draws.coef @ design.mean).ravel()
    coef, sigma = draws.coef.reshape(total, -1), draws.sigma.ravel()
    beta, gamma = (_standardized(design, coef, part) for part in (design.penalized, design.unpenalized))
    df = None if draws.noise_df is None else draws.noise_df.ravel()
    X, Z = (design.standardize(seen.X, part) for part in (design.penalized, design.unpenalized))
    y_new = np.empty((total, n))
    log_density = np.empty((total, n)) if likelihood else None
    size = max(1, _BLOCK_VALUES // n)
    for start in range(0, total, size):
        k = slice(start, min(start + size, total))
        mean = beta[k] @ X.T
        mean += centre[k, None]
        if gamma.shape[1]:
            mean += gamma[k] @ Z.T
        scale = sigma[k, None] if seen.root_precision is None else sigma[k, None] / seen.root_precision
        block_df = None if df is None else df[k, None]
        y_new[k] = _noise(rng, mean.shape, block_df)
        y_new[k] *= scale
        y_new[k] += mean
        if log_density is not None:
            log_density[k] = _log_density((seen.y - mean) / scale, block_df) - np.log(scale)
    shape = (chains, count, n)
    return y_new.reshape(shape), None if log_density is None else log_density.reshape(shape)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], df: Array | None) -> Array:
    noise = rng.standard_normal(shape)
    return noise if df is None else np.asarray(noise / np.sqrt(rng.chisquare(np.broadcast_to(df, shape)) / df))


def _log_density(u: Array, df: Array | None) -> Array:
    """Log density of a standard normal, or standard Student-t, variable."""
    if df is None:
        return np.asarray(-0.5 * (u * u + np.log(2.0 * np.pi)))
    constant = log_t_constant(df)
    return np.asarray(constant - 0.5 * (df + 1.0) * np.log1p(u * u / df))


def _sampled(design: Design, seen: _Observations, values: Array, name: str) -> xr.Dataset:
    import xarray as xr

    coords = {"chain": np.arange(values.shape[0]), "draw": np.arange(values.shape[1]), "obs": seen.index}
    attrs = _target_attrs(design, name)
    return xr.Dataset({"y": (("chain", "draw", "obs"), values, attrs)}, coords=coords)


def _likelihood_name(design: Design) -> str:
    if design.weights is not None and design.weight_kind == "frequency":
        return "log likelihood of one of the observations the row stands for (multiply by its frequency weight)"
    return "log likelihood of the observation"


def _target_attrs(design: Design, name: str) -> dict[str, str]:
    return {"long_name": name, "target": design.target_name, "units": f"units of {design.target_name}"}


def _constants(design: Design, seen: _Observations) -> xr.Dataset:
    variables: dict[str, Any] = {
        "X": (("obs", "feature"), seen.X, _about("predictors as given", "units of the column"))
    }
    if seen.weights is not None:
        name = f"{design.weighting} weights"
        variables["weights"] = (("obs",), seen.weights, _about(name, "1"))
    return _dataset(design, variables, obs=seen.index)


def _root_attrs(design: Design, attrs: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    from bayesridge import __version__

    weight_kind = design.weighting or "none"
    return {
        "bayesridge_version": __version__, "target": design.target_name, "weight_kind": weight_kind,
        "n_observations": design.n_obs, "signal": design.signal, **attrs,
    }  # fmt: skip
