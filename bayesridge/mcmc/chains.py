"""Markov chains of a PyMC model: one call for every sampler, compilation timed apart, interrupted draws kept."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bayesridge.errors import DataError, MissingExtraError, check_counts, require
from bayesridge.parallel.runs import generator

if TYPE_CHECKING:
    import xarray as xr

SamplerName = Literal["pymc", "nutpie", "numpyro", "blackjax"]
Backend = Literal["c", "numba", "jax"]

#: ArviZ wants four draws for R-hat.
MIN_DRAWS = 4
#: X values above which the faster linear algebra of numba repays its longer compilation.
NUMBA_ABOVE = 200_000


@dataclass(frozen=True)
class Sampler:
    """Which sampler draws, and how much.

    Attributes
    ----------
    name : {"pymc", "nutpie", "numpyro", "blackjax"}, optional
        nutpie by default where it is installed, otherwise PyMC's own.
    draws, tune, chains : int
        Kept draws and warm-up steps of each chain.
    target_accept : float
        Acceptance rate the step size is tuned to; higher means smaller steps.
    backend : {"c", "numba", "jax"}, optional
        What compiles the model. By default what the sampler wants; for PyMC's own, C where there is a compiler and the
        table is not large, otherwise numba.
    progressbar : bool
        Whether to show one.
    """

    name: SamplerName | None = None
    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    target_accept: float = 0.9
    backend: Backend | None = None
    progressbar: bool = True

    def __post_init__(self) -> None:
        if self.name is not None and self.name not in get_args(SamplerName):
            raise DataError(f"sampler must be 'pymc', 'nutpie', 'numpyro' or 'blackjax', got {self.name!r}")
        check_counts(least=MIN_DRAWS, draws=self.draws)
        check_counts(least=0, tune=self.tune)
        check_counts(chains=self.chains)
        if not 0.0 < self.target_accept < 1.0:
            raise DataError(f"target_accept must lie strictly between 0 and 1, got {self.target_accept}")


DEFAULT_SAMPLER = Sampler()


def read_sampler(given: Sampler | Mapping[str, Any] | str | None, **defaults: Any) -> Sampler:
    """Return the sampler that a name, a dictionary of some of :class:`Sampler`'s fields, or nothing stands for."""
    if isinstance(given, Sampler):
        return given
    asked = {"name": given} if isinstance(given, str) or given is None else given
    known = [field.name for field in fields(Sampler)]
    if not isinstance(asked, Mapping) or not set(asked) <= set(known):
        raise DataError(f"sampler must be a name or a dictionary of some of {', '.join(known)}; got {given!r}")
    return Sampler(**{**defaults, **asked})


@dataclass(frozen=True, eq=False)
class Chains:
    """What a sampler drew.

    Attributes
    ----------
    posterior, sample_stats : xarray.Dataset
        The model's variables and the sampler's record, with dimensions chain and draw.
    sampler, backend : str
        What ran, and what the model was compiled with.
    compile_seconds, sampling_seconds : float
        Building and compiling the functions and the starting points; warm-up and draws.
    chains, draws, tune : int
        Asked for; draws and warm-up steps of each chain.
    interrupted : bool
        Whether fewer were drawn because the user stopped the sampler.
    """

    posterior: xr.Dataset
    sample_stats: xr.Dataset
    sampler: str
    backend: str
    compile_seconds: float
    sampling_seconds: float
    chains: int
    draws: int
    tune: int
    interrupted: bool


def sample_chains(
    model: Any,
    sampler: Sampler = DEFAULT_SAMPLER,
    *,
    n_jobs: int | None = None,
    random_state: int | np.random.Generator | None = None,
) -> Chains:
    """Draw from the posterior of a PyMC model with NUTS.

    Parameters
    ----------
    model : pymc.Model
    sampler : Sampler
    n_jobs : int, optional
        Chains that run at the same time; all cores by default. With 1, numpyro and blackjax run all in step.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    Chains

    Raises
    ------
    MissingExtraError
        If the sampler is not installed, or its version does not work with that of PyMC (blackjax from 1.6 on does not
        with PyMC 6.4).
    KeyboardInterrupt
        If interrupted before anything was drawn; later than that, what was drawn is returned. numpyro and blackjax run
        as one compiled program, which an interrupt ends without draws.
    """
    import pymc as pm

    name: SamplerName = sampler.name or ("nutpie" if find_spec("nutpie") else "pymc")
    _check_installed(name)
    draws, tune, chains = sampler.draws, sampler.tune, sampler.chains
    compiler = sampler.backend or _default_backend(model, name)
    cores = n_jobs or min(chains, os.cpu_count() or 1)
    options = _options(name, draws + tune, chains, cores, sampler.target_accept)
    seed = int(generator(random_state).integers(2**31 - 1))
    start = time.perf_counter()
    with quiet(), model, _explained(name):
        tree = pm.sample(
            draws, tune=tune, chains=chains, cores=cores, random_seed=seed, progressbar=sampler.progressbar,
            nuts_sampler=name, backend=compiler, compute_convergence_checks=False, **options,
        )  # fmt: skip
    elapsed = time.perf_counter() - start
    sampling = float(tree["posterior"].attrs.get("sampling_time", np.nan))
    posterior, stats = _drawn(tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset())
    short = posterior.sizes["draw"] < draws or posterior.sizes["chain"] < chains
    return Chains(posterior, stats, name, compiler, elapsed - sampling, sampling, chains, draws, tune, short)


