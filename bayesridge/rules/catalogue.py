"""The rules for lambda: one table of names, formulas and sources. Most are the minimum of a criterion.

:func:`make_rule` makes one, with settings of one's own; :func:`given_lambda` and :func:`own_criterion` are for what is
not in the table, and :class:`~bayesridge.rules.cross_validation.CrossValidation` for splits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bayesridge.errors import DataError
from bayesridge.hyper.marginal import Marginal
from bayesridge.linalg.filters import check_lambda
from bayesridge.linalg.optimum import Curve, Optimum, choose_best, minimize, minimize_values, root
from bayesridge.linalg.terms import SpectralTerms, spectral_terms
from bayesridge.rules import criteria
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.duplicates import NearDuplicates
from bayesridge.rules.fixed_points import expectation_maximization, mackay
from bayesridge.rules.leave_one_out import loo_curves, loo_squared
from bayesridge.rules.problem import (
    Choice,
    LambdaInterval,
    LambdaProblem,
    NotAvailableError,
    Rule,
    choice_of,
    joined,
    noise_of,
    place_of,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CatalogueRule:
    """A rule of the table: a name, and a function from the data to a choice.

    Attributes
    ----------
    key, label : str
    function : callable
        ``function(problem, **settings)`` -> :class:`~bayesridge.rules.problem.Choice`.
    settings : dict
    source : str
        Where it comes from.
    """

    key: str
    label: str
    function: Callable[..., Choice]
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    source: str = ""

    def choose(self, problem: LambdaProblem) -> Choice:
        """Choose lambda."""
        return self.function(problem, **self.settings)


# -- summaries of the posterior ------------------------------------------------------------------------------------


def _posterior_summary(problem: LambdaProblem, which: str, level: float = 0.95) -> Choice:
    """Median, or geometric mean (the mean of lambda itself is infinite under many priors), or mode of log lambda."""
    marginal, post = problem.posterior.lambda_, problem.posterior
    if not isinstance(marginal, Marginal):
        how = "fixed by the prior" if post.method == "fixed" else "plugged in"
        raise NotAvailableError(f"lambda has no posterior: it is {how}")
    if which == "mean":
        lam = float(np.exp(problem.mean_log_lambda))
    else:
        lam = marginal.median if which == "median" else marginal.log_mode
    interval = LambdaInterval(*problem.lambda_eti(level), level, "ETI of the posterior")
    return Choice(Optimum(lam, place_of(lam), np.nan), interval=interval)


# -- likelihood ----------------------------------------------------------------------------------------------------


def _reml(problem: LambdaProblem, level: float = 0.95) -> Choice:
    """Maximum of the evidence, flat directions integrated, sigma profiled: the posterior's own search of it."""
    found = problem.posterior.evidence
    best, *others = (
        Optimum(mode.lam, "infinity" if mode.place == "flat" else mode.place, mode.log_evidence)
        for mode in sorted(found.modes, key=lambda mode: mode is not found.best)
    )
    if problem.spectrum.rank == 0 or found.best.place == "flat":
        return Choice(best, note="the evidence does not depend on lambda here")
    interval = _wald(problem, best, problem.spectrum.nu, level)
    return Choice(best, tuple(others), interval, _modes_note(others))


def _ml(problem: LambdaProblem, level: float = 0.95) -> Choice:
    """The same with the flat directions maximised too: n degrees of freedom.

    The columns are taken with the flat directions projected out (centred), so that their zero does not matter.
    Mixed-model software takes dummy columns as they stand: :func:`bayesridge.hyper.evidence.profile_log_evidence_ml`.
    """
    n = problem.spectrum.n_obs
    found = _minimum(problem, partial(criteria.negative_log_evidence, degrees=n), sign=-1.0)
    note = found.note or _modes_note(found.others)
    return replace(found, interval=_wald(problem, found.best, n, level), note=note)


def _wald(problem: LambdaProblem, best: Optimum, degrees: float, level: float) -> LambdaInterval | None:
    """Give ``lambda exp(+- z / sqrt(information))``; None at a boundary or without curvature."""
    if best.place != "interior":
        return None
    information = float(criteria.evidence_curvature(spectral_terms(problem.spectrum, np.log(best.lam)), degrees)[0])
    if not information > 0:
        return None
    reach = float(ndtri(0.5 + 0.5 * level)) / np.sqrt(information)
    with np.errstate(over="ignore"):
        low, high = best.lam * np.exp(-reach), best.lam * np.exp(reach)
    return LambdaInterval(float(low), float(high), level, "Wald interval, from the curvature in log lambda")


def _modes_note(others: Sequence[Optimum]) -> str:
    return "other local maxima at lambda " + ", ".join(f"{one.lam:.4g}" for one in others) if others else ""


