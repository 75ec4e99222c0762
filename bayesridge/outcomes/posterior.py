"""The posterior of an outcome with a family: weighted draws, and a smooth density of lambda."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design, State
from bayesridge.errors import BayesRidgeWarning, DataError, ImproperPosteriorError, RowsAbsentError, check_counts
from bayesridge.hyper.marginal import Link, Marginal, PointMass, transformed
from bayesridge.outcomes.bridge import LARGEST_ERROR
from bayesridge.outcomes.correction import Weighted
from bayesridge.outcomes.curves import Curves, Tilted, curves_of, log_lambda_without, tilted
from bayesridge.outcomes.family import Family
from bayesridge.outcomes.loo import leave_one_out
from bayesridge.outcomes.nodes import marginal_of_nodes
from bayesridge.outcomes.prior import default_prior, density_of_t
from bayesridge.outcomes.problem import Directions, Outcome
from bayesridge.outcomes.rows import ExpectedRows, ObservedRows, PlaneDraws
from bayesridge.outcomes.scaling import Scaled, power_scaled
from bayesridge.parallel.runs import generator
from bayesridge.persistence import prior_state
from bayesridge.posteriors.comparison import log_bayes_factor
from bayesridge.posteriors.contrasts import Asked, Step, step_labels
from bayesridge.posteriors.datatree import OutcomeText, to_datatree
from bayesridge.posteriors.drawn import WeightedQuantity
from bayesridge.posteriors.draws import Draws
from bayesridge.posteriors.facts import loo_facts
from bayesridge.posteriors.loo import LeaveOneOut
from bayesridge.posteriors.prediction import Prediction, checked_rows, per_row
from bayesridge.posteriors.summary import ShownPosterior
from bayesridge.priors import Prior

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

#: Arrays of the weighted draws, as they stand in files.
DRAWS = ("theta", "node", "log_weight", "mass")
_SEED = 7  # of what the data never saw of the coefficients
_TAU = Link(lambda t: np.exp(-0.5 * t), lambda tau: -2.0 * np.log(tau), lambda t: -0.5 * t - np.log(2.0), False)
_BLOCK_VALUES = 1 << 22  # draws x rows worked on at a time
_FOR_ROWS = 1_024  # draws of each replicate that predictions of new rows are made from


@dataclass(frozen=True, eq=False, repr=False)
class OutcomePosterior(ShownPosterior, Asked):
    """Everything known after seeing counts or successes; satisfies the contract of every posterior.

    Attributes
    ----------
    family : Family
    design : Design
    directions : Directions
    prior : Prior
    draws_ : Weighted
        Of the coordinates and the node of lambda, weighted, in eight replicates.
    t, log_step : ndarray of shape (K,)
        Nodes of log lambda, and the log of prior density times width at each.
    extra : ndarray of shape (K,) or None
        Their values of the family's further parameter, where it was learned.
    how : str
        Which road made it.
    check : tuple of str
        What that is worth, a sentence each.
    log_evidence : tuple of float or None
        Log p(y) and its standard error; None where draws of chains do not tell it.
    asks : tuple of str
        Which of "offset" and "trials" the model was fitted with, so that predictions need them.
    infer : callable
        That made it, for other rows.
    problem : Outcome or None
        The rows; None in a model saved without them.
    plugged_in : bool
        Whether the one lambda is that of the largest evidence.
    """

    family: Family
    design: Design
    directions: Directions
    prior: Prior
    draws_: Weighted
    t: Array
    log_step: Array
    extra: Array | None
    how: str
    check: tuple[str, ...]
    log_evidence: tuple[float, float] | None
    asks: tuple[str, ...]
    infer: Callable[[Outcome, Prior], OutcomePosterior]
    problem: Outcome | None
    plugged_in: bool = False

    has_curves: ClassVar[bool] = True
    improper_noise: ClassVar[bool] = False

    @property
    def method(self) -> str:
        """Whether lambda is integrated, given, or plugged in."""
        return "posterior" if np.ptp(self.t) > 0.0 else "evidence" if self.plugged_in else "fixed"

    @property
    def prior_texts(self) -> tuple[str, str]:
        """The prior, and what the outcome is, in words."""
        prior = "none for lambda (plugged in at the maximum of the evidence)" if self.plugged_in else self.prior.text
        return prior, self.family.in_words

    # -- parameters ------------------------------------------------------------------------------------------------

    @cached_property
    def _drawn(self) -> tuple[Array, Array]:
        """Coefficients (R, S, p) and the linear predictor at the column means (R, S)."""
        return self.directions.coefficients(self.design, self.draws_.theta, self._taus, np.random.default_rng(_SEED))

    @property
    def _taus(self) -> Array:
        """Tau of each draw, (R, S)."""
        return np.exp(-0.5 * self.t[self.draws_.node])

    @cached_property
    def coefficients(self) -> WeightedQuantity:
        """Posterior of all p coefficients: of eta, per unit of the column."""
        return WeightedQuantity(self.design.names, self._drawn[0], self.draws_.weight)

    @cached_property
    def intercept(self) -> WeightedQuantity:
        """Posterior of the intercept (eta where every column and the offset are zero), length 1."""
        coef, centre = self._drawn
        values = centre - coef @ self.design.mean if self.design.fit_intercept else 0.0 * centre
        return WeightedQuantity(("intercept",), values[..., None], self.draws_.weight)

    def _combined(self, rows: Array, labels: tuple[str, ...]) -> WeightedQuantity:
        return WeightedQuantity(labels, self._drawn[0] @ rows.T, self.draws_.weight)

    def effects(self, steps: Mapping[str, Step], *, by_row: bool = False) -> WeightedQuantity:
        """Effects of steps on the expected outcome (a rate, or the probability of one trial), not on eta."""
        planes, mean = self._planes, self.design.mean
        block = max(1, _BLOCK_VALUES // planes.weight.size)
        parts = []
        for step in steps.values():
            found = []
            for k in range(0, len(step.width), block):
                part = slice(k, k + block)
                family = planes.of(self.family)
                high, low = (family.mean(planes.eta(X[part] - mean), None) for X in (step.high, step.low))
                change = (high - low) / step.width[part]
                found.append(change if by_row else change.sum(axis=-1, keepdims=True) / len(step.width))
            parts.append(np.concatenate(found, axis=-1) if by_row else np.sum(found, axis=0))
        return WeightedQuantity(step_labels(steps, by_row=by_row), np.concatenate(parts, axis=-1), planes.weight)

    def covariance(self) -> Array:
        """Posterior covariance matrix of the p coefficients (p x p)."""
        weight = self.draws_.weight.ravel()
        values = self._drawn[0].reshape(len(weight), -1)
        values = values - weight @ values
        return np.asarray((values * weight[:, None]).T @ values)

    @cached_property
    def lambda_(self) -> Marginal | PointMass:
        """Posterior of lambda = 1 / tau^2."""
        return self._scalar("lambda", self.t)

    @cached_property
    def _further(self) -> dict[str, Marginal | PointMass]:
        """The family's further parameter, by its name."""
        name = self.family.extra
        if name is None:
            return {}
        if self.extra is None:
            return {name: PointMass(name, float(getattr(self.family, name)))}
        return {name: self._scalar(name, np.log(self.extra))}

    def _scalar(self, name: str, logs: Array) -> Marginal | PointMass:
        """Posterior of a number by its logarithm at the nodes."""
        return marginal_of_nodes(name, logs, self.draws_.mass.sum(axis=0))

    @cached_property
    def tau(self) -> Marginal | PointMass:
        """Posterior of tau, the prior sd of the scaled columns' coefficients."""
        if isinstance(self.lambda_, PointMass):
            return PointMass("tau", float(np.exp(-0.5 * self.t[0])))
        return transformed(self.lambda_, "tau", _TAU)

    @property
    def scales(self) -> Mapping[str, Marginal | PointMass]:
        """Lambda and tau, and what else the family has."""
        return {"lambda": self.lambda_, "tau": self.tau} | self._further

    @property
    def sigma(self) -> PointMass:
        """Refused: there is no noise variance."""
        raise DataError(f"{self.family.text} have no noise sd sigma: lambda is 1 / tau² here")

    @property
    def spectrum(self) -> Any:
        """Refused: the likelihood is not Gaussian."""
        raise DataError(
            f"this needs the spectrum of a Gaussian likelihood, and the model is of {self.family.text}: coefficients, "
            "lambda and its rules, predictions, draws, leave-one-out and the checks made of them work for it"
        )

    @property
    def log_marginal_likelihood(self) -> float:
        """Log p(y) in nats; its standard error is ``log_evidence[1]``."""
        if self.log_evidence is None:
            raise DataError(
                "this posterior was sampled (see `check`), and its draws are too far from a Gaussian for a marginal "
                f"likelihood: bridge sampling leaves a standard error of more than {LARGEST_ERROR:g} nats"
            )
        return self.log_evidence[0]

    def log_bayes_factor(self, other: Any) -> float:
        """Log Bayes factor against another family or another model of the same data: positive favours this one.

        Its standard error is that of both evidences, ``log_evidence[1]``.

        Raises
        ------
        DataError
            If the data or the flat priors differ, or one has no evidence.
        """
        return log_bayes_factor(self, other)

    # -- predictions -----------------------------------------------------------------------------------------------

    def expected(self, X: Array, *, offset: ArrayLike | None = None, trials: ArrayLike | None = None) -> Array:
        """Posterior mean of the expected outcome at new rows, (m,)."""
        return self._expected(X, offset, trials).mean

    def predict(
        self, X: ArrayLike, weights: ArrayLike | None = None, *, offset: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> Prediction:  # fmt: skip
        """Posterior predictive distribution at new rows.

        Parameters
        ----------
        X : array_like or table of shape (m, p)
            In the units of the data; columns with names are taken by them, in any order.
        weights : None
            New observations have none.
        offset, trials : array_like of shape (m,), optional
            A model that was fitted with an offset asks for it (``offset=0`` says that there is none).
        """
        if weights is not None:
            raise DataError(f"weights of new observations are of Gaussian noise, and these are {self.family.text}")
        expected = self._expected(X, offset, trials)
        target = ObservedRows(
            expected.labels, self.family, expected.draws, expected.deviations, expected.offset, expected.trials
        )
        return Prediction(expected, target, target.noise_sd)

    @cached_property
    def _planes(self) -> PlaneDraws:
        """What predictions are made from: at most 8 x 1024 draws."""
        return PlaneDraws(*self._drawn, self.draws_.weight, self._further_drawn).at_most(_FOR_ROWS)

    @property
    def _further_drawn(self) -> Array | None:
        """The family's further parameters of each draw, (..., R, S)."""
        return self.draws_.extra if self.extra is None else self.extra[self.draws_.node]

    @property
    def _measure(self) -> Array | float:
        """What tau is measured in, of each draw (R, S): where there is a sigma, it."""
        return 1.0

    def log_prior(self, t: Array) -> Array:
        """Log density of log lambda under its prior; where that moves with sigma, at its median."""
        return density_of_t(self.prior)(t)

    def _log_priors(self, prior: Prior, t: Array, some: slice) -> Array:  # noqa: ARG002
        """Log density of log lambda (T,) under a prior, of some draws: the same for all, or (R, S, T)."""
        return density_of_t(prior)(t)

    @property
    def _usual_prior(self) -> Prior:
        """That lambda is given where it was known."""
        return default_prior(self.family, self.design)

    @property
    def _typical(self) -> Array | float | None:
        """The further parameters' medians, which penalised fits take as known."""
        return None if self.extra is None else float(self._further[str(self.family.extra)].median)

    def _expected(self, X: ArrayLike, offset: ArrayLike | None, trials: ArrayLike | None) -> ExpectedRows:
        """Check new rows and what goes with them."""
        rows = checked_rows(X, self.design, None, None)
        shift = per_row(offset, len(rows), "offset", needed="offset" in self.asks)
        m = None
        if trials is not None or "trials" in self.asks:
            if not self.family.takes_trials:
                raise DataError(f"{self.family.text} have no trials; exposure is an offset")
            m = per_row(trials, len(rows), "trials", needed=True)
            if not ((m >= 1) & (m == np.rint(m)) & np.isfinite(m)).all():
                raise DataError("trials must be whole numbers, 1 or more")
        labels = tuple([str(i) for i in range(len(rows))])
        return ExpectedRows(labels, self.family, self._planes, rows - self.design.mean, shift, m)

    @cached_property
    def loo(self) -> LeaveOneOut:
        """Leave-one-out predictive densities."""
        return leave_one_out(self.rows(), self._planes, lambda row: self.without(row)._planes)

    @cached_property
    def _others(self) -> dict[int, OutcomePosterior]:
        return {}

    def without(self, row: int) -> OutcomePosterior:
        """Fit the other rows (one observation less, where a row stands for several) under the same prior."""
        if row not in self._others:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", BayesRidgeWarning)  # about the others alone, of which nobody asked
                    self._others[row] = self.infer(self.rows().without(row), self.prior)
            except ImproperPosteriorError as error:
                where = int(self.design.input_rows[row])
                raise DataError(f"without row {where} there is no posterior, so no leave-one-out: {error}") from error
        return self._others[row]

    @cached_property
    def curves(self) -> Curves:
        """Penalised fits, evidence and leave-one-out over lambda; under the default prior, where lambda is one value.

        Raises
        ------
        DataError
            If no column is penalised.
        """
        if self.method != "posterior":
            return self.infer(self.rows(), self._usual_prior).curves
        refits: dict[int, Tilted] = {}
        no_loo = ""
        try:
            refits = self._refits
        except DataError as why:
            no_loo = str(why)
        return curves_of(self.rows().given(self._typical), self._ends, self._tilted, refits, no_loo)

    def log_lambda_without(self) -> tuple[float, float, Array]:
        """Mean and sd of log lambda, and its mean without each row (n_rows,)."""
        mean, sd = self._of_log_lambda
        rows = np.flatnonzero(self.loo.refitted).tolist()
        refits = {i: self.without(i)._of_log_lambda[0] for i in rows}
        return mean, sd, log_lambda_without(self.rows(), *self._with_logs, refits)

    @property
    def _of_log_lambda(self) -> tuple[float, float]:
        """Mean and sd."""
        share = self.draws_.mass.sum(axis=0) / self.draws_.mass.sum()
        mean = float(share @ self.t)
        return mean, float(np.sqrt(share @ np.square(self.t - mean)))

    @property
    def _with_logs(self) -> tuple[PlaneDraws, Array]:
        """Draws, and E[log lambda] given each."""
        return self._tilted.planes, self._tilted.mean_t

    def scaled(self, powers: Sequence[float]) -> Scaled:
        """The posterior with the prior, or the likelihood, raised to powers near one."""

        def log_prior(prior: Prior, t: Array) -> Array:
            return self._log_priors(prior, t, self._some)

        return power_scaled(self.rows(), self._tilted, self.prior, log_prior, self._ends, powers)

    @property
    def _some(self) -> slice:
        """Of each replicate's draws, those that are weighted anew."""
        return slice(None, None, max(1, self.draws_.node.shape[1] // _FOR_ROWS))

    @property
    def _ends(self) -> tuple[float, float]:
        return float(self.t.min()), float(self.t.max())

    @property
    def _refits(self) -> dict[int, Tilted]:
        """Of the posteriors without a row, for those that leave-one-out needed."""
        return {int(i): self.without(int(i))._tilted for i in np.flatnonzero(self.loo.refitted)}

    @cached_property
    def _tilted(self) -> Tilted:
        """Weighted as they are, not resampled: what lies far out in lambda has many draws of little weight."""
        some, (coef, centre), extra = self._some, self._drawn, self._further_drawn
        further = None if extra is None else extra[..., some]
        planes = PlaneDraws(coef[:, some], centre[:, some], self.draws_.weight[:, some], further)
        b = self.draws_.theta[..., self.design.n_flat :] / np.asarray(self._measure)[..., None]
        return tilted(planes, b[:, some], self._ends, lambda t: self._log_priors(self.prior, t, some))

    def rows(self) -> Outcome:
        """The data.

        Raises
        ------
        RowsAbsentError
            If the model was saved without them.
        """
        if self.problem is None:
            raise RowsAbsentError("this needs the rows of the data, and the model was saved without them (rows=True)")
        return self.problem

    # -- draws -----------------------------------------------------------------------------------------------------

    def draw(self, draws: int = 1000, chains: int = 4, random_state: int | np.random.Generator | None = None) -> Draws:
        """Draws of all parameters in proportion to the weights, arrays of shape (chains, draws, ...)."""
        check_counts(draws=draws, chains=chains)
        rng = generator(random_state)
        weight = self.draws_.weight.ravel()
        picked = rng.choice(len(weight), (chains, draws), p=weight)
        theta = self.draws_.theta.reshape(len(weight), -1)[picked]
        tau = np.exp(-0.5 * self._t_given(theta, rng))
        coef, centre = self.directions.coefficients(self.design, theta, tau, rng)
        intercept = centre - coef @ self.design.mean if self.design.fit_intercept else centre
        extra = {} if self.extra is None else self._extra_at(self.draws_.node.ravel()[picked], rng)
        return Draws(intercept, coef, np.ones(tau.shape), tau, tau**-2.0, extra=extra)

    def _extra_at(self, node: NDArray[np.intp], rng: np.random.Generator) -> dict[str, Array]:
        """Spread values of the further parameter between nodes: each node stands for its share of the distribution."""
        assert self.extra is not None
        ((name, scalar),) = self._further.items()
        of = np.unique(self.extra, return_inverse=True)[1]
        share = np.bincount(of, self.draws_.mass.sum(axis=0))
        above = np.cumsum(share) / share.sum()
        k = of[node]
        u = above[k] - rng.random(k.shape) * (share / share.sum())[k]
        return {name: np.asarray(scalar.quantile(np.clip(u, 1e-9, 1.0 - 1e-9)))}

    def _t_given(self, theta: Array, rng: np.random.Generator) -> Array:
        """Draw log lambda given the coordinates: the data say no more of it, and it need not stay at the nodes.

        ``p(t | b)`` is the prior times N(b; 0, exp(-t)), on a fine grid.
        """
        if self.method == "fixed":
            return np.full(theta.shape[:-1], self.t[0])
        b = theta[..., self.design.n_flat :]
        squares = np.square(b).sum(axis=-1).ravel()
        t = np.linspace(self.t[0], self.t[-1], 1001)
        log_p = density_of_t(self.prior)(t) + 0.5 * b.shape[-1] * t - 0.5 * squares[:, None] * np.exp(t)
        below = np.cumsum(np.exp(log_p - log_p.max(axis=1, keepdims=True)), axis=1)
        u = rng.random(len(below)) * below[:, -1]
        cell = np.minimum((below < u[:, None]).sum(axis=1), len(t) - 1)
        return np.asarray((t[cell] + (t[1] - t[0]) * (rng.random(len(cell)) - 0.5)).reshape(theta.shape[:-1]))

    def _family_at(self, drawn: Draws) -> Family:
        learned = None if self.extra is None else drawn.extra[str(self.family.extra)][..., None]
        return self.family.given(learned)

    def _eta(self, drawn: Draws) -> Array:
        """The linear predictor of all rows of the fit, (chains, draws, n)."""
        problem = self.rows()
        return np.asarray(drawn.intercept[..., None] + drawn.coef @ self.design.X.T + problem.offset)

    def simulate(self, drawn: Draws, rng: np.random.Generator) -> Array:
        """Outcomes at all rows of the fit, (chains, draws, n)."""
        return self._family_at(drawn).simulate(self._eta(drawn), self.rows().trials, rng)

    def log_likelihood(self, drawn: Draws, targets: Array) -> Array:
        """Log likelihood of all outcomes (m, n) together, each row m times: (chains, draws)."""
        problem, eta, family = self.rows(), self._eta(drawn), self._family_at(drawn)
        each = [family.log_likelihood(eta, y, problem.trials, problem.count) for y in targets]
        return np.asarray(np.sum(each, axis=0))

    def beside(self, y: Array) -> OutcomePosterior:
        """Fit all rows twice, the second time with the outcomes y."""
        return self.infer(self.rows().beside(y), self.prior)

    @property
    def work(self) -> float:
        """Multiplications that a fit of twice the rows takes, about; steps of chains evaluate every node."""
        chains = not self.draws_.log_weight.any()
        return 2.0 * self.draws_.node.size * self.rows().rows.size * (len(self.t) if chains else 1.0)

    def replicate(self, rows: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Array:
        """Outcomes of data sets the model would make at rows of the fit (indices, (m,)): shape (draws, m)."""
        seen = np.flatnonzero(self.rows().count > 0)
        if not np.array_equal(rows, seen):
            raise DataError("replicated counts need a row for each observation: repeat the rows in place of weights")
        tree = self.to_datatree(draws, 1, rng, predictive=True)
        return np.asarray(tree["posterior_predictive"].to_dataset()["y"].values[0], dtype=np.float64)

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: int | np.random.Generator | None = None,
        *,
        predictive: bool = False,
    ) -> xr.DataTree:
        """Draws as an ArviZ ``xarray.DataTree``, by default four chains of 1000.

        Groups posterior, observed_data and constant_data; with ``predictive=True`` posterior_predictive and
        log_likelihood.
        """
        rng = generator(random_state)
        attrs: dict[str, str | int | float] = {
            "method": self.method, "family": self.family.text, "prior": self.prior.text, "sampler": self.how,
            "check": "; ".join(self.check),
        }  # fmt: skip

        def predicted(drawn: Draws, rng: np.random.Generator) -> tuple[Array, Array]:
            problem, eta, family = self.rows(), self._eta(drawn), self._family_at(drawn)
            seen = problem.count > 0
            log_p = family.log_density(eta, self.design.y, problem.trials)
            return family.simulate(eta, problem.trials, rng)[..., seen], log_p[..., seen]

        drawn = self.draw(1000 if draws is None else draws, 4 if chains is None else chains, rng)
        about = OutcomeText(f"linear predictor ({self.family.text})", predicted)
        return to_datatree(
            self.design, drawn, spectrum=None, attrs=attrs, random_state=rng, predictive=predictive, outcome=about
        )

    # -- files -----------------------------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """Return the arguments of the estimator that makes this posterior from plain columns."""
        prior = None if self.plugged_in else self.prior
        return {"family": self.family.said(), "method": self.method, "prior": prior, **self.design.options()}

    def state(self, *, rows: bool = False) -> State:
        """What a file holds: the draws, the nodes, and how the columns enter; the data only if asked for."""
        design, arrays = self.design.state(rows=rows)
        arrays |= {name: getattr(self.draws_, name) for name in DRAWS}
        arrays |= {"t": self.t, "log_step": self.log_step, "V": self.directions.V, "on_flat": self.directions.on_flat}
        arrays |= {} if self.extra is None else {"extra": self.extra}
        if rows:
            problem = self.rows()
            arrays |= {"offset": problem.offset} | ({} if problem.trials is None else {"trials": problem.trials})
        evidence = None if self.log_evidence is None else list(self.log_evidence)
        facts = {
            "engine": "outcome", "family": self.family.said(), "method": self.method, "prior": prior_state(self.prior),
            "design": design, "how": self.how, "check": list(self.check), "log_evidence": evidence,
            "asks": list(self.asks),
        }  # fmt: skip
        return facts, arrays

    # -- tables ----------------------------------------------------------------------------------------------------

    def ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Rate or odds ratios ``exp(coefficient)``: median and equal-tailed interval of each."""
        import pandas as pd

        from bayesridge.posteriors.quantity import interval_names

        if self.family.ratio is None:
            raise DataError(f"with {self.family.text}, exp(coefficient) is no ratio: see summary() and effects()")
        low, high = interval_names(level)
        with np.errstate(over="ignore"):  # of a column in tiny units: infinite, as far as float64 goes
            middle, ends = np.exp(self.coefficients.median), np.exp(self.coefficients.interval(level))
        table = {self.family.ratio: middle, low: ends[:, 0], high: ends[:, 1]}
        return pd.DataFrame(table, index=list(self.design.names))

    def facts(self) -> dict[str, Any]:
        """What a record of this posterior holds beside its tables."""
        record: dict[str, Any] = {
            "family": self.family.name, "how": self.how, "check": list(self.check),
        }  # fmt: skip
        if self.family.ratio is not None:
            record["ratios"] = {self.family.ratio: self.ratios().to_dict(orient="index")}
        if self.log_evidence is not None:
            record["log_marginal_likelihood"], record["log_marginal_likelihood_se"] = self.log_evidence
        return record | loo_facts(self)
