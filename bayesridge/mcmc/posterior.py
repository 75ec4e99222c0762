"""A posterior known by the draws of Markov chains: what the exact one offers, with Monte Carlo errors beside it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design, State
from bayesridge.errors import DataError, ModelFileError, RowsAbsentError, check_counts
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.mcmc.rows import RowDraws
from bayesridge.mcmc.tree_state import tree_from_state, tree_state
from bayesridge.parallel.runs import generator
from bayesridge.persistence import prior_from_state, prior_state
from bayesridge.posteriors.contrasts import Asked
from bayesridge.posteriors.datatree import coefficient_draws
from bayesridge.posteriors.drawn import DrawnQuantity, DrawnScalar
from bayesridge.posteriors.draws import Draws, replicated
from bayesridge.posteriors.prediction import Prediction, checked_rows, named_rows, noise_variance, refuse_outcome_terms
from bayesridge.posteriors.shown import Shown
from bayesridge.posteriors.summary import ShownPosterior
from bayesridge.posteriors.terms import level_effects
from bayesridge.priors import NoisePrior, Prior

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]
Seed = int | np.random.Generator | None

#: Pareto shape above which the importance sampling of a row is not to be trusted.
PARETO_LIMIT = 0.7

_NO_DISTRIBUTIONS = (
    "importance sampling gives no {} of left-out rows: the exact posterior of the same model does, method='posterior'"
)

#: Further parameters of some models.
EXTRA = ("mix", "phi", "local")

_ABOUT = ("model_name", "sampler", "compile_seconds", "sampling_seconds", "interrupted")
_SCALES = {"lambda": "lambda_", "sigma": "sigma", "tau": "tau", "R2": "r2", "effective dof": "effective_dof"}


@dataclass(frozen=True, eq=False, repr=False)
class SampledPosterior(ShownPosterior, Asked):
    """Everything known after seeing the data, from Markov chains.

    Attributes
    ----------
    design : Design
        The problem.
    prior_texts : tuple of str
        The prior and the noise prior in words.
    datatree : xarray.DataTree
        The draws: groups, names and dimensions as from the exact engine, and ``sample_stats`` and ``diagnostics``.
    diagnostics : pandas.DataFrame
        Checks with value, limit, verdict and remedy; see :func:`bayesridge.mcmc.diagnostics.diagnose`.
    model_name : str
        Module of :mod:`bayesridge.models`, with the parametrisation.
    sampler : str
    compile_seconds, sampling_seconds : float
    interrupted : bool
        Whether the sampler was stopped before all draws were made.
    priors : tuple of Prior and NoisePrior, or None
        The prior objects, where the model was made from such.
    """

    design: Design
    prior_texts: tuple[str, str]
    datatree: xr.DataTree
    diagnostics: pd.DataFrame
    model_name: str
    sampler: str
    compile_seconds: float
    sampling_seconds: float
    interrupted: bool
    priors: tuple[Prior, NoisePrior] | None = None

    method: Literal["nuts"] = "nuts"

    # -- what to think of it ---------------------------------------------------------------------------------------

    @property
    def verdict(self) -> str:
        """The worst of the checks: "ok", "doubtful" or "bad"."""
        return str(self.diagnostics.attrs["verdict"])

    @property
    def how(self) -> str:
        """What kind of numbers these are."""
        return "posterior sampled by NUTS"

    @property
    def check(self) -> tuple[str, ...]:
        """What was sampled, how long it took, effective draws, the verdict, and what is wrong with its remedy."""
        chains, draws = self.datatree["posterior"].sizes["chain"], self.datatree["posterior"].sizes["draw"]
        number = f"{chains} chains of {draws} draws" if chains > 1 else f"{draws} draws"
        seconds = f"compiled in {self.compile_seconds:.1f} s, sampled in {self.sampling_seconds:.1f} s"
        ess, where = self._worst_ess
        each_second = ess / self.sampling_seconds
        lines = [
            f"NUTS ({self.sampler}) on the model {self.model_name}: {number}; {seconds}",
            f"effective draws: {ess:.0f} of the slowest parameter ({where}), {each_second:.0f} a second",
            f"chains: {self.verdict}",
        ]
        for check, row in self.diagnostics[self.diagnostics["verdict"] != "ok"].iterrows():
            at = f" ({row['where']})" if row["where"] else ""
            value = float(row["value"])
            shown = f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
            lines.append(f"{check} {shown}{at}, should be {row['limit']}: {row['remedy']}")
        return tuple(lines)

    @property
    def _worst_ess(self) -> tuple[float, str]:
        checks = self.diagnostics.loc[["ESS bulk", "ESS tail"]]
        values = checks["value"].to_numpy(dtype=np.float64)
        return float(values.min()), str(checks["where"].iloc[int(values.argmin())])

    # -- parameters ------------------------------------------------------------------------------------------------

    @cached_property
    def _drawn(self) -> xr.Dataset:
        return self.datatree["posterior"].to_dataset()

    @cached_property
    def coefficients(self) -> DrawnQuantity:
        """Posterior of all p coefficients, in the units of the data."""
        return DrawnQuantity(self.design.names, coefficient_draws(self.design, self._drawn))

    def levels(self, name: str) -> DrawnQuantity:
        """Posterior of the effects of a factor's levels, ``levels("shop")``; the last is of one without rows."""
        found: Any = level_effects(self, name)
        return found  # type: ignore[no-any-return]

    @cached_property
    def intercept(self) -> DrawnQuantity:
        """Posterior of the intercept (the expected target where every column is zero), length 1."""
        return DrawnQuantity(("intercept",), self._intercepts[..., None])

    @cached_property
    def _intercepts(self) -> Array:
        drawn = self._drawn
        values = drawn["intercept"] if "intercept" in drawn else drawn["sigma"] * 0.0
        return np.asarray(values.values)

    @property
    def centre(self) -> float:
        """Posterior mean of the expected target at the column means."""
        return float(self._centres.mean())

    @property
    def _centres(self) -> Array:
        return np.asarray(self._intercepts + self.coefficients.values @ self.design.mean)

    def _combined(self, rows: Array, labels: tuple[str, ...]) -> DrawnQuantity:
        return DrawnQuantity(labels, self.coefficients.values @ rows.T)

    def covariance(self) -> Array:
        """Posterior covariance matrix of the p coefficients (p x p), in the units of the data."""
        return np.atleast_2d(np.cov(self.coefficients.values.reshape(-1, len(self.design.names)), rowvar=False))

    @cached_property
    def scales(self) -> dict[str, DrawnScalar]:
        """Posteriors of lambda, sigma, tau, R2 and the effective dof: those there are, of each penalty if several."""
        found: dict[str, Array] = {}
        for label, name in _SCALES.items():
            if name not in self._drawn:
                continue
            values = self._drawn[name]
            parts = (
                {f"{label}[{one}]": values.sel(scale=one) for one in values["scale"].values}
                if ("scale" in values.dims)
                else {label: values}
            )
            found |= {one: part.values for one, part in parts.items()}
        found |= {name: self._drawn[name].values for name in map(str, self._drawn) if name.startswith("rho[")}
        return {label: DrawnScalar(label, values) for label, values in found.items()}

    def _scale(self, name: str) -> DrawnScalar:
        if name not in self.scales:
            several = ", ".join([one for one in self.scales if one.startswith(name)])
            raise DataError(
                f"the model has several lambdas: ask scales for one of {several}" if several else f"there is no {name}"
            )
        return self.scales[name]

    @property
    def lambda_(self) -> DrawnScalar:
        """Posterior of lambda = sigma^2 / tau^2."""
        return self._scale("lambda")

    @property
    def sigma(self) -> DrawnScalar:
        """Posterior of the noise standard deviation, in units of y."""
        return self.scales["sigma"]

    @property
    def tau(self) -> DrawnScalar:
        """Posterior of the prior standard deviation of the standardised coefficients, in units of y."""
        return self._scale("tau")

    @property
    def r2(self) -> DrawnScalar:
        """Posterior of ``R^2 = W / (1 + W)``, ``W = signal / lambda``."""
        return self._scale("R2")

    @property
    def effective_dof(self) -> DrawnScalar:
        """Posterior of the effective degrees of freedom of the penalised columns (intercept not counted)."""
        return self._scale("effective dof")

    @property
    def spectrum(self) -> Spectrum:
        """Refused: draws have none."""
        raise DataError(
            "this posterior was sampled: what needs a spectrum (rules for lambda, the evidence, the spectral check) "
            "takes the exact posterior of the same model, method='posterior'"
        )

    @property
    def log_marginal_likelihood(self) -> float:
        """Refused: draws of the posterior do not give it."""
        raise DataError("a sampled posterior has no marginal likelihood: the exact one has, method='posterior'")

    # -- predictions -----------------------------------------------------------------------------------------------

    def expected(self, X: Array, *, offset: ArrayLike | None = None, trials: ArrayLike | None = None) -> Array:
        """Posterior mean of the expected target at new rows, (m,)."""
        refuse_outcome_terms(offset, trials)
        # centred, so that columns with large offsets lose no digits
        return np.asarray(self.centre + (named_rows(X, self.design) - self.design.mean) @ self.coefficients.mean)

    def predict(
        self,
        X: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> Prediction:
        """Posterior predictive distribution at new rows, the noise integrated exactly given each draw.

        Parameters
        ----------
        X : array_like or table of shape (m, p)
            In the units of the data; columns with names are taken by them, in any order (tables for a formula go to
            the estimator).
        weights : array_like of shape (m,), optional
            Precision weights of the new observations (noise variance sigma^2 / w); 1 by default.
        offset, trials : None
            Of families of counts.

        Raises
        ------
        DataError
            If X has other columns, a weight is not positive, or the model's noise is not normal.
        """
        rows = checked_rows(X, self.design, offset, trials)
        if "nu" in self._drawn:
            raise DataError(f"predictions are for normal noise, and the model {self.model_name} has Student-t noise")
        noise = noise_variance(weights, len(rows))
        coef, sigma = self.coefficients.values, self.sigma.values
        expected = RowDraws(
            tuple([str(i) for i in range(len(rows))]), self._centres, coef, sigma, rows - self.design.mean
        )  # fmt: skip
        return Prediction(expected, replace(expected, noise=noise), np.sqrt(np.mean(np.square(sigma)) * noise))

    @cached_property
    def loo(self) -> SampledLeaveOneOut:
        """Leave-one-out by Pareto-smoothed importance sampling.

        Raises
        ------
        DataError
            With frequency weights, whose rows importance sampling cannot leave out singly; and where the model was
            saved without its rows.
        """
        if "log_likelihood" not in self.datatree.children:
            raise RowsAbsentError("leave-one-out needs the log likelihood of each row: save the model with rows=True")
        if self.design.weights is not None and self.design.weight_kind == "frequency":
            raise DataError("importance sampling leaves out whole rows, not one of counted ones: repeat the rows")
        import arviz as az

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)  # counted
            found = az.loo(self.datatree, pointwise=True)
        return SampledLeaveOneOut(
            float(found.elpd), float(found.se), float(found.p), np.asarray(found.elpd_i), np.asarray(found.pareto_k)
        )

    # -- draws -----------------------------------------------------------------------------------------------------

    @cached_property
    def drawn(self) -> Draws:
        """All draws of the chains, arrays of shape (chain, draw, ...)."""
        found = {str(name): values.values for name, values in self._drawn.data_vars.items()}
        extra: dict[str, Array] = {name: found[name] for name in found if name in EXTRA or name.startswith("rho[")}
        return Draws(
            self._intercepts, self.coefficients.values, found["sigma"], found["tau"], found["lambda_"],
            noise_df=found.get("nu"), extra=extra,
        )  # fmt: skip

    def draw(self, draws: int = 1000, chains: int = 4, random_state: Seed = None) -> Draws:
        """Draws picked at random, with replacement, from those of the chains: arrays of shape (chains, draws, ...)."""
        every, picked = self.drawn, self._pick(draws, chains, random_state)

        def pick(values: Array) -> Array:
            return np.asarray(values.reshape(-1, *values.shape[2:])[picked])

        return Draws(
            pick(every.intercept), pick(every.coef), pick(every.sigma), pick(every.tau), pick(every.lam),
            noise_df=None if every.noise_df is None else pick(every.noise_df),
            extra={name: pick(values) for name, values in every.extra.items()},
        )  # fmt: skip

    def replicate(self, rows: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Array:
        """Targets of data sets the model would make at rows of the fit (indices, (m,)): shape (draws, m)."""
        drawn = self.draw(draws, 1, rng)
        expected = drawn.intercept[0, :, None] + self.design.source.times(drawn.coef[0].T).T
        df = None if drawn.noise_df is None else drawn.noise_df[0]
        return replicated(self.design, expected, drawn.sigma[0], rows, rng, df)

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: Seed = None,
        *,
        predictive: bool = False,  # noqa: ARG002
    ) -> xr.DataTree:
        """The chains as they were drawn, an ArviZ ``xarray.DataTree``; with `draws` or `chains`, that many picked.

        The predictive groups are there whatever `predictive` says. Picked draws come without the sampler's record,
        which is of the chains.
        """
        if draws is None and chains is None:
            return self.datatree
        import xarray as xr

        sizes = self._drawn.sizes
        picked = self._pick(
            sizes["draw"] if draws is None else draws, sizes["chain"] if chains is None else chains, random_state
        )
        dims = ("chain", "draw")
        index = {"chain": xr.DataArray(picked // sizes["draw"], dims=dims)}
        index["draw"] = xr.DataArray(picked % sizes["draw"], dims=dims)
        groups = {}
        for name, node in self.datatree.children.items():
            group = node.to_dataset()
            if "chain" in group.dims:
                group = group.drop_vars(dims).isel(index)
                group = group.assign_coords(chain=np.arange(picked.shape[0]), draw=np.arange(picked.shape[1]))
            groups[name] = group
        groups.pop("sample_stats", None)
        tree: xr.DataTree = xr.DataTree.from_dict(groups)
        tree.attrs = dict(self.datatree.attrs)
        return tree

    def _pick(self, draws: int, chains: int, random_state: Seed) -> NDArray[np.int64]:
        check_counts(draws=draws, chains=chains)
        sizes = self._drawn.sizes
        return generator(random_state).integers(sizes["chain"] * sizes["draw"], size=(chains, draws))

    def options(self) -> dict[str, Any]:
        """Return the arguments of the estimator that makes this posterior from plain columns.

        Raises
        ------
        DataError
            If none does.
        """
        if self.priors is None:
            raise DataError(
                f"no estimator makes the model {self.model_name}, so there is none to load: keep the draws with "
                "to_datatree().to_netcdf(path)"
            )
        prior, noise_prior = self.priors
        return {"method": self.method, "prior": prior, "noise_prior": noise_prior, **self.design.options()}

    def state(self, *, rows: bool = False) -> State:
        """What a file holds: the description of the data, the draws and the sampler's record."""
        about, arrays = self.design.state(rows=rows)
        tree, drawn = tree_state(self.datatree, rows=rows)
        table = self.diagnostics
        facts: dict[str, Any] = {
            "engine": "chains", "family": "gaussian", "design": about, "tree": tree, "prior_texts": self.prior_texts,
            "priors": None if self.priors is None else [prior_state(one) for one in self.priors],
            "diagnostics": {"index": list(table.index), "columns": {name: table[name].tolist() for name in table}},
            "verdict": self.verdict, **{name: getattr(self, name) for name in _ABOUT},
        }  # fmt: skip
        return facts, arrays | drawn

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SampledPosterior:
        """Make the posterior of its state."""
        import pandas as pd
        import xarray as xr

        design = Design.from_state(facts["design"], arrays)
        tree = tree_from_state(facts["tree"], arrays)
        table = pd.DataFrame(facts["diagnostics"]["columns"], index=facts["diagnostics"]["index"])
        table.index.name = "check"
        table.attrs["verdict"] = str(facts["verdict"])
        tree["diagnostics"] = xr.DataTree(table.to_xarray())
        priors = None if facts["priors"] is None else tuple(prior_from_state(one) for one in facts["priors"])
        drawn = tree["posterior"].to_dataset()
        coef, shape = coefficient_draws(design, drawn), drawn["sigma"].shape
        if coef.shape != (*shape, design.n_columns) or not np.isfinite(coef).all():
            raise ModelFileError("its draws do not fit its columns")
        texts = (str(facts["prior_texts"][0]), str(facts["prior_texts"][1]))
        return cls(design, texts, tree, table, priors=priors, **{name: facts[name] for name in _ABOUT})

    def facts(self) -> dict[str, Any]:
        """What a record of this posterior holds beside its tables: the sampler, the checks, leave-one-out."""
        sizes = self.datatree["posterior"].sizes
        record: dict[str, Any] = {
            "sampling": {
                "sampler": self.sampler, "model": self.model_name, "chains": sizes["chain"], "draws": sizes["draw"],
                "compile_seconds": self.compile_seconds, "sampling_seconds": self.sampling_seconds,
                "interrupted": self.interrupted,
            },
            "verdict": self.verdict,
            "diagnostics": self.diagnostics.to_dict(orient="index"),
        }  # fmt: skip
        counted = self.design.weights is not None and self.design.weight_kind == "frequency"
        if "log_likelihood" in self.datatree.children and not counted:
            loo = self.loo
            record["loo"] = {"elpd_loo": loo.elpd_loo, "se": loo.se, "p_loo": loo.p_loo, "bad_rows": loo.bad_rows}
        return record


@dataclass(frozen=True, eq=False, repr=False)
class SampledLeaveOneOut(Shown):
    """Leave-one-out estimated by Pareto-smoothed importance sampling.

    Attributes
    ----------
    elpd_loo, se, p_loo : float
        Expected log predictive density, its standard error over rows, and the effective number of parameters.
    pointwise : ndarray of shape (n,)
        ``log p(y_i | y_-i)`` of each observation.
    pareto_k : ndarray of shape (n,)
        Shape of the tail of each row's importance weights: above 0.7 the row's value is not to be trusted.
    """

    elpd_loo: float
    se: float
    p_loo: float
    pointwise: Array
    pareto_k: Array

    def summary(self, level: float = 0.95) -> pd.DataFrame:  # noqa: ARG002
        """One row for each observation: its elpd, and the shape of the tail of its weights."""
        import pandas as pd

        index = pd.RangeIndex(len(self.pointwise), name="row")
        return pd.DataFrame({"elpd": self.pointwise, "Pareto k": self.pareto_k}, index=index)

    def _headline(self) -> str:
        return f"Leave-one-out, {self.accuracy}: elpd {self.elpd_loo:.2f} (se {self.se:.2f}), p_loo {self.p_loo:.3g}"

    @property
    def accuracy(self) -> str:
        """How the densities were found, and how exactly."""
        return f"importance sampling, {self.bad_rows} rows not to be trusted"

    @property
    def count(self) -> Array:
        """Observations each row stands for: one."""
        return np.ones(len(self.pointwise))

    @property
    def pit(self) -> Array:
        """Refused: importance sampling gives densities."""
        raise DataError(_NO_DISTRIBUTIONS.format("distributions"))

    @property
    def bad_rows(self) -> int:
        """Number of rows whose value is not to be trusted."""
        return int((self.pareto_k > PARETO_LIMIT).sum())

    def interval(self, level: float = 0.95) -> Array:
        """Refused: importance sampling gives densities."""
        raise DataError(_NO_DISTRIBUTIONS.format(f"{100 * level:g}% predictive intervals"))
