"""Tables and one-screen texts of a posterior, with every interval named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.hyper.marginal import Scalar
from bayesridge.persistence import plain_table, save_model
from bayesridge.posteriors.contract import AnyPosterior
from bayesridge.posteriors.quantity import interval_names
from bayesridge.posteriors.shown import MOST_ROWS, Shown, as_printed, number
from bayesridge.posteriors.term_table import of_ratio, shortest
from bayesridge.posteriors.terms import block_sentences, level_tables, single_columns

if TYPE_CHECKING:
    import pandas as pd


def coefficient_table(posterior: AnyPosterior, level: float = 0.95) -> pd.DataFrame:
    """Posterior of the intercept and the coefficients, in the units of the data; effects of levels are not among them.

    Parameters
    ----------
    posterior : AnyPosterior
    level : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        One row each; columns mean, sd, interval ends and ``P(>0)``, and of draws ``mcse`` (standard error of the mean
        from the finite chain), ``ess_bulk`` and ``ess_tail`` (effective draws for means, for 5% and 95% quantiles).
    """
    import pandas as pd

    own = single_columns(posterior.design)
    parts = [posterior.coefficients if isinstance(own, slice) else posterior.coefficients.take(own)]
    if posterior.design.fit_intercept:
        parts.insert(0, posterior.intercept)
    return pd.concat([part.summary(level) for part in parts if len(part)] or [posterior.intercept.summary(level)[:0]])


def hyper_table(posterior: AnyPosterior, level: float = 0.95) -> pd.DataFrame:
    """Posterior of lambda, sigma, tau, R² and the effective degrees of freedom.

    Returns
    -------
    pandas.DataFrame
        Columns median, the ends of the interval, mean, sd, and sd of log (of the logarithm of the scale). The interval
        is equal-tailed (ETI) with one lambda. With effects of levels, smooths or several lambdas it is the shortest
        (HDI), for an equal-tailed one never covers tau = 0; that of a lambda is the HDI of tau/sigma = lambda^(-1/2) in
        terms of lambda, and ends at infinity where that begins at zero.
        Lambda is summarised on its log scale: it has no mean and sd here (NaN), which are infinite under the default
        prior. Nor have scales of which draws cannot tell. Values that are fixed or plugged in have sd 0.
    """
    import pandas as pd

    terms = bool(posterior.design.blocks) or posterior.has_terms
    rows = {name: _scalar_row(name, scale, level, terms) for name, scale in posterior.scales.items()}
    columns = ["median", *interval_names(level, "HDI" if terms else "ETI"), "mean", "sd", "sd of log"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _scalar_row(name: str, scale: Scalar, level: float, terms: bool) -> list[float]:
    moments = [scale.mean, scale.sd] if scale.known or not _is_penalty(name) else [np.nan, np.nan]
    if not terms:
        ends: tuple[float, float] = scale.interval(level)
    else:
        ends = of_ratio(scale, level) if _is_penalty(name) else shortest(scale, level)
    return [scale.median, *ends, *moments, scale.log_sd]


def _is_penalty(name: str) -> bool:
    return name.startswith("lambda")


def lambda_sentence(posterior: AnyPosterior, level: float = 0.95, name: str = "lambda") -> str:
    """Say what lambda is, and whose word that is."""
    lam = posterior.scales[name]
    if posterior.method == "evidence":
        return f"{name} = {number(lam.median)}, plugged in at the maximum of the evidence (its uncertainty is ignored)"
    if lam.known:
        return f"{name} = {number(lam.median)}, fixed by the user"
    low, high = lam.interval(level)
    return f"{name} = {number(lam.median)} (posterior median; {100 * level:g}% ETI {number(low)} to {number(high)})"


def evidence_sentences(modes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say where the evidence is highest, and every other maximum with its share of the posterior.

    Parameters
    ----------
    modes : sequence of mapping
        ``evidence_modes`` of a record.
    """
    lines = []
    top = max((mode["log_evidence"] for mode in modes), default=0.0)
    best = next((mode for mode in modes if mode["log_evidence"] == top), None)
    for mode in modes:
        if mode["place"] == "flat":
            return ["none: every lambda has the same evidence"]
        places = {"zero": "lambda -> 0", "infinity": "lambda -> infinity"}
        where = places.get(mode["place"]) or f"lambda {number(mode['lambda'])}"
        sd = "" if mode["sd_log_lambda"] is None else f", log-lambda sd {mode['sd_log_lambda']:.2g}"
        known = mode["posterior_share"] is None
        share = "" if known else f", {100 * mode['posterior_share']:.3g}% of the posterior mass"
        rank = "global maximum" if mode is best else f"local maximum, {top - mode['log_evidence']:.2f} nats lower"
        lines.append(f"{rank} at {where}{sd}{share}")
    return lines