# -- minima of criteria --------------------------------------------------------------------------------------------


def _minimum(problem: LambdaProblem, criterion: Callable[[SpectralTerms], Curve], sign: float = 1.0) -> Choice:
    """Minimise a criterion of the spectrum; scores are `sign` times it."""
    spectrum = problem.spectrum
    found = minimize(lambda t: criterion(spectral_terms(spectrum, t)), problem.where, criterion(problem.scan))
    return choice_of(found, sign=sign)


def _robust_gcv(problem: LambdaProblem, gamma: float = 0.3) -> Choice:
    """Guards against undersmoothing; gamma in (0, 1], 1 is GCV itself."""
    if not 0.0 < gamma <= 1.0:
        raise DataError(f"gamma must lie in (0, 1], got {gamma}")
    found = _minimum(problem, partial(criteria.robust_gcv, gamma=gamma))
    return replace(found, note=joined(found.note, f"gamma {gamma:g}"))


def _mallows_cp(problem: LambdaProblem, sigma: float | None = None) -> Choice:
    """Mallows' Cp is Stein's unbiased risk estimate over sigma^2."""
    noise = noise_of(problem, sigma)
    found = _minimum(problem, partial(criteria.sure, sigma=noise.sigma))
    return replace(found, note=joined(found.note, f"{noise.source}: {noise.sigma:.4g}"))


def _bic(problem: LambdaProblem) -> Choice:
    return _minimum(problem, partial(criteria.information, price=float(np.log(problem.spectrum.n_obs))))


def _aicc(problem: LambdaProblem) -> Choice:
    if problem.spectrum.nu <= 2:
        raise NotAvailableError(
            f"AICc is infinite at every lambda: {problem.spectrum.n_obs:g} observations for "
            f"{problem.design.n_flat} flat directions and sigma"
        )
    return _minimum(problem, criteria.corrected_aic)


def _loo(problem: LambdaProblem) -> Choice:
    """Mean squared leave-one-out error (PRESS / n), exact, column scales held fixed.

    With precision weights the mean is weighted by them; a frequency weight w leaves out one of w observations.
    """
    scan = problem.loo_scan.squared
    return choice_of(minimize(partial(loo_squared, problem.row_basis, problem.spectrum), problem.coarse, scan))


def _loo_log(problem: LambdaProblem) -> Choice:
    """Leave-one-out log predictive density at fixed lambda, sigma integrated."""
    scan = problem.loo_scan.log_score
    curves = partial(loo_curves, problem.row_basis, problem.spectrum, problem.noise)
    found = choice_of(minimize(lambda t: curves(t).log_score, problem.coarse, scan), sign=-1.0)
    return replace(found, note=joined(found.note, problem.noise.note))


def _l_curve(problem: LambdaProblem) -> Choice:
    """Largest curvature, which is a corner only where it is positive; the score is the curvature."""
    _need_signal(problem)
    found = _minimum(problem, criteria.l_curve, sign=-1.0)
    if not found.best.score > 0:
        raise NotAvailableError("the L-curve has no corner: it bends the wrong way at every lambda")
    corners = tuple([one for one in found.others if one.score > 0])
    note = f"the curve has {len(corners) + 1} corners, this is the sharpest" if corners else found.note
    limit = -float(criteria.l_curve(spectral_terms(problem.spectrum, problem.where.zero)).value[0])
    if limit > 0.99 * found.best.score:
        note = "no clear corner: the curve bends as much at its end, lambda -> 0"
    return Choice(found.best, corners, note=note)


def _quasi_optimality(problem: LambdaProblem) -> Choice:
    """Where the coefficients change least with log lambda; the ends, where nothing changes any more, do not count."""
    _need_signal(problem)
    found = _minimum(problem, criteria.quasi_optimality)
    inner = [one for one in (found.best, *found.others) if one.place == "interior"]
    if not inner:
        raise NotAvailableError("the coefficients pass from least squares to zero in one move: no interior minimum")
    return choice_of(choose_best(sorted(inner, key=lambda one: one.lam)))


def _need_signal(problem: LambdaProblem) -> None:
    if not problem.spectrum.explained_squares:
        raise NotAvailableError("the columns explain nothing of the target: the coefficients are zero at every lambda")


# -- formulas ------------------------------------------------------------------------------------------------------


