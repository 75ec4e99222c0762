r"""Posteriors of the same data side by side: what each predicts, how probable it makes the data, its lambda.

    elpd_loo = sum_i log p(y_i | y_-i),   d_i = log p_A(y_i | y_-i) - log p_B(y_i | y_-i),
    se of the difference = sqrt(n var(d)), the terms being paired row by row

(Vehtari, Gelman & Gabry 2017, section 5). A difference counts when it exceeds two of its standard errors and four
nats: smaller ones are not to be told from noise (Sivula, Magnusson, Matamoros & Vehtari 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.posteriors.contract import AnyPosterior, require_posterior
from bayesridge.posteriors.quantity import interval_names
from bayesridge.posteriors.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: What a difference of elpd must exceed: standard errors of the difference, and nats.
CLEAR_ERRORS, CLEAR_NATS = 2.0, 4.0


def clearly(lead: float, error: float) -> bool:
    """Whether a difference of elpd can be told from noise."""
    return lead > CLEAR_NATS and lead > CLEAR_ERRORS * error


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorComparison(Shown):
    """Result of :func:`compare`.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a posterior, best predictions first: ``elpd_loo`` and ``se``; ``elpd_diff`` from the first row and its
        standard error ``dse``; ``weight`` in the mixture of all that predicts best (stacking); ``p_loo``;
        ``log_evidence`` and ``log_bayes_factor`` against the largest evidence; posterior medians of lambda, sigma and
        the effective degrees of freedom (intercept not counted). NaN is what a posterior does not have.
    notes : tuple of str
        Why a number is missing or not to be trusted, a sentence each.
    verdict : str
        Whether the first predicts clearly better than the next.
    posteriors : mapping of str to posterior
        That were compared.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    verdict: str
    posteriors: Mapping[str, AnyPosterior]

    def summary(self, level: float | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return :attr:`table`."""
        return self.table

    def coefficients(self, level: float = 0.95) -> pd.DataFrame:
        """Coefficients side by side: mean and equal-tailed interval under each posterior, NaN where it has none."""
        import pandas as pd

        parts = {name: one.summary(level)[["mean", *interval_names(level)]] for name, one in self.posteriors.items()}
        order = dict.fromkeys(label for part in parts.values() for label in part.index)
        side: pd.DataFrame = pd.concat(parts, axis=1).reindex(list(order))
        return side

    def _headline(self) -> str:
        return "\n".join([self.verdict, *self.notes])


def compare(posteriors: Mapping[str, AnyPosterior] | Sequence[AnyPosterior]) -> PosteriorComparison:
    """Set posteriors of the same data side by side.

    Parameters
    ----------
    posteriors : mapping of str to posterior, or sequence
        Two or more, with names; those of a sequence are "1", "2", ... The predictors may differ, the target, its rows
        and their weights may not.

    Returns
    -------
    PosteriorComparison

    Raises
    ------
    DataError
        If there are fewer than two, or their targets, rows or weights differ.

    Examples
    --------
    >>> import bayesridge as br
    >>> X, y = br.datasets.load_xy("diabetes")
    >>> found = br.compare({"all": br.posterior(X, y), "bmi alone": br.posterior(X[["bmi"]], y)})
    >>> list(found.table.index)
    ['all', 'bmi alone']
    """
    named = dict(posteriors) if isinstance(posteriors, Mapping) else _numbered(posteriors)
    if len(named) < 2:
        raise DataError(f"a comparison takes two posteriors or more, got {len(named)}")
    for post in named.values():
        require_posterior(post, "compare")
    _same_data(named)
    notes: list[str] = []
    loos = _leave_one_outs(named, notes)
    predicted = {
        key: np.array([np.nan if loo is None else getattr(loo, key) for loo in loos])
        for key in ("elpd_loo", "se", "p_loo")
    }
    columns = predicted | _evidences(named, notes) | _scales(named)
    return _ranked(named, columns, loos, notes)


def _numbered(posteriors: Sequence[AnyPosterior]) -> dict[str, AnyPosterior]:
    return {str(k): post for k, post in enumerate(posteriors, 1)}


def differs(one: Design, other: Design) -> str:
    """Name what of the data differs: "targets", "weights", "kinds of weights", or nothing (an empty text)."""
    for what, name in (("y", "targets"), ("weights", "weights")):
        a, b = getattr(one, what), getattr(other, what)
        if (a is None) != (b is None) or (a is not None and not np.array_equal(a, b)):
            return name
    return "kinds of weights" if one.weights is not None and one.weight_kind != other.weight_kind else ""


def flat_names(design: Design) -> tuple[str, ...]:
    """What has a flat (improper) prior: its arbitrary constant is in log p(y), and cancels where both have it."""
    names = [design.directions[j] for j in design.unpenalized]
    return tuple(sorted([*names, *(["intercept"] if design.fit_intercept else [])]))


def log_bayes_factor(one: Any, other: Any) -> float:
    """Difference of the log evidences of two models of the same data, in nats.

    Raises
    ------
    DataError
        If the data or the flat priors (sigma's among them) of the two differ, or lambda was chosen from the data.
    """
    if differs(one.design, other.design):
        raise DataError(
            "a Bayes factor compares models of the same data, and the targets, rows or weights of these two differ"
        )
    flat, others = flat_names(one.design), flat_names(other.design)
    if flat != others:
        raise DataError(
            f"flat (improper) priors differ: {flat} against {others}; their arbitrary constants do not cancel"
        )
    if "evidence" in (one.method, other.method):
        raise DataError("method='evidence' chose lambda from the data: its evidence is a maximum, not a marginal")
    difference = float(one.log_marginal_likelihood - other.log_marginal_likelihood)
    if ("sigma" in one.scales) != ("sigma" in other.scales):
        raise DataError("one model gives densities of a measured target, the other probabilities of counts")
    if one.improper_noise != other.improper_noise:
        raise DataError("one model has the improper noise prior 1/sigma² and the other has not: give both a proper one")
    if 0.0 in (one.prior.known, other.prior.known):
        raise DataError("lambda = 0 is a flat prior on the coefficients: it has no marginal likelihood to compare")
    return difference


def _same_data(named: Mapping[str, AnyPosterior]) -> None:
    (first, one), *others = named.items()
    for name, post in others:
        if what := differs(one.design, post.design):
            raise DataError(
                f"posteriors are compared on the same data, and the {what} of {first!r} and {name!r} differ: fit both "
                "to the same rows and target"
            )
        if ("sigma" in one.scales) != ("sigma" in post.scales):
            raise DataError(
                f"the predictions of {first!r} and {name!r} are not comparable: one gives densities of a measured "
                "target, the other probabilities of counts"
            )


def _ask(notes: list[str], name: str, what: str, question: Callable[..., Any], *of: Any) -> Any:
    """What a posterior answers, or None and a note why."""
    try:
        return question(*of)
    except DataError as why:
        notes.append(f"{name} has no {what}: {why}")
        return None


def _leave_one_outs(named: Mapping[str, Any], notes: list[str]) -> list[Any]:
    found = [_ask(notes, name, "leave-one-out", getattr, post, "loo") for name, post in named.items()]
    for name, loo in zip(named, found, strict=True):
        if bad := 0 if loo is None else loo.bad_rows:
            notes.append(f"importance sampling is unreliable in {bad} rows of {name}: its elpd may be too high")
    return found


def _evidences(named: Mapping[str, Any], notes: list[str]) -> dict[str, Array]:
    """Log p(y), and Bayes factors where improper priors are shared, whose constants cancel."""
    said = {
        name: _ask(notes, name, "marginal likelihood", getattr, post, "log_marginal_likelihood")
        for name, post in named.items()
    }
    evidence = {name: value for name, value in said.items() if value is not None}
    # against itself: whether its evidence is one
    known = {
        name: named[name] for name in evidence
        if _ask(notes, name, "Bayes factor", named[name].log_bayes_factor, named[name]) is not None
    }  # fmt: skip
    best = max(known, key=lambda name: evidence[name], default=None)
    factor = {
        name: _ask(notes, name, "Bayes factor", post.log_bayes_factor, known[best])
        for name, post in known.items() if best is not None
    }  # fmt: skip
    return {
        key: np.array([np.nan if found.get(name) is None else found[name] for name in named])
        for key, found in (("log_evidence", evidence), ("log_bayes_factor", factor))
    }


def _scales(named: Mapping[str, AnyPosterior]) -> dict[str, Array]:
    names = dict.fromkeys(name for post in named.values() for name in post.scales if _shown(name))
    return {
        name: np.array([post.scales[name].median if name in post.scales else np.nan for post in named.values()])
        for name in names
    }


def _shown(scale: str) -> bool:
    return scale.startswith("lambda") or scale in ("sigma", "effective dof")


def _ranked(
    named: Mapping[str, AnyPosterior], columns: dict[str, Array], loos: list[Any], notes: list[str]
) -> PosteriorComparison:
    import pandas as pd

    names = list(named)
    elpd = columns["elpd_loo"]
    order = np.argsort(np.where(np.isnan(elpd), np.inf, -elpd), kind="stable")
    best = int(order[0])
    difference = elpd - elpd[best]
    error = np.array([_paired_error(loos[best], loo) for loo in loos])
    shown = {key: columns[key] for key in ("elpd_loo", "se")} | {"elpd_diff": difference, "dse": error}
    shown["weight"] = _stacked(loos)
    table = pd.DataFrame(shown | columns, index=pd.Index(names, name="posterior")).iloc[order]
    if np.isfinite(elpd).sum() < 2:
        return PosteriorComparison(
            table, tuple(notes), "Fewer than two have leave-one-out predictions to compare.", named
        )
    lead, of_lead = -difference[order[1]], error[order[1]]
    text = f"{lead:.1f} nats (se {of_lead:.1f})"
    better, next_ = names[best], names[int(order[1])]
    if clearly(lead, of_lead):
        return PosteriorComparison(
            table, tuple(notes), f"{better} predicts clearly better than {next_}: {text}.", named
        )
    verdict = f"{better} does not predict clearly better than {next_}: {text} are not to be told from noise."
    return PosteriorComparison(table, tuple(notes), verdict, named)


def _paired_error(best: Any, other: Any) -> float:
    """Standard error of the summed differences, paired by row; a row of weight w is w observations, of zero none."""
    if best is None or other is None:
        return np.nan
    d = best.pointwise - other.pointwise
    seen = best.count > 0
    d, count = d[seen], best.count[seen]
    n = count.sum()
    return float(np.sqrt(n * (count * (d - count @ d / n) ** 2).sum() / max(n - 1.0, 1.0)))


def _stacked(loos: Sequence[Any]) -> Array:
    """Weights of the mixture whose leave-one-out log score is highest (Yao, Vehtari, Simpson & Gelman 2018).

    ``max_w sum_i log sum_k w_k p_k(y_i | y_-i)`` is concave in w, on the simplex.
    """
    from scipy.optimize import LinearConstraint, minimize

    known = [k for k, loo in enumerate(loos) if loo is not None]
    out = np.full(len(loos), np.nan)
    if len(known) < 2:
        return out
    count = loos[known[0]].count
    seen = count > 0
    log_p = np.stack([loos[k].pointwise[seen] for k in known], axis=1)
    p, share = np.exp(log_p - log_p.max(axis=1, keepdims=True)), count[seen] / count.sum()

    def loss(w: Array) -> tuple[float, Array]:
        mixed = np.maximum(p @ w, 1e-300)
        return -float(share @ np.log(mixed)), -(share / mixed) @ p

    start = np.full(len(known), 1.0 / len(known))
    simplex = LinearConstraint(np.ones((1, len(known))), 1.0, 1.0)
    found: Any = minimize(
        loss,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(known),
        constraints=simplex,
        options={"ftol": 1e-12},
    )
    weight = np.clip(found.x, 0.0, None)
    out[known] = weight / weight.sum()
    return out
