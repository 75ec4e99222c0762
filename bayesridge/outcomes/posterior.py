"""The posterior of an outcome with a family: predictions, leave-one-out, what each lambda does, files and tables."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import State
from bayesridge.errors import BayesRidgeWarning, DataError, ImproperPosteriorError
from bayesridge.outcomes.bridge import LARGEST_ERROR
from bayesridge.outcomes.curves import Curves, Tilted, curves_of, log_lambda_without, tilted
from bayesridge.outcomes.inferred import InferredOutcome
from bayesridge.outcomes.loo import leave_one_out
from bayesridge.outcomes.prior import default_prior, density_of_t
from bayesridge.outcomes.rows import ExpectedRows, ObservedRows, PlaneDraws
from bayesridge.outcomes.scaling import Scaled, power_scaled
from bayesridge.persistence import prior_state
from bayesridge.posteriors.comparison import log_bayes_factor
from bayesridge.posteriors.contrasts import Asked, Step, step_labels
from bayesridge.posteriors.drawn import WeightedQuantity
from bayesridge.posteriors.facts import loo_facts
from bayesridge.posteriors.loo import LeaveOneOut
from bayesridge.posteriors.prediction import Prediction, checked_rows, per_row
from bayesridge.posteriors.summary import ShownPosterior
from bayesridge.priors import Prior

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: Arrays of the weighted draws, as they stand in files.
DRAWS = ("theta", "node", "log_weight", "mass")
_BLOCK_VALUES = 1 << 22  # draws x rows worked on at a time
_FOR_ROWS = 1_024  # draws of each replicate that predictions of new rows are made from


@dataclass(frozen=True, eq=False, repr=False)
class OutcomePosterior(InferredOutcome, ShownPosterior, Asked):
    """Everything known after seeing counts or successes; satisfies the contract of every posterior."""

    has_curves: ClassVar[bool] = True
    improper_noise: ClassVar[bool] = False

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
            learned: OutcomePosterior = self.infer(self.rows(), self._usual_prior)
            return learned.curves
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

    def beside(self, y: Array) -> OutcomePosterior:
        """Fit all rows twice, the second time with the outcomes y."""
        twice: OutcomePosterior = self.infer(self.rows().beside(y), self.prior)
        return twice

    @property
    def work(self) -> float:
        """Multiplications that a fit of twice the rows takes, about; steps of chains evaluate every node."""
        chains = not self.draws_.log_weight.any()
        return 2.0 * self.draws_.node.size * self.rows().rows.size * (len(self.t) if chains else 1.0)

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