def _drawn(posterior: xr.Dataset, stats: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Cut chains that an interrupt left unequal (nutpie fills them with NaN) so that most draws are kept."""
    scalar = next(values for values in posterior.data_vars.values() if values.dims == ("chain", "draw"))
    lengths = (~np.isnan(scalar.values)).sum(axis=1)
    if (lengths == scalar.shape[1]).all():
        return posterior, stats
    order = np.argsort(-lengths, kind="stable")
    kept = int(np.argmax(lengths[order] * np.arange(1, len(lengths) + 1))) + 1
    length = int(lengths[order[kept - 1]])
    if length < MIN_DRAWS:
        raise KeyboardInterrupt
    part = {"chain": np.sort(order[:kept]), "draw": slice(0, length)}
    return posterior.isel(part), stats.isel(part)


def _check_installed(sampler: SamplerName) -> None:
    if sampler in ("numpyro", "blackjax") and find_spec(sampler) is not None:
        # asks JAX for a device for each chain, which only works before anything else (blackjax does) starts JAX
        require("pymc.sampling.jax", sampler)
    if sampler != "pymc":
        require(sampler, sampler)  # each is an extra of its own name


def _options(sampler: SamplerName, length: int, chains: int, cores: int, target_accept: float) -> dict[str, Any]:
    """What samplers are told in ways of their own."""
    nuts: dict[str, Any] = {"target_accept": target_accept}
    if sampler in ("numpyro", "blackjax"):  # chains on devices of their own, or all in step on one
        jax: Any = require("jax", sampler)
        nuts["chain_method"] = "parallel" if cores > 1 and jax.local_device_count() >= chains else "vectorized"
    if sampler == "pymc" and (cores == 1 or chains == 1):
        return {"nuts": nuts, "callback": _StopAllChains(length)}
    return {"nuts": nuts}


@contextmanager
def _explained(sampler: SamplerName) -> Iterator[None]:
    """Say what PyMC's errors mean where it does not."""
    try:
        yield
    except ValueError as error:
        if "Not enough samples" in str(error):  # interrupted during warm-up: there is nothing to keep
            raise KeyboardInterrupt from error
        raise
    except (TypeError, AttributeError) as error:
        if sampler != "blackjax":
            raise
        # PyMC up to 6.4 hands it an argument that blackjax 1.6 took away
        raise MissingExtraError(
            f"blackjax {version('blackjax')} does not work with PyMC {version('pymc')} ({error}): "
            "pip install 'bayesridge[blackjax]' takes a version that does, or use sampler='pymc'",
            name="blackjax",
        ) from error


def _default_backend(model: Any, sampler: SamplerName) -> Backend:
    from pytensor.configdefaults import config

    if sampler in ("numpyro", "blackjax"):
        return "jax"
    if sampler == "nutpie" or not config.cxx:
        return "numba"
    columns, rows = (len(model.coords.get(dim) or ()) for dim in ("penalized", "obs"))
    return "numba" if columns * rows > NUMBA_ABOVE else "c"


class _StopAllChains:
    """PyMC's sequential sampler answers an interrupt by going on with the next chain: stop that one as well."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.chain, self.count = 0, 0

    def __call__(self, trace: Any, draw: Any) -> None:  # noqa: ARG002
        if draw.chain != self.chain:
            if self.count < self.length:
                raise KeyboardInterrupt
            self.chain, self.count = draw.chain, 0
        self.count += 1


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to the progress bar: what PyMC logs is in the diagnostics, and its BLAS advice is of no use here."""
    logger = logging.getLogger("pymc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "PyTensor could not link to a BLAS installation", UserWarning)
            # PyMC forks its workers where there are threads already: BLAS's and numba's, which start anew in a child
            warnings.filterwarnings("ignore", "This process .* is multi-threaded, use of fork", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
