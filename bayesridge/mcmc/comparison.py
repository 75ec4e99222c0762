r"""Is ridge the right prior? Ridge beside lasso, elastic net, horseshoe and R2D2, by what they predict.

Ridge says that all (scaled) coefficients are of one size. The others let many be near zero and a few be large. Each
prior is fitted to the same table, ridge exactly and the others by NUTS, and judged by leave-one-out: ``elpd = sum_i log
p(y_i | y_-i)`` from Pareto-smoothed importance sampling, for ridge too, so that all are measured alike. The exact
figure stands beside ridge's, and its log marginal likelihood, which the others do not have in closed form.

What counts as a difference is that of :mod:`bayesridge.posteriors.comparison`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.chains import Sampler, read_sampler
from bayesridge.mcmc.posterior import PARETO_LIMIT
from bayesridge.mcmc.sampling import sample_model
from bayesridge.posteriors.comparison import clearly
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

PriorName = Literal["ridge", "lasso", "elastic net", "horseshoe", "R2D2"]
PRIOR_NAMES: tuple[PriorName, ...] = get_args(PriorName)

#: What importance sampling may miss of ridge's exact elpd before the reader is told: a quarter of what counts.
OFF_NATS = 1.0


@dataclass(frozen=True, eq=False)
class PriorComparison:
    """Priors of the coefficients, compared.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each prior, best first: ``elpd`` and its ``se`` (PSIS), ``elpd_diff`` from the best and the standard
        error ``dse`` of that, ``p`` (effective number of parameters), stacking ``weight``, ``exact_elpd`` and
        ``log_marginal`` (NaN where there is no exact figure), ``bad_rows`` (rows whose Pareto shape is above 0.7),
        ``verdict`` of the chains and ``seconds``.
    sentence : str
        What it says about ridge.
    ridge : {"best", "as good", "worse"}
        Ridge predicts clearly better than every other, is not to be told from the best, or clearly worse.
    caveats : tuple of str
        Why the table is not to be trusted as it stands; empty when chains and importance sampling are in order.
    assumptions : dict of str to str
        The prior of each, with its numbers.
    trees : dict of str to xarray.DataTree
        The draws of each.
    """

    table: pd.DataFrame
    sentence: str
    ridge: Literal["best", "as good", "worse"]
    caveats: tuple[str, ...]
    assumptions: dict[str, str]
    trees: dict[str, xr.DataTree]


def compare_priors(
    design: Design,
    *,
    models: Sequence[PriorName] = PRIOR_NAMES,
    prior: BetaR2 | None = None,
    noise_prior: NoisePrior | None = None,
    expected_nonzero: float | None = None,
    slab_scale: float | None = None,
    slab_df: float = 4.0,
    concentration: float = 0.5,
    mix_a: float = 1.0,
    mix_b: float = 1.0,
    sampler: Sampler | Mapping[str, Any] | str | None = None,
    n_jobs: int | None = None,
    random_state: int | None = None,
) -> PriorComparison:
    """Fit a table under several priors of the coefficients and compare their predictions.

    Parameters
    ----------
    design : Design
        Without frequency weights (repeat the rows instead: leaving one out means one observation).
    models : sequence of {"ridge", "lasso", "elastic net", "horseshoe", "R2D2"}
        "ridge" and at least one other.
    prior : BetaR2, optional
        Of the explained share of variance in all but the horseshoe; ``BetaR2(0.5, 0.5)`` by default.
    noise_prior : NoisePrior, optional
        Of sigma, in all; ``Jeffreys()`` by default.
    expected_nonzero : float, optional
        Of the horseshoe: how many coefficients are expected to matter; a quarter of the columns by default.
    slab_scale : float, optional
        Of the horseshoe: size of a large standardised coefficient; the sd of the target by default.
    slab_df : float
        Of the horseshoe.
    concentration : float
        Of R2D2; 0.5 lets few columns take most of the variance.
    mix_a, mix_b : float
        Of the elastic net: Beta prior of the share of the lasso; uniform by default.
    sampler : Sampler, dict or str, optional
        Sparse priors have sharp corners: ``target_accept`` is 0.95 unless given, which keeps the steps small.
    n_jobs : int, optional
        Chains that run at the same time; all cores by default.
    random_state : int, optional
        Seed.

    Returns
    -------
    PriorComparison

    Raises
    ------
    DataError
        If ridge or all others are left out, a name is unknown, or the design has frequency weights.
    """
    _check(design, models)
    nuts = read_sampler(sampler, target_accept=0.95)
    noise = noise_prior or Jeffreys()
    on_r2 = prior or BetaR2()
    columns = len(design.penalized)
    makers = {
        "lasso": _lasso(design, on_r2, noise),
        "elastic net": _elastic_net(design, on_r2, noise, mix_a, mix_b),
        "horseshoe": _horseshoe(
            design, noise, 0.25 * columns if expected_nonzero is None else expected_nonzero,
            _spread(design) if slab_scale is None else slab_scale, slab_df,
        ),
        "R2D2": _r2d2(design, on_r2, noise, concentration),
    }  # fmt: skip
    start = time.perf_counter()
    exact = infer(design, factorize(design), on_r2, noise)
    loo = exact.loo  # before the draws: refuses tables too small for it
    trees: dict[str, xr.DataTree] = {"ridge": exact.to_datatree(nuts.draws, nuts.chains, random_state, predictive=True)}
    verdicts, seconds = {"ridge": "exact"}, {"ridge": time.perf_counter() - start}
    assumptions = {"ridge": f"normal; {on_r2.text}; noise {noise.text}"}
    for name in models:
        if name == "ridge":
            continue
        start = time.perf_counter()
        assumptions[name], make = makers[name]
        result = sample_model(design, make(), name, nuts, n_jobs=n_jobs, random_state=random_state)
        trees[name], verdicts[name] = result.datatree, result.verdict
        seconds[name] = time.perf_counter() - start
    table = _table(trees)
    table["exact_elpd"] = [loo.elpd_loo if name == "ridge" else np.nan for name in table.index]
    table["log_marginal"] = [exact.log_marginal_likelihood if name == "ridge" else np.nan for name in table.index]
    table["verdict"] = [verdicts[str(name)] for name in table.index]
    table["seconds"] = [seconds[str(name)] for name in table.index]
    sentence, ridge = _judge(table)
    return PriorComparison(table, sentence, ridge, _caveats(table), assumptions, trees)


def _check(design: Design, models: Sequence[str]) -> None:
    unknown = [name for name in models if name not in PRIOR_NAMES]
    if unknown:
        raise DataError(f"models are some of {', '.join(PRIOR_NAMES)}; got {', '.join(map(repr, unknown))}")
    if "ridge" not in models or len(set(models)) < 2:
        raise DataError(f"the comparison is of ridge with at least one other prior, got {', '.join(models) or 'none'}")
    if design.weights is not None and design.weight_kind == "frequency":
        raise DataError("leave-one-out draws of counted rows are not comparable: repeat the rows, without weights")
    if len(design.penalized) < 2:
        raise DataError(f"priors differ in how columns share: {len(design.penalized)} penalised columns are too few")


# -- the models, imported where they are used, with the text of their priors ----------------------------------------

Maker = tuple[str, Callable[[], Any]]


def _spread(design: Design) -> float:
    """Standard deviation of the target (weighted)."""
    return float(np.sqrt(np.average((design.y - design.y_mean) ** 2, weights=design.weights)))


def _lasso(design: Design, prior: BetaR2, noise: NoisePrior) -> Maker:
    def make() -> Any:
        from bayesridge.models.lasso import lasso

        return lasso(design, prior=prior, noise_prior=noise)

    return f"Laplace; {prior.text}; noise {noise.text}", make


def _elastic_net(design: Design, prior: BetaR2, noise: NoisePrior, mix_a: float, mix_b: float) -> Maker:
    def make() -> Any:
        from bayesridge.models.elastic_net import elastic_net

        return elastic_net(design, prior=prior, noise_prior=noise, mix_a=mix_a, mix_b=mix_b)

    text = f"between normal and Laplace, Beta({mix_a:g}, {mix_b:g}) on the share of the latter"
    return f"{text}; {prior.text}; noise {noise.text}", make


def _horseshoe(design: Design, noise: NoisePrior, expected: float, slab_scale: float, slab_df: float) -> Maker:
    def make() -> Any:
        from bayesridge.models.horseshoe import horseshoe

        return horseshoe(
            design, noise_prior=noise, expected_nonzero=expected, slab_scale=slab_scale, slab_df=slab_df
        )  # fmt: skip

    text = f"regularised horseshoe, {expected:g} coefficients expected to matter, slab t({slab_df:g}, {slab_scale:.4g})"
    return f"{text}; noise {noise.text}", make


def _r2d2(design: Design, prior: BetaR2, noise: NoisePrior, concentration: float) -> Maker:
    def make() -> Any:
        from bayesridge.models.r2d2 import r2d2

        return r2d2(design, prior=prior, noise_prior=noise, concentration=concentration)

    text = f"normal, variances shared by Dirichlet({concentration:g})"
    return f"{text}; {prior.text}; noise {noise.text}", make


# -- the table and what it says ----------------------------------------------------------------------------------------


def _table(trees: dict[str, xr.DataTree]) -> pd.DataFrame:
    import warnings

    import arviz as az

    with warnings.catch_warnings():
        # bad Pareto shapes are counted in the table
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)
        found = {name: az.loo(tree, pointwise=True) for name, tree in trees.items()}
        compared = az.compare(found, round_to="none")
    table = compared[["elpd", "se", "elpd_diff", "dse", "p", "weight"]].copy()
    table.index.name = "prior"
    table["bad_rows"] = [int((np.asarray(found[name].pareto_k) > PARETO_LIMIT).sum()) for name in table.index]
    columns: pd.DataFrame = table
    return columns


def _judge(table: pd.DataFrame) -> tuple[str, Literal["best", "as good", "worse"]]:
    best = str(table.index[0])
    if best == "ridge":
        other = str(table.index[1])
        lead, error = _gap(table, other)
        if all(clearly(*_gap(table, str(name))) for name in table.index[1:]):
            sentence = (
                f"Ridge predicts best: {other}, the next, is {lead:.1f} nats (se {error:.1f}) worse. The coefficients "
                "look alike in size, and a prior for a sparse truth costs accuracy."
            )
            return sentence, "best"
        sentence = (
            f"No prior predicts clearly better than ridge: {other}, the next, is {lead:.1f} nats (se {error:.1f}) "
            "behind. Keep ridge, whose posterior is exact."
        )
        return sentence, "as good"
    lead, error = _gap(table, "ridge")
    if clearly(lead, error):
        sentence = (
            f"Ridge is the wrong prior here: {best} predicts better by {lead:.1f} nats (se {error:.1f}). Few "
            "coefficients carry the signal, and ridge shrinks those too much and the others too little."
        )
        return sentence, "worse"
    sentence = (
        f"No prior predicts clearly better than ridge: {best} leads by {lead:.1f} nats (se {error:.1f}), which is not "
        "to be told from noise. Keep ridge, whose posterior is exact."
    )
    return sentence, "as good"


def _gap(table: pd.DataFrame, name: str) -> tuple[float, float]:
    """How far a prior is behind the best, and the standard error of that."""
    behind, error = table[["elpd_diff", "dse"]].to_numpy(dtype=np.float64)[list(table.index).index(name)]
    return abs(float(behind)), float(error)


def _caveats(table: pd.DataFrame) -> tuple[str, ...]:
    """What keeps the differences from meaning what they say."""
    found = []
    bad = [str(name) for name in table.index if table.loc[name, "verdict"] == "bad"]
    if bad:
        found.append(f"the chains of {', '.join(bad)} did not converge: draw more, or raise target_accept")
    rows = {str(name): int(count) for name, count in table["bad_rows"].items() if count}
    if rows:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        found.append(f"importance sampling is unreliable in some rows ({counts}): their elpd may be too high")
    estimate, exact = table.loc["ridge", ["elpd", "exact_elpd"]].to_numpy(dtype=np.float64)
    off = float(estimate - exact)
    if abs(off) > OFF_NATS:
        found.append(
            f"importance sampling is off by {off:+.1f} nats for ridge, where the exact figure is known: expect as much "
            "of the others"
        )
    return tuple(found)