def _discrepancy(problem: LambdaProblem, sigma: float | None = None, dof: float | None = None) -> Choice:
    """The residual sum of squares is what the noise alone would give, sigma^2 dof.

    By default dof is ``n - q`` (the flat directions cannot follow the noise). The residual sum of squares rises with
    lambda, so that there is one solution or none.
    """
    spectrum, noise, where = problem.spectrum, noise_of(problem, sigma), problem.where
    dof = spectrum.nu if dof is None else dof
    target = noise.sigma**2 * dof
    note = f"residual sum of squares = sigma² x {dof:g}; {noise.source}: {noise.sigma:.4g}"

    def excess(t: Array) -> Array:
        return np.asarray(np.log(spectral_terms(spectrum, t).rss) - np.log(target))

    scan = np.log(problem.scan.rss) - np.log(target)
    if excess(np.array([where.infinity]))[0] <= 0:
        note = f"even lambda = infinity leaves no larger residual than the noise; {note}"
        return Choice(Optimum(np.inf, "infinity", target), note=note)
    if scan[0] >= 0:
        note = f"even lambda = 0 leaves a larger residual than the noise; {note}"
        return Choice(Optimum(0.0, "zero", target), note=note)
    k = int(np.argmax(scan > 0)) if (scan > 0).any() else len(scan)
    edges = np.append(where.grid, where.infinity)
    return Choice(Optimum(float(np.exp(root(excess, edges[k - 1], edges[k]))), "interior", target), note=note)


def _moments(problem: LambdaProblem, of: str, subtract: int = 2) -> Choice:
    """sigma^2 / tau^2 with a moment estimate of tau^2 from least squares.

    Hoerl, Kennard and Baldwin: ``(p - c) sigma^2 / |beta|^2``, from |beta|^2 = p tau^2 + ...; Lawless and Wang:
    ``(p - c) sigma^2 mean(s^2) / sum z^2``, from sum z^2 = tau^2 sum s^2 + .... c = 0 is the original form; the
    "modified" one, c = 2 (James and Stein's constant), is what MASS::lm.ridge prints.
    """
    spectrum = problem.spectrum
    p, left = spectrum.n_features, spectrum.nu - spectrum.rank
    if spectrum.rank < p:
        raise NotAvailableError(f"needs the least-squares fit, and {p} columns of rank {spectrum.rank} have none")
    if left < 1:
        raise NotAvailableError(f"needs sigma of the least-squares fit, which leaves {left:g} degrees of freedom")
    if p <= subtract:
        raise NotAvailableError(f"p - {subtract} is not positive with {p} columns; subtract=0 gives the original form")
    numerator, denominator = (p - subtract) * spectrum.least_squares_variance, spectrum.squared_norm
    if of != "coefficients":
        numerator, denominator = numerator * spectrum.mean_square, spectrum.explained_squares
    note = f"with p - {subtract}" if subtract else "with p"
    if denominator == 0:
        return Choice(Optimum(np.inf, "infinity", np.nan), note=note)
    return Choice(Optimum(numerator / denominator, "interior", np.nan), note=note)


# -- the table -----------------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    label: str
    function: Callable[..., Choice]
    source: str


_CATALOGUE = {
    "posterior_median": _Entry("posterior median", partial(_posterior_summary, which="median"), "docs/rules.md"),
    "posterior_mean": _Entry(
        "posterior mean of log lambda", partial(_posterior_summary, which="mean"), "docs/rules.md"
    ),
    "posterior_mode": _Entry(
        "posterior mode of log lambda", partial(_posterior_summary, which="mode"), "docs/rules.md"
    ),
    "reml": _Entry("evidence (REML)", _reml, "Patterson and Thompson 1971; MacKay 1992"),
    "ml": _Entry("evidence (ML)", _ml, "Hartley and Rao 1967"),
    "mackay": _Entry("MacKay fixed point", mackay, "MacKay 1992"),
    "em": _Entry("EM for the evidence", expectation_maximization, "Dempster, Laird and Rubin 1977"),
    "loo": _Entry("LOO squared error", _loo, "Allen 1974"),
    "loo_log": _Entry("LOO log score", _loo_log, "Geisser and Eddy 1979"),
    "gcv": _Entry("GCV", partial(_minimum, criterion=criteria.gcv), "Golub, Heath and Wahba 1979"),
    "rgcv": _Entry("robust GCV", _robust_gcv, "Robinson and Moyeed 1989; Lukas 2006"),
    "cp": _Entry("Mallows Cp (SURE)", _mallows_cp, "Mallows 1973; Stein 1981"),
    "aic": _Entry("AIC", partial(_minimum, criterion=criteria.aic), "Akaike 1974; Hastie and Tibshirani 1990"),
    "aicc": _Entry("AICc", _aicc, "Hurvich, Simonoff and Tsai 1998"),
    "bic": _Entry("BIC", _bic, "Schwarz 1978"),
    "l_curve": _Entry("L-curve corner", _l_curve, "Hansen 1992"),
    "quasi_optimality": _Entry("quasi-optimality", _quasi_optimality, "Tikhonov and Glasko 1965"),
    "discrepancy": _Entry("discrepancy principle", _discrepancy, "Morozov 1966"),
    "hkb": _Entry("Hoerl-Kennard-Baldwin", partial(_moments, of="coefficients"), "Hoerl, Kennard and Baldwin 1975"),
    "lw": _Entry("Lawless-Wang", partial(_moments, of="fit"), "Lawless and Wang 1976"),
}
_FIXED = ("problem", "which", "criterion", "sign", "of")  # what the table itself fills in