def describe_data(posterior: AnyPosterior) -> str:
    """One line on the data."""
    design = posterior.design
    weights = "" if design.weights is None else f", {design.weighting} weights"
    dropped = f", dropped for missing values: {design.n_dropped}" if design.n_dropped else ""
    flat = f", {len(design.unpenalized)} unpenalised" if len(design.unpenalized) else ""
    constant = f", {len(design.constant)} without spread left out" if len(design.constant) else ""
    rows = f"{design.n_rows} rows" if design.n_obs == design.n_rows else f"{design.n_rows} rows, n = {design.n_obs:g}"
    own = single_columns(design)  # terms that are many columns are named
    count = len(design.penalized) if isinstance(own, slice) else int(np.isin(design.penalized, own).sum())
    terms = " and ".join([block.name for block in design.blocks])
    columns = f", {count} penalised columns" if count or not terms else ""
    columns += f", penalised effects of {terms}" if terms else ""
    return f"{design.target_name}: {rows}{columns}{flat}{constant}{weights}{dropped}"


def describe_model(posterior: AnyPosterior) -> str:
    """One line on the prior, and on the noise or what stands in its place."""
    prior, rest = posterior.prior_texts
    return f"{prior}; {'noise' if 'sigma' in posterior.scales else 'outcome'} {rest}"


def glance(posterior: AnyPosterior) -> str:
    """Say of what a posterior is, and what it says of the scales: a few lines."""
    lines = [describe_data(posterior), f"prior: {describe_model(posterior)}", *posterior.check]
    lines += [*_scale_sentences(posterior), *block_sentences(posterior)]
    return "\n  ".join([f"Bayesian ridge regression ({posterior.how})", *lines])


def largest(posterior: AnyPosterior, most: int) -> tuple[pd.DataFrame, str]:
    """Return the coefficients with the largest |mean / sd| as they are printed, and what was left out."""
    import pandas as pd

    own = np.arange(len(posterior.coefficients))[single_columns(posterior.design)]
    k, p = int(posterior.design.fit_intercept), len(own)
    rows = np.arange(p + k)
    if p + k > most:
        sd = posterior.coefficients.sd[own]
        size = np.abs(posterior.coefficients.mean[own]) / np.where(sd > 0, sd, np.inf)
        rows = np.concatenate([rows[:k], np.sort(np.argsort(-size)[: most - k]) + k])
    parts = [posterior.intercept.summary()] if k or not p else []
    # quantiles cost a search each
    chosen = posterior.coefficients.take(own[rows[k:] - k]).summary() if p else parts[0][:0]
    more = f"... the {len(rows)} rows with the largest |mean / sd| of {p + k}; all in summary()"
    return as_printed(pd.concat([*parts, chosen])), more if len(rows) < p + k else ""


def at_a_glance(posterior: AnyPosterior, most: int = 12) -> str:
    """Return the result on one screen: data, lambda, noise, and the largest coefficients."""
    table, more = largest(posterior, most)
    return "\n".join(filter(None, [glance(posterior), table.to_string(), more]))


class Estimates(NamedTuple):
    """Posterior means: of one target a number and (p,), of T targets (T,) and (T, p)."""

    intercept: Any
    coef: NDArray[np.float64]


