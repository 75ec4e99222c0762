"""Priors written as text, for the command line: ``r2:0.5,0.5``, ``half-cauchy:1@tau``, ``fixed:10``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature

from bayesridge.errors import PriorError
from bayesridge.priors import NOISE_PRIORS, PRIORS, NoisePrior, Prior

#: name -> (how many numbers, example, what it is)
PRIOR_HELP: Mapping[str, tuple[str, str]] = {
    "r2": ("r2:0.5,0.5", "Beta(a, b) on R² (the default)"),
    "half-cauchy": ("half-cauchy:1", "scale; on tau/sigma, or half-cauchy:1@tau"),
    "half-t": ("half-t:3,1", "df, scale; on tau/sigma, or ...@tau"),
    "half-normal": ("half-normal:1", "scale; on tau/sigma, or ...@tau"),
    "lognormal": ("lognormal:10,1", "median and log-sd of lambda"),
    "gamma": ("gamma:2,0.1", "shape and rate of lambda"),
    "gamma-precisions": ("gamma-precisions:1e-6,1e-6,1e-6,1e-6", "shape, rate of 1/tau²; shape, rate of 1/sigma²"),
    "fixed": ("fixed:10", "lambda given"),
    "fixed-tau": ("fixed-tau:2", "tau given, sigma learned"),
    "fixed-scales": ("fixed-scales:1,2", "sigma and tau given"),
}
NOISE_HELP: Mapping[str, tuple[str, str]] = {
    "jeffreys": ("jeffreys", "p(sigma²) = 1/sigma² (the default)"),
    "inverse-gamma": ("inverse-gamma:2,1", "shape and scale of sigma²"),
    "half-cauchy": ("half-cauchy:1", "scale of sigma"),
    "half-t": ("half-t:3,1", "df and scale of sigma"),
    "half-normal": ("half-normal:1", "scale of sigma"),
    "fixed": ("fixed:1", "sigma given"),
}


def parse_prior(text: str) -> Prior:
    """Read a prior of lambda or tau.

    Parameters
    ----------
    text : str
        ``name:number,number`` with an optional ``@tau`` or ``@tau/sigma``; see :data:`PRIOR_HELP`.

    Raises
    ------
    PriorError
        Listing what can be written.
    """
    name, numbers, on = _split(text, PRIOR_HELP)
    if on not in ("", "tau", "tau/sigma"):
        raise PriorError(f"{text!r}: after @ a prior takes tau or tau/sigma, got {on!r}")
    maker: Callable[..., Prior] = PRIORS[name]
    return _make(maker, numbers, on, text, PRIOR_HELP[name])


def parse_noise(text: str) -> NoisePrior:
    """Read a noise prior; see :data:`NOISE_HELP`."""
    name, numbers, on = _split(text, NOISE_HELP)
    if on not in ("", "sigma"):
        raise PriorError(f"{text!r}: a noise prior is on sigma, got {on!r}")
    maker: Callable[..., NoisePrior] = NOISE_PRIORS[name]
    return _make(maker, numbers, "sigma", text, NOISE_HELP[name])


def _split(text: str, known: Mapping[str, tuple[str, str]]) -> tuple[str, list[float], str]:
    body, _, on = text.partition("@")
    name, _, tail = body.partition(":")
    name = name.strip().lower()
    if name not in known:
        raise PriorError(f"unknown prior {text!r}; write one of {', '.join(example for example, _ in known.values())}")
    try:
        numbers = [float(part) for part in tail.split(",")] if tail.strip() else []
    except ValueError:
        raise PriorError(f"{text!r}: numbers were expected after the colon, as in {known[name][0]}") from None
    return name, numbers, on.strip()


def _make[Made](maker: Callable[..., Made], numbers: list[float], on: str, text: str, usage: tuple[str, str]) -> Made:
    target = {"on": on} if on and "on" in signature(maker).parameters else {}
    try:
        if on in ("tau", "tau/sigma") and not target:
            raise TypeError
        return maker(*numbers, **target)
    except TypeError:
        raise PriorError(f"{text!r}: write {usage[0]} ({usage[1]})") from None