def make_rule(key: str, **settings: Any) -> CatalogueRule:
    """Return a rule of the catalogue.

    Parameters
    ----------
    key : str
        "posterior_median", "posterior_mean", "posterior_mode", "reml", "ml" (setting ``level``), "mackay", "em"
        (``tol``, ``max_iter``), "loo", "loo_log", "gcv", "rgcv" (``gamma``), "cp" (``sigma``), "aic", "aicc", "bic",
        "l_curve", "quasi_optimality", "discrepancy" (``sigma``, ``dof``), "hkb", "lw" (``subtract``).
    **settings
        Of that rule.

    Raises
    ------
    DataError
        If there is no such rule, or it has no such setting; the text lists what there is.
    """
    if key not in _CATALOGUE:
        raise DataError(f"no rule called {key}; there are {', '.join(_CATALOGUE)}")
    entry = _CATALOGUE[key]
    known = [name for name in inspect.signature(entry.function).parameters if name not in _FIXED]
    unknown = [name for name in settings if name not in known]
    if unknown:
        has = ", ".join(known) or "no settings"
        raise DataError(f"the rule {key} has no setting {', '.join(unknown)}; it has {has}")
    return CatalogueRule(key, entry.label, entry.function, settings, entry.source)


def given_lambda(lam: float, key: str = "given", label: str = "given") -> CatalogueRule:
    """Return the rule that answers with a number from elsewhere (0 and infinity allowed)."""
    check_lambda(lam)
    return CatalogueRule(key, label, _given, {"lam": float(lam)})


def _given(problem: LambdaProblem, lam: float) -> Choice:  # noqa: ARG001
    return Choice(Optimum(lam, place_of(lam), np.nan))


def own_criterion(
    function: Callable[[LambdaProblem, Array], Array], key: str = "own", label: str = "own criterion"
) -> CatalogueRule:
    """Return the rule that minimises any criterion, found from its values alone (to 1e-8 in log lambda).

    Parameters
    ----------
    function : callable
        (problem, log lambda of shape (K,)) -> values of shape (K,), lower is better.
    key, label : str
    """
    return CatalogueRule(key, label, _own, {"function": function, "key": key})


def _own(problem: LambdaProblem, function: Callable[[LambdaProblem, Array], Array], key: str) -> Choice:
    def values(t: Array) -> Array:
        got = np.asarray(function(problem, t), dtype=np.float64)
        if got.shape != t.shape:
            raise DataError(
                f"the criterion {key!r} must return one value for each of {t.shape[0]} log lambda, got shape "
                f"{got.shape}"
            )
        return got

    return choice_of(minimize_values(values, problem.where))


def standard_rules(level: float = 0.95) -> tuple[Rule, ...]:
    """Return every rule of the catalogue, cross-validation left out.

    Parameters
    ----------
    level : float
        Of the intervals that rules give themselves.
    """
    has_level = [key for key, entry in _CATALOGUE.items() if "level" in inspect.signature(entry.function).parameters]
    return tuple([make_rule(key, level=level) if key in has_level else make_rule(key) for key in _CATALOGUE])


def default_rules(level: float = 0.95, duplicates: NearDuplicates | None = None) -> tuple[Rule, ...]:
    """Return the standard rules with 5- and 10-fold cross-validation.

    Parameters
    ----------
    level : float
        Of the intervals that rules give themselves.
    duplicates : NearDuplicates, optional
        Where there are any, 5-fold cross-validation that keeps them together is added (key ``cv5_grouped``).
    """
    rules = (*standard_rules(level), CrossValidation(5), CrossValidation(10))
    if duplicates is None or not duplicates.count:
        return rules
    return (*rules, CrossValidation(5, groups=duplicates.groups))


def posterior_rules(level: float = 0.95) -> tuple[Rule, ...]:
    """Return the rules that summarise a posterior of lambda."""
    return tuple([make_rule(key, level=level) for key in _CATALOGUE if key.startswith("posterior_")])


def pick_rules(keys: Sequence[str], level: float = 0.95, rules: Sequence[Rule] | None = None) -> tuple[Rule, ...]:
    """Return some of the rules (the default ones, if left out) by key, in the order asked for.

    Raises
    ------
    DataError
        If a key is unknown; the text lists all.
    """
    known = {one.key: one for one in (default_rules(level) if rules is None else rules)}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise DataError(f"no rule called {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple([known[key] for key in dict.fromkeys(keys)])