class ShownPosterior(Shown):
    """A posterior at a glance: data, lambda, noise, and the coefficients that matter most."""

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior of intercept and coefficients: mean, sd, equal-tailed interval, P(> 0); of draws their accuracy."""
        return coefficient_table(self._any(), level)

    def ratios(self, level: float = 0.95) -> pd.DataFrame:  # noqa: ARG002
        """Refused: the coefficients are not logarithms of rates or odds."""
        raise DataError("coefficients are differences of the target here; ratios are of counts and successes, family=")

    @property
    def has_terms(self) -> bool:
        """Whether there are several penalties, and :meth:`terms` says what each is worth."""
        return False

    #: What else there is: see the contract.
    has_curves: ClassVar[bool] = False
    takes_codes: ClassVar[bool] = False

    def terms(self, level: float = 0.95) -> pd.DataFrame:  # noqa: ARG002
        """Refused: there are no penalties on columns whose shares are known."""
        raise DataError(
            "shares and degrees of freedom by term are of a Gaussian target's exact posterior, method='posterior', "
            "with penalties on columns"
        )

    @property
    def only(self) -> AnyPosterior:
        """Itself: it is of one target."""
        return self._any()

    @property
    def estimates(self) -> Estimates:
        """Posterior means of intercept and coefficients."""
        post = self._any()
        intercept = float(post.intercept.mean[0]) if post.design.fit_intercept else 0.0
        return Estimates(intercept, post.coefficients.mean)

    def save(self, path: str | Path, *, rows: bool = False) -> Path:
        """Write the model to a file, which :func:`bayesridge.load` makes an estimator of; by custom ``*.bridge``.

        Parameters
        ----------
        path : str or Path
        rows : bool
            Whether to store the data too, which leave-one-out and checks need after loading; of chains also what there
            is a number of for each draw and row.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        DataError
            If no estimator makes this posterior: chains of a model without prior objects.
        """
        post = self._any()
        return save_model(post, path, table=plain_table(post.design.names), options=post.options(), rows=rows)

    def _headline(self) -> str:
        return glance(self._any())

    def _parts(self) -> tuple[pd.DataFrame, str]:
        return largest(self._any(), MOST_ROWS)

    def _any(self) -> AnyPosterior:
        return self  # type: ignore[return-value]


def _scale_sentences(posterior: AnyPosterior) -> list[str]:
    """Each lambda with its interval, and the medians of sigma and of the effective degrees of freedom."""
    lambdas = [name for name in posterior.scales if _is_penalty(name)]
    medians = {
        name: number(posterior.scales[name].median) for name in ("sigma", "effective dof") if name in posterior.scales
    }
    says = ", ".join(f"{name} = {value}" for name, value in medians.items())
    counted = "; dof without intercept" if "effective dof" in medians else ""
    last = [f"{says} (medians{counted})"] if medians else []
    if posterior.has_terms:
        each = ", ".join(f"{name} {number(value)}" for name, value in posterior.terms()["effective dof"].items())
        last.append(f"effective dof: {each} (posterior means; fixed effects not counted)")
    return [lambda_sentence(posterior, name=name) for name in lambdas] + last


#: Of every record that is written as JSON; a key that changes its meaning or goes away raises it.
SCHEMA = 2


def to_record(posterior: AnyPosterior, level: float = 0.95) -> dict[str, Any]:
    """Everything of a fit, by keys that do not depend on the level; for :func:`jsonable`."""
    from bayesridge import __version__

    design = posterior.design
    prior, noise_prior = posterior.prior_texts
    tables = level_tables(posterior, level)
    return {
        "schema": SCHEMA,
        "bayesridge_version": __version__,
        "target": design.target_name,
        "n_rows": design.n_rows,
        "n_observations": design.n_obs,
        "n_dropped": design.n_dropped,
        "weight_kind": design.weighting,
        "method": posterior.method,
        "prior": prior,
        "noise_prior": noise_prior,
        "level": level,
        "coefficients": records(coefficient_table(posterior, level), level),
        "hyperparameters": records(hyper_table(posterior, level), level),
        **({"terms": records(posterior.terms(level), level)} if posterior.has_terms else {}),
        **({"levels": {name: records(one, level) for name, one in tables.items()}} if tables else {}),
        **posterior.facts(),
    }


def keyed(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Name the columns of a table for machines, whatever the level of its intervals: ``eti_low``, ``prob_positive``."""
    low, high = interval_names(level)
    keys = dict(zip(interval_names(level, "HDI"), ("hdi_low", "hdi_high"), strict=True))
    keys |= {"share of variance": "share", "sd of share": "share_sd", "effective dof": "dof", "sd of dof": "dof_sd"}
    keys |= {low: "eti_low", high: "eti_high", "P(>0)": "prob_positive", "sd of log": "sd_log"}
    keys |= {
        "expectation: sd": "expectation_sd",
        **{f"expectation: {end}": f"expectation_{keys[end]}" for end in (low, high)},
    }
    return table.rename(columns=keys)


def records(table: pd.DataFrame, level: float) -> dict[str, dict[str, Any]]:
    """Return the rows of a table by their labels, columns as :func:`keyed` names them."""
    rows = keyed(table, level).to_dict(orient="index")
    return {str(label): {str(key): value for key, value in row.items()} for label, row in rows.items()}


def jsonable(value: Any) -> Any:
    """Replace what JSON cannot say: numpy numbers by Python's; infinities and NaN by None, which it writes as null."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [jsonable(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
